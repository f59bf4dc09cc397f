"""An optimizer's update of many parameters as machine code, compiled from its own rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

from ..codegen.compiled import Compiled, compile
from ..codegen.native.columns import CHUNK, in_place
from ..codegen.native.host import available
from ..graph.expr import Graph
from ..train.optim import OPTIMIZERS, Optimizer
from ..train.settings import is_number
from .moving import MANY

PAYS: Final = 100
"""After how many steps on arrays machine code is made, where nothing else is machine code yet."""

ROOM: Final = CHUNK
"""Columns are as long as a multiple of this."""

Scalars = tuple[Any, ...]
Now = tuple[Optimizer, Scalars, Scalars]
InPlace = Callable[[Any, Any], None]
Settings = Callable[[Optimizer], Iterable[Any]]


class Updates:
    """The step of a kind of optimizer on arrays; machine code once that pays.

    Its settings are arguments of that code, so that they may change from step to step.
    """

    def __init__(self) -> None:
        self._steps = 0
        self._known: dict[type[Optimizer], tuple[InPlace, Settings] | None] = {}

    def step(self, now: Now, columns: Any, count: int, soon: bool) -> None:
        """A step of the first `count` of the columns, in place.

        now      what the optimizer is at this step, see `Optimizer.at_step`
        columns  an array: parameters, each of the slots, and last the gradients, a row each, as
                 long as a multiple of `ROOM`
        soon     makes machine code at the second step already

        >>> import numpy
        >>> from wengert.train.optim import SGD
        >>> columns = numpy.array([[1.0, 1.0], [2.0, -2.0]])
        >>> Updates().step(SGD(0.5).at_step(()), columns, 2, False); columns[0]
        array([0., 2.])
        """
        self._steps += 1
        inside, shared, _ = now
        gradients = columns[-1, :count]
        inside, given = inside.innermost(columns[0, :count], gradients)
        known = None
        if count >= MANY and self._steps >= (2 if soon else PAYS):
            known = self._machine(inside)
        if given is not gradients:
            gradients[:] = given
        if known is None:  # on a copy, as some of a user's own may keep what they are given
            parameters, *slots, given = columns[:, :count].copy()
            moved, slots = inside.update(parameters, given, tuple(slots), shared)
            columns[:-1, :count] = [moved, *slots]
            return
        update, settings = known
        update(columns, numbers_of(settings, inside, shared))

    def known(self, rule: Optimizer) -> tuple[InPlace, Settings] | None:
        """The machine code of a rule that has been made, and what reads its settings."""
        return self._known.get(type(rule))

    def _machine(self, rule: Optimizer) -> tuple[InPlace, Settings] | None:
        """The machine code of a rule, and what reads its settings; None for one of the user's own.

        Such a one may read what is outside of it, which code would not see change.
        """
        kind = type(rule)
        if kind in self._known:
            return self._known[kind]
        names = [f.name for f in fields(rule)]
        numbers = all(is_number(getattr(rule, name)) for name in names)
        if kind not in OPTIMIZERS.values() or not numbers or not available():
            return None
        update = in_place(_compiled(rule).function)
        self._known[kind] = None if update is None else (update, _reader(names))
        return self._known[kind]


def numbers_of(settings: Settings, rule: Optimizer, shared: Scalars) -> Any:
    """The numbers of a step that are the same for all columns, as machine code takes them."""
    import numpy

    return numpy.array([*map(float, settings(rule)), *shared])


def _reader(names: list[str]) -> Settings:
    """What reads the settings of these names."""
    return attrgetter(*names) if len(names) > 1 else lambda rule: (getattr(rule, names[0]),)


def _compiled(rule: Optimizer) -> Compiled:
    """The update of one parameter, for as many as there are; settings are arguments."""
    graph = Graph()
    parameter, gradient = graph.input("parameter"), graph.input("gradient")
    slots = [graph.input(name) for name in rule.slots]
    settings = {f.name: graph.input(f.name) for f in fields(rule)}
    shared = [graph.input(name) for name in rule.shared]
    written = copy(rule)
    for name, leaf in settings.items():
        object.__setattr__(written, name, leaf)
    moved, after = written.update(parameter, gradient, tuple(slots), tuple(shared))
    columns = {"parameters": parameter, **dict(zip(rule.slots, slots, strict=True))}
    columns["gradients"] = gradient
    return compile(
        {**columns, "settings": [*settings.values(), *shared]},
        [moved, *after],
        target="native",
        batch=tuple(columns),
        reduce=None,
        name="update",
    )
