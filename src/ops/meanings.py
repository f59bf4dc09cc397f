"""What operations on whole arrays mean, in index notation: the text from which all else comes.

A meaning is called with the shape of the value, the shapes of the operands, then the static
arguments; no length is `BATCH`. It answers assignments: the operands are the arrays "0", "1" and so
on, the value is the array `OUT`; others on the way are each filled by one assignment, or numbers.
Unrolling, batching, NumPy code and native code all read these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod
from sys import float_info
from typing import Any, Final, NamedTuple

from ..errors import OperandError
from .indexing import Index as Positions
from .reads import (
    Affine,
    Apply,
    Assignment,
    AtLeast,
    Axis,
    Condition,
    Equal,
    Index,
    Operand,
    Read,
    Reduce,
    Table,
    Term,
    along,
    composed,
)
from .record import Op
from .scalar import ADD, DIV, EQ, EXP, LOG, MAXIMUM, MINIMUM, STOP_GRADIENT, SUB, WHERE
from .shapes import Shape

OUT: Final = "out"
"""The array that a meaning computes."""

_LETTERS: Final = "ijklmpqrstuvabcdefghowxyz"

Shapes = Sequence[Shape]


class Numbers(NamedTuple):
    """An array of numbers, in C order, that assignments read."""

    array: str
    shape: Shape
    values: tuple[float, ...]


Meaning = tuple[Assignment | Numbers, ...]


def meaning_of(op: Op, out: Shape, shapes: Shapes, statics: Sequence[Any] = ()) -> Meaning:
    """The assignments that an operation is, on operands of these shapes.

    An operation that works element by element is applied at every point; the others say what they
    mean in their records, or an `OperandError` says that they do not.

    >>> from wengert.ops.scalar import TANH
    >>> (one,) = meaning_of(TANH, (3,), [(3,)])
    >>> one.array, one.axes, one.value.operands
    ('out', (Axis(name='i', length=3),), (Read(array='0', index=(Affine(offset=0, \
terms=(('i', 1),)),)),))
    """
    if op.meaning is not None:
        return tuple(op.meaning(out, tuple(shapes), *statics))
    if op.shape is not None:
        raise OperandError(
            f"the record of {op.name} says what shape its value has and not what its elements are; "
            "give it a meaning, in index notation, as the records of wengert.ops.arrays do"
        )
    axes = grid(out)
    operands = [stretched(str(k), shape, axes) for k, shape in enumerate(shapes)]
    return (Assignment(OUT, axes, Apply(op, tuple(operands), tuple(statics))),)


def filled(assignment: Assignment) -> Shape:
    """The shape of an array that an assignment fills.

    >>> filled(Assignment("row", grid((2, 3)), product_of(1.0), (Affine(0, (("i", 3), ("j", 1))),)))
    (6,)
    """
    last = {axis.name: axis.length - 1 for axis in assignment.axes}
    return tuple(
        [
            1 + index.offset + sum(stride * last[axis] for axis, stride in index.terms)
            if isinstance(index, Affine)
            else 1 + max(index.values)
            for index in assignment.target
        ]
    )


def grid(shape: Shape, taken: int = 0) -> tuple[Axis, ...]:
    """An axis for each length, with names that follow the first `taken` ones.

    >>> [axis.name for axis in grid((2, 3), taken=1)]
    ['j', 'k']
    """
    return tuple([Axis(_name(k), length) for k, length in enumerate(shape, taken)])


def _name(number: int) -> str:
    return _LETTERS[number] if number < len(_LETTERS) else f"i{number}"


def _at(axes: Sequence[Axis]) -> tuple[Index, ...]:
    return tuple([along(axis.name) for axis in axes])


def stretched(array: str, shape: Shape, axes: Sequence[Axis]) -> Read:
    """The element of an array of `shape` at each point, broadcast to the axes."""
    own = axes[len(axes) - len(shape) :]
    return Read(array, _stretched(shape, own))


def _stretched(shape: Shape, axes: Sequence[Axis]) -> tuple[Index, ...]:
    return tuple(
        [
            along(axis.name) if length == axis.length else Affine()
            for length, axis in zip(shape, axes, strict=True)
        ]
    )


def product_of(*factors: Operand, over: Sequence[Axis] = ()) -> Reduce:
    """A product, summed over axes."""
    return Reduce(ADD, (Term(1, tuple(factors), tuple(over)),))


def _copied(read: Read) -> Reduce:
    return product_of(read)


def matmul(out: Shape, shapes: Shapes) -> Meaning:
    """Σ over a row of the first and a column of the second."""
    left, right = shapes
    axes = grid(out)
    (inner,) = grid(left[-1:], len(out))
    columns = len(out) - (len(right) > 1)
    rows = columns - (len(left) > 1)
    stack, summed = axes[:rows], along(inner.name)
    first = (*_outermost(left[:-2], stack), *_at(axes[rows:columns]), summed)
    second = (*_outermost(right[:-2], stack), summed, *_at(axes[columns:]))
    return (Assignment(OUT, axes, product_of(Read("0", first), Read("1", second), over=[inner])),)


def _outermost(shape: Shape, stack: Sequence[Axis]) -> tuple[Index, ...]:
    return _stretched(shape, stack[len(stack) - len(shape) :])


def outer(out: Shape, shapes: Shapes) -> Meaning:
    """A product for each pair."""
    axes = grid(out)
    value = product_of(Read("0", _at(axes[:1])), Read("1", _at(axes[1:])))
    return (Assignment(OUT, axes, value),)


def _line(shape: Shape, axis: int | None) -> tuple[tuple[Axis, ...], tuple[Axis, ...], Read]:
    """What is left of an array's axes, what is reduced over, and the read of the operand."""
    whole = grid(shape)
    if axis is None:
        return (), whole, Read("0", _at(whole))
    return (*whole[:axis], *whole[axis + 1 :]), whole[axis : axis + 1], Read("0", _at(whole))


def reduction(op: Op) -> Callable[..., Meaning]:
    """The meaning of what puts the elements along an axis together by an operation."""

    def meaning(out: Shape, shapes: Shapes, axis: int | None) -> Meaning:
        axes, over, read = _line(shapes[0], axis)
        return (Assignment(OUT, axes, Reduce(op, (Term(1, (read,), over),))),)

    return meaning


def mean(out: Shape, shapes: Shapes, axis: int | None) -> Meaning:
    """The sum, divided by how many there are."""
    axes, over, read = _line(shapes[0], axis)
    count = float(prod(a.length for a in over))
    total = Assignment("total", axes, product_of(read, over=over))
    return (total, Assignment(OUT, axes, Apply(DIV, (Read("total", _at(axes)), count))))


def logsumexp(out: Shape, shapes: Shapes, axis: int | None) -> Meaning:
    """The largest element taken out first, or the largest float where that is infinite.

    What is less infinite than that is then as far below it, so that the sum is ∞, or of no element
    but -∞ the 0 whose logarithm is -∞.
    """
    axes, over, read = _line(shapes[0], axis)
    whole = grid(shapes[0])
    top, shifted, sized = (
        Read("top", _at(axes)),
        Read("shifted", _at(whole)),
        Read("exps", _at(whole)),
    )
    sums, largest = Read("sum", _at(axes)), Read("largest", _at(axes))
    lowest, highest = Term(1, (-float_info.max,)), Term(1, (float_info.max,))
    return (
        Assignment("largest", axes, Reduce(MAXIMUM, (Term(1, (read,), over), lowest))),
        Assignment("finite", axes, Reduce(MINIMUM, (Term(1, (largest,)), highest))),
        Assignment("top", axes, Apply(STOP_GRADIENT, (Read("finite", _at(axes)),))),
        Assignment("shifted", whole, Apply(SUB, (read, top))),
        Assignment("exps", whole, Apply(EXP, (shifted,))),
        Assignment("sum", axes, product_of(sized, over=over)),
        Assignment("log", axes, Apply(LOG, (sums,))),
        Assignment(OUT, axes, Apply(ADD, (Read("log", _at(axes)), top))),
    )


def first_max(out: Shape, shapes: Shapes, axis: int | None) -> Meaning:
    """1 for the first element along the axis that is the largest; for the last where none is.

    So goes the cotangent of a chain of maxima, which has the same formula (`derive.extremes`).
    """
    whole = grid(shapes[0])
    rest, over, here = _line(shapes[0], axis)
    count = prod(line.length for line in over)
    top, first = Read("1", _at(rest)), Read("first", _at(rest))
    is_top, place = Read("is_top", _at(whole)), Read("places", _at(over))
    chosen = Apply(WHERE, (is_top, place, count - 1.0))
    found = Term(1, (Read("place", _at(whole)),), over)
    return (
        Numbers("places", tuple([line.length for line in over]), tuple(map(float, range(count)))),
        Assignment("is_top", whole, Apply(EQ, (here, top))),
        Assignment("place", whole, chosen),
        Assignment("first", rest, Reduce(MINIMUM, (found,))),
        Assignment(OUT, whole, Apply(EQ, (first, place))),
    )


def transpose(out: Shape, shapes: Shapes) -> Meaning:
    """The last two axes, exchanged."""
    axes = grid(out)
    places = _at(axes)
    return (Assignment(OUT, axes, _copied(Read("0", (*places[:-2], places[-1], places[-2])))),)


def reshape(out: Shape, shapes: Shapes, shape: Shape) -> Meaning:
    """The same elements row by row: the axes are the digits that both shapes count in.

    Where the one counts in digits that are no multiples of the other's, by way of one long row.
    """
    (given,) = shapes
    digits = _common_digits(given, out)
    if digits is None:
        axes, own = grid(given), grid(out)
        put = Assignment("row", axes, _copied(Read("0", _at(axes))), (Affine(0, _strides(axes)),))
        taken = Read("row", (Affine(0, _strides(own)),))
        return (put, Assignment(OUT, own, _copied(taken)))
    axes = grid(digits)
    value = _copied(Read("0", _counted(given, axes)))
    whole, place = _with_ones(out, axes)
    return (Assignment(OUT, whole, value, None if place == _at(whole) else place),)


def _with_ones(out: Shape, digits: tuple[Axis, ...]) -> tuple[tuple[Axis, ...], tuple[Index, ...]]:
    """The digits with an axis more for each length 1, and the index along each axis of a shape."""
    counted = iter(_counted(tuple([length for length in out if length != 1]), digits))
    ones = iter(grid((1,) * out.count(1), len(digits)))
    by_name = {axis.name: axis for axis in digits}
    axes: list[Axis] = []
    place: list[Index] = []
    for length in out:
        if length == 1:
            axes.append(next(ones))
            place.append(along(axes[-1].name))
        else:
            place.append(next(counted))
            axes += [by_name[name] for name in place[-1].axes]
    return tuple(axes), tuple(place)


def _common_digits(one: Shape, other: Shape) -> Shape | None:
    """The lengths of axes of which both shapes' axes are made, slowest first, if there are such."""
    ends = set[int]()
    for shape in (one, other):
        size = 1
        for length in reversed(shape):
            size *= length
            ends.add(size)
    sizes = sorted(ends | {1})
    steps = list(pairwise(sizes))
    if any(large % small for small, large in steps):
        return None
    return tuple([large // small for small, large in reversed(steps)])


def _counted(shape: Shape, digits: Sequence[Axis]) -> tuple[Index, ...]:
    """The index along each axis of a shape in digits, of which it takes as many as it has."""
    left = list(digits)
    found: list[Index] = []
    for length in shape:
        taken: list[Axis] = []
        while prod(axis.length for axis in taken) < length:
            taken.append(left.pop(0))
        found.append(Affine(0, _strides(taken)))
    return tuple(found)


def _strides(axes: Sequence[Axis]) -> tuple[tuple[str, int], ...]:
    """The axes with how far apart their elements are, where they count row by row."""
    found: list[tuple[str, int]] = []
    step = 1
    for axis in reversed(axes):
        found.insert(0, (axis.name, step))
        step *= axis.length
    return tuple(found)


def broadcast(out: Shape, shapes: Shapes, shape: Shape) -> Meaning:
    """Each element wherever it is repeated."""
    axes = grid(out)
    return (Assignment(OUT, axes, _copied(stretched("0", shapes[0], axes))),)


def gather(out: Shape, shapes: Shapes, index: Positions, kept: int) -> Meaning:
    """Elements by their positions: slices and steps where these are regular, tables otherwise."""
    axes = grid(out)
    inside = _chosen(index, shapes[0][kept:], axes[kept:])
    return (Assignment(OUT, axes, _copied(Read("0", (*_at(axes[:kept]), *inside)))),)


def scatter(out: Shape, shapes: Shapes, index: Positions, shape: Shape, kept: int) -> Meaning:
    """What is added at each place: the sum of the elements whose position it is."""
    axes = grid(out)
    return (_scattered(axes[kept:], axes[:kept], index),)


def _scattered(inner: tuple[Axis, ...], rows: tuple[Axis, ...], index: Positions) -> Assignment:
    """Sums of the elements that have the place of `inner`, where that is no matter of one of them.

    An axis that is the place along one axis of the result, and nothing else, is no axis of the sum.
    """
    own = grid(index.shape, len(inner) + len(rows))
    places = _chosen(index, tuple([axis.length for axis in inner]), own)
    looked_up = {name for place in places if isinstance(place, Table) for name in place.axes}
    reads: dict[str, Index] = {}
    lengths = {axis.name: axis.length for axis in own}
    domain: list[Condition] = []
    left: list[tuple[Axis, Index]] = []
    for axis, place in zip(inner, places, strict=True):
        alone = isinstance(place, Affine) and len(place.terms) == 1 and place.terms[0][1] == 1
        name = place.axes[0] if alone else ""
        if not isinstance(place, Affine) or not alone or name in reads or name in looked_up:
            left.append((axis, place))
            continue
        here = reads[name] = Affine(-place.offset, ((axis.name, 1),))
        after = lengths[name] - 1 + place.offset
        if place.offset:
            domain.append(AtLeast(here))
        if after < axis.length - 1:
            domain.append(AtLeast(Affine(after, ((axis.name, -1),))))
    for axis, place in left:
        found = composed(place, reads) if isinstance(place, Affine) else place
        domain.append(Equal(found or place, along(axis.name)))
    over = tuple([axis for axis in own if axis.name not in reads])
    read = Read("0", (*_at(rows), *[reads.get(axis.name, along(axis.name)) for axis in own]))
    value = Reduce(ADD, (Term(1, (read,), over, tuple(domain)),))
    return Assignment(OUT, (*rows, *inner), value)


def _chosen(index: Positions, shape: Shape, axes: Sequence[Axis]) -> tuple[Index, ...]:
    """Positions, one for each point of the axes, as an index along each axis of a shape."""
    import numpy

    columns = numpy.unravel_index(index.array, shape) if shape else ()
    return tuple([_index(column, axes) for column in columns])


def _index(numbers: Any, axes: Sequence[Axis]) -> Index:
    """Numbers for each point of the axes: an affine map of these, else a table of those needed."""
    import numpy

    numbers = numpy.asarray(numbers)
    origin = (0,) * numbers.ndim
    offset = int(numbers[origin])
    expected: Any = offset
    terms: list[tuple[str, int]] = []
    for place, axis in enumerate(axes):
        if axis.length > 1:
            stride = int(numbers[(*origin[:place], 1, *origin[place + 1 :])]) - offset
            steps = stride * numpy.arange(axis.length)
            expected = expected + steps.reshape(-1, *[1] * (numbers.ndim - place - 1))
            if stride:
                terms.append((axis.name, stride))
    if (numbers == expected).all():
        return Affine(offset, tuple(terms))
    needed = []
    for place in range(numbers.ndim):
        first = numbers.take([0], axis=place)
        if (numbers == first).all():
            numbers = first
        else:
            needed.append(place)
    values = tuple(numbers.ravel().tolist())
    return Table(
        "index",
        tuple([axes[place].name for place in needed]),
        tuple([axes[place].length for place in needed]),
        values,
    )


def stack(out: Shape, shapes: Shapes, axis: int) -> Meaning:
    """Each operand in its own place along a new axis."""
    whole = grid(out)
    axes = (*whole[:axis], *whole[axis + 1 :])
    own = _at(axes)
    return tuple(
        [
            Assignment(
                OUT,
                axes,
                _copied(stretched(str(place), shape, axes)),
                (*own[:axis], Affine(place), *own[axis:]),
            )
            for place, shape in enumerate(shapes)
        ]
    )


def concatenate(out: Shape, shapes: Shapes, axis: int) -> Meaning:
    """Each operand after the ones before it."""
    found, start = [], 0
    for operand, shape in enumerate(shapes):
        own = grid(shape)
        place, read = list(_at(own)), list(_at(own))
        place[axis] = Affine(start, ((own[axis].name, 1),))
        if shape[axis] == 1:
            place[axis], read[axis] = Affine(start), Affine()
            own = (*own[:axis], *own[axis + 1 :])
        value = _copied(Read(str(operand), tuple(read)))
        found.append(Assignment(OUT, own, value, tuple(place)))
        start += shape[axis]
    return tuple(found)


def length(out: Shape, shapes: Shapes) -> Meaning:
    """How many rows there are, a number."""
    return (Assignment(OUT, (), product_of(float(shapes[0][0]))),)
