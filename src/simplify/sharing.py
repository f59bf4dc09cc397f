"""Sums and products written with fewer operations: common factors, and parts that several share.

Two greedy methods over n-ary sums and products, which are equal over the reals and may round
otherwise: the factor that most terms of a sum have is taken out of them, again and again (Breuer
1969, "Generation of optimal code for expressions via factorization"); and the pair of operands that
most sums, or products, have in common is computed once, again and again (Hosangadi, Fallah &
Kastner 2006, "Optimizing polynomial expressions by algebraic factorization and common subexpression
elimination"). What does not get smaller stays as it was written.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import combinations, count
from typing import Final

from ..graph.expr import Graph
from ..graph.rewrite import Rewritten, Walk, add_record, live_part, operations
from ..graph.traversal import depth_first
from ..ops.record import Op
from .engine import Rebuild
from .nary import ONE, Nary, Uses, products, sums

PAIRS: Final = 200_000
"""How many pairs of operands are looked at; the longest chains of a graph with more stay."""

Parts = dict[int, Nary]


@dataclass
class Plan:
    """What to write instead of chains.

    chains   node of the graph → the sum or product that replaces its chain
    parts    number → a sum or product that chains and other parts use; each after what it uses
    applied  how often the rewrite was applied
    """

    chains: Parts
    parts: Parts
    applied: int


@dataclass(frozen=True)
class Sharing:
    """A pass that plans chains anew; call it with a graph that has outputs.

    samples  the names of leaves that have a value for every sample of a batch: what is the same
             for all samples is not mixed with them

    >>> g = Graph(); w, a, b, c = (g.input(name) for name in "wabc")
    >>> g.outputs = ((w * a + c + w * b).id,)
    >>> small, _ = factor(g)
    >>> print(small[small.outputs[0]], *small.passes, sep="; ")
    w*(a + b) + c; factor: 8 nodes -> 7; mul 2 -> 1; 1 factor
    """

    name: str
    plan: Callable[[Uses], Plan]

    def __call__(self, graph: Graph, samples: Collection[str] = ()) -> Rewritten:
        """A new graph for `graph.outputs`; the same nodes where there is nothing to gain."""
        result, applied = live_part(graph), 0
        for spread in (False, True):
            plan = self.plan(Uses.of(graph, samples, spread=spread))
            written = _written(graph, plan) if plan.applied else result
            if _count(written.graph) < _count(result.graph):
                result, applied = written, plan.applied
        add_record(self.name, graph, result.graph, {self.name: applied} if applied else {})
        return result


def _count(graph: Graph) -> int:
    return sum(operations(graph).values())


def _written(graph: Graph, plan: Plan) -> Rewritten:
    """The graph with the chains of a plan in place of its own."""
    rebuild = Rebuild(graph, share=True)
    images, number = rebuild.walk.images, rebuild.target.node_of

    def make(op: Op, operands: tuple[int, ...]) -> int:
        return rebuild.make(op, operands, ())

    def parts_in(chain: Nary) -> list[int]:
        return [operand for operand in reversed(chain.weights) if operand in plan.parts]

    def write(walk: Walk, node: int) -> int:
        chain = plan.chains.get(node)
        if chain is None:
            return rebuild.write(walk, node)
        for part in depth_first(parts_in(chain), lambda n: parts_in(plan.parts[n]), images):
            images[part] = plan.parts[part].write(images, make, number)
        return chain.write(images, make, number)

    made = rebuild.run(graph.outputs, write)
    for part in plan.parts:  # which are no nodes of the graph
        images.pop(part, None)
    return made.then(live_part(made.graph))


@dataclass
class _Monomial:
    """A term of a sum: a weight times factors, each with its exponent."""

    weight: float
    factors: dict[int, float]


_Common = tuple[str, float]
"""What terms may have in common: ("factor", operand) or ("weight", magnitude)."""


def plan_factors(uses: Uses) -> Plan:
    """Common factors of terms taken out of sums, those that most terms have first.

    A product that is used elsewhere too is there anyway, so it stays whole.
    """
    numbers = count(len(uses.graph))
    factored = products(uses)
    plan = Plan({}, {}, 0)
    for root, chain in sums(uses).items():
        todo = [(root, [_monomial(uses, root, *term, factored) for term in chain.weights.items()])]
        while todo:
            target, terms = todo.pop()
            before = plan.applied
            while (common := _most_common(terms)) is not None:
                inner = next(numbers)
                terms, taken = _taken_out(terms, common, inner)
                todo.append((inner, taken))
                plan.applied += 1
            if target != root:
                plan.parts[target] = _sum_of(terms, plan.parts, numbers)
            elif plan.applied > before:
                plan.chains[root] = _sum_of(terms, plan.parts, numbers)
    return plan


def _monomial(
    uses: Uses, root: int, operand: int, weight: float, factored: Mapping[int, Nary]
) -> _Monomial:
    if operand == ONE:
        return _Monomial(weight, {})
    if operand in factored and uses.joins(operand, root):
        return _Monomial(weight, dict(factored[operand].weights))
    return _Monomial(weight, {operand: 1.0})


def _most_common(terms: list[_Monomial]) -> _Common | None:
    """What most terms have in common, the first of those; None where no two have anything."""
    counts: Counter[_Common] = Counter()
    for term in terms:
        counts.update([("factor", factor) for factor in term.factors])
        if abs(term.weight) != 1 and term.factors:
            counts["weight", abs(term.weight)] += 1
    best = max(counts, key=lambda common: counts[common], default=None)
    return best if best is not None and counts[best] > 1 else None


def _taken_out(
    terms: list[_Monomial], common: _Common, inner: int
) -> tuple[list[_Monomial], list[_Monomial]]:
    """The terms with one product for all that have `common`, and the sum that is its factor."""
    kind, value = common
    having: list[_Monomial] = []
    others: list[_Monomial] = []
    for term in terms:
        if kind == "factor":
            has = value in term.factors
        else:
            has = abs(term.weight) == value and bool(term.factors)
        (having if has else others).append(term)
    first = terms.index(having[0])
    if kind == "factor":
        outer = _Monomial(1.0, {int(value): 1.0, inner: 1.0})
        left = [_Monomial(term.weight, _without(term.factors, int(value))) for term in having]
    else:
        outer = _Monomial(value, {inner: 1.0})
        left = [_Monomial(term.weight / value, term.factors) for term in having]
    if all(term.weight < 0 for term in left):
        outer.weight = -outer.weight
        left = [_Monomial(-term.weight, term.factors) for term in left]
    return [*others[:first], outer, *others[first:]], left


def _without(factors: dict[int, float], factor: int) -> dict[int, float]:
    left = {operand: exponent - (operand == factor) for operand, exponent in factors.items()}
    return {operand: exponent for operand, exponent in left.items() if exponent}


def _sum_of(terms: list[_Monomial], parts: Parts, numbers: Iterator[int]) -> Nary:
    """The sum of these terms; products of several factors become parts."""
    weights: dict[int, float] = defaultdict(float)
    for term in terms:
        operand = ONE if not term.factors else next(iter(term.factors))
        if sum(term.factors.values()) > 1:
            operand = next(numbers)
            parts[operand] = Nary(True, term.factors)
        weights[operand] += term.weight
    return Nary(False, {operand: weight for operand, weight in weights.items() if weight})


def plan_sums(uses: Uses) -> Plan:
    """Pairs of terms that several sums have in common, up to a factor, added once."""
    return _Pairs(sums(uses), product=False, first=len(uses.graph)).plan()


def plan_products(uses: Uses) -> Plan:
    """Pairs of factors that several products have in common, multiplied once."""
    return _Pairs(products(uses), product=True, first=len(uses.graph)).plan()


_Pair = tuple[int, int, float]
"""Two operands, and the weight of the second when the first has 1."""


class _Pairs:
    """The pairs of operands of sums or products, and where they occur."""

    def __init__(self, chains: Parts, *, product: bool, first: int) -> None:
        self._chains = {root: Nary(product, dict(chain.weights)) for root, chain in chains.items()}
        self._product = product
        self._numbers = count(first)
        self._where: defaultdict[int, set[int]] = defaultdict(set)
        self._at: defaultdict[_Pair, set[int]] = defaultdict(set)
        for root, chain in self._chains.items():
            for operand in chain.weights:
                self._where[operand].add(root)

    def plan(self) -> Plan:
        """Take the pair that saves most, until none saves anything."""
        self._find_all()
        plan = Plan({}, {}, 0)
        heap = [(-self._gain(pair), pair) for pair in self._at if len(self._at[pair]) > 1]
        heapify(heap)
        while heap:
            expected, pair = heappop(heap)
            gain = self._gain(pair)
            if gain <= 0:
                continue
            if gain < -expected:
                heappush(heap, (-gain, pair))
                continue
            for new in self._take(pair, plan):
                if len(self._at[new]) > 1:
                    heappush(heap, (-self._gain(new), new))
        return plan

    def _find_all(self) -> None:
        shared = {
            root: [operand for operand in chain.weights if len(self._where[operand]) > 1]
            for root, chain in self._chains.items()
        }
        budget = PAIRS
        for root in sorted(shared, key=lambda root: len(shared[root])):
            budget -= len(shared[root]) ** 2 // 2
            if budget < 0:
                break
            for a, b in combinations(shared[root], 2):
                self._note(root, a, b)
            for a in shared[root] if self._product else ():
                self._note(root, a, a)

    def _note(self, root: int, a: int, b: int) -> _Pair | None:
        """Take down that a sum or product has two operands; the pair they are, if they are one."""
        first, second = sorted((a, b), key=lambda operand: (operand == ONE, operand))
        weights = self._chains[root].weights
        ratio = 1.0 if self._product else weights[second] / weights[first]
        pair = (first, second, ratio)
        if not self._occurs(root, pair):
            return None
        self._at[pair].add(root)
        return pair

    def _occurs(self, root: int, pair: _Pair) -> bool:
        first, second, ratio = pair
        weights = self._chains[root].weights
        if first not in weights or second not in weights:
            return False
        if self._product:
            return first != second or weights[first] > 1
        return weights[first] * ratio == weights[second]

    def _gain(self, pair: _Pair) -> int:
        """How many operations are spared where the pair occurs, less those that compute it."""
        _, second, ratio = pair
        at = self._at[pair] = {root for root in self._at[pair] if self._occurs(root, pair)}
        scaled = not self._product and second != ONE
        spared = [abs(self._chains[root].weights[second]) != 1 for root in at] if scaled else ()
        return len(at) + sum(spared) - 1 - (scaled and abs(ratio) != 1)

    def _take(self, pair: _Pair, plan: Plan) -> set[_Pair]:
        """Replace a pair wherever it occurs; the pairs that its replacement is part of."""
        first, second, ratio = pair
        new = next(self._numbers)
        whole = {first: 1.0, second: ratio} if first != second else {first: 2.0}
        plan.parts[new] = Nary(self._product, whole)
        found: set[_Pair] = set()
        at = sorted(self._at.pop(pair))
        self._where[new].update(at)
        for root in at:
            chain = self._chains[root]
            chain.weights = self._replaced(chain.weights, pair, new)
            plan.chains[root] = chain
            plan.applied += 1
            for other in chain.weights:
                if other != new and len(self._where[other]) > 1:
                    noted = self._note(root, new, other)
                    found |= {noted} if noted is not None else set()
        return found

    def _replaced(self, weights: dict[int, float], pair: _Pair, new: int) -> dict[int, float]:
        """Weights with a pair's place taken by what computes it."""
        first, second, _ = pair
        if not self._product:
            both = {new if o == first else o: w for o, w in weights.items() if o != second}
            return both
        times = weights[first] // 2 if first == second else min(weights[first], weights[second])
        left = dict(weights)
        left[first] -= times
        left[second] -= times
        placed: dict[int, float] = {}
        for operand, exponent in left.items():
            if operand == first:
                placed[new] = times
            if exponent:
                placed[operand] = exponent
        return placed


factor: Final = Sharing("factor", plan_factors)
share_sums: Final = Sharing("share-sums", plan_sums)
share_products: Final = Sharing("share-products", plan_products)
