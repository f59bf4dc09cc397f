"""`Module`: what has parameters, for classes of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .value import Value, zero_grad


class Module:
    """A base for networks of one's own: its parameters are the leaf `Value`s in its attributes.

    They may lie in lists, tuples and dicts, at any depth, and in other modules.

    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.w, self.b = Value(2.0, "w"), Value(1.0, "b")
    ...     def __call__(self, x):
    ...         return self.w * x + self.b
    >>> line = Line(); line(3.0).backward(); line.parameters()
    [Value(data=2.0, grad=3.0), Value(data=1.0, grad=1.0)]
    >>> line.zero_grad(); line.w.grad
    0.0
    """

    def parameters(self) -> list[Value]:
        """The leaf `Value`s, each once, in the order of the attributes; a subclass may say."""
        return list(dict.fromkeys(_leaves(vars(self))))

    def zero_grad(self) -> None:
        """Set the `grad` of every parameter to 0.0, as a training loop does before `backward`."""
        zero_grad(self.parameters())


def _leaves(things: Any) -> Iterator[Value]:
    """The leaf values in containers and modules; what holds itself is looked into once."""
    seen: set[int] = set()
    stack = [things]
    while stack:
        thing = stack.pop()
        if isinstance(thing, Value):
            if thing.op is None:
                yield thing
            continue
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, Module):
            listed = type(thing).parameters is not Module.parameters and thing is not things
            stack += reversed(thing.parameters() if listed else list(vars(thing).values()))
        elif isinstance(thing, Mapping):
            stack += reversed(list(thing.values()))
        elif isinstance(thing, (list, tuple)):
            stack += reversed(thing)
