"""The numbers and gradients of Values as lists and arrays, and back.

Where there is LLVM, machine code moves those of many at once; else Python does, one by one.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from struct import error, pack
from typing import Any, Final

from ..codegen.native.slots import Slots, slots
from ..graph.value import Value

MANY: Final = 64
"""From how many Values on machine code is made that moves their numbers."""


def numbers_of(values: Sequence[Value]) -> list[float]:
    """The numbers of Values, as a list."""
    return [value._data for value in values]


def vector_of(values: Sequence[Value]) -> Any:
    """The numbers of Values as an array; as a list if something else is among them.

    >>> vector_of([Value(1.0), Value(2)])
    array([1., 2.])
    """
    if _machine(values) is None:
        return vector(numbers_of(values))
    import numpy

    found = numpy.empty(len(values))
    return found if read_into(found, values) else vector(numbers_of(values))


def read_into(row: Any, values: Sequence[Value]) -> bool:
    """Read the numbers of Values into a row of as many float64; False if some are no plain ones."""
    move = _machine(values)
    if move is not None:
        return move.read(values, row) == len(values)
    numbers = vector(numbers_of(values))
    if isinstance(numbers, list):
        return False
    row[:] = numbers
    return True


def vector(numbers: Sequence[float]) -> Any:
    """Floats as an array of NumPy's; as they are if something else is among them.

    Of a list it is read-only. NumPy looks at the type of each, which takes three times as long.

    >>> vector([1.0, 2.0]), vector([1.0, None])
    (array([1., 2.]), [1.0, None])
    """
    import numpy

    if type(numbers) is array:
        return numpy.frombuffer(numbers)
    try:
        return numpy.frombuffer(pack(f"{len(numbers)}d", *numbers))
    except error:
        return numbers


def index_of(values: Sequence[Value]) -> Any:
    """Where each of some Values stands, for `places_of`; None where machine code cannot look.

    The Values have to be kept as long as it is.
    """
    move = _machine(values)
    if move is None:
        return None
    import numpy

    index = numpy.zeros((1 << len(values).bit_length() + 1, 2), numpy.int64)
    return index if move.enter(values, index) == len(values) else None


def places_of(values: Sequence[Value], index: Any) -> Any:
    """Where each of these Values stood among those of the index; None if one was not there.

    >>> values = [Value(float(k)) for k in range(MANY)]
    >>> index = index_of(values)
    >>> places = None if index is None else places_of(values[2:4], index)
    """
    move = slots()
    if move is None or type(values) not in (list, tuple):
        return None
    import numpy

    places = numpy.empty(len(values), numpy.int64)
    return places if move.places(values, index, places) == len(values) else None


def add_shares(values: Sequence[Value], part: Any, ct: float) -> None:
    """Add to the gradient of each value its slope times the cotangent."""
    done = 0
    move = _machine(values)
    if move is not None:
        done = move.add(values, part, float(ct))
        if done == len(values):
            return
    rest = listed(part)[done:]
    shares = rest if ct == 1 else [ct * slope for slope in rest]
    for value, share in zip(values[done:] if done else values, shares, strict=True):
        grad: float | None = value._grad  # None, as some write for 0
        value._grad = (0.0 if grad is None else grad) + share


def write_numbers(values: Sequence[Value], numbers: Any) -> None:
    """Give each value its number of an array."""
    done = 0
    move = _machine(values)
    if move is not None:
        done = move.write(values, numbers)
    if done < len(values):
        for value, number in zip(values[done:], numbers[done:].tolist(), strict=True):
            value._data = number


def listed(part: Any) -> Sequence[float]:
    """Numbers as a list of floats."""
    return part.tolist() if hasattr(part, "tolist") else part  # type: ignore[no-any-return]


def _machine(values: Sequence[Value]) -> Slots | None:
    many = len(values) >= MANY and (type(values) is tuple or type(values) is list)
    return slots() if many else None
