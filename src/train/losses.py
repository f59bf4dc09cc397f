"""Losses: what training makes small, as expressions of one sample's prediction and target.

Classification losses take logits, the scores before a sigmoid or softmax, because only there can
they be computed without overflow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import reduce
from numbers import Real
from typing import Any, Final, Literal

from ..errors import DataError, OperandError, ShapeError, UnknownNameError, kind_of, shorten
from ..graph.arithmetic import Arithmetic, is_operand
from ..ops.record import plain_number
from ..ops.scalar import equal, exp, log, maximum, relu, softplus, stop_gradient, where
from ..ops.shapes import is_array
from ..storage import restore


def squared_error(prediction: Any, target: Any) -> Any:
    """(prediction - target)², summed over the outputs when both are sequences of one length.

    >>> squared_error(0.5, 1.0), squared_error([0.5, 2.0], [1.0, 0.0])
    (0.25, 4.25)
    """
    kinds = _is_sequence(prediction), _is_sequence(target)
    if kinds == (False, False):
        prediction = _number(prediction, "prediction", "squared_error")
        return _square(prediction - _number(target, "target", "squared_error"))
    if not all(kinds):
        raise ShapeError(
            f"squared_error: the prediction is {shorten(prediction)} and the target "
            f"{shorten(target)}, where a sequence and a number do not go together; give two "
            "numbers, or two sequences of one length"
        )
    predictions = _outputs(prediction, "prediction", "squared_error")
    targets = _outputs(target, "target", "squared_error")
    if len(predictions) != len(targets):
        raise ShapeError(
            f"squared_error: {len(predictions)} predictions and {len(targets)} targets; "
            "give one target for each"
        )
    first, *rest = (_square(p - t) for p, t in zip(predictions, targets, strict=True))
    return sum(rest, first)


def binary_cross_entropy(logit: Any, target: Any) -> Any:
    """-log of the probability that sigmoid(logit) gives to `target`, which is 0 or 1.

    Written softplus(z) - y·z, the logarithm taken into the sigmoid, so that no logit overflows
    (Murphy, *Probabilistic Machine Learning: An Introduction*, 2022, section 10.2.3).

    >>> round(binary_cross_entropy(0.0, 1), 6), binary_cross_entropy(10000.0, 0)
    (0.693147, 10000.0)
    """
    logit = _one(logit, "binary_cross_entropy")
    return softplus(logit) - _target(target, "binary_cross_entropy") * logit


def cross_entropy(logits: Sequence[Any], label: Any) -> Any:
    """-log of the probability that softmax(logits) gives to class `label`, a whole number from 0.

    Written log Σ exp(z - m) + (m - z[label]) with m the largest logit, so that no logit overflows;
    m cancels, so no derivative passes through it (Blanchard, Higham & Higham 2021, "Accurately
    computing the log-sum-exp and softmax functions"; Murphy 2022, section 2.5.4).

    >>> round(cross_entropy([0.0, 0.0], 1), 6), cross_entropy([10000.0, 0.0, -10000.0], 1)
    (0.693147, 10000.0)
    """
    scores = _outputs(logits, "prediction", "cross_entropy") if _is_sequence(logits) else [logits]
    if len(scores) < 2:
        _number(scores[0], "prediction", "cross_entropy")
        raise ShapeError(
            "cross_entropy got one output for a sample, where a sequence of a logit for each class "
            "should be; end the network in a layer of 2 neurons or more, or use another loss"
        )
    label = _target(label, "cross_entropy", len(scores))
    shift = stop_gradient(reduce(maximum, scores))
    first, *rest = (exp(z - shift) for z in scores)
    chosen, *others = (where(equal(label, k), z, 0.0) for k, z in enumerate(scores))
    return log(sum(rest, first)) + (shift - sum(others, chosen))


def soft_cross_entropy(logits: Sequence[Any], shares: Sequence[Any]) -> Any:
    """The cross-entropy of softmax(logits) with a distribution: a share for each class.

    Σ p·(log Σ exp(z - m) + m - z) with m the largest logit, as `cross_entropy` is written, which
    this is when one share is 1 and the others are 0. Shares that do not add up to 1 are taken as
    they are (Szegedy et al. 2016, "Rethinking the Inception architecture", section 7, for smoothed
    labels).

    >>> round(soft_cross_entropy([0.0, 0.0], [0.5, 0.5]), 6)
    0.693147
    >>> soft_cross_entropy([3.0, 1.0], [0.0, 1.0]) == cross_entropy([3.0, 1.0], 1)
    True
    """
    if not _is_sequence(logits) or not _is_sequence(shares) or len(logits) != len(shares):
        raise ShapeError(
            f"soft_cross_entropy takes a logit and a share for each class; the prediction is "
            f"{shorten(logits)} and the target {shorten(shares)}"
        )
    scores = _outputs(logits, "prediction", "soft_cross_entropy")
    wanted = _outputs(shares, "target", "soft_cross_entropy")
    shift = stop_gradient(reduce(maximum, scores))
    first, *rest = (exp(z - shift) for z in scores)
    spread = log(sum(rest, first))
    first, *rest = (p * (spread + (shift - z)) for p, z in zip(wanted, scores, strict=True))
    return sum(rest, first)


def hinge(score: Any, target: Any) -> Any:
    """max(0, 1 - target·score), `target` being -1 or 1: 0 once the score is right by 1 or more.

    The slack of the soft margin of Cortes & Vapnik 1995, "Support-vector networks", section 3, as a
    penalty. At the margin itself the derivative is 0.

    >>> hinge(0.25, 1), hinge(0.25, -1), hinge(3.0, 1)
    (0.75, 1.25, 0.0)
    """
    score = _one(score, "hinge")
    return relu(1 - _target(target, "hinge") * score)


@dataclass(frozen=True, repr=False)
class Loss:
    """A loss and what its targets may be.

    name      what `fit` calls it
    function  (prediction, target) -> scalar, for one sample, on any kind of number
    targets   says what a target is, given the number of outputs, for error texts
    accepts   whether a number is a target, given the number of outputs
    paired    whether there is a target for each output, rather than one for all of them
    """

    __setstate__ = restore

    name: str
    function: Callable[[Any, Any], Any]
    targets: Callable[[int], str]
    accepts: Callable[[float, int], bool]
    paired: bool = False

    def __repr__(self) -> str:
        return f"<loss {self.name}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        """A loss that `fit` knows is pickled by its name, any other as records are."""
        return (find_loss, (self.name,)) if LOSSES.get(self.name) is self else super().__reduce__()


def _is_class(number: float, classes: int) -> bool:
    return number.is_integer() and 0 <= number < classes


def _class_numbers(classes: int) -> str:
    return f"class numbers, whole, from 0 to {classes - 1}; soft_cross_entropy takes shares"


LossName = Literal[
    "squared_error", "binary_cross_entropy", "cross_entropy", "soft_cross_entropy", "hinge"
]
"""The losses that `fit` knows by name."""

LOSSES: Final[dict[str, Loss]] = {
    loss.name: loss
    for loss in (
        Loss("squared_error", squared_error, lambda n: "finite numbers", lambda t, n: True, True),
        Loss(
            "binary_cross_entropy",
            binary_cross_entropy,
            lambda n: "0 or 1",
            lambda t, n: t in (0, 1),
        ),
        Loss("cross_entropy", cross_entropy, _class_numbers, _is_class),
        Loss(
            "soft_cross_entropy",
            soft_cross_entropy,
            lambda n: "shares, from 0 to 1",
            lambda t, n: 0 <= t <= 1,
            True,
        ),
        Loss("hinge", hinge, lambda n: "-1 or 1", lambda t, n: t in (-1, 1)),
    )
}
"""Every loss by name."""


def find_loss(loss: Any) -> Loss:
    """The record of a loss given by name, by its function, or as a record.

    A function of one's own becomes a record that accepts every finite target, one for each output.

    >>> find_loss("hinge").targets(1), find_loss(hinge).name
    ('-1 or 1', 'hinge')
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str) and loss in LOSSES:
        return LOSSES[loss]
    for known in LOSSES.values():
        if known.function is loss:
            return known
    if callable(loss):
        name = getattr(loss, "__name__", type(loss).__name__)
        return Loss(name, loss, lambda n: "finite numbers", lambda t, n: True, True)
    raise UnknownNameError.of("loss", loss, LOSSES)


def _square(error: Any) -> Any:
    """error², which for a float is a product, because `**` would raise where it overflows."""
    return error * error if isinstance(error, Real) else error**2


def _is_sequence(thing: Any) -> bool:
    single = isinstance(thing, (Arithmetic, Real, str, bytes, Mapping, Set))
    return not single and hasattr(thing, "__len__")


def _outputs(thing: Any, what: str, loss: str) -> list[Any]:
    """The numbers of a sequence, which must not be empty."""
    if not len(thing):
        raise ShapeError(f"{loss}: the {what} is {shorten(thing)}; expected one number or more")
    return [_number(item, f"{what} of output {k}", loss) for k, item in enumerate(thing)]


def _number(thing: Any, what: str, loss: str) -> Any:
    """A prediction or target that can be computed with."""
    if not is_operand(thing) and not is_array(thing):
        raise OperandError(
            f"{loss}: the {what} is {shorten(thing)}, {kind_of(thing)}; expected a number"
        )
    return thing


def _target(target: Any, loss: str, outputs: int = 1) -> Any:
    """A target, which is one that the loss accepts if it is a plain number."""
    known = LOSSES[loss]
    _number(target, "target", loss)
    if isinstance(target, Real) and not known.accepts(float(plain_number(target)), outputs):
        raise DataError(f"the target is {shorten(target)}; {loss} takes {known.targets(outputs)}")
    return target


def _one(thing: Any, loss: str) -> Any:
    """A prediction that must be a single number."""
    if _is_sequence(thing):
        raise ShapeError(
            f"{loss} takes one output for a sample, got {len(thing)}; "
            "end the network in a layer of 1 neuron, or use another loss"
        )
    return _number(thing, "prediction", loss)
