"""Weights of samples: how much each one's loss counts.

A weight rides along as one more number of a sample's target, so that steps, batches and targets of
every kind stay what they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..errors import DataError, SettingError, ShapeError, kind_of, shorten
from ..ops.data import read_data
from .losses import Loss
from .settings import NOT_NEGATIVE

BALANCED: Final = "balanced"
"""The class weights that let every class count alike in all."""


def read_weights(sample_weight: Any, class_weight: Any, targets: Sequence[Any], loss: Loss) -> Any:
    """A weight for each sample: the product of its own and of its class's; None without any.

    sample_weight   a number for each sample, 0 or more; or None
    class_weight    a dict from a target to its weight, 1 where there is none; "balanced" for
                    n / (classes · samples of the class), as in King & Zeng 2001, "Logistic
                    regression in rare events data"; or None

    What does not fit is a `ShapeError`, `DataError` or `SettingError`.

    >>> from .losses import find_loss
    >>> read_weights(None, "balanced", [0.0, 0.0, 0.0, 1.0], find_loss("binary_cross_entropy"))
    [0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 2.0]
    """
    own = None if sample_weight is None else _of_samples(sample_weight, len(targets))
    if class_weight is None:
        return own
    found = _of_classes(class_weight, targets, loss)
    weights = [found.get(target, 1.0) for target in targets]
    return weights if own is None else [a * b for a, b in zip(own, weights, strict=True)]


def _of_samples(sample_weight: Any, count: int) -> list[float]:
    read = read_data(sample_weight, "sample_weight", DataError)
    numbers = read.tolist() if hasattr(read, "tolist") else read
    if not isinstance(numbers, list):
        raise ShapeError(
            f"sample_weight is {shorten(sample_weight)}, {kind_of(sample_weight)}; expected a "
            "number for each sample"
        )
    if len(numbers) != count:
        raise ShapeError(
            f"sample_weight has {len(numbers)} numbers for {count} rows of X; give one for each"
        )
    for i, number in enumerate(numbers):
        NOT_NEGATIVE.check(number, f"the weight of sample {i}")
    if not any(numbers):
        raise DataError("sample_weight is 0 for every sample; there is nothing to train on")
    return [float(number) for number in numbers]


def _of_classes(class_weight: Any, targets: Sequence[Any], loss: Loss) -> dict[float, float]:
    if loss.paired:
        raise SettingError(
            f"class_weight is given, but the targets of {loss.name} are no classes; "
            "use sample_weight, or a loss such as cross_entropy"
        )
    counts = Counter(targets)
    if isinstance(class_weight, str) and class_weight == BALANCED:
        return {kind: len(targets) / (len(counts) * n) for kind, n in counts.items()}
    if not isinstance(class_weight, Mapping):
        raise SettingError(
            f"class_weight is {shorten(class_weight)}, {kind_of(class_weight)}; expected a dict "
            f"from targets to their weights, or {BALANCED!r}"
        )
    found = {}
    for kind, weight in class_weight.items():
        NOT_NEGATIVE.check(weight, f"the weight of class {shorten(kind)}")
        if kind not in counts:
            known = ", ".join(f"{number:g}" for number in sorted(counts)[:10])
            raise SettingError(
                f"class_weight has a weight for {shorten(kind)}, which no target is; "
                f"the targets: {known}"
            )
        found[float(kind)] = float(weight)
    return found


def with_weights(targets: Sequence[Any], weights: Sequence[float]) -> list[list[float]]:
    """Targets with their weights behind them.

    >>> with_weights([1.0, [2.0, 3.0]], [0.5, 1.0])
    [[1.0, 0.5], [2.0, 3.0, 1.0]]
    """
    return [
        [*target, weight] if isinstance(target, list) else [target, weight]
        for target, weight in zip(targets, weights, strict=True)
    ]
