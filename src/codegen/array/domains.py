"""Statements on part of a grid as statements on a smaller grid, where that can be said.

A bound of one axis makes the axis shorter; a list of points makes one axis of them, and tables of
what the axes are at each. What is left, as `t ≤ p`, is written with a mask.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ...arrays.statements import Statement
from ...ops.points import Columns, extended, numbers, points
from ...ops.reads import (
    Affine,
    Among,
    Apply,
    AtLeast,
    Axis,
    Condition,
    Equal,
    Index,
    Operand,
    Read,
    Table,
    Term,
    Value,
    mapped_condition,
)
from ...ops.shapes import BATCH

Ranges = dict[str, tuple[int, int]]
"""The first and the last number of some axes."""

POINT: Final = "point"
"""The axis of the points of a list."""


def tightened(statement: Statement) -> Statement:
    """The same statement without the conditions that can be said otherwise."""
    if not statement.domain:
        return _without_lone(statement)
    ranges, left = _bounds(statement.axes, statement.domain)
    if ranges:
        statement = _shortened(statement, ranges, left)
    elif len(left) < len(statement.domain):
        statement = replace(statement, domain=left)
    listed = any(isinstance(condition, Among) for condition in statement.domain)
    if statement.domain and (listed or not _is_axes(statement)):
        statement = _listed(statement)
    return _without_lone(statement)


def _without_lone(statement: Statement) -> Statement:
    """The same without axes of length 1 that no index of what is written needs."""
    if statement.place is None:
        return statement
    used = {axis for index in statement.target for axis in index.axes}
    lone = {a.name: (0, 0) for a in statement.axes if a.length == 1 and a.name not in used}
    return _shortened(statement, lone, statement.domain) if lone else statement


def _is_axes(statement: Statement) -> bool:
    """Whether what is written is an element for each point, whatever the domain."""
    used = [i.axis if isinstance(i, Affine) else None for i in statement.target if i.axes]
    return None not in used and set(used) == {axis.name for axis in statement.axes}


def _bounds(
    axes: Sequence[Axis], domain: Sequence[Condition]
) -> tuple[Ranges, tuple[Condition, ...]]:
    """What the conditions on one axis leave of it; and the other conditions."""
    ranges: Ranges = {}
    left = []
    lengths = {axis.name: axis.length for axis in axes}
    for condition in domain:
        expression = _as_bound(condition)
        if expression is None:
            left.append(condition)
            continue
        ((axis, stride),) = expression.terms
        low, high = ranges.get(axis, (0, lengths[axis] - 1))
        if isinstance(condition, Equal):
            exact = -expression.offset // stride
            low, high = max(low, exact), min(high, exact)
        elif stride > 0:
            low = max(low, -(expression.offset // stride))
        else:
            high = min(high, expression.offset // -stride)
        ranges[axis] = (low, high)
    if any(low > high for low, high in ranges.values()):
        return {}, tuple(domain)
    whole = [axis for axis, ends in ranges.items() if ends == (0, lengths[axis] - 1)]
    for axis in whole:
        del ranges[axis]
    return ranges, tuple(left)


def _as_bound(condition: Condition) -> Affine | None:
    """A condition on one axis: what is to be 0 or more, or for an equation what is to be 0."""
    if isinstance(condition, AtLeast) and len(condition.expression.terms) == 1:
        return condition.expression
    if isinstance(condition, Equal):
        left, right = condition.left, condition.right
        if isinstance(left, Affine) and isinstance(right, Affine):
            axes, other = (left, right) if left.terms else (right, left)
            if len(axes.terms) == 1 and not other.terms:
                whole = Affine(axes.offset - other.offset, axes.terms)
                return whole if whole.offset % whole.terms[0][1] == 0 else None
    return None


def part(statement: Statement, axis: str, ends: tuple[int, int]) -> Statement:
    """A statement on a part of an axis, from the first of two numbers to the last."""
    return _shortened(statement, {axis: ends}, statement.domain)


def blocked(statement: Statement, axis: str, size: int, inner: str) -> Statement:
    """A statement with two axes for one: the blocks of so many numbers, and `inner` in a block."""
    put = _Blocks(axis, size, inner)
    axes: list[Axis] = []
    for one in statement.axes:
        whole = one.name == axis
        axes += [Axis(axis, one.length // size), Axis(inner, size)] if whole else [one]
    return Statement(
        statement.array,
        tuple(axes),
        put.value(statement.value),
        tuple(map(put.index, statement.target)),
        tuple(map(put.condition, statement.domain)),
    )


def _shortened(statement: Statement, ranges: Ranges, domain: tuple[Condition, ...]) -> Statement:
    lengths = {axis.name: axis.length for axis in statement.axes}
    moved = _Shift(ranges, lengths)
    axes = [
        Axis(a.name, ranges[a.name][1] - ranges[a.name][0] + 1) if a.name in ranges else a
        for a in statement.axes
    ]
    return Statement(
        statement.array,
        tuple([axis for axis in axes if axis.name not in moved.fixed]),
        moved.value(statement.value),
        tuple(map(moved.index, statement.target)),
        tuple(map(moved.condition, domain)),
    )


class _Substitution:
    """Puts other indices in a value; `index` says what becomes of one."""

    def index(self, index: Index) -> Index:
        """What becomes of an index."""
        raise NotImplementedError

    def condition(self, condition: Condition) -> Condition:
        """What becomes of a condition."""
        raise NotImplementedError

    def operand(self, operand: Operand) -> Operand:
        """What becomes of a read."""
        if isinstance(operand, Read):
            return Read(operand.array, tuple(map(self.index, operand.index)))
        return operand

    def value(self, value: Value) -> Value:
        """What becomes of a value."""
        if isinstance(value, Apply):
            return replace(value, operands=tuple(map(self.operand, value.operands)))
        return replace(value, terms=tuple(map(self.term, value.terms)))

    def term(self, term: Term) -> Term:
        """What becomes of a term."""
        factors = tuple(map(self.operand, term.factors))
        return replace(term, factors=factors, domain=tuple(map(self.condition, term.domain)))


class _Blocks(_Substitution):
    """The numbers of an axis are those of blocks, and of places in a block."""

    def __init__(self, axis: str, size: int, inner: str) -> None:
        self._axis, self._size, self._inner = axis, size, inner

    def index(self, index: Index) -> Index:
        if isinstance(index, Affine):
            terms: list[tuple[str, int]] = []
            for axis, stride in index.terms:
                whole = axis == self._axis
                terms += (
                    [(axis, stride * self._size), (self._inner, stride)]
                    if whole
                    else [(axis, stride)]
                )
            return Affine(index.offset, tuple(terms))
        axes: list[str] = []
        lengths: list[int] = []
        for axis, length in zip(index.axes, index.lengths, strict=True):
            whole = axis == self._axis
            axes += [axis, self._inner] if whole else [axis]
            lengths += [length // self._size, self._size] if whole else [length]
        return Table(index.name, tuple(axes), tuple(lengths), index.values)

    def condition(self, condition: Condition) -> Condition:
        if not isinstance(condition, Among) or self._axis not in condition.axes:
            return mapped_condition(condition, self.index)
        place = condition.axes.index(self._axis)
        axes = (*condition.axes[: place + 1], self._inner, *condition.axes[place + 1 :])
        found = [
            (*point[:place], *divmod(point[place], self._size), *point[place + 1 :])
            for point in condition.points
        ]
        return Among(condition.name, axes, tuple(found))


class _Naming(_Substitution):
    """Gives equal tables one name, and others different ones."""

    def __init__(self) -> None:
        self._names: dict[tuple[tuple[int, ...], tuple[int, ...]], str] = {}
        self._taken: set[str] = set()

    def index(self, index: Index) -> Index:
        if isinstance(index, Affine):
            return index
        key = (index.lengths, index.values)
        if key not in self._names:
            name, count = index.name, 2
            while name in self._taken:
                name, count = f"{index.name}_{count}", count + 1
            self._taken.add(name)
            self._names[key] = name
        return replace(index, name=self._names[key])

    def condition(self, condition: Condition) -> Condition:
        if isinstance(condition, Equal):
            return Equal(self.index(condition.left), self.index(condition.right))
        return condition


def tables_named(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    """The same, with a name of its own for each table."""
    naming = _Naming()
    return tuple(
        [
            replace(
                statement,
                value=naming.value(statement.value),
                place=None
                if statement.place is None
                else tuple(map(naming.index, statement.place)),
                domain=tuple(map(naming.condition, statement.domain)),
            )
            for statement in statements
        ]
    )


class _Shift(_Substitution):
    """Axes that begin later and end sooner; those of one number are gone."""

    def __init__(self, ranges: Ranges, lengths: Mapping[str, int]) -> None:
        self._ranges, self._lengths = ranges, lengths
        self.fixed = {axis for axis, (low, high) in ranges.items() if low == high}

    def index(self, index: Index) -> Index:
        if isinstance(index, Affine):
            offset = index.offset
            for axis, stride in index.terms:
                offset += stride * self._ranges.get(axis, (0, 0))[0]
            return Affine(offset, tuple([t for t in index.terms if t[0] not in self.fixed]))
        if not self._ranges.keys() & set(index.axes):
            return index
        axes = [Axis(axis, length) for axis, length in zip(index.axes, index.lengths, strict=True)]
        kept = [axis for axis in axes if axis.name not in self.fixed]
        short = [Axis(a.name, self._length(a)) for a in kept]
        columns = points(short)
        for axis, (low, _) in self._ranges.items():
            if axis in index.axes:
                columns[axis] = columns.get(axis, 0 * columns[""]) + low
        return _table(index, [axis.name for axis in kept], [a.length for a in short], columns)

    def _length(self, axis: Axis) -> int:
        low, high = self._ranges.get(axis.name, (0, axis.length - 1))
        return high - low + 1

    def condition(self, condition: Condition) -> Condition:
        if isinstance(condition, AtLeast):
            moved = self.index(condition.expression)
            assert isinstance(moved, Affine)
            return AtLeast(moved)
        if isinstance(condition, Equal):
            return Equal(self.index(condition.left), self.index(condition.right))
        places = [self._ranges.get(axis, (0, 0))[0] for axis in condition.axes]
        kept = [k for k, axis in enumerate(condition.axes) if axis not in self.fixed]
        found = []
        for point in condition.points:
            numbers_of = [n - low for n, low in zip(point, places, strict=True)]
            inside = all(
                0 <= n < 1 + self._ranges[axis][1] - self._ranges[axis][0]
                for n, axis in zip(numbers_of, condition.axes, strict=True)
                if axis in self._ranges
            )
            if inside:
                found.append(tuple([numbers_of[k] for k in kept]))
        axes = tuple([condition.axes[k] for k in kept])
        if not axes:
            return AtLeast(Affine(0 if found else -1))
        return Among(f"{condition.name}_inside", axes, tuple(dict.fromkeys(found)))


def _table(
    index: Index, axes: Sequence[str], lengths: Sequence[int], columns: Mapping[str, object]
) -> Index:
    values = tuple(numbers(index, dict(columns)).tolist())
    if not axes:
        return Affine(values[0])
    stem = index.name if isinstance(index, Table) else "index"
    return Table(f"{stem}_at", tuple(axes), tuple(lengths), values)


def _listed(statement: Statement) -> Statement:
    """A statement on a domain as one on the list of its points."""
    inner = [axis for axis in statement.axes if axis.length != BATCH]
    named = {axis for condition in statement.domain for axis in condition.axes}
    within = [axis for axis in inner if axis.name in named]
    found = points(within, statement.domain)
    count = len(found[""])
    if not count:
        return statement
    if count == 1:
        fixed = {axis.name: (int(found[axis.name][0]),) * 2 for axis in within}
        return _shortened(statement, fixed, ())
    outside = [axis for axis in statement.axes if axis not in within]
    batch = [axis for axis in outside if axis.length == BATCH]
    rest = [axis for axis in outside if axis.length != BATCH]
    lengths = {axis.name: axis.length for axis in outside}
    put = _List({axis.name: found[axis.name] for axis in within}, count, lengths)
    return Statement(
        statement.array,
        (*batch, Axis(POINT, count), *rest),
        put.value(statement.value),
        tuple(map(put.index, statement.target)),
    )


class _List(_Substitution):
    """Axes that have one number for each point of a list."""

    def __init__(self, columns: Columns, count: int, lengths: Mapping[str, int]) -> None:
        self._columns, self._count, self.lengths = columns, count, lengths

    def term(self, term: Term) -> Term:
        outer = self.lengths
        inner = {axis.name: axis.length for axis in term.over}
        within = _List(self._columns, self._count, {**outer, **inner})
        return super(_List, within).term(term)

    def index(self, index: Index) -> Index:
        if not self._columns.keys() & set(index.axes):
            return index
        others = [axis for axis in index.axes if axis not in self._columns]
        columns, _ = extended(self._grid(), [Axis(axis, self.lengths[axis]) for axis in others])
        lengths = [self._count, *[self.lengths[axis] for axis in others]]
        found = _table(index, [POINT, *others], lengths, columns)
        assert isinstance(found, Table)
        first = found.values[0]
        step = found.values[1] - first if self._count > 1 else 0
        if (
            not others
            and step
            and found.values == tuple(range(first, first + step * self._count, step))
        ):
            return Affine(first, ((POINT, step),))
        if not others and len(set(found.values)) == 1:
            return Affine(first)
        return found

    def condition(self, condition: Condition) -> Condition:
        if isinstance(condition, AtLeast):
            return self._holding(condition.expression, condition)
        if isinstance(condition, Equal):
            return Equal(self.index(condition.left), self.index(condition.right))
        if not self._columns.keys() & set(condition.axes):
            return condition
        others = [axis for axis in condition.axes if axis not in self._columns]
        wanted = set(condition.points)
        found = []
        grid, _ = extended(self._grid(), [Axis(axis, self.lengths[axis]) for axis in others])
        shown = zip(*[grid[axis].tolist() for axis in condition.axes], strict=True)
        at = zip(*[grid[axis].tolist() for axis in (POINT, *others)], strict=True)
        found = [place for place, point in zip(at, shown, strict=True) if point in wanted]
        return Among(f"{condition.name}_listed", (POINT, *others), tuple(found))

    def _grid(self) -> Columns:
        grid = points([Axis(POINT, self._count)])
        grid.update(self._columns)
        return grid

    def _holding(self, index: Affine, condition: AtLeast) -> Condition:
        if not self._columns.keys() & set(index.axes):
            return condition
        found = self.index(index)
        if isinstance(found, Affine):
            return AtLeast(found)
        signs = tuple([int(value >= 0) for value in found.values])
        return Equal(Table(f"{found.name}_sign", found.axes, found.lengths, signs), Affine(1))
