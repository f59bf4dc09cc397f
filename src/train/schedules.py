"""Schedules: learning rates that change from step to step.

An optimizer's `lr` may be any function of the number of steps taken before, from 0 on, written in
operators and operations: it runs on floats as on graph nodes, and becomes part of the compiled
step. Steps are updates, not epochs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ..errors import SettingError, shorten
from ..ops.scalar import cos, exp, minimum, where
from ..storage import restore
from .settings import NOT_NEGATIVE, POSITIVE, check_settings

Schedule = Callable[[Any], Any]
"""The learning rate of a step, from the number of steps before it."""


@dataclass(frozen=True)
class Exponential:
    """lr·factor^(step / every): by `factor` smaller after each `every` steps, without jumps.

    >>> halved = Exponential(0.1, factor=0.5, every=100)
    >>> round(halved(0), 6), round(halved(100), 6), round(halved(300), 6)
    (0.1, 0.05, 0.0125)
    """

    __setstate__ = restore

    lr: float
    factor: float = 0.5
    every: float = 1000

    def __post_init__(self) -> None:
        check_settings(self, _RANGES)

    def __call__(self, step: Any) -> Any:
        """The learning rate after so many steps."""
        return self.lr * exp(step * (math.log(self.factor) / self.every))


@dataclass(frozen=True)
class Cosine:
    """From lr down to `lowest` along half a wave, over so many `steps`, and `lowest` from then on.

    Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", eq. 5, without
    restarts.

    >>> rate = Cosine(0.1, steps=100)
    >>> round(rate(0), 6), round(rate(50), 6), round(rate(1000), 6)
    (0.1, 0.05, 0.0)
    """

    __setstate__ = restore

    lr: float
    steps: float
    lowest: float = 0.0

    def __post_init__(self) -> None:
        check_settings(self, _RANGES)

    def __call__(self, step: Any) -> Any:
        """The learning rate after so many steps."""
        share = minimum(step / self.steps, 1.0)
        return self.lowest + (self.lr - self.lowest) * (0.5 * (1 + cos(math.pi * share)))


@dataclass(frozen=True)
class Linear:
    """From lr to `lowest` along a line, over so many `steps`, and `lowest` from then on.

    >>> rate = Linear(0.1, steps=100)
    >>> round(rate(0), 6), round(rate(75), 6), round(rate(1000), 6)
    (0.1, 0.025, 0.0)
    """

    __setstate__ = restore

    lr: float
    steps: float
    lowest: float = 0.0

    def __post_init__(self) -> None:
        check_settings(self, _RANGES)

    def __call__(self, step: Any) -> Any:
        """The learning rate after so many steps."""
        return self.lr + (self.lowest - self.lr) * minimum(step / self.steps, 1.0)


@dataclass(frozen=True)
class Warmup:
    """A rise from 0 to what another schedule begins with, over so many `steps`; then that schedule.

    `then` may be a number. The first step has 1/`steps` of it, as there is no step with nothing.

    >>> rate = Warmup(Cosine(0.1, steps=100), steps=10)
    >>> round(rate(0), 6), round(rate(9), 6), round(rate(60), 6), round(rate(500), 6)
    (0.01, 0.1, 0.05, 0.0)
    """

    __setstate__ = restore

    then: float | Schedule
    steps: float

    def __post_init__(self) -> None:
        check_rate(self.then, "Warmup: then")
        check_settings(self, _RANGES)

    def __call__(self, step: Any) -> Any:
        """The learning rate after so many steps."""
        rising = (step + 1) * (rate_at(self.then, 0.0) / self.steps)
        return where(step < self.steps, rising, rate_at(self.then, step - self.steps))


def rate_at(lr: Any, step: Any) -> Any:
    """A learning rate after so many steps, where it may be a number for all of them.

    >>> rate_at(0.1, 7), rate_at(lambda step: 0.1 / (1 + step), 1)
    (0.1, 0.05)
    """
    return lr(step) if callable(lr) else lr


def check_rate(lr: Any, name: str) -> None:
    """A `SettingError` unless a learning rate is a number above 0, or a function that gives some.

    A function is asked for the first two steps.
    """
    if not callable(lr):
        POSITIVE.check(lr, name)
        return
    if isinstance(lr, type):
        raise SettingError(f"{name} is {shorten(lr)}, a class; give one with its settings")
    for step in (0.0, 1.0):
        NOT_NEGATIVE.check(lr(step), f"{name}, after {step:.0f} steps,")


_RANGES: Final = {
    "lr": POSITIVE,
    "factor": POSITIVE,
    "every": POSITIVE,
    "steps": POSITIVE,
    "lowest": NOT_NEGATIVE,
}
