"""Special functions from arithmetic alone, for the same machine as the kernels they are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from .kernels import ceil, difference, exp_pair, log, polynomial

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
_ZERO, _ZERO_REST = 1.4616321449683622, 9.549995429965697e-17
"""The zero of the digamma function above 0, in two parts."""

DIGAMMA: Final = (
    *(0.9510558760318328, -1.2708822638443806, 0.8940000943227161, -0.9480504699669621),
    *(0.897052723968552, -0.9236820278768948, 0.9043231263147221, -0.9182042025345016),
    *(0.9075830916621495, -0.9159314858250285, 0.9091852950690988, -0.9149113269612862),
    *(0.9102661909648035, -0.9101233081750377, 0.9025078347978388, -0.9625154669040252),
    *(1.056352943373226, -0.7314369048024542),
)
"""The digamma function divided by what its zero is from x, in (x - 1.5)/(x + 1.5), 1 ≤ x ≤ 2.5."""

LGAMMA: Final = (
    *(0.4831289505409809, -0.4378796877429185, 0.12832292192815084, -0.15080363092780924),
    *(0.08530564282065815, -0.09321052275357046, 0.06382811945997269, -0.0676948982710846),
    *(0.05091582403781707, -0.05319504827320413, 0.04232377288044374, -0.043814602261997994),
    *(0.036287277955459545, -0.03750627472996889, 0.030503399279259772, -0.02982449842090226),
    *(0.03682073609981845, -0.04309464501772271),
)
"""log Γ(x) / ((x - 1)·(x - 2)) in (x - 1.5)/(x + 1.5), for 0.875 ≤ x ≤ 2.5."""

STIRLING: Final = (
    *(0.0833333333333333, -0.002777777777606242, 0.0007936506649481122),
    *(-0.0005952025950762167, 0.0008372834445598766, -0.0016526002910866372),
)
"""What log Γ(x) is beyond (x - 1/2)·(log x - 1) + log √(2π/e), times x, in 1/x², for x ≥ 8."""

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
    return m.rare(x < -37.5, 0.5 * x * share, lambda: _gelu_tail(m, x))


def _gelu_tail(m: Any, x: Any) -> Any:
    x = m.select(x < -64.0, -64.0, x)
    head = ceil(m, 16.0 * x) / 16.0
    z = 1.0 / (x * x)
    tail = 1.0 - z * (3.0 - z * (15.0 - z * (105.0 - z * (945.0 - z * 10395.0))))
    share = m.libm("exp", 0.5 * (head - x) * (head + x))
    return -(m.libm("exp", -0.5 * head * head) * (0.3989422804014327 * share * (1.0 - z * tail)))


_Function = Callable[[Any], Any]


def _horner(x: Any, coefficients: Sequence[float]) -> Any:
    """The polynomial in x, constant term first, rounded as its record rounds it."""
    total: Any = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total


def log_gamma(m: Any, x: Any) -> Any:
    """The logarithm of |Γ(x)|, as its record computes it."""
    found = _log_gamma_above(m, x, lambda y: log(m, y))
    return m.rare(x <= 0.0, found, lambda: _log_gamma_below(m, x))


def _log_gamma_above(m: Any, x: Any, log: _Function) -> Any:
    far, small = x >= 8.0, x < 0.875
    y, product = m.select(far, 2.0, x), 1.0
    for _ in range(6):
        late = y > 2.5
        y = m.select(late, y - 1.0, y)
        product = m.select(late, y * product, product)
    logarithm = log(m.select(small, x, m.select(far, x, product)))
    y = m.select(small, y + 1.0, y)
    tail = _horner(1.0 / (x * x), STIRLING) / x
    stirling = (x - 0.5) * (logarithm - 1.0) + (0.4189385332046727 + tail)
    near = (y - 1.0) * (y - 2.0) * _horner((y - 1.5) / (y + 1.5), LGAMMA)
    return m.select(far, stirling, m.select(small, -logarithm, logarithm) + near)


def _log_gamma_below(m: Any, x: Any) -> Any:
    """By the reflection, in which digits cancel: with its record's own functions."""
    tiny = x >= -1e-17
    part = -_fraction(m, x)
    sine = m.libm("sin", math.pi * m.select(part > 0.5, 1.0 - part, part))
    reflected = m.libm("log", m.select(tiny, -x, math.pi / sine))
    above = _log_gamma_above(m, 1.0 - x, lambda y: m.libm("log", y))
    found = m.select(tiny, -reflected, reflected) - above
    return m.select(part == 0.0, math.inf, found)


def digamma(m: Any, x: Any) -> Any:
    """The derivative of log Γ, as its record computes it."""
    found = _digamma_above(m, x, lambda y: log(m, y), 0.0)
    return m.rare(x <= 0.0, found, lambda: _digamma_below(m, x))


def _digamma_above(m: Any, x: Any, log: _Function, more: Any) -> Any:
    """The derivative of log Γ(x), and `more`."""
    far, small = x >= 10.0, x < 1.0
    y = m.select(far, 2.0, x)
    added = m.select(small, -1.0 / x, 0.0)
    y = m.select(small, y + 1.0, y)
    for _ in range(8):
        late = y > 2.5
        y = m.select(late, y - 1.0, y)
        added = m.select(late, added + 1.0 / y, added)
    z = 1.0 / (x * x)
    tail = _horner(z, (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -0.0211)) * z
    near = (y - _ZERO - _ZERO_REST) * _horner((y - 1.5) / (y + 1.5), DIGAMMA)
    return m.select(far, log(x) - 0.5 / x - tail, added + near) + more


def _digamma_below(m: Any, x: Any) -> Any:
    """By the reflection, in which digits cancel: with its record's own functions."""
    part = _fraction(m, x)
    reflected = -math.pi / m.libm("tan", math.pi * part)
    found = _digamma_above(m, 1.0 - x, lambda y: m.libm("log", y), reflected)
    return m.select(part == 0.0, m.select(x == 0.0, -1.0 / x, math.nan), found)


def _fraction(m: Any, x: Any) -> Any:
    """What x, up to 0, is beyond the whole number above it."""
    whole = ceil(m, x)
    return m.select(whole == x, 0.0, x - whole)


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
