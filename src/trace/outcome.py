"""What a traced function gives: Values whose step of the chain rule is the compiled one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from ..graph.own import OWN
from ..graph.value import Value
from .moving import add_shares, listed

Slopes = Sequence[tuple[Sequence[Value], Any]]
"""Values, group by group, with the derivative by each: a list or a NumPy vector a group."""


class Outcome(Value, internal=True):
    """A number that a compiled function computed, together with its derivatives."""

    __slots__ = ()

    @classmethod
    def of(cls, data: float, name: str, slopes: Slopes, computed: Sequence[Value]) -> Value:
        """A new one.

        name        the function's, which is shown in drawings
        slopes      the Values it is differentiated by, and the derivatives
        computed    those among them that were themselves computed
        """
        return _filled(cls, data, tuple(computed) or (slopes[0][0][0],), (name, slopes))

    @property
    def operands(self) -> tuple[Value, ...]:
        """The Values it is differentiated by."""
        return tuple([value for values, _ in self._b[1] for value in values])

    @property
    def statics(self) -> tuple[Any, ...]:
        """The function's name and the derivatives."""
        name, slopes = self._b
        return name, tuple([slope for _, part in slopes for slope in listed(part)])

    def _pull(self) -> None:
        for values, part in self._b[1]:
            add_shares(values, part, self._grad)


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
        _fill(self, 0.0, tuple(computed) or (values[0],), (name, ()))
        self._values = values
        self._pulled = pulled
        self.shares = [0.0] * outputs

    @property
    def operands(self) -> tuple[Value, ...]:
        """The Values that the outputs are differentiated by."""
        return tuple(self._values)

    def _pull(self) -> None:
        shares, self.shares = self.shares, [0.0] * len(self.shares)
        for values, part in self._pulled(shares):
            add_shares(values, part, 1)


class Part(Value, internal=True):
    """One of several outputs of a compiled function."""

    __slots__ = ()

    @classmethod
    def of(cls, data: float, name: str, bundle: Bundle, place: int) -> Value:
        """The output at that place."""
        return _filled(cls, data, (bundle,), (f"{name}[{place}]", place))

    @property
    def statics(self) -> tuple[Any, ...]:
        """The name; derivatives are the bundle's."""
        return self._b[0], ()

    def _pull(self) -> None:
        self._a[0].shares[self._b[1]] = self._grad


@lru_cache(maxsize=256)
def of_kind(base: type[Outcome] | type[Part], kind: Any) -> Any:
    """The class of outputs that are of a class of the user's as well, with its methods.

    >>> class Mine(Value):
    ...     def doubled(self): return self * 2
    >>> out = of_kind(Outcome, Mine).of(3.0, "f", [([Value(1.0)], [1.0])], ())
    >>> isinstance(out, Mine), out.doubled().data, type(out.doubled()) is Mine
    (True, 6.0, True)
    """
    if kind is Value:
        return base
    own = {"_backward": vars(Value)["_backward"], "_overrides": False, "_result_kind": kind}
    own |= {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__slots__": ()}
    made = type(kind)(kind.__name__, (kind, base), own)
    made._overrides, made._result_kind = False, kind
    return made


def _filled(
    kind: type[Value], data: float, reads: tuple[Value, ...], statics: tuple[Any, ...]
) -> Value:
    value = object.__new__(kind)
    _fill(value, data, reads, statics)
    return value


def _fill(value: Value, data: float, reads: tuple[Value, ...], statics: tuple[Any, ...]) -> None:
    """What every Value has. The sweep follows `reads`, which need hold no more leaves than one."""
    value._data = data
    value._grad = 0.0
    value.label = ""
    value.op = OWN
    value._a = reads
    value._b = statics
