"""The native target: machine code for the processor at hand, compiled by LLVM in the process.

Arithmetic is that of the program, operation by operation, rounded as IEEE 754 says; functions such
as tanh are computed by arithmetic too, within 2 units in the last place. Where an argument is an
array, flat lists of outputs come back as arrays, else as lists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from ..arguments import as_floats
from ..program import Program
from ..target import Source, Target
from . import emit as ir
from .caller import function_of
from .code import Code, compiled
from .host import host


def emit(program: Program) -> Source:
    """The program as LLVM IR for this processor, and as machine code.

    Without llvmlite that is a `MissingExtraError`.
    """
    source = ir.emit(program, host().fused)
    return replace(source, binary=compiled(source))


def load(source: Source) -> Callable[..., Any]:
    """The function of `source`, compiled. Its code is freed with it."""
    code = Code(source)
    return function_of(code, source.function) or code.call


def prepare(program: Program) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A function that makes arguments floats, lists of them and arrays of float64."""

    def prepared(arguments: Sequence[Any]) -> Sequence[Any]:
        plain = as_floats(program, arguments)
        return [
            _as_array(number) if hasattr(argument, "__array_interface__") else number
            for argument, number in zip(arguments, plain, strict=True)
        ]

    return prepared


def _as_array(numbers: Any) -> Any:
    import numpy

    return numpy.array(numbers, numpy.float64) if isinstance(numbers, list) else numbers


TARGET: Final = Target(
    name="native",
    emit=emit,
    emit_careful=lambda program: None,
    load=load,
    prepare=prepare,
    direct=True,
    machine=lambda: repr(host()),
)
"""The target's record."""
