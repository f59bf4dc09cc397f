"""Files of C: clean to compilers, the python target's numbers, and checks of themselves."""

import ctypes
import math
import os
import random
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from test_python_target import APPLIED, EXTREMES, notebook_neuron

import wengert as wg
from wengert.codegen.compiled import compile
from wengert.derive.backward import grad
from wengert.errors import SpellingError
from wengert.graph.expr import Graph
from wengert.ops import call
from wengert.ops import scalar as ops

CC = next(filter(None, map(shutil.which, (os.environ.get("CC", "gcc"), "clang", "cc"))), None)
STRICT = ["-std=c99", "-O1", "-Wall", "-Wextra", "-pedantic", "-Werror", "-ffp-contract=off"]

pytestmark = pytest.mark.skipif(CC is None, reason="no C compiler")


def built(path, *options):
    """The file compiled without a warning."""
    target = path.with_suffix(".so" if "-shared" in options else ".exe")
    command = [CC, *STRICT, *options, str(path), "-o", str(target), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def run(path):
    return subprocess.run([built(path)], capture_output=True, text=True, check=False)


def library(f, tmp_path, name="f"):
    """A function on lists and arrays that calls the C."""
    path = f.save(tmp_path / "model.c")
    loaded = ctypes.CDLL(str(built(path, "-DWENGERT_LIBRARY", "-shared", "-fPIC")))
    function = getattr(loaded, name)
    function.restype = None

    def call(*arguments, count, n=None):
        given = []
        for argument in arguments:
            if isinstance(argument, float):
                given.append(ctypes.c_double(argument))
            else:
                flat = np.ravel(np.asarray(argument, float)).tolist()
                given.append((ctypes.c_double * len(flat))(*flat))
        out = (ctypes.c_double * count)()
        function(*given, *([] if n is None else [ctypes.c_size_t(n)]), out)
        return list(out)

    return call


def network(target="python", **options):
    net = wg.MLP(3, [4, 4, 1], seed=0)
    g = Graph()
    x, y = g.inputs("x", 3), g.input("y")
    loss = (net(x) - y) ** 2
    params = net.parameters()
    f = compile(
        {"params": params, "x": x, "y": y},
        {"loss": loss, "grad": grad(loss, params)},
        batch=("x", "y"),
        target=target,
        **options,
    )
    return f, [p.data for p in params]


@pytest.mark.parametrize("target", ["python", "native"])
def test_gradients_are_checked_where_they_stand_among_others_in_a_list(target, tmp_path):
    g = Graph()
    x, a = g.inputs("x", 3), g.input("a")
    y = (x[0] * x[1]).exp() + x[2] ** 2 * a
    outputs = [y, *grad(y, x), grad(y, [a])[0]]
    f = compile({"x": x, "a": a}, outputs, target=target)
    done = run(f.save(tmp_path / "model.c"))
    assert (done.returncode, done.stdout.count("\n")) == (0, 2)
    assert "1:4 by x: 3 numbers" in done.stdout
    wrong = compile({"x": x, "a": a}, [y, *grad(y, x)[::-1]], target=target)
    assert "no gradients" in run(wrong.save(tmp_path / "model.c")).stdout


@pytest.mark.parametrize("target", ["python", "native"])
@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_a_network_checks_its_gradient(tmp_path, target, reduce):
    if target == "native":
        pytest.importorskip("llvmlite")
    f, _ = network(target, reduce=reduce)
    done = run(f.save(tmp_path / "model.c"))
    assert done.returncode == 0
    assert done.stdout.startswith("grad by params: 41 numbers, off by ")


def test_numbers_are_those_of_the_python_target_bit_for_bit(tmp_path):
    draw = random.Random(0)
    for reduce in ("sum", "mean", None):
        f, params = network(reduce=reduce)
        X = [[draw.uniform(-2, 2) for _ in range(3)] for _ in range(7)]
        Y = [draw.uniform(-1, 1) for _ in X]
        (tmp_path / str(reduce)).mkdir()
        call = library(f, tmp_path / str(reduce))
        expected = f(params, X, Y)
        flat = np.ravel([expected["loss"], *expected["grad"]]).tolist()
        assert call(params, X, Y, count=len(flat), n=7) == flat


# Python has its own hypot, lgamma and powers; libm is another's.
ROOM = {"hypot": 1, "lgamma": 8, "polygamma": 8, "digamma": 1}


def close(a, b, ulps):
    """Whether two numbers are that near, nan and infinities being themselves."""
    if a == b or (a != a and b != b):
        return True
    return abs(a - b) <= ulps * max(math.ulp(a), math.ulp(b), 2e-16)


def test_every_operation_is_that_of_the_record(tmp_path):
    g = Graph()
    x = g.inputs("x", 3)
    outputs, rooms = [], []
    for op in APPLIED:
        for statics in op.settings:
            outputs.append(op(*x[: op.arity], *statics))
            rooms.append(ROOM.get(op.name, 0))
    f = compile({"x": x}, outputs, simplify=False)
    call = library(f, tmp_path)
    draw = random.Random(1)
    points = [*EXTREMES, math.inf, -math.inf, math.nan, 1.4616, 2.5, 25.0, -801.0, 1e-5]
    for _ in range(400):
        point = [draw.choice(points) if draw.random() < 0.5 else draw.uniform(-3, 3) for _ in x]
        got, expected = call(point, count=len(outputs)), f.program.run(point)
        for a, b, room, out in zip(got, expected, rooms, outputs, strict=True):
            assert close(a, b, room), (out, point, a, b)
            assert room or a != a or math.copysign(1, a) == math.copysign(1, b), (out, point)


def test_names_are_not_those_of_functions_that_come_along(tmp_path):
    text = "static double twice(double x)\n{\n    return 2.0 * x;\n}\n"
    notation = {**ops.TANH.notation, "c": call("twice", define=text)}
    own = replace(ops.TANH, name="own", notation=notation)
    g = Graph()
    x, twice = g.input("x"), g.input("twice")
    f = compile({"x": x, "twice": twice}, own(x) * twice, name="twice")
    assert library(f, tmp_path, "twice__2")(0.5, 3.0, count=1) == [3.0]


def test_any_names_and_outputs_are_written(tmp_path):
    g = Graph()
    names = ("exp", "double", "n", "out", "y0", "size_t", "lambda_", "printf", "i", "main")
    leaves = [g.input(name) for name in names]
    total = sum(leaf * leaf for leaf in leaves[:-2]).exp() / 7 + math.inf * leaves[0] * 0
    f = compile(
        {"values": leaves[:4], "check": leaves[4], "rest": leaves[5:8], "one": leaves[8:]},
        {"*/ \n%s": total, "of": [leaves[0], 2.5, [math.nan, -1.0]]},
        name="call",
    )
    done = run(f.save(tmp_path / "model.c"))
    assert done.returncode == 0
    assert done.stdout == "no gradients to check\n"
    _, w, x, b, y, loss = notebook_neuron()
    groups = {"w": w, "b": b, "x": x, "y": y}
    outputs = {"o": loss, "%d": {"g": grad(loss, w)}, "b": grad(loss, b)}
    done = run(compile(groups, outputs).save(tmp_path / "neuron.c"))
    assert (done.returncode, done.stdout.count("numbers, off by")) == (0, 2)
    rows = compile(groups, {"o": loss}, batch=("x", "y"), reduce=None)
    assert run(rows.save(tmp_path / "rows.c")).returncode == 0


@pytest.mark.parametrize("form", [wg.stable_form, lambda loss: loss])
def test_gradients_are_known_beside_stable_forms_and_leaves_without_use(tmp_path, form):
    g = Graph()
    w, x = g.inputs("w", 4), g.inputs("x", 2)
    loss = ((w[1] * x[0]).exp() + (w[3] * x[1]).exp()).log()
    outputs = {"loss": form(loss), "grad": grad(loss, w, allow_unused=True)}
    done = run(compile({"w": w, "x": x}, outputs).save(tmp_path / "model.c"))
    assert done.returncode == 0
    assert done.stdout.startswith("grad by w: 4 numbers, off by ")


@pytest.mark.parametrize(("right", "wrong"), [(" - ", " + "), ("2.0", "2.0001")])
def test_a_wrong_gradient_is_found(tmp_path, right, wrong):
    _, w, x, b, y, loss = notebook_neuron()
    f = compile({"w": w, "b": b, "x": x, "y": y}, {"loss": loss, "grad": grad(loss, w)})
    path = f.save(tmp_path / "model.c")
    text = path.read_text()
    before, mark, after = text.partition("/* backward */")
    assert right in after.partition("out[")[0]
    path.write_text(before + mark + after.replace(right, wrong, 1))
    assert run(path).returncode == 1


def test_an_operation_that_c_cannot_write_is_named(tmp_path):
    own = replace(ops.TANH, name="own", notation={"python": ops.TANH.notation["python"]})
    x = Graph().input("x")
    with pytest.raises(SpellingError, match="the c target has no spelling of 'own'"):
        compile({"x": x}, own(x)).save(tmp_path / "model.c")
    assert not (tmp_path / "model.c").exists()
