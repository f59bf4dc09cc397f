"""Schedules, clipping and decay, against plain loops over floats, in every target."""

import math
from itertools import pairwise

import pytest

import wengert as wg
from wengert import Clipped, Decayed
from wengert.errors import SettingError

TARGETS = ["python", "numpy", pytest.param("native", marks=pytest.mark.filterwarnings("default"))]
X = [[0.5, -1.0], [1.5, 0.25], [-0.75, 2.0], [0.1, 0.2]]
Y = [1.0, -1.0, 0.5, 0.0]


def plain_rate(schedule, step):
    """Each schedule's formula again, on numbers alone."""
    match schedule:
        case Exponential(lr, factor, every):
            return lr * factor ** (step / every)
        case Cosine(lr, steps, lowest):
            share = min(step, steps) / steps
            return lowest + (lr - lowest) * (1 + math.cos(math.pi * share)) / 2
        case Linear(lr, steps, lowest):
            return lr + (lowest - lr) * min(step, steps) / steps
        case Warmup(then, steps):
            if step < steps:
                return plain_rate(then, 0) * (step + 1) / steps
            return plain_rate(then, step - steps)
    return schedule


Cosine, Exponential = wg.schedules.Cosine, wg.schedules.Exponential
Linear, Warmup = wg.schedules.Linear, wg.schedules.Warmup

SCHEDULES = [
    Exponential(0.1, 0.7, 5),
    Cosine(0.1, 12, 0.01),
    Linear(0.1, 7),
    Warmup(0.1, 4),
    Warmup(Cosine(0.2, 9), 3),
]


def slowing(step):
    return 0.1 / (1 + step)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_a_schedule_is_its_formula_and_never_below_0(schedule):
    for step in range(40):
        assert schedule(step) == pytest.approx(plain_rate(schedule, step), rel=1e-12, abs=1e-15)
        assert schedule(step) >= 0


def linear_gradient(params):
    """The loss of w·x + v·y + b on the data, and its gradient, in plain floats."""
    loss, slopes = 0.0, [0.0, 0.0, 0.0]
    for (x0, x1), y in zip(X, Y, strict=True):
        error = params[0] * x0 + params[1] * x1 + params[2] - y
        loss += error * error
        for k, factor in enumerate((x0, x1, 1.0)):
            slopes[k] += 2 * error * factor
    return loss, slopes


def trained(optimizer, target, epochs=15):
    net = wg.MLP(2, [1], "linear", seed=3)
    start = [p.data for p in net.parameters()]
    wg.fit(net, X, Y, optimizer=optimizer, epochs=epochs, target=target)
    return start, [p.data for p in net.parameters()]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("schedule", [*SCHEDULES, slowing], ids=[*map(str, SCHEDULES), "slowing"])
def test_training_takes_the_rate_of_each_step(schedule, target):
    params, found = trained(wg.SGD(schedule), target)
    for step in range(15):
        rate = schedule(step)
        params = [p - rate * g for p, g in zip(params, linear_gradient(params)[1], strict=True)]
    assert found == pytest.approx(params, rel=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_long_gradients_are_clipped_together_and_short_ones_are_left(target):
    params, found = trained(Clipped(wg.SGD(0.05), norm=2.0), target)
    clipped = 0
    for _ in range(15):
        slopes = linear_gradient(params)[1]
        length = math.sqrt(sum(g * g for g in slopes))
        clipped += length > 2.0
        scale = min(1.0, 2.0 / length)
        params = [p - 0.05 * scale * g for p, g in zip(params, slopes, strict=True)]
    assert 0 < clipped < 15, "both kinds of steps are wanted"
    assert found == pytest.approx(params, rel=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_decay_adds_the_gradient_of_the_penalty(target):
    params, found = trained(Decayed(wg.Momentum(0.02, 0.5), weight_decay=0.3), target)
    velocity = [0.0] * 3
    for _ in range(15):
        slopes = [g + 0.3 * p for g, p in zip(linear_gradient(params)[1], params, strict=True)]
        velocity = [0.5 * v + g for v, g in zip(velocity, slopes, strict=True)]
        params = [p - 0.02 * v for p, v in zip(params, velocity, strict=True)]
    assert found == pytest.approx(params, rel=1e-12)


def test_wrappers_nest_and_keep_what_is_inside():
    rule = Clipped(Decayed(wg.Adam(Cosine(0.01, 5)), 0.1), 1.0)
    assert rule.remembered == ("beta1_power", "beta2_power", "steps")
    assert rule.slots == ("m", "v")
    state = rule.state(2)
    assert state == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    moved, after = rule.step([1.0, 2.0], [3.0, 4.0], state)
    assert after[2] == 1.0
    assert all(new < old for new, old in zip(moved, [1.0, 2.0], strict=True))


def test_a_traced_function_steps_by_schedules_and_wrappers_as_fit_does():
    w = wg.Value(2.0)

    @wg.function
    def loss(x):
        return (w * x) ** 2

    rates = [0.1 / (1 + k) for k in range(3)]
    rule, expected = Clipped(wg.SGD(lambda step: 0.1 / (1 + step)), 1.0), 2.0
    for rate in rates:
        loss.step(rule, 1.5)
        slope = 2 * expected * 1.5**2
        expected -= rate * slope * min(1.0, 1.0 / abs(slope))
    assert w.data == pytest.approx(expected, rel=1e-12)


def test_the_rate_of_a_run_falls_with_its_schedule():
    rates = [Cosine(0.1, 10)(step) for step in range(12)]
    assert all(a >= b for a, b in pairwise(rates))
    assert rates[10] == pytest.approx(0.0, abs=1e-17)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Cosine(-0.1, 10), "Cosine: lr is -0.1"),
        (lambda: Cosine(0.1, 0), "Cosine: steps is 0"),
        (lambda: Exponential(0.1, factor="half"), "Exponential: factor is 'half'"),
        (lambda: Linear(0.1, 5, lowest=-1), "Linear: lowest is -1"),
        (lambda: Warmup("soon", 5), "Warmup: then is 'soon'"),
        (lambda: wg.SGD(lambda step: -1.0), "SGD: lr, after 0 steps, is -1.0"),
        (lambda: wg.SGD(Cosine), "a class; give one with its settings"),
        (lambda: Clipped(wg.SGD(0.1), norm=0), "Clipped: norm is 0"),
        (lambda: Decayed(wg.SGD(0.1), weight_decay=-1), "Decayed: weight_decay is -1"),
        (lambda: wg.SGD(True), "SGD: lr is True"),
    ],
)
def test_settings_out_of_range_are_named(make, words):
    with pytest.raises(SettingError, match=words):
        make()
