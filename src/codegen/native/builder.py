"""Functions of IR with loops and conditions, written by hand once for all programs.

LLVM reads text, so what is built here are lines: llvmlite's own builder takes longer to import and
to print than LLVM takes to compile what it has built.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from .words import LANES, float_text


class Kind(str):
    """A type, as IR names it. Called with a number it gives the constant, with None the null."""

    __slots__ = ()

    def __call__(self, number: float | None) -> Operand:
        """The constant.

        >>> WHOLE(3).typed, DOUBLE(1.0).typed, POINTER(None).typed
        ('i64 3', 'double 0x3FF0000000000000', 'ptr null')
        """
        if number is None:
            return Operand(self, "null")
        return Operand(self, float_text(number) if self == DOUBLE else str(number))


class Operand(NamedTuple):
    """A value: its type, and its name or what it is."""

    kind: Kind
    text: str

    @property
    def typed(self) -> str:
        """The value after its type, as arguments are written."""
        return f"{self.kind} {self.text}"


class Callee(NamedTuple):
    """What can be called: a function's name or an address, and the type of what it answers."""

    text: str
    result: Kind


POINTER: Final = Kind("ptr")
WHOLE: Final = Kind("i64")
SMALL: Final = Kind("i32")
BYTE: Final = Kind("i8")
DOUBLE: Final = Kind("double")
SINGLE: Final = Kind("float")
VECTOR: Final = Kind(f"<{LANES} x double>")
WHOLES: Final = Kind(f"<{LANES} x i64>")
NOTHING: Final = Kind("void")
_TRUTH: Final = Kind("i1")

_KINDS: Final = {"p": POINTER, "w": WHOLE, "s": SMALL, "d": DOUBLE, "": NOTHING}
"""The letters that say what a function is given and what it answers."""

_ODDS: Final = (
    '!0 = !{!"branch_weights", i32 1, i32 99}',
    '!1 = !{!"branch_weights", i32 99, i32 1}',
)
"""How often conditions hold that are said to be unlikely, and likely."""


def _aligned(align: int | None) -> str:
    return "" if align is None else f", align {align}"


class Lines:
    """A function under construction: instructions go to the end of a block of it."""

    def __init__(self, head: str) -> None:
        self._head = head
        self._count = 0
        self._blocks: dict[str, list[str]] = {}
        self._ended: set[str] = set()
        self.block = self.append_block("entry")

    def text(self) -> list[str]:
        """The lines of the function."""
        body = [line for name, lines in self._blocks.items() for line in (f"{name}:", *lines)]
        return [f"{self._head} {{", *body, "}", ""]

    def append_block(self, name: str) -> str:
        """A new block's name."""
        label = f"{name}.{len(self._blocks)}"
        self._blocks[label] = []
        return label

    def go_to(self, block: str) -> None:
        """Go on at the end of a block."""
        self.block = block

    def _line(self, text: str) -> None:
        self._blocks[self.block].append(f"  {text}")

    def _end(self, text: str) -> None:
        self._line(text)
        self._ended.add(self.block)

    def _new(self, kind: Kind, text: str) -> Operand:
        self._count += 1
        name = f"%v{self._count}"
        self._line(f"{name} = {text}")
        return Operand(kind, name)

    def _two(self, code: str, one: Operand, other: Operand, kind: Kind | None = None) -> Operand:
        return self._new(kind or one.kind, f"{code} {one.typed}, {other.text}")

    def add(self, one: Operand, other: Operand) -> Operand:
        """one + other."""
        return self._two("add", one, other)

    def sub(self, one: Operand, other: Operand) -> Operand:
        """One - other."""
        return self._two("sub", one, other)

    def mul(self, one: Operand, other: Operand) -> Operand:
        """One × other."""
        return self._two("mul", one, other)

    def div(self, one: Operand, other: Operand) -> Operand:
        """The quotient, rounded towards zero."""
        return self._two("sdiv", one, other)

    def rem(self, one: Operand, other: Operand) -> Operand:
        """What that leaves."""
        return self._two("srem", one, other)

    def fadd(self, one: Operand, other: Operand) -> Operand:
        """The sum of floats."""
        return self._two("fadd", one, other)

    def fmul(self, one: Operand, other: Operand) -> Operand:
        """The product of floats."""
        return self._two("fmul", one, other)

    def both(self, one: Operand, other: Operand) -> Operand:
        """The bits, or the truth, that both have."""
        return self._two("and", one, other)

    def xor(self, one: Operand, other: Operand) -> Operand:
        """The bits that one of them has and the other has not."""
        return self._two("xor", one, other)

    def either(self, one: Operand, other: Operand) -> Operand:
        """The bits, or the truth, of either."""
        return self._two("or", one, other)

    def not_(self, truth: Operand) -> Operand:
        """The contrary."""
        return self._two("xor", truth, Operand(_TRUTH, "true"))

    def same(self, one: Operand, other: Operand) -> Operand:
        """Whether whole numbers or addresses are the same."""
        return self._two("icmp eq", one, other, _TRUTH)

    def differ(self, one: Operand, other: Operand) -> Operand:
        """Whether they are not."""
        return self._two("icmp ne", one, other, _TRUTH)

    def less(self, one: Operand, other: Operand) -> Operand:
        """Whether a whole number is less than another."""
        return self._two("icmp slt", one, other, _TRUTH)

    def compare(self, code: str, one: Operand, other: Operand) -> Operand:
        """How floats compare: "oeq", "olt" as IR names it."""
        return self._two(f"fcmp {code}", one, other, _TRUTH)

    def select(self, truth: Operand, one: Operand, other: Operand) -> Operand:
        """One where the truth is true, else the other."""
        return self._new(one.kind, f"select {truth.typed}, {one.typed}, {other.typed}")

    def convert(self, code: str, value: Operand, kind: Kind) -> Operand:
        """A value as one of another type, by IR's instruction for it: "zext", "inttoptr"."""
        return self._new(kind, f"{code} {value.typed} to {kind}")

    def extract(self, vector: Operand, lane: int, kind: Kind) -> Operand:
        """One number of a vector."""
        return self._new(kind, f"extractelement {vector.typed}, i64 {lane}")

    def room(self, kind: Kind, count: Operand | None = None) -> Operand:
        """Memory on the stack for a value, or for so many."""
        return self._new(POINTER, f"alloca {kind}" + (f", {count.typed}" if count else ""))

    def load(self, place: Operand, kind: Kind, align: int | None = None) -> Operand:
        """What is in memory, at a multiple of so many bytes if that is less than it takes."""
        return self._new(kind, f"load {kind}, {place.typed}{_aligned(align)}")

    def store(self, value: Operand, place: Operand, align: int | None = None) -> None:
        """Put a value into memory."""
        self._line(f"store {value.typed}, {place.typed}{_aligned(align)}")

    def exchange(self, place: Operand, value: Operand) -> Operand:
        """Put a value into memory; answers what was there, which no other thread gets as well."""
        return self._new(value.kind, f"atomicrmw xchg {place.typed}, {value.typed} acq_rel")

    def at(self, base: Operand, index: Operand | int, kind: Kind) -> Operand:
        """The address of an element of an array in memory."""
        place = WHOLE(index) if isinstance(index, int) else index
        return self._new(POINTER, f"getelementptr {kind}, {base.typed}, {place.typed}")

    def get(self, base: Operand, index: Operand | int, kind: Kind = WHOLE) -> Operand:
        """An element of an array in memory, of whole numbers unless said."""
        return self.load(self.at(base, index, kind), kind)

    def lane(self, samples: Operand, row: Operand, columns: Operand, column: Operand) -> Operand:
        """The address of a sample's number in a column of the blocks."""
        eight = WHOLE(LANES)
        block, lane = self.div(row, eight), self.rem(row, eight)
        place = self.mul(self.add(self.mul(block, columns), column), eight)
        return self.at(samples, self.add(place, lane), DOUBLE)

    def call(self, callee: Callee, given: Sequence[Operand]) -> Operand:
        """What a function answers."""
        text = f"call {callee.result} {callee.text}({', '.join(value.typed for value in given)})"
        if callee.result != NOTHING:
            return self._new(callee.result, text)
        self._line(text)
        return Operand(NOTHING, "")

    def ret(self, value: Operand | None = None) -> None:
        """Answer."""
        self._end(f"ret {value.typed}" if value else "ret void")

    def go(self, block: str) -> None:
        """Go on in another block, unless this one has an end already."""
        if self.block not in self._ended:
            self._end(f"br label %{block}")

    def branch(self, truth: Operand, yes: str, no: str, likely: bool | None = None) -> None:
        """Go on in one of two blocks."""
        odds = "" if likely is None else f", !prof !{int(likely)}"
        self._end(f"br {truth.typed}, label %{yes}, label %{no}{odds}")

    @contextmanager
    def when(self, truth: Operand, likely: bool | None = None) -> Iterator[None]:
        """What is written inside is done only where the truth is true."""
        yes, after = self.append_block("if"), self.append_block("after")
        self.branch(truth, yes, after, likely)
        self.go_to(yes)
        yield
        self.go(after)
        self.go_to(after)

    @contextmanager
    def choice(self, truth: Operand, likely: bool | None = None) -> Iterator[tuple[Any, Any]]:
        """Two contexts: what is written inside is done where the truth is true, and where not."""
        after = self.append_block("after")
        yes, no = self.append_block("if"), self.append_block("else")
        self.branch(truth, yes, no, likely)
        yield self._side(yes, after), self._side(no, after)
        self.go_to(after)

    @contextmanager
    def _side(self, block: str, after: str) -> Iterator[None]:
        self.go_to(block)
        yield
        self.go(after)

    @contextmanager
    def loop(self, count: Operand) -> Iterator[Operand]:
        """A loop whose body is written inside; gives the index."""
        head, body = self.append_block("head"), self.append_block("body")
        after, start = self.append_block("after"), self.block
        self.go(head)
        self.go_to(head)
        place = len(self._blocks[head])
        index = self._new(WHOLE, "")
        self.branch(self.less(index, count), body, after)
        self.go_to(body)
        yield index
        further = self.add(index, WHOLE(1))
        values = f"[0, %{start}], [{further.text}, %{self.block}]"
        self._blocks[head][place] = f"  {index.text} = phi {WHOLE} {values}"
        self.go(head)
        self.go_to(after)


class Module:
    """Functions of IR under construction, and what they call."""

    def __init__(self) -> None:
        self._declared: list[str] = []
        self._written: list[Lines] = []

    def declare(self, name: str, result: str, given: str) -> Callee:
        """A function of another library; letters as for `function`."""
        kinds = ", ".join(_KINDS[letter] for letter in given)
        self._declared.append(f"declare {_KINDS[result]} @{name}({kinds})")
        return Callee(f"@{name}", _KINDS[result])

    def function(
        self, name: str, result: str, given: str, public: bool = False
    ) -> tuple[Callee, list[Operand], Lines]:
        """A new function, its arguments and its lines.

        result, given  "p" for an address, "w" for a whole number, "s" for one of 32 bits, "d" for a
        float64, nothing for no result
        """
        args = [Operand(_KINDS[letter], f"%x{place}") for place, letter in enumerate(given)]
        told = ", ".join(arg.typed for arg in args)
        scope = "" if public else "internal "
        lines = Lines(f"define {scope}{_KINDS[result]} @{name}({told})")
        self._written.append(lines)
        return Callee(f"@{name}", _KINDS[result]), args, lines

    def text(self) -> str:
        """All of it."""
        bodies = [line for lines in self._written for line in lines.text()]
        return "\n".join([*self._declared, "", *bodies, *_ODDS, ""])
