"""Shape rules and NumPy values of the operations on whole arrays.

A shape rule is called with the shapes of the operands, then the static arguments, and answers the
shape of the value or raises an error that names the operation and both shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from ..errors import ShapeError, shorten
from .indexing import Index, check_index
from .shapes import BATCH, Shape, broadcast, mismatch, shape_text, within_memory


def matmul_shape(a: Shape, b: Shape) -> Shape:
    """Rows of the first by columns of the second; leading axes are stacks of matrices."""
    if not a or not b or a[-1] != b[-2 if len(b) > 1 else 0]:
        raise mismatch(
            "matmul", (a, b), "a row of the first must be as long as a column of the second"
        )
    stack = broadcast("matmul", [a[:-2], b[:-2]])
    return (*stack, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))


def checked_axis(x: Shape, axis: int | None, name: str) -> int | None:
    """The axis, counted from 0, if an array of shape `x` has it."""
    if axis is not None and not 0 <= axis < len(x):
        raise ShapeError(f"{name}: an array of shape {shape_text(x)} has no axis {shorten(axis)}")
    return axis


def reduced_shape(name: str, x: Shape, axis: int | None) -> Shape:
    """All axes but the one reduced over; none are left when that is all of them."""
    checked_axis(x, axis, name)
    return () if axis is None else (*x[:axis], *x[axis + 1 :])


def gather_shape(x: Shape, index: Index, kept: int) -> Shape:
    """As many elements as there are positions, in each of what the axes that are kept hold."""
    if len(x) < kept:
        raise mismatch("gather", (x,), f"expected {kept} axes before those that are chosen from")
    check_index("gather", index, x[kept:])
    return (*x[:kept], *index.shape)


def scatter_shape(x: Shape, index: Index, shape: Shape, kept: int) -> Shape:
    """The shape that is asked for, after axes that are kept, if each element has a position."""
    check_index("scatter_add", index, shape)
    if len(x) < kept or x[kept:] != index.shape:
        raise mismatch("scatter_add", (x, index.shape), "each element needs one position")
    return (*x[:kept], *shape)


def stack_shape(*given: Any) -> Shape:
    """A new axis in the one shape that all operands are broadcast to."""
    *shapes, axis = given
    whole = broadcast("stack", shapes)
    if axis > len(whole):
        raise mismatch("stack", shapes, f"there is no place for an axis {axis}")
    if axis == 0 and whole[:1] == (BATCH,):
        raise mismatch("stack", shapes[:1], "a batch stays the leading axis: use stack_rows")
    return (*whole[:axis], len(shapes), *whole[axis:])


def concatenate_shape(*given: Any) -> Shape:
    """The shape of the operands, along one axis as long as all of them together."""
    *shapes, axis = given
    others = {(len(shape), *shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if len(others) > 1 or len(shapes[0]) <= axis or BATCH in [shape[axis] for shape in shapes]:
        raise mismatch("concatenate", tuple(dict.fromkeys(shapes)), f"all but axis {axis} must")
    whole = (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])
    return within_memory(whole, "concatenate")


def outer_shape(a: Shape, b: Shape) -> Shape:
    """A row for each element of the first vector, a column for each of the second."""
    if len(a) != 1 or len(b) != 1:
        raise mismatch("outer", (a, b), "expected two vectors")
    return (*a, *b)


def transpose_shape(x: Shape) -> Shape:
    """The last two axes, exchanged."""
    if len(x) < 2:
        raise mismatch("transpose", (x,), "expected a matrix")
    if len(x) == 2 and x[0] == BATCH:
        return (x[1], BATCH)
    return (*x[:-2], x[-1], x[-2])


def reshape_shape(x: Shape, shape: Shape) -> Shape:
    """The shape that is asked for, if it has as many elements."""
    count, wanted = prod(x), prod(shape)
    known = wanted == count if BATCH not in x else BATCH in shape and count % wanted == 0
    if not known or (BATCH in shape and BATCH not in x):
        raise ShapeError(
            f"reshape: an array of shape {shape_text(x)} has {_elements(x)}, "
            f"one of shape {shape_text(shape)} has {_elements(shape)}"
        )
    return shape


def _elements(shape: Shape) -> str:
    return f"{abs(prod(shape)):,} elements" + (" a sample" if BATCH in shape else "")


def broadcast_to_shape(x: Shape, shape: Shape) -> Shape:
    """The shape that is asked for, if the operand stretches to it."""
    if broadcast("broadcast_to", [x, shape]) != shape or (BATCH in shape and BATCH not in x):
        raise mismatch("broadcast_to", (x, shape), "the first must stretch to the second")
    return shape


def numpy_call(name: str, *arguments: Any, **options: Any) -> Any:
    """A function of NumPy, imported when it is needed."""
    import numpy

    return getattr(numpy, name)(*arguments, **options)


def reducing(name: str) -> Callable[..., Any]:
    """The value of a reduction over an axis that NumPy has a function for."""
    return lambda x, axis: numpy_call(name, x, axis=axis)


def logsumexp_value(x: Any, axis: int | None) -> Any:
    """Log-sum-exp with the largest element taken out first; infinities pass through."""
    import numpy

    top = numpy.max(x, axis=axis, keepdims=True)
    with numpy.errstate(over="ignore", divide="ignore", invalid="ignore"):
        total = numpy.log(numpy.exp(x - top).sum(axis=axis, keepdims=True)) + top
        total = numpy.where(numpy.isinf(top), top, total)
    return total.reshape(()) if axis is None else total.squeeze(axis)


def first_max_value(x: Any, top: Any, axis: int | None) -> Any:
    """1 at the first element along the axis that is the largest, at the last if none is; else 0."""
    import numpy

    if axis is None:
        return first_max_value(numpy.ravel(x), top, 0).reshape(numpy.shape(x))
    largest = numpy.equal(x, numpy.expand_dims(top, axis))
    places = numpy.where(largest.any(axis), largest.argmax(axis), numpy.shape(x)[axis] - 1)
    mask = numpy.zeros(numpy.shape(x))
    numpy.put_along_axis(mask, numpy.expand_dims(places, axis), 1.0, axis)
    return mask


def gather_value(x: Any, index: Index, kept: int) -> Any:
    """The elements at the positions, in each of what the axes that are kept hold."""
    own = numpy_call("shape", x)[:kept]
    return numpy_call("reshape", x, (*own, -1))[..., index.array]


def scatter_value(x: Any, index: Index, shape: Shape, kept: int) -> Any:
    """Zeros, with each element added at its position."""
    import numpy

    own = numpy.shape(x)[:kept]
    out = numpy.zeros((*own, prod(shape)))
    numpy.add.at(out.T, index.array.ravel(), numpy.reshape(x, (*own, -1)).T)
    return out.reshape(*own, *shape)


def stack_value(*given: Any) -> Any:
    """The operands along a new axis."""
    *operands, axis = given
    return numpy_call("stack", numpy_call("broadcast_arrays", *operands), axis=axis)


def concatenate_value(*given: Any) -> Any:
    """The operands one after another along an axis."""
    *operands, axis = given
    return numpy_call("concatenate", operands, axis=axis)


def broadcast_value(x: Any, shape: Shape) -> Any:
    """The operand repeated; the length of a batch is its own."""
    return numpy_call("broadcast_to", x, (len(x), *shape[1:]) if BATCH in shape else shape)
