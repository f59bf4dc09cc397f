"""What containers and objects hold before a function is traced, and what it wrote into them.

A traced function runs once. What it would write at each call into something that outlives the call
is written once, and is a number of the trace, which nobody else can read; so it is found, undone
and said.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from copy import copy
from types import CodeType
from typing import Any, Final, NamedTuple

from ..graph.arithmetic import Arithmetic
from ..graph.value import Value
from ..ops.shapes import is_array
from .lines import Line, line_of
from .number import Number
from .structure import MAX_DEPTH

MAX_KEPT: Final = 1_000_000
"""How many things are remembered in all; what was named later is not watched."""


class Variable(NamedTuple):
    """A variable outside of a function that it may assign to."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]


class Contents:
    """What things held at first: lists, dicts, arrays of objects, and objects with attributes.

    things     with their names
    variables  that may be assigned to
    known      Values that may be written anywhere, since they were there before

    >>> from wengert import Value
    >>> seen = [Value(1.0)]
    >>> contents = Contents([("seen", seen)])
    >>> seen.append(seen[0] * 2); contents.written()
    ('seen[1]', 1)
    >>> contents.restore(); seen
    [Value(data=1.0, grad=0.0)]
    """

    def __init__(
        self,
        things: Iterable[tuple[str, Any]],
        variables: Iterable[Variable] = (),
        known: Container[Any] = (),
    ) -> None:
        self._known = known
        self._variables = [(variable, variable.read()) for variable in variables]
        self._kept: list[tuple[str, Any, Any]] = []
        room = MAX_KEPT
        for name, thing in things:
            held = _held(thing)
            if held is not None and len(held) <= room:
                room -= len(held)
                self._kept.append((name, thing, copy(held)))

    def written(self) -> tuple[str, Any] | None:
        """The first place of a number or Value that was not there, and its name or index alone."""
        for variable, _ in self._assigned():
            return variable.name, variable.name
        for name, thing, held, before in self._filled():
            key = next(key for key in _changes(held, before) if _is_new(held[key], self._known))
            attribute = held is not thing and isinstance(held, dict)
            shown = name or type(thing).__name__
            return f"{shown}.{key}" if attribute else f"{shown}[{key!r}]", key
        return None

    def changed(self) -> str | None:
        """The name of the first that holds something else than it did, whatever it is."""
        for name, thing, before in self._kept:
            now = _held(thing)
            if len(now) != len(before) or any(True for _ in _changes(now, before)):
                return name
        return None

    def restore(self) -> None:
        """Put back what was where numbers and Values have been written, and there alone."""
        for variable, before in self._assigned():
            variable.write(before)
        for _, _, held, before in self._filled():
            if isinstance(held, dict):
                held.clear()
                held.update(before)
            else:
                held[:] = before

    def _assigned(self) -> Iterator[tuple[Variable, Any]]:
        """Variables that are a number or a Value now, or hold one, and were something else."""
        for variable, before in self._variables:
            now = variable.read()
            if now is not before and _is_new(now, self._known):
                yield variable, before

    def _filled(self) -> Iterator[tuple[str, Any, Any, Any]]:
        """Things with such a number or Value in them: the name, the thing, what it holds, held."""
        for name, thing, before in self._kept:
            held = _held(thing)
            if any(_is_new(held[key], self._known) for key in _changes(held, before)):
                yield name, thing, held, before


def _held(thing: Any) -> Any:
    """What can be written into: a list, a dict, or the entries of an array in a row; else None."""
    if isinstance(thing, (list, dict)):
        return thing
    if is_array(thing):
        return thing.reshape(-1) if thing.dtype == object else None
    return None if isinstance(thing, (tuple, type)) else getattr(thing, "__dict__", None)


def _changes(now: Any, before: Any) -> Iterator[Any]:
    """The indices or keys at which there is something now that was not there before."""
    if isinstance(now, dict):
        yield from (key for key, item in list(now.items()) if before.get(key, now) is not item)
        return
    yield from range(len(before), len(now))
    yield from (k for k, (a, b) in enumerate(zip(now, before, strict=False)) if a is not b)


def _is_new(thing: Any, known: Container[Any], depth: int = 0) -> bool:
    """Whether it is a number or Value that is not known, or holds one."""
    if isinstance(thing, Arithmetic) or depth > MAX_DEPTH:
        return isinstance(thing, Number) or (isinstance(thing, Value) and thing not in known)
    items: Iterable[Any] = ()
    if isinstance(thing, Mapping):
        items = thing.values()
    elif isinstance(thing, (list, tuple)) or (is_array(thing) and thing.dtype == object):
        items = thing if isinstance(thing, (list, tuple)) else thing.ravel()
    return any(_is_new(item, known, depth + 1) for item in items)


def containers_in(thing: Any, name: str) -> Iterable[tuple[str, Any]]:
    """The lists, dicts, arrays and Values that an argument is made of, with the way to each."""
    stack = [(name, thing)]
    while stack:
        name, thing = stack.pop()
        if isinstance(thing, (list, tuple, dict)):
            yield name, thing
            pairs = thing.items() if isinstance(thing, dict) else enumerate(thing)
            stack += [(f"{name}[{key!r}]", item) for key, item in pairs]
        elif is_array(thing):
            yield name, thing
            if thing.dtype == object:
                stack += [(name, item) for item in thing.ravel()]
        elif isinstance(thing, Value):
            yield name, thing


def storing_line(codes: Sequence[tuple[CodeType, Any]], key: Any) -> Line:
    """Where an attribute or a variable of that name is assigned; else where the code begins."""
    for code, _ in codes:
        number = code.co_firstlineno
        if code.co_name == "__init__":
            continue
        for instruction in dis.get_instructions(code):
            at = instruction.positions
            number = (at and at.lineno) or number
            if instruction.opname.startswith("STORE_") and instruction.argval == key:
                return line_of(code.co_filename, number)
    return first_line(codes)


def first_line(codes: Sequence[tuple[CodeType, Any]]) -> Line:
    """Where the code begins."""
    for code, _ in codes:
        return line_of(code.co_filename, code.co_firstlineno)
    return Line("?", 0, "")
