"""Products of matrices in blocks: the bits of plain loops, on any number of threads."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from test_printed_statements import PARAMS, drawn, function, names

from wengert.arrays.interpret import run
from wengert.arrays.statements import Output
from wengert.codegen.array.function import ArrayGroup, Vector
from wengert.codegen.compiled import compile
from wengert.codegen.native import caller, native, products, threads
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


def test_small_products_are_plain_loops():
    for n, count in ((8, 0), (64, 1)):
        g = Graph()
        A, B = g.array("A", (n, n)), g.array("B", (n, n))
        assert blocks(compile({"A": A, "B": B}, A @ B, target="native")) == count
