"""Arrays as users write them, as statements: what each operation means, put together.

Every node of a graph of arrays becomes the assignments that its operation's record means, on the
arrays that its operands are. What only moves elements, as a transpose or a slice, is read where it
is needed instead; what is not needed is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from ..graph.expr import Graph
from ..graph.store import is_name, live_nodes
from ..graph.unroll import element_names
from ..ops.meanings import OUT, Numbers, filled, meaning_of
from ..ops.reads import (
    Affine,
    Apply,
    Assignment,
    Condition,
    Index,
    Operand,
    Read,
    Reduce,
    Term,
    Value,
    composed,
    mapped,
    mapped_condition,
)
from ..ops.scalar import ADD, MUL, NEG, SUB
from ..ops.shapes import Shape
from .axes import lettered
from .naming import Names
from .statements import LEAF, LITERAL, Array, ArrayProgram, Home, Output, Statement


class Argument(NamedTuple):
    """An argument of the function that a program is to be: its leaves, their shapes.

    alone   whether it is the one leaf as it is; otherwise it is the vector of all elements of its
            leaves, one leaf after another
    """

    name: str
    leaves: tuple[str, ...]
    shapes: tuple[Shape, ...]
    alone: bool


def written_program(
    graph: Graph, roots: Sequence[int], arguments: Sequence[Argument] = ()
) -> ArrayProgram:
    """The program that computes some nodes of a graph of arrays and scalars, an output for each.

    arguments  what the function takes; leaves that none of them has contribute the values they
               carry, and are arrays of their own where they carry none

    >>> g = Graph(); W, x, b = g.array("W", (2, 3)), g.array("x", 3), g.array("b", 2)
    >>> print(written_program(g, [(W.T[::-1].T @ x + b).tanh().id]))
    t6[i] = tanh(Σ_j W[i, -j + 2]·x[j] + b[i])
    """
    writing = _Writing(graph, arguments)
    live = live_nodes(graph, roots)
    for node in live:
        writing.write(node)
    return writing.program(roots)


@dataclass
class _Writing:
    """A program while it is written.

    names   by node, its array
    copies  by array, the assignment that says whose elements it has, where that is all it is
    """

    graph: Graph
    arguments: Sequence[Argument]
    arrays: dict[str, Array] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    copies: dict[str, Assignment] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.free, self.made = Names(), 0
        self.leaves: dict[str, str] = {}
        for argument in self.arguments:
            self.free.new(argument.name)
        for argument in self.arguments:
            self._open(argument)

    def _open(self, argument: Argument) -> None:
        """The arrays of an argument's leaves."""
        shapes = argument.shapes or ((),) * len(argument.leaves)
        if argument.alone:
            leaf, shape = argument.leaves[0], shapes[0]
            elements = () if leaf == argument.name else element_names(leaf, shape)
            self.arrays[argument.name] = Array(argument.name, shape, LEAF, elements)
            self.leaves[leaf] = argument.name
            return
        parts = [
            element_names(leaf, shape) for leaf, shape in zip(argument.leaves, shapes, strict=True)
        ]
        elements = tuple([element for part in parts for element in part])
        self.arrays[argument.name] = Array(argument.name, (len(elements),), LEAF, elements)
        start = 0
        for leaf, shape, part in zip(argument.leaves, shapes, parts, strict=True):
            name = self.leaves[leaf] = self.free.new(leaf)
            home = Home(argument.name, tuple(range(start, start + len(part))))
            self.arrays[name] = Array(name, shape, LEAF, part, home=home)
            start += len(part)

    def shape(self, node: int) -> Shape:
        """The shape of a node."""
        return self.graph.shapes.get(node, ())

    def write(self, node: int) -> None:
        """The array of a node, with the statements that compute it."""
        graph = self.graph
        if not graph.operands[node]:
            self._leaf(node)
            return
        own = [self.shape(operand) for operand in graph.operands[node]]
        statics = graph.statics.get(node, ())
        meaning = meaning_of(graph.ops[node], self.shape(node), own, statics)
        known: dict[str, str | float] = {
            str(place): self._of(operand) for place, operand in enumerate(graph.operands[node])
        }
        alone = sum(assignment.array == OUT for assignment in meaning) == 1
        for assignment in meaning:
            if isinstance(assignment, Numbers):
                known[assignment.array] = self._numbers(assignment)
                continue
            if assignment.array not in known:
                known[assignment.array] = self._array(node, assignment)
            name = known[assignment.array]
            assert isinstance(name, str)
            made = self._statement(name, assignment, known)
            self.statements.append(made)
            if alone and _is_copy(made):
                self.copies[name] = made

    def _leaf(self, node: int) -> None:
        graph, shape = self.graph, self.shape(node)
        label = graph.labels.get(node, "")
        if label in self.leaves:
            self.names[node] = self.leaves[label]
            return
        value = graph.value(node)
        if value is not None and not shape:
            return
        name = self.names[node] = self.free.new(label or "c")
        if value is None:
            self.arrays[name] = Array(name, shape, LEAF)
        else:
            self.arrays[name] = Array(name, shape, LITERAL, values=tuple(value.ravel().tolist()))

    def _of(self, node: int) -> str | float:
        """The array of a node, or the number that it is."""
        return self.names[node] if node in self.names else float(self.graph.value(node))

    def _numbers(self, given: Numbers) -> str:
        """A new array for the numbers that assignments read."""
        name = self.free.new(given.array)
        self.arrays[name] = Array(name, given.shape, LITERAL, values=given.values)
        return name

    def _array(self, node: int, assignment: Assignment) -> str:
        """A new array for what an assignment writes."""
        if assignment.array != OUT:
            name = self.free.new(assignment.array)
            self.arrays[name] = Array(name, filled(assignment))
            return name
        graph = self.graph
        primal = self.names.get(graph.adjoint_of.get(node, -1))
        label = graph.labels.get(node, "")
        self.made += 1
        wish = label if is_name(label) else f"d{primal}" if primal else f"t{self.made}"
        name = self.names[node] = self.free.new(wish)
        self.arrays[name] = Array(name, self.shape(node), adjoint=primal)
        return name

    def _statement(
        self, name: str, assignment: Assignment, known: Mapping[str, str | float]
    ) -> Statement:
        def operand(read: Read) -> Operand:
            array = known[read.array]
            if not isinstance(array, str):
                return array
            return self._read(Read(array, tuple(map(self._index, read.index))))

        value = mapped(assignment.value, operand, self._condition)
        if isinstance(value, Apply):
            value = _summed(value)
        place = assignment.place
        return Statement(
            name,
            assignment.axes,
            value,
            None if place is None else tuple(map(self._index, place)),
            tuple(map(self._condition, assignment.domain)),
        )

    def _index(self, index: Index) -> Index:
        return self.free.index(index, "" if isinstance(index, Affine) else index.name)

    def _condition(self, condition: Condition) -> Condition:
        return mapped_condition(condition, self._index)

    def _read(self, read: Read) -> Read:
        """The same element where it comes from, if its array only has elements of another."""
        copy = self.copies.get(read.array)
        if copy is None:
            return read
        axes = {axis.name: index for axis, index in zip(copy.axes, read.index, strict=True)}
        (source,) = copy.reads
        found = [composed(index, axes) for index in source.index if isinstance(index, Affine)]
        inside = [index for index in found if index is not None]
        return Read(source.array, tuple(inside)) if len(inside) == len(found) else read

    def program(self, roots: Sequence[int]) -> ArrayProgram:
        """The program of what has been written and is needed for some nodes."""
        outputs = [Output(self._output(root)) for root in roots]
        statements = _needed(self.statements, [output.array for output in outputs])
        used = {read.array for s in statements for read in s.reads}
        used.update(s.array for s in statements)
        used.update(output.array for output in outputs)
        arrays = {}
        for name, array in self.arrays.items():
            given = name in {argument.name for argument in self.arguments} or array.home
            if name in used or given:
                primal = array.adjoint if array.adjoint in used else None
                arrays[name] = replace(array, adjoint=primal)
        names = tuple([a.name for a in self.arguments if not a.alone])
        return ArrayProgram(arrays, lettered(statements, arrays), tuple(outputs), names)

    def _output(self, root: int) -> str:
        if root in self.names:
            return self.names[root]
        name = self.names[root] = self.free.new("c")
        number = float(self.graph.value(root))
        self.arrays[name] = Array(name, (), LITERAL, values=(number,))
        return name


_SIGNS: Final = {ADD: (1, 1), SUB: (1, -1), NEG: (-1,)}


def _summed(value: Apply) -> Value:
    """Sums and products as terms, in which statements write them."""
    if value.op is MUL:
        return Reduce(ADD, (Term(1, value.operands),))
    if value.op in _SIGNS:
        pairs = zip(_SIGNS[value.op], value.operands, strict=True)
        return Reduce(ADD, tuple([Term(sign, (operand,)) for sign, operand in pairs]))
    return value


def _is_copy(statement: Assignment) -> bool:
    """Whether it only says at which places of another array the elements are, by affine maps."""
    value = statement.value
    if not isinstance(value, Reduce) or len(value.terms) != 1:
        return False
    (term,) = value.terms
    plain = term.count == 1 and not (term.over or term.domain or statement.domain)
    read = term.factors[0]
    return (
        (plain and len(term.factors) == 1 and statement.place is None)
        and isinstance(read, Read)
        and all(isinstance(index, Affine) for index in read.index)
    )


def _needed(statements: Sequence[Statement], wanted: Iterable[str]) -> list[Statement]:
    """The statements that some arrays are computed by, in order."""
    needed = set(wanted)
    found = []
    for statement in reversed(statements):
        if statement.array in needed:
            needed.update(read.array for read in statement.reads)
            found.append(statement)
    return found[::-1]
