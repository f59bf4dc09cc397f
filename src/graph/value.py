"""`Value`: a number that remembers how it was computed, and can say how it came to be."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any, ClassVar, Final

from ..errors import OperandError, kind_of, shorten
from ..ops.ieee import Float
from ..ops.record import Op, plain_number
from ..ops.scalar import CONSTANT, ELEMENTWISE
from ..ops.shapes import unboxed
from .arithmetic import Arithmetic
from .doors import Door, View
from .history import deep_copy, reduced, shallow_copy
from .node import Node
from .numpyfunctions import by_ufunc
from .operators import of_internal, written_out
from .own import OWN, own_statics
from .plainfloat import caller, check_plain_float
from .sweep import sweep, topological

__all__ = ["Value", "as_value", "computed", "topological", "zero_grad"]

_new = object.__new__
_NONE: Final = ()
"""What stands for no operands: there is one empty tuple, so that looking for it takes no time."""


class Value(Node):
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

    __slots__ = ("__dict__", "__weakref__")
    op_rank: ClassVar[int] = 1
    _sympy_: Door[Callable[[], Any]] = Door("_sympy_")
    _repr_mimebundle_ = View()

    _result_kind: ClassVar[type[Value]]

    data: float
    grad: float

    def __init_subclass__(cls, *, internal: bool = False, **options: Any) -> None:
        """What users derive: a leaf whatever its `__init__` leaves out, with steps of its own."""
        super().__init_subclass__(**options)
        if not internal:
            cls._result_kind = cls
            cls._overrides = cls._overrides or "_backward" in vars(cls)
            if "__new__" not in vars(cls):
                type.__setattr__(cls, "__new__", _new_leaf)  # checkers take `=` for every class's
        else:
            for name, method in _OF_INTERNAL.items():
                setattr(cls, name, method)

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
        self._data = data if data.__class__ is float else _number(data)
        self._grad = 0.0
        self.label = label
        self.op: Op | None = None
        self._a, self._b = None, ()
        if _children is not _NONE or _op or children is not _NONE or local_grads is not _NONE:
            self._by_hand(_children, _op, children, local_grads)

    def _by_hand(self, children: Any, sign: Any, more: Any, local_grads: Any) -> None:
        """Keep what else a `Value` was given: a label, or operands and what is known of them."""
        if isinstance(children, str):  # a label, which is the second argument of a leaf
            self.label, children = children, ()
        if not isinstance(sign, str):
            local_grads, sign = sign, ""
        operands = _operands(children or more, self._data)
        if operands:
            self._own(operands, sign, local_grads)
        elif sign or len(local_grads):
            raise OperandError(
                f"Value({shorten(self._data)}) has {shorten(sign or local_grads)} but no operands; "
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
        return shallow_copy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Value:
        """A copy with its whole history; histories may be of any length."""
        return deep_copy(self, memo)

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
                return on_objects(ufunc, inputs, options)
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
    def operands(self) -> tuple[Value, ...]:
        """What this was computed from, in order; empty for a leaf."""
        return self.reads

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
        value._set_operands(operands, statics)
        return value

    def _own(self, operands: tuple[Value, ...], sign: Any, local_grads: Any = ()) -> None:
        """Make this an operation of the user's own."""
        statics = own_statics(sign, local_grads, len(operands))
        if operands:
            self.op, self._b = OWN, statics
            self._a = operands[0] if len(operands) == 1 else operands
        else:
            self.op, self._a, self._b = None, None, ()

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
        if self._a is not None:
            sweep(self)
        else:
            self._grad = (self._grad or 0.0) + 1


# The public names of the number and its gradient. The package itself reads the slots, so that a
# property may stand in here for a while and see what user code reads.
Value.data = vars(Node)["_data"]
Value.grad = vars(Node)["_grad"]
Value._result_kind = Value
for _name, _method in written_out(Value).items():
    setattr(Value, _name, _method)
_OF_INTERNAL = of_internal()
"""For classes that only the package makes values of; arithmetic with them gives plain ones."""


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
    value._a, value._b = None, ()
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
    value.op, value._a, value._b = None, None, ()
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


def on_objects(ufunc: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What one of NumPy's functions gives, entry by entry; by the record of that name, if any."""
    op = ELEMENTWISE.get(ufunc.__name__)
    if op is not None and op.arity == ufunc.nin and not op.statics and not options:
        import numpy

        return numpy.frompyfunc(op, op.arity, 1)(*map(objects, inputs))
    return ufunc(*map(objects, inputs), **{"dtype": object, **options})


def _number(data: Any) -> int | float:
    if isinstance(data, Real):
        return plain_number(data)
    number = unboxed(data)
    if number is not data:
        return _number(number)
    raise OperandError(f"Value({shorten(data)}): a Value holds a real number, not {kind_of(data)}")
