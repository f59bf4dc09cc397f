"""An optimizer's update of many parameters as machine code, compiled from its own rule."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import fields
from typing import Any, Final

from ..codegen.compiled import Compiled, compile
from ..codegen.native.host import available
from ..graph.expr import Graph
from ..train.optim import OPTIMIZERS, Optimizer
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
        self._known: dict[type[Optimizer], tuple[Compiled, list[str]]] = {}

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
        self._steps += 1
        inside, shared, after = rule.at_step(once)
        inside, given = inside.innermost(parameters, gradients)
        known = None
        if len(parameters) >= MANY and self._steps >= (2 if soon else PAYS):
            known = self._machine(inside)
        if known is None:
            return *inside.update(parameters, given, tuple(slots), shared), after
        update, names = known
        settings = [float(getattr(inside, name)) for name in names]
        moved, *columns = update(parameters, given, *slots, [*settings, *shared])
        return moved, columns, after

    def _machine(self, rule: Optimizer) -> tuple[Compiled, list[str]] | None:
        """The machine code of a rule, and the settings it takes; None for one of the user's own.

        Such a one may read what is outside of it, which code would not see change.
        """
        kind = type(rule)
        if kind in self._known:
            return self._known[kind]
        names = [f.name for f in fields(rule)]
        numbers = all(is_number(getattr(rule, name)) for name in names)
        if kind not in OPTIMIZERS.values() or not numbers or not available():
            return None
        self._known[kind] = _compiled(rule), names
        return self._known[kind]


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
    columns = {"parameters": parameter, "gradients": gradient}
    columns |= dict(zip(rule.slots, slots, strict=True))
    return compile(
        {**columns, "settings": [*settings.values(), *shared]},
        [moved, *after],
        target="native",
        batch=tuple(columns),
        reduce=None,
        name="update",
    )
