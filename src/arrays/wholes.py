"""Whole vectors: what is done alike to every element of an argument is done to all of it at once.

A leaf has a home by name, `w[i, j]`, and one by argument, `params[k]`; so has its adjoint. Where an
optimizer moves every parameter alike, the second makes one statement of what would be one for every
layer. It is taken where all that is read has the same place in its argument, or is the
same for all, and what is computed is put out or goes on in the same way.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from ..ops.scalar import CONSTANT
from .terms import NONE, Product, Scalars

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
        self._virtual: dict[tuple[str, int, int], int] = {}
        self._elements: dict[int, tuple[str, int, int]] = {
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
            self._rewrite(node)
        self._put_out()
        found.order[:0] = self._virtual.values()

    def _inputs(self, node: int) -> Sequence[int]:
        found = self._found
        if node in found.sums:
            return [f for term in found.sums[node] for f in term[2:] if f != NONE]
        return found.inputs.get(node) or found.extremes.get(node) or ()

    def _region(self) -> set[int]:
        """The nodes that are computed from one place of a vector, and only used likewise."""
        found, elements = self._found, self._elements
        derived = {name for name, level, _ in elements.values() if level}
        uses: Counter[int] = Counter()
        users: defaultdict[int, list[int]] = defaultdict(list)
        for node in found.order:
            for operand in self._inputs(node):
                uses[operand] += 1
                users[operand].append(node)
        at: dict[int, tuple[int, int]] = {}
        for node in found.order:
            if node in elements or node in found.adjoint or node in found.extremes:
                continue
            inputs = self._inputs(node)
            places: set[tuple[int, int]] = set()
            others = []
            for operand in inputs:
                if operand in at:
                    places.add(at[operand])
                elif operand not in elements:
                    others.append(operand)
                elif elements[operand][0] in derived:
                    places.add((elements[operand][2], self._lengths[elements[operand][0]]))
            if len(places) == 1:
                ((place, length),) = places
                if all(self._is_number(o) or 2 * uses[o] >= length for o in others):
                    at[node] = (place, length)
        region: set[int] = set()
        for node in reversed(found.order):
            if node in at and region.issuperset(users[node]):
                region.add(node)
        return region

    def _is_number(self, node: int) -> bool:
        graph = self._found.graph
        return node < len(graph) and graph.ops[node] is CONSTANT

    def _element(self, node: int) -> int:
        key = self._elements.get(node)
        if key is None:
            return node
        if key not in self._virtual:
            made = self._virtual[key] = self._next
            self._next += 1
            self._found.vectors[made] = key
        return self._virtual[key]

    def _rewrite(self, node: int) -> None:
        found = self._found
        if node in found.inputs:
            found.inputs[node] = tuple(map(self._element, found.inputs[node]))
            return
        found.sums[node] = [
            Product(
                term.sign,
                term.number,
                self._element(term.first) if term.first != NONE else NONE,
                self._element(term.second) if term.second != NONE else NONE,
            )
            for term in found.sums[node]
        ]

    def _put_out(self) -> None:
        """Outputs that are all adjoints of an argument, in its order, are one vector.

        A derivative that is 0 because nothing depends on the leaf is an element like the others.
        """
        found, start = self._found, 0
        self._next_known = self._known_after()
        self._computed = set(self._elements.values())
        while start < len(found.roots):
            key = self._vector_from(start)
            if key is None:
                start += 1
                continue
            name, level = key
            for place in range(self._lengths[name]):
                root = found.roots[start + place]
                if root not in self._elements:
                    zeros = found.zeros.setdefault(key, [])
                    if place not in zeros:
                        zeros.append(place)
                    self._elements[root] = (name, level, place)
                found.roots[start + place] = self._element(root)
                if self._is_number(root):
                    del self._elements[root]
            start += self._lengths[name]

    def _vector_from(self, start: int) -> tuple[str, int] | None:
        """The argument whose adjoints the outputs from `start` are, and how deep they are."""
        roots = self._found.roots
        known = self._next_known[start]
        if known == NONE:
            return None
        name, level, place = self._elements[roots[known]]
        length = self._lengths[name]
        if level == 0 or place != known - start or start + length > len(roots):
            return None
        for place in range(length):
            root, element = roots[start + place], (name, level, place)
            known_zero = root not in self._elements and self._is_zero(root)
            # of two rows of second derivatives one may be 0 where the other is not
            if self._elements.get(root) != element and (
                not known_zero or element in self._computed
            ):
                return None
        return name, level

    def _known_after(self) -> list[int]:
        """For each output the next, itself included, of which one knows the vector; else NONE.

        Between them are zeros alone.
        """
        roots, found = self._found.roots, [NONE]
        for place in reversed(range(len(roots))):
            if roots[place] in self._elements:
                found.append(place)
            else:
                found.append(found[-1] if self._is_zero(roots[place]) else NONE)
        return found[::-1]

    def _is_zero(self, node: int) -> bool:
        return self._is_number(node) and self._found.graph.value(node) == 0.0
