"""Which target a training step is compiled to: the one whose step is estimated to be shorter.

Python pays for every operation of every sample, NumPy for every operation on arrays, however many
samples they hold. So what counts is counted, and priced at what it costs on a current machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final

from ..errors import SizeError, UnknownNameError
from ..graph.arrays import (
    GATHER,
    GATHER_ROWS,
    LOGSUMEXP,
    MATMUL,
    SCATTER,
    SCATTER_ROWS,
)
from ..graph.expr import common_graph, live_nodes
from ..graph.ops import ADD, DIV, MUL, NEG, SUB, TOTAL
from ..graph.rolling.report import VIEWS
from ..graph.shapes import BATCH, MAX_BYTES, Shape
from .arrayprogram import ArrayProgram
from .compiled import Compiled, compile
from .program import Instruction, Nested, flatten
from .target import TARGETS

AUTO: Final = "auto"
"""The target that is chosen by size."""

SMALL: Final = 40.0
"""A step of fewer microseconds in Python is not worth looking for its arrays."""

_IRREGULAR: Final = 0.25
"""A graph that becomes more array operations than this share of its own is called irregular."""

# Microseconds, measured on a 2-core x86-64 with CPython 3.11 and NumPy 2 on OpenBLAS.
_OPERATION, _CALL, _CARRIED = 0.008, 0.03, 0.01
_STEP, _ARRAY, _VIEW, _SCALAR = 2.0, 0.6, 0.25, 0.1
_ELEMENT, _FUNCTION, _CHOSEN, _MULTIPLY_ADD = 0.0004, 0.003, 0.003, 0.00004

_ARITHMETIC: Final = frozenset((ADD, SUB, MUL, DIV, NEG))
_CHOOSING: Final = frozenset((GATHER, GATHER_ROWS, SCATTER, SCATTER_ROWS))


@dataclass(frozen=True)
class Choice:
    """A compiled step, and a sentence that says why it is for this target."""

    step: Compiled
    reason: str


@dataclass(frozen=True)
class Work:
    """What a step computes, in operations on scalars.

    each, update              operations for every sample, and once for the step
    calls, update_calls       how many of those are functions such as tanh
    carried                   numbers that are handed from step to step
    """

    each: int
    update: int
    calls: int
    update_calls: int
    carried: int

    def microseconds(self, samples: int) -> float:
        """About how long a step over so many samples takes in Python."""
        operations = self.each * samples + self.update
        calls = self.calls * samples + self.update_calls
        return _OPERATION * (operations - calls) + _CALL * calls + _CARRIED * self.carried

    def text(self, samples: int) -> str:
        """The counts in words."""
        each = f"{self.each:,} operations a sample x {samples:,} sample{'s' * (samples != 1)}"
        return f"{each} and {self.update:,} to update" if self.update else each


def compile_step(
    inputs: Mapping[str, Any],
    outputs: Nested,
    *,
    batch: Sequence[str],
    samples: int,
    target: str = AUTO,
    name: str = "step",
) -> Choice:
    """Compile a step that will be called with about so many samples, for the target that suits it.

    A target other than "auto" is taken as it is. An unknown one is an `UnknownNameError`.

    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); w, x = g.input("w"), g.input("x")
    >>> made = compile_step({"w": w, "x": x}, {"y": TOTAL(w * x)}, batch=["x"], samples=8)
    >>> print(made.reason)
    python: 2 operations a sample x 8 samples, about 0.14 µs a step: too small for arrays to gain
    """

    def made(target: str) -> Compiled:
        return compile(inputs, outputs, target=target, batch=batch, name=name)

    if target != AUTO:
        check_target(target)
        return Choice(made(target), f"{target}: as asked")
    work = work_of(inputs, outputs, batch)
    slow = work.microseconds(samples)
    counted = f"{work.text(samples)}, about {duration(slow)} a step"
    if slow < SMALL:
        return Choice(made("python"), f"python: {counted}: too small for arrays to gain")
    try:
        step = made("numpy")
        check_memory(step, samples)
    except SizeError as error:
        return Choice(made("python"), f"python: {counted}; NumPy is out of the question: {error}")
    fast = array_microseconds(step.program, samples)
    count = f"{len(step.program.instructions):,} array operations about {duration(fast)}"
    if fast < slow:
        return Choice(step, f"numpy: {counted} in Python; as {count}")
    regular = len(step.program.instructions) < _IRREGULAR * (work.each + work.update)
    why = "too small for arrays to gain" if regular else "too irregular to gain"
    return Choice(made("python"), f"python: {counted}; {why}: as {count}")


def check_target(target: str) -> None:
    """An `UnknownNameError` that lists what there is, unless `target` is "auto" or exists."""
    known = [AUTO, *TARGETS]
    if target not in known:
        raise UnknownNameError.of("target", target, known)


def work_of(inputs: Mapping[str, Any], outputs: Nested, batch: Sequence[str]) -> Work:
    """What is computed for every sample and what once, by the graph as it was written."""
    exprs = [expr for _, expr in flatten(outputs)]
    graph = common_graph(exprs)
    sampled = {graph.node_of(leaf) for name in batch for leaf in _leaves(inputs[name])}
    carried = sum(len(_leaves(group)) for name, group in inputs.items() if name not in batch)
    counts = {True: [0, 0], False: [0, 0]}
    varies: set[int] = set()
    for node in live_nodes(graph, [graph.node_of(expr) for expr in exprs]):
        op, operands = graph.ops[node], graph.operands[node]
        if node in sampled or (op is not TOTAL and not varies.isdisjoint(operands)):
            varies.add(node)
        if operands:
            count = counts[node in varies or op is TOTAL]
            count[0] += 1
            count[1] += op not in _ARITHMETIC and op is not TOTAL
    (each, calls), (update, update_calls) = counts[True], counts[False]
    return Work(each, update, calls, update_calls, carried)


def _leaves(group: Any) -> list[Any]:
    return list(group) if isinstance(group, (list, tuple)) else [group]


def array_microseconds(program: Any, samples: int) -> float:
    """About how long a call of an array program with so many samples takes in NumPy.

    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); x = g.inputs("x", 100)
    >>> f = compile({"x": x}, [a.tanh() for a in x], target="numpy")
    >>> 1 < array_microseconds(f.program, 1) < 20
    True
    """
    parts = len(program.views) * _VIEW + len(program.groups) * _VIEW
    return _STEP + parts + sum(_array_time(program, i, samples) for i in program.instructions)


def _array_time(program: ArrayProgram, instruction: Instruction, samples: int) -> float:
    op = instruction.op
    shapes = [program.shapes.get(str(operand), ()) for operand in instruction.operands]
    shape = program.shapes.get(instruction.name, ())
    if not shape and not any(shapes):
        return _SCALAR
    size = _size(shape, samples)
    largest = max(size, *[_size(shape, samples) for shape in shapes])
    if op is MATMUL:
        return _ARRAY + _MULTIPLY_ADD * size * _size(shapes[0][-1:], samples)
    if op in _CHOOSING:
        return _ARRAY + _CHOSEN * largest
    if op in VIEWS:
        return _VIEW
    plain = op in _ARITHMETIC or (op.shape is not None and op is not LOGSUMEXP)
    return _ARRAY + (_ELEMENT if plain else _FUNCTION) * largest


def _size(shape: Shape, samples: int) -> int:
    return prod(samples if length == BATCH else length for length in shape)


def check_memory(step: Compiled, samples: int) -> None:
    """A `SizeError` when an array over so many samples takes more than the limit of an array.

    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); x = g.inputs("x", 100)
    >>> f = compile({"x": x}, sum(a * a for a in x), target="numpy", batch="x")
    >>> check_memory(f, 10**9)
    Traceback (most recent call last):
        ...
    wengert.errors.SizeError: f: 1,000,000,000 samples need an array of 800,000,000,000 bytes; \
the limit for one array is 2,147,483,648 bytes: take fewer samples to a step
    """
    if not isinstance(step.program, ArrayProgram):
        return
    program = step.program
    shapes = [*program.shapes.values(), *(group.whole for group in program.groups)]
    need = 8 * max((_size(shape, samples) for shape in shapes), default=0)
    if need > MAX_BYTES:
        raise SizeError(
            f"{program.name}: {samples:,} samples need an array of {need:,} bytes; the limit for "
            f"one array is {MAX_BYTES:,} bytes: take fewer samples to a step"
        )


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
