"""A walk-through as one HTML page that needs nothing else: no network, no library, no script even.

Without JavaScript it is a document to read from top to bottom. With it, the steps come one at a
time, the picture shows what is known so far, and sliders move the leaves: the compiler's own
program, emitted as JavaScript, then computes every number anew.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import Any, Final

from ..graph.formula import number_text
from ..graph.mathml import from_latex
from .blocks import Block, Heading, Inline, Line, Listing, Table
from .document import document
from .figure import figure
from .live import FUNCTION, LiveNumbers
from .stepview import Numbered, step_html
from .walkthrough import PARTS, Backward, Code, Forward, Seed, Task, Walkthrough, plain

_MANY_LEAVES: Final = 16
_PART: Final = re.compile(r"\d")


def html(w: Walkthrough) -> str:
    """The page of a walk-through, complete; the same walk-through gives the same text.

    Its content security policy allows its own style and script, by their hashes, and nothing else.
    """
    numbers = LiveNumbers(w)
    known = _known_from(w)
    view = Numbered(w, numbers)
    picture = figure(w, numbers, known)
    table = _picture_table(view)
    prose = {part: blocks_html(blocks) for part, blocks in _blocks_by_part(w).items()}
    steps = "".join(
        step_html(view, step, i, prose.get(step.part, "")) for i, step in enumerate(w.steps)
    )
    style = _file("page.css")
    script = _script(w, numbers)
    heading = blocks_html(document(w)[:1]).replace("<h1>", '<h1 id="title">')
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(w.title)}</title>
<style>{style}</style>
</head>
<body>
<header>{heading}{_given(view)}</header>
<main>
<section class="picture" aria-label="The graph">
<figure>
<div class="scroll" tabindex="0" role="group" aria-label="The graph, scrollable">{picture}</div>
<figcaption>{_LEGEND}{"" if w.symbolic else _LEGEND_NUMBERS}</figcaption></figure>
{_sliders(w)}
</section>
<section class="walk" aria-label="The steps">
{_CONTROLS}
<div id="steps">{steps}</div>
</section>
{_code(w)}
<section class="more">
<details open><summary><h2>The picture as a table</h2></summary>{table}</details>
{_mistakes(w)}
</section>
</main>
<script>{script}</script>
</body>
</html>
"""


def notebook(w: Walkthrough) -> str:
    """The page in a frame of its own, for a notebook's cell: its style and script stay inside."""
    return (
        f'<iframe sandbox="allow-scripts" width="100%" height="760" frameborder="0" '
        f'title="{escape(w.title, quote=True)}" srcdoc="{escape(html(w), quote=True)}"></iframe>'
    )


def blocks_html(blocks: Iterable[Block]) -> str:
    """Headings, prose, tables and listings as HTML.

    >>> blocks_html([Line(("a < b",)), Line(("c",), 1)])
    '<p>a &lt; b</p><ul><li class="level1">c</li></ul>'
    """
    parts = []
    for is_entry, group in groupby(blocks, lambda b: isinstance(b, Line) and b.level > 0):
        inner = "".join(map(_block, group))
        parts.append(f"<ul>{inner}</ul>" if is_entry else inner)
    return "".join(parts)


def _block(block: Block) -> str:
    match block:
        case Heading(parts, level):
            return f"<h{level}>{_inline(parts)}</h{level}>"
        case Line(parts, level, style):
            tag = "li" if level else "p"
            classes = " ".join(filter(None, (style, f"level{level}" if level else "")))
            named = f' class="{classes}"' if classes else ""
            return f"<{tag}{named}>{_inline(parts)}</{tag}>"
        case Table(header, rows, styles):
            return _table(header, [[_inline(cell) for cell in row] for row in rows], styles)
        case Listing(code):
            return f"<pre>{escape(code)}</pre>"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str] = ()) -> str:
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in header)
    body = ""
    for i, row in enumerate(rows):
        first, *rest = row
        cells = f'<th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest)
        style = styles[i] if i < len(styles) else ""
        body += f'<tr class="{style}">{cells}</tr>' if style else f"<tr>{cells}</tr>"
    return (
        '<div class="scroll"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _inline(parts: Inline) -> str:
    return "".join(
        escape(part) if isinstance(part, str) else from_latex(part.latex) for part in parts
    )


# -- the parts of the page ------------------------------------------------------------------------

_LEGEND: Final = (
    '<span class="key forward">thick blue frame: what this step computes</span> '
    '<span class="key backward">dashed arrow back: upstream × local passes along it</span> '
    '<span class="key dead">dotted grey: the local derivative is 0, nothing passes</span> '
    "<span>× on an edge: its local derivative</span>"
)

_LEGEND_NUMBERS: Final = " <span>—: not computed yet</span>"

_CONTROLS: Final = """<nav class="script" hidden aria-label="Steps">
<button type="button" id="previous" aria-keyshortcuts="ArrowLeft">← Previous</button>
<button type="button" id="next" aria-keyshortcuts="ArrowRight">Next →</button>
<select id="jump" aria-label="Go to a step"></select>
<label class="switch">
<input type="checkbox" id="predict"> Predict: hide numbers until I answer
</label>
</nav>
<p id="status" class="visually-hidden" role="status" aria-live="polite"></p>"""


def _given(view: Numbered) -> str:
    if view.w.symbolic:
        return "<p>No values are given: every step is a formula.</p>"
    task = view.w.steps[0]
    assert isinstance(task, Task)
    given = ", ".join(
        f"<span>{view.name(id)} = {view.text(view.w.node(id).number)}</span>" for id in task.leaves
    )
    if len(task.leaves) <= _MANY_LEAVES:
        return f'<p class="given">at {given}</p>'
    return f"<details><summary>at {len(task.leaves)} given values</summary><p>{given}</p></details>"


def _picture_table(view: Numbered) -> str:
    """The equivalent of the picture for those who do not see it."""
    w = view.w
    output = w.nodes[-1]
    rows = []
    for node in w.nodes:
        if node.kind == "constant":
            continue
        computed = view.math(node.formula.latex) if node.operands else escape(node.kind)
        slope = "—" if node.adjoint_number is None else view.text(node.adjoint_number)
        rows.append([view.name(node.id), computed, view.text(node.number), slope])
    edges = []
    for step in w.steps:
        for passed in step.passes if isinstance(step, Backward) else ():
            if passed.wanted and passed.local_number is not None:
                assert passed.product_number is not None
                consumer = passed.edge.split("-")[1]
                edges.append(
                    [
                        f"{view.name(passed.operand)} → {view.name(consumer)}",
                        str(passed.position),
                        view.math(passed.local.latex),
                        view.text(passed.local_number),
                        view.text(passed.product_number),
                    ]
                )
    boxes = _table(("node", "computed by", "value", f"derivative of {output.name}"), rows)
    arrows = _table(
        ("edge", "operand", "local derivative", "its value", "passed back: upstream × local"), edges
    )
    return f"{boxes}{arrows}"


def _sliders(w: Walkthrough) -> str:
    """A slider and a number field for each leaf; shown by the script, which they need."""
    if w.symbolic:
        return ""
    task = w.steps[0]
    assert isinstance(task, Task)
    rows = []
    for i, id in enumerate(task.leaves):
        name, value = escape(w.node(id).name), w.values[w.node(id).name]
        middle = value if abs(value) < 1e300 else 0.0
        reach = max(2.0, 2 * abs(middle))
        start = number_text(middle)
        rows.append(
            f'<div class="leaf"><label for="slider-{i}">{name}</label>'
            f'<input type="range" id="slider-{i}" data-leaf="{i}" min="{middle - reach!r}" '
            f'max="{middle + reach!r}" step="any" value="{start}">'
            f'<input type="number" data-leaf="{i}" step="any" value="{start}" '
            f'aria-label="{name} as a number"></div>'
        )
    return (
        '<details class="script" id="sliders" open hidden><summary>Move the leaves</summary>'
        '<form class="sliders" aria-label="Values of the leaves">'
        f"{''.join(rows)}"
        '<button type="reset" id="reset">Back to the given values</button></form></details>'
    )


def _code(w: Walkthrough) -> str:
    """The generated Python, a line an element, so that the line of a step can be lit."""
    code = next((step for step in w.steps if isinstance(step, Code)), None)
    if code is None:
        return ""
    lines = "".join(
        f'<span class="line" id="line-{i}">{escape(line)}\n</span>'
        for i, line in enumerate(code.source.rstrip("\n").split("\n"), 1)
    )
    return (
        '<section class="code" aria-label="The generated Python"><h2>The generated Python</h2>'
        f'<pre tabindex="0" aria-label="Code"><code>{lines}</code></pre>'
        '<p class="script note" id="line-note" hidden></p></section>'
    )


def _mistakes(w: Walkthrough) -> str:
    parts = []
    for name in w.mistakes:
        heading, *rest = w.mistake(name).blocks()
        assert isinstance(heading, Heading)
        body = blocks_html(rest)
        parts.append(
            f'<details class="mistake"><summary>{_inline(heading.parts)}</summary>{body}</details>'
        )
    return f"<h2>Common mistakes, wrong beside right</h2>{''.join(parts)}"


def _blocks_by_part(w: Walkthrough) -> dict[int, list[Block]]:
    """What the document says in each part, without its heading and without the code."""
    found: dict[int, list[Block]] = {}
    part = -1
    for block in document(w):
        if isinstance(block, Heading) and block.level == 2:
            match = _PART.match(str(block.parts[0]))
            part = int(match[0]) if match else -1
        elif not isinstance(block, (Heading, Listing)):
            found.setdefault(part, []).append(block)
    return found


# -- what the script gets -------------------------------------------------------------------------


def _known_from(w: Walkthrough) -> dict[str, int]:
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


def _script(w: Walkthrough, numbers: LiveNumbers) -> str:
    """The page's script: its data, the emitted program, and what reacts to keys and sliders."""
    code = [step for step in w.steps if isinstance(step, Code)]
    lines = {
        carried.step: [carried.line, carried.variable if carried.line else _sentence(carried.note)]
        for carried in (code[0].lines if code else ())
    }
    questions = [
        {
            "id": question.id,
            "step": question.step,
            "kind": question.kind,
            "prompt": question.prompt,
            "hint": question.hint,
            "formula": question.formula.text,
            "place": numbers.place(question.number),
        }
        for question in w.questions
        if not w.symbolic
    ]
    task = w.steps[0]
    assert isinstance(task, Task)
    names = {}
    for node in w.nodes:
        if node.kind != "constant":
            names[node.name] = numbers.place(node.number)
    for node in w.nodes:
        if node.kind != "constant" and node.adjoint_number is not None:
            names.setdefault(f"d{node.name}", numbers.place(node.adjoint_number))
    update = [
        [i, numbers.place(adjoint)]
        for i, id in enumerate(task.leaves)
        if id in task.wrt and (adjoint := w.node(id).adjoint_number) is not None
    ]
    data: dict[str, Any] = {
        "leaves": [w.node(id).name for id in task.leaves],
        "given": [w.values.get(w.node(id).name) for id in task.leaves],
        "symbolic": w.symbolic,
        "steps": [[step.part, *lines.get(step.id, [])] for step in w.steps],
        "parts": PARTS,
        "names": names,
        "questions": questions,
        "output": numbers.place(w.nodes[-1].number),
        "update": update,
    }
    text = json.dumps(plain(data), ensure_ascii=True, allow_nan=False).replace("<", r"\u003c")
    # Places are handed out above: the program is emitted last.
    program = "" if w.symbolic else numbers.source()
    return f"const DATA = {text};\n{program}const PROGRAM = {_program(w)};\n{_file('page.js')}"


def _program(w: Walkthrough) -> str:
    return "null" if w.symbolic else FUNCTION


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:]}."


def _policy(style: str, script: str) -> str:
    """Nothing from anywhere, but for this style and this script."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@cache
def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
