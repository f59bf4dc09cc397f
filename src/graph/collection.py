"""Python's cyclic garbage collector, and when it is not wanted."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collection() -> Iterator[None]:
    """While this lasts, the cyclic garbage collector rests; afterwards it is as it was before.

    A transform makes millions of tuples, all of which stay, and the collector goes through them
    again and again as their number grows: a tenth of the time at a million nodes.

    >>> with paused_collection():
    ...     gc.isenabled()
    False
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
