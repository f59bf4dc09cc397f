"""A gradient has the shape of its leaf, and is right, behind `where` and broadcasting too."""

import numpy as np
import pytest

import wengert as wg
from wengert.arrays import logsumexp, max_over, outer, stack
from wengert.derive import backward
from wengert.errors import ShapeError

where = wg.where

CASES = {
    "ones in front": (lambda a, b, c: where(c > 0, a @ b, 0), [(2, 1, 1), (1, 1), (2, 1, 1)]),
    "masked product": (lambda X, W, m: where(m > 0, X @ W, 0), [(2, 3, 4), (4, 5), (2, 3, 5)]),
    "mask of two axes": (lambda X, W, m: where(m > 0, X @ W, 0), [(2, 3, 4), (4, 5), (3, 5)]),
    "one matrix": (lambda X, W, m: where(m > 0, X @ W, 0), [(1, 3, 4), (4, 5), (3, 5)]),
    "matrices and a vector": (lambda X, w, m: where(m > 0, X @ w, 0), [(2, 3, 4), (4,), (2, 3)]),
    "vector and matrices": (lambda w, X, m: where(m > 0, w @ X, 0), [(4,), (2, 4, 3), (2, 3)]),
    "stretched matrices": (
        lambda X, Y, m: where(m > 0, X @ Y, 0),
        [(2, 3, 4), (1, 4, 2), (2, 3, 2)],
    ),
    "four axes": (lambda X, Y, m: where(m > 0, X @ Y, 0), [(2, 2, 3, 4), (2, 4, 2), (3, 2)]),
    "elementwise": (lambda a, b, m: where(m > 0, a * b, b), [(1, 3), (2, 1), (2, 3)]),
    "decided by itself": (lambda X, w: where(X @ w > 0, X @ w, 0), [(2, 3, 4), (4,)]),
    "attention": (
        lambda Q, K, V, m: where(m > 0, Q @ K.mT, -30.0).exp() @ V,
        [(2, 3, 4), (2, 3, 4), (2, 3, 2), (3, 3)],
    ),
    "transposed": (lambda X, W, m: where(m > 0, (X @ W).mT, 0), [(2, 3, 4), (4, 5), (2, 5, 3)]),
    "outer": (lambda a, b, m: where(m > 0, outer(a, b), 0), [(2,), (3,), (2, 3)]),
    "nested": (
        lambda X, W, m, n: where(m > 0, where(n > 0, X @ W, 1) * 2, 0),
        [(2, 3, 4), (4, 5), (3, 5), (2, 1, 5)],
    ),
    "a number": (lambda X, s, m: where(m > 0, X * s, 0), [(2, 3), (), (2, 3)]),
    "stacked": (lambda a, b, m: where(m > 0, stack(a, b), 0), [(3,), (3,), (2, 3)]),
    "largest": (lambda X, m: where(m > 0, max_over(X, 1), 0), [(2, 3), (2,)]),
    "logsumexp": (lambda X, m: where(m > 0, logsumexp(X, 1), 0), [(2, 3), (2,)]),
}


def built(case):
    function, shapes = CASES[case]
    graph = wg.Graph()
    leaves = [
        graph.array(f"a{i}", shape) if shape else graph.input(f"a{i}")
        for i, shape in enumerate(shapes)
    ]
    draw = np.random.default_rng(len(case))
    return leaves, function(*leaves).sum(), [draw.normal(size=shape) for shape in shapes]


def value(y, leaves, point):
    return wg.evaluate([y], dict(zip(leaves, point, strict=True)))[0]


@pytest.mark.parametrize("stable", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_gradients_have_the_shape_of_their_leaf_and_are_slopes(case, stable):
    leaves, y, point = built(case)
    for i, derivative in enumerate(wg.grad(y, leaves, stable=stable)):
        assert derivative.shape == leaves[i].shape
        known = dict(zip(leaves, point, strict=True))
        found = np.asarray(wg.evaluate([derivative], known)[0])
        for place in np.ndindex(point[i].shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = [np.array(n) for n in point]
                moved[i][place] += step
                ends.append(value(y, leaves, moved))
            slope = (ends[0] - ends[1]) / 2e-6
            assert found[place] == pytest.approx(slope, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_tangents_have_the_shape_of_the_output(case):
    leaves, y, point = built(case)
    tangent = wg.jvp(y, leaves, [1.0] * len(leaves))
    gradient = wg.evaluate(wg.grad(y, leaves), dict(zip(leaves, point, strict=True)))
    assert tangent.shape == ()
    assert value(tangent, leaves, point) == pytest.approx(sum(np.sum(d) for d in gradient))


def test_a_rule_that_gives_another_shape_is_told_where_the_gradient_is_made(monkeypatch):
    monkeypatch.setattr(backward, "fitted", lambda x, like: x)
    graph = wg.Graph()
    a, b = graph.array("a", (2, 3)), graph.array("b", 3)
    with pytest.raises(ShapeError, match=r"a derivative of Expr\(b\), of shape \(3,\)"):
        wg.grad((a * b).sum(), b)
