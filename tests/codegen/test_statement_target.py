"""Networks by way of statements: the same numbers as the python target, in good NumPy."""

import math
import random
import re
import warnings
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pytest
import scalar_programs as programs

from wengert.codegen import arguments
from wengert.codegen.array import printer
from wengert.codegen.array.printer import TARGET
from wengert.codegen.array.scaling import scaled
from wengert.codegen.calls import called
from wengert.codegen.compiled import compile
from wengert.derive.backward import grad
from wengert.errors import MissingInputError, NonFiniteError, ShapeError, SizeError
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.ops import scalar as ops
from wengert.ops.record import call
from wengert.ops.scalar import TOTAL
from wengert.testing import ArraySketch, check_elements
from wengert.train.losses import LOSSES, find_loss
from wengert.train.nn import MLP
from wengert.train.optim import SGD, Adam, AdamW, Momentum
from wengert.train.step import sample_loss, training_step

OPTIMIZERS = {"sgd": SGD(0.1), "momentum": Momentum(0.1), "adam": Adam(), "adamw": AdamW()}


def arguments_of(program, samples, seed=0):
    """Arguments for a compiled function, classes where the labels are y."""
    draw = np.random.default_rng(seed)
    result = []
    for group in program.groups:
        width = () if group.scalar else (len(group.leaves),)
        shape = (samples, *width) if group.batched else width
        numbers = draw.normal(size=shape)
        result.append(np.round(np.abs(numbers)) % 2 if group.name == "y" else abs(numbers) / 4)
    return [argument if np.ndim(argument) else float(argument) for argument in result]


def assert_same(one, other, rtol=1e-10, atol=1e-11):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key], rtol, atol)
    elif isinstance(other, list) and len(set(map(np.shape, other))) > 1:
        for row, numbers in zip(one, other, strict=True):
            np.testing.assert_allclose(row, np.broadcast_to(numbers, row.shape), rtol, atol)
    else:
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol, atol)


def both(inputs, outputs, samples=5, **options):
    """The function and its results, compared with those of python and the interpreter."""
    fast = compile(inputs, outputs, target=TARGET, **options)
    plain = compile(inputs, outputs, target="python", **options)
    arguments = arguments_of(plain.program, samples)
    kept = [np.copy(argument) for argument in arguments]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result, again = fast(*arguments), fast(*arguments)
    assert_same(result, plain(*arguments))
    assert_same(result, fast.program.run(*arguments))
    assert_same(result, again, 0)
    for before, after in zip(kept, arguments, strict=True):
        np.testing.assert_array_equal(before, after)
    return fast, result


def network(sizes, activation="tanh", loss="cross_entropy"):
    net = MLP(sizes[0], sizes[1:], activation=activation, seed=1)
    graph = Graph()
    x, y = graph.inputs("x", sizes[0]), graph.input("y")
    record = LOSSES[loss]
    targets = [y] * sizes[-1] if record.paired and sizes[-1] > 1 else y
    value = record.function(net(x), targets)
    return net, graph, {"params": net.parameters(), "x": x, "y": y}, value


@pytest.mark.parametrize("activation", ["tanh", "relu", "leaky_relu", "softplus", "silu", "gelu"])
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


@pytest.mark.parametrize("simplify", [False, True, "real"])
def test_without_a_batch(simplify):
    net, _, inputs, value = network([3, 4, 2])
    outputs = {"loss": value, "grad": grad(value, net.parameters())}
    _, result = both(inputs, outputs, simplify=simplify)
    assert result["grad"].shape == (26,)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_steps(name):
    net, graph, inputs, value = network([3, 4, 2], "tanh", "squared_error")
    optimizer = OPTIMIZERS[name]
    leaves = [graph[graph.node_of(p)] for p in net.parameters()]
    count = TOTAL(graph.constant(1))
    gradient = [TOTAL(d) / count for d in grad(value, leaves)]
    names = [*optimizer.shared, *[f"{s}_{p.label}" for s in optimizer.slots for p in leaves]]
    state = [graph.input(label) for label in names]
    moved, after = optimizer.step(leaves, gradient, state)
    groups = {"params": leaves, "state": state, "x": inputs["x"], "y": inputs["y"]}
    groups = {key: group for key, group in groups.items() if group != []}
    outputs = {"loss": TOTAL(value) / count, "params": moved, "state": after, "one": moved[3]}
    fast, _ = both(groups, outputs, batch=("x", "y"))
    whole = [s for s in fast.program.instructions if any(r.array == "params" for r in s.reads)]
    assert [[axis.length for axis in s.axes] for s in whole] == [[len(leaves)]]


PROGRAMS = {
    "convolution": partial(programs.convolution, 9, 2, pad=1),
    "strided": partial(programs.convolution, 9, 2, stride=2),
    "dilated": partial(programs.convolution, 9, 2, dilation=2),
    "convolution-2d": partial(programs.convolution_2d, 5, 2),
    "embeddings": partial(programs.embeddings, 4, 3),
    "cross-entropy": partial(programs.cross_entropy, 4, 3),
    "attention": partial(programs.attention, 3, 2, heads=2, causal=True),
    "attention-open": partial(programs.attention, 3, 2, heads=2, causal=False),
    "gpt": partial(programs.gpt, 3, 2),
    **{
        build.__name__: partial(build, 3, 4)
        for build in (
            programs.residual,
            programs.products,
            programs.others,
            programs.total_variation,
            programs.contrastive,
            programs.dense_skips,
            programs.tied,
            programs.rnn,
            programs.lstm,
            programs.gru,
            programs.layer_norm,
            programs.batch_norm,
            programs.vae,
        )
    },
}


@pytest.fixture(params=[printer.AT_ONCE, 0], ids=["at once", "in place"])
def in_place(request, monkeypatch):
    """What is done in the memory of large arrays, done in that of small ones too."""
    monkeypatch.setattr(printer, "AT_ONCE", request.param)


@pytest.mark.usefixtures("in_place")
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_written_with_loops(name):
    source, loss = PROGRAMS[name]()
    value, *gradient = source.with_gradient(loss)
    own = {parameter.id for parameter in source.parameters}
    graph = value.graph
    data = [graph[node] for node in graph.leaves.values() if node not in own]
    inputs = {"params": source.parameters, **({"x": data} if data else {})}
    outputs = {"loss": value, "grad": gradient}
    both(inputs, outputs)
    if data:
        both(inputs, outputs, samples=3, batch="x")


def expressions(seed):
    rng = random.Random(seed)
    graph = Graph()
    leaves = [*graph.inputs("a", 3), *graph.inputs("x", 3)]
    pool = list(leaves)
    unary = [ops.TANH, ops.SIGMOID, ops.SOFTPLUS, ops.RELU, ops.SIN, ops.ABS, ops.NEG]
    binary = [ops.ADD, ops.SUB, ops.MUL, ops.MAXIMUM, ops.MINIMUM, ops.LT, ops.GE, ops.EQ]

    def pick():
        return rng.choice([*pool, 0.5, -1.0, 0.0, 1.0])

    for _ in range(rng.randint(1, 14)):
        kind = rng.randint(0, 3)
        if kind == 0:
            pool.append(rng.choice(unary)(rng.choice(pool)))
        elif kind == 1:
            pool.append(rng.choice(binary)(rng.choice(pool), pick()))
        elif kind == 2:
            pool.append(ops.where(rng.choice(pool), pick(), pick()))
        else:
            pool.append(rng.choice(pool) ** rng.choice([2, 3]))
    return leaves[:3], leaves[3:], [rng.choice(pool) for _ in range(rng.randint(1, 4))]


@pytest.mark.usefixtures("in_place")
@pytest.mark.parametrize("seed", range(60))
def test_random_expressions(seed):
    a, x, outputs = expressions(seed)
    rng = random.Random(seed)
    options = {"simplify": rng.random() < 0.5}
    if rng.random() < 0.6:
        options |= {"batch": "x", "reduce": rng.choice(["sum", "mean", None])}
    loss = sum(outputs[1:], outputs[0])
    gradient = grad(loss, a, allow_unused=True)
    named = {"all": outputs, "first": outputs[0], "pair": {"last": outputs[-1]}, "grad": gradient}
    both({"a": a, "x": x}, named, **options)


def test_the_code_is_what_one_would_write():
    net, _, inputs, value = network([64, 32, 10], "tanh", "squared_error")
    outputs = {"loss": value, "grad": grad(value, net.parameters())}
    f = compile(inputs, outputs, target=TARGET, batch=("x", "y"), simplify=False)
    for line in (
        "h0 = np.dot(x, w0.T)\n    h0 += b0\n    np.tanh(h0, out=h0)\n",
        "h1 = np.tanh(np.dot(h0, w1.T) + b1)",
        "np.add.reduce(dn0, axis=0, out=db0)",
        "np.matmul(dn0.T, x, out=dw0)",
        'return {"loss": t3, "grad": dparams}',
    ):
        assert line in f.source, f.source
    assert f.source.count("\n") < 45


def test_biases_ride_along_in_the_products_of_their_layers():
    net, _, inputs, value = network([64, 32, 10], "tanh", "squared_error")
    outputs = {"loss": value, "grad": grad(value, net.parameters())}
    f = compile(inputs, outputs, target=TARGET, batch=("x", "y"))
    for line in (
        "w0b0 = params[:2080].reshape(32, 65)  # [w0 | b0]",
        "x_1[:, :64] = x",
        "np.dot(w0b0, x_1.T, out=h0)\n    np.tanh(h0, out=h0)\n",
        "h1 = np.tanh(np.dot(w1b1, h0_1))",
        "np.dot(dn1, h0_1.T, out=dw1b1)",
    ):
        assert line in f.source, f.source
    assert "b0 = " not in f.source.replace("w0b0 = ", "")
    assert [record.kept for record in f.program.passes]


def test_biases_that_nobody_differentiates_by_are_added():
    _, _, inputs, value = network([64, 32, 10], "tanh", "squared_error")
    f = compile(inputs, value, target=TARGET, batch=("x", "y"))
    assert "h0 = np.dot(x, w0.T)\n    h0 += b0\n" in f.source
    assert "np.vdot(t1, t1)" in f.source  # and not the last layer once for each factor


def step_of(optimizer):
    net = MLP(64, [32, 10], seed=1)
    sample = sample_loss(net, 64, find_loss("cross_entropy"))
    graph, leaves = sample.graph, sample.leaves
    count = TOTAL(graph.constant(1))
    gradient = [TOTAL(d) / count for d in grad(sample.loss, leaves)]
    names = [*optimizer.shared, *[f"{s}_{p.label}" for s in optimizer.slots for p in leaves]]
    state = [graph.input(label) for label in names]
    moved, after = optimizer.step(leaves, gradient, state)
    groups = {"params": leaves, "state": state, "x": sample.x, "y": sample.y}
    outputs = {"params": moved, "state": after}
    if not state:
        del groups["state"], outputs["state"]
    return both(groups, outputs, batch=("x", "y"), reduce="mean")[0]


def test_the_learning_rate_is_applied_where_the_fewest_numbers_are():
    f = step_of(SGD(0.1))
    assert "new_params = np.subtract(params, dparams, out=dparams)" in f.source, f.source
    assert "* (0.1 / np.float64(len(x)))" in f.source, f.source


def test_a_number_alone_is_carried_to_where_the_fewest_are_as_well():
    net = MLP(200, [30, 10], seed=1)
    sample = sample_loss(net, 200, find_loss("cross_entropy"))
    loss, *gradient = (TOTAL(d) for d in (sample.loss, *grad(sample.loss, sample.leaves)))
    moved = [p - 0.1 * d for p, d in zip(sample.leaves, gradient, strict=True)]
    groups = {"params": sample.leaves, "x": sample.x, "y": sample.y}
    f = compile(groups, {"loss": loss, "params": moved}, target=TARGET, batch=("x", "y"))
    assert "new_params = np.subtract(params, dparams, out=dparams)" in f.source, f.source


def test_adam_multiplies_its_numbers_before_it_multiplies_arrays():
    net = MLP(64, [32, 10], seed=0)
    made = training_step(net, loss="cross_entropy", optimizer=Adam(0.01), target="numpy")
    source = made.source
    assert re.search(r"new_params = np.subtract\(params, (\w+), out=\1\)", source), source


def test_a_factor_that_was_moved_stays_where_it_is():
    net = MLP(2, [16, 16, 1], activation="relu", seed=1)
    sample = sample_loss(net, 2, find_loss("hinge"))
    count = TOTAL(sample.graph.constant(1))
    moved = [p - 0.1 * (TOTAL(d) / count) for p, d in _with_gradient(sample)]
    groups = {"params": sample.leaves, "x": sample.x, "y": sample.y}
    f = compile(groups, {"params": moved}, target=TARGET, batch=("x", "y"), reduce="mean")
    made = scaled(f.program)
    assert scaled(made) is made
    assert not any("unscaled_unscaled" in name for name in made.program.arrays)


def _with_gradient(sample):
    return zip(sample.leaves, grad(sample.loss, sample.leaves), strict=True)


def test_state_is_computed_where_it_is_put_out():
    f = step_of(Adam())
    for line in (
        " = new_state[2:2412]",
        "np.multiply(0.9, state[2:2412], out=",
        "+= 0.09999999999999998 * dparams",
        "new_state[0] = ",
    ):
        assert line in f.source, f.source


def test_the_derivative_by_a_table_is_put_out_whole_whichever_rows_are_picked():
    source, loss = programs.embeddings(4, 3)
    table = [p for p in source.parameters if str(p).startswith("table")]
    outputs = {"loss": loss, "grad": grad(loss, table, allow_unused=True)}
    f, result = both({"table": table, "w": source.parameters[len(table) :]}, outputs)
    assert not result["grad"].all()
    assert "grad[" not in f.source, f.source


def test_large_arrays_are_worked_on_in_place():
    graph = Graph()
    x, y = (graph.inputs(name, printer.AT_ONCE) for name in "xy")
    outputs = [ops.exp(0.5 - a * b) - a / (1.0 + ops.tanh(b)) for a, b in zip(x, y, strict=True)]
    fast, _ = both({"x": x, "y": y}, outputs)
    lines = ("t6 = x * y", "np.subtract(0.5, t6, out=t6)", "np.exp(t6, out=t6)", "t6 -= x / ")
    assert "\n    ".join(lines) in fast.source, fast.source
    small, _ = both({"x": x[:9], "y": y[:9]}, outputs[:9])
    assert "out=" not in small.source


def test_a_convolution_looks_up_its_windows_once():
    source, loss = programs.convolution(9, 2)
    value, *gradient = source.with_gradient(loss)
    own = {parameter.id for parameter in source.parameters}
    x = [value.graph[node] for node in value.graph.leaves.values() if node not in own]
    f, _ = both({"params": source.parameters, "x": x}, [value, *gradient], batch="x")
    assert f.source.count(".take(windows, axis=0)") == 1, f.source
    assert f.source.count("np.dot(x_windows") + f.source.count("x_windows.reshape(3, -1)") > 1
    assert "tensordot" not in f.source


@pytest.mark.parametrize("pool", ["max", "mean"])
def test_a_convolution_has_its_samples_last(pool):
    source, loss = programs.convolution_2d(8, 3, pool)
    graph = loss.graph
    own = {parameter.id for parameter in source.parameters}
    data = [graph[node] for node in graph.leaves.values() if node not in own]
    outputs = {"loss": loss, "grad": grad(loss, source.parameters)}
    f, _ = both({"params": source.parameters, "x": data}, outputs, batch="x")
    for line in (
        "x_windows = x_.reshape(-1, 64).T.take(windows, axis=0)",
        "np.dot(w.reshape(3, 9), x_windows.reshape(9, -1)).reshape(3, 6, 6, -1)",
        ".reshape(3, -1), x_windows.reshape(9, -1).T, out=dw",
    ):
        assert line in f.source, f.source


@pytest.mark.parametrize("batch", [(), "x"])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_windows_over_the_ends_are_those_of_an_array_with_zeros_around(batch, stride, dilation):
    source, loss = programs.padded_images(8, 2, stride, dilation)
    graph = loss.graph
    own = {parameter.id for parameter in source.parameters}
    data = [graph[node] for node in graph.leaves.values() if node not in own]
    outputs = {"loss": loss, "grad": grad(loss, source.parameters)}
    f, _ = both({"params": source.parameters, "x": data}, outputs, batch=batch)
    assert f.source.count("x_padded = np.zeros(") == f.source.count(".take(windows") == 1, f.source
    assert "np.where(" not in f.source


@pytest.mark.parametrize("batch", [(), "x"])
def test_a_sum_over_where_windows_begin_is_counted_by_what_they_are_of(batch):
    g = Graph()
    k = [g.inputs(f"k_{a}_", 3) for a in range(3)]
    x = [g.inputs(f"x_{i}_", 6) for i in range(6)]
    y = [[0.0] * 6 for _ in range(6)]
    for i, j, a, b in product(range(6), range(6), range(3), range(3)):
        if 0 <= i + a - 1 < 6 and 0 <= j + b - 1 < 6:
            y[i][j] += k[a][b] * x[i + a - 1][j + b - 1]
    y = [[ops.tanh(one) for one in row] for row in y]
    corners = product(range(0, 6, 2), repeat=2)
    means = [(y[i][j] + y[i][j + 1] + y[i + 1][j] + y[i + 1][j + 1]) / 4 for i, j in corners]
    loss = sum(mean * mean for mean in means)
    kernel, image = ([one for row in rows for one in row] for rows in (k, x))
    outputs = {"loss": loss, "grad": grad(loss, kernel)}
    f, _ = both({"k": kernel, "x": image}, outputs, batch=batch)
    assert f.source.count("x_padded = np.zeros(") == f.source.count(".take(windows") == 1, f.source
    assert "np.where(" not in f.source


@pytest.mark.parametrize(
    ("build", "last"), [(programs.layer_norm, True), (programs.attention, False)]
)
def test_samples_are_first_where_each_has_matrices_to_multiply(build, last):
    source, loss = build(4, 5)
    graph = loss.graph
    own = {parameter.id for parameter in source.parameters}
    data = [graph[node] for node in graph.leaves.values() if node not in own]
    f, _ = both({"params": source.parameters, "x": data}, {"loss": loss}, batch="x")
    assert ("samples last" in f.report()) == last


@pytest.mark.parametrize("batch", [(), ("x",)])
def test_places_that_are_clipped_are_found_once_and_not_at_each_call(batch):
    source, loss = programs.strided_images(5, 2)
    value, *gradient = source.with_gradient(loss)
    x = [value.graph[name] for name in value.graph.leaves if name.startswith("x")]
    f, _ = both({"params": source.parameters, "x": x}, [value, *gradient], batch=batch)
    head, _, body = f.source.partition("def f(")
    assert "np.clip" in head
    assert "np.clip" not in body, f.source


def test_what_is_gathered_in_between_counts_as_memory(monkeypatch):
    g, draw = Graph(), random.Random(1)
    x, w = g.inputs("x_", 5), g.inputs("w_", 99)
    y = sum(a * x[draw.randrange(5)] for a in w)
    f = compile({"x": x, "w": w}, y, target="numpy", batch="x")
    assert max(abs(math.prod(shape)) for shape in f.program.shapes.values() if -1 in shape) == 5
    assert f(np.ones((10, 5)), np.ones(99)) == pytest.approx(990)
    monkeypatch.setattr(arguments, "MAX_BYTES", 8 * 10 * 99 - 1)
    with pytest.raises(SizeError, match="10 samples need an array of 7,920 bytes"):
        compile({"x": x, "w": w}, y, target="numpy", batch="x")(np.ones((10, 5)), np.ones(99))


def test_attention_is_masked_and_needs_no_tables():
    source, loss = programs.attention(4, 3, heads=2, causal=True)
    value, *gradient = source.with_gradient(loss)
    own = {parameter.id for parameter in source.parameters}
    x = [value.graph[node] for node in value.graph.leaves.values() if node not in own]
    f = compile({"params": source.parameters, "x": x}, [value, *gradient], target=TARGET)
    assert "np.arange(4) <= np.arange(4)[:, None]" in f.source
    assert "np.array([" not in f.source
    assert f.source.count("\n") < 90


def masked_softmax(scores, values):
    """The squares of means of values, weighted by a softmax over each place and those before."""
    rows = [[s.exp() for s in row[: p + 1]] for p, row in enumerate(scores)]
    shares = [[e / sum(row) for e in row] for row in rows]
    return sum(sum(s * v for s, v in zip(row, values, strict=False)) ** 2 for row in shares)


def test_a_softmax_and_its_adjoint_are_masked_and_divided_once():
    g = Graph()
    scores = [g.inputs(f"s_{p}_", 5) for p in range(5)]
    values = g.inputs("v_", 5)
    given = {"s": [s for row in scores for s in row], "v": values}
    loss = masked_softmax([[2.0 * s for s in row] for row in scores], values)
    leaves = [s for p, row in enumerate(scores) for s in row[: p + 1]]
    f, _ = both(given, {"loss": loss, "grad": grad(loss, leaves)})
    assert f.source.count("np.where(mask") == 1
    assert f.source.count(" / ") + f.source.count("/=") == 1
    largest = np.full(25, 900.0), np.arange(5.0)
    found = f(*largest)
    assert found["loss"] == pytest.approx(sum((p / 2) ** 2 for p in range(5)))
    assert np.isfinite(found["grad"]).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rows_are_summed_by_products_with_ones(dtype):
    graph = Graph()
    rows = [graph.inputs(f"x{k}", 3) for k in range(4)]
    outputs = [
        [sum(a * a for a in row).sqrt() for row in rows],
        [sum(a.tanh() for a in column) for column in zip(*rows, strict=True)],
    ]
    x = [a for row in rows for a in row]
    f = compile({"x": x}, outputs, target="numpy", dtype=dtype)
    numbers = np.linspace(-1.0, 1.0, 12, dtype=dtype)
    found = f(numbers)
    assert ", ones)" in f.source, f.source
    assert "einsum" not in f.source, f.source
    assert ".reduce(" not in f.source, f.source
    assert [part.dtype for part in found] == [dtype, dtype]
    table = numbers.reshape(4, 3)
    np.testing.assert_allclose(found[0], np.linalg.norm(table, axis=1), rtol=1e-6)
    np.testing.assert_allclose(found[1], np.tanh(table).sum(axis=0), rtol=1e-6)


def recurrent(steps, size=4):
    """A recurrent network's loss and its arguments: weights, inputs of all steps, a bias."""
    g = Graph()
    w, u = ([g.inputs(f"{name}_{k}_", size) for k in range(size)] for name in "wu")
    b, x = g.inputs("b_", size), g.inputs("x", steps * size)
    state = [0.1 * one for one in b]
    for step in range(steps):
        now = x[step * size : (step + 1) * size]
        sums = [
            sum(p * q for p, q in zip(row, now, strict=True))
            + sum(p * q for p, q in zip(other, state, strict=True))
            for row, other in zip(w, u, strict=True)
        ]
        state = [(one + two).tanh() for one, two in zip(sums, b, strict=True)]
    inputs = {
        "w": [a for row in w for a in row],
        "u": [a for row in u for a in row],
        "b": b,
        "x": x,
    }
    return inputs, sum(a * a for a in state)


@pytest.mark.parametrize("steps", [6, 9])
def test_what_does_not_need_the_step_before_is_done_for_all_steps_at_once(steps):
    inputs, loss = recurrent(steps)
    slopes = iter(grad(loss, [leaf for name in ("w", "u", "b") for leaf in inputs[name]]))
    gradients = {name: [next(slopes) for _ in inputs[name]] for name in ("w", "u", "b")}
    f, _ = both(inputs, {"loss": loss, "grad": gradients})
    assert f.source.count("np.tanh(") == steps
    assert f"np.dot(x.reshape({steps}, 4), w_.T)" in f.source, f.source
    assert f".T, x.reshape({steps}, 4))" in f.source, f.source
    assert f.source.count("new_u = np.dot(") == 1, f.source
    assert "concatenate" not in f.source
    assert f.source.count("1.0 - ") <= 2, f.source


@pytest.mark.parametrize("seed", range(12))
def test_random_cells(seed):
    """Sums of products, functions of parts of them, gates, and losses at some or all steps."""
    draw = random.Random(seed)
    size, steps, g = draw.choice([2, 4]), draw.randint(5, 8), Graph()
    w = [g.inputs(f"w_{k}_", size) for k in range(2 * size)]
    u = [g.inputs(f"u_{k}_", size) for k in range(2 * size)]
    x, c = g.inputs("x", steps * size), [g.constant(0.5)] * size
    chosen = [draw.choice(["tanh", "sigmoid", "relu", "sin"]) for _ in range(3)]
    backwards, gated, everywhere = (draw.random() < 0.5 for _ in range(3))
    h, total = [one * 0.25 for one in x[:size]], []
    for step in range(steps)[:: -1 if backwards else 1]:
        now = x[step * size : (step + 1) * size]
        sums = [
            sum(a * b for a, b in zip(row, now, strict=True))
            + sum(a * b for a, b in zip(other, h, strict=True))
            for row, other in zip(w, u, strict=True)
        ]
        one, two = (
            [getattr(a, name)() for a in part]
            for name, part in zip(chosen, (sums[:size], sums[size:]), strict=False)
        )
        c = [a * b + (p * q if gated else p) for a, b, p, q in zip(c, one, two, now, strict=True)]
        h = [getattr(a, chosen[2])() / (1 + b * b) for a, b in zip(c, one, strict=True)]
        total += [(a - b) ** 2 for a, b in zip(h, now, strict=True)]
    loss = sum(total if everywhere else total[-size:])
    inputs = {"w": [a for row in w for a in row], "u": [a for row in u for a in row], "x": x}
    slopes = iter(grad(loss, [leaf for group in inputs.values() for leaf in group]))
    both(inputs, {"loss": loss, "grad": {n: [next(slopes) for _ in inputs[n]] for n in inputs}})


def test_few_steps_stay_as_they_are():
    inputs, loss = recurrent(3)
    f, _ = both(inputs, {"loss": loss, "grad": grad(loss, inputs["w"])})
    assert "_steps" not in f.source


def test_steps_that_need_each_other_are_not_done_at_once():
    g = Graph()
    x, y = g.inputs("x_", 4), g.inputs("y_", 4)
    first, total = x, []
    for _ in range(8):
        x = [(a * b).tanh() for a, b in zip(x, y, strict=True)]
        total.append([a.exp() for a in x])
    out = [sum(row[k] for row in total) for k in range(4)]
    f, _ = both({"x": first, "y": y}, out)
    assert f.source.count("np.tanh(") == 8
    assert f.source.count("np.exp(") == 1, f.source


def test_matrices_side_by_side_have_a_product_each_in_the_backward_pass():
    graph, size = Graph(), 3
    params, x = graph.inputs("w", 3 * size * size), graph.inputs("x", 4 * size)
    rows = [x[k : k + size] for k in range(0, len(x), size)]
    lines = [params[k : k + size] for k in range(0, len(params), size)]
    mixed = [
        [[sum(a * b for a, b in zip(line, row, strict=True)) for line in some] for row in rows]
        for some in (lines[:size], lines[size : 2 * size], lines[2 * size :])
    ]
    loss = graph.constant(0.0)
    for place, query in enumerate(mixed[0]):
        keys, values = mixed[1][: place + 1], mixed[2][: place + 1]
        powers = [sum(a * b for a, b in zip(query, key, strict=True)).exp() for key in keys]
        shares = [power / sum(powers) for power in powers]
        for column in zip(*values, strict=True):
            loss += sum(s * v for s, v in zip(shares, column, strict=True)).tanh()
    f, _ = both({"params": params, "x": x}, {"loss": loss, "grad": grad(loss, params)})
    assert "np.einsum(" not in f.source, f.source
    assert "np.array([" not in f.source, f.source


@pytest.mark.parametrize("batch", [(), "x"])
def test_a_function_is_computed_as_its_derivative_reads_it(batch):
    graph = Graph()
    x, w = graph.inputs("x", 3), graph.inputs("w", 3)
    powers = [(a * b).exp() for a, b in zip(w, x, strict=True)]
    loss = -(powers[1] / (powers[0] + powers[1] + powers[2])).log()
    outputs = {"loss": loss, "dw": grad(loss, w)}
    fast, _ = both({"x": x, "w": w}, outputs, batch=batch)
    assert fast.source.count("np.exp(") == 1
    large = fast(np.full((2, 3) if batch else 3, 1000.0), np.array([3.0, 1.0, 2.0]))
    assert large["loss"] == 2000.0 * (2 if batch else 1)
    alone = compile({"x": x, "w": w}, loss, target="numpy", batch=batch)
    assert "np.maximum" not in alone.source  # nothing else computes the stable form
    plain = compile({"x": x, "w": w}, outputs, target="numpy", batch=batch, simplify=False)
    assert plain.source.count("np.exp(") == 2


def test_a_function_of_arrays_is_computed_as_its_derivative_reads_it():
    graph = Graph()
    x = graph.array("x", (3, 4))
    loss = ops.log(ops.exp(x).sum(1)).sum()
    f = compile({"x": x}, {"loss": loss, "dx": grad(loss, x)}, target="numpy")
    found = f(np.full((3, 4), 1000.0))
    assert found["loss"] == pytest.approx(3 * (1000 + np.log(4)), rel=1e-15)
    assert f.source.count("np.exp(") == 2


def test_inf_and_nan_come_without_a_warning():
    g = Graph()
    x = g.inputs("x", 3)
    f = compile({"x": x}, [ops.exp(e) / e for e in x], target=TARGET)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert f([0.0, 1.0, 1000.0]).tolist() == [np.inf, np.e, np.inf]


def test_float32_stays_float32():
    net, _, inputs, value = network([3, 4, 2])
    outputs = {"loss": value, "grad": grad(value, net.parameters())}
    f = compile(inputs, outputs, target=TARGET, batch=("x", "y"), dtype="float32")
    result = f(*arguments_of(f.program, 4))
    assert (result["grad"].dtype, result["loss"].dtype) == (np.float32, np.float32)


def test_check_names_the_first_result_that_is_not_finite():
    g = Graph()
    x = g.inputs("x", 3)
    f = compile({"x": x}, [ops.log(e) for e in x], target=TARGET, check=True)
    assert f([1.0, 1.0, 1.0]).tolist() == [0, 0, 0]
    with pytest.raises(NonFiniteError, match="log"):
        f([1.0, 0.0, 1.0])


def test_arguments_that_do_not_fit_are_errors():
    _, graph, inputs, value = network([3, 4, 2])
    f = compile(inputs, value, target=TARGET, batch=("x", "y"))
    with pytest.raises(ShapeError, match="x"):
        f(np.zeros(26), np.zeros((5, 4)), np.zeros(5))
    lost = graph.input("lost")
    with pytest.raises(MissingInputError, match="lost"):
        compile(inputs, value * lost, target=TARGET)


def test_an_argument_may_be_called_as_its_one_leaf():
    g = Graph()
    x, w = g.input("x"), g.input("w")
    value = w * ops.exp(x) + x * x + w
    for inputs in ({"x": x, "w": w}, {"x": [x], "w": w}, {"w": [w], "x": [x]}):
        both(inputs, {"value": value, "grad": grad(value, [x, w])})
        both(inputs, {"x": grad(value, [x]), "value": value}, batch=("x",))


def test_an_argument_may_be_called_as_a_function():
    own = replace(
        ops.TANH,
        name="bend",
        notation={**ops.TANH.notation, "numpy": call("bend", "{0}", define=bend)},
    )
    g = Graph()
    x, y = g.inputs("x", 3), g.input("bend")
    both({"x": x, "bend": y}, [own(a * y) for a in x])


def bend(x):
    return np.tanh(x)


def test_parts_that_are_no_views_are_written_piece_by_piece():
    net, graph, _, _ = network([2, 3, 2, 1], loss="squared_error")
    x = [graph.inputs(f"s{k}_", 2) for k in range(3)]
    value = sum(net(row) ** 2 for row in x)
    order = [7, 6, 8, 4, 3, 5, 1, 0, 2, 15, 14, 13, 16, 11, 10, 9, 12, 18, 17, 19]
    mixed = [net.parameters()[k] for k in order]
    inputs = {"params": mixed, "x": [leaf for row in x for leaf in row]}
    both(inputs, {"loss": value, "grad": grad(value, mixed)}, batch="x")
    both(inputs, {"loss": value, "grad": grad(value, mixed)})


@pytest.mark.parametrize(("width", "rides"), [(60, True), (600, False)])
def test_large_data_are_not_copied_so_that_a_bias_rides_along(width, rides):
    g = Graph()
    x = g.inputs("x", width)
    net = MLP(width, [4, 1], seed=0)
    loss = net(x) ** 2
    inputs = {"params": net.parameters(), "x": x}
    f = compile(inputs, grad(loss, net.parameters()), batch="x", target="numpy")
    assert ("w0b0" in f.source) == rides, f.source


@pytest.mark.parametrize(("width", "function"), [(60, "dot"), (100, "matmul")])
def test_a_large_matrix_beside_its_biases_is_not_copied_for_a_product(width, function):
    g = Graph()
    x = g.inputs("x", width)
    net = MLP(width, [90, 1], seed=0)
    f = compile({"params": net.parameters(), "x": x}, net(x), batch="x", target="numpy")
    assert f"np.{function}(x, w0.T)" in f.source, f.source


def largest_in_pairs(a, b, c, d):
    return ops.maximum(ops.maximum(a, b), ops.maximum(c, d))


def largest_in_a_row(a, b, c, d):
    return ops.maximum(ops.maximum(ops.maximum(a, b), c), d)


def test_means_of_few_neighbours_are_written_as_their_sums():
    """One at a time they cost less than NumPy's loop over axes of length 2."""
    g = Graph()
    x = [g.inputs(f"x_{i}_", 8) for i in range(8)]
    fours = [[x[i][j : j + 2] + x[i + 1][j : j + 2] for j in (0, 2, 4, 6)] for i in (0, 2, 4, 6)]
    pooled = [ops.tanh(sum(four) * 0.25) for row in fours for four in row]
    leaves = [leaf for row in x for leaf in row]
    f, _ = both({"x": leaves}, [sum(pooled), *grad(sum(pooled), leaves)], batch="x", samples=3)
    assert "np.add.reduce(x_" not in f.source, f.source
    assert f.source.count("np.zeros(") == 0


@pytest.mark.parametrize("largest", [largest_in_pairs, largest_in_a_row])
def test_pooling_written_as_maxima_of_maxima_needs_no_tables(largest):
    for n in (4, 6):
        g = Graph()
        x = [g.inputs(f"x_{i}_", n) for i in range(n)]
        pooled = [
            ops.tanh(largest(x[i][j], x[i][j + 1], x[i + 1][j], x[i + 1][j + 1]))
            for i in range(0, n, 2)
            for j in range(0, n, 2)
        ]
        leaves = [leaf for row in x for leaf in row]
        f, _ = both({"x": leaves}, [sum(pooled), *grad(sum(pooled), leaves)])
        assert "np.array(" not in f.source, f.source
        assert "-np.inf" not in f.source


def test_numbers_alone_are_floats_of_numpy():
    g = Graph()
    x, zero, one = g.inputs("x", 2), g.constant(0.0), g.constant(1.0)
    share = zero / (2.0 + zero * zero)
    chosen = [ops.where(ops.not_equal(share, 0.0), x[0], x[1]), ops.where(share > x[0], share, 3.0)]
    outputs = [*chosen, x[0] + one / zero, ops.not_equal(share, 0.0) + share * share]
    for simplify in (True, False):
        f = compile({"x": x}, outputs, target="numpy", simplify=simplify)
        assert list(map(float, f([1.0, 2.0]))) == [2.0, 3.0, float("inf"), 0.0]


@pytest.mark.parametrize("op", [ops.leaky_relu, lambda x: ops.where(x > 2.0, x * x, -x)])
def test_a_number_that_is_chosen_is_no_array(op):
    g = Graph()
    x, rows = g.input("x"), g.array("rows", 3)
    chosen = op(x)
    f = compile(
        {"x": x, "rows": rows}, {"a": chosen, "b": chosen, "c": rows * chosen}, target="numpy"
    )
    found = f(1.5, np.ones(3))
    assert type(found["a"]) is type(found["b"]) is np.float64


def test_numbers_of_points_on_part_of_a_grid_are_finite_beside_it():
    g = Graph()
    x = g.inputs("x", 3)
    pairs = [(x[2] * x[0], 1.32), (x[0] * x[1], 1.66), (x[0] * x[0], 2.0)]
    y = sum(-p / (2.0 + p * p) * number for p, number in pairs)
    at = [0.5, -1.5, 2.5]
    f = compile({"x": x}, y, target="numpy")
    assert float(f(at)) == pytest.approx(evaluate(y, dict(zip(x, at, strict=True))), rel=1e-12)


# Vectors whose parts lie otherwise, adjoints of numbers, nan beside a domain, constants in batches.
@pytest.mark.parametrize("seed", [94, 133, 134, 1493, 1626, 1775, 1877, 4202])
def test_what_random_functions_found_stays_right(seed):
    check_elements(ArraySketch(seed, steps=4 + seed % 12), "numpy")


@pytest.mark.parametrize("view", [lambda a: a[:1], lambda a: a.ravel(), lambda a: a[0]])
@pytest.mark.parametrize("batch", [(), ("x",)])
def test_what_is_put_out_of_repeated_numbers_can_be_written_to(view, batch):
    x = Graph().array("x", (2, 3))
    wide = np.ones((2, 3)) * ops.tanh(x).sum(axis=1, keepdims=True)
    outputs = {"part": view(wide), "again": view(wide), "of": (wide * wide).sum(axis=0)}
    f = compile({"x": x}, outputs, target="numpy", batch=batch, reduce=None)
    found = f(np.ones((4, 2, 3)) if batch else np.ones((2, 3)))
    assert all(one.flags.writeable for one in found.values())
    assert not np.shares_memory(found["part"], found["again"])


def test_the_sign_of_a_zero_and_infinite_powers_are_kept():
    g = Graph()
    x = g.input("x")
    outputs = [-0.0 * x, 1.0 / (-0.0 * x), x ** float("inf"), 0.0 * x]
    for simplify in (True, False):
        f = compile({"x": x}, outputs, target="numpy", simplify=simplify)
        for at in (1.5, -0.5):
            wanted = evaluate(outputs, {x: at})
            assert list(map(str, map(float, f(at)))) == list(map(str, wanted))


def test_a_zero_is_taken_from_where_its_sign_shows():
    graph = Graph()
    x, q = graph.input("x"), graph.inputs("q", 4)
    for shown, point, wanted in (
        (ops.where(1 / (0 - x) > 0, 1.0, 2.0), 0.0, 1.0),
        (1 / (x + 0.0), -0.0, math.inf),
        (ops.atan2(0 - x, -1), 0.0, math.pi),
    ):
        assert compile({"x": x}, shown, target="numpy")(point) == wanted
    f = compile({"q": q}, [1 / (0 - one) for one in q], target="numpy")
    assert f(np.zeros(4)).tolist() == [math.inf] * 4
    hidden = compile({"q": q}, [ops.exp(0 - one) for one in q], target="numpy")
    assert "0.0 - " not in hidden.source


def assert_finite(inputs, outputs):
    """The same finite numbers as in Python, where arguments grow."""
    up = [np.linspace(-7, 9, len(leaves)) / (k + 1) for k, leaves in enumerate(inputs.values())]
    fast = compile(inputs, outputs, target=TARGET)(*up)
    assert np.isfinite(fast["grad"]).all()
    assert_same(fast, compile(inputs, outputs, target="python")(*up))


@pytest.mark.parametrize(
    "term",
    [
        lambda x, y: ops.sin(x) * ops.exp(-500 * y),
        lambda x, y: ops.log(1 + x) * ops.sqrt(x + 0.1),
        lambda x, y: (x + 0.1) ** -0.5 * (y + 0.1) ** 1.5,
    ],
)
def test_what_is_not_finite_beside_a_triangle_leaves_its_sums_alone(term):
    g = Graph()
    x, y = g.inputs("x", 5), g.inputs("y", 5)
    rows = [sum(term(x[p] - x[r], y[p] - y[r]) for r in range(p + 1)) for p in range(5)]
    loss = sum(ops.tanh(row) * y[0] for row in rows)
    assert_finite({"x": x, "y": y}, {"loss": loss, "grad": grad(loss, [*x, *y], allow_unused=True)})


def below_the_diagonal(term):
    """Sums over what is strictly below a diagonal, and all slopes of their squares."""
    g = Graph()
    x, z = g.inputs("x", 5), g.inputs("z", 5)
    rows = [sum(term(x[p] - x[r]) * z[r] for r in range(p)) for p in range(1, 5)]
    slopes = grad(sum(row * row for row in rows), [*x, *z], allow_unused=True)
    return {"x": x, "z": z}, {"rows": rows, "grad": slopes}


@pytest.mark.parametrize("target", ["numpy", "jax", "torch"])
@pytest.mark.parametrize(
    "term",
    [
        lambda d: ops.sqrt(d) * ops.sqrt(d),
        lambda d: ops.sqrt(d) * ops.tanh(d),
        lambda d: ops.log(d) * ops.log(d),
        lambda d: 1 / d,
    ],
)
def test_past_the_end_of_a_triangle_nothing_is_read(term, target):
    """The last element is in no sum, so that its slope is 0, whatever stands beside a triangle."""
    if target != "numpy":
        pytest.importorskip(target, exc_type=ImportError)
    inputs, outputs = below_the_diagonal(term)
    given = [1.0, 2.0, 3.0, 4.5, 6.0], [1.0, -2.0, 3.0, 0.5, 0.25]
    wanted = compile(inputs, outputs, target="python")(*given)
    found = called(compile(inputs, outputs, target=target), given)
    assert float(found["grad"][-1]) == 0.0
    assert_same(found, wanted)


@pytest.mark.parametrize("target", ["numpy", "jax", "torch"])
def test_what_is_infinite_is_in_the_sums_that_it_is_a_term_of(target):
    if target != "numpy":
        pytest.importorskip(target, exc_type=ImportError)
    z = Graph().inputs("z", 4)
    rows = [sum(z[: p + 1]) for p in range(4)]
    found = called(compile({"z": z}, rows, target=target), ([1.0, 2.0, math.inf, 4.0],))
    assert found.tolist() == [1.0, 3.0, math.inf, math.inf]


def test_what_is_not_finite_stays_where_the_statement_holds():
    """The gradient by what is not used is 0, though that by what is used has no number."""
    x = Graph().inputs("x", 3)
    for y, at in ((x[0].sqrt(), -1.0), (1 / x[0], 0.0), (x[0].log(), math.nan)):
        slopes = grad(y, x, allow_unused=True)
        found = compile({"x": x}, slopes, target="numpy")([at, 2.0, 3.0])
        assert not math.isfinite(found[0])
        assert list(found[1:]) == [0.0, 0.0]


def test_a_product_with_what_is_infinite_stays_where_the_statement_holds():
    x = Graph().inputs("x", 2)
    y = ops.LEAKY_RELU(x[1] - 1 / x[1], 0.1) * x[1]
    slopes = grad(y, x, allow_unused=True)
    found = compile({"x": x}, [y, *slopes], target="numpy")([1.0, 0.0])
    assert found[1] == 0.0
    assert not math.isfinite(found[2])
