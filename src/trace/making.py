"""A program for one structure of arguments: kept on disk by another process, or made now."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from ..codegen.compiled import paused_collection
from .code import Asked, Code, Options
from .kept import Kept, part_of
from .program import Program, Trace, Written
from .reach import Reach
from .structure import Flat

Record = Callable[[], tuple[Trace, Written]]
"""Runs the function, and answers what that told and what is computed."""


@paused_collection()
def made(
    record: Record, reach: Reach, flat: Flat, options: Options, kept: Kept | None = None
) -> Program:
    """The function as compiled code; from disk if it is kept there, and else kept there."""
    start = time.perf_counter()
    if kept is not None:
        found = _from_disk(record, reach, flat, options, kept)
        if found is not None:
            found.seconds = time.perf_counter() - start
            return found
    trace, written = record()
    name = None if kept is None else kept.keep_trace(trace, flat.integers)
    if name is not None:  # then it need not be kept once more, by its graph
        options = replace(options, cache_dir=None)
    code = Code.of(written.asked(trace), options)
    if kept is not None and name is not None:
        _keep(kept, part_of(name, "code"), code)

    def pull() -> Code:
        return _pull(trace, lambda: written, options, kept, name, None)

    if trace.single:
        del written  # and with it the graph: nothing else will be derived
    seconds = time.perf_counter() - start
    return Program(trace, reach.assumptions, code, pull, seconds)


def _from_disk(
    record: Record, reach: Reach, flat: Flat, options: Options, kept: Kept
) -> Program | None:
    """What another process has kept; the function is run only if the graph is wanted after all."""
    found = kept.trace(flat.integers)
    if found is None:
        return None
    trace, name = found
    again = cache(record)

    def asked() -> Asked:
        return again()[1].asked(trace)

    numbers, _ = trace.inputs.read(flat)
    values = dict(zip(trace.inputs.sources, map(_plain, numbers), strict=True))
    code = kept.code(part_of(name, "code"), asked, values)
    if code is None:
        return None
    code.changed = lambda code: kept.keep_code(part_of(name, "code"), code)

    def pull() -> Code:
        return _pull(trace, lambda: again()[1], options, kept, name, values)

    return Program(trace, reach.assumptions, code, pull, 0.0, from_disk=True)


def _pull(
    trace: Trace,
    written: Callable[[], Written],
    options: Options,
    kept: Kept | None,
    name: str | None,
    values: object,
) -> Code:
    """The code of the derivatives of several outputs."""

    def asked() -> Asked:
        return written().pulled(trace)

    if kept is None or name is None:
        return Code.of(asked(), options)
    place = part_of(name, "pull")
    code = kept.code(place, asked, values) if values is not None else None
    if code is None:
        code = Code.of(asked(), options)
        _keep(kept, place, code)
    else:
        code.changed = lambda code: kept.keep_code(place, code)
    return code


def _keep(kept: Kept, place: str, code: Code) -> None:
    kept.keep_code(place, code)
    code.changed = lambda code: kept.keep_code(place, code)


def _plain(numbers: object) -> tuple[float, ...]:
    return tuple([getattr(x, "_data", x) for x in numbers])  # type: ignore[attr-defined]
