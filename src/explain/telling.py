"""Saying what takes time while a walk-through is made."""

from __future__ import annotations

from typing import Any, Final

from ..terminal import WIDE, columns, shows_progress
from .derivation import Derivation
from .words import counted

_LONG: Final = 40
"""From so many operations on it is said without being asked for."""


class Telling:
    """Called with what is being done, shows that on one line gone in the end; or nothing."""

    def __init__(self, progress: bool | None, d: Derivation) -> None:
        operations = sum(1 for node in d.live if d.computed(node))
        self._of = f" ({counted(operations, 'operation')})" if columns() >= WIDE else ""
        self._asked = progress is True
        self._long = progress is None and operations >= _LONG
        self._bar: Any = None

    def __enter__(self) -> Telling:
        if self._asked or (self._long and shows_progress()):
            from tqdm.auto import tqdm

            self._bar = tqdm(bar_format="{desc} {elapsed}", leave=False)
        return self

    def __call__(self, what: str) -> None:
        """This is being done now."""
        if self._bar is not None:
            self._bar.set_description_str(f"{what}{self._of}")

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
