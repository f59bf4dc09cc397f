"""Outputs that are several arrays, one after another, as one vector that they are parts of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from ...arrays.statements import COMPUTED, Array, ArrayProgram, Home, Output, Statement
from ...ops.reads import Axis
from ...ops.shapes import BATCH
from ..program import flatten, map_nested
from .flow import Flow, copy, free_name, in_order
from .function import ArrayFunction, Element, Vector, Whole

LONG: Final = 1000
"""As many elements are copied in the time that it takes to make a view and to write into it."""

MANY: Final = 4
"""As many pieces of one array are put out one by one, as slices of it."""


def gathered(
    pieces: Sequence[tuple[str, tuple[int, ...]]],
) -> Iterator[tuple[str, list[int], list[int]]]:
    """The pieces of a vector with where they are put, those of one array at once if it has many.

    >>> list(gathered([("a", (0, 1)), ("b", (0,)), ("a", (2,))]))
    [('a', [0, 1], [0, 1]), ('b', [0], [2]), ('a', [2], [3])]
    """
    count = Counter(name for name, _ in pieces)
    found: dict[object, tuple[str, list[int], list[int]]] = {}
    start = 0
    for number, (name, places) in enumerate(pieces):
        piece = found.setdefault(name if count[name] > MANY else number, (name, [], []))
        piece[1].extend(places)
        piece[2].extend(range(start, start + len(places)))
        start += len(places)
    yield from found.values()


def joined(function: ArrayFunction) -> ArrayFunction:
    """The function with outputs computed where they are put out, as parts of a vector.

    What is put out twice, or a number, is copied there. A vector of short parts is left as it is:
    to make views of it takes longer than copying.
    """
    work = _Joining(function)
    outputs = map_nested(function.outputs, work.output)
    if not work.found:
        return function
    names = dict.fromkeys(name for _, output in flatten(outputs) for name in _arrays(output))
    program = ArrayProgram(
        work.arrays,
        (*function.instructions, *work.copies),
        tuple(map(Output, names)),
        function.program.arguments,
    )
    return replace(function, program=program, outputs=outputs)


def freed(function: ArrayFunction) -> ArrayFunction:
    """The function with arrays that are all there is of a vector that is put out, without that."""
    program, flow = function.program, Flow(function.program)
    single: dict[str, str] = {}
    for array in program.arrays.values():
        vector = program.arrays[array.home.vector] if array.home else array
        own = vector.kind == COMPUTED and BATCH not in vector.shape
        alone = vector.name not in flow.read and not flow.writers[vector.name]
        if own and alone and array.home == Home(vector.name, tuple(range(vector.size))):
            single[vector.name] = array.name
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


def _arrays(output: Element | Vector | Whole) -> list[str]:
    if not isinstance(output, Vector):
        return [output.array]
    return [name for name, _ in output.pieces]


class _Joining:
    def __init__(self, function: ArrayFunction) -> None:
        program = function.program
        self.arrays = dict(program.arrays)
        self.copies: list[Statement] = []
        self.found = False
        self._uses = Counter(n for _, o in flatten(function.outputs) for n in _arrays(o))
        whole = {s.array for s in program.statements if s.place is None and not s.domain}
        writers = Flow(program).writers
        self._single = {name for name in whole if len(writers[name]) == 1}

    def output(self, output: Element | Vector | Whole) -> Element | Vector | Whole:
        """A vector as one array, if it is whole arrays one after another."""
        if not isinstance(output, Vector) or output.stacked or len(output.pieces) < 2:
            return output
        for name, places in output.pieces:
            array = self.arrays[name]
            if BATCH in array.shape or list(places) != list(range(array.size)):
                return output
        if max(len(places) for _, places in output.pieces) < LONG:
            return output
        self.found = True
        vector, start = free_name(output.name or "out", self.arrays), 0
        self.arrays[vector] = Array(vector, (output.length,))
        for name, places in output.pieces:
            self._put(name, Home(vector, tuple(range(start, start + len(places)))))
            start += len(places)
        return replace(output, pieces=((vector, tuple(range(start))),))

    def _put(self, name: str, home: Home) -> None:
        array = self.arrays[name]
        own = array.kind == COMPUTED and array.home is None and array.size > 1
        if own and name in self._single and self._uses[name] == 1:
            self.arrays[name] = replace(array, home=home)
            return
        part = free_name(f"{name}_part", self.arrays)
        self.arrays[part] = Array(part, array.shape, home=home)
        axes = [Axis(f"i{k}", length) for k, length in enumerate(array.shape)]
        self.copies.append(copy(part, axes, in_order(name, axes)))
