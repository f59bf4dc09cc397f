"""Variable names for a program: what the user named keeps its name, and no two share one."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable
from keyword import iskeyword, issoftkeyword

from ..graph.store import is_name
from ..ops.record import Notation, Op
from ..ops.table import OPERATIONS

_CALL = re.compile(r"(?<![\w.])([a-z_]\w*)\(")


def called(form: Notation) -> list[str]:
    """The functions that a notation calls by a name of their own.

    >>> called(Notation("maximum({0}, exp({1}))")), called(Notation("np.exp({0})"))
    (['maximum', 'exp'], [])
    """
    return _CALL.findall(form.template)


def _called_by(op: Op) -> list[str]:
    """The functions that an operation is written with, in any language."""
    forms = [form for form in op.notation.values() if isinstance(form, Notation)]
    return [name for form in forms for name in called(form)]


def called_elsewhere(ops: Iterable[Op]) -> set[str]:
    """The functions that operations which are not of the table are written with."""
    own = [op for op in set(ops) if op.arity and OPERATIONS.get(op.name) is not op]
    return {name for op in own for name in _called_by(op)}


RESERVED = frozenset(dir(builtins)).union(
    ("inf", "nan", "math"),
    *map(_called_by, OPERATIONS.values()),
)
"""Names that generated code uses for something else."""


class Namespace:
    """Hands out names, each once, that shadow neither keywords nor functions.

    >>> names = Namespace()
    >>> names.take("h"), names.take("h"), names.take("exp"), names.take("not a name", "t")
    ('h', 'h__2', 'exp_', 't0')
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    def take(self, wish: str, fallback: str = "t") -> str:
        """The wished name, or the nearest free one; numbered from `fallback` when it is no name."""
        if not wish or not is_name(wish):
            return self.number(fallback)
        name = f"{wish}_" if wish in RESERVED or iskeyword(wish) or issoftkeyword(wish) else wish
        if name in self._taken:
            stem, count = name, self._next.get(name, 2)
            while (name := f"{stem}__{count}") in self._taken:
                count += 1
            self._next[stem] = count + 1
        self._taken.add(name)
        return name

    def number(self, stem: str) -> str:
        """The next free name of the series stem0, stem1 and so on."""
        count = self._next.get(f"{stem}#", 0)
        while (name := f"{stem}{count}") in self._taken:
            count += 1
        self._next[f"{stem}#"] = count + 1
        self._taken.add(name)
        return name
