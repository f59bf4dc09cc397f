"""The one walker that copies a graph, and the record of what a transform did.

A transform says how a node is written. `rewritten` asks it for each node, operands first, and
carries over what is known of the nodes: names, values and sources of leaves, static arguments,
shapes, labels, origins, whose adjoint a node is, and the gradients. All transforms answer alike: a
new graph, and the map of the old one's nodes (`Rewritten`).

`replay` is for what is no transform: the nodes of one graph in another that is there already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..ops.scalar import CONSTANT
from .expr import Graph, common_graph
from .store import Origin, live_nodes

Write = Callable[["Walk", int], int | None]
"""Answers the image of a node whose operands have theirs, or None: it is written as it is."""


@dataclass(frozen=True)
class Rewritten:
    """What a transform made of a graph: `graph, images = transform(before)`.

    graph    the new graph; its outputs are what was asked for
    maps     what became of the nodes, step by step; `images` is all of it
    """

    graph: Graph
    maps: tuple[Mapping[int, int], ...]

    @cached_property
    def images(self) -> Mapping[int, int]:
        """Node of the old graph → the node of the new one that computes the same.

        Nodes that the new graph does without are not in it.
        """
        if not self.maps:
            return {node: node for node in range(len(self.graph))}
        images, *onward = self.maps
        for later in onward:
            images = {node: later[image] for node, image in images.items() if image in later}
        return images

    def __iter__(self) -> Iterator[Any]:
        return iter((self.graph, self.images))

    def then(self, later: Rewritten) -> Rewritten:
        """What `later` made of the new graph, as made of the old one."""
        return Rewritten(later.graph, (*self.maps, *later.maps))


Transform = Callable[[Graph], Rewritten]
"""From a graph with outputs to one with the same outputs; the graph itself stays as it is."""


def rewritten(
    source: Graph,
    roots: Sequence[int],
    write: Write | None = None,
    *,
    order: Iterable[int] | None = None,
) -> Rewritten:
    """What `roots` need, in a new graph whose outputs they are; `source` stays as it is.

    write   says how nodes are written; it may look at `walk.source`, `walk.target` and
            `walk.images`, append to the target, and answer a node of it
    order   the nodes to be written, operands first, when not all that are needed: those in
            between that nothing reads are left out

    Leaves keep their names, values, shapes and the `Value`s they stand for, operations their
    static arguments and labels. An origin names the image of its primal node, or None where that
    is gone. Where several nodes become one, that has the label of the first that has any.

    >>> from wengert.ops.scalar import TANH
    >>> g = Graph(); x, b = g.input("x"), g.input("b"); y = (x + b).tanh() * x
    >>> def linear(walk, node):
    ...     return walk.operands(node)[0].id if walk.source.ops[node] is TANH else None
    >>> small, images = rewritten(g, [y.id], linear)
    >>> print(small[images[y.id]])
    (x + b)*x
    """
    walk = Walk(source)
    walk.run(live_nodes(source, roots) if order is None else order, write)
    return walk.finish(roots)


def extract(exprs: Iterable[Any]) -> Graph:
    """A new graph with what the expressions need and nothing else; its outputs are they, in order.

    >>> g = Graph(); x, y = g.inputs("x", 2)
    >>> unused, wanted = y + 1, x * x
    >>> small = extract([wanted])
    >>> small, [str(small[node]) for node in small.outputs]
    (<Graph: 2 nodes: 1 input, 1 operation>, ['x0*x0'])
    """
    wanted = list(exprs)
    graph = common_graph(wanted)
    return rewritten(graph, [graph.node_of(thing) for thing in wanted]).graph


def live_part(graph: Graph) -> Rewritten:
    """A transform that leaves out what the outputs do not need."""
    return rewritten(graph, graph.outputs)


def unchanged(graph: Graph) -> Rewritten:
    """What a transform answers that has nothing to do."""
    return Rewritten(graph, ())


def replay(
    source: Graph,
    roots: Iterable[int],
    target: Graph,
    images: Mapping[int, int],
    write: Write | None = None,
    *,
    origin: Origin | None = None,
) -> dict[int, int]:
    """What `roots` need as nodes of `target`, a graph that is there already; the map of its nodes.

    images   the nodes of the target that stand for nodes of the source, leaves above all; what
             only they need is not written
    write    as in `rewritten`
    origin   the origin of the new nodes; labels and the like are not carried over

    >>> g, h = Graph(), Graph(); x = g.input("x"); y = x.tanh() * 2; a = h.input("a")
    >>> print(h[replay(g, [y.id], h, {x.id: (a * a).id})[y.id]])
    tanh(a*a)*2
    """
    walk = Walk(source, target, images)
    target.deriving(origin)
    try:
        for node in live_nodes(source, roots, images):
            image = None if write is None else write(walk, node)
            walk.images[node] = walk.copy(node) if image is None else image
    finally:
        target.deriving(None)
    return walk.images


class Walk:
    """One walk over `source` that writes its nodes into `target`, operands first.

    images   node of the source → node of the target that computes the same
    """

    __slots__ = ("_origins", "images", "source", "target")

    def __init__(
        self, source: Graph, target: Graph | None = None, images: Mapping[int, int] | None = None
    ) -> None:
        self.source = source
        self.target = Graph() if target is None else target
        self.images: dict[int, int] = dict(images or {})
        self._origins: dict[int, Origin] = {}

    def run(self, nodes: Iterable[int], write: Write | None = None) -> None:
        """Write these nodes; each after its operands, and with its own origin."""
        source, target, images = self.source, self.target, self.images
        ops, operands_of, statics = source.ops, source.operands, source.statics
        origins, append, current = source.origins, target.append, None
        try:
            for node in nodes:
                origin = origins[node]
                if origin is not current:
                    current = origin
                    target.deriving(self.moved(origin))
                image = None if write is None else write(self, node)
                if image is None:  # `copy`, written out: this is where the time goes
                    operands = operands_of[node]
                    if operands:
                        operands = tuple([images[operand] for operand in operands])
                        image = append(ops[node], operands, statics.get(node, ()))
                    else:
                        image = target.copy_leaf(source, node)
                images[node] = image
        finally:
            target.deriving(None)

    def copy(self, node: int) -> int:
        """The node as it is, on the images of its operands."""
        source, images = self.source, self.images
        operands = source.operands[node]
        if not operands:
            return self.target.copy_leaf(source, node)
        inner = tuple([images[operand] for operand in operands])
        return self.target.append(source.ops[node], inner, source.statics.get(node, ()))

    def operands(self, node: int) -> list[Any]:
        """The images of a node's operands, as expressions."""
        return [self.target[self.images[operand]] for operand in self.source.operands[node]]

    def moved(self, origin: Origin | None) -> Origin | None:
        """An origin as the target's: its primal node there, or None if that is gone."""
        if origin is None or origin.primal is None:
            return origin
        primal = self.images.get(origin.primal)
        if primal == origin.primal:
            return origin
        moved = self._origins.get(id(origin))
        if moved is None:
            moved = Origin(origin.transform, primal, origin.role, origin.rule, origin.operand)
            self._origins[id(origin)] = moved
        return moved

    def finish(self, roots: Iterable[int]) -> Rewritten:
        """Make `roots` the outputs, and carry over labels and what is known of derivatives."""
        source, target, images = self.source, self.target, self.images
        target.outputs = tuple([images[root] for root in roots])
        for node in [node for node in images if node in source.labels]:
            if target.operands[images[node]]:
                target.labels.setdefault(images[node], source.labels[node])
        for node in [node for node in images if node in source.adjoint_of]:
            primal = images.get(source.adjoint_of[node])
            if primal is not None and target.ops[images[node]] is not CONSTANT:
                target.adjoint_of.setdefault(images[node], primal)
        for sweep in list(source.sweeps):
            moved = {images[p]: images[a] for p, a in sweep.items() if p in images and a in images}
            if moved:
                target.sweeps.append(moved)
        for (root, leaf), adjoint in list(source.gradients.items()):
            if root in images and leaf in images and adjoint in images:
                target.gradients[images[root], images[leaf]] = images[adjoint]
        return Rewritten(target, (images,))


@dataclass(frozen=True)
class PassRecord:
    """What one pass did: nodes and operations before and after, and how often each rule applied."""

    name: str
    nodes_before: int
    nodes_after: int
    operations_before: Mapping[str, int]
    operations_after: Mapping[str, int]
    rewrites: Mapping[str, int]

    def __str__(self) -> str:
        before, after = self.operations_before, self.operations_after
        changed = [
            f"{name} {before.get(name, 0):,} -> {after.get(name, 0):,}"
            for name in dict.fromkeys((*before, *after))
            if before.get(name, 0) != after.get(name, 0)
        ]
        applied = [f"{count:,} {name}" for name, count in self.rewrites.items()]
        return "; ".join(
            [
                f"{self.name}: {self.nodes_before:,} nodes -> {self.nodes_after:,}",
                *filter(None, (", ".join(changed), ", ".join(applied))),
            ]
        )


def add_record(name: str, before: Graph, after: Graph, applied: Mapping[str, int]) -> None:
    """Add to the passes of `after`, which are those of `before`, what one pass did."""
    found = PassRecord(
        name=name,
        nodes_before=len(before),
        nodes_after=len(after),
        operations_before=operations(before),
        operations_after=operations(after),
        rewrites=dict(sorted(applied.items())),
    )
    after.passes = (*before.passes, found)


def operations(graph: Graph) -> dict[str, int]:
    """How many nodes of each operation there are, by name; leaves aside."""
    return {op.name: count for op, count in Counter(graph.ops).items() if op.arity}
