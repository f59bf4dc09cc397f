"""What may name a leaf, and how names are listed in errors."""

from __future__ import annotations

from collections.abc import Iterable
from keyword import iskeyword
from typing import Any

from ..errors import InvalidNameError, shorten

MAX_NAME_LENGTH = 200
"""The longest name of a leaf, in characters."""


def is_name(text: Any) -> bool:
    """Whether `text` can name a leaf: an ASCII identifier, no keyword, no dunder, not too long.

    >>> is_name("w0_2"), is_name("lambda"), is_name("a b")
    (True, False, False)
    """
    return (
        isinstance(text, str)
        and len(text) <= MAX_NAME_LENGTH
        and text.isascii()
        and text.isidentifier()
        and not iskeyword(text)
        and not text.startswith("__")
    )


def check_name(name: Any, what: str) -> None:
    """An `InvalidNameError` unless `name` can name a leaf, a group or a function."""
    if not is_name(name):
        raise InvalidNameError(
            f"{shorten(name)} cannot name a {what}: expected an ASCII identifier such as 'x' or "
            f"'w0_1', at most {MAX_NAME_LENGTH} characters, not a Python keyword and not starting "
            "with '__'"
        )


def listing(names: Iterable[str], limit: int = 12) -> str:
    """The first `limit` names and how many more there are, for the text of an error."""
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(shorten(name) for name in names[:limit]) + more or "none"
