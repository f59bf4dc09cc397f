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
from functools import lru_cache
from importlib import import_module
from math import prod
from typing import Any, Final, NamedTuple

from .builder import Builder, Callee
from .code import SPARE, Code
from .host import library_address, link, object_code
from .words import LANES

_RELEASED: Final = 20_000
"""Instructions executed in a call, from which on other threads may run meanwhile."""

_TYPE, _FLOAT_VALUE = 8, 16
"""Where an object's type is, and a float's number."""
_DATA, _AXES, _LENGTHS, _DESCR, _FLAGS = 16, 24, 32, 56, 64
"""Where an array's fields are."""
_PLAIN: Final = 0x1 | 0x100
"""The flags of an array that is contiguous and aligned."""
_NEW_ARRAY, _NEW_SCALAR = 93, 60
"""The places of PyArray_New and PyArray_Scalar in NumPy's table of functions."""

_FASTCALL: Final = 0x0080 | 0x0002
"""Arguments as CPython has them in memory, named ones included."""
_API: Final = (
    *("PyLong_AsVoidPtr", "PyFloat_FromDouble", "PyList_New", "PyList_Size", "PyList_GetItem"),
    *("PyList_SetItem", "PyTuple_Size", "PyTuple_GetItem", "PyDict_New", "PyDict_SetItem"),
    *("Py_IncRef", "Py_DecRef", "PyMem_RawCalloc", "PyMem_RawFree"),
    *("PyEval_SaveThread", "PyEval_RestoreThread", "PyErr_NoMemory", "PyObject_Vectorcall"),
)

(_RUN, _GROUPS, _NUMBERS, _STACKS, _SCRATCH, _COLUMNS, _FIXED, _OUTPUTS, _WORK, _EACH) = range(10)
_ROWS, _SCRATCH_EACH, _ARRAYS, _OTHERWISE, _MEMORY = 10, 11, 12, 13, 14
_HEAD: Final = 15
_GROUP: Final = 4
"""What the numbers in memory are: so many, then four for each argument, then the outputs, then the
shapes of the arguments, each after how many axes it has."""

_KEPT: Final = 2_097_152
"""Up to so many numbers the memory of a call is kept for the next: what the system has taken back
it gives anew page by page, which takes longer than many a call."""

_ONE, _MANY, _STACK, _WHOLE, _STACKED, _LIST, _DICT = range(7)
"""How outputs are nested: in what order their kinds, and what belongs to each, are listed."""


class _Definition(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("text", ctypes.c_char_p),
    ]


class _Owner(int):
    """The address of the numbers that tell `call` about a program; keeps what they mention."""

    code: Code
    kept: tuple[Any, ...]


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
    caller = _caller(code.layout.dtype)
    if caller is None:
        return None
    keys: list[Any] = []
    numbers = _told(code, keys)
    if otherwise is not None:
        keys.append(otherwise)
        numbers[_OTHERWISE] = id(otherwise)
    told = (ctypes.c_int64 * len(numbers))(*numbers)
    definition = _Definition(name.encode(), caller.address, _FASTCALL, None)
    owner = _Owner(ctypes.addressof(told))
    owner.code, owner.kept = code, (keys, told, definition, caller, _Left(told))
    kind = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    make = kind(("PyCFunction_NewEx", ctypes.pythonapi))
    function: Callable[..., Any] = make(ctypes.addressof(definition), owner, None)
    return function


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
    head[_ROWS], head[_SCRATCH_EACH] = int(layout.rows), layout.scratch_each
    head[_ARRAYS] = int(layout.arrays)
    return [*head, *groups, *outputs, *shapes]


class _Caller(NamedTuple):
    """The loaded function, and what has to stay with it."""

    address: int
    kept: Any


@lru_cache(maxsize=2)
def _caller(dtype: str) -> _Caller | None:
    if sys.implementation.name != "cpython" or not as_in_the_headers():
        return None
    text = _Text(dtype).text()
    api = ctypes.pythonapi
    needs = {name: ctypes.cast(getattr(api, name), ctypes.c_void_p).value or 0 for name in _API}
    needs["PyArray_New"] = _of_numpy(_NEW_ARRAY)
    needs["PyArray_Scalar"] = _of_numpy(_NEW_SCALAR)
    needs["memcpy"] = library_address("memcpy")
    library = link(object_code(text, 2, tidy=True), needs, ["call"])
    return _Caller(library["call"], library)


def _field(thing: Any, offset: int) -> int:
    """Eight bytes of an object's memory."""
    return ctypes.c_int64.from_address(id(thing) + offset).value


def data_of(builder: Builder, b: Any, array: Any) -> Any:
    """The address of the first number of an array of NumPy's."""
    place = builder.at(b, array, _DATA, builder.ir.IntType(8))
    return b.load(place, typ=builder.pointer)


def as_in_the_headers() -> bool:
    """Whether objects look as CPython's and NumPy's headers say, as far as they are read here."""
    import numpy

    if ctypes.sizeof(ctypes.c_void_p) != 8 or object.__basicsize__ != 16:
        return False
    number = 0.7310585786300049
    if _field(number, _TYPE) != id(float):
        return False
    if ctypes.c_double.from_address(id(number) + _FLOAT_VALUE).value != number:
        return False
    for array in (numpy.zeros((5, 3)), numpy.zeros((5, 3)).T, numpy.zeros(7)):
        lengths = (ctypes.c_int64 * array.ndim).from_address(_field(array, _LENGTHS))
        if (
            _field(array, _TYPE) != id(numpy.ndarray)
            or _field(array, _DATA) != array.ctypes.data
            or _field(array, _AXES) & 0xFFFFFFFF != array.ndim
            or tuple(lengths) != array.shape
            or _field(array, _DESCR) != id(numpy.dtype(numpy.float64))
            or (_field(array, _FLAGS) & _PLAIN == _PLAIN) != array.flags.c_contiguous
        ):
            return False
    return True


def _of_numpy(place: int) -> int:
    """The address of one of NumPy's functions, by its place in their table."""
    import numpy

    inside = "numpy._core" if int(numpy.__version__.split(".")[0]) >= 2 else "numpy.core"
    core = import_module(f"{inside}._multiarray_umath")
    kind = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    pointer = kind(("PyCapsule_GetPointer", ctypes.pythonapi))
    table = pointer(core._ARRAY_API, None)
    return ctypes.c_int64.from_address(table + 8 * place).value


class _Text(Builder):
    """Writes `call` and what it needs, for code that computes with numbers of a type."""

    def __init__(self, dtype: str) -> None:
        import numpy

        super().__init__()
        self.api: dict[str, Any] = {}
        self.dtype = numpy.dtype(dtype)
        self.element = self.double if dtype == "float64" else self.ir.FloatType()
        self._declare()

    def text(self) -> str:
        """All of it."""
        self.take = self._write_take()
        self.table = self._write_table()
        self.length = self._write_length()
        self.rows = self._write_rows()
        self.plain = self._write_plain()
        self.array = self._write_array()
        self.many = self._write_many()
        self.build = self._write_build()
        self._write_call()
        return str(self.module)

    def _declare(self) -> None:
        p, w, d, nothing = self.pointer, self.whole, self.double, self.ir.VoidType()
        kinds: dict[str, tuple[Any, list[Any]]] = {
            "PyLong_AsVoidPtr": (p, [p]),
            "PyFloat_FromDouble": (p, [d]),
            "PyList_New": (p, [w]),
            "PyList_Size": (w, [p]),
            "PyList_GetItem": (p, [p, w]),
            "PyList_SetItem": (self.small, [p, w, p]),
            "PyTuple_Size": (w, [p]),
            "PyTuple_GetItem": (p, [p, w]),
            "PyDict_New": (p, []),
            "PyDict_SetItem": (self.small, [p, p, p]),
            "Py_IncRef": (nothing, [p]),
            "Py_DecRef": (nothing, [p]),
            "PyMem_RawCalloc": (p, [w, w]),
            "PyMem_RawFree": (nothing, [p]),
            "PyEval_SaveThread": (p, []),
            "PyEval_RestoreThread": (nothing, [p]),
            "PyErr_NoMemory": (p, []),
            "PyObject_Vectorcall": (p, [p, p, w, p]),
            "PyArray_New": (p, [p, self.small, p, self.small, p, p, self.small, self.small, p]),
            "PyArray_Scalar": (p, [p, p, p]),
            "memcpy": (p, [p, p, w]),
        }
        for name, (result, given) in kinds.items():
            kind = self.ir.FunctionType(result, given)
            self.api[name] = self.ir.Function(self.module, kind, name)

    def _read(self, b: Any, thing: Any, offset: int, kind: Any) -> Any:
        """A field of an object."""
        return b.load(self.at(b, thing, offset, self.ir.IntType(8)), typ=kind)

    def _fixed(self, b: Any, thing: Any) -> Any:
        """The address of an object that is always there."""
        return b.inttoptr(self.number(id(thing)), self.pointer)

    def _is(self, b: Any, thing: Any, kind: type) -> Any:
        """Whether an object is of exactly this type."""
        found = self._read(b, thing, _TYPE, self.whole)
        return b.icmp_unsigned("==", found, self.number(id(kind)))

    def _put(self, b: Any, number: Any, place: Any) -> None:
        """Store a float64 as one of the code's numbers."""
        if self.element is not self.double:
            number = b.fptrunc(number, self.element)
        b.store(number, place)

    def _refuse_unless(self, b: Any, condition: Any, answer: int = 0) -> None:
        with b.if_then(b.not_(condition), likely=False):
            b.ret(self.number(answer))

    def _write_take(self) -> Any:
        """take(row, n, to, stride): whether it is a list or tuple of n floats, which are copied."""
        function, (row, n, to, stride), b = self.function("take", self.whole, "pwpw")
        for kind, name in ((list, "PyList"), (tuple, "PyTuple")):
            with b.if_then(self._is(b, row, kind)):
                size = b.call(self.api[f"{name}_Size"], [row])
                self._refuse_unless(b, b.icmp_signed("==", size, n))
                with self.loop(b, n) as i:
                    item = b.call(self.api[f"{name}_GetItem"], [row, i])
                    self._refuse_unless(b, self._is(b, item, float))
                    number = self._read(b, item, _FLOAT_VALUE, self.double)
                    self._put(b, number, self.at(b, to, b.mul(i, stride), self.element))
                b.ret(self.number(1))
        b.ret(self.number(0))
        return function

    def _write_table(self) -> Any:
        """table(thing, batched, shape): the address of an array's numbers, 0 where it is not one.

        It must have this shape, which begins with how many axes there are, or rows of it.
        """
        import numpy

        function, (thing, batched, shape), b = self.function("table", self.whole, "pwp")
        self._refuse_unless(b, self._is(b, thing, numpy.ndarray))
        found = b.zext(self._read(b, thing, _AXES, self.small), self.whole)
        axes = self.get(b, shape, 0)
        self._refuse_unless(b, b.icmp_signed("==", found, b.add(axes, batched)))
        descr = self._read(b, thing, _DESCR, self.whole)
        self._refuse_unless(b, b.icmp_signed("==", descr, self.number(id(self.dtype))))
        flags = b.and_(self._read(b, thing, _FLAGS, self.small), self.small(_PLAIN))
        self._refuse_unless(b, b.icmp_signed("==", flags, self.small(_PLAIN)))
        lengths = self._read(b, thing, _LENGTHS, self.pointer)
        with self.loop(b, axes) as i:
            length = self.get(b, lengths, b.add(i, batched))
            wanted = self.get(b, shape, b.add(i, self.number(1)))
            self._refuse_unless(b, b.icmp_signed("==", length, wanted))
        b.ret(self._read(b, thing, _DATA, self.whole))
        return function

    def _write_length(self) -> Any:
        """length(rows): how many rows a list, a tuple or an array has; -1 for anything else."""
        import numpy

        function, (rows,), b = self.function("length", self.whole, "p")
        for kind, name in ((list, "PyList"), (tuple, "PyTuple")):
            with b.if_then(self._is(b, rows, kind)):
                b.ret(b.call(self.api[f"{name}_Size"], [rows]))
        with b.if_then(self._is(b, rows, numpy.ndarray)):
            axes = self._read(b, rows, _AXES, self.small)
            self._refuse_unless(b, b.icmp_signed(">", axes, self.small(0)), -1)
            b.ret(self.get(b, self._read(b, rows, _LENGTHS, self.pointer), 0))
        b.ret(self.number(-1))
        return function

    def _write_rows(self) -> Any:
        """rows(thing, n, width, one, shape, samples, columns, column): rows of samples to blocks.

        Answers 1 for lists, 2 for an array, and 0 where they are neither.
        """
        function, given, b = self.function("rows", self.whole, "pwwwppww")
        thing, n, width, one, shape, samples, columns, column = given
        data = b.call(self.table, [thing, self.number(1), shape])
        with b.if_then(b.icmp_signed("!=", data, self.number(0))):
            self._copy_rows(b, b.inttoptr(data, self.pointer), given)
            b.ret(self.number(2))
        for kind, name in ((list, "PyList"), (tuple, "PyTuple")):
            with b.if_then(self._is(b, thing, kind)):
                with self.loop(b, n) as row:
                    to = self.lane(b, samples, row, columns, column)
                    item = b.call(self.api[f"{name}_GetItem"], [thing, row])
                    alone = b.icmp_signed("==", one, self.number(1))
                    with b.if_else(alone) as (single, several):
                        with single:
                            self._refuse_unless(b, self._is(b, item, float))
                            b.store(self._read(b, item, _FLOAT_VALUE, self.double), to)
                        with several:
                            taken = b.call(self.take, [item, width, to, self.number(LANES)])
                            self._refuse_unless(b, b.icmp_signed("==", taken, self.number(1)))
                b.ret(self.number(1))
        b.ret(self.number(0))
        return function

    def _copy_rows(self, b: Any, source: Any, given: Sequence[Any]) -> None:
        """Copy the rows of an array, a block of samples at a time; those left over one by one."""
        _, n, width, _, _, samples, columns, column = given
        eight = self.number(LANES)
        full = b.sdiv(n, eight)
        with self.loop(b, full) as block:
            to = self.lane(b, samples, b.mul(block, eight), columns, column)
            start = self.at(b, source, b.mul(b.mul(block, eight), width), self.double)
            with self.loop(b, width) as i:
                of_lane = self.at(b, start, i, self.double)
                into = self.at(b, to, b.mul(i, eight), self.double)
                for lane in range(LANES):
                    number = self.get(b, of_lane, b.mul(width, self.number(lane)), self.double)
                    b.store(number, self.at(b, into, lane, self.double))
        done = b.mul(full, eight)
        with self.loop(b, b.sub(n, done)) as k:
            row = b.add(done, k)
            to = self.lane(b, samples, row, columns, column)
            start = self.at(b, source, b.mul(row, width), self.double)
            with self.loop(b, width) as i:
                place = self.at(b, to, b.mul(i, eight), self.double)
                b.store(self.get(b, start, i, self.double), place)

    def _write_plain(self) -> Any:
        """plain(thing, n, width, one, shape, to): copy lists of rows; whether they fit.

        Lists within rows do not.
        """
        function, given, b = self.function("plain", self.whole, "pwwwpp")
        thing, n, width, one, shape, to = given
        flat = b.icmp_signed("<=", self.get(b, shape, 0), self.number(1))
        self._refuse_unless(b, flat)
        with b.if_then(b.icmp_signed("==", one, self.number(1))):
            b.ret(b.call(self.take, [thing, n, to, self.number(1)]))
        for kind, name in ((list, "PyList"), (tuple, "PyTuple")):
            with b.if_then(self._is(b, thing, kind)):
                with self.loop(b, n) as row:
                    item = b.call(self.api[f"{name}_GetItem"], [thing, row])
                    start = self.at(b, to, b.mul(row, width), self.element)
                    taken = b.call(self.take, [item, width, start, self.number(1)])
                    self._refuse_unless(b, b.icmp_signed("==", taken, self.number(1)))
                b.ret(self.number(1))
        b.ret(self.number(0))
        return function

    def _write_array(self) -> Any:
        """array(numbers, n, axes, lengths): a new array of n numbers."""
        import numpy

        function, given, b = self.function("array", self.pointer, "pwwp")
        numbers, n, axes, lengths = given
        nothing, none = self.pointer(None), self.small(0)
        count, kind = b.trunc(axes, self.small), self.small(self.dtype.num)
        head = [self._fixed(b, numpy.ndarray), count, lengths, kind]
        made = b.call(self.api["PyArray_New"], [*head, nothing, nothing, none, none, nothing])
        with b.if_then(b.icmp_unsigned("!=", made, nothing)):
            data = self._read(b, made, _DATA, self.pointer)
            b.call(self.api["memcpy"], [data, numbers, b.mul(n, self._size())])
        b.ret(made)
        return function

    def _size(self) -> Any:
        """How many bytes a number has."""
        return self.number(self.dtype.itemsize)

    def _write_many(self) -> Any:
        """many(numbers, n, arrays): n numbers as a list, or as an array where `arrays` is not 0."""
        function, (numbers, n, arrays), b = self.function("many", self.pointer, "pww")
        nothing = self.pointer(None)
        with b.if_then(b.icmp_signed("!=", arrays, self.number(0))):
            length = b.alloca(self.whole)
            b.store(n, length)
            b.ret(b.call(self.array, [numbers, n, self.number(1), length]))
        made = b.call(self.api["PyList_New"], [n])
        with b.if_then(b.icmp_unsigned("==", made, nothing)):
            b.ret(nothing)
        with self.loop(b, n) as i:
            number = self._float(b, self.at(b, numbers, i, self.element))
            with b.if_then(b.icmp_unsigned("==", number, nothing), likely=False):
                b.call(self.api["Py_DecRef"], [made])
                b.ret(nothing)
            b.call(self.api["PyList_SetItem"], [made, i, number])
        b.ret(made)
        return function

    def _float(self, b: Any, place: Any) -> Any:
        """A number as an object: a float, or NumPy's scalar of another type."""
        if self.element is self.double:
            return b.call(self.api["PyFloat_FromDouble"], [b.load(place, typ=self.double)])
        descr, nothing = self._fixed(b, self.dtype), self.pointer(None)
        return b.call(self.api["PyArray_Scalar"], [place, descr, nothing])

    def _write_build(self) -> Any:
        """build(at, out, numbers, n, arrays): the outputs from the place in the list on.

        `at` is where that place is kept; it moves past what was built.
        """
        function, (at, out, numbers, n, arrays), b = self.function("build", self.pointer, "ppwww")
        nothing, one = self.pointer(None), self.number(1)
        place = b.load(at, typ=self.pointer)
        kind = self.get(b, place, 0)
        first = self.get(b, place, 1)
        b.store(self.at(b, place, 2, self.whole), at)
        for number in (_ONE, _MANY, _STACK):
            with b.if_then(b.icmp_signed("==", kind, self.number(number))):
                if number == _ONE:
                    b.ret(self._float(b, self.at(b, out, first, self.element)))
                    continue
                start, count = first, n
                if number == _MANY:
                    count = self.get(b, place, 2)
                    b.store(self.at(b, place, 3, self.whole), at)
                else:
                    start = b.add(numbers, b.mul(first, n))
                where = self.at(b, out, start, self.element)
                b.ret(b.call(self.many, [where, count, arrays]))
        for number in (_WHOLE, _STACKED):
            with b.if_then(b.icmp_signed("==", kind, self.number(number))):
                count, axes = self.get(b, place, 2), self.get(b, place, 3)
                lengths = self.at(b, place, 4, self.whole)
                b.store(self.at(b, lengths, axes, self.whole), at)
                if number == _WHOLE:
                    where = self.at(b, out, first, self.element)
                    b.ret(b.call(self.array, [where, count, axes, lengths]))
                    continue
                whole = b.alloca(self.whole, b.add(axes, one))
                b.store(n, whole)
                with self.loop(b, axes) as i:
                    length = self.get(b, lengths, i)
                    b.store(length, self.at(b, whole, b.add(i, one), self.whole))
                where = self.at(b, out, b.add(numbers, b.mul(first, n)), self.element)
                given = [where, b.mul(count, n), b.add(axes, one), whole]
                b.ret(b.call(self.array, given))
        with b.if_then(b.icmp_signed("==", kind, self.number(_LIST))):
            made = b.call(self.api["PyList_New"], [first])
            with b.if_then(b.icmp_unsigned("==", made, nothing)):
                b.ret(nothing)
            with self.loop(b, first) as i:
                item = b.call(function, [at, out, numbers, n, arrays])
                with b.if_then(b.icmp_unsigned("==", item, nothing), likely=False):
                    b.call(self.api["Py_DecRef"], [made])
                    b.ret(nothing)
                b.call(self.api["PyList_SetItem"], [made, i, item])
            b.ret(made)
        made = b.call(self.api["PyDict_New"], [])
        with b.if_then(b.icmp_unsigned("==", made, nothing)):
            b.ret(nothing)
        with self.loop(b, first):
            here = b.load(at, typ=self.pointer)
            key = self.get(b, here, 0, self.pointer)
            b.store(self.at(b, here, one, self.whole), at)
            item = b.call(function, [at, out, numbers, n, arrays])
            with b.if_then(b.icmp_unsigned("==", item, nothing), likely=False):
                b.call(self.api["Py_DecRef"], [made])
                b.ret(nothing)
            failed = b.call(self.api["PyDict_SetItem"], [made, key, item])
            b.call(self.api["Py_DecRef"], [item])
            with b.if_then(b.icmp_signed("!=", failed, self.small(0)), likely=False):
                b.call(self.api["Py_DecRef"], [made])
                b.ret(nothing)
        b.ret(made)
        return function

    def _write_call(self) -> None:
        """call(self, args, nargs, names)."""
        given = self.function("call", self.pointer, "ppwp", public=True)
        _, (owner, args, count, names), b = given
        told = b.call(self.api["PyLong_AsVoidPtr"], [owner])
        groups = self.get(b, told, _GROUPS)
        refused = b.append_basic_block("refused")
        freed = b.append_basic_block("freed")
        known = b.append_basic_block("known")
        plain = b.icmp_unsigned("==", names, self.pointer(None))
        b.cbranch(b.and_(plain, b.icmp_signed("==", count, groups)), known, refused)
        b.position_at_end(refused)
        otherwise = self.get(b, told, _OTHERWISE, self.pointer)
        with b.if_then(b.icmp_unsigned("!=", otherwise, self.pointer(None))):
            b.ret(b.call(self.api["PyObject_Vectorcall"], [otherwise, args, count, names]))
        answer = self._fixed(b, NotImplemented)
        b.call(self.api["Py_IncRef"], [answer])
        b.ret(answer)
        b.position_at_end(known)
        samples = self._count_samples(b, told, args, groups, refused)
        columns = self._columns(b, told, args, groups)
        memory, parts = self._room(b, told, samples, columns)
        b2 = self.ir.IRBuilder(freed)
        self._leave(b2, told, memory)
        b2.branch(refused)
        arrays = self._fill(b, told, args, groups, samples, parts, freed)
        in_blocks = b.icmp_signed("==", self.get(b, told, _ROWS), self.number(0))
        with b.if_then(in_blocks):
            self._pad(b, told, samples, parts["samples"])
        self._run(b, told, samples, parts)
        at = b.alloca(self.pointer)
        b.store(self.at(b, told, self.get(b, told, _OUTPUTS), self.whole), at)
        numbers = self.get(b, told, _NUMBERS)
        result = b.call(self.build, [at, parts["out"], numbers, samples, arrays])
        self._leave(b, told, memory)
        b.ret(result)

    def _group(self, b: Any, told: Any, g: Any) -> tuple[Any, Any, Any, Any]:
        """Of an argument: how many numbers, whether one by itself, a row per sample; its shape."""
        start = b.add(self.number(_HEAD), b.mul(g, self.number(_GROUP)))
        width, single, batched, place = [
            self.get(b, told, b.add(start, self.number(i))) for i in range(_GROUP)
        ]
        return width, single, batched, self.at(b, told, place, self.whole)

    def _count_samples(self, b: Any, told: Any, args: Any, groups: Any, refused: Any) -> Any:
        """How many samples the batched arguments have; 1 without any."""
        found = b.alloca(self.whole)
        b.store(self.number(-1), found)
        with self.loop(b, groups) as g:
            batched = self._group(b, told, g)[2]
            with b.if_then(b.icmp_signed("==", batched, self.number(1))):
                length = b.call(self.length, [self.get(b, args, g, self.pointer)])
                before = b.load(found, typ=self.whole)
                first = b.icmp_signed("==", before, self.number(-1))
                fits = b.or_(first, b.icmp_signed("==", before, length))
                fits = b.and_(fits, b.icmp_signed(">=", length, self.number(0)))
                good = b.append_basic_block("good")
                b.cbranch(fits, good, refused)
                b.position_at_end(good)
                b.store(length, found)
        length = b.load(found, typ=self.whole)
        none = b.icmp_signed("==", length, self.number(-1))
        return b.select(none, self.number(1), length)

    def _columns(self, b: Any, told: Any, args: Any, groups: Any) -> Any:
        """How many numbers of each sample are copied: those of arrays that are rows are not."""
        import numpy

        found = b.alloca(self.whole)
        b.store(self.get(b, told, _COLUMNS), found)
        as_rows = b.icmp_signed("==", self.get(b, told, _ROWS), self.number(1))
        with b.if_then(as_rows), self.loop(b, groups) as g:
            width, _, batched, _ = self._group(b, told, g)
            array = self._is(b, self.get(b, args, g, self.pointer), numpy.ndarray)
            with b.if_then(b.and_(b.icmp_signed("==", batched, self.number(1)), array)):
                b.store(b.sub(b.load(found, typ=self.whole), width), found)
        return b.load(found, typ=self.whole)

    def _room(self, b: Any, told: Any, samples: Any, columns: Any) -> tuple[Any, dict[str, Any]]:
        """Memory for a call: groups' addresses, their numbers, the samples, results, scratch."""
        eight = self.number(LANES)
        blocks = b.sdiv(b.add(samples, self.number(LANES - 1)), eight)
        spare = b.mul(b.add(samples, self.number(SPARE)), self.get(b, told, _SCRATCH_EACH))
        stacked = b.mul(self.get(b, told, _STACKS), samples)
        numbers = {
            "numbers": self.get(b, told, _FIXED),
            "samples": b.mul(b.mul(blocks, columns), eight),
            "scratch": b.add(self.get(b, told, _SCRATCH), spare),
            "out": b.add(self.get(b, told, _NUMBERS), stacked),
        }
        counts = {name: self.get(b, told, _GROUPS) for name in ("addresses", "rows")}
        for name, count in numbers.items():
            size = b.add(b.mul(count, self._size()), self.number(7))
            counts[name] = b.sdiv(size, eight)
        total: Any = self.number(1)
        starts = {}
        for name, count in counts.items():
            starts[name] = total
            total = b.add(total, count)
        memory = self._taken(b, told, total)
        return memory, {n: self.at(b, memory, start, self.double) for n, start in starts.items()}

    def _taken(self, b: Any, told: Any, total: Any) -> Any:
        """Memory for so many numbers, the first of which says how many: what a call left, or new.

        Whichever call comes first takes what is left, so that threads never share any. New memory
        is zeros: lanes that no result needs compute with it, and denormal numbers take long.
        """
        where, none = b.alloca(self.pointer), self.number(0)
        left = b.atomic_rmw("xchg", self.at(b, told, _MEMORY, self.whole), none, "acq_rel")
        found = b.inttoptr(left, self.pointer)
        b.store(found, where)
        size = b.alloca(self.whole)
        b.store(none, size)
        with b.if_then(b.icmp_signed("!=", left, none)):
            b.store(self.get(b, found, 0), size)
        less = b.icmp_signed("<", b.load(size, typ=self.whole), total)
        with b.if_then(less, likely=False):
            b.call(self.api["PyMem_RawFree"], [found])
            made = b.call(self.api["PyMem_RawCalloc"], [total, self.number(8)])
            with b.if_then(b.icmp_unsigned("==", made, self.pointer(None)), likely=False):
                b.ret(b.call(self.api["PyErr_NoMemory"], []))
            b.store(total, made)
            b.store(made, where)
        return b.load(where, typ=self.pointer)

    def _leave(self, b: Any, told: Any, memory: Any) -> None:
        """Leave memory to the next call, unless it is much or another has left some."""
        spare = b.alloca(self.whole)
        own = b.ptrtoint(memory, self.whole)
        b.store(own, spare)
        little = b.icmp_signed("<=", self.get(b, memory, 0), self.number(_KEPT))
        with b.if_then(little):
            place = self.at(b, told, _MEMORY, self.whole)
            b.store(b.atomic_rmw("xchg", place, own, "acq_rel"), spare)
        b.call(self.api["PyMem_RawFree"], [b.inttoptr(b.load(spare, typ=self.whole), self.pointer)])

    def _fill(
        self, b: Any, told: Any, args: Any, groups: Any, samples: Any, parts: Any, freed: Any
    ) -> Any:
        """Read the arguments; answers whether one of them is an array, as 0 or 1."""
        import numpy

        arrays, used, fixed, column = (b.alloca(self.whole) for _ in range(4))
        for variable in (arrays, used, fixed, column):
            b.store(self.number(0), variable)
        b.store(self.get(b, told, _ARRAYS), arrays)
        where, next_rows = b.alloca(self.pointer), b.alloca(self.pointer)
        b.store(parts["rows"], next_rows)
        columns, one = self.get(b, told, _COLUMNS), self.number(1)
        as_rows = b.icmp_signed("==", self.get(b, told, _ROWS), one)
        with self.loop(b, groups) as g:
            width, single, batched, shape = self._group(b, told, g)
            thing = self.get(b, args, g, self.pointer)
            with b.if_else(b.icmp_signed("==", batched, one)) as (rows, numbers):
                with rows:
                    at = b.load(column, typ=self.whole)
                    with b.if_else(as_rows) as (plain, blocks):
                        with plain:
                            start = self.at(b, parts["samples"], b.mul(at, samples), self.element)
                            given = [thing, samples, width, single, shape, start]
                            address = self._rows_of(b, given, arrays, where, freed)
                            place = b.load(next_rows, typ=self.pointer)
                            b.store(address, place)
                            b.store(self.at(b, place, 1, self.pointer), next_rows)
                        with blocks:
                            given = [thing, samples, width, single, shape]
                            taken = b.call(self.rows, [*given, parts["samples"], columns, at])
                            self._go_on_if(b, b.icmp_signed("!=", taken, self.number(0)), freed)
                            with b.if_then(b.icmp_signed("==", taken, self.number(2))):
                                b.store(one, arrays)
                    own = self._is(b, thing, numpy.ndarray)
                    skipped = b.select(b.and_(own, as_rows), self.number(0), width)
                    b.store(b.add(at, skipped), column)
                with numbers:
                    start = b.load(used, typ=self.whole)
                    own = self.at(b, parts["numbers"], start, self.element)
                    b.store(b.add(start, width), used)
                    given = [thing, width, single, shape, own]
                    address = self._numbers_of(b, given, arrays, where, freed)
                    number = b.load(fixed, typ=self.whole)
                    b.store(address, self.at(b, parts["addresses"], number, self.pointer))
                    b.store(b.add(number, one), fixed)
        return b.load(arrays, typ=self.whole)

    def _go_on_if(self, b: Any, condition: Any, otherwise: Any) -> None:
        good = b.append_basic_block("good")
        b.cbranch(condition, good, otherwise)
        b.position_at_end(good)

    def _rows_of(self, b: Any, given: Sequence[Any], arrays: Any, where: Any, freed: Any) -> Any:
        """The address of rows of samples: an array's own, or those that are copied."""
        thing, samples, width, single, shape, own = given
        b.store(own, where)
        data = b.call(self.table, [thing, self.number(1), shape])
        with b.if_else(b.icmp_signed("!=", data, self.number(0))) as (array, row):
            with array:
                b.store(b.inttoptr(data, self.pointer), where)
                b.store(self.number(1), arrays)
            with row:
                taken = b.call(self.plain, [thing, samples, width, single, shape, own])
                self._go_on_if(b, b.icmp_signed("==", taken, self.number(1)), freed)
        return b.load(where, typ=self.pointer)

    def _numbers_of(self, b: Any, given: Sequence[Any], arrays: Any, where: Any, freed: Any) -> Any:
        """The address of an argument's numbers: an array's own, or those that are copied."""
        thing, width, single, shape, own = given
        one, none = self.number(1), self.number(0)
        b.store(own, where)
        with b.if_else(b.icmp_signed("==", single, one)) as (alone, several):
            with alone:
                self._go_on_if(b, self._is(b, thing, float), freed)
                self._put(b, self._read(b, thing, _FLOAT_VALUE, self.double), own)
            with several:
                data = b.call(self.table, [thing, none, shape])
                with b.if_else(b.icmp_signed("!=", data, none)) as (array, row):
                    with array:
                        b.store(b.inttoptr(data, self.pointer), where)
                        b.store(one, arrays)
                    with row:
                        # to `take`, lists within lists are no numbers, and other lists of as many
                        # numbers as a matrix has are no matrix
                        flat = b.icmp_signed("==", self.get(b, shape, 0), one)
                        self._go_on_if(b, flat, freed)
                        taken = b.call(self.take, [thing, width, own, one])
                        self._go_on_if(b, b.icmp_signed("==", taken, one), freed)
        return b.load(where, typ=self.pointer)

    def _pad(self, b: Any, told: Any, samples: Any, blocks: Any) -> None:
        """Fill the last block up with its last sample."""
        columns, one, eight = self.get(b, told, _COLUMNS), self.number(1), self.number(LANES)
        last = b.sub(samples, one)
        lane = b.srem(last, eight)
        spare = b.sub(self.number(LANES - 1), lane)
        none = b.icmp_signed("==", samples, self.number(0))
        spare = b.select(none, self.number(0), spare)
        first = b.mul(b.mul(b.sdiv(last, eight), columns), eight)
        with b.if_then(b.icmp_signed(">", spare, self.number(0))), self.loop(b, columns) as c:
            start = b.add(b.add(first, b.mul(c, eight)), lane)
            number = self.get(b, blocks, start, self.double)
            with self.loop(b, spare) as i:
                place = b.add(b.add(start, one), i)
                b.store(number, self.at(b, blocks, place, self.double))

    def _run(self, b: Any, told: Any, samples: Any, parts: Any) -> None:
        """Run the code, without the interpreter's lock where it takes long."""
        as_rows = b.icmp_signed("==", self.get(b, told, _ROWS), self.number(1))
        batch = b.select(as_rows, parts["rows"], parts["samples"])
        b.store(self.number(0), parts["scratch"])  # nothing says to stop
        given = [parts["addresses"], batch, samples, parts["out"], parts["scratch"]]
        run = Callee(self.get(b, told, _RUN, self.pointer), self.run_type())
        work = b.add(self.get(b, told, _WORK), b.mul(self.get(b, told, _EACH), samples))
        long = b.icmp_signed(">", work, self.number(_RELEASED))
        with b.if_else(long) as (released, held):
            with released:
                thread = b.call(self.api["PyEval_SaveThread"], [])
                b.call(run, given)
                b.call(self.api["PyEval_RestoreThread"], [thread])
            with held:
                b.call(run, given)
