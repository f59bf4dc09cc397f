"""Blocks as a LaTeX document of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ...graph.formula import LATEX_ESCAPES
from ..data import Formula
from .blocks import Block, Heading, Inline, Line, Listing, Table, plainly

MAX_DEPTH: Final = 4
"""How deep LaTeX nests lists."""

_ESCAPES: Final = {
    **LATEX_ESCAPES,
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "∂": r"\ensuremath{\partial}",
    "×": r"\ensuremath{\times}",
    "·": r"\ensuremath{\cdot}",
    "→": r"\ensuremath{\to}",
    "←": r"\ensuremath{\leftarrow}",
    "‖": r"\ensuremath{\Vert}",
    "²": r"\ensuremath{^2}",
    "−": r"\ensuremath{-}",
    "—": "---",
    "…": r"\ldots{}",
    "“": "``",
    "”": "''",
}
_HEAD: Final = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{amsmath}
\usepackage{amssymb}
\usepackage[margin=25mm]{geometry}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\sloppy
\begin{document}
"""


def latex(blocks: Iterable[Block]) -> str:
    """Blocks as a LaTeX document."""
    lines: list[str] = []
    depth = 0
    for block in blocks:
        level = min(block.level, MAX_DEPTH) if isinstance(block, Line) else 0
        while depth > level:
            lines.append(r"\end{itemize}")
            depth -= 1
        while depth < level:
            # A list must open with an entry, so a skipped level gets an empty one.
            lines.append(r"\begin{itemize}" if depth + 1 == level else r"\begin{itemize}\item[]")
            depth += 1
        lines += _lines(block)
    lines += [r"\end{itemize}"] * depth
    return _HEAD + "\n".join(lines) + "\n\\end{document}\n"


def inline(parts: Inline) -> str:
    """Prose with formulas; text is escaped."""
    return "".join(
        f"${part.latex}$" if isinstance(part, Formula) else escape(part) for part in plainly(parts)
    ).strip()


def escape(text: str) -> str:
    r"""Text that LaTeX sets as it is.

    >>> escape("50% of v_1")
    '50\\% of v\\_1'
    """
    return "".join(_ESCAPES.get(c, c) for c in text if c.isprintable())


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Heading(parts, level):
            yield rf"\{'section' if level == 1 else 'subsection'}*{{{inline(parts)}}}"
        case Line(parts, 0, style):
            yield _styled(inline(parts), style)
            yield ""
        case Line(parts, _, style):
            yield rf"\item {{}}{_styled(inline(parts), style)}"
        case Listing(code):
            yield r"{\footnotesize\begin{verbatim}"
            # The one thing that could end the listing early.
            yield code.rstrip("\n").replace(r"\end{verbatim}", r"\end {verbatim}")
            yield r"\end{verbatim}}"
        case Table(header, rows, _):
            yield rf"\begin{{tabular}}{{{'l' * len(header)}}}"
            yield " & ".join(map(escape, header)) + r" \\ \hline"
            for row in rows:
                yield " & ".join(map(inline, row)) + r" \\"
            yield r"\end{tabular}"
            yield ""


def _styled(text: str, style: str) -> str:
    return rf"\textbf{{{text}}}" if style in ("wrong", "right") and text else text
