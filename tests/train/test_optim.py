"""Optimizers against plain loops over floats, written from the papers' formulas."""

import math
import random
from dataclasses import dataclass
from typing import ClassVar

import pytest

from wengert.errors import SettingError, UnknownNameError
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.ops.scalar import sqrt
from wengert.train.fit import fit
from wengert.train.nn import MLP
from wengert.train.optim import OPTIMIZERS, SGD, Adam, AdamW, Momentum, Optimizer, find_optimizer

STEPS, COUNT = 25, 3


def gradients(seed=0):
    """A gradient for each step, some large, some tiny, some 0."""
    draw = random.Random(seed)
    return [
        [draw.choice([0.0, draw.gauss(0, 1), draw.gauss(0, 1e3), 1e-9]) for _ in range(COUNT)]
        for _ in range(STEPS)
    ]


START = [0.5, -2.0, 30.0]


def plain_sgd(lr):
    def path(p, gs):
        for g in gs:
            p -= lr * g
            yield p

    return path


def plain_momentum(lr, mu):
    """Sutskever et al. 2013, eq. 1 and 2: the velocity holds the step itself."""

    def path(p, gs):
        velocity = 0.0
        for g in gs:
            velocity = mu * velocity - lr * g
            p = p + velocity
            yield p

    return path


def plain_adam(lr, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.0):
    """Kingma & Ba 2015, algorithm 1; decay as in Loshchilov & Hutter 2019, algorithm 2."""

    def path(p, gs):
        m = v = 0.0
        for t, g in enumerate(gs, start=1):
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g**2
            m_hat = m / (1 - beta1**t)
            v_hat = v / (1 - beta2**t)
            p = p - lr * (m_hat / (math.sqrt(v_hat) + eps) + decay * p)
            yield p

    return path


CASES = [
    (SGD(0.1), plain_sgd(0.1)),
    (Momentum(0.05, 0.8), plain_momentum(0.05, 0.8)),
    (Momentum(0.05, 0.0), plain_sgd(0.05)),
    (Adam(0.01), plain_adam(0.01)),
    (Adam(0.1, 0.5, 0.9, 1e-3), plain_adam(0.1, 0.5, 0.9, 1e-3)),
    (Adam(0.1, 0.0, 0.0), plain_adam(0.1, 0.0, 0.0)),
    (AdamW(0.01, weight_decay=0.1), plain_adam(0.01, decay=0.1)),
    (AdamW(0.01, weight_decay=0.0), plain_adam(0.01)),
]


@pytest.mark.parametrize(("optimizer", "plain"), CASES, ids=lambda case: repr(case)[:40])
def test_floats_follow_the_formulas(optimizer, plain):
    steps = gradients()
    columns = [plain(p, gs) for p, gs in zip(START, zip(*steps, strict=True), strict=True)]
    expected = zip(*columns, strict=True)
    params, state = START, optimizer.state(COUNT)
    for gs, wanted in zip(steps, expected, strict=True):
        params, state = optimizer.step(params, gs, state)
        assert params == pytest.approx(wanted, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("optimizer", [case[0] for case in CASES], ids=repr)
def test_graph_nodes_give_what_floats_give(optimizer):
    graph = Graph()
    p, g = graph.inputs("p", COUNT), graph.inputs("g", COUNT)
    state = optimizer.state(COUNT)
    s = graph.inputs("s", len(state))
    moved, after = optimizer.step(p, g, s)
    params = START
    for gs in gradients(1):
        at = dict(zip([*p, *g, *s], [*params, *gs, *state], strict=True))
        numbers = evaluate([*moved, *after], at) if after else evaluate(moved, at)
        params, state = optimizer.step(params, gs, state)
        assert numbers == [*params, *state]


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """Tieleman & Hinton 2012, with a setting that no optimizer of the package has."""

    lr: float = 0.01
    decay: float = 0.9
    slots: ClassVar[tuple[str, ...]] = ("mean_square",)

    def update(self, parameter, gradient, slots, shared):
        mean_square = self.decay * slots[0] + (1 - self.decay) * gradient * gradient
        return parameter - self.lr * gradient / (sqrt(mean_square) + 1e-8), (mean_square,)


@pytest.mark.parametrize("target", ["python", "numpy"])
def test_an_optimizer_of_ones_own(target):
    X, Y = [[0.0, 1.0], [1.0, 0.5], [-1.0, 2.0]], [1.0, 0.0, -1.0]
    net = MLP(2, [3, 1], seed=0)
    history = fit(net, X, Y, optimizer=RMSProp(0.02), epochs=100, target=target)
    assert history.loss[-1] < history.loss[0] / 4
    params, state = RMSProp(0.5).step([1.0], [2.0], [1.0])
    assert state == pytest.approx([0.9 + 0.4])
    assert params == pytest.approx([1 - 0.5 * 2 / math.sqrt(1.3)])
    with pytest.raises(SettingError, match="RMSProp: lr is 0"):
        RMSProp(0)


def test_the_first_step_of_adam_is_lr_whatever_the_gradient():
    for g in (1e-4, 3.0, -1e6):
        (p,), _ = Adam(0.01).step([1.0], [g], Adam(0.01).state(1))
        assert p == pytest.approx(1 - math.copysign(0.01, g), abs=1e-5)


def test_adam_by_hand():
    # two steps with gradients 2 and -1, worked out on paper for beta1 = 0.5, beta2 = 0.75, eps = 1
    adam = Adam(lr=0.1, beta1=0.5, beta2=0.75, eps=1.0)
    params, state = adam.step([1.0], [2.0], adam.state(1))
    assert state == [0.5, 0.75, 1.0, 1.0]
    assert params == pytest.approx([1 - 0.1 * 2 / (2 + 1)])
    params, state = adam.step(params, [-1.0], state)
    assert state == [0.25, 0.5625, 0.0, 1.0]
    assert params == pytest.approx([1 - 0.2 / 3])


def test_adamw_by_hand():
    # decay of 0.1 * 0.5 = 5 % of the parameter, beside Adam's step of 0.1 * 2 / 3
    adamw = AdamW(lr=0.1, beta1=0.5, beta2=0.75, eps=1.0, weight_decay=0.5)
    assert adamw.step([4.0], [2.0], adamw.state(1))[0] == pytest.approx([4 - 0.2 - 0.2 / 3])


def test_decay_is_not_part_of_the_gradient():
    assert AdamW(0.1, weight_decay=0.5).step([4.0], [0.0], [1.0, 1.0, 0.0, 0.0])[0] == [3.8]


@pytest.mark.parametrize("kind", OPTIMIZERS.values())
def test_state_has_room_for_every_slot(kind):
    optimizer = kind()
    state = optimizer.state(4)
    assert len(state) == len(optimizer.shared) + 4 * len(optimizer.slots)
    params, after = optimizer.step([0.0] * 4, [1.0] * 4, state)
    assert (len(params), len(after)) == (4, len(state))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0), r"SGD: lr is 0; expected a finite number above 0"),
        (lambda: SGD(-0.1), "lr is -0.1"),
        (lambda: SGD(math.nan), "lr is nan"),
        (lambda: Adam(math.inf), "Adam: lr is inf"),
        (lambda: SGD("0.1"), "lr is '0.1'"),
        (lambda: SGD(None), "lr is None"),
        (lambda: Momentum(0.1, 1.0), "Momentum: momentum is 1.0; .* not including, 1"),
        (lambda: Momentum(0.1, -0.1), "momentum is -0.1"),
        (lambda: Adam(beta1=1), "beta1 is 1"),
        (lambda: Adam(beta2=math.nan), "beta2 is nan"),
        (lambda: Adam(eps=0.0), "eps is 0.0"),
        (lambda: AdamW(weight_decay=-1), "AdamW: weight_decay is -1; expected .* 0 or more"),
    ],
)
def test_settings_out_of_range(make, message):
    with pytest.raises(SettingError, match=message):
        make()


def test_optimizers_are_values():
    assert SGD(0.1) == SGD(lr=0.1) != SGD(0.2)
    assert repr(Adam()) == "Adam(lr=0.001, beta1=0.9, beta2=0.999, eps=1e-08)"
    with pytest.raises(AttributeError):
        SGD(0.1).lr = 0.2


def test_finding_an_optimizer():
    assert find_optimizer("adam") == Adam()
    mine = Momentum(0.3)
    assert find_optimizer(mine) is mine
    for unknown in ("adm", Adam, 0.1):
        with pytest.raises(
            UnknownNameError, match=r"unknown optimizer .*adam, adamw, momentum, sgd"
        ):
            find_optimizer(unknown)


@pytest.mark.parametrize("make", [SGD, Momentum, Adam, AdamW])
def test_a_truth_value_is_no_setting(make):
    with pytest.raises(SettingError, match="lr is True; expected a finite number above 0"):
        make(True)


@pytest.mark.parametrize(
    ("given", "advice"),
    [(SGD, "write SGD(0.01)"), (AdamW, "write AdamW(0.001)"), (0.05, "write SGD(0.05)")],
)
def test_a_class_or_a_rate_in_place_of_an_optimizer(given, advice):
    with pytest.raises(UnknownNameError) as caught:
        find_optimizer(given)
    assert str(caught.value).endswith(advice)
