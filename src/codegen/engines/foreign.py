"""Arguments that an engine holds are taken as they are, once their shapes are checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...errors import ShapeError
from ..arguments import prepare as prepare_arrays
from ..array.function import ArrayFunction

Adopt = Callable[[Any], Any]
Bring = Callable[[Any, Sequence[Any]], Any]


def prepared_with(
    program: ArrayFunction, kind: Any, adopted: Adopt, brought: Bring
) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A function that makes arguments the engine's arrays.

    kind      the class of those
    adopted   what such an array becomes, the function's type of numbers above all
    brought   what a NumPy array becomes, given the engine's own among the arguments
    """
    import numpy

    prepared = prepare_arrays(program)

    def prepare(arguments: Sequence[Any]) -> Sequence[Any]:
        for group, argument in zip(program.groups, arguments, strict=False):
            if isinstance(argument, kind) and "complex" in str(argument.dtype):
                raise ShapeError(
                    f"{program.name}: argument {group.argument!r} is an array of {argument.dtype}; "
                    "expected real numbers"
                )
        own = [argument for argument in arguments if isinstance(argument, kind)]
        shown = [
            numpy.broadcast_to(numpy.zeros((), program.dtype), tuple(argument.shape))
            if isinstance(argument, kind)
            else argument
            for argument in arguments
        ]
        checked = prepared(shown)
        return [
            adopted(argument) if isinstance(argument, kind) else brought(array, own)
            for argument, array in zip(arguments, checked, strict=True)
        ]

    return prepare
