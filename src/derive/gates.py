"""Operations that pass a cotangent to one side of a threshold, and what is steep behind them.

`relu(log(x))` at 0 is 0 with the slope 0, but the chain rule multiplies the 0 that relu passes by
the infinite slope of the logarithm. Such a gate is treated as a `where` is (`derive.guard`), and
only where something steep is reached through gates alone: networks have none, and get no node more.
What is steep is found by trying a record, and whether its operands go there by their intervals.

exp(-1/x**2) is flat at 0 too, for exp falls faster there than a power rises; but a logarithm rises
so slowly that exp(log(x) + y) is not. So a gate that saturates counts where its operand is infinite
by fixed powers alone, or where an exponential overflows. That counts as steep where nothing but
sums and multiples lie between it and the gate: networks have exponentials behind products.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import Any, Final

from ..graph.expr import Graph
from ..graph.traversal import depth_first, reachable
from ..ops.arrays import BROADCAST, GATHER, MEAN, RESHAPE, SUM, TRANSPOSE
from ..ops.intervals import Interval, interval_of
from ..ops.record import Op
from ..ops.scalar import ADD, CONSTANT, DIV, MUL, POW_CONST, SUB, WHERE
from ..simplify.rules import scalar_constant

_NEVER_BELOW: Final[frozenset[Op]] = frozenset({SUM, MEAN, RESHAPE, BROADCAST, GATHER, TRANSPOSE})
"""What these make of numbers that are not negative is not negative."""
_TRIED: Final = (0.0, 1.0, -1.0)
_FAR: Final = (1e3, -1e3)
"""Where exponentials overflow, and the powers in use do not."""
_ADDED: Final[frozenset[Op]] = frozenset({ADD, SUB, WHERE})
_MOST: Final = 8
"""How many gates may lead to a node; through more, some is always open."""
_ALWAYS: Final[frozenset[int]] = frozenset()
_Points = tuple[tuple[float, ...], ...]
_RAISED: Final = (ArithmeticError, ValueError, TypeError, AttributeError)
_FINITE: Final = Interval(-sys.float_info.max, sys.float_info.max)


@dataclass(frozen=True)
class Steep:
    """What lies behind gates of one sweep.

    gates     the gates that are to keep a cotangent out
    steep     the nodes whose value or slope may be infinite, though their operands are not
    infinite  these, and what is computed of them behind the gates
    """

    gates: frozenset[int] = frozenset()
    steep: frozenset[int] = frozenset()
    infinite: set[int] = field(default_factory=set)

    def keeps_zero(self, graph: Graph, node: int, position: int) -> bool:
        """Whether a cotangent of 0 is passed back as 0, the factor being finite."""
        if node in self.steep:
            return False
        op = graph.ops[node]
        if node not in self.infinite or (op.gate is not None and not _saturates(op)):
            return True
        if graph.ops[node] is DIV:
            return position == 0
        return graph.ops[node] is MUL and graph.operands[node][1 - position] not in self.infinite


def steep_behind_gates(graph: Graph, live: Sequence[int], needed: set[int]) -> Steep:
    """The gates of a sweep behind which something is steep, and what that is.

    live    the nodes of the sweep, operands first; the last one is the output
    needed  those that get an adjoint

    >>> g = Graph(); x = g.input("x"); y = x.log().relu() + x.tanh().relu()
    >>> found = steep_behind_gates(g, range(len(g)), set(range(len(g))))
    >>> [str(g[node]) for node in found.gates], [str(g[node]) for node in found.steep]
    (['relu(log(x))'], ['log(x)'])
    """
    ops, operands = graph.ops, graph.operands
    if not any(ops[node].gate is not None for node in needed) or not any(
        operands[node] and any(_unbounded(graph, node)) for node in needed
    ):
        return Steep()
    around, mixed = _gates_around(graph, live, needed)
    ranges: dict[int, Interval] = {}
    steep, overflowing = set(), set()
    for node, gates in around.items():
        if gates and operands[node]:
            poles, far = _unbounded(graph, node)
            if poles and _reaches(graph, node, poles, ranges):
                steep.add(node)
            elif far and node not in mixed and _reaches(graph, node, far, ranges):
                overflowing.add(node)
    rises = {node: _rise(graph, node) for node in steep}
    steep |= overflowing
    opened = reachable(steep, around.__getitem__) - steep
    fast = reachable([node for node in rises if rises[node]], around.__getitem__)
    slow = reachable([node for node in rises if rises[node] is False], around.__getitem__)
    over = reachable(overflowing, around.__getitem__)
    for gate in sorted(opened):
        op = ops[gate]
        if _saturates(op):
            exponential = _decays(op)
            too_slow = gate in slow or (gate in fast and not exponential)
            closed = [(far,) for far in (math.inf, -math.inf) if not (op.gate and op.gate(far))]
            never = not _reaches(graph, gate, closed, ranges)  # exp(exp(x)) is nowhere flat
            if too_slow or never or (gate not in fast and gate not in over):
                opened.discard(gate)
    found = Steep(frozenset(opened), frozenset(steep))
    for node in live if steep else ():
        if node in steep or (around.get(node) and not found.infinite.isdisjoint(operands[node])):
            found.infinite.add(node)
    return found


def _gates_around(
    graph: Graph, live: Sequence[int], needed: set[int]
) -> tuple[dict[int, frozenset[int]], set[int]]:
    """The innermost gates, one of which every way to a node passes; none where a way has none.

    Beside them the nodes with more than sums and multiples on a way from such a gate.
    """
    around = {live[-1]: _ALWAYS}
    mixed: set[int] = set()
    for node in reversed(live):
        if node not in around:
            continue
        op = graph.ops[node]
        inside = around[node] if op.shape is None else _ALWAYS
        if op.gate is not None:
            inside = frozenset((node,))
        for operand, rule in zip(graph.operands[node], op.vjp, strict=False):
            if operand not in needed or rule is None:
                continue
            if op.gate is None and (node in mixed or _mixes(graph, node)):
                mixed.add(operand)
            before = around.setdefault(operand, inside)
            if before is not inside and before != inside:
                both = before | inside if before and inside else _ALWAYS
                around[operand] = both if len(both) <= _MOST else _ALWAYS
    return around, mixed


def _mixes(graph: Graph, node: int) -> bool:
    """Whether this is of several operands that are no numbers, and no sum of them."""
    if graph.ops[node] in _ADDED:
        return False
    return len({n for n in graph.operands[node] if graph.ops[n] is not CONSTANT}) > 1


def _unbounded(graph: Graph, node: int) -> tuple[_Points, _Points]:
    """Where a value or slope of a node is not finite: near 0 and 1, and far away."""
    op, statics = graph.ops[node], graph.statics.get(node, ())
    return _steep_points(op, statics), _far_points(op, statics)


@lru_cache(maxsize=1024)
def _steep_points(op: Op, statics: tuple[Any, ...]) -> _Points:
    """Of some operands those at which the value, or a slope, is not finite."""
    if op.shape is not None or not 1 <= op.arity <= 2:
        return ()
    return tuple(p for p in product(_TRIED, repeat=op.arity) if not _is_flat(op, p, statics))


@lru_cache(maxsize=1024)
def _far_points(op: Op, statics: tuple[Any, ...]) -> _Points:
    """Of some large operands those at which the value overflows, and the slope with it."""
    if op.shape is not None or op.arity != 1:
        return ()
    return tuple((p,) for p in _FAR if math.isinf(_slope(op, p, statics)))


def _is_flat(op: Op, point: Sequence[float], statics: Sequence[Any]) -> bool:
    """Whether the value and the slopes at a point are finite; a record that raises has none."""
    try:
        value = op.evaluate(*point, *statics)
        slopes = [rule(1.0, value, *point, *statics) for rule in op.float_rules if rule is not None]
        return all(map(math.isfinite, (value, *slopes)))
    except _RAISED:
        return False


def _slope(op: Op, point: float, statics: Sequence[Any]) -> float:
    """The slope of an operation of one operand; nan where its record raises."""
    try:
        value = op.evaluate(point, *statics)
        return float(op.float_rules[0](1.0, value, point, *statics)) if op.float_rules[0] else 0.0
    except _RAISED:
        return math.nan


def _value(op: Op, point: float, statics: Sequence[Any]) -> float:
    """The value of an operation of one operand; nan where its record raises."""
    try:
        return float(op.evaluate(point, *statics))
    except _RAISED:
        return math.nan


@lru_cache(maxsize=1024)
def _saturates(op: Op) -> bool:
    """Whether a gate is closed to infinite operands alone."""
    return op.gate is not None and op.arity == 1 and bool(op.gate(1e300) and op.gate(-1e300))


@lru_cache(maxsize=1024)
def _decays(op: Op) -> bool:
    """Whether the slope of a gate that saturates falls faster there than a power."""
    closed = [far for far in (1e10, -1e10) if not op.gate or not op.gate(far * math.inf)]
    return all(abs(_slope(op, far, ())) < 1e-100 for far in closed)


def _rise(graph: Graph, node: int) -> bool | None:
    """Whether what is steep rises as a fixed power does; None if it stays finite."""
    op, statics = graph.ops[node], graph.statics.get(node, ())
    if op is DIV:
        return scalar_constant(graph, graph.operands[node][0]) is not None
    if op.arity > 1:
        return False
    poles = [p for (p,) in _steep_points(op, statics) if math.isinf(_value(op, p, statics))]
    near = [_value(op, math.nextafter(p, 0.5), statics) for p in poles]
    return all(abs(value) > 1e3 for value in near) if poles else None


def _reaches(
    graph: Graph, node: int, points: Iterable[tuple[float, ...]], ranges: dict[int, Interval]
) -> bool:
    """Whether the operands of a node may be one of these points."""
    operands = graph.operands[node]
    for part in depth_first(operands, graph.operands.__getitem__, ranges):
        ranges[part] = _range(graph, part, ranges)
    return any(
        all(number in ranges[operand] for number, operand in zip(point, operands, strict=True))
        for point in points
    )


def _range(graph: Graph, node: int, ranges: dict[int, Interval]) -> Interval:
    """Where a node lies when all leaves are finite."""
    op, operands = graph.ops[node], graph.operands[node]
    if not operands:
        number = scalar_constant(graph, node)
        return _FINITE if number is None or number != number else Interval(number, number)
    inner = [ranges[operand] for operand in operands]
    if op is MUL and _written(graph, operands[0]) == _written(graph, operands[1]):
        return interval_of(POW_CONST, inner[:1], (2.0,))
    if op in _NEVER_BELOW and inner[0].low >= 0.0 and not inner[0].nan:
        return Interval(0.0 if op is SUM else inner[0].low, math.inf)
    return interval_of(op, inner, graph.statics.get(node, ()))


def _written(graph: Graph, node: int) -> object:
    """What is the same of two nodes that are written alike."""
    operands = graph.operands[node]
    return (graph.ops[node], operands, graph.statics.get(node, ())) if operands else node
