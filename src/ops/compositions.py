"""NumPy's functions of arrays that are made of the records, with NumPy's meaning.

They work on NumPy arrays, floats and expressions alike, and have their derivatives from what they
are made of. An axis may be negative; where NumPy takes several, so do these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any, Final, NoReturn

from ..errors import OperandError, ShapeError, shorten
from . import arrays
from .arrays import (
    GATHER,
    MATMUL,
    Axes,
    checked_axes,
    mean_over,
    reduced_over,
    reshape,
    sum_over,
)
from .indexing import Index
from .moves import concatenate, swapaxes, transpose
from .scalar import equal, maximum, minimum, not_equal, sqrt
from .shapes import Shape, mismatch, shape_of, shape_text


def min_over(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The smallest element along an axis or several, or of all.

    >>> import numpy as np
    >>> min_over(np.array([[1.0, 2.0], [4.0, 3.0]]), axis=1)
    array([1., 3.])
    """
    return -reduced_over("min_over", arrays.MAX, -x, axis, keepdims)


def prod_over(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The product over an axis or several, or of all elements.

    It is made of products of halves, so that its derivative is right where elements are 0.

    >>> import numpy as np
    >>> prod_over(np.array([[1.0, 2.0], [4.0, 3.0]]), axis=0)
    array([4., 6.])
    """
    return reduced_over("prod_over", _product, x, axis, keepdims)


def _product(x: Any, axis: int | None) -> Any:
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    left = []
    while shape_of(x)[axis] > 1:
        length = shape_of(x)[axis]
        half = length // 2
        if length % 2:
            left.append(_slice(x, axis, length - 1, length))
        x = _slice(x, axis, 0, half) * _slice(x, axis, half, 2 * half)
    for one in left:
        x = x * one
    return arrays.take(x, (*[slice(None)] * axis, 0))


def _slice(x: Any, axis: int, start: int, stop: int) -> Any:
    return arrays.take(x, (*[slice(None)] * axis, slice(start, stop)))


def var(x: Any, axis: Axes = None, keepdims: bool = False, ddof: float = 0) -> Any:
    """The mean of the squared distances from the mean, over an axis or several, or of all.

    ddof   how much less than the number of elements the sum of squares is divided by

    >>> import numpy as np
    >>> var(np.array([1.0, 3.0])), var(np.array([1.0, 3.0]), ddof=1)
    (1.0, 2.0)
    """
    axes = checked_axes("var", x, axis)
    distance = x - mean_over(x, axes, keepdims=True)
    squares = sum_over(distance * distance, axes, keepdims)
    return squares / (prod(shape_of(x)[one] for one in axes) - ddof)


def std(x: Any, axis: Axes = None, keepdims: bool = False, ddof: float = 0) -> Any:
    """The square root of `var`.

    >>> import numpy as np
    >>> std(np.array([1.0, 3.0]))
    1.0
    """
    return sqrt(var(x, axis, keepdims, ddof))


def any_over(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """1.0 where an element along an axis or several, or any at all, is not 0; else 0.0.

    >>> import numpy as np
    >>> any_over(np.array([[0.0, 2.0], [0.0, 0.0]]), axis=1)
    array([1., 0.])
    """
    return reduced_over("any_over", arrays.MAX, not_equal(x, 0.0), axis, keepdims)


def all_over(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """1.0 where no element along an axis or several, or none at all, is 0; else 0.0.

    >>> import numpy as np
    >>> all_over(np.array([[1.0, 2.0], [0.0, 1.0]]), axis=1)
    array([1., 0.])
    """
    return 1.0 - reduced_over("all_over", arrays.MAX, equal(x, 0.0), axis, keepdims)


def cumsum(x: Any, axis: int | None = None) -> Any:
    """The sums so far along an axis, or of the elements row by row.

    Found by doubling: after k rounds each is the sum of up to 2ᵏ elements.

    >>> import numpy as np
    >>> cumsum(np.array([1.0, 2.0, 4.0]))
    array([1., 3., 7.])
    """
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    (axis,) = checked_axes("cumsum", x, axis)
    length, step = shape_of(x)[axis], 1
    while step < length:
        sums = _slice(x, axis, step, length) + _slice(x, axis, 0, length - step)
        x = concatenate([_slice(x, axis, 0, step), sums], axis)
        step *= 2
    return x


def ravel(x: Any) -> Any:
    """All elements row by row, on one axis.

    >>> import numpy as np
    >>> ravel(np.ones((2, 2))).shape
    (4,)
    """
    return reshape(x, (-1,))


def squeeze(x: Any, axis: Axes = None) -> Any:
    """Without the axes of length 1, or without those named, which have to be.

    >>> import numpy as np
    >>> squeeze(np.ones((1, 2, 1))).shape, squeeze(np.ones((1, 2, 1)), 0).shape
    ((2,), (2, 1))
    """
    shape = shape_of(x)
    axes = checked_axes("squeeze", x, axis)
    if axis is None:
        axes = tuple([one for one in axes if shape[one] == 1])
    long = [one for one in axes if shape[one] != 1]
    if long:
        raise mismatch("squeeze", (shape,), f"axis {long[0]} is not of length 1")
    return reshape(x, tuple([n for k, n in enumerate(shape) if k not in axes])) if axes else x


def expand_dims(x: Any, axis: int | Sequence[int]) -> Any:
    """With new axes of length 1 at places of the result.

    >>> import numpy as np
    >>> expand_dims(np.ones(3), -1).shape, expand_dims(np.ones(3), (0, 2)).shape
    ((3, 1), (1, 3, 1))
    """
    shape = shape_of(x)
    count = len(shape) + (len(tuple(axis)) if isinstance(axis, Iterable) else 1)
    places = set(checked_axes("expand_dims", _Ranked((1,) * count), axis))
    rest = iter(shape)
    return reshape(x, tuple([1 if k in places else next(rest) for k in range(count)]))


class _Ranked:
    """Something that has a shape and nothing else."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape


def _taken(x: Any, places: Any, axis: int) -> Any:
    return arrays.take(x, (*[slice(None)] * axis, places))


def take(x: Any, places: Any, axis: int | None = None, mode: str = "raise") -> Any:
    """Elements by their places along an axis; of all elements row by row without one.

    mode   what places outside are: errors ("raise"), counted round ("wrap") or the ends ("clip")

    >>> import numpy as np
    >>> take(np.array([[1.0, 2.0], [3.0, 4.0]]), [1, 0, 1], axis=1)
    array([[2., 1., 2.],
           [4., 3., 4.]])
    """
    if axis is None:
        x, axis = ravel(x), 0
    (one,) = checked_axes("take", x, axis)
    return _taken(x, _places(places, shape_of(x)[one], mode), one)


def _places(places: Any, length: int, mode: str) -> Any:
    """Places along an axis of a length, those outside as a mode says; truth values are 0 and 1."""
    import numpy

    if mode not in ("raise", "wrap", "clip"):
        raise OperandError(f"take: the mode is {shorten(mode)}; expected raise, wrap or clip")
    try:
        truth = numpy.asarray(places).dtype == bool
    except ValueError:
        truth = False
    if truth:
        places = numpy.asarray(places, int)
    if mode == "raise":
        return places
    whole = Index(places).array
    return whole % length if mode == "wrap" else whole.clip(0, length - 1)


def dot(a: Any, b: Any) -> Any:
    """NumPy's product: each row of `a` with each column of each matrix of `b`.

    >>> import numpy as np
    >>> dot(np.ones((2, 3)), np.ones((4, 3, 5))).shape, dot(np.ones(2), 3.0)
    ((2, 4, 5), array([3., 3.]))
    """
    first, second = shape_of(a), shape_of(b)
    if not first or not second:
        return a * b
    if len(first) == 1 or len(second) < 3:
        return MATMUL(a, b)
    if first[-1] != second[-2]:
        raise mismatch("dot", (first, second), "a row must be as long as a column")
    letters = iter(_LETTERS)
    inner, column, *rows = [next(letters) for _ in range(len(first) + 1)]
    outer = [next(letters) for _ in second[2:]]
    left, right = "".join(rows), "".join(outer)
    return einsum(f"{left}{inner},{right}{inner}{column}->{left}{right}{column}", a, b)


def inner(a: Any, b: Any) -> Any:
    """NumPy's product over the last axes of both.

    >>> import numpy as np
    >>> inner(np.ones((2, 3)), np.ones((4, 3))).shape
    (2, 4)
    """
    return dot(a, b if len(shape_of(b)) < 2 else swapaxes(b, -1, -2))


def vdot(a: Any, b: Any) -> Any:
    """The sum of the products of all elements, row by row.

    >>> import numpy as np
    >>> vdot(np.ones((2, 3)), np.ones((2, 3)))
    6.0
    """
    return dot(ravel(a), ravel(b))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """The sum of products over some axes of both: the last and the first so many, or those named.

    >>> import numpy as np
    >>> tensordot(np.ones((2, 3, 4)), np.ones((3, 4, 5))).shape
    (2, 5)
    >>> tensordot(np.ones((2, 3)), np.ones((3, 2)), axes=([0, 1], [1, 0]))
    6.0
    """
    ranks = len(shape_of(a)), len(shape_of(b))
    if isinstance(axes, int):
        axes = [*range(ranks[0] - axes, ranks[0])], [*range(axes)]
    first, second = (checked_axes("tensordot", x, axes[k]) for k, x in enumerate((a, b)))
    lengths = [[shape_of(x)[k] for k in own] for x, own in ((a, first), (b, second))]
    if lengths[0] != lengths[1]:
        both = shape_of(a), shape_of(b)
        raise mismatch("tensordot", both, f"axes {shorten(axes)} must be as many and as long")
    left, right = _LETTERS[: ranks[0]], list(_LETTERS[ranks[0] : sum(ranks)])
    for one, other in zip(first, second, strict=True):
        right[other] = left[one]
    kept = [letter for letter in (*left, *right) if (letter in left) != (letter in right)]
    return einsum(f"{left},{''.join(right)}->{''.join(kept)}", a, b)


def diff(x: Any, n: int = 1, axis: int = -1) -> Any:
    """Each element less the one before it along an axis, so many times over.

    >>> import numpy as np
    >>> diff(np.array([1.0, 2.0, 4.0]))
    array([1., 2.])
    """
    (one,) = checked_axes("diff", x, axis)
    for _ in range(n):
        length = shape_of(x)[one]
        x = _slice(x, one, 1, length) - _slice(x, one, 0, length - 1)
    return x


def clip(x: Any, low: Any = None, high: Any = None) -> Any:
    """Not below the one number or array and not above the other; None for no bound.

    >>> import numpy as np
    >>> clip(np.array([-2.0, 0.5, 2.0]), -1.0, 1.0)
    array([-1. ,  0.5,  1. ])
    """
    x = x if low is None else maximum(x, low)
    return x if high is None else minimum(x, high)


_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def einsum(subscripts: str, *operands: Any) -> Any:
    """Einstein's sum, as NumPy writes it: products of elements, summed over letters that are lost.

    Without `->` the letters of the result are those that occur once, in order; `...` stands for
    axes that are kept. An axis of length 1 stretches to what its letter is elsewhere.

    >>> import numpy as np
    >>> einsum("ij,jk->ik", np.ones((2, 3)), np.ones((3, 2)))
    array([[3., 3.],
           [3., 3.]])
    """
    inputs, result = _subscripts(subscripts, [shape_of(one) for one in operands])
    shapes = tuple([shape_of(one) for one in operands])
    lengths: dict[str, int] = {}
    for letters, shape in zip(inputs, shapes, strict=True):
        own: dict[str, int] = {}
        for letter, length in zip(letters, shape, strict=True):
            known = lengths.setdefault(letter, length)
            if length != own.setdefault(letter, length) or (
                length != known and 1 not in (length, known)
            ):
                which = letter if letter in subscripts else "an axis of ..."
                raise mismatch(f"einsum {subscripts!r}", shapes, f"{which} has two lengths")
            lengths[letter] = length if known == 1 else known
    wide = [
        [k for k, one in enumerate(s) if one == 1 and lengths[letters[k]] != 1]
        for letters, s in zip(inputs, shapes, strict=True)
    ]
    operands = tuple([squeeze(x, one) if one else x for x, one in zip(operands, wide, strict=True)])
    inputs = [
        "".join(letter for k, letter in enumerate(letters) if k not in one)
        for letters, one in zip(inputs, wide, strict=True)
    ]
    left = [_diagonal(one, letters) for one, letters in zip(operands, inputs, strict=True)]
    while len(left) > 1:
        (a, first), (b, second), *rest = left
        later = set(result).union(*[letters for _, letters in rest])
        left = [_contracted(a, first, b, second, later, lengths), *rest]
    ((x, letters),) = left
    lost = [k for k, letter in enumerate(letters) if letter not in result]
    x = sum_over(x, lost) if lost else x
    letters = "".join(letter for letter in letters if letter in result)
    return transpose(x, [letters.index(letter) for letter in result]) if letters else x


def _subscripts(text: str, shapes: Sequence[Shape]) -> tuple[list[str], str]:
    """The letters of each operand and of the result."""
    bare = text.replace(" ", "")
    before, arrow, after = bare.partition("->")
    inputs = before.split(",")
    count = max(
        (len(s) - len(t.replace("...", "")) for t, s in zip(inputs, shapes, strict=False)),
        default=0,
    )
    free = [letter for letter in _LETTERS if letter not in bare][::-1][: max(0, count)][::-1]
    found = []
    for part, shape in zip(inputs, shapes, strict=False):
        own = len(shape) - len(part.replace("...", ""))
        found.append(part.replace("...", "".join(free[len(free) - own :]) if own > 0 else ""))
    if not arrow:
        letters = "".join(found)
        once = sorted(letter for letter in set(letters) if letters.count(letter) == 1)
        kept = "".join(free) if "..." in before else ""
        after = kept + "".join(letter for letter in once if letter not in free)
    result = after.replace("...", "".join(free))
    wrong = (
        len(inputs) != len(shapes)
        or any(len(t) != len(s) for t, s in zip(found, shapes, strict=True))
        or not "".join((*found, result, "a")).isalpha()
        or len(set(result)) < len(result)
        or not set(result) <= set("".join(found))
        or (arrow and free and "..." not in after)
    )
    if wrong:
        shown = " and ".join(map(shape_text, shapes))
        raise ShapeError(
            f"einsum: {shorten(text)} does not fit operands of shapes {shown}; expected a letter "
            "for each axis of each operand, and after -> each letter of the result once"
        )
    return found, result


def _diagonal(x: Any, letters: str) -> tuple[Any, str]:
    """The elements at equal places of axes that have one letter."""
    once = "".join(dict.fromkeys(letters))
    if once == letters:
        return x, letters
    import numpy

    lengths = dict(zip(letters, shape_of(x), strict=True))
    grid = numpy.indices([lengths[letter] for letter in once])
    places = numpy.ravel_multi_index([grid[once.index(one)] for one in letters], shape_of(x))
    return GATHER(x, Index(places)), once


def _contracted(
    a: Any, first: str, b: Any, second: str, later: set[str], lengths: dict[str, int]
) -> tuple[Any, str]:
    """Two operands as one, summed over the letters that nothing needs later."""
    a, first = _summed_alone(a, first, second, later)
    b, second = _summed_alone(b, second, first, later)
    if not first or not second:
        return a * b, first + second
    inner = [letter for letter in first if letter in second and letter not in later]
    stacked = [letter for letter in first if letter in second and letter in later]
    rows = [letter for letter in first if letter not in second]
    columns = [letter for letter in second if letter not in first]

    def size(letters: Sequence[str]) -> int:
        return prod(lengths[letter] for letter in letters)

    left = transpose(a, [first.index(letter) for letter in (*stacked, *rows, *inner)])
    right = transpose(b, [second.index(letter) for letter in (*stacked, *inner, *columns)])
    outside = tuple([lengths[letter] for letter in stacked])
    product = MATMUL(
        reshape(left, (*outside, size(rows), size(inner))),
        reshape(right, (*outside, size(inner), size(columns))),
    )
    letters = "".join((*stacked, *rows, *columns))
    return reshape(product, tuple([lengths[letter] for letter in letters])), letters


def _summed_alone(x: Any, letters: str, other: str, later: set[str]) -> tuple[Any, str]:
    alone = [k for k, one in enumerate(letters) if one not in other and one not in later]
    kept = "".join(one for k, one in enumerate(letters) if k not in alone)
    return (sum_over(x, alone) if alone else x), kept


def refused(name: str) -> Callable[..., NoReturn]:
    """A function that says that there is none of that name, and what to write instead."""

    def function(*_: Any, **__: Any) -> NoReturn:
        raise OperandError(
            f"{name} answers a place, which depends on the numbers and has no derivative; "
            f"{name[3:]} gives the element itself, and where(x >= x.max(), …, …) chooses by it"
        )

    function.__name__ = name
    function.__doc__ = f"There is no {name}: an `OperandError` says what to write instead."
    return function


argmax, argmin = refused("argmax"), refused("argmin")
