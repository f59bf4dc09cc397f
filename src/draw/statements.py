"""Pictures of array programs: a box for each array, with the statement that computes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..arrays.statements import LITERAL, Array, ArrayProgram
from ..ops.shapes import BATCH
from .boxes import DERIVED, caption, check_size, escape, record

if TYPE_CHECKING:
    import graphviz


def draw_statements(picture: graphviz.Digraph, program: ArrayProgram) -> None:
    """One box for each array that is read or computed, and an edge for each that is read."""
    read = {read.array for statement in program.statements for read in statement.reads}
    shown = list(dict.fromkeys([*read, *(s.array for s in program.statements)]))
    shown = [name for name in program.arrays if name in shown]
    check_size(len(shown))
    box = {name: f"n{place}" for place, name in enumerate(shown)}
    ends = {output.array for output in program.outputs}
    texts: dict[str, list[str]] = {}
    for statement in program.statements:
        texts.setdefault(statement.array, []).append(str(statement))
    for name in shown:
        array = program.arrays[name]
        cells = [escape(text) for text in texts.get(name, [name])]
        style = DERIVED if array.adjoint else {}
        record(picture, box[name], [*cells, _shape(array)], style, end=name in ends, array=True)
    for statement in program.statements:
        style = DERIVED if program.arrays[statement.array].adjoint else {}
        for source in dict.fromkeys(read.array for read in statement.reads):
            picture.edge(box[source], box[statement.array], **style)
    caption(picture, "rounded: an array; a thicker border: an output; dashed: derived")


def _shape(array: Array) -> str:
    if array.kind == LITERAL and not array.shape:
        return escape(array.values[0])
    lengths = ["batch" if length == BATCH else str(length) for length in array.shape]
    return escape(" × ".join(lengths) or "number")
