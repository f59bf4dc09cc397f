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
from .builder import Builder, Callee
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
    function = _steps().function

    def take() -> None:
        ends.append(function(ctypes.addressof(told)))
        assert kept  # what is told of lives as long as this

    thread = threading.Thread(target=take)
    begun = interrupted = False
    while not begun or thread.is_alive():
        try:
            if not begun:
                begun = True
                thread.start()
            thread.join(_TURN)
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


class _Text(Builder):
    """Writes `steps(told)`."""

    def text(self) -> str:
        """All of it."""
        self.fill = self._write_fill()
        self.rows = self._write_rows()
        self._write_steps()
        return str(self.module)

    def _field(self, b: Any, told: Any, name: str) -> Any:
        """A number of those that the loop is told, or an address."""
        address = name in _FIELDS[: _AT["n"]]
        return self.get(b, told, _AT[name], self.pointer if address else self.whole)

    def _copy(self, b: Any, source: Any, to: Any, count: Any) -> None:
        with self.loop(b, count) as i:
            b.store(self.get(b, source, i, self.double), self.at(b, to, i, self.double))

    def _write_fill(self) -> Any:
        """fill(rows, width, order, count, samples, columns, column): rows in order into blocks.

        What the last block has to spare is filled up with the last of them.
        """
        function, given, b = self.function("fill", self.ir.VoidType(), "pwpwpww")
        rows, width, order, count, samples, columns, column = given
        one, eight = self.number(1), self.number(LANES)
        blocks = b.sdiv(b.add(count, self.number(LANES - 1)), eight)
        with self.loop(b, b.mul(blocks, eight)) as row:
            inside = b.icmp_signed("<", row, count)
            chosen = self.get(b, order, b.select(inside, row, b.sub(count, one)))
            source = self.at(b, rows, b.mul(chosen, width), self.double)
            to = self.lane(b, samples, row, columns, column)
            with self.loop(b, width) as i:
                place = self.at(b, to, b.mul(i, eight), self.double)
                b.store(self.get(b, source, i, self.double), place)
        b.ret_void()
        return function

    def _write_rows(self) -> Any:
        """rows(all, width, order, count, to): rows in order, side by side."""
        function, given, b = self.function("rows", self.ir.VoidType(), "pwpwp")
        rows, width, order, count, to = given
        with self.loop(b, count) as row:
            source = self.at(b, rows, b.mul(self.get(b, order, row), width), self.double)
            self._copy(b, source, self.at(b, to, b.mul(row, width), self.double), width)
        b.ret_void()
        return function

    def _give_rows(self, b: Any, get: Any, step: Any, start: Any, count: Any) -> None:
        """The addresses of the rows of a step: where they are, or where they are put in order."""
        room = self.at(b, get["samples"], 2, self.double)
        shuffled = b.icmp_signed("!=", get["order_row"], self.number(0))
        row = b.mul(b.sdiv(step, get["steps"]), get["order_row"])
        order = self.at(b, get["orders"], b.add(row, start), self.whole)
        for number, part in enumerate(("x", "y")):
            width = get[f"{part}_width"]
            given = self.at(b, get["samples"], number, self.pointer)
            b.store(self.at(b, get[part], b.mul(start, width), self.double), given)
            with b.if_then(shuffled):
                b.call(self.rows, [get[part], width, order, count, room])
                b.store(room, given)
            room = self.at(b, room, b.mul(get["size"], width), self.double)

    def _write_steps(self) -> None:
        _, (told,), b = self.function("steps", self.whole, "p", public=True)
        get = {name: self._field(b, told, name) for name in _FIELDS}
        infinite = self.double(math.inf)
        kind = self.ir.FunctionType(self.double, [self.double])
        size_of = self.ir.Function(self.module, kind, "llvm.fabs.f64")
        columns = b.add(get["x_width"], get["y_width"])
        with self.loop(b, b.sub(get["last"], get["next"])) as turn:
            step = b.add(get["next"], turn)
            start = b.mul(b.srem(step, get["steps"]), get["size"])
            left = b.sub(get["n"], start)
            count = b.select(b.icmp_signed("<", left, get["size"]), left, get["size"])
            as_rows = b.icmp_signed("==", get["as_rows"], self.number(1))
            with b.if_then(as_rows):
                self._give_rows(b, get, step, start, count)
            unpacked = b.icmp_signed("==", get["packed"], self.number(0))
            with b.if_then(b.and_(unpacked, b.not_(as_rows))):
                row = b.mul(b.sdiv(step, get["steps"]), get["order_row"])
                order = self.at(b, get["orders"], b.add(row, start), self.whole)
                for part, column in (("x", self.number(0)), ("y", get["x_width"])):
                    rows = [get[part], get[f"{part}_width"], order, count, get["samples"]]
                    b.call(self.fill, [*rows, columns, column])
            given = [get["groups"], get["samples"], count, get["out"], get["scratch"]]
            b.call(Callee(get["run"], self.run_type()), given)
            given_up = b.icmp_signed("!=", self.get(b, told, _AT["stop"]), self.number(0))
            with b.if_then(given_up, likely=False):
                b.ret(self.number(_STOPPED))
            loss = self.get(b, get["out"], get["loss_at"], self.double)
            b.store(loss, self.at(b, get["losses"], step, self.double))
            finite = b.fcmp_ordered("<", b.call(size_of, [loss]), infinite)
            with b.if_then(b.not_(finite), likely=False):
                b.ret(self.number(_DIVERGED))
            for part in ("params", "state"):
                source = self.at(b, get["out"], get[f"{part}_at"], self.double)
                self._copy(b, source, get[part], get[f"{part}_count"])
            b.store(b.add(step, self.number(1)), self.at(b, told, _AT["next"], self.whole))
        b.ret(self.number(0))
