"""A built-in function around machine code, which reads what it is given and makes what it answers.

`call(self, args, nargs, names)` is written in IR once for all programs and told by numbers in
memory what the arguments are and how the outputs are nested. It takes floats, lists and tuples of
floats, and contiguous arrays of the code's own numbers; whatever else it is given, it gives to a
function of Python's that looks closer, or answers `NotImplemented` where there is none. It reads of
objects what CPython's and NumPy's headers lay open; where memory does not look as they say, there
is no such function.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from functools import cache
from math import prod
from typing import Any, Final, Literal, NamedTuple

from .builder import DOUBLE, NOTHING, POINTER, SINGLE, SMALL, WHOLE, Callee, Lines, Module
from .code import SPARE, Code, Layout
from .host import library_address, link, object_code
from .objects import (
    AXES,
    DATA,
    DESCR,
    FASTCALL,
    FLAGS,
    LENGTHS,
    NAMED,
    NEW_ARRAY,
    NEW_SCALAR,
    NUMBER,
    PLAIN,
    SIZE,
    Owner,
    api_address,
    as_in_the_headers,
    built_in,
    fixed,
    is_a,
    numpy_address,
    read,
    write_items,
)
from .words import LANES

_RELEASED: Final = 20_000
"""Instructions executed in a call, from which on other threads may run meanwhile."""

_API: Final = {
    "PyLong_AsVoidPtr": ("p", "p"),
    "PyFloat_FromDouble": ("p", "d"),
    "PyList_New": ("p", "w"),
    "PyList_SetItem": ("s", "pwp"),
    "PyDict_New": ("p", ""),
    "PyDict_SetItem": ("s", "ppp"),
    "Py_IncRef": ("", "p"),
    "Py_DecRef": ("", "p"),
    "PyMem_RawCalloc": ("p", "ww"),
    "PyMem_RawFree": ("", "p"),
    "PyEval_SaveThread": ("p", ""),
    "PyEval_RestoreThread": ("", "p"),
    "PyErr_NoMemory": ("p", ""),
    "PyObject_Vectorcall": ("p", "ppwp"),
}
"""What is called of CPython's: what it answers and what it is given, see `Module.function`."""
_NUMPY: Final = {
    "PyArray_New": ("p", "pspsppssp"),
    "PyArray_Scalar": ("p", "ppp"),
    "memcpy": ("p", "ppw"),
}
"""The same of NumPy's, and of C's."""

(_RUN, _GROUPS, _NUMBERS, _STACKS, _SCRATCH, _COLUMNS, _FIXED, _OUTPUTS, _WORK, _EACH) = range(10)
_SCRATCH_EACH, _ARRAYS, _OTHERWISE, _MEMORY = 10, 11, 12, 13
_HEAD: Final = 14
_GROUP: Final = 4
"""What the numbers in memory are: so many, then four for each argument, then the outputs, then the
shapes of the arguments, each after how many axes it has."""

_KEPT: Final = 2_097_152
"""Up to so many numbers the memory of a call is kept for the next: what the system has taken back
it gives anew page by page, which takes longer than many a call."""

_ONE, _MANY, _STACK, _WHOLE, _STACKED, _LIST, _DICT = range(7)
"""How outputs are nested: in what order their kinds, and what belongs to each, are listed."""


Samples = Literal["none", "rows", "blocks"]


class _Purpose(NamedTuple):
    """What programs a function that reads arguments is for. What they do not need it has not.

    samples  how samples are taken, where there are any: see `Layout`
    shaped   whether outputs may be arrays of several axes
    arrays   whether NumPy is there, whose arrays may be given
    """

    dtype: str
    samples: Samples
    shaped: bool
    arrays: bool

    @classmethod
    def of(cls, layout: Layout, arrays: bool) -> _Purpose:
        """The one for code of this layout."""
        samples: Samples = "rows" if layout.rows else "blocks"
        taken = samples if layout.batched else "none"
        return cls(layout.dtype, taken, layout.rows, arrays or layout.rows)


class _Owner(Owner):
    """The address of the numbers that tell `call` about a program; keeps what they mention."""

    code: Code


class _Left:
    """Frees what the calls of a program have left; asks nothing of modules, which may be gone."""

    def __init__(self, told: Any) -> None:
        kind = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
        self._told, self._place = told, _MEMORY
        self._free = kind(("PyMem_RawFree", ctypes.pythonapi))

    def __del__(self) -> None:
        self._free(self._told[self._place])


def code_of(function: Any) -> Code | None:
    """The code that a function of `function_of` runs; None of any other."""
    owner = getattr(function, "__self__", None)
    return owner.code if isinstance(owner, _Owner) else None


def function_of(
    code: Code, name: str, otherwise: Callable[..., Any] | None = None
) -> Callable[..., Any] | None:
    """A built-in function that runs the code; None where this Python cannot have one.

    otherwise  is called with arguments that are not seen to fit
    """
    purpose = _Purpose.of(code.layout, _numpy_is_there())
    caller = _caller(purpose)
    if caller is None:
        return None
    keys: list[Any] = []
    numbers = _told(code, keys)
    told = (ctypes.c_int64 * len(numbers))(*numbers)
    owner = _Owner(ctypes.addressof(told))
    owner.code, owner.kept = code, (keys, told, caller, _Left(told))
    made, definition = built_in(name, caller.address, owner, FASTCALL | NAMED)
    if not purpose.arrays:
        otherwise = _before_numpy(code, definition, otherwise)
    if otherwise is not None:
        keys.append(otherwise)
        told[_OTHERWISE] = id(otherwise)
    function: Callable[..., Any] = made
    return function


def _numpy_is_there() -> bool:
    """Whether NumPy has been imported, so that there may be arrays of its."""
    return sys.modules.get("numpy") is not None


def _before_numpy(
    code: Code, definition: Any, otherwise: Callable[..., Any] | None
) -> Callable[..., Any]:
    """What is called with arguments that do not fit a function made before NumPy was there.

    From then on, if NumPy has come, the function runs what knows arrays.
    """

    def called(*arguments: Any, **named: Any) -> Any:
        if _numpy_is_there():
            caller = _caller(_Purpose.of(code.layout, True))
            definition.function = caller.address if caller else definition.function
        if otherwise is not None:
            return otherwise(*arguments, **named)
        return NotImplemented if named else code.call(*arguments)

    return called


def _told(code: Code, keys: list[Any]) -> list[int]:
    """The program in numbers. What the outputs' keys are goes to `keys`, to be kept alive."""
    layout = code.layout
    outputs: list[int] = []
    waiting = [layout.outputs]
    while waiting:
        kind, *rest = waiting.pop()
        if kind == "n":
            outputs += [_ONE, rest[0]]
        elif kind == "v":
            outputs += [_MANY, *rest]
        elif kind == "s":
            outputs += [_STACK, rest[0]]
        elif kind in "ab":
            start, shape = rest
            outputs += [_WHOLE if kind == "a" else _STACKED, start, prod(shape), len(shape), *shape]
        elif kind == "l":
            outputs += [_LIST, len(rest[0])]
            waiting += reversed(rest[0])
        elif kind == "d":
            outputs += [_DICT, len(rest[0])]
            waiting += [item for key, inner in reversed(rest[0]) for item in (inner, ("k", key))]
        else:
            keys.append(rest[0])
            outputs.append(id(rest[0]))
    fixed = [count for count, _, batched in layout.groups if not batched]
    shapes: list[int] = []
    groups: list[int] = []
    first = _HEAD + _GROUP * len(layout.groups) + len(outputs)
    for group, shape in zip(layout.groups, layout.rows_of, strict=True):
        groups += [*map(int, group), first + len(shapes)]
        shapes += [len(shape), *shape]
    head = [0] * _HEAD
    head[_RUN], head[_GROUPS], head[_NUMBERS] = code.address, len(layout.groups), layout.numbers
    head[_SCRATCH], head[_COLUMNS], head[_FIXED] = layout.scratch, layout.columns, sum(fixed)
    head[_OUTPUTS] = _HEAD + len(groups)
    head[_WORK], head[_EACH] = layout.instructions - layout.each, layout.each
    head[_STACKS] = layout.stacks
    head[_SCRATCH_EACH], head[_ARRAYS] = layout.scratch_each, int(layout.arrays)
    return [*head, *groups, *outputs, *shapes]


class _Caller(NamedTuple):
    """The loaded function, and what has to stay with it."""

    address: int
    kept: Any


@cache
def _caller(purpose: _Purpose) -> _Caller | None:
    if not as_in_the_headers(purpose.arrays):
        return None
    needs = {name: api_address(name) for name in _API}
    if purpose.arrays:
        needs["PyArray_New"] = numpy_address(NEW_ARRAY)
        needs["PyArray_Scalar"] = numpy_address(NEW_SCALAR)
        needs["memcpy"] = library_address("memcpy")
    library = link(object_code(_Text(purpose).text(), 2, tidy=True), needs, ["call"])
    return _Caller(library["call"], library)


class _Text:
    """Writes `call` and what it needs."""

    def __init__(self, purpose: _Purpose) -> None:
        self.module = Module()
        self.samples, self.shaped, self.arrays = purpose[1:]
        self.element = DOUBLE if purpose.dtype == "float64" else SINGLE
        self.size = WHOLE(8 if purpose.dtype == "float64" else 4)
        known = {**_API, **(_NUMPY if self.arrays else {})}
        self.api = {name: self.module.declare(name, *kinds) for name, kinds in known.items()}
        if self.arrays:
            import numpy

            self.ndarray, self.dtype = numpy.ndarray, numpy.dtype(purpose.dtype)

    def text(self) -> str:
        """All of it."""
        self.items = write_items(self.module)
        self.take = self._write_take()
        if self.arrays:
            self.table = self._write_table()
            self.array = self._write_array()
        if self.samples != "none":
            self.length = self._write_length()
        if self.samples == "blocks":
            self.rows = self._write_rows()
        if self.samples == "rows":
            self.plain = self._write_plain()
        self.many = self._write_many()
        self.build = self._write_build()
        self._write_call()
        return self.module.text()

    def _put(self, b: Lines, number: Any, place: Any) -> None:
        """Store a float64 as one of the code's numbers."""
        if self.element is not DOUBLE:
            number = b.convert("fptrunc", number, self.element)
        b.store(number, place)

    def _refuse_unless(self, b: Lines, condition: Any, answer: int = 0) -> None:
        with b.when(b.not_(condition), likely=False):
            b.ret(WHOLE(answer))

    def _write_take(self) -> Any:
        """take(row, n, to, stride): whether it is a list or tuple of n floats, which are copied."""
        function, (row, n, to, stride), b = self.module.function("take", "w", "pwpw")
        items = b.call(self.items, [row, n])
        self._refuse_unless(b, b.differ(items, POINTER(None)))
        with b.loop(n) as i:
            number = self._number(b, b.get(items, i, POINTER))
            self._put(b, number, b.at(to, b.mul(i, stride), self.element))
        b.ret(WHOLE(1))
        return function

    def _number(self, b: Lines, thing: Any) -> Any:
        """A float's number; the function refuses anything else."""
        self._refuse_unless(b, is_a(b, thing, float))
        return read(b, thing, NUMBER, DOUBLE)

    def _write_table(self) -> Any:
        """table(thing, batched, shape): the address of an array's numbers, 0 where it is not one.

        It must have this shape, which begins with how many axes there are, or rows of it.
        """
        function, (thing, batched, shape), b = self.module.function("table", "w", "pwp")
        self._refuse_unless(b, is_a(b, thing, self.ndarray))
        found = b.convert("zext", read(b, thing, AXES, SMALL), WHOLE)
        axes = b.get(shape, 0)
        self._refuse_unless(b, b.same(found, b.add(axes, batched)))
        descr = read(b, thing, DESCR, WHOLE)
        self._refuse_unless(b, b.same(descr, WHOLE(id(self.dtype))))
        flags = b.both(read(b, thing, FLAGS, SMALL), SMALL(PLAIN))
        self._refuse_unless(b, b.same(flags, SMALL(PLAIN)))
        lengths = read(b, thing, LENGTHS, POINTER)
        with b.loop(axes) as i:
            length = b.get(lengths, b.add(i, batched))
            wanted = b.get(shape, b.add(i, WHOLE(1)))
            self._refuse_unless(b, b.same(length, wanted))
        b.ret(read(b, thing, DATA, WHOLE))
        return function

    def _write_length(self) -> Any:
        """length(rows): how many rows a list, a tuple or an array has; -1 for anything else."""
        function, (rows,), b = self.module.function("length", "w", "p")
        with b.when(b.either(is_a(b, rows, list), is_a(b, rows, tuple))):
            b.ret(read(b, rows, SIZE, WHOLE))
        if self.arrays:
            with b.when(is_a(b, rows, self.ndarray)):
                axes = read(b, rows, AXES, SMALL)
                self._refuse_unless(b, b.less(SMALL(0), axes), -1)
                b.ret(b.get(read(b, rows, LENGTHS, POINTER), 0))
        b.ret(WHOLE(-1))
        return function

    def _write_rows(self) -> Any:
        """rows(thing, n, width, one, shape, samples, columns, column): rows of samples to blocks.

        Answers 1 for lists, 2 for an array, and 0 where they are neither.
        """
        function, given, b = self.module.function("rows", "w", "pwwwppww")
        thing, n, width, one, shape, samples, columns, column = given
        if self.arrays:
            data = b.call(self.table, [thing, WHOLE(1), shape])
            with b.when(b.differ(data, WHOLE(0))):
                self._copy_rows(b, b.convert("inttoptr", data, POINTER), given)
                b.ret(WHOLE(2))
        items = b.call(self.items, [thing, n])
        self._refuse_unless(b, b.differ(items, POINTER(None)))
        with b.loop(n) as row:
            to = b.lane(samples, row, columns, column)
            item = b.get(items, row, POINTER)
            with b.choice(b.same(one, WHOLE(1))) as (single, several):
                with single:
                    b.store(self._number(b, item), to)
                with several:
                    taken = b.call(self.take, [item, width, to, WHOLE(LANES)])
                    self._refuse_unless(b, b.same(taken, WHOLE(1)))
        b.ret(WHOLE(1))
        return function

    def _copy_rows(self, b: Lines, source: Any, given: Sequence[Any]) -> None:
        """Copy the rows of an array, a block of samples at a time; those left over one by one."""
        _, n, width, _, _, samples, columns, column = given
        eight = WHOLE(LANES)
        full = b.div(n, eight)
        with b.loop(full) as block:
            to = b.lane(samples, b.mul(block, eight), columns, column)
            start = b.at(source, b.mul(b.mul(block, eight), width), DOUBLE)
            with b.loop(width) as i:
                of_lane = b.at(start, i, DOUBLE)
                into = b.at(to, b.mul(i, eight), DOUBLE)
                for lane in range(LANES):
                    number = b.get(of_lane, b.mul(width, WHOLE(lane)), DOUBLE)
                    b.store(number, b.at(into, lane, DOUBLE))
        done = b.mul(full, eight)
        with b.loop(b.sub(n, done)) as k:
            row = b.add(done, k)
            to = b.lane(samples, row, columns, column)
            start = b.at(source, b.mul(row, width), DOUBLE)
            with b.loop(width) as i:
                place = b.at(to, b.mul(i, eight), DOUBLE)
                b.store(b.get(start, i, DOUBLE), place)

    def _write_plain(self) -> Any:
        """plain(thing, n, width, one, shape, to): copy lists of rows; whether they fit.

        Lists within rows do not.
        """
        function, given, b = self.module.function("plain", "w", "pwwwpp")
        thing, n, width, one, shape, to = given
        self._refuse_unless(b, b.less(b.get(shape, 0), WHOLE(2)))
        with b.when(b.same(one, WHOLE(1))):
            b.ret(b.call(self.take, [thing, n, to, WHOLE(1)]))
        items = b.call(self.items, [thing, n])
        self._refuse_unless(b, b.differ(items, POINTER(None)))
        with b.loop(n) as row:
            start = b.at(to, b.mul(row, width), self.element)
            taken = b.call(self.take, [b.get(items, row, POINTER), width, start, WHOLE(1)])
            self._refuse_unless(b, b.same(taken, WHOLE(1)))
        b.ret(WHOLE(1))
        return function

    def _write_array(self) -> Any:
        """array(numbers, n, axes, lengths): a new array of n numbers."""
        function, given, b = self.module.function("array", "p", "pwwp")
        numbers, n, axes, lengths = given
        nothing, none = POINTER(None), SMALL(0)
        count, kind = b.convert("trunc", axes, SMALL), SMALL(self.dtype.num)
        head = [fixed(b, self.ndarray), count, lengths, kind]
        made = b.call(self.api["PyArray_New"], [*head, nothing, nothing, none, none, nothing])
        with b.when(b.differ(made, nothing)):
            data = read(b, made, DATA, POINTER)
            b.call(self.api["memcpy"], [data, numbers, b.mul(n, self.size)])
        b.ret(made)
        return function

    def _write_many(self) -> Any:
        """many(numbers, n, arrays): n numbers as a list, or as an array where `arrays` is not 0."""
        function, (numbers, n, arrays), b = self.module.function("many", "p", "pww")
        nothing = POINTER(None)
        if self.arrays:
            with b.when(b.differ(arrays, WHOLE(0))):
                length = b.room(WHOLE)
                b.store(n, length)
                b.ret(b.call(self.array, [numbers, n, WHOLE(1), length]))
        made = b.call(self.api["PyList_New"], [n])
        with b.when(b.same(made, nothing)):
            b.ret(nothing)
        with b.loop(n) as i:
            number = self._float(b, b.at(numbers, i, self.element))
            with b.when(b.same(number, nothing), likely=False):
                b.call(self.api["Py_DecRef"], [made])
                b.ret(nothing)
            b.call(self.api["PyList_SetItem"], [made, i, number])
        b.ret(made)
        return function

    def _float(self, b: Lines, place: Any) -> Any:
        """A number as an object: a float, or NumPy's scalar of another type."""
        if self.element is DOUBLE:
            return b.call(self.api["PyFloat_FromDouble"], [b.load(place, DOUBLE)])
        descr, nothing = fixed(b, self.dtype), POINTER(None)
        return b.call(self.api["PyArray_Scalar"], [place, descr, nothing])

    def _write_build(self) -> Any:
        """build(at, out, numbers, n, arrays): the outputs from the place in the list on.

        `at` is where that place is kept; it moves past what was built.
        """
        function, (at, out, numbers, n, arrays), b = self.module.function("build", "p", "ppwww")
        nothing, one = POINTER(None), WHOLE(1)
        place = b.load(at, POINTER)
        kind = b.get(place, 0)
        first = b.get(place, 1)
        b.store(b.at(place, 2, WHOLE), at)
        stacked = self.samples != "none"
        for number in (_ONE, _MANY, *[_STACK] * stacked):
            with b.when(b.same(kind, WHOLE(number))):
                if number == _ONE:
                    b.ret(self._float(b, b.at(out, first, self.element)))
                    continue
                start, count = first, n
                if number == _MANY:
                    count = b.get(place, 2)
                    b.store(b.at(place, 3, WHOLE), at)
                else:
                    start = b.add(numbers, b.mul(first, n))
                where = b.at(out, start, self.element)
                b.ret(b.call(self.many, [where, count, arrays]))
        for number in [_WHOLE, *[_STACKED] * stacked] * self.shaped:
            with b.when(b.same(kind, WHOLE(number))):
                count, axes = b.get(place, 2), b.get(place, 3)
                lengths = b.at(place, 4, WHOLE)
                b.store(b.at(lengths, axes, WHOLE), at)
                if number == _WHOLE:
                    where = b.at(out, first, self.element)
                    b.ret(b.call(self.array, [where, count, axes, lengths]))
                    continue
                whole = b.room(WHOLE, b.add(axes, one))
                b.store(n, whole)
                with b.loop(axes) as i:
                    length = b.get(lengths, i)
                    b.store(length, b.at(whole, b.add(i, one), WHOLE))
                where = b.at(out, b.add(numbers, b.mul(first, n)), self.element)
                given = [where, b.mul(count, n), b.add(axes, one), whole]
                b.ret(b.call(self.array, given))
        with b.when(b.same(kind, WHOLE(_LIST))):
            made = b.call(self.api["PyList_New"], [first])
            with b.when(b.same(made, nothing)):
                b.ret(nothing)
            with b.loop(first) as i:
                item = b.call(function, [at, out, numbers, n, arrays])
                with b.when(b.same(item, nothing), likely=False):
                    b.call(self.api["Py_DecRef"], [made])
                    b.ret(nothing)
                b.call(self.api["PyList_SetItem"], [made, i, item])
            b.ret(made)
        made = b.call(self.api["PyDict_New"], [])
        with b.when(b.same(made, nothing)):
            b.ret(nothing)
        with b.loop(first):
            here = b.load(at, POINTER)
            key = b.get(here, 0, POINTER)
            b.store(b.at(here, one, WHOLE), at)
            item = b.call(function, [at, out, numbers, n, arrays])
            with b.when(b.same(item, nothing), likely=False):
                b.call(self.api["Py_DecRef"], [made])
                b.ret(nothing)
            failed = b.call(self.api["PyDict_SetItem"], [made, key, item])
            b.call(self.api["Py_DecRef"], [item])
            with b.when(b.differ(failed, SMALL(0)), likely=False):
                b.call(self.api["Py_DecRef"], [made])
                b.ret(nothing)
        b.ret(made)
        return function

    def _write_call(self) -> None:
        """call(self, args, nargs, names)."""
        given = self.module.function("call", "p", "ppwp", public=True)
        _, (owner, args, count, names), b = given
        told = b.call(self.api["PyLong_AsVoidPtr"], [owner])
        groups = b.get(told, _GROUPS)
        refused = b.append_block("refused")
        freed = b.append_block("freed")
        known = b.append_block("known")
        plain = b.same(names, POINTER(None))
        b.branch(b.both(plain, b.same(count, groups)), known, refused)
        b.go_to(refused)
        otherwise = b.get(told, _OTHERWISE, POINTER)
        with b.when(b.differ(otherwise, POINTER(None))):
            b.ret(b.call(self.api["PyObject_Vectorcall"], [otherwise, args, count, names]))
        answer = fixed(b, NotImplemented)
        b.call(self.api["Py_IncRef"], [answer])
        b.ret(answer)
        b.go_to(known)
        samples = self._count_samples(b, told, args, groups, refused)
        columns = self._columns(b, told, args, groups)
        memory, parts = self._room(b, told, samples, columns)
        after = b.block
        b.go_to(freed)
        self._leave(b, told, memory)
        b.go(refused)
        b.go_to(after)
        arrays = self._fill(b, told, args, groups, samples, parts, freed)
        if self.samples == "blocks":
            self._pad(b, told, samples, parts["samples"])
        self._run(b, told, samples, parts)
        at = b.room(POINTER)
        b.store(b.at(told, b.get(told, _OUTPUTS), WHOLE), at)
        numbers = b.get(told, _NUMBERS)
        result = b.call(self.build, [at, parts["out"], numbers, samples, arrays])
        self._leave(b, told, memory)
        b.ret(result)

    def _group(self, b: Lines, told: Any, g: Any) -> tuple[Any, Any, Any, Any]:
        """Of an argument: how many numbers, whether one by itself, a row per sample; its shape."""
        start = b.add(WHOLE(_HEAD), b.mul(g, WHOLE(_GROUP)))
        width, single, batched, place = [b.get(told, b.add(start, WHOLE(i))) for i in range(_GROUP)]
        return width, single, batched, b.at(told, place, WHOLE)

    def _count_samples(self, b: Lines, told: Any, args: Any, groups: Any, refused: Any) -> Any:
        """How many samples the batched arguments have; 1 without any."""
        if self.samples == "none":
            return WHOLE(1)
        found = b.room(WHOLE)
        b.store(WHOLE(-1), found)
        with b.loop(groups) as g:
            batched = self._group(b, told, g)[2]
            with b.when(b.same(batched, WHOLE(1))):
                length = b.call(self.length, [b.get(args, g, POINTER)])
                before = b.load(found, WHOLE)
                first = b.same(before, WHOLE(-1))
                fits = b.either(first, b.same(before, length))
                fits = b.both(fits, b.not_(b.less(length, WHOLE(0))))
                good = b.append_block("good")
                b.branch(fits, good, refused)
                b.go_to(good)
                b.store(length, found)
        return b.load(found, WHOLE)

    def _columns(self, b: Lines, told: Any, args: Any, groups: Any) -> Any:
        """How many numbers of each sample are copied: those of arrays that are rows are not."""
        if self.samples != "rows":
            return b.get(told, _COLUMNS)
        found = b.room(WHOLE)
        b.store(b.get(told, _COLUMNS), found)
        with b.loop(groups) as g:
            width, _, batched, _ = self._group(b, told, g)
            array = is_a(b, b.get(args, g, POINTER), self.ndarray)
            with b.when(b.both(b.same(batched, WHOLE(1)), array)):
                b.store(b.sub(b.load(found, WHOLE), width), found)
        return b.load(found, WHOLE)

    def _room(self, b: Lines, told: Any, samples: Any, columns: Any) -> tuple[Any, dict[str, Any]]:
        """Memory for a call: groups' addresses, their numbers, the samples, results, scratch."""
        eight = WHOLE(LANES)
        blocks = b.div(b.add(samples, WHOLE(LANES - 1)), eight)
        spare = b.mul(b.add(samples, WHOLE(SPARE)), b.get(told, _SCRATCH_EACH))
        stacked = b.mul(b.get(told, _STACKS), samples)
        numbers = {
            "numbers": b.get(told, _FIXED),
            "samples": b.mul(b.mul(blocks, columns), eight),
            "scratch": b.add(b.get(told, _SCRATCH), spare),
            "out": b.add(b.get(told, _NUMBERS), stacked),
        }
        counts = {name: b.get(told, _GROUPS) for name in ("addresses", "rows")}
        for name, count in numbers.items():
            size = b.add(b.mul(count, self.size), WHOLE(7))
            counts[name] = b.div(size, eight)
        total: Any = WHOLE(1)
        starts = {}
        for name, count in counts.items():
            starts[name] = total
            total = b.add(total, count)
        memory = self._taken(b, told, total)
        return memory, {n: b.at(memory, start, DOUBLE) for n, start in starts.items()}

    def _taken(self, b: Lines, told: Any, total: Any) -> Any:
        """Memory for so many numbers, the first of which says how many: what a call left, or new.

        Whichever call comes first takes what is left, so that threads never share any. New memory
        is zeros: lanes that no result needs compute with it, and denormal numbers take long.
        """
        where, none = b.room(POINTER), WHOLE(0)
        left = b.exchange(b.at(told, _MEMORY, WHOLE), none)
        found = b.convert("inttoptr", left, POINTER)
        b.store(found, where)
        size = b.room(WHOLE)
        b.store(none, size)
        with b.when(b.differ(left, none)):
            b.store(b.get(found, 0), size)
        less = b.less(b.load(size, WHOLE), total)
        with b.when(less, likely=False):
            b.call(self.api["PyMem_RawFree"], [found])
            made = b.call(self.api["PyMem_RawCalloc"], [total, WHOLE(8)])
            with b.when(b.same(made, POINTER(None)), likely=False):
                b.ret(b.call(self.api["PyErr_NoMemory"], []))
            b.store(total, made)
            b.store(made, where)
        return b.load(where, POINTER)

    def _leave(self, b: Lines, told: Any, memory: Any) -> None:
        """Leave memory to the next call, unless it is much or another has left some."""
        spare = b.room(WHOLE)
        own = b.convert("ptrtoint", memory, WHOLE)
        b.store(own, spare)
        little = b.less(b.get(memory, 0), WHOLE(_KEPT + 1))
        with b.when(little):
            place = b.at(told, _MEMORY, WHOLE)
            b.store(b.exchange(place, own), spare)
        b.call(self.api["PyMem_RawFree"], [b.convert("inttoptr", b.load(spare, WHOLE), POINTER)])

    def _fill(
        self, b: Lines, told: Any, args: Any, groups: Any, samples: Any, parts: Any, freed: Any
    ) -> Any:
        """Read the arguments; answers whether one of them is an array, as 0 or 1."""
        kept = {name: b.room(WHOLE) for name in ("arrays", "used", "fixed", "column")}
        for variable in kept.values():
            b.store(WHOLE(0), variable)
        b.store(b.get(told, _ARRAYS), kept["arrays"])
        kept |= {"where": b.room(POINTER), "rows": b.room(POINTER)}
        b.store(parts["rows"], kept["rows"])
        columns = b.get(told, _COLUMNS)
        with b.loop(groups) as g:
            width, single, batched, shape = self._group(b, told, g)
            given = [b.get(args, g, POINTER), width, single, shape]
            if self.samples == "none":
                self._read_numbers(b, given, parts, kept, freed)
            else:
                with b.choice(b.same(batched, WHOLE(1))) as (every, once):
                    with every:
                        if self.samples == "rows":
                            self._read_rows(b, given, samples, parts, kept, freed)
                        else:
                            self._read_blocks(b, given, samples, columns, parts, kept, freed)
                    with once:
                        self._read_numbers(b, given, parts, kept, freed)
        return b.load(kept["arrays"], WHOLE)

    def _read_rows(
        self,
        b: Lines,
        given: Sequence[Any],
        samples: Any,
        parts: dict[str, Any],
        kept: dict[str, Any],
        freed: str,
    ) -> None:
        """Note where the rows of samples are: an array's own, or those that are copied."""
        thing, width, single, shape = given
        at = b.load(kept["column"], WHOLE)
        own = b.at(parts["samples"], b.mul(at, samples), self.element)
        b.store(own, kept["where"])
        data = b.call(self.table, [thing, WHOLE(1), shape])
        with b.choice(b.differ(data, WHOLE(0))) as (array, row):
            with array:
                b.store(b.convert("inttoptr", data, POINTER), kept["where"])
                b.store(WHOLE(1), kept["arrays"])
            with row:
                taken = b.call(self.plain, [thing, samples, width, single, shape, own])
                self._go_on_if(b, b.same(taken, WHOLE(1)), freed)
                b.store(b.add(at, width), kept["column"])
        place = b.load(kept["rows"], POINTER)
        b.store(b.load(kept["where"], POINTER), place)
        b.store(b.at(place, 1, POINTER), kept["rows"])

    def _read_blocks(
        self,
        b: Lines,
        given: Sequence[Any],
        samples: Any,
        columns: Any,
        parts: dict[str, Any],
        kept: dict[str, Any],
        freed: str,
    ) -> None:
        """Copy samples to blocks."""
        thing, width, single, shape = given
        at = b.load(kept["column"], WHOLE)
        told = [thing, samples, width, single, shape, parts["samples"], columns, at]
        taken = b.call(self.rows, told)
        self._go_on_if(b, b.differ(taken, WHOLE(0)), freed)
        with b.when(b.same(taken, WHOLE(2))):
            b.store(WHOLE(1), kept["arrays"])
        b.store(b.add(at, width), kept["column"])

    def _read_numbers(
        self,
        b: Lines,
        given: Sequence[Any],
        parts: dict[str, Any],
        kept: dict[str, Any],
        freed: str,
    ) -> None:
        """Note where an argument's numbers are: an array's own, or those that are copied."""
        thing, width, single, shape = given
        start = b.load(kept["used"], WHOLE)
        own = b.at(parts["numbers"], start, self.element)
        b.store(b.add(start, width), kept["used"])
        b.store(own, kept["where"])
        with b.choice(b.same(single, WHOLE(1))) as (alone, several):
            with alone:
                self._go_on_if(b, is_a(b, thing, float), freed)
                self._put(b, read(b, thing, NUMBER, DOUBLE), own)
            with several:
                data = b.call(self.table, [thing, WHOLE(0), shape]) if self.arrays else WHOLE(0)
                with b.choice(b.differ(data, WHOLE(0))) as (array, row):
                    with array:
                        b.store(b.convert("inttoptr", data, POINTER), kept["where"])
                        b.store(WHOLE(1), kept["arrays"])
                    with row:
                        # to `take`, lists within lists are no numbers, and other lists of as many
                        # numbers as a matrix has are no matrix
                        flat = b.same(b.get(shape, 0), WHOLE(1))
                        self._go_on_if(b, flat, freed)
                        taken = b.call(self.take, [thing, width, own, WHOLE(1)])
                        self._go_on_if(b, b.same(taken, WHOLE(1)), freed)
        number = b.load(kept["fixed"], WHOLE)
        place = b.at(parts["addresses"], number, POINTER)
        b.store(b.load(kept["where"], POINTER), place)
        b.store(b.add(number, WHOLE(1)), kept["fixed"])

    def _go_on_if(self, b: Lines, condition: Any, otherwise: Any) -> None:
        good = b.append_block("good")
        b.branch(condition, good, otherwise)
        b.go_to(good)

    def _pad(self, b: Lines, told: Any, samples: Any, blocks: Any) -> None:
        """Fill the last block up with its last sample."""
        columns, one, eight = b.get(told, _COLUMNS), WHOLE(1), WHOLE(LANES)
        last = b.sub(samples, one)
        lane = b.rem(last, eight)
        spare = b.sub(WHOLE(LANES - 1), lane)
        none = b.same(samples, WHOLE(0))
        spare = b.select(none, WHOLE(0), spare)
        first = b.mul(b.mul(b.div(last, eight), columns), eight)
        with b.when(b.less(WHOLE(0), spare)), b.loop(columns) as c:
            start = b.add(b.add(first, b.mul(c, eight)), lane)
            number = b.get(blocks, start, DOUBLE)
            with b.loop(spare) as i:
                place = b.add(b.add(start, one), i)
                b.store(number, b.at(blocks, place, DOUBLE))

    def _run(self, b: Lines, told: Any, samples: Any, parts: Any) -> None:
        """Run the code, without the interpreter's lock where it takes long."""
        batch = parts["rows" if self.samples == "rows" else "samples"]
        b.store(WHOLE(0), parts["scratch"])  # nothing says to stop
        given = [parts["addresses"], batch, samples, parts["out"], parts["scratch"]]
        run = Callee(b.get(told, _RUN, POINTER).text, NOTHING)
        work = b.add(b.get(told, _WORK), b.mul(b.get(told, _EACH), samples))
        long = b.less(WHOLE(_RELEASED), work)
        with b.choice(long) as (released, held):
            with released:
                thread = b.call(self.api["PyEval_SaveThread"], [])
                b.call(run, given)
                b.call(self.api["PyEval_RestoreThread"], [thread])
            with held:
                b.call(run, given)
