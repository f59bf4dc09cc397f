"""Losses against mpmath, far out and close by, in values and in gradients."""

import math
from itertools import pairwise

import mpmath
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from wengert.derive.backward import grad
from wengert.errors import DataError, OperandError, ShapeError, UnknownNameError
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.graph.value import Value
from wengert.train.losses import (
    LOSSES,
    Loss,
    binary_cross_entropy,
    cross_entropy,
    find_loss,
    hinge,
    squared_error,
)

LOGITS = [-1e4, -800.0, -30.0, -1.0, 0.0, 0.5, 30.0, 800.0, 1e4]
finite = st.floats(-50, 50)


def eager(loss, scores, target):
    """The loss and its derivatives by the scores."""
    values = [Value(score) for score in scores]
    out = loss(values if len(values) > 1 else values[0], target)
    out.backward()
    return out.data, [value.grad for value in values]


def symbolic(loss, scores, target):
    """The same from a graph, the target being an input as it is in a training step."""
    graph = Graph()
    z = graph.inputs("z", len(scores))
    y = graph.input("y")
    out = loss(z if len(z) > 1 else z[0], y)
    at = {**dict(zip(z, scores, strict=True)), y: target}
    value, *slopes = evaluate([out, *grad(out, z)], at)
    return value, slopes


def exact_binary(z, y):
    with mpmath.workdps(60):
        value = mpmath.log(1 + mpmath.exp(-mpmath.mpf(z) if y else mpmath.mpf(z)))
        return float(value), float(1 / (1 + mpmath.exp(-mpmath.mpf(z))) - y)


def exact_softmax(scores, label):
    with mpmath.workdps(60):
        weights = [mpmath.exp(mpmath.mpf(z)) for z in scores]
        whole = mpmath.fsum(weights)
        slopes = [float(w / whole - (k == label)) for k, w in enumerate(weights)]
        return float(mpmath.log(whole) - mpmath.mpf(scores[label])), slopes


def close(expected):
    return pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("run", [eager, symbolic])
@pytest.mark.parametrize("z", LOGITS)
@pytest.mark.parametrize("y", [0, 1])
def test_binary_cross_entropy(run, z, y):
    expected, slope = exact_binary(z, y)
    assert run(binary_cross_entropy, [z], y) == (close(expected), [close(slope)])


@pytest.mark.parametrize("run", [eager, symbolic])
@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.parametrize(
    "scores",
    [
        [0.0, 0.0, 0.0],
        [1e4, 0.0, -1e4],
        [-1e4, 1e4, 1e4],
        [1e4, 1e4 + 1, 1e4 - 1],
        [-1e4, -1e4, -1e4 - 2],
        [0.1, -0.7, 2.5],
    ],
)
def test_cross_entropy(run, label, scores):
    expected, slopes = exact_softmax(scores, label)
    assert run(cross_entropy, scores, label) == (close(expected), close(slopes))


@given(st.lists(finite, min_size=2, max_size=6), st.data())
def test_cross_entropy_of_any_scores(scores, data):
    label = data.draw(st.integers(0, len(scores) - 1))
    expected, slopes = exact_softmax(scores, label)
    assert eager(cross_entropy, scores, label) == (close(expected), close(slopes))
    assert cross_entropy(scores, label) == close(expected)


def test_two_classes_are_the_binary_case():
    for z, y in [(1.5, 0), (1.5, 1), (-4.0, 1)]:
        assert cross_entropy([0.0, z], y) == pytest.approx(binary_cross_entropy(z, y), rel=1e-13)


@pytest.mark.parametrize("run", [eager, symbolic])
@pytest.mark.parametrize(
    ("score", "y", "value", "slope"),
    [
        (0.25, 1, 0.75, -1.0),
        (0.25, -1, 1.25, 1.0),
        (2.0, 1, 0.0, 0.0),
        (1.0, 1, 0.0, 0.0),
        (-1e4, 1, 10001.0, -1.0),
        (1e4, 1, 0.0, 0.0),
    ],
)
def test_hinge(run, score, y, value, slope):
    assert run(hinge, [score], y) == (value, [slope])


@pytest.mark.parametrize("run", [eager, symbolic])
def test_squared_error(run):
    assert run(squared_error, [0.5], 2.0) == (2.25, [-3.0])


def test_squared_error_of_several_outputs():
    values = [Value(1.0), Value(-2.0)]
    loss = squared_error(values, [3.0, 1.0])
    loss.backward()
    assert (loss.data, values[0].grad, values[1].grad) == (13.0, -4.0, -6.0)
    with pytest.raises(ShapeError, match="2 predictions and 3 targets"):
        squared_error(values, [1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match="where a sequence"):
        squared_error(values, 1.0)
    with pytest.raises(ShapeError, match="where a sequence"):
        squared_error(1.0, [1.0, 2.0])


def test_losses_take_sympy_symbols():
    a, b = sympy.symbols("a b", real=True)
    at = {a: 0.3, b: -1.2}
    assert float(squared_error(a, b).subs(at)) == pytest.approx(2.25)
    for loss, target in ((binary_cross_entropy, 1), (hinge, -1)):
        assert float(loss(a, target).subs(at)) == pytest.approx(loss(0.3, target))
    expected = cross_entropy([0.3, -1.2], 1)
    assert float(sympy.sympify(cross_entropy([a, b], 1)).subs(at)) == pytest.approx(expected)


def test_probabilities_sum_to_one():
    scores = [0.4, -1.0, 2.2, 0.0]
    probabilities = [math.exp(-cross_entropy(scores, label)) for label in range(4)]
    assert sum(probabilities) == pytest.approx(1)


def test_more_score_for_the_right_class_never_hurts():
    for loss, targets in ((binary_cross_entropy, (0, 1)), (hinge, (-1, 1))):
        falling = [loss(z, targets[1]) for z in LOGITS]
        rising = [loss(z, targets[0]) for z in LOGITS]
        assert all(a >= b for a, b in pairwise(falling))
        assert all(a <= b for a, b in pairwise(rising))


def test_predictions_of_the_wrong_shape():
    for loss in (binary_cross_entropy, hinge):
        with pytest.raises(ShapeError, match=f"{loss.__name__} takes one output"):
            loss([0.1, 0.2], 1)
    for logits in (0.5, [], [0.5]):
        with pytest.raises(ShapeError, match="cross_entropy"):
            cross_entropy(logits, 0)


@pytest.mark.parametrize("label", [-1, 3, 0.5, math.nan, math.inf])
def test_labels_that_are_no_class(label):
    with pytest.raises(DataError, match="whole, from 0 to 2"):
        cross_entropy([0.1, 0.2, 0.3], label)


def test_the_table():
    assert list(LOSSES) == [
        "squared_error",
        "binary_cross_entropy",
        "cross_entropy",
        "soft_cross_entropy",
        "hinge",
    ]
    accepted = {
        name: [t for t in (-1.0, 0.0, 0.5, 1.0, 2.0, 3.0) if loss.accepts(t, 3)]
        for name, loss in LOSSES.items()
    }
    assert accepted == {
        "squared_error": [-1.0, 0.0, 0.5, 1.0, 2.0, 3.0],
        "binary_cross_entropy": [0.0, 1.0],
        "cross_entropy": [0.0, 1.0, 2.0],
        "soft_cross_entropy": [0.0, 0.5, 1.0],
        "hinge": [-1.0, 1.0],
    }


def test_finding_a_loss():
    assert find_loss("hinge") is LOSSES["hinge"] is find_loss(hinge) is find_loss(LOSSES["hinge"])

    def absolute(prediction, target):
        return abs(prediction - target)

    own = find_loss(absolute)
    assert isinstance(own, Loss)
    assert own.name == "absolute"
    for unknown in ("squared_eror", 3, None):
        with pytest.raises(UnknownNameError, match=r"unknown loss .*hinge.*squared_error"):
            find_loss(unknown)


@pytest.mark.parametrize(
    ("loss", "targets", "message"),
    [
        (binary_cross_entropy, [2, -1, 0.5, math.nan], "binary_cross_entropy takes 0 or 1"),
        (hinge, [0, 2, 0.5, math.nan], "hinge takes -1 or 1"),
    ],
)
def test_plain_targets_that_are_none(loss, targets, message):
    for prediction in (0.3, Value(0.3), Graph().input("x")):
        for target in targets:
            with pytest.raises(DataError, match=f"the target is {target}; {message}"):
                loss(prediction, target)
    assert isinstance(loss(Value(0.3), Value(targets[0])), Value)


def test_one_output_where_cross_entropy_wants_more():
    for logits in (Value(0.5), [0.5], 0.5, Graph().input("x")):
        with pytest.raises(ShapeError, match=r"got one output for .* end the network in a "):
            cross_entropy(logits, 0)


def test_squared_error_names_the_operand_that_is_wrong():
    with pytest.raises(ShapeError, match=r"prediction is 1 and the target \[1\]"):
        squared_error(1, [1])
    with pytest.raises(ShapeError, match=r"prediction is \[1\] and the target 1,"):
        squared_error([1], 1)
    with pytest.raises(OperandError, match="the prediction is 'a', a str; expected a number"):
        squared_error("a", 1)
    with pytest.raises(OperandError, match="the target is None, a NoneType"):
        squared_error(1, None)
    with pytest.raises(OperandError, match="the target of output 1 is 'b', a str"):
        squared_error([1, 2], [1, "b"])
    with pytest.raises(ShapeError, match=r"the prediction is \[\]"):
        squared_error([], [])


@pytest.mark.parametrize("loss", [binary_cross_entropy, hinge])
def test_what_is_no_number_is_no_prediction_or_target(loss):
    with pytest.raises(OperandError, match=f"{loss.__name__}: the prediction is 'a', a str"):
        loss("a", 1)
    with pytest.raises(OperandError, match=rf"{loss.__name__}: the target is \[1\], a list"):
        loss(0.3, [1])
