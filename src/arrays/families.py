"""From the scalars of one shape to a statement: the axes of their array, and how it is computed.

The coordinates of an array's elements are columns of the coordinates of what they are computed
from: columns that are equal are one axis, constant ones none, and one that follows from others is
read through an affine map or a table. What is the same for all terms of a sum is an axis of the
sum, what varies is summed over; the place of a window within its terms is an axis as well.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final, NamedTuple

from ..ops.reads import (
    Affine,
    Apply,
    AtLeast,
    Axis,
    Condition,
    Index,
    Operand,
    Read,
    Reduce,
    Table,
    Term,
    along,
    composed,
    reads_of,
)
from ..ops.scalar import ADD
from .columns import (
    EMPTY,
    Column,
    Key,
    affine,
    any_table,
    block,
    codes,
    counted,
    distinct,
    index_of,
    period,
    rank_among,
)
from .domains import TableValues, conditions, is_list
from .layouts import Layout, inner_axes, is_whole, keys_of, laid_out, length_of, stages
from .padding import alike, beyond, is_zero
from .parting import by_order
from .parts import Part, regions_of
from .shapes import APPLY, LEAF, LITERAL, REDUCE, VECTOR, Family, Group, Shapes, needed
from .terms import NONE

_ONE: Final = struct.unpack("=q", struct.pack("=d", 1.0))[0]
"""The bits of 1.0 as a whole number."""

Numbers = tuple[float, ...]


class Copy(NamedTuple):
    """What a family that is only copies is a copy of: a family, the element of each, and a sign."""

    family: int
    lanes: Column
    sign: int


Slot = Any
"""What an operand is at some points: an array and coordinates in it, or a column of numbers."""


def stages_of(made: Family, slots: Sequence[Slot]) -> list[list[Column]]:
    """Columns that may tell operations apart: the coordinates of what they read, then numbers."""
    read = [column for slot in slots if isinstance(slot, tuple) for column in slot[1]]
    numbers = [slot for f, slot in zip(made.inputs, slots, strict=True) if f == NONE]
    return [read, [column for slot in numbers for column in counted(slot)]]


def copied(made: Family) -> Copy | None:
    """What a family is a copy of, if each of its elements is one element of one other."""
    import numpy

    if made.kind != REDUCE or made.op is not ADD or len(made.groups) != 1:
        return None
    (group,) = made.groups.values()
    if group.numbers is not None or len(group.factors) != 1 or len(group.rows) != 3 * made.size:
        return None
    rows = numpy.array(group.rows, numpy.int64).reshape(-1, 3)
    lanes = numpy.empty(made.size, numpy.int64)
    lanes[rows[:, 0]] = rows[:, 1]
    return Copy(group.factors[0], lanes, group.sign)


@dataclass
class Made:
    """A statement whose arrays and tables have no names yet: arrays are numbers of families."""

    family: int
    axes: list[Axis]
    place: list[Index] | None
    value: Apply | Reduce
    domain: tuple[Condition, ...]


class _Split(Exception):  # noqa: N818
    """An axis is to be split into blocks of a width."""

    def __init__(self, name: str, width: int) -> None:
        self.name, self.width = name, width


class Families:
    """Layouts and statements of all families, made in an order in which they can be computed.

    computed   families that have statements; of others only coordinates are needed
    keep       families that have to be arrays even if they only copy
    applied    families whose elements are operands of operations, where no sign can be put
    """

    def __init__(
        self, shapes: Shapes, computed: set[int], keep: set[int], applied: set[int]
    ) -> None:
        self._families = shapes.families
        self._computed, self._keep, self._applied = computed, keep, applied
        self._summed = 0
        self._tables: set[TableValues] = set()
        self.layouts: dict[int, Layout] = {}
        self.copies: dict[int, Copy] = {}
        self.numbers: dict[int, Column] = {}
        self.literals: dict[tuple[tuple[int, ...], tuple[int, ...]], tuple[str, Numbers]] = {}
        self.made: list[Made] = []
        self.wider: dict[tuple[int, tuple[int, ...], tuple[int, ...]], int] = {}
        self.parted: dict[int, Column] = {}

    def add(self, number: int) -> None:
        """Lay out a family and, if it is needed, say how it is computed."""
        import numpy

        made = self._families[number]
        if made.kind == LITERAL:
            self.numbers[number] = numpy.array(made.numbers)[:, 0]
            return
        if made.kind == LEAF:
            self._lay_out_leaf(made)
        elif made.kind == VECTOR:
            self.layouts[number] = Layout([numpy.arange(made.size)], [made.size])
        elif made.kind == APPLY:
            self._add_apply(made)
        else:
            self._add_reduce(made)

    def _lay_out_leaf(self, made: Family) -> None:
        import numpy

        assert made.leaf is not None
        shape = made.leaf.shape
        columns = list(numpy.unravel_index(numpy.arange(made.size), shape)) if shape else []
        self.layouts[made.number] = Layout(columns, list(shape))

    def _factor(self, family: int, lanes: Column) -> tuple[int, list[Column], int]:
        """An element of a family at each point: its array, its coordinates, and a sign."""
        sign = 1
        while family in self.copies:
            copy = self.copies[family]
            family, lanes, sign = copy.family, copy.lanes[lanes], sign * copy.sign
        layout = self.layouts[family]
        return family, [column[lanes] for column in layout.columns], sign

    def _add_apply(self, made: Family) -> None:
        slots = self.slots(made, slice(None))
        layout = self.layouts[made.number] = laid_out(made.size, stages_of(made, slots))
        self.make_apply(made, slots, layout)
        self._part_elements(made, [slot[1] for slot in slots if isinstance(slot, tuple)])

    def slots(self, made: Family, chosen: Any) -> list[Slot]:
        """What the operands of some elements of an operation are."""
        import numpy

        rows = numpy.array(made.rows, numpy.int64).reshape(made.size, -1)[chosen]
        slots: list[Slot] = []
        for k, family in enumerate(made.inputs):
            if family == NONE:
                slots.append(numpy.array(made.numbers[k])[chosen])
            elif family in self.numbers:
                slots.append(self.numbers[family][rows[:, k]])
            else:
                slots.append(self._factor(family, rows[:, k])[:2])
        return slots

    def make_apply(
        self,
        made: Family,
        slots: Sequence[Slot],
        layout: Layout,
        place: Sequence[Index] | None = None,
    ) -> None:
        """Write the statement of some elements of an operation."""

        def value(keys: list[Key], domain: tuple[Condition, ...]) -> Apply:
            operands: list[Operand] = []
            for slot in slots:
                if isinstance(slot, tuple):
                    operands.append(self._read(slot[0], slot[1], keys))
                else:
                    operands.append(self._number(slot, keys, made.derived))
            assert made.op is not None
            return Apply(made.op, tuple(operands), made.statics)

        self._make(made, layout, value, place)

    def _add_reduce(self, made: Family) -> None:
        parts = self.parts(made)
        layout, parts = self._padded(made, parts) or (self._layout_of(made, parts), parts)
        self.layouts[made.number] = layout
        if self._is_copy(made, parts) or made.number not in self._computed:
            return
        regions = regions_of(made, parts, self._is_table(made))
        if len(regions) > 1 and self._in_regions(made, parts, layout, regions):
            return
        self.make_reduce(made, parts, layout)
        if made.primal == NONE:
            self._part_elements(made, [part.constant for part in parts])
        if len(regions) == 1 and _tables(self.made[-1]):
            simple = self.made.pop()
            done = self._in_regions(made, parts, layout, regions)
            if not done or _tables(self.made[-1]) >= _tables(simple):
                self.made[len(self.made) - done :] = [simple]

    def _part_elements(self, made: Family, places: Sequence[Sequence[Column]]) -> None:
        """Find elements to tell apart where all are on a list of points, and parts need none.

        What is computed from elements that are told apart is so too, by these.
        """
        import numpy

        if made.number not in self._computed or not any(map(is_list, self.made[-1].domain)):
            return
        if not self.parted.keys().isdisjoint(needed(self._families, [made.number])):
            return
        columns = [column for own in places for column in own]
        for chosen in by_order(places):
            if all(is_whole([column[rows] for column in columns]) for rows in chosen):
                part = self.parted[made.number] = numpy.zeros(made.size, numpy.int64)
                for number, rows in enumerate(chosen):
                    part[rows] = number
                return

    def _layout_of(self, made: Family, parts: Sequence[Part]) -> Layout:
        if made.primal == NONE or self._families[made.primal].kind == LITERAL:
            everywhere = [part for part in parts if len(part.starts) == made.size]
            return laid_out(made.size, stages(everywhere))
        return self.layout_of_adjoints(made)

    def _padded(self, made: Family, parts: Sequence[Part]) -> tuple[Layout, list[Part]] | None:
        """Zeros that are multiplied where others are elements, as elements of a wider array.

        The layout and the parts of a family, or None where there are no such zeros.
        """
        zeros = {id(part): part for part in parts if is_zero(part)}
        if not zeros or made.number not in self._computed:
            return None
        rest = [part for part in parts if id(part) not in zeros]
        layout = self._layout_of(made, rest)
        found = []
        for part in rest:
            edge = next((z for z in zeros.values() if alike(z, part)), None)
            whole = None if edge is None else self._joined(part, edge, layout, made.size)
            if edge is not None and whole is not None:
                del zeros[id(edge)]
            found.append(whole or part)
        return None if zeros else (layout, found)

    def _joined(self, part: Part, edge: Part, layout: Layout, size: int) -> Part | None:
        """The terms of two parts as one, whose zeros are elements of a wider array."""
        import numpy

        by = part.group.factors.index(edge.group.factors[0])
        (source, inside), (_, weights) = part.factors[1 - by], part.factors[by]
        if part.group.factors[1 - by] in self.copies:
            return None
        if not numpy.isin(edge.rows[:, 1], part.rows[:, 1 + by]).all():
            return None  # no window moves over what is multiplied by 0 alone
        at = [*[column[part.place] for column in layout.columns], *weights]
        outside = [*[column[edge.place] for column in layout.columns], *edge.factors[0][1]]
        lengths = self.layouts[source].lengths
        places = beyond(inside, at, outside, lengths)
        if places is None:
            return None
        low = [min(int(column.min()), 0) for column in places]
        high = [max(int(c.max()) + 1, n) for c, n in zip(places, lengths, strict=True)]
        family = self._wider(source, tuple(low), tuple(high))
        lanes = []
        for own in (inside, places):
            moved = [column - start for column, start in zip(own, low, strict=True)]
            lanes.append(numpy.ravel_multi_index(moved, self.layouts[family].lengths))
        rows = numpy.concatenate(
            [
                numpy.stack([part.place, part.rows[:, 1 + by], lanes[0]], 1),
                numpy.stack([edge.place, edge.rows[:, 1], lanes[1]], 1),
            ]
        )
        rows = rows[numpy.argsort(rows[:, 0], kind="stable")]
        group = Group(part.group.sign, (part.group.factors[by], family), None)
        return self._part(group, rows, None, size, part.added)

    def _wider(self, source: int, low: tuple[int, ...], high: tuple[int, ...]) -> int:
        """The array with zeros around it: a family of its own, from `low` up to `high`."""
        import numpy

        key = (source, low, high)
        if key in self.wider:
            return self.wider[key]
        shape = [last - first for first, last in zip(low, high, strict=True)]
        number = self.wider[key] = len(self._families)
        columns = list(numpy.indices(shape).reshape(len(shape), -1))
        self._families.append(Family(number, REDUCE, NONE, ADD, size=prod(shape)))
        layout = self.layouts[number] = Layout(columns, shape)
        keys = keys_of(layout)
        index: list[Index] = []
        domain: list[Condition] = []
        for k, length in zip(keys, self.layouts[source].lengths, strict=True):
            first = -low[len(index)]
            index.append(Affine(-first, ((k.name, 1),)))
            if first:
                domain.append(AtLeast(Affine(-first, ((k.name, 1),))))
            if first + length < k.length:
                domain.append(AtLeast(Affine(first + length - 1, ((k.name, -1),))))
        term = Term(1, (Read(str(source), tuple(index)),), (), tuple(domain))
        axes = [Axis(key.name, key.length) for key in keys]
        self.made.append(Made(number, axes, None, Reduce(ADD, (term,)), ()))
        return number

    def make_reduce(
        self,
        made: Family,
        parts: Sequence[Part],
        layout: Layout,
        place: Sequence[Index] | None = None,
    ) -> None:
        """Write the statement of some elements of a sum, a maximum or a minimum."""

        def value(keys: list[Key], domain: tuple[Condition, ...]) -> Reduce:
            assert made.op is not None
            terms = [term for part in parts for term in self._terms(part, keys, domain)]
            return Reduce(made.op, tuple(terms) or (Term(1, (0.0,)),))

        self._make(made, layout, value, place)

    def _in_regions(
        self, made: Family, parts: Sequence[Part], layout: Layout, regions: Sequence[Column]
    ) -> bool:
        """Write adjoints region by region, each with axes of its own; whether that can be done.

        It can where the places in the array are affine on the axes of each region, as where leaves
        of several uses lie in one vector.
        """
        found = []
        for region in regions:
            some = [self.some(p, region) for p in parts if region[p.place].any()]
            own = laid_out(int(region.sum()), stages(some)) if some else None
            columns = [column[region] for column in layout.columns]
            if own is None:
                own = Layout(columns, layout.lengths)
            keys = keys_of(own)
            place = [affine(column, keys) for column in columns]
            if None in place or not distinct(own.columns, int(region.sum())):
                return False
            found.append((some, own, place))
        for some, own, place in found:
            self.make_reduce(made, some, own, [index for index in place if index is not None])
        return True

    def _is_table(self, made: Family) -> bool:
        """Whether adjoints are those of leaves that lie in rows."""
        leaf = None if made.primal == NONE else self._families[made.primal].leaf
        return leaf is not None and len(leaf.shape) > 1

    def _is_copy(self, made: Family, parts: Sequence[Part]) -> bool:
        """Whether every element is one element of one other family; then there is no statement."""
        import numpy

        if len(parts) != 1 or made.number in self._keep or made.op is not ADD:
            return False
        (part,) = parts
        if len(part.factors) + (part.numbers is not None) != 1:
            return False
        if len(part.place) != made.size or len(part.starts) != made.size:
            return False
        lanes = numpy.empty(made.size, numpy.int64)
        if part.numbers is not None or part.factors[0][0] == NONE:
            values = numpy.empty(made.size)
            numbers = part.factors[0][1][0] if part.numbers is None else part.numbers
            values[part.place] = numbers * part.sign
            self.numbers[made.number] = values
            return True
        source = part.group.factors[part.kept[0]]
        lanes[part.place] = part.rows[:, 1 + part.kept[0]]
        sign = part.sign
        if source in self.copies:
            source, inner, _ = self.copies[source]
            lanes = inner[lanes]
        if sign < 0 and made.number in self._applied:
            return False
        if made.primal != NONE and self._families[made.primal].kind == LEAF:
            keys = keys_of(self.layouts[made.number])
            if any(affine(c[lanes], keys) is None for c in self.layouts[source].columns):
                return False  # through a table, as a sum would be if a row were used twice
        self.copies[made.number] = Copy(source, lanes, sign)
        return True

    def parts(self, made: Family) -> list[Part]:
        """The terms of a family, a part for each shape."""
        import numpy

        parts = []
        for group in made.groups.values():
            rows = numpy.array(group.rows, numpy.int64).reshape(-1, 3)
            numbers = None if group.numbers is None else numpy.array(group.numbers)
            parts.append(self._part(group, rows, numbers, made.size, made.op is ADD))
        return parts

    def may_copy(self, made: Family, sign: int) -> bool:
        """Whether what is only copies need not be an array."""
        return made.number not in self._keep and not (sign < 0 and made.number in self._applied)

    def some(self, part: Part, chosen: Column) -> Part:
        """The terms of those elements that are `chosen`, which are numbered anew."""
        import numpy

        places = numpy.cumsum(chosen) - 1
        return self._chosen(part, chosen[part.place], places, int(chosen.sum()))

    def _chosen(
        self, part: Part, chosen: Column, places: Column | None = None, size: int = 0
    ) -> Part:
        """Some of the terms, of elements that may be numbered anew."""
        rows = part.rows[chosen]
        if places is not None:
            rows[:, 0] = places[rows[:, 0]]
        numbers = None if part.numbers is None else part.numbers[chosen]
        return self._part(part.group, rows, numbers, size, part.added)

    def _part(
        self, group: Group, rows: Column, numbers: Column | None, size: int, added: bool
    ) -> Part:
        import numpy

        place = rows[:, 0]
        starts = numpy.concatenate([[0], numpy.flatnonzero(numpy.diff(place)) + 1])
        sign = group.sign
        kept: list[int] = []
        factors: list[tuple[int, list[Column]]] = []
        for k, family in enumerate(group.factors):
            if family in self.numbers:
                values = self.numbers[family][rows[:, 1 + k]]
                if abs(values[0]) == 1.0 and (values == values[0]).all():
                    sign *= int(values[0])
                else:
                    factors.append((NONE, [values]))
                    kept.append(k)
                continue
            kept.append(k)
            family, columns, factor = self._factor(family, rows[:, 1 + k])
            sign *= factor
            factors.append((family, columns))
        part = Part(group, rows, place, factors, numbers, sign, starts, kept, added)
        everywhere = len(starts) == size
        for column in _different([c for family, own in factors if family != NONE for c in own]):
            low = part.low(column)
            if not (low == part.high(column)).all():
                part.varying.append(column)
            elif everywhere:
                part.constant.append(low)
        return part

    def layout_of_adjoints(self, made: Family) -> Layout:
        """Adjoints lie as their primals do; where one primal has several, one axis more."""
        import numpy

        like = self.layouts[made.primal]
        places = numpy.array(made.places, numpy.int64)
        layout = Layout([column[places] for column in like.columns], like.lengths)
        if distinct(layout.columns, made.size):
            return layout
        rank = rank_among(places[::-1])[::-1]  # the backward pass meets the last use first
        return Layout([rank, *layout.columns], [length_of(rank), *layout.lengths])

    def _make(
        self,
        made: Family,
        layout: Layout,
        value: Any,
        where: Sequence[Index] | None = None,
    ) -> None:
        """Write the statement of a family; axes are split where indices go in blocks."""
        if made.number not in self._computed:
            return
        keys = keys_of(layout)
        place: list[Index] = [along(key.name) for key in keys] if where is None else [*where]
        found: Apply | Reduce | None = None
        domain: tuple[Condition, ...] = ()
        while found is None:
            domain = conditions(keys)
            try:
                found = value(keys, domain)
            except _Split as split:
                keys, place = _split(keys, place, split)
        axes = [Axis(key.name, key.length) for key in keys]
        names = [axis.name for axis in axes]
        simple = [index.axis if isinstance(index, Affine) else None for index in place] == names
        self.made.append(Made(made.number, axes, None if simple else place, found, domain))

    def _read(self, family: int, columns: Sequence[Column], keys: Sequence[Key]) -> Read:
        """The elements of a family at coordinates that follow from axes.

        A vector of leaves that is read through a table over several axes may be a matrix: it has no
        blocks, so that the table tells that its leaves' names do not.
        """
        untold = self._families[family].leaf is not None and len(columns) == 1
        found = []
        for column in columns:
            index = index_of(column, keys)
            if index is None:
                raise ValueError("coordinates that do not follow from the axes")
            if isinstance(index, Table):
                self._tables.add((index.lengths, index.values))
                split = block(index)
                if split is not None and not (untold and len(index.axes) > 1):
                    raise _Split(*split)
            found.append(index)
        return Read(str(family), tuple(found))

    def _number(self, values: Column, keys: Sequence[Key], repeats: bool = False) -> Operand:
        """A number at each point as an operand: itself, or a read of an array of numbers.

        repeats   whether an axis is to be split along which the numbers repeat themselves
        """
        import numpy

        bits = values.view(numpy.int64)  # 0.0 and -0.0 are two numbers
        if (bits == bits[0]).all():
            return float(values[0])
        found = any_table(bits, keys)
        if found is None:
            raise ValueError("numbers that do not follow from the axes")
        kept, table = found
        lengths = tuple(key.length for key in kept)
        for place, key in enumerate(kept if repeats else ()):
            width = period(table.reshape(lengths), place)
            if width is not None:
                raise _Split(key.name, width)
        table[table == EMPTY] = _ONE  # where there is no point: whatever is done to it is finite
        name = f"c{len(self.literals)}"
        numbers = tuple(table.view(numpy.float64).tolist())
        name = self.literals.setdefault((lengths, tuple(table.tolist())), (name, numbers))[0]
        return Read(name, tuple(along(key.name) for key in kept))

    def _terms(
        self,
        part: Part,
        keys: Sequence[Key],
        within: Sequence[Condition],
    ) -> list[Term]:
        """The terms of one shape as one, or as several where one would need a list of points."""
        whole = self._term(part, keys, within)
        if not any(map(is_list, whole.domain)):
            return [whole]
        places = [[key.column[part.place] for key in keys]]
        places += [own for family, own in part.factors if family != NONE]
        tables, literals = set(self._tables), dict(self.literals)
        for chosen in by_order(places):
            terms: list[Term] = []
            for rows in chosen:
                try:
                    terms.append(self._term(self._chosen(part, rows), keys, within))
                except _Split:
                    break
                if any(map(is_list, terms[-1].domain)):
                    break
            else:
                return terms
            self._tables, self.literals = set(tables), dict(literals)
        return [whole]

    def _term(
        self,
        part: Part,
        keys: Sequence[Key],
        within: Sequence[Condition],
    ) -> Term:
        """The terms of one shape as one term with axes to sum over."""
        outer = [Key(key.name, key.column[part.place], key.length) for key in keys]
        inner, count = inner_axes(part, keys, outer, self._summed)
        self._summed += len(inner)
        rows: Any = slice(None)
        if count > 1:  # the same product several times
            total, _ = codes([part.place, *[key.column for key in inner]], len(part.place))
            rows = rank_among(total) == 0
            outer = [Key(key.name, key.column[rows], key.length) for key in outer]
            inner = [Key(key.name, key.column[rows], key.length) for key in inner]
        factors: list[Operand] | None = None
        while factors is None:
            try:
                factors = self._factors(part, rows, [*outer, *inner])
            except _Split as split:
                if all(key.name != split.name for key in inner):
                    raise
                inner, _ = _split(inner, [], split)
        sign = part.sign
        for k, factor in enumerate(factors):
            if part.added and isinstance(factor, float) and factor < 0.0:
                factors[k], sign = -factor, -sign
        affine_maps = [index for f in factors if isinstance(f, Read) for index in f.index]
        domain = conditions([*outer, *inner], affine_maps, within, self._tables)
        axes = tuple([Axis(key.name, key.length) for key in inner])
        return Term(sign * count, tuple(factors) or (1.0,), axes, domain)

    def _factors(self, part: Part, rows: Any, keys: Sequence[Key]) -> list[Operand]:
        """What the terms of one shape multiply, at some of their rows."""
        factors: list[Operand] = []
        if part.numbers is not None:
            factors.append(self._number(part.numbers[rows], keys))
        for family, columns in part.factors:
            if family == NONE:
                factors.append(self._number(columns[0][rows], keys))
            else:
                factors.append(self._read(family, [column[rows] for column in columns], keys))
        return factors


def _different(columns: Sequence[Column]) -> list[Column]:
    """Each column once."""
    return list({column.tobytes(): column for column in columns}.values())


def _tables(made: Made) -> int:
    """How many tables a statement reads through."""
    return sum(isinstance(i, Table) for read in reads_of(made.value) for i in read.index)


def _split(
    keys: Sequence[Key], place: Sequence[Index], split: _Split
) -> tuple[list[Key], list[Index]]:
    """The axes with one of them in blocks, and indices that say so."""
    outer, inner = f"{split.name}h", f"{split.name}l"
    new: list[Key] = []
    for key in keys:
        if key.name != split.name:
            new.append(key)
            continue
        new.append(Key(outer, key.column // split.width, key.length // split.width))
        new.append(Key(inner, key.column % split.width, split.width))
    blocks = {split.name: Affine(0, ((outer, split.width), (inner, 1)))}
    return new, [composed(i, blocks) or i if isinstance(i, Affine) else i for i in place]
