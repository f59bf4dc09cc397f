"""Practice: fresh expressions of a chosen difficulty, to differentiate by hand."""

from __future__ import annotations

from math import isfinite
from random import Random
from typing import Any, Final

from ..graph.expr import Graph
from . import explain
from .page.practice import LEVELS
from .walkthrough import Walkthrough

_LARGEST: Final = 200.0
_NUMBERS: Final = (-3, -2, -1, 1, 2, 3)


def fresh(level: int, seed: int | None = None) -> Walkthrough:
    """An expression with small whole numbers, every derivative finite; the same for a seed.

    level  1: sums and products; 2: a leaf is used twice; 3: functions inside

    >>> fresh(1, seed=0).formula.text == fresh(1, seed=0).formula.text
    True
    """
    rng = Random(seed)
    while True:
        found = _attempt(level, rng)
        if found is not None:
            return found


def _attempt(level: int, rng: Random) -> Walkthrough | None:
    """An expression whose operations each read the one before it; None where it is no use."""
    graph = Graph()
    nodes: list[Any] = [graph.input(name) for name in "abc"[: 2 + (level > 2)]]
    values = {leaf: rng.choice(_NUMBERS) for leaf in nodes}
    kinds = [kind for added in LEVELS[:level] for kind in added]
    length = level + 1 + rng.randrange(2)
    drawn = [rng.choice(kinds) for _ in range(length)]
    for i, (op, statics) in enumerate(drawn):
        operands = [nodes[-1] if i else rng.choice(nodes)]
        if op.arity > 1:
            operands.insert(rng.randrange(2), rng.choice(nodes))
        made = op(*operands, *statics)
        made.label = "L" if i == length - 1 else f"v{i + 1}"
        nodes.append(made)
    uses = [operand for node in nodes for operand in graph.operands[node.id]]
    reused = any(uses.count(leaf.id) > 1 for leaf in values)
    if (level > 1 and not reused) or (level > 2 and not any(k in LEVELS[2] for k in drawn)):
        return None
    used = {leaf: x for leaf, x in values.items() if leaf.id in uses}
    w = explain(nodes[-1], at=used)
    numbers = [x for node in w.nodes for x in (node.value, node.adjoint) if x is not None]
    tame = all(isfinite(x) and abs(x) < _LARGEST for x in numbers)
    return w if tame and all(w.by_name(leaf.label).adjoint for leaf in used) else None
