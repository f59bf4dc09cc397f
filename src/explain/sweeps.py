"""Backward sweeps on numbers, right and wrong ones, carried out to be compared.

The rules are the ones of the operation table; what varies is the order of the nodes, and what is
done with a share that arrives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..graph.evaluation import node_values
from ..graph.expr import Graph, live_nodes
from ..graph.value import Value
from ..notation.formulas import read_formulas
from ..ops.ieee import Float
from ..ops.scalar import CONSTANT
from .lesson import Lesson
from .notation import node_names

MAX_VISITS: Final = 5_000
"""How often naive recursion may visit a node before it is given up."""


@dataclass(frozen=True)
class Subject:
    """An expression with numbers: its graph, nodes in order, names, and the value of each node."""

    graph: Graph
    root: int
    live: tuple[int, ...]
    names: Mapping[int, str]
    values: Mapping[int, float]
    formula: str = ""

    @property
    def leaves(self) -> list[int]:
        """The leaves but for the constants."""
        return [n for n in self.live if self.graph.is_leaf(n) and self.graph.ops[n] is not CONSTANT]

    @property
    def computed(self) -> list[int]:
        """The operations, operands first."""
        return [n for n in self.live if self.graph.operands[n]]

    def operands(self, node: int) -> list[tuple[int, int]]:
        """(position, operand) of the operands that are no constants and get something."""
        op = self.graph.ops[node]
        return [
            (i, operand)
            for i, operand in enumerate(self.graph.operands[node])
            if op.vjp[i] is not None and self.graph.ops[operand] is not CONSTANT
        ]

    def share(self, node: int, position: int, ct: float) -> float:
        """What one operand gets, by the rule of the operation, for the cotangent `ct`."""
        op, graph = self.graph.ops[node], self.graph
        rule = op.vjp[position]
        if rule is None:
            return 0.0
        arguments = [self.values[operand] for operand in graph.operands[node]]
        numbers = map(Float, (ct, self.values[node], *arguments))
        return float(rule(*numbers, *graph.statics.get(node, ())))

    def name(self, node: int) -> str:
        """The name of a node."""
        return self.names[node]


@dataclass(frozen=True)
class Event:
    """One share on its way: from a consumer to an operand, whose total it changes."""

    consumer: int
    position: int
    operand: int
    share: float
    before: float
    after: float


def subject_of(w: Lesson) -> Subject | None:
    """The expression of a walk-through, None when it has no values."""
    if w.symbolic:
        return None
    numbers = {node.number: node for node in w.nodes}
    return Subject(
        w.graph,
        w.output.id,
        tuple(numbers),
        {n: node.name for n, node in numbers.items()},
        {n: 0.0 if node.value is None else node.value for n, node in numbers.items()},
    )


def example(formulas: Sequence[tuple[str, str]], at: Mapping[str, float]) -> Subject:
    """A small expression: named formulas, each in terms of leaves and of those before it."""
    output = read_formulas("; ".join(f"{name} = {formula}" for name, formula in formulas))
    graph, root = output.graph, output.id
    live = live_nodes(graph, [root])
    values = node_values(graph, live, {graph.leaves[name]: float(x) for name, x in at.items()})
    where = ", ".join(f"{name} = {number:g}" for name, number in at.items())
    text = ", ".join(f"{name} = {formula}" for name, formula in formulas)
    return Subject(
        graph, root, tuple(live), node_names(graph, live, root), values, f"{text} at {where}"
    )


def sweep(
    subject: Subject,
    order: Iterable[int] | None = None,
    *,
    assign: bool = False,
    once: bool = False,
    rule: Callable[[int, int, float], float] | None = None,
    start: Mapping[int, float] | None = None,
) -> tuple[dict[int, float], list[Event]]:
    """A backward sweep: the derivative of each node, and what happened in order.

    order   the nodes, the reverse of the forward pass unless given
    assign  overwrite instead of adding
    once    serve an operand that is used twice by one node only once
    rule    another rule than the table's
    start   totals left over from before
    """
    totals = dict.fromkeys(subject.live, 0.0) | dict(start or {})
    totals[subject.root] = 1.0
    events = []
    share_of = subject.share if rule is None else rule
    for node in reversed(subject.live) if order is None else order:
        served: set[int] = set()
        for position, operand in subject.operands(node):
            if once and operand in served:
                continue
            served.add(operand)
            share = share_of(node, position, totals[node])
            before = totals[operand]
            totals[operand] = share if assign else before + share
            events.append(Event(node, position, operand, share, before, totals[operand]))
    return totals, events


def breadth_first(subject: Subject) -> Iterator[int]:
    """The nodes from the output down, each when it is first met."""
    seen, queue = {subject.root}, deque([subject.root])
    while queue:
        node = queue.popleft()
        yield node
        for _, operand in subject.operands(node):
            if operand not in seen:
                seen.add(operand)
                queue.append(operand)


def naive_recursion(subject: Subject) -> dict[int, float] | None:
    """What comes out when each node, as soon as it got something, passes on all it has so far.

    None when that takes too many visits: their number grows with the number of paths.
    """
    totals = dict.fromkeys(subject.live, 0.0)
    totals[subject.root] = 1.0
    stack = [(subject.root, iter(subject.operands(subject.root)))]
    visits = 1
    while stack:
        node, operands = stack[-1]
        step = next(operands, None)
        if step is None:
            stack.pop()
            continue
        position, operand = step
        totals[operand] += subject.share(node, position, totals[node])
        visits += 1
        if visits > MAX_VISITS:
            return None
        stack.append((operand, iter(subject.operands(operand))))
    return totals


def eager(subject: Subject) -> tuple[Value, dict[int, Value]]:
    """The expression as `Value`s, as a notebook would have built it."""
    made: dict[int, Any] = {}
    for node in subject.live:
        graph = subject.graph
        if graph.is_leaf(node):
            number = subject.values[node]
            made[node] = number if graph.ops[node] is CONSTANT else Value(number)
        else:
            operands = [made[operand] for operand in graph.operands[node]]
            made[node] = graph.ops[node](*operands, *graph.statics.get(node, ()))
    leaves = {node: made[node] for node in subject.live if isinstance(made[node], Value)}
    return made[subject.root], leaves
