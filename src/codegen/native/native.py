"""The native target: machine code for the processor at hand, compiled by LLVM in the process.

Arithmetic is that of the program, operation by operation, rounded as IEEE 754 says; functions such
as tanh are computed by arithmetic too, within 2 units in the last place. Where an argument is an
array, flat lists of outputs come back as arrays, else as lists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from ..arguments import as_floats
from ..arguments import prepare as arrays_of
from ..array.function import ArrayFunction
from ..program import Group, Program
from ..target import Source, Target
from . import emit as ir
from .arrays import emit_arrays
from .caller import code_of, function_of
from .code import Code, compiled, told
from .host import compiler, host

LOOPS: Final = 1_500
"""A graph of so many nodes, if it is regular, becomes loops over arrays; a smaller one a line for
each operation."""


def emit(program: Program | ArrayFunction) -> Source:
    """The program as LLVM IR for this processor, and as machine code.

    Without llvmlite that is a `MissingExtraError`.
    """
    here = host()
    if isinstance(program, ArrayFunction):
        source = emit_arrays(program, here.fused, here.registers)
    else:
        source = ir.emit(program, here.fused)
    return replace(source, binary=compiled(source))


def load(source: Source) -> Callable[..., Any]:
    """The function of `source`, compiled. Its code is freed with it."""
    code = Code(source)
    return function_of(code, source.function) or code.call


def prepare(program: Program | ArrayFunction) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A function that makes arguments floats, lists of them and arrays of the code's numbers."""
    if isinstance(program, ArrayFunction):
        shaped = any(group.scalar and group.row for group in program.groups)
        if program.survey is None or program.dtype == "float32" or shaped:
            return _arrays(program)

    def prepared(arguments: Sequence[Any]) -> Sequence[Any]:
        plain = as_floats(cast(Any, program), arguments)
        return [
            _as_array(number, group) if hasattr(argument, "__array_interface__") else number
            for argument, number, group in zip(arguments, plain, program.groups, strict=True)
        ]

    return prepared


def joined(
    function: Callable[..., Any], otherwise: Callable[..., Any]
) -> Callable[..., Any] | None:
    """The loaded function as one that asks another where arguments are not seen to fit."""
    code = code_of(function)
    return function_of(code, function.__name__, otherwise) if code else None


def _arrays(function: ArrayFunction) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A function that makes arguments floats, and arrays as they lie in memory."""
    import numpy

    checked = arrays_of(function)
    alone = [not group.whole for group in function.groups]

    def prepared(arguments: Sequence[Any]) -> Sequence[Any]:
        return [
            float(array) if single else numpy.require(array, requirements=["C", "A"])
            for array, single in zip(checked(arguments), alone, strict=True)
        ]

    return prepared


def _as_array(numbers: Any, group: Group) -> Any:
    import numpy

    if not isinstance(numbers, list):
        return numbers
    shape = (len(numbers), *group.row_shape) if group.batched else group.row_shape
    return numpy.array(numbers, numpy.float64).reshape(shape)  # no rows have no length


TARGET: Final = Target(
    name="native",
    emit=emit,
    emit_careful=lambda program: None,
    load=load,
    prepare=prepare,
    joined=joined,
    rolled_from=LOOPS,
    told=told,
    machine=lambda: f"{host()} {compiler()}",
)
"""The target's record."""
