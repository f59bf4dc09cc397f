"""One step of a walk-through as a section of the page: the document's equations, more room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import Final

from ..data import (
    PARTS,
    Agreement,
    Backward,
    Contribution,
    Directions,
    Formula,
    Forward,
    Node,
    Paths,
    Seed,
    Stable,
    Step,
    Update,
)
from ..lesson import Lesson
from ..render import equations
from ..render.blocks import Block, Line, Listing, Spot, equation, number, plus
from ..render.document import BACKWARD, directions_blocks, part_blocks, stable_blocks
from ..render.equations import backward_of, name, node_of
from ..words import ordinal
from .numbers import LiveNumbers

_COLUMNS: Final = (
    "Once a leaf is moved, this page computes every column itself: graph by the backward pass "
    "above; sympy by the formulas that sympy found and printed as JavaScript; difference by the "
    "forward pass alone; compiled by the simplified program that the Python is printed from. "
    "A dash in sympy's column: it has no formula to give, only numbers at the given values."
)


def step_html(w: Lesson, numbers: LiveNumbers, index: int) -> str:
    """A step as a section."""
    step = w.steps[index]
    heading, body = numbers.html(step.title), ""
    match step:
        case Forward():
            node = node_of(w, step.node)
            heading = numbers.html(equation(name(node), step.formula))
            body = _formula(numbers, equations.forward(w, step))
            body += _said(numbers, step.sentence) if step.sentence else ""
        case Seed():
            heading = numbers.html(equation(step.formula, "1"))
            body = _said(numbers, step.sentence) + _said(numbers, BACKWARD)
        case Backward():
            heading, body = _backward(w, numbers, step)
        case Stable():
            said = stable_blocks(w, step, headed=False)
            body = numbers.blocks(map(_unindented, said))
        case Paths():
            heading, body = _paths(w, numbers, step)
        case Directions():
            said = directions_blocks(w, step, headed=False)
            body = numbers.blocks(map(_unindented, said))
        case Agreement():
            body = _agreement(w, numbers, step)
        case Update():
            body = _said(numbers, step.sentence) + _formula(
                numbers, *equations.before_update(w, step).parts
            )
            body += numbers.blocks([equations.rates(w, step)]) + training(
                [f"{rate.rate:g}" for rate in step.rates]
            )
        case _:  # no number in it moves, and the code stands beside it
            said = part_blocks(w, step.part)
            body = numbers.blocks(block for block in said if not isinstance(block, Listing))
    spoken = step.adjoint_name.text if isinstance(step, Backward) else step.title
    about = f' data-node="{step.node}"' if step.node else ""
    mark = ""
    if step.id == w.first_non_finite:
        mark = '<p class="wrong first">Here the first number that is not finite appears.</p>'
    part = f'<p class="part" id="part-{index}">{step.part} · {PARTS[step.part]}</p>'
    title = f'id="heading-{index}" aria-labelledby="part-{index} heading-{index}" tabindex="-1"'
    return (
        f'<section class="step" id="step-{step.id}" data-title="{escape(spoken, quote=True)}"'
        f"{about}{_edges(step)}>{part}<h2 {title}>{heading}</h2>{mark}{body}</section>"
    )


def training(given: Sequence[str]) -> str:
    """Buttons that take steps downhill one after another; the page's script draws the curve."""
    *rest, last = given
    rates = "".join(f"<option>{escape(rate)}</option>" for rate in rest)
    rates += f"<option selected>{escape(last)}</option>"
    button = '<button type="button" class="train" data-steps="{}">{}</button> '
    return (
        '<div class="script training" hidden><p><label>learning rate <select id="rate">'
        f"{rates}</select></label> {button.format(1, '1 step')}{button.format(50, '50 steps')}"
        '<button type="button" id="start-again">Back to the start</button></p>'
        '<p class="note" id="trained" role="status"></p>'
        '<svg id="curve" viewBox="0 0 300 90" width="300" height="90" role="img" '
        'aria-label="The output after each step" hidden><polyline points=""/></svg></div>'
    )


def _unindented(block: Block) -> Block:
    return replace(block, level=0) if isinstance(block, Line) else block


def _formula(numbers: LiveNumbers, *parts: str | Formula | Spot) -> str:
    return f'<p class="formula">{numbers.inline(parts)}</p>'


def _said(numbers: LiveNumbers, sentence: str) -> str:
    return f"<p>{numbers.html(sentence)}</p>"


def _edges(step: Step) -> str:
    if not isinstance(step, Backward):
        return ""
    edges = [passed.edge for passed in step.passes if passed.wanted]
    return f' data-edges="{" ".join(edges)}"' if edges else ""


def _backward(w: Lesson, numbers: LiveNumbers, step: Backward) -> tuple[str, str]:
    node = node_of(w, step.node)
    known = number(step.adjoint, node.adjoint_number)
    value = step.adjoint_formula if w.symbolic else known
    heading = numbers.html(equation(step.adjoint_name, value))
    parts = [_arrived(w, numbers, step, node)]
    about = f": {step.sentence}" if node.operands else step.sentence
    where = [equation(name(node), node.formula)] if node.operands else []
    parts.append(f"<p>{numbers.html(*where, about)}</p>")
    parts += [_pass(w, numbers, step, passed) for passed in step.passes if passed.wanted]
    idle = {passed.operand: passed for passed in step.passes if not passed.wanted}
    for passed in idle.values():
        why = equations.why_idle(w, step, passed)
        said = numbers.html("Nothing is passed to ", name(w.node(passed.operand)), f": {why}.")
        parts.append(f'<p class="dim">{said}</p>')
    return heading, "".join(parts)


def _arrived(w: Lesson, numbers: LiveNumbers, step: Backward, node: Node) -> str:
    """Why it is this node's turn, and what has arrived at it, linked to where it came from."""
    why = numbers.html(f"Ready: {step.ready}.")
    ready = f'<p class="ready">{why}</p>' if step.ready else ""
    if not step.arrivals:
        return ready + '<p>What arrives here is the <a href="#step-seed">seed</a>, 1.</p>'
    sources = [
        f'<a href="#step-{arrival.step}">{numbers.html(name(w.node(arrival.via)))}</a>'
        for arrival in step.arrivals
    ]
    if w.symbolic or len(sources) == 1:
        return f"{ready}<p>Its cotangent arrived through {_listed(sources)}.</p>"
    d = w.derivation
    edges = zip(step.arrivals, d.arrivals[node.number], strict=True)
    shares = plus(*(number(arrival.amount, d.shares[edge]) for arrival, edge in edges))
    total = equation(shares, number(step.adjoint, node.adjoint_number))
    return (
        f"{ready}{_formula(numbers, total)}"
        f"<p>The shares that arrived through {_listed(sources)} are added.</p>"
    )


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _pass(w: Lesson, numbers: LiveNumbers, step: Backward, passed: Contribution) -> str:
    """What one operand gets."""
    several = len(node_of(w, step.node).operands) > 1
    place = f" <span>({ordinal(passed.position)} operand)</span>" if several else ""
    title = f"To {numbers.html(name(w.node(passed.operand)))}{place}"
    share = numbers.html(equations.share(w, step, passed))
    rows = [("local derivative", numbers.html(equations.local(passed)))]
    if w.symbolic or passed.local_number is None:
        rows.append(("upstream × local", share))
        return f'<div class="pass" data-edge="{passed.edge}"><h3>{title}</h3>{_list(rows)}</div>'
    rows.append((f'<a href="#step-{passed.upstream_step}">upstream</a> × local', share))
    if len(backward_of(w, passed.operand).arrivals) > 1:
        rows.append(("running total", _running(w, numbers, step, passed)))
    local = numbers.place(passed.local_number)
    return (
        f'<div class="pass{" blocked" * passed.blocked}" data-edge="{passed.edge}" '
        f'data-local="{local}">'
        f'<h3>{title}</h3>{_list(rows)}<p class="dead">The local derivative is 0: nothing passes.'
        "</p></div>"
    )


def _list(rows: Sequence[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<div><dt>{what}</dt><dd>{it}</dd></div>' for what, it in rows)}</dl>"


def _running(w: Lesson, numbers: LiveNumbers, step: Backward, passed: Contribution) -> str:
    """An operand's total before and after the share of an edge."""
    d = w.derivation
    edge = node_of(w, step.node).number, passed.position
    edges = d.arrivals[w.node(passed.operand).number]
    place = edges.index(edge)
    before = number(passed.before, d.totals[edges[place - 1]] if place else None)
    share = number(passed.product_value, passed.product_number)
    total = equation(plus(before, share), number(passed.after, d.totals[edge]))
    missing = len(edges) - place - 1
    rest = f"; {missing} still to come" if missing else ", complete"
    return numbers.html(total, rest if place else ", the first share")


def _paths(w: Lesson, numbers: LiveNumbers, step: Paths) -> tuple[str, str]:
    leaf = node_of(w, step.node)
    rows = []
    for path in step.shown:
        route, product = equations.path(w, path)
        rows.append(
            f'<li data-edges="{" ".join(path.edges)}" data-nodes="{" ".join(path.nodes)}">'
            f'<div class="way"><span class="route">{numbers.html(route)}</span> '
            '<button type="button" class="script show-path" hidden>show</button>'
            f"{_formula(numbers, product)}</div></li>"
        )
    total = ""
    if not w.symbolic and step.count > 1:
        found = equation(
            backward_of(w, leaf.id).adjoint_name, number(leaf.adjoint, leaf.adjoint_number)
        )
        total = f"<p>{numbers.html('Their sum is what the backward pass found: ', found)}</p>"
    heading = numbers.html("Paths from ", name(w.nodes[-1]), " to ", name(leaf))
    return heading, f"{_said(numbers, step.sentence)}<ol>{''.join(rows)}</ol>{total}"


def _agreement(w: Lesson, numbers: LiveNumbers, step: Agreement) -> str:
    """The judges' table, and what the script may say of it once a leaf is moved."""
    notes = " ".join(f"{w.node(row.leaf).name}: {row.note}." for row in step.rows if row.note)
    said = [
        Line((Spot(step.conclusion, "conclusion"),)),
        Line((Spot(notes, "notes"),), style="wrong"),
        *equations.sympys_formulas(w, step),
    ]
    table = numbers.blocks([equations.judgements(w, step)])
    columns = "" if w.symbolic else f'<p class="script note" hidden>{_COLUMNS}</p>'
    judged = f'<div class="judges">{table}</div>{numbers.blocks(said)}'
    return f"{_said(numbers, step.sentence)}{judged}{columns}"
