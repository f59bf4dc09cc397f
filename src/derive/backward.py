"""Derivatives as graph transforms: `grad` and its relatives.

Reverse mode adds, for each node between the output and the leaves, the nodes that compute its
adjoint d out / d node; forward mode adds the tangents. Both read the one derivative rule each
operation has. Theory: Griewank & Walther, *Evaluating Derivatives*, 2nd ed. (SIAM 2008), sections
3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, overload

from ..errors import (
    DisconnectedInputError,
    NotALeafError,
    NotDifferentiableError,
    OperandError,
    ShapeError,
    formula_hint,
    kind_of,
    shorten,
)
from ..graph.arithmetic import Arithmetic
from ..graph.expr import Expr, Graph, common_graph
from ..graph.store import Origin, live_nodes
from ..graph.value import Value
from ..ops.arrays import fitted, spread_over
from ..ops.scalar import CONSTANT, WHERE, where
from ..ops.shapes import shape_of, shape_text
from ..simplify.stable import stable_form
from .extremes import Link, extreme_chains
from .gates import steep_behind_gates
from .guard import Guards

Differentiable = Expr | Value


@overload
def grad(
    output: Differentiable,
    wrt: Differentiable,
    *,
    allow_unused: bool = False,
    stable: bool = True,
) -> Expr: ...
@overload
def grad(
    output: Differentiable,
    wrt: Sequence[Differentiable],
    *,
    allow_unused: bool = False,
    stable: bool = True,
) -> list[Expr]: ...
def grad(
    output: Differentiable,
    wrt: Differentiable | Sequence[Differentiable],
    *,
    allow_unused: bool = False,
    stable: bool = True,
) -> Expr | list[Expr]:
    """d output / d leaf for each leaf of `wrt`, as expressions in the same graph.

    One leaf gives one expression, a sequence gives a list in its order. A leaf that the output does
    not depend on is a `DisconnectedInputError`, or 0 with `allow_unused`; one that it depends on
    only where nothing passes back, as through a comparison, has the derivative 0. The result is an
    ordinary expression: print it, compile it, differentiate it again. Asked once more, `grad`
    answers the nodes it made the first time.

    What is differentiated is the stable form of the output (`stable_form`), so that the derivative
    of log(1 + exp(x)) is sigmoid(x), which is 1 at 1000 and not nan; and what passes back through
    the branch of a `where` that was not taken is 0, even if that branch is not finite. With
    `stable=False` the output is differentiated as it is written, rule by rule.

    >>> g = Graph(); x = g.input("x")
    >>> dy = grad(x.tanh(), x)
    >>> print(dy)
    1*(1 - tanh(x)*tanh(x))
    >>> d2y = grad(dy, x)
    """
    leaves = _listed(wrt, "the leaves to differentiate by")
    graph = common_graph([output, *leaves])
    with graph.lock:  # another thread's nodes would get the origins of these
        root = _output_node(graph, output)
        nodes = [_leaf_node(graph, leaf) for leaf in leaves]
        live = live_nodes(graph, [root])
        reached = set(live)
        if not allow_unused:
            for leaf, node in zip(leaves, nodes, strict=True):
                if node not in reached:
                    raise _disconnected(graph, root, leaf)
        known = graph.stable_gradients if stable else graph.plain_gradients
        wanted = {node for node in nodes if node is not None}
        found = {node: known[root, node] for node in wanted if (root, node) in known}
        missing = wanted - found.keys()
        if missing and stable:
            source = stable_form(Expr(graph, root)).id
            found |= _sweep(graph, live_nodes(graph, [source]), missing, guarded=True)
        elif missing:
            found |= _sweep(graph, live, missing)
        unused = wanted - found.keys() - graph.shapes.keys()
        if unused and missing & found.keys():
            graph.sweeps[-1].update(dict.fromkeys(sorted(unused), graph.node_of(0.0)))
        results = []
        for leaf, node in zip(leaves, nodes, strict=True):
            if node is None or node not in found:
                results.append(spread_over(graph.constant(0), leaf))
            else:
                known[root, node] = graph.gradients[root, node] = found[node]
                results.append(Expr(graph, found[node]))
        return results[0] if isinstance(wrt, Arithmetic) else results


def adjoints(output: Differentiable) -> dict[Expr, Expr]:
    """d output / d node for the output and every node it was computed from, constants aside.

    Nodes without any path of derivatives to the output (behind a comparison, say) are absent. This
    is the chain rule on the output as it is written, as `grad` with `stable=False` gives it.

    >>> g = Graph(); a, b = g.input("a"), g.input("b"); c = a + b; d = c * b
    >>> [(str(node), str(adjoint)) for node, adjoint in adjoints(d).items()]
    [('a', '1*b'), ('b', '1*(a + b) + 1*b'), ('a + b', '1*b'), ('(a + b)*b', '1')]
    """
    graph = common_graph([output])
    root = _output_node(graph, output)
    live = live_nodes(graph, [root])
    every = [node for node in live if graph.ops[node] is not CONSTANT]
    with graph.lock:
        found = _sweep(graph, live, set(every))
    return {Expr(graph, node): Expr(graph, found[node]) for node in every if node in found}


def jvp(
    outputs: Differentiable | Sequence[Differentiable],
    wrt: Differentiable | Sequence[Differentiable],
    tangents: Any,
    *,
    stable: bool = True,
) -> Any:
    """The derivative of each output along the direction `tangents`, one per leaf of `wrt`.

    Tangents are numbers or expressions. This is forward mode: each node's tangent is the sum, over
    its operands, of the operation's rule applied to the operand's tangent. An output that depends
    on none of the leaves has the derivative 0. One output gives one expression, a sequence a list.
    `stable` is as for `grad`.

    >>> g = Graph(); x, v = g.input("x"), g.input("v")
    >>> print(jvp(x * x, [x], [v]))
    v*x + v*x
    """
    wanted = _listed(outputs, "the outputs")
    leaves = _listed(wrt, "the leaves to differentiate by")
    directions = _listed(tangents, "the tangents")
    _check_one_each(leaves, directions, "tangents")
    graph = common_graph([*wanted, *leaves, *directions])
    with graph.lock:
        roots = [_output_node(graph, output) for output in wanted]
        if stable:
            roots = [stable_form(Expr(graph, root)).id for root in roots]
        found: dict[int, int] = {}
        for leaf, tangent in zip(leaves, directions, strict=True):
            node = _leaf_node(graph, leaf)
            if node is not None:
                direction = _tangent_of_leaf(graph, leaf, graph.node_of(tangent))
                before = found.get(node)
                found[node] = direction if before is None else (graph[before] + graph[direction]).id
        try:
            live = live_nodes(graph, roots)
            links = extreme_chains(graph, live, roots, {*roots, *found}) if stable else {}
            for node in live:
                if node not in found:
                    _tangent(graph, node, found, links.get(node))
        finally:
            graph.deriving(None)
        results = [
            graph[found[root]] if root in found else spread_over(graph.constant(0), graph[root])
            for root in roots
        ]
        return results[0] if isinstance(outputs, Arithmetic) else results


def jacobian(
    outputs: Sequence[Differentiable], wrt: Sequence[Differentiable], *, stable: bool = True
) -> list[list[Expr]]:
    """d output_i / d leaf_j: a row per output, a column per leaf; 0 where there is no dependence.

    `stable` is as for `grad`.

    >>> g = Graph(); a, b = g.inputs("x", 2)
    >>> print([[str(e) for e in row] for row in jacobian([a + b, a * b], [a, b])])
    [['1', '1'], ['1*x1', '1*x0']]
    """
    leaves = _listed(wrt, "the leaves to differentiate by")
    wanted = _listed(outputs, "the outputs")
    return [grad(output, leaves, allow_unused=True, stable=stable) for output in wanted]


def hessian(
    output: Differentiable, wrt: Sequence[Differentiable], *, stable: bool = True
) -> list[list[Expr]]:
    """The matrix of second derivatives of `output`, a row and a column per leaf of `wrt`.

    `stable` is as for `grad`.

    >>> from wengert.graph.evaluation import evaluate
    >>> g = Graph(); a, b = g.inputs("x", 2)
    >>> [evaluate(row, {a: 2.0, b: 3.0}) for row in hessian(a * a * b, [a, b])]
    [[6.0, 4.0], [4.0, 0.0]]
    """
    leaves = _listed(wrt, "the leaves to differentiate by")
    gradient = grad(output, leaves, allow_unused=True, stable=stable)
    return jacobian(gradient, leaves, stable=stable)


def hvp(
    output: Differentiable,
    wrt: Sequence[Differentiable],
    vector: Sequence[Any],
    *,
    stable: bool = True,
) -> list[Expr]:
    """The product of the Hessian of `output` with `vector`, without forming the matrix.

    Forward over reverse (Pearlmutter 1994, "Fast exact multiplication by the Hessian"): the tangent
    of the gradient along `vector`. `stable` is as for `grad`.

    >>> from wengert.graph.evaluation import evaluate
    >>> g = Graph(); a, b = g.inputs("x", 2)
    >>> evaluate(hvp(a * a * b, [a, b], [1.0, 0.0]), {a: 2.0, b: 3.0})
    [6.0, 4.0]
    """
    leaves = _listed(wrt, "the leaves to differentiate by")
    directions = _listed(vector, "the vector")
    _check_one_each(leaves, directions, "numbers of the vector")
    gradient = grad(output, leaves, allow_unused=True, stable=stable)
    return list(jvp(gradient, leaves, directions, stable=stable))


def reverse_sweep(graph: Graph, root: int, targets: set[int]) -> dict[int, int]:
    """Node → node of its adjoint, for every node between `root` and `targets`, made anew.

    What `grad` does, with the adjoints that it passes on the way, and those that it need not make.

    >>> g = Graph(); x = g.input("x"); y = x.sin().exp()
    >>> {str(g[node]): str(g[adjoint]) for node, adjoint in reverse_sweep(g, y.id, {x.id}).items()}
    {'exp(sin(x))': '1', 'sin(x)': '1*exp(sin(x))', 'x': '1*exp(sin(x))*cos(x)'}
    """
    links: dict[int, Link] = {}
    found = _sweep(graph, live_nodes(graph, [root]), targets, guarded=True, links=links)
    for node, link in links.items():
        if node not in found and link.chain.end in found:
            found[node] = graph.node_of(where(link.reached, graph[found[link.chain.end]], 0))
    return found


def _sweep(
    graph: Graph,
    live: list[int],
    targets: set[int],
    guarded: bool = False,
    links: dict[int, Link] | None = None,
) -> dict[int, int]:
    """The reverse sweep from the last node of `live`: node → node of its adjoint.

    `live` is what that node depends on; the nodes between it and `targets` get adjoints. `guarded`
    keeps a branch that was not taken from passing back anything but 0, and makes chains of maxima
    and minima one operation each; their links are added to `links`, and have no adjoints.
    """
    root = live[-1]
    needed = set(targets)
    operands_of = graph.operands
    for node in live:
        if node not in needed and not needed.isdisjoint(operands_of[node]):
            needed.add(node)
    if root not in needed:
        return {}
    if root in graph.shapes:
        raise ShapeError(
            f"cannot differentiate {Expr(graph, root)!r}, an array of shape "
            f"{shape_text(graph.shapes[root])}; the output is one number: sum the array first, as "
            "with wengert.ops.arrays.sum_over"
        )
    links = {} if links is None else links
    if guarded:
        links.update(extreme_chains(graph, live, [root], targets))
        for chain in [link.chain for node, link in links.items() if node == link.chain.end]:
            if chain.end in needed:
                chain.prepare()  # in the order in which they were written, for roll's sake
    guards = _guards(graph, live, needed, targets, links) if guarded else None
    found = {root: graph.node_of(1.0)}
    try:
        for node in reversed(live):
            link = links.get(node)
            if node in needed and (node if link is None else link.chain.end) in found:
                concerned = guards is not None and node in guards.concerned
                _pull_back(graph, node, found, needed, guards if concerned else None, link)
    finally:
        graph.deriving(None)
    _remember(graph, found)
    return found


def _guards(
    graph: Graph,
    live: list[int],
    needed: set[int],
    targets: set[int],
    links: Mapping[int, Link],
) -> Guards | None:
    """What a sweep has to guard; None where there are no branches, nor gates that count as such."""
    behind = steep_behind_gates(graph, live, needed)
    if not behind.gates and not any(graph.ops[node] is WHERE for node in needed):
        return None
    return Guards(graph, live, needed, targets, behind, links)


def _pull_back(
    graph: Graph,
    node: int,
    found: dict[int, int],
    needed: set[int],
    guards: Guards | None,
    link: Link | None,
) -> None:
    """Add to the adjoint of each needed operand of `node` its share, by the operand's rule.

    link   where `node` is one of a chain: its operands have shares in the cotangent of the chain
    """
    op, operands = graph.ops[node], graph.operands[node]
    if not operands:
        return
    arguments = (*[Expr(graph, operand) for operand in operands], *graph.statics.get(node, ()))
    if guards is not None:
        graph.deriving(Origin("grad", node, "rule", op.name))
        arguments = guards.arguments(node, arguments)
    ct = Expr(graph, found[node if link is None else link.chain.end])
    out = Expr(graph, node)
    for position, operand in enumerate(operands):
        if operand not in needed:
            continue
        rule = op.vjp[position]
        if rule is None:
            _check_differentiable(graph, node)
            continue
        if link is None:
            graph.deriving(Origin("grad", node, "rule", op.name, position))
            share = graph.node_of(rule(ct, out, *arguments))
        else:
            place = link.place(position)
            if place is None:
                continue
            share = link.chain.share(place, ct, needed).id
        if guards is not None:
            share = guards.unfitted(node, position, share)
        if graph.shapes:
            share = graph.node_of(fitted(graph[share], graph[operand]))
        if guards is not None:
            share = guards.guarded(node, position, share)
        if graph.shapes:
            _check_shape(graph, share, operand)
        before = found.get(operand)
        if before is not None:
            graph.deriving(Origin("grad", operand, "sum", "add", None))
            share = (Expr(graph, before) + Expr(graph, share)).id
        found[operand] = share


def _tangent_of_leaf(graph: Graph, leaf: Any, tangent: int) -> int:
    """A given tangent in the shape of its leaf; one number is that of every element."""
    shape, given = shape_of(leaf), graph.shapes.get(tangent, ())
    if given == shape:
        return tangent
    if given:
        raise ShapeError(
            f"the tangent of {leaf!r} has shape {shape_text(given)}, expected {shape_text(shape)}"
        )
    return graph.node_of(spread_over(graph[tangent], leaf))


def _check_shape(graph: Graph, derivative: int, node: int) -> None:
    """What is made here has the shape of what it belongs to, or broadcasting hides a mistake."""
    found, wanted = graph.shapes.get(derivative, ()), graph.shapes.get(node, ())
    if found != wanted:
        raise ShapeError(
            f"a derivative of {Expr(graph, node)!r}, of shape {shape_text(wanted)}, came out in "
            f"shape {shape_text(found)}: a mistake in a derivative rule, or of wengert"
        )


def _tangent(graph: Graph, node: int, found: dict[int, int], link: Link | None) -> None:
    op, operands = graph.ops[node], graph.operands[node]
    if found.keys().isdisjoint(operands):
        return
    arguments = (*[Expr(graph, operand) for operand in operands], *graph.statics.get(node, ()))
    out, total = Expr(graph, node), None
    rules = link.tangents if link is not None else op.vjp if op.jvp is None else op.jvp
    for position, operand in enumerate(operands):
        if operand not in found:
            continue
        rule = rules[position]
        if rule is None:
            _check_differentiable(graph, node)
            continue
        graph.deriving(Origin("jvp", node, "rule", op.name, position))
        share = rule(Expr(graph, found[operand]), out, *arguments)
        graph.deriving(Origin("jvp", node, "sum", "add", None))
        total = share if total is None else total + share
    if total is not None:
        found[node] = graph.node_of(spread_over(graph[graph.node_of(total)], out))
        _check_shape(graph, found[node], node)


def _remember(graph: Graph, found: dict[int, int]) -> None:
    """Note whose adjoint each node is; where it is that of several, the named one counts."""
    graph.sweeps.append(found)
    for primal, adjoint in found.items():
        if graph.ops[adjoint] is CONSTANT:
            continue
        known = graph.adjoint_of.get(adjoint)
        if known is None or (known not in graph.labels and primal in graph.labels):
            graph.adjoint_of[adjoint] = primal


def _listed(things: Any, what: str) -> list[Any]:
    """A sequence as a list; one number, `Value` or expression as a list of one."""
    if isinstance(things, (Arithmetic, Real)):
        return [things]
    if isinstance(things, Iterable) and not isinstance(things, (str, bytes, Mapping)):
        return list(things)
    raise OperandError(
        f"{what}: expected an Expr, a Value or a sequence of them, got {shorten(things)}, "
        f"{kind_of(things)}"
    )


def _check_one_each(leaves: list[Any], given: list[Any], what: str) -> None:
    if len(leaves) != len(given):
        raise ShapeError(f"{len(given)} {what} for {len(leaves)} leaves; give one for each")


def _output_node(graph: Graph, output: Any) -> int:
    if not isinstance(output, Arithmetic):
        raise OperandError(
            f"cannot differentiate {shorten(output)}, {kind_of(output)}; "
            f"expected one Expr or Value (for several outputs use jacobian){formula_hint(output)}"
        )
    return graph.node_of(output)


def _leaf_node(graph: Graph, leaf: Any) -> int | None:
    """The node to differentiate by; None for a leaf `Value` the graph has never met."""
    if not isinstance(leaf, Arithmetic):
        raise OperandError(
            f"cannot differentiate with respect to {shorten(leaf)}, {kind_of(leaf)}; "
            "expected a leaf: an input, a parameter or a Value"
        )
    node = graph.find(leaf)
    is_leaf = leaf.is_leaf if node is None else graph.is_leaf(node)  # type: ignore[attr-defined]
    if not is_leaf:
        raise NotALeafError(
            f"{shorten(leaf)} is computed, not a leaf; differentiate with respect to its leaves, "
            "or read the derivative by an intermediate node from wengert.adjoints(output)[node]"
        )
    if node is not None and graph.ops[node] is CONSTANT:
        raise NotALeafError(
            f"{Expr(graph, node)!r} is a constant, one node for every use of that number; "
            "make it a parameter to differentiate with respect to it"
        )
    return node


def _disconnected(graph: Graph, root: int, leaf: Any) -> DisconnectedInputError:
    name = shorten(leaf.label) if leaf.label else repr(leaf)
    return DisconnectedInputError(
        f"the output {Expr(graph, root)!r} does not depend on {name}; "
        "leave it out, or pass allow_unused=True to get 0"
    )


def _check_differentiable(graph: Graph, node: int) -> None:
    op = graph.ops[node]
    if not op.differentiable:
        raise NotDifferentiableError(
            f"{Expr(graph, node)!r} has no derivative: {op.sentence}; "
            "differentiate what it is applied to instead"
        )
