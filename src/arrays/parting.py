"""What is regular in parts: terms and elements told apart by which of two coordinates is larger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, combinations, product

from .columns import Column, codes
from .shapes import APPLY, Family, Shapes, Told, in_order
from .terms import NONE


def by_order(places: Sequence[Sequence[Column]]) -> Iterator[list[Column]]:
    """Ways to part points by which of two coordinates is larger: the points of each part.

    The terms of a pair are so parted by the place in it of whose element they are. Coordinates in
    different `places` come first.
    """
    pairs = [pair for a, b in combinations(places, 2) for pair in product(a, b)]
    seen: set[frozenset[bytes]] = set()
    for u, v in (*pairs, *[pair for own in places for pair in combinations(own, 2)]):
        parts = [part for part in (u < v, u == v, v < u) if part.any()]
        known = frozenset([part.tobytes() for part in parts])
        if known not in seen and len(parts) > 1:
            seen.add(known)
            yield parts


def told_apart(known: Shapes, parted: Mapping[int, Column]) -> Told:
    """What tells scalars apart if elements of some families are to be, by the part of each."""
    apart = dict(known.told.apart)
    for node, number in known.family.items():
        if number in parted:
            part = int(parted[number][known.lane[node]])
            apart[node] = (*apart.get(node, ()), part)
    across = _across(known.families, parted)
    nodes = {node for node, number in known.family.items() if number in across}
    return Told(apart, known.told.across | nodes, known.told.family or known.family)


def _across(families: Sequence[Family], parted: Mapping[int, Column]) -> set[int]:
    """The sums, maxima and minima that have terms of several parts in one element."""
    found: set[int] = set()
    parts = dict(parted)
    for number in chain.from_iterable(in_order(families, range(len(families)))):
        family = families[number]
        if parts.keys().isdisjoint({family.primal, *family.needs()}):
            continue
        own = _parts_of(family, parts)
        if own is None:
            found.add(number)
        elif number not in parted:
            parts[number] = own
    return found


def _parts_of(family: Family, parts: Mapping[int, Column]) -> Column | None:
    """Which parts each element is made of, as a number; None where one sum is of several."""
    import numpy

    if family.primal != NONE:
        whole = numpy.zeros(family.size, numpy.int64)
        return parts[family.primal][family.places] if family.primal in parts else whole
    if family.kind == APPLY:
        rows = numpy.array(family.rows, numpy.int64).reshape(family.size, -1)
        return _coded(parts, family.inputs, rows.T, family.size)
    found = []
    for group in family.groups.values():
        place, *lanes = numpy.array(group.rows, numpy.int64).reshape(-1, 3).T
        coded = _coded(parts, group.factors, lanes, len(place))
        own = numpy.zeros(family.size, numpy.int64)
        own[place] = coded
        if (own[place] != coded).any():
            return None
        found.append(own)
    return numpy.unique(codes(found, family.size)[0], return_inverse=True)[1]


def _coded(
    parts: Mapping[int, Column], numbers: Sequence[int], lanes: Iterable[Column], count: int
) -> Column:
    """Which parts some elements of families are in, as one number for each of `count` points."""
    import numpy

    pairs = zip(numbers, lanes, strict=False)
    columns = [parts[number][lane] for number, lane in pairs if number in parts]
    return numpy.unique(codes(columns, count)[0], return_inverse=True)[1]
