"""Where an array is read in the forward pass, and what a reading multiplies what passes back by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ...arrays.indexnotation import Writer
from ...graph.formula import Part
from ...ops.reads import Affine, Apply, Operand, Read, Value, renamed, summed_over
from ...ops.record import PRODUCT
from ...ops.scalar import ADD, MINIMUM
from ..data import Formula
from ..notation import Written, local_formula
from .program import LatexNames, Program, TextNames

Locals = tuple[Formula, ...]
"""The derivatives along the way from a statement to what it reads."""

_ONE = "1"


@dataclass(frozen=True)
class Reading:
    """One place where an array is read.

    element  what is read, with its indices; `by` what reads it
    local    the derivative of that by this element, as if it were read nowhere else
    over     the axes at each point of which the same element is read
    every    whether all elements are read, not some of them
    times    how many of a statement's readings are this one, as the two of x·x
    """

    element: Formula
    by: Formula
    local: Formula
    over: tuple[str, ...]
    every: bool
    times: int = 1


def readings(program: Program, array: str) -> list[Reading]:
    """The readings of an array by the statements of the forward pass."""
    found: list[Reading] = []
    for statement in program.statements:
        if program.is_backward(statement.array):
            continue
        target = Read(statement.array, tuple(statement.target))
        axes = [axis.name for axis in statement.axes]
        for read, local, over in _Reads(program, target).of(statement.value, (), tuple(axes)):
            if read.array == array:
                own = {name for index in read.index for name in index.axes}
                found.append(
                    Reading(
                        _element(program, read),
                        _element(program, target),
                        _product(local),
                        tuple(axis for axis in over if axis not in own),
                        _every(program, read),
                    )
                )
    return [replace(reading, times=n) for reading, n in Counter(found).items()]


def _every(program: Program, read: Read) -> bool:
    """Whether all elements are read: each index an axis of its own, but along a length of 1."""
    lengths = program.whole.arrays[read.array].shape
    axes = [index.axis for index, length in zip(read.index, lengths, strict=True) if length > 1]
    return None not in axes and len({*axes}) == len(axes)


def _element(program: Program, read: Read) -> Formula:
    return Formula(TextNames(program).read(read), LatexNames(program).read(read))


class _Reads:
    def __init__(self, program: Program, target: Read) -> None:
        self.program, self.target = program, target
        self.writers: tuple[Writer, Writer] = TextNames(program), LatexNames(program)

    def of(
        self, value: Value, local: Locals, axes: tuple[str, ...]
    ) -> Iterator[tuple[Read, Locals, tuple[str, ...]]]:
        """Each read of a value, with the derivatives on the way to it, and all axes around it."""
        if isinstance(value, Apply):
            for position, operand in enumerate(value.operands):
                yield from self._at(
                    operand, (*local, self._applied(value, position, bool(local))), axes
                )
            return
        for term in value.terms:
            inner = (*axes, *(axis.name for axis in term.over))
            for position, factor in enumerate(term.factors):
                others = [f for i, f in enumerate(term.factors) if i != position]
                if value.op is ADD:
                    slope = self._others(others, term.count)
                else:
                    which = f"[it is the {'smallest' if value.op is MINIMUM else 'largest'}]"
                    slope = Formula(which, rf"\text{{{which}}}")
                yield from self._at(factor, (*local, slope), inner)

    def _at(
        self, operand: Operand, local: Locals, axes: tuple[str, ...]
    ) -> Iterator[tuple[Read, Locals, tuple[str, ...]]]:
        if not isinstance(operand, Read):
            return
        inlined = self.program.inlined.get(operand.array)
        if inlined is None:
            yield operand, local, axes
            return
        own = [index.axis or "" for index in operand.index if isinstance(index, Affine)]
        names = dict(zip(inlined.axes, own, strict=True))
        for axis in summed_over(inlined.value):
            names[axis] = axis
            while names[axis] in axes:
                names[axis] += "'"
        yield from self.of(renamed(inlined.value, names), local, axes)

    def _applied(self, value: Apply, position: int, nested: bool) -> Formula:
        operands = [self._written(operand) for operand in value.operands]
        text, latex = (
            writer.formula(value) if nested else writer.operand(self.target)
            for writer in self.writers
        )
        out = Written(Part(text.text, text.binds), Part(latex.text, latex.binds))
        return local_formula(value.op, value.statics, position, operands, out)(None).formula

    def _written(self, operand: Operand) -> Written:
        text, latex = (writer.operand(operand) for writer in self.writers)
        return Written(Part(text.text, text.binds), Part(latex.text, latex.binds))

    def _others(self, factors: Sequence[Operand], count: int) -> Formula:
        parts = [self._written(factor) for factor in factors]
        texts = [_bracketed(part.plain, "({})") for part in parts]
        latex = [_bracketed(part.tex, r"\left({}\right)") for part in parts]
        if abs(count) != 1 or not parts:
            texts.insert(0, str(abs(count)))
            latex.insert(0, str(abs(count)))
        sign = "-" * (count < 0)
        return Formula(sign + "·".join(texts), sign + r" \, ".join(latex))


def _bracketed(part: Part, around: str) -> str:
    return part.written if part.binds >= PRODUCT else around.replace("{}", part.written)


def _product(parts: Sequence[Formula]) -> Formula:
    """The derivatives on a way multiplied, without those that are 1."""
    kept = [part for part in parts if part.text != _ONE]
    if len(kept) == 1:
        return kept[0]
    if not kept:
        return Formula(_ONE, _ONE)
    compound = [" " in part.text or part.text.startswith("-") for part in kept]
    return Formula(
        "·".join(f"({p.text})" if c else p.text for p, c in zip(kept, compound, strict=True)),
        r" \, ".join(
            rf"\left({p.latex}\right)" if c else p.latex
            for p, c in zip(kept, compound, strict=True)
        ),
    )
