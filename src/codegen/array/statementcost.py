"""What a call of a function of statements is estimated to cost, by what NumPy takes for each.

An operation on arrays costs a call, and more for each element; an operand whose axes lie otherwise
than those of the result costs a view and slower loops; a sum along the last axis runs in many short
loops.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from math import prod

from ...arrays.statements import COMPUTED, LITERAL, Array, Statement
from ...ops.reads import Apply, Axis, Operand, Read, Reduce, Term
from ...ops.scalar import ADD
from ...ops.shapes import BATCH
from ..program import flatten
from .flow import axes_of
from .function import ArrayFunction, Element, Vector, Whole
from .recognise import SAMPLES

_CALL, _VIEW, _STRETCH, _MEMORY, _REDUCTION, _WHOLE = 0.5, 0.2, 0.25, 0.3, 1.0, 0.8
_ELEMENT, _MULTIPLY_ADD, _LOOP, _SCALAR = 0.0004, 0.00004, 0.02, 0.1
"""Microseconds: a call of NumPy; a view; what an operand in another order adds; new memory; a sum
over an axis, and over all; an element; a product of a product of matrices; an inner loop of a sum;
an operation on numbers."""


_LARGE, _PAGE = 2**14, 0.0006
"""An array of so many elements gets new pages, and what each of these costs, in microseconds."""


def microseconds(function: ArrayFunction, samples: int = SAMPLES) -> float:
    """About how long a call with so many samples takes.

    >>> from wengert.codegen.compiled import compile
    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); x = g.inputs("x", 100)
    >>> f = compile({"x": x}, [a.tanh() for a in x], target="numpy")
    >>> 0.5 < microseconds(f.program) < 20
    True
    """
    arrays = function.program.arrays.values()
    parts = sum(1 for array in arrays if array.home is not None)
    vectors = {array.home.vector for array in arrays if array.home is not None}
    time = _VIEW * parts + _MEMORY * len(vectors)
    time += sum(_joined(output) for _, output in flatten(function.outputs))
    time += _PAGE * sum(_pages(array, samples) for array in arrays)
    return time + sum(_Estimate(function, samples).statement(s) for s in function.instructions)


def _pages(array: Array, samples: int) -> int:
    """The elements of an array in memory that the system hands out anew at each call."""
    size = prod(samples if length == BATCH else length for length in array.shape)
    own = array.kind == COMPUTED and array.home is None
    return size if own and size >= _LARGE else 0


def _joined(output: Element | Vector | Whole) -> float:
    """The time of putting an output together."""
    if not isinstance(output, Vector) or len(output.pieces) < 2:
        return 0.0
    return _MEMORY + len(output.pieces) * (_CALL + _VIEW) + _ELEMENT * output.length


class _Estimate:
    def __init__(self, function: ArrayFunction, samples: int) -> None:
        self._arrays = function.program.arrays
        self._columns, self._samples = function.columns, samples

    def statement(self, statement: Statement) -> float:
        """A statement's time."""
        grid = self._grid(statement)
        lengths = {axis.name: axis.length for axis in statement.axes}
        value = statement.value
        if not grid and all(not read.index for read in statement.reads):
            return _SCALAR
        if isinstance(value, Apply):
            if not any(isinstance(operand, Read) for operand in value.operands):
                return 0.0
            time = _CALL + value.op.nanoseconds("numpy") / 1000 * self._size(lengths.values())
            return time + sum(self._stretch(o, grid) for o in value.operands)
        times = [self._term(term, grid, lengths, value) for term in value.terms]
        more = len(times) - 1
        return sum(times) + more * (_CALL + _ELEMENT * self._size(lengths.values()))

    def _grid(self, statement: Statement) -> list[str]:
        """The axes of a statement as what it writes lies in memory."""
        names = [axis.name for axis in statement.axes]
        return [*names[1:], *names[:1]] if statement.array in self._columns else names

    def _term(self, term: Term, grid: list[str], outer: Mapping[str, int], value: Reduce) -> float:
        lengths = {**outer, **{axis.name: axis.length for axis in term.over}}
        over = {axis.name for axis in term.over}
        factors = [f for f in term.factors if isinstance(f, Read)]
        scalings = int(len(factors) < len(term.factors))
        axes = {axis for read in factors for index in read.index for axis in index.axes}
        size = self._size(lengths[axis] for axis in axes)
        if not factors:
            return 0.0
        shared = [f for f in factors if over.intersection(_axes(f))]
        if len(shared) > 1 and value.op is ADD:
            gathered = sum(1 for f in shared if axes_of(f) is None) * (_CALL + _ELEMENT * size)
            products = (len(factors) - 1 + scalings) * _CALL
            return products + gathered + _MULTIPLY_ADD * size + self._order(shared, grid)
        widest = max(factors, key=lambda f: len(f.index))
        inner = [axis for axis in self._in_memory(widest) if axis in over]  # added up as they lie
        time = sum(self._stretch(f, [*grid, *inner]) for f in factors)
        arrays = sum(1 for f in factors if f.index)
        scalars = len(term.factors) - arrays  # which are multiplied by each other first
        passes = arrays - 1 + (scalars > 0)
        time += _SCALAR * max(0, scalars - 1) + passes * (_CALL + _ELEMENT * size)
        if over:
            time += self._reduction(factors, term.over, lengths, size)
        return time

    def _order(self, factors: Iterable[Read], grid: list[str]) -> float:
        """What a product of matrices costs more whose result lies the other way round."""
        return _VIEW * sum(1 for f in factors if len(f.index) < len(grid))

    def _reduction(
        self, factors: list[Read], over: Iterable[Axis], lengths: Mapping[str, int], size: int
    ) -> float:
        axes = self._in_memory(factors[0])
        inner = self._size(lengths[axis] for axis in axes[-1:])
        last = bool(axes) and axes[-1] in {axis.name for axis in over}
        whole = set(axes) <= {axis.name for axis in over}
        if whole:
            return _WHOLE + _ELEMENT * size
        return _REDUCTION + _LOOP * (size // max(inner, 1) if last else 0) + _ELEMENT * size

    def _in_memory(self, read: Read) -> list[str]:
        index = read.index
        if read.array in self._columns:
            index = (*index[1:], *index[:1])
        return [axis for one in index for axis in one.axes]

    def _stretch(self, operand: Operand, grid: list[str]) -> float:
        if not isinstance(operand, Read) or self._arrays[operand.array].kind == LITERAL:
            return 0.0
        if not operand.index:
            return 0.0
        axes = self._in_memory(operand)
        plain = axes_of(operand) is not None and axes == grid[len(grid) - len(axes) :]
        wide = plain and len(axes) < len(grid)
        return 0.0 if plain and not wide else _STRETCH if wide else _STRETCH + _VIEW

    def _size(self, lengths: Iterable[int]) -> int:
        return prod(self._samples if length == BATCH else length for length in lengths)


def _axes(read: Read) -> Collection[str]:
    return [axis for index in read.index for axis in index.axes]
