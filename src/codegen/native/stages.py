"""Which statements run once, which for every block of samples, and which share a nest of loops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ...arrays.statements import Array, ArrayProgram, Statement
from ...ops.reads import (
    Affine,
    Among,
    Axis,
    Condition,
    Equal,
    Read,
    Reduce,
    Table,
    Term,
    along,
)
from ...ops.scalar import ADD
from ...ops.shapes import BATCH
from .lists import listed_as_tables


@dataclass(frozen=True)
class Stages:
    """A program in the order in which it is run.

    before   what is the same for all samples
    each     what is computed for a block of samples, sums over them included
    after    what is computed from those sums
    blocked  whether samples are taken in blocks; where sums over all are needed for every sample,
             they are not, and all statements are in `each`
    """

    arrays: Mapping[str, Array]
    before: tuple[Statement, ...]
    each: tuple[Statement, ...]
    after: tuple[Statement, ...]
    blocked: bool

    @property
    def statements(self) -> tuple[Statement, ...]:
        """All of them."""
        return (*self.before, *self.each, *self.after)


def stages(program: ArrayProgram) -> Stages:
    """The program, its statements that mix sums over the samples with others cut in two."""
    arrays = dict(program.arrays)
    statements = [
        part
        for statement in listed_as_tables(program.statements)
        for part in _parted(statement, arrays)
    ]
    if not program.batched:
        return Stages(arrays, tuple(statements), (), (), True)
    levels = _levels(statements, arrays)
    if any(
        levels[read.array] > 0
        for statement in statements
        if varies(statement) or sums_samples(statement)
        for read in statement.reads
    ):
        return Stages(arrays, (), tuple(statements), (), False)
    each = [s for s in statements if varies(s) or sums_samples(s)]
    rest = [s for s in statements if not (varies(s) or sums_samples(s))]
    before = [s for s in rest if not levels[s.array]]
    after = [s for s in rest if levels[s.array]]
    return Stages(arrays, tuple(before), tuple(each), tuple(after), True)


def varies(statement: Statement) -> bool:
    """Whether a statement computes something for every sample."""
    return any(axis.length == BATCH for axis in statement.axes)


def sums_samples(statement: Statement) -> bool:
    """Whether a statement is a sum over the samples."""
    value = statement.value
    return isinstance(value, Reduce) and any(_over_samples(term) for term in value.terms)


def _over_samples(term: Term) -> bool:
    return any(axis.length == BATCH for axis in term.over)


def _parted(statement: Statement, arrays: dict[str, Array]) -> list[Statement]:
    """A sum over samples by itself, and what is added to it."""
    value = statement.value
    if not isinstance(value, Reduce):
        return [statement]
    sums = tuple([term for term in value.terms if _over_samples(term)])
    if not sums or len(sums) == len(value.terms):
        return [statement]
    name = f"{statement.array} of samples"
    while name in arrays:
        name += "'"
    arrays[name] = Array(name, tuple([axis.length for axis in statement.axes]))
    part = Statement(name, statement.axes, Reduce(ADD, sums), None, statement.domain)
    read = Read(name, tuple([along(axis.name) for axis in statement.axes]))
    rest = [term for term in value.terms if not _over_samples(term)]
    return [part, replace(statement, value=Reduce(ADD, (*rest, Term(1, (read,)))))]


def _levels(statements: Iterable[Statement], arrays: Mapping[str, Array]) -> Mapping[str, int]:
    """How many sums over samples stand between an array and the arguments."""
    levels: defaultdict[str, int] = defaultdict(int)
    for statement in statements:
        found = max((levels[read.array] for read in statement.reads), default=0)
        found += sums_samples(statement)
        home = arrays[statement.array].home
        for name in (statement.array, home.vector) if home else (statement.array,):
            levels[name] = max(levels[name], found)
        if home is None:
            for array in arrays.values():
                if array.home is not None and array.home.vector == statement.array:
                    levels[array.name] = max(levels[array.name], found)
    return levels


@dataclass(frozen=True)
class Group:
    """Statements that are computed in one nest of loops, point by point one after the other.

    lanes  the place of the axis that is computed several numbers at a time; None for one by one
    """

    statements: tuple[Statement, ...]
    lanes: int | None

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the first; those of the others have other names only."""
        return self.statements[0].axes


Key = tuple[object, ...]


def grouped(
    statements: Sequence[Statement],
    arrays: Mapping[str, Array],
    lanes: Sequence[int | None],
    alone: Sequence[bool],
) -> list[tuple[Group, list[int]]]:
    """The statements of a stage in nests, those that run over the same points together.

    lanes  of each statement the place of the axis that lanes run along
    alone  whether a statement has a nest of its own

    A statement waits for nothing but what it reads: where another one of the same points is ready,
    it joins. With each group come the places of its statements.
    """
    needs = _needs(statements, arrays)
    keys = [_key(statement, axis) for statement, axis in zip(statements, lanes, strict=True)]
    alike: defaultdict[Key, list[int]] = defaultdict(list)
    for number, key in enumerate(keys):
        if not alone[number]:
            alike[key].append(number)
    done: set[int] = set()
    found = []
    for start in range(len(statements)):
        if start in done:
            continue
        members = [start]
        if not alone[start]:
            for other in alike[keys[start]]:
                if other in done or other == start:
                    continue
                missing = needs[other] - done
                if missing <= set(members) and all(
                    _pointwise(statements[other], statements[m]) for m in missing
                ):
                    members.append(other)
        done.update(members)
        found.append((Group(tuple([statements[m] for m in members]), lanes[start]), members))
    return found


def _needs(statements: Sequence[Statement], arrays: Mapping[str, Array]) -> list[set[int]]:
    """The places of the statements that write what each one reads."""
    writers: defaultdict[str, set[int]] = defaultdict(set)
    for number, statement in enumerate(statements):
        writers[statement.array].add(number)
    parts: defaultdict[str, set[int]] = defaultdict(set)
    for array in arrays.values():
        if array.home is not None:
            parts[array.home.vector] |= writers.get(array.name, set())
    needs = []
    for statement in statements:
        found: set[int] = set()
        for read in statement.reads:
            found |= writers.get(read.array, set()) | parts.get(read.array, set())
            home = arrays[read.array].home
            if home is not None:
                found |= writers.get(home.vector, set())
        needs.append(found)
    return needs


def _pointwise(reader: Statement, writer: Statement) -> bool:
    """Whether what one reads of the other is at each point what is computed there."""
    own = tuple([along(axis.name) for axis in reader.axes])
    whole = writer.target == tuple([along(axis.name) for axis in writer.axes])
    return whole and all(r.index == own for r in reader.reads if r.array == writer.array)


def _key(statement: Statement, lanes: int | None) -> Key:
    """What statements of one nest have in common."""
    names = {axis.name: str(place) for place, axis in enumerate(statement.axes)}
    domain = str([_condition_key(c, names) for c in statement.domain])
    return tuple([axis.length for axis in statement.axes]), domain, lanes


def _condition_key(condition: Condition, names: Mapping[str, str]) -> object:
    if isinstance(condition, Equal):
        return _index_key(condition.left, names), _index_key(condition.right, names)
    assert not isinstance(condition, Among)
    return type(condition).__name__, _index_key(condition.expression, names)


def _index_key(index: Affine | Table, names: Mapping[str, str]) -> object:
    if isinstance(index, Table):
        return index.name, tuple([names[axis] for axis in index.axes])
    return index.offset, tuple(sorted((names[axis], stride) for axis, stride in index.terms))
