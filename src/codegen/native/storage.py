"""Where the elements of arrays are in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from ...ops.reads import Affine, Index
from ...ops.shapes import BATCH, Shape


class Samples(NamedTuple):
    """How the numbers of a sample are found: each in a lane of a block of samples, or in a row.

    stride  from a block to the next, or from a row to the next
    """

    in_lanes: bool
    stride: int


@dataclass(frozen=True)
class Storage:
    """The places of an array's elements: base[offset + Σ strides·index].

    base     what the places are counted in: "group", "rows", "out", "stack", "fixed", "each" or
             "constant"
    number   which argument, result or constant; in "each", how many numbers of a sample are before
    offset   of the first element
    strides  for each axis but that of the samples
    samples  where every sample has elements of its own
    places   where strides do not tell: the place of each element of a sample in C order
    padded   whether whole vectors may be read and written at the end of the last axis
    """

    base: str
    shape: Shape
    strides: tuple[int, ...]
    number: int = 0
    offset: int = 0
    samples: Samples | None = None
    places: tuple[int, ...] = ()
    padded: bool = False

    @property
    def size(self) -> int:
        """How many elements there are, of a sample where each has its own."""
        return prod(self.shape)


def in_order(shape: Sequence[int], order: Sequence[int], last: int) -> tuple[int, ...]:
    """The strides of an array whose axes lie in this order, the last of them so long.

    >>> in_order((2, 3, 4), (0, 2, 1), 8)
    (32, 1, 8)
    """
    strides = [0] * len(shape)
    step = 1
    for place, axis in enumerate(reversed(order)):
        strides[axis] = step
        step *= last if place == 0 else shape[axis]
    return tuple(strides)


def plain(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of an array in C order.

    >>> plain((2, 3, 4))
    (12, 4, 1)
    """
    return in_order(shape, range(len(shape)), shape[-1] if shape else 1)


def inner(shape: Shape) -> Shape:
    """A shape without the axis of samples."""
    return tuple([length for length in shape if length != BATCH])


def stride_along(indices: Sequence[Index], shape: Shape, storage: Storage, axis: str) -> int | None:
    """How far apart the elements are that are read along an axis; None where a table says it."""
    if storage.places:
        named = {name for index in indices for name in index.axes}
        return None if axis in named else 0
    found = 0
    strides = iter(storage.strides)
    for index, length in zip(indices, shape, strict=True):
        if length == BATCH:
            if axis in index.axes:
                assert storage.samples is not None
                found += 1 if storage.samples.in_lanes else storage.samples.stride
            continue
        stride = next(strides)
        if isinstance(index, Affine):
            found += stride * sum(step for name, step in index.terms if name == axis)
        elif axis in index.axes:
            return None
    return found


def table_stride(index: Index, axis: str) -> int:
    """How far apart a table's numbers are along an axis; 0 for what is no table."""
    if isinstance(index, Affine) or axis not in index.axes:
        return 0
    place = index.axes.index(axis)
    return prod(index.lengths[place + 1 :])


def in_bounds(indices: Sequence[Index], shape: Shape, lengths: dict[str, int]) -> bool:
    """Whether indices are inside at every point of the axes, conditions or not."""
    for index, length in zip(indices, shape, strict=True):
        if length == BATCH:
            continue
        if not isinstance(index, Affine):
            return False
        ends = [step * (lengths[name] - 1) for name, step in index.terms]
        low = index.offset + sum(min(0, end) for end in ends)
        high = index.offset + sum(max(0, end) for end in ends)
        if low < 0 or high >= length:
            return False
    return True
