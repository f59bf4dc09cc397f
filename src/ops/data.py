"""Numbers as people have them: lists, arrays of any library, columns and tables.

What comes in is taken for what it is, or refused by name: no text becomes a number, no date, no
complex number, no missing entry, and no set an order.
"""

from __future__ import annotations

from array import array as typed_array
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final

from ..errors import WengertError, kind_of, shorten

_PLAIN: Final = frozenset((float, int, bool))
_ARRAYS: Final = ("to_numpy", "column_names", "__array__", "__dlpack__")
"""What tables, columns and arrays of other libraries have, one of these at least."""

_DEPTH: Final = 32
"""How deep lists may be nested: as deep as the axes of a NumPy array."""


def read_data(thing: Any, what: str, error: type[WengertError]) -> Any:
    """`thing` as numbers and lists of them, or as an array of floats if it is one, or a table.

    What is no array and no sequence comes back as it is; arrays of anything but real numbers, with
    masked entries, and sparse ones are an `error`, which says `what` it is. Rows of a table are
    rows. Arrays are those of NumPy and of any library that has NumPy's protocols, such as PyTorch
    and JAX; tables and columns those of pandas, polars and pyarrow.

    >>> read_data((1, 2.0), "x", ValueError), read_data("12", "x", ValueError)
    ([1, 2.0], '12')
    """
    return _read(thing, what, error, 0)


def _read(thing: Any, what: str, error: type[WengertError], depth: int) -> Any:
    kind = type(thing)
    if kind in _PLAIN:
        return thing
    if kind is list or kind is tuple:
        if _PLAIN.issuperset(map(type, thing)):
            return thing if kind is list else list(thing)
        if depth == _DEPTH:
            raise error(f"{what} is nested more than {_DEPTH} lists deep")
        return [_read(item, what, error, depth + 1) for item in thing]
    if hasattr(kind, "op_rank"):
        return getattr(thing, "data", thing)  # a Value's number, or its array
    if isinstance(thing, (str, bytes, bytearray, Mapping, Set)):
        return thing
    if hasattr(kind, "toarray") and (hasattr(kind, "nnz") or hasattr(kind, "todense")):
        raise error(
            f"{what} is {kind_of(thing)}, a sparse matrix; give its numbers, x.toarray(), if they "
            "fit into memory"
        )
    found = _array_of(thing, what, error)
    if found is not None:
        return _numbers(found, what, error, depth)
    if isinstance(thing, memoryview):
        return _read(thing.tolist(), what, error, depth)
    if isinstance(thing, (Sequence, typed_array)):
        return _read(list(thing), what, error, depth)
    return thing


def _array_of(thing: Any, what: str, error: type[WengertError]) -> Any:
    """The NumPy array that a table, a column or an array of another library is; else None."""
    kind = type(thing)
    if hasattr(kind, "mask") and hasattr(kind, "filled"):
        if getattr(thing, "mask", False) is not False and thing.mask.any():
            raise error(
                f"{what} has {int(thing.mask.sum())} masked entries, which are no numbers; give it "
                "without them, or with numbers in their place: x.filled(0.0)"
            )
        return thing.data
    if hasattr(kind, "__array_interface__"):
        return thing
    if not any(hasattr(thing, name) for name in _ARRAYS):
        return None
    import numpy

    _refuse_nulls(thing, what, error)
    try:
        if hasattr(thing, "column_names") and hasattr(thing, "columns"):  # pyarrow's tables
            columns = [numpy.asarray(column.to_pylist()) for column in thing.columns]
            return numpy.column_stack(columns) if columns else numpy.zeros((0, 0))
        if hasattr(kind, "to_pylist"):  # pyarrow's columns
            return numpy.asarray(thing.to_pylist())
        if hasattr(kind, "to_numpy"):
            return thing.to_numpy()
        if hasattr(kind, "detach"):  # PyTorch's tensors, which may remember a history
            thing = thing.detach().cpu()
        if hasattr(kind, "__array__"):
            return numpy.asarray(thing)
        if hasattr(kind, "__dlpack__"):
            return numpy.from_dlpack(thing)
    except (TypeError, ValueError, RuntimeError, BufferError) as problem:
        raise error(f"{what} is {kind_of(thing)}, which NumPy cannot read: {problem}") from None
    return None


def _refuse_nulls(thing: Any, what: str, error: type[WengertError]) -> None:
    """An error for missing entries of polars, which NumPy would be told are nan."""
    columns = thing.get_columns() if hasattr(thing, "get_columns") else [thing]
    missing = sum(c.null_count() for c in columns if callable(getattr(c, "null_count", None)))
    if missing:
        raise error(
            f"{what} has missing entries (null), {missing:,} in all, which are no numbers; give it "
            "without them, or with numbers in their place: x.fill_null(0.0)"
        )


def _numbers(found: Any, what: str, error: type[WengertError], depth: int) -> Any:
    """An array as float64; one of objects as lists of what it holds."""
    import numpy

    if found.dtype.kind == "O":
        return _read(found.tolist(), what, error, depth) if found.ndim else found.item()
    if found.dtype.kind not in "biuf":
        names = {"c": "complex numbers", "M": "dates", "m": "durations", "U": "text", "S": "bytes"}
        kind = names.get(found.dtype.kind, f"the kind {found.dtype}")
        raise error(f"{what} is {shorten(found)}, an array of {kind}; expected real numbers")
    plain = found if type(found) is numpy.ndarray else numpy.asarray(found)
    if plain.dtype.kind == "f" and plain.dtype.itemsize <= 8:
        return plain if plain.ndim else float(plain)
    with numpy.errstate(over="ignore"):
        return plain.astype(numpy.float64) if plain.ndim else float(plain)
