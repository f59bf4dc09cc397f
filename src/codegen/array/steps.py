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
from itertools import chain, groupby
from operator import itemgetter
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
    composed,
    reads_of,
    renamed,
    summed_over,
)
from ...ops.scalar import ADD
from ...ops.shapes import BATCH
from .flow import Flow, free_name, in_order, is_sum, operands_of, with_reads, with_terms
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
    return replace(function, program=steps.program) if steps.changed else function


class _Changed(NamedTuple):
    """What alike values are together: the value, its arrays, and which value is at which step."""

    value: Value
    arrays: dict[str, Array]
    order: list[int]


Change = tuple[Hashable, Callable[[], ArrayProgram | None]]
"""Something to do for all steps at once: what it is known by, and how to do it."""


class _Steps:
    """A program in which values that are alike are looked for and put together."""

    def __init__(self, program: ArrayProgram) -> None:
        self.changed = False
        self._whole: set[str] = set()
        self._tried: set[Hashable] = set()
        self._look_at(program)
        self._look_at(self._products_apart())

    def _look_at(self, program: ArrayProgram) -> None:
        """Note where each array is written and read, and what arrays are alike."""
        self.program, self._flow = program, Flow(program)
        made: defaultdict[str, list[Hashable]] = defaultdict(list)
        alike = {
            name: array.shape
            for name, array in program.arrays.items()
            if array.kind == COMPUTED and name not in self._whole
        }
        self._classes: dict[str, Hashable] = {**{name: name for name in program.arrays}, **alike}
        for statement in program.statements:
            made[statement.array].append(self._skeleton(statement.axes, statement.value))
        self._classes.update({name: (shape, *made[name]) for name, shape in alike.items()})

    def advanced(self) -> bool:
        """Whether something more could be done for all steps; then that is done."""
        for find in (self._families, self._sums):
            for key, change in find():
                if key in self._tried or len(self._tried) > ROUNDS:
                    continue
                self._tried.add(key)
                made = change()
                if made is not None:
                    self.changed = True
                    self._look_at(made)
                    return True
        return False

    # What is alike.

    def _skeleton(self, axes: Sequence[Axis], value: Value) -> Hashable:
        """What values that are alike have in common."""
        value = _canonical(axes, value)
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

    def _like_terms(self) -> dict[Hashable, list[tuple[int, int]]]:
        """Terms of sums that are alike, by what they have in common: of which sum, and which."""
        alike: defaultdict[Hashable, list[tuple[int, int]]] = defaultdict(list)
        for number, statement in enumerate(self.program.statements):
            if is_sum(statement.value) and len(statement.value.terms) > 1:
                lengths = tuple([axis.length for axis in statement.axes])
                for place, term in enumerate(statement.value.terms):
                    key = lengths, self._skeleton(statement.axes, _alone(term))
                    alike[key].append((number, place))
        return alike

    def _term(self, number: int, place: int) -> Term:
        value = self.program.statements[number].value
        assert isinstance(value, Reduce)
        return value.terms[place]

    def _products_apart(self) -> ArrayProgram:
        """The program with products of leaves in like sums as statements of their own."""
        arrays, made = dict(self.program.arrays), dict[int, list[Statement]]()
        for places in self._like_terms().values():
            term, sums = self._term(*places[0]), {number for number, _ in places}
            reads = operands_of(term)
            leaves = not any(self._last(read.array, arrays) >= 0 for read in reads)
            if not leaves or not term.over or not len(reads) == len(term.factors) > 1:
                continue
            for number, place in places if len(sums) == len(places) >= LEAST else ():
                *products, statement = made.get(number, [self.program.statements[number]])
                assert isinstance(statement.value, Reduce)
                name = free_name(f"{statement.array}_product", arrays)
                arrays[name] = Array(name, tuple([axis.length for axis in statement.axes]))
                product = Statement(name, statement.axes, _alone(self._term(number, place)))
                terms = list(statement.value.terms)
                terms[place] = Term(1, (in_order(name, statement.axes),))
                made[number] = [*products, product, with_terms(statement, terms)]
        ordered = [made.get(number, [one]) for number, one in enumerate(self.program.statements)]
        return replace(self.program, arrays=arrays, statements=tuple(chain(*ordered)))

    def _sums(self) -> Iterator[Change]:
        """The like terms of a sum: those of most steps first, and those that read data in order."""
        found = []
        for key, terms in self._like_terms().items():
            for number, some in groupby(terms, key=itemgetter(0)):
                places = [place for _, place in some]
                reads = operands_of(self._term(number, places[0]))
                computed = all(self._last(read.array, self.program.arrays) >= 0 for read in reads)
                if len(places) >= LEAST:
                    found.append((-len(places), computed, number, places[0], places, key))
        for *_, number, _, places, key in sorted(found, key=itemgetter(0, 1, 2, 3)):
            statement = self.program.statements[number]
            yield (statement.array, statement.place, key), partial(self._summed, number, places)

    def _families(self) -> Iterator[Change]:
        """Statements that are alike."""
        alike: defaultdict[Hashable, list[int]] = defaultdict(list)
        for number, statement in enumerate(self.program.statements):
            alone = statement.array in self._flow.free and not statement.domain
            if alone and statement.axes and statement.reads:
                lengths = tuple([axis.length for axis in statement.axes])
                alike[lengths, self._skeleton(statement.axes, statement.value)].append(number)
        for key, numbers in alike.items():
            if len(numbers) >= LEAST:
                yield key, partial(self._joined, numbers)

    # What becomes of it.

    def _summed(self, number: int, places: Sequence[int]) -> ArrayProgram | None:
        """The program with like terms of a sum as one over a further axis."""
        statement = self.program.statements[number]
        axes, terms = statement.axes, [_alone(self._term(number, place)) for place in places]
        changed = self._together([_canonical(axes, term) for term in terms])
        if changed is None or self._ready(changed) >= number:
            return None
        step, whole = _in_its_axes(changed.value, _names(axes, terms[0]))
        assert isinstance(whole, Reduce)
        assert isinstance(statement.value, Reduce)
        (term,) = whole.terms
        left = dict(enumerate(statement.value.terms))
        left[places[0]] = replace(term, over=(Axis(step, len(places)), *term.over))
        for place in places[1:]:
            del left[place]
        statements = list(self.program.statements)
        statements[number] = with_terms(statement, left.values())
        return replace(self.program, arrays=changed.arrays, statements=tuple(statements))

    def _joined(self, numbers: Sequence[int]) -> ArrayProgram | None:
        """The program with like statements as one, if they do not need each other."""
        if not self._are_apart(numbers):
            return None
        old = self.program.statements
        changed = self._together([_canonical(old[n].axes, old[n].value) for n in numbers])
        read = min((n for k in numbers for n in self._flow.readers[old[k].array]), default=0)
        if changed is None or self._ready(changed) >= read:
            return None
        first, arrays, count = old[numbers[0]], changed.arrays, len(numbers)
        name = free_name(f"{first.array}_all", arrays)
        arrays[name] = Array(name, (count, *[axis.length for axis in first.axes]))
        self._whole.add(name)
        step, value = _in_its_axes(changed.value, _names(first.axes, first.value))
        whole = Statement(name, (Axis(step, count), *first.axes), value)
        rows = {old[numbers[k]].array: step for step, k in enumerate(changed.order)}
        statements = [
            replace(statement, value=_from_rows(statement.value, rows, name))
            for number, statement in enumerate(old)
            if number not in numbers
        ]
        where = self._ready(changed) + 1
        statements.insert(sum(number not in numbers for number in range(where)), whole)
        arrays = {n: array for n, array in arrays.items() if n not in rows}
        return replace(self.program, arrays=arrays, statements=tuple(statements))

    def _are_apart(self, numbers: Sequence[int]) -> bool:
        """Whether no statement of some needs what another of them computes."""
        ours, tainted = set(numbers), set[str]()
        for number in range(min(numbers), max(numbers) + 1):
            statement = self.program.statements[number]
            needs = any(read.array in tainted for read in statement.reads)
            if needs and number in ours:
                return False
            if needs or number in ours:
                home = self.program.arrays[statement.array].home
                tainted.update([statement.array, *([home.vector] if home is not None else [])])
        return True

    def _last(self, name: str, arrays: Mapping[str, Array]) -> int:
        """The number of the last statement that computes an array, or part of it; -1 for leaves."""
        parts = [
            array.name for array in arrays.values() if array.home and array.home.vector == name
        ]
        return max([n for one in (name, *parts) for n in self._flow.writers[one]], default=-1)

    def _ready(self, changed: _Changed) -> int:
        """The number of the last statement that computes what a value reads; -1 for leaves."""
        reads = reads_of(changed.value)
        return max([self._last(read.array, changed.arrays) for read in reads], default=-1)

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
            homes = [self.program.arrays[read.array].home for read in slot]
            last = [max(self._flow.writers[read.array], default=-1) for read in slot]
            if len({read.array for read in slot}) == 1:
                found.append((-2, [_offsets(read) for read in slot]))
            elif None not in homes:
                found.append((-1, [home.places[:1] for home in homes if home is not None]))
            else:
                found.append((max(last), [(number,) for number in last]))
        found = [(when, keys) for when, keys in found if when != -2 or len(set(keys)) > 1]
        _, keys = min(found, key=itemgetter(0), default=(0, [()] * 2))
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
        alone = array.kind == COMPUTED and array.name not in self._whole | self._flow.kept
        return alone and array.size > 1 and BATCH not in array.shape


def _in_vector(slot: Sequence[Read], arrays: Mapping[str, Array]) -> Read | None:
    """The same element of arrays that follow each other in a vector, as a read of that."""
    found = []
    for read in slot:
        array = arrays[read.array]
        if array.home is None or array.home.strides(array.shape) is None:
            return None
        first, strides = array.home.strides(array.shape) or (0, ())
        own = {str(k): index for k, index in enumerate(read.index)}
        place = composed(Affine(first, tuple(zip(own, strides, strict=True))), own)
        if place is None:
            return None
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
