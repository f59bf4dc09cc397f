"""Seeds: where the random numbers of a first network and of shuffled batches come from."""

from __future__ import annotations

import random
from numbers import Integral

from ..errors import SettingError, kind_of, shorten

Seed = int | random.Random | None
"""A whole number, a generator that goes on from where it is, or None for Python's own `random`."""


def generator(seed: Seed) -> random.Random | None:
    """The generator that a seed means; None stays None, for the functions of Python's `random`.

    Anything else, NumPy's generators included, is a `SettingError`.

    >>> generator(0).random() == random.Random(0).random(), generator(None)
    (True, None)
    """
    if seed is None or isinstance(seed, random.Random):
        return seed
    if isinstance(seed, Integral):
        return random.Random(int(seed))
    raise SettingError(
        f"seed is {shorten(seed)}, {kind_of(seed)}; "
        "expected a whole number, a random.Random or None"
    )
