"""The bridge to networkx: a graph as a `networkx.DiGraph`, and back.

A networkx graph has one edge for `x*x` and no first operand for `a - b`, so an edge carries the
`positions` its operand fills.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from ..errors import SaveFileError, SizeError, UnknownNameError, WengertError, kind_of, shorten
from ..graph.expr import Graph
from ..graph.store import Origin
from ..ops.record import Op, plain_number
from ..ops.scalar import CONSTANT, ELEMENTWISE, INPUT, LEAVES, PARAMETER
from ..ops.table import OPERATIONS, with_own
from .networkfiles import decoded

if TYPE_CHECKING:
    import networkx

MAX_NODES: Final = 10_000_000
"""The largest graph that is read from networkx or JSON, or written as JSON, in nodes."""

Node = TypeVar("Node", bound=Hashable)

_KINDS: Final[dict[str, Op]] = {**LEAVES, **ELEMENTWISE}
_CHANGES: Final = (
    *("add_node", "add_nodes_from", "remove_node", "remove_nodes_from"),
    *("add_edge", "add_edges_from", "add_weighted_edges_from", "remove_edge", "remove_edges_from"),
    *("clear", "clear_edges"),
)


def as_networkx(graph: Graph) -> networkx.DiGraph[int]:
    """The graph as networkx sees it: a frozen `networkx.DiGraph`, operands → consumers.

    Nodes carry op, name, value, shape, statics and origin; an edge carries the operand positions
    it fills, so `x*x` is one edge with positions [0, 1]. Made on first use; the same object is
    extended and brought up to date on every later one.

    >>> g = Graph(); x = g.input("x"); y = x * x
    >>> g.nx.edges(data=True)
    OutEdgeDataView([(0, 1, {'positions': [0, 1]})])
    """
    with graph.lock:
        view: networkx.DiGraph[int] = new_networkx() if graph.view is None else graph.view
        graph.view = view
        extend_networkx(view, graph)
    return view


def new_networkx() -> networkx.DiGraph[int]:
    """An empty `networkx.DiGraph` that refuses changes; only `extend_networkx` adds to it."""
    import networkx

    view: networkx.DiGraph[int] = networkx.freeze(networkx.DiGraph())
    for change in _CHANGES:
        setattr(view, change, _refuse)
    return view


def extend_networkx(view: networkx.DiGraph[int], graph: Graph) -> None:
    """Add the nodes of `graph` that `view` lacks, and bring names, values and outputs up to date.

    Nodes get op, name ("" for none), value (a float, an array or None), shape (() for a scalar),
    statics, and origin (a dict or None); the adjoint of another node also gets adjoint_of, that
    node. Edges run from operand to consumer and carry positions, the places the operand takes.
    """
    import networkx

    known = len(view)
    if known < len(graph):
        networkx.DiGraph.add_nodes_from(view, _nodes(graph, known))
        networkx.DiGraph.add_edges_from(view, _edges(graph, known))
    attributes = view.nodes
    for node, label in graph.labels.items():
        attributes[node]["name"] = label
    for node in graph.leaves.values():
        attributes[node]["value"] = graph.value(node)
    if known < len(graph):
        for adjoint, primal in graph.adjoint_of.items():
            attributes[adjoint]["adjoint_of"] = primal
    view.graph["gradients"] = [[*pair, node] for pair, node in graph.gradients.items()]
    view.graph["outputs"] = list(graph.outputs)


def from_networkx(nx_graph: networkx.Graph[Any], *, operations: Iterable[Op] = ()) -> Graph:
    """The graph of scalars that `nx_graph` describes, in the attributes that `Graph.nx` gives.

    Nodes 0 … n-1 whose operands come before them keep their numbers; any others are numbered anew,
    operands first, otherwise in their own order. Attributes may be text, as `to_networkx` makes
    them for files. A parameter that stood for a `Value` comes back as a parameter with its number.
    Anything that does not describe a graph is an error that names the node: `SaveFileError`,
    `UnknownNameError` for an operation, `InvalidNameError` or `DuplicateNameError` for a leaf.
    `operations` are those of your own that nodes may name.

    >>> g = Graph(); a, b = g.input("a"), g.input("b"); y = (a - b) * a
    >>> print(from_networkx(g.nx)[3])
    (a - b)*a
    """
    import networkx

    if not isinstance(nx_graph, networkx.DiGraph) or nx_graph.is_multigraph():
        raise SaveFileError(
            f"expected a networkx.DiGraph, got {kind_of(nx_graph)}; a graph of expressions "
            "is directed, with one edge from an operand to a consumer"
        )
    check_size(len(nx_graph))
    nx_graph = decoded(nx_graph)
    known = with_own(_KINDS, operations)
    attributes = dict(nx_graph.nodes(data=True))
    kinds = {node: _kind(node, fields, known) for node, fields in attributes.items()}
    operands = {node: _operands(node, op, nx_graph.pred[node]) for node, op in kinds.items()}
    graph = Graph()
    number: dict[Any, int] = {}
    for node in _topological_order(operands):
        places = tuple([number[operand] for operand in operands[node]])
        number[node] = _append(graph, node, kinds[node], places, attributes[node])
    _restore_provenance(graph, attributes, number)
    _restore_outputs(graph, nx_graph.graph, number)
    return graph


def _refuse(*_: object, **__: object) -> NoReturn:
    import networkx

    raise networkx.NetworkXError(
        "this is a view of an append-only graph: build expressions to add to it, or change a "
        "copy of it, graph.nx.copy()"
    )


def _nodes(graph: Graph, start: int) -> Iterator[tuple[int, dict[str, Any]]]:
    last: Origin | None = None
    shown: dict[str, Any] | None = None
    for node in range(start, len(graph)):
        origin = graph.origins[node]
        if origin is not last:
            last, shown = origin, None if origin is None else _origin_fields(origin)
        yield (
            node,
            {
                "op": graph.ops[node].name,
                "name": "",
                "value": graph.value(node),
                "shape": graph.shapes.get(node, ()),
                "statics": list(graph.statics.get(node, ())),
                "origin": shown,
            },
        )


def _origin_fields(origin: Origin) -> dict[str, Any]:
    return {
        "transform": origin.transform,
        "primal": origin.primal,
        "role": origin.role,
        "rule": origin.rule,
        "operand": origin.operand,
    }


def _edges(graph: Graph, start: int) -> Iterator[tuple[int, int, dict[str, list[int]]]]:
    for node in range(start, len(graph)):
        positions: dict[int, list[int]] = {}
        for position, operand in enumerate(graph.operands[node]):
            positions.setdefault(operand, []).append(position)
        for operand, places in positions.items():
            yield operand, node, {"positions": places}


def _kind(node: object, fields: Mapping[str, Any], known: Mapping[str, Op]) -> Op:
    name = fields.get("op")
    if not isinstance(name, str):
        raise fault(node, f"its op is {shorten(name)}; expected the name of an operation")
    if name in OPERATIONS and name not in known:
        raise fault(node, f"{name} works on whole arrays; only graphs of scalars are read")
    if name not in known:
        unknown = UnknownNameError.of("operation", name, known)
        raise UnknownNameError(
            f"node {shorten(node)}: {unknown}; one of your own is given in operations=[...]"
        )
    return known[name]


def _operands(node: object, op: Op, edges: Mapping[Node, Mapping[str, Any]]) -> tuple[Node, ...]:
    """The operands of a node in order, from the positions on the edges into it."""
    filled: dict[int, Node] = {}
    for operand, fields in edges.items():
        positions = fields.get("positions")
        if not isinstance(positions, Sequence) or isinstance(positions, str) or not positions:
            raise fault(
                node,
                f"its edge from {shorten(operand)} has positions {shorten(positions)}; "
                "expected a list such as [0]",
            )
        for position in positions:
            if type(position) is not int or not 0 <= position < op.arity:
                raise fault(
                    node,
                    f"{shorten(operand)} is its operand {shorten(position)}; "
                    f"{op.name} has {op.arity or 'none'}{', counted from 0' * (op.arity > 0)}",
                )
            if position in filled:
                raise fault(
                    node,
                    f"its operand {position} is both {shorten(filled[position])} and "
                    f"{shorten(operand)}",
                )
            filled[position] = operand
    if len(filled) < op.arity:
        missing = next(position for position in range(op.arity) if position not in filled)
        raise fault(node, f"its operand {missing} is missing; {op.name} takes {op.arity}")
    return tuple([filled[position] for position in range(op.arity)])


def _topological_order(operands: Mapping[Node, tuple[Node, ...]]) -> list[Node]:
    """The nodes, operands first; of those that could come next, the first in the nodes' own order.

    Their own order is by number or text where all are numbers or all are text, else as given.
    """
    kinds = {type(node) for node in operands}
    nodes: list[Any] = list(operands)
    if kinds == {int} or kinds == {str}:
        nodes.sort()
    rank = {node: i for i, node in enumerate(nodes)}
    ordered = all(rank[part] < i for i, node in enumerate(nodes) for part in operands[node])
    return nodes if ordered else _sorted_by_operands(nodes, rank, operands)


def _sorted_by_operands(
    nodes: list[Node], rank: Mapping[Node, int], operands: Mapping[Node, tuple[Node, ...]]
) -> list[Node]:
    waiting = {node: len(set(parts)) for node, parts in operands.items()}
    consumers: dict[Node, list[Node]] = {node: [] for node in nodes}
    for node, parts in operands.items():
        for part in set(parts):
            consumers[part].append(node)
    ready = [rank[node] for node in nodes if not waiting[node]]
    heapify(ready)
    order = []
    while ready:
        node = nodes[heappop(ready)]
        order.append(node)
        for consumer in consumers[node]:
            waiting[consumer] -= 1
            if not waiting[consumer]:
                heappush(ready, rank[consumer])
    if len(order) < len(nodes):
        stuck = next(node for node in nodes if waiting[node])
        raise _cycle(stuck, {node for node in nodes if waiting[node]}, operands)
    return order


def _cycle(
    start: Node, stuck: set[Node], operands: Mapping[Node, tuple[Node, ...]]
) -> SaveFileError:
    """The error for nodes that wait for each other, naming some that do."""
    path = [start]
    seen = {start}
    while True:
        following = next(operand for operand in operands[path[-1]] if operand in stuck)
        path.append(following)
        if following in seen:
            break
        seen.add(following)
    loop = path[path.index(following) :]
    shown = " needs ".join(shorten(node) for node in loop[:6])
    more = " needs …" if len(loop) > 6 else ""
    return fault(following, f"it depends on itself: {shown}{more}")


def _append(
    graph: Graph, node: object, op: Op, operands: tuple[int, ...], fields: Mapping[str, Any]
) -> int:
    """The node that `fields` describe as a new one of `graph`."""
    name: Any = fields.get("name", "")
    value: Any = fields.get("value")
    if not isinstance(name, str):
        raise fault(node, f"its name is {shorten(name)}; expected text")
    if not _is_empty(fields.get("shape", ())):
        raise fault(node, f"its shape is {shorten(fields['shape'])}; expected () for a scalar")
    statics = _statics(node, op, fields.get("statics", ()))
    if op is PARAMETER or op is CONSTANT:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise fault(node, f"the value of a {op.name} is {shorten(value)}; expected a number")
    elif value is not None:
        raise fault(node, f"its value is {shorten(value)}; only parameters and constants have one")
    try:
        if op is INPUT:
            return graph.input(name).id
        if op is PARAMETER:
            return graph.parameter(name, value).id
        if op is CONSTANT:
            return graph.constant(value).id
    except WengertError as error:
        raise type(error)(f"node {shorten(node)}: {error}") from None
    made = graph.append(op, operands, statics)
    if name:
        graph.labels[made] = name
    return made


def _statics(node: object, op: Op, numbers: Any) -> tuple[float, ...]:
    if _is_empty(numbers) and not op.statics:
        return ()
    sound = isinstance(numbers, (list, tuple)) and all(
        isinstance(number, Real) and not isinstance(number, bool) for number in numbers
    )
    if not sound or len(numbers) != len(op.statics):
        expected = f"numbers for {', '.join(op.statics)}" if op.statics else "none"
        raise fault(node, f"its statics are {shorten(numbers)}; {op.name} takes {expected}")
    return tuple([plain_number(number) for number in numbers])


def _restore_provenance(
    graph: Graph, attributes: Mapping[Any, Mapping[str, Any]], number: Mapping[Any, int]
) -> None:
    """Set origins and adjoints; what they refer to and is not there is forgotten."""
    shared: dict[Origin, Origin] = {}
    for node, fields in attributes.items():
        place = number[node]
        if fields.get("origin") is not None:
            origin = _origin(node, fields["origin"], number)
            graph.origins[place] = shared.setdefault(origin, origin)
        primal = fields.get("adjoint_of")
        if isinstance(primal, Hashable) and primal in number:
            graph.adjoint_of[place] = number[primal]


def _origin(node: object, fields: Any, number: Mapping[Any, int]) -> Origin:
    if isinstance(fields, Mapping):
        transform, role = fields.get("transform"), fields.get("role")
        rule, operand = fields.get("rule", ""), fields.get("operand")
        primal = fields.get("primal")
        if (
            all(isinstance(text, str) for text in (transform, role, rule))
            and (operand is None or type(operand) is int)
            and isinstance(primal, Hashable)
        ):
            return Origin(str(transform), number.get(primal), str(role), str(rule), operand)
    raise fault(node, f"its origin is {shorten(fields)}; expected transform, primal, role, rule")


def _restore_outputs(graph: Graph, about: Mapping[str, Any], number: Mapping[Any, int]) -> None:
    """Set outputs and gradients; those that are not there, as in a subgraph, are left out."""
    outputs = _references(about, "outputs")
    graph.outputs = tuple([number[node] for node in outputs if node in number])
    for entry in _references(about, "gradients"):
        if len(entry) != 3 or not all(isinstance(node, Hashable) for node in entry):
            raise SaveFileError(f"a gradient is {shorten(entry)}; expected [output, leaf, adjoint]")
        if all(node in number for node in entry):
            output, leaf, adjoint = (number[node] for node in entry)
            graph.gradients[output, leaf] = adjoint


def _references(about: Mapping[str, Any], name: str) -> list[Any]:
    entries = about.get(name, [])
    kind = Hashable if name == "outputs" else Sequence
    if isinstance(entries, (list, tuple)) and all(isinstance(entry, kind) for entry in entries):
        return list(entries)
    raise SaveFileError(f"the {name} are {shorten(entries)}; expected a list of nodes")


def _is_empty(thing: Any) -> bool:
    return thing is None or (isinstance(thing, (list, tuple)) and not thing)


def check_size(nodes: int) -> None:
    """A `SizeError` when there are more nodes than the limit."""
    if nodes > MAX_NODES:
        raise SizeError(f"a graph of {nodes:,} nodes; the limit is {MAX_NODES:,}")


def fault(node: object, problem: str) -> SaveFileError:
    """The error for a node that is not as it should be."""
    return SaveFileError(f"node {shorten(node)}: {problem}")
