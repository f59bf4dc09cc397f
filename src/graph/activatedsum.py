"""`ActivatedSum`: what a neuron computes, as one step of the eager sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .arithmetic import plain_number
from .ieee import Float
from .operation import Op
from .ops import ADD, MUL
from .value import Value, as_value, computed


class Row:
    """What several sums read: the numbers of now, and the `Value`s they are of, if of any.

    >>> Row([Value(2.0)]).numbers, Row([1.0, 2.0]).values
    ([2.0], ())
    """

    __slots__ = ("numbers", "values")

    def __init__(self, entries: Sequence[Any]) -> None:
        if type(entries[0]) is float:
            self.values: tuple[Value, ...] = ()
            self.numbers: list[float] = list(entries)
        else:
            self.values = tuple(entries)
            self.numbers = [value.data for value in entries]


class ActivatedSum(Value):
    """`activation(bias + weights[0]*row[0] + …)` as one step, until somebody looks inside.

    bias        a `Value`
    weights     `Value`s, at least one
    row         as many entries, all floats or all `Value`s
    activation  the record of an operation on one operand, or None for the sum itself
    name        the label of the sum, where it is not the whole

    A loop that rebuilds a network every epoch looks at the gradients of the weights and at nothing
    between, so the products and sums are made when `operands` is first asked for: with the numbers
    they had at first, and the gradients that the last `backward` gave them. Numbers are the same
    either way, and so is every share of the chain rule.

    >>> w, x = Value(3.0), Value(2.0)
    >>> n = ActivatedSum(Value(1.0), [w], Row([x]))
    >>> n.backward(); n, w.grad
    (Value(data=7.0, grad=1), 2.0)
    >>> n.operands
    (Value(data=1.0, grad=1.0), Value(data=6.0, grad=1))
    """

    __slots__ = ("_ct", "_inside", "bias", "name", "row", "weights")

    def __init__(
        self,
        bias: Value,
        weights: Sequence[Value],
        row: Row,
        activation: Op | None = None,
        name: str = "",
    ) -> None:
        total = bias.data
        factors = [weight.data for weight in weights]
        for factor, number in zip(factors, row.numbers, strict=True):
            total += factor * number
        data = total if activation is None else activation.evaluate(total)
        self.data = data if type(data) is float else plain_number(data)
        self.grad = 0.0
        self.label = ""
        self.op = activation or ADD
        self.statics = ()
        self.bias = bias
        self.weights = tuple(weights)
        self.row = row
        self.name = name
        self.reads = (bias, *[weight for weight in weights if weight.reads], *row.values)
        self._ct = 0.0
        self._inside: tuple[float, float, list[float]] | None = (total, bias.data, factors)

    @property
    def operands(self) -> tuple[Value, ...]:
        """The sum, or where that is the whole, the sum before the last product and the product."""
        self._write_out()
        return self.reads

    def _backward(self) -> None:
        """One step of the chain rule, to the operands."""
        self._write_out()
        self._pull()

    def _pull(self) -> None:
        """All its steps of the chain rule: sums pass the cotangent on, products scale it."""
        if self._inside is None:
            super()._pull()
            return
        self._ct = ct = self._cotangent(self._inside[0])
        self.bias.grad += ct
        if self.row.values:
            for weight, entry in zip(self.weights, self.row.values, strict=True):
                share = ct * weight.data
                weight.grad += ct * entry.data
                entry.grad += share
        else:
            for weight, number in zip(self.weights, self.row.numbers, strict=True):
                weight.grad += ct * number

    def _cotangent(self, total: float) -> float:
        """The cotangent of the sum, by the rule of the activation."""
        op = self.op
        if op is ADD or op is None:
            return self.grad
        rule = op.vjp[0]
        if rule is None:
            return 0.0
        try:
            return rule(self.grad, self.data, total)  # type: ignore[no-any-return]
        except ArithmeticError:
            return float(rule(Float(self.grad), Float(self.data), Float(total)))

    def _write_out(self) -> None:
        """Make the operations one by one; those inside the sum have its cotangent."""
        if self._inside is None:
            return
        total, partial, factors = self._inside
        ct = self._ct
        values = self.row.values
        if not values:
            values = tuple(map(as_value, self.row.numbers))
            for value, factor in zip(values, factors, strict=True):
                value.grad = ct * factor
        products = [
            computed(plain_number(factor * number), MUL, (weight, value))
            for weight, factor, value, number in zip(
                self.weights, factors, values, self.row.numbers, strict=True
            )
        ]
        *sums, last = products
        before = self.bias
        for product in products:
            product.grad = ct
        for product in sums:
            partial = plain_number(partial + product.data)
            before = computed(partial, ADD, (before, product))
            before.grad = ct
        self.reads = before, last
        if self.op is not ADD:
            inner = computed(plain_number(total), ADD, self.reads)
            inner.grad, inner.label = ct, self.name
            self.reads = (inner,)
        self._inside = None
