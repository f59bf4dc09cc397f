"""A large walk-through as one HTML page: it opens as layers, and computes every number itself.

The page carries the expression as columns, and for each kind of operation a program and formulas;
its script computes, draws and words the step that is looked at. Without a script it is the
overview, to read.
"""

from __future__ import annotations

import json
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any, Final

from ...ops.scalar import CONSTANT
from .. import quotients
from ..data import Formula, Update, plain
from ..judges import point_of
from ..lesson import Lesson, with_values
from ..page.page import (
    PLAY,
    PREDICT,
    code_html,
    font_style,
    label_of,
    plane_html,
    policy,
)
from ..page.programs import typed_functions
from ..page.script import lines_of, read_text
from ..render.document import stable_blocks
from ..render.html import blocks_html, inline_html
from .groups import Groups
from .kinds import kind_of, kinds_of, source, words
from .overview import counts, overview, question, title, why_backward


def html(w: Lesson) -> str:
    """The page, complete; the same walk-through gives the same text.

    Without values for the leaves it starts at random ones.
    """
    d = w.derivation
    missing = {d.names[leaf]: number for leaf, number in point_of(d).items()}
    at_numbers = with_values(w, missing) if w.symbolic else w
    groups = Groups.of(at_numbers.derivation)
    style = font_style() + read_text("page.css") + _own("large.css")
    shared = (
        read_text("shown.js")
        + read_text("play.js")
        + read_text("curve.js")
        + read_text("plane.js")
        + read_text("answers.js")
    )
    own = _own("layout.js") + _own("large.js")
    code = f"{_programs(at_numbers, groups, tried=w.symbolic)}{shared}{own}"
    _, _, *said = overview(at_numbers, groups, page=True)
    size = escape(counts(w, groups))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy(style, code)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(w.title)}</title>
<style>{style}</style>
</head>
<body class="large">
<header><h1{label_of(title(w))}>{inline_html((title(w),))}</h1><p class="given">{size}</p></header>
<main>
<section class="walk script" aria-label="The steps" hidden>
{_CONTROLS}
<div id="step" class="step current"></div>
</section>
<section class="picture script" aria-label="The graph" hidden>
{_PICTURE}
{plane_html(_inputs(groups))}
</section>
{code_html(w, folded=True)}
<section id="overview" class="more"><details id="all" open><summary><h2>Overview</h2></summary>
{blocks_html(said)}</details></section>
</main>
<script>{code}</script>
</body>
</html>
"""


def _inputs(groups: Groups) -> list[tuple[int, str]]:
    """What is given to a network, or the leaves: rows and names."""
    d = groups.derivation
    row = {node: i for i, node in enumerate(d.live)}
    return [(row[leaf], d.names[leaf]) for leaf in groups.data or d.leaves]


_CONTROLS: Final = f"""<nav aria-label="Steps">
<button type="button" id="previous" aria-keyshortcuts="ArrowLeft">← Previous</button>
<button type="button" id="next" aria-keyshortcuts="ArrowRight">Next →</button>
<span id="place"></span>
{PLAY}
<span class="finder"><input type="search" id="search" placeholder="Find by name" role="combobox"
 aria-label="Find by name" aria-controls="found" aria-expanded="false" autocomplete="off">
<ul id="found" role="listbox" aria-label="Found" hidden></ul></span>
{PREDICT}
</nav>
<p id="status" class="visually-hidden" role="status" aria-live="polite"></p>"""

_PICTURE: Final = """<div class="zoom" role="group" aria-label="The picture">
<button type="button" id="whole">Whole</button>
<button type="button" id="here">This step</button>
<button type="button" id="out" aria-label="Smaller">−</button>
<button type="button" id="in" aria-label="Larger">+</button>
<button type="button" id="close">Close all</button>
</div>
<figure><div class="scroll" tabindex="0" role="group" aria-label="The graph, scrollable">
<svg id="graph" xmlns="http://www.w3.org/2000/svg" role="group" aria-label="The graph"></svg></div>
<figcaption><span>a double frame opens</span>
<span class="key forward">thick blue frame: this step</span>
<span class="key backward">dashed arrow back: upstream × local</span>
<span>a number on an edge counts edges</span>
<span>an edge of one weight: blue above 0, orange below, by width</span>
<span>—: not computed yet</span></figcaption></figure>
<form class="sliders" id="sliders" aria-label="Values of the leaves"></form>"""


def _programs(w: Lesson, groups: Groups, *, tried: bool) -> str:
    """What the script is told, and the programs that it runs."""
    text = json.dumps(plain(_data(w, groups, tried)), ensure_ascii=True, allow_nan=False)
    kinds = ",\n".join(map(source, kinds_of(w.derivation)))
    functions = f"const FUNCTIONS = (\n{typed_functions(w.graph)}\n);\n"
    data = f"const DATA = {text.replace('<', chr(92) + 'u003c')};\n"
    return f"{data}const KINDS = [\n{kinds}\n];\n{functions}"


def _data(w: Lesson, groups: Groups, tried: bool) -> dict[str, Any]:
    """The expression as columns, operands first, and what is said of its groups."""
    d = w.derivation
    row = {node: i for i, node in enumerate(d.live)}
    kinds = kinds_of(d)
    update = w.step("update")
    assert isinstance(update, Update)
    return {
        "ids": d.live,
        "names": [d.names[node] for node in d.live],
        "kinds": [
            kinds[kind_of(d, n)]
            if d.computed(n)
            else _NUMBER
            if d.graph.ops[n] is CONSTANT
            else _LEAF
            for n in d.live
        ],
        "operands": [[row[operand] for operand in d.graph.operands[n]] for n in d.live],
        "given": [None if d.computed(n) else d.values[n] for n in d.live],
        "wanted": [int(n in d.adjoint) for n in d.live],
        "asked": [row[leaf] for leaf in d.wrt],
        "data": [row[leaf] for leaf in groups.data],
        "root": row[d.root],
        "inside": [groups.inside.get(node, -1) for node in d.live],
        "groups": [
            {
                "title": group.title,
                "counts": groups.counts(group),
                "parent": -1 if group.parent is None else group.parent,
                "ends": [row[node] for node in group.ends],
                "arrays": [
                    [stem, [row[node] for node in nodes]] for stem, nodes in groups.arrays(group)
                ],
                "said": list(map(_set, groups.statements(group))) if group.parent is None else [],
            }
            for group in groups.groups
        ],
        "words": [words(kind) for kind in kinds],
        "question": question(w),
        "lines": lines_of(w),
        "tried": tried,
        "loss": _set(groups.other_statements()[0]),
        "why": why_backward(w),
        "stable": "" if w.stable is None else blocks_html(stable_blocks(w, w.stable, headed=False)),
        "update": {
            "sentence": update.sentence,
            "leaves": [row[int(moved.leaf[1:])] for moved in update.leaves],
            "rates": w.rates,
        },
        "difference": {"step": quotients.STEP, "far": quotients.MAX_SIZE},
    }


_LEAF, _NUMBER = -1, -2


def _set(lines: list[Formula]) -> list[str]:
    return [inline_html((line,)) for line in lines]


@cache
def _own(name: str) -> str:
    """A file beside this one."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
