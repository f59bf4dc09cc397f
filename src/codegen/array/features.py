"""Batched graphs turned round: a column per sample, and biases folded into the products.

Arrays of (batch, features) become arrays of (features, batch). What is one number per sample then
lines up by itself, a layer's product reads its weights as they are, and reductions over features
run along whole rows. Where the parameters hold a layer as rows [W | b], its product is that of
[W | b] and the layer's input with one more feature, which is 1; one more such product is the
derivative by both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final, NamedTuple

from ...graph.expr import Expr, Graph, live_nodes
from ...graph.rewrite import Walk
from ...graph.store import consumers
from ...ops.arrays import (
    GATHER,
    LENGTH,
    LOGSUMEXP,
    MATMUL,
    MAX,
    MEAN,
    OUTER,
    RESHAPE,
    SUM,
    TRANSPOSE,
)
from ...ops.indexing import Index
from ...ops.meanings import with_ones
from ...ops.record import Notation, Op
from ...ops.scalar import ADD
from ...ops.shapes import BATCH, Shape
from .families import JOIN, array_of

WIDEST: Final = 2
"""How many times as many inputs as neurons a layer may have that gets a copy of the data with ones;
beyond that the copy costs more than the bias."""


def _with_ones(x: Any, axis: int) -> Any:
    import numpy

    return numpy.insert(x, x.shape[axis], 1.0, axis)


WITH_ONES: Final = Op(
    "with_ones",
    1,
    _with_ones,
    lambda sympy, x, axis: x.row_insert(x.rows, sympy.ones(1, x.cols)),
    (None,),
    {"text": Notation("with_ones({0}, {axis})")},
    "the ones are constant",
    statics=("axis",),
    differentiable=False,
    linear="",
    cost={"numpy": 0.4},
    shape=lambda shape, axis: tuple(n + (i == axis) for i, n in enumerate(shape)),
    meaning=with_ones,
)
"""A matrix with a row of ones under it (axis 0) or a column of ones beside it (axis 1)."""


class Turned(NamedTuple):
    """A graph turned round, and where things went.

    places  node of the old graph, position or None → the same in the new graph
    notes   what the array leaves that were put together are, by name
    images  node of the old graph → its counterpart
    """

    graph: Graph
    places: Mapping[tuple[int, int | None], tuple[int, int | None]]
    notes: Mapping[str, str]
    images: Mapping[int, int]


class _UnfitError(Exception):
    """An operation that has no counterpart on turned arrays."""


def turned(
    graph: Graph, wanted: Sequence[tuple[int, int | None]], order: Mapping[str, tuple[str, int]]
) -> Turned | None:
    """`graph` with a column per sample, or None where that does not fit or there is no product.

    wanted  the outputs: a node, and the position of the number in it or None for all of it
    order   scalar leaf → the argument it is in, and its position there
    """
    work = _Turning(graph, [node for node, _ in wanted], order)
    if not any(graph.ops[n] is MATMUL and _is_table(graph.shapes.get(n, ())) for n in work.live):
        return None
    try:
        work.walk.run(work.live, work.write)
        places = {(node, position): work.place(node, position) for node, position in wanted}
    except _UnfitError:
        return None
    work.walk.finish(work.outputs)
    return Turned(work.target, places, work.notes, work.images)


def _is_table(shape: Shape) -> bool:
    return len(shape) == 2 and shape[0] == BATCH


class _Layer(NamedTuple):
    """A layer that is folded: its input, weights and bias in the old graph, [W | b] in the new."""

    source: int
    weights: int
    bias: int
    both: Expr


@dataclass
class _Turning:
    """The state of turning one graph round."""

    graph: Graph
    outputs: list[int]
    order: Mapping[str, tuple[str, int]]
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        graph = self.graph
        self.walk = Walk(graph)
        self.target, self.images = self.walk.target, self.walk.images
        self.live = live_nodes(graph, self.outputs)
        self.readers = consumers(graph, self.live)
        self.layers: dict[int, _Layer] = {}
        self.ones: dict[int, Expr] = {}
        self.sums: dict[tuple[int, int], int] = {}
        self.shares: dict[int, tuple[Expr, int]] = {}

    def shape(self, node: int) -> Shape:
        """The shape that a node has in the old graph."""
        return self.graph.shapes.get(node, ())

    def image(self, node: int) -> Expr:
        """What a node became."""
        return self.target[self.images[node]]

    def write(self, walk: Walk, node: int) -> int | None:
        """The image of a node."""
        graph, shape = self.graph, self.shape(node)
        if graph.ops[node] is JOIN:
            return self._joined(node).id
        if not any(BATCH in self.shape(n) for n in (node, *graph.operands[node])):
            return None
        if graph.operands[node]:
            return self._counterpart(node).id
        if len(shape) > 2:
            raise _UnfitError
        leaf = walk.copy(node)
        return TRANSPOSE(self.target[leaf]).id if _is_table(shape) else leaf

    def _joined(self, node: int) -> Expr:
        """A vector joined from parts; derivatives by W and b come as that by [W | b]."""
        places, length = self._statics(node)
        operands = self.graph.operands[node]
        parts: dict[int, dict[int, int]] = {}
        for operand, index in zip(operands, places, strict=True):
            for position, place in enumerate(index.positions):
                image, source = self.place(operand, position)
                parts.setdefault(image, {})[source or 0] = place
        shapes = self.target.shapes
        if any(len(row) < prod(shapes.get(image, ())) for image, row in parts.items()):
            images = tuple(self.images[operand] for operand in operands)
            return self.target[self.target.append(JOIN, images, (places, length))]
        rows = [([row[i] for i in range(len(row))], shapes.get(n, ())) for n, row in parts.items()]
        found: Any = tuple(Index(array_of(row, shape)) for row, shape in rows)
        return self.target[self.target.append(JOIN, tuple(parts), (found, length))]

    def place(self, node: int, position: int | None) -> tuple[int, int | None]:
        """Where an output is in the new graph."""
        if BATCH in self.shape(node):
            raise _UnfitError
        if position is None or node not in self.shares:
            return self.images[node], position
        both, column = self.shares[node]
        width = both.shape[1]
        if column == width - 1:
            return both.id, position * width + column
        return both.id, position // (width - 1) * width + position % (width - 1)

    def _statics(self, node: int) -> tuple[Any, ...]:
        return self.graph.statics.get(node, ())

    def _counterpart(self, node: int) -> Expr:
        op, operands = self.graph.ops[node], self.graph.operands[node]
        if op is MATMUL:
            return self._product(node)
        if op is ADD:
            folded = self._folded(node)
            if folded is not None:
                return folded
        if op.shape is None:
            return self._each(node)
        first = self.shape(operands[0])
        x = self.image(operands[0])
        if op is LENGTH:
            made: Expr = LENGTH(_flipped(x) if _is_table(first) else x)
            return made
        if op is TRANSPOSE:
            if len(first) == 2:
                return x  # (features, batch) in both graphs
        elif op in (SUM, MEAN, MAX, LOGSUMEXP):
            return self._reduced(node, x, first)
        elif op is RESHAPE:
            return self._reshaped(node, x, first)
        elif op is OUTER and first == (BATCH,) and BATCH not in self.shape(operands[1]):
            made = OUTER(self.image(operands[1]), x)
            return made
        raise _UnfitError

    def _each(self, node: int) -> Expr:
        """An operation that works element by element."""
        shape = self.shape(node)
        images = []
        for operand in self.graph.operands[node]:
            own, image = self.shape(operand), self.image(operand)
            if len(shape) == 2 and _is_table(shape):
                if own in ((BATCH,), (BATCH, BATCH)):
                    raise _UnfitError
                if BATCH not in own and own:
                    column = own if len(own) == 1 else own[1:]
                    image = image if own == (1,) else RESHAPE(image, (*column, 1))
            elif shape != (BATCH,) or own not in ((), (1,), (BATCH,)):
                raise _UnfitError
            images.append(image.id)
        target = self.target
        return target[target.append(self.graph.ops[node], tuple(images), self._statics(node))]

    def _product(self, node: int) -> Expr:
        """The images of products; a product with samples on both sides sums over them."""
        a, b = self.graph.operands[node]
        shapes = self.shape(a), self.shape(b)
        one, other = self.image(a), self.image(b)
        made: Expr
        if _is_table(shapes[0]) and BATCH not in shapes[1] and len(one.shape) == 2:
            made = MATMUL(_flipped(other) if len(shapes[1]) == 2 else other, one)
        elif shapes[0] == shapes[1] == (BATCH,):
            made = MATMUL(one, other)
        elif shapes[0][1:] == (BATCH,) and _is_table(shapes[1]):
            share = self._share(node, a, b)
            made = MATMUL(one, _flipped(other)) if share is None else share
        elif shapes[0][1:] == (BATCH,) and shapes[1] == (BATCH,):
            made = MATMUL(one, other)
        elif shapes[0] == (BATCH,) and _is_table(shapes[1]):
            made = MATMUL(other, one)
        else:
            raise _UnfitError
        if any(len(e.shape) != 2 for e, s in ((one, shapes[0]), (other, shapes[1])) if len(s) == 2):
            raise _UnfitError
        return made

    def _reduced(self, node: int, x: Expr, before: Shape) -> Expr:
        axis = self._statics(node)[0]
        made: Expr
        op: Any = self.graph.ops[node]
        if len(before) == 1 or axis is None:
            made = op(x, axis)
        elif _is_table(before) and len(x.shape) == 2:
            share = self._bias_share(node)
            made = op(x, 1 - axis % 2) if share is None else share
        else:
            raise _UnfitError
        return made

    def _reshaped(self, node: int, x: Expr, before: Shape) -> Expr:
        """Axes of length 1 go and come; a vector of all elements may be in another order."""
        after = self.shape(node)
        made: Expr = x
        if before == (BATCH,) and after == (BATCH, 1):
            return x
        if before == (BATCH, 1) and after == (BATCH,):
            return x if x.shape == (BATCH,) else RESHAPE(x, (BATCH,))
        squares = all(
            self.graph.ops[n] is MATMUL and set(self.graph.operands[n]) == {node}
            for n in self.readers.get(node, ())
        )
        if _is_table(before) and len(after) == 1 and squares and node not in self.outputs:
            made = RESHAPE(x, after)
            return made
        raise _UnfitError

    def _folded(self, node: int) -> Expr | None:
        """`x @ W.T + b` as one product of [W | b], if the parameters hold it so."""
        graph = self.graph
        product, bias = graph.operands[node]
        if graph.ops[product] is not MATMUL or len(self.readers[product]) > 1:
            return None
        source, turned_weights = graph.operands[product]
        if graph.ops[turned_weights] is not TRANSPOSE or not _is_table(self.shape(source)):
            return None
        (weights,) = graph.operands[turned_weights]
        lanes = self._rows(weights, bias)
        wide = self.shape(weights)[1] > WIDEST * self.shape(weights)[0]
        if lanes is None or len(self.image(source).shape) != 2:
            return None
        if (wide and not graph.operands[source]) or not self._pays(source, weights):
            return None
        layer = self._layer(source, weights, bias, lanes)
        made: Expr = MATMUL(layer.both, self._ones_under(source))
        return made

    def _pays(self, source: int, weights: int) -> bool:
        """Whether derivatives by the weights are wanted, and only as outputs or parts of a vector.

        Other arithmetic on columns of a matrix is slower than on a matrix of its own.
        """
        graph = self.graph
        products = [
            node
            for node in self.readers[source]
            if graph.ops[node] is MATMUL
            and graph.operands[node][1] == source
            and self.shape(node) == self.shape(weights)
        ]
        readers = [reader for node in products for reader in self.readers.get(node, ())]
        return bool(products) and all(graph.ops[reader] is JOIN for reader in readers)

    def _rows(self, weights: int, bias: int) -> tuple[str, ...] | None:
        """The scalar leaves of [W | b] row by row, if they follow each other in one argument."""
        graph = self.graph
        own, last = graph.lanes.get(weights, ()), graph.lanes.get(bias, ())
        if not last or len(own) % len(last) or len(self.shape(weights)) != 2:
            return None
        if self.shape(bias) != self.shape(weights)[:1] or not {*own, *last} <= self.order.keys():
            return None
        width = len(own) // len(last)
        lanes: list[str] = []
        for row, lane in enumerate(last):
            lanes += [*own[row * width : (row + 1) * width], lane]
        argument, start = self.order[lanes[0]]
        wanted = [(argument, start + i) for i in range(len(lanes))]
        return tuple(lanes) if [self.order[lane] for lane in lanes] == wanted else None

    def _layer(self, source: int, weights: int, bias: int, lanes: tuple[str, ...]) -> _Layer:
        graph, target = self.graph, self.target
        names = graph.labels[weights], graph.labels[bias]
        label = "".join(names)
        while label in graph.leaves or label in target.leaves:
            label += "_"
        rows, width = self.shape(weights)
        known = next((layer for layer in self.layers.values() if layer.weights == weights), None)
        both = known.both if known else target.array(label, (rows, width + 1))
        target.lanes[both.id] = lanes
        self.notes[target.labels[both.id]] = f"[{names[0]} | {names[1]}]"
        if known is None:
            own = GATHER(both, _columns(rows, width, width + 1))
            self.images[weights] = own.id
            target.labels[own.id] = names[0]
        self.layers[source] = _Layer(source, weights, bias, both)
        return self.layers[source]

    def _ones_under(self, source: int) -> Expr:
        if source not in self.ones:
            image, label = self.image(source), self.graph.labels.get(source)
            given = self.target.ops[image.id] is TRANSPOSE  # data are copied in their own rows
            larger = WITH_ONES(_flipped(image), 1) if given else WITH_ONES(image, 0)
            self.ones[source] = TRANSPOSE(larger) if given else larger
            if label:
                self.target.labels[larger.id] = f"{label}_1"
        return self.ones[source]

    def _share(self, node: int, a: int, b: int) -> Expr | None:
        """The derivative by weights, as columns of that by [W | b]."""
        graph = self.graph
        layer = self.layers.get(b)
        if layer is None or graph.ops[a] is not TRANSPOSE:
            return None
        if self.shape(node) != self.shape(layer.weights):
            return None
        (ct,) = graph.operands[a]
        if self._sum_of(ct) is None:
            return None
        both = self._both(ct, layer)
        rows, width = layer.both.shape
        self.shares[node] = (both, 0)
        made: Expr = GATHER(both, _columns(rows, width - 1, width))
        return made

    def _sum_of(self, ct: int) -> int | None:
        """The node that sums a cotangent over the samples."""
        graph = self.graph
        for reader in self.readers.get(ct, ()):
            if graph.ops[reader] is SUM and self._statics(reader)[0] == 0:
                return reader
        return None

    def _bias_share(self, node: int) -> Expr | None:
        """The derivative by a bias, as the last column of that by [W | b]."""
        graph = self.graph
        (ct,) = graph.operands[node]
        if graph.ops[node] is not SUM or self._statics(node)[0] != 0:
            return None
        for reader in self.readers[ct]:
            if graph.ops[reader] is not TRANSPOSE:
                continue
            for product in self.readers[reader]:
                a, b = graph.operands[product] if graph.ops[product] is MATMUL else (-1, -1)
                layer = self.layers.get(b)
                if a == reader and layer and self.shape(product) == self.shape(layer.weights):
                    both = self._both(ct, layer)
                    rows, width = layer.both.shape
                    self.shares[node] = (both, width - 1)
                    made: Expr = GATHER(both, Index([i * width + width - 1 for i in range(rows)]))
                    return made
        return None

    def _both(self, ct: int, layer: _Layer) -> Expr:
        """The derivative by [W | b]: the cotangent times the input with its ones."""
        key = ct, layer.both.id
        made = self.sums.get(key)
        if made is None:
            product: Expr = MATMUL(self.image(ct), _flipped(self._ones_under(layer.source)))
            made = self.sums[key] = product.id
            self.target.adjoint_of[made] = layer.both.id
        return self.target[made]


def _flipped(x: Expr) -> Expr:
    """The transpose; of a transpose, what it was made of."""
    graph = x.graph
    if graph.ops[x.id] is TRANSPOSE:
        return graph[graph.operands[x.id][0]]
    made: Expr = TRANSPOSE(x)
    return made


def _columns(rows: int, count: int, width: int) -> Index:
    """The first `count` columns of a matrix."""
    return Index([[i * width + j for j in range(count)] for i in range(rows)])
