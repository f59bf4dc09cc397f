"""One step of a walk-through as HTML, its numbers marked so that they can follow the sliders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from ..data import (
    PARTS,
    Agreement,
    Backward,
    Contribution,
    Forward,
    Node,
    Paths,
    Seed,
    Step,
    Update,
)
from ..lesson import Lesson
from ..notation import Written, local_formula, write
from .numbers import Numbered
from .tables import agreement_html, update_html


def step_html(view: Numbered, step: Step, index: int, prose: str) -> str:
    """A step as a section; `prose` is what the document says where a step shows no live number."""
    match step:
        case Forward():
            heading, body = _forward(view, step)
        case Seed():
            heading = view.math(rf"{step.formula.latex} = 1")
            body = f"<p>{escape(step.sentence)}</p>"
        case Backward():
            heading, body = _backward(view, step)
        case Paths():
            heading, body = _paths(view, step)
        case Agreement():
            heading, body = escape(step.title), agreement_html(view, step)
        case Update():
            heading, body = escape(step.title), update_html(view, step)
        case _:
            heading, body = escape(step.title), prose
    node = f' data-node="{step.node}"' if step.node else ""
    title = escape(_spoken(step), quote=True)
    first = step.id == view.w.first_non_finite
    mark = (
        '<p class="wrong first">Here the first number that is not finite appears.</p>'
        if first
        else ""
    )
    return (
        f'<section class="step" id="step-{step.id}" data-title="{title}"{node}{_edges(step)}>'
        f'<p class="part">{step.part} · {PARTS[step.part]}</p>'
        f'<h2 id="heading-{index}" tabindex="-1">{heading}</h2>{mark}{body}</section>'
    )


_ONE_SLOT = re.compile(r"\\slot\{\d+\}")
_CONSTANT = re.compile(r"[-\d.]+")


def _spoken(step: Step) -> str:
    """The step in one line of plain text, without its numbers."""
    return step.adjoint_name.text if isinstance(step, Backward) else step.title


def _edges(step: Step) -> str:
    if not isinstance(step, Backward):
        return ""
    edges = [passed.edge for passed in step.passes if passed.wanted]
    return f' data-edges="{" ".join(edges)}"' if edges else ""


def _forward(view: Numbered, step: Forward) -> tuple[str, str]:
    node = view.w.node(step.node or "")
    sides = [node.latex, step.formula.latex]
    if not view.w.symbolic:
        sides.append(_substituted(view, node))
        sides.append(view.slot(node.number))
    sentence = f"<p>{escape(step.sentence)}</p>" if step.sentence else ""
    heading = view.math(f"{node.latex} = {step.formula.latex}")
    return heading, f'<p class="formula">{view.math(" = ".join(sides))}</p>{sentence}'


def _substituted(view: Numbered, node: Node) -> str:
    """The operation with the numbers of its operands in it, as slots."""
    stops = {view.w.node(id).number: view.written(view.w.node(id)) for id in node.operands}
    return write(view.w.graph, node.number, stops, inside=True).latex


def _backward(view: Numbered, step: Backward) -> tuple[str, str]:
    w = view.w
    node = w.node(step.node or "")
    value = (
        "" if w.symbolic or node.adjoint_number is None else f" = {view.slot(node.adjoint_number)}"
    )
    heading = view.math(f"{step.adjoint_name.latex}{value or f' = {step.adjoint_formula.latex}'}")
    parts = [_arrived(view, step, node)]
    if node.operands:
        parts.append(
            f"<p>{view.math(f'{node.latex} = {node.formula.latex}')}: {escape(step.sentence)}</p>"
        )
    else:
        parts.append(f"<p>{escape(step.sentence)}</p>")
    wanted = [passed for passed in step.passes if passed.wanted]
    if wanted:
        parts.append(_passes(view, node, wanted))
    idle = dict.fromkeys(passed.operand for passed in step.passes if not passed.wanted)
    for operand in map(w.node, idle):
        why = (
            "is a constant" if operand.kind == "constant" else "is not on the way to what is asked"
        )
        parts.append(f'<p class="dim">{view.name(operand.id)} {why}: nothing is passed to it.</p>')
    return heading, "".join(parts)


def _arrived(view: Numbered, step: Backward, node: Node) -> str:
    """Why it is this node's turn, and what has arrived at it, linked to where it came from."""
    ready = f"<p>Ready: {escape(step.ready)}.</p>" if step.ready else ""
    if not step.arrivals:
        return ready + '<p>What arrives here is the <a href="#step-seed">seed</a>, 1.</p>'
    sources = [
        f'<a href="#step-{arrival.step}">{view.name(arrival.via)}</a>' for arrival in step.arrivals
    ]
    if view.w.symbolic or len(sources) == 1:
        return f"{ready}<p>It arrived through {_listed(sources)}.</p>"
    shares = [view.bracketed(number) for number in _shares(view.w, node.id).values()]
    assert node.adjoint_number is not None
    total = view.math(f"{' + '.join(shares)} = {view.slot(node.adjoint_number)}")
    return (
        f'{ready}<p class="formula">{total}</p>'
        f"<p>The shares that arrived through {_listed(sources)} are added.</p>"
    )


def _shares(w: Lesson, node: str) -> dict[str, int]:
    """What was passed to a node, by edge, in the order of arrival."""
    return {
        passed.edge: passed.product_number
        for step in w.steps
        for passed in (step.passes if isinstance(step, Backward) else ())
        if passed.operand == node and passed.product_number is not None
    }


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _passes(view: Numbered, node: Node, wanted: Sequence[Contribution]) -> str:
    """What each operand gets."""
    several = len(node.operands) > 1
    return "".join(_pass(view, node, passed, several) for passed in wanted)


def _pass(view: Numbered, node: Node, passed: Contribution, several: bool) -> str:
    w = view.w
    operand = w.node(passed.operand)
    place = f" <span>(operand {passed.position})</span>" if several else ""
    local, product = passed.local_number, passed.product_number
    if w.symbolic or local is None or product is None or node.adjoint_number is None:
        formulas = [
            ("local derivative", view.math(passed.local.latex)),
            ("upstream × local", view.math(passed.product.latex)),
        ]
        return _list(f"To {view.name(operand.id)}{place}", formulas, "")
    numbers = {i: view.written(w.node(id)) for i, id in enumerate(node.operands)}
    sides = [passed.local.latex, _local(view, node, passed, numbers), view.slot(local)]
    if sides[0] == sides[1] or _ONE_SLOT.fullmatch(sides[1]):
        # A constant, or one operand as it is: there is nothing to put numbers in.
        sides = [side for side in sides[::2] if not _CONSTANT.fullmatch(side)]
    upstream = f'<a href="#step-{passed.upstream_step}">upstream</a> × local'
    multiplied = (
        rf"{view.slot(node.adjoint_number)} \times {view.bracketed(local)} = {view.slot(product)}"
    )
    formulas = [
        ("local derivative", view.math(" = ".join(dict.fromkeys(sides)))),
        (upstream, view.math(multiplied)),
    ]
    shares = _shares(w, operand.id)
    if len(shares) > 1:
        formulas.append(("running total", _running(view, shares, passed.edge)))
    blocked = f' data-local="{view.numbers.place(local)}"'
    dead = '<p class="dead">The local derivative is 0: nothing passes.</p>'
    return _list(f"To {view.name(operand.id)}{place}", formulas, dead, blocked, passed.blocked)


def _local(view: Numbered, node: Node, passed: Contribution, numbers: Mapping[int, Written]) -> str:
    """The local derivative with numbers in it."""
    graph = view.w.graph
    op, statics = graph.ops[node.number], graph.statics.get(node.number, ())
    symbols = [Written(w.name, w.latex) for w in map(view.w.node, node.operands)]
    formula = local_formula(op, statics, passed.position, symbols, Written(node.name, node.latex))
    return formula({**numbers, -1: view.written(node)}).latex


def _running(view: Numbered, shares: Mapping[str, int], edge: str) -> str:
    """An operand's total before and after the share of an edge."""
    place, numbers = list(shares).index(edge), list(shares.values())
    share = view.bracketed(shares[edge])
    total = rf"\slot{{{view.numbers.total(numbers[: place + 1])}}}"
    if place == 0:
        return f"{view.math(rf'0 + {share} = {total}')}, the first share"
    before = rf"\slot{{{view.numbers.total(numbers[:place])}}}"
    missing = len(numbers) - place - 1
    rest = f"; {missing} still to come" if missing else ", complete"
    return f"{view.math(rf'{before} + {share} = {total}')}{rest}"


def _list(
    title: str,
    formulas: Sequence[tuple[str, str]],
    dead: str,
    attributes: str = "",
    blocked: bool = False,
) -> str:
    rows = "".join(f"<div><dt>{name}</dt><dd>{shown}</dd></div>" for name, shown in formulas)
    state = " blocked" if blocked else ""
    return f'<div class="pass{state}"{attributes}><h3>{title}</h3><dl>{rows}</dl>{dead}</div>'


def _paths(view: Numbered, step: Paths) -> tuple[str, str]:
    w = view.w
    leaf = w.node(step.node or "")
    rows = []
    for path in step.shown:
        route = view.math(r" \to ".join(w.node(id).latex for id in path.nodes))
        sides = [path.product.latex]
        locals_ = [view.local_number(edge) for edge in path.edges]
        numbers = [number for number in locals_ if number is not None]
        if not w.symbolic and numbers and len(numbers) == len(locals_):
            sides.append(r" \times ".join(view.bracketed(number) for number in numbers))
            sides.append(rf"\slot{{{view.numbers.product(numbers)}}}")
        rows.append(
            f'<li data-edges="{" ".join(path.edges)}" data-nodes="{" ".join(path.nodes)}">'
            f'<span class="route">{route}</span> '
            '<button type="button" class="script show-path" hidden>show</button>'
            f'<p class="formula">{view.math(" = ".join(dict.fromkeys(sides)))}</p></li>'
        )
    total = ""
    if not w.symbolic and leaf.adjoint_number is not None and step.count > 1:
        derivative = view.math(rf"{_derivative(view, leaf)} = {view.slot(leaf.adjoint_number)}")
        total = f"<p>Their sum is what the backward pass found: {derivative}</p>"
    heading = f"Paths from {view.name(w.nodes[-1].id)} to {view.name(leaf.id)}"
    return heading, f"<p>{escape(step.sentence)}</p><ol>{''.join(rows)}</ol>{total}"


def _derivative(view: Numbered, leaf: Node) -> str:
    step = view.w.step(f"backward-{leaf.id}")
    assert isinstance(step, Backward)
    return step.adjoint_name.latex
