"""Validation: a loss and other measures on data that are not trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..codegen.compiled import Compiled, compile
from ..codegen.target import find_target
from ..errors import DataError, SettingError, UnknownNameError, kind_of, shorten
from ..ops.shapes import is_array
from .data import read_rows, read_targets
from .losses import Loss
from .step import Sample, reduction

Metric = Callable[[Sequence[Any], Sequence[Any]], float]
"""A measure of predictions, the network's outputs for every row, and of their targets."""


def accuracy(predictions: Sequence[Any], targets: Sequence[Any]) -> float:
    """The share of rows whose class is the target: the largest output, or the sign of a single one.

    A single output above 0 stands for the larger of the targets 0 and 1, or -1 and 1. Of a target
    that is shares of classes it is the largest share.

    >>> accuracy([[0.1, 2.0], [3.0, 0.0]], [1, 1]), accuracy([0.5, -2.0, 1.0], [1, 0, 0])
    (0.5, 0.6666666666666666)
    >>> accuracy([[0.1, 2.0], [3.0, 0.0]], [[0.3, 0.7], [0.4, 0.6]])
    0.5
    """
    if not len(targets):
        raise DataError("accuracy of no targets; give one or more")
    right = 0
    for prediction, target in zip(predictions, targets, strict=True):
        if _is_row(prediction):
            right += _largest(prediction) == (_largest(target) if _is_row(target) else target)
        else:
            right += (prediction > 0) == (target > 0)
    return right / len(targets)


def _is_row(numbers: Any) -> bool:
    return isinstance(numbers, (list, tuple))


def _largest(row: Sequence[float]) -> int:
    """Where the largest number stands."""
    return max(range(len(row)), key=row.__getitem__)


METRICS: Final[dict[str, Metric]] = {"accuracy": accuracy}
"""Every metric by the name `fit` accepts."""


def find_metrics(metrics: Any) -> dict[str, Metric]:
    """Metrics by name, from names, functions or a dict of them.

    >>> list(find_metrics(["accuracy"])), list(find_metrics({"right": accuracy}))
    (['accuracy'], ['right'])
    """
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    if not isinstance(metrics, Iterable):
        raise SettingError(
            f"metrics is {shorten(metrics)}, {kind_of(metrics)}; expected names, functions "
            "(predictions, targets) -> number, or a dict of these"
        )
    if isinstance(metrics, Mapping):
        return {str(name): _metric(metric) for name, metric in metrics.items()}
    named = [(getattr(m, "__name__", m) if callable(m) else m, _metric(m)) for m in metrics]
    return {str(name): metric for name, metric in named}


def _metric(metric: Any) -> Metric:
    if callable(metric):
        return metric  # type: ignore[no-any-return]
    if isinstance(metric, str) and metric in METRICS:
        return METRICS[metric]
    raise UnknownNameError.of("metric", metric, METRICS)


@dataclass
class Validation:
    """The measures of a run on its validation data, an entry an epoch."""

    measure: Compiled
    data: tuple[Any, Any]
    targets: list[Any]
    metrics: Mapping[str, Metric]
    loss: list[float] = field(default_factory=list)
    found: dict[str, list[float]] = field(default_factory=dict)

    def look(self, params: Any) -> float:
        """Note the loss and the metrics for these parameters; the loss."""
        with find_target(self.measure.recipe.options.target).computing():
            result = self.measure(params, *self.data)
            self.loss.append(float(result["loss"]))
            predictions = _listed(result["outputs"]) if self.metrics else []
        if self.metrics:
            for name, metric in self.metrics.items():
                self.found.setdefault(name, []).append(float(metric(predictions, self.targets)))
        return self.loss[-1]


def prepare_validation(
    validation: Any, metrics: Any, sample: Sample, loss: Loss, reduce: str, target: str
) -> Validation | None:
    """The validation of a run, checked and compiled; None where there is none."""
    wanted = find_metrics(metrics) if metrics is not None else {}
    if validation is None:
        if wanted:
            raise SettingError(
                f"metrics ({', '.join(wanted)}) are measured on validation data; give "
                "validation=(X, Y)"
            )
        return None
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise SettingError(
            f"validation is {shorten(validation)}, {kind_of(validation)}; expected a pair (X, Y)"
        )
    rows = read_rows(validation[0], len(sample.x), "validation X")
    targets = read_targets(validation[1], len(rows), loss, sample.outputs, "validation Y")
    outputs: dict[str, Any] = {"loss": reduction(sample.graph, reduce)(sample.loss)}
    if wanted:
        outputs["outputs"] = sample.prediction
    measure = compile(
        {"params": sample.leaves, "X": sample.x, "Y": sample.y},
        outputs,
        batch=("X", "Y"),
        reduce=None,
        target=target,
    )
    given: Any = (rows, targets)
    if target != "python":
        import numpy

        given = tuple(numpy.asarray(part, numpy.float64) for part in given)
    elif is_array(rows):
        given = (rows.tolist(), targets)
    return Validation(measure, given, targets, wanted)


def _listed(outputs: Any) -> list[Any]:
    """Predictions, which come output by output, as numbers or as a list for each row."""
    columns = [c.tolist() if hasattr(c, "tolist") else c for c in outputs]
    if columns and isinstance(columns[0], list):
        return [list(row) for row in zip(*columns, strict=True)]
    return columns
