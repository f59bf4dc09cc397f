"""Statements on part of a grid as statements on a smaller grid, where that can be said.

A bound of one axis makes the axis shorter; a list of points makes one axis of them, and tables of
what the axes are at each. What is left, as `t ≤ p`, is written with a mask. Each of these puts
indices of other axes in the place of some axes, and so does an axis in blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ...arrays.columns import Key, affine
from ...arrays.naming import Names
from ...arrays.statements import Statement
from ...ops.points import holds, numbers, points
from ...ops.reads import (
    Affine,
    Among,
    AtLeast,
    Axis,
    Condition,
    Equal,
    Index,
    Read,
    Reduce,
    Table,
    Value,
    along,
    composed,
    mapped,
    mapped_condition,
    mapped_term,
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
    statement = _shortened(replace(statement, domain=left), ranges)
    listed = any(isinstance(condition, Among) for condition in statement.domain)
    if statement.domain and (listed or not _is_axes(statement)):
        statement = _listed(statement)
    return _without_lone(statement)


def tables_named(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    """The same, with a name of its own for each table: one for equal tables."""
    names = Names()

    def named(index: Index) -> Index:
        return index if isinstance(index, Affine) else names.index(index, index.name)

    def condition(one: Condition) -> Condition:
        return mapped_condition(one, named)

    def read(one: Read) -> Read:
        return Read(one.array, tuple(map(named, one.index)))

    return tuple(
        [
            replace(
                statement,
                value=mapped(statement.value, read, condition),
                place=statement.place and tuple(map(named, statement.place)),
                domain=tuple(map(condition, statement.domain)),
            )
            for statement in statements
        ]
    )


def _without_lone(statement: Statement) -> Statement:
    """The same without axes of length 1 that no index of what is written needs."""
    if statement.place is None:
        return statement
    used = {axis for index in statement.target for axis in index.axes}
    lone = {a.name: (0, 0) for a in statement.axes if a.length == 1 and a.name not in used}
    return _shortened(statement, lone)


def _is_axes(statement: Statement) -> bool:
    """Whether what is written is an element for each point, whatever the domain."""
    used = [i.axis if isinstance(i, Affine) else None for i in statement.target if i.axes]
    return None not in used and set(used) == {axis.name for axis in statement.axes}


def _bounds(
    axes: Sequence[Axis], domain: Sequence[Condition]
) -> tuple[Ranges, tuple[Condition, ...]]:
    """What the conditions on one axis leave of it; and the other conditions."""
    lengths, left = dict(axes), list[Condition]()
    ranges: Ranges = {}
    for condition in domain:
        (axis, *others) = condition.axes or ("",)
        alone = not others and lengths.get(axis, BATCH) != BATCH
        grid = points([Axis(axis, lengths[axis])] if alone else [])
        chosen = grid[axis][holds(condition, grid)].tolist() if alone else []
        if not chosen or chosen[-1] - chosen[0] >= len(chosen):
            left.append(condition)
            continue
        low, high = ranges.get(axis, (0, lengths[axis] - 1))
        ranges[axis] = (max(low, chosen[0]), min(high, chosen[-1]))
    if any(low > high for low, high in ranges.values()):
        return {}, tuple(domain)
    parts = {axis: ends for axis, ends in ranges.items() if ends != (0, lengths[axis] - 1)}
    return parts, tuple(left)


def _shortened(statement: Statement, ranges: Ranges) -> Statement:
    """A statement whose axes begin later and end sooner; those of one number are gone."""
    if not ranges:
        return statement
    put: dict[str, Index] = {}
    axes: list[Axis] = []
    for axis in statement.axes:
        low, high = ranges.get(axis.name, (0, axis.length - 1))
        if axis.name not in ranges:
            axes.append(axis)
        elif low == high:
            put[axis.name] = Affine(low)
        else:
            put[axis.name] = Affine(low, ((axis.name, 1),))
            axes.append(Axis(axis.name, high - low + 1))
    return _substituted(statement, axes, put)


def _listed(statement: Statement) -> Statement:
    """A statement on a domain as one on the list of its points."""
    named = {axis for condition in statement.domain for axis in condition.axes}
    within = [axis for axis in statement.axes if axis.length != BATCH and axis.name in named]
    found = points(within, statement.domain)
    count = len(found[""])
    if not count:
        return statement
    statement = replace(statement, domain=())
    if count == 1:
        return _shortened(statement, {a.name: (int(found[a.name][0]),) * 2 for a in within})
    outside = [axis for axis in statement.axes if axis not in within]
    batch = [axis for axis in outside if axis.length == BATCH]
    rest = [axis for axis in outside if axis.length != BATCH]
    put = {a.name: Table(a.name, (POINT,), (count,), tuple(found[a.name].tolist())) for a in within}
    return _substituted(statement, [*batch, Axis(POINT, count), *rest], put)


def _substituted(statement: Statement, axes: Sequence[Axis], put: Mapping[str, Index]) -> Statement:
    """A statement on other axes, with indices of them in the place of some of its own."""
    whole = Substitution(put, dict(axes))
    return Statement(
        statement.array,
        tuple(axes),
        whole.value(statement.value),
        tuple(map(whole.index, statement.target)),
        tuple(map(whole.condition, statement.domain)),
    )


@dataclass(frozen=True)
class Substitution:
    """Indices in the place of axes.

    put       by an axis that is gone, the index that it is in the axes of `lengths`
    lengths   of the axes that there are
    """

    put: Mapping[str, Index]
    lengths: Mapping[str, int]

    def value(self, value: Value) -> Value:
        """What becomes of a value."""
        if not isinstance(value, Reduce):
            return mapped(value, self.read, self.condition)
        terms = []
        for term in value.terms:
            inner = replace(self, lengths={**self.lengths, **dict(term.over)})
            terms.append(mapped_term(term, inner.read, inner.condition))
        return replace(value, terms=tuple(terms))

    def read(self, read: Read) -> Read:
        """What becomes of a read."""
        return Read(read.array, tuple(map(self.index, read.index)))

    def index(self, index: Index) -> Index:
        """What becomes of an index: affine if it can be."""
        if self.put.keys().isdisjoint(index.axes):
            return index
        parts = [self.put.get(axis, along(axis)) for axis in index.axes]
        whole = composed(index, self.put) if isinstance(index, Affine) else None
        if whole is not None and all(isinstance(one, Affine) for one in parts):
            return whole
        axes = self._axes(index.axes)
        grid = points(axes)
        values = numbers(index, self._columns(index.axes, grid))
        keys = [Key(axis.name, grid[axis.name], axis.length) for axis in axes]
        found = affine(values, keys)
        if found is not None:
            return found
        stem = index.name if isinstance(index, Table) else "index"
        names, lengths = zip(*axes, strict=True)
        return Table(f"{stem}_at", names, lengths, tuple(values.tolist()))

    def condition(self, condition: Condition) -> Condition:
        """What becomes of a condition."""
        if self.put.keys().isdisjoint(condition.axes):
            return condition
        if isinstance(condition, Equal):
            return mapped_condition(condition, self.index)
        if not isinstance(condition, Among):
            found = self.index(condition.expression)
            if isinstance(found, Affine):
                return type(condition)(found)
        axes = self._axes(condition.axes)
        grid = points(axes)
        inside = holds(condition, self._columns(condition.axes, grid))
        if not axes:
            return AtLeast(Affine(0 if inside.all() else -1))
        names = tuple([axis.name for axis in axes])
        listed = zip(*[grid[name][inside].tolist() for name in names], strict=True)
        stem = condition.name if isinstance(condition, Among) else "points"
        return Among(f"{stem}_inside", names, tuple(listed))

    def _axes(self, names: Sequence[str]) -> list[Axis]:
        """The axes that there are for some that may be gone."""
        found = [axis for name in names for axis in self.put.get(name, along(name)).axes]
        return [Axis(name, self.lengths[name]) for name in dict.fromkeys(found)]

    def _columns(self, names: Sequence[str], grid: Mapping[str, object]) -> dict[str, object]:
        """What axes that may be gone are at the points of a grid."""
        own = {name: numbers(self.put.get(name, along(name)), dict(grid)) for name in names}
        return {"": grid[""], **own}
