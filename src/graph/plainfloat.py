"""A number with a history that is about to become a plain float, and by whose doing.

`float(value)` is asked for; `math.exp(value)` is a slip, for its result has no history and the
derivative is lost in silence. Python asks both times for `__float__`, so the call that is being
made is looked up in the code of the caller, at the place where it stands.
"""

from __future__ import annotations

import cmath
import dis
import math
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FrameType, ModuleType
from typing import Any, Final

from ..errors import OperandError
from ..ops.table import OPERATIONS

_MEANT: Final = frozenset((("float",), ("int",), ("complex",), ("round",)))
"""Calls that ask for a plain number."""

_TOLD: Final = frozenset(
    getattr(math, name)
    for name in dir(math)
    if name in ("isinf", "isclose", "trunc", "copysign")
    or (name in OPERATIONS and not any(OPERATIONS[name].vjp))
)
"""Functions of `math` that tell something about a number, or are flat."""

_ASKING: Final = frozenset((("hasattr",), ("getattr",)))
"""Calls that ask for an attribute."""

_INSTEAD: Final = {
    "fabs": "abs(x)",
    "pow": "x**y",
    "dist": "wengert.sqrt of the sum of squares",
    "fsum": "sum",
    "sumprod": "sum(x*y for x, y in zip(xs, ys))",
}

Chain = tuple[str, ...]
"""A name and the attributes read from it: ("math", "exp")."""


def check_plain_float(frame: FrameType | None) -> None:
    """An `OperandError` when the call under way in `frame` is one of a function of `math`."""
    if frame is None:
        return
    callee, others = _call_at(frame.f_code, frame.f_lasti)
    if callee is None or callee in _MEANT:
        return
    for chain in (callee, *others):
        function = _resolved(chain, frame)
        if _loses_history(function):
            raise OperandError(_text(function))


def is_looked_up(frame: FrameType) -> bool:
    """Whether the code of a frame itself asks for an attribute, as in `x.exp` or `hasattr`.

    Otherwise it makes a call, and what is called asks: NumPy does for what is in its arrays.
    """
    code, at = frame.f_code, frame.f_lasti
    called = "CALL" in dis.opname[code.co_code[at]]
    return not called or _call_at(code, at)[0] in _ASKING


def caller() -> FrameType | None:
    """The frame that asks for a float: the caller of the caller of this."""
    return sys._getframe(2)


def _loses_history(function: Any) -> bool:
    if getattr(function, "__self__", None) not in (math, cmath) or not callable(function):
        return False
    return function not in _TOLD


def _text(function: Any) -> str:
    name = function.__name__
    written = f"{function.__self__.__name__}.{name}"
    if name in _INSTEAD:
        instead = f"write {_INSTEAD[name]}"
    elif name in OPERATIONS and OPERATIONS[name].shape is None:
        instead = f"write wengert.{name}"
    else:
        instead = "write it with wengert's operations"
    return (
        f"{written} gives a plain float, which has no history: the derivative would be lost; "
        f"{instead}, or {written}(float(x)) for the number alone"
    )


def _resolved(chain: Chain, frame: FrameType) -> Any:
    """What a chain of names is in a frame, as far as reading it runs no code; else None."""
    first, *attributes = chain
    spaces = (frame.f_locals, frame.f_globals, frame.f_builtins)
    thing = next((space[first] for space in spaces if first in space), None)
    for name in attributes:
        if isinstance(thing, (ModuleType, type)):
            thing = vars(thing).get(name)
        else:
            own = getattr(thing, "__dict__", {})
            thing = own.get(name, vars(type(thing)).get(name))
        thing = thing.__func__ if isinstance(thing, staticmethod) else thing
    return thing


@lru_cache(maxsize=4096)
def _call_at(code: CodeType, offset: int) -> tuple[Chain | None, tuple[Chain, ...]]:
    """What is called at an instruction, and what else stands in that call without being called.

    The callee is None where the instruction is no call, or the code does not say where it stands.
    """
    steps = list(dis.get_instructions(code))
    at = next((step for step in steps if step.offset == offset), None)
    if at is None or "CALL" not in at.opname:
        return None, ()
    whole = _span(at)
    if whole is None:
        return None, ()
    called = {span[:2] for step in steps if "CALL" in step.opname if (span := _span(step))}
    chains = dict(_chains(steps))
    inside = {
        span: chain
        for span, chain in chains.items()
        if span[:2] >= whole[:2] and span[2:] <= whole[2:]
    }
    starting = {span: chain for span, chain in inside.items() if span[:2] == whole[:2]}
    if not starting:
        return ("",), ()
    callee = starting[max(starting, key=lambda span: span[2:])]
    others = tuple(chain for span, chain in inside.items() if span[:2] not in called)
    return callee, others


Span = tuple[int, int, int, int]
"""Line and column of the start, line and column of the end."""


def _span(step: dis.Instruction) -> Span | None:
    at = step.positions
    if at is None or None in (at.lineno, at.col_offset, at.end_lineno, at.end_col_offset):
        return None
    return at.lineno, at.col_offset, at.end_lineno, at.end_col_offset  # type: ignore[return-value]


def _chains(steps: list[dis.Instruction]) -> Iterator[tuple[Span, Chain]]:
    """The names that are read, and attributes of them, by where each stands."""
    known: dict[tuple[int, int], Chain] = {}
    for step in steps:
        span = _span(step)
        if span is None or not isinstance(step.argval, str):
            continue
        start = span[:2]
        if step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            if start in known:
                known[start] = (*known[start], str(step.argval))
                yield span, known[start]
        elif step.opname.startswith("LOAD_") and step.opname != "LOAD_CONST":
            known[start] = (str(step.argval),)
            yield span, known[start]
