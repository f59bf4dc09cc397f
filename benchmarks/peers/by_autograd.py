"""HIPS autograd: NumPy code, traced on every call."""

import autograd.numpy as np
from autograd import grad, hessian, value_and_grad
from harness import Peer, Prepared
from problems import Network

from peers import by_numpy


def output(layers, h):
    for W, b in layers:
        h = np.tanh(np.dot(h, W) + b)
    return h


def loss_of(layers, X, Y):
    error = output(layers, X) - Y
    return np.sum(error * error)


def layers_of(problem: Network) -> list:
    return list(zip(*by_numpy.arrays(problem), strict=True))


def flat(layers) -> list[float]:
    return by_numpy.flat(*zip(*layers, strict=True))


def gradient(problem: Network) -> Prepared:
    layers, X, Y = layers_of(problem), np.array(problem.X), np.array(problem.Y)
    f = value_and_grad(loss_of)
    return Prepared(lambda: f(layers, X, Y), lambda r: [r[0], *flat(r[1])])


def epoch(problem: Network) -> Prepared:
    start, step = layers_of(problem), grad(loss_of)
    batches = [(np.array(X), np.array(Y)) for X, Y in problem.batches()]
    rate = problem.rate

    def call():
        layers = start
        for X, Y in batches:
            steps = step(layers, X, Y)
            layers = [
                (W - rate * dW, b - rate * db)
                for (W, b), (dW, db) in zip(layers, steps, strict=True)
            ]
        return layers

    return Prepared(call, flat)


def step(problem: Network) -> Prepared:
    layers, X, Y = layers_of(problem), np.array(problem.X), np.array(problem.Y)
    f, rate, count = value_and_grad(loss_of), problem.rate, len(problem.X)

    def call():
        loss, steps = f(layers, X, Y)
        moved = [
            (W - rate / count * dW, b - rate / count * db)
            for (W, b), (dW, db) in zip(layers, steps, strict=True)
        ]
        return loss / count, moved

    return Prepared(call, lambda r: [r[0], *flat(r[1])])


def second(problem: Network) -> Prepared:
    layers, point = layers_of(problem), np.array(problem.X[0])

    def scalar(x):
        return output(layers, x)[0]

    first, h = value_and_grad(scalar), hessian(scalar)
    return Prepared(
        lambda: (*first(point), h(point)), lambda r: [r[0], *r[1], *np.array(r[2]).ravel()]
    )


KINDS = {"gradient": gradient, "epoch": epoch, "step": step, "hessian": second}
PEERS = [Peer("autograd", "autograd", KINDS)]
