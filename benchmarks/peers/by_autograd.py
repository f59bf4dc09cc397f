"""HIPS autograd: NumPy code, traced on every call."""

from functools import partial

import autograd.numpy as np
from autograd import grad, hessian, value_and_grad
from autograd.misc import flatten
from harness import Peer, Prepared
from problems import BETA1, BETA2, EPS, Matrices, Network, split
from scalars import Scalars

from peers import array_losses, by_numpy


def output(layers, h):
    for W, b in layers:
        h = np.tanh(np.dot(h, W) + b)
    return h


def loss_of(layers, X, Y):
    error = output(layers, X) - Y
    return np.sum(error * error)


def layers_of(problem: Network) -> list:
    return list(zip(*by_numpy.arrays(problem), strict=True))


def moments_of(problem: Network) -> list[list]:
    """Adam's two moments, as layers."""
    parts = [by_numpy.arrays_of(split(part, problem.sizes)) for part in problem.moments]
    return [list(zip(*part, strict=True)) for part in parts]


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


def adam(problem: Network) -> Prepared:
    """Parameters and moments as flat vectors, as in `autograd.misc.optimizers`."""
    X, Y, rate, count = np.array(problem.X), np.array(problem.Y), problem.rate, len(problem.X)
    start, unflatten = flatten(layers_of(problem))
    m, v = (flatten(layers)[0] for layers in moments_of(problem))
    power1, power2 = problem.state[:2]
    f = value_and_grad(lambda params: loss_of(unflatten(params), X, Y) / count)

    def call():
        loss, g = f(start)
        powers = power1 * BETA1, power2 * BETA2
        first = (1 - BETA1) * g + BETA1 * m
        second = (1 - BETA2) * g**2 + BETA2 * v
        corrected = first / (1 - powers[0]), second / (1 - powers[1])
        moved = start - rate * corrected[0] / (np.sqrt(corrected[1]) + EPS)
        return loss, moved, powers, first, second

    def numbers(result):
        loss, moved, powers, *moments = result
        moved, first, second = (flat(unflatten(vector)) for vector in (moved, *moments))
        return [loss, *moved, *powers, *first, *second]

    return Prepared(call, numbers)


def residual_loss(weights, h, Y):
    for W in weights:
        h = h + np.tanh(np.dot(h, W.T))
    error = h - Y
    return np.sum(error * error)


def attention_loss(weights, X, Y, seen):
    q, k, v = (np.dot(X, W.T) for W in weights)
    shares = np.exp(np.dot(q, k.T) / X.shape[1] ** 0.5) * seen
    error = np.dot(shares / np.sum(shares, axis=1, keepdims=True), v) - Y
    return np.sum(error * error)


def attention(problem: Matrices) -> Prepared:
    return matrices(partial(attention_loss, seen=np.tri(len(problem.X))), problem)


def matrices(loss, problem: Matrices) -> Prepared:
    given, f = by_numpy.stacked(problem), value_and_grad(loss)
    return Prepared(lambda: f(*given), by_numpy.loss_and_array)


def scalars(problem: Scalars) -> Prepared:
    weights, data = array_losses.given(problem)
    f = value_and_grad(partial(array_losses.WRITTEN[problem.loss], np), 0)
    return Prepared(lambda: f(weights, *data), array_losses.loss_and_arrays)


KINDS = {
    "gradient": gradient,
    "epoch": epoch,
    "step": step,
    "hessian": second,
    "adam": adam,
    "residual": partial(matrices, residual_loss),
    "attention": attention,
    "scalars": scalars,
}
PEERS = [Peer("autograd", "autograd", KINDS)]
