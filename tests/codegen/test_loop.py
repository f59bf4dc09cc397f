"""Whole training loops against the same steps taken one by one."""

import math
import signal

import pytest

from wengert.codegen.compiled import compile
from wengert.codegen.scalar.loop import Loop, take_steps
from wengert.derive.backward import grad
from wengert.errors import SpellingError
from wengert.graph.expr import Graph
from wengert.ops import scalar as ops
from wengert.train.nn import MLP
from wengert.train.optim import SGD, Adam, AdamW, Momentum
from wengert.train.step import training_step

X = [[2.0, 3.0], [3.0, -1.0], [0.5, 1.0], [1.0, 1.0]]
Y = [1.0, -1.0, -1.0, 1.0]


def start(step_of, optimizer, **options):
    net = MLP(2, [4, 1], seed=1)
    params = [float(p.data) for p in net.parameters()]
    return step_of(net, optimizer=optimizer, **options), params, optimizer.state(len(params))


@pytest.mark.parametrize(
    "optimizer", [SGD(0.05), Momentum(0.02), Adam(0.05), AdamW(0.05)], ids=repr
)
@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_a_loop_does_bit_for_bit_what_its_steps_do(optimizer, reduce):
    step, params, state = start(training_step, optimizer, reduce=reduce)
    steps = [(X, Y), (X[:2], Y[:2]), (X[2:], Y[2:])] * 20
    assert Loop(step)(params, state, steps) == take_steps(step, params, state, steps)


def raising_step():
    """A step that raises in Python once w is large, though its loss stays finite."""
    g = Graph()
    w, x = g.input("w"), g.input("X0")
    loss = ops.minimum(ops.exp(w * x), 5.0)
    outputs = {"loss": ops.total(loss), "params": [w + 100.0], "state": []}
    return compile({"params": [w], "state": [], "X": x}, outputs, batch="X", name="step")


def test_steps_that_raise_are_taken_with_ieee_arithmetic():
    progress = Loop(raising_step())([0.0], [], [([1.0],)] * 12)
    assert progress.losses == [1.0] + [5.0] * 11
    assert progress.params == [1200.0]
    assert progress.stopped == "finished"
    assert progress == take_steps(raising_step(), [0.0], [], [([1.0],)] * 12)


def test_a_loss_that_is_not_finite_stops_before_its_update():
    g = Graph()
    w, x = g.input("w"), g.input("X0")
    loss = w * w * x
    new = w - 1e160 * ops.total(grad(loss, w))
    outputs = {"loss": ops.total(loss), "params": [new], "state": []}
    step = compile({"params": [w], "state": [], "X": x}, outputs, batch="X")
    for progress in (
        Loop(step)([1.0], [], [([1.0],)] * 9),
        take_steps(step, [1.0], [], [([1.0],)] * 9),
    ):
        assert progress.stopped == "diverged"
        assert len(progress.losses) == 2
        assert math.isinf(progress.losses[1])
        assert math.isfinite(progress.params[0])


class Interrupting(list):
    """Rows during which Ctrl-C is pressed."""

    def __iter__(self):
        signal.raise_signal(signal.SIGINT)
        return super().__iter__()


@pytest.mark.parametrize("take", [lambda step, *a: Loop(step)(*a), take_steps])
def test_ctrl_c_keeps_the_last_whole_step(take):
    step, params, state = start(training_step, Adam(0.05))
    two = take_steps(step, params, state, [(X, Y)] * 2)
    progress = take(step, params, state, [(X, Y), (X, Y), (Interrupting(X), Y), (X, Y)])
    assert progress.stopped == "interrupted"
    assert (progress.params, progress.state) == (two.params, two.state)


def test_hostile_names_do_not_meet_the_loops_own():
    g = Graph()
    names = ["steps", "losses", "stopped", "train"]
    params = [g.input(name) for name in names]
    x = g.input("x")
    loss = sum((p * x for p in params), g.constant(0.0))
    outputs = {"loss": ops.total(loss), "params": [p * 0.5 for p in params], "state": []}
    step = compile({"params": params, "state": [], "X": x}, outputs, batch="X", name="train_")
    progress = Loop(step)([1.0, 2.0, 3.0, 4.0], [], [([1.0],)] * 2)
    assert progress.losses == [10.0, 5.0]
    assert progress.params == [0.25, 0.5, 0.75, 1.0]


def test_loops_are_for_the_python_target():
    step, _, _ = start(training_step, SGD(0.1))
    step.target = "numpy"
    with pytest.raises(SpellingError, match="'python' target, not 'numpy'"):
        Loop(step)


def test_the_source_is_readable_and_deterministic():
    sources = {Loop(start(training_step, SGD(0.1))[0]).source for _ in range(2)}
    (source,) = sources
    assert "def train(params, state, steps):" in source
    assert "for X, Y in steps:" in source


def test_new_parameters_are_computed_where_they_take_their_places():
    step, _, _ = start(training_step, SGD(0.1), reduce="mean")
    lines = [line.strip() for line in Loop(step).source.splitlines()]
    first, last = lines.index(") = ("), lines.index("losses.append(loss)", lines.index(") = ("))
    updates = [i for i, line in enumerate(lines) if " - 0.1*(d" in line]
    assert lines[updates[0]].startswith("w0_0_0 - 0.1*(dw0_0_0_total/samples), ")
    assert first < updates[0] < updates[-1] < last
    assert "loss = sample_loss_total/samples" in lines, "which is read again, and has a name"
    assert "if loss - loss != 0.0:" in lines
