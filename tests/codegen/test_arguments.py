"""Arguments: taken for what they are by every target, or refused in the same words by all."""

import array
import collections
import datetime
import decimal
import fractions
import shutil
import warnings

import numpy as np
import pytest

import wengert as wg
from wengert.codegen import arguments
from wengert.errors import DataError, OperandError, ShapeError
from wengert.ops.data import read_data

P, X, Y = [1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]], [0.5, 1.5]


def masked(values, mask):
    return np.ma.masked_array(values, mask)


class Table:
    """What pandas, polars and others have in common, in the least of it."""

    def __init__(self, rows):
        self.rows = rows

    def to_numpy(self):
        return np.array(self.rows)


class Columns:
    """A table by columns, as pyarrow has them."""

    column_names = ("a", "b")

    def __init__(self, rows):
        self.columns = [Column(list(c)) for c in zip(*rows, strict=True)]


class Column:
    def __init__(self, items):
        self.items = items

    def to_pylist(self):
        return self.items

    def to_numpy(self):
        raise ValueError("needs a copy")


class Tensor:
    """An array of a library that has NumPy's protocol."""

    def __init__(self, data):
        self.data_ = np.array(data)

    def __array__(self, dtype=None, copy=None):
        return self.data_


class Graded(Tensor):
    """One that remembers a history, as PyTorch's may."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("call detach() first")

    def detach(self):
        return self

    def cpu(self):
        return Tensor(self.data_)


class Sparse:
    nnz = 3

    def toarray(self):
        return np.array(X)


TAKEN = {
    "floats": (P, X, Y),
    "integers": ([1, 2], [[1, 2], [3, 4]], [1, 2]),
    "mixed": ([1, 2.5], [[1, 2.0], [3.0, 4]], [0.5, 1]),
    "tuples": ((1, 2), ((1, 2), (3, 4)), (1, 2)),
    "large integers": ([2**70, 1], X, Y),
    "fractions": ([fractions.Fraction(1, 2), decimal.Decimal("2.5")], X, Y),
    "sequences": (collections.deque(P), collections.deque(X), range(2)),
    "typed": (array.array("d", P), X, memoryview(array.array("d", Y))),
    "Values": ([wg.Value(1.0), wg.Value(2.0)], X, Y),
    "arrays": (np.array(P), np.array(X), np.array(Y)),
    "single precision": tuple(map(np.float32, (P, X, Y))),
    "extended precision": tuple(map(np.longdouble, (P, X, Y))),
    "integer arrays": (np.array([1, 2]), np.array([[1, 2], [3, 4]]), np.array([True, False])),
    "objects": (np.array(P, object), np.array(X, object), np.array(Y, object)),
    "lists of arrays": ([np.float64(1), np.float32(2)], list(np.array(X)), [np.array(0.5), 1]),
    "nothing masked": (masked(P, [0, 0]), masked(X, False), Y),
    "tables": (Table(P), Table(X), Table(Y)),
    "columns": (Column(P), Columns(X), Column(Y)),
    "tensors": (Tensor(P), Tensor(X), Graded(Y)),
    "nobody": (P, [], []),
}

REFUSED = {
    "None": ([None, 1.0], X, Y),
    "None for a sample": (P, X, [None, 1.0]),
    "None in an array": (np.array([None, 1.0]), X, Y),
    "text in a row": (["1", "2"], X, Y),
    "text": ("12", X, Y),
    "array of text": (np.array(["1", "2"]), X, Y),
    "bytes": ([b"1", 2.0], X, Y),
    "an array of bytes": (bytearray(b"12"), X, Y),
    "dates": ([datetime.date(2026, 1, 1)] * 2, X, Y),
    "array of dates": (np.array(["2020", "2021"], "M8[ns]"), X, Y),
    "a date of NumPy's": ([np.datetime64("2020", "ns"), 1.0], X, Y),
    "complex": ([1j, 2.0], X, Y),
    "complex array": (np.array([1j, 2.0]), X, Y),
    "masked": (masked(P, [0, 1]), X, Y),
    "masked rows": (P, masked(X, [[0, 1], [0, 0]]), Y),
    "one masked": ([np.ma.masked, 1.0], X, Y),
    "set": ({1.0, 2.0}, X, Y),
    "set of rows": (P, {(1.0, 2.0), (3.0, 4.0)}, Y),
    "dict": ({0: 1.0, 1: 2.0}, X, Y),
    "generator": ((number for number in P), X, Y),
    "column": (P, X, [[0.5], [1.5]]),
    "column array": (P, X, np.array([[0.5], [1.5]])),
    "column as a list": (P, X, list(np.array([[0.5], [1.5]]))),
    "sparse": (P, Sparse(), Y),
    "records": (np.zeros(2, [("a", float)]), X, Y),
    "too few": ([1.0], X, Y),
    "too wide": (P, np.ones((2, 3)), Y),
    "ragged": (P, [[1.0, 2.0], [3.0]], Y),
    "other lengths": (P, [[1.0, 2.0]], Y),
    "a number": (1.0, X, Y),
    "an axis more": (P, [X, X], Y),
    "past all bounds": ([10**400, 1.0], X, Y),
    "an expression": ([wg.Graph().input("q"), 1.0], X, Y),
}


def functions():
    graph = wg.Graph()
    p, x, y = graph.inputs("p", 2), graph.inputs("x", 2), graph.input("y")
    for target in ("python", "numpy", "native"):
        yield wg.compile(
            {"p": p, "x": x, "y": y},
            p[0] * x[0] + p[1] * x[1] + y,
            batch=("x", "y"),
            reduce=None,
            target=target,
        )


PYTHON, NUMPY, NATIVE = functions()


@pytest.mark.parametrize("case", TAKEN)
def test_numbers_are_taken_whatever_holds_them(case):
    p, x, y = (list(read_data(a, "a", ShapeError)) for a in TAKEN[case])
    expected = [
        float(p[0]) * float(a[0]) + float(p[1]) * float(a[1]) + float(b)
        for a, b in zip(x, y, strict=True)
    ]
    assert PYTHON(*TAKEN[case]) == expected
    assert NUMPY(*TAKEN[case]).tolist() == expected
    assert list(NATIVE(*TAKEN[case])) == expected


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_number_is_refused_in_the_same_words(case):
    arguments = REFUSED[case] if case != "generator" else ((n for n in P), X, Y)
    said = []
    for function in (PYTHON, NUMPY, NATIVE):
        with pytest.raises(ShapeError) as caught:
            function(*arguments)
        said.append(str(caught.value))
    assert said[0] == said[1] == said[2]
    assert said[0].startswith("f: ")


def test_tables_and_columns_of_the_libraries_are_read_by_rows():
    for name in ("pandas", "polars"):
        library = pytest.importorskip(name)
        rows = {"schema": ["a", "b"], "orient": "row"} if name == "polars" else {}
        given = library.Series(P), library.DataFrame(X, **rows), library.Series(Y)
        assert PYTHON(*given) == [5.5, 12.5]
        assert NUMPY(*given).tolist() == [5.5, 12.5]
        net = wg.MLP(2, [1], "linear", seed=0)
        twin = wg.MLP(2, [1], "linear", seed=0)
        assert wg.fit(net, given[1], given[2], epochs=2).loss == wg.fit(twin, X, Y, epochs=2).loss


@pytest.mark.parametrize(
    "rows",
    [
        masked(X, [[0, 1], [0, 0]]),
        {(1.0, 2.0), (3.0, 4.0)},
        [{1.0, 2.0}, {3.0, 4.0}],
        Sparse(),
        np.array([["1", "2"], ["3", "4"]]),
        np.array(X) * 1j,
        [[None, 1.0], [2.0, 3.0]],
        np.zeros((2, 2), "M8[s]"),
    ],
)
def test_fit_refuses_what_is_no_table_of_numbers(rows):
    net = wg.MLP(2, [1], "linear", seed=0)
    before = [p.data for p in net.parameters()]
    with pytest.raises((DataError, ShapeError)):
        wg.fit(net, rows, Y, epochs=1)
    assert [p.data for p in net.parameters()] == before


@pytest.mark.parametrize(
    "data",
    [masked(P, [0, 1]), [None, 1.0], ["1", "2"], [1j, 2.0], {1.0, 2.0}, np.zeros(2, "M8[s]")],
)
def test_arrays_that_are_written_are_read_alike(data):
    graph = wg.Graph()
    x = graph.array("x", 2)
    for use in (
        lambda: wg.evaluate([x.sum()], {x: data}),
        lambda: x.sum() + wg.Graph().parameter("w", data),
    ):
        with pytest.raises(OperandError):
            use()


def test_numbers_are_floats_from_the_start():
    """Integers are exact, and without bounds; what is computed with floats is neither."""
    u = wg.Graph().inputs("u", 3)
    f = wg.compile({"v": u}, {"r": u[0] * u[0] - u[1] * u[1], "c": u[2]})
    floats = f([94906267.0, 94906266.0, 0.5])
    for given in ([94906267, 94906266, 0.5], [94906267, 94906266, 1], (94906267.0, 94906266, 0.5)):
        assert f(given)["r"] == floats["r"] == 189812532.0
    g = wg.compile({"x": [u[0], u[1]]}, u[0] * u[0] - u[1] * u[1], batch="x")
    assert g([[94906267, 94906266.0], [1.0, 0]]) == g([[94906267.0, 94906266.0], [1.0, 0.0]])
    powered = u[0]
    for _ in range(40):
        powered = powered * powered
    assert wg.compile({"v": u[:2]}, powered + u[1])([3, 0.5]) == np.inf


@pytest.mark.parametrize("wide", [False, True])
def test_the_check_of_floats_lets_nothing_else_by(wide, monkeypatch):
    """Whether a test is written for each number, or they are looked at in a loop."""
    monkeypatch.setattr(arguments, "_WRITTEN_OUT", 0 if wide else 4096)
    u = wg.Graph().inputs("u", 3)
    f = wg.compile({"v": u[:2], "s": u[2]}, u[0] + u[1] * u[2])
    assert f([1.0, 2.0], 3.0) == f((1.0, 2.0), 3.0) == f([1, 2], 3) == f([True, 2], 3.0) == 7.0
    assert f([np.float64(1.0), 2.0], 3.0) == 7.0
    assert type(f([1, 2], 3)) is type(f([np.float64(1.0), 2], np.float64(3.0))) is float
    for given in (
        *(([1.0, None], 3.0), ([1.0, "2"], 3.0), (["1", 2.0], 3.0), ([1.0], 3.0), ([1.0] * 3, 3.0)),
        *((masked([1.0, 2.0], [0, 1]), 3.0), ([1.0, 2.0], "3"), ([1.0, 2.0], [3.0]), (1.0, 2.0)),
        *(({1.0: 0, 2.0: 0}, 3.0), ({1.0, 2.0}, 3.0), ("12", 3.0), ([1.0, 2.0],)),
    ):
        with pytest.raises((ShapeError, DataError)):
            f(*given)


def test_evaluation_on_arrays_is_silent():
    x = wg.Graph().array("x", 3)
    at = {x: np.array([1e3, 0.0, -1.0])}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert wg.evaluate([wg.exp(x).sum()], at) == [np.inf]
        assert wg.evaluate([(x / x).sum()], at)[0] != 0
        assert wg.evaluate([wg.sqrt(x).sum()], at)[0] != 0
        assert wg.evaluate([(x * 1e308) @ (x * 1e308)], at)[0] != 0


def test_an_empty_list_beside_arrays_is_taken_at_each_call_and_checked_like_the_others():
    net = wg.MLP(2, [3, 1], seed=0)
    step = wg.training_step(net, loss="squared_error", optimizer=wg.SGD(0.1), target="numpy")
    params = np.array([p.data for p in net.parameters()])
    X, Y = np.ones((4, 2)), np.ones(4)
    first = step(params, [], X, Y)["params"]
    assert np.array_equal(step(params, [], X, Y)["params"], first)
    assert np.array_equal(step(params, np.zeros(0), X, Y)["params"], first)
    assert np.array_equal(step(params.tolist(), (), X.tolist(), Y.tolist())["params"], first)
    for bad in ([1.0], "", {}, None, np.zeros(1)):
        with pytest.raises(wg.ShapeError, match="state"):
            step(params, bad, X, Y)
    with pytest.raises(wg.ShapeError, match="params"):
        step(params[1:], [], X, Y)
    with pytest.raises(wg.ShapeError, match="different numbers of rows"):
        step(params, [], X, Y[1:])


@pytest.mark.parametrize("target", ["python", "numpy"])
def test_missing_entries_of_polars_are_refused_and_views_of_memory_taken(target):
    polars = pytest.importorskip("polars")
    x = wg.Graph().inputs("x", 2)
    f = wg.compile({"x": x}, x[0] * x[1], target=target, batch="x")
    assert f(memoryview(np.ones((3, 2)))) == 3.0
    table = polars.DataFrame({"a": [1.0, None], "b": [5.0, 2.0]})
    with pytest.raises(ShapeError, match=r"missing entries \(null\), 1 in all"):
        f(table)
    assert f(table.fill_null(3.0)) == 11.0


ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]

NO_ARRAYS = {
    "None": (None, "'A' is None, a NoneType; expected numbers of shape"),
    "a number": (1.0, "'A' is 1.0, a float; expected numbers of shape"),
    "ragged": ([[1.0, 2.0], [3.0]], r"entry \[1\] has length 1, but entry \[0\] has 2"),
    "ragged below": ([ROWS, [[1.0] * 3, [1.0]]], r"entry \[1, 1\] has length 1, but entry"),
    "a row missing": ([ROWS[0], None], r"entry \[1\] is None, a NoneType; expected a row, as"),
    "text below": ([[1.0, 2.0, "3"], ROWS[1]], r"entry \[0, 2\] is '3', a str"),
    "narrow": (np.zeros((2, 1)), r"has shape \(2, 1\), expected \("),
    "a row": ([1.0, 2.0, 3.0], r"has shape \(3,\), expected \("),
    "an axis more": ([[ROWS], [ROWS]], r"has shape \(2, 1, 2, 3\), expected \("),
}


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("case", NO_ARRAYS)
def test_what_is_no_array_is_refused_in_the_same_words_and_told_where(case, batched):
    given, said = NO_ARRAYS[case]
    A = wg.Graph().array("A", (2, 3))
    found = set()
    for target in ("numpy", "native"):
        f = wg.compile({"A": A}, A.sum(), batch="A" if batched else (), target=target)
        with pytest.raises(
            ShapeError, match=said.replace("0, 2", "0, 0, 2" if batched else "0, 2")
        ) as e:
            f([given] if batched and case == "text below" else given)
        found.add(str(e.value))
    assert len(found) == 1


@pytest.mark.parametrize("target", ["numpy", "native"])
def test_no_samples_are_an_empty_list_or_an_array_of_length_zero(target):
    A = wg.Graph().array("A", (2, 3))
    f = wg.compile({"A": A}, {"s": A.sum(), "t": A * 2}, batch="A", target=target)
    for nobody in ([], (), np.zeros(0), np.zeros((0, 2, 3))):
        assert f(nobody)["s"] == 0.0


@pytest.mark.parametrize("target", ["python", "numpy", "native"])
def test_no_samples_of_several_numbers_are_the_same_to_scalars(target):
    g = wg.Graph()
    x, y = g.inputs("x", 2), g.input("y")
    for reduce, none in (("sum", 0.0), (None, [])):
        options = {"batch": ("x", "y"), "reduce": reduce, "target": target}
        f = wg.compile({"x": x, "y": y}, x[0] * x[1] + y, **options)
        for nobody in ([], np.zeros(0), np.zeros((0, 2))):
            assert np.array_equal(f(nobody, []), none)


@pytest.mark.parametrize("target", ["numpy", "native"])
@pytest.mark.parametrize("batch", [(), ("A",), ("s", "A")])
@pytest.mark.parametrize("check", [False, True])
def test_an_array_that_no_output_needs_is_checked_like_others(target, batch, check):
    g = wg.Graph()
    s, A = g.input("s"), g.array("A", (2, 3))
    f = wg.compile({"s": s, "A": A}, s.log() * 2, target=target, batch=batch, check=check)
    given = [[1.0, 1.0] if "s" in batch else 1.0, np.ones((2, 2, 3) if batch else (2, 3))]
    for whole in (given[1], given[1].tolist()):
        assert f(given[0], whole) == 0.0
    with pytest.raises(wg.ShapeError, match=r"'A' has shape"):
        f(given[0], np.ones(6))
    assert f.verify(seconds=0.0)


@pytest.mark.parametrize("target", ["python", "javascript"])
def test_an_array_that_no_output_needs_is_refused_where_there_are_none(target):
    g = wg.Graph()
    inputs = {"s": g.input("s"), "A": g.array("A", (2, 3))}
    with pytest.raises(wg.ShapeError, match="argument 'A' has an array, which no output needs"):
        wg.compile(inputs, inputs["s"] * 2, target=target)


@pytest.mark.parametrize("target", ["python", "numpy", "native", "javascript"])
def test_outputs_are_nested_as_deep_as_python_reads_or_refused(target):
    if target == "native":
        pytest.importorskip("llvmlite")
    x = wg.Graph().input("x")

    def nested(depth):
        return [nested(depth - 1)] if depth else x * 2

    assert "x" in wg.compile({"x": x}, nested(100), target=target).source
    around = [x]
    around.append(around)
    for outputs in (nested(101), nested(400), around):
        with pytest.raises(wg.SizeError, match="nested more than 100 deep"):
            wg.compile({"x": x}, outputs, target=target)


@pytest.mark.parametrize("target", ["python", "numpy", "native", "javascript", "jax", "torch"])
def test_samples_that_fit_no_array_are_refused_before_memory_is_taken(target):
    needed = {"native": "llvmlite", "jax": "jax", "torch": "torch"}
    pytest.importorskip(needed.get(target, "numpy"), exc_type=ImportError)
    if target == "javascript" and not shutil.which("node"):
        pytest.skip("no Node.js")
    g = wg.Graph()
    x, w = g.inputs("x", 2000), g.inputs("w", 2000)
    loss = sum(a * b for a, b in zip(w, x, strict=True)).tanh()
    dtype = {"dtype": "float32"} if target == "jax" else {}
    f = wg.compile({"w": w, "x": x}, loss, batch="x", target=target, **dtype)
    words = r"f: 1,000,000 samples need an array of 16,000,000,000 bytes; the limit for one array"
    for dtype in (float, np.float32, int, bool):
        samples = np.broadcast_to(np.zeros(2000, dtype), (1_000_000, 2000))
        with pytest.raises(wg.SizeError, match=words):
            f(np.zeros(2000), samples)
