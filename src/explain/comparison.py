"""A wrong method beside the right one: rows, the first wrong step, examples where it shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from .data import plain
from .render.blocks import Block, Heading, Inline, Line, Table
from .render.markdown import markdown
from .render.text import text
from .sweeps import Event, Subject, example
from .words import shown

MAX_ROWS: Final = 24
"""How many rows a comparison has at most."""


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


def example_of(kind: str) -> Subject:
    """A small expression on which a kind of mistake shows."""
    formulas, at = EXAMPLES[kind]
    return example(formulas, at)


EXAMPLES: Final[dict[str, tuple[list[tuple[str, str]], dict[str, float]]]] = {
    # Olah 2015, "Calculus on Computational Graphs".
    "sum": ([("c", "a + b"), ("d", "b + 1"), ("e", "c*d")], {"a": 2, "b": 1}),
    "shared": ([("s", "a*b"), ("t", "s + a"), ("L", "s*t")], {"a": 2, "b": 3}),
    "square": ([("y", "x*x")], {"x": 3}),
    "loss": ([("p", "w*x"), ("L", "(p - y)**2")], {"w": 2, "x": 3, "y": 1}),
    "dead": ([("n", "w*x + b"), ("h", "relu(n)")], {"w": 1, "x": 2, "b": -5}),
}


def differ(a: float, b: float) -> bool:
    """Whether two numbers are different by more than rounding; two nans are the same."""
    same = math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return not same and not (math.isnan(a) and math.isnan(b))


def table_of(subject: Subject, *columns: dict[int, float]) -> tuple[Row, ...]:
    """A row per leaf and computed node, output first: the last column is right."""
    rows = []
    for node in reversed(subject.live):
        if node not in subject.computed and node not in subject.leaves:
            continue
        numbers = [column[node] for column in columns]
        wrong = any(differ(number, numbers[-1]) for number in numbers[:-1])
        name = f"∂{subject.name(subject.root)}/∂{subject.name(node)}"
        rows.append(Row((name, *map(shown, numbers)), wrong))
    if len(rows) > MAX_ROWS:
        rows = [row for row in rows if row.wrong][:MAX_ROWS] or rows[:MAX_ROWS]
    return tuple(rows)


def first_difference(
    subject: Subject, wrong: Sequence[Event], right: Sequence[Event]
) -> tuple[Event, Event]:
    """The first share that leaves another total than in the right sweep."""
    return next((a, b) for a, b in zip(wrong, right, strict=True) if differ(a.after, b.after))


def passing(subject: Subject, event: Event) -> str:
    """What happens in an event, in words."""
    return (
        f"{subject.name(event.consumer)} passes {shown(event.share)} "
        f"to {subject.name(event.operand)}"
    )


def where_it_shows(
    subject: Subject | None,
    both: Callable[[Subject], tuple[dict[int, float], dict[int, float]]],
    fallback: str,
    leaves_only: bool = False,
) -> Subject:
    """The subject if wrong and right differ on it, by finite numbers; else an example."""
    if subject is not None:
        wrong, right = both(subject)
        nodes = subject.leaves if leaves_only else [n for n in subject.live if n in right]
        sound = all(math.isfinite(right[n]) for n in nodes)
        if sound and any(differ(wrong[n], right[n]) for n in nodes):
            return subject
    return example_of(fallback)
