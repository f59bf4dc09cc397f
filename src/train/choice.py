"""Which target a training step is compiled to: the one whose step is estimated to be shorter.

Python pays for every operation of every sample, NumPy for every operation on arrays, however many
samples they hold. So what counts is counted, and priced at what it costs on a current machine.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from ..codegen.compiled import Compiled, compile
from ..codegen.cost import array_microseconds, duration, elements, operation_microseconds
from ..codegen.native.host import available
from ..codegen.program import Nested, Program, flatten
from ..codegen.target import TARGETS
from ..errors import SizeError, SpellingError, UnknownNameError
from ..graph.expr import common_graph
from ..graph.store import live_nodes
from ..ops.scalar import TOTAL
from ..ops.shapes import MAX_BYTES

__all__ = [
    "AUTO",
    "Choice",
    "TargetName",
    "Work",
    "array_microseconds",
    "check_memory",
    "check_target",
    "compile_step",
    "duration",
    "work_of",
]

TargetName = Literal["auto", "python", "numpy", "native", "jax", "torch"]
"""The targets that a network can be trained on."""

AUTO: Final = "auto"
"""The target that is chosen by size."""

SMALL: Final = 40.0
"""A step of fewer microseconds in Python is not worth looking for its arrays."""

_IRREGULAR: Final = 0.25
"""A graph that becomes more array operations than this share of its own is called irregular."""

SURE: Final = 100.0
"""Machine code of fewer microseconds a step is not compared with arrays."""

_MOST: Final = 10_000
"""A step of more operations is compiled to machine code only if its arrays are seen to be
regular."""

_LOOPS: Final = 1_000
"""Machine code of so many operations is loops over arrays, if these are regular."""

_TURN, _BLOCK, _UPDATE = 0.1, 0.1, 0.05
"""Microseconds of a step in machine code: in any case; and for each microsecond that Python takes
for a sample, those of eight; and for each of the update."""

_NEST, _LOOPED = 2.0, 1 / 150
"""Microseconds of a step in loops: in any case, and for each that Python takes."""

_LOADING, _COMPILING, _ROLLING = 250_000.0, 200.0, 20.0
"""Microseconds: to load LLVM, to compile an operation, and to find its array and compile that."""

_CARRIED: Final = 0.01
"""Microseconds for a number that is handed from step to step."""


@dataclass(frozen=True)
class Choice:
    """A compiled step, and a sentence that says why it is for this target."""

    step: Compiled
    reason: str


@dataclass(frozen=True)
class Work:
    """What a step computes, in operations on scalars.

    each, update              operations for every sample, and once for the step
    carried                   numbers that are handed from step to step
    each_time, update_time    about how many microseconds the operations take
    """

    each: int
    update: int
    carried: int
    each_time: float
    update_time: float

    def microseconds(self, samples: int) -> float:
        """About how long a step over so many samples takes in Python."""
        return self.each_time * samples + self.update_time + _CARRIED * self.carried

    def native_microseconds(self, samples: int, steps: int | None) -> float | None:
        """About how long a step takes in machine code; None where that is not worth compiling."""
        if steps is None:
            return None
        found = self._as_code(samples)
        gained = (self.microseconds(samples) - found) * steps
        return found if gained > self.compiling else None

    @property
    def looped(self) -> bool:
        """Whether machine code of it would be loops over arrays, if these are regular."""
        return self.each + self.update >= _LOOPS

    @property
    def compiling(self) -> float:
        """About how many microseconds it takes to make machine code."""
        each = _ROLLING if self.looped else _COMPILING
        return _LOADING + each * (self.each + self.update)

    def calls_to_native(self, microseconds: float) -> int | None:
        """After how many calls of so many microseconds machine code would have paid; None if never.

        Whoever compiles only then pays at most twice what was needed at the least, however many
        calls are to come: the ski rental of Karlin et al. 1988, "Competitive snoopy caching".
        """
        gained = microseconds - self._as_code(1)
        if gained <= 0 or not available():
            return None
        return math.ceil(self.compiling / gained)

    def _as_code(self, samples: int) -> float:
        """About how many microseconds a step takes in machine code."""
        if self.looped:
            return _NEST + _LOOPED * (self.each_time * samples + self.update_time)
        blocks = -(-samples // 8)
        return _TURN + _BLOCK * self.each_time * blocks + _UPDATE * self.update_time

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
    steps: int | None = None,
) -> Choice:
    """Compile a step that will be called with about so many samples, for the target that suits it.

    `steps` is how many will be taken in one loop: only a loop gains by machine code, and only one
    that outlasts its compilation. A target other than "auto" is taken as it is; an unknown one is
    an `UnknownNameError`.

    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); w, x = g.input("w"), g.input("x")
    >>> made = compile_step({"w": w, "x": x}, {"y": TOTAL(w * x)}, batch=["x"], samples=8)
    >>> print(made.reason)
    python: 2 operations a sample x 8 samples, about 0.12 µs a step: too small for arrays to gain
    """

    def made(target: str) -> Compiled:
        return compile(inputs, outputs, target=target, batch=batch, reduce="mean", name=name)

    if target != AUTO:
        check_target(target)
        return Choice(made(target), f"{target}: as asked")
    work = work_of(inputs, outputs, batch)
    slow = work.microseconds(samples)
    counted = f"{work.text(samples)}, about {duration(slow)} a step"
    quick = work.native_microseconds(samples, steps)
    note = ""
    if quick is not None and not available():
        quick, note = None, "; as machine code it would be faster: pip install llvmlite"
    as_code = f"native: {counted} in Python; as machine code about {duration(quick or 0.0)}"
    few = work.each + work.update <= _MOST
    if quick is not None and quick < SURE and few:
        return Choice(made("native"), as_code)
    if slow < SMALL:
        return Choice(made("python"), f"python: {counted}: too small for arrays to gain{note}")
    try:
        step = made("numpy")
        check_memory(step, samples)
    except (SizeError, SpellingError) as error:
        if quick is not None and few:
            return Choice(made("native"), as_code)
        reason = f"python: {counted}; NumPy is out of the question: {error}{note}"
        return Choice(made("python"), reason)
    fast = array_microseconds(step.program, samples)
    count = f"{len(step.program.instructions):,} array operations about {duration(fast)}"
    regular = len(step.program.instructions) < _IRREGULAR * (work.each + work.update)
    if quick is not None and not few:  # that took long enough: it is worth it where it pays again
        pays = (fast - quick) * (steps or 0) > work.compiling
        quick = quick if pays and regular else None
    if quick is not None and quick < fast:
        return Choice(made("native"), f"{as_code}, as {count}")
    if fast < slow:
        return Choice(step, f"numpy: {counted} in Python; as {count}{note}")
    why = "too small for arrays to gain" if regular else "too irregular to gain"
    return Choice(made("python"), f"python: {counted}; {why}: as {count}{note}")


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
    counts = {True: 0, False: 0}
    times = {True: 0.0, False: 0.0}
    varies: set[int] = set()
    live = live_nodes(graph, [graph.node_of(expr) for expr in exprs])
    if not sampled:
        found = Counter([graph.ops[node] for node in live])
        once = {op: count for op, count in found.items() if op.arity}
        time = sum(count * operation_microseconds(op) for op, count in once.items())
        return Work(0, sum(once.values()), carried, 0.0, time)
    for node in live:
        op, operands = graph.ops[node], graph.operands[node]
        if node in sampled or (op is not TOTAL and not varies.isdisjoint(operands)):
            varies.add(node)
        if operands:
            often = node in varies or op is TOTAL
            counts[often] += 1
            times[often] += operation_microseconds(op)
    return Work(counts[True], counts[False], carried, times[True], times[False])


def _leaves(group: Any) -> list[Any]:
    return list(group) if isinstance(group, (list, tuple)) else [group]


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
    if isinstance(step.program, Program):
        return
    program = step.program
    shapes = [*program.held, *(group.whole for group in program.groups)]
    need = 8 * max((elements(shape, samples) for shape in shapes), default=0)
    if need > MAX_BYTES:
        raise SizeError(
            f"{program.name}: {samples:,} samples need an array of {need:,} bytes; the limit for "
            f"one array is {MAX_BYTES:,} bytes: take fewer samples to a step"
        )
