"""The points of a grid one by one, and what indices and conditions are at them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import ShapeError
from .reads import Affine, Among, AtLeast, Axis, Condition, Equal, Index, Unequal
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

    rest, rows = list(domain), numpy.arange(len(columns[""]))
    left = [Axis(name, samples if length == BATCH else length) for name, length in axes]
    lists = [one for one in rest if isinstance(one, Among) and not columns.keys() >= {*one.axes}]
    for listed in lists:
        columns, inner = _listed(columns, left, listed)
        rows, rest = rows[inner], [one for one in rest if one is not listed]
        left = [axis for axis in left if axis.name not in columns]
    joined = _join(columns, left, rest)
    if joined is not None:
        condition, outer, own = joined
        columns, inner = _matching(columns, points(left), outer, own)
        rows, rest = rows[inner], [one for one in rest if one is not condition]
        left = []
    for axis in left:
        known = {*columns, axis.name}
        bounds = [b for b in rest if isinstance(b, AtLeast) and axis.name in b.axes]
        bounds = [bound for bound in bounds if known.issuperset(bound.axes)]
        columns, inner = _between(columns, axis, bounds)
        rows, rest = rows[inner], [one for one in rest if one not in bounds]
    for condition in rest:
        chosen = holds(condition, columns)
        rows = rows[chosen]
        columns = {name: column[chosen] for name, column in columns.items()}
    if lists:
        order = numpy.lexsort((*[columns[axis.name] for axis in reversed(axes)], rows))
        columns, rows = {name: column[order] for name, column in columns.items()}, rows[order]
    return columns, rows


def _between(columns: Columns, axis: Axis, bounds: Sequence[AtLeast]) -> tuple[Columns, Any]:
    """Each point with every number of an axis that conditions leave, and where it is from."""
    import numpy

    count, length = len(columns[""]), axis.length
    if not bounds:
        found = {name: numpy.repeat(column, length) for name, column in columns.items()}
        found[axis.name] = numpy.tile(numpy.arange(length), count)
        return found, numpy.repeat(numpy.arange(count), length)
    first, end = _zeros(count), numpy.full(count, length)
    for bound in bounds:
        others = [term for term in bound.expression.terms if term[0] != axis.name]
        stride = dict(bound.expression.terms)[axis.name]
        free = numbers(Affine(bound.expression.offset, tuple(others)), columns)
        if stride > 0:
            first = numpy.maximum(first, -(free // stride))
        else:
            end = numpy.minimum(end, free // -stride + 1)
    many = numpy.maximum(end - first, 0)
    rows = numpy.repeat(numpy.arange(count), many)
    found = {name: column[rows] for name, column in columns.items()}
    found[axis.name] = numpy.arange(len(rows)) + (first + many - numpy.cumsum(many))[rows]
    return found, rows


def _listed(columns: Columns, axes: Iterable[Axis], listed: Among) -> tuple[Columns, Any]:
    """Each point with what a list says of further axes, and where it is from."""
    import numpy

    lengths = {axis.name: axis.length for axis in axes}
    lengths.update({name: int(c.max(initial=-1)) + 1 for name, c in columns.items()})
    wide = [lengths[name] for name in listed.axes]
    inside = [
        p for p in sorted({*listed.points}) if all(0 <= k < n for k, n in zip(p, wide, strict=True))
    ]
    table = numpy.array(inside, int).reshape(len(inside), len(wide))
    old = [(place, name) for place, name in enumerate(listed.axes) if name in columns]
    keys, wanted = _zeros(len(table)), _zeros(len(columns[""]))
    for place, name in old:
        keys = keys * lengths[name] + table[:, place]
        wanted = wanted * lengths[name] + columns[name]
    rows, chosen = _paired(keys, wanted)
    found = {name: column[rows] for name, column in columns.items()}
    found.update({n: table[chosen, k] for k, n in enumerate(listed.axes) if n not in columns})
    return found, rows


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
    rows, chosen = _paired(numbers(own, grid), numbers(old, columns))
    found = {name: column[rows] for name, column in columns.items()}
    found.update({name: column[chosen] for name, column in grid.items() if name})
    return found, rows


def _paired(keys: Any, wanted: Any) -> tuple[Any, Any]:
    """For each number wanted the places of all keys that it is: the first's place, the other's."""
    import numpy

    order = numpy.argsort(keys, kind="stable")
    first = numpy.searchsorted(keys[order], wanted, "left")
    count = numpy.searchsorted(keys[order], wanted, "right") - first
    rows = numpy.repeat(numpy.arange(len(wanted)), count)
    within = numpy.arange(len(rows)) - numpy.repeat(numpy.cumsum(count) - count, count)
    return rows, order[first[rows] + within]


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
    if isinstance(condition, Unequal):
        return numbers(condition.expression, columns) != 0
    if isinstance(condition, Among):
        wanted = set(condition.points)
        given = zip(*[columns[axis].tolist() for axis in condition.axes], strict=True)
        return numpy.array([point in wanted for point in given], bool)
    return numbers(condition.left, columns) == numbers(condition.right, columns)


def _zeros(count: int) -> Any:
    import numpy

    return numpy.zeros(count, int)
