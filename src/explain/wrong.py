"""The wrong methods, carried out beside the right ones on the expression or a small example."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ..graph.value import Value
from ..notation.formulas import read_formulas
from ..ops.scalar import RELU, TANH
from .comparison import Row
from .derivation import Derivation, derive
from .sweeps import (
    Event,
    Totals,
    breadth_first,
    eager,
    naive_recursion,
    receivers,
    share,
    sweep,
)
from .words import shown

MAX_ROWS: Final = 24
"""How many rows a comparison has at most."""


@dataclass(frozen=True)
class Found:
    """A mistake on one expression; `words` fill the braces in what the record says."""

    rows: Sequence[Row]
    first_wrong: str
    on: str = ""
    words: Mapping[str, str] = field(default_factory=dict)


class Shown(NamedTuple):
    """An expression with numbers, and what it is in words: "" for the one that was explained."""

    d: Derivation
    on: str


_EXAMPLES: Final[dict[str, tuple[str, dict[str, float]]]] = {
    # Olah 2015, "Calculus on Computational Graphs".
    "sum": ("c = a + b; d = b + 1; e = c*d", {"a": 2, "b": 1}),
    "shared": ("s = a*b; t = s + a; L = s*t", {"a": 2, "b": 3}),
    "square": ("y = x*x", {"x": 3}),
    "loss": ("p = w*x; L = (p - y)**2", {"w": 2, "x": 3, "y": 1}),
    "dead": ("n = w*x + b; h = relu(n)", {"w": 1, "x": 2, "b": -5}),
}
"""Small expressions on which mistakes show."""


def _example(kind: str) -> Shown:
    formulas, at = _EXAMPLES[kind]
    where = ", ".join(f"{name} = {number:g}" for name, number in at.items())
    on = f"{formulas.replace(';', ',')} at {where}"
    return Shown(derive(read_formulas(formulas), at=at), on)


Both = Callable[[Derivation], tuple[Totals, Totals]]
"""What the wrong method finds, and the right one."""


def _where_it_shows(
    d: Derivation | None, both: Both, fallback: str, *, leaves_only: bool = False
) -> Shown:
    """The expression if wrong and right differ on it, by finite numbers; else an example."""
    if d is not None:
        wrong, right = both(d)
        nodes = d.leaves if leaves_only else [n for n in d.live if n in right]
        sound = all(math.isfinite(right[n]) for n in nodes)
        if sound and any(_differ(wrong[n], right[n]) for n in nodes):
            return Shown(d, "")
    return _example(fallback)


def _differ(a: float, b: float) -> bool:
    """Whether two numbers are different by more than rounding; two nans are the same."""
    same = math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return not same and not (math.isnan(a) and math.isnan(b))


def _table(d: Derivation, *columns: Totals) -> list[Row]:
    """A row per leaf and computed node, output first: the last column is right."""
    rows = []
    for node in reversed(d.live):
        if d.computed(node) or node in d.leaves:
            numbers = [column[node] for column in columns]
            wrong = any(_differ(number, numbers[-1]) for number in numbers[:-1])
            rows.append(Row((d.derivative(node).text, *map(shown, numbers)), wrong))
    if len(rows) > MAX_ROWS:
        rows = [row for row in rows if row.wrong][:MAX_ROWS] or rows[:MAX_ROWS]
    return rows


# -- mistakes in the backward pass itself: another sweep, another rule, another order -------------

Sweep = Callable[[Derivation], tuple[Totals, list[Event]]]
"""A way to carry out the backward pass."""


def swept(
    wrong: Sweep, fallback: str, told: Callable[[Derivation, Event, Event], str]
) -> Callable[[Derivation | None], Found]:
    """Carries out a wrong sweep beside the right one; `told` says what first went wrong."""

    def carry_out(d: Derivation | None) -> Found:
        d, on = _where_it_shows(d, lambda d: (wrong(d)[0], sweep(d)[0]), fallback)
        totals, events = wrong(d)
        right, right_events = sweep(d)
        bad, good = next(
            (a, b) for a, b in zip(events, right_events, strict=True) if _differ(a.after, b.after)
        )
        words = {"name": d.names[bad.operand], "root": d.names[d.root]}
        return Found(_table(d, totals, right), told(d, bad, good), on, words)

    return carry_out


def assign(d: Derivation, bad: Event, good: Event) -> str:
    """What is lost where the last share overwrites the others."""
    return (
        f"{d.names[bad.consumer]} passes {shown(bad.share)} to {d.names[bad.operand]}: = leaves "
        f"{shown(bad.after)} and loses the {shown(good.before)} that had arrived before; += makes "
        f"it {shown(good.after)}."
    )


def local(d: Derivation, bad: Event, good: Event) -> str:
    """What a node passes that forgets what came from above."""
    upstream = shown(sweep(d)[0][bad.consumer])
    return (
        f"{d.names[bad.consumer]} has the upstream derivative {upstream} and "
        f"the local one {shown(bad.share)} for {d.names[bad.operand]}: it should pass "
        f"{upstream} × {shown(bad.share)} = {shown(good.share)}, not {shown(bad.share)}."
    )


def local_alone(d: Derivation, node: int, position: int, ct: float) -> float:
    """The local derivative for the share."""
    return share(d, node, position, 1.0)


def dead_relu(d: Derivation, bad: Event, good: Event) -> str:
    """What passes through a relu that is off."""
    return (
        f"{d.names[bad.consumer]} passes {shown(bad.share)} to {d.names[bad.operand]} = "
        f"{shown(d.values[bad.operand])}, where it is flat and nothing passes."
    )


def always_passing(d: Derivation, node: int, position: int, ct: float) -> float:
    """The share of a relu that passes everything."""
    return ct if d.graph.ops[node] is RELU else share(d, node, position, ct)


def order(d: Derivation | None) -> Found:
    """Passing on when a node is first met, or at every arrival, beside a topological order."""
    d, on = _where_it_shows(d, lambda d: (sweep(d, breadth_first(d))[0], sweep(d)[0]), "shared")
    naive = naive_recursion(d)
    if naive is None:
        d, on = _example("shared")
        naive = naive_recursion(d)
    assert naive is not None
    wrong, events = sweep(d, breadth_first(d))
    right, _ = sweep(d)
    early = next(
        e for e in events if _differ(e.share, share(d, e.consumer, e.position, right[e.consumer]))
    )
    before = events[: events.index(early)]
    start = 1.0 if early.consumer == d.root else 0.0
    had = ([start] + [e.after for e in before if e.operand == early.consumer])[-1]
    node = d.names[early.consumer]
    told = (
        f"breadth first, {node} passes on {shown(had)} while its total is to become "
        f"{shown(right[early.consumer])}: a consumer of {node} has not had its turn. Recursion "
        f"passes on what {node} has at every arrival, and so counts the first share again."
    )
    return Found(_table(d, wrong, naive, right), told, on)


def square(d: Derivation | None) -> Found:
    """Two edges from the same operand counted as one."""
    d, on = _where_it_shows(d, lambda d: (sweep(d, once=True)[0], sweep(d)[0]), "square")
    wrong, right = sweep(d, once=True)[0], sweep(d)[0]
    operands = d.graph.operands
    node, operand = next(
        (n, o)
        for n in reversed(d.live)
        for _, o in receivers(d, n)
        if operands[n].count(o) > 1 and _differ(share(d, n, 0, 1.0), 0.0)
    )
    name, count = d.names[operand], operands[node].count(operand)
    shares = [shown(share(d, node, i, right[node])) for i, o in receivers(d, node) if o == operand]
    told = (
        f"{d.names[node]} uses {name} {'twice' if count == 2 else f'{count} times'}; "
        f"one edge passes {shares[0]}, the edges together {' + '.join(shares)}."
    )
    return Found(_table(d, wrong, right), told, on, {"name": name})


# -- mistakes in the use of gradients: state between calls, reading them, stepping along them -----


def twice(d: Derivation | None) -> Found:
    """A second call of backward, with the totals of interior nodes kept."""

    def both(d: Derivation) -> tuple[Totals, Totals]:
        first = sweep(d)[0]
        right = {n: 2 * x if d.graph.is_leaf(n) else x for n, x in first.items()}
        return sweep(d, start=first)[0], right

    d, on = _where_it_shows(d, both, "sum", leaves_only=True)
    first = sweep(d)[0]
    second, _ = sweep(d, start=first)
    values = eager(d)
    for _ in range(2):
        values[d.root].backward()
    rows = []
    for n in d.leaves[:MAX_ROWS]:
        again = values[n].grad
        numbers = map(shown, (first[n], second[n], again, first[n]))
        rows.append(Row((d.names[n], *numbers), _differ(second[n], again)))
    inside = (n for n in reversed(d.live) if d.computed(n) and n != d.root)
    inner = next((n for n in inside if _differ(second[n], first[n])), d.root)
    told = (
        f"in the second call {d.names[inner]} still holds {shown(first[inner])}; the new share "
        f"makes it {shown(second[inner])}, and it passes all of that on."
    )
    return Found(rows, told, on)


RATE: Final = 0.01
"""How long the steps of training are that show what zeroing does."""


def zero(d: Derivation | None) -> Found:
    """Three steps of training with and without resetting the gradient."""

    def moving(d: Derivation) -> list[int]:
        gradient = sweep(d)[0]
        return [n for n in d.leaves if gradient[n] and math.isfinite(gradient[n])]

    d, on = Shown(d, "") if d is not None and moving(d) else _example("loss")
    leaf = moving(d)[0]
    name = d.names[leaf]
    kept, reset = _trained(d, leaf, clear=False), _trained(d, leaf, clear=True)
    rows = [
        Row((str(i), shown(a), shown(b), shown(b)), _differ(a, b))
        for i, (a, b) in enumerate(zip(kept, reset, strict=True), 1)
    ]
    told = (
        f"step 2: the grad of {name} still holds the {shown(kept[0])} of step 1, and "
        f"backward adds to it: {shown(kept[1])} instead of {shown(reset[1])}."
    )
    return Found(rows, told, on, {"name": name, "rate": f"{RATE:g}"})


def _trained(d: Derivation, leaf: int, *, clear: bool) -> list[float]:
    """The gradient that each of three steps used; `clear` sets it back to 0 before each."""
    held = Value(d.values[leaf])
    numbers = {n: d.values[n] for n in d.live if d.graph.is_leaf(n)}
    used = []
    for _ in range(3):
        if clear:
            held.grad = 0.0
        eager(d, {**numbers, leaf: held})[d.root].backward()
        used.append(float(held.grad))
        held.data -= RATE * held.grad
    return used


def uncomputed(d: Derivation | None) -> Found:
    """The grad boxes before backward."""
    d, on = Shown(d, "") if d is not None else _example("sum")
    values = eager(d)
    right, _ = sweep(d)
    rows = []
    for n in reversed(d.live):
        if n in values:
            before = values[n].grad
            cells = (d.derivative(n).text, shown(before), "—", shown(right[n]))
            rows.append(Row(cells, _differ(before, right[n])))
    name, held, _, found = next((row for row in rows if row.wrong), rows[0]).cells
    return Found(rows[:MAX_ROWS], f"{name} reads {held} before backward; it is {found}.", on)


def saturation(d: Derivation | None) -> Found:
    """What a tanh passes on, further and further from 0."""
    points = [("", x) for x in (0.0, 0.8813735870195432, 2.0, 5.0)]
    if d is not None:
        points += [
            (f" ({d.names[node]} here)", d.values[d.graph.operands[node][0]])
            for node in d.live
            if d.graph.ops[node] is TANH
        ]
    rule = TANH.vjp[0]
    assert rule is not None
    rows = []
    for name, x in sorted(points[:MAX_ROWS], key=lambda point: abs(point[1])):
        out = TANH.evaluate(x)
        slope = float(rule(1.0, out, x))
        rows.append(Row((f"{shown(x)}{name}", shown(out), "1", shown(slope)), slope < 0.1))
    at, _, _, slope_there = next(row for row in rows if row.wrong).cells
    return Found(rows, f"at x = {at} only {slope_there} of what arrives passes.")


def overflow(d: Derivation | None) -> Found:
    """tanh in exponentials."""
    rows = []
    for x in (0.5, 10.0, 100.0, 400.0):
        try:
            grown = math.exp(2 * x)
            by_formula = shown((grown - 1) / (grown + 1))
        except OverflowError as error:
            by_formula = f"OverflowError: {error}"
        rows.append(Row((shown(x), by_formula, shown(math.tanh(x))), "Error" in by_formula))
    at = next(row for row in rows if row.wrong).cells[0]
    told = (
        f"at x = {at} the intermediate exp(2x) is larger than the largest "
        "float, about 1.8e308, though the result is 1."
    )
    return Found(rows, told)


def rate(d: Derivation | None) -> Found:
    """The fall that the gradient promises, beside the real one."""
    on = ""
    rows = [] if d is None else _falls(d)
    if not any(row.wrong for row in rows):
        d, on = _example("loss")
        rows = _falls(d)
    lr, predicted, actual, _ = next(row for row in rows if row.wrong).cells
    rise = ", a rise" if actual.startswith("-") else ""
    told = f"at lr = {lr} the prediction is {predicted} and the fall is {actual}{rise}."
    return Found(rows, told, on)


def _falls(d: Derivation) -> list[Row]:
    gradient, _ = sweep(d)
    squared = sum(gradient[n] * gradient[n] for n in d.leaves)
    rows = []
    for lr in (0.001, 0.01, 0.1, 1.0):
        moved = d.output_at({n: d.values[n] - lr * gradient[n] for n in d.leaves})
        predicted, actual = lr * squared, d.values[d.root] - moved
        part = actual / predicted if predicted else math.nan
        cells = (shown(lr), shown(predicted), shown(actual), f"{part:.0%}")
        rows.append(Row(cells, math.isfinite(part) and abs(part - 1) > 0.2))
    return rows
