"""Steps: signs, rounding, remainders, limits. They are flat, or the identity, between jumps."""

from __future__ import annotations

from typing import Any

from . import carried_c, carried_javascript, ieee, intervals, kernels
from .basic import EQ, MAXIMUM, WHERE
from .notations import AWAY_FROM_ZERO, REAL, cost, own, upright
from .record import PRODUCT, Notation, Op, call, infix, ufunc

_FLAT = "it is flat between its steps: nothing passes back"

SIGN = Op(
    name="sign",
    arity=1,
    evaluate=ieee.signum,
    kernel=kernels.sign,
    sympy=lambda sp, x: sp.Piecewise((1, x > 0), (-1, x < 0), (0, True)),
    vjp=(None,),
    notation={
        "text": call("sign"),
        "latex": Notation(upright("sgn") + r"\left({0}\right)"),
        "python": own(ieee.signum),
        "javascript": call("Math.sign"),
        "c": Notation("{0} > 0.0 ? 1.0 : {0} < 0.0 ? -1.0 : {0} == 0.0 ? 0.0 : {0}", 1),
        "numpy": ufunc("sign"),
        "onnx": call("Sign"),
        "torch": call("torch.where", "torch.isnan({0})", "{0}", "torch.sign({0})"),
    },
    sentence=f"a sign is 1 or -1; {_FLAT}",
    domain=(REAL,),
    kink="0 at 0",
    interval=intervals.steps(ieee.signum),
    cost=cost(40, 3),
    chooses=True,
)

FLOOR = Op(
    name="floor",
    arity=1,
    evaluate=ieee.floored,
    kernel=kernels.floor,
    sympy=lambda sp, x: sp.floor(x),
    vjp=(None,),
    notation={
        "text": call("floor"),
        "latex": Notation(r"\left\lfloor {0} \right\rfloor"),
        "python": own(ieee.floored),
        "javascript": call("Math.floor"),
        "c": call("floor"),
        "numpy": ufunc("floor"),
        "onnx": call("Floor"),
    },
    sentence=f"floor goes down to a whole number; {_FLAT}",
    domain=(REAL,),
    kink="0 at whole numbers",
    interval=intervals.steps(ieee.floored),
    cost=cost(80, 1),
)

CEIL = Op(
    name="ceil",
    arity=1,
    evaluate=ieee.ceiled,
    kernel=kernels.ceil,
    sympy=lambda sp, x: sp.ceiling(x),
    vjp=(None,),
    notation={
        "text": call("ceil"),
        "latex": Notation(r"\left\lceil {0} \right\rceil"),
        "python": own(ieee.ceiled),
        "javascript": call("Math.ceil"),
        "c": call("ceil"),
        "numpy": ufunc("ceil"),
        "onnx": call("Ceil"),
    },
    sentence=f"ceil goes up to a whole number; {_FLAT}",
    domain=(REAL,),
    kink="0 at whole numbers",
    interval=intervals.steps(ieee.ceiled),
    cost=cost(80, 1),
)

ROUND = Op(
    name="round",
    arity=1,
    evaluate=ieee.rounded,
    # Over the reals, floor and ceiling share the halves out so that the even neighbour is reached.
    kernel=kernels.round_even,
    sympy=lambda sp, x: sp.floor(x / 2 + sp.Rational(1, 4)) + sp.ceiling(x / 2 - sp.Rational(1, 4)),
    vjp=(None,),
    notation={
        "text": call("round"),
        "latex": Notation(upright("round") + r"\left({0}\right)"),
        "python": own(ieee.rounded),
        "javascript": call("rounded", define=carried_javascript.ROUNDED),
        "c": call("rint"),
        "numpy": ufunc("rint"),
        "onnx": call("Round"),
        "torch": call("torch.round"),
    },
    sentence=f"round goes to the nearest whole number, of two to the even one; {_FLAT}",
    domain=(REAL,),
    kink="0 halfway between whole numbers",
    interval=intervals.steps(ieee.rounded),
    cost=cost(90, 1),
)

MOD = Op(
    name="mod",
    arity=2,
    evaluate=ieee.modulo,
    kernel=kernels.mod,
    sympy=lambda sp, a, b: a - b * sp.floor(a / b),
    vjp=(lambda ct, out, a, b: ct, lambda ct, out, a, b: ct * ((out - a) / b)),
    notation={
        "text": infix(" % ", PRODUCT),
        "latex": Notation(r"{0} \bmod {1}", PRODUCT, (PRODUCT, PRODUCT + 1)),
        "python": infix(" % ", PRODUCT),
        "python-ieee": own(ieee.modulo, "{0}", "{1}"),
        "javascript": call("modulo", "{0}", "{1}", define=carried_javascript.MODULO),
        "c": call("modulo", "{0}", "{1}", define=carried_c.MODULO),
        "numpy": infix(" % ", PRODUCT, ufunc("remainder", "{0}", "{1}").out),
        "onnx": call("Sub", "{0}", "Mul({1}, Floor(Div({0}, {1})))"),
    },
    sentence="the remainder moves with its first operand, and against the second by the quotient",
    domain=(REAL, AWAY_FROM_ZERO),
    kink="the slopes between the jumps, at multiples of the second operand",
    interval=intervals.modulo,
    undefined=lambda a, b: "division by zero" if 0.0 in b else "",
    cost=cost(25, 12),
)

HEAVISIDE = Op(
    name="heaviside",
    arity=2,
    evaluate=ieee.heaviside,
    kernel=kernels.heaviside,
    sympy=lambda sp, x, at: sp.Piecewise((0, x < 0), (1, x > 0), (at, True)),
    vjp=(None, lambda ct, out, x, at: WHERE(EQ(x, 0), ct, 0)),
    notation={
        "text": call("heaviside", "{0}", "{1}"),
        "latex": Notation(upright("H") + r"\left({0}, {1}\right)"),
        "python": own(ieee.heaviside, "{0}", "{1}"),
        "javascript": Notation("{0} < 0 ? 0 : {0} > 0 ? 1 : {0} === 0 ? {1} : {0}", 1),
        "c": Notation("{0} < 0.0 ? 0.0 : {0} > 0.0 ? 1.0 : {0} == 0.0 ? {1} : {0}", 1),
        "numpy": ufunc("heaviside", "{0}", "{1}"),
        "torch": call("torch.where", "torch.isnan({0})", "{0}", "torch.heaviside({0}, {1})"),
    },
    sentence="a step is flat on both sides; the value at the step gets the cotangent there",
    domain=(REAL, REAL),
    kink="0 at 0",
    interval=lambda x, at: intervals.Interval(
        1.0 if x.low > 0.0 else min(0.0, at.low) if 0.0 in x else 0.0,
        0.0 if x.high < 0.0 else max(1.0, at.high) if 0.0 in x else 1.0,
        x.nan or (at.nan and 0.0 in x),
    ),
    absorbs_nan=True,
    cost=cost(50, 4),
    chooses=True,
)


def _in_limits(x: Any, low: Any, high: Any, above: Any, inside: Any, below: Any) -> Any:
    return WHERE(MAXIMUM(x, low) > high, above, WHERE(x >= low, inside, below))


CLIP = Op(
    name="clip",
    arity=3,
    evaluate=ieee.clipped,
    kernel=kernels.clip,
    sympy=lambda sp, x, low, high: sp.Min(sp.Max(x, low), high),
    vjp=(
        lambda ct, out, x, low, high: _in_limits(x, low, high, 0, ct, 0),
        lambda ct, out, x, low, high: _in_limits(x, low, high, 0, 0, ct),
        lambda ct, out, x, low, high: _in_limits(x, low, high, ct, 0, 0),
    ),
    notation={
        "text": call("clip", "{0}", "{1}", "{2}"),
        "latex": Notation(upright("clip") + r"\left({0}, {1}, {2}\right)"),
        "python": own(ieee.clipped, "{0}", "{1}", "{2}"),
        "javascript": call("clipped", "{0}", "{1}", "{2}", define=carried_javascript.CLIPPED),
        "c": call("clipped", "{0}", "{1}", "{2}", define=carried_c.CLIPPED),
        "numpy": ufunc("clip", "{0}", "{1}", "{2}"),
        "onnx": call("Min", "Max({0}, {1})", "{2}"),
    },
    sentence="whichever of the operand and its limits is the value gets the whole cotangent",
    domain=(REAL, REAL, REAL),
    kink="a tie with a limit gives it all to the operand",
    interval=intervals.clipped,
    cost=cost(60, 4),
    gate=lambda x, low, high: _in_limits(x, low, high, 0, 1, 0),
    chooses=True,
)

TABLE = (SIGN, FLOOR, CEIL, ROUND, MOD, HEAVISIDE, CLIP)
"""These operations, in order."""


def floor_divide(a: Any, b: Any) -> Any:
    """How many whole times b goes into a: Python's `a // b`.

    >>> floor_divide(-7.0, 2.0), floor_divide(1.0, 0.1)
    (-4.0, 9.0)
    """
    return ROUND((a - MOD(a, b)) / b)
