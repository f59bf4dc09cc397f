"""Where the sign of a zero can be seen: what divides, and what reaches it.

1/0.0 and 1/-0.0 are different numbers, so a rewrite that trades one zero for the other is exact
only where no division, nor anything like it, tells them apart. What an operation makes of the sign
is found by trying it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from itertools import product
from typing import Any, Final

from ..graph.expr import Graph
from ..graph.traversal import reachable
from ..ops.record import Op
from .rules import scalar_constant

_PARTNERS: Final = (0.0, -0.0, 1.0, -1.0, -2.0, math.inf)
"""What the other operands may be, where they are no constants."""


class Sign(Enum):
    """What becomes of the sign of a zero operand."""

    HIDDEN = 0
    PASSED = 1
    SHOWN = 2


def shown_zeros(graph: Graph, live: Sequence[int]) -> set[int]:
    """The nodes of which the sign, where they are 0, decides what another number is."""
    operands, ops = graph.operands, graph.ops
    showing = {op for op in set(ops) if op.arity > 0 and _may_show(op)}
    if not showing:
        return set()
    seeds = {
        operand
        for node in live
        if ops[node] in showing
        for position, operand in enumerate(operands[node])
        if _sign(graph, node, position) is Sign.SHOWN
    }

    def passing(node: int) -> list[int]:
        return [
            operand
            for position, operand in enumerate(operands[node])
            if _sign(graph, node, position) is not Sign.HIDDEN
        ]

    return reachable(seeds, passing)


def _sign(graph: Graph, node: int, position: int) -> Sign:
    op, operands = graph.ops[node], graph.operands[node]
    if graph.ops[operands[position]].arity == 0 and scalar_constant(graph, operands[position]):
        return Sign.HIDDEN  # a number that is not 0
    others = tuple([scalar_constant(graph, operand) for operand in operands])
    return sign_through(op, graph.statics.get(node, ()), position, others)


@lru_cache(maxsize=4096)
def _may_show(op: Op) -> bool:
    """Whether an operation may tell the zeros apart; with static numbers it may."""
    if op.statics or op.shape is not None:
        return op.shape is None
    unknown = (None,) * op.arity
    return any(
        sign_through(op, (), position, unknown) is Sign.SHOWN for position in range(op.arity)
    )


@lru_cache(maxsize=4096)
def sign_through(
    op: Op, statics: tuple[Any, ...], position: int, operands: tuple[float | None, ...]
) -> Sign:
    """What an operation makes of the sign of a zero at a position; other operands may be known.

    >>> from wengert.ops.scalar import ADD, DIV, EXP
    >>> sign_through(DIV, (), 1, (None, None)), sign_through(DIV, (), 0, (None, None))
    (<Sign.SHOWN: 2>, <Sign.PASSED: 1>)
    >>> sign_through(ADD, (), 0, (None, 1.0)), sign_through(EXP, (), 0, (None,))
    (<Sign.HIDDEN: 0>, <Sign.HIDDEN: 0>)
    """
    if op.shape is not None or op.arity < 0:
        return Sign.PASSED
    choices = [
        (0.0,) if place == position else _PARTNERS if number is None else (number,)
        for place, number in enumerate(operands)
    ]
    found = Sign.HIDDEN
    for numbers in product(*choices):
        turned = (*numbers[:position], -0.0, *numbers[position + 1 :])
        plus, minus = op.evaluate(*numbers, *statics), op.evaluate(*turned, *statics)
        if plus != minus and (plus == plus or minus == minus):
            return Sign.SHOWN
        if math.copysign(1.0, plus) != math.copysign(1.0, minus) and plus == plus:
            found = Sign.PASSED
    return found
