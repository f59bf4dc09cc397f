"""How operations are written in Python, and how often each value of a program is read there."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from typing import Any, Final, NamedTuple

from ...ops.record import ATOM, Notation, Op
from ..program import Program, flatten

FAST, CAREFUL = "python", "python-ieee"

_OTHERWISE: Final = {"numpy": "numpy"}
"""In which notation operations are written that lack one in a language, where not in Python's."""

_SLOT: Final = re.compile(r"\{(\d+)\}")


class Form(NamedTuple):
    """How an operation is written, its static arguments filled in.

    template   with {0}, {1} and so on for the operands
    pattern    the same for `%`, which is faster; None where operands are repeated or out of order
    binds      how tightly the whole binds
    slots      how tightly each operand must bind to stand without parentheses
    repeats    how often each operand is written
    """

    template: str
    pattern: str | None
    binds: int
    slots: tuple[int, ...]
    repeats: tuple[int, ...]

    def fill(self, operands: list[str]) -> str:
        """The expression with these operands.

        >>> from wengert.ops.scalar import MUL
        >>> form_of(MUL, (), FAST).fill(["a", "b"])
        'a*b'
        """
        if self.pattern is None:
            return self.template.format(*operands)
        return self.pattern % tuple(operands)

    def inside(self, function: str) -> Form:
        """The form of a call of `function` with what this one writes."""
        pattern = self.pattern and f"{function}({self.pattern})"
        template = f"{function}({self.template})"
        return self._replace(template=template, pattern=pattern, binds=ATOM)


def form_of(op: Op, statics: tuple[float, ...], language: str) -> Form:
    """How the operation is written with these static arguments."""
    notation = spelling_of(op, language, statics)
    template = notation.template
    for name, value in zip(op.statics, statics, strict=True):
        template = template.replace(f"{{{name}}}", repr(float(value)))
    written = _SLOT.findall(template)
    repeats = tuple(written.count(str(i)) for i in range(op.arity))
    in_order = written == [str(i) for i in range(op.arity)] and "{{" not in template
    pattern = _SLOT.sub("%s", template.replace("%", "%%")) if in_order else None
    return Form(template, pattern, notation.binds, notation.slots, repeats)


def spelling_of(op: Op, language: str, statics: tuple[float, ...]) -> Notation:
    """How the operation is written in Python; a `SpellingError` when its record does not say."""
    return op.spelled(language, statics) or op.spelling(_OTHERWISE.get(language, FAST), statics)


def repeats(op: Op, language: str, statics: tuple[float, ...]) -> list[int]:
    """How often the spelling of an operation names each of its operands."""
    template = spelling_of(op, language, statics).template
    return [template.count(f"{{{i}}}") for i in range(op.arity)]


def _may_repeat(op: Op, language: str) -> bool:
    """Whether an operand may be written other than once."""
    form = op.notation.get(language) or op.notation.get(FAST)
    return not isinstance(form, Notation) or set(repeats(op, language, ())) != {1}


def count_reads(program: Program, language: str) -> Counter[Any]:
    """How often each value is read, outputs aside.

    Operands that their operation's spelling repeats count as often. A value from before the loop
    over the samples counts once more for each reading in it: it is still there for the next sample,
    and must not be computed again.
    """
    reads: Counter[Any] = Counter()
    outside = {instruction.name for instruction in program.once}
    for body in (program.once, program.each, program.after):
        reads.update(chain.from_iterable([i.operands for i in body]))
        uncommon = {op for op in {i.op for i in body} if _may_repeat(op, language)}
        for instruction in body if uncommon else ():
            if instruction.op in uncommon:
                times = repeats(instruction.op, language, instruction.statics)
                for operand, count in zip(instruction.operands, times, strict=True):
                    reads[operand] += count - 1
    if outside:
        for instruction in program.each:
            reads.update(operand for operand in instruction.operands if operand in outside)
    for gather in program.gathers:
        if isinstance(gather.operand, str):
            reads[gather.operand] += 1 + (gather.operand in outside)
    return reads


def output_names(program: Program) -> list[str]:
    """The values that the program answers, as often as it does."""
    return [operand for _, operand in flatten(program.outputs) if isinstance(operand, str)]
