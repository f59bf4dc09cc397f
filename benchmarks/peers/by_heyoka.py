"""heyoka: scalar expressions, `diff_tensors` in reverse mode, compiled by LLVM to a `cfunc`.

More than a few samples go through one call that evaluates the expression of a sample for all of
them at once, in SIMD lanes.
"""

import heyoka as hy
import numpy as np
from harness import Peer, Prepared
from problems import Network, forward, split, squared_error

UNROLLED = 5_000


def derivatives(outputs, by, order: int = 1):
    return hy.diff_tensors(outputs, diff_args=by, diff_order=order)


def gradient(problem: Network) -> Prepared:
    if problem.operations * len(problem.X) > UNROLLED:
        return over_samples(problem)
    params = [hy.expression(f"p{i}") for i in range(len(problem.params))]
    layers = split(params, problem.sizes)
    loss = hy.sum(
        [
            squared_error(forward(layers, x, hy.tanh), y)
            for x, y in zip(problem.X, problem.Y, strict=True)
        ]
    )
    f = hy.cfunc([loss, *derivatives([loss], params).gradient], params)
    given, results = np.array(problem.params), np.empty(len(params) + 1)
    return Prepared(lambda: f(given, outputs=results), lambda r: r.tolist())


def over_samples(problem: Network) -> Prepared:
    params = [hy.expression(f"p{i}") for i in range(len(problem.params))]
    x = [hy.expression(f"x{i}") for i in range(problem.sizes[0])]
    y = [hy.expression(f"y{i}") for i in range(problem.sizes[-1])]
    loss = squared_error(forward(split(params, problem.sizes), x, hy.tanh), y)
    outputs = [loss, *derivatives([loss], params).gradient]
    f = hy.cfunc(outputs, [*params, *x, *y], compact_mode=True)
    given = np.empty((len(params) + len(x) + len(y), len(problem.X)))
    given[len(params) :] = np.hstack([problem.X, problem.Y]).T
    numbers, results = np.array(problem.params), np.empty((len(outputs), len(problem.X)))

    def call():
        given[: len(params)] = numbers[:, None]
        return f(given, outputs=results).sum(axis=1)

    return Prepared(call, lambda r: r.tolist())


def hessian(problem: Network) -> Prepared:
    x = [hy.expression(f"x{i}") for i in range(problem.sizes[0])]
    (out,) = forward(problem.layers, x, hy.tanh)
    tensors = derivatives([out], x, 2)
    second = [h for row in tensors.hessian(0) for h in row]
    f = hy.cfunc([out, *tensors.gradient, *second], x)
    given, results = np.array(problem.X[0]), np.empty(1 + len(x) + len(second))
    return Prepared(lambda: f(given, outputs=results), lambda r: r.tolist())


PEERS = [Peer("heyoka", "heyoka", {"gradient": gradient, "hessian": hessian}, largest=5_000)]
