"""What a function can reach from outside: its closures and globals, and what these hold.

From here come the names of the parameters (`wte[3][5]` is `wte_3_5`, which is how arrays are found
again) and what a trace assumes: that these names still stand for the same things.
"""

from __future__ import annotations

import builtins
import dis
import os
import re
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, MappingView
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from io import IOBase
from itertools import product, starmap
from random import Random
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any, Final
from weakref import ReferenceType

from ..graph.store import MAX_NAME_LENGTH
from ..graph.value import Value
from ..ops.shapes import is_array
from .contents import Variable
from .lines import Line, is_foreign, line_of
from .structure import MAX_DEPTH

MAX_LOOKED_AT: Final = 300_000
"""How many things are looked at; what lies beyond has no name and is not checked."""

MAX_COPIED: Final = 20_000
"""How many numbers a container may hold to be compared number by number at each call."""

_LOADS: Final = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR")
_SIMPLE: Final = (int, float, bool, str, bytes, type(None))
_CONTAINERS: Final = (list, tuple, dict)
_LISTED: Final[tuple[Any, ...]] = (set, frozenset, deque, bytearray, array, memoryview, MappingView)
_ENVIRONMENT: Final = frozenset({"environ", "getenv"})
_MISSING: Final = object()
_OURS: Final = __name__.partition(".")[0]


Assumption = tuple[Callable[[], Any], Any, str]
"""A function that reads something again, what it was, and its name."""


@dataclass(slots=True)
class Reach:
    """What was found, from the nearest to the farthest.

    names        the Values, each with a name made of the way to it
    assumptions  what was read
    codes        the code of the functions that may be called, with their globals
    generators   of random numbers, Python's and NumPy's
    containers   what may be written into, by name: lists, dicts, arrays, and objects
    variables    closures and globals
    iterators    what gives something else each time it is asked, by name
    drained      the same, as attributes of objects: some method may read from them
    used         the names of globals and attributes that the code reads
    identity     a line that asks which of two things is which, other than of constants and classes
    complete     whether everything was looked at
    """

    names: dict[Value, str] = field(default_factory=dict)
    assumptions: list[Assumption] = field(default_factory=list)
    codes: list[tuple[CodeType, dict[str, Any]]] = field(default_factory=list)
    generators: list[Any] = field(default_factory=list)
    containers: list[tuple[str, Any]] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    iterators: list[tuple[str, Any]] = field(default_factory=list)
    drained: list[tuple[str, Any]] = field(default_factory=list)
    used: frozenset[str] = frozenset()
    identity: Line | None = None
    complete: bool = True


def reach_of(function: Callable[..., Any], arguments: Iterable[Any]) -> Reach:
    """Everything that `function` and the objects among its arguments lead to."""
    walk = _Walk()
    walk.enter("", function)
    for thing in arguments:
        walk.enter(type(thing).__name__.lower(), thing)
    walk.go()
    return walk.found


class _Walk:
    """A walk in breadth, from names to things; what leads to Values is remembered as it is."""

    def __init__(self) -> None:
        self.found = Reach()
        self._queue: deque[tuple[str, Any]] = deque()
        self._seen: dict[int, Any] = {}
        self._used: set[str] = set()
        self._inner: set[int] = set()
        self._attribute: dict[int, str] = {}
        self._spaces: dict[int, Any] = {}
        self._named: set[tuple[int, str]] = set()

    def enter(self, name: str, thing: Any) -> None:
        self._queue.append((name, thing))

    def go(self) -> None:
        """Look at everything, and then keep the assumptions that matter."""
        containers = self.found.containers
        while (self._queue or self._look_up()) and len(self._seen) < MAX_LOOKED_AT:
            name, thing = self._queue.popleft()
            if isinstance(thing, _SIMPLE) or id(thing) in self._seen:
                continue
            self._seen[id(thing)] = thing
            if isinstance(thing, Value):
                self.found.names.setdefault(thing, name)
                own = {key: item for key, item in vars(thing).items() if key != "_backward"}
                self._items(name, thing, own)
                if type(thing) is not Value:
                    self._class(type(thing))
            elif isinstance(thing, (FunctionType, MethodType)) or _wrapped(thing) is not None:
                self._function(thing)
            elif isinstance(thing, _CONTAINERS):
                containers.append((name, thing))
                self._items(name, thing, thing)
                if getattr(thing, "__dict__", None):
                    self._items(name, thing, attributes_of(thing))
            elif is_array(thing):
                containers.append((name, thing))
                if thing.dtype == object:
                    places = product(*map(range, thing.shape))
                    for place, item in zip(places, thing.ravel(), strict=True):
                        self.enter("_".join((name, *map(str, place))), item)
            elif isinstance(thing, BuiltinFunctionType):
                self.enter(name, thing.__self__)  # such as a generator of random numbers
            elif isinstance(thing, Random) or hasattr(thing, "bit_generator"):
                self.found.generators.append(thing)
            elif isinstance(thing, (ContextVar, ReferenceType)):
                read = partial(thing.get, None) if isinstance(thing, ContextVar) else thing
                self.found.assumptions.append((read, read(), name))
                self.enter(name, read())
            elif isinstance(thing, MappingProxyType):
                containers.append((name, thing))
                self._items(name, thing, dict(thing))
            elif isinstance(thing, partial):
                for part in (thing.func, thing.args, thing.keywords):
                    self.enter(name, part)
            elif isinstance(thing, type):
                self._class(thing)
            elif isinstance(thing, ModuleType):
                self._space(thing)
            elif has_attributes(thing):
                containers.append((name, thing))
                self._items(name, thing, attributes_of(thing))
                if isinstance(thing, _LISTED):
                    self._items(name, thing, _held(thing))
                self._class(type(thing))
            elif isinstance(thing, _LISTED):
                containers.append((name, thing))
                self._items(name, thing, _held(thing))
            elif isinstance(thing, Iterator) and not isinstance(thing, IOBase):
                self.found.iterators.append((name, thing))
        found = self.found.iterators
        kept = [pair for pair in found if self._attribute.get(id(pair[1])) in self._used]
        self.found.drained = kept
        self.found.iterators = [pair for pair in found if id(pair[1]) not in self._attribute]
        self.found.complete = not self._queue
        self.found.used = frozenset(self._used)
        self.found.identity = next(filter(None, starmap(_comparing, self.found.codes)), None)
        self._assume(containers)

    def _items(self, name: str, thing: Any, held: Any) -> None:
        pairs = held.items() if isinstance(held, dict) else enumerate(held)
        for key, item in list(pairs):
            if not isinstance(item, _SIMPLE):
                self._queue.append((f"{name}_{_part(key)}" if name else _part(key), item))
                if isinstance(held, dict) and held is not thing:
                    if not _is_wrapping(thing):
                        self._attribute.setdefault(id(item), str(key))
                elif isinstance(item, _CONTAINERS):
                    self._inner.add(id(item))

    def _class(self, kind: type) -> None:
        """The methods of a class and of its own class, any of which may be called."""
        for base in [*kind.__mro__, *type.mro(type(kind))]:
            if not is_foreign(base.__module__):
                self._space(base)
                for member in vars(base).values():
                    inner = inner_function(member)
                    if isinstance(inner, FunctionType):
                        self.enter("", inner)

    def _space(self, thing: Any) -> None:
        """A module or a class of the user's: what code names in it will be looked at.

        So it will in Python's own modules, but what is found there is not gone into.
        """
        name = getattr(thing, "__module__", None) or thing.__name__
        if isinstance(thing, ModuleType) or not is_foreign(name):
            self._spaces[id(thing)] = thing

    def _look_up(self) -> bool:
        """Enter what code names in modules and classes, as far as is known by now; if any."""
        for thing in list(self._spaces.values()):
            foreign = isinstance(thing, ModuleType) and is_foreign(thing.__name__)
            for name in sorted(self._used & vars(thing).keys()):
                if (id(thing), name) not in self._named:
                    self._named.add((id(thing), name))
                    member = _member(thing, name)
                    if not foreign:
                        self._read(member)
                    elif thing.__name__.partition(".")[0] != _OURS:
                        self._read_foreign(member)
        return bool(self._queue)

    def _read_foreign(self, variable: Variable) -> None:
        """Remember what is no object of its own kind, such as an open file or another module."""
        seen = variable.read()
        if isinstance(seen, (*_SIMPLE, *_CONTAINERS, FunctionType, BuiltinFunctionType, type)):
            found = _remembered(seen, leads=False)
            self.found.assumptions.append((variable.read, found, variable.name))

    def _function(self, thing: Any) -> None:
        """The cells and the globals that a function reads, and the object it is bound to."""
        if isinstance(thing, MethodType):
            self.enter("", thing.__self__)
        function = _wrapped(thing) or getattr(thing, "__func__", thing)
        if not isinstance(function, FunctionType) or is_foreign(function.__module__):
            return
        names = function.__globals__
        codes = list(_codes(function.__code__))
        self.found.codes += [(code, names) for code in codes]
        read = partial(_made_of, function)
        self.found.assumptions.append((read, read(), function.__name__))
        if vars(function):
            self.found.containers.append((function.__name__, function))
            self._items(function.__name__, function, vars(function))
        for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self.enter("default", default)
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            self._read(Variable(name, _cell_reader(cell), partial(setattr, cell, "cell_contents")))
        for name in sorted({name for code in codes for name in _loaded(code)}):
            self._used.add(name)
            if name in _ENVIRONMENT:
                self.enter("environ", os.environ)
            if name in names:
                self._read(_global(names, name))
        for name in sorted({name for code in codes for name in _assigned(code)}):
            self.found.variables.append(_global(names, name))

    def _read(self, variable: Variable) -> None:
        seen = variable.read()
        if isinstance(seen, ModuleType) and is_foreign(seen.__name__):
            self.enter(variable.name, seen)
        else:
            self.found.assumptions.append((variable.read, seen, variable.name))
            self.found.variables.append(variable)
            self.enter(variable.name.rpartition(".")[2], seen)

    def _assume(self, containers: list[tuple[str, Any]]) -> None:
        """Remember what the containers hold, and the attributes that are named in code.

        A container is looked at after what holds it, so from the last to the first it is known
        whether what it holds leads to Values.
        """
        leading = {id(value) for value in self.found.names}
        for name, thing in reversed(containers):
            held = _held(thing)
            items = held.values() if isinstance(held, dict) else held
            if any(id(item) in leading for item in items):
                leading.add(id(thing))
            holds = isinstance(thing, (*_CONTAINERS, *_LISTED, MappingProxyType)) or is_array(thing)
            if not holds or getattr(thing, "__dict__", None):
                self._attributes(name, thing, leading)
            if holds and id(thing) not in self._inner:
                key = self._attribute.get(id(thing))
                if id(thing) in leading or key is None or key in self._used:
                    self._contents(name, thing, id(thing) in leading)

    def _attributes(self, name: str, thing: Any, leading: set[int]) -> None:
        """Assume the attributes that code names, and all of the package's own."""
        every = type(thing).__module__.partition(".")[0] == _OURS or _is_wrapping(thing)
        for key, item in attributes_of(thing).items():
            known = isinstance(item, _SIMPLE) or id(item) in leading
            if key in self._used or (known and every):
                reader = partial(attributes_of(thing).get, key, _MISSING)
                if not hasattr(thing, "__dict__"):
                    reader = partial(getattr, thing, key, _MISSING)
                seen = _remembered(item, id(item) in leading)
                self.found.assumptions.append((reader, seen, f"{name}.{key}"))

    def _contents(self, name: str, thing: Any, leads: bool) -> None:
        """Assume what a container holds: all the way down, if it leads to Values or is small."""
        if is_array(thing):
            if thing.dtype == object:
                self.found.assumptions.append((partial(_held, thing), _held(thing), name))
            elif thing.size <= MAX_COPIED:
                self.found.assumptions.append((partial(_bytes, thing), _bytes(thing), name))
            return
        if isinstance(thing, (*_LISTED, MappingProxyType)):
            self.found.assumptions.append((partial(_held, thing), _held(thing), name))
            return
        self.found.assumptions.append((partial(_itself, thing), _remembered(thing, leads), name))


def _remembered(thing: Any, leads: bool) -> Any:
    """A thing as it is now: containers all the way down, if they lead to Values or are small."""
    deep = leads or (isinstance(thing, _CONTAINERS) and _size(thing) <= MAX_COPIED)
    return _copied(thing, deep)


def _held(thing: Any) -> Any:
    """What a container or an object holds: a list or a dict."""
    if isinstance(thing, _CONTAINERS):
        return thing
    if isinstance(thing, _LISTED):
        return list(thing)
    if isinstance(thing, MappingProxyType):
        return dict(thing)
    if is_array(thing):
        return list(thing.ravel()) if thing.dtype == object else []
    return attributes_of(thing)


def _made_of(function: FunctionType) -> tuple[Any, ...]:
    """What of a function may be exchanged, as reloading does."""
    return function.__code__, function.__defaults__, function.__kwdefaults__


def _is_wrapping(thing: Any) -> bool:
    """Whether code of Python's own reads what an object keeps, as `UserDict`'s does."""
    return any(base.__module__ in ("collections", "os") for base in type(thing).__mro__)


def has_attributes(thing: Any) -> bool:
    """Whether it is an object that keeps something under names, in a dict or in slots."""
    return hasattr(thing, "__dict__") or bool(_slots(type(thing)))


def attributes_of(thing: Any) -> dict[str, Any]:
    """What an object keeps under names; its own dict where it keeps nothing in slots."""
    slots = _slots(type(thing))
    held: dict[str, Any] = getattr(thing, "__dict__", {})
    if not slots:
        return held
    return {**{name: getattr(thing, name) for name in slots if hasattr(thing, name)}, **held}


def _slots(kind: type) -> list[str]:
    """The slots of a class that users wrote."""
    bases = [base for base in kind.__mro__ if not is_foreign(base.__module__)]
    found = [vars(base).get("__slots__", ()) for base in bases]
    listed = [(names,) if isinstance(names, str) else names for names in found]
    return [name for names in listed for name in names if not name.startswith("__")]


def _bytes(array: Any) -> bytes:
    return array.tobytes()  # type: ignore[no-any-return]


def _size(thing: Any) -> int:
    """How many things are in a container, in all; not much more than is copied is counted."""
    count, stack = 0, [thing]
    while stack and count <= MAX_COPIED:
        held = stack.pop()
        items = list(held.values()) if isinstance(held, dict) else held
        count += len(items)
        stack += [item for item in items if isinstance(item, _CONTAINERS)]
    return count


def broken(assumptions: Iterable[Assumption]) -> str | None:
    """The name of the first thing that is not what it was; None if all are."""
    for read, seen, name in assumptions:
        now = read()
        if now is not seen and not _same(now, seen):
            return name
    return None


def _same(now: Any, seen: Any) -> bool:
    """Whether two are the same number, text or method, or containers of the same things."""
    kind = type(seen)
    if kind in _CONTAINERS and isinstance(now, kind):
        return _equal(now, seen)
    if type(now) is not kind:
        return False
    if kind is MethodType:
        return now.__func__ is seen.__func__ and now.__self__ is seen.__self__
    return kind in _SIMPLE and bool(now == seen or (now != now and seen != seen))


def _equal(now: Any, seen: Any) -> bool:
    """Whether containers hold the same things; Values are equal when they are the same one."""
    try:
        return bool(now == seen)
    except Exception:  # such as arrays among them, of whose equality there is no one truth
        return _alike(now, seen)


def _alike(now: Any, seen: Any) -> bool:
    """Whether containers hold the same things, one by one; further down only identity counts."""
    if len(now) != len(seen) or isinstance(now, dict) != isinstance(seen, dict):
        return False
    if isinstance(now, dict):
        return all(key in seen and _alike_item(now[key], seen[key]) for key in now)
    return all(map(_alike_item, now, seen))


def _alike_item(now: Any, seen: Any) -> bool:
    if now is seen:
        return True
    if isinstance(now, _CONTAINERS) and isinstance(seen, _CONTAINERS):
        return _alike(now, seen)
    return isinstance(now, _SIMPLE) and type(now) is type(seen) and now == seen


def _copied(thing: Any, deep: bool = True, depth: int = 0) -> Any:
    """A container anew, and if `deep` the containers in it, down to some depth."""
    if depth > (MAX_DEPTH if deep else 0) or not isinstance(thing, _CONTAINERS):
        return thing
    if isinstance(thing, dict):
        return {key: _copied(item, deep, depth + 1) for key, item in thing.items()}
    items = [_copied(item, deep, depth + 1) for item in thing]
    return items if isinstance(thing, list) else tuple(items)


def _itself(thing: Any) -> Any:
    return thing


def _global(names: dict[str, Any], name: str) -> Variable:
    def write(thing: Any) -> None:
        if thing is _MISSING:
            names.pop(name, None)
        else:
            names[name] = thing

    return Variable(name, lambda: names.get(name, _MISSING), write)


def _member(space: Any, name: str) -> Variable:
    """What a module or a class has under a name."""

    def read() -> Any:
        return vars(space).get(name, _MISSING)

    def write(thing: Any) -> None:
        if thing is _MISSING:
            delattr(space, name)
        else:
            setattr(space, name, thing)

    shown = space.__name__.rpartition(".")[2]
    return Variable(f"{shown}.{name}", read, write)


def inner_function(member: Any) -> Any:
    """The function that a method, a property or the like is made of; else the thing itself."""
    for name in ("__func__", "fget", "func", "__wrapped__"):
        inner = getattr(member, name, None)
        if isinstance(inner, FunctionType):
            return inner
    return member


def _cell_reader(cell: Any) -> Callable[[], Any]:
    def read() -> Any:
        try:
            return cell.cell_contents
        except ValueError:  # not yet assigned
            return _MISSING

    return read


def _wrapped(thing: Any) -> Any:
    """The user's function inside of a traced one."""
    return getattr(thing, "__wrapped__", None) if callable(thing) else None


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function, and of the functions and comprehensions written inside of it."""
    stack = [code]
    while stack:
        one = stack.pop()
        yield one
        stack += [inner for inner in one.co_consts if isinstance(inner, CodeType)]


def _loaded(code: CodeType) -> Iterator[str]:
    """The globals and attributes that a piece of code reads; not those that it only assigns."""
    for instruction in dis.get_instructions(code):
        if instruction.opname.startswith(_LOADS):
            yield str(instruction.argval)


def _comparing(code: CodeType, names: dict[str, Any]) -> Line | None:
    """Where code says `is` of what may be Values, or calls `id`."""
    before, number = None, code.co_firstlineno
    for step in dis.get_instructions(code):
        at = step.positions
        number = (at and at.lineno) or number
        asks = step.opname == "IS_OP" and before is not None and _may_be_value(before, names)
        if asks or (step.opname == "LOAD_GLOBAL" and step.argval == "id" and "id" not in names):
            return line_of(code.co_filename, number)
        before = step
    return None


def _may_be_value(step: dis.Instruction, names: dict[str, Any]) -> bool:
    """Whether what an instruction puts on the stack may be a Value; no constant and no class."""
    if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
        found = names.get(step.argval, getattr(builtins, step.argval, None))
        return isinstance(found, Value)
    return step.opname != "LOAD_CONST"


def _assigned(code: CodeType) -> Iterator[str]:
    """The globals that a piece of code assigns to."""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "STORE_GLOBAL":
            yield str(instruction.argval)


def _part(key: Any) -> str:
    """A key or an index as part of a name."""
    text = re.sub(r"\W", "_", str(key), flags=re.ASCII) if isinstance(key, (str, int)) else "x"
    return text[: MAX_NAME_LENGTH // 4]
