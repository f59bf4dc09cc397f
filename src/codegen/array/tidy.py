"""Rewrites of a batched array graph that save an operation on arrays and may round otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from ...graph.expr import Expr, Graph, live_nodes
from ...graph.rewrite import Rewritten, Walk
from ...graph.store import use_counts
from ...ops.arrays import OUTER, RESHAPE, SUM
from ...ops.scalar import ADD, CONSTANT, DIV, MUL, SUB, WHERE


def tidied(graph: Graph) -> Rewritten:
    """`graph.outputs` in a new graph, with fewer operations on arrays.

    A comparison is 1 or 0, so adding -1 where it holds subtracts it; multiplying by a reciprocal
    that nothing else uses divides; two sums of vectors that are added are one sum; and the outer
    product with one number multiplies by it.

    >>> from wengert import equal, where
    >>> g = Graph(); x, y = g.array("x", 3), g.array("y", 3)
    >>> g.outputs = ((where(equal(y, 2), -1, 0) + x * (1 / y)).id,)
    >>> small, _ = tidied(g)
    >>> print(small[small.outputs[0]])
    x/y - (y == 2)
    """
    work = _Tidying(graph)
    work.walk.run(work.live, work.write)
    return work.walk.finish(graph.outputs)


@dataclass
class _Tidying:
    """The state of tidying one graph: what it is, and the walk that writes it anew."""

    graph: Graph

    def __post_init__(self) -> None:
        self.walk = Walk(self.graph)
        self.live = live_nodes(self.graph, self.graph.outputs)
        self.uses = use_counts(self.graph, self.live, self.graph.outputs)

    def image(self, node: int) -> Expr:
        """What a node of the graph became."""
        return self.walk.target[self.walk.images[node]]

    def write(self, walk: Walk, node: int) -> int | None:
        """The node in the target where a rewrite applies."""
        graph = self.graph
        if graph.ops[node] is ADD and node not in graph.shapes:
            made = self._one_sum(node)
        else:
            rewrites = {ADD: self._minus_truth, MUL: self._quotient, OUTER: self._multiple}
            rewrite = rewrites.get(graph.ops[node])
            made = rewrite(node) if rewrite and node in graph.shapes else None
        return None if made is None else made.id

    def _minus_truth(self, node: int) -> Expr | None:
        """`where(c, -1, 0) + x` as `x - c`."""
        graph = self.graph
        for one, other in _both_ways(graph.operands[node]):
            if graph.ops[one] is not WHERE or self.uses[one] > 1:
                continue
            condition, taken, left = graph.operands[one]
            choices = self._number(taken), self._number(left)
            fits = graph.shapes.get(other) == graph.shapes[node]
            if graph.ops[condition].truth and choices == (-1.0, 0.0) and fits:
                return self.image(other) - self.image(condition)
        return None

    def _quotient(self, node: int) -> Expr | None:
        """`x * (1/s)` as `x / s`, the reciprocal with an axis inserted or without."""
        graph = self.graph
        for one, other in _both_ways(graph.operands[node]):
            shape, inner = None, one
            if graph.ops[one] is RESHAPE and self.uses[one] == 1:
                shape, inner = graph.statics[one][0], graph.operands[one][0]
            if graph.ops[inner] is not DIV or self.uses[inner] > 1:
                continue
            above, below = graph.operands[inner]
            same = graph.shapes.get(below, ()) == graph.shapes.get(inner, ())
            if self._number(above) == 1.0 and same:
                divisor: Expr = self.image(below)
                if shape is not None:
                    divisor = RESHAPE(divisor, shape)
                return self.image(other) / divisor
        return None

    def _multiple(self, node: int) -> Expr | None:
        """`outer([c], x)` as `c * x` with an axis inserted, and `outer(x, [c])` so."""
        graph = self.graph
        for one, other in _both_ways(graph.operands[node]):
            array = graph.value(one) if graph.ops[one] is CONSTANT else None
            if array is not None and graph.shapes[one] == (1,):
                made: Expr = RESHAPE(float(array[0]) * self.image(other), graph.shapes[node])
                return made
        return None

    def _one_sum(self, node: int) -> Expr | None:
        """`sum(a) + (sum(b) - c)` as `sum(a + b) - c`, and the same without `c`."""
        graph = self.graph
        for one, other in _both_ways(graph.operands[node]):
            rest = None
            if graph.ops[other] is SUB and self.uses[other] == 1:
                other, rest = graph.operands[other]
            a, b = self._summed(one), self._summed(other)
            if a is not None and b is not None and graph.shapes[a] == graph.shapes[b]:
                total: Expr = SUM(self.image(a) + self.image(b), 0)
                return total if rest is None else total - self.image(rest)
        return None

    def _summed(self, node: int) -> int | None:
        """The vector that a node sums, if nothing else reads the sum."""
        graph = self.graph
        if graph.ops[node] is not SUM or self.uses[node] > 1:
            return None
        (vector,) = graph.operands[node]
        return vector if len(graph.shapes[vector]) == 1 else None

    def _number(self, node: int) -> float | None:
        """The number that a node is, if it is one."""
        value = self.graph.value(node) if node not in self.graph.shapes else None
        return value if self.graph.source(node) is None else None


def _both_ways(operands: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    a, b = operands
    return (a, b), (b, a)
