"""Backward sweeps on numbers, right and wrong ones, carried out to be compared.

The rules are the ones of the operation records; what varies is the order of the nodes, and what is
done with a share that arrives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ..graph.value import Value
from ..ops.ieee import Float
from ..ops.scalar import CONSTANT
from .derivation import Derivation

MAX_VISITS: Final = 5_000
"""How often naive recursion may visit a node before it is given up."""

Totals = dict[int, float]
"""node → what has arrived at it."""


@dataclass(frozen=True)
class Event:
    """One share on its way: from a consumer to an operand, whose total it changes."""

    consumer: int
    position: int
    operand: int
    share: float
    before: float
    after: float


def receivers(d: Derivation, node: int) -> list[tuple[int, int]]:
    """(position, operand) of the operands that are no constants and get something."""
    op, graph = d.graph.ops[node], d.graph
    return [
        (i, operand)
        for i, operand in enumerate(graph.operands[node])
        if op.vjp[i] is not None and graph.ops[operand] is not CONSTANT
    ]


def share(d: Derivation, node: int, position: int, ct: float) -> float:
    """What one operand gets, by the rule of the operation, for the cotangent `ct`."""
    op, graph = d.graph.ops[node], d.graph
    rule = op.vjp[position]
    if rule is None:
        return 0.0
    arguments = [d.values[operand] for operand in graph.operands[node]]
    numbers = map(Float, (ct, d.values[node], *arguments))
    return float(rule(*numbers, *graph.statics.get(node, ())))


def sweep(
    d: Derivation,
    order: Iterable[int] | None = None,
    *,
    assign: bool = False,
    once: bool = False,
    rule: Callable[[Derivation, int, int, float], float] = share,
    start: Mapping[int, float] | None = None,
) -> tuple[Totals, list[Event]]:
    """A backward sweep: the derivative of each node, and what happened in order.

    order   the nodes, the reverse of the forward pass unless given
    assign  overwrite instead of adding
    once    serve an operand that is used twice by one node only once
    rule    another rule than the record's
    start   totals left over from before
    """
    totals = dict.fromkeys(d.live, 0.0) | dict(start or {})
    totals[d.root] = 1.0
    events = []
    for node in reversed(d.live) if order is None else order:
        served: set[int] = set()
        for position, operand in receivers(d, node):
            if once and operand in served:
                continue
            served.add(operand)
            arriving = rule(d, node, position, totals[node])
            before = totals[operand]
            totals[operand] = arriving if assign else before + arriving
            events.append(Event(node, position, operand, arriving, before, totals[operand]))
    return totals, events


def breadth_first(d: Derivation) -> Iterator[int]:
    """The nodes from the output down, each when it is first met."""
    seen, queue = {d.root}, deque([d.root])
    while queue:
        node = queue.popleft()
        yield node
        for _, operand in receivers(d, node):
            if operand not in seen:
                seen.add(operand)
                queue.append(operand)


def naive_recursion(d: Derivation) -> Totals | None:
    """What comes out when each node, as soon as it got something, passes on all it has so far.

    None when that takes too many visits: their number grows with the number of paths.
    """
    totals = dict.fromkeys(d.live, 0.0)
    totals[d.root] = 1.0
    stack = [(d.root, iter(receivers(d, d.root)))]
    visits = 1
    while stack:
        node, operands = stack[-1]
        step = next(operands, None)
        if step is None:
            stack.pop()
            continue
        position, operand = step
        totals[operand] += share(d, node, position, totals[node])
        visits += 1
        if visits > MAX_VISITS:
            return None
        stack.append((operand, iter(receivers(d, operand))))
    return totals


def eager(d: Derivation, leaves: Mapping[int, Value | float] | None = None) -> dict[int, Value]:
    """The expression as `Value`s, as a notebook would have built it, by node.

    `leaves` stand for leaves; the others become new `Value`s of their numbers, and constants stay
    numbers.
    """
    made: dict[int, Value | float] = {}
    for node in d.live:
        graph, operands = d.graph, [made[operand] for operand in d.graph.operands[node]]
        if operands:
            made[node] = graph.ops[node](*operands, *graph.statics.get(node, ()))
        elif leaves is not None and node in leaves:
            made[node] = leaves[node]
        else:
            number = d.values[node]
            made[node] = number if graph.ops[node] is CONSTANT else Value(number)
    return {node: value for node, value in made.items() if isinstance(value, Value)}
