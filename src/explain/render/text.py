"""Blocks for a terminal: any width, colours only where they are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ...terminal import MIN_WIDTH, RESET, columns, wants_color, wrapped
from ..data import Formula
from .blocks import Block, Heading, Inline, Line, Listing, Table, plainly

_INDENT: Final = 2
_STYLES: Final = {
    "title": "\x1b[1m",
    "strong": "\x1b[1m",
    "dim": "\x1b[2m",
    # Vermillion and bluish green of Okabe & Ito (2008); the words say the same without them.
    "wrong": "\x1b[38;5;166m",
    "right": "\x1b[38;5;36m",
}


def text(blocks: Iterable[Block], width: int | None = None, color: bool | None = None) -> str:
    """Blocks as text, wrapped at `width` columns; from the terminal where not given."""
    room = max(MIN_WIDTH, columns() if width is None else width)
    painted = wants_color() if color is None else color
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Heading) and lines:
            lines.append("")
        for line, style in _lines(block, room):
            lines.append(f"{_STYLES[style]}{line}{RESET}" if painted and style and line else line)
    return "\n".join(lines) + "\n"


def flat(parts: Inline) -> str:
    """Prose with its formulas as text; characters that move the cursor become spaces."""
    joined = "".join(part.text if isinstance(part, Formula) else part for part in plainly(parts))
    return "".join(c if c.isprintable() else " " for c in joined)


def _lines(block: Block, width: int) -> Iterator[tuple[str, str]]:
    match block:
        case Heading(parts, level):
            yield from ((line, "title") for line in wrapped(flat(parts).rstrip(), width, 0, 0))
            if level == 1:
                yield "=" * min(width, len(flat(parts))), "title"
        case Line(parts, level, style):
            indent = _INDENT * (level + 1)
            hang = indent + (_INDENT if level else 0)
            yield from (
                (line, style) for line in wrapped(flat(parts).rstrip(), width, indent, hang)
            )
        case Listing(code):
            yield from ((line, "") for line in _numbered(code, width))
        case Table():
            yield from _table(block, width)


def _numbered(code: str, width: int) -> Iterator[str]:
    lines = code.rstrip("\n").split("\n")
    digits = len(str(len(lines)))
    for i, line in enumerate(lines, 1):
        head = f"{'':{_INDENT}}{i:>{digits}}  "
        indent = len(line) - len(line.lstrip())
        room = max(width - len(head), MIN_WIDTH // 2)
        pieces = wrapped(line, room, rest=indent + 4) if len(line) > room else [line]
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
        for line in wrapped(f"{header[0]} {first}".strip(), width, 2 * _INDENT, 3 * _INDENT):
            yield line, style
        for name, cell in zip(header[1:], rest, strict=True):
            if cell:
                hang = 3 * _INDENT + space + 2
                entry = f"{name.ljust(space)}  {cell}" if name else cell
                for line in wrapped(entry, width, 3 * _INDENT, min(hang, width // 2)):
                    yield line, style
