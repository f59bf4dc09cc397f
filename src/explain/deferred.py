"""A sequence whose items are made when they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar, overload

T = TypeVar("T")


class Plan(NamedTuple, Generic[T]):
    """An item to be made: its id, the part it belongs to, and how it is made."""

    id: str
    part: int
    make: Callable[[], T]


class Deferred(Sequence[T]):
    """What `plans` make, each once and when it is first asked for.

    >>> made = Deferred([Plan("a", 0, lambda: "A"), Plan("b", 1, lambda: "B")])
    >>> len(made), made[1], made.by_id["a"], made.of_part(1)
    (2, 'B', 'A', ('B',))
    """

    def __init__(self, plans: Sequence[Plan[T]]) -> None:
        self._plans = tuple(plans)
        self._made: dict[int, T] = {}

    def __len__(self) -> int:
        return len(self._plans)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[T, ...]: ...
    def __getitem__(self, place: int | slice) -> T | tuple[T, ...]:
        if isinstance(place, slice):
            return tuple(self[i] for i in range(*place.indices(len(self))))
        index = range(len(self))[place]
        if index not in self._made:
            self._made[index] = self._plans[index].make()
        return self._made[index]

    def keep(self, id: str, made: T) -> T:
        """Take what was made elsewhere for the item of this id, unless there is one; the item."""
        place = next(i for i, plan in enumerate(self._plans) if plan.id == id)
        return self._made.setdefault(place, made)

    def has(self, id: str) -> bool:
        """Whether the item of this id is made already."""
        return any(self._plans[place].id == id for place in self._made)

    def of_part(self, part: int) -> tuple[T, ...]:
        """The items of one part."""
        return tuple(self[i] for i, plan in enumerate(self._plans) if plan.part == part)

    @property
    def by_id(self) -> Mapping[str, T]:
        """The items by their ids."""
        return _ById(self, {plan.id: i for i, plan in enumerate(self._plans)})


class _ById(Mapping[str, T]):
    def __init__(self, items: Deferred[T], places: Mapping[str, int]) -> None:
        self._items, self._places = items, places

    def __getitem__(self, id: Any) -> T:
        return self._items[self._places[id]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
