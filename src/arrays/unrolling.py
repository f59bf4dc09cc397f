"""`unroll`: put the indices back, and compare with the scalar graph that a program was found in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ShapeError
from ..graph.expr import Graph
from ..ops.record import Op
from ..ops.scalar import ADD, MUL, NEG, SUB
from .canonical import fingerprints, operations
from .points import Columns, extended, flat_places, points
from .reads import Apply, Operand, Read, Reduce, Term
from .statements import LEAF, LITERAL, ArrayProgram, Statement


def unroll_program(program: ArrayProgram, leaves: Graph | None = None) -> Graph:
    """The scalar graph that a program stands for; its outputs are the program's, one by one.

    leaves   a graph with leaves of the same names, whose kinds and values are taken over; without
             it they are inputs

    A program with samples is unrolled for one of them.
    """
    return _Unroller(program, leaves).graph


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


_MISSING = -1


class _Unroller:
    """Makes the nodes of a program, array by array."""

    def __init__(self, program: ArrayProgram, leaves: Graph | None) -> None:
        self.graph = Graph()
        self._program, self._leaves = program, leaves
        self._nodes: dict[str, Any] = {}
        for array in program.arrays.values():
            if array.kind == LITERAL:
                self._nodes[array.name] = self._array(
                    [self.graph.constant(value).id for value in array.values]
                )
        for statement in program.statements:
            self._unroll(statement)
        outputs: list[int] = []
        for name, places in program.outputs:
            nodes = self._of(name)
            outputs += (nodes if places is None else nodes[list(places)]).tolist()
        if _MISSING in outputs:
            raise ShapeError("an output is an element that no statement writes")
        self.graph.outputs = tuple(outputs)

    def _array(self, nodes: Sequence[int]) -> Any:
        import numpy

        return numpy.array(nodes, numpy.int64)

    def _of(self, name: str) -> Any:
        """The nodes of an array in C order."""
        import numpy

        if name in self._nodes:
            return self._nodes[name]
        array = self._program.arrays[name]
        if array.kind == LEAF:
            self._nodes[name] = self._array([self._leaf(e) for e in array.elements])
            return self._nodes[name]
        nodes = numpy.full(array.size, _MISSING)
        for part in self._program.parts(name):
            if part.home is not None and part.name in self._nodes:
                nodes[list(part.home.places)] = self._nodes[part.name]
        return nodes

    def _leaf(self, name: str) -> int:
        if name in self.graph.leaves:
            return self.graph.leaves[name]
        if self._leaves is None:
            return self.graph.input(name).id
        return self.graph.copy_leaf(self._leaves, self._leaves.leaves[name])

    def _unroll(self, statement: Statement) -> None:
        import numpy

        array = self._program.arrays[statement.array]
        columns = points(statement.axes, statement.domain)
        value = statement.value
        if isinstance(value, Apply):
            operands = [self._operand(operand, columns) for operand in value.operands]
            append = self.graph.append
            made = [append(value.op, inner, value.statics) for inner in zip(*operands, strict=True)]
        else:
            made = self._reduced(value, columns)
        nodes = self._nodes.setdefault(array.name, numpy.full(array.size, _MISSING))
        places = flat_places(statement.target, array.shape, columns)
        if (nodes[places] != _MISSING).any() or len(numpy.unique(places)) != len(places):
            raise ShapeError(f"{statement} writes an element that is written already")
        nodes[places] = made

    def _operand(self, operand: Operand, columns: Columns) -> list[int]:
        count = len(columns[""])
        if not isinstance(operand, Read):
            return [self.graph.constant(operand).id] * count
        shape = self._program.arrays[operand.array].shape
        found = self._of(operand.array)[flat_places(operand.index, shape, columns)].tolist()
        if _MISSING in found:
            raise ShapeError(f"reads elements of {operand.array} that no statement writes")
        return found  # type: ignore[no-any-return]

    def _reduced(self, value: Reduce, columns: Columns) -> list[int]:
        graph = self.graph
        totals: list[int | None] = [None] * len(columns[""])
        for term in value.terms:
            inner, rows = extended(columns, term.over, term.domain)
            nodes = self._products(term, inner)
            for row, node in zip(rows.tolist(), nodes, strict=True):
                for _ in range(abs(term.count)):
                    totals[row] = self._joined(value.op, totals[row], node, term.count)
        zero = None if None not in totals else graph.constant(0.0).id
        return [zero if total is None else total for total in totals]  # type: ignore[misc]

    def _joined(self, op: Op, total: int | None, node: int, sign: int) -> int:
        append = self.graph.append
        if total is None:
            return node if sign > 0 else append(NEG, (node,))
        if op is ADD and sign < 0:
            op = SUB
        return append(op, (total, node))

    def _products(self, term: Term, columns: Columns) -> list[int]:
        append = self.graph.append
        first, *more = [self._operand(factor, columns) for factor in term.factors]
        for other in more:
            first = [append(MUL, pair) for pair in zip(first, other, strict=True)]
        return first
