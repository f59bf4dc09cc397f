"""`roll`: forget the indices of a scalar graph, and find the array program that it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..graph.expr import Graph
from .families import Families
from .homes import leaf_homes
from .joins import join_single_terms
from .naming import named
from .shapes import APPLY, Shapes, in_order, needed, shapes
from .statements import ArrayProgram
from .terms import scalars


def roll_nodes(graph: Graph, roots: Sequence[int]) -> ArrayProgram:
    """The array program that computes some nodes of a scalar graph."""
    found = scalars(graph, roots)
    homes = leaf_homes(graph, graph.leaves.values())
    known = shapes(found, homes)
    if join_single_terms(found, known):
        known = shapes(found, homes)
    keep = {known.family[root] for root in found.roots}
    order = in_order(known.families, sorted(keep))
    families = Families(known, keep, _applied(known, order))
    computed = needed(known.families, sorted(keep))
    for number in order:
        families.add(number, number in computed)
    order = [number for number in order if number in computed]
    return named(graph, known, families, found.roots, order)


def _applied(known: Shapes, order: Iterable[int]) -> set[int]:
    """The families whose elements are operands of operations, or of maxima and minima."""
    found: set[int] = set()
    for number in order:
        made = known.families[number]
        if made.kind == APPLY:
            found.update(made.inputs)
        elif made.op is not None and made.op.name != "add":
            found |= made.needs()
    return found
