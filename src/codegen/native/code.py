"""Machine code in memory with what its caller has to know, called with arrays of NumPy."""

from __future__ import annotations

import ctypes
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import prod
from typing import Any, Final

from ..target import Source
from .host import PACKED, library_address, link, object_code
from .threads import threads
from .words import LANES

QUICK: Final = 10_000
"""Programs of more instructions are compiled without optimization, which takes a third the time."""

NESTS: Final = 2_000
"""The same of more nests of loops."""

SPARE: Final = 16
"""How many more samples there is memory for than there are: the last block is a whole one."""

_MARK: Final = "; layout: "
_LIBRARY: Final = re.compile(r"^declare \w+ @(\w+)\(", re.MULTILINE)
"""The declaration of a function of the C library; the names of all others have dots."""
_RUN: Final = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p
)


@dataclass(frozen=True)
class Layout:
    """What the arguments and results of a piece of code are.

    groups   of each argument: how many numbers, whether one by itself, whether a row per sample
    numbers  how many results are numbers
    stacks   how many are one number per sample
    outputs  how they are nested, see `wengert.codegen.native.emit`
    scratch  how many numbers of memory the code needs
    instructions, each  how many instructions there are, and how many for every sample
    rows     whether samples are given as rows, not in blocks of eight
    scratch_each  how many numbers of memory more it needs for each sample
    dtype    what the numbers are
    nests    how many nests of loops there are
    shapes   of each argument its shape, or that of a sample's row; none where all are vectors
    arrays   whether outputs are arrays whatever the arguments are
    block    how many samples are taken at a time; 0 where all are
    part     how many samples, at the least, threads take at a time; 0 where one thread takes all
    threaded whether it may start threads
    products how many products of matrices are computed in blocks
    """

    groups: list[tuple[int, bool, bool]]
    numbers: int
    stacks: int
    outputs: Any
    scratch: int
    instructions: int
    each: int
    rows: bool = False
    scratch_each: int = 0
    dtype: str = "float64"
    nests: int = 0
    block: int = 0
    shapes: list[list[int]] = field(default_factory=list)
    arrays: bool = False
    part: int = 0
    threaded: bool = False
    products: int = 0

    @classmethod
    def of(cls, source: Source) -> Layout:
        """The layout that stands in the text."""
        start = source.text.index(_MARK) + len(_MARK)
        return cls(**json.loads(source.text[start : source.text.index("\n", start)]))

    @property
    def columns(self) -> int:
        """How many numbers a sample has."""
        return sum(count for count, _, batched in self.groups if batched)

    @property
    def rows_of(self) -> list[list[int]]:
        """The shape of each argument, or of a sample's row of it."""
        return self.shapes or [[] if single else [count] for count, single, _ in self.groups]

    def room(self, samples: int) -> int:
        """How many numbers of memory the code needs for so many samples."""
        return self.scratch + self.scratch_each * (samples + SPARE)

    @property
    def batched(self) -> bool:
        """Whether an argument has a row per sample."""
        return any(batched for _, _, batched in self.groups)


def told(source: Source) -> list[str]:
    """What there is to say of code that is made of loops."""
    layout = Layout.of(source)
    shared = ""
    if layout.part:
        shared = f"{2 * layout.part:,} samples or more on up to {threads()} threads"
    if not layout.rows:
        return [f"machine code: {shared}"] if shared else []
    once = layout.instructions - layout.each
    work = f"about {once:,} operations on vectors a call"
    if layout.batched:
        work += f" and {layout.each:,} a sample"
    blocks = f", over blocks of up to {layout.block:,} samples" if layout.block else ""
    if layout.products:
        blocks = f"{blocks}; {layout.products:,} products of matrices in blocks"
        if layout.threaded:
            blocks = f"{blocks}, large ones on up to {threads()} threads"
    nests = f"{layout.nests:,} nests of loops in {layout.dtype}"
    return [f"machine code: {nests}{blocks}; {work}{'; ' * bool(shared)}{shared}"]


class Code:
    """Loaded code. Its memory is freed with it."""

    def __init__(self, source: Source) -> None:
        self.layout = Layout.of(source)
        self._callbacks = [_callback(op, statics) for op, statics in source.operations]
        needs = {
            f"evaluate.{i}": ctypes.cast(function, ctypes.c_void_p).value or 0
            for i, function in enumerate(self._callbacks)
        }
        needs |= library_addresses(source.text)
        names = ["run", "threads"] if self.layout.threaded else ["run"]
        self._library = link(source.binary or compiled(source), needs, names)
        self.address: int = self._library["run"]
        self.asks_python = bool(self._callbacks)
        if self.layout.threaded:
            ctypes.c_int64.from_address(self._library["threads"]).value = threads()
        self._run = _RUN(self.address)

    def call(self, *arguments: Any) -> Any:
        """What `run` gives; `NotImplemented` for arguments that have to be prepared."""
        return self.run(arguments) if self._fit(arguments) else NotImplemented

    def _fit(self, arguments: Sequence[Any]) -> bool:
        """Whether arguments are floats, lists of them and arrays, of the right types and shapes."""
        import numpy

        layout, lengths = self.layout, set()
        if len(arguments) != len(layout.groups):
            return False
        each = zip(arguments, layout.groups, layout.rows_of, strict=True)
        for argument, (_, single, batched), row in each:
            if single and not batched:
                if type(argument) is not float:
                    return False
                continue
            if type(argument) is not numpy.ndarray and not _are_floats(argument):
                return False
            try:
                array = numpy.asarray(argument)
            except ValueError:
                return False
            exact = array.dtype.isnative and array.dtype in (numpy.float64, layout.dtype)
            if batched and array.ndim:
                lengths.add(len(array))
            empty = batched and not len(argument) and type(argument) is not numpy.ndarray
            if not exact or (array.shape[batched:] != tuple(row) and not empty):
                return False
        return len(lengths) <= 1

    def run(self, arguments: Sequence[Any]) -> Any:
        """The outputs for arguments that fit: floats, sequences of them, arrays.

        Lists of outputs come back as arrays where an argument is an array.
        """
        import numpy

        layout, kind = self.layout, numpy.dtype(self.layout.dtype)
        groups: list[Any] = []
        batch: list[Any] = []
        for argument, (_, _, batched) in zip(arguments, layout.groups, strict=True):
            array = numpy.ascontiguousarray(argument, kind)
            (batch if batched else groups).append(array)
        n = len(batch[0]) if batch else 1
        samples = _addresses(batch) if layout.rows else self.blocks(batch)
        out = numpy.empty(layout.numbers + layout.stacks * n, kind)
        scratch = numpy.empty(layout.room(n), kind)
        scratch[:2] = 0  # nothing says to stop
        given = (_addresses(groups), samples, out, scratch)
        where = [array.ctypes.data for array in given]
        self._run(where[0], where[1], n, where[2], where[3])
        arrays = layout.arrays or any(isinstance(a, numpy.ndarray) for a in arguments)
        return self._nested(self.layout.outputs, out if arrays else out.tolist(), n)

    def blocks(self, batch: Sequence[Any]) -> Any:
        """Rows of samples in blocks of eight, those that fill up the last block like the last."""
        import numpy

        n = len(batch[0]) if batch else 0
        count = -(-n // LANES)
        samples = numpy.empty((count, self.layout.columns, LANES))
        column = 0
        widths = [width for width, _, batched in self.layout.groups if batched]
        for rows, width in zip(batch, widths, strict=True):
            table = rows.reshape(n, width)
            full = numpy.concatenate([table, table[-1:].repeat(count * LANES - n, axis=0)])
            samples[:, column : column + width] = full.reshape(count, LANES, width).swapaxes(1, 2)
            column += width
        return samples

    def _nested(self, tree: Any, out: Any, n: int) -> Any:
        kind, *rest = tree
        if kind == "n":
            return out[rest[0]] if self.layout.dtype != "float64" else float(out[rest[0]])
        if kind == "v":
            start, count = rest
            return out[start : start + count]
        if kind == "s":
            start = self.layout.numbers + rest[0] * n
            return out[start : start + n]
        if kind in "ab":
            start, shape = rest
            if kind == "b":
                start, shape = self.layout.numbers + start * n, [n, *shape]
            return out[start : start + prod(shape)].reshape(shape).copy()
        if kind == "l":
            return [self._nested(item, out, n) for item in rest[0]]
        return {key: self._nested(item, out, n) for key, item in rest[0]}


def _are_floats(argument: Any) -> bool:
    """Whether this is a list or a tuple of floats, or of such rows."""
    if type(argument) not in (list, tuple):
        return False
    rows = [row for row in argument if type(row) in (list, tuple)]
    return all(type(item) is float for item in (chain(*rows) if rows else argument))


def compiled(source: Source) -> bytes:
    """The machine code of a text, for the processor at hand."""
    layout = Layout.of(source)
    quick = layout.nests <= NESTS if layout.rows else layout.instructions <= QUICK
    packed = not layout.rows and layout.instructions <= PACKED
    return object_code(source.text, 2 if quick else 0, packed=packed)


def _addresses(arrays: Sequence[Any]) -> Any:
    """Where the numbers of arrays are."""
    import numpy

    return numpy.array([array.ctypes.data for array in arrays], numpy.uintp)


def library_addresses(text: str) -> dict[str, int]:
    """Where the functions of the C library are that the code calls."""
    return {name: library_address(name) for name in _LIBRARY.findall(text)}


def _callback(op: Any, statics: Sequence[float]) -> Any:
    """A function for machine code that asks the operation's record."""
    kind = ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_double] * op.arity)
    return kind(lambda *operands: op.evaluate(*operands, *statics))
