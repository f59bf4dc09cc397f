"""What learners get wrong, each carried out beside the right way, with the first wrong step named.

A mistake is a record: its words, and a function that carries it out. The wrong numbers are computed
by the wrong method. Where a mistake makes no difference to the expression at hand, a small one
where it does is shown instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from ..errors import UnknownNameError
from ..graph.value import Value
from ..notation.formulas import read_formulas
from ..ops.scalar import RELU, TANH
from .comparison import Mistake, Row
from .derivation import Derivation, derive
from .lesson import Lesson
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

__all__ = ["MISTAKES", "Mistake", "mistake", "titles"]

MAX_ROWS: Final = 24
"""How many rows a comparison has at most."""


@dataclass(frozen=True)
class Found:
    """A mistake on one expression; `words` fill the braces in what the record says."""

    rows: Sequence[Row]
    first_wrong: str
    on: str = ""
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A mistake: its name, what it is in a sentence, both methods in words, and how they are run.

    `carry_out` is given the expression to show it on, None where there are no numbers.
    """

    name: str
    sentence: str
    title: str
    wrong: str
    right: str
    columns: tuple[str, ...]
    moral: str
    carry_out: Callable[[Derivation | None], Found]


def mistake(w: Lesson, name: str) -> Mistake:
    """The mistake of this name on the expression of `w`, or on a small one where it shows."""
    if name not in MISTAKES:
        raise UnknownNameError.of("mistake", name, MISTAKES)
    kind = MISTAKES[name]
    found = kind.carry_out(None if w.symbolic else w.derivation)
    return Mistake(
        name=name,
        title=kind.title,
        wrong_method=kind.wrong,
        right_method=kind.right.format_map(found.words),
        on=found.on,
        columns=tuple(column.format_map(found.words) for column in kind.columns),
        rows=tuple(found.rows),
        first_wrong=found.first_wrong,
        moral=kind.moral.format_map(found.words),
    )


def titles() -> list[tuple[str, str]]:
    """The name and the sentence of each mistake."""
    return [(kind.name, kind.sentence) for kind in MISTAKES.values()]


# -- where a mistake shows ------------------------------------------------------------------------


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


def _swept(
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


def _assign(d: Derivation, bad: Event, good: Event) -> str:
    return (
        f"{d.names[bad.consumer]} passes {shown(bad.share)} to {d.names[bad.operand]}: = leaves "
        f"{shown(bad.after)} and loses the {shown(good.before)} that had arrived before; += makes "
        f"it {shown(good.after)}."
    )


def _local(d: Derivation, bad: Event, good: Event) -> str:
    upstream = shown(sweep(d)[0][bad.consumer])
    return (
        f"{d.names[bad.consumer]} has the upstream derivative {upstream} and "
        f"the local one {shown(bad.share)} for {d.names[bad.operand]}: it should pass "
        f"{upstream} × {shown(bad.share)} = {shown(good.share)}, not {shown(bad.share)}."
    )


def _local_alone(d: Derivation, node: int, position: int, ct: float) -> float:
    return share(d, node, position, 1.0)


def _dead_relu(d: Derivation, bad: Event, good: Event) -> str:
    return (
        f"{d.names[bad.consumer]} passes {shown(bad.share)} to {d.names[bad.operand]} = "
        f"{shown(d.values[bad.operand])}, where it is flat and nothing passes."
    )


def _always_passing(d: Derivation, node: int, position: int, ct: float) -> float:
    return ct if d.graph.ops[node] is RELU else share(d, node, position, ct)


def _order(d: Derivation | None) -> Found:
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


def _square(d: Derivation | None) -> Found:
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


def _twice(d: Derivation | None) -> Found:
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


_RATE: Final = 0.01
"""How long the steps of training are that show what zeroing does."""


def _zero(d: Derivation | None) -> Found:
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
    return Found(rows, told, on, {"name": name, "rate": f"{_RATE:g}"})


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
        held.data -= _RATE * held.grad
    return used


def _uncomputed(d: Derivation | None) -> Found:
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


def _saturation(d: Derivation | None) -> Found:
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


def _overflow(d: Derivation | None) -> Found:
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


def _rate(d: Derivation | None) -> Found:
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


# -- the records ----------------------------------------------------------------------------------

_KINDS: Final = (
    Kind(
        "assign",
        "`=` where `+=` belongs: the last share overwrites the others.",
        "= instead of +=",
        "each rule sets operand.grad = share, as the notebook's first version does",
        "each rule adds: operand.grad += share",
        ("derivative", "✗ with =", "✓ with +="),
        "{name} influences {root} in more than one way, and the ways add up. "
        "Without a node that is used twice, the mistake does not show.",
        _swept(partial(sweep, assign=True), "sum", _assign),
    ),
    Kind(
        "order",
        "Passing a cotangent on before it is complete.",
        "Why a topological order?",
        "pass on when first met (breadth first), or at every arrival (recursion)",
        "wait until all consumers are done: the reverse of the forward order",
        ("derivative", "✗ breadth first", "✗ naive recursion", "✓ topological"),
        "Operands exist before their consumers, so the reverse of the order in which nodes "
        "were made never passes on an unfinished total.",
        _order,
    ),
    Kind(
        "twice",
        "A second call of backward on a tape that keeps the totals of interior nodes.",
        "Calling backward twice",
        "a tape with += everywhere and nothing reset: interior nodes count double",
        "interior nodes start from 0 in each call, only leaves accumulate; a gradient "
        "that is a graph has no state at all",
        ("leaf", "first call", "✗ tape, 2nd", "✓ Value, 2nd", "✓ graph, 2nd"),
        "Twice the gradient is what two calls should leave in the leaves; more than that "
        "comes from interior nodes that were not reset.",
        _twice,
    ),
    Kind(
        "zero",
        "Training without resetting the gradients between steps.",
        "What zeroing the gradients resets",
        "call backward in every step and never set grad back to 0",
        "set the grad of every leaf to 0 before backward; a gradient that is a graph "
        "needs none of this, it is computed anew from the leaves",
        ("step", "✗ grad of {name}, kept", "✓ zeroed", "✓ as a graph"),
        "Zeroing touches the grad of the leaves and nothing else: not their data, not the "
        "graph. The steps here are {name} ← {name} - {rate}·grad.",
        _zero,
    ),
    Kind(
        "square",
        "Two edges from the same operand drawn, and counted, as one.",
        "x*x has two edges",
        "keep the operands of a node in a set, so that one used twice is there once",
        "keep them in order with repetition: {name} is operand 0 and operand 1",
        ("derivative", "✗ one edge", "✓ an edge per use"),
        "Each use of a value is a way to influence the result, and has its own edge.",
        _square,
    ),
    Kind(
        "local",
        "Taking the local derivative for the derivative.",
        "Local and upstream derivative",
        "pass the local derivative and forget what came from above",
        "pass upstream × local",
        ("derivative", "✗ local alone", "✓ upstream × local"),
        "The local derivative says how a node reacts to its operand; how much that matters "
        "to {root} is the upstream derivative. They are multiplied.",
        _swept(partial(sweep, rule=_local_alone), "loss", _local),
    ),
    Kind(
        "uncomputed",
        "Reading the 0 that a grad box holds before backward as a derivative.",
        "A grad of 0 before backward",
        "read the 0 in a grad box before backward as “has no influence”",
        "show “—” until it is computed; 0 is an answer, — is none",
        ("derivative", "✗ grad box before", "✓ known before", "after backward"),
        "A field that starts at 0 cannot tell “nothing known” from “no influence”.",
        _uncomputed,
    ),
    Kind(
        "saturation",
        "Expecting a tanh to pass gradients on wherever it is.",
        "tanh saturates",
        "expect a neuron to learn at the same speed whatever its weighted sum is",
        "look at 1 - tanh(x)²: the further from 0, the less passes",
        ("x", "tanh(x)", "✗ expected to pass", "✓ 1 - tanh(x)²"),
        "Large weights or inputs that are not scaled put neurons where they hardly learn.",
        _saturation,
    ),
    Kind(
        "overflow",
        "tanh by its formula in exponentials, which overflow long before tanh does anything.",
        "tanh overflows when it is spelled out",
        "compute tanh(x) as (exp(2x) - 1)/(exp(2x) + 1), as the notebook does",
        "use tanh; it never leaves the interval from -1 to 1",
        ("x", "✗ (e²ˣ - 1)/(e²ˣ + 1)", "✓ tanh(x)"),
        "An expression can be right over the reals and useless in floating point. "
        'wengert.simplify(expr, rules="stable") finds the known ones.',
        _overflow,
    ),
    Kind(
        "dead-relu",
        "Passing the cotangent through a relu that is off.",
        "A dead ReLU",
        "give relu the local derivative 1 everywhere",
        "give it 1 where its operand is positive and 0 elsewhere",
        ("derivative", "✗ always passes", "✓ passes if positive"),
        "A relu whose operand is negative for every sample gets no gradient from any of them "
        "and stays as it is: it is dead. leaky_relu keeps a small slope.",
        _swept(partial(sweep, rule=_always_passing), "dead", _dead_relu),
    ),
    Kind(
        "rate",
        "Believing the first-order prediction at any step length.",
        "The learning rate",
        "trust the decrease lr·‖g‖² that the gradient promises, at any rate",
        "the gradient is the slope here; the further the step, the less it says",
        ("lr", "✗ predicted fall", "✓ actual fall", "of it"),
        "If the loss rises, the step was too long: the direction was right. "
        "Rows more than a fifth off are marked.",
        _rate,
    ),
)

MISTAKES: Final[Mapping[str, Kind]] = {kind.name: kind for kind in _KINDS}
"""Every mistake by name."""
