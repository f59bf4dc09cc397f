"""Ways through a graph: what is needed, how often it is used, and by what.

None of them recurses: a chain of a million nodes is walked like any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Sequence
from graphlib import CycleError
from itertools import chain
from typing import TypeVar

from .store import Columns

Thing = TypeVar("Thing", bound=Hashable)


def use_counts(graph: Columns, live: Iterable[int], roots: Iterable[int] = ()) -> Counter[int]:
    """How often each node is an operand of `live`, repeats included, or one of `roots`.

    >>> from wengert import Graph
    >>> g = Graph(); x = g.input("x"); y = x * x
    >>> use_counts(g, [x.id, y.id], [y.id])
    Counter({0: 2, 1: 1})
    """
    operands = graph.operands
    return Counter(chain(roots, chain.from_iterable([operands[node] for node in live])))


def consumers(graph: Columns, live: Iterable[int]) -> dict[int, list[int]]:
    """The nodes of `live` that each node is an operand of, in order; twice those of x*x.

    >>> from wengert import Graph
    >>> g = Graph(); x = g.input("x"); y = x * x
    >>> consumers(g, [x.id, y.id])
    {0: [1, 1], 1: []}
    """
    found: dict[int, list[int]] = {}
    for node in live:
        found.setdefault(node, [])
        for operand in graph.operands[node]:
            found.setdefault(operand, []).append(node)
    return found


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
