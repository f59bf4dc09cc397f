"""Runs a program in the page: `wg` and `show` are there, and errors are printed."""

from __future__ import annotations

import math
import platform
import sys
import traceback
from collections.abc import Callable
from typing import Any

import small_numpy

sys.modules["numpy"] = small_numpy  # type: ignore[assignment]  # NumPy has no wheel for WebAssembly

import wengert as wg  # noqa: E402
from wengert.draw import picture  # noqa: E402
from wengert.train import choice  # noqa: E402

choice.SMALL = math.inf  # type: ignore[misc]  # without NumPy no network is faster as arrays

Shown = Callable[[str, str], None]
"""Shows text of a kind, "html" or "svg"."""

Lay = Callable[[str, str, str], str]
"""The picture of DOT source, by an engine, in a format."""


def begin(shown: Shown, lay: Lay) -> Callable[[str], bool]:
    """A function that runs a program and says whether it failed."""

    def layout(engine: str, format: str, source: bytes, quiet: bool = False, **_: Any) -> bytes:
        return lay(engine, format, source.decode()).encode()

    picture._layout = layout

    def show(thing: Any) -> None:
        """Show a walk-through or a picture below the program; print anything else."""
        if hasattr(thing, "html"):
            shown("html", thing.html())
        elif hasattr(thing, "pipe"):
            shown("svg", thing.pipe(format="svg", encoding="utf-8"))
        else:
            print(thing)

    def run(program: str) -> bool:
        try:
            exec(
                compile(program, "<program>", "exec"),
                {"__name__": "__main__", "wg": wg, "show": show},
            )
        except BaseException:
            print(traceback.format_exc())
            return True
        return False

    return run


def versions() -> str:
    """What runs here."""
    return f"wengert {wg.__version__} in Python {platform.python_version()}"
