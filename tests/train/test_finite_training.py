"""What training leaves behind when it goes wrong: finite weights, whole steps, a loss an epoch."""

import math
import signal
import threading

import numpy as np
import pytest

import wengert as wg
from wengert.errors import OperandError
from wengert.train import run as training
from wengert.train.interrupts import OneInterrupt

TARGETS = ["python", "numpy", "native"]


def line(weights=(1.0, 1.0, 0.0)):
    net = wg.MLP(2, [1], "linear", seed=0)
    for parameter, number in zip(net.parameters(), weights, strict=True):
        parameter.data = number
    return net


def numbers(net):
    return [parameter.data for parameter in net.parameters()]


def root(prediction, target):
    """A loss that is finite where its derivative is not."""
    return wg.sqrt(prediction - target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("epochs", [1, 3])
def test_a_gradient_that_is_not_finite_leaves_the_last_finite_weights(target, epochs):
    net = line()
    history = wg.fit(
        net, [[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0], loss=root, epochs=epochs, target=target
    )
    assert numbers(net) == [1, 1, 0]
    assert history.stopped == "diverged"
    assert history.loss == [0.0]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("callback", [None, lambda *_: None])
def test_weights_that_grow_past_all_bounds_stop_at_the_last_finite_ones(target, callback):
    net = line()
    rows, targets = [[1.0, 2.0], [3.0, -1.0]], [1.0, -1.0]
    history = wg.fit(
        net, rows, targets, optimizer=wg.SGD(1e150), epochs=50, target=target, callback=callback
    )
    assert history.stopped == "diverged"
    assert all(map(math.isfinite, numbers(net)))
    again = line()
    whole = len(history.loss) - 1
    if whole:
        wg.fit(again, rows, targets, optimizer=wg.SGD(1e150), epochs=whole, target=target)
    assert numbers(net) == numbers(again)


@pytest.mark.parametrize("target", TARGETS)
def test_the_step_that_diverged_is_found_again_among_shuffled_batches(target, monkeypatch):
    """Many epochs in one go end in numbers that are not finite; one at a time, in the same ones."""
    draw = np.random.default_rng(0)
    X, Y = draw.normal(size=(12, 2)).tolist(), [1.0] * 11 + [1e307]
    settings = {"optimizer": wg.SGD(5.0), "batch_size": 3, "seed": 7, "target": target}
    ends = []
    for callback in (None, lambda *_: None):
        monkeypatch.setattr(training.Run, "epochs_in", lambda self, seconds, most: most)
        net = line()
        history = wg.fit(
            net, X, Y, epochs=5, loss=lambda p, t: abs(p - t) * t, callback=callback, **settings
        )
        assert history.stopped == "diverged"
        ends.append((numbers(net), history.loss))
    assert ends[0] == ends[1]
    assert all(map(math.isfinite, ends[0][0]))
    assert ends[0][0] != [1, 1, 0]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_what_a_callback_changed_stays_when_it_raises(target, error):
    net = line()

    def callback(epoch, loss, net):
        net.parameters()[0].data = 5.0
        if epoch == 1:
            raise error

    def run():
        return wg.fit(net, [[1.0, 0.0]], [0.5], epochs=9, target=target, callback=callback)

    if error is KeyError:
        with pytest.raises(KeyError):
            run()
    else:
        history = run()
        assert history.stopped == "interrupted"
        assert len(history.loss) == 2
    assert numbers(net)[0] == 5.0


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("bad", [None, "1.0", 1j, [1.0]])
def test_a_parameter_that_holds_no_number_is_the_same_error_everywhere(target, bad):
    net = line()
    net.parameters()[1].data = bad
    with pytest.raises(OperandError, match=r"parameter 1, .*expected a number"):
        wg.fit(net, [[1.0, 0.0]], [0.5], epochs=2, target=target)
    net = line()

    def callback(epoch, loss, net):
        net.parameters()[1].data = bad

    with pytest.raises(OperandError, match=r"parameter 1, .*expected a number"):
        wg.fit(net, [[1.0, 0.0]], [0.5], epochs=2, target=target, callback=callback)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("at", [0, 4, 12])
def test_an_interrupt_while_parameters_are_written_waits(target, at, monkeypatch):
    net = wg.MLP(2, [3, 1], seed=0)
    before = numbers(net)
    write = training.Run.write
    raised = []

    def interrupted(run):
        written = iter(range(at))

        class Slow(list):
            def __iter__(self):
                for parameter in super().__iter__():
                    if next(written, None) is None and not raised:
                        raised.append(True)
                        signal.raise_signal(signal.SIGINT)
                        signal.raise_signal(signal.SIGINT)
                    yield parameter

        run._parameters = Slow(run._parameters)
        write(run)

    monkeypatch.setattr(training.Run, "write", interrupted)
    history = wg.fit(net, [[1.0, 0.5]], [0.5], epochs=3, target=target)
    after = numbers(net)
    assert raised
    assert all(a != b for a, b in zip(after, before, strict=True))
    assert len(history.loss) == 3


def test_the_second_interrupt_does_nothing_until_it_is_expected():
    with OneInterrupt() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        interrupts.expect()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        interrupts.expect()
        interrupts.hold()
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_fit_runs_in_a_thread_that_hears_no_signals():
    net, found = line(), []
    thread = threading.Thread(
        target=lambda: found.append(wg.fit(net, [[1.0, 0.0]], [0.5], epochs=2).stopped)
    )
    thread.start()
    thread.join()
    assert found == ["finished"]


def test_two_interrupts_in_a_callback_end_in_whole_steps():
    net = line()

    def callback(epoch, loss, net):
        if epoch == 2:
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                signal.raise_signal(signal.SIGINT)

    history = wg.fit(net, [[1.0, 0.0]], [0.5], epochs=9, callback=callback)
    assert history.stopped == "interrupted"
    assert len(history.loss) == 3
    again = line()
    wg.fit(again, [[1.0, 0.0]], [0.5], epochs=3)
    assert numbers(net) == numbers(again)


def test_a_parameter_of_numpys_kind_is_saved_as_its_number(tmp_path):
    net = wg.MLP(1, [1], seed=0)
    net.parameters()[0].data = np.float32(0.1)
    net.parameters()[1].data = np.int64(3)
    net.save(tmp_path / "net.json")
    assert numbers(wg.load(tmp_path / "net.json")) == [float(np.float32(0.1)), 3]
    net.parameters()[0].data = "x"
    with pytest.raises(OperandError, match="'w0_0_0' is 'x'"):
        net.save(tmp_path / "net.json")
    assert numbers(wg.load(tmp_path / "net.json"))[1] == 3


@pytest.mark.parametrize("target", TARGETS)
def test_an_interrupt_after_the_last_step_does_not_lose_the_history(target, monkeypatch):
    net = line()
    remembered = training.Run.remembered

    def interrupted(run):
        signal.raise_signal(signal.SIGINT)
        return remembered(run)

    monkeypatch.setattr(training.Run, "remembered", interrupted)
    history = wg.fit(net, [[1.0, 0.5]], [0.5], epochs=3, target=target)
    assert (history.stopped, len(history.loss)) == ("finished", 3)
