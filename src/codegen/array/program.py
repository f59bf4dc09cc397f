"""`ArrayProgram`: straight-line code on whole arrays, and its reference interpreter.

Where a `Program` runs once per sample, an `ArrayProgram` over a batch runs once: its arrays have a
leading axis of samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...ops.indexing import Index
from ...ops.record import evaluate_arrays
from ...ops.shapes import BATCH, Shape, shape_text
from ..program import Group, Instruction, Nested, Operand, check_arguments, map_nested

if TYPE_CHECKING:
    import numpy


@dataclass(frozen=True, slots=True)
class ArrayGroup(Group):
    """One argument; `row` is its shape, without the axis of samples if it is batched."""

    row: Shape

    @property
    def row_shape(self) -> Shape:
        """The shape of the argument, or of one of its rows where it is batched."""
        return self.row

    @property
    def whole(self) -> Shape:
        """The shape of the argument, `BATCH` first if it is batched."""
        return (BATCH, *self.row) if self.batched else self.row


@dataclass(frozen=True, slots=True)
class View:
    """A variable that is part of an argument: its elements are those of each row at `index`."""

    name: str
    group: ArrayGroup
    index: Index

    @property
    def shape(self) -> Shape:
        """The shape of the variable."""
        return (BATCH, *self.index.shape) if self.group.batched else self.index.shape


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a flat output: the elements of `operand` at `source`, to the positions `place`."""

    operand: Operand
    source: Index
    place: Index


@dataclass(frozen=True, slots=True)
class Flat:
    """A sequence of outputs as one vector of `length` numbers, put together from pieces.

    With `stacked` each number is a row over the samples.
    """

    name: str
    length: int
    pieces: tuple[Piece, ...]
    stacked: bool = False


@dataclass(frozen=True)
class ArrayProgram:
    """A function on arrays as straight-line code.

    groups        the arguments
    views         variables that are parts of arguments, to be unpacked first
    constants     arrays that are written in the formula, by variable
    instructions  the operations in order; `shapes` has the shapes of their variables
    outputs       the results, nested as the caller nested them: operands and `Flat`s
    dtype         what targets compute in: "float64" or "float32"
    notes         what a reader should know of a variable
    passes        what rewrites of the arrays did, each in a record
    """

    name: str
    groups: tuple[ArrayGroup, ...]
    views: tuple[View, ...]
    constants: dict[str, Any]
    instructions: tuple[Instruction, ...]
    shapes: dict[str, Shape]
    outputs: Nested
    dtype: str = "float64"
    notes: Mapping[str, str] = field(default_factory=dict)
    passes: tuple[Any, ...] = ()

    @property
    def batched(self) -> bool:
        """Whether any argument has a sample axis."""
        return any(group.batched for group in self.groups)

    def counts(self) -> Counter[str]:
        """How many instructions there are of each operation, the most frequent first."""
        return Counter(instruction.op.name for instruction in self.instructions)

    def __repr__(self) -> str:
        arguments = ", ".join(group.name for group in self.groups)
        count = len(self.instructions)
        return f"<ArrayProgram {self.name}({arguments}): {count:,} instructions>"

    def __str__(self) -> str:
        lines = [f"{self.name}({', '.join(group.argument for group in self.groups)})"]
        lines += [f"  {v.name} = {v.group.argument}{list(v.shape)}" for v in self.views]
        lines += [f"  {i}  {shape_text(self.shapes[i.name])}" for i in self.instructions]
        return "\n".join([*lines, f"return {map_nested(self.outputs, _output_text)}"])

    def run(self, *arguments: Any) -> Any:
        """Interpret the program: one operation of the table per instruction, on NumPy arrays.

        The reference that array targets are compared with.
        """
        import numpy

        self.check_arguments(arguments)
        values: dict[str, Any] = dict(self.constants)
        rows = {
            group.name: numpy.asarray(argument, numpy.float64)
            for group, argument in zip(self.groups, arguments, strict=True)
        }
        for view in self.views:
            values[view.name] = _chosen(rows[view.group.name], view.index, view.group.batched)
        for instruction in self.instructions:
            operands = [_read(values, operand) for operand in instruction.operands]
            values[instruction.name] = evaluate_arrays(
                instruction.op, operands, instruction.statics
            )
        return map_nested(self.outputs, lambda output: self._result(values, output))

    def _result(self, values: dict[str, Any], output: Any) -> Any:
        import numpy

        if not isinstance(output, Flat):
            return _read(values, output)
        samples = next((len(values[view.name]) for view in self.views if view.group.batched), 0)
        flat = numpy.empty((output.length, samples) if output.stacked else output.length)
        for piece in output.pieces:
            part = numpy.asarray(_read(values, piece.operand))
            if self.shapes.get(str(piece.operand), ())[:1] == (BATCH,):
                rows = part.reshape(len(part), -1).T[piece.source.array]
            else:
                rows = part.ravel()[piece.source.array]
                rows = rows[..., None] if output.stacked else rows
            flat[piece.place.array] = rows
        return flat

    def check_arguments(self, arguments: Sequence[Any]) -> None:
        """A `ShapeError` that names the argument, and the row, unless all fit their groups."""
        check_arguments(self.name, self.groups, arguments)


def _chosen(array: Any, index: Index, batched: bool) -> numpy.ndarray[Any, Any]:
    if batched:
        return array.reshape(len(array), -1)[:, index.array]  # type: ignore[no-any-return]
    return array.ravel()[index.array]  # type: ignore[no-any-return]


def _read(values: dict[str, Any], operand: Operand) -> Any:
    return values[operand] if isinstance(operand, str) else operand


def _output_text(output: Any) -> Any:
    return f"{output.name}[{output.length}]" if isinstance(output, Flat) else output
