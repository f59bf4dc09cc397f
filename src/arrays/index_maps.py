"""Index maps: in which order lanes stand in an array, and what chooses them from another.

Lanes are scalars that become elements of one array. `arrange` finds the shape that array should
have from the coordinates of what the lanes are computed from: products w[j]*x[i] for all j and i
are a grid, so their array has the axes j and i. A `Writer` then writes the array that an index map
chooses: the array itself, a reshape, a transpose, a stretched axis, or, for the rest, a gather.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from ..graph.expr import Graph
from ..ops.arrays import BROADCAST, GATHER, RESHAPE, TRANSPOSE
from ..ops.indexing import Index
from ..ops.record import Op
from ..ops.shapes import Shape

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Places = NDArray[numpy.int64]

CONSTANTS = 0
"""The home of all constants: an array that is never written as a whole."""


class Arrangement(NamedTuple):
    """The shape of an array of lanes, and the position of each lane in it, counted row by row."""

    shape: Shape
    positions: Places

    def table(self, places: Places) -> Places:
        """What belongs to each lane, laid out in the shape; further axes of `places` come last."""
        import numpy

        filled = numpy.empty((prod(self.shape), *places.shape[1:]), places.dtype)
        filled[self.positions] = places
        return filled.reshape(self.shape + places.shape[1:])


class Operand(NamedTuple):
    """One operand of all lanes: the shape of the array it is in, and its place for each lane."""

    shape: Shape
    places: Places

    def coordinates(self) -> tuple[Places, ...]:
        """The places as one column per axis."""
        import numpy

        return tuple(numpy.unravel_index(self.places, self.shape)) if self.shape else ()

    def is_whole(self) -> bool:
        """Whether every element of the array is the operand of exactly one lane."""
        import numpy

        size = prod(self.shape)
        if self.places.size != size:
            return False
        seen = numpy.zeros(size, bool)
        seen[self.places] = True
        return bool(seen.all())


def arrange(operands: Sequence[Operand], lanes: int, others: Sequence[Places] = ()) -> Arrangement:
    """The order of lanes that differ in their operands; lanes that do not share a position.

    Where one operand goes through the whole of its array, the lanes stand as its elements do. Else
    the first coordinates that tell all lanes apart are the axes, if the lanes fill the grid. If
    not, the lanes are a vector. `others` are further columns that may tell lanes apart.

    >>> import numpy as np
    >>> w, x = Operand((2,), np.array([0, 0, 1, 1])), Operand((3,), np.array([0, 2, 0, 2]))
    >>> arrange([w, x], 4)
    Arrangement(shape=(2, 2), positions=array([0, 1, 2, 3]))
    """
    import numpy

    if lanes == 1:
        return Arrangement((), numpy.zeros(1, numpy.int64))
    for operand in operands:
        if operand.is_whole():
            return Arrangement(operand.shape, operand.places)
    columns = [column for operand in operands for column in operand.coordinates()]
    columns += others
    for order in (columns, columns[::-1]):
        found = _grid(order, lanes)
        if found is not None:
            return found
    return _vector(columns, lanes)


def _grid(columns: Iterable[Places], lanes: int) -> Arrangement | None:
    """The lanes as a full grid of the first columns that tell them apart."""
    import numpy

    ids, count = numpy.zeros(lanes, numpy.int64), 1
    axes: list[Places] = []
    shape: list[int] = []
    for column in columns:
        values, ranks = numpy.unique(column, return_inverse=True)
        if len(values) == 1:
            continue
        distinct, merged = numpy.unique(ids * len(values) + ranks, return_inverse=True)
        if len(distinct) > count:
            ids, count = merged, len(distinct)
            axes.append(ranks)
            shape.append(len(values))
    if prod(shape) != count:
        return None
    positions = numpy.ravel_multi_index(tuple(axes), tuple(shape)) if axes else ids
    return Arrangement(tuple(shape), positions)


def _vector(columns: Sequence[Places], lanes: int) -> Arrangement:
    """The lanes one after the other, in the order in which they first come."""
    ids = identities(columns, lanes)
    return Arrangement((int(ids.max()) + 1,), ids)


def identities(columns: Sequence[Places], lanes: int) -> Places:
    """A number for each lane, equal where all columns are; counted by first appearance."""
    import numpy

    ids = numpy.zeros(lanes, numpy.int64)
    for column in columns:
        values, ranks = numpy.unique(column, return_inverse=True)
        _, ids = numpy.unique(ids * len(values) + ranks, return_inverse=True)
    _, first = numpy.unique(ids, return_index=True)
    ranks = numpy.empty(len(first), numpy.int64)
    ranks[numpy.argsort(first)] = numpy.arange(len(first))
    return ranks[ids]


class Writer:
    """Writes the array graph: operations, each once, and what index maps choose from arrays.

    A home is the number of an array; `nodes` and `shapes` say which node of the graph it is. Home 0
    is that of the constants, whose places are positions in `numbers`.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[int] = [-1]
        self.shapes: list[Shape] = [()]
        self.numbers: list[float] = []
        self._homes: dict[int, int] = {}
        self._known: dict[tuple[Op, tuple[int, ...], tuple[Any, ...]], int] = {}
        self._elements: dict[tuple[int, int], int] = {}

    def new_home(self, node: int) -> int:
        """A home for the array that `node` computes; the one it has, if it has one."""
        home = self._homes.setdefault(node, len(self.nodes))
        if home == len(self.nodes):
            self.nodes.append(node)
            self.shapes.append(self.graph.shapes.get(node, ()))
        return home

    def operands(self, homes: Sequence[int], columns: Sequence[Places]) -> list[Operand]:
        """The operands of lanes, constants aside."""
        return [
            Operand(self.shapes[home], column)
            for home, column in zip(homes, columns, strict=True)
            if home != CONSTANTS
        ]

    def emit(self, op: Op, operands: tuple[int, ...], statics: tuple[Any, ...] = ()) -> int:
        """The node of an operation on arrays, the same one for the same operation."""
        key = (op, operands, statics)
        node = self._known.get(key)
        if node is None:
            node = self._known[key] = self.graph.append(op, operands, statics)
        return node

    def reshaped(self, node: int, shape: Shape) -> int:
        """`node` in another shape, or itself when it has that shape."""
        if self.graph.shapes.get(node, ()) == shape:
            return node
        return self.emit(RESHAPE, (node,), (shape,))

    def stretched(self, node: int, shape: Shape) -> int:
        """`node` broadcast to a shape, or itself when it has that shape."""
        if prod(self.graph.shapes.get(node, ())) == prod(shape):
            return self.reshaped(node, shape)
        return self.emit(BROADCAST, (node,), (shape,))

    def element(self, home: int, place: int) -> int:
        """One element of an array as a scalar."""
        if home == CONSTANTS:
            return self.graph.node_of(self.numbers[place])
        if not self.shapes[home]:
            return self.nodes[home]
        node = self._elements.get((home, place))
        if node is None:
            statics: tuple[Any, ...] = (Index(place),)
            node = self.graph.append(GATHER, (self.nodes[home],), statics)
            self._elements[home, place] = node
        return node

    def pick(self, home: int, table: Places) -> int:
        """The array of the elements at the places of `table`, in its shape."""
        import numpy

        if not table.shape:
            return self.element(home, int(table))
        if home == CONSTANTS:
            values = numpy.array(self.numbers)[table]
            return self.graph.constant(values).id
        if not self.shapes[home]:
            return self.stretched(self.nodes[home], table.shape)
        node = self._view(home, table)
        return self.emit(GATHER, (self.nodes[home],), (Index(table),)) if node is None else node

    def pick_for_broadcast(self, home: int, table: Places) -> int:
        """As `pick`, but axes along which nothing changes have length 1, and none in front."""
        for axis, length in enumerate(table.shape):
            if length > 1 and is_flat(table, axis):
                table = table.take([0], axis)
        while table.shape and table.shape[0] == 1:
            table = table[0]
        return self.pick(home, table)

    def is_straight(self, home: int, table: Places) -> bool:
        """Whether the table is the array itself, or a reshape of it."""
        return home != CONSTANTS and self._arrangement(home, table) == "straight"

    def _view(self, home: int, table: Places) -> int | None:
        """The array, reshaped or transposed, if that is what the table chooses."""
        node, kind = self.nodes[home], self._arrangement(home, table)
        if not kind:
            return None
        if kind == "transposed":
            node = self.emit(TRANSPOSE, (node,))
        return self.reshaped(node, table.shape)

    def _arrangement(self, home: int, table: Places) -> str:
        import numpy

        shape = self.shapes[home]
        if not shape or table.size != prod(shape):
            return ""
        flat = table.ravel()
        order = numpy.arange(flat.size)
        if numpy.array_equal(flat, order):
            return "straight"
        if len(shape) < 2:
            return ""
        transposed = order.reshape(shape).swapaxes(-1, -2).ravel()
        return "transposed" if numpy.array_equal(flat, transposed) else ""


def is_flat(table: Places, axis: int) -> bool:
    """Whether nothing changes along an axis of an index map."""
    first = table.take([0], axis)
    if (first != table.take([-1], axis)).any():
        return False
    return bool((table == first).all())
