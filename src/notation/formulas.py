"""Several named formulas as one expression: "c = a + b; d = b + 1; e = c*d"."""

from __future__ import annotations

import re
from typing import Final

from ..errors import FormulaError, shorten
from ..graph.expr import Expr, Graph
from ..graph.rewrite import Walk, replay
from ..graph.store import is_name
from .parse import MAX_LENGTH, parse

_ASSIGNMENT: Final = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)(.*)", re.DOTALL)


def read_formulas(text: str, graph: Graph | None = None) -> Expr:
    """The expression of one formula, or of several "name = formula" separated by ";", the last one.

    A name given to a formula can be used in those after it, and labels its node. They are made in
    `graph`, whose leaves they may name, or in a new one.

    >>> e = read_formulas("c = a + b; e = c*(b + 1)")
    >>> print(e, e.label)
    (a + b)*(b + 1) e
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"{len(text):,} characters; a formula may have {MAX_LENGTH:,}")
    statements = [part for part in re.split(r"[;\n]", text) if part.strip()]
    if not statements:
        raise FormulaError("the formula is empty; expected something like 'tanh(w*x + b)'")
    graph = Graph() if graph is None else graph
    named: dict[str, Expr] = {}
    output: Expr | None = None
    for i, statement in enumerate(statements):
        match = _ASSIGNMENT.fullmatch(statement)
        if match is None and i < len(statements) - 1:
            raise FormulaError(
                f"{shorten(statement.strip())} has no name; give each formula but the last one, "
                "as in 'c = a + b; c*c'"
            )
        name, body = (match[1], match[2]) if match else ("", statement)
        if name and (not is_name(name) or name in named or name in graph.leaves):
            raise FormulaError(
                f"{shorten(name)} cannot be given a formula here: it is a keyword or in use already"
            )
        output = _copied(parse(body), graph, named)
        if name:
            named[name] = output
            if not output.is_leaf:
                output.label = name
    assert output is not None
    return output


def _copied(source: Expr, graph: Graph, named: dict[str, Expr]) -> Expr:
    """An expression of another graph in this one, with names standing for their formulas."""

    def write(walk: Walk, node: int) -> int | None:
        if node not in names:
            return None
        name = names[node]
        if name in named:
            return named[name].id
        return graph.leaves[name] if name in graph.leaves else graph.input(name).id

    names = {leaf: name for name, leaf in source.graph.leaves.items()}
    return graph[replay(source.graph, [source.id], graph, {}, write)[source.id]]
