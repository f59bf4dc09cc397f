"""Sums of sums as one sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ...arrays.statements import Statement
from ...ops.reads import Read, Reduce, Term, renamed_term
from .flow import Flow, axes_of, is_sum, with_terms
from .function import ArrayFunction

MANY: Final = 12
"""A sum of more terms is not put in another."""


def flattened(function: ArrayFunction) -> ArrayFunction:
    """The function with a sum that one other sum adds up put in its place.

    t[n] = m[n] - Σ_k c[n, k]
    loss = Σ_n log(s[n]) + Σ_n t[n]         loss = Σ_n log(s[n]) + Σ_n m[n] - Σ_n,k c[n, k]
    """
    flow, inner = Flow(function.program), dict[str, Statement]()
    statements = []
    for statement in function.instructions:
        if is_sum(statement.value):
            terms, pending = list[Term](), [*statement.value.terms]
            while pending:
                found = _spread(statement, pending[0], inner)
                terms += [] if found else pending[:1]
                pending[:1] = found
            statement = with_terms(statement, terms)
            alone = statement.array in flow.free and len(flow.readers[statement.array]) == 1
            if alone and not statement.domain and len(terms) <= MANY:
                inner[statement.array] = statement
        statements.append(statement)
    return function.with_statements(statements)


def _spread(statement: Statement, term: Term, sums: Mapping[str, Statement]) -> list[Term]:
    """The terms of the sum that a term adds up all elements of, if it does that."""
    read, *others = term.factors or (0.0,)
    names = axes_of(read)
    inner = sums.get(read.array) if isinstance(read, Read) else None
    if inner is None or others or names is None or not term.over or term.domain:
        return []
    lengths = {axis.name: axis.length for axis in (*statement.axes, *term.over)}
    if [lengths[name] for name in names] != [axis.length for axis in inner.axes]:
        return []
    assert isinstance(inner.value, Reduce)
    put = dict(zip((axis.name for axis in inner.axes), names, strict=True))
    for axis in dict.fromkeys(axis.name for one in inner.value.terms for axis in one.over):
        put[axis] = axis
        while put[axis] in lengths:
            put[axis] += "'"
        lengths[put[axis]] = 0
    found = [renamed_term(one, put) for one in inner.value.terms]
    return [replace(t, count=term.count * t.count, over=(*term.over, *t.over)) for t in found]
