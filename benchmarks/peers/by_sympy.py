"""sympy: the derivatives as formulas, then `lambdify` with common subexpressions and `math`."""

import sympy
from harness import Peer, Prepared
from problems import Network, forward, split, squared_error


def gradient(problem: Network) -> Prepared:
    params = sympy.symbols(f"p:{len(problem.params)}", real=True)
    layers = split(params, problem.sizes)
    loss = sum(
        squared_error(forward(layers, x, sympy.tanh), y)
        for x, y in zip(problem.X, problem.Y, strict=True)
    )
    outputs = [loss, *(sympy.diff(loss, p) for p in params)]
    f = sympy.lambdify([params], outputs, modules="math", cse=True)
    numbers = list(problem.params)
    return Prepared(lambda: f(numbers), list)


def hessian(problem: Network) -> Prepared:
    x = sympy.symbols(f"x:{problem.sizes[0]}", real=True)
    (out,) = forward(problem.layers, x, sympy.tanh)
    first = [sympy.diff(out, v) for v in x]
    second = [sympy.diff(g, v) for g in first for v in x]
    f = sympy.lambdify([x], [out, *first, *second], modules="math", cse=True)
    point = list(problem.X[0])
    return Prepared(lambda: f(point), list)


PEERS = [
    Peer("sympy lambdify", "sympy", {"gradient": gradient}, largest=500),
    Peer("sympy lambdify", "sympy", {"hessian": hessian}, slow=True),
]
