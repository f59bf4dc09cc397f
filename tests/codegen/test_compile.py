"""`compile`: groups, batches, and everything that can be wrong with them."""

import math

import numpy as np
import pytest

import wengert as wg
from wengert.codegen.compiled import Derivatives, compile
from wengert.derive.backward import grad
from wengert.errors import (
    DuplicateNameError,
    GraphMismatchError,
    InvalidNameError,
    NotALeafError,
    OperandError,
    ShapeError,
    UnknownNameError,
)
from wengert.graph.expr import Graph
from wengert.graph.value import Value
from wengert.ops import scalar as ops


@pytest.fixture
def neuron():
    g = Graph()
    w, x, y = g.inputs("w", 2), g.inputs("x", 2), g.input("y")
    loss = (ops.tanh(w[0] * x[0] + w[1] * x[1]) - y) ** 2
    return g, w, x, y, loss


def test_the_result_mirrors_the_outputs(neuron):
    _, w, x, y, loss = neuron
    outputs = {"a": loss, "b": [loss, (loss, {"c": loss})], "d": 2.5}
    result = compile({"w": w, "x": x, "y": y}, outputs)([0.1, 0.2], [1.0, 2.0], 0.0)
    value = result["a"]
    assert result == {"a": value, "b": [value, [value, {"c": value}]], "d": 2.5}


def test_arguments_come_in_the_order_of_the_dict(neuron):
    _, w, x, y, loss = neuron
    one = compile({"w": w, "x": x, "y": y}, loss)([0.1, 0.2], [1.0, 2.0], 0.5)
    assert compile({"y": y, "w": w, "x": x}, loss)(0.5, [0.1, 0.2], [1.0, 2.0]) == one


def test_reductions(neuron):
    _, w, x, y, loss = neuron
    groups = {"w": w, "x": x, "y": y}
    rows, targets, weights = [[1.0, 2.0], [0.5, -1.0], [3.0, 0.0]], [1.0, -1.0, 0.5], [0.1, 0.2]
    plain = compile(groups, loss)
    each = [plain(weights, row, target) for row, target in zip(rows, targets, strict=True)]
    outputs = {"loss": loss, "w": w[0] * 2}
    total = compile(groups, outputs, batch=("x", "y"))(weights, rows, targets)
    mean = compile(groups, outputs, batch=("x", "y"), reduce="mean")(weights, rows, targets)
    rows_of = compile(groups, outputs, batch=("x", "y"), reduce=None)(weights, rows, targets)
    assert total == {"loss": pytest.approx(sum(each), rel=1e-15), "w": 0.2 * 3}
    assert mean == {"loss": pytest.approx(sum(each) / 3, rel=1e-15), "w": 0.2}
    assert rows_of == {"loss": pytest.approx(each, rel=1e-15), "w": [0.2] * 3}


def test_arrays_values_and_tuples_are_arguments(neuron):
    _, w, x, y, loss = neuron
    f = compile({"w": w, "x": x, "y": y}, loss, batch=("x", "y"))
    expected = f([0.1, 0.2], [[1.0, 2.0]], [0.5])
    assert f(np.array([0.1, 0.2]), np.array([[1.0, 2.0]]), np.array([0.5])) == expected
    assert f([Value(0.1), Value(0.2)], ((1.0, 2.0),), (0.5,)) == expected
    assert f((0.1, np.float64(0.2)), [[1, 2]], [0.5]) == expected


def test_values_as_groups_and_outputs():
    a, b = Value(2.0, label="a"), Value(3.0, label="b")
    y = a * b + a
    f = compile({"a": a, "b": b}, {"y": y, "da": grad(y, a)})
    assert f(2.0, 3.0) == {"y": 8.0, "da": 4.0}


def test_the_users_graph_keeps_its_nodes(neuron):
    g, w, x, y, loss = neuron
    before = len(g)
    compile({"w": w, "x": x, "y": y}, loss, batch=("x", "y"), reduce="mean")
    assert len(g) == before


def test_what_gradients_are_known(neuron):
    _, w, x, y, loss = neuron
    outputs = {"loss": loss, "grad": grad(loss, w), "dy": grad(loss, y)}
    f = compile({"w": w, "x": x, "y": y}, outputs)
    assert set(f.derivatives) == {
        Derivatives(("grad",), ("loss",), "w"),
        Derivatives(("dy",), ("loss",), "y"),
    }
    again = {"loss": loss, "grad": grad(loss, w), "hessian": [grad(d, w) for d in grad(loss, w)]}
    f = compile({"w": w, "x": x, "y": y}, again, batch=("x", "y"), reduce="mean")
    assert Derivatives(("grad",), ("loss",), "w") in f.derivatives
    f = compile({"w": w, "x": x, "y": y}, [loss, *grad(loss, w), *grad(loss, x)])
    parts = [(slice(1, 1 + len(w)), "w"), (slice(1 + len(w), 1 + len(w) + len(x)), "x")]
    assert f.derivatives == tuple(Derivatives((part,), (0,), name) for part, name in parts)
    halves = {"loss": ops.total(loss), "grad": [ops.total(d) for d in grad(loss, w)]}
    f = compile({"w": w, "x": x, "y": y}, halves, batch=("x", "y"))
    assert f.derivatives == (Derivatives(("grad",), ("loss",), "w"),)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"target": "pythn"}, UnknownNameError, "did you mean 'python'"),
        ({"target": None}, UnknownNameError, "unknown target None"),
        ({"batch": None}, OperandError, "batch is None, .*; expected the names of the inputs"),
        ({"batch": 5}, OperandError, "batch is 5, an int; expected the names of the inputs"),
        ({"batch": ("z",)}, UnknownNameError, "unknown batched input 'z'.*known: w, x, y"),
        ({"reduce": "max"}, UnknownNameError, "mean"),
        ({"name": "lambda"}, InvalidNameError, "'lambda' cannot name a function"),
        ({"name": "f(x): pass\nimport os"}, InvalidNameError, "cannot name a function"),
    ],
)
def test_options_that_do_not_exist(neuron, change, error, message):
    _, w, x, y, loss = neuron
    with pytest.raises(error, match=message):
        compile({"w": w, "x": x, "y": y}, loss, **change)


def test_inputs_that_cannot_be_arguments(neuron):
    g, w, x, y, loss = neuron
    rest = {"x": x, "y": y}
    with pytest.raises(NotALeafError, match="is computed"):
        compile({"w": [w[0] * 2, w[1]], **rest}, loss)
    with pytest.raises(NotALeafError, match="is computed"):
        compile({"c": g.constant(2.0), "w": w, **rest}, loss)
    with pytest.raises(DuplicateNameError, match=r"'w0' is in inputs 'w' and 'v'"):
        compile({"w": w, "v": w[0], **rest}, loss)
    with pytest.raises(InvalidNameError, match="'a b' cannot name"):
        compile({"a b": w, **rest}, loss)
    with pytest.raises(OperandError, match=r"holds 3\.0"):
        compile({"w": [3.0], **rest}, loss)
    with pytest.raises(OperandError, match="inputs is a list"):
        compile([w], loss)
    with pytest.raises(OperandError, match="no inputs"):
        compile({}, loss)
    with pytest.raises(OperandError, match="no outputs"):
        compile({"w": w}, {})
    with pytest.raises(OperandError, match=r"output\['a'\]\[0\] is 'text'"):
        compile({"w": w}, {"a": ["text"]})
    with pytest.raises(GraphMismatchError, match="another graph"):
        compile({"w": w, "z": Graph().input("z")}, loss)


def test_report_and_repr(neuron):
    _, w, x, y, loss = neuron
    f = compile({"w": w, "x": x, "y": y}, loss)
    assert repr(f) == "<compiled f(w, x, y): python, 6 operations>"
    assert "6 operations: 3 mul, 1 add, 1 tanh, 1 sub" in f.report()


def summing(batch=()):
    g = Graph()
    x, w = g.input("x"), g.inputs("w", 2)
    return compile({"x": x, "w": w}, {"s": x + w[0] + w[1], "w": w[0] * 1}, batch=batch)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.array([1.0, 2.0]), [1.0, 2.0]), "argument 'x' is .*, a list"),
        (("a", [1.0, 2.0]), "argument 'x' is 'a', a str"),
        ((None, [1.0, 2.0]), "argument 'x' is None"),
        ((1j, [1.0, 2.0]), "argument 'x' is 1j, a complex"),
        ((1.0, "ab"), "argument 'w' is 'ab', a str"),
        ((1.0, {1.0, 2.0}), "argument 'w' is .*, a set"),
        ((1.0, {1.0: 0, 2.0: 0}), "argument 'w' is .*, a dict"),
        ((1.0, [[1.0], [2.0]]), "argument 'w', entry 0 is .*, a list"),
        ((1.0, [1.0, None]), "argument 'w', entry 1 is None, a NoneType"),
    ],
)
def test_what_would_add_up_to_something_else_is_refused(arguments, message):
    with pytest.raises(ShapeError, match=message):
        summing()(*arguments)


def test_rows_that_are_no_rows_are_refused():
    f = summing(batch=("x", "w"))
    with pytest.raises(ShapeError, match=r"row 0 of 'w' is .*, a set"):
        f([1.0], [{1.0, 2.0}])
    with pytest.raises(ShapeError, match=r"row 1 of 'x' is .*, a list"):
        f([1.0, [2.0]], [[1.0, 2.0], [1.0, 2.0]])


def test_integers_become_floats():
    g = Graph()
    x = g.input("x")
    y = x
    for _ in range(40):
        y = y * y
    f = compile({"x": x}, y)
    assert f(3) == float("inf")
    assert f(np.int64(1)) == 1.0
    assert type(f(True)) is float


def test_arguments_may_be_named():
    f = summing()
    assert f(w=[2.0, 3.0], x=1.0) == f(1.0, w=[2.0, 3.0]) == f(1.0, [2.0, 3.0])
    with pytest.raises(ShapeError, match="no argument 'z'; its arguments: x, w"):
        f(1.0, z=2.0)
    with pytest.raises(ShapeError, match="argument 'x' twice"):
        f(1.0, x=2.0)
    with pytest.raises(ShapeError, match="missing: w"):
        f(x=2.0)


@pytest.mark.parametrize("name", ["exp", "math", "abs", "zip", "tanh", "inf", "print"])
def test_functions_are_not_named_after_what_they_call(name):
    g = Graph()
    x = g.input("x")
    with pytest.raises(InvalidNameError, match="name the function otherwise"):
        compile({"x": x}, ops.exp(x), name=name)


def test_a_lone_number_is_no_input():
    g = Graph()
    x = g.input("x")
    with pytest.raises(OperandError, match=r"input 'y' is 3\.0, a float"):
        compile({"x": x, "y": 3.0}, x)


def test_a_truth_that_is_counted_with_is_a_float():
    g = wg.Graph()
    x = g.input("x")
    below = x < 1
    f = wg.compile(
        {"x": x}, [-below, below + (x < 2), below, wg.where(below, below, 3), abs(below)]
    )
    for at in (0.5, 1.5, 2.5):
        results = f(at)
        expected = [wg.evaluate(e, {x: at}) for e in (-below, below + (x < 2))]
        assert [type(result) for result in results] == [float] * 5
        assert [math.copysign(1, r) for r in results[:2]] == [math.copysign(1, e) for e in expected]
        assert results[:2] == expected


@pytest.mark.parametrize(("batch", "reduce"), [((), "sum"), ("x", "sum"), ("x", None)])
def test_truths_that_nothing_else_reads_are_floats(batch, reduce):
    g = wg.Graph()
    x, w = g.input("x"), g.input("w")
    outputs = [x < 1, w < 1, -(x < 2), (x < 3) + (x < 4), wg.where(x < 5, x < 6, x)]
    if batch and reduce:
        outputs.append(wg.total(w < 2))
    f = wg.compile({"x": x, "w": w}, outputs, batch=batch, reduce=reduce, simplify=False)
    for point in (0.5, 2.5, 7.0):
        got, expected = (run([point] if batch else point, 1.5) for run in (f, f.program.run))
        assert repr(got) == repr(expected), "so that -0.0 is told from 0, and 1.0 from True"


def test_a_truth_that_only_decides_is_written_as_it_is():
    g = wg.Graph()
    x = g.input("x")
    assert "x if x < 1.0 else" in wg.compile({"x": x}, wg.where(x < 1, x, 2 * x)).source


@pytest.mark.parametrize("nin", [1, 12, 40])
def test_rows_of_any_width_are_read_by_the_loop_over_the_samples(nin):
    net = wg.MLP(nin, [2, 1], seed=0)
    g = wg.Graph()
    x = g.inputs("x", nin)
    f = compile({"p": net.parameters(), "x": x}, net(x), batch="x")
    rows = [[0.1 * i + j for i in range(nin)] for j in range(3)]
    expected = sum(net(row).data for row in rows)
    assert f([p.data for p in net.parameters()], rows) == pytest.approx(expected)


def test_the_kind_of_numbers_is_named_and_the_target_has_it():
    g = Graph()
    x = g.input("x")
    for given in ("float16", "int", "", None, 64):
        for target in ("python", "numpy"):
            with pytest.raises(wg.SettingError, match="expected 'float64' or 'float32'"):
                compile({"x": x}, x * x, target=target, dtype=given)
    with pytest.raises(wg.SettingError, match="'python' target, which computes in float64"):
        compile({"x": x}, x * x, dtype="float32")
    for given in ("float32", np.float32, np.dtype("float32")):
        assert compile({"x": x}, x * x, target="numpy", dtype=given).program.dtype == "float32"


def test_a_report_counts_sums_and_products_of_arrays():
    g = Graph()
    X, W = g.array("X", (2, 3)), g.array("W", (4, 3))
    f = compile({"X": X, "W": W}, {"y": X @ W.T, "s": X.sum(), "p": X * X}, target="numpy")
    assert f.program.counts() == {"contraction": 1, "sum": 1, "mul": 1}


@pytest.mark.parametrize("target", ["python", "numpy"])
def test_a_constant_that_is_not_finite_is_found_by_a_check(target):
    g = Graph()
    x = g.input("x")
    for outputs in ([g.constant(math.nan), x], {"a": {"b": g.constant(math.inf) * 1.0}, "x": x}):
        with pytest.raises(wg.NonFiniteError, match="is the constant"):
            compile({"x": x}, outputs, target=target, check=True)(1.0)
    f = compile(
        {"x": x}, [g.constant(math.nan), x], target=target, check=True, batch="x", reduce=None
    )
    with pytest.raises(wg.NonFiniteError, match="sample 0"):
        f([1.0, 2.0])
