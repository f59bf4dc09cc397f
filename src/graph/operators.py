"""Operators and functions of `Value`s, written out: nearly all the time of a scalar program.

Each does what `apply_op` does with its record, with nothing left to decide. Operators between two
are in `binary`, where the record's own notation stands; a function of one number is made from its
record here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from ..ops import scalar as ops
from ..ops.record import Op, call, plain_number
from .arithmetic import Arithmetic
from .binary import operators_of
from .node import Node

_new = object.__new__
_WHOLE_BITS: Final = 53
"""Integers of so many bits are float64 numbers as they are."""


_OF_ONE: Final = {
    "__neg__": ops.NEG,
    "__abs__": ops.ABS,
    **{op.name: op for op in (ops.EXP, ops.LOG, ops.SQRT, ops.SIN, ops.COS)},
    **{op.name: op for op in (ops.TANH, ops.SIGMOID, ops.RELU, ops.SOFTPLUS)},
}


def written_out(constant_kind: type[Node]) -> dict[str, Callable[..., Any]]:
    """Methods for a class and those that derive from it; constants are of the class given.

    What they give is of the `_result_kind` of `self`, functions of one number of its own class.
    """
    functions = {name: _function(name, op) for name, op in _OF_ONE.items()}
    return {**operators_of(constant_kind), **functions, "__pow__": _power}


def of_internal() -> dict[str, Callable[..., Any]]:
    """Functions of one number for classes with which arithmetic gives another one."""
    return {name: getattr(Arithmetic, name) for name in (*_OF_ONE, "__pow__")}


_POWER: Final = ops.POW_CONST
_raised = _POWER.evaluate


@wraps(Arithmetic.__pow__)
def _power(self: Any, exponent: Any) -> Any:
    if exponent.__class__ is not float and (
        exponent.__class__ is not int or exponent.bit_length() > _WHOLE_BITS
    ):
        return Arithmetic.__pow__(self, exponent)
    data = _raised(self._data, exponent)
    value = _new(self.__class__)
    value._data = data if data.__class__ is float else plain_number(data)
    value._grad = 0.0
    value.label = ""
    value.op = _POWER
    value._a = self
    value._b = (exponent,)
    return value


def _function(name: str, op: Op) -> Callable[..., Any]:
    """A function of one number, as a method."""
    evaluate = op.evaluate
    quick = _unguarded(op)

    @wraps(getattr(Arithmetic, name))
    def method(self: Any) -> Any:
        try:
            data = quick(self._data)
        except (ArithmeticError, ValueError):
            data = evaluate(self._data)
        value = _new(self.__class__)
        value._data = data if data.__class__ is float else plain_number(data)
        value._grad = 0.0
        value.label = ""
        value.op = op
        value._a = self
        value._b = ()
        return value

    return method


def _unguarded(op: Op) -> Callable[[float], float]:
    """The function of `math` that generated code calls for it, which may raise, if there is one."""
    if op.spelling("python") == call(op.name):
        return getattr(math, op.name, op.evaluate)
    return op.evaluate
