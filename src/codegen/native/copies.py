"""Copies of arrays in which another axis lies last: transposes, in tiles of eight by eight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...arrays.statements import Statement
from ...ops.reads import Axis, along
from ...ops.shapes import BATCH
from .addresses import Addressing, Code, Linear, Places, Where
from .nests import Nest
from .storage import Storage
from .words import Word, type_of

TILE: Final = 8
"""Rows and columns that are transposed at once."""

NAME: Final = "@transpose"

_HEAD: Final = (
    "ptr noalias %source, i64 %step, i64 %last, ptr noalias %to, i64 %stride, i64 %rows, "
    "i64 %columns"
)


class CopyWriter(Addressing):
    """Writes the function of a copy, `statement`, whose place `last` lies last in the copy."""

    def __init__(self, code: Code, statement: Statement, last: int, signature: str) -> None:
        super().__init__(code, 1)
        self._statement, self._signature = statement, signature
        self._last = statement.axes[last]

    def text(self, name: str) -> list[str] | None:
        """The lines of the function; None where the array does not lie side by side."""
        statement, code = self._statement, self._code
        (read,) = statement.reads
        source, to = code.storages[read.array], code.storages[statement.array]
        first = _side_by_side(statement.axes, source)
        if first is None or first is self._last or 1 < abs(self._last.length) < TILE // 2:
            return None
        lanes = code.lanes
        axes = [axis for axis in statement.axes if axis not in (first, self._last)]
        in_blocks = BATCH in (first.length, self._last.length)
        rows = lanes if self._last.length == BATCH else self._last.length
        columns = lanes if first.length == BATCH else first.length
        step = _stride(statement.axes, source, self._last)
        stride = _stride(statement.axes, to, first)

        def body(places: Places) -> None:
            block = self.block
            last: Word = block.whole(rows - 1)
            if self._last.length == BATCH:  # lanes past the last sample are like that
                at = Linear(0, [(places[self._last.name].word or block.whole(0), lanes)])
                begun = block.whole(self._sum(at))
                last = Word(block, "%n", "i", 1) - 1 - begun
            addresses = []
            for array in (read.array, statement.array):
                index = tuple([along(axis.name) for axis in statement.axes])
                storage, linear = self._place(array, index, places)
                addresses.append(self._address(storage, linear))
            block.lines.append(
                f"  call void {NAME}(ptr {addresses[0]}, i64 {step}, {last.typed}, "
                f"ptr {addresses[1]}, i64 {stride}, i64 {rows}, i64 {columns})"
            )

        self._over(axes, (first, self._last) if in_blocks else (), {}, body, (first, self._last))
        head, *lines = self.block.lines
        return [
            f"define internal void {name}({self._signature}) noinline {{",
            head,
            f"  ; {statement}",
            *self._heads.values(),
            *lines,
            "  ret void",
            "}",
            "",
        ]

    def _over(
        self,
        axes: Sequence[Axis],
        blocked: Sequence[Axis],
        places: Places,
        body: object,
        plane: tuple[Axis, Axis],
    ) -> None:
        """Loops over the planes, and over the blocks of samples."""
        if blocked:
            samples = next(axis for axis in blocked if axis.length == BATCH)
            with self._turns(0, self._blocks(), 1, []) as turn:
                where = Where(self.block.whole(turn.index), 0, lanes=True, samples=True)
                self._over(axes, (), {**places, samples.name: where}, body, plane)
            return
        if axes:
            axis, *others = axes
            last = Word(self.block, "%n", "i", 1) if axis.length == BATCH else axis.length
            with self._turns(0, last, 1, []) as turn:
                where = Where(self.block.whole(turn.index), samples=axis.length == BATCH)
                self._over(others, (), {**places, axis.name: where}, body, plane)
            return
        found = {axis.name: Where(None) for axis in plane} | places
        assert callable(body)
        body(found)


def _side_by_side(axes: Sequence[Axis], storage: Storage) -> Axis | None:
    """The axis along which an array lies side by side."""
    if storage.places:
        return None
    return next((axis for axis in axes if _stride(axes, storage, axis) == 1), None)


def _stride(axes: Sequence[Axis], storage: Storage, axis: Axis) -> int:
    if axis.length == BATCH:
        assert storage.samples is not None
        return 1 if storage.samples.in_lanes else storage.samples.stride
    inner = [one for one in axes if one.length != BATCH]
    return storage.strides[inner.index(axis)]


def transposing(kind: str) -> tuple[list[str], set[str]]:
    """The function that transposes a plane, and what it needs; rows past the last are like it."""
    block = Nest(False)
    whole = {name: Word(block, f"%{name}", "i", 1) for name in ("step", "last", "stride")}
    rows, columns = Word(block, "%rows", "i", 1), Word(block, "%columns", "i", 1)
    with block.loop(0, rows, TILE, []) as down:
        lines = []
        for k in range(TILE):
            row = block.whole(down.index) + k
            row = block.chosen(row < whole["last"], row, whole["last"])
            lines.append(block.address("%source", row * whole["step"], kind))
        into = block.address("%to", block.whole(down.index), kind)
        even = columns - (columns & (TILE - 1))
        for first, last, partial in ((0, even, False), (even, columns, True)):
            with block.loop(first, last, TILE, []) as across:
                at = block.whole(across.index)
                left = columns - at
                mask = block.counted(TILE) < block.spread(left, TILE) if partial else None
                words = [
                    block.load(block.address(line, at, kind), kind, TILE, mask) for line in lines
                ]
                start = block.address(into, at * whole["stride"], kind)
                for k, word in enumerate(_transposed(block, words)):
                    place = block.address(start, whole["stride"] * k, kind)
                    used = block.spread(left > k, TILE) if partial else None
                    block.store(word, place, used)
    head, *rest = block.lines
    text = [f"define internal void {NAME}({_HEAD}) noinline {{", head, *rest, "  ret void", "}", ""]
    return text, block.intrinsics


def _transposed(block: Nest, rows: list[Word]) -> list[Word]:
    """Eight vectors of eight, transposed: pairs, fours and halves change places."""
    size = 1
    while size < TILE:
        found: list[Word | None] = [None] * TILE
        for i in range(TILE):
            if i & size:
                continue
            a, b = rows[i], rows[i + size]
            low = [j if not j & size else TILE + j - size for j in range(TILE)]
            high = [j + size if not j & size else TILE + j for j in range(TILE)]
            found[i], found[i + size] = _shuffled(block, a, b, low), _shuffled(block, a, b, high)
        rows = [word for word in found if word is not None]
        size *= 2
    return rows


def _shuffled(block: Nest, a: Word, b: Word, order: Sequence[int]) -> Word:
    lanes = ", ".join(f"i32 {lane}" for lane in order)
    code = f"shufflevector {a.typed}, {b.typed}, <{TILE} x i32> <{lanes}>"
    assert a.type == type_of(a.kind, TILE)
    return block.assign(code, a.kind, TILE)
