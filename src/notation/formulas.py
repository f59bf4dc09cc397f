"""Several named formulas as one expression: "c = a + b; d = b + 1; e = c*d"."""

from __future__ import annotations

import re
from typing import Final

from ..errors import FormulaError, shorten
from ..graph.expr import Expr, Graph
from ..graph.store import is_name
from .parse import MAX_LENGTH, in_ascii, parse_with

_ASSIGNMENT: Final = re.compile(r"\s*([^\W\d][\w₀-₉]*)\s*=(?!=)(.*)", re.DOTALL)


def read_formulas(text: str, graph: Graph | None = None) -> Expr:
    """The expression of one formula, or of several "name = formula" separated by ";", the last one.

    A name given to a formula can be used in those after it, and labels its node. The expression is
    in `graph`, whose leaves may be named, or in a new one.

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
        name, body = (in_ascii(match[1]), match[2]) if match else ("", statement)
        if name and (not is_name(name) or name in named or name in graph.leaves):
            raise FormulaError(
                f"{shorten(name)} cannot be given a formula here: it is a keyword or in use already"
            )
        output = parse_with(body, graph, named)
        if name:
            named[name] = output
            if not output.is_leaf:
                output.label = name
    assert output is not None
    return output
