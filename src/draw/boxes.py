"""What pictures are made of: boxes of cells, edges, and texts that cannot break either."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..errors import SizeError
from ..graph.arraytext import array_text
from ..graph.expr import Graph
from ..graph.formula import notation
from ..graph.numbertext import number_text
from ..graph.store import is_name
from ..ops import scalar as ops
from ..ops.record import ATOM, UNARY, Op, evaluate_arrays

if TYPE_CHECKING:
    import graphviz

MAX_BOXES: Final = 2_000
"""The largest picture, in boxes: more than anyone can read."""

MAX_LABEL: Final = 60
"""The longest label shown, in characters; the rest becomes an ellipsis."""

DERIVED: Final = {"style": "dashed", "color": "#D55E00", "fontcolor": "#A34700"}
"""The look of what `grad` derived: dashes, and vermillion of the colour-blind-safe palette of Okabe
& Ito (2008), darker for letters."""

_ABOVE: Final = "#0072B2"
_BELOW: Final = "#D55E00"
"""The colours of weights above and below 0, of the same palette."""

_FORMULA: Final = 36
_ENTITIES: Final = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "{": "&#123;",
    "|": "&#124;",
    "}": "&#125;",
    "\\": r"\\",
}


def record(
    picture: graphviz.Digraph,
    name: str,
    cells: Iterable[str],
    style: Mapping[str, str],
    *,
    end: bool,
    array: bool = False,
) -> None:
    """A box of cells: a thicker border marks what the picture is about, round corners an array."""
    weight = {"penwidth": "2"} if end else {}
    shape = "Mrecord" if array else "record"
    picture.node(name, label=f"{{ {' | '.join(cells)} }}", shape=shape, **weight, **style)


def weight_style(weight: float, largest: float) -> dict[str, str]:
    """The look of an edge along which a weight multiplies: its sign by colour, its size by width.

    >>> weight_style(-1.0, 2.0)
    {'color': '#D55E00', 'penwidth': '2.2', 'tooltip': '-1'}
    """
    width = 0.4 + 3.6 * abs(weight) / (largest or 1.0)
    colour = _ABOVE if weight >= 0 else _BELOW
    return {"color": colour, "penwidth": f"{width:.2g}", "tooltip": f"{weight:.6g}"}


def edges(
    picture: graphviz.Digraph, op: Op, sources: Sequence[str], target: str, style: Mapping[str, str]
) -> None:
    """An edge for each operand, repeats included, with its position where the order counts."""
    ordered = len(sources) > 1 and not op.commutative
    for position, source in enumerate(sources):
        tag = {"label": str(position)} if ordered else {}
        picture.edge(source, target, **tag, **style)


def short_formulas(graph: Graph, live: Sequence[int]) -> dict[int, str]:
    """The formula of each node that has one short enough for a box.

    Labelled nodes stand in the formulas of others by their label, where that is a name.
    """
    formulas: dict[int, str] = {}
    pieces: dict[int, tuple[str, int]] = {}
    for node in live:
        operands = graph.operands[node]
        label = graph.labels.get(node, "")
        if graph.ops[node] is ops.CONSTANT:
            number = constant_text(graph, node)
            pieces[node] = number, UNARY if number.startswith("-") else ATOM
        elif all(operand in pieces for operand in operands):
            form = notation(graph, node, "text")
            parts = [
                f"({written})" if binds < slot else written
                for (written, binds), slot in zip(
                    [pieces[operand] for operand in operands], form.slots, strict=False
                )
            ]
            formula = form.template.format(*parts) if operands else label
            if len(formula) <= _FORMULA:
                formulas[node] = formula
                pieces[node] = formula, form.binds if operands else ATOM
        if operands and is_name(label):
            pieces[node] = label, ATOM
    return formulas


def constant_text(graph: Graph, node: int) -> str:
    """A constant as a formula shows it, which is short for an array."""
    value = graph.value(node)
    return array_text(value) if node in graph.shapes else number_text(value)


def known_values(graph: Graph, live: Sequence[int], given: Mapping[int, Any]) -> dict[int, Any]:
    """The number of each node that can be computed from what the leaves carry and `given` says."""
    known: dict[int, Any] = {}
    for node in live:
        operands = graph.operands[node]
        if not operands:
            number = given.get(node, graph.value(node))
        elif all(operand in known for operand in operands):
            arguments = [known[operand] for operand in operands]
            op, statics = graph.ops[node], graph.statics.get(node, ())
            if node in graph.shapes or op.shape is not None:
                number = evaluate_arrays(op, arguments, statics)
            else:
                number = op.evaluate(*arguments, *statics)
        else:
            number = None
        if number is not None:
            known[node] = number
    return known


def fixed(number: float) -> str:
    """A number with four decimals, as in the boxes of micrograd; very large ones by their exponent.

    >>> fixed(0.5), fixed(-1.25e30), fixed(float("inf"))
    ('0.5000', '-1.2500e+30', 'inf')
    """
    try:
        return f"{number:.4f}" if abs(number) < 1e9 else f"{number:.4e}"
    except OverflowError:
        return "-inf" if number < 0 else "inf"


def escape(label: object, limit: int = MAX_LABEL) -> str:
    r"""Free text made harmless as (a cell of) a Graphviz label, and cut to `limit` characters.

    White space becomes single spaces. Characters that are not shown, such as marks that reverse the
    direction of writing, are written as their code.

    >>> print(escape("a|b {c} \\N <b>"), escape("x\u202ey"))
    a&#124;b &#123;c&#125; \\N &lt;b&gt; x[U+202E]y
    """
    shown = "" if label is None else " ".join(str(label)[: 4 * limit + 4].split())
    if len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    return "".join(_ENTITIES.get(c, c) if c.isprintable() else f"[U+{ord(c):04X}]" for c in shown)


def caption(picture: graphviz.Digraph, note: str) -> None:
    """A line below the picture."""
    # Room on both sides, for browsers whose letters are a little wider.
    picture.graph_attr.update(
        label=f"\u00a0\u00a0{escape(note, 200)}\u00a0\u00a0", fontname="Helvetica", fontsize="11"
    )


def check_size(boxes: int) -> None:
    """A `SizeError` for a picture of more than `MAX_BOXES` boxes."""
    if boxes > MAX_BOXES:
        raise SizeError(
            f"this picture would have {boxes:,} boxes; the most that is drawn is {MAX_BOXES:,}. "
            "Draw a part of it: one neuron, such as draw_dot(net.layers[0].neurons[0](x)), "
            "one sample instead of the whole loss, or one gradient instead of all"
        )
