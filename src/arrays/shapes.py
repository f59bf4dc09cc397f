"""Shapes: a scalar's expression with the indices of the leaves forgotten.

    a leaf        the array that it is an element of
    a number      "a number": which one it is, is an index too
    an operation  (operation, static arguments, shapes of its operands)
    a sum         the set of its terms' signed shapes: how many terms there are is an index too
    an adjoint    (adjoint, shape of its primal): it sums over consumers, few or many
    a state       (state, chain): however many steps it is from the first of its chain

The scalars of one shape are the elements of one array. One pass in topological order interns the
shapes; equal scalars (the same operation on the same operands) are one element.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Any

from ..graph.expr import Graph
from ..graph.store import Origin
from ..ops.record import Op
from ..ops.scalar import ADD, CONSTANT
from .homes import LeafArray
from .terms import NONE, Product, Scalars

LEAF, LITERAL, APPLY, REDUCE, VECTOR = "leaf", "literal", "apply", "reduce", "vector"


@dataclass(slots=True)
class Group:
    """The terms of one shape in the elements of a `Family`.

    sign     1 or -1
    factors  the families of the factors, none, one or two
    numbers  the number that each term has as a factor, if they have one
    rows     for each term: which element it belongs to, and which elements its factors are
    """

    sign: int
    factors: tuple[int, ...]
    numbers: list[float] | None
    rows: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Family:
    """The scalars of one shape.

    kind     "leaf", "literal", "apply", "reduce" or "vector", a whole argument or its adjoint
    first    the node that had the shape first
    inputs   of an operation: the family of each operand, or `NONE` where it is a number
    rows     of an operation: for each element, which element each operand is
    numbers  of an operation: for each operand, the numbers that it is, if it is one
    groups   of a sum, a maximum or a minimum: its terms by shape
    primal   of adjoints: the family of their primals, and `places` which element of it each is of
    bare     a number that is the same for families which differ only in sums of one term
    reduces  of a sum or an extreme of elements of one family, as they are: its operation
    vector   of a whole vector: the argument, and how many derivatives deep it is
    parts    of such a vector of adjoints: the families that it consists of
    derived  whether a derivative rule made it, so that its numbers are no data
    """

    number: int
    kind: str
    first: int
    op: Op | None = None
    statics: tuple[float, ...] = ()
    size: int = 0
    inputs: tuple[int, ...] = ()
    rows: list[int] = field(default_factory=list)
    numbers: list[list[float]] = field(default_factory=list)
    groups: dict[tuple[int, ...], Group] = field(default_factory=dict)
    primal: int = NONE
    places: list[int] = field(default_factory=list)
    leaf: LeafArray | None = None
    bare: int = NONE
    reduces: Op | None = None
    vector: tuple[str, int] | None = None
    parts: set[int] = field(default_factory=set)
    derived: bool = False

    def needs(self) -> set[int]:
        """The families that its elements are computed from."""
        found = self.parts.union(self.inputs)
        for group in self.groups.values():
            found.update(group.factors)
        found.discard(NONE)
        return found


@dataclass
class Shapes:
    """All families, and for each scalar which element of which family it is.

    homes, arguments   what they were interned with
    told               what tells some scalars apart, beside their shapes
    levels             of families that are computed from each other: how many steps each element
                       is from where that begins
    """

    families: list[Family]
    family: dict[int, int]
    lane: dict[int, int]
    homes: Sequence[LeafArray]
    arguments: Mapping[str, Sequence[int]]
    told: Told
    levels: dict[int, Any] = field(default_factory=dict)

    def times(self, number: int) -> int:
        """How many statements a family is: one for each level."""
        return len(set(self.levels[number].tolist())) if number in self.levels else 1


@dataclass
class Told:
    """What tells scalars apart beside their shapes.

    apart   numbers that scalars of one shape are told apart by, where they are
    across  sums, maxima and minima whose terms are of one shape however they are told apart
    family  the family of each scalar where none is told apart
    """

    apart: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    across: Set[int] = frozenset()
    family: Mapping[int, int] = field(default_factory=dict)


def shapes(
    found: Scalars,
    homes: Sequence[LeafArray],
    arguments: Mapping[str, Sequence[int]],
    told: Told | None = None,
    states: Mapping[int, int] | None = None,
) -> Shapes:
    """Intern the shapes of collapsed scalars.

    homes      the arrays that the leaves lie in, by their names
    arguments  the leaves of each argument
    told       what tells some scalars apart, beside their shapes
    states     sums that are states of a chain: the shape of each is which chain it is of
    """
    return _Interning(found, homes, arguments, told or Told(), states or {}).result


class _Interning:
    """One walk over collapsed scalars."""

    def __init__(
        self,
        found: Scalars,
        homes: Sequence[LeafArray],
        arguments: Mapping[str, Sequence[int]],
        told: Told,
        states: Mapping[int, int],
    ) -> None:
        self.scalars = found
        self._states = states
        self._arguments = arguments
        self.graph: Graph = found.graph
        self.families: list[Family] = []
        self.family: dict[int, int] = {}
        self.lane: dict[int, int] = {}
        self.result = Shapes(self.families, self.family, self.lane, homes, arguments, told)
        self._by_key: dict[Any, Family] = {}
        self._told = told
        self._bare: dict[Any, int] = {}
        self._equal: dict[Any, int] = {}
        self._home = {node: (home, lane) for home in homes for lane, node in enumerate(home.nodes)}
        self._walk()
        self._assemble()

    def _walk(self) -> None:
        found = self.scalars
        sums, extremes, inputs, adjoint = found.sums, found.extremes, found.inputs, found.adjoint
        ops = self.graph.ops
        for node in found.order:
            if node in sums:
                terms = sums[node]
                if node in adjoint:
                    self._adjoint(node, terms, *adjoint[node])
                else:
                    self._sum(node, terms)
            elif node in inputs:
                self._apply(node, inputs[node])
            elif node in extremes:
                self._extreme(node, extremes[node])
            elif node in found.vectors:
                self._vector(node, *found.vectors[node])
            elif ops[node] is CONSTANT:
                self._literal(node)
            else:
                self._leaf(node)

    def _vector(self, node: int, name: str, level: int, place: int) -> None:
        key = (VECTOR, name, level)
        made = self._by_key.get(key)
        if made is None:
            made = self._new(key, VECTOR, node)
            made.vector, made.size = (name, level), len(self._arguments[name])
        self.family[node], self.lane[node] = made.number, place

    def _assemble(self) -> None:
        """Of what families a vector of adjoints consists, the elements that are 0 included."""
        place_of: dict[int, str] = {}
        for name, nodes in self._arguments.items():
            place_of.update(dict.fromkeys(nodes, name))
        wanted = {f.vector: f for f in self.families if f.vector is not None and f.vector[1]}
        for node, (primal, level) in self.scalars.adjoint.items():
            vector = wanted.get((place_of.get(primal, ""), level))
            if vector is not None:
                vector.parts.add(self.family[node])
        for key, places in self.scalars.zeros.items():
            self._add_zeros(wanted[key], places)

    def _add_zeros(self, vector: Family, places: Sequence[int]) -> None:
        """Elements without terms, in families of adjoints that are made where there are none."""
        assert vector.vector is not None
        name, level = vector.vector
        for place in places:
            leaf = self._arguments[name][place]
            self._leaf(leaf)
            key = ("adjoint", level, self.family[leaf])
            part = self._by_key.get(key)
            if part is None:
                part = self._new(key, REDUCE, leaf)
                part.op, part.primal = ADD, self.family[leaf]
            vector.parts.add(part.number)
            part.size += 1
            part.places.append(self.lane[leaf])

    def _new(self, key: Any, kind: str, node: int) -> Family:
        made = Family(len(self.families), kind, node, derived=self._rule_of(node) is not None)
        self.families.append(made)
        self._by_key[self._key(key, node)] = made
        self._bare_of(made, key)
        return made

    def _key(self, shape: Any, node: int) -> Any:
        """A shape with what tells a scalar apart from others of the shape."""
        told = self._told.apart.get(node)
        return shape if told is None else (shape, told)

    def _across(self, shapes: Set[tuple[int, ...]], node: int) -> Set[tuple[int, ...]]:
        """The shapes of the terms of a sum; if it is across, those where nothing is told apart."""
        told = self._told
        if node not in told.across:
            return shapes
        first = [family.first for family in self.families]
        untold = {f: told.family[first[f]] for shape in shapes for f in shape[2:] if f != NONE}
        return frozenset([(*s[:2], *sorted(untold.get(f, f) for f in s[2:])) for s in shapes])

    def _bare_of(self, made: Family, key: Any) -> None:
        """Number the shape as it is without sums, maxima and minima of single terms."""
        families = self.families

        def bare(number: int) -> int:
            return number if number == NONE else families[number].bare

        if made.kind == APPLY:
            op, statics, inputs = key
            key = (op, statics, tuple(map(bare, inputs)))
        elif made.kind == REDUCE and key[0] == "adjoint":
            key = (*key[:2], bare(key[2]))
        elif made.kind == REDUCE and key[0] != "state":
            op, terms = key
            inner = {(*term[:2], *sorted(map(bare, term[2:]))) for term in terms}
            ((sign, numbered, *factors), *more) = inner
            if not more and sign == 1 and not numbered and len(factors) == 1:
                made.reduces = ADD if op == "sum" else op
                made.bare = factors[0]
                return
            key = (op, frozenset(inner))
        made.bare = self._bare.setdefault(key, len(self._bare))

    def _add(self, made: Family, node: int) -> int:
        lane = made.size
        made.size = lane + 1
        self.family[node] = made.number
        self.lane[node] = lane
        return lane

    def _same(self, key: Any, node: int) -> bool:
        """Whether one derivative rule has made an equal scalar; if not, this is it from now on.

        What a user wrote twice stays twice: that two samples have equal data, or two tokens are
        the same, must not change what is found.
        """
        origin = self._rule_of(node)
        if origin is None:
            return False
        known = self._equal.setdefault((origin.primal, key), node)
        if known == node:
            return False
        self.family[node] = self.family[known]
        self.lane[node] = self.lane[known]
        return True

    def _rule_of(self, node: int) -> Origin | None:
        """Where a node came from if a derivative rule made it."""
        origins = self.graph.origins
        origin = origins[node] if node < len(origins) else None
        return None if origin is None or origin.transform == "stable" else origin

    def _literal(self, node: int) -> None:
        made = self._by_key.get(LITERAL) or self._new(LITERAL, LITERAL, node)
        self._add(made, node)
        made.numbers.append([float(self.graph.value(node))])

    def _leaf(self, node: int) -> None:
        home, lane = self._home[node]
        made = self._by_key.get((LEAF, home.name))
        if made is None:
            made = self._new((LEAF, home.name), LEAF, node)
            made.leaf, made.size = home, len(home.nodes)
        self.family[node], self.lane[node] = made.number, lane

    def _apply(self, node: int, inputs: tuple[int, ...]) -> None:
        graph, family, lane = self.graph, self.family, self.lane
        op, statics = graph.ops[node], graph.statics.get(node, ())
        literal = self._by_key.get(LITERAL)
        shape = tuple([family[operand] for operand in inputs])
        lanes = [lane[operand] for operand in inputs]
        key = (op, statics, shape)
        if self._same((key, *lanes), node):
            return
        if literal is not None and literal.number in shape:
            shape = tuple([NONE if f == literal.number else f for f in shape])
            key = (op, statics, shape)
        made = self._by_key.get(self._key(key, node))
        if made is None:
            made = self._new(key, APPLY, node)
            made.op, made.statics, made.inputs = op, statics, shape
            made.numbers = [[] for _ in shape]
        self._add(made, node)
        made.rows += lanes
        if NONE in shape:
            for numbers, operand, f in zip(made.numbers, inputs, shape, strict=True):
                if f == NONE:
                    numbers.append(float(graph.value(operand)))

    def _keys(self, terms: Sequence[Any]) -> list[tuple[tuple[int, ...], int, int]]:
        """The shape of each term and the elements that its factors are."""
        family, lane = self.family, self.lane
        keys: list[tuple[tuple[int, ...], int, int]] = []
        for sign, number, first, second in terms:
            a = family[first] if first != NONE else NONE
            numbered = number != NONE
            if second == NONE:
                keys.append(((sign, numbered, a), lane[first] if first != NONE else 0, 0))
                continue
            b = family[second]
            if a <= b:
                keys.append(((sign, numbered, a, b), lane[first], lane[second]))
            else:
                keys.append(((sign, numbered, b, a), lane[second], lane[first]))
        return keys

    def _fill(self, made: Family, place: int, keys: Sequence[Any], terms: Sequence[Any]) -> None:
        groups = made.groups
        for (key, first, second), term in zip(keys, terms, strict=True):
            group = groups.get(key)
            if group is None:
                factors = tuple([f for f in key[2:] if f != NONE])
                group = groups[key] = Group(key[0], factors, [] if key[1] else None)
            group.rows += (place, first, second)
            if group.numbers is not None:
                group.numbers.append(float(self.graph.value(term.number)))

    def _adjoint(self, node: int, terms: Sequence[Any], primal: int, level: int) -> None:
        terms = [t for t in terms if t.first != NONE or self.graph.value(t.number) != 0.0]
        keys = self._keys(terms)
        if len(self.graph.sweeps) > 1:  # with respect to something else it may be derived anew
            known = self._equal.setdefault((primal, level, *_lanes(keys, terms)), node)
            if known != node:
                self.family[node], self.lane[node] = self.family[known], self.lane[known]
                return
        key = ("adjoint", level, self.family[primal])
        made = self._by_key.get(key)
        if made is None:
            made = self._new(key, REDUCE, node)
            made.op, made.primal = ADD, self.family[primal]
        place = self._add(made, node)
        made.places.append(self.lane[primal])
        self._fill(made, place, keys, terms)

    def _sum(self, node: int, terms: Sequence[Any]) -> None:
        keys = self._keys(terms)
        if self._same(("sum", *_lanes(keys, terms)), node):
            return
        own = self._without_zeros(frozenset([key for key, _, _ in keys]), keys, terms)
        key: Any = ("sum", self._across(own, node))
        if node in self._states:
            key = ("state", self._states[node])
        made = self._by_key.get(self._key(key, node))
        if made is None:
            made = self._new(key, REDUCE, node)
            made.op = ADD
        self._fill(made, self._add(made, node), keys, terms)

    def _without_zeros(
        self, shapes: frozenset[tuple[int, ...]], keys: Sequence[Any], terms: Sequence[Any]
    ) -> frozenset[tuple[int, ...]]:
        """The shapes of a sum's terms, but for 0 times what others have a variable factor to.

        So is a convolution written at the edges of what it reads, with zeros around it.
        """
        numbered = {shape for shape in shapes if shape[1] and len(shape) == 3}
        if not numbered or len(numbered) == len(shapes):
            return shapes
        pairs = {(s[0], factor) for s in shapes if not s[1] and len(s) == 4 for factor in s[2:]}
        zeros = {shape for shape in numbered if (shape[0], shape[2]) in pairs}
        for (key, _, _), term in zip(keys, terms, strict=True):
            if key in zeros and self.graph.value(term.number) != 0.0:
                zeros.discard(key)
        return shapes - zeros

    def _extreme(self, node: int, operands: Sequence[int]) -> None:
        op = self.scalars.kinds[node]
        literal = self._by_key.get(LITERAL)
        fixed = NONE if literal is None else literal.number
        terms = [
            Product(1, operand, NONE, NONE)
            if self.family[operand] == fixed
            else Product(1, NONE, operand, NONE)
            for operand in operands
        ]
        keys = self._keys(terms)
        lanes = sorted(
            [(*key, first, term.number) for (key, first, _), term in zip(keys, terms, strict=True)]
        )
        if self._same((op, *lanes), node):
            return
        key: Any = (op, self._across(frozenset([key for key, _, _ in keys]), node))
        if node in self._states:
            key = ("state", self._states[node])
        made = self._by_key.get(self._key(key, node))
        if made is None:
            made = self._new(key, REDUCE, node)
            made.op = op
        self._fill(made, self._add(made, node), keys, terms)


def _lanes(keys: Sequence[Any], terms: Sequence[Any]) -> list[tuple[int, ...]]:
    """What tells a sum from others: the shapes, the elements and the numbers of its terms."""
    pairs = zip(keys, terms, strict=True)
    return sorted([(*key, first, second, term[1]) for (key, first, second), term in pairs])


def in_order(families: Sequence[Family], wanted: Sequence[int]) -> list[tuple[int, ...]]:
    """The families that `wanted` need, each after those that it is computed from.

    Where there is a choice, in the order in which their first elements were written. Families that
    are computed from each other stand together.
    """
    needs: dict[int, set[int]] = {}
    stack = list(wanted)
    while stack:
        number = stack.pop()
        if number not in needs:
            needs[number] = families[number].needs()
            if families[number].primal != NONE:  # whose coordinates it has
                needs[number].add(families[number].primal)
            stack += needs[number]
    circle: dict[int, tuple[int, ...]] = {}
    for together in components(needs):
        circle.update(dict.fromkeys(together, together))
    waiting: dict[tuple[int, ...], int] = {}
    users: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for together in circle.values():
        if together not in waiting:
            inner = {circle[other] for number in together for other in needs[number]} - {together}
            waiting[together] = len(inner)
            for other in inner:
                users.setdefault(other, []).append(together)
    heap = [together for together, count in waiting.items() if not count]
    heapify(heap)
    order = []
    while heap:
        together = heappop(heap)
        order.append(together)
        for user in users.get(together, ()):
            waiting[user] -= 1
            if not waiting[user]:
                heappush(heap, user)
    return order


def components(needs: Mapping[int, Iterable[int]]) -> list[tuple[int, ...]]:
    """The strongly connected components of a graph (Tarjan 1972), each in ascending order."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    path: list[int] = []
    found: list[tuple[int, ...]] = []
    done: set[int] = set()
    for start in needs:
        calls = [] if start in index else [(start, iter(needs[start]))]
        for number, _ in calls:
            index[number] = low[number] = len(index)
            path.append(number)
        while calls:
            number, rest = calls[-1]
            other = next((other for other in rest if other not in done), None)
            if other is None:
                calls.pop()
                if calls:
                    low[calls[-1][0]] = min(low[calls[-1][0]], low[number])
                if low[number] == index[number]:
                    place = path.index(number)
                    found.append(tuple(sorted(path[place:])))
                    done.update(path[place:])
                    del path[place:]
            elif other in index:
                low[number] = min(low[number], index[other])
            else:
                index[other] = low[other] = len(index)
                path.append(other)
                calls.append((other, iter(needs[other])))
    return found


def circular(families: Sequence[Family], wanted: Sequence[int]) -> bool:
    """Whether some of what `wanted` are computed from is computed from itself.

    Adjoints may be: their shape is that of their primal, whatever they add up.
    """
    order = in_order(families, wanted)
    return any(len(some) > 1 or some[0] in families[some[0]].needs() for some in order)


def needed(families: Sequence[Family], wanted: Iterable[int]) -> set[int]:
    """The families that `wanted` are computed from, and these themselves."""
    found: set[int] = set()
    stack = list(wanted)
    while stack:
        number = stack.pop()
        if number not in found:
            found.add(number)
            stack += families[number].needs()
    return found
