"""The reverse sweep over eager values: in which order, and what each step hands on.

The order is that of A. B. Kahn, "Topological sorting of large networks", CACM 5(11), 1962. Nothing
here recurses, so histories may be of any length.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, TypeVar

from ..ops.scalar import ADD, MUL, SUB, WHERE
from .node import Node
from .own import OWN

N = TypeVar("N", bound=Node)


def sweep(root: Node) -> None:
    """Give everything computed that `root` depends on its gradient, and leaves their share more.

    The steps of sums, products and functions of one number, which are nearly all there are, are
    written out, and are those of their records; the steps of everything else are taken from the
    records.
    """
    further, branches = _started(root)
    root._grad = 1
    if branches or root._overrides:
        _careful_sweep(root, further)
        return
    ready = [root]
    append = ready.append
    for value in ready:
        op = value.op
        a = value._a
        b = value._b
        if op is MUL:
            ct, x = value._grad, a._data
            a._grad += ct * b._data
            b._grad += ct * x
        elif op is ADD:
            ct = value._grad
            a._grad += ct
            b._grad += ct
        elif op is SUB:
            ct = value._grad
            a._grad += ct
            b._grad -= ct
        else:
            if op is OWN or value._overrides:
                value._backward()
            elif b.__class__ is tuple and a.__class__ is not tuple:
                (rule,) = op.float_rules  # type: ignore[union-attr]
                try:
                    if rule is not None:
                        ct, out = value._grad, value._data
                        a._grad += rule(ct, out, a._data, *b) if b else rule(ct, out, a._data)
                except ArithmeticError:
                    value._pull()
            else:
                value._pull()
            for a in value.reads:
                if a._a is not None:
                    if further.get(a):
                        further[a] -= 1
                    else:
                        append(a)
            continue
        if a._a is not None:
            if further.get(a):
                further[a] -= 1
            else:
                append(a)
        if b._a is not None:
            if further.get(b):
                further[b] -= 1
            else:
                append(b)


def _started(root: Node) -> tuple[dict[Node, int], bool]:
    """Gradients at their start; how often more than once each computed value is read; branches?"""
    further: dict[Node, int] = {}
    branches = False
    start = float("0")  # an object of its own: whoever has this very 0 has been seen
    root._grad = start
    stack = [root]
    pop, push = stack.pop, stack.append
    while stack:
        value = pop()
        while True:  # down the first operands, as far as these are new
            a = value._a
            b = value._b
            others: tuple[Node, ...]
            if a.__class__ is tuple:
                branches = branches or value.op is WHERE
                others = a[1:]
                a = a[0]
            else:
                others = () if b.__class__ is tuple else (b,)
            for b in others:
                if b._a is None:
                    if b._grad is None:  # as some write for 0
                        b._grad = 0.0
                elif b._grad is start:
                    further[b] = further.get(b, 0) + 1
                else:
                    b._grad = start
                    push(b)
            if a._a is None:
                if a._grad is None:
                    a._grad = 0.0
                break
            if a._grad is start:
                further[a] = further.get(a, 0) + 1
                break
            a._grad = start
            value = a
    return further, branches


def _careful_sweep(root: Node, further: dict[Node, int]) -> None:
    """The sweep where there are branches: what only those that were not taken need is left out."""
    order = [root]
    for value in order:
        for read in value.reads:
            if read._a is not None:
                if further.get(read):
                    further[read] -= 1
                else:
                    order.append(read)
    taken = _taken(root, order)
    for value in order:
        if value in taken:
            _step(value)
        else:
            value._pass_over()


def _step(value: Node) -> None:
    """One step of the chain rule, by the user if it is the user's."""
    if value.op is OWN or value._overrides:
        value._backward()
    else:
        value._pull()


def _taken(root: Node, order: list[Node]) -> set[Node]:
    """What `root` depends on by way of the branches that were taken; `order` is consumers first."""
    found = {root}
    for value in order:
        if value in found:
            reads = value.reads
            if value.op is WHERE:
                reads = (reads[1 if reads[0]._data else 2],)
            found.update(reads)
    return found


def topological(*roots: N, known: Container[N] = ()) -> Iterator[N]:
    """Every value `roots` were computed from, and they themselves, operands first.

    Those in `known`, and what only they were computed from, are left out.

    >>> from wengert import Value
    >>> a = Value(2.0)
    >>> [v.data for v in topological(a * a + a)]
    [2.0, 4.0, 6.0]
    """
    entered: set[N] = set()
    left: set[N] = set()
    for root in roots:
        stack: list[N] = [] if root in known else [root]
        while stack:
            value = stack[-1]
            if value not in entered:
                entered.add(value)
                operands: tuple[Any, ...] = value.operands
                if operands:
                    waiting = reversed(operands)
                    stack += [v for v in waiting if v not in entered and v not in known]
                    continue
            stack.pop()
            if value not in left:
                left.add(value)
                yield value
