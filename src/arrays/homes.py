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
from ..ops.scalar import INPUT

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
    arrays = [_array(graph, stem, elements) for (_, stem, _), elements in _families(groups).items()]
    return distinct_names(sorted(arrays, key=lambda array: min(array.nodes)))


def _families(
    groups: dict[Key, list[tuple[Place, int]]],
) -> dict[Key, list[tuple[Place, int]]]:
    """The groups, arrays of inputs x0_…, x1_… that lie alike made one with an axis more.

    Parameters are left alone: w0, w1 are usually the layers of a network. So are inputs that do not
    follow each other, such as what an optimizer remembers of the biases of each layer.
    """
    inputs = sorted(n for (kind, *_), row in groups.items() if kind[0] is INPUT for _, n in row)
    rank = {node: number for number, node in enumerate(inputs)}
    rows: defaultdict[tuple[Kind, str, frozenset[Place]], list[tuple[Place, str]]]
    rows = defaultdict(list)
    for (kind, stem, axes), elements in groups.items():
        base, numbers = _numbers_within(stem)
        if kind[0] is INPUT and axes and numbers and _follow([rank[n] for _, n in elements]):
            rows[kind, base, frozenset(place for place, _ in elements)].append((numbers, stem))
    families = dict(groups)
    for (kind, base, places), stems in rows.items():
        axes = len(next(iter(places)))
        whole = axes + len(stems[0][0])
        if _is_grid([numbers for numbers, _ in stems]) and (kind, base, whole) not in families:
            families[kind, base, whole] = [
                ((*numbers, *place), node)
                for numbers, stem in stems
                for place, node in families.pop((kind, stem, axes))
            ]
    return families


def _numbers_within(name: str) -> tuple[str, Place]:
    """A name without the numbers in it, and these.

    >>> _numbers_within("x0c12"), _numbers_within("x")
    (('xc', (0, 12)), ('x', ()))
    """
    return re.sub(r"\d+", "", name), tuple(map(int, re.findall(r"\d+", name, re.ASCII)))


def _is_grid(places: Sequence[Place]) -> bool:
    """Whether there are several places, of one number of axes, that fill a grid."""
    axes = [set(axis) for axis in zip(*places, strict=False)]
    return 1 < len(places) == prod(map(len, axes)) and len({*map(len, places)}) == 1


def _follow(ranks: Sequence[int]) -> bool:
    """Whether whole numbers are some that follow each other."""
    return max(ranks) - min(ranks) == len(ranks) - 1


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
