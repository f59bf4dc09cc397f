"""Rewrites of functions of statements, each kept where a call is estimated to become cheaper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ...arrays.statements import COMPUTED, LEAF, Array, Statement
from ...ops.shapes import BATCH
from .biases import with_biases
from .constants import known
from .function import ArrayFunction, copied_by
from .outputs import freed, joined
from .quotients import divided_late
from .scaling import scaled
from .statementcost import microseconds
from .steps import all_at_once
from .sums import flattened
from .windows import unfolded

Rewrite = Callable[[ArrayFunction], ArrayFunction]
"""From a function to one that computes the same up to rounding, or to itself."""


@dataclass(frozen=True)
class Rewriting:
    """What a rewrite did: its name, the statements and estimated microseconds before and after."""

    name: str
    statements: tuple[int, int]
    microseconds: tuple[float, float]
    kept: bool

    def __str__(self) -> str:
        counts = f"{self.name}: {self.statements[0]:,} -> {self.statements[1]:,} statements"
        times = "; about {:.3g} µs -> {:.3g} µs".format(*self.microseconds)
        return counts + times + ("" if self.kept else ", so it was left out")


NEGLIGIBLE: Final = 1e-9
"""By how many microseconds an estimate must fall to be a lower one."""


def rewritten(function: ArrayFunction) -> Iterator[ArrayFunction]:
    """The function after each rewrite that changes it, undone where a call gets no cheaper.

    What each rewrite did is in `passes`.
    """
    cost = microseconds(function)
    for name, rewrite in REWRITES:
        after = rewrite(function)
        if after is function:
            continue
        own = microseconds(after)
        kept = own < cost - NEGLIGIBLE
        counts = len(function.instructions), len(after.instructions)
        record = Rewriting(name, counts, (cost, own), kept)
        passes = (*function.passes, record)
        if kept:
            function, cost = after, own
        function = replace(function, passes=passes)
        yield function


def turned(function: ArrayFunction) -> ArrayFunction:
    """Arrays of a row per sample as arrays of a column per sample; itself where others vary too."""
    program = function.program
    varying = [a for a in program.arrays.values() if a.kind == COMPUTED and a.shape[:1] == (BATCH,)]
    if any(len(array.shape) > 2 for array in varying):
        return function
    fixed = {output.array for output in program.outputs}
    for statement in program.statements:
        array = program.arrays[statement.array]
        copied = array.home is not None and _copies_leaf(statement, program.arrays)
        if copied or statement.place is not None:
            whole = array.name if array.home is None else array.home.vector
            fixed.update((whole, *[part.name for part in program.parts(whole)]))
    names = {array.name for array in varying if len(array.shape) == 2}
    tables = names - fixed - function.columns
    return replace(function, columns=function.columns | tables) if tables else function


def _copies_leaf(statement: Statement, arrays: Mapping[str, Array]) -> bool:
    """Whether a statement copies data, which lie in rows."""
    copied = copied_by(statement)
    return copied is not None and arrays[copied].kind == LEAF


def _folded(function: ArrayFunction) -> ArrayFunction:
    """Biases in products: of all layers, or of those that read no data, whichever is cheaper."""
    found = [with_biases(function, data) for data in (True, False)]
    return min((turned(f) for f in found if f is not function), key=microseconds, default=function)


REWRITES: Final[tuple[tuple[str, Rewrite], ...]] = (
    ("constants", known),
    ("quotients", divided_late),
    ("sums", flattened),
    ("steps", all_at_once),
    ("windows", unfolded),
    ("factors", scaled),
    ("outputs", joined),
    ("biases", _folded),
    ("vectors", freed),
)
"""What is tried, in this order, by name."""
