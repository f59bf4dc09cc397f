"""What a trace assumes of the outside, looked at again at each call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from types import MethodType
from typing import Any, Final

from ..codegen.native.slots import slots
from .readers import READERS, Words
from .structure import MAX_DEPTH

SIMPLE: Final = (int, float, bool, str, bytes, type(None))
CONTAINERS: Final = (list, tuple, dict)

MANY: Final = 64
"""From how many things in containers on machine code compares them."""

MAX_LISTED: Final = 8
"""How often what containers hold is listed, where numbers are exchanged for others like them."""

Assumption = tuple[Callable[[], Any], Any, str]
"""A function that reads something again, what it was, and its name."""


class Assumed:
    """Assumptions, and what is asked of all of them at each call.

    >>> rows = [[1.0, 2.0], [3.0]]
    >>> assumed = Assumed([(lambda: rows, [[1.0, 2.0], [3.0]], "rows")])
    >>> rows[1][0] = 3.0; assumed.broken()
    >>> rows[1][0] = 4.0; assumed.broken()
    'rows'
    """

    def __init__(self, assumptions: Sequence[Assumption]) -> None:
        self._assumptions = assumptions
        self._watched: _Watched | None = None
        self._left = MAX_LISTED if slots() is not None else 0

    def broken(self) -> str | None:
        """The name of the first thing that is not what it was; None if all are."""
        watched, new = self._watched, None
        things: dict[int, Any] = {}
        asked: Sequence[int] = range(len(self._assumptions))
        if watched is not None and watched.is_as_it_was():
            things, asked = watched.things, watched.others
        else:
            new = self._watch()  # before it is compared, so that no change slips between
        for place in asked:
            read, seen, name = self._assumptions[place]
            now = read()
            if now is seen or (place in things and now is things[place]):
                continue
            if not _same(now, seen):
                return name
        if new is not None:
            self._watched = new
        return None

    def _watch(self) -> _Watched | None:
        if not self._left:
            return None
        self._left -= 1
        watched = _Watched(self._assumptions)
        if watched.count < MANY:
            self._left = 0
            return None
        return watched


class _Watched:
    """What is assumed, as machine code compares it: the very things that were there.

    things  containers that are assumed to hold the same things, by which assumption it is
    count   how many things they hold in all
    others  the assumptions that are not seen to hold by this alone
    """

    def __init__(self, assumptions: Sequence[Assumption]) -> None:
        import numpy

        self.things: dict[int, Any] = {}
        self.others: list[int] = []
        self.count = 0
        self._rows: list[Any] = []
        self._items: list[Any] = []
        lengths: list[int] = []
        words: Words = []
        for place, (read, seen, _) in enumerate(assumptions):
            now = read()
            inside = now is not seen and self._enter(now, seen, lengths)
            if inside:
                self.things[place] = now
            found = read.words(now) if isinstance(read, READERS) else None
            if found is None or not (now is seen or inside):
                self.others.append(place)
            else:
                words += found
        self._lengths = numpy.array(lengths, numpy.int64)
        self._words = numpy.array(words, numpy.int64).reshape(len(words), 3)

    def is_as_it_was(self) -> bool:
        """Whether each of the containers holds the same things; numbers that are equal are not."""
        move = slots()
        if move is None:
            return False
        return move.words(self._words) and move.same(self._rows, self._lengths, self._items)

    def _enter(self, now: Any, seen: Any, lengths: list[int]) -> bool:
        """Enter a container, and those within as far as `seen` has copies; False if it cannot."""
        stack = [(now, seen)]
        while stack:
            thing, before = stack.pop()
            kind = dict if type(before) is _Ordered else type(before)
            if thing is before or kind not in CONTAINERS:
                continue
            if type(thing) is not kind or len(thing) != len(before):
                return False
            pairs = list(thing.items()) if kind is dict else [(None, item) for item in thing]
            held = before.values() if kind is dict else before
            self._rows.append(thing)
            self._items += chain.from_iterable(pairs) if kind is dict else thing
            lengths.append(len(pairs))
            self.count += len(pairs)
            stack += [(item, was) for (_, item), was in zip(pairs, held, strict=False)]
        return True


class _Ordered(dict[Any, Any]):
    """A dict as it was, to which others are equal only in the same order."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and dict.__eq__(self, other) and list(self) == list(other)


def _same(now: Any, seen: Any) -> bool:
    """Whether two are the same number, text or method, or containers of the same things."""
    kind = type(seen)
    if kind in CONTAINERS or kind is _Ordered:
        return isinstance(now, dict if kind is _Ordered else kind) and _equal(now, seen)
    if type(now) is not kind:
        return False
    if kind is MethodType:
        return now.__func__ is seen.__func__ and now.__self__ is seen.__self__
    return kind in SIMPLE and bool(now == seen or (now != now and seen != seen))


def _equal(now: Any, seen: Any) -> bool:
    """Whether containers hold the same things; Values are equal when they are the same one."""
    try:
        return bool(seen == now)  # in this order, for dicts within
    except Exception:  # such as arrays among them, of whose equality there is no one truth
        return _alike(now, seen)


def _alike(now: Any, seen: Any) -> bool:
    """Whether containers hold the same things, one by one; further down only identity counts."""
    if len(now) != len(seen) or isinstance(now, dict) != isinstance(seen, dict):
        return False
    if isinstance(now, dict):
        return list(now) == list(seen) and all(_alike_item(now[key], seen[key]) for key in now)
    return all(map(_alike_item, now, seen))


def _alike_item(now: Any, seen: Any) -> bool:
    if now is seen:
        return True
    if isinstance(now, CONTAINERS) and isinstance(seen, CONTAINERS):
        return _alike(now, seen)
    return isinstance(now, SIMPLE) and type(now) is type(seen) and now == seen


def copied(thing: Any, deep: bool = True, depth: int = 0) -> Any:
    """A container anew, and if `deep` the containers in it, down to some depth."""
    if depth > (MAX_DEPTH if deep else 0) or not isinstance(thing, CONTAINERS):
        return thing
    if isinstance(thing, dict):
        return _Ordered({key: copied(item, deep, depth + 1) for key, item in thing.items()})
    items = [copied(item, deep, depth + 1) for item in thing]
    return items if isinstance(thing, list) else tuple(items)
