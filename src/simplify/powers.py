"""Powers of roots and of logarithms: one power of one node, however they are written.

At 0 a root is steep and what is made of it flat, so that the chain rule gives 0 times infinity for
the slope of sqrt(x)**4. As one power, x**2, it has the right one. Exponents are added up and
multiplied as fractions, and only one that is a float becomes the exponent of a power.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Final, NamedTuple

from ..graph.expr import Graph
from ..graph.traversal import depth_first
from ..ops.record import Op
from ..ops.scalar import CBRT, DIV, EXP, EXP2, LOG, LOG2, MUL, POW_CONST, SQRT, absolute, where
from .exponentials import scale_of
from .rules import scalar_constant

_EXPONENTIALS: Final[frozenset[Op]] = frozenset({EXP, EXP2})
_READ: Final[frozenset[Op]] = _EXPONENTIALS | {MUL, DIV, SQRT, CBRT, POW_CONST}
_ROOTS: Final[frozenset[Op]] = _READ - {MUL, DIV}
_EVEN, _ODD, _NAN = 0, 1, 2
_MOST: Final = 10**6
"""What the numerator over the denominator, and the denominator, may be."""


class Power(NamedTuple):
    """A power of a node.

    below   what it is where that node is negative: even, odd or nan
    rooted  whether there is a root or a logarithm on the way to it
    """

    base: int
    exponent: Fraction
    below: int = _ODD
    rooted: bool = False


def power_of(
    graph: Graph, node: int, known: dict[int, Power], *, loose: bool = False
) -> Power | None:
    """A node as one power of another, where it is written with roots; None for other nodes.

    known  what is known of nodes, which is added to
    loose  whether nodes that are written alike count as equal

    >>> g = Graph(); x = g.input("x")
    >>> power_of(g, (x.sqrt() ** 3 * x).id, {})
    Power(base=0, exponent=Fraction(5, 2), below=2, rooted=True)
    """
    op, operands = graph.ops[node], graph.operands[node]
    kinds = [graph.ops[operand] for operand in operands]
    if op is MUL and _ROOTS.isdisjoint(kinds):
        return None
    if op in (SQRT, CBRT, POW_CONST, DIV) and kinds[-1] not in _READ:
        return None
    if op is DIV and scalar_constant(graph, operands[0]) not in (1.0, None):
        return None
    for part in depth_first([node], lambda part: _parts(graph, part), known):
        known[part] = _read(graph, part, known, loose)
    found = known[node]
    exponent = found.exponent
    fits = found.rooted and exponent >= 1 and Fraction(float(exponent)) == exponent
    whole_is_odd = exponent.denominator == 1 and exponent.numerator % 2 == 1
    return found if fits and (found.below != _ODD or whole_is_odd) else None


def written(power: Power, base: Any) -> Any:
    """The power of a base, an expression."""
    exponent = float(power.exponent)
    whole = exponent.is_integer()
    if power.below == _EVEN and exponent % 2.0:
        base = absolute(base)
    raised = base if exponent == 1.0 else base**exponent
    if power.below == _NAN and whole:
        return where(base >= 0, raised, math.nan * base)  # with no slope either
    return raised


def power_fixed(graph: Graph, node: int) -> float | None:
    """The exponent of a node that is a power with a fixed one; None for others, and for 0 and 1."""
    if graph.ops[node] is not POW_CONST:
        return None
    exponent = float(graph.statics[node][0])
    return exponent if math.isfinite(exponent) and exponent not in (0.0, 1.0) else None


def _parts(graph: Graph, node: int) -> Iterable[int]:
    op, operands = graph.ops[node], graph.operands[node]
    if op in _EXPONENTIALS:
        inner = _logarithm(graph, node)
        return () if inner is None else graph.operands[inner[0]]
    return operands if op in _READ else ()


def _logarithm(graph: Graph, node: int) -> tuple[int, Fraction] | None:
    """The logarithm that an exponential is of, and what it is multiplied by."""
    inverse = LOG if graph.ops[node] is EXP else LOG2
    (inner,), times = graph.operands[node], Fraction(1)
    scaled = scale_of(graph, inner)
    if scaled is not None and math.isfinite(scaled[1]):
        inner, times = scaled[0], Fraction(scaled[1])
    return (inner, times) if graph.ops[inner] is inverse else None


def _read(graph: Graph, node: int, known: dict[int, Power], loose: bool) -> Power:
    found = _composed(graph, node, known, loose)
    if found is None or abs(found.exponent) > _MOST or found.exponent.denominator > _MOST:
        return Power(node, Fraction(1))
    return found


def _composed(graph: Graph, node: int, known: dict[int, Power], loose: bool) -> Power | None:
    """The power of what a power or product is of; None for what is read as itself."""
    op, operands = graph.ops[node], graph.operands[node]
    if op in _EXPONENTIALS:
        inner = _logarithm(graph, node)
        if inner is None or inner[1] <= 0:
            return None
        return _raised(known[graph.operands[inner[0]][0]], inner[1], logarithm=True)
    if op is SQRT:
        return _raised(known[operands[0]], Fraction(1, 2))
    if op is CBRT:
        under = known[operands[0]]
        return under._replace(exponent=under.exponent / 3, rooted=True)
    if op is POW_CONST:
        exponent = float(graph.statics[node][0])
        if not 0.0 < abs(exponent) < _MOST:
            return None
        return _raised(known[operands[0]], Fraction(exponent))
    if op is DIV and scalar_constant(graph, operands[0]) == 1.0:
        return _raised(known[operands[1]], Fraction(-1))
    if op is MUL or op is DIV:
        a, b = known[operands[0]], known[operands[1]]
        if op is DIV and b.exponent >= 0:
            return None  # 0/0 at 0
        b = b if op is MUL else _raised(b, Fraction(-1))
        if a.base == b.base or (loose and _alike(graph, a.base, b.base)):
            below = _NAN if _NAN in (a.below, b.below) else a.below ^ b.below
            return Power(a.base, a.exponent + b.exponent, below, a.rooted or b.rooted)
    return None


def _raised(power: Power, exponent: Fraction, logarithm: bool = False) -> Power:
    whole = exponent.denominator == 1 and not logarithm
    if whole and power.below == _ODD:
        below = _ODD if exponent.numerator % 2 else _EVEN
    else:
        below = power.below if whole or power.below == _EVEN else _NAN
    return Power(
        power.base, power.exponent * exponent, below, power.rooted or not whole or exponent < 0
    )


def _alike(graph: Graph, a: int, b: int) -> bool:
    return graph.ops[a] is graph.ops[b] and bool(graph.operands[a])
