"""Shapes: what fits together, and how large it may be.

Broadcasting is NumPy's: shapes are aligned at their last axes, and an axis of length 1 stretches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from math import prod
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Final

from ..errors import OperandError, ShapeError, SizeError, WengertError, not_as_expected, shorten
from .data import read_data

if TYPE_CHECKING:
    import numpy

Shape = tuple[int, ...]

BATCH: Final = -1
"""The length of a leading axis that is known only when samples arrive."""

_ALIGNED: Final = "aligned at their last axes, lengths must be equal or 1"

MAX_BYTES: Final = 2**31
"""The largest array a node may stand for, in bytes of float64; a batch axis counts as 1."""


def is_array(thing: Any) -> bool:
    """Whether `thing` is a NumPy array (or scalar), found without importing NumPy."""
    return hasattr(type(thing), "__array_interface__")


def unboxed(thing: Any) -> Any:
    """The number that an array without axes holds; anything else as it is.

    >>> import numpy as np
    >>> unboxed(np.array(2.0)), unboxed(np.True_), unboxed(3)
    (2.0, True, 3)
    """
    if is_array(thing) and not thing.shape:
        number = thing.item()
        return thing if is_array(number) else number  # long complex numbers hold themselves
    return thing


def shape_of(thing: Any) -> Shape:
    """The shape of a number, an array or an expression; () for a scalar."""
    return tuple(getattr(thing, "shape", ()))


def shape_text(shape: Iterable[int]) -> str:
    """A shape for people.

    >>> shape_text((BATCH, 3)), shape_text((4,)), shape_text(())
    ('(batch, 3)', '(4,)', '()')
    """
    lengths = ["batch" if length == BATCH else str(length) for length in shape]
    return f"({', '.join(lengths)}{',' * (len(lengths) == 1)})"


def checked_shape(shape: Any, what: str, batched: bool = False) -> Shape:
    """`shape` as a tuple of whole numbers from 1, within `MAX_BYTES`; a lone number is one axis.

    With `batched` the first may be `BATCH`.

    >>> checked_shape(3, "x"), checked_shape([2, 3], "x")
    ((3,), (2, 3))
    >>> checked_shape((2, 0), "x")
    Traceback (most recent call last):
        ...
    wengert.errors.ShapeError: the shape of x is (2, 0); expected whole numbers, 1 or more
    """
    lengths = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    for axis, length in enumerate(lengths):
        whole = isinstance(length, Integral) and not isinstance(length, bool)
        if not whole or (length < 1 and not (batched and axis == 0 and length == BATCH)):
            raise ShapeError(
                f"the shape of {what} is {shorten(shape)}; expected whole numbers, 1 or more"
            )
    return within_memory(tuple(map(int, lengths)), what)


def within_memory(shape: Shape, what: str) -> Shape:
    """`shape`, or a `SizeError` when an array of it takes more than `MAX_BYTES`."""
    size = 8 * prod(shape)
    if abs(size) > MAX_BYTES:
        raise SizeError(
            f"{what} of shape {shape_text(shape)} takes {abs(size):,} bytes; the limit for one "
            f"array is {MAX_BYTES:,} bytes: split it, or work on fewer samples at a time"
        )
    return shape


def broadcast(name: str, shapes: Sequence[Shape]) -> Shape:
    """The shape of an operation that works element by element.

    >>> broadcast("add", [(4, 1), (3,)])
    (4, 3)
    >>> broadcast("add", [(4,), (3,)])
    Traceback (most recent call last):
        ...
    wengert.errors.ShapeError: add: shapes (4,) and (3,) do not fit: aligned at their last axes, \
lengths must be equal or 1
    """
    result: Shape = ()
    for shape in shapes:
        if shape == result or not shape:
            continue
        if not result:
            result = shape
            continue
        longer, shorter = (result, shape) if len(result) >= len(shape) else (shape, result)
        gap = len(longer) - len(shorter)
        merged = list(longer)
        for axis, length in enumerate(shorter, gap):
            if merged[axis] == 1:
                merged[axis] = length
            elif length not in (1, merged[axis]):
                raise mismatch(name, shapes, _ALIGNED)
        result = tuple(merged)
    return result


def is_row(thing: Any) -> bool:
    """Whether something has a length and an order, and is no text."""
    return (
        not isinstance(thing, (str, bytes, bytearray, Mapping, Set))
        and hasattr(thing, "__getitem__")
        and hasattr(thing, "__len__")
        and getattr(thing, "shape", None) != ()
    )


def nested(
    data: Any, what: str, expected: str, error: type[WengertError]
) -> tuple[Shape, Sequence[tuple[list[int], Any]]]:
    """The shape of nested rows, and their entries, each with its place.

    What is no row, and rows of different lengths, are an `error` that names the first of them.

    >>> nested([[1.0, 2.0]], "A", "numbers", ShapeError)
    ((1, 2), [([0, 0], 1.0), ([0, 1], 2.0)])
    >>> nested([[1.0, 2.0], [3.0]], "A", "numbers", ShapeError)
    Traceback (most recent call last):
        ...
    wengert.errors.ShapeError: A: entry [1] has length 1, but entry [0] has 2; expected numbers
    """
    if not is_row(data):
        raise error(not_as_expected(data, what, expected))
    level: Sequence[tuple[list[int], Any]] = [([], data)]
    shape: list[int] = []
    while any(is_row(item) for _, item in level):
        first, row = next((place, item) for place, item in level if is_row(item))
        for place, item in level:
            if not is_row(item):
                wanted = f"a row, as entry {first} is, of {expected}"
                raise error(not_as_expected(item, f"{what}, entry {place}", wanted))
            if len(item) != len(row):
                raise error(
                    f"{what}: entry {place} has length {len(item)}, but entry {first} has "
                    f"{len(row)}; expected {expected}"
                )
        shape.append(len(row))
        level = [([*place, i], item[i]) for place, item in level for i in range(len(row))]
    return tuple(shape), level


def mismatch(name: str, shapes: Sequence[Shape], expected: str) -> ShapeError:
    """The error of an operation whose operands have shapes that do not fit."""
    shown = " and ".join(map(shape_text, shapes))
    which = f"shapes {shown} do" if len(shapes) > 1 else f"shape {shown} does"
    return ShapeError(f"{name}: {which} not fit: {expected}")


def frozen_array(data: Any, what: str) -> numpy.ndarray[Any, Any]:
    """A read-only float64 copy of `data`; `OperandError` when it is not made of real numbers."""
    import numpy

    plain = read_data(data, what, OperandError)
    try:
        array = numpy.array(plain)
        if array.dtype.kind == "O" and all(isinstance(item, Real) for item in array.flat):
            array = array.astype(numpy.float64)  # whole numbers past 64 bits, fractions
    except (ValueError, OverflowError):
        array = numpy.array(None)
    if array.dtype.kind not in "biuf":
        expected = "an array of real numbers"
        for place, number in nested(plain, what, expected, OperandError)[1]:
            if not isinstance(number, Real):
                at = f"{what}, entry {place}"
                raise OperandError(not_as_expected(number, at, "a real number"))
        raise OperandError(not_as_expected(data, what, expected))
    array = array.astype(numpy.float64)
    checked_shape(array.shape, what)
    array.flags.writeable = False
    return array
