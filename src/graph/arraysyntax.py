"""What NumPy users write of an array (`X @ W`, `X.T`, `X[:, 1]`, `X.sum(axis=0)`), for `Expr`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
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

    __iter__ = None
    """An array is not a sequence of Python: without this, `list(x)` would try x[0], x[1], …"""

    @property
    def T(self) -> Self:  # noqa: N802
        """The transpose of a matrix, as NumPy writes it."""
        from ..ops.arrays import TRANSPOSE

        return self.apply_op(TRANSPOSE, (self,))

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

    def sum(self, axis: int | None = None) -> Self:
        """The sum over an axis, or of all elements.

        >>> from wengert import Graph, grad
        >>> X = Graph().array("X", (3, 4))
        >>> X.sum(axis=0).shape, grad((X * X).sum(), X).shape
        ((4,), (3, 4))
        """
        from ..ops.arrays import sum_over

        return sum_over(self, axis)  # type: ignore[no-any-return]

    def mean(self, axis: int | None = None) -> Self:
        """The mean over an axis, or of all elements.

        >>> from wengert import Graph
        >>> Graph().array("X", (3, 4)).mean(axis=1).shape
        (3,)
        """
        from ..ops.arrays import mean_over

        return mean_over(self, axis)  # type: ignore[no-any-return]

    def max(self, axis: int | None = None) -> Self:
        """The largest element along an axis, or of all.

        >>> from wengert import Graph
        >>> Graph().array("X", (3, 4)).max()
        Expr(max_over(X))
        """
        from ..ops.arrays import max_over

        return max_over(self, axis)  # type: ignore[no-any-return]
