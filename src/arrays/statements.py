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
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Final, NamedTuple

from ..errors import InvalidNameError, OperandError, ShapeError, UnknownNameError, shorten
from ..graph.doors import View
from ..notation.mathml import from_latex
from ..ops.reads import (
    Among,
    Apply,
    Assignment,
    Read,
    Table,
    Value,
)
from ..ops.scalar import ADD, EXTREMES
from ..ops.shapes import BATCH, Shape, shape_text
from .indexnotation import LATEX, TEXT, Inlined, LatexWriter, Writer
from .order import Written

LEAF, LITERAL, COMPUTED = "leaf", "literal", "computed"

KINDS: Final = (LEAF, LITERAL, COMPUTED)
"""What an array may be."""

LONGEST: Final = 40
"""A formula of more characters is not written inside another."""

REDUCTIONS: Final = EXTREMES | {ADD}
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

    def sized(self, samples: int) -> Shape:
        """Its shape when there are so many samples."""
        return tuple([samples if length == BATCH else length for length in self.shape])


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
        _Validation(self)

    @cached_property
    def leaves(self) -> tuple[Array, ...]:
        """The leaves, arguments first."""
        found = [array for array in self.arrays.values() if array.kind == LEAF]
        return tuple(sorted(found, key=lambda array: array.name not in self.arguments))

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """The tables of all indices by name."""
        scopes = [scope for statement in self.statements for scope in statement.scopes]
        indices = [index for scope in scopes for index in scope.indices]
        return {index.name: index for index in indices if isinstance(index, Table)}

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
            if reads[read.array] == 1 and read.plain
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


class _Validation:
    """What makes a program one that can be computed; what is wrong is said in an error."""

    def __init__(self, program: ArrayProgram) -> None:
        self._arrays = program.arrays
        self._tables: dict[str, Table] = {}
        for name, array in program.arrays.items():
            self._check_array(name, array)
        ready = {name for name, array in program.arrays.items() if array.kind != COMPUTED}
        last = {s.array: number for number, s in enumerate(program.statements)}
        for array in program.arrays.values():
            if array.home and array.name in last:
                vector, number = array.home.vector, last[array.name]
                last[vector] = max(last.get(vector, 0), number)
        early = {
            read.array
            for number, statement in enumerate(program.statements)
            for read in statement.reads
            if read.array not in ready and last.get(read.array, number) >= number
        }
        written = Written({name: self._array(name, "that is read").shape for name in early})
        for statement in program.statements:
            self._check_statement(statement)
            lost = written.lost(statement)
            if lost is not None:
                raise OperandError(
                    f"{statement}: reads {lost}, which is not computed before; put the "
                    "statements in an order in which they can be computed"
                )
            written.add(statement)
        for output in program.outputs:
            self._check_output(output, {*ready, *last})

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
        places = array.home.places
        inside = not places or (min(places) >= 0 and max(places) < vector.size)
        own = [length for length in vector.shape if length != BATCH]
        if len(places) != array.size or len(own) != 1 or not inside:
            raise ShapeError(
                f"{name} of shape {shape_text(array.shape)} does not fit into {vector.name} of "
                f"shape {shape_text(vector.shape)} at {shorten(places)}"
            )

    def _check_statement(self, statement: Statement) -> None:
        target = self._array(statement.array, "that is written")
        if target.kind != COMPUTED:
            raise OperandError(f"{statement}: {target.name} is a {target.kind}, not computed")
        self._check_value(statement.array, statement.value)
        for scope in statement.scopes:
            lengths, names = dict(scope.axes), [axis.name for axis in scope.axes]
            if len(lengths) < len(names):
                twice = max(names, key=names.count)
                raise InvalidNameError(f"{statement}: two axes are called {twice}")
            for axis in scope.axes:
                if axis.length < 1 and axis.length != BATCH:
                    raise ShapeError(f"{statement}: axis {axis.name} has the length {axis.length}")
            for about in (*scope.indices, *scope.domain):
                missing = [axis for axis in about.axes if axis not in lengths]
                if missing:
                    raise UnknownNameError.of(f"axis of {statement}", missing[0], lengths)
                if isinstance(about, Table):
                    self._check_table(statement, about, lengths)
                if isinstance(about, Among) and any(
                    len(point) != len(about.axes) for point in about.points
                ):
                    raise ShapeError(f"{statement}: points of {about.name} of another length")
            for read in scope.reads:
                self._check_read(statement, read, lengths)

    def _check_value(self, name: str, value: Value) -> None:
        if isinstance(value, Apply):
            operands: Sequence[object] = value.operands
            if len(operands) != value.op.arity:
                raise OperandError(f"{name}: {value.op.signature} on {len(operands)} operands")
        else:
            if value.op not in REDUCTIONS or not value.terms:
                raise OperandError(f"{name}: {value.op.name} of {len(value.terms)} terms")
            operands = [factor for term in value.terms for factor in term.factors]
            single = all(term.count == 1 == len(term.factors) for term in value.terms)
            if value.op is not ADD and not single:
                raise OperandError(f"{name}: a term of {value.op.name} is one factor, once")
        for operand in operands:
            if not isinstance(operand, (Read, float)):
                raise OperandError(f"{name}: {shorten(operand)} is neither read nor number")

    def _check_read(self, statement: Statement, read: Read, lengths: Mapping[str, int]) -> None:
        array = self._array(read.array, f"read for {statement.array}")
        if len(read.index) != len(array.shape):
            raise ShapeError(
                f"{statement}: {len(read.index)} indices for {array.name}, which has the shape "
                f"{shape_text(array.shape)}"
            )
        for index, length in zip(read.index, array.shape, strict=True):
            if length == BATCH and lengths.get(index.axis or "") != BATCH:
                raise ShapeError(
                    f"{statement}: the samples of {array.name} are read by an axis of samples only"
                )

    def _check_table(self, statement: Statement, table: Table, lengths: Mapping[str, int]) -> None:
        if self._tables.setdefault(table.name, table).values != table.values:
            raise InvalidNameError(f"{statement}: {table.name} is the name of two tables")
        own = tuple([lengths[axis] for axis in table.axes])
        if table.lengths != own or len(table.values) != prod(own):
            raise ShapeError(
                f"{statement}: table {table.name} of {len(table.values)} numbers for axes of "
                f"lengths {own}"
            )

    def _check_output(self, output: Output, computed: Container[str]) -> None:
        array = self._array(output.array, "an output")
        wide = [place for place in output.places or () if not 0 <= place < array.size]
        if wide:
            raise ShapeError(f"output {array.name}: no place {wide[0]} in {array.size} elements")
        if array.name not in computed:
            raise OperandError(f"output {array.name} is computed by no statement")
