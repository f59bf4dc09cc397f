"""How Python's objects and NumPy's arrays lie in memory, for machine code that reads them.

It is what CPython's and NumPy's headers lay open, as far as it is read here. Whether memory does
look like that is tried out before any code relies on it.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

from .builder import BYTE, POINTER, WHOLE, Callee, Kind, Lines, Module, Operand

TYPE, NUMBER, SIZE = 8, 16, 16
"""Where an object's type is; a float's number; how many items a list, tuple or dict has."""
LIST, TUPLE = list.__basicsize__ - 16, tuple.__basicsize__
"""Where the address of a list's items is, and where a tuple's items are."""
DATA, AXES, LENGTHS, DESCR, FLAGS = 16, 24, 32, 56, 64
"""Where an array's fields are."""
PLAIN: Final = 0x1 | 0x100
"""The flags of an array that is contiguous and aligned."""
FASTCALL, NAMED = 0x0080, 0x0002
"""Arguments as CPython has them in memory; named ones included."""
NEW_ARRAY, NEW_SCALAR = 93, 60
"""The places of PyArray_New and PyArray_Scalar in NumPy's table of functions."""


def as_in_the_headers(arrays: bool = False) -> bool:
    """Whether floats, lists and tuples look as they are read here; and arrays, if asked."""
    if sys.implementation.name != "cpython" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    if object.__basicsize__ != NUMBER:
        return False
    plain = _counts_references() and _has_numbers() and _has_items() and _has_names()
    return plain and (not arrays or _has_arrays())


def word_at(thing: Any, offset: int) -> int:
    """Eight bytes of an object's memory."""
    return ctypes.c_int64.from_address(id(thing) + offset).value


def place_in(things: Sequence[Any], held: Sequence[Any]) -> int | None:
    """Where in things of a kind, in bytes, each has what it holds; None if there is no one place.

    >>> place_in([1.5], [2.5]) is None
    True
    """
    found = set(range(16, type(things[0]).__basicsize__, 8))
    for thing, item in zip(things, held, strict=True):
        found = {place for place in found if word_at(thing, place) == id(item)}
    return found.pop() if len(found) == 1 else None


def _counts_references() -> bool:
    """Whether an object begins with how many references there are to it."""
    holder = [float.fromhex("0x1.7p-1") + NUMBER]
    count = ctypes.c_uint32.from_address(id(holder[0]))
    alone = count.value
    twice = [*holder, *holder]
    return alone == 1 and count.value == 1 + len(twice)


def _has_numbers() -> bool:
    """Whether the type and the number of floats are where they are read."""
    number = 0.7310585786300049
    if word_at(number, TYPE) != id(float):
        return False
    return ctypes.c_double.from_address(id(number) + NUMBER).value == number


def _has_items() -> bool:
    """Whether the items of tuples and lists are."""
    numbers = [0.5, -0.25]
    row = tuple(numbers)
    known = [id(number) for number in numbers]
    starts = word_at(numbers, LIST), id(row) + TUPLE
    return all(
        word_at(kept, TYPE) == id(type(kept))
        and word_at(kept, SIZE) == len(kept)
        and list((ctypes.c_int64 * 2).from_address(start)) == known
        for kept, start in zip((numbers, row), starts, strict=True)
    )


def _has_names() -> bool:
    """Whether a dict says how many names it has where a list does how many items."""
    return all(word_at(dict.fromkeys(range(n)), SIZE) == n for n in (0, 3, 9))


def _has_arrays() -> bool:
    """Whether the fields of arrays are."""
    import numpy

    for array in (numpy.zeros((5, 3)), numpy.zeros((5, 3)).T, numpy.zeros(7)):
        lengths = (ctypes.c_int64 * array.ndim).from_address(word_at(array, LENGTHS))
        if (
            word_at(array, TYPE) != id(numpy.ndarray)
            or word_at(array, DATA) != array.ctypes.data
            or word_at(array, AXES) & 0xFFFFFFFF != array.ndim
            or tuple(lengths) != array.shape
            or word_at(array, DESCR) != id(numpy.dtype(numpy.float64))
            or (word_at(array, FLAGS) & PLAIN == PLAIN) != array.flags.c_contiguous
        ):
            return False
    return True


class _Definition(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("text", ctypes.c_char_p),
    ]


class Owner(int):
    """The `self` of a built-in function: an address, for what it is told; keeps what it needs."""

    kept: tuple[Any, ...]


def built_in(name: str, address: int, owner: Owner, flags: int = FASTCALL) -> Any:
    """A built-in function that runs machine code, and where its address may be exchanged.

    The code is called with the owner, where the arguments are, and how many; it looks at what they
    are as little as it needs to.
    """
    definition = _Definition(name.encode(), address, flags, None)
    owner.kept = (*getattr(owner, "kept", ()), definition)
    kind = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    make = kind(("PyCFunction_NewEx", ctypes.pythonapi))
    return make(ctypes.addressof(definition), owner, None), definition


@lru_cache(maxsize=64)
def api_address(name: str) -> int:
    """Where one of CPython's functions is."""
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0


def numpy_address(place: int) -> int:
    """Where one of NumPy's functions is, by its place in their table."""
    import numpy

    inside = "numpy._core" if int(numpy.__version__.split(".")[0]) >= 2 else "numpy.core"
    core = import_module(f"{inside}._multiarray_umath")
    kind = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    pointer = kind(("PyCapsule_GetPointer", ctypes.pythonapi))
    table = pointer(core._ARRAY_API, None)
    return ctypes.c_int64.from_address(table + 8 * place).value


def read(b: Lines, thing: Operand, offset: int, kind: Kind) -> Operand:
    """A field of an object."""
    return b.load(b.at(thing, offset, BYTE), kind)


def fixed(b: Lines, thing: Any) -> Operand:
    """The address of an object that is always there."""
    return b.convert("inttoptr", WHOLE(id(thing)), POINTER)


def is_a(b: Lines, thing: Operand, kind: type) -> Operand:
    """Whether an object is of exactly this type."""
    return b.same(read(b, thing, TYPE, WHOLE), WHOLE(id(kind)))


def data_of(b: Lines, array: Operand) -> Operand:
    """The address of the first number of an array of NumPy's."""
    return read(b, array, DATA, POINTER)


def items_of(b: Lines, thing: Operand) -> Operand:
    """The address of the items of what is a list or tuple."""
    elsewhere, inside = read(b, thing, LIST, POINTER), b.at(thing, TUPLE, BYTE)
    return b.select(is_a(b, thing, list), elsewhere, inside)


def write_items(module: Module) -> Callee:
    """items(thing, n): where the addresses of the items of a list or tuple of n are; else null."""
    function, (thing, n), b = module.function("items", "p", "pw")
    a_list = is_a(b, thing, list)
    row = b.either(a_list, is_a(b, thing, tuple))
    with b.when(b.not_(row), likely=False):
        b.ret(POINTER(None))
    with b.when(b.differ(read(b, thing, SIZE, WHOLE), n), likely=False):
        b.ret(POINTER(None))
    with b.when(b.both(a_list, b.differ(n, WHOLE(0)))):
        b.ret(read(b, thing, LIST, POINTER))
    b.ret(b.at(thing, TUPLE, BYTE))
    return function
