"""Blocks for a terminal: any width, colours only where they are wanted."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ..data import Formula
from .blocks import Block, Heading, Inline, Line, Listing, Table, plainly

MIN_WIDTH, DEFAULT_WIDTH, MAX_WIDTH = 20, 80, 120
"""Columns: the least that is tried, what is assumed of a file, the most that is easy to read."""

_INDENT: Final = 2
_STYLES: Final = {
    "title": "\x1b[1m",
    "strong": "\x1b[1m",
    "dim": "\x1b[2m",
    # Vermillion and bluish green of Okabe & Ito (2008); the words say the same without them.
    "wrong": "\x1b[38;5;166m",
    "right": "\x1b[38;5;36m",
}
_RESET: Final = "\x1b[0m"


def text(blocks: Iterable[Block], width: int | None = None, color: bool | None = None) -> str:
    """Blocks as text, wrapped at `width` columns; from the terminal where not given."""
    columns = max(MIN_WIDTH, terminal_width() if width is None else width)
    painted = wants_color() if color is None else color
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Heading) and lines:
            lines.append("")
        for line, style in _lines(block, columns):
            lines.append(f"{_STYLES[style]}{line}{_RESET}" if painted and style and line else line)
    return "\n".join(lines) + "\n"


def terminal_width() -> int:
    """The columns to write: the terminal's, within reason, or 80 where there is none."""
    if not _is_terminal() and "COLUMNS" not in os.environ:
        return DEFAULT_WIDTH
    return min(shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns, MAX_WIDTH)


def wants_color() -> bool:
    """Whether to write colours: to a terminal, unless NO_COLOR is set (https://no-color.org)."""
    return _is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _is_terminal() -> bool:
    return bool(getattr(sys.stdout, "isatty", lambda: False)())


def flat(parts: Inline) -> str:
    """Prose with its formulas as text; characters that move the cursor become spaces."""
    joined = "".join(part.text if isinstance(part, Formula) else part for part in plainly(parts))
    return "".join(c if c.isprintable() else " " for c in joined)


def _lines(block: Block, width: int) -> Iterator[tuple[str, str]]:
    match block:
        case Heading(parts, level):
            yield from ((line, "title") for line in _wrapped(flat(parts), width, 0, 0))
            if level == 1:
                yield "=" * min(width, len(flat(parts))), "title"
        case Line(parts, level, style):
            indent = _INDENT * (level + 1)
            hang = indent + (_INDENT if level else 0)
            yield from ((line, style) for line in _wrapped(flat(parts), width, indent, hang))
        case Listing(code):
            yield from ((line, "") for line in _numbered(code, width))
        case Table():
            yield from _table(block, width)


def _wrapped(content: str, width: int, indent: int, hang: int) -> list[str]:
    """Lines of at most `width` columns; spaces inside are kept where no line ends."""
    return textwrap.wrap(
        content.rstrip(),
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * hang,
        break_on_hyphens=False,
    ) or [""]


def _numbered(code: str, width: int) -> Iterator[str]:
    lines = code.rstrip("\n").split("\n")
    digits = len(str(len(lines)))
    for i, line in enumerate(lines, 1):
        head = f"{'':{_INDENT}}{i:>{digits}}  "
        indent = len(line) - len(line.lstrip())
        room = max(width - len(head), MIN_WIDTH // 2)
        pieces = (
            textwrap.wrap(line, room, subsequent_indent=" " * (indent + 4), break_on_hyphens=False)
            if len(line) > room
            else [line]
        )
        for place, piece in enumerate(pieces):
            yield ((head if place == 0 else " " * len(head)) + piece).rstrip()


def _table(table: Table, width: int) -> Iterator[tuple[str, str]]:
    rows = [[flat(cell) for cell in row] for row in table.rows]
    columns = list(zip(table.header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    if _INDENT * 2 + sum(widths) + 2 * (len(widths) - 1) > width:
        yield from _stacked(table.header, rows, table.styles, width)
        return
    every: Sequence[Sequence[str]] = [table.header, *rows]
    styles = ["dim", *table.styles]
    styles += [""] * (len(every) - len(styles))
    for row, style in zip(every, styles, strict=True):
        cells = [cell.ljust(space) for cell, space in zip(row, widths, strict=True)]
        yield (" " * (_INDENT * 2) + "  ".join(cells)).rstrip(), style


def _stacked(
    header: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str], width: int
) -> Iterator[tuple[str, str]]:
    """A table without room: each row as a list of its cells."""
    space = max(map(len, header[1:]), default=0)
    painted = [*styles, *[""] * (len(rows) - len(styles))]
    for row, style in zip(rows, painted, strict=True):
        first, *rest = row
        for line in _wrapped(f"{header[0]} {first}".strip(), width, 2 * _INDENT, 3 * _INDENT):
            yield line, style
        for name, cell in zip(header[1:], rest, strict=True):
            if cell:
                hang = 3 * _INDENT + space + 2
                entry = f"{name.ljust(space)}  {cell}" if name else cell
                for line in _wrapped(entry, width, 3 * _INDENT, min(hang, width // 2)):
                    yield line, style
