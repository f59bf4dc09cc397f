"""An optimizer's update of many parameters as machine code, compiled from its own rule."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import fields
from typing import Any, Final

from ..codegen.compiled import Compiled, compile
from ..codegen.native.host import available
from ..graph.expr import Graph
from ..train.optim import OPTIMIZERS, Around, Optimizer
from ..train.settings import is_number
from .moving import MANY

PAYS: Final = 100
"""After how many steps on arrays machine code is made, where nothing else is machine code yet."""

Scalars = tuple[Any, ...]


class Updates:
    """The step of a kind of optimizer on arrays; machine code once that pays.

    Its settings are arguments of that code, so that they may change from step to step.
    """

    def __init__(self) -> None:
        self._steps = 0
        self._known: dict[type[Optimizer], Compiled] = {}

    def step(
        self,
        rule: Optimizer,
        parameters: Any,
        gradients: Any,
        slots: Sequence[Any],
        once: Scalars,
        soon: bool,
    ) -> tuple[Any, Sequence[Any], Scalars]:
        """The parameters, the slots and the numbers kept once, after a step.

        `soon` makes machine code at the second step already.

        >>> import numpy
        >>> from wengert.train.optim import SGD
        >>> Updates().step(SGD(0.5), numpy.ones(2), numpy.array([2.0, -2.0]), (), (), False)
        (array([0., 2.]), (), ())
        """
        import numpy

        self._steps += 1
        if len(parameters) < MANY or self._steps < (2 if soon else PAYS):
            return rule.step_arrays(parameters, gradients, tuple(slots), once)
        rule, shared, after = rule.at_step(once)
        while isinstance(rule, Around):
            gradients = rule.gradients_of_all(parameters, gradients, numpy.sum)
            rule = rule.optimizer
        moved, columns = self._moved(rule, parameters, gradients, slots, shared)
        return moved, columns, after

    def _moved(
        self,
        rule: Optimizer,
        parameters: Any,
        gradients: Any,
        slots: Sequence[Any],
        shared: Scalars,
    ) -> tuple[Any, Sequence[Any]]:
        names = [f.name for f in fields(rule)]
        settings = [getattr(rule, name) for name in names]
        # A rule of the user's own may read what is outside of it, which code would not see change.
        known = type(rule) in OPTIMIZERS.values() and all(map(is_number, settings))
        if not known or not available():
            return rule.update(parameters, gradients, tuple(slots), shared)
        update = self._known.get(type(rule))
        if update is None:
            update = self._known[type(rule)] = _compiled(rule, names)
        columns = [parameters, gradients, *slots]
        found = update(*columns, [*map(float, settings), *shared])
        return found[0], found[1:]


def _compiled(rule: Optimizer, names: Sequence[str]) -> Compiled:
    """The update of one parameter, for as many as there are; settings are arguments."""
    graph = Graph()
    parameter, gradient = graph.input("parameter"), graph.input("gradient")
    slots = [graph.input(name) for name in rule.slots]
    settings = [graph.input(name) for name in names]
    shared = [graph.input(name) for name in rule.shared]
    written = copy(rule)
    for name, leaf in zip(names, settings, strict=True):
        object.__setattr__(written, name, leaf)
    moved, after = written.update(parameter, gradient, tuple(slots), tuple(shared))
    columns = {
        "parameters": parameter,
        "gradients": gradient,
        **dict(zip(rule.slots, slots, strict=True)),
    }
    return compile(
        {**columns, "settings": [*settings, *shared]},
        [moved, *after],
        target="native",
        batch=tuple(columns),
        reduce=None,
        name="update",
    )
