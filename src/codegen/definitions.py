"""What generated code carries with it: the functions that spellings call and a language lacks."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

from ..errors import SpellingError, shorten
from ..ops.record import Notation


def definitions(forms: Iterable[Notation]) -> list[str]:
    """The texts that notations want defined before them, each once, in order of text.

    Of a function the docstring is cut to its first line; marks for the type checker are left out.
    """
    wanted = {form.define for form in forms if form.define is not None}
    return sorted(_definition(thing) for thing in wanted)


def _definition(thing: Callable[..., Any] | str) -> str:
    if isinstance(thing, str):
        return textwrap.dedent(thing).strip()
    try:
        code = textwrap.dedent(inspect.getsource(thing)).strip()
    except (OSError, TypeError):
        code = ""
    if not code.startswith("def "):
        raise SpellingError(
            f"the text of {shorten(thing)}, which generated code is to carry, is not found; "
            "expected a function made by def in a file; else give define= the text itself"
        )
    code = re.sub(r"  # type: ignore\[[\w-]+\]", "", code)
    return re.sub(r'"""([^\n]*)\n.*?"""', r'"""\1"""', code, flags=re.DOTALL)
