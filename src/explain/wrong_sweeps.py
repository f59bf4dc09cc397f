"""Mistakes in the backward pass itself: another sweep, another rule, another order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..ops.scalar import RELU
from .comparison import (
    Mistake,
    differ,
    example_of,
    first_difference,
    passing,
    table_of,
    where_it_shows,
)
from .sweeps import Event, Subject, breadth_first, naive_recursion, sweep
from .words import shown


def assign(subject: Subject | None) -> Mistake:
    """`=` where `+=` belongs: the last share overwrites the others."""

    def both(s: Subject) -> tuple[dict[int, float], dict[int, float]]:
        return sweep(s, assign=True)[0], sweep(s)[0]

    s = where_it_shows(subject, both, "sum")
    wrong, wrong_events = sweep(s, assign=True)
    right, right_events = sweep(s)
    bad, good = first_difference(s, wrong_events, right_events)
    name = s.name(bad.operand)
    return Mistake(
        name="assign",
        title="= instead of +=",
        wrong_method="each rule sets operand.grad = share, as the notebook's first version does",
        right_method="each rule adds: operand.grad += share",
        on=s.formula,
        columns=("derivative", "✗ with =", "✓ with +="),
        rows=table_of(s, wrong, right),
        first_wrong=f"{passing(s, bad)}: = leaves {shown(bad.after)} and loses the "
        f"{shown(good.before)} that had arrived before; += makes it {shown(good.after)}.",
        moral=f"{name} influences {s.name(s.root)} in more than one way, and the ways add up. "
        "Without a node that is used twice, the mistake does not show.",
    )


def order(subject: Subject | None) -> Mistake:
    """Passing a cotangent on before it is complete."""

    def both(s: Subject) -> tuple[dict[int, float], dict[int, float]]:
        return sweep(s, breadth_first(s))[0], sweep(s)[0]

    s = where_it_shows(subject, both, "shared")
    naive = naive_recursion(s)
    if naive is None:
        s = example_of("shared")
        naive = naive_recursion(s)
    assert naive is not None
    wrong, events = sweep(s, breadth_first(s))
    right, _ = sweep(s)
    early = next(
        e for e in events if differ(e.share, s.share(e.consumer, e.position, right[e.consumer]))
    )
    node = s.name(early.consumer)
    had = _total_when_passing(s, early, events)
    return Mistake(
        name="order",
        title="Why a topological order?",
        wrong_method="pass on when first met (breadth first), or at every arrival (recursion)",
        right_method="wait until all consumers are done: the reverse of the forward order",
        on=s.formula,
        columns=("derivative", "✗ breadth first", "✗ naive recursion", "✓ topological"),
        rows=table_of(s, wrong, naive, right),
        first_wrong=f"breadth first, {node} passes on {shown(had)} while its total is to become "
        f"{shown(right[early.consumer])}: a consumer of {node} has not had its turn. Recursion "
        f"passes on what {node} has at every arrival, and so counts the first share again.",
        moral="Operands exist before their consumers, so the reverse of the order in which nodes "
        "were made never passes on an unfinished total.",
    )


def _total_when_passing(s: Subject, event: Event, events: Sequence[Event]) -> float:
    """The total of the consumer at the moment of an event."""
    total = 1.0 if event.consumer == s.root else 0.0
    for other in events:
        if other is event:
            break
        if other.operand == event.consumer:
            total = other.after
    return total


def square(subject: Subject | None) -> Mistake:
    """Two edges from the same operand drawn, and counted, as one."""

    def both(s: Subject) -> tuple[dict[int, float], dict[int, float]]:
        return sweep(s, once=True)[0], sweep(s)[0]

    s = where_it_shows(subject, both, "square")
    wrong, right = both(s)
    node, operand = next(
        (n, o)
        for n in reversed(s.computed)
        for _, o in s.operands(n)
        if s.graph.operands[n].count(o) > 1 and differ(s.share(n, 0, 1.0), 0.0)
    )
    count = s.graph.operands[node].count(operand)
    name, shares = (
        s.name(operand),
        [shown(s.share(node, i, right[node])) for i, o in s.operands(node) if o == operand],
    )
    return Mistake(
        name="square",
        title="x*x has two edges",
        wrong_method="keep the operands of a node in a set, so that one used twice is there once",
        right_method=f"keep them in order with repetition: {name} is operand 0 and operand 1",
        on=s.formula,
        columns=("derivative", "✗ one edge", "✓ an edge per use"),
        rows=table_of(s, wrong, right),
        first_wrong=f"{s.name(node)} uses {name} {'twice' if count == 2 else f'{count} times'}; "
        f"one edge passes {shares[0]}, the edges together {' + '.join(shares)}.",
        moral="Each use of a value is a way to influence the result, and has its own edge.",
    )


def local(subject: Subject | None) -> Mistake:
    """Taking the local derivative for the derivative."""

    def alone(s: Subject) -> Callable[[int, int, float], float]:
        return lambda node, position, ct: s.share(node, position, 1.0)

    def both(s: Subject) -> tuple[dict[int, float], dict[int, float]]:
        return sweep(s, rule=alone(s))[0], sweep(s)[0]

    s = where_it_shows(subject, both, "loss")
    wrong, wrong_events = sweep(s, rule=alone(s))
    right, right_events = sweep(s)
    bad, good = first_difference(s, wrong_events, right_events)
    upstream = right[bad.consumer]
    return Mistake(
        name="local",
        title="Local and upstream derivative",
        wrong_method="pass the local derivative and forget what came from above",
        right_method="pass upstream × local",
        on=s.formula,
        columns=("derivative", "✗ local alone", "✓ upstream × local"),
        rows=table_of(s, wrong, right),
        first_wrong=f"{s.name(bad.consumer)} has the upstream derivative {shown(upstream)} and "
        f"the local one {shown(bad.share)} for {s.name(bad.operand)}: it should pass "
        f"{shown(upstream)} × {shown(bad.share)} = {shown(good.share)}, not {shown(bad.share)}.",
        moral="The local derivative says how a node reacts to its operand; how much that matters "
        f"to {s.name(s.root)} is the upstream derivative. They are multiplied.",
    )


def dead_relu(subject: Subject | None) -> Mistake:
    """Passing the cotangent through a relu that is off."""

    def ungated(s: Subject) -> Callable[[int, int, float], float]:
        return lambda node, position, ct: (
            ct if s.graph.ops[node] is RELU else s.share(node, position, ct)
        )

    def both(s: Subject) -> tuple[dict[int, float], dict[int, float]]:
        return sweep(s, rule=ungated(s))[0], sweep(s)[0]

    s = where_it_shows(subject, both, "dead")
    wrong, wrong_events = sweep(s, rule=ungated(s))
    right, right_events = sweep(s)
    bad, _ = first_difference(s, wrong_events, right_events)
    x = s.values[bad.operand]
    return Mistake(
        name="dead-relu",
        title="A dead ReLU",
        wrong_method="give relu the local derivative 1 everywhere",
        right_method="give it 1 where its operand is positive and 0 elsewhere",
        on=s.formula,
        columns=("derivative", "✗ always passes", "✓ passes if positive"),
        rows=table_of(s, wrong, right),
        first_wrong=f"{s.name(bad.consumer)} passes {shown(bad.share)} to {s.name(bad.operand)} = "
        f"{shown(x)}, where it is flat and nothing passes.",
        moral="A relu whose operand is negative for every sample gets no gradient from any of them "
        "and stays as it is: it is dead. leaky_relu keeps a small slope.",
    )
