"""The native target: the interpreter's numbers from machine code, however it is called."""

import ctypes
import gc
import inspect
import math
import pickle
import random
import signal
import sys
import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from test_python_target import APPLIED, EXTREMES, notebook_neuron, same

import wengert as wg
from wengert.codegen.compiled import compile
from wengert.codegen.diskcache import CacheWarning
from wengert.codegen.native import caller, code, emit, host, native, objects
from wengert.codegen.native.host import binding, object_code
from wengert.derive.backward import grad
from wengert.errors import MissingExtraError, ShapeError, SizeError
from wengert.graph.expr import Graph
from wengert.ops import scalar as ops

POINTS = [*EXTREMES, math.inf, -math.inf, math.nan]
EXACT = [
    op
    for op in APPLIED
    if op.name in "add sub mul div neg sqrt relu leaky_relu abs maximum minimum where".split()
    or op in ops.COMPARISONS
]
"""The operations that IEEE 754 rounds correctly, or whose value is an operand's."""


def close(got, expected):
    """Equal, or within 4 units in the last place."""
    if same(got, expected):
        return True
    return math.isfinite(got) and abs(got - expected) <= 4 * math.ulp(expected)


def random_graph(seed, size=25):
    draw = random.Random(seed)
    graph = Graph()
    inputs = graph.inputs("x", 3)
    nodes = [*inputs, graph.constant(draw.choice(EXTREMES)), graph.constant(0.7)]
    for _ in range(size):
        op = draw.choice(EXACT)
        statics = [draw.choice([0.5, -2.0]) for _ in op.statics]
        nodes.append(op(*(draw.choice(nodes[-12:]) for _ in range(op.arity)), *statics))
    return inputs, [nodes[-1], nodes[-2], draw.choice(nodes), nodes[len(nodes) // 2]]


def in_order(rows):
    """The sum of numbers as the target says it adds them."""
    partial = [0.0] * 8
    for i, row in enumerate(rows):
        partial[i % 8] += row
    a, b, c, d = (partial[i] + partial[i + 4] for i in range(4))
    return (a + c) + (b + d)


@pytest.mark.parametrize("op", APPLIED, ids=lambda op: op.name)
def test_every_operation_agrees_with_the_table(op):
    graph = Graph()
    inputs = graph.inputs("x", op.arity)
    draw = random.Random(0)
    points = [[draw.choice(POINTS) for _ in inputs] for _ in range(80)]
    points += [[draw.uniform(-3, 3) for _ in inputs] for _ in range(43)]
    for statics in op.settings:
        out = op(*inputs, *statics)
        f = compile({"x": inputs}, out, simplify=False, target="native")
        for point in points:
            assert close(f(point), f.program.run(point)), point
        f = compile({"x": inputs}, out, simplify=False, target="native", batch="x", reduce=None)
        for point, got in zip(points, f(points), strict=True):
            assert close(got, f.program.run([point])[0]), point


@given(
    seed=st.integers(0, 10**6), point=st.lists(st.sampled_from(EXTREMES), min_size=3, max_size=3)
)
def test_exactly_rounded_operations_agree_bit_for_bit(seed, point):
    inputs, outputs = random_graph(seed)
    f = compile({"x": inputs}, outputs, simplify=False, target="native")
    for got, expected in zip(f(point), f.program.run(point), strict=True):
        assert same(got, expected)
        assert type(got) is float


@given(seed=st.integers(0, 10**6), rows=st.lists(st.floats(-3, 3), min_size=0, max_size=20))
def test_batches_are_summed_in_the_order_that_is_documented(seed, rows):
    (a, b, c), outputs = random_graph(seed)
    groups, arguments = {"a": a, "b": b, "c": c}, (rows, rows[::-1], 0.5)
    each = compile(groups, outputs, batch=("a", "b"), reduce=None, target="native")
    single = each.program.run(*arguments)
    summed = compile(groups, outputs, batch=("a", "b"), target="native")
    for got, alone, found in zip(summed(*arguments), single, each(*arguments), strict=True):
        if isinstance(alone, list):
            assert all(map(same, found, alone))
            assert len(found) == len(rows)
            fixed = alone and len(set(map(repr, alone))) == 1  # may be found to be, and multiplied
            none = not alone and got != got  # no samples of something that is not finite, times 0
            assert (
                same(got, in_order(alone)) or none or (fixed and same(got, alone[0] * len(alone)))
            )
        else:
            assert same(found, alone)


def steps(target, **options):
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


def data(count, seed=0):
    draw = random.Random(seed)
    rows = [[draw.uniform(-2, 2) for _ in range(3)] for _ in range(count)]
    return rows, [draw.uniform(-1, 1) for _ in rows]


@pytest.mark.parametrize("reduce", ["sum", "mean", None])
@pytest.mark.parametrize("count", [1, 3, 8, 9, 31])
def test_a_network_and_its_gradient(count, reduce):
    python, params = steps("python", reduce=reduce)
    native, _ = steps("native", reduce=reduce)
    X, Y = data(count)
    expected, got = python(params, X, Y), native(params, X, Y)
    assert np.allclose(got["loss"], expected["loss"], rtol=1e-14, atol=1e-14)
    assert np.allclose(got["grad"], expected["grad"], rtol=1e-12, atol=1e-13)
    assert np.shape(got["grad"]) == np.shape(expected["grad"])


def test_arrays_in_are_arrays_out_and_lists_are_lists():
    f, params = steps("native")
    X, Y = data(11)
    lists = f(params, X, Y)
    assert type(lists["grad"]) is list
    assert {type(number) for number in [lists["loss"], *lists["grad"]]} == {float}
    P, A, B = np.array(params), np.array(X), np.array(Y)
    for arguments in (
        (P, A, B),
        (params, A, Y),
        (P[::-1][::-1], np.asfortranarray(A), np.repeat(B, 2)[::2]),
        (P, A.tolist(), tuple(Y)),
    ):
        arrays = f(*arguments)
        assert isinstance(arrays["grad"], np.ndarray)
        assert type(arrays["loss"]) is float
        assert arrays["grad"].tolist() == lists["grad"]
        assert arrays["loss"] == lists["loss"]
    assert f(params, y=Y, x=X) == lists
    assert f(tuple(params), [tuple(row) for row in X], tuple(Y)) == lists


def test_arrays_of_other_numbers_are_converted():
    g = Graph()
    x = g.inputs("x", 3)
    f = compile({"x": x}, [x[0] + x[1], x[2] * 2], target="native")
    for kind in (np.float32, np.int64, np.uint8, bool, ">f8", object):
        got = f(np.array([1, 0, 1], dtype=kind))
        assert isinstance(got, np.ndarray)
        assert got.tolist() == [1.0, 2.0]
    assert f([1, 2, True]) == [3.0, 2.0]
    assert f([wg.Value(1.0), np.float64(2.0), 3]) == [3.0, 6.0]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ([1.0] * 41,),
        ([1.0] * 40, [[1.0] * 3], [1.0]),
        ([1.0] * 41, [[1.0] * 2], [1.0]),
        ([1.0] * 41, [[1.0] * 3] * 2, [1.0]),
        ([1.0] * 41, [[1.0] * 3, 1.0], [1.0, 1.0]),
        ("text", [[1.0] * 3], [1.0]),
        ([1.0] * 40 + ["1"], [[1.0] * 3], [1.0]),
        (np.ones(40), np.ones((1, 3)), np.ones(1)),
        (np.ones((41, 1)), np.ones((1, 3)), np.ones(1)),
        (np.ones(41), np.ones((1, 4)), np.ones(1)),
        (np.ones(41), np.ones((2, 3)), np.ones((2, 1))),
        (np.ones(41), np.ones(3), np.ones(1)),
        (None, None, None),
    ],
)
def test_wrong_arguments_are_refused_in_the_words_of_the_python_target(arguments):
    messages = []
    for target in ("python", "native"):
        f, _ = steps(target)
        with pytest.raises(ShapeError) as caught:
            f(*arguments)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_outputs_may_be_nested_and_be_constants_and_arguments():
    g = Graph()
    x, y = g.inputs("x", 2), g.input("y")
    outputs = {"a": [x[0], [x[1] * y, {"b": y}]], "c": [], "d": 2.5, "e": [x[1], 1.0, y + y]}
    groups = {"x": x, "y": y}
    f = compile(groups, outputs, target="native")
    assert f([1.0, 2.0], 3.0) == compile(groups, outputs)([1.0, 2.0], 3.0)
    assert list(f([1.0, 2.0], 3.0)) == ["a", "c", "d", "e"]
    f = compile(groups, outputs, target="native", batch="x", reduce=None)
    rows = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert f(rows, 3.0) == f.program.run(rows, 3.0)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_pieces_leave_each_other_every_value(monkeypatch, size):
    X, Y = data(13)
    whole, params = steps("native")
    expected = whole(params, X, Y)
    monkeypatch.setattr(emit, "PIECE", size)
    monkeypatch.setattr(emit, "WHOLE", 0)
    source = emit.emit(whole.program, whole.source.count("llvm.fma") > 0)
    assert source.text != whole.source
    assert code.Code(source).run((params, X, Y)) == expected


def test_the_generic_call_gives_the_same_as_the_built_in_one():
    f, params = steps("native")
    X, Y = data(9)
    generic = code.Code(emit.emit(f.program, f.source.count("llvm.fma") > 0))
    assert generic.run((params, X, Y)) == f(params, X, Y)
    arrays = tuple(map(np.array, (params, X, Y)))
    assert generic.run(arrays)["grad"].tolist() == f(*arrays)["grad"].tolist()


def test_where_objects_look_otherwise_there_is_no_built_in_function(monkeypatch):
    monkeypatch.setattr(objects, "TYPE", 0)
    assert not objects.as_in_the_headers()
    monkeypatch.undo()
    assert objects.as_in_the_headers()


def test_without_optimization_the_numbers_are_the_same(monkeypatch):
    f, params = steps("native")
    X, Y = data(9)
    monkeypatch.setattr(code, "QUICK", 0)
    slow = code.Code(emit.emit(f.program, f.source.count("llvm.fma") > 0))
    assert slow.run((params, X, Y)) == f(params, X, Y)


@pytest.mark.parametrize("seed", range(4))
def test_numbers_packed_into_lanes_are_the_same(seed, monkeypatch):
    inputs, outputs = random_graph(seed, 120)
    f = compile({"x": inputs}, outputs, target="native")
    packed, loose = (object_code(f.source, 2, packed=way) for way in (True, False))
    assert packed != loose
    assert packed == code.compiled(replace(f._emitted, binary=b""))
    draw = random.Random(seed)
    plain = code.Code(replace(f._emitted, binary=loose))
    for _ in range(20):
        point = [draw.uniform(-3, 3) for _ in inputs]
        assert repr(plain.call(point)) == repr(f(point))
    monkeypatch.setattr(code, "PACKED", 0)
    assert code.compiled(replace(f._emitted, binary=b"")) == loose


def test_a_call_goes_to_machine_code_at_once_and_by_name_or_by_other_numbers_through_python():
    f, params = steps("native")
    X, Y = data(3)
    assert type(f.__call__) is type(len)
    assert f(params, X, Y) == f(y=Y, params=params, x=X) == f(params, X, [np.float64(y) for y in Y])
    assert str(inspect.signature(f)) == "(params, x, y)"
    copied = pickle.loads(pickle.dumps(f))
    assert copied(params, X, Y) == f(params, X, Y)
    with pytest.raises(wg.WengertError):
        f(params, X, z=Y)
    checked = steps("native", check=True)[0]
    assert checked(params, X, Y)["loss"] == pytest.approx(f(params, X, Y)["loss"])
    gc.collect()
    gc.disable()
    try:
        gone = weakref.ref(f)
        del f
        assert gone() is None
    finally:
        gc.enable()


def test_an_operation_without_a_kernel_is_asked_for_its_value():
    cube = replace(
        ops.TANH, name="cube_root", evaluate=lambda x: math.cbrt(x), vjp=(None,), kernel=None
    )
    g = Graph()
    x = g.inputs("x", 2)
    f = compile({"x": x}, [cube(x[0]), cube(x[1] * 2)], target="native")
    assert f([8.0, 4.0]) == [2.0, 2.0]
    f = compile({"x": x}, cube(x[0]), target="native", batch="x", reduce=None)
    assert f([[float(k**3), 0.0] for k in range(11)]) == pytest.approx(list(map(float, range(11))))


def test_the_source_says_which_line_computes_what():
    _, w, x, b, y, loss = notebook_neuron()
    f = compile({"w": w, "b": b, "x": x, "y": y}, {"loss": loss}, target="native")
    line = f.source.splitlines()[f.line_of("n") - 1]
    assert "fadd" in line
    assert line.endswith("; n")


def test_the_same_program_gives_the_same_text():
    assert steps("native")[0].source == steps("native")[0].source


def test_a_program_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(emit, "MAX_INSTRUCTIONS", 10)
    with pytest.raises(SizeError, match="compiles up to 10: compile one sample's"):
        steps("native", name="long")


def test_without_llvmlite_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    from wengert.codegen.native.host import host

    host.cache_clear()
    with pytest.raises(MissingExtraError, match="pip install llvmlite"):
        steps("native", name="missing")


@pytest.mark.parametrize("reduce", ["sum", None])
def test_a_function_made_before_numpy_was_imported_takes_arrays_once_it_is(reduce, monkeypatch):
    graph = Graph()
    a, x = graph.input("a"), graph.inputs("x", 3)
    output = a * sum(x) + x[1]
    X = [[1.0, 2.0, 3.0], [0.5, -1.0, 4.0]]

    def made(name):
        outputs = {"y": output, "g": grad(output, x)}
        options = {"target": "native", "batch": "x", "reduce": reduce, "name": name}
        return compile({"a": a, "x": x}, outputs, **options)

    with monkeypatch.context() as missing:
        missing.setitem(sys.modules, "numpy", None)  # whoever imports it now fails
        early = made(f"early_{reduce}")
        lists = early(2.0, X), early(a=2, x=X)
    late = made(f"late_{reduce}")
    assert str(lists) == str((late(2.0, X), late(2.0, X)))
    arrays = str(late(2.0, np.array(X)))
    assert [str(f(2.0, np.array(X))) for f in (early.function, early)] == [arrays] * 2
    monkeypatch.delattr(code.Code, "call")  # what is slow is not asked again
    assert [str(f(2.0, np.array(X))) for f in (early.function, early)] == [arrays] * 2


def test_code_is_freed_with_its_function():
    x = Graph().input("x")
    program = compile({"x": x}, x * 2 + 1).program
    made = code.Code(emit.emit(program, False))
    function = caller.function_of(made, "f")
    gone = weakref.ref(made._library)
    del made
    gc.collect()
    assert function(3.0) == 7.0
    assert gone() is not None
    del function
    gc.collect()
    assert gone() is None


def test_what_compiled_and_linked_a_function_is_freed_too(monkeypatch):
    freed, last = [], binding().newpassmanagers.NewPassManager
    dispose = last._dispose
    monkeypatch.setattr(last, "_dispose", lambda passes: (freed.append(passes), dispose(passes)))
    text = "define i64 @one() {\n ret i64 1\n}\n"
    code_of_one = object_code(text, packed=True)
    assert len(freed) == 1
    host._linker.cache_clear()
    linkers = set()
    for _ in range(2 * host._LINKED):
        host.link(code_of_one, {}, ["one"])
        linkers.add(weakref.ref(host._linker(next(host._NUMBERS) // host._LINKED)))
    assert len(linkers) >= 3
    assert sum(linker() is not None for linker in linkers) == 1


def test_calls_leave_no_objects_behind():
    f, params = steps("native")
    X, Y = data(5)
    many = [params, np.array(params)], [X, np.array(X), "no"]

    def call_all():
        for p in many[0]:
            for x in many[1]:
                try:
                    f(p, x, Y)
                except ShapeError:
                    continue

    call_all()
    gc.collect()
    counts = [sys.getrefcount(thing) for thing in (*many[0], *X, NotImplemented, np.ndarray)]
    before = sys.getallocatedblocks()
    for _ in range(200):
        call_all()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100
    after = [sys.getrefcount(thing) for thing in (*many[0], *X, NotImplemented, np.ndarray)]
    assert all(abs(a - b) < 5 for a, b in zip(after, counts, strict=True))


def test_threads_may_call_at_once():
    f, params = steps("native")
    inputs = [data(count, seed=count) for count in (3, 700, 4, 900)]
    expected = [f(params, *rows) for rows in inputs]
    wrong = []

    def work(k):
        for _ in range(50):
            if f(params, *inputs[k]) != expected[k]:
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k % 4,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_machine_code_is_kept_on_disk(tmp_path, monkeypatch):
    place = tmp_path / "cache"
    g = Graph()
    x = g.inputs("x", 2)
    outputs = {"y": (x[0] * x[1]).tanh(), "odd": x[0] ** 2.5}

    def made():
        return compile({"x": x}, outputs, target="native", cache_dir=place)

    expected = made()([1.5, 2.0])
    monkeypatch.setattr(code, "object_code", None)
    again = made()
    assert again([1.5, 2.0]) == expected
    assert again.line_of("y") is not None
    monkeypatch.undo()
    monkeypatch.setattr(native, "TARGET", replace(native.TARGET, machine=lambda: "another"))
    assert made()([1.5, 2.0]) == expected
    assert len([entry for entry in place.iterdir() if entry.name != "key"]) == 2
    monkeypatch.undo()
    monkeypatch.setattr("llvmlite.__version__", "0.0")
    assert made()([1.5, 2.0]) == expected
    entries = [entry for entry in place.iterdir() if entry.name != "key"]
    assert len(entries) == 3
    for entry in entries:  # what is changed is not run
        entry.write_bytes(entry.read_bytes().replace(b"native", b"NATIVE", 1)[:-40] + b"0" * 40)
    with pytest.warns(CacheWarning, match="changed since"):
        assert made()([1.5, 2.0]) == expected


def test_calls_leave_their_memory_to_the_next_unless_it_is_much():
    x = Graph().input("x")
    f = compile({"x": x}, {"y": ops.exp(x)}, target="native", batch="x", reduce=None)
    owner = f.__call__.__self__

    def left():
        place = ctypes.c_int64.from_address(owner + 8 * caller._MEMORY)
        return place.value and ctypes.c_int64.from_address(place.value).value

    assert left() == 0
    for samples, kept in ((10, True), (5_000, True), (20, True), (2_000_000, False)):
        before = left()
        X = np.linspace(-1, 1, samples)
        np.testing.assert_allclose(f(X)["y"], np.exp(X), 1e-15)
        if kept:
            assert left() == max(before, left()) >= 2 * samples
        else:
            assert left() == 0
    held = threading.Barrier(4)
    wrong = []

    def work(number):
        X = np.full(3_000, number / 7)
        held.wait()
        wrong.extend(k for k in range(50) if not np.all(f(X)["y"] == f(X[:8])["y"][0]))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_an_interrupt_waits_until_llvm_is_done(monkeypatch):
    llvm, done = binding(), []
    parse = llvm.parse_assembly

    def interrupted(text):
        signal.raise_signal(signal.SIGINT)
        done.append(text)
        return parse(text)

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(llvm, "parse_assembly", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            object_code("define void @f() {\n  ret void\n}\n")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(done) == 1
