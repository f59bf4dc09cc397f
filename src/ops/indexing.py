"""Index maps: which elements of an array, as static arguments of operations and as subscripts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING, Any, Final

from ..errors import OperandError, ShapeError, shorten
from .shapes import BATCH, Shape, shape_text, within_memory

if TYPE_CHECKING:
    import numpy

SHOWN: Final = 8
"""How many positions of an irregular index map are written out."""


class Index:
    """Positions in an array read row by row: a read-only int64 array of any shape.

    Equal by content and hashable, so that it can be a static argument.

    >>> Index([3, 1]) == Index([3, 1]), Index([[0, 1]]).shape, Index([3, 1])
    (True, (1, 2), Index([3, 1]))
    """

    __slots__ = ("_hash", "array")
    array: numpy.ndarray[Any, Any]

    def __init__(self, positions: Any) -> None:
        import numpy

        try:
            array = numpy.asarray(positions)
        except ValueError:
            raise OperandError(
                f"the index {shorten(positions)} has rows of different lengths"
            ) from None
        if array.dtype.kind not in "iu" and array.size:
            raise OperandError(f"the index {shorten(positions)} does not hold whole numbers")
        within_memory(array.shape, "an index")
        self.array = array.astype(numpy.int64)
        self.array.flags.writeable = False
        self._hash = hash((self.array.shape, self.array.tobytes()))

    @classmethod
    def of(cls, positions: Any) -> Index:
        """`positions` itself if it is an `Index`, else one made of it."""
        return positions if isinstance(positions, cls) else cls(positions)

    @property
    def shape(self) -> Shape:
        """The shape of the array of positions, and of what they choose."""
        return tuple(self.array.shape)

    @property
    def positions(self) -> list[int]:
        """The positions, row by row."""
        return self.array.ravel().tolist()

    def fits(self, shape: Shape) -> bool:
        """Whether every position is inside an array of `shape`."""
        array = self.array
        return not array.size or (int(array.min()) >= 0 and int(array.max()) < prod(shape))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Index) or self._hash != other._hash:
            return False
        return self.shape == other.shape and bool((self.array == other.array).all())

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Index({self})"

    def __str__(self) -> str:
        """The positions as nested lists; past a few, what they choose from them."""
        if self.array.size <= SHOWN:
            return str(self.array.tolist())
        first = ", ".join(map(str, self.positions[: SHOWN // 2]))
        return f"[{first}, …: {'x'.join(map(str, self.shape))} positions]"


def positions_of(shape: Shape, key: Any) -> Index:
    """The positions that `key` chooses from an array of `shape`, as NumPy reads subscripts.

    >>> positions_of((2, 3), (slice(None), 1))
    Index([1, 4])
    """
    import numpy

    _check_count(shape, key)
    positions: Any = 0
    for axis, length in enumerate(shape):
        step = prod(shape[axis + 1 :])
        along = numpy.arange(0, length * step, step).reshape(-1, *[1] * (len(shape) - axis - 1))
        # A view that repeats `along`, so that few of many elements are chosen at the cost of few.
        positions = positions + numpy.broadcast_to(along, shape)[key]
    return Index(positions)


def _check_count(shape: Shape, key: Any) -> None:
    """A `SizeError` where lists of positions choose more elements than fit into memory."""
    import numpy

    parts = key if isinstance(key, tuple) else (key,)
    listed = [isinstance(part, (list, numpy.ndarray)) for part in parts]
    try:
        lists = [numpy.asarray(part) for part, one in zip(parts, listed, strict=True) if one]
        count = prod(numpy.broadcast_shapes(*[one.shape for one in lists]))
    except ValueError:
        return  # what is wrong is said where the elements are chosen
    if lists and not any(one.dtype == bool for one in lists):
        beside = tuple([0 if one else part for part, one in zip(parts, listed, strict=True)])
        count *= numpy.broadcast_to(0, shape)[beside].size
        within_memory((count,), "what an index chooses")


def subscript(index: Index, shape: Shape) -> tuple[int | slice, ...] | None:
    """The whole numbers and slices that choose what `index` chooses, or None if there are none.

    >>> subscript(Index([1, 4]), (2, 3)), subscript(Index([0, 5]), (2, 3))
    ((slice(None, None, None), 1), None)
    """
    import numpy

    if not index.array.size or not index.fits(shape):
        return None
    coordinates = numpy.unravel_index(index.array, shape)
    for axes in combinations(range(len(shape)), len(index.shape)):
        key = tuple(
            _along(coordinates[axis], axes.index(axis) if axis in axes else None, length)
            for axis, length in enumerate(shape)
        )
        if None not in key and positions_of(shape, key) == index:
            return key  # type: ignore[return-value]
    return None


def subscript_text(key: Sequence[int | slice]) -> str:
    """The inside of the brackets, trailing full slices left out.

    >>> subscript_text((slice(None), 2)), subscript_text((slice(1, 4), slice(None)))
    (':, 2', '1:4')
    """
    parts = list(key)
    while len(parts) > 1 and parts[-1] == slice(None):
        parts.pop()
    return ", ".join(str(part) if isinstance(part, int) else _slice_text(part) for part in parts)


def check_index(name: str, index: Index, shape: Shape) -> None:
    """A `ShapeError` unless `index` has positions, all of them inside an array of `shape`."""
    if BATCH in shape:
        raise ShapeError(
            f"{name}: positions in an array of shape {shape_text(shape)} are not known before its "
            "batch is; choose within each row, as in x[:, 1]"
        )
    if not index.array.size:
        raise ShapeError(
            f"{name}: no element of an array of shape {shape_text(shape)} is chosen; "
            "expected one position or more"
        )
    if not index.fits(shape):
        raise ShapeError(
            f"{name}: positions from {int(index.array.min())} to {int(index.array.max())} are not "
            f"all in an array of shape {shape_text(shape)}, which has 0 to {prod(shape) - 1}"
        )


def _along(places: Any, axis: int | None, length: int) -> int | slice | None:
    """The coordinates as a slice along an axis of theirs, or as the one number they all are."""
    if axis is None:
        return int(places.flat[0])
    first = (0,) * axis
    last = (0,) * (places.ndim - axis - 1)
    return _slice_of(places[(*first, slice(None), *last)].tolist(), length)


def _slice_of(places: list[int], length: int) -> slice | None:
    """The slice of an axis of `length` that gives these places."""
    if places == list(range(length)):
        return slice(None)
    step = places[1] - places[0] if len(places) > 1 else 1
    if step == 0 or places != list(range(places[0], places[0] + step * len(places), step)):
        return None
    stop: int | None = places[-1] + (1 if step > 0 else -1)
    return slice(
        places[0] if places[0] or step < 0 else None,
        None if stop in (length, -1) else stop,
        step if step != 1 else None,
    )


def _slice_text(part: slice) -> str:
    start, stop = ("" if bound is None else str(bound) for bound in (part.start, part.stop))
    return f"{start}:{stop}" + ("" if part.step is None else f":{part.step}")
