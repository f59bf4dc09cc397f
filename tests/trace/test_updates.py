"""An optimizer's step on arrays: machine code takes the same one, whatever its settings become."""

from dataclasses import dataclass

import numpy as np
import pytest

import wengert as wg
from wengert.codegen.native.host import available
from wengert.trace.updates import ROOM, Updates
from wengert.train.optim import SGD, Adam, AdamW, Clipped, Decayed, Momentum, Optimizer

COUNT = 70


@dataclass(frozen=True)
class Signs(Optimizer):
    """A rule of a user's own, which is run as it is written: it may read what changes."""

    lr: float = 0.01

    def update(self, parameter, gradient, slots, shared):
        return parameter - self.lr * (2 * (gradient > 0) - 1), ()


RULES = {
    "sgd": lambda k: SGD(0.1 / (k + 1)),
    "momentum": lambda k: Momentum(0.1, 0.5 + 0.1 * k),
    "adam": lambda k: Adam(0.1 - 0.01 * k, 0.85, 0.99, 1e-8 * (k + 1)),
    "adamw": lambda k: AdamW(0.1, weight_decay=0.1 * k),
    "clipped": lambda k: Clipped(Adam(0.1), norm=1.0 + k),
    "decayed": lambda k: Decayed(Clipped(SGD(0.1), norm=2.0), weight_decay=0.1 * k),
    "scheduled": lambda k: Adam(lambda step: 0.1 / (step + 1)),
    "own": lambda k: Signs(0.1),
}


@pytest.mark.parametrize("name", RULES)
def test_it_takes_the_steps_that_are_taken_one_by_one(name):
    rng = np.random.default_rng(1)
    steps, updates = RULES[name], Updates()
    columns = np.zeros((2 + len(steps(0).slots), 2 * ROOM))
    columns[0, :COUNT] = rng.normal(size=COUNT)
    expected, state = columns[0, :COUNT].tolist(), steps(0).state(COUNT)
    once = tuple(steps(0).state(0))
    for k in range(4):
        gradient = rng.normal(size=COUNT)
        columns[-1, :COUNT] = gradient
        rule = steps(k)
        now = rule.at_step(once)
        updates.step(now, columns, COUNT, True)
        once = now[2]
        expected, state = rule.step(expected, gradient.tolist(), state)
        np.testing.assert_allclose(columns[0, :COUNT], expected, rtol=1e-14, atol=1e-15)
        slots = columns[1:-1, :COUNT].ravel()
        np.testing.assert_allclose([*once, *slots], state, rtol=1e-13, atol=1e-15)
    assert len(updates._known) == (available() and name != "own")


def test_a_functions_step_is_the_same_as_machine_code():
    def trained(target, rule, steps):
        w = [wg.Value(0.01 * k - 0.3) for k in range(COUNT)]

        @wg.function(target=target)
        def loss(x):
            return sum(wg.tanh(p * x + 0.1 * k) ** 2 for k, p in enumerate(w))

        losses = [loss.step(rule(k), 0.5 + 0.1 * k) for k in range(steps)]
        w[3].data = 0.25  # what the user writes between steps is what the next one starts from
        losses += [loss.step(rule(k), 0.3) for k in range(steps, 2 * steps)]
        return [*losses, *(p.data for p in w)]

    def falling(k):
        return Adam(0.1 / (k + 1))

    native = "native" if available() else "numpy"
    expected = trained("python", falling, 4)
    assert trained(native, falling, 4) == pytest.approx(expected, rel=1e-12)


def test_what_an_optimizer_remembers_outlasts_its_settings():
    w = [wg.Value(0.01 * k) for k in range(3)]

    @wg.function
    def loss():
        return sum((p - 1.0) ** 2 for p in w)

    rules = [Clipped(SGD(0.1)), Clipped(Adam(0.1)), Adam(0.1), Adam(lambda step: 0.1 / (step + 1))]
    losses = [loss.step(rule) for rule in [*rules, *rules]]
    assert losses == sorted(losses, reverse=True)
    assert np.isfinite(losses).all()


def test_what_optimizers_remember_is_kept_apart_by_what_is_inside_of_them():
    def trained(first):
        w = [wg.Value(0.01 * k) for k in range(3)]
        loss = wg.function(lambda: sum((p - 1.0) ** 2 for p in w))
        loss.step(first)
        loss.step(Clipped(Adam(0.1), norm=1e9))
        return [p.data for p in w]

    assert trained(Clipped(Momentum(0.01), norm=1e9)) == trained(Momentum(0.01))


def test_parameters_that_only_some_calls_need_are_moved_by_all():
    """As optimizers that are given all parameters do: what was learned of them goes on."""

    def trained(target, count):
        rows = [[wg.Value(0.01 * k + 0.1 * row) for k in range(50)] for row in range(5)]
        table = wg.table(rows[0:3])

        @wg.function(target=target)
        def loss(xs, token):
            picked = [a for row in rows[3 : 3 + len(xs)] for a in row]
            terms = [*picked[::-1], *table[token], *table[token]]
            return sum((a * x - 1.0) ** 2 for a in terms for x in xs)

        losses = []
        for k in range(count):
            losses.append(loss.step(Adam(0.05), [0.1] * (1 + k % 2), k % 3))
            rows[1][7].data = 0.5 + k
        return [*losses, *(p.data for row in rows for p in row)]

    native = "native" if available() else "numpy"
    assert trained(native, 7) == pytest.approx(trained("python", 7), rel=1e-9)


def test_a_step_from_what_is_no_number_moves_nothing():
    w = [wg.Value(0.01 * k) for k in range(COUNT)]
    loss = wg.function(lambda xs: sum((p * x - 1.0) ** 2 for p, x in zip(w, xs, strict=False)))
    for count in (COUNT, 3, 3):
        loss.step(Adam(0.1), [1.0] * count)
    w[COUNT // 2].data = "text"
    before = [p.data for p in w]
    for count in (COUNT, 3):  # among what the call needs, and not
        with pytest.raises((TypeError, ValueError)):
            loss.step(Adam(0.1), [1.0] * count)
        assert [p.data for p in w] == before


@pytest.mark.parametrize("count", [1, COUNT])
def test_a_step_leaves_gradients_as_they_are(count):
    w = [wg.Value(0.01 * k) for k in range(count)]
    loss = wg.function(lambda x: sum((p * x - 1.0) ** 2 for p in w))
    w[0].grad = 2.5
    for _ in range(3):
        loss.step("adam", 1.0)
    assert [p.grad for p in w] == [2.5, *[0.0] * (count - 1)]
