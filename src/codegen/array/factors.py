"""Factors carried upstream: what is scaled at the end is scaled where it is smallest.

A step of training multiplies every derivative by the learning rate and divides it by the number of
samples. Derivatives are linear in the cotangents that they are made of, so c (A B) = (c A) B and
c Σ A = Σ c A: one multiplication of the first cotangent does for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final, NamedTuple

from ...graph.expr import Graph, live_nodes
from ...graph.rewrite import PassRecord, Walk, operations, unchanged
from ...graph.traversal import depth_first
from ...ops.record import Op
from ...ops.scalar import CONSTANT, DIV, MUL, WHERE
from ...ops.shapes import BATCH

SAMPLES: Final = 32
"""How many samples a batch is taken to have where sizes are compared."""

STEPS: Final = 200_000
"""How many nodes may be looked at in all; the search ends there, with what it has found."""

CARRY: Final = "carry a factor upstream"
"""What records call a multiplication by a number that became part of an earlier, smaller one."""


class Factor(NamedTuple):
    """A number times scalar nodes over scalar nodes."""

    number: float = 1.0
    above: tuple[int, ...] = ()
    below: tuple[int, ...] = ()

    def times(self, other: Factor) -> Factor:
        """The product of two factors."""
        return Factor(
            self.number * other.number,
            tuple(sorted(self.above + other.above)),
            tuple(sorted(self.below + other.below)),
        )

    def over(self, other: Factor) -> Factor | None:
        """The quotient of two factors; None where it would divide by the number 0."""
        if not other.number:
            return None
        return self.times(Factor(1.0 / other.number, other.below, other.above))


class Carried(NamedTuple):
    """A graph whose factors were carried upstream, what became of each node, and where they act."""

    graph: Graph
    images: Mapping[int, int]
    scaled: frozenset[int]


def carried(graph: Graph) -> Carried:
    """`graph.outputs` in a graph with factors moved to where the fewest elements are scaled.

    Results may round otherwise. What is read unscaled, as an output is, keeps its value.

    >>> g = Graph(); A, B, w = g.array("A", (9, 2)), g.array("B", (2, 8)), g.array("w", (9, 8))
    >>> g.outputs = ((w - 0.5 * ((A.tanh() @ B) / 4)).id,)
    >>> small = carried(g).graph
    >>> print(small[small.outputs[0]])
    w - 0.125*tanh(A) @ B
    """
    before, found, budget = graph, 0, [STEPS]
    made, scaled = unchanged(graph), frozenset[int]()
    while (plan := _best(_Search(graph, budget))) is not None:
        step = _Rewriting(graph, plan).made
        found += sum(plan.absorbed.values())
        started = {*scaled, plan.start}
        scaled = frozenset(step.images[node] for node in started if node in step.images)
        made, graph = made.then(step), step.graph
    if not found:
        return Carried(graph, made.images, scaled)
    record = PassRecord(
        name="factors",
        nodes_before=len(before),
        nodes_after=len(live_nodes(graph, graph.outputs)),
        operations_before=operations(before),
        operations_after=operations(graph),
        rewrites={CARRY: found},
    )
    graph.passes = (*before.passes, record)
    return Carried(graph, made.images, scaled)


class _Plan(NamedTuple):
    """A factor to apply at `start` and no longer where `absorbed` applied it.

    inside    the nodes that are scaled by it from now on
    absorbed  node that becomes its scaled operand → how many multiplications that saves
    extras    further nodes that what is inside adds to, to be scaled for it
    sources   absorbed node → the scaled node that it becomes
    gain      how many fewer elements are scaled
    """

    start: int
    factor: Factor
    inside: frozenset[int]
    absorbed: Mapping[int, int]
    extras: frozenset[int]
    sources: Mapping[int, int]
    gain: int


@dataclass
class _Search:
    """What is known of one graph while factors are followed upstream."""

    graph: Graph
    budget: list[int]

    def __post_init__(self) -> None:
        graph = self.graph
        self.live = live_nodes(graph, graph.outputs)
        self.outputs = set(graph.outputs)
        self.readers: dict[int, list[int]] = {}
        for node in self.live:
            for operand in dict.fromkeys(graph.operands[node]):
                self.readers.setdefault(operand, []).append(node)
        self._factors: dict[int, Factor | None] = {}

    def size(self, node: int) -> int:
        """How many elements a node has."""
        shape = self.graph.shapes.get(node, ())
        return prod(SAMPLES if length == BATCH else length for length in shape)

    def factor(self, node: int) -> Factor | None:
        """A scalar node as a factor; None where it is not made of products alone and divides by 0.

        Products of products are rare and short; what is deeper is a factor as it is.
        """
        if node not in self._factors:
            self._factors[node] = self._factor(node, 4)
        return self._factors[node]

    def _factor(self, node: int, depth: int) -> Factor | None:
        graph = self.graph
        number = graph.value(node) if graph.source(node) is None else None
        if number is not None and graph.is_leaf(node):
            return Factor(float(number))
        if depth and graph.ops[node] in (MUL, DIV):
            one, other = (self._factor(n, depth - 1) for n in graph.operands[node])
            if one is not None and other is not None:
                return one.times(other) if graph.ops[node] is MUL else one.over(other)
        return Factor(1.0, (node,))

    def applied(self, node: int, operand: int) -> Factor | None:
        """The factor that a node multiplies an operand by, if that is all it does."""
        graph = self.graph
        op, operands = graph.ops[node], graph.operands[node]
        if op not in (MUL, DIV) or operands.count(operand) != 1:
            return None
        place = operands.index(operand)
        other = operands[1 - place]
        if graph.shapes.get(other) or (op is DIV and place == 1):
            return None
        factor = self.factor(other)
        return factor if op is MUL or factor is None else Factor().over(factor)

    def chain(self, node: int, operand: int) -> Iterator[tuple[int, Factor]]:
        """Each node that scales an operand and nothing else, and by what in all."""
        total = Factor()
        while (factor := self.applied(node, operand)) is not None:
            total = total.times(factor)
            yield node, total
            readers = self.readers.get(node, ())
            if len(readers) != 1 or node in self.outputs:
                return
            node, operand = readers[0], node

    def scalings(self) -> dict[Factor, list[int]]:
        """Every factor that an array is multiplied by, and the arrays; the most elements first."""
        found: dict[Factor, list[int]] = {}
        for operand in self.live:
            if operand in self.graph.shapes and self.graph.operands[operand]:
                for reader in self.readers.get(operand, ()):
                    for _, total in self.chain(reader, operand):
                        found.setdefault(total, []).append(operand)
        weight = {factor: sum(map(self.size, nodes)) for factor, nodes in found.items()}
        return {factor: found[factor] for factor in sorted(found, key=weight.__getitem__)[::-1]}

    def follow(self, start: int, factor: Factor) -> _Plan | None:
        """What becomes of the graph if `start` is scaled; None if something reads it unscaled."""
        graph = self.graph
        inside, stack = {start}, [start]
        absorbed: dict[int, int] = {}
        sources: dict[int, int] = {}
        saved = 0
        while stack:
            node = stack.pop()
            if node in self.outputs:
                return None
            for reader in self.readers.get(node, ()):
                self.budget[0] -= 1
                if reader in inside or reader in absorbed:
                    continue
                chain = list(self.chain(reader, node))
                match = [k for k, (_, total) in enumerate(chain) if total == factor]
                if match:
                    last = chain[match[0]][0]
                    absorbed[last], sources[last] = match[0] + 1, node
                    saved += (match[0] + 1) * self.size(node)
                elif self._is_linear(reader, node):
                    inside.add(reader)
                    stack.append(reader)
                else:
                    return None
        extras: set[int] = set()
        for node in inside - {start}:
            operands = graph.operands[node]
            among = sum(operand in inside for operand in operands)
            if graph.ops[node].linear == "each" and among != 1:
                return None
            if (graph.ops[node] is DIV and operands[1] in inside) or (
                graph.ops[node] is WHERE and operands[0] in inside
            ):
                return None
            terms = [operands[place] for place in _terms(graph, node)]
            extras.update(n for n in terms if n not in inside and not self._is_zero(n))
        cost = 0 if self.own(start) is not None else self.size(start)
        cost += sum(map(self.size, extras))
        return _Plan(
            start,
            factor,
            frozenset(inside),
            absorbed,
            frozenset(extras),
            sources,
            saved - cost,
        )

    def own(self, node: int) -> tuple[Factor, int] | None:
        """The factor that a node applies itself, and to what."""
        for operand in self.graph.operands[node][::-1]:
            factor = self.applied(node, operand)
            if factor is not None and self.graph.shapes.get(operand):
                return factor, operand
        return None

    def _is_linear(self, node: int, operand: int) -> bool:
        op, operands = self.graph.ops[node], self.graph.operands[node]
        if op.linear == "together":
            return all(operands[place] != operand for place in op.conditions)
        once = bool(op.linear) and operands.count(operand) == 1
        return once and (op.linear == "each" or operands[0] == operand)

    def _is_zero(self, node: int) -> bool:
        number = self.graph.value(node) if self.graph.source(node) is None else None
        return self.graph.is_leaf(node) and isinstance(number, float) and number == 0.0

    def above(self, nodes: Sequence[int]) -> list[int]:
        """The computed arrays that these depend on, and these, in order."""
        graph = self.graph
        found = live_nodes(graph, nodes)
        self.budget[0] -= len(found)
        return [n for n in found if graph.operands[n] and n in graph.shapes]


def _terms(graph: Graph, node: int) -> list[int]:
    """The places of the operands of which all must be scaled for the value to be."""
    op = graph.ops[node]
    if op.linear != "together" or op.arity == 1:
        return []
    return [place for place in range(len(graph.operands[node])) if place not in op.conditions]


def _best(search: _Search) -> _Plan | None:
    """The way to scale fewest elements; None where no way gains anything."""
    for factor, nodes in search.scalings().items():
        best: _Plan | None = None
        for start in search.above(nodes):
            if search.budget[0] < 0:
                return None
            plan = search.follow(start, factor)
            if plan is not None and plan.gain > (best.gain if best else 0):
                best = plan
        if best is not None:
            return best
    return None


class _Rewriting:
    """A graph rewritten by a plan, in `target`; `images` says what its nodes became."""

    def __init__(self, graph: Graph, plan: _Plan) -> None:
        self.graph, self.plan = graph, plan
        self.search = _Search(graph, [0])
        self.extras: dict[int, int] = {}
        self.scalars: dict[tuple[Op, tuple[int, ...], tuple[Any, ...]], int] = {}
        walk = Walk(graph)
        self.target, self.images = walk.target, walk.images
        walk.run(depth_first(self.search.live, self._needs), self._write)
        self.made = walk.finish(graph.outputs)

    def _needs(self, node: int) -> Sequence[int]:
        """What is read where a node is written: its operands, and factors that are applied."""
        graph, plan = self.graph, self.plan
        if node == plan.start or (node in plan.inside and plan.extras):
            return (*plan.factor.above, *plan.factor.below, *graph.operands[node])
        return graph.operands[node]

    def _write(self, walk: Walk, node: int) -> int | None:
        graph, plan = self.graph, self.plan
        if not graph.operands[node]:
            return None
        if node in plan.absorbed:
            return self.images[plan.sources[node]]
        if node != plan.start:
            return self._same(node)
        own = self.search.own(node)
        factor = plan.factor if own is None else plan.factor.times(own[0])
        base = self._same(node) if own is None else self.images[own[1]]
        return self._scaled(base, factor)

    def _same(self, node: int) -> int:
        """The node with the images of its operands; one that is inside adds scaled ones alone."""
        graph, plan = self.graph, self.plan
        operands = graph.operands[node]
        images = [self.images[operand] for operand in operands]
        if node in plan.inside and node != plan.start:
            for place, operand in enumerate(operands):
                if operand in plan.extras and place in _terms(graph, node):
                    images[place] = self._extra(operand)
        return self._made(graph.ops[node], tuple(images), graph.statics.get(node, ()))

    def _extra(self, node: int) -> int:
        """What is added to something scaled, scaled."""
        if node not in self.extras:
            self.extras[node] = self._scaled(self.images[node], self.plan.factor)
        return self.extras[node]

    def _made(self, op: Op, operands: tuple[int, ...], statics: tuple[Any, ...] = ()) -> int:
        """A node of the target; scalars that are the same are one."""
        target = self.target
        key = op, operands, statics
        if key in self.scalars:
            return self.scalars[key]
        node = target.append(op, operands, statics)
        if node not in target.shapes:
            self.scalars[key] = node
        return node

    def _scaled(self, node: int, factor: Factor) -> int:
        """The node of the target times the factor."""
        above, below = ([self.images[n] for n in part] for part in factor[1:])
        value = self.target.value(node) if self.target.ops[node] is CONSTANT else None
        if isinstance(value, float):
            return self._product(factor.number * value, above, below)
        if factor.number == 1.0 and not above and len(below) == 1:
            return self._made(DIV, (node, below[0]))
        return self._made(MUL, (self._product(factor.number, above, below), node))

    def _product(self, number: float, above: list[int], below: list[int]) -> int:
        """A number times scalars over scalars."""
        scalar = self.target.constant(number).id
        if above and number == 1.0:
            scalar = above.pop(0)
        for one in above:
            scalar = self._made(MUL, (scalar, one))
        for one in below:
            scalar = self._made(DIV, (scalar, one))
        return scalar
