"""A large expression with each labelled part, such as a neuron, as one operation.

A part becomes an operation of its own: its value is that of the part, its derivative rules are the
part's derivatives, made by `grad`. The walk-through then needs to know nothing of parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..derive.backward import grad
from ..graph.evaluation import node_values
from ..graph.expr import Graph
from ..graph.rewrite import Rewritten, Walk, extract, replay, rewritten
from ..graph.store import live_nodes
from ..ops.record import Op, call
from ..ops.scalar import CONSTANT
from .notation import PART

MAX_NAMED: Final = 40
"""How many labelled parts are looked at to suggest one."""


def parts(graph: Graph, at_most: int = MAX_NAMED) -> dict[str, int]:
    """Some labelled computed nodes of a graph, and how many operations each is computed by."""
    computed = [(node, label) for node, label in graph.labels.items() if graph.operands[node]]
    sizes = {
        label: sum(1 for n in live_nodes(graph, [node]) if graph.operands[n])
        for node, label in computed[:at_most]
    }
    return dict(sorted(sizes.items(), key=lambda item: (item[1], item[0])))


def part_count(graph: Graph) -> int:
    """How many operations `collapsed` leaves."""
    return len(_ends(graph, graph.outputs[0]))


def collapsed(graph: Graph) -> Rewritten:
    """A transform: one operation for each labelled part, and for the output.

    A label on a node that only one other labelled part uses counts as a step within that part, as
    the weighted sum within a neuron does.
    """
    (root,) = graph.outputs
    ends = _ends(graph, root)

    def write(walk: Walk, node: int) -> int | None:
        if graph.is_leaf(node):
            return None
        inside, borders = _block(graph, node, ends)
        if len(inside) == 1 and graph.operands[node] == tuple(borders):
            return None
        operands = tuple(walk.images[border] for border in borders)
        return walk.target.append(_operation(graph, node, inside, borders), operands)

    kept = [node for node in live_nodes(graph, [root]) if graph.is_leaf(node) or node in ends]
    return rewritten(graph, [root], write, order=kept)


def _ends(graph: Graph, root: int) -> set[int]:
    """The nodes that stay: labelled ones, but for those inside a single other part."""
    live = live_nodes(graph, [root])
    ends = {node for node in live if graph.operands[node] and node in graph.labels} | {root}
    consumers: dict[int, list[int]] = {node: [] for node in live}
    for node in live:
        for operand in graph.operands[node]:
            consumers[operand].append(node)
    for node in list(live):
        if node in ends and node != root and _is_inner(graph, node, consumers, ends):
            ends.discard(node)
    return ends


def _is_inner(
    graph: Graph, node: int, consumers: Mapping[int, Sequence[int]], ends: set[int]
) -> bool:
    """Whether the one thing done with a node is an operation of one operand that is labelled."""
    after = consumers[node]
    return len(after) == 1 and graph.ops[after[0]].arity == 1 and after[0] in ends


def _block(graph: Graph, end: int, ends: set[int]) -> tuple[list[int], list[int]]:
    """The nodes computed inside a part, operands first, and what the part reads, in order."""
    inside, borders, stack = {end}, set(), [end]
    while stack:
        for operand in graph.operands[stack.pop()]:
            if operand in ends or graph.is_leaf(operand):
                borders.add(operand)
            elif operand not in inside:
                inside.add(operand)
                stack.append(operand)
    constants = {node for node in borders if graph.ops[node] is CONSTANT}
    return sorted(inside), sorted(borders - constants)


def _operation(graph: Graph, end: int, inside: Sequence[int], borders: Sequence[int]) -> Op:
    """The part as an operation: evaluation by the table, derivative rules by `grad`."""
    name = graph.labels.get(end) or "output"
    block = Graph()
    inputs = {border: block.input(f"x{i}").id for i, border in enumerate(borders)}
    images = replay(graph, [end], block, inputs)
    leaves = [block[i] for i in range(len(borders))]
    out = block[images[end]]
    slopes = [extract([slope]) for slope in grad(out, leaves, allow_unused=True)]
    value = extract([out])
    return Op(
        name=PART,
        arity=len(borders),
        evaluate=lambda *numbers: _value(value, numbers),
        sympy=lambda sp, *symbols: _replay(value, symbols),
        vjp=tuple(_rule(slope) for slope in slopes),
        notation={
            "text": call(
                name.replace("{", "{{").replace("}", "}}"),
                ", ".join(f"{{{i}}}" for i in range(len(borders))),
            ),
            "latex": call(
                rf"\operatorname{{{{{_plain(name)}}}}}",
                ", ".join(f"{{{i}}}" for i in range(len(borders))),
            ),
        },
        sentence=f"{name} stands for {len(inside)} operations; its derivative is the chain rule's "
        "answer for all of them together",
        domain=((-1.0, 1.0),) * len(borders),
    )


def _plain(name: str) -> str:
    return "".join(c for c in name.replace("_", r"\_") if c.isalnum() or c in r"\_")


def _value(graph: Graph, numbers: Sequence[float]) -> float:
    given = {
        graph.leaves[f"x{i}"]: number for i, number in enumerate(numbers) if f"x{i}" in graph.leaves
    }
    return float(node_values(graph, range(len(graph)), given)[graph.outputs[0]])


def _replay(graph: Graph, arguments: Sequence[Any]) -> Any:
    """The expression of `graph` on other operands: numbers, nodes, sympy symbols."""
    made: list[Any] = []
    for node in range(len(graph)):
        if graph.ops[node] is CONSTANT:
            made.append(graph.value(node))
        elif graph.is_leaf(node):
            made.append(arguments[int(graph.labels[node][1:])])
        else:
            operands = [made[operand] for operand in graph.operands[node]]
            made.append(graph.ops[node](*operands, *graph.statics.get(node, ())))
    return made[graph.outputs[0]]


def _rule(slope: Graph) -> Callable[..., Any]:
    def rule(ct: Any, out: Any, *operands: Any) -> Any:
        return ct * _replay(slope, operands)

    return rule
