"""Trigonometric, hyperbolic and logarithmic functions, and lengths.

Derivatives: Abramowitz & Stegun, *Handbook of Mathematical Functions* (1964), 4.3, 4.4, 4.5, 4.6.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from . import carried_c, carried_javascript, ieee, intervals, kernels
from .basic import ABS, EQ, EXP, NE, SQRT, WHERE
from .notations import POSITIVE, REAL, cost, function, irrational, own, upright
from .record import POWER, PRODUCT, Notation, Op, call, ufunc

_UNIT = (-0.9, 0.9)


def _named(
    name: str,
    numpy: str = "",
    latex: str = "",
    careful: Callable[..., float] | None = None,
) -> dict[str, Notation]:
    """Notations of a function whose name in NumPy, or in LaTeX, is another."""
    return {**function(name, latex, careful), "numpy": ufunc(numpy or name)}


def _ln(beside: Any, base: int) -> Any:
    return irrational(beside, math.log(base), lambda sp: sp.log(base))


TAN = Op(
    name="tan",
    arity=1,
    evaluate=ieee.safe_tan,
    kernel=kernels.tan,
    sympy=lambda sp, x: sp.tan(x),
    vjp=(lambda ct, out, x: ct * (1 + out * out),),
    notation={
        **_named("tan", careful=ieee.safe_tan),
        "onnx": call("Div", "Sin({0})", "Cos({0})"),
    },
    sentence="the derivative of the tangent is one plus the square of its own result",
    domain=((-1.3, 1.3),),
    interval=intervals.tangent,
    cost=cost(24, 9),
)

SINH = Op(
    name="sinh",
    arity=1,
    evaluate=ieee.safe_sinh,
    kernel=kernels.sinh,
    sympy=lambda sp, x: sp.sinh(x),
    vjp=(lambda ct, out, x: ct * COSH(x),),
    notation=_named("sinh", careful=ieee.safe_sinh),
    sentence="the derivative of the hyperbolic sine is the hyperbolic cosine",
    domain=(REAL,),
    interval=intervals.rising(ieee.safe_sinh, zero=0.0),
    cost=cost(28, 9),
)

COSH: Op = Op(
    name="cosh",
    arity=1,
    evaluate=ieee.safe_cosh,
    kernel=kernels.cosh,
    sympy=lambda sp, x: sp.cosh(x),
    vjp=(lambda ct, out, x: ct * SINH(x),),
    notation=_named("cosh", careful=ieee.safe_cosh),
    sentence="the derivative of the hyperbolic cosine is the hyperbolic sine",
    domain=(REAL,),
    interval=intervals.even(intervals.rising(ieee.safe_cosh, 1.0)),
    cost=cost(28, 9),
)

ASIN = Op(
    name="asin",
    arity=1,
    evaluate=ieee.safe_asin,
    kernel=kernels.libm("asin"),
    sympy=lambda sp, x: sp.asin(x),
    vjp=(lambda ct, out, x: ct / SQRT((1 - x) * (1 + x)),),
    notation=_named("asin", "arcsin", r"\arcsin", ieee.safe_asin),
    sentence="the angle of a sine divides the cotangent by its cosine, the root of 1 - x²",
    domain=(_UNIT,),
    interval=intervals.within(-1.0, 1.0, intervals.rising(ieee.safe_asin, -1.6, 1.6, 0.0)),
    undefined=intervals.undefined_outside(-1.0, 1.0),
    cost=cost(24, 8),
)

ACOS = Op(
    name="acos",
    arity=1,
    evaluate=ieee.safe_acos,
    kernel=kernels.libm("acos"),
    sympy=lambda sp, x: sp.acos(x),
    vjp=(lambda ct, out, x: -(ct / SQRT((1 - x) * (1 + x))),),
    notation=_named("acos", "arccos", r"\arccos", ieee.safe_acos),
    sentence="the angle of a cosine divides the cotangent by minus its sine, the root of 1 - x²",
    domain=(_UNIT,),
    interval=intervals.within(-1.0, 1.0, intervals.falling(ieee.safe_acos, 0.0, 3.2)),
    undefined=intervals.undefined_outside(-1.0, 1.0),
    cost=cost(24, 8),
)

ATAN = Op(
    name="atan",
    arity=1,
    evaluate=math.atan,
    kernel=kernels.atan,
    sympy=lambda sp, x: sp.atan(x),
    vjp=(lambda ct, out, x: ct / (1 + x * x),),
    notation=_named("atan", "arctan", r"\arctan"),
    sentence="the angle of a tangent divides the cotangent by 1 + x²",
    domain=(REAL,),
    interval=intervals.rising(math.atan, -1.6, 1.6, 0.0),
    gate=lambda x: NE(ABS(x), math.inf),
    cost=cost(22, 8),
)

ATAN2 = Op(
    name="atan2",
    arity=2,
    evaluate=math.atan2,
    kernel=kernels.libm("atan2"),
    sympy=lambda sp, y, x: sp.atan2(y, x),
    vjp=(
        lambda ct, out, y, x: ct * (x / (x * x + y * y)),
        lambda ct, out, y, x: -(ct * (y / (x * x + y * y))),
    ),
    notation={
        "text": call("atan2", "{0}", "{1}"),
        "latex": Notation(upright("atan2") + r"\left({0}, {1}\right)"),
        "python": call("atan2", "{0}", "{1}"),
        "javascript": call("Math.atan2", "{0}", "{1}"),
        "c": call("atan2", "{0}", "{1}"),
        "numpy": ufunc("arctan2", "{0}", "{1}"),
    },
    sentence="the angle of a point turns as the point moves across its ray, by 1 over its length",
    domain=(POSITIVE, REAL),
    kink="it jumps by 2π where the first operand is 0 and the second negative; the slope is kept",
    interval=intervals.angle,
    cost=cost(32, 14),
)

ASINH = Op(
    name="asinh",
    arity=1,
    evaluate=math.asinh,
    kernel=kernels.libm("asinh"),
    sympy=lambda sp, x: sp.asinh(x),
    vjp=(lambda ct, out, x: ct / HYPOT(1, x),),
    notation=_named("asinh", "arcsinh", upright("arsinh")),
    sentence="the inverse of sinh divides the cotangent by the root of x² + 1",
    domain=(REAL,),
    interval=intervals.rising(math.asinh, zero=0.0),
    cost=cost(28, 10),
)

ACOSH = Op(
    name="acosh",
    arity=1,
    evaluate=ieee.safe_acosh,
    kernel=kernels.libm("acosh"),
    sympy=lambda sp, x: sp.acosh(x),
    vjp=(lambda ct, out, x: ct / (SQRT(x - 1) * SQRT(x + 1)),),
    notation=_named("acosh", "arccosh", upright("arcosh"), ieee.safe_acosh),
    sentence="the inverse of cosh divides the cotangent by the root of x² - 1",
    domain=((1.2, 5.0),),
    interval=intervals.above(1.0, intervals.rising(ieee.safe_acosh, 0.0)),
    undefined=intervals.undefined_outside(1.0, math.inf),
    cost=cost(28, 10),
)

ATANH = Op(
    name="atanh",
    arity=1,
    evaluate=ieee.safe_atanh,
    kernel=kernels.libm("atanh"),
    sympy=lambda sp, x: sp.atanh(x),
    vjp=(lambda ct, out, x: ct / ((1 - x) * (1 + x)),),
    notation=_named("atanh", "arctanh", upright("artanh"), ieee.safe_atanh),
    sentence="the inverse of tanh divides the cotangent by 1 - x²",
    domain=(_UNIT,),
    interval=intervals.within(-1.0, 1.0, intervals.rising(ieee.safe_atanh, zero=0.0)),
    undefined=lambda a: "domain" if a.low <= -1.0 or a.high >= 1.0 else "",
    cost=cost(28, 10),
)

LOG2 = Op(
    name="log2",
    arity=1,
    evaluate=ieee.safe_log2,
    kernel=kernels.libm("log2"),
    sympy=lambda sp, x: sp.log(x) / sp.log(2),
    vjp=(lambda ct, out, x: ct / (x * _ln(x, 2)),),
    notation={
        **_named("log2", latex=r"\log_{{2}}", careful=ieee.safe_log2),
        "onnx": call("Div", "Log({0})", repr(math.log(2.0))),
    },
    sentence="the logarithm to base 2 divides the cotangent by its operand times log(2)",
    domain=(POSITIVE,),
    interval=intervals.above(0.0, intervals.rising(ieee.safe_log2, zero=1.0)),
    undefined=intervals.undefined_to(0.0),
    cost=cost(28, 4),
)

LOG10 = Op(
    name="log10",
    arity=1,
    evaluate=ieee.safe_log10,
    kernel=kernels.libm("log10"),
    sympy=lambda sp, x: sp.log(x) / sp.log(10),
    vjp=(lambda ct, out, x: ct / (x * _ln(x, 10)),),
    notation={
        **_named("log10", latex=r"\log_{{10}}", careful=ieee.safe_log10),
        "onnx": call("Div", "Log({0})", repr(math.log(10.0))),
    },
    sentence="the logarithm to base 10 divides the cotangent by its operand times log(10)",
    domain=(POSITIVE,),
    interval=intervals.above(0.0, intervals.rising(ieee.safe_log10, zero=1.0)),
    undefined=intervals.undefined_to(0.0),
    cost=cost(28, 8),
)

EXP2 = Op(
    name="exp2",
    arity=1,
    evaluate=ieee.safe_exp2,
    kernel=kernels.libm("exp2"),
    sympy=lambda sp, x: sp.Integer(2) ** x,
    vjp=(lambda ct, out, x: ct * (out * _ln(x, 2)),),
    notation={
        **_named("exp2", careful=ieee.safe_exp2),
        "onnx": call("Pow", "2.0", "{0}"),
        "latex": Notation(r"{{2}}^{{{0}}}", POWER, (0,)),
        "javascript": call("Math.pow", "2", "{0}"),
    },
    sentence="the power of 2 is used again, times log(2)",
    domain=(REAL,),
    interval=intervals.rising(ieee.safe_exp2, 0.0),
    cost=cost(22, 4),
)

CBRT = Op(
    name="cbrt",
    arity=1,
    evaluate=math.cbrt,
    kernel=kernels.libm("cbrt"),
    sympy=lambda sp, x: (
        x ** sp.Rational(1, 3)
        if getattr(x, "is_nonnegative", None)
        else sp.Piecewise((x ** sp.Rational(1, 3), x >= 0), (-((-x) ** sp.Rational(1, 3)), True))
    ),
    vjp=(lambda ct, out, x: ct / (3 * (out * out)),),
    notation={
        **_named("cbrt"),
        "latex": Notation(r"\sqrt[3]{{{0}}}"),
        "torch": Notation("torch.sign({0}) * torch.pow(torch.abs({0}), 1.0 / 3.0)", PRODUCT),
        "onnx": call("Mul", "Sign({0})", "Pow(Abs({0}), 0.3333333333333333)"),
    },
    sentence="the cube root divides the cotangent by three times the square of the result",
    domain=(POSITIVE,),
    kink="infinite at 0",
    interval=intervals.rising(math.cbrt, zero=0.0),
    cost=cost(22, 10),
)

HYPOT: Op = Op(
    name="hypot",
    arity=2,
    evaluate=math.hypot,
    kernel=kernels.libm("hypot"),
    sympy=lambda sp, a, b: sp.sqrt(a**2 + b**2),
    vjp=(
        lambda ct, out, a, b: ct * (a / WHERE(EQ(out, 0), 1, out)),
        lambda ct, out, a, b: ct * (b / WHERE(EQ(out, 0), 1, out)),
    ),
    notation={
        "text": call("hypot", "{0}", "{1}"),
        "latex": Notation(r"\sqrt{{{{{0}}}^{{2}} + {{{1}}}^{{2}}}}", slots=(POWER + 1, POWER + 1)),
        "python": call("hypot", "{0}", "{1}"),
        "javascript": call("Math.hypot", "{0}", "{1}"),
        "c": call("hypot", "{0}", "{1}"),
        "numpy": ufunc("hypot", "{0}", "{1}"),
        "onnx": call("Sqrt", "Add(Mul({0}, {0}), Mul({1}, {1}))"),
    },
    sentence="each leg gets its share of the length",
    domain=(POSITIVE, REAL),
    kink="0 where both legs are 0",
    interval=intervals.length,
    absorbs_nan=True,
    cost=cost(30, 6),
    commutative=True,
)

LOGADDEXP = Op(
    name="logaddexp",
    arity=2,
    evaluate=ieee.logaddexp,
    kernel=kernels.logaddexp,
    sympy=lambda sp, a, b: sp.log(sp.exp(a) + sp.exp(b)),
    vjp=(lambda ct, out, a, b: ct * EXP(a - out), lambda ct, out, a, b: ct * EXP(b - out)),
    notation={
        "text": call("logaddexp", "{0}", "{1}"),
        "latex": Notation(r"\log\left(e^{{{0}}} + e^{{{1}}}\right)"),
        "python": own(ieee.logaddexp, "{0}", "{1}"),
        "javascript": call("logaddexp", "{0}", "{1}", define=carried_javascript.LOGADDEXP),
        "c": call("logaddexp", "{0}", "{1}", define=carried_c.LOGADDEXP),
        "numpy": ufunc("logaddexp", "{0}", "{1}"),
        "onnx": call("Add", "Max({0}, {1})", "Log(Add(1.0, Exp(Neg(Abs(Sub({0}, {1}))))))"),
    },
    sentence="each of the two gets the share that its exponential has in the sum",
    domain=(REAL, REAL),
    interval=intervals.log_of_sum,
    cost=cost(90, 20),
    commutative=True,
)

TABLE = (
    *(TAN, SINH, COSH, ASIN, ACOS, ATAN, ATAN2, ASINH, ACOSH, ATANH),
    *(LOG2, LOG10, EXP2, CBRT, HYPOT, LOGADDEXP),
)
"""These operations, in order."""
