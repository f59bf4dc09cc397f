"""Whole training loops: one function that repeats a step and keeps its parameters in variables.

Called step by step, a function unpacks every parameter and packs it again. Here they stay local
variables from the first step to the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, Protocol

from ...errors import SpellingError
from ..compiled import Compiled
from ..names import Namespace
from ..program import Program, flatten
from ..target import Source, find_target
from .layout import INDENT, packed
from .python import describe, load, source_of
from .spelling import CAREFUL, FAST
from .writer import Writer

Stopped = Literal["finished", "interrupted", "diverged", "callback", "patience"]
CARRIED = ("params", "state")
"""The groups that a step gives back under the same names, for the next step."""


class Progress(NamedTuple):
    """Where a loop stopped: the loss before each step's update, and the numbers after the last.

    stopped is "finished", "interrupted" by Ctrl-C, or "diverged" at a loss that is infinite or nan,
    which is then the last of `losses` and whose step was not taken. Array targets give `params` and
    `state` as arrays.
    """

    losses: list[float]
    params: Any
    state: Any
    stopped: Stopped


class _Fixed(NamedTuple):
    """The names of the loop's own variables, none of which the step uses."""

    steps: str
    losses: str
    stopped: str


class Loop:
    """A training loop compiled from one step; call it with parameters, state and steps.

    The step must give {"loss", "params", "state"} from arguments "params", "state" and others, all
    compiled for the python target. `steps` are the other arguments of each step, in order.
    """

    def __init__(self, step: Compiled) -> None:
        program = step.program
        if step.target != "python" or not isinstance(program, Program):
            raise SpellingError(
                f"loops are made for the 'python' target, not {step.target!r}; "
                "call the step itself repeatedly"
            )
        self._program = program
        emitted = emit_loop(program, FAST)
        self.source = emitted.text
        self._fast = load(emitted)
        self._careful: Callable[..., Any] | None = None

    def __repr__(self) -> str:
        return f"<training loop of {self._program!r}>"

    def __call__(
        self, params: Sequence[float], state: Sequence[float], steps: Iterable[tuple[Any, ...]]
    ) -> Progress:
        """Take every step, or those before Ctrl-C or before a loss that is not finite.

        A step at which Python's arithmetic raises is taken with IEEE arithmetic instead.
        """
        todo = list(steps)
        losses: list[float] = []
        while True:
            part = self._fast(params, state, todo)
            losses += part["losses"]
            if part["stopped"] == "raised":
                todo = todo[len(part["losses"]) :]
                part = self._taken_carefully(part["params"], part["state"], todo[:1])
                losses += part["losses"]
                todo = todo[1:]
                if part["stopped"] == "finished" and todo:
                    params, state = part["params"], part["state"]
                    continue
            return Progress(losses, part["params"], part["state"], part["stopped"])

    def _taken_carefully(self, params: Any, state: Any, steps: Any) -> Any:
        if self._careful is None:
            self._careful = load(emit_loop(self._program, CAREFUL))
        return self._careful(params, state, steps)


class Step(Protocol):
    """What `take_steps` calls."""

    @property
    def program(self) -> Any:
        """What it was printed from."""

    @property
    def recipe(self) -> Any:
        """What it was built from."""

    def __call__(self, *arguments: Any) -> Any:
        """The loss, and the next parameters and state."""


def take_steps(
    step: Step,
    params: Any,
    state: Any,
    steps: Iterable[tuple[Any, ...]],
) -> Progress:
    """What a `Loop` does, with a step of any target, called once for each of `steps`.

    Parameters and state stay what the step gives: lists, or arrays of array targets, which then
    give inf and nan without a warning.
    """
    losses: list[float] = []
    stopped: Stopped = "finished"
    try:
        with _ieee(step):
            for arguments in steps:
                result = step(params, state, *arguments)
                loss = float(result["loss"])
                if not math.isfinite(loss):
                    losses.append(loss)
                    stopped = "diverged"
                    break
                params, state = result["params"], result["state"]
                losses.append(loss)
    except KeyboardInterrupt:
        stopped = "interrupted"
    return Progress(losses, params, state, stopped)


@contextmanager
def _ieee(step: Step) -> Iterator[None]:
    """Where arrays are computed without warnings, as Python targets do, and in float64."""
    if isinstance(step.program, Program):
        yield
        return
    from numpy import errstate

    with errstate(all="ignore"), find_target(step.recipe.options.target).computing():
        yield


def emit_loop(program: Program, language: str) -> Source:
    """The loop over `program`, a step, as Python: `train(params, state, steps)`."""
    used = {name for _, name in flatten(program.outputs)} | {i.name for i in program.instructions}
    used |= {group.argument for group in program.groups} | {g.name for g in program.gathers}
    used |= {leaf for group in program.groups for leaf in group.leaves}
    names = Namespace(str(name) for name in used)
    fixed = _Fixed(names.take("steps"), names.take("losses"), names.take("stopped"))
    function = names.take("train")
    writer = Writer.of(program, language, inline=CARRIED, taken=(function, *fixed))
    _write_head(writer, function, fixed)
    _write_steps(writer, fixed)
    _write_tail(writer, fixed)
    return source_of(program, language, function, writer.finish(_results(program, fixed), 1))


def _write_head(writer: Writer, function: str, fixed: _Fixed) -> None:
    program, listing = writer.program, writer.listing
    carried = [group for group in program.groups if group.name in CARRIED]
    arguments = [group.argument for group in carried]
    listing.add(f"def {function}({', '.join(arguments)}, {fixed.steps}):")
    listing.add(*describe(program, writer.language), level=1)
    writer.open()
    for group in carried:
        writer.unpack(group, 1)
    listing.add(f"{fixed.losses} = []", f'{fixed.stopped} = "finished"', "try:", level=1)


def _write_steps(writer: Writer, fixed: _Fixed) -> None:
    """The loop over the steps; the new parameters take their places all at once, at its end.

    Between that assignment's stores Python never looks for signals, so Ctrl-C finds whole steps.
    """
    program, listing = writer.program, writer.listing
    others = [group for group in program.groups if group.name not in CARRIED]
    given = ", ".join(group.argument for group in others) + "," * (len(others) == 1)
    listing.add(f"for {given} in {fixed.steps}:", level=2)
    for group in others:
        if not group.batched:
            writer.unpack(group, 3)
    writer.stage(program.once, 3)
    if program.batched:
        writer.samples(3)
        writer.stage(program.after, 3)
    loss = writer.operand(program.outputs["loss"], "return").code
    listing.add(
        f"if {loss} - {loss} != 0.0:",
        f"    {fixed.losses}.append({loss})",
        f'    {fixed.stopped} = "diverged"',
        "    break",
        level=3,
    )
    new = [item for key in CARRIED for item in writer.results(program.outputs[key])]
    old = [name for g in program.groups if g.name in CARRIED for name in g.leaves]
    listing.add("(", *_block(old), ") = (", *_block(new), ")", level=3)
    listing.add(f"{fixed.losses}.append({loss})", level=3)


def _block(items: Sequence[str]) -> list[str]:
    """The items of a tuple, a comma after each, in lines one level further in."""
    return [INDENT + line for line in packed([f"{item}," for item in items], 4)]


def _write_tail(writer: Writer, fixed: _Fixed) -> None:
    writer.listing.add(
        "except KeyboardInterrupt:",
        f'    {fixed.stopped} = "interrupted"',
        "except (ArithmeticError, ValueError):",
        f'    {fixed.stopped} = "raised"',
        level=1,
    )


def _results(program: Program, fixed: _Fixed) -> dict[str, Any]:
    carried = {g.name: list(g.leaves) for g in program.groups if g.name in CARRIED}
    return {"losses": fixed.losses, "stopped": fixed.stopped, **carried}
