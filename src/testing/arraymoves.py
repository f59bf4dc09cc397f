"""What random functions of arrays are made of: steps that take one or two arrays to another.

A step is drawn with the random numbers that it is given, of what was made last and of something
else; it answers None where it has nothing to say about arrays of these shapes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any, Final

from ..ops import arrays, compositions, moves
from ..ops import scalar as ops

MAX_ELEMENTS: Final = 60
"""The largest array that is drawn."""

Move = Callable[[random.Random, Any, Any], Any]
"""A step: random numbers, what was made last and something else, to an expression or None."""


def array_shape(rng: random.Random) -> tuple[int, ...]:
    """A shape of up to three axes, often with axes of length 1."""
    return tuple(rng.choice((1, 2, 3, 4)) for _ in range(rng.choice((0, 1, 1, 2, 2, 2, 3))))


def weights(shape: tuple[int, ...]) -> Any:
    """Numbers of a shape that are all different."""
    import numpy

    return numpy.linspace(0.3, 2.0, math.prod(shape)).reshape(shape)


def _array_only(move: Move) -> Move:
    return lambda rng, x, y: move(rng, x, y) if x.shape else None


def _fitting(rng: random.Random, x: Any, y: Any) -> tuple[Any, Any]:
    """The two in shapes that broadcast: means of the second, where it does not fit or by chance."""
    if not y.shape:
        return x, y
    for axis in range(1, len(y.shape) + 1):
        mine = x.shape[-axis] if axis <= len(x.shape) else None
        own = y.shape[-axis]
        clash = mine is not None and 1 not in (mine, own) and mine != own
        if clash or (own > 1 and rng.random() < 0.2):
            kept = y.shape[: len(y.shape) - axis], y.shape[len(y.shape) - axis + 1 :]
            y = y.mean(len(y.shape) - axis)
            y = arrays.reshape(y, (*kept[0], 1, *kept[1]))
    return (x, y) if rng.random() < 0.5 else (y, x)


def _of_two(function: Callable[[Any, Any], Any]) -> Move:
    return lambda rng, x, y: function(*_fitting(rng, x, y))


def _chosen_by(rng: random.Random, x: Any, y: Any) -> Any:
    a, b = _fitting(rng, x, y)
    branches = (a, rng.choice((b, 0.0))) if rng.random() < 0.5 else (rng.choice((b, -1.0)), a)
    return ops.where(a > rng.choice((b, 0.2)), *branches)


def _masked(rng: random.Random, x: Any, y: Any) -> Any:
    """What a mask of numbers leaves: below the diagonal, or anywhere."""
    import numpy

    mask = numpy.tri(*x.shape[-2:]) if len(x.shape) > 1 else numpy.arange(x.shape[-1]) % 2
    if rng.random() < 0.4:
        mask = numpy.array([rng.random() < 0.6 for _ in range(math.prod(x.shape))], float)
        mask = mask.reshape(x.shape)
    a, b = _fitting(rng, x, y)
    whole = a * b if rng.random() < 0.4 and (a * b).shape == x.shape else x
    return ops.where(mask, whole, rng.choice((0.0, -2.0))) if rng.random() < 0.7 else whole * mask


def _product(rng: random.Random, x: Any, y: Any) -> Any:
    """A matrix product, of which the second factor is brought into a shape that fits."""
    if not x.shape or not y.shape:
        return None
    if x.shape[-1] == y.shape[max(0, len(y.shape) - 2)] and len(y.shape) < 3:
        return x @ y
    other = ops.sin(x)
    turned = other if len(x.shape) == 1 else arrays.transpose(other)
    if len(x.shape) == 3 and rng.random() < 0.5:
        turned = turned[rng.randrange(x.shape[0])] if rng.random() < 0.5 else turned.mean(0)
    return ops.where(x @ turned > 0.1, x @ turned, 0.0) if rng.random() < 0.3 else x @ turned


def _reduced(rng: random.Random, x: Any, y: Any) -> Any:
    functions = (
        *(arrays.sum_over, arrays.mean_over, arrays.max_over, arrays.logsumexp),
        *(compositions.min_over, compositions.prod_over, compositions.var, compositions.any_over),
        *(
            compositions.all_over,
            lambda x, axis, keep: compositions.std(x + 0.01 * x**3, axis, keep),
        ),
    )
    count = len(x.shape)
    axis = rng.choice((None, *range(-count, count), tuple(range(0, count, 2))))
    return rng.choice(functions)(x, axis, rng.random() < 0.4)


def _normalised(rng: random.Random, x: Any, y: Any) -> Any:
    axis = rng.randrange(-len(x.shape), len(x.shape))
    if rng.random() < 0.5:
        return x - x.mean(axis, True) if rng.random() < 0.5 else x / (1.0 + (x * x).sum(axis, True))
    shares = ops.exp(x - x.max(axis, True)) if rng.random() < 0.5 else ops.exp(ops.tanh(x))
    return shares / shares.sum(axis, True)


def _element(rng: random.Random, x: Any, y: Any) -> Any:
    """A number of the array where the array itself is used: an array that is needed again."""
    one = x[tuple(rng.randrange(length) for length in x.shape)]
    return rng.choice((ops.tanh(x) * (one - 1.0), x + one, one * one, ops.where(one > 0, x, -x)))


def _turned(rng: random.Random, x: Any, y: Any) -> Any:
    order = rng.sample(range(len(x.shape)), len(x.shape))
    first, second = (rng.randrange(len(x.shape)) for _ in range(2))
    swapped = moves.swapaxes(x, first, second)
    choices = (x.T, x.transpose(order), compositions.expand_dims(x, -1), x.squeeze(), swapped)
    return rng.choice((*choices, compositions.ravel(x)))


def _moved(rng: random.Random, x: Any, y: Any) -> Any:
    """The elements elsewhere, some several times or with zeros between."""
    axis = rng.randrange(-len(x.shape), len(x.shape))
    last = rng.randrange(len(x.shape))
    first, *rest = moves.array_split(x, min(2, x.shape[last]), last)
    choices = [
        lambda: moves.flip(x, rng.choice((axis, None))),
        lambda: moves.roll(x, rng.choice((1, -1, 2)), axis),
        lambda: moves.moveaxis(x, axis, 0),
        lambda: moves.repeat(x, rng.choice((2, list(range(1, x.shape[axis] + 1)))), axis),
        lambda: moves.tile(x, rng.choice((2, (2, 1), (1, 1, 2)))),
        lambda: moves.pad(x, rng.choice((1, [(2, 1)])), rng.choice(("constant", "edge"))),
        lambda: moves.concatenate([*rest, ops.sin(first)], last),
        lambda: moves.hstack([x, ops.tanh(x)]),
        lambda: moves.vstack([x, ops.tanh(x)]),
    ]
    if len(x.shape) > 1:
        triangles = (moves.tril, moves.triu, moves.diagonal)
        choices.append(lambda: rng.choice(triangles)(x))
    if len(x.shape) < 3:
        choices.append(lambda: moves.diag(x, 0))
    moved = rng.choice(choices)()
    return moved if 0 < moved.size <= 2 * MAX_ELEMENTS else None


def _together(rng: random.Random, x: Any, y: Any) -> Any:
    axis = rng.randrange(-len(x.shape), len(x.shape))
    part = x.take([0], axis)
    parts = rng.choice(([x, part], [x, ops.sin(x)], [part, x, part]))
    return moves.concatenate(parts, rng.choice((axis, axis, None)))


def _einsum(rng: random.Random, x: Any, y: Any) -> Any:
    """A product of the array with itself, summed over any of its axes."""
    if len(x.shape) > 3:
        return None
    letters = "abc"[: len(x.shape)]
    kept = "".join(letter for letter in letters if rng.random() < 0.6)
    other = rng.choice((letters, letters[:-1] + "z"))
    result = "".join(rng.sample(kept, len(kept))) + "z" * (other != letters and rng.random() < 0.5)
    return compositions.einsum(f"{letters},{other}->{result}", x, ops.tanh(x))


def _reshaped(rng: random.Random, x: Any, y: Any) -> Any:
    left, shape = math.prod(x.shape), []
    while left > 1:
        length = rng.choice([n for n in range(2, left + 1) if left % n == 0])
        shape.append(length)
        left //= length
    for _ in range(rng.choice((0, 0, 1, 2))):
        shape.insert(rng.randint(0, len(shape)), 1)
    return arrays.reshape(x, tuple(shape))


def _repeated(rng: random.Random, x: Any, y: Any) -> Any:
    shape = tuple(rng.choice((2, 3)) if length == 1 else length for length in x.shape)
    return arrays.broadcast_to(x, (*rng.choice(((), (2,))), *shape))


def _subscripted(rng: random.Random, x: Any, y: Any) -> Any:
    key: list[Any] = []
    for length in x.shape:
        first = rng.randrange(length)
        kinds = (slice(None), slice(None), slice(None, None, -1), slice(first, None), first)
        key.append(rng.choice((*kinds, slice(None, first + 1, 2), None)))
        if key[-1] is None:
            key.append(slice(None))
    return x[tuple(key)]


def _gathered(rng: random.Random, x: Any, y: Any) -> Any:
    size = math.prod(x.shape)
    if rng.random() < 0.5:
        rows = [rng.randrange(x.shape[0]) for _ in range(rng.randint(1, 4))]
        return x[rows]
    return arrays.gather(x, [[rng.randrange(size) for _ in range(2)] for _ in range(3)])


def _scattered(rng: random.Random, x: Any, y: Any) -> Any:
    shape = array_shape(rng) or (2,)
    flat = arrays.reshape(x, (-1,))
    places = [rng.randrange(math.prod(shape)) for _ in range(math.prod(x.shape))]
    return arrays.scatter_add(flat, places, shape)


def _stacked(rng: random.Random, x: Any, y: Any) -> Any:
    parts = [rng.choice((x, ops.tanh(x), 2.0 * x)) for _ in range(rng.randint(1, 3))]
    if len(x.shape) > 0 and rng.random() < 0.3:
        return arrays.stack_rows(*parts)
    return moves.stack(*parts, axis=rng.choice((0, -1)))


def _outer(rng: random.Random, x: Any, y: Any) -> Any:
    if not y.shape:
        return None
    flat = [arrays.reshape(part, (-1,))[: rng.randint(1, 6)] for part in (x, y)]
    return arrays.outer(*flat)


def _of_one(rng: random.Random, x: Any, y: Any) -> Any:
    smooth = (ops.tanh, ops.sigmoid, ops.sin, ops.softplus, ops.gelu, ops.silu)
    kinked = (abs, ops.relu, ops.leaky_relu, ops.hard_tanh)
    return rng.choice((*smooth, *smooth, *kinked))(x)


def _with_numbers(rng: random.Random, x: Any, y: Any) -> Any:
    """The array and an array of plain numbers, of its own shape or its last axis alone."""
    numbers = weights(rng.choice((x.shape, x.shape[-1:])))
    return rng.choice((x * numbers, numbers - x, x / numbers, numbers + x))


ARRAY_MOVES: Final[tuple[Move, ...]] = (
    _of_one,
    _of_one,
    lambda rng, x, y: x * x + rng.choice((0.5, -1.0, 3)),
    lambda rng, x, y: ops.log(x * x + 1.0) - ops.exp(-x * x),
    lambda rng, x, y: -x / (2.0 + x * x),
    lambda rng, x, y: rng.choice((x**2, ops.sqrt(x * x + 0.5), (x * x + 0.1) ** 0.7)),
    _of_two(lambda a, b: a + b),
    _of_two(lambda a, b: a - b),
    _of_two(lambda a, b: a * b),
    _of_two(lambda a, b: a / (b * b + 1.0)),
    _of_two(lambda a, b: ops.maximum(a, b)),
    _of_two(lambda a, b: ops.minimum(a, b)),
    _of_two(lambda a, b: (a * a + 0.3) ** ops.tanh(b)),
    _chosen_by,
    _product,
    *map(_array_only, (_reduced, _reduced, _reshaped, _repeated, _subscripted, _subscripted)),
    *map(_array_only, (_gathered, _scattered, _outer, _turned, _together, _einsum)),
    *map(_array_only, (_moved, _moved)),
    *map(_array_only, (_masked, _normalised, _element, _element, _with_numbers)),
    _array_only(lambda rng, x, y: x.cumsum(rng.choice((None, -1, 0)))),
    lambda rng, x, y: compositions.clip(x, -0.7, rng.choice((0.9, None))),
    _stacked,
    _array_only(lambda rng, x, y: arrays.transpose(x) if len(x.shape) > 1 else None),
)
"""What a step of an `ArraySketch` may be."""
