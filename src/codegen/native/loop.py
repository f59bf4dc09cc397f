"""Whole epochs in machine code: samples are put in order, steps taken, losses noted.

Python is asked only between calls of some hundredths of a second, so that Ctrl-C finds whole steps.
Where a step may take longer, steps are taken on another thread, and one that Ctrl-C finds under way
is given up: the parameters stay those of the step before.
"""

from __future__ import annotations

import ctypes
import math
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ...errors import SpellingError
from ..compiled import Compiled
from ..scalar.loop import Progress, Stopped
from .builder import DOUBLE, NOTHING, POINTER, WHOLE, Callee, Lines, Module
from .code import Code
from .host import link, object_code
from .words import LANES

_TURN: Final = 0.05
"""About how many seconds of steps are taken before Python looks for Ctrl-C."""

WATCHED: Final = 20_000_000
"""Steps of more operations on vectors may take longer than that: they are watched."""

_DIVERGED: Final = 1
_STOPPED: Final = 2
_FIELDS: Final = (
    *("run", "groups", "out", "scratch", "samples", "losses", "orders", "x", "y", "params"),
    *("state", "n", "size", "steps", "x_width", "y_width", "params_count", "state_count"),
    *("params_at", "state_at", "loss_at", "packed", "next", "last", "order_row", "as_rows"),
    "stop",
)
_AT: Final = {name: place for place, name in enumerate(_FIELDS)}
"""What the loop is told in memory: addresses, lengths, positions among the results, and how far."""


class _Taken(NamedTuple):
    """A loaded function and what keeps it."""

    function: Any
    kept: Any


class NativeLoop:
    """A training loop around one step compiled for the native target.

    The step must give {"loss", "params", "state"} from "params", "state", "X" and "Y". Parameters
    and state stay in memory from step to step; what they are after the last whole step can be read
    at any time.
    """

    def __init__(self, step: Compiled) -> None:
        owner = getattr(step.function, "__self__", None)
        code = owner if isinstance(owner, Code) else getattr(owner, "code", None)
        if step.target != "native" or code is None:
            raise SpellingError(
                f"this loop is made for the 'native' target, not {step.target!r}; "
                "call the step itself repeatedly"
            )
        self._code: Code = code
        (_, widths) = code.layout.outputs
        self._places = dict(widths)
        self._speed = math.inf

    def _is_long(self, samples: int) -> bool:
        """Whether a step over so many samples may take long."""
        layout = self._code.layout
        each = layout.each if layout.rows else layout.each / LANES
        return layout.instructions - layout.each + each * samples > WATCHED

    def __call__(
        self, params: Any, state: Any, data: tuple[Any, Any], size: int, orders: Any, count: int
    ) -> Progress:
        """Take every step of `count` epochs, or those before Ctrl-C or a loss that is not finite.

        data    rows and targets as arrays
        size    samples to a step
        orders  for each epoch the places of its samples, in an array of int64; None for in order
        """
        import numpy

        X, Y = (numpy.ascontiguousarray(part, numpy.float64) for part in data)
        params, state = (numpy.array(part, numpy.float64) for part in (params, state))
        steps = -(-len(X) // size)
        losses = numpy.empty(count * steps)
        told, kept = self._told((X, Y), (params, state), losses, size, orders)
        if self._is_long(min(size, len(X))):
            stopped = _watched(told, kept, count * steps)
        else:
            stopped = self._in_turns(told, count * steps)
        del kept
        taken = told[_AT["next"]] + (stopped == "diverged")
        return Progress(losses[:taken].tolist(), params, state, stopped)

    def _in_turns(self, told: Any, steps: int) -> Stopped:
        """Take so many steps, some at a time."""
        try:
            while told[_AT["next"]] < steps:
                told[_AT["last"]] = min(steps, told[_AT["next"]] + self._ahead())
                before, start = told[_AT["next"]], time.perf_counter()
                diverged = _steps().function(ctypes.addressof(told)) == _DIVERGED
                taken = max(1, told[_AT["next"]] - before)
                self._speed = (time.perf_counter() - start) / taken
                if diverged:
                    return "diverged"
        except KeyboardInterrupt:
            return "interrupted"
        return "finished"

    def _ahead(self) -> int:
        """How many steps take about a turn; one while that is not known."""
        return max(1, int(_TURN / self._speed)) if self._speed > 0 else 1

    def _told(
        self, data: Sequence[Any], carried: Sequence[Any], losses: Any, size: int, orders: Any
    ) -> tuple[Any, Any]:
        """What the loop is told, and what it mentions."""
        import numpy

        layout = self._code.layout
        (X, Y), (params, state) = data, carried
        blocks = -(-size // LANES)
        samples = numpy.empty(blocks * layout.columns * LANES)
        packed = orders is None and size >= len(X)
        if packed and not layout.rows:
            samples = self._code.blocks([X, Y])
        if layout.rows:  # two addresses first, then the rows that are put in order
            samples = numpy.empty(2 + (0 if orders is None else size * layout.columns))
        out, scratch = numpy.empty(layout.numbers), numpy.empty(layout.room(size))
        groups = numpy.array([params.ctypes.data, state.ctypes.data], numpy.uintp)
        order = numpy.arange(len(X)) if orders is None else numpy.ascontiguousarray(orders)
        widths = [part.size // max(1, len(part)) for part in data]
        arrays = {
            "groups": groups,
            "out": out,
            "scratch": scratch,
            "samples": samples,
            "x": X,
            "y": Y,
            "losses": losses,
            "orders": order,
            "params": params,
            "state": state,
        }
        numbers = {
            **{name: array.ctypes.data for name, array in arrays.items()},
            "run": self._code.address,
            "n": len(X),
            "size": size,
            "steps": -(-len(X) // size),
            "x_width": widths[0],
            "y_width": widths[1],
            "params_count": params.size,
            "state_count": state.size,
            "params_at": self._places["params"][1],
            "state_at": self._places["state"][1],
            "loss_at": self._places["loss"][1],
            "packed": int(packed),
            "next": 0,
            "last": 0,
            "order_row": 0 if orders is None else len(X),
            "as_rows": int(layout.rows),
            "stop": 0,
        }
        told = (ctypes.c_int64 * len(_FIELDS))(*[numbers[name] for name in _FIELDS])
        scratch.view(numpy.int64)[0] = ctypes.addressof(told) + 8 * _AT["stop"]
        return told, (arrays, self._code)


def _watched(told: Any, kept: Any, steps: int) -> Stopped:
    """Take so many steps on a thread, while this one waits for its end or for Ctrl-C."""
    told[_AT["last"]] = steps
    ends: list[int] = []
    ended = threading.Event()  # Thread.join takes a thread for ended where Ctrl-C interrupts it
    function = _steps().function

    def take() -> None:
        try:
            ends.append(function(ctypes.addressof(told)))
            assert kept  # what is told of lives as long as this
        finally:
            ended.set()

    thread = threading.Thread(target=take)
    begun = interrupted = False
    while not ended.is_set():
        try:
            if not begun:
                begun = True
                thread.start()
            ended.wait(_TURN)
            if thread.ident is None:
                break  # Ctrl-C came before there was a thread
        except KeyboardInterrupt:
            interrupted = True
            told[_AT["stop"]] = 1
    if ends == [_DIVERGED]:
        return "diverged"
    return "interrupted" if interrupted else "finished"


@lru_cache(maxsize=1)
def _steps() -> _Taken:
    """The loop itself, the same for all programs."""
    library = link(object_code(_Text().text(), 2, tidy=True), {}, ["steps"])
    return _Taken(ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(library["steps"]), library)


class _Text:
    """Writes `steps(told)`."""

    def __init__(self) -> None:
        self.module = Module()

    def text(self) -> str:
        """All of it."""
        self.fill = self._write_fill()
        self.rows = self._write_rows()
        self._write_steps()
        return self.module.text()

    def _field(self, b: Lines, told: Any, name: str) -> Any:
        """A number of those that the loop is told, or an address."""
        address = name in _FIELDS[: _AT["n"]]
        return b.get(told, _AT[name], POINTER if address else WHOLE)

    def _copy(self, b: Lines, source: Any, to: Any, count: Any) -> None:
        with b.loop(count) as i:
            b.store(b.get(source, i, DOUBLE), b.at(to, i, DOUBLE))

    def _write_fill(self) -> Any:
        """fill(rows, width, order, count, samples, columns, column): rows in order into blocks.

        What the last block has to spare is filled up with the last of them.
        """
        function, given, b = self.module.function("fill", "", "pwpwpww")
        rows, width, order, count, samples, columns, column = given
        one, eight = WHOLE(1), WHOLE(LANES)
        blocks = b.div(b.add(count, WHOLE(LANES - 1)), eight)
        with b.loop(b.mul(blocks, eight)) as row:
            inside = b.less(row, count)
            chosen = b.get(order, b.select(inside, row, b.sub(count, one)))
            source = b.at(rows, b.mul(chosen, width), DOUBLE)
            to = b.lane(samples, row, columns, column)
            with b.loop(width) as i:
                place = b.at(to, b.mul(i, eight), DOUBLE)
                b.store(b.get(source, i, DOUBLE), place)
        b.ret()
        return function

    def _write_rows(self) -> Any:
        """rows(all, width, order, count, to): rows in order, side by side."""
        function, given, b = self.module.function("rows", "", "pwpwp")
        rows, width, order, count, to = given
        with b.loop(count) as row:
            source = b.at(rows, b.mul(b.get(order, row), width), DOUBLE)
            self._copy(b, source, b.at(to, b.mul(row, width), DOUBLE), width)
        b.ret()
        return function

    def _give_rows(self, b: Lines, get: Any, step: Any, start: Any, count: Any) -> None:
        """The addresses of the rows of a step: where they are, or where they are put in order."""
        room = b.at(get["samples"], 2, DOUBLE)
        shuffled = b.differ(get["order_row"], WHOLE(0))
        row = b.mul(b.div(step, get["steps"]), get["order_row"])
        order = b.at(get["orders"], b.add(row, start), WHOLE)
        for number, part in enumerate(("x", "y")):
            width = get[f"{part}_width"]
            given = b.at(get["samples"], number, POINTER)
            b.store(b.at(get[part], b.mul(start, width), DOUBLE), given)
            with b.when(shuffled):
                b.call(self.rows, [get[part], width, order, count, room])
                b.store(room, given)
            room = b.at(room, b.mul(get["size"], width), DOUBLE)

    def _write_steps(self) -> None:
        _, (told,), b = self.module.function("steps", "w", "p", public=True)
        get = {name: self._field(b, told, name) for name in _FIELDS}
        infinite = DOUBLE(math.inf)
        size_of = self.module.declare("llvm.fabs.f64", "d", "d")
        columns = b.add(get["x_width"], get["y_width"])
        with b.loop(b.sub(get["last"], get["next"])) as turn:
            step = b.add(get["next"], turn)
            start = b.mul(b.rem(step, get["steps"]), get["size"])
            left = b.sub(get["n"], start)
            count = b.select(b.less(left, get["size"]), left, get["size"])
            as_rows = b.same(get["as_rows"], WHOLE(1))
            with b.when(as_rows):
                self._give_rows(b, get, step, start, count)
            unpacked = b.same(get["packed"], WHOLE(0))
            with b.when(b.both(unpacked, b.not_(as_rows))):
                row = b.mul(b.div(step, get["steps"]), get["order_row"])
                order = b.at(get["orders"], b.add(row, start), WHOLE)
                for part, column in (("x", WHOLE(0)), ("y", get["x_width"])):
                    rows = [get[part], get[f"{part}_width"], order, count, get["samples"]]
                    b.call(self.fill, [*rows, columns, column])
            given = [get["groups"], get["samples"], count, get["out"], get["scratch"]]
            b.call(Callee(get["run"].text, NOTHING), given)
            given_up = b.differ(b.get(told, _AT["stop"]), WHOLE(0))
            with b.when(given_up, likely=False):
                b.ret(WHOLE(_STOPPED))
            loss = b.get(get["out"], get["loss_at"], DOUBLE)
            b.store(loss, b.at(get["losses"], step, DOUBLE))
            finite = b.compare("olt", b.call(size_of, [loss]), infinite)
            with b.when(b.not_(finite), likely=False):
                b.ret(WHOLE(_DIVERGED))
            for part in ("params", "state"):
                source = b.at(get["out"], get[f"{part}_at"], DOUBLE)
                self._copy(b, source, get[part], get[f"{part}_count"])
            b.store(b.add(step, WHOLE(1)), b.at(told, _AT["next"], WHOLE))
        b.ret(WHOLE(0))
