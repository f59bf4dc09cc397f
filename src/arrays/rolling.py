"""`roll`: forget the indices of a scalar graph, and find the array program that it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..graph.expr import Graph
from .families import Families
from .homes import leaf_homes
from .joins import join_single_terms
from .naming import named
from .repeats import merge_repeats
from .shapes import APPLY, Shapes, in_order, needed, shapes
from .statements import ArrayProgram
from .terms import scalars
from .wholes import join_wholes, places_of


def roll_nodes(
    graph: Graph, roots: Sequence[int], arguments: Mapping[str, Sequence[int]] | None = None
) -> ArrayProgram:
    """The array program that computes some nodes of a scalar graph.

    arguments  the leaves of each argument of the function that is to be made, by name; leaves of
               one argument lie in one vector, and what is done alike to all of it is one statement
    """
    arguments = arguments or {}
    places = places_of(arguments)
    within = {node: name for node, (name, _) in places.items()}
    homes = leaf_homes(graph, graph.leaves.values(), within)
    found = scalars(graph, roots)
    known = shapes(found, homes, arguments)
    changed = merge_repeats(found, known)
    changed = join_single_terms(found, known) or changed
    changed = join_wholes(found, places) or changed
    if changed:
        known = shapes(found, homes, arguments)
    wanted = sorted({known.family[root] for root in found.roots})
    computed = needed(known.families, wanted)
    keep = set(wanted).union(*[known.families[number].parts for number in computed])
    order = in_order(known.families, wanted)
    families = Families(known, keep, _applied(known, order))
    for number in order:
        families.add(number, number in computed)
    order = [number for number in order if number in computed]
    return named(graph, known, families, found.roots, order, arguments)


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
