"""A gradient as a claim to be judged, and the points to judge it at."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..derive.backward import grad
from ..graph.arithmetic import Arithmetic
from ..graph.evaluation import given_values, node_values
from ..graph.expr import Expr, Graph, common_graph
from ..graph.rewrite import extract
from ..graph.store import live_nodes
from ..graph.unroll import unroll_graph
from ..notation.sympy import is_piecewise
from ..ops.scalar import CONSTANT
from ..simplify.stable import stable_form

MAX_POINTS, MAX_DRAWS = 3, 60
"""How many points are judged, and how many are drawn in search of them."""


@dataclass(frozen=True)
class ArrayClaim:
    """The arrays that a claim's scalars are the elements of.

    graph     the array graph
    root      the output
    gradient  the node of the derivative by each array that was asked for
    lanes     leaf of the array graph → the nodes of its elements in the claim's graph, row by row
    """

    graph: Graph
    root: int
    gradient: tuple[int, ...]
    lanes: Mapping[int, Sequence[int]]


@dataclass(frozen=True)
class Claim:
    """That certain nodes are the derivatives of another by certain leaves: what `verify` judges.

    graph     a graph made for the purpose
    root      the output
    leaves    the leaves differentiated by
    gradient  the node of the derivative by each
    primal    the nodes the output needs, in order
    live      those that output and derivatives need
    arrays    what these scalars were written as, if that is arrays
    """

    graph: Graph
    root: int
    leaves: tuple[int, ...]
    gradient: tuple[int, ...]
    primal: tuple[int, ...]
    live: tuple[int, ...]
    arrays: ArrayClaim | None = None

    @property
    def differentiated(self) -> list[int]:
        """The nodes whose derivative rules were used: of the output and of its stable form."""
        stable = stable_form(Expr(self.graph, self.root)).id
        return live_nodes(self.graph, [self.root, stable])

    @property
    def names(self) -> list[str]:
        """The derivatives in words, such as d/dx."""
        return [f"d/d{self.graph.labels[leaf]}" for leaf in self.leaves]

    def values(self, point: Mapping[int, float], nodes: Sequence[int]) -> dict[int, float]:
        """The value of each of the nodes by the reference evaluator."""
        return node_values(self.graph, nodes, point)

    def number(self, point: Mapping[int, float], leaf: int) -> float:
        """The number of a leaf at a point, its own where the point has none."""
        return float(point[leaf] if leaf in point else self.graph.value(leaf))

    def on_kink(self, values: Mapping[int, float]) -> bool:
        """Whether an operation is just where its derivative is a matter of convention."""
        for node in self.primal:
            first, *others = (values[operand] for operand in self.graph.operands[node] or (node,))
            kinked = len(others) < 2 and is_piecewise(self.graph.ops[node])
            if kinked and first == (others[0] if others else 0.0):
                return True
        return False

    def branches(self, values: Mapping[int, float]) -> list[bool]:
        """Which side of its kink each operation that has one is on."""
        graph, sides = self.graph, []
        for node in self.primal:
            if is_piecewise(graph.ops[node]):
                first, *others = (values[operand] for operand in graph.operands[node])
                sides += [first > other for other in others[:1]] or [first > 0.0]
                sides.append(bool(first))
        return sides


def claim_of(output: Any, wrt: Any, at: Mapping[Any, float]) -> tuple[Claim, dict[int, float]]:
    """The output in a graph of its own, with its gradient, and the leaves that `at` fixes."""
    leaves: list[Any] = [wrt] if isinstance(wrt, Arithmetic) else list(wrt)
    original = common_graph([output, *leaves])
    if not isinstance(output, Arithmetic):
        grad(output, leaves)  # says what is wrong with it
    live_shapes = {original.shapes.get(n) for n in live_nodes(original, [original.node_of(output)])}
    fixed = given_values(original, at)
    if live_shapes - {None, ()}:
        return _unrolled(original, output, leaves, fixed)
    known = {node: None for node in map(original.find, leaves) if node is not None}
    known.update(dict.fromkeys(fixed))
    graph = extract([output, *(original[node] for node in known)])
    root, *copies = graph.outputs
    copy = dict(zip(known, copies, strict=True))
    # A leaf that is not in the copy goes to `grad` as it is, to be refused there.
    mapped = [
        graph[copy[node]] if (node := original.find(leaf)) is not None else leaf for leaf in leaves
    ]
    gradient = [derivative.id for derivative in grad(graph[root], mapped)]
    claim = Claim(
        graph,
        root,
        tuple(leaf.id for leaf in mapped),
        tuple(gradient),
        tuple(live_nodes(graph, [root])),
        tuple(live_nodes(graph, [root, *gradient])),
    )
    return claim, {copy[node]: number for node, number in fixed.items()}


def _unrolled(
    original: Graph, output: Any, leaves: Sequence[Any], fixed: Mapping[int, Any]
) -> tuple[Claim, dict[int, float]]:
    """The claim for an output made of arrays: its array gradient, element by element.

    Output and gradient are unrolled together, so that what is judged are the derivatives that the
    array rules gave.
    """
    nodes = [node for node in map(original.find, leaves) if node is not None]
    known = list(dict.fromkeys([*nodes, *fixed]))
    arrays = extract([output, *(original[node] for node in known)])
    root, *copies = arrays.outputs
    copy = dict(zip(known, copies, strict=True))
    wanted = [arrays[copy[node]] for node in nodes]
    gradient = [derivative.id for derivative in grad(arrays[root], wanted)]
    graph, lanes = unroll_graph(arrays, [root, *copies, *gradient])
    flat_leaves = [lane for leaf in wanted for lane in lanes[leaf.id]]
    flat_gradient = [lane for node in gradient for lane in lanes[node]]
    live_arrays = live_nodes(arrays, [root, *gradient])
    inputs = [n for n in live_arrays if arrays.is_leaf(n) and arrays.ops[n] is not CONSTANT]
    known_lanes = {node: lanes[node] for node in inputs}
    claim = Claim(
        graph,
        lanes[root][0],
        tuple(flat_leaves),
        tuple(flat_gradient),
        tuple(live_nodes(graph, [lanes[root][0]])),
        tuple(live_nodes(graph, [lanes[root][0], *flat_gradient])),
        ArrayClaim(arrays, root, tuple(gradient), known_lanes),
    )
    numbers = {
        lane: float(number)
        for node, given in fixed.items()
        for lane, number in zip(lanes[copy[node]], elements(given), strict=True)
    }
    return claim, numbers


def elements(given: Any) -> list[float]:
    """The numbers of an array, row by row, or the number itself.

    >>> elements(2.0)
    [2.0]
    """
    return given.ravel().tolist() if hasattr(given, "ravel") else [given]


def random_points(
    claim: Claim, fixed: Mapping[int, float], rng: random.Random
) -> list[dict[int, float]]:
    """Up to three random points where the output and its gradient are finite."""
    graph = claim.graph
    free = [
        node
        for node in claim.live
        if graph.is_leaf(node) and graph.ops[node].name != "constant" and node not in fixed
    ]
    ways: list[Callable[[float | None], float]] = [
        lambda carried: (
            rng.uniform(-2, 2)
            if carried is None or not math.isfinite(carried)
            else carried + rng.uniform(-0.1, 0.1) * max(1.0, abs(carried))
        ),
        lambda carried: rng.uniform(-2, 2),
        lambda carried: rng.uniform(0.1, 2),
    ]
    wanted = MAX_POINTS if free else 1
    points: list[dict[int, float]] = []
    for draw in range(MAX_DRAWS):
        way = ways[draw % len(ways)]
        point = {**fixed, **{node: way(graph.value(node)) for node in free}}
        values = claim.values(point, claim.live)
        if all(math.isfinite(values[node]) for node in (claim.root, *claim.gradient)):
            points.append(point)
        if len(points) == wanted:
            break
    return points


def relative(difference: Any, scale: Any) -> float:
    """|difference| / scale, absolute where the scale is 0; inf for what is not a number."""
    size = float(abs(difference) / scale) if scale else float(abs(difference))
    return size if size == size else math.inf
