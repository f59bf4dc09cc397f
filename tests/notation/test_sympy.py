"""The bridge to sympy: names, numbers, conditions, sharing, and what it refuses."""

import math
import operator
import random
import subprocess
import sys
import time
from functools import reduce

import mpmath
import pytest
import sympy
from strategies import random_recipe

import wengert as wg
from wengert.derive.backward import grad, hessian
from wengert.errors import FormulaError, SizeError
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.graph.store import live_nodes
from wengert.graph.value import Value
from wengert.notation.sympy import (
    is_piecewise,
    is_zero,
    prove_rule,
    regions,
    sympy_nodes,
    sympy_number,
    to_sympy,
)
from wengert.ops import activations, elementary, logic, rounding, special
from wengert.ops import scalar as ops
from wengert.ops.scalar import ELEMENTWISE
from wengert.ops.table import OPERATIONS
from wengert.proof.precise import chain_rule, precise_sympy, precise_values

X, Y = sympy.symbols("x y", real=True)


@pytest.fixture
def leaves():
    g = Graph()
    return g.input("x"), g.input("y")


def test_every_operation_has_its_meaning(leaves):
    x, y = leaves
    pairs = [
        (x + y, X + Y),
        (x - y, X - Y),
        (x * y, X * Y),
        (x / y, X / Y),
        (-x, -X),
        (x**3, X**3),
        (x**y, X**Y),
        (x.exp(), sympy.exp(X)),
        (x.log(), sympy.log(X)),
        (ops.log1p(x), sympy.log(1 + X)),
        (ops.expm1(x), sympy.exp(X) - 1),
        (x.sqrt(), sympy.sqrt(X)),
        (x.sin(), sympy.sin(X)),
        (x.cos(), sympy.cos(X)),
        (x.tanh(), sympy.tanh(X)),
        (x.sigmoid(), 1 / (1 + sympy.exp(-X))),
        (x.softplus(), sympy.log(1 + sympy.exp(X))),
        (x.relu(), sympy.Max(0, X)),
        (ops.leaky_relu(x, 0.25), sympy.Max(0, X) * 3 / 4 + X / 4),
        (abs(x), sympy.Abs(X)),
        (ops.maximum(x, y), sympy.Max(X, Y)),
        (ops.minimum(x, y), sympy.Min(X, Y)),
        (x < y, X < Y),
        (x <= y, X <= Y),
        (x > y, X > Y),
        (x >= y, X >= Y),
        (ops.equal(x, y), sympy.Eq(X, Y)),
        (ops.not_equal(x, y), sympy.Ne(X, Y)),
        (ops.where(x < y, x, y), sympy.Piecewise((X, X < Y), (Y, True))),
        (ops.total(x * y), X * Y),
        (ops.stop_gradient(x), X),
    ]
    # The others are called in sympy as they are here: test_from_sympy has them there and back.
    elsewhere = (elementary, rounding, logic, special, activations)
    others = {op.name for module in elsewhere for op in module.TABLE}
    assert {e.op.name for e, _ in pairs} == set(ELEMENTWISE) - others
    for expr, meaning in pairs:
        assert to_sympy(expr) == meaning, str(expr)


def test_a_comparison_is_a_condition_or_a_number(leaves):
    x, y = leaves
    as_number = sympy.Piecewise((1, X < Y), (0, True))
    assert to_sympy((x < y) + x) == as_number + X
    assert to_sympy((x < y) < 0.5) == (as_number < sympy.Rational(1, 2))
    assert to_sympy(ops.where(x, x < y, y)) == sympy.Piecewise(
        (as_number, sympy.Ne(X, 0)), (Y, True)
    )


def test_sequences_keep_their_shape(leaves):
    x, y = leaves
    assert to_sympy((x, [y, 2.0])) == [X, [Y, 2]]
    assert to_sympy([]) == []
    assert to_sympy(hessian(x * x * y, [x, y]))[0][0].equals(2 * Y)


def test_symbols_are_real_and_parameters_are_symbols_too():
    g = Graph()
    w = g.parameter("w", 0.5)
    assert to_sympy(w * 2) == 2 * sympy.Symbol("w", real=True)
    assert to_sympy(w).is_real


def test_numbers_are_short_fractions_floats_or_exact():
    assert to_sympy(2.0) == 2
    assert str(to_sympy(Value(0.5) * Value(3.0, label="x"))) == "x/2"
    assert isinstance(to_sympy(0.1), sympy.Float)
    assert to_sympy(0.1, exact=True) == sympy.Rational(0.1) != sympy.Rational(1, 10)
    assert sympy_number(math.inf) == sympy.oo
    assert sympy_number(-math.inf) == -sympy.oo
    assert sympy_number(math.nan) is sympy.nan
    assert sympy_number(1e300) == sympy.Float(1e300)


def test_values_are_symbols_when_labelled_and_numbers_when_not():
    a, b = Value(2.0, label="a"), Value(3.0)
    assert to_sympy(a * b + a) == 4 * sympy.Symbol("a", real=True)
    assert to_sympy(b) == 3
    assert to_sympy(Value(3.0, label="no identifier")) == 3
    twins = Value(1.0, label="a") - a
    assert len(to_sympy(twins).free_symbols) == 2, "two values of one name are not one symbol"


def test_an_unlabelled_value_in_a_graph_is_a_symbol():
    g = Graph()
    w = Value(0.5)
    e = g.input("x") * w
    assert len(to_sympy(e).free_symbols) == 2


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "**"])
def test_values_and_expressions_meet_sympy_symbols(operator, leaves):
    s = sympy.Symbol("s", real=True)
    a, b = Value(2.0, label="a"), Value(3.0)
    names = {"s": s, "a": a, "b": b, "x": leaves[0]}
    judge = {"s": s, "a": sympy.Symbol("a", real=True), "b": sympy.Integer(3), "x": X}
    for left, right in [("a", "s"), ("s", "a"), ("b", "s"), ("s", "b"), ("x", "s"), ("s", "x")]:
        formula = f"{left} {operator} {right}"
        found, wanted = (eval(formula, {}, place) for place in (names, judge))  # noqa: S307
        assert found == wanted, formula


def test_functions_of_the_package_take_sympy_symbols():
    for op in ELEMENTWISE.values():
        symbols = sympy.symbols("a b c", real=True)[: op.arity]
        result = op(*symbols, *[2.0] * (len(op.statics) - len(op.defaults)))
        assert isinstance(result, sympy.Basic), op.name
    w, s = Value(0.5, label="w"), sympy.Symbol("s", real=True)
    assert ops.tanh(w * s + 1.0) == sympy.tanh(sympy.Symbol("w", real=True) * s + 1.0)
    assert ops.maximum(w, s) == ops.maximum(sympy.Symbol("w", real=True), s)


def test_shared_parts_are_converted_once():
    g = Graph()
    x = e = g.input("x")
    for _ in range(40):
        e = e.sin() * e.cos()
    started = time.perf_counter()
    found = precise_sympy([to_sympy(e)], {X: 0.7})[0]
    assert time.perf_counter() - started < 5.0, "the tree has 2**40 leaves, the graph 121 nodes"
    assert evaluate(e, {x: 0.7}) == pytest.approx(float(found), rel=1e-12)


def test_a_graph_too_deep_for_sympy_is_an_error_that_says_so(leaves):
    e = leaves[0]
    for _ in range(20_000):
        e = e.tanh()
    with pytest.raises(SizeError, match="nested as deeply as node"):
        to_sympy(e)


def test_a_power_too_high_for_sympy_is_an_error_at_once(leaves):
    e = leaves[0] * 3
    for _ in range(100):
        e = e * e
    with pytest.raises(SizeError, match=r"is a power of 1\.64e"):
        to_sympy(e)
    with pytest.raises(SizeError, match="is a power of 2e"):
        to_sympy((leaves[0] * 3) ** 1e9)


@pytest.mark.parametrize("exact", [False, True])
def test_long_fractions_as_exponents_do_not_stall_sympy(exact, leaves):
    x, _ = leaves
    # A base over which sympy does not come to an end, unlike most.
    base, exponent = x.graph.constant(2.751857477710757), x.graph.constant(2.7)
    for e in ((base * x) ** 2.7, (base * x) ** exponent, base**2.7 * x, base**exponent * x):
        found = to_sympy(e, exact=exact).subs(X, 2)
        assert float(found) == pytest.approx(evaluate(e, {x: 2.0}), rel=1e-14)


def test_random_expressions_keep_their_value():
    rng = random.Random(5)
    for _ in range(30):
        points = [[rng.uniform(0.2, 2), rng.uniform(-2, 2)]]
        recipe = random_recipe(rng, points, 8)
        g = Graph()
        x = g.inputs("x", 2)
        e = recipe.follow(x)
        symbols = sympy.symbols("x0 x1", real=True)
        at = dict(zip(symbols, map(sympy.Float, points[0]), strict=True))
        wanted = evaluate(e, dict(zip(x, points[0], strict=True)))
        assert float(to_sympy(e).subs(at)) == pytest.approx(wanted, rel=1e-9)


# -- many digits ----------------------------------------------------------------------------------


def test_precise_values_are_those_of_mpmath(leaves):
    x, y = leaves
    e = (x * y).tanh() + ops.log1p(x) ** y
    found = precise_values(x.graph, range(len(x.graph)), {x.id: 0.7, y.id: 1.3})[e.id]
    with mpmath.workdps(50):
        a, b = mpmath.mpf(0.7), mpmath.mpf(1.3)
        wanted = mpmath.tanh(a * b) + mpmath.log(1 + a) ** b
        assert abs(found - wanted) < mpmath.mpf(10) ** -48


def test_the_chain_rule_to_many_digits_is_sympys_derivative(leaves):
    x, y = leaves
    e = (x * y).tanh() * x.exp() / (y * y + 1) + ops.maximum(x, y) ** 3 - abs(x - y)
    nodes = range(len(x.graph))
    values = precise_values(x.graph, nodes, {x.id: 0.7, y.id: 1.3})
    found = chain_rule(x.graph, nodes, e.id, values)
    formulas = [to_sympy(e, exact=True).diff(s) for s in (X, Y)]
    wanted = precise_sympy(formulas, {X: 0.7, Y: 1.3})
    for leaf, judge in zip(leaves, wanted, strict=True):
        assert abs(found[leaf.id] - judge) < mpmath.mpf(10) ** -45
        assert abs(judge - float(evaluate(grad(e, leaf), {x: 0.7, y: 1.3}))) < 1e-13


def test_the_chain_rule_stops_where_the_gradient_does(leaves):
    x, y = leaves
    e = ops.stop_gradient(x * y) * x
    values = precise_values(x.graph, range(len(x.graph)), {x.id: 2.0, y.id: 3.0})
    found = chain_rule(x.graph, range(len(x.graph)), e.id, values)
    assert found[x.id] == 6
    assert y.id not in found


def test_precise_values_outside_the_domain_are_nan_and_end(leaves):
    x, _ = leaves
    for e in (x.log(), x.sqrt(), x**0.5, 1 / (x - x)):
        assert mpmath.isnan(precise_values(x.graph, range(len(x.graph)), {0: -1.0, 1: 0.0})[e.id])
    e = (-x * 1000).exp().exp().exp()
    assert precise_values(x.graph, range(len(x.graph)), {0: -1.0, 1: 0.0})[e.id] == mpmath.inf


def test_precise_sympy_agrees_with_evalf():
    formula = sympy.sin(X) ** 2 / sympy.sqrt(Y) + sympy.Piecewise(
        (sympy.log(-X), X < 0), (sympy.Abs(X) * sympy.pi, sympy.Ne(X, Y) & (X < 5)), (0, True)
    )
    found = precise_sympy([formula], {X: 1.25, Y: 2.5})[0]
    wanted = formula.evalf(40, subs={X: 1.25, Y: 2.5})
    with mpmath.workdps(50):
        assert abs(found - mpmath.mpf(wanted)) < 1e-35


# -- proofs ---------------------------------------------------------------------------------------


def test_zero_is_recognised_and_nothing_else():
    assert is_zero(sympy.tanh(X) - (sympy.exp(2 * X) - 1) / (sympy.exp(2 * X) + 1))
    assert is_zero((X + Y) ** 2 - X**2 - 2 * X * Y - Y**2)
    assert not is_zero(X * sympy.Float(1e-30))


def test_regions_take_every_condition_both_ways():
    formula = sympy.Abs(X) + sympy.Piecewise((1, X >= Y), (2, True))
    found = {rest for _, rest in regions(formula)}
    assert found == {X + 1, X + 2, -X + 1, -X + 2}
    many = sum(sympy.Abs(X - k) for k in range(6))
    with pytest.raises(SizeError, match="6 different conditions"):
        list(regions(many))


def test_proofs_are_remembered():
    assert prove_rule(ops.TANH) is prove_rule(ops.TANH)


def test_operations_with_pieces_are_known():
    found = {name for name, op in ELEMENTWISE.items() if is_piecewise(op)}
    comparisons = {"lt", "le", "gt", "ge", "eq", "ne"}
    tests = {"logical_and", "logical_or", "logical_not", "logical_xor", "isnan", "isfinite"}
    pieces = {"relu", "leaky_relu", "abs", "maximum", "minimum", "where", "sign", "heaviside"}
    pieces |= {"clip", "elu", "selu", "softsign", "hard_tanh", "hard_sigmoid"}
    assert found == pieces | comparisons | tests
    assert set(ELEMENTWISE) <= set(OPERATIONS)


def test_sympy_is_loaded_when_used_and_not_before():
    code = "import sys, wengert.notation.sympy, wengert.verify; assert 'sympy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_has_no_number_has_none_in_what_is_made_of_it():
    g = Graph()
    x = g.input("x")
    lost = 1 / (x - x)
    chosen = ops.where(x > 0, x, lost)
    undecided = ops.where(lost < x, x, 0)
    outputs = [ops.minimum(x, ops.tanh(lost)), ops.maximum(lost, x), undecided, chosen]
    nodes = [expr.id for expr in outputs]
    found = precise_values(g, range(len(g)), {x.id: 2.0})
    assert [mpmath.isnan(found[node]) for node in nodes] == [True, True, True, False]


def nested(step, times):
    y = wg.Graph().input("x")
    for i in range(times):
        y = step(y, i)
    return y


@pytest.mark.parametrize(
    ("refused", "taken"),
    [
        (
            nested(lambda y, i: wg.where(y > i, y * y, y + 1), 4),
            nested(lambda y, i: wg.where(y > i, y * y, y + 1), 2),
        ),
        (
            nested(lambda y, i: wg.maximum(y * y, y + i), 12),
            nested(lambda y, i: wg.maximum(y, i), 30),
        ),
        (nested(lambda y, i: y**y, 40), nested(lambda y, i: y**y, 3)),
        (
            wg.parse("9**9**9*x"),
            nested(lambda y, i: y**9, 3),
        ),
    ],
)
def test_what_would_take_sympy_minutes_is_refused_at_once(refused, taken):
    with pytest.raises(wg.SizeError, match="sympy would"):
        wg.to_sympy(refused)
    assert wg.to_sympy(taken) is not None


def test_long_sums_and_products_are_what_they_are_step_by_step():
    g = Graph()
    x, w = g.inputs("x", 50), g.input("w")
    up = w - x[0]
    for i, a in enumerate(x[1:]):
        up = up - (a - w) * 2 if i % 3 else -(up + a)
    around = x[0]
    for a in x[1:]:
        around = around * (a + 1) if a is x[9] else a * around
    shared = sum(x[:40])
    outputs = [up, around * w, shared * shared, shared + up]
    graph, live = g, live_nodes(g, [e.id for e in outputs])
    each = sympy_nodes(graph, live)
    for formula, e in zip(to_sympy(outputs), outputs, strict=True):
        assert sympy.expand(formula - each[e.id]) == 0


@pytest.mark.parametrize("combine", [operator.add, operator.mul], ids=["sum", "product"])
def test_wide_sums_and_products_are_converted(combine):
    x = Graph().inputs("x", 3000)
    assert len(to_sympy(reduce(combine, x)).args) == 3000


def test_what_is_nested_too_deeply_is_refused_before_sympy_sees_it(monkeypatch):
    x = Graph().input("x")
    y = reduce(lambda y, _: ops.tanh(x * y), range(5_000), x)
    monkeypatch.setattr(sympy, "tanh", None)
    with pytest.raises(SizeError, match="nested as deeply as node"):
        to_sympy(y)


def test_infinite_powers_are_sympys():
    x = Graph().input("x")
    assert to_sympy(x**math.inf) == sympy.Symbol("x", real=True) ** sympy.oo


@pytest.mark.parametrize(
    "write",
    [
        lambda x: ops.maximum(x, math.nan),
        lambda x: activations.HARD_TANH(x.graph.constant(math.nan)) * x,
        lambda x: x * (x.graph.constant(math.nan) > 0),
        lambda x: x * (x.graph.constant(-2.0) ** x.graph.constant(0.3) > 0),
    ],
)
def test_what_sympy_has_no_answer_for_is_named(write):
    with pytest.raises(FormulaError, match=r"sympy has no answer for node \d \(.*(nan|non-real)"):
        to_sympy(write(Graph().input("x")))
