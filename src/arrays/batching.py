"""Batching: the graph for one sample as the graph for a whole batch, its samples the leading axis.

What varies from sample to sample gets an axis more; `total` becomes a sum over that axis. Sums of
products over samples are contracted at once, so the total of `outer(d, x)` is `D.T @ X` and no
outer product is ever formed. (JAX calls the first half vmap.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final

from ..errors import NotALeafError, OperandError, ShapeError
from ..graph.expr import Expr, Graph, common_graph, live_nodes
from ..graph.rewrite import Rewritten, Walk
from ..ops.arrays import (
    BROADCAST,
    GATHER,
    GATHER_ROWS,
    LENGTH,
    MATMUL,
    OUTER,
    RESHAPE,
    SCATTER,
    SCATTER_ROWS,
    STACK,
    STACK_ROWS,
    SUM,
    TRANSPOSE,
)
from ..ops.record import Op
from ..ops.scalar import ADD, CONSTANT, DIV, MUL, NEG, SUB, TOTAL
from ..ops.shapes import BATCH, Shape, shape_text

_MOVES: Final = frozenset((RESHAPE, TRANSPOSE, GATHER, STACK))
_SUMS: Final = frozenset((ADD, SUB))


def batch(exprs: Iterable[Any], leaves: Iterable[Any]) -> list[Expr]:
    """The expressions for a batch of samples, in a new graph.

    exprs   expressions of one sample
    leaves  the leaves of which every sample has its own, or their names

    Those leaves become arrays with a leading axis of length `BATCH`, and so does what depends on
    them, except through `total`: totals are sums over the samples.

    >>> from wengert import total
    >>> g = Graph(); W, x = g.array("W", (2, 3)), g.array("x", 3)
    >>> for expr in batch([W @ x, total(OUTER((W @ x).tanh(), x))], [x]):
    ...     print(expr, expr.shape)
    x @ W.T (-1, 2)
    tanh(x @ W.T).T @ x (2, 3)
    """
    wanted = list(exprs)
    graph = common_graph(wanted)
    roots = [graph.node_of(thing) for thing in wanted]
    result = batch_graph(graph, roots, [_leaf(graph, leaf) for leaf in leaves]).graph
    return [result[node] for node in result.outputs]


def batch_graph(graph: Graph, roots: Sequence[int], batched: Iterable[int]) -> Rewritten:
    """The graph that `batch` makes; its outputs are `roots` of a batch."""
    live = live_nodes(graph, roots)
    leaves = sorted(set(batched))
    if not leaves:
        raise OperandError("no leaf is batched; name at least one")
    work = _Batching(graph, _varying(graph, live, leaves), leaves[0])
    work.plan(live, roots)
    work.walk.run([n for n in live if n in work.wanted or n in work.summed], work.write)
    return work.walk.finish(roots)


def _leaf(graph: Graph, leaf: Any) -> int:
    node = graph.leaves.get(leaf) if isinstance(leaf, str) else graph.find(leaf)
    if node is None or not graph.is_leaf(node) or graph.ops[node] is CONSTANT:
        raise NotALeafError(f"{leaf!r} is no input or parameter of the expressions to batch")
    return node


def _varying(graph: Graph, live: Sequence[int], batched: Iterable[int]) -> set[int]:
    """The nodes with a value of their own for every sample."""
    varying = set(batched)
    for node in varying:
        if BATCH in graph.shapes.get(node, ()):
            raise ShapeError(
                f"{Expr(graph, node)!r} of shape {shape_text(graph.shapes[node])} already has "
                "an axis of samples; give it the shape of one sample"
            )
    for node in live:
        if graph.ops[node] is not TOTAL and not varying.isdisjoint(graph.operands[node]):
            varying.add(node)
    return varying


@dataclass
class _Batching:
    """The state of batching one graph.

    varying  nodes of the graph with a value for every sample; `first` is a leaf among them
    wanted   nodes whose values are needed, `images` in the target
    summed   nodes whose sums over the samples are needed, `totals` in the target; where a sum is
             all that is needed of a node, it is the image as well
    """

    graph: Graph
    varying: set[int]
    first: int
    wanted: set[int] = field(default_factory=set)
    summed: set[int] = field(default_factory=set)
    totals: dict[int, int] = field(default_factory=dict)
    counted: int | None = None

    def __post_init__(self) -> None:
        self.walk = Walk(self.graph)
        self.target, self.images = self.walk.target, self.walk.images

    def plan(self, live: Sequence[int], roots: Iterable[int]) -> None:
        """Decide, consumers first, which nodes are computed and which only summed."""
        graph, worth = self.graph, self._contracting(live)
        self.wanted.update(roots)
        for node in reversed(live):
            operands = graph.operands[node]
            if node in self.summed:
                if self._is_whole_sum(node) and node not in self.wanted:
                    self.wanted.update(operands)
                elif node not in self.wanted and self._passes_on(node, worth):
                    for operand in operands:
                        summand = self._is_summand(node, operand)
                        (self.summed if summand else self.wanted).add(operand)
                elif not self._is_contraction(node):
                    self.wanted.add(node)
                else:
                    self.wanted.update(self._factors(node))
            if node in self.wanted:
                (self.summed if graph.ops[node] is TOTAL else self.wanted).update(operands)

    def _contracting(self, live: Sequence[int]) -> set[int]:
        """The nodes whose total gains from being taken further down: there are products below."""
        graph = self.graph
        worth: set[int] = set()
        for node in live:
            if node in self.varying:
                linear = graph.ops[node] in _MOVES | _SUMS or graph.ops[node] is NEG
                below = linear and not worth.isdisjoint(graph.operands[node])
                if below or self._is_contraction(node) or self._is_whole_sum(node):
                    worth.add(node)
        return worth

    def _passes_on(self, node: int, worth: set[int]) -> bool:
        """Whether the total of the node is computed from totals of its operands."""
        graph = self.graph
        op, operands = graph.ops[node], graph.operands[node]
        if node not in self.varying or not operands:
            return False
        if op in (NEG, SCATTER):
            return True
        if op in (MUL, MATMUL, OUTER):
            return not self.varying.issuperset(operands)
        if op is DIV:
            return operands[1] not in self.varying
        return node in worth and (op in _MOVES or (op in _SUMS and self._same_shape(node)))

    def _is_whole_sum(self, node: int) -> bool:
        """Whether the total of the node is the sum of all elements of its operand."""
        varies, whole = node in self.varying, not self.shape(node)
        return varies and whole and self.graph.ops[node] is SUM

    def _is_summand(self, node: int, operand: int) -> bool:
        """Whether the total of `node`, which passes on, takes that of the operand."""
        products = self.graph.ops[node] in (MUL, MATMUL, OUTER, DIV)
        return operand in self.varying or not products

    def _same_shape(self, node: int) -> bool:
        shapes = self.graph.shapes
        return all(shapes.get(n, ()) == shapes.get(node, ()) for n in self.graph.operands[node])

    def _is_contraction(self, node: int) -> bool:
        """Whether the total of the node is a matrix product of its varying operands."""
        graph = self.graph
        op, operands = graph.ops[node], graph.operands[node]
        if not operands or not self.varying.issuperset(operands):
            return False
        shapes = [graph.shapes.get(n, ()) for n in operands]
        if op is OUTER:
            return True
        if op is MUL:
            return () in shapes and len(graph.shapes.get(node, ())) < 2
        if op is MATMUL:
            ranks = tuple(map(len, shapes))
            turned = graph.ops[operands[0]] is TRANSPOSE
            return ranks in ((1, 1), (1, 2)) or (turned and ranks in ((2, 1), (2, 2)))
        return False

    def _factors(self, node: int) -> tuple[int, ...]:
        """What the matrix product of a contraction is computed from."""
        graph = self.graph
        operands = graph.operands[node]
        first = operands[0]
        if graph.ops[node] is MATMUL and len(graph.shapes[first]) == 2:
            return (graph.operands[first][0], operands[1])
        return operands

    def write(self, walk: Walk, node: int) -> int:
        """The value of the node in the target where it is wanted, and its sum where that is."""
        if node in self.wanted and node not in walk.images:
            walk.images[node] = self._value(node)
        if node in self.summed:
            self.totals[node] = self._total(node).id
        return walk.images[node] if node in self.wanted else self.totals[node]

    def _value(self, node: int) -> int:
        graph = self.graph
        op, operands = graph.ops[node], graph.operands[node]
        if op is TOTAL:
            return self.totals[operands[0]]
        if node not in self.varying:
            return self.walk.copy(node)
        if operands:
            return _rule(op)(self, node, *graph.statics.get(node, ())).id  # type: ignore[no-any-return]
        leaf = self.target.array(graph.labels[node], (BATCH, *graph.shapes.get(node, ())))
        if node in graph.lanes:
            self.target.lanes[leaf.id] = graph.lanes[node]
        return leaf.id

    def image(self, node: int, rank: int | None = None) -> Any:
        """The value of a node; with `rank`, a varying one gets axes of length 1 after the samples.

        So that it lines up with values which have `rank` axes for each sample.
        """
        expr = self.target[self.images[node]]
        if rank is None or node not in self.varying or len(expr.shape) > rank:
            return expr
        missing = rank + 1 - len(expr.shape)
        return RESHAPE(expr, (BATCH, *(1,) * missing, *expr.shape[1:]))

    def shape(self, node: int) -> Shape:
        """The shape of a node for one sample."""
        return self.graph.shapes.get(node, ())

    def _total(self, node: int) -> Any:
        """The sum over the samples of the node's value."""
        graph = self.graph
        op, operands = graph.ops[node], graph.operands[node]
        if node not in self.varying:
            return self._count() * self.image(node)
        if node in self.wanted:
            return SUM(self.image(node), 0)
        if self._is_whole_sum(node):
            return SUM(self.image(operands[0]), None)
        if self._is_contraction(node):
            return self._contracted(node)
        terms = [
            self.target[self.totals[n]] if self._is_summand(node, n) else self.image(n)
            for n in operands
        ]
        return op(*terms, *graph.statics.get(node, ()))

    def _contracted(self, node: int) -> Any:
        a, b = map(self.image, self._factors(node))
        op = self.graph.ops[node]
        if op is MUL:
            return MATMUL(a, b) if len(a.shape) == 1 else MATMUL(b, a)
        if op is OUTER:
            return MATMUL(TRANSPOSE(a), b)
        left, right = map(self.shape, self.graph.operands[node])
        rows = (BATCH, left[0]) if len(left) == 2 else (BATCH,)
        a = TRANSPOSE(RESHAPE(a, rows)) if len(left) == 2 else RESHAPE(a, rows)
        return MATMUL(a, RESHAPE(b, (BATCH, *right[1:])))

    def _count(self) -> Any:
        """How many samples there are."""
        if self.counted is None:
            if self.first not in self.images:
                self.images[self.first] = self._value(self.first)
            self.counted = LENGTH(self.target[self.images[self.first]]).id
        return self.target[self.counted]


def _elementwise(work: _Batching, node: int, *statics: Any) -> Any:
    rank = len(work.shape(node))
    operands = [work.image(n, rank) for n in work.graph.operands[node]]
    return work.graph.ops[node](*operands, *statics)


def _matmul(work: _Batching, node: int) -> Any:
    a, b = work.graph.operands[node]
    left, right = work.shape(a), work.shape(b)
    ranks = len(left), len(right)
    if a not in work.varying and ranks[1] == 1 and ranks[0] <= 2:
        first = work.image(a)
        return work.image(b) @ (first.T if ranks[0] == 2 else first)
    if ranks == (1, 1) and b in work.varying:
        return SUM(work.image(a) * work.image(b), 1)
    if b not in work.varying and ranks[1] <= 2:
        return work.image(a) @ work.image(b)
    rank = max(*ranks, 2)
    first = _as_matrix(work, a, left if ranks[0] > 1 else (1, *left), rank)
    second = _as_matrix(work, b, right if ranks[1] > 1 else (*right, 1), rank)
    return RESHAPE(first @ second, (BATCH, *work.shape(node)))


def _as_matrix(work: _Batching, node: int, shape: Shape, rank: int) -> Any:
    expr = work.image(node)
    if node not in work.varying:
        return expr if expr.shape == shape else RESHAPE(expr, shape)
    wanted = (BATCH, *(1,) * (rank - len(shape)), *shape)
    return expr if expr.shape == wanted else RESHAPE(expr, wanted)


def _outer(work: _Batching, node: int) -> Any:
    a, b = work.graph.operands[node]
    first = work.image(a)
    return RESHAPE(first, (*first.shape, 1)) * work.image(b, 2)


def _reduction(work: _Batching, node: int, axis: int | None) -> Any:
    (x,) = work.graph.operands[node]
    expr, shape = work.image(x), work.shape(x)
    if axis is None and len(shape) > 1:
        expr = RESHAPE(expr, (BATCH, prod(shape)))
    if not shape:
        return expr
    return work.graph.ops[node](expr, (axis or 0) + 1)


def _first_max(work: _Batching, node: int, axis: int | None) -> Any:
    mask = _reduction(work, node, axis)
    return mask if axis is not None else RESHAPE(mask, (BATCH, *work.shape(node)))


def _shaped(work: _Batching, node: int, shape: Shape) -> Any:
    (x,) = work.graph.operands[node]
    expr = work.image(x, len(shape) if work.graph.ops[node] is BROADCAST else None)
    return work.graph.ops[node](expr, (BATCH, *shape))


def _same(work: _Batching, node: int) -> Any:
    (x,) = work.graph.operands[node]
    return work.graph.ops[node](work.image(x))


def _by_rows(op: Op) -> Callable[..., Any]:
    return lambda work, node, *statics: op(work.image(work.graph.operands[node][0]), *statics)


def _stack(work: _Batching, node: int) -> Any:
    return STACK_ROWS(*[work.image(n) for n in work.graph.operands[node]])


def _refused(work: _Batching, node: int, *_: Any) -> Any:
    raise OperandError(
        f"{Expr(work.graph, node)!r} works on the rows of a batch and cannot be batched again"
    )


_RULES: Final[dict[str, Callable[..., Any]]] = {
    "matmul": _matmul,
    "outer": _outer,
    **dict.fromkeys(("sum_over", "mean_over", "max_over", "logsumexp"), _reduction),
    "first_max": _first_max,
    "transpose": _same,
    **dict.fromkeys(("reshape", "broadcast_to"), _shaped),
    "gather": _by_rows(GATHER_ROWS),
    "scatter_add": _by_rows(SCATTER_ROWS),
    "stack": _stack,
}
"""What becomes of an operation on whole arrays when an operand varies, by its name."""


def _rule(op: Op) -> Callable[..., Any]:
    return _elementwise if op.shape is None else _RULES.get(op.name, _refused)
