"""Operators and methods shared by everything that records operations: `Value` and `Expr`."""

from __future__ import annotations

import sys
from numbers import Integral, Real
from typing import Any, ClassVar, Self

from ..errors import OperandError
from . import ops
from .operation import Op


class Arithmetic:
    """Python's operators, each one operation of the table.

    A subclass says what applying an operation means. It answers `NotImplemented` for operands that
    it does not know, so that Python asks the other operand.
    """

    __slots__ = ()
    __array_ufunc__ = None
    """NumPy scalars and arrays leave mixed arithmetic to this class."""

    op_rank: ClassVar[int]

    def apply_op(self, op: Op, operands: tuple[Any, ...], statics: tuple[float, ...] = ()) -> Self:
        """Apply `op` to operands of which at least one is of this class."""
        raise NotImplementedError

    def __add__(self, other: Any) -> Self:
        return self.apply_op(ops.ADD, (self, other))

    def __radd__(self, other: Any) -> Self:
        return self.apply_op(ops.ADD, (other, self))

    def __sub__(self, other: Any) -> Self:
        return self.apply_op(ops.SUB, (self, other))

    def __rsub__(self, other: Any) -> Self:
        return self.apply_op(ops.SUB, (other, self))

    def __mul__(self, other: Any) -> Self:
        return self.apply_op(ops.MUL, (self, other))

    def __rmul__(self, other: Any) -> Self:
        return self.apply_op(ops.MUL, (other, self))

    def __truediv__(self, other: Any) -> Self:
        return self.apply_op(ops.DIV, (self, other))

    def __rtruediv__(self, other: Any) -> Self:
        return self.apply_op(ops.DIV, (other, self))

    def __pow__(self, exponent: Any) -> Self:
        if type(exponent) is int or isinstance(exponent, Real):
            return self.apply_op(ops.POW_CONST, (self,), (plain_number(exponent),))
        return self.apply_op(ops.POW, (self, exponent))

    def __rpow__(self, base: Any) -> Self:
        return self.apply_op(ops.POW, (base, self))

    def __neg__(self) -> Self:
        return self.apply_op(ops.NEG, (self,))

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return self.apply_op(ops.ABS, (self,))

    def __lt__(self, other: Any) -> Self:
        return self.apply_op(ops.LT, (self, other))

    def __le__(self, other: Any) -> Self:
        return self.apply_op(ops.LE, (self, other))

    def __gt__(self, other: Any) -> Self:
        return self.apply_op(ops.GT, (self, other))

    def __ge__(self, other: Any) -> Self:
        return self.apply_op(ops.GE, (self, other))

    def tanh(self) -> Self:
        """The hyperbolic tangent."""
        return self.apply_op(ops.TANH, (self,))

    def relu(self) -> Self:
        """The larger of this and 0."""
        return self.apply_op(ops.RELU, (self,))

    def sigmoid(self) -> Self:
        """1 / (1 + exp(-x))."""
        return self.apply_op(ops.SIGMOID, (self,))

    def softplus(self) -> Self:
        """log(1 + exp(x))."""
        return self.apply_op(ops.SOFTPLUS, (self,))

    def exp(self) -> Self:
        """e to the power of this."""
        return self.apply_op(ops.EXP, (self,))

    def log(self) -> Self:
        """The natural logarithm."""
        return self.apply_op(ops.LOG, (self,))

    def sqrt(self) -> Self:
        """The square root."""
        return self.apply_op(ops.SQRT, (self,))

    def sin(self) -> Self:
        """The sine."""
        return self.apply_op(ops.SIN, (self,))

    def cos(self) -> Self:
        """The cosine."""
        return self.apply_op(ops.COS, (self,))


def kind_of(thing: object) -> str:
    """The type of `thing` with its article, for error texts.

    >>> kind_of(3), kind_of("x")
    ('an int', 'a str')
    """
    name = type(thing).__name__
    return f"{'an' if name[:1] in 'aeioAEIO' else 'a'} {name}"


def is_operand(thing: object) -> bool:
    """Whether `thing` is one number: plain, a `Value`, an expression or one of sympy's.

    >>> is_operand(2), is_operand("2"), is_operand([2])
    (True, False, False)
    """
    if isinstance(thing, (Arithmetic, Real)):
        return True
    sympy = sys.modules.get("sympy")
    return sympy is not None and isinstance(thing, sympy.Basic)


_EXACT = 2**53
"""Integers up to this size are float64 numbers exactly."""


def plain_number(number: Any) -> int | float:
    """A real number of any library as Python's own; an int that float64 holds exactly stays an int.

    Larger ones become the nearest float, so that arithmetic is that of float64 throughout. One past
    the largest float is an `OperandError`.

    >>> plain_number(2), plain_number(True), plain_number(2**53 + 1)
    (2, 1, 9007199254740992.0)
    """
    kind = type(number)
    if kind is float or (kind is int and -_EXACT <= number <= _EXACT):
        return number  # type: ignore[no-any-return]
    if isinstance(number, Integral):
        whole = int(number)
        if -_EXACT <= whole <= _EXACT:
            return whole
    try:
        return float(number)
    except OverflowError:
        raise OperandError(
            f"{kind_of(number)} past 1.8e308 is too large for float64; expected a number within "
            "that range, or float('inf')"
        ) from None
