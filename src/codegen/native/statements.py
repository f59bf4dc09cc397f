"""One nest of loops: statements at every point of their axes, as a function of IR.

A statement that sums products over further axes keeps a tile of sums in registers: several numbers
of one free axis by several vectors along another, so that what is read is used often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ...arrays.statements import Statement
from ...ops.reads import (
    Affine,
    Apply,
    AtLeast,
    Axis,
    Condition,
    Operand,
    Read,
    Reduce,
    Term,
    along,
)
from ...ops.record import Op
from ...ops.scalar import ADD, MAXIMUM, MUL, NEG, SUB
from ...ops.shapes import BATCH
from .addresses import Addressing, Code, Places, Where, names_of, standing
from .lanes import Lanes, width
from .nests import Whole
from .words import FLOATS, Word

FEW: Final = 4
"""A sum over no more numbers is written without a loop."""

SIGNATURE: Final = (
    "ptr noalias %groups, ptr noalias %rows, i64 %total, ptr noalias %out, ptr noalias %fixed, "
    "ptr noalias %each, i64 %room, i64 %from, i64 %n, i1 %first, ptr noalias %results"
)
"""What a nest is given: the addresses of arguments and of rows of samples, how many samples there
are, the results that are numbers, memory for what is the same for all samples and for what is not,
for how many samples there is room, the first sample of the block, how many it has, whether it is
the first, and where the results of every sample go. Samples that are computed apart have results
that are numbers, and memory, of their own."""

Copy = tuple[int, int]
"""Which of a tile's numbers along an axis, and which of its vectors along another."""
Sums = dict[Copy, Word]


@dataclass(frozen=True)
class Tile:
    """How many numbers along which axis, and how many vectors, are computed at once."""

    axis: str | None = None
    numbers: int = 1
    vectors: int = 1


class NestWriter(Addressing):
    """Writes the function of one nest."""

    def __init__(
        self,
        code: Code,
        statements: Sequence[Statement],
        lanes: Sequence[Lanes],
        kept: Callable[[str], bool],
        sole: Callable[[str], bool],
    ) -> None:
        place = lanes[0].axis
        axis = statements[0].axes[place] if place is not None else None
        super().__init__(code, 1 if axis is None else width(axis.length, code.lanes))
        self._statements = statements
        self._kept, self._sole = kept, sole
        self._lanes = lanes
        self._first = statements[0]
        self._axis = axis
        self._tile = self._tiled()
        self._held: dict[str, dict[tuple[object, ...], Word]] = {}

    def text(self, name: str) -> list[str]:
        """The lines of the function."""
        self._nest()
        head, *lines = self.block.lines
        note = [f"  ; {_plain(str(statement))}" for statement in self._statements]
        return [
            f"define internal void {name}({SIGNATURE}) noinline {{",
            head,
            *note,
            *self._heads.values(),
            *lines,
            "  ret void",
            "}",
            "",
        ]

    # what is computed at once

    def _tiled(self) -> Tile:
        """The tile of a sum: along the free axis that saves the most reading."""
        statement = self._first
        value = statement.value
        if len(self._statements) > 1 or not isinstance(value, Reduce):
            return Tile()
        if not any(term.over for term in value.terms):
            return Tile()
        conditions = [*statement.domain, *[c for term in value.terms for c in term.domain]]
        busy = {name for condition in conditions for name in condition.axes}
        best, saved = None, 0
        for axis in statement.axes:
            if axis is self._axis or axis.name in busy or axis.length in (1, BATCH):
                continue
            reads = [f for t in value.terms if t.over for f in t.factors if isinstance(f, Read)]
            gain = sum(axis.name not in names_of(read) for read in reads)
            if gain > saved:
                best, saved = axis, gain
        vectors = 1
        if self._axis is not None and best is not None:
            length = self._axis.length
            many = length == BATCH or length >= 2 * self._wide
            vectors = 2 if many and self._code.sums >= 8 else 1
        if best is None:
            return Tile()
        most = max(2, self._code.sums // vectors)
        return Tile(best.name, _share(best.length, most), vectors)

    # loops over the points

    def _nest(self) -> None:
        statement = self._first
        tile = self._tile
        axis = self._axis
        outer = [a for a in statement.axes if a is not axis and a.name != tile.axis]
        known = [c for c in statement.domain if axis is None or axis.name not in c.axes]

        def body(places: Places, carried: Sequence[Word]) -> list[Word]:
            for numbers, vectors, tail, found in self._points(places):
                self._compute(found, numbers, vectors, tail)
            return list(carried)

        self._within(outer, known, {}, [], body)

    def _points(self, places: Places) -> Iterator[tuple[int, int, int | None, Places]]:
        """The tiles at a point of the outer axes; their bodies are written inside the loops."""
        axis = self._axis
        for start, stop, step, vectors, tail in self._runs():
            if axis is None:
                yield from self._numbers(places, 1, None)
                continue
            with self._turns(start, stop, step, []) as turn:
                if axis.length == BATCH:
                    where = _at(turn.index, lanes=True, samples=True)
                else:
                    where = _at(turn.index, lanes=True)
                yield from self._numbers({**places, axis.name: where}, vectors, tail)

    def _numbers(
        self, places: Places, vectors: int, tail: int | None
    ) -> Iterator[tuple[int, int, int | None, Places]]:
        tile = self._tile
        if tile.axis is None:
            yield 1, vectors, tail, places
            return
        length = next(a.length for a in self._first.axes if a.name == tile.axis)
        whole = length - length % tile.numbers
        for start, stop, step in ((0, whole, tile.numbers), (whole, length, length - whole)):
            if start < stop:
                with self._turns(start, stop, step, []) as turn:
                    found = {**places, tile.axis: _at(turn.index)}
                    yield step, vectors, tail, found

    def _runs(self) -> list[tuple[Whole, Whole, int, int, int | None]]:
        """The parts of the axis that lanes run along: from, to, step, vectors at once, lanes used.

        The axis of samples is counted in blocks of lanes.
        """
        axis, many, wide = self._axis, self._tile.vectors, self._wide
        if axis is None:
            return [(0, 1, 1, 1, None)]
        if axis.length == BATCH:
            blocks = self._blocks()
            if many == 1:
                return [(0, blocks, 1, 1, None)]
            paired = blocks - (blocks & (many - 1))
            return [(0, paired, many, many, None), (paired, blocks, 1, 1, None)]
        count, rest = divmod(axis.length, wide)
        even = count - count % many
        runs: list[tuple[Whole, Whole, int, int, int | None]] = [
            (0, even * wide, many * wide, many, None),
            (even * wide, count * wide, wide, 1, None),
        ]
        if rest:
            runs.append((count * wide, count * wide + wide, wide, 1, rest))
        return [run for run in runs if run[0] != run[1]]

    def _within(
        self,
        axes: Sequence[Axis],
        conditions: Sequence[Condition],
        places: Places,
        carried: Sequence[Word],
        body: Callable[[Places, Sequence[Word]], list[Word]],
    ) -> list[Word]:
        """Loops over axes, at whose points `body` is written where the conditions hold."""
        known = [c for c in conditions if set(c.axes) <= places.keys()]
        if known:
            later = [c for c in conditions if c not in known]
            condition: Word | None = None
            for one in known:
                condition = self.block.both(condition, self._holds(one, places))
            assert condition is not None
            before = self._known
            self._known = dict(before)
            with self.block.when(condition, carried) as turn:
                turn.carried = self._within(axes, later, places, turn.carried, body)
            self._known = before
            return turn.carried
        if not axes:
            return body(places, carried)
        axis, *others = axes
        bounds = [c for c in conditions if _bounds(c, axis, places)]
        later = [c for c in conditions if c not in bounds]
        first, last = self._ends(axis, bounds, places)
        if isinstance(first, int) and isinstance(last, int) and last - first <= FEW and carried:
            for number in range(first, last):
                found = {**places, axis.name: Where(None, number)}
                carried = self._within(others, later, found, carried, body)
            return list(carried)
        with self._turns(first, last, 1, carried) as turn:
            where = _at(turn.index, samples=axis.length == BATCH)
            found = {**places, axis.name: where}
            turn.carried = self._within(others, later, found, turn.carried, body)
        return turn.carried

    def _ends(self, axis: Axis, bounds: Sequence[Condition], places: Places) -> tuple[Whole, Whole]:
        """From where to where an axis runs under conditions on it."""
        if axis.length == BATCH:
            return 0, Word(self.block, "%n", "i", 1)
        first: Whole = 0
        last: Whole = axis.length
        for condition in bounds:
            assert isinstance(condition, AtLeast)
            expression = condition.expression
            step = dict(expression.terms)[axis.name]
            rest = tuple([term for term in expression.terms if term[0] != axis.name])
            number = self._whole(Affine(expression.offset, rest), places)
            if step > 0:
                first = self._larger(first, 0 - number if isinstance(number, int) else -1 * number)
            else:
                last = self._smaller(last, number + 1)
        return first, last

    def _larger(self, a: Whole, b: Whole) -> Whole:
        if isinstance(a, int) and isinstance(b, int):
            return max(a, b)
        x, y = self.block.whole(a), self.block.whole(b)
        return self.block.chosen(x > y, x, y)

    def _smaller(self, a: Whole, b: Whole) -> Whole:
        if isinstance(a, int) and isinstance(b, int):
            return min(a, b)
        x, y = self.block.whole(a), self.block.whole(b)
        return self.block.chosen(x < y, x, y)

    # values

    def _read(self, operand: Operand, places: Places, tail: int | None, mask: Word | None) -> Word:
        """A number, or one for each lane."""
        block, kind = self.block, self._code.kind
        if not isinstance(operand, Read):
            return block.constant_word(float(operand), kind, 1)
        held = self._held.get(operand.array)
        if held is not None:
            return held[standing([index.axes[0] for index in operand.index], places)]
        names = sorted(names_of(operand))
        part = tail if any(places[name].lanes for name in names) else None
        key = (
            "read",
            operand,
            standing(names, places),
            part,
            mask.text if mask is not None else None,
        )
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._loaded(operand, places, tail, mask)
        return found

    def _compute(self, places: Places, numbers: int, vectors: int, tail: int | None) -> None:
        """All statements at one tile of points."""
        self._held = {}
        before = self._known
        self._known = dict(before)
        for number, statement in enumerate(self._statements):
            own = {
                axis.name: places[first.name]
                for axis, first in zip(statement.axes, self._first.axes, strict=True)
            }
            self._lengths = {a.name: a.length for a in statement.axes}
            if isinstance(statement.value, Reduce):
                for term in statement.value.terms:
                    self._lengths |= {a.name: a.length for a in term.over}
            copies = self._tile_places(statement, own, numbers, vectors)
            masks = {copy: self._mask(statement.domain, at) for copy, at in copies.items()}
            value = statement.value
            if isinstance(value, Apply):
                found = {
                    copy: self._applied(value, at, tail, masks[copy]) for copy, at in copies.items()
                }
            else:
                found = self._reduced(statement, value, copies, tail, masks, number)
            names = [axis.name for axis in statement.axes]
            self._held[statement.array] = {
                standing(names, at): found[copy] for copy, at in copies.items()
            }
            if self._kept(statement.array):
                own_axes = tuple([along(name) for name in names])
                alone = self._sole(statement.array) and statement.target == own_axes
                for copy, at in copies.items():
                    given = (found[copy], at, tail, masks[copy], alone)
                    self._write(statement.array, statement.target, *given)
        self._known = before
        self._held = {}

    def _tile_places(
        self, statement: Statement, places: Places, numbers: int, vectors: int
    ) -> dict[Copy, Places]:
        """The points of a tile."""
        found = {}
        names = dict(zip([a.name for a in self._first.axes], statement.axes, strict=True))
        step = 1 if self._axis is not None and self._axis.length == BATCH else self._wide
        for i in range(numbers):
            for k in range(vectors):
                at = dict(places)
                if self._tile.axis is not None:
                    at[self._tile.axis] = _moved(at[self._tile.axis], i)
                if self._axis is not None:
                    name = names[self._axis.name].name
                    at[name] = _moved(at[name], k * step)
                found[i, k] = at
        return found

    def _applied(self, value: Apply, places: Places, tail: int | None, mask: Word | None) -> Word:
        operands = [self._read(o, places, tail, mask) for o in value.operands]
        return self._operation(value.op, operands, value.statics)

    def _operation(self, op: Op, operands: Sequence[Word], statics: tuple[float, ...]) -> Word:
        """An operation on words, which are made as wide as the widest."""
        block = self.block
        wide = max(word.lanes for word in operands)
        words = [block.spread(word, wide) for word in operands]
        if op.name in ("stop_gradient", "total"):
            return words[0]
        if self._code.kind == "s":
            if op is ADD:
                return words[0] + words[1]
            if op is SUB:
                return words[0] - words[1]
            if op is MUL:
                return words[0] * words[1]
            if op is NEG:
                return -words[0]
            words = [self._converted(word, "f") for word in words]
        result = self._code.functions.apply(block, op, words, statics)
        return self._converted(result, self._code.kind)

    def _converted(self, word: Word, kind: str) -> Word:
        """A float as one of another size."""
        if word.kind == kind or word.kind not in FLOATS:
            return word
        code = "fpext" if kind == "f" else "fptrunc"
        like = Word(self.block, "", kind, word.lanes)
        return self.block.assign(f"{code} {word.typed} to {like.type}", kind, word.lanes)

    def _reduced(
        self,
        statement: Statement,
        value: Reduce,
        copies: dict[Copy, Places],
        tail: int | None,
        masks: Mapping[Copy, Word | None],
        number: int,
    ) -> Sums:
        """A sum of terms, or the largest or smallest of them."""
        sums: Sums | None = None
        if any(axis.length == BATCH for term in value.terms for axis in term.over):
            sums = self._begun(statement, copies, tail)
        lanes = self._lanes[number].sums
        for k, term in enumerate(value.terms):
            summed = lanes[k] if lanes else None
            sums = self._with_term(value.op, term, copies, sums, tail, masks, summed)
        assert sums is not None
        return sums

    def _begun(self, statement: Statement, copies: dict[Copy, Places], tail: int | None) -> Sums:
        """What earlier blocks of samples came to."""
        block, kind = self.block, self._code.kind
        first = block.flag_word("%first")
        found = {}
        for copy, at in copies.items():
            word = self._loaded(Read(statement.array, statement.target), at, tail, None)
            found[copy] = block.chosen(first, block.zero(kind, word.lanes), word)
        return found

    def _with_term(
        self,
        op: Op,
        term: Term,
        copies: dict[Copy, Places],
        sums: Sums | None,
        tail: int | None,
        masks: Mapping[Copy, Word | None],
        summed: str | None,
    ) -> Sums:
        """The sums with a term more."""
        if summed is not None:
            return self._lane_sums(op, term, copies, sums, summed)
        if not term.over and not term.domain:
            return {
                copy: self._put(op, term, sums[copy] if sums else None, at, tail, masks[copy])
                for copy, at in copies.items()
            }
        before = sums if sums is not None else self._empty(op, copies, self._wide)
        given = {copy: self.block.spread(before[copy], self._wide) for copy in copies}
        first = next(iter(copies.values()))
        lanes = {name for name, where in first.items() if where.lanes}
        known = [c for c in term.domain if not lanes & set(c.axes)]
        rest = [c for c in term.domain if lanes & set(c.axes)]

        def body(places: Places, carried: Sequence[Word]) -> list[Word]:
            words = []
            for (copy, at), word in zip(copies.items(), carried, strict=True):
                own = {**places, **at}
                mask = self.block.both(masks[copy], self._mask(rest, own))
                new = self._put(op, term, word, own, tail, mask)
                if rest:
                    own_mask = self._mask(rest, own)
                    assert own_mask is not None
                    new = self.block.chosen(own_mask, new, word)
                words.append(self.block.spread(new, word.lanes))
            return words

        outside = dict(first)
        found = self._within(term.over, known, outside, list(given.values()), body)
        return dict(zip(copies, found, strict=True))

    def _empty(self, op: Op, copies: Mapping[Copy, object], lanes: int) -> Sums:
        number = 0.0
        if op is not ADD:
            number = float("-inf") if op is MAXIMUM else float("inf")
        word = self.block.constant_word(number, self._code.kind, lanes)
        return dict.fromkeys(copies, word)

    def _put(
        self,
        op: Op,
        term: Term,
        sum_: Word | None,
        places: Places,
        tail: int | None,
        mask: Word | None,
    ) -> Word:
        """A product added to a sum; or a factor compared with what is the largest so far."""
        block = self.block
        factors = [self._read(f, places, tail, mask) for f in term.factors]
        if op is not ADD:
            return factors[0] if sum_ is None else self._operation(op, (sum_, factors[0]), ())
        factors.sort(key=lambda word: word.lanes)
        count = term.count
        if abs(count) != 1:
            like = block.constant_word(float(count), self._code.kind, 1)
            factors.insert(0, like)
            count = 1
        product = factors[0]
        for factor in factors[1:-1]:
            product = self._times(product, factor)
        if len(factors) == 1:
            if sum_ is None:
                return product if count > 0 else -product
            wide = max(product.lanes, sum_.lanes)
            a, b = block.spread(sum_, wide), block.spread(product, wide)
            return a + b if count > 0 else a - b
        last = factors[-1]
        if sum_ is None:
            whole = self._times(product, last)
            return whole if count > 0 else -whole
        wide = max(product.lanes, last.lanes, sum_.lanes)
        if count < 0:
            product = -product
        a, b, c = (block.spread(word, wide) for word in (product, last, sum_))
        found: Word = block.fma(a, b, c)
        return found

    def _times(self, a: Word, b: Word) -> Word:
        wide = max(a.lanes, b.lanes)
        return self.block.spread(a, wide) * self.block.spread(b, wide)

    def _lane_sums(
        self, op: Op, term: Term, copies: dict[Copy, Places], sums: Sums | None, summed: str
    ) -> Sums:
        """The sums with a term that is summed up in lanes, which are then added to each other."""
        block = self.block
        axis = next(a for a in term.over if a.name == summed)
        others = [a for a in term.over if a is not axis]
        wide = width(axis.length, self._code.lanes)
        kept, self._wide = self._wide, wide
        empty = self._empty(op, copies, wide)
        first = next(iter(copies.values()))

        def turn_of(places: Places, carried: Sequence[Word], tail: int | None) -> list[Word]:
            there: Word | None = None
            where = places[axis.name]
            if where.samples:
                there = self._there(places)
            elif tail is not None:
                there = block.first_lanes(tail, wide)
            words = []
            for at, word in zip(copies.values(), carried, strict=True):
                new = self._put(op, term, word, {**places, **at}, tail, None)
                new = block.spread(new, wide)
                words.append(new if there is None else block.chosen(there, new, word))
            return words

        def body(places: Places, carried: Sequence[Word]) -> list[Word]:
            runs: list[tuple[Whole, Whole, int, int | None]]
            if axis.length == BATCH:
                runs = [(0, self._blocks(), 1, None)]
            else:
                whole = axis.length - axis.length % wide
                runs = [(0, whole, wide, None)]
                if whole < axis.length:
                    runs.append((whole, whole + wide, wide, axis.length - whole))
            for start, stop, step, tail in runs:
                if isinstance(stop, int) and start == stop:
                    continue
                with self._turns(start, stop, step, carried) as turn:
                    where = _at(turn.index, lanes=True, samples=axis.length == BATCH)
                    at = {**places, axis.name: where}
                    turn.carried = turn_of(at, turn.carried, tail)
                carried = turn.carried
            return list(carried)

        found = self._within(others, list(term.domain), dict(first), list(empty.values()), body)
        self._wide = kept
        result = {}
        for copy, word in zip(copies, found, strict=True):
            single = self._folded(op, word)
            if sums is not None:
                single = self._operation(op, (sums[copy], single), ())
            result[copy] = single
        return result

    def _folded(self, op: Op, word: Word) -> Word:
        """The sum of the lanes, by halves; or the largest or smallest of them."""
        while word.lanes > 1:
            lower, upper = self.block.halves(word)
            word = self._operation(op, (lower, upper), ())
        return word


def _plain(text: str) -> str:
    """Text that is safe in a comment."""
    return "".join([letter if letter.isprintable() else " " for letter in text])


def _at(index: Whole, lanes: bool = False, samples: bool = False) -> Where:
    if isinstance(index, int):
        return Where(None, index, lanes, samples)
    return Where(index, 0, lanes, samples)


def _moved(where: Where, by: int) -> Where:
    return where._replace(offset=where.offset + by)


def _share(length: int, most: int) -> int:
    """How many numbers of an axis to take at once: a divisor of its length if one is near."""
    if length <= most:
        return length
    for number in range(most, most // 2, -1):
        if length % number == 0:
            return number
    return most


def _bounds(condition: Condition, axis: Axis, places: Places) -> bool:
    """Whether a condition is a bound of an axis, given the numbers of the others."""
    if not isinstance(condition, AtLeast) or axis.length == BATCH:
        return False
    steps = dict(condition.expression.terms)
    others = steps.keys() - {axis.name}
    return abs(steps.get(axis.name, 0)) == 1 and others <= places.keys()
