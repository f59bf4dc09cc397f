"""Where the numbers of a nest are: indices, conditions, addresses, and what is read and written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from ...arrays.statements import Array
from ...ops.reads import Affine, AtLeast, Condition, Equal, Index, Read, Table, Unequal, along
from ...ops.shapes import BATCH
from .functions import Functions
from .nests import Nest, Turn, Whole
from .storage import Storage, in_bounds, table_stride
from .words import Word


class Where(NamedTuple):
    """The number of an axis: word + offset, and in lanes one more from each to the next.

    samples  whether it is the axis of samples; its word then counts blocks of lanes, or samples
    """

    word: Word | None
    offset: int = 0
    lanes: bool = False
    samples: bool = False


Places = dict[str, Where]


@dataclass
class Linear:
    """A whole number: offset + Σ word·factor, plus stride·lane or a vector."""

    offset: int = 0
    terms: list[tuple[Word, int]] = field(default_factory=list)
    stride: int = 0
    vector: Word | None = None


class Code(NamedTuple):
    """What nests share.

    kind   "f" for float64, "s" for float32
    lanes  how many lanes a vector has
    sums   how many vectors of sums are kept at once
    """

    functions: Functions
    arrays: Mapping[str, Array]
    storages: Mapping[str, Storage]
    tables: Tables
    kind: str
    lanes: int
    sums: int


class Tables:
    """The whole numbers of tables, as constants of the code."""

    def __init__(self, spare: int) -> None:
        self._numbers: dict[tuple[int, ...], int] = {}
        self._spare = spare

    def name(self, values: tuple[int, ...]) -> str:
        """The name of a table of these numbers."""
        return f"@table.{self._numbers.setdefault(values, len(self._numbers))}"

    def text(self) -> list[str]:
        """Their definitions, each with some noughts at its end, for lanes that are not used."""
        lines = []
        for values, number in self._numbers.items():
            whole = [*values, *[0] * self._spare]
            numbers = ", ".join(f"i32 {value}" for value in whole)
            lines.append(
                f"@table.{number} = internal constant [{len(whole)} x i32] [{numbers}], align 64"
            )
        return lines


class Addressing:
    """The code of a nest as far as it finds numbers in memory and puts them there.

    wide  how many lanes what is computed has
    """

    def __init__(self, code: Code, wide: int) -> None:
        self._code, self._wide = code, wide
        self.block = Nest(code.functions.fused)
        self._heads: dict[str, str] = {}
        self._known: dict[object, Word] = {}
        self._lengths: dict[str, int] = {}

    @contextmanager
    def _turns(
        self, first: Whole, last: Whole, step: int, carried: Sequence[Word]
    ) -> Iterator[Turn]:
        """A loop; what is known inside it is forgotten after it."""
        before = self._known
        self._known = dict(before)
        with self.block.loop(first, last, step, carried) as turn:
            yield turn
        self._known = before

    def _blocks(self) -> Word:
        """How many blocks of lanes the samples fill."""
        found = self._known.get("blocks")
        if found is None:
            lanes = self._code.lanes
            number = Word(self.block, "%n", "i", 1)
            # the same wherever it stands: written at the beginning of the function
            self._heads["blocks"] = (
                f"  %blocks.up = add i64 {number.text}, {lanes - 1}\n"
                f"  %blocks = ashr i64 %blocks.up, {lanes.bit_length() - 1}"
            )
            found = self._known["blocks"] = Word(self.block, "%blocks", "i", 1)
        return found

    def _whole(self, index: Index, places: Places) -> Whole:
        """An index that is the same in all lanes."""
        linear = self._linear([index], (1,), places)
        return self._sum(linear)

    def _sum(self, linear: Linear) -> Whole:
        total: Word | None = None
        for word, factor in linear.terms:
            part = word if factor == 1 else word * factor
            total = part if total is None else total + part
        if total is None:
            return linear.offset
        return total + linear.offset if linear.offset else total

    def _linear(self, indices: Sequence[Index], strides: Sequence[int], places: Places) -> Linear:
        """Σ stride·index at the points."""
        found = Linear()
        for index, stride in zip(indices, strides, strict=True):
            if stride == 0:
                continue
            if isinstance(index, Affine):
                found.offset += stride * index.offset
                for name, step in index.terms:
                    where = places[name]
                    found.offset += stride * step * where.offset
                    if where.word is not None:
                        found.terms.append((where.word, stride * step))
                    if where.lanes:
                        found.stride += stride * step
                continue
            word = self._looked_up(index, places)
            if word.lanes == 1:
                found.terms.append((word, stride))
            else:
                safe = self._not_negative(word)
                part = safe if stride == 1 else safe * stride
                found.vector = part if found.vector is None else found.vector + part
        return found

    def _not_negative(self, word: Word) -> Word:
        """Numbers of a table, 0 where there is none: what is read there is not used."""
        zero = self.block.zero("i", word.lanes)
        return self.block.chosen(word < 0, zero, word)

    def _looked_up(self, table: Table, places: Places) -> Word:
        """The number of a table, or one for each lane."""
        key = ("table", table.name, standing(table.axes, places))
        found = self._known.get(key)
        if found is None:
            strides = [table_stride(table, axis) for axis in table.axes]
            linear = self._linear([along(axis) for axis in table.axes], strides, places)
            found = self._table(table.values, linear)
            self._known[key] = found
        return found

    def _table(self, values: tuple[int, ...], linear: Linear) -> Word:
        name = self._code.tables.name(values)
        block = self.block
        address = block.name()
        at = block.whole(self._sum(linear))
        block.lines.append(f"  {address} = getelementptr i32, ptr {name}, {at.typed}")
        lanes = self._wide if linear.stride else 1
        kind = "i32" if lanes == 1 else f"<{lanes} x i32>"
        short = block.name()
        block.lines.append(f"  {short} = load {kind}, ptr {address}, align 4")
        wide = "i64" if lanes == 1 else f"<{lanes} x i64>"
        return block.assign(f"sext {kind} {short} to {wide}", "i", lanes)

    # conditions

    def _holds(self, condition: Condition, places: Places) -> Word:
        """Whether a condition holds, in each lane where it depends on that."""
        if isinstance(condition, AtLeast):
            return self._index(condition.expression, places) >= 0
        if isinstance(condition, Unequal):
            return self._index(condition.expression, places) != 0
        assert isinstance(condition, Equal)
        left = self._index(condition.left, places)
        right = self._index(condition.right, places)
        wide = max(left.lanes, right.lanes)
        spread = self.block.spread
        return spread(left, wide) == spread(right, wide)

    def _index(self, index: Index, places: Places) -> Word:
        """An index as a word, in each lane where it depends on that."""
        if isinstance(index, Table):
            return self._looked_up(index, places)
        linear = self._linear([index], (1,), places)
        word = self.block.whole(self._sum(linear))
        if not linear.stride:
            return word
        lanes = self.block.counted(self._wide) * linear.stride
        return self.block.spread(word, self._wide) + lanes

    def _mask(self, domain: Sequence[Condition], places: Places) -> Word | None:
        """Where conditions hold that are not the same for all lanes."""
        found: Word | None = None
        for condition in domain:
            if any(places[name].lanes for name in condition.axes):
                found = self.block.both(found, self._holds(condition, places))
        return found

    def _used(self, tail: int | None, lanes: int) -> Word | None:
        """The lanes that are used at the end of an axis."""
        return None if tail is None else self.block.first_lanes(tail, lanes)

    # reading and writing

    def _base(self, storage: Storage) -> str:
        """The address that places are counted from, written at the beginning of the function."""
        kind, number = storage.base, storage.number
        if kind in ("out", "fixed"):
            return f"%{kind}"
        if kind == "constant":
            return f"@constant.{number}"
        name = f"%{kind}.{number}"
        element = "double" if self._code.kind == "f" else "float"
        if kind == "stack":
            assert storage.samples is not None
            size = 1 if storage.samples.in_lanes else storage.samples.stride
            lines = [
                f"  {name}.skip = mul i64 %total, {number}",
                f"  {name}.before = mul i64 %from, {size}",
                f"  {name}.first = add i64 {name}.skip, {name}.before",
                f"  {name} = getelementptr {element}, ptr %results, i64 {name}.first",
            ]
        elif kind == "group" or kind == "rows":
            lines = [
                f"  {name}.at = getelementptr ptr, ptr %{'groups' if kind == 'group' else 'rows'}, "
                f"i64 {number}",
                f"  {name}{'.all' * (kind == 'rows')} = load ptr, ptr {name}.at, "
                "!invariant.load !0",
            ]
            if kind == "rows":
                assert storage.samples is not None
                lines += [
                    f"  {name}.skip = mul i64 %from, {storage.samples.stride}",
                    f"  {name} = getelementptr {element}, ptr {name}.all, i64 {name}.skip",
                ]
        else:
            lines = [
                f"  {name}.skip = mul i64 %room, {number}",
                f"  {name} = getelementptr {element}, ptr %each, i64 {name}.skip",
            ]
        self._heads[name] = "\n".join(lines)
        return name

    def _place(
        self, array: str, indices: Sequence[Index], places: Places
    ) -> tuple[Storage, Linear]:
        """Where an element of an array is."""
        storage = self._code.storages[array]
        shape = self._code.arrays[array].shape
        own = [i for i, length in zip(indices, shape, strict=True) if length != BATCH]
        if storage.places:
            strides, step = [], 1
            for length in reversed(storage.shape):
                strides.append(step)
                step *= length
            flat = self._linear(own, strides[::-1], places)
            if flat.vector is not None:
                raise NotImplementedError
            word = self._table(storage.places, flat)
            linear = Linear(0, [(word, 1)]) if word.lanes == 1 else Linear(vector=word)
        else:
            linear = self._linear(own, storage.strides, places)
        linear.offset += storage.offset
        for index, length in zip(indices, shape, strict=True):
            if length == BATCH:
                self._add_sample(linear, storage, places[index.axes[0]])
        return storage, linear

    def _add_sample(self, linear: Linear, storage: Storage, where: Where) -> None:
        samples, lanes = storage.samples, self._code.lanes
        assert samples is not None
        if where.lanes:
            step = samples.stride if samples.in_lanes else samples.stride * lanes
            if where.word is not None:
                linear.terms.append((where.word, step))
            linear.offset += step * where.offset
            linear.stride += 1 if samples.in_lanes else samples.stride
            return
        if not samples.in_lanes:
            linear.offset += samples.stride * where.offset
            if where.word is not None:
                linear.terms.append((where.word, samples.stride))
            return
        if where.word is None:
            block, lane = divmod(where.offset, lanes)
            linear.offset += block * samples.stride + lane
            return
        key = ("sample", where.word.text)
        if key not in self._known:
            self._known[key] = where.word >> (lanes.bit_length() - 1)
            self._known[(*key, "lane")] = where.word & (lanes - 1)
        linear.terms.append((self._known[key], samples.stride))
        linear.terms.append((self._known[(*key, "lane")], 1))

    def _address(self, storage: Storage, linear: Linear) -> str:
        """The address of an element: the part that is a word first, which many have in common."""
        base = self._base(storage)
        key = ("address", base, tuple([(word.text, factor) for word, factor in linear.terms]))
        if linear.terms:
            if key not in self._known:
                word = self._sum(Linear(0, linear.terms))
                text = self.block.address(base, word, self._code.kind)
                self._known[key] = Word(self.block, text, "i", 1)
            base = self._known[key].text
        return self.block.address(base, linear.offset, self._code.kind)

    def _loaded(self, read: Read, places: Places, tail: int | None, mask: Word | None) -> Word:
        block, kind = self.block, self._code.kind
        storage, linear = self._place(read.array, read.index, places)
        if linear.vector is None and linear.stride == 0:
            return block.load(self._address(storage, linear), kind, 1)
        wide = self._wide
        if linear.vector is None and linear.stride == 1:
            inside = self._inside(read, storage, places)
            needed = None
            if not storage.padded:
                needed = self._used(tail, wide)
                if storage.samples is not None:
                    needed = block.both(needed, self._there(places))
            if mask is not None and not inside:
                needed = block.both(needed, mask)
            return block.load(self._address(storage, linear), kind, wide, needed)
        if storage.base == "rows" and any(w.lanes and w.samples for w in places.values()):
            return self._rows(read, storage, places)
        lanes = []
        for lane in range(tail if tail is not None else wide):
            own = Linear(linear.offset + lane * linear.stride, list(linear.terms))
            if linear.vector is not None:
                own.terms.append((block.lane(linear.vector, lane), 1))
            lanes.append(block.load(self._address(storage, own), kind, 1))
        lanes += [block.zero(kind, 1)] * (wide - len(lanes))
        return block.joined(lanes)

    def _rows(self, read: Read, storage: Storage, places: Places) -> Word:
        """A number of several samples; lanes past the last sample are like that."""
        block = self.block
        name, where = next((n, w) for n, w in places.items() if w.lanes and w.samples)
        last = Word(block, "%n", "i", 1) - 1
        lanes = self._code.lanes
        found = []
        for lane in range(lanes):
            offset = lanes * where.offset + lane
            row = block.whole(self._sum(Linear(offset, scaled(where, lanes))))
            row = block.chosen(row < last, row, last)
            own = {**places, name: Where(row, 0, samples=True)}
            _, linear = self._place(read.array, read.index, own)
            found.append(block.load(self._address(storage, linear), self._code.kind, 1))
        return block.joined(found)

    def _inside(self, read: Read, storage: Storage, places: Places) -> bool:
        lengths = {name: self._lengths[name] for name in names_of(read)}
        return in_bounds(read.index, self._code.arrays[read.array].shape, lengths)

    def _there(self, places: Places) -> Word | None:
        """The lanes that are samples."""
        where = next((w for w in places.values() if w.lanes and w.samples), None)
        if where is None:
            return None
        block, lanes = self.block, self._code.lanes
        start = Where(where.word, where.offset)
        word = block.whole(self._sum(Linear(lanes * where.offset, scaled(start, lanes))))
        numbers = block.spread(word, lanes) + block.counted(lanes)
        return numbers < block.spread(Word(block, "%n", "i", 1), lanes)

    def _write(
        self,
        array: str,
        target: Sequence[Index],
        word: Word,
        places: Places,
        tail: int | None,
        mask: Word | None,
        alone: bool,
    ) -> None:
        """Store what was computed; `alone` where nothing else writes to the array."""
        block = self.block
        storage, linear = self._place(array, target, places)
        if self._wide == 1:
            block.store(word, self._address(storage, linear))
            return
        word = block.spread(word, self._wide)
        if linear.stride == 1 and linear.vector is None:
            used = None
            if storage.base == "stack":
                used = self._there(places)
            elif not (alone and storage.padded):
                used = block.both(self._used(tail, self._wide), mask)
            block.store(word, self._address(storage, linear), used)
            return
        for lane in range(tail if tail is not None else self._wide):
            own = Linear(linear.offset + lane * linear.stride, list(linear.terms))
            if linear.vector is not None:
                own.terms.append((block.lane(linear.vector, lane), 1))
            block.store(block.lane(word, lane), self._address(storage, own))


def scaled(where: Where, factor: int) -> list[tuple[Word, int]]:
    """The word of an axis times a factor, as terms."""
    return [] if where.word is None else [(where.word, factor)]


def names_of(read: Read) -> set[str]:
    """The axes that a read depends on."""
    return {name for index in read.index for name in index.axes}


def standing(names: Sequence[str], places: Places) -> tuple[object, ...]:
    """Where some axes are, and which of them has a place in each lane: what values are known by."""
    return tuple(
        [
            (where.word.text if where.word is not None else "", where.offset, where.lanes)
            for where in (places[name] for name in names)
        ]
    )
