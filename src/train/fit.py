"""Training: the loop around one compiled step."""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final, Literal

from ..codegen.compiled import Compiled
from ..codegen.native.loop import NativeLoop
from ..codegen.scalar.loop import Loop, Progress, Stopped, take_steps
from ..errors import SettingError, kind_of, shorten
from ..graph.value import Value
from ..ops.shapes import is_array
from .batches import ArrayBatches, Batches, ListBatches
from .choice import AUTO, check_memory, check_target
from .data import read_rows, read_targets
from .history import History
from .interrupts import OneInterrupt
from .losses import Loss, LossName, find_loss
from .optim import Optimizer, OptimizerName, find_optimizer
from .seeds import Seed, generator
from .step import (
    Trainable,
    check_count,
    compile_training,
    numbers_of,
    parameters_of,
    sample_loss,
)

Callback = Callable[[int, float, Any], Any]
_ARRAYS: Final = ("numpy", "native")
"""The targets whose steps take arrays."""
_TURN: Final = 0.05
"""Seconds between looks at the progress bar."""


def fit(
    net: Trainable,
    X: Any,
    Y: Any,
    *,
    loss: LossName | Loss | Callable[[Any, Any], Any] = "squared_error",
    optimizer: OptimizerName | Optimizer = "sgd",
    epochs: int = 100,
    batch_size: int | None = None,
    shuffle: bool = True,
    seed: Seed = 0,
    reduce: str = "sum",
    target: Literal["auto", "python", "numpy"] = AUTO,
    callback: Callback | None = None,
    progress: bool | None = None,
) -> History:
    """Train `net` in place on rows `X` and targets `Y`; what happened comes back as a `History`.

    loss        a name in `wengert.LOSSES`, or a function (prediction, target) -> scalar
    optimizer   `SGD(lr)`, `Momentum`, `Adam`, `AdamW`, or a name for one with default settings
    epochs      how often every sample is visited
    batch_size  samples to a step; None, or one no smaller than the data, takes them all in each
                step
    shuffle     whether mini-batches are drawn anew each epoch
    seed        a seed, a `random.Random`, or None to draw the order from Python's global `random`
    reduce      "sum" or "mean" of the samples' losses in a step; the gradient is that of the
                reduced loss
    target      what the step is compiled to: "python", "numpy", "native" (whole epochs in machine
                code; needs llvmlite), or "auto" for the one that is estimated to be fastest;
                `history.target` and `history.reason` say which and why
    callback    called as callback(epoch, loss, net) after each epoch, counted from 0; an answer
                that is true ends the training; it may change the parameters
    progress    whether to show a progress bar (tqdm); None means: when stderr is a terminal

    An epoch's loss is that before its updates: with mini-batches, the sum over its batches, or
    their mean weighted by size. Ctrl-C ends the training and keeps the parameters of the last whole
    step: `history.stopped` is then "interrupted"; pressed again, it waits until they are written. A
    loss or a parameter that comes out infinite or nan ends it too ("diverged"), with the parameters
    from before that step. The targets agree up to rounding.

    `X` and `Y` may be lists or arrays. Wrong data or settings raise before anything is changed: a
    `ShapeError` for rows that do not fit the network, a `DataError` for empty data, numbers that
    are not finite and targets that the loss does not take, an `UnknownNameError` or `SettingError`
    for settings, a `SizeError` for steps of more samples than arrays may hold.

    >>> from wengert.train.nn import MLP
    >>> net = MLP(2, [4, 1], seed=0)
    >>> fit(net, [[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1], epochs=500).loss[-1] < 4
    True
    """
    # before the data, so that arguments in another order are noticed here
    numbers_of(parameters_of(net))
    chosen, rule = find_loss(loss), find_optimizer(optimizer)
    check_target(target)
    check_count(epochs, "epochs")
    if batch_size is not None:
        check_count(batch_size, "batch_size")
    _check_callback(callback)
    source = generator(seed)
    rows = read_rows(X, getattr(net, "nin", None))
    sample = sample_loss(net, len(rows[0]), chosen)
    targets = read_targets(Y, len(rows), chosen, sample.outputs)
    size = len(rows) if batch_size is None else min(int(batch_size), len(rows))
    steps = int(epochs) * -(-len(rows) // size)
    made = compile_training(sample, rule, reduce, target, size, steps)
    check_memory(made.step, size)
    order = None
    if shuffle and size < len(rows):
        order = source or random.Random(random.getrandbits(64))

    kind = ArrayBatches if made.step.target in _ARRAYS else ListBatches
    batches = kind(rows, targets, size, order)
    run = _Run(made.step, sample.parameters, rule.state(len(sample.parameters)), reduce == "mean")
    stopped: Stopped = "finished"
    bar = _Bar(int(epochs), progress)
    start = time.perf_counter()
    with OneInterrupt() as interrupts:
        try:
            while len(run.losses) < epochs and stopped == "finished":
                left = int(epochs) - len(run.losses)
                count = 1 if callback is not None else run.epochs_in(_TURN, left)
                stopped = run.epochs(batches, count)
                bar.show(run.losses)
                if callback is not None and stopped == "finished":
                    stopped = run.consult(callback, net)
                    interrupts.expect()
        except KeyboardInterrupt:
            stopped = "interrupted"
        finally:
            interrupts.hold()
            run.write()
            bar.close()
    seconds = time.perf_counter() - start
    return History(run.losses, stopped, seconds, made.step.target, made.reason)


def _check_callback(callback: Any) -> None:
    if callback is not None and not callable(callback):
        raise SettingError(
            f"callback is {shorten(callback)}, {kind_of(callback)}; "
            "expected a function callback(epoch, loss, net), or None"
        )


class _Run:
    """Where a training run stands: the numbers that the last whole step left."""

    def __init__(
        self, step: Compiled, parameters: list[Value], state: list[float], mean: bool
    ) -> None:
        self._step = step
        self._loop = Loop(step) if step.target == "python" else None
        self._native = NativeLoop(step) if step.target == "native" else None
        self._arrays = step.target in _ARRAYS
        self._parameters = parameters
        self._params = self._numbers(numbers_of(parameters))
        self._state = self._numbers(state)
        self._mean = mean
        self._seconds = math.inf
        self._written = True
        self.losses: list[float] = []

    def _numbers(self, numbers: list[float]) -> Any:
        """The numbers as the step takes them."""
        if not self._arrays:
            return numbers
        import numpy

        return numpy.array(numbers, numpy.float64)

    def _take(self, batches: Batches, count: int) -> Progress:
        """Take the steps of so many epochs."""
        if self._native is not None and isinstance(batches, ArrayBatches):
            orders = batches.orders(count)
            given = (batches.data, batches.size, orders, count)
            return self._native(self._params, self._state, *given)
        steps = (batch for _ in range(count) for batch in batches)
        if self._loop is not None:
            return self._loop(self._params, self._state, steps)
        return take_steps(self._step, self._params, self._state, steps)

    def epochs_in(self, seconds: float, most: int) -> int:
        """About how many epochs take so long, one at first and at most `most`."""
        return max(1, min(most, int(seconds / self._seconds)))

    def epochs(self, batches: Batches, count: int) -> Stopped:
        """Take every step of `count` epochs, note the losses of those reached; how it ended.

        Numbers that are not finite stay so, whatever steps follow; where the last ones are not, the
        steps are taken again one by one, up to the first that would make them so.
        """
        start, state = time.perf_counter(), batches.state()
        progress = self._take(batches, count)
        if not _all_finite(progress.params):
            batches.restore(state)
            progress = self._take_finite(batches, count, len(progress.losses), progress.stopped)
        self._seconds = max(1e-9, (time.perf_counter() - start) / count)
        losses = self._of_epochs(progress, batches)
        # Python looks for signals after the last of these calls, and at none of these stores
        self._params, self._state, self._written = progress.params, progress.state, False
        self.losses.extend(losses)
        return progress.stopped

    def _of_epochs(self, progress: Progress, batches: Batches) -> list[float]:
        """The losses of the epochs that steps were taken of."""
        each = len(batches.sizes)
        if each == 1:
            return progress.losses
        losses = []
        for first in range(0, len(progress.losses), each):
            part = progress.losses[first : first + each]
            if len(part) == each or progress.stopped == "diverged":
                losses.append(self._loss(part, batches.sizes, len(batches)))
        return losses

    def _take_finite(self, batches: Batches, count: int, taken: int, stopped: Stopped) -> Progress:
        """The steps that were taken, again, but for the first that leaves what is not finite."""
        params, state, losses = self._params, self._state, []
        steps = (batch for _ in range(count) for batch in batches)
        for batch in islice(steps, taken):
            progress = take_steps(self._step, params, state, [batch])
            losses += progress.losses
            if progress.stopped == "diverged" or not _all_finite(progress.params):
                return Progress(losses, params, state, "diverged")
            params, state = progress.params, progress.state
        return Progress(losses, params, state, stopped)

    def _loss(self, losses: Sequence[float], sizes: Iterable[int], samples: int) -> float:
        """An epoch's loss from those of its batches: their sum, or their mean weighted by size."""
        if not self._mean:
            try:
                return math.fsum(losses) if math.isfinite(losses[-1]) else losses[-1]
            except OverflowError:
                return math.inf if losses[-1] > 0 else -math.inf
        return sum(loss * size / samples for loss, size in zip(losses, sizes, strict=False))

    def consult(self, callback: Callback, net: Any) -> Stopped:
        """What the callback answers; it sees the parameters, and may change them."""
        self.write()
        answer = callback(len(self.losses) - 1, self.losses[-1], net)
        self._params = self._numbers(numbers_of(self._parameters))
        return "callback" if answer else "finished"

    def write(self) -> None:
        """Give the network's parameters their numbers, unless it has them, or others since."""
        if self._written:
            return
        numbers = self._params.tolist() if self._arrays else self._params
        for parameter, number in zip(self._parameters, numbers, strict=True):
            parameter.data = float(number)
        self._written = True


def _all_finite(numbers: Any) -> bool:
    """Whether numbers are finite, by their sum; one by one where that alone is not."""
    listed = numbers.tolist() if is_array(numbers) else numbers
    return math.isfinite(sum(listed)) or all(map(math.isfinite, listed))


class _Bar:
    """A progress bar over the epochs, or nothing at all."""

    def __init__(self, epochs: int, progress: bool | None) -> None:
        self._bar: Any = None
        if progress or (progress is None and sys.stderr.isatty()):
            from tqdm.auto import tqdm

            self._bar = tqdm(total=epochs, desc="fit", unit="epoch")

    def show(self, losses: Sequence[float]) -> None:
        """So many epochs are done, with these losses."""
        if self._bar is not None and losses:
            self._bar.set_postfix_str(f"loss {losses[-1]:.4g}", refresh=False)
            self._bar.update(len(losses) - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
