"""What settings may be: ranges of numbers, checked when a setting is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Final

from ..errors import SettingError, shorten


@dataclass(frozen=True)
class Range:
    """Numbers that a setting may be, and how errors call them."""

    accepts: Callable[[float], bool]
    expected: str

    def check(self, number: Any, name: str) -> None:
        """A `SettingError` unless `number` is one of them."""
        if not is_number(number) or not self.accepts(float(number)):
            raise SettingError(f"{name} is {shorten(number)}; expected {self.expected}")


POSITIVE: Final = Range(lambda x: 0 < x < math.inf, "a finite number above 0")
NOT_NEGATIVE: Final = Range(lambda x: 0 <= x < math.inf, "a finite number, 0 or more")
FRACTION: Final = Range(lambda x: 0 <= x < 1, "a number from 0 up to, but not including, 1")


def check_settings(thing: Any, ranges: Mapping[str, Range]) -> None:
    """A `SettingError` that names the first field of `ranges` which is out of its range."""
    for name, accepted in ranges.items():
        if hasattr(thing, name):
            accepted.check(getattr(thing, name), f"{type(thing).__name__}: {name}")


def is_number(thing: Any) -> bool:
    """Whether `thing` is a real number, and no truth value.

    >>> is_number(1), is_number(True), is_number("1")
    (True, False, False)
    """
    return isinstance(thing, Real) and not isinstance(thing, bool)
