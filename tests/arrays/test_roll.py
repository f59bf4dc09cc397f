"""Rolling scalar graphs into array graphs: what is found, that it is right, what is caught."""

import math
import random
from dataclasses import FrozenInstanceError, replace
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.arrays import contractions, index_maps, lanes, sum_parts
from wengert.arrays import report as reports
from wengert.arrays.canonical import fingerprints
from wengert.arrays.collapse import collapse
from wengert.arrays.leaf_arrays import leaf_arrays, parse_name
from wengert.arrays.roll import check_roll, roll
from wengert.derive.backward import adjoints, grad
from wengert.errors import OperandError, ShapeError
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Expr, Graph
from wengert.graph.unroll import unroll_graph
from wengert.graph.value import Value
from wengert.ops.arrays import GATHER, MATMUL, MAX, OUTER, RESHAPE, SCATTER, SUM
from wengert.ops.indexing import Index
from wengert.ops.scalar import (
    STOP_GRADIENT,
    TOTAL,
    equal,
    exp,
    log,
    maximum,
    sigmoid,
    sin,
    tanh,
    where,
)
from wengert.ops.table import OPERATIONS
from wengert.simplify.pipeline import simplify
from wengert.train.losses import cross_entropy
from wengert.train.nn import MLP
from wengert.train.optim import SGD, Adam

ROWS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
TARGETS = [1.0, -1.0, -1.0, 1.0]


def total(things):
    return reduce(lambda a, b: a + b, things)


def dot(a, b):
    return total(x * y for x, y in zip(a, b, strict=True))


def matrix(graph, name, *shape):
    """Nested lists of inputs: name_0_0, name_0_1 and so on."""
    if not shape:
        return graph.input(name)
    return [matrix(graph, f"{name}_{i}", *shape[1:]) for i in range(shape[0])]


def flat(thing):
    return [e for item in thing for e in flat(item)] if isinstance(thing, list) else [thing]


def used(rolled):
    """How often each operation is in the rolled graph."""
    counts = {}
    for node in range(len(rolled.graph)):
        if rolled.graph.operands[node]:
            name = rolled.graph.ops[node].name
            counts[name] = counts.get(name, 0) + 1
    return counts


def labelled(rolled):
    return {rolled.graph.labels[n]: n for n in rolled.graph.labels if rolled.graph.operands[n]}


def values_of(wanted, rolled, seed=0):
    """The outputs by the interpreter on the scalar graph, and on the rolled one."""
    graph = wanted[0].graph
    source = random.Random(seed)
    at = {name: source.uniform(0.1, 1.0) for name in graph.leaves}
    arrays = {}
    for name, leaf in rolled.graph.leaves.items():
        names = rolled.graph.lanes.get(leaf)
        shape = rolled.graph.shapes.get(leaf, ())
        arrays[name] = at[name] if names is None else np.reshape([at[n] for n in names], shape)
    found = [np.ravel(value) for value in evaluate(rolled.outputs, arrays)]
    return evaluate(wanted, at), [found[k][place] for k, place in rolled.places]


def rolled_right(wanted):
    """The rolled graph, after it was compared with the scalar one by structure and by value."""
    rolled = roll(wanted)
    check = check_roll(wanted, rolled)
    assert check, str(check)
    expected, found = values_of(wanted, rolled)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    return rolled


def with_gradients(loss, leaves):
    return [loss, *grad(loss, leaves)]


# -- what is found --------------------------------------------------------------------------------


def test_a_dense_layer_is_a_matrix_product():
    g = Graph()
    W, x, b = matrix(g, "w", 4, 3), g.inputs("x", 3), g.inputs("b", 4)
    rolled = rolled_right([tanh(b[j] + dot(W[j], x)) for j in range(4)])
    assert str(rolled.outputs[0]) == "tanh(W @ x + b)"
    assert rolled.places == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert not rolled.report.scalars


@pytest.mark.parametrize("activation", ["tanh", "relu", "leaky_relu", "sigmoid", "gelu", "silu"])
@pytest.mark.parametrize("simplified", [False, True])
def test_a_network_and_its_backward_pass(activation, simplified):
    g = Graph()
    net = MLP(3, [5, 4, 2], activation, seed=0)
    x, y = g.inputs("x", 3), g.inputs("y", 2)
    loss = total((p - t) ** 2 for p, t in zip(net(x), y, strict=True))
    wanted = with_gradients(loss, net.parameters())
    rolled = rolled_right(simplify(wanted) if simplified else wanted)
    names = labelled(rolled)
    shapes = {name: rolled.graph.shapes[names[name]] for name in ("dW0", "dW1", "dW2")}
    assert shapes == {"dW0": (5, 3), "dW1": (4, 5), "dW2": (2, 4)}
    assert rolled.graph.ops[names["dW1"]] is OUTER
    assert len(used(rolled)) < 16
    assert sum(rolled.report.scalars.values()) == 0


@pytest.mark.parametrize("simplified", [False, True])
def test_samples_written_out_with_their_numbers_become_a_batch(simplified):
    net = MLP(3, [4, 4, 1], seed=0)
    loss = total((net(row) - target) ** 2 for row, target in zip(ROWS, TARGETS, strict=True))
    g = Graph()
    loss = g[g.node_of(loss)]
    wanted = with_gradients(loss, net.parameters())
    rolled = rolled_right(simplify(wanted) if simplified else wanted)
    text = str(rolled.report)
    assert "48 products and 16 sums -> n0 = array(4x3) @ W0.T + b0" in text
    assert "48 products and 12 sums -> dW0 = dn0.T @ array(4x3)" in text
    assert "64 products and 16 sums -> dW1 = dn1.T @ h0" in text
    assert "16 terms and 4 sums -> db0 = sum_over(dn0, axis=0)" in text
    assert "nothing stayed scalar" in text


def test_weight_gradients_of_a_batch_of_inputs_are_found_as_delta_t_x():
    g = Graph()
    net = MLP(3, [4, 2], seed=0)
    X = [g.inputs(f"x{s}_", 3) for s in range(5)]
    Y = [g.inputs(f"y{s}_", 2) for s in range(5)]
    loss = total(
        (p - t) ** 2 for x, y in zip(X, Y, strict=True) for p, t in zip(net(x), y, strict=True)
    )
    rolled = rolled_right(with_gradients(loss, net.parameters()))
    text = str(rolled.report)
    assert "n0 = X @ W0.T + b0" in text
    assert "dW0 = dn0.T @ X" in text
    assert rolled.graph.shapes[rolled.graph.leaves["X"]] == (5, 3)


def test_samples_that_begin_alike_are_still_rows_of_one_product():
    data = [[0.0, 0.0, 1.0], [0.0, 0.0, 2.0], [0.0, 5.0, 2.0], [1.0, 1.0, 1.0], [-1.0, -1.0, 4.0]]
    net = MLP(3, [4, 4], seed=0)
    g = Graph()
    loss = g[g.node_of(total(total(net(row)) for row in data))]
    rolled = rolled_right(simplify(with_gradients(loss, net.parameters())))
    assert "n0 = array(5x3) @ W0.T + b0" in str(rolled.report)
    assert "dW0 = dn0.T @ array(5x3)" in str(rolled.report)


@pytest.mark.parametrize("optimizer", [SGD(0.1), Adam()])
def test_an_optimizer_step(optimizer):
    g = Graph()
    net = MLP(3, [4, 4], seed=0)
    x, y = g.inputs("x", 3), g.inputs("y", 4)
    loss = total((p - t) ** 2 for p, t in zip(net(x), y, strict=True))
    params = net.parameters()
    state = g.inputs("s", len(optimizer.state(len(params))))
    leaves = [g[g.node_of(p)] for p in params]
    moved, new_state = optimizer.step(leaves, grad(loss, params), state)
    rolled = rolled_right(simplify([loss, *moved, *new_state]))
    assert sum(rolled.report.scalars.values()) <= 4
    assert {rolled.graph.shapes[out.id] for out in rolled.outputs[1:3]} == {(4, 3), (4,)}
    assert isinstance(optimizer, SGD) or "36 products -> t3 = 0.9*s[2:38]" in str(rolled.report)


def test_softmax_cross_entropy():
    g = Graph()
    net = MLP(4, [6, 3], ["relu", "linear"], seed=0)
    loss = cross_entropy(net(g.inputs("x", 4)), g.input("y"))
    rolled = rolled_right(with_gradients(loss, net.parameters()))
    counts = used(rolled)
    assert counts["exp"] == counts["eq"] == counts["max_over"] == 1
    text = str(rolled.report)
    assert text.index("exp(n1 - t1)") < text.index("y == [0, 1, 2]"), "not in reading order"
    assert "dW1" in labelled(rolled)


def test_a_convolution_and_its_backward_pass():
    g = Graph()
    x, w, v, b = g.inputs("x", 12), g.inputs("w", 3), g.inputs("v", 3), g.input("b")
    h = [tanh(b + dot(w, x[i : i + 3])) for i in range(10)]
    out = [tanh(dot(v, h[i : i + 3])) for i in range(8)]
    rolled = rolled_right(with_gradients(total(out), [*w, b, *v]))
    counts = used(rolled)
    assert counts["matmul"] == 4
    assert counts["scatter_add"] == 1
    assert not rolled.report.scalars


def test_a_padded_convolution_is_one_array():
    g = Graph()
    x, w = g.inputs("x", 9), g.inputs("w", 3)
    y = [total(w[k] * x[i + k - 1] for k in range(3) if 0 <= i + k - 1 < 9) for i in range(9)]
    rolled = rolled_right([tanh(e) for e in y])
    assert rolled.graph.shapes[rolled.outputs[0].id] == (9,)
    assert len(rolled.outputs) == 1


def test_shares_of_one_product_in_two_gradients_stay_two_arrays():
    g = Graph()
    a, b, c = g.inputs("a", 10), g.inputs("b", 3), g.inputs("c", 3)
    out = [tanh(dot(c, a[i : i + 3]) + dot(c, b)) for i in range(8)]
    rolled = rolled_right(with_gradients(total(out), [*a, *b, *c]))
    assert rolled.graph.shapes[labelled(rolled)["da"]] == (10,)
    assert rolled.graph.shapes[labelled(rolled)["db"]] == (3,)


def test_some_of_the_derivatives_of_a_convolution_stand_alone():
    g = Graph()
    a, c = g.inputs("a", 10), g.inputs("c", 3)
    out = [tanh(dot(c, a[i : i + 3])) for i in range(8)]
    rolled = rolled_right(with_gradients(total(out), [*a[:7], *c]))
    (scattered,) = [node for node, op in enumerate(rolled.graph.ops) if op is SCATTER]
    assert rolled.graph.shapes[scattered] == (7,)


def test_a_two_dimensional_convolution_with_channels():
    g = Graph()
    X, W, b = matrix(g, "x", 6, 6), matrix(g, "w", 2, 3, 3), g.inputs("b", 2)
    h = [
        [
            tanh(b[c] + total(W[c][p][q] * X[i + p][j + q] for p in range(3) for q in range(3)))
            for i in range(4)
            for j in range(4)
        ]
        for c in range(2)
    ]
    u = g.inputs("u", 32)
    loss = dot(u, flat(h))
    rolled = rolled_right(with_gradients(loss, [*flat(W), *b, *flat(X)]))
    names = labelled(rolled)
    assert rolled.graph.shapes[names["dW"]] == (2, 3, 3)
    assert rolled.graph.ops[names["dX"]] is SCATTER
    assert rolled.report.arrays <= 12


def test_a_recurrent_network_has_array_operations_for_each_step():
    g = Graph()
    X, W, U = matrix(g, "x", 4, 3), matrix(g, "w", 5, 3), matrix(g, "u", 5, 5)
    h = g.inputs("h", 5)
    for x in X:
        h = [tanh(dot(W[j], x) + dot(U[j], h)) for j in range(5)]
    rolled = rolled_right(with_gradients(dot(h, h), [*flat(W), *flat(U)]))
    text = str(rolled.report)
    assert "60 products -> t1 = X @ W.T" in text
    assert text.count("tanh(") == 4
    assert "(t5 + t5)*(1 - t5*t5)" in text
    assert rolled.graph.shapes[labelled(rolled)["dU"]] == (5, 5)
    assert not rolled.report.scalars


def test_a_skip_connection():
    g = Graph()
    x = g.inputs("x", 4)
    net = MLP(4, [4, 4], seed=0)
    out = [a + b for a, b in zip(net(x), x, strict=True)]
    rolled = rolled_right(with_gradients(dot(out, out), net.parameters()))
    assert "h1 + x" in str(rolled.report)


def test_attention():
    g = Graph()
    Q, K, V = matrix(g, "q", 4, 3), matrix(g, "k", 4, 3), matrix(g, "v", 4, 3)
    weights = [[exp(dot(q, k)) for k in K] for q in Q]
    out = [[dot(row, [v[d] for v in V]) / total(row) for d in range(3)] for row in weights]
    rolled = rolled_right(with_gradients(dot(flat(out), flat(out)), [*flat(Q), *flat(K), *flat(V)]))
    assert "exp(Q @ K.T)" in str(rolled.report)
    assert not rolled.report.scalars


def test_matrix_products_in_blocks_are_a_stack():
    g = Graph()
    A, B = matrix(g, "a", 3, 4, 5), matrix(g, "b", 3, 5, 2)
    wanted = [
        dot(row, [B[s][k][j] for k in range(5)]) for s in range(3) for row in A[s] for j in range(2)
    ]
    rolled = rolled_right(wanted)
    assert used(rolled)["matmul"] == 1
    assert rolled.outputs[0].shape == (3, 4, 2)


def test_most_of_a_matrix_product_is_picked_from_the_whole():
    g = Graph()
    A = matrix(g, "a", 5, 3)
    rolled = rolled_right([dot(A[i], A[j]) for i in range(5) for j in range(i + 1)])
    assert str(rolled.outputs[0]) == "A @ A.T"
    assert rolled.places[2] == (0, 6)


def test_coefficients_are_told_from_data():
    g = Graph()
    x = g.inputs("x", 6)
    few = rolled_right([2 * e for e in x] + [3 * e for e in x])
    assert [str(out) for out in few.outputs] == ["2*x", "3*x"]
    pair = g.inputs("p", 2)
    assert text_of([k * e for k in (2, 3, 5) for e in pair]) == ["2*p", "3*p", "5*p"]
    x = g.inputs("y", 8)
    unequal = rolled_right([number * e for number, e in zip([2] * 5 + [3] * 3, x, strict=True)])
    assert used(unequal) == {"gather": 4, "mul": 4}
    x = x[:6]
    data = rolled_right([number * e for number, e in zip([2, 3, 3, 2, 2, 3], x, strict=True)])
    assert [str(out) for out in data.outputs] == ["[2, 3, 3, 2, 2, 3]*y"]


def test_factors_of_one_and_terms_of_zero_are_nothing():
    g = Graph()
    x = g.inputs("x", 4)
    assert used(rolled_right([1 * e for e in x])) == {}
    assert used(rolled_right([0 + e + 0 for e in x])) == {}
    assert used(rolled_right([0 - e for e in x])) == {"sub": 1}
    assert used(rolled_right([total(1 * e for e in x)])) == {"sum_over": 1}
    zero = g.constant(0)
    assert evaluate(roll([zero + zero]).outputs) == [0.0]


def test_pairs_of_rows_are_row_wise_dot_products():
    g = Graph()
    A, B = matrix(g, "a", 6, 4), matrix(g, "b", 6, 4)
    rolled = rolled_right([dot(a, b) for a, b in zip(A, B, strict=True)])
    assert str(rolled.outputs[0]) == "sum_over(A*B, axis=1)"


def test_outer_products_sums_and_maxima():
    g = Graph()
    a, b, A = g.inputs("a", 4), g.inputs("b", 5), matrix(g, "m", 4, 5)
    grid = [p * q for p in a for q in b]
    assert rolled_right(grid).graph.ops[-1] is OUTER
    rows = rolled_right([total(row) for row in A])
    columns = rolled_right([total(row[j] for row in A) for j in range(5)])
    assert str(rows.outputs[0]) == "sum_over(M, axis=1)"
    assert str(columns.outputs[0]) == "sum_over(M, axis=0)"
    assert rolled_right([total(flat(A))]).graph.ops[-1] is SUM
    assert rolled_right([reduce(maximum, row) for row in A]).graph.ops[-1] is MAX


def test_index_maps_become_slices_transposes_and_broadcasts():
    g = Graph()
    x, M, b = g.inputs("x", 9), matrix(g, "m", 4, 5), g.inputs("b", 4)
    differences = rolled_right([x[i + 1] - x[i] for i in range(8)])
    assert str(differences.outputs[0]) == "x[1:] - x[:8]"
    turned = rolled_right([M[i][j] + M[i][j] * 2 for j in range(5) for i in range(4)])
    assert used(turned) == {"mul": 1, "add": 1}
    stretched = rolled_right([M[i][j] / b[i] for i in range(4) for j in range(5)])
    assert str(stretched.outputs[0]) == "M/b.reshape(4, 1)"


def test_totals_over_samples_are_totals_of_arrays():
    g = Graph()
    net = MLP(3, [4, 4], seed=0)
    x = g.inputs("x", 3)
    loss = total(e**2 for e in net(x))
    rolled = rolled_right([TOTAL(e) for e in with_gradients(loss, net.parameters())])
    assert used(rolled)["total"] == 5
    assert {out.shape for out in rolled.outputs} == {(), (4, 3), (4,), (4, 4)}


def test_the_784_50_10_network():
    g = Graph()
    net = MLP(784, [50, 10], ["tanh", "linear"], seed=0)
    loss = cross_entropy(net(g.inputs("x", 784)), g.input("y"))
    wanted = with_gradients(loss, net.parameters())
    rolled = roll(wanted)
    assert rolled.report.nodes > 120_000
    assert rolled.report.arrays <= 24
    assert sum(rolled.report.scalars.values()) <= 6
    assert rolled.report.gain > 20
    assert rolled.report.findings[0] == "39,200 products and 50 sums -> n0 = W0 @ x + b0"
    assert "39,200 products -> dW0 = outer(dn0, x)" in rolled.report.findings
    assert check_roll(wanted, rolled)


# -- leaves and outputs ---------------------------------------------------------------------------


def test_names_of_leaves():
    assert parse_name("w0_2_1") == ("w0", (2, 1))
    assert parse_name("_3") == ("_", (3,))
    assert parse_name("alpha_x") == ("alpha_x", ())
    g = Graph()
    for name in ("w_0_0", "w_0_1", "w_1_1", "p1", "p2", "rate", "x01", "x1", "W"):
        g.input(name)
    arrays = {a.name: a.shape for a in leaf_arrays(g, range(len(g)))}
    assert arrays == {"w": (3,), "p": (2,), "rate": (), "x": (2,), "W": ()}


def test_arrays_of_parameters_and_of_inputs_named_alike_are_told_apart():
    g = Graph()
    x, p = g.inputs("x", 4), [g.parameter(f"x_{i}", float(i)) for i in range(4)]
    rolled = rolled_right([a * b for a, b in zip(x, p, strict=True)])
    assert len(rolled.graph.leaves) == 2


def test_leaves_keep_their_names_and_values():
    g = Graph()
    net = MLP(3, [4, 2], seed=0)
    wanted = net(g.inputs("x", 3))
    rolled = roll(wanted)
    again, _ = unroll_graph(rolled.graph, [out.id for out in rolled.outputs])
    assert again.leaves.keys() == g.leaves.keys()
    for p in net.parameters():
        assert again.value(again.leaves[p.label]) == p.data


def test_outputs_may_be_anything():
    g = Graph()
    x = g.inputs("x", 4)
    wanted = [x[2], g.constant(3.0), x[0] + 1, x[2], g.constant(3.0), x[1] * 1]
    rolled = rolled_right(wanted)
    assert [str(e) for e in rolled.scalars()][:2] == ["x[2]", "3"]
    several = [g.constant(5.0), x[0] / 7, g.constant(7.0)]
    assert [str(out) for out in rolled_right(several).outputs] == ["5", "x[0]/7", "7"]


def test_a_graph_with_outputs_and_a_value_are_accepted():
    small = simplify([Value(2.0, label="a") * Value(3.0, label="b")])[0].graph
    assert evaluate(roll(small).outputs) == [6.0]
    assert evaluate(roll(Value(2.0, label="a") * 3).outputs) == [6.0]


def test_what_is_no_scalar_graph_is_refused():
    g = Graph()
    with pytest.raises(ShapeError, match=r"\(3, 4\).*unroll it first"):
        roll([g.array("X", (3, 4)) * 2])
    with pytest.raises(OperandError, match="cannot roll 'loss'"):
        roll("loss")


# -- numbers ---------------------------------------------------------------------------------------


def test_differences_in_parentheses_are_not_reordered():
    g = Graph()
    z = g.inputs("z", 4)
    shift = STOP_GRADIENT(reduce(maximum, z))
    loss = log(total(exp(e - shift) for e in z)) + (shift - z[1])
    rolled = roll([loss])
    at = np.array([3.0, 1e10, 2.0, 1e10])
    exact = math.log(2.0)
    assert evaluate(loss, dict(zip(z, at, strict=True))) == pytest.approx(exact, rel=1e-14)
    assert evaluate(rolled.outputs, {"z": at})[0] == pytest.approx(exact, rel=1e-14)


def test_a_sum_that_subtracts_stays_apart():
    g = Graph()
    a, b, c, d = g.inputs("x", 4)
    root = a + ((b - c) + d)
    assert len(collapse(g, range(len(g)), [root.id]).chains[root.id]) == 2
    at = {a: 1e-9, b: 1e10, c: 1e10, d: 0.0}
    found = evaluate(roll([root]).outputs, {"x": np.array([at[e] for e in (a, b, c, d)])})
    assert found == [evaluate(root, at)] == [1e-9]


def test_chains_from_either_end_are_one_sum():
    g = Graph()
    x = g.inputs("x", 6)
    left, right = total(x), reduce(lambda a, b: b + a, reversed(x))
    for root in (left, right):
        assert len(collapse(g, range(len(g)), [root.id]).chains[root.id]) == 6


def test_constant_factors_and_others_on_one_array():
    g = Graph()
    w, a = g.inputs("w", 4), g.inputs("a", 4)
    scaled = [2 * w[0] + 3 * w[1], 5 * w[2] - w[3], w[0] - 4 * w[2], w[1] + 2 * w[1]]
    rolled_right([*scaled, dot(a, w), a[0] * w[1] - a[2] * w[3]])


def test_a_long_beginning_is_not_written_out_in_every_sum():
    g = Graph()
    x, y = g.inputs("x", 100), g.inputs("y", 100)
    for shared in (total(x), reduce(lambda a, b: b + a, x)):
        wanted = [shared + e for e in y]
        terms = collapse(g, range(len(g)), [e.id for e in wanted]).chains
        assert max(len(terms[e.id]) for e in wanted) == 2


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(("length", "terms"), [(6, 7), (7, 8), (8, 2)])
def test_a_beginning_is_written_out_where_that_adds_no_more_terms_than_nodes(
    length, terms, backwards
):
    g = Graph()
    x, y = g.inputs("x", length), g.inputs("y", 4)
    shared = reduce(lambda a, b: b + a, x) if backwards else total(x)
    wanted = [shared + e for e in y]
    assert (len(y) - 1) * length <= len(g) or terms == 2
    chains = collapse(g, range(len(g)), [e.id for e in wanted]).chains
    assert [len(chains[e.id]) for e in wanted] == [terms] * 4


def test_beginnings_are_written_out_until_they_add_as_many_terms_as_nodes():
    g = Graph()
    x, y = g.inputs("x", 20), g.inputs("y", 20)
    wanted = [[shared + e for e in y] for shared in [total(x) for _ in range(10)]]
    chains = collapse(g, range(len(g)), [e.id for row in wanted for e in row]).chains
    lengths = [{len(chains[e.id]) for e in row} for row in wanted]
    assert lengths == [{21}] + [{2}] * 9


def test_scaled_terms_are_part_of_every_sum_unless_something_else_needs_them():
    g = Graph()
    x, y = g.inputs("x", 2), g.inputs("y", 3)
    scaled, product, needed = 2 * x[0], x[0] * x[1], 3 * x[1]
    wanted = [
        *(scaled + y[0], y[1] + scaled, y[2] - scaled),
        *(product + y[0], y[1] + product),
        *(needed + y[0], y[1] + needed, tanh(needed)),
        tanh(y[0]) * y[1] + y[2],
    ]
    chains = collapse(g, range(len(g)), [e.id for e in wanted]).chains
    joined = [any(term.other >= 0 for term in chains.get(e.id, ())) for e in wanted]
    assert joined == [True] * 3 + [False] * 5 + [True]


def test_differences_that_begin_sums_are_part_of_them():
    g = Graph()
    a, b, c, d = g.inputs("x", 4)
    for root, count in (
        ((a - b) + c, 3),
        (d + (a + b), 3),
        (d + (a - b), 2),
        (d + ((a - b) + c), 2),
        (d - (a + b), 2),
        ((a + b) - (c + d), 3),
        (maximum(maximum(a, b), maximum(c, d)), 4),
        (maximum(a + b, c), 2),
        (maximum(a, b) + c, 2),
    ):
        chains = collapse(g, range(len(g)), [root.id]).chains
        assert len(chains[root.id]) == count, str(root)


def test_prefix_sums_are_not_written_out():
    g = Graph()
    x = g.inputs("x", 400)
    sums = [x[0] + x[1]]
    for e in x[2:]:
        sums.append(sums[-1] + e)
    wanted = [e + 1 for e in sums]
    terms = collapse(g, range(len(g)), [e.id for e in wanted]).chains.values()
    assert sum(map(len, terms)) < 4 * len(g)


# -- corners ---------------------------------------------------------------------------------------


def text_of(wanted):
    """The outputs of the rolled graph as text, once they are known to be right."""
    return [str(out) for out in rolled_right(wanted).outputs]


def test_shares_of_one_product_in_three_gradients_stay_three_arrays():
    g = Graph()
    a, b, c, d = g.inputs("a", 10), g.inputs("b", 3), g.inputs("c", 3), g.inputs("d", 6)
    out = [
        tanh(dot(c, a[i : i + 3]) + dot(c, b) + dot(c, d[i // 2 : i // 2 + 3])) for i in range(8)
    ]
    rolled = rolled_right(with_gradients(total(out), [*a, *b, *d, *c]))
    shapes = {name: rolled.graph.shapes[node] for name, node in labelled(rolled).items()}
    assert shapes == {"da": (10,), "db": (3,), "dd": (6,), "dc": (3,)}
    assert "24 products and 8 sums -> da = " in str(rolled.report)


def test_scalars_keep_their_labels():
    g = Graph()
    x = g.inputs("x", 3)
    h = tanh(x[0] * x[1])
    h.label = "h"
    s = x[0] * x[1] + x[1] * x[2]
    s.label = "s"
    assert labelled(rolled_right([h / 2, s / 2])).keys() == {"h", "s"}
    one = dot(g.inputs("v", 9), g.inputs("w", 9))
    one.label = "n0_3"
    assert labelled(rolled_right([one])).keys() == {"n0_3"}


def test_sums_of_different_lengths_of_one_array_are_scattered():
    g = Graph()
    x = g.inputs("x", 9)
    rolled = rolled_right([total(x[i:]) for i in range(4)])
    assert used(rolled) == {"sum_over": 1, "gather": 1, "scatter_add": 1}


def test_sums_of_parts_of_one_array_are_gathered():
    g = Graph()
    x = g.inputs("x", 10)
    windows = [x[i : i + 4] for i in (0, 5, 1, 6)]
    assert used(rolled_right([total(window) for window in windows])) == {"gather": 1, "sum_over": 1}
    largest = rolled_right([reduce(maximum, window) for window in windows])
    assert used(largest) == {"gather": 1, "max_over": 1}
    both = rolled_right([reduce(maximum, window) for window in [*windows, x[:5], x[3:8]]])
    assert used(both) == {"gather": 2, "max_over": 2}


def test_one_scalar_many_times_in_a_sum():
    g = Graph()
    s, x = g.input("s"), g.inputs("x", 5)
    assert text_of([s + s + s + s + s]) == ["sum_over(broadcast_to(s, (5,)), axis=0)"]
    assert text_of([s + s + s]) == ["s + s + s"]
    assert text_of([s * a for a in x]) == ["s*x"]
    assert text_of([total([s * a for a in g.inputs("y", 9)])]) == ["sum_over(s*y, axis=0)"]


def test_one_product_a_few_times_in_a_sum():
    g = Graph()
    x, y = g.inputs("x", 6), g.inputs("y", 6)
    pairs = list(zip(x, y, strict=True))
    assert text_of([a * b + a * b for a, b in pairs]) == ["x*y + x*y"]
    assert text_of([total([a * b for _ in range(3)]) for a, b in pairs]) == ["x*y + x*y + x*y"]
    often = rolled_right([total([a * b for _ in range(4)]) for a, b in pairs])
    assert used(often)["sum_over"] == 1
    others = [x[0] * y[0] + x[1] * y[0], x[2] * y[3] + x[2] * y[4]]
    assert used(rolled_right(others))["mul"] == 4


def test_an_array_in_another_order_is_gathered():
    g = Graph()
    x, y, M = g.inputs("x", 5), g.inputs("y", 5), matrix(g, "m", 3, 4)
    assert text_of([a / b for a, b in zip(x, y[::-1], strict=True)]) == ["x/y[4::-1]"]
    square = matrix(g, "s", 3, 3)
    assert text_of([square[i][j] / square[j][i] for i in range(3) for j in range(3)]) == ["S/S.T"]
    A, B = matrix(g, "a", 2, 3, 4), matrix(g, "b", 2, 4, 3)
    stack = [A[s][i][j] / B[s][j][i] for s in range(2) for i in range(3) for j in range(4)]
    assert used(rolled_right(stack)) == {"transpose": 1, "div": 1}
    turned = [M[i][j] for i in (2, 0, 1) for j in range(4)]
    found = rolled_right([a / b for a, b in zip(flat(M), turned, strict=True)])
    assert used(found) == {"gather": 1, "div": 1}


@pytest.mark.parametrize(("height", "width"), [(24, 4), (4, 24)])
def test_long_and_narrow_matrix_products(height, width):
    g = Graph()
    A, B = matrix(g, "a", height, 4), matrix(g, "b", width, 4)
    assert text_of([dot(a, b) for a in A for b in B]) == ["A @ B.T"]


def test_pairs_along_a_band_are_row_wise():
    g = Graph()
    A, B = matrix(g, "a", 6, 4), matrix(g, "b", 7, 4)
    rolled = rolled_right([dot(A[i], B[i + k]) for i in range(6) for k in range(2)])
    assert used(rolled)["sum_over"] == 1
    assert "matmul" not in used(rolled)


def test_parameters_stand_on_the_right_where_nothing_else_decides():
    g = Graph()
    A, B = matrix(g, "a", 3, 4), matrix(g, "b", 3, 4)
    W = [[g.parameter(f"w_{j}_{i}", 0.5) for i in range(4)] for j in range(3)]
    V = [[g.parameter(f"v_{j}_{i}", 0.5) for i in range(4)] for j in range(3)]
    pairs = [(i, j) for i in range(3) for j in range(3)]
    random.Random(0).shuffle(pairs)
    assert text_of([dot(A[i], B[j]) for i, j in pairs]) == ["A @ B.T"]
    assert text_of([dot(W[i], V[j]) for i, j in pairs]) == ["W @ V.T"]
    late = matrix(g, "x", 3, 4)
    assert text_of([dot(W[i], late[j]) for i, j in pairs]) == ["X @ W.T"]
    assert text_of([dot(A[i], W[j]) for i, j in pairs]) == ["A @ W.T"]


@pytest.mark.parametrize(("rows", "columns"), [(1, 2), (2, 1)])
def test_stacks_of_products_with_vectors(rows, columns):
    g = Graph()
    A, B = matrix(g, "a", 3, rows, 5), matrix(g, "b", 3, columns, 5)
    rolled = rolled_right([dot(a, b) for s in range(3) for a in A[s] for b in B[s]])
    assert used(rolled)["matmul"] == 1
    assert rolled.outputs[0].shape == (3, rows, columns)


def test_lanes_that_fill_no_grid_are_told_apart_by_all_their_places():
    g = Graph()
    x, y = g.inputs("x", 4), g.inputs("y", 3)
    places = [(0, 1), (2, 0), (1, 0), (1, 1), (2, 1)]
    rolled = rolled_right([x[i] / y[j] for i, j in places] + [x[3] / y[2]])
    assert rolled.outputs[0].shape == (6,)


def test_products_are_written_before_what_is_added_to_them():
    g = Graph()
    w, x, b, c = g.inputs("w", 5), g.inputs("x", 5), g.input("b"), g.input("c")
    assert text_of([b + dot(w, x)]) == ["w @ x + b"]
    assert text_of([b + dot(w, x) + c]) == ["w @ x + b + c"]
    assert text_of([b - dot(w, x)]) == ["b - w @ x"]
    assert text_of([b + c]) == ["b + c"]
    W, d, e = matrix(g, "m", 4, 5), g.inputs("d", 4), g.inputs("e", 4)
    assert text_of([d[j] + dot(W[j], x) + e[j] for j in range(4)]) == ["M @ x + d + e"]


def test_adjoints_are_named_after_what_they_are_adjoints_of():
    """Not those of products that are parts of a sum and no nodes of their own."""
    g = Graph()
    x, y, z = (g.inputs(name, 5) for name in "xyz")
    loss = total(tanh(a - b * c) ** 2 for a, b, c in zip(x, y, z, strict=True))
    rolled = rolled_right(with_gradients(loss, [*x, *y, *z]))
    assert [out.label for out in rolled.outputs] == ["", "dx", "dy", "dz"]
    graph = rolled.graph
    named = [graph.labels[node] for node in graph.labels if graph.operands[node]]
    assert sorted(named) == ["dx", "dy", "dz"]
    of = {graph.labels[adjoint]: graph.labels.get(node) for adjoint, node in adjoints_of(graph)}
    assert of == {"dx": "x", "dy": "y", "dz": "z"}


def adjoints_of(graph):
    return [pair for pair in graph.adjoint_of.items() if pair[0] in graph.labels]


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ({0: "h_0"}, None),
        ({4: "h_4"}, None),
        ({0: "h_0", 4: "k_4"}, None),
        ({0: "h_0", 4: "h_4"}, "h"),
    ],
)
def test_an_array_is_named_where_its_first_and_last_elements_are_named_alike(labels, name):
    g = Graph()
    wanted = [tanh(e) for e in g.inputs("x", 5)]
    for i, label in labels.items():
        wanted[i].label = label
    assert list(labelled(rolled_right([e / 3 for e in wanted]))) == ([name] if name else [])


def arrays_of(*names):
    g = Graph()
    for name in names:
        g.input(name)
    return {a.name: a.shape for a in leaf_arrays(g, range(len(g)))}


def test_names_of_arrays_are_free_names():
    assert arrays_of("if_0", "if_1", "x3", "y0") == {"if_": (2,), "x3": (), "y0"[:1]: (1,)}
    assert arrays_of("w_0", "w_1", "w") == {"w_": (2,), "w": ()}
    assert arrays_of("w_0", "w_1", "w", "w_") == {"w__": (2,), "w": (), "w_": ()}
    rows = [f"x{i}_{j}" for i in range(2) for j in range(3)]
    assert arrays_of(*rows) == {"X": (2, 3)}
    assert arrays_of(*rows, "x_0_0", "x_0_1") == {"x0": (3,), "x1": (3,), "X": (1, 2)}
    assert arrays_of(*rows[:3]) == {"x0": (3,)}
    assert arrays_of(*rows, "x2_0", "x2_1") == {"X": (2, 3), "x2": (2,)}


@pytest.mark.parametrize(
    ("runs", "products"),
    [((3, 1), 4), ((2, 1, 2), 1), ((3, 2, 3), 8), ((4, 4, 4, 4), 4), ((4, 4, 4, 4, 4), 1)],
)
def test_factors_in_few_and_long_runs_are_coefficients(runs, products):
    g = Graph()
    factors = [2 + i % 2 for i, count in enumerate(runs) for _ in range(count)]
    x = g.inputs("x", len(factors))
    assert used(rolled_right([k * e for k, e in zip(factors, x, strict=True)]))["mul"] == products


def test_numbers_added_to_the_same_elements_are_told_apart():
    g = Graph()
    s, x = g.input("s"), g.inputs("x", 4)
    assert text_of([e + k for k in (1, 2) for e in x]) == ["x + 1", "x + 2"]
    assert text_of([k * s for k in (2, 3)]) == ["[2, 3]*s"]
    assert used(rolled_right([e / k for k in (5, 7) for e in x])) == {"reshape": 1, "div": 1}


@pytest.mark.parametrize(("count", "products"), [(9, {"matmul"}), (8, {"mul", "sum_over"})])
def test_half_of_a_matrix_product_is_not_worth_the_whole(count, products):
    g = Graph()
    A, B = matrix(g, "a", 4, 5), matrix(g, "b", 4, 5)
    pairs = [(0, 0), (1, 1), (2, 2), (3, 3), (0, 1), (1, 2), (2, 3), (0, 2), (1, 3)][:count]
    found = used(rolled_right([dot(A[i], B[j]) for i, j in pairs]))
    assert found.keys() & {"matmul", "mul", "sum_over"} == products


SCATTERED = [[(0, 0, 0), (1, 1, 1), (2, 0, 1)], [(3, 1, 0), (0, 1, 1), (1, 0, 0)]]
"""Sums of products a[i][k]*b[j][k]: triples of i, j and k."""


@pytest.mark.parametrize(
    ("columns", "others", "shapes", "expected"),
    [
        (2, SCATTERED, {(4, 2), (2,)}, {"matmul": 1, "sum_over": 1}),
        (3, SCATTERED, {(4, 3), (2,)}, {"matmul": 1, "sum_over": 1}),
        (2, [*SCATTERED, SCATTERED[0][:2] * 2], {(4, 2), (3,)}, {"matmul": 1, "scatter_add": 1}),
        (1, SCATTERED, {(6,)}, {"scatter_add": 1}),
    ],
)
def test_a_matrix_product_stands_apart_from_other_sums(columns, others, shapes, expected):
    g = Graph()
    A, B = matrix(g, "a", 4, 2), matrix(g, "b", max(columns, 2), 2)
    wanted = [dot(a, b) for a in A for b in B[:columns]]
    wanted += [total([A[i][k] * B[j][k] for i, j, k in row]) for row in others]
    rolled = rolled_right(wanted)
    assert {out.shape for out in rolled.outputs} == shapes
    found = used(rolled)
    assert {n: found[n] for n in ("matmul", "sum_over", "scatter_add") if n in found} == expected


def test_a_vector_scaled_by_one_number_is_no_outer_product():
    g = Graph()
    M, x, s = matrix(g, "m", 4, 3), g.inputs("x", 4), g.input("s")
    loss = s * total(M[i][j] * x[i] for i in range(4) for j in range(3)) + total(
        e * e for e in flat(M)
    )
    rolled = rolled_right(with_gradients(loss, flat(M)))
    assert "outer" not in used(rolled)
    assert rolled.outputs[1].shape == (4, 3)


def test_equally_long_shares_in_two_gradients_are_one_product():
    g = Graph()
    X, T = matrix(g, "x", 5, 3), matrix(g, "t", 5, 4)
    W, u = matrix(g, "w", 4, 3), g.inputs("u", 4)
    loss = total(T[s][j] * (dot(W[j], X[s]) + u[j] * X[s][0]) for s in range(5) for j in range(4))
    rolled = rolled_right(grad(loss, [*flat(W), *u]))
    assert rolled.report.findings == ("80 products and 16 sums -> t1 = X.T @ T",)


def test_an_array_of_adjoints_and_others_has_no_name():
    g = Graph()
    x, w = g.inputs("x", 5), g.inputs("w", 5)
    products = [a * b for a, b in zip(x, w, strict=True)]
    loss = total(tanh(e) ** 2 for e in products)
    dx, of = grad(loss, x), adjoints(loss)
    others = [of[e] * w[i - 1] for i, e in enumerate(products)]
    rolled = rolled_right([*dx, *others])
    assert rolled.outputs[0].shape == (10,)
    assert not rolled.outputs[0].label

    y = g.inputs("y", 5)
    loss = total(tanh(e + y[i] * w[i - 1]) ** 2 for i, e in enumerate(products))
    rolled = rolled_right(grad(loss, [*x, *y]))
    assert rolled.outputs[0].shape == (10,)
    assert not rolled.outputs[0].label


@pytest.mark.parametrize(("singles", "sums", "scattered"), [(2, 3, 5), (2, 2, 4), (3, 2, 2)])
def test_single_products_stand_apart_where_they_are_the_most(singles, sums, scattered):
    g = Graph()
    x, w = g.inputs("x", 12), g.inputs("w", 12)
    pairs = [[(5, 6), (6, 8), (8, 5)], [(9, 10), (11, 7)], [(10, 4), (7, 9), (8, 8), (4, 4)]]
    lanes = [[(i, i)] for i in range(singles)] + pairs[:sums]
    rolled = rolled_right([total(x[i] * w[j] for i, j in row) for row in lanes])
    assert {out.shape for out in rolled.outputs if out.shape} == {(scattered,)}
    assert used(rolled)["scatter_add"] == 1


@pytest.mark.parametrize("factor", [0.25, 1.0, 1.5, 3.0])
def test_a_sign_may_stand_on_a_factor_or_on_the_product(factor):
    g = Graph()
    x = g.input("x")
    pair = [-factor * x, -(factor * x)]
    left, right, other = (e.id for e in (*pair, factor * x))
    found = fingerprints(g, [left, right, other])
    assert found[left] == found[right] == -found[other] % 2**64 != found[other]


def test_what_rolling_says_does_not_change():
    g = Graph()
    wanted = [tanh(e) for e in g.inputs("x", 10)]
    rolled = roll(wanted)
    assert len(repr(rolled.report)) < 100, "printed by str alone"
    for thing, name in ((rolled, "outputs"), (rolled.report, "gain")):
        with pytest.raises(FrozenInstanceError):
            setattr(thing, name, None)
    check = check_roll(wanted, rolled)
    with pytest.raises(FrozenInstanceError):
        check.lost = 1
    assert str(replace(check, outputs=tuple(range(8)), lost=1000)) == (
        "the rolled graph differs: 8 outputs (0, 1, 2, 3, 4, 5, 6, 7), "
        "1,000 operations lost, 0 added"
    )
    assert "9 outputs (0, 1, 2, 3, 4, 5, 6, 7, …)" in str(replace(check, outputs=tuple(range(9))))
    assert "0 outputs (none), 0 operations lost, 2 added" in str(replace(check, added=2))


def test_a_long_formula_gets_a_line_of_its_own(monkeypatch):
    g = Graph()
    x, W = g.inputs("x", 4), matrix(g, "w", 5, 4)
    rolled = roll([tanh(dot(row, x)) for row in W])
    assert rolled.report.findings == ("20 products, 5 sums and 5 tanh -> t1 = tanh(W @ x)",)
    for longest, lines in ((len("W @ x"), 1), (len("W @ x") - 1, 2)):
        monkeypatch.setattr(reports, "LONGEST", longest)
        assert len(replace(rolled.report).findings) == lines


ESTIMATES = {
    "scalar": (lambda x, s: s + s, 80.0),
    "elements": (lambda x, s: tanh(x), 1000.0 + 20),
    "stretched": (lambda x, s: x + s, 1000.0 + 20),
    "a sum": (lambda x, s: SUM(x, None), 1000.0 + 20),
    "a product": (lambda x, s: x @ x, 1000.0 + 0.2 * 20),
    "a view": (lambda x, s: RESHAPE(x, (4, 5)), 250.0),
    "chosen": (lambda x, s: GATHER(x, Index(np.arange(4))), 250.0 + 3 * 4),
    "chosen often": (lambda x, s: GATHER(x, Index(np.zeros(50, int))), 250.0 + 3 * 50),
    "scattered": (lambda x, s: SCATTER(x, Index(np.zeros(20, int)), (2,)), 250.0 + 3 * 20),
    "scattered far": (lambda x, s: SCATTER(x, Index(np.arange(20)), (99,)), 250.0 + 3 * 99),
}


@pytest.mark.parametrize("case", ESTIMATES)
def test_what_an_operation_on_arrays_is_estimated_to_cost(case):
    build, nanoseconds = ESTIMATES[case]
    g = Graph()
    build(g.array("x", 20), g.input("s"))
    found = reports.report(g, {}, 500, 400)
    assert found.gain == pytest.approx(400 * 40.0 / nanoseconds, rel=1e-12)
    assert found.arrays == (case not in ("scalar", "a view", "chosen", "chosen often"))
    assert found.scalars == ({"add": 1} if case == "scalar" else {})
    assert reports.report(Graph(), {}, 0, 0).gain == 1.0
    assert found.pays == (found.gain > 1.0)
    assert not replace(found, gain=1.0).pays


def test_what_stayed_scalar_is_named_by_the_six_most():
    report = roll(irregular(1, 300)).report
    names = "abcdefg"
    many = replace(report, scalars={name: 2000 - i for i, name in enumerate(names)}, operations=9)
    assert many.remainder().startswith(
        "13,979 of 9 operations stayed scalar (2,000 a, 1,999 b, 1,998 c, 1,997 d, 1,996 e, "
        "1,995 f, …): "
    )
    six = replace(many, scalars=dict.fromkeys(names[:6], 1))
    assert "(1 a, 1 b, 1 c, 1 d, 1 e, 1 f):" in six.remainder()
    assert "1 array operation and 6 scalar operations" in replace(six, arrays=1).summary()
    assert replace(six, scalars={}).remainder() == "nothing stayed scalar"


@pytest.mark.parametrize("numbers", [(2, 3, -2), (1, 2, -3), (1, -1, 2), (-1, 2, 3), (1, -1, -2)])
def test_data_written_as_factors_and_signs_are_one_matrix(numbers):
    g = Graph()
    w, source = g.inputs("w", 5), random.Random(0)
    wanted = []
    for row in [[source.choice(numbers) for _ in w] for _ in range(6)]:
        found = 7 * w[0]
        for number, e in zip(row[1:], w[1:], strict=True):
            term = e if abs(number) == 1 else abs(number) * e
            found = found + term if number > 0 else found - term
        wanted.append(found)
    assert used(rolled_right(wanted)) == {"matmul": 1}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (lambda x, y, z: [tanh(e) for e in x[:3]], {"gather": 3, "tanh": 3}),
        (lambda x, y, z: [tanh(e) for e in x[:4]], {"gather": 1, "tanh": 1}),
        (lambda x, y, z: [tanh(e) for e in y], {"tanh": 1}),
        (
            lambda x, y, z: [dot(x[:4], z[5:9]), dot(x[4:7], z[9:])],
            {"gather": 14, "mul": 7, "add": 5},
        ),
        (
            lambda x, y, z: [dot(x[:4], z[5:9]), dot(x[4:8], z[8:])],
            {"gather": 2, "mul": 1, "sum_over": 1},
        ),
        (lambda x, y, z: [a * b for a in y for b in (2, 3, 5)], {"mul": 3}),
        (lambda x, y, z: [a * b for a in y for b in (2, 3, 5, 7)], {"outer": 1}),
        (lambda x, y, z: [total(x[i : i + 3]) for i in (0, 5, 2, 7)], {"gather": 3, "add": 2}),
        (lambda x, y, z: [total(x[i : i + 4]) for i in (0, 5, 2, 7)], {"gather": 1, "sum_over": 1}),
        (lambda x, y, z: [total(y)], {"sum_over": 1}),
    ],
)
def test_how_few_are_too_few(wanted, expected):
    g = Graph()
    x, y, z = g.inputs("x", 12), g.inputs("y", 3), g.inputs("z", 12)
    every = [dot(x, x), dot(z, z)]  # so that these are arrays of 12, whichever are used
    rest = used(rolled_right(every))
    found = used(rolled_right([*wanted(x, y, z), *every]))
    counts = {name: found[name] - rest.get(name, 0) for name in found}
    assert {name: count for name, count in counts.items() if count} == expected


def test_products_of_signs_alone():
    g = Graph()
    one, minus, x = g.constant(1.0), g.constant(-1.0), g.input("x")
    signs = [one * minus, minus * minus, minus * one * minus]
    assert [evaluate(e) for e in signs] == [-1.0, 1.0, 1.0]
    found = fingerprints(g, [e.id for e in signs])
    assert found[signs[0].id] == -found[signs[1].id] % 2**64
    assert found[signs[1].id] == found[signs[2].id] == fingerprints(g, [one.id])[one.id]
    assert check_roll([x * e for e in signs], roll([x * e for e in signs]))


# -- irregular graphs ------------------------------------------------------------------------------


def irregular(seed, size, leaves=12):
    """A random graph over leaves of all kinds; its last nodes."""
    source = random.Random(seed)
    g = Graph()
    pool = [
        *g.inputs("x", leaves),
        *flat(matrix(g, "w", 3, 4)),
        g.input("a"),
        g.parameter("k", 0.5),
    ]
    unary = [tanh, sin, sigmoid, lambda e: -e, lambda e: e**2]
    while len(g) < size:
        a, b = source.choice(pool[-40:]), source.choice(pool)
        kind = source.randrange(9)
        if kind < 2:
            new = source.choice(unary)(tanh(a))
        elif kind == 2:
            new = a + b
        elif kind == 3:
            new = a - b
        elif kind == 4:
            new = tanh(a) * b
        elif kind == 5:
            new = maximum(a, b)
        elif kind == 6:
            new = a * source.choice([1.0, 2.0, -1.0, -0.5]) + b
        else:
            new = where(a > b, a, b)
        if kind == 8:
            c, d = source.choice(pool), source.choice(pool)
            new = new + source.choice([-2.0, 1.0, 3.0]) * c - tanh(c) * d + b * d
        pool.append(tanh(new))
    return pool[-4:]


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(30, 400))
def test_irregular_graphs(seed, size):
    wanted = irregular(seed, size)
    rolled_right(wanted)
    rolled_right(simplify(wanted))


@settings(max_examples=40)
@given(st.data())
def test_regular_networks_of_random_shape(data):
    draw = data.draw
    widths = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    samples = draw(st.integers(1, 5))
    kinds = [draw(st.sampled_from(["tanh", "sigmoid", "linear", "relu"])) for _ in widths[1:]]
    numbers = draw(st.booleans())
    net = MLP(widths[0], widths[1:], kinds, seed=1)
    g = Graph()
    source = random.Random(draw(st.integers(0, 99)))
    rows = [
        [g.constant(source.choice([0.0, 1.0, -1.0, 2.0, 0.5])) for _ in range(widths[0])]
        if numbers
        else g.inputs(f"x{s}_", widths[0])
        for s in range(samples)
    ]
    outs = [flat(net(row)) for row in rows]
    loss = total((e - 0.5) ** 2 for out in outs for e in out)
    wanted = with_gradients(loss, net.parameters())
    rolled_right(wanted)
    rolled_right(simplify(wanted))


def test_a_network_too_irregular_to_gain_says_so():
    rolled = roll(irregular(1, 2000))
    assert not rolled.report.pays
    assert "stayed scalar" in str(rolled.report)
    assert "too irregular or too small to gain" in str(rolled.report)


def test_a_chain_of_many_nodes():
    g = Graph()
    e = x = g.input("x")
    for i in range(20_000):
        e = tanh(e) if i % 3 else e + x
    rolled = roll([e])
    assert check_roll([e], rolled)
    assert not rolled.report.pays


# -- a wrong roll is caught ------------------------------------------------------------------------


def sample_network():
    g = Graph()
    net = MLP(3, [4, 4], seed=0)
    rows = [g.inputs(f"x{s}_", 3) for s in range(3)]
    loss = total((e - 0.5) ** 2 for row in rows for e in net(row))
    return with_gradients(loss, net.parameters())


def test_places_that_are_exchanged_are_caught():
    wanted = sample_network()
    rolled = roll(wanted)
    places = [*rolled.places]
    places[3], places[4] = places[4], places[3]
    check = check_roll(wanted, replace(rolled, places=places))
    assert check.outputs == (3, 4)
    assert "differs: 2 outputs (3, 4)" in str(check)


def test_an_operation_that_is_exchanged_is_caught():
    wanted = sample_network()
    rolled = roll(wanted)
    node = rolled.graph.ops.index(OPERATIONS["tanh"])
    rolled.graph.ops[node] = OPERATIONS["sigmoid"]
    check = check_roll(wanted, rolled)
    assert len(check.outputs) == len(wanted)
    assert check.lost >= 12 <= check.added


def test_a_wrong_index_is_caught():
    g = Graph()
    x, w = g.inputs("x", 12), g.inputs("w", 3)
    wanted = [dot(w, x[i : i + 3]) for i in range(10)]
    rolled = roll(wanted)
    node = rolled.graph.ops.index(GATHER)
    (index,) = rolled.graph.statics[node]
    moved = index.array.copy()
    moved[3, 1] = 0
    rolled.graph.statics[node] = (type(index)(moved),)
    assert check_roll(wanted, rolled).outputs == (3,)


BREAKS = {
    "the lanes in a wrong order": (
        index_maps.Arrangement,
        "table",
        lambda self, places: TABLE(self, places)[::-1],
    ),
    "terms that are not sorted": (
        contractions,
        "_in_order",
        lambda terms, by_last: SHUFFLED(terms),
    ),
    "signs of joined terms lost": (
        sum_parts,
        "_joined",
        lambda parts, addresses: JOINED(
            {(1, *kind[1:]): p for kind, p in parts.items()}, addresses
        ),
    ),
    "a difference taken for a sum": (lanes, "SUB", OPERATIONS["add"]),
}
TABLE = index_maps.Arrangement.table
JOINED = sum_parts._joined


def SHUFFLED(terms):  # noqa: N802
    left, *right = terms.places
    return terms._replace(places=(left, *[table[:, ::-1] for table in right]))


@pytest.mark.parametrize("name", ["the lanes in a wrong order", "terms that are not sorted"])
def test_a_broken_step_is_caught(monkeypatch, name):
    monkeypatch.setattr(*BREAKS[name])
    g = Graph()
    A, B = matrix(g, "a", 6, 4), matrix(g, "b", 6, 4)
    wanted = [dot(a, b) for a, b in zip(A, B, strict=True)]
    assert not check_roll(wanted, roll(wanted))


def test_lost_signs_are_caught(monkeypatch):
    net = MLP(3, [4, 1], seed=0)
    g = Graph()
    loss = g[g.node_of(total(net(row) for row in ROWS))]
    wanted = simplify(with_gradients(loss, net.parameters()))
    assert check_roll(wanted, roll(wanted))
    monkeypatch.setattr(*BREAKS["signs of joined terms lost"])
    assert not check_roll(wanted, roll(wanted))


def test_a_difference_taken_for_a_sum_is_caught(monkeypatch):
    monkeypatch.setattr(*BREAKS["a difference taken for a sum"])
    g = Graph()
    wanted = [a - b for a, b in zip(g.inputs("a", 4), g.inputs("b", 4), strict=True)]
    assert not check_roll(wanted, roll(wanted))


def different():
    """Pairs of expressions that are not the same up to order."""
    g = Graph()
    a, b, c = g.inputs("x", 3)
    return [
        (a - b, b - a),
        (a * b + c, a * c + b),
        (a + b, a + b + b),
        (a / b, b / a),
        (tanh(a), sin(a)),
        (a**2, a**3),
        (maximum(a, b), maximum(a, c)),
        ((a + b) * c, a + b * c),
        (2 * a, -2 * a),
        (where(a > b, a, b), where(a > b, b, a)),
    ]


@pytest.mark.parametrize("pair", different(), ids=lambda pair: f"{pair[0]} and {pair[1]}")
def test_fingerprints_tell_expressions_apart(pair):
    left, right = (e.id for e in pair)
    found = fingerprints(pair[0].graph, [left, right])
    assert found[left] != found[right]


@settings(max_examples=60)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_fingerprints_do_not_depend_on_order(coefficients, shuffle):
    g = Graph()
    x = g.inputs("x", len(coefficients))
    terms = [(c, e) for c, e in zip(coefficients, x, strict=True) if c]
    if not terms:
        return

    def written(terms):
        result = None
        for c, e in terms:
            product = e * abs(c) if shuffle.random() < 0.5 else abs(c) * e
            if result is None:
                result = product if c > 0 else -product
            else:
                result = result + product if c > 0 else result - product
        return result

    left = tanh(written(terms))
    shuffle.shuffle(terms)
    right = tanh(written(terms))
    found = fingerprints(g, [left.id, right.id])
    assert found[left.id] == found[right.id]


def test_expressions_of_rolled_graphs_print():
    wanted = sample_network()
    rolled = roll(wanted)
    assert all(isinstance(out, Expr) and str(out) for out in rolled.outputs)
    assert MATMUL in rolled.graph.ops
    assert str(rolled) == str(rolled.report)


def test_constants_stand_in_the_order_of_their_lanes_whichever_came_first():
    graph = Graph()
    y, one = graph.input("y"), graph.constant(1.0)
    wanted = [*[equal(y, k) for k in range(5)], y + one]
    rolled = roll(wanted)
    assert check_roll(wanted, rolled)
    assert [position for _, position in rolled.places[:5]] == [0, 1, 2, 3, 4]
    assert not any(op.name == "gather" for op in rolled.graph.ops)


def test_rows_of_inputs_are_a_matrix_where_they_follow_each_other():
    graph = Graph()
    rows = [graph.inputs(f"x{t}_", 3) for t in range(2)]
    rolled = roll([a.tanh() for row in rows for a in row])
    assert rolled.graph["X"].shape == (2, 3)


def test_what_is_remembered_of_biases_is_no_matrix():
    graph = Graph()
    for layer in range(2):
        for j in range(3):
            graph.inputs(f"m_w{layer}_{j}_", 2)
            graph.input(f"m_b{layer}_{j}")
    rolled = roll([0.9 * graph[name] for name in graph.leaves])
    assert {"M_W0", "m_b0", "M_W1", "m_b1"} == set(rolled.graph.leaves)


def residual(size, layers):
    """The loss of layers h + tanh(W h + b), and its derivatives."""
    graph = Graph()
    h, leaves = graph.inputs("x", size), []
    for layer in range(layers):
        weights, biases = matrix(graph, f"w{layer}", size, size), graph.inputs(f"b{layer}_", size)
        leaves += [*flat(weights), *biases]
        h = [
            a + (dot(row, h) + bias).tanh() for a, row, bias in zip(h, weights, biases, strict=True)
        ]
    loss = total([(a - y) ** 2 for a, y in zip(h, graph.inputs("y", size), strict=True)])
    return with_gradients(loss, leaves)


@pytest.mark.parametrize("layers", [2, 3])
def test_sums_are_alike_in_whatever_order_their_parts_are_added(layers):
    found = [rolled_right(residual(size, layers)).report for size in (3, 5)]
    assert [report.scalars for report in found] == [{}, {}]
    assert found[0].arrays == found[1].arrays


def test_parts_of_a_sum_in_another_order_keep_their_signs_and_places():
    graph = Graph()
    a, b, c = (graph.inputs(name, 6) for name in "abc")
    rows = [
        (x + y - z) if i % 2 else (y - z + x)
        for i, (x, y, z) in enumerate(zip(a, b[::-1], c, strict=True))
    ]
    rolled = rolled_right(rows)
    assert not rolled.report.scalars


def test_statements_are_found_when_asked_for_and_then_checked_too():
    g = Graph()
    x, w = g.inputs("x", 3), [g.inputs(f"w{j}_", 3) for j in range(2)]
    wanted = [sum(a * b for a, b in zip(row, x, strict=True)).tanh() for row in w]
    rolled = roll(wanted)
    assert check_roll(wanted, rolled).program is None
    assert [str(s) for s in rolled.statements] == [
        "t1[i] = Σ_j x[j]·w[i, j]",
        "t2[i] = tanh(t1[i])",
    ]
    assert check_roll(wanted, rolled).program
    other = roll([y.exp() for y in wanted])
    wrong = replace(rolled, found=lambda: other.program)
    assert len(wrong.statements) == 3
    check = check_roll(wanted, wrong)
    assert not check
    assert "statements differ" in str(check)
