"""Conditions that say which points of a grid there are: `t ≤ p`, `token[p] = v`, a list."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import combinations
from math import prod
from typing import Any, Final

from ..ops.points import holds
from ..ops.reads import Affine, Among, AtLeast, Condition, Equal, Index, Table, Unequal, along
from .classes import Classes
from .columns import Column, Key, codes, fewest

_LARGEST: Final = 4_000_000
"""The most cells of a grid on which conditions are tried out."""

TableValues = tuple[tuple[int, ...], tuple[int, ...]]
"""What a table holds: the lengths of its axes, and its values."""


def conditions(
    keys: Sequence[Key],
    indices: Iterable[Index] = (),
    within: Sequence[Condition] = (),
    known: Collection[TableValues] = (),
) -> tuple[Condition, ...]:
    """Conditions under which a grid, where `within` holds, has exactly the points of `keys`.

    indices  affine maps that are likely to have bounds, such as those of windows
    known    tables that are read elsewhere: one of them says more than bounds that happen to hold
    """
    import numpy

    if not keys:
        return ()
    count = len(keys[0].column)
    lengths = [key.length for key in keys]
    size = prod(lengths)
    if size == count:
        return ()
    groups = _independent(keys)
    if len(groups) > 1:
        found: list[Condition] = []
        for group in groups:
            own = {key.name for key in group}
            found += conditions(
                group,
                [index for index in indices if own.issuperset(index.axes)],
                [condition for condition in within if own.issuperset(condition.axes)],
                known,
            )
        return tuple(found)
    if size > _LARGEST:
        return (_listed(keys),)
    names = [key.name for key in keys]
    there = numpy.zeros(size, bool)
    total = numpy.zeros(count, numpy.int64)
    for key in keys:
        total = total * key.length + key.column
    there[total] = True
    grid = {name: axis.ravel() for name, axis in zip(names, numpy.indices(lengths), strict=True)}
    grid[""] = numpy.zeros(size, int)
    outside = numpy.ones(size, bool)
    for condition in within:
        outside &= holds(condition, grid)
    outside &= ~there
    if not outside.any():
        return ()
    points = {name: column[outside] for name, column in grid.items()}
    for table, name in _told(keys) if known else ():
        equal = Equal(table, along(name))
        if (table.lengths, table.values) in known and not holds(equal, points).any():
            return (equal,)
    tried = [(condition, ~holds(condition, points)) for condition in _bounds(keys, indices)]
    kept = _enough(tried, int(outside.sum()))
    if kept is not None:
        return tuple(kept)
    tried += [(condition, ~holds(condition, points)) for condition in _tables(keys)]
    kept = _enough(tried, int(outside.sum()))
    if kept is None:
        tried += [(condition, ~holds(condition, points)) for condition in _gaps(keys)]
        kept = _enough(tried, int(outside.sum()))
    return (_listed(keys),) if kept is None else tuple(kept)


def is_list(condition: Condition) -> bool:
    """Whether a condition is that points are among those listed."""
    return isinstance(condition, Among)


def _independent(keys: Sequence[Key]) -> list[list[Key]]:
    """Groups of axes such that the points are all combinations of the points of each group.

    Each group's columns have every one of its points once.
    """
    import numpy

    def different(column: Column, length: int) -> int:
        there = numpy.zeros(length, bool)
        there[column] = True
        return int(there.sum())

    count, same = len(keys[0].column), Classes[str]()
    alone = {key.name: different(key.column, key.length) for key in keys}
    for a, b in combinations(keys, 2):
        if same.of(a.name) != same.of(b.name):
            pairs = different(a.column * b.length + b.column, a.length * b.length)
            if pairs < alone[a.name] * alone[b.name]:
                same.join(a.name, b.name)
    found, total = [], 1
    for group in dict.fromkeys([same.of(key.name) for key in keys]):
        members = [key for key in keys if same.of(key.name) == group]
        columns = [key.column for key in members]
        first = numpy.unique(codes(columns, count)[0], return_index=True)[1]
        total *= len(first)
        found.append([Key(key.name, key.column[first], key.length) for key in members])
    return found if total == count else [list(keys)]


def _enough(found: Sequence[tuple[Condition, Any]], count: int) -> list[Condition] | None:
    """Some of the conditions that together rule out all `count` points; None if they do not.

    Those that rule out the most are kept, and of as many the first.
    """
    import numpy

    ruled = sorted(found, key=lambda pair: -int(pair[1].sum()))
    times = sum([out for _, out in ruled], numpy.zeros(count, int))
    if not times.all():
        return None
    kept: list[Condition] = []
    for condition, out in reversed(ruled):
        if (times[out] > 1).all():
            times -= out
        else:
            kept.insert(0, condition)
    return kept


def _bounds(keys: Sequence[Key], indices: Iterable[Index]) -> Iterable[Condition]:
    """Bounds of single axes, of differences and sums of two, and of given affine maps."""
    by_name = {key.name: key for key in keys}
    maps: list[tuple[tuple[str, int], ...]] = [((key.name, 1),) for key in keys]
    for a, b in combinations(keys, 2):
        maps.append(((a.name, 1), (b.name, -1)))
    for index in indices:
        if isinstance(index, Affine) and len(index.terms) > 1:
            maps.append(index.terms)
    for a, b in combinations(keys, 2):
        maps.append(((a.name, 1), (b.name, 1)))
    for terms in dict.fromkeys(maps):
        values = sum(stride * by_name[name].column for name, stride in terms)
        low, high = int(values.min()), int(values.max())
        lowest = sum(min(stride * (by_name[name].length - 1), 0) for name, stride in terms)
        highest = sum(max(stride * (by_name[name].length - 1), 0) for name, stride in terms)
        if low == high and len(terms) == 2 and low > lowest and high < highest:
            (first, s), (second, r) = terms
            if abs(r) == 1:
                yield Equal(along(second), Affine(r * low, ((first, -r * s),)))
                continue
        if low == high and len(terms) == 1 and low > lowest and high < highest:
            yield Equal(along(terms[0][0]), Affine(low))
            continue
        if low > lowest:
            yield AtLeast(Affine(-low, terms))
        if high < highest:
            yield AtLeast(Affine(high, tuple([(name, -stride) for name, stride in terms])))


def _gaps(keys: Sequence[Key]) -> Iterable[Condition]:
    """The one number that the difference of two axes never is, though it is less and more."""
    import numpy

    for a, b in combinations(keys, 2):
        values = numpy.unique(a.column - b.column)
        steps = numpy.diff(values)
        if (steps != 1).sum() == 1 and steps.max() == 2:
            missing = int(values[steps.argmax()]) + 1
            yield Unequal(Affine(-missing, ((a.name, 1), (b.name, -1))))


def _tables(keys: Sequence[Key]) -> Iterable[Condition]:
    """One axis being one of some numbers, or what a table says of others."""
    for key in keys:
        values = sorted({*key.column.tolist()})
        if len(values) < key.length:
            yield Among("", (key.name,), tuple([(value,) for value in values]))
    for table, name in _told(keys):
        yield Equal(table, along(name))


def _told(keys: Sequence[Key]) -> Iterable[tuple[Table, str]]:
    """Axes that others determine, each with the table that says which number it is."""
    for key in sorted(keys, key=lambda key: -key.length):
        others = [other for other in keys if other is not key]
        found = fewest(key.column, others)
        if found is not None:
            kept, table = found
            names, lengths = tuple([k.name for k in kept]), tuple([k.length for k in kept])
            yield Table("", names, lengths, tuple(table.tolist())), key.name


def _listed(keys: Sequence[Key]) -> Among:
    import numpy

    columns = [key.column for key in keys]
    order = numpy.argsort(codes(columns, len(columns[0]))[0], kind="stable")
    rows = numpy.stack(columns, 1)[order].tolist()
    return Among("", tuple([key.name for key in keys]), tuple(dict.fromkeys(map(tuple, rows))))
