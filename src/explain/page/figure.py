"""The graph of a walk-through as inline SVG, forward and backward in one picture.

Graphviz finds the places; everything that is drawn is written here, so that no markup of another
program, and no label as markup, gets into a page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from ...draw.picture import new_picture
from ..data import Backward, Contribution, Node
from ..lesson import Lesson
from ..render.html import lowered
from ..steps import edge_id
from .numbers import LiveNumbers

_MARGIN: Final = 4
_POINTS_PER_INCH: Final = 72
_LETTER: Final = 7.0
_MAX_TITLE: Final = 22
_ROOM: Final = 13
"""Letters of a number, with the space before it."""
_WIDE: Final = 1250
"""Wider pictures, in points, are scrolled instead of shrunk."""
_BROAD, _LOW, _FLAT = 700, 420, 2.4
"""A picture that is wider than the first and not higher than the second, and the third times as
wide as high, goes above the steps instead of beside them."""


@dataclass(frozen=True)
class _Box:
    """Where a node is: its centre and size, in points."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class _Arrow:
    """Where an edge is: its curve, and where there is room for a label."""

    path: str
    label: tuple[float, float] | None
    end: tuple[float, float]
    before_end: tuple[float, float]


def figure(w: Lesson, numbers: LiveNumbers, known: Mapping[str, int]) -> str:
    """The picture. `known` says from which step on the number of a node or edge is known."""
    passes = {
        passed.edge: passed
        for step in w.steps
        if isinstance(step, Backward)
        for passed in step.passes
    }
    boxes, arrows, size = _places(w, passes)
    drawn = [_edge(w, id, arrows[id], passes.get(id), numbers, known) for id in arrows]
    drawn += [_node(node, boxes[node.id], numbers, known, w) for node in w.nodes]
    output = w.nodes[-1].name
    broad = size[0] > max(_BROAD, _FLAT * size[1]) and size[1] <= _LOW
    kinds = " ".join(["wide"] * (size[0] > _WIDE) + ["broad"] * broad)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]:.0f} {size[1]:.0f}" '
        f'width="{size[0]:.0f}" height="{size[1]:.0f}" class="{kinds}" role="img" '
        'aria-labelledby="figure-title figure-text">'
        f'<title id="figure-title">The graph of {escape(output)}</title>'
        '<desc id="figure-text">Every box and edge is a row of the table '
        "“The picture as a table”.</desc>"
        f"{_MARKERS}{''.join(drawn)}</svg>"
    )


_MARKERS: Final = (
    '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
    'markerHeight="7" orient="auto-start-reverse" markerUnits="userSpaceOnUse">'
    '<path d="M0 1L10 5L0 9z" class="tip"/></marker>'
    '<marker id="back" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="11" markerHeight="11" '
    'orient="auto-start-reverse" markerUnits="userSpaceOnUse">'
    '<path d="M0 1L10 5L0 9z" class="back-tip"/></marker></defs>'
)


def _title(node: Node) -> str:
    """The first line of a box: the name, and what it is computed by where that is short."""
    if node.kind != "operation":
        return node.name
    whole = f"{node.name} = {node.formula.text}"
    return whole if len(whole) <= _MAX_TITLE else f"{_cut(node.name, 14)}: {node.sign}"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _local(passed: Contribution) -> str:
    """A local derivative as the label of an edge."""
    text = passed.local.text
    return _cut(f"({text})" if " " in text else text, 16)


def _derivative(w: Lesson, node: Node) -> str:
    """What the last line of a box is about."""
    written = f"∂{w.nodes[-1].name}/∂{_cut(node.name, 14)}"
    return written if len(written) <= 18 else "derivative"


def _size(w: Lesson, node: Node) -> tuple[float, float]:
    if node.kind == "constant":
        return max(34.0, 14 + _LETTER * len(node.name)), 26.0
    lines = 0 if w.symbolic else 1 if node.adjoint_number is None else 2
    shown = ["", "value", _derivative(w, node)][lines]
    wide = max(len(_title(node)), _ROOM + len(shown) if shown else 0)
    return max(104.0 if lines else 40.0, 16 + _LETTER * wide), 26.0 + 16 * lines


def _places(
    w: Lesson, passes: Mapping[str, Contribution]
) -> tuple[dict[str, _Box], dict[str, _Arrow], tuple[float, float]]:
    """Where everything goes, found by Graphviz from the sizes alone: it sees no label."""
    picture = new_picture("json", "LR")
    picture.attr(nodesep="0.22", ranksep="0.35")
    for node in w.nodes:
        width, height = _size(w, node)
        picture.node(
            node.id,
            label="",
            shape="box",
            fixedsize="true",
            width=f"{width / _POINTS_PER_INCH:.3f}",
            height=f"{height / _POINTS_PER_INCH:.3f}",
        )
    for node in w.nodes:
        for position, operand in enumerate(node.operands):
            id = f"{operand}-{node.id}-{position}"
            passed = passes.get(id)
            room = ""
            if passed is not None and passed.wanted:
                room = _order(w, node, position) and "1st "
                room += "×" + ("0" * len(_local(passed)) if w.symbolic else "−0.00000000")
            picture.edge(operand, node.id, id=id, label=room)
    return _read(picture.pipe(encoding="utf-8"))


def _read(layout: str) -> tuple[dict[str, _Box], dict[str, _Arrow], tuple[float, float]]:
    """The places that Graphviz found, in points from the top left corner, with a margin."""
    found = json.loads(layout)
    _, _, width, height = map(float, found["bb"].split(","))
    size = round(width + 2 * _MARGIN), round(height + 2 * _MARGIN)

    def place(point: Sequence[float]) -> tuple[float, float]:
        return point[0] + _MARGIN, size[1] - _MARGIN - point[1]

    boxes: dict[str, _Box] = {}
    for node in found["objects"]:
        xs, ys = zip(*map(place, _drawn(node, "_draw_", "p")["points"]), strict=True)
        middle = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
        boxes[node["name"]] = _Box(*middle, max(xs) - min(xs), max(ys) - min(ys))
    arrows: dict[str, _Arrow] = {}
    for edge in found.get("edges", ()):
        curve = list(map(place, _drawn(edge, "_draw_", "b")["points"]))
        tip = place(_drawn(edge, "_hdraw_", "P")["points"][1])
        label = place(_drawn(edge, "_ldraw_", "T")["pt"]) if "_ldraw_" in edge else None
        start, *rest = (f"{x:.1f} {y:.1f}" for x, y in curve)
        path = f"M{start}C{' '.join(rest)}L{tip[0]:.1f} {tip[1]:.1f}"
        arrows[edge["id"]] = _Arrow(path, label, tip, curve[-1])
    return boxes, arrows, size


def _drawn(thing: Mapping[str, Any], part: str, op: str) -> dict[str, Any]:
    """The first stroke of a kind that is drawn for a part of a node or edge."""
    stroke: dict[str, Any] = next(stroke for stroke in thing[part] if stroke["op"] == op)
    return stroke


def _order(w: Lesson, consumer: Node, position: int) -> str:
    """Which operand an edge brings, where that makes a difference."""
    ordered = not w.graph.ops[consumer.number].commutative
    if ordered and 1 < len(consumer.operands) <= 3:
        return f'<tspan class="order">{_PLACES[position]} </tspan>'
    return ""


_PLACES: Final = ("1st", "2nd", "3rd")


def _node(node: Node, box: _Box, numbers: LiveNumbers, known: Mapping[str, int], w: Lesson) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    frame = (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        'rx="4"/>'
    )
    if node.kind == "constant":
        name = f'<text x="{box.x:.1f}" y="{box.y + 4:.1f}" class="name">{escape(node.name)}</text>'
        return f'<g class="node constant" id="figure-{node.id}">{frame}{name}</g>'
    title = escape(lowered(_title(node), numbers.names))
    lines = [f'<text x="{box.x:.1f}" y="{top + 17:.1f}" class="name">{title}</text>']
    if not w.symbolic:
        lines.append(
            _line("value", node.number, left, top + 33, box.width, numbers, known.get(node.id, 0))
        )
    if node.adjoint_number is not None and not w.symbolic:
        what, at = _derivative(w, node), known.get(f"d{node.id}", 0)
        line = _line(what, node.adjoint_number, left, top + 50, box.width, numbers, at, "derived")
        lines.append(_arriving(line, w, node, numbers, known))
    return f'<g class="node {node.kind}" id="figure-{node.id}">{frame}{"".join(lines)}</g>'


def _arriving(
    line: str, w: Lesson, node: Node, numbers: LiveNumbers, known: Mapping[str, int]
) -> str:
    """The last line of a box with what has arrived at it after which step, until all has."""
    d = w.derivation
    arrivals = {edge_id(node.number, *edge): edge for edge in d.arrivals[node.number]}
    totals = [
        f"{known[id]}:{numbers.place(d.totals[edge])}"
        for id, edge in arrivals.items()
        if id in known
    ]
    return line.replace(" data-at=", f' data-far="{" ".join(totals)}" data-at=') if totals else line


def _line(
    what: str,
    number: int,
    left: float,
    y: float,
    width: float,
    numbers: LiveNumbers,
    at: int,
    kind: str = "value",
) -> str:
    said = escape(lowered(what, numbers.names))
    return (
        f'<text x="{left + 8:.1f}" y="{y:.1f}" class="what {kind}">{said}</text>'
        f'<text x="{left + width - 8:.1f}" y="{y:.1f}" class="number {kind}">'
        f"{_number(numbers, number, at)}</text>"
    )


def _number(numbers: LiveNumbers, number: int, at: int, *, bracketed: bool = False) -> str:
    """A number of the picture, which is a dash until step `at`."""
    return numbers.span(number, "tspan", bracketed=bracketed, at=at)


def _edge(
    w: Lesson,
    id: str,
    arrow: _Arrow,
    passed: Contribution | None,
    numbers: LiveNumbers,
    known: Mapping[str, int],
) -> str:
    consumer = w.node(id.split("-")[1])
    parts = [f'<path d="{arrow.path}" class="line" marker-end="url(#arrow)"/>']
    live = ""
    order = _order(w, consumer, int(id.rsplit("-", 1)[1]))
    if passed is not None and passed.wanted and passed.local_number is not None:
        place = numbers.place(passed.local_number)
        live = f' data-local="{place}"'
        parts.append(f'<path d="{arrow.path}" class="back" marker-start="url(#back)"/>')
        if arrow.label is not None:
            x, y = arrow.label
            at = known.get(id, 0)
            number = escape(lowered(_local(passed), numbers.names))
            if not w.symbolic:
                number = _number(numbers, passed.local_number, at, bracketed=True)
            parts.append(
                f'<text x="{x:.1f}" y="{y:.1f}" class="local">{order}'
                f'<tspan data-from="{at}">×{number}</tspan></text>'
            )
            order = ""
    if order:
        x, y = arrow.before_end
        end_x, end_y = arrow.end
        parts.append(
            f'<text x="{x - (end_x - x) * 1.2:.1f}" y="{y - (end_y - y) * 1.2 - 3:.1f}" '
            f'class="local">{order}</text>'
        )
    blocked = " blocked" if passed is not None and passed.wanted and passed.blocked else ""
    return f'<g class="edge{blocked}" id="figure-{id}"{live}>{"".join(parts)}</g>'
