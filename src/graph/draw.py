"""Pictures of expressions: what was computed, from what, and the derivative of each part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..errors import OperandError, SizeError, shorten
from . import ops
from .arithmetic import Arithmetic
from .expr import Expr, Graph, common_graph, given_values, is_name, live_nodes
from .formula import notation, number_text, text
from .operation import ATOM, UNARY, Op
from .picture import new_picture
from .value import Value, topological

if TYPE_CHECKING:
    import graphviz

MAX_BOXES: Final = 2_000
"""The largest picture, in boxes: more than anyone can read."""
MAX_LABEL: Final = 60
"""The longest label shown, in characters; the rest becomes an ellipsis."""

_FORMULA: Final = 36
_DERIVED: Final = "#D55E00"
"""Vermillion of the colour-blind-safe palette of Okabe & Ito (2008); dashes say the same."""
_UNORDERED: Final = frozenset((ops.ADD, ops.MUL, ops.EQ, ops.NE))
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


def draw_dot(
    root: Expr | Value | Sequence[Expr | Value],
    format: str = "svg",
    rankdir: str = "LR",
    *,
    at: Mapping[Any, float] | None = None,
) -> graphviz.Digraph:
    """The graph that `root` was computed by, as a picture.

    A `Value` shows one box "label | data | grad" for each number, with the operations between them;
    a grad that `backward` has not computed is "—". An `Expr`, or a sequence such as
    `[loss, *grads]`, shows one box "label | formula or operation | value" for each node, the value
    "—" unless the leaves carry numbers or `at` gives them; nodes that `grad` derived are dashed.
    An operand that is used twice has two edges; where the order of operands counts, the edges
    carry the positions 0, 1, …

    The result is a `graphviz.Digraph`: `.render(outfile="o.svg")`, `.pipe()`, `.source`; notebooks
    show it. Errors: `ValueError` for a format or rankdir that does not exist; `SizeError` beyond
    `MAX_BOXES` boxes.

    >>> x = Value(3.0, label="x")
    >>> [line.strip() for line in draw_dot(x * x).source.splitlines() if "->" in line]
    ['n1_op -> n1', 'n0 -> n1_op', 'n0 -> n1_op']
    """
    roots = _roots(root)
    picture = new_picture(format, rankdir)
    if at is None and all(isinstance(thing, Value) for thing in roots):
        _draw_values(picture, roots)
    else:
        graph = common_graph(roots)
        nodes = [graph.node_of(thing) for thing in roots]
        _draw_graph(picture, graph, nodes, given_values(graph, at or {}))
    return picture


def _roots(root: Any) -> list[Any]:
    things = [root] if isinstance(root, Arithmetic) or not isinstance(root, Iterable) else [*root]
    for thing in things:
        if not isinstance(thing, Arithmetic):
            raise OperandError(
                f"cannot draw {shorten(thing)}, a {type(thing).__name__}; "
                "expected an Expr, a Value, or a sequence of them"
            )
    if not things:
        raise OperandError("nothing to draw: the sequence is empty")
    return things


def _draw_values(picture: graphviz.Digraph, roots: Sequence[Value]) -> None:
    """One box for each number, one small node for the operation that made it."""
    values = list(topological(*roots))
    _check_size(len(values))
    box = {value: f"n{i}" for i, value in enumerate(values)}
    ends = set(roots)
    swept = any(end.grad != 0 for end in ends)
    for value in values:
        grad = f"grad {_fixed(value.grad) if swept or value.grad else '—'}"
        cells = (escape(value.label), f"data {_fixed(value.data)}", grad)
        _record(picture, box[value], cells, end=value in ends)
        if value.op is not None and value.operands:
            sign = f"{box[value]}_op"
            picture.node(
                sign,
                label=escape(value.op.sign(value.statics)),
                width="0.4",
                height="0.4",
                margin="0.05,0.02",
            )
            picture.edge(sign, box[value])
            _edges(picture, value.op, [box[operand] for operand in value.operands], sign, {})


def _draw_graph(
    picture: graphviz.Digraph, graph: Graph, roots: Sequence[int], given: Mapping[int, float]
) -> None:
    """One box for each node; a constant has a small box of its own wherever it is used."""
    live = live_nodes(graph, roots)
    ends = set(roots)
    repeated = {node for node in live if graph.ops[node] is ops.CONSTANT and node not in ends}
    _check_size(
        len(live)
        - len(repeated)
        + sum(operand in repeated for node in live for operand in graph.operands[node])
    )
    known, formulas = _known_values(graph, live, given), _short_formulas(graph, live)
    names = _names()
    box: dict[int, str] = {}
    for node in live:
        if node in repeated:
            continue
        derived = graph.origins[node] is not None
        style = {"style": "dashed", "color": _DERIVED} if derived else {}
        sources = []
        for operand in graph.operands[node]:
            source = box.get(operand)
            if source is None:
                source = next(names)
                label = escape(number_text(known[operand]))
                picture.node(source, label=label, shape="box", height="0.3", width="0.3")
            sources.append(source)
        box[node] = next(names)
        cells = [*_describe(graph, node, formulas), _fixed(known[node]) if node in known else "—"]
        _record(picture, box[node], cells, end=node in ends, **style, **_tooltip(graph, node))
        _edges(picture, graph.ops[node], sources, box[node], style)
    if any(graph.origins[node] is not None for node in box):
        note = "dashed: derived by grad"
        picture.graph_attr.update(label=note, fontname="Helvetica", fontsize="11")


def _describe(graph: Graph, node: int, formulas: Mapping[int, str]) -> list[str]:
    """What a box says before its number: the label, if any, and the formula or the operation."""
    op = graph.ops[node]
    if op is ops.CONSTANT:
        return [op.name]
    if not op.arity:
        return [escape(graph.labels[node]), op.name]
    label = graph.labels.get(node, "")
    primal = graph.adjoint_of.get(node)
    if not label and primal is not None:
        label = f"grad {graph.labels.get(primal) or formulas.get(primal, '')}".rstrip()
    formula = escape(formulas.get(node) or op.sign(graph.statics.get(node, ())))
    return [escape(label), formula] if label and escape(label) != formula else [formula]


def _short_formulas(graph: Graph, live: Sequence[int]) -> dict[int, str]:
    """The formula of each node that has one short enough for a box.

    Labelled nodes stand in the formulas of others by their label, where that is a name.
    """
    formulas: dict[int, str] = {}
    pieces: dict[int, tuple[str, int]] = {}
    for node in live:
        operands = graph.operands[node]
        label = graph.labels.get(node, "")
        if graph.ops[node] is ops.CONSTANT:
            number = number_text(graph.value(node) or 0.0)
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


def _tooltip(graph: Graph, node: int) -> dict[str, str]:
    """The longer formula, shown where the pointer rests on a box of an SVG."""
    if not graph.operands[node]:
        return {}
    return {"tooltip": escape(text(Expr(graph, node), max_terms=40), 300)}


def _known_values(
    graph: Graph, live: Sequence[int], given: Mapping[int, float]
) -> dict[int, float]:
    """The number of each node that can be computed from what the leaves carry and `given` says."""
    known: dict[int, float] = {}
    for node in live:
        operands = graph.operands[node]
        number: float | None
        if not operands:
            number = given.get(node, graph.value(node))
        elif all(operand in known for operand in operands):
            arguments = [known[operand] for operand in operands]
            try:
                number = graph.ops[node].evaluate(*arguments, *graph.statics.get(node, ()))
            except OverflowError:
                number = None
        else:
            number = None
        if number is not None:
            known[node] = number
    return known


def _record(
    picture: graphviz.Digraph, name: str, cells: Iterable[str], *, end: bool, **style: str
) -> None:
    """A box of cells, its border thicker when it is what the picture is about."""
    weight = {"penwidth": "2"} if end else {}
    picture.node(name, label=f"{{ {' | '.join(cells)} }}", shape="record", **weight, **style)


def _edges(
    picture: graphviz.Digraph, op: Op, sources: Sequence[str], target: str, style: Mapping[str, str]
) -> None:
    """An edge for each operand, repeats included, with its position where the order counts."""
    ordered = len(sources) > 1 and op not in _UNORDERED
    for position, source in enumerate(sources):
        tag = {"label": str(position)} if ordered else {}
        picture.edge(source, target, **tag, **style)


def _names() -> Iterator[str]:
    return (f"n{i}" for i in range(MAX_BOXES + 1))


def _check_size(boxes: int) -> None:
    if boxes > MAX_BOXES:
        raise SizeError(
            f"this picture would have {boxes:,} boxes; the most that is drawn is {MAX_BOXES:,}. "
            "Draw a part of it: one neuron, such as draw_dot(net.layers[0].neurons[0](x)), "
            "one sample instead of the whole loss, or one gradient instead of all"
        )


def _fixed(number: float) -> str:
    """A number with four decimals, as in the boxes of micrograd; very large ones by their exponent.

    >>> _fixed(0.5), _fixed(-1.25e30), _fixed(float("inf"))
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
