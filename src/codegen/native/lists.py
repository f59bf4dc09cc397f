"""Lists of points in statements as tables: of 0 and 1, or of where the points of each element are.

An element that few of the points belong to is a sum over those: d[j] = Σ_{(j, i) in points} a[i] is
Σ_k a[index[j, k]], where k runs over as many as any element has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any, Final

from ...arrays.statements import Statement
from ...ops.points import Columns, numbers, points
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
    Term,
    Unequal,
    mapped_condition,
    mapped_term,
)
from ...ops.scalar import ADD
from ...ops.shapes import BATCH
from ..array.domains import tables_named

_FEWER: Final = 4
"""How many times fewer points there have to be to look for, since each is found by a table."""


def listed_as_tables(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    """The statements without lists of points, each table with a name of its own."""
    return tables_named(map(_listed_as_tables, statements))


def _listed_as_tables(statement: Statement) -> Statement:
    lengths = {axis.name: axis.length for axis in statement.axes}
    value = statement.value
    if isinstance(value, Reduce):
        terms = []
        for term in value.terms:
            if value.op is ADD:
                term = _over_own_points(term, statement.axes)
            inner = lengths | {axis.name: axis.length for axis in term.over}
            terms.append(replace(term, domain=_without_lists(term.domain, inner)))
        value = replace(value, terms=tuple(terms))
    return replace(statement, value=value, domain=_without_lists(statement.domain, lengths))


def _without_lists(
    domain: Sequence[Condition], lengths: Mapping[str, int]
) -> tuple[Condition, ...]:
    return tuple([_as_table(c, lengths) if isinstance(c, Among) else c for c in domain])


def _as_table(condition: Among, lengths: Mapping[str, int]) -> Equal:
    own = tuple([lengths[axis] for axis in condition.axes])
    wanted = set(condition.points)
    found = tuple([int(point in wanted) for point in product(*map(range, own))])
    return Equal(Table(condition.name, condition.axes, own, found), Affine(1))


def _over_own_points(term: Term, axes: Sequence[Axis]) -> Term:
    """A term that is summed over the points of a list, as one over those of each element.

    They are added in the order in which they were.
    """
    lists = [condition for condition in term.domain if isinstance(condition, Among)]
    if len(lists) != 1:
        return term
    (listed,) = lists
    inner = [axis for axis in term.over if axis.name in listed.axes]
    outer = [axis for axis in axes if axis.name in listed.axes]
    if not inner or any(axis.length == BATCH for axis in (*inner, *outer)):
        return term
    start = term.over.index(inner[0])
    if list(term.over[start : start + len(inner)]) != inner:
        return term
    own: defaultdict[tuple[int, ...], list[tuple[int, ...]]] = defaultdict(list)
    for point in sorted(_in_order(listed, [*outer, *inner])):
        own[point[: len(outer)]].append(point[len(outer) :])
    most = max(map(len, own.values()), default=1)
    lengths = {axis.name: axis.length for axis in (*axes, *term.over)}
    if most * _FEWER > prod(axis.length for axis in inner) or not _can_be(term, inner, lengths):
        return term
    place = Axis(inner[0].name, most)
    put = _OwnPoints(own, outer, inner, place, lengths)
    domain = [condition for condition in term.domain if condition is not listed]
    found = mapped_term(replace(term, domain=tuple(domain)), put.read, put.condition)
    over = (*term.over[:start], place, *term.over[start + len(inner) :])
    return replace(found, over=over, domain=(*found.domain, *put.there(listed.name)))


def _in_order(listed: Among, axes: Sequence[Axis]) -> list[tuple[int, ...]]:
    """The points of a list with their numbers in the order of these axes."""
    order = [listed.axes.index(axis.name) for axis in axes]
    return [tuple([point[place] for place in order]) for point in listed.points]


def _can_be(term: Term, inner: Sequence[Axis], lengths: Mapping[str, int]) -> bool:
    """Whether tables can say all that depends on these axes: no samples, and no bounds."""
    names = {axis.name for axis in inner}
    reads = [factor for factor in term.factors if isinstance(factor, Read)]
    indices: list[Any] = [index for read in reads for index in read.index]
    indices += [c for c in term.domain if isinstance(c, (Equal, AtLeast, Unequal))]
    concerned = [one for one in indices if names.intersection(one.axes)]
    return not any(
        isinstance(one, (AtLeast, Unequal)) or any(lengths[axis] == BATCH for axis in one.axes)
        for one in concerned
    )


class _OwnPoints:
    """Puts the points of each element in place of the axes of a list.

    own    of each point of the outer axes those of the inner ones
    place  the axis that counts them
    """

    def __init__(
        self,
        own: Mapping[tuple[int, ...], list[tuple[int, ...]]],
        outer: Sequence[Axis],
        inner: Sequence[Axis],
        place: Axis,
        lengths: Mapping[str, int],
    ) -> None:
        import numpy

        self._outer, self._place, self._lengths = outer, place, lengths
        shape = (*[axis.length for axis in outer], place.length)
        self._there = numpy.zeros(shape, bool)
        self._columns = {axis.name: numpy.zeros(shape, int) for axis in inner}
        for point, ones in own.items():
            self._there[point][: len(ones)] = True
            for column, name in enumerate(self._columns):
                self._columns[name][point][: len(ones)] = [one[column] for one in ones]

    def there(self, name: str) -> tuple[Condition, ...]:
        """The condition that an element has so many points."""
        if self._there.all():
            return ()
        axes = tuple([axis.name for axis in (*self._outer, self._place)])
        values = tuple(self._there.astype(int).ravel().tolist())
        return (Equal(Table(name, axes, self._there.shape, values), Affine(1)),)

    def read(self, read: Read) -> Read:
        """A read at an element's points."""
        return Read(read.array, tuple(map(self._index, read.index)))

    def condition(self, condition: Condition) -> Condition:
        """A condition at an element's points."""
        return mapped_condition(condition, self._index)

    def _index(self, index: Index) -> Index:
        if not self._columns.keys() & set(index.axes):
            return index
        known = {axis.name for axis in self._outer} | set(self._columns)
        rest = [Axis(name, self._lengths[name]) for name in index.axes if name not in known]
        axes = [*self._outer, self._place, *rest]
        grid: Columns = points(axes)
        at = tuple([grid[axis.name] for axis in (*self._outer, self._place)])
        columns = grid | {name: column[at] for name, column in self._columns.items()}
        found = numbers(index, columns)
        there = self._there[at]
        found[~there] = found[there.argmax()]  # what is read at none of the points is somewhere
        name = index.name if isinstance(index, Table) else "index"
        shape = tuple([axis.length for axis in axes])
        return Table(name, tuple([a.name for a in axes]), shape, tuple(found.tolist()))
