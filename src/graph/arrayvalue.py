"""`ArrayValue`: an array of numbers that graphs take in as a parameter, such as a weight matrix."""

from __future__ import annotations

from typing import Any, ClassVar

from ..errors import ShapeError
from ..ops.record import Op, apply_to_arrays
from ..ops.shapes import Shape, frozen_array
from .arithmetic import Arithmetic


class ArrayValue(Arithmetic):
    """A leaf that holds an array: what a `Value` is to a scalar, but without a history.

    data    the array, float64; assign a new one of the same shape to change it
    label   its name in drawings and generated code

    Operations on it and expressions give expressions; on it and NumPy arrays, NumPy arrays.

    >>> import numpy as np
    >>> W = ArrayValue(np.eye(2), label="W")
    >>> W * 3.0 + np.ones(2)
    array([[4., 1.],
           [1., 4.]])
    """

    __slots__ = ("__weakref__", "_data", "label")
    op_rank: ClassVar[float] = 1.5  # as NumPy's arrays
    is_leaf: ClassVar[bool] = True

    def __init__(self, data: Any, label: str = "") -> None:
        self._data = frozen_array(data, f"ArrayValue {label}".rstrip())
        self.label = label

    @property
    def data(self) -> Any:
        """The array, read-only: what is computed from it can then be trusted to be current."""
        return self._data

    @data.setter
    def data(self, data: Any) -> None:
        array = frozen_array(data, f"the data of ArrayValue {self.label}".rstrip())
        if array.shape != self.shape:
            raise ShapeError(
                f"ArrayValue {self.label!r} has shape {self.shape}; its data cannot become an "
                f"array of shape {array.shape}"
            )
        self._data = array

    @property
    def shape(self) -> Shape:
        """The lengths of the axes."""
        return tuple(self._data.shape)

    def __repr__(self) -> str:
        return f"ArrayValue({self.label!r}, shape={self.shape})"

    def apply_op(self, op: Op, operands: tuple[Any, ...], statics: tuple[Any, ...] = ()) -> Any:
        """The NumPy array of `op` on these operands; expressions among them take over."""
        if any(getattr(operand, "op_rank", 0) > self.op_rank for operand in operands):
            return NotImplemented
        return apply_to_arrays(op, operands, statics)

    def __matmul__(self, other: Any) -> Any:
        from ..ops.arrays import MATMUL

        return self.apply_op(MATMUL, (self, other))

    def __rmatmul__(self, other: Any) -> Any:
        from ..ops.arrays import MATMUL

        return self.apply_op(MATMUL, (other, self))
