"""Calling compiled functions, to look at the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .compiled import Compiled
from .program import map_nested
from .target import find_target


def called(f: Compiled, arguments: Sequence[Any]) -> Any:
    """What a function gives, without warnings; as NumPy's arrays where an engine has its own."""
    import numpy

    target = find_target(f.recipe.options.target)
    with numpy.errstate(all="ignore"), target.computing():
        found = f(*arguments)
        return map_nested(found, numpy.asarray) if target.engine else found
