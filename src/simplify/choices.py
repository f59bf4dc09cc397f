"""The smallest of places that conditions choose, as one choice after another.

A chain of maxima asks for min over k of where(p_k, k, n): the first k for which p_k holds. Numbers
computed one by one need not be compared for that: where(p_0, 0, where(p_1, 1, …, n)) is the same.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from ..graph.expr import Graph
from ..graph.rewrite import Rewritten, Walk, add_record, rewritten, unchanged
from ..graph.store import live_nodes
from ..graph.traversal import reachable, taken_apart
from ..ops.scalar import MINIMUM, WHERE, where
from .rules import scalar_constant

NAME = "first-place"


class Place(NamedTuple):
    """A number where a condition holds, and what it is where not."""

    condition: int
    number: float
    last: float


def choose_places(graph: Graph) -> Rewritten:
    """A new graph for `graph.outputs` in which the first of places is found without minima.

    >>> g = Graph(); p, q = g.inputs("p", 2)
    >>> g.outputs = (MINIMUM(MINIMUM(where(p, 0, 2), where(q, 1, 2)), 2).id,)
    >>> made = choose_places(g).graph
    >>> print(made[made.outputs[0]])
    where(p0, 0, where(p1, 1, 2))
    """
    chains = _chains(graph)
    if not chains:
        return unchanged(graph)

    def parts(node: int) -> list[int]:
        if node in chains:
            return [place.condition for place in chains[node]]
        return [*graph.operands[node]]

    def write(walk: Walk, node: int) -> int | None:
        if node not in chains:
            return None
        rest: Any = chains[node][-1].last
        for condition, number, _ in reversed(chains[node]):
            rest = where(walk.target[walk.images[condition]], number, rest)
        return walk.target.node_of(rest)

    order = sorted(reachable(graph.outputs, parts))
    made = rewritten(graph, graph.outputs, write, order=order)
    add_record(NAME, graph, made.graph, {NAME: len(chains)})
    return made


def _chains(graph: Graph) -> dict[int, list[Place]]:
    """The chains of minima that are the first of places, by the node that they end in."""
    found: dict[int, list[Place]] = {}
    inner: set[int] = set()
    for node in reversed(live_nodes(graph, graph.outputs)):
        if graph.ops[node] is not MINIMUM:
            continue
        inner.update(graph.operands[node])
        places = [] if node in inner else _places(graph, node)
        if places:
            found[node] = places
    return found


def _places(graph: Graph, end: int) -> list[Place]:
    """What a chain of minima is of, if that is places in order and what holds where none does."""

    def links(node: int) -> tuple[int, ...] | None:
        return graph.operands[node] if graph.ops[node] is MINIMUM else None

    *parts, last = taken_apart(end, links)
    number = scalar_constant(graph, last)
    places = [_place(graph, part) for part in (parts if number is not None else [*parts, last])]
    found = [place for place in places if place is not None]
    numbers = [place.number for place in found]
    rest = {place.last for place in found} | ({number} if number is not None else set())
    whole = len(found) == len(places) and len(rest) == 1
    ordered = all(a < b for a, b in pairwise([*numbers, *rest]))
    return found if whole and ordered else []


def _place(graph: Graph, node: int) -> Place | None:
    if graph.ops[node] is not WHERE:
        return None
    condition, *numbers = graph.operands[node]
    number, last = (scalar_constant(graph, operand) for operand in numbers)
    return None if number is None or last is None else Place(condition, number, last)
