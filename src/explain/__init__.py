"""The chain rule taught: the backward pass of an expression as steps to follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import OperandError, shorten
from .derivation import Derivation, derive
from .judges import agreement, compiled_function
from .notation import write
from .outcome import RATES, code, update
from .paths import paths
from .steps import adjoint_formula, backward, forward, seed, task
from .walkthrough import Node, Step, Walkthrough

__all__ = ["Walkthrough", "explain"]


def explain(
    output: Any,
    wrt: Any = None,
    at: Mapping[Any, float] | None = None,
    *,
    rates: Sequence[float] = RATES,
    part: str | None = None,
    collapse: bool = False,
) -> Walkthrough:
    """The chain rule on `output`, step by step, as the compiler carries it out.

    output    an `Expr` or `Value`: an expression, a neuron's output, the loss of a small network
    wrt       the leaves (or their names) to differentiate by; all of them unless given
    at        leaf or name → number; what it leaves out contributes the number it carries.
              Without `at`, an expression with a leaf that carries none is explained in formulas
    rates     the learning rates of the last step
    part      the label of a part of the expression to explain instead, such as "h0_1"
    collapse  make each labelled part, such as a neuron, one step

    Errors: `MissingInputError` names leaves without a value, `OperandError` a value that is no
    number, `SizeError` says how large an expression is that has more than 150 operations.

    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); a, b = g.input("a"), g.input("b")
    >>> w = explain((a + b) * (b + 1), at={a: 2, b: 1})
    >>> w.by_name("b").adjoint
    5.0
    >>> print(w.step("backward-n1").total)
    3 + 2 = 5, through v2 and v1
    """
    for rate in rates:
        if isinstance(rate, bool) or not isinstance(rate, (int, float)):
            raise OperandError(f"learning rate {shorten(rate)}: expected a number")
    derivation = derive(output, wrt, at, part=part, collapse=collapse)
    compiled = compiled_function(derivation)
    steps: list[Step] = [
        task(derivation),
        *forward(derivation),
        seed(derivation),
        *backward(derivation),
        *paths(derivation),
        agreement(derivation, compiled),
        code(derivation, compiled),
    ]
    if not derivation.symbolic:
        steps.append(update(derivation, rates))
    d = derivation
    nodes = tuple(_node(d, node) for node in d.live)
    return Walkthrough(
        title=steps[0].title,
        formula=write(d.graph, d.root, {}).formula,
        symbolic=d.symbolic,
        nodes=nodes,
        steps=tuple(steps),
        first_non_finite=next((step.id for step in steps if not step.finite), None),
        graph=d.graph,
        output=d.graph[d.root],
        values={} if d.symbolic else {d.names[n]: d.values[n] for n in d.leaves},
        compiled=compiled,
    )


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
