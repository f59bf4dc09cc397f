"""What arrays are outside of the domains of the statements that write them.

Whole arrays are computed, so there are numbers where a statement says nothing. A sum over part of a
grid needs 0 there, a maximum -inf; both are kept up as far as possible, so that one mask serves for
many statements. What is no number there must not meet a 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import product
from math import inf, isfinite, prod
from typing import Final, cast

from ...arrays.statements import ArrayProgram, Statement
from ...ops.points import points
from ...ops.reads import (
    Affine,
    Among,
    AtLeast,
    Condition,
    Equal,
    Index,
    Operand,
    Read,
    Reduce,
    Term,
    Unequal,
    renamed_condition,
)
from ...ops.record import Op
from ...ops.scalar import ADD, MAXIMUM
from .flow import copied_by

_ANY: Final = (0.0, -1000.0, 1000.0)
"""What stands for any number at all."""

Lengths = Mapping[str, int]


class Outside:
    """What arrays of a program are outside of their domains, as far as statements were written.

    beyond    by array, 0 or an infinity, and conditions on the axes of its shape, outside of which
              it is that
    ragged    the arrays that are about part of their grid
    wild      those of them that may not be finite outside of it, where nobody asked for them
    wanted    what arrays have to be outside of their domain: 0 for sums, an infinity for extremes
    largest   by array, the statement that finds the largest or smallest elements that it holds
    """

    def __init__(self, program: ArrayProgram) -> None:
        self._arrays = program.arrays
        self.beyond: dict[str, tuple[float, frozenset[Condition]]] = {}
        self.ragged: set[str] = set()
        self.wild: set[str] = set()
        self.wanted: dict[str, float] = {}
        self.largest: dict[str, Statement] = {}
        domains = {s.array: s for s in program.statements if s.domain}
        for statement in program.statements:
            self._ask(statement, domains)

    def _ask(self, statement: Statement, domains: Mapping[str, Statement]) -> None:
        """Note what a statement wants of the arrays that it reads."""
        source, value = copied_by(statement), statement.value
        if source in self.largest:
            self.largest[statement.array] = self.largest[source]
        for term in value.terms if isinstance(value, Reduce) else ():
            needed = set(map(normal, term.domain))
            for factor in term.factors:
                if not isinstance(factor, Read) or factor.array not in domains or not needed:
                    continue
                made = domains[factor.array]
                own = on_shape(made, made.domain)
                seen = needed.intersection(self._seen(factor, own, _inner(statement, term)))
                if value.op is ADD and seen:
                    self.wanted[factor.array] = 0.0
                    needed -= seen
                elif value.op is not ADD and seen == needed and _reaches_all(statement, term):
                    self.largest[statement.array] = statement
                    size = -inf if value.op is MAXIMUM else inf
                    self.wanted.setdefault(factor.array, size)

    # Statements.

    def written(self, statement: Statement, alone: bool) -> float | None:
        """Note what a statement leaves outside of its domain; the number to be put there, if any.

        alone   whether it writes all of its array
        """
        if not statement.domain:
            return None
        name, whole = statement.array, frozenset(map(normal, statement.domain))
        self.ragged.add(name)
        wild, wanted = self._is_wild(statement), self.wanted.get(name) if alone else None
        if alone:
            value, known = self._infinity_after(statement) or (0.0, self._zero_after(statement))
            if wanted is not None and not (wanted == value and whole <= known):
                wild, value, known = False, wanted, whole
            else:
                wanted = None
            self.beyond[name] = value, on_shape(statement, known)
        if wild:
            self.wild.add(name)
        return wanted

    def _zero_after(self, statement: Statement) -> frozenset[Condition]:
        """The conditions of a statement outside of which its value is 0 by itself."""
        domain = frozenset(map(normal, statement.domain))
        if self._is_wild(statement):
            return frozenset()
        value = statement.value
        if isinstance(value, Reduce):
            if value.op is not ADD:
                return frozenset()
            for term in value.terms:
                outer = frozenset(map(normal, term.domain))
                lengths = _inner(statement, term)
                zeros = [self._zero(factor, lengths) for factor in term.factors]
                domain &= frozenset[Condition]().union(outer, *zeros)
            return domain
        lengths = _inner(statement)
        if len(value.operands) == 1:
            (operand,) = value.operands
            size, seen = self._seen_beyond(operand, lengths)
            if size and value.op.evaluate(size, *value.statics) == 0.0:
                return domain & seen
        zeros = [self._zero(operand, lengths) for operand in value.operands]
        if value.op.linear == "each":
            return domain & frozenset[Condition]().union(*zeros)
        if value.op.linear == "first":
            return domain & zeros[0]
        if value.op.linear == "together" and not value.op.conditions:
            return domain.intersection(*zeros)
        return frozenset()

    def _is_wild(self, statement: Statement) -> bool:
        """Whether the value of a statement may not be finite outside of its domain.

        It may where it is computed from such a value, or an operation has none at some of the
        numbers that its operands may be there.
        """
        value, domain = statement.value, frozenset(map(normal, statement.domain))
        if isinstance(value, Reduce):
            reads = [f for term in value.terms for f in term.factors if isinstance(f, Read)]
            return any(self._is_unsafe(read) for read in reads)
        lengths = _inner(statement)
        choices = [self._choices(operand, domain, lengths) for operand in value.operands]
        return not all(choices) or not _all_finite(value.op, value.statics, tuple(choices))

    def _choices(
        self, operand: Operand, domain: frozenset[Condition], lengths: Lengths
    ) -> tuple[float, ...]:
        """What an operand may be outside of a domain; nothing where it may be no number."""
        if not isinstance(operand, Read):
            return (operand,)
        if operand.array not in self.ragged:
            return (1.0,)
        size, seen = self._seen_beyond(operand, lengths)
        if domain <= seen:
            return (size,)
        return () if self._is_unsafe(operand) else _ANY

    def _infinity_after(self, statement: Statement) -> tuple[float, frozenset[Condition]] | None:
        """An infinity, and the conditions of a statement outside of which its value is that.

        So it is where what is infinite is shifted by its own largest finite element.
        """
        value = statement.value
        if not isinstance(value, Reduce) or len(value.terms) != 2:
            return None
        one, other = value.terms
        (x,), (m,) = one.factors[:1], other.factors[:1]
        alone = all(len(term.factors) == 1 and not term.over for term in value.terms)
        if not alone or (one.count, other.count) != (1, -1):
            return None
        size, seen = self._seen_beyond(x, _inner(statement))
        found = self.largest.get(m.array) if isinstance(m, Read) else None
        if not size or found is None or not isinstance(x, Read) or not isinstance(m, Read):
            return None
        names = dict(zip((axis.name for axis in found.axes), m.index, strict=True))
        own = any(_elements(term, x, names) for term in cast(Reduce, found.value).terms)
        return (size, seen) if own else None

    # Terms.

    def uncovered(self, term: Term, lengths: Lengths) -> list[Condition]:
        """The conditions that a term of a sum needs a mask for: outside, no factor is 0 by itself.

        lengths   of the axes of the statement and of the term
        """
        implied: set[Condition] = set()
        for factor in term.factors:
            implied |= self._zero(factor, lengths)
            implied.update(map(normal, self.unsafe(factor, term)))
        return [c for c in term.domain if normal(c) not in implied]

    def unsafe(self, factor: Operand, term: Term) -> list[Condition]:
        """The conditions outside of which a factor has to be made 0, as it may not be finite.

        What others are there may be 0, and 0 times an infinity is no number.
        """
        if len(term.factors) == 1 or not isinstance(factor, Read) or not self._is_unsafe(factor):
            return []
        own = {axis for index in factor.index for axis in index.axes}
        return [condition for condition in term.domain if own.issuperset(condition.axes)]

    def unbounded(self, term: Term, least: float, lengths: Lengths) -> list[Condition]:
        """The conditions of a term of an extreme outside of which it is not `least` by itself."""
        size, seen = self._seen_beyond(term.factors[0], lengths)
        return [c for c in term.domain if size != least or normal(c) not in seen]

    # Reads.

    def _is_unsafe(self, read: Read) -> bool:
        return read.array in self.wild or self.beyond.get(read.array, (0.0,))[0] != 0.0

    def _zero(self, operand: Operand, lengths: Lengths) -> frozenset[Condition]:
        value, seen = self._seen_beyond(operand, lengths)
        return frozenset() if value else seen

    def _seen_beyond(
        self, operand: Operand, lengths: Lengths
    ) -> tuple[float, frozenset[Condition]]:
        """What an operand is outside of conditions, and those in the axes of a reader."""
        if not isinstance(operand, Read) or operand.array not in self.beyond:
            return 0.0, frozenset()
        value, conditions = self.beyond[operand.array]
        return value, self._seen(operand, conditions, lengths)

    def _seen(
        self, read: Read, conditions: Iterable[Condition], lengths: Lengths
    ) -> frozenset[Condition]:
        """Conditions on the axes of an array in the axes of a reader, those that can be said.

        Past the end of the array an axis reads its last element, of which they say something else.
        """
        names = {
            str(place): index.axis
            for place, (index, length) in enumerate(
                zip(read.index, self._arrays[read.array].shape, strict=True)
            )
            if isinstance(index, Affine)
            and index.axis is not None
            and (lengths[index.axis] <= length)
        }
        return _renamed(conditions, names)


def _inner(statement: Statement, term: Term | None = None) -> dict[str, int]:
    """The lengths of the axes of a statement, and of those that a term of it is summed over."""
    return dict[str, int]([*statement.axes, *(term.over if term else ())])


@lru_cache(maxsize=1024)
def _all_finite(op: Op, statics: tuple[float, ...], choices: tuple[tuple[float, ...], ...]) -> bool:
    """Whether an operation has a finite value at all of some numbers, tried out."""
    return all(isfinite(op.evaluate(*numbers, *statics)) for numbers in product(*choices))


def _reaches_all(statement: Statement, term: Term) -> bool:
    """Whether a term has an element to choose at every point of the statement."""
    named = {name for condition in term.domain for name in condition.axes}
    outer = [a for a in statement.axes if a.name in named]
    if statement.domain or statement.place is not None or any(a.length < 0 for a in outer):
        return False
    found = points([*outer, *[a for a in term.over if a.name in named]], term.domain)
    rows = set(zip(*[found[axis.name].tolist() for axis in outer], strict=True))
    return len(rows) == prod(axis.length for axis in outer)


def _elements(term: Term, x: Read, names: Mapping[str, Index]) -> bool:
    """Whether a term of an extreme is that of the elements of an array beside the one read.

    names   what is read of the extreme, by axis of the statement that finds it
    """
    (read,) = term.factors
    if not isinstance(read, Read) or read.array != x.array:
        return False
    free = {axis.name for axis in term.over}
    return all(
        isinstance(a, Affine) and (names.get(a.axis or "", a) == b or a.axis in free)
        for a, b in zip(read.index, x.index, strict=True)
    )


def on_shape(statement: Statement, conditions: Iterable[Condition]) -> frozenset[Condition]:
    """Conditions of a statement on the axes of its array, called "0", "1" and so on."""
    return _renamed(conditions, {a.name: str(place) for place, a in enumerate(statement.axes)})


def normal(condition: Condition) -> Condition:
    """The same condition in the one form in which equal ones are equal."""
    if isinstance(condition, (AtLeast, Unequal)):
        terms = tuple(sorted(condition.expression.terms))
        return type(condition)(Affine(condition.expression.offset, terms))
    if isinstance(condition, Equal):
        left, right = sorted((condition.left, condition.right), key=repr)
        return Equal(left, right)
    return condition


def _renamed(conditions: Iterable[Condition], names: Mapping[str, str]) -> frozenset[Condition]:
    """Conditions with other names for their axes, without those with an axis that has none."""
    return frozenset(
        normal(renamed_condition(condition, names))
        for condition in conditions
        if not isinstance(condition, Among) and all(axis in names for axis in condition.axes)
    )
