"""Factors carried upstream: what is scaled at the end is scaled where it is smallest.

A step of training multiplies every derivative by the learning rate and divides it by the number of
samples. Derivatives are linear in the cotangents that they are made of, so c·Σ a·b = Σ (c·a)·b: one
multiplication of the first cotangent does for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import inf, prod
from typing import Final, NamedTuple, TypeGuard

from ...arrays.statements import COMPUTED, Array, ArrayProgram, Statement
from ...ops.reads import Apply, Operand, Read, Reduce, Term, Value
from ...ops.scalar import DIV, MUL
from ...ops.shapes import BATCH
from .flow import Flow, copied_by, free_name, in_order, is_sum, with_reads, with_terms
from .function import ArrayFunction
from .recognise import SAMPLES

CALL: Final = 1000
"""As many elements are multiplied in the time that a call takes."""


class Factor(NamedTuple):
    """A number times scalars, which are named."""

    number: float = 1.0
    names: tuple[str, ...] = ()

    def times(self, other: Factor) -> Factor:
        """The product of two factors."""
        return Factor(self.number * other.number, tuple(sorted(self.names + other.names)))

    @property
    def operands(self) -> tuple[Operand, ...]:
        """What is multiplied."""
        return (*([self.number] if self.number != 1.0 else []), *map(Read, self.names))


ONE: Final = Factor()

Part = tuple[Term, Factor]
"""A term of a sum without its numbers and scalars, and the product of these."""


class Use(NamedTuple):
    """A term that reads an array, by what it is scaled there, and about how long that takes."""

    number: int
    term: int
    factor: Factor
    cost: int


def scaled(function: ArrayFunction) -> ArrayFunction:
    """The function with factors moved to where the fewest elements are scaled, or itself.

    d[i, j] = Σ_n e[n, i]·x[n, j]           e'[n, i] = 0.1·e[n, i]
    new[i, j] = w[i, j] - 0.1·d[i, j]       d[i, j] = Σ_n e'[n, i]·x[n, j]
                                            new[i, j] = w[i, j] - d[i, j]
    """
    work = _Sweep(function.program)
    for statement in reversed(work.program.statements):
        work.look_at(statement.array)
    return function.with_statements(work.result(), work.arrays) if work.changed else function


class _Sweep:
    """From the last statement to the first: what all readers scale alike is made scaled."""

    def __init__(self, program: ArrayProgram) -> None:
        self.program, self._reciprocals = _with_reciprocals(program)
        self.arrays = dict(self.program.arrays)
        self.changed = False
        self._flow = Flow(self.program)
        self._statements = list(self.program.statements)
        self._unscaled: dict[int, Statement] = {}
        self._fixed = set(self._flow.kept)
        self._done = set[str]()

    def look_at(self, name: str) -> None:
        """Scale an array, and what lies with it in a vector, if all readers do."""
        home = self.arrays[name].home
        names = [name]
        if home is not None:
            names = [home.vector, *[part.name for part in self.program.parts(home.vector)]]
        if name in self._done or not self._fixed.isdisjoint(names):
            return
        self._done.update(names)
        uses = list(self._uses(names))
        factors = {use.factor for use in uses}
        if len(factors) != 1 or ONE in factors:
            return
        (factor,) = factors
        makers = [number for name in names for number in self._flow.writers[name]]
        late = [number for name in factor.names for number in self._flow.writers[name]]
        early = max(late, default=-1) < min(makers)
        if not early or sum(use.cost for use in uses) < self._price(names, makers):
            return
        self.changed = True
        for use in uses:
            parts = self._parts(use.number) or []
            parts[use.term] = parts[use.term][0], ONE
            self._put(use.number, parts)
        for maker in makers:
            self._scale(maker, factor)

    def result(self) -> Iterator[Statement]:
        """The statements; what is but a copy after that is read where it is from."""
        source: dict[str, str] = {}
        for number, statement in enumerate(self._statements):
            reads = [replace(r, array=source.get(r.array, r.array)) for r in statement.reads]
            made = replace(statement, value=with_reads(statement.value, reads))
            copied = copied_by(made) if is_sum(made.value) else None
            same = copied and self.arrays[copied].shape == self.arrays[made.array].shape
            plain = made.array in self._flow.free and not made.domain
            if copied and same and plain and reads == [in_order(copied, made.axes)]:
                source[made.array] = copied
            yield from [self._unscaled[number]] if number in self._unscaled else []
            yield made

    def _parts(self, number: int) -> list[Part] | None:
        """The terms that a statement adds up, or the one that it is; None for other operations."""
        value = self._statements[number].value
        if is_sum(value):
            return list(map(self._part, value.terms))
        if not isinstance(value, Apply) or value.op not in (MUL, DIV):
            return None
        one, other = value.operands
        if value.op is DIV:
            if isinstance(other, Read) and other.array in self._reciprocals:
                other = Read(self._reciprocals[other.array])
            elif isinstance(other, Read) or other == 0.0:
                return None
            else:
                other = 1.0 / other
        return [self._part(Term(1, (one, other)))]

    def _part(self, term: Term) -> Part:
        factor, large = ONE, list[Operand]()
        for operand in term.factors:
            if operand == 0.0 or (isinstance(operand, Read) and self.arrays[operand.array].shape):
                large.append(operand)
            elif isinstance(operand, Read):
                factor = factor.times(Factor(1.0, (operand.array,)))
            else:
                factor = factor.times(Factor(operand))
        return replace(term, factors=tuple(large)), factor

    def _put(self, number: int, parts: Sequence[Part]) -> None:
        terms = [replace(term, factors=(*term.factors, *own.operands)) for term, own in parts]
        self._statements[number] = with_terms(self._statements[number], terms)

    def _uses(self, names: Sequence[str]) -> Iterator[Use]:
        """Where arrays are read; `ONE` is the factor where they are not scaled, or not alone."""
        for number in sorted({n for name in names for n in self._flow.readers[name]}):
            statement, parts = self._statements[number], self._parts(number)
            mean = not is_sum(statement.value) and statement.array in self._flow.kept
            if parts is None or mean:  # a mean that is put out is no number for no samples
                yield Use(number, 0, ONE, 0)
            for place, (term, own) in enumerate(parts or ()):
                times = sum(isinstance(f, Read) and f.array in names for f in term.factors)
                if times:
                    cost = self._cost(statement, term) + CALL
                    yield Use(number, place, own if times == 1 else ONE, cost)

    def _cost(self, statement: Statement, term: Term) -> int:
        """About how many elements a factor of a term is applied to."""
        axes = {axis.name: axis.length for axis in (*statement.axes, *term.over)}
        grids = [[axis.name for axis in statement.axes]]
        for factor in term.factors:
            if isinstance(factor, Read):
                grids.append([name for index in factor.index for name in index.axes])
        return min(prod(SAMPLES if axes[n] == BATCH else axes[n] for n in grid) for grid in grids)

    def _price(self, names: Sequence[str], makers: Sequence[int]) -> float:
        """About what it costs to make arrays scaled; without bound where that cannot be done."""
        total = 0.0
        for maker in makers:
            statement, parts = self._statements[maker], self._parts(maker)
            whole = len(names) == len(makers) == 1 and statement.place is None
            if len(names) == 1 and not statement.axes:
                return inf
            if parts is None and (isinstance(statement.value, Reduce) or not whole):
                return inf
            if parts is None:
                total += self._cost(statement, Term(1, ())) + CALL + 1
                continue
            call = CALL if len(names) == 1 else 0  # those of a vector's parts are moved on
            total += sum(self._cost(statement, term) + call for term, own in parts if own == ONE)
        return total

    def _scale(self, number: int, factor: Factor) -> None:
        """Make what a statement computes scaled."""
        parts, statement = self._parts(number), self._statements[number]
        if parts is None:
            name = free_name(f"{statement.array}_unscaled", self.arrays)
            self.arrays[name] = Array(name, self.arrays[statement.array].shape)
            self._unscaled[number] = replace(statement, array=name)
            self._fixed.update([read.array for read in statement.reads])
            parts = [(Term(1, (in_order(name, statement.axes),)), ONE)]
        self._put(number, [(term, own.times(factor)) for term, own in parts])


def _with_reciprocals(program: ArrayProgram) -> tuple[ArrayProgram, dict[str, str]]:
    """The program with 1 over each scalar that something is divided by, and the name of that.

    Scalars that are made of leaves are computed before all others.
    """
    arrays = dict(program.arrays)
    known = {name for name, array in arrays.items() if array.kind != COMPUTED}
    first, others = list[Statement](), list[Statement]()
    for statement in program.statements:
        array = arrays[statement.array]
        plain = not array.shape and array.home is None and statement.place is None
        early = plain and all(read.array in known for read in statement.reads)
        known.update([array.name] if early else [])
        (first if early else others).append(statement)
    made = {}
    for statement in program.statements:
        below = statement.value.operands[1] if _divides(statement.value) else 0.0
        if isinstance(below, Read) and not below.index and below.array not in made:
            made[below.array] = name = free_name(f"per_{below.array}", arrays)
            arrays[name] = Array(name, ())
            per = Statement(name, (), Apply(DIV, (1.0, below)))
            order = first if below.array in known else others
            places = [k for k, one in enumerate(order, 1) if one.array == below.array]
            order.insert(max(places, default=0), per)
    return replace(program, arrays=arrays, statements=(*first, *others)), made


def _divides(value: Value) -> TypeGuard[Apply]:
    return isinstance(value, Apply) and value.op is DIV
