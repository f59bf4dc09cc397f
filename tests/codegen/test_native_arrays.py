"""Arrays as users write them, in machine code: the numbers, shapes and refusals of NumPy's."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from test_arrays import APPLIED, as_leaves, data, weighted

import wengert as wg
from wengert.codegen.native import caller
from wengert.errors import NonFiniteError, ShapeError
from wengert.ops.shapes import BATCH

CLOSE = {"float64": {"rtol": 1e-13, "atol": 1e-13}, "float32": {"rtol": 2e-4, "atol": 1e-5}}


def assert_alike(found, expected, dtype="float64"):
    """The same nesting, shapes and types, and nearly the same numbers."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_alike(found[key], expected[key], dtype)
    elif isinstance(expected, list):
        for one, other in zip(found, expected, strict=True):
            assert_alike(one, other, dtype)
    else:
        assert np.shape(found) == np.shape(expected)
        assert np.asarray(found).dtype == np.asarray(expected).dtype == dtype
        np.testing.assert_allclose(found, expected, **CLOSE[dtype])


def both(inputs, outputs, *calls, dtype="float64", **options):
    """The function in machine code, which gives at each call what NumPy's gives."""
    numpys = wg.compile(inputs, outputs, target="numpy", dtype=dtype, **options)
    native = wg.compile(inputs, outputs, target="native", dtype=dtype, **options)
    for arguments in calls:
        kept = [np.copy(argument) for argument in arguments]
        with np.errstate(all="ignore"):
            assert_alike(native(*arguments), numpys(*arguments), dtype)
        for before, after in zip(kept, arguments, strict=True):
            np.testing.assert_array_equal(before, after)
    return native


@pytest.mark.parametrize("case", APPLIED)
@pytest.mark.parametrize(
    ("batched", "dtype"), [(False, "float64"), (True, "float64"), (True, "float32")]
)
def test_operations_on_arrays_and_their_gradients(case, batched, dtype):
    shapes, function = APPLIED[case]
    if batched and "_rows" in case:
        return
    leaves = as_leaves(wg.Graph(), shapes)
    out = function(*leaves)
    outputs = {"out": out, "grad": wg.grad(weighted(out), leaves)}
    inputs = {f"a{i}": leaf for i, leaf in enumerate(leaves)}
    points = data(shapes, 11)
    if not batched:
        both(inputs, outputs, points, dtype=dtype)
        return
    many = np.random.default_rng(1).normal(size=(11, *shapes[0]))
    calls = [[many[:count], *points[1:]] for count in (0, 1, 11)]
    both(inputs, outputs, *calls, batch="a0", reduce=None, dtype=dtype)
    both(inputs, outputs, *calls, batch="a0", dtype=dtype)


def network():
    first, second = wg.Dense(2, 8, seed=1, place="0"), wg.Dense(8, 2, "linear", seed=2, place="1")
    parameters = [*first.parameters(), *second.parameters()]
    graph = wg.Graph()
    x, y = graph.array("x", 2), graph.array("y", 2)
    scores = second(first(x))
    loss = wg.arrays.logsumexp(scores) - (scores * y).sum()
    outputs = {"loss": loss, "grad": wg.grad(loss, parameters), "scores": scores}
    return {"params": parameters, "x": x, "y": y}, outputs


@pytest.mark.parametrize("reduce", ["sum", "mean", None])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_networks_of_dense_layers(reduce, dtype):
    inputs, outputs = network()
    draw = np.random.default_rng(0)
    flat = np.concatenate([np.ravel(p.data) for p in inputs["params"]])
    calls = [[flat, draw.normal(size=(n, 2)), draw.normal(size=(n, 2))] for n in (0, 1, 8, 700)]
    f = both(inputs, outputs, *calls, batch=("x", "y"), reduce=reduce, dtype=dtype)
    assert_alike(f(inputs["params"], *calls[2][1:]), f(*calls[2]), dtype)
    assert_alike(f(flat.tolist(), calls[2][1].tolist(), calls[2][2]), f(*calls[2]), dtype)


def function(target, **options):
    graph = wg.Graph()
    X, W, s = graph.array("X", (3, 4)), graph.array("W", (2, 4)), graph.input("s")
    out = (X @ W.T).tanh() * s
    return wg.compile(
        {"X": X, "W": W, "s": s},
        {"out": out, "sum": out.sum(), "both": [out.sum(), s], "W": W, "turned": X.T, "X": X},
        target=target,
        **options,
    )


A, B = np.linspace(-1, 1, 12).reshape(3, 4), np.linspace(0, 1, 8).reshape(2, 4)
TAKEN = {
    "arrays": (A, B, 0.5),
    "lists": (A.tolist(), B.tolist(), 1),
    "lists of arrays": (list(A), tuple(B), np.float32(0.5)),
    "other order": (np.asfortranarray(A), B.T.copy().T, np.array(0.5)),
    "steps": (np.repeat(A, 2, axis=1)[:, ::2], B[::-1][::-1], True),
    "read only": (np.broadcast_to(A[0], (3, 4)), B, 0.5),
    "swapped bytes": (A.astype(">f8"), B.astype(">f4"), np.array(0.5, ">f8")),
    "not aligned": (np.frombuffer(b"x" + A.tobytes(), float, 12, 1).reshape(3, 4), B, 0.5),
    "half": (A.astype(np.float16), B.astype(np.float32), np.float16(0.5)),
    "extended": (A.astype(np.longdouble), B, np.longdouble(0.5)),
    "whole": (A.astype(np.int8), B.astype(np.uint64), np.int64(2)),
    "truths": (A > 0, (B > 0).tolist(), False),
    "objects": (A.astype(object), B, 0.5),
    "nothing masked": (np.ma.masked_array(A, False), B, 0.5),
    "a subclass": (A.view(type("Own", (np.ndarray,), {})), B, 0.5),
}
REFUSED = {
    "rows missing": (A[:2], B, 0.5),
    "flat": (A.ravel(), B, 0.5),
    "flat list": (A.ravel().tolist(), B, 0.5),
    "turned": (A, B.T, 0.5),
    "an axis more": (A[None], B, 0.5),
    "empty": (np.zeros((0, 4)), B, 0.5),
    "ragged": ([[1.0], [2.0, 3.0]], B, 0.5),
    "text": ([["1"] * 4] * 3, B, 0.5),
    "complex": (A + 0j, B, 0.5),
    "masked": (np.ma.masked_array(A, A > 0), B, 0.5),
    "None": (None, B, 0.5),
    "a number": (1.0, B, 0.5),
    "a list for a number": (A, B, [0.5]),
    "an array for a number": (A, B, np.ones(1)),
    "too few": (A, B),
    "too many": (A, B, 0.5, 0.5),
}


@pytest.mark.parametrize("case", TAKEN)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_arrays_are_taken_whatever_they_look_like(case, dtype, functions):
    numpys, native = functions[dtype]
    assert_alike(native(*TAKEN[case]), numpys(*TAKEN[case]), dtype)


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_does_not_fit_is_refused_in_the_words_of_numpys_target(case, dtype, functions):
    said = []
    for function in functions[dtype]:
        with pytest.raises(ShapeError) as caught:
            function(*REFUSED[case])
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.fixture(scope="module")
def functions():
    targets = "numpy", "native"
    return {d: [function(t, dtype=d) for t in targets] for d in ("float64", "float32")}


def test_results_are_the_callers_own():
    f = function("native")
    given = A.copy()
    found = f(given, B, 0.5)
    for part in found.values():
        assert not np.shares_memory(part, given)
    found["X"][:] = 0
    found["out"][:] = 0
    assert_alike(f(given, B, 0.5), function("numpy")(A, B, 0.5))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_generic_call_gives_and_refuses_the_same(dtype, monkeypatch, functions):
    monkeypatch.setattr(caller, "as_in_the_headers", lambda arrays: False)
    caller._caller.cache_clear()
    generic = function("native", dtype=dtype, name="generic")
    caller._caller.cache_clear()
    assert not hasattr(generic.function, "__text_signature__")
    for arguments in TAKEN.values():
        assert_alike(generic(*arguments), functions[dtype][1](*arguments), dtype)
    for arguments in REFUSED.values():
        with pytest.raises(ShapeError):
            generic(*arguments)


def test_single_precision_refuses_what_does_not_fit():
    graph = wg.Graph()
    x, y = graph.inputs("x", 40), graph.input("y")
    f = wg.compile({"x": x, "y": y}, sum(x) * y, target="native", dtype="float32", batch="y")
    one = np.ones(40, np.float32)
    assert f(one, np.ones(3, np.float32)) == 120.0
    assert type(f(one.tolist(), [1.0])) is np.float32
    for bad in (one[:39], one[:39].tolist(), np.ones((40, 1), np.float32), 1.0, None):
        with pytest.raises(ShapeError, match="argument 'x'"):
            f(bad, np.ones(3, np.float32))
    with pytest.raises(ShapeError, match="row 0 of 'y'"):
        f(one, np.ones((3, 1), np.float32))


def test_outputs_that_no_sample_enters_are_repeated_for_each():
    graph = wg.Graph()
    x, w = graph.array("x", 2), graph.array("w", (2, 3))
    outputs = {"w": w, "twice": 2 * w, "one": x @ w, "total": (x @ w).sum()}
    calls = [[np.ones((n, 2)), np.arange(6.0).reshape(2, 3)] for n in (1, 9)]
    both({"x": x, "w": w}, outputs, *calls, batch="x", reduce=None)


def test_a_check_names_the_first_number_that_is_not_finite():
    graph = wg.Graph()
    x = graph.array("x", (2, 2))
    f = wg.compile({"x": x}, x.log().sum(), target="native", check=True)
    with pytest.raises(NonFiniteError, match=r"x_1_0.* is nan"):
        f([[1.0, 2.0], [-1.0, 3.0]])


def test_they_are_verified_and_certified():
    graph = wg.Graph()
    x, w = graph.array("x", 3), graph.array("w", (2, 3))
    loss = ((w @ x).tanh() ** 2).sum()
    f = wg.compile({"w": w, "x": x}, {"y": loss, "g": wg.grad(loss, w)}, target="native")
    found = f.verify()
    assert found
    assert any("native, as arrays" in check.method for check in found.checks)


def test_arrays_of_however_many_samples_are_refused_as_ever():
    graph = wg.Graph()
    x = graph.array("x", (BATCH, 3))
    with pytest.raises(ShapeError, match="however many samples"):
        wg.compile({"x": x}, x.sum(), target="native")
