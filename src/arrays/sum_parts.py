"""The terms of a sum, parted by the arrays they come from.

A sum such as b[j] + Σ w[j,i]*x[i] has a part for each kind of term: single elements of one array,
or products of elements of two. Parts of one kind are what different sums have in common.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .collapse import PLAIN, Term
from .index_maps import CONSTANTS

if TYPE_CHECKING:
    from .addresses import Addresses

Kind = tuple[int, int, int]
"""Sign, home of the first factor, home of the second or `PLAIN`."""


@dataclass(slots=True)
class Part:
    """Terms of one kind: where the first of them stands in the sum, and what they are made of.

    nodes    single elements, as nodes of the scalar graph
    factors  places of the first and of the second factors of products
    """

    order: int
    nodes: list[int] = field(default_factory=list)
    factors: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))


def part_terms(terms: Iterable[tuple[int, Term]], addresses: Addresses) -> dict[Kind, Part]:
    """The parts of a sum whose numbered terms have their addresses.

    Of two arrays in a product the older is first; of one array's elements, the order stays. What is
    multiplied by 1 counts as itself.
    """
    home, place, numbers = addresses.home, addresses.place, addresses.writer.numbers
    parts: dict[Kind, Part] = {}
    for order, (sign, a, b) in terms:
        if b != PLAIN:
            if home[a] > home[b]:
                a, b = b, a
            if home[a] == CONSTANTS and numbers[place[a]] == 1.0:
                a, b = b, PLAIN
        if b == PLAIN:
            kind = (sign, home[a], PLAIN)
            part = parts.get(kind)
            if part is None:
                part = parts[kind] = Part(order)
            part.nodes.append(a)
            continue
        kind = (sign, home[a], home[b])
        part = parts.get(kind)
        if part is None:
            part = parts[kind] = Part(order)
        first, second = part.factors
        first.append(place[a])
        second.append(place[b])
    return parts


def scaled_arrays(
    sums: Iterable[tuple[int, dict[Kind, Part]]], addresses: Addresses
) -> set[tuple[int, int]]:
    """Arrays that sums add up with constant factors, and what those sums are adjoints of."""
    return {
        (second, addresses.primal_home(node))
        for node, parts in sums
        for _, first, second in parts
        if first == CONSTANTS and second != PLAIN
    }


def join_scaled(
    node: int, parts: dict[Kind, Part], scaled: set[tuple[int, int]], addresses: Addresses
) -> None:
    """Make `±w` and `±c*w`, for w in a scaled array, one part: products with constants.

    Where the data of samples stand as constants, 1*w has become w, and -1*w a subtraction. In a sum
    that has an element twice, as w + 2*w, the factors are no data.
    """
    adjoint = addresses.primal_home(node)
    for home in dict.fromkeys(a if b == PLAIN else b for _, a, b in list(parts)):
        if (home, adjoint) not in scaled:
            continue
        products: list[Kind] = [(sign, CONSTANTS, home) for sign in (1, -1)]
        elements: list[Kind] = [(sign, home, PLAIN) for sign in (1, -1)]
        found = {kind: parts[kind] for kind in (*products, *elements) if kind in parts}
        if not found or (len(found) == 1 and not found.keys().isdisjoint(products)):
            continue
        joined = _joined(found, addresses)
        places = joined.factors[1]
        if 1 < len(places) == len(set(places)):
            for kind in found:
                del parts[kind]
            parts[1, CONSTANTS, home] = joined


def _joined(parts: dict[Kind, Part], addresses: Addresses) -> Part:
    """One part that adds what these parts add and subtract."""
    joined = Part(min(part.order for part in parts.values()))
    coefficients, places = joined.factors
    numbers, place = addresses.writer.numbers, addresses.place
    for (sign, _, _), part in parts.items():
        coefficients += [addresses.number(sign * numbers[c]) for c in part.factors[0]]
        coefficients += [addresses.number(sign)] * len(part.nodes)
        places += part.factors[1]
        places += [place[node] for node in part.nodes]
    return joined
