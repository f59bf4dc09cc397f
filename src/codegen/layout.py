"""Laying out statements as lines of Python, broken where they are too long."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

LINE_LENGTH = 96
INDENT = "    "
_OPERATORS = frozenset(("+", "-", "*", "/", "<", "<=", ">", ">=", "==", "!=", "if", "else"))


@dataclass
class Listing:
    """Lines of code under construction, and the line (from 1) that computes each variable."""

    lines: list[str] = field(default_factory=list)
    found: dict[str, int] = field(default_factory=dict)

    def add(self, *lines: str, level: int = 0) -> None:
        """Append lines as they are, at an indentation."""
        self.lines += [(INDENT * level + line).rstrip() for line in lines]

    def assign(self, variable: str, sign: str, code: str, level: int) -> None:
        """Append `variable sign code` and note its line; a long one is broken."""
        self.found[variable] = len(self.lines) + 1
        head = f"{variable} {sign} "
        if len(INDENT) * level + len(head) + len(code) <= LINE_LENGTH:
            self.add(head + code, level=level)
        else:
            opening = _whole_call(code)
            inner = code[len(opening) : -1] if opening else code
            self.add(f"{head}{opening or '('}", level=level)
            self.add(*packed(_terms(inner), level + 1), level=level + 1)
            self.add(")", level=level)

    def enclose(self, head: str, items: Sequence[str], tail: str, level: int) -> None:
        """Append `head item item … tail`; when long, the items go on lines of their own.

        `head` ends with the opening bracket, `tail` starts with the closing one.
        """
        whole = head + " ".join(items)
        whole = (whole.removesuffix(",") if len(items) > 1 or head.endswith("[") else whole) + tail
        if len(INDENT) * level + len(whole) <= LINE_LENGTH:
            self.add(whole, level=level)
        else:
            self.add(head, level=level)
            self.add(*packed(items, level + 1), level=level + 1)
            self.add(tail, level=level)


def quoted(key: str | int) -> str:
    r"""A key of nested outputs as a Python literal in ASCII, whatever its text.

    >>> print(quoted("loss"), quoted('a"\n'), quoted(0))
    "loss" "a\"\n" 0
    """
    return json.dumps(key)


def _whole_call(code: str) -> str:
    """`name(` when the expression is one call from end to end, else ""."""
    name, bracket, inner = code.partition("(")
    if not bracket or not name.isidentifier():
        return ""
    depth = 1
    for position, character in enumerate(inner):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return name + bracket if position == len(inner) - 1 else ""
    return ""


def _terms(code: str) -> list[str]:
    """An expression in pieces that may go on lines of their own, each led by its operator."""
    pieces: list[str] = []
    led = False
    for word in code.split(" "):
        if led:
            pieces[-1] += f" {word}"
        else:
            pieces.append(word)
        led = word in _OPERATORS
    return pieces


def packed(items: Iterable[str], level: int) -> list[str]:
    """Items joined by blanks into as few lines as fit at this indentation; none is broken.

    >>> packed(["a,", "b,"], 0)
    ['a, b,']
    """
    width = LINE_LENGTH - len(INDENT) * level
    lines: list[str] = []
    current: list[str] = []
    length = 0
    for item in items:
        if current and length + 1 + len(item) > width:
            lines.append(" ".join(current))
            current, length = [], 0
        length += len(item) + (1 if current else 0)
        current.append(item)
    return [*lines, " ".join(current)] if current else lines
