"""What an optimizer remembers of the parameters of a traced function, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..graph.value import Value
from ..train.optim import Optimizer
from .moving import vector_of, write_numbers
from .outcome import Slopes
from .updates import Updates


class Moments:
    """The parameters a function was seen to have, and an optimizer's numbers for each.

    >>> from wengert.train.optim import SGD
    >>> w = Value(1.0)
    >>> Moments().step(SGD(0.5), [([w, w], [1.0, 2.0])]); w.data
    -0.5
    """

    def __init__(self) -> None:
        self._places: dict[Value, int] = {}
        self._listed: tuple[Value, ...] = ()
        self._slots: Sequence[Any] = ()
        self._known: dict[int, tuple[Sequence[Value], Any]] = {}
        self._once: tuple[Any, ...] | None = None
        self._updates = Updates()

    def step(self, rule: Optimizer, slopes: Slopes, soon: bool = False) -> None:
        """Move every leaf seen so far; the gradient of those that are not listed is 0.

        `soon` says that the derivatives come from machine code, so that the update may be some too.
        """
        import numpy

        indices = [self._indices(values) for values, _ in slopes]
        count = len(self._places)
        if len(self._listed) != count or len(self._slots) != len(rule.slots):
            self._grow(count, len(rule.slots))
        gradient = numpy.zeros(count + 1)
        for places, (_, part) in zip(indices, slopes, strict=True):
            if isinstance(places, slice):
                gradient[places] += part
            else:
                numpy.add.at(gradient, places, part)
        now = numpy.asarray(vector_of(self._listed), float)
        fresh, before = rule.state(0), self._once or ()
        once = (*before[: len(fresh)], *fresh[len(before) :])  # a rate may become a schedule
        moved, self._slots, self._once = self._updates.step(
            rule, now, gradient[1:], self._slots, once, soon
        )
        write_numbers(self._listed, moved)

    def _grow(self, count: int, slots: int) -> None:
        """Room for so many leaves, and so many numbers for each; new ones are 0."""
        import numpy

        grown = [numpy.zeros(count) for _ in range(slots)]
        for new, old in zip(grown, self._slots, strict=False):
            new[: len(old)] = old
        self._slots, self._listed = grown, tuple(self._places)

    def _indices(self, values: Sequence[Value]) -> Any:
        """Where the numbers of these Values are, from 1; 0 for those that are no leaves.

        A slice where they are one after another, each of them once.
        """
        import numpy

        known = self._known.get(id(values))
        if known is not None:
            return known[1]
        places = self._places
        try:
            at = list(map(places.__getitem__, values))
        except KeyError:
            for value in values:
                if value.is_leaf:
                    places.setdefault(value, len(places) + 1)
            at = [places.get(value, 0) for value in values]
        if not isinstance(values, tuple):
            return numpy.array(at)
        # the parameters of a program, the same at each call
        row = bool(at[0]) and at == list(range(at[0], at[0] + len(at)))
        found = slice(at[0], at[0] + len(at)) if row else numpy.array(at)
        self._known[id(values)] = values, found
        return found
