"""Ways through what is made of other things, such as nodes of operands.

None of them recurses: a chain of a million things is walked like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Sequence
from graphlib import CycleError
from typing import TypeVar

Thing = TypeVar("Thing", bound=Hashable)


def reachable(starts: Iterable[Thing], following: Callable[[Thing], Iterable[Thing]]) -> set[Thing]:
    """The things that one comes to from `starts`, which count, by what follows each.

    >>> sorted(reachable([12], lambda n: [n // 2] if n > 1 else []))
    [1, 3, 6, 12]
    """
    stack = list(starts)
    seen = set(stack)
    while stack:
        for thing in following(stack.pop()):
            if thing not in seen:
                seen.add(thing)
                stack.append(thing)
    return seen


def depth_first(
    roots: Iterable[Thing],
    operands: Callable[[Thing], Iterable[Thing]],
    known: Container[Thing] = (),
) -> Iterator[Thing]:
    """Each thing that `roots` need, once, right after the last of its operands; `known` aside.

    The caller may add to `known` as it goes. A thing that needs itself is a `graphlib.CycleError`.

    >>> needs = {"loss": ["y", "t"], "y": ["x"], "x": [], "t": ["x"]}
    >>> list(depth_first(["loss"], needs.__getitem__))
    ['x', 'y', 't', 'loss']
    """
    done: set[Thing] = set()
    begun: set[Thing] = set()
    for root in roots:
        stack = [(root, False)]
        while stack:
            thing, ready = stack.pop()
            if thing in done or thing in known:
                continue
            if ready:
                done.add(thing)
                yield thing
                continue
            if thing in begun:
                raise CycleError("a thing needs itself", [thing])
            begun.add(thing)
            stack.append((thing, True))
            stack += [(part, False) for part in [*operands(thing)][::-1]]


def taken_apart(whole: Thing, parts: Callable[[Thing], Sequence[Thing] | None]) -> Iterator[Thing]:
    """The things that a thing is made of in the end, in order: those for which `parts` says None.

    >>> list(taken_apart(("a", ("b", "c")), lambda t: t if isinstance(t, tuple) else None))
    ['a', 'b', 'c']
    """
    stack = [whole]
    while stack:
        thing = stack.pop()
        inner = parts(thing)
        if inner is None:
            yield thing
        else:
            stack += inner[::-1]
