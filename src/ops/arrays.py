"""Operations on whole arrays: one record each, in the same table as the scalar ones.

Element-by-element operations (`add`, `tanh`, `where`, …) take arrays as they are; the records here
are those whose value has a shape of its own. All but `max_over` and `logsumexp` are linear in each
operand, so that the derivative rule of each is its transpose (Giles 2008, "Collected matrix
derivative results for forward and reverse mode algorithmic differentiation").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import accumulate
from math import prod
from numbers import Integral
from typing import Any, Final

from ..errors import OperandError, ShapeError, shorten
from . import meanings
from .arrayshapes import (
    broadcast_to_shape,
    broadcast_value,
    checked_axis,
    concatenate_shape,
    concatenate_value,
    first_max_value,
    gather_shape,
    gather_value,
    logsumexp_value,
    matmul_shape,
    numpy_call,
    outer_shape,
    reduced_shape,
    reducing,
    reshape_shape,
    scatter_shape,
    scatter_value,
    stack_shape,
    stack_value,
    transpose_shape,
)
from .indexing import Index, positions_of
from .record import ATOM, PRODUCT, Notation, Op, call, infix
from .scalar import ADD, MAXIMUM, exp, where
from .shapes import BATCH, Shape, broadcast, checked_shape, mismatch, shape_of, shape_text

_TIGHT: Final = (ATOM,)


class EachOperand(Sequence[Callable[..., Any]]):
    """The rules of an operation with any number of operands: `make(position)` is that of one."""

    def __init__(self, make: Callable[[int], Callable[..., Any]]) -> None:
        self._make = make

    def __getitem__(self, position: Any) -> Any:
        return self._make(position)

    def __len__(self) -> int:
        return 0


def _matmul_first(ct: Any, out: Any, a: Any, b: Any) -> Any:
    ranks = len(shape_of(a)), len(shape_of(b))
    if ranks[1] > 1:
        row = RESHAPE(ct, _inserted(ct, -2)) if ranks[0] == 1 < ranks[1] - 1 else ct
        return MATMUL(row, TRANSPOSE(b))
    if ranks[0] == 1:
        return ct * b
    return OUTER(ct, b) if ranks[0] == 2 else _column(ct) * b


def _matmul_second(ct: Any, out: Any, a: Any, b: Any) -> Any:
    ranks = len(shape_of(a)), len(shape_of(b))
    if ranks == (1, 1):
        return ct * a
    if ranks[0] == 1:
        return OUTER(a, ct) if ranks[1] == 2 else _column(a) * RESHAPE(ct, _inserted(ct, -2))
    return _column(ct) * a if ranks[1] == 1 < ranks[0] - 1 else MATMUL(TRANSPOSE(a), ct)


def _column(x: Any) -> Any:
    """`x` with a last axis of length 1."""
    return RESHAPE(x, (*shape_of(x), 1))


def _inserted(x: Any, place: int) -> Shape:
    shape = shape_of(x)
    return (*shape[: place + 1], 1, *shape[place + 1 :])


def kept(ct: Any, x: Any, axis: int | None) -> Any:
    """What was reduced over an axis of `x`, with that axis back at length 1."""
    shape = shape_of(x)
    if axis is None or len(shape) == 1:
        return ct
    return RESHAPE(ct, (*shape[:axis], 1, *shape[axis + 1 :]))


def _spread(ct: Any, x: Any, axis: int | None) -> Any:
    """The cotangent of a sum, for each of its terms."""
    return spread_over(kept(ct, x, axis), x)


def spread_over(x: Any, like: Any) -> Any:
    """`x` repeated to the shape of `like`, whose batch may have a length that is not known yet.

    >>> import numpy as np
    >>> spread_over(1.0, np.zeros((2, 2)))
    array([[1., 1.],
           [1., 1.]])
    """
    shape = shape_of(like)
    if shape_of(x) == shape:
        return x
    if BATCH not in shape or BATCH in shape_of(x):
        return BROADCAST(x, shape)
    return where(like, x, x)


def _count(x: Any, axis: int | None) -> Any:
    """How many terms a sum over the axis has."""
    shape = shape_of(x)
    lengths = shape if axis is None else shape[axis : axis + 1]
    return prod(lengths) if BATCH not in lengths else LENGTH(x) * abs(prod(lengths))


def _softmax(ct: Any, out: Any, x: Any, axis: int | None) -> Any:
    return exp(x - kept(out, x, axis))


def sum_to(x: Any, shape: Shape) -> Any:
    """`x` summed over the axes that broadcasting added or stretched: the transpose of broadcasting.

    >>> import numpy as np
    >>> sum_to(np.ones((4, 3)), (3,)), sum_to(np.ones((4, 3)), ())
    (array([4., 4., 4.]), 12.0)
    """
    if shape_of(x) == shape:
        return x
    if not shape:
        return SUM(x, None)
    while len(shape_of(x)) > len(shape):
        x = SUM(x, 0)
    for axis, length in enumerate(shape):
        if length == 1 != shape_of(x)[axis]:
            x = RESHAPE(SUM(x, axis), (*shape_of(x)[:axis], 1, *shape_of(x)[axis + 1 :]))
    return x


def fitted(x: Any, like: Any) -> Any:
    """`x` in the shape of `like`: what broadcasting added is summed up, what is missing repeated.

    >>> import numpy as np
    >>> fitted(np.ones((4, 3)), np.zeros((1, 3))), fitted(2.0, np.zeros(2))
    (array([[4., 4., 4.]]), array([2., 2.]))
    """
    shape = shape_of(like)
    return spread_over(sum_to(x, shape) if len(shape_of(x)) >= len(shape) else x, like)


def _no_symbols(*_: Any) -> Any:
    raise OperandError(
        "operations on whole arrays have no sympy form of their own; "
        "take the elements apart first with wengert.unroll(expression)"
    )


def _of_array(
    name: str,
    evaluate: Callable[..., Any],
    shape: Callable[..., Shape],
    vjp: Any,
    sentence: str,
    *,
    text: Notation | str = "",
    latex: Notation | str = "",
    linear: str,
    jvp: Any = None,
    statics: tuple[str, ...] = (),
    element: float = 0.4,
    **fields: Any,
) -> Op:
    """The record of an operation on whole arrays, which takes `element` nanoseconds for each.

    What is linear in all operands together is its own `jvp`.
    """
    if jvp is None and linear != "together":
        raise OperandError(f"the record of {name}: give a jvp, or say that it is linear together")
    arguments = ", ".join(["{0}", *[f"{{{static}}}" for static in statics]])
    written = text or call(name, arguments)
    in_latex = latex or call(rf"\operatorname{{{{{name}}}}}".replace("_", r"\_"), arguments)
    op: Op = Op(
        name=name,
        evaluate=evaluate,
        sympy=_no_symbols,
        vjp=vjp,
        notation={"text": written, "latex": in_latex},  # type: ignore[dict-item]
        sentence=sentence,
        statics=statics,
        shape=shape,
        jvp=(lambda t, out, x, *fixed: op(t, *fixed),) if jvp is None else jvp,
        linear=linear,
        cost={"numpy": element},
        **{"arity": 1, **fields},
    )
    return op


MATMUL: Op = _of_array(
    "matmul",
    partial(numpy_call, "matmul"),
    matmul_shape,
    (_matmul_first, _matmul_second),
    "each factor gets the cotangent times the other, transposed, on the other's side",
    arity=2,
    text=infix(" @ ", PRODUCT),
    latex=infix(" ", PRODUCT),
    jvp=(lambda t, out, a, b: MATMUL(t, b), lambda t, out, a, b: MATMUL(a, t)),
    linear="each",
    meaning=meanings.matmul,
)

OUTER: Op = _of_array(
    "outer",
    partial(numpy_call, "outer"),
    outer_shape,
    (lambda ct, out, a, b: MATMUL(ct, b), lambda ct, out, a, b: MATMUL(a, ct)),
    "each vector gets the cotangent, a matrix, times the other vector",
    arity=2,
    text=call("outer", "{0}", "{1}"),
    latex=Notation(r"{0} {1}^{{\top}}", PRODUCT, (PRODUCT, ATOM)),
    jvp=(lambda t, out, a, b: OUTER(t, b), lambda t, out, a, b: OUTER(a, t)),
    linear="each",
    meaning=meanings.outer,
)

SUM: Op = _of_array(
    "sum_over",
    reducing("sum"),
    partial(reduced_shape, "sum_over"),
    (lambda ct, out, x, axis: _spread(ct, x, axis),),
    "a sum hands its cotangent unchanged to every term",
    statics=("axis",),
    defaults=(None,),
    linear="together",
    meaning=meanings.reduction(ADD),
)

MEAN: Op = _of_array(
    "mean_over",
    reducing("mean"),
    partial(reduced_shape, "mean_over"),
    (lambda ct, out, x, axis: _spread(ct / _count(x, axis), x, axis),),
    "a mean hands each of its n terms one n-th of the cotangent",
    statics=("axis",),
    defaults=(None,),
    linear="together",
    meaning=meanings.mean,
)

MAX: Op = _of_array(
    "max_over",
    reducing("max"),
    partial(reduced_shape, "max_over"),
    (lambda ct, out, x, axis: where(FIRST_MAX(x, out, axis), kept(ct, x, axis), 0),),
    "the largest element gets the whole cotangent, the others nothing",
    statics=("axis",),
    defaults=(None,),
    jvp=(lambda t, out, x, axis: SUM(where(FIRST_MAX(x, out, axis), t, 0), axis),),
    kink="a tie gives it all to the first of the largest",
    linear="",
    places=SUM,
    chooses=True,
    meaning=meanings.reduction(MAXIMUM),
)

FIRST_MAX: Op = _of_array(
    "first_max",
    first_max_value,
    lambda x, top, axis: (checked_axis(x, axis, "first_max"), x)[1],
    (None, None),
    "1 where the largest element is, 0 elsewhere: flat, so nothing passes back",
    arity=2,
    statics=("axis",),
    defaults=(None,),
    jvp=(None, None),
    kink="the first of the largest elements gets the 1",
    text=call("first_max", "{0}", "{1}", "{axis}"),
    linear="",
    chooses=True,
    meaning=meanings.first_max,
)

LOGSUMEXP: Op = _of_array(
    "logsumexp",
    logsumexp_value,
    partial(reduced_shape, "logsumexp"),
    (lambda ct, out, x, axis: kept(ct, x, axis) * _softmax(ct, out, x, axis),),
    "log-sum-exp hands each element the cotangent times its softmax, exp(x - out)",
    statics=("axis",),
    defaults=(None,),
    jvp=(lambda t, out, x, axis: SUM(t * _softmax(t, out, x, axis), axis),),
    linear="",
    places=SUM,
    element=3.0,
    meaning=meanings.logsumexp,
)

TRANSPOSE: Op = _of_array(
    "transpose",
    lambda x: numpy_call("swapaxes", x, -1, -2),
    transpose_shape,
    (lambda ct, out, x: TRANSPOSE(ct),),
    "a transpose passes back transposed",
    text=Notation("{0}.T", ATOM, _TIGHT),
    latex=Notation(r"{0}^{{\top}}", ATOM, _TIGHT),
    linear="together",
    meaning=meanings.transpose,
)

RESHAPE: Op = _of_array(
    "reshape",
    partial(numpy_call, "reshape"),
    reshape_shape,
    (lambda ct, out, x, shape: RESHAPE(ct, shape_of(x)),),
    "the same elements in another shape: the cotangent takes the old shape back",
    text=Notation("{0}.reshape({shape})", ATOM, _TIGHT),
    statics=("shape",),
    linear="together",
    meaning=meanings.reshape,
)

BROADCAST: Op = _of_array(
    "broadcast_to",
    broadcast_value,
    broadcast_to_shape,
    (lambda ct, out, x, shape: sum_to(ct, shape_of(x)),),
    "an element that was repeated gets the sum of the cotangents of its copies",
    statics=("shape",),
    jvp=(lambda t, out, x, shape: BROADCAST(t, shape),),
    linear="together",
    meaning=meanings.broadcast,
)

GATHER: Op = _of_array(
    "gather",
    gather_value,
    gather_shape,
    (lambda ct, out, x, index, kept: SCATTER(ct, index, shape_of(x)[kept:], kept),),
    "each element that was chosen gets the cotangents of the places it was put in",
    statics=("index", "kept"),
    defaults=(0,),
    linear="together",
    element=3.0,
    meaning=meanings.gather,
)

SCATTER: Op = _of_array(
    "scatter_add",
    scatter_value,
    scatter_shape,
    (lambda ct, out, x, index, shape, kept: GATHER(ct, index, kept),),
    "each element takes the cotangent of the place it was added to",
    statics=("index", "shape", "kept"),
    defaults=(0,),
    linear="together",
    element=3.0,
    meaning=meanings.scatter,
)


def _place_of(position: int) -> Callable[..., Any]:
    def rule(ct: Any, out: Any, *given: Any) -> Any:
        *operands, axis = given
        if not shape_of(ct):
            return ct
        own = take(ct, (*[slice(None)] * axis, position))
        return sum_to(own, shape_of(operands[position]))

    return rule


def _alone(op: Callable[[], Op]) -> Callable[[int], Callable[..., Any]]:
    """Forward rules of a stack: the tangent in its place, zeros in the others."""

    def make(position: int) -> Callable[..., Any]:
        def rule(t: Any, out: Any, *given: Any) -> Any:
            *x, axis = given
            return op()(*[t if i == position else 0 * a for i, a in enumerate(x)], axis)

        return rule

    return make


STACK: Op = _of_array(
    "stack",
    stack_value,
    stack_shape,
    EachOperand(_place_of),
    "each operand gets its own place of the cotangent",
    arity=-1,
    statics=("axis",),
    jvp=EachOperand(_alone(lambda: STACK)),
    linear="together",
    chooses=True,
    meaning=meanings.stack,
)


def _part_of(position: int) -> Callable[..., Any]:
    def rule(ct: Any, out: Any, *given: Any) -> Any:
        *operands, axis = given
        if not shape_of(ct):
            return ct
        ends = [0, *accumulate(shape_of(x)[axis] for x in operands)]
        return take(ct, (*[slice(None)] * axis, slice(ends[position], ends[position + 1])))

    return rule


CONCATENATE: Op = _of_array(
    "concatenate",
    concatenate_value,
    concatenate_shape,
    EachOperand(_part_of),
    "each operand gets its own part of the cotangent",
    arity=-1,
    statics=("axis",),
    jvp=EachOperand(_alone(lambda: CONCATENATE)),
    linear="together",
    chooses=True,
    meaning=meanings.concatenate,
)

LENGTH: Op = _of_array(
    "length",
    lambda x: float(len(x)),
    lambda x: () if x else _raise(mismatch("length", (x,), "expected an array")),
    (None,),
    "the number of rows does not change with their values: nothing passes back",
    text=call("len"),
    jvp=(None,),
    linear="",
    chooses=True,
    meaning=meanings.length,
)


def _raise(error: Exception) -> Any:
    raise error


ARRAY_OPERATIONS: Final = (
    *(MATMUL, OUTER, SUM, MEAN, MAX, FIRST_MAX, LOGSUMEXP, TRANSPOSE, RESHAPE, BROADCAST),
    *(GATHER, SCATTER, STACK, CONCATENATE, LENGTH),
)
"""The records of this file, in order."""

matmul, outer, transpose = MATMUL, OUTER, TRANSPOSE


Axes = int | Sequence[int] | None
"""One axis, several, or None for all."""


def checked_axes(name: str, x: Any, axis: Any) -> tuple[int, ...]:
    """Axes of an array counted from 0, or a `ShapeError` that names the operation and the shape.

    >>> import numpy as np
    >>> checked_axes("sum", np.zeros((2, 3)), -1), checked_axes("sum", np.zeros((2, 3)), None)
    ((1,), (0, 1))
    """
    return axes_within(name, shape_of(x), axis)


def axes_within(name: str, shape: Shape, axis: Any) -> tuple[int, ...]:
    """The same of a shape."""
    if axis is None:
        return tuple(range(len(shape)))
    given = tuple(axis) if isinstance(axis, Iterable) else (axis,)
    found = []
    for one in given:
        if not isinstance(one, Integral) or not -len(shape) <= int(one) < len(shape):
            raise ShapeError(
                f"{name}: an array of shape {shape_text(shape)} has no axis {shorten(one)}"
            )
        found.append(int(one) % len(shape))
    if len(set(found)) < len(found):
        raise ShapeError(f"{name}: axes {given} of shape {shape_text(shape)} name one axis twice")
    return tuple(found)


def reduced_over(
    name: str, reduce: Callable[[Any, int | None], Any], x: Any, axis: Axes, keepdims: bool
) -> Any:
    """A reduction over axes, one after another, or over all at once."""
    shape = shape_of(x)
    axes = checked_axes(name, x, axis)
    if not shape or not axes:
        return x
    y = x
    if axis is None or len(axes) == len(shape) > 1:
        y = reduce(x, None)
    else:
        for one in sorted(axes, reverse=True):
            y = reduce(y, one)
    return _kept(y, shape, axes) if keepdims else y


def _kept(x: Any, shape: Shape, axes: Iterable[int]) -> Any:
    """What was reduced, with the axes it lost back at length 1."""
    gone = set(axes)
    return reshape(x, tuple([1 if k in gone else n for k, n in enumerate(shape)]))


def sum_over(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The sum over an axis or several, or of all elements.

    >>> import numpy as np
    >>> sum_over(np.ones((2, 3))), sum_over(np.ones((2, 3)), axis=-1)
    (6.0, array([3., 3.]))
    """
    return reduced_over("sum_over", SUM, x, axis, keepdims)


def mean_over(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The mean over an axis or several, or of all elements.

    >>> import numpy as np
    >>> mean_over(np.array([1.0, 2.0]))
    1.5
    """
    return reduced_over("mean_over", MEAN, x, axis, keepdims)


def max_over(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The largest element along an axis or several, or of all.

    >>> import numpy as np
    >>> max_over(np.array([[1.0, 2.0], [4.0, 3.0]]), axis=1)
    array([2., 4.])
    """
    return reduced_over("max_over", MAX, x, axis, keepdims)


def logsumexp(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """log Σ exp(x) over an axis or several, or over all elements, without overflow.

    The largest element is taken out first (Blanchard, Higham & Higham 2021, "Accurately computing
    the log-sum-exp and softmax functions").

    >>> import numpy as np
    >>> round(float(logsumexp(np.array([1000.0, 1000.0]))), 6)
    1000.693147
    """
    return reduced_over("logsumexp", LOGSUMEXP, x, axis, keepdims)


def reshape(x: Any, shape: Any) -> Any:
    """The same elements, read row by row, in another shape; one length may be -1, for what is left.

    >>> import numpy as np
    >>> reshape(np.arange(6.0), (2, -1))
    array([[0., 1., 2.],
           [3., 4., 5.]])
    """
    lengths = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    if lengths.count(BATCH) > 1:
        raise mismatch("reshape", (shape_of(x),), f"{shape_text(lengths)} leaves two lengths open")
    if BATCH in lengths and BATCH not in shape_of(x):
        left = prod(shape_of(x)) // max(1, abs(prod(lengths)))
        lengths = tuple(left if length == -1 else length for length in lengths)
    return RESHAPE(x, checked_shape(lengths, "reshape's result", batched=True))


def broadcast_to(x: Any, shape: Any) -> Any:
    """`x` repeated along new or stretched axes, to another shape.

    >>> import numpy as np
    >>> broadcast_to(np.array([1.0, 2.0]), (2, 2))
    array([[1., 2.],
           [1., 2.]])
    """
    return BROADCAST(x, checked_shape(shape, "broadcast_to's result", batched=True))


def stack_rows(*operands: Any) -> Any:
    """Arrays side by side in every row: along a new second axis, broadcast to one shape.

    >>> import numpy as np
    >>> stack_rows(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([[1., 3.],
           [2., 4.]])
    """
    shapes = [shape_of(x) for x in operands]
    if not broadcast("stack_rows", shapes):
        raise mismatch("stack_rows", shapes, "expected an array with an axis of rows")
    return STACK(*operands, 1)


def gather(x: Any, index: Any) -> Any:
    """The elements of `x` at the positions `index`, counted row by row; the result has its shape.

    >>> import numpy as np
    >>> gather(np.array([[1.0, 2.0], [3.0, 4.0]]), [3, 0])
    array([4., 1.])
    """
    return GATHER(x, Index.of(index))


def scatter_add(x: Any, index: Any, shape: Any) -> Any:
    """Zeros of `shape`, with each element of `x` added at its position of `index`.

    >>> import numpy as np
    >>> scatter_add(np.array([1.0, 2.0, 4.0]), [0, 2, 0], (3,))
    array([5., 0., 2.])
    """
    return SCATTER(x, Index.of(index), checked_shape(shape, "scatter_add's result"))


def take(x: Any, key: Any) -> Any:
    """Elements of `x` by a subscript, which means what it does on a NumPy array of this shape.

    >>> import numpy as np
    >>> take(np.array([[1.0, 2.0], [3.0, 4.0]]), (slice(None), 1))
    array([2., 4.])
    """
    shape = shape_of(x)
    if not shape:
        parts = key if isinstance(key, tuple) else (key,)
        if all(part is None or part is Ellipsis for part in parts):
            return reshape(x, (1,) * parts.count(None)) if None in parts else x
        raise OperandError(f"{shorten(x)} is a scalar, which has no elements to choose from")
    if shape[0] != BATCH:
        try:
            index = positions_of(shape, key)
        except IndexError as error:
            raise IndexError(f"{shorten(x)} of shape {shape_text(shape)}: {error}") from None
        return x if _is_all(index, shape) else GATHER(x, index)
    first, *rest = key if isinstance(key, tuple) else (key,)
    if first != slice(None):
        raise ShapeError(
            f"{shorten(x)} has shape {shape_text(shape)}: which samples a batch has is not known "
            "before it is; choose within each, as in x[:, 1]"
        )
    index = positions_of(shape[1:], tuple(rest))
    return x if _is_all(index, shape[1:]) else GATHER(x, index, 1)


def _is_all(index: Index, shape: Shape) -> bool:
    """Whether an index chooses every element of an array of `shape`, each in its own place."""
    return index.shape == shape and index == positions_of(shape, ())
