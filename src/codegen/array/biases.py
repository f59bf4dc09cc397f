"""Weights and bias that lie beside each other, as one matrix [W | b] in one product.

Where an argument holds a layer as rows [W | b], `b[i] + Σ_j W[i, j]·x[j]` is a product of that
matrix and the layer's input with one more feature, which is 1; and the derivatives by both are one
product again.

    n[s, i] = b[i] + Σ_j x[s, j]·w[i, j]        n[s, i] = Σ_k x_1[s, k]·wb[i, k]
    dw[i, j] = Σ_s x[s, j]·dn[s, i]             dwb[i, k] = Σ_s x_1[s, k]·dn[s, i]
    db[i] = Σ_s dn[s, i]
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from ...arrays.statements import COMPUTED, LEAF, Array, ArrayProgram, Home, Statement
from ...ops.reads import Axis, Read, Reduce, Term, along
from ...ops.scalar import ADD
from ...ops.shapes import BATCH
from .function import ArrayFunction, axes_of, free_name

RIDES: Final = "a feature more, of ones: the bias rides along in the product"
"""The note on an input with ones."""


def with_biases(function: ArrayFunction, data: bool = True) -> ArrayFunction:
    """The function with biases in the products of their layers; itself where there is none.

    data  whether arguments are copied to have ones, or layers that read these stay as they are
    """
    work = _Folding(function, data)
    return work.result() if work.layers else function


class _Layer(NamedTuple):
    """A layer: the statements of its values and of its derivatives, and what the first reads."""

    forward: Statement
    weights: Read
    bias: Read
    source: Read
    gradient: Statement
    bias_gradient: Statement


@dataclass
class _Folding:
    """What is known of one function while its layers are looked for."""

    function: ArrayFunction
    data: bool = True

    def __post_init__(self) -> None:
        program = self.program = self.function.program
        self.arrays = dict(program.arrays)
        self.writers = Counter(s.array for s in program.statements)
        self.kept = {output.array for output in program.outputs}
        self.readers: defaultdict[str, list[Statement]] = defaultdict(list)
        for statement in program.statements:
            for read in statement.reads:
                self.readers[read.array].append(statement)
        self.sums = {s.array: s for s in program.statements if _is_sum(s)}
        self.layers = list(self._layers())

    def _layers(self) -> Iterator[_Layer]:
        taken: set[str] = set()
        for statement in self.program.statements:
            found = self._layer(statement)
            if found is not None and not taken.intersection((found.weights.array,)):
                taken.add(found.weights.array)
                yield found

    def _layer(self, statement: Statement) -> _Layer | None:
        if not _is_sum(statement) or self.arrays[statement.array].shape[:1] != (BATCH,):
            return None
        assert isinstance(statement.value, Reduce)
        for term in statement.value.terms:
            parts = self._product(term)
            if parts is None:
                continue
            weights, source = parts
            for other in statement.value.terms:
                (bias,) = other.factors if len(other.factors) == 1 else (None,)
                if isinstance(bias, Read) and self._beside(weights, bias, term, other):
                    return self._with_gradients(statement, weights, bias, source)
        return None

    def _product(self, term: Term) -> tuple[Read, Read] | None:
        """The weights and the input of a term that is a product of them."""
        if len(term.factors) != 2 or term.count != 1 or term.domain or len(term.over) != 1:
            return None
        for one, other in (term.factors, term.factors[::-1]):
            if not isinstance(one, Read) or not isinstance(other, Read):
                return None
            weights, source = self.arrays[one.array], self.arrays[other.array]
            if weights.kind == LEAF and weights.home and self._is_row(source, other, term.over[0]):
                return (one, other) if axes_of(one) is not None else None
        return None

    def _is_row(self, array: Array, read: Read, axis: Axis) -> bool:
        """Whether an array is one that can get ones, and is summed along its features."""
        shape = (BATCH, axis.length)
        given = array.kind == LEAF and self.data
        single = given or (
            self.writers[array.name] == 1
            and array.kind == COMPUTED
            and array.home is None
            and array.name not in self.kept
            and all(s.place is None for s in self.program.statements if s.array == array.name)
        )
        return (
            array.shape == shape
            and single
            and axes_of(read) is not None
            and read.index[1].axes == (axis.name,)
        )

    def _beside(self, weights: Read, bias: Read, term: Term, other: Term) -> bool:
        """Whether a bias is one for each row of the weights, and lies at the end of each."""
        if other.over or other.domain or other.count != 1 or axes_of(bias) is None:
            return False
        (summed,) = term.over
        rows = tuple([index for index in weights.index if index.axes != (summed.name,)])
        if bias.index != rows:
            return False
        axis = next(k for k, i in enumerate(weights.index) if i.axes == (summed.name,))
        return self._joined(weights.array, bias.array, axis) is not None

    def _joined(self, weights: str, bias: str, axis: int) -> tuple[Home, tuple[int, ...]] | None:
        """Where [W | b] lies, rows first, if that is regular; and its shape."""
        one, other = self.arrays[weights], self.arrays[bias]
        if one.home is None or other.home is None or one.home.vector != other.home.vector:
            return None
        shape = (*one.shape[:axis], *one.shape[axis + 1 :])
        if other.shape != shape or one.kind != other.kind:
            return None
        width, inner = one.shape[axis], 1
        for length in one.shape[axis + 1 :]:
            inner *= length
        places: list[int] = []
        for row, last in enumerate(other.home.places):
            start = row // inner * width * inner + row % inner
            places += one.home.places[start : start + width * inner : inner]
            places.append(last)
        home = Home(one.home.vector, tuple(places))
        whole = (*shape, width + 1)
        return (home, whole) if home.strides(whole) is not None else None

    def _with_gradients(
        self, statement: Statement, weights: Read, bias: Read, source: Read
    ) -> _Layer | None:
        """The layer, if all that becomes of the derivatives by both is that they are put out."""
        for found in self.readers[source.array]:
            term = _only_term(found)
            array = self.arrays[found.array]
            own = self.arrays[weights.array]
            if term is None or array.home is None or array.shape != own.shape:
                continue
            cotangent = _other_factor(term, source.array)
            if cotangent is None or not self._only_part(found):
                continue
            for last in self.readers[cotangent.array]:
                one = _only_term(last)
                if one is None or not self._only_part(last) or len(one.factors) != 1:
                    continue
                axis = self._feature_axis(found, term, source.array)
                if axis is None or self._joined(found.array, last.array, axis) is None:
                    continue
                if _same_cotangent(found, cotangent, last, axis) and one.count == term.count == 1:
                    return _Layer(statement, weights, bias, source, found, last)
        return None

    def _only_part(self, statement: Statement) -> bool:
        """Whether an array is part of a vector, and nothing else is made of it."""
        name = statement.array
        alone = not self.readers[name] and name not in self.kept
        return alone and self.arrays[name].home is not None and statement.place is None

    def _feature_axis(self, statement: Statement, term: Term, source: str) -> int | None:
        """Which axis of a derivative by weights counts the features of the input."""
        read = next(f for f in term.factors if isinstance(f, Read) and f.array == source)
        if axes_of(read) is None:
            return None
        (name,) = read.index[1].axes
        return next((k for k, a in enumerate(statement.axes) if a.name == name), None)

    def result(self) -> ArrayFunction:
        """The function with one product for each layer and for its derivatives."""
        self._notes = dict(self.function.notes)
        self._ones: dict[str, str] = {}
        self._first: list[Statement] = []
        self._changed: dict[str, Statement | None] = {}
        for layer in self.layers:
            self._fold(layer)
        statements = [*self._first]
        for statement in self.program.statements:
            changed = self._changed.get(statement.array, statement)
            statements += [changed] if changed is not None else []
        unread = {layer.bias.array for layer in self.layers} | {
            layer.bias_gradient.array for layer in self.layers
        }
        used = {read.array for s in statements for read in s.reads} | {s.array for s in statements}
        used |= self.kept
        arrays = {
            name: array for name, array in self.arrays.items() if name in used or name not in unread
        }
        for layer in self.layers:
            for name in (layer.weights.array, layer.bias.array, layer.gradient.array):
                if name not in used:
                    arrays.pop(name, None)
        program = ArrayProgram(
            arrays, tuple(statements), self.program.outputs, self.program.arguments
        )
        return replace(self.function, program=program, notes=self._notes)

    def _fold(self, layer: _Layer) -> None:
        wide = self._with_ones(layer.source.array)
        axis = self._axis_of(layer.forward, layer.weights, layer.source)
        weights, bias = layer.weights.array, layer.bias.array
        both = self._both(weights, bias, axis, f"{weights}{bias}")
        self._notes[both] = f"[{weights} | {bias}]"
        made = self._changed.get(layer.forward.array, layer.forward)
        assert made is not None
        assert isinstance(made.value, Reduce)
        terms = []
        for term in made.value.terms:
            if term.factors == (layer.bias,) and not term.over:
                continue
            if layer.weights in term.factors and layer.source in term.factors:
                terms.append(self._wider(term, layer, both, wide, axis))
            else:
                terms.append(term)
        value = replace(made.value, terms=tuple(terms))
        self._changed[layer.forward.array] = replace(made, value=value)
        self._fold_gradient(layer, wide)

    def _axis_of(self, statement: Statement, weights: Read, source: Read) -> int:
        return next(k for k, i in enumerate(weights.index) if i == source.index[1])

    def _wider(self, term: Term, layer: _Layer, both: str, wide: str, axis: int) -> Term:
        (over,) = term.over
        rows = [index for k, index in enumerate(layer.weights.index) if k != axis]
        own = {
            layer.weights: Read(both, (*rows, along(over.name))),
            layer.source: Read(wide, layer.source.index),
        }
        factors = tuple([own.get(f, f) if isinstance(f, Read) else f for f in term.factors])
        return replace(term, factors=factors, over=(Axis(over.name, over.length + 1),))

    def _both(self, weights: str, bias: str, axis: int, wish: str) -> str:
        """The array [W | b]."""
        found = self._joined(weights, bias, axis)
        assert found is not None
        home, shape = found
        one, vector = self.arrays[weights], self.arrays[home.vector]
        elements = tuple([vector.elements[k] for k in home.places]) if vector.elements else ()
        name = free_name(wish, self.arrays)
        self.arrays[name] = Array(name, shape, one.kind, elements, home=home)
        return name

    def _fold_gradient(self, layer: _Layer, wide: str) -> None:
        statement = layer.gradient
        term = _only_term(statement)
        assert term is not None
        axis = self._feature_axis(statement, term, layer.source.array)
        assert axis is not None
        wish = f"d{layer.weights.array}{layer.bias.array}"
        name = self._both(statement.array, layer.bias_gradient.array, axis, wish)
        axes = list(statement.axes)
        feature = axes.pop(axis)
        axes.append(Axis(feature.name, feature.length + 1))
        factors = tuple(
            [
                replace(f, array=wide)
                if isinstance(f, Read) and f.array == layer.source.array
                else f
                for f in term.factors
            ]
        )
        value = Reduce(ADD, (replace(term, factors=factors),))
        self._changed[statement.array] = Statement(name, tuple(axes), value)
        self._changed[layer.bias_gradient.array] = None

    def _with_ones(self, source: str) -> str:
        """The vector, one for each sample, that an input and its ones lie in."""
        if source in self._ones:
            return self._ones[source]
        array = self.arrays[source]
        width = array.shape[1]
        wide = self._ones[source] = free_name(f"{source}_1", self.arrays)
        self._notes[wide] = RIDES
        part, places = source, Home(wide, tuple(range(width)))
        if array.kind == LEAF:
            part = free_name(f"{source}_part", self.arrays)
            n, j = Axis("n", BATCH), Axis("j", width)
            copy = Reduce(ADD, (Term(1, (Read(source, (along("n"), along("j"))),)),))
            self.arrays[part] = Array(part, array.shape, home=places)
            self._first.append(Statement(part, (n, j), copy))
        else:
            self.arrays[source] = replace(array, home=places)
        ones = free_name(f"{source}_ones", self.arrays)
        self.arrays[ones] = Array(ones, (BATCH,), home=Home(wide, (width,)))
        self._first.append(Statement(ones, (Axis("n", BATCH),), Reduce(ADD, (Term(1, ()),))))
        self.arrays[wide] = Array(wide, (BATCH, width + 1))
        return wide


def _is_sum(statement: Statement) -> bool:
    value = statement.value
    plain = statement.place is None and not statement.domain
    return isinstance(value, Reduce) and value.op is ADD and plain


def _only_term(statement: Statement) -> Term | None:
    """The term of a sum over the samples that has no other."""
    if not _is_sum(statement) or not isinstance(statement.value, Reduce):
        return None
    term, *others = statement.value.terms
    over_samples = [axis.length for axis in term.over] == [BATCH]
    return None if others or term.domain or not over_samples else term


def _other_factor(term: Term, source: str) -> Read | None:
    """What an input is multiplied by in a term of two factors."""
    others = [f for f in term.factors if not (isinstance(f, Read) and f.array == source)]
    if len(term.factors) != 2 or len(others) != 1:
        return None
    (found,) = others
    return found if isinstance(found, Read) and axes_of(found) is not None else None


def _same_cotangent(weights: Statement, read: Read, bias: Statement, axis: int) -> bool:
    """Whether a derivative by a bias sums what that by the weights multiplies, row by row."""
    term = _only_term(bias)
    assert term is not None
    (other,) = term.factors
    if not isinstance(other, Read) or other.array != read.array or axes_of(other) is None:
        return False

    def rows(statement: Statement, factor: Read, skip: int | None) -> Sequence[int | None]:
        names = [a.name for k, a in enumerate(statement.axes) if k != skip]
        return [names.index(i.axes[0]) if i.axes[0] in names else None for i in factor.index]

    return rows(weights, read, axis) == rows(bias, other, None)
