r"""Statements in the notation of matrices, where they have one: `δᵀ X`, `A ⊙ B`, `1ᵀ δ`.

A value over the axes i, j is a matrix, over one axis a column, over none a number. A sum over one
axis of a product of two reads is a product of matrices, each transposed where its axes stand the
other way round; operations at every point are written as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...arrays.indexnotation import Writer
from ...arrays.statements import Statement
from ...graph.formula import filled
from ...ops.reads import Affine, Apply, Operand, Read, Term, Value, renamed, summed_over
from ...ops.record import ATOM, PRODUCT, SUM
from ...ops.scalar import ADD, DIV, MUL, SUB
from ..data import Formula
from .program import LatexNames, Program, TextNames


class Matrix(NamedTuple):
    """A piece of a formula over axes: as text, in LaTeX, and how tightly it binds.

    factors  of a product of matrices: what is multiplied
    turned   of something transposed: what it was before
    """

    text: str
    latex: str
    axes: tuple[str, ...]
    binds: int = ATOM
    factors: tuple[Matrix, ...] = ()
    turned: tuple[Matrix, ...] = ()

    def within(self, level: int) -> Matrix:
        """In parentheses where it binds less tightly than its place needs."""
        if self.binds >= level:
            return self
        return Matrix(f"({self.text})", rf"\left({self.latex}\right)", self.axes)

    @property
    def transposed(self) -> Matrix:
        """With its axes the other way round; a product by its factors, in reverse."""
        if self.turned:
            return self.turned[0]
        if self.factors:
            return multiplied([factor.transposed for factor in self.factors[::-1]], self.axes[::-1])
        inner = self.within(ATOM)
        latex = rf"{{{inner.latex}}}^{{\top}}"
        return Matrix(f"{inner.text}ᵀ", latex, self.axes[::-1], turned=(self,))


def multiplied(factors: Sequence[Matrix], axes: tuple[str, ...]) -> Matrix:
    """The product of matrices."""
    flat = [part for factor in factors for part in factor.factors or (factor,)]
    inner = [part.within(ATOM) for part in flat]
    text, latex = " ".join(p.text for p in inner), r" \, ".join(p.latex for p in inner)
    return Matrix(text, latex, axes, PRODUCT, tuple(flat))


def matrix_form(program: Program, statement: Statement) -> Formula | None:
    """A statement in matrices; None where it has no such form, or is the same without indices."""
    target = tuple(index.axis or "" for index in statement.target if isinstance(index, Affine))
    if len(target) != len(statement.target) or "" in target or len(target) > 2 or statement.domain:
        return None
    form = _Form(program, {axis.name for axis in statement.axes if axis.length == 1})
    if not target and all(not read.index for read in statement.reads):
        return None
    found = form.value(statement.value, target)
    if found is None:
        return None
    text, latex = form.names
    left = text.name(statement.array), latex.name(statement.array)
    return Formula(f"{left[0]} = {found.text}", f"{left[1]} = {found.latex}")


class _Form:
    def __init__(self, program: Program, single: set[str]) -> None:
        self.program, self.single = program, single
        self.names: tuple[Writer, Writer] = TextNames(program), LatexNames(program)

    def value(self, value: Value, target: tuple[str, ...]) -> Matrix | None:
        """A value over the axes of its target, in their order."""
        if isinstance(value, Apply):
            return self._applied(value, target)
        if value.op is not ADD:
            return None
        return self._sum(value.terms, target)

    def _applied(self, value: Apply, target: tuple[str, ...]) -> Matrix | None:
        parts = [self._operand(operand, target) for operand in value.operands]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        arrays = [part for part in known if part.axes]
        if value.op is MUL and len(arrays) == 2:
            return _joined(known, " ⊙ ", r" \odot ", target, PRODUCT)
        if value.op is DIV and known[1].axes:
            return _joined(known, " ⊘ ", r" \oslash ", target, PRODUCT)
        if value.op in (ADD, SUB):
            return self._signed(known, ["+", "-" if value.op is SUB else "+"], target)
        if value.op is MUL:
            known.sort(key=lambda part: bool(part.axes))  # a number stands before an array
        known = [part.within(PRODUCT + 1) for part in known] if len(known) > 1 else known
        form, tex = (filled(value.op, value.statics, name) for name in ("text", "latex"))
        slots = (*form.slots, *[0] * len(known))
        texts = [p.within(slot).text for p, slot in zip(known, slots, strict=False)]
        slots = (*tex.slots, *[0] * len(known))
        latex = [p.within(slot).latex for p, slot in zip(known, slots, strict=False)]
        written = form.template.format(*texts), tex.template.format(*latex)
        return Matrix(*written, target, min(form.binds, tex.binds))

    def _sum(self, terms: Sequence[Term], target: tuple[str, ...]) -> Matrix | None:
        parts: list[Matrix] = []
        signs: list[str] = []
        for term in terms:
            part = self._term(term, target)
            if part is None:
                return None
            parts.append(part)
            signs.append("-" if term.count < 0 else "+")
        if len(parts) == 1 and signs == ["+"]:
            return parts[0]
        return self._signed(parts, signs, target)

    def _signed(
        self, parts: Sequence[Matrix], signs: Sequence[str], target: tuple[str, ...]
    ) -> Matrix:
        """Parts added and subtracted."""
        text = latex = ""
        for sign, part in zip(signs, parts, strict=True):
            inner = part.within(SUM + 1 if sign == "-" else SUM)
            joined = f" {sign} " if text else "-" * (sign == "-")
            text += joined + inner.text
            latex += joined + inner.latex
        return Matrix(text, latex, target, SUM)

    def _term(self, term: Term, target: tuple[str, ...]) -> Matrix | None:
        if term.domain or len(term.factors) > 2 or not term.factors:
            return None
        over = tuple(axis.name for axis in term.over)
        found = self._product(term.factors, over, target)
        if found is None or abs(term.count) == 1:
            return found
        inner, count = found.within(PRODUCT), abs(term.count)
        return Matrix(f"{count} {inner.text}", rf"{count} \, {inner.latex}", found.axes, PRODUCT)

    def _product(
        self, factors: Sequence[Operand], over: tuple[str, ...], target: tuple[str, ...]
    ) -> Matrix | None:
        free = [self._free(factor, {*over, *target}) for factor in factors]
        if any(axes is None for axes in free):
            return None
        axes = [axes or () for axes in free]
        if not over:
            parts = [self._operand(f, target) for f in factors]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                return None
            if len(known) == 2 and len(axes[0]) == len(axes[1]) == 1 and axes[0] != axes[1]:
                return self._outer(factors, axes, target)
            both = all(part.axes for part in known)
            known.sort(key=lambda part: bool(part.axes))  # a number stands before an array
            return _joined(
                known, *((" ⊙ ", r" \odot ") if both else (" ", r" \, ")), target, PRODUCT
            )
        if len(factors) == 1:
            return self._added(factors[0], axes[0], over, target)
        if len(over) == 1:
            return self._matmul(factors, axes, over[0], target)
        if not target and axes[0] == axes[1] and set(over) == set(axes[0]):
            parts = [self._operand(f, axes[0]) for f in factors]
            if parts[0] is None or parts[1] is None:
                return None
            names = [part.text for part in parts if part is not None]
            latex = [part.latex for part in parts if part is not None]
            return Matrix(
                f"⟨{names[0]}, {names[1]}⟩", rf"\langle {latex[0]}, {latex[1]} \rangle", ()
            )
        return None

    def _outer(
        self, factors: Sequence[Operand], axes: Sequence[tuple[str, ...]], target: tuple[str, ...]
    ) -> Matrix | None:
        """A column times a row."""
        first, second = factors if axes[0] == target[:1] else (factors[1], factors[0])
        column, row = self._operand(first, target[:1]), self._operand(second, target[1:])
        if column is None or row is None:
            return None
        return multiplied([column, row.transposed], target)

    def _matmul(
        self,
        factors: Sequence[Operand],
        axes: Sequence[tuple[str, ...]],
        inner: str,
        target: tuple[str, ...],
    ) -> Matrix | None:
        """A sum over one axis of a product of two."""
        if any(inner not in own for own in axes):
            return None
        rest = [tuple(axis for axis in own if axis != inner) for own in axes]
        if any(len(r) > 1 for r in rest) or {*rest[0], *rest[1]} != {*target}:
            return None
        if len(rest[0]) + len(rest[1]) != len(target):
            return None
        order = (0, 1) if rest[0] == target[:1] or not rest[1] else (1, 0)
        if len(target) == 1 and len(axes[order[0]]) == 1:
            order = order[::-1]
        left, right = (
            self._turned(factors[order[0]], axes[order[0]], (*rest[order[0]], inner)),
            self._turned(factors[order[1]], axes[order[1]], (inner, *rest[order[1]])),
        )
        if left is None or right is None:
            return None
        if not target:
            left = left.transposed
        return multiplied([left, right], target)

    def _turned(
        self, factor: Operand, own: tuple[str, ...], wanted: tuple[str, ...]
    ) -> Matrix | None:
        """An operand as it stands, or transposed."""
        if own == wanted:
            return self._operand(factor, own)
        found = self._operand(factor, own)
        return None if found is None else found.transposed

    def _added(
        self,
        factor: Operand,
        own: tuple[str, ...],
        over: tuple[str, ...],
        target: tuple[str, ...],
    ) -> Matrix | None:
        """The sums of rows, of columns, or of all."""
        whole = self._operand(factor, own)
        if whole is None or not set(over) <= set(own):
            return None
        ones = Matrix("1", r"\mathbf{1}", own[-1:])
        if not target:
            return multiplied([ones.transposed, whole, *[ones] * (len(own) - 1)], ())
        if len(own) != 2 or len(over) != 1:
            return None
        return multiplied([whole if own[1] == over[0] else whole.transposed, ones], target)

    def _free(self, operand: Operand, known: set[str]) -> tuple[str, ...] | None:
        """The axes of a read, in order; None where an index is no axis."""
        if not isinstance(operand, Read):
            return ()
        axes = []
        for index in operand.index:
            axis = index.axis
            if axis is None or axis not in known or axis in axes:
                return None
            axes.append(axis)
        return tuple(axes)

    def _operand(self, operand: Operand, target: tuple[str, ...]) -> Matrix | None:
        """A read or number, spread over the axes of a target."""
        text, latex = self.names
        if not isinstance(operand, Read):
            shown = text.number(operand), latex.number(operand)
            return Matrix(*shown, (), ATOM if operand >= 0 else SUM)
        own = self._free(operand, {*target})
        if own is None:
            return None
        inlined = self.program.inlined.get(operand.array)
        if inlined is not None:
            inner = self._inner(operand, own)
            if inner is None:
                return None
            whole = inner
        else:
            whole = Matrix(text.name(operand.array), latex.name(operand.array), own)
        if own == target or not own:
            return whole
        if own == target[::-1]:
            return whole.transposed
        if len(own) == 1 and len(target) == 2:  # a vector, the same for each row or column
            if self.single.intersection(target) - {*own}:
                return whole.transposed if own == target[1:] else whole
            ones = Matrix("1", r"\mathbf{1}", ())
            if own == target[1:]:
                return multiplied([ones, whole.transposed], target)
            return multiplied([whole, ones.transposed], target)
        return None

    def _inner(self, read: Read, own: tuple[str, ...]) -> Matrix | None:
        """What is written where an array is read, over the axes of the read."""
        axes, value = self.program.inlined[read.array]
        names = dict(zip(axes, own, strict=True))
        for axis in summed_over(value):
            names[axis] = axis
            while names[axis] in own:
                names[axis] += "'"
        return self.value(renamed(value, names), own)


def _joined(
    parts: Sequence[Matrix], text: str, latex: str, axes: tuple[str, ...], level: int
) -> Matrix:
    if len(parts) == 1:
        return parts[0]
    inner = [part.within(level + 1) for part in parts]
    return Matrix(
        text.join(part.text for part in inner),
        latex.join(part.latex for part in inner),
        axes,
        level,
    )
