"""What an optimizer remembers of the parameters of a traced function, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..graph.value import Value
from ..train.optim import Optimizer


class Moments:
    """The parameters a function was seen to have, and an optimizer's numbers for each.

    >>> from wengert.train.optim import SGD
    >>> w = Value(1.0)
    >>> Moments().step(SGD(0.5), [w, w], [1.0, 2.0]); w.data
    -0.5
    """

    def __init__(self) -> None:
        self._places: dict[Value, int] = {}
        self._slots: Sequence[Any] = ()
        self._shared: tuple[float, ...] | None = None

    def step(self, rule: Optimizer, values: Sequence[Value], slopes: Sequence[float]) -> None:
        """Move every parameter seen so far; the gradient of those that are not listed is 0."""
        import numpy

        places = self._places
        for value in values:
            if value not in places:
                places[value] = len(places)
        count = len(places)
        grown = [numpy.zeros(count) for _ in rule.slots]
        for new, old in zip(grown, self._slots, strict=False):
            new[: len(old)] = old
        gradient = numpy.zeros(count)
        numpy.add.at(gradient, [places[value] for value in values], slopes)
        now = numpy.array([value._data for value in places], float)
        shared = rule.advance(rule.start if self._shared is None else self._shared)
        moved, self._slots = rule.update(now, gradient, tuple(grown), shared)
        self._shared = shared
        for value, number in zip(places, moved.tolist(), strict=True):
            value._data = number
