"""Copies of values, and their pickles, with histories of any length: nothing here recurses.

A pickle is written value by value, operands first. What is written first is remembered by the
pickler, so that whatever comes later refers to it and is no deeper than one value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from copy import deepcopy
from typing import Any, TypeVar

from ..errors import OperandError, shorten
from ..ops.record import Op
from ..storage import damaged, from_pickle
from .node import Node
from .own import OWN
from .sweep import topological

N = TypeVar("N", bound=Node)

_writing: ContextVar[frozenset[int]] = ContextVar("_writing", default=frozenset())
"""The values (by id) whose operands a pickler has, or will have, before it comes to them."""


def shallow_copy(value: N) -> N:
    """Another value with the same number, operands, gradient and attributes."""
    copy: N = _blank(value._result_kind)
    _fill(copy, (*_parts(value), value.operands))
    copy.__dict__.update(vars(value))
    return copy


def deep_copy(root: N, memo: dict[int, Any]) -> N:
    """A copy of a value and of its history, but for what `memo` has copies of."""
    for value in topological(root, known=_copied(root, memo)):
        if "_backward" in vars(value):
            raise OperandError(
                f"{shorten(value)} cannot be copied with its history: the `_backward` it was given "
                "would add to the gradients of the originals; copy what it was computed from, and "
                "compute it anew"
            )
        copy = memo[id(value)] = _blank(value._result_kind)
        _fill(copy, (*_parts(value), tuple([memo[id(read)] for read in value.operands])))
        if vars(value):
            copy.__dict__.update(deepcopy(vars(value), memo))
    copied: N = memo[id(root)]
    return copied


def _copied(root: N, memo: dict[int, Any]) -> set[N]:
    """What of a history has a copy already, as far as one comes to it from `root`."""
    known: set[Any] = set()
    seen: set[Any] = {root}
    stack: list[Any] = [root]
    while stack:
        for read in stack.pop().operands:
            if id(read) in memo:
                known.add(read)
            elif read not in seen:
                seen.add(read)
                stack.append(read)
    return known


class _Earlier:
    """The values that come before another in a pickle, operands first. It is read as a list."""

    def __init__(self, values: Sequence[Node]) -> None:
        self.values = values

    def __reduce__(self) -> Any:
        return list, (), None, self._one_by_one()

    def _one_by_one(self) -> Iterator[Any]:
        """The values, while it is known that their operands come before each."""
        before = _writing.get()
        _writing.set(before.union(map(id, self.values)))
        yield from self.values
        yield from (None, None)  # picklers look one ahead, and not past a single last item
        _writing.set(before)


def reduced(value: Node) -> Any:
    """What `__reduce_ex__` answers: how to make the value anew, with what comes before it."""
    earlier = None
    operands = value.operands
    if id(value) not in _writing.get() and not all(read.is_leaf for read in operands):
        *values, _ = topological(value)
        earlier = _Earlier(values)
    *parts, op = _parts(value)
    parts = [*parts, None if op is OWN else op, operands]
    return _blank, (value._result_kind,), (earlier, parts, vars(value)), None, None, _restore


def _parts(value: Node) -> tuple[Any, ...]:
    """All of a value but its operands and attributes."""
    return value._data, value._grad, value.label, value.statics, value.op


def _blank(kind: Any) -> Any:
    if not (isinstance(kind, type) and issubclass(kind, Node)):
        raise damaged("a Value", f"it is {shorten(kind)}")
    return object.__new__(kind)


def _restore(value: Node, state: Any) -> None:
    from_pickle("a Value", _fill_anew, value, state)


def _fill_anew(value: Node, state: tuple[Any, list[Any], dict[str, Any]]) -> None:
    """Give a blank value what a pickle says that it is."""
    _, (*parts, op, operands), attributes = state
    if not all(isinstance(read, Node) for read in operands):
        raise damaged("a Value", f"it was computed from {shorten(operands)}")
    if not isinstance(op, (Op, type(None))) or not isinstance(parts[2], str):
        raise damaged("a Value", f"{shorten(parts[2])} is {shorten(op)}")
    _fill(value, (*parts, OWN if operands and op is None else op, operands))
    value.__dict__.update(attributes)


def _fill(value: Node, parts: tuple[Any, ...]) -> None:
    value._data, value._grad, value.label, statics, value.op, operands = parts
    value._set_operands(operands, statics)
