"""Arguments of scalar code: quickly seen to be floats, or else checked and converted.

Generated functions would take whatever `+` and `*` take: lists, strings, integers without bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import call
from typing import Any

from ..errors import ShapeError
from ..graph.value import Value
from .program import Group, Program

_ROWS = frozenset((list, tuple))


def float_check(groups: Sequence[Group]) -> Callable[[tuple[Any, ...]], bool]:
    """A function that tells whether arguments are floats and rows of them, as far as can be told.

    A sum is a float only when nothing in it is a list, a string, complex, or a `Value`; summing is
    the quickest look at every number that Python has, and a `TypeError` is another way to say no.
    Widths are left to the generated function, which unpacks its rows.
    """
    checks = [_check_of(group) for group in groups]
    count = len(checks)
    if count == 1:
        (check,) = checks
        return lambda arguments: len(arguments) == 1 and check(arguments[0])
    return lambda arguments: len(arguments) == count and all(map(call, checks, arguments))


def _check_of(group: Group) -> Callable[[Any], bool]:
    """The check of one argument."""
    if group.scalar and not group.batched:
        return lambda argument: type(argument) is float
    if not group.leaves:
        return lambda argument: type(argument) in _ROWS
    if group.scalar or not group.batched:
        return lambda argument: type(argument) in _ROWS and type(sum(argument)) is float
    return lambda argument: (
        type(argument) in _ROWS
        and _ROWS.issuperset(map(type, argument))
        and type(sum(map(sum, argument))) is float
    )


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
