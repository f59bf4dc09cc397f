"""As much of NumPy as `roll` needs, in plain Python, for a browser that has no NumPy.

NumPy publishes no wheel for WebAssembly, and the page fetches nothing but wheels and Pyodide. So
this stands where NumPy would: vectors and matrices with NumPy's names and meanings, views and all,
slowly. What is not here says so when it is asked for.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ContextDecorator
from fractions import Fraction
from itertools import accumulate, product
from types import SimpleNamespace
from typing import Any, Final

nan: Final = math.nan
inf: Final = math.inf

_WRAP: Final = 1 << 64


class _Type:
    """A type of numbers: what it makes of one, and its letter in `struct`."""

    def __init__(self, kind: str, code: str, made: Callable[[Any], Any]) -> None:
        self.kind, self.code, self._made = kind, code, made

    def __call__(self, value: Any = 0) -> Any:
        return self._made(value)


def _signed(value: Any) -> int:
    return (int(value) + _WRAP // 2) % _WRAP - _WRAP // 2


int64: Final = _Type("i", "q", _signed)
uint64: Final = _Type("u", "Q", lambda value: int(value) % _WRAP)
float64: Final = _Type("f", "d", float)
bool_: Final = _Type("b", "?", bool)
_TYPES: Final = {
    int: int64,
    float: float64,
    bool: bool_,
    "int64": int64,
    "float64": float64,
    "bool": bool_,
}


class generic:  # noqa: N801
    """What NumPy's own scalars are; here there are none, since numbers are Python's."""


def _type_of(values: Sequence[Any]) -> _Type:
    kinds = set(map(type, values))
    if float in kinds:
        return float64
    return bool_ if kinds == {bool} else int64


def _steps(shape: Sequence[int]) -> tuple[int, ...]:
    """How far apart in C order neighbours along each axis are."""
    return tuple(math.prod(shape[k + 1 :]) for k in range(len(shape)))


class ndarray:  # noqa: N801
    """Numbers on a grid: a list, and how far apart in it neighbours along each axis are."""

    def __init__(
        self,
        store: list[Any],
        shape: tuple[int, ...],
        dtype: _Type,
        steps: tuple[int, ...] | None = None,
        start: int = 0,
    ) -> None:
        self.store, self.shape, self.dtype = store, shape, dtype
        self.steps = _steps(shape) if steps is None else steps
        self.start = start
        self.flags = SimpleNamespace()  # may be told not to be written to, and is not watched

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name) if name.startswith("_") else _not_here(f"ndarray.{name}")

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def T(self) -> ndarray:  # noqa: N802
        return ndarray(self.store, self.shape[::-1], self.dtype, self.steps[::-1], self.start)

    def swapaxes(self, one: int, other: int) -> ndarray:
        shape, steps = [*self.shape], [*self.steps]
        for lengths in (shape, steps):
            lengths[one], lengths[other] = lengths[other], lengths[one]
        return ndarray(self.store, tuple(shape), self.dtype, tuple(steps), self.start)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        (value,) = self.flat()
        return bool(value)

    def __repr__(self) -> str:
        return f"array({self.tolist()})"

    def places(self) -> Sequence[int]:
        """Where in the list the numbers are, in C order."""
        if self.steps == _steps(self.shape):
            return range(self.start, self.start + self.size)
        found: Sequence[int] = [self.start]
        for length, step in zip(self.shape, self.steps, strict=True):
            found = [place + step * i for place in found for i in range(length)]
        return found

    def flat(self) -> list[Any]:
        """The numbers in C order."""
        found = self.places()
        if isinstance(found, range):
            return self.store[found.start : found.stop]
        return [self.store[place] for place in found]

    def tolist(self) -> Any:
        if not self.shape:
            return self.store[self.start]
        return self.flat() if len(self.shape) == 1 else [row.tolist() for row in self]

    def tobytes(self) -> bytes:
        values = self.flat()
        return struct.pack(f"{len(values)}{self.dtype.code}", *values)

    def copy(self) -> ndarray:
        return ndarray(self.flat(), self.shape, self.dtype)

    def astype(self, dtype: Any, copy: bool = True) -> ndarray:
        kind = _dtype(dtype)
        return ndarray(list(map(kind, self.flat())), self.shape, kind)

    def view(self, dtype: Any) -> ndarray:
        """The same bits read as another type; unlike NumPy's, a copy."""
        kind = _dtype(dtype)
        values = struct.unpack(f"{self.size}{kind.code}", self.tobytes())
        return ndarray(list(values), self.shape, kind)

    def reshape(self, *shape: Any) -> ndarray:
        wanted = list(shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)
        if -1 in wanted:
            rest = math.prod(length for length in wanted if length != -1)
            wanted[wanted.index(-1)] = self.size // rest if rest else 0
        if math.prod(wanted) != self.size:
            raise ValueError(f"{self.size} numbers do not have the shape {tuple(wanted)}")
        if self.steps == _steps(self.shape):
            return ndarray(self.store, tuple(wanted), self.dtype, None, self.start)
        return ndarray(self.flat(), tuple(wanted), self.dtype)

    def ravel(self) -> ndarray:
        return self.reshape(-1)

    def _chosen(self, key: Any) -> tuple[Sequence[int], tuple[int, ...]]:
        """Where the numbers are that an index picks by arrays, and the shape they come in."""
        if isinstance(key, ndarray) and key.dtype is bool_:
            if self.ndim > 1 and key.ndim == 1:
                return self._chosen(flatnonzero(key))
            places = self.places()
            at = [place for place, chosen in zip(places, key.flat(), strict=True) if chosen]
            return at, (len(at),)
        keys = list(key) if isinstance(key, tuple) else [key]
        keys += [slice(None)] * (self.ndim - len(keys))
        picked: list[Any] = []
        shape: list[int] = []
        common: tuple[int, ...] = ()
        for part, length in zip(keys, self.shape, strict=True):
            if isinstance(part, slice):
                picked.append(range(*part.indices(length)))
                shape.append(len(picked[-1]))
                continue
            numbers = part if isinstance(part, ndarray) else array(part)
            common = max(common, numbers.shape, key=len)
            picked.append([i + length if i < 0 else i for i in numbers.flat()])
            if any(not 0 <= i < length for i in picked[-1]):
                raise IndexError(f"an index outside of an axis of length {length}")
        paired = [k for k, part in enumerate(keys) if not isinstance(part, slice)]
        count = math.prod(common)
        rows = [picked[k] if len(picked[k]) == count else list(picked[k]) * count for k in paired]
        found = []
        for numbers in zip(*rows, strict=True):
            at = {k: [i] for k, i in zip(paired, numbers, strict=True)}
            for index in product(*[at.get(k, picked[k]) for k in range(self.ndim)]):
                found.append(self.start + sum(map(int.__mul__, index, self.steps)))
        if len(keys) == 2 and paired == [1]:  # x[:, numbers]: the slice comes first
            width = len(picked[0])
            found = [found[j * width + i] for i in range(width) for j in range(count)]
            return found, (width, *common)
        return found, (*common, *shape)

    def _part(self, key: Any) -> ndarray | None:
        """The view that numbers and slices name; None for another index."""
        keys = key if isinstance(key, tuple) else (key,)
        shape, steps, start = [], [], self.start
        for k, part in enumerate(keys):
            if isinstance(part, slice):
                wanted = range(*part.indices(self.shape[k]))
                shape.append(len(wanted))
                steps.append(self.steps[k] * wanted.step)
                start += self.steps[k] * wanted.start
            elif isinstance(part, int) and not isinstance(part, bool):
                place = part + self.shape[k] if part < 0 else part
                if not 0 <= place < self.shape[k]:
                    raise IndexError(f"index {part} of an axis of length {self.shape[k]}")
                start += self.steps[k] * place
            else:
                return None
        shape += self.shape[len(keys) :]
        steps += self.steps[len(keys) :]
        return ndarray(self.store, tuple(shape), self.dtype, tuple(steps), start)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, ndarray) and self.ndim == key.ndim == 1 and key.dtype is not bool_:
            values = self.flat()
            return ndarray([values[i] for i in key.flat()], key.shape, self.dtype)
        part = self._part(key)
        if part is not None:
            return part if part.shape else part.store[part.start]
        found, shape = self._chosen(key)
        return ndarray([self.store[place] for place in found], shape, self.dtype)

    def __setitem__(self, key: Any, value: Any) -> None:
        part = self._part(key)
        found = self._chosen(key)[0] if part is None else part.places()
        values = value.flat() if isinstance(value, ndarray) else value
        if not isinstance(values, list):
            values = [values]
        if len(values) == 1:
            values = values * len(found)
        for place, one in zip(found, values, strict=True):
            self.store[place] = self.dtype(one)

    def _with(self, other: Any, combine: Callable[[Any, Any], Any], kind: Any = None) -> ndarray:
        if not isinstance(other, ndarray):
            if not isinstance(other, int | float):
                return NotImplemented
            mine = self.flat()
            wide = kind or (float64 if isinstance(other, float) else self.dtype)
            if wide is bool_ and kind is None and not isinstance(other, bool):
                wide = int64
            return ndarray([wide(combine(one, other)) for one in mine], self.shape, wide)
        shape, left, right = _together(self, other)
        order = (bool_, int64, uint64, float64)
        wide = kind or order[max(order.index(self.dtype), order.index(other.dtype))]
        return ndarray([wide(combine(a, b)) for a, b in zip(left, right, strict=True)], shape, wide)

    def __eq__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a == b, bool_)

    def __ne__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a != b, bool_)

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a < b, bool_)

    def __le__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a <= b, bool_)

    def __gt__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a > b, bool_)

    def __ge__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a >= b, bool_)

    def __add__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a + b)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a * b)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a // b)

    def __mod__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a % b)

    def __and__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a & b)

    def __or__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a | b)

    def __xor__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a ^ b)

    def __rshift__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a >> b)

    def __neg__(self) -> ndarray:
        return self._with(-1, lambda a, b: a * b)

    def __invert__(self) -> ndarray:
        if self.dtype is bool_:
            return self._with(True, lambda a, b: a is not b)
        return self._with(-1, lambda a, b: a ^ b)

    def _folded(self, fold: Callable[[list[Any]], Any], axis: int | None, kind: Any = None) -> Any:
        if axis is None or self.ndim == 1:
            return fold(self.flat())
        lines = self.T if axis == 0 else self
        return array([fold(line.flat()) for line in lines], kind or self.dtype)

    def all(self, axis: int | None = None) -> Any:
        return self._folded(all, axis, bool_)

    def any(self, axis: int | None = None) -> Any:
        return self._folded(any, axis, bool_)

    def sum(self, axis: int | None = None) -> Any:
        return self._folded(sum, axis, int64 if self.dtype is bool_ else self.dtype)

    def min(self, axis: int | None = None) -> Any:
        return self._folded(min, axis)

    def max(self, axis: int | None = None, initial: Any = None) -> Any:
        if initial is not None:
            return max([initial, *self.flat()])
        return self._folded(max, axis)

    def argmax(self) -> int:
        values = self.flat()
        return values.index(max(values))


class errstate(ContextDecorator):  # noqa: N801
    """Python's numbers warn of nothing, so there is nothing to be told to ignore."""

    def __init__(self, **_: str) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def _not_here(name: str) -> AttributeError:
    return AttributeError(
        f"numpy.{name} is not in this page: NumPy has no wheel for WebAssembly, and what stands "
        "for it has what roll needs. Use target='python' here, and arrays outside of the browser"
    )


def __getattr__(name: str) -> Any:
    raise AttributeError(name) if name.startswith("__") else _not_here(name)


def _dtype(given: Any) -> _Type:
    return _TYPES.get(given, given)


def _together(a: ndarray, b: ndarray) -> tuple[tuple[int, ...], list[Any], list[Any]]:
    """Two arrays on their common grid: its shape, and the numbers of both in C order."""
    if a.shape == b.shape:
        return a.shape, a.flat(), b.flat()
    width = max(a.ndim, b.ndim)
    shapes = [(1,) * (width - x.ndim) + x.shape for x in (a, b)]
    shape = tuple(n if m == 1 else m for m, n in zip(*shapes, strict=True))
    spread = []
    for x, own in zip((a, b), shapes, strict=True):
        if any(n not in (1, m) for m, n in zip(shape, own, strict=True)):
            raise ValueError(f"shapes {a.shape} and {b.shape} do not fit together")
        steps = (0,) * (width - x.ndim) + x.steps
        moved = tuple(0 if n == 1 else step for n, step in zip(own, steps, strict=True))
        spread.append(ndarray(x.store, shape, x.dtype, moved, x.start).flat())
    return shape, spread[0], spread[1]


def array(given: Any, dtype: Any = None) -> ndarray:
    if isinstance(given, ndarray):
        return given.copy() if dtype is None else given.astype(dtype)
    shape: list[int] = []
    values = [given]
    while values and (isinstance(values[0], list | tuple | range | ndarray)):
        if len({len(part) for part in values}) > 1:
            raise ValueError("rows of different lengths are no array")
        shape.append(len(values[0]))
        values = [one for part in values for one in part]
    kind = _type_of(values) if dtype is None else _dtype(dtype)
    if not shape or (0 in shape and dtype is None and not values):
        kind = kind if values else float64
    return ndarray(list(map(kind, values)), tuple(shape), kind)


asarray = array


def _shape(given: Any) -> tuple[int, ...]:
    return (given,) if isinstance(given, int) else tuple(given)


def full(shape: Any, value: Any, dtype: Any = None) -> ndarray:
    kind = _type_of([value]) if dtype is None else _dtype(dtype)
    lengths = _shape(shape)
    return ndarray([kind(value)] * math.prod(lengths), lengths, kind)


def zeros(shape: Any, dtype: Any = float) -> ndarray:
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: Any = float) -> ndarray:
    return full(shape, 1, dtype)


empty = zeros


def arange(*bounds: int) -> ndarray:
    return array(list(range(*bounds)), int64)


def concatenate(parts: Iterable[Any]) -> ndarray:
    arrays = [part if isinstance(part, ndarray) else array(part) for part in parts]
    values = [one for part in arrays for one in part.flat()]
    return array(values, None if values else arrays[0].dtype)


def append(first: Any, last: Any) -> ndarray:
    return concatenate([first, last if isinstance(last, ndarray) else [last]])


def stack(parts: Sequence[ndarray], axis: int = 0) -> ndarray:
    rows = array([part.tolist() for part in parts], parts[0].dtype)
    return rows if axis == 0 else rows.T.copy()


def repeat(given: ndarray, counts: Any) -> ndarray:
    times = counts.flat() if isinstance(counts, ndarray) else [counts] * len(given)
    values = given.flat()
    found = [one for one, count in zip(values, times, strict=True) for _ in range(count)]
    return ndarray(found, (len(found),), given.dtype)


def tile(given: ndarray, count: int) -> ndarray:
    return ndarray(given.flat() * count, (given.size * count,), given.dtype)


def diff(given: ndarray) -> ndarray:
    return given[1:] - given[:-1]


def flatnonzero(given: ndarray) -> ndarray:
    return array([i for i, one in enumerate(given.flat()) if one], int64)


def cumsum(given: ndarray) -> ndarray:
    return array(list(accumulate(map(int, given.flat()))), int64)


def bincount(given: ndarray, minlength: int = 0) -> ndarray:
    counts = [0] * max(minlength, max(given.flat(), default=-1) + 1)
    for one in given.flat():
        counts[one] += 1
    return array(counts, int64)


def argmax(given: ndarray) -> int:
    return given.argmax()


def argsort(given: ndarray, kind: str = "stable") -> ndarray:
    values = given.flat()
    return array(sorted(range(len(values)), key=values.__getitem__), int64)


def lexsort(keys: Sequence[ndarray]) -> ndarray:
    rows = list(zip(*[key.flat() for key in reversed(keys)], strict=True))
    return array(sorted(range(len(rows)), key=rows.__getitem__), int64)


def searchsorted(given: ndarray, wanted: ndarray, side: str = "left") -> ndarray:
    find = bisect_left if side == "left" else bisect_right
    values = given.flat()
    return array([find(values, one) for one in wanted.flat()], int64)


def unique(
    given: ndarray,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
) -> Any:
    if axis == 1:
        return array([list(line) for line in sorted({tuple(x.flat()) for x in given.T})], bool).T
    first: dict[Any, int] = {}
    count: dict[Any, int] = {}
    for place, one in enumerate(given.flat()):
        first.setdefault(one, place)
        count[one] = count.get(one, 0) + 1
    values = sorted(first)
    rank = {one: place for place, one in enumerate(values)}
    answers: list[Any] = [array(values, given.dtype)]
    if return_index:
        answers.append(array([first[one] for one in values], int64))
    if return_inverse:
        answers.append(array([rank[one] for one in given.flat()], int64))
    if return_counts:
        answers.append(array([count[one] for one in values], int64))
    return answers[0] if len(answers) == 1 else tuple(answers)


def indices(lengths: Sequence[int]) -> list[ndarray]:
    """For each axis, the place along it of every point of a grid."""
    grid = list(product(*map(range, lengths)))
    return [array([p[k] for p in grid], int64).reshape(lengths) for k in range(len(lengths))]


def unravel_index(given: ndarray, shape: Sequence[int]) -> list[ndarray]:
    steps = _steps(shape)
    return [given // step % length for step, length in zip(steps, shape, strict=True)]


def linspace(low: float, high: float, count: int) -> ndarray:
    return array([low + (high - low) * i / (count - 1) for i in range(count)], float64)


def rint(given: ndarray) -> ndarray:
    return array([float(round(one)) for one in given.flat()], float64)


def _lstsq(matrix: ndarray, target: ndarray, rcond: Any = None) -> tuple[ndarray]:
    """The shortest least-squares solution, by conjugate gradients in exact fractions.

    Begun at zero these stay among the rows of the matrix, where the shortest solution is; they end
    after as many steps as there are unknowns.
    """
    rows = [[Fraction(one) for one in row.flat()] for row in matrix]
    columns = list(zip(*rows, strict=True))

    def dot(a: Iterable[Fraction], b: Iterable[Fraction]) -> Fraction:
        return sum(map(Fraction.__mul__, a, b), Fraction())

    solution = [Fraction()] * len(columns)
    rest = [Fraction(one) for one in target.flat()]
    slope = [dot(column, rest) for column in columns]
    towards = slope
    while any(slope):
        moved = [dot(row, towards) for row in rows]
        step = dot(slope, slope) / dot(moved, moved)
        solution = [x + step * p for x, p in zip(solution, towards, strict=True)]
        rest = [r - step * m for r, m in zip(rest, moved, strict=True)]
        new = [dot(column, rest) for column in columns]
        ratio = dot(new, new) / dot(slope, slope)
        slope, towards = new, [n + ratio * p for n, p in zip(new, towards, strict=True)]
    return (array(list(map(float, solution)), float64),)


linalg: Final = SimpleNamespace(lstsq=_lstsq)


def _reduceat(fold: Callable[[list[Any]], Any]) -> Callable[[ndarray, ndarray], ndarray]:
    def reduceat(given: ndarray, starts: ndarray) -> ndarray:
        values, begin = given.flat(), starts.flat()
        ends = [*begin[1:], len(values)]
        parts = [values[i : max(j, i + 1)] for i, j in zip(begin, ends, strict=True)]
        return array(list(map(fold, parts)), given.dtype)

    return reduceat


def _at(join: Callable[[Any, Any], Any]) -> Callable[[ndarray, ndarray, ndarray], None]:
    def at(total: ndarray, places: ndarray, values: ndarray) -> None:
        for place, one in zip(places.flat(), values.flat(), strict=True):
            total[place] = join(total[place], one)

    return at


def _any_of(parts: Sequence[ndarray]) -> ndarray:
    return array([any(together) for together in zip(*[p.flat() for p in parts], strict=True)], bool)


class _Extreme:
    """The least or the greatest of two, and of each run of numbers."""

    def __init__(self, choose: Callable[..., Any]) -> None:
        self._choose, self.reduceat, self.at = choose, _reduceat(choose), _at(choose)

    def __call__(self, given: ndarray, other: Any) -> Any:
        return given._with(other, self._choose)


minimum: Final = _Extreme(min)
maximum: Final = _Extreme(max)
add: Final = SimpleNamespace(at=_at(lambda a, b: a + b))
gcd: Final = SimpleNamespace(reduce=lambda given: math.gcd(*given.flat()))
logical_or: Final = SimpleNamespace(reduce=_any_of)
