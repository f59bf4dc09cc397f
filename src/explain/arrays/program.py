"""An expression and its derivatives as one program in index notation, and how it is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import Final

from ...arrays.indexnotation import Inlined, LatexWriter, Writer
from ...arrays.rolling import rolled_nodes
from ...arrays.statements import COMPUTED, LEAF, Array, ArrayProgram, Output, Statement
from ...arrays.written import written_program
from ...derive.backward import grad
from ...graph.expr import Expr, Graph
from ...graph.formula import name_latex
from ...graph.rewrite import extract
from ...ops.reads import Axis, Read, Reduce, Term, along
from ...ops.scalar import ADD
from ...simplify.pipeline import rules_named, simplified
from ..data import Formula

OUTPUT: Final = "L"
"""What an output without a label is called."""


@dataclass(frozen=True)
class Program:
    """The statements that compute an output and its derivatives.

    whole    the program
    output   the array that is differentiated
    slopes   array → the leaf that it is the derivative by
    deltas   array → the computed array that it is the cotangent of
    """

    whole: ArrayProgram
    output: str
    slopes: Mapping[str, str]
    deltas: Mapping[str, str]

    @property
    def name(self) -> str:
        """What the output is called."""
        taken = {*self.whole.arrays} - {self.output}
        made = self.output[:1] == "t" and self.output[1:].isdigit()
        return OUTPUT if made and OUTPUT not in taken else self.output

    @cached_property
    def inlined(self) -> Mapping[str, Inlined]:
        """What is written where it is read: short arrays, but cotangents and what they are of."""
        return self.whole.inlined({*self.deltas, *self.deltas.values(), self.output})

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """The statements that have a line of their own."""
        return tuple(s for s in self.whole.statements if s.array not in self.inlined)

    def is_backward(self, array: str) -> bool:
        """Whether an array belongs to the backward pass."""
        return array in self._backward

    @cached_property
    def _backward(self) -> set[str]:
        found = {*self.slopes, *self.deltas}
        forward = self._forward
        found.update(s.array for s in self.whole.statements if s.array not in forward)
        return found

    def needed_by(self, array: str) -> list[str]:
        """What the statements compute that read an array, themselves or where it is inlined."""
        found: dict[str, None] = {}
        stack = [array]
        while stack:
            read = stack.pop()
            readers = [
                s.array for s in self.whole.statements if any(r.array == read for r in s.reads)
            ]
            found.update(dict.fromkeys(name for name in readers if name not in self.inlined))
            stack += [name for name in readers if name in self.inlined]
        names = TextNames(self)
        return [names.name(name) for name in found]

    @cached_property
    def _forward(self) -> set[str]:
        return _needed(self.whole)

    def write(self, statement: Statement) -> Formula:
        """A statement in index notation."""
        return Formula(statement.written(TextNames(self)), statement.written(LatexNames(self)))

    def shape(self, array: str) -> str:
        """The shape of an array in words."""
        return " × ".join(map(str, self.whole.arrays[array].shape)) or "a number"


class TextNames(Writer):
    """Index notation for a terminal, derivatives by what they are of."""

    def __init__(self, program: Program) -> None:
        super().__init__(program.inlined, program.whole.arrays)
        self._program = program

    def name(self, name: str) -> str:
        """The name of an array."""
        program = self._program
        if name in program.slopes:
            return f"∂{program.name}/∂{program.slopes[name]}"
        if name in program.deltas:
            return f"δ{program.deltas[name]}"
        return program.name if name == program.output else name


class LatexNames(LatexWriter):
    """The same in LaTeX."""

    def __init__(self, program: Program) -> None:
        super().__init__(program.inlined, program.whole.arrays)
        self._program = program

    def name(self, name: str) -> str:
        """The name of an array; the number of one that is no scalar above, as layers have it."""
        program = self._program
        if name in program.slopes:
            below = self._plain(program.slopes[name])
            return rf"\frac{{\partial {name_latex(program.name)}}}{{\partial {below}}}"
        if name in program.deltas:
            return rf"\delta {self._plain(program.deltas[name])}"
        return name_latex(program.name) if name == program.output else self._plain(name)

    def _plain(self, name: str) -> str:
        written = super().name(name)
        numbered = _NUMBERED.fullmatch(written)
        if numbered and self._program.whole.arrays[name].shape:
            return rf"{{{numbered[1]}}}^{{({numbered[2]})}}"
        return written

    def element(self, array: str, indices: Sequence[str]) -> str:
        """An element of an array; of a derivative, the indices are those of the leaf."""
        program = self._program
        if array in program.slopes and indices:
            leaf = self.element(program.slopes[array], indices)
            return rf"\frac{{\partial {name_latex(program.name)}}}{{\partial {leaf}}}"
        return f"{self.name(array)}_{{{', '.join(indices)}}}" if indices else self.name(array)


_NUMBERED: Final = re.compile(r"(.*)_\{(\d+)\}")


def program_of(graph: Graph, root: int, leaves: Sequence[Expr]) -> Program:
    """The program of one output of a graph of arrays or scalars, and of its derivatives by leaves.

    It is simplified as it is for compiling.
    """
    slopes = grad(graph[root], list(leaves))
    rules = rules_named(True)
    assert rules is not None
    made = simplified(extract([graph[root], *slopes]), rules).graph
    if any(node in made.shapes for node in range(len(made))):
        whole = written_program(made, made.outputs)
    else:
        whole, _ = rolled_nodes(made, made.outputs)
    return _read(_apart(whole, [leaf.label for leaf in leaves]))


def _needed(whole: ArrayProgram) -> set[str]:
    """What the first output is computed from, and itself."""
    reads: dict[str, set[str]] = {}
    for statement in whole.statements:
        reads.setdefault(statement.array, set()).update(r.array for r in statement.reads)
    output = whole.outputs[0].array
    found, stack = {output}, [output]
    while stack:
        for array in reads.get(stack.pop(), ()):
            if array not in found:
                found.add(array)
                stack.append(array)
    return found


def _apart(whole: ArrayProgram, leaves: Sequence[str]) -> ArrayProgram:
    """The program with an array for each derivative, where it is one that is there anyway.

    The derivative by one factor is the other one, that by two terms is the same array.
    """
    forward, taken = _needed(whole), set[str]()
    of = {array.elements or (name,): name for name, array in whole.arrays.items()}
    arrays, statements, outputs = dict(whole.arrays), list(whole.statements), [whole.outputs[0]]
    rest = list(leaves)
    for output in whole.outputs[1:]:
        array = arrays[output.array]
        known = (rest[0],) in of and arrays[of[rest[0],]].kind == LEAF
        size = 1 if known else array.size if output.places is None else len(output.places)
        leaf, rest = of.get(tuple(rest[:size])), rest[size:]
        own = array.kind == COMPUTED and output.array not in forward | taken
        taken.add(output.array)
        if own or leaf is None or output.places is not None:
            outputs.append(output)
            continue
        name = next(x for x in (f"d{leaf}{'_' * n}" for n in count()) if x not in arrays)
        axes = tuple(Axis(f"i{k or ''}", n) for k, n in enumerate(array.shape))
        read = Read(output.array, tuple(along(axis.name) for axis in axes))
        statements.append(Statement(name, axes, Reduce(ADD, (Term(1, (read,)),))))
        arrays[name] = Array(name, array.shape, adjoint=leaf)
        outputs.append(Output(name))
    return replace(whole, arrays=arrays, statements=tuple(statements), outputs=tuple(outputs))


def _read(whole: ArrayProgram) -> Program:
    """A program of an output and, after it, its derivatives."""
    forward = _needed(whole)
    kinds = {name: array.kind for name, array in whole.arrays.items()}
    slopes: dict[str, str] = {}
    deltas: dict[str, str] = {}
    computed = dict.fromkeys(statement.array for statement in whole.statements)
    for name, array in whole.arrays.items():
        of = array.adjoint
        if name in computed and of is not None:
            if kinds.get(of) == LEAF and name not in forward:
                slopes[name] = of
            elif of in computed:
                deltas[name] = of
    # Of several that are marked as the cotangent of one array, the last is all of it.
    deltas = {name: of for of, name in {of: name for name, of in deltas.items()}.items()}
    for name in computed:
        # What a pass made anew keeps the name of the leaf, not the mark.
        named = name[:1] == "d" and kinds.get(name[1:]) == LEAF
        if named and name not in slopes and name not in forward:
            slopes[name] = name[1:]
    order = [output.array for output in whole.outputs]
    slopes = {name: slopes[name] for name in dict.fromkeys(order) if name in slopes} | slopes
    return Program(whole, whole.outputs[0].array, slopes, deltas)


def elements_named(names: Iterable[str], program: ArrayProgram) -> list[str]:
    """The elements of the arrays among some names, other names as they are."""
    found: list[str] = []
    for name in names:
        array = program.arrays.get(name)
        found += array.elements if array is not None and array.elements else [name]
    return found


def computed_arrays(whole: ArrayProgram) -> list[str]:
    """The arrays that statements write, each once, in order."""
    written = dict.fromkeys(statement.array for statement in whole.statements)
    return [name for name in written if whole.arrays[name].kind == COMPUTED]
