"""Chains: the states of a recurrence, each computed from the one before, as one array.

A state's shape nests that of the state before it, so each has a shape of its own. Two sums are
states of one chain if they are alike but for where one reads what the other is one step earlier:
they are compared side by side down to such places, so that what lies between is found alike, too.
The first states may have numbers, or leaves, where the others have a state.

    s0[i] = Σ_j w[i, j]·x[0, j]
    s1[i] = Σ_j w[i, j]·x[1, j] + Σ_j u[i, j]·tanh(s0[j])        s1 ~ s0, s2 ~ s1: all are s[t, i]
    s2[i] = Σ_j w[i, j]·x[2, j] + Σ_j u[i, j]·tanh(s1[j])
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any, Final

from .shapes import APPLY, REDUCE, Family, Shapes, components
from .terms import NONE, Scalars

LEAST: Final = 3
"""Fewer sums that are alike are no chain."""

Pair = tuple[int, int]
"""A family, and one that would be the same a step earlier."""

Term = tuple[int, ...]
"""What a term is like: its sign, whether it has a number, and what each factor is like."""


def chains(found: Scalars, known: Shapes) -> dict[int, int]:
    """The nodes that are states, each with the number of its chain; none where nothing recurs."""
    likeness = _Likeness(known.families)
    links = _Links(likeness)
    for members in likeness.alike():
        for before, after in reversed([*pairwise(members)]):
            links.compare(after, before)
    states = links.states()
    return _recurrent(found, known, states) if states else {}


def _recurrent(found: Scalars, known: Shapes, states: Mapping[int, int]) -> dict[int, int]:
    """Of the sums that are alike those that are computed from each other, node by node."""
    needs = {states.get(f.number, f.number): set[int]() for f in known.families}
    for family in known.families:
        if family.primal == NONE:
            mine = needs[states.get(family.number, family.number)]
            mine.update([states.get(number, number) for number in family.needs()])
    circles = {n for some in components(needs) for n in some if len(some) > 1 or n in needs[n]}
    if not circles:
        return {}
    inside = [states.get(family.number, NONE) in circles for family in known.families]
    around = [states.get(n, n) in circles for n in range(len(known.families))]
    place, used = known.family, set[int]()
    for node in found.order:
        if around[place[node]]:
            operands = found.operands(node)
            used.update(operands)
            if any(around[place[operand]] for operand in operands):
                used.add(node)
    return {n: states[place[n]] for n in found.order if n in used and inside[place[n]]}


class _Likeness:
    """What families are like where the sums that they are made of are not looked into.

    inside   what each is like as a part of others: all sums are alike
    terms    of sums, extremes included, that are no adjoints: the factors of the terms that are
             alike, in order
    """

    def __init__(self, families: Sequence[Family]) -> None:
        self.families = families
        self._numbers: dict[Any, int] = {}
        self.inside: list[int] = []
        self._fixed: set[int] = set()
        for family in families:
            key: Any = family.number
            if family.kind == REDUCE:
                key = family.op, family.primal != NONE
            elif family.kind == APPLY:
                key = (family.op, family.statics, *map(self._inside, family.inputs))
            self.inside.append(self._numbers.setdefault(key, len(self._numbers)))
            if family.kind not in (APPLY, REDUCE):
                self._fixed.add(self.inside[-1])
        self.terms = {
            f.number: self._terms(f)
            for f in families
            if f.kind == REDUCE and f.primal == NONE and f.groups
        }

    def _inside(self, number: int) -> int:
        return NONE if number == NONE else self.inside[number]

    def _terms(self, family: Family) -> dict[Term, list[Term]]:
        found: defaultdict[Term, list[Term]] = defaultdict(list)
        for sign, numbered, *factors in sorted(family.groups):
            factors.sort(key=lambda number: (self._inside(number), number))
            found[sign, numbered, *map(self._inside, factors)].append(tuple(factors))
        return found

    def alike(self) -> Iterator[list[int]]:
        """The sums that are alike, in the order in which they were written, if they are several."""
        found: defaultdict[Any, list[int]] = defaultdict(list)
        for number in self.terms:
            found[self.of(number)].append(number)
        yield from [members for members in found.values() if len(members) >= LEAST]

    def of(self, number: int) -> Any:
        """What is the same for families that are alike."""
        if number not in self.terms:
            return self._inside(number)
        counts = [(key, len(own)) for key, own in self.terms[number].items()]
        return self.families[number].op, frozenset(counts)

    def inner(self, one: int, other: int) -> list[Pair] | None:
        """What two families are made of, side by side; None where they are not alike."""
        if self.of(one) != self.of(other):
            return None
        if one in self.terms:
            theirs = self.terms[other]
            return [
                pair
                for key, own in self.terms[one].items()
                for mine, their in zip(own, theirs[key], strict=True)
                for pair in zip(mine, their, strict=True)
            ]
        first, second = self.families[one], self.families[other]
        applied = first.kind == APPLY
        return list(zip(first.inputs, second.inputs, strict=True)) if applied else None

    def start(self, one: int, other: int) -> list[Pair] | None:
        """What a state and one of the first are made of, side by side; None where they are not so.

        The first has the terms that the other has, or some of them; in some there may be a number,
        or a leaf, in the place of a state.
        """
        whole, some = self.terms.get(one), self.terms.get(other)
        if not whole or not some or self.families[one].op is not self.families[other].op:
            return None
        pairs: list[Pair] = []
        for term, factors in some.items():
            alike = (mine for mine in whole if self._starts(term, mine))
            meant = term if term in whole else next(alike, None)
            if meant is None:
                return None
            for mine, like in zip(whole[meant][0], meant[2:], strict=True):
                theirs = zip(factors[0], term[2:], strict=True)
                pairs += [(mine, own) for own, other_like in theirs if other_like == like]
        return pairs

    def _starts(self, term: Term, whole: Term) -> bool:
        """Whether a term is like another with something else, or a number, in place of a state."""
        numbered, own, theirs = term[1], Counter(term[2:]), Counter(whole[2:])
        left, fixed = [*(theirs - own).elements()], [*(own - theirs).elements()]
        if term[0] != whole[0] or len(left) != 1 or left[0] in self._fixed:
            return False
        return bool(numbered) if not fixed else len(fixed) == 1

    def begins(self, one: int, other: int) -> bool:
        """Whether a sum is like one of the first of a chain, with a term that both have."""
        start = self.start(one, other)
        return start is not None and not self.terms[one].keys().isdisjoint(self.terms[other])


class _Links:
    """Which sums are states of one chain, by pairs of them that were found alike."""

    def __init__(self, likeness: _Likeness) -> None:
        self._likeness = likeness
        self._chain: dict[int, int] = {}
        self._alike: set[Pair] = set()

    def compare(self, after: int, before: int) -> None:
        """Note that two sums, and what they are made of, belong together, if that is so."""
        likeness, earlier = self._likeness, set[int]()
        pending, pairs, links = [(-after, -before)], dict[Pair, None](), list[Pair]()
        while pending:
            mine, their = heappop(pending)
            pair = one, other = -mine, -their
            if one == other or pair in pairs:
                continue
            if one in earlier or pair in self._alike:
                links.append(pair)
            else:
                inner = likeness.inner(one, other)
                if inner is None and likeness.begins(one, other):
                    links.append(pair)
                    continue
                if inner is None:
                    return
                pairs[pair] = None
                for mine, their in inner:
                    heappush(pending, (-mine, -their))
            if other in likeness.terms:
                earlier.add(other)
        if links:
            self._alike.update(pairs)
            for one, other in pairs:
                if one in likeness.terms:
                    self._join(one, other)
            self._join_starts(links)

    def _join_starts(self, pending: list[Pair]) -> None:
        """Join states with what they may begin with, and what these are made of as well."""
        families = self._likeness.families
        while pending:
            one, other = pair = pending.pop()
            if one == other or NONE in pair or pair in self._alike:
                continue
            first, second = families[one], families[other]
            start = self._likeness.start(one, other)
            if start is not None:
                self._alike.add(pair)
                self._join(one, other)
                pending += start
            elif first.kind == APPLY == second.kind and first.op is second.op:
                pending += zip(first.inputs, second.inputs, strict=True)

    def _join(self, one: int, other: int) -> None:
        self._chain[self._root(one)] = self._root(other)

    def _root(self, number: int) -> int:
        while self._chain.setdefault(number, number) != number:
            number = self._chain[number]
        return number

    def states(self) -> dict[int, int]:
        """The sums that are in chains, each with the number of its chain."""
        states = {number: self._root(number) for number in [*self._chain]}
        lengths = Counter(states.values())
        return {number: chain for number, chain in states.items() if lengths[chain] >= LEAST}
