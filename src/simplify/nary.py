"""Chains of additions and of multiplications as sums and products of any number of operands.

What a chain of two-operand operations computes is a sum of terms, or a product of factors, whose
order and grouping are free over the reals. `sums` and `products` read chains that way and `Nary`
writes one again, with as few operations as it has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from ..graph.expr import Graph
from ..graph.store import live_nodes, use_counts
from ..graph.traversal import taken_apart
from ..ops.record import Op
from ..ops.scalar import ADD, CONSTANT, MUL, NEG, SUB, TOTAL
from .rules import scalar_constant

ONE = -1
"""Stands for the number 1 among the operands of a sum, whose weight is then a constant term."""

Make = Callable[[Op, tuple[int, ...]], int]

_Link = tuple[int, float, bool]
"""An operand in a chain, its weight, and whether it may be a part of the chain itself."""


@dataclass
class Nary:
    """A sum or a product.

    product  whether it is a product
    weights  operand → what it is multiplied with in a sum, the exponent it has in a product; in
             the order in which they are written
    """

    product: bool
    weights: dict[int, float]

    def operations(self) -> int:
        """How many operations `write` makes."""
        if self.product:
            return max(int(sum(self.weights.values())) - 1, 0)
        scaled = sum(abs(w) != 1 for operand, w in self.weights.items() if operand != ONE)
        negated = all(w < 0 for operand, w in self.weights.items() if operand != ONE)
        return max(len(self.weights) - 1, 0) + scaled + negated

    def write(self, images: Mapping[int, int], make: Make, number: Callable[[float], int]) -> int:
        """The node that computes it; `images` are the nodes of its operands."""
        if self.product:
            return _chain(MUL, make, self._factors(images)) or number(1.0)
        node = None
        for operand, weight in self._positive_first():
            if operand == ONE:
                term, subtract = number(abs(weight)), weight < 0
            else:
                term, subtract = images[operand], weight < 0
                if abs(weight) != 1:
                    term = make(MUL, (number(abs(weight)), term))
            if node is None:
                node = make(NEG, (term,)) if subtract else term
            else:
                node = make(SUB if subtract else ADD, (node, term))
        return number(0.0) if node is None else node

    def _factors(self, images: Mapping[int, int]) -> Iterator[int]:
        for operand, exponent in self.weights.items():
            yield from [images[operand]] * int(exponent)

    def _positive_first(self) -> list[tuple[int, float]]:
        """The terms in order, but for the first that is added, which leads."""
        terms = list(self.weights.items())
        first = next((i for i, (_, weight) in enumerate(terms) if weight > 0), 0)
        return [terms[first], *terms[:first], *terms[first + 1 :]] if terms else []


def _chain(op: Op, make: Make, nodes: Iterable[int]) -> int | None:
    result = None
    for node in nodes:
        result = node if result is None else make(op, (result, node))
    return result


@dataclass(frozen=True)
class Uses:
    """What decides whether a node may become part of the chain that uses it.

    live    the nodes that the graph's outputs need
    counts  how often each node is used
    varies  the nodes that have a value of their own for every sample of a batch
    spread  nodes with several uses that are written out in each
    """

    graph: Graph
    live: Sequence[int]
    counts: Mapping[int, int]
    varies: Collection[int]
    spread: Collection[int] = ()

    @classmethod
    def of(cls, graph: Graph, samples: Collection[str] = (), *, spread: bool = False) -> Uses:
        """The uses of a graph with outputs.

        samples  the leaves that vary over a batch
        spread   whether a chain that several chains of its kind use is to be written out in each,
                 as long as the graph does not double
        """
        live = live_nodes(graph, graph.outputs)
        counts = use_counts(graph, live, graph.outputs)
        varies: set[int] = {graph.leaves[name] for name in samples if name in graph.leaves}
        if varies:
            for node in live:
                operands = graph.operands[node]
                if graph.ops[node] is not TOTAL and not varies.isdisjoint(operands):
                    varies.add(node)
        found = cls(graph, live, counts, varies)
        return replace(found, spread=found._to_spread()) if spread else found

    def joins(self, operand: int, node: int) -> bool:
        """Whether an operand is nothing but a part of `node`: no other use, no name, as often."""
        return (
            (self.counts[operand] == 1 or operand in self.spread)
            and operand not in self.graph.labels
            and (operand in self.varies) == (node in self.varies)
        )

    def _to_spread(self) -> set[int]:
        graph, counts = self.graph, self.counts
        kinds = {op: kind for kind, ops in enumerate(((ADD, SUB), (MUL,))) for op in ops}
        alike = Counter(
            operand
            for node in self.live
            for operand in graph.operands[node]
            if kinds.get(graph.ops[node], -1) == kinds.get(graph.ops[operand])
        )
        found: set[int] = set()
        lengths: dict[int, int] = {}
        budget = len(self.live)
        for node in self.live:
            if graph.ops[node] not in kinds:
                continue
            parts = graph.operands[node]
            lengths[node] = sum(
                lengths.get(part, 1) if counts[part] == 1 or part in found else 1 for part in parts
            )
            growth = (counts[node] - 1) * lengths[node]
            if counts[node] > 1 and counts[node] == alike[node] and growth <= budget:
                budget -= growth
                found.add(node)
        return found


def sums(uses: Uses) -> dict[int, Nary]:
    """The sums of a graph by the node that computes each, those that are part of others aside.

    A term is a weight times an operand. In a + (b - c) the difference stays whole: it may be
    there to keep a cancellation exact.

    >>> g = Graph(); a, b = g.inputs("x", 2); y = a + 2 * b + a - 3
    >>> g.outputs = (y.id,)
    >>> sums(Uses.of(g))[y.id].weights
    {0: 2.0, 1: 2.0, -1: -3.0}
    """
    return _chains(uses, (ADD, SUB), _terms)


def products(uses: Uses) -> dict[int, Nary]:
    """The products of a graph by the node that computes each, those in others aside.

    >>> g = Graph(); a, b = g.inputs("x", 2); y = a * b * a
    >>> g.outputs = (y.id,)
    >>> products(Uses.of(g))[y.id].weights
    {0: 2.0, 1: 1.0}
    """
    return _chains(uses, (MUL,), _factors)


def _chains(
    uses: Uses,
    roots: tuple[Op, ...],
    parts: Callable[[Uses, int, float], list[_Link] | None],
) -> dict[int, Nary]:
    """Each chain, read from its end: `parts` says what a node is made of, if it is a link."""
    graph = uses.graph
    found: dict[int, Nary] = {}
    inside: set[int] = set()

    def parts_inside(link: _Link) -> list[_Link] | None:
        node, weight, may_join = link
        made_of = None
        if may_join or graph.ops[node] is CONSTANT:
            made_of = parts(uses, node, weight)
        if made_of is not None:
            inside.add(node)
        return made_of

    for root in reversed(uses.live):
        if graph.ops[root] not in roots or root in inside or root in graph.shapes:
            continue
        weights: dict[int, float] = {}
        for node, weight, _ in taken_apart((root, 1.0, True), parts_inside):
            weights[node] = weights.get(node, 0.0) + weight
        kept = {operand: weight for operand, weight in weights.items() if weight}
        if all(map(isfinite, kept.values())):
            found[root] = Nary(MUL in roots, kept)
    return dict(sorted(found.items()))


def _terms(uses: Uses, node: int, weight: float) -> list[_Link] | None:
    """What a node adds up: operand, weight, and whether that may be a sum itself."""
    graph = uses.graph
    op, operands = graph.ops[node], graph.operands[node]
    if op is ADD:
        a, b = operands
        plain = graph.ops[b] is not SUB and graph.ops[b] is not NEG
        return [(a, weight, uses.joins(a, node)), (b, weight, plain and uses.joins(b, node))]
    if op is SUB:
        a, b = operands
        plain = graph.ops[b] is MUL
        return [(a, weight, uses.joins(a, node)), (b, -weight, plain and uses.joins(b, node))]
    if op is NEG:
        return [(operands[0], -weight, uses.joins(operands[0], node))]
    number = scalar_constant(graph, node)
    if number is not None:
        return [(ONE, weight * number, False)]
    if op is MUL:
        for factor, other in (operands, operands[::-1]):
            number = scalar_constant(graph, factor)
            if number is not None and isfinite(weight * number):
                return [(other, weight * number, False)]
    return None


def _factors(uses: Uses, node: int, weight: float) -> list[_Link] | None:
    if uses.graph.ops[node] is not MUL:
        return None
    return [(operand, weight, uses.joins(operand, node)) for operand in uses.graph.operands[node]]
