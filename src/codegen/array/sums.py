"""Sums of sums as one sum."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

from ...arrays.statements import ArrayProgram, Statement
from ...ops.reads import Affine, Apply, Axis, Read, Reduce, Term, renamed
from ...ops.scalar import ADD
from .function import ArrayFunction

MANY: Final = 12
"""A sum of more terms is not put in another."""

DEEP: Final = 8
"""How often sums are put in others."""


def flattened(function: ArrayFunction) -> ArrayFunction:
    """The function with a sum that one other sum adds up put in its place.

    t[n] = m[n] - Σ_k c[n, k]
    loss = Σ_n log(s[n]) + Σ_n t[n]         loss = Σ_n log(s[n]) + Σ_n m[n] - Σ_n,k c[n, k]
    """
    for _ in range(DEEP):
        found = _inner_sums(function.program)
        if not found:
            break
        function = _put_in(function, found)
    return function


def _put_in(function: ArrayFunction, found: set[str]) -> ArrayFunction:
    program = function.program
    made: dict[str, Statement] = {}
    statements = []
    for statement in program.statements:
        value = statement.value
        if isinstance(value, Reduce) and value.op is ADD:
            terms = [one for term in value.terms for one in _spread(statement, term, found, made)]
            statement = replace(statement, value=replace(value, terms=tuple(terms)))
        if statement.array in found:
            made[statement.array] = statement
        else:
            statements.append(statement)
    arrays = {name: array for name, array in program.arrays.items() if name not in found}
    program = ArrayProgram(arrays, tuple(statements), program.outputs, program.arguments)
    return replace(function, program=program, columns=function.columns - found)


def _inner_sums(program: ArrayProgram) -> set[str]:
    """The arrays that are sums, and of which all that becomes is the sum of their elements."""
    writers = Counter(s.array for s in program.statements)
    reads = Counter(r.array for s in program.statements for r in s.reads)
    kept = {output.array for output in program.outputs}
    sums = {
        s.array: s
        for s in program.statements
        if isinstance(s.value, Reduce)
        and s.value.op is ADD
        and len(s.value.terms) <= MANY
        and s.place is None
        and not s.domain
        and writers[s.array] == reads[s.array] == 1
        and s.array not in kept
        and program.arrays[s.array].home is None
    }
    found = set()
    for statement in program.statements:
        value = statement.value
        if isinstance(value, Apply) or value.op is not ADD:
            continue
        for term in value.terms:
            read = term.factors[0] if len(term.factors) == 1 else None
            if isinstance(read, Read) and read.array in sums and term.over and not term.domain:
                lengths = {a.name: a.length for a in (*statement.axes, *term.over)}
                names = [i.axis if isinstance(i, Affine) else None for i in read.index]
                shape = program.arrays[read.array].shape
                whole = len(set(names)) == len(names) and None not in names
                if whole and [lengths[str(name)] for name in names] == list(shape):
                    found.add(read.array)
    return found


def _spread(
    statement: Statement, term: Term, found: set[str], made: dict[str, Statement]
) -> list[Term]:
    """A term, or the terms of the sum that it adds up."""
    read = term.factors[0] if len(term.factors) == 1 else None
    if not isinstance(read, Read) or read.array not in found:
        return [term]
    inner = made[read.array]
    assert isinstance(inner.value, Reduce)
    taken = {axis.name for axis in (*statement.axes, *term.over)}
    names = {axis.name: index.axes[0] for axis, index in zip(inner.axes, read.index, strict=True)}
    for axis in dict.fromkeys(axis.name for one in inner.value.terms for axis in one.over):
        name = axis
        while name in taken:
            name += "'"
        names[axis] = name
        taken.add(name)
    value = renamed(inner.value, names)
    assert isinstance(value, Reduce)
    return [
        replace(
            one,
            count=term.count * one.count,
            over=(*term.over, *[Axis(axis.name, axis.length) for axis in one.over]),
        )
        for one in value.terms
    ]
