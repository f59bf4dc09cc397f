"""What learners get wrong, each carried out beside the right way, with the first wrong step named.

A mistake is a record: its words, and a function that carries it out. The wrong numbers are computed
by the wrong method. Where a mistake makes no difference to the expression at hand, a small one
where it does is shown instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from ..errors import UnknownNameError
from . import wrong
from .comparison import Mistake
from .derivation import Derivation
from .lesson import Lesson
from .sweeps import sweep
from .wrong import Found

__all__ = ["MISTAKES", "Mistake", "mistake", "titles"]


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
        wrong.swept(partial(sweep, assign=True), "sum", wrong.assign),
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
        wrong.order,
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
        wrong.twice,
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
        wrong.zero,
    ),
    Kind(
        "square",
        "Two edges from the same operand drawn, and counted, as one.",
        "x*x has two edges",
        "keep the operands of a node in a set, so that one used twice is there once",
        "keep them in order with repetition: {name} is operand 0 and operand 1",
        ("derivative", "✗ one edge", "✓ an edge per use"),
        "Each use of a value is a way to influence the result, and has its own edge.",
        wrong.square,
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
        wrong.swept(partial(sweep, rule=wrong.local_alone), "loss", wrong.local),
    ),
    Kind(
        "uncomputed",
        "Reading the 0 that a grad box holds before backward as a derivative.",
        "A grad of 0 before backward",
        "read the 0 in a grad box before backward as “has no influence”",
        "show “—” until it is computed; 0 is an answer, — is none",
        ("derivative", "✗ grad box before", "✓ known before", "after backward"),
        "A field that starts at 0 cannot tell “nothing known” from “no influence”.",
        wrong.uncomputed,
    ),
    Kind(
        "saturation",
        "Expecting a tanh to pass gradients on wherever it is.",
        "tanh saturates",
        "expect a neuron to learn at the same speed whatever its weighted sum is",
        "look at 1 - tanh(x)²: the further from 0, the less passes",
        ("x", "tanh(x)", "✗ expected to pass", "✓ 1 - tanh(x)²"),
        "Large weights or inputs that are not scaled put neurons where they hardly learn.",
        wrong.saturation,
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
        wrong.overflow,
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
        wrong.swept(partial(sweep, rule=wrong.always_passing), "dead", wrong.dead_relu),
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
        wrong.rate,
    ),
)

MISTAKES: Final[Mapping[str, Kind]] = {kind.name: kind for kind in _KINDS}
"""Every mistake by name."""
