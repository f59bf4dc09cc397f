"""Whole arrays computed from whole arrays: what engines are given, before it is text.

A `Tensor` says what it is made of and how; nothing is ever written twice or in place. `Builder`
makes them, each once, and keeps them in an order in which they can be computed. Every printer of
this folder reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ...ops.record import Op
from ...ops.scalar import ADD, MUL, NEG, POW_CONST, SUB, WHERE
from ...ops.shapes import BATCH, Shape, broadcast

if TYPE_CHECKING:
    import numpy

Key = int | slice | None
"""What stands for an axis in brackets: one place, some, or None for a new axis of length 1."""

ALL: Final = slice(None)

_EVERY: Final = (None, None, None)
"""What stands for it in a `Cut`."""


@dataclass(frozen=True)
class Argument:
    """What the caller brings under a name."""

    name: str


@dataclass(frozen=True)
class Number:
    """A number that is written out."""

    value: float


@dataclass(frozen=True, eq=False)
class Constant:
    """A known array: `text` is how NumPy makes it, where that is short, `wish` its name."""

    values: numpy.ndarray[Any, Any]
    text: str
    wish: str


@dataclass(frozen=True)
class Samples:
    """How many samples the argument has, as a number."""

    argument: str


@dataclass(frozen=True)
class Pointwise:
    """An operation of the table at every point of operands that broadcast."""

    op: Op
    statics: tuple[float, ...] = ()


@dataclass(frozen=True)
class Turned:
    """The axes in another order."""

    order: tuple[int, ...]


@dataclass(frozen=True)
class Reshaped:
    """The same elements in another shape."""


@dataclass(frozen=True)
class Cut:
    """A subscript: places, slices with steps above 0, and new axes."""

    keys: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Flipped:
    """Backwards along axes."""

    axes: tuple[int, ...]


@dataclass(frozen=True)
class Picked:
    """Elements along an axis, at the places that the second operand, a constant, holds."""

    axis: int


@dataclass(frozen=True)
class Product:
    """A product of matrices, as `@` has it."""


@dataclass(frozen=True)
class Contraction:
    """A product summed over axes, as `einsum` has it."""

    letters: str


@dataclass(frozen=True)
class Reduced:
    """The sum, the largest or the smallest over axes: by ADD, MAXIMUM or MINIMUM."""

    op: Op
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Grown:
    """Repeated along axes to a shape."""


@dataclass(frozen=True)
class Joined:
    """Several one behind the other along an axis."""

    axis: int


@dataclass(frozen=True)
class AsNumber:
    """Truth values as 1.0 and 0.0."""


@dataclass(frozen=True)
class AsTruth:
    """Whether numbers are not 0."""


Made = (
    Argument
    | Number
    | Constant
    | Samples
    | Pointwise
    | Turned
    | Reshaped
    | Cut
    | Flipped
    | Picked
    | Product
    | Contraction
    | Reduced
    | Grown
    | Joined
    | AsNumber
    | AsTruth
)


_SHOWING: Final = (Turned, Reshaped, Cut, Flipped, Picked, Grown)
"""What has the elements of its operand, and no others."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """An array: how it is made, of what, its shape, and whether it holds truth values."""

    made: Made
    operands: tuple[Tensor, ...] = ()
    shape: Shape = ()
    truth: bool = False

    @property
    def number(self) -> float | None:
        """The number that it is, where that is known."""
        return self.made.value if isinstance(self.made, Number) else None


def keys_of(cut: Cut) -> list[Key]:
    """The subscript of a cut.

    >>> keys_of(Cut(((0,), (), (1, None, 2))))
    [0, None, slice(1, None, 2)]
    """
    return [slice(*key) if len(key) == 3 else key[0] if key else None for key in cut.keys]


class Builder:
    """Makes tensors, and answers one that is there where it is asked for the same again."""

    def __init__(self) -> None:
        self.made: list[Tensor] = []
        self.names: dict[Tensor, str] = {}
        self._known: dict[Any, Tensor] = {}

    def make(
        self, made: Made, operands: Sequence[Tensor] = (), shape: Shape = (), truth: bool = False
    ) -> Tensor:
        """A tensor, as it is; what shows elements that are all one number is that number."""
        if isinstance(made, _SHOWING) and isinstance(operands[0].made, Grown):
            (alone,) = operands[0].operands
            if alone.number is not None:
                return self.grown(alone, shape)
        key: Any = (made, tuple(operands), shape, truth)
        if isinstance(made, Constant):
            array = made.values
            key = (array.tobytes(), array.shape, array.dtype.str, made.text)
        elif isinstance(made, Number):
            key = (made.value.hex(),)
        found = self._known.get(key)
        if found is None:
            found = Tensor(made, tuple(operands), shape, truth)
            self._known[key] = found
            self.made.append(found)
        return found

    def named(self, tensor: Tensor, wish: str) -> Tensor:
        """The tensor, which is called so if it is called nothing yet."""
        self.names.setdefault(tensor, wish)
        return tensor

    def number(self, value: float) -> Tensor:
        """A number."""
        return self.make(Number(float(value)))

    def constant(self, values: Any, wish: str, text: str = "") -> Tensor:
        """A known array."""
        return self.make(Constant(values, text, wish), (), values.shape, values.dtype.kind == "b")

    def pointwise(
        self, op: Op, operands: Sequence[Tensor], statics: Sequence[float] = ()
    ) -> Tensor:
        """An operation at every point; of numbers alone it is their value."""
        numbers = [operand.number for operand in operands]
        known = [number for number in numbers if number is not None]
        if len(known) == len(numbers):
            return self.number(float(op.evaluate(*known, *statics)))
        if op is POW_CONST and tuple(statics) == (1.0,):
            return operands[0]
        if op is WHERE and numbers[0] is not None:
            shape = broadcast(op.name, [one.shape for one in operands])
            return self.grown(self.as_number(operands[1 if numbers[0] != 0.0 else 2]), shape)
        if op is MUL and 1.0 in known:
            return operands[1] if numbers[0] == 1.0 else operands[0]
        given = [
            self.as_truth(one) if place in op.conditions else self.as_number(one)
            for place, one in enumerate(operands)
        ]
        shape = broadcast(op.name, [one.shape for one in given])
        return self.make(Pointwise(op, tuple(statics)), given, shape, op.truth)

    def as_number(self, tensor: Tensor) -> Tensor:
        """Numbers as they are, truth values as 1.0 and 0.0."""
        return self.make(AsNumber(), [tensor], tensor.shape) if tensor.truth else tensor

    def _known_sum(self, tensor: Tensor, axes: Sequence[int]) -> Tensor | None:
        """The sum of a constant over axes, as a constant."""
        made = tensor.made
        if not isinstance(made, Constant):
            return None
        values = made.values.sum(axis=tuple(axes), dtype=float)
        return self.constant(values, "counts") if values.shape else self.number(float(values))

    def as_truth(self, tensor: Tensor) -> Tensor:
        """Truth values as they are, numbers as whether they are not 0."""
        if tensor.truth or tensor.number is not None:
            return tensor
        return self.make(AsTruth(), [tensor], tensor.shape, True)

    def turned(self, tensor: Tensor, order: Sequence[int]) -> Tensor:
        """The axes in another order."""
        if list(order) == list(range(len(tensor.shape))):
            return tensor
        if isinstance(tensor.made, Turned):
            before = tensor.made.order
            return self.turned(tensor.operands[0], [before[k] for k in order])
        shape = tuple([tensor.shape[k] for k in order])
        return self.make(Turned(tuple(order)), [tensor], shape, tensor.truth)

    def reshaped(self, tensor: Tensor, shape: Shape) -> Tensor:
        """Another shape of as many elements; axes of length 1 come and go by a subscript."""
        while isinstance(tensor.made, Reshaped) or _only_ones(tensor):
            (tensor,) = tensor.operands
        if shape == tensor.shape:
            return tensor
        if tensor.number is not None:
            return self.grown(tensor, shape)
        keys = _ones(tensor.shape, shape)
        made = Reshaped() if keys is None else Cut(keys)
        return self.make(made, [tensor], shape, tensor.truth)

    def cut(self, tensor: Tensor, keys: Sequence[Key]) -> Tensor:
        """A subscript; steps may be below 0."""
        shape: list[int] = []
        plain: list[tuple[Any, ...]] = []
        backwards: list[int] = []
        lengths, single = iter(tensor.shape), True
        for key in keys:
            if key is None:
                shape.append(1)
                plain.append(())
                continue
            length = next(lengths)
            if isinstance(key, int):
                plain.append((key,))
                single = single and length == 1
                continue
            if key == ALL or length == BATCH:
                shape.append(length)
                plain.append(_EVERY)
                continue
            places = range(length)[key]
            if places.step < 0:
                backwards.append(len(shape))
                places = places[::-1]
            shape.append(len(places))
            plain.append(_slice(places, length))
        shape += lengths
        if single and not backwards and all(len(key) < 2 or key == _EVERY for key in plain):
            return self.reshaped(tensor, tuple(shape))
        if any(key != _EVERY for key in plain):
            tensor = self.make(_cut(plain), [tensor], tuple(shape), tensor.truth)
        if backwards:
            tensor = self.make(Flipped(tuple(backwards)), [tensor], tensor.shape, tensor.truth)
        return tensor

    def picked(self, tensor: Tensor, axis: int, places: Tensor) -> Tensor:
        """Elements along an axis, whose place the axes of `places` take."""
        shape = (*tensor.shape[:axis], *places.shape, *tensor.shape[axis + 1 :])
        return self.make(Picked(axis), [tensor, places], shape, tensor.truth)

    def reduced(self, tensor: Tensor, op: Op, axes: Sequence[int]) -> Tensor:
        """The sum, the largest or the smallest over axes."""
        if not axes:
            return tensor
        if op is ADD and (known := self._known_sum(tensor, axes)) is not None:
            return known
        shape = tuple([n for k, n in enumerate(tensor.shape) if k not in axes])
        return self.make(Reduced(op, tuple(sorted(axes))), [self.as_number(tensor)], shape)

    def product(self, one: Tensor, other: Tensor) -> Tensor:
        """`one @ other`, of which the first may have any axes in front."""
        a, b = self.as_number(one), self.as_number(other)
        shape = (*a.shape[:-1], *b.shape[-1:]) if len(b.shape) > 1 else a.shape[:-1]
        return self.make(Product(), [a, b], shape)

    def contraction(self, letters: str, one: Tensor, other: Tensor) -> Tensor:
        """An `einsum` of two."""
        a, b = self.as_number(one), self.as_number(other)
        inside, _, outside = letters.partition("->")
        first, second = inside.split(",")
        lengths = dict(zip(first + second, a.shape + b.shape, strict=True))
        shape = tuple([lengths[letter] for letter in outside])
        return self.make(Contraction(letters), [a, b], shape)

    def grown(self, tensor: Tensor, shape: Shape) -> Tensor:
        """Repeated to a shape."""
        if tensor.shape == shape:
            return tensor
        return self.make(Grown(), [tensor], shape, tensor.truth)

    def joined(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
        """One behind the other; of none there are no elements."""
        if not tensors:
            return self.grown(self.number(0.0), (0,))
        if len(tensors) == 1:
            return tensors[0]
        given = [self.as_number(tensor) for tensor in tensors]
        shape = list(given[0].shape)
        shape[axis] = sum(tensor.shape[axis] for tensor in given)
        return self.make(Joined(axis), given, tuple(shape))

    def chosen(self, mask: Tensor, tensor: Tensor, otherwise: float = 0.0) -> Tensor:
        """The tensor where the mask holds, a number elsewhere."""
        return self.pointwise(WHERE, [mask, tensor, self.number(otherwise)])

    def added(self, total: Tensor | None, sign: int, term: Tensor) -> Tensor:
        """A term added or subtracted."""
        if total is None:
            return term if sign > 0 else self.pointwise(NEG, [term])
        return self.pointwise(ADD if sign > 0 else SUB, [total, term])


def _cut(keys: Sequence[tuple[Any, ...]]) -> Cut:
    """A subscript, without what it ends with that says nothing."""
    count = len(keys)
    while count and keys[count - 1] == _EVERY:
        count -= 1
    return Cut(tuple(keys[:count]))


def _only_ones(tensor: Tensor) -> bool:
    """Whether a subscript only adds and drops axes of length 1."""
    if not isinstance(tensor.made, Cut):
        return False
    (operand,) = tensor.operands
    return _ones(operand.shape, tensor.shape) == tensor.made.keys


def _ones(old: Shape, new: Shape) -> tuple[tuple[Any, ...], ...] | None:
    """The subscript that adds and drops axes of length 1, None where shapes differ otherwise.

    >>> _ones((4, 1), (1, 4)), _ones((4,), (2, 2))
    (((), (None, None, None), (0,)), None)
    """
    keys: list[tuple[Any, ...]] = []
    i = 0
    for length in new:
        while i < len(old) and old[i] == 1 != length:
            keys.append((0,))
            i += 1
        if i < len(old) and old[i] == length:
            keys.append(_EVERY)
            i += 1
        elif length == 1:
            keys.append(())
        else:
            return None
    if any(length != 1 for length in old[i:]):
        return None
    keys += [(0,)] * (len(old) - i)
    return _cut(keys).keys


def _slice(places: range, length: int) -> tuple[int | None, int | None, int | None]:
    """The slice of places that count upwards, without what goes without saying."""
    first, last = places[0], places[-1]
    step = places.step if len(places) > 1 else 1
    start = None if first == 0 else first
    stop = None if last + step >= length else last + 1
    return start, stop, None if step == 1 else step
