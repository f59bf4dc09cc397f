"""The compiled code of a traced function, and when it becomes machine code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..codegen.calls import called
from ..codegen.compiled import Compiled, compile
from ..codegen.cost import array_microseconds
from ..codegen.native.caller import code_of
from ..codegen.native.code import Code as NativeCode
from ..codegen.program import Nested, flatten
from ..codegen.target import find_target
from ..graph.expr import Expr, Graph
from ..train.choice import AUTO, SMALL, work_of

LARGE: Final = 20_000
"""Graphs of more nodes stay arrays whatever they cost: as scalars they take long to compile."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a function is compiled."""

    target: str = AUTO
    cache_dir: Any = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is compiled: the leaves of each argument, and the outputs."""

    inputs: Mapping[str, list[Expr]]
    outputs: Nested


class Code:
    """A compiled function; where that pays, machine code after so many calls that it has paid.

    compiled  the function
    reason    why for this target
    turn      after how many calls it becomes machine code; None for never
    asked     gives what it is compiled from
    changed   is told when it has become something else
    """

    def __init__(
        self,
        compiled: Compiled,
        reason: str,
        turn: int | None,
        asked: Callable[[], Asked],
        options: Options,
    ) -> None:
        self.compiled = compiled
        self.reason = reason
        self.turn = turn
        self.changed: Callable[[Code], None] | None = None
        self._asked = asked
        self._options = options
        self._calls = 0
        self._see_kind()

    @classmethod
    def of(cls, asked: Asked, options: Options) -> Code:
        """The code for what is estimated to be faster, or for the target that was asked for."""
        compiled, reason, turn = _chosen(asked, options)
        return cls(compiled, reason, turn, lambda: asked, options)

    def __call__(self, arguments: Sequence[Any]) -> Any:
        """The outputs at these arguments."""
        self._calls += 1
        if self._calls == self.turn:
            self.compiled = _compiled(self._asked(), "native", self._options)
            self.reason = f"it has been called {self.turn:,} times, which pays for machine code"
            self.turn = None
            self._see_kind()
            if self.changed is not None:
                self.changed(self)
        return called(self.compiled, arguments) if self._engine else self.compiled(*arguments)

    @property
    def native(self) -> NativeCode | None:
        """The machine code that is run from now on, if it is some."""
        return None if self.turn is not None else code_of(self.compiled.function)

    def compiled_anew(self) -> Compiled:
        """What the code is, compiled from what it was compiled from."""
        return _compiled(self._asked(), self.compiled.target, self._options)

    def _see_kind(self) -> None:
        compiled = self.compiled
        self._engine = find_target(compiled.target).engine
        self.takes_arrays = compiled.takes_arrays or compiled.target == "native"


def _chosen(asked: Asked, options: Options) -> tuple[Compiled, str, int | None]:
    """What is estimated to be faster, why, and after how many calls machine code has paid."""
    if options.target != AUTO:
        return _compiled(asked, options.target, options), "as asked", None
    work = work_of(asked.inputs, asked.outputs, ())
    slow = work.microseconds(1)
    if slow < SMALL:
        python = _compiled(asked, "python", options)
        reason = f"{work.update:,} operations are too few for arrays to gain"
        return python, reason, work.calls_to_native(slow)
    arrays = _compiled(asked, "numpy", options)
    count, fast = len(arrays.program.instructions), array_microseconds(arrays.program, 1)
    turn = work.calls_to_native(min(slow, fast))
    if fast < slow or len(_graph_of(asked.outputs)) >= LARGE:
        return arrays, f"{work.update:,} operations are {count:,} on arrays", turn
    python = _compiled(asked, "python", options)
    return python, f"{work.update:,} operations would be {count:,} on arrays, no gain", turn


def _compiled(asked: Asked, target: str, options: Options) -> Compiled:
    whole = len(_graph_of(asked.outputs)) < LARGE or target != "native"
    return compile(
        asked.inputs,
        asked.outputs,
        target=target,
        simplify=whole,
        cache_dir=options.cache_dir,
    )


def _graph_of(outputs: Nested) -> Graph:
    return next(expr for _, expr in flatten(outputs)).graph  # type: ignore[no-any-return]
