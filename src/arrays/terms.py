"""A scalar graph as operations and sums of products: the first step of forgetting indices.

A chain of additions, subtractions and negations is one sum of any number of signed terms; a product
that only a sum uses is part of its term, and a product that stands alone is a sum of one term. An
adjoint is a sum over the consumers of its primal, few or many, so that what one consumer passes on
unchanged is a sum of one term as well. Nothing depends on how a sum was written: a leading 0, as
Python's `sum` has it, is no term.

Only what adds from one end is merged: in `a + (b - c)` the parentheses may be there to keep a
cancellation exact, so the difference stays a sum of its own, as it does in `a + -(b - c)`. The
first of several differences that are added up stays one as well: all are elements of one array.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ..graph.expr import Graph
from ..graph.store import live_nodes
from ..ops.record import Op
from ..ops.scalar import ADD, CONSTANT, EXTREMES, MUL, NEG, POW_CONST, SUB, TOTAL
from ..simplify.zeros import shown_zeros

NONE: Final = -1
"""Stands where a term has no factor or no number."""


class Product(NamedTuple):
    """A term: a sign, the node of a number, and one or two factors; `NONE` where there is none."""

    sign: int
    number: int
    first: int
    second: int


@dataclass
class Scalars:
    """What a scalar graph looks like with its chains collapsed.

    order     the nodes that are left, each after what it needs; adjoints that only pass on what
              another one is have numbers past the graph's
    sums      the terms of each sum
    extremes  the operands of each chain of maxima or minima, and `kinds` which of the two it is
    inputs    the operands of every other operation
    adjoint   of a node that is an adjoint: its primal and how many derivatives deep it is
    roots     what each node that was asked for is now
    vectors   elements of arguments, or of their adjoints, as whole vectors: of each node the
              argument, how many derivatives deep, and the place
    zeros     of such vectors of adjoints: the places of leaves that nothing depends on
    """

    graph: Graph
    order: list[int] = field(default_factory=list)
    sums: dict[int, list[Product]] = field(default_factory=dict)
    extremes: dict[int, list[int]] = field(default_factory=dict)
    kinds: dict[int, Op] = field(default_factory=dict)
    inputs: dict[int, tuple[int, ...]] = field(default_factory=dict)
    adjoint: dict[int, tuple[int, int]] = field(default_factory=dict)
    roots: list[int] = field(default_factory=list)
    vectors: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    zeros: dict[tuple[str, int], list[int]] = field(default_factory=dict)

    def operands(self, node: int) -> Sequence[int]:
        """What a node is computed from, factors of terms included."""
        if node in self.sums:
            return [factor for term in self.sums[node] for factor in term[2:] if factor != NONE]
        return self.inputs.get(node) or self.extremes.get(node) or ()

    def rewrite(self, node: int, of: Callable[[int], int]) -> None:
        """Let a node be computed from other nodes, of each that it is computed from another."""
        if node in self.sums:
            self.sums[node] = [
                Product(sign, number, of(one), of(other))
                for sign, number, one, other in self.sums[node]
            ]
        elif node in self.inputs:
            self.inputs[node] = tuple(map(of, self.inputs[node]))
        elif node in self.extremes:
            self.extremes[node] = list(map(of, self.extremes[node]))


def scalars(graph: Graph, roots: Sequence[int]) -> Scalars:
    """The nodes that `roots` need, with chains collapsed and adjoints as sums over consumers."""
    return _Collapse(graph, roots).result


_SUMS: Final = frozenset((ADD, SUB, NEG))


_Signature = tuple[Op, tuple[Op, ...]]


class _Shared(NamedTuple):
    """A node that is the adjoint of several primals, and which of them is meant where."""

    by_primal: dict[int, int]
    passed_to: dict[int, int]
    default: int


class _Collapse:
    """One walk over a graph; `result` is what it finds."""

    def __init__(self, graph: Graph, roots: Sequence[int]) -> None:
        self.graph = graph
        self._shown: set[int] | None = None
        self.ops, self.operands = graph.ops, graph.operands
        found = live_nodes(graph, roots)
        there = set(found)
        pairs, depth = self._pairs(there)
        numbers = self._adjoint_numbers(there, depth)
        others = [primal for primal, _ in (*pairs, *numbers) if primal not in there]
        self.live = live_nodes(graph, [*roots, *others]) if others else found
        self.result = Scalars(graph)
        self._count_uses(roots)
        self._boundaries = {adjoint for _, adjoint in pairs}
        self._merge()
        self._heads: dict[int, int] = {}
        self._shared: dict[int, _Shared] = {}
        self._seen: set[int] = set()
        self._concerned: dict[int, int] | None = None
        self._after: dict[int, list[int]] = {}
        self._next = len(graph)
        self._place_adjoints(pairs, depth)
        own = self._place_numbers(numbers)
        self._write(roots)
        self._drop(own.difference(self._seen, self.result.roots))

    def _pairs(self, live: set[int]) -> tuple[list[tuple[int, int]], dict[int, int]]:
        """Primals and their adjoints, as far as these are needed, and how deep each adjoint is."""
        graph = self.graph
        sweeps: list[Iterable[tuple[int, int]]] = [sweep.items() for sweep in graph.sweeps]
        if not sweeps:
            sweeps = [[(primal, adjoint) for adjoint, primal in graph.adjoint_of.items()]]
        pairs: list[tuple[int, int]] = []
        seen: set[tuple[int, int]] = set()
        depth: dict[int, int] = {}
        ops = graph.ops
        for sweep in sweeps:
            needed = [
                pair
                for pair in sweep
                if pair[0] < pair[1] in live and ops[pair[1]].arity and pair not in seen
            ]
            if not needed:
                continue
            level = 1 + max(depth.get(primal, 0) for primal, _ in needed)
            if depth and level == 1 and any(graph.origins[primal] for primal, _ in needed):
                level += self._nested(needed, depth)
            seen.update(needed)
            pairs += needed
            for _, adjoint in needed:
                depth[adjoint] = level
        return pairs, depth

    def _adjoint_numbers(self, live: set[int], depth: Mapping[int, int]) -> list[tuple[int, int]]:
        """Leaves whose adjoint is a number, such as 0, with it, one derivative deep.

        Over samples there are none: a number is the same for all, and each has its own adjoints.
        """
        graph, found = self.graph, dict[tuple[int, int], None]()
        if any(graph.ops[node] is TOTAL for node in live):
            return []
        for sweep in graph.sweeps:
            if max((depth.get(adjoint, 0) for adjoint in sweep.values()), default=0) != 1:
                continue
            for primal, adjoint in sweep.items():
                number = graph.ops[adjoint] is CONSTANT and not graph.ops[primal].arity
                if number and adjoint in live:
                    found[primal, adjoint] = None
        return list(found)

    def _nested(self, pairs: Iterable[tuple[int, int]], depth: dict[int, int]) -> int:
        """How deep the adjoints are that the primals of a sweep were computed from."""
        below = live_nodes(self.graph, [max(primal for primal, _ in pairs)])
        return max((depth.get(node, 0) for node in below), default=0)

    def _count_uses(self, roots: Iterable[int]) -> None:
        size = len(self.graph)
        self.uses, self.by_sums = [0] * size, [0] * size
        uses, by_sums, operands, ops = self.uses, self.by_sums, self.operands, self.ops
        for node in self.live:
            inner = operands[node]
            if ops[node] in _SUMS:
                for operand in inner:
                    uses[operand] += 1
                    by_sums[operand] += 1
            else:
                for operand in inner:
                    uses[operand] += 1
        for root in roots:
            uses[root] += 2

    def _merge(self) -> None:
        """Which nodes are part of the one node that uses them: links of chains, and products."""
        size = len(self.graph)
        self.merged, mixed = bytearray(size), bytearray(size)
        merged, ops, operands, uses = self.merged, self.ops, self.operands, self.uses
        kept = self._boundaries
        alike: dict[int, _Signature] = {}
        for node in self.live:
            op = ops[node]
            if op in _SUMS:
                mixed[node] = op is SUB
                alone = self._first_alike(node, mixed, alike)
                for place, operand in enumerate(operands[node]):
                    inner = ops[operand]
                    if operand == alone:
                        continue
                    if place == 1 and inner is NEG and mixed[operand]:
                        self._set_apart(operand, mixed)
                    if uses[operand] == 1 and operand not in kept:
                        if inner is MUL:
                            merged[operand] = True
                        elif inner in _SUMS and (
                            place == 0 or inner is NEG or (op is ADD and not mixed[operand])
                        ):
                            merged[operand] = True
                            mixed[node] |= mixed[operand]
                    elif (
                        inner is MUL
                        and uses[operand] == self.by_sums[operand]
                        and operand not in kept
                        and any(ops[factor] is CONSTANT for factor in operands[operand])
                    ):
                        merged[operand] = True
            elif op in EXTREMES:
                for operand in operands[node]:
                    if ops[operand] is op and uses[operand] == 1 and operand not in kept:
                        merged[operand] = True
            elif op is MUL:
                for operand in operands[node]:
                    if ops[operand] is NEG and uses[operand] == 1 and operand not in kept:
                        merged[operand] = not merged[operands[operand][0]]

    def _first_alike(self, node: int, mixed: bytearray, alike: dict[int, _Signature]) -> int:
        """The first operand of a sum where it is a term like the others, itself a sum; else `NONE`.

        The first of several differences that are added up would be merged, since it is at the end
        from which they are added, and be no element of the array that the others are.

        alike   by sum, what its terms are like where they have been found to be alike; added to
        """
        if len(self.operands[node]) < 2:
            return NONE
        first, second = self.operands[node]
        body = self._without_sign(first)
        if self.ops[body] not in _SUMS or self.uses[body] > 1:
            return NONE
        own, other = self._signature(body), self._without_sign(second)
        apart = self.ops[node] is SUB or mixed[second]
        if self._is_zero(second) and self._is_zero(self.operands[body][-1]):
            self._put_together(body)
            return NONE
        starts = self._is_zero(second) and self.by_sums[node] > 0
        if (
            not starts
            and own != alike.get(second)
            and not (apart and own == self._signature(other))
        ):
            return NONE
        alike[node] = own
        if body == first:
            return first
        self._set_apart(first, mixed)
        return NONE

    def _is_zero(self, node: int) -> bool:
        return self.ops[node] is CONSTANT and self.graph.value(node) == 0.0

    def _put_together(self, node: int) -> None:
        """Let the first operand of a sum be merged: zeros that follow each other start none."""
        first = self.operands[node][0]
        alone = self.uses[first] == 1 and first not in self._boundaries
        if alone and self.ops[first] in _SUMS:
            self.merged[first] = True

    def _set_apart(self, sign: int, mixed: bytearray) -> None:
        """Let what a minus sign stands before be a sum of its own, as it is without the sign."""
        self.merged[self._without_sign(sign)] = mixed[sign] = False

    def _without_sign(self, node: int) -> int:
        while self.ops[node] is NEG and self.uses[node] == 1:
            (node,) = self.operands[node]
        return node

    def _signature(self, node: int) -> _Signature:
        """What an operation is like: its name and those of its operands."""
        return self.ops[node], tuple([self.ops[operand] for operand in self.operands[node]])

    def _owners(self, nodes: Iterable[int]) -> dict[int, int]:
        """The sums that links of chains and products are part of; each node's own where it is none.

        Only nodes that are each used by one of `nodes`, or by nothing that is merged, are followed.
        """
        owner: dict[int, int] = {}
        for node in sorted(nodes, reverse=True):
            mine = owner.setdefault(node, node)
            for operand in self.operands[node]:
                if self.merged[operand]:
                    owner[operand] = mine
        return owner

    def _place_adjoints(self, pairs: Sequence[tuple[int, int]], depth: dict[int, int]) -> None:
        """Decide which node is the adjoint of which primal, in sums of one term where it must be.

        One node may be the adjoint of several primals, a sum and its terms: each gets its own.
        """
        primals: defaultdict[int, list[int]] = defaultdict(list)
        for primal, node in pairs:
            primals[node].append(primal)
        found = dict(pairs)
        adjoint = self.result.adjoint
        for node, group in primals.items():
            left = [primal for primal in group if not self.merged[primal]]
            if not left:
                continue
            left.sort(reverse=True)
            level = depth[node]
            head = node if self.ops[node] in _SUMS or self.ops[node] is MUL else self._new(node)
            adjoint[head] = (left[0], level)
            if len(group) == 1:
                if head != node:
                    self._heads[node] = head
                    self.result.sums[head] = [Product(1, NONE, node, NONE)]
                continue
            self._share(node, group, left, head, level, found)

    def _place_numbers(self, found: Iterable[tuple[int, int]]) -> set[int]:
        """Give leaves whose adjoint is a number an adjoint each, a sum of one term: these nodes."""
        by_number: defaultdict[int, dict[int, int]] = defaultdict(dict)
        for primal, number in found:
            own = by_number[number][primal] = self._new(max(primal, number))
            self.result.sums[own] = [Product(1, number, NONE, NONE)]
            self.result.adjoint[own] = (primal, 1)
        for number, by_primal in by_number.items():
            self._shared[number] = _Shared(by_primal, {}, number)
        return {own for by_primal in by_number.values() for own in by_primal.values()}

    def _drop(self, unread: set[int]) -> None:
        """Leave out adjoints that nothing reads."""
        if unread:
            self.result.order = [node for node in self.result.order if node not in unread]
        for node in unread:
            del self.result.sums[node], self.result.adjoint[node]

    def _new(self, after: int) -> int:
        node, self._next = self._next, self._next + 1
        self._after.setdefault(after, []).append(node)
        return node

    def _share(
        self,
        node: int,
        group: Sequence[int],
        left: Sequence[int],
        head: int,
        level: int,
        found: dict[int, int],
    ) -> None:
        owner = self._owners(group)
        by_primal = {left[0]: head}
        passed: dict[int, int] = {}
        if head != node:
            self.result.sums[head] = [Product(1, NONE, node, NONE)]
        members = set(group)
        for primal in sorted(group, reverse=True):
            mine = owner.get(primal, primal)
            if mine not in by_primal:
                if self.merged[primal]:
                    mine = left[0]
                else:
                    own = self._new(node)
                    source = passed.get(primal, head)
                    self.result.sums[own] = [Product(1, NONE, source, NONE)]
                    self.result.adjoint[own] = (primal, level)
                    by_primal[primal] = own
            by_primal.setdefault(primal, by_primal[mine])
            for operand in self.operands[primal]:
                if operand not in passed and (operand in members or operand in found):
                    passed[operand] = by_primal[mine]
        leaves = [primal for primal in left if not self.operands[primal]]
        default = by_primal[leaves[0]] if leaves else head
        self._shared[node] = _Shared(by_primal, passed, default)

    def _seen_by(self, user: int, node: int) -> int:
        """What a node is to one of its users: the adjoint of the primal that the user is about."""
        head = self._heads.get(node)
        if head is not None:
            return head
        shared = self._shared.get(node)
        if shared is None:
            return node
        origin = self.graph.origins[user]
        if origin is None or origin.primal is None:
            seen = shared.by_primal.get(self._concern(user), shared.default)
        else:
            table = shared.by_primal if origin.role == "rule" else shared.passed_to
            seen = table.get(origin.primal, shared.default)
        self._seen.add(seen)
        return seen

    def _concern(self, node: int) -> int:
        """The leaf that a step of an optimizer is about, in a node that no derivative made."""
        if self._concerned is None:
            leaves = {
                primal
                for shared in self._shared.values()
                for primal in shared.by_primal
                if not self.operands[primal]
            }
            self._concerned = self._concerns(leaves)
        return self._concerned.get(node, NONE)

    def _concerns(self, leaves: set[int]) -> dict[int, int]:
        """The one leaf that nodes are computed from, derivatives aside, or what they go into is."""
        found = {leaf: leaf for leaf in leaves}
        several = len(self.graph)

        def join(node: int, leaf: int) -> None:
            found[node] = leaf if found.get(node, leaf) == leaf else several

        own = self._steps()
        for node in own:
            for operand in self.operands[node]:
                if operand in found:
                    join(node, found[operand])
        told = set(found)
        for node in reversed(own):
            if node in found:
                for operand in self.operands[node]:
                    if operand not in told:
                        join(operand, found[node])
        return found

    def _steps(self) -> list[int]:
        """What neither a derivative nor what is differentiated needs, as an optimizer's steps."""
        graph, ends = self.graph, [next(iter(sweep)) for sweep in self.graph.sweeps]
        below = set(live_nodes(graph, ends))
        return [
            node
            for node in self.live
            if node not in below
            and self.operands[node]
            and ((origin := graph.origins[node]) is None or origin.primal is None)
        ]

    def _write(self, roots: Sequence[int]) -> None:
        result, ops, operands, merged = self.result, self.ops, self.operands, self.merged
        plain = not self._heads and not self._shared
        self._plain = bytearray(len(self.graph))
        for node in self.live:
            op = ops[node]
            self._plain[node] = not (op is CONSTANT or (op is NEG and merged[node]))
        for node in (*self._heads, *self._shared):
            self._plain[node] = False
        order = result.order
        for node in self.live:
            if not merged[node]:
                op = ops[node]
                if op in _SUMS or op is MUL:
                    result.sums[node] = self._terms(node)
                elif op is POW_CONST and self.graph.statics[node] == (1.0,):
                    base = self._seen_by(node, operands[node][0])
                    result.sums[node] = [Product(1, NONE, base, NONE)]
                elif op in EXTREMES:
                    result.extremes[node] = self._chain(node, op)
                    result.kinds[node] = op
                elif operands[node]:
                    inner = operands[node]
                    if not plain:
                        inner = tuple([self._seen_by(node, operand) for operand in inner])
                    result.inputs[node] = inner
                order.append(node)
            if node in self._after:
                order += self._after[node]
        due: dict[int, Iterator[int]] = {}
        put_out = Counter(roots)
        for root in roots:
            shared = self._shared.get(root)
            # a 0 may be put out that is no derivative by one of the leaves that have this one
            if shared and shared.default == root and put_out[root] != len(shared.by_primal):
                result.roots.append(root)
            else:
                result.roots.append(self._root(root, due))

    def _root(self, root: int, due: dict[int, Iterator[int]]) -> int:
        """What an output is: of several adjoints that are one node, the leaf's that is due."""
        shared = self._shared.get(root)
        if shared is None:
            return self._heads.get(root, root)
        if root not in due:
            leaves = sorted(primal for primal in shared.by_primal if not self.operands[primal])
            due[root] = iter(dict.fromkeys(shared.by_primal[leaf] for leaf in leaves))
        return next(due[root], shared.default)

    def _chain(self, end: int, op: Op) -> list[int]:
        found, stack = [], [end]
        while stack:
            node = stack.pop()
            for operand in reversed(self.operands[node]):
                if self.merged[operand] and self.ops[operand] is op:
                    stack.append(operand)
                else:
                    found.append(self._seen_by(node, operand))
        return found[::-1]

    def _terms(self, end: int) -> list[Product]:
        """The terms of the sum that ends in `end`, as they were written, without zeros."""
        ops, operands, merged = self.ops, self.operands, self.merged
        terms: list[Product] = []
        stack = [(1, end, end)]
        zero = NONE
        while stack:
            sign, node, user = stack.pop()
            op = ops[node]
            if op is MUL and (merged[node] or node == end):
                terms.append(self._product(sign, node))
            elif op in _SUMS and (merged[node] or node == end):
                inner = operands[node]
                if op is NEG:
                    stack.append((-sign, inner[0], node))
                else:
                    stack.append((-sign if op is SUB else sign, inner[1], node))
                    stack.append((sign, inner[0], node))
            elif op is CONSTANT and self._seen_by(user, node) == node:
                if self.graph.value(node) == 0.0:
                    zero = node
                else:
                    terms.append(Product(sign, node, NONE, NONE))
            else:
                terms.append(Product(sign, NONE, self._seen_by(user, node), NONE))
        if not terms or (zero != NONE and len(terms) == 1 and self._shows_zero(end, zero)):
            terms.insert(0, Product(1, zero, NONE, NONE))
        return terms

    def _shows_zero(self, end: int, zero: int) -> bool:
        """Whether the 0 of 0 - x or x + 0 stays, since the sign of a zero shows.

        That of 0 + x never does: so begins what `sum` of Python makes.
        """
        if zero != self.operands[end][self.ops[end] is ADD]:
            return False
        if self._shown is None:
            self._shown = shown_zeros(self.graph, self.live)
        return end in self._shown

    def _product(self, sign: int, node: int) -> Product:
        """A product of two factors as a term, negations and one number taken out."""
        ops, number, one = self.ops, NONE, NONE
        first, second = self.operands[node]
        plain = self._plain
        if plain[first] and plain[second]:
            return Product(sign, NONE, first, second)
        factors = []
        for operand in (first, second):
            user = node
            if ops[operand] is NEG and self.merged[operand]:
                user, operand = operand, self.operands[operand][0]
                sign = -sign
            seen = self._seen_by(user, operand)
            is_number = ops[operand] is CONSTANT and seen == operand
            if is_number and self.graph.value(operand) == 1.0:
                one = operand
                continue
            if number == NONE and is_number:
                number = operand
            else:
                factors.append(seen)
        if not factors and number == NONE:
            number = one
        factors += [NONE, NONE]
        return Product(sign, number, factors[0], factors[1])
