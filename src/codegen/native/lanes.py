"""Which axis of a statement is computed several numbers at a time, and in what order arrays lie.

Lanes run along an axis that is free, so that no sum is taken in another order; where none suits,
along one that is summed over, whose partial sums are then added up in a fixed order. What lies side
by side along that axis is read at once. The axes of arrays that only this code sees are put in the
order that makes all statements cheapest by an estimate, one array after the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

from ...arrays.statements import Array, Statement
from ...ops.reads import (
    Affine,
    Apply,
    AtLeast,
    Axis,
    Condition,
    Equal,
    Index,
    Read,
    Reduce,
    Term,
    Unequal,
)
from ...ops.shapes import BATCH, Shape
from .storage import Storage, in_bounds, stride_along, table_stride

_SAMPLES: Final = 32
"""How many samples a block is taken to have, for estimates."""

_LOAD, _SPREAD, _PICK, _PUT, _FOLD, _COPY, _OPERATION = 1.0, 0.6, 2.0, 2.0, 12.0, 1.0, 4.0
"""Estimates, in operations of a vector: to load one, or one number into all lanes; to load or store
a lane by itself; to add up lanes; to move an element in a copy of an array; an operation."""


_TILED: Final = 4
"""Axes of so many numbers are worth a copy by tiles."""


@dataclass(frozen=True)
class Lanes:
    """How a statement is computed.

    axis  the place of the axis along which lanes run; None where they run along none
    sums  for each term, the name of the axis that lanes run along instead; None for none
    """

    axis: int | None = None
    sums: tuple[str | None, ...] = ()


def width(length: int, lanes: int) -> int:
    """How many lanes numbers along an axis get.

    >>> [width(n, 8) for n in (1, 2, 3, 5, 100)]
    [1, 2, 4, 8, 8]
    """
    if length == BATCH:
        return lanes
    wide = 1
    while wide < min(length, lanes):
        wide *= 2
    return wide


class Chooser:
    """Finds the best lanes for statements, given where arrays are.

    by_rows  whether the numbers of each sample lie side by side, not those of several samples
    """

    def __init__(
        self,
        arrays: Mapping[str, Array],
        storages: Mapping[str, Storage],
        lanes: int,
        by_rows: bool,
    ) -> None:
        self._arrays, self.storages, self._lanes = arrays, storages, lanes
        self._by_rows = by_rows

    def best(self, statement: Statement) -> tuple[float, Lanes]:
        """The cheapest way, and its cost."""
        value = statement.value
        batch = [k for k, axis in enumerate(statement.axes) if axis.length == BATCH]
        samples = self.storages[statement.array].samples
        if batch and samples is not None and not samples.in_lanes:  # rows, written one by one
            return 0.0, Lanes(None, (None,) * _terms(statement))
        if batch and not self._by_rows:
            chosen = Lanes(batch[0], (None,) * _terms(statement))
            return self._cost(statement, chosen), chosen
        none = (None,) * _terms(statement)
        options = [Lanes(None, none)]
        options += [
            Lanes(place, none)
            for place, axis in enumerate(statement.axes)
            if axis.length > 1 and self._possible(statement, axis)
        ]
        if batch:  # always possible
            options[0] = Lanes(batch[0], none)
        if isinstance(value, Reduce):
            along = tuple([self._summed(statement, term) for term in value.terms])
            if any(along):
                options.append(Lanes(None, along))
        costs = [(self._cost(statement, option), n) for n, option in enumerate(options)]
        cost, number = min(costs)
        return cost, options[number]

    def copies(self, statement: Statement, chosen: Lanes) -> list[tuple[Read, int]]:
        """The reads of arrays that are to be copied first, and the axis to lie last in the copy."""
        found = []
        for read, axes, axis in self._reads(statement, chosen):
            if axis is None or self._stride(read, axis.name) in (0, 1):
                continue
            place = self._copied_axis(read, axis)
            gathered = self._gathered(axes, axis)
            if place is not None and gathered > self._copied(read, axes, axis):
                found.append((read, place))
        return found

    def _stride(self, read: Read, axis: str) -> int | None:
        array = self._arrays[read.array]
        return stride_along(read.index, array.shape, self.storages[read.array], axis)

    def _reads(
        self, statement: Statement, chosen: Lanes
    ) -> list[tuple[Read, tuple[Axis, ...], Axis | None]]:
        """Each read with the axes that it is done over, and the one that lanes run along."""
        value = statement.value
        free = statement.axes[chosen.axis] if chosen.axis is not None else None
        if isinstance(value, Apply):
            return [(o, statement.axes, free) for o in value.operands if isinstance(o, Read)]
        found = []
        for term, summed in zip(value.terms, chosen.sums, strict=True):
            own = next((axis for axis in term.over if axis.name == summed), free)
            axes = (*statement.axes, *term.over)
            found += [(f, axes, own) for f in term.factors if isinstance(f, Read)]
        return found

    def _copied_axis(self, read: Read, axis: Axis) -> int | None:
        """The axis of the array that lanes run along, where a copy with it last would suit them."""
        places = [k for k, index in enumerate(read.index) if axis.name in index.axes]
        if len(places) != 1 or self.storages[read.array].places:
            return None
        index = read.index[places[0]]
        if not isinstance(index, Affine) or dict(index.terms)[axis.name] != 1:
            return None
        return places[0]

    def _count(self, axes: Sequence[Axis], lanes: Axis | None) -> int:
        """How many vectors, or numbers, there are over some axes."""
        found = 1
        for axis in axes:
            length = _SAMPLES if axis.length == BATCH else axis.length
            if lanes is not None and axis.name == lanes.name:
                length = -(-length // self._lanes)
            found *= length
        return found

    def _gathered(self, axes: Sequence[Axis], axis: Axis) -> float:
        return self._count(axes, axis) * _PICK * width(axis.length, self._lanes)

    def _copied(self, read: Read, axes: Sequence[Axis], axis: Axis) -> float:
        shape = self._arrays[read.array].shape
        size = prod(_SAMPLES if length == BATCH else length for length in shape)
        tiled = sum(length >= _TILED or length == BATCH for length in shape) > 1
        return (_COPY if tiled else _PICK + _COPY) * size + _LOAD * self._count(axes, axis)

    def _cost(self, statement: Statement, chosen: Lanes) -> float:
        total = 0.0
        free = statement.axes[chosen.axis] if chosen.axis is not None else None
        for read, axes, axis in self._reads(statement, chosen):
            count = self._count(axes, axis)
            stride = 0 if axis is None else self._stride(read, axis.name)
            if stride == 0:
                total += _SPREAD * count
            elif stride == 1:
                total += _LOAD * count
            else:
                assert axis is not None
                cost = self._gathered(axes, axis)
                if self._copied_axis(read, axis) is not None:
                    cost = min(cost, self._copied(read, axes, axis))
                total += cost
        points = self._count(statement.axes, free)
        value = statement.value
        if isinstance(value, Reduce):
            for term, summed in zip(value.terms, chosen.sums, strict=True):
                own = next((axis for axis in term.over if axis.name == summed), free)
                total += self._count((*statement.axes, *term.over), own)
                total += _FOLD * points * (summed is not None)
        else:
            total += _OPERATION * points
        stride = 1 if free is None else self._target_stride(statement, free)
        wide = 1 if free is None else width(free.length, self._lanes)
        return total + points * (_LOAD if stride == 1 else _PUT * wide)

    def _target_stride(self, statement: Statement, axis: Axis) -> int | None:
        array = self._arrays[statement.array]
        storage = self.storages[statement.array]
        return stride_along(statement.target, array.shape, storage, axis.name)

    def _possible(self, statement: Statement, axis: Axis) -> bool:
        """Whether the code can run lanes along a free axis."""
        masked = not _conditions_suit(statement.domain, axis)
        if masked or (
            _mention(statement.domain, axis) and self._target_stride(statement, axis) != 1
        ):
            return False
        if not self._tables_suit(statement.array, statement.target, axis):
            return False
        lengths = {a.name: a.length for a in statement.axes}
        value = statement.value
        parts: list[tuple[Sequence[object], Sequence[Axis], Sequence[Condition]]]
        if isinstance(value, Apply):
            parts = [(value.operands, (), ())]
        else:
            parts = [(term.factors, term.over, term.domain) for term in value.terms]
        for factors, over, domain in parts:
            if not _conditions_suit(domain, axis):
                return False
            within = lengths | {a.name: a.length for a in over}
            guarded = _mention((*statement.domain, *domain), axis)
            for read in factors:
                if isinstance(read, Read) and not self._readable(read, axis, within, guarded):
                    return False
        return True

    def _readable(self, read: Read, axis: Axis, lengths: dict[str, int], guarded: bool) -> bool:
        if not self._tables_suit(read.array, read.index, axis):
            return False
        if self._stride(read, axis.name) in (0, 1):
            return True
        return not guarded or in_bounds(read.index, self._arrays[read.array].shape, lengths)

    def _tables_suit(self, array: str, indices: Sequence[Index], axis: Axis) -> bool:
        """Whether the numbers that tables give along an axis stand side by side."""
        if any(table_stride(index, axis.name) not in (0, 1) for index in indices):
            return False
        shape = self._arrays[array].shape
        return not self.storages[array].places or _places_suit(indices, shape, axis.name)

    def _summed(self, statement: Statement, term: Term) -> str | None:
        """The axis of a sum along which all that is read lies side by side, or is the same."""
        for axis in reversed(term.over):
            if _mention((*statement.domain, *term.domain), axis) or axis.length == 1:
                continue
            strides = [self._stride(f, axis.name) for f in term.factors if isinstance(f, Read)]
            tables = [
                table_stride(index, axis.name)
                for f in term.factors
                if isinstance(f, Read)
                for index in f.index
            ]
            if strides and set(strides) <= {0, 1} and 1 in strides and not any(tables):
                return axis.name
        return None


def _terms(statement: Statement) -> int:
    return len(statement.value.terms) if isinstance(statement.value, Reduce) else 0


def _mention(domain: Sequence[Condition], axis: Axis) -> bool:
    return any(axis.name in condition.axes for condition in domain)


def _conditions_suit(domain: Sequence[Condition], axis: Axis) -> bool:
    """Whether conditions can be told for lanes along an axis at once."""
    for condition in domain:
        if isinstance(condition, (AtLeast, Unequal)):
            continue
        if not isinstance(condition, Equal):
            return False
        for index in (condition.left, condition.right):
            if table_stride(index, axis.name) not in (0, 1):
                return False
    return True


def _places_suit(indices: Sequence[Index], shape: Shape, axis: str) -> bool:
    """Whether the places of elements along an axis are side by side in a table of places."""
    step, found = 1, 0
    for index, length in zip(reversed(indices), reversed(shape), strict=True):
        if length == BATCH:
            continue
        if isinstance(index, Affine):
            found += step * dict(index.terms).get(axis, 0)
        elif axis in index.axes:
            return False
        step *= length
    return found in (0, 1)


def orders(
    statements: Sequence[Statement],
    arrays: Mapping[str, Array],
    storages: dict[str, Storage],
    choices: Mapping[str, Sequence[Storage]],
    lanes: int,
    by_rows: bool,
) -> dict[str, Storage]:
    """Where the arrays are that may be in one of several ways: the cheapest for all statements."""
    touching: defaultdict[str, list[Statement]] = defaultdict(list)
    for statement in statements:
        for name in dict.fromkeys((statement.array, *[read.array for read in statement.reads])):
            if name in choices:
                touching[name].append(statement)
    chosen = dict(storages)
    chooser = Chooser(arrays, chosen, lanes, by_rows)
    for _ in range(2):
        changed = False
        for name, options in choices.items():
            if len(options) < 2:
                continue
            before = chosen[name]
            costs = []
            for number, option in enumerate(options):
                chosen[name] = option
                costs.append((sum(chooser.best(s)[0] for s in touching[name]), number))
            best = options[min(costs)[1]]
            kept = costs[list(options).index(before)][0]
            chosen[name] = before if kept <= min(costs)[0] else best
            changed = changed or chosen[name] != before
        if not changed:
            break
    return chosen
