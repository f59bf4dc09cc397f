"""A whole step of training in one call of machine code.

The numbers of many Values are read, the code of a loss and its derivatives runs on them, an
optimizer's update moves them, and they are written back: nothing of Python's is asked in between,
and no other thread runs. Whatever is not seen to be as it was when such a step was made, it refuses
before anything has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, NamedTuple

from .builder import (
    BYTE,
    DOUBLE,
    NOTHING,
    POINTER,
    SMALL,
    VECTOR,
    WHOLE,
    Callee,
    Lines,
    Module,
    Operand,
)
from .code import Code
from .host import link, object_code
from .objects import (
    NUMBER,
    SIZE,
    Owner,
    api_address,
    built_in,
    fixed,
    is_a,
    items_of,
    read,
    write_items,
)
from .slots import places_in_values, slots, write_row
from .words import LANES

LONGEST: Final = 200_000
"""Up to so many instructions in a call, some 0.1 ms, other threads may have to wait."""

PIECES, ROWS, ENTRIES, GIVEN, CHOSEN, FLOATS, INTEGERS = range(7)

_API: Final = {
    "PyLong_AsVoidPtr": ("p", "p"),
    "PyLong_AsLongLong": ("w", "p"),
    "PyErr_Occurred": ("p", ""),
    "PyErr_Clear": ("", ""),
    "PyFloat_FromDouble": ("p", "d"),
    "PyObject_Vectorcall": ("p", "ppwp"),
    "Py_IncRef": ("", "p"),
    "Py_DecRef": ("", "p"),
}

(_COUNT, _ITEMS, _NOW, _GRADIENT, _LENGTH, _HELD, _RUN, _ADDRESSES, _OUT, _SCRATCH) = range(10)
_INDEX, _KNOWN, _UPDATE, _WRITE, _COLUMNS, _VALUES, _ROW, _RESULT, _SOURCES = range(10, 19)
_HEAD: Final = 19
"""What the numbers in memory are: so many, then `_SOURCE` for each argument of the code."""
_KIND, _BUFFER, _DERIVATIVES, _AT, _TAKEN, _PARTS, _MANY = range(7)
_SOURCE: Final = 7
_PART: Final = 3


class Source(NamedTuple):
    """What an argument of the code is made of.

    kind     what its parts say:
             PIECES  first, place, count: from the first number on so many of the parameters
             ROWS    integer, rows, width: the Values of a row that an integer picks
             ENTRIES integer, entries, 1: the Value that an integer picks
             GIVEN   place, 0, 1: a Value among those of a call
             CHOSEN  integer, 0, width: zeros, with a 1 where an integer says
             FLOATS, INTEGERS  place, 0, 1: a number among those of a call
    result   from where on its derivatives are among the results; -1 if there are none
    """

    kind: int
    parts: Sequence[tuple[int, Any, int]]
    result: int

    @property
    def width(self) -> int:
        """How many numbers it has."""
        return sum([count for _, _, count in self.parts])


class Parameters(NamedTuple):
    """What is moved.

    values   the Values
    columns  a row of their numbers, rows of what an optimizer remembers, and a row of gradients
    index    what `Slots.enter` made of the Values
    """

    values: tuple[Any, ...]
    columns: Any
    index: Any


def results_of(code: Code) -> dict[str, tuple[int, int]] | None:
    """Where the results of the code begin and how many there are, by name; None if it cannot be.

    A result by itself has its name, those within a dict have theirs.
    """
    layout = code.layout
    if layout.batched or layout.dtype != "float64" or layout.instructions > LONGEST:
        return None
    if layout.threaded or code.asks_python:
        return None
    found: dict[str, tuple[int, int]] = {}
    waiting = [("", layout.outputs)]
    while waiting:
        name, (kind, *rest) = waiting.pop()
        if kind == "d":
            waiting += rest[0]
        elif kind == "n":
            found[name] = rest[0], 1
        elif kind == "v":
            found[name] = rest[0], rest[1]
        else:
            return None
    return found


def step_of(
    code: Code, sources: Sequence[Source], result: int, parameters: Parameters, update: Any
) -> Callable[[list[int], list[float], list[Any], Any], float | None] | None:
    """A built-in function that takes a step; None where there is none.

    It is given the integers, the floats and the Values of a call, and the array of numbers that
    `update` takes after the columns. It gives the number that is the result at a place, or None if
    it refuses.
    """
    move, library = slots(), _library()
    if move is None or library is None:
        return None
    import numpy

    values, columns, index = parameters
    layout, count = code.layout, len(values)
    held, out = numpy.zeros(count, numpy.int64), numpy.zeros(layout.numbers)
    scratch, addresses = numpy.zeros(layout.room(1)), numpy.zeros(len(sources), numpy.int64)
    row = columns[0, :count]
    kept: list[Any] = [code, *parameters, held, out, scratch, addresses, row, update, move, library]
    told = numpy.zeros(_HEAD + _SOURCE * len(sources), numpy.int64)
    told[_COUNT], told[_ITEMS], told[_SOURCES] = count, id(values), len(sources)
    told[_NOW], told[_GRADIENT] = row.ctypes.data, columns[-1].ctypes.data
    told[_LENGTH], told[_RUN], told[_RESULT] = columns.shape[1], code.address, result
    told[_HELD], told[_ADDRESSES] = held.ctypes.data, addresses.ctypes.data
    told[_OUT], told[_SCRATCH] = out.ctypes.data, scratch.ctypes.data
    told[_INDEX], told[_KNOWN] = index.ctypes.data, len(index)
    told[_UPDATE], told[_WRITE] = id(update), id(move.write)
    told[_COLUMNS], told[_VALUES], told[_ROW] = id(columns), id(values), id(row)
    for number, source in enumerate(sources):
        buffer, at = numpy.zeros(source.width), numpy.zeros(source.width, numpy.int64)
        rows = [x for _, x, _ in source.parts] if source.kind in (ROWS, ENTRIES) else []
        parts = [(a, id(x) if rows else x, n) for a, x, n in source.parts]
        table = numpy.array(parts, numpy.int64).reshape(len(parts), _PART)
        kept += [buffer, at, table, rows]
        alone = source.kind == PIECES and len(parts) == 1
        data = row[parts[0][1] :].ctypes.data if alone else buffer.ctypes.data
        addresses[number] = data
        here = told[_HEAD + _SOURCE * number :]
        here[_KIND], here[_BUFFER], here[_DERIVATIVES] = source.kind, data, source.result
        here[_TAKEN] = source.width
        here[_AT], here[_PARTS], here[_MANY] = at.ctypes.data, table.ctypes.data, len(parts)
    owner = Owner(told.ctypes.data)
    owner.kept = (told, *kept)
    function, _ = built_in("step", library["step"], owner)
    return function  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _library() -> Any:
    places = places_in_values()
    if places is None:
        return None
    needs = {name: api_address(name) for name in _API}
    return link(object_code(_Text(places[0]).text(), 2, tidy=True), needs, ["step"])


class _Text:
    """Writes step(integers, floats, values, numbers)."""

    def __init__(self, data: int) -> None:
        self._data = data
        self.module = Module()
        self.api = {name: self.module.declare(name, *kinds) for name, kinds in _API.items()}
        self.items = write_items(self.module)
        self.row = write_row(self.module)
        self.add = self._write_add()

    def text(self) -> str:
        """All of it."""
        _, (owner, args, _), b = self.module.function("step", "p", "ppw", public=True)
        self._done = b.room(WHOLE)
        rest = b.room(WHOLE)
        given = b.room(POINTER, WHOLE(2))
        told = b.call(self.api["PyLong_AsVoidPtr"], [owner])
        lists = [items_of(b, b.get(args, k, POINTER)) for k in range(3)]
        with self._each_source(b, told) as (source, kind):
            self._take(b, told, source, kind, lists)
        self._read(b, told)
        with self._each_source(b, told) as (source, kind):
            self._fill(b, told, source, kind)
        out, scratch = b.get(told, _OUT, POINTER), b.get(told, _SCRATCH, POINTER)
        b.store(WHOLE(0), scratch)  # nothing says to stop
        run = Callee(b.get(told, _RUN, POINTER).text, NOTHING)
        b.call(run, [b.get(told, _ADDRESSES, POINTER), POINTER(None), WHOLE(1), out, scratch])
        gradient = b.get(told, _GRADIENT, POINTER)
        with b.loop(b.div(b.get(told, _LENGTH), WHOLE(LANES))) as i:
            b.store(Operand(VECTOR, "zeroinitializer"), b.at(gradient, i, VECTOR), align=8)
        with self._each_source(b, told) as (source, kind):
            self._gather(b, source, kind, out, gradient)
        numbers = b.get(args, 3, POINTER)
        self._call(
            b, b.get(told, _UPDATE, POINTER), given, [b.get(told, _COLUMNS, POINTER), numbers]
        )
        b.store(WHOLE(0), rest)
        self._write_back(b, told, rest)
        with b.when(b.differ(b.load(rest, WHOLE), WHOLE(0)), likely=False):
            both = [b.get(told, place, POINTER) for place in (_VALUES, _ROW)]
            self._call(b, b.get(told, _WRITE, POINTER), given, both)
        result = b.get(out, b.get(told, _RESULT), DOUBLE)
        b.ret(b.call(self.api["PyFloat_FromDouble"], [result]))
        return self.module.text()

    @contextmanager
    def _each_source(self, b: Lines, told: Operand) -> Iterator[tuple[Operand, Operand]]:
        """What is written inside is done with each argument; gives where it is told, its kind."""
        with b.loop(b.get(told, _SOURCES)) as number:
            place = b.add(WHOLE(_HEAD), b.mul(number, WHOLE(_SOURCE)))
            source = b.at(told, place, WHOLE)
            yield source, b.get(source, _KIND)

    @contextmanager
    def _each_part(self, b: Lines, source: Operand) -> Iterator[tuple[Operand, Operand, Operand]]:
        """The same with each part of an argument; gives its three numbers."""
        parts = b.get(source, _PARTS, POINTER)
        with b.loop(b.get(source, _MANY)) as number:
            part = b.at(parts, b.mul(number, WHOLE(_PART)), WHOLE)
            yield b.get(part, 0), b.get(part, 1), b.get(part, 2)

    def _take(
        self, b: Lines, told: Operand, source: Operand, kind: Operand, lists: Sequence[Operand]
    ) -> None:
        """Where the Values are that integers pick, and numbers that need none; may refuse."""
        integers, floats, values = lists
        buffer, at = b.get(source, _BUFFER, POINTER), b.get(source, _AT, POINTER)
        b.store(WHOLE(0), self._done)
        with b.when(b.same(kind, WHOLE(ROWS))), self._each_part(b, source) as (place, rows, width):
            thing = b.convert("inttoptr", rows, POINTER)
            self._refuse_unless(b, b.either(is_a(b, thing, list), is_a(b, thing, tuple)))
            index = self._index(b, b.get(integers, place, POINTER), read(b, thing, SIZE, WHOLE))
            items = b.call(self.items, [b.get(items_of(b, thing), index, POINTER), width])
            self._refuse_unless(b, b.differ(items, POINTER(None)))
            done = b.load(self._done, WHOLE)
            with b.loop(width) as k:
                self._look_up(b, told, b.get(items, k), b.at(at, b.add(done, k), WHOLE))
            b.store(b.add(done, width), self._done)
        with (
            b.when(b.same(kind, WHOLE(ENTRIES))),
            self._each_part(b, source) as (place, rows, one),
        ):
            thing = b.convert("inttoptr", rows, POINTER)
            self._refuse_unless(b, b.either(is_a(b, thing, list), is_a(b, thing, tuple)))
            index = self._index(b, b.get(integers, place, POINTER), read(b, thing, SIZE, WHOLE))
            done = b.load(self._done, WHOLE)
            self._look_up(b, told, b.get(items_of(b, thing), index), b.at(at, done, WHOLE))
            b.store(b.add(done, one), self._done)
        with b.when(b.same(kind, WHOLE(GIVEN))), self._each_part(b, source) as (place, _, one):
            done = b.load(self._done, WHOLE)
            self._look_up(b, told, b.get(values, place), b.at(at, done, WHOLE))
            b.store(b.add(done, one), self._done)
        with b.when(b.same(kind, WHOLE(CHOSEN))), self._each_part(b, source) as (place, _, width):
            index = self._index(b, b.get(integers, place, POINTER), width)
            done = b.load(self._done, WHOLE)
            with b.loop(width) as k:
                b.store(DOUBLE(0.0), b.at(buffer, b.add(done, k), DOUBLE))
            b.store(DOUBLE(1.0), b.at(buffer, b.add(done, index), DOUBLE))
            b.store(b.add(done, width), self._done)
        with b.when(b.same(kind, WHOLE(FLOATS))), self._each_part(b, source) as (place, _, one):
            number = b.get(floats, place, POINTER)
            self._refuse_unless(b, is_a(b, number, float))
            done = b.load(self._done, WHOLE)
            b.store(read(b, number, NUMBER, DOUBLE), b.at(buffer, done, DOUBLE))
            b.store(b.add(done, one), self._done)
        with (
            b.when(b.same(kind, WHOLE(INTEGERS))),
            self._each_part(b, source) as (place, _, one),
        ):
            whole = self._whole(b, b.get(integers, place, POINTER))
            done = b.load(self._done, WHOLE)
            b.store(b.convert("sitofp", whole, DOUBLE), b.at(buffer, done, DOUBLE))
            b.store(b.add(done, one), self._done)

    def _look_up(self, b: Lines, told: Operand, value: Operand, to: Operand) -> None:
        """Store which of the parameters a Value is; refuses one that is none."""
        known = [b.get(told, _INDEX, POINTER), b.get(told, _KNOWN)]
        entry = b.call(self.row, [*known, value])
        self._refuse_unless(b, b.same(b.get(entry, 0), value))
        b.store(b.get(entry, 1), to)

    def _whole(self, b: Lines, integer: Operand) -> Operand:
        """An integer of Python's as a number; refuses one that is too large."""
        whole = b.call(self.api["PyLong_AsLongLong"], [integer])
        with b.when(b.same(whole, WHOLE(-1)), likely=False):
            failed = b.call(self.api["PyErr_Occurred"], [])
            with b.when(b.differ(failed, POINTER(None)), likely=False):
                b.call(self.api["PyErr_Clear"], [])
                self._refuse(b)
        return whole

    def _index(self, b: Lines, integer: Operand, length: Operand) -> Operand:
        """An integer as a place in something so long, from its end if it is less than 0."""
        index = self._whole(b, integer)
        index = b.select(b.less(index, WHOLE(0)), b.add(index, length), index)
        within = b.both(b.less(WHOLE(-1), index), b.less(index, length))
        self._refuse_unless(b, within)
        return index

    def _read(self, b: Lines, told: Operand) -> None:
        """Read the numbers of all Values, and note which floats they are in; may refuse."""
        items = items_of(b, b.get(told, _ITEMS, POINTER))
        now, held = b.get(told, _NOW, POINTER), b.get(told, _HELD, POINTER)
        with b.loop(b.get(told, _COUNT)) as i:
            number = b.load(b.at(b.get(items, i, POINTER), self._data, BYTE), POINTER)
            self._refuse_unless(b, b.differ(number, POINTER(None)))
            self._refuse_unless(b, is_a(b, number, float))
            b.store(number, b.at(held, i, POINTER))
            b.store(read(b, number, NUMBER, DOUBLE), b.at(now, i, DOUBLE))

    def _fill(self, b: Lines, told: Operand, source: Operand, kind: Operand) -> None:
        """Put what is taken of the parameters where the code reads it, unless it is there."""
        now, buffer = b.get(told, _NOW, POINTER), b.get(source, _BUFFER, POINTER)
        several = b.less(WHOLE(1), b.get(source, _MANY))
        copied = b.both(b.same(kind, WHOLE(PIECES)), several)
        with (
            b.when(copied),
            self._each_part(b, source) as (first, place, count),
            b.loop(count) as k,
        ):
            number = b.get(now, b.add(place, k), DOUBLE)
            b.store(number, b.at(buffer, b.add(first, k), DOUBLE))
        at = b.get(source, _AT, POINTER)
        with b.when(self._picked(b, kind)), b.loop(b.get(source, _TAKEN)) as k:
            b.store(b.get(now, b.get(at, k), DOUBLE), b.at(buffer, k, DOUBLE))

    def _gather(
        self, b: Lines, source: Operand, kind: Operand, out: Operand, gradient: Operand
    ) -> None:
        """Add the derivatives by an argument to the gradient, each at its place."""
        start = b.get(source, _DERIVATIVES)
        derivatives, at = b.at(out, start, DOUBLE), b.get(source, _AT, POINTER)
        there = b.less(WHOLE(-1), start)
        pieces = b.both(there, b.same(kind, WHOLE(PIECES)))
        with b.when(pieces), self._each_part(b, source) as (first, place, count):
            part, row = b.at(derivatives, first, DOUBLE), b.at(gradient, place, DOUBLE)
            b.call(self.add, [row, part, count])
        with b.when(b.both(there, self._picked(b, kind))), b.loop(b.get(source, _TAKEN)) as k:
            place = b.at(gradient, b.get(at, k), DOUBLE)
            b.store(b.fadd(b.load(place, DOUBLE), b.get(derivatives, k, DOUBLE)), place)

    def _picked(self, b: Lines, kind: Operand) -> Operand:
        """Whether an argument is of Values that are looked up at each call."""
        return b.both(b.less(WHOLE(PIECES), kind), b.less(kind, WHOLE(CHOSEN)))

    def _write_back(self, b: Lines, told: Operand, rest: Operand) -> None:
        """Write numbers into the floats that only a Value has; notes if there are others."""
        now, held = b.get(told, _NOW, POINTER), b.get(told, _HELD, POINTER)
        with b.loop(b.get(told, _COUNT)) as i:
            number, new = b.get(held, i, POINTER), b.get(now, i, DOUBLE)
            with b.choice(b.same(b.get(number, 0, SMALL), SMALL(1)), likely=True) as (
                alone,
                shared,
            ):
                with alone:
                    b.store(new, b.at(number, NUMBER, BYTE))
                with shared:
                    b.store(WHOLE(1), rest)

    def _write_add(self) -> Callee:
        """add(row, part, n): add n numbers to as many."""
        function, (row, part, n), b = self.module.function("add", "", "ppw")
        whole = b.div(n, WHOLE(LANES))
        with b.loop(whole) as k:
            place = b.at(row, k, VECTOR)
            more = b.load(b.at(part, k, VECTOR), VECTOR, align=8)
            b.store(b.fadd(b.load(place, VECTOR, align=8), more), place, align=8)
        done = b.mul(whole, WHOLE(LANES))
        with b.loop(b.sub(n, done)) as left:
            k = b.add(done, left)
            place = b.at(row, k, DOUBLE)
            b.store(b.fadd(b.load(place, DOUBLE), b.get(part, k, DOUBLE)), place)
        b.ret()
        return function

    def _call(self, b: Lines, function: Operand, given: Operand, two: Sequence[Operand]) -> None:
        """Call a function of Python's with two things; an exception is passed on."""
        for place, thing in enumerate(two):
            b.store(thing, b.at(given, place, POINTER))
        called = [function, given, WHOLE(len(two)), POINTER(None)]
        answer = b.call(self.api["PyObject_Vectorcall"], called)
        with b.when(b.same(answer, POINTER(None)), likely=False):
            b.ret(POINTER(None))
        b.call(self.api["Py_DecRef"], [answer])

    def _refuse_unless(self, b: Lines, truth: Operand) -> None:
        with b.when(b.not_(truth), likely=False):
            self._refuse(b)

    def _refuse(self, b: Lines) -> None:
        nothing = fixed(b, None)
        b.call(self.api["Py_IncRef"], [nothing])
        b.ret(nothing)
