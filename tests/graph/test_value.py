"""`Value`: the notebook's scalar, and what it does where the notebook's would raise."""

import gc
import math
import random
import re
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wengert.errors import OperandError
from wengert.graph.evaluation import evaluate
from wengert.graph.value import Value, topological, zero_grad
from wengert.ops import scalar as ops


def neuron() -> dict[str, Value]:
    """The notebook's neuron: o = tanh(x1*w1 + x2*w2 + b)."""
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    b = Value(6.8813735870195432, label="b")
    x1w1, x2w2 = x1 * w1, x2 * w2
    both = x1w1 + x2w2
    n = both + b
    o = n.tanh()
    return locals()


GRADIENTS = {"x1": -1.5, "w1": 1.0, "x2": 0.5, "w2": 0.0, "b": 0.5, "n": 0.5}


def test_it_prints_as_in_the_notebook():
    o = neuron()["o"]
    o.grad = 1.0
    assert re.fullmatch(r"Value\(data=0\.707106781186547\d, grad=1\.0\)", repr(o))
    assert repr(Value(2)) == "Value(data=2, grad=0.0)"


def test_backward_gives_the_gradients_of_the_notebook():
    parts = neuron()
    parts["o"].backward()
    assert {name: parts[name].grad for name in GRADIENTS} == pytest.approx(GRADIENTS, abs=1e-12)
    assert repr(parts["o"]).endswith(", grad=1)")
    assert type(parts["o"].grad) is int


def test_steps_taken_by_hand_give_the_same_as_backward():
    by_hand, at_once = neuron(), neuron()
    by_hand["o"].grad = 1.0
    for name in ("o", "n", "both", "b", "x1w1", "x2w2"):
        by_hand[name]._backward()
    at_once["o"].backward()
    assert [by_hand[name].grad for name in by_hand] == [at_once[name].grad for name in at_once]


def test_it_remembers_what_it_was_computed_from():
    parts = neuron()
    x1, w1 = parts["x1"], parts["w1"]
    assert parts["x1w1"]._prev == (x1, w1)
    assert [parts[name]._op for name in ("o", "n", "x1w1", "x1")] == ["tanh", "+", "*", ""]
    assert ((x1**2)._op, (-x1)._op, (x1 - 1)._op, (1 / w1)._op) == ("**2", "-", "-", "/")
    two = (x1 * 2)._prev[1]
    assert (two.data, two._prev, two._op) == (2, (), "")
    assert set((x1 * x1)._prev) == {x1}
    assert (x1.is_leaf, parts["o"].is_leaf) == (True, False)


def test_a_leaf_used_twice_gets_both_shares():
    a = Value(3.0)
    (a + a).backward()
    assert a.grad == 2.0
    a.grad = 0.0
    (a * a * a).backward()
    assert a.grad == 27.0


def test_backward_twice_doubles_the_leaves_and_only_them():
    parts = neuron()
    parts["o"].backward()
    once = {name: parts[name].grad for name in GRADIENTS}
    parts["o"].backward()
    leaves = [name for name in GRADIENTS if parts[name].is_leaf]
    assert {name: parts[name].grad for name in leaves} == {n: 2 * once[n] for n in leaves}
    assert parts["n"].grad == once["n"]
    zero_grad([parts[name] for name in leaves])
    parts["o"].backward()
    assert {name: parts[name].grad for name in GRADIENTS} == once


def test_two_expressions_of_one_leaf_add_up():
    a = Value(2.0)
    shared = a * 3
    (shared + 1).backward()
    (shared * shared).backward()
    assert a.grad == 3 + 2 * 6 * 3


def test_backward_on_a_leaf_counts_it():
    a = Value(2.0)
    a.backward()
    a.backward()
    assert a.grad == 2.0


def test_sum_and_integers():
    total = sum([Value(1), Value(2), Value(3)])
    assert repr(total) == "Value(data=6, grad=0.0)"
    assert type((Value(2) * 3 - 1).data) is int
    assert type((Value(2) ** 2).data) is int
    assert (Value(7) / 2).data == 3.5
    assert type(Value(True).data) is int
    assert Value(10**15).data == 10**15


def test_integers_become_floats_past_what_float64_holds_exactly():
    v = Value(10)
    for _ in range(400):
        v = v * 10
    assert v.data == math.inf
    assert type((Value(2**53) + 1).data) is float
    w = Value(10.0)
    (w * 10**200).backward()
    assert w.grad == 1e200


@pytest.mark.parametrize("scalar", [np.float64, np.float32, np.int64, np.int32])
def test_numpy_scalars_on_either_side(scalar):
    v, two = Value(3.0), scalar(2)
    results = [two * v, v * two, two + v, v - two, two - v, v / two, two / v, v**two, two**v]
    assert [r.data for r in results] == [6, 6, 5, 1, -1, 1.5, 2 / 3, 9, 8]
    assert all(type(r) is Value and type(r.data) in (int, float) for r in results)
    assert bool(two < v)
    assert type(Value(two).data) is (float if issubclass(scalar, np.floating) else int)
    results[-1].backward()
    assert repr(v.grad) == repr(8 * math.log(2))


@pytest.mark.parametrize("array", [np.array([1.0, 2.0]), np.array([1.0]), np.arange(4)])
def test_arrays_become_arrays_of_values(array):
    v = Value(1.0)
    for mix in (lambda x: x * array, lambda x: array * x, lambda x: array + x, lambda x: x - array):
        assert [value.data for value in mix(v)] == list(mix(1.0))
        assert {type(value) for value in mix(v)} == {Value}


def test_an_array_without_axes_is_a_number():
    v, two = Value(3.0), np.array(2.0)
    assert [r.data for r in (v * two, two * v, two - v, v / two)] == [6.0, 6.0, -1.0, 1.5]


@pytest.mark.parametrize("data", ["1", None, 1j, [1.0], np.array([1.0]), Value(1.0)])
def test_data_is_a_real_number(data):
    with pytest.raises(OperandError, match=r"a Value holds a real number, not an? "):
        Value(data)


def test_comparisons_truth_and_float():
    a, b = Value(1.0), Value(2.0)
    assert (bool(a < b), bool(a > b), bool(a <= 1), bool(b <= 2)) == (True, False, True, True)
    assert (bool(Value(0.0)), bool(a)) == (False, True)
    assert a != Value(1.0)
    assert len({a, b, a}) == 2
    assert sorted([b, a], key=float) == sorted([b, a]) == [a, b]
    assert max(a, b) is b
    assert math.sin(a) == math.sin(1.0)


def test_a_subclass_takes_part():
    class Weight(Value):
        pass

    w, x = Weight(2.0), Value(3.0)
    y = w * x + w
    y.backward()
    assert (y.data, w.grad, x.grad) == (8.0, 4.0, 2.0)


def test_label_is_the_second_argument():
    assert Value(1.0, "w").label == Value(1.0, label="w").label == "w"


# IEEE 754: nothing raises -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "at", "data", "grad"),
    [
        (lambda v: v.log(), 0.0, -math.inf, math.inf),
        (lambda v: v.log(), -1.0, math.nan, -1.0),
        (lambda v: 1 / v, 0.0, math.inf, -math.inf),
        (lambda v: 1 / v, 0, math.inf, -math.inf),
        (lambda v: v**0.5, -8.0, math.nan, math.nan),
        (lambda v: v**-1, 0.0, math.inf, -math.inf),
        (lambda v: v**400, 10, math.inf, math.inf),
        (lambda v: v**400, 10.0, math.inf, math.inf),
        (lambda v: v.sqrt(), 0.0, 0.0, math.inf),
        (lambda v: v.sqrt(), -1.0, math.nan, math.nan),
        (lambda v: v.exp(), 1000.0, math.inf, math.inf),
        (lambda v: v / v, 0.0, math.nan, math.nan),
        (lambda v: v * 1e300 * 1e300, 1.0, math.inf, math.inf),
        (lambda v: v.sin(), math.inf, math.nan, math.nan),
        (lambda v: v.tanh(), math.nan, math.nan, math.nan),
        (lambda v: v**v, -0.5, math.nan, math.nan),
        (lambda v: ops.LOG1P(v), -1.0, -math.inf, math.inf),
        (lambda v: v.sigmoid(), -1000.0, 0.0, 0.0),
        (lambda v: v.softplus(), 1000.0, 1000.0, 1.0),
    ],
)
def test_backward_follows_ieee(build, at, data, grad):
    v = Value(at)
    out = build(v)
    out.backward()
    assert out.data == pytest.approx(data, nan_ok=True)
    assert v.grad == pytest.approx(grad, nan_ok=True)
    assert type(v.grad) is float


# long chains, leaks -------------------------------------------------------------------------------


def test_values_are_freed_with_the_expression():
    v = Value(1.0)
    out = (v * 2).tanh()
    out.backward()
    inner = weakref.ref(out.operands[0])
    gc.disable()
    try:
        del out
        assert inner() is None
    finally:
        gc.enable()


def test_a_loop_that_rebuilds_the_expression_does_not_grow():
    weights = [Value(0.1 * i) for i in range(4)]

    def epoch():
        zero_grad(weights)
        loss = sum((w * (i + 1) - 0.5) ** 2 for i, w in enumerate(weights)).tanh()
        loss.backward()

    def rounds(n: int) -> int:
        for _ in range(n):
            epoch()
        gc.collect()
        return len(gc.get_objects())

    settled = rounds(5)
    assert rounds(1000) - settled < 20


def test_topological_order_of_several_roots_is_each_value_once():
    a = Value(1.0)
    b = a + a
    c = b * a
    assert list(topological(b, c, b)) == [a, b, c]
    assert list(topological(c, known={b})) == [a, c]
    assert list(topological(c, known={c})) == []


# micrograd ----------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "sub", "mul", "div", "pow", "neg", "relu", "radd", "rsub", "rdiv"]),
        st.integers(0, 100),
        st.integers(0, 100),
    ),
    min_size=1,
    max_size=25,
)


def built(steps, leaves):
    """The same expression over any kind of scalar; divisors are kept away from 0."""
    made = list(leaves)
    for name, i, j in steps:
        a, b = made[i % len(made)], made[j % len(made)]
        made.append(
            {
                "add": lambda a=a, b=b: a + b,
                "sub": lambda a=a, b=b: a - b,
                "mul": lambda a=a, b=b: a * b * 0.5,
                "div": lambda a=a, b=b: a / (b * b + 1.0),
                "pow": lambda a=a: (a * 0.25) ** 3,
                "neg": lambda a=a: -a,
                "relu": lambda a=a: a.relu(),
                "radd": lambda a=a: 2 + a,
                "rsub": lambda a=a: 2.5 - a,
                "rdiv": lambda a=a: 3 / (a * a + 2.0),
            }[name]()
        )
    return sum(made)


@given(STEPS, st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3))
def test_micrograd_agrees(steps, numbers):
    engine = pytest.importorskip("micrograd.engine", reason="micrograd is not installed")
    ours, theirs = [Value(n) for n in numbers], [engine.Value(n) for n in numbers]
    out, expected = built(steps, ours), built(steps, theirs)
    out.backward()
    expected.backward()
    assert out.data == pytest.approx(expected.data, rel=1e-9, abs=1e-9)
    grads = [v.grad for v in ours]
    assert grads == pytest.approx([v.grad for v in theirs], rel=1e-9, abs=1e-9)


@given(STEPS, st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3))
def test_a_graph_read_from_values_computes_the_same_number(steps, numbers):
    out = built(steps, [Value(n) for n in numbers])
    assert evaluate(out) == float(out.data)


def test_values_agree_with_finite_differences():
    random.seed(1)
    point = [random.uniform(0.5, 1.5) for _ in range(3)]

    def f(a, b, c):
        y = ops.SIN(a * b) + ops.LOG(a) * c**b - ops.EXPM1(c) / b
        return ops.SOFTPLUS(y) + ops.WHERE(a > b, a, b) + ops.MAXIMUM(a, c) * ops.ABS(b - c)

    values = [Value(p) for p in point]
    f(*values).backward()
    for i, value in enumerate(values):
        step = 1e-6
        ahead = [p + step * (j == i) for j, p in enumerate(point)]
        behind = [p - step * (j == i) for j, p in enumerate(point)]
        slope = (f(*ahead) - f(*behind)) / (2 * step)
        assert value.grad == pytest.approx(slope, rel=1e-7, abs=1e-8)


def test_operands_come_first_and_in_their_order():
    a, b, c = Value(1.0, label="a"), Value(2.0, label="b"), Value(3.0, label="c")
    out = (a * b + c) * (b + a)
    order = list(topological(out))
    assert [value.label for value in order if value.is_leaf] == ["a", "b", "c"]
    place = {value: i for i, value in enumerate(order)}
    assert all(place[v] < place[out_] for out_ in order for v in out_.operands)
