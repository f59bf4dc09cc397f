"""Weights and bias that lie beside each other, as one matrix [W | b] in one product.

Where an argument holds a layer as rows [W | b], `b[i] + Σ_j W[i, j]·x[j]` is a product of that
matrix and the layer's input with one more feature, which is 1; and the derivatives by both are one
product again.

    n[s, i] = b[i] + Σ_j x[s, j]·w[i, j]        n[s, i] = Σ_k x_1[s, k]·wb[i, k]
    dw[i, j] = Σ_s x[s, j]·dn[s, i]             dwb[i, k] = Σ_s x_1[s, k]·dn[s, i]
    db[i] = Σ_s dn[s, i]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import Final, NamedTuple

from ...arrays.statements import COMPUTED, LEAF, Array, Home, Statement
from ...ops.reads import Axis, Operand, Read, Reduce, Term, renamed_term
from ...ops.scalar import ADD
from ...ops.shapes import BATCH, Shape
from .flow import Flow, axes_of, copy, free_name, in_order, is_sum, operands_of, with_terms
from .function import ArrayFunction

RIDES: Final = "a feature more, of ones: the bias rides along in the product"
"""The note on an input with ones."""


def with_biases(function: ArrayFunction, data: bool = True) -> ArrayFunction:
    """The function with biases in the products of their layers; itself where there is none.

    data  whether arguments are copied to have ones, or layers that read these stay as they are
    """
    work = _Folding(function, data)
    for number in range(len(function.instructions)):
        work.look_at(number)
    return work.result() if work.wide else function


class _Beside(NamedTuple):
    """Weights, and biases that lie at the end of each row of them.

    axis    which axis of the weights counts the features
    home    where [W | b] lies, row by row
    """

    weights: str
    biases: str
    axis: int
    home: Home
    shape: Shape


class _Layer(NamedTuple):
    """A layer: the terms of its values, and the statements of its derivatives, by number."""

    product: Term
    bias: Term
    values: _Beside
    source: str
    gradients: tuple[int, int]
    derivatives: _Beside


class _Folding:
    """A function on its way to one product for each layer and for its derivatives.

    wide  by the input of a layer, the vector, one for each sample, that it and its ones lie in
    """

    def __init__(self, function: ArrayFunction, data: bool) -> None:
        self.wide: dict[str, str] = {}
        self._function, self._data = function, data
        self._arrays, self._notes = dict(function.program.arrays), dict(function.notes)
        self._flow = Flow(function.program)
        self._first: list[Statement] = []
        self._statements: list[Statement | None] = list(function.instructions)

    def look_at(self, number: int) -> None:
        """Put the bias of a layer into its product, if a statement computes one."""
        statement = self._statements[number]
        if statement is None or self._shape(statement.array)[:1] != (BATCH,):
            return
        for layer in self._layers(statement):
            if layer.source not in self.wide:
                self.wide[layer.source] = self._with_ones(layer.source)
            self._fold(number, statement, layer)
            self._fold_gradient(layer)
            return

    def result(self) -> ArrayFunction:
        """The function, without the parts of vectors that nothing reads or writes any more."""
        program = self._function.program
        statements = [*self._first, *[s for s in self._statements if s is not None]]
        used = {read.array for s in statements for read in s.reads} | {s.array for s in statements}
        used.update(output.array for output in program.outputs)
        arrays = {n: a for n, a in self._arrays.items() if n in used or a.home is None}
        program = replace(program, arrays=arrays, statements=tuple(statements))
        return replace(self._function, program=program, notes=self._notes)

    def _shape(self, name: str) -> Shape:
        return self._arrays[name].shape

    # What is a layer.

    def _layers(self, statement: Statement) -> Iterator[_Layer]:
        """The layers that a statement computes, if all derivatives of them are put out."""
        if not is_sum(statement.value) or statement.place is not None or statement.domain:
            return
        for product in statement.value.terms:
            weights, source = self._product(product) or (Read(""), Read(""))
            for bias in statement.value.terms if weights.array else ():
                axis = weights.index.index(source.index[1])
                rows = (*weights.index[:axis], *weights.index[axis + 1 :])
                read = operands_of(bias)[0] if bias.factors and operands_of(bias) else Read("")
                values = self._beside(weights.array, read.array, axis) if read.array else None
                if values is not None and bias == Term(1, (Read(read.array, rows),)):
                    for found in self._gradients(source.array, self._shape(weights.array)):
                        yield _Layer(product, bias, values, source.array, *found)

    def _product(self, term: Term) -> tuple[Read, Read] | None:
        """The weights and the input of a term that is a product of them."""
        if len(term.factors) != 2 or term.count != 1 or term.domain or len(term.over) != 1:
            return None
        for one, other in (term.factors, term.factors[::-1]):
            if isinstance(one, Read) and isinstance(other, Read):
                weights, (axis,) = self._arrays[one.array], term.over
                kept = weights.kind == LEAF and weights.home and axis.name in (axes_of(one) or ())
                if kept and self._is_row(other, axis):
                    return one, other
        return None

    def _is_row(self, read: Read, axis: Axis) -> bool:
        """Whether an array is one that can get ones, and is summed along its features."""
        array = self._function.program.arrays[read.array]
        own = array.name in self._flow.free if array.kind == COMPUTED else self._data
        alone = array.shape == (BATCH, axis.length) and axes_of(read) is not None
        return own and array.kind in (COMPUTED, LEAF) and alone and read.index[1].axes == axis[:1]

    def _beside(self, weights: str, biases: str, axis: int) -> _Beside | None:
        """Where [W | b] lies, if that is regular."""
        one, other = self._arrays[weights], self._arrays[biases]
        if one.home is None or other.home is None or one.home.vector != other.home.vector:
            return None
        shape = (*one.shape[:axis], *one.shape[axis + 1 :])
        if other.shape != shape or one.kind != other.kind:
            return None
        width, inner = one.shape[axis], prod(one.shape[axis + 1 :])
        places: list[int] = []
        for row, last in enumerate(other.home.places):
            start = row // inner * width * inner + row % inner
            places += [*one.home.places[start : start + width * inner : inner], last]
        home, whole = Home(one.home.vector, tuple(places)), (*shape, width + 1)
        regular = home.strides(whole) is not None
        return _Beside(weights, biases, axis, home, whole) if regular else None

    def _gradients(self, source: str, shape: Shape) -> Iterator[tuple[tuple[int, int], _Beside]]:
        """The derivatives by weights, and by the biases beside them, of layers with an input.

        One sums over the samples what the other does, times the input.
        """
        for number in self._flow.readers[source]:
            statement, term = self._put_out(number)
            own = [f for f in operands_of(term) if f.array == source]
            rest = [f for f in term.factors if f not in own]
            if statement is None or len(own) != 1 or len(rest) != 1 or axes_of(own[0]) is None:
                continue
            feature, names = own[0].index[1].axes[0], [axis.name for axis in statement.axes]
            if feature not in names or self._shape(statement.array) != shape:
                continue
            slopes = [f.array for f in rest if isinstance(f, Read)]
            for other in [n for name in slopes for n in self._flow.readers[name]]:
                last, summed = self._put_out(other)
                alike = _form([n for n in names if n != feature], term, rest)
                if last is None or alike != _form([a.name for a in last.axes], summed):
                    continue
                beside = self._beside(statement.array, last.array, names.index(feature))
                if beside is not None:
                    yield (number, other), beside

    def _put_out(self, number: int) -> tuple[Statement | None, Term]:
        """A statement that sums one term over the samples, and is put out as it is; that term."""
        statement = self._statements[number]
        if statement is None or not is_sum(statement.value) or statement.place is not None:
            return None, Term(1, ())
        term, *others = statement.value.terms
        read = self._flow.readers[statement.array] or statement.array in self._flow.kept
        whole = not (others or read or statement.domain or term.domain)
        over_samples = [axis.length for axis in term.over] == [BATCH] and term.count == 1
        return (statement if whole and over_samples else None), term

    # What becomes of it.

    def _fold(self, number: int, statement: Statement, layer: _Layer) -> None:
        weights, biases, axis, *_ = layer.values
        both = self._both(layer.values, f"{weights}{biases}")
        self._notes[both] = f"[{weights} | {biases}]"
        assert isinstance(statement.value, Reduce)
        factors = list[Operand]()
        for read in operands_of(layer.product):
            if read.array == weights:
                rows = (*read.index[:axis], *read.index[axis + 1 :], read.index[axis])
                factors.append(Read(both, rows))
            else:
                factors.append(replace(read, array=self.wide[layer.source]))
        (over,) = layer.product.over
        wide = Term(1, tuple(factors), (Axis(over.name, over.length + 1),))
        left = [term for term in statement.value.terms if term != layer.bias]
        terms = [wide if term == layer.product else term for term in left]
        self._statements[number] = with_terms(statement, terms)

    def _fold_gradient(self, layer: _Layer) -> None:
        number, other = layer.gradients
        statement, term = self._put_out(number)
        assert statement is not None
        name = self._both(layer.derivatives, f"d{layer.values.weights}{layer.values.biases}")
        axes = list(statement.axes)
        feature = axes.pop(layer.derivatives.axis)
        axes.append(Axis(feature.name, feature.length + 1))
        factors = [
            replace(f, array=self.wide.get(f.array, f.array)) if isinstance(f, Read) else f
            for f in term.factors
        ]
        made = replace(term, factors=tuple(factors))
        self._statements[number] = Statement(name, tuple(axes), Reduce(ADD, (made,)))
        self._statements[other] = None

    def _both(self, beside: _Beside, wish: str) -> str:
        """The array [W | b]."""
        one, vector = self._arrays[beside.weights], self._arrays[beside.home.vector]
        places = beside.home.places
        elements = tuple([vector.elements[k] for k in places]) if vector.elements else ()
        name = free_name(wish, self._arrays)
        self._arrays[name] = Array(name, beside.shape, one.kind, elements, home=beside.home)
        return name

    def _with_ones(self, source: str) -> str:
        """The vector, one for each sample, that an input and its ones lie in."""
        array = self._arrays[source]
        width = array.shape[1]
        wide = free_name(f"{source}_1", self._arrays)
        self._notes[wide] = RIDES
        places, n = Home(wide, tuple(range(width))), Axis("n", BATCH)
        if array.kind == LEAF:
            part, axes = free_name(f"{source}_part", self._arrays), (n, Axis("j", width))
            self._arrays[part] = Array(part, array.shape, home=places)
            self._first.append(copy(part, axes, in_order(source, axes)))
        else:
            self._arrays[source] = replace(array, home=places)
        ones = free_name(f"{source}_ones", self._arrays)
        self._arrays[ones] = Array(ones, (BATCH,), home=Home(wide, (width,)))
        self._first.append(Statement(ones, (n,), Reduce(ADD, (Term(1, ()),))))
        self._arrays[wide] = Array(wide, (BATCH, width + 1))
        return wide


def _form(rows: list[str], term: Term, factors: Sequence[Operand] | None = None) -> Term:
    """A term over the samples, or some of its factors, whatever its axes are called."""
    names = {name: str(place) for place, name in enumerate([*rows, term.over[0].name])}
    return renamed_term(replace(term, factors=tuple(factors or term.factors)), names)
