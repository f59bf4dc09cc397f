"""NumPy's functions of arrays, on expressions and on arrays: NumPy's meaning, and derivatives."""

import numpy as np
import pytest

import wengert as wg
from wengert import arrays as wa
from wengert.errors import OperandError, ShapeError
from wengert.ops.shapes import BATCH

CASES = {
    "T of three axes": ([(2, 3, 4)], lambda x: x.T, lambda x: x.T),
    "mT of three axes": ([(2, 3, 4)], lambda x: x.mT, lambda x: np.swapaxes(x, -1, -2)),
    "T of one": ([(3,)], lambda x: x.T * x, lambda x: x.T * x),
    "transpose": ([(2, 3, 4)], lambda x: x.transpose(1, 0, 2), lambda x: x.transpose(1, 0, 2)),
    "transpose, negative": (
        [(2, 3, 4)],
        lambda x: wa.transpose(x, (-1, 0, 1)),
        lambda x: np.transpose(x, (-1, 0, 1)),
    ),
    "swapaxes": ([(2, 3, 4)], lambda x: x.swapaxes(0, -1), lambda x: x.swapaxes(0, -1)),
    "ravel": ([(2, 3)], lambda x: x.ravel(), lambda x: x.ravel()),
    "squeeze": ([(1, 3, 1)], lambda x: x.squeeze(), lambda x: x.squeeze()),
    "squeeze one": ([(1, 3, 1)], lambda x: x.squeeze(-1), lambda x: x.squeeze(-1)),
    "expand_dims": (
        [(2, 3)],
        lambda x: wa.expand_dims(x, (0, -1)),
        lambda x: np.expand_dims(x, (0, -1)),
    ),
    "take": ([(2, 4)], lambda x: x.take([3, 0, 3], axis=1), lambda x: x.take([3, 0, 3], axis=1)),
    "take of all, as a function": (
        [(2, 4)],
        lambda x: wa.take(x, [7, 0]),
        lambda x: np.take(x, [7, 0]),
    ),
    "flatten": ([(2, 3)], lambda x: x.flatten(), lambda x: x.flatten()),
    "dot": ([(2, 3), (3,)], lambda x, y: x.dot(y), lambda x, y: x.dot(y)),
    "size": ([(2, 3)], lambda x: x * x.size, lambda x: x * x.size),
    "take of all": ([(2, 4)], lambda x: x.take([[7, 0]]), lambda x: x.take([[7, 0]])),
    "clip": ([(3, 4)], lambda x: x.clip(-0.5, 0.4), lambda x: x.clip(-0.5, 0.4)),
    "clip from below": ([(3, 4)], lambda x: wa.clip(x, -0.2), lambda x: np.clip(x, -0.2, None)),
    "cumsum": ([(3, 5)], lambda x: x.cumsum(axis=-1), lambda x: x.cumsum(axis=-1)),
    "cumsum of all": ([(2, 3)], lambda x: x.cumsum(), lambda x: x.cumsum()),
    "concatenate": (
        [(2, 3), (4, 3), (1, 3)],
        lambda *x: wa.concatenate(x),
        lambda *x: np.concatenate(x),
    ),
    "concatenate equal": (
        [(2, 3), (2, 3)],
        lambda *x: wa.concatenate(x, axis=-1),
        lambda *x: np.concatenate(x, axis=-1),
    ),
    "concatenate all": (
        [(2, 3), (2,)],
        lambda *x: wa.concatenate(x, axis=None),
        lambda *x: np.concatenate(x, axis=None),
    ),
    "stack": ([(2, 3)] * 3, lambda *x: wa.stack(x, axis=-1), lambda *x: np.stack(x, axis=-1)),
    "std of all": ([(2, 3)], lambda x: x.std(ddof=1), lambda x: x.std(ddof=1)),
}

for text, shapes in {
    "ij,jk->ik": [(2, 3), (3, 4)],
    "ij,jk": [(2, 3), (3, 4)],
    "bij,bkj->bik": [(2, 3, 4), (2, 2, 4)],
    "ii->i": [(3, 3)],
    "ii": [(3, 3)],
    "ij->ji": [(2, 3)],
    "i,j->ij": [(2,), (3,)],
    "ij,ij->": [(2, 3), (2, 3)],
    "ij,k->k": [(2, 3), (4,)],
    "i,ij,j->": [(2,), (2, 3), (3,)],
    "phj,thj->pth": [(2, 3, 4), (5, 3, 4)],
    "...ij,...jk->...ik": [(2, 2, 3), (2, 3, 2)],
    ",i->i": [(), (3,)],
    "ij,jk->ki": [(2, 1), (3, 4)],
    "...i,ki->...k": [(2, 3, 1), (4, 3)],
    "i...,...i->...": [(2, 1, 3), (4, 3, 2)],
}.items():
    CASES[f"einsum {text}"] = (
        shapes,
        lambda *x, text=text: wa.einsum(text, *x),
        lambda *x, text=text: np.einsum(text, *x),
    )

for name in ("sum", "mean", "max", "min", "prod", "var", "std"):
    for axis in (None, 0, -1, (0, 2), (-1, 0, 1)):
        for keepdims in (False, True):
            CASES[f"{name} {axis} {keepdims}"] = (
                [(2, 3, 2)],
                lambda x, name=name, axis=axis, keepdims=keepdims: getattr(x, name)(
                    axis=axis, keepdims=keepdims
                ),
                lambda x, name=name, axis=axis, keepdims=keepdims: getattr(x, name)(
                    axis=axis, keepdims=keepdims
                ),
            )

for name, shapes, written in (
    ("einsum", [(2, 3), (4, 3)], lambda a, b: np.einsum("ij,kj->ik", a, b)),
    ("concatenate", [(2, 3), (2, 1)], lambda a, b: np.concatenate([a, b], axis=1)),
    ("stack", [(2, 3), (2, 3)], lambda a, b: np.stack([a, b], -1)),
    ("cumsum", [(2, 3)], lambda a: np.cumsum(a, axis=0)),
    ("prod", [(2, 3)], lambda a: np.prod(a, axis=1, keepdims=True)),
    ("amin", [(2, 3)], lambda a: np.amin(a)),
    ("var", [(2, 3)], lambda a: np.var(a, axis=0, ddof=1)),
    ("std", [(2, 3)], lambda a: np.std(a)),
    ("transpose", [(2, 3, 4)], lambda a: np.transpose(a, (1, 2, 0))),
    ("swapaxes", [(2, 3, 4)], lambda a: np.swapaxes(a, 0, 2)),
    ("expand_dims", [(2, 3)], lambda a: np.expand_dims(a, 1)),
    ("squeeze", [(2, 1)], lambda a: np.squeeze(a)),
    ("ravel", [(2, 3)], lambda a: np.ravel(a)),
    ("take", [(2, 3)], lambda a: np.take(a, [1, 0, 1], axis=0)),
    ("outer", [(2, 2), (3,)], lambda a, b: np.outer(a, b)),
    ("broadcast_to", [(3,)], lambda a: np.broadcast_to(a, (2, 3))),
    ("clip", [(2, 3)], lambda a: np.clip(a, None, 0.5)),
    ("reshape", [(2, 3)], lambda a: np.reshape(a, (3, -1))),
    ("dot", [(2, 3), (4, 3, 2)], lambda a, b: np.dot(a, b)),
    ("dot of a row", [(3,), (4, 3, 2)], lambda a, b: np.dot(a, b)),
    ("dot with a number", [(), (2, 3)], lambda a, b: np.dot(a, b)),
    ("take wrapped", [(2, 3)], lambda a: np.take(a, [[4, -5]], axis=1, mode="wrap")),
    ("take clipped", [(2, 3)], lambda a: np.take(a, [7, -5], mode="clip")),
    ("take of truth", [(2, 3)], lambda a: np.take(a, [True, False, True], axis=0)),
    ("take of one truth", [(2, 3)], lambda a: a.take(True, axis=1)),
    ("einsum optimized", [(2, 3), (3, 4)], lambda a, b: np.einsum("ij,jk", a, b, optimize=True)),
    ("size", [(2, 3)], lambda a: a * np.size(a)),
    ("hstack", [(2, 3), (2, 1)], lambda a, b: np.hstack([a, b])),
    ("vstack", [(2, 3), (3,)], lambda a, b: np.vstack([a, b])),
    ("diff", [(2, 4)], lambda a: np.diff(a, 2)),
    ("roll", [(2, 3)], lambda a: np.roll(a, (1, -2), (0, 1))),
    ("pad", [(2, 3)], lambda a: np.pad(a, ((1, 0), (2, 1)))),
    ("pad reflect", [(4,)], lambda a: np.pad(a, 2, mode="reflect")),
    ("diag", [(3,)], lambda a: np.diag(a, 1)),
    ("diag of a matrix", [(3, 4)], lambda a: np.diag(a, -1)),
    ("repeat", [(2, 3)], lambda a: np.repeat(a, [2, 0, 1], 1)),
    ("tile", [(2, 3)], lambda a: np.tile(a, (2, 1, 2))),
    ("tril", [(3, 3)], lambda a: np.tril(a)),
    ("triu", [(3, 4)], lambda a: np.triu(a, 1)),
    ("trace", [(3, 3)], lambda a: np.trace(a) * np.trace(a, 1)),
    ("trace, a method", [(2, 3, 3)], lambda a: a.trace(0, 1, 2) * a.diagonal(1)[0, 0]),
    ("repeat, a method", [(2, 2)], lambda a: a.repeat(2)),
    ("split", [(2, 4)], lambda a: np.split(a, 2, axis=1)[1] * np.hsplit(a, [1, 2])[1]),
    ("moveaxis", [(2, 3, 4)], lambda a: np.moveaxis(a, [0, 1], [-1, 0])),
    ("take_along_axis", [(2, 3)], lambda a: np.take_along_axis(a, np.array([[2], [0]]), 1)),
    ("inner", [(2, 3), (4, 3)], lambda a, b: np.inner(a, b)),
    ("vdot", [(2, 3), (2, 3)], lambda a, b: np.vdot(a, b)),
    ("tensordot", [(2, 3, 4), (4, 3, 2)], lambda a, b: np.tensordot(a, b, ([1, 2], [1, 0]))),
    ("tensordot of one", [(2, 3), (3, 2)], lambda a, b: np.tensordot(a, b, 1)),
    ("norm", [(2, 3)], lambda a: np.linalg.norm(a, axis=-1, keepdims=True)),
    ("append", [(2, 3), (3,)], lambda a, b: np.append(a, b) * np.append(a, b)),
    ("atleast", [(3,), ()], lambda a, b: np.atleast_2d(a) * np.atleast_1d(b)),
    ("ptp", [(2, 3)], lambda a: np.ptp(a, axis=1) + np.ptp(np.copy(a))),
    ("rows", [(3, 2)], lambda a: sum(row[0] * np.tanh(row) for row in a)),
    ("unpacked", [(2, 3)], lambda a: np.stack([x * y for x, y in zip(*a, strict=True)])),
    ("zeros_like", [(2, 3)], lambda a: a + np.zeros_like(a) - np.ones_like(a)),
    ("number[...]", [()], lambda a: a[...] + a[()] * 1.0),
    ("number[None]", [()], lambda a: a[None, ..., None]),
):
    CASES[f"np.{name}"] = (shapes, written, written)


def made(case):
    shapes, ours, numpys = CASES[case]
    graph = wg.Graph()
    leaves = [
        graph.array(f"a{i}", shape) if shape else graph.input(f"a{i}")
        for i, shape in enumerate(shapes)
    ]
    draw = np.random.default_rng(len(case))
    points = [np.asarray(draw.normal(size=shape)) for shape in shapes]
    return leaves, ours(*leaves), points, numpys


@pytest.mark.parametrize("case", CASES)
def test_values_are_numpys(case):
    leaves, out, points, numpys = made(case)
    wanted = numpys(*points)
    assert out.shape == np.shape(wanted)
    found = wg.evaluate(out, dict(zip(leaves, points, strict=True)))
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("case", CASES)
def test_derivatives_are_those_of_differences(case):
    leaves, out, points, numpys = made(case)
    weights = np.linspace(0.3, 2.0, np.size(numpys(*points))).reshape(out.shape)
    loss = (out * weights).sum() if out.shape else out * float(weights)
    gradient = wg.grad(loss, leaves)
    groups, outputs = {leaf.label: leaf for leaf in leaves}, {"out": out, "g": gradient}
    results = [wg.evaluate(gradient, dict(zip(leaves, points, strict=True)))]
    for target in ("numpy", "native"):
        result = wg.compile(groups, outputs, target=target)(*points)
        np.testing.assert_allclose(result["out"], numpys(*points), rtol=1e-12, atol=1e-14)
        results.append(result["g"])
    for found in results:
        for place, (derivative, point) in enumerate(zip(found, points, strict=True)):
            assert np.shape(derivative) == point.shape
            for index in np.ndindex(point.shape):
                ends = []
                for step in (1e-6, -1e-6):
                    moved = [one.copy() for one in points]
                    moved[place][index] += step
                    ends.append((numpys(*moved) * weights).sum())
                difference = (ends[0] - ends[1]) / 2e-6
                assert np.asarray(derivative)[index] == pytest.approx(difference, abs=2e-8)


AXES = (None, 0, -1, 2, -3)
MOVED = {
    **{f"flip {axis}": lambda x, axis=axis: np.flip(x, axis) for axis in (*AXES, (0, -1))},
    **{f"roll {k} {a}": lambda x, k=k, a=a: np.roll(x, k, a) for a in AXES for k in (2, -5, 0)},
    "roll all": lambda x: np.roll(x, (1, 2), (0, 1)),
    "fliplr": np.fliplr,
    "flipud": np.flipud,
    "rot90": lambda x: np.rot90(x, 3),
    **{f"moveaxis {a}": lambda x, a=a: np.moveaxis(x, a, 0) for a in (0, 1, -1, (1, 0))},
    "rollaxis": lambda x: np.rollaxis(x, 1),
    **{f"diagonal {k}": lambda x, k=k: np.diagonal(x, k) for k in (0, 1, -2, 5)},
    **{f"diag {k}": lambda x, k=k: np.diag(x, k) for k in (0, 1, -2)},
    "diagflat": np.diagflat,
    "trace": np.trace,
    **{f"tril {k}": lambda x, k=k: np.tril(x, k) for k in (0, 1, -1)},
    **{f"triu {k}": lambda x, k=k: np.triu(x, k) for k in (0, 1, -1)},
    **{f"tile {n}": lambda x, n=n: np.tile(x, n) for n in (0, 2, (2, 1), (1, 2, 1, 2))},
    **{f"repeat {a}": lambda x, a=a: np.repeat(x, 2, a) for a in AXES},
    "repeat some": lambda x: np.repeat(x, [1, 0, 2, 1], axis=-1),
    **{f"split {a}": lambda x, a=a: np.split(x, 2, a) for a in AXES[1:]},
    "split at": lambda x: np.split(x, [1, 3, 9]),
    **{f"array_split {a}": lambda x, a=a: np.array_split(x, 3, a) for a in AXES[1:]},
    "hsplit": lambda x: np.hsplit(x, 2),
    "vsplit": lambda x: np.vsplit(x, 3),
    "dsplit": lambda x: np.dsplit(x, 2),
    **{f"delete {a}": lambda x, a=a: np.delete(x, [0, -1], a) for a in AXES},
    **{f"pad {w}": lambda x, w=w: np.pad(x, w) for w in (0, 2, (1, 0), ((1, 2),))},
    **{
        f"pad {m}": lambda x, m=m: np.pad(x, 1, m)
        for m in ("edge", "reflect", "symmetric", "wrap", "nothing")
    },
    **{f"diff {n} {a}": lambda x, n=n, a=a: np.diff(x, n, a) for n in (1, 2) for a in AXES[1:]},
    **{
        f.__name__: lambda x, f=f: f([x, 2.0 * x, x])
        for f in (np.hstack, np.vstack, np.dstack, np.column_stack, np.concatenate)
    },
    "inner": lambda x: np.inner(x, 2.0 * x),
    "vdot": lambda x: np.vdot(x, x),
    **{f"tensordot {n}": lambda x, n=n: np.tensordot(x, np.transpose(x), n) for n in (0, 1, 2)},
    "norm": np.linalg.norm,
}


@pytest.mark.parametrize("shape", [(), (1,), (4,), (3, 4), (4, 4), (2, 1, 4)])
@pytest.mark.parametrize("case", MOVED)
def test_elements_move_as_numpy_moves_them(case, shape):
    """What NumPy refuses is refused; all else is where NumPy has it, and the same in statements."""
    move, graph = MOVED[case], wg.Graph()
    x = graph.array("x", shape) if shape else graph.input("x")
    point = np.asarray(np.random.default_rng(3).normal(size=shape))
    try:
        wanted = move(point)
    except (ValueError, IndexError, TypeError):
        with pytest.raises((ShapeError, IndexError, OperandError)):
            move(x)
        return
    parts = wanted if type(wanted) is list else [wanted]
    if not all(map(np.size, parts)):
        with pytest.raises(ShapeError, match="or more"):
            move(x)
        return
    found = move(x)
    for expected, out in zip(parts, found if type(wanted) is list else [found], strict=True):
        assert out.shape == np.shape(expected)
        np.testing.assert_allclose(wg.evaluate(out, {x: point}), expected, rtol=1e-14)
        compiled = wg.compile({"x": x}, out + 0.0 * x.sum(), target="numpy")(point)
        np.testing.assert_allclose(compiled, expected, rtol=1e-14)


def test_a_place_to_move_to_that_is_computed_is_refused():
    x = wg.Graph().array("x", (2, 3))
    with pytest.raises(OperandError, match="where to has to be known"):
        np.flip(x, x.sum())


@pytest.mark.parametrize(
    "large",
    [
        lambda x: np.tile(x, 10**12),
        lambda x: np.repeat(x, 10**12),
        lambda x: np.pad(x, 10**12),
        lambda x: np.diag(np.tile(x, 10**6)),
        lambda x: np.concatenate([np.tile(x, 10**8)] * 10**3),
    ],
)
def test_memory_is_refused_before_it_is_taken(large):
    with pytest.raises(wg.errors.SizeError, match="the limit for one array"):
        large(wg.Graph().array("x", 4))


@pytest.mark.parametrize("name", ["any", "all"])
@pytest.mark.parametrize("axis", [None, 0, (0, 1)])
def test_truths_over_axes(name, axis):
    given = np.array([[0.0, 2.0, 0.0], [0.0, 1.0, -3.0]])
    X = wg.Graph().array("X", (2, 3))
    found = wg.evaluate(getattr(X, name)(axis=axis), {X: given})
    np.testing.assert_array_equal(found, getattr(given, name)(axis=axis))


def test_the_derivative_of_a_product_is_right_at_zero():
    X = wg.Graph().array("X", 3)
    found = wg.evaluate(wg.grad(X.prod(), X), {X: [0.0, 2.0, 3.0]})
    np.testing.assert_array_equal(found, [6.0, 0.0, 0.0])


def test_sums_so_far_hold_infinities():
    np.testing.assert_array_equal(wa.cumsum(np.array([1.0, np.inf, 2.0])), [1.0, np.inf, np.inf])


def test_three_axes_turned_round_are_a_view_in_code():
    X = wg.Graph().array("X", (2, 3, 4))
    assert "X.transpose(2, 1, 0)" in wg.compile({"X": X}, X.T, target="numpy").source


def test_arrays_have_a_length_and_axes():
    g = wg.Graph()
    X = g.array("X", (3, 4))
    assert (len(X), X.ndim, g.input("x").ndim) == (3, 2, 0)
    rows = g.array("rows", (BATCH, 3))
    for what in (len, np.size):
        with pytest.raises(OperandError, match="an array of however many samples"):
            what(rows)
    with pytest.raises(TypeError, match="len of Expr"):
        len(g.leaves and g[g.leaves["x"]])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda X: X.sum(axis=2), r"sum_over: an array of shape \(2, 3\) has no axis 2"),
        (lambda X: X.mean(axis=(0, -2)), "mean_over: axes .* name one axis twice"),
        (lambda X: X.squeeze(1), r"squeeze: shape \(2, 3\) does not fit"),
        (lambda X: X.transpose(0), "transpose: axes .* name each of its 2 axes once"),
        (lambda X: wa.concatenate([X, X.T]), r"concatenate: shapes \(2, 3\) and \(3, 2\) do not"),
        (lambda X: wa.stack(X, X.T), r"stack: shapes \(2, 3\) and \(3, 2\) do not fit"),
        (lambda X: X + X.T, r"add: shapes \(2, 3\) and \(3, 2\) do not fit"),
        (lambda X: X @ X, r"matmul: shapes \(2, 3\) and \(2, 3\) do not fit"),
        (lambda X: wa.einsum("ij,jk->ik", X, X), r"einsum 'ij,jk->ik': shapes .* two lengths"),
        (lambda X: wa.einsum("ij->iz", X), "einsum: 'ij->iz' does not fit operands of shapes"),
        (lambda X: wa.einsum("ij,jj->i", X, X[:, :1]), "einsum .* j has two lengths"),
        (lambda X: wa.einsum("i...,i...", X, X.T[:2]), "einsum .* an axis of ... has two lengths"),
        (lambda X: wa.einsum("i...->i", X), r"einsum: 'i...->i' does not fit operands of shapes"),
        (lambda X: np.dot(X, X[None]), r"dot: shapes \(2, 3\) and \(1, 2, 3\) do not fit"),
        (lambda X: X[:1, :1].reshape(-1, -1), r"reshape: .* leaves two lengths open"),
        (lambda X: X.take([5], axis=0), r"X\) of shape \(2, 3\): index 5 is out of bounds"),
        (lambda X: X.take(0, mode="round"), "take: the mode is 'round'; expected raise, wrap"),
    ],
)
def test_what_does_not_fit_is_named_with_its_shapes(call, words):
    X = wg.Graph().array("X", (2, 3))
    with pytest.raises((ShapeError, IndexError, OperandError), match=words):
        call(X)


def test_what_is_in_an_array_is_not_known_and_a_number_has_no_rows():
    g = wg.Graph()
    v, x = g.array("v", 3), g.input("x")
    with pytest.raises(wg.errors.TruthValueError, match=r"whether 3.0 is in Expr\(v\)"):
        assert 3.0 in v
    with pytest.raises(OperandError, match="is a scalar, which has no elements"):
        list(x)
    with pytest.raises(OperandError, match="norm with ord 1"):
        np.linalg.norm(v, 1)
    with pytest.raises(ShapeError, match="choose within each"):
        list(g.array("rows", (BATCH, 3)))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_places_are_refused_by_name(name):
    X = wg.Graph().array("X", (2, 3))
    for call in (lambda: getattr(X, name)(), lambda: getattr(wa, name)(X, 0)):
        with pytest.raises(OperandError, match=f"{name} answers a place"):
            call()


def test_what_numpy_has_and_we_do_not_is_refused_by_name():
    x = wg.Graph().array("x", (2, 3))
    with pytest.raises(wg.OperandError, match=r"np\.median of Expr\(x\) .* there are all, amax"):
        np.median(x)
    with pytest.raises(wg.OperandError, match=r"np\.sum of Expr\(x\) .*'dtype'; it takes"):
        np.sum(x, dtype=float)
    assert x.clip(0.5).shape == x.clip(high=0.5).shape == (2, 3)
