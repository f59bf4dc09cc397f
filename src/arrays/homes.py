"""Which arrays the leaves of a scalar graph are elements of, by their names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import NamedTuple

from ..graph.expr import Graph
from ..graph.store import is_name
from ..ops.record import Op

Place = tuple[int, ...]
Kind = tuple[Op, str]
Key = tuple[Kind, str, int]
"""What leaves of one array share: the kind of leaf and the argument, their name, how many axes."""

_INDEXED = re.compile(r"(.+?)((?:_\d+)+)", re.ASCII)
_NUMBERED = re.compile(r"(.*?\D)(\d+)", re.ASCII)


class LeafArray(NamedTuple):
    """An array of leaves: its name, its shape, and the nodes of its elements in C order."""

    name: str
    shape: tuple[int, ...]
    nodes: tuple[int, ...]


def name_and_place(name: str) -> tuple[str, Place]:
    """A leaf's name as the name of an array and an index into it.

    >>> name_and_place("w0_2_1"), name_and_place("x3"), name_and_place("alpha")
    (('w0', (2, 1)), ('x', (3,)), ('alpha', ()))
    """
    match = _INDEXED.fullmatch(name)
    if match:
        return match[1], tuple(map(int, match[2][1:].split("_")))
    match = _NUMBERED.fullmatch(name)
    return (match[1], (int(match[2]),)) if match else (name, ())


def leaf_homes(
    graph: Graph, leaves: Iterable[int], argument: Mapping[int, str] | None = None
) -> list[LeafArray]:
    """The leaves gathered into arrays, in the order in which their first elements come.

    argument  the argument that each leaf belongs to; an array is within one

    Indices that fill a grid make an array of as many axes; others make a vector in the order of
    their indices. A name without an index is a scalar.

    >>> g = Graph(); _ = [g.input(f"w_{j}_{i}") for j in range(2) for i in range(3)], g.input("c")
    >>> [(a.name, a.shape) for a in leaf_homes(g, range(7))]
    [('w', (2, 3)), ('c', ())]
    """
    groups: defaultdict[Key, list[tuple[Place, int]]] = defaultdict(list)
    argument = argument or {}
    for node in leaves:
        stem, place = name_and_place(graph.labels[node])
        kind = (graph.ops[node], argument.get(node, ""))
        groups[kind, stem, len(place)].append((place, node))
    arrays = [_array(graph, stem, elements) for (_, stem, _), elements in groups.items()]
    return distinct_names(sorted(arrays, key=lambda array: min(array.nodes)))


def _array(graph: Graph, stem: str, elements: Sequence[tuple[Place, int]]) -> LeafArray:
    elements = sorted(elements)
    places = [place for place, _ in elements]
    nodes = tuple(node for _, node in elements)
    if len(nodes) == 1:
        return LeafArray(graph.labels[nodes[0]], (), nodes)
    shape = tuple(len(set(axis)) for axis in zip(*places, strict=True))
    if prod(shape) != len(nodes) or len(set(places)) != len(nodes):
        shape = (len(nodes),)
    return LeafArray(stem, shape, nodes)


def distinct_names(arrays: Sequence[LeafArray]) -> list[LeafArray]:
    """The same arrays; scalars keep their names, and arrays whose names are taken get new ones."""
    taken = {array.name for array in arrays if not array.shape}
    result = []
    for array in arrays:
        name = array.name
        if array.shape:
            while name in taken or not is_name(name):
                name = f"{name}_" if is_name(f"{name}_") else f"v{len(taken)}"
            taken.add(name)
        result.append(array._replace(name=name))
    return result
