"""The choice of a target: what it counts, what it decides, and what it says about it."""

import re
import sys

import pytest

from wengert.codegen import compiled
from wengert.codegen.array import statementpipeline
from wengert.errors import SizeError, UnknownNameError
from wengert.graph.expr import Graph
from wengert.ops import scalar as ops
from wengert.ops import shapes
from wengert.train import choice
from wengert.train.choice import (
    AUTO,
    array_microseconds,
    check_memory,
    check_target,
    duration,
    work_of,
)
from wengert.train.fit import fit
from wengert.train.nn import MLP
from wengert.train.optim import SGD, Adam
from wengert.train.step import training_step


def trained(sizes, samples, *, optimizer="sgd", target=AUTO, loss="squared_error", batch=None):
    net = MLP(sizes[0], sizes[1:], "tanh", init="xavier", seed=0)
    rows = [[0.1 * ((i * 7 + j) % 10) for j in range(sizes[0])] for i in range(samples)]
    targets = [float(i % 2) for i in range(samples)]
    return fit(
        net, rows, targets, loss=loss, optimizer=optimizer, epochs=1, target=target,
        batch_size=batch,
    )  # fmt: skip


# What is chosen


def test_the_notebooks_network_goes_to_python():
    history = trained([2, 4, 4, 1], 4)
    assert history.target == "python"
    assert re.fullmatch(
        r"python: \d+ operations a sample x 4 samples and \d+ to update, about [\d.]+ µs a step: "
        r"too small for arrays to gain",
        history.reason,
    )


def test_a_small_step_is_not_even_rolled(monkeypatch):
    def rolled(*asked):
        raise AssertionError("rolled")

    monkeypatch.setattr(statementpipeline, "roll_if_regular", rolled)
    assert trained([2, 16, 16, 1], 1).target == "python"
    with pytest.raises(AssertionError, match="rolled"):
        trained([2, 16, 16, 1], 100)


def test_many_operations_go_to_numpy():
    history = trained([64, 32, 10], 64, optimizer=Adam(), loss="cross_entropy", batch=32)
    assert history.target == "numpy"
    assert re.fullmatch(
        r"numpy: 10,\d{3} operations a sample x 32 samples and \d\d,\d{3} to update, "
        r"about [\d.]+ ms a step in Python; as \d+ array operations about \d+ µs",
        history.reason,
    )
    assert re.match(r"History\(1 epoch, loss .*, numpy, [\d.]+ (µs|ms|s)\)", repr(history))


def test_what_is_asked_for_is_taken():
    for target in ("python", "numpy"):
        history = trained([2, 4, 4, 1], 4, target=target)
        assert (history.target, history.reason) == (target, f"{target}: as asked")


def test_a_step_alone_is_chosen_by_the_samples_it_will_get():
    net = MLP(3, [16, 16, 1], seed=0)
    assert training_step(net, target="auto", samples=1).target == "python"
    assert training_step(net, target="auto", samples=100).target == "numpy"
    assert training_step(net).target == "python"


class Irregular:
    """Parameters in a tangle: no two of its neurons do the same."""

    nin = 2

    def __init__(self, size=400):
        source = MLP(size, [1], seed=0)
        self._w = source.parameters()[:size]

    def __call__(self, x):
        unary = [ops.TANH, ops.SIN, ops.SOFTPLUS, ops.SIGMOID, ops.EXP]
        y = x[0]
        for i, w in enumerate(self._w):
            y = unary[i % 5](y * w + x[i % 2]) if i % 3 else y - unary[i % 5](w * x[i % 2])
        return y

    def parameters(self):
        return self._w


def test_a_network_too_irregular_to_gain_stays_python_and_says_so():
    history = fit(Irregular(), [[0.5, 0.25]], [1.0], epochs=1, optimizer=SGD(1e-6))
    assert history.target == "python"
    assert re.search(
        r"a step; too irregular to gain: as [\d,]+ array operations about [\d.]+ (µs|ms)$",
        history.reason,
    )


def test_a_regular_network_may_be_too_small_to_gain(monkeypatch):
    monkeypatch.setattr(choice, "SMALL", 0.0)
    history = trained([2, 4, 4, 1], 1, optimizer="adam")
    assert re.search(r"; too small for arrays to gain: as \d+ array operations", history.reason)


def test_an_unknown_target_lists_what_there_is():
    with pytest.raises(
        UnknownNameError, match=r"'nunpy'; did you mean 'numpy'\? Known: auto, .*py"
    ):
        trained([2, 1], 1, target="nunpy")
    with pytest.raises(
        UnknownNameError, match="Known: auto, javascript, jax, native, numpy, python, torch"
    ):
        check_target(["python"])
    check_target("auto")


# Memory


def test_a_step_past_the_limit_of_memory_is_refused_before_anything_changes(monkeypatch):
    monkeypatch.setattr(choice, "MAX_BYTES", 8 * 3 * 16)
    net = MLP(2, [3, 1], seed=0)
    before = [p.data for p in net.parameters()]
    rows, targets = [[0.5, 0.25]] * 17, [1.0] * 17
    with pytest.raises(SizeError, match=r"step: 17 samples need an array of 408 bytes; .* 384 by"):
        fit(net, rows, targets, epochs=1, target="numpy")
    assert [p.data for p in net.parameters()] == before
    assert fit(net, rows, targets, epochs=1, target="numpy", batch_size=16).epochs == 1


def test_arrays_past_the_limit_are_not_chosen(monkeypatch):
    monkeypatch.setattr(choice, "SMALL", 0.0)
    monkeypatch.setattr(choice, "MAX_BYTES", 8 * 3)
    history = trained([2, 3, 1], 17)
    assert history.target == "python"
    assert "NumPy is out of the question: step: 17 samples need an array" in history.reason


def test_the_limit_holds_for_the_arguments_too():
    g = Graph()
    x = g.inputs("x", 1000)
    f = compiled.compile({"x": x}, x[0] * 2, target="numpy", batch="x")
    check_memory(f, shapes.MAX_BYTES // 8000)
    with pytest.raises(SizeError):
        check_memory(f, shapes.MAX_BYTES // 8000 + 1)
    check_memory(compiled.compile({"x": x}, x[0] * 2, batch="x"), 10**12)


# The model


def test_operations_are_counted_by_how_often_they_run():
    g = Graph()
    w, x = g.input("w"), g.input("x")
    loss = (w * x).tanh()
    step = w - 0.1 * ops.TOTAL(loss * x)
    work = work_of({"params": [w], "x": x}, {"loss": ops.TOTAL(loss), "params": [step]}, ["x"])
    # w*x, tanh, loss*x and two totals; then 0.1*total and w minus that
    assert (work.each, work.update, work.carried) == (5, 2, 1)
    assert work.microseconds(100) > 90 * (work.microseconds(2) - work.microseconds(1))
    assert work.text(1) == "5 operations a sample x 1 sample and 2 to update"


def test_more_samples_cost_arrays_more():
    net = MLP(8, [8, 1], seed=0)
    program = training_step(net, target="numpy").program
    few, many = array_microseconds(program, 1), array_microseconds(program, 100_000)
    assert 5 < few < 200
    assert many > 100 * few


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(0.0512, "0.051 µs"), (660.2, "660 µs"), (1000.0, "1 ms"), (2.5e5, "250 ms"), (9e6, "9 s")],
)
def test_durations_are_short(microseconds, text):
    assert duration(microseconds) == text


# Work, counted in calls


def calls_to_compile(width: int, samples_loop: bool) -> int:
    """How many functions are called to compile a step with as many outputs as parameters."""
    g = Graph()
    params, x = g.inputs("w", width), g.input("x")
    outputs = {"loss": ops.TOTAL(x * 1.5), "params": [w - 0.1 * ops.TOTAL(w * x) for w in params]}
    count = 0

    def counted(frame, event, argument):
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        step = compiled.compile(
            {"params": params, "x": x}, outputs, batch=("x",) if samples_loop else ()
        )
    finally:
        sys.setprofile(before)
    if width < 10:
        assert len(step([1.0] * width, [2.0] if samples_loop else 2.0)["params"]) == width
    return count


@pytest.mark.parametrize("samples_loop", [True, False])
def test_compiling_a_step_is_linear_in_its_outputs(samples_loop):
    calls_to_compile(4, samples_loop)  # what is computed once is computed now
    small, large = (calls_to_compile(width, samples_loop) for width in (500, 4000))
    assert large < 1.5 * 8 * small
