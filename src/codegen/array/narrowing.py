"""Sums of which few terms count at each point, as sums over those.

A window that moves in steps is read by few elements: Σ over all windows r, of those with
2r ≤ i ≤ 2r + 2, is a sum over the two windows at most that reach i, and a table of which these are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ...arrays.columns import rank_among
from ...arrays.statements import Statement
from ...ops.points import points
from ...ops.reads import Axis, Condition, Reduce, Table, Term, mapped_term
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
    put: dict[str, Table] = {}
    over: list[Axis] = []
    for axis in term.over:
        found = _few(axis, term.domain, outer)
        if found is None:
            over.append(axis)
        else:
            put[axis.name] = found
            over.append(Axis(found.axes[1], found.lengths[1]))
    if not put:
        return term
    whole = Substitution(put, {**{name: axis.length for name, axis in outer.items()}, **dict(over)})
    return replace(mapped_term(term, whole.read, whole.condition), over=tuple(over))


def _few(axis: Axis, domain: tuple[Condition, ...], outer: Mapping[str, Axis]) -> Table | None:
    """The numbers of an axis that count for each number of another, if they are few; else None.

    Where there are fewer than elsewhere, one that does not count is listed instead.
    """
    import numpy

    linked = [condition for condition in domain if axis.name in condition.axes]
    names = {name for condition in linked for name in condition.axes} - {axis.name}
    other = outer.get(names.pop()) if len(names) == 1 else None
    if other is None or BATCH in (axis.length, other.length):
        return None
    found = points((other, axis), tuple(linked))
    at, count = found[other.name], found[axis.name]
    most = int(numpy.bincount(at, minlength=1).max())
    if not most or most * _TIMES > axis.length:
        return None
    inside = numpy.zeros((other.length, axis.length), bool)
    inside[at, count] = True
    table = numpy.repeat(inside.argmin(axis=1)[:, None], most, axis=1)
    table[at, rank_among(at)] = count
    name = f"{axis.name}_few"
    return Table(axis.name, (other.name, name), table.shape, tuple(table.ravel().tolist()))
