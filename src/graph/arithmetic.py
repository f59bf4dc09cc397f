"""Operators and methods shared by everything that records operations: `Value` and `Expr`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from functools import reduce
from numbers import Real
from typing import Any, ClassVar, Self

from ..errors import ComparisonWarning, shorten
from ..ops import scalar as ops
from ..ops.record import SAME, Op, Sameness, plain_number
from .numpyfunctions import by_ufunc


class Arithmetic:
    """Python's operators, each one operation of the table.

    A subclass says what applying an operation means. It answers `NotImplemented` for operands that
    it does not know, so that Python asks the other operand.
    """

    __slots__ = ()
    __array_ufunc__ = None
    """NumPy scalars and arrays leave mixed arithmetic to this class."""

    op_rank: ClassVar[float]

    def apply_op(self, op: Op, operands: tuple[Any, ...], statics: tuple[float, ...] = ()) -> Self:
        """Apply `op` to operands of which at least one is of this class."""
        raise NotImplementedError

    def _is(self, other: object) -> bool:
        """Whether `other` is this very node."""
        return self is other

    def __eq__(self, other: object) -> Any:
        """Whether `other` is this very node, as sets and dicts need it; never recorded.

        The answer is good for a decision of Python's only: in an expression it is an error, and
        comparing with a number is a `ComparisonWarning`.
        """
        same = self._is(other)
        if not same:
            _warn_of_number(other, "==", "equal")
        return SAME[same]

    def __ne__(self, other: object) -> Any:
        """Whether `other` is anything but this very node; see `==`."""
        same = self._is(other)
        if not same:
            _warn_of_number(other, "!=", "not_equal")
        return SAME[not same]

    __hash__ = object.__hash__

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

    def __floordiv__(self, other: Any) -> Self:
        return ops.floor_divide(self, other)  # type: ignore[no-any-return]

    def __rfloordiv__(self, other: Any) -> Self:
        return ops.floor_divide(other, self)  # type: ignore[no-any-return]

    def __mod__(self, other: Any) -> Self:
        return self.apply_op(ops.MOD, (self, other))

    def __rmod__(self, other: Any) -> Self:
        return self.apply_op(ops.MOD, (other, self))

    def __divmod__(self, other: Any) -> tuple[Self, Self]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Self, Self]:
        return other // self, other % self

    def __and__(self, other: Any) -> Self:
        return self.apply_op(ops.AND, (self, other))

    def __rand__(self, other: Any) -> Self:
        return self.apply_op(ops.AND, (other, self))

    def __or__(self, other: Any) -> Self:
        return self.apply_op(ops.OR, (self, other))

    def __ror__(self, other: Any) -> Self:
        return self.apply_op(ops.OR, (other, self))

    def __xor__(self, other: Any) -> Self:
        return self.apply_op(ops.XOR, (self, other))

    def __rxor__(self, other: Any) -> Self:
        return self.apply_op(ops.XOR, (other, self))

    def __invert__(self) -> Self:
        return self.apply_op(ops.NOT, (self,))

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

    def leaky_relu(self, slope: float = 0.01) -> Self:
        """This where it is above 0, else `slope` times it."""
        return self.apply_op(ops.LEAKY_RELU, (self,), (plain_number(slope),))

    def elu(self, alpha: float = 1.0) -> Self:
        """This where it is above 0, else alpha·(exp(x) - 1): Clevert et al. 2016, eq. 15."""
        return self.apply_op(ops.ELU, (self,), (plain_number(alpha),))

    def silu(self) -> Self:
        """x·sigmoid(x)."""
        return ops.silu(self)  # type: ignore[no-any-return]

    def gelu(self) -> Self:
        """The Gaussian error linear unit in its tanh form."""
        return ops.gelu(self)  # type: ignore[no-any-return]

    def max_with(self, other: Any) -> Self:
        """The larger of this and another; a tie gives this the whole cotangent."""
        return ops.MAXIMUM(self, other)

    def min_with(self, other: Any) -> Self:
        """The smaller of this and another; a tie gives this the whole cotangent."""
        return ops.MINIMUM(self, other)

    def clip(self, low: Any = None, high: Any = None) -> Self:
        """This, but no less than `low` and no more than `high`, where no cotangent passes.

        None is no bound.
        """
        if low is not None and high is not None:
            return ops.CLIP(self, low, high)
        above = self if low is None else ops.MAXIMUM(self, low)
        return above if high is None else ops.MINIMUM(above, high)

    def softmax(self, among: Sequence[Any]) -> Self:
        """exp(x) / Σ exp(z) over the numbers `among` which this is one.

        The largest is subtracted first, so that none overflows; it cancels, and no cotangent passes
        through it.
        """
        shift = ops.STOP_GRADIENT(reduce(ops.MAXIMUM, among))
        first, *rest = (ops.EXP(z - shift) for z in among)
        return ops.EXP(self - shift) / sum(rest, first)  # type: ignore[no-any-return]

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

    def tan(self) -> Self:
        """The tangent."""
        return self.apply_op(ops.TAN, (self,))

    def erf(self) -> Self:
        """The error function."""
        return self.apply_op(ops.ERF, (self,))

    def floor(self) -> Self:
        """The largest whole number up to this."""
        return self.apply_op(ops.FLOOR, (self,))

    def sign(self) -> Self:
        """1 above 0, -1 below, 0 at 0."""
        return self.apply_op(ops.SIGN, (self,))


def _warn_of_number(other: object, sign: str, name: str) -> None:
    if isinstance(other, Real) and not isinstance(other, Sameness):
        warnings.warn(
            f"{sign} asks whether two things are the same node, and no node is the number "
            f"{shorten(other)}; to compare numbers write wengert.{name}(x, {shorten(other)})",
            ComparisonWarning,
            stacklevel=3,
        )


def is_operand(thing: object) -> bool:
    """Whether `thing` is one number: plain, a `Value`, an expression or one of sympy's.

    >>> is_operand(2), is_operand("2"), is_operand([2])
    (True, False, False)
    """
    if isinstance(thing, (Arithmetic, Real)):
        return True
    sympy = sys.modules.get("sympy")
    return sympy is not None and isinstance(thing, sympy.Basic)


def _applied(op: Op) -> Callable[[Arithmetic], Any]:
    """A function of one number, as a method."""

    def method(self: Arithmetic) -> Any:
        return self.apply_op(op, (self,))

    method.__name__, method.__doc__ = op.name, f"`wengert.{op.name}` of this."
    return method


def _is_of_one(op: Any) -> bool:
    return isinstance(op, Op) and op.arity == 1 and not op.statics and op is not ops.TOTAL


# NumPy asks what is in an array of objects for a method of the name of its function.
for _name, _op in {**ops.ELEMENTWISE, **by_ufunc()}.items():
    if _is_of_one(_op) and not hasattr(Arithmetic, _name):
        setattr(Arithmetic, _name, _applied(_op))
