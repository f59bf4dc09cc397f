"""Derivatives that stay right where the formula overflows, cancels, or takes no part."""

import math
import random
import re
import sys
from collections import Counter
from itertools import product

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from places import PROJECT

import wengert as wg
from wengert.graph.rewrite import extract, operations
from wengert.graph.store import live_nodes
from wengert.ops import arrays
from wengert.ops import scalar as ops
from wengert.proof.precise import chain_rule, partial, precise_values
from wengert.simplify.rules import STABLE, Rule, prove
from wengert.simplify.stable import LOG_SUM_EXP, SOFTMAX, shift_sums
from wengert.testing import RUNNABLE

BIG = 1e4


def derivative(function, at, order=1, **options):
    """The derivative of a function of one number, by the graph."""
    g = wg.Graph()
    x = g.input("x")
    y = function(x)
    for _ in range(order):
        y = wg.grad(y, x, **options)
    return wg.evaluate(y, {x: at})


def softplus_written(x):
    return wg.log(1 + wg.exp(x))


def rooted(z):
    return wg.where(wg.greater(z, 0), wg.sqrt(z), 0)


def test_softplus_written_out():
    assert derivative(softplus_written, 1000.0) == 1.0
    assert derivative(softplus_written, -1000.0) == 0.0
    assert math.isnan(derivative(softplus_written, 1000.0, stable=False))


def test_a_root_inside_where():
    assert derivative(rooted, -1.0) == 0.0
    assert derivative(rooted, 4.0) == 0.25
    assert math.isnan(derivative(rooted, -1.0, stable=False))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_tanh_and_its_derivatives_are_finite_and_right(order):
    for at in [0.0, 1e-8, 0.5, 1.0, 3.0, 10.0, 19.5, 30.0, 400.0, 800.0, BIG]:
        for x in (at, -at):
            with mpmath.workdps(40):
                t = mpmath.tanh(x)
                # tanh' = 1 - t², tanh'' = -2t(1 - t²), tanh''' = (6t² - 2)(1 - t²)
                wanted = [None, 1 - t**2, -2 * t * (1 - t**2), (6 * t**2 - 2) * (1 - t**2)][order]
            assert abs(derivative(wg.tanh, x, order) - wanted) <= 2e-15


def logits(g):
    return g.inputs("z", 3)


def cross_entropy_written(z, k):
    return -wg.log(wg.exp(z[k]) / (wg.exp(z[0]) + wg.exp(z[1]) + wg.exp(z[2])))


@pytest.mark.parametrize("loss", [wg.cross_entropy, cross_entropy_written])
@pytest.mark.parametrize("numbers", list(product([-BIG, 0.0, BIG], repeat=3)))
def test_cross_entropy_of_enormous_logits(loss, numbers):
    g = wg.Graph()
    z = logits(g)
    gradient = wg.evaluate(wg.grad(loss(z, 1), z), dict(zip(z, numbers, strict=True)))
    top = max(numbers)
    share = [(n == top) / numbers.count(top) for n in numbers]
    assert gradient == pytest.approx([s - (i == 1) for i, s in enumerate(share)], abs=1e-15)


@pytest.mark.parametrize("target", [0.0, 1.0])
@pytest.mark.parametrize("logit", [-BIG, -800.0, -30.0, 0.0, 30.0, 800.0, BIG])
def test_binary_cross_entropy_written_out(logit, target):
    def loss(z):
        p = 1 / (1 + wg.exp(-z))
        return -(target * wg.log(p) + (1 - target) * wg.log(1 - p))

    with mpmath.workdps(40):
        wanted = float(1 / (1 + mpmath.exp(-mpmath.mpf(logit))) - target)
    assert derivative(loss, logit) == pytest.approx(wanted, rel=1e-13, abs=1e-300)
    assert derivative(lambda z: wg.binary_cross_entropy(z, target), logit) == pytest.approx(
        wanted, rel=1e-13, abs=1e-15
    )


@pytest.mark.parametrize(
    ("function", "judge", "points"),
    [
        (softplus_written, lambda x: 1 / (1 + mpmath.exp(-x)), [-700, -40, -1, 0, 1, 40, 700, 1e4]),
        (
            lambda x: -wg.log(1 + wg.exp(-x)),
            lambda x: 1 / (1 + mpmath.exp(x)),
            [-1e4, -40, 0.5, 40, 700],
        ),
        (lambda x: wg.log(1 + x), lambda x: 1 / (1 + x), [1e-300, 1e-20, -0.5, 1e10]),
        (lambda x: wg.exp(x) - 1, lambda x: mpmath.exp(x), [1e-300, -1, 3, 700]),
        (
            lambda x: x / (1 + wg.exp(-x)),
            lambda x: (1 + (1 + x) * mpmath.exp(-x)) / (1 + mpmath.exp(-x)) ** 2,
            [-600, -1, 1, 50, 1e4],
        ),
        (
            lambda x: wg.log(wg.exp(x) + wg.exp(2 * x) + wg.exp(3 * x) + 1),
            lambda x: (
                (mpmath.exp(x) + 2 * mpmath.exp(2 * x) + 3 * mpmath.exp(3 * x))
                / (mpmath.exp(x) + mpmath.exp(2 * x) + mpmath.exp(3 * x) + 1)
            ),
            [-700, -1, 0.3, 40, 300, 5000],
        ),
    ],
)
def test_written_out_functions_against_mpmath(function, judge, points):
    for at in points:
        with mpmath.workdps(60):
            wanted = float(judge(mpmath.mpf(at)))
        assert derivative(function, float(at)) == pytest.approx(wanted, rel=1e-13, abs=0.0)


@pytest.mark.parametrize("op", [op for op in ops.ELEMENTWISE.values() if op.differentiable])
def test_derivatives_over_the_sampling_domain_against_mpmath(op):
    rng = random.Random(op.name)
    statics = op.settings[-1]
    for _ in range(40):
        point = [rng.uniform(low, high) for low, high in op.domain]
        g = wg.Graph()
        leaves = g.inputs("x", len(point))
        y = op(*leaves, *statics)
        found = wg.evaluate(wg.grad(y, leaves), dict(zip(leaves, point, strict=True)))
        with mpmath.workdps(50):
            arguments = [mpmath.mpf(number) for number in (*point, *statics)]
            for position, number in enumerate(found):
                rule = op.vjp[position]
                wanted = partial(op, position)(*arguments) if rule is not None else 0
                assert abs(number - wanted) <= 1e-13 * abs(wanted), (op, point)


@given(data=st.data())
def test_an_untaken_branch_never_poisons(data):
    """Whatever stands in the branch, and however often it is used."""
    dangerous = [wg.sqrt, wg.log, lambda z: 1 / (z + abs(z)), lambda z: z**-0.5, lambda z: z**0.5]
    g = wg.Graph()
    x, y = g.inputs("x", 2)
    positive = wg.greater(x, 0)
    parts, others, shared = [], [], data.draw(st.sampled_from(dangerous))(x)
    for _ in range(data.draw(st.integers(1, 4))):
        inner = data.draw(st.sampled_from([lambda z: shared, *dangerous]))(x)
        inner = data.draw(st.sampled_from([wg.tanh, lambda z: z * y, lambda z: z + y, wg.exp]))(
            inner
        )
        if data.draw(st.booleans()):
            inner = wg.where(wg.greater(x, 1), inner, inner * shared)
        other = data.draw(st.sampled_from([g.constant(0.0), y, x * y]))
        others.append(str(other).replace("x1", "y").replace("x0", "x"))
        parts.append(
            wg.where(positive, inner, other)
            if data.draw(st.booleans())
            else wg.where(wg.less_equal(x, 0), other, inner)
        )
    output = sum(parts[1:], parts[0])
    order = data.draw(st.integers(1, 2))
    gradient = wg.grad(output, [x, y], allow_unused=True)
    if order == 2:
        gradient = wg.grad(gradient[0] + gradient[1], [x, y], allow_unused=True)
    at = {x: data.draw(st.floats(-3.0, -0.1)), y: 0.7}
    found = wg.evaluate(gradient, at)
    assert all(map(math.isfinite, found))
    if order == 1:  # on this side it is the sum of the other, harmless expressions
        assert found[0] == pytest.approx(others.count("x*y") * at[y])
        assert found[1] == pytest.approx(others.count("y") + others.count("x*y") * at[x])


@given(x=st.floats(0.2, 3.0), flip=st.booleans())
def test_a_taken_branch_passes_what_it_always_did(x, flip):
    def function(z):
        root = wg.sqrt(z)
        inner = wg.log(root) * root
        pair = (z * z, inner) if flip else (inner, z * z)
        condition = wg.less(z, 0) if flip else wg.greater(z, 0)
        return wg.where(condition, *pair) + wg.where(wg.greater(z, 1), root, 3.0) * root

    with mpmath.workdps(40):

        def judge(z):
            root = mpmath.sqrt(z)
            return mpmath.log(root) * root + (root if x > 1 else 3) * root

        wanted = mpmath.diff(judge, mpmath.mpf(x))
    assert derivative(function, x) == pytest.approx(float(wanted), rel=1e-9)


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("at", [-1.0, 0.0, 4.0])
def test_every_target_keeps_the_branch_out(target, at):
    g = wg.Graph()
    x = g.input("x")
    f = wg.compile({"x": x}, {"y": rooted(x), "dy": wg.grad(rooted(x), x)}, target=target)
    with np.errstate(all="ignore"):
        found = f(at)
    assert [float(found["y"]), float(found["dy"])] == ([2.0, 0.25] if at == 4 else [0.0, 0.0])


@pytest.mark.parametrize("target", RUNNABLE)
def test_every_target_is_stable(target):
    g = wg.Graph()
    x = g.input("x")
    f = wg.compile({"x": x}, wg.grad(softplus_written(x), x), target=target)
    assert [float(f(1000.0)), float(f(-1000.0))] == [1.0, 0.0]


def test_values_keep_the_branch_out():
    z, w = wg.Value(-1.0), wg.Value(2.0)
    root = wg.sqrt(z)
    y = wg.where(z > 0, root * w, w) + wg.where(z > 1, root, 0) + z
    y.backward()
    assert (z.grad, w.grad) == (1.0, 1.0)
    y.backward()
    assert (z.grad, w.grad) == (2.0, 2.0)


def test_forward_mode_keeps_the_branch_out_too():
    g = wg.Graph()
    x = g.input("x")
    assert wg.evaluate(wg.jvp(rooted(x), [x], [1.0]), {x: -1.0}) == 0.0
    assert wg.evaluate(wg.jvp(softplus_written(x), [x], [1.0]), {x: 1000.0}) == 1.0
    assert wg.evaluate(wg.hvp(softplus_written(x), [x], [1.0])[0], {x: 1000.0}) == 0.0


def test_the_graph_keeps_what_was_written():
    g = wg.Graph()
    x = g.input("x")
    y = softplus_written(x)
    before = len(g)
    dy = wg.grad(y, x)
    assert str(y) == "log(1 + exp(x))"
    stable = [e for e in g if e.origin is not None and e.origin.transform == "stable"]
    assert [str(e) for e in stable] == ["softplus(x)"]
    assert stable[0].origin.rule == "softplus"
    assert stable[0].origin.primal == y.id
    assert g.passes[-1].rewrites == {"softplus": 1}
    assert min(e.id for e in stable) >= before
    size = len(g)
    assert wg.grad(y, x) == dy
    assert len(g) == size, "asked again, nothing is made"


def test_without_a_rule_nothing_is_made():
    g = wg.Graph()
    x, y = g.inputs("x", 2)
    z = (x * y).tanh() * x + (x * y) ** 2
    size = len(g)
    assert wg.stable_form(z) is not None
    assert wg.stable_form(z) == z
    assert len(g) == size
    assert not g.passes


UNCONCERNED = [
    lambda x, y, z: x + y + z,
    lambda x, y, z: (x + 2) * (2 + y) - 1 * z,
    lambda x, y, z: 2 - x + (y - 1),
    lambda x, y, z: wg.log(x + y) + wg.log(3 - x) + wg.log(x * y),
    lambda x, y, z: wg.log(wg.exp(x) + y) + wg.log(wg.exp(x) - y),
    lambda x, y, z: wg.log(wg.tanh(x) + y) + wg.log(1.5 - wg.exp(x)),
    lambda x, y, z: wg.log1p(x) + wg.log1p(x + y) + wg.log1p(wg.tanh(x) * y),
    lambda x, y, z: wg.exp(x) / y + x / (y + 2) + 1 / (2 + x) + wg.exp(x) / (x + y),
    lambda x, y, z: x / (1 + y) + x / (y + 1.5) + x / (wg.exp(y) * 2),
    lambda x, y, z: wg.sqrt(x) + wg.sqrt(x + y) + wg.sqrt(x * y**3),
    lambda x, y, z: wg.exp(x) + 1 + (wg.exp(y) - 2) + (2 - wg.exp(z)) + (wg.exp(x) + -2.0),
    lambda x, y, z: 2 - wg.sigmoid(x) + (wg.sigmoid(x) - 1) + wg.softplus(x) + x,
    lambda x, y, z: wg.expm1(2 * x) / (wg.exp(2 * x) + 3) + wg.expm1(x) / y,
    lambda x, y, z: wg.cross_entropy([x, y, z], 1),
    lambda x, y, z: wg.where(x > 1, x, y) ** 3 + wg.relu(-x),
]


@pytest.mark.parametrize("formula", range(len(UNCONCERNED)))
def test_what_no_rule_concerns_is_not_even_copied(monkeypatch, formula):
    """Copying and matching a large graph takes many times longer than looking at it."""
    g = wg.Graph()
    y = UNCONCERNED[formula](*g.inputs("x", 3))
    monkeypatch.setattr(sys.modules["wengert.simplify.stable"], "rewritten", None)
    assert wg.stable_form(y) == y


def test_shifting_keeps_what_is_known_of_nodes():
    g = wg.Graph()
    x = g.inputs("x", 3)
    total = wg.exp(x[0]) + wg.exp(x[1]) + wg.exp(x[2])
    y = wg.tanh(wg.log(total) * x[0])
    before = extract([y, *wg.grad(y, x[:2], stable=False)])
    after = shift_sums(before).graph
    shifted = [e for e in after if e.op is ops.EXP and e.operands[0].op is ops.SUB]
    assert len(shifted) == 3 + 2, "those of the sum, and what each exponential passes back"
    assert sum(e.origin is None for e in shifted) == 3

    def kinds(graph):
        found = [(e.op.name, e.origin.rule, e.origin.operand) for e in graph if e.origin]
        return Counter(kind for kind in found if kind[1] not in ("log", "exp", "mul"))

    assert kinds(after) == kinds(before)
    record = after.passes[-1]
    assert (record.nodes_before, record.nodes_after) == (len(before), len(after))
    assert record.operations_before == operations(before) != record.operations_after
    assert record.operations_after == operations(after)


def test_one_sum_in_several_places_is_shifted_once():
    g = wg.Graph()
    x = g.inputs("x", 3)
    powers = [wg.exp(a) for a in x]
    total = powers[0] + powers[1] + powers[2]
    y = wg.log(total) + powers[0] / total + powers[1] / total + wg.log1p(total)
    form = wg.stable_form(y)
    assert g.passes[-1].rewrites == {"log-sum-exp-shifted": 2, "softmax-shifted": 2}
    made = Counter(g.ops[node].name for node in live_nodes(g, [form.id]))
    assert made["stop_gradient"] == 2, "one with the 1 of log1p, one without"
    assert made["exp"] == 3 + 4
    at = dict(zip(x, [0.3, -1.2, 2.0], strict=True))
    assert wg.evaluate(form, at) == pytest.approx(wg.evaluate(y, at), rel=1e-14)


def test_what_no_rule_concerns_is_used_again():
    g = wg.Graph()
    x = g.input("x")
    inner = (x * x).tanh()
    y = softplus_written(inner) * inner
    stable = wg.stable_form(y)
    assert str(stable) == "softplus(tanh(x*x))*tanh(x*x)"
    assert stable.operands[1] == inner


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (lambda a, b, c: wg.log(wg.sigmoid(a)), "-softplus(-x0)"),
        (lambda a, b, c: wg.log(1 - wg.sigmoid(a)), "-softplus(--x0)"),
        (lambda a, b, c: (wg.exp(2 * a) - 1) / (wg.exp(2 * a) + 1), "tanh(x0)"),
        (lambda a, b, c: (1 - wg.exp(-2 * a)) / (1 + wg.exp(-2 * a)), "tanh(x0)"),
        (lambda a, b, c: wg.sqrt(a * a), "abs(x0)"),
        (
            lambda a, b, c: wg.sqrt(a * a + b * b),
            "where(x0*x0 + x1*x1 == 0, x0*x0 + x1*x1, sqrt(x0*x0 + x1*x1))",
        ),
        (lambda a, b, c: wg.exp(a) ** 2 * b / (1 + wg.exp(2 * a)), "x1*sigmoid(2*x0)"),
        (lambda a, b, c: wg.exp(a) * b * wg.exp(-2 * a), "x1*exp(-x0)"),
        (lambda a, b, c: wg.exp(a) / 2 + wg.log(wg.exp(a)), "exp(x0)/2 + x0"),
        (
            lambda a, b, c: 2 / (wg.exp(a) + wg.exp(-a)),
            "2*exp(0 - {a})/(exp(x0 - {a}) + exp(-x0 - {a}))",
        ),
        (
            lambda a, b, c: wg.log(wg.exp(a) + wg.exp(b) + wg.exp(c)),
            "log(exp(x0 - {m}) + exp(x1 - {m}) + exp(x2 - {m})) + {m}",
        ),
        (
            lambda a, b, c: wg.exp(b) / (wg.exp(a) + wg.exp(b) + wg.exp(c)),
            "exp(x1 - {m})/(exp(x0 - {m}) + exp(x1 - {m}) + exp(x2 - {m}))",
        ),
    ],
)
def test_what_stable_forms_look_like(written, expected):
    g = wg.Graph()
    shift = "stop_gradient(maximum(maximum(x0, x1), x2))"
    found = str(wg.stable_form(written(*g.inputs("x", 3))))
    assert found == expected.format(m=shift, a="stop_gradient(maximum(x0, -x0))")


def test_what_is_shifted_already_is_left_alone():
    g = wg.Graph()
    z = g.inputs("z", 4)
    loss = wg.cross_entropy(z, 2)
    assert wg.stable_form(loss) == loss


@pytest.mark.parametrize("rule", [LOG_SUM_EXP, SOFTMAX], ids=lambda rule: rule.name)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_rules_on_sums_are_proved(rule, count):
    """For any shift: equal to the pattern, so that its derivative by the shift is 0."""
    m, *z = sympy.symbols(f"m z:{count}", real=True)
    difference = sympy.exp(rule.pattern(*z)) - sympy.exp(rule.result(m, *z))
    assert sympy.simplify(sympy.expand(difference)) == 0
    wrong = sympy.exp(rule.pattern(*z)) - sympy.exp(rule.result(m, *z) + m)
    assert sympy.simplify(sympy.expand(wrong)) != 0


@given(numbers=st.lists(st.floats(-800, 800), min_size=2, max_size=6))
def test_the_rules_on_sums_are_near_the_truth(numbers):
    g = wg.Graph()
    z = g.inputs("z", len(numbers))
    powers = [wg.exp(a) for a in z]
    total = sum(powers[1:], powers[0])
    exprs = wg.stable_form(wg.log(total)), wg.stable_form(powers[0] / total)
    found = wg.evaluate(exprs, dict(zip(z, numbers, strict=True)))
    with mpmath.workdps(800):
        sums = mpmath.fsum(mpmath.exp(number) for number in numbers)
        wanted = [float(mpmath.log(sums)), float(mpmath.exp(numbers[0]) / sums)]
    assert found[0] == pytest.approx(wanted[0], rel=1e-13, abs=1e-13)
    assert found[1] == pytest.approx(wanted[1], rel=1e-13, abs=1e-300)


def test_a_wrong_rule_on_sums_is_found():
    g = wg.Graph()
    a, b, c = g.inputs("z", 3)
    total = wg.exp(a) + wg.exp(b) + wg.exp(c)
    right = shift_sums(wg.simplify([wg.log(total)]).pop().graph).graph
    at = {"z0": 1.0, "z1": 2.0, "z2": 0.5}
    found = wg.evaluate(right[right.outputs[0]], at)
    assert found == pytest.approx(wg.evaluate(wg.log(total), {a: 1.0, b: 2.0, c: 0.5}), rel=1e-14)
    assert not prove(
        Rule("wrong", lambda x: wg.log(1 + wg.exp(x)), lambda x: wg.softplus(-x), "real")
    )


def test_stable_gradients_agree_with_plain_ones_where_those_are_finite():
    rng = random.Random(3)
    formulas = [
        lambda a, b: wg.log(1 + wg.exp(a * b)) / (1 + wg.exp(-b)),
        lambda a, b: wg.log(wg.exp(a) + wg.exp(b) + wg.exp(a * b)),
        lambda a, b: wg.exp(a) / (wg.exp(a) + wg.exp(b) + 1) * wg.sqrt(b * b),
        lambda a, b: wg.log(1 - a / (3 + wg.exp(b))),
    ]
    for formula in formulas:
        g = wg.Graph()
        leaves = g.inputs("x", 2)
        y = formula(*leaves)
        for _ in range(5):
            at = {leaf: rng.uniform(-2.0, 2.0) for leaf in leaves}
            given_at = {leaf.id: number for leaf, number in at.items()}
            values = precise_values(g, live_nodes(g, [y.id]), given_at)
            judge = chain_rule(g, live_nodes(g, [y.id]), y.id, values)
            wanted = [float(judge[leaf.id]) for leaf in leaves]
            for stable in (True, False):
                found = wg.evaluate(wg.grad(y, leaves, stable=stable), at)
                assert found == pytest.approx(wanted, rel=1e-12, abs=1e-13)


def test_every_stable_rule_is_used_by_grad():
    """No rule of the set is shadowed by another so that it never applies."""
    for rule in STABLE:
        g = wg.Graph()
        leaves = [g.constant(3.0) if name == "k" else g.input(name) for name in rule.wildcards]
        wg.stable_form(rule.pattern(*leaves))
        assert rule.name in g.passes[-1].rewrites, rule


def test_deep_and_wide_branches_stay_linear():
    g = wg.Graph()
    x = g.input("x")
    y = x
    for i in range(2000):
        y = wg.where(wg.greater(x, i), y * x, wg.sqrt(y))
    before = len(g)
    wg.grad(y, x)
    assert len(g) < 15 * before


def table_rows():
    text = (PROJECT / "docs" / "stability.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(.+?)` \| (\S+) \| (\S+) \| (\S+) \|", text, re.MULTILINE)
    assert len(rows) >= 60
    return rows


@pytest.mark.parametrize(("formula", "at", "truth", "claimed"), table_rows())
def test_the_table_in_the_documentation(formula, at, truth, claimed):
    g = wg.Graph()
    x = g.input("x")
    y = wg.parse(formula, g)
    found = wg.evaluate(wg.grad(y, x), {x: float(at)})
    assert repr(found) == claimed
    if truth != "none":
        assert float(truth) == pytest.approx(found, abs=1e-15)


def in_other_words(x, m):
    """What the rules stand for, as people write it; `m` has exp and log, of nodes or of mpmath."""
    exp, log = m.exp, m.log
    two = [exp(x), exp(-x)]
    p, q = 1 / (1 + exp(-x)), exp(x) / (1 + exp(x))
    return {
        "sum of a list": lambda: log(sum([exp(x), exp(2 * x), exp(-x)])),
        "softmax of a list": lambda: two[0] / sum(two),
        "cross-entropy of a list": lambda: -log(two[1] / sum([*two, 1])),
        "one-hot cross-entropy": lambda: (
            -(1.0 * log(two[0] / sum(two)) + 0.0 * log(two[1] / sum(two)))
        ),
        "one class": lambda: -log(exp(x) / sum([exp(x)])) + x,
        "reciprocal": lambda: -log(exp(x) * (1 / sum(two))),
        "inverse": lambda: -log(exp(x) * sum(two) ** -1) + (1 + exp(-x)) ** -1 + (1 + exp(x)) ** -1,
        "weighted": lambda: log(2 * exp(x) + exp(-x) * 3 + 0.5),
        "log cosh": lambda: log((exp(x) + exp(-x)) / 2),
        "half": lambda: log(0.5 * (exp(x) + exp(-x) / 4)),
        "mean": lambda: log(sum(two) / 2) - log(sum(two) / 7),
        "other number": lambda: log(exp(x) + 2),
        "binary cross-entropy": lambda: -(0.3 * log(p) + 0.7 * log(1 - p)),
        "and from the other quotient": lambda: -(0.3 * log(q) + 0.7 * log(1 - q)),
        "logit": lambda: log(p / (1 - p)),
        "exponent": lambda: log(exp(x)) + log(exp(x) / exp(-x)) + log(exp(x) * exp(-2 * x)),
        "quotient": lambda: exp(x) / exp(x - 1) + x,
    }


@pytest.mark.parametrize("name", in_other_words(mpmath.mpf(0), mpmath))
def test_other_ways_to_write_it(name):
    g = wg.Graph()
    x = g.input("x")
    dy = wg.grad(in_other_words(x, wg)[name](), x)
    for at in (-2000.0, -745.2, -40.0, -1.0, 0.3, 40.0, 709.9, 2000.0):
        # A step of i·h has nothing to cancel (Squire & Trapp 1998); 1 - p has, 869 digits of it.
        with mpmath.workdps(1000):
            h = mpmath.mpf(10) ** -40
            wanted = float(in_other_words(mpmath.mpc(at, h), mpmath)[name]().imag / h)
        assert wg.evaluate(dy, {x: at}) == pytest.approx(wanted, rel=1e-13, abs=1e-15)


def of_arrays(v, m):
    """Functions of an array, written out: `m` has exp, log, and sums over an axis or over all."""
    e = m.exp(v)
    return {
        "log of a sum": lambda: m.log(m.sum_over(e)),
        "over rows": lambda: m.log(m.sum_over(e, 1)),
        "over columns": lambda: m.log(m.sum_over(e, 0)),
        "cross-entropy": lambda: -m.log((e / m.sum_over(e))[0, 1]),
        "of an element": lambda: -m.log(e[1, 0] / m.sum_over(e)),
        "logarithms": lambda: -m.log(e / m.reshape(m.sum_over(e, 1), (2, 1)))[1],
        "softmax": lambda: e / m.reshape(m.sum_over(e, 1), (2, 1)),
        "softmax of columns": lambda: (e / m.sum_over(e, 0)).T,
        "inverse": lambda: m.log(e * m.sum_over(e) ** -1),
        "element by element": lambda: m.log(e + m.exp(2 * v) + 1),
    }


class Stated:
    """What `of_arrays` asks for, on arrays of mpmath's numbers."""

    exp = np.vectorize(mpmath.exp, otypes=[object])
    log = np.vectorize(mpmath.log, otypes=[object])
    sum_over = staticmethod(lambda x, axis=None: np.sum(x, axis))
    reshape = staticmethod(np.reshape)


class Written(Stated):
    exp, log = staticmethod(wg.exp), staticmethod(wg.log)
    sum_over, reshape = staticmethod(arrays.sum_over), staticmethod(arrays.reshape)


@pytest.mark.parametrize("name", of_arrays(np.full((2, 3), mpmath.mpf(1)), Stated))
@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0, BIG])
def test_functions_of_arrays_are_shifted_too(name, scale):
    g = wg.Graph()
    v = g.array("v", (2, 3))
    y = of_arrays(v, Written)[name]()
    weights = np.reshape(np.arange(math.prod(y.shape)) + 1.0, y.shape) if y.shape else 1.0
    numbers = scale * np.array([[1.0, 0.25, -1.0], [-0.5, 0.5, 0.75]])
    scalar = arrays.sum_over(y * weights) if y.shape else y
    found = wg.evaluate(wg.grad(scalar, v), {v: numbers})
    for place in np.ndindex(numbers.shape):
        with mpmath.workdps(100):
            h = mpmath.mpf(10) ** -40
            moved = np.array([[mpmath.mpf(n) for n in row] for row in numbers], dtype=object)
            moved[place] += mpmath.mpc(0, h)
            wanted = float(np.sum(of_arrays(moved, Stated)[name]() * weights).imag / h)
        assert found[place] == pytest.approx(wanted, rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("op", [op for op in ops.ELEMENTWISE.values() if op.differentiable])
def test_every_way_to_a_derivative_is_as_near_to_the_truth(op):
    """The generated functions, over a batch too, and `backward` of a `Value`."""
    rng = random.Random(op.name)
    for statics in op.settings:
        _compare_derivatives(op, statics, rng)


def _compare_derivatives(op, statics, rng):
    g = wg.Graph()
    leaves = g.inputs("x", op.arity)
    gradient = wg.grad(op(*leaves, *statics), leaves)
    points = [[rng.uniform(low, high) for low, high in op.domain] for _ in range(40)]
    ways = {
        "interpreter": [wg.evaluate(gradient, dict(zip(leaves, p, strict=True))) for p in points]
    }
    for target in ("python", "numpy"):
        f = wg.compile({"x": leaves}, gradient, target=target)
        ways[target] = [f(point) for point in points]
        f = wg.compile({"x": leaves}, gradient, target=target, batch="x", reduce=None)
        columns = [np.broadcast_to(np.asarray(found), len(points)) for found in f(points)]
        ways[f"{target}, batch"] = np.stack(columns, 1)
    values = [[wg.Value(number) for number in point] for point in points]
    for row in values:
        op(*row, *statics).backward()
    ways["Value"] = [[value.grad for value in row] for row in values]
    for i, point in enumerate(points):
        with mpmath.workdps(50):
            exact = [mpmath.mpf(number) for number in (*point, *statics)]
            for position, rule in enumerate(op.vjp):
                wanted = partial(op, position)(*exact) if rule is not None else 0
                for way, found in ways.items():
                    error = abs(float(found[i][position]) - wanted)
                    assert error <= 1e-13 * abs(wanted), (op, statics, point, way)


WEIGHED = [
    lambda x, y: wg.log(2 * (wg.exp(x) + 3)),
    lambda x, y: wg.log((0.5 + 4 * wg.exp(y)) * 0.25 + wg.exp(x)),
    lambda x, y: wg.log((wg.exp(x) / 4 + 1) / 2 + wg.exp(y) * 8),
    lambda x, y: wg.log1p(3 * (wg.exp(x) + 2 * (wg.exp(y) + 5))),
    lambda x, y: wg.exp(x) / (3 * (wg.exp(x) + 2 * (wg.exp(y) + 0.5))),
]


@pytest.mark.parametrize("write", WEIGHED)
def test_weights_within_weights(write):
    g = wg.Graph()
    x, y = g.inputs("x", 2)
    out = write(x, y)
    form = wg.stable_form(out)
    assert form != out
    for at in ({x: 0.25, y: -1.5}, {x: -2.0, y: 0.75}):
        assert wg.evaluate(form, at) == pytest.approx(wg.evaluate(out, at), rel=1e-14)
    slopes = wg.evaluate(wg.grad(out, [x, y], allow_unused=True), {x: 1e3, y: 999.0})
    assert all(map(math.isfinite, slopes))


@pytest.mark.parametrize("weight", [1e-200, 1e200])
def test_weights_out_of_range_stay_as_they_are_written(weight):
    g = wg.Graph()
    x, y = g.inputs("x", 2)
    out = wg.log(weight * (weight * wg.exp(x) + wg.exp(y)))
    assert wg.stable_form(out) == out
    out = wg.log(wg.exp(x) / 0 + wg.exp(y) * math.inf)
    assert wg.stable_form(out) == out


def test_a_sum_that_is_shifted_is_not_shifted_again():
    g = wg.Graph()
    z, other = g.inputs("z", 3), g.input("other")
    shift = wg.stop_gradient(wg.maximum(wg.maximum(z[0], z[1]), z[2]))
    written = wg.log(sum(wg.exp(a - shift) for a in z)) + shift
    form = wg.stable_form(written + wg.log(wg.exp(other) + wg.exp(-other) + wg.exp(2 * other)))
    assert g.passes[-1].rewrites == {"log-sum-exp-shifted": 1}
    assert written.operands[0] in set(map(g.__getitem__, live_nodes(g, [form.id])))


def test_how_often_a_rule_for_arrays_applied_is_counted():
    g = wg.Graph()
    x = g.array("x", 3)
    wg.stable_form(wg.log(arrays.sum_over(wg.exp(x))))
    assert g.passes[-1].rewrites == {"log-sum-exp-array": 1}


def test_what_is_written_after_a_stable_form_is_the_users():
    g = wg.Graph()
    x = g.input("x")
    wg.stable_form(wg.log(1 + wg.exp(x)) + wg.log(wg.exp(x) + wg.exp(-x)))
    assert (x * 3).origin is None


def test_a_number_may_come_first():
    x = wg.Graph().input("x")
    assert str(wg.stable_form(-1 + wg.exp(x))) == "expm1(x)"
    assert str(wg.stable_form(wg.log(1 + wg.exp(x)))) == "softplus(x)"
