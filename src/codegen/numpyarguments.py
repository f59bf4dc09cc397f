"""Arguments of compiled NumPy functions: anything of the right shape, made an array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from ..errors import SizeError
from ..graph.shapes import BATCH, MAX_BYTES, Shape
from .arrayprogram import ArrayProgram


def prepare(program: ArrayProgram) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A function that makes arguments the arrays of numbers which the compiled function takes.

    Shapes that do not fit are a `ShapeError`.
    """
    import numpy

    dtype = numpy.dtype(program.dtype)
    wholes = [group.whole for group in program.groups]
    floor = max((8 * prod(s[1:]) for s in program.shapes.values() if s[:1] == (BATCH,)), default=0)
    several = sum(group.batched for group in program.groups) > 1

    def fits(array: Any, whole: Shape) -> bool:
        shape = array.shape
        if whole and whole[0] == BATCH:
            return len(shape) == len(whole) and shape[1:] == whole[1:]
        return bool(shape == whole)

    accepted: Any = None

    def prepared(arguments: Sequence[Any]) -> Sequence[Any]:
        nonlocal accepted
        known = [
            (type(a), a.shape, a.dtype) if type(a) is numpy.ndarray else None for a in arguments
        ]
        if known == accepted:
            return arguments
        result = checked(arguments)
        if all(new is old for new, old in zip(result, arguments, strict=True)):
            accepted = known
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
                elif several and samples != len(array):
                    program.check_arguments(arguments)
            result.append(array if whole else array[()])
        return result

    return prepared


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
