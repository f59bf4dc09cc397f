"""What graphs, expressions and values answer to networkx and to sympy."""

from __future__ import annotations

from ..graph.expr import Expr, Graph
from ..graph.value import Value
from .networkx import as_networkx
from .sympy import to_sympy


def open_doors() -> None:
    """Let `graph.nx` be the networkx view, and `sympy.sympify` take expressions and values."""
    Graph.nx.opens_to(as_networkx)
    for kind in (Expr, Value):
        kind._sympy_.opens_to(lambda thing: lambda: to_sympy(thing))
