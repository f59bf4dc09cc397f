"""PyTensor: matrix expressions, compiled through C or numba, called with trusted inputs."""

from functools import partial

import numpy as np
import pytensor
import pytensor.tensor as pt
from harness import Peer, Prepared
from problems import Network

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


def offered(mode: str) -> dict:
    kinds = {"gradient": gradient, "epoch": epoch, "step": step, "hessian": hessian}
    return {kind: partial(how, mode=mode) for kind, how in kinds.items()}


PEERS = [
    Peer("pytensor c", "pytensor", offered("c"), usable=lambda: bool(pytensor.config.cxx)),
    Peer("pytensor numba", "pytensor", offered("numba"), slow=True),
]
