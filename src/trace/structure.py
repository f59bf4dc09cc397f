"""The structure of arguments: what is fixed in the code, and what is given to it at each call.

Lengths, names, text, truth values and objects are structure. Floats, integers and Values are not:
they are listed in the order in which they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

from ..errors import ShapeError, shorten
from ..graph.expr import Expr
from ..graph.value import Value
from ..ops.shapes import is_array

MAX_DEPTH: Final = 50
"""How deeply arguments may be nested."""


@dataclass(slots=True)
class Flat:
    """The arguments of a call, listed by kind. `symbolic` if there are expressions among them."""

    floats: list[float] = field(default_factory=list)
    integers: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    objects: list[Any] = field(default_factory=list)
    symbolic: bool = False


def structure_of(thing: Any, flat: Flat, depth: int = 0) -> Any:
    """The structure of an argument, hashable; what it holds is added to `flat`."""
    kind = type(thing)
    if kind is float:
        flat.floats.append(thing)
        return "f"
    if kind is int:
        flat.integers.append(thing)
        return "i"
    if isinstance(thing, Value):
        flat.values.append(thing)
        return "v" if kind is Value else ("v", kind)
    if depth > MAX_DEPTH:
        raise ShapeError(
            f"an argument is nested more than {MAX_DEPTH} deep: {shorten(thing)}; "
            "perhaps a list holds itself"
        )
    if kind is list or kind is tuple:
        return (kind, *_items(thing, flat, depth))
    if kind is dict:
        return (dict, tuple(thing), *_items(list(thing.values()), flat, depth))
    if isinstance(thing, tuple) and hasattr(kind, "_fields"):
        return (kind, *_items(thing, flat, depth))
    if is_array(thing):
        return _array(thing, flat, depth)
    if isinstance(thing, Expr) or kind.__module__.partition(".")[0] == "sympy":
        flat.symbolic = True
    if thing is None or kind in (bool, str, bytes, complex):
        return (kind, thing)
    flat.objects.append(thing)
    return (kind, id(thing))


def _items(things: Any, flat: Flat, depth: int) -> tuple[Any, ...]:
    """The structures of what a sequence holds; long ones of one kind are seen at once."""
    kinds = set(map(type, things))
    if len(kinds) == 1:
        (kind,) = kinds
        if kind is float:
            flat.floats += things
            return "f", len(things)
        if kind is int:
            flat.integers += things
            return "i", len(things)
        if kind is Value:
            flat.values += things
            return "v", len(things)
    return tuple([structure_of(thing, flat, depth + 1) for thing in things])


def _array(array: Any, flat: Flat, depth: int) -> Any:
    letter = array.dtype.kind
    if letter == "f":
        flat.floats += map(float, array.ravel().tolist())
    elif letter in "iu":
        flat.integers += array.ravel().tolist()
    elif letter == "b":
        return ("array", "b", array.shape, array.tobytes())
    elif letter == "O":
        return ("array", array.shape, *_items(list(array.ravel()), flat, depth))
    else:
        raise ShapeError(f"an argument is an array of {array.dtype}; expected numbers or Values")
    return ("array", letter, array.shape)


def replaced(
    thing: Any,
    of_float: Callable[[], Any],
    of_integer: Callable[[], Any],
    of_value: Callable[[Value], Any],
) -> Any:
    """The argument with its numbers and Values replaced one by one, in the order of `Flat`."""

    def again(part: Any) -> Any:
        kind = type(part)
        if kind is float:
            return of_float()
        if kind is int:
            return of_integer()
        if isinstance(part, Value):
            return of_value(part)
        if kind is list or kind is tuple:
            return kind(map(again, part))
        if kind is dict:
            return {key: again(item) for key, item in part.items()}
        if isinstance(part, tuple) and hasattr(kind, "_fields"):
            return kind(*map(again, part))
        return _replaced_array(part, again) if is_array(part) else part

    return again(thing)


def _replaced_array(array: Any, again: Callable[[Any], Any]) -> Any:
    if array.dtype.kind == "b":
        return array
    import numpy

    flat = numpy.empty(array.size, object)
    items = list(array.ravel()) if array.dtype == object else array.ravel().tolist()
    for place, item in enumerate(items):
        flat[place] = again(float(item) if array.dtype.kind == "f" else item)
    return flat.reshape(array.shape) if array.shape else flat[0]


def named_arguments(function: Any, arguments: Any, named: Any) -> list[tuple[str, Any]]:
    """The arguments of a call with their names, as far as the function says them."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    names = code.co_varnames[: code.co_argcount] if code is not None else ()
    shown = [*names, *[f"argument {k}" for k in range(len(names), len(arguments))]]
    return [*zip(shown, arguments, strict=False), *named.items()]


def leaf_paths(thing: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The leaves of an argument with the way to each, in the order in which they are listed."""
    kind = type(thing)
    items: Iterable[tuple[Any, Any]]
    if kind is list or isinstance(thing, tuple):
        items = enumerate(thing)
    elif kind is dict:
        items = thing.items()
    elif is_array(thing) and thing.shape:
        items = ((index, thing[index]) for index in product(*map(range, thing.shape)))
    else:
        yield path, thing
        return
    for key, item in items:
        place = ", ".join(map(repr, key)) if type(key) is tuple else repr(key)
        yield from leaf_paths(item, f"{path}[{place}]")


def nested(result: Any, leaf: Callable[[Any], Any], place: str = "result") -> Any:
    """What a function returned, with everything but containers replaced."""
    kind = type(result)
    if isinstance(result, tuple) and hasattr(kind, "_fields"):
        return kind(*[nested(item, leaf, f"{place}[{i}]") for i, item in enumerate(result)])
    if kind is list or kind is tuple:
        return kind([nested(item, leaf, f"{place}[{i}]") for i, item in enumerate(result)])
    if isinstance(result, Mapping):
        return {key: nested(item, leaf, f"{place}[{key!r}]") for key, item in result.items()}
    if is_array(result) and result.dtype == object:
        import numpy

        flat = numpy.empty(result.size, object)
        for i, item in enumerate(result.ravel()):
            flat[i] = leaf(item)
        return flat.reshape(result.shape)
    return leaf(result)


def described(thing: Any) -> str:
    """An argument's structure, for a reader.

    >>> described([[1, 2], "on", 0.5])
    "[[int x 2], 'on', float]"
    """
    kind = type(thing)
    if kind is list or kind is tuple:
        kinds = set(map(type, thing))
        if len(kinds) == 1 and kinds <= {int, float, Value}:
            return f"[{next(iter(kinds)).__name__} x {len(thing)}]"
        return f"[{', '.join(map(described, thing[:4]))}{', …' if len(thing) > 4 else ''}]"
    if kind is dict:
        return f"{{{', '.join(f'{key}: {described(item)}' for key, item in thing.items())}}}"
    if is_array(thing) and thing.shape:
        return f"array {thing.shape} of {thing.dtype}"
    return shorten(thing, 30) if kind in (str, bool) or thing is None else kind.__name__
