"""Laying out statements as lines of Python, broken where they are too long."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
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

    def insert(self, position: int, *lines: str, level: int) -> None:
        """Put lines before the one at `position`, which counts from 0."""
        self.lines[position:position] = [INDENT * level + line for line in lines]
        for variable, line in self.found.items():
            if line > position:
                self.found[variable] = line + len(lines)

    def assign(self, variable: str, sign: str, code: str, level: int, value: str = "") -> None:
        """Append `variable sign code` and note it as the line of `value`; a long one is broken.

        Without a `value` the line is that of `variable`.
        """
        self.found[value or variable] = len(self.lines) + 1
        head = f"{variable} {sign} "
        if len(INDENT) * level + len(head) + len(code) <= LINE_LENGTH:
            self.add(head + code, level=level)
        else:
            opening = _whole_call(code)
            inner = code[len(opening) : -1] if opening else code
            self.add(f"{head}{opening or '('}", level=level)
            self.add(
                *packed(_terms(inner, LINE_LENGTH - len(INDENT) * (level + 1)), level + 1),
                level=level + 1,
            )
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

    def call(
        self, targets: Sequence[str], function: str, arguments: Sequence[str], level: int
    ) -> None:
        """Append `(targets) = function(arguments)`; long ones go on lines of their own."""
        self.enclose("(", [f"{target}," for target in targets], f") = {function}(", level)
        whole = f"{self.lines[-1]}{', '.join(arguments)})"
        if len(whole) <= LINE_LENGTH:
            self.lines[-1] = whole
        else:
            self.add(*packed(separated(arguments), level + 1), level=level + 1)
            self.add(")", level=level)


def separated(items: Sequence[str]) -> list[str]:
    """The items, each but the last with a comma after it."""
    return [*(f"{item}," for item in items[:-1]), *items[-1:]]


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


def _terms(code: str, width: int) -> list[str]:
    """An expression in pieces for lines of their own, each led by its operator.

    Pieces end outside all brackets, as far as that makes them fit: first between the terms of a
    sum, then between the factors of a term; only then inside brackets.

    >>> _terms("(a + b)*(c + d)", 12), _terms("a + (b + c)*d", 6)
    (['(a + b)', '*(c + d)'], ['a', '+ (b', '+ c)', '*d'])
    """
    pieces = [code]
    for cut in (_between_terms, _between_factors, _anywhere):
        pieces = [
            part for piece in pieces for part in (cut(piece) if len(piece) > width else [piece])
        ]
    return pieces


def _between_terms(code: str) -> list[str]:
    """Cut before each operator with blanks around it, outside brackets."""
    return _cut_at_blanks(code, lambda depth: depth == 0)


def _anywhere(code: str) -> list[str]:
    """Cut before each operator with blanks around it."""
    return _cut_at_blanks(code, lambda depth: True)


def _cut_at_blanks(code: str, at: Callable[[int], bool]) -> list[str]:
    pieces: list[str] = []
    led, depth = False, 0
    for word in code.split(" "):
        if pieces and (led or not at(depth)):
            pieces[-1] += f" {word}"
        else:
            pieces.append(word)
        depth += word.count("(") - word.count(")")
        led = word in _OPERATORS
    return pieces


def _between_factors(code: str) -> list[str]:
    """Cut before each `*`, `/` and `**` outside brackets."""
    pieces, start, depth = [], 0, 0
    for i, character in enumerate(code):
        depth += (character == "(") - (character == ")")
        if depth == 0 and character in "*/" and code[i - 1] != "*":
            pieces.append(code[start:i].rstrip())
            start = i
    return [*pieces, code[start:]]


def packed(items: Iterable[str], level: int) -> list[str]:
    """Items joined by blanks into as few lines as fit at this indentation; none is broken.

    A factor without a blank behind its sign has none before it.

    >>> packed(["a,", "b,"], 0), packed(["a", "*b"], 0), packed(["a", "* b"], 0)
    (['a, b,'], ['a*b'], ['a * b'])
    """
    width = LINE_LENGTH - len(INDENT) * level
    lines: list[str] = []
    for item in items:
        blank = "" if item.startswith(("*", "/")) and item[1:2] != " " else " "
        if lines and len(lines[-1]) + len(blank) + len(item) <= width:
            lines[-1] += blank + item
        else:
            lines.append(item)
    return lines
