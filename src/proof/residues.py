"""Exact checks of whole graphs, modulo a large prime.

Sums, products and quotients are computed modulo p = 2**61 - 1, at random residues for the leaves;
every other function is an unknown one, whose value is drawn once for each operand. Two expressions
that are the same rational function of such values have the same fingerprint; two that are not agree
with a probability of at most their degree over p (Schwartz 1980, "Fast probabilistic algorithms for
verification of polynomial identities"). Nothing is rounded, and the cost is linear.

Which of two residues is larger is drawn as well. Their maximum is the one that is, so that of
several one is equal to it; places, which are small whole numbers, are in their order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar, Final

from ..graph.arithmetic import Arithmetic
from ..graph.expr import Graph
from ..ops.record import Op
from ..ops.scalar import (
    ADD,
    CONSTANT,
    DIV,
    EQ,
    EXTREMES,
    MUL,
    NE,
    NEG,
    POW_CONST,
    STOP_GRADIENT,
    SUB,
    TOTAL,
    WHERE,
)

PRIME: Final = 2**61 - 1

ROUNDS: Final = 2
"""How many fingerprints are compared; each may be wrong with a probability below 1e-12."""

PLACES: Final = 2**20
"""Numbers up to this size are compared as they are; a residue that is drawn is hardly ever one."""

CHOICES: Final = 8
"""How many where conditions choose: each is true or not by chance, and what it does not choose is
not looked at."""


class Residue(Arithmetic):
    """A number modulo `PRIME`; what is no sum, product or quotient is drawn, once per operands.

    >>> (Residue(1, "") / Residue(3, "") * 3).number
    1
    """

    __slots__ = ("number", "seed")
    op_rank: ClassVar[int] = 2

    def __init__(self, number: int, seed: str) -> None:
        self.number = number % PRIME
        self.seed = seed

    def apply_op(self, op: Op, operands: tuple[Any, ...], statics: tuple[float, ...] = ()) -> Any:
        """The residue of `op` on residues and numbers."""
        numbers = []
        for operand in operands:
            if isinstance(operand, Residue):
                numbers.append(operand.number)
            elif isinstance(operand, Real):
                numbers.append(residue_of(float(operand), self.seed))
            else:
                return NotImplemented
        return Residue(applied(op, numbers, statics, self.seed), self.seed)


def residue_of(number: float, seed: str) -> int:
    """A float as a residue: floats are binary fractions; inf and nan are unknowns.

    >>> residue_of(0.5, "") * 2 % PRIME
    1
    """
    try:
        above, below = float(number).as_integer_ratio()
    except (OverflowError, ValueError):
        return _drawn(seed, repr(number))
    return above * pow(below, -1, PRIME) % PRIME


def applied(op: Op, numbers: Sequence[int], statics: Sequence[float], seed: str) -> int:
    """The residue of an operation on residues."""
    if op is ADD:
        return (numbers[0] + numbers[1]) % PRIME
    if op is SUB:
        return (numbers[0] - numbers[1]) % PRIME
    if op is MUL:
        return numbers[0] * numbers[1] % PRIME
    if op is NEG:
        return -numbers[0] % PRIME
    if op is DIV and numbers[1]:
        return numbers[0] * pow(numbers[1], -1, PRIME) % PRIME
    if op is POW_CONST and float(statics[0]).is_integer() and (statics[0] >= 0 or numbers[0]):
        return pow(numbers[0], int(statics[0]), PRIME)
    if op in (STOP_GRADIENT, TOTAL):
        return numbers[0]
    if op is WHERE:
        return numbers[1] if numbers[0] else numbers[2]
    if op in EXTREMES and op.gate is not None:
        return numbers[not op.gate(*[Residue(number, seed) for number in numbers]).number]
    if op.truth and max(numbers) <= PLACES:
        return int(op.evaluate(*numbers))
    drawn = _drawn(seed, f"{op.name}{tuple(numbers)}{tuple(statics)}")
    return drawn % 2 if op.truth else drawn


def fingerprints(
    graph: Graph, live: Sequence[int], seed: str, known: Mapping[int, int] | None = None
) -> dict[int, int]:
    """The residue of each node of `live`; leaves of one name have the same one in every graph.

    >>> g = Graph(); x = g.input("x"); a, b = (x + 1) * (x - 1), x * x - 1
    >>> found = fingerprints(g, range(len(g)), "seed")
    >>> found[a.id] == found[b.id], found[x.id] == found[a.id]
    (True, False)
    """
    found: dict[int, int] = dict(known or {})
    for node in live:
        if node in found:
            continue
        op, operands = graph.ops[node], graph.operands[node]
        if op is CONSTANT:
            found[node] = residue_of(graph.value(node), seed)
        elif not operands:
            found[node] = _drawn(seed, graph.labels[node])
        else:
            numbers = [found[operand] for operand in operands]
            if op in (EQ, NE) and any(graph.ops[operand] in EXTREMES for operand in operands):
                found[node] = int(op.evaluate(*numbers))
            else:
                found[node] = applied(op, numbers, graph.statics.get(node, ()), seed)
    return found


def rounds(graph: Graph, live: Sequence[int]) -> int:
    """How many fingerprints are compared of some nodes: more where there are conditions."""
    ops = {graph.ops[node] for node in live}
    return CHOICES if any(op is WHERE or op.truth for op in ops) else ROUNDS


def chain_rule_residues(
    graph: Graph, live: Sequence[int], root: int, values: Mapping[int, int], seed: str
) -> dict[int, int]:
    """d root / d node modulo `PRIME` by the chain rule: each node the sum over its consumers.

    The derivatives of sums, products, quotients and whole powers are written here; those of other
    operations are their rules, which sympy proves one by one.
    """
    found = {root: 1}
    for node in reversed(live):
        adjoint, operands = found.get(node), graph.operands[node]
        if adjoint is None or not operands:
            continue
        numbers = [values[operand] for operand in operands]
        slopes = _slopes(graph.ops[node], numbers, graph.statics.get(node, ()), values[node], seed)
        for operand, slope in zip(operands, slopes, strict=True):
            if slope is not None:
                found[operand] = (found.get(operand, 0) + adjoint * slope) % PRIME
    return found


def _slopes(
    op: Op, numbers: Sequence[int], statics: Sequence[float], out: int, seed: str
) -> list[int | None]:
    if op is ADD:
        return [1, 1]
    if op is SUB:
        return [1, -1]
    if op is NEG:
        return [-1]
    if op is MUL:
        return [numbers[1], numbers[0]]
    if op is DIV and numbers[1]:
        inverse = pow(numbers[1], -1, PRIME)
        return [inverse, -numbers[0] * inverse * inverse]
    if op is POW_CONST and float(statics[0]).is_integer() and numbers[0]:
        return [int(statics[0]) * pow(numbers[0], int(statics[0]) - 1, PRIME)]
    if op is WHERE:
        return [None, int(bool(numbers[0])), int(not numbers[0])]
    arguments = [Residue(number, seed) for number in numbers]
    one, result = Residue(1, seed), Residue(out, seed)
    return [
        None if rule is None else _number(rule(one, result, *arguments, *statics), seed)
        for rule in op.vjp
    ]


def _number(thing: Any, seed: str) -> int:
    return thing.number if isinstance(thing, Residue) else residue_of(float(thing), seed)


def _drawn(seed: str, what: str) -> int:
    """A residue that looks random and is always the same for the same things."""
    digest = hashlib.blake2b(f"{seed}/{what}".encode(), digest_size=16).digest()
    return int.from_bytes(digest, "big") % PRIME
