"""What learners get wrong, each carried out beside the right way, with the first wrong step named.

The wrong numbers are computed by the wrong method. Where a mistake makes no difference to the
expression at hand, a small one where it does is shown instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..errors import UnknownNameError
from .comparison import Mistake
from .lesson import Lesson
from .sweeps import Subject, subject_of
from .wrong_sweeps import assign, dead_relu, local, order, square
from .wrong_use import overflow, rate, saturation, twice, uncomputed, zero

__all__ = ["MISTAKES", "Mistake", "mistake", "titles"]


def mistake(w: Lesson, name: str) -> Mistake:
    """The mistake of this name on the expression of `w`, or on a small one where it shows."""
    if name not in MISTAKES:
        raise UnknownNameError.of("mistake", name, MISTAKES)
    return MISTAKES[name](subject_of(w))


MISTAKES: Final[dict[str, Callable[[Subject | None], Mistake]]] = {
    "assign": assign,
    "order": order,
    "twice": twice,
    "zero": zero,
    "square": square,
    "local": local,
    "uncomputed": uncomputed,
    "saturation": saturation,
    "overflow": overflow,
    "dead-relu": dead_relu,
    "rate": rate,
}
"""Every mistake by name."""


def titles() -> list[tuple[str, str]]:
    """The name and the first sentence of each mistake."""
    return [(name, (build.__doc__ or "").strip()) for name, build in MISTAKES.items()]
