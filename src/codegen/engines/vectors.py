"""Parts of vectors: taken out of one that a caller brings, and put together to one that is asked.

Weights that stand neuron by neuron with their biases are columns of one matrix; that is how they
are said. What lies in no such order is picked by number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ...ops.shapes import BATCH, Shape
from .reading import counted
from .tensors import ALL, Builder, Tensor


@dataclass(frozen=True)
class Rows:
    """Places in a vector: `rows` runs of `width`, each `step` behind the one before."""

    first: int
    rows: int
    step: int
    width: int

    @classmethod
    def of(cls, places: Any, shape: Shape) -> Rows | None:
        """What the places of an array of this shape are, None where they are no such runs.

        >>> import numpy as np
        >>> Rows.of(np.array([0, 1, 4, 5]), (2, 2)), Rows.of(np.array([2, 6]), (2,))
        (Rows(first=0, rows=2, step=4, width=2), Rows(first=2, rows=2, step=4, width=1))
        """
        import numpy

        first, size = int(places[0]), len(places)
        if numpy.array_equal(places, numpy.arange(first, first + size)):
            return cls(first, 1, size, size)
        table = places.reshape(shape[0], -1)
        rows, width = table.shape
        step = int(table[1, 0]) - first if rows > 1 else 0
        wanted = first + step * numpy.arange(rows)[:, None] + numpy.arange(width)
        return cls(first, rows, step, width) if step >= width and (table == wanted).all() else None


@dataclass(frozen=True)
class Piece:
    """Elements of a vector: their places in it, and a tensor of them, samples in front."""

    places: Any
    tensor: Tensor
    batched: bool

    @property
    def shape(self) -> Shape:
        """The shape without the samples."""
        return self.tensor.shape[self.batched :]


def part(builder: Builder, vector: Tensor, places: Any, shape: Shape) -> Tensor:
    """The elements of a vector, or of each row, at places, in a shape."""
    batched = vector.shape[:1] == (BATCH,)
    front: Shape = (BATCH,) if batched else ()
    keep = [ALL] if batched else []
    if not shape:
        return builder.cut(vector, [*keep, int(places[0])])
    length = vector.shape[-1]
    found = Rows.of(places, shape)
    if found is None:
        index = places.reshape(shape)
        constant = builder.constant(index, "places", counted(index))
        return builder.picked(vector, int(batched), constant)
    if found.rows == 1:
        stop = found.first + found.width
        return builder.reshaped(
            builder.cut(vector, [*keep, slice(found.first, stop)]), (*front, *shape)
        )
    if found.width == 1 and len(shape) == 1:
        stop = found.first + found.step * (found.rows - 1) + 1
        return builder.cut(vector, [*keep, slice(found.first, stop, found.step)])
    start = min(found.first, length - found.rows * found.step)
    inside = found.first - start
    if start < 0 or inside + found.width > found.step:
        constant = builder.constant(places.reshape(shape), "places")
        return builder.picked(vector, int(batched), constant)
    span = builder.cut(vector, [*keep, slice(start, start + found.rows * found.step)])
    table = builder.reshaped(span, (*front, found.rows, found.step))
    table = builder.cut(table, [*keep, ALL, slice(inside, inside + found.width)])
    return builder.reshaped(table, (*front, *shape))


def whole(builder: Builder, size: int, pieces: Sequence[Piece], batched: bool) -> Tensor:
    """A vector of pieces, of a row for each sample where it is batched; 0 where there is none."""
    ordered = sorted(pieces, key=lambda piece: int(piece.places[0]))
    ordered = [_batched(builder, piece) if batched else piece for piece in ordered]
    blocks = _blocks(builder, ordered, size, batched)
    if blocks is not None:
        return builder.joined(blocks, int(batched))
    return _by_number(builder, ordered, size, batched)


def _batched(builder: Builder, piece: Piece) -> Piece:
    """The piece for each sample."""
    if piece.batched:
        return piece
    grown = builder.grown(piece.tensor, (BATCH, *piece.tensor.shape))
    return Piece(piece.places, grown, True)


def _flat(builder: Builder, piece: Piece) -> Tensor:
    front: Shape = (BATCH,) if piece.batched else ()
    return builder.reshaped(piece.tensor, (*front, prod(piece.shape)))


def _blocks(
    builder: Builder, pieces: Sequence[Piece], size: int, batched: bool
) -> list[Tensor] | None:
    """The pieces in order, those that lie side by side in rows as one matrix; None without such."""
    blocks: list[Tensor] = []
    place, k = 0, 0
    front: Shape = (BATCH,) if batched else ()
    while k < len(pieces):
        found = Rows.of(pieces[k].places, pieces[k].shape)
        if found is None or found.first != place:
            return None
        if found.rows == 1:
            blocks.append(_flat(builder, pieces[k]))
            place, k = place + found.width, k + 1
            continue
        columns: list[Tensor] = []
        wide = 0
        while wide < found.step and k < len(pieces):
            one = Rows.of(pieces[k].places, pieces[k].shape)
            if one is None or (one.first, one.rows, one.step) != (
                place + wide,
                found.rows,
                found.step,
            ):
                return None
            columns.append(builder.reshaped(pieces[k].tensor, (*front, found.rows, one.width)))
            wide, k = wide + one.width, k + 1
        if wide != found.step:
            return None
        joined = builder.joined(columns, len(front) + 1)
        blocks.append(builder.reshaped(joined, (*front, found.rows * found.step)))
        place += found.rows * found.step
    return blocks if place == size else None


def _by_number(builder: Builder, pieces: Sequence[Piece], size: int, batched: bool) -> Tensor:
    """The pieces one behind the other, then every element from where it stands."""
    import numpy

    flat = [_flat(builder, piece) for piece in pieces]
    places = numpy.concatenate([piece.places for piece in pieces])
    order = numpy.full(size, len(places))
    order[places] = numpy.arange(len(places))
    if (order == len(places)).any():
        zero: Shape = (BATCH, 1) if batched else (1,)
        flat.append(builder.grown(builder.number(0.0), zero))
    joined = builder.joined(flat, int(batched))
    if numpy.array_equal(order, numpy.arange(joined.shape[-1])):
        return joined
    return builder.picked(joined, int(batched), builder.constant(order, "order", counted(order)))
