"""Functions that generated C carries, as text: what C99's libm lacks.

Each has the operations of its namesake in `ieee`, in the same order.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from . import kernels_special

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
    if (x < -36.0) {
        x = x < -1600.0 ? -1600.0 : x;
        e = exp(0.5 * x);
        return x * e * e;
    }
    e = exp(x);
    n = e * (e + 2.0);
    return x < 0.0 ? x * (e - e * (e * (e + 1.0) / (n + 2.0))) : x * n / (n + 2.0);
}
"""

GELU: Final = """\
static double gelu_exact(double x)
{
    double head, z, tail, share;
    if (!(x < -37.5)) {
        return 0.5 * x * erfc(-0.7071067811865476 * x);
    }
    x = x < -64.0 ? -64.0 : x;
    head = ceil(16.0 * x) / 16.0;
    z = 1.0 / (x * x);
    tail = 1.0 - z * (3.0 - z * (15.0 - z * (105.0 - z * (945.0 - z * 10395.0))));
    share = 0.3989422804014327 * exp(0.5 * (head - x) * (head + x)) * (1.0 - z * tail);
    return -(exp(-0.5 * head * head) * share);
}
"""


def _numbers(numbers: Sequence[float]) -> str:
    """Coefficients as lines of C, the highest power first."""
    return textwrap.fill(", ".join(map(repr, reversed(numbers))), 88, break_on_hyphens=False)


LGAMMA: Final = f"""\
static double log_gamma(double x)
{{
    static const double far[] = {{
{textwrap.indent(_numbers(kernels_special.STIRLING), " " * 8)}
    }};
    static const double near[] = {{
{textwrap.indent(_numbers(kernels_special.LGAMMA), " " * 8)}
    }};
    const double pi = 3.141592653589793;
    const int below = x <= 0.0;
    double reflected = 0.0, added = 0.0, total = 0.0, product = 1.0, z, q;
    if (below) {{
        const double part = x > -INFINITY ? fmod(-x, 1.0) : 0.0;
        if (part == 0.0) {{
            return INFINITY;
        }}
        z = sin(pi * (part > 0.5 ? 1.0 - part : part));
        reflected = x < -1e-17 ? log(pi / z) : -log(-x);
        x = 1.0 - x;
    }}
    if (x >= 8.0) {{
        z = 1.0 / (x * x);
        for (int i = 0; i < {len(kernels_special.STIRLING)}; i++) {{
            total = total * z + far[i];
        }}
        total = (x - 0.5) * (log(x) - 1.0) + (0.4189385332046727 + total / x);
        return below ? reflected - total : total;
    }}
    if (x < 0.875) {{
        added = -log(x);
        x += 1.0;
    }}
    while (x > 2.5) {{
        x -= 1.0;
        product *= x;
    }}
    if (product > 1.0) {{
        added = log(product);
    }}
    q = (x - 1.5) / (x + 1.5);
    for (int i = 0; i < {len(kernels_special.LGAMMA)}; i++) {{
        total = total * q + near[i];
    }}
    total = added + (x - 1.0) * (x - 2.0) * total;
    return below ? reflected - total : total;
}}
"""

DIGAMMA: Final = f"""\
static double digamma(double x)
{{
    static const double far[] = {{
        -0.0211, 1.0 / 132.0, -1.0 / 240.0, 1.0 / 252.0, -1.0 / 120.0, 1.0 / 12.0
    }};
    static const double near[] = {{
{textwrap.indent(_numbers(kernels_special.DIGAMMA), " " * 8)}
    }};
    const double pi = 3.141592653589793;
    double found = 0.0, added = 0.0, total = 0.0, z, q;
    if (x <= 0.0) {{
        if (x == 0.0) {{
            return copysign(INFINITY, -x);
        }}
        if (x == -INFINITY || fmod(x, 1.0) == 0.0) {{
            return NAN;
        }}
        found = -pi / tan(pi * fmod(x, 1.0));
        x = 1.0 - x;
    }}
    if (x >= 10.0) {{
        z = 1.0 / (x * x);
        for (int i = 0; i < 6; i++) {{
            total = total * z + far[i];
        }}
        return found + (log(x) - 0.5 / x - total * z);
    }}
    if (x < 1.0) {{
        added = -1.0 / x;
        x += 1.0;
    }}
    while (x > 2.5) {{
        x -= 1.0;
        added += 1.0 / x;
    }}
    q = (x - 1.5) / (x + 1.5);
    for (int i = 0; i < {len(kernels_special.DIGAMMA)}; i++) {{
        total = total * q + near[i];
    }}
    return found + (added + (x - 1.4616321449683622 - 9.549995429965697e-17) * total);
}}
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
