"""Sums over what lies inside of an array, with conditions that say so, and the ends they are for.

dk[a] = Σ_{p: 0 ≤ p - a + 1 < 8} x[p]·dy[p - a + 1]
dk[a] = Σ_{i: 0 ≤ i + a - 1 < 8} x[i + a - 1]·dy[i]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ...arrays.statements import Array, Statement
from ...ops.reads import (
    Affine,
    AtLeast,
    Axis,
    Condition,
    Index,
    Read,
    Term,
    composed,
    mapped_condition,
    mapped_term,
)
from ...ops.shapes import BATCH, Shape
from .outside import normal
from .reading import extent


def shifted(index: Index, by: int) -> Affine:
    """An affine index some places further."""
    assert isinstance(index, Affine)
    return replace(index, offset=index.offset + by)


def ends_of(read: Read, shape: Shape, lengths: Mapping[str, int]) -> Iterator[Condition]:
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


def counted_anew(statement: Statement, term: Term, arrays: Mapping[str, Array]) -> Term:
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
