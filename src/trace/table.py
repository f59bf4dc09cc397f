"""Tables: lists that an integer argument may pick from without being part of the code."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import OperandError, kind_of, shorten
from ..graph.arithmetic import Arithmetic
from ..ops.scalar import equal, where
from ..ops.shapes import is_array
from ..storage import restore
from .active import tracing
from .number import Index
from .wholes import row_at


class Table(Sequence[Any]):
    """A list, or a list of rows, that may be indexed by an integer argument of a traced function.

    Everywhere else it is the list it was made of, and follows its changes.
    """

    _kept = ("rows", "_listed")
    __setstate__ = restore

    def __init__(self, rows: Any) -> None:
        array = is_array(rows) and rows.ndim in (1, 2)
        if not (array or isinstance(rows, (list, tuple))) or not len(rows):
            raise OperandError(
                f"a table of {shorten(rows)}, {kind_of(rows)}; expected a list or array with one "
                "row or more, each a number, a Value or a list of them"
            )
        self.rows = rows
        self._listed = _Listed(rows) if array else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)

    def __getitem__(self, index: Any) -> Any:
        """The row at an index; while tracing, one that stands for whichever it will be."""
        recording: Any = tracing.get()
        if isinstance(index, Index) and recording is not None:
            return self._as_row(recording.pick(self._listed, index))
        if isinstance(index, Arithmetic) and not isinstance(index, Index):
            return self._as_row(_among(self._listed, index))
        try:
            return self.rows[index]
        except (IndexError, TypeError):
            raise self._nothing_at(index) from None

    def _nothing_at(self, index: Any) -> IndexError | OperandError:
        """The error for an index that picks nothing: which, of what, and what would do."""
        try:
            row_at(self.rows, operator.index(index))
        except IndexError as error:
            return IndexError(f"{error}; the table is {shorten(self.rows)}")
        except TypeError:
            pass
        return OperandError(
            f"{shorten(index)}, {kind_of(index)}, as the index of a table of {len(self)} rows; "
            "expected a whole number"
        )

    def _as_row(self, row: Any) -> Any:
        """A row as those of the table are: an array of objects if they are arrays."""
        if self._listed is self.rows or not isinstance(row, list):
            return row
        import numpy

        return numpy.array(row, object)

    def __repr__(self) -> str:
        return f"table of {len(self)} rows"


class _Listed(Sequence[Any]):
    """The rows of an array as lists, as they are now."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index: Any) -> Any:
        row = self._array[index]
        return row.tolist() if is_array(row) else row


def table(rows: Any) -> Table:
    """A list of rows, or of numbers, from which an argument of a traced function may pick.

    rows    a list of Values or numbers, or a list of lists of them of one length; or an array,
            with one axis or two, whose rows are arrays

    Another integer is then the same compiled code; an integer that picks from a plain list is part
    of the code, which is compiled anew for another. Computed lists will do as well:
    `wg.table(probabilities)[target]`.

    >>> from wengert import Value, function
    >>> rows = table([[Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]])
    >>> @function
    ... def loss(token):
    ...     return rows[token][0] * rows[token][1]
    >>> loss(0).data, loss(1).data, len(loss.traces)
    (2.0, 12.0, 1)
    """
    return rows if isinstance(rows, Table) else Table(rows)


def take(rows: Any, index: Any) -> Any:
    """`table(rows)[index]`: the row, or the entry, at an index.

    >>> take([10.0, 20.0], 1)
    20.0
    """
    return table(rows)[index]


def pick(values: Any, index: Any) -> Any:
    """The one of some numbers at an index; an index that is an expression chooses among them.

    >>> from wengert import Graph
    >>> g = Graph(); k, a, b = g.input("k"), g.input("a"), g.input("b")
    >>> print(pick([a, b], k))
    where(k == 0, a, 0) + where(k == 1, b, 0)
    """
    return table(values)[index]


def _among(rows: Any, index: Any) -> Any:
    """The row at an index that is a number to compute with: a sum of which one term counts."""
    if any(isinstance(row, (list, tuple)) for row in rows):
        return [_among(column, index) for column in zip(*rows, strict=True)]
    first, *rest = [where(equal(index, float(k)), row, 0.0) for k, row in enumerate(rows)]
    return sum(rest, first)
