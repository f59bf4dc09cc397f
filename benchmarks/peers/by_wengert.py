"""wengert itself: networks written one scalar at a time, in every target there is."""

from functools import partial
from importlib.util import find_spec
from itertools import chain

from harness import Peer, Prepared
from problems import BETA1, BETA2, EPS, Matrices, Network, attention, cut, residual, square
from scalars import Scalars

import wengert as wg

ADAM = partial(wg.Adam, beta1=BETA1, beta2=BETA2, eps=EPS)
MATRICES = ("residual", "attention")


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


def as_taken(target: str, *parts) -> list:
    """Numbers, or rows of them, as the target takes them: lists for straight-line code, or arrays.

    A conversion is paid before the call, not in it.
    """
    if target == "python":
        return [[list(x) if isinstance(x, tuple) else x for x in part] for part in parts]
    import numpy as np

    return [np.array(part) for part in parts]


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
    (numbers,) = as_taken(target, problem.params)
    return Prepared(lambda: f(numbers), lambda r: [r["loss"], *r["grad"]])


def batched(problem: Network, target: str = "python") -> Prepared:
    """One sample's expression, compiled for a batch; the data are arguments."""
    net, graph = network(problem), wg.Graph()
    x, y = graph.inputs("x", problem.sizes[0]), graph.inputs("y", problem.sizes[-1])
    loss = error(outputs(net, x), y)
    f = wg.compile(
        {"params": net.parameters(), "x": x, "y": y},
        {"loss": loss, "grad": wg.grad(loss, net.parameters())},
        batch=("x", "y"),
        target=target,
    )
    given = as_taken(target, problem.params, problem.X, problem.Y)
    return Prepared(lambda: f(*given), lambda r: [r["loss"], *r["grad"]])


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
    (start,) = as_taken(target, problem.params)
    batches = [as_taken(target, X, [y for (y,) in Y]) for X, Y in problem.batches()]

    def call():
        params = start
        for X, Y in batches:
            params = step(params, [], X, Y)["params"]
        return params

    return Prepared(call, list)


def step(problem: Network, target: str = "python", optimizer=wg.SGD) -> Prepared:
    """A compiled training step on the mean loss, update included."""
    f = wg.training_step(
        network(problem),
        loss="squared_error",
        optimizer=optimizer(problem.rate),
        reduce="mean",
        target=target,
    )
    Y = [y for (y,) in problem.Y] if problem.sizes[-1] == 1 else problem.Y
    given = as_taken(target, problem.params, problem.state, problem.X, Y)
    return Prepared(lambda: f(*given), lambda r: [r["loss"], *r["params"], *r["state"]])


def adam_eager(problem: Network) -> Prepared:
    """The expression written anew, `backward`, and the optimizer's step on floats."""
    gradients, optimizer = eager(problem), ADAM(problem.rate)
    params, state, count = list(problem.params), list(problem.state), len(problem.X)

    def call():
        loss, *slopes = gradients.numbers(gradients.call())
        return loss / count, optimizer.step(params, [s / count for s in slopes], state)

    return Prepared(call, lambda r: [r[0], *r[1][0], *r[1][1]])


def matrices(kind: str, problem: Matrices, target: str = "python") -> Prepared:
    """A residual network's sample compiled for a batch, or all positions of attention as one.

    The data are arguments.
    """
    graph, width = wg.Graph(), problem.width
    batch, count = (("x", "y"), 1) if kind == "residual" else ((), len(problem.X))
    params = graph.inputs("w", len(problem.params))
    x, y = (graph.inputs(name, count * width) for name in "xy")
    loss = loss_of(kind, square(params, width), cut(x, width), cut(y, width))
    f = wg.compile(
        {"params": params, "x": x, "y": y},
        {"loss": loss, "grad": wg.grad(loss, params)},
        batch=batch,
        target=target,
    )
    X, Y = problem.X, problem.Y
    if kind == "attention":
        X, Y = ([number for row in part for number in row] for part in (X, Y))
    given = as_taken(target, problem.params, X, Y)
    return Prepared(lambda: f(*given), lambda r: [r["loss"], *r["grad"]])


def matrices_eager(kind: str, problem: Matrices) -> Prepared:
    """The expression of all rows written anew, and `backward`."""
    params = [wg.Value(number) for number in problem.params]
    weights = square(params, problem.width)

    def call():
        wg.zero_grad(params)
        loss = loss_of(kind, weights, problem.X, problem.Y)
        loss.backward()
        return loss

    return Prepared(call, lambda loss: [loss.data, *(p.grad for p in params)])


def loss_of(kind: str, weights, X, Y):
    """The sum of squared errors of all rows."""
    if kind == "residual":
        outs = [residual(weights, row, wg.tanh) for row in X]
    else:
        outs = attention(weights, X, wg.exp)
    losses = [error(out, targets) for out, targets in zip(outs, Y, strict=True)]
    return sum(losses[1:], losses[0])


def scalars(problem: Scalars, target: str = "python", dtype: str = "float64") -> Prepared:
    """One sample's expression, for a batch if there are several; an argument for each weight."""
    graph = wg.Graph()
    leaves = {name: leaves_of(graph, name, shape) for name, shape in problem.shapes.items()}
    arguments = {name: list(flattened(nest)) for name, nest in leaves.items()}
    functions = {name: getattr(wg, name) for name in problem.functions}
    if problem.indices:
        batch, loss = (), problem.total(leaves, functions)
    else:
        batch = ("x", "y") if len(problem.X) > 1 else ()
        x, y = (graph.inputs(name, len(rows[0])) for name, rows in data_of(problem).items())
        loss = problem.loss(leaves, x, y, functions)
    parameters = [leaf for part in arguments.values() for leaf in part]
    slopes = iter(wg.grad(loss, parameters, allow_unused=True))
    grad = {name: [next(slopes) for _ in part] for name, part in arguments.items()}
    if not problem.indices:
        arguments |= {"x": x, "y": y}
    outputs = {"loss": loss, "grad": grad}
    f = wg.compile(arguments, outputs, batch=batch, target=target, dtype=dtype)
    given = [list(flattened(nest)) for nest in problem.weights(problem.params).values()]
    if not problem.indices:
        given += list(data_of(problem).values()) if batch else [problem.X[0], problem.Y[0]]
    given = as_taken(target, *given)
    if dtype != "float64":
        given = [part.astype(dtype) for part in given]
    return Prepared(lambda: f(*given), lambda r: [r["loss"], *chain(*r["grad"].values())])


def data_of(problem: Scalars) -> dict:
    return {"x": problem.X, "y": problem.Y}


def leaves_of(graph: wg.Graph, name: str, shape: tuple[int, ...]) -> list:
    """Inputs of these names: w_2_1 is in row 2 and column 1."""
    if not shape:
        return graph.input(name)
    return [leaves_of(graph, f"{name}_{i}", shape[1:]) for i in range(shape[0])]


def flattened(nest):
    for item in nest:
        yield from flattened(item) if isinstance(item, list) else (item,)


def scalars_eager(problem: Scalars) -> Prepared:
    """The expression of all samples written anew, and `backward`."""
    params = [wg.Value(number) for number in problem.params]
    weights = problem.weights(params)
    functions = {name: getattr(wg, name) for name in problem.functions}

    def call():
        wg.zero_grad(params)
        loss = problem.total(weights, functions)
        loss.backward()
        return loss

    return Prepared(call, lambda loss: [loss.data, *(p.grad for p in params)])


def hessian(problem: Network, target: str = "python") -> Prepared:
    """Reverse mode twice, in one graph; the parameters' numbers are in the code."""
    net = network(problem)
    graph = wg.Graph()
    x = graph.inputs("x", problem.sizes[0])
    (out,) = outputs(net, x)
    first = wg.grad(out, x)
    wanted = {"y": out, "gradient": first, "hessian": wg.hessian(out, x)}
    f = wg.compile({"x": x}, wanted, target=target)
    (point,) = as_taken(target, problem.X[0])
    return Prepared(
        lambda: f(point),
        lambda r: [r["y"], *r["gradient"], *(h for row in r["hessian"] for h in row)],
    )


COMPILED = {
    "step": step,
    "adam": partial(step, optimizer=ADAM),
    "epoch": epoch,
    "scalars": scalars,
    "documents": scalars,
    **{kind: partial(matrices, kind) for kind in MATRICES},
}
SCALARS = {"gradient": gradient, "hessian": hessian, **COMPILED}
ARRAYS = {"gradient": batched, **COMPILED}
EAGER = {
    "gradient": eager,
    "adam": adam_eager,
    "scalars": scalars_eager,
    **{kind: partial(matrices_eager, kind) for kind in MATRICES},
}


def has_llvm() -> bool:
    return find_spec("llvmlite") is not None


def offered(kinds: dict, target: str) -> dict:
    return {kind: partial(how, target=target) for kind, how in kinds.items()}


PEERS = [
    Peer("wengert", "wengert", SCALARS, largest=500_000),
    Peer("wengert, data as arguments", "wengert", {"gradient": batched}, largest=500),
    Peer("wengert numpy", "wengert", offered(ARRAYS, "numpy")),
    Peer("wengert native", "llvmlite", offered(SCALARS, "native"), usable=has_llvm),
    Peer(
        "wengert native, float32",
        "llvmlite",
        {"documents": partial(scalars, target="native", dtype="float32")},
        usable=has_llvm,
    ),
    Peer("wengert eager", "wengert", EAGER, largest=500_000),
]
