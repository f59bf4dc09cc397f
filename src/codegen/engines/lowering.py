"""From statements in index notation to tensors.

A statement becomes one expression on whole arrays; what several statements write, and vectors that
are made of parts, are put together at once. Nothing is written over, so what comes of it is a
function in the sense of mathematics, which engines may trace, map and differentiate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import Any, Final

from ...arrays.statements import LEAF, LITERAL, Array, Statement
from ...errors import MissingInputError
from ...graph.store import listing
from ...ops.points import flat_places, points
from ...ops.reads import Affine, Apply, Operand, Read, Reduce, Term
from ...ops.scalar import ADD, MAXIMUM, MUL
from ...ops.shapes import BATCH, Shape
from ..array.function import ArrayFunction, Element, Vector, Whole
from ..array.outside import Outside
from ..program import Nested, map_nested
from .contraction import contracted
from .reading import Named, arranged, filled, mask_of, viewed
from .tensors import ALL, Argument, Builder, Key, Samples, Tensor
from .vectors import Piece, part, whole

MANY: Final = 12
"""A sum of more terms is a sum of sums."""


@dataclass(frozen=True)
class TensorFunction:
    """A function on tensors: those that are made, in order, what they are called, and the results.

    samples   the argument that says how many samples there are, "" without a batch
    """

    tensors: tuple[Tensor, ...]
    names: Mapping[Tensor, str]
    outputs: Nested
    samples: str


@dataclass(frozen=True)
class _Written:
    """What one statement writes of an array that others write too."""

    statement: Statement
    named: Named


def lowered(function: ArrayFunction) -> TensorFunction:
    """The statements of a function as tensors."""
    return _Lowering(function).function()


class _Lowering:
    def __init__(self, function: ArrayFunction) -> None:
        self._function = function
        self._program = function.program
        self._arrays = function.program.arrays
        self._builder = Builder()
        self._groups = {group.name: group for group in function.groups}
        batched = [group.argument for group in function.groups if group.batched and group.leaves]
        self._samples = batched[0] if batched else ""
        self._writers = Counter(s.array for s in self._program.statements)
        self._known: dict[str, Tensor] = {}
        self._written: dict[str, list[_Written]] = {}
        self._outside = Outside(self._program)

    def function(self) -> TensorFunction:
        """All of it."""
        self._check_leaves()
        for statement in self._program.statements:
            self._write(statement)
        outputs = map_nested(self._function.outputs, self._result)
        builder = self._builder
        return TensorFunction(tuple(builder.made), builder.names, outputs, self._samples)

    # Arrays.

    def _check_leaves(self) -> None:
        """Refuse leaves that are neither arguments nor numbers."""
        used = {read.array for s in self._program.statements for read in s.reads}
        used.update(output.array for output in self._program.outputs)
        missing: list[str] = []
        for name, array in self._arrays.items():
            if name in used and array.kind == LEAF and not self._is_given(array):
                lost = [e for e in array.elements if e not in self._function.values]
                missing += lost or ([] if array.elements else [name])
        if missing:
            raise MissingInputError(
                f"the outputs depend on {listing(missing)}, which no "
                "argument names; add them to the inputs of compile"
            )

    def _is_given(self, array: Array) -> bool:
        home = array.home
        return array.name in self._groups or (home is not None and home.vector in self._groups)

    def array(self, name: str) -> Tensor:
        """An array as it is now."""
        if name not in self._known:
            self._known[name] = self._builder.named(self._opened(name), name)
        return self._known[name]

    def _opened(self, name: str) -> Tensor:
        import numpy

        array = self._arrays[name]
        if array.kind == LITERAL:
            return self._constant(numpy.array(array.values, numpy.float64), array)
        if array.kind == LEAF:
            return self._leaf(array)
        if name in self._written:
            return self._put_together(array, self._written[name])
        parts = self._program.parts(name)
        batched = array.shape[:1] == (BATCH,)
        pieces = [
            Piece(numpy.array(p.home.places), self._as_numbers(p.name), p.shape[:1] == (BATCH,))
            for p in parts
            if p.home is not None and p.size
        ]
        return whole(self._builder, array.size, pieces, batched)

    def _as_numbers(self, name: str) -> Tensor:
        return self._builder.as_number(self.array(name))

    def _constant(self, values: Any, array: Array) -> Tensor:
        if not array.shape:
            return self._builder.number(float(values.ravel()[0]))
        if (values == values.ravel()[0]).all():
            return self._builder.grown(self._builder.number(float(values.ravel()[0])), array.shape)
        return self._builder.constant(values.reshape(array.shape), array.name)

    def _leaf(self, array: Array) -> Tensor:
        import numpy

        builder = self._builder
        if array.name in self._groups:
            return self._argument(array.name, len(array.shape))
        home = array.home
        if home is not None and home.vector in self._groups:
            group = self._groups[home.vector]
            vector = builder.make(Argument(group.argument), (), group.whole)
            if group.scalar:
                return vector
            shape = array.shape[group.batched :]
            return part(builder, vector, numpy.array(home.places), shape)
        values = numpy.array([self._function.values[e] for e in array.elements])
        return self._constant(values, array)

    def _argument(self, name: str, axes: int) -> Tensor:
        """An argument; a number is a vector of one where that is wanted, or one as it."""
        group = self._groups[name]
        tensor = self._builder.make(Argument(group.argument), (), group.whole)
        inner = axes - group.batched
        if inner == len(group.row):
            return tensor
        keep: list[Key] = [ALL] if group.batched else []
        return self._builder.cut(tensor, [*keep, None if inner else 0])

    # Statements.

    def _write(self, statement: Statement) -> None:
        lengths = {axis.name: axis.length for axis in statement.axes}
        named = self._value(statement.value, lengths)
        named = self._set_outside(statement, named, lengths)
        name, array = statement.array, self._arrays[statement.array]
        grid, shape = tuple(lengths), tuple(lengths.values())
        if self._writers[name] == 1 and self._is_whole(statement, array):
            self._known[name] = self._builder.named(filled(self._builder, named, grid, shape), name)
            return
        tensor = filled(self._builder, named, grid, shape)
        self._builder.named(tensor, name)
        self._written.setdefault(name, []).append(_Written(statement, Named(tensor, grid)))
        self._known.pop(name, None)

    def _is_whole(self, statement: Statement, array: Array) -> bool:
        lengths = tuple([axis.length for axis in statement.axes])
        return statement.place is None and lengths == array.shape

    def _put_together(self, array: Array, written: Sequence[_Written]) -> Tensor:
        """An array of what several statements write."""
        builder = self._builder
        batched = array.shape[:1] == (BATCH,)
        sized = tuple([1 if length == BATCH else length for length in array.shape])
        front: Shape = (BATCH,) if batched else ()
        pieces = []
        for one in written:
            statement, tensor = one.statement, builder.as_number(one.named.tensor)
            grid = [axis.name for axis in statement.axes]
            samples = [axis.name for axis in statement.axes if axis.length == BATCH]
            tensor = arranged(
                builder,
                Named(tensor, tuple(grid)),
                [*samples, *(a for a in grid if a not in samples)],
            )
            inner = [axis for axis in statement.axes if axis.length != BATCH]
            every = points(statement.axes)
            columns = points(statement.axes, statement.domain)
            places = flat_places(statement.target, sized, columns)
            if not len(places):
                continue
            own: Shape = (BATCH,) if samples else ()
            flat = builder.reshaped(tensor, (*own, prod(axis.length for axis in inner)))
            if len(places) < len(every[""]):
                chosen = flat_places(
                    tuple([Affine(0, ((axis.name, 1),)) for axis in inner]),
                    tuple([axis.length for axis in inner]),
                    columns,
                )
                flat = builder.picked(flat, len(own), builder.constant(chosen, "places"))
            pieces.append(Piece(places, flat, bool(samples)))
        flat = whole(builder, prod(sized), pieces, batched)
        return builder.reshaped(flat, (*front, *sized[batched:]))

    def _set_outside(self, statement: Statement, named: Named, lengths: Mapping[str, int]) -> Named:
        """The value with what is wanted outside the domain."""
        alone = self._writers[statement.array] == 1 and statement.place is None
        wanted = self._outside.written(statement, alone)
        mask = None if wanted is None else mask_of(self._builder, statement.domain, lengths)
        if wanted is None or mask is None:
            return named
        return self._masked(mask, named, list(lengths), wanted)

    # Values.

    def _value(self, value: Apply | Reduce, lengths: Mapping[str, int]) -> Named:
        if isinstance(value, Reduce):
            return self._reduced(value, lengths)
        operands = [self._operand(operand, lengths) for operand in value.operands]
        axes = tuple([a for a in lengths if any(a in one.axes for one in operands)])
        given = [arranged(self._builder, one, axes) for one in operands]
        return Named(self._builder.pointwise(value.op, given, value.statics), axes)

    def _operand(self, operand: Operand, lengths: Mapping[str, int]) -> Named:
        if not isinstance(operand, Read):
            return Named(self._builder.number(operand))
        array = self._arrays[operand.array]
        if array.kind == LITERAL and len(set(array.values)) == 1:
            return Named(self._builder.number(array.values[0]))
        piece = self._piece_read(operand, lengths)
        return piece or viewed(self._builder, operand, self.array(operand.array), lengths)

    def _piece_read(self, read: Read, lengths: Mapping[str, int]) -> Named | None:
        """A read of what one of several statements wrote, without the others."""
        for one in self._written.get(read.array, ()):
            target = one.statement.target
            if one.statement.domain or len(target) != len(read.index):
                continue
            index, axes = [], []
            for own, wanted, length in zip(
                target, read.index, self._arrays[read.array].shape, strict=True
            ):
                if isinstance(own, Affine) and not own.terms:
                    if own != wanted:
                        break
                elif isinstance(own, Affine) and own.axis is not None and own.axis not in axes:
                    axis = next(a for a in one.statement.axes if a.name == own.axis)
                    if axis.length != length:
                        break
                    index.append(wanted)
                    axes.append(own.axis)
                else:
                    break
            else:
                if set(axes) == set(one.named.axes):
                    tensor = arranged(self._builder, one.named, axes)
                    return viewed(self._builder, Read(read.array, tuple(index)), tensor, lengths)
        return None

    def _reduced(self, value: Reduce, lengths: Mapping[str, int]) -> Named:
        if value.op is not ADD:
            return self._extreme(value, lengths)
        parts = [self._term(term, lengths) for term in value.terms]
        while len(parts) > MANY:
            some = [parts[k : k + MANY] for k in range(0, len(parts), MANY)]
            parts = [(1, self._sum(group, lengths)) for group in some]
        return self._sum(parts, lengths)

    def _sum(self, parts: Sequence[tuple[int, Named]], lengths: Mapping[str, int]) -> Named:
        """Terms with their signs added up, one that is added first."""
        first = next((k for k, (sign, _) in enumerate(parts) if sign > 0), 0)
        ordered = [parts[first], *parts[:first], *parts[first + 1 :]]
        total: Tensor | None = None
        axes: tuple[str, ...] = ()
        for sign, term in ordered:
            before = axes
            axes = tuple([a for a in lengths if a in before or a in term.axes])
            if total is not None:
                total = arranged(self._builder, Named(total, before), axes)
            total = self._builder.added(total, sign, arranged(self._builder, term, axes))
        assert total is not None
        return Named(total, axes)

    def _term(self, term: Term, outer: Mapping[str, int]) -> tuple[int, Named]:
        """The sign of a term, and its size, summed over its axes."""
        builder = self._builder
        lengths = {**outer, **{axis.name: axis.length for axis in term.over}}
        over = [axis.name for axis in term.over]
        scale = float(term.count)
        factors: list[Named] = []
        for factor in term.factors:
            named = self._operand(factor, lengths)
            own = mask_of(builder, self._outside.unsafe(factor, term), lengths)
            if own is not None:
                named = self._masked(own, named, list(lengths))
            if named.tensor.number is not None:
                scale *= named.tensor.number
            else:
                factors.append(named)
        mask = mask_of(builder, self._outside.uncovered(term, lengths), lengths)
        if mask is not None:
            factors = self._with_mask(factors, mask, list(lengths))
        for axis in over:
            if not any(axis in factor.axes for factor in factors):
                if lengths[axis] == BATCH:
                    factors.append(Named(builder.make(Samples(self._samples))))
                else:
                    scale *= lengths[axis]
        sign = -1 if scale < 0 else 1
        if not factors:
            return sign, Named(builder.number(abs(scale)))
        found = contracted(builder, factors, over, list(outer), lengths)
        if abs(scale) != 1.0 or scale != scale:
            scaled = builder.pointwise(MUL, [builder.number(abs(scale)), found.tensor])
            found = Named(scaled, found.axes)
        return sign, found

    def _with_mask(self, factors: list[Named], mask: Named, order: Sequence[str]) -> list[Named]:
        """The factors with 0 where the mask does not hold."""
        masked = set(mask.axes)
        for place, named in enumerate(factors):
            alone = len(factors) == 1 and masked.issuperset(named.axes)  # it may be infinite
            if alone or masked.issubset(named.axes):
                return [
                    *factors[:place],
                    self._masked(mask, named, order),
                    *factors[place + 1 :],
                ]
        return [*factors, Named(self._builder.as_number(mask.tensor), mask.axes)]

    def _masked(
        self, mask: Named, named: Named, order: Sequence[str], otherwise: float = 0.0
    ) -> Named:
        axes = tuple([axis for axis in order if axis in (*mask.axes, *named.axes)])
        pair = [arranged(self._builder, one, axes) for one in (mask, named)]
        return Named(self._builder.chosen(pair[0], pair[1], otherwise), axes)

    def _extreme(self, value: Reduce, outer: Mapping[str, int]) -> Named:
        """The largest, or the smallest, of terms."""
        builder = self._builder
        total: Named | None = None
        for term in value.terms:
            lengths = {**outer, **{axis.name: axis.length for axis in term.over}}
            named = self._operand(term.factors[0], lengths)
            least = -inf if value.op is MAXIMUM else inf
            mask = mask_of(builder, self._outside.unbounded(term, least, lengths), lengths)
            if mask is not None:
                named = self._masked(mask, named, list(lengths), least)
            over = [axis.name for axis in term.over if axis.name in named.axes]
            places = [named.axes.index(axis) for axis in over]
            rest = tuple([axis for axis in named.axes if axis not in over])
            named = Named(builder.reduced(named.tensor, value.op, places), rest)
            if total is not None:
                axes = tuple([a for a in outer if a in total.axes or a in named.axes])
                pair = [arranged(builder, one, axes) for one in (total, named)]
                named = Named(builder.pointwise(value.op, pair), axes)
            total = named
        assert total is not None
        return total

    # Results.

    def _result(self, output: Element | Vector | Whole) -> Tensor:
        builder = self._builder
        if isinstance(output, Element):
            tensor = self._elements(output.array, (output.place,))
            tensor = builder.cut(tensor, [ALL] * (len(tensor.shape) - 1) + [0])
            return builder.grown(tensor, (BATCH,)) if output.stacked else tensor
        if isinstance(output, Whole):
            tensor, shape = self._as_numbers(output.array), self._arrays[output.array].shape
            grown = output.stacked and BATCH not in shape
            return builder.grown(tensor, (BATCH, *shape)) if grown else tensor
        parts = [self._elements(array, places) for array, places in output.pieces]
        if output.stacked and parts:
            parts = [
                builder.turned(part, (1, 0))
                if len(part.shape) == 2
                else builder.grown(builder.cut(part, [ALL, None]), (part.shape[0], BATCH))
                for part in parts
            ]
        else:  # what a sample has here, all have
            parts = [p if len(p.shape) == 1 else builder.cut(p, [0, ALL]) for p in parts]
        return builder.named(builder.joined(parts, 0), output.name)

    def _elements(self, name: str, places: Sequence[int]) -> Tensor:
        """Elements of an array, samples in front."""
        import numpy

        array, builder = self._arrays[name], self._builder
        tensor = self._as_numbers(name)
        batched = array.shape[:1] == (BATCH,)
        if tensor.number is not None:
            return builder.grown(tensor, (len(places),))
        front: Shape = (BATCH,) if batched else ()
        if len(places) == 1 and len(array.shape) > batched:
            keys = numpy.unravel_index(places[0], array.shape[batched:])
            one = builder.cut(tensor, [*([ALL] * batched), *map(int, keys)])
            return builder.reshaped(one, (*front, 1))
        flat = builder.reshaped(tensor, (*front, array.size))
        return part(builder, flat, numpy.array(places), (len(places),))
