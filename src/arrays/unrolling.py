"""`unroll`: put the indices back, and compare with the scalar graph that a program was found in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ..errors import ShapeError
from ..graph.expr import Graph
from ..graph.unroll import MISSING, Elements, element_names
from ..ops.shapes import BATCH
from .canonical import fingerprints, operations
from .statements import LEAF, LITERAL, Array, ArrayProgram


def unroll_program(
    program: ArrayProgram, leaves: Graph | None = None, samples: Sequence[str] = ("",)
) -> Graph:
    """The scalar graph that a program stands for; its outputs are the program's, one by one.

    leaves    a graph with leaves of the same names, whose kinds and values are taken over; without
              it they are inputs
    samples   where there is an axis of samples: what the names of each sample's leaves end with. An
              output that varies between samples is one for each, next to each other
    """
    return _Unroller(program, leaves, samples).graph


@dataclass(frozen=True)
class ProgramCheck:
    """Whether a program computes what a scalar graph does; true if it does.

    outputs  the numbers of outputs whose expression is not the same up to order
    lost     how many operations of the scalar graph the program does not compute
    added    how many it computes that the scalar graph does not have
    """

    outputs: tuple[int, ...]
    lost: int
    added: int

    def __bool__(self) -> bool:
        return not (self.outputs or self.lost or self.added)

    def __str__(self) -> str:
        if self:
            return "unrolled, the statements are the scalar graph, node for node up to order"
        shown = ", ".join(map(str, self.outputs[:8])) + (", …" if len(self.outputs) > 8 else "")
        return (
            f"unrolled, the statements differ from the scalar graph: {len(self.outputs):,} outputs "
            f"({shown or 'none'}), {self.lost:,} operations lost, {self.added:,} added"
        )


def check_program(graph: Graph, roots: Sequence[int], program: ArrayProgram) -> ProgramCheck:
    """Unroll a program and compare it with the nodes that it was made from.

    They are the same node for node up to order: `canonical` says what that leaves open. A program
    that cannot be unrolled, because it reads what it does not compute, differs in every output.
    """
    try:
        again = unroll_program(program, graph)
    except ShapeError:
        return ProgramCheck(tuple(range(len(roots))), len(graph), 0)
    before = fingerprints(graph, roots)
    after = fingerprints(again, again.outputs)
    old = [before[root] for root in roots]
    new = [after[output] for output in again.outputs]
    count = max(len(old), len(new))
    differing = [i for i in range(count) if old[i : i + 1] != new[i : i + 1]]
    was, now = operations(graph, before), operations(again, after)
    return ProgramCheck(tuple(differing), len(was - now), len(now - was))


class _Unroller(Elements):
    """Makes the nodes of a program, array by array."""

    def __init__(self, program: ArrayProgram, leaves: Graph | None, samples: Sequence[str]) -> None:
        super().__init__(Graph(), len(samples))
        self._program, self._leaves, self._samples = program, leaves, samples
        for array in program.arrays.values():
            self.shapes[array.name] = array.sized(self.samples)
            if array.kind == LITERAL:
                nodes = [self.graph.constant(value).id for value in array.values]
                self.put(array.name, array.shape, nodes)
        for statement in program.statements:
            self.assign(statement)
        outputs: list[int] = []
        for name, places in program.outputs:
            rows = self._rows(program.arrays[name])
            outputs += (rows if places is None else rows[:, list(places)]).T.ravel().tolist()
        if MISSING in outputs:
            raise ShapeError("an output is an element that no statement writes")
        self.graph.outputs = tuple(outputs)

    def _rows(self, array: Array) -> Any:
        """The nodes of an array, a row for each sample; one row where it does not vary."""
        return self.of(array.name).reshape(-1, array.size)

    def of(self, name: str) -> Any:
        """The nodes of an array in C order; a vector consists of its parts."""
        import numpy

        if name in self.nodes:
            return self.nodes[name]
        array = self._program.arrays[name]
        if array.kind == LEAF:
            ends = self._samples if array.shape[:1] == (BATCH,) else ("",)
            row = array.shape[array.shape[:1] == (BATCH,) :]
            elements = array.elements or element_names(name, row)
            self._check_home(array)
            names = [(element, end) for end in ends for element in elements]
            self.put(name, self.shapes[name], [self._leaf(*pair) for pair in names])
            return self.nodes[name]
        nodes = numpy.full(prod(self.shapes[name]), MISSING).reshape(-1, array.size)
        for part in self._program.parts(name):
            if part.home is not None and part.name in self.nodes:
                nodes[:, list(part.home.places)] = self._rows(part)
        return nodes.ravel()

    def _check_home(self, array: Array) -> None:
        """A leaf is told by names here and by places in code: they have to be the same."""
        named = self._program.arrays[array.home.vector].elements if array.home else ()
        if array.home and named and tuple([named[p] for p in array.home.places]) != array.elements:
            raise ShapeError(f"{array.name} lies in {array.home.vector} where other elements are")

    def _leaf(self, name: str, end: str) -> int:
        if name + end in self.graph.leaves:
            return self.graph.leaves[name + end]
        if self._leaves is None or end or name not in self._leaves.leaves:
            return self.graph.input(name + end).id
        return self.graph.copy_leaf(self._leaves, self._leaves.leaves[name])
