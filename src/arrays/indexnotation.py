"""Statements as people write them: index notation in text and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import isfinite, prod
from typing import Final, NamedTuple, Protocol

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
    Reduce,
    Term,
    Value,
    renamed,
    summed_over,
)
from ..ops.record import ATOM, POWER, PRODUCT, SUM, UNARY, Notation
from ..ops.scalar import ADD, DIV, MAXIMUM, MUL, NEG
from ..ops.shapes import BATCH, Shape


class Written(NamedTuple):
    """A piece of a formula and how tightly it binds."""

    text: str
    binds: int = ATOM


Scope = frozenset[str]
"""The names of axes that mean something where a formula is written."""

NO_AXES: Final[Scope] = frozenset()


class Inlined(NamedTuple):
    """What is written where an array is read, in place of its name: the axes and the value."""

    axes: tuple[str, ...]
    value: Value


class Shown(Protocol):
    """What is told of an array."""

    @property
    def shape(self) -> Shape:
        """Its lengths."""

    @property
    def values(self) -> Sequence[float]:
        """Its numbers, if it is made of some."""

    @property
    def adjoint(self) -> str | None:
        """The array that it is the adjoint of, if it is one."""


SHORT: Final = 4
"""A vector of as many numbers, or fewer, is written where it is read."""


@dataclass
class _Side:
    """What is above or below the line of a fraction: numbers and other factors."""

    numbers: list[float] = field(default_factory=list)
    factors: list[Written] = field(default_factory=list)

    def add(self, factor: Written) -> None:
        """One more factor, its sign taken out."""
        if factor.text.startswith("-") and factor.binds > SUM:
            self.numbers.append(-1.0)
            factor = factor._replace(text=factor.text[1:])
        self.factors.append(factor)


def _folded(above: Sequence[float], below: Sequence[float]) -> tuple[list[float], list[float]]:
    """Numbers above and below the line of a fraction as one each, where that is no rounding.

    >>> _folded([2.0], [8.0]), _folded([2.0, 0.5], []), _folded([-0.5, 3.0], [0.1])
    (([1.0], [4.0]), ([1.0], [1.0]), ([-1.5], [0.1]))
    >>> _folded([0.1, 3.0], [])
    ([0.1, 3.0], [1.0])
    """
    if not all(map(isfinite, (*above, *below))) or 0 in below:
        return [*above], [*below]
    top = prod([Fraction(number) for number in above], start=Fraction(1))
    bottom = prod([Fraction(number) for number in below], start=Fraction(1))
    ratio = top / bottom
    if top.denominator == bottom.denominator == 1:
        top, bottom = Fraction(ratio.numerator), Fraction(ratio.denominator)
    elif _is_float(ratio):
        top, bottom = ratio, Fraction(1)
    numbers = [float(top)] if _is_float(top) else [*above]
    return numbers, [float(bottom)] if _is_float(bottom) else [*below]


def _is_float(number: Fraction) -> bool:
    """Whether a float is this number."""
    return abs(number) < _LARGE and Fraction(float(number)) == number


_LARGE: Final = 2**1000


class Writer:
    """How the pieces of index notation are written; this one writes text for a terminal.

    inlined  arrays whose formulas are written where they are read
    arrays   all arrays, of whose names no two are to look alike

    A notation is what stands between the pieces: between factors, in conditions, before and below a
    sum, at the end of a statement that holds on part of its grid, around the name of a function.
    """

    language = "text"
    times, at_most, unequal, among, sum_sign = "·", "≤", "≠", "in", "Σ"
    over, where, function = "{}_{{{}}} {}", "   for {}", "{}"

    def __init__(
        self,
        inlined: Mapping[str, Inlined] | None = None,
        arrays: Mapping[str, Shown] | None = None,
    ) -> None:
        self.inlined, self.arrays = inlined or {}, arrays or {}

    def name(self, name: str) -> str:
        """The name of an array."""
        return name

    def axis(self, name: str) -> str:
        """The name of an axis."""
        return name

    def number(self, number: float) -> str:
        """A number."""
        return number_text(number)

    def read(self, read: Read) -> str:
        """A read of an element; of a vector of a few numbers, these; of 0, 1, 2, … the index."""
        indices = [self.index(index).text for index in read.index]
        values = self.arrays[read.array].values if read.array in self.arrays else ()
        if values and len(indices) == 1 and values == tuple(range(len(values))):
            return self.within(self.index(read.index[0]), ATOM)
        if 0 < len(values) <= SHORT and len(indices) == 1:
            return self.listed(", ".join(map(self.number, values)), indices[0])
        return self.element(read.array, indices)

    def listed(self, numbers: str, index: str) -> str:
        """One of some numbers."""
        return f"[{numbers}][{index}]"

    def element(self, array: str, indices: Sequence[str]) -> str:
        """An element of an array."""
        return f"{self.name(array)}[{', '.join(indices)}]" if indices else self.name(array)

    def within(self, part: Written, level: int) -> str:
        """A piece for a place that needs `level`, in parentheses where it binds less tightly."""
        return part.text if part.binds >= level else self.bracketed("()", part.text)

    def bracketed(self, brackets: str, inner: str) -> str:
        """Something in brackets."""
        return f"{brackets[0]}{inner}{brackets[1]}"

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

    def operand(self, operand: Operand, scope: Scope = NO_AXES) -> Written:
        """A read or a number."""
        if isinstance(operand, Read):
            if operand.array in self.inlined:
                return self.formula(*self.nested(operand, scope))
            return Written(self.read(operand))
        shown = self.number(operand)
        return Written(shown, UNARY if shown.startswith("-") else ATOM)

    def nested(self, read: Read, scope: Scope) -> tuple[Value, Scope]:
        """The value of an array at the place where it is read, and the axes seen there."""
        axes, value = self.inlined[read.array]
        indices = [index.axis or "" for index in read.index if isinstance(index, Affine)]
        names = dict(zip(axes, indices, strict=True))
        for axis in summed_over(value):
            name = axis
            while name in scope or name in indices:
                name += "'"
            names[axis] = name
        return renamed(value, names), scope.union(indices)

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

    def quotient(
        self, value: Value, scope: Scope = NO_AXES, domain: Sequence[Condition] = ()
    ) -> Written:
        """A product as one number and one fraction, what its factors divide by included.

        domain  the conditions without which it is 0
        """
        above, below = self._sides(value, scope)
        if domain:
            above.factors.insert(0, Written(self.bracketed("[]", self.conditions(domain))))
        numbers, divisors = _folded(above.numbers, below.numbers)
        sign = prod([-1 if number < 0 else 1 for number in (*numbers, *divisors)])
        top = self._multiplied([abs(n) for n in numbers], above.factors)
        bottom = self._multiplied([abs(n) for n in divisors], below.factors)
        if bottom.text != "1":
            top = self.divided(top, bottom)
        if sign > 0:
            return top
        return Written(f"-{self.within(top, PRODUCT)}", min(top.binds, UNARY))

    def _sides(self, value: Value, scope: Scope) -> tuple[_Side, _Side]:
        """What a value multiplies and what it divides by, quotients within it taken apart."""
        above, below = _Side(), _Side()
        pending: list[tuple[Value | Operand, Scope, bool]] = [(value, scope, True)]
        while pending:
            thing, seen, upper = pending.pop()
            side = above if upper else below
            if isinstance(thing, Read) and thing.array in self.inlined:
                thing, seen = self.nested(thing, seen)
            if isinstance(thing, Apply) and thing.op in (MUL, DIV, NEG):
                side.numbers += [-1.0] * (thing.op is NEG)
                ways = (upper, upper != (thing.op is DIV))
                parts = [(one, seen, way) for one, way in zip(thing.operands, ways, strict=False)]
                pending += parts[::-1]
            elif isinstance(thing, Reduce) and thing.op is ADD and len(thing.terms) == 1:
                (term,) = thing.terms
                side.numbers.append(float(term.count))
                if term.over or term.domain:
                    alone = Reduce(ADD, (replace(term, count=1),))
                    side.add(self.formula(alone, seen))
                else:
                    pending += [(one, seen, upper) for one in term.factors[::-1]]
            elif isinstance(thing, float):
                side.numbers.append(thing)
            elif isinstance(thing, Read):
                side.add(self.operand(thing, seen))
            else:
                side.add(self.formula(thing, seen))
        return above, below

    def _multiplied(self, numbers: Sequence[float], factors: Sequence[Written]) -> Written:
        """Numbers and factors as a product, a number that is 1 left out."""
        shown = [Written(self.number(number)) for number in numbers if number != 1]
        parts = [*shown, *factors] or [Written("1")]
        if len(parts) == 1:
            return parts[0]
        texts = [self.within(one, PRODUCT + 1) for one in parts]
        if parts[-1].text.startswith(self.sum_sign):  # nothing follows that it would take in
            texts[-1] = self.within(parts[-1], PRODUCT)
        return Written(self.multiplied(texts), PRODUCT)

    def divided(self, top: Written, bottom: Written) -> Written:
        """A quotient."""
        below = self.within(bottom, PRODUCT + 1)
        return Written(f"{self.within(top, PRODUCT)}/{below}", PRODUCT)

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
        shape = self.arrays[read.array].shape if read.array in self.arrays else ()
        ends = [0]
        for index, length in zip(read.index, shape, strict=False):
            if name in index.axes:
                if not isinstance(index, Affine) or len(index.terms) > 1 or length == BATCH:
                    return 0
                step, offset = index.terms[0][1], index.offset
                ends.append((length - 1 - offset) // step if step > 0 else offset // -step)
        return min(ends[1:], default=0)

    def term(self, term: Term, sign: str, scope: Scope = NO_AXES) -> Written:
        """A term of a sum, without its sign."""
        inner = scope.union([axis.name for axis in term.over])
        bounds = () if term.over else term.domain
        body = self.quotient(Reduce(ADD, (Term(abs(term.count), term.factors),)), inner, bounds)
        if term.over:
            over = self.range_of(term.over, (*term.domain, *self._ends(term)))
            text = self.within(body, PRODUCT)
            minus = "-" if sign == self.sum_sign and text.startswith("-") else ""
            form = "{}_{} {}" if len(over) == 1 and self.language == "text" else self.over
            return Written(minus + form.format(sign, over, text[len(minus) :]), PRODUCT)
        return body

    def formula(self, value: Value, scope: Scope = NO_AXES) -> Written:
        """The right side of a statement and how tightly it binds."""
        if isinstance(value, Apply):
            if value.op in (DIV, MUL, NEG):
                return self.quotient(value, scope)
            form = self.template(value)
            parts = [
                self.within(self.operand(operand, scope), slot)
                for operand, slot in zip(value.operands, _slots(form, value), strict=True)
            ]
            return Written(form.template.format(*parts), form.binds)
        if value.op is ADD:
            return self.sum(value.terms, scope)
        name = self.function.format("max" if value.op is MAXIMUM else "min")
        inner = [self.term(term, name, scope) for term in value.terms]
        if len(inner) == 1 and value.terms[0].over:
            return inner[0]
        return Written(name + self.bracketed("()", ", ".join(term.text for term in inner)))

    def sum(self, terms: Sequence[Term], scope: Scope = NO_AXES) -> Written:
        """Terms with their signs; one that binds no tighter than a sum is put in parentheses."""
        parts: list[str] = []
        for term in terms:
            written = self.term(term, self.sum_sign, scope)
            level = SUM + 1 if term.count < 0 or written.binds < SUM else SUM
            if len(terms) == 1 and term.count == 1:
                return written
            text, sign = self.within(written, level), term.count
            if text.startswith("-") and (parts or sign < 0):
                text, sign = text[1:], -sign
            parts.append(_signed(text, sign, bool(parts)))
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
        primal = self.arrays[name].adjoint if name in self.arrays else None
        written = name_latex(name, self.arrays)
        if primal is None or name != f"d{primal}":
            return written
        of = self.name(primal)
        return written if of.startswith(r"\mathrm") else rf"\mathrm{{d}}{of}"

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

    def listed(self, numbers: str, index: str) -> str:
        """One of some numbers."""
        return rf"{{\left({numbers}\right)}}_{{{index}}}"

    def bracketed(self, brackets: str, inner: str) -> str:
        """Something in brackets, which are as tall as it is."""
        return rf"\left{brackets[0]}{inner}\right{brackets[1]}"

    def divided(self, top: Written, bottom: Written) -> Written:
        """A quotient."""
        return Written(rf"\frac{{{top.text}}}{{{bottom.text}}}", PRODUCT)

    def operand(self, operand: Operand, scope: Scope = NO_AXES) -> Written:
        """A read or a number; what has a number above takes no power beside it."""
        found = super().operand(operand, scope)
        return Written(found.text, min(found.binds, POWER)) if "^{(" in found.text else found


TEXT: Final = Writer()
LATEX: Final = LatexWriter()
