"""Rows that are only read one by one are arrays of their own.

    a[3, i] = Σ_j w[i, j]·h[2, j]           h[3, i] = tanh(Σ_j w[i, j]·h[2, j])
    h[3, i] = tanh(a[3, i])

What nothing needs for all steps at once need not lie in one array: written where it is read, it
needs no memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from ..ops.reads import Affine, Index, Operand, Read, along, mapped
from .statements import COMPUTED, Array, ArrayProgram


def rows_apart(program: ArrayProgram) -> ArrayProgram:
    """The program with rows as arrays of their own, of arrays that are never read whole.

    >>> from wengert.arrays.statements import LEAF, Output, Statement
    >>> from wengert.ops.reads import Apply, Axis
    >>> from wengert.ops.scalar import EXP, TANH
    >>> x, t, y = Array("x", (3,), LEAF), Array("t", (2, 3)), Array("y", (3,))
    >>> row, i = Affine(1), along("i")
    >>> one = Statement("t", (Axis("i", 3),), Apply(EXP, (Read("x", (i,)),)), (row, i))
    >>> two = Statement("y", (Axis("i", 3),), Apply(TANH, (Read("t", (row, i)),)))
    >>> arrays = {a.name: a for a in (x, t, y)}
    >>> print(rows_apart(ArrayProgram(arrays, (one, two), (Output("y"),))))
    y[i] = tanh(exp(x[i]))
    """
    apart = _apart(program)
    if not apart:
        return program
    names = {key: _name(program, *key) for key in sorted(apart)}
    whole = {name for name, _ in apart}
    arrays = {name: array for name, array in program.arrays.items() if name not in whole}
    arrays |= {
        name: Array(name, program.arrays[array].shape[1:]) for (array, _), name in names.items()
    }

    def read(one: Read) -> Operand:
        if one.array not in whole:
            return one
        return Read(names[one.array, _row(one.index)], one.index[1:])

    statements = []
    for statement in program.statements:
        value = mapped(statement.value, read, lambda condition: condition)
        statement = replace(statement, value=value)
        if statement.array in whole:
            name = names[statement.array, _row(statement.target)]
            place: tuple[Index, ...] | None = statement.target[1:]
            if place == tuple([along(axis.name) for axis in statement.axes]):
                place = None
            statement = replace(statement, array=name, place=place)
        statements.append(statement)
    return replace(program, arrays=arrays, statements=tuple(statements))


def _apart(program: ArrayProgram) -> set[tuple[str, int]]:
    """The rows, as the array and the number, of arrays that are written and read row by row."""
    rows: defaultdict[str, set[int]] = defaultdict(set)
    kept = {output.array for output in program.outputs}
    kept.update(array.home.vector for array in program.arrays.values() if array.home)
    for statement in program.statements:
        places = [(statement.array, statement.target)]
        for name, index in [*places, *[(read.array, read.index) for read in statement.reads]]:
            row = _row(index)
            if row < 0:
                kept.add(name)
            rows[name].add(row)
    arrays = program.arrays
    return {
        (name, row)
        for name, found in rows.items()
        if name not in kept and arrays[name].kind == COMPUTED and arrays[name].home is None
        for row in found
    }


def _row(index: Sequence[Index]) -> int:
    """The number that the first index is, -1 if it is none."""
    first = index[0] if index else None
    return first.offset if isinstance(first, Affine) and not first.terms else -1


def _name(program: ArrayProgram, array: str, row: int) -> str:
    name = f"{array}_{row}"
    while name in program.arrays:
        name += "_"
    return name
