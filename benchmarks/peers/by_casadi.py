"""CasADi: scalar graphs (SX) differentiated in reverse mode; three ways to call the result.

The ordinary call takes and gives `DM`s; `Function.buffer` evaluates into memory that both sides
share; and the generated C, compiled with the system's compiler, is loaded back with `external`.
"""

import os
import subprocess
import tempfile
from functools import partial
from itertools import pairwise
from pathlib import Path
from shutil import which

import casadi as ca
import numpy as np
from harness import Peer, Prepared
from problems import (
    BETA1,
    BETA2,
    EPS,
    Matrices,
    Network,
    attention,
    forward,
    residual,
    split,
    square,
    squared_error,
)

UNROLLED, SCALAR = 5_000, 20_000
"""Up to so many operations the batch is one scalar graph, or a sample is, mapped over the batch;
what is larger is written in matrices (MX), as the documentation says for such."""


def gradient_function(problem: Network) -> ca.Function:
    """params → (loss, gradient), with the data built in."""
    if problem.operations * len(problem.X) <= UNROLLED:
        p = ca.SX.sym("p", len(problem.params))
        layers = split(ca.vertsplit(p), problem.sizes)
        losses = [
            squared_error(forward(layers, x, ca.tanh), y)
            for x, y in zip(problem.X, problem.Y, strict=True)
        ]
        loss = sum(losses[1:], losses[0])
        return ca.Function("f", [p], [loss, ca.gradient(loss, p)])
    p = ca.MX.sym("p", len(problem.params))
    if problem.operations <= SCALAR:
        return ca.Function("f", [p], summed(problem, p, problem.X, problem.Y))
    loss = loss_of_matrices(problem, p)
    return ca.Function("f", [p], [loss, ca.gradient(loss, p)])


def sample_function(problem: Network) -> ca.Function:
    """(params, x, y) → (loss, gradient) of one sample."""
    p = ca.SX.sym("p", len(problem.params))
    x, y = ca.SX.sym("x", problem.sizes[0]), ca.SX.sym("y", problem.sizes[-1])
    outs = forward(split(ca.vertsplit(p), problem.sizes), ca.vertsplit(x), ca.tanh)
    loss = squared_error(outs, ca.vertsplit(y))
    return ca.Function("sample", [p, x, y], [loss, ca.gradient(loss, p)])


def summed(problem: Network, p, X, Y) -> list:
    """Loss and gradient summed over samples: params stay, the outputs of the map add up."""
    return over_samples(sample_function(problem), p, X, Y)


def over_samples(sample: ca.Function, p, X, Y) -> list:
    f = sample.map("batch", "serial", len(X), [0], [0, 1], {})
    return list(f(p, ca.DM(X).T, ca.DM(Y).T))


def loss_of_matrices(problem: Network, p):
    """The loss of the whole batch; a column of a layer's matrix is a neuron, its bias last."""
    h, start = ca.DM(problem.X), 0
    for width, count in pairwise(problem.sizes):
        end = start + (width + 1) * count
        layer = ca.reshape(p[start:end], width + 1, count)
        biases = ca.repmat(layer[width, :], len(problem.X), 1)
        h, start = ca.tanh(h @ layer[:width, :] + biases), end
    return ca.sumsqr(h - ca.DM(problem.Y))


def epoch_function(problem: Network) -> ca.Function:
    """params → params after the minibatches: `mapaccum` carries them from one to the next."""
    count = len(problem.params)
    p = ca.MX.sym("p", count)
    x = ca.MX.sym("x", problem.sizes[0], problem.batch)
    y = ca.MX.sym("y", problem.sizes[-1], problem.batch)
    f = sample_function(problem).map("batch", "serial", problem.batch, [0], [0, 1], {})
    step = ca.Function("step", [p, x, y], [p - problem.rate * f(p, x, y)[1]])
    steps = step.mapaccum(len(problem.X) // problem.batch)
    start = ca.MX.sym("start", count)
    every = steps(start, ca.DM(problem.X).T, ca.DM(problem.Y).T)
    return ca.Function("f", [start], [every[:, -1]])


def step_function(problem: Network) -> ca.Function:
    """params → (mean loss, params after a step)."""
    p = ca.MX.sym("p", len(problem.params))
    loss, gradient = gradient_function(problem)(p)
    count = len(problem.X)
    return ca.Function("f", [p], [loss / count, p - problem.rate / count * gradient])


def adam_function(problem: Network) -> ca.Function:
    """(params, state) → (mean loss, params after a step of Adam, state), as one vector."""
    count, samples = len(problem.params), len(problem.X)
    given = ca.MX.sym("given", 3 * count + 2)
    p, powers, m, v = ca.vertsplit(given, [0, count, count + 2, 2 * count + 2, 3 * count + 2])
    loss, gradient = gradient_function(problem)(p)
    gradient = gradient / samples
    powers = powers * ca.DM([BETA1, BETA2])
    m = BETA1 * m + (1 - BETA1) * gradient
    v = BETA2 * v + (1 - BETA2) * gradient * gradient
    change = (m / (1 - powers[0])) / (ca.sqrt(v / (1 - powers[1])) + EPS)
    return ca.Function("f", [given], [loss / samples, p - problem.rate * change, powers, m, v])


def residual_function(problem: Matrices) -> ca.Function:
    """params → (loss, gradient): a scalar graph of one sample, mapped over the batch."""
    p = ca.SX.sym("p", len(problem.params))
    x, y = (ca.SX.sym(name, problem.width) for name in "xy")
    outs = residual(square(ca.vertsplit(p), problem.width), ca.vertsplit(x), ca.tanh)
    loss = squared_error(outs, ca.vertsplit(y))
    sample = ca.Function("sample", [p, x, y], [loss, ca.gradient(loss, p)])
    params = ca.MX.sym("params", p.numel())
    return ca.Function("f", [params], over_samples(sample, params, problem.X, problem.Y))


def attention_function(problem: Matrices) -> ca.Function:
    """params → (loss, gradient), with the data built in."""
    p = ca.SX.sym("p", len(problem.params))
    outs = attention(square(ca.vertsplit(p), problem.width), problem.X, ca.exp)
    loss = sum(squared_error(out, y) for out, y in zip(outs, problem.Y, strict=True))
    return ca.Function("f", [p], [loss, ca.gradient(loss, p)])


def hessian_function(problem: Network) -> ca.Function:
    x = ca.SX.sym("x", problem.sizes[0])
    (out,) = forward(problem.layers, ca.vertsplit(x), ca.tanh)
    second, first = ca.hessian(out, x)
    return ca.Function("f", [x], [out, first, ca.densify(second)])


def argument(problem, kind: str) -> np.ndarray:
    if kind == "hessian":
        return np.array(problem.X[0])
    return np.array([*problem.params, *problem.state] if kind == "adam" else problem.params)


FUNCTIONS = {
    "gradient": gradient_function,
    "epoch": epoch_function,
    "step": step_function,
    "hessian": hessian_function,
    "adam": adam_function,
    "residual": residual_function,
    "attention": attention_function,
}


def ordinary(kind: str, problem) -> Prepared:
    """Call the function as the documentation's examples do."""
    f, given = FUNCTIONS[kind](problem), argument(problem, kind)
    one = f.n_out() == 1
    return Prepared(
        lambda: f(given),
        lambda r: [x for part in ([r] if one else r) for x in part.full().ravel(order="F")],
    )


def buffered(kind: str, problem, compiled: bool = False) -> Prepared:
    """Evaluate without copies, in CasADi's virtual machine or as compiled C."""
    f, given = FUNCTIONS[kind](problem), argument(problem, kind)
    if compiled:
        f = external(f)
    results = [np.zeros(f.nnz_out(i)) for i in range(f.n_out())]
    buffer, evaluate = f.buffer()
    buffer.set_arg(0, memoryview(given))
    for i, result in enumerate(results):
        buffer.set_res(i, memoryview(result))

    def numbers(_):
        return [x for result in results for x in result.tolist()]

    return Prepared(evaluate, numbers, kept=(f, buffer, results, given))


def external(f: ca.Function) -> ca.Function:
    """The function's generated C, compiled and loaded back."""
    with tempfile.TemporaryDirectory() as folder:
        generator = ca.CodeGenerator("f.c")
        generator.add(f)
        generator.generate(folder + os.sep)
        library = str(Path(folder) / "f.so")
        flags = ["-O3", "-march=native", "-fPIC", "-shared"]
        subprocess.run(["cc", *flags, str(Path(folder) / "f.c"), "-o", library, "-lm"], check=True)
        return ca.external("f", library)


def offered(how) -> dict:
    return {kind: partial(how, kind) for kind in FUNCTIONS}


PEERS = [
    Peer("casadi", "casadi", offered(ordinary)),
    Peer("casadi, buffered", "casadi", offered(buffered)),
    Peer(
        "casadi C, buffered",
        "casadi",
        offered(partial(buffered, compiled=True)),
        largest=SCALAR,
        usable=lambda: os.name == "posix" and which("cc") is not None,
    ),
]
