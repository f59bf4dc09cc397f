"""Mistakes in the use of gradients: state between calls, reading them, and stepping along them."""

from __future__ import annotations

import math

from ..graph.evaluation import node_values
from ..graph.value import Value
from ..ops.scalar import TANH
from .comparison import MAX_ROWS, Mistake, Row, differ, example_of, where_it_shows
from .sweeps import Subject, eager, sweep
from .words import shown


def twice(subject: Subject | None) -> Mistake:
    """A second call of backward on a tape that keeps the totals of interior nodes."""

    def both(s: Subject) -> tuple[dict[int, float], dict[int, float]]:
        first = sweep(s)[0]
        return sweep(s, start=first)[0], {
            n: 2 * x if s.graph.is_leaf(n) else x for n, x in first.items()
        }

    s = where_it_shows(subject, both, "sum", leaves_only=True)
    first = sweep(s)[0]
    second, _ = sweep(s, start=first)
    output, values = eager(s)
    output.backward()
    output.backward()
    again = {node: values[node].grad for node in s.leaves}
    rows = [
        Row(
            (s.name(n), shown(first[n]), shown(second[n]), shown(again[n]), shown(first[n])),
            differ(second[n], again[n]),
        )
        for n in s.leaves
    ]
    inner = next(
        (n for n in reversed(s.computed) if n != s.root and differ(second[n], first[n])), s.root
    )
    return Mistake(
        name="twice",
        title="Calling backward twice",
        wrong_method="a tape with += everywhere and nothing reset: interior nodes count double",
        right_method="interior nodes start from 0 in each call, only leaves accumulate; a gradient "
        "that is a graph has no state at all",
        on=s.formula,
        columns=("leaf", "first call", "✗ tape, 2nd", "✓ Value, 2nd", "✓ graph, 2nd"),
        rows=tuple(rows[:MAX_ROWS]),
        first_wrong=f"in the second call {s.name(inner)} still holds {shown(first[inner])}; the "
        f"new share makes it {shown(second[inner])}, and it passes all of that on.",
        moral="Twice the gradient is what two calls should leave in the leaves; more than that "
        "comes from interior nodes that were not reset.",
    )


def zero(subject: Subject | None) -> Mistake:
    """Training without resetting the gradients between steps."""
    rate, steps = 0.01, 3

    def usable(s: Subject) -> bool:
        return any(g and math.isfinite(g) for g in (sweep(s)[0][n] for n in s.leaves))

    s = subject if subject is not None and usable(subject) else example_of("loss")
    gradient = sweep(s)[0]
    leaf = next(n for n in s.leaves if gradient[n] and math.isfinite(gradient[n]))
    kept, reset = (_train(s, leaf, rate, steps, clear) for clear in (False, True))
    rows = tuple(
        Row((str(i + 1), shown(a), shown(b), shown(b)), differ(a, b))
        for i, (a, b) in enumerate(zip(kept, reset, strict=True))
    )
    name = s.name(leaf)
    return Mistake(
        name="zero",
        title="What zeroing the gradients resets",
        wrong_method="call backward in every step and never set grad back to 0",
        right_method="set the grad of every leaf to 0 before backward; a gradient that is a graph "
        "needs none of this, it is computed anew from the leaves",
        on="" if s is subject else s.formula,
        columns=("step", f"✗ grad of {name}, kept", "✓ zeroed", "✓ as a graph"),
        rows=rows,
        first_wrong=f"step 2: the grad of {name} still holds the {shown(kept[0])} of step 1, and "
        f"backward adds to it: {shown(kept[1])} instead of {shown(reset[1])}.",
        moral="Zeroing touches the grad of the leaves and nothing else: not their data, not the "
        f"graph. The steps here are {name} ← {name} - {rate:g}·grad.",
    )


def _train(s: Subject, leaf: int, rate: float, steps: int, clear: bool) -> list[float]:
    """The gradient that each step used, with a `Value` that keeps its grad between steps or not."""
    held = Value(s.values[leaf])
    used = []
    for _ in range(steps):
        if clear:
            held.grad = 0.0
        made: dict[int, Value | float] = {}
        for node in s.live:
            operands = [made[operand] for operand in s.graph.operands[node]]
            if node == leaf:
                made[node] = held
            elif not operands:
                made[node] = s.values[node]
            else:
                made[node] = s.graph.ops[node](*operands, *s.graph.statics.get(node, ()))
        output = made[s.root]
        assert isinstance(output, Value)
        output.backward()
        used.append(float(held.grad))
        held.data -= rate * held.grad
    return used


def uncomputed(subject: Subject | None) -> Mistake:
    """Reading the 0 that a grad box holds before backward as a derivative."""
    s = subject if subject is not None else example_of("sum")
    _, values = eager(s)
    before = {n: values[n].grad for n in values}
    right, _ = sweep(s)
    rows = []
    for n in reversed(s.live):
        if n in values:
            name = f"∂{s.name(s.root)}/∂{s.name(n)}"
            rows.append(
                Row((name, shown(before[n]), "—", shown(right[n])), differ(before[n], right[n]))
            )
    first = next((row for row in rows if row.wrong), rows[0])
    return Mistake(
        name="uncomputed",
        title="A grad of 0 before backward",
        wrong_method="read the 0 in a grad box before backward as “has no influence”",
        right_method="show “—” until it is computed; 0 is an answer, — is none",
        on=s.formula,
        columns=("derivative", "✗ grad box before", "✓ known before", "after backward"),
        rows=tuple(rows[:MAX_ROWS]),
        first_wrong=f"{first.cells[0]} reads {first.cells[1]} before backward; "
        f"it is {first.cells[3]}.",
        moral="A field that starts at 0 cannot tell “nothing known” from “no influence”.",
    )


def saturation(subject: Subject | None) -> Mistake:
    """Expecting a tanh to pass gradients on wherever it is."""
    points = [("", x) for x in (0.0, 0.8813735870195432, 2.0, 5.0)]
    if subject is not None:
        points += [
            (f" ({subject.name(node)} here)", subject.values[subject.graph.operands[node][0]])
            for node in subject.computed
            if subject.graph.ops[node] is TANH
        ]
    rule = TANH.vjp[0]
    assert rule is not None
    rows = []
    for name, x in sorted(points[:MAX_ROWS], key=lambda point: abs(point[1])):
        out = TANH.evaluate(x)
        slope = float(rule(1.0, out, x))
        rows.append(Row((f"{shown(x)}{name}", shown(out), "1", shown(slope)), slope < 0.1))
    first = next(row for row in rows if row.wrong)
    return Mistake(
        name="saturation",
        title="tanh saturates",
        wrong_method="expect a neuron to learn at the same speed whatever its weighted sum is",
        right_method="look at 1 - tanh(x)²: the further from 0, the less passes",
        on="",
        columns=("x", "tanh(x)", "✗ expected to pass", "✓ 1 - tanh(x)²"),
        rows=tuple(rows),
        first_wrong=f"at x = {first.cells[0]} only {first.cells[3]} of what arrives passes.",
        moral="Large weights or inputs that are not scaled put neurons where they hardly learn.",
    )


def overflow(subject: Subject | None) -> Mistake:
    """tanh by its formula in exponentials, which overflow long before tanh does anything."""
    rows = []
    for x in (0.5, 10.0, 100.0, 400.0):
        try:
            grown = math.exp(2 * x)
            by_formula = shown((grown - 1) / (grown + 1))
        except OverflowError as error:
            by_formula = f"OverflowError: {error}"
        rows.append(Row((shown(x), by_formula, shown(math.tanh(x))), "Error" in by_formula))
    first = next(row for row in rows if row.wrong)
    return Mistake(
        name="overflow",
        title="tanh overflows when it is spelled out",
        wrong_method="compute tanh(x) as (exp(2x) - 1)/(exp(2x) + 1), as the notebook does",
        right_method="use tanh; it never leaves the interval from -1 to 1",
        on="",
        columns=("x", "✗ (e²ˣ - 1)/(e²ˣ + 1)", "✓ tanh(x)"),
        rows=tuple(rows),
        first_wrong=f"at x = {first.cells[0]} the intermediate exp(2x) is larger than the largest "
        "float, about 1.8e308, though the result is 1.",
        moral="An expression can be right over the reals and useless in floating point. "
        'wengert.simplify(expr, rules="stable") finds the known ones.',
    )


def rate(subject: Subject | None) -> Mistake:
    """Believing the first-order prediction at any step length."""
    s = subject
    rows = () if s is None else _rates(s)
    if s is None or not any(row.wrong for row in rows):
        s = example_of("loss")
        rows = _rates(s)
    first = next(row for row in rows if row.wrong)
    return Mistake(
        name="rate",
        title="The learning rate",
        wrong_method="trust the decrease lr·‖g‖² that the gradient promises, at any rate",
        right_method="the gradient is the slope here; the further the step, the less it says",
        on=s.formula,
        columns=("lr", "✗ predicted fall", "✓ actual fall", "of it"),
        rows=rows,
        first_wrong=f"at lr = {first.cells[0]} the prediction is {first.cells[1]} and the fall is "
        f"{first.cells[2]}{', a rise' if first.cells[2].startswith('-') else ''}.",
        moral="If the loss rises, the step was too long: the direction was right. "
        "Rows more than a fifth off are marked.",
    )


def _rates(s: Subject) -> tuple[Row, ...]:
    gradient, _ = sweep(s)
    squared = sum(gradient[n] * gradient[n] for n in s.leaves)
    rows = []
    for lr in (0.001, 0.01, 0.1, 1.0):
        point = {n: s.values[n] - lr * gradient[n] for n in s.leaves}
        moved = _values_at(s, point)
        predicted, actual = lr * squared, s.values[s.root] - moved
        share = actual / predicted if predicted else math.nan
        rows.append(
            Row(
                (shown(lr), shown(predicted), shown(actual), f"{share:.0%}"),
                math.isfinite(share) and abs(share - 1) > 0.2,
            )
        )
    return tuple(rows)


def _values_at(s: Subject, point: dict[int, float]) -> float:
    return float(node_values(s.graph, s.live, point)[s.root])
