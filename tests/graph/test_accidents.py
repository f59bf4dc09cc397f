"""A `Value` or an expression that would become something else by accident."""

import cmath
import math
import warnings
from math import exp as renamed

import numpy as np
import pytest

import wengert as wg
from wengert.errors import ComparisonWarning, OperandError

X = wg.Value(2.0)
P = wg.Graph().parameter("p", 2.0)


def apply(function, argument):
    return function(argument)


class Layer:
    static = staticmethod(math.tanh)

    def __init__(self):
        self.activation = math.tanh

    def run(self, x):
        return self.activation(x)

    def run_static(self, x):
        return self.static(x)


LOST = {
    "called": lambda: math.exp(X),
    "in a formula": lambda: X * math.exp(-X) / (1 + math.exp(-X)),
    "of a computed value": lambda: math.exp(X * X),
    "of a parameter": lambda: math.exp(P),
    "renamed": lambda: renamed(X),
    "mapped": lambda: list(map(math.exp, [X, X])),
    "summed over a map": lambda: sum(map(math.exp, [X])),
    "in a comprehension": lambda: [math.exp(x) for x in [X]],
    "as a key": lambda: max([X, X], key=math.exp),
    "handed on": lambda: apply(math.exp, X),
    "kept by an object": lambda: Layer().run(X),
    "kept by a class": lambda: Layer().run_static(X),
    "two arguments": lambda: math.pow(X, 2),
    "hypot": lambda: math.hypot(X, X),
    "a sum": lambda: math.fsum([X, X]),
    "without a name here": lambda: math.erf(X),
    "starred": lambda: math.exp(*[X]),
    "complex": lambda: cmath.exp(X),
}


@pytest.mark.parametrize("case", LOST)
def test_functions_of_math_do_not_drop_the_derivative_in_silence(case):
    with pytest.raises(OperandError, match="derivative would be lost"):
        LOST[case]()


def test_the_error_names_what_to_write():
    with pytest.raises(OperandError, match=r"write wengert\.exp"):
        math.exp(X)
    with pytest.raises(OperandError, match=r"write wengert\.log2,"):
        math.log2(X)


MEANT = {
    "float": (lambda: float(X), 2.0),
    "float of a parameter": (lambda: float(P), 2.0),
    "float, then math": (lambda: math.exp(float(X)) + math.exp(X.data), 2 * math.exp(2)),
    "math beside it": (lambda: float(X) + math.exp(1), 2 + math.e),
    "mapped": (lambda: sum(map(float, [X, X])), 4.0),
    "formatted": (lambda: "%.1f" % X, "2.0"),  # noqa: UP031
    "rounded": (lambda: round(X), 2),
    "whole": (lambda: int(X), 2),
    "flat": (lambda: math.floor(X), 2),
    "told of": (lambda: math.isfinite(X), True),
    "an array beside a number": (lambda: np.array([X, math.exp(0)], float).sum(), 3.0),
}


@pytest.mark.parametrize("case", MEANT)
def test_what_asks_for_a_plain_number_gets_it(case):
    function, expected = MEANT[case]
    assert function() == expected


@pytest.mark.parametrize("x", [X, P])
def test_comparing_with_a_number_by_identity_is_a_warning(x):
    with pytest.warns(ComparisonWarning, match=r"wengert\.equal\(x, 0\)"):
        assert not x == 0  # noqa: SIM201
    with pytest.warns(ComparisonWarning, match=r"wengert\.not_equal\(x, 0\)"):
        assert x != 0


@pytest.mark.parametrize("x", [X, P])
@pytest.mark.filterwarnings("ignore::wengert.errors.ComparisonWarning")
def test_identity_is_no_condition_of_an_expression(x):
    for use in (
        lambda: wg.where(x == 0, 1.0, wg.sin(x) / x),
        lambda: wg.where(x != 0, 1.0, 2.0),
        lambda: wg.where(x == x * 1, x, 2.0),
        lambda: (x == 0) * x,
        lambda: x + (x == x),
        lambda: wg.maximum(x, x == 1),
    ):
        with pytest.raises(OperandError, match=r"write wengert\.equal"):
            use()


def test_nodes_stay_usable_in_sets_and_dicts_and_lists():
    graph = wg.Graph()
    a, b = graph.input("a"), graph.input("b")
    u, v = wg.Value(1.0), wg.Value(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert a == graph[a.id]
        assert a != b
        assert u != v
        assert {a: 1, b: 2}[graph[a.id]] == 1
        assert len({u, v, u}) == 2
        assert [u, v].index(v) == 1
        assert u in [v, u]
        assert u not in [v, None, "u"]
        assert repr(u == v) == "False"
    assert wg.evaluate([wg.where(wg.equal(a, 0), 1.0, b)], {a: 0.0, b: 5.0}) == [1.0]
    assert wg.where(True, 1.0, u).data == 1.0


def test_arrays_of_values_keep_their_histories():
    a, b = wg.Value(1.0), wg.Value(-2.0)
    array = np.array([[a, b]])
    made = [
        *(wg.exp(array), wg.maximum(array, 0.5), wg.maximum(array, np.array([[0.5], [0.1]]))),
        *(wg.leaky_relu(array, 0.1), wg.where(array > 0, array, 0.0), wg.relu(array * 2.0)),
    ]
    assert [one.shape for one in made] == [(1, 2), (1, 2), (2, 2), (1, 2), (1, 2), (1, 2)]
    for one in made:
        a.grad = 0.0
        one.sum().backward()
        assert a.grad > 0.0
    with pytest.raises(OperandError, match="None is a NoneType"):
        wg.exp(np.array([None, 1.0]))
