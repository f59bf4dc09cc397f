"""Reads as NumPy writes them: slices, reshapes, windows and transposes, else a gather.

A read has an index per axis of its array. Read as a view it is a piece of text and the names of the
axes that the view has, in order; `arranged` puts those on the axes of a statement, with `.T` and
`None` where broadcasting does not do it by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from math import prod
from typing import Final, NamedTuple

from ...arrays.statements import Home
from ...ops.reads import Affine, Index, Read, Table
from ...ops.record import ATOM, Op
from ...ops.shapes import BATCH, Shape

SLIDING: Final = "np.lib.stride_tricks.sliding_window_view"


@dataclass(frozen=True)
class Code:
    """An expression: its text, how tightly it binds, and the axes of its value in order.

    memory   the array whose memory its value may be, seen in another way; "" for memory of its own
    filling  the text that writes the value into the memory `{out}`; "" where there is none
    update   what an operator does with two pieces of text: left, operator, right
    depth    how deep expressions are nested in it
    base     what it is in another shape, and that shape, if it is that; without axes' names
    op       the operation of the table that it is, if it is one
    operands, statics  what that is applied to, with axes of the same names
    minus    what it is the negative of, if it is written as that
    strided  whether it is large, and its rows do not follow each other in memory
    truth    whether its elements are truth values
    start    what can be computed first, in memory of its own, if the rest can work there
    rest     the text of that rest, which works in the memory `{out}`
    """

    text: str
    axes: tuple[str, ...] = ()
    binds: int = ATOM
    memory: str = ""
    filling: str = ""
    depth: int = 0
    update: tuple[str, str, str] | None = None
    base: tuple[Code, Shape] | None = None
    op: Op | None = None
    operands: tuple[Code, ...] = ()
    statics: tuple[float, ...] = ()
    minus: Code | None = None
    strided: bool = False
    truth: bool = False
    start: Code | None = None
    rest: str = ""

    @property
    def steps(self) -> int:
        """How many operations one after another can work in the same memory."""
        if not self.axes or self.memory or self.truth or not self.depth:
            return 0
        return 1 if self.start is None else 1 + self.start.steps

    def starting(self, ways: Iterable[tuple[Code, str]]) -> Code:
        """This, begun with the longest of some operands of the same axes; what is done then."""
        fit = [way for way in ways if way[0].axes == self.axes and way[0].steps]
        start, rest = max(fit, key=lambda way: way[0].steps, default=(None, ""))
        return replace(self, start=start, rest=rest)

    def renamed(self, names: Mapping[str, str]) -> Code:
        """This with other names for its axes."""
        operands = tuple([replace(one, op=None, operands=()) for one in self.operands])
        operands = tuple([one.renamed(names) for one in operands])
        axes = tuple([names[axis] for axis in self.axes])
        minus = None if self.minus is None else self.minus.renamed(names)
        return replace(self, axes=axes, operands=operands, minus=minus)

    def within(self, level: int) -> str:
        """The text for a place that needs `level`."""
        return self.text if self.binds >= level else f"({self.text})"

    @property
    def tight(self) -> str:
        """The text for a place before a dot or a bracket."""
        number = self.text.replace(".", "", 1).isdigit()
        return f"({self.text})" if number else self.within(ATOM)

    def bare(self, axes: Sequence[str]) -> Code:
        """This under other names for its axes, without what is known of how it is made."""
        own = (self.binds, self.memory, "", self.depth)
        return Code(self.text, tuple(axes), *own, strided=self.strided, truth=self.truth)

    def through(self, after: str, axes: Sequence[str]) -> Code:
        """This with a subscript or a method behind it, which make a view with other axes."""
        text = f"{self.tight}{after}"
        own = (ATOM, self.memory, "", self.depth)
        return Code(text, tuple(axes), *own, strided=self.strided, truth=self.truth)


@dataclass
class Head:
    """Constants of a module, each written once: what its text is, by its name.

    taken    names that are used for something else
    samples  how many samples there are, as text
    dtype    the type of the function's numbers
    """

    taken: set[str] = field(default_factory=set)
    samples: str = "samples"
    dtype: str = "float64"
    constants: dict[str, str] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)

    def constant(self, text: str, wish: str) -> str:
        """The name of the constant with this text: `wish`, or `wish_2` where that is taken."""
        if text in self._names:
            return self._names[text]
        name, number = wish, 2
        while name in self.taken:
            name, number = f"{wish}_{number}", number + 1
        self.taken.add(name)
        self.constants[name] = text
        self._names[text] = name
        return name

    def length(self, length: int) -> str:
        """A length of a shape as text."""
        return self.samples if length == BATCH else str(length)

    def shape(self, lengths: Sequence[int]) -> str:
        """A shape as text, a tuple."""
        inside = ", ".join(map(self.length, lengths))
        return f"({inside},)" if len(lengths) == 1 else f"({inside})"


def view(
    read: Read,
    source: Code,
    shape: Shape,
    lengths: Mapping[str, int],
    head: Head,
    writing: bool = False,
) -> Code:
    """What a read is of an array: a view where its indices allow, else a gather.

    source    the array, as an expression without axes' names
    lengths   of the axes that the indices are made of
    writing   whether it is for being written, which windows are not
    """
    axes = [axis for index in read.index for axis in index.axes]
    cuts = [_cut(i, length, lengths) for i, length in zip(read.index, shape, strict=True)]
    plain = [cut for cut in cuts if cut is not None]
    kinds = Counter(cut.kind for cut in plain)
    view = len(plain) == len(cuts) and len(axes) == len(set(axes)) and kinds[_Kind.TABLE] <= 1
    if kinds[_Kind.ROWS] or kinds[_Kind.WINDOWS]:
        view = view and not writing
    if kinds[_Kind.WINDOWS]:
        view = view and not (kinds[_Kind.TABLE] or kinds[_Kind.ROWS] or kinds[_Kind.DIGITS])
    if view:
        return _sliced(read, source, plain, lengths, head)
    return _gathered(read, source, shape, lengths, head)


def within(home: Home, shape: Shape, length: int) -> Index:
    """Where an array's elements are in a vector of some length; its axes are called "0", "1", etc.

    A table says it where they are no view of the vector that can be written.

    >>> within(Home("params", (3, 4, 13, 14)), (2, 2), 20)
    Affine(offset=3, terms=(('0', 10), ('1', 1)))
    """
    names = tuple(map(str, range(len(shape))))
    first, strides = home.strides(shape) or (0, ())
    terms: list[tuple[str, int]] = []
    step = 1
    for name, count, stride in reversed([*zip(names, shape, strides, strict=False)]):
        terms.insert(0, (name, stride if count > 1 else step))
        step = terms[0][1] * count
    index = Affine(first, tuple(terms))
    apart = len(strides) == len(shape) and len(set(home.places)) == len(home.places)
    cut = _cut(index, length, dict(zip(names, shape, strict=True)))
    if apart and cut is not None and cut.kind is not _Kind.WINDOWS:
        return index
    return Table("places", names, shape, home.places)


def arranged(code: Code, grid: Sequence[str]) -> Code:
    """The same with its axes in the order of `grid`, and with None for those between that it lacks.

    >>> arranged(Code("w", ("c", "e")), ("p", "e", "c")).text
    'w.T'
    >>> arranged(Code("b", ("p",)), ("p", "e")).text
    'b[:, None]'
    """
    wanted = [axis for axis in grid if axis in code.axes]
    if wanted != list(code.axes):
        code = transposed(code, wanted)
    if not wanted:
        return replace(code, axes=())
    first = grid.index(wanted[0])
    keys = [":" if axis in code.axes else "None" for axis in grid[first:]]
    if "None" not in keys:
        return code
    return code.through(f"[{', '.join(keys)}]", grid[first:])


def reshaped(code: Code, shape: Shape, axes: Sequence[str], lengths: Shape) -> Code:
    """The same in another shape, with one name for each axis of it; `BATCH` is written as -1.

    lengths   of the axes that it has

    >>> x = Code("x", ("n", "i", "j"))
    >>> flat = reshaped(x, (BATCH, 6), ("n", "k"), (BATCH, 2, 3))
    >>> flat.text, reshaped(flat, (BATCH, 2, 3), x.axes, (BATCH, 6)).text
    ('x.reshape(-1, 6)', 'x')
    """
    if shape == lengths:
        return replace(code, axes=tuple(axes), op=None, operands=(), minus=None)
    base, own = code.base or (replace(code, axes=(), op=None, operands=(), minus=None), lengths)
    if own == shape:
        return replace(base, axes=tuple(axes))
    shown = ", ".join(str(-1 if length == BATCH else length) for length in shape)
    return replace(base.through(f".reshape({shown})", axes), base=(base, own))


def transposed(code: Code, axes: Sequence[str]) -> Code:
    """The same with its axes in another order."""
    if tuple(axes) == code.axes:
        return code
    if len(axes) == 2:
        return code.through(".T", axes)
    order = ", ".join(str(code.axes.index(axis)) for axis in axes)
    return code.through(f".transpose({order})", axes)


class _Kind(Enum):
    """How an index is written."""

    SLICE = "a number, or a slice"
    DIGITS = "a slice whose places are counted through several axes"
    ROWS = "the same part of rows that follow each other"
    WINDOWS = "windows that overlap"
    TABLE = "a table"


def inside(index: Index, length: int, lengths: Mapping[str, int]) -> bool:
    """Whether an index stays inside the axis everywhere."""
    if length == BATCH:
        return True
    if isinstance(index, Table):
        return not index.values or (min(index.values) >= 0 and max(index.values) < length)
    low, high = extent(index, lengths)
    return low >= 0 and high < length


def extent(index: Affine, lengths: Mapping[str, int]) -> tuple[int, int]:
    """The smallest and the largest number that an index is.

    >>> extent(Affine(-1, (("i", 2), ("a", -1))), {"i": 4, "a": 3})
    (-3, 5)
    """
    ends = [(lengths[axis] - 1) * stride for axis, stride in index.terms]
    low = index.offset + sum(end for end in ends if end < 0)
    return low, index.offset + sum(end for end in ends if end > 0)


def _digits(index: Affine, lengths: Mapping[str, int]) -> list[tuple[int, list[str]]]:
    """The axes through which an index counts on as through digits, with their step, slowest first.

    Where the next axis takes another step than the whole of those before, it begins a new group.
    """
    groups: list[tuple[int, list[str]]] = []
    expected = 0
    slowest_first = sorted(index.terms, key=lambda term: (-term[1], -lengths[term[0]]))
    for axis, stride in slowest_first[::-1]:
        if groups and stride == expected:
            groups[0][1].insert(0, axis)
        else:
            groups.insert(0, (stride, [axis]))
        expected = stride * lengths[axis]
    return groups


def _rows(index: Affine, lengths: Mapping[str, int], length: int) -> tuple[str, int, str] | None:
    """The slice of rows, their length, and the slice of each, where an index is of no two rows."""
    (long, slow), (short, fast) = _digits(index, lengths)
    rows, count = (prod(lengths[axis] for axis in axes) for axes in (slow, fast))
    used = short * (count - 1) + 1
    for start in (index.offset, index.offset + used - long, length - long * rows):
        first = index.offset - start
        if start >= 0 <= first <= long - used and start + long * rows <= length and short > 0:
            break
    else:
        return None
    return _slice(start, long * rows, 1, length), long, _slice(first, count, short, long)


def _slice(offset: int, count: int, step: int, length: int) -> str:
    """`offset, offset + step, …`, `count` of them, of an axis of this length."""
    step = 1 if count == 1 else step
    stop = offset + step * (count - 1) + (1 if step > 0 else -1)
    start = "" if offset == (0 if step > 0 else length - 1) else str(offset)
    end = "" if stop in ((length,) if step > 0 else (-1,)) else str(stop)
    if step > 0 and offset + step * count >= length:
        end = ""
    by = "" if step == 1 else f":{step}"
    return f"{start}:{end}{by}"


class _Cut(NamedTuple):
    """What an index makes of an axis.

    key    the subscript
    axes   the axes that come of it; of a table one, called ""
    split  the lengths that it is reshaped to
    inner  the subscripts after that
    """

    key: str
    axes: tuple[str, ...] = ()
    split: tuple[int, ...] = ()
    inner: tuple[str, ...] = ()
    kind: _Kind = _Kind.SLICE


def _cut(index: Index, length: int, lengths: Mapping[str, int]) -> _Cut | None:
    """What an index makes of an axis, None where only the number of each element says it."""
    if length == BATCH:
        alone = isinstance(index, Affine) and index.axis is not None
        return _Cut(":", index.axes, (BATCH,), (":",)) if alone else None
    if not inside(index, length, lengths):
        return None
    if isinstance(index, Table):
        return _Cut(":", ("",), (length,), (":",), _Kind.TABLE) if index.axes else None
    if not index.terms:
        return _Cut(str(index.offset))
    digits = _digits(index, lengths)
    if len(index.terms) > 1 and any(stride < 0 for _, stride in index.terms):
        return None
    if len(digits) == 1:
        ((step, names),) = digits
        split = tuple([lengths[name] for name in names])
        kind = _Kind.SLICE if len(names) == 1 else _Kind.DIGITS
        key = _slice(index.offset, prod(split), step, length)
        return _Cut(key, tuple(names), split, (":",) * len(names), kind)
    (_, slow), (_, fast) = digits[:2]
    rows = _rows(index, lengths, length) if len(digits) == 2 else None
    if rows is not None:
        key, long, some = rows
        split = (*[lengths[name] for name in slow], long)
        return _Cut(key, (*slow, *fast), split, (*[":"] * len(slow), some), _Kind.ROWS)
    if len(index.terms) > 2:
        return None
    key = _slice(index.offset, length - index.offset, 1, length)
    return _Cut(key, tuple(slow), (lengths[slow[0]],), (":",), _Kind.WINDOWS)


def _sliced(
    read: Read, source: Code, cuts: Sequence[_Cut], lengths: Mapping[str, int], head: Head
) -> Code:
    axes = [axis for cut in cuts for axis in cut.axes]
    split = [length for cut in cuts for length in cut.split]
    inner = [key for cut in cuts for key in cut.inner]
    key = _subscript([cut.key for cut in cuts])
    code = source.through(key, axes) if key else source.bare(axes)
    windows = [
        index
        for index, cut in zip(read.index, cuts, strict=True)
        if isinstance(index, Affine) and cut.kind is _Kind.WINDOWS
    ]
    if windows:
        return _windowed(code, windows, lengths)
    kept = [index for index in read.index if index.axes]
    if len(split) > len(kept):
        whole = tuple([prod(lengths[axis] for axis in index.axes) for index in kept])
        shaped = code.through(f".reshape({_shown(split, head)})", axes)
        code = replace(shaped, base=(replace(code, axes=()), whole))
    if _subscript(inner):
        code = code.through(_subscript(inner), axes)
        if len(axes) > len(split):
            code = code.through(f".reshape({_shown([lengths[a] for a in axes], head)})", axes)
    tables = [index for index in read.index if isinstance(index, Table)]
    for table in tables:
        place = axes.index("")
        picked = ", ".join([*[":"] * place, table_constant(table, head)])
        after = (*axes[:place], *table.axes, *axes[place + 1 :])
        code = replace(code.through(f"[{picked}]", after), memory="")
    return code


def _subscript(keys: Sequence[str]) -> str:
    """A subscript without what it ends with that says nothing."""
    kept = list(keys)
    while kept and kept[-1] == ":":
        kept.pop()
    return f"[{', '.join(kept)}]" if kept else ""


def _shown(lengths: Sequence[int], head: Head) -> str:
    return ", ".join(map(head.length, lengths))


def _windowed(code: Code, windows: Sequence[Affine], lengths: Mapping[str, int]) -> Code:
    """Windows along axes: the positions stay in their places, the inner axes come last."""
    found = [_digits(index, lengths) for index in windows]
    wide = [short * (lengths[fast] - 1) + 1 for _, (short, (fast,)) in found]
    where = [code.axes.index(slow) for (_, (slow,)), _ in found]
    sizes, places = (wide[0], where[0]) if len(found) == 1 else (tuple(wide), tuple(where))
    text = f"{SLIDING}({code.text}, {sizes}, axis={places})"
    keys = [":"] * len(code.axes)
    for place, ((long, (slow,)), _) in zip(where, found, strict=True):
        count = long * (lengths[slow] - 1) + 1
        keys[place] = f":{count}" + (f":{long}" if long > 1 else "")
    keys += [f"::{short}" if short > 1 else ":" for _, (short, _) in found]
    axes = (*code.axes, *[fast for _, (_, (fast,)) in found])
    return replace(code.through("", axes), text=f"{text}{_subscript(keys)}")


def taken(
    read: Read,
    source: Code,
    shape: Shape,
    axes: Sequence[str],
    lengths: Mapping[str, int],
    head: Head,
) -> Code | None:
    """A copy of windows, sample by sample, by the places of their elements; None for others."""
    if SLIDING not in view(read, source, shape, lengths, head).text:
        return None
    batched = shape[0] == BATCH
    inner = tuple([axis for axis in axes if lengths[axis] != BATCH])
    strides, step, offset = dict.fromkeys(inner, 0), 1, 0
    for index, length in reversed([*zip(read.index, shape, strict=True)][batched:]):
        assert isinstance(index, Affine)
        offset += step * index.offset
        for axis, stride in index.terms:
            strides[axis] += step * stride
        step *= length
    flat = Affine(offset, tuple(strides.items()))
    places = head.constant(counted(flat, inner, lengths, head), "windows")
    if not batched:
        return Code(f"{source.tight}.take({places})", tuple(axes))
    one = (BATCH, step) if source.axes[0] == "0" else (step, BATCH)
    names = ("samples", "") if one[0] == BATCH else ("", "samples")
    matrix = reshaped(source, one, names, tuple([shape[int(axis)] for axis in source.axes]))
    matrix = transposed(
        matrix, names if (lengths[axes[0]] == BATCH) == (one[0] == BATCH) else names[::-1]
    )
    return Code(f"{matrix.tight}.take({places}, axis={matrix.axes.index('')})", tuple(axes))


def table_constant(index: Table, head: Head) -> str:
    """The constant of the module that holds a table."""
    numbers: list[object] = list(index.values)
    for length in reversed(index.lengths[1:]):
        numbers = [numbers[i : i + length] for i in range(0, len(numbers), length)]
    return head.constant(f"np.array({numbers})", index.name)


def _gathered(
    read: Read, source: Code, shape: Shape, lengths: Mapping[str, int], head: Head
) -> Code:
    """Every element by its own numbers, which always can be written; clipped to the array."""
    axes = tuple(dict.fromkeys(axis for index in read.index for axis in index.axes))
    keys = []
    for index, length in zip(read.index, shape, strict=True):
        text = counted(index, axes, lengths, head)
        if not inside(index, length, lengths):
            text = f"np.clip({text}, 0, {length - 1})"
        local = len(text) < 12 or BATCH in [lengths[axis] for axis in index.axes]
        keys.append(text if local else head.constant(text, "places"))
    gathered = Code(f"{source.tight}[{', '.join(keys)}]", axes)
    return gathered if axes else replace(gathered, memory=source.memory)


def counted(index: Index, axes: Sequence[str], lengths: Mapping[str, int], head: Head) -> str:
    """The number that an index is, for every point of some axes."""
    if isinstance(index, Table):
        return arranged(Code(table_constant(index, head), index.axes), axes).text
    parts = []
    for axis, stride in sorted(index.terms, key=lambda term: (term[1] < 0, axes.index(term[0]))):
        counting = Code(f"np.arange({head.length(lengths[axis])})", (axis,))
        size = "" if abs(stride) == 1 else f"{abs(stride)} * "
        parts.append((stride > 0, f"{size}{arranged(counting, axes).text}"))
    if index.offset or not parts:
        parts.append((index.offset >= 0, str(abs(index.offset))))
    text = parts[0][1] if parts[0][0] else f"-{parts[0][1]}"
    return text + "".join(f" {'+' if plus else '-'} {part}" for plus, part in parts[1:])
