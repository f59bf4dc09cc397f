"""NumPy's functions that only move the elements of arrays, with NumPy's meaning.

What moves where is asked of NumPy itself: its function is run on the places of the elements. They
work on NumPy arrays, floats and expressions alike. An axis may be negative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from ..errors import OperandError, ShapeError, shorten
from .arrays import (
    BROADCAST,
    CONCATENATE,
    GATHER,
    SCATTER,
    STACK,
    TRANSPOSE,
    axes_within,
    checked_axes,
    reshape,
    sum_over,
    take,
)
from .indexing import Index
from .scalar import where
from .shapes import BATCH, mismatch, shape_of, shape_text, within_memory


def _move(name: str, sentence: str) -> Callable[..., Any]:
    """NumPy's function of that name, which takes an array and what is known."""

    def function(x: Any, *arguments: Any, **options: Any) -> Any:
        import numpy

        found = _asked(name, x, getattr(numpy, name), arguments, options)
        source = x if shape_of(x) else reshape(x, (1,))
        if isinstance(found, (list, tuple)):
            return [GATHER(source, Index(places)) for places in found]
        return GATHER(source, Index(found))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{sentence}\n\nIt takes what `numpy.{name}` takes."
    return function


def _asked(
    name: str, x: Any, function: Callable[..., Any], arguments: Sequence[Any], options: Any
) -> Any:
    """What a function of NumPy's makes of the places of an array's elements."""
    import numpy

    shape = shape_of(x)
    if BATCH in shape:
        raise mismatch(name, (shape,), "the samples stay the first axis; move what is within each")
    if any(hasattr(one, "apply_op") for one in (*arguments, *options.values())):
        raise OperandError(f"{name} of {shorten(x)}: where to has to be known, and not computed")
    places = numpy.arange(prod(shape)).reshape(shape)
    try:
        return function(places, *arguments, **options)
    except (ValueError, IndexError) as error:
        raise ShapeError(f"{name} of {shorten(x)} of shape {shape_text(shape)}: {error}") from None
    except TypeError as error:
        raise OperandError(f"{name} of {shorten(x)}: {error}") from None


flip = _move("flip", "The elements in reverse order along an axis or several, or along all.")
fliplr = _move("fliplr", "The columns in reverse order.")
flipud = _move("flipud", "The rows in reverse order.")
rot90 = _move("rot90", "Turned by 90 degrees in the plane of two axes, once or several times.")
moveaxis = _move("moveaxis", "Axes at other places, the others in their order.")
rollaxis = _move("rollaxis", "One axis moved back to a place.")
diagonal = _move("diagonal", "The elements at equal places of two axes, along the last axis.")
split = _move("split", "Parts of equal lengths along an axis, or parts that end where it is said.")
array_split = _move("array_split", "Parts along an axis, of lengths as equal as can be.")
hsplit = _move("hsplit", "The parts of `split` along the second axis.")
vsplit = _move("vsplit", "The parts of `split` along the first axis.")
dsplit = _move("dsplit", "The parts of `split` along the third axis.")
delete = _move("delete", "Without the elements at some places of an axis, or of all in a row.")
take_along_axis = _move("take_along_axis", "Elements by their places along an axis, for each line.")


def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """The axes in another order: in that of `axes`, or reversed.

    >>> import numpy as np
    >>> transpose(np.zeros((2, 3, 4))).shape, transpose(np.zeros((2, 3, 4)), (1, 0, 2)).shape
    ((4, 3, 2), (3, 2, 4))
    """
    shape = shape_of(x)
    order = tuple(range(len(shape)))[::-1] if axes is None else checked_axes("transpose", x, axes)
    if len(order) != len(shape):
        raise ShapeError(
            f"transpose: axes {shorten(axes)} for an array of shape {shape_text(shape)}; "
            f"name each of its {len(shape)} axes once"
        )
    if order == tuple(range(len(shape))):
        return x
    if order[:-2] == tuple(range(len(shape) - 2)):
        return TRANSPOSE(x)
    return _transposed(x, order)


_transposed = _move("transpose", "The axes in another order.")


def swapaxes(x: Any, first: int, second: int) -> Any:
    """Two axes exchanged.

    >>> import numpy as np
    >>> swapaxes(np.zeros((2, 3, 4)), 0, -1).shape
    (4, 3, 2)
    """
    a, b = (checked_axes("swapaxes", x, axis)[0] for axis in (first, second))
    order = list(range(len(shape_of(x))))
    order[a], order[b] = b, a
    return transpose(x, order)


def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """Moved on along axes, or of all elements row by row: what leaves at one end comes in again.

    >>> import numpy as np
    >>> roll(np.array([1.0, 2.0, 3.0]), 1)
    array([3., 1., 2.])
    """
    shape = shape_of(x)
    if axis is None:
        return reshape(roll(reshape(x, (-1,)), sum(_whole_numbers("roll", shift)), 0), shape)
    axes = axis if isinstance(axis, Sequence) else (axis,)
    shifts = _whole_numbers("roll", shift)
    for k in range(max(len(axes), len(shifts))):
        (one,) = checked_axes("roll", x, axes[k % len(axes)])
        start = -shifts[k % len(shifts)] % max(1, shape[one])
        ends = ((start, None), (0, start)) if start else ((0, None),)
        kept = [slice(None)] * one
        x = concatenate([take(x, (*kept, slice(*end))) for end in ends], one)
    return x


def tile(x: Any, reps: Any) -> Any:
    """The array written side by side, so many times along each of its last axes.

    >>> import numpy as np
    >>> tile(np.array([1.0, 2.0]), (2, 2))
    array([[1., 2., 1., 2.],
           [1., 2., 1., 2.]])
    """
    shape, counts = shape_of(x), _whole_numbers("tile", reps)
    rank = max(len(shape), len(counts))
    shape = (1,) * (rank - len(shape)) + shape
    counts = [1] * (rank - len(counts)) + counts
    wide = tuple([n for pair in zip(counts, shape, strict=True) for n in pair])
    inserted = tuple([n for length in shape for n in (1, length)])
    lengths = tuple([n * length for n, length in zip(counts, shape, strict=True)])
    within_memory(lengths, "tile")
    return reshape(BROADCAST(reshape(x, inserted), wide), lengths)


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element so many times in a row, along an axis or of all elements row by row.

    >>> import numpy as np
    >>> repeat(np.array([1.0, 2.0]), 2), repeat(np.array([1.0, 2.0]), [0, 3])
    (array([1., 1., 2., 2.]), array([2., 2., 2.]))
    """
    if axis is None or not shape_of(x):
        x, axis = reshape(x, (-1,)), axis or 0
    (one,) = checked_axes("repeat", x, axis)
    shape, counts = shape_of(x), _whole_numbers("repeat", repeats)
    if len(counts) not in (1, shape[one]) or min(counts, default=0) < 0:
        raise ShapeError(
            f"repeat: {shorten(repeats)} for axis {one} of shape {shape_text(shape)}; expected how "
            f"often, or {shape[one]} such numbers"
        )
    lengths = (*shape[:one], sum(counts) * (shape[one] // len(counts)), *shape[one + 1 :])
    within_memory(lengths, "repeat")
    if len(counts) == 1:
        before, after = shape[: one + 1], shape[one + 1 :]
        wide = BROADCAST(reshape(x, (*before, 1, *after)), (*before, *counts, *after))
        return reshape(wide, lengths)
    places = [place for place, count in enumerate(counts) for _ in range(count)]
    return take(x, (*[slice(None)] * one, places))


def _whole_numbers(name: str, numbers: Any) -> list[int]:
    return [int(n) for n in Index.of(numbers).array.ravel()]


def diag(x: Any, k: int = 0) -> Any:
    """A matrix with the elements of a vector on its diagonal, or the diagonal of a matrix.

    >>> import numpy as np
    >>> diag(np.array([1.0, 2.0])), diag(np.ones((2, 3)), 2)
    (array([[1., 0.],
           [0., 2.]]), array([1.]))
    """
    shape = shape_of(x)
    if len(shape) == 2:
        return diagonal(x, k)
    if len(shape) != 1:
        raise mismatch("diag", (shape,), "expected a vector or a matrix")
    length = shape[0] + abs(k)
    within_memory((length, length), "diag")
    return _placed("diag", x, "diag", (k,))


def diagflat(x: Any, k: int = 0) -> Any:
    """A matrix with all elements, row by row, on its diagonal."""
    return diag(reshape(x, (-1,)), k)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum along a diagonal of two axes.

    >>> import numpy as np
    >>> trace(np.ones((3, 3)))
    3.0
    """
    return sum_over(diagonal(x, offset, axis1, axis2), -1)


def tril(x: Any, k: int = 0) -> Any:
    """The elements on and below a diagonal of the last two axes, 0 above.

    >>> import numpy as np
    >>> tril(np.ones((2, 2)))
    array([[1., 0.],
           [1., 1.]])
    """
    import numpy

    rows, columns = _last_two("tril", x)
    return where(numpy.tri(rows, columns, k), x, 0.0)


def triu(x: Any, k: int = 0) -> Any:
    """The elements on and above a diagonal of the last two axes, 0 below.

    >>> import numpy as np
    >>> triu(np.ones((2, 2)))
    array([[1., 1.],
           [0., 1.]])
    """
    import numpy

    rows, columns = _last_two("triu", x)
    return where(numpy.tri(rows, columns, k - 1), 0.0, x)


def _last_two(name: str, x: Any) -> tuple[int, int]:
    """The lengths of the last two axes; a vector is each row of a square matrix."""
    shape = shape_of(x)[-2:]
    if not shape or BATCH in shape:
        raise mismatch(name, (shape_of(x),), "expected a matrix, or several")
    return shape[0], shape[-1]


_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def pad(x: Any, pad_width: Any, mode: str = "constant") -> Any:
    """With more elements before and after along each axis: 0, or some of the array's own.

    >>> import numpy as np
    >>> pad(np.array([1.0, 2.0]), (1, 2)), pad(np.array([1.0, 2.0]), 1, "edge")
    (array([0., 1., 2., 0., 0.]), array([1., 1., 2., 2.]))
    """
    import numpy

    if mode not in _MODES:
        raise OperandError(f"pad: the mode is {shorten(mode)}; expected one of {', '.join(_MODES)}")
    shape = shape_of(x)
    try:
        widths = numpy.broadcast_to(Index.of(pad_width).array, (len(shape), 2)).sum(1)
    except ValueError:
        raise ShapeError(
            f"pad: {shorten(pad_width)} for an array of shape {shape_text(shape)}; expected how "
            "many before and after along each axis"
        ) from None
    lengths = [n + int(more) for n, more in zip(shape, widths, strict=True)]
    within_memory(tuple(lengths), "pad")
    if not shape:
        return x
    if mode == "constant":
        return _placed("pad", x, "pad", (pad_width,))
    return _padded(x, pad_width, mode)


_padded = _move("pad", "With more of its own elements before and after along each axis.")


def _placed(name: str, x: Any, function: str, arguments: tuple[Any, ...]) -> Any:
    """Each element once at the place where NumPy puts it, and zeros."""
    import numpy

    def numbered(places: Any) -> Any:
        return getattr(numpy, function)(places + 1, *arguments)

    found = _asked(name, x, numbered, (), {})
    where_to = numpy.argsort(found.ravel(), kind="stable")[found.size - prod(shape_of(x)) :]
    return SCATTER(x, Index(where_to.reshape(shape_of(x))), tuple(found.shape))


def _several(arrays: Sequence[Any]) -> list[Any]:
    """Operands that were given one by one or as one list."""
    if len(arrays) == 1 and isinstance(arrays[0], (list, tuple)):
        return list(arrays[0])
    return list(arrays)


def stack(*operands: Any, axis: int = 0) -> Any:
    """Arrays of one shape along a new axis.

    >>> import numpy as np
    >>> stack(np.zeros(3), np.ones(3)).shape, stack([np.zeros(3), np.ones(3)], axis=1).shape
    ((2, 3), (3, 2))
    """
    given = _several(operands)
    if not given:
        raise OperandError("stack of no arrays; expected one or more")
    shapes = [shape_of(one) for one in given]
    if len(set(shapes)) > 1:
        raise mismatch("stack", tuple(dict.fromkeys(shapes)), "all must be the same")
    (place,) = axes_within("stack", (len(given), *shapes[0]), axis)
    return STACK(*given, place)


def concatenate(operands: Sequence[Any], axis: int | None = 0) -> Any:
    """Arrays one after another along an axis; all their elements in a row with None.

    >>> import numpy as np
    >>> concatenate([np.zeros((1, 2)), np.ones((2, 2))]).shape
    (3, 2)
    """
    given = list(operands)
    if axis is None:
        given, axis = [reshape(one, (-1,)) for one in given], 0
    if not given:
        raise OperandError("concatenate of no arrays; expected one or more")
    (place,) = checked_axes("concatenate", given[0], axis) or (0,)
    return given[0] if len(given) == 1 else CONCATENATE(*given, place)


def hstack(operands: Sequence[Any]) -> Any:
    """Arrays side by side: along the second axis, vectors one after another.

    >>> import numpy as np
    >>> hstack([np.zeros((2, 1)), np.ones((2, 2))]).shape
    (2, 3)
    """
    given = [one if shape_of(one) else reshape(one, (1,)) for one in operands]
    return concatenate(given, min(1, len(shape_of(given[0])) - 1) if given else 0)


def vstack(operands: Sequence[Any]) -> Any:
    """Arrays one below another: along the first axis, a vector being a row.

    >>> import numpy as np
    >>> vstack([np.zeros(3), np.ones((2, 3))]).shape
    (3, 3)
    """
    return concatenate([_as_rows(one) for one in operands])


def _as_rows(x: Any) -> Any:
    return x if len(shape_of(x)) > 1 else reshape(x, (1, -1))


def column_stack(operands: Sequence[Any]) -> Any:
    """Arrays side by side, a vector being a column.

    >>> import numpy as np
    >>> column_stack([np.zeros(3), np.ones((3, 2))]).shape
    (3, 3)
    """
    columns = [one if len(shape_of(one)) > 1 else reshape(one, (-1, 1)) for one in operands]
    return concatenate(columns, 1)


def dstack(operands: Sequence[Any]) -> Any:
    """Arrays behind each other: along the third axis, each vector being a row of one matrix.

    >>> import numpy as np
    >>> dstack([np.zeros((2, 3)), np.ones((2, 3))]).shape
    (2, 3, 2)
    """
    matrices = [_as_rows(one) for one in operands]
    deep = [x if len(shape_of(x)) > 2 else reshape(x, (*shape_of(x), 1)) for x in matrices]
    return concatenate(deep, 2)
