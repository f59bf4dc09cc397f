"""What reads something outside once more, and in which words of memory that lies.

Machine code compares the words of many readers in the time that Python takes to ask one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from gc import get_referents
from types import CellType, FunctionType, MappingProxyType
from typing import Any, Final

from ..codegen.native.objects import SIZE, TYPE, place_in, word_at

MISSING: Final = object()
"""Stands where there is nothing."""

_MANAGED, _IS_MANAGED = -24, 1 << 4
"""Where an object has its dict that is of a class with this flag."""

Words = list[tuple[int, int, int]]
"""As `Slots.words` takes them: an address, 0 and what is there; or a dict, a key and its item."""


@dataclass(frozen=True, slots=True)
class Itself:
    """The thing itself, always the same one."""

    thing: Any

    def __call__(self) -> Any:
        """The thing."""
        return self.thing

    def words(self, now: Any) -> Words | None:
        """None are needed."""
        return []


class Entry(partial[Any]):
    """What a dict, or the names of a class, hold under a name; `MISSING` if nothing.

    >>> held = {"a": 1}
    >>> Entry.of(held, "a")(), Entry.of(held, "b")() is MISSING
    (1, True)
    """

    __slots__ = ()

    @classmethod
    def of(cls, held: Mapping[str, Any], name: str) -> Entry:
        """The one of a name."""
        return cls(held.get, name, MISSING)

    def words(self, now: Any) -> Words | None:
        """Where that is looked up; None if it cannot be without Python's own code."""
        get: Any = self.func
        held, name = _plain_dict(get.__self__), self.args[0]
        if held is None or type(name) is not str:
            return None
        return [(id(held), id(name), 0 if now is MISSING else id(now))]


@dataclass(frozen=True, slots=True)
class NewNames:
    """Which of some names are in a dict that held so many names, and none of these."""

    held: Mapping[str, Any]
    wanted: frozenset[str]
    count: int

    def __call__(self) -> tuple[str, ...]:
        """Those that are there now."""
        return () if len(self.held) == self.count else tuple(sorted(self.wanted & self.held.keys()))

    def words(self, now: Any) -> Words | None:
        """Where the number of names is; None if it is another already."""
        held = _plain_dict(self.held)
        return (
            None if held is None or len(held) != self.count else [(id(held) + SIZE, 0, len(held))]
        )


@dataclass(frozen=True, slots=True)
class Made:
    """What of a function may be exchanged, as reloading does; the very tuple if it is as known."""

    function: FunctionType
    known: tuple[Any, ...]

    @classmethod
    def of(cls, function: FunctionType) -> Made:
        """As it is now."""
        return cls(function, (function.__code__, function.__defaults__, function.__kwdefaults__))

    def __call__(self) -> tuple[Any, ...]:
        """The code and the defaults."""
        f, (code, defaults, named) = self.function, self.known
        if f.__code__ is code and f.__defaults__ is defaults and f.__kwdefaults__ is named:
            return self.known
        return f.__code__, f.__defaults__, f.__kwdefaults__

    def words(self, now: Any) -> Words | None:
        """Where they are; an absent default is a word of 0."""
        places = _in_functions()
        if places is None:
            return None
        start = id(self.function)
        return [
            (start + place, 0, 0 if part is None else id(part))
            for place, part in zip(places, now, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Cell:
    """What a variable of an enclosing function holds; `MISSING` if it is not yet assigned."""

    cell: Any

    def __call__(self) -> Any:
        """What it holds now."""
        try:
            return self.cell.cell_contents
        except ValueError:
            return MISSING

    def words(self, now: Any) -> Words | None:
        """Where that is."""
        place = _in_cells()
        known = 0 if now is MISSING else id(now)
        return None if place is None else [(id(self.cell) + place, 0, known)]


@dataclass(frozen=True, slots=True)
class Beings:
    """Of objects of a class that class, and which dicts hold their names: both may be exchanged.

    >>> class A: pass
    >>> class B: pass
    >>> things = [A(), A()]
    >>> beings = Beings.of(things)
    >>> things[1].__class__ = B
    >>> beings() == beings.known
    False
    """

    pairs: tuple[tuple[Any, Any], ...]
    known: tuple[type, ...]

    @classmethod
    def of(cls, things: Sequence[Any]) -> Beings:
        """As they are now."""
        pairs = [(thing, getattr(thing, "__dict__", None)) for thing in things]
        return cls(tuple(pairs), (type(things[0]),))

    def __call__(self) -> tuple[type, ...]:
        """The very tuple that is known, unless one of the objects is not what it was."""
        (kind,) = self.known
        for thing, held in self.pairs:
            if type(thing) is not kind or (held is not None and thing.__dict__ is not held):
                return type(thing), Beings
        return self.known

    def words(self, now: Any) -> Words | None:
        """Where they are, as far as that is to be found."""
        (kind,) = self.known
        words = [(id(thing) + TYPE, 0, id(kind)) for thing, _ in self.pairs]
        if not kind.__dictoffset__:
            return words
        place = kind.__dictoffset__ if kind.__dictoffset__ > 0 else _MANAGED
        if place == _MANAGED and not kind.__flags__ & _IS_MANAGED:
            return None
        if any(word_at(thing, place) != id(held) for thing, held in self.pairs):
            return None
        return words + [(id(thing) + place, 0, id(held)) for thing, held in self.pairs]


class Bases(partial[Any]):
    """The classes that a class inherits from, which may be exchanged."""

    __slots__ = ()

    @classmethod
    def of(cls, kind: type) -> Bases:
        """Those of a class, from the nearest on."""
        return cls(getattr, kind, "__mro__")

    def words(self, now: Any) -> Words | None:
        """Where they are."""
        place = _in_classes()
        return None if place is None else [(id(self.args[0]) + place, 0, id(now))]


READERS: Final = (Itself, Entry, NewNames, Made, Cell, Beings, Bases)


def _plain_dict(held: Mapping[str, Any]) -> dict[str, Any] | None:
    """A dict, or the one that a class has; None for anything else, whose lookup may be its own."""
    if type(held) is MappingProxyType:
        (held,) = get_referents(held)
    return held if type(held) is dict else None


@lru_cache(maxsize=1)
def _in_cells() -> int | None:
    numbers = [0.5, -0.25]
    return place_in([CellType(number) for number in numbers], numbers)


@lru_cache(maxsize=1)
def _in_classes() -> int | None:
    return place_in([Beings, Bases], [Beings.__mro__, Bases.__mro__])


@lru_cache(maxsize=1)
def _in_functions() -> tuple[int, ...] | None:
    """Where in a function its code and defaults are; None if that is not to be found."""

    def one(a: float = 0.5, *, b: float = 1.5) -> None: ...
    def other(a: float = -0.5, *, b: float = -1.5) -> None: ...

    some = [one, other]
    places = [
        place_in(some, [f.__code__ for f in some]),
        place_in(some, [f.__defaults__ for f in some]),
        place_in(some, [f.__kwdefaults__ for f in some]),
    ]
    found = tuple([place for place in places if place is not None])
    return found if len(found) == len(places) else None
