"""Arithmetic, comparisons and the first functions of the table.

Derivatives of elementary functions: Griewank & Walther, *Evaluating Derivatives*, 2nd ed. (SIAM
2008), table 1.3 and section 3.2; of the piecewise ones, the one-sided choice stated in `kink`.
"""

from __future__ import annotations

import math
import operator as signs
from collections.abc import Callable
from typing import Any, Final

from . import carried, carried_c, ieee, intervals, kernels
from .notations import (
    AWAY_FROM_ZERO,
    POSITIVE,
    REAL,
    arithmetic,
    cost,
    exact,
    function,
    operator,
    own,
    upright,
)
from .notations import condition as as_condition
from .record import ATOM, COMPARISON, POWER, PRODUCT, SUM, UNARY, Notation, Op, call, infix, ufunc

_EXPONENT_DIGITS: Final = 60

# The functions that rules call before the table has made them.
cos: Op
log: Op
sigmoid: Op
sin: Op
where: Op

_STRICT: Final = {"==": "===", "!=": "!=="}
"""How JavaScript writes a comparison that converts nothing."""


_ONNX = {
    "lt": "Less",
    "le": "LessOrEqual",
    "gt": "Greater",
    "ge": "GreaterOrEqual",
    "eq": "Equal",
}
_DIFFERENT = call("Not", "Equal({0}, {1})")


def _comparison(name: str, sign: str, latex: str, interval: Callable[..., Any]) -> Op:
    """A comparison: 1.0 where it holds and 0.0 where not; flat, so no cotangent passes."""
    compare = {
        "lt": lambda a, b: 1.0 if a < b else 0.0,
        "le": lambda a, b: 1.0 if a <= b else 0.0,
        "gt": lambda a, b: 1.0 if a > b else 0.0,
        "ge": lambda a, b: 1.0 if a >= b else 0.0,
        "eq": lambda a, b: 1.0 if a == b else 0.0,
        "ne": lambda a, b: 1.0 if a != b else 0.0,
    }[name]
    slots = (COMPARISON + 1, COMPARISON + 1)
    sign_text = Notation(f"{{0}} {sign} {{1}}", COMPARISON, slots)
    return Op(
        name=name,
        arity=2,
        evaluate=compare,
        kernel=lambda m, a, b: m.flag(getattr(signs, name)(a, b)),
        sympy=lambda sp, a, b: getattr(sp, name.capitalize())(a, b),
        vjp=(None, None),
        notation=arithmetic(
            sign_text,
            Notation(f"{{0}} {latex} {{1}}", COMPARISON, slots),
            javascript=Notation(f"{{0}} {_STRICT.get(sign, sign)} {{1}} ? 1 : 0", 1),
            c=Notation(f"{{0}} {sign} {{1}} ? 1.0 : 0.0", 1),
            numpy=sign_text,
            onnx=call(_ONNX[name], "{0}", "{1}") if name in _ONNX else _DIFFERENT,
        ),
        sentence="a comparison is flat on both sides of its step: nothing passes back",
        domain=(REAL, REAL),
        kink="0 at the step",
        interval=interval,
        absorbs_nan=True,
        cost=cost(20 if name in ("eq", "ne") else 22),
        commutative=name in ("eq", "ne"),
        chooses=True,
        truth=True,
    )


ADD = Op(
    name="add",
    arity=2,
    evaluate=lambda a, b: a + b,
    kernel=lambda m, a, b: a + b,
    sympy=lambda sp, a, b: a + b,
    vjp=(lambda ct, out, a, b: ct, lambda ct, out, a, b: ct),
    notation=arithmetic(
        infix(" + ", SUM),
        infix(" + ", SUM),
        numpy=operator(" + ", SUM, "add"),
        onnx=call("Add", "{0}", "{1}"),
    ),
    sentence="a sum hands its cotangent unchanged to both terms",
    domain=(REAL, REAL),
    interval=intervals.add,
    identity=0.0,
    cost=cost(7, 0.4),
    commutative=True,
    linear="together",
)

SUB = Op(
    name="sub",
    arity=2,
    evaluate=lambda a, b: a - b,
    kernel=lambda m, a, b: a - b,
    sympy=lambda sp, a, b: a - b,
    vjp=(lambda ct, out, a, b: ct, lambda ct, out, a, b: -ct),
    notation=arithmetic(
        infix(" - ", SUM),
        infix(" - ", SUM),
        numpy=operator(" - ", SUM, "subtract"),
        onnx=call("Sub", "{0}", "{1}"),
    ),
    sentence="a difference hands its cotangent to the first term and its negative to the second",
    domain=(REAL, REAL),
    interval=intervals.subtract,
    cost=cost(7, 0.4),
    linear="together",
)

MUL = Op(
    name="mul",
    arity=2,
    evaluate=lambda a, b: a * b,
    kernel=lambda m, a, b: a * b,
    sympy=lambda sp, a, b: a * b,
    vjp=(lambda ct, out, a, b: ct * b, lambda ct, out, a, b: ct * a),
    notation=arithmetic(
        infix("*", PRODUCT),
        infix(r" \cdot ", PRODUCT),
        numpy=operator(" * ", PRODUCT, "multiply"),
        onnx=call("Mul", "{0}", "{1}"),
    ),
    sentence="each factor gets the cotangent times the other factor",
    domain=(REAL, REAL),
    interval=intervals.multiply,
    cost=cost(7, 0.4),
    commutative=True,
    linear="each",
)

DIV = Op(
    name="div",
    arity=2,
    evaluate=ieee.divide,
    kernel=lambda m, a, b: a / b,
    sympy=lambda sp, a, b: a / b,
    vjp=(lambda ct, out, a, b: ct / b, lambda ct, out, a, b: -(ct * out / b)),
    notation=arithmetic(
        infix("/", PRODUCT),
        Notation(r"\frac{{{0}}}{{{1}}}", POWER, (0, 0)),
        numpy=operator(" / ", PRODUCT, "divide"),
        onnx=call("Div", "{0}", "{1}"),
        **{"python-ieee": own(ieee.divide, "{0}", "{1}")},
    ),
    sentence="the numerator gets the cotangent over the denominator, the denominator minus that "
    "times the quotient, which is used again",
    domain=(REAL, AWAY_FROM_ZERO),
    interval=intervals.divide,
    undefined=lambda a, b: "division by zero" if 0.0 in b else "",
    cost=cost(9, 0.4),
    linear="first",
)

NEG = Op(
    name="neg",
    arity=1,
    evaluate=lambda x: -x,
    kernel=lambda m, x: -x,
    sympy=lambda sp, x: -x,
    vjp=(lambda ct, out, x: -ct,),
    notation=arithmetic(
        Notation("-{0}", UNARY, (UNARY,)),
        Notation("-{0}", SUM, (PRODUCT,)),
        numpy=Notation("-{0}", UNARY, (UNARY,), ufunc("negative").out),
        onnx=call("Neg"),
    ),
    sentence="a negation negates the cotangent",
    domain=(REAL,),
    interval=intervals.negate,
    cost=cost(10, 0.4),
    linear="together",
    chooses=True,
)


def _javascript_pow(exponent: str) -> Notation:
    """IEEE 754 has 1 where Math.pow answers NaN."""
    one = f"{{0}} === 1 || ({{0}} === -1 && Math.abs({exponent}) === Infinity)"
    return Notation(f"{one} ? 1 : Math.pow({{0}}, {exponent})", 1)


def _numpy_power(exponent: float) -> Notation:
    """NumPy's quickest function for the power."""
    if exponent == -1:
        return ufunc("divide", "1.0", "{0}")
    known = {1: "positive", 2: "square", 0.5: "sqrt"}.get(exponent)
    return ufunc(known) if known else ufunc("power", "{0}", "{exponent}")


def _engine_power(module: str) -> Callable[[float], Notation]:
    """The same for an engine, whose functions are in a module."""

    def notation(exponent: float) -> Notation:
        if exponent == -1:
            return Notation("1.0 / {0}", PRODUCT, (PRODUCT + 1,))
        known = {2: "square", 0.5: "sqrt"}.get(exponent)
        return call(f"{module}.{known}") if known else call(f"{module}.pow", "{0}", "{exponent}")

    return notation


_ONNX_LOG1P = call(
    "Where",
    "Equal(Add({0}, 1.0), 1.0)",
    "{0}",
    "Mul(Log(Add({0}, 1.0)), Div({0}, Sub(Add({0}, 1.0), 1.0)))",
)
"""log(1 + x) with the digits of x (Higham 2002, Accuracy and Stability, 1.14.1)."""


_ONNX_EXPM1 = call(
    "Where",
    "Equal(Sub(Exp({0}), 1.0), -1.0)",
    "-1.0",
    "Where(Equal(Exp({0}), 1.0), {0}, Mul(Sub(Exp({0}), 1.0), Div({0}, Log(Exp({0})))))",
)
"""exp(x) - 1 with the digits of x (Higham 2002, Accuracy and Stability, 1.14.1)."""


def _power_fault(a: intervals.Interval, n: float) -> str:
    """What can go wrong in a power with a fixed exponent."""
    if n < 0.0 and 0.0 in a:
        return "division by zero"
    return "domain" if a.low < 0.0 and not float(n).is_integer() else ""


POW_CONST: Op = Op(
    name="pow_const",
    spoken="power",
    arity=1,
    evaluate=lambda x, n: x * x if n == 2 else ieee.safe_pow(x, n),
    kernel=kernels.pow_const,
    sympy=lambda sp, x, n: x ** _exponent(sp, n),
    vjp=(lambda ct, out, x, n: 0 if n == 0 else ct * (n * POW_CONST(x, n - 1)),),
    notation={
        "text": Notation("{0}**{exponent}", POWER, (POWER + 1,)),
        "latex": Notation("{{{0}}}^{{{exponent}}}", POWER, (POWER + 1,)),
        "python": call("pow", "{0}", "{exponent}"),
        "python-ieee": own(ieee.safe_pow, "{0}", "{exponent}"),
        "javascript": lambda n: (
            call("Math.pow", "{0}", "{exponent}")
            if math.isfinite(n)
            else _javascript_pow("{exponent}")
        ),
        "c": call("pow", "{0}", "{exponent}"),
        "numpy": _numpy_power,
        "onnx": call("Pow", "{0}", "{exponent}"),
        "jax": _engine_power("jnp"),
        "torch": _engine_power("torch"),
    },
    sentence="the power rule: bring the exponent down and lower it by one",
    domain=(POSITIVE,),
    statics=("exponent",),
    trials=((2,), (3,), (-1,), (0.5,), (2.5,), (1,), (0,), (-2,), (4,), (17.0,)),
    kink="by the power rule, so 0**(n-1) decides at 0",
    interval=intervals.power,
    undefined=_power_fault,
    cost=cost(26),
)

POW: Op = Op(
    name="pow",
    spoken="power",
    arity=2,
    evaluate=ieee.safe_pow,
    kernel=kernels.libm("pow"),
    sympy=lambda sp, a, b: a ** _exponent(sp, b),
    vjp=(
        lambda ct, out, a, b: ct * (b * POW(a, where(EQ(b, 0), 1, b - 1))),
        lambda ct, out, a, b: ct * (out * log(where(EQ(a, 0), 1, a))),
    ),
    notation={
        "text": Notation("{0}**{1}", POWER, (POWER + 1, UNARY)),
        "latex": Notation("{{{0}}}^{{{1}}}", POWER, (POWER + 1, 0)),
        "python": call("pow", "{0}", "{1}"),
        "python-ieee": own(ieee.safe_pow, "{0}", "{1}"),
        "javascript": _javascript_pow("{1}"),
        "c": call("pow", "{0}", "{1}"),
        "numpy": ufunc("power", "{0}", "{1}"),
        "torch": call("torch.pow", "{0}", "{1}"),
        "onnx": call("Pow", "{0}", "{1}"),
    },
    sentence="the base follows the power rule; the exponent gets the cotangent times the power "
    "itself times the logarithm of the base",
    domain=(POSITIVE, REAL),
    kink="0**b does not change with b where b is 0 or more, nor a**0 with a; the exponent's share "
    "is nan where the base is negative, and log(a) does not exist",
    interval=intervals.power_of,
    undefined=lambda a, b: "domain" if a.low <= 0.0 else "",
    cost=cost(22),
)

EXP = Op(
    name="exp",
    arity=1,
    evaluate=ieee.safe_exp,
    kernel=kernels.exp,
    sympy=lambda sp, x: sp.exp(x),
    vjp=(lambda ct, out, x: ct * out,),
    notation=function("exp", careful=ieee.safe_exp),
    sentence="the exponential is its own derivative: the result is used again",
    domain=(REAL,),
    interval=intervals.rising(ieee.safe_exp, 0.0),
    gate=lambda x: NE(x, -math.inf),
    cost=cost(20),
)

LOG = Op(
    name="log",
    arity=1,
    evaluate=ieee.safe_log,
    kernel=kernels.log,
    sympy=lambda sp, x: sp.log(x),
    vjp=(lambda ct, out, x: ct / x,),
    notation=function("log", careful=ieee.safe_log),
    sentence="the logarithm divides the cotangent by its operand",
    domain=(POSITIVE,),
    interval=intervals.above(0.0, intervals.rising(ieee.safe_log, zero=1.0)),
    undefined=intervals.undefined_to(0.0),
    cost=cost(52),
)

LOG1P = Op(
    name="log1p",
    arity=1,
    evaluate=ieee.safe_log1p,
    kernel=kernels.log1p,
    sympy=lambda sp, x: sp.log(1 + x),
    vjp=(lambda ct, out, x: ct / (1 + x),),
    notation={
        **function("log1p", upright("log1p"), careful=ieee.safe_log1p),
        "onnx": _ONNX_LOG1P,
    },
    sentence="log1p divides the cotangent by one plus its operand",
    domain=((-0.8, 3.0),),
    interval=intervals.above(-1.0, intervals.rising(ieee.safe_log1p, zero=0.0)),
    undefined=intervals.undefined_to(-1.0),
    cost=cost(22),
)

EXPM1 = Op(
    name="expm1",
    arity=1,
    evaluate=ieee.safe_expm1,
    kernel=kernels.expm1,
    sympy=lambda sp, x: sp.exp(x) - 1,
    vjp=(lambda ct, out, x: ct * (out + 1),),
    notation={
        **function("expm1", upright("expm1"), careful=ieee.safe_expm1),
        "onnx": _ONNX_EXPM1,
    },
    sentence="its derivative is the exponential, which is its own result plus one",
    domain=(REAL,),
    interval=intervals.rising(ieee.safe_expm1, -1.0, zero=0.0),
    gate=lambda x: NE(x, -math.inf),
    cost=cost(21),
)

SQRT = Op(
    name="sqrt",
    arity=1,
    evaluate=ieee.safe_sqrt,
    kernel=lambda m, x: m.sqrt(x),
    rounded=True,
    sympy=lambda sp, x: sp.sqrt(x),
    vjp=(lambda ct, out, x: ct / (2 * out),),
    notation={
        "text": call("sqrt"),
        "latex": Notation(r"\sqrt{{{0}}}"),
        "python": call("sqrt"),
        "python-ieee": own(ieee.safe_sqrt),
        "numpy": ufunc("sqrt"),
        "onnx": call("Sqrt"),
        "javascript": call("Math.sqrt"),
        "c": call("sqrt"),
    },
    sentence="the square root divides the cotangent by twice the result",
    domain=(POSITIVE,),
    interval=intervals.above(0.0, intervals.rising(ieee.safe_sqrt, 0.0)),
    undefined=intervals.undefined_to(0.0),
    cost=cost(15),
)

SIN = Op(
    name="sin",
    arity=1,
    evaluate=ieee.safe_sin,
    kernel=kernels.sin,
    sympy=lambda sp, x: sp.sin(x),
    vjp=(lambda ct, out, x: ct * cos(x),),
    notation=function("sin", careful=ieee.safe_sin),
    sentence="the derivative of the sine is the cosine",
    domain=(REAL,),
    interval=intervals.wave(ieee.safe_sin, math.pi / 2),
    cost=cost(21),
)

COS = Op(
    name="cos",
    arity=1,
    evaluate=ieee.safe_cos,
    kernel=kernels.cos,
    sympy=lambda sp, x: sp.cos(x),
    vjp=(lambda ct, out, x: -(ct * sin(x)),),
    notation=function("cos", careful=ieee.safe_cos),
    sentence="the derivative of the cosine is minus the sine",
    domain=(REAL,),
    interval=intervals.wave(ieee.safe_cos, 0.0),
    cost=cost(20),
)

TANH = Op(
    name="tanh",
    arity=1,
    evaluate=math.tanh,
    kernel=kernels.tanh,
    sympy=lambda sp, x: sp.tanh(x),
    vjp=(lambda ct, out, x: ct * (1 - out * out),),
    notation=function("tanh"),
    sentence="tanh passes the cotangent times one minus the square of its own result",
    domain=(REAL,),
    interval=intervals.rising(math.tanh, -1.0, 1.0, zero=0.0),
    gate=lambda x: NE(ABS(x), math.inf),
    cost=cost(27),
)

SIGMOID = Op(
    name="sigmoid",
    arity=1,
    evaluate=ieee.sigmoid,
    kernel=kernels.sigmoid,
    sympy=lambda sp, x: 1 / (1 + sp.exp(-x)),
    vjp=(lambda ct, out, x: ct * (out * (1 - out)),),
    notation={
        **function("sigmoid", r"\sigma"),
        "python": own(ieee.sigmoid),
        "numpy": own(carried.sigmoid),
        "jax": call("jax.nn.sigmoid"),
        "torch": call("torch.sigmoid"),
        "javascript": Notation(
            "{0} >= 0 ? 1 / (1 + Math.exp(-{0})) : Math.exp({0}) / (1 + Math.exp({0}))", 1
        ),
        "c": call("sigmoid", define=carried_c.SIGMOID),
    },
    sentence="the sigmoid passes the cotangent times its own result times one minus that",
    domain=(REAL,),
    interval=intervals.rising(ieee.sigmoid, 0.0, 1.0),
    gate=lambda x: NE(ABS(x), math.inf),
    cost=cost(61),
)

SOFTPLUS = Op(
    name="softplus",
    arity=1,
    evaluate=ieee.softplus,
    kernel=kernels.softplus,
    sympy=lambda sp, x: sp.log(1 + sp.exp(x)),
    vjp=(lambda ct, out, x: ct * sigmoid(x),),
    notation={
        **function("softplus", upright("softplus")),
        "python": own(ieee.softplus),
        "numpy": ufunc("logaddexp", "{0}", "0.0"),
        "jax": call("jax.nn.softplus"),
        "torch": call("torch.logaddexp", "{0}", "torch.zeros_like({0})"),
        "javascript": Notation("Math.max({0}, 0) + Math.log1p(Math.exp(-Math.abs({0})))", SUM),
        "c": Notation("({0} > 0.0 ? {0} : 0.0) + log1p(exp(-fabs({0})))", SUM),
    },
    sentence="the derivative of softplus is the sigmoid",
    domain=(REAL,),
    interval=intervals.rising(ieee.softplus, 0.0),
    gate=lambda x: NE(x, -math.inf),
    cost=cost(82),
)

RELU = Op(
    name="relu",
    arity=1,
    evaluate=lambda x: 0.0 if x <= 0.0 else x,
    kernel=lambda m, x: m.select(x <= 0.0, 0.0, x),
    sympy=lambda sp, x: sp.Max(x, 0),
    vjp=(lambda ct, out, x: where(x > 0, ct, 0),),
    notation={
        **function("relu", upright("relu")),
        "python": Notation("0.0 if {0} <= 0.0 else {0}", 1, (COMPARISON + 1,)),
        "javascript": Notation("{0} <= 0 ? 0 : {0}", 1),
        "c": Notation("{0} <= 0.0 ? 0.0 : {0}", 1),
        "numpy": ufunc("maximum", "{0}", "0.0"),
        "jax": call("jax.nn.relu"),
        "torch": call("torch.relu"),
    },
    sentence="relu passes the cotangent where its operand is positive and nothing elsewhere",
    domain=(REAL,),
    kink="0 at 0",
    interval=lambda a: intervals.Interval(max(a.low, 0.0), max(a.high, 0.0)),
    cost=cost(10),
    gate=lambda x: x > 0,
    chooses=True,
)

LEAKY_RELU = Op(
    name="leaky_relu",
    arity=1,
    evaluate=lambda x, slope: slope * x if x <= 0.0 else x,
    kernel=lambda m, x, slope: m.select(x <= 0.0, slope * x, x),
    sympy=lambda sp, x, slope: (1 - exact(sp, slope)) * sp.Max(x, 0) + exact(sp, slope) * x,
    vjp=(lambda ct, out, x, slope: where(x > 0, ct, slope * ct),),
    notation={
        "text": call("leaky_relu", "{0}", "{slope}"),
        "latex": Notation(upright("leaky\\_relu") + r"_{{{slope}}}\left({0}\right)"),
        "python": Notation("{slope} * {0} if {0} <= 0.0 else {0}", 1, (COMPARISON + 1,)),
        "javascript": Notation("{0} <= 0 ? {slope} * {0} : {0}", 1),
        "c": Notation("{0} <= 0.0 ? {slope} * {0} : {0}", 1),
        "numpy": Notation("np.where({0} <= 0.0, {slope} * {0}, {0})", ATOM, (PRODUCT,)),
        "onnx": call("Where", "LessOrEqual({0}, 0.0)", "Mul({slope}, {0})", "{0}"),
    },
    sentence="leaky relu passes the cotangent where its operand is positive, else slope times it",
    domain=(REAL,),
    statics=("slope",),
    defaults=(0.01,),
    trials=((0.01,), (0.3,), (-0.5,)),
    kink="the slope at 0",
    interval=intervals.leaky,
    cost=cost(10),
)

ABS: Op = Op(
    name="abs",
    arity=1,
    evaluate=abs,
    kernel=lambda m, x: m.abs(x),
    sympy=lambda sp, x: sp.Abs(x),
    vjp=(lambda ct, out, x: where(x > 0, ct, where(x < 0, -ct, 0)),),
    notation={
        "text": call("abs"),
        "latex": Notation(r"\left|{0}\right|"),
        "python": call("abs"),
        "javascript": call("Math.abs"),
        "c": call("fabs"),
        "numpy": ufunc("abs"),
        "onnx": call("Abs"),
    },
    sentence="the absolute value passes the cotangent with the sign of its operand",
    domain=(REAL,),
    kink="0 at 0",
    interval=intervals.absolute,
    cost=cost(15),
    chooses=True,
)

MAXIMUM = Op(
    name="maximum",
    arity=2,
    evaluate=ieee.maximum,
    kernel=lambda m, a, b: m.select(a < b, b, m.select(b != b, b, a)),
    sympy=lambda sp, a, b: sp.Max(a, b),
    vjp=(
        lambda ct, out, a, b: where(a >= b, ct, 0),
        lambda ct, out, a, b: where(a >= b, 0, ct),
    ),
    notation={
        "text": call("maximum", "{0}", "{1}"),
        "latex": Notation(r"\max\left({0}, {1}\right)"),
        "python": own(ieee.maximum, "{0}", "{1}"),
        "numpy": ufunc("maximum", "{0}", "{1}"),
        "onnx": call("Max", "{0}", "{1}"),
        "javascript": Notation("{0} < {1} || {1} !== {1} ? {1} : {0}", 1),
        "c": Notation("{0} < {1} || {1} != {1} ? {1} : {0}", 1),
    },
    sentence="the larger operand gets the whole cotangent, the other nothing",
    domain=(REAL, REAL),
    kink="a tie gives it all to the first operand",
    interval=lambda a, b: intervals.Interval(max(a.low, b.low), max(a.high, b.high)),
    identity=-math.inf,
    cost=cost(27),
    gate=lambda a, b: a >= b,
    chooses=True,
)

MINIMUM = Op(
    name="minimum",
    arity=2,
    evaluate=ieee.minimum,
    kernel=lambda m, a, b: m.select(a > b, b, m.select(b != b, b, a)),
    sympy=lambda sp, a, b: sp.Min(a, b),
    vjp=(
        lambda ct, out, a, b: where(a <= b, ct, 0),
        lambda ct, out, a, b: where(a <= b, 0, ct),
    ),
    notation={
        "text": call("minimum", "{0}", "{1}"),
        "latex": Notation(r"\min\left({0}, {1}\right)"),
        "python": own(ieee.minimum, "{0}", "{1}"),
        "numpy": ufunc("minimum", "{0}", "{1}"),
        "onnx": call("Min", "{0}", "{1}"),
        "javascript": Notation("{0} > {1} || {1} !== {1} ? {1} : {0}", 1),
        "c": Notation("{0} > {1} || {1} != {1} ? {1} : {0}", 1),
    },
    sentence="the smaller operand gets the whole cotangent, the other nothing",
    domain=(REAL, REAL),
    kink="a tie gives it all to the first operand",
    interval=lambda a, b: intervals.Interval(min(a.low, b.low), min(a.high, b.high)),
    identity=math.inf,
    cost=cost(27),
    gate=lambda a, b: a <= b,
    chooses=True,
)

LT = _comparison("lt", "<", "<", intervals.less)
LE = _comparison("le", "<=", r"\le", intervals.less_equal)
GT = _comparison("gt", ">", ">", intervals.greater)
GE = _comparison("ge", ">=", r"\ge", intervals.greater_equal)
EQ: Op = _comparison("eq", "==", "=", intervals.equal)
NE: Op = _comparison("ne", "!=", r"\ne", intervals.not_equal)

WHERE = Op(
    name="where",
    arity=3,
    evaluate=lambda condition, a, b: a if condition else b,
    kernel=lambda m, condition, a, b: m.select(m.truth(condition), a, b),
    sympy=lambda sp, condition, a, b: sp.Piecewise((a, as_condition(sp, condition)), (b, True)),
    vjp=(
        None,
        lambda ct, out, condition, a, b: where(condition, ct, 0),
        lambda ct, out, condition, a, b: where(condition, 0, ct),
    ),
    notation={
        "text": call("where", "{0}", "{1}", "{2}"),
        "latex": Notation(
            r"\begin{{cases}} {1} & \text{{if }} {0} \\ {2} & \text{{otherwise}} \end{{cases}}", 1
        ),
        "python": Notation("{1} if {0} else {2}", 1, (COMPARISON, COMPARISON, COMPARISON)),
        "javascript": Notation("{0} !== 0 ? {1} : {2}", 1),
        "c": Notation("{0} != 0.0 ? {1} : {2}", 1),
        "numpy": call("np.where", "{0}", "{1}", "{2}"),
        "onnx": call("Where", "{0}", "{1}", "{2}"),
    },
    sentence="only the branch that was taken gets the cotangent",
    domain=((-1.0, 1.0), REAL, REAL),
    kink="0 for the condition",
    interval=intervals.either,
    absorbs_nan=True,
    cost=cost(4),
    linear="together",
    chooses=True,
    conditions=(0,),
)

TOTAL = Op(
    name="total",
    arity=1,
    evaluate=lambda x: x,
    sympy=lambda sp, x: x,
    vjp=(None,),
    notation={
        "text": call("total"),
        "latex": Notation(r"\sum_{{\text{{samples}}}} {0}", SUM, (PRODUCT,)),
    },
    sentence="the sum over the samples of a batch; the expression itself for a single sample",
    domain=(REAL,),
    differentiable=False,
    interval=lambda x: x,
    cost=cost(7),
    linear="together",
    chooses=True,
    decreed=True,
)


STOP_GRADIENT = Op(
    name="stop_gradient",
    arity=1,
    evaluate=lambda x: x,
    sympy=lambda sp, x: x,
    vjp=(None,),
    notation={
        "text": call("stop_gradient"),
        "latex": Notation(upright("sg") + r"\left({0}\right)"),
        "python": Notation("{0}", 1),
        "c": Notation("{0}", 1),
        "jax": call("jax.lax.stop_gradient"),
        "onnx": call("Identity"),
        "torch": Notation("{0}.detach()", ATOM, (ATOM,)),
    },
    sentence="the value passes forward, nothing passes back: it counts as a constant",
    domain=(REAL,),
    kink="0 everywhere, by decree",
    interval=lambda x: x,
    cost=cost(0),
    linear="together",
    chooses=True,
    decreed=True,
)


def _leaf(name: str, sentence: str) -> Op:
    """A node without operands; its value comes from outside the table."""
    return Op(
        name=name,
        arity=0,
        evaluate=_no_value,
        sympy=_no_value,
        vjp=(),
        notation={},
        sentence=sentence,
    )


def _no_value(*_: Any) -> Any:
    raise TypeError("a leaf has no operation to evaluate")


INPUT = _leaf("input", "an argument of the function")
PARAMETER = _leaf("parameter", "a leaf that carries a value of its own, such as a weight")
CONSTANT = _leaf("constant", "a number written in the formula")

LEAVES: Final = {op.name: op for op in (INPUT, PARAMETER, CONSTANT)}
"""The kinds of node that have no operands."""


def _exponent(sp: Any, number: Any) -> Any:
    """An exponent for sympy, which takes forever over 3 to the power of a long fraction."""
    if isinstance(number, float) and not (64 * number).is_integer():
        return sp.Float(number)
    number = exact(sp, number)
    if getattr(number, "is_Rational", False) and number.q > 64:
        return sp.Float(number, _EXPONENT_DIGITS)
    return number


COMPARISONS: Final = frozenset((LT, LE, GT, GE, EQ, NE))
"""The operations that compare two numbers."""

EXTREMES: Final = frozenset((MAXIMUM, MINIMUM))
"""The operations of which a chain is one of any number of operands, like a chain of additions."""

exp, log, log1p, expm1, sqrt, sin, cos = EXP, LOG, LOG1P, EXPM1, SQRT, SIN, COS
tanh, sigmoid, softplus, relu, leaky_relu = TANH, SIGMOID, SOFTPLUS, RELU, LEAKY_RELU
absolute, maximum, minimum, where = ABS, MAXIMUM, MINIMUM, WHERE
total, stop_gradient = TOTAL, STOP_GRADIENT
less, less_equal, greater, greater_equal, equal, not_equal = LT, LE, GT, GE, EQ, NE
