"""Reads of arrays as tensors: slices, reshapes, transposes where indices allow, else a gather."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ...ops.points import numbers, points
from ...ops.reads import Affine, AtLeast, Axis, Condition, Equal, Index, Read, Table, Unequal
from ...ops.shapes import BATCH, Shape
from .tensors import ALL, Builder, Key, Tensor


@dataclass(frozen=True)
class Named:
    """A tensor, and what its axes are called in a statement."""

    tensor: Tensor
    axes: tuple[str, ...] = ()


def arranged(builder: Builder, named: Named, grid: Sequence[str]) -> Tensor:
    """The tensor with its axes in the order of `grid`, and new ones between for those it lacks."""
    wanted = [axis for axis in grid if axis in named.axes]
    tensor = builder.turned(named.tensor, [named.axes.index(axis) for axis in wanted])
    if not wanted:
        return tensor
    inner = grid[grid.index(wanted[0]) :]
    return builder.cut(tensor, [ALL if axis in wanted else None for axis in inner])


def filled(builder: Builder, named: Named, grid: Sequence[str], lengths: Shape) -> Tensor:
    """The tensor with all axes of `grid`, which have these lengths."""
    tensor = arranged(builder, named, grid)
    missing = len(lengths) - len(tensor.shape)
    if tensor.shape and all(n == 1 for n in lengths[:missing]):
        tensor = builder.cut(tensor, [None] * missing)
    return builder.grown(tensor, lengths)


def viewed(builder: Builder, read: Read, source: Tensor, lengths: Mapping[str, int]) -> Named:
    """What a read is of an array, which `source` is, with the axes that its indices are made of."""
    axes = [axis for index in read.index for axis in index.axes]
    tables = [index for index in read.index if isinstance(index, Table)]
    plain = len(axes) == len(set(axes)) and len(tables) <= 1
    if plain and all(
        _fits(index, length, lengths)
        for index, length in zip(read.index, source.shape, strict=True)
    ):
        return _sliced(builder, read, source, lengths)
    return _gathered(builder, read, source, lengths)


def _fits(index: Index, length: int, lengths: Mapping[str, int]) -> bool:
    """Whether an index is a subscript that stays inside the axis."""
    if isinstance(index, Table):
        return bool(index.axes) and min(index.values) >= 0 and max(index.values) < length
    if length == BATCH:
        return index.axis is not None
    ends = [(lengths[axis] - 1) * stride for axis, stride in index.terms]
    low = index.offset + sum(end for end in ends if end < 0)
    high = index.offset + sum(end for end in ends if end > 0)
    inside = low >= 0 and high < length
    return inside and (len(index.terms) < 2 or _digits(index, lengths) is not None)


def _digits(index: Affine, lengths: Mapping[str, int]) -> tuple[int, tuple[str, ...]] | None:
    """The step and the axes, slowest first, where an index counts through them as digits."""
    terms = sorted(index.terms, key=lambda term: -term[1])
    step = expected = terms[-1][1]
    for axis, stride in reversed(terms):
        if stride != expected or step <= 0:
            return None
        expected *= lengths[axis]
    return step, tuple([axis for axis, _ in terms])


def _sliced(builder: Builder, read: Read, source: Tensor, lengths: Mapping[str, int]) -> Named:
    keys: list[Key] = []
    axes: list[str] = []
    split: list[int] = []
    table: tuple[int, Table] | None = None
    for index, length in zip(read.index, source.shape, strict=True):
        if isinstance(index, Table):
            table = len(split), index
            keys.append(ALL)
            axes.append("")
            split.append(length)
            continue
        if not index.terms:
            keys.append(index.offset)
            continue
        names = index.axes
        step = index.terms[0][1]
        if len(names) > 1:
            found = _digits(index, lengths)
            assert found is not None
            step, names = found
        count = prod(lengths[name] for name in names)
        keys.append(_key(index.offset, count, step, length))
        axes += names
        split += [lengths[name] for name in names]
    tensor = builder.reshaped(builder.cut(source, keys), tuple(split))
    if table is None:
        return Named(tensor, tuple(axes))
    place, index = table
    tensor = builder.picked(tensor, place, _table(builder, index))
    return Named(tensor, (*axes[:place], *index.axes, *axes[place + 1 :]))


def _key(offset: int, count: int, step: int, length: int) -> Key:
    if count == length and step == 1:
        return ALL
    stop = offset + step * (count - 1) + (1 if step > 0 else -1)
    return slice(offset, None if stop < 0 else stop, step)


def _table(builder: Builder, index: Table) -> Tensor:
    import numpy

    values = numpy.array(index.values, numpy.int64).reshape(index.lengths)
    return builder.constant(values, index.name, counted(values))


def _gathered(builder: Builder, read: Read, source: Tensor, lengths: Mapping[str, int]) -> Named:
    """Every element by its own place, which always can be said; places are kept inside the array.

    The samples stay in front.
    """
    import numpy

    batched = source.shape[:1] == (BATCH,)
    inner = [*zip(read.index, source.shape, strict=True)][batched:]
    axes = tuple(dict.fromkeys(axis for index, _ in inner for axis in index.axes))
    columns = points([Axis(axis, lengths[axis]) for axis in axes])
    places = numpy.zeros(len(columns[""]), numpy.int64)
    for index, length in inner:
        places = places * length + numpy.clip(numbers(index, columns), 0, length - 1)
    places = places.reshape([lengths[axis] for axis in axes])
    size = prod(length for _, length in inner)
    flat = builder.reshaped(source, (BATCH, size) if batched else (size,))
    if not axes:
        keys: list[Key] = [ALL] if batched else []
        picked = builder.cut(flat, [*keys, int(places)])
    else:
        picked = builder.picked(
            flat, int(batched), builder.constant(places, "places", counted(places))
        )
    if not batched:
        return Named(picked, axes)
    (first,) = read.index[0].axes
    return Named(picked, (first, *axes))


def counted(values: Any) -> str:
    """How NumPy counts to an array of whole numbers, "" where that is not affine.

    >>> import numpy as np
    >>> counted(np.array([[1, 2, 3], [3, 4, 5]]))
    '2 * np.arange(2)[:, None] + np.arange(3) + 1'
    """
    import numpy

    if values.size < 3:
        return ""
    origin = (0,) * values.ndim
    first = int(values[origin])
    steps = []
    for axis, length in enumerate(values.shape):
        one = (*origin[:axis], 1, *origin[axis + 1 :])
        steps.append(int(values[one]) - first if length > 1 else 0)
    grid = numpy.ogrid[tuple(slice(n) for n in values.shape)]
    guess = first + sum(step * along for step, along in zip(steps, grid, strict=True))
    full = all(step for step, n in zip(steps, values.shape, strict=True) if n > 1)
    if not full or not numpy.array_equal(guess, values):
        return ""
    return _affine_text(first, steps, values.shape)


def _affine_text(first: int, steps: Sequence[int], lengths: Shape) -> str:
    """`first + Σ step·axis` over a grid, in NumPy's words.

    >>> _affine_text(1, [2, 0], (3, 4)), _affine_text(0, [0], (1,))
    ('2 * np.arange(3)[:, None] + 1', '0')
    """
    parts: list[tuple[bool, str]] = []
    for axis, (step, length) in enumerate(zip(steps, lengths, strict=True)):
        if step:
            new = ", None" * (len(lengths) - 1 - axis)
            text = f"np.arange({length}){f'[:{new}]' if new else ''}"
            parts.append((step > 0, text if abs(step) == 1 else f"{abs(step)} * {text}"))
    if first or not parts:
        parts.append((first >= 0, str(abs(first))))
    parts.sort(key=lambda part: not part[0])
    text = parts[0][1] if parts[0][0] else f"-{parts[0][1]}"
    return text + "".join(f" {'+' if plus else '-'} {part}" for plus, part in parts[1:])


def mask_of(
    builder: Builder, domain: Sequence[Condition], lengths: Mapping[str, int]
) -> Named | None:
    """Where all conditions hold, a truth value for each point; None for everywhere."""
    import numpy

    named = dict.fromkeys(axis for condition in domain for axis in condition.axes)
    axes = tuple([axis for axis in lengths if axis in named])
    if not domain:
        return None
    grid = [Axis(axis, lengths[axis]) for axis in axes]
    inside = points(grid, domain)
    mask = numpy.zeros([axis.length for axis in grid], bool)
    mask[tuple(inside[axis] for axis in axes)] = True
    if mask.all():
        return None
    texts = [_condition_text(condition, axes, lengths) for condition in domain]
    text = ""
    if all(texts):
        text = texts[0] if len(texts) == 1 else " & ".join(f"({one})" for one in texts)
    return Named(builder.constant(mask, "mask", text), axes)


def _condition_text(condition: Condition, axes: Sequence[str], lengths: Mapping[str, int]) -> str:
    """A condition on affine maps in NumPy's words, "" for others."""
    shape = tuple([lengths[axis] for axis in axes])

    def side(index: Affine, sign: int) -> str:
        strides = {axis: stride for axis, stride in index.terms if stride * sign > 0}
        offset = index.offset if index.offset * sign > 0 else 0
        return _affine_text(abs(offset), [abs(strides.get(axis, 0)) for axis in axes], shape)

    if isinstance(condition, (AtLeast, Unequal)):
        sign = "<=" if isinstance(condition, AtLeast) else "!="
        return f"{side(condition.expression, -1)} {sign} {side(condition.expression, 1)}"
    if isinstance(condition, Equal):
        left, right = condition.left, condition.right
        if isinstance(left, Affine) and isinstance(right, Affine):
            whole = [_steps(index, axes) for index in (left, right)]
            texts = [
                _affine_text(index.offset, steps, shape)
                for index, steps in zip((left, right), whole, strict=True)
            ]
            return " == ".join(texts)
    return ""


def _steps(index: Affine, axes: Sequence[str]) -> list[int]:
    strides = dict(index.terms)
    return [strides.get(axis, 0) for axis in axes]
