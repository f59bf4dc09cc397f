"""What rewrites of statements share: who writes and reads each array, and sums with other terms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeGuard

from ...arrays.statements import Array, ArrayProgram, Statement
from ...ops.reads import Affine, Apply, Axis, Operand, Read, Reduce, Term, Value, along, mapped
from ...ops.scalar import ADD, STOP_GRADIENT


class Flow:
    """By array, the numbers of the statements that write it, and of those that read it.

    readers  a number for each read
    read     what is read at all
    kept     what is put out
    free     what one statement writes, all of it, in memory of its own, and that is not put out
    """

    def __init__(self, program: ArrayProgram) -> None:
        self.kept = {output.array for output in program.outputs}
        self.writers: defaultdict[str, list[int]] = defaultdict(list)
        self.readers: defaultdict[str, list[int]] = defaultdict(list)
        for number, statement in enumerate(program.statements):
            self.writers[statement.array].append(number)
            for read in statement.reads:
                self.readers[read.array].append(number)
        self.read = set(self.readers)
        self.free = {
            s.array
            for s in program.statements
            if len(self.writers[s.array]) == 1
            and s.place is None
            and program.arrays[s.array].home is None
            and s.array not in self.kept
        }


def pruned(program: ArrayProgram) -> ArrayProgram:
    """The program without the statements, and the arrays of those, that nothing is made of."""
    needed = {output.array for output in program.outputs}
    kept: list[Statement] = []
    for statement in reversed(program.statements):
        home = program.arrays[statement.array].home
        if statement.array in needed or (home is not None and home.vector in needed):
            kept.append(statement)
            needed.update([read.array for read in statement.reads])
            needed.update([p.name for r in statement.reads for p in program.parts(r.array)])
    kept.reverse()
    written = {statement.array for statement in program.statements}
    gone = written.difference([statement.array for statement in kept])
    arrays = {name: array for name, array in program.arrays.items() if name not in gone}
    return replace(program, arrays=arrays, statements=tuple(kept))


def free_name(wish: str, arrays: Mapping[str, Array]) -> str:
    """The name that is wished for, with as many underscores behind it as make it a new one."""
    while wish in arrays:
        wish += "_"
    return wish


def operands_of(part: Apply | Term) -> list[Read]:
    """What an operation, or a term of a sum, reads."""
    operands = part.operands if isinstance(part, Apply) else part.factors
    return [operand for operand in operands if isinstance(operand, Read)]


def parts_of(statement: Statement) -> Iterator[tuple[Apply | Term, dict[str, int]]]:
    """The operation of a statement, or each term of its sum; with the lengths of the axes there."""
    value = statement.value
    for part in value.terms if isinstance(value, Reduce) else (value,):
        yield part, dict([*statement.axes, *(part.over if isinstance(part, Term) else ())])


def with_reads(value: Value, reads: Iterable[Read]) -> Value:
    """A value with other reads in the places of its own, in order."""
    given = iter(reads)
    return mapped(value, lambda _: next(given), lambda condition: condition)


def is_sum(value: Value) -> TypeGuard[Reduce]:
    """Whether a value is a sum of terms."""
    return isinstance(value, Reduce) and value.op is ADD


def with_terms(statement: Statement, terms: Iterable[Term]) -> Statement:
    """A statement with other terms in its sum."""
    return replace(statement, value=Reduce(ADD, tuple(terms)))


def copy(array: str, axes: Iterable[Axis], read: Read) -> Statement:
    """The statement that copies what is read at every point of some axes."""
    return Statement(array, tuple(axes), Reduce(ADD, (Term(1, (read,)),)))


def in_order(array: str, axes: Iterable[Axis | str]) -> Read:
    """The read of an array along axes as they are."""
    return Read(array, tuple([along(a if isinstance(a, str) else a.name) for a in axes]))


def axes_of(read: Operand) -> tuple[str, ...] | None:
    """The axes along which an array is read, if each index is one of them as it is, and no two."""
    if not isinstance(read, Read):
        return None
    names = [index.axis if isinstance(index, Affine) else None for index in read.index]
    found = tuple([name for name in names if name is not None])
    return found if len(set(found)) == len(names) else None


def copied_by(statement: Statement) -> str | None:
    """The array whose elements a statement passes on as they are, if it does."""
    value = statement.value
    if isinstance(value, Apply):
        (operand, *_) = value.operands
        one = value.op is STOP_GRADIENT and isinstance(operand, Read)
        return operand.array if one and isinstance(operand, Read) else None
    term = value.terms[0]
    factor = term.factors[0] if len(term.factors) == 1 else None
    alone = len(value.terms) == 1 and term.count == 1 and not (term.over or term.domain)
    if not alone or not isinstance(factor, Read):
        return None
    return factor.array
