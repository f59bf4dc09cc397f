"""Which passes a graph goes through on its way to a function."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from ..errors import UnknownNameError
from ..graph.expr import Graph
from .engine import PASSES
from .sharing import factor, share_products, share_sums

EXACT, REAL = "exact", "real"

SIMPLIFICATIONS: Final = (EXACT, REAL)
"""What `compile` can be asked for by name."""


def simplified(graph: Graph, rules: str, samples: Collection[str] = ()) -> Graph:
    """`graph` after the passes of a set of rules; it stays as it is itself.

    rules    "exact": results stay the same float64 bit for bit, but for the sign of a zero;
             "real": also what holds over the reals and may round otherwise: rules, common factors
             taken out of sums, and parts that sums or products share computed once
    samples  the names of the leaves that have a value for every sample of a batch
    """
    if rules == EXACT:
        return PASSES[EXACT](graph)
    graph = PASSES[REAL](graph)
    for sharing in (factor, share_sums, share_products):
        graph = sharing(graph, samples)
    return PASSES[REAL](graph)


def rules_named(simplify: Any) -> str | None:
    """The set of rules that `simplify` asks for: True is "exact", False is None.

    >>> rules_named(True), rules_named("real"), rules_named(False)
    ('exact', 'real', None)
    """
    if simplify is True or simplify is False:
        return EXACT if simplify else None
    if simplify not in SIMPLIFICATIONS:
        raise UnknownNameError.of("simplification", simplify, [*SIMPLIFICATIONS, "True", "False"])
    return str(simplify)
