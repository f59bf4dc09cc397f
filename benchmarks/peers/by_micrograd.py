"""micrograd: its `Value` and its way of writing networks, with the tanh and exp that it lacks."""

import math
from functools import partial

from harness import Peer, Prepared
from micrograd.engine import Value
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


def tanh(x: Value) -> Value:
    """An operation added as micrograd's own are written."""
    t = math.tanh(x.data)
    out = Value(t, (x,), "tanh")

    def _backward():
        x.grad += (1 - t * t) * out.grad

    out._backward = _backward
    return out


def exp(x: Value) -> Value:
    """Likewise."""
    out = Value(math.exp(x.data), (x,), "exp")

    def _backward():
        x.grad += out.data * out.grad

    out._backward = _backward
    return out


def loss_of(layers, X, Y) -> Value:
    """The notebook's loss."""
    return sum(
        (out - target) ** 2
        for x, y in zip(X, Y, strict=True)
        for out, target in zip(forward(layers, x, tanh), y, strict=True)
    )


def gradient(problem: Network) -> Prepared:
    params = [Value(number) for number in problem.params]
    layers = split(params, problem.sizes)

    def call():
        for p in params:
            p.grad = 0.0
        loss = loss_of(layers, problem.X, problem.Y)
        loss.backward()
        return loss

    return Prepared(call, lambda loss: [loss.data, *(p.grad for p in params)])


def epoch(problem: Network) -> Prepared:
    params = [Value(number) for number in problem.params]
    layers = split(params, problem.sizes)
    batches = list(problem.batches())

    def call():
        for p, number in zip(params, problem.params, strict=True):
            p.data = number
        for X, Y in batches:
            for p in params:
                p.grad = 0.0
            loss_of(layers, X, Y).backward()
            for p in params:
                p.data -= problem.rate * p.grad

    return Prepared(call, lambda _: [p.data for p in params])


def adam(problem: Network) -> Prepared:
    """Gradients of the mean loss, and the paper's update in plain floats."""
    gradients, count, rate = gradient(problem), len(problem.X), problem.rate

    def call():
        loss, *slopes = gradients.numbers(gradients.call())
        power1, power2 = problem.state[0] * BETA1, problem.state[1] * BETA2
        moved, first, second = [], [], []
        for p, total, m, v in zip(problem.params, slopes, *problem.moments, strict=True):
            g = total / count
            m = BETA1 * m + (1 - BETA1) * g
            v = BETA2 * v + (1 - BETA2) * g * g
            moved.append(p - rate * (m / (1 - power1)) / (math.sqrt(v / (1 - power2)) + EPS))
            first.append(m)
            second.append(v)
        return [loss / count, *moved, power1, power2, *first, *second]

    return Prepared(call, list)


def matrices(kind: str, problem: Matrices) -> Prepared:
    params = [Value(number) for number in problem.params]
    weights = square(params, problem.width)

    def call():
        for p in params:
            p.grad = 0.0
        if kind == "residual":
            outs = [residual(weights, row, tanh) for row in problem.X]
        else:
            outs = attention(weights, problem.X, exp)
        loss = sum(squared_error(out, y) for out, y in zip(outs, problem.Y, strict=True))
        loss.backward()
        return loss

    return Prepared(call, lambda loss: [loss.data, *(p.grad for p in params)])


KINDS = {
    "gradient": gradient,
    "epoch": epoch,
    "adam": adam,
    "residual": partial(matrices, "residual"),
    "attention": partial(matrices, "attention"),
}
PEERS = [Peer("micrograd", "micrograd", KINDS, largest=20_000)]
