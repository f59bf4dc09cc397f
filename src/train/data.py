"""Training data: checked, and turned into plain numbers, before anything is trained on it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from numbers import Real
from typing import Any

from ..errors import DataError, ShapeError, kind_of, shorten
from ..ops.data import read_data
from ..ops.shapes import is_array
from .losses import Loss

Row = list[float]


def read_rows(X: Any, nin: int | None, what: str = "X") -> Any:
    """The data as lists of floats, or as an array if it is one; all rows as wide as `nin` says.

    Data that is empty, not finite or not of one width is a `DataError` or `ShapeError`, which names
    the row of `what`.
    """
    X = read_data(X, what, DataError)
    if is_array(X) and X.ndim == 2 and X.size:
        import numpy

        array = numpy.array(X, numpy.float64, order="C")
        if array.shape[1] == (nin or array.shape[1]) and numpy.isfinite(array).all():
            return array
    return _read_lists(X, nin, what)


def _read_lists(X: Any, nin: int | None, what: str) -> list[Row]:
    data = _sequence(X)
    if data is None:
        raise ShapeError(
            f"{what} is {shorten(X)}; expected rows of numbers, such as [[2.0, 3.0], ...]"
        )
    if not data:
        raise DataError(f"{what} is empty; training takes one row of numbers or more")
    rows: list[Row] = []
    for i, item in enumerate(data):
        row = _sequence(item)
        if row is None:
            raise ShapeError(
                f"row {i} of {what} is {shorten(item)}, not a row of numbers; "
                "a single input is written as a row of one, such as [[2.0], [3.0]]"
            )
        if not row:
            raise DataError(f"row {i} of {what} is empty")
        if nin is not None and len(row) != nin:
            raise ShapeError(
                f"row {i} of {what} has {len(row)} numbers, but the network takes {nin}; "
                "nothing is cut off, as zip would, or filled in"
            )
        if rows and len(row) != len(rows[0]):
            raise ShapeError(
                f"row {i} of {what} has {len(row)} numbers, row 0 has {len(rows[0])}; "
                "all rows are of one width"
            )
        rows.append(
            [_number(number, f"row {i}, column {j} of {what}") for j, number in enumerate(row)]
        )
    return rows


def read_targets(Y: Any, count: int, loss: Loss, outputs: int | None, what: str = "Y") -> list[Any]:
    """The targets as floats, or as lists of them when the loss pairs one with each output.

    `count` is the number of rows, `outputs` how many outputs the network has; None if it
    gives a single number. What does not fit is a `ShapeError`, what the loss does not take a
    `DataError`.
    """
    data = _sequence(read_data(Y, what, DataError))
    if data is None:
        raise ShapeError(f"{what} is {shorten(Y)}; expected one target for each row of X")
    if len(data) != count:
        raise ShapeError(
            f"X has {count} rows and {what} has {len(data)}; expected one target per row"
        )
    if loss.paired and outputs is not None:
        return [_paired(item, i, loss, outputs, what) for i, item in enumerate(data)]
    return [_target(item, f"row {i} of {what}", loss, outputs or 1) for i, item in enumerate(data)]


def _paired(item: Any, i: int, loss: Loss, outputs: int, what: str) -> Row:
    numbers = _sequence(item)
    if numbers is None or len(numbers) != outputs:
        raise ShapeError(
            f"row {i} of {what} is {shorten(item)}; the network has {outputs} outputs, and "
            f"{loss.name} takes one target for each: end it in a layer of 1 neuron, or make {what} "
            "rows"
        )
    return [
        _target(n, f"row {i}, column {j} of {what}", loss, outputs) for j, n in enumerate(numbers)
    ]


def _target(item: Any, where: str, loss: Loss, outputs: int) -> float:
    expected = f"the targets of {loss.name} are {loss.targets(outputs)}"
    if _sequence(item) is not None:
        raise ShapeError(
            f"{where} is {shorten(item)}, a sequence; expected one number: make Y a flat list; "
            f"{expected}"
        )
    number = _number(item, where, expected)
    if not loss.accepts(number, outputs):
        raise DataError(f"{where} is {shorten(item)}; {expected}")
    return number


def _sequence(thing: Any) -> list[Any] | None:
    """The items of a list or an array; None for anything that has no order, or is no sequence."""
    if is_array(thing):
        return thing.tolist() if thing.ndim else None
    if isinstance(thing, (str, bytes, Mapping, Set)) or not isinstance(thing, Iterable):
        return None
    return [read_data(item, "data", DataError) for item in thing]


def _number(thing: Any, where: str, expected: str = "expected a number") -> float:
    if not isinstance(thing, Real):
        raise DataError(f"{where} is {shorten(thing)}, {kind_of(thing)}; {expected}")
    try:
        number = float(thing)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise DataError(f"{where} is {shorten(thing)}; expected a finite number")
    return number
