"""Pictures of expressions: what was computed, from what, and the derivative of each part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..arrays.roll import Rolled
from ..errors import OperandError, UnknownNameError, formula_hint, kind_of, shorten
from ..graph.arithmetic import Arithmetic
from ..graph.evaluation import given_values
from ..graph.expr import Expr, Graph, common_graph
from ..graph.store import live_nodes
from ..graph.value import Value, topological
from ..graph.written import text
from ..ops import scalar as ops
from .backward_picture import draw_backward
from .boxes import (
    DERIVED,
    MAX_BOXES,
    caption,
    check_size,
    constant_text,
    edges,
    escape,
    fixed,
    known_values,
    record,
    short_formulas,
)
from .groups import MANY_NODES, draw_groups, groups_of
from .picture import new_picture
from .statements import draw_statements

if TYPE_CHECKING:
    import graphviz


def draw_dot(
    root: Expr | Value | Sequence[Expr | Value] | Rolled,
    format: str = "svg",
    rankdir: str = "LR",
    *,
    at: Mapping[Any, float] | None = None,
    backward: bool | Expr | Value | Sequence[Expr | Value] = False,
    collapse: bool | str | None = None,
) -> graphviz.Digraph:
    """The graph that `root` was computed by, as a picture.

    A `Value` shows one box "label | data | grad" for each number, with the operations between them;
    a grad that `backward` has not computed is "—". An `Expr`, or a sequence such as
    `[loss, *grads]`, shows one box "label | formula or operation | value" for each node, the value
    "—" unless the leaves carry numbers or `at` gives them; nodes that `grad` derived are dashed.
    An operand that is used twice has two edges; where the order of operands counts, the edges
    carry the positions 0, 1, … Arrays have rounded boxes, with their shape in place of a number;
    what `roll` answers is drawn as its arrays, with the statements that compute them.

    backward  one picture of both passes of one output: a dashed edge back along each edge that a
              cotangent takes, with the local derivative that multiplies it, and in each box the
              derivative of the output. True for the derivatives by all leaves, or some leaves
    collapse  "neuron", "layer" or "array": one box for each, with the number of nodes in it; an
              array is all that is computed alike. None chooses for more than 150 nodes, by how
              many boxes that makes, False draws every node

    The result is a `graphviz.Digraph`: `.render(outfile="o.svg")`, `.pipe()`, `.source`; notebooks
    show it. Errors: `ValueError` for a format or rankdir that does not exist; `SizeError` beyond
    `MAX_BOXES` boxes.

    >>> x = Value(3.0, label="x")
    >>> [line.strip() for line in draw_dot(x * x).source.splitlines() if "->" in line]
    ['n1_op -> n1', 'n0 -> n1_op', 'n0 -> n1_op']
    """
    picture = new_picture(format, rankdir)
    if isinstance(root, Rolled):
        draw_statements(picture, root.program)
        return picture
    roots = _roots(root)
    ways = ["neuron", "layer", "array"]
    if collapse not in (None, False, *ways):
        raise UnknownNameError.of("way to collapse", collapse, ways)
    if backward is not False:
        draw_backward(picture, roots, backward, at or {})
    elif at is None and not collapse and all(map(_is_value, roots)) and _fits(roots, collapse):
        _draw_values(picture, roots)
    else:
        graph = common_graph(roots)
        nodes = [graph.node_of(thing) for thing in roots]
        _draw_graph(picture, graph, nodes, given_values(graph, at or {}), collapse)
    return picture


def _is_value(thing: Any) -> bool:
    return isinstance(thing, Value)


def _fits(roots: Sequence[Value], collapse: bool | str | None) -> bool:
    """Whether the values are few enough to be drawn one by one."""
    return collapse is False or len(list(islice(topological(*roots), MANY_NODES + 1))) <= MANY_NODES


def _roots(root: Any) -> list[Any]:
    things = [root] if isinstance(root, Arithmetic) or not isinstance(root, Iterable) else [*root]
    for thing in things:
        if not isinstance(thing, Arithmetic):
            raise OperandError(
                f"cannot draw {shorten(thing)}, {kind_of(thing)}; "
                f"expected an Expr, a Value, or a sequence of them{formula_hint(root)}"
            )
    if not things:
        raise OperandError("nothing to draw: the sequence is empty")
    return things


def _draw_values(picture: graphviz.Digraph, roots: Sequence[Value]) -> None:
    """One box for each number, one small node for the operation that made it."""
    values = list(topological(*roots))
    check_size(len(values))
    box = {value: f"n{i}" for i, value in enumerate(values)}
    ends = set(roots)
    swept = any(end.grad != 0 for end in ends)
    for value in values:
        grad = f"grad {fixed(value.grad) if swept or value.grad else '—'}"
        cells = (escape(value.label), f"data {fixed(value.data)}", grad)
        record(picture, box[value], cells, {}, end=value in ends)
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
            edges(picture, value.op, [box[operand] for operand in value.operands], sign, {})


def _draw_graph(
    picture: graphviz.Digraph,
    graph: Graph,
    roots: Sequence[int],
    given: Mapping[int, float],
    collapse: bool | str | None,
) -> None:
    """One box for each node; a constant has a small box of its own wherever it is used."""
    live = live_nodes(graph, roots)
    groups = {} if collapse is False else groups_of(graph, live, roots, collapse or None)
    if groups:
        draw_groups(picture, graph, live, roots, groups)
        return
    ends = set(roots)
    repeated = {node for node in live if graph.ops[node] is ops.CONSTANT and node not in ends}
    check_size(
        len(live)
        - len(repeated)
        + sum(operand in repeated for node in live for operand in graph.operands[node])
    )
    known, formulas = known_values(graph, live, given), short_formulas(graph, live)
    names = _names()
    box: dict[int, str] = {}
    for node in live:
        if node in repeated:
            continue
        derived = graph.origins[node] is not None
        style = DERIVED if derived else {}
        sources = []
        for operand in graph.operands[node]:
            source = box.get(operand)
            if source is None:
                source = next(names)
                label = escape(constant_text(graph, operand))
                picture.node(source, label=label, shape="box", height="0.3", width="0.3")
            sources.append(source)
        box[node] = next(names)
        cells = [*_describe(graph, node, formulas), _content(graph, node, known)]
        record(
            picture,
            box[node],
            cells,
            {**style, **_tooltip(graph, node)},
            end=node in ends,
            array=node in graph.shapes,
        )
        edges(picture, graph.ops[node], sources, box[node], style)
    notes = ["dashed: derived by grad"] * any(graph.origins[node] is not None for node in box)
    notes += ["rounded: an array, with its shape"] * any(node in graph.shapes for node in box)
    if notes:
        caption(picture, "; ".join(notes))


def _content(graph: Graph, node: int, known: Mapping[int, Any]) -> str:
    """The last cell of a box: a number, the shape of an array, a dash where nothing is known."""
    if node in graph.shapes:
        return escape(" × ".join("samples" if n == -1 else str(n) for n in graph.shapes[node]))
    return fixed(known[node]) if node in known else "—"


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


def _tooltip(graph: Graph, node: int) -> dict[str, str]:
    """The longer formula, shown where the pointer rests on a box of an SVG."""
    if not graph.operands[node]:
        return {}
    return {"tooltip": escape(text(Expr(graph, node), max_terms=40), 300)}


def _names() -> Iterator[str]:
    return (f"n{i}" for i in range(MAX_BOXES + 1))
