"""A program on arrays while it is rewritten, and passes that are kept only where they pay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Final, NamedTuple

from ...graph.expr import Graph, live_nodes
from ...graph.rewrite import PassRecord
from ...ops.shapes import Shape
from ..cost import graph_microseconds
from ..lower import Signature
from ..program import Nested, map_nested
from .factors import SAMPLES
from .lower import Place


@dataclass(frozen=True)
class Draft:
    """What is to be computed with arrays: a graph, and what is asked of it.

    graph       its outputs are the nodes of the places, in order
    outputs     a nesting of places in `graph`
    signatures  the arguments
    shapes      those of leaves that are arrays as the caller sees them
    notes       label of an array leaf → what a reader should know of it
    scaled      the nodes that factors were carried to
    """

    graph: Graph
    outputs: Nested
    signatures: Sequence[Signature]
    shapes: Mapping[str, Shape]
    notes: Mapping[str, str] = field(default_factory=dict)
    scaled: frozenset[int] = frozenset()

    @property
    def batched(self) -> bool:
        """Whether any argument has a row per sample."""
        return any(signature.batched for signature in self.signatures)

    def microseconds(self) -> float:
        """What a call is estimated to take, with `SAMPLES` samples where it has a batch."""
        return graph_microseconds(
            self.graph, _sequences(self.outputs, self.graph), len(self.signatures), SAMPLES
        )

    def on(self, graph: Graph) -> Draft:
        """The same on another graph, whose outputs are the same ones in the same order."""
        moved = iter(graph.outputs)
        outputs = map_nested(self.outputs, lambda place: Place(next(moved), place.position))
        return replace(self, graph=graph, outputs=outputs)


def _sequences(nested: Nested, graph: Graph) -> Iterator[tuple[int, list[int]]]:
    """The length of each sequence of numbers among the outputs, and the nodes they are in."""
    if isinstance(nested, Place):
        return
    if not isinstance(nested, Mapping) and all(isinstance(item, Place) for item in nested):
        full = [p.node for p in nested if p.position is None]
        length = len(nested) - len(full)
        length += sum(abs(prod(graph.shapes.get(node, ()))) for node in full)
        yield length, list(dict.fromkeys(place.node for place in nested))
        return
    for item in nested.values() if isinstance(nested, Mapping) else nested:
        yield from _sequences(item, graph)


Pass = Callable[[Draft], Draft]
"""From a draft to one that computes the same, up to rounding; to itself where nothing applies."""


@dataclass(frozen=True)
class ArrayRecord(PassRecord):
    """What a pass did to arrays, the estimated microseconds of a call, and whether it was kept."""

    before: float
    after: float
    kept: bool

    def __str__(self) -> str:
        verdict = "" if self.kept else ", so it was left out"
        return f"{super().__str__()}; about {self.before:.3g} µs -> {self.after:.3g} µs{verdict}"


class Tried(NamedTuple):
    """A pass that changed something, the drafts before and after it, and what came of it."""

    before: Draft
    after: Draft
    record: ArrayRecord


NEGLIGIBLE: Final = 1e-9
"""By how many microseconds an estimate must fall to be a lower one."""


def tried(draft: Draft, passes: Iterable[tuple[str, Pass]]) -> Iterator[Tried]:
    """Try each pass in turn on what those before it left; it stays where a call becomes cheaper."""
    cost = draft.microseconds()
    for name, step in passes:
        after = step(draft)
        if after is draft:
            continue
        record = _record(name, draft.graph, after.graph, (cost, after.microseconds()))
        yield Tried(draft, after, record)
        if record.kept:
            draft, cost = after, record.after


def _record(name: str, old: Graph, new: Graph, costs: tuple[float, float]) -> ArrayRecord:
    """What a pass did, with what it counted itself."""
    before, after = (live_nodes(g, dict.fromkeys(g.outputs)) for g in (old, new))
    counted: Counter[str] = Counter()
    for own in new.passes[len(old.passes) :]:
        counted.update(own.rewrites)
    return ArrayRecord(
        name=name,
        nodes_before=len(before),
        nodes_after=len(after),
        operations_before=_operations(old, before),
        operations_after=_operations(new, after),
        rewrites=dict(sorted(counted.items())),
        before=costs[0],
        after=costs[1],
        kept=costs[1] < costs[0] - NEGLIGIBLE,
    )


def _operations(graph: Graph, live: Iterable[int]) -> dict[str, int]:
    """How many of these nodes there are of each operation, by name; leaves aside."""
    return dict(Counter(graph.ops[node].name for node in live if graph.operands[node]))
