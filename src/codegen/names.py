"""Variable names for a program: what the user named keeps its name, and no two share one.

CPython addresses the first 256 variables of a function with one byte each and the others with an
instruction more at every use, and what stays in a variable stays in memory until the function ends.
So a function of many values writes them into as few names as it can: the lowest that is free, as
linear-scan register allocation does (Poletto & Sarkar 1999), which is optimal without branches.
"""

from __future__ import annotations

import builtins
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from keyword import iskeyword, issoftkeyword
from typing import Final

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

    def is_free(self, name: str) -> bool:
        """Whether nothing has a name yet, and Python needs it for nothing itself."""
        return name not in self._taken and name not in RESERVED and not iskeyword(name)

    def number(self, stem: str) -> str:
        """The next free name of the series stem0, stem1 and so on."""
        count = self._next.get(f"{stem}#", 0)
        while (name := f"{stem}{count}") in self._taken:
            count += 1
        self._next[f"{stem}#"] = count + 1
        self._taken.add(name)
        return name


SHORT: Final = 256
"""How many variables CPython addresses with one byte. With more values, names are reused."""

_FIRST: Final = 200
"""How many of the reused names are put before the arguments' own."""


@dataclass
class Variables:
    """The variables of one function under construction.

    left    how often each value is still to be read, shared by all parts of a function
    names   where names come from; None where every value keeps its own

    >>> variables = Variables(Counter(a=1, b=1, c=1), Namespace())
    >>> variables.assign("a"), variables.assign("b", ["a"]), variables.assign("c", ["b"])
    ('r0', 'r0', 'r0')
    """

    left: Counter[str]
    names: Namespace | None = None
    _places: dict[str, int] = field(default_factory=dict)
    _all: list[str] = field(default_factory=list)
    _free: list[int] = field(default_factory=list)

    def name(self, value: str) -> str:
        """What a value is called now."""
        place = self._places.get(value)
        return value if place is None else self._all[place]

    def assign(self, value: str, reads: Iterable[str] = ()) -> str:
        """The name for a new value, which is computed from those that `reads` names."""
        if self.names is None:
            return value
        self.forget(reads)
        if self._free:
            place = heappop(self._free)
        else:
            place = len(self._all)
            self._all.append(self.names.number("r"))
        self._places[value] = place
        return self._all[place]

    def forget(self, reads: Iterable[str]) -> None:
        """These values have been read, once for each time they are named."""
        left = self.left
        for value in reads:
            left[value] -= 1
            if not left[value]:
                self.release(value)

    def release(self, value: str) -> None:
        """Free the name of a value if it is never read again."""
        if not self.left[value] and value in self._places:
            heappush(self._free, self._places.pop(value))

    def holds(self, value: str) -> bool:
        """Whether a value has been given a name that is not free yet."""
        return value in self._places

    def fresh(self, stem: str) -> str:
        """A name that no value has, as stem0."""
        return (self.names or Namespace()).number(stem)

    def first(self, others: int) -> list[str]:
        """The names to be made the first of the function, which has so many others."""
        return self._all[:_FIRST] if len(self._all) + others > SHORT else []
