"""Special functions from arithmetic alone, for the same machine as the kernels they are made of."""

from __future__ import annotations

import math
from typing import Any, Final

from .kernels import cotangent, difference, exp_pair, log, polynomial

_ERF: Final = (
    *(-0.37612638903183754, 0.112837916709551, -0.02686617064510409, 0.005223977624325344),
    *(-0.0008548326793233783, 0.0001205530629440674, -1.4923829613452872e-05),
    *(1.6389446360450111e-06, -1.4787385599052157e-07),
)
"""(erf x / x - 2/√π) / x² in x², for |x| ≤ 1/2."""

_ERFC_MIDDLE: Final = 1.2530080582697296
_ERFC: Final = (
    *(-0.1356211061245806, -0.04756229435343085, 0.12964515870267063, -0.11927366341677936),
    *(0.06830802734811388, -0.023770514876307942, 0.002529391727043965),
    *(0.0018886897342563391, -0.0007798311930732853, -0.00010515441844454517),
    *(0.00012509126823822758, 4.920595756814568e-06, -2.0061290293746872e-05),
    *(-6.318995503151803e-07, 3.346332913344009e-06, 1.360850496479409e-07),
    *(-3.511501386085556e-07, 1.6258912987570948e-07, -2.5079973530964204e-07),
    *(-1.9587620813018167e-07, 2.545876645459201e-07, 7.273301432867624e-08),
    -8.770340947295917e-08,
)
"""(1 + 2x)·exp(x²)·erfc(x) in q = (x - 3)/(x + 3), for 0.46 ≤ x ≤ 28, less its value at q = 0 and
divided by q: the function that Shepherd and Laframboise expand, *Mathematics of Computation* 36
(1981)."""

_NEAR: Final = 0.46875
"""Up to here erf is its series, beyond it 1 - erfc."""
_HALF_BITS: Final = -(2**27)
_ZERO: Final = 1.4616321449683622
_ZERO_REST: Final = 9.549995429965698e-17
_AT_ZERO: Final = (
    *(0.9676722454476212, -0.4427631689835921, 0.258499760955651, -0.16394270544240653),
    *(0.10782405069126237, -0.07219956125645471, 0.048804288164143107, -0.033161126474847359),
)
"""The digamma function about its zero above 0, divided by the distance."""
_MOST: Final = 4
"""The highest order of a polygamma function that is written out; it takes 20 + 2·order steps."""
_BERNOULLI: Final = (
    *(1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -5.284190138687493e-10),
)


def _erf_near(m: Any, x: Any) -> Any:
    square = x * x
    series = m.fma(square, polynomial(m, square, _ERF), 0.12837916709551259)
    return m.fma(x, series, x)


def _erfc_far(m: Any, x: Any) -> Any:
    """erfc from 0.46 on: exp(-x²), its argument in two parts, times what changes little."""
    x = m.select(x > 28.0, 28.0, x)
    half = m.number(m.bits(x) & _HALF_BITS)
    rest = (x - half) * (x + half)
    e, low = exp_pair(m, -(half * half))
    less = -rest * (1.0 - rest * (0.5 - rest * (1.0 / 6.0)))
    below, lost = difference(2.0 * x, -1.0)
    q = (x - 3.0) / (x + 3.0)
    step = q * polynomial(m, q, _ERFC)
    above = _ERFC_MIDDLE + step
    share = above / below
    lost = (step - (above - _ERFC_MIDDLE)) / below - share * (lost / below)
    return m.fma(e, share, m.fma(e, less, low) * share + e * lost)


def erf(m: Any, x: Any) -> Any:
    """The error function."""
    size = m.abs(x)
    far = 1.0 - _erfc_far(m, m.select(size > _NEAR, size, _NEAR))
    return m.select(size <= _NEAR, _erf_near(m, x), m.select(x == x, m.copysign(far, x), x))


def erfc(m: Any, x: Any) -> Any:
    """1 - erf(x)."""
    size = m.abs(x)
    far = _erfc_far(m, m.select(size > _NEAR, size, _NEAR))
    far = m.select(x < 0.0, 2.0 - far, far)
    return m.select(size <= _NEAR, 1.0 - _erf_near(m, x), m.select(x == x, far, x))


def gelu_exact(m: Any, x: Any) -> Any:
    """x times the normal distribution function."""
    share = erfc(m, -0.7071067811865476 * x)
    return m.select(x == -math.inf, -0.0, 0.5 * x * share)


def digamma(m: Any, x: Any) -> Any:
    """The derivative of the logarithm of the gamma function, as its record computes it.

    Abramowitz & Stegun 6.3.7, 6.3.5 and 6.3.18.
    """
    size = m.abs(x)
    whole = m.select(size < 2.0**52, m.copysign(_truncated(m, size), x), x)
    part = x - whole
    below = x <= 0.0
    y = m.select(below, 1.0 - x, x)
    found = m.select(below, -math.pi * cotangent(m, math.pi * part), 0.0)
    for _ in range(10):
        early = y < 10.0
        found = m.select(early, found - 1.0 / y, found)
        y = m.select(early, y + 1.0, y)
    z = 1.0 / (y * y)
    tail = z * (1 / 132 - z * 0.0211)
    for number in (1 / 240, 1 / 252, 1 / 120, 1 / 12):
        tail = z * (number - tail)
    found = found + log(m, y) - 0.5 / y - tail
    d = (x - _ZERO) - _ZERO_REST
    found = m.select(m.abs(x - _ZERO) < 0.02, d * polynomial(m, d, _AT_ZERO), found)
    pole = m.select(x == 0.0, -1.0 / x, math.nan)
    return m.select(below, m.select(part == 0.0, pole, found), found)


def _truncated(m: Any, size: Any) -> Any:
    """The largest whole number up to a number from 0 to 2⁵²."""
    near = (size + 2.0**52) - 2.0**52
    return m.select(near > size, near - 1.0, near)


def polygamma(m: Any, x: Any, order: float) -> Any:
    """A derivative of digamma, as its record computes it; None for the rarer orders."""
    if order not in range(1, _MOST + 1):
        return None
    n = int(order)
    found = m.select(x > 0.0, 0.0, math.nan)
    y = x
    for _ in range(20 + 2 * n):
        early = y < 20.0 + 2 * n
        found = m.select(early, found + math.factorial(n) * _power(1.0 / y, n + 1), found)
        y = m.select(early, y + 1.0, y)
    part = math.factorial(n - 1) * _power(1.0 / y, n)
    found = found + (part + part * n / (2.0 * y))
    for k, number in enumerate(_BERNOULLI, 1):
        part = part * ((n + 2 * k - 2) / y * (n + 2 * k - 1) / y)
        found = found + number * part
    return found if n % 2 else -found


def _power(x: Any, n: int) -> Any:
    power = x
    for _ in range(n - 1):
        power = power * x
    return power
