"""Batching: the graph of one sample as the graph of a batch."""

import itertools

import numpy as np
import pytest
from test_arrays import APPLIED, as_leaves, data, weighted

from wengert.arrays import batching
from wengert.arrays.batching import batch
from wengert.derive.backward import grad
from wengert.errors import NotALeafError, OperandError, ShapeError
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.ops.arrays import GATHER_ROWS, matmul, max_over, outer, reshape, stack, sum_over
from wengert.ops.indexing import Index
from wengert.ops.scalar import TOTAL, where
from wengert.ops.shapes import BATCH

SAMPLES = 4
PER_SAMPLE = {name: case for name, case in APPLIED.items() if "_rows" not in name}


def in_batch(graph, shapes, which):
    """Values for the leaves a0, a1, …: those in `which` one per sample; and each sample's own."""
    stacked = [
        np.stack([np.asarray(data(shapes, 10 + s)[i]) for s in range(SAMPLES)])
        if i in which
        else data(shapes, 3)[i]
        for i in range(len(shapes))
    ]
    names = [f"a{i}" for i in range(len(shapes))]
    samples = [
        {n: v[s] if i in which else v for i, (n, v) in enumerate(zip(names, stacked, strict=True))}
        for s in range(SAMPLES)
    ]
    return dict(zip(names, stacked, strict=True)), samples


def at(exprs, values):
    present = exprs[0].graph.leaves
    return evaluate(exprs, {name: value for name, value in values.items() if name in present})


def check(graph, exprs, shapes, which):
    """Each expression, and its total, against the samples one at a time."""
    totals = [TOTAL(expr) for expr in exprs]
    names = [f"a{i}" for i in which]
    together, samples = in_batch(graph, shapes, which)
    batched = batch([*exprs, *totals], names)
    only_totals = batch(totals, names)
    singly = [evaluate(exprs, sample) for sample in samples]
    results = at(batched, together)
    for k, expr in enumerate(exprs):
        wanted = np.stack([np.asarray(row[k]) for row in singly])
        if batched[k].shape[:1] == (BATCH,) and len(batched[k].shape) > len(expr.shape):
            np.testing.assert_allclose(results[k], wanted, rtol=1e-12, atol=1e-13)
        else:
            np.testing.assert_allclose(results[k], wanted[0], rtol=1e-12, atol=1e-13)
        for total in (results[len(exprs) + k], at([only_totals[k]], together)[0]):
            np.testing.assert_allclose(total, wanted.sum(0), rtol=1e-11, atol=1e-12)
        assert only_totals[k].shape == expr.shape


def choices(case):
    count = len(PER_SAMPLE[case][0])
    return [c for r in range(1, count + 1) for c in itertools.combinations(range(count), r)]


@pytest.mark.parametrize(("case", "which"), [(c, w) for c in PER_SAMPLE for w in choices(c)])
def test_batch_is_the_samples_one_at_a_time(case, which):
    shapes, function = PER_SAMPLE[case]
    graph = Graph()
    leaves = as_leaves(graph, shapes)
    out = function(*leaves)
    check(graph, [out, *grad(weighted(out), leaves)], shapes, which)


LINEAR = {
    "negated": lambda a, b, x: -outer(a, x),
    "sum of two": lambda a, b, x: outer(a, x) + outer(b, x),
    "sum of four": lambda a, b, x: (
        (outer(a, x) + outer(b, x)) - (outer(a, a[:3]) + outer(b, b[1:]))
    ),
    "scaled": lambda a, b, x: outer(a, x) * 3.0 / 7.0,
    "transposed": lambda a, b, x: outer(a, x).T,
    "flattened": lambda a, b, x: reshape(outer(a, x), (-1,)),
    "picked": lambda a, b, x: outer(a, x)[1:, ::2],
    "stacked": lambda a, b, x: stack(outer(a, x), outer(b, x)),
    "product with a fixed matrix": lambda a, b, x: matmul(np.ones((2, 4)), outer(a, x)),
    "sum of outer and its use": lambda a, b, x: sum_over(outer(a, x), 1) + matmul(outer(a, x), x),
    "branch": lambda a, b, x: where(max_over(a) > 0, a, b),
    "scalar times vector": lambda a, b, x: a[0] * x,
    "vector times scalar": lambda a, b, x: x * a[0],
    "scalar times scalar": lambda a, b, x: b[1] * a[0],
    "windows": lambda a, b, x: matmul(a[[[0, 1, 2], [1, 2, 3]]].T, b[:2]),
    "windows, one row": lambda a, b, x: matmul(b[:2], a[[[0, 1, 2], [1, 2, 3]]]),
    "window matrices": lambda a, b, x: matmul(
        a[[[0, 1, 2], [1, 2, 3]]].T, b[[[0, 1, 2], [1, 2, 3]]]
    ),
    "constant": lambda a, b, x: Graph.constant(a.graph, 2.5),
}


@pytest.mark.parametrize("which", choices("where"))
@pytest.mark.parametrize("case", LINEAR)
def test_totals_of_products(case, which):
    graph = Graph()
    leaves = as_leaves(graph, [(4,), (4,), (3,)])
    check(graph, [LINEAR[case](*leaves)], [(4,), (4,), (3,)], which)


@pytest.mark.parametrize(
    ("case", "formula"),
    [
        ("negated", "-(a0.T @ a2)"),
        ("sum of two", "a0.T @ a2 + a1.T @ a2"),
        ("picked", "(a0.T @ a2)[1:, ::2]"),
        ("scalar times scalar", "a1[:, 1] @ a0[:, 0]"),
        ("scalar times vector", "a0[:, 0] @ a2"),
        ("constant", "len(a0)*2.5"),
    ],
)
def test_totals_read_like_the_books(case, formula):
    graph = Graph()
    leaves = as_leaves(graph, [(4,), (4,), (3,)])
    (total,) = batch([TOTAL(LINEAR[case](*leaves))], leaves)
    assert str(total) == formula


def test_windows_contract_over_samples_and_places_at_once():
    graph = Graph()
    leaves = as_leaves(graph, [(4,), (4,), (3,)])
    (total,) = batch([TOTAL(LINEAR["windows"](*leaves))], leaves)
    assert not any(len(shape) > 3 for shape in total.graph.shapes.values())
    assert total.op.name == "matmul"
    assert total.graph.operands[total.id] != ()


def test_a_training_step_over_a_batch():
    graph = Graph()
    w, b = graph.array("w", (2, 3)), graph.array("b", 2)
    x, y = graph.array("x", 3), graph.array("y", 2)
    h = (w @ x + b).tanh()
    loss = sum_over((h - y) ** 2)
    count = TOTAL(graph.constant(1))
    step = [p - 0.1 * TOTAL(d) / count for p, d in zip((w, b), grad(loss, [w, b]), strict=True)]
    new = batch([*step, TOTAL(loss)], ["x", "y"])
    draw = np.random.default_rng(0)
    values = {"w": draw.normal(size=(2, 3)), "b": draw.normal(size=2)}
    X, Y = draw.normal(size=(5, 3)), draw.normal(size=(5, 2))
    found = evaluate(new, {**values, "x": X, "y": Y})
    gradients = [evaluate(grad(loss, [w, b]), {**values, "x": X[i], "y": Y[i]}) for i in range(5)]
    for k, name in enumerate("wb"):
        mean = sum(g[k] for g in gradients) / 5
        np.testing.assert_allclose(found[k], values[name] - 0.1 * mean, rtol=1e-12)


def test_a_long_sum_of_outer_products_needs_no_recursion():
    graph = Graph()
    a, x = graph.array("a", 2), graph.array("x", 3)
    total = outer(a, x)
    for _ in range(3000):
        total = total + outer(a, x)
    (out,) = batch([TOTAL(total)], [a, x])
    found = evaluate(out, {"a": np.ones((2, 2)), "x": np.ones((2, 3))})
    np.testing.assert_array_equal(found, np.full((2, 3), 6002.0))


def test_scalars_become_vectors_over_the_samples():
    graph = Graph()
    w, x = graph.parameter("w", 2.0), graph.input("x")
    out, total = batch([(w * x).tanh(), TOTAL(w * x)], [x])
    assert (out.shape, str(out)) == ((BATCH,), "tanh(w*x)")
    assert str(total) == "w*sum_over(x, axis=0)"


def test_names_and_provenance_come_along():
    graph = Graph()
    w, x = graph.array("w", (2, 3)), graph.array("x", 3)
    graph.lanes[x.id] = ("x0", "x1", "x2")
    h = w @ x
    h.label = "h"
    dw = grad(sum_over(h * h), w)
    out, dh = batch([h, TOTAL(dw)], [x])
    small = out.graph
    assert out.label == "h"
    assert small.lanes[small.leaves["x"]] == ("x0", "x1", "x2")
    assert small.adjoint_of[dh.id] == small.leaves["w"]
    assert dh.origin is not None


def test_what_cannot_be_batched_says_so():
    graph = Graph()
    x = graph.array("x", (2, 3))
    with pytest.raises(OperandError, match="cannot be batched again"):
        batch([GATHER_ROWS(x, Index([0]))], [x])
    with pytest.raises(NotALeafError, match="no input or parameter"):
        batch([x.T], [x.T])
    with pytest.raises(ShapeError, match="already has an axis of samples"):
        batch([graph.array("z", (BATCH, 2)).tanh()], ["z"])


def test_a_broken_rule_is_caught(monkeypatch):
    def unchanged(work, node):
        return work.image(work.graph.operands[node][0])

    monkeypatch.setitem(batching._RULES, "transpose", unchanged)
    with pytest.raises((AssertionError, ShapeError)):
        test_batch_is_the_samples_one_at_a_time("transpose", (0,))
