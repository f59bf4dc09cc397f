"""Operators and functions of `Value`s that are written out: the same as their records say."""

import math
from dataclasses import replace

import pytest

import wengert as wg
from wengert import Value
from wengert.graph.arithmetic import Arithmetic
from wengert.graph.operators import written_out
from wengert.ops import table

NUMBERS = [0.0, -0.0, 1.5, -0.3, 2, -1, 800.0, -800.0, 1e308, math.inf, -math.inf, math.nan]
ONE = ("__neg__", "__abs__")
OPERATORS = [name for name in written_out(Value) if name.startswith("__") and name not in ONE]
FUNCTIONS = [name for name in written_out(Value) if name not in OPERATORS]


def parts(value):
    """All of a value but its operands, numbers to the bit and with their type."""
    return repr(value._data), value._grad, value.label, value.op, value.statics, type(value)


@pytest.mark.parametrize("other", [*NUMBERS, True, 2**60])
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_does_what_applying_its_record_does(name, other):
    for number in NUMBERS:
        x = Value(number)
        found, expected = getattr(x, name)(other), getattr(Arithmetic, name)(x, other)
        assert parts(found) == parts(expected)
        assert [*map(parts, found.operands)] == [*map(parts, expected.operands)]
        assert x in found.operands
    a, b = Value(3.0), Value(4.0)
    assert getattr(a, name)(b).operands == getattr(Arithmetic, name)(a, b).operands


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_does_what_applying_its_record_does(name):
    for number in NUMBERS:
        x = Value(number)
        found, expected = getattr(x, name)(), getattr(Arithmetic, name)(x)
        assert parts(found) == parts(expected)
        assert found.operands == (x,)
    assert getattr(Value, name).__doc__ == getattr(Arithmetic, name).__doc__


def test_arithmetic_with_what_stands_for_several_operations_gives_plain_values():
    w = Value(3.0)
    square = wg.function(lambda x: w * w * x)
    first, second = square(1.0), square(2.0)
    neuron = wg.Neuron(2, seed=0)([1.0, 2.0])
    for made in (first + second, first * 2.0, 1 - first, neuron / neuron, neuron**2, neuron.exp()):
        assert type(made) is Value
    both = first + second
    assert both._prev == (first, second)
    both.backward()
    assert w.grad == 18.0


@pytest.mark.parametrize("op", table.ELEMENTWISE.values(), ids=lambda op: op.name)
def test_rules_on_floats_are_the_rules(op):
    points = [(0.0,) * 3, (0.3, -1.2, 0.7), (-0.4, 2.0, 0.1), (1.0, 1.0, 1.0)]
    for point in points:
        operands, statics = point[: op.arity], (0.5,) * len(op.statics)
        for rule, quick in zip(op.vjp, op.float_rules, strict=True):
            given = (1.7, op.evaluate(*operands, *statics), *operands, *statics)
            if rule is not None:
                try:
                    expected = repr(float(rule(*given)))
                except ZeroDivisionError:
                    with pytest.raises(ZeroDivisionError):
                        quick(*given)
                else:
                    assert repr(float(quick(*given))) == expected
            else:
                assert quick is None


SCALE = 2.0


def test_a_rule_that_names_more_than_operations_is_left_as_it_is(monkeypatch):
    def rule(ct, out, x):
        return SCALE * wg.exp(ct)

    own = replace(wg.exp, name="own", vjp=(rule,))
    assert own.float_rules == (rule,)
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    x = Value(0.0)
    own(x).backward()
    assert x.grad == 3.0 * math.e
