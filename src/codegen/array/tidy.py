"""Rewrites of a batched array graph that save an operation on arrays and may round otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from ...graph.expr import Expr, Graph, live_nodes
from ...ops.arrays import OUTER, RESHAPE, SUM
from ...ops.scalar import ADD, CONSTANT, DIV, MUL, SUB, WHERE


def tidied(graph: Graph) -> Graph:
    """`graph.outputs` in a new graph, with fewer operations on arrays.

    A comparison is 1 or 0, so adding -1 where it holds subtracts it; multiplying by a reciprocal
    that nothing else uses divides; two sums of vectors that are added are one sum; and the outer
    product with one number multiplies by it.

    >>> from wengert import equal, where
    >>> g = Graph(); x, y = g.array("x", 3), g.array("y", 3)
    >>> g.outputs = ((where(equal(y, 2), -1, 0) + x * (1 / y)).id,)
    >>> small = tidied(g)
    >>> print(small[small.outputs[0]])
    x/y - (y == 2)
    """
    work = _Tidying(graph)
    for node in work.live:
        work.make(node)
    work.finish()
    return work.target


@dataclass
class _Tidying:
    """The state of tidying one graph: what it is, and the images of its nodes."""

    graph: Graph

    def __post_init__(self) -> None:
        graph = self.graph
        self.target = Graph()
        self.images: dict[int, int] = {}
        self.live = live_nodes(graph, graph.outputs)
        read = chain.from_iterable(graph.operands[node] for node in self.live)
        self.uses = Counter(chain(graph.outputs, read))

    def image(self, node: int) -> Expr:
        """What a node of the graph became."""
        return self.target[self.images[node]]

    def make(self, node: int) -> None:
        """The node in the target, rewritten where a rewrite applies."""
        graph, target = self.graph, self.target
        operands = graph.operands[node]
        if not operands:
            self.images[node] = target.copy_leaf(graph, node)
            return
        target.deriving(graph.origins[node])
        rewrite = {ADD: self._minus_truth, MUL: self._quotient, OUTER: self._multiple}.get(
            graph.ops[node]
        )
        made = rewrite(node) if rewrite and node in graph.shapes else None
        if graph.ops[node] is ADD and node not in graph.shapes:
            made = self._one_sum(node)
        if made is None:
            images = tuple([self.images[n] for n in operands])
            self.images[node] = target.append(graph.ops[node], images, graph.statics.get(node, ()))
        else:
            self.images[node] = made.id
        target.deriving(None)

    def finish(self) -> None:
        """Outputs, labels and what is known of derivatives."""
        copy_knowledge(self.graph, self.target, self.images)

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


def copy_knowledge(graph: Graph, target: Graph, images: Mapping[int, int]) -> None:
    """Give `target` the outputs, labels and adjoints of `graph`, whose nodes became `images`."""
    target.outputs = tuple(images[node] for node in graph.outputs)
    for node, label in graph.labels.items():
        if node in images and target.operands[images[node]]:
            target.labels.setdefault(images[node], label)
    for adjoint, primal in graph.adjoint_of.items():
        if adjoint in images and primal in images and target.operands[images[adjoint]]:
            target.adjoint_of.setdefault(images[adjoint], images[primal])
