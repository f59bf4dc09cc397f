"""PyTorch: the usual eager loop, and `torch.compile` of it."""

import math
from functools import partial

import torch
from harness import Peer, Prepared
from problems import BETA1, BETA2, EPS, Matrices, Network, split
from scalars import Scalars

from peers import array_losses, by_numpy


def output(layers, h):
    for W, b in layers:
        h = torch.tanh(h @ W + b)
    return h


def loss_of(layers, X, Y):
    error = output(layers, X) - Y
    return (error * error).sum()


def layers_of(problem: Network, trained: bool = True) -> list:
    weights, biases = by_numpy.arrays(problem)
    tensors = [(torch.tensor(W), torch.tensor(b)) for W, b in zip(weights, biases, strict=True)]
    return [tuple(t.requires_grad_(trained) for t in pair) for pair in tensors]


def flat(layers) -> list[float]:
    return by_numpy.flat(*zip(*[(W.numpy(), b.numpy()) for W, b in layers], strict=True))


def tensors_of(X, Y) -> tuple:
    return torch.tensor(X, dtype=torch.float64), torch.tensor(Y, dtype=torch.float64)


def gradient(problem: Network, compiled: bool = False) -> Prepared:
    layers, (X, Y) = layers_of(problem), tensors_of(problem.X, problem.Y)
    params = [t for pair in layers for t in pair]
    f = torch.compile(loss_of) if compiled else loss_of

    def call():
        for p in params:
            p.grad = None
        loss = f(layers, X, Y)
        loss.backward()
        return loss

    return Prepared(call, lambda loss: [loss.item(), *flat([(W.grad, b.grad) for W, b in layers])])


def epoch(problem: Network) -> Prepared:
    start, layers = layers_of(problem, trained=False), layers_of(problem)
    params = [t for pair in layers for t in pair]
    first = [t for pair in start for t in pair]
    batches = [tensors_of(X, Y) for X, Y in problem.batches()]
    optimizer = torch.optim.SGD(params, lr=problem.rate)

    def call():
        with torch.no_grad():
            for p, t in zip(params, first, strict=True):
                p.copy_(t)
        for X, Y in batches:
            optimizer.zero_grad()
            loss_of(layers, X, Y).backward()
            optimizer.step()

    return Prepared(call, lambda _: flat([(W.detach(), b.detach()) for W, b in layers]))


def step(problem: Network) -> Prepared:
    """A step into new tensors, as torch.func's functions take them."""
    layers, (X, Y) = layers_of(problem), tensors_of(problem.X, problem.Y)
    params = [t for pair in layers for t in pair]
    rate, count = problem.rate, len(problem.X)

    def call():
        loss = loss_of(layers, X, Y) / count
        steps = torch.autograd.grad(loss, params)
        with torch.no_grad():
            return loss, [p.add(d, alpha=-rate) for p, d in zip(params, steps, strict=True)]

    return Prepared(call, lambda r: [r[0].item(), *flat(zip(r[1][::2], r[1][1::2], strict=True))])


def hessian(problem: Network) -> Prepared:
    layers = layers_of(problem, trained=False)
    point = torch.tensor(problem.X[0], dtype=torch.float64)

    def scalar(x):
        return output(layers, x)[0]

    first, second = torch.func.grad_and_value(scalar), torch.func.hessian(scalar)

    def call():
        g, y = first(point)
        return y, g, second(point)

    return Prepared(call, lambda r: [r[0].item(), *r[1].tolist(), *r[2].ravel().tolist()])


def adam(problem: Network) -> Prepared:
    """`torch.optim.Adam`, put back to the start before each step."""
    layers, (X, Y) = layers_of(problem), tensors_of(problem.X, problem.Y)
    params = [t for pair in layers for t in pair]
    settings = {"lr": problem.rate, "betas": (BETA1, BETA2), "eps": EPS}
    optimizer, count = torch.optim.Adam(params, **settings), len(problem.X)
    start = [t.detach().clone() for t in params]
    first, second = (
        [torch.tensor(a) for pair in zip(*by_numpy.arrays_of(layer), strict=True) for a in pair]
        for layer in (split(part, problem.sizes) for part in problem.moments)
    )
    steps = float(round(math.log(problem.state[0], BETA1)))
    for p, m, v in zip(params, first, second, strict=True):
        state = {"step": torch.tensor(steps), "exp_avg": m.clone(), "exp_avg_sq": v.clone()}
        optimizer.state[p] = state

    def call():
        with torch.no_grad():
            for p, t, m, v in zip(params, start, first, second, strict=True):
                p.copy_(t)
                state = optimizer.state[p]
                state["exp_avg"].copy_(m)
                state["exp_avg_sq"].copy_(v)
                state["step"].fill_(steps)
        optimizer.zero_grad()
        loss = loss_of(layers, X, Y) / count
        loss.backward()
        optimizer.step()
        return loss

    def numbers(loss):
        states = [optimizer.state[p] for p in params]
        power = states[0]["step"].item()
        parts = [[p.detach() for p in params]]
        parts += [[state[name] for state in states] for name in ("exp_avg", "exp_avg_sq")]
        moved, *moments = (flat(zip(part[::2], part[1::2], strict=True)) for part in parts)
        return [loss.item(), *moved, BETA1**power, BETA2**power, *moments[0], *moments[1]]

    return Prepared(call, numbers)


def residual_loss(weights, h, Y):
    for W in weights:
        h = h + torch.tanh(h @ W.T)
    error = h - Y
    return (error * error).sum()


def attention_loss(weights, X, Y, seen):
    q, k, v = (X @ W.T for W in weights)
    shares = torch.exp(q @ k.T / X.shape[1] ** 0.5) * seen
    error = shares / shares.sum(dim=1, keepdim=True) @ v - Y
    return (error * error).sum()


def attention(problem: Matrices) -> Prepared:
    size = len(problem.X)
    seen = torch.ones(size, size, dtype=torch.float64).tril()
    return matrices(partial(attention_loss, seen=seen), problem)


def matrices(loss_of, problem: Matrices) -> Prepared:
    weights, X, Y = map(torch.tensor, by_numpy.stacked(problem))
    weights = [W.requires_grad_() for W in weights.clone().unbind()]

    def call():
        for W in weights:
            W.grad = None
        loss = loss_of(weights, X, Y)
        loss.backward()
        return loss

    return Prepared(
        call,
        lambda loss: by_numpy.loss_and_array((loss.item(), [W.grad.numpy() for W in weights])),
    )


def scalars(problem: Scalars) -> Prepared:
    weights, data = array_losses.given(problem)
    loss_of = array_losses.WRITTEN[problem.loss]
    weights = {name: torch.tensor(array).requires_grad_() for name, array in weights.items()}
    data = [torch.tensor(array) for array in data]

    def call():
        for W in weights.values():
            W.grad = None
        loss = loss_of(torch, weights, *data)
        loss.backward()
        return loss

    def numbers(loss):
        gradients = {name: W.grad.numpy() for name, W in weights.items()}
        return array_losses.loss_and_arrays((loss.item(), gradients))

    return Prepared(call, numbers)


KINDS = {
    "gradient": gradient,
    "epoch": epoch,
    "step": step,
    "hessian": hessian,
    "adam": adam,
    "residual": partial(matrices, residual_loss),
    "attention": attention,
    "scalars": scalars,
}
PEERS = [
    Peer("pytorch", "torch", KINDS),
    Peer("torch.compile", "torch", {"gradient": lambda p: gradient(p, compiled=True)}, slow=True),
]
