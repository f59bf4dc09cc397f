"""Where all arrays of a function on arrays are, and where its outputs go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Final, NamedTuple

from ...arrays.statements import COMPUTED, LITERAL, Array, Home
from ...errors import MissingInputError
from ...graph.store import listing
from ...ops.shapes import BATCH, shape_text
from ..array.function import ArrayFunction, Element, Vector, Whole
from .lanes import orders, width
from .stages import Stages
from .storage import Samples, Storage, in_order, inner, plain

ALIGNED: Final = 8
"""Arrays begin at multiples of so many elements."""


@dataclass
class Copied:
    """Elements of an array that are copied to the results: from their places, in C order."""

    array: str
    places: tuple[int, ...]
    position: int


class Stacked(NamedTuple):
    """A result that is a number, or an array, for each sample.

    place  which element of the array; None for all of it
    start  how many numbers of a sample come before it
    """

    array: str
    place: int | None
    start: int


@dataclass
class Results:
    """The outputs: how they are nested, and what is copied to where.

    tree     as in `wengert.codegen.native.emit`; ["a", i, shape] is an array, and ["b", i, shape]
             one for each sample
    numbers  how many results are numbers
    stacks   those of which there is one per sample
    each     how many numbers of a sample they are
    """

    tree: Any = None
    numbers: int = 0
    copies: list[Copied] = field(default_factory=list)
    stacks: list[Stacked] = field(default_factory=list)
    each: int = 0

    def stack(self, array: str, place: int | None, size: int) -> int:
        """Note a result for each sample; answers how many numbers come before it."""
        self.stacks.append(Stacked(array, place, self.each))
        self.each += size
        return self.stacks[-1].start


def results_of(outputs: Any, arrays: Mapping[str, Array]) -> Results:
    """What becomes of nested outputs."""
    results = Results()

    def told(nested: Any) -> list[Any]:
        if isinstance(nested, Mapping):
            return ["d", [[key, told(item)] for key, item in nested.items()]]
        if isinstance(nested, Element):
            if nested.stacked:
                return ["s", results.stack(nested.array, nested.place, 1)]
            results.copies.append(Copied(nested.array, (nested.place,), results.numbers))
            results.numbers += 1
            return ["n", results.numbers - 1]
        if isinstance(nested, Vector):
            return _vector_told(nested, results)
        if isinstance(nested, Whole):
            return _whole_told(nested, results, arrays[nested.array])
        return ["l", [told(item) for item in nested]]

    results.tree = told(outputs)
    return results


def _vector_told(vector: Vector, results: Results) -> list[Any]:
    elements = [(array, place) for array, places in vector.pieces for place in places]
    if vector.stacked:
        return ["l", [["s", results.stack(array, place, 1)] for array, place in elements]]
    start = results.numbers
    for array, places in vector.pieces:
        results.copies.append(Copied(array, tuple(places), results.numbers))
        results.numbers += len(places)
    return ["v", start, results.numbers - start]


def _whole_told(whole: Whole, results: Results, array: Array) -> list[Any]:
    shape = inner(array.shape)
    size = prod(shape)
    if whole.stacked:
        return ["b", results.stack(whole.array, None, size), list(shape)]
    results.copies.append(Copied(whole.array, tuple(range(size)), results.numbers))
    results.numbers += size
    return ["a", results.numbers - size, list(shape)]


@dataclass
class Memory:
    """Where every array is.

    fixed      how many elements there are that are the same for all samples
    each       how many for each sample
    constants  the numbers of arrays that are known
    """

    storages: dict[str, Storage]
    fixed: int = 0
    each: int = 0
    constants: list[tuple[float, ...]] = field(default_factory=list)

    def room(self, size: int, lanes: int) -> int:
        """Room for so many elements; answers where it begins."""
        start = self.fixed
        self.fixed += size + -size % max(ALIGNED, lanes)
        return start

    def room_each(self, size: int) -> int:
        """Room for so many elements of each sample."""
        start = self.each
        self.each += size
        return start


def placed(
    function: ArrayFunction, stages: Stages, results: Results, lanes: int, by_rows: bool
) -> Memory:
    """Places for all arrays. What is copied to the results as it is, is computed there at once.

    by_rows  whether the numbers of each sample lie side by side, not those of several samples
    """
    return _Placing(function, stages, results, lanes, by_rows).memory()


class _Placing:
    def __init__(
        self,
        function: ArrayFunction,
        stages: Stages,
        results: Results,
        lanes: int,
        by_rows: bool,
    ) -> None:
        self._function, self._stages, self._results = function, stages, results
        self._lanes, self._by_rows = lanes, by_rows
        self._memory = Memory({})
        self._numbers: dict[tuple[float, ...], int] = {}

    def memory(self) -> Memory:
        """All places, the orders of axes chosen."""
        memory, arrays = self._memory, self._stages.arrays
        read = {r.array for s in self._stages.statements for r in s.reads}
        needed = read | {s.array for s in self._stages.statements}
        needed |= {c.array for c in self._results.copies}
        needed |= {stack.array for stack in self._results.stacks}
        needed |= {arrays[name].home.vector for name in needed if arrays[name].home}  # type: ignore[union-attr]
        for name, array in arrays.items():
            if name in needed and array.kind != COMPUTED:
                memory.storages[name] = self._given(array)
        self._place_results(needed)
        choices: dict[str, list[Storage]] = {}
        for name, array in arrays.items():
            if name in memory.storages or name not in needed or array.home is not None:
                continue
            if BATCH in array.shape:
                laid = self._in_rows if self._by_rows else self._in_lanes
                memory.storages[name] = laid(array)
            else:
                choices[name] = self._options(array)
                memory.storages[name] = choices[name][0]
        for name, array in arrays.items():
            if name in needed and name not in memory.storages and array.home is not None:
                memory.storages[name] = part(memory.storages[array.home.vector], array, array.home)
        statements, lanes = self._stages.statements, self._lanes
        chosen = orders(statements, arrays, memory.storages, choices, lanes, self._by_rows)
        for name in choices:
            storage = chosen[name]
            start = memory.room(_extent(storage), self._lanes)
            memory.storages[name] = replace(storage, offset=start)
        for name, array in arrays.items():
            home = array.home
            if home is not None and home.vector in choices and name in memory.storages:
                memory.storages[name] = part(memory.storages[home.vector], array, home)
        return memory

    def _given(self, array: Array) -> Storage:
        """Where a leaf or a literal is."""
        shape = inner(array.shape)
        if array.kind == LITERAL:
            return self._constant(array.values, array)
        groups = self._function.groups
        for group in groups:
            if group.name in (array.name, array.home.vector if array.home else ""):
                whole = max(1, prod(group.row))
                number = [g.name for g in groups if g.batched == group.batched].index(group.name)
                base = Storage("rows" if group.batched else "group", (whole,), (1,), number)
                if group.batched:
                    base = replace(base, samples=Samples(False, whole))
                if array.home is not None:
                    return part(base, array, array.home)
                return replace(base, shape=shape, strides=plain(shape))
        values = self._function.values
        missing = [name for name in array.elements if name not in values]
        if not array.elements:
            raise MissingInputError(
                f"{array.name!r} is an array of shape {shape_text(array.shape)} that no input "
                "names; add it to inputs"
            )
        if missing:
            raise MissingInputError(f"no value for {listing(missing)}; give each a number")
        return self._constant([values[name] for name in array.elements], array)

    def _constant(self, values: Sequence[float], array: Array) -> Storage:
        numbers = tuple(map(float, values))
        number = self._numbers.setdefault(numbers, len(self._numbers))
        if number == len(self._memory.constants):
            self._memory.constants.append(numbers)
        return Storage("constant", array.shape, plain(array.shape), number)

    def _place_results(self, needed: set[str]) -> None:
        """Arrays that are computed where they are put out."""
        arrays, memory = self._stages.arrays, self._memory
        kept = []
        for copied in self._results.copies:
            array = arrays[copied.array]
            whole = copied.places == tuple(range(array.size))
            if (
                whole
                and array.kind == COMPUTED
                and array.home is None
                and BATCH not in array.shape
                and copied.array not in memory.storages
            ):
                shape = array.shape
                memory.storages[copied.array] = Storage(
                    "out", shape, plain(shape), offset=copied.position
                )
            else:
                kept.append(copied)
        self._results.copies = kept

    def _in_lanes(self, array: Array) -> Storage:
        """An array whose numbers of a block of samples are side by side."""
        shape, lanes = inner(array.shape), self._lanes
        strides = tuple([lanes * stride for stride in plain(shape)])
        samples = Samples(True, lanes * prod(shape))
        before = self._memory.room_each(prod(shape))
        return Storage("each", shape, strides, before, samples=samples, padded=True)

    def _in_rows(self, array: Array) -> Storage:
        """An array whose numbers of a sample are side by side."""
        shape = inner(array.shape)
        last = shape[-1] if shape else 1
        end = last + -last % width(last, self._lanes)
        strides = in_order(shape, range(len(shape)), end)
        size = end * prod(shape[:-1])
        before = self._memory.room_each(size)
        return Storage("each", shape, strides, before, samples=Samples(False, size), padded=True)

    def _options(self, array: Array) -> list[Storage]:
        """An array in each order that its axes may have: as they are, and any of them last."""
        shape = array.shape
        axes = range(len(shape))
        found = []
        for last in reversed(axes):
            if shape[last] > 1 or last == len(shape) - 1:
                order = [axis for axis in axes if axis != last] + [last]
                wide = width(shape[last], self._lanes)
                end = shape[last] + -shape[last] % wide
                strides = in_order(shape, order, end)
                found.append(Storage("fixed", shape, strides, padded=True))
        return found or [Storage("fixed", (), (), padded=True)]


def _extent(storage: Storage) -> int:
    """How many elements of memory an array takes."""
    if not storage.shape:
        return 1
    largest = max(zip(storage.strides, storage.shape, strict=True))
    return max(1, largest[0] * largest[1])


def part(vector: Storage, array: Array, home: Home) -> Storage:
    """The storage of a part of a vector."""
    shape = inner(array.shape)
    step = vector.strides[0]
    found = home.strides(shape)
    if found is None:
        places = tuple([vector.offset + step * place for place in home.places])
        none = (0,) * len(shape)
        return replace(vector, shape=shape, strides=none, places=places, offset=0, padded=False)
    first, strides = found
    offset = vector.offset + step * first
    strides = tuple([step * stride for stride in strides])
    padded = vector.base == "each" and vector.samples is not None and vector.samples.in_lanes
    return replace(vector, shape=shape, strides=strides, offset=offset, padded=padded)
