"""What is measured: networks with their data, and the exact answers.

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

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
"""Adam's settings, as the paper advises (Kingma & Ba 2015)."""


@dataclass(frozen=True)
class Network:
    """A tanh network, samples, and the sum of squared errors: sum((net(x) - y)**2).

    params are in the order of a scalar network: layer by layer, neuron by neuron, the weights
    before the bias. batch is for the cases that run a whole epoch of SGD, rate also for a step.
    state is what Adam remembers of earlier steps: the powers of its betas, then the first moment
    of every parameter, then the second of every parameter.
    """

    sizes: tuple[int, ...]
    params: tuple[float, ...]
    X: tuple[tuple[float, ...], ...]
    Y: tuple[tuple[float, ...], ...]
    batch: int = 0
    rate: float = 0.0
    state: tuple[float, ...] = ()

    @cached_property
    def layers(self) -> list[Layer]:
        """The parameters by layer."""
        return split(self.params, self.sizes)

    @property
    def moments(self) -> tuple[Sequence[float], Sequence[float]]:
        """The first and the second moments in the state, in the order of the parameters."""
        count = len(self.params)
        return self.state[-2 * count : -count], self.state[-count:]

    @property
    def samples(self) -> int:
        """How many there are."""
        return len(self.X)

    @property
    def operations(self) -> int:
        """Roughly how many scalar operations loss and gradient of one sample take."""
        return 5 * sum(m * n for m, n in pairwise(self.sizes))

    def batches(self):
        """The data in minibatches."""
        for start in range(0, len(self.X), self.batch):
            yield self.X[start : start + self.batch], self.Y[start : start + self.batch]


BAR = 0.95
"""The share of the samples held out that a classifier must tell right."""


@dataclass(frozen=True)
class Labelled:
    """Rows with a class each, a part of them held out, and how a network is trained on the rest."""

    hidden: tuple[int, ...]
    X: tuple[tuple[float, ...], ...]
    labels: tuple[int, ...]
    X_held: tuple[tuple[float, ...], ...]
    labels_held: tuple[int, ...]
    epochs: int
    batch: int
    rate: float

    @property
    def samples(self) -> int:
        """How many a training goes through."""
        return len(self.X) * self.epochs

    @property
    def operations(self) -> int:
        """Roughly how many scalar operations loss and gradient of one sample take."""
        sizes = (len(self.X[0]), *self.hidden, len(set(self.labels)))
        return 5 * sum(m * n for m, n in pairwise(sizes))


@dataclass(frozen=True)
class Matrices:
    """Square matrices without biases, rows of data and a row of targets for each.

    params      matrix by matrix, row by row; matrix @ row is a layer
    operations  roughly how many scalar operations loss and gradient of one sample take
    samples     how many there are
    """

    params: tuple[float, ...]
    X: tuple[tuple[float, ...], ...]
    Y: tuple[tuple[float, ...], ...]
    operations: int
    samples: int

    @property
    def width(self) -> int:
        """Rows and columns of a matrix, and numbers in a row of data."""
        return len(self.X[0])

    @property
    def matrices(self) -> list[list[list[float]]]:
        """The parameters as matrices."""
        return square(self.params, self.width)


def square(params: Sequence, width: int) -> list:
    """Flat parameters as square matrices; they may be symbols as well."""
    return cut(cut(params, width), width)


def cut(things: Sequence, size: int) -> list[list]:
    """Things in lists of `size` each."""
    return [list(things[i : i + size]) for i in range(0, len(things), size)]


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


def dot(a, b):
    """The sum of the products, for numbers or symbols."""
    terms = [x * y for x, y in zip(a, b, strict=True)]
    return sum(terms[1:], terms[0])


def apply(matrix, row) -> list:
    """matrix @ row, for numbers or symbols."""
    return [dot(line, row) for line in matrix]


def residual(matrices, row, tanh) -> list:
    """h + tanh(W h), layer after layer, for numbers or symbols that go with `tanh`."""
    for matrix in matrices:
        row = [h + tanh(s) for h, s in zip(row, apply(matrix, row), strict=True)]
    return row


def attention(matrices, rows, exp) -> list:
    """One head of causal attention (Vaswani et al. 2017, eq. 1): a row for each position.

    A position sees itself and those before it. No maximum is subtracted before `exp`, by nobody
    who is measured: the scores here are small.
    """
    queries, keys, values = ([apply(matrix, row) for row in rows] for matrix in matrices)
    scale = 1 / math.sqrt(len(rows[0]))
    mixed = []
    for p, query in enumerate(queries):
        weights = [exp(scale * dot(query, key)) for key in keys[: p + 1]]
        total = sum(weights[1:], weights[0])
        shares = [weight / total for weight in weights]
        mixed.append([dot(shares, column) for column in zip(*values[: p + 1], strict=True)])
    return mixed


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


def handwritten(hidden: tuple[int, ...], epochs: int) -> Labelled:
    """scikit-learn's 1,797 handwritten digits, every third held out."""
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    rows = [tuple(row) for row in (images / 16).tolist()]
    parts = [[k for k in range(len(rows)) if (k % 3 == 0) == held] for held in (False, True)]
    kept, held = (
        (tuple(rows[k] for k in part), tuple(int(digits[k]) for k in part)) for part in parts
    )
    return Labelled(hidden, *kept, *held, epochs, batch=32, rate=0.005)


def all_told(problem: Labelled) -> list[float]:
    """Nothing lacks of the accuracy that is asked for."""
    return [0.0]


def regression(sizes: tuple[int, ...], samples: int, rate: float) -> Network:
    """Random rows and targets in ±1, and Adam's state as after ten steps."""
    X, Y = rows(samples, sizes[0], seed=6), rows(samples, sizes[-1], seed=7)
    params, source = weights(sizes, seed=8), random.Random(9)
    first = [source.uniform(-0.1, 0.1) for _ in params]
    second = [source.uniform(1e-4, 1e-2) for _ in params]
    state = (BETA1**10, BETA2**10, *first, *second)
    return Network(sizes, params, X, Y, rate=rate, state=state)


def residual_network(width: int, samples: int) -> Matrices:
    """Two layers h + tanh(W h) on random rows in ±1."""
    params = weights_alone(width, 2, seed=10)
    X, Y = rows(samples, width, seed=11), rows(samples, width, seed=12)
    return Matrices(params, X, Y, operations=5 * len(params), samples=samples)


def attention_head(width: int, positions: int) -> Matrices:
    """Queries, keys and values of random rows in ±1; all positions together are one sample."""
    params = weights_alone(width, 3, seed=13)
    X, Y = rows(positions, width, seed=14), rows(positions, width, seed=15)
    pairs = positions * (positions + 1) // 2
    operations = 5 * (len(params) * positions + 2 * width * pairs)
    return Matrices(params, X, Y, operations, samples=1)


def rows(count: int, width: int, seed: int) -> tuple[tuple[float, ...], ...]:
    """Rows of numbers drawn uniformly within ±1."""
    source = random.Random(seed)
    return tuple(tuple(source.uniform(-1, 1) for _ in range(width)) for _ in range(count))


def weights_alone(width: int, matrices: int, seed: int) -> tuple[float, ...]:
    """Square matrices drawn uniformly within ±1/sqrt(width)."""
    drawn = rows(matrices * width, width, seed)
    return tuple(number / math.sqrt(width) for row in drawn for number in row)


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


def exact_adam(problem: Network) -> list[float]:
    """The mean loss, then the parameters and Adam's state after one step on it, flat.

    Kingma & Ba 2015, algorithm 1.
    """
    loss, *gradient = _loss_and_gradient(problem.layers, problem.X, problem.Y)
    count, powers = len(problem.X), (problem.state[0] * BETA1, problem.state[1] * BETA2)
    moved, first, second = [], [], []
    for p, total, m, v in zip(problem.params, gradient, *problem.moments, strict=True):
        g = total / count
        first.append(BETA1 * m + (1 - BETA1) * g)
        second.append(BETA2 * v + (1 - BETA2) * g**2)
        corrected = first[-1] / (1 - powers[0]), second[-1] / (1 - powers[1])
        moved.append(p - problem.rate * corrected[0] / (math.sqrt(corrected[1]) + EPS))
    return [loss / count, *moved, *powers, *first, *second]


def exact_residual(problem: Matrices) -> list[float]:
    """The loss of a network of layers h + tanh(W h), then its derivative by every parameter."""
    width, loss = problem.width, 0.0
    sums = [[[0.0] * width for _ in range(width)] for _ in problem.matrices]
    for x, y in zip(problem.X, problem.Y, strict=True):
        hidden = [list(x)]
        for matrix in problem.matrices:
            hidden.append(residual([matrix], hidden[-1], math.tanh))
        loss += squared_error(hidden[-1], y)
        adjoints = [2 * (h - t) for h, t in zip(hidden[-1], y, strict=True)]
        for k in range(len(sums) - 1, -1, -1):
            before, after, matrix = hidden[k], hidden[k + 1], problem.matrices[k]
            deltas = [
                a * (1 - (new - old) ** 2)
                for a, new, old in zip(adjoints, after, before, strict=True)
            ]
            _add_outer(sums[k], deltas, before)
            adjoints = [
                a + d for a, d in zip(adjoints, apply(_transposed(matrix), deltas), strict=True)
            ]
    return [loss, *(number for matrix in sums for row in matrix for number in row)]


def exact_attention(problem: Matrices) -> list[float]:
    """The loss of one head of causal attention, then its derivative by every parameter."""
    width, size, X = problem.width, len(problem.X), problem.X
    queries, keys, values = ([apply(m, row) for row in X] for m in problem.matrices)
    dqueries, dkeys, dvalues = ([[0.0] * width for _ in X] for _ in range(3))
    loss, scale = 0.0, 1 / math.sqrt(width)
    for p in range(size):
        weights = [math.exp(scale * dot(queries[p], keys[t])) for t in range(p + 1)]
        shares = [weight / sum(weights) for weight in weights]
        out = [sum(s * values[t][j] for t, s in enumerate(shares)) for j in range(width)]
        loss += squared_error(out, problem.Y[p])
        adjoints = [2 * (o - y) for o, y in zip(out, problem.Y[p], strict=True)]
        mean = dot(adjoints, out)
        for t, share in enumerate(shares):
            slope = scale * share * (dot(adjoints, values[t]) - mean)
            for j in range(width):
                dvalues[t][j] += share * adjoints[j]
                dqueries[p][j] += slope * keys[t][j]
                dkeys[t][j] += slope * queries[p][j]
    gradient = []
    for deltas in (dqueries, dkeys, dvalues):
        matrix = [[0.0] * width for _ in range(width)]
        for delta, row in zip(deltas, X, strict=True):
            _add_outer(matrix, delta, row)
        gradient += [number for row in matrix for number in row]
    return [loss, *gradient]


def _add_outer(matrix, deltas, row) -> None:
    for line, delta in zip(matrix, deltas, strict=True):
        for j, h in enumerate(row):
            line[j] += delta * h


def _transposed(matrix) -> list:
    return [list(column) for column in zip(*matrix, strict=True)]


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
