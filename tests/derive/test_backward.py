"""`grad` and its relatives: right numbers, right provenance, errors that say what to do."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wengert.derive.backward import adjoints, grad, hessian, hvp, jacobian, jvp, reverse_sweep
from wengert.errors import (
    DisconnectedInputError,
    GraphMismatchError,
    NotALeafError,
    NotDifferentiableError,
    OperandError,
    ShapeError,
)
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Expr, Graph
from wengert.graph.store import Origin
from wengert.graph.value import Value
from wengert.ops import scalar as ops
from wengert.simplify.stable import stable_form

POINT = {"a": 0.7, "b": -1.3, "c": 2.1}
STEP = 1e-5


def network(a, b, c):
    """Smooth at POINT, with shared parts, repeats and every kind of operator."""
    h = ops.TANH(a * b - c / a)
    k = ops.SIGMOID(h * h + b**2) + ops.EXP(-c)
    return ops.SOFTPLUS(k * h - b) * ops.SQRT(c * c + 1.0) + ops.SIN(a) ** 3 + c**a


@pytest.fixture
def built():
    g = Graph()
    leaves = [g.input(name) for name in POINT]
    return g, leaves, network(*leaves)


def slopes(f, point: list[float], step: float = STEP) -> list[float]:
    """Central differences of `f`, one per coordinate."""

    def moved(i: int, by: float) -> list[float]:
        return [p + by * (j == i) for j, p in enumerate(point)]

    return [(f(*moved(i, step)) - f(*moved(i, -step))) / (2 * step) for i in range(len(point))]


def test_grad_agrees_with_finite_differences(built):
    _, leaves, y = built
    found = evaluate(grad(y, leaves), POINT)
    assert found == pytest.approx(slopes(network, list(POINT.values())), rel=1e-8)


def test_grad_of_values_agrees_with_their_backward():
    values = [Value(p, name) for name, p in POINT.items()]
    y = network(*values)
    found = evaluate(grad(y, values))
    y.backward()
    assert found == [v.grad for v in values]


def test_one_leaf_gives_one_expression_and_a_sequence_a_list(built):
    g, (a, b, c), y = built
    assert isinstance(grad(y, a), Expr)
    assert grad(y, a).graph is g
    for several in ([b, a, c], (b, a, c)):
        rows = grad(y, several)
        assert [str(row) for row in rows] == [str(grad(y, leaf)) for leaf in (b, a, c)]
    assert grad(y, []) == []
    twice = grad(y, [a, a])
    assert twice[0] == twice[1]


def test_the_same_program_gives_the_same_graph():
    def columns():
        g = Graph()
        leaves = [g.input(name) for name in POINT]
        hessian(network(*leaves), leaves)
        return g.ops, g.operands, g.origins, g.adjoint_of, g.gradients

    assert columns() == columns()


def test_simple_gradients_are_what_one_writes_by_hand():
    g = Graph()
    x, y = g.input("x"), g.input("y")
    assert [str(d) for d in grad(x - y, [x, y])] == ["1", "-1"]
    assert [str(d) for d in grad(x * y, [x, y])] == ["1*y", "1*x"]
    assert str(grad(x * x, x)) == "1*x + 1*x"
    assert str(grad(x, x)) == "1"


def test_a_flat_function_makes_no_nodes_for_other_leaves():
    g = Graph()
    x, *weights = g.inputs("w", 500)
    y = sum(w * x for w in weights)
    before = len(g)
    grad(y, weights[0])
    assert len(g) - before < 10


def test_grad_of_grad():
    g = Graph()
    x = g.input("x")
    d = x.tanh()
    for _ in range(3):
        d = grad(d, x)
    t = math.tanh(0.4)
    third = (1 - t * t) * (6 * t * t - 2)
    assert evaluate(d, {x: 0.4}) == pytest.approx(third, rel=1e-12)


def test_hessian_is_symmetric_and_agrees_with_finite_differences(built):
    _, leaves, y = built
    rows = [evaluate(row, POINT) for row in hessian(y, leaves)]
    gradient = grad(y, leaves)

    def component(i):
        return lambda *p: evaluate(gradient[i], dict(zip(POINT, p, strict=True)))

    for i in range(3):
        assert rows[i] == pytest.approx([rows[j][i] for j in range(3)], rel=1e-12)
        assert rows[i] == pytest.approx(slopes(component(i), list(POINT.values())), rel=1e-7)


def test_jacobian_has_a_row_per_output(built):
    _, (a, b, c), y = built
    rows = jacobian([y, a * b, c], [a, b, c])
    assert [evaluate(row, POINT) for row in rows[1:]] == [[-1.3, 0.7, 0.0], [0.0, 0.0, 1.0]]
    assert evaluate(rows[0], POINT) == evaluate(grad(y, [a, b, c]), POINT)


def test_jvp_and_hvp_agree_with_grad_and_hessian(built):
    _, leaves, y = built
    direction = [0.3, -2.0, 1.1]
    slope = evaluate(jvp(y, leaves, direction), POINT)
    gradient = evaluate(grad(y, leaves), POINT)
    assert slope == pytest.approx(sum(map(float.__mul__, gradient, direction)), rel=1e-12)
    matrix = [evaluate(row, POINT) for row in hessian(y, leaves)]
    product = [sum(map(float.__mul__, row, direction)) for row in matrix]
    assert evaluate(hvp(y, leaves, direction), POINT) == pytest.approx(product, rel=1e-10)
    several = evaluate(jvp([y, y * 2], leaves, direction), POINT)
    assert several == pytest.approx([slope, 2 * slope], rel=1e-12)


def test_jvp_takes_expressions_single_leaves_and_leaves_that_do_not_matter():
    g = Graph()
    x, z, v = g.input("x"), g.input("z"), g.input("v")
    assert evaluate(jvp(x * x, x, v), {x: 3.0, v: 0.5}) == 3.0
    assert evaluate(jvp([x * x, z, x], [x, z], [1.0, 0.0]), {x: 3.0}) == [6.0, 0.0, 1.0]
    assert evaluate(jvp(x, z, 1.0)) == 0.0
    with pytest.raises(ShapeError, match="1 tangents for 2 leaves; give one for each"):
        jvp(x * z, [x, z], [1.0])


LEAF_COUNT = 3
UNARY = [ops.TANH, ops.SIGMOID, ops.SIN, ops.COS, ops.SOFTPLUS, ops.NEG]
BINARY = [ops.ADD, ops.SUB, ops.MUL]
PROGRAMS = st.lists(
    st.tuples(st.sampled_from(UNARY + BINARY), st.integers(0, 60), st.integers(0, 60)),
    min_size=1,
    max_size=20,
)


def run(program, leaves):
    made = list(leaves)
    for op, i, j in program:
        operands = (made[i % len(made)], made[j % len(made)])
        made.append(op(*operands[: op.arity]))
    return ops.TANH(sum(made))


@given(PROGRAMS, st.lists(st.floats(-1.5, 1.5), min_size=LEAF_COUNT, max_size=LEAF_COUNT))
def test_random_programs_agree_with_finite_differences(program, point):
    g = Graph()
    leaves = g.inputs("x", LEAF_COUNT)
    at = dict(zip(leaves, point, strict=True))
    found = grad(run(program, leaves), leaves)
    expected = slopes(lambda *p: run(program, p), point)
    assert evaluate(found, at) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@given(PROGRAMS, st.lists(st.floats(-1.5, 1.5), min_size=LEAF_COUNT, max_size=LEAF_COUNT))
def test_forward_and_reverse_mode_agree(program, point):
    g = Graph()
    leaves = g.inputs("x", LEAF_COUNT)
    at = dict(zip(leaves, point, strict=True))
    y = run(program, leaves)
    forward = [
        evaluate(jvp(y, leaves, [float(i == j) for j in range(LEAF_COUNT)]), at)
        for i in range(LEAF_COUNT)
    ]
    assert forward == pytest.approx(evaluate(grad(y, leaves), at), rel=1e-9, abs=1e-12)


# provenance ---------------------------------------------------------------------------------------


def test_each_new_node_says_where_it_came_from():
    g = Graph()
    x, w = g.input("x"), g.input("w")
    product = x * w
    y = product.tanh() + product
    start = len(g)
    dx = grad(y, x)
    new = [g[node] for node in range(start, len(g)) if not g[node].is_leaf]
    assert all(node.origin.transform == "grad" for node in new)
    tanh = product.id + 1
    assert {node.origin for node in new} == {
        Origin("grad", tanh, "rule", "tanh", 0),
        Origin("grad", product.id, "sum", "add", None),
        Origin("grad", product.id, "rule", "mul", 0),
    }
    assert dx.origin == Origin("grad", product.id, "rule", "mul", 0)
    assert all(g.origins[node] is None for node in range(start))
    assert (dx + 1).origin is None


def test_each_node_of_a_tangent_says_where_it_came_from():
    g = Graph()
    x, w, u, v = (g.input(name) for name in "xwuv")
    product = x * w
    start = len(g)
    jvp(product, [x, w], [u, v])
    assert {str(expr): expr.origin for expr in list(g)[start:]} == {
        "u*w": Origin("jvp", product.id, "rule", "mul", 0),
        "v*x": Origin("jvp", product.id, "rule", "mul", 1),
        "u*w + v*x": Origin("jvp", product.id, "sum", "add", None),
    }


def test_adjoint_of_names_the_primal_of_each_adjoint():
    g = Graph()
    a, b = g.input("a"), g.input("b")
    product = a * b
    square = product * product
    da, db = grad(square.sin(), [a, b])
    assert {g.adjoint_of[da.id], g.adjoint_of[db.id]} == {a.id, b.id}
    assert set(g.adjoint_of.values()) == {a.id, b.id, product.id, square.id}
    values = {"a": 0.5, "b": 3.0}
    for adjoint, primal in g.adjoint_of.items():
        step = 1e-6
        along = {a.id: "a", b.id: "b"}.get(primal)
        if along:
            ahead = evaluate(square.sin(), {**values, along: values[along] + step})
            behind = evaluate(square.sin(), {**values, along: values[along] - step})
            slope = (ahead - behind) / (2 * step)
            assert evaluate(g[adjoint], values) == pytest.approx(slope, rel=1e-8)


def test_a_shared_adjoint_counts_for_the_named_node():
    g = Graph()
    x, c = g.input("x"), g.input("c")
    y = (x + 1.0) * c
    dx = grad(y, x)
    assert g.adjoint_of[dx.id] == x.id


def test_gradients_are_recorded_by_output_and_leaf(built):
    g, (a, b, _), y = built
    da, db = grad(y, [a, b])
    assert {(y.id, a.id): da.id, (y.id, b.id): db.id}.items() <= g.gradients.items()


def test_adjoints_cover_intermediate_nodes():
    g = Graph()
    a, b = g.input("a"), g.input("b")
    inner = a * b
    y = inner.tanh() * 2 + (a > b)
    found = adjoints(y)
    assert list(found) == sorted(found, key=lambda node: node.id)
    assert not any(node.op.name == "constant" for node in found)
    assert evaluate(found[inner], {a: 0.5, b: 1.0}) == pytest.approx(2 * (1 - math.tanh(0.5) ** 2))
    assert found[y].value == 1.0
    values = Value(2.0) * 3
    assert [str(d) for d in adjoints(values).values()] == ["1*3", "1"]


def test_no_origin_is_left_behind_by_a_failed_transform():
    g = Graph()
    x = g.input("x")
    with pytest.raises(NotDifferentiableError):
        grad(ops.TOTAL(x) * x, x)
    with pytest.raises(NotDifferentiableError):
        jvp(ops.TOTAL(x), x, 1.0)
    assert (x + 1).origin is None


# refusals -----------------------------------------------------------------------------------------


def test_an_unused_leaf_is_an_error_unless_allowed(built):
    g, (a, *_), y = built
    extra = g.input("extra")
    stranger = Value(1.0, label="stranger")
    before = len(g)
    for leaf, name in ((extra, "'extra'"), (stranger, "'stranger'"), (Value(2.0), r"Value\(data=")):
        with pytest.raises(DisconnectedInputError, match=rf"not depend on {name}.*allow_unused"):
            grad(y, [a, leaf])
    assert len(g) == before
    da, none = grad(y, [a, extra], allow_unused=True)
    assert (none.value, evaluate(da, POINT)) == (0.0, evaluate(grad(y, a), POINT))
    assert grad(y, stranger, allow_unused=True).value == 0.0
    assert stranger not in g


def test_a_leaf_behind_a_flat_operation_has_the_derivative_zero():
    g = Graph()
    x, y = g.input("x"), g.input("y")
    for flat in (x > 1, ops.WHERE(x, 2, 3), ops.STOP_GRADIENT(x)):
        assert grad(flat, x).value == 0.0
        assert [str(d) for d in grad(flat + y, [x, y])] == ["0", "1"]


@pytest.mark.parametrize(
    ("leaf", "problem"),
    [
        (lambda g, y: y, r"Expr\(x\*2\) is computed, not a leaf.*adjoints\(output\)\[node\]"),
        (lambda g, y: y.operands[1], r"Expr\(2\) is a constant.*make it a parameter"),
        (lambda g, y: Value(1.0) * 2, r"Value\(data=2.0, grad=0.0\) is computed, not a leaf"),
    ],
)
def test_only_leaves_can_be_differentiated_by(leaf, problem):
    g = Graph()
    y = g.input("x") * 2
    with pytest.raises(NotALeafError, match=problem):
        grad(y, leaf(g, y))
    with pytest.raises(NotALeafError, match=problem):
        jvp(y, leaf(g, y), 1.0)


def test_arguments_of_the_wrong_kind(built):
    _, leaves, y = built
    with pytest.raises(
        OperandError, match=r"expected one Expr or Value .for several outputs use j"
    ):
        grad([y, y], leaves)
    with pytest.raises(OperandError, match="with respect to 'a', a str; expected a leaf"):
        grad(y, ["a"])
    for wrt in ("a", None, {"a": leaves[0]}):
        with pytest.raises(OperandError, match="leaves to differentiate by: expected an Expr"):
            grad(y, wrt)
    with pytest.raises(OperandError, match="the outputs: expected an Expr"):
        jacobian(None, leaves)
    with pytest.raises(GraphMismatchError, match="belongs to another graph"):
        grad(y, Graph().input("a"))


def test_an_error_about_a_large_output_is_short():
    g = Graph()
    y, extra = g.input("x"), g.input("e")
    for _ in range(2000):
        y = y * y + 1
    with pytest.raises(DisconnectedInputError) as caught:
        grad(y, extra)
    assert len(str(caught.value)) < 1000


def test_what_has_no_derivative_is_named():
    g = Graph()
    x = g.input("x")
    with pytest.raises(NotDifferentiableError, match=r"Expr\(total\(x\)\) has no derivative"):
        grad(ops.TOTAL(x) + x, x)


def test_gradients_follow_ieee():
    g = Graph()
    x = g.input("x")
    at = {x: 0.0}
    assert evaluate(grad(x.log(), x), at) == math.inf
    assert evaluate(grad(1 / x, x), at) == -math.inf
    assert math.isnan(evaluate(grad((x - 8) ** 0.5, x), at))


def test_a_linear_form_has_its_coefficients_as_gradient():
    random.seed(0)
    g = Graph()
    x = g.inputs("x", 50)
    weights = [random.uniform(-1, 1) for _ in x]
    y = sum(w * xi for w, xi in zip(weights, x, strict=True))
    assert evaluate(grad(y, x)) == weights


def test_asked_again_it_answers_the_same_nodes():
    g = Graph()
    a, b = g.inputs("x", 2)
    y = a * b + a
    first = grad(y, [a, b])
    size = len(g)
    assert grad(y, [b, a]) == first[::-1]
    assert len(g) == size
    hessian(y, [a, b])
    assert grad(y, a) == first[0]


def test_hvp_checks_its_lengths_before_it_adds_anything():
    g = Graph()
    a, b = g.inputs("x", 2)
    c = a * a * b
    before = len(g)
    for vector in ([1.0], [1.0, 2.0, 3.0]):
        with pytest.raises(ShapeError, match=f"{len(vector)} numbers of the vector for 2 leaves"):
            hvp(c, [a, b], vector)
    assert len(g) == before
    products = hvp(c, (leaf for leaf in (a, b)), (number for number in (1.0, 0.0)))
    assert evaluate(products, {a: 2.0, b: 3.0}) == [6.0, 4.0]


@pytest.mark.parametrize(
    "transform",
    [
        lambda y, x: grad(y, x),
        lambda y, x: jvp(y, x, 2.0),
        lambda y, x: hvp(y, [x], [2.0]),
        lambda y, x: adjoints(y),
        lambda y, x: stable_form(y),
    ],
)
def test_what_is_written_afterwards_is_no_derivative(transform):
    g = Graph()
    x = g.input("x")
    transform(ops.log(1 + ops.exp(x)), x)
    assert (x * x).origin is None


@pytest.mark.parametrize(
    "relative",
    [
        grad,
        lambda y, x, **options: jvp(y, x, 1.0, **options),
        lambda y, x, **options: jacobian([y], [x], **options)[0][0],
        lambda y, x, **options: hessian(y, [x], **options)[0][0],
        lambda y, x, **options: hvp(y, [x], [1.0], **options)[0],
    ],
)
def test_every_relative_is_stable_unless_told_otherwise(relative):
    g = Graph()
    x = g.input("x")
    y = ops.log(1 + ops.exp(x))
    for options in ({}, {"stable": True}):
        assert math.isfinite(evaluate(relative(y, x, **options), {x: 1000.0}))
    assert math.isnan(evaluate(relative(y, x, stable=False), {x: 1000.0}))


def test_a_reverse_sweep_has_the_adjoint_of_every_node_on_the_way(built):
    g, leaves, y = built
    at = dict(zip(leaves, POINT.values(), strict=True))
    every = {node.id: adjoint for node, adjoint in adjoints(y).items()}
    found = reverse_sweep(g, y.id, {leaf.id for leaf in leaves})
    assert set(found) == set(every)
    for node, adjoint in found.items():
        assert evaluate(g[adjoint], at) == evaluate(every[node], at)
    z = ops.where(leaves[0], leaves[0], ops.sqrt(leaves[1]))
    (guarded,) = [reverse_sweep(g, z.id, {leaves[1].id})[leaves[1].id]]
    assert evaluate(g[guarded], at) == 0.0, "b is negative, its branch not taken"


def test_tangents_of_a_leaf_that_is_named_twice_add_up():
    g = Graph()
    x = g.input("x")
    assert evaluate(jvp(x * x, [x, x], [1.0, 2.0]), {x: 5.0}) == 30.0


def test_second_derivatives_by_a_leaf_that_is_not_there_are_zero():
    g = Graph()
    x, other = g.inputs("x", 2)
    at = {x: 0.5, other: 2.0}
    rows = hessian(x**3, [x, other])
    assert [evaluate(row, at) for row in rows] == [[3.0, 0.0], [0.0, 0.0]]
    assert evaluate(hvp(x**3, [x, other], [1.0, 1.0]), at) == [3.0, 0.0]


def test_of_several_named_nodes_with_one_adjoint_it_is_that_of_the_first():
    g = Graph()
    p, q, c = g.input("p"), g.input("q"), g.input("c")
    grad((p + q) * c, [p, q, c])
    shared = [adjoint for adjoint, primal in g.adjoint_of.items() if primal in (p.id, q.id)]
    assert [g.adjoint_of[adjoint] for adjoint in shared] == [p.id]
