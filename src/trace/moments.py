"""What an optimizer remembers of the parameters of a traced function, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from ..codegen.native.steps import Parameters, results_of, step_of
from ..graph.value import Value
from ..train.optim import Optimizer
from .moving import index_of, places_of, read_into, vector_of, write_numbers
from .outcome import Slopes
from .program import Program
from .structure import Flat
from .updates import ROOM, Now, Settings, Updates, numbers_of

FEW: Final = 8
"""Up to so many pieces a row is taken apart in; more are slower than one number after another."""

WholeStep = Callable[[list[int], list[float], list[Value], Any], float | None]
"""A step for what a call is given and the optimizer's numbers; None if it refuses."""


class Moments:
    """The parameters a function was seen to have, and an optimizer's numbers for each.

    >>> from wengert import function
    >>> from wengert.train.optim import SGD
    >>> w = Value(1.0)
    >>> loss = function(lambda: (w + w) * w)
    >>> Moments().step(SGD(0.5), *loss._learning((), {})), w.data
    (2.0, -1.0)
    """

    def __init__(self) -> None:
        self._places: dict[Value, int] = {}
        self._listed: tuple[Value, ...] = ()
        self._columns: Any = None
        self._now: Any = None
        self._index: Any = None
        self._known: dict[int, tuple[Sequence[Value], _Places]] = {}
        self._once: tuple[Any, ...] = ()
        self._rule: Optimizer | None = None
        self._updates = Updates()
        self._wholes: dict[Program, tuple[WholeStep, Settings] | None] = {}

    def step(self, rule: Optimizer, program: Program, flat: Flat) -> float:
        """Move every leaf seen so far; the gradient of those that are not listed is 0.

        Gives the number that is made smaller, as it was before.
        """
        whole, now = self._wholes.get(program), None
        if whole is not None:
            run, settings = whole
            now = self._at(rule)
            given = flat.integers, flat.floats, flat.values
            number = run(*given, numbers_of(settings, *now[:2]))
            if number is not None:
                program.calls += 1
                self._once = now[2]
                return number
        number = self._taken_apart(rule, program, flat, now)
        known = self._updates.known(rule)
        if known is not None and program.code.turn is None and program not in self._wholes:
            made = self._whole(program, known[0])
            self._wholes[program] = None if made is None else (made, known[1])
        return number

    def forget(self, program: Program) -> None:
        """Let go of what is kept for a program."""
        self._wholes.pop(program, None)

    def _taken_apart(self, rule: Optimizer, program: Program, flat: Flat, now: Now | None) -> float:
        """The same, one thing after another; `now` is what the rule is at this step, if known."""
        passing: dict[int, _Places] = {}
        read = bool(self._listed) and read_into(self._now, self._listed)

        def numbers(values: Sequence[Value]) -> Any:
            places = self._found(values, passing) if read else None
            return vector_of(values) if places is None else places.taken(self._now)

        number, slopes = program.value_and_slopes(flat, numbers)  # they are read once for both
        places = [self._found(v, passing) or self._learned(v) for v, _ in slopes]
        if self._grown(len(rule.slots)) or not read:
            self._now[:] = vector_of(self._listed)
        self._gather(places, slopes)
        now = now or self._at(rule)
        soon = program.compiled.target == "native"
        self._updates.step(now, self._columns, len(self._listed), soon)
        self._once = now[2]
        write_numbers(self._listed, self._now)
        return number

    def _at(self, rule: Optimizer) -> Now:
        """What an optimizer is at the next step, from the numbers that it remembers once."""
        if rule is not self._rule:
            fresh, before = rule.state(0), self._once
            self._once = (*before[: len(fresh)], *fresh[len(before) :])  # a rate may be a schedule
            self._rule = rule
        return rule.at_step(self._once)

    def _whole(self, program: Program, update: Any) -> WholeStep | None:
        """The step of a program as one call of machine code, if there can be one."""
        code = program.code.native
        results = None if code is None or self._index is None else results_of(code)
        sources = None if results is None else program.trace.inputs.told(results, self._pieces)
        if code is None or results is None or sources is None:
            return None
        parameters = Parameters(self._listed, self._columns, self._index)
        return step_of(code, sources, results["value"][0], parameters, update)

    def _pieces(self, values: Sequence[Value]) -> Sequence[tuple[int, int, int]]:
        """Where these Values are among the parameters: first, place, count of each piece."""
        places = self._found(values, {})
        return [] if places is None else _pieces_of(places.at)

    def _gather(self, places: list[_Places], slopes: Slopes) -> None:
        """Add up the gradients, each at its place."""
        gradient = self._columns[-1]
        pairs = [(place, part) for place, (_, part) in zip(places, slopes, strict=True)]
        if len(pairs[0][0].pieces) == 1:  # most parameters stand in a row: these are written once
            (first, part), *pairs = pairs
            row = first.pieces[0][1]
            gradient[: row.start] = gradient[row.stop :] = 0.0
            gradient[row] = part
        else:
            gradient[:] = 0.0
        for place, part in pairs:
            place.add(gradient, part)

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
        self._wholes.clear()
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
            at = self._all_of(values)
            if at is None:
                return None
            found = passing[id(values)] = _Places.of(at, isinstance(values, tuple))
            if isinstance(values, tuple):
                self._known[id(values)] = values, found
        return found

    def _all_of(self, values: Sequence[Value]) -> Any:
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
        found = _pieces_of(at)
        if not complete or len(found) > FEW or len(numpy.unique(at)) < len(at):
            return cls(at, (), complete)
        both = [(slice(a, a + n), slice(place, place + n)) for a, place, n in found]
        return cls(at, tuple(both), complete)

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


def _pieces_of(at: Any) -> list[tuple[int, int, int]]:
    """Numbers in pieces, in which each is one more than that before: first, its number, count.

    >>> import numpy
    >>> _pieces_of(numpy.array([7, 8, 9, 2, 3]))
    [(0, 7, 3), (3, 2, 2)]
    """
    import numpy

    ends = [0, *(numpy.flatnonzero(numpy.diff(at) != 1) + 1).tolist(), len(at)]
    return [(a, int(at[a]), b - a) for a, b in pairwise(ends) if a < b]
