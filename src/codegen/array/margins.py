"""Arrays with zeros around them, which sums read without conditions for where these end.

y[i] = Σ_{a: 0 ≤ i + a - 1 < 8} x[i + a - 1]·k[a]       z[j] = x[j - 1] for 0 ≤ j - 1 < 8
                                                        y[i] = Σ_a z[i + a]·k[a]

A sum that is counted by where windows begin is counted by what they are of, and reads the same.

dk[a] = Σ_{p: 0 ≤ p - a + 1 < 8} x[p]·dy[p - a + 1]     dk[a] = Σ_i z[i + a]·dy[i]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ...arrays.statements import Array, Statement
from ...ops.reads import (
    Affine,
    AtLeast,
    Axis,
    Condition,
    Index,
    Operand,
    Read,
    Reduce,
    Term,
    composed,
    mapped_condition,
    mapped_term,
)
from ...ops.scalar import ADD
from ...ops.shapes import BATCH, Shape
from .flow import free_name
from .outside import normal
from .reading import extent

Margins = tuple[str, tuple[int, ...], tuple[int, ...]]
"""An array, how many zeros are before it along each axis, and how long it is with those after."""


@dataclass
class Wider:
    """Arrays with zeros around them.

    arrays   all arrays; the wider ones are added
    waiting  the statements of those that no statement reads so far
    """

    arrays: dict[str, Array]
    waiting: dict[str, Statement] = field(default_factory=dict)
    made: dict[Margins, str] = field(default_factory=dict)

    def needed(self, name: str) -> list[Statement]:
        """The statement of a wider array, the first time that it is asked for."""
        return [self.waiting.pop(name)] if name in self.waiting else []

    def free(self, statement: Statement, term: Term) -> Term:
        """A term without conditions that reads are inside; itself if others are left of them."""
        own = term
        if len(term.factors) < 2 or not term.domain or not term.over:
            return own
        term = _counted_anew(statement, term, self.arrays)
        lengths = {axis.name: axis.length for axis in (*statement.axes, *term.over)}
        left, factors = set(map(normal, term.domain)), list[Operand]()
        for factor in term.factors:
            if isinstance(factor, Read) and all(isinstance(i, Affine) for i in factor.index):
                shape = self.arrays[factor.array].shape
                ends = set(map(normal, _ends_of(factor, shape, lengths)))
                if ends and ends <= set(map(normal, term.domain)):
                    left -= ends
                    factor = self._wide(factor, lengths)
            factors.append(factor)
        return own if left else replace(term, factors=tuple(factors), domain=())

    def _wide(self, read: Read, lengths: Mapping[str, int]) -> Read:
        """The read of an array as one of an array with zeros around it, as far as it reaches."""
        shape, before, wide = self.arrays[read.array].shape, list[int](), list[int]()
        for index, length in zip(read.index, shape, strict=True):
            assert isinstance(index, Affine)
            low, high = (0, 0) if length == BATCH else extent(index, lengths)
            before.append(max(0, -low))
            wide.append(length if length == BATCH else before[-1] + max(high + 1, length))
        key = read.array, tuple(before), tuple(wide)
        if key not in self.made:
            name = self.made[key] = free_name(f"{read.array.rstrip('_')}_padded", self.arrays)
            self.arrays[name] = Array(name, tuple(wide))
            axes = tuple([Axis(f"i{k}", length) for k, length in enumerate(wide)])
            places = [Affine(-m, ((a.name, 1),)) for a, m in zip(axes, before, strict=True)]
            own = Read(read.array, tuple(places))
            ends = tuple(_ends_of(own, shape, {axis.name: axis.length for axis in axes}))
            self.waiting[name] = Statement(name, axes, Reduce(ADD, (Term(1, (own,), (), ends),)))
        return Read(self.made[key], tuple(map(_shifted, read.index, before)))


def _shifted(index: Index, by: int) -> Affine:
    """An affine index some places further."""
    assert isinstance(index, Affine)
    return replace(index, offset=index.offset + by)


def _ends_of(read: Read, shape: Shape, lengths: Mapping[str, int]) -> Iterator[Condition]:
    """The conditions that hold where a read by affine indices is inside of its array."""
    for index, length in zip(read.index, shape, strict=True):
        if length != BATCH and isinstance(index, Affine):
            yield from _ends(index, length, lengths)


def _ends(index: Affine, length: int, lengths: Mapping[str, int]) -> Iterator[Condition]:
    """The conditions that an index is in an axis, as far as it is not everywhere."""
    low, high = extent(index, lengths)
    if low < 0:
        yield AtLeast(index)
    if high >= length:
        terms = tuple([(axis, -stride) for axis, stride in index.terms])
        yield AtLeast(Affine(length - 1 - index.offset, terms))


def _counted_anew(statement: Statement, term: Term, arrays: Mapping[str, Array]) -> Term:
    """A term that is summed over what an index with other axes taken off is, as in `p - a + 1`.

    Windows then go forwards through what else is read there.
    """
    for axis in term.over:
        lengths = {one.name: one.length for one in (*statement.axes, *term.over)}
        for factor in term.factors:
            if not isinstance(factor, Read):
                continue
            for index, length in zip(factor.index, arrays[factor.array].shape, strict=True):
                if isinstance(index, Affine) and _is_counted_from(index, axis.name):
                    told = set(map(normal, term.domain))
                    if told.issuperset(map(normal, _ends(index, length, lengths))):
                        term = _by_index(term, axis, index, length, lengths)
    return term


def _is_counted_from(index: Affine, axis: str) -> bool:
    """Whether an index is an axis with others taken off."""
    strides = dict(index.terms)
    return strides.pop(axis, 0) == 1 and bool(strides) and max(strides.values()) < 0


def _by_index(
    term: Term, axis: Axis, index: Affine, length: int, lengths: Mapping[str, int]
) -> Term:
    """A term summed over what an index with the axis is, as the axis, of this length."""
    rest = tuple([(name, -stride) for name, stride in index.terms if name != axis.name])
    before = Affine(-index.offset, ((axis.name, 1), *rest))

    def moved(one: Index) -> Index:
        found = composed(one, {axis.name: before}) if isinstance(one, Affine) else None
        return one if found is None else found

    made = mapped_term(
        term,
        lambda read: Read(read.array, tuple(map(moved, read.index))),
        lambda condition: mapped_condition(condition, moved),
    )
    now = {**lengths, axis.name: length}
    domain = [*made.domain, *_ends(before, axis.length, now)]
    left = [c for c in domain if not (isinstance(c, AtLeast) and extent(c.expression, now)[0] >= 0)]
    over = tuple([Axis(axis.name, length) if one == axis else one for one in term.over])
    return replace(made, over=over, domain=tuple(left))
