"""NumPy by hand: forward and backward pass as a careful person would write them."""

import numpy as np
from harness import Peer, Prepared
from problems import Network, join


def arrays(problem: Network) -> tuple[list, list]:
    """Weights as (inputs, neurons), so that a layer is h @ W + b; and biases."""
    weights = [np.ascontiguousarray(np.array(ws).T) for ws, _ in problem.layers]
    return weights, [np.array(bs) for _, bs in problem.layers]


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


KINDS = {"gradient": gradient, "epoch": epoch, "step": step, "hessian": hessian}
PEERS = [Peer("numpy by hand", "numpy", KINDS)]
