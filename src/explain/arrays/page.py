"""A walk-through in index notation as one HTML page, which needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any, Final

from ...graph.formula import name_latex
from ..data import PARTS, Formula, plain
from ..outcome import RATES
from ..page.numbers import span
from ..page.page import PLAY, font_style, policy
from ..page.panel import training
from ..page.script import read_text
from ..render.html import blocks_html, inline_html, minus
from ..words import shown
from .document import AGREEMENT, flat_values, judged_blocks, notation, step_blocks
from .lesson import ArrayStep, Judged
from .live import Live

_SHARED: Final = ("shown.js", "play.js", "curve.js")
_CELLS: Final = 64
_SMALLEST, _LARGEST, _WIDTH = 6, 20, 480
"""The sides of a cell of a heat map, and the width of the whole."""


def html(
    asked: str, steps: Sequence[ArrayStep], judgements: Sequence[Judged], moved: Live | None
) -> str:
    """The page: its steps one at a time with a script, one after another without."""
    style = f"{font_style()}{read_text('page.css')}{_own('arrays.css')}"
    code = _program(moved) + "".join(map(read_text, _SHARED)) + _own("arrays.js")
    sections = [_section(step, moved) for step in steps]
    if judgements:
        body = _STALE + blocks_html(judged_blocks(judgements))
        sections.append(_framed("step-agreement", AGREEMENT, PARTS[5], "Beside differences", body))
    listing = "".join(
        f'<li><a href="#step-{escape(step.id)}"><span class="visually-hidden">Step {i}: </span>'
        f"{inline_html((step.statement,))}</a></li>"
        for i, step in enumerate(steps, 1)
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy(style, code)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(asked)}</title>
<style>{style}</style>
</head>
<body class="arrays">
<header><h1>{inline_html((asked,))}</h1>
<p class="note">{escape(notation(steps))}</p></header>
<main>
<section class="walk" aria-label="The steps">
{_CONTROLS}
<div id="steps">{"".join(sections)}</div>
</section>
<section class="picture" aria-label="All statements"><h2>The program</h2>
<ol class="program">{listing}</ol></section>
{_sliders(moved)}</main>
<script>{code}</script>
</body>
</html>
"""


_CONTROLS: Final = f"""<nav class="script" hidden aria-label="Steps">
<button type="button" id="previous" aria-keyshortcuts="ArrowLeft">← Previous</button>
<button type="button" id="next" aria-keyshortcuts="ArrowRight">Next →</button>
<span id="place"></span>
{PLAY}
</nav>
<p id="status" class="visually-hidden" role="status" aria-live="polite"></p>"""


_STALE: Final = '<p class="stale" hidden>This table is of the values given.</p>'


def _program(moved: Live | None) -> str:
    """What the script is told of the leaves, and the function that computes all numbers."""
    if moved is None:
        return "const [DATA, COMPUTE] = [null, null];\n"
    names = [""] * len(moved.given)
    for leaf in moved.leaves:
        for i, row in enumerate(leaf.rows):
            for j, place in enumerate(row):
                index = [str(i)] * (len(leaf.rows) > 1) + [str(j)] * (len(row) > 1)
                if place >= 0:
                    names[place] = f"{leaf.name}[{', '.join(index)}]" if index else leaf.name
    slopes = list(moved.slopes.items())
    told = {"given": moved.given, "names": names, "output": moved.output, "slopes": slopes}
    data = json.dumps(plain(told), allow_nan=False)
    return f"const DATA = {data};\nconst COMPUTE = (\n{moved.source}\n);\n"


def _sliders(moved: Live | None) -> str:
    """The elements of the leaves, of which one at a time is moved."""
    if moved is None:
        return ""
    tables, names = "", {leaf.name for leaf in moved.leaves}
    for leaf in moved.leaves:
        rows = "".join(
            f"<tr>{''.join(f'<td>{_element(place, moved)}</td>' for place in row)}</tr>"
            for row in leaf.rows
        )
        name = inline_html((Formula(leaf.name, name_latex(leaf.name, names)),))
        tables += f'<div class="scroll"><table class="choose"><caption>{name}</caption>'
        tables += f"<tbody>{rows}</tbody></table></div>"
    return (
        '<section class="script hands" aria-label="The leaves" hidden><details id="sliders" open>'
        "<summary>Move the leaves</summary>"
        '<form class="sliders" aria-label="Values of the leaves"><div class="leaf">'
        '<label for="slider" id="moving"></label><input type="range" id="slider" step="any">'
        '<input type="number" id="exact" step="any" aria-labelledby="moving"></div></form>'
        f'<p class="note">Choose the element that moves:</p>{tables}'
        '<p><button type="button" id="reset">Back to the given values</button></p></details>'
        "<details open><summary>Steps downhill</summary><p>Every element whose derivative is asked "
        "for moves against it: w ← w - lr·∂L/∂w, as often as you like.</p>"
        f"{training([f'{rate:g}' for rate in RATES])}</details></section>\n"
    )


def _element(place: int, moved: Live) -> str:
    if place < 0:
        return "—"
    text = minus(shown(moved.given[place]))
    return f'<button type="button" data-leaf="{place}" aria-pressed="false">{text}</button>'


def _section(step: ArrayStep, moved: Live | None) -> str:
    first = None if moved is None else moved.first.get(step.id.partition("-")[2])
    _, *said = step_blocks(step, first)

    def slot(place: str, bracketed: bool) -> str:
        return span(int(place), values[int(place) - (first or 0)], "mn", bracketed=bracketed)

    values = list(flat_values(step.values)) if first is not None else []
    body = blocks_html(said, slot) + _heat(step, first)
    return _framed(
        f"step-{step.id}", step.part, PARTS[step.part], inline_html((step.statement,)), body
    )


def _framed(id: str, number: int, part: str, heading: str, body: str) -> str:
    return (
        f'<section class="step" id="{escape(id)}">'
        f'<p class="part" id="part-{escape(id)}">{number} · {part}</p>'
        f'<h2 id="heading-{escape(id)}" aria-labelledby="part-{escape(id)} heading-{escape(id)}" '
        f'tabindex="-1">{heading}</h2>{body}</section>'
    )


def _heat(step: ArrayStep, first: int | None) -> str:
    """A matrix at a glance: blue is positive, orange negative, strong is large."""
    rows = _rows(step)
    if not rows or len(rows) > _CELLS or len(rows[0]) > _CELLS or len(rows) * len(rows[0]) < 2:
        return ""
    largest = max((abs(x) for row in rows for x in row if x - x == 0), default=0.0) or 1.0
    side = max(_SMALLEST, min(_LARGEST, _WIDTH // len(rows[0])))
    cells = "".join(
        f'<rect x="{side * j}" y="{side * i}" width="{side - 1}" height="{side - 1}" '
        f'data-n="{(first or 0) + len(row) * i + j}" '
        f'fill="{"#d55e00" if x < 0 else "#0072b2"}" '
        f'fill-opacity="{0.06 + 0.94 * min(abs(x) / largest, 1.0) if x - x == 0 else 1.0:.2f}"/>'
        for i, row in enumerate(rows)
        for j, x in enumerate(row)
    )
    width, height = side * len(rows[0]), side * len(rows)
    return (
        f'<figure><svg class="heat" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{len(rows)} rows of {len(rows[0])} numbers">'
        f"{cells}</svg><figcaption>blue: positive, orange: negative, strongest: "
        f'<span class="largest">{escape(shown(largest))}</span> in size</figcaption></figure>'
    )


def _rows(step: ArrayStep) -> list[list[Any]]:
    if step.values is None or not 1 <= len(step.shape) <= 2:
        return []
    return [step.values] if len(step.shape) == 1 else step.values


@cache
def _own(name: str) -> str:
    """A file beside this one."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
