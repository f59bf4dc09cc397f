"""A batch of samples: one more axis, the first of every array that differs between samples.

What is summed over the samples (`total`) becomes a sum over that axis. Where an array is wanted for
its sum only, as the gradient is, it is summed where it is computed and never stands there sample by
sample; what does not differ counts once for each sample.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace

from ..ops.scalar import ADD, TOTAL
from ..ops.shapes import BATCH
from .reads import Apply, Axis, Operand, Read, Reduce, Term, Value, along
from .statements import COMPUTED, Array, ArrayProgram, Output, Statement


def batched(program: ArrayProgram, arguments: Collection[str]) -> ArrayProgram:
    """The program of a batch, from that of one sample.

    arguments  the vectors of leaves of which every sample has its own
    """
    return _Batch(program, frozenset(arguments)).result()


class _Batch:
    def __init__(self, program: ArrayProgram, arguments: frozenset[str]) -> None:
        self._program = program
        self._arrays = dict(program.arrays)
        self._statements = list(program.statements)
        self._outputs = list(program.outputs)
        self._axis = Axis(_free_axis(program), BATCH)
        self._varying = self._find_varying(arguments)
        self._summed = self._sum_early()

    def result(self) -> ArrayProgram:
        """The program with the axis of samples."""
        arrays = {
            name: replace(array, shape=(BATCH, *array.shape)) if self._varies(name) else array
            for name, array in self._arrays.items()
        }
        statements = [self._statement(statement) for statement in self._statements]
        made = _without_copies(arrays, statements, self._outputs, self._summed)
        return ArrayProgram(*made, self._program.arguments)

    def _varies(self, name: str) -> bool:
        return name in self._varying and name not in self._summed

    def _find_varying(self, arguments: frozenset[str]) -> set[str]:
        """The arrays that differ between samples; a vector does if a part of it does."""
        varying = {
            name
            for name, array in self._arrays.items()
            if name in arguments or (array.home is not None and array.home.vector in arguments)
        }
        before = -1
        while before != len(varying):
            before = len(varying)
            for statement in self._statements:
                if not _is_total(statement) and varying.intersection(_read_by(statement)):
                    varying.add(statement.array)
            for array in self._arrays.values():
                if array.home is not None and array.kind == COMPUTED:
                    if array.name in varying:
                        varying.add(array.home.vector)
                    elif array.home.vector in varying:
                        varying.add(array.name)
        return varying

    def _sum_early(self) -> set[str]:
        """The arrays that are summed over the samples where they are computed: none else is read.

        An operation's value that is wanted like that is put together from an array of its own.
        """
        kept = {output.array for output in self._outputs}
        others: Counter[str] = Counter()
        wanted: set[str] = set()
        for statement in self._statements:
            if _is_total(statement):
                wanted.update(_read_by(statement))
            else:
                others.update(_read_by(statement))
        parts: defaultdict[str, list[str]] = defaultdict(list)
        for array in self._arrays.values():
            if array.home is not None and array.kind == COMPUTED:
                parts[array.home.vector].append(array.name)
        summed: set[str] = set()
        for name in wanted & self._varying:
            members = {name, *parts[name]}
            computed = all(self._arrays[member].kind == COMPUTED for member in members)
            home = self._arrays[name].home
            if computed and home is None and not any(others[m] or m in kept for m in members):
                if not any(m in wanted for m in members - {name}):
                    summed |= members
        self._split_operations(summed)
        return summed

    def _split_operations(self, summed: set[str]) -> None:
        """Operations whose values are wanted summed become two statements."""
        statements: list[Statement] = []
        for statement in self._statements:
            adds = isinstance(statement.value, Reduce) and statement.value.op is ADD
            if statement.array not in summed or adds:
                statements.append(statement)
                continue
            name = f"{statement.array}_each"
            while name in self._arrays:
                name += "_"
            shape = tuple([axis.length for axis in statement.axes])
            self._arrays[name] = Array(name, shape)
            self._varying.add(name)
            statements.append(replace(statement, array=name, place=None))
            read = Read(name, tuple([along(axis.name) for axis in statement.axes]))
            value = Reduce(ADD, (Term(1, (read,)),))
            statements.append(replace(statement, value=value))
        self._statements = statements

    def _statement(self, statement: Statement) -> Statement:
        name = statement.array
        if _is_total(statement):
            assert isinstance(statement.value, Apply)
            (operand,) = statement.value.operands
            early = isinstance(operand, Read) and operand.array in self._summed
            over = () if early else (self._axis,)
            value: Value = Reduce(ADD, (Term(1, (self._operand(operand),), over),))
        elif name in self._summed:
            assert isinstance(statement.value, Reduce)
            terms = [self._term(term) for term in statement.value.terms]
            value = Reduce(ADD, tuple([replace(t, over=(self._axis, *t.over)) for t in terms]))
        else:
            value = self._value(statement.value)
        if not self._varies(name):
            return replace(statement, value=value)
        place = statement.place
        return replace(
            statement,
            axes=(self._axis, *statement.axes),
            value=value,
            place=None if place is None else (along(self._axis.name), *place),
        )

    def _value(self, value: Value) -> Value:
        if isinstance(value, Apply):
            return replace(value, operands=tuple(map(self._operand, value.operands)))
        return replace(value, terms=tuple(map(self._term, value.terms)))

    def _term(self, term: Term) -> Term:
        return replace(term, factors=tuple(map(self._operand, term.factors)))

    def _operand(self, operand: Operand) -> Operand:
        if isinstance(operand, Read) and self._varies(operand.array):
            return Read(operand.array, (along(self._axis.name), *operand.index))
        return operand


def _without_copies(
    arrays: dict[str, Array],
    statements: Iterable[Statement],
    outputs: Iterable[Output],
    summed: set[str],
) -> tuple[dict[str, Array], tuple[Statement, ...], tuple[Output, ...]]:
    """The same, what was summed early read itself in place of the totals of it."""
    instead: dict[str, str] = {}
    kept = []
    for statement in statements:
        source = _copy_of(statement, arrays)
        if source in summed and arrays[statement.array].home is None:
            instead[statement.array] = str(source)
            continue
        kept.append(statement)

    def operand(operand: Operand) -> Operand:
        if isinstance(operand, Read) and operand.array in instead:
            return Read(instead[operand.array], operand.index)
        return operand

    found = []
    for statement in kept:
        value: Value
        if isinstance(statement.value, Apply):
            operands = tuple(map(operand, statement.value.operands))
            value = replace(statement.value, operands=operands)
        else:
            terms = [
                replace(term, factors=tuple(map(operand, term.factors)))
                for term in statement.value.terms
            ]
            value = replace(statement.value, terms=tuple(terms))
        found.append(replace(statement, value=value))
    left = {name: array for name, array in arrays.items() if name not in instead}
    results = [Output(instead.get(array, array), places) for array, places in outputs]
    return left, tuple(found), tuple(results)


def _copy_of(statement: Statement, arrays: dict[str, Array]) -> str | None:
    """The array that a statement is a copy of, element by element."""
    value = statement.value
    if isinstance(value, Apply) or statement.place is not None or statement.domain:
        return None
    (term, *more) = value.terms
    if more or term.over or term.domain or term.count != 1 or len(term.factors) != 1:
        return None
    factor = term.factors[0]
    if not isinstance(factor, Read) or arrays[factor.array].shape != arrays[statement.array].shape:
        return None
    alike = factor.index == tuple([along(axis.name) for axis in statement.axes])
    lengths = tuple([axis.length for axis in statement.axes])
    return factor.array if alike and lengths == arrays[factor.array].shape else None


def _is_total(statement: Statement) -> bool:
    return isinstance(statement.value, Apply) and statement.value.op is TOTAL


def _read_by(statement: Statement) -> set[str]:
    return {read.array for read in statement.reads}


def _free_axis(program: ArrayProgram) -> str:
    """A name for the axis of samples that no other axis has."""
    used = {axis.name for statement in program.statements for axis in statement.axes}
    for statement in program.statements:
        if isinstance(statement.value, Reduce):
            used.update(axis.name for term in statement.value.terms for axis in term.over)
    name = "n"
    while name in used:
        name += "n"
    return name
