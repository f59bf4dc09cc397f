"""Functions that the oldest Python which runs exported modules does not have.

Their text is copied into the modules that need them, and used where the import fails.
"""

import math
from typing import Any, Final

OLDEST: Final = "3.8"
"""The oldest Python that exported modules run on."""


def cbrt(x: Any) -> Any:
    """The real cube root of x, for Python before 3.11: a power, and one step of Newton's.

    >>> cbrt(27.0), cbrt(-8.0), cbrt(-math.inf)
    (3.0, -2.0, -inf)
    """
    if x == 0.0 or not math.isfinite(x):
        return x
    root = math.copysign(math.pow(abs(x), 1.0 / 3.0), x)
    return root - (root - x / (root * root)) / 3.0


def exp2(x: Any) -> Any:
    """2 to the power x, for Python before 3.11; raises where that does.

    >>> exp2(10.0)
    1024.0
    """
    return math.pow(2.0, x)


def side_by_side(columns: Any) -> Any:
    """The columns' samples, as `zip` gives them that are checked to be equally many.

    >>> list(side_by_side([[1.0, 2.0], [3.0, 4.0]]))
    [(1.0, 3.0), (2.0, 4.0)]
    """
    columns = [list(column) for column in columns]
    counts = [len(column) for column in columns]
    if len(set(counts)) > 1:
        raise TypeError(f"the arguments have {counts} samples; expected as many in each")
    return zip(*columns, strict=True)


NEWER: Final = {function.__name__: function for function in (cbrt, exp2)}
"""By name, what to use where `math` does not have it."""
