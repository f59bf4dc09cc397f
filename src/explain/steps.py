"""Steps 0 to 3: the question, the forward pass, the seed and the backward pass."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from .data import Arrival, Backward, Contribution, Formula, Forward, Seed, Task
from .derivation import Derivation, Edge, cost
from .notation import PART, Written, local_formula, numeral, write
from .words import counted, finite, listed, ordinal, shown


def node_id(node: int) -> str:
    """The id of a node."""
    return f"n{node}"


def edge_id(operand: int, consumer: int, position: int) -> str:
    """The id of an edge: operand, consumer, which operand it is."""
    return f"n{operand}-n{consumer}-{position}"


def backward_id(d: Derivation, node: int) -> str:
    """The step in which the adjoint of a node is complete."""
    return "seed" if node == d.root else f"backward-n{node}"


def task(d: Derivation) -> Task:
    """Step 0."""
    names = [d.names[node] for node in d.wrt]
    output = d.names[d.root]
    asked = (
        listed(names) if len(names) <= 7 else f"{', '.join(names[:5])} and {len(names) - 5} more"
    )
    operations = cost(d.graph, d.live)
    total = sum(operations.values())
    sentence = f"How does {output} change when {asked} change{'s' * (len(names) == 1)}?"
    if d.symbolic:
        sentence += " No values are given, so every step is a formula."
    return Task(
        id="question",
        part=0,
        kind="question",
        title=f"The derivative{'s' * (len(names) != 1)} of {output} with respect to {asked}",
        sentence=sentence,
        node=node_id(d.root),
        finite=all(map(math.isfinite, (d.values[node] for node in d.leaves))) if d.values else True,
        output=node_id(d.root),
        wrt=tuple(map(node_id, d.wrt)),
        leaves=tuple(map(node_id, d.leaves)),
        cost=operations,
        operations=total,
        symbolic=d.symbolic,
    )


def forward(d: Derivation, node: int) -> Forward:
    """Step 1, for one computed node."""
    graph = d.graph
    operands = graph.operands[node]
    numbers = {operand: numeral(d.value(operand), operand) for operand in operands}
    plain = write(graph, node, d.written, inside=True)
    value = d.value(node)
    return Forward(
        id=f"forward-n{node}",
        part=1,
        kind="forward",
        title=f"{d.names[node]} = {plain.text}",
        sentence=_repeats(d, node),
        node=node_id(node),
        finite=finite(value),
        formula=plain.formula,
        substituted=None
        if d.symbolic
        else write(graph, node, {**d.written, **numbers}, inside=True).formula,
        value=value,
    )


def _repeats(d: Derivation, node: int) -> str:
    """A word on a node that reads the same operand more than once."""
    operands = d.graph.operands[node]
    twice = sorted({operand for operand in operands if operands.count(operand) > 1})
    if not twice:
        return ""
    name = d.names[twice[0]]
    places = [ordinal(i) for i, operand in enumerate(operands) if operand == twice[0]]
    return (
        f"{name} is used {_times(len(places))}, as the {listed(places)} operand: "
        f"{len(places)} edges, not one."
    )


def seed(d: Derivation) -> Seed:
    """Step 2."""
    name = d.names[d.root]
    return Seed(
        id="seed",
        part=2,
        kind="seed",
        title=f"∂{name}/∂{name} = 1",
        sentence=f"{name} changes exactly as much as itself: the backward pass starts from 1.",
        node=node_id(d.root),
        finite=True,
        formula=d.derivative(d.root).formula,
        value=1.0,
    )


def backward(d: Derivation, node: int) -> Backward:
    """Step 3, for one node between the output and the asked leaves."""
    name = d.names[node]
    value = d.value(d.adjoint[node])
    passes = tuple(_passes(d, node))
    arrivals = tuple(
        Arrival(
            node_id(consumer),
            position,
            f"backward-n{consumer}",
            d.value(d.shares[consumer, position]),
        )
        for consumer, position in d.arrivals[node]
    )
    numbers = [value, *(c.product_value for c in passes), *(c.local_value for c in passes)]
    return Backward(
        id=f"backward-n{node}",
        part=3,
        kind="backward",
        title=f"{name}: ∂{d.names[d.root]}/∂{name}"
        + ("" if value is None else f" = {shown(value)}"),
        sentence=_because(d, node),
        node=node_id(node),
        finite=finite(*numbers),
        ready=_ready(d, node),
        arrivals=arrivals,
        adjoint=value,
        adjoint_name=d.derivative(node).formula,
        adjoint_formula=adjoint_formula(d, node).formula,
        total=_arrived(d, node, arrivals),
        passes=passes,
    )


def adjoint_formula(d: Derivation, node: int) -> Written:
    """The adjoint of a node as the compiler wrote it, with the nodes of the expression by name."""
    adjoint = d.adjoint[node]
    if adjoint not in d.adjoints_written:
        found = write(d.graph, adjoint, d.written, inside=adjoint not in d.written)
        d.adjoints_written[adjoint] = found
    return d.adjoints_written[adjoint]


def _because(d: Derivation, node: int) -> str:
    """The rule by which a node passes its cotangent on, or that it is a leaf."""
    if d.graph.is_leaf(node):
        return f"{d.names[node]} is a leaf: this is its derivative."
    op = d.graph.ops[node]
    sentence = f"Rule of {op.prose}: {op.sentence}."
    if all(rule is None for rule in op.vjp):
        sentence += " No operand gets anything."
    return sentence


def _ready(d: Derivation, node: int) -> str:
    """Why every share of a node's adjoint has arrived."""
    if node == d.root:
        return "it is the output, where the seed is"
    edges = d.arrivals[node]
    if not edges:
        return "nothing can reach it, so its derivative is 0"
    consumers = list(dict.fromkeys(consumer for consumer, _ in edges))
    names = [d.names[consumer] for consumer in consumers]
    if len(names) == 1:
        twice = f", which uses it {_times(len(edges))}," if len(edges) > 1 else ""
        comma = "," if not twice else ""
        return f"its only consumer, {names[0]}{comma or twice} is done"
    if len(names) == 2:
        return f"both consumers, {listed(names)}, are done"
    short = listed(names) if len(names) <= 6 else f"{', '.join(names[:5])}, …"
    return f"all {len(names)} consumers, {short}, are done"


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def _through(d: Derivation, edges: Sequence[Edge]) -> str:
    """The consumers by which shares arrived, in words."""
    names = [d.names[consumer] for consumer, _ in edges]
    distinct = list(dict.fromkeys(names))
    words = [
        name if names.count(name) == 1 else f"{name} {_times(names.count(name))}"
        for name in distinct
    ]
    if len(words) > 6:
        return f"through {', '.join(words[:5])} and {len(words) - 5} more"
    return f"through {listed(words)}"


def _arrived(d: Derivation, node: int, arrivals: Sequence[Arrival]) -> str:
    """The shares of a node's adjoint and their sum, as text; "" for the output."""
    if not arrivals:
        return ""
    amounts = [arrival.amount for arrival in arrivals]
    if d.symbolic or len(amounts) == 1:
        return _through(d, d.arrivals[node])
    first, *rest = amounts[:6]
    total = " + ".join([shown(first), *map(_bracketed, rest)])
    more = " + …" if len(amounts) > 6 else ""
    value = shown(d.value(d.adjoint[node]))
    return f"{total}{more} = {value}, {_through(d, d.arrivals[node])}"


def _bracketed(number: float | None) -> str:
    text = shown(number)
    return f"({text})" if text.startswith("-") else text


def _passes(d: Derivation, node: int) -> Iterator[Contribution]:
    """What each operand gets from a node."""
    graph, op = d.graph, d.graph.ops[node]
    operands = graph.operands[node]
    up_name, up_value = d.derivative(node), d.value(d.adjoint[node])
    letters = [d.written[operand] for operand in operands]
    numbers = {i: numeral(d.value(operand), operand) for i, operand in enumerate(operands)}
    numbers[-1] = numeral(d.value(node), node)
    for position, operand in enumerate(operands):
        edge = (node, position)
        wanted = edge in d.shares
        local = local_formula(op, graph.statics.get(node, ()), position, letters, d.written[node])
        local_number, product = d.local.get(edge), d.shares.get(edge)
        local_value, product_value = d.value(local_number), d.value(product)
        before, after, first = _running(d, edge, operand)
        yield Contribution(
            edge=edge_id(operand, node, position),
            operand=node_id(operand),
            position=position,
            rule=op.name,
            sentence=op.sentence,
            local=local(None).formula,
            local_substituted=None if d.symbolic or op.name == PART else local(numbers).formula,
            local_value=local_value,
            upstream_step=backward_id(d, node),
            upstream=up_name.formula,
            upstream_value=up_value if wanted else None,
            product=_product(d, node, product, up_name),
            product_value=product_value,
            before=before,
            after=after,
            total=_running_total(d, edge, before, after) if wanted else "",
            first=first,
            blocked=op.vjp[position] is None or local_value == 0,
            wanted=wanted,
            local_number=local_number,
            product_number=product,
        )


def _product(d: Derivation, node: int, product: int | None, upstream: Written) -> Formula:
    """The share as the compiler wrote it, with the upstream derivative by its name."""
    if product is None:
        return Formula("—", r"\text{---}")
    adjoint = d.adjoint[node]
    if product == adjoint:
        return upstream.formula
    # The seed is the constant 1, one node for every 1 there is: it has no name of its own.
    stops = d.written if d.graph.is_leaf(adjoint) else {**d.written, adjoint: upstream}
    return write(d.graph, product, stops, inside=True).formula


def _running(d: Derivation, edge: Edge, operand: int) -> tuple[float | None, float | None, bool]:
    """An operand's total before and after the share of one edge, and whether it is the first."""
    if edge not in d.shares:
        return None, None, False
    edges = d.arrivals[operand]
    place = edges.index(edge)
    before = None if d.symbolic else 0.0
    if place:
        before = d.value(d.totals[edges[place - 1]])
    return before, d.value(d.totals[edge]), place == 0


def _running_total(d: Derivation, edge: Edge, before: float | None, after: float | None) -> str:
    """The running total after one share: "2 + 3 = 5, through c and d"."""
    operand = d.graph.operands[edge[0]][edge[1]]
    edges = d.arrivals[operand]
    sofar = edges[: edges.index(edge) + 1]
    if d.symbolic:
        return f"share {len(sofar)} of {len(edges)}" if len(edges) > 1 else "the only share"
    share = _bracketed(d.value(d.shares[edge]))
    line = f"{shown(before)} + {share} = {shown(after)}"
    if len(edges) > 1:
        line += f", {_through(d, sofar)}"
        if len(sofar) < len(edges):
            line += f"; {counted(len(edges) - len(sofar), 'share')} still to come"
    return line
