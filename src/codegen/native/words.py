"""Lines of LLVM IR, written by computing with `Word`s: the machine that kernels are written for.

A word is a float64, a float32, a whole number of 64 bits or a truth value, or several of them, the
lanes of a vector.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from .host import library_address

LANES: Final = 8
"""How many numbers a vector has, on every processor: LLVM splits those that are too long for it."""

_TYPES: Final = {"f": "double", "s": "float", "i": "i64", "b": "i1"}
FLOATS: Final = "fs"
"""The kinds of words that are floats, of 64 bits and of 32."""


def type_of(kind: str, lanes: int) -> str:
    """The type of words of a kind, as IR names it.

    >>> type_of("f", 1), type_of("b", 8)
    ('double', '<8 x i1>')
    """
    one = _TYPES[kind]
    return one if lanes == 1 else f"<{lanes} x {one}>"


def float_text(number: float) -> str:
    """A float64 as IR has it, bit for bit.

    >>> float_text(1.0)
    '0x3FF0000000000000'
    """
    return f"0x{struct.unpack('>Q', struct.pack('>d', number))[0]:016X}"


def single(number: float) -> float:
    """The float32 that is nearest to a number.

    >>> single(0.1)
    0.10000000149011612
    """
    try:
        nearest: float = struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError:
        return math.copysign(math.inf, number)
    return nearest


class Word:
    """A value of the code: `text` is its name or a constant, `kind` "f", "s", "i" or "b".

    `bit` is, for a truth value written as a number, that truth value.
    """

    __slots__ = ("bit", "block", "kind", "lanes", "text")

    def __init__(self, block: Block, text: str, kind: str, lanes: int) -> None:
        self.block = block
        self.text = text
        self.kind = kind
        self.lanes = lanes
        self.bit: Word | None = None

    @property
    def type(self) -> str:
        """Its type, as IR names it."""
        return type_of(self.kind, self.lanes)

    @property
    def typed(self) -> str:
        """The word after its type, as arguments are written."""
        return f"{self.type} {self.text}"

    def _with(self, code: str, other: Any, swapped: bool = False) -> Word:
        a, b = self, self.block.constant(other, self)
        if swapped:
            a, b = b, a
        return self.block.assign(f"{code} {a.typed}, {b.text}", self.kind, self.lanes)

    def _arithmetic(self, name: str, other: Any, swapped: bool = False) -> Word:
        return self._with(f"f{name}" if self.kind in FLOATS else name, other, swapped)

    def __add__(self, other: Any) -> Word:
        return self._arithmetic("add", other)

    def __radd__(self, other: Any) -> Word:
        return self._arithmetic("add", other, True)

    def __sub__(self, other: Any) -> Word:
        return self._arithmetic("sub", other)

    def __rsub__(self, other: Any) -> Word:
        return self._arithmetic("sub", other, True)

    def __mul__(self, other: Any) -> Word:
        return self._arithmetic("mul", other)

    def __rmul__(self, other: Any) -> Word:
        return self._arithmetic("mul", other, True)

    def __truediv__(self, other: Any) -> Word:
        return self._arithmetic("div", other)

    def __rtruediv__(self, other: Any) -> Word:
        return self._arithmetic("div", other, True)

    def __lshift__(self, count: int) -> Word:
        return self._with("shl", count)

    def __rshift__(self, count: int) -> Word:
        return self._with("ashr", count)

    def __and__(self, mask: int) -> Word:
        return self._with("and", mask)

    def __neg__(self) -> Word:
        return self.block.assign(f"fneg {self.typed}", self.kind, self.lanes)

    def _compared(self, ordered: str, whole: str, other: Any) -> Word:
        code = f"fcmp {ordered}" if self.kind in FLOATS else f"icmp {whole}"
        b = self.block.constant(other, self)
        return self.block.assign(f"{code} {self.typed}, {b.text}", "b", self.lanes)

    def __lt__(self, other: Any) -> Word:
        return self._compared("olt", "slt", other)

    def __le__(self, other: Any) -> Word:
        return self._compared("ole", "sle", other)

    def __gt__(self, other: Any) -> Word:
        return self._compared("ogt", "sgt", other)

    def __ge__(self, other: Any) -> Word:
        return self._compared("oge", "sge", other)

    def __eq__(self, other: Any) -> Word:  # type: ignore[override]
        return self._compared("oeq", "eq", other)

    def __ne__(self, other: Any) -> Word:  # type: ignore[override]
        return self._compared("une", "ne", other)

    __hash__ = None  # type: ignore[assignment]


class Block:
    """Straight-line code under construction; the machine `m` of kernels.

    fused  whether the processor adds to a product in one rounding
    """

    def __init__(self, fused: bool, stem: str = "t") -> None:
        self.fused = fused
        self.lines: list[str] = []
        self.intrinsics: set[str] = set()
        self.rarely: list[tuple[Word, Callable[[], Word]]] = []
        self._stem = stem
        self._count = 0

    def name(self) -> str:
        """A name that nothing has yet."""
        self._count += 1
        return f"%{self._stem}{self._count}"

    def assign(self, code: str, kind: str, lanes: int) -> Word:
        """Append `name = code`; the word it gives."""
        self._count += 1
        name = f"%{self._stem}{self._count}"
        self.lines.append(f"  {name} = {code}")
        return Word(self, name, kind, lanes)

    def constant(self, value: Any, like: Word) -> Word:
        """A number as a word of the same kind and width; words as they are, if they are as wide."""
        if isinstance(value, Word):
            return value if value.lanes == like.lanes else self.spread(value, like.lanes)
        if like.kind == "s":
            value = single(value)
        text = float_text(value) if like.kind in FLOATS else str(value)
        return Word(self, splat(_TYPES[like.kind], text, like.lanes), like.kind, like.lanes)

    def number_word(self, value: float, lanes: int) -> Word:
        """A float64 as a word."""
        return Word(self, splat("double", float_text(value), lanes), "f", lanes)

    def spread(self, word: Word, lanes: int) -> Word:
        """One number in every lane."""
        if word.lanes == lanes:
            return word
        many = type_of(word.kind, lanes)
        first = self.assign(f"insertelement {many} poison, {word.typed}, i64 0", word.kind, lanes)
        return self.assign(
            f"shufflevector {first.typed}, {many} poison, <{lanes} x i32> zeroinitializer",
            word.kind,
            lanes,
        )

    def lane(self, word: Word, place: int) -> Word:
        """One lane of a vector."""
        return self.assign(f"extractelement {word.typed}, i64 {place}", word.kind, 1)

    def joined(self, words: Sequence[Word]) -> Word:
        """Single numbers as the lanes of a vector, which may have more."""
        kind = words[0].kind
        width = len(words)
        vector = Word(self, "poison", kind, width)
        for place, word in enumerate(words):
            vector = self.assign(
                f"insertelement {vector.typed}, {word.typed}, i64 {place}", kind, width
            )
        return vector

    def call(self, name: str, words: Sequence[Word], kind: str = "f") -> Word:
        """A call of a function whose value is as wide as its operands."""
        lanes = words[0].lanes
        given = ", ".join(word.typed for word in words)
        return self.assign(f"call {type_of(kind, lanes)} {name}({given})", kind, lanes)

    def lane_by_lane(self, name: str, words: Sequence[Word]) -> Word:
        """A call of a function of single numbers for each lane."""
        if words[0].lanes == 1:
            return self.call(name, words)
        lanes = range(words[0].lanes)
        return self.joined([self.call(name, [self.lane(x, i) for x in words]) for i in lanes])

    def libm(self, name: str, *operands: Any) -> Word | None:
        """A function of the C library, lane by lane; None where it is not there."""
        if not library_address(name):
            return None
        like = next(word for word in operands if isinstance(word, Word))
        self.intrinsics.add(f"declare double @{name}({', '.join(['double'] * len(operands))})")
        return self.lane_by_lane(f"@{name}", [self.constant(x, like) for x in operands])

    def intrinsic(self, name: str, *words: Word) -> Word:
        """A call of one of LLVM's own functions on floats."""
        lanes, kind = words[0].lanes, words[0].type
        size = 64 if words[0].kind == "f" else 32
        full = f"@llvm.{name}.{f'f{size}' if lanes == 1 else f'v{lanes}f{size}'}"
        self.intrinsics.add(f"declare {kind} {full}({', '.join([kind] * len(words))})")
        return self.call(full, words, words[0].kind)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """a·b + c, rounded once if the processor can."""
        like = next((word for word in (a, b, c) if isinstance(word, Word)), None)
        if like is None:
            return a * b + c
        x, y, z = (self.constant(value, like) for value in (a, b, c))
        return self.intrinsic("fma", x, y, z) if self.fused else x * y + z

    def select(self, condition: Word, a: Any, b: Any) -> Word:
        """a where the condition holds, else b."""
        like = Word(self, "", "f", condition.lanes)
        x, y = self.constant(a, like), self.constant(b, like)
        return self.assign(f"select {condition.typed}, {x.typed}, {y.typed}", "f", x.lanes)

    def abs(self, x: Word) -> Word:
        """|x|."""
        return self.intrinsic("fabs", x)

    def sqrt(self, x: Word) -> Word:
        """The square root, rounded correctly; nan below 0."""
        return self.intrinsic("sqrt", x)

    def copysign(self, x: Word, y: Word) -> Word:
        """|x| with the sign of y."""
        return self.intrinsic("copysign", x, y)

    def bits(self, x: Word) -> Word:
        """The bits of a float64 as a whole number."""
        return self.assign(f"bitcast {x.typed} to {type_of('i', x.lanes)}", "i", x.lanes)

    def number(self, bits: Word) -> Word:
        """The float64 of these bits."""
        return self.assign(f"bitcast {bits.typed} to {type_of('f', bits.lanes)}", "f", bits.lanes)

    def flag(self, condition: Word) -> Word:
        """A truth value as 1.0 or 0.0."""
        word = self.select(condition, 1.0, 0.0)
        word.bit = condition
        return word

    def truth(self, x: Word) -> Word:
        """Whether a number counts as true: every one but 0."""
        return x.bit if x.bit is not None else x != 0.0

    def rare(self, condition: Word, x: Word, instead: Callable[[], Word]) -> Word:
        """x; where the condition holds, the function's value is another, written apart."""
        self.rarely.append((condition, instead))
        return x


def splat(one: str, text: str, lanes: int) -> str:
    """A constant in every lane."""
    return text if lanes == 1 else f"splat ({one} {text})"
