"""Which things are the same: sets that grow together, each with one that stands for it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Thing = TypeVar("Thing", bound=Hashable)


class Classes(Generic[Thing]):
    """Things by what is the same as they are; of those that are joined, the first stands for both.

    >>> same = Classes[str]()
    >>> same.join("a", "b"), same.join("b", "c"), same.join("a", "c"), same.of("c")
    (True, True, False, 'a')
    """

    def __init__(self) -> None:
        self._parent: dict[Thing, Thing] = {}

    def __iter__(self) -> Iterator[Thing]:
        return iter(self._parent)

    def of(self, thing: Thing) -> Thing:
        """The thing that stands for all that are the same as this one."""
        parent, root = self._parent, thing
        while root in parent:
            root = parent[root]
        while thing != root:
            parent[thing], thing = root, parent[thing]
        return root

    def join(self, one: Thing, other: Thing) -> bool:
        """From now on the two are the same; whether that is new."""
        first, second = self.of(one), self.of(other)
        if first == second:
            return False
        self._parent[second] = first
        return True
