"""Programs written one scalar at a time that become arrays: a GPT, an LSTM, a convolution.

Each is one function of a sample, for numbers or symbols; it is what wengert is given, and what the
answers are computed from, by the plain class of `examples/scalar.py`.
"""

import importlib.util
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

EPS = 1e-5
"""What the GPT's normalisation adds to a mean square."""


@dataclass(frozen=True)
class Scalars:
    """Weights by name, samples, and the sum of their losses.

    loss        loss(weights, x, y, functions), of a sample; weights are nested lists by name
    functions   the names of the functions of one number that `loss` calls
    params      all weights, flat, in the order of `shapes`
    indices     whether x and y are indices into the weights, and so part of the program
    operations  roughly how many scalar operations loss and gradient of one sample take
    """

    loss: Callable[..., Any]
    functions: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    params: tuple[float, ...]
    X: tuple[tuple, ...]
    Y: tuple[tuple, ...]
    operations: int
    indices: bool = False

    @property
    def samples(self) -> int:
        """How many there are."""
        return len(self.X)

    def weights(self, params: Sequence) -> dict[str, list]:
        """Flat parameters, numbers or symbols, as nested lists by name."""
        found, start = {}, 0
        for name, shape in self.shapes.items():
            found[name] = nested(params[start : start + prod(shape)], shape)
            start += prod(shape)
        return found

    def total(self, weights: Mapping[str, list], functions: Mapping[str, Callable]) -> Any:
        """The loss of all samples."""
        losses = [self.loss(weights, x, y, functions) for x, y in zip(self.X, self.Y, strict=True)]
        return sum(losses[1:], losses[0])


def nested(flat: Sequence, shape: Sequence[int]) -> list:
    """A flat sequence as lists of lists."""
    if len(shape) == 1:
        return list(flat)
    size = prod(shape[1:])
    return [nested(flat[i : i + size], shape[1:]) for i in range(0, len(flat), size)]


def dot(a, b):
    terms = [x * y for x, y in zip(a, b, strict=True)]
    return sum(terms[1:], terms[0])


def linear(matrix, row) -> list:
    return [dot(line, row) for line in matrix]


def added(a, b) -> list:
    return [x + y for x, y in zip(a, b, strict=True)]


def mean_square_one(row) -> list:
    """A row over the root of its mean square (Zhang & Sennrich 2019, without gain)."""
    scale = (dot(row, row) * (1 / len(row)) + EPS) ** -0.5
    return [x * scale for x in row]


def softmax(row, exp) -> list:
    powers = [exp(x) for x in row]
    total = sum(powers[1:], powers[0])
    return [power / total for power in powers]


def gpt_loss(weights, tokens, targets, functions, heads: int = 4):
    """The mean of -log of the probability of each target, of a transformer with one layer.

    No maximum is subtracted before `exp`, by nobody who is measured: the numbers are small.
    """
    rows = [weights["wte"][token] for token in tokens]
    shares = gpt_shares(weights, rows, functions, heads)
    log = functions["log"]
    losses = [log(share[target]) for share, target in zip(shares, targets, strict=True)]
    return sum(losses[1:], losses[0]) * (-1 / len(tokens))


def documents_loss(weights, x, y, functions, heads: int = 4):
    """The same of a document whose letters are rows of 0 and a 1, so that they may differ."""
    letters = len(weights["wte"])
    rows = [
        [dot(column, hot) for column in zip(*weights["wte"], strict=True)]
        for hot in cut_in(x, letters)
    ]
    log, losses = functions["log"], []
    shares = gpt_shares(weights, rows, functions, heads)
    for share, hot in zip(shares, cut_in(y, letters), strict=True):
        losses.append(dot([log(number) for number in share], hot))
    return sum(losses[1:], losses[0]) * (-1 / len(losses))


def gpt_shares(weights, rows, functions, heads: int) -> list[list]:
    """The probability of every letter after each of those whose embeddings are given."""
    exp, relu = functions["exp"], functions["relu"]
    keys, values, found = [], [], []
    for place, row in enumerate(rows):
        x = mean_square_one(added(row, weights["wpe"][place]))
        y = mean_square_one(x)
        query = linear(weights["wq"], y)
        keys.append(linear(weights["wk"], y))
        values.append(linear(weights["wv"], y))
        size, seen = len(query) // heads, []
        for start in range(0, len(query), size):
            part = slice(start, start + size)
            scores = [dot(query[part], key[part]) * size**-0.5 for key in keys]
            shares = softmax(scores, exp)
            seen += [dot(shares, c) for c in zip(*(v[part] for v in values), strict=True)]
        x = added(linear(weights["wo"], seen), x)
        hidden = [relu(h) for h in linear(weights["up"], mean_square_one(x))]
        x = added(linear(weights["down"], hidden), x)
        found.append(softmax(linear(weights["head"], x), exp))
    return found


def cut_in(flat, width: int) -> list:
    return [flat[start : start + width] for start in range(0, len(flat), width)]


def lstm_loss(weights, x, y, functions):
    """The squared error of the last state of an LSTM (Hochreiter & Schmidhuber 1997, Gers 2000)."""
    sigmoid, tanh = functions["sigmoid"], functions["tanh"]
    width = len(y)
    h, c = [0.0] * width, [0.0] * width
    for row in nested(x, (len(x) // len(weights["w"][0]), len(weights["w"][0]))):
        sums = [
            dot(ws, row) + dot(us, h) + b
            for ws, us, b in zip(weights["w"], weights["u"], weights["b"], strict=True)
        ]
        into, keep, out = (
            [sigmoid(s) for s in sums[k * width : (k + 1) * width]] for k in range(3)
        )
        new = [tanh(s) for s in sums[3 * width :]]
        c = [k * old + i * n for k, old, i, n in zip(keep, c, into, new, strict=True)]
        h = [o * tanh(a) for o, a in zip(out, c, strict=True)]
    return dot(*[[a - b for a, b in zip(h, y, strict=True)]] * 2)


def convolution_loss(weights, x, y, functions):
    """The squared error of 3×3 filters, tanh, means of 2×2, and a linear layer."""
    tanh, image = functions["tanh"], nested(x, (math.isqrt(len(x)), math.isqrt(len(x))))
    size, pooled = len(image) - 2, []
    for kernel, b in zip(weights["kernel"], weights["bias"], strict=True):
        seen = [
            [
                tanh(sum((dot(kernel[a], image[i + a][j : j + 3]) for a in range(3)), b))
                for j in range(size)
            ]
            for i in range(size)
        ]
        for i in range(0, size, 2):
            for j in range(0, size, 2):
                four = seen[i][j], seen[i][j + 1], seen[i + 1][j], seen[i + 1][j + 1]
                pooled.append(sum(four[1:], four[0]) * 0.25)
    out = added(linear(weights["dense"], pooled), weights["shift"])
    return dot(*[[a - b for a, b in zip(out, y, strict=True)]] * 2)


def drawn(shapes: Mapping[str, tuple[int, ...]], seed: int) -> tuple[float, ...]:
    """Weights drawn uniformly within ±1/sqrt(how many a neuron sums over)."""
    source = random.Random(seed)
    return tuple(
        source.uniform(-1, 1) / math.sqrt(prod(shape[1:]))
        for shape in shapes.values()
        for _ in range(prod(shape))
    )


def gpt(places: int, width: int = 16, letters: int = 27, most: int = 16) -> Scalars:
    """A document of so many letters, and the shapes of the scalar GPT in `examples`."""
    square = (width, width)
    shapes = {"wte": (letters, width), "wpe": (most, width)}
    shapes |= {"wq": square, "wk": square, "wv": square, "wo": square}
    shapes |= {"up": (4 * width, width), "down": (width, 4 * width), "head": (letters, width)}
    source = random.Random(20)
    document = [source.randrange(letters) for _ in range(places + 1)]
    used = sum(prod(shape) for name, shape in shapes.items() if name not in ("wte", "wpe"))
    return Scalars(
        gpt_loss,
        ("exp", "log", "relu"),
        shapes,
        drawn(shapes, seed=21),
        (tuple(document[:-1]),),
        (tuple(document[1:]),),
        operations=5 * places * (used + places * width),
        indices=True,
    )


def documents(count: int, places: int, width: int = 16, letters: int = 27) -> Scalars:
    """So many documents of as many letters, as rows of 0 and a 1, and the GPT of `gpt`."""
    one = gpt(places, width, letters, most=max(16, places))
    source, X, Y = random.Random(26), [], []
    for _ in range(count):
        text = [source.randrange(letters) for _ in range(places + 1)]
        hot = [[float(letter == other) for other in range(letters)] for letter in text]
        X.append(tuple(number for row in hot[:-1] for number in row))
        Y.append(tuple(number for row in hot[1:] for number in row))
    return replace(one, loss=documents_loss, X=tuple(X), Y=tuple(Y), indices=False)


def lstm(steps: int, inputs: int, width: int) -> Scalars:
    """One sequence; the gates are rows of one matrix: input, forget, output, new content."""
    shapes = {"w": (4 * width, inputs), "u": (4 * width, width), "b": (4 * width,)}
    source, params = random.Random(22), drawn(shapes, seed=23)
    x = tuple(source.uniform(-1, 1) for _ in range(steps * inputs))
    y = tuple(source.uniform(-1, 1) for _ in range(width))
    return Scalars(
        lstm_loss, ("sigmoid", "tanh"), shapes, params, (x,), (y,), 5 * steps * len(params)
    )


def convolution(side: int, filters: int, classes: int, samples: int) -> Scalars:
    """Images of side × side in [0, 1), and a class each."""
    pooled = filters * ((side - 2) // 2) ** 2
    shapes = {"kernel": (filters, 3, 3), "bias": (filters,)}
    shapes |= {"dense": (classes, pooled), "shift": (classes,)}
    source = random.Random(24)
    X = tuple(tuple(source.random() for _ in range(side * side)) for _ in range(samples))
    chosen = [source.randrange(classes) for _ in range(samples)]
    Y = tuple(tuple(float(i == k) for i in range(classes)) for k in chosen)
    operations = 5 * (9 * filters * (side - 2) ** 2 + pooled * classes)
    return Scalars(convolution_loss, ("tanh",), shapes, drawn(shapes, seed=25), X, Y, operations)


def plain_class() -> Any:
    """The plain class that keeps local derivatives, from `examples/scalar.py`."""
    path = Path(__file__).resolve().parents[1] / "examples" / "scalar.py"
    spec = importlib.util.spec_from_file_location("plain_scalar", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Value


def plain_functions(Value) -> dict[str, Callable]:
    """What programs call, with the functions that the class lacks written as its own are."""

    def tanh(x):
        t = math.tanh(x.data)
        return Value(t, (x,), (1.0 - t * t,))

    def sigmoid(x):
        s = 1.0 / (1.0 + math.exp(-x.data))
        return Value(s, (x,), (s * (1.0 - s),))

    return {"exp": Value.exp, "log": Value.log, "relu": Value.relu} | {
        "tanh": tanh,
        "sigmoid": sigmoid,
    }


def exact_scalars(problem: Scalars) -> list[float]:
    """The loss, then its derivative by every parameter: the plain class, in floats."""
    Value = plain_class()
    params = [Value(number) for number in problem.params]
    loss = problem.total(problem.weights(params), plain_functions(Value))
    loss.backward()
    return [loss.data, *(p.grad for p in params)]
