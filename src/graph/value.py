"""`Value`: a number that remembers how it was computed, and can say how it came to be."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Iterable, Iterator
from numbers import Real
from typing import Any, ClassVar

from ..errors import OperandError, kind_of, shorten
from ..ops.ieee import Float
from ..ops.record import Op, plain_number
from ..ops.scalar import CONSTANT, WHERE
from ..ops.shapes import unboxed
from .arithmetic import Arithmetic
from .doors import Door
from .plainfloat import caller, check_plain_float

_new = object.__new__


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

    __slots__ = ("__weakref__", "data", "grad", "label", "op", "reads", "statics")
    op_rank: ClassVar[int] = 1
    _sympy_: Door[Callable[[], Any]] = Door("_sympy_")

    def __init__(self, data: float, label: str = "") -> None:
        self.data = _number(data)
        self.grad: float = 0.0
        self.label = label
        self.op: Op | None = None
        self.reads: tuple[Value, ...] = ()
        self.statics: tuple[float, ...] = ()

    def __repr__(self) -> str:
        return f"Value(data={self.data}, grad={self.grad})"

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> float:
        check_plain_float(caller())
        return float(self.data)

    def __int__(self) -> int:
        return int(self.data)

    __trunc__ = __int__

    def __round__(self, digits: int | None = None) -> int | float:
        return round(self.data, digits)

    def __format__(self, spec: str) -> str:
        """The number in a format such as ".4f", as for floats; without one, as `repr`."""
        return format(self.data, spec) if spec else repr(self)

    def __array_ufunc__(  # type: ignore[override]
        self, ufunc: Any, method: str, *inputs: Any, **options: Any
    ) -> Any:
        """NumPy's functions on one number: `np.tanh(value)` is `value.tanh()`, and recorded so."""
        ours = all(getattr(type(x), "op_rank", 1) == 1 for x in inputs)
        plain = ours and any(getattr(x, "shape", ()) and x.dtype != object for x in inputs)
        if ours and not plain and method == "__call__":
            with contextlib.suppress(TypeError):
                boxed = [_boxed(x) if isinstance(x, Value) else x for x in inputs]
                return ufunc(*boxed, **{"dtype": object, **options})  # else a comparison is a bool
        given = ", ".join(shorten(x) for x in inputs)
        raise OperandError(
            f"np.{ufunc.__name__}({given}) cannot be recorded: a Value is one number. Write "
            "wengert's function of that name, such as wengert.log1p(value); for several numbers "
            "take them one by one, or use wengert.Graph().array"
        )

    @property
    def operands(self) -> tuple[Value, ...]:
        """What this was computed from, in order; empty for a leaf."""
        return self.reads

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
        return not self.reads

    def apply_op(self, op: Op, operands: tuple[Any, ...], statics: tuple[float, ...] = ()) -> Any:
        """The value of `op` on `operands`, numbers among them taken in as constants."""
        if len(operands) == 2 and not statics:  # written out: this is where the time goes
            a, b = operands
            if type(a) is not Value or type(b) is not Value:
                operands = a, b = as_value(a), as_value(b)
                if a is None or b is None:
                    return NotImplemented
            data = op.evaluate(a.data, b.data)
        elif len(operands) == 1:
            data = op.evaluate(operands[0].data, *statics)
        else:
            operands = tuple(map(as_value, operands))
            if None in operands:
                return NotImplemented
            data = op.evaluate(*[value.data for value in operands], *statics)
        value = _new(Value)
        value.data = data if type(data) is float else plain_number(data)
        value.grad = 0.0
        value.label = ""
        value.op = op
        value.reads = operands
        value.statics = statics
        return value

    def _backward(self) -> None:
        """Add to the `grad` of each operand its share of this `grad`: one step of the chain rule.

        Nothing happens on a leaf.
        """
        if self.reads:
            self._pull()

    def _pull(self) -> None:
        """What `backward` does once per computed value, consumers first: the step above."""
        op, operands = self.op, self.reads
        try:
            if len(operands) == 2:  # written out: this is where the time goes
                a, b = operands
                ct, out, x, y = self.grad, self.data, a.data, b.data
                rule_a, rule_b = op.vjp  # type: ignore[union-attr]
                share_a = 0.0 if rule_a is None else rule_a(ct, out, x, y)
                share_b = 0.0 if rule_b is None else rule_b(ct, out, x, y)
                a.grad += share_a
                b.grad += share_b
                return
            if len(operands) == 1 and not self.statics:
                (a,) = operands
                (rule,) = op.vjp  # type: ignore[union-attr]
                a.grad += 0.0 if rule is None else rule(self.grad, self.data, a.data)
                return
            shares = self._shares(float)
        except ArithmeticError:
            shares = self._shares(Float)
        for operand, share in zip(operands, shares, strict=True):
            operand.grad += share

    def _pass_over(self) -> None:
        """What `backward` does instead for what only a branch that was not taken needs."""

    def _shares(self, number: Callable[[float], float]) -> list[float]:
        """What the rules give each operand, worked out in numbers of this kind."""
        given = (self.grad, self.data, *[value.data for value in self.reads], *self.statics)
        numbers = [number(item) for item in given]
        rules = self.op.vjp  # type: ignore[union-attr]
        return [0.0 if rule is None else float(rule(*numbers)) for rule in rules]

    def backward(self) -> None:
        """Fill `grad` of everything this was computed from with d(this)/d(it).

        The reverse sweep of automatic differentiation (Griewank & Walther, *Evaluating
        Derivatives*, section 3.2). Leaves add to the gradient they had, so calling twice gives
        twice the gradient; computed nodes start from 0 each time. What only a branch of a `where`
        that was not taken needs keeps its 0, even if its derivative is not finite.

        >>> a = Value(3.0)
        >>> b = a + a
        >>> b.backward(); b.backward()
        >>> a.grad
        4.0
        """
        order = _consumers_first(self)
        branches = False
        for value in order:
            value.grad = 0.0
            branches = branches or value.op is WHERE
        self.grad = 1 if self.reads else self.grad + 1
        taken = _taken(self, order) if branches else None
        for value in order:
            if taken is None or value in taken:
                value._pull()
            else:
                value._pass_over()


def topological(*roots: Value, known: Container[Value] = ()) -> Iterator[Value]:
    """Every value `roots` were computed from, and they themselves, operands first.

    Those in `known`, and what only they were computed from, are left out.

    >>> a = Value(2.0)
    >>> [v.data for v in topological(a * a + a)]
    [2.0, 4.0, 6.0]
    """
    entered: set[Value] = set()
    left: set[Value] = set()
    for root in roots:
        stack = [] if root in known else [root]
        while stack:
            value = stack[-1]
            if value not in entered:
                entered.add(value)
                if value.operands:
                    waiting = reversed(value.operands)
                    stack += [v for v in waiting if v not in entered and v not in known]
                    continue
            stack.pop()
            if value not in left:
                left.add(value)
                yield value


def _consumers_first(root: Value) -> list[Value]:
    """`root` and what it was computed from but the leaves, each after all that it was used in.

    A. B. Kahn, "Topological sorting of large networks", CACM 5(11), 1962.
    """
    uses: dict[Value, int] = {}
    stack = [root]
    while stack:
        for value in stack.pop().reads:
            if value.reads:
                if value in uses:
                    uses[value] += 1
                else:
                    uses[value] = 1
                    stack.append(value)
    order = [root] if root.reads else []
    for consumer in order:
        for value in consumer.reads:
            if value.reads:
                uses[value] -= 1
                if not uses[value]:
                    order.append(value)
    return order


def _taken(root: Value, order: list[Value]) -> set[Value]:
    """What `root` depends on by way of the branches that were taken; `order` is consumers first."""
    found = {root}
    for value in order:
        if value in found:
            reads = value.reads
            if value.op is WHERE:
                reads = (reads[1 if reads[0].data else 2],)
            found.update(reads)
    return found


def zero_grad(parameters: Iterable[Value]) -> None:
    """Set the `grad` of each to 0.0, as a training loop does before `backward`.

    >>> a = Value(1.0); a.backward(); zero_grad([a]); a.grad
    0.0
    """
    for parameter in parameters:
        parameter.grad = 0.0


def as_value(operand: Any) -> Any:
    """An operand as a `Value`, a number as a constant; None for what knows better what to do."""
    if isinstance(operand, Arithmetic):
        return operand if isinstance(operand, Value) else None
    if type(operand) is float:
        return computed(operand, CONSTANT, ())
    if isinstance(operand, Real):
        return computed(plain_number(operand), CONSTANT, ())
    number = unboxed(operand)
    return None if number is operand else as_value(number)


def computed(
    data: float, op: Op, operands: tuple[Value, ...], statics: tuple[float, ...] = ()
) -> Value:
    """A `Value` without the checks that numbers from outside need."""
    value = _new(Value)
    value.data = data
    value.grad = 0.0
    value.label = ""
    value.op = op
    value.reads = operands
    value.statics = statics
    return value


def _boxed(value: Value) -> Any:
    """An array without axes that holds the value, which NumPy's functions ask for their method."""
    import numpy

    box = numpy.empty((), object)
    box[()] = value
    return box


def _number(data: Any) -> int | float:
    if isinstance(data, Real):
        return plain_number(data)
    number = unboxed(data)
    if number is not data:
        return _number(number)
    raise OperandError(f"Value({shorten(data)}): a Value holds a real number, not {kind_of(data)}")
