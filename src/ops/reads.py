"""What a statement in index notation is made of: axes, indices, conditions, reads and values.

An index says which element along one axis of an array is meant, at each point of the axes that
a statement runs over. It is an affine map of those axes or a table of whole numbers:

    p           Affine(0, (("p", 1),))
    3           Affine(3)
    4h + j      Affine(0, (("h", 4), ("j", 1)))
    token[p]    Table("token", ("p",), (3,), (7, 0, 7))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from .record import Op


class Axis(NamedTuple):
    """A variable that runs over 0, 1, …, length - 1; the length may be `BATCH`, not yet known."""

    name: str
    length: int


@dataclass(frozen=True, slots=True)
class Affine:
    """offset + Σ stride·axis, over pairs of an axis' name and a stride that is not 0."""

    offset: int = 0
    terms: tuple[tuple[str, int], ...] = ()

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes that it depends on."""
        return tuple([name for name, _ in self.terms])

    @property
    def axis(self) -> str | None:
        """The axis that this index is, as it is; None where it is anything else."""
        if self.offset == 0 and len(self.terms) == 1 and self.terms[0][1] == 1:
            return self.terms[0][0]
        return None


@dataclass(frozen=True, slots=True)
class Table:
    """A whole number for each point of some axes: `values` in C order over axes of `lengths`.

    Where no point of the domain falls, the number is -1. Tables of one name are the same table.
    """

    name: str
    axes: tuple[str, ...]
    lengths: tuple[int, ...]
    values: tuple[int, ...]

    @property
    def axis(self) -> None:
        """The axis that this index is, as it is: none."""


Index = Affine | Table


def along(axis: str) -> Affine:
    """The index that is an axis as it is."""
    return Affine(0, ((axis, 1),))


@dataclass(frozen=True, slots=True)
class AtLeast:
    """The condition that an affine map of axes is 0 or more: `t ≤ p` is p - t ≥ 0."""

    expression: Affine

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes that it is about."""
        return self.expression.axes


@dataclass(frozen=True, slots=True)
class Unequal:
    """The condition that an affine map of axes is not 0: `t ≠ p` is p - t ≠ 0."""

    expression: Affine

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes that it is about."""
        return self.expression.axes


@dataclass(frozen=True, slots=True)
class Equal:
    """The condition that two indices are the same number: `token[p] = v`."""

    left: Index
    right: Index

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes that it is about."""
        return tuple(dict.fromkeys((*self.left.axes, *self.right.axes)))


@dataclass(frozen=True, slots=True)
class Among:
    """The condition that the numbers of some axes are one of the `points`, listed one by one."""

    name: str
    axes: tuple[str, ...]
    points: tuple[tuple[int, ...], ...]


Condition = AtLeast | Unequal | Equal | Among


@dataclass(frozen=True, slots=True)
class Read:
    """An element of an array: one index per axis of the array."""

    array: str
    index: tuple[Index, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether its indices are axes as they are, each another."""
        axes = [index.axis for index in self.index]
        return None not in axes and len(set(axes)) == len(axes)


Operand = Read | float
"""What operations and products take: an element of an array, or a number."""


@dataclass(frozen=True, slots=True)
class Apply:
    """An operation of the table at every point, on operands and static arguments."""

    op: Op
    operands: tuple[Operand, ...]
    statics: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Term:
    """`count` · Σ over the axes `over`, where the conditions hold, of the product of `factors`.

    The axes of the statement may occur in indices and conditions. `count` is how many times the
    product is added; it is negative where it is subtracted.
    """

    count: int
    factors: tuple[Operand, ...]
    over: tuple[Axis, ...] = ()
    domain: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Reduce:
    """Terms put together by `op`: ADD for a sum, MAXIMUM or MINIMUM for the largest or smallest.

    Under MAXIMUM and MINIMUM a term has one factor and the count 1, and `over` is what it runs
    over. A sum without any point is 0; the terms stand in the order in which they are added.
    """

    op: Op
    terms: tuple[Term, ...]


Value = Apply | Reduce


class Scope(NamedTuple):
    """What is seen from one place of an assignment: from itself, or from a term of its sum.

    axes    the axes of the assignment, and after them those that the term is summed over
    reads   the elements that are read there; for the assignment, the one that is written is first
    domain  the conditions that stand there
    """

    axes: tuple[Axis, ...]
    reads: tuple[Read, ...]
    domain: tuple[Condition, ...]

    @property
    def indices(self) -> list[Index]:
        """All indices, those of conditions included."""
        found = [index for read in self.reads for index in read.index]
        for condition in self.domain:
            if isinstance(condition, Equal):
                found += (condition.left, condition.right)
        return found


@dataclass(frozen=True)
class Assignment:
    """`array[place] = value`, at every point of `axes` where the conditions of `domain` hold.

    place   an index per axis of the array; None where the axes of the assignment are its axes
    """

    array: str
    axes: tuple[Axis, ...]
    value: Value
    place: tuple[Index, ...] | None = None
    domain: tuple[Condition, ...] = ()

    @cached_property
    def target(self) -> tuple[Index, ...]:
        """An index per axis of the array that is written."""
        return tuple([along(a.name) for a in self.axes]) if self.place is None else self.place

    @property
    def reads(self) -> tuple[Read, ...]:
        """What it reads, in order, repeats included."""
        return reads_of(self.value)

    @cached_property
    def scopes(self) -> tuple[Scope, ...]:
        """That of the assignment itself, and those of its terms."""
        value, written = self.value, Read(self.array, self.target)
        if isinstance(value, Apply):
            return (Scope(self.axes, (written, *reads_of(value)), self.domain),)
        terms = [
            Scope((*self.axes, *term.over), _reads(term.factors), term.domain)
            for term in value.terms
        ]
        return (Scope(self.axes, (written,), self.domain), *terms)


def composed(index: Affine, axes: Mapping[str, Index]) -> Index | None:
    """An affine index some of whose axes are indices themselves; None where that is no one index.

    >>> composed(Affine(1, (("i", 2), ("j", 1))), {"i": Affine(3, (("k", 4),))})
    Affine(offset=7, terms=(('k', 8), ('j', 1)))
    """
    if index.axis is not None and index.axis in axes:
        return axes[index.axis]
    offset, strides = index.offset, dict[str, int]()
    for axis, stride in index.terms:
        inner = axes.get(axis, along(axis))
        if isinstance(inner, Table):
            return None
        offset += stride * inner.offset
        for name, step in inner.terms:
            strides[name] = strides.get(name, 0) + stride * step
    return Affine(offset, tuple([(name, step) for name, step in strides.items() if step]))


def renamed_index(index: Index, names: Mapping[str, str]) -> Index:
    """An index with other names for its axes.

    >>> renamed_index(Affine(1, (("p", 2),)), {"p": "i"})
    Affine(offset=1, terms=(('i', 2),))
    """
    if isinstance(index, Affine):
        return Affine(index.offset, tuple([(names.get(a, a), s) for a, s in index.terms]))
    axes = tuple([names.get(axis, axis) for axis in index.axes])
    return Table(index.name, axes, index.lengths, index.values)


def mapped(
    value: Value, read: Callable[[Read], Operand], condition: Callable[[Condition], Condition]
) -> Value:
    """A value with something else in place of each read and of each condition."""
    if isinstance(value, Apply):
        operands = [read(one) if isinstance(one, Read) else one for one in value.operands]
        return Apply(value.op, tuple(operands), value.statics)
    return Reduce(value.op, tuple([mapped_term(term, read, condition) for term in value.terms]))


def mapped_term(
    term: Term, read: Callable[[Read], Operand], condition: Callable[[Condition], Condition]
) -> Term:
    """The same for a term."""
    factors = [read(one) if isinstance(one, Read) else one for one in term.factors]
    return Term(term.count, tuple(factors), term.over, tuple(map(condition, term.domain)))


def mapped_condition(condition: Condition, index: Callable[[Index], Index]) -> Condition:
    """A condition with something else in place of each of its indices; a list has none."""
    if isinstance(condition, (AtLeast, Unequal)):
        expression = index(condition.expression)
        assert isinstance(expression, Affine)
        return type(condition)(expression)
    if isinstance(condition, Equal):
        return Equal(index(condition.left), index(condition.right))
    return condition


def renamed_condition(condition: Condition, names: Mapping[str, str]) -> Condition:
    """A condition with other names for its axes."""
    if isinstance(condition, Among):
        axes = tuple([names.get(axis, axis) for axis in condition.axes])
        return Among(condition.name, axes, condition.points)
    return mapped_condition(condition, lambda index: renamed_index(index, names))


def renamed_axes(axes: Iterable[Axis], names: Mapping[str, str]) -> tuple[Axis, ...]:
    """Axes with other names."""
    return tuple([Axis(names.get(axis.name, axis.name), axis.length) for axis in axes])


def renamed_read(read: Read, names: Mapping[str, str]) -> Read:
    """A read with other names for the axes of its indices."""
    return Read(read.array, tuple([renamed_index(index, names) for index in read.index]))


def renamed_term(term: Term, names: Mapping[str, str]) -> Term:
    """A term with other names for its axes, those that it is summed over included."""
    found = mapped_term(
        term, lambda read: renamed_read(read, names), lambda one: renamed_condition(one, names)
    )
    return Term(found.count, found.factors, renamed_axes(found.over, names), found.domain)


def renamed(value: Value, names: Mapping[str, str]) -> Value:
    """A value with other names for its axes; an axis without another keeps its own."""
    if isinstance(value, Reduce):
        return Reduce(value.op, tuple([renamed_term(term, names) for term in value.terms]))
    return mapped(value, lambda read: renamed_read(read, names), lambda condition: condition)


def summed_over(value: Value) -> tuple[str, ...]:
    """The names of the axes that a value is summed over."""
    if isinstance(value, Apply):
        return ()
    return tuple(dict.fromkeys(axis.name for term in value.terms for axis in term.over))


def reads_of(value: Value) -> tuple[Read, ...]:
    """Every read of a value, in order, repeats included.

    >>> from wengert.ops.scalar import MUL
    >>> [read.array for read in reads_of(Apply(MUL, (Read("a"), 2.0, Read("b"))))]
    ['a', 'b']
    """
    if isinstance(value, Apply):
        operands = value.operands
    else:
        operands = tuple([factor for term in value.terms for factor in term.factors])
    return _reads(operands)


def _reads(operands: Iterable[Operand]) -> tuple[Read, ...]:
    return tuple([operand for operand in operands if isinstance(operand, Read)])
