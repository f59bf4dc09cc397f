"""Numbers and indices that are known only when a traced function runs."""

from __future__ import annotations

import numbers
import operator
import sys
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any, ClassVar, Final, NoReturn, Protocol

from ..graph.arithmetic import Arithmetic
from ..graph.plainfloat import is_looked_up
from ..graph.value import Value, on_objects
from ..ops.record import Op
from .active import refuse
from .text import unknown_text
from .wholes import COMPUTED, NUMBER

_NUMBER: Final = "<a number known when the function runs>"

_CURES: Final = {
    "the truth of": "Write wengert.where(condition, a, b) for `if`, and wengert.maximum(a, b) or "
    "minimum for a choice of the larger or smaller",
    "float() of": "Leave float() out, since it is one; write wengert.exp(x) for math.exp(x) and so "
    "on, sum(xs) for math.fsum(xs), and make arrays that it is put into with dtype=object",
    "round() of": "Write wengert.round(x)",
    "floor() of": "Write wengert.floor(x)",
    "ceil() of": "Write wengert.ceil(x)",
    "an index or a count from": "Pass the integer itself as an argument: 1, not 1.0",
    "`==` of": "Write wengert.equal(a, b)",
    "`!=` of": "Write wengert.not_equal(a, b)",
}
_CURE: Final = (
    "Write wengert.where(condition, a, b) for a choice, wengert.floor(x) for a whole number to "
    "compute with; what picks or counts has to be an integer of the arguments"
)
"""For what is not known otherwise."""


class _ForNumPy:
    """A method that Values have and floats have not: NumPy finds it, the user's code does not."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method

    def __get__(self, number: Number, kind: type[Number]) -> Any:
        if is_looked_up(sys._getframe(1)):
            raise AttributeError(self._method.__name__)
        return MethodType(self._method, number)


class Number(Arithmetic):
    """A number of a traced function: a float argument, or what `value.data` was while tracing.

    Arithmetic with numbers gives such a number again, and with a `Value` a `Value`. Whatever needs
    to know the number now is a `TracingError`.
    """

    __slots__ = ("_value",)
    op_rank: ClassVar[float] = 1.2

    def __init__(self, value: Value) -> None:
        self._value = value

    @property
    def value(self) -> Value:
        """The `Value` that is recorded where this number is used."""
        return self._value

    def apply_op(self, op: Op, operands: tuple[Any, ...], statics: tuple[float, ...] = ()) -> Any:
        """What `op` gives: a `Value` if there is one among the operands, else a number again."""
        plain = tuple([x.value if isinstance(x, Number) else x for x in operands])
        carrier = next(x for x in plain if isinstance(x, Value))
        result = carrier.apply_op(op, plain, statics)
        if result is NotImplemented or any(isinstance(x, Value) for x in operands):
            return result
        return Number(result)

    def __array_ufunc__(  # type: ignore[override]
        self, ufunc: Any, method: str, *inputs: Any, **options: Any
    ) -> Any:
        """NumPy's functions of arrays and this number, entry by entry."""
        if method != "__call__":
            return NotImplemented
        return on_objects(ufunc, inputs, options)

    def __repr__(self) -> str:
        return unknown_text(_NUMBER)

    def __format__(self, spec: str) -> str:
        return self._unknown(f"format {spec!r} of") if spec else unknown_text(_NUMBER)

    def __bool__(self) -> bool:
        return self._unknown("the truth of")

    def __float__(self) -> float:
        return self._unknown("float() of")

    def __int__(self) -> int:
        return self._unknown("int() of")

    def __index__(self) -> int:
        return self._unknown("an index or a count from")

    def __round__(self, digits: int | None = None) -> Any:
        return self._unknown("round() of")

    def __trunc__(self) -> int:
        return self._unknown("trunc() of")

    def __floor__(self) -> int:
        return self._unknown("floor() of")

    def __ceil__(self) -> int:
        return self._unknown("ceil() of")

    def __eq__(self, other: object) -> bool:
        return self._unknown("`==` of")

    def __ne__(self, other: object) -> bool:
        return self._unknown("`!=` of")

    def __hash__(self) -> int:
        return self._unknown("the hash of")

    @property
    def real(self) -> Number:
        """The number itself."""
        return self

    @property
    def imag(self) -> float:
        """0."""
        return 0.0

    def __getattr__(self, name: str) -> Any:
        """What else a float can be asked: not known."""
        if name.startswith("__") or not hasattr(float, name):
            raise AttributeError(f"'float' object has no attribute {name!r}")
        return lambda *_: self._unknown(f"{name}() of")

    def conjugate(self) -> Number:
        """The number itself, which is real."""
        return self

    def _unknown(self, what: str) -> NoReturn:
        refuse(
            f"{what} a number that is known only when the function runs: what it depends on may be "
            f"another at the next call, so it cannot be read now. {_CURES.get(what, _CURE)}"
        )


for _name, _method in list(vars(Arithmetic).items()):
    if callable(_method) and not _name.startswith("_") and _name not in vars(Number):
        setattr(Number, _name, _ForNumPy(_method))
numbers.Number.register(Number)  # so that NumPy takes it for one


class Tracing(Protocol):
    """What an index asks of the recording that it belongs to."""

    def specialise(self, places: frozenset[int]) -> None:
        """From now on the integers at these places are part of the structure."""

    def number_of(self, index: Index) -> Value:
        """The leaf that holds this integer as a number."""

    def whole(self, kind: str, a: int, b: int = 0) -> int:
        """The number of a new step that gives a whole number, see `wholes`."""


class Index(Number):
    """An integer argument of a traced function, or what integer arithmetic makes of some.

    It picks rows from a `wengert.table` without being known. Where Python itself needs the integer,
    the code is made for that integer alone, and the recording notes where that was.

    now     the integer in this call
    places  the places in the arguments that it depends on
    step    the number of the step that gives it at each call
    """

    __slots__ = ("_recording", "now", "places", "step")

    def __init__(self, recording: Tracing, now: int, places: frozenset[int], step: int) -> None:
        self._recording = recording
        self.now = now
        self.places = places
        self.step = step

    @property
    def value(self) -> Value:
        """The `Value` that is recorded where this integer is used as a number."""
        return self._recording.number_of(self)

    def known(self) -> int:
        """The integer, on which the code then depends."""
        self._recording.specialise(self.places)
        return self.now

    def __repr__(self) -> str:
        return unknown_text("<an integer known when the function runs>")

    def __str__(self) -> str:
        return str(self.known())

    def __neg__(self) -> Any:
        return 0 - self

    def __invert__(self) -> Any:
        return -1 - self

    def __index__(self) -> int:
        return self.known()

    __int__ = __trunc__ = __floor__ = __ceil__ = __index__

    def __float__(self) -> float:
        return float(self.known())

    def __bool__(self) -> bool:
        return bool(self.known())

    def __hash__(self) -> int:
        return hash(self.known())

    def __format__(self, spec: str) -> str:
        return format(self.known(), spec)

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.known(), digits)

    def __getattr__(self, name: str) -> Any:
        """What else an integer can be asked, which needs to know it."""
        if name.startswith("__") or not hasattr(int, name):
            raise AttributeError(f"'int' object has no attribute {name!r}")
        return getattr(self.known(), name)


def _whole(function: Callable[[int, int], int]) -> Mapping[str, Callable[[Any, Any], Any]]:
    """An operator on integers, and the same with its operands exchanged."""

    def made(a: Any, b: Any, plain: Callable[[Any, Any], Any]) -> Any:
        mine = a if isinstance(a, Index) else b
        if any(isinstance(x, bool) or not isinstance(x, (int, Index)) for x in (a, b)):
            return plain(a, b)
        recording = mine._recording
        step = recording.whole(name, _step(recording, a), _step(recording, b))
        return Index(recording, function(_now(a), _now(b)), _places(a) | _places(b), step)

    name = function.__name__

    def forward(self: Any, other: Any) -> Any:
        return made(self, other, lambda a, b: getattr(super(Index, a), f"__{name}__")(b))

    def reflected(self: Any, other: Any) -> Any:
        return made(other, self, lambda a, b: getattr(super(Index, b), f"__r{name}__")(a))

    return {f"__{name}__": forward, f"__r{name}__": reflected}


def _now(thing: Any) -> int:
    return thing.now if isinstance(thing, Index) else int(thing)


def _places(thing: Any) -> frozenset[int]:
    return thing.places if isinstance(thing, Index) else frozenset()


def _step(recording: Tracing, thing: Any) -> int:
    return thing.step if isinstance(thing, Index) else recording.whole(NUMBER, int(thing))


def _known_to_python(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A comparison or quotient of integers, which needs to know them."""
    name = f"__{function.__name__.strip('_')}__"

    def compared(self: Index, other: Any) -> Any:
        if isinstance(other, Index):
            return function(self.known(), other.known())
        if isinstance(other, Arithmetic):
            return getattr(super(Index, self), name)(other)
        return function(self.known(), other) if isinstance(other, numbers.Real) else NotImplemented

    return compared


def _reflected(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def exchanged(self: Index, other: Any) -> Any:
        return function(other, self.known()) if isinstance(other, int) else NotImplemented

    return exchanged


for _function in COMPUTED.values():
    for _name, _method in _whole(_function).items():
        setattr(Index, _name, _method)
for _name in ("and", "or", "xor", "lshift", "rshift"):
    _function = getattr(operator, f"__{_name}__")
    setattr(Index, f"__{_name}__", _known_to_python(_function))
    setattr(Index, f"__r{_name}__", _reflected(_function))
for _function in (
    *(operator.mod, operator.floordiv),
    *(operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge),
):
    setattr(Index, f"__{_function.__name__}__", _known_to_python(_function))
