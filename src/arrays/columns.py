"""Columns of coordinates: which of them tell points apart, and how one follows from others.

A column holds a whole number for each of some points, as a NumPy vector. Axes are columns that
together tell all points apart; every other column is an affine map of them or a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Final, NamedTuple

from ..ops.reads import Affine, Index, Table

Column = Any
"""A NumPy vector: a number for each of some points."""

_SAMPLE: Final = 256
"""How many points an affine map is first tried on."""

EMPTY: Final = -1
"""What a table of whole numbers holds in cells without a point."""

MOST_CELLS: Final = 2**24
"""How many cells a table may have, however many points there are."""

_SPARE: Final = 8
"""How many times more cells than points a table of the cells may have."""


class Key(NamedTuple):
    """A column that serves as an axis: its name, its numbers from 0, how many there are."""

    name: str
    column: Column
    length: int


def normal(column: Column) -> tuple[Column, bool]:
    """A column counted from 0 in its smallest step, and whether no number is left out.

    >>> import numpy as np
    >>> [normal(np.array(c))[0].tolist() for c in ([5, 7, 9], [3, 3, 4])]
    [[0, 1, 2], [0, 0, 1]]
    """
    import numpy

    low = column.min()
    moved = column - low if low else column
    high = int(moved.max())
    if high <= 1:
        return moved, True
    there = numpy.bincount(moved, minlength=1) if high < _SPARE * len(moved) + 64 else None
    if there is not None and there.all():
        return moved, True
    step = int(numpy.gcd.reduce(moved))
    if step > 1:
        moved = moved // step
        high //= step
    return moved, bool(len(numpy.unique(moved)) == high + 1)


def codes(columns: Sequence[Column], count: int) -> tuple[Column, int]:
    """One number per point, equal where all columns are, and a bound on these numbers."""
    import numpy

    if not columns:
        return numpy.zeros(count, numpy.int64), 1
    total, size = columns[0], int(columns[0].max()) + 1
    for column in columns[1:]:
        length = int(column.max()) + 1
        total = total * length + column
        size *= length
    return total, size


def distinct(columns: Sequence[Column], count: int) -> bool:
    """Whether columns of numbers from 0 tell all points apart."""
    import numpy

    if count <= 1:
        return True
    total, size = codes(columns, count)
    if size < count:
        return False
    if size <= _SPARE * count + 64:
        return int(numpy.bincount(total, minlength=1).max()) == 1
    return len(numpy.unique(total)) == count


def affine(column: Column, keys: Sequence[Key]) -> Affine | None:
    """The column as an affine map of axes, or None.

    >>> import numpy as np
    >>> i, a = Key("i", np.array([0, 0, 1, 1]), 2), Key("a", np.array([0, 1, 0, 1]), 2)
    >>> affine(np.array([3, 4, 5, 6]), [i, a])
    Affine(offset=3, terms=(('i', 2), ('a', 1)))
    """
    import numpy

    if len(column) == 0:
        return Affine()
    first = int(column[0])
    if (column == first).all():
        return Affine(first)
    for key in keys:
        moved = column - key.column
        if (moved == moved[0]).all():
            return Affine(int(moved[0]), ((key.name, 1),))
    for key in keys:
        start = int(key.column[0])
        other = int(numpy.argmax(key.column != start))
        step = int(key.column[other]) - start
        rise = int(column[other]) - first
        if step == 0 or rise == 0 or rise % step:
            continue
        stride = rise // step
        moved = column - stride * key.column
        if (moved == moved[0]).all():
            return Affine(int(moved[0]), ((key.name, stride),))
    if len(keys) < 2:
        return None
    return _fitted(column, keys)


def _fitted(column: Column, keys: Sequence[Key]) -> Affine | None:
    import numpy

    count = len(column)
    chosen = slice(None) if count <= _SAMPLE else numpy.linspace(0, count - 1, _SAMPLE).astype(int)
    matrix = numpy.stack([key.column[chosen] for key in keys], 1).astype(float)
    target = column[chosen].astype(float)
    matrix = matrix - matrix[0]
    solution = numpy.linalg.lstsq(matrix, target - target[0], rcond=None)[0]
    strides = numpy.rint(solution).astype(int)
    moved = column - sum(
        int(stride) * key.column for stride, key in zip(strides, keys, strict=True) if stride
    )
    if not (moved == moved[0]).all():
        return None
    terms = [(key.name, int(s)) for key, s in zip(keys, strides, strict=True) if s]
    return Affine(int(moved[0]), tuple(terms))


def determined(column: Column, keys: Sequence[Key], sparse: bool = False) -> Column | None:
    """The column as a table over axes, `EMPTY` in cells without a point; None where it is none.

    sparse  whether a table may have many more cells than there are points
    """
    import numpy

    size = prod(key.length for key in keys)
    if size > (MOST_CELLS if sparse else 64 * len(column) + 4096):
        return None
    total = numpy.zeros(len(column), numpy.int64)
    for key in keys:
        total = total * key.length + key.column
    fill = EMPTY if column.dtype.kind == "i" else numpy.nan
    table = numpy.full(size, fill, column.dtype)
    table[total] = column
    same = table[total] == column
    return table if same.all() else None


def fewest(
    column: Column, keys: Sequence[Key], sparse: bool = False
) -> tuple[list[Key], Column] | None:
    """The fewest axes that a column is a table over, and the table; None where there is none."""
    kept = list(keys)
    table = determined(column, kept, sparse)
    if table is None:
        return None
    for key in sorted(keys, key=lambda key: -key.length):
        rest = [other for other in kept if other is not key]
        smaller = determined(column, rest, sparse)
        if smaller is not None:
            kept, table = rest, smaller
    return kept, table


def any_table(column: Column, keys: Sequence[Key]) -> tuple[list[Key], Column] | None:
    """The table over the fewest axes, one with few points where there is no other."""
    return fewest(column, keys) or fewest(column, keys, sparse=True)


def index_of(column: Column, keys: Sequence[Key]) -> Index | None:
    """A column as an index into an axis: affine if it can be, else a table without a name."""
    found = affine(column, keys)
    if found is not None:
        return found
    chosen = any_table(column, keys)
    if chosen is None:
        return None
    kept, table = chosen
    names, lengths = tuple(key.name for key in kept), tuple(key.length for key in kept)
    return Table("", names, lengths, tuple(table.tolist()))


def block(index: Table) -> tuple[str, int] | None:
    """An axis of a table and the width of blocks that make it affine, once others are so too.

    `h[c]` with c = 0, …, 7 and h = 0, 0, 0, 0, 1, 1, 1, 1 has blocks of 4, and so has c mod 4.

    >>> block(Table("", ("c",), (8,), (0, 0, 0, 0, 1, 1, 1, 1)))
    ('c', 4)
    >>> block(Table("", ("i", "c"), (2, 4), (0, 0, 1, 1, 5, 5, 6, 6)))
    ('c', 2)
    """
    import numpy

    table = numpy.array(index.values).reshape(index.lengths)
    widths = []
    for k, length in enumerate(index.lengths):
        rows = table.swapaxes(k, -1).reshape(-1, length)
        widths.append(_width(rows[0]) if (rows - rows[:, :1] == rows[0] - rows[0, 0]).all() else 0)
    found = [(axis, w) for axis, w in zip(index.axes, widths, strict=True) if w > 1]
    return found[0] if found and all(widths) else None


def _width(values: Column) -> int:
    """The width of the smallest blocks in which numbers are affine, or in blocks in turn.

    1 for numbers that are affine as they are, 0 for others.
    """
    import numpy

    length = len(values)
    for width in range(1, length):
        if length % width:
            continue
        rows = values.reshape(-1, width)
        alike = (rows - rows[:, :1] == rows[0] - rows[0, 0]).all()
        if alike and len(numpy.unique(numpy.diff(rows[:, 0]))) == 1 and _width(rows[0]):
            return width
    return int(length == 1)


def period(table: Column, axis: int) -> int | None:
    """After how many places a table repeats itself along an axis, if it does so evenly.

    >>> import numpy as np
    >>> period(np.array([[0, 1, 0, 1], [2, 3, 2, 3]]), 1)
    2
    """
    moved = table.swapaxes(0, axis)
    length = len(moved)
    for width in range(2, length // 2 + 1):
        rows = moved.reshape(-1, width, *moved.shape[1:]) if length % width == 0 else None
        if rows is not None and (rows == rows[0]).all():
            return width
    return None


def looped(column: Column) -> bool:
    """Whether its numbers turn up one after another, as the variable of a loop does."""
    import numpy

    steps = numpy.diff(numpy.unique(column, return_index=True)[1])
    return bool((steps > 0).all() or (steps < 0).all())


def counted(numbers: Column) -> list[Column]:
    """Numbers as a column if they are 0, 1, 2, … in the order in which they turn up, else nothing.

    >>> import numpy as np
    >>> [len(counted(np.array(c))) for c in ([0.0, 1.0, 0.0, 2.0], [0.5, 1.0], [1.0, 0.0])]
    [1, 0, 0]
    """
    import numpy

    found, first = numpy.unique(numbers, return_index=True)
    places = (found == numpy.arange(len(found))).all() and (numpy.diff(first) > 0).all()
    return [numbers.astype(numpy.int64)] if places else []


def choose(
    candidates: Sequence[Column],
    count: int,
    loops: Sequence[bool],
    places: Sequence[Column] = (),
    outer: Sequence[Key] = (),
) -> tuple[list[Column], bool]:
    """Which of some columns of numbers from 0 to take as axes; whether they tell all points apart.

    A column that is an affine map of the others, or of outer axes, goes first, then one that is not
    needed; what is no loop goes before what is.

    count   how many points there are
    loops   of each column whether it is a loop
    places  numbers of points: only those that have the same have to be told apart
    """
    own = {c.tobytes(): Key(str(i), c, int(c.max()) + 1) for i, c in enumerate(candidates)}
    kept = [key for key in own.values() if key.length > 1]

    order = sorted(kept, key=lambda key: (loops[int(key.name)], -key.length, -int(key.name)))
    for key in order:
        rest = [other for other in kept if other is not key]
        if affine(key.column, [*outer, *rest]) is not None:
            kept = rest
    apart = distinct([*places, *[key.column for key in kept]], count)
    for key in order if apart else ():
        rest = [other for other in kept if other is not key]
        if distinct([*places, *[other.column for other in rest]], count):
            kept = rest
    return [key.column for key in kept], apart


def rank_among(total: Column) -> Column:
    """For each point, how many points before it have the same number.

    >>> import numpy as np
    >>> rank_among(np.array([7, 3, 7, 7])).tolist()
    [0, 0, 1, 2]
    """
    import numpy

    order = numpy.argsort(total, kind="stable")
    ordered = total[order]
    new = numpy.concatenate([[True], ordered[1:] != ordered[:-1]])
    starts = numpy.flatnonzero(new)
    result = numpy.empty(len(total), numpy.int64)
    result[order] = numpy.arange(len(total)) - numpy.repeat(
        starts, numpy.diff(numpy.append(starts, len(total)))
    )
    return result
