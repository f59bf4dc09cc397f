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


def user_frame() -> FrameType | None:
    """The innermost frame outside of this package; None if there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _PACKAGE in map(str, Path(frame.f_code.co_filename).parents):
        frame = frame.f_back
    return frame


def user_line() -> Line:
    """The line of the user's that is being run."""
    frame = user_frame()
    if frame is None:
        return Line("?", 0, "")
    return line_of(frame.f_code.co_filename, frame.f_lineno)
