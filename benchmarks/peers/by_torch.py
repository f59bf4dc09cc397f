"""PyTorch: the usual eager loop, and `torch.compile` of it."""

import torch
from harness import Peer, Prepared
from problems import Network

from peers import by_numpy


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


PEERS = [
    Peer(
        "pytorch",
        "torch",
        {"gradient": gradient, "epoch": epoch, "step": step, "hessian": hessian},
    ),
    Peer("torch.compile", "torch", {"gradient": lambda p: gradient(p, compiled=True)}, slow=True),
]
