"""The numbers and gradients of many Values at once, moved between them and arrays by machine code.

A loop of Python takes some 40 ns for each Value, which is longer than what is computed with it.
Such a function is given a tuple or list of Values, and answers how many it has done: at
something that is no plain number it stops, and Python goes on from there. With another kind of
array it does nothing. It reads of objects what
CPython's headers lay open; where memory does not look as they say, there are no such functions.
A float that nothing but its Value knows of is given its new number where it lies.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ...graph.value import Value
from .builder import BYTE, DOUBLE, POINTER, SMALL, WHOLE, WHOLES, Callee, Lines, Module, Operand
from .host import available, link, object_code
from .objects import (
    AXES,
    DESCR,
    FLAGS,
    LENGTHS,
    NUMBER,
    PLAIN,
    SIZE,
    Owner,
    api_address,
    as_in_the_headers,
    built_in,
    data_of,
    fixed,
    is_a,
    items_of,
    place_in,
    read,
    write_items,
)
from .words import LANES

_API: Final = {
    "PyLong_AsDouble": ("d", "p"),
    "PyErr_Clear": ("", ""),
    "PyFloat_FromDouble": ("p", "d"),
    "Py_DecRef": ("", "p"),
    "Py_IncRef": ("", "p"),
    "PyLong_FromLongLong": ("p", "w"),
    "PyDict_GetItem": ("p", "pp"),
    "PyDict_Next": ("s", "pppp"),
}
"""What is called of CPython's: what it answers and what it is given, see `Module.function`."""
_MIXED: Final = 0x9E3779B97F4A7C15 - (1 << 64)
"""An odd number near 2⁶⁴ over the golden ratio, whose multiples are far apart (Knuth, *The Art of
Computer Programming* 3, section 6.4)."""


class Slots(NamedTuple):
    """Functions of a list or tuple of Values and an array, of as many float64 unless said.

    read   their numbers → the array
    add    the array, each times a float that comes last, is added to their gradients
    write  the array → their numbers
    enter  the array has two whole numbers a row, a power of two of them, all 0 at first; there is
           room for each Value and where it stands, and for as many more at least
    places an array that `enter` has filled → of each of the Values where it stood, as whole numbers
           in an array that comes last; ends at one that it does not have
    same   lists, tuples and dicts in a list, an array of how many items each had, and a list of all
           these items, of dicts each after its key → whether they still have them
    words  an array with three numbers a row: the address of a word, 0, and what it was; or that of
           a dict, of a key, and of what it had there → whether all of it is as it was
    """

    read: Callable[[Any, Any], int]
    add: Callable[[Any, Any, float], int]
    write: Callable[[Any, Any], int]
    enter: Callable[[Any, Any], int]
    places: Callable[[Any, Any, Any], int]
    same: Callable[[list[Any], Any, list[Any]], bool]
    words: Callable[[Any], bool]


@lru_cache(maxsize=1)
def slots() -> Slots | None:
    """The functions; None where there is no LLVM, or Python's objects are laid out otherwise.

    >>> import numpy
    >>> values, numbers = [Value(1.0), Value(2.5)], numpy.zeros(2)
    >>> move = slots()
    >>> if move: _ = move.read(values, numbers)
    >>> if move: numbers.tolist() == [1.0, 2.5]
    True
    """
    places = places_in_values()
    if places is None:
        return None
    text = _Text(*places).text()
    needs = {name: api_address(name) for name in _API}
    library = link(object_code(text, 2, tidy=True), needs, Slots._fields)
    owner = Owner()
    owner.kept = (library,)
    return Slots(*[built_in(name, library[name], owner)[0] for name in Slots._fields])


def places_in_values() -> tuple[int, int] | None:
    """Where in a Value its number and its gradient are; None where there are no such functions."""
    if not available() or not as_in_the_headers(arrays=True):
        return None
    values = [Value(0.7310585786300049), Value(-0.25)]
    for value in values:
        value._grad = value._data + 1.0
    data = place_in(values, [value._data for value in values])
    grad = place_in(values, [value._grad for value in values])
    return None if data is None or grad is None else (data, grad)


def write_row(module: Module) -> Callee:
    """row(table, n, value): the row of n, a power of two, that a Value has or would get.

    The table is one that `Slots.enter` has filled, or fills.
    """
    function, (table, n, value), b = module.function("row", "p", "pww")
    last, half = b.sub(n, WHOLE(1)), WHOLE(1 << 32)
    mixed = b.div(b.mul(b.div(value, WHOLE(16)), WHOLE(_MIXED)), half)
    with b.loop(n) as k:
        row = b.both(b.add(mixed, k), last)
        place = b.at(table, b.add(row, row), WHOLE)
        known = b.get(place, 0)
        with b.when(b.either(b.same(known, value), b.same(known, WHOLE(0)))):
            b.ret(place)
    b.ret(table)
    return function


class _Text:
    """Writes the functions."""

    def __init__(self, data: int, grad: int) -> None:
        import numpy

        self.ndarray, self.float64 = numpy.ndarray, numpy.dtype(numpy.float64)
        self._data, self._grad = data, grad
        self.module = Module()
        self.api = {name: self.module.declare(name, *kinds) for name, kinds in _API.items()}
        self.items = write_items(self.module)
        self.row = write_row(self.module)

    def text(self) -> str:
        """All of it."""
        for name in ("read", "add", "write"):
            self._write(name)
        self._write_enter()
        self._write_places()
        self._write_same()
        self._write_words()
        return self.module.text()

    def _write_enter(self) -> None:
        """enter(values, table)."""
        b, (things, table) = self._function("enter", 2)
        n = read(b, things, SIZE, WHOLE)
        items = self._items(b, things, n)
        with b.loop(n) as i:
            value = b.get(items, i)
            place = b.call(self.row, [data_of(b, table), self._length(b, table), value])
            b.store(value, place)
            b.store(i, b.at(place, 1, WHOLE))
        self._answer(b, n)

    def _write_places(self) -> None:
        """places(values, table, at)."""
        b, (things, table, at) = self._function("places", 3)
        found, n = data_of(b, at), self._length(b, at)
        items = self._items(b, things, n)
        with b.loop(n) as i:
            value = b.get(items, i)
            place = b.call(self.row, [data_of(b, table), self._length(b, table), value])
            with b.when(b.differ(b.get(place, 0), value), likely=False):
                self._answer(b, i)
            b.store(b.get(place, 1), b.at(found, i, WHOLE))
        self._answer(b, n)

    def _write_same(self) -> None:
        """same(things, lengths, known)."""
        b, (given, array, known) = self._function("same", 3)
        things, lengths, eight = items_of(b, given), data_of(b, array), WHOLE(LANES)
        n = self._length(b, array)
        self._differ = b.room(WHOLE)
        several, start = b.room(WHOLES), b.room(POINTER)
        place, key, value = b.room(WHOLE), b.room(POINTER), b.room(POINTER)
        b.store(WHOLE(0), self._differ)
        b.store(Operand(WHOLES, "zeroinitializer"), several)
        b.store(items_of(b, known), start)
        with b.loop(n) as i:
            thing, size = b.get(things, i, POINTER), b.get(lengths, i)
            with b.when(b.differ(size, read(b, thing, SIZE, WHOLE)), likely=False):
                self._answer(b, False)
            before = b.load(start, POINTER)
            with b.choice(is_a(b, thing, dict), likely=False) as (named, row):
                with named:
                    b.store(WHOLE(0), place)
                    with b.loop(size) as k:
                        b.call(self.api["PyDict_Next"], [thing, place, key, value])
                        here = b.at(before, b.add(k, k), WHOLE)
                        self._compare(b, b.load(key, WHOLE), b.get(here, 0))
                        self._compare(b, b.load(value, WHOLE), b.get(here, 1))
                    b.store(b.at(before, b.add(size, size), WHOLE), start)
                with row:
                    now = items_of(b, thing)
                    whole = b.div(size, eight)
                    with b.loop(whole) as k:
                        ours, theirs = (
                            b.load(b.at(words, k, WHOLES), WHOLES, align=8)
                            for words in (now, before)
                        )
                        found = b.either(b.load(several, WHOLES), b.xor(ours, theirs))
                        b.store(found, several)
                    done = b.mul(whole, eight)
                    with b.loop(b.sub(size, done)) as rest:
                        k = b.add(done, rest)
                        self._compare(b, b.get(now, k), b.get(before, k))
                    b.store(b.at(before, size, WHOLE), start)
        for lane in range(LANES):
            found = b.load(several, WHOLES)
            self._compare(b, b.extract(found, lane, WHOLE), WHOLE(0))
        self._answer_whether_same(b)

    def _write_words(self) -> None:
        """words(array)."""
        b, (array,) = self._function("words", 1)
        table, n = data_of(b, array), self._length(b, array)
        self._differ = b.room(WHOLE)
        b.store(WHOLE(0), self._differ)
        with b.loop(n) as i:
            here = b.at(table, b.mul(i, WHOLE(3)), WHOLE)
            place, key, known = b.get(here, 0, POINTER), b.get(here, 1, POINTER), b.get(here, 2)
            with b.choice(b.same(key, POINTER(None))) as (word, item):
                with word:
                    self._compare(b, b.get(place, 0), known)
                with item:
                    found = b.call(self.api["PyDict_GetItem"], [place, key])
                    self._compare(b, b.convert("ptrtoint", found, WHOLE), known)
        self._answer_whether_same(b)

    def _compare(self, b: Lines, now: Any, known: Any) -> None:
        """Note whether a word is another than it was."""
        b.store(b.either(b.load(self._differ, WHOLE), b.xor(now, known)), self._differ)

    def _answer_whether_same(self, b: Lines) -> None:
        with b.when(b.differ(b.load(self._differ, WHOLE), WHOLE(0)), likely=False):
            self._answer(b, False)
        self._answer(b, True)

    def _function(self, name: str, count: int) -> tuple[Lines, list[Any]]:
        """A new function of so many objects."""
        _, (_, args, _), b = self.module.function(name, "p", "ppw", public=True)
        return b, [b.get(args, place, POINTER) for place in range(count)]

    def _length(self, b: Lines, array: Any) -> Any:
        """How many rows an array has."""
        return b.get(read(b, array, LENGTHS, POINTER), 0)

    def _numbers(self, b: Lines, array: Any) -> Any:
        """Where the numbers of an array are; ends if it is none of float64 one after another."""
        with b.when(b.not_(is_a(b, array, self.ndarray)), likely=False):
            self._answer(b, WHOLE(0))
        kind = b.same(read(b, array, DESCR, WHOLE), WHOLE(id(self.float64)))
        flags = b.both(read(b, array, FLAGS, SMALL), SMALL(PLAIN))
        row = b.both(kind, b.same(read(b, array, AXES, SMALL), SMALL(1)))
        with b.when(b.not_(b.both(row, b.same(flags, SMALL(PLAIN)))), likely=False):
            self._answer(b, WHOLE(0))
        return data_of(b, array)

    def _items(self, b: Lines, things: Any, n: Any) -> Any:
        """Where the items of a list or tuple of n are. They stay, for no code of Python's runs."""
        items = b.call(self.items, [things, n])
        with b.when(b.same(items, POINTER(None)), likely=False):
            self._answer(b, WHOLE(0))
        return items

    def _answer(self, b: Lines, what: Any) -> None:
        """Answer with a number, or with True or False."""
        if isinstance(what, bool):
            answer = fixed(b, what)
            b.call(self.api["Py_IncRef"], [answer])
            b.ret(answer)
        else:
            b.ret(b.call(self.api["PyLong_FromLongLong"], [what]))

    def _write(self, name: str) -> None:
        b, (things, array, *more) = self._function(name, 3 if name == "add" else 2)
        scale = [read(b, number, NUMBER, DOUBLE) for number in more]
        numbers, n = self._numbers(b, array), self._length(b, array)
        self._found = b.room(DOUBLE)  # here, for one in a loop would be made at each turn
        items = self._items(b, things, n)
        with b.loop(n) as i:
            value = b.get(items, i, POINTER)
            self._step(b, name, value, i, b.at(numbers, i, DOUBLE), scale)
        self._answer(b, n)

    def _step(self, b: Lines, name: str, value: Any, i: Any, number: Any, scale: list[Any]) -> None:
        """What is done with one Value and one number."""
        place = self._grad if name == "add" else self._data
        slot = b.at(value, place, BYTE)
        held = b.load(slot, POINTER)
        with b.when(b.same(held, POINTER(None)), likely=False):
            self._answer(b, i)
        if name == "read":
            b.store(self._float(b, held, i), number)
            return
        given = b.load(number, DOUBLE)
        with b.choice(self._is_alone(b, held), likely=True) as (alone, shared):
            with alone:
                where = b.at(held, NUMBER, BYTE)
                b.store(self._sum(b, b.load(where, DOUBLE), given, scale), where)
            with shared:
                new = self._sum(b, self._float(b, held, i), given, scale)
                made = b.call(self.api["PyFloat_FromDouble"], [new])
                with b.when(b.same(made, POINTER(None)), likely=False):
                    b.call(self.api["PyErr_Clear"], [])
                    self._answer(b, i)
                b.store(made, slot)
                b.call(self.api["Py_DecRef"], [held])

    def _sum(self, b: Lines, before: Any, given: Any, scale: list[Any]) -> Any:
        """What was there and what is given times the scale; what is given if there is none."""
        return b.fadd(before, b.fmul(given, scale[0])) if scale else given

    def _is_alone(self, b: Lines, held: Any) -> Any:
        """Whether an object is a float to which there is one reference."""
        count = b.get(held, 0, SMALL)
        return b.both(is_a(b, held, float), b.same(count, SMALL(1)))

    def _float(self, b: Lines, held: Any, i: Any) -> Any:
        """A float or int as a number; the function ends at anything else."""
        result = self._found
        is_float = is_a(b, held, float)
        with b.choice(is_float, likely=True) as (plain, other):
            with plain:
                place = b.at(held, NUMBER, BYTE)
                b.store(b.load(place, DOUBLE), result)
            with other:
                with b.when(b.not_(is_a(b, held, int)), likely=False):
                    self._answer(b, i)
                number = b.call(self.api["PyLong_AsDouble"], [held])
                with b.when(b.compare("oeq", number, DOUBLE(-1.0)), likely=False):
                    b.call(self.api["PyErr_Clear"], [])  # too large, or -1 indeed
                    self._answer(b, i)
                b.store(number, result)
        return b.load(result, DOUBLE)
