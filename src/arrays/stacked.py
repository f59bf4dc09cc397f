"""Arrays of leaves whose names differ in a number alone, made one array where it is an index."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import permutations
from typing import NamedTuple

from ..graph.expr import Graph
from ..ops.record import Op
from .homes import LeafArray, distinct_names
from .shapes import LEAF, Shapes, shapes
from .terms import NONE, Scalars

_NUMBER = re.compile(r"\d+", re.ASCII)


class _Key(NamedTuple):
    """What arrays share whose names are the same but for one number."""

    op: Op
    argument: str | None
    shape: tuple[int, ...]
    before: str
    after: str


class _Stack(NamedTuple):
    """Arrays that may be the rows of one, which is as long as they are together."""

    rows: tuple[LeafArray, ...]
    whole: LeafArray


def stacked(found: Scalars, known: Shapes) -> Shapes:
    """The shapes with arrays w0, w1, … made the array w where nothing tells its rows apart.

    The rows of a matrix are read by what reads each; layers of a network are not, and mostly at
    different depths. So arrays are one where it is read by no more families than the row that is
    read by most. Inputs at the steps of a recurrence are one as well: the same arrays multiply
    them.
    """
    within = {node: name for name, nodes in known.arguments.items() for node in nodes}
    refused: set[tuple[LeafArray, ...]] = set()
    while stacks := list(_stacks(found.graph, known.homes, within, refused)):
        level, partners = _levels(known), _partners(known)
        shared = {s.rows for s in stacks if _one({partners[row.nodes] for row in s.rows})}
        layers = [
            stack
            for stack in stacks
            if stack.rows not in shared and len({level[row.nodes] for row in stack.rows}) > 1
        ]
        if layers:
            refused.update([stack.rows for stack in layers])
            continue
        again = shapes(found, _put(known.homes, stacks), known.arguments)
        before, after = _readers(known), _readers(again)
        alike = [
            stack
            for stack in stacks
            if stack.rows in shared
            or after[stack.whole.nodes] <= max(before[row.nodes] for row in stack.rows)
        ]
        refused |= {s.rows for s in stacks}.difference([s.rows for s in alike])
        if len(alike) == len(stacks):
            known = again
        elif alike:
            known = shapes(found, _put(known.homes, alike), known.arguments)
    return known


def _stacks(
    graph: Graph,
    homes: Iterable[LeafArray],
    within: Mapping[int, str],
    refused: set[tuple[LeafArray, ...]],
) -> Iterator[_Stack]:
    """Arrays of one shape and argument whose names are the same but for one number, by the last.

    Scalars such as beta1_power and beta2_power are left alone, w0_0 and w1_0 are not.
    """
    groups = defaultdict[_Key, list[tuple[int, LeafArray]]](list)
    for home in homes:
        node = home.nodes[0]
        kind = graph.ops[node], within.get(node), home.shape
        numbers = list(_NUMBER.finditer(home.name))
        for number in numbers if home.shape or len(numbers) > 1 else ():
            before, after = home.name[: number.start()], home.name[number.end() :]
            groups[_Key(*kind, before, after)].append((int(number[0]), home))
    seen: set[str] = set()
    for key, numbered in sorted(groups.items(), key=lambda item: -len(item[0].before)):
        rows = tuple([home for _, home in sorted(numbered, key=lambda row: row[0])])
        names = {row.name for row in rows}
        if len(names) > 1 and rows not in refused and seen.isdisjoint(names):
            seen |= names
            name = f"{key.before}{key.after}".rstrip("_").replace("__", "_")
            nodes = tuple([node for row in rows for node in row.nodes])
            yield _Stack(rows, LeafArray(name, (len(rows), *key.shape), nodes))


def _put(homes: Iterable[LeafArray], stacks: Iterable[_Stack]) -> list[LeafArray]:
    """The arrays with others in place of their rows."""
    gone = {row.nodes for stack in stacks for row in stack.rows}
    kept = [home for home in homes if home.nodes not in gone]
    together = [*kept, *[stack.whole for stack in stacks]]
    return distinct_names(sorted(together, key=lambda home: min(home.nodes)))


def _levels(known: Shapes) -> defaultdict[tuple[int, ...], int]:
    """How deep what first reads each array of leaves is; cheap, and enough to tell most layers."""
    depth: list[int] = []
    level = defaultdict[tuple[int, ...], int](int)
    for family in known.families:
        needs = [number for number in family.needs() if number < len(depth)]
        depth.append(1 + max([depth[number] for number in needs], default=0))
        for number in needs:
            leaf = known.families[number].leaf
            if known.families[number].kind == LEAF and leaf is not None:
                level.setdefault(leaf.nodes, depth[-1])
    return level


def _one(partners: set[frozenset[int]]) -> bool:
    """Whether there are partners, and the same for all."""
    return len(partners) == 1 and frozenset() not in partners


def _partners(known: Shapes) -> defaultdict[tuple[int, ...], frozenset[int]]:
    """The arrays of leaves that multiply those of each in sums: the families of these."""
    found = defaultdict[tuple[int, ...], frozenset[int]](frozenset)
    for family in known.families:
        for group in family.groups.values():
            for one, other in permutations(group.factors, 2):
                if NONE not in (one, other) and one != other:
                    leaf, by = known.families[one].leaf, known.families[other].leaf
                    if leaf is not None and by is not None:
                        found[leaf.nodes] |= {other}
    return found


def _readers(known: Shapes) -> defaultdict[tuple[int, ...], int]:
    """How many families read each array of leaves, by its elements."""
    count = defaultdict[tuple[int, ...], int](int)
    for family in known.families:
        for number in family.needs():
            leaf = known.families[number].leaf
            if known.families[number].kind == LEAF and leaf is not None:
                count[leaf.nodes] += 1
    return count
