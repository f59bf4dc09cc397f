"""Divisors taken out of sums, so that what is divided twice over is divided once.

    q[p, t] = e[p, t]/s[p]                  q[p, t] = e[p, t]/s[p]
    a[p, t] = d[p, t]/s[p] - Σ_u q[p, u]·d[p, u]/s[p]
    y[p, t] = e[p, t]·a[p, t]               y[p, t] = q[p, t]·(d[p, t] - Σ_u q[p, u]·d[p, u])

That is how the adjoint of a softmax is written by hand. A divisor goes with what it divides through
sums and products, until it divides what has been divided by it anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from ...arrays.statements import Array, ArrayProgram, Statement
from ...ops.reads import Apply, Operand, Read, Reduce, Term, renamed_index
from ...ops.scalar import ADD, DIV
from .function import ArrayFunction, axes_of, free_name, pruned

MOST: Final = 4
"""Terms with more divisors stay as they are."""


class Divided(NamedTuple):
    """What an array is a quotient of: another by reads whose axes are called "0" and so on."""

    above: str
    below: tuple[Read, ...]


def divided_late(function: ArrayFunction) -> ArrayFunction:
    """The function with divisors taken out of sums where that leaves fewer of them, or itself."""
    if not any(_is_quotient(statement) for statement in function.instructions):
        return function
    program = _Quotients(function.program).result()
    return function if program is None else replace(function, program=program)


@dataclass
class _Quotients:
    program: ArrayProgram
    known: dict[str, Divided] = field(default_factory=dict)
    made: dict[tuple[str, Read], str] = field(default_factory=dict)

    def result(self) -> ArrayProgram | None:
        """The program, None where nothing changes."""
        self._arrays = dict(self.program.arrays)
        writers = Counter(s.array for s in self.program.statements)
        self._reads = Counter(r.array for s in self.program.statements for r in s.reads)
        self._reads.update(output.array for output in self.program.outputs)
        statements: list[Statement] = []
        for statement in self.program.statements:
            whole = writers[statement.array] == 1 and statement.place is None
            if whole and isinstance(statement.value, Reduce):
                statements += self._sum(statement, statement.value)
            elif whole and _is_quotient(statement):
                statements.append(self._quotient(statement))
            else:
                statements.append(statement)
        if statements == list(self.program.statements):
            return None
        return pruned(replace(self.program, arrays=self._arrays, statements=tuple(statements)))

    def _quotient(self, statement: Statement) -> Statement:
        """Note what a quotient is made of."""
        above, below = statement.value.operands  # type: ignore[union-attr]
        assert isinstance(above, Read)
        assert isinstance(below, Read)
        over = _on_places(below, statement)
        if above.index != statement.target or over is None:
            return statement
        if self._reads[statement.array] == 1:
            self.known[statement.array] = Divided(above.array, (over,))
        else:
            self.made[above.array, over] = statement.array
        return statement

    def _sum(self, statement: Statement, value: Reduce) -> Iterable[Statement]:
        """A sum, after the sum of what is above the divisors that all of its terms have."""
        found = [self._expanded(term) for term in value.terms if value.op is ADD]
        if all(new == old for (new, _), old in zip(found, value.terms, strict=False)):
            return [statement]
        if max(len(below) for _, below in found) > MOST:
            return [statement]
        own = {axis.name for axis in statement.axes}
        if any(not own.issuperset(_axes([read])) for _, below in found for read in below):
            return [statement]
        common = found[0][1]
        if any(Counter(below) != Counter(common) for _, below in found):
            return [statement]
        value = replace(value, terms=tuple([term for term, _ in found]))
        if not common:
            return [replace(statement, value=value)]
        places = [_on_places(read, statement) for read in common]
        name = free_name(f"{statement.array}_above", self._arrays)
        self._arrays[name] = Array(name, self._arrays[statement.array].shape)
        if self._reads[statement.array] == 1:
            found_places = tuple([place for place in places if place is not None])
            self.known[statement.array] = Divided(name, found_places)
        above = replace(statement, array=name, value=value)
        quotient: Operand = Read(name, statement.target)
        if len(common) > 1:
            return [above, statement]
        divided = Apply(DIV, (quotient, common[0]))
        return [above, replace(statement, value=divided)]

    def _expanded(self, term: Term) -> tuple[Term, list[Read]]:
        """A term without the divisors that its factors have, and those."""
        below: list[Read] = []
        factors: list[Operand] = []
        for factor in term.factors:
            divided = self.known.get(factor.array) if isinstance(factor, Read) else None
            names = _places(factor) if isinstance(factor, Read) else None
            if divided is None or names is None or not isinstance(factor, Read):
                factors.append(factor)
                continue
            factors.append(Read(divided.above, factor.index))
            below += [_renamed(read, names) for read in divided.below]
        return self._absorbed(replace(term, factors=tuple(factors)), below)

    def _absorbed(self, term: Term, below: list[Read]) -> tuple[Term, list[Read]]:
        """The same with quotients that there are already in the place of a factor and a divisor."""
        factors, left = list(term.factors), []
        for read in below:
            for place, factor in enumerate(factors):
                names = _places(factor) if isinstance(factor, Read) else None
                if names is None or not isinstance(factor, Read):
                    continue
                back = {axis: number for number, axis in names.items()}
                found = self.made.get((factor.array, _renamed(read, back)))
                if found is not None:
                    factors[place] = Read(found, factor.index)
                    break
            else:
                left.append(read)
        return replace(term, factors=tuple(factors)), left


def _is_quotient(statement: Statement) -> bool:
    """Whether a statement divides an array by one that has fewer axes."""
    value = statement.value
    if not isinstance(value, Apply) or value.op is not DIV:
        return False
    above, below = value.operands
    if not isinstance(above, Read) or not isinstance(below, Read) or not below.index:
        return False
    return len(below.index) < len(above.index) and _places(below) is not None


def _places(read: Read) -> dict[str, str] | None:
    """By the places of an array's axes, the axes along which it is read; None for other indices."""
    names = axes_of(read)
    return None if names is None else {str(place): name for place, name in enumerate(names)}


def _on_places(read: Read, statement: Statement) -> Read | None:
    """A read with the places of a statement's axes in their stead; None where it has others."""
    names = {axis.name: str(place) for place, axis in enumerate(statement.axes)}
    return _renamed(read, names) if _axes([read]) <= names.keys() else None


def _renamed(read: Read, names: Mapping[str, str]) -> Read:
    return Read(read.array, tuple([renamed_index(index, names) for index in read.index]))


def _axes(reads: Iterable[Read]) -> set[str]:
    return {axis for read in reads for index in read.index for axis in index.axes}
