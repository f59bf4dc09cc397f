"""wengert itself: networks written one scalar at a time, in every target there is."""

from functools import partial

from harness import Peer, Prepared
from problems import Network

import wengert as wg


def network(problem: Network) -> wg.MLP:
    """The scalar network with the problem's parameters."""
    net = wg.MLP(problem.sizes[0], list(problem.sizes[1:]), seed=0)
    for parameter, number in zip(net.parameters(), problem.params, strict=True):
        parameter.data = number
    return net


def outputs(net, row) -> list:
    """What the network gives, as a list also when it is one number."""
    out = net(list(row))
    return out if isinstance(out, list) else [out]


def error(outs, targets):
    """The sum of squared errors, as the notebook writes it."""
    terms = [(out - target) ** 2 for out, target in zip(outs, targets, strict=True)]
    return sum(terms[1:], terms[0])


def unrolled(problem: Network, target: str = "python") -> Prepared:
    """The notebook's own expression: the sum over its samples, with their numbers in it."""
    net = network(problem)
    graph = wg.Graph()
    params = net.parameters()
    rows = [[graph.constant(x) for x in row] for row in problem.X]
    losses = [error(outputs(net, r), y) for r, y in zip(rows, problem.Y, strict=True)]
    loss = sum(losses[1:], losses[0])
    wanted = {"loss": loss, "grad": wg.grad(loss, params)}
    f = wg.compile({"params": params}, wanted, target=target)
    numbers = list(problem.params)
    return Prepared(lambda: f(numbers), lambda r: [r["loss"], *r["grad"]])


def batched(problem: Network, target: str = "python") -> Prepared:
    """One sample's expression, compiled for a batch; the data are arguments."""
    net, params = network(problem), list(problem.params)
    graph = wg.Graph()
    x, y = graph.inputs("x", problem.sizes[0]), graph.inputs("y", problem.sizes[-1])
    loss = error(outputs(net, x), y)
    f = wg.compile(
        {"params": net.parameters(), "x": x, "y": y},
        {"loss": loss, "grad": wg.grad(loss, net.parameters())},
        batch=("x", "y"),
        target=target,
    )
    X, Y = [list(row) for row in problem.X], [list(row) for row in problem.Y]
    if target != "python":
        import numpy as np

        params, X, Y = np.array(params), np.array(X), np.array(Y)
    return Prepared(lambda: f(params, X, Y), lambda r: [r["loss"], *r["grad"]])


def gradient(problem: Network, target: str = "python") -> Prepared:
    """What a user would write: few samples as one expression, many as a batch."""
    return (unrolled if len(problem.X) < 8 else batched)(problem, target)


def eager(problem: Network) -> Prepared:
    """The notebook's habit: the expression written anew for every step, and `backward`."""
    net = network(problem)
    params = net.parameters()

    def call():
        net.zero_grad()
        rows = zip(problem.X, problem.Y, strict=True)
        losses = [error(outputs(net, x), y) for x, y in rows]
        loss = sum(losses[1:], losses[0])
        loss.backward()
        return loss

    return Prepared(call, lambda loss: [loss.data, *(p.grad for p in params)])


def epoch(problem: Network, target: str = "python") -> Prepared:
    """A compiled training step, update included, for each minibatch."""
    step = wg.training_step(
        network(problem), loss="squared_error", optimizer=wg.SGD(problem.rate), target=target
    )
    start = list(problem.params)
    batches = [([list(r) for r in X], [y for (y,) in Y]) for X, Y in problem.batches()]
    if target != "python":
        import numpy as np

        start = np.array(start)
        batches = [(np.array(X), np.array(Y)) for X, Y in batches]

    def call():
        params = start
        for X, Y in batches:
            params = step(params, [], X, Y)["params"]
        return params

    return Prepared(call, list)


def step(problem: Network, target: str = "python") -> Prepared:
    """A compiled training step on the mean loss, update included."""
    f = wg.training_step(
        network(problem),
        loss="squared_error",
        optimizer=wg.SGD(problem.rate),
        reduce="mean",
        target=target,
    )
    params, X, Y = list(problem.params), [list(r) for r in problem.X], [list(r) for r in problem.Y]
    if len(Y[0]) == 1:
        Y = [y for (y,) in Y]
    if target != "python":
        import numpy as np

        params, X, Y = np.array(params), np.array(X), np.array(Y)
    state = params[:0]
    return Prepared(lambda: f(params, state, X, Y), lambda r: [r["loss"], *r["params"]])


def hessian(problem: Network, target: str = "python") -> Prepared:
    """Reverse mode twice, in one graph; the parameters' numbers are in the code."""
    net = network(problem)
    graph = wg.Graph()
    x = graph.inputs("x", problem.sizes[0])
    (out,) = outputs(net, x)
    first = wg.grad(out, x)
    wanted = {"y": out, "gradient": first, "hessian": wg.hessian(out, x)}
    f = wg.compile({"x": x}, wanted, target=target)
    point = list(problem.X[0])
    return Prepared(
        lambda: f(point),
        lambda r: [r["y"], *r["gradient"], *(h for row in r["hessian"] for h in row)],
    )


PEERS = [
    Peer(
        "wengert",
        "wengert",
        {"gradient": gradient, "epoch": epoch, "step": step, "hessian": hessian},
        largest=500_000,
    ),
    Peer(
        "wengert, data as arguments",
        "wengert",
        {"gradient": batched},
        largest=500,
    ),
    Peer(
        "wengert numpy",
        "wengert",
        {
            "gradient": partial(batched, target="numpy"),
            "epoch": partial(epoch, target="numpy"),
            "step": partial(step, target="numpy"),
        },
    ),
    Peer(
        "wengert native",
        "llvmlite",
        {
            "gradient": partial(gradient, target="native"),
            "epoch": partial(epoch, target="native"),
            "step": partial(step, target="native"),
            "hessian": partial(hessian, target="native"),
        },
        largest=50_000,
    ),
    Peer("wengert eager", "wengert", {"gradient": eager}, largest=50_000),
]
