"""Whether a compiled function gives what was asked for: called as it is, against the interpreter.

`verify(output, wrt)` compiles functions of its own. Here the one that a `compile` call made is
called, with its batch, its dtype, its outputs and its target, at numbers of its own arguments; what
it should give is computed from the graph node by node, each sample by itself, and added up after.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..codegen.arguments import in_order
from ..codegen.calls import called
from ..codegen.compiled import Compiled
from ..codegen.lower import Signature
from ..codegen.program import flatten
from ..codegen.scalar.node import run_in_node
from ..codegen.target import find_target
from ..errors import MissingExtraError, ShapeError
from ..graph.expr import Graph
from ..graph.store import live_nodes
from ..graph.written import text
from ..ops.data import read_data
from ..ops.record import evaluate_arrays
from ..ops.scalar import TOTAL
from ..proof.check import Check, points_text
from ..proof.rounding import point_intervals
from .looks import FLOOR, allowed

BATCHES: Final = (3, 1, 4)
"""How many samples there are in the batch of each call."""

CALLS: Final = len(BATCHES)
MAX_DRAWS: Final = 60
_RANGES: Final = ((-2.0, 2.0), (0.2, 2.0), (-0.5, 0.5), (1.5, 4.0))
"""Between which numbers arguments are drawn, in turn."""

_TERMS: Final = 200
_SINGLE: Final = 2.0**29
"""How many times as far apart neighbouring numbers of float32 are."""

_SINGLE_SHARE: Final = 1e-2
"""How far, relative to the largest number, float32 may be off in any case."""


@dataclass(frozen=True)
class Asked:
    """What a function was asked for: outputs of a graph, reduced over samples."""

    graph: Graph
    paths: tuple[tuple[Any, ...], ...]
    nodes: tuple[int, ...]
    reduce: str | None
    signatures: tuple[Signature, ...]

    @property
    def batched(self) -> bool:
        """Whether an argument has a value for each sample."""
        return any(signature.batched for signature in self.signatures)

    def values(self, call: Mapping[str, Any], samples: int) -> list[Any]:
        """The outputs where leaves, by name, have the numbers of a call, or one for each sample."""
        graph, each = self.graph, range(samples)
        batched = {leaf for s in self.signatures if s.batched for leaf in s.leaves}
        given = {
            graph.leaves[name]: numbers for name, numbers in call.items() if name in graph.leaves
        }
        found: dict[int, list[Any]] = {}
        summed: set[int] = set()
        for node in live_nodes(graph, self.nodes):
            operands, statics = graph.operands[node], graph.statics.get(node, ())
            op, shaped = graph.ops[node], node in graph.shapes
            if node in given:
                numbers = given[node]
                found[node] = (
                    list(numbers) if graph.labels[node] in batched else [numbers] * samples
                )
            elif not operands:
                found[node] = [graph.value(node)] * samples
            elif op is TOTAL:
                found[node] = [sum(found[operands[0]])] * samples
                summed.add(node)
            else:
                if not summed.isdisjoint(operands):
                    summed.add(node)
                rows = [[found[operand][i] for operand in operands] for i in each]
                array = shaped or op.shape is not None
                found[node] = [
                    evaluate_arrays(op, row, statics) if array else op.evaluate(*row, *statics)
                    for row in rows
                ]
        return [self._reduced(found[node], node in summed) for node in self.nodes]

    def widths(self, call: Mapping[str, Any], samples: int) -> list[float]:
        """How wide rounding can make each output; infinite where that is not known."""
        graph, live = self.graph, live_nodes(self.graph, self.nodes)
        if graph.shapes or any(graph.ops[node] is TOTAL for node in live):
            return [math.inf] * len(self.nodes)
        batched = {leaf for s in self.signatures if s.batched for leaf in s.leaves}
        widths = [0.0] * len(self.nodes)
        for i in range(samples):
            point = {
                graph.leaves[name]: numbers[i] if name in batched else numbers
                for name, numbers in call.items()
                if name in graph.leaves
            }
            within = point_intervals(graph, live, point)
            for place, node in enumerate(self.nodes):
                widths[place] += within[node].high - within[node].low
        return widths

    def _reduced(self, rows: list[Any], summed: bool) -> Any:
        if not self.batched or summed:
            return rows[0]
        if self.reduce is None:
            return rows
        return sum(rows) if self.reduce == "sum" else sum(rows) / len(rows)


def function_check(f: Compiled, at: Mapping[str, Any] | None, seed: int) -> Check:
    """The check of a function: at these arguments, or at three draws of them."""
    asked = asked_of(f)
    if at is not None:
        calls = [_call(f, asked, in_order(f.program, (), at))]
    else:
        calls = list(_draws(f, asked, random.Random(seed)))
    if not calls:
        detail = (
            f"no arguments found in {MAX_DRAWS} draws (seed {seed}) at which the outputs are "
            "finite; name some with at={argument: numbers}"
        )
        return _check(f, asked, calls, detail)
    try:
        results = _results(f, [call.arguments for call in calls])
    except MissingExtraError as error:
        return _check(f, asked, calls, f"{type(error).__name__}: {error}")
    wrong, worst, ulps = "", 0.0, 0.0
    for call, result in zip(calls, results, strict=True):
        if isinstance(result, Exception):
            wrong = wrong or f"{type(result).__name__}: {result}"
            continue
        for path, expected, width in zip(asked.paths, call.outputs, call.widths, strict=True):
            said, apart, units = _compared(f, path, result, expected, width)
            wrong, worst, ulps = wrong or said, max(worst, apart), max(ulps, units)
    return _check(f, asked, calls, wrong, worst, ulps)


@dataclass(frozen=True)
class _Call:
    """Arguments of a function, and what it should give."""

    arguments: tuple[Any, ...]
    outputs: list[Any]
    widths: list[float]


def asked_of(f: Compiled) -> Asked:
    """What a function was compiled from, before anything was made of it."""
    recipe = f.recipe
    paths = tuple(path for path, _ in flatten(recipe.outputs))
    return Asked(recipe.graph, paths, recipe.asked, recipe.reduce, recipe.signatures)


def _draws(f: Compiled, asked: Asked, rng: random.Random) -> Iterator[_Call]:
    found = 0
    for draw in range(MAX_DRAWS):
        samples = BATCHES[found] if asked.batched else 1
        call = _drawn(f, asked, rng, _RANGES[draw % len(_RANGES)], samples)
        if call is not None:
            found += 1
            yield call
        if found == len(BATCHES):
            return


def _drawn(
    f: Compiled, asked: Asked, rng: random.Random, within: tuple[float, float], samples: int
) -> _Call | None:
    """Arguments between two numbers; None where an output is not finite."""
    import numpy

    arguments = []
    for group, signature in zip(f.program.groups, asked.signatures, strict=True):
        shape = ((samples,) if signature.batched else ()) + tuple(group.row_shape)
        drawn = [rng.uniform(*within) for _ in range(math.prod(shape))]
        array = numpy.array(drawn, numpy.float32).astype(float)  # so that float32 has it, too
        arguments.append(array.reshape(shape).tolist() if shape else float(array[0]))
    call = _call(f, asked, arguments)
    finite = all(numpy.isfinite(numpy.asarray(output, float)).all() for output in call.outputs)
    return call if finite else None


def _call(f: Compiled, asked: Asked, arguments: Sequence[Any]) -> _Call:
    """A call with these arguments, as the function takes them."""
    import numpy

    f.program.check_arguments(arguments)
    numbers: dict[str, Any] = {}
    samples = 1
    for group, signature, argument in zip(
        f.program.groups, asked.signatures, arguments, strict=True
    ):
        data: Any = read_data(argument, f"argument {group.name!r}", ShapeError)
        array = numpy.asarray(data, float)
        rows = array if signature.batched else array[None]
        samples = len(rows) if signature.batched else samples
        flat, start = rows.reshape(len(rows), -1), 0
        shapes = signature.shapes or ((),) * len(signature.leaves)
        for leaf, shape in zip(signature.leaves, shapes, strict=True):
            part = flat[:, start : start + math.prod(shape)].reshape(len(rows), *shape)
            start += math.prod(shape)
            each = list(part) if shape else part.reshape(-1).tolist()
            numbers[leaf] = each if signature.batched else each[0]
    values, widths = asked.values(numbers, samples), asked.widths(numbers, samples)
    return _Call(tuple(arguments), values, widths)


def _results(f: Compiled, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What the function gives for each call, or the error that it raises."""
    if f.target == "javascript":
        source = find_target("javascript").emit(f.program)
        return run_in_node([(source, list(calls))])[0]
    results: list[Any] = []
    for arguments in calls:
        try:
            results.append(called(f, arguments))
        except Exception as error:  # what a function raises is what is wrong with it
            results.append(error)
    return results


def _compared(
    f: Compiled, path: tuple[Any, ...], result: Any, expected: Any, width: float
) -> tuple[str, float, float]:
    """What is wrong with one output, how far it is off relative to the largest, and in ulps."""
    import numpy

    name = "".join(f"[{key!r}]" for key in path) or "the output"
    try:
        for key in path:
            result = result[key]
        got = numpy.asarray(result, float)
    except (LookupError, TypeError, ValueError) as error:
        return f"{name} is missing: {type(error).__name__}: {error}", math.inf, math.inf
    wanted = numpy.asarray(expected, float)
    if got.shape != wanted.shape:
        return f"{name} has shape {got.shape}, expected {wanted.shape}", math.inf, math.inf
    if not wanted.size:
        return "", 0.0, 0.0
    largest = float(numpy.abs(wanted).max())
    apart = float(numpy.abs(got - wanted).max())
    ulp, near = math.ulp(largest), allowed(width, largest)
    if f.recipe.options.dtype == "float32":
        ulp, near = _SINGLE * ulp, max(FLOOR * ulp, min(_SINGLE * near, _SINGLE_SHARE * largest))
    said = f"{name} is {_short(got)}, the interpreter says {_short(wanted)}"
    return "" if apart <= near else said, apart / (largest or 1.0), apart / ulp


def _short(array: Any) -> str:
    return repr(array.tolist())[:80]


def _check(
    f: Compiled,
    asked: Asked,
    calls: Sequence[_Call],
    wrong: str,
    error: float | None = None,
    ulps: float | None = None,
) -> Check:
    names = [str(path[0]) for path in asked.paths if path]
    what = ", ".join(dict.fromkeys(names)) or "output"
    method = f"{f!r} against the interpreter"
    over = f"{len(calls)} batches" if asked.batched else points_text(len(calls))
    return Check("compiled", what, method, not wrong, error, wrong, over, ulps)


def derivations(f: Compiled) -> list[tuple[Any, list[Any]]]:
    """The outputs of a function that were differentiated, each with the leaves it was by."""
    recipe = f.recipe
    graph, outputs = recipe.graph, set(recipe.asked)
    found: dict[int, list[Any]] = {}
    for (root, leaf), adjoint in graph.gradients.items():
        if adjoint in outputs:
            found.setdefault(root, []).append(graph[leaf])
    return [(graph[root], leaves) for root, leaves in found.items()]


def formula(f: Compiled) -> str:
    """The outputs of a function, written out."""
    return ", ".join(text(f.recipe.graph[node], _TERMS) for node in f.recipe.asked[:3])
