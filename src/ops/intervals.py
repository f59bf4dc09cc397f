"""Interval arithmetic on the operations of the table, rounded outwards.

An interval holds every value that an operation can take on operands within theirs, over the reals
and in float64 alike: bounds are moved outwards by one unit in the last place for arithmetic and by
four for functions, whose libraries round less than perfectly, but never past a sign that is known.
R. E. Moore, *Interval Analysis* (1966); ends that are infinite say that a float overflows there.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from ..errors import OperandError, shorten
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
    """Where the value of `op` lies: by the rule of its record, or anywhere.

    >>> from wengert.ops.scalar import EXP
    >>> interval_of(EXP, [Interval(0.0, 0.0)], ())
    Interval(low=0.9999999999999991, high=1.0000000000000009, nan=False)
    """
    if op.interval is None:
        return ANY
    found = op.interval(*operands, *statics)
    if not isinstance(found, Interval):
        raise OperandError(
            f"the record of {op.name}: interval answers {shorten(found)}; expected an Interval of "
            "wengert.ops.intervals, or leave the field out"
        )
    if not op.absorbs_nan and any(operand.nan for operand in operands):
        found = Interval(found.low, found.high, True)
    return found


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


def add(a: Interval, b: Interval) -> Interval:
    """Where a + b lies."""
    opposite = (a.low == -_INF and b.high == _INF) or (a.high == _INF and b.low == -_INF)
    return Interval(_sum(a.low, b.low)[0], _sum(a.high, b.high)[1], opposite)


def negate(a: Interval) -> Interval:
    """Where -a lies."""
    return Interval(-a.high, -a.low, a.nan)


def subtract(a: Interval, b: Interval) -> Interval:
    """Where a - b lies."""
    return add(a, negate(b))


def _around(number: float, sign: float) -> tuple[float, float]:
    """Bounds of a product or quotient: an underflow to 0 keeps its sign."""
    if number == 0.0:
        return (0.0, 5e-324) if sign > 0 else (-5e-324, 0.0) if sign < 0 else (0.0, 0.0)
    return (_down(number), _up(number))


def _multiplied(a: float, b: float) -> tuple[float, float]:
    if a == 0.0 or b == 0.0:
        return (0.0, 0.0)  # 0·inf is nan, which is told apart from the bounds
    return _around(a * b, math.copysign(1.0, a) * math.copysign(1.0, b))


def multiply(a: Interval, b: Interval) -> Interval:
    """Where a·b lies, the two being any numbers; of a number with itself see `square`."""
    corners = [_multiplied(x, y) for x, y in product((a.low, a.high), (b.low, b.high))]
    lost = any(
        0.0 in one and _INF in (abs(other.low), abs(other.high)) for one, other in ((a, b), (b, a))
    )
    return Interval(*_outwards(corners), lost)


def _divided(a: float, b: float) -> tuple[float, float]:
    if a == 0.0 or math.isinf(b):
        return (0.0, 0.0) if math.isfinite(a) else (-_INF, _INF)
    return _around(ieee.divide(a, b), math.copysign(1.0, a) * math.copysign(1.0, b))


def divide(a: Interval, b: Interval) -> Interval:
    """Where a/b lies."""
    lost = bool(a.low == -_INF or a.high == _INF) and bool(b.low == -_INF or b.high == _INF)
    if 0.0 not in b:
        corners = [_divided(x, y) for x, y in product((a.low, a.high), (b.low, b.high))]
        return Interval(*_outwards(corners), lost)
    # A zero may be either one, and floats tell -0 from 0: both signs are possible.
    return Interval(-_INF, _INF, lost or 0.0 in a)


def square(a: Interval) -> Interval:
    """The product of a value with itself, which is never negative."""
    return power(a, 2)


def power(a: Interval, n: float) -> Interval:
    """Where a to a fixed power lies.

    >>> print(power(Interval(-1.0, 2.0), 2))
    [0, 4]
    """
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


def power_of(a: Interval, b: Interval) -> Interval:
    """Where a**b lies."""
    if b.low == b.high and math.isfinite(b.low):
        return power(a, b.low)
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


def rising(
    function: Callable[[float], float], least: float = -_INF, most: float = _INF, zero: Any = None
) -> Callable[[Interval], Interval]:
    """The rule of an increasing function of one operand that never raises.

    least, most  what its value can be at all
    zero         where it is 0, if that is known
    It is trusted to be within four units in the last place, as libraries of functions are.

    >>> print(rising(math.atan, -1.6, 1.6, zero=0.0)(Interval(0.0, 1.0)))
    [0, 0.785398]
    """

    def rule(a: Interval) -> Interval:
        low, high = least, most
        if zero is not None and a.low >= zero:
            low = max(low, 0.0)
        if zero is not None and a.high <= zero:
            high = min(high, 0.0)
        return _function_bounds([function(a.low), function(a.high)], low, high)

    return rule


def above(least: float, rule: Callable[[Interval], Interval]) -> Callable[[Interval], Interval]:
    """The rule of a function that is nan below `least`, and obeys `rule` from there on."""

    def limited(a: Interval) -> Interval:
        if a.high < least:
            return Interval(-_INF, _INF, True)
        inside = rule(Interval(max(a.low, least), a.high))
        return Interval(inside.low, inside.high, a.low < least)

    return limited


def undefined_to(least: float) -> Callable[[Interval], str]:
    """What goes wrong in a function that has no finite value at `least` or below."""
    return lambda a: "domain" if a.low <= least else ""


def wave(function: Callable[[float], float], top: float) -> Callable[[Interval], Interval]:
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


def falling(
    function: Callable[[float], float], least: float = -_INF, most: float = _INF
) -> Callable[[Interval], Interval]:
    """The rule of a decreasing function of one operand that never raises, as `rising` is."""

    def rule(a: Interval) -> Interval:
        return _function_bounds([function(a.high), function(a.low)], least, most)

    return rule


def within(
    least: float, most: float, rule: Callable[[Interval], Interval]
) -> Callable[[Interval], Interval]:
    """The rule of a function that is nan outside of `least` to `most`, and obeys `rule` inside."""

    def limited(a: Interval) -> Interval:
        if a.high < least or a.low > most:
            return Interval(-_INF, _INF, True)
        inside = rule(Interval(max(a.low, least), min(a.high, most)))
        return Interval(inside.low, inside.high, a.low < least or a.high > most)

    return limited


def undefined_outside(least: float, most: float) -> Callable[[Interval], str]:
    """What goes wrong in a function that is defined from `least` to `most` only."""
    return lambda a: "domain" if a.low < least or a.high > most else ""


def even(rule: Callable[[Interval], Interval]) -> Callable[[Interval], Interval]:
    """The rule of a function of the size of its operand."""
    return lambda a: rule(absolute(a))


def steps(function: Callable[[float], float]) -> Callable[[Interval], Interval]:
    """The rule of a function that rises and is exact, such as `floor`."""
    return lambda a: Interval(function(a.low), function(a.high))


def loose(
    rule: Callable[..., Interval], relative: float, absolute_: float = 0.0
) -> Callable[..., Interval]:
    """The rule for functions whose libraries are right to less than four units."""

    def widened(*arguments: Any) -> Interval:
        found = rule(*arguments)
        low, high = (
            abs(end) * relative + absolute_ if math.isfinite(end) else 0.0
            for end in (found.low, found.high)
        )
        return Interval(found.low - low, found.high + high, found.nan)

    return widened


def dip(
    function: Callable[[float], float], bottom: float, least: float, most: float = _INF
) -> Callable[[Interval], Interval]:
    """The rule of a function that falls up to about `bottom`, where it is `least`, then rises."""

    def rule(a: Interval) -> Interval:
        ends = [function(a.low), function(a.high)]
        if a.low <= bottom + 1e-3 and a.high >= bottom - 1e-3:
            ends.append(least)
        return _function_bounds(ends, -_INF, most)

    return rule


def tangent(a: Interval) -> Interval:
    """Where the tangent of a lies."""
    lost = math.isinf(a.low) or math.isinf(a.high)
    if lost or max(abs(a.low), abs(a.high)) > _FAR:
        return Interval(-_INF, _INF, lost)
    branches = [math.floor(x / math.pi + 0.5 + s) for x, s in ((a.low, -1e-9), (a.high, 1e-9))]
    if a.low < a.high and branches[0] != branches[1]:
        return Interval(-_INF, _INF)
    return _function_bounds([math.tan(a.low), math.tan(a.high)], -_INF, _INF)


def angle(y: Interval, x: Interval) -> Interval:
    """Where atan2(y, x) lies: at a corner unless the branch cut is among the points."""
    if not (x.low > 0.0 or y.low > 0.0 or y.high < 0.0):
        return Interval(-_up(math.pi), _up(math.pi))
    ends = [math.atan2(b, a) for b, a in product((y.low, y.high), (x.low, x.high))]
    return _function_bounds(ends, 0.0 if y.low >= 0.0 else -4.0, 0.0 if y.high <= 0.0 else 4.0)


def modulo(a: Interval, b: Interval) -> Interval:
    """Where the floored remainder of a by b lies: between 0 and b."""
    if b.low <= 0.0 <= b.high:
        return ANY
    lost = math.isinf(a.low) or math.isinf(a.high)
    low, high = min(b.low, 0.0), max(b.high, 0.0)
    quotients = [] if lost else [x / y for x, y in product((a.low, a.high), (b.low, b.high))]
    slack = 1e-9 * max(map(abs, quotients), default=math.inf)
    if slack < 1e-3:  # one whole number of times throughout, if it is
        whole = math.floor(min(quotients) - slack)
        if whole == math.floor(max(quotients) + slack):
            found = subtract(a, multiply(Interval(whole, whole), b))
            return Interval(max(found.low, low), min(found.high, high))
    return Interval(low, high, lost)


def length(a: Interval, b: Interval) -> Interval:
    """Where the length of a right triangle's longest side lies."""
    sides = [absolute(a), absolute(b)]
    ends = [math.hypot(sides[0].low, sides[1].low), math.hypot(sides[0].high, sides[1].high)]
    return _function_bounds(ends, 0.0, _INF, a.nan or b.nan)


def log_of_sum(a: Interval, b: Interval) -> Interval:
    """Where log(exp(a) + exp(b)) lies."""
    ends = [ieee.logaddexp(a.low, b.low), ieee.logaddexp(a.high, b.high)]
    size = max(abs(x) for x in (a.low, a.high, b.low, b.high, 1.0) if math.isfinite(x))
    found = _function_bounds(ends, -_INF, _INF)
    return Interval(found.low - 1e-15 * size, found.high + 1e-15 * size, found.nan)


def clipped(x: Interval, low: Interval, high: Interval) -> Interval:
    """Where the number between `low` and `high` that is nearest to x lies."""
    ends = (min(max(x.low, low.low), high.low), min(max(x.high, low.high), high.high))
    return Interval(*ends)


def exponential_below(a: Interval, alpha: float, scale: float = 1.0) -> Interval:
    """Where scale·a lies above 0, and scale·alpha·(exp(a) - 1) below."""
    parts = []
    if a.low <= 0.0:
        ends = [ieee.safe_expm1(min(end, 0.0)) for end in (a.low, a.high)]
        below = multiply(_function_bounds(ends, -1.0, 0.0), Interval(alpha, alpha))
        parts.append(multiply(below, Interval(scale, scale)))
    if a.high > 0.0:
        parts.append(multiply(Interval(max(a.low, 0.0), a.high), Interval(scale, scale)))
    return parts[0] if len(parts) == 1 else hull(*parts)


def conjunction(a: Interval, b: Interval) -> Interval:
    """Where the truth of "a and b" lies."""
    return _truth_of(a, b, lambda p, q: False if p is False or q is False else p and q)


def disjunction(a: Interval, b: Interval) -> Interval:
    """Where the truth of "a or b" lies."""
    return _truth_of(a, b, lambda p, q: True if p or q else None if p is not q else p)


def parity(a: Interval, b: Interval) -> Interval:
    """Where the truth of "one of a and b, not both" lies."""
    return _truth_of(a, b, lambda p, q: None if p is None or q is None else p is not q)


def negation(a: Interval) -> Interval:
    """Where the truth of "not a" lies."""
    return _truth_of(a, a, lambda p, _: None if p is None else not p)


def _truth(a: Interval) -> bool | None:
    """Whether a number counts as true; nan does. None where it may be either."""
    if 0.0 not in Interval(a.low, a.high):
        return True
    return False if a.low == a.high == 0.0 and not a.nan else None


def _truth_of(a: Interval, b: Interval, rule: Callable[..., bool | None]) -> Interval:
    known = rule(_truth(a), _truth(b))
    return TRUTH if known is None else Interval(float(known), float(known))


def is_nan(a: Interval) -> Interval:
    """Whether a may be nan."""
    return TRUTH if a.nan else Interval(0.0, 0.0)


def is_finite(a: Interval) -> Interval:
    """Whether a is finite: an end that is infinite says that it may overflow."""
    return Interval(1.0, 1.0) if a.finite else TRUTH


def leaky(a: Interval, slope: float) -> Interval:
    """Where a lies above 0, and slope·a below."""
    below = multiply(Interval(min(a.low, 0.0), min(a.high, 0.0)), Interval(slope, slope))
    parts = [below] if a.low <= 0.0 else []
    parts += [Interval(max(a.low, 0.0), a.high)] if a.high > 0.0 else []
    return parts[0] if len(parts) == 1 else hull(*parts)


def absolute(a: Interval) -> Interval:
    """Where the size of a lies."""
    ends = (abs(a.low), abs(a.high))
    return Interval(0.0 if 0.0 in a else min(ends), max(ends))


def either(condition: Interval, a: Interval, b: Interval) -> Interval:
    """Where the one chosen lies."""
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


less, less_equal = _compared(_less), _compared(_less_equal)
greater = _compared(lambda a, b: _less(b, a))
greater_equal = _compared(lambda a, b: _less_equal(b, a))
equal, not_equal = _compared(_equal), _compared(_not_equal)
