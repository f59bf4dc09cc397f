"""A walk-through put together from what was derived: its steps in order, its nodes, its judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..codegen.compiled import Compiled
from ..errors import MissingInputError
from ..graph.evaluation import given_values
from .derivation import Derivation
from .judges import agreement, compiled_function
from .notation import write
from .outcome import code, update
from .paths import paths
from .steps import adjoint_formula, backward, forward, seed, task
from .walkthrough import Node, Step, Walkthrough


def assemble(
    derivation: Derivation, rates: Sequence[float], compiled: Compiled | None = None
) -> Walkthrough:
    """The walk-through of a derivation; `compiled` is its compiled function, if there is one."""
    d = derivation
    function = compiled_function(d) if compiled is None else compiled
    steps: list[Step] = [
        task(d),
        *forward(d),
        seed(d),
        *backward(d),
        *paths(d),
        agreement(d, function),
        code(d, function),
    ]
    if not d.symbolic:
        steps.append(update(d, rates))
    return Walkthrough(
        title=steps[0].title,
        formula=write(d.graph, d.root, {}).formula,
        symbolic=d.symbolic,
        nodes=tuple(_node(d, node) for node in d.live),
        steps=tuple(steps),
        first_non_finite=next((step.id for step in steps if not step.finite), None),
        graph=d.graph,
        output=d.graph[d.root],
        values={} if d.symbolic else {d.names[n]: d.values[n] for n in d.leaves},
        compiled=function,
        derivation=d,
        rates=tuple(rates),
    )


def with_values(w: Walkthrough, at: Mapping[Any, float]) -> Walkthrough:
    """The same walk-through with other numbers for some leaves; see `Walkthrough.at`."""
    d = w.derivation
    given = {**d.given, **given_values(d.graph, at)}
    missing = [
        d.names[leaf] for leaf in d.leaves if leaf not in given and d.graph.value(leaf) is None
    ]
    if missing:
        raise MissingInputError(f"no value for {', '.join(missing)}; give each leaf a number")
    numbers = replace(d, given=given, symbolic=False)
    return assemble(replace(numbers, values=numbers.at(given)), w.rates, w.compiled)


def _node(d: Derivation, node: int) -> Node:
    graph, op = d.graph, d.graph.ops[node]
    leaf = graph.is_leaf(node)
    adjoint = d.adjoint.get(node)
    return Node(
        id=f"n{node}",
        name=d.names[node],
        label=graph.labels.get(node, ""),
        latex=d.written[node].latex,
        kind=op.name if leaf else "operation",
        op=op.name,
        sign="" if leaf else op.sign(graph.statics.get(node, ())),
        operands=tuple(f"n{operand}" for operand in graph.operands[node]),
        formula=write(graph, node, d.written, inside=not leaf).formula,
        expanded=write(graph, node, {}).formula,
        value=d.value(node),
        adjoint=d.value(adjoint),
        adjoint_formula=None if adjoint is None else adjoint_formula(d, node).formula,
        number=node,
        adjoint_number=adjoint,
    )
