"""How numbers are written in formulas."""

from __future__ import annotations

import math


def number_text(number: float) -> str:
    """A number as a formula shows it: whole ones without a point, others exactly.

    >>> number_text(2.0), number_text(0.1), number_text(-3.0)
    ('2', '0.1', '-3')
    """
    number = float(number)
    negative_zero = number == 0 and math.copysign(1.0, number) < 0
    if number.is_integer() and abs(number) < 1e16 and not negative_zero:
        return str(int(number))
    return repr(number)
