"""Which passes a graph goes through on its way to a function."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from numbers import Real
from typing import Any, Final, overload

from ..errors import OperandError, UnknownNameError, formula_hint, kind_of, shorten
from ..graph.arithmetic import Arithmetic
from ..graph.expr import Expr, Graph
from ..graph.value import Value
from .engine import PASSES, extract
from .sharing import factor, share_products, share_sums
from .stable import shift_sums

EXACT, REAL = "exact", "real"

SIMPLIFICATIONS: Final = (EXACT, REAL)
"""What `compile` can be asked for by name."""


@overload
def simplify(exprs: Expr | Value, rules: str = "exact") -> Expr: ...
@overload
def simplify(exprs: Iterable[Any], rules: str = "exact") -> list[Expr]: ...
def simplify(exprs: Any, rules: str = "exact") -> Expr | list[Expr]:
    """The same expressions, written with fewer operations, in a new graph.

    exprs   an expression or a sequence of them, which gives a list in its order
    rules   "exact": results stay the same float64 bit for bit, but for the sign of a zero;
            "real": also rewrites that hold over the reals and may round otherwise;
            "stable": also rewrites that improve floating point, such as log(1 + exp(x)) to
            softplus(x); use it before differentiating

    The new graph's `passes` say what happened. Unknown `rules` are an `UnknownNameError`.

    >>> g = Graph(); x = g.input("x")
    >>> y = simplify(x * 1 + (-x) * 2)
    >>> print(y)
    x + -2*x
    >>> print(*y.graph.passes)
    exact: 7 nodes -> 4; mul 2 -> 1, neg 1 -> 0; 1 fold, 1 mul-one, 1 scale-neg
    """
    try:
        chosen = PASSES[rules]
    except (KeyError, TypeError):
        raise UnknownNameError.of("set of rules", rules, PASSES) from None
    single = isinstance(exprs, (Arithmetic, Real))
    if isinstance(exprs, str) or not (single or isinstance(exprs, Iterable)):
        raise OperandError(
            f"cannot simplify {shorten(exprs)}, {kind_of(exprs)}; "
            f"expected an Expr, a Value or a sequence of them{formula_hint(exprs)}"
        )
    graph = chosen(extract([exprs] if single else exprs))
    if rules == "stable":
        graph = shift_sums(graph)
    results = [graph[node] for node in graph.outputs]
    return results[0] if single else results


def simplified(graph: Graph, rules: str, samples: Collection[str] = ()) -> Graph:
    """`graph` after the passes of a set of rules; it stays as it is itself.

    rules    "exact": results stay the same float64 bit for bit, but for the sign of a zero;
             "real": also what holds over the reals and may round otherwise: rules, common factors
             taken out of sums, and parts that sums or products share computed once
    samples  the names of the leaves that have a value for every sample of a batch
    """
    if rules == EXACT:
        return PASSES[EXACT](graph)
    graph = PASSES[REAL](graph)
    for sharing in (factor, share_sums, share_products):
        graph = sharing(graph, samples)
    return PASSES[REAL](graph)


def rules_named(simplify: Any) -> str | None:
    """The set of rules that `simplify` asks for: True is "exact", False is None.

    >>> rules_named(True), rules_named("real"), rules_named(False)
    ('exact', 'real', None)
    """
    if simplify is True or simplify is False:
        return EXACT if simplify else None
    if simplify not in SIMPLIFICATIONS:
        raise UnknownNameError.of("simplification", simplify, [*SIMPLIFICATIONS, "True", "False"])
    return str(simplify)
