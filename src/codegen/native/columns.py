"""Straight-line code of one sample, run on the columns of an array in place.

A call from Python copies what it is given into blocks, and makes an array of each result; where the
results are what the next call begins with, as in an optimizer's step, that takes as long as the
step.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from .builder import NOTHING, POINTER, VECTOR, WHOLE, Callee, Module, Operand
from .caller import code_of
from .host import link, object_code
from .objects import as_in_the_headers, data_of
from .words import LANES

CHUNK: Final = 256
"""How many samples are taken at a time; columns have a multiple of it."""


def in_place(function: Any) -> Callable[[Any, Any], None] | None:
    """What runs a compiled function on an array, a column in each of its rows; None if it cannot.

    The arguments that are one number a sample are the columns, in their order; the results take the
    place of the first of them. The last argument is an array of numbers, the same for all samples.
    """
    code = code_of(function)
    if code is None or not as_in_the_headers(arrays=True):
        return None
    layout = code.layout
    results = [["s", k] for k in range(layout.stacks)]
    each = [(1, True, True)] * layout.columns
    plain = not layout.rows and layout.dtype == "float64" and layout.numbers == 0
    if not plain or layout.outputs != ["l", results] or [*map(tuple, layout.groups[:-1])] != each:
        return None
    count, run, room = layout.groups[-1][0], code.address, layout.room(CHUNK)
    move = _mover().move

    def moved(columns: Any, numbers: Any) -> None:
        rows, length = columns.shape
        assert (rows, length % CHUNK, len(numbers)) == (len(each), 0, count)
        assert columns.flags.c_contiguous
        move(columns, length, numbers, run, rows, len(results), room)

    return moved


class _Mover(NamedTuple):
    """The loaded function, and what has to stay with it."""

    move: Callable[..., None]
    kept: Any


@lru_cache(maxsize=1)
def _mover() -> _Mover:
    library = link(object_code(_text(), 2, tidy=True), {}, ["move"])
    whole, thing = ctypes.c_int64, ctypes.py_object
    kind = ctypes.PYFUNCTYPE(None, thing, whole, thing, whole, whole, whole, whole)
    return _Mover(kind(library["move"]), library)


def _text() -> str:
    """move(columns, length of each, numbers, run, how many columns, how many results, room)."""
    module = Module()
    _, given, b = module.function("move", "", "pwpwwww", public=True)
    array, length, fixed, run, columns, results, room = given
    data, groups = data_of(b, array), b.room(POINTER)
    b.store(data_of(b, fixed), groups)
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
    b.ret()
    return module.text()
