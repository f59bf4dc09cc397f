"""Rewrites of array graphs that save passes over the weights: the numbers stay what they were."""

import warnings
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wengert as wg
from wengert.codegen.array import factors as arrayfactors
from wengert.codegen.array import families as arrayfamilies
from wengert.codegen.array import memory as numpymemory
from wengert.codegen.array.factors import CARRY, carried
from wengert.codegen.array.whole import WHOLE
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
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
        if classes > 2:  # of two, the derivative by each score is a formula of its own
            assert "dparams" in step.source
        assert "index" not in step.source  # every element is where it is needed
        assert step.source.count("np.subtract(params, ") == 1


def test_the_step_is_what_one_would_write():
    net = wg.MLP(12, [4, 3], seed=0)
    step = stepped(net, optimizer=wg.SGD(0.1), reduce="mean")
    for line in (
        "dparams = np.empty(67)",
        "dh1 *= np.float64(0.2) / len(X)  # scaled here, where it is small, for all that follows",
        "dW0 = dparams[:52].reshape(4, 13)[:, :12]",
        "np.matmul(dn0, X, out=dW0)",
        "np.add.reduce(dn0, axis=1, out=db0)",
        "dW1b1 = dparams[52:].reshape(3, 5)",
        "np.dot(dn1, h0_1.T, out=dW1b1)",
        "new_params = np.subtract(params, dparams, out=dparams)",
        'return {"loss": t4, "params": new_params, "state": new_state}',
    ):
        assert f"    {line}\n" in step.source + "\n", line
    assert step.source.count("/=") == 0
    assert step.source.count("*= ") == 3


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_update_takes_as_many_operations_however_many_layers_there_are(optimizer):
    def counted(*sizes):
        net = wg.MLP(3, list(sizes), seed=0)
        step = wg.training_step(net, target="numpy", optimizer=optimizer, reduce="mean")
        counts = step.program.counts()
        return counts["sqrt"], counts["div"], counts["sub"] - len(sizes)

    assert counted(4, 3) == counted(4, 5, 6, 3)


def test_what_adam_remembers_are_vectors_too():
    step = wg.training_step(wg.MLP(3, [4, 2], seed=0), target="numpy", optimizer=wg.Adam(0.01))
    for line in (
        "m = state[2:28]",
        "v = state[28:]",
        "new_m = new_state[2:28]",
        "np.multiply(0.9, m, out=new_m)",
        "np.multiply(0.999, v, out=new_v)",
    ):
        assert f"    {line}\n" in step.source, line


def test_what_was_rewritten_is_on_record():
    net = wg.MLP(3, [4, 2], seed=0)
    step = wg.training_step(net, target="numpy", optimizer=wg.SGD(0.1), reduce="mean")
    found = recorded(step)
    assert found["whole vectors"].rewrites == {WHOLE: 9}  # one for four: /, * and - of the update
    assert found["factors"].rewrites == {CARRY: 2}  # the division and the product
    assert "factors: " in step.report()
    assert "9 operate on a whole vector" in step.report()


def recorded(f):
    """The records of the passes on arrays, by name."""
    return {record.name: record for record in f.program.passes}


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
    f, result = both(inputs, {"params": new, "grad": sums, "loss": TOTAL(loss)})
    assert "scaled here" not in f.source
    assert "0.1" in f.source
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
    f, _ = both({**inputs, "rate": rate}, {"params": new, "norm": norm})
    assert "scaled here" not in f.source


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
    f, _ = both(inputs, {"p": new})
    assert "scaled here" in f.source


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
    f, _ = both(inputs, {"w": weights, "b": biases})
    assert recorded(f)["whole vectors"].rewrites[WHOLE] > 0


def test_one_neuron_is_scaled_as_many_are():
    step = stepped(wg.MLP(2, [4, 1], seed=0), optimizer=wg.SGD(0.1))
    assert "np.outer" not in step.source
    assert "*= 0.2  # scaled here" in step.source


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
    assert "new_params = np.multiply(0.1, dparams, out=dparams)" in f.source
    assert "np.subtract(params, new_params, out=new_params)" in f.source
    agree(f.program.run(flat, rows, wanted), result)
    change = np.zeros(8)
    for row, target in zip(rows, wanted, strict=True):
        at = {w: flat[:6].reshape(2, 3), b: flat[6:], x: row, y: target}
        change += np.concatenate([np.ravel(d) for d in evaluate(wg.grad(loss, [w, b]), at)])
    np.testing.assert_allclose(result["params"], flat - 0.1 * change, 1e-12)
    alone = {"dw": sums[0], "params": new, "loss": loss}
    g = wg.compile(inputs, alone, batch=("x", "y"), target="numpy")
    np.testing.assert_allclose(g(flat, rows, wanted)["dw"].ravel(), change[:6], 1e-12)
    assert not np.shares_memory(*(g(flat, rows, wanted)[key] for key in ("dw", "params")))
    alone = {"w": new[0], "dw": sums[0], "grad": sums, "params": new}
    h = wg.compile(inputs, alone, batch=("x", "y"), target="numpy")(flat, rows, wanted)
    for one, other in combinations(h.values(), 2):
        assert not np.shares_memory(one, other)
    np.testing.assert_allclose(h["w"].ravel(), result["params"][:6], 1e-12)
    np.testing.assert_allclose(h["grad"], change, 1e-12)


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


LINEAR = [
    lambda one, other, rate: one @ other,
    lambda one, other, rate: one + other,
    lambda one, other, rate: one - other,
    lambda one, other, rate: one * other,
    lambda one, other, rate: one.T,
    lambda one, other, rate: rate * one,
    lambda one, other, rate: one * 0.5,
    lambda one, other, rate: one / (2 * rate),
    lambda one, other, rate: where(other > 0, one, other),
    lambda one, other, rate: one + sum_over(other, 0),
]


@st.composite
def linear_chains(draw):
    """Arrays, products and sums of them, each scaled somewhere, as one graph with outputs."""
    graph = Graph()
    leaves = [graph.array(name, (3, 3)) for name in "abc"]
    rate = graph.input("rate")
    pool = [leaf.tanh() for leaf in leaves]
    for _ in range(draw(st.integers(2, 10))):
        one, other = (draw(st.sampled_from(pool)) for _ in range(2))
        pool.append(draw(st.sampled_from(LINEAR))(one, other, rate))
    outputs = [pool[-1], draw(st.sampled_from(pool))]
    graph.outputs = tuple(out.id for out in outputs)
    return graph


def evaluated(graph):
    draw = np.random.default_rng(4)
    leaves = {"rate": 0.7, **{name: draw.normal(size=(3, 3)) for name in "abc"}}
    at = {graph[name]: value for name, value in leaves.items() if name in graph.leaves}
    return evaluate([graph[node] for node in graph.outputs], at)


@given(linear_chains())
@settings(max_examples=150, deadline=None)
def test_carried_factors_leave_the_numbers_as_they_are(graph):
    small = carried(graph).graph
    for one, other in zip(evaluated(graph), evaluated(small), strict=True):
        np.testing.assert_allclose(other, one, 1e-11, 1e-12)


def test_a_factor_is_not_carried_to_where_more_is_scaled():
    graph = Graph()
    a = graph.array("a", (40, 3))
    small, large = graph.array("s", 3), sum_over(a.tanh(), 0)
    graph.outputs = ((small - 0.5 * large).id,)
    assert carried(graph).graph is graph


def divided(below, above):
    return above / below


BENT = {
    "product": lambda u, large: (u @ large) * (u @ large),
    "square": lambda u, large: (u @ large).T @ (u @ large),
    "quotient": lambda u, large: divided(u @ (large + 1), u @ large),
    "condition": lambda u, large: where(u @ large, 1.0, u @ large),
    "maximum": lambda u, large: (u @ large).relu(),
    "output": lambda u, large: u @ large,
}


@pytest.mark.parametrize("name", BENT)
def test_a_factor_is_not_carried_where_it_would_change_a_number(name):
    graph = Graph()
    u = 2 * graph.array("a", (6, 2)).tanh()
    large = graph.array("b", (2, 6)).tanh()
    bent = BENT[name](u, large)
    graph.outputs = ((0.25 * bent).id, (bent if name == "output" else large).id)
    small = carried(graph).graph
    for one, other in zip(evaluate_all(graph), evaluate_all(small), strict=True):
        np.testing.assert_allclose(other, one, 1e-12)


def evaluate_all(graph):
    draw = np.random.default_rng(5)
    at = {graph[name]: draw.normal(size=graph[name].shape) for name in sorted(graph.leaves)}
    return evaluate([graph[node] for node in graph.outputs], at)


def test_a_factor_carried_past_what_is_not_linear_is_caught(monkeypatch):
    monkeypatch.setattr(arrayfactors._Search, "_is_linear", lambda *_: True)
    graph = Graph()
    a, w = graph.array("a", (2, 3)), graph.array("w", (8, 3))
    graph.outputs = ((w - 0.25 * (graph.array("b", (8, 2)).tanh() @ (a * 2).tanh())).id,)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(at_ones(carried(graph).graph), at_ones(graph))


def at_ones(graph):
    at = {graph[name]: np.ones(graph[name].shape) for name in graph.leaves}
    return evaluate([graph[node] for node in graph.outputs], at)[0]


def test_a_vector_overwritten_while_its_parts_are_read_is_caught(monkeypatch):
    net, graph, inputs, loss = scalar_network((3, 4, 3))
    sums = [TOTAL(d) for d in wg.grad(loss, net.parameters())]
    new = [p - d for p, d in zip(net.parameters(), sums, strict=True)]
    outputs = {"params": new, "grad": sums}
    both(inputs, outputs)
    monkeypatch.setattr(numpymemory, "share_memory", numpymemory.share_memory)
    from wengert.codegen.array import numpy as target

    monkeypatch.setattr(target, "read_ahead", forget_joins)
    other = {"params": new, "grad": sums, "more": graph.constant(7.5)}  # a function of its own
    with pytest.raises(AssertionError):
        both(inputs, other)


def forget_joins(writer, original=numpymemory.read_ahead):
    """Take a vector to be read last where it is subtracted, though it is an output."""
    original(writer)
    for number, instruction in enumerate(writer.program.instructions):
        for operand in instruction.operands:
            made = writer.made.get(str(operand))
            if made is not None and made.op is arrayfamilies.JOIN:
                writer.last[operand] = number


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
