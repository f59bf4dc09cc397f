"""Activations of neural networks that are operations, and those that are compositions of others."""

from __future__ import annotations

import math
from typing import Any, Final

from . import carried, carried_c, carried_javascript, ieee, intervals, kernels, kernels_special
from .basic import ABS, EXP, SIGMOID, SOFTPLUS, TANH, WHERE
from .notations import REAL, cost, exact, irrational, own, upright
from .record import COMPARISON, PRODUCT, Notation, Op, call, ufunc
from .special import ERFC

_SCALE: Final = 1.0507009873554805
_ALPHA: Final = 1.6732632423543772


def _latex(name: str) -> Notation:
    return Notation(upright(name.replace("_", r"\_")) + r"\left({0}\right)")


def _torch_elu(alpha: str, scale: str = "") -> Notation:
    """elu in torch, whose own rounds exp(x) - 1 twice."""
    below = f"{alpha} * torch.expm1(torch.clip({{0}}, max=0.0))"
    return Notation(f"{scale}torch.where({{0}} <= 0.0, {below}, {{0}})", PRODUCT)


_GELU = "0.5 * {0}.clip({{0}}, -1e30, {0}.inf) * {1}.special.erfc(-0.7071067811865476 * {{0}})"
"""gelu by the error function's complement, which keeps its digits far below 0."""

ELU = Op(
    name="elu",
    arity=1,
    evaluate=ieee.elu,
    kernel=kernels.elu,
    sympy=lambda sp, x, alpha: sp.Piecewise((x, x > 0), (exact(sp, alpha) * (sp.exp(x) - 1), True)),
    vjp=(lambda ct, out, x, alpha: WHERE(x > 0, ct, ct * (alpha * EXP(x))),),
    notation={
        "text": call("elu", "{0}", "{alpha}"),
        "latex": Notation(upright("elu") + r"_{{{alpha}}}\left({0}\right)"),
        "python": own(ieee.elu, "{0}", "{alpha}"),
        "javascript": Notation("{0} <= 0 ? {alpha} * Math.expm1({0}) : {0}", 1),
        "c": Notation("{0} <= 0.0 ? {alpha} * expm1({0}) : {0}", 1),
        "numpy": own(carried.elu_of_arrays, "{0}", "{alpha}"),
        "torch": _torch_elu("{alpha}"),
        "onnx": call("Where", "LessOrEqual({0}, 0.0)", "Mul({alpha}, Sub(Exp({0}), 1.0))", "{0}"),
    },
    sentence="elu passes the cotangent where its operand is positive, else alpha·exp(x) times it",
    domain=(REAL,),
    statics=("alpha",),
    defaults=(1.0,),
    trials=((1.0,), (0.3,)),
    kink="the slope from below at 0",
    interval=intervals.exponential_below,
    cost=cost(60, 15),
)

SELU = Op(
    name="selu",
    arity=1,
    evaluate=lambda x: _SCALE * (_ALPHA * math.expm1(x) if x <= 0.0 else x),
    kernel=lambda m, x: kernels.elu(m, x, _ALPHA, _SCALE),
    sympy=lambda sp, x: (
        exact(sp, _SCALE) * sp.Piecewise((x, x > 0), (exact(sp, _ALPHA) * (sp.exp(x) - 1), True))
    ),
    vjp=(lambda ct, out, x: WHERE(x > 0, ct * _SCALE, ct * (_SCALE * (_ALPHA * EXP(x)))),),
    notation={
        "text": call("selu"),
        "latex": _latex("selu"),
        "python": call(f"{_SCALE} * elu", "{0}", repr(_ALPHA), define=ieee.elu),
        "javascript": Notation(
            f"{_SCALE} * ({{0}} <= 0 ? {_ALPHA} * Math.expm1({{0}}) : {{0}})", PRODUCT
        ),
        "c": Notation(f"{_SCALE} * ({{0}} <= 0.0 ? {_ALPHA} * expm1({{0}}) : {{0}})", PRODUCT),
        "numpy": call(
            f"{_SCALE} * elu_of_arrays", "{0}", repr(_ALPHA), define=carried.elu_of_arrays
        ),
        "torch": _torch_elu(repr(_ALPHA), f"{_SCALE} * "),
    },
    sentence="selu is elu with two fixed numbers that keep means and variances",
    domain=(REAL,),
    kink="the slope from below at 0",
    interval=lambda a: intervals.exponential_below(a, _ALPHA, _SCALE),
    cost=cost(65, 16),
)

MISH = Op(
    name="mish",
    arity=1,
    evaluate=ieee.mish,
    kernel=kernels.mish,
    sympy=lambda sp, x: x * sp.tanh(sp.log(1 + sp.exp(x))),
    vjp=(lambda ct, out, x: ct * _mish_slope(x),),
    notation={
        "text": call("mish"),
        "latex": _latex("mish"),
        "python": own(ieee.mish),
        "javascript": call("mish", define=carried_javascript.MISH),
        "c": call("mish", define=carried_c.MISH),
        "numpy": own(carried.mish_of_arrays),
        "torch": call("mish", define=carried.MISH_OF_TENSORS),
    },
    sentence="mish is a product: t plus x·(1 - t²)·sigmoid(x), where t = tanh(softplus(x))",
    domain=(REAL,),
    interval=intervals.loose(intervals.dip(ieee.mish, -1.1924, -0.30884011), 1e-14, 1e-300),
    cost=cost(90, 25),
)


def _mish_slope(x: Any) -> Any:
    t = TANH(SOFTPLUS(x))
    return t + x * (SIGMOID(x) * (1 - t * t))


SOFTSIGN = Op(
    name="softsign",
    arity=1,
    evaluate=lambda x: x / (1.0 + abs(x)),
    kernel=lambda m, x: x / (1.0 + m.abs(x)),
    sympy=lambda sp, x: x / (1 + sp.Abs(x)),
    vjp=(lambda ct, out, x: ct / ((1 + ABS(x)) * (1 + ABS(x))),),
    notation={
        "text": call("softsign"),
        "latex": _latex("softsign"),
        "python": Notation("{0}/(1.0 + abs({0}))", PRODUCT, (PRODUCT,)),
        "javascript": Notation("{0} / (1 + Math.abs({0}))", PRODUCT),
        "c": Notation("{0} / (1.0 + fabs({0}))", PRODUCT),
        "numpy": Notation("{0} / (1.0 + np.abs({0}))", PRODUCT, (PRODUCT,)),
        "onnx": call("Div", "{0}", "Add(1.0, Abs({0}))"),
    },
    sentence="softsign divides the cotangent by the square of 1 + |x|",
    domain=(REAL,),
    interval=lambda a: intervals.Interval(
        *_ends(a), a.nan or math.isinf(a.low) or math.isinf(a.high)
    ),
    cost=cost(25, 6),
)


def _ends(a: intervals.Interval) -> tuple[float, float]:
    low, high = (min(max(end, -1e308), 1e308) for end in (a.low, a.high))
    rule = intervals.rising(lambda x: x / (1.0 + abs(x)), -1.0, 1.0, 0.0)
    found = rule(intervals.Interval(low, high))
    return found.low, found.high


HARD_TANH = Op(
    name="hard_tanh",
    arity=1,
    evaluate=lambda x: -1.0 if x < -1.0 else 1.0 if x > 1.0 else x,
    kernel=kernels.hard_tanh,
    sympy=lambda sp, x: sp.Piecewise((-1, x < -1), (1, x > 1), (x, True)),
    vjp=(lambda ct, out, x: WHERE(x < -1, 0, WHERE(x > 1, 0, ct)),),
    notation={
        "text": call("hard_tanh"),
        "latex": _latex("hard_tanh"),
        "python": Notation(
            "-1.0 if {0} < -1.0 else 1.0 if {0} > 1.0 else {0}", 1, (COMPARISON + 1,)
        ),
        "javascript": Notation("{0} < -1 ? -1 : {0} > 1 ? 1 : {0}", 1),
        "c": Notation("{0} < -1.0 ? -1.0 : {0} > 1.0 ? 1.0 : {0}", 1),
        "numpy": ufunc("clip", "{0}", "-1.0", "1.0"),
        "onnx": call("Min", "Max({0}, -1.0)", "1.0"),
    },
    sentence="hard tanh passes the cotangent between -1 and 1, and nothing outside",
    domain=(REAL,),
    kink="1 at -1 and 1",
    interval=intervals.steps(lambda x: min(max(x, -1.0), 1.0)),
    cost=cost(20, 4),
    gate=lambda x: ABS(x) <= 1,
    chooses=True,
)

HARD_SIGMOID = Op(
    name="hard_sigmoid",
    arity=1,
    evaluate=lambda x: 0.0 if x < -3.0 else 1.0 if x > 3.0 else x / 6.0 + 0.5,
    kernel=kernels.hard_sigmoid,
    sympy=lambda sp, x: sp.Piecewise((0, x < -3), (1, x > 3), (x / 6 + sp.Rational(1, 2), True)),
    vjp=(lambda ct, out, x: WHERE(x < -3, 0, WHERE(x > 3, 0, ct / 6)),),
    notation={
        "text": call("hard_sigmoid"),
        "latex": _latex("hard_sigmoid"),
        "python": Notation(
            "0.0 if {0} < -3.0 else 1.0 if {0} > 3.0 else {0}/6.0 + 0.5", 1, (PRODUCT + 1,)
        ),
        "javascript": Notation("{0} < -3 ? 0 : {0} > 3 ? 1 : {0} / 6 + 0.5", 1),
        "c": Notation("{0} < -3.0 ? 0.0 : {0} > 3.0 ? 1.0 : {0} / 6.0 + 0.5", 1),
        "numpy": Notation("np.clip({0} / 6.0 + 0.5, 0.0, 1.0)", slots=(PRODUCT,)),
        "onnx": call("Min", "Max(Add(Div({0}, 6.0), 0.5), 0.0)", "1.0"),
    },
    sentence="hard sigmoid passes a sixth of the cotangent between -3 and 3, and nothing outside",
    domain=((-5.0, 5.0),),
    kink="1/6 at -3 and 3",
    interval=intervals.loose(
        intervals.rising(lambda x: min(max(x / 6.0 + 0.5, 0.0), 1.0), 0.0, 1.0), 0.0, 2e-16
    ),
    gate=lambda x: ABS(x) <= 3,
    cost=cost(25, 8),
)

GELU_EXACT = Op(
    name="gelu_exact",
    arity=1,
    evaluate=ieee.gelu_exact,
    kernel=kernels_special.gelu_exact,
    sympy=lambda sp, x: x * sp.erfc(-x / sp.sqrt(2)) / 2,
    vjp=(lambda ct, out, x: ct * _gelu_slope(x),),
    notation={
        "text": call("gelu_exact"),
        "latex": _latex("gelu"),
        "python": own(ieee.gelu_exact),
        "javascript": call("gelu_exact", define=carried_javascript.GELU),
        "c": call("gelu_exact", define=carried_c.GELU),
        "numpy": own(carried.gelu_exact_of_arrays),
        "jax": Notation(_GELU.format("jnp", "jax.scipy"), PRODUCT),
        "torch": Notation(_GELU.format("torch", "torch"), PRODUCT),
    },
    sentence="gelu is x·Φ(x): the derivative is Φ(x) plus x times the bell curve of Φ",
    domain=(REAL,),
    interval=intervals.loose(intervals.dip(ieee.gelu_exact, -0.7518, -0.16997121), 1e-12, 1e-300),
    cost=cost(70, 20),
)


def _gelu_slope(x: Any) -> Any:
    root = irrational(x, math.sqrt(0.5), lambda sp: 1 / sp.sqrt(2))
    scale = irrational(x, 1 / math.sqrt(2 * math.pi), lambda sp: 1 / sp.sqrt(2 * sp.pi))
    half = irrational(x, 0.5, lambda sp: sp.Rational(1, 2))
    return half * ERFC(-(root * x)) + x * (scale * EXP(-(half * (x * x))))


TABLE = (ELU, SELU, MISH, SOFTSIGN, HARD_TANH, HARD_SIGMOID, GELU_EXACT)
"""These operations, in order."""


def silu(x: Any) -> Any:
    """x·sigmoid(x), the sigmoid linear unit (Elfwing, Uchibe & Doya 2018, eq. 1).

    >>> silu(0.0), round(silu(1.0), 6)
    (0.0, 0.731059)
    """
    return x * SIGMOID(x)


def gelu(x: Any) -> Any:
    """The Gaussian error linear unit in its tanh form (Hendrycks & Gimpel 2016, section 2).

    `gelu_exact` is the unit itself, x times the normal distribution function.

    >>> gelu(0.0), round(gelu(1.0), 6)
    (0.0, 0.841192)
    """
    return 0.5 * x * (1 + TANH(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))
