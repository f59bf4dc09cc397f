"""Statements as people write them: index notation in text, LaTeX and HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

from ..graph.formula import filled, name_latex, number_latex
from ..graph.numbertext import number_text
from ..ops.reads import (
    Affine,
    Among,
    Apply,
    AtLeast,
    Axis,
    Condition,
    Equal,
    Index,
    Operand,
    Read,
    Term,
    Value,
    renamed,
    summed_over,
)
from ..ops.record import ATOM, PRODUCT, SUM, UNARY, Notation
from ..ops.scalar import ADD, MAXIMUM
from ..ops.shapes import BATCH, Shape


class Written(NamedTuple):
    """A piece of a formula and how tightly it binds."""

    text: str
    binds: int = ATOM

    def within(self, level: int) -> str:
        """The text for a place that needs `level`, in parentheses where it binds less tightly."""
        return self.text if self.binds >= level else f"({self.text})"


Scope = frozenset[str]
"""The names of axes that mean something where a formula is written."""

NO_AXES: Final[Scope] = frozenset()


class Inlined(NamedTuple):
    """What is written where an array is read, in place of its name: the axes and the value."""

    axes: tuple[str, ...]
    value: Value


class Writer:
    """How the pieces of index notation are written; this one writes text for a terminal.

    inlined  arrays whose formulas are written where they are read
    shapes   of all arrays, of whose names no two are to look alike

    A notation is what stands between the pieces: between factors, in conditions, before and below a
    sum, at the end of a statement that holds on part of its grid, around the name of a function.
    """

    language = "text"
    times, at_most, unequal, among, sum_sign = "·", "≤", "≠", "in", "Σ"
    over, where, function = "{}_{{{}}} {}", "   for {}", "{}"

    def __init__(
        self,
        inlined: Mapping[str, Inlined] | None = None,
        shapes: Mapping[str, Shape] | None = None,
    ) -> None:
        self.inlined, self.shapes = inlined or {}, shapes or {}

    def name(self, name: str) -> str:
        """The name of an array."""
        return name

    def axis(self, name: str) -> str:
        """The name of an axis."""
        return name

    def number(self, number: float) -> str:
        """A number."""
        return number_text(number)

    def element(self, array: str, indices: Sequence[str]) -> str:
        """An element of an array."""
        return f"{self.name(array)}[{', '.join(indices)}]" if indices else self.name(array)

    def template(self, value: Apply) -> Notation:
        """How an operation is written, ready for its operands."""
        return filled(value.op, value.statics, self.language)

    def affine(self, index: Affine) -> Written:
        """An affine map of axes: `2i + a - 1`."""
        parts: list[str] = []
        for name, stride in sorted(index.terms, key=lambda term: term[1] < 0):
            size = "" if abs(stride) == 1 else str(abs(stride))
            parts.append(_signed(f"{size}{self.axis(name)}", stride, bool(parts)))
        if index.offset or not parts:
            parts.append(_signed(str(abs(index.offset)), index.offset, bool(parts)))
        return Written("".join(parts), ATOM if len(parts) == 1 and parts[0][0] != "-" else SUM)

    def index(self, index: Index) -> Written:
        """An index."""
        if isinstance(index, Affine):
            return self.affine(index)
        return Written(self.element(index.name, [self.axis(name) for name in index.axes]))

    def read(self, read: Read) -> str:
        """A read of an element."""
        return self.element(read.array, [self.index(index).text for index in read.index])

    def operand(self, operand: Operand, scope: Scope = NO_AXES) -> Written:
        """A read or a number."""
        if isinstance(operand, Read):
            if operand.array in self.inlined:
                return self.nested(operand, scope)
            return Written(self.read(operand))
        shown = self.number(operand)
        return Written(shown, UNARY if shown.startswith("-") else ATOM)

    def nested(self, read: Read, scope: Scope) -> Written:
        """The formula of an array at the place where it is read."""
        axes, value = self.inlined[read.array]
        indices = [index.axis or "" for index in read.index if isinstance(index, Affine)]
        names = dict(zip(axes, indices, strict=True))
        for axis in summed_over(value):
            name = axis
            while name in scope or name in indices:
                name += "'"
            names[axis] = name
        return self.formula(renamed(value, names), scope.union(indices))

    def condition(self, condition: Condition) -> str:
        """A condition, the axes with a minus sign on the other side."""
        if isinstance(condition, Equal):
            return f"{self.index(condition.left).text} = {self.index(condition.right).text}"
        if isinstance(condition, Among):
            names = ", ".join(map(self.axis, condition.axes))
            names = names if len(condition.axes) == 1 else f"({names})"
            return f"{names} {self.among} {self.name(condition.name)}"
        offset, terms = condition.expression.offset, condition.expression.terms
        above = tuple([(name, stride) for name, stride in terms if stride > 0])
        below = tuple([(name, -stride) for name, stride in terms if stride < 0])
        larger = self.affine(Affine(max(offset, 0), above)).text
        smaller = self.affine(Affine(max(-offset, 0), below)).text
        sign = self.at_most if isinstance(condition, AtLeast) else self.unequal
        return f"{smaller} {sign} {larger}"

    def conditions(self, conditions: Iterable[Condition]) -> str:
        """Conditions that hold together."""
        return ", ".join(map(self.condition, conditions))

    def product(self, factors: Sequence[Operand], count: int, scope: Scope = NO_AXES) -> Written:
        """A product of factors and a count without its sign."""
        parts = [self.operand(factor, scope) for factor in factors]
        if abs(count) != 1 or not parts:
            parts.insert(0, Written(str(abs(count))))
        if len(parts) == 1:
            return parts[0]
        return Written(self.multiplied([part.within(PRODUCT + 1) for part in parts]), PRODUCT)

    def multiplied(self, factors: Sequence[str]) -> str:
        """Factors as a product."""
        return self.times.join(factors)

    def range_of(self, over: Sequence[Axis], domain: Sequence[Condition]) -> str:
        """What stands below a sum: its axes, or the one condition that names them."""
        names = [self.axis(axis.name) for axis in over]
        shown = self.conditions(domain)
        if not domain:
            return ",".join(names)
        if len(domain) == 1 and {axis.name for axis in over} <= set(domain[0].axes):
            return shown
        return f"{','.join(names)}: {shown}"

    def _ends(self, term: Term) -> Iterator[Condition]:
        """Where axes of a sum end that could go on in all that they read."""
        reads = [factor for factor in term.factors if isinstance(factor, Read)]
        for axis in term.over:
            ends = [self._end(read, axis.name) for read in reads if _reads_along(read, axis.name)]
            ends += [0 for condition in term.domain if axis.name in condition.axes]
            if ends and axis.length != BATCH and min(ends) >= axis.length:
                yield AtLeast(Affine(axis.length - 1, ((axis.name, -1),)))

    def _end(self, read: Read, name: str) -> int:
        """The last number of an axis at which an array has the elements; 0 if that is not plain."""
        ends = [0]
        for index, length in zip(read.index, self.shapes.get(read.array, ()), strict=False):
            if name in index.axes:
                if not isinstance(index, Affine) or len(index.terms) > 1 or length == BATCH:
                    return 0
                step, offset = index.terms[0][1], index.offset
                ends.append((length - 1 - offset) // step if step > 0 else offset // -step)
        return min(ends[1:], default=0)

    def term(self, term: Term, sign: str, scope: Scope = NO_AXES) -> Written:
        """A term of a sum, without its sign."""
        inner = scope.union([axis.name for axis in term.over])
        body = self.product(term.factors, term.count, inner)
        if term.over:
            over = self.range_of(term.over, (*term.domain, *self._ends(term)))
            form = "{}_{} {}" if len(over) == 1 and self.language == "text" else self.over
            return Written(form.format(sign, over, body.within(PRODUCT)), PRODUCT)
        if term.domain:
            condition = f"[{self.conditions(term.domain)}]"  # Iverson's: 1 where it holds, else 0
            if term.factors == (1.0,) and abs(term.count) == 1:
                return Written(condition)
            return Written(f"{condition}{self.times}{body.within(PRODUCT)}", PRODUCT)
        return body

    def formula(self, value: Value, scope: Scope = NO_AXES) -> Written:
        """The right side of a statement and how tightly it binds."""
        if isinstance(value, Apply):
            form = self.template(value)
            parts = [
                self.operand(operand, scope).within(slot)
                for operand, slot in zip(value.operands, _slots(form, value), strict=True)
            ]
            return Written(form.template.format(*parts), form.binds)
        if value.op is ADD:
            return self.sum(value.terms, scope)
        name = self.function.format("max" if value.op is MAXIMUM else "min")
        inner = [self.term(term, name, scope) for term in value.terms]
        if len(inner) == 1 and value.terms[0].over:
            return inner[0]
        return Written(f"{name}({', '.join(term.text for term in inner)})")

    def sum(self, terms: Sequence[Term], scope: Scope = NO_AXES) -> Written:
        """Terms with their signs; one that binds no tighter than a sum is put in parentheses."""
        parts: list[str] = []
        for term in terms:
            written = self.term(term, self.sum_sign, scope)
            level = SUM + 1 if term.count < 0 or written.binds < SUM else SUM
            if len(terms) == 1 and term.count == 1:
                return written
            text = written.within(level)
            if parts and term.count > 0 and text.startswith("-"):
                parts.append(f" - {text[1:]}")
            else:
                parts.append(_signed(text, term.count, bool(parts)))
        return Written("".join(parts), SUM)

    def value(self, value: Value, scope: Scope = NO_AXES) -> str:
        """The right side of a statement."""
        return self.formula(value, scope).text

    def statement(
        self, target: str, place: Sequence[Index], value: Value, domain: Sequence[Condition]
    ) -> str:
        """`target[place] = value`, and where."""
        left = self.element(target, [self.index(index).text for index in place])
        scope = frozenset([axis for index in place for axis in index.axes])
        end = self.where.format(self.conditions(domain)) if domain else ""
        return f"{left} = {self.value(value, scope)}{end}"


def _reads_along(read: Read, axis: str) -> bool:
    return any(axis in index.axes for index in read.index)


def _slots(form: Notation, value: Apply) -> tuple[int, ...]:
    return (*form.slots, *[0] * len(value.operands))[: len(value.operands)]


def _signed(text: str, number: float, follows: bool) -> str:
    if follows:
        return f" - {text}" if number < 0 else f" + {text}"
    return f"-{text}" if number < 0 else text


_NUMBERED: Final = re.compile(r"([^_]*)_\{(\d+)\}")
"""The name of an array of a layer, such as w_{0}."""


class LatexWriter(Writer):
    """Index notation in LaTeX, for maths mode."""

    language = "latex"
    times, at_most, unequal, among, sum_sign = r" \, ", r"\le", r"\ne", r"\in", r"\sum"
    where, function = r" \quad \text{{for }} {}", r"\{}"

    def name(self, name: str) -> str:
        """The name of an array: Greek, or upright when it is longer than a letter."""
        return name_latex(name, self.shapes)

    def axis(self, name: str) -> str:
        """The name of an axis, its primes kept: one superscript however many they are."""
        letter = name.rstrip("'")
        primes = r"\prime" * (len(name) - len(letter))
        return f"{letter}^{{{primes}}}" if primes else letter

    def number(self, number: float) -> str:
        """A number."""
        return number_latex(number)

    def multiplied(self, factors: Sequence[str]) -> str:
        """Factors side by side; a number that is not the first has a sign before it."""
        signs = [r" \cdot " if factor[:1].isdigit() else self.times for factor in factors[1:]]
        pairs = zip(["", *signs], factors, strict=True)
        return "".join(sign + factor for sign, factor in pairs)

    def element(self, array: str, indices: Sequence[str]) -> str:
        """An element of an array, its indices below it; a number of the array stands above."""
        name = self.name(array)
        if not indices:
            return name
        numbered = _NUMBERED.fullmatch(name)
        base = rf"{{{numbered[1]}}}^{{({numbered[2]})}}" if numbered else f"{{{name}}}"
        return f"{base}_{{{', '.join(indices)}}}"


class HtmlWriter(Writer):
    """Index notation as HTML, indices as subscripts."""

    over, where = "{}<sub>{}</sub> {}", " &nbsp; for {}"

    def name(self, name: str) -> str:
        """The name of an array."""
        return f"<i>{escape(name)}</i>"

    axis = name

    def element(self, array: str, indices: Sequence[str]) -> str:
        """An element of an array, its indices below it."""
        return f"{self.name(array)}<sub>{', '.join(indices)}</sub>" if indices else self.name(array)

    def template(self, value: Apply) -> Notation:
        """How an operation is written, signs of comparison escaped."""
        form = super().template(value)
        return Notation(escape(form.template, quote=False), form.binds, form.slots)


TEXT: Final = Writer()
LATEX: Final = LatexWriter()
HTML: Final = HtmlWriter()
