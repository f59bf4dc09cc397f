"""Families: arrays that are the parts of one vector, and what is done alike to all of them.

The parameters are one vector, which a network reads as many arrays, and an optimizer does the same
to each of them. From the new parameters back, through operations that work element by element, the
parts stay together, until they are parts of an argument or are made in different ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from math import prod
from typing import Any, Final, NamedTuple

from ...graph.expr import Graph
from ...ops.arrays import BROADCAST, GATHER, MATMUL, MAX, MEAN, RESHAPE, SUM
from ...ops.meanings import join
from ...ops.record import Notation, Op
from ...ops.shapes import BATCH, Shape
from ..program import Nested
from .lower import Place, starts

_COMPUTED_IN_PLACE: Final = frozenset((MATMUL, SUM, MEAN, MAX))


def computed_in_place(op: Op) -> bool:
    """Whether NumPy computes the operation in memory that it is given, as in part of a vector."""
    return (op.shape is None and not op.truth) or op in _COMPUTED_IN_PLACE


def _join(*given: Any) -> Any:
    import numpy

    *parts, places, length = given
    vector = numpy.empty(length)
    for part, place in zip(parts, places, strict=True):
        vector[place.array] = numpy.reshape(part, place.shape)
    return vector


JOIN: Final = Op(
    "join",
    -1,
    _join,
    lambda sympy, *given: sympy.Matrix(given),
    (),
    {"text": Notation("join({0})")},
    "each operand is part of the vector",
    statics=("places", "length"),
    differentiable=False,
    linear="together",
    cost={"numpy": 0.4},
    chooses=True,
    shape=lambda *given: (given[-1],),
    meaning=join,
)
"""Arrays as the parts of one vector, of which they fill every place."""


Family = tuple[int, ...]
"""Nodes that are the parts of one vector, in the order of the parts."""


class Layout(NamedTuple):
    """Which places of a vector each of its parts fills, in the order of the part's elements."""

    places: tuple[tuple[int, ...], ...]
    length: int


class Member(NamedTuple):
    """What a family is made of.

    op, statics, operands  an operation on families and scalar nodes
    argument               or part of an argument: its name, and where the part begins there

    A family with neither is joined from its parts.
    """

    layout: Layout
    op: Op | None = None
    statics: tuple[Any, ...] = ()
    operands: tuple[Family | int, ...] = ()
    argument: tuple[str, int] | None = None


@dataclass
class Families:
    """The families of one graph, and the graph with vectors in their place.

    homes   scalar or array leaf → its argument, and where it begins there
    parts   node → the family that it is a part of
    merged  those of an operation on the whole vector; the others are joined, or leaves
    """

    graph: Graph
    outputs: Nested
    arguments: Mapping[str, Sequence[str]]
    shapes: Mapping[str, Shape]
    members: dict[Family, Member] = field(default_factory=dict)
    labels: dict[Family, str] = field(default_factory=dict)
    parts: dict[int, Family] = field(default_factory=dict)
    merged: set[int] = field(default_factory=set)
    saved: int = 0

    def __post_init__(self) -> None:
        self.alone = {p.node for p in _standing_alone(self.outputs)}
        self.homes = {
            leaf: (name, start)
            for name, leaves in self.arguments.items()
            for leaf, start in zip(leaves, starts(leaves, self.shapes), strict=True)
        }

    def size(self, node: int) -> int:
        """How many elements a node has; none, when it has some for every sample."""
        shape = self.graph.shapes.get(node, ())
        return 0 if BATCH in shape else prod(shape)

    def bare(self, node: int) -> int:
        """What has the same elements in the same order, before it was given another shape."""
        graph = self.graph
        while graph.operands[node]:
            op, (operand, *_) = graph.ops[node], graph.operands[node]
            size = self.size(operand)
            chosen = op is GATHER and graph.statics[node][0].positions == list(range(size))
            same = op in (RESHAPE, BROADCAST) and size == self.size(node)
            if not size or not (chosen or same):
                break
            node = operand
        return node

    def consider(self, places: Sequence[Place], key: str) -> None:
        """Take a sequence of outputs for a vector, if operations on it are fewer."""
        found = self._parted(places)
        if found is None:
            return
        root, layout = found
        new = self._explored(root, layout)
        saved = sum(self._saving(family, member) for family, member in new.items())
        taken = {node for family, member in new.items() if member.op for node in family}
        joined = self.parts.keys() - self.merged
        known = [family for family in new if family in self.members]
        if saved <= 0 or not taken.isdisjoint(self.alone | joined):
            return
        if any(self.members[family].layout != layout for family in known):
            return
        self.saved += saved
        self.members.update(new)
        self.merged |= taken
        self.labels[root] = f"new_{key}" if key in self.arguments else key
        for family, member in new.items():
            if member.argument is None:
                for node in family:
                    self.parts.setdefault(node, family)
        self._name(new)

    def _parted(self, places: Sequence[Place]) -> tuple[Family, Layout] | None:
        """The nodes that fill a sequence, each in full, and what is left of it without a gap."""
        filled: dict[int, dict[int, int]] = {}
        length = 0
        for place in places:
            node, size = self.bare(place.node), self.size(place.node)
            row = filled.setdefault(node, {})
            for source in range(size) if place.position is None else [place.position]:
                if source in row:
                    return None
                row[source] = length
                length += 1
            if not size:
                return None
        if any(len(row) != self.size(node) for node, row in filled.items()):
            return None
        left = {node: row for node, row in filled.items() if node not in self.parts}
        covered = sorted(place for row in left.values() for place in row.values())
        if len(left) < 2 or covered[-1] - covered[0] + 1 != len(covered):
            return None
        family = sorted(left, key=lambda node: min(left[node].values()))
        return tuple(family), Layout(
            tuple(
                tuple(left[node][i] - covered[0] for i in range(len(left[node]))) for node in family
            ),
            len(covered),
        )

    def _explored(self, root: Family, layout: Layout) -> dict[Family, Member]:
        """The families that a family is made of, itself included."""
        found: dict[Family, Member] = {}
        stack = [root]
        while stack:
            family = stack.pop()
            if family not in found:
                member = found[family] = self._member(family, layout)
                stack += [o for o in member.operands if isinstance(o, tuple)]
        return found

    def _member(self, family: Family, layout: Layout) -> Member:
        graph = self.graph
        argument = self._in_argument(family, layout)
        if argument is not None:
            return Member(layout, argument=argument)
        first = family[0]
        op, statics = graph.ops[first], graph.statics.get(first, ())
        alike = all(
            graph.ops[node] is op
            and graph.statics.get(node, ()) == statics
            and len(graph.operands[node]) == len(graph.operands[first])
            for node in family
        )
        if not alike or op.shape is not None or not graph.operands[first]:
            return Member(layout)
        operands: list[Family | int] = []
        for column in zip(*(graph.operands[node] for node in family), strict=True):
            if len(set(column)) == 1 and column[0] not in graph.shapes:
                operands.append(column[0])
            elif all(self.size(o) == self.size(n) for o, n in zip(column, family, strict=True)):
                operands.append(tuple(map(self.bare, column)))
            else:
                return Member(layout)
        return Member(layout, op, statics, tuple(operands))

    def _in_argument(self, family: Family, layout: Layout) -> tuple[str, int] | None:
        """The argument that these are parts of, in this layout, and where it begins."""
        first = self._origins(family[0])
        if not first:
            return None
        argument, start = first[0][0], first[0][1] - layout.places[0][0]
        for node, places in zip(family, layout.places, strict=True):
            if self._origins(node) != [(argument, start + i) for i in places]:
                return None
        return argument, start

    def _origins(self, node: int) -> list[tuple[str, int]]:
        """Each element's argument and place there, of a leaf or of elements chosen from one."""
        graph = self.graph
        if graph.ops[node] is GATHER:
            inner = self._origins(graph.operands[node][0])
            return [inner[i] for i in graph.statics[node][0].positions] if inner else []
        if graph.operands[node] or node not in graph.labels:
            return []
        leaves = graph.lanes.get(node) or (graph.labels[node],)
        if any(leaf not in self.homes for leaf in leaves):
            return []
        homes = [self.homes[leaf] for leaf in leaves]
        if len(homes) > 1:
            return homes
        return [(homes[0][0], homes[0][1] + i) for i in range(self.size(node))]

    def _saving(self, family: Family, member: Member) -> int:
        """How many operations on arrays fewer; what is joined is copied where it must be."""
        if member.argument is not None or family in self.members:
            return 0
        if member.op is not None:
            return len(family) - 1
        return -sum(not self._fills(node) for node in family)

    def _fills(self, node: int) -> bool:
        """Whether an array may be computed in a part of the vector at once."""
        return bool(self.graph.operands[node]) and computed_in_place(self.graph.ops[node])

    def _name(self, new: Mapping[Family, Member]) -> None:
        """Names for vectors: derivatives by an argument, and what their parts' have in common."""
        graph = self.graph
        whole = [
            (family, member.argument[0])
            for family, member in new.items()
            if member.argument is not None and not member.argument[1]
        ]
        for family, member in new.items():
            label = common([graph.labels.get(node, "") for node in family])
            if member.op is None and member.argument is None:
                for leaves, name in whole:
                    pairs = list(zip(family, leaves, strict=True))
                    if any(graph.adjoint_of.get(node) == leaf for node, leaf in pairs):
                        label = f"d{name}"
                        for node, leaf in pairs:
                            if leaf in graph.labels:
                                graph.labels.setdefault(node, f"d{graph.labels[leaf]}")
            if label and label not in self.labels.values():
                self.labels.setdefault(family, label)


def _standing_alone(nested: Nested) -> list[Place]:
    """The places that are in no sequence of places."""
    if isinstance(nested, Place):
        return [nested]
    if isinstance(nested, Mapping):
        return [place for item in nested.values() for place in _standing_alone(item)]
    if all(isinstance(item, Place) for item in nested):
        return []
    return [place for item in nested for place in _standing_alone(item)]


def common(labels: Sequence[str]) -> str:
    """What names of parts begin with, without regard to case; "" where that is nothing.

    >>> common(["M_W0", "m_b0"]), common(["W0", "b0"])
    ('m', '')
    """
    columns = zip(*map(str.lower, labels), strict=False)
    shared = "".join(column[0] for column in takewhile(lambda c: len(set(c)) == 1, columns))
    stem = shared.rstrip("_0123456789")
    return stem if len(labels) > 1 and stem.isidentifier() and stem != "new" else ""


def array_of(places: Sequence[int], shape: Shape) -> Any:
    """Whole numbers, row by row, as an array."""
    import numpy

    return numpy.asarray(places, dtype=numpy.int64).reshape(shape)
