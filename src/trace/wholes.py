"""Whole numbers that are computed from the integers of a call, as a list of steps."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

GIVEN: Final = "given"
NUMBER: Final = "number"
COMPUTED: Final[Mapping[str, Callable[[int, int], int]]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
}


def row_at(rows: Sequence[Any], index: int) -> Any:
    """The row at an index; an `IndexError` that says what is allowed.

    >>> row_at("abc", 3)
    Traceback (most recent call last):
    IndexError: index 3 of a table of 3 rows; expected a whole number from -3 to 2
    """
    count = len(rows)
    if not -count <= index < count:
        raise IndexError(
            f"index {index} of a table of {count} rows; expected a whole number from {-count} to "
            f"{count - 1}"
        )
    return rows[index]


class Step(NamedTuple):
    """One whole number.

    kind  `GIVEN`, and a is the place of the integer in the call; `NUMBER`, and a is it; or one of
          `COMPUTED`, and a and b say which steps gave its operands
    """

    kind: str
    a: int
    b: int = 0


def whole_numbers(steps: Iterable[Step], integers: Sequence[int]) -> list[int]:
    """What each step gives, for the integers of a call.

    >>> whole_numbers([Step("given", 1), Step("number", 3), Step("mul", 0, 1)], [10, 20])
    [20, 3, 60]
    """
    found: list[int] = []
    for kind, a, b in steps:
        if kind == GIVEN:
            found.append(integers[a])
        elif kind == NUMBER:
            found.append(a)
        else:
            found.append(COMPUTED[kind](found[a], found[b]))
    return found


def needed_steps(
    steps: Sequence[Step], wanted: Iterable[int]
) -> tuple[tuple[Step, ...], dict[int, int]]:
    """The steps that those wanted need, and the number that each of them has among these.

    >>> needed_steps([Step("given", 0), Step("given", 1), Step("add", 1, 1)], [2])[1]
    {1: 0, 2: 1}
    """
    live, stack = set[int](), list(wanted)
    while stack:
        number = stack.pop()
        if number not in live:
            live.add(number)
            kind, a, b = steps[number]
            stack += [a, b] if kind in COMPUTED else []
    places = {number: place for place, number in enumerate(sorted(live))}
    kept = []
    for number in places:
        kind, a, b = steps[number]
        kept.append(Step(kind, places[a], places[b]) if kind in COMPUTED else steps[number])
    return tuple(kept), places
