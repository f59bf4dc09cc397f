"""`ArrayFunction` → LLVM IR: one function over memory, made of nests of loops.

    run(groups, rows, n, out, scratch)

    groups   the addresses of the arguments that are the same for all samples
    rows     the addresses of those that have a row for each sample
    n        how many samples
    out      the results that are numbers, then n of each that is one per sample
    scratch  room for the arrays that nothing else sees; what says to stop is the first there

Samples are taken in blocks, whose arrays stay in the cache; within a block several are computed at
once, one to a lane. A sum over the samples is continued from block to block in their order.
Where a sum over all of them is needed for each, all samples are one block.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any, Final

from ...arrays.statements import COMPUTED, Array, Home, Statement
from ...errors import SizeError
from ...ops.reads import Affine, Apply, Axis, Read, Reduce, Term, along
from ...ops.scalar import ADD
from ...ops.shapes import BATCH
from ..array.function import ArrayFunction
from ..target import Source
from .addresses import Code, Tables
from .copies import CopyWriter, transposing
from .functions import Functions
from .lanes import Chooser, Lanes
from .placing import placed, results_of
from .products import (
    Product,
    ProductWriter,
    declared,
    product_of,
    product_text,
    room,
    shared_product_text,
    split,
)
from .stages import Group, Stages, grouped, stages, sums_samples, varies
from .statements import SIGNATURE, NestWriter
from .storage import Samples, Storage, in_order, inner, plain
from .threads import (
    ALONE,
    DECLARED,
    NEVER,
    STOP,
    Parts,
    given,
    part_text,
    parts,
    possible,
    shared_lines,
    shared_text,
)
from .words import float_text, single

CACHE: Final = 524_288
"""About how many bytes the arrays of a block of samples take."""

WIDE_CACHE: Final = 16_777_216
"""The same where products are computed in blocks of their own."""

WIDE: Final = 131_072
"""From how many numbers on a matrix is wide that samples are multiplied with: they fill half of a
processor's second cache, and would be read from further away for every few samples."""

LONGEST_BLOCK: Final = 256
"""The most samples in a block."""

MAX_STATEMENTS: Final = 4_000
"""The longest program that is compiled as loops: that takes about half a minute."""

_ARGUMENTS: Final = (
    "ptr noalias %groups, ptr noalias %rows, i64 %total, ptr noalias %out, ptr noalias %scratch"
)


def emit_arrays(function: ArrayFunction, fused: bool, registers: int) -> Source:
    """The function as IR, for processors that fuse a product with a sum or that do not.

    registers  how many vectors of sums the processor keeps at once
    """
    count = len(function.program.statements)
    if count > MAX_STATEMENTS:
        raise SizeError(
            f"{function.name} has {count:,} statements; the native target compiles up to "
            f"{MAX_STATEMENTS:,} as loops: use target='numpy' or 'python'"
        )
    return _Emitter(function, fused, registers).source()


_STACKS: Final = 64
"""How many results that are one number per sample a nest writes."""

_NOWHERE: Final = Storage("", (), ())


class _Emitter:
    """One function on its way to IR."""

    def __init__(self, function: ArrayFunction, fused: bool, registers: int) -> None:
        self._function = function
        self._kind = "f" if function.dtype == "float64" else "s"
        self._lanes = 8 if self._kind == "f" else 16
        self._stages = stages(function.program)
        self._results = results_of(function.outputs, function.program.arrays)
        self._by_rows = is_wide(self._stages)
        self._memory = placed(function, self._stages, self._results, self._lanes, self._by_rows)
        self._arrays: dict[str, Array] = dict(self._stages.arrays)
        self._storages = self._memory.storages
        self._functions = Functions(fused)
        self._tables = Tables(self._lanes)
        self._code = Code(
            self._functions,
            self._arrays,
            self._storages,
            self._tables,
            self._kind,
            self._lanes,
            registers,
        )
        self._copied: dict[tuple[str, int], str] = {}
        self._last: dict[str, int] = {}
        self._transposes = False
        self._products, self._pack = 0, 0
        self._texts: list[str] = []
        self._readers: defaultdict[str, set[int]] = defaultdict(set)
        self._writers = Counter(s.array for s in self._stages.statements)
        for statement in self._stages.statements:
            for read in statement.reads:
                self._readers[read.array].add(id(statement))
        self._put_out = {
            name
            for name, array in self._arrays.items()
            if array.home is not None or self._storages.get(name, _NOWHERE).base == "out"
        }
        self._put_out |= {copied.array for copied in self._results.copies}
        self._put_out |= {stack.array for stack in self._results.stacks}
        self._put_out |= {a.home.vector for a in self._arrays.values() if a.home is not None}

    def source(self) -> Source:
        """The text."""
        calls = {
            "before": self._stage(self._stages.before),
            "each": self._stage(self._stages.each),
            "after": self._stage(self._stages.after),
        }
        calls["each"] += self._write_stacks()
        calls["after"] += self._write_copies()
        function = self._function
        divided = self._parts()
        added = self._stage(self._sums_added()) if divided else []
        if self._products:
            rows, fused = max(1, self._code.sums // 2), self._functions.fused
            written = product_text(self._kind, self._lanes, rows, fused)
            if possible():
                written += shared_product_text(self._kind, self._lanes, rows)
            self._texts.append("\n".join(written))
            self._functions.intrinsics |= declared(self._kind, self._lanes)
        if self._transposes:
            written, needed = transposing(self._kind)
            self._texts.append("\n".join(written))
            self._functions.intrinsics |= needed
        lines = [
            f"; {function.name}: loops over arrays, generated by wengert",
            f"; layout: {json.dumps(self._layout(divided))}",
            "",
            *self._texts,
            *self._run(calls, divided, added),
            *self._functions.text(),
            NEVER,
            *(DECLARED if self._threaded(divided) else ()),
            *self._tables.text(),
            *self._constants(),
            "!0 = !{}",
        ]
        text = "\n".join(lines) + "\n"
        return Source(text, function.name, {}, operations=tuple(self._functions.asked))

    def _constants(self) -> list[str]:
        """The numbers that are known, as arrays."""
        lines = []
        for number, values in enumerate(self._memory.constants):
            kind = "double"
            if self._kind == "s":
                kind, values = "float", tuple(map(single, values))
            padded = [*values, *[0.0] * self._lanes]
            numbers = ", ".join(f"{kind} {float_text(value)}" for value in padded)
            head = f"@constant.{number} = internal constant [{len(padded)} x {kind}]"
            lines.append(f"{head} [{numbers}], align 64")
        return lines

    # statements

    def _stage(self, statements: Sequence[Statement]) -> list[str]:
        """Write the nests of a stage; answers the lines that call them."""
        if not statements:
            return []
        chooser = Chooser(self._arrays, self._storages, self._lanes, self._by_rows)
        lanes = [chooser.best(statement)[1] for statement in statements]
        found: list[tuple[Statement, Lanes, Statement]] = []
        for statement, chosen in zip(statements, lanes, strict=True):
            if self._in_blocks(statement) is not None:
                found.append((statement, chosen, statement))
                continue
            made, rewritten = self._with_copies(statement, chosen, chooser)
            found += [(copy, chooser.best(copy)[1], copy) for copy in made]
            found.append((rewritten, chosen, statement))
        alone = [_is_product(s) or sums_samples(s) or s.array in self._last for s, _, _ in found]
        axes = [chosen.axis for _, chosen, _ in found]
        calls = []
        for group, members in grouped([s for s, _, _ in found], self._arrays, axes, alone):
            origins = {id(found[m][2]) for m in members}
            calls.append(self._nest(group, [found[m][1] for m in members], origins))
        return calls

    def _with_copies(
        self, statement: Statement, chosen: Lanes, chooser: Chooser
    ) -> tuple[list[Statement], Statement]:
        """The copies that a statement reads, and the statement that reads them."""
        made: list[Statement] = []
        if chosen.axis is not None and statement.axes[chosen.axis].length == BATCH:
            for read in dict.fromkeys(statement.reads):
                name = self._in_lanes(read.array, made)
                statement = _reading(statement, read, name)
            return made, statement
        for read, place in chooser.copies(statement, chosen):
            statement = _reading(statement, read, self._copy(read.array, place, made))
        return made, statement

    def _in_lanes(self, name: str, made: list[Statement]) -> str:
        """The name of rows of samples as an array with several samples side by side."""
        storage = self._storages[name]
        assert storage.samples is not None or storage.base != "rows"
        if storage.base != "rows" or storage.samples is None or storage.samples.stride == 1:
            return name
        key = (name, -1)
        if key not in self._copied:
            wide = storage.samples.stride
            rows = f"rows {storage.number}"
            if rows not in self._arrays:
                self._arrays[rows] = Array(rows, (BATCH, wide))
                self._storages[rows] = Storage(
                    "rows", (wide,), (1,), storage.number, samples=storage.samples
                )
            copied = self._copy(rows, 0, made)
            whole = self._storages[copied]
            own = f"{name} in lanes"
            step = self._lanes
            home = Home(copied, ())  # it is there once the copy is
            self._arrays[own] = replace(self._arrays[name], name=own, home=home, elements=())
            self._storages[own] = replace(
                whole,
                shape=storage.shape,
                strides=tuple([step * stride for stride in storage.strides]),
                offset=step * storage.offset,
                places=tuple([step * place for place in storage.places]),
            )
            self._copied[key] = own
        return self._copied[key]

    def _copy(self, source: str, place: int, made: list[Statement]) -> str:
        """A copy of an array in which an axis lies last; what makes it is added to `made`."""
        key = (source, place)
        array = self._arrays[source]
        if key in self._copied:
            return self._copied[key]
        name = f"{source} by {place}"
        while name in self._arrays:
            name += "'"
        self._copied[key] = name
        self._put_out.add(name)
        self._arrays[name] = replace(
            array, name=name, kind=COMPUTED, elements=(), values=(), home=None, adjoint=None
        )
        self._storages[name] = self._copy_storage(array, place)
        axes = tuple([Axis(f"a{k}", length) for k, length in enumerate(array.shape)])
        own = tuple([along(axis.name) for axis in axes])
        copied = Reduce(ADD, (Term(1, (Read(source, own),)),))
        made.append(Statement(name, axes, copied))
        self._last[name] = place
        return name

    def _copy_storage(self, array: Array, place: int) -> Storage:
        lanes, shape = self._lanes, inner(array.shape)
        if BATCH not in array.shape:
            order = [axis for axis in range(len(shape)) if axis != place] + [place]
            end = shape[place] + -shape[place] % lanes
            strides = in_order(shape, order, end)
            start = self._memory.room(max(map(prod, zip(strides, shape, strict=True))), lanes)
            return Storage("fixed", shape, strides, offset=start, padded=True)
        first = array.shape.index(BATCH)
        if place == first:
            strides = tuple([lanes * stride for stride in plain(shape)])
            before = self._memory.room_each(prod(shape))
            samples = Samples(True, lanes * prod(shape))
            return Storage("each", shape, strides, before, samples=samples, padded=True)
        place -= first < place
        order = [axis for axis in range(len(shape)) if axis != place] + [place]
        end = shape[place] + -shape[place] % lanes
        strides = in_order(shape, order, end)
        size = end * prod(shape) // shape[place]
        before = self._memory.room_each(size)
        return Storage("each", shape, strides, before, samples=Samples(False, size), padded=True)

    def _nest(self, group: Group, lanes: Sequence[Lanes], origins: set[int]) -> str:
        """Write one nest; answers the line that calls it."""
        name = f"@nest.{len(self._texts)}"

        def kept(array: str) -> bool:
            return not self._readers[array] <= origins or array in self._put_out

        first = group.statements[0]
        if len(group.statements) == 1:
            product = self._in_blocks(first)
            if product is not None:
                return self._product(first, product, origins)
        lines = self._transpose(name, first) if len(group.statements) == 1 else None
        if lines is None:
            writer = NestWriter(self._code, group.statements, lanes, kept, self._is_sole)
            lines = writer.text(name)
            self._functions.intrinsics |= writer.block.intrinsics
        self._texts.append("\n".join(lines))
        return f"  call void {name}({{given}})"

    def _in_blocks(self, statement: Statement) -> Product | None:
        """The statement as a product that is computed in blocks; None where it is not."""
        if sums_samples(statement) and not self._by_rows:
            return None  # a block has few samples: the sums would be moved for little
        return product_of(statement, self._code)

    def _product(self, statement: Statement, product: Product, origins: set[int]) -> str:
        """Write a product in blocks, and what else its statement adds; answers the calls."""
        if not self._products:
            self._pack = self._memory.room(room(self._lanes) + self._lanes, self._lanes)
        self._products += 1
        calls = []
        before, after = split(statement, product)
        if before is not None:
            calls.append(self._nest(*self._alone(before), origins))
        name = f"@nest.{len(self._texts)}"
        sampled = varies(statement) or sums_samples(statement)
        shared = possible() and not sampled  # samples are shared out already
        writer = ProductWriter(self._code, statement, product, self._pack, shared)
        self._texts.append("\n".join(writer.text(name, SIGNATURE)))
        calls.append(f"  call void {name}({{given}})")
        if after is not None:
            calls.append(self._nest(*self._alone(after), origins))
        return "\n".join(calls)

    def _alone(self, statement: Statement) -> tuple[Group, list[Lanes]]:
        """A statement as a nest of its own."""
        chooser = Chooser(self._arrays, self._storages, self._lanes, self._by_rows)
        lanes = chooser.best(statement)[1]
        return Group((statement,), lanes.axis), [lanes]

    def _transpose(self, name: str, statement: Statement) -> list[str] | None:
        """The lines of a copy by tiles; None for what is no copy, or none of that kind."""
        last = self._last.get(statement.array)
        if last is None:
            return None
        lines = CopyWriter(self._code, statement, last, SIGNATURE).text(name)
        self._transposes = self._transposes or lines is not None
        return lines

    def _is_sole(self, array: str) -> bool:
        """Whether one statement writes an array, all of it."""
        return self._writers[array] <= 1 and self._arrays[array].home is None

    # results

    def _write_copies(self) -> list[str]:
        """Results that are elements of arrays which lie elsewhere, array by array."""
        wanted: dict[str, list[tuple[int, int]]] = {}
        for copied in self._results.copies:
            places = enumerate(copied.places, copied.position)
            wanted.setdefault(copied.array, []).extend((place, at) for at, place in places)
        statements = []
        for number, (array, pairs) in enumerate(wanted.items()):
            if not pairs:
                continue
            name, count = f"result {number}", len(pairs)
            source = self._elements(array, [place for place, _ in pairs], f"{name} of")
            self._arrays[name] = Array(name, (count,))
            self._storages[name] = _lying(
                Storage("out", (count,), (1,)), [position for _, position in pairs]
            )
            read = Reduce(ADD, (Term(1, (Read(source, (along("p"),)),)),))
            statements.append(Statement(name, (Axis("p", count),), read))
            self._put_out.add(name)
        return self._stage(statements)

    def _elements(self, array: str, places: Sequence[int], name: str) -> str:
        """Some elements of an array as a vector of its own, at the same places."""
        storage, made = self._storages[array], self._arrays[array]
        shape = storage.shape
        if storage.places:
            found = [storage.places[p] for p in places]
        else:
            steps = plain(shape)
            found = [
                storage.offset
                + sum(
                    stride * (place // step % length)
                    for stride, step, length in zip(storage.strides, steps, shape, strict=True)
                )
                for place in places
            ]
        batch = (BATCH,) if BATCH in made.shape else ()
        self._arrays[name] = Array(name, (*batch, len(places)))
        padded = storage.padded and bool(batch)
        given = _lying(replace(storage, shape=(len(places),), padded=padded), found)
        self._storages[name] = given
        return name

    def _write_stacks(self) -> list[str]:
        """Results that are one number for each sample, for a block of them."""
        statements = []
        for number, (array, place, start) in enumerate(self._results.stacks):
            name = f"stack {number}"
            if place is None:
                statements.append(self._stacked(array, name, start))
                continue
            source = self._elements(array, (place,), f"{name} of")
            varying = BATCH in self._arrays[source].shape
            index = (*((along("n"),) if varying else ()), Affine(0))
            read = Reduce(ADD, (Term(1, (Read(source, index),)),))
            statements.append(Statement(name, (Axis("n", BATCH),), read))
            self._arrays[name] = Array(name, (BATCH,))
            self._storages[name] = Storage(
                "stack", (), (), start, self._results.numbers, Samples(True, self._lanes)
            )
            self._put_out.add(name)
        calls = []
        for first in range(0, len(statements), _STACKS):
            calls += self._stage(statements[first : first + _STACKS])
        return calls

    def _stacked(self, array: str, name: str, start: int) -> Statement:
        """The copy of an array to the results, for each sample of a block."""
        given = self._arrays[array].shape
        shape = inner(given)
        axes = [Axis("n", BATCH)] + [Axis(f"a{k}", length) for k, length in enumerate(shape)]
        own = iter(axes[1:])
        index = tuple([along("n" if length == BATCH else next(own).name) for length in given])
        samples = Samples(False, prod(shape))
        self._arrays[name] = Array(name, (BATCH, *shape))
        self._storages[name] = Storage(
            "stack", shape, plain(shape), start, self._results.numbers, samples
        )
        self._put_out.add(name)
        return Statement(name, tuple(axes), Reduce(ADD, (Term(1, (Read(array, index),)),)))

    # the whole

    def _room(self) -> int:
        """How many samples a block has room for."""
        size = 8 if self._kind == "f" else 4
        room = WIDE_CACHE if self._by_rows else CACHE
        most = room // (size * max(1, self._memory.each))
        most = min(LONGEST_BLOCK, max(self._lanes, most))
        return most - most % self._lanes

    def _layout(self, divided: Parts | None) -> dict[str, Any]:
        """What the caller has to know, ready to be written as JSON."""
        groups = self._function.groups
        memory, blocked = self._memory, self._stages.blocked
        spare = 4 * self._lanes
        once, each = self._count()
        return {
            "groups": [[prod(g.row), g.scalar and not g.row, g.batched] for g in groups],
            "numbers": self._results.numbers,
            "stacks": self._results.each,
            "outputs": self._results.tree,
            "scratch": memory.fixed + spare + memory.each * (self._room() if blocked else 0),
            "instructions": once + each,
            "each": each,
            "rows": True,
            "scratch_each": 0 if blocked else memory.each,
            "dtype": self._function.dtype,
            "nests": len(self._texts) - self._transposes - bool(self._products),
            "block": self._room() if blocked and self._stages.each else 0,
            "shapes": [list(g.row) for g in groups],
            "arrays": self._function.survey is None or self._kind == "s",
            "part": divided.least if divided else 0,
            "threaded": self._threaded(divided),
            "products": self._products,
        }

    def _threaded(self, divided: Parts | None) -> bool:
        """Whether the code may start threads."""
        return divided is not None or (self._products > 0 and possible())

    def _count(self) -> tuple[int, int]:
        """About how many operations on vectors there are: once, and for a sample."""
        counts = [0, 0]
        for statement in self._stages.statements:
            sampled = varies(statement) or sums_samples(statement)
            counts[sampled] += operations(statement)
        return counts[0] // self._lanes, counts[1] // self._lanes

    def _parts(self) -> Parts | None:
        """How batches are divided among threads; None where they are not."""
        stages = self._stages
        if not stages.blocked or not stages.each or self._functions.asked:
            return None
        if any(varies(s) and sums_samples(s) for s in stages.each):
            return None
        own = self._memory.fixed + self._results.numbers
        return parts(self._count()[1], own, 8 if self._kind == "f" else 4, self._room())

    def _sums_added(self) -> list[Statement]:
        """The statements that add the sums of samples computed apart to those so far.

        Those lie in memory like that of the sums, which is given as if it were arguments.
        """
        statements = []
        for array in dict.fromkeys(s.array for s in self._stages.each if sums_samples(s)):
            storage, name = self._storages[array], f"{array} of a part"
            number = ("out", "fixed").index(storage.base)
            self._arrays[name] = replace(self._arrays[array], name=name, home=None)
            self._storages[name] = replace(storage, base="group", number=number)
            axes = tuple([Axis(f"a{k}", n) for k, n in enumerate(self._arrays[array].shape)])
            own = tuple([along(axis.name) for axis in axes])
            terms = tuple([Term(1, (Read(each, own),)) for each in (array, name)])
            statements.append(Statement(array, axes, Reduce(ADD, terms)))
        return statements

    def _run(
        self, calls: Mapping[str, Sequence[str]], divided: Parts | None, added: Sequence[str]
    ) -> list[str]:
        """The function itself."""
        element = "double" if self._kind == "f" else "float"
        blocked = self._stages.blocked
        once = given()
        texts = []
        if calls["each"]:
            texts += part_text(calls["each"])
        if divided:
            each = self._memory.each * self._room()
            texts += shared_text(
                divided, element, self._results.numbers, self._memory.fixed, each, added
            )
        lines = [
            *texts,
            f"define void @run({_ARGUMENTS}) {{",
            "  %results = getelementptr i8, ptr %out, i64 0",
            *STOP,
            "  %at = ptrtoint ptr %scratch to i64",
            "  %up = add i64 %at, 71",
            "  %even = and i64 %up, -64",
            "  %fixed = inttoptr i64 %even to ptr",
            f"  %each = getelementptr {element}, ptr %fixed, i64 {self._memory.fixed}",
            f"  %more = add i64 %total, {self._lanes - 1}",
            f"  %whole = and i64 %more, {-self._lanes}",
            f"  %room = add i64 0, {self._room()}" if blocked else "  %room = add i64 %whole, 0",
            *[line.format(given=once) for line in calls["before"]],
        ]
        if divided:
            lines += shared_lines(divided)
        elif calls["each"]:
            lines.append(ALONE)
        lines += [line.format(given=once) for line in calls["after"]]
        return [*lines, "  ret void", "}", ""]


def _lying(storage: Storage, places: Sequence[int]) -> Storage:
    """The storage of a vector whose elements lie at these places."""
    count = len(places)
    first = places[0] if count else 0
    step = places[1] - first if count > 1 else 1
    if step > 0 and list(places) == list(range(first, first + step * count, step)):
        return replace(storage, strides=(step,), offset=first, places=())
    return replace(storage, strides=(0,), offset=0, places=tuple(places))


def is_wide(stages: Stages) -> bool:
    """Whether samples are multiplied with a matrix that is wide."""
    if not stages.blocked:
        return False
    return any(
        BATCH not in stages.arrays[read.array].shape and stages.arrays[read.array].size >= WIDE
        for statement in stages.each
        if varies(statement) and _is_product(statement)
        for read in statement.reads
    )


def operations(statement: Statement) -> int:
    """How many operations a statement takes, for a sample where it is computed for each.

    >>> from wengert.ops.reads import Axis, Read, Reduce, Term, along
    >>> from wengert.ops.scalar import ADD
    >>> term = Term(1, (Read("w", (along("i"), along("j"))), Read("x", (along("j"),))),
    ...             (Axis("j", 64),))
    >>> operations(Statement("y", (Axis("i", 10),), Reduce(ADD, (term,))))
    1280
    """
    points = prod(abs(axis.length) for axis in statement.axes)
    value = statement.value
    if isinstance(value, Apply):
        return points
    return sum(
        points * len(term.factors) * prod(abs(axis.length) for axis in term.over)
        for term in value.terms
    )


def _is_product(statement: Statement) -> bool:
    """Whether a statement is a sum of products that is worth a nest of its own."""
    value = statement.value
    if not isinstance(value, Reduce):
        return False
    return any(term.over and len(term.factors) > 1 for term in value.terms) and bool(statement.axes)


def _reading(statement: Statement, read: Read, name: str) -> Statement:
    """The statement with another array read in the place of one."""

    def operand(given: Any) -> Any:
        return Read(name, given.index) if given == read else given

    value = statement.value
    if isinstance(value, Apply):
        changed = replace(value, operands=tuple(map(operand, value.operands)))
        return replace(statement, value=changed)
    terms = [replace(t, factors=tuple(map(operand, t.factors))) for t in value.terms]
    return replace(statement, value=replace(value, terms=tuple(terms)))
