"""Zeros written where a window lies outside of an array: where they would lie in it, were it wider.

`0·w[0] + x[0]·w[1] + x[1]·w[2]` is a window at the edge of `x`. Where the elements are that windows
inside read is affine in the coordinates of the sum and of the weights; the same map says where a
zero is that a weight multiplies instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from .columns import Column, Key, affine
from .parts import Part
from .terms import NONE


def beyond(
    inside: Sequence[Column],
    at: Sequence[Column],
    outside: Sequence[Column],
    lengths: Sequence[int],
) -> list[Column] | None:
    """Where zeros lie, from where elements do; None unless that is affine and not in the array.

    inside   the coordinates of elements of the array, of those points that have one
    at       the other coordinates of these points
    outside  the same of the points that have a zero
    lengths  how long the axes of the array are

    >>> import numpy as np
    >>> i, a = np.array([0, 0, 1, 1, 1, 2, 2]), np.array([1, 2, 0, 1, 2, 0, 1])
    >>> beyond([i + a - 1], [i, a], [np.array([0, 2]), np.array([0, 2])], [3])
    [array([-1,  3])]
    """
    import numpy

    known = {column.tobytes(): Key(str(k), column, 0) for k, column in enumerate(at)}
    found = []
    for column in inside:
        index = affine(column, list(known.values()))
        if index is None:
            return None
        found.append(
            index.offset + sum(stride * outside[int(name)] for name, stride in index.terms)
        )
    found = [numpy.broadcast_to(column, outside[0].shape) for column in found]
    apart = [(c < 0) | (c >= n) for c, n in zip(found, lengths, strict=True)]
    return found if found and numpy.logical_or.reduce(apart).all() else None


def is_zero(part: Part) -> bool:
    """Whether it is 0 times something, a 0 that was written."""
    plain = part.numbers is not None and len(part.factors) == 1 and part.factors[0][0] != NONE
    return plain and not part.numbers.view("int64").any()  # type: ignore[union-attr]


def alike(zeros: Part, part: Part) -> bool:
    """Whether a part has products of what is multiplied by 0 in the other."""
    (factor,) = zeros.group.factors
    return (
        part.numbers is None
        and len(part.factors) == 2
        and zeros.sign == part.sign
        and (factor in part.group.factors and all(family != NONE for family, _ in part.factors))
    )
