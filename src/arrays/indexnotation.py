"""Statements as people write them: index notation in text, LaTeX and HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, NamedTuple

from ..graph.formula import filled, name_latex, number_latex
from ..graph.numbertext import number_text
from ..ops.record import ATOM, PRODUCT, SUM, UNARY, Notation
from ..ops.scalar import ADD, MAXIMUM
from .reads import (
    Affine,
    Among,
    Apply,
    Axis,
    Condition,
    Equal,
    Index,
    Operand,
    Read,
    Term,
    Value,
)


class Written(NamedTuple):
    """A piece of a formula and how tightly it binds."""

    text: str
    binds: int = ATOM

    def within(self, level: int) -> str:
        """The text for a place that needs `level`, in parentheses where it binds less tightly."""
        return self.text if self.binds >= level else f"({self.text})"


class Writer:
    """How the pieces of index notation are written; this one writes text for a terminal."""

    language = "text"
    times, at_most, equals, sum_sign = "·", "≤", "=", "Σ"

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

    def reduced(self, sign: str, over: str, body: str) -> str:
        """A sum or a maximum over axes."""
        short = len(over) == 1
        return f"{sign}_{over} {body}" if short else f"{sign}_{{{over}}} {body}"

    def bracket(self, inner: str) -> str:
        """1 where the condition holds, else 0 (Iverson's bracket)."""
        return f"[{inner}]"

    def where(self, conditions: str) -> str:
        """The end of a statement that holds on part of its grid."""
        return f"   for {conditions}" if conditions else ""

    def among(self, condition: Among) -> str:
        """A point being one of a list."""
        names = ", ".join(map(self.axis, condition.axes))
        names = names if len(condition.axes) == 1 else f"({names})"
        return f"{names} in {self.name(condition.name)}"

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

    def operand(self, operand: Operand) -> Written:
        """A read or a number."""
        if isinstance(operand, Read):
            return Written(self.read(operand))
        shown = self.number(operand)
        return Written(shown, UNARY if shown.startswith("-") else ATOM)

    def condition(self, condition: Condition) -> str:
        """A condition, the axes with a minus sign on the other side."""
        if isinstance(condition, Equal):
            sides = (self.index(condition.left).text, self.index(condition.right).text)
            return f" {self.equals} ".join(sides)
        if isinstance(condition, Among):
            return self.among(condition)
        offset, terms = condition.expression.offset, condition.expression.terms
        above = tuple([(name, stride) for name, stride in terms if stride > 0])
        below = tuple([(name, -stride) for name, stride in terms if stride < 0])
        larger = self.affine(Affine(max(offset, 0), above)).text
        smaller = self.affine(Affine(max(-offset, 0), below)).text
        return f"{smaller} {self.at_most} {larger}"

    def conditions(self, conditions: Iterable[Condition]) -> str:
        """Conditions that hold together."""
        return ", ".join(map(self.condition, conditions))

    def product(self, factors: Sequence[Operand], count: int) -> Written:
        """A product of factors and a count without its sign."""
        parts = [self.operand(factor) for factor in factors]
        if abs(count) != 1 or not parts:
            parts.insert(0, Written(str(abs(count))))
        if len(parts) == 1:
            return parts[0]
        return Written(self.times.join(part.within(PRODUCT + 1) for part in parts), PRODUCT)

    def range_of(self, over: Sequence[Axis], domain: Sequence[Condition]) -> str:
        """What stands below a sum: its axes, or the one condition that names them."""
        names = [self.axis(axis.name) for axis in over]
        shown = self.conditions(domain)
        if not domain:
            return ",".join(names)
        if len(domain) == 1 and {axis.name for axis in over} <= set(domain[0].axes):
            return shown
        return f"{','.join(names)}: {shown}"

    def term(self, term: Term, sign: str) -> str:
        """A term of a sum, without its sign."""
        body = self.product(term.factors, term.count)
        if term.over:
            return self.reduced(sign, self.range_of(term.over, term.domain), body.within(PRODUCT))
        if term.domain:
            return f"{self.bracket(self.conditions(term.domain))}{self.times}{body.within(PRODUCT)}"
        return body.text

    def value(self, value: Value) -> str:
        """The right side of a statement."""
        if isinstance(value, Apply):
            form = self.template(value)
            parts = [
                self.operand(operand).within(slot)
                for operand, slot in zip(value.operands, _slots(form, value), strict=True)
            ]
            return form.template.format(*parts)
        if value.op is ADD:
            parts = []
            for term in value.terms:
                parts.append(_signed(self.term(term, self.sum_sign), term.count, bool(parts)))
            return "".join(parts)
        name = "max" if value.op is MAXIMUM else "min"
        inner = [self.term(term, self.function(name)) for term in value.terms]
        if len(inner) == 1 and value.terms[0].over:
            return inner[0]
        return f"{self.function(name)}({', '.join(inner)})"

    def function(self, name: str) -> str:
        """The name of a function."""
        return name

    def statement(
        self, target: str, place: Sequence[Index], value: Value, domain: Sequence[Condition]
    ) -> str:
        """`target[place] = value`, and where."""
        left = self.element(target, [self.index(index).text for index in place])
        return f"{left} = {self.value(value)}{self.where(self.conditions(domain))}"


def _slots(form: Notation, value: Apply) -> tuple[int, ...]:
    return (*form.slots, *[0] * len(value.operands))[: len(value.operands)]


def _signed(text: str, number: float, follows: bool) -> str:
    if follows:
        return f" - {text}" if number < 0 else f" + {text}"
    return f"-{text}" if number < 0 else text


class LatexWriter(Writer):
    """Index notation in LaTeX, for maths mode."""

    language = "latex"
    times, at_most, sum_sign = r" \, ", r"\le", r"\sum"

    def name(self, name: str) -> str:
        """The name of an array: Greek, or upright when it is longer than a letter."""
        return name_latex(name)

    def axis(self, name: str) -> str:
        """The name of an axis, its primes kept."""
        return name.replace("'", r"^{\prime}")

    def number(self, number: float) -> str:
        """A number."""
        return number_latex(number)

    def element(self, array: str, indices: Sequence[str]) -> str:
        """An element of an array, its indices below it."""
        name = self.name(array)
        return f"{{{name}}}_{{{', '.join(indices)}}}" if indices else name

    def reduced(self, sign: str, over: str, body: str) -> str:
        """A sum or a maximum over axes."""
        return f"{sign}_{{{over}}} {body}"

    def where(self, conditions: str) -> str:
        """The end of a statement that holds on part of its grid."""
        return rf" \quad \text{{for }} {conditions}" if conditions else ""

    def among(self, condition: Among) -> str:
        """A point being one of a list."""
        names = ", ".join(map(self.axis, condition.axes))
        names = names if len(condition.axes) == 1 else f"({names})"
        return rf"{names} \in {self.name(condition.name)}"

    def function(self, name: str) -> str:
        r"""The name of a function: \max."""
        return rf"\{name}"


class HtmlWriter(Writer):
    """Index notation as HTML, indices as subscripts."""

    def name(self, name: str) -> str:
        """The name of an array."""
        return f"<i>{escape(name)}</i>"

    def axis(self, name: str) -> str:
        """The name of an axis."""
        return f"<i>{escape(name)}</i>"

    def element(self, array: str, indices: Sequence[str]) -> str:
        """An element of an array, its indices below it."""
        return f"{self.name(array)}<sub>{', '.join(indices)}</sub>" if indices else self.name(array)

    def reduced(self, sign: str, over: str, body: str) -> str:
        """A sum or a maximum over axes."""
        return f"{sign}<sub>{over}</sub> {body}"

    def where(self, conditions: str) -> str:
        """The end of a statement that holds on part of its grid."""
        return f" &nbsp; for {conditions}" if conditions else ""

    def template(self, value: Apply) -> Notation:
        """How an operation is written, signs of comparison escaped."""
        form = super().template(value)
        return Notation(escape(form.template, quote=False), form.binds, form.slots)


TEXT: Final = Writer()
LATEX: Final = LatexWriter()
HTML: Final = HtmlWriter()
