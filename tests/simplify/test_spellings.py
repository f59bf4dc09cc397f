"""Many spellings of one function, each against its value and derivative in 60 digits."""

import math

import mpmath
import numpy as np
import pytest

import wengert as wg
from wengert import exp, expm1, log, log1p, sigmoid, sqrt, tanh
from wengert.simplify.stable import stable_form
from wengert.testing import RUNNABLE

DENSITY = lambda m, x: m.exp(x) / (1 + m.exp(x)) ** 2  # noqa: E731
SQUARED = lambda m, x: -m.exp(x) / ((1 + m.exp(x)) * (1 + m.exp(-x)))  # noqa: E731

HYPERBOLIC = (720.0, -720.0, 0.5, -25.0, 300.0)
SMOOTH = {
    "log(cosh)": (
        lambda x: log(wg.cosh(x)),
        lambda m, x: m.log(m.cosh(x)),
        (800.0, -800.0, 1e-7, -2.0, 0.5),
    ),
    "1/cosh": (lambda x: 1 / wg.cosh(x), lambda m, x: m.sech(x), (720.0, -720.0, 1e-7, 0.5, -25.0)),
    "x/sinh": (lambda x: x / wg.sinh(x), lambda m, x: x / m.sinh(x), (720.0, -720.0, 2.0, -25.0)),
    "log(sinh)": (lambda x: log(wg.sinh(x)), lambda m, x: m.log(m.sinh(x)), (800.0, 1e-7, 0.5)),
    "1/cosh**2": (lambda x: 3 / wg.cosh(x) ** 2, lambda m, x: 3 * m.sech(x) ** 2, HYPERBOLIC),
    "cosh**-2": (lambda x: wg.cosh(x) ** -2, lambda m, x: m.sech(x) ** 2, HYPERBOLIC),
    "cosh**-1": (lambda x: wg.cosh(x) ** -1, lambda m, x: m.sech(x), HYPERBOLIC),
    "x/cosh/cosh": (
        lambda x: x / (wg.cosh(x) * wg.cosh(x)),
        lambda m, x: x * m.sech(x) ** 2,
        HYPERBOLIC,
    ),
    "1/sinh**2": (lambda x: 1 / wg.sinh(x) ** 2, lambda m, x: m.csch(x) ** 2, HYPERBOLIC),
    "x*x/sinh/sinh": (
        lambda x: x * x / (wg.sinh(x) * wg.sinh(x)),
        lambda m, x: (x * m.csch(x)) ** 2,
        (720.0, -720.0, 0.5, -25.0),
    ),
    "sinh**-2": (lambda x: wg.sinh(x) ** -2, lambda m, x: m.csch(x) ** 2, HYPERBOLIC),
    "sinh**-1": (lambda x: wg.sinh(x) ** -1, lambda m, x: m.csch(x), HYPERBOLIC),
    "log(2*cosh)": (
        lambda x: log(2 * wg.cosh(x)),
        lambda m, x: m.log(2 * m.cosh(x)),
        (800.0, -800.0, 1e-7, -2.0),
    ),
    "log(sinh*2)": (
        lambda x: log(wg.sinh(x) * 2),
        lambda m, x: m.log(2 * m.sinh(x)),
        (800.0, 1e-7, 2.0),
    ),
    "log of the logistic density": (
        lambda x: log(sigmoid(x) * (1 - sigmoid(x))),
        lambda m, x: -m.log(2 + m.exp(x) + m.exp(-x)),
        (800.0, -800.0, 2.0),
    ),
    "log(exp/(1 + exp)**2)": (
        lambda x: log(exp(x) / (1 + exp(x)) ** 2),
        lambda m, x: -m.log(2 + m.exp(x) + m.exp(-x)),
        (800.0, -800.0, 2.0),
    ),
    "Bernoulli": (
        lambda x: x / (1 - exp(-x)),
        lambda m, x: x / -m.expm1(-x),
        (800.0, -800.0, 2.0, -30.0),
    ),
    "3/(1/x)": (lambda x: 3 / (1 / x), lambda m, x: 3 * x, (0.0, -0.0, 1e200, 0.7)),
    "3/x**-1": (lambda x: 3 / x**-1, lambda m, x: 3 * x, (0.0, 1e-200, 1e200, 0.7)),
    "sinh/cosh": (lambda x: wg.sinh(x) / wg.cosh(x), lambda m, x: m.tanh(x), (800.0, -1.0)),
    "cosh/sinh": (lambda x: wg.cosh(x) / wg.sinh(x), lambda m, x: m.coth(x), (800.0, -1.0)),
    "log(tanh)": (lambda x: log(tanh(x)), lambda m, x: m.log(m.tanh(x)), (20.0, 1e-8, 0.7)),
    "log(1 + tanh)": (
        lambda x: log(1 + tanh(x)),
        lambda m, x: m.log(2 / (1 + m.exp(-2 * x))),
        (-20.0, -800.0, 1e-8, 0.7),
    ),
    "log(1 - tanh)": (
        lambda x: log(1 - tanh(x)),
        lambda m, x: m.log(2 / (1 + m.exp(2 * x))),
        (20.0, 800.0, 1e-8, -0.7),
    ),
    "expm1/exp": (lambda x: expm1(x) / exp(x), lambda m, x: 1 - m.exp(-x), (800.0, 1e-9, -3.0)),
    "log of a cube": (lambda x: log(x**3), lambda m, x: 3 * m.log(x), (1e200, 1e-200, 3.0)),
    "log of an even power": (
        lambda x: log(x**-4),
        lambda m, x: -4 * m.log(abs(x)),
        (1e200, -1e-200, 3.0),
    ),
    "log(1/x)": (lambda x: log(1 / x), lambda m, x: -m.log(x), (1e-300, 1e300, 3.0)),
    "asinh": (
        lambda x: log(x + sqrt(x * x + 1)),
        lambda m, x: m.asinh(x),
        (-1e8, 1e200, 1e-9, 3.0),
    ),
    "asinh, 1 first": (lambda x: log(sqrt(1 + x**2) + x), lambda m, x: m.asinh(x), (-1e8, 3.0)),
    "a difference of roots": (
        lambda x: sqrt(x + 1) - sqrt(x),
        lambda m, x: 1 / (m.sqrt(x + 1) + m.sqrt(x)),
        (1e15, 1e17, 0.3),
    ),
    "another difference of roots": (
        lambda x: sqrt(x) - sqrt(x - 2),
        lambda m, x: 2 / (m.sqrt(x) + m.sqrt(x - 2)),
        (1e15, 1e17, 2.5),
    ),
    "log1p(-exp)": (
        lambda x: log1p(-exp(x)),
        lambda m, x: m.log1p(-m.exp(x)),
        (-(2.0**-55), -1e-3, -0.7, -1.0, -40.0),
    ),
    "log(1 - exp)": (
        lambda x: log(1 - exp(x)),
        lambda m, x: m.log1p(-m.exp(x)),
        (-(2.0**-55), -1e-3, -1.0),
    ),
    "log1p(expm1)": (lambda x: log1p(expm1(x)), lambda m, x: x, (1000.0, 1e-9, -3.0)),
    "sigmoid*exp(-x)": (
        lambda x: sigmoid(x) * exp(-x),
        lambda m, x: 1 / (1 + m.exp(x)),
        (-1000.0, 1000.0, 0.5),
    ),
    "sigmoid(-x)*exp(x)": (
        lambda x: exp(x) * sigmoid(-x),
        lambda m, x: 1 / (1 + m.exp(-x)),
        (-1000.0, 1000.0, 0.5),
    ),
    "density": (lambda x: exp(x) / (1 + exp(x)) ** 2, DENSITY, (-1000.0, 1000.0, 0.5)),
    "density of -x": (lambda x: exp(-x) / (1 + exp(-x)) ** 2, DENSITY, (-1000.0, 1000.0, 0.5)),
    "sigmoid squared": (
        lambda x: -exp(x) / ((1 + exp(x)) * (1 + exp(-x))),
        SQUARED,
        (-1000.0, 1000.0, 0.5),
    ),
    "log of a difference": (
        lambda x: log(exp(x) - exp(x - 5)),
        lambda m, x: x + m.log(1 - m.exp(-5)),
        (1000.0, -1000.0, 0.5),
    ),
    "log of a difference that is expm1": (
        lambda x: log(exp(x) - 1),
        lambda m, x: m.log(m.expm1(x)),
        (1000.0, 1e-9, 2.0),
    ),
    "log(1 - exp(-x))": (
        lambda x: log(1 - exp(-x)),
        lambda m, x: m.log(-m.expm1(-x)),
        (40.0, 1e-20, 0.5),
    ),
    "sech": (
        lambda x: 2 / (exp(x) + exp(-x)),
        lambda m, x: 1 / m.cosh(x),
        (1000.0, -1000.0, 0.5, -20.0),
    ),
    "sech by one tail": (
        lambda x: 2 * exp(-x) / (1 + exp(-2 * x)),
        lambda m, x: 1 / m.cosh(x),
        (1000.0, -1000.0, 0.5, -20.0),
    ),
    "mish by exponentials": (
        lambda x: x * ((1 + exp(x)) ** 2 - 1) / ((1 + exp(x)) ** 2 + 1),
        lambda m, x: x * m.tanh(m.log1p(m.exp(x))),
        (1000.0, -1000.0, 0.5, -40.0),
    ),
    "mish multiplied out": (
        lambda x: x * (exp(2 * x) + 2 * exp(x)) / (exp(2 * x) + 2 * exp(x) + 2),
        lambda m, x: x * m.tanh(m.log1p(m.exp(x))),
        (1000.0, -1000.0, 0.5, -40.0),
    ),
    "swish by exponentials": (
        lambda x: x * exp(x) / (1 + exp(x)),
        lambda m, x: x / (1 + m.exp(-x)),
        (1000.0, -700.0, 0.5),
    ),
    "squared sigmoid": (
        lambda x: exp(x) ** 2 / (1 + exp(x)) ** 2,
        lambda m, x: 1 / (1 + m.exp(-x)) ** 2,
        (-1000.0, 0.5),
    ),
    "not quite a sigmoid": (
        lambda x: exp(x) / (exp(x) + 2),
        lambda m, x: 1 / (1 + 2 * m.exp(-x)),
        (1000.0, -1000.0, 0.5),
    ),
    "Planck": (
        lambda x: x / (exp(x) - 1),
        lambda m, x: x / m.expm1(x),
        (1000.0, -1000.0, 0.5),
    ),
    "one more than Planck": (
        lambda x: exp(x) / (exp(x) - 1),
        lambda m, x: 1 / -m.expm1(-x),
        (1000.0, -700.0, 0.5),
    ),
    "log(1 - tanh²)": (
        lambda x: log(1 - tanh(x) ** 2),
        lambda m, x: -2 * m.log(m.cosh(x)),
        (1000.0, -1000.0, 20.0, -1.5, 0.5),
    ),
    "weighted sum": (
        lambda x: log(3 * exp(x) + 2 * exp(699.5)),
        lambda m, x: m.log(3 * m.exp(x) + 2 * m.exp(699.5)),
        (700.0, 690.0, 1000.0),
    ),
    "product in a logarithm": (
        lambda x: log(exp(x) * exp(x) + 1),
        lambda m, x: m.log1p(m.exp(2 * x)),
        (1000.0, 0.5),
    ),
    "decay of growth": (
        lambda x: exp(x) * exp(-2 * x),
        lambda m, x: m.exp(-x),
        (1000.0, 0.5, -300.0),
    ),
    "root of an exponential": (
        lambda x: sqrt(exp(x)),
        lambda m, x: m.exp(x / 2),
        (1000.0, -1000.0, 0.5),
    ),
    "log of a square": (
        lambda x: log(x * x),
        lambda m, x: 2 * m.log(abs(x)),
        (1e200, -1e-200, 0.5),
    ),
    "tanh by a sigmoid": (
        lambda x: 2 / (1 + exp(-2 * x)) - 1,
        lambda m, x: m.tanh(x),
        (1e-9, -0.5, 1000.0),
    ),
    "mish": (
        lambda x: x * tanh(log(1 + exp(x))),
        lambda m, x: x * m.tanh(m.log1p(m.exp(x))),
        (1000.0, -1000.0, 0.5),
    ),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_stable_forms_and_their_derivatives_are_right_to_the_last_digits(name):
    function, truth, points = SMOOTH[name]
    x = wg.Graph().input("x")
    form, derivative = wg.stable_form(function(x)), wg.grad(function(x), x)
    with mpmath.workdps(1000):
        for point in points:
            at = mpmath.mpf(point)
            value = float(truth(mpmath, at))
            step = (abs(at) or 1) * mpmath.mpf(10) ** -250
            slope = float(mpmath.diff(lambda x: truth(mpmath, x), at, h=step))
            assert wg.evaluate([form], {x: point})[0] == pytest.approx(value, rel=1e-14)
            assert wg.evaluate([derivative], {x: point})[0] == pytest.approx(
                slope, rel=1e-13, abs=1e-300
            )


SQUARES = {
    "sqrt(x*x)": lambda x: sqrt(x * x),
    "sqrt(x**2)": lambda x: sqrt(x**2),
    "(x**2)**0.5": lambda x: (x**2) ** 0.5,
    "(x*x)**0.5": lambda x: (x * x) ** 0.5,
}


@pytest.mark.parametrize("name", SQUARES)
@pytest.mark.parametrize(("at", "slope"), [(0.0, 0.0), (-3.0, -1.0), (2.0, 1.0), (1e200, 1.0)])
def test_every_spelling_of_a_square_under_a_root_is_the_absolute_value(name, at, slope):
    x = wg.Graph().input("x")
    y = SQUARES[name](x)
    assert wg.evaluate([wg.stable_form(y), wg.grad(y, x)], {x: at}) == [abs(at), slope]


NORMS = {
    "sqrt(x*x + y*y)": lambda x, y: sqrt(x * x + y * y),
    "sqrt(x**2 + y**2)": lambda x, y: sqrt(x**2 + y**2),
    "(x**2 + y*y)**0.5": lambda x, y: (x**2 + y * y) ** 0.5,
    "sqrt(0 + x*x + 4*y*y)": lambda x, y: sqrt(sum([x * x, 4 * y * y])),
    "sqrt((x - y)**2 + x*x/2)": lambda x, y: sqrt((x - y) ** 2 + x * x / 2),
    "sqrt((x*y)*(y*x))": lambda x, y: sqrt((x * y) * (y * x) + x**4),
    "(x**4 + y**4)**0.25": lambda x, y: (x**4 + y**4) ** 0.25,
    "(abs(x)**3 + abs(y)**3)**(1/3)": lambda x, y: (abs(x) ** 3 + abs(y) ** 3) ** (1 / 3),
    "sqrt(abs(x)*relu(y) + x*x)": lambda x, y: sqrt(abs(x) * wg.relu(y) + x * x),
}


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_is_flat_where_it_is_zero_and_as_it_was_elsewhere(name):
    graph = wg.Graph()
    x, y = graph.input("x"), graph.input("y")
    norm = NORMS[name](x, y)
    slopes = wg.grad(norm, [x, y])
    assert wg.evaluate(slopes, {x: 0.0, y: 0.0}) == [0.0, 0.0]
    at = {x: 0.75, y: 2.0}
    assert wg.evaluate(slopes, at) == wg.evaluate(wg.grad(norm, [x, y], stable=False), at)
    assert math.isnan(wg.evaluate(wg.stable_form(norm), {x: math.nan, y: 0.0}))
    twice = wg.evaluate(wg.grad(slopes[0], x), {x: 0.0, y: 0.0})
    assert math.isfinite(twice)


@pytest.mark.parametrize(
    "write",
    [
        lambda x, y: sqrt(x * x + y),
        lambda x, y: sqrt(x**3 + y * y),
        lambda x, y: sqrt(x * y + y * y),
        lambda x, y: sqrt(abs(x) + y * y),
        lambda x, y: (x * x + y * y) ** 0.25,
        lambda x, y: sqrt(x * x - y * y),
        lambda x, y: sqrt(-1 * x * x + 0 * y),
        lambda x, y: sqrt(x * x + y * y + 1e-12),
    ],
)
def test_what_is_no_norm_stays_as_it_is_written(write):
    graph = wg.Graph()
    root = write(graph.input("x"), graph.input("y"))
    assert wg.stable_form(root) == root


@pytest.mark.parametrize("target", ["interpreter", "numpy"])
@pytest.mark.parametrize("write", [lambda X: sqrt((X * X).sum(1)), lambda X: (X**2).sum(1) ** 0.5])
def test_norms_of_rows_are_flat_where_a_row_is_zero(write, target):
    graph = wg.Graph()
    X = graph.array("X", (2, 2))
    slope = wg.grad(write(X).sum(), X)
    at = np.array([[0.0, 0.0], [3.0, 4.0]])
    if target == "numpy":
        found = wg.compile({"X": X}, slope, target="numpy")(at)
    else:
        found = wg.evaluate(slope, {X: at})
    assert np.asarray(found)[0].tolist() == [0.0, 0.0]
    assert np.asarray(found)[1].tolist() == pytest.approx([0.6, 0.8])


def test_two_exponentials_have_both_their_shares():
    """Neither is one less the other, which would cancel where it is small."""
    graph = wg.Graph()
    x, y = graph.input("x"), graph.input("y")
    found = wg.evaluate(wg.grad(log(exp(x) + exp(y)), [x, y]), {x: -40.0, y: 0.0})
    assert found == pytest.approx([math.exp(-40.0), 1.0], rel=1e-14)


def test_a_sum_of_products_of_exponentials_of_two_numbers_stays():
    graph = wg.Graph()
    x, y = graph.input("x"), graph.input("y")
    for written in (exp(y) * sigmoid(x), exp(x) / (1 + exp(x) * exp(y)), exp(x) * sigmoid(x)):
        assert wg.stable_form(written) == written


@pytest.mark.parametrize("at", [400.0, -400.0, 0.5])
def test_quotients_of_exponentials_keep_their_other_factors_and_signs(at):
    graph = wg.Graph()
    x, y, z = (graph.input(name) for name in "xyz")
    written = -(y * (3 * exp(2 * x)) / (-(2 + exp(2 * x)) * -z)) / 2
    truth = -(0.75 * 3 / (2 * math.exp(-2 * at) + 1 if at > -300 else math.inf) / 0.5) / 2
    form = wg.stable_form(written)
    assert form != written
    assert wg.evaluate(form, {x: at, y: 0.75, z: 0.5}) == pytest.approx(truth, rel=1e-14)


ROOTS = {
    "sqrt(x)**2": lambda x: sqrt(x) ** 2,
    "sqrt(x)*sqrt(x)": lambda x: sqrt(x) * sqrt(x),
    "(x**0.5)**2": lambda x: (x**0.5) ** 2,
}


@pytest.mark.parametrize("name", ROOTS)
def test_the_square_of_a_root_is_what_was_under_it_where_there_is_one(name):
    x = wg.Graph().input("x")
    y = ROOTS[name](x)
    for at in (0.0, 2.0):
        assert wg.evaluate([wg.stable_form(y), wg.grad(y, x)], {x: at}) == [at, 1.0]
    assert all(map(math.isnan, wg.evaluate([wg.stable_form(y), wg.grad(y, x)], {x: -1.0})))


CUBES = {
    "sqrt(x)**4": (lambda x: sqrt(x) ** 4, lambda m, x: x**2, 0.0),
    "sqrt(x)**3": (lambda x: sqrt(x) ** 3, lambda m, x: x * m.sqrt(x), 0.0),
    "sqrt(x)*x": (lambda x: sqrt(x) * x, lambda m, x: x * m.sqrt(x), 0.0),
    "x*sqrt(x)*sqrt(x)": (lambda x: x * sqrt(x) * sqrt(x), lambda m, x: x**2, 0.0),
    "sqrt(x**3)": (lambda x: sqrt(x**3), lambda m, x: x * m.sqrt(x), 0.0),
    "sqrt(sqrt(x))**8": (lambda x: sqrt(sqrt(x)) ** 8, lambda m, x: x**2, 0.0),
    "(x**0.25)**4": (lambda x: (x**0.25) ** 4, lambda m, x: x, 1.0),
    "(x**2.5)*(x**0.5)": (lambda x: x**2.5 * x**0.5, lambda m, x: x**3, 0.0),
    "cbrt(x)**3": (lambda x: wg.cbrt(x) ** 3, lambda m, x: x, 1.0),
    "cbrt(x)**6": (lambda x: wg.cbrt(x) ** 6, lambda m, x: x**2, 0.0),
    "cbrt(x*x*x)**2": (lambda x: wg.cbrt(x * x * x) ** 2, lambda m, x: x**2, 0.0),
    "sqrt(x**6)": (lambda x: sqrt(x**6), lambda m, x: abs(x) ** 3, 0.0),
    "(x**4)**0.25*x": (lambda x: (x**4) ** 0.25 * x, lambda m, x: abs(x) * x, 0.0),
    "(1/x)**-1": (lambda x: (1 / x) ** -1, lambda m, x: x, 1.0),
    "(x**-2)**-2": (lambda x: (x**-2) ** -2, lambda m, x: x**4, 0.0),
    "1/(1/sqrt(x))**3": (lambda x: 1 / (1 / sqrt(x)) ** 3, lambda m, x: x * m.sqrt(x), 0.0),
    "x/x**-2": (lambda x: x / x**-2, lambda m, x: x**3, 0.0),
    "x**2/sqrt(1/x)": (lambda x: x**2 / sqrt(1 / x), lambda m, x: x**2 * m.sqrt(x), 0.0),
    "exp(2*log(x))": (lambda x: exp(2 * log(x)), lambda m, x: x**2, 0.0),
    "exp(log(x)/0.5)": (lambda x: exp(log(x) / 0.5), lambda m, x: x**2, 0.0),
    "exp(log(x))": (lambda x: exp(log(x)), lambda m, x: x, 1.0),
    "exp2(1.5*log2(x))": (lambda x: wg.exp2(1.5 * wg.log2(x)), lambda m, x: x * m.sqrt(x), 0.0),
}
"""Powers of roots and of logarithms: each with what it is, and its slope at 0."""
DEFINED_BELOW = [
    name for name in CUBES if any(part in name for part in ("cbrt", "6)", "4)", "**-"))
]


@pytest.mark.parametrize("name", CUBES)
def test_powers_of_roots_are_one_power(name):
    write, judge, slope = CUBES[name]
    x = wg.Graph().input("x")
    y = write(x)
    wanted = [wg.stable_form(y), wg.grad(y, x)]
    assert wg.evaluate(wanted, {x: 0.0}) == [0.0, slope]
    assert math.isnan(wg.evaluate(wg.grad(y, x, stable=False), {x: 0.0}))
    for at in (1e-60, 0.3, 2.0, 1e60, -0.3, -2.0):
        found = wg.evaluate(wanted, {x: at})
        if at < 0 and name not in DEFINED_BELOW:
            assert all(map(math.isnan, (*found, wg.evaluate(y, {x: at}))))
            continue
        with mpmath.workdps(60):
            truth = [judge(mpmath, mpmath.mpf(at))]
            truth.append(mpmath.diff(lambda z: judge(mpmath, z), mpmath.mpf(at), h=at * 1e-25))
        assert found == pytest.approx([float(t) for t in truth], rel=4e-15, abs=0.0)


NO_POWERS = [
    lambda x, y: sqrt(x) * y,
    lambda x, y: wg.cbrt(x) ** 2,
    lambda x, y: wg.cbrt(x) ** 4,
    lambda x, y: sqrt(x) ** -2,
    lambda x, y: exp(-2 * log(x)),
    lambda x, y: exp(y * log(x)),
    lambda x, y: exp(wg.log2(x) * 2),
    lambda x, y: x * x * x + x**3 * y,
    lambda x, y: sqrt(sqrt(x)),
    lambda x, y: x**1e7 * sqrt(x),
    lambda x, y: x**3 / sqrt(x),
    lambda x, y: x / y**-2,
]


@pytest.mark.parametrize("write", NO_POWERS)
def test_what_is_no_power_of_a_root_stays_as_it_is_written(write):
    g = wg.Graph()
    x, y = g.input("x"), g.input("y")
    formula = write(x, y)
    wg.stable_form(formula)
    assert all("power-of-root" not in record.rewrites for record in g.passes)


def test_squares_of_squares_under_a_root_take_no_time():
    x = y = wg.Graph().input("x")
    for _ in range(3000):
        y = y * y
    form = wg.stable_form(sqrt(y) ** 3)
    assert wg.evaluate([form, wg.grad(sqrt(y) ** 3, x)], {x: 1.0}) == [1.0, math.inf]


@pytest.mark.parametrize("target", RUNNABLE)
def test_powers_of_roots_have_their_slopes_in_every_target(target):
    g = wg.Graph()
    x, y = g.input("x"), g.input("y")
    formulas = [sqrt(x) ** 3, wg.cbrt(x) ** 3, exp(2 * log(x)), wg.hypot(x, y)]
    slopes = [wg.grad(formula, x) for formula in formulas]
    f = wg.compile({"x": x, "y": y}, slopes, target=target)
    with np.errstate(all="ignore"):
        assert [float(slope) for slope in f(0.0, 0.0)] == [0.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("target", ["python", "numpy"])
def test_powers_of_zero_by_their_exponent(target):
    graph = wg.Graph()
    n, x, y = (graph.input(name) for name in "nxy")
    loss = (x**n / (2.0**n + x**n) - y) ** 2
    f = wg.compile({"n": n, "x": x, "y": y}, wg.grad(loss, n), batch=("x", "y"), target=target)
    assert f(1.5, [0.0, 1.0, 10.0], [0.0, 0.3, 0.9]) == pytest.approx(0.0147209750825, rel=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "by"),
    [
        (0.0, 2.0, [0.0, 0.0]),
        (0.0, 1.0, [1.0, 0.0]),
        (0.0, 0.0, [0.0, 0.0]),
        (2.0, 0.0, [0.0, math.log(2.0)]),
        (2.0, 3.0, [12.0, 8 * math.log(2.0)]),
    ],
)
def test_the_derivatives_of_a_power_at_the_ends_of_its_domain(a, b, by):
    graph = wg.Graph()
    x, p = graph.input("x"), graph.input("p")
    assert wg.evaluate(wg.grad(x**p, [x, p]), {x: a, p: b}) == pytest.approx(by)
    base, exponent = wg.Value(a), wg.Value(b)
    (base**exponent).backward()
    assert [base.grad, exponent.grad] == pytest.approx(by)


def test_powers_of_an_array_at_zero():
    A = wg.Graph().array("A", 3)
    (found,) = wg.evaluate(
        [wg.grad((A ** np.array([0.0, 1.0, 2.0])).sum(), A)], {A: [0.0, 0.0, 0.0]}
    )
    assert found.tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("at", [0.0, -0.0])
def test_a_subtraction_from_zero_keeps_the_sign_of_its_zero(at):
    x = wg.Graph().input("x")
    y = wg.where(1 / (0 - x) > 0, 1.0, 2.0)
    assert wg.compile({"x": x}, y)(at) == wg.evaluate([y], {x: at})[0]


def test_static_numbers_of_either_zero_are_different_functions():
    functions = []
    for slope in (0.0, -0.0):
        x = wg.Graph().input("x")
        functions.append(wg.compile({"x": x}, 1 / wg.leaky_relu(x, slope)))
    assert [f(-1.0) for f in functions] == [-math.inf, math.inf]


def test_a_softmax_of_one_stays_one():
    """The first row of a causal softmax is an element of the array that the others are of."""
    x = wg.Graph().input("x")
    assert (
        str(stable_form(exp(x) / exp(x))) == "exp(x - stop_gradient(x))/exp(x - stop_gradient(x))"
    )
