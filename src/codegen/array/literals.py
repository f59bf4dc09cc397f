"""Arrays as literals, in NumPy's notation."""

from __future__ import annotations

from typing import Any


def array_literal(array: Any, dtype: str) -> str:
    """An array as an expression; runs and repetitions are written as such.

    >>> import numpy as np
    >>> array_literal(np.arange(3.0), "float64"), array_literal(np.ones(2), "float32")
    ('np.arange(3.0)', 'np.full(2, 1.0, dtype=np.float32)')
    """
    import numpy

    flat = array.ravel()
    kind = "" if dtype in ("float64", "int64") else f", dtype=np.{dtype}"
    size = array.shape[0] if array.ndim == 1 else array.shape
    signs = numpy.signbit(flat)  # 0.0 and -0.0 are two numbers
    if array.size > 2 and numpy.array_equal(flat, numpy.arange(array.size)) and not signs[0]:
        stop = f"{array.size}" if dtype == "int64" else f"{float(array.size)!r}"
        shaped = "" if array.ndim == 1 else f".reshape({', '.join(map(str, array.shape))})"
        return f"np.arange({stop}{kind}){shaped}"
    if array.size > 1 and ((flat == flat[0]) & (signs == signs[0])).all():
        return f"np.full({size}, {_number(flat[0])}{kind})"
    return f"np.array({_number(array.tolist())}{kind})"


def mask_literal(mask: Any) -> str:
    """Truth values as an expression: written out, or where they are true, or false.

    >>> import numpy as np
    >>> mask_literal(np.array([True, False])), mask_literal(np.arange(30).reshape(5, 6) % 8 == 3)
    ('np.array([True, False])', 'np.isin(np.arange(30).reshape(5, 6), [3, 11, 19, 27])')
    """
    import numpy

    shaped = "" if mask.ndim == 1 else f".reshape({', '.join(map(str, mask.shape))})"
    texts = [f"np.array({mask.tolist()})"]
    for wanted, invert in ((mask, ""), (~mask, ", invert=True")):
        places = numpy.flatnonzero(wanted.ravel()).tolist()
        texts.append(f"np.isin(np.arange({mask.size}){shaped}, {places}{invert})")
    return min(texts, key=len)


def _number(number: Any) -> str:
    """A number, or nested lists of them."""
    code = repr(number.item() if hasattr(number, "item") else number)
    return code.replace("inf", "np.inf").replace("nan", "np.nan")
