"""`Value`: a number that remembers how it was computed, and can say how it came to be."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any, ClassVar

from ..errors import OperandError, kind_of, shorten
from ..ops.ieee import Float
from ..ops.record import Op, plain_number
from ..ops.scalar import ADD, CONSTANT, MUL, POW_CONST, SUB
from ..ops.shapes import unboxed
from .arithmetic import Arithmetic
from .doors import Door
from .history import deep_copy, reduced, shallow_copy
from .numpyfunctions import by_ufunc
from .own import OWN, own_statics
from .plainfloat import caller, check_plain_float
from .sweep import sweep, topological

__all__ = ["Value", "as_value", "computed", "topological", "zero_grad"]

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

    An operation of one's own is a value with its operands, and either a derivative by each of them,
    as a number, or a `_backward` that is assigned afterwards and adds to their `grad`. It may be
    given a sign, or a label, or both. `backward` uses it; what needs the formula itself, such as
    `compile`, refuses it and says how to write it.

    >>> a, b = Value(2.0), Value(5.0)
    >>> Value(10.0, (a, b), (5.0, 2.0)).backward(); a.grad, b.grad
    (5.0, 2.0)
    >>> def double(x):
    ...     out = Value(x.data * 2, (x,), "double")
    ...     def _backward():
    ...         x.grad += 2 * out.grad
    ...     out._backward = _backward
    ...     return out
    >>> double(a + b).backward(); a.grad
    7.0

    Values take attributes of one's own, and subclasses methods of one's own: what is computed from
    values of a subclass is of that subclass, made without a call of its `__init__`.
    """

    __slots__ = (
        *("__dict__", "__weakref__"),
        *("_a", "_b", "_data", "_grad", "label", "op"),
    )
    # An operation on two operands keeps them in _a and _b: a tuple for each would cost a third of
    # the time. Any other keeps its operands in _a, in a tuple, and its static arguments in _b. A
    # leaf has None in both.
    _a: Any
    _b: Any

    op_rank: ClassVar[int] = 1
    _sympy_: Door[Callable[[], Any]] = Door("_sympy_")

    _result_kind: ClassVar[type[Value]]
    """The class of what is computed from values of this one."""
    _overrides: ClassVar[bool] = False
    """Whether a subclass says itself what a step of the chain rule does."""

    data: float
    grad: float

    def __init_subclass__(cls, *, internal: bool = False, **options: Any) -> None:
        """What users derive: a leaf whatever its `__init__` leaves out, with steps of its own."""
        super().__init_subclass__(**options)
        if not internal:
            cls._result_kind = cls
            cls._overrides = cls._overrides or "_backward" in vars(cls)
            if "__new__" not in vars(cls):
                cls.__new__ = _new_leaf  # type: ignore[method-assign, assignment]

    def __init__(
        self,
        data: float,
        _children: Any = (),
        _op: Any = "",
        label: str = "",
        *,
        children: Any = (),
        local_grads: Any = (),
    ) -> None:
        if isinstance(_children, str):  # a label, which is the second argument of a leaf
            label, _children = _children, ()
        if not isinstance(_op, str):
            local_grads, _op = _op, ""
        self._data = _number(data)
        self._grad = 0.0
        self.label = label
        self.op: Op | None = None
        self._a = self._b = None
        operands = _operands(_children or children, data)
        if operands:
            self._own(operands, _op, local_grads)
        elif _op or len(local_grads):
            raise OperandError(
                f"Value({shorten(data)}) has {shorten(_op or local_grads)} but no operands; "
                "write Value(data, (a, b), …) with the Values it was computed from"
            )

    def __repr__(self) -> str:
        return f"Value(data={self._data}, grad={self._grad})"

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> float:
        number = float(self.data)
        check_plain_float(caller())
        return number

    def __int__(self) -> int:
        return int(self.data)

    __trunc__ = __int__

    def __round__(self, digits: int | None = None) -> int | float:
        return round(self.data, digits)

    def __format__(self, spec: str) -> str:
        """The number in a format such as ".4f", as for floats; without one, as `repr`."""
        return format(self.data, spec) if spec else repr(self)

    def __copy__(self) -> Value:
        """Another value with the same number and operands, and a `grad` of its own from now on."""
        return shallow_copy(self)  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: dict[int, Any]) -> Value:
        """A copy with its whole history; histories may be of any length."""
        return deep_copy(self, memo)  # type: ignore[no-any-return]

    def __reduce_ex__(self, protocol: Any) -> Any:
        """How `pickle` writes it: with its whole history, which may be of any length."""
        return reduced(self)

    def __array_ufunc__(  # type: ignore[override]
        self, ufunc: Any, method: str, *inputs: Any, **options: Any
    ) -> Any:
        """NumPy's functions: `np.tanh(value)` is `value.tanh()`, and recorded so.

        With arrays of numbers or of values, the result is an array of values.
        """
        if method == "__call__" and all(getattr(type(x), "op_rank", 1) == 1 for x in inputs):
            op = by_ufunc().get(ufunc.__name__)
            if isinstance(op, Op) and op.shape is None and not options:
                import numpy

                return numpy.frompyfunc(op, op.arity, 1)(*map(objects, inputs))
            with contextlib.suppress(TypeError):
                return ufunc(*map(objects, inputs), **{"dtype": object, **options})
        given = ", ".join(shorten(x) for x in inputs)
        raise OperandError(
            f"np.{ufunc.__name__}({given}) cannot be recorded: a Value is one number. Write "
            "wengert's function of that name, such as wengert.log1p(value); for several numbers "
            "take them one by one, or use wengert.Graph().array"
        )

    def conjugate(self) -> Value:
        """The value itself, which is real; NumPy's `var` asks for it."""
        return self

    @property
    def reads(self) -> tuple[Value, ...]:
        """The operands, as far as they have been made."""
        a = self._a
        if a.__class__ is tuple:
            return a
        return () if a is None else (a, self._b)

    @property
    def operands(self) -> tuple[Value, ...]:
        """What this was computed from, in order; empty for a leaf."""
        return self.reads

    @property
    def statics(self) -> tuple[Any, ...]:
        """The operation's static arguments, such as a constant exponent."""
        return self._b if self._a.__class__ is tuple else ()

    @property
    def _prev(self) -> Any:
        """The operands, under the name the notebook gives them."""
        return self.operands

    @_prev.setter
    def _prev(self, children: Any) -> None:
        self._own(_operands(children, self._data), self._op)

    _children = _prev

    @property
    def _op(self) -> str:
        """The sign of the operation, under the name the notebook gives it; "" for a leaf."""
        return "" if self.is_leaf else self.op.sign(self.statics)  # type: ignore[union-attr]

    @_op.setter
    def _op(self, sign: str) -> None:
        if sign != self._op:
            self._own(self.reads, sign, self._local_grads if self.op is OWN else ())

    @property
    def _local_grads(self) -> tuple[float, ...]:
        """The derivative by each operand, all else being held."""
        if self.op is OWN:
            return tuple(self.statics[1])
        return tuple(self._shares(Float, 1.0)) if self.reads else ()

    @_local_grads.setter
    def _local_grads(self, local_grads: Any) -> None:
        self._own(self.reads, self._op, local_grads)

    @property
    def _backward(self) -> Callable[[], None]:
        """Add to the `grad` of each operand its share of this `grad`: one step of the chain rule.

        Nothing happens on a leaf.
        """
        return self.__dict__.get("_backward", self._step)  # type: ignore[no-any-return]

    @_backward.setter
    def _backward(self, step: Callable[[], None]) -> None:
        if self.reads:
            self._own(self.operands, self._op)
        self.__dict__["_backward"] = step

    @property
    def is_leaf(self) -> bool:
        """Whether this was given rather than computed."""
        return self._a is None

    def __add__(self, other: Any) -> Any:
        kind = self.__class__
        if other.__class__ is kind:  # written out, as in `-` and `*`: here is where time goes
            data = self._data + other._data
            value = _new(kind)
            value._data = data if data.__class__ is float else plain_number(data)
            value._grad = 0.0
            value.label = ""
            value.op = ADD
            value._a = self
            value._b = other
            return value
        if other.__class__ is float or other.__class__ is int:
            return self + constant(other)
        return self.apply_op(ADD, (self, other))

    def __radd__(self, other: Any) -> Any:
        if other.__class__ is float or other.__class__ is int:
            return constant(other) + self
        return self.apply_op(ADD, (other, self))

    def __sub__(self, other: Any) -> Any:
        kind = self.__class__
        if other.__class__ is kind:
            data = self._data - other._data
            value = _new(kind)
            value._data = data if data.__class__ is float else plain_number(data)
            value._grad = 0.0
            value.label = ""
            value.op = SUB
            value._a = self
            value._b = other
            return value
        if other.__class__ is float or other.__class__ is int:
            return self - constant(other)
        return self.apply_op(SUB, (self, other))

    def __mul__(self, other: Any) -> Any:
        kind = self.__class__
        if other.__class__ is kind:
            data = self._data * other._data
            value = _new(kind)
            value._data = data if data.__class__ is float else plain_number(data)
            value._grad = 0.0
            value.label = ""
            value.op = MUL
            value._a = self
            value._b = other
            return value
        if other.__class__ is float or other.__class__ is int:
            return self * constant(other)
        return self.apply_op(MUL, (self, other))

    def __rmul__(self, other: Any) -> Any:
        if other.__class__ is float or other.__class__ is int:
            return constant(other) * self
        return self.apply_op(MUL, (other, self))

    def __pow__(self, exponent: Any) -> Any:
        if exponent.__class__ is int or exponent.__class__ is float:
            return self.apply_op(POW_CONST, (self,), (plain_number(exponent),))
        return super().__pow__(exponent)

    def apply_op(self, op: Op, operands: tuple[Any, ...], statics: tuple[float, ...] = ()) -> Any:
        """The value of `op` on `operands`, numbers among them taken in as constants."""
        count = len(operands)
        if count == 1:
            (a,) = operands
            kind = a._result_kind
            data = op.evaluate(a._data, *statics) if statics else op.evaluate(a._data)
        elif count == 2:
            a, b = operands
            kind = a.__class__
            if kind is not Value or b.__class__ is not Value:
                operands = a, b = as_value(a), as_value(b)
                if a is None or b is None:
                    return NotImplemented
                kind = _common_kind(operands)
            data = op.evaluate(a._data, b._data, *statics)
        else:
            operands = tuple(map(as_value, operands))
            if None in operands:
                return NotImplemented
            kind = _common_kind(operands)
            data = op.evaluate(*[value._data for value in operands], *statics)
        value = _new(kind)
        value._data = data if data.__class__ is float else plain_number(data)
        value._grad = 0.0
        value.label = ""
        value.op = op
        if count == 2 and not statics:
            value._a, value._b = operands
        else:
            value._a = operands
            value._b = statics
        return value

    def _own(self, operands: tuple[Value, ...], sign: Any, local_grads: Any = ()) -> None:
        """Make this an operation of the user's own."""
        statics = own_statics(sign, local_grads, len(operands))
        self.op, self._a, self._b = (OWN, operands, statics) if operands else (None, None, None)

    def _step(self) -> None:
        """The step that `_backward` is, unless it was assigned or overridden."""
        if self.reads:
            self._pull()

    def _pull(self) -> None:
        """What `backward` does once per computed value, consumers first: the step above."""
        op, operands, statics = self.op, self.reads, self.statics
        if op is OWN:
            # No derivatives, no shares: what nobody gave a step passes nothing on.
            for operand, slope in zip(operands, self._local_grads):  # noqa: B905
                operand._grad += slope * self._grad
            return
        try:
            if len(operands) == 2 and not statics:  # written out: this is where the time goes
                a, b = operands
                ct, out, x, y = self._grad, self._data, a._data, b._data
                rule_a, rule_b = op.vjp  # type: ignore[union-attr]
                share_a = 0.0 if rule_a is None else rule_a(ct, out, x, y)
                share_b = 0.0 if rule_b is None else rule_b(ct, out, x, y)
                a._grad += share_a
                b._grad += share_b
                return
            if len(operands) == 1 and not statics:
                (a,) = operands
                (rule,) = op.vjp  # type: ignore[union-attr]
                a._grad += 0.0 if rule is None else rule(self._grad, self._data, a._data)
                return
            shares = self._shares(float, self._grad)
        except ArithmeticError:
            shares = self._shares(Float, self._grad)
        for operand, share in zip(operands, shares, strict=True):
            operand._grad += share

    def _pass_over(self) -> None:
        """What `backward` does instead for what only a branch that was not taken needs."""

    def _shares(self, number: Callable[[float], float], ct: float) -> list[float]:
        """What the rules give each operand, worked out in numbers of this kind."""
        given = (ct, self._data, *[value._data for value in self.reads], *self.statics)
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
        if self.reads:
            sweep(self)
        else:
            self._grad = (self._grad or 0.0) + 1


# The public names of the number and its gradient. The package itself reads the slots, so that a
# property may stand in here for a while and see what user code reads.
Value.data = vars(Value)["_data"]
Value.grad = vars(Value)["_grad"]
Value._result_kind = Value


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
    if isinstance(operand, Real):
        return constant(operand)
    number = unboxed(operand)
    return None if number is operand else as_value(number)


def constant(number: Any) -> Value:
    """A number that stands in a formula, as a `Value`."""
    value = _new(Value)
    value._data = number if number.__class__ is float else plain_number(number)
    value._grad = 0.0
    value.label = ""
    value.op = CONSTANT
    value._a = value._b = None
    return value


def computed(data: float, op: Op, a: Value, b: Value) -> Value:
    """The result of an operation on two operands, without the checks that `apply_op` makes."""
    value = _new(Value)
    value._data = data
    value._grad = 0.0
    value.label = ""
    value.op = op
    value._a, value._b = a, b
    return value


def _new_leaf(cls: type[Value], *_: Any, **__: Any) -> Any:
    """A leaf that holds 0, for whatever a subclass makes of it."""
    value: Any = _new(cls)
    value._data = value._grad = 0.0
    value.label = ""
    value.op = value._a = value._b = None
    return value


def _common_kind(operands: tuple[Value, ...]) -> type[Value]:
    """The class of what is computed from these: the most derived one that users wrote."""
    found = Value
    for operand in operands:
        kind = operand.__class__._result_kind
        if kind is not found and issubclass(kind, found):
            found = kind
    return found


def _operands(children: Any, data: Any) -> tuple[Value, ...]:
    """The operands of an operation of the user's own, in a tuple."""
    if isinstance(children, (list, tuple, set, frozenset)):
        for child in children:
            if not isinstance(child, Value):
                raise OperandError(
                    f"Value({shorten(data)}, …) was computed, it says, from {shorten(child)}, "
                    f"{kind_of(child)}; expected Values"
                )
        return tuple(children)
    if children is None:
        return ()
    raise OperandError(
        f"Value({shorten(data)}, {shorten(children)}): the second argument is {kind_of(children)}; "
        "expected a label, or a tuple of the Values that this was computed from"
    )


def objects(thing: Any) -> Any:
    """An array of objects, which NumPy's functions ask for their method; without axes for one."""
    import numpy

    if isinstance(thing, Arithmetic):
        box = numpy.empty((), object)
        box[()] = thing
        return box
    if getattr(thing, "shape", ()) and thing.dtype != object:
        return thing.astype(object)
    return thing


def _number(data: Any) -> int | float:
    if isinstance(data, Real):
        return plain_number(data)
    number = unboxed(data)
    if number is not data:
        return _number(number)
    raise OperandError(f"Value({shorten(data)}): a Value holds a real number, not {kind_of(data)}")
