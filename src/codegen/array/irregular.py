"""Code for scalars of which few are alike: no arrays, but each operation on a number by itself.

Without samples that is the python target's code between arrays; with them an operation is done on a
column, one number for each sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ...arrays.rolling import Survey
from ..names import Namespace
from ..program import Program
from ..scalar.layout import Listing, separated
from ..scalar.python import can_raise, describe, odd_literals, preamble, source_of
from ..scalar.spelling import CAREFUL, FAST, spelling_of
from ..scalar.writer import Writer
from ..target import Source, definitions

FEW: Final = 100
"""As many shapes are always made statements."""

OFTEN: Final = 4
"""How often a shape has to occur on average where there are more."""

NUMPY: Final = "numpy"


@dataclass(frozen=True)
class LeftAlone:
    """Why scalars are computed one by one."""

    survey: Survey

    def __str__(self) -> str:
        text = str(self.survey).removesuffix(": too irregular for arrays")
        return f"{text}: too irregular for arrays, so that each is computed by itself"


def is_irregular(survey: Survey) -> bool:
    """Whether so few scalars are alike that they are better computed one by one."""
    return survey.shapes > FEW and survey.left < OFTEN * survey.shapes


def emit_numbers(program: Program) -> Source:
    """The program as a Python function on NumPy arrays, an operation on a number or a column.

    Without samples it raises where Python does.
    """
    return _columns(program) if program.batched else _numbers(program, FAST)


def emit_careful(program: Program) -> Source | None:
    """The same as a function that never raises; None when that one never does."""
    if program.batched or not can_raise(program):
        return None
    return _numbers(program, CAREFUL)


def _numbers(program: Program, language: str) -> Source:
    """Python's own numbers, out of arrays and into arrays."""
    writer = _opened(program, language)
    for group in program.groups:
        writer.listing.add(f"{group.argument} = {group.argument}.tolist()", level=1)
    writer.open()
    writer.inputs(1)
    writer.stage(program.once, 1)
    head = "\n".join(filter(None, ["import numpy as np", preamble(program, language)]))
    return source_of(program, language, program.name, _finished(writer), head)


def _columns(program: Program) -> Source:
    """NumPy's functions on columns of samples, and on numbers before and after them."""
    writer = _opened(program, NUMPY)
    listing = writer.listing
    writer.open()
    writer.inputs(1)
    writer.stage(program.once, 1)
    for group in program.groups:
        if group.batched and group.scalar:
            writer.unpack(group, 1)
        elif group.batched:
            names = [f"{leaf}," for leaf in group.leaves]
            listing.enclose("(", names, f") = {group.argument}.T.copy()", 1)
    writer.stage(program.each, 1)
    batched = next(group.argument for group in program.groups if group.batched)
    varying = {i.name for i in program.each}
    varying.update(leaf for g in program.groups if g.batched for leaf in g.leaves)
    for gather in program.gathers:
        text = writer.operand(gather.operand, gather.name)
        if gather.operand in varying:
            code = f"np.array({text.code})" if gather.stacked else f"np.add.reduce({text.code})"
        elif gather.stacked:
            code = f"np.full(len({batched}), {text.code})"
        else:
            code = f"({text.code}) * np.float64(len({batched}))"
        listing.assign(gather.name, "=", code, 1)
    writer.stage(program.after, 1)
    used = {(i.op, i.statics) for i in program.instructions}
    bodies = definitions(
        [spelling_of(op, NUMPY, statics) for op, statics in sorted(used, key=repr)]
    )
    odd = ", ".join(sorted(set(odd_literals(program))))
    imports = f"from math import {odd}\n\nimport numpy as np" if odd else "import numpy as np"
    head = "\n\n\n".join([imports, *bodies])
    return source_of(program, NUMPY, program.name, _finished(writer), head)


def _opened(program: Program, language: str) -> Writer:
    """A writer that has written the head of the function."""
    writer = Writer.of(program, language, taken=["np"])
    if language == NUMPY:
        writer.listing.add('@np.errstate(all="ignore")')
    arguments = separated([group.argument for group in program.groups])
    writer.listing.enclose(f"def {program.name}(", arguments, "):", 0)
    writer.listing.add(*describe(program, language), level=1)
    return writer


def _finished(writer: Writer) -> list[Listing]:
    """The return statement, each sequence of numbers as an array."""
    program = writer.program
    taken = [program.name, "np", *[i.name for i in program.instructions]]
    taken += [gather.name for gather in program.gathers]
    taken += [name for g in program.groups for name in (g.argument, *g.leaves)]
    space = writer.variables.names or Namespace(taken)
    nested = writer.results(program.outputs)
    return writer.finish(_as_arrays(writer, nested, "", space), 1)


def _as_arrays(writer: Writer, nested: Any, name: str, space: Namespace) -> Any:
    if isinstance(nested, Mapping):
        return {key: _as_arrays(writer, value, str(key), space) for key, value in nested.items()}
    if isinstance(nested, str):
        stacked = {gather.name for gather in writer.program.gathers if gather.stacked}
        return nested if nested in stacked else f"np.float64({nested})"
    if not all(isinstance(item, str) for item in nested):
        return [_as_arrays(writer, item, "", space) for item in nested]
    variable = space.take(name, "out")
    writer.listing.enclose(f"{variable} = np.array([", [f"{code}," for code in nested], "])", 1)
    return variable
