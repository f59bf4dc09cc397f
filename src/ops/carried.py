"""Functions that generated NumPy modules carry, copied as text.

They use NumPy, which those modules import, SciPy where that is better and installed, and nothing
else, and answer the type of their argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def sigmoid(x):  # type: ignore[no-untyped-def]
    """1 / (1 + exp(-x)), without overflow and exact in both tails."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def erf_of_arrays(x):  # type: ignore[no-untyped-def]
    """The error function: SciPy's where it is installed, else Python's, number by number."""
    try:
        from scipy.special import erf
    except ImportError:
        import math

        erf = np.vectorize(math.erf, otypes=[np.float64])
    return np.asarray(erf(x), np.asarray(x).dtype)[()]


def erfc_of_arrays(x):  # type: ignore[no-untyped-def]
    """1 - erf(x): SciPy's where it is installed, else Python's, number by number."""
    try:
        from scipy.special import erfc
    except ImportError:
        import math

        erfc = np.vectorize(math.erfc, otypes=[np.float64])
    return np.asarray(erfc(x), np.asarray(x).dtype)[()]


def gelu_exact_of_arrays(x):  # type: ignore[no-untyped-def]
    """x times the normal distribution function, by SciPy's erfc or Python's."""
    try:
        from scipy.special import erfc
    except ImportError:
        import math

        erfc = np.vectorize(math.erfc, otypes=[np.float64])
    share = np.asarray(erfc(-0.7071067811865476 * x), np.asarray(x).dtype)
    lowest = np.maximum(x, -1e30)
    return 0.5 * lowest * share


def log_gamma_of_arrays(x):  # type: ignore[no-untyped-def]
    """log|Γ(x)|: SciPy's where it is installed, else Python's, number by number."""
    try:
        from scipy.special import gammaln
    except ImportError:
        import math

        def one(number):  # type: ignore[no-untyped-def]
            try:
                return math.lgamma(number)
            except (OverflowError, ValueError):
                return math.inf

        gammaln = np.vectorize(one, otypes=[np.float64])
    size = np.abs(x)
    with np.errstate(all="ignore"):
        near = np.where(size < 1e-300, -np.log(size), gammaln(x))  # where SciPy's is infinite
    near = np.where(np.isinf(near), np.inf, near)  # SciPy's is -inf at the largest numbers below 0
    return np.asarray(near, np.asarray(x).dtype)[()]


def digamma_of_arrays(x):  # type: ignore[no-untyped-def]
    """The derivative of log Γ: reflection, recurrence, asymptotic series, Taylor at its zero."""
    with np.errstate(all="ignore"):
        below = np.less_equal(x, 0.0)
        d = x - 1.4616321449683622 - 9.549995429965698e-17
        taylor = np.polyval(
            (
                *(-0.033161126474847359, 0.048804288164143107, -0.07219956125645471),
                *(0.10782405069126237, -0.16394270544240653, 0.258499760955651),
                *(-0.4427631689835921, 0.9676722454476212, 0.0),
            ),
            d,
        )
        found = np.where(below, -np.pi / np.tan(np.pi * np.fmod(x, 1.0)), 0.0)
        y = np.where(below, 1.0 - x, x)
        for _ in range(10):
            small = y < 10.0
            found = found - np.where(small, 1.0 / y, 0.0)
            y = y + small
        z = 1.0 / (y * y)
        tail = np.polyval((-0.0211, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12, 0.0), z)
        found = found + np.log(y) - 0.5 / y - tail
        found = np.where(np.abs(d) < 0.02, taylor, found)
        pole = below & ((np.fmod(x, 1.0) == 0.0) | np.isinf(x))
        found = np.where(pole, np.nan, found)
        found = np.where(np.equal(x, 0.0), np.copysign(np.inf, -x), found)
        return np.asarray(found, np.asarray(x).dtype)[()]


def polygamma_of_arrays(x, order):  # type: ignore[no-untyped-def]
    """The derivative of digamma of a whole order from 1 to 100, for x above 0; nan elsewhere."""
    x = np.asarray(x)
    if order not in range(1, 101):
        return np.full_like(x, np.nan)[()]
    n = int(order)
    with np.errstate(all="ignore"):
        y = np.where(x > 0.0, x, np.nan)
        found = np.zeros_like(y)
        factor = float(np.prod(np.arange(1.0, n + 1.0)))
        for _ in range(20 + 2 * n):
            small = y < 20.0 + 2 * n
            found = found + np.where(small, factor * (1.0 / y) ** (n + 1), 0.0)
            y = y + small
        part = factor / n * (1.0 / y) ** n
        found = found + part + part * n / (2.0 * y)
        for k, number in enumerate(
            (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -5.284190138687493e-10), 1
        ):
            part = part * ((n + 2 * k - 2) / y) * ((n + 2 * k - 1) / y)
            found = found + number * part
    return (found if n % 2 else -found)[()]


def elu_of_arrays(x, alpha):  # type: ignore[no-untyped-def]
    """x above 0, alpha·(exp(x) - 1) below."""
    return np.where(x <= 0.0, alpha * np.expm1(np.minimum(x, 0.0)), x)


MISH_OF_TENSORS = """
def mish(x):
    n = torch.exp(torch.clip(x, max=20.0))
    n = n * (n + 2.0)
    far = torch.where(x < -800.0, -0.0, torch.clip(x, min=-800.0) * (n / (n + 2.0)))
    return torch.where(x > 20.0, x, far)
"""


def mish_of_arrays(x):  # type: ignore[no-untyped-def]
    """x·tanh(softplus(x)), without overflow."""
    e = np.exp(np.minimum(x, 20.0))
    n = e * (e + 2.0)
    return np.where(
        x > 20.0, x, np.where(x < -800.0, -0.0, np.maximum(x, -800.0) * (n / (n + 2.0)))
    )
