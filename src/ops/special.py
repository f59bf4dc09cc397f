"""The error and gamma functions.

Abramowitz & Stegun, *Handbook of Mathematical Functions* (1964), chapters 6 and 7.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from . import carried, carried_c, carried_javascript, ieee, intervals, kernels_special
from .basic import ABS, EXP, NE
from .notations import POSITIVE, REAL, cost, irrational, own, upright
from .record import PRODUCT, Notation, Op, call

_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)


def _bell(x: Any) -> Any:
    """The derivative of the error function."""
    scale = irrational(x, _TWO_OVER_ROOT_PI, lambda sp: 2 / sp.sqrt(sp.pi))
    return scale * EXP(-(x * x))


def _carried(
    name: str, arrays: Any, javascript: str, latex: str = "", engine: str = ""
) -> dict[str, Notation]:
    """Notations of a function that NumPy and JavaScript lack, and C and engines have."""
    return {
        "text": call(name),
        "latex": Notation((latex or upright(name)) + r"\left({0}\right)"),
        "python": call(name),
        "javascript": call(name, define=javascript),
        "c": call(name),
        "numpy": own(arrays),
        "jax": call(f"jax.scipy.special.{engine or name}"),
        "torch": call(f"torch.special.{engine or name}"),
    }


ERF = Op(
    name="erf",
    arity=1,
    evaluate=math.erf,
    kernel=kernels_special.erf,
    sympy=lambda sp, x: sp.erf(x),
    vjp=(lambda ct, out, x: ct * _bell(x),),
    notation={
        **_carried("erf", carried.erf_of_arrays, carried_javascript.ERF),
        "onnx": call("Erf"),
    },
    sentence="the error function's derivative is the bell curve 2/√π·exp(-x²)",
    domain=(REAL,),
    interval=intervals.rising(math.erf, -1.0, 1.0, 0.0),
    gate=lambda x: NE(ABS(x), math.inf),
    cost=cost(40, 12),
)

ERFC = Op(
    name="erfc",
    arity=1,
    evaluate=math.erfc,
    kernel=kernels_special.erfc,
    sympy=lambda sp, x: sp.erfc(x),
    vjp=(lambda ct, out, x: -(ct * _bell(x)),),
    notation={
        **_carried("erfc", carried.erfc_of_arrays, carried_javascript.ERF),
        "onnx": call("Sub", "1.0", "Erf({0})"),
    },
    sentence="erfc is 1 - erf, so its derivative is minus the bell curve 2/√π·exp(-x²)",
    domain=(REAL,),
    interval=intervals.loose(intervals.falling(math.erfc, 0.0, 2.0), 4e-15, 1e-322),
    gate=lambda x: NE(ABS(x), math.inf),
    cost=cost(45, 14),
)

LGAMMA = Op(
    name="lgamma",
    arity=1,
    evaluate=ieee.log_gamma,
    kernel=kernels_special.log_gamma,
    sympy=lambda sp, x: (
        sp.loggamma(x) if getattr(x, "is_positive", None) else sp.log(sp.Abs(sp.gamma(x)))
    ),
    vjp=(lambda ct, out, x: ct * DIGAMMA(x),),
    notation={
        **_carried(
            *("lgamma", carried.log_gamma_of_arrays, carried_javascript.LGAMMA),
            *(r"\log\Gamma", "gammaln"),
        ),
        "python": own(ieee.log_gamma),
        "c": call("log_gamma", define=carried_c.LGAMMA),
    },
    sentence="the logarithm of the gamma function has the digamma function for a derivative",
    domain=(POSITIVE,),
    interval=intervals.loose(
        lambda a: (
            intervals.dip(ieee.log_gamma, 1.4616321449683622, -0.12148629053584961)(a)
            if a.low > 0.0
            else intervals.Interval(-math.inf, math.inf, a.nan)
        ),
        1e-14,
        4e-14,
    ),
    cost=cost(90, 30),
)

DIGAMMA: Op = Op(
    name="digamma",
    arity=1,
    evaluate=ieee.digamma,
    kernel=kernels_special.digamma,
    sympy=lambda sp, x: sp.polygamma(0, x),
    vjp=(lambda ct, out, x: ct * POLYGAMMA(x, 1),),
    notation={
        **_carried(*("digamma", carried.digamma_of_arrays, carried_javascript.DIGAMMA), r"\psi"),
        "python": own(ieee.digamma),
        "c": call("digamma", define=carried_c.DIGAMMA),
    },
    sentence="the digamma function has the polygamma function of order 1 for a derivative",
    domain=(POSITIVE,),
    interval=lambda a: (
        intervals.loose(intervals.rising(ieee.digamma), 2e-15, 2e-15)(a)
        if a.low > 0.0
        else intervals.ANY
    ),
    cost=cost(900, 150),
)


def _polygamma_within(a: intervals.Interval, order: float) -> intervals.Interval:
    if not (a.low > 0.0 and order in range(1, 101)):
        return intervals.ANY
    ends = [ieee.polygamma(end, order) for end in (a.low, min(a.high, 1.7e308))]
    rule = intervals.loose(lambda: intervals.Interval(min(ends), max(ends)), 1e-13, 1e-300)
    return rule()


def _polygamma_in(module: str, library: str) -> Callable[[float], Notation]:
    """polygamma by Hurwitz's zeta function, of which engines have more digits (6.4.10)."""

    def notation(order: float) -> Notation:
        if order not in range(1, 101):
            return Notation(f"{module}.nan * {{0}}", PRODUCT, (PRODUCT,))
        factor = float(math.factorial(int(order))) * (-1.0) ** (order + 1)
        zeta = f"{factor!r} * {library}.special.zeta({order + 1.0!r}, {{0}})"
        return Notation(f"{module}.where({{0}} > 0.0, {zeta}, {module}.nan)")

    return notation


POLYGAMMA: Op = Op(
    name="polygamma",
    arity=1,
    evaluate=ieee.polygamma,
    kernel=kernels_special.polygamma,
    sympy=lambda sp, x, order: sp.polygamma(order, x),
    vjp=(lambda ct, out, x, order: ct * POLYGAMMA(x, order + 1),),
    notation={
        "text": call("polygamma", "{0}", "{order}"),
        "latex": Notation(r"\psi^{{\left({order}\right)}}\left({0}\right)"),
        "python": own(ieee.polygamma, "{0}", "{order}"),
        "javascript": call("polygamma", "{0}", "{order}", define=carried_javascript.POLYGAMMA),
        "c": call("polygamma", "{0}", "{order}", define=carried_c.POLYGAMMA),
        "numpy": own(carried.polygamma_of_arrays, "{0}", "{order}"),
        "jax": _polygamma_in("jnp", "jax.scipy"),
        "torch": _polygamma_in("torch", "torch"),
    },
    sentence="each polygamma function is the derivative of the one before it",
    domain=(POSITIVE,),
    statics=("order",),
    trials=((1,), (2,), (3,)),
    interval=_polygamma_within,
    undefined=intervals.undefined_to(0.0),
    cost=cost(5000, 400),
)

TABLE = (ERF, ERFC, LGAMMA, DIGAMMA, POLYGAMMA)
"""These operations, in order."""
