"""Large batches on several threads: the same numbers bit for bit, however many there are."""

import ctypes
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from test_statement_target import arguments_of, network

from wengert.codegen.compiled import compile
from wengert.codegen.native import caller, threads
from wengert.codegen.native import code as native_code
from wengert.derive.backward import grad
from wengert.errors import SettingError


@pytest.fixture(autouse=True)
def _little_is_large(monkeypatch):
    monkeypatch.setattr(threads, "WORTH", 1)
    monkeypatch.setattr(threads, "MOVED", 0)


def gradient_of(sizes, seen, monkeypatch, **options):
    """The compiled loss and gradient of a network, which may have so many threads."""
    monkeypatch.setenv(threads.VARIABLE, str(seen))
    options = {"name": f"with_{seen}", **options}  # a function of the same name is remembered
    net, _, inputs, value = network(sizes, "tanh", "squared_error")
    outputs = {"loss": value, "grad": grad(value, net.parameters()), "rows": [value]}
    outputs = outputs if options.get("reduce", "sum") is None else dict(list(outputs.items())[:2])
    return compile(inputs, outputs, target="native", batch=("x", "y"), **options)


SIZES = ([8, 32, 8], [3, 4, 2])
"""A network that becomes loops, and one that is written one operation a line."""


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(
    "options", [{}, {"reduce": None}, {"reduce": "mean"}, {"dtype": "float32"}]
)
def test_results_do_not_depend_on_the_number_of_threads(options, sizes, monkeypatch):
    found = []
    for seen in (1, 2, 5):
        f = gradient_of(sizes, seen, monkeypatch, **options)
        arguments = arguments_of(f.program, 1601)
        results = [f(*arguments) for _ in range(5)]
        flat = [np.concatenate([np.ravel(r[key]) for key in r]) for r in results]
        found += [one.tobytes() for one in flat]
    assert len(set(found)) == 1


@pytest.mark.parametrize("sizes", SIZES)
def test_what_parts_come_to_is_what_the_whole_comes_to(sizes, monkeypatch):
    f = gradient_of(sizes, 2, monkeypatch)
    monkeypatch.undo()
    whole = gradient_of(sizes, 2, monkeypatch, name="other")
    assert "on up to 2 threads" in f.report()
    assert f.report() != whole.report()
    for samples in (0, 1, 511, 512, 513, 1600, 9001):
        arguments = arguments_of(f.program, samples)
        one, other = f(*arguments), whole(*arguments)
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-13)
        np.testing.assert_allclose(one["grad"], other["grad"], 1e-11, 1e-12)


def test_callers_on_several_threads_and_in_a_forked_process(monkeypatch):
    f = gradient_of([8, 32, 8], 2, monkeypatch)
    arguments = arguments_of(f.program, 2000)
    expected = f(*arguments)["grad"].tobytes()
    found = []

    def work():
        found.extend(f(*arguments)["grad"].tobytes() for _ in range(10))

    callers = [threading.Thread(target=work) for _ in range(4)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    assert set(found) == {expected}
    assert len(found) == 40
    if hasattr(os, "fork"):
        script = (
            "import os, sys; sys.path[:0] = sys.argv[1:]\n"
            "import pytest; import test_native_threads as t; m = pytest.MonkeyPatch()\n"
            "m.setattr(t.threads, 'WORTH', 1); m.setattr(t.threads, 'MOVED', 0)\n"
            "f = t.gradient_of([8, 32, 8], 2, m); a = t.arguments_of(f.program, 2000)\n"
            "first = f(*a)['grad'].tobytes(); child = os.fork()\n"
            "if not child: os._exit(f(*a)['grad'].tobytes() != first)\n"
            "sys.exit(os.waitpid(child, 0)[1])\n"
        )
        done = subprocess.run([sys.executable, "-c", script, *sys.path], timeout=60)
        assert done.returncode == 0


@pytest.mark.parametrize("sizes", SIZES)
def test_a_call_that_is_told_to_stop_ends_after_a_block(sizes, monkeypatch):
    f = gradient_of(sizes, 1, monkeypatch, name="stopping")
    code = caller.code_of(f.function)
    params, X, Y = arguments_of(f.program, 511)
    X, Y = X * 0 + 1, Y * 0 + 2
    losses = []
    for flag in (ctypes.c_int64(0), ctypes.c_int64(1)):
        layout = code.layout
        batch = native_code._addresses([X, Y]) if layout.rows else code.blocks([X, Y])
        groups, scratch = native_code._addresses([params]), np.empty(layout.room(511))
        out = np.empty(layout.numbers)
        scratch.view(np.int64)[0] = ctypes.addressof(flag)
        places = [array.ctypes.data for array in (groups, batch, out, scratch)]
        code._run(places[0], places[1], 511, places[2], places[3])
        losses.append(out[0])
    assert losses[0] == pytest.approx(f(params, X, Y)["loss"])
    assert losses[1] <= 0.6 * losses[0]


def test_small_work_stays_on_one_thread():
    found = threads.parts(1_000, 10, 8, 256)
    if found is not None:
        assert found.least * 1_000 >= threads.WORTH
        assert found.least % 256 == 0


def test_the_environment_says_how_many(monkeypatch):
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    assert threads.threads() >= 1
    if hasattr(os, "sched_getaffinity"):
        assert threads.threads() == min(threads.MOST_THREADS, len(os.sched_getaffinity(0)))
    monkeypatch.setenv(threads.VARIABLE, "3")
    assert threads.threads() == 3
    for wrong in ("0", "-1", "two", "1.5"):
        monkeypatch.setenv(threads.VARIABLE, wrong)
        with pytest.raises(SettingError, match="expected a whole number from 1 on"):
            threads.threads()


def test_without_threads_of_the_system_all_is_one_part(monkeypatch):
    monkeypatch.setattr(threads, "library_address", lambda name: 0)
    f = gradient_of([8, 32, 8], 2, monkeypatch, name="single")
    assert "threads" not in f.report()
    arguments = arguments_of(f.program, 600)
    assert np.isfinite(f(*arguments)["grad"]).all()


def test_the_number_of_threads_is_set_where_code_is_loaded(monkeypatch):
    f = gradient_of([8, 32, 8], 7, monkeypatch, name="seven")
    code = caller.code_of(f.function)
    assert ctypes.c_int64.from_address(code._library["threads"]).value == 7
