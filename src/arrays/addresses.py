"""Addresses: which array each scalar of a graph has become an element of, and where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from ..graph.expr import Graph
from ..ops.scalar import CONSTANT, INPUT, PARAMETER
from .index_maps import CONSTANTS, Operand, Writer
from .leaf_arrays import LeafArray, leaf_arrays, parse_name

if TYPE_CHECKING:
    from .index_maps import Places


class Addresses:
    """The home (the number of an array) and the place in it of each scalar that has been computed.

    Parts of sums are scalars too, with numbers past those of the nodes; each belongs to a node.

    writer      writes the arrays, and knows them by their homes
    parameters  the homes that are parameters
    """

    def __init__(self, source: Graph, writer: Writer) -> None:
        self.source = source
        self.writer = writer
        self.home = [-1] * len(source)
        self.place = [0] * len(source)
        self.parameters: set[int] = set()
        self._owners: list[int] = []
        self._numbers: dict[str, int] = {}

    def place_leaves(self, live: Sequence[int]) -> None:
        """Give the leaves among `live` their addresses, and write the arrays they are in."""
        source = self.source
        leaves = [node for node in live if not source.operands[node]]
        for node in leaves:
            if source.ops[node] is CONSTANT:
                self.home[node] = CONSTANTS
                self.place[node] = self.number(source.value(node))
        named = [node for node in leaves if source.ops[node] is not CONSTANT]
        for array in leaf_arrays(source, named):
            home = self.writer.new_home(self._leaf(array))
            if array.op is PARAMETER:
                self.parameters.add(home)
            for place, node in enumerate(array.nodes):
                self.home[node], self.place[node] = home, place

    def _leaf(self, array: LeafArray) -> int:
        """The leaf of the new graph for an array of leaves; it remembers their names."""
        import numpy

        target, source = self.writer.graph, self.source
        if not array.shape:
            return target.copy_leaf(source, array.nodes[0])
        if array.op is INPUT:
            leaf = target.array(array.name, array.shape)
        else:
            values = numpy.array([source.value(node) for node in array.nodes])
            leaf = target.array_parameter(array.name, values.reshape(array.shape))
        target.lanes[leaf.id] = tuple(source.labels[node] for node in array.nodes)
        return leaf.id

    def number(self, value: float) -> int:
        """The place of a number among the constants; it gets one if it has none."""
        numbers = self.writer.numbers
        place = self._numbers.setdefault(repr(float(value)), len(numbers))
        if place == len(numbers):
            numbers.append(float(value))
        return place

    def new_part(self, owner: int) -> int:
        """A scalar for a part of the sum `owner`."""
        self._owners.append(owner)
        self.home.append(-1)
        self.place.append(0)
        return len(self.home) - 1

    def owner(self, scalar: int) -> int:
        """The node a scalar is, or is a part of."""
        nodes = len(self.source)
        return scalar if scalar < nodes else self._owners[scalar - nodes]

    def places(self, scalars: Sequence[int]) -> Places:
        """The places of scalars as an array."""
        import numpy

        place = self.place
        return numpy.array([place[scalar] for scalar in scalars], numpy.int64)

    def size(self, home: int) -> int:
        """How many elements an array has."""
        return prod(self.writer.shapes[home])

    def settle(self, lanes: Sequence[int], home: int, positions: Places) -> None:
        """The lanes are now elements of an array."""
        for lane, position in zip(lanes, positions.tolist(), strict=True):
            self.home[lane] = home
            self.place[lane] = position

    def primal_home(self, node: int) -> int:
        """The array of what a node is the adjoint of, or -1."""
        primal = self.source.adjoint_of.get(node)
        return -1 if primal is None else self.home[primal]

    def hint(self, lanes: Sequence[int]) -> tuple[int, Operand] | None:
        """The array whose adjoint the lanes are, and the place of each in it, if there is one."""
        adjoint_of = self.source.adjoint_of
        primals = [adjoint_of.get(self.owner(lane), -1) for lane in lanes]
        home = self.home[primals[0]] if primals[0] >= 0 else -1
        if home < 0 or not self.writer.shapes[home]:
            return None
        if any(primal < 0 or self.home[primal] != home for primal in primals):
            return None
        return home, Operand(self.writer.shapes[home], self.places(primals))

    def name(self, lanes: Sequence[int]) -> str:
        """What the lanes are called: `h0` for h0_0, h0_1, …, or `dW0` for adjoints of `W0`."""
        first, last = lanes[0], lanes[-1]
        labels = self.source.labels
        if first in labels and last in labels:
            stem, _ = parse_name(labels[first])
            if stem == parse_name(labels[last])[0]:
                return stem if len(lanes) > 1 else labels[first]
        adjoint_of = self.source.adjoint_of
        if first in adjoint_of and last in adjoint_of:
            home = self.home[adjoint_of[first]]
            if home > 0 and home == self.home[adjoint_of[last]]:
                label = self.writer.graph.labels.get(self.writer.nodes[home], "")
                return f"d{label}" if label else ""
        return ""
