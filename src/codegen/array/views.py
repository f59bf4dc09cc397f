"""Parts of vectors as views, and arrays as literals, in NumPy's notation."""

from __future__ import annotations

from math import prod
from typing import Any

from ...ops.indexing import Index, subscript, subscript_text


def strided_view(vector: str, index: Index, length: int) -> str | None:
    """The elements of a vector at `index` as a view of it, or None where there is none.

    >>> strided_view("p", Index([[0, 1], [3, 4]]), 6), strided_view("p", Index([2, 5]), 6)
    ('p.reshape(2, 3)[:, :2]', 'p[2::3]')
    """
    shape = index.shape
    if len(shape) < 2:
        key = subscript(index, (length,))
        return None if key is None else f"{vector}[{subscript_text(key)}]"
    table = index.array.reshape(shape[0], -1)
    first = int(table[0, 0])
    width = table.shape[1]
    if (table[0] != range(first, first + width)).any():
        return None
    step = int(table[1, 0]) - first if shape[0] > 1 else width
    if step < width or (table != table[0] + step * _column(shape[0])).any():
        return None
    start = first if first + shape[0] * step <= length else first + width - step
    if start < 0:
        return None
    view = f"{_span(vector, start, start + shape[0] * step, length)}.reshape({shape[0]}, {step})"
    if step == width:
        return (
            view
            if len(shape) == 2
            else f"{_span(vector, first, first + prod(shape), length)}"
            + (f".reshape({', '.join(map(str, shape))})")
        )
    columns = slice(
        first - start or None, None if first - start + width == step else first - start + width
    )
    view += f"[{subscript_text((slice(None), columns))}]"
    return view if len(shape) == 2 else f"{view}.reshape({', '.join(map(str, shape))})"


def _column(count: int) -> Any:
    import numpy

    return numpy.arange(count)[:, None]


def _span(vector: str, start: int, stop: int, length: int) -> str:
    if (start, stop) == (0, length):
        return vector
    return f"{vector}[{start or ''}:{stop if stop < length else ''}]"


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


def _number(number: Any) -> str:
    """A number, or nested lists of them."""
    code = repr(number.item() if hasattr(number, "item") else number)
    return code.replace("inf", "np.inf").replace("nan", "np.nan")
