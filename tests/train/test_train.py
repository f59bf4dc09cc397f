"""`fit` and `training_step`: what they do, what they refuse, and what they leave behind."""

import math
import os
import random
import re
import signal
import sys
import xml.etree.ElementTree as ET

import numpy
import pytest

from wengert.codegen.scalar.loop import Loop
from wengert.errors import DataError, OperandError, SettingError, ShapeError, UnknownNameError
from wengert.graph.value import Value, zero_grad
from wengert.train import batches
from wengert.train.dense import Dense
from wengert.train.fit import fit
from wengert.train.history import History
from wengert.train.losses import LOSSES
from wengert.train.nn import MLP, Layer, Neuron
from wengert.train.optim import SGD, Adam, AdamW, Momentum
from wengert.train.step import training_step

X = [[0.5, -1.0], [1.5, 0.25], [-0.75, 2.0], [0.0, 1.0], [2.0, -0.5]]
Y = [1.0, -1.0, 0.5, 0.0, -0.5]
TARGETS = {
    "squared_error": Y,
    "binary_cross_entropy": [0, 1, 1, 0, 1],
    "cross_entropy": [0, 1, 2, 0, 1],
    "hinge": [-1, 1, 1, -1, 1],
}


def network(loss="squared_error", seed=3):
    return MLP(2, [3, 3 if loss == "cross_entropy" else 1], ["tanh", "linear"], seed=seed)


def data(net):
    return [p.data for p in net.parameters()]


def eager_epoch(net, X, Y, loss, optimizer, state, mean=False):
    """One step with eager values: the loss before it, and the optimizer's state after it."""
    total = sum(LOSSES[loss].function(net(x), y) for x, y in zip(X, Y, strict=True))
    total = total / len(X) if mean else total
    zero_grad(net.parameters())
    total.backward()
    params, state = optimizer.step(data(net), [p.grad for p in net.parameters()], state)
    for parameter, number in zip(net.parameters(), params, strict=True):
        parameter.data = number
    return total.data, state


@pytest.mark.parametrize(
    "optimizer", [SGD(0.05), Momentum(0.02), Adam(0.05), AdamW(0.05)], ids=repr
)
@pytest.mark.parametrize("loss", TARGETS)
def test_fit_is_the_eager_loop(loss, optimizer):
    compiled, eager = network(loss), network(loss)
    history = fit(compiled, X, TARGETS[loss], loss=loss, optimizer=optimizer, epochs=6)
    state, losses = optimizer.state(len(eager.parameters())), []
    for _ in range(6):
        reached, state = eager_epoch(eager, X, TARGETS[loss], loss, optimizer, state)
        losses.append(reached)
    assert history.loss == pytest.approx(losses, rel=1e-11)
    assert data(compiled) == pytest.approx(data(eager), rel=1e-9, abs=1e-12)
    assert (history.stopped, history.epochs) == ("finished", 6)


def test_the_mean_of_a_batch():
    compiled, eager = network(), network()
    history = fit(compiled, X, Y, optimizer=SGD(0.1), epochs=4, reduce="mean")
    losses = [eager_epoch(eager, X, Y, "squared_error", SGD(0.1), [], True)[0] for _ in range(4)]
    assert history.loss == pytest.approx(losses, rel=1e-12)
    assert data(compiled) == pytest.approx(data(eager), rel=1e-11)


@pytest.mark.parametrize("mean", [False, True])
def test_mini_batches_visit_every_sample_in_the_seeded_order(mean):
    compiled, eager = network(), network()
    history = fit(
        compiled,
        X,
        Y,
        optimizer=Momentum(0.02),
        epochs=3,
        batch_size=2,
        seed=9,
        reduce="mean" if mean else "sum",
    )
    draw, state = random.Random(9), Momentum(0.02).state(len(data(eager)))
    for epoch in range(3):
        keys = draw.randbytes(8 * 5)  # a number of 64 bits for each sample, by which it is sorted
        order = sorted(range(5), key=lambda i: int.from_bytes(keys[8 * i : 8 * i + 8], "little"))
        parts = []
        for chosen in (order[:2], order[2:4], order[4:]):
            rows, targets = [X[i] for i in chosen], [Y[i] for i in chosen]
            reached, state = eager_epoch(
                eager, rows, targets, "squared_error", Momentum(0.02), state, mean
            )
            parts.append(reached * len(chosen) / 5 if mean else reached)
        assert history.loss[epoch] == pytest.approx(sum(parts), rel=1e-11)
    assert data(compiled) == pytest.approx(data(eager), rel=1e-10)


def test_shuffling_is_seeded_and_can_be_turned_off():
    def trained(**settings):
        net = network()
        fit(net, X, Y, epochs=3, batch_size=2, **settings)
        return data(net)

    random.seed(1)
    once = trained(seed=None), trained(seed=None)
    random.seed(1)
    assert once == (trained(seed=None), trained(seed=None))
    assert once[0] != once[1]
    before = random.getstate()
    assert trained(seed=1) == trained(seed=random.Random(1)) == trained(seed=numpy.int64(1))
    assert trained(seed=1) == trained(seed=1) != trained(seed=2)
    assert trained(seed=1, shuffle=False) == trained(seed=2, shuffle=False) != trained(seed=1)
    assert random.getstate() == before


def test_a_batch_as_large_as_the_data_is_the_full_batch():
    first, second, third = network(), network(), network()
    fit(first, X, Y, epochs=3)
    fit(second, X, Y, epochs=3, batch_size=5)
    fit(third, X, Y, epochs=3, batch_size=500)
    assert data(first) == data(second) == data(third)


def test_several_outputs_have_a_target_each():
    pairs = [[y, -y] for y in Y]
    compiled, eager = MLP(2, [3, 2], seed=1), MLP(2, [3, 2], seed=1)
    history = fit(compiled, X, pairs, epochs=2, optimizer=SGD(0.05))
    losses = [eager_epoch(eager, X, pairs, "squared_error", SGD(0.05), [])[0] for _ in range(2)]
    assert history.loss == pytest.approx(losses, rel=1e-12)
    with pytest.raises(ShapeError, match=r"row 0 of Y is 1\.0; the network has 2 outputs"):
        fit(compiled, X, Y)
    with pytest.raises(ShapeError, match=r"row 1 of Y is \[1.0\]"):
        fit(compiled, X, [[1.0, 2.0], [1.0], *pairs[2:]])


def test_training_lowers_the_loss_and_classifies():
    rows = [[0, 0], [0, 1], [1, 0], [1, 1]]
    net = MLP(2, [6, 1], ["tanh", "linear"], seed=0)
    history = fit(
        net, rows, [0, 1, 1, 0], loss="binary_cross_entropy", optimizer=Adam(0.05), epochs=300
    )
    assert history.loss[-1] < 0.05 < 2 < history.loss[0]
    assert [net(row).data > 0 for row in rows] == [False, True, True, False]


def test_layers_neurons_and_networks_of_ones_own_are_trained():
    class Line:
        def __init__(self):
            self.slope, self.offset = Value(0.0, label="slope"), Value(0.0, label="x0")

        def __call__(self, x):
            return self.slope * x[0] + self.offset

        def parameters(self):
            return [self.slope, self.offset]

    line = Line()
    fit(line, [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], optimizer=SGD(0.1), epochs=400)
    assert (line.slope.data, line.offset.data) == pytest.approx((2.0, 1.0))
    for net in (Neuron(2, seed=0), Layer(2, 1, seed=0)):
        history = fit(net, X, Y, epochs=20)
        assert history.loss[-1] < history.loss[0]


def test_shared_parameters_move_once():
    class Twice:
        def __init__(self):
            self.w = Value(1.0, label="w")

        def __call__(self, x):
            return self.w * x[0] + self.w

        def parameters(self):
            return [self.w, self.w]

    net = Twice()
    fit(net, [[1.0]], [0.0], optimizer=SGD(0.1), epochs=1)
    assert net.w.data == pytest.approx(1 - 0.1 * 2 * 2 * 2)


def test_parameters_that_do_not_matter_stay():
    net = MLP(2, [2, 1], seed=0)
    idle = Value(7.0, label="idle")

    class Wrapped:
        nin = 2

        def __call__(self, x):
            return net(x)

        def parameters(self):
            return [*net.parameters(), idle]

    fit(Wrapped(), X, Y, epochs=3)
    assert idle.data == 7.0


def test_a_loss_of_ones_own():
    def quartic(prediction, target):
        return (prediction - target) ** 4

    net = network()
    expected = sum((net(x).data - y) ** 4 for x, y in zip(X, Y, strict=True))
    assert fit(net, X, Y, loss=quartic, epochs=1).loss == pytest.approx([expected])


def test_truth_values_of_numpy_are_numbers():
    plain, scalars = network(), network()
    fit(plain, X, [0, 1, 1, 0, 1], loss="binary_cross_entropy", epochs=2)
    targets = [numpy.bool_(number) for number in (0, 1, 1, 0, 1)]
    rows = [[numpy.float32(x) for x in row] for row in X]
    fit(scalars, rows, targets, loss="binary_cross_entropy", epochs=2)
    assert data(plain) == data(scalars)


def test_arrays_are_data():
    lists, arrays, mixed = network(), network(), network()
    fit(lists, X, TARGETS["hinge"], loss="hinge", epochs=3)
    fit(arrays, numpy.array(X), numpy.array(TARGETS["hinge"]), loss="hinge", epochs=3)
    fit(mixed, [numpy.array(x) for x in X], list(numpy.array(Y) * 0 + 1), loss="hinge", epochs=1)
    assert data(lists) == data(arrays)
    assert all(type(number) is float for number in data(arrays))
    with pytest.raises(DataError, match="row 2, column 1 of X is nan"):
        fit(arrays, numpy.where(numpy.array(X) == 2.0, numpy.nan, X)[[0, 1, 2]], [1, 1, 1])
    with pytest.raises(ShapeError, match=r"row 0 of Y is \[1.0\], a sequence"):
        fit(arrays, X, numpy.ones((5, 1)))


# One step


def test_a_step_leaves_the_network_alone():
    net = network()
    before = data(net)
    step = training_step(net, loss="hinge", optimizer=Adam(0.1))
    state = Adam(0.1).state(len(before))
    after = step(before, state, X, TARGETS["hinge"])
    assert set(after) == {"loss", "params", "state"}
    assert data(net) == before != after["params"]
    assert after["state"][:2] == [0.9, 0.999]
    again = step(after["params"], after["state"], X, TARGETS["hinge"])
    assert again["loss"] < after["loss"]
    assert again["state"][:2] == pytest.approx([0.81, 0.998001])


def test_a_step_is_one_function_with_readable_names():
    source = training_step(network(), optimizer=Momentum(0.1)).source
    assert source.count("for ") == 1
    assert re.search(r"\bw0_2_1\b", source)
    assert re.search(r"\bvelocity_w0_2_1\b", source)
    assert re.search(r"\bh0_1\b", source)
    assert re.search(r"\bnew_w0_2_1 = ", source)
    mean = training_step(network(), optimizer="adam", reduce="mean").source
    assert "loss = sample_loss_total/samples" in mean
    assert re.search(r"\bdw0_2_1_mean\b", mean)


def test_the_state_keeps_clear_of_parameter_names():
    class Named:
        nin = 1

        def __init__(self):
            self.w, self.m_w = Value(0.5, label="w"), Value(0.25, label="m_w")

        def __call__(self, x):
            return self.w * x[0] + self.m_w

        def parameters(self):
            return [self.w, self.m_w]

    assert fit(Named(), [[1.0]], [0.0], optimizer="adam", epochs=2).loss[0] == 0.5625


@pytest.mark.parametrize("target", ["python", "numpy"])
@pytest.mark.parametrize("labels", [("y", "x0"), ("y0", "y_0"), ("state", "loss"), ("w", "w")])
def test_parameters_may_have_any_name(labels, target):
    class Own:
        def __init__(self):
            self.pair = [Value(0.5, label=label) for label in labels]

        def __call__(self, x):
            slope, offset = self.pair
            return numpy.array([slope * x[0], slope * x[0] + offset])

        def parameters(self):
            return self.pair

    net = Own()
    fit(
        net,
        [[1.0], [2.0]],
        [[2.0, 1.0], [4.0, 3.0]],
        optimizer=SGD(0.05),
        epochs=300,
        target=target,
    )
    assert data(net) == pytest.approx([2.0, -1.0], abs=1e-3)
    single = MLP(1, [1], "linear", seed=0)
    single.parameters()[0].label = labels[0]
    fit(single, [[1.0], [2.0]], [1.0, 3.0], optimizer=SGD(0.05), epochs=300, target=target)
    assert data(single) == pytest.approx([2.0, -1.0], abs=0.1)


def test_a_step_knows_its_width():
    def bare(x):
        return x[0]

    with pytest.raises(OperandError, match=r"with a method parameters\(\)"):
        training_step(bare, 2)
    with pytest.raises(ShapeError, match="nin is 3, but the network takes 2"):
        training_step(network(), 3)

    class Open:
        w = Value(1.0)

        def __call__(self, x):
            return self.w * x[0]

        def parameters(self):
            return [self.w]

    with pytest.raises(ShapeError, match="does not say how many"):
        training_step(Open())
    for nin in (0, 1.5, "1"):
        with pytest.raises(SettingError, match=f"nin is {nin!r}; expected a whole number"):
            training_step(Open(), nin)
    assert training_step(Open(), 1, optimizer=SGD(0.5))([1.0], [], [[1.0]], [0.0])["params"] == [
        0.0
    ]


# What is refused, with nothing changed


def refused(error, message, *, loss="squared_error", **changes):
    net = network(loss)
    before = data(net)
    arguments = {"X": X, "Y": TARGETS.get(loss, Y), "loss": loss, "epochs": 2, **changes}
    with pytest.raises(error, match=message):
        fit(net, arguments.pop("X"), arguments.pop("Y"), **arguments)
    assert data(net) == before


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([], DataError, "X is empty"),
        ([[]] * 5, DataError, "row 0 of X is empty"),
        ([[1, 2, 3]] * 5, ShapeError, "row 0 of X has 3 numbers, but the network takes 2.*zip"),
        ([[1, 2], [3]], ShapeError, "row 1 of X has 1 numbers, but the network takes 2"),
        ([1.0, 2.0], ShapeError, r"row 0 of X is 1.0, not a row of numbers.*\[\[2.0\], \[3.0\]\]"),
        (7, ShapeError, "X is 7; expected rows"),
        ("rows", ShapeError, "X is 'rows'"),
        (["ab", "cd"], ShapeError, "row 0 of X is 'ab'"),
        ([[1, 2], [1, math.nan]], DataError, "row 1, column 1 of X is nan; expected a finite"),
        ([[1, 2], [-math.inf, 1]], DataError, "row 1, column 0 of X is -inf"),
        ([[1, 10**400]], DataError, "row 0, column 1 of X is 1000"),
        ([[1, "2"]], DataError, "row 0, column 1 of X is '2', a str; expected a number"),
        ([[1, None]], DataError, "row 0, column 1 of X is None, a NoneType"),
        ([[1, [2]]], DataError, r"row 0, column 1 of X is \[2\], a list"),
        (X[:4], ShapeError, "X has 4 rows and Y has 5; expected one target per row"),
    ],
)
def test_bad_rows(rows, error, message):
    refused(error, message, X=rows)


def test_ragged_rows_for_a_network_of_any_width():
    class Any:
        w = Value(1.0)

        def __call__(self, x):
            return self.w * sum(x)

        def parameters(self):
            return [self.w]

    with pytest.raises(ShapeError, match="row 1 of X has 1 numbers, row 0 has 2"):
        fit(Any(), [[1, 2], [3]], [1, 2])


@pytest.mark.parametrize(
    ("loss", "targets", "error", "message"),
    [
        ("squared_error", 3.0, ShapeError, "Y is 3.0; expected one target"),
        ("squared_error", [1, 2, math.nan, 3, 4], DataError, "row 2 of Y is nan"),
        ("squared_error", [1, 2, "3", 3, 4], DataError, "row 2 of Y is '3', a str"),
        ("squared_error", [1, [2], 3, 4, 5], ShapeError, r"row 1 of Y is \[2\], a sequence"),
        ("binary_cross_entropy", [0, 1, -1, 0, 1], DataError, "row 2 of Y is -1; .* are 0 or 1"),
        ("hinge", [1, 0, -1, 1, 1], DataError, "row 1 of Y is 0; the targets of hinge are -1 or 1"),
        ("cross_entropy", [0, 1, 2, 3, 0], DataError, "row 3 of Y is 3; .* whole, from 0 to 2"),
        ("cross_entropy", [0, 1, 0.5, 1, 0], DataError, "row 2 of Y is 0.5"),
        ("cross_entropy", [0, -1, 0, 1, 0], DataError, "row 1 of Y is -1"),
        (
            *("cross_entropy", [0, 1, "cat", 1, 0], DataError),
            "row 2 of Y is 'cat', a str; .* class numbers, whole, from 0 to 2",
        ),
        (
            *("cross_entropy", [[1, 0, 0]] * 5, ShapeError),
            r"row 0 of Y is \[1, 0, 0\], a sequence; .* flat list; .* class numbers, whole",
        ),
    ],
)
def test_bad_targets(loss, targets, error, message):
    refused(error, message, loss=loss, Y=targets)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"loss": "squared_eror"}, UnknownNameError, "did you mean 'squared_error'.*hinge"),
        ({"optimizer": "adm"}, UnknownNameError, "unknown optimizer 'adm'.*adamw"),
        ({"optimizer": Adam}, UnknownNameError, "unknown optimizer"),
        ({"target": "pyton"}, UnknownNameError, "unknown target 'pyton'.*python"),
        ({"reduce": "max"}, UnknownNameError, "unknown reduce 'max'.*mean, sum"),
        ({"epochs": 0}, SettingError, "epochs is 0; expected a whole number, 1 or more"),
        ({"epochs": 2.5}, SettingError, "epochs is 2.5"),
        ({"epochs": True}, SettingError, "epochs is True"),
        ({"batch_size": 0}, SettingError, "batch_size is 0"),
        ({"batch_size": "all"}, SettingError, "batch_size is 'all'"),
        ({"callback": 3}, SettingError, r"callback is 3, an int; .*callback\(epoch, loss, net\)"),
        ({"seed": "x"}, SettingError, "seed is 'x', a str; expected a whole number"),
        ({"seed": [1], "batch_size": 2}, SettingError, r"seed is \[1\], a list"),
    ],
)
def test_bad_settings(changes, error, message):
    arguments = {"epochs": 2, **changes}
    net = network()
    before = data(net)
    with pytest.raises(error, match=message):
        fit(net, X, Y, **arguments)
    assert data(net) == before


def test_the_network_is_looked_at_first():
    for given, kind in ((MLP, "a type"), (X, "a list"), (None, "a NoneType")):
        with pytest.raises(OperandError, match=rf"is {kind}; expected a network such as MLP\(3, "):
            fit(given, 3, "y", epochs=0)
    with pytest.raises(OperandError, match=r"\('W', shape=\(1, 2\)\) .*; write it with Layer or"):
        fit(Dense(2, 1), X, Y)


@pytest.mark.parametrize(
    ("gives", "kind"), [(None, "a NoneType"), ("x", "a str"), ([1.0], "a list"), (X, "a list")]
)
def test_a_loss_of_ones_own_that_is_no_number(gives, kind):
    def mine(prediction, target):
        return gives

    refused(OperandError, f"the loss 'mine' of a sample is .*, {kind}; expected one nu", loss=mine)


def test_losses_that_do_not_fit_the_network():
    with pytest.raises(ShapeError, match="cross_entropy got"):
        fit(network(), X, [0] * 5, loss="cross_entropy")
    with pytest.raises(ShapeError, match="hinge takes one output for a sample, got 2"):
        fit(MLP(2, [2]), X, [1] * 5, loss="hinge")


@pytest.mark.parametrize("parameters", [[], [1.0], [Value(1.0) * 2]])
def test_things_that_cannot_be_trained(parameters):
    class Broken:
        def __call__(self, x):
            return x[0]

        def parameters(self):
            return parameters

    with pytest.raises(OperandError, match=r"no parameters|not a leaf Value"):
        fit(Broken(), X, Y)
    with pytest.raises(OperandError, match="expected a network"):
        fit(lambda x: x[0], X, Y)


# How it ends


def test_a_callback_sees_every_epoch_and_may_stop():
    net, seen = network(), []

    def callback(epoch, loss, trained):
        seen.append((epoch, loss, data(trained)))
        return epoch == 2

    history = fit(net, X, Y, epochs=10, callback=callback)
    assert (history.stopped, history.epochs) == ("callback", 3)
    assert [loss for _, loss, _ in seen] == history.loss
    assert [epoch for epoch, _, _ in seen] == [0, 1, 2]
    steps = network()
    for _, _, parameters in seen:
        fit(steps, X, Y, epochs=1)
        assert parameters == data(steps)
    assert data(net) == seen[-1][2]


def test_a_callback_may_change_the_parameters():
    net = network()

    def clip(epoch, loss, trained):
        for p in trained.parameters():
            p.data = max(-0.1, min(0.1, p.data))
        return epoch == 1

    fit(net, X, Y, epochs=10, callback=clip)
    assert max(map(abs, data(net))) <= 0.1


def test_a_callback_that_raises_leaves_the_last_step():
    net, once = network(), network()
    fit(once, X, Y, epochs=1)

    def broken(epoch, loss, trained):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fit(net, X, Y, epochs=10, callback=broken)
    assert data(net) == data(once)


class Interrupting(list):
    """Rows during which Ctrl-C is pressed."""

    def __iter__(self):
        signal.raise_signal(signal.SIGINT)
        return super().__iter__()


def test_ctrl_c_keeps_the_parameters_of_the_last_whole_step(monkeypatch):
    whole, taken = Loop.__call__, []

    def interrupted(self, params, state, steps):
        given = []
        for rows, targets in steps:
            taken.append(1)  # the eighth is in the third epoch, with three steps to an epoch
            given.append((Interrupting(rows) if len(taken) == 8 else rows, targets))
        return whole(self, params, state, given)

    net, reference = network(), network()
    parameters = []
    fit(reference, X, Y, epochs=2, batch_size=2, shuffle=False)
    parameters.append(data(reference))
    fit(reference, X[:2], Y[:2], epochs=1)
    parameters.append(data(reference))
    monkeypatch.setattr(Loop, "__call__", interrupted)
    history = fit(net, X, Y, epochs=50, batch_size=2, shuffle=False)
    assert (history.stopped, history.epochs) == ("interrupted", 2)
    assert data(net) == parameters[1] != parameters[0]


@pytest.mark.parametrize("sign", [1, -1])
def test_losses_whose_sum_is_past_the_largest_float(sign):
    net = network()
    history = fit(net, X, Y, loss=lambda p, t: 0 * p + sign * 1e308, batch_size=1, epochs=2)
    assert (history.loss, history.stopped) == ([sign * math.inf] * 2, "finished")


def test_a_loss_that_diverges_ends_the_training():
    net = MLP(2, [1], "linear", seed=0)
    history = fit(net, X, Y, optimizer=SGD(1e200), epochs=50)
    assert history.stopped == "diverged"
    assert history.epochs < 10
    assert not math.isfinite(history.loss[-1])
    assert all(map(math.isfinite, history.loss[:-1]))
    assert all(map(math.isfinite, data(net)))


# The numpy target


def on_both(sizes, *, count=20, loss="squared_error", **settings):
    """Histories and parameters of the same training in Python and in NumPy."""
    draw = random.Random(5)
    rows = [[draw.uniform(-1, 1) for _ in range(sizes[0])] for _ in range(count)]
    classes = sizes[-1] if loss == "cross_entropy" else 2
    targets = [draw.randrange(classes) for _ in rows]
    results = []
    for target in ("python", "numpy"):
        net = MLP(sizes[0], sizes[1:], ["tanh"] * (len(sizes) - 2) + ["linear"], seed=3)
        history = fit(net, rows, targets, loss=loss, target=target, **settings)
        assert history.target == target
        results.append((history, data(net)))
    return results


@pytest.mark.parametrize("optimizer", [SGD(0.02), Adam(0.05)], ids=repr)
@pytest.mark.parametrize("reduce", ["sum", "mean"])
@pytest.mark.parametrize("batch", [None, 7, 20])
def test_numpy_trains_as_python_does(optimizer, reduce, batch):
    (slow, old), (fast, new) = on_both(
        [3, 6, 4], loss="cross_entropy", epochs=5, batch_size=batch, optimizer=optimizer,
        reduce=reduce, seed=4,
    )  # fmt: skip
    assert fast.loss == pytest.approx(slow.loss, rel=1e-12)
    assert new == pytest.approx(old, rel=1e-11, abs=1e-12)
    assert all(type(number) is float for number in [*new, *fast.loss])


def test_many_batches_are_gathered_at_once_in_the_same_order(monkeypatch):
    for block in (1, 3 * 4 * 2, 10**9):  # one batch, two, all of them
        monkeypatch.setattr(batches, "_BLOCK", block)
        for shuffle in (True, False):
            (slow, old), (fast, new) = on_both(
                [3, 4, 1], count=18, epochs=3, batch_size=4, shuffle=shuffle, reduce="mean"
            )
            assert fast.loss == pytest.approx(slow.loss, rel=1e-12)
            assert new == pytest.approx(old, rel=1e-12)


def test_arrays_are_read_without_a_copy_in_between_and_as_strictly():
    nets = [network() for _ in range(4)]
    for net, rows in zip(
        nets, [X, numpy.array(X), numpy.array(X, order="F"), numpy.array(X)[::-1]], strict=True
    ):
        targets = Y[::-1] if net is nets[3] else Y
        fit(net, rows, numpy.array(targets), epochs=3, target="numpy")
    assert data(nets[0]) == data(nets[1]) == pytest.approx(data(nets[2]), rel=1e-14)
    assert data(nets[3]) == pytest.approx(data(nets[0]), rel=1e-12)
    for rows, error, message in [
        (
            numpy.where(numpy.array(X) == 2.0, numpy.inf, X),
            DataError,
            "row 2, column 1 of X is inf",
        ),
        (numpy.ones((5, 3)), ShapeError, "row 0 of X has 3 numbers, but the network takes 2"),
        (numpy.ones((0, 2)), DataError, "X is empty"),
        (numpy.ones((5, 2, 1)), DataError, r"row 0, column 0 of X is \[1.0\]"),
        (numpy.array([["a", "b"]] * 5), DataError, "X is array.*an array of text"),
        (numpy.ones((5, 2), complex), DataError, "X is array.*an array of complex numbers"),
    ]:
        refused(error, message, X=rows, target="numpy")
    integers = numpy.array([[1, 2], [3, 4], [5, 6], [7, 8], [0, 1]], numpy.uint8)
    one, other = network(), network()
    fit(one, integers, Y, epochs=2)
    fit(other, integers.tolist(), Y, epochs=2)
    assert data(one) == data(other)


def test_numpy_diverges_quietly_and_keeps_the_last_whole_step(recwarn):
    net = MLP(2, [1], "linear", seed=0)
    history = fit(net, X, Y, optimizer=SGD(1e200), epochs=50, target="numpy")
    assert history.stopped == "diverged"
    assert history.epochs < 10
    assert not math.isfinite(history.loss[-1])
    assert all(map(math.isfinite, history.loss[:-1]))
    assert all(map(math.isfinite, data(net)))
    assert not recwarn.list


def test_ctrl_c_keeps_the_arrays_of_the_last_whole_step(monkeypatch):
    whole, taken = batches.ArrayBatches.__iter__, []

    def interrupted(self):
        for batch in whole(self):
            taken.append(1)  # the eighth is in the third epoch, with three steps to an epoch
            if len(taken) == 8:
                signal.raise_signal(signal.SIGINT)
            yield batch

    settings = {"target": "numpy", "shuffle": False}
    net, reference = network(), network()
    fit(reference, X, Y, epochs=2, batch_size=2, **settings)
    before = data(reference)
    fit(reference, X[:2], Y[:2], epochs=1, **settings)
    monkeypatch.setattr(batches.ArrayBatches, "__iter__", interrupted)
    history = fit(net, X, Y, epochs=50, batch_size=2, **settings)
    assert (history.stopped, history.epochs) == ("interrupted", 2)
    assert data(net) == data(reference) != before


def test_a_callback_sees_and_changes_what_numpy_trains():
    seen = []

    def halve(epoch, loss, trained):
        for p in trained.parameters():
            p.data = p.data / 2
        seen.append(data(trained))
        return epoch == 3

    for target in ("python", "numpy"):
        net = network()
        history = fit(net, X, Y, epochs=10, callback=halve, target=target)
        assert (history.stopped, history.epochs) == ("callback", 4)
        assert data(net) == seen[-1]
    for slow, fast in zip(seen[:4], seen[4:], strict=True):
        assert fast == pytest.approx(slow, rel=1e-12)


# Progress and history


def test_the_progress_bar_shows_on_a_terminal_alone(capsys, monkeypatch):
    fit(network(), X, Y, epochs=3)
    fit(network(), X, Y, epochs=3, progress=False)
    assert capsys.readouterr() == ("", "")
    fit(network(), X, Y, epochs=3, progress=True)
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert "loss" in shown
    assert "epochs/s" in shown
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fit(network(), X, Y, epochs=4)
    assert "4/4" in capsys.readouterr().err


def test_the_progress_bar_has_what_counts_in_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    fit(network(), X, Y, epochs=3, progress=True)
    shown = capsys.readouterr().err
    assert "3/3, loss" in shown
    assert "epochs" not in shown


def test_a_history_says_how_it_went():
    history = fit(network(), X, Y, epochs=3)
    assert re.fullmatch(
        r"History\(3 epochs, loss [\d.]+ → [\d.]+, finished, python, [\d.]+ [mµ]?s\)",
        repr(history),
    )
    assert 0 < history.seconds < 60
    assert repr(History([], "interrupted", 0.5)) == "History(0 epochs, interrupted, 500 ms)"


def test_a_history_plots(tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    history = History([4.0, 2.0, math.nan], "diverged", 0.5)
    backend = matplotlib.get_backend()
    figure = history.plot(tmp_path / "loss.svg")
    assert matplotlib.get_backend() == backend
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )
    assert ET.parse(tmp_path / "loss.svg").getroot().tag.endswith("svg")
    (axes,) = figure.axes
    assert list(axes.lines[0].get_ydata())[:2] == [4.0, 2.0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "loss")
    assert history.plot(log=True).axes[0].get_yscale() == "log"
    history.plot(str(tmp_path / "loss.png"))
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(os.listdir(tmp_path)) == ["loss.png", "loss.svg"]


def test_without_matplotlib_the_error_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="matplotlib, which is not installed"):
        History([1.0], "finished", 0.1).plot()
