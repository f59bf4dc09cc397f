"""The numbers and gradients of many Values at once, moved between them and arrays by machine code.

A loop of Python takes some 40 ns for each Value, which is longer than what is computed with it.
Each function here is given a tuple or list of Values, and answers how many it has done: at
something that is no plain number it stops, and Python goes on from there. It reads of objects what
CPython's headers lay open; where memory does not look as they say, there are no such functions.
A float that nothing but its Value knows of is given its new number where it lies.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ...graph.value import Value
from .builder import BYTE, DOUBLE, POINTER, SMALL, WHOLE, Lines, Module
from .host import available, link, object_code
from .objects import (
    NUMBER,
    SIZE,
    api_address,
    as_in_the_headers,
    data_of,
    is_a,
    items_of,
    read,
    write_items,
)

_API: Final = {
    "PyLong_AsDouble": ("d", "p"),
    "PyErr_Clear": ("", ""),
    "PyFloat_FromDouble": ("p", "d"),
    "Py_DecRef": ("", "p"),
}
"""What is called of CPython's: what it answers and what it is given, see `Module.function`."""
_NAMES: Final = ("read", "add", "write", "same")


class Slots(NamedTuple):
    """Functions of Values, how many there are, and an array of as many float64.

    read   their numbers → the array
    add    the array, each times a number that comes last, is added to their gradients
    write  the array → their numbers
    same   a list of so many lists and tuples, an array of how many items each had, and a list of
           all these items → whether they still have them
    """

    read: Callable[[Any, int, Any], int]
    add: Callable[[Any, int, Any, float], int]
    write: Callable[[Any, int, Any], int]
    same: Callable[[list[Any], int, Any, list[Any]], int]
    kept: Any


@lru_cache(maxsize=1)
def slots() -> Slots | None:
    """The functions; None where there is no LLVM, or Python's objects are laid out otherwise.

    >>> import numpy
    >>> values, numbers = [Value(1.0), Value(2.5)], numpy.zeros(2)
    >>> move = slots()
    >>> if move: _ = move.read(values, 2, numbers)
    >>> if move: numbers.tolist() == [1.0, 2.5]
    True
    """
    if not available() or not as_in_the_headers(arrays=True):
        return None
    data, grad = _place("_data"), _place("_grad")
    if data is None or grad is None:
        return None
    text = _Text(data, grad).text()
    needs = {name: api_address(name) for name in _API}
    library = link(object_code(text, 2, tidy=True), needs, _NAMES)
    whole, thing = ctypes.c_int64, ctypes.py_object
    plain = ctypes.PYFUNCTYPE(whole, thing, whole, thing)
    scaled = ctypes.PYFUNCTYPE(whole, thing, whole, thing, ctypes.c_double)
    read, write = plain(library["read"]), plain(library["write"])
    same = ctypes.PYFUNCTYPE(whole, thing, whole, thing, thing)(library["same"])
    return Slots(read, scaled(library["add"]), write, same, library)


def _place(name: str) -> int | None:
    """Where in a Value a slot is, in bytes; found by what is put into it."""
    value = Value(0.0)
    known = [0.7310585786300049, -0.25]
    found = set(range(16, Value.__basicsize__, 8))
    for number in known:
        setattr(value, name, number)
        words = {place: ctypes.c_int64.from_address(id(value) + place).value for place in found}
        found = {place for place, word in words.items() if word == id(number)}
    return found.pop() if len(found) == 1 else None


class _Text:
    """Writes the functions."""

    def __init__(self, data: int, grad: int) -> None:
        self._data, self._grad = data, grad
        self.module = Module()
        self.api = {name: self.module.declare(name, *kinds) for name, kinds in _API.items()}
        self.items = write_items(self.module)

    def text(self) -> str:
        """All of it."""
        for name in _NAMES[:3]:
            self._write(name)
        self._write_same()
        return self.module.text()

    def _write_same(self) -> None:
        """same(things, n, lengths, known)."""
        _, (given, n, array, known), b = self.module.function("same", "w", "pwpp", public=True)
        things, lengths = items_of(b, given), data_of(b, array)
        differ, start = b.room(WHOLE), b.room(POINTER)
        b.store(WHOLE(0), differ)
        b.store(items_of(b, known), start)
        with b.loop(n) as i:
            thing, size = b.get(things, i, POINTER), b.get(lengths, i)
            with b.when(b.differ(size, read(b, thing, SIZE, WHOLE)), likely=False):
                b.ret(WHOLE(0))
            now, before = items_of(b, thing), b.load(start, POINTER)
            with b.loop(size) as k:
                unlike = b.xor(b.get(now, k), b.get(before, k))
                b.store(b.either(b.load(differ, WHOLE), unlike), differ)
            b.store(b.at(before, size, WHOLE), start)
        b.ret(b.convert("zext", b.same(b.load(differ, WHOLE), WHOLE(0)), WHOLE))

    def _write(self, name: str) -> None:
        kinds = "pwpd" if name == "add" else "pwp"
        _, given, b = self.module.function(name, "w", kinds, public=True)
        things, n, array, *scale = given
        numbers = data_of(b, array)
        self._found = b.room(DOUBLE)  # here, for one in a loop would be made at each turn
        items = b.call(self.items, [things, n])  # nothing below runs Python's code: they stay
        with b.when(b.same(items, POINTER(None)), likely=False):
            b.ret(WHOLE(0))
        with b.loop(n) as i:
            value = b.get(items, i, POINTER)
            self._step(b, name, value, i, b.at(numbers, i, DOUBLE), scale)
        b.ret(n)

    def _step(self, b: Lines, name: str, value: Any, i: Any, number: Any, scale: list[Any]) -> None:
        """What is done with one Value and one number."""
        place = self._grad if name == "add" else self._data
        slot = b.at(value, place, BYTE)
        held = b.load(slot, POINTER)
        if name == "read":
            b.store(self._float(b, held, i), number)
            return
        new = b.load(number, DOUBLE)
        before = self._float(b, held, i)
        if name == "add":
            new = b.fadd(before, b.fmul(new, scale[0]))
        with b.choice(self._is_alone(b, held), likely=True) as (alone, shared):
            with alone:
                b.store(new, b.at(held, NUMBER, BYTE))
            with shared:
                made = b.call(self.api["PyFloat_FromDouble"], [new])
                with b.when(b.same(made, POINTER(None)), likely=False):
                    b.call(self.api["PyErr_Clear"], [])
                    b.ret(i)
                b.store(made, slot)
                b.call(self.api["Py_DecRef"], [held])

    def _is_alone(self, b: Lines, held: Any) -> Any:
        """Whether an object is a float to which there is one reference."""
        count = b.get(held, 0, SMALL)
        return b.both(is_a(b, held, float), b.same(count, SMALL(1)))

    def _float(self, b: Lines, held: Any, i: Any) -> Any:
        """A float or int as a number; the function ends at anything else, and at nothing."""
        with b.when(b.same(held, POINTER(None)), likely=False):
            b.ret(i)
        result = self._found
        is_float = is_a(b, held, float)
        with b.choice(is_float, likely=True) as (plain, other):
            with plain:
                place = b.at(held, NUMBER, BYTE)
                b.store(b.load(place, DOUBLE), result)
            with other:
                with b.when(b.not_(is_a(b, held, int)), likely=False):
                    b.ret(i)
                number = b.call(self.api["PyLong_AsDouble"], [held])
                with b.when(b.compare("oeq", number, DOUBLE(-1.0)), likely=False):
                    b.call(self.api["PyErr_Clear"], [])  # too large, or -1 indeed
                    b.ret(i)
                b.store(number, result)
        return b.load(result, DOUBLE)
