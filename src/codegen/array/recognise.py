"""Statements in index notation as NumPy code: what a careful person would have written.

Elementwise operations are functions of NumPy with broadcasting. A sum of products is a product of
matrices, an outer product by broadcasting, a sum over axes, `np.tensordot`, or else `np.einsum`,
which can say all of them. Where a statement holds on part of its grid only, a mask says so, and the
rest is 0 where a sum needs that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import product
from math import copysign, inf, isfinite, prod
from operator import add
from typing import Final

from ...arrays.statements import LITERAL, ArrayProgram, Statement
from ...ops.points import holds, points
from ...ops.reads import (
    Affine,
    Among,
    Apply,
    AtLeast,
    Axis,
    Condition,
    Operand,
    Read,
    Reduce,
    Term,
    Unequal,
)
from ...ops.record import ATOM, COMPARISON, PRODUCT, SUM, UNARY, Notation, Op
from ...ops.scalar import ADD, DIV, MAXIMUM, MINIMUM, MUL, POW_CONST, STOP_GRADIENT, SUB, WHERE
from ...ops.shapes import BATCH
from .flow import axes_of
from .literals import mask_literal
from .outside import Outside
from .reading import Code, Head, arranged, counted, reshaped, transposed, view

MANY = 12
"""A sum of more terms is written as a sum of sums."""

SMALL = 8192
"""Products of the rows of matrices of at most so many elements are summed after they are made.

Larger ones are not copied for a product, as `np.dot` does where rows lie apart.
"""

FEW = 4
"""So many numbers are added one by one for less than a loop over them costs."""

LARGE = 512
"""So many sums make that worth while."""

SAMPLES = 32
"""How many samples a batch is taken to have, where sizes are compared."""


@dataclass
class Recogniser:
    """Writes the values of statements of one program.

    source   what an array is, as an expression with the axes of its shape named "0", "1", …
    head     the module's constants
    outside  what arrays are outside of their domains
    columns  the arrays that lie in memory with their first axis last
    truths   the arrays of truth values
    forms    the notations that were used
    """

    program: ArrayProgram
    source: Callable[[str], Code]
    head: Head
    outside: Outside
    dtype: str = "float64"
    columns: frozenset[str] = frozenset()
    truths: set[str] = field(default_factory=set)
    forms: list[Notation] = field(default_factory=list)

    def value(self, statement: Statement) -> Code:
        """The value of a statement, with the axes of `grid`; those it lacks are left out."""
        lengths = self.grid(statement)
        grid = tuple(lengths)
        if isinstance(statement.value, Apply):
            return self._applied(statement.value, grid, lengths)
        return self._reduced(statement.value, grid, lengths)

    def grid(self, statement: Statement) -> dict[str, int]:
        """The axes of a statement and their lengths, as what it writes lies in memory."""
        axes = statement.axes
        if statement.array in self.columns:
            axes = (*axes[1:], *axes[:1])
        return {axis.name: axis.length for axis in axes}

    def viewed(
        self, read: Read, source: Code, lengths: Mapping[str, int], writing: bool = False
    ) -> Code:
        """What a read is of an array that is `source`, its axes called "0", "1" and so on."""
        shape = self.program.arrays[read.array].shape
        order = [int(axis) for axis in source.axes]
        if order != sorted(order):
            read = replace(read, index=tuple([read.index[k] for k in order]))
            shape = tuple([shape[k] for k in order])
        return view(read, source, shape, lengths, self.head, writing)

    def mask(self, domain: Iterable[Condition], lengths: Mapping[str, int]) -> Code | None:
        """Where all conditions hold, a truth value for each point; None for everywhere."""
        whole: Code | None = None
        for condition in domain:
            one = self._condition(condition, lengths)
            if whole is not None:
                axes = [axis for axis in lengths if axis in (*whole.axes, *one.axes)]
                first, second = arranged(whole, axes), arranged(one, axes)
                one = Code(f"{first.tight} & {second.tight}", tuple(axes), SUM)
            whole = one
        if whole is None:
            return None
        return Code(self.head.constant(whole.text, "mask"), whole.axes)

    def read(self, read: Read, lengths: Mapping[str, int], truth: bool = False) -> Code:
        """An element of an array at every point, as a view; truth values as numbers."""
        array = self.program.arrays[read.array]
        constant = all(isinstance(i, Affine) and not i.terms for i in read.index)
        if array.kind == LITERAL and (constant or _all_alike(array.values)):
            place = 0
            for index, length in zip(read.index, array.shape, strict=True):
                place = place * length + (index.offset if constant else 0)  # type: ignore[union-attr]
            return number(array.values[place])
        source = self.source(read.array)
        if array.home is not None and array.size > SMALL:
            first, last = array.home.places[0], array.home.places[-1]
            source = replace(source, strided=last - first >= array.size)
        names = axes_of(read)
        own = [str(axis) for axis in range(len(array.shape))]
        if names is not None and tuple([lengths[name] for name in names]) == array.shape:
            renaming = dict(zip(own, names, strict=True))
            code = source.renamed(renaming)
        else:
            code = self.viewed(read, source, lengths)
        if read.array in self.truths and not truth and not is_number(code):
            code = code.through(f".astype(np.{self.dtype})", code.axes)
            code = replace(code, memory="")
        return replace(code, truth=truth and read.array in self.truths)

    def _applied(self, value: Apply, grid: Sequence[str], lengths: Mapping[str, int]) -> Code:
        if not any(isinstance(operand, Read) for operand in value.operands):
            return number(value.op.evaluate(*value.operands, *value.statics))
        operands = [
            self._operand(operand, lengths, place in value.op.conditions)
            for place, operand in enumerate(value.operands)
        ]
        if value.op is STOP_GRADIENT or (value.op is POW_CONST and value.statics == (1.0,)):
            return operands[0]
        constants = [constant_of(code) for code in operands]
        if None not in constants:
            return number(value.op.evaluate(*constants, *value.statics))
        if value.op is MUL:
            sign, selected = _selected(1.0, operands)
            operands = selected if sign > 0 else operands
        if self.dtype != "float64" and value.op.conditions:
            operands = self._of_own_type(operands, value.op.conditions)
        form = value.op.spelling("numpy", value.statics)
        self.forms.append(form)
        fixed = {
            name: number(float(static)).text
            for name, static in zip(value.op.statics, value.statics, strict=True)
        }
        made = operation(form, operands, grid, fixed, value.op.truth)
        if value.op is WHERE and not self._is_truth(value.operands[0]):
            return made
        return replace(made, op=value.op, operands=tuple(operands), statics=value.statics)

    def _is_truth(self, operand: Operand) -> bool:
        return isinstance(operand, Read) and operand.array in self.truths

    def _of_own_type(self, operands: list[Code], conditions: Sequence[int]) -> list[Code]:
        """Numbers to choose between as numbers of the function's type, where all are numbers."""
        chosen = [k for k in range(len(operands)) if k not in conditions]
        if not all(is_number(operands[k]) for k in chosen):
            return operands
        made = list(operands)
        for k in chosen:
            made[k] = Code(f"np.{self.dtype}({operands[k].text})")
        return made

    def _operand(self, operand: Operand, lengths: Mapping[str, int], truth: bool = False) -> Code:
        if isinstance(operand, Read):
            return self.read(operand, lengths, truth)
        return number(operand)

    def _reduced(self, value: Reduce, grid: Sequence[str], lengths: Mapping[str, int]) -> Code:
        if value.op is not ADD:
            extremes = [self._extreme(term, value.op.name, lengths) for term in value.terms]
            return self._largest(extremes, value.op.name, grid)
        parts = [self._term(term, grid, lengths) for term in value.terms]
        while len(parts) > MANY:  # in parentheses, so that nothing nests deeply
            some = [parts[k : k + MANY] for k in range(0, len(parts), MANY)]
            parts = [(1, self._sum(part, grid)) for part in some]
        return self._sum(parts, grid)

    def _sum(self, parts: Sequence[tuple[int, Code]], grid: Sequence[str]) -> Code:
        """Terms with their signs added up; truth values count as 1 and 0 beside other numbers.

        A sum starts with what is added and has all axes, so that nothing is turned or grown. One of
        numbers alone is a number.
        """
        constants = [constant_of(code) for _, code in parts]
        if parts and None not in constants:
            signed = [
                sign * c for (sign, _), c in zip(parts, constants, strict=True) if c is not None
            ]
            return number(reduce(add, signed))
        counted = [(sign, code, _counted(code)) for sign, code in parts]
        if any(how is None for _, _, how in counted):
            numbers = [(sign, code) for sign, code, how in counted if how is None]
            truths = [(sign * how[0], how[1]) for sign, _, how in counted if how is not None]
            total = self._added_up(numbers, grid)
            for sign, code in truths:
                total = joined(total, ADD if sign > 0 else SUB, code, grid)
            return total
        return self._added_up(parts, grid)

    def _added_up(self, parts: Sequence[tuple[int, Code]], grid: Sequence[str]) -> Code:
        plus = [k for k, (sign, _) in enumerate(parts) if sign > 0]
        full = [k for k in plus if len(parts[k][1].axes) == len(grid)]
        first = (full or plus or [0])[0]
        sign, total = parts[first]
        if sign < 0:
            total = replace(operation(_NEGATIVE, [total], grid), minus=total)
        for sign, code in [*parts[:first], *parts[first + 1 :]]:
            total = joined(total, ADD if sign > 0 else SUB, code, grid)
        return total

    def _largest(self, parts: Sequence[Code], name: str, grid: Sequence[str]) -> Code:
        form = (MAXIMUM if name == MAXIMUM.name else MINIMUM).spelling("numpy", ())
        return reduce(lambda total, code: operation(form, [total, code], grid), parts)

    def _extreme(self, term: Term, name: str, outer: Mapping[str, int]) -> Code:
        """The largest, or the smallest, of a term."""
        lengths = {**outer, **{axis.name: axis.length for axis in term.over}}
        code = self._operand(term.factors[0], lengths)
        least = -inf if name == MAXIMUM.name else inf
        mask = self.mask(self.outside.unbounded(term, least, lengths), lengths)
        if mask is not None:
            code = where(mask, code, list(lengths), number(least).text)
        return _over_axes(code, [axis.name for axis in term.over if axis.name in code.axes], name)

    def _term(self, term: Term, grid: Sequence[str], outer: Mapping[str, int]) -> tuple[int, Code]:
        """The sign of a term and its size, summed over its axes."""
        lengths = {**outer, **{axis.name: axis.length for axis in term.over}}
        order = list(lengths)
        over = tuple([axis.name for axis in term.over])
        codes = [self._factor(f, term, lengths) for f in term.factors]
        mask = self.mask(self.outside.uncovered(term, lengths), lengths)
        scale = float(term.count)
        factors = []
        if mask is None and over:
            codes = [one for code in codes for one in _squared(code, over)]
        elif mask is None and len(codes) > 1:
            scale, codes = _selected(scale, codes)
        for code in codes:
            if code.minus is not None:
                code, scale = code.minus, -scale
            if code.text.startswith("np.") or not is_number(code):
                factors.append(code)
            else:
                scale *= float(code.text)
        if mask is not None:
            if len(factors) > 1 and not over and _within(factors, mask):  # may be infinite
                factors = [contracted(factors, over, grid, lengths, head=self.head)]
            factors = self._masked(factors, mask, order)
        missing = [axis for axis in over if not any(axis in factor.axes for factor in factors)]
        for axis in missing:
            if lengths[axis] == BATCH:
                factors.append(Code(f"np.{self.dtype}({self.head.samples})"))  # may be 0
            else:
                scale *= lengths[axis]
        sign = 1 if copysign(1.0, scale) > 0 else -1
        return sign, contracted(factors, over, grid, lengths, abs(scale), self.head)

    def _factor(self, factor: Operand, term: Term, lengths: Mapping[str, int]) -> Code:
        """A factor, with 0 for what it is where the term has no point, if that may not be finite.

        What others are there may be 0, and 0 times an infinity is no number.
        """
        code = self._operand(factor, lengths)
        mask = self.mask(self.outside.unsafe(factor, term), lengths)
        return code if mask is None else where(mask, code, list(lengths))

    def _masked(self, factors: list[Code], mask: Code, order: Sequence[str]) -> list[Code]:
        """The factors with 0 where the mask does not hold."""
        masked = set(mask.axes)
        for place, code in enumerate(factors):
            alone = len(factors) == 1 and masked.issuperset(code.axes)  # it may be infinite
            if alone or masked.issubset(code.axes):
                return [*factors[:place], where(mask, code, order), *factors[place + 1 :]]
        text = f"np.multiply({mask.text}, 1.0, dtype=np.{self.dtype})"
        ones = self.head.constant(text, f"{mask.text}_ones")
        return [*factors, Code(ones, mask.axes, memory=ones)]

    def _condition(self, condition: Condition, lengths: Mapping[str, int]) -> Code:
        axes = tuple([axis for axis in lengths if axis in condition.axes])
        if isinstance(condition, (AtLeast, Unequal)):
            return self._compared(condition, axes, lengths)
        if isinstance(condition, Among):
            return Code(self.head.constant(_points(condition, axes, lengths), condition.name), axes)
        left = counted(condition.left, axes, lengths, self.head)
        right = counted(condition.right, axes, lengths, self.head)
        return Code(f"{left} == {right}", axes, COMPARISON)

    def _compared(
        self, condition: AtLeast | Unequal, axes: Sequence[str], lengths: Mapping[str, int]
    ) -> Code:
        index = condition.expression
        above = tuple([term for term in index.terms if term[1] > 0])
        below = tuple([(axis, -stride) for axis, stride in index.terms if stride < 0])
        larger = counted(Affine(max(index.offset, 0), above), axes, lengths, self.head)
        smaller = counted(Affine(max(-index.offset, 0), below), axes, lengths, self.head)
        sign = "<=" if isinstance(condition, AtLeast) else "!="
        return Code(f"{smaller} {sign} {larger}", tuple(axes), COMPARISON)


def _within(factors: Sequence[Code], mask: Code) -> bool:
    """Whether no factor has an axis that the mask has not."""
    return all(set(factor.axes) <= set(mask.axes) for factor in factors)


def _all_alike(values: Sequence[float]) -> bool:
    """Whether numbers are all the same, the sign of a zero counting."""
    if len(set(values)) != 1:
        return False
    return values[0] != 0.0 or len({copysign(1.0, value) for value in values}) == 1


def number(value: float) -> Code:
    """A number as NumPy code."""
    if value != value:
        return Code("np.nan")
    if not isfinite(value):
        return Code("np.inf") if value > 0 else Code("-np.inf", binds=UNARY)
    text = repr(float(value))
    return Code(text, binds=UNARY if text.startswith("-") else ATOM)


def constant_of(code: Code) -> float | None:
    """The number that an expression is, if it is one."""
    bare = replace(code, text=code.text.replace("np.", ""))
    return float(bare.text) if is_number(bare) else None


def is_number(code: Code) -> bool:
    """Whether the code is a number as it is written."""
    if code.memory:
        return False
    try:
        float(code.text)
    except ValueError:
        return False
    return True


def scaled(code: Code, scale: float) -> Code:
    """Some times it."""
    if scale == 1.0:
        return code
    if is_number(code):
        return number(scale * float(code.text))
    return _product(number(scale), code, code.axes)


_NEGATIVE: Final = Notation("-{0}", UNARY, (UNARY,), "np.negative({0}, out={out})")


def operation(
    form: Notation,
    operands: Sequence[Code],
    order: Sequence[str],
    fixed: Mapping[str, str] | None = None,
    truth: bool = False,
) -> Code:
    """What a notation makes of values, element by element; `fixed` are static arguments as text."""
    axes = tuple([axis for axis in order if any(axis in code.axes for code in operands)])
    shown, fixed = [arranged(code, axes) for code in operands], fixed or {}
    slots = (*form.slots, *[0] * len(operands))
    texts = [code.within(slot) for code, slot in zip(shown, slots, strict=False)]
    text, filling, update = form.template.format(*texts, **fixed), "", None
    depth = 1 + max(code.depth for code in shown)
    if form.operator:
        update = (shown[0].text, form.operator, shown[1].text)
        depth = max(shown[0].depth, shown[1].depth + 1)
        truth = truth or all(code.truth for code in operands)
    if form.out:
        filling = form.out.format(*[code.text for code in shown], out="{out}", **fixed)
    made = Code(text, axes, form.binds, "", filling, depth, update, truth=truth)
    whole = [k for k, code in enumerate(operands) if len(code.axes) == len(axes)]
    return made.starting(_in_turn(form, shown, whole, fixed)) if filling else made


def joined(one: Code, op: Op, other: Code, order: Sequence[str]) -> Code:
    """Two values added, subtracted, multiplied or divided, element by element."""
    return operation(op.spelling("numpy", ()), [one, other], order)


def contracted(
    factors: Sequence[Code],
    over: Sequence[str],
    grid: Sequence[str],
    lengths: Mapping[str, int],
    scale: float = 1.0,
    head: Head | None = None,
) -> Code:
    """The product of factors summed over axes, `scale` times; its axes are some of `grid`.

    With a `head`, sums over an axis may be products with a constant of ones.

    >>> x, w = Code("x", ("p", "c")), Code("w", ("e", "c"))
    >>> contracted([x, w], ["c"], ["p", "e"], {"p": 2, "c": 3, "e": 4}).text
    'np.dot(x, w.T)'
    >>> contracted([x], ["c"], ["p"], {"p": 2, "c": 3}).text
    'np.add.reduce(x, axis=1)'
    """
    if not factors:
        return number(scale)
    left = [_summed_alone(k, over, factors, lengths, head) for k in range(len(factors))]
    sizes = [_size(code.axes, lengths) for code in left]
    result = {axis for code in left for axis in code.axes} - set(over)
    if scale != 1.0 and min(sizes) < _size(result, lengths):
        smallest = sizes.index(min(sizes))
        left[smallest] = scaled(left[smallest], scale)
        scale = 1.0
    order = [*grid, *over]
    while len(left) > 1:
        left = _paired(left, over, order, lengths, head)
    rest = [axis for axis in over if axis in left[0].axes]
    return scaled(_over_axes(left[0], rest, "add", lengths, head), scale)


def _paired(
    factors: list[Code],
    over: Sequence[str],
    order: Sequence[str],
    lengths: Mapping[str, int],
    head: Head | None,
) -> list[Code]:
    """Two factors made one, those whose product is smallest, summed over what no other one has."""

    def alone(i: int, j: int) -> list[str]:
        others = {axis for k, f in enumerate(factors) if k not in (i, j) for axis in f.axes}
        both = {*factors[i].axes, *factors[j].axes}
        return [axis for axis in over if axis in both and axis not in others]

    def cost(pair: tuple[int, int]) -> tuple[int, int]:
        both = {*factors[pair[0]].axes, *factors[pair[1]].axes}
        return _size(both.difference(alone(*pair)), lengths), _size(both, lengths)

    pairs = [(i, j) for j in range(len(factors)) for i in range(j)]
    i, j = min(pairs, key=cost)
    a, b, summed = factors[i], factors[j], alone(i, j)
    if any(axis in a.axes and axis in b.axes for axis in summed):
        both = [a, b]
        a, b = (_summed_alone(k, summed, both, lengths, head) for k in (0, 1))
        if head is not None and _is_by_rows(a, b, summed, lengths):
            product = _over_axes(_product(a, b, order), summed, "add", lengths, head)
        else:
            rest = [axis for axis in order if axis not in summed]
            product = _matrix_product(a, b, summed, rest, lengths)
    else:
        product = _product(a, b, order)
        inner = [axis for axis in summed if axis in product.axes]
        product = _over_axes(product, inner, "add", lengths, head)
    return [product, *[f for k, f in enumerate(factors) if k not in (i, j)]]


def _size(axes: Iterable[str], lengths: Mapping[str, int]) -> int:
    return prod(SAMPLES if lengths[axis] == BATCH else lengths[axis] for axis in axes)


def _is_by_rows(a: Code, b: Code, summed: Sequence[str], lengths: Mapping[str, int]) -> bool:
    """Whether the rows of two small matrices are multiplied, each with the one in its place."""
    alike = set(a.axes) == set(b.axes) and len(a.axes) == 2 and len(summed) == 1
    return alike and lengths[summed[0]] != BATCH and _size(a.axes, lengths) <= SMALL


def _summed_alone(
    place: int,
    over: Sequence[str],
    factors: Sequence[Code],
    lengths: Mapping[str, int],
    head: Head | None,
) -> Code:
    """A factor without the summed axes that no other factor has."""
    code = factors[place]
    if len(factors) == 1:
        return code
    others = [axis for k, other in enumerate(factors) if k != place for axis in other.axes]
    own = [axis for axis in over if axis in code.axes and axis not in others]
    return _over_axes(code, own, "add", lengths, head)


def _counted(code: Code) -> tuple[int, Code] | None:
    """Where it is 1 or -1 where a truth value holds and 0 elsewhere: which, and that value."""
    if code.op is not WHERE:
        return None
    condition, one, other = code.operands
    if one.text not in ("1.0", "-1.0") or other.text != "0.0" or condition.axes != code.axes:
        return None
    return int(float(one.text)), condition


def _selected(scale: float, factors: list[Code]) -> tuple[float, list[Code]]:
    """Factors that are 1 or -1 where a truth value holds and 0 elsewhere, as truth values."""
    found = [_counted(code) for code in factors]
    if None not in found:
        return scale, factors
    for how in found:
        scale *= 1 if how is None else how[0]
    return scale, [c if how is None else how[1] for c, how in zip(factors, found, strict=True)]


def _squared(code: Code, over: Sequence[str]) -> tuple[Code, ...]:
    """A square that is summed over all its axes as two factors, others as they are."""
    square = is_square(code) and set(code.axes) <= set(over)
    return (*code.operands, *code.operands) if square and code.axes else (code,)


def _in_turn(
    form: Notation, operands: Sequence[Code], whole: Iterable[int], fixed: Mapping[str, str]
) -> Iterator[tuple[Code, str]]:
    """Each operand that has all axes, and what is done once it is in the memory of the result."""
    texts = [code.text for code in operands]
    out = form.out or ""
    for k in whole:
        if form.operator and (k == 0 or form.operator in "+*"):
            yield operands[k], f"{{out}} {form.operator}= {texts[1 - k]}"
        elif out.count(f"{{{k}}}") == 1:
            given = [*texts[:k], "{out}", *texts[k + 1 :]]
            yield operands[k], out.format(*given, out="{out}", **fixed)


def is_square(value: Apply | Code) -> bool:
    """Whether it is a square."""
    return value.op is POW_CONST and value.statics == (2.0,)


def _called(function: str, inside: str, axes: Sequence[str], operands: Sequence[Code]) -> Code:
    """A call of a function of NumPy, which can write into memory unless it gives a number."""
    filling = f"np.{function}({inside}, out={{out}})" if axes else ""
    depth = 1 + max(code.depth for code in operands)
    truth = all(code.truth for code in operands)
    return Code(f"np.{function}({inside})", tuple(axes), ATOM, "", filling, depth, truth=truth)


def _product(one: Code, other: Code, order: Sequence[str]) -> Code:
    """Two factors multiplied element by element, or divided where one is 1 over something."""
    for first, second in ((one, other), (other, one)):
        if _is_reciprocal(second) and not _is_reciprocal(first):
            return joined(first, DIV, second.operands[1], order)
    return joined(one, MUL, other, order)


def _is_reciprocal(code: Code) -> bool:
    return code.op is DIV and code.operands[0].text == "1.0"


def _over_axes(
    code: Code,
    axes: Sequence[str],
    name: str,
    lengths: Mapping[str, int] | None = None,
    head: Head | None = None,
) -> Code:
    """The sum, or the largest or smallest, over some of its axes."""
    if not axes:
        return code
    rest = tuple([axis for axis in code.axes if axis not in axes])
    if name == "add" and not rest and code.op is WHERE:
        condition, one, other = code.operands
        if other.text == "0.0" and one.axes == condition.axes == code.axes:
            picked = f"np.add.reduce({one.tight}[{condition.text}])"
            return Code(picked, (), ATOM, "", "", code.depth + 1)
    if name == "add" and lengths is not None and head is not None:
        product = _with_ones(code, axes, lengths, head)
        if product is not None:
            return product
        if code.memory and code.axes[-1] in axes and _are_few(axes, rest, lengths):
            return _slices_added(code, axes, rest, lengths)
    places = sorted(code.axes.index(axis) for axis in axes)
    where = str(places[0]) if len(places) == 1 else str(tuple(places))
    # What `.sum(axis)` calls in the end, at half the price for small arrays.
    inside = f"{code.text}, axis={where if rest else None}"
    return _called(f"{name}.reduce", inside, rest, (code,))


def _are_few(axes: Sequence[str], rest: Sequence[str], lengths: Mapping[str, int]) -> bool:
    """Whether a sum over the last axis is of a few numbers, and there are many such sums."""
    return 1 <= prod(lengths[axis] for axis in axes) <= FEW and _size(rest, lengths) >= LARGE


def _slices_added(
    code: Code, axes: Sequence[str], rest: tuple[str, ...], lengths: Mapping[str, int]
) -> Code:
    """The sum over some axes as the sum of what is at each of their places."""
    parts = []
    for places in product(*[range(lengths[axis]) for axis in axes]):
        at = dict(zip(axes, map(str, places), strict=True))
        parts.append(f"{code.tight}[{', '.join(at.get(axis, ':') for axis in code.axes)}]")
    return Code(" + ".join(parts), rest, SUM, "", "", code.depth + 1)


def _with_ones(
    code: Code, axes: Sequence[str], lengths: Mapping[str, int], head: Head
) -> Code | None:
    """The sum over an axis of a matrix as its product with ones, at half the price of a sum."""
    if len(code.axes) != 2 or len(axes) != 1 or lengths[axes[0]] == BATCH:
        return None
    (axis,) = axes
    dtype = "" if head.dtype == "float64" else f", dtype=np.{head.dtype}"
    ones = head.constant(f"np.ones({lengths[axis]}{dtype})", "ones")
    inside = f"{code.text}, {ones}" if code.axes[1] == axis else f"{ones}, {code.text}"
    rest = tuple([other for other in code.axes if other != axis])
    return _called("dot", inside, rest, (code,))


def _matrix_product(
    a: Code, b: Code, over: Sequence[str], grid: Sequence[str], lengths: Mapping[str, int]
) -> Code:
    inner = [axis for axis in a.axes if axis in over and axis in b.axes]
    stacked = [axis for axis in grid if axis in a.axes and axis in b.axes]
    rows = [axis for axis in a.axes if axis not in (*inner, *stacked)]
    columns = [axis for axis in b.axes if axis not in (*inner, *stacked)]
    if columns and (not rows or grid.index(columns[0]) < grid.index(rows[0])):
        a, b, rows, columns = b, a, columns, rows
    if not rows and not columns and not stacked:
        other = transposed(b, a.axes)
        if len(inner) == 1:
            return _called("dot", f"{a.text}, {other.text}", (), (a, b))
        return _called("vdot", f"{a.text}, {other.text}", (), (a, b))
    if stacked and (len(inner) > 1 or len(rows) != 1 or len(columns) != 1):
        return _einsum(a, b, [axis for axis in grid if axis in (*a.axes, *b.axes)])
    if not stacked:
        return _in_groups(a, b, (inner, rows, columns), lengths)
    first = transposed(a, [*stacked, *rows, *inner])
    second = transposed(b, [*stacked, *inner, *columns])
    text = f"{first.within(PRODUCT)} @ {second.within(PRODUCT + 1)}"
    axes = (*stacked, *rows, *columns)
    made = _called("matmul", f"{first.text}, {second.text}", axes, (a, b))
    return replace(made, text=text, binds=PRODUCT)


def _in_groups(
    a: Code,
    b: Code,
    groups: tuple[Sequence[str], Sequence[str], Sequence[str]],
    lengths: Mapping[str, int],
) -> Code:
    """The product of matrices, each of these groups of axes, the summed ones first, as one axis.

    `np.dot` costs less a call than `@`, but copies what does not lie row by row.
    """
    inner, rows, columns = groups
    names = {"r": rows, "c": columns, "s": inner}

    def length(name: str) -> int:
        found = prod(lengths[axis] for axis in names[name])
        return BATCH if found < 0 else found

    def matrix(code: Code, first: str, second: str) -> Code:
        """A factor with two axes, which lie as it has them where that is possible."""
        straight = [*names[first], *names[second]]
        turned = [*names[second], *names[first]]
        order = turned if list(code.axes) == turned and turned != straight else straight
        lying = (second, first) if order == turned and turned != straight else (first, second)
        code = transposed(code, order)
        own = tuple([name for name in lying if names[name]])
        shape = tuple([length(name) for name in own])
        code = reshaped(code, shape, own, tuple([lengths[axis] for axis in code.axes]))
        return transposed(code, [name for name in (first, second) if names[name]])

    one, other = matrix(a, "r", "s"), matrix(b, "s", "c")
    inside = f"{one.text}, {other.text}"
    axes = tuple([name for name in ("r", "c") if names[name]])
    strided = (a.strided or b.strided) and max(map(len, groups)) == 1
    made = _called("matmul" if strided else "dot", inside, axes, (a, b))
    shape = tuple([lengths[axis] for axis in (*rows, *columns)])
    return reshaped(made, shape, (*rows, *columns), tuple([length(name) for name in axes]))


def _einsum(a: Code, b: Code, axes: Sequence[str]) -> Code:
    """The product with the axes of `axes`, summed over the others."""
    rest = dict.fromkeys((*a.axes, *b.axes))
    letters = dict(zip(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", strict=False))
    parts = ["".join(letters[axis] for axis in some) for some in (a.axes, b.axes, axes)]
    inside = f'"{parts[0]},{parts[1]}->{parts[2]}", {a.text}, {b.text}'
    return _called("einsum", inside, axes, (a, b))


def where(mask: Code, code: Code, order: Sequence[str], otherwise: str = "0.0") -> Code:
    """What is another number where the mask does not hold."""
    axes = [axis for axis in order if axis in code.axes or axis in mask.axes]
    text = f"np.where({arranged(mask, axes).text}, {arranged(code, axes).text}, {otherwise})"
    return Code(text, tuple(axes), ATOM, "", "", code.depth + 1)


def _points(condition: Among, axes: Sequence[str], lengths: Mapping[str, int]) -> str:
    """A mask with the points of a list written out."""
    shape = [lengths[axis] for axis in axes]
    grid = points([Axis(axis, length) for axis, length in zip(axes, shape, strict=True)])
    return mask_literal(holds(condition, grid).reshape(shape))
