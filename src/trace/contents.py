"""What containers and objects hold before a function is traced, and what it wrote into them.

A traced function runs once. What it would write at each call into something that outlives the call
is written once, and is a number of the trace, which nobody else can read; so it is found, undone
and said.
"""

from __future__ import annotations

import dis
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import lru_cache
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from ..graph.arithmetic import Arithmetic
from ..graph.value import Value
from ..ops.shapes import is_array
from .lines import Line, is_foreign, line_of
from .number import Number
from .text import UnknownText

_SIMPLE: Final = (int, float, bool, str, bytes, complex, type(None))

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
            key = next(k for k, item in _changes(held, before) if _is_new(item, self._known))
            shown = name or type(thing).__name__
            if held is thing or is_array(thing):
                return f"{shown}[{'…' if isinstance(held, set) else repr(key)}]", key
            return f"{shown}.{key}", key
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
        for _, thing, held, before in self._filled():
            if is_array(held):
                held[:] = before
            elif held is not thing and not hasattr(thing, "__dict__"):
                for key in held:  # in slots
                    _set_back(thing, key, before)
            else:
                held.clear()
                (held.extend if isinstance(held, (list, deque)) else held.update)(before)

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
            if any(_is_new(item, self._known) for _, item in _changes(held, before)):
                yield name, thing, held, before


def _set_back(thing: Any, name: str, before: dict[str, Any]) -> None:
    if name in before:
        setattr(thing, name, before[name])
    else:
        delattr(thing, name)


def _held(thing: Any) -> Any:
    """What can be written into: a container, the entries of an array in a row, or attributes."""
    if isinstance(thing, (list, dict, set, deque)):
        return thing
    if is_array(thing):
        return thing.reshape(-1) if thing.dtype == object else None
    if isinstance(thing, (tuple, type)) or not has_attributes(thing):
        return None
    return attributes_of(thing)


def _changes(now: Any, before: Any) -> Iterator[tuple[Any, Any]]:
    """What is there now that was not there before, and at which index or key."""
    if isinstance(now, dict):
        yield from ((k, item) for k, item in list(now.items()) if before.get(k, now) is not item)
    elif isinstance(now, set):
        yield from ((item, item) for item in now - before)
    else:
        pairs = enumerate(zip(now, before, strict=False))
        yield from ((k, now[k]) for k in range(len(before), len(now)))
        yield from ((k, a) for k, (a, b) in pairs if a is not b)


def has_attributes(thing: Any) -> bool:
    """Whether it is an object that keeps something under names, in a dict or in slots."""
    kind: Any = type(thing)
    return hasattr(thing, "__dict__") or bool(_slots(kind))


def attributes_of(thing: Any) -> dict[str, Any]:
    """What an object keeps under names; its own dict where it keeps nothing in slots."""
    kind: Any = type(thing)
    slots = _slots(kind)
    held: dict[str, Any] = getattr(thing, "__dict__", {})
    if not slots:
        return held
    return {**{name: getattr(thing, name) for name in slots if hasattr(thing, name)}, **held}


@lru_cache(maxsize=1024)
def _slots(kind: type) -> tuple[str, ...]:
    """The slots of a class that users wrote."""
    bases = [base for base in kind.__mro__ if not is_foreign(base.__module__)]
    found = [vars(base).get("__slots__", ()) for base in bases]
    listed = [(names,) if isinstance(names, str) else names for names in found]
    return tuple([name for names in listed for name in names if not name.startswith("__")])


def _is_new(thing: Any, known: Container[Any]) -> bool:
    """Whether it is a number or Value that is not known, or holds one."""
    seen: dict[int, Any] = {}
    stack = [thing]
    while stack and len(seen) < MAX_KEPT:
        one = stack.pop()
        if isinstance(one, Arithmetic):
            if isinstance(one, Number) or (isinstance(one, Value) and one not in known):
                return True
        elif isinstance(one, UnknownText):
            return True
        elif not isinstance(one, _SIMPLE) and id(one) not in seen:
            seen[id(one)] = one
            stack += _parts(one)
    return False


def _parts(thing: Any) -> Iterable[Any]:
    """What a thing of any kind holds; nothing for modules, classes and functions."""
    if isinstance(thing, Mapping):
        return thing.values()
    if isinstance(thing, (list, tuple, set, frozenset, deque)):
        return thing
    if is_array(thing):
        return thing.ravel() if thing.dtype == object else ()
    if isinstance(thing, (type, ModuleType, FunctionType)):
        return ()
    return attributes_of(thing).values()


def holds_new(thing: Any, known: Container[Any]) -> bool:
    """Whether what a function gave besides Values holds numbers that are known only when it runs.

    >>> from collections import deque
    >>> from wengert import Value
    >>> holds_new(deque([Value(1.0)]), ()), holds_new("text", ())
    (True, False)
    """
    return isinstance(thing, Iterator) or _is_new(thing, known)


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
