"""From sympy: what has a meaning is read, numbers stay the same, and names become identifiers."""

import math

import pytest
import sympy
from hypothesis import assume, given, settings

import wengert as wg
from wengert.notation.names import leaf_name
from wengert.ops.scalar import ELEMENTWISE
from wengert.testing import sketches

x, y, z = sympy.symbols("x y z")
AT = {"x": 0.7, "y": 1.3, "z": -0.4}

EXPRESSIONS = [
    x + y * z - 3,
    -x - y,
    x - sympy.Rational(2, 3) * y / (1 + z**2),
    sympy.sqrt(x) / y**3 + x ** sympy.Rational(1, 3),
    x**-2.5 + 2**z + y**x,
    sympy.pi * x + sympy.E - sympy.EulerGamma,
    sympy.exp(-x) * sympy.log(y, 2) + sympy.log(x),
    sympy.Piecewise((x, x > 1), (y**2, y > 1), (z, True)),
    sympy.Max(x, y, z) * sympy.Min(x, y, 2),
    sympy.Abs(z) + sympy.sign(z) + sympy.Heaviside(z) + sympy.Heaviside(x - x, 1),
    sympy.floor(y) + sympy.ceiling(y) + sympy.Mod(y, sympy.Rational(1, 2)) + sympy.frac(z),
    sympy.tan(x) + sympy.sec(x) + sympy.cot(x) + sympy.acot(x) + sympy.sinc(y),
    sympy.asin(x) + sympy.acos(x) + sympy.atan2(x, y) + sympy.acosh(y) + sympy.atanh(x),
    sympy.sinh(x) + sympy.cosh(x) + sympy.tanh(x) + sympy.coth(x) + sympy.asinh(x),
    sympy.erf(x) + sympy.erfc(y) + sympy.loggamma(x) + sympy.digamma(y) + sympy.polygamma(2, x),
    sympy.Sum(x**y / y, (y, 1, 4)) + sympy.Product(x + y, (y, 1, 3)),
    sympy.Derivative(sympy.sin(x) * x, x),
    sympy.gamma(x) + sympy.gamma(z) + sympy.factorial(y),
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_it_means_the_same_number(expression):
    found = wg.from_sympy(expression)
    at = {name: AT[name] for name in found.graph.leaves}
    wanted = sympy.N(expression.doit().subs({sympy.Symbol(n): v for n, v in at.items()}))
    assert wg.evaluate(found, at) == pytest.approx(float(wanted), rel=1e-12)


@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_every_operation_comes_back(name):
    op = ELEMENTWISE[name]
    leaves = wg.Graph().inputs("x", op.arity)
    e = op(*leaves, *[2.0] * len(op.statics)) * 1.5
    point = [low + (high - low) * (0.61 + 0.1 * i) for i, (low, high) in enumerate(op.domain)]
    at = dict(zip([leaf.label for leaf in leaves], point, strict=True))
    again = wg.from_sympy(wg.to_sympy(e))
    found = wg.evaluate(again, {name: at[name] for name in again.graph.leaves})
    assert found == pytest.approx(wg.evaluate(e, at), rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(sketches(steps=5, depth=2, constants=(0.5, 2.0, -1.5, 3.0)))
def test_to_sympy_and_back_gives_the_same_numbers(sketch):
    e, inputs = sketch.build()
    at = {leaf.label: number for leaf, number in zip(inputs, sketch.point, strict=True)}
    value = wg.evaluate(e, at)
    values = [wg.evaluate(node, at) for node in e.graph]
    assume(all(1e-6 < abs(v) < 1e6 for v in values if v) and math.isfinite(value))
    # Steps are taken at the same side only where nothing is near them.
    assume(not any(node.op.name in ("floor", "ceil", "round", "mod", "eq") for node in e.graph))
    try:
        again = wg.from_sympy(wg.to_sympy(e))
    except wg.WengertError:
        assume(False)
    found = wg.evaluate(again, {name: at[name] for name in again.graph.leaves})
    assert found == pytest.approx(value, rel=1e-6, abs=1e-9)


def test_a_condition_is_a_comparison_and_a_matrix_is_lists():
    assert str(wg.from_sympy(x < y)) == "x < y"
    assert str(wg.from_sympy(sympy.And(x > 0, ~sympy.Eq(y, 1)))) == "logical_and(x > 0, y != 1)"
    (a, b), (c, d) = wg.from_sympy(sympy.Matrix([[x, 1], [0, x * y]]))
    assert a.graph is d.graph
    assert [str(e) for e in (a, b, c, d)] == ["x", "1", "0", "x*y"]
    first, second = wg.from_sympy([x, x + y])
    assert second.operands[0] == first


def test_a_piecewise_that_may_hold_nowhere_is_nan_there():
    e = wg.from_sympy(sympy.Piecewise((x, x > 0)))
    assert wg.evaluate(e, {"x": 2.0}) == 2.0
    assert math.isnan(wg.evaluate(e, {"x": -2.0}))


def test_leaves_are_in_the_order_asked_for_and_those_of_the_graph():
    g = wg.Graph()
    w = g.parameter("y", 2.0)
    e = wg.from_sympy(x * y, graph=g, order=["z", x])
    assert list(g.leaves) == ["y", "z", "x"]
    assert w in e.operands
    assert list(wg.from_sympy(z * y * x).graph.leaves) == ["x", "y", "z"]
    with pytest.raises(wg.OperandError, match="order has 3"):
        wg.from_sympy(x, order=[3])


@pytest.mark.parametrize(
    ("name", "leaf"),
    [
        ("x", "x"),
        ("x_{1}", "x_1"),
        ("lambda", "lambda_"),
        ("α", "alpha"),
        ("Ω₂", "Omega2"),
        ("x′", "x"),
        ("2x", "x2x"),
        ("{}", "x"),
    ],
)
def test_names_become_identifiers(name, leaf):
    assert leaf_name(name) == leaf
    e = wg.from_sympy(sympy.Symbol(name) + 1)
    assert list(e.graph.leaves) == [leaf]


def test_symbols_that_would_be_one_leaf_are_refused():
    with pytest.raises(wg.FormulaError, match="both be the leaf 'x_1'"):
        wg.from_sympy(sympy.Symbol("x_1") + sympy.Symbol("x_{1}"))
    with pytest.raises(wg.FormulaError, match="assumptions"):
        wg.from_sympy(x + sympy.Symbol("x", positive=True))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (sympy.I * x, "no complex numbers"),
        (sympy.Function("f")(x), "no f"),
        (sympy.zeta(x), "no zeta"),
        (sympy.Integral(sympy.exp(sympy.sin(x)), x), "cannot be worked out"),
        (sympy.Sum(x**y, (y, 0, z)), "terms; expected a number"),
        (sympy.Sum(x**y, (y, 0, sympy.oo)), "terms; expected a number"),
    ],
)
def test_what_has_no_meaning_is_refused_and_leaves_the_graph(expression, message):
    g = wg.Graph()
    with pytest.raises(wg.FormulaError, match=message):
        wg.from_sympy(y + expression, graph=g)
    assert len(g) == 0


def test_text_is_no_expression():
    with pytest.raises(wg.OperandError, match=r"wengert\.parse"):
        wg.from_sympy("x + 1")


# -- beside sympy ---------------------------------------------------------------------------------


def test_sympys_numbers_are_numbers_on_both_sides():
    e = wg.Graph().input("e")
    third = sympy.Rational(1, 3)
    found = [sympy.Integer(2) * e, e * sympy.Integer(2), third + e, e - sympy.pi, sympy.sqrt(2) / e]
    assert all(isinstance(f, wg.Expr) for f in found)
    at = {"e": 0.5}
    wanted = [1.0, 1.0, 1 / 3 + 0.5, 0.5 - math.pi, math.sqrt(2) / 0.5]
    assert wg.evaluate(found, at) == pytest.approx(wanted, rel=1e-15)


def test_beside_a_symbol_all_is_sympys():
    e = wg.Graph().input("e")
    for found in (x + e, e + x, x * e, e / x, wg.tanh(e * x), e * sympy.I):
        assert isinstance(found, sympy.Basic)
        assert sympy.Symbol("e", real=True) in found.free_symbols
    assert sympy.Matrix([1, x]) * e == sympy.Matrix([sympy.sympify(e), x * sympy.sympify(e)])


def test_free_symbols_substitution_and_renaming():
    g = wg.Graph()
    a, b, w = g.input("a"), g.input("b"), g.parameter("w", 3.0)
    g.input("c")
    e = wg.sin(a) * b + w
    assert e.free_symbols == (a, b, w)
    turned = e.subs({a: b, "b": a})
    assert str(turned) == "sin(b)*a + w"
    assert str(e.subs({w: a * b, "a": 2})) == "sin(2)*b + a*b"
    assert e.subs({"c": 1}) == e
    renamed = e.rename({"a": "u", "w": "bias"})
    assert str(renamed) == "sin(u)*b + bias"
    assert g["bias"].value == 3.0
    assert str(e) == "sin(a)*b + w"


def test_substitution_says_what_does_not_fit():
    g = wg.Graph()
    e = g.input("a") + 1
    with pytest.raises(wg.UnknownNameError, match="'q' is not a leaf"):
        e.subs({"q": 1})
    with pytest.raises(wg.ShapeError, match="expected the same"):
        e.subs({"a": g.array("X", (2,))})
    before = len(g)
    with pytest.raises(wg.InvalidNameError):
        e.rename({"a": "not a name"})
    assert len(g) == before
