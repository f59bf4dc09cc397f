"""Statements in pieces along an axis, where each piece can be said without tables and lists.

The adjoint of queries, keys and values that lie side by side is another sum for each of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count, islice, pairwise
from math import prod
from typing import Final

from ...arrays.columns import Key, affine
from ...arrays.domains import conditions
from ...arrays.statements import Statement
from ...ops.points import numbers, points
from ...ops.reads import (
    Affine,
    Among,
    AtLeast,
    Axis,
    Condition,
    Equal,
    Operand,
    Read,
    Reduce,
    Table,
    Term,
    summed_over,
)
from ...ops.scalar import ADD
from ...ops.shapes import BATCH
from .domains import blocked, part
from .function import ArrayFunction

MOST: Final = 6
"""A statement in more pieces stays as it is, unless most of its terms are on few of them each."""

_WORTH: Final = 2
"""How many times less work there has to be in pieces that terms are not on everywhere."""


def in_pieces(function: ArrayFunction) -> ArrayFunction:
    """The function with sums that are others on parts of an axis as a statement for each part.

    t[p, j] = Σ_{q: j < 8} a[q]·x[p, index[j]] + Σ_{q: 8 ≤ j} b[q]·x[q, index[j]]

    t[p, j] = Σ_q a[q]·x[p, j + 8]          t[p, j + 8] = Σ_q b[q]·x[q, j]
    """
    writers = Counter(s.array for s in function.instructions)
    made = [_pieces(s) if writers[s.array] == 1 else [s] for s in function.instructions]
    if all(len(found) == 1 for found in made):
        return function
    statements = tuple([statement for found in made for statement in found])
    return replace(function, program=replace(function.program, statements=statements))


def _pieces(statement: Statement) -> list[Statement]:
    """The statement for each part of an axis, or itself."""
    value = statement.value
    whole = statement.place is None and not statement.domain
    if not whole or not isinstance(value, Reduce) or value.op is not ADD:
        return [statement]
    for axis in statement.axes:
        cuts = _cuts(axis, value.terms) if axis.length != BATCH else []
        if 0 < len(cuts) < MOST:
            bounds = pairwise([0, *cuts, axis.length])
            found = [_plain(part(statement, axis.name, (low, high - 1))) for low, high in bounds]
            made = [one for one in found if one is not None]
            if len(made) == len(found) and sum(map(_terms, made)) < len(made) * _terms(statement):
                return made
    return _apart(statement, value.terms)


def _apart(statement: Statement, terms: Sequence[Term]) -> list[Statement]:
    """The statement for each part of an axis that has terms of its own, as far as it can be said.

    The gradient by parameters of all layers in one vector is a sum for each layer.
    """
    for axis in statement.axes:
        spans = [_span(term, axis) for term in terms if axis.length != BATCH]
        cuts = sorted({end for span in spans for end in span} - {0, axis.length})
        work = sum(max(0, high - low) for low, high in spans)
        if cuts and work * _WORTH <= axis.length * len(terms):
            found = []
            for low, high in pairwise([0, *cuts, axis.length]):
                own = [
                    _within(term, axis)
                    for term, span in zip(terms, spans, strict=True)
                    if span[0] <= low and high <= span[1]
                ]
                value = Reduce(ADD, tuple(own or [Term(1, (0.0,))]))
                piece = part(replace(statement, value=value), axis.name, (low, high - 1))
                found.append(_said(piece, axis.name))
            return found
    return [statement]


def _span(term: Term, axis: Axis) -> tuple[int, int]:
    """The first number of an axis that a term may have, and the one after the last."""
    low, high = 0, axis.length
    for condition in term.domain:
        if isinstance(condition, AtLeast) and condition.axes == (axis.name,):
            offset, ((_, stride),) = condition.expression.offset, condition.expression.terms
            if stride > 0:
                low = max(low, -(offset // stride))
            else:
                high = min(high, offset // -stride + 1)
        elif isinstance(condition, Among) and axis.name in condition.axes:
            place = condition.axes.index(axis.name)
            there = {point[place] for point in condition.points}
            low, high = max(low, min(there, default=high)), min(high, max(there, default=-1) + 1)
    return min(low, axis.length), max(min(low, axis.length), high)


def _within(term: Term, axis: Axis) -> Term:
    """A term where its bounds on an axis hold."""
    domain = [c for c in term.domain if not isinstance(c, AtLeast) or c.axes != (axis.name,)]
    return replace(term, domain=tuple(domain))


def _said(statement: Statement, axis: str) -> Statement:
    """The statement without tables, if need be with two axes for one; itself if neither will do."""
    found = _plain(statement)
    length = {a.name: a.length for a in statement.axes}.get(axis, 0)
    names = {a.name for a in statement.axes} | set(summed_over(statement.value))
    inner = next(name for k in count(1) if (name := f"{axis}{k}") not in names)
    sizes = {size for size in _sizes(statement, axis) if length % size == 0}
    for size in sorted(sizes):
        found = found or _plain(blocked(statement, axis, size, inner))
    return found or statement


def _sizes(statement: Statement, axis: str) -> Iterator[int]:
    """After how many numbers of an axis tables go on in other steps."""
    for read in statement.reads:
        for index in read.index:
            if isinstance(index, Table) and axis in index.axes:
                place = index.axes.index(axis)
                step = prod(index.lengths[place + 1 :])
                row = index.values[: index.lengths[place] * step : step]
                yield from islice(_bends(row), 1)


def _terms(statement: Statement) -> int:
    assert isinstance(statement.value, Reduce)
    return len(statement.value.terms)


def _cuts(axis: Axis, terms: Sequence[Term]) -> list[int]:
    """The numbers of an axis at which terms become others: those of tables, bounds and lists."""
    found: set[int] = set()
    for term in terms:
        for factor in term.factors:
            for index in factor.index if isinstance(factor, Read) else ():
                if isinstance(index, Table) and index.axes == (axis.name,):
                    found.update(_bends(index.values))
        for condition in term.domain:
            found.update(_changes(condition, axis))
        if len(found) >= MOST:
            break
    return sorted(found)


def _bends(values: Sequence[int]) -> Iterator[int]:
    """Where a row of numbers goes on in other steps."""
    start = 0
    for place in range(1, len(values)):
        step = values[place] - values[place - 1]
        if place > start + 1 and step != values[start + 1] - values[start]:
            yield place
            start = place


def _changes(condition: Condition, axis: Axis) -> Iterator[int]:
    """Where other points of the further axes begin to satisfy a condition."""
    if isinstance(condition, AtLeast) and condition.axes == (axis.name,):
        holds = [
            condition.expression.offset + condition.expression.terms[0][1] * k >= 0
            for k in range(axis.length)
        ]
        yield from (k for k in range(1, axis.length) if holds[k] != holds[k - 1])
    if isinstance(condition, Among) and axis.name in condition.axes:
        place = condition.axes.index(axis.name)
        there: list[list[tuple[int, ...]]] = [[] for _ in range(axis.length)]
        for point in condition.points:
            there[point[place]].append((*point[:place], *point[place + 1 :]))
        yield from (k for k in range(1, axis.length) if there[k] != there[k - 1])


def _plain(statement: Statement) -> Statement | None:
    """The statement with affine maps and bounds for tables and lists, None where there are none."""
    assert isinstance(statement.value, Reduce)
    terms = []
    for term in statement.value.terms:
        found = _plain_term(term, statement.axes)
        if found is None:
            return None
        terms += found
    return replace(statement, value=replace(statement.value, terms=tuple(terms))) if terms else None


def _plain_term(term: Term, axes: Sequence[Axis]) -> list[Term] | None:
    """The term without tables and lists, no term where none of its points are left."""
    tables = [i for f in term.factors if isinstance(f, Read) for i in f.index]
    named = {a for index in tables if isinstance(index, Table) for a in index.axes}
    named.update(axis for condition in term.domain for axis in condition.axes)
    if not named:
        return [term]
    inner = [axis for axis in (*axes, *term.over) if axis.name in named]
    if any(axis.length == BATCH for axis in inner):
        return None
    columns = points(inner, term.domain)
    if not len(columns[""]):
        return []
    keys = [Key(axis.name, columns[axis.name], axis.length) for axis in inner]
    domain = conditions(keys)
    if not all(map(_is_affine, domain)):
        return None
    factors: list[Operand] = []
    for factor in term.factors:
        if isinstance(factor, Read):
            index = [
                affine(numbers(i, columns), keys) if isinstance(i, Table) else i
                for i in factor.index
            ]
            known = [i for i in index if i is not None]
            if len(known) < len(index):
                return None
            factors.append(Read(factor.array, tuple(known)))
        else:
            factors.append(factor)
    return [replace(term, factors=tuple(factors), domain=domain)]


def _is_affine(condition: Condition) -> bool:
    if isinstance(condition, Equal):
        return isinstance(condition.left, Affine) and isinstance(condition.right, Affine)
    return isinstance(condition, AtLeast)
