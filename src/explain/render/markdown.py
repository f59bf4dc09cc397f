"""Blocks as Markdown, their formulas between dollar signs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from ..data import Formula
from .blocks import Block, Heading, Inline, Line, Listing, Table, plainly

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#$|~&])")
_WRAP: Final = {"strong": "**", "wrong": "**", "right": "**", "dim": ""}


def markdown(blocks: Iterable[Block]) -> str:
    """Blocks as Markdown."""
    lines: list[str] = []
    in_list = False
    for block in blocks:
        entry = isinstance(block, Line) and block.level > 0
        if lines and not (entry and in_list):
            lines.append("")
        in_list = entry
        lines += _lines(block)
    return "\n".join(lines) + "\n"


def inline(parts: Inline) -> str:
    r"""Prose with formulas; characters that Markdown would read are escaped.

    >>> inline(("a_b: ", Formula("x", r"\alpha")))
    'a\\_b: $\\alpha$'
    """
    return "".join(
        f"${part.latex}$" if isinstance(part, Formula) else escape(part) for part in plainly(parts)
    ).strip()


def escape(text: str) -> str:
    """Plain text that Markdown shows as it is."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    return _SPECIAL.sub(r"\\\1", re.sub(r" {2,}", " ", clean))


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Heading(parts, level):
            yield f"{'#' * level} {inline(parts)}"
        case Line(parts, 0, style):
            yield _styled(inline(parts), style)
        case Line(parts, level, style):
            yield f"{'  ' * (level - 1)}- {_styled(inline(parts), style)}"
        case Listing(code):
            fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", code)), default=0))
            yield f"{fence}python"
            yield code.rstrip("\n")
            yield fence
        case Table(header, rows, styles):
            yield _row([escape(name) for name in header])
            yield _row(["---"] * len(header))
            for i, row in enumerate(rows):
                style = styles[i] if i < len(styles) else ""
                yield _row([_styled(inline(cell), style) for cell in row])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _styled(text: str, style: str) -> str:
    mark = _WRAP.get(style, "")
    # A mark beside a formula is not read as one everywhere; plain text around it is.
    return f"{mark}{text}{mark}" if mark and text and "$" not in text else text
