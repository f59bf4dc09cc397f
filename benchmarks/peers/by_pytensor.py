"""PyTensor: matrix expressions, compiled through C or numba, called with trusted inputs."""

from functools import partial

import numpy as np
import pytensor
import pytensor.tensor as pt
from harness import Peer, Prepared
from problems import BETA1, BETA2, EPS, Matrices, Network, split

from peers import by_numpy

MODES = {"c": pytensor.compile.mode.Mode(linker="cvm", optimizer="fast_run"), "numba": "NUMBA"}


def output(weights, biases, h):
    for W, b in zip(weights, biases, strict=True):
        h = pt.tanh(h @ W + b)
    return h


def gradient(problem: Network, mode: str, rate: float | None = None) -> Prepared:
    """The gradient of the loss; or, given a rate, the parameters after a step on the mean loss."""
    arrays = by_numpy.arrays(problem)
    weights = [pt.dmatrix() for _ in arrays[0]]
    biases = [pt.dvector() for _ in arrays[1]]
    error = output(weights, biases, pt.constant(np.array(problem.X))) - np.array(problem.Y)
    loss = (error * error).sum()
    if rate is not None:
        loss = loss / len(problem.X)
    inputs = [*weights, *biases]
    results = pt.grad(loss, inputs)
    if rate is not None:
        results = [p - rate * d for p, d in zip(inputs, results, strict=True)]
    f = pytensor.function(inputs, [loss, *results], mode=MODES[mode])
    f.trust_input = True
    given, count = [*arrays[0], *arrays[1]], len(weights)
    return Prepared(
        lambda: f(*given), lambda r: [r[0], *by_numpy.flat(r[1 : count + 1], r[count + 1 :])]
    )


def step(problem: Network, mode: str) -> Prepared:
    return gradient(problem, mode, problem.rate)


def epoch(problem: Network, mode: str) -> Prepared:
    """Shared variables with updates, the documentation's way to train."""
    arrays = by_numpy.arrays(problem)
    weights, biases = ([pytensor.shared(a) for a in part] for part in arrays)
    params = [*weights, *biases]
    X, Y = pt.dmatrix(), pt.dmatrix()
    error = output(weights, biases, X) - Y
    steps = pt.grad((error * error).sum(), params)
    updates = [(p, p - problem.rate * d) for p, d in zip(params, steps, strict=True)]
    f = pytensor.function([X, Y], [], updates=updates, mode=MODES[mode])
    f.trust_input = True
    batches = [(np.array(X), np.array(Y)) for X, Y in problem.batches()]
    start = [*arrays[0], *arrays[1]]

    def call():
        for p, array in zip(params, start, strict=True):
            p.set_value(array)
        for batch in batches:
            f(*batch)

    return Prepared(
        call,
        lambda _: by_numpy.flat([w.get_value() for w in weights], [b.get_value() for b in biases]),
    )


def hessian(problem: Network, mode: str) -> Prepared:
    weights, biases = by_numpy.arrays(problem)
    x = pt.dvector()
    out = output(weights, biases, x)[0]
    first = pt.grad(out, x)
    second = pt.stack([pt.grad(first[i], x) for i in range(problem.sizes[0])])
    f = pytensor.function([x], [out, first, second], mode=MODES[mode])
    f.trust_input = True
    point = np.array(problem.X[0])
    return Prepared(lambda: f(point), lambda r: [x for part in r for x in np.ravel(part)])


def adam(problem: Network, mode: str) -> Prepared:
    """The parameters and the state after a step on the mean loss."""
    parts = [problem.params, *problem.moments]
    arrays = [by_numpy.arrays_of(split(part, problem.sizes)) for part in parts]
    given = [array for part in arrays for kind in part for array in kind]
    count = len(given) // 3
    params, first, second = (
        [pt.tensor(dtype="float64", shape=(None,) * array.ndim) for array in given[:count]]
        for _ in parts
    )
    power1, power2 = pt.dscalar(), pt.dscalar()
    weights, biases = params[: count // 2], params[count // 2 :]
    error = output(weights, biases, pt.constant(np.array(problem.X))) - np.array(problem.Y)
    loss = (error * error).sum() / len(problem.X)
    slopes = pt.grad(loss, params)
    powers = [power1 * BETA1, power2 * BETA2]
    moments = [
        [BETA1 * m + (1 - BETA1) * g for m, g in zip(first, slopes, strict=True)],
        [BETA2 * v + (1 - BETA2) * g * g for v, g in zip(second, slopes, strict=True)],
    ]
    moved = [
        p - problem.rate * (m / (1 - powers[0])) / (pt.sqrt(v / (1 - powers[1])) + EPS)
        for p, m, v in zip(params, *moments, strict=True)
    ]
    f = pytensor.function(
        [*params, *first, *second, power1, power2],
        [loss, *powers, *moved, *moments[0], *moments[1]],
        mode=MODES[mode],
    )
    f.trust_input = True
    given += [np.array(power) for power in problem.state[:2]]

    def numbers(result):
        loss, power1, power2, *rest = result
        parts = [rest[i : i + count] for i in range(0, len(rest), count)]
        moved, *moments = (by_numpy.flat(p[: count // 2], p[count // 2 :]) for p in parts)
        return [loss, *moved, power1, power2, *moments[0], *moments[1]]

    return Prepared(lambda: f(*given), numbers)


def residual_output(weights, h):
    for W in weights:
        h = h + pt.tanh(h @ W.T)
    return h


def attention_output(weights, X):
    q, k, v = (X @ W.T for W in weights)
    width, size = X.type.shape[1], X.type.shape[0]
    shares = pt.exp(q @ k.T / width**0.5) * np.tri(size)
    return shares / shares.sum(axis=1, keepdims=True) @ v


def matrices(out, problem: Matrices, mode: str) -> Prepared:
    given, X, Y = by_numpy.stacked(problem)
    inputs = [pt.dmatrix() for _ in given]
    error = out(inputs, pt.constant(X)) - Y
    loss = (error * error).sum()
    f = pytensor.function(inputs, [loss, *pt.grad(loss, inputs)], mode=MODES[mode])
    f.trust_input = True
    return Prepared(lambda: f(*given), lambda r: by_numpy.loss_and_array((r[0], r[1:])))


def offered(mode: str) -> dict:
    kinds = {
        "gradient": gradient,
        "epoch": epoch,
        "step": step,
        "hessian": hessian,
        "adam": adam,
        "residual": partial(matrices, residual_output),
        "attention": partial(matrices, attention_output),
    }
    return {kind: partial(how, mode=mode) for kind, how in kinds.items()}


PEERS = [
    Peer("pytensor c", "pytensor", offered("c"), usable=lambda: bool(pytensor.config.cxx)),
    Peer("pytensor numba", "pytensor", offered("numba"), slow=True),
]
