"""Training steps on arrays: Python's numbers, whole vectors updated whole, memory not shared."""

import warnings
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wengert as wg
from wengert.graph.evaluation import evaluate
from wengert.ops.arrays import sum_over
from wengert.ops.scalar import TOTAL, where

OPTIMIZERS = [wg.SGD(0.1), wg.Momentum(0.1, 0.9), wg.Adam(0.01), wg.AdamW(0.01)]


def arguments(step, samples, seed=0):
    """Parameters, a state that has seen steps, rows and targets."""
    draw = np.random.default_rng(seed)
    widths = {group.name: len(group.leaves) for group in step.program.groups}
    scalar = {group.name for group in step.program.groups if group.scalar}
    state = np.abs(draw.normal(size=widths["state"])) * 0.5
    rows = (samples,) if "Y" in scalar else (samples, widths["Y"])
    targets = draw.integers(0, 2, size=rows).astype(float)
    return (
        draw.normal(size=widths["params"]),
        state,
        draw.normal(size=(samples, widths["X"])),
        targets,
    )


def agree(one, other, rtol=1e-10):
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_allclose(
            np.asarray(one[key], float), np.asarray(other[key], float), rtol, 1e-13, err_msg=key
        )


def stepped(net, samples=5, **settings):
    """The step of both targets, its numbers compared, and those of the interpreter."""
    fast = wg.training_step(net, target="numpy", **settings)
    plain = wg.training_step(net, target="python", **settings)
    given = arguments(fast, samples)
    kept = [np.copy(argument) for argument in given]
    result = fast(*given)
    agree(result, plain(*[argument.tolist() for argument in given]))
    agree(fast.program.run(*given), result)
    agree(fast(*given), result, 0)
    for before, after in zip(kept, given, strict=True):
        np.testing.assert_array_equal(before, after)
    return fast


@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=4),
    st.sampled_from(["tanh", "relu", "sigmoid", "gelu", "linear"]),
    st.sampled_from(OPTIMIZERS),
    st.sampled_from(["squared_error", "cross_entropy", "hinge"]),
    st.sampled_from(["sum", "mean"]),
    st.integers(1, 5),
)
@settings(max_examples=40, deadline=None)
def test_steps_of_any_network_and_optimizer(sizes, activation, optimizer, loss, reduce, samples):
    if loss == "hinge" or (loss == "cross_entropy" and sizes[-1] == 1):
        loss, sizes = "hinge", [*sizes[:-1], 1]
    net = wg.MLP(sizes[0], sizes[1:], activation=activation, seed=1)
    stepped(net, samples, loss=loss, optimizer=optimizer, reduce=reduce)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_steps_of_classifiers(activation, classes):
    net = wg.MLP(4, [3, classes], activation=[activation, "linear"], seed=0)
    for optimizer in OPTIMIZERS:
        step = stepped(net, loss="cross_entropy", optimizer=optimizer, reduce="mean")
        assert len(whole_updates(step)) == 1
        assert "index" not in step.source  # every element is where it is needed


def whole_updates(step):
    """The statements that read all parameters as one vector."""
    return [s for s in step.program.instructions if any(r.array == "params" for r in s.reads)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_update_takes_as_many_operations_however_many_layers_there_are(optimizer):
    def counted(*sizes):
        net = wg.MLP(3, list(sizes), seed=0)
        step = wg.training_step(net, target="numpy", optimizer=optimizer, reduce="mean")
        width = len(step.program.groups[0].leaves)
        whole = [s for s in step.program.instructions if [a.length for a in s.axes] == [width]]
        counts = step.program.counts()
        return counts["sqrt"], counts["div"], len(whole)

    assert counted(4, 3) == counted(4, 5, 6, 3)


def scalar_network(sizes=(3, 4, 2)):
    net = wg.MLP(sizes[0], list(sizes[1:]), seed=1)
    graph = wg.Graph()
    x, y = graph.inputs("x", sizes[0]), graph.inputs("y", sizes[-1])
    outputs = net(x) if sizes[-1] > 1 else [net(x)]
    loss = sum((a - b) ** 2 for a, b in zip(outputs, y, strict=True))
    return net, graph, {"params": net.parameters(), "x": x, "y": y}, loss


def both(inputs, outputs, samples=4, seed=3):
    fast = wg.compile(inputs, outputs, batch=("x", "y"), target="numpy")
    plain = wg.compile(inputs, outputs, batch=("x", "y"))
    draw = np.random.default_rng(seed)
    point = []
    for group in fast.program.groups:
        shape = (samples,) * group.batched + (() if group.scalar else (len(group.leaves),))
        point.append(draw.normal(size=shape) if shape else float(draw.normal()))
    kept = [np.copy(argument) for argument in point]
    result = fast(*point)
    agree(result, plain(*[np.asarray(argument).tolist() for argument in point]))
    agree(fast.program.run(*point), result)
    for before, after in zip(kept, point, strict=True):
        np.testing.assert_array_equal(before, after)
    return fast, result


def test_a_gradient_that_is_an_output_itself_stays_unscaled():
    net, graph, inputs, loss = scalar_network()
    count = TOTAL(graph.constant(1))
    sums = [TOTAL(d) for d in wg.grad(loss, net.parameters())]
    new = [p - 0.1 * (d / count) for p, d in zip(net.parameters(), sums, strict=True)]
    _, result = both(inputs, {"params": new, "grad": sums, "loss": TOTAL(loss)})
    assert not np.shares_memory(result["params"], result["grad"])
    _, result = both(inputs, {"grad": sums, "params": new})
    assert not np.shares_memory(result["params"], result["grad"])
    both(inputs, {"params": new, "some": sums[2:9], "one": sums[4], "two": new[5]})
    both(inputs, {"params": new, "again": new, "back": new[::-1]})


def test_a_factor_that_is_made_of_the_gradient_is_not_carried_past_it():
    net, graph, inputs, loss = scalar_network()
    sums = [TOTAL(d) for d in wg.grad(loss, net.parameters())]
    norm = wg.sqrt(sum(d * d for d in sums))
    clip = 1 / wg.maximum(1, norm)
    rate = graph.input("rate")
    new = [p - rate * (clip * d) for p, d in zip(net.parameters(), sums, strict=True)]
    both({**inputs, "rate": rate}, {"params": new, "norm": norm})


def test_weight_decay_on_weights_alone():
    net, _, inputs, loss = scalar_network()
    new = []
    for p, d in zip(net.parameters(), wg.grad(loss, net.parameters()), strict=True):
        step = TOTAL(d) + 0.2 * p if p.label.startswith("w") else TOTAL(d)
        new.append(p - 0.1 * step)
    both(inputs, {"params": new})


def test_what_is_added_to_a_scaled_derivative_is_read_unscaled_elsewhere():
    net, _, inputs, loss = scalar_network()
    sums = [TOTAL(d) for d in wg.grad(loss, net.parameters())]
    new = [0.25 * (0.5 * (d - p)) for p, d in zip(net.parameters(), sums, strict=True)]
    both(inputs, {"p": new})


def test_parts_that_need_one_another_are_not_put_together():
    graph = wg.Graph()
    a, b = graph.inputs("a", 3), graph.inputs("b", 3)
    x, y = graph.inputs("x", 3), graph.input("y")
    one = [p - 0.5 * TOTAL(y * q) for p, q in zip(a, x, strict=True)]
    two = [p - 0.5 * (one[0] * q + sum(one)) for p, q in zip(b, one, strict=True)]
    both({"params": [*a, *b], "x": x, "y": y}, {"params": [*one, *two]})


def test_one_derivative_for_two_parts():
    graph = wg.Graph()
    a, b = graph.inputs("a", 3), graph.inputs("b", 3)
    x, y = graph.inputs("x", 3), graph.input("y")
    loss = sum((p + q - r) ** 2 for p, q, r in zip(a, b, x, strict=True)) * y
    parameters = [*a, *b]
    new = [
        p - 0.1 * TOTAL(d).tanh()
        for p, d in zip(parameters, wg.grad(loss, parameters), strict=True)
    ]
    both({"params": parameters, "x": x, "y": y}, {"params": new, "loss": loss})


def test_weights_that_are_moved_without_their_biases():
    net, _, inputs, loss = scalar_network((3, 4, 3))
    sums = [TOTAL(d) for d in wg.grad(loss, net.parameters())]
    pairs = list(zip(net.parameters(), sums, strict=True))
    weights = [p - 0.1 * (d.tanh() * d) for p, d in pairs if p.label.startswith("w")]
    biases = [d for p, d in pairs if p.label.startswith("b")]
    both(inputs, {"w": weights, "b": biases})


def test_parameters_in_another_order():
    net, _, inputs, loss = scalar_network()
    sums = [TOTAL(d) for d in wg.grad(loss, net.parameters())]
    new = [p - 0.1 * d for p, d in zip(net.parameters(), sums, strict=True)]
    both({**inputs, "params": net.parameters()[::-1]}, {"params": new[::-1]})
    both({**inputs, "params": net.parameters()[::-1]}, {"params": new})
    both(inputs, {"params": [*new[13:], *new[:13]]})


def test_one_vector_and_another_with_its_parts_turned_round():
    graph = wg.Graph()
    a, b = graph.inputs("a", 3), graph.inputs("b", 3)
    x, y = graph.inputs("x", 3), graph.input("y")
    one = [TOTAL(p * q) for p, q in zip(a, x, strict=True)]
    two = [TOTAL(p * q * y) for p, q in zip(b, x, strict=True)]
    new = [p - 0.1 * d for p, d in zip([*a, *b], [*one, *two], strict=True)]
    turned = [d.tanh() for d in [*one[::-1], *two[::-1]]]
    both({"params": [*a, *b], "x": x, "y": y}, {"params": new, "turned": turned})


def test_parameters_that_are_arrays():
    graph = wg.Graph()
    w, b, x, y = (
        graph.array("w", (2, 3)),
        graph.array("b", 2),
        graph.array("x", 3),
        graph.array("y", 2),
    )
    error = (w @ x + b).tanh() - y
    loss = sum_over(error * error)
    sums = [TOTAL(d) for d in wg.grad(loss, [w, b])]
    new = [p - 0.1 * d for p, d in zip((w, b), sums, strict=True)]
    inputs = {"params": [w, b], "x": x, "y": y}
    f = wg.compile(inputs, {"loss": loss, "params": new}, batch=("x", "y"), target="numpy")
    draw = np.random.default_rng(0)
    flat, rows, wanted = draw.normal(size=8), draw.normal(size=(5, 3)), draw.normal(size=(5, 2))
    result = f(flat, rows, wanted)
    agree({"loss": f.program.run(flat, rows, wanted)["loss"]}, {"loss": result["loss"]})
    change = np.zeros(8)
    for row, target in zip(rows, wanted, strict=True):
        at = {w: flat[:6].reshape(2, 3), b: flat[6:], x: row, y: target}
        change += np.concatenate([np.ravel(d) for d in evaluate(wg.grad(loss, [w, b]), at)])
    assert [part.shape for part in result["params"]] == [(2, 3), (2,)]
    np.testing.assert_allclose(joined(result["params"]), flat - 0.1 * change, 1e-12)
    alone = {"dw": sums[0], "params": new, "loss": loss}
    g = wg.compile(inputs, alone, batch=("x", "y"), target="numpy")
    np.testing.assert_allclose(g(flat, rows, wanted)["dw"].ravel(), change[:6], 1e-12)
    made = g(flat, rows, wanted)
    assert not any(np.shares_memory(made["dw"], part) for part in made["params"])
    alone = {"w": new[0], "dw": sums[0], "grad": sums, "params": new}
    h = wg.compile(inputs, alone, batch=("x", "y"), target="numpy")(flat, rows, wanted)
    parts = [h["w"], h["dw"], *h["grad"], *h["params"]]
    for one, other in combinations(parts, 2):
        assert not np.shares_memory(one, other)
    np.testing.assert_allclose(h["w"], result["params"][0], 1e-12)
    np.testing.assert_allclose(joined(h["grad"]), change, 1e-12)


def joined(parts):
    return np.concatenate([np.ravel(part) for part in parts])


@st.composite
def updates(draw):
    """A way to make a number of a parameter, its derivative and the rate, in a few operations."""
    operations = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["add", "sub", "mul", "tanh", "square", "rate", "number"]),
                st.integers(0, 9),
                st.integers(0, 9),
            ),
            min_size=1,
            max_size=6,
        )
    )

    def update(parameter, derivative, rate):
        pool = [parameter, derivative]
        for name, i, j in operations:
            a, b = pool[-1 - i % len(pool)], pool[j % len(pool)]
            pool.append(
                {
                    "add": lambda a, b: a + b,
                    "sub": lambda a, b: a - b,
                    "mul": lambda a, b: a * b,
                    "tanh": lambda a, b: a.tanh(),
                    "square": lambda a, b: a * a,
                    "rate": lambda a, b: rate * a,
                    "number": lambda a, b: a * 0.5,
                }[name](a, b)
            )
        return pool[-1]

    return update


@given(updates(), updates(), st.booleans(), st.sampled_from([(3, 4, 2), (2, 1), (4, 3, 1)]))
@settings(max_examples=40, deadline=None)
def test_updates_of_any_kind(update, other, alike, sizes):
    net, graph, inputs, loss = scalar_network(sizes)
    rate, count = graph.input("rate"), TOTAL(graph.constant(1))
    rules = [update, update if alike else other]
    new = [
        rules[i % 7 == 0 or p.label.startswith("b")](p, TOTAL(d) / count, rate)
        for i, (p, d) in enumerate(
            zip(net.parameters(), wg.grad(loss, net.parameters()), strict=True)
        )
    ]
    both({**inputs, "rate": rate}, {"loss": TOTAL(loss) / count, "params": new})


GUARDED = {
    "sqrt": lambda z: where(z > 0, wg.sqrt(z), 0),
    "log": lambda z: where(z > 0, wg.log(z), 0),
    "quotient": lambda z: where(z > 0, 1 / (z + 1), 0),
    "exp": lambda z: where(z < 0, wg.exp(1000 * z * z), 0),
    "power": lambda z: where(z > 0, z**0.5, z**-1),
    "overflow": lambda z: (z * 1e200) * (z * 1e200) + (z * 1e200) ** 2,
}


@pytest.mark.parametrize("name", GUARDED)
@pytest.mark.parametrize("batched", [False, True])
def test_no_branch_warns_whether_it_is_taken_or_not(name, batched):
    graph = wg.Graph()
    z = graph.inputs("z", 4)
    outputs = {"y": [GUARDED[name](a) for a in z], "first": GUARDED[name](z[0])}
    options = {"batch": "z", "reduce": "sum"} if batched else {}
    f = wg.compile({"z": z}, outputs, target="numpy", **options)
    point = [-1.0, 0.0, 2.0, 1.5]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = f([point] if batched else point)
    plain = wg.compile({"z": z}, outputs, **options)([point] if batched else point)
    np.testing.assert_allclose(result["y"], plain["y"])


def test_what_only_moves_numbers_runs_without_ado():
    graph = wg.Graph()
    z = graph.inputs("z", 4)
    f = wg.compile({"z": z}, [wg.relu(a) for a in z], target="numpy")
    assert "errstate" not in f.source
    g = wg.compile({"z": z}, [a.exp() for a in z], target="numpy")
    assert '@np.errstate(all="ignore")\ndef f(z):' in g.source


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_mean_over_no_samples_is_nan(optimizer):
    net = wg.MLP(3, [4, 2], seed=0)
    step = wg.training_step(net, target="numpy", optimizer=optimizer, reduce="mean")
    params, state, X, Y = arguments(step, 0)
    result = step(params, state, X, Y)
    assert np.isnan(result["loss"])
    assert result["params"].shape == params.shape
