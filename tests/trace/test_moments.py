"""A step in one call of machine code is the one taken apart to the bit, whatever users change."""

from itertools import pairwise

import numpy as np
import pytest

import wengert as wg
from wengert import Adam, Clipped, Value
from wengert.trace import moments
from wengert.trace.moving import MANY

pytest.importorskip("llvmlite")
WIDTH = 8


class Model:
    """A loss of tokens and floats, with a table, a choice and more Values than are few."""

    def __init__(self, target="native", rates=(0.1,)):
        self.rows = [[Value(0.01 * i - 0.02 * k) for k in range(WIDTH)] for i in range(5)]
        self.w = [[Value(0.05 * np.sin(i + 3 * k)) for k in range(WIDTH)] for i in range(MANY // 8)]
        self.bias = [Value(0.1) for _ in self.w]
        table, shifts = wg.table(self.rows), wg.table(self.bias[:5])
        w, bias = self.w, self.bias

        @wg.function(target=target)
        def loss(tokens, scales, start):
            total = start[0] * start[1]
            for token, following in pairwise(tokens):
                x = [a * s for a, s in zip(table[token], scales, strict=True)]
                y = [sum(a * b for a, b in zip(r, x, strict=True)) for r in w]
                y = [wg.tanh(a + b) for a, b in zip(y, bias[: len(tokens) * 2], strict=False)]
                total = total + (wg.pick(y, following) - 1.0) ** 2 + shifts[token] * following
            return total

        self.loss = loss
        self.start = [Value(0.5), Value(0.25), Value(0.75)]
        self.rates = rates
        self.losses = []

    @property
    def values(self):
        return [*(p for row in [*self.rows, *self.w] for p in row), *self.bias, *self.start]

    def step(self, tokens, rule=None):
        scales = [0.5 + 0.25 * k for k in range(WIDTH)]
        found = self.loss.step(rule or Adam(0.05), tokens, scales, self.start[:2])
        self.losses.append(found)
        return found

    def all(self):
        return [*self.losses, *(p.data for p in self.values)]

    @property
    def in_one_call(self):
        """For how many programs steps are one call."""
        kept = [whole for one in self.loss._moments.values() for whole in one._wholes.values()]
        return sum(whole is not None for whole in kept)


SEQUENCES = [[0, 1, 2, 1], [4, 4, 0], [3, -1, 2, 2], [-5, 0, 1]]


def trained(between=lambda model, k: None, rule=lambda k: None, count=12):
    model = Model()
    for k in range(count):
        model.step(SEQUENCES[k % 4], rule(k))
        between(model, k)
    return model


def alike(monkeypatch, **how):
    whole = trained(**how)
    monkeypatch.setattr(moments, "results_of", lambda code: None)
    apart = trained(**how)
    assert apart.in_one_call == 0
    assert whole.all() == apart.all()
    return whole


NUMBERS = [
    lambda m: None,
    lambda m: setattr(m.w[1][2], "data", 0.25),
    lambda m: m.start.reverse(),
    lambda m: setattr(m.w[0][3], "data", 2),  # an integer
    lambda m: setattr(m.rows[1][1], "data", np.float64(0.5)),
    lambda m: [setattr(p, "data", m.w[1][1].data) for p in m.rows[2]],  # one float in many
    lambda m: m.loss(SEQUENCES[0], [0.5] * WIDTH, m.start[1:]).backward(),
]


def test_it_is_the_step_taken_apart_whatever_numbers_are_changed(monkeypatch):
    def between(model, k):
        NUMBERS[k % len(NUMBERS)](model)

    assert alike(monkeypatch, between=between, count=20).in_one_call == 2


VALUES = [
    lambda m: m.rows[1].__setitem__(3, Value(0.3)),
    lambda m: m.rows.__setitem__(1, [Value(0.1) for _ in range(WIDTH)]),
    lambda m: m.w[2].__setitem__(3, Value(0.3)),
    lambda m: m.rows.append([Value(0.1) for _ in range(WIDTH)]),
    lambda m: m.rows[1].__setitem__(3, m.w[0][0] * 2.0),  # no leaf
    lambda m: m.rows.__setitem__(2, tuple(m.rows[2])),
]


@pytest.mark.filterwarnings("ignore:loss was compiled anew")
def test_it_is_the_step_taken_apart_whatever_values_are_changed(monkeypatch):
    def between(model, k):
        if k % 5 == 4:
            VALUES[k // 5](model)

    loss = alike(monkeypatch, between=between, count=5 * len(VALUES) + 4).loss
    kept = {program for one in loss._moments.values() for program in one._wholes}
    assert kept <= set(loss.traces)  # what was forgotten is let go of


def test_it_is_the_step_taken_apart_whatever_the_optimizer(monkeypatch):
    rules = [
        *[lambda k: Adam(0.1 / (k + 1))] * 4,
        *[lambda k: Adam(lambda step: 0.1 / (step + 1))] * 4,
        lambda k: wg.SGD(0.1),
        lambda k: wg.Momentum(0.1, 0.5),
        lambda k: Clipped(Adam(0.1)),
        lambda k: Adam(0.1),
    ]
    alike(monkeypatch, rule=lambda k: rules[k % len(rules)](k), count=2 * len(rules))


def test_numbers_that_others_hold_stay_what_they_are():
    model = trained()
    assert model.in_one_call == 2
    held = [p.data for p in model.values]
    before = [float(str(number)) for number in held]
    model.step(SEQUENCES[0])
    assert held == before
    assert [p.data for p in model.values] != held


WRONG = [[0, 5, 1, 1], [-6, 0, 1, 1], [10**30, 1, 1, 1], [0, 1, 4, 99]]


def test_an_index_that_is_wrong_changes_nothing():
    model, other = trained(), trained()
    for tokens in WRONG:
        before = model.all()
        with pytest.raises(IndexError, match="index"):
            model.step(tokens)
        assert model.all() == before
        assert model.step(SEQUENCES[0]) == other.step(SEQUENCES[0])


def test_what_is_no_number_changes_nothing():
    model = trained()
    for wrong in ("text", None):
        model.w[3][3].data = wrong
        before = model.all()
        with pytest.raises((TypeError, ValueError)):
            model.step(SEQUENCES[0])
        assert model.all() == before
    del model.w[3][3].data
    with pytest.raises(AttributeError):
        model.step(SEQUENCES[0])


def test_operations_that_ask_python_are_taken_apart():
    """Python's code may do anything meanwhile, to the numbers as well."""
    rule = (lambda ct, out, x: ct * 2.0 * x,)
    square = wg.Op("mine", 1, lambda x: x * x, lambda sp, x: x * x, rule, {}, "")
    w = [Value(0.01 * k) for k in range(2 * MANY)]
    loss = wg.function(lambda: sum(square(p) for p in w), target="native")
    found = [loss.step("sgd") for _ in range(4)]
    kept = [whole for one in loss._moments.values() for whole in one._wholes.values()]
    assert kept == [None]
    assert found == sorted(found, reverse=True)
