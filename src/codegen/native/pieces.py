"""Pieces of a program as functions of IR: over numbers, and over eight samples at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ..program import Gather, Instruction, Operand
from .functions import Functions
from .plan import Unit
from .words import LANES, Block, Word, float_text, type_of

_TREE: Final = (
    ((0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15)),
    ((0, 1, 4, 5, 8, 9, 12, 13), (2, 3, 6, 7, 10, 11, 14, 15)),
    ((0, 2, 4, 6, 8, 10, 12, 14), (1, 3, 5, 7, 9, 11, 13, 15)),
)
"""How two vectors of partial sums become one, three times over: lanes to add, of the two joined."""


class Place(NamedTuple):
    """Where numbers are in memory: so many float64 after a base, and how many."""

    base: str
    offset: int
    lanes: int


class Piece:
    """The lines of one piece, with loads for what it finds in memory."""

    def __init__(self, functions: Functions, places: Mapping[str, Place]) -> None:
        self.functions = functions
        self.block = Block(functions.fused)
        self.places = places
        self._groups: dict[str, list[str]] = {}

    def lines(self) -> list[str]:
        """The piece, the addresses of arguments first."""
        return [line for lines in self._groups.values() for line in lines] + self.block.lines

    def note(self, names: Sequence[str]) -> None:
        """Say on the last line which variables it computes."""
        self.block.lines[-1] += f"  ; {', '.join(names)}"

    def load(self, base: str, offset: int, lanes: int, fixed: bool) -> Word:
        """Numbers from memory; `fixed` where nothing writes there as long as the function runs."""
        if base.startswith("%group"):
            at = int(base.removeprefix("%group"))
            self._groups.setdefault(
                base,
                [
                    f"  {base}.at = getelementptr ptr, ptr %groups, i64 {at}",
                    f"  {base} = load ptr, ptr {base}.at, !invariant.load !0",
                ],
            )
        always = ", !invariant.load !0" if fixed else ""
        kind = type_of("f", lanes)
        return self.block.assign(
            f"load {kind}, ptr {self.address(base, offset)}, align 8{always}", "f", lanes
        )

    def load_place(self, place: Place, lanes: int = 0) -> Word:
        """What is at a place, or so many numbers from there on."""
        fixed = place.base != "%scratch"
        return self.load(place.base, place.offset, lanes or place.lanes, fixed)

    def address(self, base: str, offset: int) -> str:
        """The name of an address."""
        name = self.block.name()
        self.block.lines.append(f"  {name} = getelementptr double, ptr {base}, i64 {offset}")
        return name

    def store(self, word: Word, base: str, offset: int) -> None:
        """Write a word to memory."""
        address = self.address(base, offset)
        self.block.lines.append(f"  store {word.typed}, ptr {address}, align 8")


class Vectors(Piece):
    """A piece over eight samples: every value is a vector, one lane to a sample."""

    def __init__(self, functions: Functions, places: Mapping[str, Place]) -> None:
        super().__init__(functions, places)
        self._held: dict[Operand, Word] = {}

    def operand(self, operand: Operand) -> Word:
        """A value, in every lane where it is the same for all samples."""
        if not isinstance(operand, str):
            return self.block.number_word(operand, LANES)
        word = self._held.get(operand)
        if word is None:
            word = self.block.spread(self.load_place(self.places[operand]), LANES)
            self._held[operand] = word
        return word

    def compute(self, instruction: Instruction) -> None:
        """One instruction; what other pieces read of it goes to memory."""
        words = [self.operand(operand) for operand in instruction.operands]
        value = self.functions.apply(self.block, instruction.op, words, instruction.statics)
        self.note([instruction.name])
        self._held[instruction.name] = value
        place = self.places.get(instruction.name)
        if place is not None:
            self.store(value, place.base, place.offset)

    def gather(self, gathers: Sequence[tuple[Gather, int | None]], numbers: int) -> None:
        """Add to partial sums, and write out what is one per sample, given its number among those.

        Lanes past the last sample count nothing.
        """
        if not gathers:
            return
        block = self.block
        first = block.spread(Word(block, "%first", "i", 1), LANES)
        steps = ", ".join(f"i64 {lane}" for lane in range(LANES))
        lane = block.assign(f"add {first.typed}, <{steps}>", "i", LANES)
        inside = lane < block.spread(Word(block, "%n", "i", 1), LANES)
        for gather, stack in gathers:
            value = self.operand(gather.operand)
            if stack is None:
                place = self.places[f"{gather.name} of"]
                total = self.load_place(place) + block.select(inside, value, 0.0)
                self.note([gather.name])
                self.store(total, place.base, place.offset)
            else:
                self._write_out(value, inside, numbers, stack)

    def _write_out(self, value: Word, inside: Word, numbers: int, stack: int) -> None:
        """Store the lanes that are samples, after the numbers and the stacks before."""
        block = self.block
        skipped = Word(block, "%n", "i", 1) * stack + numbers + Word(block, "%first", "i", 1)
        address = block.name()
        block.lines.append(f"  {address} = getelementptr double, ptr %out, {skipped.typed}")
        name = f"@llvm.masked.store.v{LANES}f64.p0"
        block.intrinsics.add(f"declare void {name}({value.type}, ptr, i32, {inside.type})")
        block.lines.append(
            f"  call void {name}({value.typed}, ptr {address}, i32 8, {inside.typed})"
        )


class Numbers(Piece):
    """A piece over single numbers, of which those that are computed alike share vectors."""

    def __init__(
        self,
        functions: Functions,
        places: Mapping[str, Place],
        positions: Mapping[Operand, Sequence[int]],
    ) -> None:
        super().__init__(functions, places)
        self._positions = positions
        self._held: dict[str, Word] = {}
        self._lanes: dict[str, tuple[Word, int]] = {}

    def operand(self, operand: Operand) -> Word:
        """A value as a single number."""
        if not isinstance(operand, str):
            return self.block.number_word(operand, 1)
        word = self._held.get(operand)
        if word is None:
            if operand in self._lanes:
                word = self.block.lane(*self._lanes[operand])
            else:
                word = self.load_place(self.places[operand])
            self._held[operand] = word
        return word

    def compute(self, unit: Unit) -> None:
        """Instructions of one operation: as a vector where that gains, else one by one."""
        vectors = self._operands(unit) if len(unit) > 1 else None
        if vectors is None:
            for instruction in unit:
                words = [self.operand(operand) for operand in instruction.operands]
                value = self.functions.apply(self.block, instruction.op, words, instruction.statics)
                self.note([instruction.name])
                self._held[instruction.name] = value
                for base, offset in self._wanted(instruction.name):
                    self.store(value, base, offset)
            return
        op, statics = unit[0].op, unit[0].statics
        value = self.functions.apply(self.block, op, vectors, statics)
        names = [instruction.name for instruction in unit]
        self.note(names)
        self._lanes.update((name, (value, lane)) for lane, name in enumerate(names))
        self._keep(names, value)

    def _operands(self, unit: Unit) -> list[Word] | None:
        """The operands as vectors; None where the unit is not worth putting them together."""
        first = unit[0]
        long = self.functions.is_long(first.op, first.statics)
        width = next(lanes for lanes in (2, 4, LANES) if lanes >= len(unit))
        if not long and len(unit) < LANES:
            return None
        columns = [
            [instruction.operands[i] for instruction in unit] for i in range(len(first.operands))
        ]
        columns = [column + column[-1:] * (width - len(column)) for column in columns]
        ready = [self._ready(column) for column in columns]
        if not long and not all(ready):
            return None
        return [self._vector(column) for column in columns]

    def _ready(self, operands: Sequence[Operand]) -> bool:
        """Whether a vector of these takes an instruction or two."""
        if len(set(operands)) == 1 or not any(isinstance(o, str) for o in operands):
            return True
        if all(operand in self._lanes for operand in operands):
            sources = {self._lanes[str(operand)][0].text for operand in operands}
            return len(sources) <= 2 and len({self._lanes[str(o)][0].lanes for o in operands}) == 1
        return self._in_a_row(operands) is not None

    def _in_a_row(self, operands: Sequence[Operand]) -> Place | None:
        """The place of the first, where the others follow it in memory."""
        first = self.places.get(str(operands[0]))
        if first is None or any(operand in self._lanes for operand in operands):
            return None
        for lane, operand in enumerate(operands):
            place = self.places.get(operand) if isinstance(operand, str) else None
            if place is None or place.lanes > 1:
                return None
            if place.base != first.base or place.offset != first.offset + lane:
                return None
        return first

    def _vector(self, operands: Sequence[Operand]) -> Word:
        """These values as the lanes of a vector."""
        block, width = self.block, len(operands)
        if len(set(operands)) == 1:
            return block.spread(self.operand(operands[0]), width)
        if not any(isinstance(operand, str) for operand in operands):
            numbers = ", ".join(f"double {float_text(float(operand))}" for operand in operands)
            return Word(block, f"<{numbers}>", "f", width)
        place = self._in_a_row(operands)
        if place is not None:
            return self.load_place(place, width)
        if self._ready(operands):
            return self._shuffled([self._lanes[str(operand)] for operand in operands])
        return block.joined([self.operand(operand) for operand in operands])

    def _shuffled(self, lanes: Sequence[tuple[Word, int]]) -> Word:
        """Lanes of one or two vectors in a new order."""
        sources = list({word.text: word for word, _ in lanes}.values())
        wide, width = sources[0].lanes, len(lanes)
        if len(sources) == 1 and [lane for _, lane in lanes] == list(range(wide)):
            return sources[0]
        at = {word.text: wide * number for number, word in enumerate(sources)}
        order = ", ".join(f"i32 {at[word.text] + lane}" for word, lane in lanes)
        return self.block.assign(
            f"shufflevector {sources[0].typed}, {sources[-1].typed}, <{width} x i32> <{order}>",
            "f",
            width,
        )

    def _wanted(self, name: str) -> list[tuple[str, int]]:
        """Where in memory a computed value goes."""
        place = self.places.get(name)
        found = [("%out", position) for position in self._positions.get(name, ())]
        return [(place.base, place.offset), *found] if place is not None else found

    def _keep(self, names: Sequence[str], value: Word) -> None:
        """Write the lanes of a vector to where they go, at once where they go side by side."""
        wanted = [self._wanted(name) for name in names]
        for column in zip(*wanted, strict=False):
            base, offset = column[0]
            row = all(place == (base, offset + lane) for lane, place in enumerate(column))
            if row and len(names) == value.lanes:
                self.store(value, base, offset)
            else:
                for name, place in zip(names, column, strict=True):
                    self.store(self.operand(name), *place)
        shortest = min(map(len, wanted))
        for name, places in zip(names, wanted, strict=True):
            for place in places[shortest:]:
                self.store(self.operand(name), *place)

    def fold(self, names: Sequence[str], offset: int) -> None:
        """Add up eight partial sums of each of up to eight values, by the tree that is documented.

        The totals go to the scratch memory, side by side.
        """
        rows = [self.load_place(self.places[name]) for name in names]
        rows += [Word(self.block, "zeroinitializer", "f", LANES)] * (LANES - len(rows))
        for lower, upper in _TREE:
            rows = [
                self._picked(a, b, lower) + self._picked(a, b, upper)
                for a, b in zip(rows[::2], rows[1::2], strict=True)
            ]
        self.store(rows[0], "%scratch", offset)

    def _picked(self, a: Word, b: Word, lanes: Sequence[int]) -> Word:
        order = ", ".join(f"i32 {lane}" for lane in lanes)
        return self.block.assign(
            f"shufflevector {a.typed}, {b.typed}, <{LANES} x i32> <{order}>", "f", LANES
        )

    def repeat(self, gather: Gather) -> None:
        """The sum of what is the same for all samples: it times their number."""
        count = self.block.assign("sitofp i64 %n to double", "f", 1)
        total = self.operand(gather.operand) * count
        some = Word(self.block, "%n", "i", 1) > 0  # inf times none is no sum of none
        place = self.places[gather.name]
        self.store(self.block.select(some, total, 0.0), place.base, place.offset)

    def copy(self, wanted: Sequence[tuple[int, Operand]]) -> None:
        """Write values to their places among the results, as many at once as lie side by side."""
        at = 0
        while at < len(wanted):
            some = wanted[at : at + LANES]
            position = some[0][0]
            row = [operand for i, (p, operand) in enumerate(some) if p == position + i]
            if len(row) == LANES and self._in_a_row(row) is not None:
                self.store(self._vector(row), "%out", position)
                at += LANES
            else:
                self.store(self.operand(some[0][1]), "%out", position)
                at += 1
