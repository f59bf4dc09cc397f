"""The steps of a walk-through in index notation, and the numbers that go with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, prod
from typing import Any, Final

from ...arrays.interpret import run
from ...arrays.statements import Output, Statement
from ..data import Formula, Step
from ..words import counted, listed
from .matrices import matrix_form
from .program import Program, computed_arrays
from .readings import Reading, readings

MAX_POINTS: Final = 200_000
"""Elements of all arrays together for which numbers are computed."""

_STEP: Final = 6e-6
_CLOSE: Final = 1e-5


@dataclass(frozen=True)
class ArrayStep(Step):
    """One statement: what it computes, for all elements at once.

    array      what it computes
    statement  in index notation; `matrix` the same in matrices, where it has such a form
    readings   of a derivative: where what it is of is read in the forward pass
    values     the numbers, as nested lists; None where none are known
    """

    array: str
    shape: tuple[int, ...]
    statement: Formula
    matrix: Formula | None
    readings: tuple[Reading, ...]
    values: Any


@dataclass(frozen=True)
class Judged:
    """The largest derivative by the elements of one leaf, beside its difference quotient."""

    leaf: str
    element: str
    derivative: float
    difference: float
    agrees: bool


def array_steps(program: Program, leaves: Mapping[str, Any] | None) -> Iterator[ArrayStep]:
    """The steps, forward and backward; `leaves` are the numbers, if there are any."""
    values = {} if leaves is None else _values(program, leaves)
    for statement in program.statements:
        if not program.is_backward(statement.array):
            yield _step(program, statement, values)
    yield _seed(program)
    for statement in program.statements:
        if program.is_backward(statement.array):
            yield _step(program, statement, values)


def _step(program: Program, statement: Statement, values: Mapping[str, Any]) -> ArrayStep:
    name = statement.array
    of = program.slopes.get(name) or program.deltas.get(name)
    back = program.is_backward(name)
    written = program.write(statement)
    found = tuple(readings(program, of)) if of else ()
    numbers = values.get(name)
    return ArrayStep(
        id=f"{'backward' if back else 'forward'}-{name}",
        part=3 if back else 1,
        kind="backward" if back else "forward",
        title=written.text,
        sentence=_sentence(program, statement, found),
        node=None,
        finite=numbers is None or _finite(numbers),
        array=of or name,
        shape=tuple(program.whole.arrays[name].shape),
        statement=written,
        matrix=matrix_form(program, statement),
        readings=found,
        values=None if numbers is None else numbers.tolist(),
    )


def _seed(program: Program) -> ArrayStep:
    name = program.name
    slope = Formula(f"∂{name}/∂{name} = 1", rf"\frac{{\partial {name}}}{{\partial {name}}} = 1")
    return ArrayStep(
        id="seed",
        part=2,
        kind="seed",
        title=slope.text,
        sentence=f"{name} changes exactly as much as itself: the backward pass starts from 1.",
        node=None,
        finite=True,
        array=name,
        shape=(),
        statement=slope,
        matrix=None,
        readings=(),
        values=1.0,
    )


def _sentence(program: Program, statement: Statement, found: Sequence[Reading]) -> str:
    """How many numbers a statement computes, and what is added up in each."""
    name = statement.array
    shape = program.shape(name)
    size = program.whole.arrays[name].size
    many = f"{counted(size, 'number')}, {shape}" if shape != "a number" else "One number"
    if not program.is_backward(name):
        return f"{many}."
    if not found:
        readers = program.needed_by(name)
        verb = "is" if len(readers) == 1 else "are"
        return f"{many}. An intermediate result, from which {listed(readers)} {verb} computed."
    it = "It" if shape == "a number" else "Each element"
    over = [axis for reading in found for axis in reading.over]
    if over:
        all_are = all(reading.every for reading in found if reading.over)
        which = "The same element is" if all_are else "Some elements are"
        return (
            f"{many}. {which} read at every {listed(dict.fromkeys(over))}: what the "
            "readings pass back is added."
        )
    times = sum(reading.times for reading in found)
    if not all(reading.every for reading in found):
        places = f" in {times} places" if times > 1 else ""
        return f"{many}. Some elements are read{places}: what passes back there is added, else 0."
    if times > 1:
        return f"{many}. {it} is read {times} times: what the readings pass back is added."
    return f"{many}. {it} is read once, so one product passes back to it."


def _values(program: Program, leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of every computed array; none where there are too many."""
    names = computed_arrays(program.whole)
    if sum(prod(program.whole.arrays[name].shape) for name in names) > MAX_POINTS:
        return {}
    whole = replace(program.whole, outputs=tuple(Output(name) for name in names))
    return dict(zip(names, run(whole, leaves), strict=True))


def judged(program: Program, leaves: Mapping[str, Any]) -> Iterator[Judged]:
    """The derivatives beside differences of the output, which know no calculus."""
    import numpy

    values = _values(program, leaves)
    for name, leaf in program.slopes.items():
        if name not in values:
            continue
        slope = values[name].reshape(-1)
        place = int(numpy.argmax(numpy.abs(slope)))
        shape = program.whole.arrays[leaf].shape
        index = [int(i) for i in numpy.unravel_index(place, shape)] if shape else []
        difference = _difference(program, leaves, leaf, place)
        room = _CLOSE * max(1.0, abs(slope[place]))
        yield Judged(
            leaf,
            f"{leaf}[{', '.join(map(str, index))}]" if index else leaf,
            float(slope[place]),
            difference,
            abs(difference - slope[place]) <= room,
        )


def _difference(program: Program, leaves: Mapping[str, Any], leaf: str, place: int) -> float:
    """The central difference of the output by one element of a leaf."""
    import numpy

    array = program.whole.arrays[leaf]
    output = replace(program.whole, outputs=(Output(program.output),))
    element = array.elements[place] if array.elements and leaf not in leaves else None

    def at(step: float) -> float:
        moved = dict(leaves)
        if element is not None:
            moved[element] = leaves[element] + step
        else:
            whole = numpy.array(leaves[leaf], dtype=float)
            whole.reshape(-1)[place] += step
            moved[leaf] = whole
        return float(run(output, moved)[0].reshape(-1)[0])

    return (at(_STEP) - at(-_STEP)) / (2 * _STEP)


def _finite(numbers: Any) -> bool:
    return all(map(isfinite, numbers.reshape(-1).tolist()))
