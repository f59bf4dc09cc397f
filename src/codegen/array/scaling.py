"""Factors carried upstream: what is scaled at the end is scaled where it is smallest.

A step of training multiplies every derivative by the learning rate and divides it by the number of
samples. Derivatives are linear in the cotangents that they are made of, so c·Σ a·b = Σ (c·a)·b: one
multiplication of the first cotangent does for all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import Final, NamedTuple

from ...arrays.statements import COMPUTED, Array, ArrayProgram, Statement
from ...ops.reads import Apply, Operand, Read, Reduce, Term, along
from ...ops.scalar import ADD, DIV, MUL
from ...ops.shapes import BATCH
from .flow import free_name, operands_of, pruned, with_reads
from .function import ArrayFunction
from .recognise import SAMPLES

CALL: Final = 1000
"""As many elements are multiplied in the time that a call takes."""


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


class Use(NamedTuple):
    """Where an array is read, by what it is scaled there, and about how long that takes.

    term  the number of the term of a sum; None for a statement that does nothing but scaling
    """

    number: int
    term: int | None
    factor: Factor
    cost: int


def scaled(function: ArrayFunction) -> ArrayFunction:
    """The function with factors moved to where the fewest elements are scaled, or itself.

    d[i, j] = Σ_n e[n, i]·x[n, j]           e'[n, i] = 0.1·e[n, i]
    new[i, j] = w[i, j] - 0.1·d[i, j]       d[i, j] = Σ_n e'[n, i]·x[n, j]
                                            new[i, j] = w[i, j] - d[i, j]
    """
    work = _Sweep(function)
    for number in reversed(range(len(function.instructions))):
        work.look_at(number)
    return work.result()


class _Sweep:
    """From the last statement to the first: what all readers scale alike is made scaled."""

    def __init__(self, function: ArrayFunction) -> None:
        self.function, program = function, function.program
        self.arrays = dict(program.arrays)
        self.scales: dict[str, Factor] = {}
        self.known: dict[Factor, tuple[int, Read | None]] = {}
        self.statements: list[Statement | None] = list(_scalars_first(program))
        self.kept = {output.array for output in program.outputs}
        self.before: defaultdict[int, list[Statement]] = defaultdict(list)
        self.columns, self.fixed = set(function.columns), set[str]()
        self.changed = False
        self._done: set[str] = set()
        self.writers: defaultdict[str, list[int]] = defaultdict(list)
        self.readers: defaultdict[str, set[int]] = defaultdict(set)
        for number, statement in enumerate(_scalars_first(program)):
            self.writers[statement.array].append(number)
            for read in statement.reads:
                self.readers[read.array].add(number)

    def look_at(self, number: int) -> None:
        """Scale what a statement computes, and what lies with it, if all readers do."""
        statement = self.statements[number]
        home = None if statement is None else self.arrays[statement.array].home
        if statement is None or statement.array in self._done:
            return
        names = [statement.array]
        if home is not None:
            names = [home.vector, *[p.name for p in self.function.program.parts(home.vector)]]
        self._done.update(names)
        uses = list(self._uses(names))
        factors = {use.factor for use in uses}
        if len(factors) != 1 or ONE in factors or self.kept.intersection(names):
            return
        (factor,) = factors
        makers = [n for name in names for n in self.writers[name]]
        early = all(
            max(self.writers[name], default=-1) < min(makers)
            for name in (*factor.above, *factor.below)
        )
        if not early or sum(use.cost for use in uses) < self._price(names, makers):
            return
        self.changed = True
        for use in uses:
            self._unscale(use)
        for maker in makers:
            self._scale(maker, factor)

    def _uses(self, names: Sequence[str]) -> Iterator[Use]:
        """Where arrays are read; `ONE` is the factor where they are not scaled, or not alone.

        What is linear in one of them passes a factor on, to where that is read.
        """
        ours, passing, pending = dict.fromkeys(names), set[int](), list(names)
        while pending:
            name = pending.pop()
            for number in self.readers[name] - passing:
                statement = self.statements[number]
                if statement is not None and self._passes_on(statement, name):
                    passing.add(number)
                    ours[statement.array] = None
                    pending.append(statement.array)
        if not self.fixed.isdisjoint(ours):
            yield Use(-1, None, ONE, 0)
        for number in sorted({number for name in ours for number in self.readers[name]}):
            statement = self.statements[number]
            if statement is None:
                continue
            value, scaling = statement.value, self._scaling(statement)
            parts = value.terms if isinstance(value, Reduce) else (value,)
            counts = [sum(read.array in ours for read in operands_of(part)) for part in parts]
            if not any(counts):
                continue
            if number in passing:
                yield from [Use(number, None, ONE, 0)] if sum(counts) > 1 else []
            elif scaling is not None and statement.array not in self.kept:
                yield Use(number, None, scaling, self._size(statement) + CALL)
            elif isinstance(value, Apply) or value.op is not ADD:
                yield Use(number, None, ONE, 0)
            else:
                for place, (term, times) in enumerate(zip(value.terms, counts, strict=True)):
                    if times:
                        own = self._own(term) if times == 1 else ONE
                        yield Use(number, place, own, self._cost(statement, term) + CALL)

    def _passes_on(self, statement: Statement, name: str) -> bool:
        """Whether scaling an array scales all that a statement computes."""
        value, array = statement.value, self.arrays[statement.array]
        alone = array.home is None and len(self.writers[array.name]) == 1
        if not isinstance(value, Apply) or not alone or array.name in self.kept:
            return False
        places = [
            k for k, o in enumerate(value.operands) if isinstance(o, Read) and o.array == name
        ]
        linear = value.op.linear == "each" or (value.op.linear == "first" and places == [0])
        return linear and len(places) == 1 and self._scaling(statement) is None

    def _own(self, term: Term) -> Factor:
        """The numbers and scalars that a term multiplies by."""
        found = ONE
        for factor in term.factors:
            if not isinstance(factor, Read):
                found = found.times(Factor(factor))
            elif not self.arrays[factor.array].shape:
                plain = Factor(1.0, (factor.array,))
                found = found.times(self.scales.get(factor.array, plain))
        return found if found.number and len(term.factors) > 1 else ONE

    def _scaling(self, statement: Statement) -> Factor | None:
        """By what a statement divides or multiplies all of an array, if it does nothing else."""
        value, array = statement.value, self.arrays[statement.array]
        plain = array.home is None and statement.place is None and not statement.domain
        if isinstance(value, Reduce):
            (term, *others) = value.terms
            if not plain or others or value.op is not ADD or term.over or term.domain:
                return None
            large = [f for f in term.factors if not self._is_scalar(f)]
            whole = [f for f in large if isinstance(f, Read) and self._is_whole(f, statement)]
            own = self._own(term).times(Factor(float(term.count)))
            return own if len(large) == len(whole) == 1 and own != ONE else None
        if not plain or value.op not in (DIV, MUL):
            return None
        one, other = value.operands
        if value.op is MUL and not self._is_scalar(other):
            one, other = other, one
        if not isinstance(one, Read) or not self._is_scalar(other):
            return None
        if not self._is_whole(one, statement):
            return None
        if isinstance(other, Read):
            names = (other.array,)
            return Factor(1.0, (), names) if value.op is DIV else Factor(1.0, names)
        return Factor(1.0 / other if value.op is DIV else other) if other else None

    def _is_whole(self, read: Read, statement: Statement) -> bool:
        same = self.arrays[read.array].shape == self.arrays[statement.array].shape
        return read.index == statement.target and same

    def _is_scalar(self, operand: Operand) -> bool:
        return not isinstance(operand, Read) or not self.arrays[operand.array].shape

    def _size(self, statement: Statement) -> int:
        return prod(SAMPLES if axis.length == BATCH else axis.length for axis in statement.axes)

    def _cost(self, statement: Statement, term: Term) -> int:
        """About how many elements a factor of a term is applied to, and a call."""
        axes = {axis.name: axis.length for axis in (*statement.axes, *term.over)}
        sizes = [self._size(statement)]
        for factor in term.factors:
            if isinstance(factor, Read) and factor.index:
                lengths = [axes[name] for index in factor.index for name in index.axes]
                sizes.append(prod(SAMPLES if n == BATCH else n for n in lengths))
        return min(sizes)

    def _price(self, names: Sequence[str], makers: Sequence[int]) -> float:
        """About what it costs to make arrays scaled; without bound where that cannot be done."""
        total = 0.0
        for maker in makers:
            statement = self.statements[maker]
            if statement is None or (not statement.axes and len(names) == 1):
                return float("inf")
            value = statement.value
            if isinstance(value, Apply):
                if len(names) > 1 or statement.place is not None or len(makers) > 1:
                    return float("inf")
                total += self._size(statement) + CALL + 1 if self._scaling(statement) is None else 0
                continue
            if value.op is not ADD:
                return float("inf")
            fresh = [term for term in value.terms if self._own(term) == ONE]
            call = CALL if len(names) == 1 else 0  # those of a vector's parts are moved on
            total += sum(self._cost(statement, term) + call for term in fresh)
        return total

    def _unscale(self, use: Use) -> None:
        """A reader without the factor; one that did nothing else is gone."""
        statement = self.statements[use.number]
        assert statement is not None
        value = statement.value
        if use.term is not None:
            assert isinstance(value, Reduce)
            terms = list(value.terms)
            factors = [f for f in terms[use.term].factors if not self._is_scalar(f)]
            terms[use.term] = replace(terms[use.term], factors=tuple(factors))
            self.statements[use.number] = replace(
                statement, value=replace(value, terms=tuple(terms))
            )
            return
        source = next(read.array for read in statement.reads if read.index)
        self.statements[use.number] = None
        del self.arrays[statement.array]
        for number in self.readers.pop(statement.array, set()):
            reader = self.statements[number]
            if reader is not None:
                reads = [
                    replace(read, array=source) if read.array == statement.array else read
                    for read in reader.reads
                ]
                self.statements[number] = replace(reader, value=with_reads(reader.value, reads))
                self.readers[source].add(number)

    def _operands(self, factor: Factor, first: int) -> list[Operand]:
        """A factor as operands of products, after the statements that compute it."""
        number, reads = factor.number, list(map(Read, factor.above))
        if not factor.below:
            return [*([number] if number != 1.0 else []), *reads]
        first_known, known = self.known.get(factor, (first + 1, None))
        if known is not None and first_known <= first:
            return [known]
        one: Operand = number
        if reads:
            one = self._scalar(first, Reduce(ADD, (Term(1, (number, *reads)),)))
        for name in factor.below:
            one = self._scalar(first, Apply(DIV, (one, Read(name))))
        assert isinstance(one, Read)
        self.scales[one.array] = factor
        self.known[factor] = first, one
        return [one]

    def _scalar(self, first: int, value: Apply | Reduce) -> Read:
        """A scalar that is computed before a statement."""
        name = free_name("scale", self.arrays)
        self.arrays[name] = Array(name, ())
        self.before[first].append(Statement(name, (), value))
        return Read(name)

    def _scale(self, number: int, factor: Factor) -> None:
        """Make what a statement computes scaled."""
        statement = self.statements[number]
        assert statement is not None
        value = statement.value
        if isinstance(value, Apply):
            scaling = self._scaling(statement)
            name = statement.array
            if scaling is not None:
                (read,) = [r for r in statement.reads if r.index]
                factor = factor.times(scaling)
            else:
                name = free_name(f"{name}_unscaled", self.arrays)
                self.arrays[name] = Array(name, self.arrays[statement.array].shape)
                self.before[number].append(replace(statement, array=name))
                self.fixed.update([read.array for read in statement.reads])
                self.columns.update([name] if statement.array in self.columns else [])
                read = Read(name, tuple([along(axis.name) for axis in statement.axes]))
            term = Term(1, (read, *self._operands(factor, number)))
            self.statements[number] = replace(statement, value=Reduce(ADD, (term,)))
        else:
            terms = []
            for term in value.terms:
                large = [f for f in term.factors if not self._is_scalar(f)]
                own = self._own(term)
                more = [f for f in term.factors if self._is_scalar(f)] if own == ONE else []
                scale = self._operands(own.times(factor), number)
                terms.append(replace(term, factors=(*large, *more, *scale)))
            self.statements[number] = replace(statement, value=replace(value, terms=tuple(terms)))

    def result(self) -> ArrayFunction:
        """The function with the factors moved, itself where none is."""
        if not self.changed:
            return self.function
        made: list[Statement] = []
        for number, statement in enumerate(self.statements):
            made += self.before[number]
            made += [statement] if statement is not None else []
        program = self.function.program
        program = ArrayProgram(self.arrays, tuple(made), program.outputs, program.arguments)
        return replace(self.function, program=pruned(program), columns=frozenset(self.columns))


def _scalars_first(program: ArrayProgram) -> list[Statement]:
    """The statements, those of scalars that are made of leaves before all others."""
    known = {name for name, array in program.arrays.items() if array.kind != COMPUTED}
    first, others = [], []
    for statement in program.statements:
        array = program.arrays[statement.array]
        plain = not array.shape and array.home is None and statement.place is None
        if plain and all(read.array in known for read in statement.reads):
            known.add(array.name)
            first.append(statement)
        else:
            others.append(statement)
    return [*first, *others]
