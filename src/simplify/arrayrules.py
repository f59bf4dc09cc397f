"""Exact rewrites of operations on whole arrays: repetitions and rearrangements undone."""

from __future__ import annotations

from typing import Any

from ..graph.expr import Graph
from ..ops.arrays import BROADCAST, GATHER, RESHAPE, TRANSPOSE
from ..ops.indexing import positions_of
from ..ops.record import Op
from ..ops.shapes import broadcast


def without_broadcasts(graph: Graph, op: Op, operands: tuple[int, ...]) -> tuple[int, ...]:
    """The operands of an operation that broadcasts by itself, those that need no help bare.

    >>> g = Graph(); x = g.array("x", 3); one = BROADCAST(g.constant(1), (3,))
    >>> from wengert.ops.scalar import MUL
    >>> without_broadcasts(g, MUL, (one.id, x.id)) == (g.constant(1).id, x.id)
    True
    """
    if op.shape is not None or not any(graph.ops[n] is BROADCAST for n in operands):
        return operands
    shapes = [graph.shapes.get(n, ()) for n in operands]
    wanted = broadcast(op.name, shapes)
    result = list(operands)
    for place, node in enumerate(operands):
        if graph.ops[node] is BROADCAST:
            inner = graph.operands[node][0]
            bare = [*shapes[:place], graph.shapes.get(inner, ()), *shapes[place + 1 :]]
            if broadcast(op.name, bare) == wanted:
                result[place], shapes = inner, bare
    return tuple(result)


def rearranged(
    graph: Graph, op: Op, operands: tuple[int, ...], statics: tuple[Any, ...]
) -> int | None:
    """The node that an operation which only rearranges elements amounts to, if there is one."""
    if op.shape is None or len(operands) != 1:
        return None
    node = operands[0]
    shape = graph.shapes.get(node, ())
    if op is TRANSPOSE and graph.ops[node] is TRANSPOSE:
        return graph.operands[node][0]
    if op in (RESHAPE, BROADCAST) and statics[0] == shape:
        return node
    if op is GATHER and statics[0].shape == shape and statics[0] == positions_of(shape, ()):
        return node
    return None
