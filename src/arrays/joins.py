"""Sums of one term where nobody wrote a sum: a softmax over one position divides by its only term.

Where an operation takes a sum in some places and what the sum adds in others, as at the first of
several positions, the others get a sum of one term, and so does the adjoint that belongs to it. Not
so in comparisons: the slopes of a maximum of two maxima compare what each of them is of.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ..ops.record import Op
from ..ops.scalar import ADD
from .shapes import APPLY, Shapes
from .terms import NONE, Product, Scalars


def join_single_terms(found: Scalars, known: Shapes) -> bool:
    """Wrap such operands in sums, maxima or minima of their own; whether there were any.

    `found` is changed, so that `known` has to be made anew.
    """
    wanted = _wanted(known)
    if not wanted:
        return False
    _Wrapping(found, known, wanted)
    return True


def _wanted(known: Shapes) -> dict[int, dict[int, Op]]:
    """By family and operand, the reduction that families of the same bare shape have there."""
    classes: defaultdict[Any, list[int]] = defaultdict(list)
    families = known.families
    for family in families:
        if family.kind == APPLY and family.op is not None and not family.op.truth:
            bare = tuple([NONE if f == NONE else families[f].bare for f in family.inputs])
            classes[family.op, family.statics, bare].append(family.number)
    wanted: dict[int, dict[int, Op]] = {}
    for members in classes.values():
        if len(members) < 2:
            continue
        for k in range(len(families[members[0]].inputs)):
            inputs = [families[m].inputs[k] for m in members]
            kinds = [None if f == NONE else families[f].reduces for f in inputs]
            ops = {op for op in kinds if op is not None}
            if len(ops) == 1:
                for member, kind in zip(members, kinds, strict=True):
                    if kind is None and families[member].inputs[k] != NONE:
                        wanted.setdefault(member, {})[k] = next(iter(ops))
    return wanted


class _Wrapping:
    """Puts reductions of one term between operations and some of their operands."""

    def __init__(self, found: Scalars, known: Shapes, wanted: dict[int, dict[int, Op]]) -> None:
        self._found = found
        self._next = max(max(found.order) + 1, len(found.graph))
        self._wrapped: dict[tuple[Op, int], int] = {}
        self._moved: dict[int, list[tuple[int, int]]] = {}
        order: list[int] = []
        for node in found.order:
            slots = wanted.get(known.family[node]) if node in found.inputs else None
            if slots:
                self._wrap(node, slots, order)
            order.append(node)
        found.order = self._with_adjoints(order)

    def _wrap(self, node: int, slots: dict[int, Op], order: list[int]) -> None:
        inputs = list(self._found.inputs[node])
        for k, op in slots.items():
            key = (op, inputs[k])
            if key not in self._wrapped:
                wrap = self._wrapped[key] = self._next
                self._next += 1
                order.append(wrap)
                if op is ADD:
                    self._found.sums[wrap] = [Product(1, NONE, inputs[k], NONE)]
                else:
                    self._found.extremes[wrap] = [inputs[k]]
                    self._found.kinds[wrap] = op
            wrap = self._wrapped[key]
            self._moved.setdefault(inputs[k], []).append((node, k))
            inputs[k] = wrap
        self._found.inputs[node] = tuple(inputs)

    def _with_adjoints(self, order: list[int]) -> list[int]:
        """The shares that came through a wrapped operand, as an adjoint of the wrapping sum."""
        found, origins = self._found, self._found.graph.origins
        new: list[int] = []
        for node in order:
            primal, level = found.adjoint.get(node, (NONE, 0))
            through = self._moved.get(primal)
            wrap = self._wrapped.get((ADD, primal))
            if through and wrap is not None:
                shares, rest = [], []
                for term in found.sums[node]:
                    origin = origins[term.first] if NONE < term.first < len(origins) else None
                    alone = term.second == NONE and origin is not None
                    if alone and origin and (origin.primal, origin.operand) in through:
                        shares.append(term)
                    else:
                        rest.append(term)
                if shares:
                    own, self._next = self._next, self._next + 1
                    found.sums[own] = shares
                    found.adjoint[own] = (wrap, level)
                    found.sums[node] = [*rest, Product(1, NONE, own, NONE)]
                    new.append(own)
            new.append(node)
        return new
