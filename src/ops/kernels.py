"""Elementary functions from arithmetic alone: no branches, no tables, so vectors run them as well.

The rarer ones are the C library's, number by number.

They are the `kernel`s of records, from which native code is made. Each is written for a machine
`m`, whose numbers know `+ - * /` and comparisons:

    m.fma(a, b, c)         a·b + c, rounded once where the machine can, else twice
    m.select(c, a, b)      a where the comparison c holds, else b
    m.bits(x), m.number(i) a float64 as a whole number of 64 bits, and back
    m.abs, m.sqrt, m.copysign
    m.flag(c), m.truth(x)  a comparison as 1.0 or 0.0; whether x counts as true
    m.rare(c, x, f)        x, except where c holds: there f(), which is only computed for those
    m.libm(name, *x)       a function of the C library, one number at a time; None where it is not

The elementary ones stay within 2 units in the last place of the true value (the tests measure it),
whether or not the machine fuses. Reductions are Cody & Waite's with constants of few bits, sums
carry what they round away where it counts (Muller, *Elementary Functions*, 3rd ed., 2016, chapters
10 and 11). The polynomials are Chebyshev fits to 2⁻⁵¹ and better of what they add.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

_ROUND: Final = 1.5 * 2.0**52
"""Adding it rounds to a whole number, which the low bits of the sum then hold."""
_ROUND_BITS: Final = 0x4338000000000000
_LOG2_E: Final = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.6931471804855391, 7.440617110012397e-11
"""ln 2 in two parts; the first has 32 bits, so that whole multiples of it are exact."""
_SQRT_HALF_BITS: Final = 0x3FE6A09E667F3BCD
_TINY: Final = 2.0**-54
_SMALLEST_NORMAL: Final = 2.0**-1022

_EXP: Final = (
    *(0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333326112),
    *(0.001388888888888373, 0.0001984126987490126, 2.4801587325605324e-05),
    *(2.7557255297969643e-06, 2.755727357010214e-07, 2.5105259538448494e-08),
    2.0914717341716378e-09,
)
"""(eʳ - 1 - r) / r² for |r| ≤ ln 2 / 2."""

_LOG: Final = (
    *(0.666666666666667, 0.3999999999989889, 0.28571428626253836, 0.22222211089379496),
    *(0.1818289243253687, 0.15331611722055008, 0.14617807153417325),
)
"""(2 atanh s - 2 s) / s³ in s², for 1/√2 ≤ (1 + s)/(1 - s) ≤ √2."""

_SIN: Final = (
    *(-0.16666666666666666, 0.008333333333330925, -0.00019841269836722418),
    *(2.755731608381636e-06, -2.5051127944014188e-08, 1.5917848524808262e-10),
)
"""(sin x - x) / x³ in x², for |x| ≤ π/4."""

_COS: Final = (
    *(0.041666666666666664, -0.0013888888888887382, 2.480158729874307e-05),
    *(-2.7557317260008837e-07, 2.0876143827993133e-09, -1.1382456778061306e-11),
)
"""(cos x - 1 + x²/2) / x⁴ in x², for |x| ≤ π/4."""

_ATAN: Final = (
    *(-0.3333333333333333, 0.1999999999999552, -0.14285714284666542, 0.11111111015256361),
    *(-0.09090904578123903, 0.07692183190826087, -0.06664511447381948, 0.0585814891280221),
    *(-0.0508544973794026, 0.03923165829558719, -0.01917688711906226),
)
"""(atan t - t) / t³ in t², for |t| ≤ √2 - 1."""

_TWO_OVER_PI: Final = 0.6366197723675814
_HALF_PI: Final = (
    *(1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21),
    8.478427660348229e-32,
)
"""π/2 in four parts of 33 bits."""
_MANY_TURNS: Final = 2.0**19
"""Up to here whole multiples of those parts are exact."""


def polynomial(m: Any, x: Any, coefficients: Sequence[float]) -> Any:
    """The polynomial in x, constant term first, by Estrin's scheme: short chains, few roundings."""
    terms: list[Any] = list(coefficients)
    while len(terms) > 1:
        pairs = zip(terms[::2], terms[1::2], strict=False)
        odd = terms[-1:] if len(terms) % 2 else []
        terms = [m.fma(x, high, low) for low, high in pairs] + odd
        x = x * x
    return terms[0]


def _at_most(m: Any, x: Any, limit: float) -> Any:
    return m.select(x > limit, limit, x)


def _at_least(m: Any, x: Any, limit: float) -> Any:
    return m.select(x < limit, limit, x)


def _power_of_two(m: Any, exponent: Any) -> Any:
    """2 to a whole number from -1022 to 1023, given in the low bits."""
    return m.number((exponent + 1023) << 52)


def exp_pair(m: Any, x: Any, fewer: int = 0) -> tuple[Any, Any]:
    """e to the power x as an unevaluated sum: 2ᵏ·eʳ with the whole number k nearest to x / ln 2.

    It is halved as often as `fewer` says, before it would overflow.
    """
    x = _at_least(m, _at_most(m, x, 710.0 + fewer), -746.0)
    rounded = m.fma(x, _LOG2_E, _ROUND)
    k = rounded - _ROUND
    whole = m.bits(rounded) - _ROUND_BITS
    near = m.fma(k, -_LN2_HIGH, x)
    low = k * _LN2_LOW
    r = near - low
    above = r + m.fma(r * r, polynomial(m, r, _EXP), (near - r) - low)
    power = 1.0 + above
    half = whole >> 1
    rest = whole - half - fewer if fewer else whole - half
    first, second = _power_of_two(m, half), _power_of_two(m, rest)
    return power * first * second, (above - (power - 1.0)) * first * second


def exp(m: Any, x: Any) -> Any:
    """e to the power x."""
    return exp_pair(m, x)[0]


def _half_expm1(m: Any, x: Any) -> tuple[Any, Any]:
    """(eˣ - 1) / 2 as an unevaluated sum of two numbers, for -40 ≤ x ≤ 709.8."""
    rounded = m.fma(x, _LOG2_E, _ROUND)
    k = rounded - _ROUND
    scale = _power_of_two(m, m.bits(rounded) - 1)
    near = m.fma(k, -_LN2_HIGH, x)
    low = k * _LN2_LOW
    r = near - low
    rest = m.fma(r * r, polynomial(m, r, _EXP), (near - r) - low)
    whole, part = scale - 0.5, scale * r
    high = whole + part
    return high, m.fma(scale, rest, part - (high - whole))


def expm1(m: Any, x: Any) -> Any:
    """e to the power x, minus 1: 2ᵏ - 1 and 2ᵏ·(eʳ - 1), added with care."""
    high, low = _half_expm1(m, _at_least(m, _at_most(m, x, 709.8), -40.0))
    return m.select(m.abs(x) < _TINY, x, 2.0 * (high + low))


def tanh(m: Any, x: Any) -> Any:
    """h / (h + 1) with h = (exp(2|x|) - 1) / 2, for small h as h - h·h / (h + 1); signed as x."""
    high, low = _half_expm1(m, 2.0 * _at_most(m, m.abs(x), 22.0))
    half = high + low
    ratio = half / (half + 1.0)
    careful = high - m.fma(half, ratio, -low)
    return m.copysign(m.select(half < 0.35, careful, ratio), x)


def _scaled(m: Any, x: Any) -> tuple[Any, Any]:
    """(k, y) with x = 2ᵏ·y and 1/√2 ≤ y < √2, for normal x above 0."""
    bits = m.bits(x)
    exponent = (bits - _SQRT_HALF_BITS) >> 52
    k = m.number(exponent + _ROUND_BITS) - _ROUND
    return k, m.number(bits - (exponent << 52))


def _log_of(m: Any, k: Any, f: Any, correction: Any) -> Any:
    """k·ln 2 + log(1 + f) + correction: the logarithm is that of a quotient, 2·atanh(f/(2 + f))."""
    s = f / (2.0 + f)
    square = s * s
    half = 0.5 * f * f
    series = half + square * polynomial(m, square, _LOG)
    inner = m.fma(s, series, m.fma(k, _LN2_LOW, correction))
    return m.fma(k, _LN2_HIGH, f - (half - inner))


def log(m: Any, x: Any) -> Any:
    """The natural logarithm."""
    small = x < _SMALLEST_NORMAL
    k, y = _scaled(m, m.select(small, x * 2.0**54, x))
    found = _log_of(m, k - m.select(small, 54.0, 0.0), y - 1.0, 0.0)
    outside = m.select(x == 0.0, -math.inf, math.nan)
    return m.select(x > 0.0, m.select(x < math.inf, found, x), outside)


def log1p(m: Any, x: Any) -> Any:
    """log(1 + x), with what 1 + x rounds away divided by it and added."""
    u = 1.0 + x
    k, y = _scaled(m, u)
    lost = m.select(x > 1.0, 1.0 - (u - x), x - (u - 1.0))
    near = k == 0.0
    f = m.select(near, x, y - 1.0)
    found = _log_of(m, k, f, m.select(near, 0.0, lost / u))
    found = m.select(m.abs(x) < _TINY, x, found)
    outside = m.select(x == -1.0, -math.inf, math.nan)
    return m.select(x > -1.0, m.select(x < math.inf, found, x), outside)


def sigmoid(m: Any, x: Any) -> Any:
    """1 / (1 + e) or e / (1 + e) with e = exp(-|x|); where e is small, the latter as e - e·(…)."""
    e, low = exp_pair(m, -m.abs(x))
    ratio = m.select(x >= 0.0, 1.0, e) / (1.0 + e)
    careful = e - m.fma(e, ratio, -low)
    return m.select(x < -1.0, careful, ratio)


def softplus(m: Any, x: Any) -> Any:
    """log(1 + exp(x)), by the exponential that does not overflow."""
    return m.select(x > 0.0, x, 0.0) + log1p(m, exp(m, -m.abs(x)))


def difference(a: Any, b: Any) -> tuple[Any, Any]:
    """a - b, and what it rounds away (Knuth's two-sum)."""
    high = a - b
    back = high - a
    return high, (a - (high - back)) - (b + back)


def _quarter_turns(m: Any, x: Any) -> tuple[Any, Any, Any]:
    """How many quarter turns are nearest to x, and the rest as an unevaluated sum."""
    rounded = m.fma(x, _TWO_OVER_PI, _ROUND)
    k = rounded - _ROUND
    first, second, third, fourth = _HALF_PI
    high, lost = difference(m.fma(k, -first, x), k * second)
    high, more = difference(high, k * third)
    low = (lost + more) - k * fourth
    y = high + low
    return m.bits(rounded) & 3, y, (high - y) + low


_Pair = tuple[Any, Any]
"""An unevaluated sum, the larger number first."""


def _circle(m: Any, x: Any) -> tuple[Any, _Pair, _Pair]:
    """How many quarter turns are nearest to x, and the sine and cosine of the rest."""
    turns, y, low = _quarter_turns(m, x)
    square = y * y
    cube = y * square
    more = m.fma(square, polynomial(m, square, _SIN[1:]), 0.0) * cube
    sine = y, m.fma(cube, _SIN[0], more) + m.fma(-0.5 * square, low, low)
    half = 0.5 * square
    one = 1.0 - half
    rest = m.fma(square * square, polynomial(m, square, _COS), -(y * low))
    return turns, sine, (one, ((1.0 - one) - half) + rest)


def _sine(m: Any, x: Any, ahead: int) -> Any:
    """The sine of x and so many quarter turns."""
    turns, sine, cosine = _circle(m, x)
    turns = turns + ahead
    value = m.select((turns & 1) == 0, sine[0] + sine[1], cosine[0] + cosine[1])
    signed = m.select((turns & 2) == 0, value, -value)
    return m.rare(m.abs(x) > _MANY_TURNS, signed, lambda: m.libm("cos" if ahead else "sin", x))


def sin(m: Any, x: Any) -> Any:
    """The sine of x radians."""
    return m.select(m.abs(x) < 2.0**-27, x, _sine(m, x, 0))


def cos(m: Any, x: Any) -> Any:
    """The cosine of x radians."""
    return _sine(m, x, 1)


def _quotient(above: _Pair, below: _Pair) -> Any:
    """A quotient of sums, with what these round away divided too."""
    a, b = above[0] + above[1], below[0] + below[1]
    lost, more = above[1] - (a - above[0]), below[1] - (b - below[0])
    found = a / b
    return found + (lost - found * more) / b


def tan(m: Any, x: Any) -> Any:
    """The tangent of x radians."""
    turns, sine, cosine = _circle(m, x)
    odd = (turns & 1) != 0
    above = [m.select(odd, -c, s) for s, c in zip(sine, cosine, strict=True)]
    below = [m.select(odd, s, c) for s, c in zip(sine, cosine, strict=True)]
    found = m.select(m.abs(x) < 2.0**-27, x, _quotient((above[0], above[1]), (below[0], below[1])))
    return m.rare(m.abs(x) > _MANY_TURNS, found, lambda: m.libm("tan", x))


def sinh(m: Any, x: Any) -> Any:
    """h + h / (2 h + 1) with h = (exp(|x|) - 1) / 2, for large x the half of exp(|x|)."""
    size = m.abs(x)
    high, low = _half_expm1(m, _at_most(m, size, 22.0))
    half = high + low
    near = high + (low + half / (2.0 * half + 1.0))
    found = m.select(size > 22.0, exp_pair(m, size, 1)[0], near)
    return m.copysign(m.select(size < 2.0**-27, size, found), x)


def cosh(m: Any, x: Any) -> Any:
    """e + 1 / (4 e) with e the half of exp(|x|)."""
    e, low = exp_pair(m, m.abs(x), 1)
    finite = e < math.inf
    return m.select(finite, e + (low + 0.25 / e), e)


def atan(m: Any, x: Any) -> Any:
    """The angle of a tangent, from those of at most √2 - 1 by quarters of a half turn."""
    size = m.abs(x)
    large, small = size > 2.414213562373095, size <= 0.41421356237309503
    over = m.select(large, -1.0, m.select(small, size, size - 1.0))
    t = over / m.select(large, size, m.select(small, 1.0, size + 1.0))
    square = t * t
    base, rest = 0.7853981633974483, 3.061616997868383e-17
    high = m.select(large, 2.0 * base, m.select(small, 0.0, base))
    low = m.select(large, 2.0 * rest, m.select(small, 0.0, rest))
    return m.copysign(high + (t + m.fma(t * square, polynomial(m, square, _ATAN), low)), x)


_FEW: Final = {
    1.0: lambda x: x,
    2.0: lambda x: x * x,
    3.0: lambda x: x * x * x,
    4.0: lambda x: (x * x) * (x * x),
}
"""Powers by multiplication."""


_HALVES: Final = {
    1.5: lambda m, x: x * m.sqrt(x),
    -0.5: lambda m, x: 1.0 / m.sqrt(x),
    -1.5: lambda m, x: (1.0 / x) / m.sqrt(x),
}
"""Powers by a square root; x is not -0."""


def pow_const(m: Any, x: Any, n: float) -> Any:
    """x to a fixed power, where a few multiplications give it; None where they do not."""
    if n == 0.5:
        return m.select(x == -math.inf, math.inf, m.sqrt(x + 0.0))
    if n in _HALVES:
        return m.select(x == -math.inf, math.inf if n > 0.0 else 0.0, _HALVES[n](m, x + 0.0))
    if n in (-1.0, -2.0):
        return _FEW[-n](1.0 / x)
    return _FEW[n](x) if n in _FEW else m.libm("pow", x, n)


def libm(name: str) -> Callable[..., Any]:
    """The kernel of an operation that the C library has."""
    return lambda m, *operands: m.libm(name, *operands)


def round_even(m: Any, x: Any) -> Any:
    """The nearest whole number, of two the even one: what a sum with 2⁵² rounds to."""
    size = m.abs(x)
    return m.select(size < 2.0**52, m.copysign((size + 2.0**52) - 2.0**52, x), x)


def floor(m: Any, x: Any) -> Any:
    """The largest whole number up to x."""
    near = round_even(m, x)
    return m.select(near > x, near - 1.0, near)


def ceil(m: Any, x: Any) -> Any:
    """The smallest whole number from x on, signed as x where it is 0."""
    near = round_even(m, x)
    return m.copysign(m.select(near < x, near + 1.0, near), x)


def sign(m: Any, x: Any) -> Any:
    """1, -1 or 0."""
    return m.select(x > 0.0, 1.0, m.select(x < 0.0, -1.0, x + 0.0))


def heaviside(m: Any, x: Any, at_zero: Any) -> Any:
    """0 below 0, 1 above, and the second number at 0."""
    return m.select(x < 0.0, 0.0, m.select(x > 0.0, 1.0, m.select(x == 0.0, at_zero, x)))


def clip(m: Any, x: Any, low: Any, high: Any) -> Any:
    """The nearest number within limits; nan where one of the three is."""
    least = m.select(x < low, low, m.select(low != low, low, x))
    return m.select(least > high, high, m.select(high != high, high, least))


def mod(m: Any, a: Any, b: Any) -> Any:
    """The remainder with the sign of b, by the C library's, which has the sign of a."""
    left = m.libm("fmod", a, b)
    if left is None:
        return None
    other = left + b
    found = m.select(left < 0.0, m.select(b < 0.0, left, other), m.select(b < 0.0, other, left))
    return m.select(left == 0.0, m.select(b < 0.0, -0.0, 0.0), found)


def logical_and(m: Any, a: Any, b: Any) -> Any:
    """1 where both are true."""
    return m.select(m.truth(a), m.flag(m.truth(b)), 0.0)


def logical_or(m: Any, a: Any, b: Any) -> Any:
    """1 where one is true."""
    return m.select(m.truth(a), 1.0, m.flag(m.truth(b)))


def logical_xor(m: Any, a: Any, b: Any) -> Any:
    """1 where one is true and the other is not."""
    return m.select(m.truth(a), logical_not(m, b), m.flag(m.truth(b)))


def logical_not(m: Any, x: Any) -> Any:
    """1 where x is not true."""
    return m.select(m.truth(x), 0.0, 1.0)


def logaddexp(m: Any, a: Any, b: Any) -> Any:
    """log(exp(a) + exp(b)), the larger taken out; with its record's digits where it cancels."""
    larger = m.select(a > b, a, b)
    more = log1p(m, exp(m, -m.abs(a - b)))
    found = larger + more
    found = m.select(a == b, a + 0.6931471805599453, found)

    def precisely() -> Any:
        other = larger + m.libm("log1p", m.libm("exp", -m.abs(a - b)))
        return m.select(a == b, a + 0.6931471805599453, other)

    return m.rare(m.abs(found) < more, found, precisely)


def elu(m: Any, x: Any, alpha: float, scale: float = 1.0) -> Any:
    """scale·x above 0, scale·alpha·(exp(x) - 1) below."""
    return m.select(x <= 0.0, scale * (alpha * expm1(m, x)), scale * x)


def mish(m: Any, x: Any) -> Any:
    """x·n/(n + 2), n = e·(e + 2), e = exp(x); below 0 as e less a small part of it."""
    e = exp(m, x)
    n = e * (e + 2.0)
    near = m.select(x < 0.0, x * (e - e * (e * (e + 1.0) / (n + 2.0))), x * n / (n + 2.0))

    def far() -> Any:
        above = m.select(x < -1600.0, -1600.0, x)
        half = m.libm("exp", 0.5 * above)
        return above * half * half

    return m.rare(x < -36.0, m.select(x > 20.0, x, near), far)


def hard_tanh(m: Any, x: Any) -> Any:
    """x between -1 and 1."""
    return m.select(x < -1.0, -1.0, m.select(x > 1.0, 1.0, x))


def hard_sigmoid(m: Any, x: Any) -> Any:
    """x/6 + 1/2 between 0 and 1."""
    return m.select(x < -3.0, 0.0, m.select(x > 3.0, 1.0, x / 6.0 + 0.5))
