"""`ArrayFunction`: statements in index notation as a function of arguments, ready to be printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from ...arrays.interpret import run
from ...arrays.rolling import Survey
from ...arrays.statements import Array, ArrayProgram, Output, Statement
from ...ops.reads import Apply, Reduce, Table
from ...ops.scalar import ADD
from ...ops.shapes import BATCH, Shape, shape_text
from ..program import Group, Nested, check_arguments, map_nested
from .flow import Flow, operands_of, parts_of, pruned


@dataclass(frozen=True, slots=True)
class ArrayGroup(Group):
    """One argument; `row` is its shape, without the axis of samples if it is batched."""

    row: Shape

    @property
    def row_shape(self) -> Shape:
        """The shape of the argument, or of one of its rows where it is batched."""
        return self.row

    @property
    def shape(self) -> str:
        """What the argument looks like, for error texts and listings."""
        count = prod(self.row)
        one = f"{count} number{'s' * (count != 1)}" if self.row else "a number"
        if self.scalar and self.row:
            one = f"an array of shape {shape_text(self.row)}"
        return f"one row per sample, each {one}" if self.batched else one


@dataclass(frozen=True, slots=True)
class Element:
    """An output that is one number: an element of an array, its place counted in C order.

    stacked   whether there is one for each sample
    """

    array: str
    place: int
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Vector:
    """An output that is a sequence of numbers: elements of arrays, one piece after another.

    stacked   whether each is a row of one for each sample
    """

    name: str
    pieces: tuple[tuple[str, tuple[int, ...]], ...]
    stacked: bool = False

    @property
    def length(self) -> int:
        """How many numbers there are."""
        return sum(len(places) for _, places in self.pieces)


@dataclass(frozen=True, slots=True)
class Whole:
    """An output that is an array, as it is.

    stacked   whether there is one for each sample
    """

    array: str
    stacked: bool = False


@dataclass(frozen=True)
class ArrayFunction:
    """A function on arrays.

    groups   the arguments
    program  what is computed; its vectors are arguments
    outputs  the results, nested as the caller nested them: `Element`s, `Vector`s and `Whole`s
    values   the numbers of leaves that are no arguments
    passes   what rewrites did, each in a record
    survey   how regular the scalars were that the statements were found in
    notes    what a reader of the code should know of an array, by its name
    columns  the arrays that lie in memory with the samples last, a column for each
    """

    name: str
    groups: tuple[ArrayGroup, ...]
    program: ArrayProgram
    outputs: Nested
    values: Mapping[str, float]
    dtype: str = "float64"
    passes: tuple[Any, ...] = ()
    survey: Survey | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    columns: frozenset[str] = frozenset()

    @property
    def batched(self) -> bool:
        """Whether any argument has a sample axis."""
        return any(group.batched for group in self.groups)

    @property
    def records(self) -> tuple[Any, ...]:
        """What a report says of how it was made: how regular the scalars were, and each rewrite."""
        return (*filter(None, [self.survey]), *self.passes)

    @property
    def instructions(self) -> tuple[Statement, ...]:
        """The statements."""
        return self.program.statements

    def with_statements(
        self, statements: Iterable[Statement], arrays: Mapping[str, Array] | None = None
    ) -> ArrayFunction:
        """The same with other statements, and without those that nothing is made of."""
        made, old = tuple(statements), self.program
        if made == old.statements:
            return self
        return replace(
            self, program=pruned(replace(old, arrays=arrays or old.arrays, statements=made))
        )

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of each array."""
        return {name: array.shape for name, array in self.program.arrays.items()}

    @property
    def held(self) -> list[Shape]:
        """The shapes of what a call holds in memory: arrays, and what is gathered in between."""
        found = list(self.shapes.values())
        for statement in self.instructions:
            for part, lengths in parts_of(statement):
                for read in operands_of(part):
                    axes = dict.fromkeys(name for index in read.index for name in index.axes)
                    if any(isinstance(i, Table) or len(i.terms) > 1 for i in read.index):
                        found.append(tuple([lengths[name] for name in axes]))
        return found

    def counts(self) -> Counter[str]:
        """How many statements there are of each kind, the most frequent first.

        Sums of products are contractions.
        """
        return Counter(map(_kind, self.program.statements))

    def check_arguments(self, arguments: Sequence[Any]) -> None:
        """Raise a `ShapeError` unless there is one array of the right shape per group."""
        check_arguments(self.name, self.groups, arguments)

    def __repr__(self) -> str:
        arguments = ", ".join(group.name for group in self.groups)
        return f"<ArrayFunction {self.name}({arguments}): {len(self.instructions):,} statements>"

    def __str__(self) -> str:
        lines = [f"{self.name}({', '.join(group.argument for group in self.groups)})"]
        return "\n".join([*lines, *[f"  {s}" for s in self.program.listing()]])

    def run(self, *arguments: Any) -> Any:
        """Interpret the statements point by point: what printed code is compared with."""
        import numpy

        self.check_arguments(arguments)
        leaves: dict[str, Any] = dict(self.values)
        for group, argument in zip(self.groups, arguments, strict=True):
            if not group.leaves:
                continue
            array = numpy.asarray(argument, numpy.float64)
            if group.name in self.program.arrays:
                whole = self.program.arrays[group.name].shape
                array = array.reshape((*array.shape[: group.batched], *whole[group.batched :]))
                leaves[group.name] = array
        names = dict.fromkeys(output.array for output in self.program.outputs)
        wanted = replace(self.program, outputs=tuple(map(Output, names)))
        found = dict(zip(names, run(wanted, leaves), strict=True))
        counts = [len(a) for a, g in zip(arguments, self.groups, strict=True) if g.batched]
        samples = counts[0] if counts else 1
        return map_nested(self.outputs, lambda output: self._result(found, output, samples))

    def _result(
        self, found: Mapping[str, Any], output: Element | Vector | Whole, samples: int
    ) -> Any:
        import numpy

        if isinstance(output, Whole):
            whole = found[output.array]
            alike = output.stacked and BATCH not in self.program.arrays[output.array].shape
            return numpy.broadcast_to(whole, (samples, *whole.shape)) if alike else whole
        if isinstance(output, Element):
            one = self._elements(found, output.array, (output.place,))[..., 0]
            return numpy.broadcast_to(one, samples) if output.stacked else one
        parts = [self._elements(found, array, places) for array, places in output.pieces]
        if not output.stacked:
            return numpy.concatenate([numpy.zeros(0), *parts])
        rows = [numpy.broadcast_to(part, (samples, part.shape[-1])) for part in parts]
        return numpy.concatenate(rows, 1).T

    def _elements(self, found: Mapping[str, Any], name: str, places: tuple[int, ...]) -> Any:
        array = found[name]
        if BATCH in self.program.arrays[name].shape:
            return array.reshape(len(array), -1)[:, list(places)]
        return array.reshape(-1)[list(places)]


def truths(program: ArrayProgram) -> set[str]:
    """The arrays whose elements are truth values, and that are only read."""
    free = Flow(program).free
    return {
        statement.array
        for statement in program.statements
        if isinstance(statement.value, Apply)
        and statement.value.op.truth
        and any(not isinstance(operand, float) for operand in statement.value.operands)
        and statement.array in free
        and not statement.domain
    }


def _kind(statement: Statement) -> str:
    """What a statement does: the name of its operation, or what kind of sum of products it is."""
    value = statement.value
    if not isinstance(value, Reduce) or value.op is not ADD:
        return value.op.name
    products = max((len(term.factors) for term in value.terms), default=0) > 1
    if any(term.over for term in value.terms):
        return "contraction" if products else "sum"
    if len(value.terms) > 1:
        return "add"
    return "mul" if products else "copy"
