"""Branches that were not taken pass back exactly 0: which shares of a reverse sweep to guard.

The chain rule multiplies the 0 that such a branch receives by derivatives that need not be finite:
0/(2·sqrt(-1)) is nan. So what leaves a branch goes through `where` once more, under the condition
of the branch. Within the branch nothing changes, and neither does a share that is 0 already. What
`derive.gates` finds behind a threshold is such a branch too, and its finite factors keep the 0.

A condition on the elements of an array is moved along with the shares: an element matters if one of
those that it went into does, which is what the derivative rule tells when it is given truth values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ..errors import OperandError
from ..graph.expr import Expr, Graph
from ..graph.traversal import depth_first
from ..ops.arrays import fitted, spread_over, sum_to
from ..ops.scalar import DIV, MUL, WHERE, where
from ..ops.shapes import BATCH, Shape, broadcast
from ..simplify.rules import scalar_constant
from .extremes import Link
from .gates import Steep

_LEVELS = 8
"""How far out a nested condition is compared with the others that a node has."""


class Activity:
    """When a node has a share in the output.

    outer      the activity this one lies within
    condition  the node that decides; None for "always", and where any of `either` will do
    taken      whether it has to be true
    either     activities of which one must hold
    edge       a node and the place of an operand: the activity of the node's elements, `either`,
               told of the operand's
    shape      () where it holds of all elements or none; else it may differ from one to the next
    gates      whether all that decide are gates
    """

    __slots__ = ("condition", "edge", "either", "gates", "outer", "shape", "taken")

    def __init__(
        self,
        outer: Activity | None = None,
        condition: int | None = None,
        taken: bool = True,
        either: tuple[Activity, ...] = (),
        edge: tuple[int, int] | None = None,
        shape: Shape = (),
        gates: bool = True,
    ) -> None:
        self.outer = outer
        self.condition = condition
        self.taken = taken
        self.either = either
        self.edge = edge
        self.shape = shape
        self.gates = gates


ALWAYS: Final = Activity()


class Guards:
    """What one sweep has to guard: the share of an operand in a node, and under which activity.

    live     the nodes of the sweep, operands first; the last one is the output
    needed   those that get an adjoint
    targets  those whose adjoint is an answer
    behind   the gates that count as branches, and what is steep behind them
    links    the links of chains of maxima and minima, each chain a gate as a whole

    `concerned` are the nodes of which anything is to be guarded.
    """

    def __init__(
        self,
        graph: Graph,
        live: Sequence[int],
        needed: set[int],
        targets: set[int],
        behind: Steep,
        links: Mapping[int, Link],
    ) -> None:
        self._graph = graph
        self._behind = behind
        self._links = links
        self._known: dict[tuple[Activity, object, bool, bool], Activity] = {}
        self._unions: dict[frozenset[Activity], Activity] = {}
        self._moved: dict[tuple[int, int], Activity] = {}
        self._tests: dict[Activity, int] = {}
        self._shares: dict[tuple[int, int], Activity] = {}
        self.concerned: set[int] = set()
        rows = enumerate(graph.one_hot)
        self._row_of = {leaf: (row, len(leaves)) for row, leaves in rows for leaf in leaves}
        self._find(live, needed, targets)

    def guarded(self, node: int, position: int, share: int) -> int:
        """The share of an operand in `node`: 0 where `node` does not matter, if it need be told."""
        activity = self._shares.get((node, position))
        if activity is None:
            return share
        graph = self._graph
        chosen = Expr(graph, share)
        if activity.outer is ALWAYS and activity.condition is not None:
            condition = graph[activity.condition]
            pair = (chosen, 0) if activity.taken else (0, chosen)
            return graph.node_of(where(condition, *pair))
        return graph.node_of(where(graph[self._test(activity)], chosen, 0))

    def arguments(self, node: int, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """The operands that the rule of a product of arrays adds up, 0 where they do not matter."""
        op = self._graph.ops[node]
        if op.shape is None or op.linear != "each":
            return arguments
        first, second = map(self._moved.get, ((node, 0), (node, 1)))
        if first is None or second is None:
            return arguments
        a, b = arguments
        graph = self._graph
        return where(graph[self._test(first)], a, 0), where(graph[self._test(second)], b, 0)

    def unfitted(self, node: int, position: int, share: int) -> int:
        """A share before what was broadcast is added up: 0 for elements that do not matter."""
        moved = self._moved.get((node, position))
        if moved is None or self._graph.ops[node].shape is not None:
            return share
        (within,) = moved.either
        graph = self._graph
        return graph.node_of(where(graph[self._test(within)], graph[share], 0))

    def _find(self, live: Sequence[int], needed: set[int], targets: set[int]) -> None:
        graph = self._graph
        incoming: dict[int, list[tuple[Activity, int, int]]] = {live[-1]: []}
        exact: set[int] = set()  # nodes whose adjoint is 0 wherever they are not active
        for node in reversed(live):
            if node not in needed or node not in incoming:
                continue
            edges = incoming.pop(node)
            activity = edges[0][0] if edges else ALWAYS
            if len(edges) > 1 and any(edge[0] is not activity for edge in edges):
                activity = self._union([edge[0] for edge in edges])
            rules, moves = graph.ops[node].vjp, False
            for position, operand in enumerate(graph.operands[node]):
                within = self._through(node, position, activity)
                moves = moves or within.edge == (node, position)
                if operand in needed and rules[position] is not None:
                    incoming.setdefault(operand, []).append((within, node, position))
            # Elements that are added up have to be 0 by then.
            if self._settle(edges, activity, moves or node in targets, exact):
                exact.add(node)

    def _settle(
        self,
        edges: Sequence[tuple[Activity, int, int]],
        activity: Activity,
        has_to_be: bool,
        exact: set[int],
    ) -> bool:
        """Note which shares of a node to guard; whether its adjoint is 0 where it is not active."""
        graph, all_exact = self._graph, True
        for within, node, position in edges:
            if within is ALWAYS or (node in exact and _keeps_zero(graph, node, position)):
                continue
            if within.gates and node in exact and self._behind.keeps_zero(graph, node, position):
                continue
            if within is not activity or has_to_be:
                self._shares[node, position] = within
                self.concerned.add(node)
            else:
                all_exact = False
        return all_exact or activity is ALWAYS

    def _through(self, node: int, position: int, activity: Activity) -> Activity:
        """When an operand has a share in the output by way of this node."""
        graph = self._graph
        op, operands = graph.ops[node], graph.operands[node]
        if op is WHERE:
            activity = self._within(activity, operands[0], position == 1)
        elif op.gate is not None and self._gate(node) in self._behind.gates:
            activity = self._through_gate(node, position, activity)
        shape = graph.shapes.get(operands[position], ())
        if not activity.shape or (
            op.shape is None and broadcast("where", [activity.shape, shape]) == shape
        ):
            return activity
        if activity.gates and op.shape is not None:
            return ALWAYS
        found = Activity(
            ALWAYS, either=(activity,), edge=(node, position), shape=shape, gates=activity.gates
        )
        self.concerned.add(node)
        self._moved[node, position] = found
        return found

    def _gate(self, node: int) -> int:
        """What counts as a gate where `node` does: of a chain its end."""
        return self._links[node].chain.end if node in self._links else node

    def _through_gate(self, node: int, position: int, activity: Activity) -> Activity:
        graph, link = self._graph, self._links.get(node)
        op, operands = graph.ops[node], graph.operands[node]
        assert op.gate is not None
        if link is None:
            arguments = [*[graph[operand] for operand in operands], *graph.statics.get(node, ())]
            return self._within(activity, op.gate(*arguments).id, position == 0, gates=True)
        place = link.place(position)
        if place is None:
            return activity
        return self._within(activity, link.chain.chosen(place).id, True, gates=True)

    def _within(
        self, outer: Activity, condition: int, taken: bool, gates: bool = False
    ) -> Activity:
        gates = gates and outer.gates
        key = (outer, self._condition_key(condition), taken, gates)
        found = self._known.get(key)
        if found is None:
            shape = self._graph.shapes.get(condition, ())
            if outer.shape:
                shape = broadcast("where", [shape, outer.shape])
            found = Activity(outer, condition, taken, shape=shape, gates=gates)
            self._known[key] = found
        return found

    def _condition_key(self, condition: int) -> object:
        """Comparisons of the same operands are the same condition."""
        graph = self._graph
        op = graph.ops[condition]
        return (op, graph.operands[condition]) if op.truth else condition

    def _union(self, activities: Iterable[Activity]) -> Activity:
        """Active where any of these is."""
        left = dict.fromkeys(activities)
        if not left or ALWAYS in left:
            return ALWAYS
        waiting = list(left)
        while waiting and len(left) > 1:
            one = waiting.pop()
            if one not in left or one.condition is None or one.outer is None:
                continue
            key = self._condition_key(one.condition)
            other = self._known.get((one.outer, key, not one.taken, one.gates))
            if other in left:
                del left[one], left[other]
                if one.outer is ALWAYS:
                    return ALWAYS
                left[one.outer] = None
                waiting.append(one.outer)
        if self._row_of and len(left) > 1:
            left = self._without_rows(left)
        if len(left) > 1:
            left = {one: None for one in left if left.keys().isdisjoint(_around(one))}
        if ALWAYS in left:
            return ALWAYS
        if len(left) == 1:
            return next(iter(left))
        members = frozenset(left)
        if members not in self._unions:
            shape = broadcast("where", [one.shape for one in left])
            gates = all(one.gates for one in left)
            self._unions[members] = Activity(ALWAYS, either=tuple(left), shape=shape, gates=gates)
        return self._unions[members]

    def _without_rows(self, left: dict[Activity, None]) -> dict[Activity, None]:
        """The same with what holds around them in place of all conditions of one-hot rows."""
        rows: dict[tuple[Activity, int], list[Activity]] = {}
        for one in left:
            if one.outer is not None and one.taken and one.condition in self._row_of:
                rows.setdefault((one.outer, self._row_of[one.condition][0]), []).append(one)
        for (outer, _), members in rows.items():
            condition = members[0].condition
            if condition is not None and len(members) == self._row_of[condition][1]:
                left = {one: None for one in left if one not in members}
                left[outer] = None
        return left

    def _test(self, activity: Activity) -> int:
        """A node that is not 0 exactly where the activity holds."""
        for one in depth_first([activity], _parts, self._tests):
            self._tests[one] = self._new_test(one)
        return self._tests[activity]

    def _new_test(self, activity: Activity) -> int:
        graph = self._graph
        if activity.edge is not None:
            (inner,) = activity.either
            return self._moved_test(self._tests[inner], *activity.edge)
        if activity.condition is None:
            *first, last = (graph[self._tests[part]] for part in activity.either)
            for test in first:
                last = where(test, 1, last)
            return last.id
        outer = activity.outer
        inside: Any = 1
        if outer is not None and outer is not ALWAYS:
            inside = graph[self._tests[outer]]
        elif activity.taken:
            return activity.condition
        pair = (inside, 0) if activity.taken else (0, inside)
        return graph.node_of(where(graph[activity.condition], *pair))

    def _moved_test(self, test: int, node: int, position: int) -> int:
        """Not 0 for the elements of an operand that go into an element for which `test` is not."""
        graph = self._graph
        op, operands = graph.ops[node], [graph[operand] for operand in graph.operands[node]]
        mask = where(graph[test], _ones(graph[node]), 0)
        if op.shape is None:
            return graph.node_of(sum_to(mask, operands[position].shape))
        if not op.linear:
            if op.places is None:
                raise OperandError(
                    f"{op.name} is not linear, and its record does not say in `places` which "
                    "linear operation moves elements the same ways: a branch that was not taken "
                    "cannot be told from one that was"
                )
            op = op.places
        rule: Any = op.vjp[position]
        counts = rule(mask, mask, *map(_ones, operands), *graph.statics.get(node, ()))
        return graph.node_of(fitted(counts, operands[position]))


def _ones(expr: Expr) -> Expr:
    """1 for each element: a constant, unless there are as many as there are samples."""
    if BATCH in expr.shape:
        return where(expr, 1, 1)  # type: ignore[no-any-return]
    return spread_over(expr.graph.constant(1.0), expr)  # type: ignore[no-any-return]


def _around(activity: Activity) -> list[Activity]:
    """The activities this one lies within, a few levels out."""
    found: list[Activity] = []
    outer = activity.outer
    while outer is not None and outer is not ALWAYS and len(found) < _LEVELS:
        found.append(outer)
        outer = outer.outer
    return found


def _keeps_zero(graph: Graph, node: int, position: int) -> bool:
    """Whether the share in `node` is exactly 0 whenever its cotangent is."""
    op, operands = graph.ops[node], graph.operands[node]
    if op.linear == "together":
        return True
    if op is MUL:
        factor = scalar_constant(graph, operands[1 - position])
        return factor is not None and math.isfinite(factor)
    return op is DIV and position == 0 and bool(scalar_constant(graph, operands[1]))


def _parts(activity: Activity) -> list[Activity]:
    """What an activity is made of, the last first."""
    parts = (activity.outer, *activity.either)
    return [part for part in reversed(parts) if part is not None and part is not ALWAYS]
