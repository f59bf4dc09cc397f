"""What is done at every step of a loop that was written out, done for all steps at once.

Arrays that are alike in what they are made of lie in one, a row for each step. A sum over them is
a sum over one more axis; what does not need the step before is one statement.

    a1[i] = Σ_j w[i, j]·x[j] + Σ_k u[i, k]·h0[k]        p[s, i] = Σ_j w[i, j]·x[8s + j]
    a2[i] = Σ_j w[i, j]·x[8 + j] + Σ_k u[i, k]·h1[k]    a1[i] = p[0, i] + Σ_k u[i, k]·h0[k]
    dw[i, j] = x[j]·d1[i] + x[8 + j]·d2[i]              a2[i] = p[1, i] + Σ_k u[i, k]·h1[k]
                                                        dw[i, j] = Σ_s x[8s + j]·d[s, i]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from ...arrays.statements import COMPUTED, Array, ArrayProgram, Home, Statement
from ...ops.reads import (
    Affine,
    Apply,
    Axis,
    Index,
    Operand,
    Read,
    Reduce,
    Term,
    Value,
    reads_of,
    renamed,
    summed_over,
)
from ...ops.scalar import ADD
from ...ops.shapes import BATCH
from .flow import free_name, with_reads
from .function import ArrayFunction

LEAST: Final = 6
"""Fewer steps stay as they are."""

ROUNDS: Final = 64
"""How often something is done for all steps."""

STEP: Final = "step"


def all_at_once(function: ArrayFunction) -> ArrayFunction:
    """The function with what is alike at many steps in arrays of all steps, or itself."""
    if len(function.instructions) < LEAST or function.batched:
        return function
    steps = _Steps(function.program)
    for _ in range(ROUNDS):
        if not steps.advanced():
            break
    program = steps.program
    return function if program is function.program else replace(function, program=program)


class _Changed(NamedTuple):
    """What alike values are together: the value, its arrays, and which value is at which step."""

    value: Value
    arrays: dict[str, Array]
    order: list[int]


class _Steps:
    """A program in which values that are alike are looked for and put together."""

    def __init__(self, program: ArrayProgram) -> None:
        self.program = program
        self._whole: set[str] = set()
        self._tried: set[Hashable] = set()
        self._look()

    def _look(self) -> None:
        """Note where each array is written and read, and what arrays are alike."""
        program = self.program
        self._kept = {output.array for output in program.outputs}
        self._written: defaultdict[str, list[int]] = defaultdict(list)
        self._read: defaultdict[str, list[int]] = defaultdict(list)
        made: defaultdict[str, list[Hashable]] = defaultdict(list)
        shapes: dict[str, Hashable] = {
            name: array.shape if array.kind == COMPUTED and name not in self._whole else name
            for name, array in program.arrays.items()
        }
        self._classes = shapes
        for number, statement in enumerate(program.statements):
            self._written[statement.array].append(number)
            home = program.arrays[statement.array].home
            if home is not None:
                self._written[home.vector].append(number)
            for name in {read.array for read in statement.reads}:
                self._read[name].append(number)
            made[statement.array].append(
                self._skeleton(_canonical(statement.axes, statement.value))
            )
        self._classes = {
            name: (shape, tuple(made[name])) if shape != name else name
            for name, shape in shapes.items()
        }

    def advanced(self) -> bool:
        """Whether something more could be done for all steps; then that is done."""
        for find in (self._families, self._projections, self._sums):
            for key, change in find():
                if key in self._tried or len(self._tried) > ROUNDS:
                    continue
                self._tried.add(key)
                made = change()
                if made is not None:
                    self.program = made
                    self._look()
                    return True
        return False

    # What is alike.

    def _skeleton(self, value: Value) -> Hashable:
        """What values that are alike have in common."""
        if isinstance(value, Apply):
            return value.op.name, value.statics, tuple(map(self._slot, value.operands))
        return value.op.name, tuple(
            [(t.count, t.over, t.domain, tuple(map(self._slot, t.factors))) for t in value.terms]
        )

    def _slot(self, operand: Operand) -> Hashable:
        if not isinstance(operand, Read):
            return repr(operand)
        indices = [i.terms if isinstance(i, Affine) else i for i in operand.index]
        return self._classes[operand.array], tuple(indices)

    def _sums(self) -> Iterator[tuple[Hashable, Callable[[], ArrayProgram | None]]]:
        """The like terms of a sum: those of most steps first, and those that read data in order."""
        found = []
        for number, statement in enumerate(self.program.statements):
            value = statement.value
            if not isinstance(value, Reduce) or value.op is not ADD or len(value.terms) < LEAST:
                continue
            alike: defaultdict[Hashable, list[int]] = defaultdict(list)
            for place, term in enumerate(value.terms):
                alike[self._skeleton(_canonical(statement.axes, _alone(term)))].append(place)
            for key, places in alike.items():
                computed = all(
                    self._written[r.array] for r in reads_of(_alone(value.terms[places[0]]))
                )
                if len(places) >= LEAST:
                    mine = (statement.array, statement.place, key)
                    found.append(((-len(places), computed), mine, number, places))
        for _, mine, number, places in sorted(found, key=lambda one: one[0]):
            yield mine, partial(self._summed, number, places)

    def _projections(self) -> Iterator[tuple[Hashable, Callable[[], ArrayProgram | None]]]:
        """Products of leaves in sums that are alike."""
        alike: defaultdict[Hashable, list[tuple[int, int]]] = defaultdict(list)
        for number, statement in enumerate(self.program.statements):
            value = statement.value
            if not isinstance(value, Reduce) or value.op is not ADD or len(value.terms) < 2:
                continue
            for place, term in enumerate(value.terms):
                leaves = all(
                    isinstance(f, Read) and not self._written[f.array] for f in term.factors
                )
                if leaves and term.over and len(term.factors) > 1 and statement.place is None:
                    one = _canonical(statement.axes, _alone(term))
                    lengths = tuple([axis.length for axis in statement.axes])
                    alike[lengths, self._skeleton(one)].append((number, place))
        for key, places in alike.items():
            if len(places) >= LEAST and len({number for number, _ in places}) == len(places):
                yield ("product", key), partial(self._projected, places)

    def _families(self) -> Iterator[tuple[Hashable, Callable[[], ArrayProgram | None]]]:
        """Statements that are alike."""
        alike: defaultdict[Hashable, list[int]] = defaultdict(list)
        for number, statement in enumerate(self.program.statements):
            array = self.program.arrays[statement.array]
            alone = statement.place is None and not statement.domain and array.home is None
            once = len(self._written[array.name]) == 1 and array.name not in self._kept
            if alone and once and array.shape and statement.reads:
                key: Hashable = (
                    array.shape,
                    self._skeleton(_canonical(statement.axes, statement.value)),
                )
                alike[key].append(number)
        for key, numbers in alike.items():
            if len(numbers) >= LEAST:
                yield key, partial(self._joined, numbers)

    # What becomes of it.

    def _summed(self, number: int, places: Sequence[int]) -> ArrayProgram | None:
        """The program with like terms of a sum as one over a further axis."""
        statement = self.program.statements[number]
        value, axes = statement.value, statement.axes
        assert isinstance(value, Reduce)
        terms = [_alone(value.terms[place]) for place in places]
        changed = self._together([_canonical(axes, term) for term in terms])
        if changed is None or self._ready(changed) >= number:
            return None
        step, whole = _in_its_axes(changed.value, _names(axes, terms[0]))
        assert isinstance(whole, Reduce)
        (term,) = whole.terms
        term = replace(term, over=(Axis(step, len(places)), *term.over))
        first, gone = places[0], set(places)
        left = [
            term if place == first else one
            for place, one in enumerate(value.terms)
            if place == first or place not in gone
        ]
        made = replace(statement, value=replace(value, terms=tuple(left)))
        statements = list(self.program.statements)
        statements[number] = made
        return replace(self.program, arrays=changed.arrays, statements=tuple(statements))

    def _projected(self, places: Sequence[tuple[int, int]]) -> ArrayProgram | None:
        """The program with products of leaves for all steps before the first of them."""
        statements = list(self.program.statements)
        alone = []
        for number, place in places:
            value = statements[number].value
            assert isinstance(value, Reduce)
            alone.append(_alone(value.terms[place]))
        each = zip(places, alone, strict=True)
        changed = self._together([_canonical(statements[n].axes, one) for (n, _), one in each])
        if changed is None:
            return None
        first = statements[places[0][0]]
        name, whole = self._table(changed, f"{first.array}_products", first.axes, alone[0])
        for step, chosen in enumerate(changed.order):
            number, place = places[chosen]
            statement = statements[number]
            value = statement.value
            assert isinstance(value, Reduce)
            own = Term(1, (Read(name, (Affine(step), *statement.target)),))
            terms = (*value.terms[:place], own, *value.terms[place + 1 :])
            statements[number] = replace(statement, value=replace(value, terms=terms))
        statements.insert(min(number for number, _ in places), whole)
        return replace(self.program, arrays=changed.arrays, statements=tuple(statements))

    def _joined(self, numbers: Sequence[int]) -> ArrayProgram | None:
        """The program with like statements as one, if they do not need each other."""
        if not self._are_apart(numbers):
            return None
        old = self.program.statements
        values = [_canonical(old[number].axes, old[number].value) for number in numbers]
        changed = self._together(values)
        read = min((n for k in numbers for n in self._read[old[k].array]), default=0)
        if changed is None or self._ready(changed) >= read:
            return None
        first = old[numbers[0]]
        name, whole = self._table(changed, f"{first.array}_all", first.axes, first.value)
        rows = {old[numbers[k]].array: step for step, k in enumerate(changed.order)}
        where, gone = self._ready(changed) + 1, set(numbers)
        statements: list[Statement] = []
        for number, statement in enumerate(old):
            if number == where:
                statements.append(whole)
            if number not in gone:
                statements.append(replace(statement, value=_from_rows(statement.value, rows, name)))
        arrays = {n: array for n, array in changed.arrays.items() if n not in rows}
        return replace(self.program, arrays=arrays, statements=tuple(statements))

    def _table(
        self, changed: _Changed, wish: str, axes: Sequence[Axis], alike: Value
    ) -> tuple[str, Statement]:
        """An array with a row for each step, and the statement that computes it."""
        count = len(changed.order)
        name = free_name(wish, changed.arrays)
        changed.arrays[name] = Array(name, (count, *[axis.length for axis in axes]))
        self._whole.add(name)
        step, value = _in_its_axes(changed.value, _names(axes, alike))
        return name, Statement(name, (Axis(step, count), *axes), value)

    def _are_apart(self, numbers: Sequence[int]) -> bool:
        """Whether no statement of some needs what another of them computes."""
        ours, tainted = set(numbers), set[str]()
        for number in range(min(numbers), max(numbers) + 1):
            statement = self.program.statements[number]
            needs = any(read.array in tainted for read in statement.reads)
            if needs and number in ours:
                return False
            if needs or number in ours:
                tainted.add(statement.array)
                home = self.program.arrays[statement.array].home
                if home is not None:
                    tainted.add(home.vector)
        return True

    def _ready(self, changed: _Changed) -> int:
        """The number of the last statement that computes what a value reads; -1 for leaves."""
        numbers = [-1]
        for read in reads_of(changed.value):
            numbers += self._written[read.array][-1:]
            for part in changed.arrays.values():
                if part.home is not None and part.home.vector == read.array:
                    numbers += self._written[part.name][-1:]
        return max(numbers)

    def _together(self, values: Sequence[Value]) -> _Changed | None:
        """Values that are alike as one with the axis of steps, None where that cannot be said."""
        slots = list(zip(*map(reads_of, values), strict=True))
        order = self._order(slots)
        if order is None:
            return None
        arrays = dict(self.program.arrays)
        reads = [self._one_read([slot[k] for k in order], arrays) for slot in slots]
        known = [read for read in reads if read is not None]
        if len(known) < len(reads):
            return None
        return _Changed(with_reads(values[0], known), arrays, order)

    def _order(self, slots: Sequence[Sequence[Read]]) -> list[int] | None:
        """The values in the order of steps: of their places in what they read, or of that."""
        found: list[tuple[int, list[tuple[int, ...]]]] = []
        for slot in slots:
            names = {read.array for read in slot}
            if len(names) == 1:
                offsets = [_offsets(read) for read in slot]
                if len(set(offsets)) > 1:
                    found.append((-2, offsets))
                continue
            homes = [self.program.arrays[read.array].home for read in slot]
            if None not in homes:
                found.append((-1, [home.places[:1] for home in homes if home is not None]))
            else:
                last = [max(self._written[read.array], default=-1) for read in slot]
                found.append((max(last), [(number,) for number in last]))
        if not found:
            return None
        _, keys = min(found, key=lambda one: one[0])
        if len(set(keys)) < len(keys):
            return None
        return sorted(range(len(keys)), key=lambda k: keys[k])

    def _one_read(self, slot: Sequence[Read], arrays: dict[str, Array]) -> Read | None:
        """What is read at each step as one read, with arrays put into one where they are many."""
        first = slot[0]
        if len({read.array for read in slot}) == 1:
            return _progression(slot)
        if len({read.array for read in slot}) < len(slot) or len({r.index for r in slot}) > 1:
            return None
        if not all(isinstance(index, Affine) for index in first.index):
            return None
        homes = [arrays[read.array].home for read in slot]
        if homes == [None] * len(slot) and all(self._can_lie(arrays[r.array]) for r in slot):
            vector = free_name(f"{first.array}_steps", arrays)
            size = arrays[first.array].size
            arrays[vector] = Array(vector, (size * len(slot),))
            self._whole.add(vector)
            for step, read in enumerate(slot):
                places = tuple(range(step * size, step * size + size))
                arrays[read.array] = replace(arrays[read.array], home=Home(vector, places))
        return _in_vector(slot, arrays)

    def _can_lie(self, array: Array) -> bool:
        """Whether an array may become part of another."""
        alone = array.kind == COMPUTED and array.name not in self._whole | self._kept
        return alone and array.size > 1 and BATCH not in array.shape


def _in_vector(slot: Sequence[Read], arrays: Mapping[str, Array]) -> Read | None:
    """The same element of arrays that follow each other in a vector, as a read of that."""
    found = []
    for read in slot:
        array = arrays[read.array]
        if array.home is None or array.home.strides(array.shape) is None:
            return None
        first, strides = array.home.strides(array.shape) or (0, ())
        terms: dict[str, int] = {}
        for index, stride in zip(read.index, strides, strict=True):
            assert isinstance(index, Affine)
            first += stride * index.offset
            for axis, step in index.terms:
                terms[axis] = terms.get(axis, 0) + stride * step
        place = Affine(first, tuple([term for term in terms.items() if term[1]]))
        found.append(Read(array.home.vector, (place,)))
    same = len({(read.array, read.index[0].axes) for read in found}) == 1
    return _progression(found) if same else None


def _progression(slot: Sequence[Read]) -> Read | None:
    """Reads of one array, each further by as much, as one read."""
    index: list[Index] = []
    for some in zip(*[read.index for read in slot], strict=True):
        first, second = some[:2]
        if not isinstance(first, Affine) or not isinstance(second, Affine):
            if len(set(some)) > 1:
                return None
            index.append(first)
            continue
        stride = second.offset - first.offset
        expected = [replace(first, offset=first.offset + stride * k) for k in range(len(some))]
        if list(some) != expected:
            return None
        more = ((STEP, stride),) if stride else ()
        index.append(Affine(first.offset, (*first.terms, *more)))
    return Read(slot[0].array, tuple(index))


def _offsets(read: Read) -> tuple[int, ...]:
    return tuple([index.offset if isinstance(index, Affine) else 0 for index in read.index])


def _names(axes: Sequence[Axis], value: Value) -> dict[str, str]:
    """Other names for axes and those that are summed over, the same for values that are alike."""
    names = {axis.name: str(place) for place, axis in enumerate(axes)}
    for name in summed_over(value):
        names[name] = f"{len(names)}"
    return names


def _canonical(axes: Sequence[Axis], value: Value) -> Value:
    return renamed(value, _names(axes, value))


def _alone(term: Term) -> Reduce:
    return Reduce(ADD, (term,))


def _in_its_axes(value: Value, names: Mapping[str, str]) -> tuple[str, Value]:
    """A value with its own names of axes again, and a new one for the steps."""
    step = STEP
    while step in names:
        step += "'"
    return step, renamed(value, {**{new: old for old, new in names.items()}, STEP: step})


def _from_rows(value: Value, rows: Mapping[str, int], name: str) -> Value:
    """A value that reads rows of an array in the place of arrays."""
    reads = [
        Read(name, (Affine(rows[read.array]), *read.index)) if read.array in rows else read
        for read in reads_of(value)
    ]
    return with_reads(value, reads)
