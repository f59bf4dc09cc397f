"""Families that are computed from each other, as the states of a chain are: level by level.

The level of an element is how many steps around the circle it is from where that begins; what has
the same level is computed at once, by one statement for each family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .chains import chains
from .columns import Column, affine, normal
from .families import Families, Slot, copied, stages_of
from .layouts import Layout, keys_of, laid_out, length_of, stages
from .parts import Part
from .shapes import APPLY, REDUCE, Family, Shapes, in_order, needed, shapes
from .terms import NONE, Scalars


def folded(found: Scalars, known: Shapes) -> Shapes:
    """The shapes with the states of each chain as one, if that is fewer statements, or terms.

    Not where steps are of different sizes, as the diagonals of a table are: they make no rows.
    """
    import numpy

    states = chains(found, known)
    if not states:
        return known
    other = shapes(found, known.homes, known.arguments, states=states)
    other.levels.update(_levels(found, other))
    for level in other.levels.values():
        if len({*numpy.unique(level, return_counts=True)[1].tolist()}) > 1:
            return known
    return min(known, other, key=lambda some: _size(found, some))


def _size(found: Scalars, known: Shapes) -> tuple[int, int]:
    """About how many statements there are, and how many terms in them."""
    count = terms = 0
    for number in needed(known.families, {known.family[root] for root in found.roots}):
        family = known.families[number]
        if family.kind in (APPLY, REDUCE) and copied(family) is None:
            times = known.times(number)
            count += times
            terms += max(1, len(family.groups)) * times
    return count, terms


def _levels(found: Scalars, known: Shapes) -> dict[int, Column]:
    """Of families that are computed from each other, the level of each element."""
    import numpy

    wanted = sorted({known.family[root] for root in found.roots})
    circle = {
        number: numbers
        for numbers in in_order(known.families, wanted)
        if len(numbers) > 1 or numbers[0] in known.families[numbers[0]].needs()
        for number in numbers
    }
    level = {number: [0] * known.families[number].size for number in circle}
    family, lane = known.family, known.lane
    for node in found.order:
        mine = circle.get(family[node])
        if mine is not None:
            inner = [o for o in found.operands(node) if circle.get(family[o]) is mine]
            deep = [level[family[operand]][lane[operand]] for operand in inner]
            level[family[node]][lane[node]] = max(deep, default=-1) + 1
    return {number: numpy.array(column) for number, column in level.items()}


def add_circle(families: Families, members: Sequence[Family], level: Mapping[int, Column]) -> None:
    """Lay out families that are computed from each other, and say how each level is computed."""
    for made in members:
        copy = copied(made)
        if copy is not None and families.may_copy(made, copy.sign):
            families.copies[made.number] = copy
    written, growing = [made for made in members if made.number not in families.copies], set()
    for made in written:
        if made.primal in families.layouts:
            families.layouts[made.number] = families.layout_of_adjoints(made)
        else:
            families.layouts[made.number] = Layout([], [])
            growing.add(made.number)
    circle = [_Member(families, made, level[made.number]) for made in written]
    order = sorted((number, k) for k, member in enumerate(circle) for number in member.at)
    for number, k in order:
        if written[k].number in growing:
            circle[k].grow(number)
    for member in circle:
        if member.family.number in growing:
            member.turn()
    for number, k in order:
        circle[k].write(number)
    for made in members:
        if made.number in families.copies:
            source, lanes, _ = families.copies[made.number]
            columns, lengths = families.layouts[source]
            families.layouts[made.number] = Layout([c[lanes] for c in columns], lengths)


class _Member:
    """A family of a circle.

    at   by level which elements have it
    """

    def __init__(self, families: Families, family: Family, level: Column) -> None:
        import numpy

        self.family, self._families = family, families
        self.at = {int(n): numpy.flatnonzero(level == n) for n in numpy.unique(level)}
        self._parts = families.parts(family)

    def _elements(self, level: int) -> tuple[list[Part], list[Slot]]:
        """The terms, or the operands, of the elements of a level."""
        import numpy

        if self.family.kind == APPLY:
            return [], self._families.slots(self.family, self.at[level])
        chosen = numpy.zeros(self.family.size, bool)
        chosen[self.at[level]] = True
        parts = [part for part in self._parts if chosen[part.place].any()]
        return [self._families.some(part, chosen) for part in parts], []

    def grow(self, level: int) -> None:
        """Coordinates for the elements of a level: the level, and where they are in it."""
        import numpy

        lanes, (parts, slots) = self.at[level], self._elements(level)
        whole = [part for part in parts if len(part.starts) == len(lanes)]
        told = stages_of(self.family, slots) if slots else stages(whole)
        columns = laid_out(len(lanes), told).columns
        if len(self.at) > 1:
            columns = [numpy.full(len(lanes), [*self.at].index(level)), *columns]
        layout = self._families.layouts[self.family.number]
        for k, column in enumerate(columns):
            if k == len(layout.columns):
                layout.columns.append(numpy.zeros(self.family.size, numpy.int64))
                layout.lengths.append(1)
            layout.columns[k][lanes] = column
            layout.lengths[k] = max(layout.lengths[k], length_of(column))

    def turn(self) -> None:
        """Count levels from the last one where what is read goes back, as a backward pass does."""
        if len(self.at) > 1:
            *_, before, last = map(self._fixed, self.at)
            falls = [
                before[key] > last[key]
                for key in before
                if last.get(key, before[key]) != before[key]
            ]
            if falls and falls[0]:
                columns = self._families.layouts[self.family.number].columns
                columns[0] = len(self.at) - 1 - columns[0]

    def _fixed(self, level: int) -> dict[tuple[int, int], int]:
        """The coordinates that are one number in all that a level reads, by array and axis."""
        parts, slots = self._elements(level)
        read = [slot for slot in slots if isinstance(slot, tuple)]
        read += [factor for part in parts for factor in part.factors]
        return {
            (array, k): int(column[0])
            for array, columns in read
            for k, column in enumerate(columns)
            if array != NONE and (column == column[0]).all()
        }

    def write(self, level: int) -> None:
        """Write the statement of a level."""
        families, lanes = self._families, self.at[level]
        columns = [column[lanes] for column in families.layouts[self.family.number].columns]
        varying = [normal(column)[0] for column in columns if (column != column[0]).any()]
        own = Layout(varying, [*map(length_of, varying)])
        found = [affine(column, keys_of(own)) for column in columns]
        place = [index for index in found if index is not None]
        parts, slots = self._elements(level)
        if self.family.kind == APPLY:
            families.make_apply(self.family, slots, own, place)
        else:
            families.make_reduce(self.family, parts, own, place)
