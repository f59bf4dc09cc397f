"""Rewrites of functions of statements, each kept where a call is estimated to become cheaper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

from ...arrays.statements import COMPUTED, LEAF, Array, Statement
from ...ops.reads import Reduce
from ...ops.shapes import BATCH
from .biases import with_biases
from .constants import known
from .flow import copied_by, operands_of
from .function import ArrayFunction
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
    """Arrays that lie sample by sample as arrays with the samples last in memory.

    What is one number for each sample then lines up by itself, and loops run along the samples.
    A function that multiplies a matrix of each sample by another of it is left as it is.
    """
    program = function.program
    varying = [a for a in program.arrays.values() if a.kind == COMPUTED and a.shape[:1] == (BATCH,)]
    if any(map(_multiplies_matrices, program.statements)):
        return function
    fixed = {output.array for output in program.outputs}
    for statement in program.statements:
        array = program.arrays[statement.array]
        copied = array.home is not None and _copies_leaf(statement, program.arrays)
        if copied or not statement.axes or statement.axes[0].length != BATCH:
            whole = array.name if array.home is None else array.home.vector
            fixed.update((whole, *[part.name for part in program.parts(whole)]))
    names = {array.name for array in varying if len(array.shape) > 1}
    tables = names - fixed - function.columns
    return replace(function, columns=function.columns | tables) if tables else function


def _multiplies_matrices(statement: Statement) -> bool:
    """Whether matrices of a sample are multiplied, or a matrix and a vector, for each by itself."""
    value = statement.value
    if not isinstance(value, Reduce):
        return False
    (sample, *_) = [axis.name for axis in statement.axes if axis.length == BATCH] or [""]
    for term in value.terms:
        over = {axis.name for axis in term.over}
        axes = [{a for i in read.index for a in i.axes} for read in operands_of(term)]
        own = [found for found in axes if sample in found]
        if any(a & b & over and a - b - over | b - a - over for a, b in combinations(own, 2)):
            return True
    return False


def _copies_leaf(statement: Statement, arrays: Mapping[str, Array]) -> bool:
    """Whether a statement copies data, which lie in rows."""
    copied = copied_by(statement)
    return copied is not None and arrays[copied].kind == LEAF


def _folded(function: ArrayFunction) -> ArrayFunction:
    """Biases in products: of all layers, or of those that read no data, whichever is cheaper."""
    found = [with_biases(function, data) for data in (True, False)]
    return min((turned(f) for f in found if f is not function), key=microseconds, default=function)


def _unfolded(function: ArrayFunction) -> ArrayFunction:
    """Windows as arrays, with the samples first or last, whichever is cheaper."""
    found = [(f, unfolded(f)) for f in (function, turned(function))]
    return min([to for f, to in found if to is not f], key=microseconds, default=function)


REWRITES: Final[tuple[tuple[str, Rewrite], ...]] = (
    ("constants", known),
    ("quotients", divided_late),
    ("sums", flattened),
    ("steps", all_at_once),
    ("windows", _unfolded),
    ("samples last", turned),
    ("factors", scaled),
    ("outputs", joined),
    ("biases", _folded),
    ("vectors", freed),
)
"""What is tried, in this order, by name."""
