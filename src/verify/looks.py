"""What some nodes of a scalar graph are, to be compared with what they were before a step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ..graph.evaluation import node_values
from ..graph.expr import Graph
from ..graph.store import live_nodes
from ..proof.residues import CHOICES, fingerprints, rounds
from ..proof.rounding import point_intervals

ROUNDING: Final = 16
"""How many times the rounding that the graph can have a target may be from the interpreter: it may
add up in another order."""

FLOOR: Final = 64
"""How many units in the last place of the largest number it may be from it in any case."""

UNBOUNDED: Final = 1e-9
"""How far, relative to the largest number, it may be where no bound on the rounding is known."""


@dataclass(frozen=True)
class Look:
    """What `roots` are where the leaves, by name, have the numbers of each point in `given`."""

    graph: Graph
    roots: Sequence[int]
    given: Sequence[Mapping[str, float]]
    seed: int

    @cached_property
    def live(self) -> list[int]:
        """The nodes that the roots need."""
        return live_nodes(self.graph, self.roots)

    @cached_property
    def points(self) -> list[dict[int, float]]:
        """The numbers of the leaves that are in the graph."""
        leaves = self.graph.leaves
        return [
            {leaves[name]: number for name, number in numbers.items() if name in leaves}
            for numbers in self.given
        ]

    @cached_property
    def values(self) -> list[list[float]]:
        """The values at each point."""
        found = [node_values(self.graph, self.live, at) for at in self.points]
        return [[values[node] for node in self.roots] for values in found]

    @cached_property
    def chooses(self) -> bool:
        """Whether there are conditions, of which a fingerprint sees what one side gives."""
        return rounds(self.graph, self.live) == CHOICES

    @cached_property
    def residues(self) -> list[list[int]]:
        """The fingerprints: several where there are conditions."""
        keys = [f"{self.seed}/{number}" for number in range(CHOICES if self.chooses else 1)]
        each = [fingerprints(self.graph, self.live, key) for key in keys]
        return [[found[node] for node in self.roots] for found in each]

    @cached_property
    def widths(self) -> list[list[float]]:
        """How wide rounding can make each value at each point."""
        found = [point_intervals(self.graph, self.live, at) for at in self.points]
        return [[within[node].high - within[node].low for node in self.roots] for within in found]


def same_fingerprints(old: Look, new: Look) -> bool:
    """Whether two looks agree in every fingerprint that both have."""
    return all(a == b for a, b in zip(old.residues, new.residues, strict=False))


def first_wrong(old: Look, new: Look, exact: bool = False) -> str:
    """The first output that is another number than before, past what rounding explains."""
    for point, (before, after) in enumerate(zip(old.values, new.values, strict=True)):
        largest = max(map(abs, before))
        for i, (a, b) in enumerate(zip(before, after, strict=True)):
            same = a == b or (math.isnan(a) and math.isnan(b))
            if not same and (exact or not abs(a - b) <= allowed(old.widths[point][i], largest)):
                return f"output {i}: {a} -> {b}"
    return ""


def allowed(width: float, largest: float) -> float:
    """How far a number may be off, whose rounding is bounded by `width`, beside the largest."""
    bound = ROUNDING * width if math.isfinite(width) else UNBOUNDED * largest
    return max(bound, FLOOR * math.ulp(largest))
