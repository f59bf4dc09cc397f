"""What a compile call made is what is verified: batch, dtype, outputs and target included."""

import math
from itertools import product

import numpy as np
import pytest

import wengert as wg


def regression(target="python", reduce="sum", **options):
    """A loss of which one term does not mention the samples, and its gradient."""
    graph = wg.Graph()
    w, b, x, y = (graph.input(name) for name in "wbxy")
    loss = (w * x - y) ** 2 + 0.1 * b**2
    outputs = {"loss": loss, "grad": wg.grad(loss, [w, b])}
    inputs = {"w": w, "b": b, "x": x, "y": y}
    return wg.compile(inputs, outputs, batch=("x", "y"), target=target, reduce=reduce, **options)


def compiled_check(verification):
    """The check of the very function."""
    first = verification.checks[0]
    assert first.name == "compiled"
    return first


@pytest.mark.parametrize(
    ("target", "reduce"), list(product(["python", "numpy"], ["sum", "mean", None]))
)
def test_a_right_function_is_found_right(target, reduce):
    verification = regression(target, reduce).verify(seconds=0.1)
    assert verification
    assert compiled_check(verification).over == "3 batches"
    assert "rule" in {check.name for check in verification}, "its gradient is judged as well"


def test_verify_takes_a_function():
    found = wg.verify(regression(), seconds=0.1)
    assert found.checks == regression().verify(seconds=0.1).checks


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: {**found, "loss": found["loss"] * (1 + 1e-6)},
        lambda found: {**found, "grad": found["grad"][::-1]},
        lambda found: {**found, "grad": [found["grad"][0], found["grad"][1] / 3]},
        lambda found: {**found, "grad": [math.nan, found["grad"][1]]},
        lambda found: {**found, "grad": found["grad"][:1]},
        lambda found: {"grad": found["grad"]},
        lambda found: {**found, "loss": [found["loss"]]},
        lambda found: None,
        lambda found: found["nothing"],
    ],
)
@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_a_function_that_gives_something_else_is_found_wrong(spoil, reduce):
    f = regression(reduce=reduce)
    right = f.function
    f.function = lambda *arguments: spoil(right(*arguments))
    check = compiled_check(f.verify(seconds=0.1))
    assert not check.held
    assert check.detail


def test_what_is_not_summed_over_the_samples_is_found():
    """The judge adds up every output over the samples, whether or not it mentions them."""
    f = regression()
    right = f.function

    def wrong(w, b, x, y):
        found = right(w, b, x, y)
        return {**found, "grad": [found["grad"][0], 0.2 * b]}

    f.function = wrong
    assert "['grad'][1]" in compiled_check(f.verify(seconds=0.1)).detail


@pytest.mark.parametrize(("dtype", "held"), [("float32", True), ("float64", False)])
def test_a_function_is_judged_by_its_dtype(dtype, held):
    f = regression("numpy", dtype=dtype)
    single = regression("numpy", dtype="float32")
    f._prepare, f.function = single._prepare, single.function
    assert compiled_check(f.verify(seconds=0.1)).held is held


def test_at_arguments_of_ones_own():
    f = regression()
    at = {"w": 2.0, "b": 3.0, "x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 2.0]}
    assert f.verify(at=at, seconds=0.1)
    with pytest.raises(wg.ShapeError, match="missing: y"):
        f.verify(at={"w": 2.0, "b": 3.0, "x": [1.0]})
    with pytest.raises(wg.ShapeError):
        f.verify(at={**at, "y": [1.0]})


def test_arrays_and_rows_and_totals():
    graph = wg.Graph()
    W, x, c = graph.array("W", (2, 3)), graph.array("x", 3), graph.inputs("c", 2)
    h = W @ x
    outputs = {"h": h, "scaled": h * c[0], "squared": (h.sum() - c[1]) ** 2}
    for batch in ((), "x"):
        f = wg.compile({"W": W, "x": x, "c": c}, outputs, target="numpy", batch=batch)
        assert f.verify(seconds=0.1)
    graph = wg.Graph()
    x, y = graph.input("x"), graph.input("y")
    mean = wg.total(x) / wg.total(graph.constant(1))
    f = wg.compile({"x": x, "y": y}, {"v": x * y, "m": mean * y}, batch="x", reduce=None)
    assert f.verify(seconds=0.1)


def test_a_function_that_is_never_finite_is_not_called_right():
    graph = wg.Graph()
    x = graph.input("x")
    verification = wg.compile({"x": x}, wg.log(-1 - x * x)).verify(seconds=0.1)
    assert not verification
    assert "no arguments found" in verification.failures[0].detail


def test_what_is_no_question():
    graph = wg.Graph()
    x = graph.input("x")
    with pytest.raises(wg.OperandError, match="by which leaves"):
        wg.verify(x * x)
    with pytest.raises(wg.OperandError, match="takes no leaves"):
        wg.verify(wg.compile({"x": x}, x * x), [x])


def test_a_function_from_a_pickle_or_the_disk_knows_what_it_was_asked_for(tmp_path):
    import pickle

    folder = tmp_path / "cache"
    for _ in range(2):
        f = regression(reduce="mean", cache_dir=folder)
        assert f.verify(seconds=0.1)
    assert pickle.loads(pickle.dumps(f)).verify(seconds=0.1)


def test_two_reductions_of_one_graph_are_not_taken_for_each_other():
    """They may share what was built before, but not the question."""
    for reduce in ("sum", "mean", None):
        graph = wg.Graph()
        x = graph.input("x")
        f = wg.compile({"x": x}, 3 * x, batch="x", reduce=reduce)
        assert f.verify(seconds=0.1)
        assert np.shape(f([1.0, 2.0])) == ((2,) if reduce is None else ())
