"""Training: the loop around one compiled step."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import Any, Final

from ..codegen.compiled import Compiled
from ..codegen.scalar.loop import Stopped
from ..errors import SettingError, kind_of, shorten
from ..storage import PathLike
from .batches import ArrayBatches, ListBatches
from .checkpoint import (
    Checkpoint,
    check_fits,
    check_path,
    load_checkpoint,
    text_of,
)
from .choice import AUTO, TargetName, check_memory, check_target
from .data import read_rows, read_targets
from .history import History, Standing
from .interrupts import OneInterrupt
from .losses import Loss, LossName, find_loss
from .mesh import MeshStep, check_mesh
from .optim import Optimizer, OptimizerName, find_optimizer
from .run import ARRAYS, Bar, Callback, Run, Saved
from .seeds import Seed, generator
from .step import (
    Sample,
    Trainable,
    check_count,
    compile_training,
    numbers_of,
    parameters_of,
    sample_loss,
    weighted,
)
from .validation import prepare_validation
from .weights import read_weights, with_weights

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
    target: TargetName = AUTO,
    sample_weight: Any = None,
    class_weight: Any = None,
    validation: Any = None,
    metrics: Any = None,
    patience: int | None = None,
    resume: History | None = None,
    checkpoint: PathLike | None = None,
    checkpoint_every: int = 100,
    mesh: Any = None,
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
                code; needs llvmlite), "jax", "torch", or "auto" for the one that is estimated to
                be fastest; `history.target` and `history.reason` say which and why
    sample_weight, class_weight
                how much the losses of samples count: a number for each, and a dict from targets to
                numbers, or "balanced"; a mean is still one over all samples
    validation  a pair (X, Y) that is not trained on; `history.validation_loss` has its loss after
                each epoch, before which only the training loss is measured
    metrics     what else is measured on it: "accuracy", functions (predictions, targets) -> number,
                or a dict of these
    patience    after how many epochs without a smaller validation loss training ends, with the
                parameters of the best one; a run that goes on knows which that was
    resume      the history of an earlier run of the same network, which is gone on with as if it
                had not ended: 10 and 10 epochs are 20, to the bit
    checkpoint  a file (.json or .safetensors) that the run is saved to, every `checkpoint_every`
                epochs and at the end; where it exists already, the run in it is gone on with, and
                `epochs` counts those in it as well
    mesh        a `jax.sharding.Mesh`: each step's samples are shared among its devices along the
                axis "batch", or its first one, and the parameters along "parameters", if it has
                that axis; the target is then "jax"
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
    if mesh is not None and target == AUTO:
        target = "jax"
    for name, count in {"epochs": epochs, "checkpoint_every": checkpoint_every}.items():
        check_count(count, name)
    for name, number in {"batch_size": batch_size, "patience": patience}.items():
        if number is not None:
            check_count(number, name)
    _check_callback(callback)
    source = generator(seed)
    rows = read_rows(X, getattr(net, "nin", None))
    sample = sample_loss(net, len(rows[0]), chosen)
    targets = read_targets(Y, len(rows), chosen, sample.outputs)
    weights = read_weights(sample_weight, class_weight, targets, chosen)
    size = len(rows) if batch_size is None else min(int(batch_size), len(rows))
    steps = int(epochs) * -(-len(rows) // size)
    before = _standing(resume, checkpoint, rule, sample)
    trained = sample if weights is None else weighted(sample)
    made = compile_training(trained, rule, reduce, target, size, steps)
    check_memory(made.step, size)
    looks = prepare_validation(validation, metrics, sample, chosen, reduce, made.step.target)
    if patience is not None and looks is None:
        raise SettingError(
            f"patience is {patience} epochs without a smaller validation loss; give "
            "validation=(X, Y)"
        )
    order = None
    if shuffle and size < len(rows):
        order = source or random.Random(random.getrandbits(64))

    kind = ArrayBatches if made.step.target in ARRAYS else ListBatches
    batches = kind(
        rows, targets if weights is None else with_weights(targets, weights), size, order
    )
    step: Compiled | MeshStep = made.step
    if mesh is not None:
        check_mesh(mesh, target, batches.sizes, len(sample.parameters))
        step = MeshStep(made.step, mesh)
    run = Run(step, sample.parameters, rule.state(len(sample.parameters)), reduce == "mean")
    run.looks, run.patience = looks, patience
    if before is not None:
        run.go_on(before, batches)
    network = sample.network()
    saved = Saved(checkpoint, int(checkpoint_every), run, batches, network, text_of(rule))
    # those of a checkpoint are counted, those of a history are not
    until = int(epochs) + (len(run.losses) if resume is not None else 0)
    each = 1 if callback is not None or looks is not None else until
    stopped: Stopped = "patience" if run.is_out_of_patience() else "finished"
    bar = Bar(max(until, len(run.losses)), progress, len(run.losses))
    start = time.perf_counter()
    with OneInterrupt() as interrupts:
        try:
            while len(run.losses) < until and stopped == "finished":
                left = min(until - len(run.losses), saved.left())
                stopped = run.epochs(batches, min(each, run.epochs_in(_TURN, left)))
                if stopped == "finished" and looks is not None:
                    stopped = run.look()
                bar.show(run.losses)
                if callback is not None and stopped == "finished":
                    stopped = run.consult(callback, net)
                    interrupts.expect()
                saved.note(stopped)
        except KeyboardInterrupt:
            stopped = "interrupted"
        finally:
            interrupts.hold()
            run.write()
            bar.close()
            saved.write()
        seconds = time.perf_counter() - start
        return History(
            run.losses,
            stopped,
            seconds,
            made.step.target,
            made.reason,
            looks.loss if looks is not None else [],
            looks.found if looks is not None else {},
            Standing(
                *(rule, run.remembered(), network, batches.state()),
                None if stopped == "patience" else run.best(),
            ),
        )


def _standing(resume: Any, checkpoint: Any, rule: Optimizer, sample: Sample) -> Checkpoint | None:
    """Where a run goes on, from a history or from a file; None where it begins."""
    if checkpoint is not None:
        check_path(checkpoint)
    if resume is not None and checkpoint is not None and os.path.exists(checkpoint):
        raise SettingError(
            f"resume is given, and the checkpoint {os.fspath(checkpoint)!r} exists; go on from "
            "one of them, and give the checkpoint another name if it is the history"
        )
    if resume is not None:
        return _of_history(resume, rule, sample)
    if checkpoint is None or not os.path.exists(checkpoint):
        return None
    found = load_checkpoint(checkpoint)
    check_fits(checkpoint, found, sample, rule)
    return found


def _of_history(resume: Any, rule: Optimizer, sample: Sample) -> Checkpoint:
    standing = getattr(resume, "standing", None)
    if not isinstance(resume, History) or not isinstance(standing, Standing):
        raise SettingError(
            f"resume is {shorten(resume)}, {kind_of(resume)}; expected the History that fit "
            "returned for this network"
        )
    network = sample.network()
    if standing.network != network:
        raise SettingError(
            f"resume is the history of a network of {standing.network}, and this one has "
            f"{network}; give the history of this network"
        )
    if type(standing.optimizer) is not type(rule) or len(standing.state) != len(
        rule.state(len(sample.parameters))
    ):
        raise SettingError(
            f"resume is the history of a run with {standing.optimizer!r}, and the optimizer is "
            f"{rule!r}; go on with the same"
        )
    return Checkpoint(
        [],
        standing.state,
        resume.loss,
        resume.validation_loss,
        resume.metrics,
        network,
        text_of(rule),
        standing.order,
        *(standing.best or ()),
    )


def _check_callback(callback: Any) -> None:
    if callback is not None and not callable(callback):
        raise SettingError(
            f"callback is {shorten(callback)}, {kind_of(callback)}; "
            "expected a function callback(epoch, loss, net), or None"
        )
