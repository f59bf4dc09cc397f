"""Ctrl-C, twice: the second may not come between the first and what it makes a program finish."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class OneInterrupt:
    """A context in which the first Ctrl-C does what it does, and those after it nothing.

    So what ends because of it can put things in order; `expect` makes the next one the first again.
    Outside the main thread, where Python hears of no signals, it does nothing.

    >>> with OneInterrupt():
    ...     signal.getsignal(signal.SIGINT) is signal.default_int_handler
    False
    """

    def __init__(self) -> None:
        self._before: Callable[[int, FrameType | None], Any] | None = None
        self._came = False

    def __enter__(self) -> OneInterrupt:
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(before):
            self._before = before
            signal.signal(signal.SIGINT, self._handle)
        return self

    def expect(self) -> None:
        """What was interrupted goes on: the next interrupt counts again."""
        self._came = False

    def hold(self) -> None:
        """From now on interrupts do nothing."""
        self._came = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._came or self._before is None:
            return
        self._came = True
        self._before(number, frame)  # raises KeyboardInterrupt, unless the program has its own way
        self._came = False

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
