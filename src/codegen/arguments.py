"""Arguments: checked once, in the same words whatever the target, and made floats or arrays.

Generated functions would take whatever `+` and `*` take: lists, strings, integers without bound.
What is seen at once to be floats, or arrays of floats, goes in as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from math import prod
from operator import call, countOf
from typing import Any

from ..errors import ShapeError, SizeError
from ..ops.data import read_data
from ..ops.shapes import BATCH, MAX_BYTES
from .array.function import ArrayFunction
from .program import Group, Program, is_array_of

_ROWS = frozenset((list, tuple))
_FLOAT = frozenset((float,))
_WRITTEN_OUT = 4096
"""Of how many numbers the check is written out, a test for each."""


def float_check(groups: Sequence[Group]) -> Callable[[tuple[Any, ...]], bool]:
    """A function that tells whether arguments are floats and rows of them, as far as can be told.

    Integers are none: their arithmetic is exact, and without bounds. A count or a width that does
    not fit is a `ValueError`, here or in the generated function, which unpacks its rows.
    """
    batched = any(group.batched for group in groups)
    if not batched and sum(len(group.leaves) for group in groups) <= _WRITTEN_OUT:
        return _written_out(groups)
    checks = [_check_of(group) for group in groups]
    count = len(checks)
    return lambda arguments: len(arguments) == count and all(map(call, checks, arguments))


def _written_out(groups: Sequence[Group]) -> Callable[[tuple[Any, ...]], bool]:
    """The check with a test for each number: half the time of a loop, which every call pays."""
    namespace: dict[str, Any] = {}
    exec(_check_text(groups), namespace)
    check: Callable[[tuple[Any, ...]], bool] = namespace["are_floats"]
    return check


def _check_text(groups: Sequence[Group]) -> str:
    """The text of that check.

    >>> print(_check_text([Group("x", "x", ("x",), True, False)]))
    def are_floats(arguments, float=float, list=list, tuple=tuple):
        a0, = arguments
        return a0.__class__ is float
    """
    lines, tests = [], []
    for k, group in enumerate(groups):
        if group.scalar:
            tests.append(f"a{k}.__class__ is float")
            continue
        names = [f"a{k}_{i}" for i in range(len(group.leaves))]
        lines.append(f"if a{k}.__class__ is not list and a{k}.__class__ is not tuple: return False")
        lines.append(f"[{', '.join(names)}] = a{k}")
        tests += [f"{name}.__class__ is float" for name in names]
    unpacked = "".join(f"a{k}, " for k in range(len(groups)))
    return "\n    ".join(
        [
            "def are_floats(arguments, float=float, list=list, tuple=tuple):",
            f"{unpacked}= arguments",
            *lines,
            f"return {' and '.join(tests) or True}",
        ]
    )


def _check_of(group: Group) -> Callable[[Any], bool]:
    """The check of one argument."""
    if group.scalar and not group.batched:
        return lambda argument: type(argument) is float
    if not group.leaves:
        return lambda argument: type(argument) in _ROWS
    if group.scalar or not group.batched:
        return lambda argument: (
            type(argument) in _ROWS and countOf(map(type, argument), float) == len(argument)
        )
    return lambda argument: (
        type(argument) in _ROWS
        and _ROWS.issuperset(map(type, argument))
        and _FLOAT.issuperset(map(type, chain.from_iterable(argument)))
    )


def plain_arguments(program: Any, arguments: Sequence[Any]) -> list[Any]:
    """The arguments as numbers, lists of them, or arrays; all that fit the program's groups.

    What is no number, and what does not fit, is a `ShapeError` that names it, and samples that fit
    no array are a `SizeError`, for every target in the same words.
    """
    if len(arguments) != len(program.groups):
        program.check_arguments(arguments)
    for group, argument in zip(program.groups, arguments, strict=True):
        if group.batched:
            _check_size(program, _length(argument), 8 * prod(group.row_shape))
    plain = [
        read_data(argument, f"{program.name}: argument {group.name!r}", ShapeError)
        for group, argument in zip(program.groups, arguments, strict=True)
    ]
    program.check_arguments(
        [
            argument
            if is_array_of(group, argument)
            else getattr(argument, "tolist", lambda a=argument: a)()
            for group, argument in zip(program.groups, plain, strict=True)
        ]
    )
    return plain


def as_floats(program: Program, arguments: Sequence[Any]) -> list[Any]:
    """The arguments as floats and lists of them; a `ShapeError` names what does not fit.

    Arrays, tables and `Value`s are read, integers become floats.
    """
    converted: list[Any] = []
    for group, argument in zip(program.groups, plain_arguments(program, arguments), strict=True):
        if hasattr(argument, "tolist"):
            converted.append(argument.tolist())
        elif group.scalar and not group.batched:
            converted.append(float(argument))
        elif group.scalar or not group.batched:
            converted.append([float(number) for number in argument])
        else:
            converted.append([[float(number) for number in row] for row in argument])
    return converted


def flattened(groups: Sequence[Group], arguments: Sequence[Any]) -> list[Any]:
    """Arguments that are arrays of more than one axis, or samples of such, as rows of numbers."""
    found = []
    for group, argument in zip(groups, arguments, strict=True):
        if len(group.row_shape) > 1:
            flat = (len(argument), -1) if group.batched else (-1,)
            argument = argument.reshape(flat)
        found.append(argument)
    return found


def prepare(program: ArrayFunction | Program) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A function that makes arguments the arrays of numbers which array targets take.

    Shapes that do not fit are a `ShapeError`.
    """
    import numpy

    held = program.held if isinstance(program, ArrayFunction) else []
    dtype = numpy.dtype(program.dtype if isinstance(program, ArrayFunction) else numpy.float64)
    wholes = [group.whole for group in program.groups]
    floor = max((8 * abs(prod(shape)) for shape in held if BATCH in shape), default=0)

    same = _comparison([whole == (0,) for whole in wholes])
    accepted: Any = None

    def prepared(arguments: Sequence[Any]) -> Sequence[Any]:
        nonlocal accepted
        if accepted is not None and len(arguments) == len(wholes) and same(arguments, accepted):
            return arguments
        result = checked(arguments)
        if all(
            new is old or (type(old) is list and not old)
            for new, old in zip(result, arguments, strict=True)
        ):
            accepted = tuple((array.shape, array.dtype) for array in result)
        return result

    def checked(arguments: Sequence[Any]) -> list[Any]:
        given = [_joined(argument) for argument in arguments]
        result = []
        for whole, argument in zip(wholes, plain_arguments(program, given), strict=True):
            array = numpy.asarray(argument, dtype)
            if whole[:1] == (BATCH,):
                if not len(array):
                    array = array.reshape(0, *whole[1:])
                _check_size(program, len(array), floor)
            result.append(array if whole else array[()])
        return result

    return prepared


def _joined(argument: Any) -> Any:
    """Parameters of which some are arrays, as the vector of all their numbers."""
    if not isinstance(argument, (list, tuple)) or not hasattr(next(iter(argument), 0), "op_rank"):
        return argument
    import numpy

    data: list[Any] = [getattr(item, "data", item) for item in argument]
    if not any(numpy.ndim(item) for item in data):
        return data
    return numpy.concatenate([numpy.ravel(item) for item in data])


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


def _comparison(empty: Sequence[bool]) -> Callable[[Sequence[Any], Any], bool]:
    """A function that tells whether the arguments are arrays of known shapes and types.

    Every call of a compiled function begins with it; it has no loop, which would take most of its
    time. What is `empty` may be an empty list too, as the state of an optimizer without any is.
    """
    import numpy

    array = "type({0}) is ndarray and {0}.dtype is s{0}[1] and {0}.shape == s{0}[0]"
    nothing = "(type({0}) is list and not {0} or " + array + ")"
    names = [f"a{i}" for i in range(len(empty))]
    tests = [(nothing if e else array).format(a) for a, e in zip(names, empty, strict=True)]
    source = (
        f"def same(arguments, known):\n"
        f"    {''.join(f'{name}, ' for name in names)}= arguments\n"
        f"    {''.join(f's{name}, ' for name in names)}= known\n"
        f"    return {' and '.join(tests)}\n"
    )
    namespace: dict[str, Any] = {"ndarray": numpy.ndarray}
    exec(source, namespace)
    same: Callable[[Sequence[Any], Any], bool] = namespace["same"]
    return same


def _length(argument: Any) -> int:
    """How many samples an argument has, as far as it says so; else 0."""
    shape = getattr(argument, "shape", None)
    if isinstance(shape, tuple) and shape and isinstance(shape[0], int):
        return shape[0]
    return len(argument) if isinstance(argument, (list, tuple)) else 0


def _check_size(program: ArrayFunction | Program, samples: int, size: int) -> None:
    """A `SizeError` where an array of so many bytes for each sample is too large."""
    if samples * size > MAX_BYTES:
        raise SizeError(
            f"{program.name}: {samples:,} samples need an array of {samples * size:,} bytes; the "
            f"limit for one array is {MAX_BYTES:,} bytes: pass fewer samples at a time"
        )
