"""Statements in index notation as NumPy code: what a careful person would have written.

Elementwise operations are functions of NumPy with broadcasting; a sum of products is `@`, an outer
product by broadcasting, a `.sum(axis)`, `np.tensordot`, or else `np.einsum`, which can say all of
them. Where a statement holds on part of its grid only, a mask says so, and the rest is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from ...arrays.reads import (
    Affine,
    Among,
    Apply,
    AtLeast,
    Axis,
    Condition,
    Index,
    Operand,
    Read,
    Reduce,
    Term,
)
from ...arrays.statements import ArrayProgram, Statement
from ...ops.record import ATOM, PRODUCT, SUM
from ...ops.scalar import ADD, MAXIMUM
from ...ops.shapes import BATCH
from .reading import Code, Head, arranged, length_text, table_constant, transposed, view


@dataclass(frozen=True)
class Recogniser:
    """Writes the values of statements of one program.

    names    the variables that arrays are in
    head     the module's constants
    zeroed   arrays whose elements outside the domain of their statement are 0
    """

    program: ArrayProgram
    names: Mapping[str, str]
    head: Head
    zeroed: Mapping[str, tuple[Condition, ...]]

    def value(self, statement: Statement) -> Code:
        """The value of a statement, with its axes in order; those it does not depend on missing."""
        grid = tuple([axis.name for axis in statement.axes])
        lengths = {axis.name: axis.length for axis in statement.axes}
        if isinstance(statement.value, Apply):
            return self._applied(statement.value, grid, lengths)
        return self._reduced(statement.value, grid, lengths)

    def mask(self, domain: Iterable[Condition], lengths: Mapping[str, int]) -> Code | None:
        """Where all conditions hold, a truth value for each point; None for everywhere."""
        whole: Code | None = None
        for condition in domain:
            one = self._condition(condition, lengths)
            if whole is not None:
                axes = [axis for axis in lengths if axis in (*whole.axes, *one.axes)]
                text = f"{arranged(whole, axes).tight} & {arranged(one, axes).tight}"
                one = Code(text, tuple(axes), SUM)
            whole = one
        if whole is None or whole.binds == ATOM:
            return whole
        return Code(self.head.constant(whole.text, "mask"), whole.axes)

    def read(self, read: Read, lengths: Mapping[str, int]) -> Code:
        """An element of an array at every point, as a view."""
        shape = self.program.arrays[read.array].shape
        return view(read, Code(self.names[read.array], view=True), shape, lengths, self.head)

    def _applied(self, value: Apply, grid: Sequence[str], lengths: Mapping[str, int]) -> Code:
        operands = [self._operand(operand, lengths) for operand in value.operands]
        axes = tuple([axis for axis in grid if any(axis in code.axes for code in operands)])
        form = value.op.spelling("numpy", value.statics)
        texts = [
            arranged(code, axes).within(slot)
            for code, slot in zip(operands, form.slots, strict=False)
        ]
        return Code(form.template.format(*texts), axes, form.binds)

    def _operand(self, operand: Operand, lengths: Mapping[str, int]) -> Code:
        return self.read(operand, lengths) if isinstance(operand, Read) else number(operand)

    def _reduced(self, value: Reduce, grid: Sequence[str], lengths: Mapping[str, int]) -> Code:
        parts = [self._term(term, value.op is ADD, grid, lengths) for term in value.terms]
        axes = tuple([axis for axis in grid if any(axis in code.axes for _, code in parts)])
        text, binds = "", ATOM
        for sign, code in parts:
            shown = arranged(code, axes) if code.axes else code
            if value.op is not ADD:
                text = f"np.{value.op.name}({text}, {shown.text})" if text else shown.text
            elif not text:
                text = shown.text if sign > 0 else f"-{shown.within(PRODUCT + 1)}"
                binds = shown.binds if sign > 0 else SUM
            else:
                text = f"{text} {'+' if sign > 0 else '-'} {shown.within(SUM + 1)}"
                binds = SUM
        return Code(text, axes, binds)

    def _term(
        self, term: Term, adds: bool, grid: Sequence[str], outer: Mapping[str, int]
    ) -> tuple[int, Code]:
        """The sign of a term and its size, summed over its axes."""
        lengths = {**outer, **{axis.name: axis.length for axis in term.over}}
        over = tuple([axis.name for axis in term.over])
        factors = [self._operand(f, lengths) for f in term.factors if isinstance(f, Read)]
        scale = float(abs(term.count)) * prod(f for f in term.factors if isinstance(f, float))
        mask = self._mask_of(term, lengths)
        if not adds:
            name = "max" if term.count and mask is None else "max"
            return 1, self._extreme(factors[0], mask, over, grid, name)
        if mask is not None:
            factors = _masked(factors, mask, list(lengths))
        code = contracted(factors, over, grid, lengths)
        missing = [axis for axis in over if not any(axis in factor.axes for factor in factors)]
        scale *= prod(lengths[axis] for axis in missing)
        if scale < 0:
            return (-1 if term.count > 0 else 1), scaled(code, -scale)
        return (1 if term.count > 0 else -1), scaled(code, scale)

    def _mask_of(self, term: Term, lengths: Mapping[str, int]) -> Code | None:
        """The mask that a term needs: none for conditions outside of which a factor is 0."""
        implied: list[Condition] = []
        for factor in term.factors:
            if isinstance(factor, Read):
                implied += _seen_through(factor, self.program, self.zeroed)
        return self.mask([c for c in term.domain if c not in implied], lengths)

    def _extreme(
        self, code: Code, mask: Code | None, over: Sequence[str], grid: Sequence[str], name: str
    ) -> Code:
        if mask is not None:
            code = _where(mask, code, [*grid, *over], "-np.inf" if name == "max" else "np.inf")
        return _over_axes(code, over, name)

    def _condition(self, condition: Condition, lengths: Mapping[str, int]) -> Code:
        axes = tuple([axis for axis in lengths if axis in condition.axes])
        if isinstance(condition, AtLeast):
            return Code(f"{self._index(condition.expression, axes, lengths)} >= 0", axes, SUM)
        if isinstance(condition, Among):
            return Code(self.head.constant(_points(condition, axes, lengths), condition.name), axes)
        left = self._index(condition.left, axes, lengths)
        right = self._index(condition.right, axes, lengths)
        return Code(f"{left} == {right}", axes, SUM)

    def _index(self, index: Index, axes: Sequence[str], lengths: Mapping[str, int]) -> str:
        """The number that an index is, for every point of some axes."""
        if not isinstance(index, Affine):
            return arranged(Code(table_constant(index, self.head), index.axes), axes).text
        parts = []
        for axis, stride in sorted(index.terms, key=lambda term: term[1] < 0):
            counting = arranged(Code(f"np.arange({lengths[axis]})", (axis,)), axes).text
            size = "" if abs(stride) == 1 else f"{abs(stride)} * "
            parts.append((stride > 0, f"{size}{counting}"))
        if index.offset or not parts:
            parts.append((index.offset >= 0, str(abs(index.offset))))
        text = parts[0][1] if parts[0][0] else f"-{parts[0][1]}"
        return text + "".join(f" {'+' if plus else '-'} {part}" for plus, part in parts[1:])


def number(value: float) -> Code:
    """A number as NumPy code."""
    if value != value:
        return Code("np.nan")
    if value in (float("inf"), float("-inf")):
        return Code("np.inf") if value > 0 else Code("-np.inf", binds=PRODUCT)
    return Code(repr(float(value)), binds=ATOM if str(value)[0] != "-" else PRODUCT)


def scaled(code: Code, scale: float) -> Code:
    """Some times it."""
    if scale == 1.0:
        return code
    return Code(f"{number(scale).text} * {code.within(PRODUCT + 1)}", code.axes, PRODUCT)


def contracted(
    factors: Sequence[Code], over: Sequence[str], grid: Sequence[str], lengths: Mapping[str, int]
) -> Code:
    """The product of factors summed over axes; its axes are some of `grid`, in any order.

    >>> x, w = Code("x", ("p", "c")), Code("w", ("e", "c"))
    >>> contracted([x, w], ["c"], ["p", "e"], {"p": 2, "c": 3, "e": 4}).text
    'x @ w.T'
    >>> contracted([x], ["c"], ["p"], {"p": 2, "c": 3}).text
    'x.sum(axis=1)'
    """
    left = [_summed_alone(f, over, factors) for f in factors]
    if not left:
        return Code("1.0")
    while len(left) > 2 or (len(left) == 2 and not _shared(left, over)):
        left = _merged_pair(left, over, grid)
    if len(left) == 1:
        return _over_axes(left[0], [axis for axis in over if axis in left[0].axes], "sum")
    return _matrix_product(left[0], left[1], over, grid, lengths)


def _summed_alone(code: Code, over: Sequence[str], factors: Sequence[Code]) -> Code:
    """A factor without the summed axes that no other factor has."""
    if len(factors) == 1:
        return code
    others = [axis for other in factors if other is not code for axis in other.axes]
    return _over_axes(code, [a for a in over if a in code.axes and a not in others], "sum")


def _shared(pair: Sequence[Code], over: Sequence[str]) -> bool:
    return any(axis in pair[0].axes and axis in pair[1].axes for axis in over)


def _merged_pair(factors: list[Code], over: Sequence[str], grid: Sequence[str]) -> list[Code]:
    """Two factors multiplied element by element, those whose product has the fewest axes."""
    order = [*grid, *over]
    pairs = [(i, j) for j in range(len(factors)) for i in range(j)]
    i, j = min(pairs, key=lambda p: len({*factors[p[0]].axes, *factors[p[1]].axes}))
    axes = [axis for axis in order if axis in (*factors[i].axes, *factors[j].axes)]
    a, b = arranged(factors[i], axes), arranged(factors[j], axes)
    product = Code(f"{a.within(PRODUCT)} * {b.within(PRODUCT + 1)}", tuple(axes), PRODUCT)
    return [product, *[f for k, f in enumerate(factors) if k not in (i, j)]]


def _over_axes(code: Code, axes: Sequence[str], name: str) -> Code:
    """The sum, or the largest, over some of its axes."""
    if not axes:
        return code
    rest = tuple([axis for axis in code.axes if axis not in axes])
    places = [code.axes.index(axis) for axis in axes]
    where = str(places[0]) if len(places) == 1 else str(tuple(sorted(places)))
    inside = f"axis={where}" if rest else ""
    return Code(f"{code.tight}.{name}({inside})", rest)


def _matrix_product(
    a: Code, b: Code, over: Sequence[str], grid: Sequence[str], lengths: Mapping[str, int]
) -> Code:
    inner = [axis for axis in over if axis in a.axes and axis in b.axes]
    stacked = [axis for axis in grid if axis in a.axes and axis in b.axes]
    rows = [axis for axis in a.axes if axis not in (*inner, *stacked)]
    columns = [axis for axis in b.axes if axis not in (*inner, *stacked)]
    if columns and rows and grid.index(columns[0]) < grid.index(rows[0]):
        a, b, rows, columns = b, a, columns, rows
    if len(rows) > 1 or len(columns) > 1 or len(inner) > 1 or (stacked and not (rows and columns)):
        if stacked:
            return _einsum(a, b, [axis for axis in grid if axis in (*a.axes, *b.axes)])
        places = [[code.axes.index(axis) for axis in inner] for code in (a, b)]
        shown = ", ".join(map(str, places)) if len(inner) > 1 else f"{places[0]}, {places[1]}"
        return Code(f"np.tensordot({a.text}, {b.text}, ({shown}))", (*rows, *columns))
    first = transposed(a, [*stacked, *rows, *inner])
    second = transposed(b, [*stacked, *inner, *columns])
    text = f"{first.within(PRODUCT)} @ {second.within(PRODUCT + 1)}"
    return Code(text, (*stacked, *rows, *columns), PRODUCT)


def _einsum(a: Code, b: Code, axes: Sequence[str]) -> Code:
    names = list(dict.fromkeys((*a.axes, *b.axes)))
    letters = dict(zip(names, "abcdefghijklmnopqrstuvwxyz", strict=False))
    parts = ["".join(letters[axis] for axis in some) for some in (a.axes, b.axes, axes)]
    text = f"np.einsum('{parts[0]},{parts[1]}->{parts[2]}', {a.text}, {b.text})"
    return Code(text, tuple(axes))


def _masked(factors: list[Code], mask: Code, order: Sequence[str]) -> list[Code]:
    """The factors with 0 where the mask does not hold."""
    for place, code in enumerate(factors):
        if set(mask.axes) <= set(code.axes):
            return [*factors[:place], _where(mask, code, order, "0.0"), *factors[place + 1 :]]
    if not factors:
        return [Code(f"{mask.tight}.astype(float)", mask.axes)]
    axes = [axis for axis in order if axis in mask.axes or axis in factors[0].axes]
    return [_where(mask, factors[0], axes, "0.0"), *factors[1:]]


def _where(mask: Code, code: Code, order: Sequence[str], otherwise: str) -> Code:
    axes = [axis for axis in order if axis in code.axes or axis in mask.axes]
    text = f"np.where({arranged(mask, axes).text}, {arranged(code, axes).text}, {otherwise})"
    return Code(text, tuple(axes))


def _points(condition: Among, axes: Sequence[str], lengths: Mapping[str, int]) -> str:
    """A mask with the points of a list written out."""
    order = [condition.axes.index(axis) for axis in axes]
    chosen = {tuple([point[i] for i in order]) for point in condition.points}
    rows: list[object] = [()]
    for axis in axes:
        rows = [(*row, i) for row in rows for i in range(lengths[axis])]  # type: ignore[misc]
    flat: list[object] = [row in chosen for row in rows]
    for axis in reversed(axes[1:]):
        flat = [flat[i : i + lengths[axis]] for i in range(0, len(flat), lengths[axis])]
    return f"np.array({flat})"


def _seen_through(
    read: Read, program: ArrayProgram, zeroed: Mapping[str, tuple[Condition, ...]]
) -> list[Condition]:
    """The conditions outside of which what is read is 0, in the axes of the reader."""
    conditions = zeroed.get(read.array, ())
    statement = next((s for s in program.statements if s.array == read.array), None)
    if not conditions or statement is None:
        return []
    named = {
        axis.name: index
        for axis, index in zip(statement.axes, read.index, strict=False)
        if isinstance(index, Affine) and index.axis
    }
    found: list[Condition] = []
    for condition in conditions:
        if isinstance(condition, AtLeast) and all(axis in named for axis in condition.axes):
            terms = [
                (str(named[axis].axis), stride) for axis, stride in condition.expression.terms
            ]
            found.append(AtLeast(replace(condition.expression, terms=tuple(terms))))
    return found


__all__ = ["Axis", "Recogniser", "contracted", "length_text", "number", "scaled"]
