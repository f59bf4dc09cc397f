"""What NumPy users write of an array (`X @ W`, `X.T`, `X[:, 1]`, `X.sum(axis=0)`), for `Expr`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from ..ops.arrays import Axes
    from ..ops.record import Op
    from ..ops.shapes import Shape


class ArraySyntax:
    """Operators and methods of arrays, each an operation of `wengert.arrays`."""

    __slots__ = ()

    def apply_op(self, op: Op, operands: tuple[Any, ...], statics: tuple[Any, ...] = ()) -> Self:
        """Apply `op` to operands of which at least one is of this class."""
        raise NotImplementedError

    def __matmul__(self, other: Any) -> Self:
        from ..ops.arrays import MATMUL

        return self.apply_op(MATMUL, (self, other))

    def __rmatmul__(self, other: Any) -> Self:
        from ..ops.arrays import MATMUL

        return self.apply_op(MATMUL, (other, self))

    def __getitem__(self, key: Any) -> Self:
        """Elements of an array, chosen as NumPy chooses them from an array of this shape.

        >>> from wengert import Graph
        >>> X = Graph().array("X", (3, 4))
        >>> X[0, 1], X[:, 2].shape
        (Expr(X[0, 1]), (3,))
        """
        from ..ops.arrays import take

        return take(self, key)  # type: ignore[no-any-return]

    def __contains__(self, thing: Any) -> bool:
        """Not known: a `TruthValueError`. Rows are gone through as x[0], x[1], …, as in NumPy."""
        from ..errors import TruthValueError, shorten

        raise TruthValueError(
            f"whether {shorten(thing)} is in {shorten(self)} is not known until it is evaluated; "
            "write (x == …).any() with wengert.equal for =="
        )

    def __len__(self) -> int:
        """How many rows an array has."""
        from ..errors import OperandError, shorten
        from ..ops.shapes import BATCH, shape_of

        shape = shape_of(self)
        if not shape or shape[0] == BATCH:
            what = "a number, not an array" if not shape else "an array of however many samples"
            raise OperandError(f"len of {shorten(self)}: it is {what}")
        return shape[0]

    @property
    def ndim(self) -> int:
        """How many axes it has; a number has none."""
        from ..ops.shapes import shape_of

        return len(shape_of(self))

    @property
    def size(self) -> int:
        """How many elements it has; a number is one."""
        from math import prod

        from ..errors import OperandError, shorten
        from ..ops.shapes import BATCH, shape_of

        shape = shape_of(self)
        if BATCH in shape:
            raise OperandError(f"size of {shorten(self)}: it is an array of however many samples")
        return prod(shape)

    @property
    def T(self) -> Self:  # noqa: N802
        """The axes in reverse order, as NumPy has it: of a matrix, the transpose.

        >>> from wengert import Graph
        >>> Graph().array("X", (2, 3, 4)).T.shape
        (4, 3, 2)
        """
        from ..ops.moves import transpose

        return transpose(self)  # type: ignore[no-any-return]

    @property
    def mT(self) -> Self:  # noqa: N802
        """The transpose of each matrix: the last two axes exchanged."""
        from ..ops.arrays import TRANSPOSE

        return self.apply_op(TRANSPOSE, (self,))

    def transpose(self, *axes: Any) -> Self:
        """The axes in the order given, one by one or as a tuple; reversed without any.

        >>> from wengert import Graph
        >>> Graph().array("X", (2, 3, 4)).transpose(1, 0, 2).shape
        (3, 2, 4)
        """
        from ..ops.moves import transpose

        whole = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None
        return transpose(self, whole)  # type: ignore[no-any-return]

    def swapaxes(self, first: int, second: int) -> Self:
        """Two axes exchanged."""
        from ..ops.moves import swapaxes

        return swapaxes(self, first, second)  # type: ignore[no-any-return]

    def reshape(self, *shape: int | Shape) -> Self:
        """The same elements, row by row, in another shape; one length may be -1, for what is left.

        >>> from wengert import Graph
        >>> X = Graph().array("X", (3, 4))
        >>> X.reshape(2, -1).shape, X.reshape((12,)).shape
        ((2, 6), (12,))
        """
        from ..ops.arrays import reshape

        (whole,) = shape if len(shape) == 1 else (shape,)
        return reshape(self, whole)  # type: ignore[no-any-return]

    def ravel(self) -> Self:
        """All elements row by row, on one axis."""
        from ..ops.compositions import ravel

        return ravel(self)  # type: ignore[no-any-return]

    flatten = ravel

    def dot(self, other: Any) -> Self:
        """The product of rows and columns, as `np.dot` has it: of matrices, `@`."""
        from ..ops.compositions import dot

        return dot(self, other)  # type: ignore[no-any-return]

    def squeeze(self, axis: Axes = None) -> Self:
        """Without the axes of length 1, or without those named, which have to be."""
        from ..ops.compositions import squeeze

        return squeeze(self, axis)  # type: ignore[no-any-return]

    def take(self, indices: Any, axis: int | None = None, mode: str = "raise") -> Self:
        """Elements by their places along an axis; of all elements row by row without one.

        >>> from wengert import Graph
        >>> Graph().array("X", (3, 4)).take([2, 0], axis=1).shape
        (3, 2)
        """
        from ..ops.compositions import take

        return take(self, indices, axis, mode)  # type: ignore[no-any-return]

    def sum(self, axis: Axes = None, keepdims: bool = False) -> Self:
        """The sum over an axis or several, or of all elements.

        >>> from wengert import Graph, grad
        >>> X = Graph().array("X", (3, 4))
        >>> X.sum(axis=0).shape, X.sum(axis=1, keepdims=True).shape, grad((X * X).sum(), X).shape
        ((4,), (3, 1), (3, 4))
        """
        from ..ops.arrays import sum_over

        return sum_over(self, axis, keepdims)  # type: ignore[no-any-return]

    def mean(self, axis: Axes = None, keepdims: bool = False) -> Self:
        """The mean over an axis or several, or of all elements.

        >>> from wengert import Graph
        >>> Graph().array("X", (3, 4)).mean(axis=1).shape
        (3,)
        """
        from ..ops.arrays import mean_over

        return mean_over(self, axis, keepdims)  # type: ignore[no-any-return]

    def max(self, axis: Axes = None, keepdims: bool = False) -> Self:
        """The largest element along an axis or several, or of all.

        >>> from wengert import Graph
        >>> Graph().array("X", (3, 4)).max()
        Expr(max_over(X))
        """
        from ..ops.arrays import max_over

        return max_over(self, axis, keepdims)  # type: ignore[no-any-return]

    def min(self, axis: Axes = None, keepdims: bool = False) -> Self:
        """The smallest element along an axis or several, or of all."""
        from ..ops.compositions import min_over

        return min_over(self, axis, keepdims)  # type: ignore[no-any-return]

    def prod(self, axis: Axes = None, keepdims: bool = False) -> Self:
        """The product over an axis or several, or of all elements."""
        from ..ops.compositions import prod_over

        return prod_over(self, axis, keepdims)  # type: ignore[no-any-return]

    def var(self, axis: Axes = None, keepdims: bool = False, ddof: float = 0) -> Self:
        """The mean of the squared distances from the mean, over axes or of all elements."""
        from ..ops.compositions import var

        return var(self, axis, keepdims, ddof)  # type: ignore[no-any-return]

    def std(self, axis: Axes = None, keepdims: bool = False, ddof: float = 0) -> Self:
        """The square root of `var`."""
        from ..ops.compositions import std

        return std(self, axis, keepdims, ddof)  # type: ignore[no-any-return]

    def any(self, axis: Axes = None, keepdims: bool = False) -> Self:
        """1.0 where an element along an axis or several, or any at all, is not 0; else 0.0."""
        from ..ops.compositions import any_over

        return any_over(self, axis, keepdims)  # type: ignore[no-any-return]

    def all(self, axis: Axes = None, keepdims: bool = False) -> Self:
        """1.0 where no element along an axis or several, or none at all, is 0; else 0.0."""
        from ..ops.compositions import all_over

        return all_over(self, axis, keepdims)  # type: ignore[no-any-return]

    def cumsum(self, axis: int | None = None) -> Self:
        """The sums so far along an axis, or of the elements row by row."""
        from ..ops.compositions import cumsum

        return cumsum(self, axis)  # type: ignore[no-any-return]

    def repeat(self, repeats: Any, axis: int | None = None) -> Self:
        """Each element so many times in a row, along an axis or of all elements row by row."""
        from ..ops.moves import repeat

        return repeat(self, repeats, axis)  # type: ignore[no-any-return]

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Self:
        """The elements at equal places of two axes, along the last axis."""
        from ..ops.moves import diagonal

        return diagonal(self, offset, axis1, axis2)  # type: ignore[no-any-return]

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Self:
        """The sum along a diagonal of two axes."""
        from ..ops.moves import trace

        return trace(self, offset, axis1, axis2)  # type: ignore[no-any-return]

    def argmax(self, axis: int | None = None) -> Self:
        """There is no argmax: an `OperandError` says what to write instead."""
        from ..ops.compositions import argmax

        argmax(self, axis)

    def argmin(self, axis: int | None = None) -> Self:
        """There is no argmin: an `OperandError` says what to write instead."""
        from ..ops.compositions import argmin

        argmin(self, axis)
