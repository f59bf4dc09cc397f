"""Training: one compiled function per step, and the loop around it."""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Final, Protocol

from .codegen.batches import ArrayBatches, Batches, ListBatches
from .codegen.choice import AUTO, Choice, check_memory, check_target, compile_step
from .codegen.compiled import Compiled
from .codegen.loop import Loop, Progress, take_steps
from .data import read_rows, read_targets
from .errors import OperandError, SettingError, ShapeError, UnknownNameError, shorten
from .graph.backward import grad
from .graph.expr import Expr, Graph
from .graph.ops import total
from .graph.shapes import is_array
from .graph.stable import stable_form
from .graph.value import Value
from .history import History, Stopped
from .losses import Loss, find_loss
from .optim import Optimizer, find_optimizer

Callback = Callable[[int, float, Any], Any]
REDUCTIONS: Final = ("mean", "sum")
_TURN: Final = 0.05
"""Seconds between looks at the progress bar."""


class Trainable(Protocol):
    """What can be trained: a call on one row of inputs, and the leaf `Value`s it depends on."""

    def __call__(self, x: Any) -> Any:
        """The prediction for one row of inputs."""

    def parameters(self) -> Iterable[Value]:
        """The leaves that training moves."""


@dataclass(frozen=True)
class _Sample:
    """The network and its loss for one sample, as a graph."""

    graph: Graph
    parameters: list[Value]
    leaves: list[Expr]
    x: list[Expr]
    y: Expr | list[Expr]
    outputs: int | None
    loss: Expr


def training_step(
    net: Trainable,
    nin: int | None = None,
    *,
    loss: str | Loss | Callable[[Any, Any], Any] = "squared_error",
    optimizer: str | Optimizer = "sgd",
    reduce: str = "sum",
    target: str = "python",
    samples: int = 32,
) -> Compiled:
    """One step of training as one straight-line function: forward, backward and update together.

    The function takes (params, state, X, Y): the parameters in the order of `net.parameters()`, the
    optimizer's state (`optimizer.state(len(params))` before the first step), a row of `nin` numbers
    per sample, and a target per sample. It gives {"loss", "params", "state"}: the loss before the
    update, and the parameters and the state after it. The state of an optimizer that keeps none,
    such as SGD, is empty. The network itself is left as it is.

    With the target "auto", "python" or "numpy" is chosen: the one that is estimated to be faster
    for steps of about so many `samples`. The target "numpy" gives and takes arrays.

    >>> from wengert.nn import MLP
    >>> net = MLP(2, [1], "linear", seed=0)
    >>> for p in net.parameters(): p.data = 1.0
    >>> step = training_step(net, optimizer="sgd")
    >>> after = step([1.0, 1.0, 1.0], [], [[1.0, 2.0]], [3.0])
    >>> after["loss"], after["params"]
    (1.0, [0.98, 0.96, 0.98])
    """
    sample = _sample(net, _inputs_of(net, nin), find_loss(loss))
    _check_count(samples, "samples")
    return _compile(sample, find_optimizer(optimizer), reduce, target, int(samples)).step


def fit(
    net: Trainable,
    X: Any,
    Y: Any,
    *,
    loss: str | Loss | Callable[[Any, Any], Any] = "squared_error",
    optimizer: str | Optimizer = "sgd",
    epochs: int = 100,
    batch_size: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    reduce: str = "sum",
    target: str = AUTO,
    callback: Callback | None = None,
    progress: bool | None = None,
) -> History:
    """Train `net` in place on rows `X` and targets `Y`; what happened comes back as a `History`.

    loss        a name of `wengert.losses.LOSSES`, or a function (prediction, target) -> scalar
    optimizer   `SGD(lr)`, `Momentum`, `Adam`, `AdamW`, or a name for one with default settings
    epochs      how often every sample is visited
    batch_size  samples to a step; None, or one no smaller than the data, takes them all in each
                step
    shuffle     whether mini-batches are drawn anew each epoch, from `random.Random(seed)`
    reduce      "sum" or "mean" of the samples' losses in a step; the gradient is that of the
                reduced loss
    target      what the step is compiled to: "python", "numpy", or "auto" for the one that is
                estimated to be faster; `history.target` and `history.reason` say which and why
    callback    called as callback(epoch, loss, net) after each epoch, counted from 0; an answer
                that is true ends the training; it may change the parameters
    progress    whether to show a progress bar (tqdm); None means: when stderr is a terminal

    An epoch's loss is that before its updates: with mini-batches, the sum over its batches, or
    their mean weighted by size. Ctrl-C ends the training and keeps the parameters of the last whole
    step: `history.stopped` is then "interrupted". A loss that is infinite or nan ends it too
    ("diverged"), with the parameters from before that step. The targets agree up to rounding.

    `X` and `Y` may be lists or arrays. Wrong data or settings raise before anything is changed: a
    `ShapeError` for rows that do not fit the network, a `DataError` for empty data, numbers that
    are not finite and targets that the loss does not take, an `UnknownNameError` or `SettingError`
    for settings, a `SizeError` for steps of more samples than arrays may hold.

    >>> from wengert.nn import MLP
    >>> net = MLP(2, [4, 1], seed=0)
    >>> fit(net, [[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1], epochs=500).loss[-1] < 4
    True
    """
    chosen, rule = find_loss(loss), find_optimizer(optimizer)
    check_target(target)
    _check_count(epochs, "epochs")
    if batch_size is not None:
        _check_count(batch_size, "batch_size")
    rows = _rows(X, getattr(net, "nin", None))
    count = len(rows)
    sample = _sample(net, len(rows[0]), chosen)
    targets = read_targets(Y, count, chosen, sample.outputs)
    size = count if batch_size is None else min(int(batch_size), count)
    made = _compile(sample, rule, reduce, target, size)
    check_memory(made.step, size)
    order = random.Random(seed) if shuffle and size < count else None

    kind = ArrayBatches if made.step.target == "numpy" else ListBatches
    batches = kind(rows, targets, size, order)
    run = _Run(made.step, sample.parameters, rule.state(len(sample.parameters)), reduce == "mean")
    losses: list[float] = []
    stopped: Stopped = "finished"
    bar = _Bar(int(epochs), progress)
    start = time.perf_counter()
    try:
        while len(losses) < epochs and stopped == "finished":
            count = 1 if callback is not None else run.epochs_in(_TURN, epochs - len(losses))
            new, stopped = run.epochs(batches, count)
            losses += new
            bar.advance(new)
            if callback is not None and stopped == "finished":
                stopped = run.consult(callback, len(losses) - 1, losses[-1], net)
    except KeyboardInterrupt:
        stopped = "interrupted"
    finally:
        run.write()
        bar.close()
    seconds = time.perf_counter() - start
    return History(losses, stopped, seconds, made.step.target, made.reason)


def _sample(net: Trainable, nin: int, loss: Loss) -> _Sample:
    """The loss of one sample of `nin` inputs, the parameters being leaves in their order."""
    graph = Graph()
    x = graph.inputs("x", nin)
    parameters = _parameters_of(net)
    leaves = [graph[graph.node_of(parameter)] for parameter in parameters]
    prediction = net(x)
    outputs = len(prediction) if isinstance(prediction, (list, tuple)) else None
    y: Any = graph.inputs("y", outputs) if loss.paired and outputs else graph.input("y")
    reached = stable_form(graph[graph.node_of(loss.function(prediction, y))])
    _label(reached, "sample_loss")
    return _Sample(graph, parameters, leaves, x, y, outputs, reached)


def _compile(sample: _Sample, optimizer: Optimizer, reduce: str, target: str, size: int) -> Choice:
    """The training step: gradients of the sample's loss, their total over a batch, the update."""
    if reduce not in REDUCTIONS:
        raise UnknownNameError.of("reduce", reduce, REDUCTIONS)
    graph = sample.graph
    samples = total(graph.constant(1.0)) if reduce == "mean" else None

    def reduced(expr: Expr) -> Any:
        return total(expr) if samples is None else total(expr) / samples

    gradients = [reduced(g) for g in grad(sample.loss, sample.leaves, allow_unused=True)]
    for leaf, gradient in zip(sample.leaves, gradients, strict=True):
        _label(gradient, f"d{leaf.label}" if samples is None else f"d{leaf.label}_mean")
    names = _state_names(sample.leaves, optimizer)
    state = [graph.input(_free(graph, name)) for name in names]
    params, new_state = optimizer.step(sample.leaves, gradients, state)
    for leaf, moved in zip([*sample.leaves, *state], [*params, *new_state], strict=True):
        _label(moved, f"new_{leaf.label}")
    return compile_step(
        {"params": sample.leaves, "state": state, "X": sample.x, "Y": sample.y},
        {"loss": reduced(sample.loss), "params": params, "state": new_state},
        target=target,
        batch=("X", "Y"),
        samples=size,
    )


def _label(expr: Any, label: str) -> None:
    """Name a computed node, for the generated code, unless it has a name."""
    if isinstance(expr, Expr) and not expr.is_leaf and not expr.label:
        expr.label = label


def _state_names(leaves: Sequence[Expr], optimizer: Optimizer) -> list[str]:
    """Names of the state, in its order: shared numbers, then each slot for all parameters."""
    slots = [f"{slot}_{leaf.label}" for slot in optimizer.slots for leaf in leaves]
    return [*optimizer.shared, *slots]


def _free(graph: Graph, name: str) -> str:
    while name in graph.leaves:
        name += "_"
    return name


def _parameters_of(net: Any) -> list[Value]:
    """The parameters of a network, each once, though layers may share them."""
    listed = getattr(net, "parameters", None)
    if not callable(net) or not callable(listed):
        raise OperandError(
            f"{shorten(net)} is a {type(net).__name__}; expected a network such as MLP: "
            "called on a row of inputs, with a method parameters()"
        )
    parameters = list(dict.fromkeys(listed()))
    for parameter in parameters:
        if not isinstance(parameter, Value) or not parameter.is_leaf:
            raise OperandError(
                f"{shorten(parameter)} among the parameters is not a leaf Value; "
                "only those can be trained"
            )
    if not parameters:
        raise OperandError(f"{shorten(net)} has no parameters; there is nothing to train")
    return parameters


def _inputs_of(net: Any, nin: int | None) -> int:
    """How many inputs a network has: what it says, or what the caller says."""
    known = getattr(net, "nin", nin)
    if known is None:
        raise ShapeError(
            f"{shorten(net)} does not say how many inputs it takes; give training_step(net, nin)"
        )
    if nin is not None and nin != known:
        raise ShapeError(f"nin is {nin}, but the network takes {known} inputs")
    return int(known)


def _rows(X: Any, nin: int | None) -> Any:
    """The data as an array, if it is one that can be trained on as it is; else checked lists."""
    if is_array(X) and X.dtype.kind in "biuf" and X.ndim == 2 and X.size:
        import numpy

        rows = numpy.array(X, numpy.float64, order="C")
        if rows.shape[1] == (nin or rows.shape[1]) and numpy.isfinite(rows).all():
            return rows
    return read_rows(X, nin)


class _Run:
    """Where a training run stands: the numbers that the last whole step left."""

    def __init__(
        self, step: Compiled, parameters: list[Value], state: list[float], mean: bool
    ) -> None:
        self._step = step
        self._loop = Loop(step) if step.target == "python" else None
        self._arrays = step.target == "numpy"
        self._parameters = parameters
        self._params = self._numbers([parameter.data for parameter in parameters])
        self._state = self._numbers(state)
        self._mean = mean
        self._seconds = math.inf

    def _numbers(self, numbers: list[float]) -> Any:
        """The numbers as the step takes them: an array for the numpy target."""
        if not self._arrays:
            return numbers
        import numpy

        return numpy.array(numbers, numpy.float64)

    def _take(self, batches: Batches, count: int) -> Progress:
        """Take the steps of so many epochs."""
        steps = (batch for _ in range(count) for batch in batches)
        if self._loop is not None:
            return self._loop(self._params, self._state, steps)
        return take_steps(self._step, self._params, self._state, steps)

    def epochs_in(self, seconds: float, most: int) -> int:
        """About how many epochs take so long, one at first and at most `most`."""
        return max(1, min(most, int(seconds / self._seconds)))

    def epochs(self, batches: Batches, count: int) -> tuple[list[float], Stopped]:
        """Take every step of `count` epochs; the losses of the epochs reached, and how it ended."""
        start = time.perf_counter()
        progress = self._take(batches, count)
        self._params, self._state = progress.params, progress.state
        self._seconds = max(1e-9, (time.perf_counter() - start) / count)
        each = len(batches.sizes)
        losses = []
        for first in range(0, len(progress.losses), each):
            part = progress.losses[first : first + each]
            if len(part) == each or progress.stopped == "diverged":
                losses.append(self._loss(part, batches.sizes, len(batches)))
        return losses, progress.stopped

    def _loss(self, losses: Sequence[float], sizes: Iterable[int], samples: int) -> float:
        """An epoch's loss from those of its batches: their sum, or their mean weighted by size."""
        if not self._mean:
            return math.fsum(losses) if math.isfinite(losses[-1]) else losses[-1]
        return sum(loss * size / samples for loss, size in zip(losses, sizes, strict=False))

    def consult(self, callback: Callback, epoch: int, loss: float, net: Any) -> Stopped:
        """What the callback answers; it sees the parameters, and may change them."""
        self.write()
        answer = callback(epoch, loss, net)
        self._params = self._numbers([parameter.data for parameter in self._parameters])
        return "callback" if answer else "finished"

    def write(self) -> None:
        """Give the network's parameters their numbers."""
        numbers = self._params.tolist() if self._arrays else self._params
        for parameter, number in zip(self._parameters, numbers, strict=True):
            parameter.data = float(number)


def _check_count(number: Any, name: str) -> None:
    if isinstance(number, bool) or not isinstance(number, Integral) or int(number) < 1:
        raise SettingError(f"{name} is {shorten(number)}; expected a whole number, 1 or more")


class _Bar:
    """A progress bar over the epochs, or nothing at all."""

    def __init__(self, epochs: int, progress: bool | None) -> None:
        self._bar: Any = None
        if progress or (progress is None and sys.stderr.isatty()):
            from tqdm.auto import tqdm

            self._bar = tqdm(total=epochs, desc="fit", unit="epoch")

    def advance(self, losses: Sequence[float]) -> None:
        """These epochs are done."""
        if self._bar is not None and losses:
            self._bar.set_postfix_str(f"loss {losses[-1]:.4g}", refresh=False)
            self._bar.update(len(losses))

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
