"""`Program` → LLVM IR: one function over memory, made of pieces that LLVM compiles one by one.

    run(groups, samples, n, out, scratch)

    groups   the addresses of the arguments that are the same for all samples
    samples  those that are not, eight samples to a block: all numbers of a row, eight of each
    n        how many samples; what fills the last block up counts nothing
    out      the results that are numbers, then n of each that is one per sample
    scratch  room for what pieces leave to each other; what says to stop is the first there

Eight samples are computed at once. Over the samples, number i is added to partial sum i mod 8, and
those to ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7)), on every processor. Everything else is
computed operation by operation as the program has it, each rounded once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ...errors import SizeError
from ..program import Gather, Operand, Program
from ..target import Source
from .functions import Functions
from .host import PACKED
from .pieces import Numbers, Piece, Place, Vectors
from .plan import Unit, chunks, one_by_one, units
from .threads import (
    ALONE,
    DECLARED,
    NEVER,
    STOP,
    STOPPED,
    Parts,
    parts,
    shared_lines,
    shared_text,
)
from .words import LANES

PIECE: Final = 250
"""Instructions in a piece: LLVM's time for one grows faster than its length."""

WHOLE: Final = 1_000
"""A program of no more instructions is in one piece, so that all it computes stays in registers."""

MAX_INSTRUCTIONS: Final = 300_000
"""The longest program that is compiled: that takes about half a minute."""

_ARGUMENTS: Final = (
    "ptr noalias %groups, ptr noalias %samples, i64 %n, ptr noalias %out, ptr noalias %scratch"
)
_GIVEN: Final = "ptr %groups, ptr %block, i64 %n, ptr %out, ptr %scratch"


@dataclass
class _Memory:
    """Where every value is that a piece finds in memory; grows as pieces leave more there."""

    places: dict[str, Place] = field(default_factory=dict)
    used: int = 0

    def room(self, names: Sequence[str], lanes: int) -> None:
        """Give values a place in the scratch memory, one after another."""
        for name in names:
            self.places[name] = Place("%scratch", self.used, lanes)
            self.used += lanes

    def align(self) -> None:
        """Go on at a multiple of a vector's length."""
        self.used += -self.used % LANES


def emit(program: Program, fused: bool) -> Source:
    """The program as IR, for processors that fuse a product with a sum or that do not.

    A program of more than `MAX_INSTRUCTIONS` is a `SizeError`.
    """
    count = len(program.instructions)
    if count > MAX_INSTRUCTIONS:
        raise SizeError(
            f"{program.name} has {count:,} instructions; the native target compiles up to "
            f"{MAX_INSTRUCTIONS:,}: compile one sample's expression with batch=, or use "
            "target='numpy' or 'python'"
        )
    return _Emitter(program, fused).source()


class _Emitter:
    """One program on its way to IR."""

    def __init__(self, program: Program, fused: bool) -> None:
        self.program = program
        self.functions = Functions(fused)
        self.memory = _Memory(used=LANES)
        self.texts: list[str] = []
        self.results, self.stacks, self.tree = _results(program)
        self.positions: dict[Operand, list[int]] = {}
        for position, operand in enumerate(self.results):
            self.positions.setdefault(operand, []).append(position)
        self._place_leaves()
        varying = {instruction.name for instruction in program.each}
        varying |= {leaf for group in program.groups if group.batched for leaf in group.leaves}
        self.looped = [g for g in program.gathers if g.stacked or g.operand in varying]
        self.summed = [g for g in self.looped if not g.stacked]
        self._divided: Parts | None = None
        self.same = [g for g in program.gathers if not g.stacked and g.operand not in varying]

    def _place_leaves(self) -> None:
        column = argument = 0
        for group in self.program.groups:
            for i, leaf in enumerate(group.leaves):
                if group.batched:
                    self.memory.places[leaf] = Place("%block", LANES * (column + i), LANES)
                else:
                    self.memory.places[leaf] = Place(f"%group{argument}", i, 1)
            column += len(group.leaves) * group.batched
            argument += not group.batched

    def source(self) -> Source:
        """The text, and what is in which line."""
        program = self.program
        long = self.functions.is_long
        body = [
            "  %fixed = getelementptr i8, ptr %scratch, i64 0",
            *STOP,
            *self._stage("once", units(program.once, lambda i: long(i.op, i.statics)), 1),
            *self._samples(),
            *self._stage("after", units(program.after, lambda i: True), 1),
            *self._copies(),
        ]
        lines = [
            f"; {program.name}: straight-line code, generated by wengert",
            f"; layout: {json.dumps(self._layout())}",
            "",
            *self.texts,
            f"define void @run({_ARGUMENTS}) {{",
            *body,
            "  ret void",
            "}",
            "",
            *self.functions.text(inlined=len(program.instructions) > PACKED),
            NEVER,
            *(DECLARED if self._divided else ()),
            "!0 = !{}",
        ]
        text = "\n".join(lines) + "\n"
        found = {}
        for number, line in enumerate(text.splitlines(), 1):
            code, mark, names = line.rpartition("  ; ")
            if mark and code:
                found.update(dict.fromkeys(names.split(", "), number))
        operations = tuple(self.functions.asked)
        return Source(text, program.name, found, operations=operations)

    def _layout(self) -> dict[str, Any]:
        """What the caller has to know, ready to be written as JSON."""
        groups = [[len(g.leaves), g.scalar, g.batched] for g in self.program.groups]
        return {
            "groups": groups,
            "numbers": len(self.results),
            "stacks": len(self.stacks),
            "outputs": self.tree,
            "scratch": self.memory.used,
            "instructions": len(self.program.instructions),
            "each": len(self.program.each),
            "part": self._divided.least if self._divided else 0,
            "threaded": self._divided is not None,
        }

    def _stage(self, name: str, ordered: Sequence[Unit], lanes: int) -> list[str]:
        """The pieces of a stage; answers the lines that call them."""
        calls = []
        short = len(self.program.instructions) <= WHOLE
        pieces = chunks(ordered, max(PIECE, WHOLE) if short else PIECE)
        self._leave_room(pieces, lanes)
        waiting = self._waiting() if lanes > 1 else {}
        for number, piece in enumerate(pieces):
            if lanes > 1:
                own = [i.name for unit in piece for i in unit]
                gathers = [g for value in own for g in waiting.pop(value, ())]
                if number == len(pieces) - 1:  # what is collected may also be no instruction's
                    gathers += [g for rest in waiting.values() for g in rest]
                made = self._vectors(piece, gathers)
                calls.append(self._write(f"@{name}.{number}", made, f"{_GIVEN}, i64 %first"))
            elif piece:
                calls.append(self._write(f"@{name}.{number}", self._numbers(piece)))
        return calls

    def _waiting(self) -> dict[Operand, list[Gather]]:
        """What is collected in the loop over the samples, by what it is collected of."""
        found: dict[Operand, list[Gather]] = {}
        for gather in self.looped:
            found.setdefault(gather.operand, []).append(gather)
        return found

    def _vectors(self, piece: Sequence[Unit], gathers: Sequence[Gather]) -> Vectors:
        writer = Vectors(self.functions, self.memory.places)
        for (instruction,) in piece:
            writer.compute(instruction)
        writer.gather([(g, self.stacks.get(g.name)) for g in gathers], len(self.results))
        return writer

    def _numbers(self, piece: Sequence[Unit]) -> Numbers:
        writer = Numbers(self.functions, self.memory.places, self.positions)
        for unit in piece:
            writer.compute(unit)
        return writer

    def _leave_room(self, pieces: Sequence[Sequence[Unit]], lanes: int) -> None:
        """Places for the values that are read in another piece than their own."""
        at = {i.name: number for number, piece in enumerate(pieces) for u in piece for i in u}
        elsewhere = self._read_elsewhere(lanes)
        shared = dict.fromkeys(name for name in at if name in elsewhere)
        if len(pieces) > 1:
            for number, piece in enumerate(pieces):
                for unit in piece:
                    for instruction in unit:
                        for operand in instruction.operands:
                            if at.get(operand, number) != number:  # type: ignore[arg-type]
                                shared[operand] = None  # type: ignore[index]
        self.memory.align()
        self.memory.room([name for name in at if name in shared], lanes)

    def _read_elsewhere(self, lanes: int) -> set[Operand]:
        """What other stages read of this one, or the end of the function does."""
        program = self.program
        if lanes > 1:
            return set()
        read: set[Operand] = {g.operand for g in program.gathers}
        for instruction in (*program.each, *program.after):
            read.update(instruction.operands)
        return read.intersection(instruction.name for instruction in program.once)

    def _write(self, name: str, piece: Piece, given: str = _GIVEN) -> str:
        """Write a piece as a function; answers the line that calls it."""
        head = f"define internal void {name}({given}) noinline {{"
        self.texts += [head, *piece.lines(), "  ret void", "}", ""]
        self.functions.intrinsics |= piece.block.intrinsics
        passed = given if "%first" in given else given.replace("%block", "%samples")
        return f"  call void {name}({passed})"

    def _samples(self) -> list[str]:
        """The lines of the loop over the blocks of samples, and of the sums after it."""
        program, memory = self.program, self.memory
        if not program.batched:
            return []
        memory.align()
        memory.room([_partial(g) for g in self.summed], LANES)
        memory.align()
        sums = memory.used
        memory.room([g.name for g in self.summed], 1)
        memory.align()
        memory.room([g.name for g in self.same], 1)
        calls = self._stage("each", one_by_one(program.each), LANES)
        first = memory.places[_partial(self.summed[0])].offset if self.summed else 0
        count = LANES * len(self.summed)
        self.texts += self._part(calls, first, count)
        if not self.functions.asked:
            each = len(program.each) / LANES
            self._divided = parts(each, memory.used, 8, LANES)
        if self._divided is not None:
            added = _added(first, count)
            self.texts += shared_text(self._divided, "double", 0, memory.used, 0, added)
        return [
            "  %rows = getelementptr i8, ptr %samples, i64 0",
            "  %results = getelementptr i8, ptr %out, i64 0",
            "  %each = getelementptr i8, ptr %scratch, i64 0",
            "  %total = add i64 %n, 0",
            f"  %room = add i64 {LANES}, 0",
            *(shared_lines(self._divided) if self._divided else [ALONE]),
            *self._folds(sums),
        ]

    def _part(self, calls: Sequence[str], first: int, count: int) -> list[str]:
        """The function that computes the samples of a part, a vector of them at a time.

        first, count  where the partial sums are, and how many numbers
        """
        width = sum(len(group.leaves) for group in self.program.groups if group.batched)
        self.functions.intrinsics.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
        return [
            "define internal void @part(ptr %groups, ptr %samples, i64 %n, ptr %out, ptr %own, "
            "ptr %scratch, ptr %each, i64 %room, i64 %from, i64 %end, ptr %stop) noinline {",
            f"  %sums = getelementptr double, ptr %scratch, i64 {first}",
            f"  call void @llvm.memset.p0.i64(ptr %sums, i8 0, i64 {8 * count}, i1 false)",
            "  %any = icmp slt i64 %from, %end",
            "  br i1 %any, label %block.of, label %done",
            "block.of:",
            "  %first = phi i64 [%from, %0], [%next, %block.of]",
            f"  %start = mul i64 %first, {width}",
            "  %block = getelementptr double, ptr %samples, i64 %start",
            *calls,
            f"  %next = add i64 %first, {LANES}",
            "  %more = icmp slt i64 %next, %end",
            *STOPPED,
            "  br i1 %again, label %block.of, label %done",
            "done:",
            "  ret void",
            "}",
            "",
        ]

    def _folds(self, sums: int) -> list[str]:
        """The lines that call what adds up the partial sums."""
        calls = []
        for number, start in enumerate(range(0, max(1, len(self.summed)), PIECE)):
            writer = Numbers(self.functions, self.memory.places, {})
            for at in range(start, min(start + PIECE, len(self.summed)), LANES):
                writer.fold([_partial(g) for g in self.summed[at : at + LANES]], sums + at)
            for gather in self.same if number == 0 else ():
                writer.repeat(gather)
            calls.append(self._write(f"@fold.{number}", writer))
        return calls

    def _copies(self) -> list[str]:
        """The lines that call what writes the results that no instruction computes."""
        computed = {i.name for i in (*self.program.once, *self.program.after)}
        wanted = [(i, operand) for i, operand in enumerate(self.results) if operand not in computed]
        calls = []
        for number, start in enumerate(range(0, len(wanted), PIECE)):
            writer = Numbers(self.functions, self.memory.places, {})
            writer.copy(wanted[start : start + PIECE])
            calls.append(self._write(f"@copy.{number}", writer))
        return calls


def _added(first: int, count: int) -> list[str]:
    """The lines that add the partial sums of a part to those so far."""
    whole, lines = f"<{LANES} x double>", []
    for number in range(first, first + count, LANES):
        names = [f"%sum.{number}.{place}" for place in range(5)]
        lines += [
            f"  {names[0]} = getelementptr double, ptr %fixed, i64 {number}",
            f"  {names[1]} = getelementptr double, ptr %own.fixed, i64 {number}",
            f"  {names[2]} = load {whole}, ptr {names[0]}, align 8",
            f"  {names[3]} = load {whole}, ptr {names[1]}, align 8",
            f"  {names[4]} = fadd {whole} {names[2]}, {names[3]}",
            f"  store {whole} {names[4]}, ptr {names[0]}, align 8",
        ]
    return lines


def _partial(gather: Gather) -> str:
    """The name of a sum's eight partial sums, which is no variable's."""
    return f"{gather.name} of"


def _results(program: Program) -> tuple[list[Operand], dict[str, int], Any]:
    """The operands that are results, those of every sample numbered, and the outputs' nesting.

    In the nesting a result is ["n", i], n of them in a row ["v", i, n] and a list of one for each
    sample ["s", i]; there are ["l", items] and ["d", [[key, item], …]] besides.
    """
    stacked = {gather.name for gather in program.gathers if gather.stacked}
    results: list[Operand] = []
    stacks: dict[str, int] = {}

    def told(nested: Any) -> list[Any]:
        if isinstance(nested, Mapping):
            return ["d", [[key, told(item)] for key, item in nested.items()]]
        if isinstance(nested, list):
            if not any(isinstance(item, (Mapping, list)) or item in stacked for item in nested):
                results.extend(nested)
                return ["v", len(results) - len(nested), len(nested)]
            return ["l", [told(item) for item in nested]]
        if nested in stacked:
            return ["s", stacks.setdefault(nested, len(stacks))]
        results.append(nested)
        return ["n", len(results) - 1]

    tree = told(program.outputs)
    return results, stacks, tree
