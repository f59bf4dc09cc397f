"""Axes: those of an array, which tell its elements apart, and those that a sum runs over."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final, NamedTuple

from .columns import (
    MOST_CELLS,
    Column,
    Key,
    affine,
    choose,
    codes,
    distinct,
    fewest,
    looped,
    normal,
    rank_among,
)
from .domains import conditions, is_list
from .parts import Part, in_order, invariants

_SPARSE: Final = 64
"""How many times more cells than elements an array may have."""


class Layout(NamedTuple):
    """Where the elements of a family are: a column of coordinates per axis, and its length."""

    columns: list[Column]
    lengths: list[int]


def keys_of(layout: Layout) -> list[Key]:
    """The axes of a layout as keys with names."""
    return [
        Key(f"t{k}", column, length)
        for k, (column, length) in enumerate(zip(layout.columns, layout.lengths, strict=True))
    ]


def length_of(column: Column) -> int:
    """How many numbers an axis has that a column of numbers from 0 is."""
    return int(column.max()) + 1


def laid_out(count: int, stages: Sequence[Sequence[Column]]) -> Layout:
    """Axes that tell some elements apart, from columns that come in stages."""
    import numpy

    if count == 1:
        return Layout([], [])
    dense: list[Column] = []
    sparse: list[Column] = []
    beside: list[Column] = []
    seen: set[bytes] = set()
    chosen: list[Column] = []
    done = False
    for stage in stages:
        for column in stage:
            if (column == column[0]).all():
                continue
            moved, whole = normal(column)
            text = moved.tobytes()
            if text not in seen:
                seen.add(text)
                (dense if whole and looped(moved) else sparse).append(moved)
        beside += [column for column in sparse if any(_are_others(column, d) for d in dense)]
        sparse = [column for column in sparse if all(column is not other for other in beside)]
        loops = [True] * len(dense) + [False] * len(beside)
        chosen, done = choose([*dense, *beside], count, loops)
        if done:
            break
    if not done:
        chosen = _completed(chosen, sparse, count)
    chosen = _within_windows(chosen, count)
    if prod(map(length_of, chosen)) > _SPARSE * count + 4096:
        chosen = [numpy.arange(count)]
    chosen.sort(key=lambda column: int((column[1:] != column[:-1]).sum()))
    return Layout(chosen, [*map(length_of, chosen)])


def _are_others(column: Column, of: Column) -> bool:
    """Whether a column runs over all numbers but the one that another holds, as `j != i` does."""
    import numpy

    length = length_of(of)
    if length_of(column) != length or (column == of).any():
        return False
    return len(numpy.unique(column * length + of)) == length * (length - 1)


def is_whole(columns: Sequence[Column]) -> bool:
    """Whether columns of coordinates are affine in axes that bounds say the points of."""
    keys = keys_of(laid_out(len(columns[0]), [columns]))
    affine_maps = [affine(column, keys) for column in columns]
    return None not in affine_maps and not any(map(is_list, conditions(keys)))


def stages(parts: Sequence[Part]) -> list[list[Column]]:
    """Columns that may tell sums apart, the likeliest first; where windows begin is the last."""
    return [
        [column for part in parts for column in part.constant],
        [column for part in parts for column in invariants(part)],
        [part.low(column) for part in parts for column in part.varying],
    ]


def _within_windows(chosen: Sequence[Column], count: int) -> list[Column]:
    """Axes with places within windows instead of where these lie, if all windows are whole.

    So the elements i of windows r, i = 2r + a, have the axes r and a.
    """
    import numpy

    lengths = [*map(length_of, chosen)]
    found = list(chosen)
    if prod(lengths) == count:
        return found
    for k, column in enumerate(chosen):
        for other, length in zip(chosen, lengths, strict=True):
            low = numpy.full(length, lengths[k])
            numpy.minimum.at(low, other, column)
            steps = numpy.diff(low)
            if len(steps) and steps[0] and (steps == steps[0]).all() and other is not column:
                moved = column - low[other]
                width = length_of(moved)
                whole = len(numpy.unique(width * other + moved)) == width * length
                if whole and width < length_of(found[k]):
                    found[k] = moved
    return found if distinct(found, count) else list(chosen)


def _completed(chosen: list[Column], sparse: Sequence[Column], count: int) -> list[Column]:
    """Axes with one more: the rank among those alike, or the numbers that columns hold."""
    import numpy

    for left_out in (None, *sorted(chosen, key=looped)):
        rest = [column for column in chosen if column is not left_out]
        rank = rank_among(codes(rest, count)[0])
        key = Key("", rank, length_of(rank))
        told = sparse if left_out is None else [*sparse, left_out]
        if key.length * prod(map(length_of, rest)) == count and all(
            fewest(column, [key]) for column in told
        ):
            return [*rest, rank]
    coded = [numpy.unique(column, return_inverse=True)[1] for column in sparse]
    both = [*chosen, *coded]
    both, done = choose(both, count, list(map(looped, both)))
    return both if done else [*both, rank_among(codes(both, count)[0])]


def inner_axes(
    part: Part, keys: Sequence[Key], outer: Sequence[Key], number: int
) -> tuple[list[Key], int]:
    """The axes that a term is summed over, and how many times each product is added.

    number   that of the first axis, by which it is called
    """
    import numpy

    if len(part.starts) == len(part.place):
        return [], 1
    at = part.place[part.starts]
    targets = [Key(key.name, key.column[at], key.length) for key in keys]
    candidates: list[Column] = []
    gaps: list[Column] = []
    lengths = numpy.diff(numpy.append(part.starts, len(part.place)))
    for column in part.varying:
        low, width = part.low(column), part.high(column) - part.low(column)
        sliding = (width == width[0]).all() and affine(low, targets) is not None
        if sliding and not (low == low[0]).all():
            column = column - numpy.repeat(low, lengths)
        moved, whole = normal(column)
        candidates.append(moved)
        gaps += [] if whole else [moved]
    loops = [in_order(column, part) for column in candidates]
    chosen, told_apart = choose(candidates, len(part.place), loops, [part.place], outer)
    count = 1
    if told_apart:
        chosen = _numbered(part, chosen, gaps) or chosen
    else:
        total, _ = codes([part.place, *chosen], len(part.place))
        rank = rank_among(total)
        times = numpy.unique(total, return_counts=True)[1]
        if part.added and not part.numbered and (times == times[0]).all():
            count = int(times[0])
        else:
            chosen = _numbered(part, chosen, chosen) or [*chosen, rank]
    if prod(map(length_of, chosen)) * max(1, len(targets)) > MOST_CELLS:
        chosen, count = [rank_among(part.place)], 1
    inner = [Key(f"s{number + k}", column, length_of(column)) for k, column in enumerate(chosen)]
    return inner, count


def _numbered(part: Part, chosen: Sequence[Column], some: Sequence[Column]) -> list[Column] | None:
    """Terms counted one by one instead of by one of `some` columns that say what they pick.

    None if that does not fit. A sum over tokens is so one over their positions where two of them
    are equal, or where most of a vocabulary is not among them.
    """
    for left_out in chosen:
        if not any(left_out is column for column in some):
            continue
        rest = [column for column in chosen if column is not left_out]
        rank = rank_among(codes([part.place, *rest], len(part.place))[0])
        key = Key("", rank, length_of(rank))
        size = len(part.starts) * key.length * prod(map(length_of, rest))
        if size == len(part.place) and fewest(left_out, [key]):
            return [*rest, rank]
    return None
