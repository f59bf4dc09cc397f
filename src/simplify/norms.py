"""Roots of sums of squares: where they are 0 their slope is taken as 0, however they are written.

By the chain rule it would be 0/0. That the slope is bounded there is told by degrees: a sum of
squares is of degree 2, its square root of degree 1, as the absolute value is.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from ..graph.expr import Graph
from ..graph.traversal import depth_first, taken_apart
from ..ops.arrays import BROADCAST, GATHER, MATMUL, MEAN, RESHAPE, SUM, TRANSPOSE
from ..ops.record import Op
from ..ops.scalar import ABS, ADD, DIV, MUL, POW_CONST, RELU, SQRT
from .rules import scalar_constant

_LAYOUTS: Final = frozenset({SUM, MEAN, RESHAPE, BROADCAST, GATHER, TRANSPOSE})
_READ: Final[frozenset[Op]] = _LAYOUTS | {ADD, DIV, MUL, POW_CONST, SQRT, MATMUL}
_NUMBER: Final = 0.0
"""The degree of a number that is not 0."""
_MOST_FACTORS: Final = 32


def is_norm(
    graph: Graph, node: int, degrees: dict[int, float | None], *, loose: bool = False
) -> bool:
    """Whether a root is one of something that is 0 or more, and of degree 1 or more itself.

    degrees  what is known of nodes, which is added to
    loose    whether factors that are written alike count as equal
    """
    power = _power(graph, node)
    if not 0.0 < power < 1.0:
        return False
    (inner,) = graph.operands[node]
    for part in depth_first([inner], lambda part: _parts(graph, part), degrees):
        degrees[part] = _degree(graph, part, degrees, loose)
    degree = degrees[inner]
    return degree is not None and degree < float("inf") and degree * power >= 1.0 - 1e-12


def _power(graph: Graph, node: int) -> float:
    if graph.ops[node] is SQRT:
        return 0.5
    power: float = graph.statics[node][0]
    return power


def _parts(graph: Graph, node: int) -> Iterable[int]:
    return graph.operands[node] if graph.ops[node] in _READ else ()


def _degree(graph: Graph, node: int, degrees: dict[int, float | None], loose: bool) -> float | None:
    """The degree of a node that is never negative, in what it is made of; None for others."""
    op, operands = graph.ops[node], graph.operands[node]
    number = scalar_constant(graph, node)
    if number is not None:
        return _NUMBER if number > 0.0 else float("inf") if number == 0.0 else None
    if op is ABS or op is RELU:
        return 1.0
    if op not in _READ:
        return None
    first, second = degrees[operands[0]], degrees[operands[-1]]
    if op is POW_CONST:
        power = _power(graph, node)
        if power > 0.0 and power % 2.0 == 0.0:
            return power * (1.0 if first is None else first)
        return None if first is None or power <= 0.0 else power * first
    if op is MUL:
        return _degree_of_product(graph, node, degrees, loose)
    if op is MATMUL:
        a, b = operands
        return 2.0 if a == b and len(graph.shapes[a]) == 1 else None
    if first is None or second is None:
        return None
    if op is ADD:
        return min(first, second)
    if op is DIV:
        return first if second == _NUMBER else None
    return first / 2.0 if op is SQRT else first


def _degree_of_product(
    graph: Graph, node: int, degrees: dict[int, float | None], loose: bool
) -> float | None:
    """The degree of a product, whose factors that may be negative have to come in pairs."""
    degree, single = 0.0, set[object]()
    factors = islice(taken_apart(node, lambda part: _multiplied(graph, part)), _MOST_FACTORS + 1)
    for count, factor in enumerate(factors):
        if count == _MOST_FACTORS:
            return None
        known = degrees[factor]
        number = scalar_constant(graph, factor)
        if known is None and number is None:
            degree += 1.0
            single ^= {_kind(graph, factor) if loose else factor}
        elif known is None:
            single ^= {-1}
        else:
            degree += known
    return None if single else degree


def _multiplied(graph: Graph, node: int) -> tuple[int, ...] | None:
    return graph.operands[node] if graph.ops[node] is MUL else None


def _kind(graph: Graph, node: int) -> object:
    """What has to be the same of two nodes that are written alike."""
    return graph.ops[node] if graph.operands[node] else node
