"""Products summed over axes: `@` where that says it, `einsum` where it does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Final

from ...ops.scalar import ADD, MUL
from ...ops.shapes import BATCH
from .reading import Named, arranged
from .tensors import Builder

SAMPLES: Final = 32
"""How many samples a batch is taken to have, where sizes are compared."""

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def contracted(
    builder: Builder,
    factors: Sequence[Named],
    over: Sequence[str],
    grid: Sequence[str],
    lengths: Mapping[str, int],
) -> Named:
    """The product of factors summed over axes; its axes are some of `grid`."""
    left = list(factors)
    order = [*grid, *over]
    if len(left) > 1:
        left = [_summed_alone(builder, k, left, over) for k in range(len(left))]
    while len(left) > 1:
        left = _paired(builder, left, over, order, lengths)
    return _summed(builder, left[0], [axis for axis in over if axis in left[0].axes])


def _summed_alone(
    builder: Builder, place: int, factors: Sequence[Named], over: Sequence[str]
) -> Named:
    """A factor without the summed axes that no other factor has."""
    others = {axis for k, other in enumerate(factors) if k != place for axis in other.axes}
    own = [axis for axis in over if axis in factors[place].axes and axis not in others]
    return _summed(builder, factors[place], own)


def _summed(builder: Builder, named: Named, axes: Sequence[str]) -> Named:
    places = [named.axes.index(axis) for axis in axes]
    rest = tuple([axis for axis in named.axes if axis not in axes])
    return Named(builder.reduced(named.tensor, ADD, places), rest)


def _size(axes: Iterable[str], lengths: Mapping[str, int]) -> int:
    return prod(SAMPLES if lengths[axis] == BATCH else lengths[axis] for axis in axes)


def _paired(
    builder: Builder,
    factors: list[Named],
    over: Sequence[str],
    order: Sequence[str],
    lengths: Mapping[str, int],
) -> list[Named]:
    """Two factors made one, those whose product is smallest, summed over what no other one has."""

    def alone(i: int, j: int) -> list[str]:
        others = {axis for k, f in enumerate(factors) if k not in (i, j) for axis in f.axes}
        both = {*factors[i].axes, *factors[j].axes}
        return [axis for axis in over if axis in both and axis not in others]

    def cost(pair: tuple[int, int]) -> tuple[int, int]:
        both = {*factors[pair[0]].axes, *factors[pair[1]].axes}
        return _size(both.difference(alone(*pair)), lengths), _size(both, lengths)

    pairs = [(i, j) for j in range(len(factors)) for i in range(j)]
    i, j = min(pairs, key=cost)
    made = _product(builder, (factors[i], factors[j]), alone(i, j), order)
    return [made, *[f for k, f in enumerate(factors) if k not in (i, j)]]


def multiplied(builder: Builder, one: Named, other: Named, order: Sequence[str]) -> Named:
    """Two factors multiplied element by element."""
    axes = tuple([axis for axis in order if axis in one.axes or axis in other.axes])
    pair = [arranged(builder, one, axes), arranged(builder, other, axes)]
    return Named(builder.pointwise(MUL, pair), axes)


def _product(
    builder: Builder, pair: tuple[Named, Named], summed: Sequence[str], order: Sequence[str]
) -> Named:
    """Two factors multiplied and summed over axes: the shortest way to say that."""
    a, b = pair
    rest = [axis for axis in order if axis not in summed]
    inner = [axis for axis in summed if axis in a.axes and axis in b.axes]
    stacked = [axis for axis in rest if axis in a.axes and axis in b.axes]
    rows = [axis for axis in rest if axis in a.axes and axis not in b.axes]
    columns = [axis for axis in rest if axis in b.axes and axis not in a.axes]
    alike = not rows and not columns
    if not inner or (alike and (stacked or len(inner) > 1)):
        return _summed(builder, multiplied(builder, a, b, order), summed)
    if columns and (not rows or order.index(columns[0]) < order.index(rows[0])):
        a, b, rows, columns = b, a, columns, rows
    matrices = len(rows) == len(columns) == 1 if stacked else len(columns) <= 1
    if len(inner) == 1 and matrices:
        first = arranged(builder, a, [*stacked, *rows, *inner])
        second = arranged(builder, b, [*stacked, *inner, *columns])
        return Named(builder.product(first, second), (*stacked, *rows, *columns))
    letters = dict(zip(dict.fromkeys((*a.axes, *b.axes)), _LETTERS, strict=False))
    result = [axis for axis in rest if axis in letters]
    parts = ["".join(letters[axis] for axis in axes) for axes in (a.axes, b.axes, result)]
    made = builder.contraction(f"{parts[0]},{parts[1]}->{parts[2]}", a.tensor, b.tensor)
    return Named(made, tuple(result))
