"""The operations on scalars: the only place that knows what tanh is.

Adding an operation is adding a record. Its value, its meaning to sympy, its derivative rule, how it
is written in each language, where its value lies, what it costs, the sentence that teaches it and
where to sample it when checking all stand together; every other room reads them from the record.
Costs were measured as `wengert.codegen.cost` says.

Derivatives of elementary functions: Griewank & Walther, *Evaluating Derivatives*, 2nd ed. (SIAM
2008), table 1.3 and section 3.2; of the piecewise ones, the one-sided choice stated in `kink`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, Final

from . import carried, ieee, intervals, kernels
from .record import (
    ATOM,
    COMPARISON,
    POWER,
    PRODUCT,
    SUM,
    UNARY,
    Notation,
    Op,
    Spelling,
    call,
    infix,
    ufunc,
)

# The functions that rules call before the table has made them.
cos: Op
log: Op
sigmoid: Op
sin: Op
where: Op

_REAL: Final = (-3.0, 3.0)
_POSITIVE: Final = (0.2, 5.0)
_AWAY_FROM_ZERO: Final = (0.3, 3.0)
_EXPONENT_DIGITS: Final = 60


def _arithmetic(text: Notation, latex: Notation, **targets: Spelling) -> dict[str, Spelling]:
    """Notations of an operator that programming languages write as the text form does."""
    same = dict.fromkeys(("text", "python", "javascript", "c"), text)
    return {**same, "latex": latex, **targets}


def _function(
    name: str, latex: str = "", careful: Callable[..., float] | None = None
) -> dict[str, Notation]:
    """Notations of a function of one operand; `careful` is its version that never raises."""
    notations = {
        "text": call(name),
        "latex": Notation((latex or f"\\{name}") + r"\left({0}\right)"),
        "python": call(name),
        "javascript": call(f"Math.{name}"),
        "c": call(name),
        "numpy": ufunc(name),
    }
    if careful:
        notations["python-ieee"] = _own(careful)
    return notations


def _operator(sign: str, level: int, function: str) -> Notation:
    """An operator of NumPy's, and its function that does the same in given memory."""
    return infix(sign, level, ufunc(function, "{0}", "{1}").out)


def _own(function: Callable[..., Any], *arguments: str) -> Notation:
    """A call of a function that generated code carries with it."""
    return call(function.__name__, *arguments, define=function)


def _cost(python: float, numpy: float = 3.0) -> dict[str, float]:
    """Nanoseconds of an operation in Python as part of a larger expression, and of an element."""
    return {"python": python, "numpy": numpy}


def _upright(name: str) -> str:
    return rf"\operatorname{{{{{name}}}}}"


_C_SIGMOID: Final = """\
static double sigmoid(double x)
{
    const double e = exp(-fabs(x));
    return (x >= 0.0 ? 1.0 : e) / (1.0 + e);
}
"""
"""The sigmoid in C, with the operations of `ieee.sigmoid`."""

_STRICT: Final = {"==": "===", "!=": "!=="}
"""How JavaScript writes a comparison that converts nothing."""


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
        kernel=lambda m, a, b: m.flag(getattr(operator, name)(a, b)),
        sympy=lambda sp, a, b: getattr(sp, name.capitalize())(a, b),
        vjp=(None, None),
        notation=_arithmetic(
            sign_text,
            Notation(f"{{0}} {latex} {{1}}", COMPARISON, slots),
            javascript=Notation(f"{{0}} {_STRICT.get(sign, sign)} {{1}} ? 1 : 0", 1),
            c=Notation(f"{{0}} {sign} {{1}} ? 1.0 : 0.0", 1),
            numpy=sign_text,
        ),
        sentence="a comparison is flat on both sides of its step: nothing passes back",
        domain=(_REAL, _REAL),
        kink="0 at the step",
        interval=interval,
        absorbs_nan=True,
        cost=_cost(20 if name in ("eq", "ne") else 22),
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
    notation=_arithmetic(infix(" + ", SUM), infix(" + ", SUM), numpy=_operator(" + ", SUM, "add")),
    sentence="a sum hands its cotangent unchanged to both terms",
    domain=(_REAL, _REAL),
    interval=intervals.add,
    cost=_cost(7, 0.4),
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
    notation=_arithmetic(
        infix(" - ", SUM), infix(" - ", SUM), numpy=_operator(" - ", SUM, "subtract")
    ),
    sentence="a difference hands its cotangent to the first term and its negative to the second",
    domain=(_REAL, _REAL),
    interval=intervals.subtract,
    cost=_cost(7, 0.4),
    linear="together",
)

MUL = Op(
    name="mul",
    arity=2,
    evaluate=lambda a, b: a * b,
    kernel=lambda m, a, b: a * b,
    sympy=lambda sp, a, b: a * b,
    vjp=(lambda ct, out, a, b: ct * b, lambda ct, out, a, b: ct * a),
    notation=_arithmetic(
        infix("*", PRODUCT),
        infix(r" \cdot ", PRODUCT),
        numpy=_operator(" * ", PRODUCT, "multiply"),
    ),
    sentence="each factor gets the cotangent times the other factor",
    domain=(_REAL, _REAL),
    interval=intervals.multiply,
    cost=_cost(7, 0.4),
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
    notation=_arithmetic(
        infix("/", PRODUCT),
        Notation(r"\frac{{{0}}}{{{1}}}", POWER, (0, 0)),
        numpy=_operator(" / ", PRODUCT, "divide"),
        **{"python-ieee": _own(ieee.divide, "{0}", "{1}")},
    ),
    sentence="the numerator gets the cotangent over the denominator, the denominator minus that "
    "times the quotient, which is used again",
    domain=(_REAL, _AWAY_FROM_ZERO),
    interval=intervals.divide,
    undefined=lambda a, b: "division by zero" if 0.0 in b else "",
    cost=_cost(9, 0.4),
    linear="first",
)

NEG = Op(
    name="neg",
    arity=1,
    evaluate=lambda x: -x,
    kernel=lambda m, x: -x,
    sympy=lambda sp, x: -x,
    vjp=(lambda ct, out, x: -ct,),
    notation=_arithmetic(
        Notation("-{0}", UNARY, (UNARY,)),
        Notation("-{0}", SUM, (PRODUCT,)),
        numpy=Notation("-{0}", UNARY, (UNARY,), ufunc("negative").out),
    ),
    sentence="a negation negates the cotangent",
    domain=(_REAL,),
    interval=intervals.negate,
    cost=_cost(10, 0.4),
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


def _power_fault(a: intervals.Interval, n: float) -> str:
    """What can go wrong in a power with a fixed exponent."""
    if n < 0.0 and 0.0 in a:
        return "division by zero"
    return "domain" if a.low < 0.0 and not float(n).is_integer() else ""


POW_CONST: Op = Op(
    name="pow_const",
    arity=1,
    evaluate=lambda x, n: x * x if n == 2 else ieee.safe_pow(x, n),
    kernel=kernels.pow_const,
    sympy=lambda sp, x, n: x ** _exponent(sp, n),
    vjp=(lambda ct, out, x, n: 0 if n == 0 else ct * (n * POW_CONST(x, n - 1)),),
    notation={
        "text": Notation("{0}**{exponent}", POWER, (POWER + 1,)),
        "latex": Notation("{{{0}}}^{{{exponent}}}", POWER, (POWER + 1,)),
        "python": call("pow", "{0}", "{exponent}"),
        "python-ieee": _own(ieee.safe_pow, "{0}", "{exponent}"),
        "javascript": lambda n: (
            call("Math.pow", "{0}", "{exponent}")
            if math.isfinite(n)
            else _javascript_pow("{exponent}")
        ),
        "c": call("pow", "{0}", "{exponent}"),
        "numpy": _numpy_power,
    },
    sentence="the power rule: bring the exponent down and lower it by one",
    domain=(_POSITIVE,),
    statics=("exponent",),
    kink="by the power rule, so 0**(n-1) decides at 0",
    interval=intervals.power,
    undefined=_power_fault,
    cost=_cost(26),
)

POW: Op = Op(
    name="pow",
    arity=2,
    evaluate=ieee.safe_pow,
    sympy=lambda sp, a, b: a ** _exponent(sp, b),
    vjp=(
        lambda ct, out, a, b: ct * (b * POW(a, where(EQ(b, 0), 1, b - 1))),
        lambda ct, out, a, b: ct * (out * log(where(EQ(a, 0), 1, a))),
    ),
    notation={
        "text": Notation("{0}**{1}", POWER, (POWER + 1, UNARY)),
        "latex": Notation("{{{0}}}^{{{1}}}", POWER, (POWER + 1, 0)),
        "python": call("pow", "{0}", "{1}"),
        "python-ieee": _own(ieee.safe_pow, "{0}", "{1}"),
        "javascript": _javascript_pow("{1}"),
        "c": call("pow", "{0}", "{1}"),
        "numpy": ufunc("power", "{0}", "{1}"),
    },
    sentence="the base follows the power rule; the exponent gets the cotangent times the power "
    "itself times the logarithm of the base",
    domain=(_POSITIVE, _REAL),
    kink="0**b does not change with b where b is 0 or more, nor a**0 with a; the exponent's share "
    "is nan where the base is negative, and log(a) does not exist",
    interval=intervals.power_of,
    undefined=lambda a, b: "domain" if a.low <= 0.0 else "",
    cost=_cost(22),
)

EXP = Op(
    name="exp",
    arity=1,
    evaluate=ieee.safe_exp,
    kernel=kernels.exp,
    sympy=lambda sp, x: sp.exp(x),
    vjp=(lambda ct, out, x: ct * out,),
    notation=_function("exp", careful=ieee.safe_exp),
    sentence="the exponential is its own derivative: the result is used again",
    domain=(_REAL,),
    interval=intervals.rising(ieee.safe_exp, 0.0),
    cost=_cost(20),
)

LOG = Op(
    name="log",
    arity=1,
    evaluate=ieee.safe_log,
    kernel=kernels.log,
    sympy=lambda sp, x: sp.log(x),
    vjp=(lambda ct, out, x: ct / x,),
    notation=_function("log", careful=ieee.safe_log),
    sentence="the logarithm divides the cotangent by its operand",
    domain=(_POSITIVE,),
    interval=intervals.above(0.0, intervals.rising(ieee.safe_log, zero=1.0)),
    undefined=intervals.undefined_to(0.0),
    cost=_cost(52),
)

LOG1P = Op(
    name="log1p",
    arity=1,
    evaluate=ieee.safe_log1p,
    kernel=kernels.log1p,
    sympy=lambda sp, x: sp.log(1 + x),
    vjp=(lambda ct, out, x: ct / (1 + x),),
    notation=_function("log1p", _upright("log1p"), careful=ieee.safe_log1p),
    sentence="log1p divides the cotangent by one plus its operand",
    domain=((-0.8, 3.0),),
    interval=intervals.above(-1.0, intervals.rising(ieee.safe_log1p, zero=0.0)),
    undefined=intervals.undefined_to(-1.0),
    cost=_cost(22),
)

EXPM1 = Op(
    name="expm1",
    arity=1,
    evaluate=ieee.safe_expm1,
    kernel=kernels.expm1,
    sympy=lambda sp, x: sp.exp(x) - 1,
    vjp=(lambda ct, out, x: ct * (out + 1),),
    notation=_function("expm1", _upright("expm1"), careful=ieee.safe_expm1),
    sentence="its derivative is the exponential, which is its own result plus one",
    domain=(_REAL,),
    interval=intervals.rising(ieee.safe_expm1, -1.0, zero=0.0),
    cost=_cost(21),
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
        "python-ieee": _own(ieee.safe_sqrt),
        "numpy": ufunc("sqrt"),
        "javascript": call("Math.sqrt"),
        "c": call("sqrt"),
    },
    sentence="the square root divides the cotangent by twice the result",
    domain=(_POSITIVE,),
    interval=intervals.above(0.0, intervals.rising(ieee.safe_sqrt, 0.0)),
    undefined=intervals.undefined_to(0.0),
    cost=_cost(15),
)

SIN = Op(
    name="sin",
    arity=1,
    evaluate=ieee.safe_sin,
    kernel=kernels.sin,
    sympy=lambda sp, x: sp.sin(x),
    vjp=(lambda ct, out, x: ct * cos(x),),
    notation=_function("sin", careful=ieee.safe_sin),
    sentence="the derivative of the sine is the cosine",
    domain=(_REAL,),
    interval=intervals.wave(ieee.safe_sin, math.pi / 2),
    cost=_cost(21),
)

COS = Op(
    name="cos",
    arity=1,
    evaluate=ieee.safe_cos,
    kernel=kernels.cos,
    sympy=lambda sp, x: sp.cos(x),
    vjp=(lambda ct, out, x: -(ct * sin(x)),),
    notation=_function("cos", careful=ieee.safe_cos),
    sentence="the derivative of the cosine is minus the sine",
    domain=(_REAL,),
    interval=intervals.wave(ieee.safe_cos, 0.0),
    cost=_cost(20),
)

TANH = Op(
    name="tanh",
    arity=1,
    evaluate=math.tanh,
    kernel=kernels.tanh,
    sympy=lambda sp, x: sp.tanh(x),
    vjp=(lambda ct, out, x: ct * (1 - out * out),),
    notation=_function("tanh"),
    sentence="tanh passes the cotangent times one minus the square of its own result",
    domain=(_REAL,),
    interval=intervals.rising(math.tanh, -1.0, 1.0, zero=0.0),
    cost=_cost(27),
)

SIGMOID = Op(
    name="sigmoid",
    arity=1,
    evaluate=ieee.sigmoid,
    kernel=kernels.sigmoid,
    sympy=lambda sp, x: 1 / (1 + sp.exp(-x)),
    vjp=(lambda ct, out, x: ct * (out * (1 - out)),),
    notation={
        **_function("sigmoid", r"\sigma"),
        "python": _own(ieee.sigmoid),
        "numpy": _own(carried.sigmoid),
        "javascript": Notation(
            "{0} >= 0 ? 1 / (1 + Math.exp(-{0})) : Math.exp({0}) / (1 + Math.exp({0}))", 1
        ),
        "c": call("sigmoid", define=_C_SIGMOID),
    },
    sentence="the sigmoid passes the cotangent times its own result times one minus that",
    domain=(_REAL,),
    interval=intervals.rising(ieee.sigmoid, 0.0, 1.0),
    cost=_cost(61),
)

SOFTPLUS = Op(
    name="softplus",
    arity=1,
    evaluate=ieee.softplus,
    kernel=kernels.softplus,
    sympy=lambda sp, x: sp.log(1 + sp.exp(x)),
    vjp=(lambda ct, out, x: ct * sigmoid(x),),
    notation={
        **_function("softplus", _upright("softplus")),
        "python": _own(ieee.softplus),
        "numpy": ufunc("logaddexp", "{0}", "0.0"),
        "javascript": Notation("Math.max({0}, 0) + Math.log1p(Math.exp(-Math.abs({0})))", SUM),
        "c": Notation("({0} > 0.0 ? {0} : 0.0) + log1p(exp(-fabs({0})))", SUM),
    },
    sentence="the derivative of softplus is the sigmoid",
    domain=(_REAL,),
    interval=intervals.rising(ieee.softplus, 0.0),
    cost=_cost(82),
)

RELU = Op(
    name="relu",
    arity=1,
    evaluate=lambda x: 0.0 if x <= 0.0 else x,
    kernel=lambda m, x: m.select(x <= 0.0, 0.0, x),
    sympy=lambda sp, x: sp.Max(x, 0),
    vjp=(lambda ct, out, x: where(x > 0, ct, 0),),
    notation={
        **_function("relu", _upright("relu")),
        "python": Notation("0.0 if {0} <= 0.0 else {0}", 1, (COMPARISON + 1,)),
        "javascript": Notation("{0} <= 0 ? 0 : {0}", 1),
        "c": Notation("{0} <= 0.0 ? 0.0 : {0}", 1),
        "numpy": ufunc("maximum", "{0}", "0.0"),
    },
    sentence="relu passes the cotangent where its operand is positive and nothing elsewhere",
    domain=(_REAL,),
    kink="0 at 0",
    interval=lambda a: intervals.Interval(max(a.low, 0.0), max(a.high, 0.0)),
    cost=_cost(10),
    chooses=True,
)

LEAKY_RELU = Op(
    name="leaky_relu",
    arity=1,
    evaluate=lambda x, slope: slope * x if x <= 0.0 else x,
    kernel=lambda m, x, slope: m.select(x <= 0.0, slope * x, x),
    sympy=lambda sp, x, slope: (1 - _exact(sp, slope)) * sp.Max(x, 0) + _exact(sp, slope) * x,
    vjp=(lambda ct, out, x, slope: where(x > 0, ct, slope * ct),),
    notation={
        "text": call("leaky_relu", "{0}", "{slope}"),
        "latex": Notation(_upright("leaky\\_relu") + r"_{{{slope}}}\left({0}\right)"),
        "python": Notation("{slope} * {0} if {0} <= 0.0 else {0}", 1, (COMPARISON + 1,)),
        "javascript": Notation("{0} <= 0 ? {slope} * {0} : {0}", 1),
        "c": Notation("{0} <= 0.0 ? {slope} * {0} : {0}", 1),
        "numpy": Notation("np.where({0} <= 0.0, {slope} * {0}, {0})", ATOM, (PRODUCT,)),
    },
    sentence="leaky relu passes the cotangent where its operand is positive, else slope times it",
    domain=(_REAL,),
    statics=("slope",),
    defaults=(0.01,),
    kink="the slope at 0",
    interval=intervals.leaky,
    cost=_cost(10),
)

ABS = Op(
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
    },
    sentence="the absolute value passes the cotangent with the sign of its operand",
    domain=(_REAL,),
    kink="0 at 0",
    interval=intervals.absolute,
    cost=_cost(15),
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
        "python": _own(ieee.maximum, "{0}", "{1}"),
        "numpy": ufunc("maximum", "{0}", "{1}"),
        "javascript": Notation("{0} < {1} || {1} !== {1} ? {1} : {0}", 1),
        "c": Notation("{0} < {1} || {1} != {1} ? {1} : {0}", 1),
    },
    sentence="the larger operand gets the whole cotangent, the other nothing",
    domain=(_REAL, _REAL),
    kink="a tie gives it all to the first operand",
    interval=lambda a, b: intervals.Interval(max(a.low, b.low), max(a.high, b.high)),
    cost=_cost(27),
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
        "python": _own(ieee.minimum, "{0}", "{1}"),
        "numpy": ufunc("minimum", "{0}", "{1}"),
        "javascript": Notation("{0} > {1} || {1} !== {1} ? {1} : {0}", 1),
        "c": Notation("{0} > {1} || {1} != {1} ? {1} : {0}", 1),
    },
    sentence="the smaller operand gets the whole cotangent, the other nothing",
    domain=(_REAL, _REAL),
    kink="a tie gives it all to the first operand",
    interval=lambda a, b: intervals.Interval(min(a.low, b.low), min(a.high, b.high)),
    cost=_cost(27),
    chooses=True,
)

LT = _comparison("lt", "<", "<", intervals.less)
LE = _comparison("le", "<=", r"\le", intervals.less_equal)
GT = _comparison("gt", ">", ">", intervals.greater)
GE = _comparison("ge", ">=", r"\ge", intervals.greater_equal)
EQ: Op = _comparison("eq", "==", "=", intervals.equal)
NE = _comparison("ne", "!=", r"\ne", intervals.not_equal)

WHERE = Op(
    name="where",
    arity=3,
    evaluate=lambda condition, a, b: a if condition else b,
    kernel=lambda m, condition, a, b: m.select(m.truth(condition), a, b),
    sympy=lambda sp, condition, a, b: sp.Piecewise((a, _as_condition(sp, condition)), (b, True)),
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
    },
    sentence="only the branch that was taken gets the cotangent",
    domain=((-1.0, 1.0), _REAL, _REAL),
    kink="0 for the condition",
    interval=intervals.either,
    absorbs_nan=True,
    cost=_cost(4),
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
    domain=(_REAL,),
    differentiable=False,
    interval=lambda x: x,
    cost=_cost(7),
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
        "latex": Notation(_upright("sg") + r"\left({0}\right)"),
        "python": Notation("{0}", 1),
    },
    sentence="the value passes forward, nothing passes back: it counts as a constant",
    domain=(_REAL,),
    kink="0 everywhere, by decree",
    interval=lambda x: x,
    cost=_cost(0),
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


def _exact(sp: Any, number: Any) -> Any:
    """A number of the graph as sympy's exact one: floats are binary fractions."""
    return sp.Rational(number) if isinstance(number, (int, float)) else number


def _exponent(sp: Any, number: Any) -> Any:
    """An exponent for sympy, which takes forever over 3 to the power of a long fraction."""
    if isinstance(number, float) and not (64 * number).is_integer():
        return sp.Float(number)
    number = _exact(sp, number)
    if getattr(number, "is_Rational", False) and number.q > 64:
        return sp.Float(number, _EXPONENT_DIGITS)
    return number


def _as_condition(sp: Any, condition: Any) -> Any:
    """A condition as sympy wants it: numbers count as true where they are not 0."""
    if isinstance(condition, sp.Symbol):  # which sympy counts among its booleans
        return sp.Ne(condition, 0)
    if isinstance(condition, (bool, sp.logic.boolalg.Boolean)) or condition in (sp.true, sp.false):
        return condition
    return sp.Ne(condition, 0)


ELEMENTWISE: Final[dict[str, Op]] = {
    op.name: op
    for op in (
        *(ADD, SUB, MUL, DIV, NEG, POW_CONST, POW),
        *(EXP, LOG, LOG1P, EXPM1, SQRT, SIN, COS),
        *(TANH, SIGMOID, SOFTPLUS, RELU, LEAKY_RELU, ABS, MAXIMUM, MINIMUM),
        *(LT, LE, GT, GE, EQ, NE, WHERE, TOTAL, STOP_GRADIENT),
    )
}
"""Every operation on scalars, which works on arrays element by element, by name."""

COMPARISONS: Final = frozenset((LT, LE, GT, GE, EQ, NE))
"""The operations whose value is a truth value."""

exp, log, log1p, expm1, sqrt, sin, cos = EXP, LOG, LOG1P, EXPM1, SQRT, SIN, COS
tanh, sigmoid, softplus, relu, leaky_relu = TANH, SIGMOID, SOFTPLUS, RELU, LEAKY_RELU
absolute, maximum, minimum, where = ABS, MAXIMUM, MINIMUM, WHERE
total, stop_gradient = TOTAL, STOP_GRADIENT
less, less_equal, greater, greater_equal, equal, not_equal = LT, LE, GT, GE, EQ, NE


def silu(x: Any) -> Any:
    """x·sigmoid(x), the sigmoid linear unit (Elfwing, Uchibe & Doya 2018, eq. 1).

    >>> silu(0.0), round(silu(1.0), 6)
    (0.0, 0.731059)
    """
    return x * sigmoid(x)


def gelu(x: Any) -> Any:
    """The Gaussian error linear unit in its tanh form (Hendrycks & Gimpel 2016, section 2).

    >>> gelu(0.0), round(gelu(1.0), 6)
    (0.0, 0.841192)
    """
    return 0.5 * x * (1 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))
