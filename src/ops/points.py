"""The points of a grid one by one, and what indices and conditions are at them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import ShapeError
from .reads import Affine, Among, AtLeast, Axis, Condition, Equal, Index
from .shapes import BATCH, Shape

Columns = dict[str, Any]
"""The numbers of each axis at some points, a NumPy vector each."""


def points(axes: Sequence[Axis], domain: Iterable[Condition] = (), samples: int = 1) -> Columns:
    """The points of a grid where all conditions hold, in C order: a column of numbers per axis.

    >>> from wengert.ops.reads import Affine, AtLeast, Axis
    >>> below = AtLeast(Affine(0, (("p", 1), ("t", -1))))
    >>> {k: v.tolist() for k, v in points([Axis("p", 2), Axis("t", 2)], [below]).items()}
    {'': [0, 0, 0], 'p': [0, 1, 1], 't': [0, 0, 1]}

    The column "" is there even if there is no axis: a point without coordinates.
    """
    return extended({"": _zeros(1)}, axes, domain, samples)[0]


def extended(
    columns: Columns, axes: Sequence[Axis], domain: Iterable[Condition] = (), samples: int = 1
) -> tuple[Columns, Any]:
    """Each point with every number of further axes, where the conditions hold.

    Returns the columns and, for each new point, the number of the old one that it extends.
    """
    import numpy

    domain = tuple(domain)
    joined = _join(columns, axes, domain)
    if joined is not None:
        condition, left, right = joined
        columns, rows = _matching(columns, points(axes, (), samples), left, right)
        domain = tuple([other for other in domain if other is not condition])
        axes = ()
    else:
        rows = numpy.arange(len(columns[""]))
    for axis in axes:
        length = samples if axis.length == BATCH else axis.length
        rows = numpy.repeat(rows, length)
        columns = {name: numpy.repeat(column, length) for name, column in columns.items()}
        columns[axis.name] = numpy.tile(numpy.arange(length), len(rows) // length)
    for condition in domain:
        chosen = holds(condition, columns)
        rows = rows[chosen]
        columns = {name: column[chosen] for name, column in columns.items()}
    return columns, rows


def _join(
    columns: Columns, axes: Sequence[Axis], domain: Sequence[Condition]
) -> tuple[Condition, Index, Index] | None:
    """A condition that says which points of the new axes belong to each old point, if there is one.

    With it the index of the old axes and that of the new ones.
    """
    new = {axis.name for axis in axes}
    for condition in domain:
        if isinstance(condition, Equal):
            for old, own in (
                (condition.left, condition.right),
                (condition.right, condition.left),
            ):
                if own.axes and new.issuperset(own.axes) and new.isdisjoint(old.axes):
                    return condition, old, own
    return None


def _matching(columns: Columns, grid: Columns, old: Index, own: Index) -> tuple[Columns, Any]:
    """Each point with those of the grid where the index `own` is what `old` is at the point."""
    import numpy

    keys, wanted = numbers(own, grid), numbers(old, columns)
    order = numpy.argsort(keys, kind="stable")
    first = numpy.searchsorted(keys[order], wanted, "left")
    count = numpy.searchsorted(keys[order], wanted, "right") - first
    rows = numpy.repeat(numpy.arange(len(wanted)), count)
    within = numpy.arange(len(rows)) - numpy.repeat(numpy.cumsum(count) - count, count)
    chosen = order[first[rows] + within]
    found = {name: column[rows] for name, column in columns.items()}
    found.update({name: column[chosen] for name, column in grid.items() if name})
    return found, rows


def numbers(index: Index, columns: Columns) -> Any:
    """The number that an index is at each of some points."""
    import numpy

    if isinstance(index, Affine):
        result = numpy.full(len(columns[""]), index.offset)
        for axis, stride in index.terms:
            result = result + stride * columns[axis]
        return result
    if not index.axes:
        return numpy.full(len(columns[""]), index.values[0])
    keys = tuple([columns[axis] for axis in index.axes])
    return numpy.array(index.values).reshape(index.lengths)[keys]


def flat_places(indices: Sequence[Index], shape: Shape, columns: Columns) -> Any:
    """The place in an array, counted row by row, that indices name at each of some points."""
    import numpy

    found = numpy.zeros(len(columns[""]), int)
    for index, length in zip(indices, shape, strict=True):
        along = numbers(index, columns)
        if len(along) and not (along.min() >= 0 and along.max() < length):
            raise ShapeError(
                f"an index from {along.min()} to {along.max()} into an axis of length {length}"
            )
        found = found * length + along
    return found


def holds(condition: Condition, columns: Columns) -> Any:
    """Whether a condition holds at each of some points."""
    import numpy

    if isinstance(condition, AtLeast):
        return numbers(condition.expression, columns) >= 0
    if isinstance(condition, Among):
        wanted = set(condition.points)
        given = zip(*[columns[axis].tolist() for axis in condition.axes], strict=True)
        return numpy.array([point in wanted for point in given], bool)
    return numbers(condition.left, columns) == numbers(condition.right, columns)


def _zeros(count: int) -> Any:
    import numpy

    return numpy.zeros(count, int)
