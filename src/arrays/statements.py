"""`ArrayProgram`: many scalars as few statements in index notation.

A statement computes elements of an array, one at each point of its axes: an operation of the table
on elements of other arrays, or a sum of products of them over further axes. That is all there is:
transposes, slices, windows, gathers, masks and reshapes are indices and conditions of reads.

    q[p, e] = Σ_c wq[e, c]·x[p, c]
    a[p, t] = exp(s[p, t])          for t ≤ p

Arrays are leaves (what a caller brings), literals (numbers written in the program) or computed.

- **Where a leaf comes from.** A leaf that was made of scalars has their names in `elements`, in C
  order. If the scalars are an argument of the function, or part of one, `home` says which argument
  (an array of one axis, kind "leaf", `name` the argument's) and at which places of it.
- **Whole vectors.** A computed array with a `home` lies in a computed vector in the same way: the
  gradients of W and b are parts of the one vector that the gradient by `params` is. A vector that
  no statement writes consists of its parts.
- **Outputs.** They follow each other: an `Output` is a run of elements of one array, or all of it
  in C order; a scalar is a run of one.
- **A batch** is one more axis, the first of every array that differs between samples, vectors
  included; places in a vector are then those of one sample. The length of the axis is `BATCH`; what
  is summed over the samples is a term over an axis of that length.

Every element that is read or put out is written by exactly one statement, before it is read; the
elements outside a statement's domain are not defined unless another statement writes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Final, NamedTuple

from ..errors import InvalidNameError, OperandError, ShapeError, UnknownNameError, shorten
from ..graph.doors import View
from ..notation.mathml import from_latex
from ..ops.reads import (
    Affine,
    Among,
    Apply,
    Assignment,
    Axis,
    Condition,
    Equal,
    Index,
    Read,
    Reduce,
    Table,
)
from ..ops.scalar import ADD, MAXIMUM, MINIMUM
from ..ops.shapes import BATCH, Shape, shape_text
from .indexnotation import LATEX, TEXT, Inlined, LatexWriter, Writer

LEAF, LITERAL, COMPUTED = "leaf", "literal", "computed"

KINDS: Final = (LEAF, LITERAL, COMPUTED)
"""What an array may be."""

LONGEST: Final = 40
"""A formula of more characters is not written inside another."""

REDUCTIONS: Final = frozenset((ADD, MAXIMUM, MINIMUM))
"""The operations that put terms together: their order does not matter."""


class Home(NamedTuple):
    """Where the elements of an array lie in a vector: the place of each, in C order."""

    vector: str
    places: tuple[int, ...]

    def strides(self, shape: Shape) -> tuple[int, tuple[int, ...]] | None:
        """The first place and the stride of each axis, or None where the places are not affine.

        >>> Home("params", (3, 4, 13, 14)).strides((2, 2))
        (3, (10, 1))
        """
        first = self.places[0]
        strides, step = [], len(self.places)
        for length in shape:
            step //= length
            strides.append(self.places[step] - first if length > 1 else 0)
        places = [first]
        for length, stride in zip(shape, strides, strict=True):
            places = [place + stride * i for place in places for i in range(length)]
        return (first, tuple(strides)) if tuple(places) == self.places else None


@dataclass(frozen=True)
class Array:
    """An array of a program.

    kind      "leaf", "literal" or "computed"
    elements  of a leaf made of scalars: their names, in C order; () for an array leaf
    values    of a literal: its numbers, in C order
    home      the vector that it is part of, if it is
    adjoint   of a derivative: the name of the array that it is the adjoint of
    """

    name: str
    shape: Shape
    kind: str = COMPUTED
    elements: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    home: Home | None = None
    adjoint: str | None = None

    @property
    def size(self) -> int:
        """How many elements it has; those of one sample where the samples are an axis."""
        return abs(prod(self.shape))


@dataclass(frozen=True, repr=False)
class Statement(Assignment):
    """An assignment that can be written down.

    >>> from wengert.ops.reads import Apply, Axis, Read, along
    >>> from wengert.ops.scalar import EXP
    >>> print(Statement("e", (Axis("p", 3),), Apply(EXP, (Read("s", (along("p"),)),))))
    e[p] = exp(s[p])
    """

    _repr_mimebundle_ = View()

    def written(self, writer: Writer = TEXT) -> str:
        """The statement in a notation."""
        return writer.statement(self.array, self.target, self.value, self.domain)

    def __str__(self) -> str:
        return self.written()

    def __repr__(self) -> str:
        return f"<statement {self}>"

    def latex(self) -> str:
        """The statement in LaTeX, for maths mode."""
        return self.written(LATEX)

    def html(self) -> str:
        """The statement as MathML, which browsers set."""
        return from_latex(self.latex())


class Output(NamedTuple):
    """A run of outputs: elements of an array at `places` in C order, or all of it."""

    array: str
    places: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ArrayProgram:
    """Arrays and the statements that compute them, in an order in which they can be computed.

    arguments  the names of the leaf vectors that a function takes, in order; their parts are leaves
               with homes in them
    """

    arrays: Mapping[str, Array]
    statements: tuple[Statement, ...]
    outputs: tuple[Output, ...]
    arguments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _Validation(self).check()

    @cached_property
    def leaves(self) -> tuple[Array, ...]:
        """The leaves, arguments first."""
        found = [array for array in self.arrays.values() if array.kind == LEAF]
        return tuple(sorted(found, key=lambda array: array.name not in self.arguments))

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """The tables of all indices by name."""
        return {table.name: table for table in _tables(self.statements)}

    @property
    def batched(self) -> bool:
        """Whether it has an axis of samples."""
        return any(BATCH in array.shape for array in self.arrays.values())

    def parts(self, vector: str) -> tuple[Array, ...]:
        """The arrays that lie in a vector."""
        return tuple([a for a in self.arrays.values() if a.home and a.home.vector == vector])

    def __str__(self) -> str:
        return "\n".join(self.listing(Writer))

    def latex(self) -> str:
        """All statements in LaTeX, one a line, aligned at their equals signs."""
        lines = [line.replace(" = ", " &= ", 1) for line in self.listing(LatexWriter)]
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def html(self) -> str:
        """All statements as an HTML list."""
        items = "\n".join(f"<li>{from_latex(line)}</li>" for line in self.listing(LatexWriter))
        return f'<ol class="statements">\n{items}\n</ol>'

    def listing(self, writer: type[Writer] = Writer) -> list[str]:
        """The statements in a notation, short ones that are read once where they are read."""
        return [line for _, line in self.lines(writer)]

    def lines(
        self,
        writer: Callable[[Mapping[str, Inlined], Mapping[str, Array]], Writer] = Writer,
        kept: Container[str] = (),
    ) -> Iterator[tuple[Statement, str]]:
        """The statements that have a line of their own in `listing`, each with its line.

        kept  arrays that are not written where they are read, however short
        """
        inlined = self.inlined(kept) if kept else self._inlined
        for statement in self.statements:
            if statement.array not in inlined:
                yield statement, statement.written(writer(inlined, self.arrays))

    @cached_property
    def _inlined(self) -> dict[str, Inlined]:
        return self.inlined()

    def inlined(self, kept: Container[str] = ()) -> dict[str, Inlined]:
        """The short arrays that are read once, and what is written where they are read."""
        writers = Counter(statement.array for statement in self.statements)
        reads = Counter(read.array for s in self.statements for read in s.reads)
        outputs = {output.array for output in self.outputs}
        plain = {
            read.array
            for statement in self.statements
            for read in statement.reads
            if reads[read.array] == 1 and _axes_alone(read.index)
        }
        found: dict[str, Inlined] = {}
        for s in self.statements:
            array = self.arrays[s.array]
            alone = writers[s.array] == 1 and s.place is None and array.home is None
            once = s.array in plain or _is_number(s)
            if alone and once and s.array not in outputs and s.array not in kept:
                axes = tuple([axis.name for axis in s.axes])
                if len(Writer(found).value(s.value, frozenset(axes))) <= LONGEST:
                    found[s.array] = Inlined(axes, s.value)
        return found

    def _repr_html_(self) -> str:
        return self.html()


def _is_number(statement: Statement) -> bool:
    """Whether it says what number something is, without reading anything."""
    return not statement.axes and not statement.reads


def _axes_alone(indices: Sequence[Index]) -> bool:
    axes = [index.axis if isinstance(index, Affine) else None for index in indices]
    return None not in axes and len(set(axes)) == len(axes)


def _indices(statement: Statement) -> Iterator[Index]:
    yield from statement.target
    for read in statement.reads:
        yield from read.index
    for condition in _conditions(statement):
        if isinstance(condition, Equal):
            yield from (condition.left, condition.right)


def _conditions(statement: Statement) -> Iterator[Condition]:
    yield from statement.domain
    if isinstance(statement.value, Reduce):
        for term in statement.value.terms:
            yield from term.domain


def _tables(statements: Iterable[Statement]) -> Iterator[Table]:
    for statement in statements:
        for index in _indices(statement):
            if isinstance(index, Table):
                yield index


class _Validation:
    """What makes a program one that can be computed; what is wrong is said in an error."""

    def __init__(self, program: ArrayProgram) -> None:
        self._program = program
        self._arrays = program.arrays
        self._tables: dict[str, Table] = {}

    def check(self) -> None:
        for name, array in self._arrays.items():
            self._check_array(name, array)
        ready = {name for name, array in self._arrays.items() if array.kind != COMPUTED}
        last = {s.array: number for number, s in enumerate(self._program.statements)}
        for array in self._arrays.values():
            if array.home and array.name in last:
                vector, number = array.home.vector, last[array.name]
                last[vector] = max(last.get(vector, 0), number)
        for number, statement in enumerate(self._program.statements):
            self._check_statement(statement)
            for read in statement.reads:
                if read.array not in ready and last.get(read.array, number) >= number:
                    raise OperandError(
                        f"{statement}: reads {read.array}, which is not computed before; put the "
                        "statements in an order in which they can be computed"
                    )
        for output in self._program.outputs:
            self._check_output(output, ready, last)

    def _array(self, name: str, what: str) -> Array:
        array = self._arrays.get(name)
        if array is None:
            raise UnknownNameError.of(f"array, {what},", name, self._arrays)
        return array

    def _check_array(self, name: str, array: Array) -> None:
        if array.name != name or array.kind not in KINDS:
            raise InvalidNameError(
                f"array {shorten(name)} is called {shorten(array.name)} and of kind "
                f"{shorten(array.kind)}; expected one name, and a kind of {', '.join(KINDS)}"
            )
        for given, what in ((array.elements, "elements"), (array.values, "values")):
            if given and len(given) != array.size:
                raise ShapeError(
                    f"{name}: {len(given)} {what} for an array of shape {shape_text(array.shape)}"
                )
        if array.home is None:
            return
        vector = self._array(array.home.vector, f"where {name} lies")
        size, places = vector.size, array.home.places
        wide = bool(places) and not (min(places) >= 0 and max(places) < size)
        own = [length for length in vector.shape if length != BATCH]
        if len(array.home.places) != array.size or len(own) != 1 or wide:
            raise ShapeError(
                f"{name} of shape {shape_text(array.shape)} does not fit into {vector.name} of "
                f"shape {shape_text(vector.shape)} at {shorten(array.home.places)}"
            )

    def _check_statement(self, statement: Statement) -> None:
        target = self._array(statement.array, "that is written")
        if target.kind != COMPUTED:
            raise OperandError(f"{statement}: {target.name} is a {target.kind}, not computed")
        lengths = _lengths(statement.axes, {}, statement)
        self._check_indices(statement, target, statement.target, lengths)
        self._check_domain(statement, statement.domain, lengths)
        value = statement.value
        if isinstance(value, Apply):
            if len(value.operands) != value.op.arity:
                raise OperandError(
                    f"{target.name}: {value.op.signature} on {len(value.operands)} operands"
                )
            self._check_operands(statement, value.operands, lengths)
            return
        if value.op not in REDUCTIONS or not value.terms:
            raise OperandError(f"{statement}: {value.op.name} of {len(value.terms)} terms")
        for term in value.terms:
            inner = _lengths(term.over, lengths, statement)
            self._check_operands(statement, term.factors, inner)
            self._check_domain(statement, term.domain, inner)
            if value.op is not ADD and (term.count != 1 or len(term.factors) != 1):
                raise OperandError(f"{statement}: a term of {value.op.name} is one factor, once")

    def _check_operands(
        self, statement: Statement, operands: Sequence[object], lengths: Mapping[str, int]
    ) -> None:
        for operand in operands:
            if isinstance(operand, Read):
                array = self._array(operand.array, f"read for {statement.array}")
                self._check_indices(statement, array, operand.index, lengths)
            elif not isinstance(operand, float):
                raise OperandError(
                    f"{statement.array}: {shorten(operand)} is neither read nor number"
                )

    def _check_indices(
        self,
        statement: Statement,
        array: Array,
        indices: Sequence[Index],
        lengths: Mapping[str, int],
    ) -> None:
        if len(indices) != len(array.shape):
            raise ShapeError(
                f"{statement}: {len(indices)} indices for {array.name}, which has the shape "
                f"{shape_text(array.shape)}"
            )
        for index, length in zip(indices, array.shape, strict=True):
            self._check_index(statement, index, lengths)
            alone = isinstance(index, Affine) and index.axis
            if length == BATCH and not (alone and lengths[index.axes[0]] == BATCH):
                raise ShapeError(
                    f"{statement}: the samples of {array.name} are read by an axis of samples only"
                )

    def _check_index(self, statement: Statement, index: Index, lengths: Mapping[str, int]) -> None:
        missing = [axis for axis in index.axes if axis not in lengths]
        if missing:
            raise UnknownNameError.of(f"axis of {statement}", missing[0], lengths)
        if isinstance(index, Affine):
            return
        if self._tables.setdefault(index.name, index) is not index and (
            self._tables[index.name].values != index.values
        ):
            raise InvalidNameError(f"{statement}: {index.name} is the name of two tables")
        own = tuple([lengths[axis] for axis in index.axes])
        if index.lengths != own or len(index.values) != prod(own):
            raise ShapeError(
                f"{statement}: table {index.name} of {len(index.values)} numbers for axes of "
                f"lengths {own}"
            )

    def _check_domain(
        self, statement: Statement, domain: Iterable[Condition], lengths: Mapping[str, int]
    ) -> None:
        for condition in domain:
            missing = [axis for axis in condition.axes if axis not in lengths]
            if missing:
                raise UnknownNameError.of(f"axis of {statement}", missing[0], lengths)
            if isinstance(condition, Equal):
                self._check_index(statement, condition.left, lengths)
                self._check_index(statement, condition.right, lengths)
            elif isinstance(condition, Among) and any(
                len(point) != len(condition.axes) for point in condition.points
            ):
                raise ShapeError(f"{statement}: points of {condition.name} of another length")

    def _check_output(self, output: Output, ready: set[str], last: Mapping[str, int]) -> None:
        array = self._array(output.array, "an output")
        wide = [place for place in output.places or () if not 0 <= place < array.size]
        if wide:
            raise ShapeError(f"output {array.name}: no place {wide[0]} in {array.size} elements")
        if array.name not in ready and array.name not in last:
            raise OperandError(f"output {array.name} is computed by no statement")


def _lengths(
    axes: Iterable[Axis], outer: Mapping[str, int], statement: Statement
) -> dict[str, int]:
    lengths = dict(outer)
    for axis in axes:
        if axis.name in lengths:
            raise InvalidNameError(f"{statement}: two axes are called {axis.name}")
        if axis.length < 1 and axis.length != BATCH:
            raise ShapeError(f"{statement}: axis {axis.name} has the length {axis.length}")
        lengths[axis.name] = axis.length
    return lengths
