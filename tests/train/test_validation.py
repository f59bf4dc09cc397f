"""Validation, metrics, patience; weights of samples and classes; shares as targets."""

import math
import random

import numpy as np
import pytest

import wengert as wg
from wengert.errors import DataError, SettingError, ShapeError, UnknownNameError
from wengert.train.losses import cross_entropy, soft_cross_entropy
from wengert.train.validation import accuracy

TARGETS = ["python", "numpy", "native"]
source = random.Random(8)
X = [[source.uniform(-1, 1) for _ in range(2)] for _ in range(24)]
CLASSES = [int(a > 0) + int(b > a) for a, b in X]
Y = [a * b for a, b in X]


def numbers(net):
    return [p.data for p in net.parameters()]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_the_validation_loss_is_that_of_the_network_after_each_epoch(target, reduce):
    net, seen = wg.MLP(2, [4, 3], seed=0), []

    def look(epoch, loss, net):
        losses = [
            cross_entropy([o.data for o in net(x)], c) for x, c in zip(X, CLASSES, strict=True)
        ]
        right = [
            max(range(3), key=[o.data for o in net(x)].__getitem__) == c
            for x, c in zip(X, CLASSES, strict=True)
        ]
        seen.append((sum(losses) / (24 if reduce == "mean" else 1), sum(right) / 24))

    history = wg.fit(
        *(net, X[:10], CLASSES[:10]),
        loss="cross_entropy",
        optimizer=wg.Adam(0.05),
        reduce=reduce,
        epochs=8,
        target=target,
        validation=(X, CLASSES),
        metrics="accuracy",
        callback=look,
    )
    assert history.validation_loss == pytest.approx([loss for loss, _ in seen], rel=1e-12)
    assert history.metrics == {"accuracy": [right for _, right in seen]}


@pytest.mark.parametrize("target", TARGETS)
def test_patience_ends_training_with_the_best_parameters(target):
    net, kept = wg.MLP(2, [8, 1], seed=0), {}

    def keep(epoch, loss, net):
        kept[epoch] = numbers(net)

    far = [[5.0, -5.0], [4.0, 4.0]], [1.0, -1.0]
    history = wg.fit(
        *(net, X[:6], Y[:6]),
        optimizer=wg.Momentum(0.05),
        epochs=400,
        target=target,
        validation=far,
        patience=4,
        callback=keep,
    )
    assert history.stopped == "patience"
    assert history.epochs == history.best + 1 + 4
    assert numbers(net) == kept[history.best]
    assert min(history.validation_loss) == history.validation_loss[history.best]


@pytest.mark.parametrize("target", TARGETS)
def test_whole_weights_are_samples_given_so_often(target):
    weights = [i % 3 for i in range(24)]
    repeated = [i for i, weight in enumerate(weights) for _ in range(weight)]
    plain, weighted = wg.MLP(2, [4, 1], seed=0), wg.MLP(2, [4, 1], seed=0)
    settings = {"optimizer": wg.Adam(0.02), "epochs": 10, "target": target}
    a = wg.fit(plain, [X[i] for i in repeated], [Y[i] for i in repeated], **settings)
    b = wg.fit(weighted, X, Y, sample_weight=np.array(weights), **settings)
    assert b.loss == pytest.approx(a.loss, rel=1e-12)
    assert numbers(weighted) == pytest.approx(numbers(plain), rel=1e-9)


def test_weights_go_with_mini_batches_and_with_several_outputs():
    net, other = wg.MLP(2, [4, 2], seed=0), wg.MLP(2, [4, 2], seed=0)
    targets = [[a, b] for a, b in X]
    settings = {"optimizer": wg.SGD(0.01), "epochs": 5, "batch_size": 7, "seed": 3}
    wg.fit(net, X, targets, sample_weight=[1.0] * 24, target="python", **settings)
    wg.fit(other, X, targets, target="numpy", **settings)
    assert numbers(net) == pytest.approx(numbers(other), rel=1e-12)


def test_class_weights_weigh_the_samples_of_a_class():
    settings = {"loss": "cross_entropy", "optimizer": wg.SGD(0.02), "epochs": 6}
    nets = [wg.MLP(2, [4, 3], seed=0) for _ in range(4)]
    wg.fit(nets[0], X, CLASSES, class_weight={0: 2.0, 2: 0.5}, **settings)
    own = [{0: 2.0, 2: 0.5}.get(c, 1.0) for c in CLASSES]
    wg.fit(nets[1], X, CLASSES, sample_weight=own, **settings)
    assert numbers(nets[0]) == numbers(nets[1])
    wg.fit(nets[2], X, CLASSES, class_weight="balanced", **settings)
    counts = {c: CLASSES.count(c) for c in CLASSES}
    wg.fit(nets[3], X, CLASSES, sample_weight=[24 / (3 * counts[c]) for c in CLASSES], **settings)
    assert numbers(nets[2]) == numbers(nets[3])


@pytest.mark.parametrize("target", TARGETS)
def test_shares_that_are_all_of_one_class_are_that_class(target):
    hard, soft = wg.MLP(2, [4, 3], seed=0), wg.MLP(2, [4, 3], seed=0)
    settings = {"optimizer": wg.SGD(0.02), "epochs": 6, "target": target}
    shares = [[float(c == k) for k in range(3)] for c in CLASSES]
    a = wg.fit(hard, X, CLASSES, loss="cross_entropy", **settings)
    b = wg.fit(soft, X, shares, loss="soft_cross_entropy", **settings)
    assert b.loss == pytest.approx(a.loss, rel=1e-12)
    assert numbers(soft) == pytest.approx(numbers(hard), rel=1e-11)


def test_the_cross_entropy_with_shares_is_the_textbook_formula_and_stays_finite():
    logits, shares = [0.3, -1.2, 2.0], [0.2, 0.5, 0.3]
    total = sum(map(math.exp, logits))
    expected = -sum(p * math.log(math.exp(z) / total) for z, p in zip(logits, shares, strict=True))
    assert soft_cross_entropy(logits, shares) == pytest.approx(expected, rel=1e-14)
    assert soft_cross_entropy([1000.0, -1000.0], [0.5, 0.5]) == 1000.0


def test_accuracy_reads_signs_and_largest_outputs():
    assert accuracy([0.1, -0.1], [1, -1]) == 1.0
    assert accuracy([0.1, -0.1], [0, 1]) == 0.0
    assert accuracy([[1, 2, 3], [3, 2, 1]], [2, 2]) == 0.5
    with pytest.raises(DataError, match="no targets"):
        accuracy([], [])


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"validation": X}, SettingError, r"expected a pair \(X, Y\)"),
        ({"validation": (X, Y[:3])}, ShapeError, "validation Y has 3"),
        ({"validation": ([[1.0]], [1.0])}, ShapeError, "row 0 of validation X has 1 numbers"),
        ({"validation": ([], [])}, DataError, "validation X is empty"),
        ({"validation": (X[:1], [math.nan])}, DataError, "row 0 of validation Y"),
        ({"metrics": "accuracy"}, SettingError, r"give validation=\(X, Y\)"),
        ({"metrics": "precision", "validation": (X, Y)}, UnknownNameError, "precision"),
        ({"metrics": 3, "validation": (X, Y)}, SettingError, "metrics is 3, an int"),
        ({"patience": 3}, SettingError, r"give validation=\(X, Y\)"),
        ({"patience": 0, "validation": (X, Y)}, SettingError, "patience is 0"),
        ({"sample_weight": [1.0]}, ShapeError, "has 1 numbers for 24 rows"),
        ({"sample_weight": "many"}, ShapeError, "sample_weight is 'many'"),
        ({"sample_weight": [-1.0] * 24}, SettingError, "the weight of sample 0 is -1.0"),
        ({"sample_weight": [0.0] * 24}, DataError, "0 for every sample"),
        ({"class_weight": {0: 1.0}}, SettingError, "the targets of squared_error are no classes"),
    ],
)
def test_what_does_not_fit_is_named_and_changes_nothing(settings, error, words):
    net = wg.MLP(2, [3, 1], seed=0)
    before = numbers(net)
    with pytest.raises(error, match=words):
        wg.fit(net, X, Y, epochs=2, **settings)
    assert numbers(net) == before


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        ("even", "expected a dict"),
        ({7: 1.0}, "class_weight has a weight for 7, which no target is; the targets: 0, 1, 2"),
        ({0: -1.0}, "the weight of class 0 is -1.0"),
    ],
)
def test_class_weights_that_do_not_fit_are_named(weight, words):
    with pytest.raises(SettingError, match=words):
        wg.fit(wg.MLP(2, [3], seed=0), X, CLASSES, loss="cross_entropy", class_weight=weight)
