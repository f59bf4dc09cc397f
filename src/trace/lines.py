"""Which line of the user's files is being run, for errors and reports."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple


class Line(NamedTuple):
    """A line of a file, from 1, and what stands there if that can be read."""

    file: str
    number: int
    text: str

    def __str__(self) -> str:
        shown = f": {self.text}" if self.text else ""
        return f"{Path(self.file).name}:{self.number}{shown}"


def line_of(file: str, number: int) -> Line:
    """That line of that file."""
    return Line(file, number, linecache.getline(file, number).strip())


_PACKAGE: Final = str(Path(line_of.__code__.co_filename).parents[1])
"""Where this package is, as frames say it: a link counts for itself, not for what it leads to."""


_OURS: Final = __name__.partition(".")[0]
_FOREIGN: Final = frozenset(sys.stdlib_module_names) - {"__main__"} | {_OURS, "numpy", "sympy"}


def is_foreign(module: str | None) -> bool:
    """Whether what a module defines is not looked into: this package's and Python's own.

    >>> is_foreign("collections.abc"), is_foreign("__main__")
    (True, False)
    """
    return (module or "").partition(".")[0] in _FOREIGN


def user_frame() -> FrameType | None:
    """The innermost frame of the user's own code; None if there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_beneath(frame):
        frame = frame.f_back
    return frame


def is_beneath(frame: FrameType) -> bool:
    """Whether a frame is of this package, or of what is called by way of Python's own."""
    ours = _PACKAGE in map(str, Path(frame.f_code.co_filename).parents)
    return ours or is_foreign(frame.f_globals.get("__name__"))


def user_line() -> Line:
    """The line of the user's that is being run."""
    frame = user_frame()
    if frame is None:
        return Line("?", 0, "")
    return line_of(frame.f_code.co_filename, frame.f_lineno)


def raised_at(error: BaseException) -> Line:
    """The innermost line of the user's from which an exception came."""
    found, trace = Line("?", 0, ""), error.__traceback__
    while trace is not None:
        if not is_beneath(trace.tb_frame):
            found = line_of(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return found
