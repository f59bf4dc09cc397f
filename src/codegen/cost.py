"""What a call is estimated to cost, by the times in the records of the operations.

The times were measured on a 2-core x86-64 machine (AVX-512, about 3 GHz) with CPython 3.11 and
NumPy 2 on OpenBLAS, on functions of 400 operations of one kind, and are not scaled to the machine
at hand: the estimate is for comparing programs, and for choosing between targets whose times differ
by much. On another machine all of it is faster or slower by about the same factor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

from ..graph.rewrite import PassRecord
from ..ops.record import Op
from ..ops.scalar import ADD, ELEMENTWISE
from ..ops.shapes import BATCH, Shape
from .array.function import ArrayFunction
from .array.statementcost import microseconds as statement_microseconds
from .program import Instruction, Program, flatten

_CALL, _ARGUMENT, _OUTPUT, _SAMPLE = 0.3, 0.006, 0.005, 0.05
"""Microseconds: the call itself, each number in and out, and each turn of the loop over samples."""

_STEP, _VIEW = 2.0, 0.25
"""Microseconds: a call of a function on arrays, and each argument."""


def operation_microseconds(op: Op) -> float:
    """About how long one operation on numbers takes in Python.

    >>> from wengert.ops.scalar import TANH
    >>> operation_microseconds(TANH)
    0.027
    """
    return op.nanoseconds("python") / 1000


def counted_microseconds(counts: Mapping[str, int]) -> float:
    """About how long so many operations on scalars of each name take in Python.

    >>> counted_microseconds({"mul": 1000, "add": 1000})
    14.0
    """
    return sum(ELEMENTWISE[name].nanoseconds("python") * n for name, n in counts.items()) / 1000


def python_microseconds(program: Program) -> tuple[float, float]:
    """About how long a call of the printed function takes: in any case, and for each sample.

    >>> from wengert.codegen.compiled import compile
    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); x = g.inputs("x", 10)
    >>> whole, each = python_microseconds(compile({"x": x}, sum(a * a for a in x)).program)
    >>> round(whole, 1), each
    (0.5, 0.0)
    """
    numbers = sum(len(group.leaves) for group in program.groups if not group.batched)
    outputs = sum(1 for _ in flatten(program.outputs))
    whole = _CALL + _ARGUMENT * numbers + _OUTPUT * outputs
    whole += _times(program.once) + _times(program.after)
    if not program.batched:
        return whole, 0.0
    row = sum(len(group.leaves) for group in program.groups if group.batched)
    each = _SAMPLE + _ARGUMENT * row + _times(program.each)
    return whole, each + len(program.gathers) * operation_microseconds(ADD)


def _times(body: Iterable[Instruction]) -> float:
    return sum(operation_microseconds(instruction.op) for instruction in body)


def array_microseconds(program: Any, samples: int) -> float:
    """About how long a call of a function on arrays with so many samples takes in NumPy.

    >>> from wengert.codegen.compiled import compile
    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); x = g.inputs("x", 100)
    >>> f = compile({"x": x}, [a.tanh() for a in x], target="numpy")
    >>> 1 < array_microseconds(f.program, 1) < 20
    True
    """
    given = _STEP + len(program.groups) * _VIEW
    if not isinstance(program, Program):
        return given + statement_microseconds(program, samples)
    if not program.batched:
        return given + python_microseconds(program)[0]
    columns = sum(i.op.nanoseconds("numpy") / 1000 * samples for i in program.each)
    return given + columns + _CALL * (len(program.instructions) + len(program.gathers))


def elements(shape: Shape, samples: int) -> int:
    """How many numbers an array holds when the batch has so many samples."""
    return prod(samples if length == BATCH else length for length in shape)


def pass_text(record: Any) -> str:
    """The record of a pass in words, with the cost of the operations before and after it.

    Where the table lacks an operation, as one on arrays, the cost is left out.
    """
    if isinstance(record, PassRecord):
        before, after = record.operations_before, record.operations_after
        if before.keys() | after.keys() <= ELEMENTWISE.keys():
            old, new = counted_microseconds(before), counted_microseconds(after)
            return f"{record}; about {duration(old)} -> {duration(new)}"
    return str(record)


def estimate(program: Program | ArrayFunction, arrays: bool = False) -> str:
    """The cost of a call in words, of scalars one by one in Python or, with `arrays`, in NumPy.

    >>> from wengert.codegen.compiled import compile
    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); w, x = g.input("w"), g.input("x")
    >>> print(estimate(compile({"w": w, "x": x}, (w * x).tanh(), batch="x").program))
    about 0.31 µs a call and 0.097 µs a sample
    """
    if arrays or not isinstance(program, Program):
        one = array_microseconds(program, 1)
        batched = any(BATCH in group.whole for group in program.groups)
        many = f" with 1 sample, {duration(array_microseconds(program, 1000))} with 1,000"
        return f"about {duration(one)} a call" + many * batched
    whole, each = python_microseconds(program)
    return f"about {duration(whole)} a call" + f" and {duration(each)} a sample" * bool(each)


def duration(microseconds: float) -> str:
    """A length of time for people.

    >>> duration(43.21), duration(2662.0), duration(3.2e6)
    ('43 µs', '2.7 ms', '3.2 s')
    """
    unit, size = next(
        ((unit, size) for unit, size in (("s", 1e6), ("ms", 1e3)) if microseconds >= size),
        ("µs", 1.0),
    )
    return f"{float(f'{microseconds / size:.2g}'):g} {unit}"
