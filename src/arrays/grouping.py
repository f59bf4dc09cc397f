"""Generation by generation, scalars that do the same to elements of the same arrays form groups.

The operands of a generation have their addresses. Nodes with the same operation on operands of the
same homes are the lanes of one group; so are the parts of sums that are made of the same arrays.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from operator import itemgetter
from typing import Any

from ..ops.arrays import MAX, SUM
from ..ops.scalar import ADD, MAXIMUM, MUL
from .addresses import Addresses
from .collapse import Collapsed, Term, term_level
from .contractions import FEW_TERMS
from .index_maps import CONSTANTS
from .sum_parts import Part, join_scaled, part_terms, scaled_arrays

Numbered = list[tuple[int, Term]]
"""Terms of a sum, each with its number in the sum."""

Signed = tuple[int, int]
"""A sign, and a scalar or the home of scalars."""

Key = tuple[Any, ...]
"""What the lanes of a group have in common, the operation first."""


@dataclass(slots=True)
class Group:
    """Lanes that may become one array operation.

    lanes   the scalars to compute
    nodes   the operands, lane by lane, as scalars
    counts  of sums, how many terms each lane has
    places  of sums of products, the places of the factors, lane by lane
    """

    lanes: list[int] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    places: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))

    def chosen(self, mask: Sequence[bool]) -> Group:
        """The sums of products that the mask chooses."""
        terms = [kept for kept, count in zip(mask, self.counts, strict=True) for _ in range(count)]
        left, right = (list(compress(column, terms)) for column in self.places)
        lanes, counts = list(compress(self.lanes, mask)), list(compress(self.counts, mask))
        return Group(lanes, [], counts, (left, right))


Groups = defaultdict[Key, Group]


class Generations:
    """The groups of a collapsed graph, generation after generation.

    Whoever asks for the next generation has given every lane of the last an address, or has `split`
    it. Keys of groups are

        (MUL, home, home)               products, and the parts of sums that are products
        (SUM or MAX, home)              parts of sums or maxima that are elements of one array
        (ADD or MAXIMUM, (sign, home)…) sums or maxima of parts
        (op, statics, homes)            all other operations

    whole  of the generation: sums that need no addition, by the home of their only part
    """

    def __init__(self, collapsed: Collapsed, addresses: Addresses) -> None:
        self._collapsed = collapsed
        self._addresses = addresses
        self._source = addresses.source
        self._parts: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
        self._split: dict[int, Sequence[int]] = {}
        self.whole: defaultdict[int, list[int]] = defaultdict(list)

    def __iter__(self) -> Iterator[Groups]:
        for nodes, parts, sums in self._levels():
            groups: Groups = defaultdict(Group)
            self.whole.clear()
            self._group_nodes(nodes, groups)
            self._group_parts(parts, groups)
            self._group_sums(sums, groups)
            yield groups

    def split(self, lane: int, scalars: Sequence[int]) -> None:
        """Let the elements a lane adds up stand in its sum one by one."""
        self._split[lane] = scalars

    def _levels(self) -> Iterator[tuple[list[int], list[tuple[int, Numbered]], list[int]]]:
        """For each level: its operations, the parts of sums to compute, the sums to add up."""
        levels, chains = self._collapsed.levels, self._collapsed.chains
        ops, operands_of = self._source.ops, self._source.operands
        nodes: defaultdict[int, list[int]] = defaultdict(list)
        parts: defaultdict[int, list[tuple[int, Numbered]]] = defaultdict(list)
        sums: defaultdict[int, list[int]] = defaultdict(list)
        for node in self._collapsed.live:
            terms = chains.get(node)
            if terms is not None:
                sums[levels[node]].append(node)
                for level, numbered in _by_level(terms, levels).items():
                    parts[level + 1].append((node, numbered))
            elif operands_of[node]:
                nodes[levels[node] - (ops[node] is MUL)].append(node)
        for level in sorted({*nodes, *parts, *sums}):
            yield nodes.pop(level, []), parts.pop(level, []), sums.pop(level, [])

    def _group_nodes(self, nodes: Iterable[int], groups: Groups) -> None:
        """Operations by what they are and where their operands live; products as sums of one."""
        home, place = self._addresses.home, self._addresses.place
        ops, operands_of, statics = self._source.ops, self._source.operands, self._source.statics
        for node in nodes:
            op, operands = ops[node], operands_of[node]
            if op is MUL:
                a, b = operands
                if home[a] > home[b]:
                    a, b = b, a
                group = groups[MUL, home[a], home[b]]
                group.lanes.append(node)
                group.counts.append(1)
                group.places[0].append(place[a])
                group.places[1].append(place[b])
            else:
                homes = tuple([home[operand] for operand in operands])
                group = groups[op, statics.get(node, ()), homes]
                group.lanes.append(node)
                group.nodes += operands

    def _group_parts(self, sums: Iterable[tuple[int, Numbered]], groups: Groups) -> None:
        """Parts of sums, by the arrays their terms come from."""
        ops, addresses = self._source.ops, self._addresses
        parted = [(node, part_terms(terms, addresses)) for node, terms in sums]
        scaled = scaled_arrays([item for item in parted if ops[item[0]] is not MAXIMUM], addresses)
        for node, parts in parted:
            if scaled and ops[node] is not MAXIMUM:
                join_scaled(node, parts, scaled, addresses)
            for (sign, first, second), part in parts.items():
                if part.nodes:
                    op = MAX if ops[node] is MAXIMUM else SUM
                    self._group_elements(node, sign, (op, first), part, groups)
                    continue
                times, (left, right) = _repeated(*part.factors)
                lane = addresses.new_part(node)
                self._parts[node] += [(part.order, sign, lane)] * times
                group = groups[MUL, first, second]
                group.lanes.append(lane)
                group.counts.append(len(left))
                group.places[0].extend(left)
                group.places[1].extend(right)

    def _group_elements(self, node: int, sign: int, key: Key, part: Part, groups: Groups) -> None:
        """A part made of elements of one array; those that cannot be all of an axis stay apart."""
        count, home = len(part.nodes), key[1]
        apart = home == CONSTANTS or self._addresses.size(home) % count
        if count == 1 or (count <= FEW_TERMS and apart):
            self._parts[node] += [(part.order, sign, scalar) for scalar in part.nodes]
            return
        lane = self._addresses.new_part(node)
        self._parts[node].append((part.order, sign, lane))
        group = groups[key]
        group.lanes.append(lane)
        group.counts.append(count)
        group.nodes += part.nodes

    def _group_sums(self, nodes: Iterable[int], groups: Groups) -> None:
        """Sums whose parts are there, by the arrays of the parts; one of one part is that part.

        In whatever order parts are added, they are in that of the first such sum.
        """
        home, place = self._addresses.home, self._addresses.place
        written: dict[Key, tuple[Signed, ...]] = {}
        for node in nodes:
            parts = self._parts.pop(node)
            if len(parts) > 1:
                parts.sort(key=itemgetter(0))
            added = [
                (sign, scalar)
                for _, sign, part in parts
                for scalar in self._split.get(part, (part,))
            ]
            if len(added) == 1:
                ((_, scalar),) = added
                home[node], place[node] = home[scalar], place[scalar]
                self.whole[home[node]].append(node)
                continue
            op = MAXIMUM if self._source.ops[node] is MAXIMUM else ADD
            kinds = tuple([(sign, home[scalar]) for sign, scalar in added])
            known = written.setdefault((op, tuple(sorted(kinds))), kinds)
            group = groups[op, known]
            group.lanes.append(node)
            group.nodes += [scalar for _, scalar in _in_order(added, kinds, known)]


def _in_order(
    parts: list[Signed], kinds: Sequence[Signed], wanted: Sequence[Signed]
) -> list[Signed]:
    """The parts of a sum, of these kinds, in another order of the kinds."""
    if kinds == wanted:
        return parts
    of_kind: defaultdict[Signed, deque[Signed]] = defaultdict(deque)
    for part, kind in zip(parts, kinds, strict=True):
        of_kind[kind].append(part)
    return [of_kind[kind].popleft() for kind in wanted]


def _repeated(left: list[int], right: list[int]) -> tuple[int, tuple[list[int], list[int]]]:
    """How often one product is repeated if the terms are few and all that one, and the terms."""
    count = len(left)
    if count <= FEW_TERMS and len(set(left)) == 1 == len(set(right)):
        return count, (left[:1], right[:1])
    return 1, (left, right)


def _by_level(terms: Sequence[Term], levels: Sequence[int]) -> dict[int, Numbered]:
    """The terms of a sum by the level of what they are made of."""
    found: dict[int, Numbered] = {}
    for number, term in enumerate(terms):
        level = term_level(term, levels)
        numbered = found.get(level)
        if numbered is None:
            numbered = found[level] = []
        numbered.append((number, term))
    return found
