"""What is measured: networks of tanh neurons with their data, and the exact answers.

Numbers come from Python's `random` with a seed; the answers from plain loops over floats, written
apart from every peer and from wengert, so that all of them have one judge.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

Layer = tuple[list[list[float]], list[float]]
"""A layer's weights, a row per neuron, and its biases."""


@dataclass(frozen=True)
class Network:
    """A tanh network, samples, and the sum of squared errors: sum((net(x) - y)**2).

    params are in the order of a scalar network: layer by layer, neuron by neuron, the weights
    before the bias. batch is for the cases that run a whole epoch of SGD, rate also for a step.
    """

    sizes: tuple[int, ...]
    params: tuple[float, ...]
    X: tuple[tuple[float, ...], ...]
    Y: tuple[tuple[float, ...], ...]
    batch: int = 0
    rate: float = 0.0

    @cached_property
    def layers(self) -> list[Layer]:
        """The parameters by layer."""
        return split(self.params, self.sizes)

    @property
    def operations(self) -> int:
        """Roughly how many scalar operations loss and gradient of one sample take."""
        return 5 * sum(m * n for m, n in pairwise(self.sizes))

    def batches(self):
        """The data in minibatches."""
        for start in range(0, len(self.X), self.batch):
            yield self.X[start : start + self.batch], self.Y[start : start + self.batch]


def split(params: Sequence, sizes: Sequence[int]) -> list:
    """Flat parameters as layers of (rows of weights, biases); they may be symbols as well."""
    numbers = iter(params)
    layers = []
    for width, count in pairwise(sizes):
        rows = [[next(numbers) for _ in range(width + 1)] for _ in range(count)]
        layers.append(([row[:-1] for row in rows], [row[-1] for row in rows]))
    return layers


def join(layers) -> list[float]:
    """Layers of (weights, biases), as lists or arrays, flat again."""
    flat = []
    for weights, biases in layers:
        for row, bias in zip(weights, biases, strict=True):
            flat += [*map(float, row), float(bias)]
    return flat


def forward(layers, row, tanh) -> list:
    """The network's outputs, for numbers or symbols that go with `tanh`."""
    for weights, biases in layers:
        sums = []
        for ws, b in zip(weights, biases, strict=True):
            sums.append(sum((w * x for w, x in zip(ws, row, strict=True)), b))
        row = [tanh(s) for s in sums]
    return row


def squared_error(outputs, targets):
    """The sum of the squared differences, for numbers or symbols."""
    terms = [(o - t) * (o - t) for o, t in zip(outputs, targets, strict=True)]
    return sum(terms[1:], terms[0])


def notebook() -> Network:
    """The notebook's four samples and its network, MLP(3, [4, 4, 1]): 41 parameters."""
    X = ((2.0, 3.0, -1.0), (3.0, -1.0, 0.5), (0.5, 1.0, 1.0), (1.0, 1.0, -1.0))
    sizes = (3, 4, 4, 1)
    return Network(sizes, weights(sizes, seed=0), X, ((1.0,), (-1.0,), (-1.0,), (1.0,)))


def moons(samples: int = 200, batch: int = 20, rate: float = 0.01) -> Network:
    """Two noisy half-circles, targets ±1, and a 2-16-16-1 network."""
    source = random.Random(1)
    X, Y = [], []
    for i in range(samples):
        upper, angle = i % 2 == 0, math.pi * source.random()
        x, y = math.cos(angle), math.sin(angle)
        x, y = (x, y) if upper else (1 - x, 0.5 - y)
        X.append((x + source.gauss(0, 0.15), y + source.gauss(0, 0.15)))
        Y.append((1.0 if upper else -1.0,))
    sizes = (2, 16, 16, 1)
    return Network(sizes, weights(sizes, seed=2), tuple(X), tuple(Y), batch, rate)


def one_hot(sizes: tuple[int, ...], samples: int, rate: float = 0.0) -> Network:
    """Random rows in [0, 1) and a class each, of the size of image data sets."""
    source = random.Random(3)
    X = tuple(tuple(source.random() for _ in range(sizes[0])) for _ in range(samples))
    classes = [source.randrange(sizes[-1]) for _ in range(samples)]
    Y = tuple(tuple(float(i == chosen) for i in range(sizes[-1])) for chosen in classes)
    return Network(sizes, weights(sizes, seed=4), X, Y, rate=rate)


def weights(sizes: Sequence[int], seed: int) -> tuple[float, ...]:
    """Weights and biases drawn uniformly within ±1/sqrt(width of the layer's input)."""
    source = random.Random(seed)
    return tuple(
        source.uniform(-1, 1) / math.sqrt(width)
        for width, count in pairwise(sizes)
        for _ in range(count * (width + 1))
    )


def exact_gradient(problem: Network) -> list[float]:
    """The loss, then its derivative by every parameter."""
    return _loss_and_gradient(problem.layers, problem.X, problem.Y)


def exact_epoch(problem: Network) -> list[float]:
    """The parameters after one epoch of SGD over the minibatches, in order."""
    params = list(problem.params)
    for X, Y in problem.batches():
        gradient = _loss_and_gradient(split(params, problem.sizes), X, Y)[1:]
        params = [p - problem.rate * g for p, g in zip(params, gradient, strict=True)]
    return params


def exact_step(problem: Network) -> list[float]:
    """The mean loss of the samples, then the parameters after one step of SGD on it."""
    loss, *gradient = _loss_and_gradient(problem.layers, problem.X, problem.Y)
    count = len(problem.X)
    moved = [p - problem.rate * (g / count) for p, g in zip(problem.params, gradient, strict=True)]
    return [loss / count, *moved]


def exact_hessian(problem: Network) -> list[float]:
    """The output at the first sample, its gradient and its Hessian by the inputs, row by row.

    Second-order forward propagation: every number carries its derivatives.
    """
    n = problem.sizes[0]
    row = [
        (x, [float(i == j) for j in range(n)], [[0.0] * n for _ in range(n)])
        for i, x in enumerate(problem.X[0])
    ]
    for weight_rows, biases in problem.layers:
        row = [_neuron(ws, b, row, n) for ws, b in zip(weight_rows, biases, strict=True)]
    ((value, gradient, hessian),) = row
    return [value, *gradient, *(h for line in hessian for h in line)]


def _neuron(ws, b, row, n):
    out = math.tanh(sum(w * value for w, (value, _, _) in zip(ws, row, strict=True)) + b)
    first = [sum(w * g[i] for w, (_, g, _) in zip(ws, row, strict=True)) for i in range(n)]
    slope = 1 - out * out
    second = [
        [
            slope * sum(w * h[i][j] for w, (_, _, h) in zip(ws, row, strict=True))
            - 2 * out * slope * first[i] * first[j]
            for j in range(n)
        ]
        for i in range(n)
    ]
    return out, [slope * f for f in first], second


def _loss_and_gradient(layers, X, Y) -> list[float]:
    loss = 0.0
    sums = [([[0.0] * len(ws[0]) for _ in ws], [0.0] * len(bs)) for ws, bs in layers]
    for x, y in zip(X, Y, strict=True):
        rows = [list(x)]
        for layer in layers:
            rows.append(forward([layer], rows[-1], math.tanh))
        errors = [o - t for o, t in zip(rows[-1], y, strict=True)]
        loss += sum(e * e for e in errors)
        adjoints = [2 * e for e in errors]
        for (ws, _), (dws, dbs), before, after in zip(
            layers[::-1], sums[::-1], rows[-2::-1], rows[:0:-1], strict=True
        ):
            deltas = [a * (1 - o * o) for a, o in zip(adjoints, after, strict=True)]
            for k, delta in enumerate(deltas):
                dbs[k] += delta
                dws[k] = [d + delta * h for d, h in zip(dws[k], before, strict=True)]
            adjoints = [
                sum(delta * w[j] for delta, w in zip(deltas, ws, strict=True))
                for j in range(len(before))
            ]
    return [loss, *join(sums)]
