"""What is steep behind a threshold passes back 0 where the threshold lets nothing through."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest

import wengert as wg
from wengert import clip, exp, log, maximum, minimum, relu, sqrt, tanh
from wengert.derive.gates import steep_behind_gates
from wengert.graph.store import live_nodes
from wengert.ops import arrays
from wengert.ops import scalar as ops
from wengert.testing import RUNNABLE

BEHIND = {
    "maximum(sqrt(x), 1)": (lambda x: maximum(sqrt(x), 1), 0.0, 0.0),
    "maximum(1, sqrt(x))": (lambda x: maximum(1, sqrt(x)), 0.0, 0.0),
    "maximum(sqrt(x), 1), the other side": (lambda x: maximum(sqrt(x), 1), 4.0, 0.25),
    "relu(log(x))": (lambda x: relu(log(x)), 0.0, 0.0),
    "relu(-log(x)), which is open": (lambda x: relu(-log(x)), 0.0, -math.inf),
    "minimum(-log(x), 100)": (lambda x: minimum(-log(x), 100), 0.0, 0.0),
    "clip(1/x, -1, 1)": (lambda x: clip(1 / x, -1, 1), 0.0, 0.0),
    "clip of a number by 1/x": (lambda x: clip(x - 5, -1 / x, 1), 0.0, 1.0),
    "minimum(maximum(1/x, -1), 1)": (lambda x: minimum(maximum(1 / x, -1), 1), 0.0, 0.0),
    "hard_tanh(log(x))": (lambda x: wg.hard_tanh(log(x)), 0.0, 0.0),
    "hard_sigmoid(1/x)": (lambda x: wg.hard_sigmoid(1 / x), 0.0, 0.0),
    "relu(1 - x**-2)": (lambda x: relu(1 - x**-2), 0.0, 0.0),
    "maximum(acos(x), 1)": (lambda x: maximum(wg.acos(x), 1), 1.0, 0.0),
    "relu(cbrt(x) - 1)": (lambda x: relu(wg.cbrt(x) - 1), 0.0, 0.0),
    "a root behind two": (lambda x: relu((r := sqrt(x)) - 1) + relu(r - 2) + x, 0.0, 1.0),
    "one of the two is open": (lambda x: relu((r := sqrt(x)) - 1) + relu(r - 2), 2.25, 1 / 3),
    "a gate within a branch": (lambda x: wg.where(x > 1, log(relu(sqrt(x) - 1)), x), 0.0, 1.0),
    "a branch behind a gate": (lambda x: relu(wg.where(x > 1, log(x), sqrt(x)) - 1), 0.0, 0.0),
    "exp(-1/(x*x))": (lambda x: exp(-1 / (x * x)), 0.0, 0.0),
    "exp(-1/(x*x)) near 0": (lambda x: exp(-1 / (x * x)), 1e-200, 0.0),
    "exp(-x**-2)": (lambda x: exp(-(x**-2)), 0.0, 0.0),
    "tanh(1/x)": (lambda x: tanh(1 / x), 0.0, 0.0),
    "softplus(-1/abs(x))": (lambda x: wg.softplus(-1 / abs(x)), 0.0, 0.0),
    "minimum(exp(x), 100)": (lambda x: minimum(exp(x), 100), 1e3, 0.0),
    "clip(exp(x) - 1, 0, 9)": (lambda x: clip(exp(x) - 1, 0, 9), 1e3, 0.0),
    "relu(1 - 2*exp(x))": (lambda x: relu(1 - 2 * exp(x)), 1e3, 0.0),
    "relu(1 - exp(x)), which is open": (lambda x: relu(1 - exp(x)), -1e3, 0.0),
    "exp(-exp(x))": (lambda x: exp(-exp(x)), 1e3, 0.0),
    "Gumbel's density": (lambda x: exp(-x - exp(-x)), -1e3, 0.0),
    "sigmoid(sinh(x))": (lambda x: wg.sigmoid(wg.sinh(x)), 1e3, 0.0),
    "tanh(cosh(x))": (lambda x: tanh(wg.cosh(x)), -1e3, 0.0),
    "atan(exp(x))": (lambda x: wg.atan(exp(x)), 1e3, 0.0),
    "erf(x + exp(x)/2)": (lambda x: wg.erf(x + exp(x) / 2), 1e3, 0.0),
    "erfc(1/x)": (lambda x: wg.erfc(1 / x), 0.0, 0.0),
    "far behind": (lambda x: relu(tanh(exp(tanh(3 / x) * log(x))) - 1), 0.0, 0.0),
}


@pytest.mark.parametrize("name", BEHIND)
def test_nothing_comes_through_a_closed_gate(name):
    write, at, slope = BEHIND[name]
    x = wg.Graph().input("x")
    assert wg.evaluate(wg.grad(write(x), x), {x: at}) == pytest.approx(slope, rel=1e-15)


UNDONE = [
    (lambda x: exp(log(x) + x), 0.0),
    (lambda x: wg.cosh(wg.acosh(x)), 1.0),
    (lambda x: tanh(wg.atanh(x)), 1.0),
    (lambda x: wg.sigmoid(log(x)), 0.0),
    (lambda x: exp(log(x) - 1 / (x + 1)), 0.0),
    (lambda x: wg.atan(1 / x), 0.0),
]


@pytest.mark.parametrize("which", range(len(UNDONE)))
def test_what_undoes_something_steep_is_not_taken_for_flat(which):
    """Its slope is not 0; nan says that floats do not tell it."""
    write, at = UNDONE[which]
    x = wg.Graph().input("x")
    assert math.isnan(wg.evaluate(wg.grad(write(x), x), {x: at}))


def test_factors_that_are_infinite_are_kept_out_too():
    g = wg.Graph()
    x, y, z = g.inputs("x", 3)
    loss = relu(y * log(x) - z) + relu(z * z - y / x)
    found = wg.evaluate(wg.grad(loss, [x, y, z]), {x: 0.0, y: 2.0, z: 1.0})
    assert found == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("target", RUNNABLE)
def test_every_target_keeps_it_out(target):
    g = wg.Graph()
    x = g.input("x")
    slopes = [wg.grad(write(x), x) for write, _, _ in BEHIND.values()]
    f = wg.compile({"x": x}, slopes, target=target)
    for point in (0.0, 1e3, -1e3):
        with np.errstate(all="ignore"):
            found = [float(slope) for slope in f(point)]
        wanted = [
            (slope, right)
            for slope, (_, at, right) in zip(found, BEHIND.values(), strict=True)
            if at == point
        ]
        assert wanted
        assert all(slope == right for slope, right in wanted)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_elements_of_an_array_have_each_their_gate():
    g = wg.Graph()
    a, b = g.array("a", (3,)), g.array("b", (2, 3))
    loss = arrays.sum_over(relu(log(a) + b) + maximum(sqrt(b), 1))
    f = wg.compile({"a": a, "b": b}, wg.grad(loss, [a, b]), target="numpy")
    da, db = f(np.array([0.0, 1.0, 2.0]), np.array([[0.0, 1.0, 4.0], [0.0, -1.0, 0.0]]))
    assert da.tolist() == [0.0, 1.0, 1.0]
    assert db.tolist() == [[0.0, 1.5, 1.25], [0.0, 0.0, 1.0]]


def test_the_value_and_the_slope_of_an_open_gate_are_what_they_were():
    rng = random.Random(3)
    for name, (write, _, _) in BEHIND.items():
        x = wg.Graph().input("x")
        slopes = [wg.grad(write(x), x, stable=stable) for stable in (True, False)]
        for _ in range(20):
            found, plain = wg.evaluate(slopes, {x: rng.uniform(0.1, 3.0)})
            assert found == pytest.approx(plain, rel=1e-12) or math.isnan(plain), name


def networks(g):
    x, w = g.inputs("x", 4), g.inputs("w", 40)
    hidden = [relu(sum(w[4 * i + j] * x[j] for j in range(4))) for i in range(4)]
    logits = [sum(w[16 + 4 * i + j] * hidden[j] for j in range(4)) for i in range(3)]
    yield wg.cross_entropy(logits, 1)
    mean = sum(x) / 4
    spread = sum((a - mean) * (a - mean) for a in x) / 4
    yield sum(relu((a - mean) / sqrt(spread + 1e-5) * b) for a, b in zip(x, w, strict=False))
    powers = [exp(a * b) for a, b in zip(x, w, strict=False)]
    shares = [power / sum(powers) for power in powers]
    mixed = [sum(s * b for s, b in zip(shares, w[3 * i :], strict=False)) for i in range(9)]
    yield sum(relu(m) for m in mixed)
    yield relu(tanh(x[0]) / 3 + wg.sigmoid(x[1]) ** 3 - x[2] ** 2 / 2) + minimum(x[0], x[1])
    kernels = [exp(-((a - b) ** 2) / (2 * c * c)) for a, b, c in zip(x, w, w[4:], strict=False)]
    yield sum(kernels) + exp(-sqrt(x[0] * x[0] + x[1] * x[1])) + tanh(x[0] / w[0])
    noisy = [m + exp(0.5 * v) * e for m, v, e in zip(w, x, w[8:], strict=False)]
    yield sum(wg.sigmoid(sum(noisy) * b) + relu(sum(noisy) - b) for b in w[:3])  # as a VAE has them
    a = g.array("a", (3, 4))
    norm = sqrt(arrays.mean_over(a * a, 1) + 1e-6)
    yield arrays.sum_over(relu(a / arrays.broadcast_to(arrays.reshape(norm, (3, 1)), (3, 4))))


@pytest.mark.parametrize("which", range(7))
def test_networks_have_nothing_steep_behind_their_gates(which):
    """Not one node more than the chain rule has."""
    g = wg.Graph()
    loss = list(networks(g))[which]
    live = live_nodes(g, [loss.id])
    assert not steep_behind_gates(g, live, set(live)).gates


def test_thousands_of_gates_in_a_row_take_linear_time():
    x = wg.Graph().input("x")
    y = sqrt(x)
    for _ in range(5000):
        y = relu(y) - 1e-9
    assert wg.evaluate(wg.grad(y, x), {x: 4.0}) == 0.25


@pytest.mark.parametrize("error", [OverflowError, ValueError, ZeroDivisionError, TypeError])
def test_a_record_that_raises_is_not_in_the_way(error):
    def evaluate(x):
        if x == 0.0 or abs(x) > 100.0:
            raise error
        return 1 / x

    one_over = replace(
        ops.TANH,
        name="one_over",
        evaluate=evaluate,
        vjp=(lambda ct, out, x: -(ct * out * out),),
        gate=None,
        interval=None,
    )
    x = wg.Graph().input("x")
    assert wg.evaluate(wg.grad(relu(one_over(x) - 1), x), {x: 2.0}) == 0.0
    assert wg.evaluate(wg.grad(relu(one_over(x) - 0.25), x), {x: 2.0}) == -0.25


GATES = [op for op in ops.ELEMENTWISE.values() if op.gate is not None]


@pytest.mark.parametrize("op", GATES)
def test_a_gate_is_closed_where_a_rule_answers_nothing(op):
    rng = random.Random(op.name)
    saturates = op.arity == 1 and op.gate(9.0) and op.gate(-9.0)
    numbers = [-math.inf, 0.5] if saturates else [-4.0, -1.0, 0.0, 0.5, 1.0, 3.5]
    for _ in range(200):
        point = [rng.choice(numbers) for _ in range(op.arity)]
        value = op.evaluate(*point)
        shares = [rule(2.0, value, *point) for rule in op.vjp]
        is_open = bool(op.gate(*point))
        assert is_open is bool(shares[0])
        assert not is_open or not any(shares[1:])
