"""Expressions made of arrays are verified, explained and read by sympy like any others."""

import numpy as np
import pytest
from breaking import other_rules

import wengert as wg
from wengert.ops.arrays import MATMUL, sum_over

AT = {"W": np.arange(6).reshape(2, 3) / 10, "x": [1.0, 2.0, 3.0], "b": [0.0, 0.5]}


@pytest.fixture
def layer():
    g = wg.Graph()
    W, x, b = g.array("W", (2, 3)), g.array("x", 3), g.array("b", 2)
    y = wg.tanh(W @ x + b)
    return g, sum_over(y * y), [W, x, b]


def test_array_gradients_are_verified_element_by_element(layer):
    g, loss, leaves = layer
    before = len(g)
    verification = wg.verify(loss, leaves)
    assert verification
    assert "11 derivatives" in str(verification)
    assert len(g) == before
    assert wg.verify(loss, leaves, at={leaves[1]: [1.0, 2.0, 3.0]})


def test_dense_layers_are_verified():
    g = wg.Graph()
    dense = wg.Dense(3, 2, "sigmoid", seed=0)
    out = dense(g.array("x", 3))
    assert wg.verify(sum_over(out * out), [dense.W, dense.b])


def test_a_broken_array_rule_is_caught(layer):
    _, loss, leaves = layer
    kept = MATMUL.vjp
    first = kept[0]
    broken = (lambda ct, out, a, b: 1.001 * first(ct, out, a, b), kept[1])
    with other_rules(MATMUL, broken):
        assert not wg.verify(loss, leaves)


def test_sympy_reads_arrays_as_nested_lists(layer):
    _, loss, (W, x, _) = layer
    rows = wg.to_sympy(W @ x)
    assert [str(row) for row in rows] == [
        "W_0_0*x_0 + W_0_1*x_1 + W_0_2*x_2",
        "W_1_0*x_0 + W_1_1*x_1 + W_1_2*x_2",
    ]
    assert len(wg.to_sympy(loss).free_symbols) == 11


def test_arrays_are_explained(layer):
    _, loss, (W, x, _) = layer
    lesson = wg.explain(loss, wrt=W, at=AT)
    expected = wg.evaluate(wg.grad(loss, W), AT)
    for i in range(2):
        for j in range(3):
            assert lesson.by_name(f"W_{i}_{j}").adjoint == pytest.approx(expected[i][j], rel=1e-14)
    assert wg.explain(loss, wrt="b", at=AT).by_name("b_1").adjoint is not None
    with pytest.raises(wg.OperandError, match="2 numbers at once"):
        wg.explain(W @ x)
