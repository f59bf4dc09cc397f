"""Updates of whole vectors: what is done alike to every array of a vector is done to it at once.

Done to the vector of parameters itself, an optimizer's update is one operation where it was one for
each array. What differs, the derivatives, is computed into the parts of a vector of its own.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from graphlib import CycleError
from typing import Any, Final, NamedTuple

from ...graph.expr import Graph, live_nodes
from ...graph.rewrite import Walk, add_record, unchanged
from ...graph.traversal import depth_first
from ...ops.arrays import GATHER
from ...ops.indexing import Index
from ...ops.shapes import Shape
from ..program import Nested, flatten
from .families import JOIN, Families, Family, array_of, common
from .lower import Place, starts

WHOLE: Final = "operate on a whole vector"
"""What records call an operation on an array that became part of one on the vector it is in."""


class Whole(NamedTuple):
    """A graph with operations on whole vectors, and where in it outputs and nodes are."""

    graph: Graph
    outputs: Nested
    images: Mapping[int, int]


def whole(
    graph: Graph,
    outputs: Nested,
    arguments: Mapping[str, Sequence[str]],
    shapes: Mapping[str, Shape],
) -> Whole:
    """`outputs`, a nesting of places in `graph`, computed on whole vectors where parts are alike.

    arguments  the leaves of each argument that is one vector
    shapes     those of leaves that are arrays

    >>> g = Graph(); W, b = g.array("W", (2, 2)), g.array("b", 2)
    >>> new = [Place((W - 0.1 * (W @ W)).id), Place((b - 0.1 * (W @ b)).id)]
    >>> made = whole(g, new, {"p": ("W", "b")}, {"W": (2, 2), "b": (2,)})
    >>> print(made.graph.passes[-1].rewrites)
    {'operate on a whole vector': 2}
    """
    work = Families(graph, outputs, arguments, shapes)
    for key, places in _sequences(outputs):
        work.consider(places, key)
    if work.saved:
        try:
            return _rebuilt(work, outputs)
        except CycleError:
            pass
    return Whole(graph, outputs, unchanged(graph).images)


def _sequences(nested: Nested, key: str = "") -> list[tuple[str, Sequence[Place]]]:
    """The sequences of places among the outputs, and under which key they are."""
    if isinstance(nested, Place):
        return []
    if not isinstance(nested, Mapping) and all(isinstance(item, Place) for item in nested):
        return [(key, nested)]
    items: Any = nested.items() if isinstance(nested, Mapping) else enumerate(nested)
    return [found for name, value in items for found in _sequences(value, str(name))]


def _rebuilt(families: Families, outputs: Nested) -> Whole:
    """The graph with vectors in it."""
    graph = families.graph
    work = _Rebuilding(families)
    places = [place for _, place in flatten(outputs)]
    for node in live_nodes(graph, [place.node for place in places]):
        if node not in families.merged and not _only_shaped(families, node):
            work.need(node)
    nested = _moved(families, work, outputs)
    target = work.target
    work.walk.finish([]).graph.outputs = tuple([place.node for _, place in flatten(nested)])
    add_record("whole vectors", graph, target, {WHOLE: families.saved})
    return Whole(target, nested, work.images)


def _only_shaped(families: Families, node: int) -> bool:
    """Whether a node is an operation on the whole vector in another shape."""
    return families.bare(node) in families.merged


def _moved(families: Families, work: _Rebuilding, nested: Nested) -> Nested:
    """The outputs in the new graph; what is part of a vector is a sequence of its numbers."""
    if isinstance(nested, Place):
        work.need(nested.node)
        return Place(work.images[nested.node], nested.position)
    if isinstance(nested, Mapping):
        return {key: _moved(families, work, item) for key, item in nested.items()}
    if not all(isinstance(item, Place) for item in nested):
        return [_moved(families, work, item) for item in nested]
    return [place for item in nested for place in _numbers(families, work, item)]


def _numbers(families: Families, work: _Rebuilding, place: Place) -> list[Place]:
    """Where an output in a sequence is, a place for each of its numbers in a vector."""
    node = families.bare(place.node)
    family = families.parts.get(node)
    if family is None:
        work.need(place.node)
        return [Place(work.images[place.node], place.position)]
    work.need(family)
    row = families.members[family].layout.places[family.index(node)]
    chosen = row if place.position is None else [row[place.position]]
    return [Place(work.vectors[family], position) for position in chosen]


class _Rebuilding:
    """A new graph with vectors: what nodes became, and families."""

    def __init__(self, families: Families) -> None:
        self.families = families
        self.walk = Walk(families.graph)
        self.target, self.images = self.walk.target, self.walk.images
        self.vectors: dict[Family, int] = {}

    def need(self, wanted: int | Family) -> None:
        """Make a node or a vector, and before it what it is made of."""
        known = ChainMap[Any, int](self.images, self.vectors)
        for thing in depth_first([wanted], self._parts, known):
            if isinstance(thing, tuple):
                self.vectors[thing] = self._vector(thing)
                if thing in self.families.labels and self.target.operands[self.vectors[thing]]:
                    self.target.labels.setdefault(self.vectors[thing], self.families.labels[thing])
            else:
                self.walk.run([thing], self._part)

    def _parts(self, thing: int | Family) -> Sequence[int | Family]:
        families = self.families
        if isinstance(thing, int):
            if thing in families.merged:
                return (families.parts[thing],)
            return families.graph.operands[thing]
        member = families.members[thing]
        if member.op is not None:
            return member.operands
        return () if member.argument is not None else thing

    def _part(self, walk: Walk, node: int) -> int | None:
        """What was an array of its own, as part of the vector that has taken it in."""
        families = self.families
        if node not in families.merged:
            return None
        family = families.parts[node]
        row = families.members[family].layout.places[family.index(node)]
        index: Any = _index(row, families.graph.shapes.get(node, ()))
        return self.target.append(GATHER, (self.vectors[family],), (index,))

    def _vector(self, family: Family) -> int:
        graph, target, member = self.families.graph, self.target, self.families.members[family]
        if member.argument is not None:
            return self._part_of_argument(family, *member.argument, member.layout.length)
        target.deriving(self.walk.moved(graph.origins[family[0]]))
        if member.op is not None:
            operands = tuple(
                self.images[o] if isinstance(o, int) else self.vectors[o] for o in member.operands
            )
            made = target.append(member.op, operands, member.statics)
        else:
            places: Any = tuple(
                _index(row, graph.shapes.get(node, ()))
                for node, row in zip(family, member.layout.places, strict=True)
            )
            images = tuple(self.images[node] for node in family)
            made = target.append(JOIN, images, (places, member.layout.length))
        target.deriving(None)
        return made

    def _part_of_argument(self, family: Family, name: str, start: int, length: int) -> int:
        families, target = self.families, self.target
        leaves = families.arguments[name]
        begins = list(starts(leaves, families.shapes))
        lanes = [
            leaf for leaf, at in zip(leaves, begins, strict=True) if start <= at < start + length
        ]
        label = name
        if len(lanes) < len(leaves):
            label = common([families.graph.labels[node] for node in family]) or f"{name}_part"
        while label in families.graph.leaves or label in target.leaves:
            label += "_"
        leaf = target.array(label, (length,))
        target.lanes[leaf.id] = tuple(lanes)
        return leaf.id


def _index(places: Sequence[int], shape: Shape) -> Index:
    return Index(array_of(places, shape))
