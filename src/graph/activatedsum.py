"""`ActivatedSum`: what a neuron computes, as one step of the eager sweep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .ieee import Float
from .operation import Op, plain_number
from .ops import ADD, MUL
from .value import Value, as_value, computed


class Row:
    """What several sums read: the numbers of now, and the `Value`s they are of, if of any.

    >>> Row([Value(2.0)]).numbers, Row([1.0, 2.0]).values
    ((2.0,), ())
    """

    __slots__ = ("backwards", "numbers", "values")

    def __init__(self, entries: Iterable[Any]) -> None:
        given = tuple(entries)
        if type(given[0]) is float:
            self.values: tuple[Value, ...] = ()
            self.backwards: tuple[Value, ...] = ()
            self.numbers: tuple[float, ...] = given
        else:
            self.values, self.backwards = given, given[::-1]
            self.numbers = tuple([value.data for value in given])


class ActivatedSum(Value):
    """`activation(bias + weights[0]*row[0] + …)` as one step, until somebody looks inside.

    bias        a `Value`
    weights     `Value`s, at least one
    row         as many entries, all floats or all `Value`s
    activation  the record of an operation on one operand that takes nothing else, or None for the
                sum itself
    name        the label of the sum, where it is not the whole

    A loop that rebuilds a network every epoch looks at the gradients of the weights and at nothing
    between, so the products and sums are made when `operands` is first asked for: with the numbers
    they had at first, and the gradients that `backward` gave them. Numbers are the same either way,
    and so is every share of the chain rule; what several shares add up to is added in the order
    that the operations would, one by one, in a network.

    >>> w, x = Value(3.0), Value(2.0)
    >>> n = ActivatedSum(Value(1.0), [w], Row([x]))
    >>> n.backward(); n, w.grad
    (Value(data=7.0, grad=1), 2.0)
    >>> n.operands
    (Value(data=1.0, grad=1.0), Value(data=6.0, grad=1.0))
    """

    __slots__ = ("_ct", "_earlier", "_inside", "bias", "name", "row", "weights")

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
        if type(total) is not float or type(factors[0]) is not float:
            total = _plain_sum(bias.data, factors, row.numbers)
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
        computed_weights = [weight for weight in weights if weight.reads]
        if computed_weights or bias.reads:
            self.reads = (*computed_weights, *row.backwards, bias)
        else:
            self.reads = row.backwards or (bias,)
        self._ct: float | None = None
        self._earlier: Sequence[float] = ()
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
        if self._ct is not None:
            self._settle()
        op, ct = self.op, 0.0  # added to, as any gradient is: ints become floats, and -0.0 is 0.0
        if op is ADD:
            ct += self.grad
        else:
            rule = op.vjp[0]  # type: ignore[union-attr]
            if rule is not None:
                try:
                    ct += rule(self.grad, self.data, self._inside[0])
                except ArithmeticError:
                    ct += float(rule(Float(self.grad), Float(self.data), Float(self._inside[0])))
        self._ct = ct
        self.bias.grad += ct
        if self.row.values:
            for weight, entry in zip(self.weights, self.row.values, strict=True):
                share = ct * weight.data
                weight.grad += ct * entry.data
                entry.grad += share
        else:
            for weight, number in zip(self.weights, self.row.numbers, strict=True):
                weight.grad += ct * number

    def _pass_over(self) -> None:
        """What is inside has no gradient of this sweep; constants keep that of earlier ones."""
        self._settle()
        self._ct = None

    def _settle(self) -> None:
        """Remember the gradients of the constants of the row, which add up over the sweeps."""
        if self._inside is not None and not self.row.values:
            self._earlier = self._constant_grads(self._inside[2])

    def _constant_grads(self, factors: list[float]) -> Sequence[float]:
        earlier, ct = self._earlier or [0.0] * len(factors), self._ct
        if ct is None:
            return earlier
        return [grad + ct * factor for grad, factor in zip(earlier, factors, strict=True)]

    def _write_out(self) -> None:
        """Make the operations one by one; those inside the sum have its cotangent."""
        if self._inside is None:
            return
        total, partial, factors = self._inside
        ct = 0.0 if self._ct is None else self._ct
        values = self.row.values
        if not values:
            values = tuple(map(as_value, self.row.numbers))
            for value, grad in zip(values, self._constant_grads(factors), strict=True):
                value.grad = grad
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
        reads: tuple[Value, ...] = before, last
        if self.op is not ADD:
            inner = computed(plain_number(total), ADD, reads)
            inner.grad, inner.label = ct, self.name
            reads = (inner,)
        self.reads = reads
        self._inside = None


def _plain_sum(total: float, factors: Sequence[float], numbers: Sequence[float]) -> float:
    """The sum with every step of it in Python's own numbers, as `Value`s one by one have them."""
    for factor, number in zip(factors, numbers, strict=True):
        total = plain_number(total + plain_number(factor * number))
    return total
