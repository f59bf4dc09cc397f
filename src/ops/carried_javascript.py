"""Functions that generated JavaScript carries, as text: what `Math` lacks."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from . import kernels_special

ERF: Final = """
function erf(x) {
    const z = Math.abs(x);
    if (z > 0.5) return x > 0 ? 1 - erfc(z) : erfc(z) - 1;
    let term = x, total = x;
    for (let n = 1; n < 20; n++) {
        term *= -x * x / n;
        total += term / (2 * n + 1);
    }
    return 1.1283791670955126 * total;
}

function erfc(x) {
    if (x < 0.5) return x < -0.5 ? 2 - erfc(-x) : 1 - erf(x);
    if (x > 28) return 0;
    let total = 1 / (x * x);
    for (let k = 1; k < 14; k++) {
        total += 2 * Math.exp(-k * k / 4) / (k * k / 4 + x * x);
    }
    const top = Math.fround(x);
    const square = Math.exp(-top * top) * Math.exp((top - x) * (top + x));
    return square * total * x / (2 * Math.PI) - 2 / Math.expm1(4 * Math.PI * x);
}
"""
"""The series near 0, else the trapezoidal rule with step 1/2: Matta & Reichel 1971, eq. 4."""

GELU: Final = f"""
function gelu_exact(x) {{
    if (!(x < -37.5)) return 0.5 * x * erfc(-0.7071067811865476 * x);
    x = Math.max(x, -64);
    const head = Math.ceil(16 * x) / 16, z = 1 / (x * x);
    const tail = 1 - z * (3 - z * (15 - z * (105 - z * (945 - z * 10395))));
    const share = 0.3989422804014327 * Math.exp(0.5 * (head - x) * (head + x)) * (1 - z * tail);
    return -(Math.exp(-0.5 * head * head) * share);
}}

{ERF.strip()}
"""


def _numbers(numbers: Sequence[float]) -> str:
    """Coefficients as lines of JavaScript, the highest power first."""
    text = textwrap.fill(", ".join(map(repr, reversed(numbers))), 88, break_on_hyphens=False)
    return textwrap.indent(text, " " * 8)


LGAMMA: Final = f"""
function lgamma(x) {{
    const below = x <= 0, horner = (z) => (total, c) => total * z + c;
    let reflected = 0, added = 0;
    if (below) {{
        const part = -x % 1;
        if (x === -Infinity || part === 0) return Infinity;
        const sine = Math.sin(Math.PI * (part > 0.5 ? 1 - part : part));
        reflected = x < -1e-17 ? Math.log(Math.PI / sine) : -Math.log(-x);
        x = 1 - x;
    }}
    if (x >= 8) {{
        const tail = [
{_numbers(kernels_special.STIRLING)}
        ].reduce(horner(1 / (x * x)), 0);
        const found = (x - 0.5) * (Math.log(x) - 1) + (0.4189385332046727 + tail / x);
        return below ? reflected - found : found;
    }}
    if (x < 0.875) {{
        added = -Math.log(x);
        x += 1;
    }} else if (x > 2.5) {{
        let product = 1;
        while (x > 2.5) product *= x -= 1;
        added = Math.log(product);
    }}
    const found = added + (x - 1) * (x - 2) * [
{_numbers(kernels_special.LGAMMA)}
    ].reduce(horner((x - 1.5) / (x + 1.5)), 0);
    return below ? reflected - found : found;
}}
"""

DIGAMMA: Final = f"""
function digamma(x) {{
    const horner = (z) => (total, c) => total * z + c;
    let found = 0, added = 0;
    if (x <= 0) {{
        if (x === 0) return Object.is(x, 0) ? -Infinity : Infinity;
        if (x === -Infinity || x % 1 === 0) return NaN;
        found = -Math.PI / Math.tan(Math.PI * (x % 1));
        x = 1 - x;
    }}
    if (x >= 10) {{
        const z = 1 / (x * x);
        const tail = [-0.0211, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12].reduce(horner(z), 0);
        return found + (Math.log(x) - 0.5 / x - tail * z);
    }}
    if (x < 1) {{
        added = -1 / x;
        x += 1;
    }}
    while (x > 2.5) {{
        x -= 1;
        added += 1 / x;
    }}
    const d = x - 1.4616321449683622 - 9.549995429965697e-17;
    return found + (added + d * [
{_numbers(kernels_special.DIGAMMA)}
    ].reduce(horner((x - 1.5) / (x + 1.5)), 0));
}}
"""

POLYGAMMA: Final = """
function polygamma(x, n) {
    if (!(x > 0) || !Number.isInteger(n) || n < 1 || n > 100) return NaN;
    let found = 0, y = x, factor = 1;
    for (let k = 2; k <= n; k++) factor *= k;
    while (y < 20 + 2 * n) {
        found += factor * Math.pow(1 / y, n + 1);
        y += 1;
    }
    let part = factor / n * Math.pow(1 / y, n);
    found += part + part * n / (2 * y);
    [
        1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -5.284190138687493e-10,
    ].forEach((number, k) => {
        part *= (n + 2 * k) / y * ((n + 2 * k + 1) / y);
        found += number * part;
    });
    return n % 2 ? found : -found;
}
"""

MODULO: Final = """
function modulo(a, b) {
    const left = a % b;
    if (left === 0) return b < 0 ? -0 : 0;
    return left < 0 !== b < 0 ? left + b : left;
}
"""

ROUNDED: Final = """
function rounded(x) {
    const down = Math.floor(x), left = x - down;
    if (!Number.isFinite(x) || left === 0) return x;
    const found = left < 0.5 || (left === 0.5 && down % 2 === 0) ? down : down + 1;
    return found === 0 && x < 0 ? -0 : found;
}
"""

LOGADDEXP: Final = """
function logaddexp(a, b) {
    if (a === b) return a + Math.LN2;
    return Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
}
"""

CLIPPED: Final = """
function clipped(x, low, high) {
    const least = x < low || low !== low ? low : x;
    return least > high || high !== high ? high : least;
}
"""

MISH: Final = """
function mish(x) {
    if (x > 20) return x;
    if (x < -36) {
        x = Math.max(x, -1600);
        const half = Math.exp(0.5 * x);
        return x * half * half;
    }
    const e = Math.exp(x), n = e * (e + 2);
    return x < 0 ? x * (e - e * (e * (e + 1) / (n + 2))) : x * n / (n + 2);
}
"""
