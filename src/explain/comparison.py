"""A wrong method beside the right one as data: rows, the first wrong step, what to do instead."""

from __future__ import annotations

from dataclasses import dataclass

from .data import plain
from .render.blocks import Block, Heading, Inline, Line, Table
from .render.html import blocks_html
from .render.markdown import markdown
from .render.text import text


@dataclass(frozen=True)
class Row:
    """One line of a comparison; wrong where the wrong method gives another answer."""

    cells: tuple[str, ...]
    wrong: bool = False


@dataclass(frozen=True)
class Mistake:
    """A mistake carried out.

    on           the formula it is shown on, "" for the expression that was explained
    columns      the heads of the rows' cells; wrong methods are marked with ✗ and right ones with ✓
    first_wrong  the first step that goes wrong, in words
    moral        what to do instead
    """

    name: str
    title: str
    wrong_method: str
    right_method: str
    on: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    first_wrong: str
    moral: str

    def data(self) -> dict[str, object]:
        """Everything as dicts, lists and texts."""
        found: dict[str, object] = plain(self)
        return found

    def __str__(self) -> str:
        return self.text(width=80, color=False)

    def blocks(self) -> list[Block]:
        """As headings, lines and a table."""
        rows: tuple[tuple[Inline, ...], ...] = tuple(
            tuple((cell,) for cell in (*row.cells, "✗" if row.wrong else "")) for row in self.rows
        )
        styles = tuple("wrong" if row.wrong else "" for row in self.rows)
        on = f"Shown on {self.on}, where it makes a difference." if self.on else ""
        return [
            Heading((self.title,), 1),
            *([Line((on,))] if on else []),
            Line((f"✗ Wrong: {self.wrong_method}",), style="wrong"),
            Line((f"✓ Right: {self.right_method}",), style="right"),
            Table((*self.columns, ""), rows, styles),
            Line((f"The first wrong step: {self.first_wrong}",), style="strong"),
            Line((self.moral,)),
        ]

    def text(self, width: int | None = None, color: bool | None = None) -> str:
        """For a terminal."""
        return text(self.blocks(), width, color)

    def markdown(self) -> str:
        """As Markdown."""
        return markdown(self.blocks())

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return blocks_html(self.blocks())
