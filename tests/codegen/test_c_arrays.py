"""Functions on arrays as files of C: loops, clean to compilers, with the interpreter's numbers."""

import ctypes
import subprocess
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from test_arrays import APPLIED, as_leaves, data, weighted
from test_c_export import CC, STRICT, run
from test_printed_statements import PARAMS, drawn, names
from test_printed_statements import function as of_statements
from test_python_target import APPLIED as SCALARS
from test_statement_target import PROGRAMS, arguments_of

import wengert as wg
from wengert.arrays.statements import Output
from wengert.codegen import build, compiled
from wengert.codegen.array.function import ArrayGroup, Vector
from wengert.codegen.export.carrays import c_array_text
from wengert.codegen.native import native
from wengert.errors import SpellingError
from wengert.ops import scalar as ops

pytestmark = pytest.mark.skipif(CC is None, reason="no C compiler")

LOOPS = replace(native.TARGET, name="loops", rolled_from=0)


def flat(outputs, result):
    """Numbers in the order in which C puts them out: those of every sample last."""
    numbers, stacks = [], []

    def walk(output, part):
        if isinstance(output, dict):
            for key in output:
                walk(output[key], part[key])
        elif isinstance(output, list):
            for one, other in zip(output, part, strict=True):
                walk(one, other)
        else:
            (stacks if output.stacked else numbers).append(np.ravel(part))

    walk(outputs, result)
    return np.concatenate([np.zeros(0), *numbers, *stacks])


def assert_printed(directory, functions, samples=5):
    """Functions on arrays, compiled by C without a warning, give what the interpreter gives."""
    paths, cases = [], []
    for number, (function, arguments) in enumerate(functions):
        path = directory / f"f{number}.c"
        path.write_text(c_array_text(replace(function, name=path.stem), {}, ()))
        paths.append(str(path))
        cases.append((path.stem, function, arguments))
    library = directory / "all.so"
    options = ["-O0", "-DWENGERT_LIBRARY", "-shared", "-fPIC", "-o", str(library)]
    command = [CC, *STRICT, *options, *paths, "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = ctypes.CDLL(str(library))
    for name, function, arguments in cases:
        with np.errstate(all="ignore"):
            expected = flat(function.outputs, function.run(*arguments))
        out, work = np.full(len(expected) + 1, 7.5), np.full(100_000, np.nan)
        arrays = [np.ascontiguousarray(a, float) for a in arguments]
        given = [
            ctypes.c_double(array[()])
            if not group.row and not group.batched
            else ctypes.c_void_p(array.ctypes.data)
            for group, array in zip(function.groups, arrays, strict=True)
        ]
        given += [ctypes.c_size_t(samples)] * function.batched
        pointers = [ctypes.c_void_p(memory.ctypes.data) for memory in (out, work)]
        getattr(loaded, name)(*given, *pointers)
        np.testing.assert_allclose(out[:-1], expected, 1e-11, 1e-11, err_msg=str(function))
        assert out[-1] == 7.5


def test_random_statements(tmp_path):
    functions = []
    for seed in range(8):
        draw, outputs = drawn(seed)
        vectors = {name: Vector(name, ((name, places),)) for name, places in outputs}
        program = draw.program(tuple(Output(name) for name in vectors))
        group = ArrayGroup("params", "params", names("p", PARAMS), False, False, (PARAMS,))
        made = of_statements(program, (group,), vectors)
        functions.append((made, [draw.values["params"]]))
    assert_printed(tmp_path, functions)


def test_programs_written_with_loops(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "OFTEN", 0)
    functions = []
    for name, reduce in (("convolution", "sum"), ("attention", None), ("batch_norm", "sum")):
        source, loss = PROGRAMS[name]()
        value, *gradient = source.with_gradient(loss)
        own = {parameter.id for parameter in source.parameters}
        leaves = [value.graph[n] for n in value.graph.leaves.values() if n not in own]
        groups = {"params": source.parameters, **({"x": leaves} if leaves else {})}
        outputs, batch = {"loss": value, "grad": gradient}, "x" if leaves else ()
        f = wg.compile(groups, outputs, target=LOOPS, batch=batch, reduce=reduce)
        functions.append((f.program, arguments_of(f.program, 5)))
    assert_printed(tmp_path, functions)


def test_operations_on_arrays(tmp_path):
    functions = []
    for k, (shapes, function) in enumerate(APPLIED.values()):
        if k % 4:
            continue
        leaves = as_leaves(wg.Graph(), shapes)
        out = function(*leaves)
        outputs = {"out": out, "grad": wg.grad(weighted(out), leaves)}
        groups = {f"a{i}": leaf for i, leaf in enumerate(leaves)}
        batch, reduce = (("a0", None), ("a0", "sum"), ((), "sum"))[k % 12 // 4]
        f = wg.compile(groups, outputs, target="native", batch=batch, reduce=reduce)
        points = data(shapes, k)
        if batch:
            points[0] = np.random.default_rng(k).normal(size=(5, *shapes[0]))
        functions.append((f.program, points))
    assert_printed(tmp_path, functions)


def network():
    graph = wg.Graph()
    X, W, b = graph.array("X", (3, 4)), graph.array("W", (2, 4)), graph.array("b", 2)
    loss = ((X @ W.T + b).tanh() ** 2).sum()
    return wg.compile(
        {"X": X, "params": [W, b]},
        {"loss": loss, "grad": wg.grad(loss, [W, b])},
        target="native",
        batch="X",
    )


def test_the_file_reads_as_the_statements_do_and_checks_its_gradient(tmp_path):
    path = network().save(tmp_path / "model.c")
    text = path.read_text()
    assert "const double *const W = params;" in text
    assert "/* t2[n, i, j] = Σ_k X[n, i, k]·W[j, k] */" in text
    assert "sum += X[12*n_ + 4*i + k]*W[4*j + k];" in text
    done = run(path)
    assert (done.returncode, done.stdout[:35]) == (0, "grad by params: 10 numbers, off by ")
    path.write_text(
        text.replace("sum += X[12*n_ + 4*i + k]*dt3", "sum -= X[12*n_ + 4*i + k]*dt3", 1)
    )
    assert path.read_text() != text
    assert run(path).returncode == 1


def single():
    """A network in float32: products, tanh, a function that comes along, rows of results."""
    graph = wg.Graph()
    X, W, b = graph.array("X", (3, 4)), graph.array("W", (2, 4)), graph.array("b", 2)
    weights = (X @ W.T + b).tanh().exp()
    shares = weights / weights.sum(axis=1, keepdims=True)
    loss = ((X @ W.T).sigmoid() * shares / 3.5).sum() + 0.1 * (b**2).sum()
    return wg.compile(
        {"X": X, "params": [W, b]},
        {"loss": loss, "grad": wg.grad(loss, [W, b])},
        target="native",
        batch="X",
        dtype="float32",
    )


def test_float32_is_float_and_compares_itself_with_float64(tmp_path):
    path = single().save(tmp_path / "model.c")
    text = path.read_text()
    function = text.partition("#ifndef")[0].partition("void f(")[2]
    assert all(part in function for part in ("tanhf(", "(float)sigmoid(", "1.0f", "0.1f"))
    assert "double" not in function
    done = run(path)
    assert (done.returncode, done.stdout.count("\n")) == (0, 2), done.stdout
    assert "float32: 11 numbers, off by " in done.stdout
    for right, false in (("tanhf(", "sinf("), (" tanh(t3[6", " sin(t3[6")):
        wrong = text.replace(right, false, 1)
        assert wrong != text
        path.write_text(wrong)
        assert run(path).returncode == 1


def test_every_operation_in_float32(tmp_path):
    graph = wg.Graph()
    x = graph.inputs("x", 3)
    outputs = [
        op(*x[: op.arity], *statics)
        for op in SCALARS
        for statics in op.settings
        if op.name != "total"
    ]
    f = wg.compile({"x": x}, outputs, target="native", dtype="float32", simplify=False)
    path = f.save(tmp_path / "model.c")
    assert run(path).returncode in (0, 1)
    library = tmp_path / "all.so"
    command = [CC, *STRICT, "-DWENGERT_LIBRARY", "-shared", "-fPIC", "-o", library, path, "-lm"]
    subprocess.run([*map(str, command)], check=True)
    loaded = ctypes.CDLL(str(library)).f
    draw = np.random.default_rng(0)
    for scale in (0.1, 1, 3, 3, 3, 100):
        point = draw.normal(size=3).astype(np.float32) * np.float32(scale)
        out, work = np.empty(len(outputs), np.float32), np.empty(10_000, np.float32)
        loaded(*[ctypes.c_void_p(memory.ctypes.data) for memory in (point, out, work)])
        np.testing.assert_allclose(out, f(point), rtol=2e-6, atol=1e-6 * scale)


def test_names_are_never_code(tmp_path):
    graph = wg.Graph()
    wild = [graph.array(name, 2) for name in ("sum", "i", "work", "double", "best", "k", "n_")]
    loss = sum(((x * x).sum() for x in wild[1:]), wild[0].sum())
    f = wg.compile(
        dict(zip("i n out work call sum k".split(), wild, strict=True)),
        {"*/ ??/\n": loss, "g": wg.grad(loss, wild), "same": wild[2]},
        target="native",
        batch="work",
        name="f",
        reduce=None,
    )
    assert run(f.save(tmp_path / "model.c")).returncode == 0


def test_large_regular_programs_of_scalars_are_loops_too(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "WRITTEN_OUT", 1_500)
    net = wg.MLP(8, [16, 16, 1], seed=0)
    graph = wg.Graph()
    x, y = graph.inputs("x", 8), graph.input("y")
    loss = (net(x) - y) ** 2
    f = wg.compile(
        {"params": net.parameters(), "x": x, "y": y},
        {"loss": loss, "grad": wg.grad(loss, net.parameters())},
        batch=("x", "y"),
        target="native",
    )
    path = f.save(tmp_path / "model.c")
    assert path.read_text().partition("#ifndef")[0].count("\n") < 300
    assert run(path).returncode == 0


def test_an_operation_that_c_cannot_write_is_named(tmp_path):
    own = replace(ops.TANH, name="own", notation={"python": ops.TANH.notation["python"]})
    x = wg.Graph().array("x", 3)
    f = wg.compile({"x": x}, own(x), target="native")
    with pytest.raises(SpellingError, match="the c target has no spelling of 'own'"):
        f.save(tmp_path / "model.c")
