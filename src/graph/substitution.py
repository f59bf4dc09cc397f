"""Other things in the place of leaves, in a graph itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .store import Columns, live_nodes


def substituted(graph: Columns, roots: Iterable[int], given: Mapping[int, int]) -> dict[int, int]:
    """The node of each of `roots` with other nodes in the place of some, all at once.

    What none of those is part of stays the node that it is; labels of what changes are left behind.
    """
    roots = list(roots)
    made: dict[int, int] = {}
    for node in live_nodes(graph, roots):
        operands = graph.operands[node]
        moved = tuple([made[operand] for operand in operands]) if operands else operands
        if node in given:
            made[node] = given[node]
        elif moved == operands:
            made[node] = node
        else:
            made[node] = graph.append(graph.ops[node], moved, graph.statics.get(node, ()))
    return {root: made[root] for root in roots}
