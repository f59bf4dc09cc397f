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
        table = wg.table(self.rows)
        w, bias = self.w, self.bias

        @wg.function(target=target)
        def loss(tokens, scales):
            total = 0.0
            for token, following in pairwise(tokens):
                x = [a * s for a, s in zip(table[token], scales, strict=True)]
                y = [sum(a * b for a, b in zip(r, x, strict=True)) for r in w]
                y = [wg.tanh(a + b) for a, b in zip(y, bias[: len(tokens) * 2], strict=False)]
                total = total + (wg.pick(y, following) - 1.0) ** 2
            return total

        self.loss = loss
        self.rates = rates
        self.losses = []

    @property
    def values(self):
        return [*(p for row in [*self.rows, *self.w] for p in row), *self.bias]

    def step(self, tokens, rule=None):
        scales = [0.5 + 0.25 * k for k in range(WIDTH)]
        found = self.loss.step(rule or Adam(0.05), tokens, scales)
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


NUMBERS = {
    "nothing": lambda m, k: None,
    "a number": lambda m, k: setattr(m.w[k % 3][2], "data", 0.25),
    "an integer": lambda m, k: setattr(m.w[0][k % 8], "data", k),
    "NumPy's": lambda m, k: setattr(m.rows[k % 5][1], "data", np.float64(0.5)),
    "one float in two": lambda m, k: [setattr(p, "data", m.w[1][1].data) for p in m.rows[k % 5]],
    "gradients": lambda m, k: m.loss(SEQUENCES[0], [0.5] * WIDTH).backward(),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_it_is_the_step_taken_apart_whatever_numbers_are_changed(monkeypatch, name):
    assert alike(monkeypatch, between=NUMBERS[name]).in_one_call == 2


VALUES = {
    "an entry": lambda m: m.rows[1].__setitem__(3, Value(0.3)),
    "a row": lambda m: m.rows.__setitem__(1, [Value(0.1) for _ in range(WIDTH)]),
    "a row for a tuple": lambda m: m.rows.__setitem__(1, tuple(m.rows[1])),
    "a parameter": lambda m: m.w[2].__setitem__(3, Value(0.3)),
    "one more row": lambda m: m.rows.append([Value(0.1) for _ in range(WIDTH)]),
    "a computed entry": lambda m: m.rows[1].__setitem__(3, m.w[0][0] * 2.0),
}


@pytest.mark.parametrize("name", VALUES)
def test_it_is_the_step_taken_apart_whatever_values_are_changed(monkeypatch, name):
    def between(model, k):
        if k in (5, 9):
            VALUES[name](model)

    loss = alike(monkeypatch, between=between, count=16).loss
    kept = {program for one in loss._moments.values() for program in one._wholes}
    assert kept <= set(loss.traces)  # what was forgotten is let go of


RULES = {
    "rates": lambda k: Adam(0.1 / (k + 1)),
    "schedule": lambda k: Adam(lambda step: 0.1 / (step + 1)),
    "another": lambda k: [wg.SGD(0.1), Adam(0.05), wg.Momentum(0.1, 0.5)][k % 3],
    "around": lambda k: Clipped(Adam(0.1)) if k % 2 else Adam(0.1),
}


@pytest.mark.parametrize("name", RULES)
def test_it_is_the_step_taken_apart_whatever_the_optimizer(monkeypatch, name):
    alike(monkeypatch, rule=RULES[name])


def test_numbers_that_others_hold_stay_what_they_are():
    model = trained()
    assert model.in_one_call == 2
    held = [p.data for p in model.values]
    before = [float(str(number)) for number in held]
    model.step(SEQUENCES[0])
    assert held == before
    assert [p.data for p in model.values] != held


WRONG = {
    "past the end": ([0, 5, 1, 1], IndexError),
    "before the start": ([-6, 0, 1, 1], IndexError),
    "past all": ([10**30, 1, 1, 1], IndexError),
    "past what is chosen": ([0, 1, 4, 99], IndexError),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_index_that_is_wrong_changes_nothing(name):
    tokens, error = WRONG[name]
    model, other = trained(), trained()
    before = model.all()
    with pytest.raises(error, match="index"):
        model.step(tokens)
    assert model.all() == before
    assert model.step(SEQUENCES[0]) == other.step(SEQUENCES[0])


@pytest.mark.parametrize("wrong", ["text", None])
def test_what_is_no_number_changes_nothing(wrong):
    model = trained()
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
