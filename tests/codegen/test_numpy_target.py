"""The numpy target: the same numbers as the python target and the interpreter, in good NumPy."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_arrays import APPLIED, as_leaves, data, weighted

from wengert.arrays.statements import Home
from wengert.codegen import arguments as numpyarguments
from wengert.codegen.array.literals import array_literal
from wengert.codegen.array.reading import Code, Head, transposed, view, within
from wengert.codegen.build import build_once
from wengert.codegen.compiled import compile
from wengert.derive.backward import grad
from wengert.errors import MissingInputError, NonFiniteError, ShapeError, SizeError
from wengert.graph.arrayvalue import ArrayValue
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.graph.value import Value
from wengert.ops import scalar as ops
from wengert.ops.arrays import logsumexp
from wengert.ops.reads import Read
from wengert.ops.record import ufunc
from wengert.ops.scalar import TOTAL
from wengert.train.losses import LOSSES
from wengert.train.nn import MLP


def rows_of(program, samples, seed=0):
    """Arguments for a compiled function, classes where the labels are y."""
    draw = np.random.default_rng(seed)
    result = []
    for group in program.groups:
        width = () if group.scalar else (len(group.leaves),)
        shape = (samples, *width) if group.batched else width
        numbers = draw.normal(size=shape)
        result.append(np.round(np.abs(numbers)) % 2 if group.name == "y" else numbers)
    return [argument if np.ndim(argument) else float(argument) for argument in result]


def same(one, other, rtol=1e-11, atol=1e-12):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            same(one[key], other[key], rtol, atol)
    elif isinstance(other, list) and len(set(map(np.shape, other))) > 1:
        for row, numbers in zip(one, other, strict=True):
            np.testing.assert_allclose(row, np.broadcast_to(numbers, row.shape), rtol, atol)
    else:
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=rtol, atol=atol)


def both(inputs, outputs, samples=5, **options):
    """The results of the numpy target, compared with those of python and the interpreter."""
    fast = compile(inputs, outputs, target="numpy", **options)
    plain = compile(inputs, outputs, target="python", **options)
    arguments = rows_of(plain.program, samples)
    kept = [np.copy(argument) for argument in arguments]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result = fast(*arguments)
        again = fast(*arguments)
    same(result, plain(*arguments))
    same(result, fast.program.run(*arguments))
    same(result, again, 0)
    for before, after in zip(kept, arguments, strict=True):
        np.testing.assert_array_equal(before, after)
    return fast, result


def network(sizes, activation="tanh", loss="cross_entropy"):
    net = MLP(sizes[0], sizes[1:], activation=activation, seed=1)
    graph = Graph()
    x, y = graph.inputs("x", sizes[0]), graph.input("y")
    out = net(x)
    record = LOSSES[loss]
    targets = [y] * sizes[-1] if record.paired and sizes[-1] > 1 else y
    value = record.function(out, targets)
    return net, graph, {"params": net.parameters(), "x": x, "y": y}, value


ACTIVATIONS = ["tanh", "relu", "leaky_relu", "sigmoid", "softplus", "sin", "silu", "gelu", "linear"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("sizes", "loss"),
    [([3, 4, 2], "cross_entropy"), ([3, 4, 1], "hinge"), ([4, 3], "squared_error")],
)
@pytest.mark.parametrize("reduce", ["sum", "mean", None])
def test_networks(activation, sizes, loss, reduce):
    net, _, inputs, value = network(sizes, activation, loss)
    outputs = {"loss": value, "grad": grad(value, net.parameters())}
    both(inputs, outputs, batch=("x", "y"), reduce=reduce)


@pytest.mark.parametrize("samples", [1, 2, 7])
def test_any_number_of_samples(samples):
    net, _, inputs, value = network([3, 4, 2])
    both(inputs, {"loss": value, "grad": grad(value, net.parameters())}, samples, batch=("x", "y"))


def test_without_a_batch():
    net, _, inputs, value = network([3, 4, 2])
    _, result = both(inputs, {"loss": value, "grad": grad(value, net.parameters())})
    assert isinstance(result["grad"], np.ndarray)
    assert result["grad"].shape == (26,)


@pytest.mark.parametrize("sizes", [[3, 4, 2], [3, 4, 5]])
def test_a_training_step_with_its_update(sizes):
    net, graph, inputs, value = network(sizes)
    rate = graph.input("rate")
    count = TOTAL(graph.constant(1))
    gradient = grad(value, net.parameters())
    new = [p - rate * (TOTAL(d) / count) for p, d in zip(net.parameters(), gradient, strict=True)]
    outputs = {"params": new, "loss": TOTAL(value) / count, "first": new[3]}
    _, result = both({**inputs, "rate": rate}, outputs, batch=("x", "y"))
    assert result["params"].shape == (len(net.parameters()),)


def test_unrolled_recurrent_network_and_convolution():
    graph = Graph()
    w, u, b = ([graph.parameter(f"{n}_{i}", 0.1 * i - 0.2) for i in range(4)] for n in "wub")
    x = [graph.inputs(f"x{t}_", 2) for t in range(3)]
    h = [graph.constant(0.0)] * 2
    for row in x:
        h = [
            (
                w[2 * j] * row[0]
                + w[2 * j + 1] * row[1]
                + u[2 * j] * h[0]
                + u[2 * j + 1] * h[1]
                + b[j]
            ).tanh()
            for j in range(2)
        ]
    loss = h[0] * h[0] + h[1]
    parameters = [*w, *u, *b[:2]]
    flat = [e for row in x for e in row]
    inputs = {"params": parameters, "x": flat}
    both(inputs, {"loss": loss, "grad": grad(loss, parameters)}, batch="x")
    pixels, kernel = graph.inputs("p", 8), graph.inputs("k", 3)
    maps = [sum(kernel[j] * pixels[i + j] for j in range(3)).tanh() for i in range(6)]
    loss = sum(m * m for m in maps)
    outputs = {"loss": loss, "dk": grad(loss, kernel), "dp": grad(loss, pixels)}
    both({"k": kernel, "p": pixels}, outputs, batch="p")
    both({"k": kernel, "p": pixels}, outputs, batch="p", reduce=None)


@st.composite
def expressions(draw):
    """Inputs and a few random scalar expressions of them."""
    graph = Graph()
    leaves = [*graph.inputs("a", 3), *graph.inputs("x", 3)]
    pool = list(leaves)
    unary = [ops.TANH, ops.SIGMOID, ops.SOFTPLUS, ops.RELU, ops.SIN, ops.COS, ops.ABS, ops.NEG]
    binary = [ops.ADD, ops.SUB, ops.MUL, ops.MAXIMUM, ops.MINIMUM, ops.LT, ops.GE, ops.EQ]
    for _ in range(draw(st.integers(1, 14))):
        pick = st.sampled_from([*pool, 0.5, -1.0, 0.0, 1.0])
        kind = draw(st.integers(0, 3))
        if kind == 0:
            pool.append(draw(st.sampled_from(unary))(draw(st.sampled_from(pool))))
        elif kind == 1:
            pool.append(draw(st.sampled_from(binary))(draw(st.sampled_from(pool)), draw(pick)))
        elif kind == 2:
            pool.append(ops.where(draw(st.sampled_from(pool)), draw(pick), draw(pick)))
        else:
            pool.append(draw(st.sampled_from(pool)) ** draw(st.sampled_from([2, 3])))
    chosen = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=4))
    return leaves[:3], leaves[3:], chosen


@given(expressions(), st.sampled_from(["sum", "mean", None]), st.booleans(), st.booleans())
@settings(max_examples=120, deadline=None)
def test_random_expressions(case, reduce, batched, simplify):
    a, x, outputs = case
    options = {"batch": "x", "reduce": reduce} if batched else {}
    named = {"all": outputs, "first": outputs[0], "pair": {"last": outputs[-1]}}
    both({"a": a, "x": x}, named, simplify=simplify, **options)


@given(expressions())
@settings(max_examples=60, deadline=None)
def test_random_gradients(case):
    a, x, outputs = case
    loss = sum(outputs[1:], outputs[0])
    both({"a": a, "x": x}, {"loss": loss, "grad": grad(loss, a, allow_unused=True)}, batch="x")


@pytest.mark.parametrize("case", APPLIED)
@pytest.mark.parametrize("batched", [False, True])
def test_array_graphs(case, batched):
    shapes, function = APPLIED[case]
    if batched and "_rows" in case:
        return
    graph = Graph()
    leaves = as_leaves(graph, shapes)
    out = function(*leaves)
    outputs = {"out": out, "grad": dict(enumerate(grad(weighted(out), leaves)))}
    inputs = {f"a{i}": leaf for i, leaf in enumerate(leaves)}
    options = {"batch": "a0", "reduce": None} if batched else {}
    f = compile(inputs, outputs, target="numpy", **options)
    points = data(shapes, 11)
    if not batched:
        same(
            f(*points),
            dict_of(
                evaluate([out, *outputs["grad"].values()], dict(zip(leaves, points, strict=True)))
            ),
        )
        return
    rows = np.stack([np.asarray(data(shapes, 11 + s)[0]) for s in range(3)])
    result = f(rows, *points[1:])
    for s in range(3):
        at = dict(zip(leaves, [rows[s], *points[1:]], strict=True))
        wanted = dict_of(evaluate([out, *outputs["grad"].values()], at))
        same(sample(result, wanted, s), wanted)


def dict_of(values):
    return {"out": values[0], "grad": dict(enumerate(values[1:]))}


def sample(result, wanted, s):
    """What belongs to sample `s`; what does not vary is the same for all."""
    if isinstance(result, dict):
        return {key: sample(result[key], wanted[key], s) for key in result}
    return result[s] if np.ndim(result) > np.ndim(wanted) else result


def test_the_code_is_what_one_would_write():
    net, _, inputs, value = network([64, 32, 10], ["tanh", "linear"])
    f = compile(
        inputs,
        {"loss": value, "grad": grad(value, net.parameters())},
        target="numpy",
        batch=("x", "y"),
    )
    for line in (
        "w0b0 = params[:2080].reshape(32, 65)  # [w0 | b0]",
        "# a feature more, of ones: the bias rides along in the product",
        "x_1[:, :64] = x",
        "h0 = h0_1[:32]",
        "n1 = np.dot(w1b1, h0_1)",
        "dparams = np.empty(2410)",
        "dw0b0 = dparams[:2080].reshape(32, 65)",
        "np.dot(dn1, h0_1.T, out=dw1b1)",
    ):
        assert line in f.source
    assert len(f.program.instructions) < 40
    assert f.line_of("dw1b1") is not None


@given(
    st.lists(st.integers(2, 7), min_size=2, max_size=5),
    st.sampled_from(["tanh", "relu", "sigmoid", "leaky_relu", "silu", "linear"]),
    st.sampled_from(["cross_entropy", "squared_error"]),
    st.integers(1, 6),
)
@settings(max_examples=40, deadline=None)
def test_layers_of_any_number_and_width(sizes, activation, loss, samples):
    net, _, inputs, value = network(sizes, activation, loss)
    outputs = {"loss": value, "grad": grad(value, net.parameters())}
    both(inputs, outputs, samples, batch=("x", "y"))


def test_parameters_in_another_order_are_not_folded():
    net, _, inputs, value = network([4, 3, 2])
    biases = [p for p in net.parameters() if "b" in p.label]
    weights = [p for p in net.parameters() if "b" not in p.label]
    assert len(biases) == 5
    x = {"x": inputs["x"], "y": inputs["y"]}
    for groups in (
        {"params": [*biases, *weights]},
        {"w": weights, "b": biases},
        {"params": net.parameters()[::-1]},
    ):
        outputs = {"loss": value, "g": {k: grad(value, g) for k, g in groups.items()}}
        both({**groups, **x}, outputs, batch=("x", "y"))


@pytest.mark.parametrize("hidden", [5, 6])
def test_derivatives_by_part_of_a_folded_layer(hidden):
    net, _, inputs, value = network([4, hidden, 3])
    parameters = net.parameters()
    outputs = {
        "some": grad(value, parameters[1:9:3]),
        "all": grad(value, parameters),
    }
    both(inputs, outputs, batch=("x", "y"))


def test_arrays_of_other_types_after_arrays_that_fit():
    _, _, inputs, value = network([3, 4, 2])
    f = compile(inputs, value, target="numpy", batch=("x", "y"))
    p, x, y = rows_of(f.program, 4)
    x = np.round(x)
    wanted = f(p, x, y)
    assert f(p, x.astype(int), y) == wanted
    assert f(p, x, y.astype(bool)) == wanted
    assert f(p.astype(">f8"), np.asfortranarray(x), y) == pytest.approx(wanted)
    assert f(p, np.repeat(x, 2, axis=0)[::2], y[::-1][::-1]) == pytest.approx(wanted)
    assert f(p, x[:2], y[:2]) + f(p, x[2:], y[2:]) == pytest.approx(wanted)
    assert f(p, x.tolist(), y.tolist()) == wanted


@pytest.fixture
def broken(monkeypatch):
    """Breaks things; what was built before or meanwhile is forgotten."""
    build_once.cache_clear()
    yield monkeypatch
    build_once.cache_clear()


def test_results_are_the_callers_own():
    net, _, inputs, value = network([3, 4, 2])
    f = compile(
        inputs,
        {"p": net.parameters(), "grad": grad(value, net.parameters())},
        target="numpy",
        batch=("x", "y"),
        reduce="mean",
    )
    arguments = rows_of(f.program, 4)
    first = f(*arguments)
    kept = {key: np.copy(part) for key, part in first.items()}
    first["p"][:] = 0
    second = f(*rows_of(f.program, 4, seed=1))
    assert not np.shares_memory(first["grad"], second["grad"])
    np.testing.assert_array_equal(first["grad"], kept["grad"])
    np.testing.assert_array_equal(kept["p"], arguments[0])


def test_views_of_arguments_are_copied():
    graph = Graph()
    w = graph.array("w", (2, 3))
    f = compile({"w": w}, {"w": w, "t": w.T, "row": w[0]}, target="numpy")
    given = np.arange(6.0).reshape(2, 3)
    for part in f(given).values():
        assert not np.shares_memory(part, given)


def test_single_precision():
    net, _, inputs, value = network([3, 4, 2])
    outputs = {"loss": value, "grad": grad(value, net.parameters()), "is": value > 0}
    single = compile(inputs, outputs, target="numpy", batch=("x", "y"), dtype="float32")
    double = compile(inputs, outputs, target="numpy", batch=("x", "y"))
    arguments = rows_of(double.program, 6)
    result = single(*arguments)
    assert result["grad"].dtype == np.float32
    assert np.asarray(result["loss"]).dtype == np.float32
    same(result, double(*arguments), 1e-4, 1e-6)


@pytest.mark.parametrize("case", APPLIED)
def test_single_precision_all_the_way(case):
    shapes, function = APPLIED[case]
    graph = Graph()
    leaves = as_leaves(graph, shapes)
    out = function(*leaves)
    inputs = {f"a{i}": leaf for i, leaf in enumerate(leaves)}
    f = compile(
        inputs,
        {"out": out, "g": dict(enumerate(grad(weighted(out), leaves)))},
        target="numpy",
        dtype="float32",
    )
    result = f(*data(shapes, 12))
    for part in (result["out"], *result["g"].values()):
        assert np.asarray(part).dtype == np.float32


def test_wrong_shapes_name_the_argument():
    net, _, inputs, value = network([3, 4, 2])
    f = compile(inputs, value, target="numpy", batch=("x", "y"))
    p, x, y = rows_of(f.program, 4)
    with pytest.raises(ShapeError, match=r"row 0 of 'x' has 2 numbers, expected 3"):
        f(p, x[:, :2], y)
    with pytest.raises(ShapeError, match="x has 4, y has 1"):
        f(p, x, y[:1])
    with pytest.raises(ShapeError, match=r"argument 'params' has 25 numbers, expected 26"):
        f(p[:-1], x, y)
    with pytest.raises(ShapeError, match="takes 3 arguments, got 2"):
        f(p, x)
    with pytest.raises(ShapeError, match="row 1 of 'x'"):
        f(p, [[1.0, 2.0, 3.0], [1.0]], [0, 1])
    f(p, x, y)
    with pytest.raises(ShapeError, match="row 0 of 'x'"):
        f(p, x[:, :2], y)
    assert f([q.data for q in net.parameters()], x.tolist(), y.astype(int)) == pytest.approx(
        f(net.parameters(), x, y)
    )


def test_batches_past_the_memory_limit_are_refused(monkeypatch):
    _, _, inputs, value = network([3, 4, 2])
    monkeypatch.setattr(numpyarguments, "MAX_BYTES", 3199)
    f = compile(inputs, value, target="numpy", batch=("x", "y"))
    p, x, y = rows_of(f.program, 100)
    with pytest.raises(SizeError, match="100 samples need an array of 3,200 bytes"):
        f(p, x, y)
    monkeypatch.setattr(numpyarguments, "MAX_BYTES", 3200)
    assert f(p, x, y) == pytest.approx(f(p, x[:50], y[:50]) + f(p, x[50:], y[50:]))


def test_check_names_the_first_result_that_is_not_finite():
    graph = Graph()
    x = graph.inputs("x", 2)
    f = compile({"x": x}, x[0].log() + x[1].log(), target="numpy", batch="x", check=True)
    with pytest.raises(NonFiniteError, match=r"log\(x0\) is nan \(forward pass, sample 1\)"):
        f([[1.0, 2.0], [-1.0, 3.0]])


def test_missing_inputs_are_listed():
    graph = Graph()
    x, z = graph.inputs("x", 2), graph.inputs("z", 2)
    with pytest.raises(MissingInputError, match=r"z0.*no argument names"):
        compile({"x": x}, x[0] * z[0] + x[1] * z[1], target="numpy")


def test_array_values_are_parameters():
    w, b = ArrayValue(np.eye(2), "W"), ArrayValue(np.ones(2), "b")
    graph = Graph()
    x = graph.array("x", 2)
    loss = logsumexp(w @ x + b)
    f = compile(
        {"params": [w, b], "x": x},
        {"loss": loss, "grad": grad(loss, [w, b])},
        target="numpy",
        batch="x",
    )
    flat = np.concatenate([np.ravel(w.data), b.data])
    rows = np.array([[1.0, 2.0], [3.0, 4.0]])
    result = f(flat, rows)
    same(f([w, b], rows), result)
    assert [part.shape for part in result["grad"]] == [(2, 2), (2,)]
    slopes = np.concatenate([np.ravel(part) for part in result["grad"]])
    step = 1e-6
    for i in range(6):
        moved = flat.copy()
        moved[i] += step
        slope = (f(moved, rows)["loss"] - result["loss"]) / step
        assert slopes[i] == pytest.approx(slope, rel=1e-4)


@pytest.mark.parametrize("value", [Value(2.0, "w"), ArrayValue(np.array([2.0]), "w")])
def test_a_list_of_one_value_is_an_argument(value):
    x = Graph().input("x")
    f = compile({"p": [value], "x": x}, x * value, target="numpy")
    assert np.ravel(f([value], 3.0)) == [6.0]


def test_names_of_the_module_are_not_shadowed():
    graph = Graph()
    leaves = [graph.input(name) for name in ("np", "scatter", "index0", "logsumexp", "c0")]
    chosen = [leaves[i] for i in (3, 1, 2, 0, 4)]
    out = sum((a.sigmoid() * i for i, a in enumerate(chosen)), leaves[2] * leaves[0])
    both({"index0": leaves[2], "np": [leaves[i] for i in (4, 0, 3, 1)]}, {"np": out}, batch="np")


def test_a_broken_spelling_is_caught(broken):
    broken.setitem(ops.TANH.notation, "numpy", ufunc("sin"))
    with pytest.raises(AssertionError):
        test_without_a_batch()


def part_of_vector(positions, length):
    """The text of the elements of `v` at some positions, None where that is no view of it."""
    positions = np.array(positions)
    home, shape = Home("v", tuple(positions.ravel().tolist())), positions.shape
    lengths = {str(k): n for k, n in enumerate(shape)}
    read = Read("v", (within(home, shape, length),))
    found = view(read, Code("v", ("0",), memory="v"), (length,), lengths, Head())
    return transposed(found, tuple(lengths)).text if found.memory else None


VIEWS = [
    ([0, 1, 2], 6, "v[:3]"),
    ([2, 5], 6, "v[2::3]"),
    ([[0, 1], [3, 4]], 6, "v.reshape(2, 3)[:, :2]"),
    ([[1, 2], [4, 5]], 6, "v.reshape(2, 3)[:, 1:]"),
    ([[2, 3], [5, 6]], 7, "v[1:].reshape(2, 3)[:, 1:]"),
    ([[[0, 1], [2, 3]], [[5, 6], [7, 8]]], 10, "v.reshape(2, 5)[:, :4].reshape(2, 2, 2)"),
    ([[0, 1], [2, 3]], 4, "v.reshape(2, 2)"),
    ([[0, 2], [1, 3]], 4, "v.reshape(2, 2).T"),
    ([[0, 2]], 4, "v[::2].reshape(1, 2)"),
    ([3, 1], 4, "v[:0:-2]"),
]


@pytest.mark.parametrize(("positions", "length", "text"), VIEWS)
def test_views_of_vectors(positions, length, text):
    found = part_of_vector(positions, length)
    assert found == text
    if found:
        np.testing.assert_array_equal(eval(found, {"v": np.arange(length)}), positions)  # noqa: S307


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_every_grid_within_a_vector_is_a_view(rows, width):
    for step in range(width, 7):
        grid = step * np.arange(rows)[:, None] + np.arange(width)
        for length in range(grid.max() + 1, 18):
            vector = np.arange(length)
            for first in range(length - grid.max()):
                inside = first + rows * step <= length or first + width >= step or rows == 1
                for shape in ((rows, width), (rows, width, 1), (rows, *(2,) * (width // 2))):
                    if np.prod(shape) != grid.size or len(shape) == 1:
                        continue
                    found = part_of_vector((grid + first).reshape(shape), length)
                    assert (found is not None) is inside
                    if found:
                        view = eval(found, {"v": vector})  # noqa: S307
                        np.testing.assert_array_equal(view, (grid + first).reshape(shape))
                        assert np.shares_memory(view, vector)


@pytest.mark.parametrize(
    "positions",
    [
        *([[0, 1], [1, 2]], [[0, 1], [2, 4]], [[0, 1], [2, 3], [5, 6]], [[0, 0], [2, 2]]),
        *([[2, 3], [0, 1]], [[1, 0], [3, 2]], [[0, 1], [0, 1]], [[1, 2, 3], [2, 3, 4]]),
        *([[0, 1], [2, 3], [4, 6]], [[3, 4], [1, 2]]),
    ],
)
def test_what_is_no_grid_is_no_view(positions):
    assert part_of_vector(positions, 9) is None


@pytest.mark.parametrize(
    ("positions", "length", "text"),
    [
        ([[0, 1], [2, 3]], 5, "v[:4].reshape(2, 2)"),
        ([[1, 2], [3, 4]], 5, "v[1:].reshape(2, 2)"),
        ([[1, 2], [3, 4]], 6, "v[1:5].reshape(2, 2)"),
        ([[3, 4, 5]], 9, "v[3:6].reshape(1, 3)"),
        ([[[1, 2], [3, 4]]], 6, "v[1:5].reshape(1, 2, 2)"),
        ([[1, 2], [4, 5]], 7, "v[1:].reshape(2, 3)[:, :2]"),
        ([[2, 3], [6, 7]], 9, "v[:8].reshape(2, 4)[:, 2:]"),
        ([[1, 2], [5, 6]], 9, "v[1:].reshape(2, 4)[:, :2]"),
        ([[2], [5]], 6, "v.reshape(2, 3)[:, 2:]"),
    ],
)
def test_views_are_written_in_short(positions, length, text):
    assert part_of_vector(positions, length) == text


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.arange(3.0), "np.arange(3.0)"),
        (np.arange(2.0), "np.array([0.0, 1.0])"),
        (np.arange(3), "np.arange(3)"),
        (np.arange(3, dtype=np.float32), "np.arange(3.0, dtype=np.float32)"),
        (np.arange(6.0).reshape(2, 3), "np.arange(6.0).reshape(2, 3)"),
        (np.array([1.0]), "np.array([1.0])"),
        (np.array([1.5, 1.5]), "np.full(2, 1.5)"),
        (np.array([[2, 2], [2, 2]]), "np.full((2, 2), 2)"),
        (np.full(2, 0.5, np.float32), "np.full(2, 0.5, dtype=np.float32)"),
        (np.array([0.5, 1.0], np.float32), "np.array([0.5, 1.0], dtype=np.float32)"),
        (np.array([[1, 2], [3, 5]]), "np.array([[1, 2], [3, 5]])"),
        (np.array([1.0, np.nan, -np.inf]), "np.array([1.0, np.nan, -np.inf])"),
        (np.array([0.0, 1.0, 3.0]), "np.array([0.0, 1.0, 3.0])"),
        (np.array([1.0, 1.0, 3.0]), "np.array([1.0, 1.0, 3.0])"),
    ],
)
def test_literals_are_written_in_short(array, text):
    assert array_literal(array, str(array.dtype)) == text
    np.testing.assert_array_equal(eval(text, {"np": np}), array)  # noqa: S307


@pytest.mark.parametrize(
    "array",
    [np.arange(4.0), np.ones((2, 2)), np.array([1.5, np.inf, -0.0]), np.arange(6).reshape(2, 3)],
)
def test_literals_of_arrays(array):
    text = array_literal(array, str(array.dtype))
    np.testing.assert_array_equal(eval(text, {"np": np}), array)  # noqa: S307


@pytest.mark.parametrize("batch", [(), ("x",), ("x", "y")])
def test_arrays_like_those_of_the_last_call_are_taken_as_they_are(batch):
    g = Graph()
    x, y = g.inputs("x", 3), g.inputs("y", 3)
    total = sum((a * b for a, b in zip(x, y, strict=True)), g.constant(0.0))
    prepared = numpyarguments.prepare(
        compile({"x": x, "y": y}, total, batch=batch, target="numpy").program
    )
    first, second = (
        tuple(np.full((4, 3) if name in batch else 3, 0.5) for name in "xy") for _ in range(2)
    )
    for arguments in (first, second):
        assert list(map(id, prepared(arguments))) == list(map(id, arguments))
    assert prepared(second) is second, "not even a list is made"
    for other in ([first[0].tolist(), first[1]], [first[0], first[1].astype(np.float32)]):
        result = prepared(other)
        assert [array.dtype for array in result] == [np.float64] * 2
        assert all(map(np.array_equal, result, first))
    for wrong in (first[:1], (*first, first[0]), (first[0][..., :2], first[1])):
        with pytest.raises(ShapeError):
            prepared(wrong)
    assert prepared(second) is second
