"""Whole vectors: what is done alike to every element of an argument is done to all of it at once.

A leaf has a home by name, `w[i, j]`, and one by argument, `params[k]`; so has its adjoint. Where an
optimizer moves every parameter alike, the second makes one statement of what would be one for every
layer. It is taken where all that is read has the same place in its argument, or is the
same for all, and what is computed is put out or goes on in the same way.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

from ..ops.scalar import CONSTANT
from .terms import Scalars

Element = tuple[str, int, int]
"""An element of a vector: the argument, how many derivatives deep it is, and the place."""

Places = dict[int, tuple[str, int]]
"""By leaf: the argument that it is an element of, and its place there."""


def places_of(arguments: Mapping[str, Sequence[int]]) -> Places:
    """Where each leaf lies, of arguments that are given as the nodes of their elements."""
    return {
        node: (name, place) for name, nodes in arguments.items() for place, node in enumerate(nodes)
    }


def join_wholes(found: Scalars, places: Places) -> bool:
    """Let what is computed alike for a whole argument read it as a vector; whether anything is.

    `found` is changed.
    """
    lengths = Counter(name for name, _ in places.values())
    places = {node: (name, place) for node, (name, place) in places.items() if lengths[name] > 1}
    if not places:
        return False
    before = len(found.vectors)
    _Wholes(found, places, lengths)
    return len(found.vectors) > before


class _Wholes:
    def __init__(self, found: Scalars, places: Places, lengths: Mapping[str, int]) -> None:
        self._found, self._places, self._lengths = found, places, lengths
        self._next = max(max(found.order, default=0) + 1, len(found.graph))
        self._virtual: dict[Element, int] = {}
        self._elements: dict[int, Element] = {
            leaf: (name, 0, place) for leaf, (name, place) in places.items()
        }
        adjoints = {
            node: (places[primal][0], level, places[primal][1])
            for node, (primal, level) in found.adjoint.items()
            if primal in places
        }
        counts = Counter(adjoints.values())
        several = {key[:2] for key, count in counts.items() if count > 1}
        self._elements |= {n: key for n, key in adjoints.items() if key[:2] not in several}
        region = self._region()
        for node in region:
            found.rewrite(node, self._element)
        self._put_out()
        found.order[:0] = self._virtual.values()

    def _region(self) -> set[int]:
        """The nodes that are computed from one place of a vector, and only used likewise."""
        found, elements = self._found, self._elements
        derived = {name for name, level, _ in elements.values() if level}
        users: defaultdict[int, list[int]] = defaultdict(list)
        for node in found.order:
            for operand in found.operands(node):
                users[operand].append(node)
        at = {
            node: (place, self._lengths[name])
            for node, (name, _, place) in elements.items()
            if name in derived
        }
        region: set[int] = set()
        for node in found.order:
            if node in elements or node in found.adjoint or node in found.extremes:
                continue
            inputs = found.operands(node)
            places = {at[operand] for operand in inputs if operand in at}
            if len(places) == 1:
                ((_, length),) = places
                others = [o for o in inputs if o not in at and o not in elements]
                if all(self._is_number(o) or 2 * len(users[o]) >= length for o in others):
                    at[node] = next(iter(places))
        for node in reversed(found.order):
            if node in at and node not in elements and region.issuperset(users[node]):
                region.add(node)
        return region

    def _is_number(self, node: int) -> bool:
        graph = self._found.graph
        return node < len(graph) and graph.ops[node] is CONSTANT

    def _element(self, node: int) -> int:
        key = self._elements.get(node)
        return node if key is None else self._of_vector(key)

    def _of_vector(self, key: Element) -> int:
        """The node that stands for an element of a vector."""
        if key not in self._virtual:
            made = self._virtual[key] = self._next
            self._next += 1
            self._found.vectors[made] = key
        return self._virtual[key]

    def _put_out(self) -> None:
        """Outputs that are all adjoints of an argument, in its order, are one vector.

        A derivative that is 0 because nothing depends on the leaf is an element like the others.
        """
        found, done, tried = self._found, 0, set[Element]()
        computed = set(self._elements.values())
        for known, root in enumerate(list(found.roots)):
            name, level, place = self._elements.get(root, ("", 0, 0))
            start = known - place
            if not level or start < done or (name, level, start) in tried:
                continue
            tried.add((name, level, start))
            keys = [(name, level, place) for place in range(self._lengths[name])]
            roots = found.roots[start : start + len(keys)]
            if len(roots) == len(keys) and all(map(partial(self._is_at, computed), roots, keys)):
                for root, key in zip(roots, keys, strict=True):
                    if root not in self._elements and key not in self._virtual:
                        found.zeros.setdefault(key[:2], []).append(key[2])
                found.roots[start : start + len(keys)] = map(self._of_vector, keys)
                done = start + len(keys)

    def _is_at(self, computed: set[Element], root: int, key: Element) -> bool:
        """Whether an output is an element of a vector of adjoints, or the 0 of one not computed.

        Of two rows of second derivatives one may be 0 where the other is not.
        """
        if root in self._elements:
            return self._elements[root] == key
        zero = self._is_number(root) and self._found.graph.value(root) == 0.0
        return zero and key not in computed
