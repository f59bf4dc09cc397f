"""How an engine writes what NumPy writes otherwise, and what an operation is written as in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...errors import SpellingError
from ...ops.record import Notation, Op

_NUMPY = re.compile(r"\bnp\.(\w+)")


@dataclass(frozen=True)
class Dialect:
    """The words of an engine.

    target     its name, under which records of operations have their spelling
    module     what its module of array functions is called in the code
    imports    the lines that the code begins with
    decorator  a line above the function
    cast       a method that gives an array another type; `turn` one that orders its axes
    axis       the name of the argument that says along which axes
    largest, smallest  the methods that find them
    join       the function that joins arrays
    constants  the module that makes constants; `bring` is how they are brought to where the
               arguments are, if they have to be
    boxed      whether functions want arrays, and take no plain numbers
    has        whether the module has a function: asked where an operation has no spelling for it
    """

    target: str
    module: str
    imports: tuple[str, ...]
    decorator: str = ""
    cast: str = "astype"
    turn: str = "transpose"
    axis: str = "axis"
    largest: str = "max"
    smallest: str = "min"
    join: str = "concatenate"
    constants: str = "np"
    bring: str = ""
    boxed: bool = False
    has: Callable[[str], bool] = lambda name: True

    def spelling(self, op: Op, statics: Sequence[float]) -> Notation:
        """How an operation is written: as its record says, or as NumPy writes it, in these words.

        A `SpellingError` names the line that the record lacks.
        """
        own = op.spelled(self.target, statics)
        if own is not None:
            return own
        form = op.spelled("numpy", statics)
        if form is None or not all(map(self.has, _NUMPY.findall(form.template))):
            raise op.unspelled(self.target)
        return Notation(self.translated(form.template), form.binds, form.slots, None, form.define)

    def translated(self, text: str) -> str:
        """NumPy's text with the engine's functions."""
        return _NUMPY.sub(rf"{self.module}.\1", text)


def definitions_in(dialect: Dialect, texts: Sequence[str]) -> list[str]:
    """The functions that notations carry, in the engine's words.

    What they call and the engine lacks is a `SpellingError`.
    """
    for name in [name for text in texts for name in _NUMPY.findall(text)]:
        if not dialect.has(name):
            raise SpellingError(
                f"a function that generated code is to carry calls np.{name}, which "
                f"{dialect.module} lacks; give the operation's record a notation "
                f'"{dialect.target}"'
            )
    return list(map(dialect.translated, texts))
