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

from ...arrays.statements import Array, Statement
from ...ops.reads import Apply, Operand, Read, Reduce, Term, renamed_read
from ...ops.scalar import DIV
from .flow import Flow, axes_of, free_name, is_sum, with_terms
from .function import ArrayFunction

MOST: Final = 4
"""Terms with more divisors stay as they are."""


class Divided(NamedTuple):
    """What an array is a quotient of: another by reads whose axes are called "0" and so on."""

    above: str
    below: tuple[Read, ...]


def divided_late(function: ArrayFunction) -> ArrayFunction:
    """The function with divisors taken out of sums where that leaves fewer of them, or itself."""
    work, flow = _Quotients(dict(function.program.arrays)), Flow(function.program)
    statements: list[Statement] = []
    for statement in function.instructions:
        name, value = statement.array, statement.value
        reads = len(flow.readers[name]) + (name in flow.kept)
        whole = len(flow.writers[name]) == 1 and statement.place is None
        if whole and is_sum(value):
            statements += work.sum(statement, value, reads)
        else:
            if whole and isinstance(value, Apply) and value.op is DIV:
                work.quotient(statement, value, reads)
            statements.append(statement)
    return function.with_statements(statements, work.arrays)


@dataclass
class _Quotients:
    """The quotients that there are.

    known  by array that is read once, what it is a quotient of
    made   the quotient of an array by a read whose axes are called "0" and so on
    """

    arrays: dict[str, Array]
    known: dict[str, Divided] = field(default_factory=dict)
    made: dict[tuple[str, Read], str] = field(default_factory=dict)

    def quotient(self, statement: Statement, value: Apply, reads: int) -> None:
        """Note what a quotient by an array of fewer axes is made of."""
        above, below = value.operands
        if not isinstance(above, Read) or not isinstance(below, Read) or not below.index:
            return
        over = _on_places(below, statement)
        narrow = len(below.index) < len(above.index) and axes_of(below) is not None
        if not narrow or above.index != statement.target or over is None:
            return
        if reads == 1:
            self.known[statement.array] = Divided(above.array, (over,))
        else:
            self.made[above.array, over] = statement.array

    def sum(self, statement: Statement, value: Reduce, reads: int) -> Iterable[Statement]:
        """A sum, after the sum of what is above the divisors that all of its terms have."""
        found = [self._expanded(term) for term in value.terms]
        terms, below = [term for term, _ in found], [divisors for _, divisors in found]
        common, own = below[0], {axis.name for axis in statement.axes}
        alike = all(Counter(one) == Counter(common) for one in below)
        if (
            not alike
            or len(common) > MOST
            or any(not own.issuperset(axes_of(r) or ()) for r in common)
        ):
            return [statement]
        above = with_terms(statement, terms)
        if not common:
            return [above]
        name = free_name(f"{statement.array}_above", self.arrays)
        self.arrays[name] = Array(name, self.arrays[statement.array].shape)
        if reads == 1:
            places = [_on_places(read, statement) for read in common]
            self.known[statement.array] = Divided(name, tuple(filter(None, places)))
        divided = replace(statement, value=Apply(DIV, (Read(name, statement.target), common[0])))
        return [replace(above, array=name), statement if len(common) > 1 else divided]

    def _expanded(self, term: Term) -> tuple[Term, list[Read]]:
        """A term without the divisors that its factors have, and those.

        A quotient that there is already takes the place of a factor and its divisor.
        """
        below: list[Read] = []
        factors: list[Operand] = []
        for factor in term.factors:
            divided = self.known.get(factor.array) if isinstance(factor, Read) else None
            names = axes_of(factor)
            if divided is None or names is None or not isinstance(factor, Read):
                factors.append(factor)
                continue
            factors.append(Read(divided.above, factor.index))
            below += [renamed_read(read, _placed(names)) for read in divided.below]
        left = [read for read in below if not self._absorbed(read, factors)]
        return replace(term, factors=tuple(factors)), left

    def _absorbed(self, read: Read, factors: list[Operand]) -> bool:
        """Whether a factor could be replaced by its quotient by what is read."""
        for place, factor in enumerate(factors):
            names = axes_of(factor)
            if names is not None and isinstance(factor, Read):
                back = {axis: str(number) for number, axis in enumerate(names)}
                found = self.made.get((factor.array, renamed_read(read, back)))
                if found is not None:
                    factors[place] = Read(found, factor.index)
                    return True
        return False


def _placed(axes: Iterable[str]) -> Mapping[str, str]:
    """By the places of an array's axes, the axes along which it is read."""
    return {str(place): axis for place, axis in enumerate(axes)}


def _on_places(read: Read, statement: Statement) -> Read | None:
    """A read with the places of a statement's axes in their stead; None where it has others."""
    names = {axis.name: str(place) for place, axis in enumerate(statement.axes)}
    own = {axis for index in read.index for axis in index.axes}
    return renamed_read(read, names) if own <= names.keys() else None
