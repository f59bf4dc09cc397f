"""Unrolling: array graphs as the scalar graphs they stand for."""

from dataclasses import replace

import numpy as np
import pytest
from test_arrays import APPLIED, as_leaves, data, weighted

from wengert.derive.backward import grad
from wengert.errors import OperandError, ShapeError, SizeError
from wengert.graph import unroll as unrolling
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.graph.unroll import lane_names, unroll
from wengert.ops import meanings
from wengert.ops.arrays import FIRST_MAX, TRANSPOSE, matmul, sum_over
from wengert.ops.shapes import BATCH


def lanes_at(shapes, values):
    """Values for the scalar leaves that array leaves a0, a1, … unroll to."""
    at = {}
    for i, (shape, value) in enumerate(zip(shapes, values, strict=True)):
        for place in np.ndindex(shape):
            at["_".join((f"a{i}", *map(str, place)))] = float(np.asarray(value)[place])
    return at


def used(expr, at):
    return {name: at[name] for name in at if name in expr.graph.leaves}


@pytest.mark.parametrize("case", APPLIED)
def test_unrolled_has_the_same_value(case):
    shapes, function = APPLIED[case]
    graph = Graph()
    leaves = as_leaves(graph, shapes)
    out, values = function(*leaves), data(shapes, 7)
    scalars = unroll(out)
    flat = np.array(scalars, dtype=object).ravel().tolist()
    assert all(not graph_shape for graph_shape in flat[0].graph.shapes)
    found = np.reshape(evaluate(flat, used(flat[0], lanes_at(shapes, values))), out.shape)
    wanted = evaluate(out, dict(zip(leaves, values, strict=True)))
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("case", APPLIED)
def test_gradient_of_the_unrolled_is_the_gradient(case):
    shapes, function = APPLIED[case]
    graph = Graph()
    leaves = as_leaves(graph, shapes)
    loss, values = weighted(function(*leaves) ** 2), data(shapes, 8)
    wanted = evaluate(grad(loss, leaves), dict(zip(leaves, values, strict=True)))
    scalar = unroll(loss)
    at = used(scalar, lanes_at(shapes, values))
    leaves = [scalar.graph[scalar.graph.leaves[name]] for name in at]
    found = dict(zip(at, evaluate(grad(scalar, leaves, allow_unused=True), at), strict=True))
    for i, gradient in enumerate(wanted):
        for place in np.ndindex(shapes[i]):
            name = "_".join((f"a{i}", *map(str, place)))
            expected = pytest.approx(np.asarray(gradient)[place], rel=1e-9, abs=1e-12)
            assert found.get(name, 0.0) == expected


@pytest.mark.parametrize("case", APPLIED)
def test_unrolled_backward_pass_is_the_backward_pass(case):
    shapes, function = APPLIED[case]
    graph = Graph()
    leaves = as_leaves(graph, shapes)
    derivatives, values = grad(weighted(function(*leaves)), leaves), data(shapes, 9)
    flat = [lane for d in unroll(derivatives) for lane in np.array(d, dtype=object).ravel()]
    found = evaluate(flat, used(flat[0], lanes_at(shapes, values)))
    wanted = evaluate(derivatives, dict(zip(leaves, values, strict=True)))
    flat_wanted = np.concatenate([np.ravel(gradient) for gradient in wanted])
    np.testing.assert_allclose(found, flat_wanted, rtol=1e-12, atol=1e-14)


def test_a_matrix_product_is_what_the_books_say():
    graph = Graph()
    product = unroll(matmul(graph.array("A", (2, 2)), graph.array("B", (2, 2))))
    assert str(product[1][0]) == "A_1_0*B_0_0 + A_1_1*B_1_0"


def test_leaves_keep_names_and_values():
    graph = Graph()
    w = graph.array_parameter("W", [[1.0, 2.0], [3.0, 4.0]])
    named = graph.array("z", 2)
    graph.lanes[named.id] = ("first", "second")
    rows = unroll(w @ named)
    assert str(rows[0]) == "W_0_0*first + W_0_1*second"
    assert rows[0].graph.value(rows[0].graph.leaves["W_1_0"]) == 3.0
    assert lane_names(graph, named.id) == ("first", "second")


def test_labels_and_provenance_come_along():
    graph = Graph()
    x = graph.array("x", 2)
    h = x.tanh()
    h.label = "h"
    loss = sum_over(h * h)
    dx = grad(loss, x)
    scalars = unroll([loss, h, dx])
    small = scalars[0].graph
    assert [lane.label for lane in scalars[1]] == ["h_0", "h_1"]
    assert all(lane.origin is not None for lane in scalars[2])
    leaf = small.leaves["x_1"]
    assert small.gradients[scalars[0].id, leaf] == scalars[2][1].id
    assert small.adjoint_of[scalars[2][1].id] == leaf


def test_scalar_graphs_unroll_to_themselves():
    graph = Graph()
    x, y = graph.input("x"), graph.input("y")
    assert str(unroll((x - y).tanh() * x)) == "tanh(x - y)*x"


def test_unknown_lengths_are_refused():
    x = Graph().array("x", (BATCH, 2))
    with pytest.raises(ShapeError, match="the length of its batch is not known"):
        unroll(x.tanh())


def test_too_many_scalars_are_refused(monkeypatch):
    monkeypatch.setattr(unrolling, "MAX_LANES", 10)
    with pytest.raises(SizeError, match="would give 12 scalars; the limit is 10"):
        unroll(Graph().array("x", 6).tanh())


def test_a_broken_meaning_is_caught(monkeypatch):
    monkeypatch.setattr(
        unrolling,
        "meaning_of",
        lambda op, out, shapes, statics: (
            meanings.reshape(out, shapes, out)
            if op is TRANSPOSE
            else meanings.meaning_of(op, out, shapes, statics)
        ),
    )
    with pytest.raises(AssertionError):
        test_unrolled_has_the_same_value("transpose")


def test_a_record_without_a_meaning_is_named():
    nameless = replace(TRANSPOSE, name="turned", meaning=None)
    with pytest.raises(OperandError, match=r"the record of turned .* give it a meaning"):
        unroll(nameless(Graph().array("x", (2, 3))))


def test_the_first_of_the_largest_takes_few_scalars_for_each_element():
    sizes = []
    for n in (20, 40):
        x = Graph().array("x", n)
        sizes.append(len(unroll(FIRST_MAX(x, x.max(), None))[0].graph))
    assert sizes[1] < 2.05 * sizes[0]


def test_the_products_of_a_matrix_product_are_counted_too(monkeypatch):
    monkeypatch.setattr(unrolling, "MAX_LANES", 1000)
    g = Graph()
    with pytest.raises(SizeError, match="would give 2,200 scalars"):
        unroll(g.array("a", (10, 10)) @ g.array("b", (10, 10)))
