"""Arguments of compiled NumPy functions: anything of the right shape, made an array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from ...errors import SizeError
from ...ops.shapes import BATCH, MAX_BYTES, Shape
from .program import ArrayProgram


def prepare(program: ArrayProgram) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A function that makes arguments the arrays of numbers which the compiled function takes.

    Shapes that do not fit are a `ShapeError`.
    """
    import numpy

    dtype = numpy.dtype(program.dtype)
    wholes = [group.whole for group in program.groups]
    floor = max((8 * abs(prod(s)) for s in program.shapes.values() if BATCH in s), default=0)

    def fits(array: Any, whole: Shape) -> bool:
        shape = array.shape
        if whole and whole[0] == BATCH:
            return len(shape) == len(whole) and shape[1:] == whole[1:]
        return bool(shape == whole)

    same = _comparison(len(wholes))
    accepted: Any = None

    def prepared(arguments: Sequence[Any]) -> Sequence[Any]:
        nonlocal accepted
        if accepted is not None and len(arguments) == len(wholes) and same(arguments, accepted):
            return arguments
        result = checked(arguments)
        if all(new is old for new, old in zip(result, arguments, strict=True)):
            accepted = tuple((array.shape, array.dtype) for array in result)
        return result

    def checked(arguments: Sequence[Any]) -> list[Any]:
        if len(arguments) != len(wholes):
            program.check_arguments(arguments)
        result = []
        samples = None
        for argument, whole in zip(arguments, wholes, strict=True):
            array = argument
            if type(array) is not numpy.ndarray or array.dtype != dtype:
                array = _as_array(argument, dtype, program, arguments)
            if not fits(array, whole):
                program.check_arguments(arguments)
            if whole[:1] == (BATCH,):
                if samples is None:
                    samples = len(array)
                    if samples * floor > MAX_BYTES:
                        raise _too_large(program, samples, floor)
                elif samples != len(array):
                    program.check_arguments(arguments)
            result.append(array if whole else array[()])
        return result

    return prepared


def _comparison(count: int) -> Callable[[Sequence[Any], Any], bool]:
    """A function that tells whether `count` arguments are arrays of known shapes and types.

    Every call of a compiled function begins with it; it has no loop, which would take most of its
    time.
    """
    import numpy

    one = "type({0}) is ndarray and {0}.dtype is s{0}[1] and {0}.shape == s{0}[0]"
    names = [f"a{i}" for i in range(count)]
    source = (
        f"def same(arguments, known):\n"
        f"    {''.join(f'{name}, ' for name in names)}= arguments\n"
        f"    {''.join(f's{name}, ' for name in names)}= known\n"
        f"    return {' and '.join(one.format(name) for name in names)}\n"
    )
    namespace: dict[str, Any] = {"ndarray": numpy.ndarray}
    exec(source, namespace)
    same: Callable[[Sequence[Any], Any], bool] = namespace["same"]
    return same


def _as_array(argument: Any, dtype: Any, program: ArrayProgram, arguments: Sequence[Any]) -> Any:
    import numpy

    try:
        if isinstance(argument, (list, tuple)) and argument and hasattr(argument[0], "op_rank"):
            argument = [getattr(item, "data", item) for item in argument]
            if any(numpy.ndim(item) for item in argument):
                argument = numpy.concatenate([numpy.ravel(item) for item in argument])
        elif hasattr(argument, "op_rank"):
            argument = argument.data
        return numpy.asarray(argument, dtype)
    except (TypeError, ValueError):
        program.check_arguments(arguments)
        raise


def _too_large(program: ArrayProgram, samples: int, floor: int) -> SizeError:
    return SizeError(
        f"{program.name}: {samples:,} samples need an array of {samples * floor:,} bytes; the "
        f"limit for one array is {MAX_BYTES:,} bytes: pass fewer samples at a time"
    )
