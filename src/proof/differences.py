"""Finite differences of the reference evaluator, and how far they can be trusted."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from ..ops.scalar import STOP_GRADIENT
from .claim import Claim, relative

_STEPS = (-8, -12, -16, -20, -24)


@dataclass(frozen=True)
class Difference:
    """A claimed derivative beside the difference quotient.

    error is relative to the largest derivative, or to what a difference can see of a derivative
    that is small beside the values; agrees says whether the two differ by no more than the quotient
    may be wrong by.
    """

    claimed: float
    quotient: float
    error: float
    agrees: bool


def difference(
    claim: Claim, point: Mapping[int, float], direction: Mapping[int, float]
) -> Difference | None:
    """Compare the derivative along a direction with extrapolated central differences.

    `direction` maps positions among the leaves to components. Steps shrink until the two agree to
    within what the quotient may be wrong by; they differ when the last two steps say so with one
    voice. None where no step stays on one side of every kink, in the domain, and clear of rounding.
    """
    values = claim.values(point, claim.live)
    gradient = [values[node] for node in claim.gradient]
    claimed = sum(gradient[i] * sign for i, sign in direction.items())
    # Rounding: each node is off by about eps times its size, and the sum of many grows as its root.
    large = max(abs(values[n]) for n in claim.primal if math.isfinite(values[n]))
    rounding = (16 + math.sqrt(len(claim.primal))) * sys.float_info.epsilon * large
    floor = max(*map(abs, gradient), 1e-7 * large)
    scale = max(1.0, *(abs(claim.number(point, claim.leaves[i])) for i in direction))
    said: list[float] = []
    steady, step = False, 0.0
    for exponent in _STEPS:
        step = scale * 2.0**exponent
        estimates = _extrapolated(claim, point, direction, values, step)
        if estimates is None:
            continue
        quotient, spread = estimates[1], abs(estimates[1] - estimates[0])
        noise = 4 * rounding / step
        tolerance = 10 * spread + noise + 1e-9 * abs(claimed)
        if tolerance > 1e-2 * floor:
            continue  # not converging, or lost in rounding: no judgement
        apart = abs(quotient - claimed)
        if apart <= tolerance:
            return Difference(claimed, quotient, relative(apart, max(floor, abs(claimed))), True)
        near = max(1e-2 * abs(quotient), noise)
        steady = bool(said) and abs(quotient - said[-1]) <= near
        said.append(quotient)
    if not steady or not _is_resolved(claim, point, direction, claimed, step):
        return None
    error = relative(abs(said[-1] - claimed), max(floor, abs(claimed)))
    return Difference(claimed, said[-1], error, False)


def _extrapolated(
    claim: Claim,
    point: Mapping[int, float],
    direction: Mapping[int, float],
    values: Mapping[int, float],
    step: float,
) -> tuple[float, float] | None:
    """The derivative from three central differences, extrapolated from the first two and last two.

    Richardson's extrapolation: Press et al., *Numerical Recipes*, 3rd ed., section 5.7. None when a
    point is outside the domain or beyond a kink.
    """
    graph, branch = claim.graph, claim.branches(values)
    # A gradient that was stopped is that of a constant.
    frozen = {n: values[n] for n in claim.primal if graph.ops[n].name == STOP_GRADIENT.name}
    quotients = []
    for h in (step, step / 2, step / 4):
        ends = []
        for side in (h, -h):
            moved = {**_moved(claim, point, direction, side), **frozen}
            there = claim.values(moved, claim.primal)
            if not math.isfinite(there[claim.root]) or claim.branches(there) != branch:
                return None
            ends.append(there[claim.root])
        quotients.append((ends[0] - ends[1]) / (2 * h))
    coarse, middle, fine = quotients
    return (4 * middle - coarse) / 3, (4 * fine - middle) / 3


def _moved(
    claim: Claim, point: Mapping[int, float], direction: Mapping[int, float], by: float
) -> dict[int, float]:
    """The point, so far along the direction."""
    leaves = {claim.leaves[i]: component for i, component in direction.items()}
    return {**point, **{n: claim.number(point, n) + by * c for n, c in leaves.items()}}


def _is_resolved(
    claim: Claim,
    point: Mapping[int, float],
    direction: Mapping[int, float],
    claimed: float,
    step: float,
) -> bool:
    """Whether the claimed derivative is about the same beside the point, so that steps can see it.

    Nothing of sin(exp(exp(x))) for a large x is seen in steps that pass many of its waves.
    """
    for side in (step, -step):
        values = claim.values(_moved(claim, point, direction, side), claim.live)
        there = sum(values[claim.gradient[i]] * sign for i, sign in direction.items())
        if not abs(there - claimed) <= 1e-2 * abs(claimed):
            return False
    return True
