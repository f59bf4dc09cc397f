"""Factors carried upstream: what is scaled at the end is scaled where it is smallest.

A step of training multiplies every derivative by the learning rate and divides it by the number of
samples. Derivatives are linear in the cotangents that they are made of, so c·Σ a·b = Σ (c·a)·b: one
multiplication of the first cotangent does for all of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from math import prod
from typing import Final, NamedTuple

from ...arrays.statements import COMPUTED, Array, ArrayProgram, Statement
from ...ops.reads import Apply, Operand, Read, Reduce, Term, Value, along
from ...ops.scalar import ADD, DIV, MUL
from ...ops.shapes import BATCH
from .function import ArrayFunction
from .recognise import SAMPLES

STEPS: Final = 100_000
"""How many statements may be looked at in all; the search ends there, with what it has found."""

FEW: Final = 16
"""Of more terms than this, those that read an array are found by its name."""

ROUNDS: Final = 16
"""How many factors are moved, one after another."""


class Factor(NamedTuple):
    """A number times scalars over scalars, which are named."""

    number: float = 1.0
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()

    def times(self, other: Factor) -> Factor:
        """The product of two factors."""
        return Factor(
            self.number * other.number,
            tuple(sorted(self.above + other.above)),
            tuple(sorted(self.below + other.below)),
        )


ONE: Final = Factor()


def scaled(function: ArrayFunction) -> ArrayFunction:
    """The function with factors moved to where the fewest elements are scaled, or itself.

    d[i, j] = Σ_n e[n, i]·x[n, j]           e'[n, i] = 0.1·e[n, i]
    new[i, j] = w[i, j] - 0.1·d[i, j]       d'[i, j] = Σ_n e'[n, i]·x[n, j]
                                            new[i, j] = w[i, j] - d'[i, j]
    """
    budget = [STEPS]
    for _ in range(ROUNDS):
        plan = _Search(function.program, budget).best()
        if plan is None:
            break
        function = _applied(function, plan)
    return function


@dataclass
class _Plan:
    """A factor to apply at `start`, and no longer at what reads what is made of it.

    inside    the arrays that are scaled by it from now on
    aliases   arrays that were others times a factor: they are those now
    absorbed  by statement, the places of terms whose own numbers and scalars go
    moved     the statements of scalars that have to come before
    own       what is scaled at the start already, and by what
    """

    start: int
    factor: Factor = ONE
    inside: set[str] = field(default_factory=set)
    aliases: dict[str, tuple[str, Factor]] = field(default_factory=dict)
    absorbed: dict[int, set[int]] = field(default_factory=dict)
    moved: list[int] = field(default_factory=list)
    own: tuple[str, Factor] | None = None
    gain: int = 0


class _Search:
    """What is known of one program while factors are followed upstream."""

    def __init__(self, program: ArrayProgram, budget: list[int]) -> None:
        self.program, self.budget = program, budget
        self.arrays, self.statements = program.arrays, program.statements
        self.kept = {output.array for output in program.outputs}
        self.readers: defaultdict[str, list[int]] = defaultdict(list)
        self.writers = Counter(s.array for s in self.statements)
        self.parts: defaultdict[str, list[str]] = defaultdict(list)
        for array in self.arrays.values():
            if array.home is not None:
                self.parts[array.home.vector].append(array.name)
        for place, statement in enumerate(self.statements):
            for name in dict.fromkeys(read.array for read in statement.reads):
                self.readers[name].append(place)
        self.terms: dict[int, defaultdict[str, list[int]]] = {}

    def _terms_reading(self, number: int, names: Set[str]) -> list[int]:
        """The places of the terms of a sum that read one of some arrays; few of many quickly."""
        value = self.statements[number].value
        assert isinstance(value, Reduce)
        terms = value.terms
        if len(terms) < FEW:
            return list(range(len(terms)))
        if number not in self.terms:
            known = self.terms[number] = defaultdict(list)
            for place, term in enumerate(terms):
                for factor in term.factors:
                    if isinstance(factor, Read):
                        known[factor.array].append(place)
        known = self.terms[number]
        if len(names) > len(known):
            names = known.keys() & names
        return sorted({place for name in names if name in known for place in known[name]})

    def best(self) -> _Plan | None:
        """The plan that saves most, if any saves something."""
        largest = max((self._saved(s) for s in self.statements), default=0)
        found: _Plan | None = None
        if not largest:
            return None
        for place in reversed(range(len(self.statements))):
            plan = self._plan(place)
            if plan is not None and plan.gain > (found.gain if found else 0):
                found = plan
            if self.budget[0] < 0:
                break
        return found

    def _saved(self, statement: Statement) -> int:
        """How many elements are scaled where nothing but a scaling is done, at most."""
        if isinstance(statement.value, Apply):
            return self._size(statement.array) if self._scaling(statement) else 0
        terms = [term for term in statement.value.terms if self._own_factor(term, set()) != ONE]
        return self._size(statement.array) * len(terms)

    def _size(self, name: str) -> int:
        return prod(SAMPLES if n == BATCH else n for n in self.arrays[name].shape)

    def _plan(self, place: int) -> _Plan | None:
        """What becomes of scaling what a statement computes; None where that does not work."""
        first = self.statements[place]
        array = self.arrays[first.array]
        if self.writers[array.name] > 1 or first.place is not None or not array.shape:
            return None
        if isinstance(first.value, Reduce) and first.value.op is not ADD:
            return None
        plan = _Plan(place)
        exits: list[tuple[int, int, Factor, Factor]] = []
        if not self._follow(plan, exits) or not exits:
            return None
        for alone in (False, True):
            whole, *others = {one[2] if alone else one[3] for one in exits}
            if not others and whole != ONE:
                plan.factor = whole
                if not alone:
                    for number, term, known, own in exits:
                        if own == known:
                            continue
                        plan.absorbed.setdefault(number, set()).add(term)
                return plan if self._works(plan) else None
        return None

    def _follow(self, plan: _Plan, exits: list[tuple[int, int, Factor, Factor]]) -> bool:
        """Find all that is linear in what is scaled, and where it is read otherwise."""
        name = self.statements[plan.start].array
        pending = [name]
        inside, seen = plan.inside, set[int]()
        complete: Counter[str] = Counter()
        while pending:
            name = pending.pop()
            if name in self.kept or name in inside:
                return False
            inside.add(name)
            home = self.arrays[name].home
            if home is not None:
                complete[home.vector] += 1
                if home.vector not in inside and complete[home.vector] == len(
                    self.parts[home.vector]
                ):
                    pending.append(home.vector)
            # a statement that reads several is looked at when the last of them is inside
            for number in self.readers[name]:
                self.budget[0] -= 1
                if self.budget[0] < 0:
                    return False
                statement = self.statements[number]
                if number in seen:
                    continue
                if self._linear(statement, inside) and self._can_scale(statement):
                    seen.add(number)
                    pending.append(statement.array)
        return self._exits(plan, seen, complete, exits)

    def _can_scale(self, statement: Statement) -> bool:
        return (
            self.writers[statement.array] == 1
            and statement.array not in self.kept
            and self._scaling(statement) is None
        )

    def _exits(
        self,
        plan: _Plan,
        seen: set[int],
        complete: Counter[str],
        exits: list[tuple[int, int, Factor, Factor]],
    ) -> bool:
        """Where what is inside is read by what is not, and by what factors each is scaled there."""
        if any(count < len(self.parts[vector]) for vector, count in complete.items()):
            return False
        for name in plan.inside:
            for number in self.readers[name]:
                if number in seen:
                    continue
                statement = self.statements[number]
                scaling = self._scaling(statement)
                if scaling is None or statement.array in self.kept:
                    if not self._exit(plan, number, exits):
                        return False
                    continue
                plan.aliases[statement.array] = scaling
                plan.gain += self._size(statement.array)
                for reader in self.readers[statement.array]:
                    self._exit(plan, reader, exits)
        return True

    def _exit(self, plan: _Plan, number: int, exits: list[tuple[int, int, Factor, Factor]]) -> bool:
        """Note what a statement reads of what is inside; whether it can read it scaled."""
        value = self.statements[number].value
        ours = plan.inside | plan.aliases.keys()
        if isinstance(value, Apply) or value.op is not ADD:
            for read in self.statements[number].reads:
                if read.array in ours:
                    known = plan.aliases[read.array][1] if read.array in plan.aliases else ONE
                    exits.append((number, -1, known, ONE))
            return True
        for place in self._terms_reading(number, ours):
            term = value.terms[place]
            mine = [f for f in term.factors if isinstance(f, Read) and f.array in ours]
            for read in mine:
                known = plan.aliases[read.array][1] if read.array in plan.aliases else ONE
                whole = known.times(self._own_factor(term, ours)) if len(mine) == 1 else ONE
                exits.append((number, place, known, whole))
        return True

    def _own_factor(self, term: Term, ours: set[str] | frozenset[str]) -> Factor:
        """The numbers and scalars that a term multiplies by."""
        found = ONE
        for factor in term.factors:
            if not isinstance(factor, Read):
                found = found.times(Factor(factor))
            elif not self.arrays[factor.array].shape and factor.array not in ours:
                found = found.times(Factor(1.0, (factor.array,)))
        return found if found.number and len(term.factors) > 1 else ONE

    def _scaling(self, statement: Statement) -> tuple[str, Factor] | None:
        """The array that a statement scales by numbers and scalars, if that is all, and by what."""
        array = self.arrays[statement.array]
        if array.home is not None or statement.place is not None or statement.domain:
            return None
        value = statement.value
        if isinstance(value, Apply):
            if value.op not in (DIV, MUL):
                return None
            one, other = value.operands
            if value.op is MUL and not self._is_scalar(other):
                one, other = other, one
            if not self._is_scalar(other) or not self._whole(one, statement):
                return None
            assert isinstance(one, Read)
            if isinstance(other, Read):
                names = (other.array,)
                factor = Factor(1.0, (), names) if value.op is DIV else Factor(1.0, names)
                return one.array, factor
            if not other:
                return None
            return one.array, Factor(1.0 / other if value.op is DIV else other)
        if value.op is not ADD or len(value.terms) != 1:
            return None
        (term,) = value.terms
        large = [f for f in term.factors if not self._is_scalar(f)]
        if term.over or term.domain or len(large) != 1 or not self._whole(large[0], statement):
            return None
        (one,) = large
        assert isinstance(one, Read)
        factor = self._own_factor(term, set()).times(Factor(float(term.count)))
        return (one.array, factor) if factor != ONE else None

    def _is_scalar(self, operand: Operand) -> bool:
        return not isinstance(operand, Read) or not self.arrays[operand.array].shape

    def _whole(self, operand: Operand, statement: Statement) -> bool:
        if not isinstance(operand, Read):
            return False
        own = tuple([along(axis.name) for axis in statement.axes])
        same = self.arrays[operand.array].shape == self.arrays[statement.array].shape
        return operand.index == own and same

    def _linear(self, statement: Statement, inside: set[str]) -> bool:
        """Whether scaling all that is inside scales what a statement computes."""

        def scales(operand: Operand) -> bool:
            return isinstance(operand, Read) and operand.array in inside

        value = statement.value
        if isinstance(value, Reduce):
            if value.op is not ADD:
                return False
            return all(sum(map(scales, term.factors)) == 1 for term in value.terms)
        op, operands = value.op, value.operands
        if op.linear == "each":
            return sum(map(scales, operands)) == 1
        if op.linear == "first":
            return scales(operands[0]) and not any(map(scales, operands[1:]))
        if op.linear == "together":
            return all(
                not scales(o) if place in op.conditions else scales(o) or o == 0.0
                for place, o in enumerate(operands)
            )
        return False

    def _works(self, plan: _Plan) -> bool:
        """Whether the factor can be had before the start, and fewer elements are scaled then."""
        factor, start = plan.factor, plan.start
        plan.own = self._scaling(self.statements[start])
        for name in (*factor.above, *factor.below):
            if name in plan.inside or (
                self.arrays[name].kind == COMPUTED and not self._early(name, plan)
            ):
                return False
        ours = plan.inside | plan.aliases.keys()
        for number, places in plan.absorbed.items():
            value = self.statements[number].value
            terms = [value.terms[k] for k in places] if isinstance(value, Reduce) else []
            scalings = [term for term in terms if self._own_factor(term, ours) != ONE]
            plan.gain += self._size(self.statements[number].array) * len(scalings)
        if plan.own is None:
            plan.gain -= self._size(self.statements[start].array)
        return plan.gain > 0

    def _early(self, name: str, plan: _Plan) -> bool:
        """Whether a scalar is computed before the start, or could be."""
        places = [k for k, s in enumerate(self.statements) if s.array == name]
        if len(places) != 1:
            return False
        (place,) = places
        if place < plan.start:
            return True
        before = {s.array for s in self.statements[: plan.start]}
        for read in self.statements[place].reads:
            array = self.arrays[read.array]
            if array.kind == COMPUTED and (read.array not in before or self.parts[read.array]):
                return False
        plan.moved.append(place)
        return True


def _applied(function: ArrayFunction, plan: _Plan) -> ArrayFunction:
    program = function.program
    arrays = {n: a for n, a in program.arrays.items() if n not in plan.aliases}
    made: list[Statement] = []
    for place, statement in enumerate(program.statements):
        if place == plan.start:
            made += [program.statements[k] for k in plan.moved]
            made += _at_start(statement, plan, arrays)
            continue
        if place in plan.moved or statement.array in plan.aliases:
            continue
        value = statement.value
        if place in plan.absorbed:
            assert isinstance(value, Reduce)
            value = _without(value, plan.absorbed[place], plan, program.arrays)
        made.append(replace(statement, value=_renamed(value, plan.aliases)))
    columns = function.columns
    if program.statements[plan.start].array in columns:
        columns |= {name for name in arrays if name not in program.arrays and arrays[name].shape}
    program = ArrayProgram(arrays, tuple(made), program.outputs, program.arguments)
    return replace(function, program=program, columns=columns)


def _at_start(statement: Statement, plan: _Plan, arrays: dict[str, Array]) -> Iterator[Statement]:
    """The statements that compute an array scaled."""
    whole = tuple([along(axis.name) for axis in statement.axes])
    factor, value = plan.factor, statement.value
    if plan.own is not None:
        source, own = plan.own
        factor = factor.times(own)
        value = Reduce(ADD, (Term(1, (Read(source, whole),)),))
    elif isinstance(value, Apply) or len(value.terms) > 1:
        name = _free(f"{statement.array}_unscaled", arrays)
        arrays[name] = Array(name, arrays[statement.array].shape)
        yield replace(statement, array=name)
        value = Reduce(ADD, (Term(1, (Read(name, whole),)),))
    by = [] if factor.number == 1.0 and not factor.below else [factor.number]
    more: tuple[Operand, ...] = (*by, *map(Read, factor.above))
    for place, below in enumerate(factor.below):
        name = _free("scale", arrays)
        arrays[name] = Array(name, ())
        one: Operand = factor.number
        if len(more) > 1:
            product = _free("scale", arrays)
            arrays[product] = Array(product, ())
            yield Statement(product, (), Reduce(ADD, (Term(1, more),)))
            one = Read(product)
        elif place:
            one = more[0]
        yield Statement(name, (), Apply(DIV, (one, Read(below))))
        more = (Read(name),)
    (term,) = value.terms
    term = replace(term, factors=(*term.factors, *more))
    yield replace(statement, value=replace(value, terms=(term,)))


def _free(wish: str, arrays: Mapping[str, Array]) -> str:
    while wish in arrays:
        wish += "_"
    return wish


def _without(value: Reduce, places: set[int], plan: _Plan, arrays: Mapping[str, Array]) -> Reduce:
    """A sum some of whose terms have lost their numbers and scalars."""
    ours = plan.inside | plan.aliases.keys()
    terms = []
    for place, term in enumerate(value.terms):
        if place in places:
            factors = [
                f
                for f in term.factors
                if isinstance(f, Read) and (f.array in ours or arrays[f.array].shape)
            ]
            term = replace(term, factors=tuple(factors))
        terms.append(term)
    return replace(value, terms=tuple(terms))


def _renamed(value: Value, aliases: Mapping[str, tuple[str, Factor]]) -> Value:
    """A value that reads arrays themselves instead of what was they times a factor."""
    if not aliases:
        return value

    def operand(operand: Operand) -> Operand:
        if isinstance(operand, Read) and operand.array in aliases:
            return replace(operand, array=aliases[operand.array][0])
        return operand

    def operands(given: Sequence[Operand]) -> tuple[Operand, ...]:
        return tuple(map(operand, given))

    if isinstance(value, Apply):
        return replace(value, operands=operands(value.operands))
    terms = [replace(term, factors=operands(term.factors)) for term in value.terms]
    return replace(value, terms=tuple(terms))
