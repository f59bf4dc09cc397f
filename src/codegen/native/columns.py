"""Straight-line code of one sample, run on the columns of an array in place.

A call from Python copies what it is given into blocks, and makes an array of each result; where the
results are what the next call begins with, as in an optimizer's step, that takes as long as the
step.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from .builder import NOTHING, POINTER, VECTOR, WHOLE, Callee, Module, Operand
from .caller import code_of
from .host import link, object_code
from .objects import (
    LENGTHS,
    Owner,
    api_address,
    as_in_the_headers,
    built_in,
    data_of,
    fixed,
    read,
)
from .words import LANES

CHUNK: Final = 256
"""How many samples are taken at a time; columns have a multiple of it."""


def in_place(compiled: Any) -> Callable[[Any, Any], None] | None:
    """What runs a compiled function on an array, a column in each of its rows; None if it cannot.

    The arguments that are one number a sample are the columns, in their order; the results take the
    place of the first of them. The last argument is an array of numbers, the same for all samples.
    Both are to be contiguous float64, and the columns as long as a multiple of `CHUNK`.
    """
    code = code_of(compiled)
    if code is None or not as_in_the_headers(arrays=True):
        return None
    layout = code.layout
    results = [["s", k] for k in range(layout.stacks)]
    each = [(1, True, True)] * layout.columns
    plain = not layout.rows and layout.dtype == "float64" and layout.numbers == 0
    if not plain or layout.outputs != ["l", results] or [*map(tuple, layout.groups[:-1])] != each:
        return None
    numbers = [code.address, len(each), len(results), layout.room(CHUNK)]
    told = (ctypes.c_int64 * len(numbers))(*numbers)
    library = _mover()
    owner = Owner(ctypes.addressof(told))
    owner.kept = (told, code, library)
    function, _ = built_in("move", library["move"], owner)
    return function  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _mover() -> Any:
    needs = {"PyLong_AsVoidPtr": api_address("PyLong_AsVoidPtr")}
    needs["Py_IncRef"] = api_address("Py_IncRef")
    return link(object_code(_text(), 2, tidy=True), needs, ["move"])


def _text() -> str:
    """move(columns, numbers); told: run, how many columns, how many results, room."""
    module = Module()
    told_by = module.declare("PyLong_AsVoidPtr", "p", "p")
    kept = module.declare("Py_IncRef", "", "p")
    _, (owner, args, _), b = module.function("move", "p", "ppw", public=True)
    told = b.call(told_by, [owner])
    run, columns, results, room = [b.get(told, place) for place in range(4)]
    array, numbers = b.get(args, 0, POINTER), b.get(args, 1, POINTER)
    data, groups = data_of(b, array), b.room(POINTER)
    length = b.get(read(b, array, LENGTHS, POINTER), 1)
    b.store(data_of(b, numbers), groups)
    lanes, vectors = WHOLE(LANES), WHOLE(CHUNK // LANES)
    block = b.room(VECTOR, b.mul(columns, vectors))
    out = b.room(VECTOR, b.mul(results, vectors))
    scratch = b.room(WHOLE, room)
    target = Callee(b.convert("inttoptr", run, POINTER).text, NOTHING)
    whole = b.div(length, lanes)

    def copy(to: Operand, i: Operand, source: Operand, k: Operand) -> None:
        held = b.load(b.at(source, k, VECTOR), VECTOR, align=8)
        b.store(held, b.at(to, i, VECTOR), align=8)

    with b.loop(b.div(whole, vectors)) as number:
        start = b.mul(number, vectors)
        with b.loop(columns) as c, b.loop(vectors) as j:
            place = b.add(b.add(b.mul(c, whole), start), j)
            copy(block, b.add(b.mul(j, columns), c), data, place)
        b.store(WHOLE(0), scratch)  # nothing says to stop
        b.call(target, [groups, block, WHOLE(CHUNK), out, scratch])
        with b.loop(results) as c, b.loop(vectors) as j:
            place = b.add(b.add(b.mul(c, whole), start), j)
            copy(data, place, out, b.add(b.mul(c, vectors), j))
    nothing = fixed(b, None)
    b.call(kept, [nothing])
    b.ret(nothing)
    return module.text()
