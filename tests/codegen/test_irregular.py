"""Scalars of which few are alike, in the numpy target: one by one, on numbers or on columns."""

import pickle
import random
import warnings

import numpy as np
import pytest

from wengert.codegen.array import irregular
from wengert.codegen.array.function import ArrayFunction
from wengert.codegen.compiled import compile
from wengert.codegen.program import Program
from wengert.derive.backward import grad
from wengert.errors import NonFiniteError, ShapeError
from wengert.graph.expr import Graph
from wengert.ops import scalar as ops

UNARY = ("tanh", "sin", "cos", "exp", "sigmoid", "softplus", "relu")


def tangle(count, seed, inputs=6):
    """Inputs and an expression of so many steps, each of any two of the last ones."""
    draw, g = random.Random(seed), Graph()
    x = g.inputs("x", inputs)
    pool = list(x)
    for _ in range(count):
        a, b = draw.choices(pool[-30:], k=2)
        kind = draw.random()
        if kind < 0.25:
            pool.append(a + b * draw.uniform(-1, 1))
        elif kind < 0.5:
            pool.append(a * b)
        elif kind < 0.6:
            pool.append(a / (1 + b * b))
        elif kind < 0.7:
            pool.append(ops.where(a > b, a - b, 0.5))
        else:
            pool.append(getattr(a * 0.1, draw.choice(UNARY))())
    return x, sum(pool[-8:])


def compiled(x, y, target="numpy", **options):
    outputs = {"y": y, "grad": grad(y, x, allow_unused=True), "some": [[y, 2 * y], {"x": x[0]}]}
    return compile({"x": x}, outputs, target=target, **options)


def assert_same(found, wanted):
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for key in wanted:
            assert_same(found[key], wanted[key])
    elif isinstance(found, list):
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    else:
        assert isinstance(found, (np.ndarray, np.float64))
        np.testing.assert_allclose(found, np.array(wanted, float), 1e-9, 1e-12)


@pytest.mark.parametrize("reduce", ["sum", "mean", None])
@pytest.mark.parametrize("samples", [None, 0, 1, 7])
def test_it_computes_what_the_python_target_does(samples, reduce, monkeypatch):
    monkeypatch.setattr(irregular, "FEW", 10)
    x, y = tangle(40, seed=samples or 3)
    batch = () if samples is None else ("x",)
    fast, plain = (compiled(x, y, t, batch=batch, reduce=reduce) for t in ("numpy", "python"))
    assert isinstance(fast.program, Program)
    given = np.random.default_rng(1).normal(
        size=(len(x),) if samples is None else (samples, len(x))
    )
    kept = given.copy()
    found = fast(given)
    if samples != 0 or reduce == "sum":
        assert_same(found, plain(given.tolist()))
    np.testing.assert_array_equal(given, kept)
    assert_same(fast(given.tolist()), found)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [12, 24])
def test_a_few_shapes_are_statements_however_irregular(count, seed):
    x, y = tangle(count, seed)
    options = {"batch": "x"}
    fast, plain = (compiled(x, y, target, **options) for target in ("numpy", "python"))
    assert isinstance(fast.program, ArrayFunction)
    given = np.random.default_rng(seed).normal(size=(9, len(x)))
    assert_same(fast(given), plain(given.tolist()))


@pytest.mark.parametrize("batch", [(), ("x",)])
def test_many_are_left_alone_and_the_report_says_how_many_and_why(batch):
    x, y = tangle(250, seed=1, inputs=12)
    fast, plain = (compiled(x, y, target, batch=batch) for target in ("numpy", "python"))
    report = str(fast.report())
    assert "too irregular for arrays, so that each is computed by itself" in report
    assert "are the only ones of their shape" in report
    assert isinstance(fast.program, Program)
    given = np.random.default_rng(0).normal(size=(5, 12) if batch else 12) / 2
    assert_same(fast(given), plain(given.tolist()))
    assert ("with 1,000" in report) == bool(batch)


@pytest.mark.parametrize("batch", [(), ("x",)])
def test_what_python_raises_at_is_inf_or_nan(batch, monkeypatch):
    monkeypatch.setattr(irregular, "FEW", 1)
    g = Graph()
    x = g.inputs("x", 2)
    wanted = [
        x[0] / x[1],
        ops.log(x[1] - 1),
        ops.exp(x[0] * 900),
        ops.where(x[0] > x[1], 1.0, x[1]),
    ]
    f = compile({"x": x}, wanted, target="numpy", batch=batch, reduce=None)
    assert isinstance(f.program, Program)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = np.ravel(f(np.array([[1.0, 0.0]]) if batch else np.array([1.0, 0.0])))
    np.testing.assert_array_equal(found, [np.inf, np.nan, np.inf, 1.0])


def test_arguments_are_read_and_refused_as_by_every_target(monkeypatch):
    monkeypatch.setattr(irregular, "FEW", 1)
    g = Graph()
    x, s = g.inputs("x", 2), g.input("s")
    wanted = {"p": [x[0] * s, x[1].tanh()], "q": (x[0] > s) * 1.0}
    f = compile({"x": x, "s": s}, wanted, target="numpy", batch="x", reduce=None)
    assert isinstance(f.program, Program)
    found = f([[3, 1], [0.5, 2]], s=2)
    np.testing.assert_allclose(found["p"], [[6, 1], np.tanh([1, 2])])
    np.testing.assert_array_equal(found["q"], [1.0, 0.0])
    with pytest.raises(ShapeError, match="'x'"):
        f([[1, 2, 3]], 2.0)
    again = pickle.loads(pickle.dumps(f))
    np.testing.assert_array_equal(again([[3, 1]], 2)["p"], f([[3, 1]], 2)["p"])


def test_check_names_what_is_not_finite_and_gives_arrays(monkeypatch):
    monkeypatch.setattr(irregular, "FEW", 1)
    g = Graph()
    x = g.inputs("x", 2)
    f = compile({"x": x}, [x[0] / x[1], ops.log(x[0])], target="numpy", check=True)
    assert isinstance(f.program, Program)
    assert isinstance(f(np.array([1.0, 2.0])), np.ndarray)
    with pytest.raises(NonFiniteError):
        f([1.0, 0.0])


def test_a_kept_function_is_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(irregular, "FEW", 10)
    x, y = tangle(30, seed=5)
    one, two = (compiled(x, y, batch="x", cache_dir=tmp_path) for _ in range(2))
    assert one.source == two.source
    told = [str(f.report()).splitlines()[0] for f in (one, two)]
    assert told[0] == told[1]
    assert "each is computed by itself" in told[1]
    given = np.random.default_rng(0).normal(size=(3, len(x)))
    assert_same(two(given), one(given))


def test_numbers_of_float32_are_statements():
    x, y = tangle(30, seed=2)
    f = compiled(x, y, batch="x", dtype="float32")
    assert isinstance(f.program, ArrayFunction)
    assert f(np.ones((2, len(x))))["grad"].dtype == np.float32


def test_a_function_is_computed_as_its_derivative_reads_it():
    x, y = tangle(1_300, 3)
    bounded = [ops.tanh(y), ops.sin(y), ops.cos(y)]
    loss = ops.log(sum(ops.exp(900.0 + part) for part in bounded))
    outputs = {"loss": loss, "grad": grad(loss, x, allow_unused=True)}
    f = compile({"x": x}, outputs, target="numpy")
    assert isinstance(f.program, Program)
    assert 899 < f(np.full(len(x), 0.3))["loss"] < 903
