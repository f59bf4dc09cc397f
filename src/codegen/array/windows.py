"""The windows of a convolution as an array of their own, which all products with them read.

y[n, i, c] = Σ_a x[n, i + a]·k[c, a]        w[n, i, a] = x[n, i + a]
dk[c, a] = Σ_n,i x[n, i + a]·dy[n, i, c]    y[n, i, c] = Σ_a w[n, i, a]·k[c, a]
                                            dk[c, a] = Σ_n,i w[n, i, a]·dy[n, i, c]

Where windows reach over the ends of an array, they are those of a wider one with zeros around it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from ...arrays.statements import Array, Statement
from ...ops.reads import Affine, Axis, Index, Operand, Read, Term
from ...ops.shapes import BATCH
from .flow import copy, free_name, in_order, is_sum, operands_of, with_terms
from .function import ArrayFunction
from .margins import Wider
from .outside import Outside
from .reading import inside


def unfolded(function: ArrayFunction) -> ArrayFunction:
    """The function with windows that products read as arrays of their own, or itself."""
    arrays = dict(function.program.arrays)
    wider, outside = Wider(arrays), Outside(function.program)
    work = _Unfolding(arrays, bool(function.columns), wider)
    statements: list[Statement] = []
    for statement in function.instructions:
        if is_sum(statement.value):
            terms = list[Term]()
            for term in statement.value.terms:
                unsafe = any(outside.unsafe(factor, term) for factor in term.factors)
                free = term if unsafe else wider.free(statement, term)
                through = work.term(statement, free)
                terms.append(term if through == free else through)
                for read in operands_of(terms[-1]):
                    work.before += wider.needed(read.array)
            statement = with_terms(statement, terms)
        statements += [*work.before, statement]
        work.before.clear()
    if not work.made:
        return function
    made = {name for name, _ in work.made.values() if work.last}
    arrays = {name: array for name, array in arrays.items() if name not in wider.waiting}
    found = function.with_statements(statements, arrays)
    return replace(found, columns=found.columns.union(made))


@dataclass
class _Unfolding:
    """The arrays of windows.

    made    by what is read, whatever its axes are called, and their lengths: the array, and the
            order that it has these axes in
    before  the statements that compute what the next statement needs
    last    whether samples lie last in memory: then what a product keeps is beside them
    wider   arrays with zeros around them
    """

    arrays: dict[str, Array]
    last: bool
    wider: Wider
    made: dict[Hashable, tuple[str, list[int]]] = field(default_factory=dict)
    before: list[Statement] = field(default_factory=list)

    def term(self, statement: Statement, term: Term) -> Term:
        """A term that reads windows from arrays of their own."""
        if len(term.factors) < 2 or term.domain or not term.over:
            return term
        lengths = {axis.name: axis.length for axis in (*statement.axes, *term.over)}
        factors = [self._factor(factor, term, lengths) for factor in term.factors]
        return replace(term, factors=tuple(factors))

    def _factor(self, factor: Operand, term: Term, lengths: Mapping[str, int]) -> Operand:
        axes = _windows(factor, lengths) if isinstance(factor, Read) else None
        if axes is None or not isinstance(factor, Read):
            return factor
        others = [read for read in operands_of(term) if read is not factor]
        shared = {axis for read in others for index in read.index for axis in index.axes}
        over = {axis.name for axis in term.over}
        shape = self.arrays[factor.array].shape
        there = all(inside(i, n, lengths) for i, n in zip(factor.index, shape, strict=True))
        if not shared & over & set(axes) or not there:
            return factor
        key = factor.array, _form(factor, axes), tuple([lengths[axis] for axis in axes])
        if key not in self.made:  # the samples first, then what the product keeps, then the rest
            order = sorted(
                range(len(axes)),
                key=lambda k: (lengths[axes[k]] != BATCH, (axes[k] in over) != self.last),
            )
            name = free_name(f"{factor.array.rstrip('_')}_windows", self.arrays)
            own = [Axis(axes[k], lengths[axes[k]]) for k in order]
            self.arrays[name] = Array(name, tuple([axis.length for axis in own]))
            self.before += [*self.wider.needed(factor.array), copy(name, own, factor)]
            self.made[key] = name, order
        name, order = self.made[key]
        return in_order(name, [axes[k] for k in order])


def _windows(read: Read, lengths: Mapping[str, int]) -> Sequence[str] | None:
    """The axes of overlapping windows, those of an index with the longest steps first.

    None for other reads.
    """
    axes, overlap = list[str](), False
    for index in read.index:
        if not isinstance(index, Affine) or any(stride < 1 for _, stride in index.terms):
            return None
        terms = sorted(index.terms, key=lambda term: (-term[1], -lengths[term[0]]))
        axes += [axis for axis, _ in terms]
        for (_, wide), (axis, stride) in pairwise(terms):
            overlap = overlap or wide < stride * lengths[axis]
    return axes if overlap and len(set(axes)) == len(axes) else None


def _form(read: Read, axes: Sequence[str]) -> Hashable:
    """What a read has in common with one through the same windows along other axes."""

    def form(index: Index) -> Hashable:
        assert isinstance(index, Affine)
        return index.offset, tuple(sorted((axes.index(axis), by) for axis, by in index.terms))

    return tuple(map(form, read.index))
