"""The windows of a convolution as an array of their own, which all products with them read.

y[n, i, c] = Σ_a x[n, i + a]·k[c, a]        w[n, i, a] = x[n, i + a]
dk[c, a] = Σ_n,i x[n, i + a]·dy[n, i, c]    y[n, i, c] = Σ_a w[n, i, a]·k[c, a]
                                            dk[c, a] = Σ_n,i w[n, i, a]·dy[n, i, c]

Where windows reach over the ends of an array, they are those of a wider one with zeros around it.

y[i] = Σ_{a: 0 ≤ i + a - 1 < 8} x[i + a - 1]·k[a]        z[j] = x[j - 1] for 0 ≤ j - 1 < 8
                                                         y[i] = Σ_a z[i + a]·k[a]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from ...arrays.statements import COMPUTED, Array, ArrayProgram, Statement
from ...ops.reads import Affine, Axis, Operand, Read, Reduce, Term, along
from ...ops.scalar import ADD
from ...ops.shapes import BATCH, Shape
from .function import ArrayFunction, free_name
from .margins import counted_anew, ends_of, shifted
from .outside import Outside, normal
from .reading import extent, inside

Key = tuple[str, tuple[tuple[int, tuple[tuple[int, int], ...]], ...]]
"""An array, and for each index its offset and the strides and lengths of its axes."""


def unfolded(function: ArrayFunction) -> ArrayFunction:
    """The function with windows that products read as arrays of their own, or itself."""
    work = _Unfolding(function.program, bool(function.columns))
    program = work.result()
    made = {windows.name for windows in work.made.values() if work.last}
    columns = function.columns.union(made)
    return replace(function, program=program, columns=columns) if work.made else function


class _Windows(NamedTuple):
    """The array of the windows of another; `order` says which axis of the key each axis is."""

    name: str
    order: tuple[tuple[int, int], ...]


@dataclass
class _Unfolding:
    program: ArrayProgram
    last: bool
    made: dict[Key, _Windows] = field(default_factory=dict)

    def result(self) -> ArrayProgram:
        """The program with windows as arrays."""
        self._arrays = dict(self.program.arrays)
        self._wider: dict[tuple[str, tuple[int, ...], Shape], str] = {}
        self._waiting: dict[str, Statement] = {}
        self._outside = Outside(self.program)
        self._before: list[Statement] = []
        statements: list[Statement] = []
        for statement in self.program.statements:
            value = statement.value
            if isinstance(value, Reduce) and value.op is ADD:
                terms = tuple([self._widened(statement, term) for term in value.terms])
                statement = replace(statement, value=replace(value, terms=terms))
            statements += [*self._before, statement]
            self._before = []
        if not self.made:
            return self.program
        for name in self._waiting:  # which came to nothing
            del self._arrays[name]
        outputs, arguments = self.program.outputs, self.program.arguments
        return ArrayProgram(self._arrays, tuple(statements), outputs, arguments)

    def _widened(self, statement: Statement, term: Term) -> Term:
        """A term with windows of arrays, of wider ones if it has conditions for their ends."""
        if not term.domain or any(self._outside.unsafe(f, term) for f in term.factors):
            return self._term(statement, term)
        free = self._free(statement, counted_anew(statement, term, self._arrays))
        found = self._term(statement, free)
        return term if found == free else found

    def _free(self, statement: Statement, term: Term) -> Term:
        """A term without the conditions that reads are inside, of arrays with zeros around them."""
        lengths = {axis.name: axis.length for axis in (*statement.axes, *term.over)}
        left, factors = {normal(one): one for one in term.domain}, list[Operand]()
        for factor in term.factors:
            if isinstance(factor, Read) and all(isinstance(i, Affine) for i in factor.index):
                ends = set(map(normal, ends_of(factor, self._arrays[factor.array].shape, lengths)))
                if ends and ends <= {normal(one) for one in term.domain}:
                    left = {key: one for key, one in left.items() if key not in ends}
                    factor = self._wide(factor, lengths)
            factors.append(factor)
        return replace(term, factors=tuple(factors), domain=tuple(left.values()))

    def _wide(self, read: Read, lengths: Mapping[str, int]) -> Read:
        """The read of an array as one of an array with zeros around it, as far as it reaches."""
        shape, margins, wide = self._arrays[read.array].shape, [], []
        for index, length in zip(read.index, shape, strict=True):
            assert isinstance(index, Affine)
            low, high = (0, 0) if length == BATCH else extent(index, lengths)
            margins.append(max(0, -low))
            wide.append(length if length == BATCH else margins[-1] + max(high + 1, length))
        key = (read.array, tuple(margins), tuple(wide))
        if key not in self._wider:
            name = self._wider[key] = free_name(f"{read.array.rstrip('_')}_padded", self._arrays)
            self._arrays[name] = Array(name, tuple(wide), COMPUTED)
            axes = tuple([Axis(f"i{k}", length) for k, length in enumerate(wide)])
            places = [Affine(-m, ((a.name, 1),)) for a, m in zip(axes, margins, strict=True)]
            own = Read(read.array, tuple(places))
            ends = tuple(ends_of(own, shape, {axis.name: axis.length for axis in axes}))
            self._waiting[name] = Statement(name, axes, Reduce(ADD, (Term(1, (own,), (), ends),)))
        moved = [shifted(i, m) for i, m in zip(read.index, margins, strict=True)]
        return Read(self._wider[key], tuple(moved))

    def _term(self, statement: Statement, term: Term) -> Term:
        if len(term.factors) < 2 or term.domain or not term.over:
            return term
        lengths = {axis.name: axis.length for axis in (*statement.axes, *term.over)}
        over = {axis.name for axis in term.over}
        factors = [self._factor(f, term.factors, lengths, over) for f in term.factors]
        return replace(term, factors=tuple(factors))

    def _factor(
        self,
        factor: Operand,
        factors: Iterable[Operand],
        lengths: Mapping[str, int],
        over: set[str],
    ) -> Operand:
        if not isinstance(factor, Read) or not _has_windows(factor, lengths):
            return factor
        own = {axis for index in factor.index for axis in index.axes}
        others = [f for f in factors if f is not factor and isinstance(f, Read)]
        shared = {axis for f in others for index in f.index for axis in index.axes}
        shape = self._arrays[factor.array].shape
        there = all(inside(i, n, lengths) for i, n in zip(factor.index, shape, strict=True))
        if not own & shared & over or not there:
            return factor
        names = [_axes_by_size(index, lengths) for index in factor.index]
        sizes = [(offset, tuple([(s, lengths[a]) for a, s in terms])) for offset, terms in names]
        key = (factor.array, tuple(sizes))
        if key not in self.made:
            self.made[key] = self._made(factor, lengths, over)
        name, order = self.made[key]
        return Read(name, tuple([along(names[index][1][k][0]) for index, k in order]))

    def _made(self, read: Read, lengths: Mapping[str, int], over: set[str]) -> _Windows:
        """An array of windows: the samples first, then what the product keeps, then the rest.

        Where samples lie last in memory, what the product keeps is beside them.
        """
        flat = [
            (place, k, axis)
            for place, index in enumerate(read.index)
            for k, (axis, _) in enumerate(_axes_by_size(index, lengths)[1])
        ]
        flat.sort(key=lambda one: (lengths[one[2]] != BATCH, (one[2] in over) != self.last))
        name = free_name(f"{read.array.rstrip('_')}_windows", self._arrays)
        axes = tuple([Axis(axis, lengths[axis]) for _, _, axis in flat])
        self._arrays[name] = Array(name, tuple([axis.length for axis in axes]), COMPUTED)
        if read.array in self._waiting:
            self._before.append(self._waiting.pop(read.array))
        self._before.append(Statement(name, axes, Reduce(ADD, (Term(1, (read,)),))))
        return _Windows(name, tuple([(place, k) for place, k, _ in flat]))


def _axes_by_size(index: object, lengths: Mapping[str, int]) -> tuple[int, list[tuple[str, int]]]:
    """The offset of an index, and its axes with their strides, the widest first."""
    assert isinstance(index, Affine)
    terms = sorted(index.terms, key=lambda term: (-term[1], -lengths[term[0]]))
    return index.offset, terms


def _has_windows(read: Read, lengths: Mapping[str, int]) -> bool:
    """Whether a read goes through overlapping windows, along axes each its own."""
    if not all(isinstance(index, Affine) for index in read.index):
        return False
    axes = [axis for index in read.index for axis in index.axes]
    if len(axes) != len(set(axes)):
        return False
    found = False
    for index in read.index:
        assert isinstance(index, Affine)
        if any(stride < 1 for _, stride in index.terms):
            return False
        terms = sorted(index.terms, key=lambda term: term[1])
        for (axis, stride), (_, wider) in pairwise(terms):
            found = found or wider < stride * lengths[axis]
    return found
