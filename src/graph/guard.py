"""Branches that were not taken pass back exactly 0: which shares of a reverse sweep to guard.

The chain rule multiplies the 0 that such a branch receives by derivatives that need not be finite:
0/(2·sqrt(-1)) is nan. So what leaves a branch goes through `where` once more, under the condition
of the branch. Within the branch nothing changes, and neither does a share that is 0 already.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from .expr import Expr, Graph
from .ops import ADD, COMPARISONS, DIV, MUL, NEG, SUB, WHERE, where
from .rules import scalar_constant

_LEVELS = 8
"""How far out a nested condition is compared with the others that a node has."""


class Activity:
    """When a node has a share in the output.

    outer      the activity this one lies within
    condition  the node that decides; None for "always", and where any of `either` will do
    taken      whether it has to be true
    either     activities of which one must hold
    """

    __slots__ = ("condition", "either", "outer", "taken")

    def __init__(
        self,
        outer: Activity | None = None,
        condition: int | None = None,
        taken: bool = True,
        either: tuple[Activity, ...] = (),
    ) -> None:
        self.outer = outer
        self.condition = condition
        self.taken = taken
        self.either = either


ALWAYS: Final = Activity()


class Guards:
    """What one sweep has to guard: the share of an operand in a node, and under which activity.

    live     the nodes of the sweep, operands first; the last one is the output
    needed   those that get an adjoint
    targets  those whose adjoint is an answer
    """

    def __init__(
        self, graph: Graph, live: Sequence[int], needed: set[int], targets: set[int]
    ) -> None:
        self._graph = graph
        self._known: dict[tuple[Activity, object, bool], Activity] = {}
        self._unions: dict[frozenset[Activity], Activity] = {}
        self._tests: dict[Activity, int] = {}
        self._shares: dict[tuple[int, int], Activity] = {}
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

    def _find(self, live: Sequence[int], needed: set[int], targets: set[int]) -> None:
        graph = self._graph
        incoming: dict[int, list[tuple[Activity, int, int]]] = {live[-1]: []}
        activities: dict[int, Activity] = {}
        exact: set[int] = set()  # nodes whose adjoint is 0 wherever they are not active
        for node in reversed(live):
            if node not in needed or node not in incoming:
                continue
            edges = incoming.pop(node)
            activity = activities[node] = self._union([edge[0] for edge in edges])
            if self._settle(edges, activity, node in targets, exact):
                exact.add(node)
            rules = graph.ops[node].vjp
            for position, operand in enumerate(graph.operands[node]):
                if operand in needed and rules[position] is not None:
                    within = self._through(node, position, activity)
                    incoming.setdefault(operand, []).append((within, node, position))

    def _settle(
        self,
        edges: Sequence[tuple[Activity, int, int]],
        activity: Activity,
        is_target: bool,
        exact: set[int],
    ) -> bool:
        """Note which shares of a node to guard; whether its adjoint is 0 where it is not active."""
        graph, all_exact = self._graph, True
        for within, node, position in edges:
            if within is ALWAYS or (node in exact and _keeps_zero(graph, node, position)):
                continue
            if within is not activity or is_target:
                if self._may_guard(within, node, position):
                    self._shares[node, position] = within
            else:
                all_exact = False
        return all_exact or activity is ALWAYS

    def _may_guard(self, activity: Activity, node: int, position: int) -> bool:
        """Whether the shapes allow it: a condition on elements says nothing about a whole array."""
        graph = self._graph
        if not graph.shapes:
            return True
        shape = graph.shapes.get(graph.operands[node][position], ())
        if graph.ops[node].shape is not None and any(
            graph.shapes.get(condition) for condition in _conditions(activity)
        ):
            return False
        return all(graph.shapes.get(c, ()) in ((), shape) for c in _conditions(activity))

    def _through(self, node: int, position: int, activity: Activity) -> Activity:
        graph = self._graph
        if graph.ops[node] is not WHERE:
            return activity
        condition = graph.operands[node][0]
        return self._within(activity, condition, position == 1)

    def _within(self, outer: Activity, condition: int, taken: bool) -> Activity:
        key = (outer, self._condition_key(condition), taken)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Activity(outer, condition, taken)
        return found

    def _condition_key(self, condition: int) -> object:
        """Comparisons of the same operands are the same condition."""
        graph = self._graph
        op = graph.ops[condition]
        return (op, graph.operands[condition]) if op in COMPARISONS else condition

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
            other = self._known.get((one.outer, self._condition_key(one.condition), not one.taken))
            if other in left:
                del left[one], left[other]
                if one.outer is ALWAYS:
                    return ALWAYS
                left[one.outer] = None
                waiting.append(one.outer)
        if len(left) > 1:
            left = {one: None for one in left if left.keys().isdisjoint(_around(one))}
        if len(left) == 1:
            return next(iter(left))
        members = frozenset(left)
        if members not in self._unions:
            self._unions[members] = Activity(ALWAYS, either=tuple(left))
        return self._unions[members]

    def _test(self, activity: Activity) -> int:
        """A node that is not 0 exactly where the activity holds."""
        pending = [activity]
        while pending:
            one = pending[-1]
            parts = [p for p in (one.outer, *one.either) if p is not None and p is not ALWAYS]
            missing = [part for part in parts if part not in self._tests]
            pending.extend(missing)
            if not missing:
                pending.pop()
                if one not in self._tests:
                    self._tests[one] = self._new_test(one)
        return self._tests[activity]

    def _new_test(self, activity: Activity) -> int:
        graph = self._graph
        if activity.condition is None:
            *first, last = (graph[self._tests[part]] for part in activity.either)
            for test in first:
                last = where(test, 1, last)
            return last.id
        outer = activity.outer
        inside = 1 if outer is ALWAYS or outer is None else graph[self._tests[outer]]
        if inside == 1 and activity.taken:
            return activity.condition
        pair = (inside, 0) if activity.taken else (0, inside)
        return graph.node_of(where(graph[activity.condition], *pair))


def _around(activity: Activity) -> list[Activity]:
    """The activities this one lies within, a few levels out."""
    found: list[Activity] = []
    outer = activity.outer
    while outer is not None and outer is not ALWAYS and len(found) < _LEVELS:
        found.append(outer)
        outer = outer.outer
    return found


def _conditions(activity: Activity) -> list[int]:
    found: list[int] = []
    pending = [activity]
    while pending:
        one = pending.pop()
        if one.condition is not None:
            found.append(one.condition)
        pending += [part for part in (one.outer, *one.either) if part is not None]
    return found


def _keeps_zero(graph: Graph, node: int, position: int) -> bool:
    """Whether the share in `node` is exactly 0 whenever its cotangent is."""
    op, operands = graph.ops[node], graph.operands[node]
    if op in (ADD, SUB, NEG, WHERE):
        return True
    if op is MUL:
        factor = scalar_constant(graph, operands[1 - position])
        return factor is not None and math.isfinite(factor)
    return op is DIV and position == 0 and bool(scalar_constant(graph, operands[1]))


def has_branches(graph: Graph, nodes: Iterable[int]) -> bool:
    """Whether any of the nodes chooses between two others."""
    return any(graph.ops[node] is WHERE for node in nodes)
