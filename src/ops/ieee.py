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


def safe_tan(x: float) -> float:
    """Tangent of x radians, nan at ±inf.

    >>> safe_tan(math.inf)
    nan
    """
    return math.tan(x) if math.isfinite(x) else math.nan


def safe_sinh(x: float) -> float:
    """Hyperbolic sine, infinite past about ±710.48.

    >>> safe_sinh(-1000.0)
    -inf
    """
    try:
        return math.sinh(x)
    except OverflowError:
        return math.copysign(math.inf, x)


def safe_cosh(x: float) -> float:
    """Hyperbolic cosine, infinite past about ±710.48.

    >>> safe_cosh(-1000.0)
    inf
    """
    try:
        return math.cosh(x)
    except OverflowError:
        return math.inf


def safe_asin(x: float) -> float:
    """The angle whose sine is x, nan outside -1 to 1.

    >>> safe_asin(2.0)
    nan
    """
    return math.asin(x) if -1.0 <= x <= 1.0 else math.nan


def safe_acos(x: float) -> float:
    """The angle whose cosine is x, nan outside -1 to 1.

    >>> safe_acos(1.0), safe_acos(2.0)
    (0.0, nan)
    """
    return math.acos(x) if -1.0 <= x <= 1.0 else math.nan


def safe_acosh(x: float) -> float:
    """The number from 0 on whose hyperbolic cosine is x, nan below 1.

    >>> safe_acosh(1.0), safe_acosh(0.5)
    (0.0, nan)
    """
    return math.acosh(x) if x >= 1.0 else math.nan


def safe_atanh(x: float) -> float:
    """The number whose hyperbolic tangent is x: ±inf at ±1, nan outside.

    >>> safe_atanh(-1.0), safe_atanh(2.0)
    (-inf, nan)
    """
    if -1.0 < x < 1.0:
        return math.atanh(x)
    return math.copysign(math.inf, x) if abs(x) == 1.0 else math.nan


def safe_log2(x: float) -> float:
    """Logarithm to base 2: -inf at 0, nan below.

    >>> safe_log2(8.0), safe_log2(0.0), safe_log2(-1.0)
    (3.0, -inf, nan)
    """
    if x > 0.0:
        return math.log2(x)
    return -math.inf if x == 0.0 else math.nan


def safe_log10(x: float) -> float:
    """Logarithm to base 10: -inf at 0, nan below.

    >>> safe_log10(1000.0), safe_log10(0.0), safe_log10(-1.0)
    (3.0, -inf, nan)
    """
    if x > 0.0:
        return math.log10(x)
    return -math.inf if x == 0.0 else math.nan


def safe_exp2(x: float) -> float:
    """2 to the power x, infinite from 1024 on.

    >>> safe_exp2(10.0), safe_exp2(2000.0)
    (1024.0, inf)
    """
    try:
        return math.exp2(x)
    except OverflowError:
        return math.inf


def logaddexp(a: float, b: float) -> float:
    """log(exp(a) + exp(b)), without overflow.

    >>> logaddexp(-1000.0, -math.inf), logaddexp(math.inf, 0.0)
    (-1000.0, inf)
    """
    if a == b:
        return a + 0.6931471805599453
    return (a if a > b else b) + math.log1p(math.exp(-abs(a - b)))


def modulo(a: float, b: float) -> float:
    """What is left of a after the largest whole number of b, with the sign of b; nan for b = 0.

    >>> modulo(-7.0, 3.0), modulo(1.0, 0.0), modulo(-1.0, math.inf)
    (2.0, nan, inf)
    """
    return a % b if b != 0.0 else math.nan


def floored(x: float) -> float:
    """The largest whole number up to x, as a float.

    >>> floored(-0.5), floored(math.inf)
    (-1.0, inf)
    """
    return math.copysign(float(math.floor(x)), x) if math.isfinite(x) else x


def ceiled(x: float) -> float:
    """The smallest whole number from x on, as a float.

    >>> ceiled(-0.5), ceiled(math.inf)
    (-0.0, inf)
    """
    return math.copysign(float(math.ceil(x)), x) if math.isfinite(x) else x


def rounded(x: float) -> float:
    """The nearest whole number, of two the even one, as a float.

    >>> rounded(2.5), rounded(3.5), rounded(-0.4)
    (2.0, 4.0, -0.0)
    """
    return math.copysign(float(round(x)), x) if math.isfinite(x) else x


def signum(x: float) -> float:
    """1 above 0, -1 below, 0 at 0 and nan at nan.

    >>> signum(-3.0), signum(0.0), signum(math.nan)
    (-1.0, 0.0, nan)
    """
    return 1.0 if x > 0.0 else -1.0 if x < 0.0 else 0.0 if x == 0.0 else x


def heaviside(x: float, at_zero: float) -> float:
    """0 below 0, 1 above, and the second number at 0.

    >>> heaviside(-2.0, 0.5), heaviside(0.0, 0.5), heaviside(2.0, 0.5)
    (0.0, 0.5, 1.0)
    """
    return 0.0 if x < 0.0 else 1.0 if x > 0.0 else at_zero if x == 0.0 else x


def clipped(x: float, low: float, high: float) -> float:
    """The number from `low` to `high` that is nearest to x; `high` where the two are crossed.

    >>> clipped(5.0, 0.0, 1.0), clipped(math.nan, 0.0, 1.0), clipped(0.0, 2.0, 1.0)
    (1.0, nan, 1.0)
    """
    least = low if x < low or low != low else x
    return high if least > high or high != high else least


def log_gamma(x: float) -> float:
    """The logarithm of the absolute value of the gamma function: inf at 0, -1, -2 and so on.

    Divided by its zeros 1 and 2 up to 2.5, which the recurrence leads to from up to 8; from there
    Stirling's series; the reflection below 0 (Abramowitz & Stegun 6.1.15, 6.1.40 and 6.1.17).

    >>> log_gamma(3.0), log_gamma(2.0), log_gamma(-1.0), log_gamma(1e308)
    (0.6931471805599453, 0.0, inf, inf)
    """
    below = x <= 0.0
    reflected = added = 0.0
    if below:
        part = math.fmod(-x, 1.0) if x > -math.inf else 0.0
        if part == 0.0:
            return math.inf
        sine = math.sin(math.pi * (1.0 - part if part > 0.5 else part))
        reflected = math.log(math.pi / sine) if x < -1e-17 else -math.log(-x)
        x = 1.0 - x
    if x >= 8.0:
        z = 1.0 / (x * x)
        tail = 0.0
        for c in (
            *(-0.0016526002910866372, 0.0008372834445598766, -0.0005952025950762167),
            *(0.0007936506649481122, -0.002777777777606242, 0.0833333333333333),
        ):
            tail = tail * z + c
        found = (x - 0.5) * (math.log(x) - 1.0) + (0.4189385332046727 + tail / x)
        return reflected - found if below else found
    if x < 0.875:
        added = -math.log(x)
        x += 1.0
    elif x > 2.5:
        product = 1.0
        while x > 2.5:
            x -= 1.0
            product *= x
        added = math.log(product)
    q = (x - 1.5) / (x + 1.5)
    total = 0.0
    for c in (
        *(-0.04309464501772271, 0.03682073609981845, -0.02982449842090226, 0.030503399279259772),
        *(-0.03750627472996889, 0.036287277955459545, -0.043814602261997994, 0.04232377288044374),
        *(-0.05319504827320413, 0.05091582403781707, -0.0676948982710846, 0.06382811945997269),
        *(-0.09321052275357046, 0.08530564282065815, -0.15080363092780924, 0.12832292192815084),
        *(-0.4378796877429185, 0.4831289505409809),
    ):
        total = total * q + c
    found = added + (x - 1.0) * (x - 2.0) * total
    return reflected - found if below else found


def digamma(x: float) -> float:
    """The derivative of the logarithm of the gamma function: nan at -1, -2 and so on.

    Divided by its zero up to 2.5, which the recurrence leads to from up to 10; from there the
    asymptotic series; the reflection below 0 (Abramowitz & Stegun 6.3.5, 6.3.18 and 6.3.7).

    >>> round(digamma(1.0), 12), digamma(0.0), digamma(-1.0)
    (-0.577215664902, -inf, nan)
    """
    found = 0.0
    if x <= 0.0:
        if x == 0.0:
            return math.copysign(math.inf, -x)
        if x == -math.inf or math.fmod(x, 1.0) == 0.0:
            return math.nan
        found = -math.pi / math.tan(math.pi * math.fmod(x, 1.0))
        x = 1.0 - x
    if x >= 10.0:
        z = 1.0 / (x * x)
        tail = 0.0
        for c in (-0.0211, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12):
            tail = tail * z + c
        return found + (math.log(x) - 0.5 / x - tail * z)
    added = 0.0
    if x < 1.0:
        added = -1.0 / x
        x += 1.0
    while x > 2.5:
        x -= 1.0
        added += 1.0 / x
    q = (x - 1.5) / (x + 1.5)
    total = 0.0
    for c in (
        *(-0.7314369048024542, 1.056352943373226, -0.9625154669040252, 0.9025078347978388),
        *(-0.9101233081750377, 0.9102661909648035, -0.9149113269612862, 0.9091852950690988),
        *(-0.9159314858250285, 0.9075830916621495, -0.9182042025345016, 0.9043231263147221),
        *(-0.9236820278768948, 0.897052723968552, -0.9480504699669621, 0.8940000943227161),
        *(-1.2708822638443806, 0.9510558760318328),
    ):
        total = total * q + c
    d = x - 1.4616321449683622 - 9.549995429965697e-17
    return found + (added + d * total)


def polygamma(x: float, order: float) -> float:
    """The derivative of digamma of a whole order from 1 to 100, for x above 0; nan elsewhere.

    Abramowitz & Stegun 6.4.6 and 6.4.11: the recurrence up to 20 + 2·order, then the asymptotic
    series.

    >>> round(polygamma(1.0, 1.0), 12), polygamma(-1.0, 1.0)
    (1.644934066848, nan)
    """
    if not (x > 0.0 and order in range(1, 101)):
        return math.nan
    n = int(order)
    try:
        found, y = 0.0, x
        while y < 20.0 + 2 * n:
            found += math.factorial(n) * (1.0 / y) ** (n + 1)
            y += 1.0
        part = math.factorial(n - 1) * (1.0 / y) ** n
        found += part + part * n / (2.0 * y)
        for k, number in enumerate(
            (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -5.284190138687493e-10), 1
        ):
            part *= (n + 2 * k - 2) / y * (n + 2 * k - 1) / y
            found += number * part
    except OverflowError:
        found = math.inf
    return found if n % 2 else -found


def elu(x: float, alpha: float) -> float:
    """x above 0, alpha·(exp(x) - 1) below.

    >>> elu(2.0, 1.0), elu(-1000.0, 0.5)
    (2.0, -0.5)
    """
    return alpha * math.expm1(x) if x <= 0.0 else x


def mish(x: float) -> float:
    """x·tanh(softplus(x)), without overflow: the tanh is n/(n + 2), n = exp(x)·(exp(x) + 2).

    Below 0 it is exp(x) less a small part of it.

    >>> mish(0.0), mish(1000.0), mish(-1000.0)
    (0.0, 1000.0, -0.0)
    """
    if x > 20.0:
        return x
    if x < -36.0:
        half = math.exp(0.5 * max(x, -1600.0))
        return max(x, -1600.0) * half * half
    e = math.exp(x)
    n = e * (e + 2.0)
    return x * (e - e * (e * (e + 1.0) / (n + 2.0))) if x < 0.0 else x * n / (n + 2.0)


def gelu_exact(x: float) -> float:
    """x times the normal distribution function: the Gaussian error linear unit itself.

    Where that function is near the least number there is, it is its asymptotic series
    (Abramowitz & Stegun 26.2.12).

    >>> gelu_exact(0.0), gelu_exact(math.inf), gelu_exact(-math.inf)
    (0.0, inf, -0.0)
    """
    if x < -37.5:
        x = max(x, -64.0)
        head = math.ceil(16.0 * x) / 16.0
        z = 1.0 / (x * x)
        tail = 1.0 - z * (3.0 - z * (15.0 - z * (105.0 - z * (945.0 - z * 10395.0))))
        share = 0.3989422804014327 * math.exp(0.5 * (head - x) * (head + x)) * (1.0 - z * tail)
        return -(math.exp(-0.5 * head * head) * share)
    return 0.5 * x * math.erfc(-0.7071067811865476 * x)


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
