"""Float functions that never raise: IEEE 754 results where Python's own raise.

`math.exp(1000)` raises, an IEEE machine answers infinity. The operations evaluate through these,
and generated modules carry the source text of the ones they use, so each stands alone: it needs
`math`, at most, and no other function of this file.
"""

from __future__ import annotations

import math


def divide(a: float, b: float) -> float:
    """a / b, with a / 0 = ±inf and 0 / 0 = nan.

    >>> divide(1.0, -0.0)
    -inf
    """
    if b == 0.0:
        if a == 0.0 or a != a:
            return math.nan
        return math.copysign(math.inf, a) * math.copysign(1.0, b)
    return a / b


def safe_pow(a: float, b: float) -> float:
    """a to the power b as C's `pow`: nan for a negative base with a fractional exponent.

    >>> safe_pow(10.0, 400.0), safe_pow(-8.0, 0.5), safe_pow(0.0, -1.0)
    (inf, nan, inf)
    """
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0.0 and b % 2.0 == 1.0 else math.inf
    except ValueError:
        if a != 0.0:
            return math.nan
        return math.copysign(math.inf, a) if b % 2.0 == 1.0 else math.inf


def safe_exp(x: float) -> float:
    """e to the power x, infinite past about 709.78.

    >>> safe_exp(1000.0)
    inf
    """
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def safe_expm1(x: float) -> float:
    """e to the power x, minus 1, infinite past about 709.78.

    >>> safe_expm1(1000.0)
    inf
    """
    try:
        return math.expm1(x)
    except OverflowError:
        return math.inf


def safe_log(x: float) -> float:
    """Natural logarithm: -inf at 0, nan below.

    >>> safe_log(0.0), safe_log(-1.0)
    (-inf, nan)
    """
    if x > 0.0:
        return math.log(x)
    return -math.inf if x == 0.0 else math.nan


def safe_log1p(x: float) -> float:
    """log(1 + x), exact near 0: -inf at -1, nan below.

    >>> safe_log1p(-1.0), safe_log1p(-2.0)
    (-inf, nan)
    """
    if x > -1.0:
        return math.log1p(x)
    return -math.inf if x == -1.0 else math.nan


def safe_sqrt(x: float) -> float:
    """Square root, nan below 0.

    >>> safe_sqrt(4.0), safe_sqrt(-1.0)
    (2.0, nan)
    """
    return math.sqrt(x) if x >= 0.0 else math.nan


def safe_sin(x: float) -> float:
    """Sine of x radians, nan at ±inf.

    >>> safe_sin(math.inf)
    nan
    """
    return math.sin(x) if math.isfinite(x) else math.nan


def safe_cos(x: float) -> float:
    """Cosine of x radians, nan at ±inf.

    >>> safe_cos(math.inf)
    nan
    """
    return math.cos(x) if math.isfinite(x) else math.nan


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), without overflow and exact in both tails.

    >>> sigmoid(0.0), sigmoid(-1000.0), sigmoid(1000.0)
    (0.5, 0.0, 1.0)
    """
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


def softplus(x: float) -> float:
    """log(1 + exp(x)), without overflow and exact in both tails.

    >>> softplus(1000.0), softplus(-1000.0)
    (1000.0, 0.0)
    """
    return (x if x > 0.0 else 0.0) + math.log1p(math.exp(-abs(x)))


def maximum(a: float, b: float) -> float:
    """The larger of a and b, nan when either is.

    >>> maximum(1.0, math.nan)
    nan
    """
    return b if a < b or b != b else a


def minimum(a: float, b: float) -> float:
    """The smaller of a and b, nan when either is.

    >>> minimum(1.0, 2.0)
    1.0
    """
    return b if a > b or b != b else a


class Float(float):
    """A float whose operators never raise, for evaluating a derivative rule where floats would.

    >>> Float(1.0) / 0.0, 1 / (1 + Float(-1.0)), Float(-8.0) ** 0.5
    (Float(inf), Float(inf), Float(nan))
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Float({float(self)!r})"

    def __add__(self, other: float) -> Float:
        return Float(float(self) + other)

    def __sub__(self, other: float) -> Float:
        return Float(float(self) - other)

    def __mul__(self, other: float) -> Float:
        return Float(float(self) * other)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: float) -> Float:
        return Float(other - float(self))

    def __neg__(self) -> Float:
        return Float(-float(self))

    def __truediv__(self, other: float) -> Float:
        return Float(divide(float(self), other))

    def __rtruediv__(self, other: float) -> Float:
        return Float(divide(other, float(self)))

    def __pow__(self, other: float, modulo: None = None) -> Float:
        return Float(safe_pow(float(self), other))

    def __rpow__(self, other: float, modulo: None = None) -> Float:
        return Float(safe_pow(other, float(self)))
