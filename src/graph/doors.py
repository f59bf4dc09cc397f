"""Doors: properties that other packages ask of an object, and a later room answers.

networkx's users write `graph.nx`, and sympy asks whatever it is given for `_sympy_`. What they get
is made in `notation`, which stands on this room; so the class has a door, and `notation` opens it.
Notebooks ask for `_repr_mimebundle_`, which `notebook` answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class Door(Generic[T]):
    """A read-only property whose getter is brought by a room above.

    >>> class Box:
    ...     size: Door[int] = Door("size")
    >>> Box.size.opens_to(lambda box: 3)
    >>> Box().size
    3
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._getter: Callable[[Any], T] | None = None

    def opens_to(self, getter: Callable[[Any], T]) -> None:
        """From now on the property is `getter(instance)`."""
        self._getter = getter
        self.__doc__ = getter.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        if self._getter is None:
            raise AttributeError(f"{owner.__name__}.{self._name} has not been opened")
        return self._getter(instance)


class View(Door[Callable[..., Mapping[str, str]]]):
    """What a notebook asks an object for: how it is shown, by kinds of content."""

    def __init__(self) -> None:
        super().__init__("_repr_mimebundle_")
