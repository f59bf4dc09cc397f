"""The operations of an expression for a page that computes with them: a program and words each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...codegen.compiled import compile
from ...graph.expr import Expr, Graph
from ...graph.formula import Part
from ...ops.record import SUM, Op
from ..derivation import Derivation
from ..notation import Written, local_formula, slot, write
from ..render.html import inline_html

Kind = tuple[Op, tuple[Any, ...]]
"""An operation and the numbers that are part of it, such as the exponent of a power."""


def kinds_of(d: Derivation) -> dict[Kind, int]:
    """The kinds of operations of an expression, numbered in the order in which they come."""
    found: dict[Kind, int] = {}
    for node in d.live:
        if d.computed(node):
            found.setdefault(kind_of(d, node), len(found))
    return found


def kind_of(d: Derivation, node: int) -> Kind:
    """The kind of a computed node."""
    return d.graph.ops[node], tuple(d.graph.statics.get(node, ()))


def source(kind: Kind) -> str:
    """A JavaScript pair: the value and local derivatives of an operation; the shares it passes.

    Both are emitted from what the rules of its record make of symbols. A share that no rule gives
    is 0.

    >>> from ...ops.scalar import MUL
    >>> print(source((MUL, ())))
    [function forward(x0, x1) {
        "use strict";
        // forward
        const t0 = x0*x1;
        return [t0, x1, x0];
    }
    , function backward(ct, x0, x1) {
        "use strict";
        // forward
        const t0 = ct*x1;
        const t1 = ct*x0;
        return [t0, t1];
    }
    ]
    """
    op, statics = kind
    graph = Graph()
    ct = graph.input("ct")
    operands = [graph.input(f"x{i}") for i in range(op.arity)]
    out = op(*operands, *statics)
    local = [_rule(op, i, graph.constant(1), out, operands, statics) for i in range(op.arity)]
    shares = [_rule(op, i, ct, out, operands, statics) for i in range(op.arity)]
    leaves = {operand.label: operand for operand in operands}
    forward = _emitted(leaves, [out, *local], "forward")
    return f"[{forward}, {_emitted({'ct': ct, **leaves}, shares, 'backward')}]"


def _emitted(leaves: dict[str, Expr], outputs: Sequence[Any], name: str) -> str:
    return compile(leaves, list(outputs), target="javascript", name=name).source


def _rule(
    op: Op, position: int, ct: Any, out: Any, operands: Sequence[Any], statics: Sequence[Any]
) -> Any:
    rule = op.vjp[position]
    share = 0 if rule is None else rule(ct, out, *operands, *statics)
    return out.graph[out.graph.node_of(share)]


def words(kind: Kind) -> dict[str, Any]:
    """What the page says of an operation: formulas with places for names and for numbers.

    A place for the name of operand 0 is `<i data-o="0">`, for its number `<i data-x="0">`; with
    data-b a negative one stands in brackets. The result comes after the last operand. In "text",
    without markup, the place for a name is {0}.
    """
    op, statics = kind
    graph = Graph()
    leaves = [graph.input(f"x{i}") for i in range(op.arity)]
    out = op(*leaves, *statics)
    places = [*range(op.arity), op.arity]
    names = {i: Written(Part(f"{{{i}}}"), Part("x"), Part(slot(f"o{i}"))) for i in places}
    numbers = {i: Written(Part("0", SUM), Part("0", SUM), Part(slot(f"x{i}"), SUM)) for i in places}

    def said(stops: dict[int, Written]) -> Written:
        nodes = {leaf.id: stops[i] for i, leaf in enumerate(leaves)}
        return write(graph, out.id, nodes, inside=True)

    def slope(position: int, stops: dict[int, Written]) -> str:
        operands = [stops[i] for i in range(op.arity)]
        return _html(local_formula(op, statics, position, operands, stops[op.arity])(None))

    return {
        "name": op.name,
        "prose": op.prose,
        "sentence": op.sentence,
        "text": said(names).text,
        "formula": _html(said(names)),
        "numbers": _html(said(numbers)),
        "local": [slope(i, names) for i in range(op.arity)],
        "localNumbers": [slope(i, numbers) for i in range(op.arity)],
        "passes": [rule is not None for rule in op.vjp],
    }


def _html(written: Written) -> str:
    def place(number: str, bracketed: bool) -> str:
        sign = " data-b" if bracketed and number[0] == "x" else ""
        return f'<i data-{number[0]}="{number[1:]}"{sign}></i>'

    return inline_html((written.formula,), place)
