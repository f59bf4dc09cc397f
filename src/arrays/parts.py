"""The terms of one shape in the elements of an array, as columns of coordinates and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .columns import Column, looped
from .shapes import Family, Group
from .terms import NONE


@dataclass
class Part:
    """The terms of one shape, as columns: the element of each, coordinates and numbers.

    kept   which factors of the group are left: those that are 1 or -1 are in the sign
    added  whether terms are added up, so that two equal ones are one of twice the size
    """

    group: Group
    rows: Column
    place: Column
    factors: list[tuple[int, list[Column]]]
    numbers: Column | None
    sign: int
    starts: Column
    kept: list[int]
    added: bool
    varying: list[Column] = field(default_factory=list)
    constant: list[Column] = field(default_factory=list)

    @property
    def numbered(self) -> bool:
        """Whether terms may differ in nothing but a number."""
        import numpy

        bits = numpy.int64
        written = [columns[0].view(bits) for family, columns in self.factors if family == NONE]
        return self.numbers is not None or any((c != c[0]).any() for c in written)

    def low(self, column: Column) -> Column:
        """The smallest number of a column among the terms of each element."""
        import numpy

        return numpy.minimum.reduceat(column, self.starts)

    def high(self, column: Column) -> Column:
        """The largest number of a column among the terms of each element."""
        import numpy

        return numpy.maximum.reduceat(column, self.starts)


def in_order(column: Column, part: Part) -> bool:
    """Whether the numbers of a column turn up one after another in the longest of the sums."""
    import numpy

    ends = numpy.append(part.starts[1:], len(part.place))
    longest = int((ends - part.starts).argmax())
    return looped(column[part.starts[longest] : ends[longest]])


def invariants(part: Part) -> list[Column]:
    """What two varying columns have in common within an element: i, where they are i + a and a."""
    import numpy

    found = []
    inside = numpy.diff(part.place) == 0
    for u in part.varying:
        for v in part.varying:
            if u is v:
                continue
            steps = numpy.diff(v)
            moving = numpy.flatnonzero(inside & (steps != 0))
            if not len(moving):
                continue
            rise = int(u[moving[0] + 1] - u[moving[0]])
            step = int(steps[moving[0]])
            if rise == 0 or rise % step:
                continue
            same = u - (rise // step) * v
            low = part.low(same)
            if (low == part.high(same)).all() and not (low == low[0]).all():
                found.append(-low if low[0] > low[-1] else low)
    return found


def regions_of(made: Family, parts: Sequence[Part], table: bool) -> list[Column]:
    """Where adjoints are sums of other terms than elsewhere, if no term is in two such regions.

    Elements that are 0 are no region beside one other. Rows of a table that nothing picks are none
    at all: which they are, and whether some are picked twice, is up to data.
    """
    import numpy

    if made.primal == NONE or not parts:
        return []
    first = numpy.full(made.size, -1)
    for number in range(len(parts) - 1, -1, -1):
        first[parts[number].place] = number
    order = sorted(numpy.unique(first).tolist(), key=lambda number: (number >= 0, -number))
    regions = {number: first == number for number in order}
    for part in parts:
        there = numpy.zeros(made.size, bool)
        there[part.place] = True
        if (there != regions[first[part.place[0]]]).any():
            return []
    left = -1 in regions
    return [] if left and (table or len(regions) == 2) else list(regions.values())
