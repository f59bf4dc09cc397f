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
    """log|Γ(x)|: divided by its zeros about them, else SciPy's, or Python's number by number."""
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
        far = np.where(size < 1e-300, -np.log(size), gammaln(x))  # where SciPy's is infinite
        far = np.where(np.isinf(far), np.inf, far)  # SciPy's is -inf at the largest below 0
        y = np.clip(x, 0.875, 2.5)
        found = np.polyval(
            (
                *(-0.04309464501772271, 0.03682073609981845, -0.02982449842090226),
                *(0.030503399279259772, -0.03750627472996889, 0.036287277955459545),
                *(-0.043814602261997994, 0.04232377288044374, -0.05319504827320413),
                *(0.05091582403781707, -0.0676948982710846, 0.06382811945997269),
                *(-0.09321052275357046, 0.08530564282065815, -0.15080363092780924),
                *(0.12832292192815084, -0.4378796877429185, 0.4831289505409809),
            ),
            (y - 1.5) / (y + 1.5),
        )
        found = np.where(np.equal(x, y), (y - 1.0) * (y - 2.0) * found, far)
    return np.asarray(found, np.asarray(x).dtype)[()]


def digamma_of_arrays(x):  # type: ignore[no-untyped-def]
    """The derivative of log Γ: divided by its zero, recurrence, reflection, asymptotic series."""
    with np.errstate(all="ignore"):
        below = np.less_equal(x, 0.0)
        part = np.fmod(x, 1.0)
        reflected = np.where(below, -np.pi / np.tan(np.pi * part), 0.0)
        w = np.where(below, 1.0 - x, x)
        z = 1.0 / (w * w)
        tail = np.polyval((-0.0211, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12, 0.0), z)
        far = np.log(w) - 0.5 / w - tail
        added = np.where(w < 1.0, -1.0 / w, 0.0)
        y = np.where(w < 1.0, w + 1.0, np.minimum(w, 10.0))
        for _ in range(8):
            late = y > 2.5
            y = y - late
            added = added + np.where(late, 1.0 / y, 0.0)
        found = np.polyval(
            (
                *(-0.7314369048024542, 1.056352943373226, -0.9625154669040252),
                *(0.9025078347978388, -0.9101233081750377, 0.9102661909648035),
                *(-0.9149113269612862, 0.9091852950690988, -0.9159314858250285),
                *(0.9075830916621495, -0.9182042025345016, 0.9043231263147221),
                *(-0.9236820278768948, 0.897052723968552, -0.9480504699669621),
                *(0.8940000943227161, -1.2708822638443806, 0.9510558760318328),
            ),
            (y - 1.5) / (y + 1.5),
        )
        found = added + (y - 1.4616321449683622 - 9.549995429965697e-17) * found
        found = reflected + np.where(w < 10.0, found, far)
        found = np.where(below & ((part == 0.0) | np.isinf(x)), np.nan, found)
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
