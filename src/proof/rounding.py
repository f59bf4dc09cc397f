"""How far rounding can have moved each value of a graph at one point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..graph.expr import Graph
from ..ops.intervals import ANY, Interval, interval_of


def point_intervals(
    graph: Graph,
    live: Sequence[int],
    at: Mapping[int, float],
    unknown: Callable[..., Interval] = lambda *_: ANY,
) -> dict[int, Interval]:
    """The interval of each node of `live` at one point: how far rounding can have moved it.

    `unknown(op, intervals, statics)` answers for operations whose record has no interval.

    >>> g = Graph(); x = g.input("x"); y = x.exp() - 1
    >>> found = point_intervals(g, range(len(g)), {x.id: 1e-9})
    >>> found[y.id].high - found[y.id].low > 1e-16
    True
    """
    found: dict[int, Interval] = {}
    for node in live:
        operands = graph.operands[node]
        if operands:
            within = [found[operand] for operand in operands]
            op, statics = graph.ops[node], graph.statics.get(node, ())
            rule = interval_of if op.interval is not None else unknown
            found[node] = rule(op, within, statics)
        else:
            number = float(at[node] if node in at else graph.value(node))
            found[node] = ANY if number != number else Interval(number, number)
    return found
