"""What a traced function gives: Values whose step of the chain rule is the compiled one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..graph.own import OWN
from ..graph.value import Value


class Outcome(Value, internal=True):
    """A number that a compiled function computed, together with its derivatives.

    name        the function's, which is shown in drawings
    wrt         the Values it is differentiated by
    slopes      the derivative by each of them
    """

    __slots__ = ("_slopes", "_wrt")

    def __init__(
        self, data: float, name: str, wrt: Sequence[Value], slopes: Sequence[float]
    ) -> None:
        self._data = data
        self._grad = 0.0
        self.label = ""
        self.op = OWN
        # The sweep has to come to what was itself computed; leaves get their share in one go.
        self._a = tuple([value for value in wrt if value._a is not None]) or tuple(wrt[:1])
        self._b = (name, ())
        self._wrt = wrt
        self._slopes = slopes

    @property
    def operands(self) -> tuple[Value, ...]:
        """The Values it is differentiated by."""
        return tuple(self._wrt)

    @property
    def statics(self) -> tuple[Any, ...]:
        """The function's name and the derivatives."""
        return self._b[0], tuple(self._slopes)

    def _pull(self) -> None:
        add_shares(self._wrt, self._slopes, self._grad)


class Bundle(Value, internal=True):
    """All that a function with several outputs gave, before it is told apart.

    Its gradient is one number for each output, and is pulled back for all of them at once.
    """

    __slots__ = ("_pulled", "_wrt", "shares")

    def __init__(
        self,
        name: str,
        wrt: Sequence[Value],
        outputs: int,
        pulled: Callable[[list[float]], Sequence[float]],
    ) -> None:
        self._data = self._grad = 0.0
        self.label = ""
        self.op = OWN
        self._a = tuple([value for value in wrt if value._a is not None]) or tuple(wrt[:1])
        self._b = (name, ())
        self._wrt = wrt
        self._pulled = pulled
        self.shares = [0.0] * outputs

    @property
    def operands(self) -> tuple[Value, ...]:
        """The Values that the outputs are differentiated by."""
        return tuple(self._wrt)

    def _pull(self) -> None:
        shares, self.shares = self.shares, [0.0] * len(self.shares)
        add_shares(self._wrt, self._pulled(shares), 1)


class Part(Value, internal=True):
    """One of several outputs of a compiled function."""

    __slots__ = ("_place",)

    def __init__(self, data: float, name: str, bundle: Bundle, place: int) -> None:
        self._data = data
        self._grad = 0.0
        self.label = ""
        self.op = OWN
        self._a = (bundle,)
        self._b = (f"{name}[{place}]", ())
        self._place = place

    def _pull(self) -> None:
        self._a[0].shares[self._place] = self._grad


def add_shares(values: Sequence[Value], slopes: Sequence[float], ct: float) -> None:
    """Add to the gradient of each value its slope times the cotangent."""
    if ct != 1:
        slopes = [ct * slope for slope in slopes]
    done = 0
    try:
        for value, slope in zip(values, slopes, strict=True):
            value._grad += slope
            done += 1
    except TypeError:  # None, as some write for 0
        for value, slope in zip(values[done:], slopes[done:], strict=True):
            value._grad = (value._grad or 0.0) + slope
