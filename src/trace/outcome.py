"""What a traced function gives: Values whose step of the chain rule is the compiled one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import error, pack
from typing import Any

from ..graph.own import OWN
from ..graph.value import Value

Slopes = Sequence[tuple[Sequence[Value], Any]]
"""Values, group by group, with the derivative by each: a list or a NumPy vector a group."""


class Outcome(Value, internal=True):
    """A number that a compiled function computed, together with its derivatives.

    name        the function's, which is shown in drawings
    slopes      the Values it is differentiated by, and the derivatives
    computed    those among them that were themselves computed
    """

    __slots__ = ("_slopes",)

    def __init__(self, data: float, name: str, slopes: Slopes, computed: Sequence[Value]) -> None:
        _fill(self, data, name, tuple(computed) or (slopes[0][0][0],))
        self._slopes = slopes

    @property
    def operands(self) -> tuple[Value, ...]:
        """The Values it is differentiated by."""
        return tuple([value for values, _ in self._slopes for value in values])

    @property
    def statics(self) -> tuple[Any, ...]:
        """The function's name and the derivatives."""
        return self._b[0], tuple([slope for _, part in self._slopes for slope in listed(part)])

    def _pull(self) -> None:
        add_shares(self._slopes, self._grad)


class Bundle(Value, internal=True):
    """All that a function with several outputs gave, before it is told apart.

    Its gradient is one number for each output, and is pulled back for all of them at once.

    values    the Values that the outputs are differentiated by
    computed  those among them that were themselves computed
    pulled    from a number for each output to the derivatives, times these numbers
    """

    __slots__ = ("_pulled", "_values", "shares")

    def __init__(
        self,
        name: str,
        values: Sequence[Value],
        computed: Sequence[Value],
        outputs: int,
        pulled: Callable[[list[float]], Slopes],
    ) -> None:
        _fill(self, 0.0, name, tuple(computed) or (values[0],))
        self._values = values
        self._pulled = pulled
        self.shares = [0.0] * outputs

    @property
    def operands(self) -> tuple[Value, ...]:
        """The Values that the outputs are differentiated by."""
        return tuple(self._values)

    def _pull(self) -> None:
        shares, self.shares = self.shares, [0.0] * len(self.shares)
        add_shares(self._pulled(shares), 1)


class Part(Value, internal=True):
    """One of several outputs of a compiled function."""

    __slots__ = ("_place",)

    def __init__(self, data: float, name: str, bundle: Bundle, place: int) -> None:
        _fill(self, data, f"{name}[{place}]", (bundle,))
        self._place = place

    def _pull(self) -> None:
        self._a[0].shares[self._place] = self._grad


def _fill(value: Value, data: float, name: str, reads: tuple[Value, ...]) -> None:
    """What every Value has. The sweep follows `reads`, which need hold no more leaves than one."""
    value._data = data
    value._grad = 0.0
    value.label = ""
    value.op = OWN
    value._a = reads
    value._b = (name, ())


def add_shares(slopes: Slopes, ct: float) -> None:
    """Add to the gradient of each value its slope times the cotangent."""
    for values, part in slopes:
        shares = listed(part) if ct == 1 else [ct * slope for slope in listed(part)]
        try:
            for value, share in zip(values, shares, strict=True):
                value._grad += share
        except TypeError:  # None, as some write for 0: what comes before it has been added
            start = [value._grad for value in values].index(None)  # type: ignore[arg-type]
            for value, share in zip(values[start:], shares[start:], strict=True):
                value._grad = (value._grad or 0.0) + share


def vector(numbers: Sequence[float]) -> Any:
    """Floats as an array, read-only; as they are if something else is among them.

    NumPy looks at the type of each, which takes three times as long.

    >>> vector([1.0, 2.0]), vector([1.0, None])
    (array([1., 2.]), [1.0, None])
    """
    import numpy

    try:
        return numpy.frombuffer(pack(f"{len(numbers)}d", *numbers))
    except error:
        return numbers


def listed(part: Any) -> Sequence[float]:
    """Numbers as a list of floats."""
    return part.tolist() if hasattr(part, "tolist") else part  # type: ignore[no-any-return]
