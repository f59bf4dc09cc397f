"""Which elements have been written, of arrays that are read before all of them are.

So are the states of a chain: `h[3, i]` is computed from `h[2, j]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from ..ops.points import Columns, flat_places, points
from ..ops.reads import Affine, Assignment, Read
from ..ops.shapes import Shape


class Written:
    """What has been written of arrays of some shapes.

    >>> from wengert.ops.reads import Affine, Apply, Axis, along
    >>> from wengert.ops.scalar import EXP
    >>> def row(k, of):
    ...     read = Read("h", (Affine(of), along("i")))
    ...     return Assignment("h", (Axis("i", 3),), Apply(EXP, (read,)), (Affine(k), along("i")))
    >>> written = Written({"h": (3, 3)})
    >>> written.add(row(1, 0))
    >>> print(written.lost(row(2, 1)), written.lost(row(2, 0)))
    None h
    """

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes = {name: tuple(map(abs, shape)) for name, shape in shapes.items()}
        self._rows: set[tuple[str, int]] = set()
        self._masks: dict[str, Any] = {}

    def add(self, statement: Assignment) -> None:
        """Note what a statement writes."""
        shape = self._shapes.get(statement.array)
        if shape is None:
            return
        import numpy

        row, *rest = statement.target or (None,)
        axes = [index.axis if isinstance(index, Affine) else None for index in rest]
        lengths = tuple([abs(axis.length) for axis in statement.axes])
        whole = axes == [axis.name for axis in statement.axes] and lengths == shape[1:]
        if isinstance(row, Affine) and not row.terms and whole and not statement.domain:
            self._rows.add((statement.array, row.offset))
        mask = self._masks.setdefault(statement.array, numpy.zeros(prod(shape), bool))
        columns = points(statement.axes, statement.domain)
        mask[flat_places(statement.target, shape, columns)] = True

    def lost(self, statement: Assignment) -> str | None:
        """The array of which a statement reads an element that is not written, if there is one."""
        unknown = [read for read in statement.reads if self._unknown(read)]
        for read, columns in _reads(statement) if unknown else ():
            if read in unknown:
                mask = self._masks.get(read.array)
                places = flat_places(read.index, self._shapes[read.array], columns)
                if mask is None or not mask[places].all():
                    return read.array
        return None

    def _unknown(self, read: Read) -> bool:
        """Whether it has to be looked up whether what is read is written: it is no whole row."""
        row = read.index[0] if read.index else None
        known = isinstance(row, Affine) and not row.terms and (read.array, row.offset) in self._rows
        return read.array in self._shapes and not known


def _reads(statement: Assignment) -> Iterator[tuple[Read, Columns]]:
    """What a statement reads, or writes, each with the points at which it does."""
    for scope in statement.scopes:
        columns = points(scope.axes, (*statement.domain, *scope.domain))
        yield from [(read, columns) for read in scope.reads]
