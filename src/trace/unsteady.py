"""Calls in code that answer differently each time: of clocks, of entropy, of files, by names.

What they give while a function is traced would be part of the code, the same at every call.
"""

from __future__ import annotations

import builtins
import dis
import sys
from collections.abc import Iterable, Iterator
from functools import reduce
from types import CodeType, ModuleType
from typing import Any, Final

from .imports import imports_of
from .lines import Line, line_of

_TEXTS: Final = {
    "reads the clock": (
        "time.time time.time_ns time.perf_counter time.perf_counter_ns time.monotonic "
        "time.monotonic_ns time.process_time time.process_time_ns time.thread_time time.localtime "
        "time.gmtime datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today "
        "datetime.date.today"
    ),
    "draws a random number": (
        "os.urandom random.SystemRandom secrets.randbelow secrets.randbits secrets.choice "
        "secrets.token_bytes secrets.token_hex uuid.uuid1 uuid.uuid4"
    ),
    "reads from outside": (
        "builtins.open builtins.input io.open os.getcwd os.listdir os.path.exists os.path.isfile "
        "numpy.load numpy.loadtxt numpy.genfromtxt subprocess.run subprocess.check_output"
    ),
    "reads by names that are put together": (
        "builtins.eval builtins.exec builtins.globals builtins.__import__ importlib.import_module"
    ),
}
_IF_EMPTY: Final = "random.Random random.seed numpy.random.default_rng numpy.random.RandomState"
"""Random numbers that are other ones each time if nothing is given to begin from."""


UNSTEADY: Final = (
    "in code that is traced: what that gives the first time is what it gives at every call. Do it "
    "outside, and pass what it gives as an argument"
)
_TYPED: Final = (
    "compares the type of something with that of numbers in code that is traced, where no number "
    "has it: write isinstance"
)
_COMPARING: Final = frozenset({"IS_OP", "COMPARE_OP", "CONTAINS_OP"})
_ASKING: Final = frozenset({"type", "__class__"})
_NUMBERS: Final = frozenset({"float", "int"})


def unsteady(codes: Iterable[tuple[CodeType, dict[str, Any]]]) -> list[tuple[Line, str]]:
    """The lines that call one of these, with what they do.

    >>> import time
    >>> def late(): return time.time() > 0
    >>> [what[:15] for _, what in unsteady([(late.__code__, {"time": time})])]
    ['reads the clock']
    """
    named = [(code, list(_named(code, names))) for code, names in codes]
    texts = {thing: what for what, names in _TEXTS.items() for thing in _things(names)}
    empty = list(_things(_IF_EMPTY))
    found: dict[tuple[Line, str], None] = {}
    for code, things in named:
        for thing, number, bare in things:
            try:
                what = texts.get(thing)
            except Exception:  # not hashable
                continue
            if bare and any(thing == one for one in empty):
                what = "draws a random number"
            if what is not None:
                found[line_of(code.co_filename, number), f"{what} {UNSTEADY}"] = None
        found |= {(line_of(code.co_filename, number), _TYPED): None for number in _typed(code)}
    return list(found)


def _typed(code: CodeType) -> Iterator[int]:
    """The lines that compare types with those of numbers, or match them."""
    lines: dict[int, set[str]] = {}
    number = code.co_firstlineno
    for step in dis.get_instructions(code):
        at = step.positions
        number = (at and at.lineno) or number
        said = step.argval if step.opname.startswith("LOAD_") else step.opname
        lines.setdefault(number, set()).add(str(said))
    for number, said in lines.items():
        asked = _ASKING & said and _COMPARING & said
        if _NUMBERS & said and (asked or "MATCH_CLASS" in said):
            yield number


def _things(names: str) -> Iterator[Any]:
    for name in names.split():
        module, *path = name.removeprefix("numpy.").split(".")
        module = f"numpy.{module}" if name.startswith("numpy.") else module
        if module in sys.modules:
            yield reduce(getattr, path, sys.modules[module])


def _named(code: CodeType, names: dict[str, Any]) -> Iterator[tuple[Any, int, bool]]:
    """What `a` or `a.b.c` stand for, by way of modules; the line; is it called with nothing?

    `a` is a global, or imported by the code. Where names end and a call begins is read from the
    instructions of CPython 3.11 and later.
    """
    steps = [step for step in dis.get_instructions(code) if step.opname not in _BETWEEN]
    number = code.co_firstlineno
    local = {one.name: one.thing for one in imports_of(code, names)}
    for k, step in enumerate(steps):
        at = step.positions
        number = (at and at.lineno) or number
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            thing = names.get(step.argval, getattr(builtins, step.argval, None))
        elif step.opname.startswith(("LOAD_FAST", "LOAD_DEREF")):
            last = step.argval[-1] if isinstance(step.argval, tuple) else step.argval
            closed = step.opname == "LOAD_DEREF" and last in code.co_freevars
            if last not in local and not closed:
                continue
            thing = local[last] if last in local else names.get(last)
        else:
            continue
        k += 1
        while k < len(steps) and steps[k].opname in ("LOAD_ATTR", "LOAD_METHOD"):
            if not isinstance(thing, (ModuleType, type)):
                break
            thing = getattr(thing, steps[k].argval, None)
            k += 1
        called = k < len(steps) and steps[k].opname == "CALL" and not steps[k].arg
        yield thing, number, called


_BETWEEN: Final = frozenset({"PRECALL", "CACHE", "PUSH_NULL", "EXTENDED_ARG"})
