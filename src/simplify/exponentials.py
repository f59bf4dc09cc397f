"""Which nodes are sums of weighted exponentials, and of which exponents.

`(1 + exp(x))**2` is 1 + 2·exp(x) + exp(2·x): products and whole powers of sums of few exponentials
are multiplied out where all their exponents are multiples of one node, so that equal terms meet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ..graph.expr import Graph
from ..graph.traversal import depth_first
from ..ops.record import Op
from ..ops.scalar import ADD, DIV, EXP, EXPM1, MUL, NEG, POW_CONST, SIGMOID, SUB
from .rules import scalar_constant

MAX_TERMS: Final = 16
"""How many terms a sum may have that is multiplied out."""

MAX_POWER: Final = 4


class Exponent(NamedTuple):
    """A multiple of a node, its base; of none where the base is -1: the exponent of a number."""

    base: int
    times: float


NOTHING: Final = Exponent(-1, 0.0)

Terms = Mapping[Exponent, float]
"""A sum of exponentials: what each is multiplied by."""

ONE: Final[Terms] = {NOTHING: 1.0}


@dataclass
class Exponentials:
    """What the nodes of one graph are as sums of exponentials; read where asked, each node once.

    written  for exponents that were met, the nodes that they were written as
    """

    graph: Graph
    written: dict[Exponent, int] = field(default_factory=dict)
    _terms: dict[int, Terms | None] = field(default_factory=dict)

    def of(self, node: int) -> Terms | None:
        """The terms of a node; None for another function, and for more terms than `MAX_TERMS`."""
        for part in depth_first([node], self._parts, self._terms):
            self._terms[part] = self._read(part)
        return self._terms[node]

    def exponent(self, node: int) -> Exponent:
        """A node as a multiple of another."""
        graph, times = self.graph, 1.0
        while True:
            op, operands = graph.ops[node], graph.operands[node]
            if op is NEG:
                node, times = operands[0], -times
                continue
            scaled = scale_of(graph, node)
            product = times * scaled[1] if scaled is not None else 0.0
            if scaled is None or not product or not math.isfinite(product):
                return Exponent(node, times)
            node, times = scaled[0], product

    def _parts(self, node: int) -> Iterable[int]:
        return self.graph.operands[node] if self.graph.ops[node] in _READ else ()

    def _read(self, node: int) -> Terms | None:
        graph = self.graph
        op, operands = graph.ops[node], graph.operands[node]
        if op is EXP:
            exponent = self.exponent(operands[0])
            self.written.setdefault(exponent, operands[0])
            return {exponent: 1.0}
        number = scalar_constant(graph, node)
        if number is not None:
            return {NOTHING: number} if math.isfinite(number) else None
        if op not in _READ:
            return None
        terms = [self._terms.get(operand) for operand in operands]
        first = terms[0]
        if first is None or terms[-1] is None:
            return None
        if op is NEG:
            return {exponent: -weight for exponent, weight in first.items()}
        if op is POW_CONST:
            return _power(first, graph.statics[node][0])
        if op is ADD or op is SUB:
            return _plus(first, terms[-1], 1.0 if op is ADD else -1.0)
        if op is DIV:
            inverse = _power(terms[-1], -1.0)
            return None if inverse is None else product(first, inverse)
        return product(first, terms[-1])


_POSITIVE: Final[frozenset[Op]] = frozenset({ADD, MUL, DIV, POW_CONST})
_READ: Final[frozenset[Op]] = _POSITIVE | {SUB, NEG}


_Parts = list[tuple[int, bool]]
_KINDS: Final[frozenset[Op]] = frozenset({EXP, SIGMOID})


class Quotient(NamedTuple):
    """A product of other factors and of a quotient of sums of exponentials.

    above, below  the sums; the terms of `below` are positive
    factors       the other nodes that it is multiplied by
    divisors      the other nodes that it is divided by
    """

    above: Terms
    below: Terms
    factors: tuple[int, ...] = ()
    divisors: tuple[int, ...] = ()


def quotient(exponentials: Exponentials, node: int) -> Quotient | None:
    """A product or a quotient as one of sums of exponentials; None where it is no such thing.

    The exponents have to be multiples of one node, so that shifting them rounds nothing; else those
    above have to be among those below. A sigmoid beside an exponential counts as what it is, for
    one may be 0 where the other is infinite.
    """
    graph = exponentials.graph
    parts, sign = _factors(graph, node)
    if any(graph.ops[part] is EXPM1 for part, _ in parts):  # near 0 it is more than a difference
        return None
    if not _concerns(exponentials, parts):
        return None
    above: Terms | None = {NOTHING: sign}
    below: Terms | None = ONE
    others: tuple[list[int], list[int]] = ([], [])
    for part, divides in parts:
        terms = exponentials.of(part)
        if terms is not None and not divides:
            above = above and product(above, terms)
        elif terms is not None:
            below = below and product(below, terms)
        elif graph.ops[part] is SIGMOID and not divides:
            base, times = exponentials.exponent(graph.operands[part][0])
            below = below and product(below, {NOTHING: 1.0, Exponent(base, -times): 1.0})
        else:
            others[divides].append(part)
    if below is not None and len(below) == 1 and below != ONE:
        inverse = _power(below, -1.0)
        above, below = above and inverse and product(above, inverse), ONE
    if above is None or below is None or min(below.values()) <= 0.0:
        return None
    if below == ONE:
        return None if NOTHING in above else Quotient(above, ONE, *map(tuple, others))
    if len(bases_of(above) | bases_of(below)) > 1 and not above.keys() <= below.keys():
        return None
    return Quotient(above, below, *map(tuple, others))


def exponential_nodes(graph: Graph, live: Iterable[int]) -> set[int]:
    """The exponentials among `live`, operands first, and all that is a sum or product with one.

    `quotient` finds nothing in other nodes.
    """
    found: set[int] = set()
    for node in live:
        op = graph.ops[node]
        if op in _KINDS or (op in _READ and not found.isdisjoint(graph.operands[node])):
            found.add(node)
    return found


def quotient_may_fit(graph: Graph, node: int, known: dict[int, int]) -> bool:
    """Whether `quotient` may find something, equal parts aside; see `looks_summed` for `known`."""
    if graph.ops[node] is MUL and not any(graph.ops[n] in _KINDS for n in graph.operands[node]):
        return False
    parts, _ = _factors(graph, node)
    if any(graph.ops[part] is EXPM1 for part, _ in parts):
        return False
    kinds = [graph.ops[part] for part, _ in parts if graph.ops[part] in _KINDS]
    if EXP in kinds and len(kinds) > 1:
        return True
    return any(divides and looks_summed(graph, part, known) for part, divides in parts)


def _concerns(exponentials: Exponentials, parts: _Parts) -> bool:
    """Whether a sum of exponentials is divided by, or 0 may be multiplied by infinity."""
    graph = exponentials.graph
    ways: set[tuple[int, bool]] = set()  # exponents of these bases grow with them, or fall
    for part, divides in parts:
        terms = exponentials.of(part)
        if terms is None and graph.ops[part] is SIGMOID and not divides:
            base, times = exponentials.exponent(graph.operands[part][0])
            ways.add((base, times > 0.0))
        elif terms is not None and len(terms) == 1:
            ((base, times),) = terms
            ways |= {(base, (times > 0.0) is not divides)} if times else set()
        elif terms is not None and divides:
            return True
    return any((base, not rises) in ways for base, rises in ways)


def _factors(graph: Graph, node: int) -> tuple[_Parts, float]:
    """What a node is a product of, whether it is divided by that, and a sign; () if by too many."""
    stack, sign = [(node, False)], 1.0
    found: _Parts = []
    while stack:
        if len(found) + len(stack) > MAX_TERMS:
            return [], 1.0
        part, divides = stack.pop()
        op, operands = graph.ops[part], graph.operands[part]
        if op is MUL or op is DIV:
            stack += [(operands[1], divides is not (op is DIV)), (operands[0], divides)]
        elif op is NEG:
            stack.append((operands[0], divides))
            sign = -sign
        else:
            found.append((part, divides))
    return found, sign


def looks_summed(graph: Graph, node: int, known: dict[int, int]) -> bool:
    """Whether a node may be a positive sum that exponentials have a part in, equal parts aside.

    known   what is known of nodes, which is added to: 0 for a number, 1 with an exponential, 2 for
            a sum with one, 3 for anything else
    """

    def parts(node: int) -> Iterable[int]:
        return graph.operands[node] if graph.ops[node] in _POSITIVE else ()

    for part in depth_first([node], parts, known):
        op = graph.ops[part]
        if op in _POSITIVE:
            most = max(known[operand] for operand in graph.operands[part])
            known[part] = 2 if most == 1 and op is ADD else most
        else:
            number = scalar_constant(graph, part)
            known[part] = 1 if op is EXP else 0 if number is not None and number >= 0.0 else 3
    return known[node] == 2


def product(a: Terms, b: Terms) -> Terms | None:
    """The terms of a product; None where they are too many, or of exponents with several bases."""
    one_is_a_number = a.keys() == ONE.keys() or b.keys() == ONE.keys()
    bases = bases_of(a) | bases_of(b)
    if len(a) * len(b) > MAX_TERMS or not (one_is_a_number or len(bases) <= 1):
        return None
    found: dict[Exponent, float] = {}
    for first, x in a.items():
        for second, y in b.items():
            if not x * y:  # lost, and not because something cancels
                return None
            exponent = Exponent(max(first.base, second.base), first.times + second.times)
            exponent = exponent if exponent.times else NOTHING
            found[exponent] = found.get(exponent, 0.0) + x * y
    return _checked(found)


def bases_of(terms: Iterable[Exponent]) -> set[int]:
    """The nodes that the exponents are multiples of."""
    return {exponent.base for exponent in terms} - {NOTHING.base}


def _plus(a: Terms, b: Terms, sign: float) -> Terms | None:
    if len(a) + len(b) > MAX_TERMS:
        return None
    found = dict(a)
    for exponent, weight in b.items():
        found[exponent] = found.get(exponent, 0.0) + sign * weight
    return _checked(found)


def _power(terms: Terms, power: float) -> Terms | None:
    """A small whole power of a sum, or the inverse of one of a single term."""
    if power < 0 and len(terms) == 1:
        (((base, times), weight),) = terms.items()
        turned = {Exponent(base, -times) if times else NOTHING: 1.0 / weight if weight else 0.0}
        return _power(turned, -power) if weight else None
    if power not in range(1, MAX_POWER + 1):
        return None
    found: Terms | None = ONE
    for _ in range(int(power)):
        found = found and product(found, terms)
    return found


def _checked(terms: dict[Exponent, float]) -> Terms | None:
    """The terms that are not 0; None if there are none, or a weight is not finite."""
    kept = {exponent: weight for exponent, weight in terms.items() if weight}
    return kept if kept and all(map(math.isfinite, kept.values())) else None


def scale_of(graph: Graph, node: int) -> tuple[int, float] | None:
    """What a product or quotient with a number is of, and what that is multiplied by."""
    op, operands = graph.ops[node], graph.operands[node]
    if op is not MUL and op is not DIV:
        return None
    a, b = operands
    number = scalar_constant(graph, b)
    if number is None and op is MUL:
        a, number = b, scalar_constant(graph, a)
    if number is None or (op is DIV and not number):
        return None
    return a, number if op is MUL else 1.0 / number
