"""What renderings are made of: headings, lines of prose and formulas, tables, listings."""

from __future__ import annotations

from dataclasses import dataclass

from ..data import Formula
from ..notation import shown, shown_latex

Inline = tuple[str | Formula, ...]
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


def number(value: float | None) -> Formula:
    """A number for reading."""
    return Formula(shown(value), shown_latex(value))


def equation(*sides: Formula | str | None) -> Formula:
    """The sides with "=" between them; None and repetitions are left out.

    >>> equation(Formula("y", "y"), Formula("2", "2"), Formula("2", "2")).text
    'y = 2'
    """
    kept: list[Formula] = []
    for side in sides:
        formula = Formula(side, side) if isinstance(side, str) else side
        if formula is not None and (not kept or kept[-1].text != formula.text):
            kept.append(formula)
    return Formula(" = ".join(f.text for f in kept), " = ".join(f.latex for f in kept))


def times(*factors: Formula) -> Formula:
    """Factors with a multiplication sign between them, negative ones in brackets."""
    return Formula(
        " × ".join(f"({f.text})" if f.text.startswith("-") else f.text for f in factors),
        r" \times ".join(
            rf"\left({f.latex}\right)" if f.text.startswith("-") else f.latex for f in factors
        ),
    )
