"""A training run: where it stands between epochs, what it saves, and how it shows."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final

from ..codegen.compiled import Compiled
from ..codegen.native.loop import NativeLoop
from ..codegen.scalar.loop import Loop, Progress, Stopped, take_steps
from ..graph.value import Value
from ..terminal import WIDE, columns, shows_progress
from .batches import ArrayBatches, Batches
from .checkpoint import Checkpoint, save_checkpoint
from .mesh import MeshStep
from .step import numbers_of
from .validation import Validation

Callback = Callable[[int, float, Any], Any]

ARRAYS: Final = ("numpy", "native", "jax", "torch")
"""The targets whose steps take arrays."""


class Run:
    """Where a training run stands: the numbers that the last whole step left."""

    def __init__(
        self, step: Compiled | MeshStep, parameters: list[Value], state: list[float], mean: bool
    ) -> None:
        self._step = step
        plain = step if isinstance(step, Compiled) else None
        self._loop = Loop(plain) if plain and plain.target == "python" else None
        self._native = NativeLoop(plain) if plain and plain.target == "native" else None
        self._arrays = step.target in ARRAYS
        self._parameters = parameters
        self._params = self._numbers(numbers_of(parameters))
        self._state = self._numbers(state)
        self._mean = mean
        self._seconds = math.inf
        self._written = True
        self._best: tuple[int, Any, Any] | None = None
        self.losses: list[float] = []
        self.looks: Validation | None = None
        self.patience: int | None = None

    def _numbers(self, numbers: list[float]) -> Any:
        """The numbers as the step takes them."""
        if not self._arrays:
            return numbers
        import numpy

        return numpy.array(numbers, numpy.float64)

    def _fetched(self, numbers: Any) -> Any:
        """Numbers that a step gave, all of them here."""
        return self._step.fetched(numbers) if isinstance(self._step, MeshStep) else numbers

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
        if not _all_finite(self._fetched(progress.params)):
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
            if progress.stopped == "diverged" or not _all_finite(self._fetched(progress.params)):
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

    def go_on(self, before: Checkpoint, batches: Batches) -> None:
        """Stand where a run stood; without parameters in it, those of the network stay."""
        self.losses = list(before.loss)
        self._state = self._numbers(list(before.state))
        if before.params:
            self._params, self._written = self._numbers(list(before.params)), False
        if before.order is not None:
            batches.restore(before.order)
        if self.looks is None:
            return
        self.looks.loss = list(before.validation_loss)
        self.looks.found = {name: list(found) for name, found in before.metrics.items()}
        if before.best_epoch:
            kept = before.best_params, before.best_state
            self._best = before.best_epoch, *(self._numbers(list(numbers)) for numbers in kept)

    def look(self) -> Stopped:
        """Measure on the validation data; whether patience is at its end."""
        assert self.looks is not None
        loss = self.looks.look(self._fetched(self._params))
        if self.patience is None:
            return "finished"
        if self._best is None or loss < self.looks.loss[self._best[0] - 1]:
            self._best = len(self.looks.loss), self._params, self._state
        if not self.is_out_of_patience():
            return "finished"
        _, self._params, self._state = self._best
        self._written = False
        return "patience"

    def is_out_of_patience(self) -> bool:
        """Whether the best epoch is as long ago as patience allows."""
        if self.patience is None or self.looks is None or self._best is None:
            return False
        return len(self.looks.loss) - self._best[0] >= self.patience

    def remembered(self) -> list[float]:
        """The optimizer's state as a list."""
        return self._listed(self._state)

    def best(self) -> tuple[int, list[float], list[float]] | None:
        """The best epoch and the numbers it left, where patience is asked for."""
        if self._best is None:
            return None
        epoch, params, state = self._best
        return epoch, self._listed(params), self._listed(state)

    def standing(self, batches: Batches, network: str, optimizer: str) -> Checkpoint:
        """Everything that going on needs, as it is now."""
        looks = self.looks
        return Checkpoint(
            self._listed(self._params),
            self._listed(self._state),
            list(self.losses),
            list(looks.loss) if looks is not None else [],
            {name: list(found) for name, found in looks.found.items()} if looks is not None else {},
            network,
            optimizer,
            batches.state(),
            *(self.best() or ()),
        )

    def _listed(self, numbers: Any) -> list[float]:
        numbers = self._fetched(numbers)
        return [float(x) for x in (numbers.tolist() if self._arrays else numbers)]

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
        for parameter, number in zip(self._parameters, self._listed(self._params), strict=True):
            parameter.data = number
        self._written = True


class Saved:
    """The checkpoints of a run, or nothing at all."""

    def __init__(
        self, path: Any, every: int, run: Run, batches: Batches, network: str, optimizer: str
    ) -> None:
        self._path, self._every, self._run, self._batches = path, every, run, batches
        self._network, self._optimizer = network, optimizer
        self._waiting: Checkpoint | None = None

    def left(self) -> int:
        """After how many epochs, at the most, `note` wants to be called."""
        if self._path is None:
            return sys.maxsize
        return self._every - len(self._run.losses) % self._every

    def note(self, stopped: Stopped) -> None:
        """The run stands between epochs: remember where, and save that if it is time."""
        if self._path is None or stopped in ("interrupted", "diverged"):
            return
        self._waiting = self._run.standing(self._batches, self._network, self._optimizer)
        if len(self._run.losses) % self._every == 0:
            self.write()

    def write(self) -> None:
        """Save where the run stood last between two epochs, unless that was done."""
        if self._waiting is not None:
            save_checkpoint(self._path, self._waiting)
        self._waiting = None


def _all_finite(numbers: Any) -> bool:
    """Whether numbers are finite, by their sum; one by one where that alone is not."""
    listed = numbers.tolist() if hasattr(numbers, "tolist") else numbers
    return math.isfinite(sum(listed)) or all(map(math.isfinite, listed))


class Bar:
    """A progress bar over the epochs, or nothing at all."""

    def __init__(self, epochs: int, progress: bool | None, done: int) -> None:
        self._bar: Any = None
        if progress or (progress is None and shows_progress()):
            from tqdm.auto import tqdm

            # What counts stands first, and in a narrow terminal alone.
            form = "{desc} {n_fmt}/{total_fmt}{postfix} |{bar}|"
            form += " {rate_fmt} {remaining}" if columns() >= WIDE else ""
            self._bar = tqdm(
                total=epochs, initial=done, desc="fit", unit=" epochs", bar_format=form
            )

    def show(self, losses: Sequence[float]) -> None:
        """So many epochs are done, with these losses."""
        if self._bar is not None and losses:
            self._bar.set_postfix_str(f"loss {losses[-1]:.4g}", refresh=False)
            self._bar.update(len(losses) - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
