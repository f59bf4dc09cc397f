"""Floor division and steps at zeros and infinities: Python's answers, sign included, everywhere."""

import math
from itertools import product

import numpy as np
import pytest

import wengert as wg
from wengert.codegen.scalar.node import find_node, run_in_node
from wengert.codegen.target import find_target
from wengert.testing import RUNNABLE

NUMBERS = [0.0, -0.0, 1.5, -1.5, 7.0, -7.0, math.inf, -math.inf, math.nan, 1e300, -1e-300, 5e-324]
PAIRS = list(product(NUMBERS, NUMBERS))


def by_python(a, b):
    def step(function):
        return math.copysign(function(a), a) if math.isfinite(a) else a

    ratio = [a // b, a % b] if b else [math.nan, math.nan]
    return [*ratio, step(math.floor), step(math.ceil), step(round)]


def outputs(a, b):
    return [a // b, a % b, wg.floor(a), wg.ceil(a), round(a)]


def compiled(target):
    g = wg.Graph()
    a, b = g.input("a"), g.input("b")
    return wg.compile({"a": a, "b": b}, outputs(a, b), target=target)


def assert_same(found, point):
    for one, other in zip(found, by_python(*point), strict=True):
        both = (one, other) if one == one else (math.isnan(one), math.isnan(other))
        signs = [math.copysign(1.0, number) for number in both]
        assert both[0] == both[1], point
        assert signs[0] == signs[1], point


@pytest.mark.parametrize("target", RUNNABLE)
def test_steps_are_pythons_in_every_target(target):
    f = compiled(target)
    with np.errstate(all="ignore"):
        for point in PAIRS:
            assert_same([float(number) for number in f(*point)], point)


@pytest.mark.skipif(find_node() is None, reason="no Node.js on PATH")
def test_steps_are_pythons_in_javascript():
    source = find_target("javascript").emit(compiled("javascript").program)
    for found, point in zip(run_in_node([(source, PAIRS)])[0], PAIRS, strict=True):
        assert_same(found, point)


@pytest.mark.parametrize("divisor", [2.0, -2.0, 3, -3, 0.1, math.inf, -math.inf])
def test_a_number_divides_as_a_leaf_does(divisor):
    x = wg.Graph().input("x")
    for number in NUMBERS:
        found = [wg.evaluate(x // divisor, {x: number}), (wg.Value(number) // divisor).data]
        for one in found:
            wanted = number // divisor
            assert str(float(one)) == str(wanted), (number, divisor)


def test_a_finite_number_leaves_nothing_to_choose():
    x = wg.Graph().input("x")
    assert str(x // 2) == "round((x - x % 2)/2)"
    assert str(x // -2.0) == "round((x % -2 - x)/2)"
