"""Products of matrices, in blocks that stay in the processor's caches, by several threads if large.

    c[i, j] = or += Σ_k a[i, k]·b[k, j]

As in GotoBLAS (Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication"): a
block of b is copied so that what is read next lies next, and a tile of c is kept in registers while
k runs through the block. Every number of c is one sum over k from first to last, so results are
those of a plain loop, whatever the sizes of blocks and however many threads there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Final, NamedTuple

from ...arrays.statements import Statement
from ...ops.reads import Affine, Axis, Read, Reduce, Term
from ...ops.scalar import ADD
from ...ops.shapes import BATCH
from .addresses import Addressing, Code, Places, Where
from .nests import Whole
from .storage import stride_along
from .threads import MOST_THREADS
from .words import Word

DEEP: Final = 192
"""How long a part of k a block has: a tile's numbers of a and of b fit the first cache."""

BROAD: Final = 16
"""How many tiles a block has side by side: its numbers of b fit the second cache."""

LEAST, ROWS = 262_144, 64
"""From how many products of two numbers, and rows, on blocks are worth the copies: 64×64×64."""

SAMPLES: Final = 256
"""How many samples a block is taken to have where it is decided what is worth what."""

SHARED: Final = 16_777_216
"""From how many products of two numbers on several threads compute: they take about 0.5 ms."""

_GIVEN: Final = (
    *(("ptr", "a"), ("i64", "a.row"), ("i64", "a.inner"), ("ptr", "b"), ("i64", "b.inner")),
    *(("i64", "b.column"), ("ptr", "c"), ("i64", "c.row"), ("i64", "rows"), ("i64", "columns")),
    *(("i64", "inner"), ("ptr", "pack"), ("i1", "begins"), ("i1", "minus")),
)
"""What a product is given: where its matrices are, how far apart their numbers, how large they are,
room for a block, whether the sums begin here, and whether the products are subtracted."""


class Product(NamedTuple):
    """A statement as a product of matrices.

    term     the place of the term among those of the sum
    rows, columns, inner   the axes i, j and k
    left, right            what is read as a and as b
    """

    term: int
    rows: Axis
    columns: Axis
    inner: Axis
    left: Read
    right: Read


def product_of(statement: Statement, code: Code) -> Product | None:
    """The statement as a product that is worth blocks; None where it is none."""
    value = statement.value
    if not isinstance(value, Reduce) or value.op is not ADD or statement.domain:
        return None
    found = [place for place, term in enumerate(value.terms) if term.over]
    if len(found) != 1 or any(term.domain for term in value.terms):
        return None
    term = value.terms[found[0]]
    reads = [factor for factor in term.factors if isinstance(factor, Read)]
    axes = (*statement.axes, *term.over)
    if len(term.factors) != 2 or len(reads) != 2 or len(term.over) != 1 or abs(term.count) != 1:
        return None
    if found[0] not in (0, len(value.terms) - 1):
        return None
    if term.over[0].length == BATCH and len(value.terms) > 1:
        return None
    if prod(_length(axis) for axis in axes) < LEAST:
        return None
    whole = (Read(statement.array, statement.target), *reads)
    if any(not isinstance(index, Affine) for read in whole for index in read.index):
        return None
    if any(code.storages[read.array].places for read in whole):
        return None
    if any((s := code.storages[r.array].samples) is not None and s.in_lanes for r in whole):
        return None
    for columns in statement.axes:
        if along(whole[0], columns, code) != 1 or columns.length < code.lanes:
            continue  # what is one for each sample is less than 0 long
        for left, right in ((reads[0], reads[1]), (reads[1], reads[0])):
            if along(left, columns, code) or not along(right, columns, code):
                continue
            rows = [
                axis
                for axis in statement.axes
                if along(left, axis, code) and not along(right, axis, code)
            ]
            rows = [axis for axis in rows if _length(axis) >= ROWS]
            if rows and along(left, term.over[0], code) and along(right, term.over[0], code):
                longest = max(rows, key=_length)
                return Product(found[0], longest, columns, term.over[0], left, right)
    return None


def _length(axis: Axis) -> int:
    """How long an axis is, or about how long where it is one of samples."""
    return SAMPLES if axis.length == BATCH else axis.length


def along(read: Read, axis: Axis, code: Code) -> int:
    """How far apart elements of an array are along an axis."""
    shape = code.arrays[read.array].shape
    found = stride_along(read.index, shape, code.storages[read.array], axis.name)
    assert found is not None
    return found


def split(statement: Statement, found: Product) -> tuple[Statement | None, Statement | None]:
    """What is computed before a product is added to it, and what is after it."""
    value = statement.value
    assert isinstance(value, Reduce)
    others = tuple([term for place, term in enumerate(value.terms) if place != found.term])
    if not others:
        return None, None
    if found.term > 0:
        return replace(statement, value=replace(value, terms=others)), None
    own = Term(1, (Read(statement.array, statement.target),))
    return None, replace(statement, value=replace(value, terms=(own, *others)))


class ProductWriter(Addressing):
    """Writes the function of a product: a call at every point of the other axes.

    pack    where in the memory that is the same for all samples there is room for a block
    shared  whether threads may share the work
    """

    def __init__(
        self, code: Code, statement: Statement, found: Product, pack: int, shared: bool
    ) -> None:
        super().__init__(code, 1)
        self._statement, self._found, self._pack = statement, found, pack
        self._called = "@product.shared" if shared else "@product"

    def text(self, name: str, signature: str) -> list[str]:
        """The lines of the function."""
        found = self._found
        inside = (found.rows, found.columns)
        self._over([axis for axis in self._statement.axes if axis not in inside], {})
        head, *lines = self.block.lines
        return [
            f"define internal void {name}({signature}) noinline {{",
            head,
            f"  ; {self._statement}, in blocks",
            *self._heads.values(),
            *lines,
            "  ret void",
            "}",
            "",
        ]

    def _over(self, axes: Sequence[Axis], places: Places) -> None:
        if axes:
            axis, *others = axes
            with self._turns(0, self._size(axis), 1, []) as turn:
                where = Where(self.block.whole(turn.index), samples=axis.length == BATCH)
                self._over(others, {**places, axis.name: where})
            return
        found, code, block = self._found, self._code, self.block
        three = (found.rows, found.columns, found.inner)
        places = {**{axis.name: Where(None) for axis in three}, **places}
        target = Read(self._statement.array, self._statement.target)
        a, b, c = (
            self._address(*self._place(read.array, read.index, places))
            for read in (found.left, found.right, target)
        )
        value = self._statement.value
        assert isinstance(value, Reduce)
        begins = "true" if found.term == 0 else "false"
        if found.inner.length == BATCH:
            begins = "%first"
        minus = "true" if value.terms[found.term].count < 0 else "false"
        pack = block.address("%fixed", self._pack, code.kind)
        strides = [
            along(found.left, found.rows, code),
            along(found.left, found.inner, code),
            along(found.right, found.inner, code),
            along(found.right, found.columns, code),
            along(target, found.rows, code),
        ]
        sizes = [self.block.whole(self._size(axis)).text for axis in three]
        block.lines.append(
            f"  call void {self._called}(ptr {a}, i64 {strides[0]}, i64 {strides[1]}, ptr {b}, "
            f"i64 {strides[2]}, i64 {strides[3]}, ptr {c}, i64 {strides[4]}, i64 {sizes[0]}, "
            f"i64 {sizes[1]}, i64 {sizes[2]}, ptr {pack}, i1 {begins}, i1 {minus})"
        )

    def _size(self, axis: Axis) -> Whole:
        """How long an axis is, in a block of samples."""
        return Word(self.block, "%n", "i", 1) if axis.length == BATCH else axis.length


def room(lanes: int) -> int:
    """How many numbers of memory a block takes."""
    return DEEP * BROAD * 2 * lanes


def product_text(kind: str, lanes: int, rows: int, fused: bool) -> list[str]:
    """The functions that multiply.

    kind   "f" for float64, "s" for float32
    lanes  how many numbers a vector has; a tile has two of them side by side
    rows   how many rows a tile has
    fused  whether a product is added in one rounding
    """
    element = "double" if kind == "f" else "float"
    told = {
        "ELEMENT": element,
        "LANES": lanes,
        "WIDE": 2 * lanes,
        "BLOCK": BROAD * 2 * lanes,
        "DEEP": DEEP,
        "ROWS": rows,
        "FEW": _few(rows),
        "GIVEN": _given(),
        "COUNTED": f"<{', '.join(f'i64 {lane}' for lane in range(lanes))}>",
    }
    lines = _filled(_TEXT, told)
    for count in sorted({rows, _few(rows), 1}, reverse=True):
        lines += _tile(element, lanes, count, fused)
    return lines


def shared_product_text(kind: str, lanes: int, rows: int) -> list[str]:
    """The functions that share a product out among threads, each of which takes some rows."""
    size = 8 if kind == "f" else 4
    fields = [
        f"  %{name}.at = getelementptr %product.job, ptr %given, i64 0, i32 {place}"
        for place, (_, name) in enumerate(_GIVEN)
    ]
    loads = [f"  %{name} = load {type_}, ptr %{name}.at" for type_, name in _GIVEN]
    own = {"a": "%a.own", "c": "%c.own", "rows": "%own.rows", "pack": "%own.pack"}
    stores = []
    for place, (type_, name) in enumerate(_GIVEN):
        at = f"%{name}.at"
        stores += [
            f"  {at} = getelementptr %product.job, ptr %job, i64 0, i32 {place}",
            f"  store {type_} {own.get(name, f'%{name}')}, ptr {at}",
        ]
    told = {
        "TYPES": ", ".join(type_ for type_, _ in _GIVEN),
        "GIVEN": _given(),
        "FIRST": _given().replace("i64 %rows", "i64 %first.rows"),
        "FIELDS": "\n".join([*fields, *loads]),
        "STORES": "\n".join(stores),
        "ELEMENT": "double" if kind == "f" else "float",
        "ROWS": rows,
        "ROOM": room(lanes) + 64 // size,
        "BYTES": size * (room(lanes) + 64 // size),
        "THREADS": MOST_THREADS,
        "SHARED": SHARED,
    }
    return _filled(_SHARED_TEXT, told)


def _few(rows: int) -> int:
    """How many rows a tile has where fewer are left."""
    return 4 if rows > 4 else 1


def _given() -> str:
    return ", ".join(f"{type_} %{name}" for type_, name in _GIVEN)


def _filled(text: str, told: Mapping[str, object]) -> list[str]:
    for name, value in told.items():
        text = text.replace(f"<{name}>", str(value))
    return text.splitlines()


def _tile(element: str, lanes: int, rows: int, fused: bool) -> list[str]:
    """The function that adds to a tile: `rows` rows of two vectors."""
    vector = f"<{lanes} x {element}>"
    mask = f"<{lanes} x i1>"
    size = 8 if element == "double" else 4
    short = f"v{lanes}f{8 * size}"
    cells = [(row, half) for row in range(rows) for half in range(2)]
    lines = [
        f"define internal void @tile.{rows}(ptr %a, i64 %a.row, i64 %a.inner, ptr noalias %b, "
        f"ptr noalias %c, i64 %c.row, i64 %inner, {mask} %used.0, {mask} %used.1, i1 %begins) "
        "noinline {",
        f"  %fresh.one = insertelement {mask} poison, i1 %begins, i64 0",
        f"  %fresh = shufflevector {mask} %fresh.one, {mask} poison, "
        f"<{lanes} x i32> zeroinitializer",
        f"  %c.0.0 = getelementptr {element}, ptr %c, i64 0",
    ]
    for half in range(2):
        lines += [
            f"  %stale.{half} = xor {mask} %fresh, splat (i1 true)",
            f"  %read.{half} = and {mask} %stale.{half}, %used.{half}",
        ]
    for row in range(rows):
        if row:
            lines.append(f"  %c.{row}.0 = getelementptr {element}, ptr %c.{row - 1}.0, i64 %c.row")
        lines.append(f"  %c.{row}.1 = getelementptr {element}, ptr %c.{row}.0, i64 {lanes}")
    for row, half in cells:
        lines.append(
            f"  %old.{row}.{half} = call {vector} @llvm.masked.load.{short}.p0("
            f"ptr %c.{row}.{half}, i32 {size}, {mask} %read.{half}, {vector} zeroinitializer)"
        )
    lines += [
        "  %any = icmp sgt i64 %inner, 0",
        "  br i1 %any, label %turn, label %done",
        "turn:",
        "  %k = phi i64 [0, %0], [%k.next, %turn]",
    ]
    lines.append("  %at.a = phi ptr [%a, %0], [%at.a.next, %turn]")
    lines.append("  %at.b = phi ptr [%b, %0], [%at.b.next, %turn]")
    for row, half in cells:
        lines.append(
            f"  %sum.{row}.{half} = phi {vector} [%old.{row}.{half}, %0], "
            f"[%new.{row}.{half}, %turn]"
        )
    for half in range(2):
        lines += [
            f"  %b.{half}.at = getelementptr {element}, ptr %at.b, i64 {half * lanes}",
            f"  %b.{half} = load {vector}, ptr %b.{half}.at, align 64",
        ]
    for row in range(rows):
        before = "%at.a" if row == 0 else f"%a.{row - 1}.at"
        step = "0" if row == 0 else "%a.row"
        lines += [
            f"  %a.{row}.at = getelementptr {element}, ptr {before}, i64 {step}",
            f"  %a.{row}.one = load {element}, ptr %a.{row}.at, align {size}",
            f"  %a.{row}.put = insertelement {vector} poison, {element} %a.{row}.one, i64 0",
            f"  %a.{row} = shufflevector {vector} %a.{row}.put, {vector} poison, "
            f"<{lanes} x i32> zeroinitializer",
        ]
        for half in range(2):
            cell = f"{row}.{half}"
            if fused:
                lines.append(
                    f"  %new.{cell} = call {vector} @llvm.fma.{short}({vector} %a.{row}, "
                    f"{vector} %b.{half}, {vector} %sum.{cell})"
                )
            else:
                lines += [
                    f"  %times.{cell} = fmul {vector} %a.{row}, %b.{half}",
                    f"  %new.{cell} = fadd {vector} %sum.{cell}, %times.{cell}",
                ]
    lines += [
        f"  %at.a.next = getelementptr {element}, ptr %at.a, i64 %a.inner",
        f"  %at.b.next = getelementptr {element}, ptr %at.b, i64 {2 * lanes}",
        "  %k.next = add i64 %k, 1",
        "  %again = icmp slt i64 %k.next, %inner",
        "  br i1 %again, label %turn, label %done",
        "done:",
    ]
    for row, half in cells:
        lines.append(
            f"  %end.{row}.{half} = phi {vector} [%old.{row}.{half}, %0], "
            f"[%new.{row}.{half}, %turn]"
        )
    for row, half in cells:
        lines.append(
            f"  call void @llvm.masked.store.{short}.p0({vector} %end.{row}.{half}, "
            f"ptr %c.{row}.{half}, i32 {size}, {mask} %used.{half})"
        )
    return [*lines, "  ret void", "}", ""]


def declared(kind: str, lanes: int) -> set[str]:
    """The declarations of what the functions call."""
    element = "double" if kind == "f" else "float"
    vector, mask = f"<{lanes} x {element}>", f"<{lanes} x i1>"
    short = f"v{lanes}f{64 if kind == 'f' else 32}"
    return {
        f"declare {vector} @llvm.masked.load.{short}.p0(ptr, i32, {mask}, {vector})",
        f"declare void @llvm.masked.store.{short}.p0({vector}, ptr, i32, {mask})",
        f"declare {vector} @llvm.fma.{short}({vector}, {vector}, {vector})",
    }


_TEXT: Final = """\
; a block of b, as panels of <WIDE> columns; columns that are not there are 0
define internal void @pack(ptr %b, i64 %b.inner, i64 %b.column, ptr noalias %to, i64 %inner, \
i64 %columns, i1 %minus) noinline {
  %sign = select i1 %minus, <ELEMENT> -1.0, <ELEMENT> 1.0
  %any = icmp sgt i64 %inner, 0
  br i1 %any, label %panel, label %done
panel:
  %p = phi i64 [0, %0], [%p.next, %panel.done]
  %line.start = mul i64 %p, %b.column
  %line.first = getelementptr <ELEMENT>, ptr %b, i64 %line.start
  %left = sub i64 %columns, %p
  %fewer = icmp slt i64 %left, <WIDE>
  %wide = select i1 %fewer, i64 %left, i64 <WIDE>
  %to.start = mul i64 %p, %inner
  %to.panel = getelementptr <ELEMENT>, ptr %to, i64 %to.start
  %beside = icmp eq i64 %b.column, 1
  %whole = icmp sge i64 %left, <WIDE>
  %lines = and i1 %beside, %whole
  br i1 %lines, label %line, label %column
line:
  %l = phi i64 [0, %panel], [%l.next, %line]
  %l.skip = mul i64 %l, %b.inner
  %l.from = getelementptr <ELEMENT>, ptr %line.first, i64 %l.skip
  %l.numbers = load <<WIDE> x <ELEMENT>>, ptr %l.from, align 4
  %l.sign.one = insertelement <<WIDE> x <ELEMENT>> poison, <ELEMENT> %sign, i64 0
  %l.sign = shufflevector <<WIDE> x <ELEMENT>> %l.sign.one, <<WIDE> x <ELEMENT>> poison, \
<<WIDE> x i32> zeroinitializer
  %l.signed = fmul <<WIDE> x <ELEMENT>> %l.numbers, %l.sign
  %l.place = mul i64 %l, <WIDE>
  %l.to = getelementptr <ELEMENT>, ptr %to.panel, i64 %l.place
  store <<WIDE> x <ELEMENT>> %l.signed, ptr %l.to, align 4
  %l.next = add i64 %l, 1
  %l.more = icmp slt i64 %l.next, %inner
  br i1 %l.more, label %line, label %panel.done
column:
  %j = phi i64 [0, %panel], [%j.next, %column.done]
  %there = icmp slt i64 %j, %wide
  %pj = add i64 %p, %j
  %skip = mul i64 %pj, %b.column
  %from = getelementptr <ELEMENT>, ptr %b, i64 %skip
  %to.column = getelementptr <ELEMENT>, ptr %to.panel, i64 %j
  br i1 %there, label %copy, label %clear
copy:
  %k = phi i64 [0, %column], [%k.next, %copy]
  %k.skip = mul i64 %k, %b.inner
  %k.from = getelementptr <ELEMENT>, ptr %from, i64 %k.skip
  %number = load <ELEMENT>, ptr %k.from
  %signed = fmul <ELEMENT> %number, %sign
  %k.place = mul i64 %k, <WIDE>
  %k.to = getelementptr <ELEMENT>, ptr %to.column, i64 %k.place
  store <ELEMENT> %signed, ptr %k.to
  %k.next = add i64 %k, 1
  %k.more = icmp slt i64 %k.next, %inner
  br i1 %k.more, label %copy, label %column.done
clear:
  %z = phi i64 [0, %column], [%z.next, %clear]
  %z.place = mul i64 %z, <WIDE>
  %z.to = getelementptr <ELEMENT>, ptr %to.column, i64 %z.place
  store <ELEMENT> 0.0, ptr %z.to
  %z.next = add i64 %z, 1
  %z.more = icmp slt i64 %z.next, %inner
  br i1 %z.more, label %clear, label %column.done
column.done:
  %j.next = add i64 %j, 1
  %j.more = icmp slt i64 %j.next, <WIDE>
  br i1 %j.more, label %column, label %panel.done
panel.done:
  %p.next = add i64 %p, <WIDE>
  %p.more = icmp slt i64 %p.next, %columns
  br i1 %p.more, label %panel, label %done
done:
  ret void
}

; which of <LANES> lanes are used, where so many columns are left
define internal <<LANES> x i1> @used(i64 %left) alwaysinline {
  %one = insertelement <<LANES> x i64> poison, i64 %left, i64 0
  %all = shufflevector <<LANES> x i64> %one, <<LANES> x i64> poison, <<LANES> x i32> zeroinitializer
  %used = icmp slt <<LANES> x i64> <COUNTED>, %all
  ret <<LANES> x i1> %used
}

define internal void @product(<GIVEN>) noinline {
  %at = ptrtoint ptr %pack to i64
  %up = add i64 %at, 63
  %even = and i64 %up, -64
  %block = inttoptr i64 %even to ptr
  %any = icmp sgt i64 %rows, 0
  br i1 %any, label %across, label %done
across:
  %j = phi i64 [0, %0], [%j.next, %across.next]
  %j.left = sub i64 %columns, %j
  %j.fewer = icmp slt i64 %j.left, <BLOCK>
  %wide = select i1 %j.fewer, i64 %j.left, i64 <BLOCK>
  br label %deep
deep:
  %k = phi i64 [0, %across], [%k.next, %deep.next]
  %k.left = sub i64 %inner, %k
  %k.fewer = icmp slt i64 %k.left, <DEEP>
  %long = select i1 %k.fewer, i64 %k.left, i64 <DEEP>
  %k.skip = mul i64 %k, %b.inner
  %j.skip = mul i64 %j, %b.column
  %b.skip = add i64 %k.skip, %j.skip
  %b.at = getelementptr <ELEMENT>, ptr %b, i64 %b.skip
  call void @pack(ptr %b.at, i64 %b.inner, i64 %b.column, ptr %block, i64 %long, i64 %wide, \
i1 %minus)
  %k.first = icmp eq i64 %k, 0
  %fresh = and i1 %k.first, %begins
  %a.skip = mul i64 %k, %a.inner
  %a.at = getelementptr <ELEMENT>, ptr %a, i64 %a.skip
  %c.at = getelementptr <ELEMENT>, ptr %c, i64 %j
  br label %down
down:
  %i = phi i64 [0, %deep], [%i.next, %down.next]
  %i.left = sub i64 %rows, %i
  %full = icmp sge i64 %i.left, <ROWS>
  %some = icmp sge i64 %i.left, <FEW>
  %fewer = select i1 %some, i64 <FEW>, i64 1
  %count = select i1 %full, i64 <ROWS>, i64 %fewer
  %a.down = mul i64 %i, %a.row
  %a.tile = getelementptr <ELEMENT>, ptr %a.at, i64 %a.down
  %c.down = mul i64 %i, %c.row
  %c.line = getelementptr <ELEMENT>, ptr %c.at, i64 %c.down
  br label %tile
tile:
  %p = phi i64 [0, %down], [%p.next, %tile.next]
  %p.left = sub i64 %wide, %p
  %used.0 = call <<LANES> x i1> @used(i64 %p.left)
  %p.rest = sub i64 %p.left, <LANES>
  %used.1 = call <<LANES> x i1> @used(i64 %p.rest)
  %panel.skip = mul i64 %p, %long
  %panel = getelementptr <ELEMENT>, ptr %block, i64 %panel.skip
  %c.tile = getelementptr <ELEMENT>, ptr %c.line, i64 %p
  br i1 %full, label %many, label %rest
rest:
  br i1 %some, label %few, label %single
few:
  call void @tile.<FEW>(ptr %a.tile, i64 %a.row, i64 %a.inner, ptr %panel, ptr %c.tile, \
i64 %c.row, i64 %long, <<LANES> x i1> %used.0, <<LANES> x i1> %used.1, i1 %fresh)
  br label %tile.next
many:
  call void @tile.<ROWS>(ptr %a.tile, i64 %a.row, i64 %a.inner, ptr %panel, ptr %c.tile, \
i64 %c.row, i64 %long, <<LANES> x i1> %used.0, <<LANES> x i1> %used.1, i1 %fresh)
  br label %tile.next
single:
  call void @tile.1(ptr %a.tile, i64 %a.row, i64 %a.inner, ptr %panel, ptr %c.tile, \
i64 %c.row, i64 %long, <<LANES> x i1> %used.0, <<LANES> x i1> %used.1, i1 %fresh)
  br label %tile.next
tile.next:
  %p.next = add i64 %p, <WIDE>
  %p.more = icmp slt i64 %p.next, %wide
  br i1 %p.more, label %tile, label %down.next
down.next:
  %i.next = add i64 %i, %count
  %i.more = icmp slt i64 %i.next, %rows
  br i1 %i.more, label %down, label %deep.next
deep.next:
  %k.next = add i64 %k, <DEEP>
  %k.more = icmp slt i64 %k.next, %inner
  br i1 %k.more, label %deep, label %across.next
across.next:
  %j.next = add i64 %j, <BLOCK>
  %j.more = icmp slt i64 %j.next, %columns
  br i1 %j.more, label %across, label %done
done:
  ret void
}
"""

_SHARED_TEXT: Final = """\
%product.job = type { <TYPES> }

define internal ptr @product.part(ptr %given) {
<FIELDS>
  call void @product(<GIVEN>)
  ret ptr null
}

; each thread takes as many rows, and copies blocks of its own; rows do not depend on each other
define internal void @product.shared(<GIVEN>) noinline {
  %jobs = alloca [<THREADS> x %product.job]
  %names = alloca [<THREADS> x i64]
  %begun = alloca [<THREADS> x i1]
  %area = mul i64 %rows, %columns
  %work = mul i64 %area, %inner
  %large = icmp sge i64 %work, <SHARED>
  %wanted = load i64, ptr @threads
  %tiles = sdiv i64 %rows, <ROWS>
  %fewer = icmp slt i64 %tiles, %wanted
  %threads = select i1 %fewer, i64 %tiles, i64 %wanted
  %several = icmp sgt i64 %threads, 1
  %share = and i1 %large, %several
  br i1 %share, label %find, label %alone
find:
  %others = sub i64 %threads, 1
  %bytes = mul i64 %others, <BYTES>
  %memory = call ptr @malloc(i64 %bytes)
  %none = icmp eq ptr %memory, null
  br i1 %none, label %alone, label %divide
alone:
  call void @product(<GIVEN>)
  ret void
divide:
  %up = add i64 %rows, %threads
  %up.less = sub i64 %up, 1
  %least = sdiv i64 %up.less, %threads
  %least.up = add i64 %least, <ROWS>
  %least.less = sub i64 %least.up, 1
  %chunks = sdiv i64 %least.less, <ROWS>
  %first.rows = mul i64 %chunks, <ROWS>
  br label %start
start:
  %thread = phi i64 [1, %divide], [%thread.next, %started]
  %from = mul i64 %thread, %first.rows
  %left = sub i64 %rows, %from
  %any = icmp sgt i64 %left, 0
  %more = icmp slt i64 %thread, %threads
  %go = and i1 %any, %more
  br i1 %go, label %try, label %help
try:
  %less = icmp slt i64 %left, %first.rows
  %own.rows = select i1 %less, i64 %left, i64 %first.rows
  %a.skip = mul i64 %from, %a.row
  %a.own = getelementptr <ELEMENT>, ptr %a, i64 %a.skip
  %c.skip = mul i64 %from, %c.row
  %c.own = getelementptr <ELEMENT>, ptr %c, i64 %c.skip
  %number = sub i64 %thread, 1
  %pack.skip = mul i64 %number, <ROOM>
  %own.pack = getelementptr <ELEMENT>, ptr %memory, i64 %pack.skip
  %job = getelementptr %product.job, ptr %jobs, i64 %thread
<STORES>
  %name.at = getelementptr i64, ptr %names, i64 %thread
  %failed = call i32 @pthread_create(ptr %name.at, ptr null, ptr @product.part, ptr %job)
  %fine = icmp eq i32 %failed, 0
  %begun.at = getelementptr i1, ptr %begun, i64 %thread
  store i1 %fine, ptr %begun.at
  br i1 %fine, label %started, label %refused
refused:
  %done.here = call ptr @product.part(ptr %job)
  br label %started
started:
  %thread.next = add i64 %thread, 1
  br label %start
help:
  call void @product(<FIRST>)
  br label %join
join:
  %joined = phi i64 [1, %help], [%joined.next, %waited]
  %waiting = icmp slt i64 %joined, %thread
  br i1 %waiting, label %look, label %done
look:
  %joined.next = add i64 %joined, 1
  %joined.begun = getelementptr i1, ptr %begun, i64 %joined
  %was.begun = load i1, ptr %joined.begun
  br i1 %was.begun, label %wait, label %waited
wait:
  %joined.at = getelementptr i64, ptr %names, i64 %joined
  %joined.name = load i64, ptr %joined.at
  %ended = call i32 @pthread_join(i64 %joined.name, ptr null)
  br label %waited
waited:
  br label %join
done:
  call void @free(ptr %memory)
  ret void
}
"""
