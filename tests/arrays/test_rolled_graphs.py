"""What rolling makes of networks, line by line: no number depends on it, and it should not drift.

tests/golden/rolled.txt holds the statements; `--update-golden` writes it anew.
"""

import random

from places import GOLDEN as GOLDEN_FILES
from test_roll import dot, flat, irregular, matrix, total, with_gradients

from wengert.arrays.roll import roll
from wengert.graph.expr import Graph
from wengert.ops.scalar import exp, log, maximum, tanh, where
from wengert.simplify.pipeline import simplify
from wengert.train.losses import cross_entropy
from wengert.train.nn import MLP

GOLDEN = GOLDEN_FILES / "rolled.txt"


def network():
    g = Graph()
    net = MLP(3, [4, 2], "tanh", seed=0)
    x, y = g.inputs("x", 3), g.inputs("y", 2)
    loss = total((p - t) ** 2 for p, t in zip(net(x), y, strict=True))
    return with_gradients(loss, net.parameters())


def samples_written_out():
    g = Graph()
    net = MLP(2, [3, 1], "relu", seed=0)
    rows = [[1.0, 2.0], [1.0, -0.5], [0.0, 1.0]]
    loss = total((net([g.constant(n) for n in row]) - 1.0) ** 2 for row in rows)
    return with_gradients(loss, net.parameters())


def samples_of_inputs():
    g = Graph()
    net = MLP(2, [3, 2], "sigmoid", seed=0)
    rows = matrix(g, "x", 4, 2)
    return with_gradients(total(dot(net(row), net(row)) for row in rows), net.parameters())


def softmax():
    g = Graph()
    net = MLP(3, [4], "linear", seed=0)
    loss = cross_entropy(net(g.inputs("x", 3)), 2)
    return with_gradients(loss, net.parameters())


def softmax_written_out():
    g = Graph()
    z = g.inputs("z", 4)
    return with_gradients(
        log(total(exp(a) for a in z)) - z[1] + maximum(maximum(z[0], z[1]), z[3]), z
    )


def convolution():
    g = Graph()
    x, k = g.inputs("x", 8), g.inputs("k", 3)
    padded = [g.constant(0.0), *x, g.constant(0.0)]
    y = [tanh(dot(k, padded[i : i + 3])) for i in range(8)]
    return with_gradients(dot(y, y), [*k, *x])


def recurrence():
    g = Graph()
    W, U, x = matrix(g, "w", 3, 3), matrix(g, "u", 3, 2), matrix(g, "x", 3, 2)
    h = [g.constant(0.0)] * 3
    for row in x:
        h = [tanh(dot(W[j], h) + dot(U[j], row)) for j in range(3)]
    return with_gradients(total(h), [*flat(W), *flat(U)])


def attention():
    g = Graph()
    q, k, v = (matrix(g, name, 3, 2) for name in "qkv")
    scores = [[exp(dot(a, b)) for b in k] for a in q]
    rows = [[s / total(row) for s in row] for row in scores]
    return [dot(row, [e[j] for e in v]) for row in rows for j in range(2)]


def skip_and_branch():
    g = Graph()
    net = MLP(3, [3, 3], "tanh", seed=0)
    x = g.inputs("x", 3)
    out = [a + where(b > 0, b, -0.5 * b) for a, b in zip(net(x), x, strict=True)]
    return with_gradients(dot(out, out), [*net.parameters(), *x])


def blocks():
    g = Graph()
    A, B, x = matrix(g, "a", 2, 3), matrix(g, "b", 2, 3), g.inputs("x", 3)
    rows = [dot(row, x) for row in (A[0], B[0], A[1], B[1])]
    picked = [rows[2] * rows[0], rows[3] * rows[1], A[1][2] * B[0][0], A[0][0] * B[1][1]]
    return [*rows, *picked, total(A[0]), total(row[1] for row in B)]


CASES = (
    *(network, samples_written_out, samples_of_inputs, softmax, softmax_written_out),
    *(convolution, recurrence, attention, skip_and_branch, blocks),
)


def listing():
    for case in CASES:
        for simplified in (False, True):
            wanted = simplify(case()) if simplified else case()
            yield f"-- {case.__name__}{', simplified' * simplified}"
            rolled = roll(wanted)
            yield from (*str(rolled).splitlines(), str(rolled.report), "")
    for seed in range(60):
        wanted = irregular(seed, random.Random(seed).randint(40, 300))
        yield f"-- irregular {seed}: {roll(wanted).report}"


def test_what_is_made_of_networks_is_as_it_was(update_golden):
    found = "\n".join(listing()) + "\n"
    if update_golden:
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")
