"""What `explain` is asked: scalars, arrays or what was rolled, each with its walk-through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ..arrays.roll import Rolled
from ..errors import OperandError, shorten
from ..graph.arithmetic import Arithmetic
from ..graph.expr import Graph, common_graph
from ..graph.store import live_nodes
from ..ops.shapes import BATCH
from .arrays.walkthrough import explain_arrays, explain_rolled
from .derivation import derive
from .lesson import lesson
from .telling import Telling
from .walkthrough import Walkthrough


def explained(
    output: Any,
    wrt: Any,
    at: Mapping[Any, Any] | None,
    rates: Sequence[float],
    *,
    part: str | None,
    collapse: bool,
    progress: bool | None,
) -> Walkthrough:
    """The walk-through of an output; see `explain`."""
    asked = [] if wrt is None else [wrt] if isinstance(wrt, (Arithmetic, str)) else list(wrt)
    scalars = partial(_scalars, rates=rates, part=part, collapse=collapse, progress=progress)
    if isinstance(output, Rolled):
        return explain_rolled(output, asked, at, scalars)
    if isinstance(output, Arithmetic) and part is None and not collapse:
        graph = common_graph([output, *(leaf for leaf in asked if not isinstance(leaf, str))])
        root = graph.node_of(output)
        if _is_of_arrays(graph, root):
            return explain_arrays(graph, root, asked, at, partial(scalars, output, wrt))
    return scalars(output, wrt, at)


def _scalars(
    output: Any,
    wrt: Any,
    at: Mapping[Any, Any] | None,
    *,
    rates: Sequence[float],
    part: str | None,
    collapse: bool,
    progress: bool | None,
) -> Walkthrough:
    derivation = derive(output, wrt, at, part=part, collapse=collapse)
    with Telling(progress, derivation) as tell:
        return Walkthrough.of(lesson(derivation, rates, tell=tell))


def _is_of_arrays(graph: Graph, root: int) -> bool:
    """Whether arrays lead to an output, which then must be one number."""
    live = live_nodes(graph, [root])
    shapes = [graph.shapes[node] for node in live if node in graph.shapes]
    if not shapes or any(BATCH in shape for shape in shapes):
        return False
    shape = graph.shapes.get(root, ())
    if shape:
        size = 1
        for length in shape:
            size *= length
        if size != 1:
            raise OperandError(
                f"cannot explain {shorten(graph[root])}, {size} numbers at once; "
                "take one of them, or their sum"
            )
        return False
    return True
