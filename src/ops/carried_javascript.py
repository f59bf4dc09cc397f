"""Functions that generated JavaScript carries, as text: what `Math` lacks."""

from __future__ import annotations

from typing import Final

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
    return x === -Infinity ? -0 : 0.5 * x * erfc(-0.7071067811865476 * x);
}}

{ERF.strip()}
"""

LGAMMA: Final = """
function lgamma(x) {
    if (x === Infinity || x === -Infinity) return Infinity;
    if (x === 1 || x === 2) return 0;
    if (x <= 0) {
        if (x % 1 === 0) return Infinity;
        return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * (x % 1)))) - lgamma(1 - x);
    }
    let product = 1, y = x;
    while (y < 15) {
        product *= y;
        y += 1;
    }
    const z = 1 / (y * y);
    const series = 1 / 12 - z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680 - z * (1 / 1188))));
    return y * (Math.log(y) - 1) - 0.5 * Math.log(y) + 0.9189385332046728 + series / y
        - Math.log(product);
}
"""
"""Stirling's series from 15 on: Abramowitz & Stegun 6.1.41 and 6.1.17."""

DIGAMMA: Final = """
function digamma(x) {
    let found = 0;
    if (x <= 0) {
        if (x === 0) return Object.is(x, 0) ? -Infinity : Infinity;
        if (x === -Infinity || x % 1 === 0) return NaN;
        found = -Math.PI / Math.tan(Math.PI * (x % 1));
        x = 1 - x;
    } else if (Math.abs(x - 1.4616321449683622) < 0.02) {
        const d = x - 1.4616321449683622 - 9.549995429965698e-17;
        return [
            -0.033161126474847359, 0.048804288164143107, -0.07219956125645471,
            0.10782405069126237, -0.16394270544240653, 0.258499760955651,
            -0.4427631689835921, 0.9676722454476212,
        ].reduce((total, term) => total * d + term, 0) * d;
    }
    while (x < 10) {
        found -= 1 / x;
        x += 1;
    }
    const z = 1 / (x * x);
    const tail = z * (1 / 12 - z * (1 / 120 - z * (1 / 252 - z * (1 / 240 - z * (1 / 132
        - z * 0.0211)))));
    return found + Math.log(x) - 0.5 / x - tail;
}
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
    if (x < -800) return -0;
    const e = Math.exp(x), n = e * (e + 2);
    return x * n / (n + 2);
}
"""
