"""The first of places that conditions choose is found without minima, where these are all."""

import itertools
from functools import reduce

import pytest

import wengert as wg
from wengert.graph.evaluation import evaluate
from wengert.ops.scalar import minimum, where
from wengert.simplify.choices import choose_places


def chosen(make):
    """An expression of three conditions, and what becomes of it."""
    g = wg.Graph()
    before = make(*g.inputs("p", 3))
    g.outputs = (before.id,)
    made = choose_places(g).graph
    return before, made[made.outputs[0]]


def values(expression):
    graph = expression.graph
    leaves = [graph.leaves.get(f"p{k}") for k in range(3)]
    points = [
        dict(zip(leaves, bits, strict=True)) for bits in itertools.product((0.0, 1.0), repeat=3)
    ]
    return [
        evaluate(expression, {graph[n]: v for n, v in at.items() if n is not None}) for at in points
    ]


FIRST = {
    "the last is a number": lambda p, q, r: reduce(minimum, [where(p, 0, 2), where(q, 1, 2), 2]),
    "all are choices": lambda p, q, r: reduce(
        minimum, [where(p, 0, 9), where(q, 1, 9), where(r, 5, 9)]
    ),
    "the other way round": lambda p, q, r: minimum(where(p, 0, 2), minimum(where(q, 1, 2), 2)),
    "and something of it": lambda p, q, r: minimum(where(p, 0, 1), 1).tanh() + r,
}
OTHERS = {
    "not in order": lambda p, q, r: reduce(minimum, [where(p, 1, 2), where(q, 0, 2), 2]),
    "no place is last": lambda p, q, r: reduce(minimum, [where(p, 0, 2), where(q, 1, 3)]),
    "a smaller number": lambda p, q, r: reduce(minimum, [where(p, 0, 2), where(q, 1, 2), 0.5]),
    "no choice": lambda p, q, r: reduce(minimum, [where(p, 0, 2), q, 2]),
    "of no number": lambda p, q, r: minimum(where(p, 0, r), where(q, 1, r)),
}


@pytest.mark.parametrize("make", FIRST.values(), ids=FIRST)
def test_a_choice_after_another(make):
    before, after = chosen(make)
    assert "minimum" not in str(after)
    assert after.graph.passes[-1].rewrites == {"first-place": 1}
    assert values(after) == values(before)


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_other_minima_stay(make):
    before, after = chosen(make)
    assert after.graph is before.graph
    assert not after.graph.passes


def test_numbers_are_compiled_without_minima_and_arrays_with_one():
    x = wg.Graph().inputs("x", 5)
    slopes = wg.grad(reduce(wg.maximum, [a * a for a in x]), x)
    python = wg.compile({"x": x}, slopes)
    assert "minimum" not in python.source
    assert "1 first-place" in python.report()
    numpy = wg.compile({"x": x}, slopes, target="numpy")
    assert numpy.source.count("np.minimum.reduce(") == 1
    for at in ([1.0, 3.0, -3.0, 2.0, 3.0], [0.0] * 5, [1.0, float("nan"), 2.0, 0.0, 4.0]):
        assert repr(list(python(at))) == repr(numpy(at).tolist())
