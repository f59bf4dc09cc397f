"""Random expressions, recipes that any kind of number can follow, and random graphs."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from wengert import Graph, Value, grad
from wengert.ops.record import Op
from wengert.ops.scalar import COMPARISONS, ELEMENTWISE, STOP_GRADIENT, WHERE
from wengert.testing import sketches

NOT_AS_A_WHOLE = frozenset({"mod", "heaviside", "lgamma", "digamma", "polygamma"})
"""What sympy cannot differentiate for every real operand within a formula."""

SMOOTH_OR_KINKED = tuple(
    op
    for op in ELEMENTWISE.values()
    if op.differentiable
    and any(op.vjp)
    and op.name not in NOT_AS_A_WHOLE
    and op not in (WHERE, STOP_GRADIENT)
)
"""The operations that random expressions are made of, besides `where` on a comparison."""

KINKED = frozenset(
    {"relu", "leaky_relu", "abs", "maximum", "minimum", "lt", "le", "gt", "ge", "sign"}
)
EXPONENTS = (2, 3, -1, 0.5, 1.5, 4)
CONSTANTS = (2.0, -1.5, 0.1)


@dataclass(frozen=True)
class Recipe:
    """Steps (operation, positions of the operands, static arguments) on leaves and constants."""

    leaves: int
    steps: tuple[tuple[Op, tuple[int, ...], tuple[float, ...]], ...]

    def follow(self, leaves: Sequence[Any]) -> Any:
        """The last step's result, the leaves being of any kind of number."""
        made = [*leaves, *CONSTANTS]
        for op, operands, statics in self.steps:
            made.append(op(*[made[operand] for operand in operands], *statics))
        return made[-1]


def random_recipe(
    rng: random.Random,
    points: Sequence[Sequence[float]],
    steps: int,
    operations: Sequence[Op] = SMOOTH_OR_KINKED,
) -> Recipe:
    """A recipe that is finite, moderate and off every kink at all the points."""
    leaves = len(points[0])
    values = [[*point, *CONSTANTS] for point in points]
    done: list[tuple[Op, tuple[int, ...], tuple[float, ...]]] = []

    def attempt(op: Op, operands: tuple[int, ...], statics: tuple[float, ...] = ()) -> bool:
        results = []
        for row in values:
            arguments = [row[operand] for operand in operands]
            if not in_domain(op, arguments):
                return False
            results.append(op.evaluate(*arguments, *statics))
        if not all(math.isfinite(result) and 1e-3 < abs(result) < 50 for result in results):
            return op in COMPARISONS and keep(op, operands, statics, results)
        return keep(op, operands, statics, results)

    def keep(op: Op, operands: tuple[int, ...], statics: Any, results: list[float]) -> bool:
        done.append((op, operands, statics))
        for row, result in zip(values, results, strict=True):
            row.append(result)
        return True

    def pick() -> int:
        count = len(values[0])
        # Half of the time something recent, so that expressions get deep; leaves get their share.
        if rng.random() < 0.5:
            return max(0, count - 1 - rng.randrange(3))
        return rng.randrange(count) if rng.random() < 0.5 else rng.randrange(leaves)

    while len(done) < steps:
        op = rng.choice((*operations, WHERE))
        if op is WHERE:
            comparison = rng.choice([c for c in ELEMENTWISE.values() if c.name in ("lt", "ge")])
            if attempt(comparison, (pick(), pick())):
                attempt(WHERE, (len(values[0]) - 1, pick(), pick())) or attempt(
                    ELEMENTWISE["add"], (len(values[0]) - 1, pick())
                )
        else:
            statics = tuple(
                float(rng.choice(EXPONENTS)) if name == "exponent" else 0.25 for name in op.statics
            )
            attempt(op, tuple(pick() for _ in range(op.arity)), statics)
    if done[-1][0] in COMPARISONS or all(op in COMPARISONS for op, *_ in done):
        attempt(ELEMENTWISE["mul"], (0, 0))
    # Every leaf and the last result meet in the output, so that no derivative is trivially 0.
    last = len(values[0]) - 1
    for leaf in range(leaves):
        keep(ELEMENTWISE["mul"], (last, leaf), (), [row[last] * row[leaf] for row in values])
        keep(ELEMENTWISE["add"], (last, last + 1), (), [row[last] + row[-1] for row in values])
        last = len(values[0]) - 1
    return Recipe(leaves, tuple(done))


def in_domain(op: Op, arguments: Sequence[float]) -> bool:
    """Whether the operation is smooth and well-behaved around these operands."""
    first, *others = arguments
    if op.name in KINKED:
        return abs(first - (others[0] if others else 0.0)) > 1e-2
    match op.name:
        case "log" | "sqrt" | "pow_const" | "log2" | "log10" | "cbrt":
            return first > 0.1
        case "atan2" | "hypot":
            return first > 0.1
        case "asin" | "acos" | "atanh":
            return abs(first) < 0.9
        case "acosh":
            return first > 1.1
        case "tan":
            return abs(math.cos(first)) > 0.2
        case "hard_tanh" | "hard_sigmoid":
            return abs(first - round(first)) > 1e-2
        case "clip":
            gaps = (first - others[0], first - others[1], others[0] - others[1])
            return min(map(abs, gaps)) > 1e-2
        case "elu" | "selu" | "softsign":
            return abs(first) > 1e-2
        case "pow":
            return 0.1 < first < 10 and abs(others[0]) < 4
        case "log1p":
            return first > -0.9
        case "div":
            return abs(others[0]) > 0.1
    return True


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A graph that knows all a graph may know, with outputs and with nodes they do not need.

    Leaves of every kind, arrays among them; labels, some of them twice; derivatives, with their
    origins, whose adjoint they are, and the gradients.
    """
    graph = Graph()
    sketch = draw(sketches(depth=3))
    leaves: list[Any] = [graph.input("x0"), graph.parameter("p", 0.5), Value(2.0, label="v")]
    leaves = draw(st.permutations(leaves))[: len(sketch.point)]
    leaves += [graph.input(f"more{i}") for i in range(len(sketch.point) - len(leaves))]
    weights, rows = graph.array_parameter("W", [[1.0, 2.0], [3.0, 4.0]]), graph.array("X", (2,))
    graph.lanes[rows.id] = ("X_0", "X_1")
    if draw(st.booleans()):
        leaves[0] = ((weights @ rows).tanh() * leaves[0]).sum()
    out = graph.node_of(sketch.follow(leaves))
    outputs = [out, *draw(st.lists(st.integers(0, len(graph) - 1), max_size=2))]
    if draw(st.booleans()):
        wanted = [graph[name] for name in graph.leaves]
        outputs += [slope.id for slope in grad(graph[out], wanted, allow_unused=True)]
    computed = [node for node in range(len(graph)) if graph.operands[node]]
    for node in draw(st.lists(st.sampled_from(computed or [out]), max_size=4)):
        if graph.operands[node]:
            graph.labels[node] = draw(st.sampled_from(["h", "loss"]))
    graph.outputs = tuple(draw(st.permutations(outputs)))
    return graph
