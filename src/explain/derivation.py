"""What the compiler did, read off the graph: the adjoint of each node and the shares it is made of.

Nothing is derived here. `adjoints` makes the backward pass as nodes; an adjoint that is a sum is a
chain of additions whose origin says "sum", and taking the chain apart gives back the shares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from ..derive.backward import adjoints, grad
from ..draw.groups import neuron_places
from ..errors import (
    DisconnectedInputError,
    MissingInputError,
    OperandError,
    SizeError,
    UnknownNameError,
    formula_hint,
    kind_of,
    shorten,
)
from ..graph.arithmetic import Arithmetic
from ..graph.evaluation import given_values, node_values
from ..graph.expr import Expr, Graph, common_graph
from ..graph.rewrite import extract, rewritten, unchanged
from ..graph.store import live_nodes
from ..graph.unroll import unroll_graph
from ..ops.scalar import CONSTANT
from ..proof.claim import elements
from .collapse import collapsed, part_count, parts
from .data import Formula
from .notation import (
    Written,
    apply_rule,
    derivative,
    local_formula,
    node_names,
    symbol,
    write,
)
from .words import counted

MAX_OPERATIONS: Final = 20_000
"""How many operations a walk-through may have."""

MANY: Final = 150
"""With more operations, a walk-through opens as layers, and its steps are made when looked at."""

Edge = tuple[int, int]
"""A consumer and the position of one of its operands."""


@dataclass(frozen=True)
class Derivation:
    """An expression in a graph of its own, with its backward pass, and the numbers of all nodes.

    live      the nodes of the expression, operands first
    wrt       the leaves whose derivatives are asked for
    adjoint   node → the node of its adjoint
    shares    edge → the node of what passes along it
    totals    edge → the node of the operand's running total after it
    local     edge → the node of the local derivative
    arrivals  node → the edges its adjoint came by, in order
    values    the value of every node of the graph; empty without values for the leaves
    plain     the expression alone, with nothing collapsed: what the compiler gets
    originals node → the node of `plain` that it is
    asked     whether it was said which leaves to differentiate by
    """

    graph: Graph
    plain: Graph
    originals: Mapping[int, int]
    root: int
    live: tuple[int, ...]
    wrt: tuple[int, ...]
    adjoint: Mapping[int, int]
    shares: Mapping[Edge, int]
    totals: Mapping[Edge, int]
    local: Mapping[Edge, int]
    arrivals: Mapping[int, tuple[Edge, ...]]
    names: Mapping[int, str]
    given: Mapping[int, float]
    values: Mapping[int, float]
    symbolic: bool
    asked: bool

    @property
    def leaves(self) -> list[int]:
        """The inputs and parameters, in the order they were made."""
        return [
            node
            for node in self.live
            if self.graph.is_leaf(node) and self.graph.ops[node] is not CONSTANT
        ]

    @property
    def backward_order(self) -> list[int]:
        """The nodes that have an adjoint and lead to an asked leaf, in the order of the sweep."""
        return [node for node in reversed(self.live) if node in self.adjoint]

    @cached_property
    def readers(self) -> dict[int, list[int]]:
        """The nodes of the expression that each of them is an operand of."""
        found: dict[int, list[int]] = {}
        for node in self.live:
            for operand in self.graph.operands[node]:
                found.setdefault(operand, []).append(node)
        return found

    @cached_property
    def written(self) -> dict[int, Written]:
        """Every node by its name."""
        return {
            node: write(self.graph, node, {})
            if self.graph.ops[node] is CONSTANT
            else symbol(self.names[node], self.all_names)
            for node in self.live
        }

    def local_written(self, edge: Edge) -> Formula:
        """The local derivative along an edge, in the names of the nodes; written once."""
        if edge not in self._locals:
            node, position = edge
            graph, operands = self.graph, self.graph.operands[node]
            letters = [self.written[operand] for operand in operands]
            op, statics = graph.ops[node], graph.statics.get(node, ())
            slope = local_formula(op, statics, position, letters, self.written[node])
            self._locals[edge] = slope(None).formula
        return self._locals[edge]

    @cached_property
    def _locals(self) -> dict[Edge, Formula]:
        return {}

    @cached_property
    def adjoints_written(self) -> dict[int, Written]:
        """The formulas of adjoints that were asked for so far."""
        return {}

    def derivative(self, node: int) -> Written:
        """∂output/∂node."""
        return derivative(self.names[self.root], self.names[node], self.all_names)

    @cached_property
    def all_names(self) -> frozenset[str]:
        """The names of all nodes, of which no two are to look alike."""
        return frozenset(self.names.values())

    def value(self, node: int | None) -> float | None:
        """The number of a node of the graph, None when there is none."""
        return None if node is None else self.values.get(node)

    def computed(self, node: int) -> bool:
        """Whether a node is an operation."""
        return bool(self.graph.operands[node])

    def at(self, given: Mapping[int, float]) -> dict[int, float]:
        """The value of every node of the graph at other leaves."""
        return node_values(self.graph, range(len(self.graph)), given)

    def output_at(self, given: Mapping[int, float]) -> float:
        """The value of the output alone, at given numbers for leaves or for other nodes."""
        return float(node_values(self.graph, self.live, given)[self.root])


def large(d: Derivation) -> bool:
    """Whether there are too many operations to be read one after another."""
    return sum(map(d.computed, d.live)) > MANY


def derive(
    output: Any,
    wrt: Any = None,
    at: Mapping[Any, float] | None = None,
    *,
    part: str | None = None,
    collapse: bool = False,
) -> Derivation:
    """The backward pass of `output`, in a new graph; see `explain` for the arguments."""
    asked = [] if wrt is None else [wrt] if isinstance(wrt, (Arithmetic, str)) else list(wrt)
    source = common_graph([output, *(leaf for leaf in asked if not isinstance(leaf, str))])
    if not isinstance(output, Arithmetic):
        raise OperandError(
            f"cannot explain {shorten(output)}, {kind_of(output)}; expected one Expr or "
            f"Value: of a layer take one output, or the loss{formula_hint(output)}"
        )
    top = source.node_of(output)
    given = given_values(source, _named_only(at)) if at is not None else {}
    if any(node in source.shapes for node in live_nodes(source, [top])):
        scalar, lanes = _unrolled(source, top, asked, given)
        return derive(*scalar, lanes if at is not None else None, part=part, collapse=collapse)
    named = {source.labels[node]: number for node, number in given.items()}
    graph = extract([source[top]])
    if part is not None:
        graph = extract([graph[_part(graph, part)]])
    whole = rewritten(graph, graph.outputs)
    shown = collapsed(graph) if collapse else unchanged(graph)
    originals = {image: whole.images[node] for node, image in shown.images.items()}
    graph = shown.graph
    _check_size(graph, collapse)
    root = graph.outputs[0]
    leaves = [_leaf(graph, root, source, leaf) for leaf in asked]
    return _derived(graph, whole.graph, originals, root, leaves, named, at is not None)


def _unrolled(
    source: Graph, top: int, asked: Sequence[Any], given: Mapping[int, Any]
) -> tuple[tuple[Expr, list[str] | None], dict[str, float]]:
    """An output made of arrays as scalars: itself, the names to differentiate by, the values."""
    graph, lanes = unroll_graph(source, [top])
    if len(lanes[top]) != 1:
        raise OperandError(
            f"cannot explain {shorten(source[top])}, {len(lanes[top])} numbers at once; "
            "take one of them, or their sum"
        )
    names: list[str] = []
    for leaf in asked:
        node = source.leaves.get(leaf, -1) if isinstance(leaf, str) else source.find(leaf)
        known = lanes.get(-1 if node is None else node)
        names += [leaf] if known is None else [graph.labels[lane] for lane in known]
    values = {
        graph.labels[lane]: number
        for node, numbers in given.items()
        for lane, number in zip(lanes.get(node, ()), elements(numbers), strict=False)
    }
    return (graph[lanes[top][0]], names if asked else None), values


def _named_only(at: Mapping[Any, float]) -> Mapping[Any, float]:
    if not isinstance(at, Mapping):
        raise MissingInputError(
            f"at is {shorten(at)}, {kind_of(at)}; expected a dict leaf → number"
        )
    return at


def _part(graph: Graph, name: str) -> int:
    found = {label: node for node, label in graph.labels.items() if graph.operands[node]}
    if not found:
        raise UnknownNameError(
            f"{shorten(name)}: no part of this expression has a label; give one a label, or in a "
            "formula a name, as in 'c = a + b; c*c'"
        )
    if name not in found:
        raise UnknownNameError.of("labelled part of this expression", name, found)
    return found[name]


def _leaf(graph: Graph, root: int, source: Graph, leaf: Any) -> int:
    """The node of `graph` for a leaf of `source`, given as such or by name."""
    if isinstance(leaf, str):
        name = leaf
    else:
        node = source.find(leaf)
        name = source.labels.get(node, "") if node is not None and source.is_leaf(node) else ""
    if name in graph.leaves:
        return graph.leaves[name]
    if isinstance(leaf, str) and name not in source.leaves:
        raise UnknownNameError.of("leaf of this expression", name, graph.leaves)
    if name:
        raise DisconnectedInputError(
            f"{Expr(graph, root)!r} does not depend on {name}; "
            f"its leaves: {', '.join(graph.leaves) or 'none'}"
        )
    grad(source[source.node_of(leaf)] if source.find(leaf) is None else leaf, leaf)
    raise UnknownNameError.of("leaf of this expression", shorten(leaf), graph.leaves)


def _check_size(graph: Graph, collapse: bool) -> None:
    operations = sum(1 for operands in graph.operands if operands)
    if operations <= MAX_OPERATIONS:
        return
    known = parts(graph)
    ways = []
    count = 0 if collapse or not known else part_count(graph)
    if 0 < count <= MAX_OPERATIONS:
        ways.append(f"collapse=True for a step per labelled part ({count} of them)")
    fitting = [name for name, size in known.items() if size <= MAX_OPERATIONS]
    if fitting:
        name = fitting[-1]
        ways.append(f"part={name!r} for that part alone ({counted(known[name], 'operation')})")
    ways.append("explain a smaller expression, such as one neuron or one sample")
    what = "parts" if collapse else "operations"
    raise SizeError(
        f"the expression has {operations:,} {what}; a walk-through takes at most "
        f"{MAX_OPERATIONS:,}. Choose one: {'; or '.join(ways)}"
    )


def _derived(
    graph: Graph,
    plain: Graph,
    originals: Mapping[int, int],
    root: int,
    wrt: Sequence[int],
    named: Mapping[str, float],
    complete: bool,
) -> Derivation:
    live = live_nodes(graph, [root])
    many = sum(bool(graph.operands[node]) for node in live) > MANY
    names = node_names(graph, live, root, neuron_places(graph, live) if many else None)
    chosen = [
        node
        for node in live
        if graph.is_leaf(node) and graph.ops[node] is not CONSTANT and (not wrt or node in wrt)
    ]
    if not chosen:
        raise DisconnectedInputError(
            f"{Expr(graph, root)!r} has no leaf to differentiate by: it is made of constants"
        )
    # With the adjoints of nodes that lead nowhere left out, this is what `grad` adds.
    swept = {expr.id: adjoint.id for expr, adjoint in adjoints(graph[root]).items()}
    needed = set(chosen)
    for node in live:
        if not needed.isdisjoint(graph.operands[node]):
            needed.add(node)
    adjoint = {node: found for node, found in swept.items() if node in needed}
    for leaf in chosen:
        # As for `grad`: nothing passes back to it, as behind a comparison.
        adjoint.setdefault(leaf, graph.constant(0).id)
    arrivals = _arrivals(graph, live, adjoint, set(swept))
    shares, totals = _shares(graph, arrivals, adjoint)
    local = {edge: apply_rule(graph, *edge) for edge in shares}
    given = {graph.leaves[name]: number for name, number in named.items() if name in graph.leaves}
    missing = [
        graph.labels[node]
        for node in live
        if graph.is_leaf(node) and node not in given and graph.value(node) is None
    ]
    if missing and complete:
        raise MissingInputError(
            f"no value for {', '.join(missing)}; at needs a number for each leaf, "
            "or leave at out for formulas without numbers"
        )
    values = {} if missing else node_values(graph, range(len(graph)), given)
    return Derivation(
        graph=graph,
        plain=plain,
        originals=originals,
        root=root,
        live=tuple(live),
        wrt=tuple(chosen),
        adjoint=adjoint,
        shares=shares,
        totals=totals,
        local=local,
        arrivals=arrivals,
        names=names,
        given=given,
        values=values,
        symbolic=bool(missing),
        asked=bool(wrt),
    )


def _arrivals(
    graph: Graph, live: Sequence[int], adjoint: Mapping[int, int], swept: set[int]
) -> dict[int, tuple[Edge, ...]]:
    """The edges by which shares reach each node, in the order of the sweep: consumers first."""
    found: dict[int, list[Edge]] = {node: [] for node in adjoint}
    for node in reversed(live):
        if node not in swept:
            continue
        for position, operand in enumerate(graph.operands[node]):
            if operand in found and graph.ops[node].vjp[position] is not None:
                found[operand].append((node, position))
    return {node: tuple(edges) for node, edges in found.items()}


def _shares(
    graph: Graph, arrivals: Mapping[int, Iterable[Edge]], adjoint: Mapping[int, int]
) -> tuple[dict[Edge, int], dict[Edge, int]]:
    """What passed along each edge, and the running total after it, by taking sums apart."""
    shares: dict[Edge, int] = {}
    totals: dict[Edge, int] = {}
    for node, edges in arrivals.items():
        total = adjoint[node]
        ordered = list(edges)
        for edge in reversed(ordered[1:]):
            origin = graph.origins[total]
            if origin is None or origin.role != "sum" or origin.primal != node:
                raise AssertionError(f"node {total} is not a sum of the shares of node {node}")
            totals[edge] = total
            total, shares[edge] = graph.operands[total]
        for edge in ordered[:1]:
            shares[edge] = totals[edge] = total
    return shares, totals


def cost(graph: Graph, nodes: Iterable[int]) -> dict[str, int]:
    """How many of each operation there are among `nodes`."""
    return dict(Counter(graph.ops[node].name for node in nodes if graph.operands[node]))
