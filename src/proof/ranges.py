"""Range analysis: which nodes can overflow, divide by zero or leave a domain, and which cannot."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from ..errors import OperandError, SettingError, kind_of, shorten
from ..graph.arithmetic import Arithmetic
from ..graph.doors import View
from ..graph.expr import Expr, Graph, common_graph
from ..graph.store import live_nodes
from ..graph.written import text
from ..ops.intervals import Interval, hull, interval_of, square
from ..ops.record import Op
from ..ops.scalar import DIV, GE, GT, LE, LT, MUL, SUB, TOTAL, WHERE
from ..simplify.rules import scalar_constant

_TERMS = 12
_BRANCH_BUDGET = 50_000
"""How many nodes are looked at again, in all, within branches of `where`."""

_FLIPPED = {LT: GT, LE: GE, GT: LT, GE: LE}


@dataclass(frozen=True)
class Hazard:
    """An operation that may not give a finite number, though its operands are finite.

    kind    "overflow", "division by zero", "domain" or "nan"
    within  the intervals of its operands
    """

    expr: Expr
    kind: str
    within: tuple[Interval, ...]

    def __str__(self) -> str:
        operands = ", ".join(
            f"{text(operand, _TERMS)} in {interval}"
            for operand, interval in zip(self.expr.operands, self.within, strict=True)
            if operand.op.name != "constant"
        )
        return f"{self.kind}: node {self.expr.id}, {text(self.expr, _TERMS)}, with {operands}"


@dataclass(frozen=True, repr=False)
class Ranges:
    """Where every node lies; truthy when the outputs are proved finite. Prints as a report.

    `ranges[expr]` is the interval of a node.
    """

    _repr_mimebundle_ = View()

    outputs: tuple[Expr, ...]
    intervals: Mapping[int, Interval]
    hazards: tuple[Hazard, ...]

    def __bool__(self) -> bool:
        return all(self.intervals[output.id].finite for output in self.outputs)

    def __iter__(self) -> Iterator[Hazard]:
        return iter(self.hazards)

    def __getitem__(self, expr: Expr) -> Interval:
        return self.intervals[expr.id]

    def __repr__(self) -> str:
        verdict = "finite" if self else "not proved finite"
        return f"<Ranges: {len(self.outputs)} outputs {verdict}, {len(self.hazards)} hazards>"

    def __str__(self) -> str:
        graph = self.outputs[0].graph
        computed = [node for node in self.intervals if not graph.is_leaf(node)]
        proved = sum(self.intervals[node].finite for node in computed)
        lines = [f"{text(o, _TERMS)} in {self.intervals[o.id]}" for o in self.outputs]
        lines += [f"can go wrong: {hazard}" for hazard in self.hazards]
        return "\n".join([*lines, f"{proved} of {len(computed)} operations proved finite."])


def ranges(
    exprs: Any, bounds: Mapping[Any, tuple[float, float]] | None = None, *, samples: int = 1
) -> Ranges:
    """Where each node can lie, from bounds of the leaves: interval arithmetic, rounded outwards.

    exprs    an expression, a `Value`, or a sequence of them
    bounds   leaf, or its name → (least, greatest); an input without bounds is any finite float64,
             a parameter without bounds is the number it carries
    samples  the largest number of samples a `total` is over

    What it proves holds for float64 arithmetic as well as for the reals. What it cannot prove is
    listed, and may still be impossible: an interval does not know that x and 1 - x add up to 1. A
    branch of `where` is looked at under its condition, where that compares a node with a number.

    >>> g = Graph(); x = g.input("x")
    >>> print(ranges((x * x + 2).log(), {x: (-1.0, 1.0)}))
    log(x*x + 2) in [0.693147, 1.09861]
    3 of 3 operations proved finite.
    >>> print(ranges(x.exp(), {x: (0.0, 1000.0)}))
    exp(x) in [1, inf]
    can go wrong: overflow: node 5, exp(x), with x in [0, 1000]
    0 of 1 operations proved finite.
    """
    single = isinstance(exprs, (Arithmetic, Real, str))
    wanted: list[Any] = [exprs] if single else list(exprs)
    if not wanted:
        raise OperandError("no expressions: give ranges at least one")
    graph = common_graph(wanted)
    roots = [graph.node_of(thing) for thing in wanted]
    live = live_nodes(graph, roots)
    if any(node in graph.shapes for node in live):
        raise OperandError(
            "ranges works on scalars; wengert.unroll(expression) makes them of arrays"
        )
    analysis = _Analysis(graph, _leaf_bounds(graph, bounds or {}), _samples(samples))
    analysis.walk(live)
    hazards = [hazard for node in live if (hazard := analysis.hazard(node)) is not None]
    return Ranges(tuple(graph[root] for root in roots), analysis.intervals, tuple(hazards))


class _Analysis:
    def __init__(self, graph: Graph, given: Mapping[int, Interval], samples: int) -> None:
        self.graph = graph
        self.samples = samples
        self.intervals: dict[int, Interval] = dict(given)
        self._budget = _BRANCH_BUDGET

    def walk(self, live: Iterable[int]) -> None:
        graph, intervals = self.graph, self.intervals
        for node in live:
            if node in intervals:
                continue
            if graph.is_leaf(node):
                intervals[node] = _of_leaf(graph, node)
            elif graph.ops[node] is WHERE:
                intervals[node] = self._where(node)
            else:
                intervals[node] = self._computed(node, intervals)

    def _computed(self, node: int, known: Mapping[int, Interval]) -> Interval:
        graph = self.graph
        op, operands = graph.ops[node], graph.operands[node]
        if len(operands) == 2 and operands[0] == operands[1]:
            one = known[operands[0]]
            if op is MUL:
                return square(one)
            if op is SUB and one.finite:
                return Interval(0.0, 0.0)
            if op is DIV and one.finite and 0.0 not in one:
                return Interval(1.0, 1.0)
        found = interval_of(
            op, [known[operand] for operand in operands], graph.statics.get(node, ())
        )
        if op is TOTAL and self.samples > 1:
            many = interval_of(MUL, [found, Interval(float(self.samples), float(self.samples))], ())
            # Each addition rounds once more.
            slack = self.samples * sys.float_info.epsilon * max(abs(many.low), abs(many.high))
            found = hull(found, Interval(many.low - slack, many.high + slack, many.nan))
        return found

    def _where(self, node: int) -> Interval:
        """Each branch under its condition; one that cannot be taken does not count."""
        graph = self.graph
        condition, *branches = graph.operands[node]
        truth = self.intervals[condition]
        found = []
        for branch, taken in zip(branches, (True, False), strict=True):
            possible = truth.nan or (
                truth.low != 0.0 or truth.high != 0.0 if taken else 0.0 in truth
            )
            if possible:
                found.append(self._under(branch, condition, taken))
        return found[0] if len(found) == 1 else hull(*found)

    def _under(self, branch: int, condition: int, taken: bool) -> Interval:
        """The interval of a branch where the condition is as said."""
        if self.intervals[branch].finite:
            return self.intervals[branch]
        narrowed = self._narrowed(condition, taken)
        if narrowed is None:
            return self.intervals[branch]
        subject, interval = narrowed
        between = [node for node in live_nodes(self.graph, [branch]) if node >= subject]
        self._budget -= len(between)
        if self._budget < 0:
            return self.intervals[branch]
        known: dict[int, Interval] = {subject: interval}
        for node in between:
            operands = self.graph.operands[node]
            if node not in known and not known.keys().isdisjoint(operands):
                here = {
                    operand: known.get(operand, self.intervals[operand]) for operand in operands
                }
                known[node] = self._computed(node, here)
        return known.get(branch, self.intervals[branch])

    def _narrowed(self, condition: int, taken: bool) -> tuple[int, Interval] | None:
        """The node that a comparison with a number is about, and where it lies then."""
        graph = self.graph
        op: Op | None = graph.ops[condition]
        if op not in _FLIPPED:
            return None
        subject, limit = graph.operands[condition]
        number = scalar_constant(graph, limit)
        if number is None:
            subject, number = limit, scalar_constant(graph, subject)
            op = _FLIPPED[op]
        if number is None or not math.isfinite(number) or graph.ops[subject].name == "constant":
            return None
        before = self.intervals[subject]
        if not taken and before.nan:
            return None
        if not taken:
            op = {LT: GE, LE: GT, GT: LE, GE: LT}[op]
        low, high = before.low, before.high
        if op in (GT, GE):
            low = max(low, math.nextafter(number, math.inf) if op is GT else number)
        else:
            high = min(high, math.nextafter(number, -math.inf) if op is LT else number)
        return (subject, Interval(low, high)) if low <= high else None

    def hazard(self, node: int) -> Hazard | None:
        graph, found = self.graph, self.intervals[node]
        if found.finite or graph.is_leaf(node):
            return None
        operands = tuple(self.intervals[operand] for operand in graph.operands[node])
        if not all(operand.finite for operand in operands):
            return None
        kind = _kind(graph.ops[node], operands, graph.statics.get(node, ()), found)
        return Hazard(graph[node], kind, operands)


def _kind(op: Op, operands: Sequence[Interval], statics: Sequence[float], found: Interval) -> str:
    wrong = "" if op.undefined is None else op.undefined(*operands, *statics)
    return wrong or ("nan" if found.nan else "overflow")


def _of_leaf(graph: Graph, node: int) -> Interval:
    number = graph.value(node)
    if number is None:
        return Interval(-sys.float_info.max, sys.float_info.max)
    value = float(number)
    return Interval(-math.inf, math.inf, True) if value != value else Interval(value, value)


def _leaf_bounds(graph: Graph, bounds: Mapping[Any, Any]) -> dict[int, Interval]:
    from ..graph.evaluation import given_values

    if not isinstance(bounds, Mapping):
        raise OperandError(
            f"bounds is {shorten(bounds)}, {kind_of(bounds)}; expected a dict: leaf, or its name, "
            "to (least, greatest)"
        )
    found = {}
    for key, pair in bounds.items():
        (node,) = given_values(graph, {key: 0.0})
        name = graph.labels[node]
        try:
            low, high = (float(number) for number in pair)
        except (TypeError, ValueError):
            raise OperandError(
                f"the bounds of {name} are {shorten(pair)}; expected (least, greatest)"
            ) from None
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise SettingError(
                f"the bounds of {name} are ({low}, {high}); expected two finite numbers in order"
            )
        found[node] = Interval(low, high)
    return found


def _samples(samples: Any) -> int:
    if type(samples) is not int or samples < 1:
        raise SettingError(f"samples is {shorten(samples)}; expected a whole number from 1")
    return samples
