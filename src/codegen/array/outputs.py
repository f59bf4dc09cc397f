"""Outputs of one array, put out as it is and not as the only part of a vector."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ...arrays.statements import COMPUTED, Home
from ...ops.shapes import BATCH
from ..program import map_nested
from .function import ArrayFunction, Element, Vector, Whole


def freed(function: ArrayFunction) -> ArrayFunction:
    """The function with arrays that are all there is of a vector that is put out, without that."""
    program = function.program
    read = {r.array for s in program.statements for r in s.reads}
    own = {array.home.vector: name for name, array in program.arrays.items() if array.home}
    parts = Counter(array.home.vector for array in program.arrays.values() if array.home)
    made = {s.array for s in program.statements}
    single = {
        vector: name
        for vector, name in own.items()
        if vector not in read
        and vector not in made
        and parts[vector] == 1
        and program.arrays[vector].kind == COMPUTED
        and BATCH not in program.arrays[vector].shape
        and program.arrays[name].home == Home(vector, tuple(range(program.arrays[vector].size)))
    }
    if not single:
        return function

    def renamed(output: Element | Vector | Whole) -> Element | Vector | Whole:
        if not isinstance(output, Vector):
            return replace(output, array=single.get(output.array, output.array))
        return replace(output, pieces=tuple([(single.get(n, n), p) for n, p in output.pieces]))

    arrays = {name: a for name, a in program.arrays.items() if name not in single}
    for name in single.values():
        arrays[name] = replace(arrays[name], home=None)
    outputs = tuple([o._replace(array=single.get(o.array, o.array)) for o in program.outputs])
    program = replace(program, arrays=arrays, outputs=outputs)
    return replace(function, program=program, outputs=map_nested(function.outputs, renamed))
