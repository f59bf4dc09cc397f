"""Operators and functions of `Value`s, written out: nearly all the time of a scalar program.

Each does what `apply_op` does with its record, with nothing left to decide: an operator is made
from a text in which the record's own notation stands, a function of one number from its record.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from ..ops import scalar as ops
from ..ops.record import Op, call, plain_number
from .arithmetic import Arithmetic
from .node import Node

_new = object.__new__
_WHOLE_BITS: Final = 53
"""Integers of so many bits are float64 numbers as they are."""


_BETWEEN: Final = {"add": ops.ADD, "sub": ops.SUB, "mul": ops.MUL, "truediv": ops.DIV}
_OF_ONE: Final = {
    "__neg__": ops.NEG,
    **{op.name: op for op in (ops.EXP, ops.LOG, ops.SQRT, ops.SIN, ops.COS)},
    **{op.name: op for op in (ops.TANH, ops.SIGMOID, ops.RELU, ops.SOFTPLUS)},
}


def written_out(constant_kind: type[Node]) -> dict[str, Callable[..., Any]]:
    """Methods for a class and those that users derive from it; constants are of the class given.

    What they give is of the class of `self`.
    """
    functions = {name: _function(name, op) for name, op in _OF_ONE.items()}
    return {**_operators(constant_kind, "__class__"), **functions, "__pow__": _power}


def of_internal(constant_kind: type[Node]) -> dict[str, Callable[..., Any]]:
    """The same for classes with which arithmetic gives another one: their `_result_kind`."""
    recorded = {name: getattr(Arithmetic, name) for name in (*_OF_ONE, "__pow__")}
    return {**_operators(constant_kind, "_result_kind"), **recorded}


def _operators(constant_kind: type[Node], result: str) -> dict[str, Callable[..., Any]]:
    names = [f"__{side}{name}__" for name in _BETWEEN for side in ("", "r")]
    return {name: _operator(name, constant_kind, result) for name in names}


_POWER: Final = ops.POW_CONST
_raised = _POWER.evaluate

_OPERATOR: Final = """\
def {name}(self, other):
    kind = self.{result}
    if other.__class__ is not kind:
        if other.__class__ is not float and other.__class__ is not int:
            return self.apply_op(op, ({a}, {b}))
        number = other if other.__class__ is float else plain_number(other)
        other = new(constant_kind)
        other._data = number
        other._grad = 0.0
        other.label = ""
        other.op = constant
        other._a = None
        other._b = ()
    try:
        data = {value}
    except ZeroDivisionError:
        data = op.evaluate({a}._data, {b}._data)
    value = new(kind)
    value._data = data if data.__class__ is float else plain_number(data)
    value._grad = 0.0
    value.label = ""
    value.op = op
    value._a = {a}
    value._b = {b}
    return value
"""


def _operator(name: str, constant_kind: type[Node], result: str) -> Callable[..., Any]:
    """An operator between two of a class, or one and a number."""
    reflected = name.startswith("__r")
    op = _BETWEEN[name[3 if reflected else 2 : -2]]
    a, b = ("other", "self") if reflected else ("self", "other")
    value = op.spelling("python").template.format(f"{a}._data", f"{b}._data")
    text = _OPERATOR.format(name=name, a=a, b=b, value=value, result=result)
    names = {"op": op, "new": _new, "plain_number": plain_number}
    names |= {"constant": ops.CONSTANT, "constant_kind": constant_kind}
    # Under a name in this folder, so that tracebacks and reports know it for the package's own.
    exec(compile(text, f"{__file__}:{name}", "exec"), names)
    method: Callable[..., Any] = names[name]  # type: ignore[assignment]
    return method


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
