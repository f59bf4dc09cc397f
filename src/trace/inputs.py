"""Where the numbers of a call come from: what each argument of the compiled code is made of."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..codegen.native import steps as native
from ..errors import TracingError
from ..graph.value import Value
from .structure import Flat
from .wholes import GIVEN, Step, row_at, whole_numbers


@dataclass(frozen=True, slots=True)
class Parameters:
    """Values from outside, always the same ones."""

    values: tuple[Value, ...]
    trained = True

    def found(self, flat: Flat, wholes: list[int]) -> Sequence[Any]:
        """The Values, or numbers, of a call."""
        return self.values


@dataclass(frozen=True, slots=True)
class Floats:
    """Some of the floats among the arguments."""

    places: tuple[int, ...]
    trained = False

    def found(self, flat: Flat, wholes: list[int]) -> Sequence[Any]:
        """The Values, or numbers, of a call."""
        floats = flat.floats
        return [floats[place] for place in self.places]


@dataclass(frozen=True, slots=True)
class Given:
    """Some of the Values among the arguments."""

    places: tuple[int, ...]
    trained = True

    def found(self, flat: Flat, wholes: list[int]) -> Sequence[Any]:
        """The Values, or numbers, of a call."""
        values = flat.values
        return [values[place] for place in self.places]


@dataclass(frozen=True, slots=True)
class Integers:
    """Whole numbers that are computed with; the places are those of their steps."""

    places: tuple[int, ...]
    trained = False

    def found(self, flat: Flat, wholes: list[int]) -> Sequence[Any]:
        """The Values, or numbers, of a call."""
        return [float(wholes[step]) for step in self.places]


class Lookup(NamedTuple):
    """One row of a table: of which rows, by which whole number, and how many entries it has.

    single  whether a row is one entry rather than a sequence
    """

    rows: Any
    step: int
    width: int
    single: bool


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one table, one after another; `trained` if they hold Values, else numbers."""

    lookups: tuple[Lookup, ...]
    trained: bool

    def found(self, flat: Flat, wholes: list[int]) -> Sequence[Any]:
        """The Values, or numbers, of a call."""
        entries: list[Any] = []
        for rows, step, width, single in self.lookups:
            index = wholes[step]
            row: Any = row_at(rows, index)
            row = (row,) if single else row
            if len(row) != width:
                raise TracingError(
                    f"row {index} of a table has {len(row)} entries; expected {width}, as the row "
                    "that was traced had"
                )
            entries += row
        return entries


@dataclass(frozen=True, slots=True)
class Chosen:
    """For each (step, count) a row of so many 0s, with a 1 where the whole number says."""

    choices: tuple[tuple[int, int], ...]
    _zeros: bytes = field(init=False, repr=False, compare=False)
    trained = False

    def __post_init__(self) -> None:
        size = sum([count for _, count in self.choices])
        object.__setattr__(self, "_zeros", bytes(array("d").itemsize * size))

    def found(self, flat: Flat, wholes: list[int]) -> Sequence[Any]:
        """The Values, or numbers, of a call."""
        numbers = array("d", self._zeros)
        start = 0
        for step, count in self.choices:
            index = wholes[step]
            numbers[start + row_at(range(count), index)] = 1.0
            start += count
        return numbers


Parts = Sequence[tuple[int, Any, int]]
Source = Parameters | Floats | Given | Integers | Rows | Chosen


@dataclass(frozen=True, slots=True)
class Inputs:
    """The arguments of the compiled code by name, and the steps that give whole numbers."""

    sources: Mapping[str, Source]
    steps: tuple[Step, ...]

    @property
    def trained(self) -> list[str]:
        """The names of those that are Values, by which there are derivatives."""
        return [name for name, source in self.sources.items() if source.trained]

    def read(self, flat: Flat) -> tuple[list[Sequence[Any]], list[Sequence[Value]]]:
        """What each argument is made of at a call, and of these those that are Values."""
        wholes = whole_numbers(self.steps, flat.integers)
        found, values = [], []
        for source in self.sources.values():
            part = source.found(flat, wholes)
            found.append(part)
            if source.trained:
                values.append(part)
        return found, values

    def told(
        self,
        results: Mapping[str, tuple[int, int]],
        pieces: Callable[[Sequence[Value]], Parts],
    ) -> list[native.Source] | None:
        """The arguments as a whole step in machine code takes them; None if it cannot.

        results  where the derivatives by each are among the results, and how many
        pieces   where Values are among all parameters; nothing if they are all over them
        """
        if any(step.kind != GIVEN for step in self.steps):
            return None
        integers = [step.a for step in self.steps]
        found = []
        for name, source in self.sources.items():
            kind, parts = _parts(source, integers, pieces)
            start, count = results.get(name, (-1, 0))
            whole = native.Source(kind, parts, start)
            if not parts or (source.trained and whole.width != count):
                return None
            found.append(whole)
        return found


def _parts(
    source: Source, integers: Sequence[int], pieces: Callable[[Sequence[Value]], Parts]
) -> tuple[int, Parts]:
    """The kind and the parts of a source as machine code takes it; no parts if it cannot."""
    if isinstance(source, Parameters):
        return native.PIECES, pieces(source.values)
    if isinstance(source, Floats):
        return native.FLOATS, [(place, 0, 1) for place in source.places]
    if isinstance(source, Given):
        return native.GIVEN, [(place, 0, 1) for place in source.places]
    if isinstance(source, Integers):
        return native.INTEGERS, [(integers[step], 0, 1) for step in source.places]
    if isinstance(source, Chosen):
        return native.CHOSEN, [(integers[step], 0, width) for step, width in source.choices]
    if not source.trained:
        return native.ROWS, []
    (alone, *others) = {lookup.single for lookup in source.lookups}
    parts = [(integers[x.step], x.rows, x.width) for x in source.lookups]
    return native.ENTRIES if alone else native.ROWS, [] if others else parts
