"""What depends on numbers alone is computed once, when the function is made."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import isfinite, prod
from typing import Final

from ...arrays.interpret import run
from ...arrays.statements import LITERAL, Array, ArrayProgram, Output, Statement
from ...ops.meanings import product_of
from ...ops.reads import Apply, Operand, Read, Reduce, Term, Value, mapped
from ...ops.scalar import WHERE
from ...ops.shapes import BATCH
from .function import ArrayFunction

LARGEST: Final = 4096
"""An array of more numbers would make the code long."""

MOST_POINTS: Final = 200_000
"""What needs more is left for the call."""


def known(function: ArrayFunction) -> ArrayFunction:
    """The function with numbers for arrays that nothing given decides.

    mask[i, j] = where(c[i, j], 1, 0)
    many[j] = Σ_i mask[i, j]                numbers of the program, as c is
    y[j] = where(many[j], x[j], 0)          x[j], where all of them are 1 or more
    """
    while found := _values(function.program):
        function = _with(function, found)
    return function


def _values(program: ArrayProgram) -> dict[str, list[float]]:
    """The arrays that follow from numbers, and what they are."""
    writers = Counter(statement.array for statement in program.statements)
    fixed = {array.name for array in program.arrays.values() if array.kind == LITERAL}
    apart = {output.array for output in program.outputs}
    apart.update(array.home.vector for array in program.arrays.values() if array.home)
    needed: list[Statement] = []
    for statement in program.statements:
        array = program.arrays[statement.array]
        alone = writers[array.name] == 1 and array.home is None and array.name not in apart
        whole = statement.place is None and not statement.domain and _is_small(statement, array)
        if alone and whole and {read.array for read in statement.reads} <= fixed:
            fixed.add(array.name)
            needed.append(statement)
    names = [statement.array for statement in needed]
    if not names:
        return {}
    arrays = {name: array for name, array in program.arrays.items() if name in fixed}
    results = run(ArrayProgram(arrays, tuple(needed), tuple(map(Output, names))), {})
    found = {name: values.ravel().tolist() for name, values in zip(names, results, strict=True)}
    return {name: numbers for name, numbers in found.items() if all(map(isfinite, numbers))}


def _is_small(statement: Statement, array: Array) -> bool:
    """Whether there are few numbers, and each is a sum of few."""
    lengths = [axis.length for axis in statement.axes]
    terms = statement.value.terms if isinstance(statement.value, Reduce) else ()
    inner = [[*lengths, *[axis.length for axis in term.over]] for term in terms] or [lengths]
    if any(BATCH in own for own in inner) or array.size > LARGEST:
        return False
    return sum(map(prod, inner)) <= MOST_POINTS


def _with(function: ArrayFunction, found: dict[str, list[float]]) -> ArrayFunction:
    program = function.program
    same = {name: numbers[0] for name, numbers in found.items() if len(set(numbers)) == 1}

    def operand(read: Read) -> Operand:
        return same.get(read.array, read)

    statements = [
        replace(one, value=_chosen(mapped(one.value, operand, lambda condition: condition)))
        for one in program.statements
        if one.array not in found
    ]
    gone = found.keys() - {read.array for one in statements for read in one.reads}
    arrays = {}
    for name, array in program.arrays.items():
        if name in found:
            array = replace(array, kind=LITERAL, values=tuple(found[name]), adjoint=None)
        if name not in gone:
            arrays[name] = replace(array, adjoint=None) if array.adjoint in gone else array
    program = ArrayProgram(arrays, tuple(statements), program.outputs, program.arguments)
    return replace(function, program=program, columns=function.columns - found.keys())


def _chosen(value: Value) -> Value:
    """A value without a choice that a number decides, and without factors of 1."""
    if isinstance(value, Apply):
        if value.op is WHERE and isinstance(value.operands[0], float):
            return product_of(value.operands[1 if value.operands[0] else 2])
        return value
    return replace(value, terms=tuple(map(_without_ones, value.terms)))


def _without_ones(term: Term) -> Term:
    factors = tuple([factor for factor in term.factors if factor != 1.0])
    return replace(term, factors=factors or term.factors[:1])
