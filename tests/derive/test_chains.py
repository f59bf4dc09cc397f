"""A chain of maxima or minima has one derivative, with the numbers that its links would give."""

import math
import random
from functools import reduce

import pytest

import wengert as wg
from wengert import exp, log, maximum, minimum, relu, sqrt, tanh, where
from wengert.arrays.canonical import fingerprints
from wengert.derive import extremes
from wengert.derive.backward import adjoints, grad, hessian, hvp, jvp, reverse_sweep
from wengert.derive.extremes import extreme_chains
from wengert.graph.evaluation import evaluate

POOLS = ((-1.0, 0.0, -0.0, 1.0, 2.0), (-1.0, 0.0, 0.5, 2.0, math.inf, -math.inf, math.nan))


def same(one, other):
    return repr(one) == repr(other)


def some_chain(rng, x, terms):
    op = rng.choice([maximum, minimum])
    chain = reduce(op, [rng.choice(terms)(rng.choice(x), rng.choice(x)) for _ in range(5)])
    return chain * rng.choice(x) + reduce(op, [chain, *x])


FLAT = [
    lambda a, b: a,
    lambda a, b: a * b,
    lambda a, b: tanh(a),
    lambda a, b: maximum(a, b),
    lambda a, b: minimum(b, maximum(minimum(a, 1), b)),
    lambda a, b: a.graph.constant(0.0),
]
STEEP = [
    *FLAT,
    lambda a, b: sqrt(a),
    lambda a, b: relu(log(a)),
    lambda a, b: 1 / b,
    lambda a, b: exp(exp(a)),
    lambda a, b: where(a > b, sqrt(a), b),
]


@pytest.mark.parametrize("seed", range(60))
def test_numbers_are_those_of_the_links_at_ties_and_nan_too(seed):
    rng = random.Random(seed)
    g = wg.Graph()
    x, v = g.inputs("x", 4), g.inputs("v", 4)
    y = some_chain(rng, x, FLAT)
    whole = [*grad(y, x, allow_unused=True), jvp(y, x, v)]
    links = [*grad(y, x, allow_unused=True, stable=False), jvp(y, x, v, stable=False)]
    for _ in range(8):
        pool = rng.choice(POOLS)
        at = {leaf: rng.choice(pool) for leaf in (*x, *v)}
        found, wanted = evaluate(whole, at), evaluate(links, at)
        assert all(map(same, found, wanted)), (str(y), at, found, wanted)


@pytest.mark.parametrize("seed", range(40))
def test_what_is_steep_is_guarded_as_well_as_behind_the_links(seed, monkeypatch):
    results = []
    for _ in range(2):
        rng = random.Random(seed)
        x = wg.Graph().inputs("x", 4)
        y = where(x[0] > 0, some_chain(rng, x, STEEP), x[1])
        first = grad(y, x, allow_unused=True)
        second = grad(sum(first), x, allow_unused=True)
        points = [{leaf: rng.choice(rng.choice(POOLS)) for leaf in x} for _ in range(8)]
        results.append([n for at in points for n in evaluate([*first, *second], at)])
        monkeypatch.setattr("wengert.derive.backward.extreme_chains", lambda *_: {})
    for found, wanted in zip(*results, strict=True):
        assert found == wanted or math.isnan(wanted), (found, wanted)


def test_one_formula_for_all_operands():
    x = wg.Graph().inputs("x", 3)
    texts = [str(d) for d in grad(reduce(maximum, x), x)]
    assert len({text.replace(f" == {k}, 1, 0)", "") for k, text in enumerate(texts)}) == 1, texts


def links_of(y, targets=()):
    graph = y.graph
    found = extreme_chains(graph, range(len(graph)), [y.id], {t.id for t in targets})
    return [(link.place(0), link.place(1)) for _, link in sorted(found.items())]


def test_what_is_a_chain():
    g = wg.Graph()
    a, b, c, d = g.inputs("x", 4)
    inner = maximum(a, b)
    assert links_of(maximum(inner, c)) == [(0, 1), (None, 2)]
    assert links_of(maximum(inner, c), targets=[inner]) == []
    assert links_of(maximum(inner, c) + inner) == [], "its inner link is read elsewhere"
    assert links_of(maximum(inner, c) + wg.stop_gradient(inner)) != [], "nothing comes from there"
    assert links_of(minimum(inner, c)) == []
    assert links_of(maximum(c, inner)) == [], "nan would go another way"
    assert links_of(maximum(inner, maximum(c, d))) == [], "pairs of pairs are alike"


def test_a_chain_of_chains_is_one_chain_of_each():
    g = wg.Graph()
    rows = [g.inputs(f"x{i}_", 3) for i in range(4)]
    places = links_of(reduce(maximum, [reduce(maximum, row) for row in rows]))
    assert sorted(places[-3:], key=str) == [(0, 1), (None, 2), (None, 3)]
    assert places.count((None, 2)) == 5


def test_second_derivatives_and_products_with_them():
    g = wg.Graph()
    x, v = g.inputs("x", 4), g.inputs("v", 4)
    y = reduce(maximum, [a * a * a for a in x])
    at = dict(zip(x, (1.0, 3.0, -2.0, 3.0), strict=True)) | dict(
        zip(v, (1.0, 2.0, 3.0, 4.0), strict=True)
    )
    wanted = [[18.0 if i == j == 1 else 0.0 for j in range(4)] for i in range(4)]
    assert [evaluate(row, at) for row in hessian(y, x)] == wanted
    assert evaluate(hvp(y, x, v), at) == [0.0, 36.0, 0.0, 0.0]


def test_each_link_has_an_adjoint_where_every_node_is_to_have_one():
    g = wg.Graph()
    x = g.inputs("x", 5)
    y = reduce(minimum, [a * a for a in x])
    every = {node.id: adjoint for node, adjoint in adjoints(y).items()}
    found = reverse_sweep(g, y.id, {leaf.id for leaf in x})
    assert set(found) == set(every)
    for numbers in ((3.0, 1.0, 2.0, 1.0, 4.0), (0.0,) * 5, (1.0, 2.0, math.nan, 0.0, 5.0)):
        at = dict(zip(x, numbers, strict=True))
        for node, adjoint in found.items():
            assert same(evaluate(g[adjoint], at), evaluate(every[node], at))


def test_a_long_chain_is_linear():
    sizes = []
    for n in (1_000, 2_000):
        g = wg.Graph()
        x = g.inputs("x", n)
        grad(reduce(maximum, x), x)
        sizes.append(len(g))
    assert sizes[1] < 2.01 * sizes[0]


@pytest.mark.parametrize("axis", [0, 1, None])
def test_the_largest_of_an_array_has_the_same_formula(axis):
    g = wg.Graph()
    x = g.array("x", (3, 4))
    derivative = wg.unroll(grad((x.max(axis) ** 2).sum(), x))
    scalars = derivative[0][0].graph
    rows = [[scalars[scalars.leaves[f"x_{i}_{j}"]] for j in range(4)] for i in range(3)]
    leaves = [leaf for row in rows for leaf in row]
    lines = {0: [*zip(*rows, strict=True)], 1: rows, None: [leaves]}[axis]
    wanted = grad(sum(reduce(maximum, line) ** 2 for line in lines), leaves)
    given = [d for row in derivative for d in row]
    form = fingerprints(scalars, [d.id for d in (*given, *wanted)])
    assert [form[d.id] for d in given] == [form[d.id] for d in wanted]


def verified():
    g = wg.Graph()
    x, w = g.inputs("x", 4), g.inputs("w", 4)
    y = reduce(maximum, [a * b for a, b in zip(x, w, strict=True)]) ** 2 + reduce(minimum, x)
    return wg.verify(y, [*x, *w], seconds=0.05)


def test_it_is_verified():
    found = verified()
    assert found, found
    assert {"adjoint", "fingerprint", "roll"} <= {check.name for check in found.checks}


@pytest.mark.parametrize("wrong", ["the next", "also those that are not"])
def test_a_wrong_share_is_caught(wrong, monkeypatch):
    chosen = extremes.Chain.chosen

    def mistaken(self, place):
        if wrong == "the next":
            return chosen(self, max(0, place - 1))
        return extremes.less_equal(self.first, place)

    monkeypatch.setattr(extremes.Chain, "chosen", mistaken)
    kinds = {check.name for check in verified().failures}
    assert {"fingerprint", "derivative", "finite differences"} <= kinds, kinds
