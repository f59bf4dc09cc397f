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
from collections.abc import Callable, Iterable, Iterator, MappingView, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from io import IOBase
from itertools import product, starmap
from operator import attrgetter
from queue import Queue, SimpleQueue
from random import Random, SystemRandom
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

from ..graph.module import Module
from ..graph.store import MAX_NAME_LENGTH
from ..graph.value import Value
from ..ops.shapes import is_array
from .assumed import CONTAINERS, SIMPLE, Assumption, copied
from .contents import Variable, attributes_of, has_attributes
from .imports import imports_of
from .lines import Line, is_foreign, line_of
from .readers import MISSING, Bases, Beings, Cell, Entry, Itself, Made, NewNames

MAX_LOOKED_AT: Final = 300_000
"""How many things are looked at; what lies beyond has no name and is not checked."""

MAX_COPIED: Final = 100_000
"""How many numbers a container may hold to be compared number by number at each call."""

SAMPLE: Final = 256
"""How many of its numbers are compared if it holds more."""

_GLOBALS: Final = ("LOAD_GLOBAL", "LOAD_NAME")
_LOADS: Final = (*_GLOBALS, "LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR")
_STANDING: Final = (ModuleType, BuiltinFunctionType, type)
_LISTED: Final[tuple[Any, ...]] = (set, frozenset, deque, bytearray, array, memoryview, MappingView)
_REMEMBERED: Final = (*SIMPLE, *CONTAINERS, FunctionType, BuiltinFunctionType, type)
_STANDING_IN: Final = frozenset({"max", "min", "isinstance", "backward"})
"""What is another thing while any thread traces."""
BY_TEXT: Final = frozenset({"getattr", "hasattr", "vars", "__dict__", "attrgetter"})
"""With these code reads attributes that it does not name."""
_WHOLLY: Final = frozenset({"vars", "__dict__", "dir", "asdict", "astuple"})
_PLAIN: Final = frozenset({"builtins", "abc", "typing"})
"""Of what these have, classes are made that call no methods but those with underscores."""
_MADE: Final = frozenset({"str", "format", "join"})
"""What makes text."""
_APART: Final = frozenset({"__init__", "__repr__", "parameters", "named_parameters", "zero_grad"})
"""Functions that are for what goes on around a loss, and may read everything."""
_READS: Final = frozenset({"read", "readline", "readlines", "getvalue"})
"""With these code reads a file that it may also write."""
_ENVIRONMENT: Final = frozenset({"environ", "getenv"})
_OURS: Final = __name__.partition(".")[0]


@dataclass(slots=True)
class Reach:
    """What was found, from the nearest to the farthest.

    names        the Values, each with a name made of the way to it
    assumptions  what was read
    codes        the code of the functions that may be called, with their globals
    generators   of random numbers, Python's and NumPy's
    foreign      what code names in modules that are not gone into, and methods given to `Value`
    containers   what may be written into, by name: lists, dicts, arrays, and objects
    variables    closures and globals
    iterators    what gives something else each time it is asked, by name
    drained      the same, as attributes of objects: some method may read from them
    used         the names of globals and attributes that the code reads
    sampled      by name what holds so many numbers that only some are looked at again
    identity     a line that asks which of two things is which, other than of constants and classes
    complete     whether everything was looked at
    """

    names: dict[Value, str] = field(default_factory=dict)
    assumptions: list[Assumption] = field(default_factory=list)
    codes: list[tuple[CodeType, dict[str, Any]]] = field(default_factory=list)
    generators: list[Any] = field(default_factory=list)
    foreign: list[tuple[str, Any]] = field(default_factory=list)
    containers: list[tuple[str, Any]] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    iterators: list[tuple[str, Any]] = field(default_factory=list)
    drained: list[tuple[str, Any]] = field(default_factory=list)
    used: frozenset[str] = frozenset()
    sampled: list[str] = field(default_factory=list)
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
        self._texts: set[str] = set()
        self._set: set[str] = set()
        self._globals: dict[int, tuple[dict[str, Any], set[str]]] = {}
        self._of_classes: list[tuple[str, Value]] = []
        self._named_members: dict[type, set[str]] = {}
        self._by_text = self._wholly = False
        self._attribute: dict[int, str] = {}
        self._spaces: dict[int, Any] = {}
        self._named: set[tuple[int, str]] = set()
        self._beings: dict[type, list[Any]] = {}

    def enter(self, name: str, thing: Any) -> None:
        self._queue.append((name, thing))

    def go(self) -> None:
        """Look at everything, and then keep the assumptions that matter."""
        containers = self.found.containers
        self._spaces[id(Value)] = Value
        for name in [name for name, member in vars(Value).items() if _is_given(member)]:
            self._named.add((id(Value), name))
            self._look_at(Value, _member(Value, name))
        while (self._queue or self._look_up()) and len(self._seen) < MAX_LOOKED_AT:
            name, thing = self._queue.popleft()
            if isinstance(thing, SIMPLE) or id(thing) in self._seen:
                continue
            self._seen[id(thing)] = thing
            if isinstance(thing, Value):
                self.found.names.setdefault(thing, name)
                own = {key: item for key, item in vars(thing).items() if key != "_backward"}
                self._items(name, thing, own)
                if type(thing) is not Value:
                    self._class(type(thing))
                    self._of_classes.append((name, thing))
            elif isinstance(thing, (FunctionType, MethodType)) or _wrapped(thing) is not None:
                self._function(thing)
            elif isinstance(thing, CONTAINERS):
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
            elif draws(thing):
                self.found.generators.append(thing)
            elif self._is_drained(thing):
                self.found.iterators.append((name, thing))
            elif isinstance(thing, (ContextVar, ReferenceType)):
                read = partial(thing.get, None) if isinstance(thing, ContextVar) else thing
                self.found.assumptions.append((read, read(), name))
                self.enter(name, read())
            elif isinstance(thing, MappingProxyType):
                containers.append((name, thing))
                self._items(name, thing, dict(thing))
            elif isinstance(thing, attrgetter):
                self._by_text = True
                self._texts |= {part for text in thing.__reduce__()[1] for part in text.split(".")}
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
            elif isinstance(thing, Iterator):
                self.found.iterators.append((name, thing))
        found = self.found.iterators
        kept = [pair for pair in found if self._attribute.get(id(pair[1])) in self._used]
        self.found.drained = kept
        self.found.iterators = [pair for pair in found if id(pair[1]) not in self._attribute]
        self.found.complete = not self._queue
        self.found.used = frozenset(self._used)
        self.found.identity = next(filter(None, starmap(_comparing, self.found.codes)), None)
        self._assume(containers)

    def _is_drained(self, thing: Any) -> bool:
        """Whether Python's own code gives something else of it each time: a queue, a file."""
        if isinstance(thing, IOBase):
            read = not thing.closed and thing.readable()
            return read and not (thing.writable() and _READS.isdisjoint(self._used))
        return isinstance(thing, (Queue, SimpleQueue, SystemRandom))

    def _items(self, name: str, thing: Any, held: Any) -> None:
        pairs = held.items() if isinstance(held, dict) else enumerate(held)
        for key, item in list(pairs):
            if not isinstance(item, SIMPLE):
                self._queue.append((f"{name}_{_part(key)}" if name else _part(key), item))
                if isinstance(held, dict) and held is not thing:
                    if not _is_wrapping(thing):
                        self._attribute.setdefault(id(item), str(key))
                elif isinstance(item, CONTAINERS):
                    self._inner.add(id(item))

    def _class(self, kind: type) -> None:
        """The methods of a class and of its own class that are called without being named.

        Others are looked at where code names them; but code of Python's own, and what values do,
        may call any of a class that is made of theirs.
        """
        inherits = any(map(_calls_by_name, kind.__mro__))
        bases = [*kind.__mro__, *type.mro(type(kind))]
        for base in bases:
            if not is_foreign(base.__module__):
                self._space(base)
                for name, member in vars(base).items():
                    if inherits or name.startswith("__"):
                        self._method(member)

    def _method(self, member: Any) -> None:
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
        if self._by_text:
            self._used |= self._texts
        for thing in list(self._spaces.values()):
            held = vars(thing).keys()
            any_of_it = self._wholly and isinstance(thing, type)
            for name in sorted((set(held) if any_of_it else self._used & held) - _STANDING_IN):
                if (id(thing), name) not in self._named:
                    self._named.add((id(thing), name))
                    self._look_at(thing, _member(thing, name))
        return bool(self._queue)

    def _look_at(self, space: Any, variable: Variable) -> None:
        """Go into what a module or a class has; only remember it, if that is Python's or ours.

        Objects of a kind of their own there, such as an open file, are not remembered.
        """
        home = space.__name__ if isinstance(space, ModuleType) else space.__module__
        seen = variable.read()
        ours = home.partition(".")[0] == _OURS and space is not Value
        if _is_given(seen) or not is_foreign(home):
            self._read(variable)
            self._method(seen)
        elif isinstance(seen, _REMEMBERED) and not ours:
            found = _remembered(seen, leads=False)
            self.found.assumptions.append((variable.read, found, variable.name))
        else:
            return
        if is_foreign(home):
            self.found.foreign.append((variable.name, seen))

    def _function(self, thing: Any) -> None:
        """The cells and the globals that a function reads, and the object it is bound to."""
        if isinstance(thing, MethodType):
            self.enter("", thing.__self__)
        function = thing.__func__ if isinstance(thing, MethodType) else thing
        if not isinstance(function, FunctionType):
            function = _wrapped(function)
        if not isinstance(function, FunctionType) or is_foreign(function.__module__):
            return
        names = function.__globals__
        codes = list(_codes(function.__code__))
        cells = {
            name: (Cell(cell), cell)
            for name, cell in zip(
                function.__code__.co_freevars, function.__closure__ or (), strict=True
            )
        }
        closed = {name: read() for name, (read, _) in cells.items()}
        closed = {name: thing for name, thing in closed.items() if isinstance(thing, _STANDING)}
        self.found.codes += [(code, names | closed if closed else names) for code in codes]
        made = Made.of(function)
        self.found.assumptions.append((made, made.known, function.__name__))
        if "registry" in vars(function):  # where `singledispatch` keeps what it calls
            self._used.add("registry")
        self.found.containers.append((function.__name__, function))
        self._items(function.__name__, function, vars(function))
        for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self.enter("default", default)
        for name, (read, cell) in cells.items():
            self._read(Variable(name, read, partial(setattr, cell, "cell_contents")))
        for one in [one for code in codes for one in imports_of(code, names)]:
            self.enter(one.name, one.module)
            self._used |= {one.member} - {""}
        self._see_texts(codes)
        self._used |= {name for code in codes for name in _loaded(code)}
        self._set |= {name for code in codes for name in _loaded(code, ("STORE_ATTR",))}
        if not _ENVIRONMENT.isdisjoint(self._used):
            self.enter("environ", os.environ)
        asked = {name for code in codes for name in _loaded(code, _GLOBALS)}
        self._globals.setdefault(id(names), (names, set()))[1].update(asked)
        for name in sorted(asked):
            if name in names:
                self._read(_global(names, name))
            elif name in vars(builtins).keys() - _STANDING_IN:
                self._named.add((id(builtins), name))
                given = _member(builtins, name)
                if isinstance(given.read(), FunctionType):  # of the user's, put there
                    self._look_at(builtins, given)
        for name in sorted({name for code in codes for name in _assigned(code)}):
            self.found.variables.append(_global(names, name))

    def _see_texts(self, codes: Sequence[CodeType]) -> None:
        """What a function says in quotes may be the name of an attribute.

        Where it reads attributes by text, and says none or puts some together, it may read all.
        """
        loaded = {name for code in codes for name in _loaded(code)}
        texts = {text for code in codes for text in _texts(code)}
        by_text = not BY_TEXT.isdisjoint(loaded)
        self._texts |= texts
        self._by_text |= by_text
        if codes[0].co_name not in _APART:
            made = not texts or not _MADE.isdisjoint(loaded) or any(map(_formats, codes))
            self._wholly |= (by_text and made) or not _WHOLLY.isdisjoint(loaded)

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
        for names, asked in self._globals.values():
            read = NewNames(names, frozenset(asked - names.keys()), len(names))
            hiding = f"what hides names in {names.get('__name__', 'the code')}"
            self.found.assumptions.append((read, (), hiding))
        for kind in [kind for kind in self._spaces.values() if isinstance(kind, type)]:
            self._new_members(kind)
        for name, value in self._of_classes:
            self._new_attributes(name, value)
        for name, thing in reversed(containers):
            held = _held(thing)
            items = held.values() if isinstance(held, dict) else held
            if any(id(item) in leading for item in items):
                leading.add(id(thing))
            holds = isinstance(thing, (*CONTAINERS, *_LISTED, MappingProxyType)) or is_array(thing)
            if not holds or isinstance(getattr(thing, "__dict__", None), dict):
                self._attributes(name, thing, leading)
            if holds and id(thing) not in self._inner:
                key = self._attribute.get(id(thing))
                if id(thing) in leading or key is None or key in self._used or self._wholly:
                    self._contents(name, thing, id(thing) in leading)
        for kind, things in self._beings.items():
            beings = Beings.of(things)
            name = f"which objects are {kind.__name__}"
            self.found.assumptions.append((beings, beings.known, name))

    def _attributes(self, name: str, thing: Any, leading: set[int]) -> None:
        """Assume the attributes that code names, and all of the package's own."""
        every = type(thing).__module__.partition(".")[0] == _OURS or _is_wrapping(thing)
        every |= self._wholly
        self._new_attributes(name, thing)
        for key, item in attributes_of(thing).items():
            known = isinstance(item, SIMPLE) or id(item) in leading
            if key in self._used or (known and every):
                reader: Callable[[], Any] = Entry.of(attributes_of(thing), key)
                if not hasattr(thing, "__dict__"):
                    reader = partial(getattr, thing, key, MISSING)
                seen = _remembered(item, id(item) in leading)
                self.found.assumptions.append((reader, seen, f"{name}.{key}"))

    def _new_attributes(self, name: str, thing: Any) -> None:
        """Assume that it has none of those that code asks for, or finds in its class instead."""
        held = getattr(thing, "__dict__", None)
        if not is_foreign(type(thing).__module__):
            self._beings.setdefault(type(thing), []).append(thing)
        if not isinstance(held, dict):
            return
        wanted = self._members(type(thing)) | (self._texts if self._by_text else set())
        wanted |= self._set & self._used
        has = f"what {name or 'an object'} has"
        if self._wholly:
            self.found.assumptions.append((partial(list, held), list(held), has))
        elif wanted - held.keys():
            read = NewNames(held, frozenset(wanted - held.keys()), len(held))
            self.found.assumptions.append((read, read(), has))

    def _new_members(self, kind: type) -> None:
        """Assume that a class has none of what code finds in its bases instead."""
        if not is_foreign(kind.__module__):
            name = f"what {kind.__name__} inherits from"
            self.found.assumptions.append((Bases.of(kind), kind.__mro__, name))
        found = {name for base in kind.__mro__[1:-1] for name in vars(base)}
        wanted = frozenset((found & self._used) - vars(kind).keys())
        if wanted and not is_foreign(kind.__module__):
            read = NewNames(vars(kind), wanted, len(vars(kind)))
            self.found.assumptions.append((read, (), f"what {kind.__name__} has"))

    def _members(self, kind: type) -> set[str]:
        """What code names of what a class of the user's has; of Values, no methods."""
        if kind not in self._named_members:
            bases = [base for base in kind.__mro__ if not is_foreign(base.__module__)]
            some = [pair for base in bases for pair in vars(base).items()]
            if issubclass(kind, Value):
                some = [(key, item) for key, item in some if not is_method(item)]
            found = {key for key, _ in some}
            self._named_members[kind] = {key for key in found & self._used if key[:2] != "__"}
        return self._named_members[kind]

    def _contents(self, name: str, thing: Any, leads: bool) -> None:
        """Assume what a container holds: all the way down, if it leads to Values or is small."""
        if is_array(thing):
            if thing.dtype == object:
                self.found.assumptions.append((partial(_held, thing), _held(thing), name))
            elif thing.size <= MAX_COPIED:
                self.found.assumptions.append((partial(_bytes, thing), _bytes(thing), name))
            else:
                self._sample(name, partial(_entries, thing, _places_in(thing)))
            return
        if isinstance(thing, (*_LISTED, MappingProxyType)):
            self.found.assumptions.append((partial(_held, thing), _held(thing), name))
            return
        self.found.assumptions.append((Itself(thing), _remembered(thing, leads), name))
        if not leads and _size(thing) > MAX_COPIED:
            self._sample(name, partial(_items_at, _some_items(thing)))

    def _sample(self, name: str, read: Callable[[], Any]) -> None:
        self.found.assumptions.append((read, read(), name))
        self.found.sampled.append(name)


def _remembered(thing: Any, leads: bool) -> Any:
    """A thing as it is now: containers all the way down, if they lead to Values or are small."""
    deep = leads or (isinstance(thing, CONTAINERS) and _size(thing) <= MAX_COPIED)
    return copied(thing, deep)


def _held(thing: Any) -> Any:
    """What a container or an object holds: a list or a dict."""
    if isinstance(thing, CONTAINERS):
        return thing
    if isinstance(thing, _LISTED):
        return list(thing)
    if isinstance(thing, MappingProxyType):
        return dict(thing)
    if is_array(thing):
        return list(thing.ravel()) if thing.dtype == object else []
    return attributes_of(thing)


def _is_wrapping(thing: Any) -> bool:
    """Whether code of Python's own reads what an object keeps, as `UserDict`'s does."""
    return any(base.__module__ in ("collections", "os") for base in type(thing).__mro__)


def _bytes(array: Any) -> bytes:
    return array.tobytes()  # type: ignore[no-any-return]


def _places_in(array: Any) -> tuple[Any, ...]:
    """Where some entries of a large array are, from the first to the last."""
    import numpy

    at = numpy.linspace(0, array.size - 1, SAMPLE).astype(numpy.intp)
    return numpy.unravel_index(at, array.shape)


def _entries(array: Any, places: tuple[Any, ...]) -> bytes:
    return array[places].tobytes()  # type: ignore[no-any-return]


def _some_items(thing: Any) -> list[tuple[Any, Any]]:
    """Some of what is at the bottom of a large container: what holds it, and its place or key."""
    found: list[tuple[Any, Any]] = []
    for number in range(SAMPLE):
        held, inside = thing, thing
        key: Any = None
        while isinstance(inside, CONTAINERS) and inside:
            held = inside
            place = round((len(held) - 1) * (number / (SAMPLE - 1)))
            key = list(held)[place] if isinstance(held, dict) else place
            inside = held[key]
        found.append((held, key))
    return found


def _items_at(places: list[tuple[Any, Any]]) -> list[Any]:
    """What is there now; nothing where there is none."""
    found = []
    for held, key in places:
        there = key in held if isinstance(held, dict) else key < len(held)
        found.append(held[key] if there else MISSING)
    return found


def _size(thing: Any) -> int:
    """How many things are in a container, in all; not much more than is copied is counted."""
    count, stack = 0, [thing]
    while stack and count <= MAX_COPIED:
        held = stack.pop()
        items = list(held.values()) if isinstance(held, dict) else held
        count += len(items)
        stack += [item for item in items if isinstance(item, CONTAINERS)]
    return count


def _global(names: dict[str, Any], name: str) -> Variable:
    def write(thing: Any) -> None:
        if thing is MISSING:
            names.pop(name, None)
        else:
            names[name] = thing

    return Variable(name, Entry.of(names, name), write)


def _member(space: Any, name: str) -> Variable:
    """What a module or a class has under a name."""

    def write(thing: Any) -> None:
        if thing is MISSING:
            delattr(space, name)
        else:
            setattr(space, name, thing)

    shown = space.__name__.rpartition(".")[2]
    return Variable(f"{shown}.{name}", Entry.of(vars(space), name), write)


def inner_function(member: Any) -> Any:
    """The function that a method, a property or the like is made of; else the thing itself."""
    if isinstance(member, FunctionType):  # and what it wraps is among what it reads
        return member
    for name in ("__func__", "fget", "func", "__wrapped__"):
        inner = getattr(member, name, None)
        if isinstance(inner, FunctionType):
            return inner
    return member


def _calls_by_name(base: type) -> bool:
    """Whether it may call methods of classes made of it: it is Python's own, or of Values."""
    return is_foreign(base.__module__) and base.__module__ not in _PLAIN and base is not Module


def is_method(member: Any) -> bool:
    """Whether it is a function, or made of one as a property is."""
    return isinstance(member, FunctionType) or inner_function(member) is not member


def _is_given(member: Any) -> bool:
    """Whether it is a function, or made of one, that a user put into a module or class of ours."""
    inner = inner_function(member)
    return isinstance(inner, FunctionType) and not is_foreign(inner.__module__)


def draws(thing: Any) -> bool:
    """Whether it is a generator of random numbers, of Python's or NumPy's, which has a state."""
    if isinstance(thing, Random):
        return not isinstance(thing, SystemRandom)
    kind = type(thing)
    return hasattr(kind, "bit_generator") or (
        hasattr(kind, "get_state") and hasattr(kind, "set_state")
    )


def _wrapped(thing: Any) -> Any:
    """The user's function inside of a traced one."""
    held = getattr(thing, "__dict__", None) if callable(thing) else None
    return held.get("__wrapped__") if isinstance(held, dict) else None


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function, and of the functions and comprehensions written inside of it."""
    stack = [code]
    while stack:
        one = stack.pop()
        yield one
        stack += [inner for inner in one.co_consts if isinstance(inner, CodeType)]


def _loaded(code: CodeType, loads: tuple[str, ...] = _LOADS) -> Iterator[str]:
    """The globals and attributes that a piece of code reads; not those that it only assigns."""
    for instruction in dis.get_instructions(code):
        if instruction.opname.startswith(loads):
            yield str(instruction.argval)


def _texts(code: CodeType) -> Iterator[str]:
    """What a piece of code says in quotes that may be names."""
    for constant in code.co_consts:
        for text in constant if isinstance(constant, (tuple, frozenset)) else (constant,):
            if isinstance(text, str):
                yield from filter(str.isidentifier, text.split("."))


def _formats(code: CodeType) -> bool:
    return any(step.opname.startswith("FORMAT_") for step in dis.get_instructions(code))


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
