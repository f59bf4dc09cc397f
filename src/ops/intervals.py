"""Interval arithmetic on the operations of the table, rounded outwards.

An interval holds every value that an operation can take on operands within theirs, over the reals
and in float64 alike: bounds are moved outwards by one unit in the last place for arithmetic and by
four for functions, whose libraries round less than perfectly, but never past a sign that is known.
R. E. Moore, *Interval Analysis* (1966); ends that are infinite say that a float overflows there.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from . import ieee
from .record import Op

_INF: Final = math.inf
_LARGEST: Final = sys.float_info.max
_SLACK: Final = 4
_FULL_TURN: Final = 2 * math.pi
_FAR: Final = 1e8


@dataclass(frozen=True, slots=True)
class Interval:
    """Numbers from `low` to `high`, both included; `nan` says that the value may be no number."""

    low: float
    high: float
    nan: bool = False

    @property
    def finite(self) -> bool:
        """Whether every value is a finite number."""
        return not self.nan and math.isfinite(self.low) and math.isfinite(self.high)

    def __contains__(self, number: float) -> bool:
        return self.low <= number <= self.high if number == number else self.nan

    def __str__(self) -> str:
        return f"[{self.low:g}, {self.high:g}]" + " or nan" * self.nan


ANY: Final = Interval(-_INF, _INF, True)
TRUTH: Final = Interval(0.0, 1.0)


def interval_of(op: Op, operands: Sequence[Interval], statics: Sequence[float]) -> Interval:
    """Where the value of `op` lies; everything, for an operation that is not known here.

    >>> from wengert.ops.scalar import EXP
    >>> interval_of(EXP, [Interval(0.0, 0.0)], ())
    Interval(low=0.9999999999999991, high=1.0000000000000009, nan=False)
    """
    rule = _RULES.get(op.name)
    if rule is None:
        return ANY
    found = rule(*operands, *statics)
    if any(operand.nan for operand in operands) and op.name not in _IGNORES_NAN:
        found = Interval(found.low, found.high, True)
    return found


def has_interval(op: Op) -> bool:
    """Whether `interval_of` knows more of `op` than that it has a value."""
    return op.name in _RULES


def hull(a: Interval, b: Interval) -> Interval:
    """The smallest interval that holds both."""
    return Interval(min(a.low, b.low), max(a.high, b.high), a.nan or b.nan)


def _down(number: float) -> float:
    return math.nextafter(number, -_INF)


def _up(number: float) -> float:
    return math.nextafter(number, _INF)


def _outwards(bounds: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return min(low for low, _ in bounds), max(high for _, high in bounds)


def _sum(a: float, b: float) -> tuple[float, float]:
    """Bounds of a + b. A float sum that is 0 is exactly 0."""
    total = a + b
    if total != total:
        return (-_INF, _INF)
    return (total, total) if total == 0.0 else (_down(total), _up(total))


def _add(a: Interval, b: Interval) -> Interval:
    opposite = (a.low == -_INF and b.high == _INF) or (a.high == _INF and b.low == -_INF)
    return Interval(_sum(a.low, b.low)[0], _sum(a.high, b.high)[1], opposite)


def _neg(a: Interval) -> Interval:
    return Interval(-a.high, -a.low, a.nan)


def _sub(a: Interval, b: Interval) -> Interval:
    return _add(a, _neg(b))


def _around(number: float, sign: float) -> tuple[float, float]:
    """Bounds of a product or quotient: an underflow to 0 keeps its sign."""
    if number == 0.0:
        return (0.0, 5e-324) if sign > 0 else (-5e-324, 0.0) if sign < 0 else (0.0, 0.0)
    return (_down(number), _up(number))


def _multiplied(a: float, b: float) -> tuple[float, float]:
    if a == 0.0 or b == 0.0:
        return (0.0, 0.0)  # 0·inf is nan, which is told apart from the bounds
    return _around(a * b, math.copysign(1.0, a) * math.copysign(1.0, b))


def _mul(a: Interval, b: Interval) -> Interval:
    corners = [_multiplied(x, y) for x, y in product((a.low, a.high), (b.low, b.high))]
    lost = any(
        0.0 in one and _INF in (abs(other.low), abs(other.high)) for one, other in ((a, b), (b, a))
    )
    return Interval(*_outwards(corners), lost)


def _divided(a: float, b: float) -> tuple[float, float]:
    if a == 0.0 or math.isinf(b):
        return (0.0, 0.0) if math.isfinite(a) else (-_INF, _INF)
    return _around(ieee.divide(a, b), math.copysign(1.0, a) * math.copysign(1.0, b))


def _div(a: Interval, b: Interval) -> Interval:
    lost = bool(a.low == -_INF or a.high == _INF) and bool(b.low == -_INF or b.high == _INF)
    if 0.0 not in b:
        corners = [_divided(x, y) for x, y in product((a.low, a.high), (b.low, b.high))]
        return Interval(*_outwards(corners), lost)
    # A zero may be either one, and floats tell -0 from 0: both signs are possible.
    return Interval(-_INF, _INF, lost or 0.0 in a)


def square(a: Interval) -> Interval:
    """The product of a value with itself, which is never negative."""
    return _power(a, 2)


def _power(a: Interval, n: float) -> Interval:
    if n == 0:
        return Interval(1.0, 1.0)
    whole = float(n).is_integer()
    outside = not whole and a.low < 0.0
    low = max(a.low, 0.0) if not whole else a.low
    if not whole and a.high < 0.0:
        return Interval(-_INF, _INF, True)
    if n < 0 and low <= 0.0 <= a.high:
        even = whole and n % 2 == 0
        least = 0.0 if even or not whole else -_INF
        return Interval(least, _INF, outside)
    ends = [ieee.safe_pow(x, n) for x in (low, a.high)]
    if whole and n % 2 == 0 and low < 0.0 < a.high:
        ends.append(0.0)
    positive = low >= 0.0 or (whole and n % 2 == 0)
    return _function_bounds(ends, 0.0 if positive else -_INF, _INF, outside)


def _pow(a: Interval, b: Interval) -> Interval:
    if b.low == b.high and math.isfinite(b.low):
        return _power(a, b.low)
    if a.low <= 0.0:
        return ANY
    ends = [ieee.safe_pow(x, y) for x, y in product((a.low, a.high), (b.low, b.high))]
    return _function_bounds(ends, 0.0, _INF, any(end != end for end in ends))


def _function_bounds(
    ends: Sequence[float], least: float, most: float, nan: bool = False
) -> Interval:
    """The interval of a function from its values at the ends, within what it can be at all."""
    known = [end for end in ends if end == end]
    low, high = min(known, default=-_INF), max(known, default=_INF)
    # What overflows in floats is past the largest one over the reals.
    low = low - _SLACK * math.ulp(low) if math.isfinite(low) else min(low, _LARGEST)
    high = high + _SLACK * math.ulp(high) if math.isfinite(high) else max(high, -_LARGEST)
    return Interval(max(low, least), min(high, most), nan)


def _rising(
    function: Callable[[float], float], least: float = -_INF, most: float = _INF, fixed: Any = None
) -> Callable[[Interval], Interval]:
    """The rule of an increasing function with these limits; `fixed` is where it is 0, if known."""

    def rule(a: Interval) -> Interval:
        low, high = least, most
        if fixed is not None and a.low >= fixed:
            low = max(low, 0.0)
        if fixed is not None and a.high <= fixed:
            high = min(high, 0.0)
        return _function_bounds([function(a.low), function(a.high)], low, high)

    return rule


def _with_domain(
    rule: Callable[[Interval], Interval], least: float
) -> Callable[[Interval], Interval]:
    """The rule of a function that is nan below `least`."""

    def limited(a: Interval) -> Interval:
        if a.high < least:
            return Interval(-_INF, _INF, True)
        inside = rule(Interval(max(a.low, least), a.high))
        return Interval(inside.low, inside.high, a.low < least)

    return limited


def _wave(function: Callable[[float], float], top: float) -> Callable[[Interval], Interval]:
    """The rule of sine or cosine; `top` is where it is 1."""

    def rule(a: Interval) -> Interval:
        if math.isinf(a.low) or math.isinf(a.high):
            return Interval(-1.0, 1.0, True)
        if a.high - a.low >= _FULL_TURN or max(abs(a.low), abs(a.high)) > _FAR:
            return Interval(-1.0, 1.0)
        ends = [function(a.low), function(a.high)]
        for peak, value in ((top, 1.0), (top + math.pi, -1.0)):
            turn = math.ceil((a.low - peak) / _FULL_TURN - 1e-6)
            if peak + turn * _FULL_TURN <= a.high + 1e-6:
                ends.append(value)
        found = _function_bounds(ends, -1.0, 1.0)
        return Interval(max(found.low, -1.0), min(found.high, 1.0))

    return rule


def _leaky(a: Interval, slope: float) -> Interval:
    below = _mul(Interval(min(a.low, 0.0), min(a.high, 0.0)), Interval(slope, slope))
    parts = [below] if a.low <= 0.0 else []
    parts += [Interval(max(a.low, 0.0), a.high)] if a.high > 0.0 else []
    return parts[0] if len(parts) == 1 else hull(*parts)


def _abs(a: Interval) -> Interval:
    ends = (abs(a.low), abs(a.high))
    return Interval(0.0 if 0.0 in a else min(ends), max(ends))


def _where(condition: Interval, a: Interval, b: Interval) -> Interval:
    if not condition.nan and 0.0 not in condition:
        return a
    if not condition.nan and condition.low == condition.high == 0.0:
        return b
    return hull(a, b)


def _compared(below: Callable[[Interval, Interval], bool | None]) -> Any:
    def rule(a: Interval, b: Interval) -> Interval:
        if a.nan or b.nan:
            return TRUTH
        known = below(a, b)
        return TRUTH if known is None else Interval(float(known), float(known))

    return rule


def _less(a: Interval, b: Interval) -> bool | None:
    return True if a.high < b.low else False if a.low >= b.high else None


def _less_equal(a: Interval, b: Interval) -> bool | None:
    return True if a.high <= b.low else False if a.low > b.high else None


def _equal(a: Interval, b: Interval) -> bool | None:
    if a.high < b.low or b.high < a.low:
        return False
    return True if a.low == a.high == b.low == b.high else None


def _not_equal(a: Interval, b: Interval) -> bool | None:
    known = _equal(a, b)
    return None if known is None else not known


def _same(a: Interval) -> Interval:
    return a


_IGNORES_NAN: Final = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "where"})
"""The operations that need not be nan where an operand is."""

_RULES: Final[Mapping[str, Callable[..., Interval]]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "pow_const": _power,
    "pow": _pow,
    "exp": _rising(ieee.safe_exp, 0.0),
    "expm1": _rising(ieee.safe_expm1, -1.0, fixed=0.0),
    "log": _with_domain(_rising(ieee.safe_log, fixed=1.0), 0.0),
    "log1p": _with_domain(_rising(ieee.safe_log1p, fixed=0.0), -1.0),
    "sqrt": _with_domain(_rising(ieee.safe_sqrt, 0.0), 0.0),
    "sin": _wave(ieee.safe_sin, math.pi / 2),
    "cos": _wave(ieee.safe_cos, 0.0),
    "tanh": _rising(math.tanh, -1.0, 1.0, fixed=0.0),
    "sigmoid": _rising(ieee.sigmoid, 0.0, 1.0),
    "softplus": _rising(ieee.softplus, 0.0),
    "relu": lambda a: Interval(max(a.low, 0.0), max(a.high, 0.0)),
    "leaky_relu": _leaky,
    "abs": _abs,
    "maximum": lambda a, b: Interval(max(a.low, b.low), max(a.high, b.high)),
    "minimum": lambda a, b: Interval(min(a.low, b.low), min(a.high, b.high)),
    "lt": _compared(_less),
    "le": _compared(_less_equal),
    "gt": _compared(lambda a, b: _less(b, a)),
    "ge": _compared(lambda a, b: _less_equal(b, a)),
    "eq": _compared(_equal),
    "ne": _compared(_not_equal),
    "where": _where,
    "stop_gradient": _same,
    "total": _same,
}
