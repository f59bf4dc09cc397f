"""What an optimizer remembers of the parameters of a traced function, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from ..graph.value import Value
from ..train.optim import Optimizer
from .moving import index_of, places_of, read_into, vector_of, write_numbers
from .outcome import Slopes
from .updates import ROOM, Updates

FEW: Final = 8
"""Up to so many pieces a row is taken apart in; more are slower than one number after another."""

Numbers = Callable[[Sequence[Value]], Any]
"""Gives the numbers of Values as an array."""


class Moments:
    """The parameters a function was seen to have, and an optimizer's numbers for each.

    >>> from wengert.train.optim import SGD
    >>> w = Value(1.0)
    >>> Moments().step(SGD(0.5), lambda numbers: (4.0, [([w, w], [1.0, 2.0])])), w.data
    (4.0, -0.5)
    """

    def __init__(self) -> None:
        self._places: dict[Value, int] = {}
        self._listed: tuple[Value, ...] = ()
        self._columns: Any = None
        self._now: Any = None
        self._index: Any = None
        self._known: dict[int, tuple[Sequence[Value], _Places]] = {}
        self._once: tuple[Any, ...] | None = None
        self._updates = Updates()

    def step(
        self,
        rule: Optimizer,
        derivatives: Callable[[Numbers], tuple[float, Slopes]],
        soon: bool = False,
    ) -> float:
        """Move every leaf seen so far; the gradient of those that are not listed is 0.

        derivatives  gives the number that is made smaller, and its derivatives, from what gives
                     the numbers of Values: they are read once for both
        soon         says that the derivatives come from machine code, so that the update may be
                     some too
        """
        passing: dict[int, _Places] = {}
        read = bool(self._listed) and read_into(self._now, self._listed)

        def numbers(values: Sequence[Value]) -> Any:
            places = self._found(values, passing) if read else None
            return vector_of(values) if places is None else places.taken(self._now)

        number, slopes = derivatives(numbers)
        places = [self._found(v, passing) or self._learned(v) for v, _ in slopes]
        if self._grown(len(rule.slots)) or not read:
            self._now[:] = vector_of(self._listed)
        gradient = self._columns[-1]
        gradient[:] = 0.0
        for place, (_, part) in zip(places, slopes, strict=True):
            place.add(gradient, part)
        fresh, before = rule.state(0), self._once or ()
        once = (*before[: len(fresh)], *fresh[len(before) :])  # a rate may become a schedule
        self._once = self._updates.step(rule, self._columns, len(self._listed), once, soon)
        write_numbers(self._listed, self._now)
        return number

    def _grown(self, slots: int) -> bool:
        """Make room for all leaves, and so many numbers for each, new ones 0; if there was none.

        The last place of all is nobody's: there goes the gradient of what is no leaf.
        """
        import numpy

        count, before = len(self._places), len(self._listed)
        if count == before and self._columns is not None and len(self._columns) == slots + 2:
            return False
        columns = numpy.zeros((slots + 2, (count // ROOM + 1) * ROOM))
        if self._columns is not None:
            kept = min(slots, len(self._columns) - 2)
            columns[1 : kept + 1, :before] = self._columns[1 : kept + 1, :before]
        self._columns, self._listed = columns, tuple(self._places)
        self._index = index_of(self._listed)
        self._now = columns[0, :count]
        return True

    def _found(self, values: Sequence[Value], passing: dict[int, _Places]) -> _Places | None:
        """Where the numbers of these Values are, if all of them are known leaves.

        Tuples are the parameters of a program, the same at each call; others are kept in `passing`.
        """
        known = self._known.get(id(values))
        if known is not None:
            return known[1] if known[1].complete else None
        found = passing.get(id(values))
        if found is None:
            at = self._at(values)
            if at is None:
                return None
            found = passing[id(values)] = _Places.of(at, isinstance(values, tuple))
            if isinstance(values, tuple):
                self._known[id(values)] = values, found
        return found

    def _at(self, values: Sequence[Value]) -> Any:
        """The place of each of these Values; None if one of them is not known."""
        if self._index is not None:
            return places_of(values, self._index)
        import numpy

        try:
            return numpy.array([self._places[value] for value in values], numpy.int64)
        except KeyError:
            return None

    def _learned(self, values: Sequence[Value]) -> _Places:
        """Where the numbers of these Values are from now on; -1 for those that are no leaves."""
        import numpy

        places = self._places
        for value in values:
            if value.is_leaf:
                places.setdefault(value, len(places))
        at = numpy.array([places.get(value, -1) for value in values], numpy.int64)
        found = _Places.of(at, isinstance(values, tuple))
        if isinstance(values, tuple):
            self._known[id(values)] = values, found
        return found


class _Places(NamedTuple):
    """Where some numbers are in a row: one by one, or in pieces of both.

    complete  whether all of them are there
    """

    at: Any
    pieces: tuple[tuple[slice, slice], ...]
    complete: bool

    @classmethod
    def of(cls, at: Any, pieces: bool) -> _Places:
        """From the place of each; `pieces` says to look for some, and whether all are there."""
        if not pieces:
            return cls(at, (), True)
        import numpy

        complete = not len(at) or int(at.min()) >= 0
        ends = [0, *(numpy.flatnonzero(numpy.diff(at) != 1) + 1).tolist(), len(at)]
        if complete and len(ends) <= FEW + 1 and len(numpy.unique(at)) == len(at):
            starts = at[ends[:-1]].tolist()
            found = [
                (slice(a, b), slice(start, start + b - a))
                for (a, b), start in zip(pairwise(ends), starts, strict=True)
            ]
            return cls(at, tuple(found), complete)
        return cls(at, (), complete)

    def taken(self, row: Any) -> Any:
        """The numbers that are there."""
        import numpy

        if not self.pieces:
            return row[self.at]
        found = [row[place] for _, place in self.pieces]
        return found[0] if len(found) == 1 else numpy.concatenate(found)

    def add(self, row: Any, part: Any) -> None:
        """Add to each its part; to one that is there twice, twice."""
        if not self.pieces:
            import numpy

            numpy.add.at(row, self.at, part)
        for own, place in self.pieces:
            row[place] += part[own]
