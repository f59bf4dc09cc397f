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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Final, NamedTuple

from ...arrays.statements import COMPUTED, LEAF, Array, ArrayProgram, Home, Statement
from ...ops.reads import Axis, Read, Reduce, Term, along
from ...ops.scalar import ADD
from ...ops.shapes import BATCH, Shape
from .flow import axes_of, free_name, with_reads
from .function import ArrayFunction

RIDES: Final = "a feature more, of ones: the bias rides along in the product"
"""The note on an input with ones."""


def with_biases(function: ArrayFunction, data: bool = True) -> ArrayFunction:
    """The function with biases in the products of their layers; itself where there is none.

    data  whether arguments are copied to have ones, or layers that read these stay as they are
    """
    layers = _Layers(function.program, data).found()
    return _Folding(function, layers).result() if layers else function


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
    """A layer: the statements of its values and of its derivatives, and what the first reads."""

    forward: Statement
    weights: Read
    bias: Read
    source: Read
    values: _Beside
    gradient: Statement
    derivatives: _Beside


@dataclass
class _Layers:
    """What is known of one function while its layers are looked for."""

    program: ArrayProgram
    data: bool = True

    def __post_init__(self) -> None:
        self.kept = {output.array for output in self.program.outputs}
        self.readers: defaultdict[str, list[Statement]] = defaultdict(list)
        for statement in self.program.statements:
            for read in statement.reads:
                self.readers[read.array].append(statement)
        writers = Counter(s.array for s in self.program.statements)
        placed = {s.array for s in self.program.statements if s.place is not None}
        self.wholes = {
            name
            for name, array in self.program.arrays.items()
            if array.kind == COMPUTED
            and array.home is None
            and writers[name] == 1
            and name not in self.kept | placed
        }

    def found(self) -> list[_Layer]:
        """The layers, one for each array of weights."""
        layers: dict[str, _Layer] = {}
        for statement in self.program.statements:
            layer = self._layer(statement)
            if layer is not None:
                layers.setdefault(layer.weights.array, layer)
        return list(layers.values())

    def _layer(self, statement: Statement) -> _Layer | None:
        value = statement.value
        samples = self.program.arrays[statement.array].shape[:1] == (BATCH,)
        if not samples or not _is_sum(statement) or not isinstance(value, Reduce):
            return None
        for term in value.terms:
            weights, source = self._product(term) or (None, None)
            for other in value.terms:
                (bias,) = other.factors if len(other.factors) == 1 else (None,)
                if weights is None or source is None or not isinstance(bias, Read):
                    continue
                axis = weights.index.index(source.index[1])
                rows = (*weights.index[:axis], *weights.index[axis + 1 :])
                values = self._beside(weights.array, bias.array, axis)
                plain = not other.over and not other.domain and other.count == 1
                if plain and bias.index == rows and values is not None:
                    return self._with_gradient(statement, weights, bias, source, values)
        return None

    def _product(self, term: Term) -> tuple[Read, Read] | None:
        """The weights and the input of a term that is a product of them."""
        if len(term.factors) != 2 or term.count != 1 or term.domain or len(term.over) != 1:
            return None
        for one, other in (term.factors, term.factors[::-1]):
            if not isinstance(one, Read) or not isinstance(other, Read):
                return None
            weights = self.program.arrays[one.array]
            if weights.kind == LEAF and weights.home and self._is_row(other, term.over[0]):
                whole = axes_of(one) is not None and other.index[1] in one.index
                return (one, other) if whole else None
        return None

    def _is_row(self, read: Read, axis: Axis) -> bool:
        """Whether an array is one that can get ones, and is summed along its features."""
        array = self.program.arrays[read.array]
        free = array.name in self.wholes or (array.kind == LEAF and self.data)
        alone = array.shape == (BATCH, axis.length) and axes_of(read) is not None
        return free and alone and read.index[1].axes == (axis.name,)

    def _beside(self, weights: str, biases: str, axis: int) -> _Beside | None:
        """Where [W | b] lies, if that is regular."""
        one, other = self.program.arrays[weights], self.program.arrays[biases]
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

    def _with_gradient(
        self, statement: Statement, weights: Read, bias: Read, source: Read, values: _Beside
    ) -> _Layer | None:
        """The layer, if all that becomes of the derivatives by both is that they are put out."""
        shape = self.program.arrays[weights.array].shape
        for found in self.readers[source.array]:
            term, array = self._only_term(found), self.program.arrays[found.array]
            if term is None or array.shape != shape or len(term.factors) != 2:
                continue
            own = [f for f in term.factors if isinstance(f, Read) and f.array == source.array]
            others = [f for f in term.factors if isinstance(f, Read) and f.array != source.array]
            if len(own) != 1 or len(others) != 1 or axes_of(own[0]) is None:
                continue
            feature = own[0].index[1].axes[0]
            names = [axis.name for axis in found.axes]
            if feature not in names:
                continue
            axis = names.index(feature)
            for last in self.readers[others[0].array]:
                derivatives = self._beside(found.array, last.array, axis)
                rows = [name for name in names if name != feature]
                if derivatives is not None and self._sums_rows(last, others[0], rows):
                    return _Layer(statement, weights, bias, source, values, found, derivatives)
        return None

    def _only_term(self, statement: Statement) -> Term | None:
        """The term of a sum over the samples that has no other, and is put out as it is."""
        name = statement.array
        alone = not self.readers[name] and name not in self.kept
        if not alone or not _is_sum(statement) or not isinstance(statement.value, Reduce):
            return None
        term, *others = statement.value.terms
        over_samples = [axis.length for axis in term.over] == [BATCH]
        return None if others or term.domain or not over_samples or term.count != 1 else term

    def _sums_rows(self, statement: Statement, cotangent: Read, rows: Sequence[str]) -> bool:
        """Whether a derivative by a bias sums what that by the weights multiplies, row by row."""
        term = self._only_term(statement)
        if term is None or len(term.factors) != 1 or axes_of(cotangent) is None:
            return False
        (other,) = term.factors
        if not isinstance(other, Read) or other.array != cotangent.array or axes_of(other) is None:
            return False
        own = [axis.name for axis in statement.axes]

        def numbered(read: Read, names: Sequence[str]) -> list[int | None]:
            return [names.index(i.axes[0]) if i.axes[0] in names else None for i in read.index]

        return numbered(cotangent, rows) == numbered(other, own)


class _Folding:
    """A function on its way to one product for each layer and for its derivatives."""

    def __init__(self, function: ArrayFunction, layers: Sequence[_Layer]) -> None:
        self.function, self.program = function, function.program
        self.arrays = dict(self.program.arrays)
        self._notes = dict(function.notes)
        self._ones: dict[str, str] = {}
        self._first: list[Statement] = []
        self._changed: dict[str, Statement | None] = {}
        for layer in layers:
            wide = self._with_ones(layer.source.array)
            self._fold(layer, wide)
            self._fold_gradient(layer, wide)

    def result(self) -> ArrayFunction:
        """The function, without the parts of vectors that nothing reads or writes any more."""
        changed = [self._changed.get(s.array, s) for s in self.program.statements]
        statements = [*self._first, *[s for s in changed if s is not None]]
        used = {read.array for s in statements for read in s.reads} | {s.array for s in statements}
        used.update(output.array for output in self.program.outputs)
        arrays = {n: a for n, a in self.arrays.items() if n in used or a.home is None}
        program = replace(self.program, arrays=arrays, statements=tuple(statements))
        return replace(self.function, program=program, notes=self._notes)

    def _fold(self, layer: _Layer, wide: str) -> None:
        weights, bias, axis = layer.weights, layer.bias, layer.values.axis
        both = self._both(layer.values, f"{weights.array}{bias.array}")
        self._notes[both] = f"[{weights.array} | {bias.array}]"
        made = self._changed.get(layer.forward.array) or layer.forward
        assert isinstance(made.value, Reduce)
        rows = (*weights.index[:axis], *weights.index[axis + 1 :], weights.index[axis])
        put = {weights: Read(both, rows), layer.source: Read(wide, layer.source.index)}
        terms = []
        for term in made.value.terms:
            if term.factors == (bias,) and not term.over:
                continue
            if put.keys() <= set(term.factors):
                (over,) = term.over
                factors = tuple([put[f] for f in term.factors if isinstance(f, Read)])
                term = replace(term, factors=factors, over=(Axis(over.name, over.length + 1),))
            terms.append(term)
        value = replace(made.value, terms=tuple(terms))
        self._changed[made.array] = replace(made, value=value)

    def _fold_gradient(self, layer: _Layer, wide: str) -> None:
        statement, derivatives = layer.gradient, layer.derivatives
        name = self._both(derivatives, f"d{layer.weights.array}{layer.bias.array}")
        axes = list(statement.axes)
        feature = axes.pop(derivatives.axis)
        reads = [
            replace(read, array=wide) if read.array == layer.source.array else read
            for read in statement.reads
        ]
        axes.append(Axis(feature.name, feature.length + 1))
        value = with_reads(statement.value, reads)
        self._changed[statement.array] = Statement(name, tuple(axes), value)
        self._changed[derivatives.biases] = None

    def _both(self, beside: _Beside, wish: str) -> str:
        """The array [W | b]."""
        one, vector = self.arrays[beside.weights], self.arrays[beside.home.vector]
        places = beside.home.places
        elements = tuple([vector.elements[k] for k in places]) if vector.elements else ()
        name = free_name(wish, self.arrays)
        self.arrays[name] = Array(name, beside.shape, one.kind, elements, home=beside.home)
        return name

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
