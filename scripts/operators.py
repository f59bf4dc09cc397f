"""The operators between two Values, written out from the operations' records: binary.py.

    python scripts/operators.py           writes src/graph/binary.py
    python scripts/operators.py --check   says whether it is what the records say, by its exit code

Nearly all the time of a scalar program goes into these, so each has its record's own notation in
it, and nothing left to decide.
"""

from __future__ import annotations

import sys
from pathlib import Path

WRITTEN = Path(__file__).resolve().parents[1] / "src" / "graph" / "binary.py"

BETWEEN = {"add": ("ADD", "+"), "sub": ("SUB", "-"), "mul": ("MUL", "*"), "truediv": ("DIV", "/")}
"""The records, with what stands between operands in Python."""

HEAD = '''\
"""Operators between two Values, or one and a number: written by scripts/operators.py, not by hand.

Each does what `apply_op` does with its record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops.record import plain_number
from ..ops.scalar import ADD, CONSTANT, DIV, MUL, SUB
from .node import Node

_new = object.__new__


def operators_of(constant_kind: type[Node]) -> dict[str, Callable[..., Any]]:
    """The operators by name; numbers become constants of a class, results are as the first is."""
'''

OPERATOR = """
    def {name}(self: Any, other: Any) -> Any:
        kind = self._result_kind
        if other.__class__ is not kind:
            if other.__class__ is not float and other.__class__ is not int:
                return self.apply_op({op}, ({a}, {b}))
            number = other if other.__class__ is float else plain_number(other)
            other = _new(constant_kind)
            other._data = number
            other._grad = 0.0
            other.label = ""
            other.op = CONSTANT
            other._a = None
            other._b = ()
        try:
            data = {value}
        except ZeroDivisionError:
            data = {op}.evaluate({a}._data, {b}._data)
        value = _new(kind)
        value._data = data if data.__class__ is float else plain_number(data)
        value._grad = 0.0
        value.label = ""
        value.op = {op}
        value._a = {a}
        value._b = {b}
        return value
"""


def text() -> str:
    """The whole file."""
    every = [(f"__{side}{stem}__", *op) for stem, op in BETWEEN.items() for side in ("", "r")]
    parts = [operator(*one) for one in every]
    pairs = "".join(f'        "{name}": {name},\n' for name, *_ in every)
    return f"{HEAD}{''.join(parts)}\n    return {{\n{pairs}    }}\n"


def operator(name: str, op: str, sign: str) -> str:
    """One of them."""
    a, b = ("other", "self") if name.startswith("__r") else ("self", "other")
    return OPERATOR.format(name=name, op=op, a=a, b=b, value=f"{a}._data {sign} {b}._data")


def main(arguments: list[str]) -> int:
    """Write the file, or say whether it is up to date."""
    if arguments == ["--check"]:
        return int(WRITTEN.read_text(encoding="utf-8") != text())
    WRITTEN.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
