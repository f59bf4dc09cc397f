"""What renderings are made of: headings, lines of prose and formulas, tables, listings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..data import Formula
from ..notation import slot
from ..words import shown, shown_latex


@dataclass(frozen=True)
class Spot:
    """A word or number that a page writes as plain text; its script may replace it by its key."""

    part: str | Formula
    key: str = ""


Inline = tuple[str | Formula | Spot, ...]
"""Prose with formulas in it."""


@dataclass(frozen=True)
class Heading:
    """A title; level 1 is the whole document's."""

    parts: Inline
    level: int = 2


@dataclass(frozen=True)
class Line:
    """A line of prose; from level 1 on it is an entry of a list.

    style is "" or one of "strong", "dim", "wrong", "right".
    """

    parts: Inline
    level: int = 0
    style: str = ""


@dataclass(frozen=True)
class Table:
    """A table; where there is no room for one, each row becomes a list."""

    header: tuple[str, ...]
    rows: tuple[tuple[Inline, ...], ...]
    styles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """Generated code, its lines numbered from 1."""

    code: str


Block = Heading | Line | Table | Listing


def plainly(parts: Inline) -> Iterator[str | Formula]:
    """The parts for where nothing moves."""
    return (part.part if isinstance(part, Spot) else part for part in parts)


def number(value: float | None, of: int | str | None = None) -> Formula:
    r"""A number for reading; it is live when it is that `of` a node, or of such, multiplied, added.

    >>> number(-2.0, "3*4").live
    '\\slot{3*4}'
    """
    return Formula(shown(value), shown_latex(value), "" if of is None else slot(of))


def equation(*sides: Formula | str | None) -> Formula:
    """The sides with "=" between them; None is left out, and so is the first of two that are alike.

    >>> equation(Formula("y", "y"), Formula("2", "2"), Formula("2", "2")).text
    'y = 2'
    """
    kept: list[Formula] = []
    for side in sides:
        formula = Formula(side, side) if isinstance(side, str) else side
        if formula is not None:
            if kept and kept[-1].text == formula.text:
                kept.pop()
            kept.append(formula)
    return _joined(kept, " = ", " = ")


def times(*factors: Formula) -> Formula:
    """Factors with a multiplication sign between them, negative ones in brackets."""
    return _joined([_bracketed(factor) for factor in factors], " × ", r" \times ")


def plus(first: Formula, *rest: Formula) -> Formula:
    """Terms with plus signs between them, negative ones but the first in brackets."""
    return _joined([first, *map(_bracketed, rest)], " + ", " + ")


def _bracketed(number: Formula) -> Formula:
    negative = number.text.startswith("-")
    return Formula(
        f"({number.text})" if negative else number.text,
        rf"\left({number.latex}\right)" if negative else number.latex,
        rf"\left({number.live}\right)" if number.live else "",
    )


def _joined(parts: Sequence[Formula], sign: str, latex: str) -> Formula:
    live = latex.join(part.live or part.latex for part in parts)
    return Formula(
        sign.join(part.text for part in parts),
        latex.join(part.latex for part in parts),
        live if any(part.live for part in parts) else "",
    )
