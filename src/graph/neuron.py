"""`ActivatedSum`: what a neuron computes, as one step of the eager sweep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import mul
from typing import Any, Final

from ..errors import ShapeError
from ..ops.ieee import Float
from ..ops.record import Op, plain_number
from ..ops.scalar import ADD, MUL
from .value import Value, as_value, computed


class Row:
    """What several sums read, at least one entry: all floats, or all `Value`s.

    numbers    the floats, or the numbers of the `Value`s now
    values     the `Value`s, if it is of any
    backwards  the entries from the last to the first

    >>> Row([Value(2.0)]).numbers, Row([1.0, 2.0]).values, Row([1.0, 2.0]).backwards
    ((2.0,), (), (2.0, 1.0))
    """

    __slots__ = ("backwards", "numbers", "values")

    def __init__(self, entries: Iterable[Any]) -> None:
        given = tuple(entries)
        self.backwards: tuple[Any, ...] = given[::-1]
        if type(given[0]) is float:
            self.values: tuple[Value, ...] = ()
            self.numbers: tuple[float, ...] = given
        else:
            self.values = given
            self.numbers = tuple([value._data for value in given])


_SUM: Final = replace(ADD)
"""What a sum is computed by until it is written out: not yet an addition of two operands."""


class ActivatedSum(Value, internal=True):
    """`activation(bias + weights[0]*row[0] + …)` as one step, until somebody looks inside.

    bias        a `Value`
    weights     `Value`s, at least one
    row         as many entries
    activation  the record of an operation on one operand that takes nothing else, or None for the
                sum itself
    name        the label of the sum, where it is not the whole

    A loop that rebuilds a network every epoch looks at the gradients of the weights and at nothing
    between, so the products and sums are made when `operands` is first asked for: with the numbers
    they had at first, and the gradients that `backward` gave them. The numbers are those of the
    operations one by one, and so are the shares of the chain rule. In a network of layers these add
    up in the same order, from the last product to the first, which is where the sweep would begin.

    >>> w, x = Value(3.0), Value(2.0)
    >>> n = ActivatedSum(Value(1.0), [w], Row([x]))
    >>> n.backward(); n, w.grad
    (Value(data=7.0, grad=1), 2.0)
    >>> n.operands
    (Value(data=1.0, grad=1.0), Value(data=6.0, grad=1.0))
    """

    __slots__ = ("_ct", "_earlier", "_inside", "_met", "_weights", "bias", "name", "row")

    def __init__(
        self,
        bias: Value,
        weights: Sequence[Value],
        row: Row,
        activation: Op | None = None,
        name: str = "",
    ) -> None:
        total = bias._data
        factors = [weight._data for weight in weights]
        if len(factors) != len(row.numbers):
            raise ShapeError(f"{len(factors)} weights for a row of {len(row.numbers)}")
        for product in map(mul, factors, row.numbers):
            total += product
        if type(total) is not float or type(factors[0]) is not float:
            total = _plain_sum(bias._data, factors, row.numbers)
        data = total if activation is None else activation.evaluate(total)
        self._data = data if type(data) is float else plain_number(data)
        self._grad = 0.0
        self.label = ""
        self.op = activation or _SUM
        self.bias = bias
        self._weights = backwards = weights[::-1]
        self.row = row
        self.name = name
        entries = row.backwards if row.values else ()
        computed_weights = [weight for weight in backwards if weight._a is not None]
        if computed_weights or bias._a is not None:
            self._a = (*computed_weights, *entries, bias)
        else:
            self._a = entries or (bias,)
        self._b = ()
        # Of the last sweep: the cotangent of the sum, and what the weights were; of those before,
        # the gradients of the constants of the row, which add up as those of all leaves do.
        self._ct: float | None = None
        self._met: Sequence[float] = ()
        self._earlier: Sequence[float] = ()
        self._inside: tuple[float, float, list[float]] | None = (total, bias._data, factors)

    @property
    def operands(self) -> tuple[Value, ...]:
        """The sum, or where that is the whole, the sum before the last product and the product."""
        self._write_out()
        return self.reads

    def _step(self) -> None:
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
        if op is _SUM:
            ct += self._grad
        else:
            rule = op.float_rules[0]  # type: ignore[union-attr]
            if rule is not None:
                try:
                    ct += rule(self._grad, self._data, self._inside[0])
                except ArithmeticError:
                    ct += float(rule(Float(self._grad), Float(self._data), Float(self._inside[0])))
        self._ct = ct
        self.bias._grad += ct
        # As many of the one as of the other: `strict` would cost as much as a term here.
        pairs = zip(self._weights, self.row.backwards)  # noqa: B905
        if self.row.values:
            for weight, entry in pairs:
                share = ct * weight._data
                weight._grad += ct * entry._data
                entry._grad += share
        else:
            for weight, number in pairs:
                weight._grad += ct * number
            self._met = [weight._data for weight in self._weights]

    def _pass_over(self) -> None:
        """What is inside has no gradient of this sweep; constants keep that of earlier ones."""
        self._settle()
        self._ct = None

    def _settle(self) -> None:
        """Put the last sweep with the earlier ones."""
        if self._inside is not None and not self.row.values:
            self._earlier = self._constant_grads()

    def _constant_grads(self) -> Sequence[float]:
        """The gradients of the constants of the row, from the last to the first."""
        earlier, ct = self._earlier or [0.0] * len(self._weights), self._ct
        if ct is None:
            return earlier
        return [grad + ct * weight for grad, weight in zip(earlier, self._met, strict=True)]

    def _write_out(self) -> None:
        """Make the operations one by one; those inside the sum have its cotangent."""
        if self._inside is None:
            return
        total, partial, factors = self._inside
        ct = 0.0 if self._ct is None else self._ct
        values = self.row.values
        if not values:
            values = tuple(map(as_value, self.row.numbers))
            for value, grad in zip(reversed(values), self._constant_grads(), strict=True):
                value._grad = grad
        products = [
            computed(plain_number(factor * number), MUL, weight, value)
            for weight, factor, value, number in zip(
                reversed(self._weights), factors, values, self.row.numbers, strict=True
            )
        ]
        *sums, last = products
        before = self.bias
        for product in products:
            product._grad = ct
        for product in sums:
            partial = plain_number(partial + product._data)
            before = computed(partial, ADD, before, product)
            before._grad = ct
        if self.op is _SUM:
            self.op, self._a, self._b = ADD, before, last
        else:
            inner = computed(plain_number(total), ADD, before, last)
            inner._grad, inner.label = ct, self.name
            self._a = inner
        self._inside = None


def _plain_sum(total: float, factors: Sequence[float], numbers: Sequence[float]) -> float:
    """The sum with every step of it in Python's own numbers, as `Value`s one by one have them."""
    for factor, number in zip(factors, numbers, strict=True):
        total = plain_number(total + plain_number(factor * number))
    return total
