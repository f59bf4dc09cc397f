"""The judge that knows no calculus: central differences of the forward pass.

`judges.js` takes the same differences where a reader moves the leaves of a page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..graph.evaluation import node_values
from ..ops.scalar import STOP_GRADIENT
from .derivation import Derivation

MAX_SIZE: Final = 1e6
"""Past this size of a leaf a difference quotient is shown but judges nothing: its step is long."""

STEP: Final = 6e-6
"""The step of a central difference: about the cube root of the spacing of floats is the best."""


@dataclass(frozen=True)
class Quotient:
    """A central difference, how far it may be off, and whether the slopes left and right differ."""

    slope: float
    slack: float
    kink: bool


def quotient(d: Derivation, leaf: int, values: Mapping[int, float]) -> Quotient:
    """The central difference of the output by one leaf; nan where no step can be taken.

    `values` are those of all nodes where it is taken.
    """
    x = values[leaf]
    h = STEP * max(1.0, abs(x))
    if not math.isfinite(h) or x + h == x:
        return Quotient(math.nan, math.inf, False)
    moving = _moving(d, leaf)
    still = {node: values[node] for node in d.live if node not in moving}
    order = sorted(moving)
    outer, below, above, other = (
        node_values(d.graph, order, {**still, leaf: x + step}).get(d.root, values[d.root])
        for step in (-2 * h, -h, h, 2 * h)
    )
    here = values[d.root]
    width = (x + h) - (x - h)
    slope, wide = (above - below) / width, (other - outer) / (2 * width)
    rounding = 1e-15 * max(abs(above), abs(below)) / h
    left, right = (here - below) / h, (above - here) / h
    kink = abs(right - left) > 1e-3 * max(abs(left), abs(right)) + 8 * rounding
    if abs(x) > MAX_SIZE:
        return Quotient(slope, math.inf, False)
    # What is left of the curvature shows in how much a step twice as long changes the quotient.
    return Quotient(slope, abs(slope - wide) + 4 * rounding, kink)


def _moving(d: Derivation, leaf: int) -> set[int]:
    """The nodes that are computed from a leaf; what stop_gradient was applied to counts as none."""
    found, stack = {leaf}, [leaf]
    while stack:
        for reader in d.readers.get(stack.pop(), ()):
            if reader not in found and d.graph.ops[reader] is not STOP_GRADIENT:
                found.add(reader)
                stack.append(reader)
    return found
