"""Lowering: from a graph to a `Program`. Decides order, stage, section and names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import MissingInputError, ShapeError
from ..graph.expr import Expr, Graph
from ..graph.store import live_nodes
from ..ops.scalar import CONSTANT, INPUT, STOP_GRADIENT, TOTAL
from ..ops.shapes import Shape
from .names import Namespace, called_elsewhere
from .program import Gather, Group, Instruction, Nested, Operand, Program, flatten, map_nested

ONCE, EACH, AFTER = "once", "each", "after"


@dataclass(frozen=True)
class Signature:
    """One argument group before lowering: its name, and its leaves' names in the graph and shapes.

    Without `shapes` every leaf is a number.
    """

    name: str
    leaves: tuple[str, ...]
    scalar: bool
    batched: bool
    shapes: tuple[Shape, ...] = ()

    @property
    def holds_arrays(self) -> bool:
        """Whether a leaf of it is an array."""
        return any(self.shapes)


def lower(
    graph: Graph,
    outputs: Nested,
    signatures: Sequence[Signature],
    *,
    name: str = "f",
    stacked: frozenset[int] = frozenset(),
    wishes: Mapping[int, str] | None = None,
) -> Program:
    """The program that computes `outputs`, a nesting of node numbers of `graph`.

    Leaves that no signature names contribute the number they carry. Nodes in `stacked` are
    collected per sample; every other output is independent of the sample, or a function of totals.
    `wishes` are names for nodes, taken before any other hint.
    """
    roots = [node for _, node in flatten(outputs)]
    live = live_nodes(graph, roots)
    named = {leaf for signature in signatures for leaf in signature.leaves}
    _check_leaves(graph, live, named)
    stages = _stages(graph, live, signatures)
    names = _Names(graph, signatures, outputs, name, wishes or {})
    operands = names.leaf_operands(live)
    batched = any(signature.batched for signature in signatures)
    gather_nodes = [node for node in live if batched and graph.ops[node] is TOTAL]
    renamed = [node for node in dict.fromkeys(roots) if not _is_alias(graph, node)]
    variables = {node: names.of(node) for node in renamed if node not in operands}
    totals = {node: names.of(node) for node in gather_nodes}
    stacks = {node: names.of_stack(node) for node in roots if node in stacked}
    bodies: dict[str, list[Instruction]] = {ONCE: [], EACH: [], AFTER: []}
    for node in live:
        if node in operands:
            continue
        if node in totals:
            operands[node] = totals[node]
        elif _is_alias(graph, node):
            operands[node] = operands[graph.operands[node][0]]
        else:
            variable = variables.get(node) or names.of(node)
            operands[node] = variable
            bodies[stages[node]].append(
                Instruction(
                    variable,
                    graph.ops[node],
                    tuple(operands[operand] for operand in graph.operands[node]),
                    graph.statics.get(node, ()),
                    _section(graph, node, stages[node], batched),
                    node,
                    graph.origins[node],
                )
            )
    gathers = [Gather(totals[n], operands[graph.operands[n][0]], False) for n in gather_nodes]
    gathers += [Gather(stack, operands[node], True) for node, stack in stacks.items()]
    results = {**operands, **stacks}
    return Program(
        name=name,
        groups=names.groups,
        once=tuple(bodies[ONCE]),
        each=tuple(bodies[EACH]),
        gathers=tuple(gathers),
        after=tuple(bodies[AFTER]),
        outputs=map_nested(outputs, lambda node: results[node]),
    )


def _is_alias(graph: Graph, node: int) -> bool:
    """Whether the node needs no instruction: it passes its operand on, or sums over a batch."""
    return graph.ops[node] in (STOP_GRADIENT, TOTAL)


def stages_of(graph: Graph, nodes: Sequence[int], signatures: Sequence[Signature]) -> list[str]:
    """For each node, whether it has one value before the samples, for each, or after them all."""
    stages = _stages(graph, live_nodes(graph, nodes), signatures)
    return [stages[node] for node in nodes]


def _stages(graph: Graph, live: Sequence[int], signatures: Sequence[Signature]) -> dict[int, str]:
    batched = {
        graph.leaves[leaf]
        for signature in signatures
        if signature.batched
        for leaf in signature.leaves
        if leaf in graph.leaves
    }
    any_batched = any(signature.batched for signature in signatures)
    stages: dict[int, str] = {}
    for node in live:
        among = {stages[operand] for operand in graph.operands[node]}
        if node in batched:
            stages[node] = EACH
        elif graph.ops[node] is TOTAL:
            if AFTER in among:
                raise ShapeError(
                    f"{Expr(graph, node)!r} sums something that already is a sum over the samples"
                )
            stages[node] = AFTER if any_batched else ONCE
        elif EACH in among and AFTER in among:
            raise ShapeError(
                f"{Expr(graph, node)!r} mixes a value of each sample with a sum over all of them, "
                "which would need a second pass over the samples; compile two functions instead"
            )
        else:
            stages[node] = EACH if EACH in among else AFTER if AFTER in among else ONCE
    return stages


def _check_leaves(graph: Graph, live: Sequence[int], named: set[str]) -> None:
    missing = [
        graph.labels[node]
        for node in live
        if graph.ops[node] is INPUT and graph.labels[node] not in named
    ]
    if missing:
        listed = ", ".join(missing[:12]) + (f" and {len(missing) - 12} more" * (len(missing) > 12))
        raise MissingInputError(
            f"the outputs depend on {listed}, which no argument names; "
            "add them to the inputs of compile"
        )


def _section(graph: Graph, node: int, stage: str, batched: bool) -> str:
    """What part of the function the node is in, for its comments and counts."""
    if stage == AFTER:
        return "update"
    if batched and stage == ONCE:
        return "once"
    return "forward" if graph.origins[node] is None else "backward"


class _Names:
    """The names of one program: arguments and leaves first, then totals, then the rest in order."""

    def __init__(
        self,
        graph: Graph,
        signatures: Sequence[Signature],
        outputs: Nested,
        function: str,
        wishes: Mapping[int, str],
    ) -> None:
        self._graph = graph
        self._space = Namespace({function} | called_elsewhere(graph.ops))
        arguments = [self._space.take(signature.name) for signature in signatures]
        self._leaves: dict[str, str] = {}
        groups = []
        for signature, argument in zip(signatures, arguments, strict=True):
            own = signature.name if signature.scalar and not signature.batched else None
            for leaf in signature.leaves:
                wish = f"{leaf}_i" if leaf in arguments else leaf
                self._leaves[leaf] = argument if leaf == own else self._space.take(wish)
            leaves = tuple(self._leaves[leaf] for leaf in signature.leaves)
            batched = signature.batched
            groups.append(Group(signature.name, argument, leaves, signature.scalar, batched))
        self.groups = tuple(groups)
        self._outputs = {
            node: "_".join(str(part) for part in path) for path, node in flatten(outputs) if path
        }
        self._wishes = dict(wishes)

    def leaf_operands(self, live: Sequence[int]) -> dict[int, Operand]:
        """The operand each live leaf becomes: its variable, or the number it carries."""
        graph = self._graph
        found: dict[int, Operand] = {}
        for node in live:
            if graph.operands[node]:
                continue
            number = graph.value(node)
            if graph.ops[node] is CONSTANT or graph.labels[node] not in self._leaves:
                found[node] = float(number)
            else:
                found[node] = self._leaves[graph.labels[node]]
        return found

    def of(self, node: int) -> str:
        """A new name for what `node` computes."""
        return self._space.take(self._wish(node))

    def of_stack(self, node: int) -> str:
        """A new name for the list of what `node` computes for every sample."""
        return self._space.take(f"{self._wish(node) or 't'}_all")

    def _wish(self, node: int) -> str:
        graph = self._graph
        if node in self._wishes:
            return self._wishes[node]
        if graph.ops[node] is TOTAL:
            return self._wish_of_total(node)
        if graph.labels.get(node):
            return graph.labels[node]
        primal = graph.adjoint_of.get(node)
        if primal is not None and graph.labels.get(primal):
            return f"d{graph.labels[primal]}"
        return self._outputs.get(node, "")

    def _wish_of_total(self, node: int) -> str:
        """The output's name for a total that is one; else a name that says what it sums."""
        operand = self._graph.operands[node][0]
        if self._graph.labels.get(node):
            return self._graph.labels[node]
        if self._graph.ops[operand] is CONSTANT:
            return "samples"
        if node in self._outputs:
            return self._outputs[node]
        summed = self._wish(operand)
        return f"{summed}_total" if summed else "total"
