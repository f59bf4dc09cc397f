"""Reads as NumPy writes them: slices, reshapes, windows and transposes, else a gather.

A read has an index per axis of its array. Read as a view it is a piece of text and the names of the
axes that the view has, in order; `arranged` puts those on the axes of a statement, with `.T` and
`None` where broadcasting does not do it by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Final

from ...ops.reads import Affine, Index, Read, Table
from ...ops.record import ATOM, Op
from ...ops.shapes import BATCH, Shape

WINDOWS: Final = "np.lib.stride_tricks.sliding_window_view"


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

    def through(self, after: str, axes: Sequence[str]) -> Code:
        """This with a subscript or a method behind it, which make a view with other axes."""
        text = f"{self.tight}{after}"
        return Code(text, tuple(axes), ATOM, self.memory, "", self.depth, strided=self.strided)


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
    tables = [index for index in read.index if isinstance(index, Table)]
    plain = len(axes) == len(set(axes)) and len(tables) <= 1
    several = [
        (index, length)
        for index, length in zip(read.index, shape, strict=True)
        if isinstance(index, Affine) and len(index.terms) > 1
    ]
    odd = [(i, length) for i, length in several if _radix(i, lengths) is None]
    windows = [
        one for one in odd if not _is_window(one[0]) or _rows(one[0], lengths, one[1]) is None
    ]
    if (odd and writing) or (windows and (tables or len(windows) < len(several))):
        plain = False
    if plain and all(
        _fits(index, length, lengths) for index, length in zip(read.index, shape, strict=True)
    ):
        return _sliced(read, source, shape, lengths, head)
    return _gathered(read, source, shape, lengths, head)


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


def _fits(index: Index, length: int, lengths: Mapping[str, int]) -> bool:
    """Whether an index can be written as a subscript: it stays inside the axis everywhere."""
    if isinstance(index, Table):
        return len(index.axes) > 0 and min(index.values) >= 0 and max(index.values) < length
    if length == BATCH:
        return index.axis is not None
    ends = [(lengths[axis] - 1) * stride for axis, stride in index.terms]
    low = index.offset + sum(end for end in ends if end < 0)
    high = index.offset + sum(end for end in ends if end > 0)
    if low < 0 or high >= length:
        return False
    return len(index.terms) < 2 or _radix(index, lengths) is not None or _is_window(index)


def _radix(index: Affine, lengths: Mapping[str, int]) -> tuple[int, tuple[str, ...]] | None:
    """The step and the axes, slowest first, where an index counts through them as digits."""
    terms = sorted(index.terms, key=lambda term: -term[1])
    step = terms[-1][1]
    expected = step
    for axis, stride in reversed(terms):
        if stride != expected or step <= 0:
            return None
        expected *= lengths[axis]
    return step, tuple([axis for axis, _ in terms])


def _is_window(index: Affine) -> bool:
    return len(index.terms) == 2 and all(stride > 0 for _, stride in index.terms)


def _rows(index: Affine, lengths: Mapping[str, int], length: int) -> tuple[int, str] | None:
    """Where rows begin, and the part of each that is read, where an index is of no two rows."""
    (slow, long), (fast, short) = sorted(index.terms, key=lambda term: -term[1])
    start = min(index.offset, length - long * lengths[slow])
    first = index.offset - start
    last = first + short * (lengths[fast] - 1)
    if start < 0 or short < 1 or last >= long:
        return None
    return start, _slice(first, lengths[fast], short, long)


def _slice(offset: int, count: int, step: int, length: int) -> str:
    """`offset, offset + step, …`, `count` of them, of an axis of this length."""
    if count == 1:
        return f"{offset}:{offset + 1}"
    stop = offset + step * (count - 1) + (1 if step > 0 else -1)
    start = "" if offset == (0 if step > 0 else length - 1) else str(offset)
    end = "" if stop in ((length,) if step > 0 else (-1,)) else str(stop)
    if step > 0 and offset + step * count >= length:
        end = ""
    by = "" if step == 1 else f":{step}"
    return f"{start}:{end}{by}"


def _sliced(read: Read, source: Code, shape: Shape, lengths: Mapping[str, int], head: Head) -> Code:
    keys: list[str] = []
    axes: list[str] = []
    sizes: list[int] = []
    counts: list[int] = []
    split, windows = False, []
    within: dict[int, str] = {}
    table: tuple[int, Table] | None = None
    for index, length in zip(read.index, shape, strict=True):
        if index.terms if isinstance(index, Affine) else True:
            counts.append(prod(lengths[axis] for axis in index.axes))
        if isinstance(index, Table):
            table = (len(axes), index)
            keys.append(":")
            axes.append("")
            sizes.append(length)
        elif not index.terms:
            keys.append(str(index.offset))
        elif index.axis is not None and lengths[index.axis] == length:
            keys.append(":")
            axes.append(index.axis)
            sizes.append(length)
        elif len(index.terms) == 1:
            ((axis, step),) = index.terms
            keys.append(_slice(index.offset, lengths[axis], step, length))
            axes.append(axis)
            sizes.append(lengths[axis])
        elif (digits := _radix(index, lengths)) is not None:
            step, names = digits
            count = prod(lengths[name] for name in names)
            keys.append(_slice(index.offset, count, step, length) if count < length else ":")
            axes += names
            sizes += [lengths[name] for name in names]
            split = True
        elif (rows := _rows(index, lengths, length)) is not None:
            (slow, long), (fast, _) = sorted(index.terms, key=lambda term: -term[1])
            start, inner = rows
            keys.append(_slice(start, long * lengths[slow], 1, length))
            within[len(axes) + 1] = inner
            axes += [slow, fast]
            sizes += [lengths[slow], long]
            split = True
        else:
            (slow, long), (fast, short) = sorted(index.terms, key=lambda term: -term[1])
            keys.append(_slice(index.offset, length - index.offset, 1, length))
            windows.append(_Window(len(axes), slow, long, fast, short))
            axes.append(slow)
            sizes.append(lengths[slow])
    code = replace(
        source,
        axes=tuple(axes),
        filling="",
        update=None,
        op=None,
        operands=(),
        base=None,
        minus=None,
    )
    while keys and keys[-1] == ":":
        keys.pop()
    if keys:
        code = code.through(f"[{', '.join(keys)}]", axes)
    if windows:
        return _windowed(code, windows, lengths)
    if split:
        shown = ", ".join(map(head.length, sizes))
        before = replace(code, axes=()), tuple(counts)
        code = replace(code.through(f".reshape({shown})", axes), base=before)
    if within:
        inside = ", ".join([within.get(place, ":") for place in range(max(within) + 1)])
        code = replace(code.through(f"[{inside}]", axes), base=None)
    if table is None:
        return code
    place, index = table
    inside = ", ".join([*[":"] * place, table_constant(index, head)])
    after = (*code.axes[:place], *index.axes, *code.axes[place + 1 :])
    return replace(code.through(f"[{inside}]", after), memory="")


@dataclass(frozen=True)
class _Window:
    """An axis of an array that is read at `long·slow + short·fast`."""

    axis: int
    slow: str
    long: int
    fast: str
    short: int


def _windowed(code: Code, windows: Sequence[_Window], lengths: Mapping[str, int]) -> Code:
    """Windows along axes: the positions stay in their places, the inner axes come last."""
    wide = [window.short * (lengths[window.fast] - 1) + 1 for window in windows]
    where = [window.axis for window in windows]
    sizes, places = (wide[0], where[0]) if len(windows) == 1 else (tuple(wide), tuple(where))
    text = f"{WINDOWS}({code.text}, {sizes}, axis={places})"
    keys = [":"] * len(code.axes)
    for window in windows:
        count = window.long * (lengths[window.slow] - 1) + 1
        keys[window.axis] = f":{count}" + (f":{window.long}" if window.long > 1 else "")
    keys += [f"::{window.short}" if window.short > 1 else ":" for window in windows]
    while keys and keys[-1] == ":":
        keys.pop()
    inside = f"[{', '.join(keys)}]" if keys else ""
    axes = (*code.axes, *[window.fast for window in windows])
    return replace(code.through("", axes), text=f"{text}{inside}")


def taken(
    read: Read,
    source: Code,
    shape: Shape,
    axes: Sequence[str],
    lengths: Mapping[str, int],
    head: Head,
) -> Code | None:
    """A copy of windows, sample by sample, by the places of their elements; None for others."""
    if WINDOWS not in view(read, source, shape, lengths, head).text:
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
    parts = [
        f"{strides[axis]} * {counting}" if strides[axis] != 1 else counting
        for axis in inner
        for counting in [_counting(axis, inner, lengths, head)]
    ]
    places = head.constant(" + ".join([*parts, *([str(offset)] if offset else [])]), "windows")
    if not batched:
        return Code(f"{source.tight}.take({places})", tuple(axes))
    rows = reshaped(source, (BATCH, step), ("0", "1"), shape)
    return Code(f"{rows.tight}.take({places}, axis=1)", tuple(axes))


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
        terms = [
            f"{stride} * {_counting(axis, axes, lengths, head)}"
            if stride != 1
            else _counting(axis, axes, lengths, head)
            for axis, stride in (index.terms if isinstance(index, Affine) else ())
        ]
        if isinstance(index, Table):
            text = arranged(Code(table_constant(index, head), index.axes), axes).text
        else:
            text = " + ".join([*terms, *([str(index.offset)] if index.offset or not terms else [])])
        if not _inside(index, length, lengths):
            text = f"np.clip({text}, 0, {length - 1})"
        local = len(text) < 12 or BATCH in [lengths[axis] for axis in index.axes]
        keys.append(text if local else head.constant(text, "places"))
    gathered = Code(f"{source.tight}[{', '.join(keys)}]", axes)
    return gathered if axes else replace(gathered, memory=source.memory)


def _inside(index: Index, length: int, lengths: Mapping[str, int]) -> bool:
    if length == BATCH:
        return True
    if isinstance(index, Table):
        return not index.values or (min(index.values) >= 0 and max(index.values) < length)
    ends = [(lengths[axis] - 1) * stride for axis, stride in index.terms]
    low = index.offset + sum(end for end in ends if end < 0)
    return low >= 0 and index.offset + sum(end for end in ends if end > 0) < length


def _counting(axis: str, axes: tuple[str, ...], lengths: Mapping[str, int], head: Head) -> str:
    """0, 1, … along one of several axes."""
    return arranged(Code(f"np.arange({head.length(lengths[axis])})", (axis,)), axes).text
