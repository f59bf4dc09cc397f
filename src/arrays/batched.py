"""A batch: one more axis, the first of every array that differs between samples.

`total` is a sum over that axis. Where all that becomes of an array is its total, the axis is summed
over in the statement that computes it: a gradient is `Σ_n d[n, i]·x[n, j]`, and no array of outer
products is ever made.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from ..errors import UnknownNameError
from ..ops.reads import Apply, Axis, Index, Operand, Read, Reduce, Term, Value, along
from ..ops.scalar import ADD, TOTAL
from ..ops.shapes import BATCH
from .statements import LEAF, Array, ArrayProgram, Statement


def batched(program: ArrayProgram, arguments: Collection[str]) -> ArrayProgram:
    """The program for a batch of samples.

    arguments  the leaves of which every sample has its own: vectors of arguments or arrays

    >>> from wengert.graph.expr import Graph
    >>> from wengert.ops.scalar import tanh, total
    >>> from wengert.arrays.rolling import roll_nodes
    >>> g = Graph(); x, w = g.inputs("x", 3), [g.inputs(f"w{j}_", 3) for j in range(2)]
    >>> y = [total(tanh(sum(a * b for a, b in zip(row, x)))) for row in w]
    >>> print(batched(roll_nodes(g, [e.id for e in y]), ["x"]))
    t3[i] = Σ_n tanh(Σ_j x[n, j]·w[i, j])
    """
    if not arguments:
        return _without_totals(program)
    for name in arguments:
        array = program.arrays.get(name)
        if array is None or array.kind != LEAF:
            leaves = [a.name for a in program.arrays.values() if a.kind == LEAF]
            raise UnknownNameError.of("leaf", name, leaves)
    return _Batching(program, set(arguments)).result()


def _without_totals(program: ArrayProgram) -> ArrayProgram:
    """The program of one sample, whose total is itself."""
    if not any(isinstance(s.value, Apply) and s.value.op is TOTAL for s in program.statements):
        return program
    statements = [
        replace(s, value=Reduce(ADD, (Term(1, s.value.operands),)))
        if isinstance(s.value, Apply) and s.value.op is TOTAL
        else s
        for s in program.statements
    ]
    return replace(program, statements=tuple(statements))


class _Batching:
    def __init__(self, program: ArrayProgram, leaves: set[str]) -> None:
        self._program = program
        self._parts: defaultdict[str, list[str]] = defaultdict(list)
        self._vector: dict[str, str] = {}
        for array in program.arrays.values():
            if array.home is not None:
                self._parts[array.home.vector].append(array.name)
                self._vector[array.name] = array.home.vector
        self._varying = self._vary(leaves)
        self._summed: dict[str, str] = {}
        self._find_summed()
        taken = {axis.name for s in program.statements for axis in (*s.axes, *_inner(s.value))}
        name = "n"
        while name in taken:
            name += "'"
        self._axis = Axis(name, BATCH)

    def _vary(self, leaves: set[str]) -> set[str]:
        """The arrays that every sample has its own of."""
        varying = set(leaves)
        for name in leaves:
            varying.update(self._parts[name])
            if name in self._vector:
                varying.add(self._vector[name])
        for statement in self._program.statements:
            value = statement.value
            if isinstance(value, Apply) and value.op is TOTAL:
                continue
            if any(read.array in varying for read in statement.reads):
                varying.add(statement.array)
                if statement.array in self._vector:
                    varying.add(self._vector[statement.array])
        for name in list(varying):
            varying.update(self._parts[name])
        return varying

    def _find_summed(self) -> None:
        """Arrays that only totals read: these are sums over the samples from the start."""
        program = self._program
        values: defaultdict[str, list[Value]] = defaultdict(list)
        reads: Counter[str] = Counter()
        for statement in program.statements:
            values[statement.array].append(statement.value)
            reads.update(read.array for read in statement.reads)
        kept = {output.array for output in program.outputs}
        for statement in program.statements:
            value = statement.value
            if not isinstance(value, Apply) or value.op is not TOTAL:
                continue
            (operand,) = value.operands
            if not isinstance(operand, Read) or operand.array not in self._varying:
                continue
            name = operand.array
            members = [name, *self._parts[name]]
            own = program.arrays[statement.array]
            simple = (
                operand.index == statement.target
                and not statement.domain
                and own.shape == program.arrays[name].shape
                and own.home is None
                and values[statement.array] == [value]
            )
            alone = reads[name] == 1 and not any(reads[part] for part in members[1:])
            sums = all(
                isinstance(v, Reduce) and v.op is ADD for member in members for v in values[member]
            )
            inside = name in self._vector or any(member in kept for member in members)
            if simple and alone and sums and not inside and program.arrays[name].kind != LEAF:
                self._summed[statement.array] = name
                self._varying.difference_update(members)

    def result(self) -> ArrayProgram:
        """The program for a batch."""
        program, arrays = self._program, {}
        self._totals = {
            member for name in self._summed.values() for member in (name, *self._parts[name])
        }
        for name, array in program.arrays.items():
            if name not in self._summed:
                arrays[name] = self._array(array)
        statements = [self._statement(s) for s in program.statements if s.array not in self._summed]
        outputs = [
            output._replace(array=self._summed.get(output.array, output.array))
            for output in program.outputs
        ]
        return ArrayProgram(arrays, tuple(statements), tuple(outputs), program.arguments)

    def _array(self, array: Array) -> Array:
        if array.name not in self._varying:
            return array
        return replace(array, shape=(BATCH, *array.shape))

    def _statement(self, statement: Statement) -> Statement:
        value, sample = statement.value, along(self._axis.name)
        if isinstance(value, Apply) and value.op is TOTAL:
            factors = tuple(map(self._operand, value.operands))
            value = Reduce(ADD, (Term(1, factors, (self._axis,)),))
            return replace(statement, value=value)
        if statement.array in self._totals:
            assert isinstance(value, Reduce)
            terms = [replace(t, over=(self._axis, *t.over)) for t in self._terms(value)]
            return replace(statement, value=Reduce(ADD, tuple(terms)))
        made: Value
        if isinstance(value, Apply):
            made = replace(value, operands=tuple(map(self._operand, value.operands)))
        else:
            made = replace(value, terms=tuple(self._terms(value)))
        if statement.array not in self._varying:
            return replace(statement, value=made)
        place: tuple[Index, ...] | None = None
        if statement.place is not None:
            place = (sample, *statement.place)
        return replace(statement, axes=(self._axis, *statement.axes), value=made, place=place)

    def _terms(self, value: Reduce) -> Iterable[Term]:
        return [
            replace(term, factors=tuple(map(self._operand, term.factors))) for term in value.terms
        ]

    def _operand(self, operand: Operand) -> Operand:
        if not isinstance(operand, Read):
            return operand
        name = self._summed.get(operand.array, operand.array)
        if name not in self._varying:
            return replace(operand, array=name)
        return Read(name, (along(self._axis.name), *operand.index))


def _inner(value: Value) -> Sequence[Axis]:
    if isinstance(value, Apply):
        return ()
    return [axis for term in value.terms for axis in term.over]
