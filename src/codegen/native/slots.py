"""The numbers and gradients of many Values at once, moved between them and arrays by machine code.

A loop of Python takes some 40 ns for each Value, which is longer than what is computed with it.
Each function here is given a tuple or list of Values and an array of as many float64, and answers
how many it has done: at something that is no plain number it stops, and Python goes on from there.
It reads of objects what CPython's headers lay open; where memory does not look as they say, there
are no such functions. A float that nothing but its Value knows of is given its new number where it
lies.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ...graph.value import Value
from .builder import Builder
from .caller import as_in_the_headers, data_of
from .host import available, link, object_code

_NUMBER: Final = object.__basicsize__
"""Where a float's number is: behind what every object has, of which its type comes last."""
_TYPE: Final = _NUMBER - 8
_ITEMS: Final = tuple.__basicsize__
"""Where the items of a tuple are, and of a list the address of its items."""
_LENGTH: Final = object.__basicsize__
"""Where it is said how many items there are."""
_API: Final = (
    *("PyLong_AsDouble", "PyErr_Clear", "PyFloat_FromDouble", "Py_DecRef"),
    *("PyList_Size", "PyTuple_Size"),
)
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
    if not available() or not as_in_the_headers():
        return None
    data, grad = _place("_data"), _place("_grad")
    if data is None or grad is None or not (_counts_references() and _has_items()):
        return None
    text = _Text(data, grad).text()
    needs = {n: ctypes.cast(getattr(ctypes.pythonapi, n), ctypes.c_void_p).value or 0 for n in _API}
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


def _counts_references() -> bool:
    """Whether an object begins with how many references there are to it."""
    holder = [float.fromhex("0x1.7p-1") + len(_NAMES)]
    count = ctypes.c_uint32.from_address(id(holder[0]))
    alone = count.value
    twice = [*holder, *holder]
    return alone == 1 and count.value == 1 + len(twice)


def _has_items() -> bool:
    """Whether the items of tuples and lists are where they are read."""
    numbers = [0.5, -0.25]
    start = ctypes.c_int64.from_address(id(numbers) + _ITEMS).value
    known = [id(number) for number in numbers]
    row = tuple(numbers)
    lengths = [ctypes.c_int64.from_address(id(some) + _LENGTH).value for some in (numbers, row)]
    places = start, id(row) + _ITEMS
    return lengths == [2, 2] and all(
        list((ctypes.c_int64 * 2).from_address(at)) == known for at in places
    )


class _Text(Builder):
    """Writes the functions."""

    def __init__(self, data: int, grad: int) -> None:
        super().__init__()
        self._data, self._grad = data, grad
        self.api: dict[str, Any] = {}
        p, w, d, nothing = self.pointer, self.whole, self.double, self.ir.VoidType()
        kinds: dict[str, tuple[Any, list[Any]]] = {
            "PyLong_AsDouble": (d, [p]),
            "PyErr_Clear": (nothing, []),
            "PyFloat_FromDouble": (p, [d]),
            "Py_DecRef": (nothing, [p]),
            "PyList_Size": (w, [p]),
            "PyTuple_Size": (w, [p]),
        }
        for name, (result, given) in kinds.items():
            kind = self.ir.FunctionType(result, given)
            self.api[name] = self.ir.Function(self.module, kind, name)

    def text(self) -> str:
        """All of it."""
        for name in _NAMES[:3]:
            self._write(name)
        self._write_same()
        return str(self.module)

    def _write_same(self) -> None:
        """same(things, n, lengths, known)."""
        _, (given, n, array, known), b = self.function("same", self.whole, "pwpp", public=True)
        things, lengths = self._items(b, given), data_of(self, b, array)
        differ, start = b.alloca(self.whole), b.alloca(self.pointer)
        b.store(self.number(0), differ)
        b.store(self._items(b, known), start)
        with self.loop(b, n) as i:
            thing, size = self.get(b, things, i, self.pointer), self.get(b, lengths, i)
            with b.if_then(b.icmp_signed("!=", size, self._length(b, thing)), likely=False):
                b.ret(self.number(0))
            now, before = self._items(b, thing), b.load(start, typ=self.pointer)
            with self.loop(b, size) as k:
                unlike = b.xor(self.get(b, now, k), self.get(b, before, k))
                b.store(b.or_(b.load(differ, typ=self.whole), unlike), differ)
            b.store(self.at(b, before, size, self.whole), start)
        none = b.icmp_signed("==", b.load(differ, typ=self.whole), self.number(0))
        b.ret(b.zext(none, self.whole))

    def _length(self, b: Any, thing: Any) -> Any:
        """How many items a list or tuple has."""
        return b.load(self.at(b, thing, _LENGTH, self.ir.IntType(8)), typ=self.whole)

    def _items(self, b: Any, thing: Any) -> Any:
        """The address of the items of a list or tuple."""
        items = self.at(b, thing, _ITEMS, self.ir.IntType(8))
        elsewhere = b.load(items, typ=self.whole)
        here = b.ptrtoint(items, self.whole)
        return b.inttoptr(b.select(self._is(b, thing, list), elsewhere, here), self.pointer)

    def _write(self, name: str) -> None:
        kinds = [self.pointer, self.whole, self.pointer] + [self.double] * (name == "add")
        kind = self.ir.FunctionType(self.whole, kinds)
        function = self.ir.Function(self.module, kind, name)
        things, n, array, *scale = function.args
        b = self.ir.IRBuilder(function.append_basic_block("entry"))
        numbers = data_of(self, b, array)
        self._found = b.alloca(self.double)  # here, for one in a loop would be made at each turn
        for container, prefix in ((list, "PyList"), (tuple, "PyTuple")):
            with b.if_then(self._is(b, things, container)):
                size = b.call(self.api[f"{prefix}_Size"], [things])
                with b.if_then(b.icmp_signed("<", size, n), likely=False):
                    b.ret(self.number(0))
                items = self.at(b, things, _ITEMS, self.ir.IntType(8))
                if container is list:  # nothing below runs Python's code, which might move them
                    items = b.load(items, typ=self.pointer)
                with self.loop(b, n) as i:
                    value = self.get(b, items, i, self.pointer)
                    number = self.at(b, numbers, i, self.double)
                    self._step(b, name, value, i, number, scale)
                b.ret(n)
        b.ret(self.number(0))

    def _step(self, b: Any, name: str, value: Any, i: Any, number: Any, scale: list[Any]) -> None:
        """What is done with one Value and one number."""
        place = self._grad if name == "add" else self._data
        slot = self.at(b, value, place, self.ir.IntType(8))
        held = b.load(slot, typ=self.pointer)
        if name == "read":
            b.store(self._float(b, held, i), number)
            return
        new = b.load(number, typ=self.double)
        before = self._float(b, held, i)
        if name == "add":
            new = b.fadd(before, b.fmul(new, scale[0]))
        with b.if_else(self._is_alone(b, held), likely=True) as (alone, shared):
            with alone:
                b.store(new, self.at(b, held, _NUMBER, self.ir.IntType(8)))
            with shared:
                made = b.call(self.api["PyFloat_FromDouble"], [new])
                with b.if_then(b.icmp_unsigned("==", made, self.pointer(None)), likely=False):
                    b.call(self.api["PyErr_Clear"], [])
                    b.ret(i)
                b.store(made, slot)
                b.call(self.api["Py_DecRef"], [held])

    def _is_alone(self, b: Any, held: Any) -> Any:
        """Whether an object is a float to which there is one reference."""
        count = self.get(b, held, 0, self.small)
        return b.and_(self._is(b, held, float), b.icmp_unsigned("==", count, self.small(1)))

    def _float(self, b: Any, held: Any, i: Any) -> Any:
        """A float or int as a number; the function ends at anything else, and at nothing."""
        with b.if_then(b.icmp_unsigned("==", held, self.pointer(None)), likely=False):
            b.ret(i)
        result = self._found
        is_float = self._is(b, held, float)
        with b.if_else(is_float, likely=True) as (plain, other):
            with plain:
                place = self.at(b, held, _NUMBER, self.ir.IntType(8))
                b.store(b.load(place, typ=self.double), result)
            with other:
                with b.if_then(b.not_(self._is(b, held, int)), likely=False):
                    b.ret(i)
                number = b.call(self.api["PyLong_AsDouble"], [held])
                with b.if_then(b.fcmp_ordered("==", number, self.double(-1.0)), likely=False):
                    b.call(self.api["PyErr_Clear"], [])  # too large, or -1 indeed
                    b.ret(i)
                b.store(number, result)
        return b.load(result, typ=self.double)

    def _is(self, b: Any, thing: Any, kind: type) -> Any:
        """Whether an object is of exactly this type."""
        found = b.load(self.at(b, thing, _TYPE, self.ir.IntType(8)), typ=self.whole)
        return b.icmp_unsigned("==", found, self.number(id(kind)))
