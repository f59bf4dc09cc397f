"""What a call is estimated to cost, by the times in the records of the operations.

The times were measured on a 2-core x86-64 machine (AVX-512, about 3 GHz) with CPython 3.11 and
NumPy 2 on OpenBLAS, on functions of 400 operations of one kind, and are not scaled to the machine
at hand: the estimate is for comparing programs, and for choosing between targets whose times differ
by much. On another machine all of it is faster or slower by about the same factor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import fsum, prod
from typing import Any, Final, NamedTuple

from ..arrays.report import VIEWS
from ..graph.expr import Graph, live_nodes
from ..graph.rewrite import PassRecord
from ..ops.arrays import FIRST_MAX, GATHER, LOGSUMEXP, MATMUL, MAX, MEAN, OUTER, SUM
from ..ops.record import Op
from ..ops.scalar import ADD, CONSTANT, ELEMENTWISE, STOP_GRADIENT, TOTAL
from ..ops.shapes import BATCH, Shape
from .array.families import JOIN, computed_in_place
from .array.features import WITH_ONES
from .array.function import ArrayFunction
from .array.program import ArrayProgram, Flat
from .array.statementcost import microseconds as statement_microseconds
from .program import Instruction, Operand, Program, flatten

_CALL, _ARGUMENT, _OUTPUT, _SAMPLE = 0.3, 0.006, 0.005, 0.05
"""Microseconds: the call itself, each number in and out, and each turn of the loop over samples."""

_STEP, _ARRAY, _VIEW, _SCALAR = 2.0, 0.6, 0.25, 0.1
_STRETCH, _REDUCTION, _OUTER, _MEMORY, _COPY = 0.5, 1.1, 1.7, 0.15, 0.35
_ELEMENT, _MULTIPLY_ADD = 0.0004, 0.00004
"""Microseconds: a call, an array operation, a view, an operation on numbers; what an operand of
another shape adds; an operation that folds an axis, an outer product; new memory, and a copy into
part of it; an element that is copied, and a product in a matrix product."""

_PASSED_ON: Final = frozenset((STOP_GRADIENT, TOTAL))
_FOLDING: Final = frozenset((SUM, MEAN, MAX, FIRST_MAX, LOGSUMEXP))


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
    """About how long a call of an array program with so many samples takes in NumPy.

    >>> from wengert.codegen.compiled import compile
    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); x = g.inputs("x", 100)
    >>> f = compile({"x": x}, [a.tanh() for a in x], target="numpy")
    >>> 1 < array_microseconds(f.program, 1) < 20
    True
    """
    if isinstance(program, ArrayFunction):
        time = statement_microseconds(program, samples)
        return _STEP + len(program.groups) * _VIEW + time
    made = {instruction.name: instruction.op for instruction in program.instructions}
    shapes = program.shapes

    def part(operand: Operand) -> Part:
        return Part(shapes.get(str(operand), ()), made.get(str(operand)))

    operations = [
        (i.op, part(i.name).shape, [part(operand) for operand in i.operands])
        for i in program.instructions
    ]
    flats = [output for _, output in flatten(program.outputs) if isinstance(output, Flat)]
    sequences = [(flat.length, [part(piece.operand) for piece in flat.pieces]) for flat in flats]
    views = len(program.views) + len(program.groups)
    return _microseconds(operations, sequences, views, samples)


def graph_microseconds(
    graph: Graph, sequences: Iterable[tuple[int, Iterable[int]]], arguments: int, samples: int
) -> float:
    """The same of the program that a graph of arrays would be lowered to.

    sequences  the outputs that become one vector each: its length, and the nodes it is made of
    arguments  how many there are
    """
    shapes, ops = graph.shapes, graph.ops

    def part(node: int) -> Part:
        while ops[node] in _PASSED_ON:
            (node,) = graph.operands[node]
        return Part(shapes.get(node, ()), ops[node] if graph.operands[node] else None)

    live = live_nodes(graph, graph.outputs)
    computed = [node for node in live if graph.operands[node] and ops[node] not in _PASSED_ON]
    operations = [
        (ops[node], shapes.get(node, ()), [part(n) for n in graph.operands[node]])
        for node in computed
    ]
    joined = [(length, [part(node) for node in nodes]) for length, nodes in sequences]
    given = sum(1 for node in live if not graph.operands[node] and ops[node] is not CONSTANT)
    return _microseconds(operations, joined, given + arguments, samples)


class Part(NamedTuple):
    """An operand: its shape, and what computes it; None for an argument or a number."""

    shape: Shape
    op: Op | None


def _microseconds(
    operations: Iterable[tuple[Op, Shape, Sequence[Part]]],
    sequences: Iterable[tuple[int, Sequence[Part]]],
    views: int,
    samples: int,
) -> float:
    times = [_array_time(op, shape, parts, samples) for op, shape, parts in operations]
    times += [_sequence_time(length, parts, samples) for length, parts in sequences]
    return _STEP + views * _VIEW + fsum(times)


def _array_time(op: Op, shape: Shape, parts: Sequence[Part], samples: int) -> float:
    shapes = [part.shape for part in parts]
    if not shape and not any(shapes):
        return _SCALAR
    if op is JOIN or op is WITH_ONES:
        return _MEMORY + _COPY * (op is WITH_ONES) + _put_together(parts, samples)
    size = elements(shape, samples)
    if op is MATMUL:
        return _ARRAY + _MULTIPLY_ADD * size * elements(shapes[0][-1:], samples)
    if op in VIEWS and op is not GATHER:
        return _VIEW
    largest = max(size, *[elements(shape, samples) for shape in shapes])
    call = _OUTER if op is OUTER else _REDUCTION if op in _FOLDING else _ARRAY
    if op.shape is None and any(own not in ((), shape) for own in shapes):
        call += _STRETCH
    return call + op.nanoseconds("numpy") / 1000 * largest


def _sequence_time(length: int, parts: Sequence[Part], samples: int) -> float:
    """The time of putting a sequence of outputs together; a vector may be all of it as it is."""
    first = parts[0] if len(parts) == 1 else Part((), None)
    if first.shape == (length,) and first.op is not None and first.op not in VIEWS:
        return 0.0
    return _MEMORY + _put_together(parts, samples)


def _put_together(parts: Iterable[Part], samples: int) -> float:
    """The time of having arrays as parts of a larger one: they are computed there, or copied."""
    time = 0.0
    for shape, op in parts:
        time += _VIEW
        if not (shape and op is not None and computed_in_place(op)):
            time += _COPY + _ELEMENT * elements(shape, samples)
    return time


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


def estimate(program: Program | ArrayProgram | ArrayFunction) -> str:
    """The cost of a call in words.

    >>> from wengert.codegen.compiled import compile
    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); w, x = g.input("w"), g.input("x")
    >>> print(estimate(compile({"w": w, "x": x}, (w * x).tanh(), batch="x").program))
    about 0.31 µs a call and 0.097 µs a sample
    """
    if not isinstance(program, Program):
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
