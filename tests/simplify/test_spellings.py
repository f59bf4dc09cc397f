"""Many spellings of one function, each against its value and derivative in 60 digits."""

import math

import mpmath
import numpy as np
import pytest

import wengert as wg
from wengert import exp, expm1, log, log1p, sigmoid, sqrt, tanh

DENSITY = lambda m, x: m.exp(x) / (1 + m.exp(x)) ** 2  # noqa: E731
SQUARED = lambda m, x: -m.exp(x) / ((1 + m.exp(x)) * (1 + m.exp(-x)))  # noqa: E731

SMOOTH = {
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
    with mpmath.workdps(60):
        for point in points:
            at = mpmath.mpf(point)
            value = float(truth(mpmath, at))
            step = abs(at) * mpmath.mpf(10) ** -25
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
    assert math.isnan(wg.evaluate([wg.stable_form(y)], {x: -1.0})[0])


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
