"""Where the numbers of a call come from: what each argument of the compiled code is made of."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import TracingError
from ..graph.value import Value
from .structure import Flat
from .wholes import Step, whole_numbers


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


@dataclass(frozen=True, slots=True)
class Lookup:
    """One row of a table: of which rows, by which whole number, and how many entries it has.

    single  whether a row is one entry rather than a sequence
    """

    rows: Any
    step: int
    count: int
    single: bool

    def entries(self, wholes: list[int]) -> Sequence[Any]:
        """The entries of the row that is picked at a call."""
        index, rows = wholes[self.step], self.rows
        if not -len(rows) <= index < len(rows):
            raise IndexError(f"index {index} of a table of {len(rows)} rows")
        row: Any = rows[index]
        entries = (row,) if self.single else row
        if len(entries) != self.count:
            raise TracingError(
                f"row {index} of a table has {len(entries)} entries; expected {self.count}, as "
                "the row that was traced had"
            )
        return entries


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one table, one after another; `trained` if they hold Values, else numbers."""

    lookups: tuple[Lookup, ...]
    trained: bool

    def found(self, flat: Flat, wholes: list[int]) -> Sequence[Any]:
        """The Values, or numbers, of a call."""
        entries: list[Any] = []
        for lookup in self.lookups:
            entries += lookup.entries(wholes)
        return entries


@dataclass(frozen=True, slots=True)
class Chosen:
    """For each (step, count) a row of so many 0s, with a 1 where the whole number says."""

    choices: tuple[tuple[int, int], ...]
    trained = False

    def found(self, flat: Flat, wholes: list[int]) -> Sequence[Any]:
        """The Values, or numbers, of a call."""
        numbers = array("d", bytes(8 * sum([count for _, count in self.choices])))
        start = 0
        for step, count in self.choices:
            index = wholes[step]
            if not -count <= index < count:
                raise IndexError(f"index {index} of a table of {count} rows")
            numbers[start + index % count] = 1.0
            start += count
        return numbers


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
