"""A batch: one more axis, the first of every array that differs between samples.

`total` is a sum over that axis. Where all that becomes of an array is its total, the axis is summed
over in the statement that computes it: a gradient is `Σ_n d[n, i]·x[n, j]`, and no array of outer
products is ever made.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import replace

from ..errors import UnknownNameError
from ..ops.reads import Apply, Axis, Read, Reduce, Term, along, mapped
from ..ops.scalar import ADD, TOTAL
from ..ops.shapes import BATCH
from .statements import LEAF, ArrayProgram, Statement


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
    totals = any(_is_total(statement) for statement in program.statements)
    if not arguments and not totals:
        return program
    for name in arguments:
        array = program.arrays.get(name)
        if array is None or array.kind != LEAF:
            leaves = [a.name for a in program.arrays.values() if a.kind == LEAF]
            raise UnknownNameError.of("leaf", name, leaves)
    return _Batching(program, set(arguments)).result()


def _is_total(statement: Statement) -> bool:
    return isinstance(statement.value, Apply) and statement.value.op is TOTAL


class _Batching:
    """A program for a batch while it is made; without arguments there is one sample.

    varying  the arrays that every sample has its own of, parts of vectors by their vectors
    summed   arrays of totals, each with the array that it alone reads: the sum is over the samples
             from the start
    """

    def __init__(self, program: ArrayProgram, leaves: set[str]) -> None:
        self._program = program
        # letters of axes leave n to the samples
        self._over = (Axis("n", BATCH),) if leaves else ()
        self._varying = set(map(self._whole, leaves))
        for statement in program.statements:
            if not _is_total(statement) and any(self._varies(r.array) for r in statement.reads):
                self._varying.add(self._whole(statement.array))
        self._summed = self._find_summed()
        self._varying.difference_update(self._summed.values())

    def _whole(self, name: str) -> str:
        home = self._program.arrays[name].home
        return name if home is None else home.vector

    def _varies(self, name: str) -> bool:
        return self._whole(name) in self._varying

    def _find_summed(self) -> dict[str, str]:
        program, arrays = self._program, self._program.arrays
        writers: defaultdict[str, list[Statement]] = defaultdict(list)
        for statement in program.statements:
            writers[statement.array].append(statement)
        reads = Counter(read.array for s in program.statements for read in s.reads)
        kept = {output.array for output in program.outputs}
        found = {}
        for statement in filter(_is_total, program.statements):
            for read in statement.reads:
                own, inner = arrays[statement.array], arrays[read.array]
                members = [read.array, *[part.name for part in program.parts(read.array)]]
                values = [s.value for member in members for s in writers[member]]
                if (
                    self._varies(read.array)
                    and inner.kind != LEAF
                    and own.home is inner.home is None
                    and own.shape == inner.shape
                    and read.index == statement.target
                    and not statement.domain
                    and len(writers[own.name]) == 1
                    and sum(reads[member] for member in members) == 1
                    and kept.isdisjoint(members)
                    and all(isinstance(v, Reduce) and v.op is ADD for v in values)
                ):
                    found[own.name] = inner.name
        return found

    def result(self) -> ArrayProgram:
        """The program for a batch."""
        program, summed = self._program, self._summed
        arrays = {
            name: replace(array, shape=(BATCH, *array.shape)) if self._varies(name) else array
            for name, array in program.arrays.items()
            if name not in summed
        }
        statements = [self._statement(s) for s in program.statements if s.array not in summed]
        outputs = [o._replace(array=summed.get(o.array, o.array)) for o in program.outputs]
        return ArrayProgram(arrays, tuple(statements), tuple(outputs), program.arguments)

    def _statement(self, statement: Statement) -> Statement:
        value = mapped(statement.value, self._read, lambda condition: condition)
        if isinstance(value, Apply) and value.op is TOTAL:
            value = Reduce(ADD, (Term(1, value.operands, self._over),))
        elif self._whole(statement.array) in self._summed.values():
            assert isinstance(value, Reduce)
            terms = [replace(term, over=(*self._over, *term.over)) for term in value.terms]
            value = Reduce(ADD, tuple(terms))
        elif self._varies(statement.array):
            place = statement.place and (along("n"), *statement.place)
            return replace(statement, axes=(*self._over, *statement.axes), value=value, place=place)
        return replace(statement, value=value)

    def _read(self, read: Read) -> Read:
        name = self._summed.get(read.array, read.array)
        return Read(name, (along("n"), *read.index) if self._varies(name) else read.index)
