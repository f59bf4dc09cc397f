"""What user code reads of `Value`s while it is traced.

The package itself reads the slots of a `Value`; `value.data` and `value.grad` are for users. While
anything is traced, properties stand in for these two, so that nothing can be read that would be
frozen into the code. For the same time `max` and `min` know the numbers of a trace: the largest
logit, which every softmax subtracts, is then a number like any other; and `isinstance` takes them
for the floats and integers that they stand for. Other threads go on as they were: what stands in
looks first whether its own thread is tracing.
"""

from __future__ import annotations

import builtins
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import reduce
from threading import Lock
from typing import Any, Final, NoReturn

from ..graph.own import OWN
from ..graph.value import Value
from ..ops.scalar import CONSTANT, MAXIMUM, MINIMUM, STOP_GRADIENT
from .active import Watching, refuse, tracing
from .asked import WHICH
from .lines import is_foreign
from .number import Index, Number
from .text import unknown_text

_lock: Final = Lock()
_watched: Final[Counter[str]] = Counter()
"""How often each attribute is watched, and under "" how often anything is."""

_raw_data = vars(Value)["data"]
_raw_grad = vars(Value)["grad"]
_raw_init = Value.__init__
_raw_backward = Value.backward
_raw_repr = Value.__repr__
_raw_format = Value.__format__
_raw_deepcopy = Value.__deepcopy__
_raw_reduce = Value.__reduce_ex__
_raw_is = Value._is
_raw_hash: Final[Callable[[object], int]] = object.__hash__
_raw_copy = Value.__copy__
SHOWN: Final = "<a Value known when the function runs>"
_raw_max, _raw_min, _raw_isinstance = builtins.max, builtins.min, builtins.isinstance


@contextmanager
def watched(recording: Watching, attributes: Iterable[str] = ()) -> Iterator[None]:
    """While this lasts, `recording` is told of what user code in this thread does with Values.

    attributes  names under which Values may keep something of the user's; among them is
                "__getattr__" if the code may ask for some that are not there
    """
    names = [name for name in attributes if name not in _OWN]
    with _lock:
        if not _watched.total():
            _install()
        for name in names:
            if not _watched[name]:
                setattr(Value, name, _attribute(name))
        _watched.update(names)
        _watched[""] += 1
    token = tracing.set(recording)
    try:
        yield
    finally:
        tracing.reset(token)
        with _lock:
            _watched.subtract(names)
            _watched[""] -= 1
            for name in names:
                if not _watched[name]:
                    delattr(Value, name)
            if not _watched.total():
                _remove()


def _install() -> None:
    for name, member in _STANDING_IN.items():
        setattr(Value, name, member)
    setattr(builtins, "max", _chosen(_raw_max, MAXIMUM))  # noqa: B010
    setattr(builtins, "min", _chosen(_raw_min, MINIMUM))  # noqa: B010
    setattr(builtins, "isinstance", _isinstance)  # noqa: B010


def _remove() -> None:
    for name in _STANDING_IN:
        if name in _RAW:
            setattr(Value, name, _RAW[name])
        else:
            delattr(Value, name)
    setattr(builtins, "max", _raw_max)  # noqa: B010
    setattr(builtins, "min", _raw_min)  # noqa: B010
    setattr(builtins, "isinstance", _raw_isinstance)  # noqa: B010


def _is(value: Value, other: object) -> bool:
    recording = tracing.get()
    if recording is None or value is other or not isinstance(other, Value):
        return _raw_is(value, other)
    return recording.stands_for(value, WHICH) is recording.stands_for(other, WHICH)


def _hash(value: Value) -> int:
    recording = tracing.get()
    return _raw_hash(value if recording is None else recording.stands_for(value, WHICH))


def _attribute(name: str) -> Any:
    """Reads and writes what Values keep under a name, and tells who reads."""
    if name == "__getattr__":
        return _missing
    slot = getattr(Value, name, None)

    def read(value: Value) -> Any:
        recording = tracing.get()
        if recording is not None:
            value = recording.stands_for(value, name)
        if slot is not None:
            return slot.__get__(value)
        held = vars(value)
        if name not in held:
            raise AttributeError(f"{type(value).__name__!r} object has no attribute {name!r}")
        return held[name]

    def write(value: Value, thing: Any) -> None:
        if slot is not None:
            slot.__set__(value, thing)
        else:
            vars(value)[name] = thing

    def delete(value: Value) -> None:
        if name not in vars(value):
            raise AttributeError(name)
        del vars(value)[name]

    return property(read, write, delete)


def _missing(value: Value, name: str) -> Any:
    """An attribute that is not there may be there at the next call."""
    recording = tracing.get()
    if recording is not None and not name.startswith("__") and _is_by_user():
        recording.stands_for(value, name)
    raise AttributeError(f"{type(value).__name__!r} object has no attribute {name!r}")


def _is_by_user() -> bool:
    """Whether what stands in was called from code that is neither this package's nor Python's."""
    return not is_foreign(sys._getframe(2).f_globals.get("__name__"))


def _history(name: str) -> property:
    """How a Value was computed, under one of the names that are in use."""
    raw = vars(Value)[name]

    def read(value: Value) -> Any:
        recording = tracing.get()
        if recording is not None and recording.stands_for(value, None) is not value:
            _refuse(f"{name} of an argument", "pass what it was computed from as well")
        return raw.fget(value)

    return property(read, raw.fset)


def _read_data(value: Value) -> Any:
    if tracing.get() is None or value.op is CONSTANT:
        return value._data
    return Number(STOP_GRADIENT(value))


def _write_data(value: Value, data: Any) -> None:
    if tracing.get() is not None:
        _refuse("assigning to .data", "change parameters after `backward`, outside of it")
    value._data = data


def _read_grad(value: Value) -> Any:
    if tracing.get() is not None:
        _refuse(".grad", "read gradients after `backward`, outside of it")
    return value._grad


def _write_grad(value: Value, grad: Any) -> None:
    if tracing.get() is not None:
        _refuse("assigning to .grad", "set gradients to 0 outside of it")
    value._grad = grad


def _repr(value: Value) -> str:
    if tracing.get() is None or value.op is CONSTANT:
        return _raw_repr(value)
    return unknown_text(SHOWN)


def _format(value: Value, spec: str) -> str:
    if tracing.get() is None or value.op is CONSTANT or spec:
        return _raw_format(value, spec)
    return unknown_text(SHOWN)


def _backward(value: Value) -> None:
    if tracing.get() is not None:
        _refuse("backward()", "return the Value, and call backward on that")
    _raw_backward(value)


def _init(value: Value, data: Any, *arguments: Any, **named: Any) -> None:
    recording = tracing.get()
    if recording is None:
        _raw_init(value, data, *arguments, **named)
        return
    number = data.value if isinstance(data, Number) else data
    known = not isinstance(number, Value)
    slopes = _slopes(arguments, named)
    if any(isinstance(slope, Number) for slope in slopes):
        arguments = (*arguments[:1], "") if len(arguments) > 1 else arguments
        named.pop("local_grads", None)
    _raw_init(value, data if known else number._data, *arguments, **named)
    if value.op is None:
        recording.born(value)
        if not known:
            _becomes(value, STOP_GRADIENT(number))
    elif value.op is OWN and slopes and not (known and all(map(_is_plain, slopes))):
        _becomes(value, _linear(number, value.operands, slopes))


def _is_plain(slope: Any) -> bool:
    return not isinstance(slope, Number)


def _slopes(arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """The local gradients among the arguments of a `Value`."""
    given = named.get("local_grads", arguments[1] if len(arguments) > 1 else ())
    return () if isinstance(given, str) else tuple(given)


def _linear(number: Any, operands: tuple[Value, ...], slopes: tuple[Any, ...]) -> Value:
    """The value of an operation of one's own, with these derivatives by its operands."""
    total: Any = STOP_GRADIENT(number) if isinstance(number, Value) else Value(number)
    for operand, slope in zip(operands, slopes, strict=True):
        factor = slope.value if isinstance(slope, Number) else slope
        total = total + factor * (operand - STOP_GRADIENT(operand))
    return total  # type: ignore[no-any-return]


def _becomes(value: Value, other: Value) -> None:
    """Record `value` as computed in the way of `other`."""
    value._data, value.op, value._a, value._b = other._data, other.op, other._a, other._b


def _chosen(plain: Callable[..., Any], op: Any) -> Callable[..., Any]:
    """`max` or `min` of numbers among which some are known only when the function runs."""

    def chosen(*arguments: Any, **options: Any) -> Any:
        if tracing.get() is None:
            return plain(*arguments, **options)
        things = list(arguments[0]) if len(arguments) == 1 else list(arguments)
        dynamic = any(
            isinstance(x, Value) or (isinstance(x, Number) and not isinstance(x, Index))
            for x in things
        )
        if dynamic and not options:
            if all(map(_is_data, things)):  # of data as one, which `stable_form` knows for a shift
                return Number(STOP_GRADIENT(reduce(op, [x.value.operands[0] for x in things])))
            return reduce(op, things)
        return plain(things, **options)

    chosen.__name__ = plain.__name__
    return chosen


def _isinstance(thing: Any, kinds: Any) -> bool:
    """`isinstance`, for which a number of a trace is of the class that it will be of."""
    if _raw_isinstance(thing, Number) and tracing.get() is not None and _is_by_user():
        return issubclass(int if type(thing) is Index else float, kinds)
    return _raw_isinstance(thing, kinds)


def _copy(value: Value) -> Value:
    """A leaf's copy is another leaf, to which no gradient of this one comes."""
    copied = _raw_copy(value)
    if tracing.get() is not None and value.op is None:
        _becomes(copied, STOP_GRADIENT(value))
    return copied


def _deepcopy(value: Value, memo: dict[int, Any]) -> Value:
    if tracing.get() is not None:
        _refuse("deepcopy", "no gradient passes through a copy, nor through `stop_gradient(x)`")
    return _raw_deepcopy(value, memo)


def _reduce(value: Value, protocol: Any) -> Any:
    if tracing.get() is not None:
        _refuse("pickling a Value", "return it, and write what comes back")
    return _raw_reduce(value, protocol)


def _is_data(thing: Any) -> bool:
    """Whether it is what `.data` of a computed or given Value gave."""
    return type(thing) is Number and thing.value.op is STOP_GRADIENT


def _refuse(what: str, instead: str) -> NoReturn:
    refuse(f"{what} in a function that is being traced: {instead}")


_STANDING_IN: Final[dict[str, Any]] = {
    "data": property(_read_data, _write_data),
    "grad": property(_read_grad, _write_grad),
    "backward": _backward,
    "__repr__": _repr,
    "__format__": _format,
    "__copy__": _copy,
    "__deepcopy__": _deepcopy,
    "__reduce_ex__": _reduce,
    "__init__": _init,
    "_is": _is,
    "__hash__": _hash,
    **{name: _history(name) for name in ("_prev", "_children", "_op", "_local_grads")},
}
_RAW: Final[dict[str, Any]] = {
    name: vars(Value)[name] for name in _STANDING_IN if name in vars(Value)
}
_OWN: Final = frozenset(dir(Value)) - {"label"}
"""What every Value has, but for what users give to it."""
