"""A chain of maxima, or of minima, as one operation with one derivative.

Link by link, max(max(max(a, b), c), d) asks at every link who won so far, and what reaches `a` has
passed all of them: as many formulas as there are operands. As one operation it has one formula:

    first = min over k of (k where xₖ is the largest, else n - 1)
    xₖ gets the cotangent where k is first, else 0

These are the numbers that the rule of the links gives, ties and nan included: of several that are
the largest the first gets it all, and where one is nan none equals the largest, and the last does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import reduce
from typing import Any, NamedTuple

from ..graph.expr import Expr, Graph
from ..graph.store import Origin
from ..ops.scalar import EXTREMES, equal, less_equal, minimum, where


class Chain:
    """The operands x₀, x₁, x₂, … of the links m₁ = max(x₀, x₁), m₂ = max(m₁, x₂) and so on.

    end   the last link, the only one that anything else reads
    """

    def __init__(self, graph: Graph, links: Sequence[int]) -> None:
        self._graph, self.end = graph, links[-1]
        self._operands = [graph.operands[links[0]][0]]
        self._operands += [graph.operands[link][1] for link in links]
        self._first: Expr | None = None
        self._chosen: list[Expr] = []
        self._shares: dict[int, Expr] = {}

    @property
    def first(self) -> Expr:
        """The place of the operand that the cotangent goes to, a number."""
        if self._first is None:
            graph, last = self._graph, len(self._operands) - 1
            largest = [equal(graph[operand], graph[self.end]) for operand in self._operands]
            self._first = reduce(minimum, [where(it, k, last) for k, it in enumerate(largest)])
        return self._first

    def prepare(self) -> None:
        """Make the conditions now."""
        name = self._graph.ops[self.end].name
        self._graph.deriving(Origin("grad", self.end, "rule", name))
        self.chosen(0)
        self._graph.deriving(None)

    def chosen(self, place: int) -> Expr:
        """The condition that the cotangent goes to the operand at a place."""
        if not self._chosen:
            self._chosen = [equal(self.first, k) for k in range(len(self._operands))]
        return self._chosen[place]

    def share(self, place: int, ct: Expr, needed: Collection[int]) -> Expr:
        """What the operand at a place gets of the cotangent; those of all `needed` are made."""
        if not self._shares:
            name = self._graph.ops[self.end].name
            for k, operand in enumerate(self._operands):
                if operand in needed:
                    self._graph.deriving(Origin("grad", self.end, "rule", name, k))
                    self._shares[k] = where(self.chosen(k), ct, 0)
        return self._shares[place]


class Link(NamedTuple):
    """One link of a chain, by its number."""

    chain: Chain
    number: int

    def place(self, position: int) -> int | None:
        """Which operand of the chain an operand of the link is; None where it is a link."""
        return self.number + 1 if position else None if self.number else 0

    @property
    def reached(self) -> Expr:
        """The condition that the cotangent goes to an operand up to this link."""
        return less_equal(self.chain.first, self.number + 1)  # type: ignore[no-any-return]

    @property
    def tangents(self) -> tuple[Callable[..., Any], ...]:
        """The share of each operand's tangent; that of another link is the sum up to it."""
        places = [self.place(position) for position in (0, 1)]
        return tuple([_passed_on if k is None else self._rule(k) for k in places])

    def _rule(self, place: int) -> Callable[..., Any]:
        return lambda tangent, *_: where(self.chain.chosen(place), tangent, 0)


def _passed_on(tangent: Any, *_: Any) -> Any:
    return tangent


def extreme_chains(
    graph: Graph, live: Sequence[int], roots: Collection[int], targets: Collection[int]
) -> dict[int, Link]:
    """The links of chains of three operands or more between `roots` and `targets`.

    A maximum of maxima of two operands each is none, and one of whole chains is a chain of these.

    live   what the roots need, operands first

    >>> from wengert import maximum
    >>> g = Graph(); a, b, c = g.inputs("x", 3); y = maximum(maximum(a, b), c)
    >>> found = extreme_chains(g, range(len(g)), [y.id], [])
    >>> [(str(g[link]), it.place(0), it.place(1)) for link, it in found.items()]
    [('maximum(x0, x1)', 0, 1), ('maximum(maximum(x0, x1), x2)', None, 2)]
    """
    ops, operands = graph.ops, graph.operands
    ends = [node for node in live if ops[node] in EXTREMES and node not in graph.shapes]
    uses = _uses(graph, live, roots) if ends else {}
    found: dict[int, Link] = {}

    def goes_on(node: int, position: int) -> bool:
        inner = operands[node][position]
        return ops[inner] is ops[node] and uses[inner] == 1 and inner not in targets

    for end in reversed(ends):
        links = [end] if end in uses and end not in found else []
        while links and goes_on(links[-1], 0):
            inner, _ = operands[links[-1]]
            if goes_on(inner, 1) != goes_on(end, 1):
                break
            links.append(inner)
        if len(links) > 1:
            chain = Chain(graph, links[::-1])
            found.update((link, Link(chain, len(links) - 1 - k)) for k, link in enumerate(links))
    return dict(reversed(found.items()))


def _uses(graph: Graph, live: Sequence[int], roots: Collection[int]) -> Counter[int]:
    """How many consumers pass something back to each node that the derivatives of `roots` reach."""
    uses = Counter(roots)
    for node in reversed(live):
        if node in uses:
            rules = graph.ops[node].vjp
            uses.update(n for k, n in enumerate(graph.operands[node]) if rules[k] is not None)
    return uses
