"""Rolling scalar graphs into array graphs: what is found, that it is right, what is caught."""

import math
import random
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.errors import OperandError, ShapeError
from wengert.graph.arrays import GATHER, MATMUL, MAX, OUTER, SCATTER, SUM
from wengert.graph.backward import grad
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Expr, Graph
from wengert.graph.ops import (
    OPERATIONS,
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
from wengert.graph.passes import simplify
from wengert.graph.roll import check_roll, roll
from wengert.graph.rolling import contractions, index_maps, lanes, sum_parts
from wengert.graph.rolling.canonical import fingerprints
from wengert.graph.rolling.collapse import collapse
from wengert.graph.rolling.leaf_arrays import leaf_arrays, parse_name
from wengert.graph.unroll import unroll_graph
from wengert.graph.value import Value
from wengert.losses import cross_entropy
from wengert.nn import MLP
from wengert.optim import SGD, Adam

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
    data = rolled_right([number * e for number, e in zip([2, 3, 3, 2, 2, 3], x, strict=True)])
    assert [str(out) for out in data.outputs] == ["[2, 3, 3, 2, 2, 3]*x"]


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


def test_prefix_sums_are_not_written_out():
    g = Graph()
    x = g.inputs("x", 400)
    sums = [x[0] + x[1]]
    for e in x[2:]:
        sums.append(sums[-1] + e)
    wanted = [e + 1 for e in sums]
    terms = collapse(g, range(len(g)), [e.id for e in wanted]).chains.values()
    assert sum(map(len, terms)) < 4 * len(g)


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
