"""SymEngine: `Lambdify` with common subexpressions, evaluated in C++ or compiled by LLVM."""

from functools import partial

import numpy as np
import symengine
from harness import Peer, Prepared
from problems import Network, forward, split, squared_error


def compiled(inputs, outputs, given, backend: str) -> Prepared:
    """`unsafe_real` is what `Lambdify` offers for calls without checks and conversions."""
    f = symengine.Lambdify(inputs, outputs, cse=True, backend=backend)
    numbers, results = np.array(given), np.empty(len(outputs))

    def call():
        f.unsafe_real(numbers, results)
        return results

    return Prepared(call, lambda r: r.tolist())


def gradient(problem: Network, backend: str) -> Prepared:
    params = symengine.symbols(f"p:{len(problem.params)}")
    layers = split(params, problem.sizes)
    loss = sum(
        squared_error(forward(layers, x, symengine.tanh), y)
        for x, y in zip(problem.X, problem.Y, strict=True)
    )
    return compiled(params, [loss, *(loss.diff(p) for p in params)], problem.params, backend)


def hessian(problem: Network, backend: str) -> Prepared:
    x = symengine.symbols(f"x:{problem.sizes[0]}")
    (out,) = forward(problem.layers, x, symengine.tanh)
    first = [out.diff(v) for v in x]
    second = [g.diff(v) for g in first for v in x]
    return compiled(x, [out, *first, *second], problem.X[0], backend)


def offered(backend: str) -> dict:
    return {
        "gradient": partial(gradient, backend=backend),
        "hessian": partial(hessian, backend=backend),
    }


PEERS = [
    Peer("symengine", "symengine", offered("lambda"), largest=500),
    Peer(
        "symengine llvm",
        "symengine",
        offered("llvm"),
        largest=500,
        usable=lambda: symengine.have_llvm,
    ),
]
