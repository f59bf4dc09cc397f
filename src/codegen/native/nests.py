"""Lines of LLVM IR with loops in them, which carry words from turn to turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from .words import Block, Word, type_of

Whole = Word | int
"""A whole number: one of the code, or one that is known."""


@dataclass
class Turn:
    """One turn of a loop, or what is done under a condition.

    index     the number of the turn
    carried   what it begins with; what is assigned here is what the next one begins with
    """

    index: Whole
    carried: list[Word] = field(default_factory=list)


class Nest(Block):
    """Code with loops and conditions. `at` is the label of the part that is being written."""

    def __init__(self, fused: bool) -> None:
        super().__init__(fused)
        self.lines.append("entry:")
        self.at = "entry"
        self._labels = 0

    def whole(self, number: Whole) -> Word:
        """A whole number as a word."""
        return number if isinstance(number, Word) else Word(self, str(number), "i", 1)

    @contextmanager
    def loop(self, first: Whole, last: Whole, step: int, carried: Sequence[Word]) -> Iterator[Turn]:
        """A loop over first, first + step, … below last; its body is written inside.

        After it, `carried` of what is given is what the last turn left.
        """
        known = isinstance(first, int) and isinstance(last, int)
        if isinstance(first, int) and isinstance(last, int) and 0 < last - first <= step:
            turn = Turn(first, list(carried))
            yield turn
            return
        if isinstance(first, int) and isinstance(last, int) and last <= first:
            turn = Turn(0, list(carried))
            lines, at = len(self.lines), self.at
            yield turn
            del self.lines[lines:]
            turn.carried, self.at = list(carried), at
            return
        start, stop = self.whole(first), self.whole(last)
        body, done = self._label("turn"), self._label("done")
        before = self.at
        if known:
            self.lines.append(f"  br label %{body}")
        else:
            some = start < stop
            self.lines.append(f"  br i1 {some.text}, label %{body}, label %{done}")
        self._begin(body)
        index = Word(self, self.name(), "i", 1)
        words = [Word(self, self.name(), word.kind, word.lanes) for word in carried]
        head = len(self.lines)
        turn = Turn(index, list(words))
        yield turn
        following = index + step
        phis = [(index, start, following), *zip(words, carried, turn.carried, strict=True)]
        self.lines[head:head] = [
            f"  {word.text} = phi {word.type} [{old.text}, %{before}], [{new.text}, %{self.at}]"
            for word, old, new in phis
        ]
        again = following < stop
        self.lines.append(f"  br i1 {again.text}, label %{body}, label %{done}")
        after = self.at
        self._begin(done)
        if not known:
            turn.carried = [
                self._joined(old, before, new, after)
                for old, new in zip(carried, turn.carried, strict=True)
            ]

    @contextmanager
    def when(self, condition: Word, carried: Sequence[Word]) -> Iterator[Turn]:
        """What is done where a condition holds; what is carried is as before where it does not."""
        then, done = self._label("then"), self._label("done")
        before = self.at
        self.lines.append(f"  br i1 {condition.text}, label %{then}, label %{done}")
        self._begin(then)
        turn = Turn(0, list(carried))
        yield turn
        self.lines.append(f"  br label %{done}")
        after = self.at
        self._begin(done)
        turn.carried = [
            self._joined(old, before, new, after)
            for old, new in zip(carried, turn.carried, strict=True)
        ]

    def _joined(self, old: Word, before: str, new: Word, after: str) -> Word:
        code = f"phi {new.type} [{old.text}, %{before}], [{new.text}, %{after}]"
        return self.assign(code, new.kind, new.lanes)

    def _label(self, stem: str) -> str:
        self._labels += 1
        return f"{stem}{self._labels}"

    def _begin(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.at = label

    def counted(self, lanes: int) -> Word:
        """The numbers of the lanes, from 0 on."""
        numbers = ", ".join(f"i64 {lane}" for lane in range(lanes))
        return Word(self, f"<{numbers}>", "i", lanes)

    def first_lanes(self, count: int, lanes: int) -> Word:
        """The truth values that hold in so many lanes."""
        flags = ", ".join(f"i1 {'true' if lane < count else 'false'}" for lane in range(lanes))
        return Word(self, f"<{flags}>", "b", lanes)

    def both(self, one: Word | None, other: Word | None) -> Word | None:
        """Whether two conditions hold; None is one that always does."""
        if one is None or other is None:
            return one or other
        wide = max(one.lanes, other.lanes)
        a, b = self.spread(one, wide), self.spread(other, wide)
        return self.assign(f"and {a.typed}, {b.text}", "b", wide)

    def zero(self, kind: str, lanes: int) -> Word:
        """Nought in every lane."""
        text = "0.0" if lanes == 1 else "zeroinitializer"
        return Word(self, text, kind, lanes)

    def address(self, base: Word | str, index: Whole, kind: str) -> str:
        """The address of an element of an array."""
        text = base if isinstance(base, str) else base.text
        if isinstance(index, int) and index == 0:
            return text
        name = self.name()
        place = self.whole(index)
        element = type_of(kind, 1)
        self.lines.append(f"  {name} = getelementptr inbounds {element}, ptr {text}, {place.typed}")
        return name

    def load(self, address: str, kind: str, lanes: int, mask: Word | None = None) -> Word:
        """Numbers from memory, 0 in lanes where a mask does not hold."""
        size = 8 if kind == "f" else 4
        full = type_of(kind, lanes)
        if mask is None:
            return self.assign(f"load {full}, ptr {address}, align {size}", kind, lanes)
        name = f"@llvm.masked.load.v{lanes}f{8 * size}.p0"
        self.intrinsics.add(f"declare {full} {name}(ptr, i32, {mask.type}, {full})")
        given = f"ptr {address}, i32 {size}, {mask.typed}, {full} zeroinitializer"
        return self.assign(f"call {full} {name}({given})", kind, lanes)

    def store(self, word: Word, address: str, mask: Word | None = None) -> None:
        """Write a word to memory, in the lanes where a mask holds."""
        size = 8 if word.kind == "f" else 4
        if mask is None:
            self.lines.append(f"  store {word.typed}, ptr {address}, align {size}")
            return
        name = f"@llvm.masked.store.v{word.lanes}f{8 * size}.p0"
        self.intrinsics.add(f"declare void {name}({word.type}, ptr, i32, {mask.type})")
        given = f"{word.typed}, ptr {address}, i32 {size}, {mask.typed}"
        self.lines.append(f"  call void {name}({given})")

    def chosen(self, condition: Word, a: Word, b: Word) -> Word:
        """One word where a condition holds, else another of the same kind."""
        wide = max(condition.lanes, a.lanes, b.lanes)
        if condition.lanes > 1 or wide == 1:
            condition = self.spread(condition, wide)
        a, b = self.spread(a, wide), self.spread(b, wide)
        return self.assign(f"select {condition.typed}, {a.typed}, {b.typed}", a.kind, wide)

    def halves(self, word: Word) -> tuple[Word, Word]:
        """The lower and the upper lanes."""
        half = word.lanes // 2
        return self._lanes(word, 0, half), self._lanes(word, half, half)

    def _lanes(self, word: Word, first: int, count: int) -> Word:
        if count == 1:
            return self.lane(word, first)
        order = ", ".join(f"i32 {first + lane}" for lane in range(count))
        code = f"shufflevector {word.typed}, {word.type} poison, <{count} x i32> <{order}>"
        return self.assign(code, word.kind, count)

    def flag_word(self, text: str) -> Word:
        """A truth value that has a name."""
        return Word(self, text, "b", 1)

    def constant_word(self, value: float, kind: str, lanes: int) -> Word:
        """A number as a word of a kind."""
        like = Word(self, "", kind, lanes)
        return self.constant(value, like)
