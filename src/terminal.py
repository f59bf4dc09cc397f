"""What a terminal takes: how many columns, whether colours, and text wrapped for it."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from importlib.util import find_spec
from typing import Any, Final

MIN_WIDTH, DEFAULT_WIDTH, MAX_WIDTH = 20, 80, 120
"""Columns: the least that is tried, what is assumed of a file, the most that is easy to read."""

WIDE: Final = 60
"""Columns from which on a line that moves has room for more than what counts."""

RESET: Final = "\x1b[0m"


def is_terminal(stream: Any = None) -> bool:
    """Whether somebody reads along; of the standard output unless another stream is given."""
    return bool(getattr(sys.stdout if stream is None else stream, "isatty", lambda: False)())


def shows_progress(stream: Any = None) -> bool:
    """Whether a bar that moves is seen: in a terminal, or in a notebook that has widgets for it."""
    if is_terminal(sys.stderr if stream is None else stream):
        return True
    notebook = type(sys.stderr if stream is None else stream).__module__.startswith("ipykernel")
    return notebook and find_spec("ipywidgets") is not None


def columns(elsewhere: int = DEFAULT_WIDTH, most: int = MAX_WIDTH) -> int:
    """The columns to write: the terminal's, within reason, or `elsewhere` where there is none."""
    if not is_terminal() and "COLUMNS" not in os.environ:
        return elsewhere
    return max(MIN_WIDTH, min(shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns, most))


def wants_color(stream: Any = None) -> bool:
    """Whether to write colours: to a terminal, unless NO_COLOR is set (https://no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return is_terminal(stream) and not plain


def painted(words: str, code: str, stream: Any = None) -> str:
    """The words in the colour of an ANSI code such as "1" or "38;5;166", where that is shown."""
    return f"\x1b[{code}m{words}{RESET}" if wants_color(stream) else words


def wrapped(line: str, width: int, first: int = 0, rest: int = 0) -> list[str]:
    """A line cut to lines of at most `width` columns, behind so many blanks; at least one.

    It is not cut within the brackets of indices nor after what a sum is over, where that fits.

    >>> wrapped("a line that is long", 10, rest=2)
    ['a line', '  that is', '  long']
    >>> wrapped("t[p, 4h + s] = q[p, 4h + s]", 20, rest=2)
    ['t[p, 4h + s] =', '  q[p, 4h + s]']
    """
    glued = _BRACKETS.sub(lambda one: one[0].replace(" ", _BLANK), line)
    lines = []
    for part in _filled(glued, width, first, rest, within=False):
        text = part.replace(_BLANK, " ")
        lines += _filled(text, width, 0, rest) if len(text) > width else [text]
    return lines or [""]


def _filled(line: str, width: int, first: int, rest: int, within: bool = True) -> list[str]:
    return textwrap.wrap(
        line,
        width,
        initial_indent=" " * first,
        subsequent_indent=" " * rest,
        break_long_words=within,
        break_on_hyphens=False,
    )


_BRACKETS: Final = re.compile(r"\[(?:[^][]|\[[^][]*\])*\]|\w_(?:\{[^{}]*\}|\w) ?")
_BLANK: Final = "\N{NO-BREAK SPACE}"
