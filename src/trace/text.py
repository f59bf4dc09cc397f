"""Text of what is known only when a traced function runs: printed, but not computed with."""

from __future__ import annotations

import ast
import linecache
import re
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

from .active import refuse, tracing
from .lines import Line, is_foreign, line_of

_PRINTED: Final = re.compile(
    r"\b(p?print|debug|info|warn|warning|error|exception|critical|raise|assert|write)\b"
)
"""What a line says that shows text, or ends with it."""

_SHOWING: Final = frozenset({"__repr__", "__str__", "__format__"})
_GENERATED: Final = "<string>"
"""The file of code that is made of text, such as a dataclass's `__repr__`."""

_CURE: Final = (
    "compute nothing from it: return the Value, and make text of what comes back; pass a text that "
    "matters as an argument"
)


class UnknownText(str):
    """Text of an unknown number. In code of the user's that looks into it, it is a `TracingError`.

    Shown, or put together with other text, it is as any.
    """

    __slots__ = ()


def unknown_text(shown: str) -> UnknownText:
    """Text in the place of an unknown number; a warning if the line that asks shows it to nobody.

    Called from `__repr__` and the like, which that line called.
    """
    frame = sys._getframe(2)
    if tracing.get() is not None and not is_foreign(frame.f_globals.get("__name__")):
        code = frame.f_code
        line = line_of(code.co_filename, frame.f_lineno)
        shows = code.co_name in _SHOWING or code.co_filename == _GENERATED
        if not shows and not _PRINTED.search(_statement(line)):
            text = (
                f"{line}\ntext of what is known only when the function runs is {shown!r}: {_CURE}"
            )
            warnings.warn(text, RuntimeWarning, stacklevel=3)
    return UnknownText(shown)


@lru_cache(maxsize=256)
def _statement(line: Line) -> str:
    """The simple statement that the line is part of; the line alone where that cannot be read."""
    lines = linecache.getlines(line.file)
    with suppress(SyntaxError):
        for node in ast.walk(ast.parse("".join(lines))):
            if isinstance(node, ast.stmt) and not hasattr(node, "body"):
                first, last = node.lineno, node.end_lineno or node.lineno
                if first <= line.number <= last:
                    return "".join(lines[first - 1 : last])
    return line.text


def _refused(name: str) -> Callable[..., Any]:
    plain = getattr(str, name)

    def looked_into(self: UnknownText, *arguments: Any, **named: Any) -> Any:
        user = not is_foreign(sys._getframe(1).f_globals.get("__name__"))
        if user and tracing.get() is not None:
            shown = str.__repr__(self)
            what = f"{name.strip('_')} of {shown}"
            refuse(f"{what}, text that is another when the function runs: {_CURE}")
        return plain(self, *arguments, **named)

    looked_into.__name__ = name
    return looked_into


def _unknown_too(name: str) -> Callable[..., Any]:
    plain = getattr(str, name)

    def made(self: UnknownText, *arguments: Any, **named: Any) -> Any:
        found = plain(self, *arguments, **named)
        return found if found is NotImplemented else UnknownText(found)

    made.__name__ = name
    return made


def _added(self: UnknownText, other: Any) -> Any:
    return UnknownText(other + str(self)) if isinstance(other, str) else NotImplemented


_TEXTS: Final = (
    *("capitalize", "casefold", "center", "expandtabs", "ljust", "lower", "lstrip", "removeprefix"),
    *("removesuffix", "replace", "rjust", "rstrip", "strip", "swapcase", "title", "upper", "zfill"),
    *("__add__", "__mul__", "__rmul__"),
)
_LOOKS: Final = (
    *("count", "encode", "endswith", "find", "index", "partition", "rfind", "rindex", "rpartition"),
    *("rsplit", "split", "splitlines", "startswith", "translate"),
    *(name for name in vars(str) if name.startswith("is")),
    *("__len__", "__getitem__", "__iter__", "__contains__", "__hash__"),
    *("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"),
)
for _name in _TEXTS:
    setattr(UnknownText, _name, _unknown_too(_name))
for _name in _LOOKS:
    setattr(UnknownText, _name, _refused(_name))
UnknownText.__radd__ = _added  # type: ignore[attr-defined]
UnknownText.__bool__ = lambda self: True  # type: ignore[attr-defined]
