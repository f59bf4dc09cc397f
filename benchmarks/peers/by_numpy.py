"""NumPy by hand: forward and backward pass as a careful person would write them."""

import math
from itertools import pairwise

import numpy as np
from harness import Peer, Prepared
from problems import BETA1, BETA2, EPS, Matrices, Network, join, split
from scalars import Scalars

from peers import array_losses, hand_written


def arrays(problem: Network) -> tuple[list, list]:
    """Weights as (inputs, neurons), so that a layer is h @ W + b; and biases."""
    return arrays_of(problem.layers)


def arrays_of(layers) -> tuple[list, list]:
    """The same of layers of numbers that are not a problem's parameters, such as moments."""
    return [np.ascontiguousarray(np.transpose(ws)) for ws, _ in layers], [
        np.array(bs) for _, bs in layers
    ]


def flat(weights, biases) -> list[float]:
    """In the order of the problem's parameters."""
    return join((W.T, b) for W, b in zip(weights, biases, strict=True))


def loss_and_gradient(weights, biases, X, Y):
    """The textbook's two loops over the layers."""
    hidden = [X]
    for W, b in zip(weights, biases, strict=True):
        hidden.append(np.tanh(hidden[-1] @ W + b))
    error = hidden[-1] - Y
    loss = np.vdot(error, error)
    ct = 2 * error
    weight_gradients, bias_gradients = [], []
    for layer in range(len(weights) - 1, -1, -1):
        out = hidden[layer + 1]
        ct = ct * (1 - out * out)
        weight_gradients.append(hidden[layer].T @ ct)
        bias_gradients.append(ct.sum(axis=0))
        if layer:
            ct = ct @ weights[layer].T
    return loss, weight_gradients[::-1], bias_gradients[::-1]


def gradient(problem: Network) -> Prepared:
    weights, biases = arrays(problem)
    X, Y = np.array(problem.X), np.array(problem.Y)
    return Prepared(
        lambda: loss_and_gradient(weights, biases, X, Y),
        lambda result: [result[0], *flat(result[1], result[2])],
    )


def epoch(problem: Network) -> Prepared:
    batches = [(np.array(X), np.array(Y)) for X, Y in problem.batches()]
    start = arrays(problem)

    def call():
        weights, biases = ([a.copy() for a in part] for part in start)
        for X, Y in batches:
            _, dws, dbs = loss_and_gradient(weights, biases, X, Y)
            for array, step in zip([*weights, *biases], [*dws, *dbs], strict=True):
                array -= problem.rate * step
        return weights, biases

    return Prepared(call, lambda result: flat(*result))


def step(problem: Network) -> Prepared:
    """A step into new arrays: rate and mean are applied to the deltas, before the products."""
    weights, biases = arrays(problem)
    X, Y, rate = np.array(problem.X), np.array(problem.Y), problem.rate

    def call():
        hidden = [X]
        for W, b in zip(weights, biases, strict=True):
            h = hidden[-1] @ W
            h += b
            hidden.append(np.tanh(h, out=h))
        error = hidden[-1] - Y
        loss = np.vdot(error, error) / len(X)
        ct = error * (2 * rate / len(X))
        new_weights, new_biases = [], []
        for layer in range(len(weights) - 1, -1, -1):
            out = hidden[layer + 1]
            ct = ct * (1 - out * out)
            change = hidden[layer].T @ ct
            new_weights.append(np.subtract(weights[layer], change, out=change))
            new_biases.append(biases[layer] - ct.sum(axis=0))
            if layer:
                ct = ct @ weights[layer].T
        return loss, new_weights[::-1], new_biases[::-1]

    return Prepared(call, lambda result: [result[0], *flat(result[1], result[2])])


def hessian(problem: Network) -> Prepared:
    """Second-order forward propagation: the value, its Jacobian and its Hessian, layer by layer."""
    weights, biases = arrays(problem)
    transposed = [np.ascontiguousarray(W.T) for W in weights]
    n = problem.sizes[0]
    point, identity = np.array(problem.X[0]), np.eye(n)

    def call():
        h, first, second = point, identity, np.zeros((n, n * n))
        for W, b in zip(transposed, biases, strict=True):
            h = np.tanh(W @ h + b)
            slope = (1 - h * h)[:, None]
            first, second = W @ first, W @ second
            squares = (first[:, :, None] * first[:, None, :]).reshape(len(b), n * n)
            second = slope * (second - 2 * h[:, None] * squares)
            first = slope * first
        return h, first, second

    return Prepared(call, lambda parts: [x for part in parts for x in part.ravel()])


def adam(problem: Network) -> Prepared:
    """A step of Adam into new vectors.

    All parameters are one vector, in which a layer is a matrix whose last row is its biases, so
    that a product with a column of ones does them all; the corrections are folded into the rate.
    """
    sizes, count = problem.sizes, len(problem.X)
    start, m, v = (packed(numbers, sizes) for numbers in (problem.params, *problem.moments))
    hidden = [np.column_stack([problem.X, np.ones(count)])]
    hidden += [np.ones((count, width + 1)) for width in sizes[1:-1]]
    power1, power2 = problem.state[:2]
    Y, rate = np.array(problem.Y), problem.rate

    def call():
        layers, gradient = blocks(start, sizes), np.empty_like(start)
        for before, layer, after in zip(hidden, layers, hidden[1:], strict=False):
            np.tanh(before @ layer, out=after[:, :-1])
        out = np.tanh(hidden[-1] @ layers[-1])
        error = out - Y
        loss = np.vdot(error, error) / count
        error *= 2 / count
        ct = error * (1 - out * out)
        changes = blocks(gradient, sizes)
        for k in range(len(layers) - 1, -1, -1):
            np.matmul(hidden[k].T, ct, out=changes[k])
            if k:
                out = hidden[k][:, :-1]
                ct = (ct @ layers[k][:-1].T) * (1 - out * out)
        powers = power1 * BETA1, power2 * BETA2
        root = math.sqrt(1 - powers[1])
        first = BETA1 * m + (1 - BETA1) * gradient
        second = BETA2 * v + (1 - BETA2) * (gradient * gradient)
        change = first / (np.sqrt(second) + EPS * root)
        change *= rate * root / (1 - powers[0])
        return loss, start - change, powers, first, second

    def numbers(result):
        loss, moved, powers, *moments = result
        vectors = [unpacked(vector, sizes) for vector in (moved, *moments)]
        return [loss, *vectors[0], *powers, *vectors[1], *vectors[2]]

    return Prepared(call, numbers)


def packed(numbers, sizes) -> np.ndarray:
    """Parameters, or a number for each, layer by layer: weights by input, then the biases."""
    layers = split(numbers, sizes)
    return np.concatenate([np.vstack([np.transpose(W), b]).ravel() for W, b in layers])


def unpacked(vector, sizes) -> list[float]:
    """What `packed` was made of."""
    return join((block[:-1].T, block[-1]) for block in blocks(vector, sizes))


def blocks(vector: np.ndarray, sizes) -> list[np.ndarray]:
    """Views of the layers in a vector that was `packed`."""
    views, start = [], 0
    for width, count in pairwise(sizes):
        end = start + (width + 1) * count
        views.append(vector[start:end].reshape(width + 1, count))
        start = end
    return views


def stacked(problem: Matrices) -> tuple:
    """The matrices as one array, the data and the targets."""
    return np.array(problem.matrices), np.array(problem.X), np.array(problem.Y)


def loss_and_array(result) -> list[float]:
    """A loss and a gradient, flat."""
    return [result[0], *np.ravel(result[1]).tolist()]


def residual(problem: Matrices) -> Prepared:
    """Two loops over the layers, as for a plain network; the gradients are one new array."""
    weights, X, Y = stacked(problem)

    def call():
        hidden, bends = [X], []
        for W in weights:
            bends.append(np.tanh(hidden[-1] @ W.T))
            hidden.append(hidden[-1] + bends[-1])
        error = hidden[-1] - Y
        loss = np.vdot(error, error)
        ct = 2 * error
        gradient = np.empty_like(weights)
        for k in range(len(weights) - 1, -1, -1):
            delta = ct * (1 - bends[k] * bends[k])
            np.matmul(delta.T, hidden[k], out=gradient[k])
            if k:
                ct += delta @ weights[k]
        return loss, gradient

    return Prepared(call, loss_and_array)


def attention(problem: Matrices) -> Prepared:
    """Queries, keys and values in one product, and so their gradients."""
    weights, X, Y = stacked(problem)
    width, size = problem.width, len(X)
    matrix, scale = weights.reshape(3 * width, width), 1 / math.sqrt(width)
    seen = np.tri(size)

    def call():
        product = X @ matrix.T
        q, k, v = product[:, :width], product[:, width : 2 * width], product[:, 2 * width :]
        q *= scale
        shares = np.exp(q @ k.T)
        shares *= seen
        shares /= shares.sum(axis=1, keepdims=True)
        out = shares @ v
        error = out - Y
        loss = np.vdot(error, error)
        ct = 2 * error
        slopes = shares * (ct @ v.T - (ct * out).sum(axis=1, keepdims=True))
        deltas = np.empty_like(product)
        np.matmul(slopes, scale * k, out=deltas[:, :width])
        np.matmul(slopes.T, q, out=deltas[:, width : 2 * width])
        np.matmul(shares.T, ct, out=deltas[:, 2 * width :])
        return loss, deltas.T @ X

    return Prepared(call, loss_and_array)


def scalars(problem: Scalars) -> Prepared:
    weights, data = array_losses.given(problem)
    f = hand_written.WRITTEN[problem.loss]
    return Prepared(lambda: f(weights, *data), array_losses.loss_and_arrays)


KINDS = {
    "gradient": gradient,
    "epoch": epoch,
    "step": step,
    "hessian": hessian,
    "adam": adam,
    "residual": residual,
    "attention": attention,
    "scalars": scalars,
}
PEERS = [Peer("numpy by hand", "numpy", KINDS)]
