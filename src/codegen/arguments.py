"""Arguments of scalar code: quickly seen to be floats, or else checked and converted.

Generated functions would take whatever `+` and `*` take: lists, strings, integers without bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ShapeError
from ..graph.value import Value
from .program import Group, Program

_ROWS = frozenset((list, tuple))


def all_floats(groups: Sequence[Group], arguments: Sequence[Any]) -> bool:
    """Whether the arguments are floats and rows of them, as far as can be told at once.

    A sum is a float only when nothing in it is a list, a string, complex, or a `Value`; summing is
    the quickest look at every number that Python has. Widths are left to the function, which
    unpacks its rows.
    """
    if len(groups) != len(arguments):
        return False
    try:
        return all(map(_is_float, groups, arguments))
    except TypeError:
        return False


def _is_float(group: Group, argument: Any) -> bool:
    kind = type(argument)
    if group.scalar and not group.batched:
        return kind is float
    if kind not in _ROWS:
        return False
    if group.scalar or not group.batched:
        return type(sum(argument)) is float or not group.leaves
    return _ROWS.issuperset(map(type, argument)) and type(sum(map(sum, argument))) is float


def as_floats(program: Program, arguments: Sequence[Any]) -> list[Any]:
    """The arguments as floats and lists of them; a `ShapeError` names what does not fit.

    Arrays and `Value`s are read, integers become floats.
    """
    plain = [_plain(argument) for argument in arguments]
    program.check_arguments(plain)
    converted: list[Any] = []
    for group, argument in zip(program.groups, plain, strict=True):
        if group.scalar and not group.batched:
            converted.append(float(argument))
        elif group.scalar or not group.batched:
            converted.append([float(number) for number in argument])
        else:
            converted.append([[float(number) for number in row] for row in argument])
    return converted


def in_order(program: Any, arguments: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
    """Positional and named arguments in the order of the program's groups."""
    names = [group.name for group in program.groups]
    given = dict(zip(names, arguments, strict=False))
    for name, argument in named.items():
        if name not in names:
            raise ShapeError(
                f"{program.name} has no argument {name!r}; its arguments: {', '.join(names)}"
            )
        if name in given:
            raise ShapeError(f"{program.name} was given argument {name!r} twice")
        given[name] = argument
    missing = [name for name in names if name not in given]
    if missing or len(arguments) > len(names):
        raise ShapeError(
            f"{program.name} takes {', '.join(names)}; "
            + (f"missing: {', '.join(missing)}" if missing else f"got {len(arguments)} arguments")
        )
    return [given[name] for name in names]


def _plain(argument: Any) -> Any:
    """Arrays as lists, and `Value`s as their numbers; everything else as it is."""
    if isinstance(argument, (list, tuple)):
        return [_plain(item) for item in argument]
    if isinstance(argument, Value):
        return argument.data
    return argument.tolist() if hasattr(argument, "tolist") else argument
