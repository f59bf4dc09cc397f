"""`roll`: a scalar graph, derived backward pass included, as statements in index notation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any

from ..errors import OperandError, formula_hint, kind_of, shorten
from ..graph.arithmetic import Arithmetic
from ..graph.doors import View
from ..graph.expr import Expr, Graph, common_graph
from ..graph.value import Value
from ..storage import restore
from .rolling import Survey, rolled_nodes
from .statements import ArrayProgram, Statement
from .unrolling import ProgramCheck, check_program


@dataclass(frozen=True)
class Rolled:
    """A scalar graph as arrays.

    program  the statements that compute them, and the arrays that they are about
    report   how regular the graph is: its nodes, the shapes that they have, and what is alone

    >>> g = Graph(); x, w = g.inputs("x", 3), [g.inputs(f"w{j}_", 3) for j in range(2)]
    >>> rolled = roll([sum(a * b for a, b in zip(row, x)) for row in w])
    >>> print(rolled)
    t1[i] = Σ_j x[j]·w[i, j]
    >>> print(rolled.report)
    22 scalar nodes, 2 operations and sums of 1 shape
    """

    _repr_mimebundle_ = View()
    __setstate__ = restore

    program: ArrayProgram
    report: Survey

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The statements of the program, each of which prints as index notation."""
        return self.program.statements

    def __repr__(self) -> str:
        return f"<Rolled: {len(self.statements)} statements, {self.report}>"

    def __str__(self) -> str:
        return str(self.program)

    def _repr_html_(self) -> str:
        return self.program.html()


def roll(exprs: Expr | Value | Graph | Iterable[Any]) -> Rolled:
    """The same expressions, computed with arrays.

    exprs   an expression, a sequence of them, or a graph with outputs

    Scalars that do the same to elements of the same arrays are one statement, as many statements
    for every size. Order and grouping of the terms of a sum may change, so results agree up to
    rounding. What is alone of its kind is a statement of its own, and the report says how much. An
    expression that has arrays in it already is a `ShapeError`.

    >>> g = Graph(); x = g.inputs("x", 4)
    >>> print(roll([x[0] * x[0] + x[1] * x[1] + x[2] * x[2] + x[3] * x[3]]))
    t1 = Σ_i x[i]·x[i]
    """
    graph, roots = _wanted(exprs)
    return Rolled(*rolled_nodes(graph, roots))


def check_roll(exprs: Expr | Value | Graph | Iterable[Any], rolled: Rolled) -> ProgramCheck:
    """Unroll the statements and compare them with the expressions they were made from.

    They are the same node for node up to order: `canonical` says what that leaves open.

    >>> g = Graph(); x = g.inputs("x", 3)
    >>> wanted = [a.tanh() for a in x]
    >>> print(check_roll(wanted, roll(wanted)))
    unrolled, the statements are the scalar graph, node for node up to order
    >>> bool(check_roll(wanted[::-1], roll(wanted)))
    False
    """
    if not isinstance(rolled, Rolled):
        raise OperandError(f"{shorten(rolled)} is {kind_of(rolled)}; expected what `roll` gave")
    graph, roots = _wanted(exprs)
    return check_program(graph, roots, rolled.program)


def _wanted(exprs: Any) -> tuple[Graph, list[int]]:
    """The graph and the nodes of what is to be rolled."""
    if isinstance(exprs, Graph):
        return exprs, list(exprs.outputs)
    if not isinstance(exprs, (Arithmetic, Real, Iterable)) or isinstance(exprs, (str, bytes)):
        raise OperandError(
            f"cannot roll {shorten(exprs)}, {kind_of(exprs)}; expected an Expr, a Value, a "
            f"sequence of them or a Graph with outputs{formula_hint(exprs)}"
        )
    wanted = [exprs] if isinstance(exprs, (Arithmetic, Real)) else list(exprs)
    if not wanted:
        raise OperandError("nothing to roll: give an expression, a sequence of them or a Graph")
    graph = common_graph(wanted)
    return graph, [graph.node_of(thing) for thing in wanted]
