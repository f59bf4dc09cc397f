"""Adam, residual networks and attention: numpy gives the numbers that python gives."""

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import wengert as wg
from wengert.codegen.array import rewriting
from wengert.codegen.build import build_once


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def matrix(graph, name, rows, columns):
    return [graph.inputs(f"{name}{i}_", columns) for i in range(rows)]


def residual(size):
    """Three layers h + tanh(W h + b), the squared error, and the weights."""
    graph = wg.Graph()
    x = h = graph.inputs("x", size)
    leaves = []
    for layer in range(3):
        weights, biases = matrix(graph, f"w{layer}_", size, size), graph.inputs(f"b{layer}_", size)
        leaves += [*(w for row in weights for w in row), *biases]
        lines = zip(h, weights, biases, strict=True)
        h = [a + (dot(row, h) + bias).tanh() for a, row, bias in lines]
    y = graph.inputs("y", size)
    return sum((a - b) ** 2 for a, b in zip(h, y, strict=True)), leaves, {"x": x, "y": y}


def attention(size):
    """Softmax attention of `size` tokens of two features, summed and squared, and the weights."""
    graph = wg.Graph()
    tokens = matrix(graph, "x", size, 2)
    query, key, value = (matrix(graph, name, 2, 2) for name in ("q", "k", "v"))
    q, k, v = ([[dot(row, t) for row in m] for t in tokens] for m in (query, key, value))
    loss = 0.0
    for one in q:
        scores = [wg.exp(0.5 * dot(one, other)) for other in k]
        total = sum(scores)
        mixed = [dot([s / total for s in scores], column) for column in zip(*v, strict=True)]
        loss = loss + dot(mixed, mixed)
    leaves = [w for m in (query, key, value) for row in m for w in row]
    return loss, leaves, {"x": [a for token in tokens for a in token]}


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("model", [residual, attention], ids=lambda model: model.__name__)
def test_a_loss_and_its_gradient_over_a_batch(model, size):
    loss, leaves, data = model(size)
    outputs = {"loss": loss, "grad": wg.grad(loss, leaves)}
    groups = {"w": leaves, **data}
    draw = random.Random(size)
    given = [[draw.uniform(-0.5, 0.5) for _ in leaves]]
    given += [[[draw.uniform(-1, 1) for _ in part] for _ in range(3)] for part in data.values()]
    python, array = (
        wg.compile(groups, outputs, batch=tuple(data), target=target)(*given)
        for target in ("python", "numpy")
    )
    np.testing.assert_allclose(array["loss"], python["loss"], rtol=1e-12)
    np.testing.assert_allclose(array["grad"], python["grad"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("sizes", [(8, 6, 1), (4, 5, 3)])
def test_steps_of_adam(sizes):
    net, adam = wg.MLP(sizes[0], list(sizes[1:]), seed=0), wg.Adam(0.01)
    parameters = [p.data for p in net.parameters()]
    draw = random.Random(0)
    X = [[draw.uniform(-1, 1) for _ in range(sizes[0])] for _ in range(5)]
    Y = [[draw.uniform(-1, 1) for _ in range(sizes[-1])] for _ in range(5)]
    Y = Y if sizes[-1] > 1 else [y for (y,) in Y]
    found = []
    for target in ("python", "numpy"):
        step = wg.training_step(net, optimizer=adam, reduce="mean", target=target)
        now, state = parameters, adam.state(len(parameters))
        for _ in range(3):
            result = step(now, state, X, Y)
            now, state = result["params"], result["state"]
        found.append([result["loss"], *now, *state])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9, atol=1e-14)


def test_an_update_of_adam_is_done_to_the_whole_vector():
    """One root for all parameters, however many layers they are in, and one of a number."""
    for sizes in ((8, [6, 1]), (16, [16, 1]), (3, [4, 4, 4, 2])):
        step = wg.training_step(
            wg.MLP(*sizes, seed=0), optimizer=wg.Adam(0.01), reduce="mean", target="numpy"
        )
        assert step.program.counts()["sqrt"] == 2
        for record in step.program.passes:
            before, after = record.microseconds
            assert record.kept == (after < before)


def doubled(function):
    """A rewrite that does what is done twice."""
    program = function.program
    first = next(s for s in program.statements if s.place is None and s.axes)
    arrays = {**program.arrays, "again": replace(program.arrays[first.array], name="again")}
    statements = (*program.statements, replace(first, array="again"))
    return replace(function, program=replace(program, arrays=arrays, statements=statements))


def test_a_pass_that_makes_a_call_longer_is_left_out_and_says_so(monkeypatch):
    loss, leaves, data = residual(3)
    groups, options = {"w": leaves, **data}, {"batch": tuple(data), "target": "numpy"}
    plain = wg.compile(groups, loss, **options)
    build_once.cache_clear()
    changed = (*rewriting.REWRITES, ("doubled", doubled))
    monkeypatch.setattr(rewriting, "REWRITES", changed)
    function = wg.compile(groups, loss, **options)
    build_once.cache_clear()
    record = function.passes[-1]
    assert (record.name, record.kept) == ("doubled", False)
    assert record.microseconds[1] > record.microseconds[0]
    assert "so it was left out" in function.report()
    assert function.source == plain.source


@pytest.mark.parametrize("target", ["numpy", "native"])
def test_layers_whose_parameters_are_one_flat_list_have_statements_of_their_own(target):
    if target == "native":
        pytest.importorskip("llvmlite")
    g, sizes = wg.Graph(), [12, 16, 20, 8]
    count = sum(a * b for a, b in pairwise(sizes))
    p, x = g.inputs("p", count), g.inputs("x", 12)
    used, row = 0, list(x)
    for into, out in pairwise(sizes):
        weights = [p[used + k * into : used + (k + 1) * into] for k in range(out)]
        row = [wg.tanh(sum(a * b for a, b in zip(w, row, strict=True))) for w in weights]
        used += into * out
    loss = sum(row)
    outputs = [loss, *wg.grad(loss, p)]
    f = wg.compile({"p": p, "x": x}, outputs, target=target)
    draw = np.random.default_rng(0)
    given = draw.normal(size=count) * 0.3, draw.normal(size=12)
    assert "@table" not in f.source
    expected = wg.compile({"p": p, "x": x}, outputs)(*[part.tolist() for part in given])
    np.testing.assert_allclose(f(*given), expected, rtol=1e-12, atol=1e-14)
