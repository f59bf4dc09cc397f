"""One row of input: what a network looks at before it computes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Final, Protocol

from ..errors import OperandError, ShapeError, kind_of, shorten
from ..graph.arithmetic import is_operand
from ..graph.expr import Expr
from ..graph.value import Value
from ..ops.shapes import unboxed


class Reader(Protocol):
    """What reads a row of `nin` numbers."""

    nin: int


_QUICK: Final = frozenset({int, float, Value, Expr})
"""Types of numbers that need no closer look."""


def read_row(x: Any, network: Reader) -> Sequence[Any]:
    """`x` as a row as wide as the network wants it; a lone number is a row of one.

    A row of another width, and rows where one should be, are a `ShapeError`; what is no number an
    `OperandError`.
    """
    if type(x) is not list:
        x = unboxed(x)
    if not is_sequence(x):
        if not is_operand(x):
            raise OperandError(
                f"{type(network).__name__} takes a row of {_numbers(network.nin)}, "
                f"got {shorten(x)}, {kind_of(x)}"
            )
        x = [x]
    row: Sequence[Any] = x if hasattr(x, "__len__") else list(x)
    if len(row) == network.nin and _QUICK.issuperset(map(type, row)):
        return row
    if len(row) and all(is_sequence(unboxed(entry)) for entry in row):
        raise ShapeError(
            f"{type(network).__name__} takes one row of {_numbers(network.nin)} at a time, got "
            f"rows: {shorten(row)}; give it each in turn, as in [net(x) for x in X]"
        )
    if len(row) != network.nin:
        raise _wrong_width(row, network)
    row = [unboxed(entry) for entry in row]
    for i, entry in enumerate(row):
        if not is_operand(entry):
            raise OperandError(
                f"entry {i} of the row is {shorten(entry)}, {kind_of(entry)}; expected a "
                f"number: {type(network).__name__} takes one row of {_numbers(network.nin)}"
            )
    return row


def is_sequence(thing: Any) -> bool:
    """Whether `thing` has entries in an order; text is not taken apart.

    >>> is_sequence((1, 2)), is_sequence("12"), is_sequence({1, 2})
    (True, False, False)
    """
    return isinstance(thing, Iterable) and not isinstance(
        thing, (str, bytes, bytearray, Mapping, Set)
    )


def _wrong_width(row: Sequence[Any], network: Reader) -> ShapeError:
    found, wanted = len(row), network.nin
    if found > wanted:
        problem = "what is too much is not silently dropped, as zip would"
    else:
        problem = f"{_numbers(wanted - found)} too few"
    build = f", or build {type(network).__name__} with nin={found}" if found else ""
    return ShapeError(
        f"a row of {found} was given to a network of {wanted} input{'s' * (wanted != 1)}: "
        f"{shorten(row)}; {problem}: give {_numbers(wanted)}{build}"
    )


def _numbers(count: int) -> str:
    return f"{count} number{'s' * (count != 1)}"
