"""Sums of which few terms count at each point, as sums over those.

A window that moves in steps is read by few elements: Σ over all windows r, of those with
2r ≤ i ≤ 2r + 2, is a sum over the two windows at most that reach i, and a table of which these are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from ...arrays.columns import Key, affine, rank_among
from ...arrays.statements import Statement
from ...ops.points import numbers, points
from ...ops.reads import (
    Affine,
    Among,
    AtLeast,
    Axis,
    Condition,
    Index,
    Read,
    Reduce,
    Table,
    Term,
    composed,
    mapped_term,
)
from ...ops.scalar import ADD
from ...ops.shapes import BATCH
from .domains import Substitution

_TIMES: Final = 3
"""How many times shorter an axis has to become."""


def narrowed(statement: Statement) -> Statement:
    """The same statement, its sums over shorter axes where these are few for one other axis."""
    value = statement.value
    if not isinstance(value, Reduce) or value.op is not ADD:
        return statement
    outer = {axis.name: axis for axis in statement.axes}
    terms = tuple([_narrowed(term, outer) for term in value.terms])
    return (
        statement if terms == value.terms else replace(statement, value=replace(value, terms=terms))
    )


def _narrowed(term: Term, outer: Mapping[str, Axis]) -> Term:
    few = {axis.name: _few(axis, term, outer) for axis in term.over}
    found = {name: one for name, one in few.items() if one is not None}
    if not found:
        return term
    over = tuple([found[axis.name].axis if axis.name in found else axis for axis in term.over])
    lengths = {axis.name: axis.length for axis in (*outer.values(), *over)}
    whole = Substitution({name: one.place for name, one in found.items()}, lengths)
    left = [one for one in term.domain if found.keys().isdisjoint(one.axes)]
    left += [condition for one in found.values() for condition in one.domain]
    made = mapped_term(replace(term, domain=()), whole.read, whole.condition)
    return replace(made, over=over, domain=tuple(left))


class _Few(NamedTuple):
    """An axis in the place of a longer one: the index that this is, and where there is one."""

    axis: Axis
    place: Index
    domain: tuple[Condition, ...]


def _few(axis: Axis, term: Term, outer: Mapping[str, Axis]) -> _Few | None:
    """The numbers of an axis that count for each number of another, if they are few; else None.

    An affine map that goes over the ends, or a table. Where there are fewer than elsewhere, a
    table lists one that does not count. What is read along both axes is there for all numbers.
    """
    import numpy

    linked = [condition for condition in term.domain if axis.name in condition.axes]
    names = {name for condition in linked for name in condition.axes} - {axis.name}
    other = outer.get(names.pop()) if len(names) == 1 else None
    if other is None or BATCH in (axis.length, other.length):
        return None
    along = [{i.axis for i in f.index} for f in term.factors if isinstance(f, Read)]
    if any({axis.name, other.name} <= axes for axes in along):
        return None
    found = points((other, axis), tuple(linked))
    at, count = found[other.name], found[axis.name]
    lengths = numpy.bincount(at, minlength=other.length)
    most = int(lengths.max())
    if not most or most * _TIMES > axis.length:
        return None
    short = Axis(f"{axis.name}_few", most)
    rank, full = rank_among(at), lengths[at] == most
    inside = numpy.zeros((other.length, axis.length), bool)
    inside[at, count] = True
    keys = [Key(other.name, at[full], other.length), Key(short.name, rank[full], most)]
    index = affine(count[full], keys)
    if index is not None:
        beyond = composed(Affine(axis.length - 1, ((axis.name, -1),)), {axis.name: index})
        ends = [end for end in (index, beyond) if isinstance(end, Affine)]
        within = tuple([AtLeast(end) for end in ends if _may_be_less(end, keys)])
        reached = points((other, short), within)
        same = len(reached[""]) == len(at)
        if same and inside[reached[other.name], numbers(index, reached)].all():
            return _Few(short, index, within)
    table = numpy.repeat(inside.argmin(axis=1)[:, None], most, axis=1)
    table[at, rank] = count
    listed = tuple(zip(at.tolist(), rank.tolist(), strict=True))
    pair = (other.name, short.name)
    return _Few(
        short,
        Table(axis.name, pair, table.shape, tuple(table.ravel().tolist())),
        () if len(listed) == table.size else (Among(f"{axis.name}_inside", pair, listed),),
    )


def _may_be_less(index: Affine, keys: Sequence[Key]) -> bool:
    """Whether an index is below 0 somewhere on the grid of some axes."""
    last = {key.name: key.length - 1 for key in keys}
    return index.offset + sum(min(0, stride * last[name]) for name, stride in index.terms) < 0
