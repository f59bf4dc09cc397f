"""Layers of whole arrays are the scalar layers, a matrix at a time."""

import numpy as np
import pytest

from wengert.codegen.compiled import compile
from wengert.derive.backward import grad
from wengert.errors import OperandError, ShapeError, UnknownNameError
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.graph.unroll import unroll
from wengert.ops.arrays import logsumexp, sum_over
from wengert.ops.shapes import BATCH
from wengert.train.dense import Dense
from wengert.train.nn import ACTIVATIONS, Layer


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_dense_is_the_scalar_layer(activation):
    dense, layer = Dense(3, 2, activation, seed=4), Layer(3, 2, activation, seed=4)
    graph = Graph()
    x = graph.array("x", 3)
    loss = sum_over(dense(x) ** 2)
    row = [0.3, -0.7, 1.1]
    found = evaluate([loss, *grad(loss, [*dense.parameters(), x])], {x: row})
    values = layer(row)
    total = sum((v * v for v in values[1:]), values[0] * values[0])
    total.backward()
    assert found[0] == pytest.approx(total.data, rel=1e-13)
    wanted = [[w.grad for w in neuron.w] for neuron in layer.neurons]
    np.testing.assert_allclose(found[1], wanted, rtol=1e-12)
    np.testing.assert_allclose(found[2], [neuron.b.grad for neuron in layer.neurons], rtol=1e-12)
    np.testing.assert_allclose(dense(np.array(row)), [v.data for v in values], rtol=1e-13)


def test_rows_are_taken_as_rows():
    dense = Dense(3, 2, seed=0)
    rows = np.random.default_rng(0).normal(size=(5, 3))
    graph = Graph()
    x = graph.array("x", (BATCH, 3))
    together = evaluate(dense(x), {x: rows})
    np.testing.assert_allclose(together, dense(rows), rtol=1e-14)
    np.testing.assert_allclose(together, [dense(row) for row in rows], rtol=1e-14)


def test_unrolled_it_is_written_as_the_scalar_layer_is():
    graph = Graph()
    (first, _) = unroll(Dense(2, 2, "relu", seed=0, place="0")(graph.array("x", 2)))
    assert str(first) == "relu(W0_0_0*x_0 + W0_0_1*x_1 + b0_0)"


def test_two_layers_compile_and_train():
    first, second = Dense(2, 8, seed=1, place="0"), Dense(8, 2, "linear", seed=2, place="1")
    parameters = [*first.parameters(), *second.parameters()]
    graph = Graph()
    x, y = graph.array("x", 2), graph.array("y", 2)
    scores = second(first(x))
    loss = logsumexp(scores) - sum_over(scores * y)
    f = compile(
        {"params": parameters, "x": x, "y": y},
        {"loss": loss, "grad": grad(loss, parameters)},
        target="numpy",
        batch=("x", "y"),
        reduce="mean",
    )
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    Y = np.eye(2)[[0, 1, 1, 0]]
    flat = np.concatenate([np.ravel(p.data) for p in parameters])
    before = f(flat, X, Y)["loss"]
    for _ in range(300):
        slopes = f(flat, X, Y)["grad"]  # an array for each of the parameters
        flat = flat - 0.5 * np.concatenate([np.ravel(slope) for slope in slopes])
    assert f(flat, X, Y)["loss"] < 0.05 < before


def test_misuse_is_named():
    with pytest.raises(ShapeError, match=r"shape \(2,\) was given to Dense\(3, 2, 'tanh'\)"):
        Dense(3, 2)(Graph().array("x", 2))
    for given in ([1.0, 2.0, 3.0], "x", None, Graph().inputs("x", 3)):
        with pytest.raises(OperandError, match=r"takes an array, got .* write numpy.array"):
            Dense(3, 2)(given)
    with pytest.raises(UnknownNameError, match="activation"):
        Dense(3, 2, "tahn")
