"""What code asked of the Values among the arguments, besides their numbers: which, and attributes.

The code is then good for Values of which the answers are the same.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any, Final, NamedTuple

from ..graph.value import Value
from .structure import Flat, structure_of

WHICH: Final = "is"
"""Stands where the name of an attribute would, if it was asked which Value it is."""

_MISSING: Final = object()


class Question(NamedTuple):
    """Of the Value at a place among those of the arguments: an attribute, or which one it is."""

    place: int
    name: str


def answers(
    questions: Iterable[Question], values: list[Value], outside: Container[Value]
) -> tuple[Any, ...]:
    """What is answered for these Values, hashable.

    One from `outside` is told by itself, any other by where it stood first.

    >>> a, b = Value(1.0, label="a"), Value(2.0)
    >>> answers([Question(0, WHICH), Question(1, WHICH), Question(0, "label")], [b, b], {a})
    (0, 0, ('',))
    """
    first: dict[int, int] = {}
    found: list[Any] = []
    for place, name in questions:
        value = values[place]
        if name != WHICH:
            found.append(_told(getattr(value, name, _MISSING)))
        elif value in outside:
            found.append(value)
        else:
            found.append(first.setdefault(id(value), place))
    return tuple(found)


def _told(thing: Any) -> Any:
    """Whatever an attribute holds, down to its numbers; objects and Values are told by themselves.

    >>> _told([1, 2.5]) == _told([1, 2.5]), _told([1, 2.5]) == _told([1, 2.0])
    (True, False)
    """
    if type(thing) is str or thing is None:
        return (thing,)
    flat = Flat()
    structure = structure_of(thing, flat)
    objects = [_Same(one) for one in (*flat.values, *flat.objects)]
    return structure, (*map(repr, flat.floats), *flat.integers, *objects)


class _Same:
    """One thing, which is kept so that no other can be where it was."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)
