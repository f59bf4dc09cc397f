"""What a function's own variables are called: each value by its name, or names reused once dead.

CPython addresses the first 256 variables of a function with one byte each and the others with an
instruction more at every use, and what stays in a variable stays in memory until the function ends.
So a function of many values writes them into as few names as it can: the lowest that is free, as
linear-scan register allocation does (Poletto & Sarkar 1999), which is optimal without branches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

from ..names import Namespace

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
