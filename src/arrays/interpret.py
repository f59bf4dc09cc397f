"""The values of an `ArrayProgram`, point by point through the operation table.

Slow and plain. What is never written is nan, so that reading it shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import MissingInputError, ShapeError
from ..graph.store import listing
from ..ops.points import Columns, extended, flat_places, points
from ..ops.reads import Apply, Operand, Read, Reduce
from ..ops.record import evaluate_arrays
from ..ops.scalar import MUL
from ..ops.shapes import BATCH, frozen_array, shape_text
from .statements import LITERAL, Array, ArrayProgram, Statement


def run(program: ArrayProgram, leaves: Mapping[str, Any]) -> list[Any]:
    """The outputs of a program, one array (or vector of elements) per `Output`.

    leaves   by name: arrays for arguments and array leaves, numbers for scalar leaves
    """
    state = _State(program, leaves)
    for statement in program.statements:
        state.execute(statement)
    results = []
    for array, places in program.outputs:
        whole = state.array(array)
        results.append(whole if places is None else whole.reshape(-1)[list(places)])
    return results


def _given(data: Any, name: str) -> Any:
    """Numbers as an array; one that is there is taken as it is, even if it is empty."""
    return data if hasattr(data, "dtype") else frozen_array(data, name)


class _State:
    """The arrays of a program while it runs."""

    def __init__(self, program: ArrayProgram, leaves: Mapping[str, Any]) -> None:
        self._program = program
        self._arrays: dict[str, Any] = {}
        self._samples = 1
        given = {name: _given(data, name) for name, data in leaves.items()}
        for array in program.leaves:
            if array.shape[:1] == (BATCH,) and array.name in given:
                self._samples = len(given[array.name])
        missing: list[str] = []
        used = {read.array for statement in program.statements for read in statement.reads}
        used.update(output.array for output in program.outputs)
        for array in program.leaves:
            if array.name in used:
                self._arrays[array.name] = self._leaf(array, given, missing)
        if missing:
            raise MissingInputError(f"no value for {listing(missing)}; give each a number")
        for array in program.arrays.values():
            if array.kind == LITERAL:
                self._arrays[array.name] = frozen_array(array.values, array.name).reshape(
                    array.shape
                )

    def _leaf(self, array: Array, given: Mapping[str, Any], missing: list[str]) -> Any:
        import numpy

        shape = array.sized(self._samples)
        if array.name in given and (given[array.name].shape == shape):
            return given[array.name]
        if array.name in given and not array.elements:
            raise ShapeError(
                f"{array.name} has shape {shape_text(given[array.name].shape)}, expected "
                f"{shape_text(shape)}"
            )
        if array.home is not None and array.home.vector in given:
            vector = given[array.home.vector]
            inner = vector[..., list(array.home.places)]
            return inner.reshape(shape)
        lost = [name for name in array.elements if name not in given]
        if lost or not array.elements:
            missing += lost or [array.name]
            return None
        columns = numpy.array([given[name] for name in array.elements])
        return numpy.moveaxis(columns, 0, -1).reshape(shape)

    def array(self, name: str) -> Any:
        """The array as it is now; a vector that nothing wrote is put together from its parts."""
        import numpy

        if name in self._arrays:
            return self._arrays[name]
        array = self._program.arrays[name]
        whole = numpy.full(array.sized(self._samples), numpy.nan)
        for part in self._program.parts(name):
            if part.name in self._arrays and part.home is not None:
                inner = self._arrays[part.name]
                whole[..., list(part.home.places)] = inner.reshape(*whole.shape[:-1], -1)
        return whole

    def execute(self, statement: Statement) -> None:
        """Compute the elements that a statement writes."""
        import numpy

        array = self._program.arrays[statement.array]
        shape = array.sized(self._samples)
        columns = points(statement.axes, statement.domain, self._samples)
        values = self._value(statement, columns)
        whole = self._arrays.setdefault(array.name, numpy.full(shape, numpy.nan))
        whole.reshape(-1)[flat_places(statement.target, shape, columns)] = values

    def _value(self, statement: Statement, columns: Columns) -> Any:
        import numpy

        value, count = statement.value, len(columns[""])
        if isinstance(value, Apply):
            operands = [self._operand(operand, columns) for operand in value.operands]
            return evaluate_arrays(value.op, operands, value.statics)
        assert isinstance(value, Reduce)
        total = numpy.full(count, value.op.identity)
        combine = getattr(numpy, value.op.name)
        for term in value.terms:
            inner, rows = extended(columns, term.over, term.domain, self._samples)
            product = numpy.full(len(rows), float(term.count))
            for factor in term.factors:
                product = evaluate_arrays(MUL, [product, self._operand(factor, inner)], ())
            combine.at(total, rows, product)
        return total

    def _operand(self, operand: Operand, columns: Columns) -> Any:
        import numpy

        if not isinstance(operand, Read):
            return numpy.full(len(columns[""]), operand)
        array = self.array(operand.array)
        return array.reshape(-1)[flat_places(operand.index, array.shape, columns)]
