"""What a program computes several times over, alike for all of an array, is computed once.

A softmax that sums its exponentials anew for every quotient, or an optimizer that forms 1 - β for
every parameter, writes each scalar of a shape the same number of times; a causal one, each sum as
often as it has terms. Where only some are repeated, as for two tokens that happen to be equal,
nothing is merged: data must not change what is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from .shapes import APPLY, REDUCE, Family, Shapes, in_order
from .terms import NONE, Scalars

_MIX: Final = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def merge_repeats(found: Scalars, known: Shapes) -> bool:
    """Let equal scalars be one where all of a shape are repeated; whether there were any.

    `found` is changed, so that `known` has to be made anew.
    """
    wanted = sorted({known.family[root] for root in found.roots})
    first: dict[int, Any] = {}
    merged = False
    for number in chain.from_iterable(in_order(known.families, wanted)):
        family = known.families[number]
        lanes = _first_lanes(family, first)
        if lanes is not None:
            first[number] = lanes
            merged = True
    if merged:
        _rewrite(found, known, first)
    return merged


def _first_lanes(family: Family, first: dict[int, Any]) -> Any:
    """The first equal element of each element, if all are repeated as often as they should be."""
    import numpy

    if family.size < 2 or family.primal != NONE or family.kind not in (APPLY, REDUCE):
        return None
    signature = _of_apply(family, first) if family.kind == APPLY else _of_terms(family, first)
    _, firsts, inverse, counts = numpy.unique(
        signature, return_index=True, return_inverse=True, return_counts=True
    )
    usual = 1 if (counts == counts[0]).all() else _term_counts(family)[firsts]
    often = counts // usual
    regular = (often * usual == counts).all() and (often == often[0]).all()
    return firsts[inverse] if regular and (counts > 1).any() else None


def _term_counts(family: Family) -> Any:
    """How many terms each element has, if it is a sum; else 1."""
    import numpy

    found = numpy.zeros(family.size, numpy.int64)
    for group in family.groups.values():
        lanes = numpy.array(group.rows, numpy.int64).reshape(-1, 3)[:, 0]
        found += numpy.bincount(lanes, minlength=family.size)
    return numpy.maximum(found, 1)


def _hashed(columns: Sequence[Any], start: int) -> Any:
    """A number of 64 bits for each row of some columns."""
    import numpy

    total = numpy.full(len(columns[0]), start * _MIX[2] % 2**64, numpy.uint64)
    for column in columns:
        total = (total ^ column.astype(numpy.uint64)) * numpy.uint64(_MIX[0])
        total = (total ^ (total >> numpy.uint64(29))) * numpy.uint64(_MIX[1])
        total ^= total >> numpy.uint64(32)
    return total


def _of_apply(family: Family, first: dict[int, Any]) -> Any:
    import numpy

    rows = numpy.array(family.rows, numpy.int64).reshape(family.size, -1)
    columns = []
    for k, number in enumerate(family.inputs):
        lanes = rows[:, k]
        columns.append(first[number][lanes] if number in first else lanes)
    return _hashed(columns, 1)


def _of_terms(family: Family, first: dict[int, Any]) -> Any:
    import numpy

    total = numpy.zeros(family.size, numpy.uint64)
    for position, group in enumerate(family.groups.values()):
        rows = numpy.array(group.rows, numpy.int64).reshape(-1, 3)
        columns = []
        for k, number in enumerate(group.factors):
            lanes = rows[:, 1 + k]
            columns.append(first[number][lanes] if number in first else lanes)
        if group.numbers is not None:
            columns.append(numpy.array(group.numbers).view(numpy.int64))
        numpy.add.at(total, rows[:, 0], _hashed(columns, position + 2))
    return total


def _rewrite(found: Scalars, known: Shapes, first: dict[int, Any]) -> None:
    nodes: dict[tuple[int, int], int] = {}
    instead: dict[int, int] = {}
    for node in found.order:
        number = known.family[node]
        if number in first:
            lane = int(first[number][known.lane[node]])
            instead[node] = nodes.setdefault((number, lane), node)
    instead = {node: other for node, other in instead.items() if other != node}
    found.order = [node for node in found.order if node not in instead]

    def of(node: int) -> int:
        return instead.get(node, node)

    for node in found.order:
        found.rewrite(node, of)
    for node, (primal, level) in found.adjoint.items():
        found.adjoint[node] = (of(primal), level)
    found.roots = list(map(of, found.roots))
