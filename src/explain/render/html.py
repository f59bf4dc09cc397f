"""Headings, prose, tables and listings as HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Sequence
from html import escape
from itertools import groupby
from typing import Final

from ...notation.mathml import from_latex
from ..data import Formula
from .blocks import Block, Heading, Inline, Line, Listing, Spot, Table

Slot = Callable[[str, bool], str] | None
"""What stands for a live number, see `from_latex`; None where nothing is live."""


def blocks_html(blocks: Iterable[Block], slot: Slot = None, others: Container[str] = ()) -> str:
    """Blocks one after another, entries of a list as such.

    >>> blocks_html([Line(("a < b",)), Line(("c",), 1)])
    '<p>a &lt; b</p><ul><li class="level1"><div class="entry">c</div></li></ul>'
    """
    parts = []
    for is_entry, group in groupby(blocks, lambda b: isinstance(b, Line) and b.level > 0):
        inner = "".join(_block(block, slot, others) for block in group)
        parts.append(f"<ul>{inner}</ul>" if is_entry else inner)
    return "".join(parts)


def _block(block: Block, slot: Slot, others: Container[str]) -> str:
    match block:
        case Heading(parts, level):
            return f"<h{level}>{inline_html(parts, slot, others)}</h{level}>"
        case Line(parts, level, style):
            inner = inline_html(parts, slot, others)
            classes = " ".join(filter(None, (style, f"level{level}" if level else "")))
            named = f' class="{classes}"' if classes else ""
            entry = f'<li{named}><div class="entry">{inner}</div></li>'
            return entry if level else f"<p{named}>{inner}</p>"
        case Table(header, rows, styles):
            return table_html(
                header, [[inline_html(cell, slot, others) for cell in row] for row in rows], styles
            )
        case Listing(code):
            return f"<pre>{escape(code)}</pre>"


def table_html(
    header: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str] = ()
) -> str:
    """A table of cells that are HTML, with a class for each row; it scrolls where it is wide."""
    heads = "".join(
        f'<th scope="col">{escape(head)}</th>' if head else "<td></td>" for head in header
    )
    body = ""
    for i, row in enumerate(rows):
        first, *rest = row
        head = f'<th scope="row">{_named(first)}</th>' if first else "<td></td>"
        cells = head + "".join(f"<td>{cell}</td>" for cell in rest)
        style = styles[i] if i < len(styles) else ""
        body += f'<tr class="{style}">{cells}</tr>' if style else f"<tr>{cells}</tr>"
    return (
        '<div class="scroll"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _named(cell: str) -> str:
    """A head of a row whose names are text, not maths: not everything that reads heads reads that.

    >>> _named("<math><msub><mi>v</mi><mn>1</mn></msub></math> → <math><mi>L</mi></math>")
    '<i>v</i><sub>1</sub> → <i>L</i>'
    """
    if not set(_TAG.findall(cell)) <= {"math", "msub", "mi", "mn", "mrow", "mo"}:
        return cell
    below = _BELOW.sub(r"\1<sub>\2</sub>", cell)
    italic = below.replace("<mi>", "<i>").replace("</mi>", "</i>")
    return _MATHS.sub("", italic)


def inline_html(parts: Inline, slot: Slot = None, others: Container[str] = ()) -> str:
    """Prose with formulas in it.

    >>> inline_html(("a < b,  ", Spot(Formula("-2", "-2"), "key")))
    'a &lt; b,&ensp;<span data-live="key">−2</span>'
    """
    return "".join(_part(part, slot, others) for part in parts)


def _part(part: str | Formula | Spot, slot: Slot, others: Container[str]) -> str:
    match part:
        case Spot(shown, key):
            text = minus(shown.text) if isinstance(shown, Formula) else shown
            return f'<span data-live="{key}">{escape(text)}</span>' if key else escape(text)
        case Formula():
            live = part.live if slot is not None else ""
            return "<wbr>".join(from_latex(piece, slot) for piece in pieces(live or part.latex))
        case _:
            return escape(lowered(part, others)).replace("  ", "&ensp;")


def lowered(text: str, others: Container[str] = ()) -> str:
    """Names in prose with their numbers below the line, as formulas have them.

    A name with an underscore stays as it is where the name without it is among the others.

    >>> lowered("x1 and w0_12, but not log2(x), 'x1' or 1e5")
    "x₁ and w₀,₁₂, but not log2(x), 'x1' or 1e5"
    >>> lowered("x1 beside x_1", ["x1", "x_1"])
    'x₁ beside x_1'
    """

    def below(name: re.Match[str]) -> str:
        stem, line, digits = name.groups()
        if line and stem + digits in others:
            return name[0]
        return stem + digits.replace("_", ",").translate(_BELOW_LINE)

    return _NUMBERED.sub(below, text)


_NUMBERED: Final = re.compile(r"(?<![\w.'\"`])([^\W\d_]+)(_?)(\d+(?:_\d+)*)(?![\w'\"`(]|\.\d)")
_BELOW_LINE: Final = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def pieces(latex: str) -> list[str]:
    r"""A formula in pieces, between which a line may end: after "=", and in long sums.

    >>> pieces(r"y = a + \left(b = c\right)"), len(pieces(" + ".join("abc" * 20)))
    (['y =', 'a + \\left(b = c\\right)'], 60)
    """
    found, start, depth = [], 0, 0
    signs = (" = ",) if len(latex) <= _LONG else (" = ", " + ", " - ", r" \cdot ", r" \times ")
    for match in _NESTING.finditer(latex):
        depth += 1 if match[0] in _OPENING else -1 if match[0] in _CLOSING else 0
        if not depth and match[0] in signs and match.start() > start:
            found.append(latex[start : match.end() - 1])
            start = match.end()
    return [*found, latex[start:]]


_LONG: Final = 100
"""Characters of LaTeX from which on a formula may be broken at other signs than "="."""

_NESTING: Final = re.compile(
    r"\\left|\\right|\\begin|\\end|\\[{}]|[{}]| = | \+ | - | \\cdot | \\times "
)
_TAG: Final = re.compile("</?([a-z]+)[^>]*>")
_MATHS: Final = re.compile("</?m[a-z]+>")
_BELOW: Final = re.compile("<msub>(.*?</mi>)(<mn>.*?</mn>|<mrow>.*?</mrow>)</msub>")
_OPENING: Final = frozenset((r"\left", r"\begin", "{"))
_CLOSING: Final = frozenset((r"\right", r"\end", "}"))


def minus(text: str) -> str:
    """A number with a real minus sign."""
    return text.replace("-", "−")
