"""Programs with chains of maxima and minima: their statements at two sizes, and their numbers."""

import math
import random
from functools import reduce

import numpy as np
import pytest

import wengert as wg
from wengert import maximum, minimum


def matrix(g, name, rows, columns):
    return [g.inputs(f"{name}_{i}_", columns) for i in range(rows)]


def flat(*matrices):
    return [leaf for rows in matrices for row in rows for leaf in row]


def dot(a, b):
    return sum(p * q for p, q in zip(a, b, strict=True))


def squared_distance(a, b):
    return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))


def convolved(image, kernel):
    size, width = len(image), len(kernel)
    return [
        [
            sum(image[i + a][j + b] * kernel[a][b] for a in range(width) for b in range(width))
            for j in range(size - width + 1)
        ]
        for i in range(size - width + 1)
    ]


def global_pooling(g, n):
    x, w = matrix(g, "x", n, n), g.inputs("w", 3)
    kernels = [matrix(g, f"k_{c}", 3, 3) for c in range(3)]
    features = [reduce(maximum, [a.tanh() for a in flat(convolved(x, k))]) for k in kernels]
    return [*flat(*kernels), *w], flat(x), dot(w, features) ** 2


def largest_output(g, n):
    x, w = g.inputs("x", n), matrix(g, "w", n, n)
    return flat(w), x, reduce(maximum, [dot(row, x).tanh() for row in w]) ** 2


def k_means(g, n):
    x, c = matrix(g, "x", 3 * n, 2), matrix(g, "c", n, 2)
    nearest = [reduce(minimum, [squared_distance(a, b) for b in c]) for a in x]
    return flat(c), flat(x), sum(nearest)


def viterbi(g, n):
    e, t = matrix(g, "e", 4, n), matrix(g, "t", n, n)
    score = e[0]
    for step in e[1:]:
        score = [
            reduce(maximum, [score[i] + t[i][j] for i in range(n)]) + step[j] for j in range(n)
        ]
    return flat(e, t), [], reduce(maximum, score)


def chamfer(g, n):
    a, b = matrix(g, "a", n, 2), matrix(g, "b", n + 2, 2)
    far = [[wg.sqrt(squared_distance(p, q)) for q in b] for p in a]
    there = sum(reduce(minimum, row) for row in far)
    return (
        flat(a),
        flat(b),
        there + sum(reduce(minimum, column) for column in zip(*far, strict=True)),
    )


def multi_class_hinge(g, n):
    x, w, loss = matrix(g, "x", 4, 3), matrix(g, "w", n, 3), 0
    for k, row in enumerate(x):
        scores = [dot(v, row) for v in w]
        margins = [scores[j] - scores[k % n] + 1 for j in range(n) if j != k % n]
        loss = loss + wg.relu(reduce(maximum, margins))
    return flat(w), flat(x), loss


def shifted_softmax(g, n):
    x, w, loss = matrix(g, "x", n, 3), matrix(g, "w", n, 3), 0
    for k, row in enumerate(x):
        scores = [dot(v, row) for v in w]
        largest = reduce(maximum, scores)
        shares = [wg.exp(s - largest) for s in scores]
        loss = loss - wg.log(shares[k] / sum(shares))
    return flat(w), flat(x), loss


def log_sum_exp(g, n):
    x, w, loss = matrix(g, "x", n, 3), matrix(g, "w", n + 1, 3), 0
    for k, row in enumerate(x):
        scores = [dot(v, row) for v in w]
        largest = reduce(maximum, scores)
        loss = loss + largest + wg.log(sum(wg.exp(s - largest) for s in scores)) - scores[k]
    return flat(w), flat(x), loss


def causal_attention(g, n):
    x, q, k = matrix(g, "x", n, 3), matrix(g, "q", 3, 3), matrix(g, "k", 3, 3)
    queries, keys = ([[dot(v, row) for v in w] for row in x] for w in (q, k))
    loss = 0
    for t, query in enumerate(queries):
        scores = [dot(query, key) for key in keys[: t + 1]]
        largest = reduce(maximum, scores)
        shares = [wg.exp(s - largest) for s in scores]
        total = sum(shares)
        loss = loss + sum(
            dot([s / total for s in shares], [r[c] for r in x[: t + 1]]) ** 2 for c in range(3)
        )
    return flat(q, k), flat(x), loss


def overlapping_pooling(g, n):
    x, k = matrix(g, "x", n, n), matrix(g, "k", 2, 2)
    y = convolved(x, k)
    starts = range(0, len(y) - 2, 2)
    pooled = [
        [reduce(maximum, [y[i + a][j + b] for a in range(3) for b in range(3)]) for j in starts]
        for i in starts
    ]
    w = matrix(g, "w", len(pooled), len(pooled))
    return flat(k, w), flat(x), dot(flat(w), flat(pooled)) ** 2


PROGRAMS = {  # two sizes, and the most statements that the gradient may be
    global_pooling: (5, 7, 15),
    largest_output: (4, 7, 12),
    k_means: (3, 6, 12),
    viterbi: (3, 5, 37),
    chamfer: (3, 5, 37),
    multi_class_hinge: (4, 6, 12),
    shifted_softmax: (3, 5, 20),
    log_sum_exp: (3, 5, 18),
    causal_attention: (4, 6, 50),
    overlapping_pooling: (8, 12, 13),
}


TARGETS = ("python", "numpy", "native")


def made(program, n):
    parameters, data, loss = program(wg.Graph(), n)
    slopes = wg.grad(loss, parameters)
    step = [w - 0.1 * slope for w, slope in zip(parameters, slopes, strict=True)]
    return parameters, data, loss, slopes, step


def compiled(parameters, data, loss, slopes, step, target):
    groups = {"w": parameters, **({"x": data} if data else {})}
    return wg.compile(groups, {"loss": loss, "slopes": slopes, "step": step}, target=target)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_there_are_as_many_statements_for_every_size(program):
    counts = []
    *sizes, most = PROGRAMS[program]
    for n in sizes:
        _, _, loss, slopes, step = made(program, n)
        rolled = [(outputs, wg.roll(outputs)) for outputs in ([loss], slopes, [loss, *step])]
        assert all(wg.check_roll(*pair) for pair in rolled)
        counts.append([len(one.statements) for _, one in rolled])
    assert counts[0] == counts[1]
    assert counts[0][1] <= most


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_numbers_are_those_of_the_links_on_every_target(program, monkeypatch):
    """At ties and nan too; what the guards of links leave nan may be a number."""
    built = made(program, PROGRAMS[program][0])
    monkeypatch.setattr("wengert.derive.backward.extreme_chains", lambda *_: {})
    links = made(program, PROGRAMS[program][0])
    functions = [compiled(*links, "python"), *[compiled(*built, t) for t in TARGETS]]
    rng = random.Random(0)
    for values in (None, [-1.0, 0.0, 1.0], [0.5], [math.nan, 1.0, 2.0]):
        given = [
            [rng.uniform(-1, 1) if values is None else rng.choice(values) for _ in group]
            for group in built[:2]
            if group
        ]
        wanted, *found = [f(*given) for f in functions]
        for target, outputs in zip(TARGETS, found, strict=True):
            for name, numbers in outputs.items():
                close = np.isclose(numbers, wanted[name], 1e-9, 1e-12) | np.isnan(wanted[name])
                assert close.all(), (target, name, values)
