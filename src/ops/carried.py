"""Functions that generated NumPy modules carry, copied as text.

They use NumPy, which those modules import, and nothing else, and answer the type of their
argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def sigmoid(x):  # type: ignore[no-untyped-def]
    """1 / (1 + exp(-x)), without overflow and exact in both tails."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def logsumexp(x, axis):  # type: ignore[no-untyped-def]
    """The logarithm of the sum of exp(x) over an axis, the largest element taken out first."""
    top = x.max(axis=axis, keepdims=True)
    top[np.isinf(top)] = 0.0
    total = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    return total.squeeze(axis)[()]


def first_max(x, axis):  # type: ignore[no-untyped-def]
    """1 at the first of the largest elements along the axis, or of all, and 0 elsewhere."""
    if axis is None:
        return first_max(x.ravel(), 0).reshape(x.shape)  # type: ignore[no-untyped-call]
    mask = np.zeros_like(x)
    np.put_along_axis(mask, np.expand_dims(x.argmax(axis), axis), 1.0, axis)
    return mask


def scatter(x, layers, shape):  # type: ignore[no-untyped-def]
    """Zeros of a shape, with elements of x added in places; none repeats within a layer."""
    x = np.reshape(x, -1)
    out = np.zeros(shape, x.dtype)
    flat = out.reshape(-1)
    for places, sources in layers:
        flat[places] += x[sources]
    return out


def scatter_rows(x, layers, shape):  # type: ignore[no-untyped-def]
    """The same for each row of x: a row of the result has the shape."""
    x = x.reshape(len(x), -1)
    out = np.zeros((len(x), *shape), x.dtype)
    flat = out.reshape(len(x), -1)
    for places, sources in layers:
        flat[:, places] += x[:, sources]
    return out


def layers_of(positions: list[int]) -> list[tuple[list[int], list[int]]]:
    """Positions in layers without repeats: for each, the positions and where in the list they are.

    >>> layers_of([5, 2, 5])
    [([5, 2], [0, 1]), ([5], [2])]
    """
    seen: dict[int, int] = {}
    layers: list[tuple[list[int], list[int]]] = []
    for source, place in enumerate(positions):
        depth = seen.get(place, 0)
        seen[place] = depth + 1
        if depth == len(layers):
            layers.append(([], []))
        layers[depth][0].append(place)
        layers[depth][1].append(source)
    return layers
