"""Chains of additions as sums of any number of terms: the first step of rolling a graph.

A neuron written `b + w0*x0 + w1*x1 + …` is a chain of additions, each with one use. Here the chain
becomes one sum of signed terms, and a product with no other use becomes part of its term. Only what
adds from one end is merged: in `a + (b - c)` the parentheses may be there to keep a cancellation
exact, as in the shifted log-sum-exp, so the difference stays a sum of its own. Chains of maxima are
treated alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..graph.expr import Graph
from ..ops.scalar import ADD, CONSTANT, MAXIMUM, MUL, SUB

PLAIN = -1
"""Stands where a term that is no product would have its second factor."""


class Term(NamedTuple):
    """One term of a sum: `sign` times a node, or times the product of two."""

    sign: int
    factor: int
    other: int = PLAIN


@dataclass(frozen=True)
class Collapsed:
    """What a scalar graph looks like with its chains collapsed.

    live    the nodes that are left, in topological order
    chains  the terms of each sum, and of each maximum, in the order they were written
    levels  a number per node of the graph, larger than those of all it is computed from
    """

    live: list[int]
    chains: dict[int, list[Term]]
    levels: list[int]


def collapse(graph: Graph, live: Sequence[int], roots: Iterable[int]) -> Collapsed:
    """The nodes of `live`, which `roots` need, with chains of additions and of maxima collapsed.

    >>> g = Graph(); w, x = g.inputs("w", 2), g.inputs("x", 2); b = g.input("b")
    >>> y = b + w[0] * x[0] + w[1] * x[1]
    >>> collapse(g, range(len(g)), [y.id]).chains[y.id][1]
    Term(sign=1, factor=0, other=2)
    """
    uses = _Uses(graph, live, roots)
    merged = _merged(graph, live, uses)
    chains: dict[int, list[Term]] = {}
    ops = graph.ops
    for node in live:
        if ops[node] in _CHAINED and not merged[node]:
            chains[node] = _terms(graph, node, merged, uses)
    left = [node for node in live if not merged[node]]
    return Collapsed(left, chains, _levels(graph, left, chains))


_CHAINED = frozenset((ADD, SUB, MAXIMUM))


class _Uses:
    """How often each node is used: at all, by sums, and by sums as what they add to."""

    def __init__(self, graph: Graph, live: Iterable[int], roots: Iterable[int]) -> None:
        self.all = [0] * len(graph)
        self.by_sums = [0] * len(graph)
        self.added_to = [0] * len(graph)
        for root in roots:
            self.all[root] += 1
        ops, operands_of = graph.ops, graph.operands
        for node in live:
            operands = operands_of[node]
            for operand in operands:
                self.all[operand] += 1
            if ops[node] is ADD or ops[node] is SUB:
                left, right = operands
                self.added_to[left] += 1
                self.by_sums[left] += 1
                self.by_sums[right] += 1


def _merged(graph: Graph, live: Sequence[int], uses: _Uses) -> bytearray:
    """True for each link of a chain that is not its end. Products join later, in `_terms`.

    A beginning that several sums share is written out in each, as long as that adds few terms:
    samples whose first features are equal have such beginnings.
    """
    ops, operands_of = graph.ops, graph.operands
    merged, subtracts = bytearray(len(graph)), bytearray(len(graph))
    lengths: dict[int, int] = {}
    spare = len(live)
    for node in live:
        op = ops[node]
        if op is MAXIMUM:
            for operand in operands_of[node]:
                if ops[operand] is MAXIMUM and uses.all[operand] == 1:
                    merged[operand] = True
        elif op is ADD or op is SUB:
            left, right = operands_of[node]
            subtracts[node] = op is SUB
            length = 2
            if left in lengths:
                extra = (uses.all[left] - 1) * lengths[left]
                if not merged[left] and uses.all[left] == uses.added_to[left] and extra <= spare:
                    spare -= extra
                    merged[left] = True
                if merged[left]:
                    length += lengths[left] - 1
                    subtracts[node] |= subtracts[left]
            if op is ADD and uses.all[right] == 1 and ops[right] is ADD and not subtracts[right]:
                merged[right] = True
                length += lengths[right] - 1
            lengths[node] = length
    return merged


def _terms(graph: Graph, end: int, merged: bytearray, uses: _Uses) -> list[Term]:
    """The terms of the chain that ends in `end`, in the order they were written; zeros left out."""
    ops, operands_of = graph.ops, graph.operands
    terms: list[Term] = []
    zeros: list[Term] = []
    sums = ops[end] is not MAXIMUM
    stack = [(1, end)]
    while stack:
        sign, node = stack.pop()
        op = ops[node]
        if op in _CHAINED and (merged[node] or node == end):
            left, right = operands_of[node]
            stack.append((-sign if op is SUB else sign, right))
            stack.append((sign, left))
        elif sums and op is MUL and _joins(graph, node, uses):
            merged[node] = True
            terms.append(Term(sign, *operands_of[node]))
        elif sums and op is CONSTANT and graph.value(node) == 0.0:
            zeros.append(Term(1, node))
        else:
            terms.append(Term(sign, node))
    if not terms or terms[0].sign < 0:
        terms[:0] = zeros[:1]
    return terms


def _joins(graph: Graph, product: int, uses: _Uses) -> bool:
    """Whether a product is computed within sums: if it has one use, or scales by a constant."""
    if uses.all[product] == 1:
        return True
    if uses.all[product] > uses.by_sums[product]:
        return False
    return any(graph.ops[operand] is CONSTANT for operand in graph.operands[product])


def _levels(graph: Graph, live: Iterable[int], chains: dict[int, list[Term]]) -> list[int]:
    """Generations: leaves are 0; parts of a sum come one after their terms, the sum after them.

    A product is computed when it would be if it were the only part of a sum, and used as late: at
    the edges of a convolution a sum may have a single term.
    """
    levels = [0] * len(graph)
    operands_of = graph.operands
    for node in live:
        terms = chains.get(node)
        if terms is not None:
            levels[node] = 2 + max(term_level(term, levels) for term in terms)
        elif operands_of[node]:
            after = 2 if graph.ops[node] is MUL else 1
            levels[node] = after + max([levels[operand] for operand in operands_of[node]])
    return levels


def term_level(term: Term, levels: Sequence[int]) -> int:
    """The level of what a term is made of."""
    _, factor, other = term
    if other == PLAIN:
        return levels[factor]
    return max(levels[factor], levels[other])
