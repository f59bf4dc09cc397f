"""Expressions and values as text and as LaTeX."""

from __future__ import annotations

from html import escape
from typing import Final

from ..terminal import columns, wrapped
from .expr import Expr, common_graph
from .formula import MAX_TERMS, formula
from .value import Value


def text(expr: Expr | Value, max_terms: int = MAX_TERMS) -> str:
    """The formula of `expr` as Python would write it.

    Shared parts are written out wherever they are used; past `max_terms` nodes the deepest become
    "…". The parentheses keep the order of evaluation: read back, it computes the same floats.

    >>> from wengert import Graph
    >>> g = Graph(); a, b = g.input("a"), g.input("b")
    >>> text(a - (b - a) * 2)
    'a - (b - a)*2'
    """
    return _formula(expr, "text", max_terms)


def latex(expr: Expr | Value, max_terms: int = MAX_TERMS) -> str:
    r"""The formula of `expr` in LaTeX, for maths mode.

    >>> from wengert import Graph
    >>> g = Graph(); w0_1, x = g.input("w0_1"), g.input("x")
    >>> print(latex((w0_1 * x).tanh() / 2))
    \frac{\tanh\left(w_{0,1} \cdot x\right)}{2}
    """
    return _formula(expr, "latex", max_terms)


PAGE: Final = 100
"""Columns of a report that is shown elsewhere than in a terminal."""


class Report(str):
    r"""Lines of text that a prompt and a notebook show folded to their width, and not quoted.

    >>> Report("one line\nand another")
    one line
    and another
    """

    __slots__ = ()

    def __repr__(self) -> str:
        lines = [wrapped(line, columns(PAGE), rest=4) for line in self.split("\n")]
        return "\n".join(part for parts in lines for part in parts)

    def _repr_html_(self) -> str:
        """A row a line, with what comes before a colon in a column of its own."""
        look = 'style="text-align: left; vertical-align: top"'
        lines = (line.partition(": ")[::2] for line in self.split("\n"))
        rows = (
            f"<tr><th {look}>{escape(about if said else '')}</th>"
            f"<td {look}>{escape(said or about).replace('; ', '<br>')}</td></tr>"
            for about, said in lines
        )
        return f"<table><tbody>{''.join(rows)}</tbody></table>"


def _formula(expr: Expr | Value, language: str, max_terms: int) -> str:
    graph = common_graph([expr])
    return formula(graph, graph.node_of(expr), language, max_terms)
