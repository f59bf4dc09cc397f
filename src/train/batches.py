"""Training data in steps: as lists for scalar targets, as arrays for array targets."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from typing import Any, Final

from ..ops.shapes import is_array

_BLOCK: Final = 2**17
"""How many numbers of shuffled data are gathered at once, unless one step takes more."""


class Batches:
    """The data in steps of `size` samples, the last maybe smaller; shuffled given an `order`.

    Going through them is going through one epoch; the next is in another order. `sizes` are those
    of an epoch's steps; the length is the number of samples.
    """

    def __init__(self, count: int, size: int, order: random.Random | None) -> None:
        self.size = size
        self.sizes = [min(size, count - start) for start in range(0, count, size)]
        self._count = count
        self._order = order

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """The rows and targets of each step of the next epoch."""
        raise NotImplementedError

    def state(self) -> Any:
        """What the order of the next epochs depends on, for `restore`."""
        return self._order.getstate() if self._order is not None else None

    def restore(self, state: Any) -> None:
        """Let the next epochs be those that came when `state` was asked for."""
        if self._order is not None:
            self._order.setstate(state)

    def _keys(self) -> bytes | None:
        """A random number of 64 bits for each sample, by which a shuffled epoch is sorted."""
        return self._order.randbytes(8 * self._count) if self._order is not None else None


class ListBatches(Batches):
    """Batches as lists of rows."""

    def __init__(self, rows: Any, targets: list[Any], size: int, order: Any) -> None:
        super().__init__(len(rows), size, order)
        self._rows: list[list[float]] = rows.tolist() if is_array(rows) else rows
        self._targets = targets

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        if self.size == len(self):
            yield self._rows, self._targets
            return
        keys = self._keys()
        indices = list(range(len(self)))
        if keys is not None:
            indices.sort(key=struct.unpack(f"<{len(self)}Q", keys).__getitem__)
        for start in range(0, len(self), self.size):
            chosen = indices[start : start + self.size]
            yield [self._rows[i] for i in chosen], [self._targets[i] for i in chosen]


class ArrayBatches(Batches):
    """Batches as arrays, in the same order as `ListBatches`."""

    def __init__(self, rows: Any, targets: list[Any], size: int, order: Any) -> None:
        import numpy

        super().__init__(len(rows), size, order)
        self._rows = numpy.asarray(rows, numpy.float64)
        self._targets = numpy.asarray(targets, numpy.float64)
        width = max(1, size * self._rows.shape[1])
        self._block = size * max(1, _BLOCK // width)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        if self.size == len(self):
            yield self._rows, self._targets
            return
        import numpy

        indices = self._indices()
        if indices is None:
            indices = numpy.arange(len(self))
        for first in range(0, len(self), self._block):  # so many batches are gathered at once
            chosen = indices[first : first + self._block]
            rows, targets = self._rows.take(chosen, axis=0), self._targets.take(chosen, axis=0)
            for start in range(0, len(chosen), self.size):
                yield rows[start : start + self.size], targets[start : start + self.size]

    def _indices(self) -> Any:
        """The places of the next epoch's samples in their order; None for that of the data."""
        import numpy

        keys = self._keys()
        return None if keys is None else numpy.frombuffer(keys, "<u8").argsort(kind="stable")

    @property
    def data(self) -> tuple[Any, Any]:
        """All rows and all targets."""
        return self._rows, self._targets

    def orders(self, epochs: int) -> Any:
        """A row of places for each of the next epochs; None where none is shuffled."""
        import numpy

        if self._order is None or self.size == len(self):
            return None
        return numpy.array([self._indices() for _ in range(epochs)], numpy.int64)
