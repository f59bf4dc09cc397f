"""The operations of a program as functions of the code, for words of one lane and of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ...ops.record import Op
from .words import Block, Word, type_of

_SHORT: Final = 6
"""An operation of no more lines is written where it is used."""

_INLINED: Final = 4
"""A function that is called no more often is copied to its callers by LLVM."""


class _Written(NamedTuple):
    """An operation as written: None for the name where it has no function of its own."""

    name: str | None
    lines: int


class Functions:
    """Writes operations: short ones in place, others as functions, each written once.

    `asked` are the operations whose record is called back, with their static arguments, because it
    has no kernel.
    """

    def __init__(self, fused: bool) -> None:
        self.fused = fused
        self.asked: list[tuple[Op, tuple[float, ...]]] = []
        self.intrinsics: set[str] = set()
        self._texts: dict[str, list[str]] = {}
        self._heads: dict[str, str] = {}
        self._calls: dict[str, int] = {}
        self._known: dict[tuple[Op, tuple[float, ...], int], _Written] = {}

    def is_long(self, op: Op, statics: tuple[float, ...]) -> bool:
        """Whether it is worth gathering operands for: several at once cost about as much as one."""
        return self._written(op, statics, 1).name is not None

    def apply(
        self, block: Block, op: Op, words: Sequence[Word], statics: tuple[float, ...]
    ) -> Word:
        """The lines for one operation on words of one width; the word it gives."""
        written = self._written(op, statics, words[0].lanes)
        if written.name is None:
            value: Word = _traced(block, op, words, statics)
            return value
        self._calls[written.name] += 1
        return block.call(written.name, words)

    def text(self, inlined: bool = True) -> list[str]:
        """The definitions of the functions, and the declarations of what they need.

        inlined  whether those that are called seldom are to be copied to where they are called
        """
        lines: list[str] = []
        for name, body in self._texts.items():
            calls = self._calls[name]
            if calls:
                inline = inlined and calls <= _INLINED
                inline = inline and not any(line.endswith(":") for line in body)
                how = "alwaysinline" if inline else "noinline"
                lines += [f"{self._heads[name]} {how} {{", *body, "}", ""]
        for place, (op, _) in enumerate(self.asked):
            given = ", ".join(["double"] * op.arity)
            lines.append(f"declare double @evaluate.{place}({given})  ; {op.name}")
        return [*lines, *sorted(self.intrinsics)]

    def _written(self, op: Op, statics: tuple[float, ...], lanes: int) -> _Written:
        key = op, statics, lanes
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._write(op, statics, lanes)
        return found

    def _write(self, op: Op, statics: tuple[float, ...], lanes: int) -> _Written:
        block = Block(self.fused)
        operands = [Word(block, f"%x{i}", "f", lanes) for i in range(op.arity)]
        value = _traced(block, op, operands, statics)
        if value is not None and len(block.lines) <= _SHORT and not block.rarely:
            return _Written(None, len(block.lines))
        name = f"@{op.name}.{len(self._texts)}"
        if value is None:
            value = self._every_lane(block, op, operands, statics)
        elif block.rarely:
            value = self._with_rare(block, value)
        kind = type_of("f", lanes)
        given = ", ".join(operand.typed for operand in operands)
        self._heads[name] = f"define internal {kind} {name}({given})"
        self._texts[name] = [*block.lines, f"  ret {value.typed}"]
        self._calls[name] = 0
        self.intrinsics |= block.intrinsics
        return _Written(name, len(block.lines))

    def _place(self, op: Op, statics: tuple[float, ...]) -> int:
        if (op, statics) not in self.asked:
            self.asked.append((op, statics))
        return self.asked.index((op, statics))

    def _every_lane(
        self, block: Block, op: Op, operands: Sequence[Word], statics: tuple[float, ...]
    ) -> Word:
        """The record's own value, lane by lane."""
        return block.lane_by_lane(f"@evaluate.{self._place(op, statics)}", operands)

    def _with_rare(self, block: Block, value: Word) -> Word:
        """The value, and where an operand is not for the kernel another."""
        ((condition, instead),) = block.rarely
        found = condition
        if condition.lanes > 1:
            name = f"@llvm.vector.reduce.or.v{condition.lanes}i1"
            block.intrinsics.add(f"declare i1 {name}({condition.type})")
            found = block.assign(f"call i1 {name}({condition.typed})", "b", 1)
        block.lines += [f"  br i1 {found.text}, label %rare, label %usual", "rare:"]
        chosen = block.select(condition, instead(), value)
        block.lines += [f"  ret {chosen.typed}", "usual:"]
        return value


def _traced(block: Block, op: Op, operands: Sequence[Word], statics: tuple[float, ...]) -> Any:
    """The lines of the operation's kernel; None where it has none for these static arguments."""
    return None if op.kernel is None else op.kernel(block, *operands, *statics)
