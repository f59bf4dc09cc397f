"""Forward and backward in one picture: what multiplies a cotangent on its way along each edge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import OperandError, shorten
from ..graph.arithmetic import Arithmetic
from ..graph.evaluation import given_values
from ..graph.expr import Expr, Graph, common_graph
from ..graph.formula import notation as written
from ..graph.numbertext import number_text
from ..graph.store import is_name, live_nodes
from ..graph.written import text
from ..ops import scalar as ops
from ..ops.ieee import Float
from ..ops.record import PRODUCT
from .boxes import DERIVED, caption, check_size, edges, escape, fixed, known_values, record

if TYPE_CHECKING:
    import graphviz

Edge = tuple[int, int]
"""A node and the position of one of its operands."""


def draw_backward(
    picture: graphviz.Digraph, roots: Sequence[Any], wrt: Any, at: Mapping[Any, float]
) -> None:
    """Draw both passes of the one root; see `draw_dot`."""
    if len(roots) != 1:
        raise OperandError(f"backward draws the derivatives of one output; got {len(roots)}")
    leaves = [] if wrt is True else list(wrt) if isinstance(wrt, Iterable) else [wrt]
    for leaf in leaves:
        if not isinstance(leaf, Arithmetic):
            raise OperandError(
                f"backward is {shorten(wrt)}; expected True, a leaf, or a sequence of leaves"
            )
    graph = common_graph([*roots, *leaves])
    root = graph.node_of(roots[0])
    live = live_nodes(graph, [root])
    if any(node in graph.shapes for node in live):
        raise OperandError("backward draws scalars; draw [output, *gradients] for arrays")
    check_size(len(live))
    asked = {graph.node_of(leaf) for leaf in leaves} or {
        node for node in live if graph.is_leaf(node) and graph.ops[node] is not ops.CONSTANT
    }
    passed = _passed(graph, live, asked)
    known = known_values(graph, live, given_values(graph, at))
    slopes = _slopes(graph, passed, known)
    grads = _grads(graph, live, root, passed, slopes)
    names = _names(graph, live)
    for node in live:
        if graph.ops[node] is ops.CONSTANT:
            picture.node(
                f"n{node}", label=escape(names[node]), shape="box", height="0.3", width="0.3"
            )
            continue
        cells = [_title(graph, node, names)]
        cells.append(f"data {fixed(known[node])}" if node in known else "data —")
        if node in grads or any(operand == node for operand, _ in passed.values()) or node == root:
            cells.append(f"grad {fixed(grads[node])}" if node in grads else "grad —")
        record(picture, f"n{node}", cells, {}, end=node == root)
        operands = graph.operands[node]
        edges(picture, graph.ops[node], [f"n{operand}" for operand in operands], f"n{node}", {})
        for position, operand in enumerate(operands):
            if (node, position) in passed:
                label = _local(graph, (node, position), slopes, names)
                blocked = (
                    {"style": "dotted", "color": "gray50", "fontcolor": "gray35"}
                    if label == "0"
                    else {}
                )
                ordered = len(operands) > 1 and not graph.ops[node].commutative
                place = f"{position}: " if ordered else ""  # parallel edges lie side by side
                picture.edge(
                    f"n{operand}",
                    f"n{node}",
                    dir="none" if blocked else "back",
                    label=f"{place}×{escape(label, 30)}",
                    **{**DERIVED, **blocked},
                )
    caption(
        picture,
        "dashed: the backward pass; it multiplies by the local derivative on the edge, "
        "and adds what arrives at a box",
    )


def _passed(graph: Graph, live: Sequence[int], asked: set[int]) -> dict[Edge, tuple[int, int]]:
    """The edges that a cotangent takes towards the leaves asked for, with operand and node."""
    leading = set(asked)
    for node in live:
        if any(
            operand in leading and rule is not None
            for operand, rule in zip(graph.operands[node], graph.ops[node].vjp, strict=False)
        ):
            leading.add(node)
    return {
        (node, position): (operand, node)
        for node in live
        for position, operand in enumerate(graph.operands[node])
        if operand in leading and graph.ops[node].vjp[position] is not None
    }


def _slopes(
    graph: Graph, passed: Mapping[Edge, tuple[int, int]], known: Mapping[int, float]
) -> dict[Edge, float]:
    """The local derivatives that are numbers: the rule of the operation, for the cotangent 1."""
    found = {}
    for node, position in passed:
        operands = graph.operands[node]
        if all(part in known for part in (node, *operands)):
            rule = graph.ops[node].vjp[position]
            assert rule is not None
            arguments = [Float(known[part]) for part in (node, *operands)]
            found[node, position] = float(
                rule(Float(1.0), *arguments, *graph.statics.get(node, ()))
            )
    return found


def _grads(
    graph: Graph,
    live: Sequence[int],
    root: int,
    passed: Mapping[Edge, tuple[int, int]],
    slopes: Mapping[Edge, float],
) -> dict[int, float]:
    """The derivative of the root by each node that a cotangent reaches; empty without numbers."""
    if len(slopes) < len(passed):
        return {root: 1.0}
    grads = {root: Float(1.0)}
    for node in reversed(live):
        for position, operand in enumerate(graph.operands[node]):
            if (node, position) in passed and node in grads:
                share = grads[node] * slopes[node, position]
                grads[operand] = grads.get(operand, Float(0.0)) + share
    return {node: float(number) for node, number in grads.items()}


def _names(graph: Graph, live: Sequence[int]) -> dict[int, str]:
    """A name for each node: a number, its label where that is a free name, or else v1, v2."""
    names: dict[int, str] = {}
    taken = {graph.labels.get(node, "") for node in live}
    used: set[str] = set()
    count = 0
    for node in live:
        label = graph.labels.get(node, "")
        if graph.ops[node] is ops.CONSTANT:
            names[node] = number_text(graph.value(node))
            continue
        if not is_name(label) or label in used:
            count += 1
            while f"v{count}" in taken:
                count += 1
            label = f"v{count}"
        names[node] = label
        used.add(label)
    return names


def _title(graph: Graph, node: int, names: Mapping[int, str]) -> str:
    """The first cell: the name, and the operation on the names of its operands."""
    operands = graph.operands[node]
    if not operands:
        return escape(names[node])
    form = written(graph, node, "text")
    parts = [
        f"({name})" if name.startswith("-") and slot else name
        for name, slot in zip((names[part] for part in operands), form.slots, strict=False)
    ]
    formula = escape(f"{names[node]} = {form.template.format(*parts)}")
    label = graph.labels.get(node, "")
    return formula if not label or label == names[node] else f"{escape(label)} | {formula}"


def _local(graph: Graph, edge: Edge, slopes: Mapping[Edge, float], names: Mapping[int, str]) -> str:
    """The local derivative on an edge, to stand after ×: a number if it is known, or a formula."""
    if edge in slopes:
        return f"{slopes[edge] + 0.0:.4g}"
    from ..simplify.pipeline import simplify

    node, position = edge
    op = graph.ops[node]
    local = Graph()
    leaves = {
        part: local.constant(graph.value(part))
        if graph.ops[part] is ops.CONSTANT
        else local.input(names[part])
        for part in dict.fromkeys((*graph.operands[node], node))
    }
    rule = op.vjp[position]
    assert rule is not None
    operands = [leaves[part] for part in graph.operands[node]]
    share = rule(local.constant(1), leaves[node], *operands, *graph.statics.get(node, ()))
    factor: Expr = simplify(local[local.node_of(share)])
    loose = not factor.is_leaf and written(factor.graph, factor.id, "text").binds < PRODUCT
    return f"({text(factor)})" if loose else text(factor)
