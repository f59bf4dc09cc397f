"""What a trace depends on, as a digest that is the same in every process.

A function and everything it can reach are told one after another: the code of functions, what
closures, globals, defaults, modules, classes, objects and lists hold, and the structure of the
arguments. Of Values it is told that they are there, not their numbers. Two functions with the same
digest leave the same trace, so what was compiled for one is good for the other.
"""

from __future__ import annotations

import dis
import hashlib
from argparse import Namespace
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, partial
from itertools import chain
from operator import itemgetter
from random import Random
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    EllipsisType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    NotImplementedType,
    SimpleNamespace,
    WrapperDescriptorType,
)
from typing import Any, Final

from ..errors import kind_of, shorten
from ..graph.expr import Expr
from ..graph.value import Value
from ..ops.record import Op
from ..ops.scalar import CONSTANT
from ..ops.shapes import is_array
from ..ops.table import OPERATIONS
from .contents import attributes_of, has_attributes
from .lines import is_foreign
from .reach import BY_TEXT, Reach, draws, is_method

_PLAIN: Final = frozenset({int, float, bool, str, bytes, complex, range, type(None), EllipsisType})
_LISTED: Final = (OrderedDict, Counter, defaultdict, deque)
_NAMED: Final = (Namespace, SimpleNamespace)
_BUILT_IN: Final = (
    *(GetSetDescriptorType, MemberDescriptorType, MethodDescriptorType),
    *(MethodWrapperType, WrapperDescriptorType, NotImplementedType),
)
_FUNCTION: Final = ("__defaults__", "__kwdefaults__", "__closure__")
_UNSEEN: Final = frozenset({"eval", "exec", "globals", "__import__", "import_module"})
"""Where code has these, anything may be read."""

_OURS: Final = __name__.partition(".")[0]
_HEAP: Final = 1 << 9
"""The flag of classes that Python code made."""

MAX_TOLD: Final = 500_000
"""How many things are told at most."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What was told.

    digest  of all of it, in hexadecimal digits
    things  the Values, lists, classes and so on that were met, in their order: by their number in
            it another process finds them again
    reason  why nothing can be kept, if so: something that cannot be told in words
    """

    digest: str
    things: list[Any]
    reason: str | None = None


class _UntoldError(Exception):
    """Something cannot be told in words."""


def fingerprint(function: Any, arguments: Any, named: Any, reach: Reach) -> Fingerprint:
    """The digest of a function and of the structure of its arguments.

    >>> from .reach import reach_of
    >>> def scaled(x, by=2.0): return x * by
    >>> scaled.__module__ = "theirs"  # into the package's own functions it does not look
    >>> def digest(): return fingerprint(scaled, (1.0,), {}, reach_of(scaled, ())).digest
    >>> first = digest(); scaled.__defaults__ = (3.0,); first == digest()
    False
    """
    try:
        if not reach.complete:
            raise _UntoldError("more things than are looked at are within its reach")
        telling = _Telling(reach)
        telling.tell([(_Argument(arguments), "argument"), (_Argument(named), "argument")])
        telling.tell([(function, "function")])
        for name, thing in sorted(reach.foreign, key=itemgetter(0)):
            telling.tell([(name, name), (thing, name)])
    except _UntoldError as error:
        return Fingerprint("", [], str(error))
    return Fingerprint(telling.hash.hexdigest(), telling.things)


class _Argument:
    """Something of which the numbers are no part of the structure."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing


class _Telling:
    """One walk, in depth, that adds to the digest what it meets."""

    def __init__(self, reach: Reach) -> None:
        self.things: list[Any] = []
        self.hash = hashlib.sha256()
        self._used = reach.used
        self._every = not BY_TEXT.isdisjoint(reach.used)
        for name in sorted(_UNSEEN & reach.used):
            raise _UntoldError(f"the function calls {name}")
        self._numbers: dict[int, int] = {}

    def tell(self, things: Iterable[tuple[Any, str]]) -> None:
        """Tell things and what they are made of."""
        stack = list(things)[::-1]
        while stack:
            thing, name = stack.pop()
            if isinstance(thing, _Argument):
                parts = self._argument(thing.thing, name)
            elif type(thing) in _PLAIN:
                self._add(type(thing).__name__, repr(thing))
                continue
            elif id(thing) in self._numbers:
                self._add("again", self._numbers[id(thing)])
                continue
            else:
                self._number(thing)
                parts = self._parts(thing, name)
            stack += list(parts)[::-1]

    def _add(self, *token: object) -> None:
        self.hash.update(repr(token).encode() + b"\n")

    def _number(self, thing: Any) -> None:
        if len(self._numbers) >= MAX_TOLD:
            raise _UntoldError(f"more than {MAX_TOLD:,} things are within its reach")
        self._numbers[id(thing)] = len(self._numbers)
        self.things.append(thing)

    def _argument(self, thing: Any, name: str) -> Iterable[tuple[Any, str]]:
        """The structure of an argument: of floats, integers and Values, only that they are."""
        kind = type(thing)
        if kind in (float, int):
            self._add("any", kind.__name__)
        elif isinstance(thing, Value):
            self._add("any", "Value")
            return [(kind, name)] if kind is not Value else []
        elif kind in (list, tuple) or (isinstance(thing, tuple) and hasattr(kind, "_fields")):
            self._add(kind.__name__, len(thing), getattr(kind, "_fields", ()))
            return [(_Argument(item), name) for item in thing]
        elif kind is dict:
            self._add("dict", len(thing))
            return chain.from_iterable(((k, name), (_Argument(v), name)) for k, v in thing.items())
        elif is_array(thing) and thing.dtype.kind in "fiu":
            self._add("array", thing.dtype.kind, thing.shape)
        elif is_array(thing) and thing.dtype == object:
            self._add("array", "O", thing.shape)
            return [(_Argument(item), name) for item in thing.ravel()]
        else:
            return [(thing, name)]
        return []

    def _parts(self, thing: Any, name: str) -> Iterable[tuple[Any, str]]:
        """Tell what a thing is; what it is made of."""
        kind = type(thing)
        if isinstance(thing, Value):
            return self._value(thing, name)
        if kind in (list, tuple):
            self._add(kind.__name__, len(thing))
            if set(map(type, thing)) <= {int, float, bool, str}:
                self._add(*thing)
                return []
            return [(item, f"{name}[{k}]") for k, item in enumerate(thing)]
        if kind is dict:
            self._add("dict", len(thing))
            return self._items(thing, name)
        if is_array(thing):
            return self._array(thing, name)
        if isinstance(thing, CodeType):
            self._add("code", *_told_code(thing, name))
            return []
        if isinstance(thing, (FunctionType, MethodType, BuiltinFunctionType, ModuleType, type)):
            return self._named(thing, name)
        if kind in (set, frozenset) and all(type(item) in _PLAIN for item in thing):
            self._add(kind.__name__, *sorted(map(repr, thing)))
            return []
        return self._object(thing, name)

    def _value(self, value: Value, name: str) -> Iterable[tuple[Any, str]]:
        data = repr(value._data) if value.op is CONSTANT else ""
        computed = value._a is not None
        self._add("Value", value.label, computed, data, "_backward" in vars(value))
        held = self._attributes(value, name, every=self._every)
        return [(type(value), name), *held] if type(value) is not Value else held

    def _array(self, array: Any, name: str) -> Iterable[tuple[Any, str]]:
        self._add("array", array.dtype.str, array.shape)
        if array.dtype == object:
            return [(item, name) for item in array.ravel()]
        self._add(hashlib.sha256(array.tobytes()).hexdigest())
        return []

    def _items(self, things: dict[Any, Any], name: str) -> Iterable[tuple[Any, str]]:
        pairs = (((k, name), (v, f"{name}[{shorten(k)}]")) for k, v in things.items())
        return chain.from_iterable(pairs)

    def _named(self, thing: Any, name: str) -> Iterable[tuple[Any, str]]:
        """Functions, modules and classes."""
        if isinstance(thing, MethodType):
            self._add("method")
            return [(thing.__func__, name), (thing.__self__, name)]
        module = thing.__name__ if isinstance(thing, ModuleType) else thing.__module__
        shown = thing.__name__ if isinstance(thing, ModuleType) else thing.__qualname__
        self._add(type(thing).__name__, module, shown)
        if isinstance(thing, BuiltinFunctionType):
            owner = thing.__self__
            if owner is None or isinstance(owner, (ModuleType, Random)):
                if not is_foreign(module):
                    raise _UntoldError(f"{name} is {module}.{shown}, which is not Python's")
                return []
            return [(owner, name)]
        if is_foreign(module):
            return []
        if isinstance(thing, FunctionType):
            return self._function(thing, name)
        held = vars(thing)
        wanted = {key for key in held if self._every and not key.startswith("__")}
        wanted |= self._used & held.keys()
        if isinstance(thing, ModuleType):
            return self._members(thing, shown, wanted)
        wanted |= {key for key, item in held.items() if is_method(item)}
        return [*[(base, name) for base in thing.__bases__], *self._members(thing, shown, wanted)]

    def _members(self, thing: Any, name: str, wanted: Iterable[str]) -> Iterator[tuple[Any, str]]:
        for key in sorted(wanted):
            yield key, name
            yield vars(thing)[key], f"{name}.{key}"

    def _function(self, function: FunctionType, name: str) -> Iterable[tuple[Any, str]]:
        yield function.__code__, name
        for key in _FUNCTION:
            yield getattr(function, key), name
        if hasattr(function, "__wrapped__"):
            yield function.__wrapped__, name
        own = vars(function)
        for key in sorted(own.keys() - {"__wrapped__"}):
            if self._every or key in self._used:
                yield key, name
                yield own[key], f"{name}.{key}"
        held = function.__globals__
        for key in sorted({key for code in _codes(function.__code__) for key in code.co_names}):
            if key in held:
                yield key, name
                yield held[key], key

    def _object(self, thing: Any, name: str) -> Iterable[tuple[Any, str]]:
        """An object, by its class and what it keeps under names."""
        kind = type(thing)
        self._add("object", kind.__module__, kind.__qualname__)
        if isinstance(thing, CellType):
            try:
                return [(thing.cell_contents, name)]
            except ValueError:  # not yet assigned
                return []
        if isinstance(thing, Op):
            if OPERATIONS.get(thing.name) is not thing:
                raise _UntoldError(f"{name} is the operation {thing.name!r}, which is not ours")
            self._add(thing.name)
            return []
        if isinstance(thing, _BUILT_IN) or draws(thing):
            self._add(getattr(thing, "__qualname__", ""))
            return []
        if kind.__module__ == "numpy" and hasattr(thing, "dtype"):  # one number
            self._add(repr(thing))
            return []
        if isinstance(thing, partial):
            return [(part, name) for part in (thing.func, thing.args, thing.keywords)]
        if isinstance(thing, (staticmethod, classmethod)):
            return [(thing.__func__, name)]
        if isinstance(thing, property):
            return [(part, name) for part in (thing.fget, thing.fset, thing.fdel)]
        if isinstance(thing, cached_property):
            return [(thing.func, name)]
        if isinstance(thing, Enum):
            self._add(thing.name)
            return [(kind, name)]
        if callable(getattr(thing, "__wrapped__", None)) and is_foreign(kind.__module__):
            return [(thing.__wrapped__, name)]  # a traced function, or one that remembers
        if kind in _LISTED:
            factory = getattr(thing, "default_factory", None)
            return [(factory, name), (_plain_container(thing), name)]
        if not _is_what_it_holds(kind) or not has_attributes(thing):
            raise _UntoldError(f"{name} is {shorten(thing)}, {kind_of(thing)}")
        every = self._every or any(map(_is_ours_or_pythons, kind.__mro__))
        held = [(kind, name), *self._attributes(thing, name, every)]
        if isinstance(thing, (list, tuple, dict)):
            held.append((_plain_container(thing), name))
        return held

    def _attributes(self, thing: Any, name: str, every: bool) -> list[tuple[Any, str]]:
        held = attributes_of(thing)
        wanted = [key for key in held if every or key in self._used]
        return [pair for key in wanted for pair in ((key, name), (held[key], f"{name}.{key}"))]


def _is_what_it_holds(kind: type) -> bool:
    """Whether an object of this class is what it keeps under names, and what it lists."""
    if kind in _NAMED:
        return True
    ours = kind.__module__.partition(".")[0] == _OURS
    if issubclass(kind, Expr) or (is_foreign(kind.__module__) and not ours):
        return False
    built_in = [base for base in kind.__mro__ if not base.__flags__ & _HEAP]
    return set(built_in) <= {list, tuple, dict, object}


def _is_ours_or_pythons(kind: type) -> bool:
    """Whether code of this package or of Python's own may read what an object keeps."""
    return is_foreign(kind.__module__) and kind is not object


def _plain_container(thing: Any) -> Any:
    return dict(thing) if isinstance(thing, dict) else list(thing)


def _codes(code: CodeType) -> Iterator[CodeType]:
    stack = [code]
    while stack:
        one = stack.pop()
        yield one
        stack += [inner for inner in one.co_consts if isinstance(inner, CodeType)]


def _told_code(code: CodeType, name: str) -> list[object]:
    """What a piece of code does, and where it stands, for the lines of reports."""
    found: list[object] = []
    for one in _codes(code):
        for step in dis.get_instructions(one):
            if step.opname == "IMPORT_NAME" and not is_foreign(step.argval):
                raise _UntoldError(f"{name} imports {step.argval or 'from a package'} in its code")
        found += [one.co_name, one.co_filename, one.co_firstlineno, one.co_code.hex()]
        found += [one.co_names, one.co_varnames, one.co_freevars, one.co_cellvars, one.co_flags]
        found += [one.co_argcount, one.co_posonlyargcount, one.co_kwonlyargcount]
        found += [getattr(one, "co_exceptiontable", b"").hex()]
        found += [_told_constant(item) for item in one.co_consts]
    return found


def _told_constant(thing: Any) -> str:
    """A constant of a piece of code, whose order does not depend on hashes."""
    if isinstance(thing, CodeType):
        return "code"
    if isinstance(thing, frozenset):
        return f"frozenset {sorted(map(_told_constant, thing))}"
    if isinstance(thing, tuple):
        return f"tuple {list(map(_told_constant, thing))}"
    return f"{type(thing).__name__} {thing!r}"
