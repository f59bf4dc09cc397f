"""Functions that generated C carries, as text: what C99's libm lacks.

Each has the operations of its namesake in `ieee`, in the same order.
"""

from __future__ import annotations

from typing import Final

SIGMOID: Final = """\
static double sigmoid(double x)
{
    const double e = exp(-fabs(x));
    return (x >= 0.0 ? 1.0 : e) / (1.0 + e);
}
"""

LOGADDEXP: Final = """\
static double logaddexp(double a, double b)
{
    if (a == b) {
        return a + 0.6931471805599453;
    }
    return (a > b ? a : b) + log1p(exp(-fabs(a - b)));
}
"""

MODULO: Final = """\
static double modulo(double a, double b)
{
    const double left = fmod(a, b);
    if (left == 0.0) {
        return copysign(0.0, b);
    }
    return (left < 0.0) != (b < 0.0) ? left + b : left;
}
"""

CLIPPED: Final = """\
static double clipped(double x, double low, double high)
{
    const double least = x < low || low != low ? low : x;
    return least > high || high != high ? high : least;
}
"""

MISH: Final = """\
static double mish(double x)
{
    double e, n;
    if (x > 20.0) {
        return x;
    }
    if (x < -800.0) {
        return -0.0;
    }
    e = exp(x);
    n = e * (e + 2.0);
    return x * n / (n + 2.0);
}
"""

GELU: Final = """\
static double gelu_exact(double x)
{
    return x == -INFINITY ? -0.0 : 0.5 * x * erfc(-0.7071067811865476 * x);
}
"""

DIGAMMA: Final = """\
static double digamma(double x)
{
    const double pi = 3.141592653589793;
    double found = 0.0, z, tail;
    if (x <= 0.0) {
        if (x == 0.0) {
            return copysign(INFINITY, -x);
        }
        if (x == -INFINITY || fmod(x, 1.0) == 0.0) {
            return NAN;
        }
        found = -pi / tan(pi * fmod(x, 1.0));
        x = 1.0 - x;
    } else if (fabs(x - 1.4616321449683622) < 0.02) {
        const double d = x - 1.4616321449683622 - 9.549995429965698e-17;
        double total = -0.033161126474847359;
        total = total * d + 0.048804288164143107;
        total = total * d - 0.07219956125645471;
        total = total * d + 0.10782405069126237;
        total = total * d - 0.16394270544240653;
        total = total * d + 0.258499760955651;
        total = total * d - 0.4427631689835921;
        return d * (total * d + 0.9676722454476212);
    }
    while (x < 10.0) {
        found -= 1.0 / x;
        x += 1.0;
    }
    z = 1.0 / (x * x);
    tail = 1.0 / 240.0 - z * (1.0 / 132.0 - z * 0.0211);
    tail = z * (1.0 / 12.0 - z * (1.0 / 120.0 - z * (1.0 / 252.0 - z * tail)));
    return found + log(x) - 0.5 / x - tail;
}
"""

POLYGAMMA: Final = """\
static double polygamma(double x, double n)
{
    static const double numbers[] = {
        1.0 / 12.0, -1.0 / 720.0, 1.0 / 30240.0, -1.0 / 1209600.0, 1.0 / 47900160.0,
        -5.284190138687493e-10
    };
    double found = 0.0, y = x, factor = 1.0, part;
    if (!(x > 0.0) || n != floor(n) || n < 1.0 || n > 100.0) {
        return NAN;
    }
    for (int k = 2; k <= n; k++) {
        factor *= k;
    }
    while (y < 20.0 + 2.0 * n) {
        found += factor * pow(1.0 / y, n + 1.0);
        y += 1.0;
    }
    part = factor / n * pow(1.0 / y, n);
    found += part + part * n / (2.0 * y);
    for (int k = 0; k < 6; k++) {
        part *= (n + 2.0 * k) / y * (n + 2.0 * k + 1.0) / y;
        found += numbers[k] * part;
    }
    return fmod(n, 2.0) == 1.0 ? found : -found;
}
"""
