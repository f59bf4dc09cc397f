"""Numbers and lists as prose has them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from ..graph.formula import number_latex
from ..ops.table import OPERATIONS

DIGITS: Final = 6
"""Significant digits of a number in a walk-through."""


def shown(number: float | None) -> str:
    """A number as a walk-through shows it: to 6 digits; "—" for what was not computed.

    >>> shown(0.70710678), shown(-0.0), shown(1e-9), shown(None), shown(float("inf"))
    ('0.707107', '0', '1e-09', '—', 'inf')
    """
    if number is None:
        return "—"
    if number == 0:
        return "0"
    return f"{number:.{DIGITS}g}"


def shown_latex(number: float | None) -> str:
    r"""The same in LaTeX.

    >>> shown_latex(1.5), shown_latex(2.5e-7), shown_latex(None)
    ('1.5', '2.5 \\cdot 10^{-7}', '\\text{---}')
    """
    if number is None:
        return r"\text{---}"
    return number_latex(float(shown(number)))


def listed(names: Iterable[str], word: str = "and") -> str:
    """Names in a sentence, the last after a word.

    >>> listed(["a"]), listed(["a", "b"]), listed("abc")
    ('a', 'a and b', 'a, b and c')
    """
    names = list(names)
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {word} {names[-1]}"


def counted(count: int, thing: str) -> str:
    """A number of things in words.

    >>> counted(1, "operation"), counted(1200, "path")
    ('1 operation', '1,200 paths')
    """
    return f"{count:,} {thing}{'s' * (count != 1)}"


def ordinal(place: int) -> str:
    """Which of several, counted from 0.

    >>> ordinal(0), ordinal(1), ordinal(11)
    ('first', 'second', '12th')
    """
    return ("first", "second", "third")[place] if place < 3 else f"{place + 1}th"


def finite(*numbers: float | None) -> bool:
    """Whether none of the numbers that are known is infinite or not a number."""
    return all(number is None or math.isfinite(number) for number in numbers)


def spoken(operation: str) -> str:
    """The name of an operation as prose has it.

    >>> spoken("pow_const"), spoken("tanh")
    ('power', 'tanh')
    """
    known = OPERATIONS.get(operation)
    return known.prose if known else operation.replace("_", " ")
