"""Whole epochs in machine code: the python target's training, and Ctrl-C between two steps."""

import random
import signal
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import wengert as wg
from wengert.codegen.native import loop
from wengert.codegen.native.loop import NativeLoop
from wengert.errors import SpellingError
from wengert.train.step import training_step


def data(count=37, wide=3, seed=0):
    draw = random.Random(seed)
    X = [[draw.uniform(-1, 1) for _ in range(wide)] for _ in range(count)]
    return X, [draw.uniform(-1, 1) for _ in X]


def trained(target, X, Y, shape=None, **options):
    net = wg.MLP(3, *(shape or [[4, 4, 1]]), seed=0)
    history = wg.fit(net, X, Y, target=target, **options)
    return history, [p.data for p in net.parameters()]


@pytest.mark.parametrize("size", [None, 8, 5, 1])
@pytest.mark.parametrize(
    "optimizer", [wg.SGD(0.01), wg.Momentum(0.005), wg.Adam(0.01), wg.AdamW(0.01)], ids=repr
)
def test_training_takes_the_steps_of_the_python_target(optimizer, size):
    X, Y = data()
    options = {"optimizer": optimizer, "batch_size": size, "epochs": 12, "reduce": "mean"}
    python, expected = trained("python", X, Y, **options)
    native, got = trained("native", np.array(X), np.array(Y), **options)
    assert np.allclose(native.loss, python.loss, rtol=1e-11, atol=0)
    assert np.allclose(got, expected, rtol=1e-9, atol=1e-12)
    assert (native.target, native.reason, native.stopped) == (
        "native",
        "native: as asked",
        "finished",
    )


def test_several_outputs_and_classes():
    X, Y = data(20)
    labels = [int(y > 0) + int(y > 0.5) for y in Y]
    losses = []
    for target in ("python", "native"):
        net = wg.MLP(3, [5, 3], ["tanh", "linear"], seed=1)
        losses.append(wg.fit(net, X, labels, loss="cross_entropy", epochs=9, target=target).loss)
    assert np.allclose(*losses, rtol=1e-11)


def test_callbacks_see_every_epoch_and_may_move_parameters():
    X, Y = data(9)
    seen = {}
    for target in ("python", "native"):
        seen[target] = []

        def look(epoch, loss, net, rows=seen[target]):
            rows.append((epoch, loss))
            net.parameters()[0].data = 0.5
            return epoch == 6

        history, _ = trained(target, X, Y, callback=look, epochs=20)
        assert history.stopped == "callback"
    assert [epoch for epoch, _ in seen["native"]] == list(range(7))
    assert np.allclose(seen["native"], seen["python"], rtol=1e-11)


def test_a_loss_that_is_infinite_ends_it_before_the_step_is_taken():
    X, Y = data(9)
    options = {"optimizer": wg.SGD(1e30), "epochs": 50, "batch_size": 3}
    options["shape"] = ([2, 1], "linear")
    python, expected = trained("python", X, Y, **options)
    native, got = trained("native", X, Y, **options)
    assert native.stopped == python.stopped == "diverged"
    assert len(native.loss) == len(python.loss)
    assert np.allclose(got, expected, rtol=1e-9)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("watched", [loop.WATCHED, 0])
def test_ctrl_c_leaves_the_parameters_of_a_whole_step(watched, monkeypatch):
    monkeypatch.setattr(loop, "WATCHED", watched)
    X, Y = data(9)
    trained("native", X, Y, epochs=1, optimizer=wg.SGD(1e-4))  # compiled before the alarm is set
    main = threading.main_thread().ident
    alarm = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    start = time.monotonic()
    alarm.start()
    history, got = trained("native", X, Y, epochs=10**9, optimizer=wg.SGD(1e-4))
    alarm.join()
    assert history.stopped == "interrupted"
    assert time.monotonic() - start < 60
    assert history.epochs > 1
    # Each epoch is one step, and the parameters are those after as many.
    _, expected = trained("native", X, Y, epochs=history.epochs, optimizer=wg.SGD(1e-4))
    assert got == expected


@pytest.mark.parametrize("size", [None, 5])
def test_steps_that_may_take_long_are_the_same_steps(size, monkeypatch):
    X, Y = data(37)
    found = []
    for watched in (loop.WATCHED, 0):
        monkeypatch.setattr(loop, "WATCHED", watched)
        history, params = trained("native", X, Y, epochs=7, batch_size=size, seed=1)
        found.append((history.loss, params))
    assert found[0] == found[1]
    for optimizer in (wg.SGD(1e6), wg.SGD(1e-3)):
        history, _ = trained("native", X, [y * 1e200 for y in Y], epochs=30, optimizer=optimizer)
        assert history.stopped == "diverged"


def test_the_same_seed_gives_the_same_bits():
    X, Y = data()
    runs = [trained("native", X, Y, batch_size=4, epochs=5, seed=3) for _ in range(2)]
    assert runs[0][0].loss == runs[1][0].loss
    assert runs[0][1] == runs[1][1]


def test_auto_compiles_what_will_run_for_long(monkeypatch):
    from wengert.train import choice

    X, Y = data(9)
    history, _ = trained("auto", X, Y, epochs=3)
    assert history.target == "python"
    monkeypatch.setattr(choice, "_LOADING", 0.0)
    monkeypatch.setattr(choice, "_COMPILING", 0.0)
    history, _ = trained("auto", X, Y, epochs=3)
    assert history.target == "native"
    assert "as machine code about" in history.reason
    monkeypatch.setattr(choice, "available", lambda: False)
    history, _ = trained("auto", X, Y, epochs=3)
    assert history.target == "python"
    assert history.reason.count("pip install llvmlite") == 1


def test_the_loop_is_for_native_steps():
    with pytest.raises(SpellingError, match="'native' target, not 'python'"):
        NativeLoop(training_step(wg.MLP(2, [1], seed=0)))
