"""Operators between two Values, or one and a number: written by scripts/operators.py, not by hand.

Each does what `apply_op` does with its record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops.record import plain_number
from ..ops.scalar import ADD, CONSTANT, DIV, MUL, SUB
from .node import Node

_new = object.__new__


def operators_of(constant_kind: type[Node]) -> dict[str, Callable[..., Any]]:
    """The operators by name; numbers become constants of a class, results are as the first is."""

    def __add__(self: Any, other: Any) -> Any:
        kind = self._result_kind
        if other.__class__ is not kind:
            if other.__class__ is not float and other.__class__ is not int:
                return self.apply_op(ADD, (self, other))
            number = other if other.__class__ is float else plain_number(other)
            other = _new(constant_kind)
            other._data = number
            other._grad = 0.0
            other.label = ""
            other.op = CONSTANT
            other._a = None
            other._b = ()
        try:
            data = self._data + other._data
        except ZeroDivisionError:
            data = ADD.evaluate(self._data, other._data)
        value = _new(kind)
        value._data = data if data.__class__ is float else plain_number(data)
        value._grad = 0.0
        value.label = ""
        value.op = ADD
        value._a = self
        value._b = other
        return value

    def __radd__(self: Any, other: Any) -> Any:
        kind = self._result_kind
        if other.__class__ is not kind:
            if other.__class__ is not float and other.__class__ is not int:
                return self.apply_op(ADD, (other, self))
            number = other if other.__class__ is float else plain_number(other)
            other = _new(constant_kind)
            other._data = number
            other._grad = 0.0
            other.label = ""
            other.op = CONSTANT
            other._a = None
            other._b = ()
        try:
            data = other._data + self._data
        except ZeroDivisionError:
            data = ADD.evaluate(other._data, self._data)
        value = _new(kind)
        value._data = data if data.__class__ is float else plain_number(data)
        value._grad = 0.0
        value.label = ""
        value.op = ADD
        value._a = other
        value._b = self
        return value

    def __sub__(self: Any, other: Any) -> Any:
        kind = self._result_kind
        if other.__class__ is not kind:
            if other.__class__ is not float and other.__class__ is not int:
                return self.apply_op(SUB, (self, other))
            number = other if other.__class__ is float else plain_number(other)
            other = _new(constant_kind)
            other._data = number
            other._grad = 0.0
            other.label = ""
            other.op = CONSTANT
            other._a = None
            other._b = ()
        try:
            data = self._data - other._data
        except ZeroDivisionError:
            data = SUB.evaluate(self._data, other._data)
        value = _new(kind)
        value._data = data if data.__class__ is float else plain_number(data)
        value._grad = 0.0
        value.label = ""
        value.op = SUB
        value._a = self
        value._b = other
        return value

    def __rsub__(self: Any, other: Any) -> Any:
        kind = self._result_kind
        if other.__class__ is not kind:
            if other.__class__ is not float and other.__class__ is not int:
                return self.apply_op(SUB, (other, self))
            number = other if other.__class__ is float else plain_number(other)
            other = _new(constant_kind)
            other._data = number
            other._grad = 0.0
            other.label = ""
            other.op = CONSTANT
            other._a = None
            other._b = ()
        try:
            data = other._data - self._data
        except ZeroDivisionError:
            data = SUB.evaluate(other._data, self._data)
        value = _new(kind)
        value._data = data if data.__class__ is float else plain_number(data)
        value._grad = 0.0
        value.label = ""
        value.op = SUB
        value._a = other
        value._b = self
        return value

    def __mul__(self: Any, other: Any) -> Any:
        kind = self._result_kind
        if other.__class__ is not kind:
            if other.__class__ is not float and other.__class__ is not int:
                return self.apply_op(MUL, (self, other))
            number = other if other.__class__ is float else plain_number(other)
            other = _new(constant_kind)
            other._data = number
            other._grad = 0.0
            other.label = ""
            other.op = CONSTANT
            other._a = None
            other._b = ()
        try:
            data = self._data * other._data
        except ZeroDivisionError:
            data = MUL.evaluate(self._data, other._data)
        value = _new(kind)
        value._data = data if data.__class__ is float else plain_number(data)
        value._grad = 0.0
        value.label = ""
        value.op = MUL
        value._a = self
        value._b = other
        return value

    def __rmul__(self: Any, other: Any) -> Any:
        kind = self._result_kind
        if other.__class__ is not kind:
            if other.__class__ is not float and other.__class__ is not int:
                return self.apply_op(MUL, (other, self))
            number = other if other.__class__ is float else plain_number(other)
            other = _new(constant_kind)
            other._data = number
            other._grad = 0.0
            other.label = ""
            other.op = CONSTANT
            other._a = None
            other._b = ()
        try:
            data = other._data * self._data
        except ZeroDivisionError:
            data = MUL.evaluate(other._data, self._data)
        value = _new(kind)
        value._data = data if data.__class__ is float else plain_number(data)
        value._grad = 0.0
        value.label = ""
        value.op = MUL
        value._a = other
        value._b = self
        return value

    def __truediv__(self: Any, other: Any) -> Any:
        kind = self._result_kind
        if other.__class__ is not kind:
            if other.__class__ is not float and other.__class__ is not int:
                return self.apply_op(DIV, (self, other))
            number = other if other.__class__ is float else plain_number(other)
            other = _new(constant_kind)
            other._data = number
            other._grad = 0.0
            other.label = ""
            other.op = CONSTANT
            other._a = None
            other._b = ()
        try:
            data = self._data / other._data
        except ZeroDivisionError:
            data = DIV.evaluate(self._data, other._data)
        value = _new(kind)
        value._data = data if data.__class__ is float else plain_number(data)
        value._grad = 0.0
        value.label = ""
        value.op = DIV
        value._a = self
        value._b = other
        return value

    def __rtruediv__(self: Any, other: Any) -> Any:
        kind = self._result_kind
        if other.__class__ is not kind:
            if other.__class__ is not float and other.__class__ is not int:
                return self.apply_op(DIV, (other, self))
            number = other if other.__class__ is float else plain_number(other)
            other = _new(constant_kind)
            other._data = number
            other._grad = 0.0
            other.label = ""
            other.op = CONSTANT
            other._a = None
            other._b = ()
        try:
            data = other._data / self._data
        except ZeroDivisionError:
            data = DIV.evaluate(other._data, self._data)
        value = _new(kind)
        value._data = data if data.__class__ is float else plain_number(data)
        value._grad = 0.0
        value.label = ""
        value.op = DIV
        value._a = other
        value._b = self
        return value

    return {
        "__add__": __add__,
        "__radd__": __radd__,
        "__sub__": __sub__,
        "__rsub__": __rsub__,
        "__mul__": __mul__,
        "__rmul__": __rmul__,
        "__truediv__": __truediv__,
        "__rtruediv__": __rtruediv__,
    }
