"""What is being traced in this thread, and what to do with what cannot be known meanwhile."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final, NoReturn, Protocol

from ..errors import TracingError
from ..graph.value import Value
from .lines import user_line


class Watching(Protocol):
    """What goes on while something is traced.

    refused  the first thing that was asked for and is not known, if any
    """

    refused: TracingError | None

    def born(self, value: Value) -> None:
        """A leaf was made."""

    def stands_for(self, value: Value, asked: str | None) -> Value:
        """The Value that this one stands for, of which an attribute matters from now on.

        `asked.WHICH` is asked for where it matters which Value it is.
        """


tracing: Final[ContextVar[Watching | None]] = ContextVar("tracing", default=None)
"""The recording of this thread, if it is tracing."""


def refuse(what: str) -> NoReturn:
    """A `TracingError` with the line of the user's; also if the user's own code catches it."""
    error = TracingError(f"{user_line()}\n{what}")
    recording = tracing.get()
    if recording is not None and recording.refused is None:
        recording.refused = error
    raise error
