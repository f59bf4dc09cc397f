"""`Value`: a number that remembers how it was computed, and can say how it came to be."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from numbers import Real
from typing import Any, ClassVar

from ..errors import OperandError, shorten
from .arithmetic import Arithmetic, plain_number
from .ieee import Float
from .operation import Op
from .ops import CONSTANT


class Value(Arithmetic):
    """A scalar with its history: arithmetic on it is computed at once and recorded.

    data    the number
    grad    the derivative of the expression `backward` was last called on; leaves accumulate
    label   free text, shown in drawings; the name in generated code when it is an identifier

    >>> x = Value(2.0, label="x")
    >>> y = x * x + 1
    >>> y.backward()
    >>> y, x
    (Value(data=5.0, grad=1), Value(data=2.0, grad=4.0))
    """

    __slots__ = ("__weakref__", "data", "grad", "label", "op", "operands", "statics")
    op_rank: ClassVar[int] = 1

    def __init__(self, data: float, label: str = "") -> None:
        self.data = _number(data)
        self.grad: float = 0.0
        self.label = label
        self.op: Op | None = None
        self.operands: tuple[Value, ...] = ()
        self.statics: tuple[float, ...] = ()

    def __repr__(self) -> str:
        return f"Value(data={self.data}, grad={self.grad})"

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> float:
        return float(self.data)

    def _sympy_(self) -> Any:
        """A leaf as a symbol of its label, or as its number when it has none."""
        from .symbolic import to_sympy

        return to_sympy(self)

    @property
    def _prev(self) -> tuple[Value, ...]:
        """The operands, under the name the notebook gives them."""
        return self.operands

    @property
    def _op(self) -> str:
        """The sign of the operation, under the name the notebook gives it; "" for a leaf."""
        return "" if self.is_leaf else self.op.sign(self.statics)  # type: ignore[union-attr]

    @property
    def is_leaf(self) -> bool:
        """Whether this was given rather than computed."""
        return not self.operands

    def apply_op(self, op: Op, operands: tuple[Any, ...], statics: tuple[float, ...] = ()) -> Any:
        """The value of `op` on `operands`, numbers among them taken in as constants."""
        values = []
        for operand in operands:
            if not isinstance(operand, Value):
                if not isinstance(operand, Real):
                    return NotImplemented
                operand = _constant(operand)
            values.append(operand)
        data = op.evaluate(*[value.data for value in values], *statics)
        out = Value.__new__(Value)
        out.data = data if type(data) is float else plain_number(data)
        out.grad = 0.0
        out.label = ""
        out.op = op
        out.operands = tuple(values)
        out.statics = statics
        return out

    def _backward(self) -> None:
        """Add to the `grad` of each operand its share of this `grad`: one step of the chain rule.

        Nothing happens on a leaf. `backward` calls this once per node, consumers first.
        """
        op = self.op
        if op is None:
            return
        arguments = (*[value.data for value in self.operands], *self.statics)
        for rule, operand in zip(op.vjp, self.operands, strict=True):
            if rule is not None:
                try:
                    share = rule(self.grad, self.data, *arguments)
                    if type(share) is complex:
                        raise ArithmeticError
                    operand.grad += share
                except ArithmeticError:
                    ieee = map(Float, (self.grad, self.data, *arguments))
                    operand.grad += float(rule(*ieee))

    def backward(self) -> None:
        """Fill `grad` of everything this was computed from with d(this)/d(it).

        The reverse sweep of automatic differentiation (Griewank & Walther, *Evaluating
        Derivatives*, section 3.2). Leaves add to the gradient they had, so calling twice gives
        twice the gradient; computed nodes start from 0 each time.

        >>> a = Value(3.0)
        >>> b = a + a
        >>> b.backward(); b.backward()
        >>> a.grad
        4.0
        """
        order = list(topological(self))
        for value in order:
            if value.operands:
                value.grad = 0.0
        self.grad = 1 if self.operands else self.grad + 1
        for value in reversed(order):
            value._backward()


def topological(*roots: Value, known: Container[Value] = ()) -> Iterator[Value]:
    """Every value `roots` were computed from, and they themselves, operands first.

    Those in `known`, and what only they were computed from, are left out.

    >>> a = Value(2.0)
    >>> [v.data for v in topological(a * a + a)]
    [2.0, 4.0, 6.0]
    """
    seen: set[Value] = set()
    stack: list[tuple[Value, Iterator[Value]]] = []
    for root in roots:
        if root in seen or root in known:
            continue
        seen.add(root)
        stack.append((root, iter(root.operands)))
        while stack:
            value, operands = stack[-1]
            for operand in operands:
                if operand not in seen and operand not in known:
                    seen.add(operand)
                    stack.append((operand, iter(operand.operands)))
                    break
            else:
                yield value
                stack.pop()


def zero_grad(parameters: Iterable[Value]) -> None:
    """Set the `grad` of each to 0.0, as a training loop does before `backward`.

    >>> a = Value(1.0); a.backward(); zero_grad([a]); a.grad
    0.0
    """
    for parameter in parameters:
        parameter.grad = 0.0


def _constant(number: Any) -> Value:
    value = Value(number)
    value.op = CONSTANT
    return value


def _number(data: Any) -> int | float:
    if isinstance(data, Real):
        return plain_number(data)
    raise OperandError(
        f"Value({shorten(data)}): a Value holds a real number, not a {type(data).__name__}"
    )
