"""Values and derivatives to many digits, through sympy's meaning of each operation and mpmath.

Nothing here reads `Op.evaluate` or `Op.vjp`: these numbers judge those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ..graph.expr import Graph
from ..graph.traversal import depth_first
from ..notation.sympy import as_number, derivative_of, operand_symbols
from ..ops.record import Op
from ..ops.scalar import STOP_GRADIENT

_HUGE_BITS = 5_000
"""Past 2 to this power a value counts as infinite, so that exp(exp(exp(x))) ends."""

_BESIDE, _APART = 1e-30, 1e-9
"""How far beside a point a derivative is looked at, and how far two that are one may differ."""


def precise_values(
    graph: Graph,
    live: Sequence[int],
    given: Mapping[int, float],
    digits: int = 50,
    known: Mapping[int, Any] | None = None,
) -> dict[int, Any]:
    """The value of each node of `live` as an mpmath number; nan where it is not real.

    `known` are values that were found before, at the same leaves and to as many digits.

    >>> from mpmath import nstr
    >>> g = Graph(); x = g.input("x"); y = x.exp()
    >>> nstr(precise_values(g, [0, 1], {0: 1.0})[1], 25)
    '2.718281828459045235360287'
    """
    from mpmath import mp

    values: dict[int, Any] = dict(known or {})
    lost = {node for node, value in values.items() if mp.isnan(value)}
    with mp.workdps(digits):
        for node in live:
            if node in values:
                continue
            op, operands = graph.ops[node], graph.operands[node]
            if op.arity == 0:
                value = mp.mpf(given[node] if node in given else graph.value(node))
            elif lost and not lost.isdisjoint([operands[i] for i in op.conditions] or operands):
                value = mp.nan  # to mpmath, min(2, nan) is 2
            else:
                value = _apply(meaning(op), _arguments(graph, node, values))
            values[node] = value
            if value != value:
                lost.add(node)
    return values


def chain_rule(
    graph: Graph, live: Sequence[int], root: int, values: Mapping[int, Any], digits: int = 50
) -> dict[int, Any]:
    """d root / d node for the nodes of `live` by the chain rule, at `values` from `precise_values`.

    The derivative of each operation is sympy's, of its meaning. Linear in the number of nodes.
    Nodes that do not reach `root` are absent.
    """
    from mpmath import mp

    with mp.workdps(digits):
        found = {root: mp.mpf(1)}
        for node in reversed(live):
            adjoint, op = found.get(node), graph.ops[node]
            if not adjoint or op.arity == 0 or op.name == STOP_GRADIENT.name:
                continue
            arguments = _arguments(graph, node, values)
            for position, operand in enumerate(graph.operands[node]):
                share = adjoint * _apply(partial(op, position), arguments)
                found[operand] = found.get(operand, 0) + share
    return found


def precise_sympy(formulas: Sequence[Any], at: Mapping[Any, Any], digits: int = 50) -> list[Any]:
    """The value of sympy formulas at mpmath numbers for their symbols, shared parts computed once.

    >>> import sympy; from mpmath import nstr; x = sympy.Symbol("x")
    >>> nstr(precise_sympy([sympy.sqrt(x) + 1], {x: 2})[0], 20)
    '2.4142135623730950488'
    """
    from mpmath import mp

    with mp.workdps(digits):
        values = {symbol: mp.mpf(number) for symbol, number in at.items()}
        for part in depth_first(formulas, lambda formula: formula.args, values):
            values[part] = _sympy_part(part, [values[a] for a in part.args])
        return [_real(values[formula]) for formula in formulas]


@lru_cache(maxsize=1024)
def meaning(op: Op) -> Callable[..., Any]:
    """The meaning of `op` as a function on mpmath numbers."""
    return _lambdified(op, None)


@lru_cache(maxsize=1024)
def partial(op: Op, position: int) -> Callable[..., Any]:
    """sympy's derivative of the meaning of `op` by one operand, as a function on mpmath numbers."""
    return _lambdified(op, position)


def sides_differ(op: Op, arguments: Sequence[Any], digits: int = 50) -> bool:
    """Whether a derivative of an operation is another on the other side of one of its operands.

    arguments   its operands, then its statics, as mpmath numbers

    >>> from wengert.ops.scalar import HARD_TANH; from mpmath import mpf
    >>> sides_differ(HARD_TANH, [mpf(1)]), sides_differ(HARD_TANH, [mpf(0)])
    (True, False)
    """
    from mpmath import mp

    derivatives = [partial(op, position) for position in range(op.arity)]
    with mp.workdps(digits):
        for i in range(op.arity):
            step = _BESIDE * (1 + abs(arguments[i]))
            sides = [[*arguments[:i], arguments[i] + s, *arguments[i + 1 :]] for s in (-step, step)]
            for derivative in derivatives:
                left, right = (_apply(derivative, side) for side in sides)
                if abs(right - left) > _APART * (1 + abs(left)):
                    return True
    return False


def _lambdified(op: Op, position: int | None) -> Callable[..., Any]:
    import sympy

    operands = operand_symbols(op)
    statics = [sympy.Symbol(name, real=True) for name in op.statics]
    formula = as_number(op.sympy(sympy, *operands, *statics))
    if position is not None:
        formula = sympy.powsimp(derivative_of(formula, operands[position]))
    function: Callable[..., Any] = sympy.lambdify([*operands, *statics], formula, "mpmath")
    return function


def _arguments(graph: Graph, node: int, values: Mapping[int, Any]) -> list[Any]:
    arguments = [values[operand] for operand in graph.operands[node]]
    if node in graph.statics:
        from mpmath import mp

        arguments += map(mp.mpf, graph.statics[node])
    return arguments


def _apply(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    try:
        return _real(function(*arguments))
    except (ArithmeticError, ValueError):
        from mpmath import mp

        return mp.nan


def _real(value: Any) -> Any:
    """A value as a real number, nan if it is none; infinite where it is out of all bounds."""
    if not hasattr(value, "_mpf_"):
        from mpmath import mp

        value = mp.mpmathify(value)
        if not isinstance(value, mp.mpf):
            return mp.nan
    _, mantissa, exponent, bits = value._mpf_
    if mantissa and exponent + bits > _HUGE_BITS:
        return value * float("inf")
    return value


def _sympy_part(part: Any, values: list[Any]) -> Any:
    """The value of one sympy node, given those of its arguments."""
    import sympy
    from mpmath import mp

    try:
        if isinstance(part, sympy.Add):
            return mp.fsum(values)
        if isinstance(part, sympy.Mul):
            return mp.fprod(values)
        if isinstance(part, sympy.Pow):
            return mp.power(*values)
        if isinstance(part, sympy.functions.elementary.piecewise.ExprCondPair):
            return tuple(values)
        if isinstance(part, sympy.Piecewise):
            return next((value for value, holds in values if holds), mp.nan)
        if part.is_Rational:
            return mp.mpf(part.p) / part.q
        return _sympy_function(part.func, part if not values else None, len(values))(*values)
    except ArithmeticError:
        return mp.nan


@lru_cache(maxsize=1024)
def _sympy_function(func: Any, atom: Any, arity: int) -> Callable[..., Any]:
    import sympy

    names = [sympy.Symbol(f"x{i}", real=True) for i in range(arity)]
    function: Callable[..., Any] = sympy.lambdify(
        names, func(*names) if atom is None else atom, "mpmath"
    )
    return function
