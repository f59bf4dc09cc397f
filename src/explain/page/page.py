"""A walk-through as one HTML page that needs nothing else: no network, no library, no script even.

Without JavaScript it is a document to read from top to bottom. With it, the steps come one at a
time, the picture shows what is known so far, and sliders move the leaves: the compiler's own
program, emitted as JavaScript, then computes every number anew.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Final

from ...graph.numbertext import number_text
from ..data import Agreement, Backward, Code, Formula, Forward, Seed, Task, Update
from ..lesson import Lesson, with_values
from ..mistakes import MISTAKES, mistake
from ..outcome import names_data
from ..render.blocks import Heading, Spot
from ..render.document import opening
from ..render.equations import name
from ..render.html import blocks_html, inline_html, lowered, table_html
from ..words import ordinal
from .figure import figure
from .numbers import LiveNumbers
from .panel import step_html
from .practice import PRACTICE
from .script import read_text, script

_MANY_LEAVES: Final = 16


def html(w: Lesson) -> str:
    """The page of a walk-through, complete; the same walk-through gives the same text.

    Its content security policy allows its own style, font and script, and nothing else. A page in
    formulas brings the same steps with numbers along, for readers who try some.
    """
    at_numbers = with_values(w, _point(w)) if w.symbolic else w
    numbers = LiveNumbers(at_numbers)
    live = _drawn(at_numbers, numbers)
    drawn = _drawn(w, LiveNumbers(w)) if w.symbolic else live
    style = f"{font_style()}{read_text('page.css')}"
    code = script(w, at_numbers, numbers)
    (formula,) = next(block.parts for block in opening(w) if isinstance(block, Heading))
    heading = f"<h1{label_of(formula)}>{inline_html((formula,))}</h1>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy(style, code)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(w.title)}</title>
<style>{style}</style>
</head>
<body>
<header>{heading}<div id="given">{drawn["given"]}</div></header>
<main>
<section class="walk" aria-label="The steps">
{_CONTROLS}
<div id="steps">{drawn["steps"]}</div>
</section>
<section class="picture" aria-label="The graph">
<figure id="figure">{drawn["figure"]}</figure>
<div class="hands">
{_sliders(at_numbers, tried=w.symbolic)}
{_slope(at_numbers)}
{_plane(at_numbers)}
</div>
</section>
{code_html(w)}
<section class="more">
<details open><summary><h2>The picture as a table</h2></summary><div id="table">{drawn["table"]}\
</div></details>
{_mistakes(w, numbers)}
{PRACTICE}
</section>
</main>
{_template(live) if w.symbolic else ""}<script>{code}</script>
</body>
</html>
"""


def notebook(page: str, title: str) -> str:
    """A page in a frame of its own, for a notebook's cell: its style and script stay inside.

    It is no higher than the window, and its lower edge can be drawn.
    """
    return (
        '<iframe sandbox="allow-scripts" frameborder="0" '
        'style="width: 100%; height: min(760px, 85vh); resize: vertical" '
        f'title="{escape(title, quote=True)}" srcdoc="{escape(page, quote=True)}"></iframe>'
    )


def _point(w: Lesson) -> Mapping[str, float]:
    """Numbers for leaves that carry none: where the judges of the formulas compare."""
    point = next(step.point for step in w.steps if isinstance(step, Agreement))
    graph = w.graph
    return {name: x for name, x in point.items() if graph.value(graph.leaves[name]) is None}


def _drawn(w: Lesson, numbers: LiveNumbers) -> dict[str, str]:
    """The parts of a page that differ between formulas and numbers, by the ids of their places."""
    picture = figure(w, numbers, _known_from(w))
    steps = [step_html(w, numbers, i) for i in range(len(w.steps))]
    return {
        "given": _given(w, numbers),
        "figure": (
            '<div class="scroll" tabindex="0" role="group" aria-label="The graph, scrollable">'
            f"{picture}</div><figcaption>{_LEGEND}{'' if w.symbolic else _LEGEND_NUMBERS}"
            "</figcaption>"
        ),
        "steps": "".join(steps),
        "table": _picture_table(w, numbers),
    }


def _template(drawn: Mapping[str, str]) -> str:
    """What takes the place of the formulas once a reader tries numbers."""
    parts = [f'<div data-part="{part}">{content}</div>' for part, content in drawn.items()]
    return f'<template id="numbers">{"".join(parts)}</template>\n'


# -- the parts of the page ------------------------------------------------------------------------

_LEGEND: Final = (
    '<span class="key forward">thick blue frame: what this step computes</span> '
    '<span class="key backward">dashed arrow back: upstream × local passes along it</span> '
    '<span class="key dead">dotted grey: the local derivative is 0, nothing passes</span> '
    "<span>× on an edge: its local derivative</span>"
)

_LEGEND_NUMBERS: Final = (
    " <span>—: not computed yet</span> <span>3 …: what has arrived so far</span>"
)

PLAY: Final = """<button type="button" id="play" aria-pressed="false">Play</button>
<select id="speed" aria-label="Speed of playing">
<option value="6">slow</option><option value="3" selected>steady</option>
<option value="1">fast</option></select>"""

PREDICT: Final = """<label class="switch">
<input type="checkbox" id="predict"> Predict: hide numbers until I answer
</label>"""

_CONTROLS: Final = f"""<nav class="script" hidden aria-label="Steps">
<button type="button" id="previous" aria-keyshortcuts="ArrowLeft">← Previous</button>
<button type="button" id="next" aria-keyshortcuts="ArrowRight">Next →</button>
<span id="place"></span>
<select id="jump" aria-label="Go to a step"></select>
{PLAY}
{PREDICT}
</nav>
<p id="status" class="visually-hidden" role="status" aria-live="polite"></p>"""


def _given(w: Lesson, numbers: LiveNumbers) -> str:
    if w.symbolic:
        return "<p>No values are given: every step is a formula.</p>"
    task = w.steps[0]
    assert isinstance(task, Task)
    given = ", ".join(
        f"<span>{numbers.html(name(node))} = {numbers.span(node.number)}</span>"
        for node in map(w.node, task.leaves)
    )
    if len(task.leaves) <= _MANY_LEAVES:
        return f'<p class="given">at {given}</p>'
    return f"<details><summary>at {len(task.leaves)} given values</summary><p>{given}</p></details>"


def _picture_table(w: Lesson, numbers: LiveNumbers) -> str:
    """The equivalent of the picture for those who do not see it."""
    output, known = w.nodes[-1], _known_from(w)
    rows = []
    for node in w.nodes:
        if node.kind == "constant":
            continue
        computed = numbers.html(node.formula) if node.operands else escape(node.kind)
        slope = "—"
        if node.adjoint_number is not None:
            slope = numbers.span(node.adjoint_number, at=known.get(f"d{node.id}", 0))
        value = numbers.span(node.number, at=known.get(node.id, 0))
        rows.append([numbers.html(name(node)), computed, value, slope])
    edges = []
    for step in w.steps:
        for passed in step.passes if isinstance(step, Backward) else ():
            if passed.wanted and passed.local_number is not None:
                assert passed.product_number is not None
                consumer = passed.edge.split("-")[1]
                edges.append(
                    [
                        numbers.html(name(w.node(passed.operand)), " → ", name(w.node(consumer))),
                        ordinal(passed.position),
                        numbers.html(passed.local),
                        numbers.span(passed.local_number, at=known[passed.edge]),
                        numbers.span(passed.product_number, at=known[passed.edge]),
                    ]
                )
    boxes = table_html(("node", "computed by", "value", f"derivative of {output.name}"), rows)
    arrows = table_html(
        ("edge", "operand", "local derivative", "its value", "passed back: upstream × local"), edges
    )
    return f"{boxes}{arrows}"


def _sliders(w: Lesson, *, tried: bool) -> str:
    """A slider and a number field for each leaf; shown by the script, which they need.

    `tried` when the numbers are only for trying, in a page of formulas.
    """
    task = w.steps[0]
    assert isinstance(task, Task)
    rows, names = [], {w.node(id).name for id in task.leaves}
    for i, id in enumerate(task.leaves):
        label, value = escape(w.node(id).name), w.values[w.node(id).name]
        middle = value if abs(value) < 1e300 else 0.0
        reach = max(2.0, 2 * abs(middle))
        start = number_text(middle)
        rows.append(
            f'<div class="leaf"><label for="slider-{i}">{lowered(label, names)}</label>'
            f'<input type="range" id="slider-{i}" data-leaf="{i}" min="{middle - reach!r}" '
            f'max="{middle + reach!r}" step="any" value="{start}">'
            f'<input type="number" data-leaf="{i}" step="any" value="{start}" '
            f'aria-label="{label} as a number"></div>'
        )
    title, back = ("Try numbers", "Back to formulas") if tried else _MOVE
    trying = '<button type="button" id="try">Try these numbers</button>' if tried else ""
    return (
        f'<details class="script" id="sliders" open hidden><summary>{title}</summary>'
        '<form class="sliders" aria-label="Values of the leaves">'
        f'{"".join(rows)}<p class="buttons">{trying}<button type="reset" id="reset">{back}</button>'
        "</p></form></details>"
    )


def _slope(w: Lesson) -> str:
    """A picture of the output as one leaf moves; the script draws it."""
    task = w.steps[0]
    assert isinstance(task, Task)
    leaves = "".join(
        f'<option value="{i}">{escape(w.node(id).name)}</option>' for i, id in enumerate(task.wrt)
    )
    output = escape(w.nodes[-1].name)
    return (
        '<details class="script" id="slope" hidden><summary>A derivative is a slope</summary>'
        f'<p><label>{output} as <select id="slope-leaf">{leaves}</select> moves</label> '
        '<label class="nudge">nudge it <input type="range" id="nudge" min="-1" max="1" step="0.01" '
        'value="0.5"></label></p>'
        '<svg id="slope-curve" viewBox="0 0 320 180" width="320" height="180" role="img" '
        'aria-label="The output as the leaf moves, and its tangent"></svg>'
        '<p id="slope-said" class="note" role="status"></p></details>'
    )


def _plane(w: Lesson) -> str:
    """The output over two leaves, data before what an update moves."""
    task, update = w.steps[0], w.step("update")
    assert isinstance(task, Task)
    assert isinstance(update, Update)
    moved = {leaf.leaf for leaf in update.leaves}
    places = [(i, w.node(id).name, id in moved) for i, id in enumerate(task.leaves)]
    places.sort(key=lambda place: (place[2], not names_data(place[1])))
    return plane_html([(i, name) for i, name, _ in places])


def plane_html(leaves: Sequence[tuple[int, str]]) -> str:
    """A map of the output over two of some leaves, by place and name; the script draws it."""
    if len(leaves) < 2:
        return ""
    names = [name for _, name in leaves]
    options = [f'<option value="{i}">{escape(lowered(x, names))}</option>' for i, x in leaves]
    second = options[1].replace("<option", "<option selected")
    up = "".join([options[0], second, *options[2:]])
    return (
        '<details class="script" id="plane" hidden><summary>A map over two leaves</summary>'
        f'<p><label><select id="plane-x">{"".join(options)}</select> across</label> '
        f'<label><select id="plane-y">{up}</select> up</label></p>'
        '<canvas id="plane-map" width="240" height="240" role="img" '
        'aria-label="The output over two leaves" aria-describedby="plane-said"></canvas>'
        '<p id="plane-said" class="note" role="status"></p></details>'
    )


_MOVE: Final = ("Move the leaves", "Back to the given values")


def code_html(w: Lesson, *, folded: bool = False) -> str:
    """The generated Python, a line an element, so that the line of a step can be lit."""
    code = next(iter(w.part(6)), None)
    if not isinstance(code, Code):
        return ""
    lines = "".join(
        f'<span class="line" id="line-{i}">{escape(line)}\n</span>'
        for i, line in enumerate(code.source.rstrip("\n").split("\n"), 1)
    )
    listing = f'<pre tabindex="0" aria-label="Code"><code>{lines}</code></pre>'
    note = '<p class="script note" id="line-note" hidden></p>'
    title = "<h2>The generated Python</h2>"
    inside = (
        f"<details><summary>{title}</summary>{listing}</details>" if folded else title + listing
    )
    return f'<section class="code" aria-label="The generated Python">{inside}{note}</section>'


def _mistakes(w: Lesson, numbers: LiveNumbers) -> str:
    parts = []
    for kind in MISTAKES:
        heading, *rest = mistake(w, kind).blocks()
        assert isinstance(heading, Heading)
        body = blocks_html(rest, others=numbers.names)
        title = f"<summary>{inline_html(heading.parts, others=numbers.names)}</summary>"
        parts.append(f'<details class="mistake">{title}{body}</details>')
    note = "" if w.symbolic else _STALE
    return f"<h2>Common mistakes, wrong beside right</h2>{note}{''.join(parts)}"


_STALE: Final = (
    '<p class="stale" hidden>These were carried out at the values given; '
    "the sliders do not move them.</p>"
)


# -- what the parts are made with ------------------------------------------------------------------


def _known_from(w: Lesson) -> dict[str, int]:
    """The step at which a value (by node id), a derivative ("d" and the id), an edge is known."""
    known: dict[str, int] = {}
    for i, step in enumerate(w.steps):
        if isinstance(step, Forward):
            known[step.node or ""] = i
        elif isinstance(step, (Backward, Seed)):
            known.setdefault(f"d{step.node}", i)
        if isinstance(step, Backward):
            known.update((passed.edge, i) for passed in step.passes)
    return known


def label_of(formula: str | Formula | Spot) -> str:
    """Attributes of the title: what is read out for a formula."""
    text = escape(str(formula.part if isinstance(formula, Spot) else formula), quote=True)
    return f' id="title" aria-label="{text}"'


def policy(style: str, script: str) -> str:
    """Nothing from anywhere, but for this style with the font in it, and this script."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "font-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@cache
def font_style() -> str:
    """The style that brings the maths font: brackets and roots grow with it, on every system."""
    font = base64.b64encode(files(__package__).joinpath("math.woff2").read_bytes()).decode()
    return (
        "/* Wengert Math: some glyphs of STIX Two Math, copyright 2001-2021 The STIX Fonts Project "
        "Authors,\n   SIL Open Font License 1.1 */\n"
        '@font-face { font-family: "Wengert Math"; '
        f'src: url("data:font/woff2;base64,{font}") format("woff2"); }}\n'
    )
