"""Operations on whole arrays: shapes, values, derivatives, how they are written."""

import math
import tracemalloc

import numpy as np
import pytest
from breaking import other_rules
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import wengert as wg
from wengert.arrays.interpret import run
from wengert.arrays.written import written_program
from wengert.derive.backward import grad, hvp, jvp
from wengert.errors import OperandError, ShapeError, SizeError
from wengert.graph.arrayvalue import ArrayValue
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.graph.value import Value
from wengert.graph.written import latex
from wengert.ops import arrays
from wengert.ops import scalar as ops
from wengert.ops.arrays import (
    broadcast_to,
    gather,
    logsumexp,
    matmul,
    max_over,
    mean_over,
    outer,
    reshape,
    scatter_add,
    sum_over,
    take,
    transpose,
)
from wengert.ops.compositions import einsum
from wengert.ops.indexing import Index, positions_of, subscript, subscript_text
from wengert.ops.moves import concatenate, stack
from wengert.ops.shapes import BATCH
from wengert.simplify.pipeline import simplify

APPLIED = {
    "matmul 2,2": ([(2, 3), (3, 4)], matmul),
    "matmul 2,1": ([(2, 3), (3,)], matmul),
    "matmul 1,2": ([(3,), (3, 2)], matmul),
    "matmul 1,1": ([(3,), (3,)], matmul),
    "matmul 3,2": ([(2, 3, 4), (4, 2)], matmul),
    "matmul 3,1": ([(2, 3, 4), (4,)], matmul),
    "matmul 2,3": ([(3, 4), (2, 4, 2)], matmul),
    "matmul 1,3": ([(4,), (2, 4, 2)], matmul),
    "matmul 3,3": ([(2, 3, 4), (2, 4, 2)], matmul),
    "outer": ([(2,), (3,)], outer),
    "sum all": ([(2, 3)], sum_over),
    "sum 0": ([(2, 3)], lambda x: sum_over(x, 0)),
    "sum -1": ([(2, 3, 2)], lambda x: sum_over(x, -1)),
    "sum of one": ([(3,)], lambda x: sum_over(x, 0)),
    "mean all": ([(2, 3)], mean_over),
    "mean 1": ([(2, 3)], lambda x: mean_over(x, 1)),
    "max all": ([(2, 3)], max_over),
    "max 0": ([(3, 2)], lambda x: max_over(x, 0)),
    "logsumexp all": ([(2, 3)], logsumexp),
    "logsumexp 1": ([(2, 3)], lambda x: logsumexp(x, 1)),
    "transpose": ([(2, 3)], transpose),
    "transpose stack": ([(2, 3, 4)], transpose),
    "reshape": ([(2, 3)], lambda x: reshape(x, (3, -1))),
    "broadcast": ([(2, 1)], lambda x: broadcast_to(x, (3, 2, 4))),
    "gather": ([(2, 3)], lambda x: gather(x, [[5, 0], [5, 2]])),
    "element": ([(2, 3)], lambda x: x[1, 2]),
    "rows": ([(4, 3)], lambda x: x[1:3]),
    "scatter": ([(4,)], lambda x: scatter_add(x, [3, 0, 3, 5], (2, 3))),
    "gather_rows": ([(2, 3)], lambda x: arrays.GATHER(x, Index([2, 0, 2]), 1)),
    "scatter_rows": ([(2, 3)], lambda x: arrays.SCATTER(x, Index([2, 0, 2]), (4,), 1)),
    "stack": ([(3,), (3,)], stack),
    "stack_rows": ([(3, 2), (2,)], arrays.stack_rows),
    "add": ([(2, 3), (3,)], lambda a, b: a + b),
    "mul column": ([(2, 1), (3,)], lambda a, b: a * b),
    "div by scalar": ([(2, 3), ()], lambda a, b: a / (b * b + 1)),
    "where": ([(2, 3), (3,), ()], lambda p, a, b: ops.where(p > 0, a, b)),
    "maximum": ([(2, 3), (3,)], ops.maximum),
    "tanh": ([(2, 2)], lambda x: x.tanh()),
    "power": ([(2, 2)], lambda x: (x * x + 1) ** 1.5),
}


def data(shapes, seed=0):
    draw = np.random.default_rng(seed)
    return [draw.normal(size=shape) if shape else float(draw.normal()) for shape in shapes]


def as_leaves(graph, shapes):
    return [
        graph.array(f"a{i}", shape) if shape else graph.input(f"a{i}")
        for i, shape in enumerate(shapes)
    ]


def weighted(expr):
    """One number that depends on every element of an array, each in a way of its own."""
    if not expr.shape:
        return expr * 1.7
    weights = np.linspace(0.3, 2.0, math.prod(expr.shape)).reshape(expr.shape)
    return sum_over(expr * weights)


def differences(function, points, step=1e-5):
    """Central differences of a scalar function by every number of every argument."""
    gradients = []
    for i, point in enumerate(points):
        array = np.array(point, dtype=float)
        gradient = np.zeros(array.shape)
        for place in np.ndindex(array.shape):
            values = []
            for sign in (1, -1):
                moved = array.copy()
                moved[place] += sign * step
                point = moved if moved.shape else float(moved)
                values.append(function(*points[:i], point, *points[i + 1 :]))
            gradient[place] = (values[0] - values[1]) / (2 * step)
        gradients.append(gradient)
    return gradients


@pytest.mark.parametrize("case", APPLIED)
def test_shape_is_that_of_the_value(case):
    shapes, function = APPLIED[case]
    graph = Graph()
    leaves = as_leaves(graph, shapes)
    out = function(*leaves)
    value = evaluate(out, dict(zip(leaves, data(shapes), strict=True)))
    assert np.shape(value) == out.shape


@pytest.mark.parametrize("case", APPLIED)
def test_gradient_is_that_of_differences(case):
    shapes, function = APPLIED[case]
    graph = Graph()
    leaves = as_leaves(graph, shapes)
    loss = weighted(function(*leaves))
    points = data(shapes, 1)
    derivatives = grad(loss, leaves)
    found = evaluate(derivatives, dict(zip(leaves, points, strict=True)))
    wanted = differences(lambda *at: evaluate(loss, dict(zip(leaves, at, strict=True))), points)
    for derivative, value, measured, shape in zip(derivatives, found, wanted, shapes, strict=True):
        assert derivative.shape == shape
        np.testing.assert_allclose(value, measured, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("case", APPLIED)
def test_second_derivative_along_a_direction_is_that_of_differences(case):
    shapes, function = APPLIED[case]
    graph = Graph()
    leaves = as_leaves(graph, shapes)
    loss = weighted(function(*leaves) ** 3)
    points, direction = data(shapes, 2), data(shapes, 3)
    product = hvp(loss, leaves, [graph.constant(d) for d in map(np.float64, direction)])
    found = evaluate(product, dict(zip(leaves, points, strict=True)))
    gradient = grad(loss, leaves, allow_unused=True)
    step = 1e-5

    def moved(sign):
        at = [p + sign * step * d for p, d in zip(points, direction, strict=True)]
        return evaluate(gradient, dict(zip(leaves, at, strict=True)))

    for value, above, below in zip(found, moved(1), moved(-1), strict=True):
        np.testing.assert_allclose(value, (above - below) / (2 * step), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", APPLIED)
def test_forward_and_reverse_agree(case):
    shapes, function = APPLIED[case]
    graph = Graph()
    leaves = as_leaves(graph, shapes)
    loss = weighted(function(*leaves))
    tangents = data(shapes, 4)
    at = dict(zip(leaves, data(shapes, 5), strict=True))
    forward = evaluate(jvp(loss, leaves, [graph.constant(np.float64(t)) for t in tangents]), at)
    reverse = evaluate(grad(loss, leaves), at)
    along = sum(np.sum(r * t) for r, t in zip(reverse, tangents, strict=True))
    assert forward == pytest.approx(along, rel=1e-12)


@pytest.mark.parametrize("case", APPLIED)
def test_simplified_is_the_same(case):
    shapes, function = APPLIED[case]
    graph = Graph()
    leaves = as_leaves(graph, shapes)
    derivatives = grad(weighted(function(*leaves)), leaves)
    at = {f"a{i}": value for i, value in enumerate(data(shapes, 6))}
    small = simplify(derivatives)
    used = {name: at[name] for name in at if name in small[0].graph.leaves}
    for before, after in zip(evaluate(derivatives, at), evaluate(small, used), strict=True):
        np.testing.assert_array_equal(before, after)


def test_broken_rule_is_caught():
    rules = arrays.MATMUL.vjp
    broken = (lambda ct, out, a, b: arrays.MATMUL(ct, arrays.TRANSPOSE(b)) * 2, rules[1])
    with other_rules(arrays.MATMUL, broken), pytest.raises(AssertionError):
        test_gradient_is_that_of_differences("matmul 2,2")


@given(
    hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3),
    st.sampled_from(["add", "mul", "where"]),
)
@settings(max_examples=60, deadline=None)
def test_broadcasting_is_numpys(shapes, name):
    graph = Graph()
    leaves = as_leaves(graph, shapes.input_shapes)
    a, b, c = leaves
    out = ops.where(a, b, c) if name == "where" else ops.ELEMENTWISE[name](a, b) + c
    assert out.shape == shapes.result_shape
    derivatives = grad(weighted(out), leaves, allow_unused=True)
    for derivative, leaf in zip(derivatives, leaves, strict=True):
        assert derivative.shape == leaf.shape


def test_every_elementwise_operation_works_on_arrays_as_on_numbers():
    for op in ops.ELEMENTWISE.values():
        draw = np.random.default_rng(0)
        points = [draw.uniform(low, high, size=5) for low, high in op.domain]
        statics = (0.5,) * len(op.statics)
        whole = op(*points, *statics)
        single = [op.evaluate(*map(float, row), *statics) for row in zip(*points, strict=True)]
        np.testing.assert_array_equal(whole, single)


MISFITS = {
    "add: shapes (4,) and (3,) do not fit": lambda g: g.array("a", 4) + g.array("b", 3),
    "matmul: shapes (2, 3) and (2,) do not fit": lambda g: g.array("a", (2, 3)) @ g.array("b", 2),
    "matmul: shapes (2, 3) and () do not fit": lambda g: matmul(g.array("a", (2, 3)), 1.0),
    "outer: shapes (2,) and (2, 2) do not": lambda g: outer(g.array("a", 2), g.array("b", (2, 2))),
    "transpose: shape (3,) does not fit": lambda g: g.array("a", 3).mT,
    "stack: shapes (3,) and (2,) do not fit": lambda g: stack(g.array("a", 3), g.array("b", 2)),
    "no axis 2": lambda g: sum_over(g.array("a", (2, 3)), 2),
    "reshape: an array of shape (2, 3) has 6": lambda g: reshape(g.array("a", (2, 3)), (4,)),
    "broadcast_to: shapes (3,) and (2,) do not fit": lambda g: broadcast_to(g.array("a", 3), (2,)),
    "are not all in an array of shape (3,)": lambda g: gather(g.array("a", 3), [0, 3]),
    "each element needs one position": lambda g: scatter_add(g.array("a", 3), [0, 1], (2,)),
    "the shape of 'a' is (2, 0)": lambda g: g.array("a", (2, 0)),
}


@pytest.mark.parametrize("message", MISFITS)
def test_shapes_that_do_not_fit_are_named_and_leave_no_trace(message):
    graph = Graph()
    with pytest.raises(ShapeError) as error:
        MISFITS[message](graph)
    assert message in str(error.value)
    assert (
        len(graph.ops)
        == len(graph.operands)
        == len(graph.origins)
        == len(graph.leaves) + ("()" in message)
    )
    assert max(graph.shapes, default=-1) < len(graph)


def test_arrays_past_the_memory_limit_are_refused_before_they_exist():
    graph = Graph()
    x = graph.array("x", 100_000)
    with pytest.raises(
        SizeError, match=r"outer of shape \(100000, 100000\) takes 80,000,000,000 b"
    ):
        outer(x, x)
    with pytest.raises(SizeError, match="2,147,483,648 bytes"):
        graph.array("y", (2**20, 2**20))


def test_values_given_must_have_the_shape():
    graph = Graph()
    x = graph.array("x", 3)
    with pytest.raises(ShapeError, match=r"the value of x has shape \(2,\), expected \(3,\)"):
        evaluate(x.tanh(), {x: np.ones(2)})
    with pytest.raises(OperandError, match="expected an array of real numbers"):
        evaluate(x.tanh(), {x: "abc"})


def test_batch_axis_takes_any_length_but_one_for_all():
    graph = Graph()
    x, y = graph.array("x", (BATCH, 2)), graph.array("y", (BATCH, 2))
    total = sum_over(x * y, 0)
    assert total.shape == (2,)
    np.testing.assert_array_equal(evaluate(total, {x: np.ones((5, 2)), y: np.ones((5, 2))}), [5, 5])
    with pytest.raises(ShapeError, match="x has 5, y has 1"):
        evaluate(total, {x: np.ones((5, 2)), y: np.ones((1, 2))})


def test_gradient_of_an_array_is_refused():
    x = Graph().array("x", 3)
    with pytest.raises(ShapeError, match="sum the array first"):
        grad(x.tanh(), x)


def test_unused_array_leaf_has_a_gradient_of_its_shape():
    graph = Graph()
    x, y = graph.array("x", 3), graph.array("y", (2, 2))
    zero = grad(sum_over(x), y, allow_unused=True)
    np.testing.assert_array_equal(evaluate(zero), np.zeros((2, 2)))


def test_tie_of_a_maximum_goes_to_the_first():
    graph = Graph()
    x = graph.array("x", (2, 3))
    gradient = grad(sum_over(max_over(x, 1)), x)
    found = evaluate(gradient, {x: [[1.0, 2.0, 2.0], [3.0, 3.0, 3.0]]})
    np.testing.assert_array_equal(found, [[0, 1, 0], [1, 0, 0]])


def test_logsumexp_does_not_overflow():
    big = np.array([[1e4, -1e4], [-np.inf, -np.inf], [np.inf, 0.0]])
    wanted = [1e4, -np.inf, np.inf]
    np.testing.assert_array_equal(logsumexp(big, 1), wanted)
    graph = Graph()
    x = graph.array("x", big.shape)
    compiled = wg.compile({"x": x}, logsumexp(x, 1), target="numpy")
    np.testing.assert_array_equal(compiled(big), wanted)
    found = run(written_program(graph, [logsumexp(x, 1).id]), {"x": big})
    np.testing.assert_array_equal(found[0], wanted)


def test_constants_are_one_node_when_equal_and_cannot_be_changed():
    graph = Graph()
    data = np.ones(3)
    one = graph.constant(data)
    data[0] = 7
    assert graph.constant(np.ones(3)) == one
    assert graph.constant(np.ones((3, 1))) != one
    with pytest.raises(ValueError, match="read-only"):
        one.value[0] = 2


def test_arrays_are_gone_through_row_by_row():
    x = Graph().array("x", 3)
    assert [str(one) for one in x] == ["x[0]", "x[1]", "x[2]"]
    with pytest.raises(OperandError, match="is a scalar"):
        Graph().input("s")[0]


def test_values_do_not_mix_with_numpy_arrays():
    with pytest.raises(OperandError, match="holds one number"):
        ops.ADD(Value(1.0), np.ones(2))


def test_array_value_is_one_parameter_with_its_current_data():
    graph = Graph()
    w = ArrayValue(np.eye(2), label="W")
    x = graph.array("x", 2)
    y = w @ x + w @ x
    assert [node.label for node in graph if node.is_leaf] == ["x", "W"]
    w.data = 3 * np.eye(2)
    np.testing.assert_array_equal(evaluate(y, {x: [1.0, 2.0]}), [6.0, 12.0])
    np.testing.assert_array_equal(w @ np.ones(2), [3.0, 3.0])
    with pytest.raises(ShapeError, match=r"has shape \(2, 2\)"):
        w.data = np.ones(3)


FORMULAS = [
    (
        lambda W, X, x, b: (W @ x + b).tanh(),
        "tanh(W0 @ x + b0)",
        r"\tanh\left(W_{0} x + b_{0}\right)",
    ),
    (lambda W, X, x, b: X @ W.T, "X @ W0.T", r"X W_{0}^{\top}"),
    (lambda W, X, x, b: (W @ x)[1] * 2, "(W0 @ x)[1]*2", r"{\left(W_{0} x\right)}_{1} \cdot 2"),
    (lambda W, X, x, b: X[:, 1], "X[:, 1]", "{X}_{:, 1}"),
    (lambda W, X, x, b: x[::-1] + x[1:], None, None),
    (lambda W, X, x, b: sum_over(X, 0), "sum_over(X, axis=0)", None),
    (lambda W, X, x, b: outer(b, x), "outer(b0, x)", r"b_{0} x^{\top}"),
    (lambda W, X, x, b: reshape(X, (3, -1)), "X.reshape(3, 5)", None),
    (lambda W, X, x, b: stack(x, x), "stack(x, x)", r"\begin{pmatrix} x \\ x \end{pmatrix}"),
    (lambda W, X, x, b: x * np.array([1.0, 2.5, 0.0]), "x*[1, 2.5, 0]", None),
    (lambda W, X, x, b: x[[2, 0, 1]], "gather(x, [2, 0, 1])", None),
]


@pytest.mark.parametrize(("make", "plain", "tex"), FORMULAS)
def test_formulas(make, plain, tex):
    graph = Graph()
    leaves = [graph.array(n, s) for n, s in (("W0", (2, 3)), ("X", (5, 3)), ("x", 3), ("b0", 2))]
    if plain is None:
        with pytest.raises(ShapeError):
            make(*leaves)
        return
    assert str(make(*leaves)) == plain
    if tex is not None:
        assert latex(make(*leaves)) == tex


@st.composite
def basic_keys(draw):
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    return shape, draw(hnp.basic_indices(shape, allow_newaxis=False, allow_ellipsis=False))


@given(basic_keys())
@settings(max_examples=200, deadline=None)
def test_subscripts_are_found_again(case):
    shape, key = case
    index = positions_of(shape, key)
    if not index.array.size:
        return
    found = subscript(index, shape)
    assert found is not None
    assert positions_of(shape, found) == index
    array = np.arange(math.prod(shape)).reshape(shape)
    written = eval(f"a[{subscript_text(found)}]", {"a": array})  # noqa: S307
    np.testing.assert_array_equal(written, index.array)


@given(st.lists(st.integers(0, 11), min_size=1, max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_subscript_chooses_what_the_positions_say(positions):
    index = Index(positions)
    found = subscript(index, (3, 4))
    if found is not None:
        assert positions_of((3, 4), found) == index


def test_indices_are_equal_by_content():
    assert Index([1, 2]) == Index(np.array([1, 2], dtype=np.int32))
    assert Index([1, 2]) != Index([[1, 2]])
    assert len({Index([1, 2]), Index([1, 2]), Index([2, 1])}) == 2
    with pytest.raises(OperandError, match="does not hold whole numbers"):
        Index([0.5])


def test_subscript_in_a_batch_must_leave_the_samples_alone():
    x = Graph().array("x", (BATCH, 3))
    assert str(x[:, 1:]) == "x[:, 1:]"
    assert take(x, slice(None)) == x
    with pytest.raises(ShapeError, match="not known before it is"):
        x[0]


@pytest.mark.parametrize(
    "choose",
    [
        lambda x: x[:0],
        lambda x: x[[]],
        lambda x: x[np.zeros(3, dtype=bool)],
        lambda x: gather(x, []),
        lambda x: scatter_add(x, [], (3,)),
    ],
)
def test_no_element_at_all_is_not_chosen(choose):
    with pytest.raises(ShapeError, match="expected one position or more"):
        choose(Graph().array("x", (3, 4)))


@pytest.mark.parametrize(
    "make",
    [
        lambda x, many: x[many],
        lambda x, many: x[:, None][:, [0] * 100_000],
        lambda x, many: x.take(many),
        lambda x, many: gather(x, many),
        lambda x, many: concatenate([x] * 30_000),
        lambda x, many: stack([x] * 30_000),
        lambda x, many: einsum("i,j", x, x),
    ],
)
def test_what_is_larger_than_memory_is_refused_before_it_is_made(make):
    x = Graph().array("x", 100_000)
    tracemalloc.start()
    try:
        with pytest.raises(SizeError, match=r"takes .* bytes; the limit for one array is"):
            make(x, np.broadcast_to(np.int8(0), (100_000, 100_000)))
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


def test_rows_of_different_lengths_are_no_index():
    with pytest.raises(OperandError, match="has rows of different lengths"):
        Index([[0], [1, 2]])


@pytest.mark.parametrize("shape", [None, 2.5, "ab"])
def test_what_is_no_shape_is_named(shape):
    g = Graph()
    for make in (lambda: g.array("x", shape), lambda: reshape(g.array("y", 4), shape)):
        with pytest.raises(ShapeError, match="expected whole numbers, 1 or more"):
            make()


keys = st.one_of(
    st.integers(-4, 3),
    st.slices(4),
    st.lists(st.integers(-4, 3), min_size=1, max_size=3),
    st.just(None),
    st.just(...),
    st.just(np.array([True, False, True, True])),
)


@given(st.lists(keys, max_size=3))
def test_positions_are_those_that_numpy_chooses(key):
    shape, key = (4, 4, 4), tuple(key)
    try:
        wanted = np.arange(64).reshape(shape)[key]
    except IndexError:
        with pytest.raises(IndexError):
            positions_of(shape, key)
    else:
        assert np.array_equal(positions_of(shape, key).array, wanted)


def test_few_of_many_elements_are_chosen_in_little_memory():
    x = Graph().array("x", (10_000, 10_000))
    tracemalloc.start()
    try:
        assert x[5, 1:4].shape == (3,)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_value_and_an_array_parameter_in_either_order_are_refused():
    w, v = ArrayValue([1.0, 2.0], label="w"), Value(1.0)
    for operands in ((w, v), (v, w)):
        with pytest.raises(OperandError, match="is a Value, which holds one number"):
            ops.MAXIMUM(*operands)
    with pytest.raises(OperandError, match="is a Value, which holds one number"):
        ops.WHERE(v, w, 1.0)


OVER_A_BATCH = {
    "sum": lambda y: sum_over(y * y),
    "mean": lambda y: mean_over(y.exp()),
    "sum of means": lambda y: sum_over(mean_over(y, 0) ** 2),
    "mean of sums": lambda y: mean_over(sum_over(y, 1) ** 2),
    "max": lambda y: max_over(y) * 3,
    "maxima": lambda y: sum_over(max_over(y, 0)),
    "logsumexp": lambda y: sum_over(logsumexp(y, 0) ** 2),
    "nothing": lambda y: sum_over(y**0),
}


@pytest.mark.parametrize("case", OVER_A_BATCH)
def test_derivatives_over_a_batch_are_those_of_as_many_samples(case):
    found = []
    for samples in (5, BATCH):
        g = Graph()
        x, w = g.array("x", (samples, 3)), g.array("w", (2, 3))
        y = OVER_A_BATCH[case](x @ w.T)
        wanted = [*grad(y, [x, w]), jvp(y, [x], [1.0]), *hvp(y, [w], [1.0])]
        found.append(evaluate(wanted, {"x": data([(5, 3)], 1)[0], "w": data([(2, 3)], 2)[0]}))
    for fixed, batched in zip(*found, strict=True):
        assert batched == pytest.approx(fixed)


def test_an_array_has_the_methods_of_numpy():
    g = Graph()
    x = g.array("x", (2, 3))
    at = np.array([[1.0, -2.0, 0.5], [4.0, 0.25, 3.0]])
    written = [
        lambda a: a.sum(),
        lambda a: a.sum(axis=0),
        lambda a: a.mean(axis=-1),
        lambda a: a.max(),
        lambda a: a.max(axis=1),
        lambda a: a.reshape(3, 2),
        lambda a: a.reshape((-1,)),
        lambda a: a.T @ a[:, 1],
    ]
    for write in written:
        assert np.array_equal(evaluate(write(x), {x: at}), write(at))
    with pytest.raises(ShapeError, match=r"sum_over: .* \(2, 3\) has no axis 2"):
        x.sum(axis=2)


@pytest.mark.parametrize("target", ["python", "javascript"])
def test_a_target_of_numbers_refuses_arrays_and_says_what_to_do(target):
    g = Graph()
    w, x = g.array_parameter("W", np.eye(2)), g.array("x", 2)
    with pytest.raises(ShapeError, match=rf"Expr\(W\) is an array of .* {target} .*wengert.unroll"):
        wg.compile({"W": w, "x": x}, (w @ x).sum(), target=target)
    (y,) = wg.unroll([(w @ x).sum()])
    leaves = [leaf for leaf in y.graph if leaf.label.startswith("x")]
    assert wg.compile({"x": leaves}, y)([2.0, 3.0]) == 5.0


@pytest.mark.parametrize("batch", [(), "rows"])
def test_an_array_of_however_many_samples_is_no_argument(batch):
    g = Graph()
    rows = g.array("P", (BATCH, 3))
    with pytest.raises(ShapeError, match=r"'rows' .* one sample's shape, \(3,\).*batch='rows'"):
        wg.compile({"rows": rows}, rows.sum(), target="numpy", batch=batch)


def test_the_public_functions_of_arrays_are_all_there():
    wanted = (
        "broadcast_to gather logsumexp matmul max_over mean_over outer reshape scatter_add stack "
        "sum_over sum_to take transpose"
    ).split()
    assert [name for name in wanted if not callable(getattr(wg.arrays, name, None))] == []
