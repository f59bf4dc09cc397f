"""What the records of the table share: usual domains, notations and costs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from .record import Notation, Spelling, call, infix, ufunc

REAL: Final = (-3.0, 3.0)
POSITIVE: Final = (0.2, 5.0)
AWAY_FROM_ZERO: Final = (0.3, 3.0)


def arithmetic(text: Notation, latex: Notation, **targets: Spelling) -> dict[str, Spelling]:
    """Notations of an operator that programming languages write as the text form does."""
    same = dict.fromkeys(("text", "python", "javascript", "c"), text)
    return {**same, "latex": latex, **targets}


def function(
    name: str, latex: str = "", careful: Callable[..., float] | None = None
) -> dict[str, Notation]:
    """Notations of a function of one operand; `careful` is its version that never raises."""
    notations = {
        "text": call(name),
        "latex": Notation((latex or f"\\{name}") + r"\left({0}\right)"),
        "python": call(name),
        "javascript": call(f"Math.{name}"),
        "c": call(name),
        "numpy": ufunc(name),
        "onnx": call(name.capitalize()),
    }
    if careful:
        notations["python-ieee"] = own(careful)
    return notations


def operator(sign: str, level: int, function: str) -> Notation:
    """An operator of NumPy's, and its function that does the same in given memory."""
    return infix(sign, level, ufunc(function, "{0}", "{1}").out)


def own(function: Callable[..., Any], *arguments: str) -> Notation:
    """A call of a function that generated code carries with it."""
    return call(function.__name__, *arguments, define=function)


def cost(python: float, numpy: float = 3.0) -> dict[str, float]:
    """Nanoseconds of an operation in Python as part of a larger expression, and of an element."""
    return {"python": python, "numpy": numpy}


def upright(name: str) -> str:
    """A name in LaTeX that is none of its own, as part of a template."""
    return rf"\operatorname{{{{{name}}}}}"


def exact(sp: Any, number: Any) -> Any:
    """A number of the graph as sympy's exact one: floats are binary fractions."""
    return sp.Rational(number) if isinstance(number, (int, float)) else number


def condition(sp: Any, operand: Any) -> Any:
    """A condition as sympy wants it: numbers count as true where they are not 0."""
    if isinstance(operand, sp.Symbol):  # which sympy counts among its booleans
        return sp.Ne(operand, 0)
    if isinstance(operand, (bool, sp.logic.boolalg.Boolean)) or operand in (sp.true, sp.false):
        return operand
    return sp.Ne(operand, 0)


def irrational(beside: Any, number: float, meaning: Callable[[Any], Any]) -> Any:
    """A constant of a derivative rule: the number, or what it means where the rule meets sympy.

    >>> irrational(1.0, 0.6931471805599453, lambda sp: sp.log(2))
    0.6931471805599453
    """
    if type(beside).__module__.partition(".")[0] == "sympy":
        return meaning(sys.modules["sympy"])
    return number
