"""Arrays as users write them, as statements: what they are, and the functions printed of them."""

from dataclasses import replace

import numpy as np
import pytest
from test_arrays import APPLIED, as_leaves, data, weighted

import wengert as wg
from wengert import arrays as wa
from wengert.arrays.canonical import fingerprints
from wengert.arrays.unrolling import unroll_program
from wengert.arrays.written import Argument, written_program
from wengert.codegen.array.printer import TARGET
from wengert.errors import MissingInputError, NonFiniteError, OperandError
from wengert.graph import unroll as unrolling
from wengert.ops import arrays, call, meanings
from wengert.ops.arrays import SUM, TRANSPOSE
from wengert.ops.meanings import OUT, grid, product_of
from wengert.ops.reads import Affine, Assignment, Read, Table, along
from wengert.ops.record import Op
from wengert.testing import ArraySketch, check_arrays


def compiled(leaves, outputs, **options):
    return wg.compile({leaf.label: leaf for leaf in leaves}, outputs, target=TARGET, **options)


def printed(expr):
    """The statements of an expression."""
    return str(written_program(expr.graph, [expr.id])).splitlines()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", APPLIED)
def test_compiled_statements_compute_what_the_interpreter_does(case, dtype):
    shapes, function = APPLIED[case]
    leaves = as_leaves(wg.Graph(), shapes)
    out, points = function(*leaves), data(shapes, 3)
    gradient = wg.grad(weighted(out), leaves)
    f = compiled(leaves, {"out": out, "gradient": list(gradient)}, dtype=dtype)
    found = f(*points)
    wanted, *derivatives = wg.evaluate([out, *gradient], dict(zip(leaves, points, strict=True)))
    near = {"float64": 1e-11, "float32": 2e-4}[dtype]
    np.testing.assert_allclose(found["out"], wanted, rtol=near, atol=near)
    assert np.shape(found["out"]) == out.shape
    assert np.asarray(found["out"]).dtype == dtype
    for one, right in zip(found["gradient"], derivatives, strict=True):
        np.testing.assert_allclose(one, right, rtol=near, atol=near)
        assert np.shape(one) == np.shape(right)


@pytest.mark.parametrize("case", APPLIED)
def test_statements_unroll_to_the_scalars_that_the_graph_unrolls_to(case):
    shapes, function = APPLIED[case]
    graph = wg.Graph()
    leaves = as_leaves(graph, shapes)
    loss = weighted(function(*leaves))
    roots = [loss.id, *(one.id for one in wg.grad(loss, leaves))]
    scalars, _ = unrolling.unroll_graph(graph, roots)
    arguments = [Argument(leaf.label, (leaf.label,), (leaf.shape,), True) for leaf in leaves]
    again = unroll_program(written_program(graph, roots, arguments))
    before = fingerprints(scalars, scalars.outputs)
    after = fingerprints(again, again.outputs)
    assert [before[node] for node in scalars.outputs] == [after[node] for node in again.outputs]


@pytest.mark.parametrize("seed", range(60))
def test_random_functions_of_arrays(seed):
    check_arrays(ArraySketch(seed, steps=4 + seed % 12), TARGET)


def wrong_transpose(out, shapes):
    return meanings.reshape(out, shapes, out)


def wrong_sum(out, shapes, axis):
    (one,) = meanings.mean(out, shapes, axis)[:1]
    terms = tuple([replace(term, count=2) for term in one.value.terms])
    return (replace(one, array=OUT, value=replace(one.value, terms=terms)),)


@pytest.mark.parametrize(("op", "broken"), [(TRANSPOSE, wrong_transpose), (SUM, wrong_sum)])
def test_a_wrong_meaning_is_caught_by_random_functions(op, broken):
    def check():
        for seed in range(20):
            check_arrays(ArraySketch(seed), TARGET)

    right = op.meaning
    object.__setattr__(op, "meaning", broken)
    try:
        with pytest.raises(AssertionError):
            check()
    finally:
        object.__setattr__(op, "meaning", right)


def test_a_layer_reads_like_the_books():
    g = wg.Graph()
    W, x, b = g.array("W", (2, 3)), g.array("x", 3), g.array("b", 2)
    (line,) = printed((W @ x + b).tanh())
    assert line.endswith("= tanh(Σ_j W[i, j]·x[j] + b[i])")


def test_what_only_moves_elements_is_read_where_it_is_needed():
    g = wg.Graph()
    X = g.array("X", (3, 4))
    (line,) = printed(X.T[::-1][1:, 0].reshape(3, 1) * 2)
    assert line.endswith("= 2·X[0, -i + 2]")


def test_rows_that_are_picked_are_a_table():
    g = wg.Graph()
    X = g.array("X", (5, 2))
    program = written_program(g, [wa.take(X, [4, 0, 3, 4], axis=0).id])
    (table,) = program.tables.values()
    assert table == Table("index", ("i",), (4,), (4, 0, 3, 4))


def test_the_number_of_statements_does_not_depend_on_sizes():
    def count(n):
        g = wg.Graph()
        X, W = g.array("X", (n, 2 * n)), g.array("W", (n, 2 * n))
        loss = (wg.tanh(X @ W.T)[:, 1:].reshape(-1) ** 2).mean()
        roots = [loss.id, *(d.id for d in wg.grad(loss, [X, W]))]
        return len(written_program(g, roots).statements)

    assert count(3) == count(7)


def test_equal_sizes_are_multiplied_as_a_product_of_matrices():
    g = wg.Graph()
    q, k = g.array("q", (4, 3)), g.array("k", (4, 3))
    assert "np.dot(q, k.T)" in compiled([q, k], q @ k.T).source


# What the old way got wrong.


def test_a_stack_of_one_has_its_axis():
    v = wg.Graph().array("v", 3)
    found = compiled([v], wa.stack(v).T * v)(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(found, np.outer([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]))


def test_a_list_of_arrays_comes_back_as_a_list():
    g = wg.Graph()
    W, b, x = g.array("W", (2, 3)), g.array("b", 2), g.input("x")
    loss = ((W @ np.ones(3) + b) ** 2).sum() * x
    f = compiled([W, b, x], {"list": [*wg.grad(loss, [W, b]), loss], "numbers": [loss, x]})
    found = f(np.ones((2, 3)), np.ones(2), 2.0)
    assert [np.shape(one) for one in found["list"]] == [(2, 3), (2,), ()]
    np.testing.assert_array_equal(found["numbers"], [64.0, 2.0])


def test_a_shape_without_axes():
    X = wg.Graph().array("X", (2, 3))
    mean = X.mean().reshape((1, 1))
    found = compiled([X], wg.grad(((X - mean) ** 2).sum(), X))(np.ones((2, 3)))
    np.testing.assert_array_equal(found, np.zeros((2, 3)))


def test_an_argument_that_is_not_needed_is_an_array_all_the_same():
    g = wg.Graph()
    X, v = g.array("X", (2, 3)), g.array("v", 3)
    found = compiled([X, v], wg.grad((X @ v).sum(), v))(np.ones((2, 3)), np.ones(3))
    np.testing.assert_array_equal(found, [2.0, 2.0, 2.0])


def test_an_array_is_not_written_over_before_it_is_read():
    g = wg.Graph()
    W, x = g.array("W", (2, 3)), g.array("x", 3)
    h = W @ x
    y = wg.tanh(h) * (h[0] - 1.0)
    given = np.arange(6.0).reshape(2, 3) / 5, np.array([0.1, 0.5, 0.9])
    product = given[0] @ given[1]
    np.testing.assert_allclose(compiled([W, x], y)(*given), np.tanh(product) * (product[0] - 1))


def test_a_gradient_behind_where_has_the_shape_of_its_leaf():
    g = wg.Graph()
    a, b, c = g.array("a", (2, 1, 1)), g.array("b", (1, 1)), g.array("c", (2, 1, 1))
    f = compiled([a, b, c], wg.grad(wg.where(c > 0, a @ b, 0.0).sum(), b))
    np.testing.assert_array_equal(f([[[3.0]], [[5.0]]], [[7.0]], [[[1.0]], [[-1.0]]]), [[3.0]])


def test_causally_masked_attention():
    g = wg.Graph()
    q, k, v = [g.array(name, (4, 3)) for name in "qkv"]
    scores = wg.where(np.tril(np.ones((4, 4))) > 0, q @ k.T, -np.inf)
    weights = wg.exp(scores - wa.logsumexp(scores, 1).reshape(4, 1))
    loss = ((weights @ v) ** 2).sum()
    gradient = wg.grad(loss, [q, k, v])
    points = data([(4, 3)] * 3)
    found = compiled([q, k, v], {"loss": loss, "gradient": gradient})(*points)
    at = dict(zip((q, k, v), points, strict=True))
    np.testing.assert_allclose(found["loss"], wg.evaluate(loss, at))
    for one, right in zip(found["gradient"], wg.evaluate(gradient, at), strict=True):
        np.testing.assert_allclose(one, right, rtol=1e-9, atol=1e-12)


def test_numbered_names_in_different_arguments():
    g = wg.Graph()
    x1, x2 = g.array("x1", 2), g.array("x2", 2)
    np.testing.assert_array_equal(compiled([x1, x2], x1 * x2)([1.0, 2.0], [3.0, 4.0]), [3.0, 8.0])
    y1, y2 = g.input("y1"), g.input("y2")
    assert compiled([y1, y2], y1 * y2)(2.0, 3.0) == 6.0


def test_one_number_alone_in_an_argument():
    x = wg.Graph().input("x")
    assert compiled([x], wg.sin(x))(2.0) == np.sin(2.0)


def test_outputs_do_not_share_memory_with_arguments_or_each_other():
    X = wg.Graph().array("X", (2, 3))
    f = compiled([X], {"a": X, "b": X.T, "c": X * 2, "d": X * 2, "e": (X * 2)[0]})
    given = np.ones((2, 3))
    found = f(given)
    for value in found.values():
        value += 1.0
    np.testing.assert_array_equal(given, np.ones((2, 3)))
    np.testing.assert_array_equal(found["e"], 3 * np.ones(3))


# Arguments, leaves and errors.


def test_arrays_and_numbers_in_one_argument():
    g = wg.Graph()
    W, b, s, x = g.array("W", (2, 3)), g.array("b", 2), g.input("s"), g.array("x", 3)
    loss = (s * wg.tanh(W @ x + b)).sum()
    leaves = [W, s, b]
    f = wg.compile(
        {"params": leaves, "x": x}, {"g": wg.grad(loss, leaves)}, target=TARGET, batch="x"
    )
    params, xs = np.linspace(-1, 1, 9), np.linspace(0, 1, 6).reshape(2, 3)
    point = {W: params[:6].reshape(2, 3), s: params[6], b: params[7:]}
    each = [wg.evaluate(wg.grad(loss, leaves), {**point, x: row}) for row in xs]
    for one, right in zip(f(params, xs)["g"], zip(*each, strict=True), strict=True):
        np.testing.assert_allclose(one, sum(right))


def test_leaves_that_are_no_arguments_contribute_what_they_carry():
    g = wg.Graph()
    W, s, x = g.array_parameter("W", [[1.0, 2.0]]), g.parameter("s", 3.0), g.array("x", 2)
    np.testing.assert_array_equal(compiled([x], s * (W @ x))([1.0, 1.0]), [9.0])
    lost = g.array("lost", 2)
    with pytest.raises(MissingInputError, match="lost"):
        compiled([x], x * lost)


def test_the_first_number_that_is_not_finite_is_named():
    g = wg.Graph()
    X, b = g.array("X", (2, 3)), g.array("b", 3)
    f = compiled([X, b], [wg.log(X + b), wg.where(X > 0, wg.log(X), 0.0)], check=True)
    assert np.shape(f(np.ones((2, 3)), np.zeros(3))[0]) == (2, 3)
    with pytest.raises(NonFiniteError, match="X_0_1"):
        f([[1.0, -2.0, 1.0], [1.0, 1.0, 1.0]], [0.0, 0.0, 0.0])
    batched = compiled([X, b], wg.log(X + b), check=True, batch="X")
    with pytest.raises(NonFiniteError, match="sample 1"):
        batched([np.ones((2, 3)), -np.ones((2, 3))], np.zeros(3))


def reversed_rows(out, shapes):
    axes = grid(out)
    back = Affine(out[0] - 1, ((axes[0].name, -1),))
    index = (back, *[along(axis.name) for axis in axes[1:]])
    return (Assignment(OUT, axes, product_of(Read("0", index))),)


FLIP = Op(
    name="flip",
    arity=1,
    evaluate=lambda x: np.flip(x, 0),
    sympy=lambda sp, x: x,
    vjp=(lambda ct, out, x: FLIP(ct),),
    notation={"text": call("flip")},
    sentence="what is turned round is turned back",
    shape=lambda x: x,
    linear="together",
    meaning=reversed_rows,
)


def test_an_operation_from_outside_is_what_its_meaning_says():
    g = wg.Graph()
    X = g.array("X", (3, 2))
    y = FLIP(X) * np.arange(6.0).reshape(3, 2)
    given = np.linspace(0, 1, 6).reshape(3, 2)
    f = compiled([X], {"y": y, "dX": wg.grad(y.sum(), X)})
    np.testing.assert_allclose(f(given)["y"], given[::-1] * np.arange(6.0).reshape(3, 2))
    np.testing.assert_allclose(f(given)["dX"], np.arange(6.0).reshape(3, 2)[::-1])
    assert "X[::-1]" in f.source
    assert str(wg.unroll(FLIP(X))[0][1]) == "X_2_1"


def test_without_a_meaning_the_error_names_the_record():
    bare = replace(FLIP, name="turned", meaning=None)
    X = wg.Graph().array("X", (3, 2))
    with pytest.raises(OperandError, match="the record of turned"):
        compiled([X], bare(X) + 1.0)


def test_every_operation_on_arrays_has_a_meaning():
    assert all(op.meaning is not None for op in arrays.ARRAY_OPERATIONS)


def test_elements_of_an_array_have_names_where_they_are_asked_for():
    """Hundreds of millions of names are more memory than their numbers."""
    f = wg.compile({"x": (x := wg.Graph().array("x", (3, 3)))}, (x @ x).sum(), target="numpy")
    assert f.program.program.arrays["x"].elements == ()
    assert list(unroll_program(f.program.program).leaves)[:2] == ["x_0_0", "x_0_1"]
