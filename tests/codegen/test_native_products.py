"""Products of matrices in blocks: the bits of plain loops, on any number of threads."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import test_native_loops
from test_printed_statements import PARAMS, drawn, function, names

from wengert.arrays.interpret import run
from wengert.arrays.statements import Output
from wengert.codegen.array.function import ArrayGroup, Vector
from wengert.codegen.compiled import compile
from wengert.codegen.native import arrays, caller, native, products, threads
from wengert.derive.backward import grad
from wengert.graph.expr import Graph


@pytest.fixture
def small(monkeypatch):
    """Everything is worth blocks, which are small."""
    for name, value in {"LEAST": 1, "ROWS": 1, "DEEP": 5, "BROAD": 2, "SHARED": 1}.items():
        monkeypatch.setattr(products, name, value)


def blocks(f):
    """How many products are in blocks."""
    return caller.code_of(f.function).layout.products


PROGRAMS = {
    "plain": lambda A, B, C: A @ B,
    "first transposed": lambda A, B, C: (A.T + 0.0).T @ B,
    "second transposed": lambda A, B, C: A @ (B.T * 1.0).T,
    "both transposed": lambda A, B, C: B.T @ A.T,
    "added to": lambda A, B, C: C + A @ B,
    "what is added": lambda A, B, C: A @ B + C,
    "subtracted": lambda A, B, C: C - A @ B,
    "of parts": lambda A, B, C: A[1:, 2:] @ B[2:, 1:],
    "of every other": lambda A, B, C: A[::2] @ B[:, ::2],
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("float64", (29, 17, 45)), ("float64", (13, 1, 16)), ("float32", (40, 11, 35))],
)
def test_blocks_give_the_numbers_of_plain_loops(name, shape, dtype, monkeypatch, request):
    m, k, n = shape
    draw = np.random.default_rng(0)
    given = [draw.normal(size=s).astype(dtype) for s in ((m, k), (k, n), (m, n))]

    def made(called):
        g = Graph()
        A, B, C = (g.array(x, part.shape) for x, part in zip("ABC", given, strict=True))
        out = PROGRAMS[name](A, B, C)
        return compile({"A": A, "B": B, "C": C}, out, target="native", dtype=dtype, name=called)

    if name == "of parts" and k < 3:
        pytest.skip("nothing is left")
    monkeypatch.setattr(products, "LEAST", 10**12)
    expected = made("plain")(*given)
    request.getfixturevalue("small")
    monkeypatch.setattr(products, "LEAST", 1)
    for count in (1, 3):
        monkeypatch.setenv(threads.VARIABLE, str(count))
        f = made(f"on_{count}")
        if k > 1:
            assert blocks(f) == 1
        assert f(*given).tobytes() == expected.tobytes()


@pytest.mark.parametrize("seed", range(25))
def test_random_programs(seed, small, monkeypatch):
    monkeypatch.setenv(threads.VARIABLE, "2")
    draw, outputs = drawn(seed)
    vectors = {name: Vector(name, ((name, places),)) for name, places in outputs}
    program = draw.program(tuple(Output(name) for name in vectors))
    expected = dict(zip(vectors, run(program, draw.values), strict=True))
    group = ArrayGroup("params", "params", names("p", PARAMS), False, False, (PARAMS,))
    source = native.emit(function(program, (group,), vectors))
    found = native.load(replace(source))(draw.values["params"])
    for name, places in outputs:
        want = expected[name].reshape(-1)[list(places)]
        np.testing.assert_allclose(found[name], want, 1e-11, 1e-11, err_msg=f"{name}\n{program}")


def test_a_network_of_arrays_and_its_gradient(monkeypatch, request):
    draw = np.random.default_rng(1)
    shapes = {"X": (20, 30), "W": (30, 24), "b": (24,), "V": (24, 17)}
    given = [draw.normal(size=s) for s in shapes.values()]

    def made():
        g = Graph()
        X, W, b, V = (g.array(name, shape) for name, shape in shapes.items())
        loss = (((X @ W + b).tanh() @ V) ** 2).sum()
        outputs = {"loss": loss, "grad": grad(loss, [W, b, V])}
        inputs = {"X": X, "W": W, "b": b, "V": V}
        return compile(inputs, outputs, target="native", name=f"n{len(found)}")

    found = []
    found.append(made()(*given))
    request.getfixturevalue("small")
    monkeypatch.setenv(threads.VARIABLE, "2")
    f = made()
    assert blocks(f) >= 4
    assert "products of matrices in blocks" in f.report()
    found.append(f(*given))
    assert found[0]["loss"] == found[1]["loss"]
    for one, other in zip(found[0]["grad"], found[1]["grad"], strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.fixture
def by_rows(small, monkeypatch):
    """Every matrix is taken for wide: the numbers of a sample lie side by side."""
    monkeypatch.setattr(arrays, "WIDE", 0)
    monkeypatch.setattr(arrays, "is_wide", lambda stages: stages.blocked and bool(stages.each))


@pytest.mark.parametrize("seed", range(12))
def test_random_programs_of_a_batch_by_rows(seed, by_rows):
    test_native_loops.test_random_programs_of_a_batch(seed)


def wide(batch):
    g = Graph()
    shapes = {"W": (29, 40), "u": (40,), "V": (40, 9), "x": (29,), "y": (9,)}
    W, u, V, x, y = inputs = [g.array(name, shape) for name, shape in shapes.items()]
    error = (x @ W + u).tanh() @ V - y
    loss = (error**2).sum()
    outputs = {"loss": loss, "grad": grad(loss, [W, u, V]), "error": error}
    options = {"batch": ("x", "y"), "reduce": batch}
    return dict(zip(shapes, inputs, strict=True)), outputs, options


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("reduce", ["sum", None])
def test_wide_networks_by_rows(reduce, dtype, by_rows, monkeypatch):
    monkeypatch.setattr(threads, "WORTH", 1)
    monkeypatch.setattr(threads, "MOVED", 0)
    inputs, outputs, options = wide(reduce)
    plain = compile(inputs, outputs, target="numpy", **options)
    found, draw = {}, np.random.default_rng(3)
    samples = [(n, [draw.normal(size=(n, w)) for w in (29, 9)]) for n in (0, 1, 7, 300, 1025)]
    params = [draw.normal(size=s) / 5 for s in ((29, 40), (40,), (40, 9))]
    for count in (1, 2, 5):
        monkeypatch.setenv(threads.VARIABLE, str(count))
        options |= {"dtype": dtype, "name": f"by_rows_{count}"}
        f = compile(inputs, outputs, target="native", **options)
        assert blocks(f) >= 2
        for n, data in samples:
            given = [part.astype(dtype) for part in (*params, *data)]
            result = f(*given)
            flat = np.concatenate([np.ravel(part) for part in (result["loss"], *result["grad"])])
            assert found.setdefault(n, flat.tobytes()) == flat.tobytes()
            expected = plain(*params, *data)
            least = 1e-11 if dtype == "float64" else 2e-3
            np.testing.assert_allclose(result["loss"], expected["loss"], least, least)
            for one, other in zip(result["grad"], expected["grad"], strict=True):
                np.testing.assert_allclose(one, other, least, 50 * least)
            np.testing.assert_allclose(result["error"], expected["error"], least, 50 * least)


def test_samples_lie_by_rows_where_a_matrix_is_wide(monkeypatch):
    texts = []
    for least in (29 * 40, 29 * 40 + 1):
        monkeypatch.setattr(arrays, "WIDE", least)
        inputs, outputs, options = wide("sum")
        texts.append(compile(inputs, outputs, target="native", name=f"w{least}", **options).source)
    assert texts[0].replace("w1160", "w1161") != texts[1]


def test_small_products_are_plain_loops():
    for n, count in ((8, 0), (64, 1)):
        g = Graph()
        A, B = g.array("A", (n, n)), g.array("B", (n, n))
        assert blocks(compile({"A": A, "B": B}, A @ B, target="native")) == count
