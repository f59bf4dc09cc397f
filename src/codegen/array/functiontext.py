"""Functions of statements as JSON, and back: lists that begin with what they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from ...arrays.rolling import Survey
from ...arrays.statements import Array, ArrayProgram, Home, Output, Statement
from ...ops.reads import (
    Affine,
    Among,
    Apply,
    AtLeast,
    Axis,
    Equal,
    Read,
    Reduce,
    Table,
    Term,
    Unequal,
)
from ...ops.record import Op
from ...ops.table import OPERATIONS
from .function import ArrayFunction, ArrayGroup, Element, Vector, Whole
from .rewriting import Rewriting

_KINDS: Final[Mapping[str, type]] = {
    kind.__name__: kind
    for kind in (
        *(Affine, Among, Apply, AtLeast, Axis, Equal, Read, Reduce, Table, Term, Unequal, Array),
        *(ArrayProgram, Home, Output, Statement, ArrayFunction, Element, Vector, Whole, ArrayGroup),
        *(Survey, Rewriting),
    )
}


def told(thing: Any) -> Any:
    """A function, or anything in it, as JSON has it.

    >>> told(Affine(1, (("p", 2),)))
    ['Affine', 1, ['tuple', ['tuple', 'p', 2]]]
    >>> read(told(Affine(1, (("p", 2),))))
    Affine(offset=1, terms=(('p', 2),))
    """
    if isinstance(thing, Op):
        return ["operation", thing.name]
    kind = type(thing).__name__
    if kind in _KINDS:
        return [kind, *[told(part) for part in _parts(thing)]]
    if isinstance(thing, (tuple, frozenset)):
        listed = sorted(thing) if isinstance(thing, frozenset) else thing
        return [kind, *map(told, listed)]
    if isinstance(thing, list):
        return ["list", *map(told, thing)]
    if isinstance(thing, Mapping):
        return ["dict", *[[told(key), told(value)] for key, value in thing.items()]]
    assert thing is None or isinstance(thing, (bool, int, float, str)), thing
    return thing


def _parts(thing: Any) -> list[Any]:
    if is_dataclass(thing):
        return [getattr(thing, field.name) for field in fields(thing) if field.init]
    return list(thing)


def read(item: Any) -> Any:
    """What `told` wrote."""
    if not isinstance(item, list):
        return item
    kind, *parts = item
    if kind == "operation":
        return OPERATIONS[parts[0]]
    if kind == "dict":
        return {read(key): read(value) for key, value in parts}
    found = list(map(read, parts))
    if kind in ("tuple", "frozenset"):
        return tuple(found) if kind == "tuple" else frozenset(found)
    return found if kind == "list" else _KINDS[kind](*found)
