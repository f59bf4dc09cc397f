"""Statements as loops in machine code: the interpreter's numbers, whatever the statements are."""

import threading
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from test_printed_statements import PARAMS, drawn, function, names
from test_statement_target import (
    OPTIMIZERS,
    PROGRAMS,
    arguments_of,
    assert_same,
    expressions,
    network,
)

from wengert.arrays.batched import batched
from wengert.arrays.interpret import run
from wengert.arrays.statements import Array, ArrayProgram, Output, Statement
from wengert.codegen import build
from wengert.codegen.array.function import ArrayFunction, ArrayGroup, Vector
from wengert.codegen.compiled import compile
from wengert.codegen.native import arrays, code, native
from wengert.derive.backward import grad
from wengert.errors import ShapeError, SizeError
from wengert.graph.expr import Graph
from wengert.ops import scalar as ops
from wengert.ops.reads import Apply, Axis, Read, Reduce, Term, along
from wengert.ops.scalar import TOTAL
from wengert.ops.shapes import BATCH

LOOPS = replace(native.TARGET, name="loops", rolled_from=0)
"""The native target, which makes loops of everything here, large or small, regular or not."""


@pytest.fixture(autouse=True)
def _anything_is_rolled(monkeypatch):
    """Maxima over nothing are infinite, which the interpreter warns of."""
    monkeypatch.setattr(build, "OFTEN", 0)
    with np.errstate(all="ignore"):
        yield


def called(made, *arguments):
    return LOOPS.load(LOOPS.emit(made))(*arguments)


def vector_argument(is_batched):
    row = ArrayGroup("params", "params", names("p", PARAMS), False, is_batched, (PARAMS,))
    return (row,)


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed):
    draw, outputs = drawn(seed)
    vectors = {name: Vector(name, ((name, places),)) for name, places in outputs}
    program = draw.program(tuple(Output(name) for name in vectors))
    expected = dict(zip(vectors, run(program, draw.values), strict=True))
    made = function(program, vector_argument(False), vectors)
    found = called(made, draw.values["params"])
    for name, places in outputs:
        want = expected[name].reshape(-1)[list(places)]
        np.testing.assert_allclose(found[name], want, 1e-11, 1e-11, err_msg=f"{name}\n{program}")


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_of_a_batch(seed):
    """Leaves that differ between samples, and totals over the samples of some arrays."""
    draw, outputs = drawn(seed)
    totals = []
    for name, places in outputs:
        array = draw.arrays[name]
        if len(places) == array.size and draw.rng.random() < 0.6:
            axes = tuple(Axis(f"a{k}", n) for k, n in enumerate(array.shape))
            read = Read(name, tuple(along(axis.name) for axis in axes))
            total = f"total_{name}"
            draw.arrays[total] = Array(total, array.shape)
            draw.statements.append(Statement(total, axes, Apply(ops.TOTAL, (read,))))
            totals.append((total, tuple(range(array.size))))
    outputs = [o for o in outputs if draw.rng.random() < 0.5] + totals
    if not outputs:
        return
    whole = batched(draw.program(tuple(Output(name) for name, _ in outputs)), ["params"])
    nested = {}
    for (name, places), output in zip(outputs, whole.outputs, strict=True):
        stacked = BATCH in whole.arrays[output.array].shape
        nested[name] = Vector(name, ((output.array, places),), stacked)
    made = function(whole, vector_argument(True), nested)
    loaded = LOOPS.load(LOOPS.emit(made))
    for samples in (3, 19):
        rows = np.random.default_rng(seed).normal(size=(samples, PARAMS))
        found, expected = loaded(rows), run(whole, {"params": rows})
        for (name, places), want in zip(outputs, expected, strict=True):
            if nested[name].stacked:
                want = want.reshape(samples, -1)[:, list(places)].T
            else:
                want = want.ravel()[list(places)]
            text = f"{name}, {samples} samples\n{whole}"
            np.testing.assert_allclose(found[name], want, 1e-11, 1e-11, err_msg=text)


def both(inputs, outputs, samples=5, **options):
    """The function as loops and its results, compared with those of the python target."""
    fast = compile(inputs, outputs, target=LOOPS, **options)
    assert isinstance(fast.program, ArrayFunction)
    options.pop("dtype", None)
    plain = compile(inputs, outputs, target="python", **options)
    counts = [samples] if isinstance(samples, int) else samples
    for count in counts:
        arguments = arguments_of(plain.program, count)
        assert_same(fast(*arguments), plain(*arguments), 1e-11, 1e-12)
    return fast, arguments


@pytest.mark.parametrize(
    ("sizes", "loss"),
    [([3, 4, 2], "cross_entropy"), ([4, 3, 1], "hinge"), ([5, 17, 9, 1], "squared_error")],
)
@pytest.mark.parametrize("reduce", ["sum", "mean", None])
def test_networks_of_any_number_of_samples(sizes, loss, reduce):
    net, _, inputs, value = network(sizes, "tanh", loss)
    outputs = {"loss": value, "grad": grad(value, net.parameters())}
    both(inputs, outputs, (0, 1, 7, 8, 9, 16, 70, 600), batch=("x", "y"), reduce=reduce)


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_written_with_loops(name):
    source, loss = PROGRAMS[name]()
    value, *gradient = source.with_gradient(loss)
    own = {parameter.id for parameter in source.parameters}
    graph = value.graph
    data = [graph[node] for node in graph.leaves.values() if node not in own]
    inputs = {"params": source.parameters, **({"x": data} if data else {})}
    outputs = {"loss": value, "grad": gradient}
    both(inputs, outputs)
    if data:
        both(inputs, outputs, (3, 21), batch="x")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_steps(name):
    net, graph, inputs, value = network([3, 9, 2], "tanh", "squared_error")
    optimizer = OPTIMIZERS[name]
    leaves = [graph[graph.node_of(p)] for p in net.parameters()]
    count = TOTAL(graph.constant(1))
    gradient = [TOTAL(d) / count for d in grad(value, leaves)]
    labels = [*optimizer.shared, *[f"{s}_{p.label}" for s in optimizer.slots for p in leaves]]
    state = [graph.input(label) for label in labels]
    moved, after = optimizer.step(leaves, gradient, state)
    groups = {"params": leaves, "state": state, "x": inputs["x"], "y": inputs["y"]}
    outputs = {"loss": TOTAL(value) / count, "params": moved, "state": after, "one": moved[3]}
    both(groups, outputs, (1, 11), batch=("x", "y"))


@pytest.mark.parametrize("seed", range(25))
def test_random_expressions(seed):
    a, x, outputs = expressions(seed)
    options = {"simplify": seed % 2 == 0}
    if seed % 3:
        options |= {"batch": "x", "reduce": [None, "mean", "sum"][seed % 3]}
    loss = sum(outputs[1:], outputs[0])
    gradient = grad(loss, a, allow_unused=True)
    named = {"all": outputs, "first": outputs[0], "pair": {"last": outputs[-1]}, "grad": gradient}
    both({"a": a, "x": x}, named, **options)


def test_what_needs_a_sum_over_all_samples_for_each_of_them():
    k, n = Axis("k", 3), Axis("n", BATCH)
    at = (along("n"), along("k"))
    one = Term(1, (Read("h", at),), (n,))
    array_list = [
        Array("x", (BATCH, 3), "leaf", elements=names("x", 3)),
        Array("h", (BATCH, 3)),
        Array("s", (3,)),
        Array("y", (BATCH, 3)),
    ]
    statements = (
        Statement("h", (n, k), Apply(ops.TANH, (Read("x", at),))),
        Statement("s", (k,), Reduce(ops.ADD, (one,))),
        Statement("y", (n, k), Apply(ops.SUB, (Read("h", at), Read("s", (along("k"),))))),
    )
    program = ArrayProgram({a.name: a for a in array_list}, statements, (Output("y"),), ("x",))
    group = ArrayGroup("x", "x", names("x", 3), False, True, (3,))
    made = ArrayFunction("f", (group,), program, [Vector("y", (("y", (0, 1, 2)),), True)], {})
    rows = np.random.default_rng(0).normal(size=(300, 3))
    expected = np.tanh(rows) - np.tanh(rows).sum(0)
    np.testing.assert_allclose(np.transpose(called(made, rows)[0]), expected, 1e-12, 1e-12)


def test_only_large_regular_graphs_become_loops(monkeypatch):
    monkeypatch.undo()
    kinds = []
    for sizes in ([3, 4, 1], [8, 32, 8]):
        net, _, inputs, value = network(sizes, "tanh", "squared_error")
        outputs = {"loss": value, "grad": grad(value, net.parameters())}
        f = compile(inputs, outputs, target="native", batch=("x", "y"))
        kinds.append(isinstance(f.program, ArrayFunction))
    assert kinds == [False, True]
    g = Graph()
    draw = np.random.default_rng(0)
    nodes = list(g.inputs("x", 5))
    for _ in range(2000):
        op = [ops.ADD, ops.MUL, ops.SUB, ops.MAXIMUM][draw.integers(4)]
        nodes.append(op(*[nodes[-1 - draw.integers(5)] for _ in range(2)]))
    f = compile({"x": nodes[:5]}, nodes[-3:], target="native")
    assert not isinstance(f.program, ArrayFunction)


def test_sums_whose_terms_are_listed_on_a_large_grid_are_no_loops(monkeypatch):
    monkeypatch.undo()
    g, draw = Graph(), np.random.default_rng(0)
    x = g.inputs("x", 200)
    functions = [ops.TANH, ops.EXP, ops.SIN, ops.COS]
    terms = [functions[draw.integers(4)](v * draw.random()) * x[draw.integers(200)] for v in x]
    total = sum(terms[1:], terms[0])
    outputs = {"s": total, "g": grad(total, x)}
    kinds = []
    for most in (build.GRID, 0):
        monkeypatch.setattr(build, "GRID", most)
        f = compile({"x": x}, outputs, target="native", name=f"most_{most}")
        kinds.append(isinstance(f.program, ArrayFunction))
    assert kinds == [True, False]


def test_lists_arrays_and_other_numbers_as_arguments():
    net, _, inputs, value = network([3, 4, 2], "tanh", "squared_error")
    outputs = {"loss": value, "grad": grad(value, net.parameters())}
    f = compile(inputs, outputs, target=LOOPS, batch=("x", "y"))
    params, X, Y = arguments_of(f.program, 11)
    arrays_out = f(params, X, Y)
    lists = f(params.tolist(), X.tolist(), Y.tolist())
    assert type(lists["grad"]) is list
    assert isinstance(arrays_out["grad"], np.ndarray)
    assert type(arrays_out["loss"]) is float
    assert arrays_out["grad"].tolist() == lists["grad"]
    for given in (
        (params[::-1][::-1], np.asfortranarray(X), np.repeat(Y, 2)[::2]),
        (params, X.tolist(), tuple(Y.tolist())),
        (params, [tuple(row) for row in X.tolist()], Y.astype(object)),
    ):
        assert f(*given)["grad"].tolist() == lists["grad"]
    for wrong in ((params, X, Y[:-1]), (params[1:], X, Y), (params, X[:, 1:], Y), (params, X)):
        with pytest.raises(ShapeError):
            f(*wrong)


def test_arguments_that_are_arrays_are_not_copied():
    g = Graph()
    x, y = g.inputs("x", 3), g.inputs("y", 2)
    f = compile({"x": x, "y": y}, x[0] * y[1] + x[2], target=LOOPS, batch=("x", "y"))
    rows = np.broadcast_to(np.ones(3), (7, 3)).copy()
    mixed = f(rows, [[2.0, 3.0]] * 7), f(rows.tolist(), np.full((7, 2), 3.0))
    assert mixed == (28.0, 28.0)


def test_many_results_of_each_sample_and_from_many_places():
    g = Graph()
    x = g.inputs("x", 12)
    products = [a * b for a in x for b in x]
    outputs = {"rows": products, "mixed": {"a": x[3], "b": {"c": [products[5], x[2]]}}}
    both({"x": x}, outputs, (1, 21), batch="x", reduce=None)
    both({"x": x}, outputs)


def test_float32_stays_float32():
    net, _, inputs, value = network([5, 17, 2])
    outputs = {"loss": value, "grad": grad(value, net.parameters())}
    wide = compile(inputs, outputs, target=LOOPS, batch=("x", "y"))
    f = compile(inputs, outputs, target=LOOPS, batch=("x", "y"), dtype="float32")
    for samples in (1, 16, 37):
        arguments = arguments_of(f.program, samples)
        result, expected = f(*arguments), wide(*arguments)
        assert (result["grad"].dtype, result["loss"].dtype) == (np.float32, np.float32)
        np.testing.assert_allclose(result["grad"], expected["grad"], 1e-5, 1e-5)
        np.testing.assert_allclose(result["loss"], expected["loss"], 1e-5)


def test_wrong_arguments_are_refused_in_float32_too():
    _, _, inputs, value = network([5, 17, 2])
    f = compile(inputs, value, target=LOOPS, batch=("x", "y"), dtype="float32")
    params, X, Y = arguments_of(f.program, 3)
    for wrong in ((params, X, Y[:-1]), (params[1:], X, Y), (params, X[:, 1:], Y), (params, X)):
        with pytest.raises(ShapeError):
            f(*wrong)


def test_the_same_program_gives_the_same_text():
    texts = []
    for _ in range(2):
        net, _, inputs, value = network([3, 4, 2])
        outputs = {"loss": value, "grad": grad(value, net.parameters())}
        texts.append(compile(inputs, outputs, target=LOOPS, batch=("x", "y")).source)
    assert texts[0] == texts[1]


def test_processors_without_wide_vectors_or_fused_products_get_the_same_numbers():
    net, _, inputs, value = network([5, 17, 2])
    outputs = {"loss": value, "grad": grad(value, net.parameters())}
    f = compile(inputs, outputs, target=LOOPS, batch=("x", "y"))
    arguments = arguments_of(f.program, 21)
    source = arrays.emit_arrays(f.program, False, 4)
    other = LOOPS.load(source)
    assert source.text != f.source
    assert_same(other(*arguments), f(*arguments), 1e-12, 1e-12)


def test_a_program_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(arrays, "MAX_STATEMENTS", 3)
    _, _, inputs, value = network([3, 4, 2])
    with pytest.raises(SizeError, match="compiles up to 3 as loops"):
        compile(inputs, value, target=LOOPS, batch=("x", "y"), name="long")


def test_machine_code_of_loops_is_kept_on_disk(tmp_path, monkeypatch):
    net, _, inputs, value = network([8, 32, 8], "tanh", "squared_error")
    outputs = {"loss": value, "grad": grad(value, net.parameters())}

    def made(**options):
        options |= {"target": "native", "batch": ("x", "y"), "cache_dir": tmp_path / "cache"}
        return compile(inputs, outputs, **options)

    first = made()
    arguments = arguments_of(first.program, 9)
    single = made(dtype="float32")
    monkeypatch.setattr(code, "object_code", None)
    monkeypatch.setattr(build, "stages", None)
    again = made()
    assert again.program == first.program
    assert again.report() == first.report()
    assert again(*arguments)["grad"].tolist() == first(*arguments)["grad"].tolist()
    result = made(dtype="float32")(*arguments)
    assert result["grad"].tolist() == single(*arguments)["grad"].tolist()


def test_the_report_says_what_code_it_is():
    net, _, inputs, value = network([8, 32, 8], "tanh", "squared_error")
    outputs = {"loss": value, "grad": grad(value, net.parameters())}
    f = compile(inputs, outputs, target="native", batch=("x", "y"))
    assert "nests of loops in float64, over blocks of up to" in f.report()
    assert "nests of loops" not in compile(inputs, value, target="python", batch="x").report()


def test_the_file_of_c_is_written_from_scalars(tmp_path):
    net, _, inputs, value = network([8, 32, 8], "tanh", "squared_error")
    outputs = {"loss": value, "grad": grad(value, net.parameters())}
    f = compile(inputs, outputs, target="native")
    assert isinstance(f.program, ArrayFunction)
    text = f.save(tmp_path / "model.c").read_text()
    assert text == compile(inputs, outputs).save(tmp_path / "other.c").read_text()


def test_threads_may_call_at_once():
    net, _, inputs, value = network([8, 32, 8], "tanh", "squared_error")
    outputs = {"loss": value, "grad": grad(value, net.parameters())}
    f = compile(inputs, outputs, target="native", batch=("x", "y"))
    given = [arguments_of(f.program, count, count) for count in (3, 700, 4, 900)]
    expected = [f(*arguments)["grad"].tolist() for arguments in given]
    wrong = []

    def work(k):
        for _ in range(20):
            if f(*given[k])["grad"].tolist() != expected[k]:
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k % 4,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [7, 9, 24])
def test_what_is_read_once_and_then_in_lanes_is_read_twice(n, dtype):
    g = Graph()
    rows, u = [g.inputs(f"a{p}_", n) for p in range(n)], g.inputs("u", n)
    y = [sum(row[t] * u[t] for t in range(p + 1)) for p, row in enumerate(rows)]
    outputs = {"y": y, "dy": grad(sum(q * q for q in y), u)}
    inputs = {"a": [one for row in rows for one in row], "u": u}
    f = compile(inputs, outputs, target="native", dtype=dtype, name=f"triangle_{n}")
    found = f(np.ones(n * n), np.arange(1.0, n + 1))
    assert list(found["y"]) == list(np.cumsum(np.arange(1.0, n + 1)))
