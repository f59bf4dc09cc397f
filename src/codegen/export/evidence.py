"""The numbers that an exported module is checked with, found without the code that it holds.

A program's outputs are evaluated to 50 digits through sympy's meaning of each operation, and those
that are derivatives by the chain rule with sympy's derivative of each operation: no rule of the
table, no target and no float is involved. Beside each number stands how far rounding can take the
module's code from it, by interval arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ...graph.expr import Expr, Graph
from ...graph.store import live_nodes
from ...notation.sympy import is_piecewise
from ...ops.scalar import INPUT, STOP_GRADIENT
from ...proof.precise import chain_rule, precise_values, sides_differ
from ...proof.rounding import point_intervals
from ..build import Derivatives
from ..program import Instruction, Program, flatten, map_nested
from . import selfcheck

DIGITS: Final = 50
MAX_OPERATIONS: Final = 50_000
"""The largest program, in operations for the samples of a check, that is evaluated."""
MAX_NUMBERS: Final = 200
"""Of more numbers at a point, so many are recorded, evenly spread."""
POINTS, FEW_POINTS, SMALL = 3, 1, 64
"""How many points a module records when it has up to `SMALL` numbers, and when it has more."""
UNBOUNDED: Final = 1e-9
"""How far a number may be off, relative to the largest, where no bound on the rounding is known."""


@dataclass(frozen=True)
class Point:
    """What the outputs are at one point, in the order they are nested.

    seed      what `selfcheck.sample_arguments` draws the point from
    numbers   (position among all numbers of the result, the number, how far the code may be off)
    """

    seed: int
    numbers: tuple[tuple[int, float, float], ...]


@dataclass(frozen=True)
class Evidence:
    """The points of a module, and what was done to find them.

    points    none where there is a `reason`
    derived   how many outputs are derivatives, found by the chain rule
    others    how many are not
    reason    why there are no points
    """

    points: tuple[Point, ...]
    derived: int
    others: int
    reason: str = ""


def evidence(
    program: Program,
    arguments: Sequence[tuple[str, int | None, bool]],
    values: Mapping[str, Any],
    derivatives: Sequence[Derivatives],
) -> Evidence:
    """The numbers of a program at the points where all of them are finite.

    arguments, values   as in the exported module: see `selfcheck.sample_arguments`
    """
    count = len(program.once) + len(program.after) + selfcheck.SAMPLES * len(program.each)
    if count > MAX_OPERATIONS:
        reason = f"{count:,} operations are more than the {MAX_OPERATIONS:,} that are evaluated"
        return Evidence((), 0, 0, reason)
    graph, leaves, outputs = _written_out(program)
    flat = [(path, graph.node_of(thing)) for path, thing in flatten(outputs)]
    derived = dict(_derived(outputs, leaves, program, derivatives))
    wanted = min(POINTS if len(flat) <= SMALL else FEW_POINTS, selfcheck.DRAWS)
    points: list[Point] = []
    for seed in range(selfcheck.DRAWS):
        point = selfcheck.sample_arguments(arguments, values, seed)
        numbers = _numbers(graph, leaves, flat, derived, point)
        if numbers is not None and numbers not in [other.numbers for other in points]:
            points.append(Point(seed, numbers))
        if len(points) == wanted:
            break
    reason = "" if points else f"no point in {selfcheck.DRAWS} draws where every output is finite"
    known = sum(path in derived for path, _ in flat)
    return Evidence(tuple(points), known, len(flat) - known, reason)


def arguments_of(program: Program) -> list[tuple[str, int | None, bool]]:
    """Each argument: its name, how many numbers (None: one by itself), whether a row per sample."""
    return [
        (group.argument, None if group.scalar else len(group.leaves), group.batched)
        for group in program.groups
    ]


def values_of(
    program: Program, values: Mapping[str, Sequence[float | None]]
) -> dict[str, float | list[float]]:
    """The values that the leaves of arguments carry, for those whose leaves all do."""
    carried: dict[str, float | list[float]] = {}
    for group in program.groups:
        numbers = values[group.name]
        if None not in numbers and not group.batched:
            floats = [float(number) for number in numbers if number is not None]
            carried[group.argument] = floats[0] if group.scalar else floats
    return carried


def _written_out(program: Program) -> tuple[Graph, list[Any], Any]:
    """The program on a few samples as one graph; its leaves and its outputs as they are nested."""
    graph = Graph()
    arguments: list[Any] = []
    values: dict[str, Any] = {}
    for group in program.groups:
        rows = [
            [graph.input(f"v{len(graph)}") for _ in group.leaves]
            for _ in range(selfcheck.SAMPLES if group.batched else 1)
        ]
        plain: list[Any] = [row[0] if group.scalar else row for row in rows]
        arguments.append(plain if group.batched else plain[0])
        if not group.batched:
            values.update(zip(group.leaves, rows[0], strict=True))
    _follow(program.once, values)
    for gather in program.gathers:
        values[gather.name] = [] if gather.stacked else graph.constant(0.0)
    for sample in program.samples(arguments):
        for group, row in sample:
            values.update(zip(group.leaves, [row] if group.scalar else row, strict=True))
        _follow(program.each, values)
        for gather in program.gathers:
            item = _read(values, gather.operand)
            if gather.stacked:
                values[gather.name].append(item)
            else:
                values[gather.name] = values[gather.name] + item
    _follow(program.after, values)
    outputs = map_nested(program.outputs, lambda operand: _read(values, operand))
    made = map_nested(
        outputs, lambda thing: thing if isinstance(thing, Expr) else graph[graph.node_of(thing)]
    )
    return graph, arguments, made


def _follow(body: Sequence[Instruction], values: dict[str, Any]) -> None:
    for step in body:
        operands = [_read(values, operand) for operand in step.operands]
        values[step.name] = step.op(*operands, *step.statics)


def _read(values: Mapping[str, Any], operand: Any) -> Any:
    return values[operand] if isinstance(operand, str) else operand


def _derived(
    outputs: Any, leaves: Sequence[Any], program: Program, derivatives: Sequence[Derivatives]
) -> Iterator[tuple[tuple[Any, ...], tuple[int, int]]]:
    """Path of an output → the node it differentiates, and the leaf that it does so by."""
    names = [group.name for group in program.groups]
    for derivative in derivatives:
        root = selfcheck.output_at(outputs, derivative.output).id
        by = leaves[names.index(derivative.group)]
        part = selfcheck.output_at(outputs, derivative.gradient)
        if isinstance(part, list):
            *above, last = derivative.gradient or (None,)
            among = isinstance(last, slice)
            path = tuple(above) if among else derivative.gradient
            for i, leaf in enumerate(by, last.start if among else 0):
                yield (*path, i), (root, leaf.id)
        else:
            yield derivative.gradient, (root, by.id)


def _numbers(
    graph: Graph,
    leaves: Sequence[Any],
    flat: Sequence[tuple[tuple[Any, ...], int]],
    derived: Mapping[tuple[Any, ...], tuple[int, int]],
    point: Sequence[Any],
) -> tuple[tuple[int, float, float], ...] | None:
    """The numbers at a point; None where one is not finite, or sits on a kink."""
    from mpmath import mp

    at = {
        leaf.id: float(number)
        for (_, leaf), (_, number) in zip(flatten(list(leaves)), flatten(list(point)), strict=True)
    }
    if not all(map(math.isfinite, at.values())):
        return None
    live = live_nodes(graph, [node for _, node in flat])
    exact = precise_values(graph, live, at, DIGITS)
    within = point_intervals(graph, live, at)
    adjoints = {}
    for root in {root for root, _ in derived.values()}:
        below = live_nodes(graph, [root])
        if _on_kink(graph, below, exact):
            return None
        adjoints[root] = chain_rule(graph, below, root, exact, DIGITS)
    found = []
    for path, node in flat:
        number = exact[node]
        if path in derived:
            root, leaf = derived[path]
            number = adjoints[root].get(leaf, mp.zero)
        if not mp.isfinite(number) or not math.isfinite(float(number)):
            return None
        found.append((number, within[node]))
    largest = max(float(abs(number)) for number, _ in found)
    recorded = []
    for i in _spread(len(found), MAX_NUMBERS):
        number, interval = found[i]
        nearest = float(number)
        reach = interval.high - interval.low if interval.finite else UNBOUNDED * largest
        recorded.append((i, nearest, _rounded_up(max(reach, 2 * math.ulp(nearest)))))
    return tuple(recorded)


def _on_kink(graph: Graph, live: Sequence[int], exact: Mapping[int, Any]) -> bool:
    """Whether an operation is just where its derivative is a matter of convention."""
    for node in live:
        op = graph.ops[node]
        if op is INPUT or op is STOP_GRADIENT or not is_piecewise(op):
            continue
        operands = [exact[operand] for operand in graph.operands[node]]
        if op.arity <= 2 and operands[0] == (operands[1] if op.arity == 2 else 0):
            return True
        if sides_differ(op, [*operands, *graph.statics.get(node, ())], DIGITS):
            return True
    return False


def _spread(count: int, limit: int) -> list[int]:
    """Up to `limit` of so many positions, evenly spread.

    >>> _spread(3, 5), _spread(10, 5)
    ([0, 1, 2], [0, 2, 4, 6, 8])
    """
    return list(range(count)) if count <= limit else [i * count // limit for i in range(limit)]


def _rounded_up(number: float) -> float:
    """The number with two digits, not less than it."""
    short = float(f"{number:.1e}")
    return short if short >= number else float(f"{number * 1.1:.1e}")
