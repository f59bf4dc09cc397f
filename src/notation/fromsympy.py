"""sympy's expressions as expressions of a graph: the way back from `to_sympy`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, Final

from ..errors import FormulaError, GraphMismatchError, OperandError, kind_of, shorten
from ..graph.expr import Expr, Graph
from ..graph.traversal import depth_first
from ..ops import scalar as ops
from .names import leaf_name

MAX_TERMS: Final = 10_000
"""The longest `Sum` or `Product` that is written out."""


def from_sympy(
    things: Any, *, graph: Graph | None = None, order: Iterable[Any] | None = None
) -> Any:
    """The expression of a sympy expression, in `graph` or in a new one; of a matrix, nested lists.

    Symbols are the leaves of their names of `graph`, or else new inputs, in the `order` given, of
    symbols or names, and then by name. A name that is no identifier is made one by `leaf_name`:
    "x_{1}" is x_1, "α" is alpha and "lambda" is lambda_; two symbols that would be one leaf are an
    error. Numbers become the nearest floats, sums and products of a fixed length are written out,
    relations are comparisons, `Piecewise` is `where`, with nan where no piece holds. What has no
    meaning here, such as a complex number, an integral or an unknown function, is a `FormulaError`
    that names it, and leaves the graph as it was.

    >>> import sympy
    >>> x, y = sympy.symbols("x y")
    >>> e = from_sympy(sympy.Max(x, 0) * sympy.tanh(y) - sympy.pi)
    >>> print(e, list(e.graph.leaves))
    maximum(0, x)*tanh(y) - 3.141592653589793 ['x', 'y']
    """
    import sympy

    target = Graph() if graph is None else graph
    if not isinstance(target, Graph):
        raise GraphMismatchError(f"graph is {kind_of(graph)}; expected a wengert.Graph")
    plain = _plain(things, sympy)
    parts = list(_flat(plain))
    leaves = _leaves(parts, order, sympy)
    trial = Graph()
    _build(parts, trial, leaves)  # raises before anything is added
    found = iter(_build(parts, target, leaves))
    return _rebuilt(plain, found)


def _plain(things: Any, sympy: Any) -> Any:
    """Matrices and sequences as lists of expressions."""
    if isinstance(things, (sympy.MatrixBase, sympy.NDimArray)):
        return things.tolist()
    if isinstance(things, (list, tuple, sympy.Tuple)):
        return [_plain(thing, sympy) for thing in things]
    if isinstance(things, str):
        raise OperandError(f"{shorten(things)} is text; read it with wengert.parse, or sympify it")
    return sympy.sympify(things)


def _flat(things: Any) -> Iterator[Any]:
    if isinstance(things, list):
        for thing in things:
            yield from _flat(thing)
    else:
        yield things


def _rebuilt(things: Any, found: Iterator[Expr]) -> Any:
    return [_rebuilt(thing, found) for thing in things] if isinstance(things, list) else next(found)


def _leaves(parts: Sequence[Any], order: Iterable[Any] | None, sympy: Any) -> dict[Any, str]:
    """The leaf of each symbol, in the order in which they are made."""
    free = _free_symbols(parts, sympy)
    symbols = sorted(free, key=lambda s: (str(s), sympy.default_sort_key(s)))
    by_name = {str(symbol): symbol for symbol in symbols}
    first = [
        by_name.get(thing, thing) if isinstance(thing, str) else thing for thing in order or ()
    ]
    for thing in first:
        if not isinstance(thing, (sympy.Symbol, str)):
            raise OperandError(f"order has {shorten(thing)}; expected symbols, or their names")
    leaves: dict[Any, str] = {}
    taken: dict[str, Any] = {}
    for symbol in dict.fromkeys([*first, *symbols]):
        name = leaf_name(str(symbol))
        if name in taken:
            raise FormulaError(
                f"the symbols {shorten(str(taken[name]))} and {shorten(str(symbol))} would both be "
                f"the leaf {name!r}: they differ in assumptions, or in signs that no name here "
                "can have; substitute another symbol for one of them"
            )
        taken[name], leaves[symbol] = symbol, name
    return leaves


def _free_symbols(parts: Sequence[Any], sympy: Any) -> set[Any]:
    """The symbols that formulas depend on, shared parts looked at once, as sympy does not."""
    plain = (  # others bind some of the symbols in them
        *(sympy.Add, sympy.Mul, sympy.Pow, sympy.core.function.Application),
        *(sympy.core.relational.Relational, sympy.functions.elementary.piecewise.ExprCondPair),
    )

    def following(part: Any) -> Sequence[Any]:
        return tuple(part.args) if isinstance(part, plain) else ()

    found: dict[Any, set[Any]] = {}
    for part in depth_first(parts, following, found):
        found[part] = set() if isinstance(part, plain) else part.free_symbols
    return set().union(*found.values())


def _build(parts: Sequence[Any], graph: Graph, leaves: Mapping[Any, str]) -> list[Expr]:
    """The expressions of sympy expressions, shared parts once."""
    import sympy

    for name in leaves.values():
        if name not in graph.leaves:
            graph.input(name)
    expanded: dict[Any, Any] = {}

    def following(part: Any) -> Sequence[Any]:
        if isinstance(part, _written_out(sympy)):
            expanded[part] = _expanded(part, sympy)
            return (expanded[part],)
        if part.func is sympy.log and part.args[0].func is sympy.Abs:
            inner = part.args[0].args[0]
            if inner.func is sympy.gamma:  # what `to_sympy` writes
                expanded[part] = sympy.loggamma(*inner.args)
                return (expanded[part],)
        return tuple(part.args)

    made: dict[Any, Any] = {}
    for part in depth_first(parts, following, made):
        if part in expanded:
            made[part] = made[expanded[part]]
        elif part in leaves:
            made[part] = graph[leaves[part]]
        else:
            made[part] = _made(part, [made[a] for a in part.args], graph, sympy)
    return [graph[graph.node_of(made[part])] for part in parts]


def _written_out(sympy: Any) -> tuple[type, ...]:
    return (sympy.Sum, sympy.Product, sympy.Derivative, sympy.Subs, sympy.ITE, sympy.Determinant,
            sympy.Integral, sympy.Limit, sympy.Trace)  # fmt: skip


def _expanded(part: Any, sympy: Any) -> Any:
    """A finite sum, a product, a derivative and the like, written out."""
    if isinstance(part, (sympy.Sum, sympy.Product)):
        for _, low, high in part.limits:
            length = high - low + 1
            if not (length.is_Integer and length <= MAX_TERMS):
                raise FormulaError(
                    f"{shorten(str(part))} has {shorten(str(length))} terms; expected a number, "
                    f"{MAX_TERMS:,} at most"
                )
    found = part.to_nnf() if isinstance(part, sympy.ITE) else part.doit()
    if found == part:
        raise FormulaError(f"{shorten(str(part))} cannot be worked out by sympy")
    return found


def _made(part: Any, parts: list[Any], graph: Graph, sympy: Any) -> Any:
    """What one sympy node is, given what its arguments are."""
    if part.is_Number or part.is_NumberSymbol or part in (sympy.true, sympy.false):
        return _constant(part, sympy)
    if isinstance(part, sympy.Add):
        return _sum(part.args, parts)
    if isinstance(part, sympy.Mul):
        return _product(part.args, parts, sympy)
    if isinstance(part, sympy.Pow):
        return _power(part, *parts)
    if isinstance(part, sympy.functions.elementary.piecewise.ExprCondPair):
        return tuple(parts)
    if isinstance(part, sympy.Piecewise):
        pairs = list(parts)
        value = pairs.pop()[0] if part.args[-1].cond == sympy.true else math.nan
        return reduce(lambda rest, pair: ops.WHERE(pair[1], pair[0], rest), reversed(pairs), value)
    make = _FUNCTIONS.get(type(part).__name__)
    if make is not None:
        try:
            return make(*parts)
        except TypeError:
            pass
    what = "complex numbers" if part == sympy.I else f"no {type(part).__name__}"
    raise FormulaError(
        f"{shorten(str(part))}: a graph has {'no ' * (part == sympy.I)}{what}; "
        "substitute or rewrite it with sympy first"
    )


def _constant(number: Any, sympy: Any) -> float:
    if number in (sympy.true, sympy.false):
        return 1 if number == sympy.true else 0
    if number == sympy.nan or number == sympy.zoo:
        return math.nan
    if number.is_Integer and abs(number) <= 2**53:
        return int(number)
    return float(number)


def _sum(arguments: Sequence[Any], parts: Sequence[Any]) -> Any:
    """Terms in sympy's order, those with a negative number last, and subtracted."""
    signs = [bool(term.as_coeff_Mul()[0].is_negative) for term in arguments]
    first, *rest = sorted(zip(signs, parts, strict=True), key=lambda pair: pair[0])
    total = first[1]
    for negative, part in rest:
        if not negative:
            total = total + part
        elif isinstance(part, Expr):
            total = total - part.operands[0] if part.op is ops.NEG else total + part
        else:
            total = total - -part
    return total


def _product(arguments: Sequence[Any], parts: Sequence[Any], sympy: Any) -> Any:
    """Factors over divisors: a rational number's, and powers of a negative number."""
    above: list[Any] = []
    below: list[Any] = []
    negative = False
    for factor, part in zip(arguments, parts, strict=True):
        if factor.is_Rational:
            negative = factor.p < 0
            above += [_constant(sympy.Integer(abs(factor.p)), sympy)] if abs(factor.p) != 1 else []
            below += [_constant(sympy.Integer(factor.q), sympy)] if factor.q != 1 else []
        elif isinstance(factor, sympy.Pow) and isinstance(part, Expr) and part.op is ops.DIV:
            below.append(part.operands[1])
        else:
            above.append(part)
    found = reduce(lambda a, b: a * b, above) if above else 1
    if below:
        found = found / reduce(lambda a, b: a * b, below)
    return -found if negative else found


def _power(part: Any, base: Any, exponent: Any) -> Any:
    if isinstance(exponent, Expr):
        if isinstance(base, Expr):
            return base**exponent
        return ops.EXP2(exponent) if base == 2 else base**exponent
    if not isinstance(base, Expr):
        return ops.POW(float(base), float(exponent))
    if exponent == 0.5:
        return ops.SQRT(base)
    if exponent < 0:
        return 1 / (base if exponent == -1 else _power(part, base, -exponent))
    return base**exponent


def _many(op: Any) -> Callable[..., Any]:
    return lambda *parts: reduce(op, parts)


def _log(x: Any, base: Any = None) -> Any:
    if base is None:
        return ops.LOG(x)
    known = None if isinstance(base, Expr) else {2.0: ops.LOG2, 10.0: ops.LOG10}.get(base)
    return known(x) if known else ops.LOG(x) / ops.LOG(base)


def _polygamma(order: Any, x: Any) -> Any:
    if isinstance(order, Expr):
        raise TypeError
    return ops.DIGAMMA(x) if order == 0 else ops.POLYGAMMA(x, order)


def _gammas(above: Sequence[Any], below: Sequence[Any] = ()) -> Any:
    """A product of Γs over another; the sign of each below 0 changes at whole numbers."""
    signs = [ops.WHERE(ops.GT(x, 0), 1, 1 - 2 * ops.MOD(ops.FLOOR(x), 2)) for x in (*above, *below)]
    size = sum(map(ops.LGAMMA, above[1:]), ops.LGAMMA(above[0])) - sum(map(ops.LGAMMA, below))
    return reduce(lambda a, b: a * b, signs) * ops.EXP(size)


def _inverse(op: Any) -> Callable[..., Any]:
    return lambda x: 1 / op(x)


def _of_inverse(op: Any) -> Callable[..., Any]:
    return lambda x: op(1 / x)


def _logaddexp2(a: Any, b: Any) -> Any:
    unit = math.log(2)
    return ops.LOGADDEXP(a * unit, b * unit) / unit


_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    **{
        name: getattr(ops, name)
        for name in (
            *("log2", "log10", "log1p", "expm1", "exp2", "exp", "sin", "cos", "tan", "sinh"),
            *("cosh", "tanh", "asin", "acos", "atan", "atan2", "asinh", "acosh", "atanh"),
            *("erf", "erfc", "digamma", "sign", "floor", "hypot", "isnan", "isfinite"),
        )
    },
    "log": _log,
    "Abs": ops.ABS,
    "ceiling": ops.CEIL,
    "frac": lambda x: x - ops.FLOOR(x),
    "Mod": ops.MOD,
    "Max": _many(ops.MAXIMUM),
    "Min": _many(ops.MINIMUM),
    "Heaviside": lambda x, at=0.5: ops.HEAVISIDE(x, at),
    "loggamma": ops.LGAMMA,
    "gamma": lambda x: _gammas([x]),
    "factorial": lambda x: _gammas([x + 1]),
    "beta": lambda a, b: _gammas([a, b], [a + b]),
    "binomial": lambda n, k: _gammas([n + 1], [k + 1, n - k + 1]),
    "polygamma": _polygamma,
    "Sqrt": ops.SQRT,
    "Cbrt": ops.CBRT,
    "logaddexp": ops.LOGADDEXP,
    "logaddexp2": _logaddexp2,
    "cosm1": lambda x: -2 * ops.SIN(x / 2) ** 2,
    "powm1": lambda a, b: ops.EXPM1(b * ops.LOG(a)),
    "fma": lambda a, b, c: a * b + c,
    "sec": _inverse(ops.COS),
    "csc": _inverse(ops.SIN),
    "cot": _inverse(ops.TAN),
    "sech": _inverse(ops.COSH),
    "csch": _inverse(ops.SINH),
    "coth": _inverse(ops.TANH),
    "acot": _of_inverse(ops.ATAN),
    "asec": _of_inverse(ops.ACOS),
    "acsc": _of_inverse(ops.ASIN),
    "acoth": _of_inverse(ops.ATANH),
    "asech": _of_inverse(ops.ACOSH),
    "acsch": _of_inverse(ops.ASINH),
    "sinc": lambda x: ops.WHERE(ops.EQ(x, 0), 1, ops.SIN(x) / x),
    "StrictLessThan": (ops.LT),
    "LessThan": (ops.LE),
    "StrictGreaterThan": (ops.GT),
    "GreaterThan": (ops.GE),
    "Equality": (ops.EQ),
    "Unequality": (ops.NE),
    "And": _many(ops.AND),
    "Or": _many(ops.OR),
    "Xor": _many(ops.XOR),
    "Not": ops.NOT,
    "UnevaluatedExpr": lambda x: x,
    "re": lambda x: x,
    "conjugate": lambda x: x,
}
"""What sympy's functions are, by the names of their classes."""
