"""The chain rule taught: the backward pass of an expression as steps to follow.

What it is made of is loaded when something is explained: a sixth of `import wengert` otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import OperandError, shorten

if TYPE_CHECKING:
    from .walkthrough import Walkthrough

__all__ = ["Walkthrough", "explain"]


def explain(
    output: Any,
    wrt: Any = None,
    at: Mapping[Any, float] | None = None,
    *,
    rates: Sequence[float] | None = None,
    part: str | None = None,
    collapse: bool = False,
    progress: bool | None = None,
) -> Walkthrough:
    """The chain rule on `output`, step by step, as the compiler carries it out.

    output    an `Expr` or `Value`: an expression, a neuron's output, the loss of a network. One of
              arrays, or what `roll` answers, is explained in index notation
    wrt       the leaves (or their names) to differentiate by; all of them unless given
    at        leaf or name → number; what it leaves out contributes the number it carries.
              Without `at`, an expression with a leaf that carries none is explained in formulas
    rates     the learning rates of the last step; 0.001, 0.01 and 0.1 unless given
    part      the label of a part of the expression to explain instead, such as "h0_1"
    collapse  make each labelled part, such as a neuron, one step
    progress  whether to say what is being done; left out, on a terminal, for many operations

    Errors: `MissingInputError` names leaves without a value, `OperandError` a value that is no
    number, `SizeError` says how large an expression is that has more than 20,000 operations.

    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); a, b = g.input("a"), g.input("b")
    >>> w = explain((a + b) * (b + 1), at={a: 2, b: 1})
    >>> w.by_name("b").adjoint
    5.0
    >>> print(w.step("backward-n1").total)
    3 + 2 = 5, through v2 and v1
    """
    from .asked import explained
    from .outcome import RATES

    rates = RATES if rates is None else rates
    for rate in rates:
        if isinstance(rate, bool) or not isinstance(rate, (int, float)):
            raise OperandError(f"learning rate {shorten(rate)}: expected a number")
    return explained(output, wrt, at, rates, part=part, collapse=collapse, progress=progress)


def __getattr__(name: str) -> Any:
    if name == "Walkthrough":
        from .walkthrough import Walkthrough

        return Walkthrough
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
