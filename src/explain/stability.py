"""What the compiler differentiates where the expression as it is written loses its numbers.

`grad` differentiates the stable form, and guards branches that were not taken. Where either makes
a difference, it is a step of its own: the rewrites, and the derivatives both ways.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ..codegen.compiled import Compiled
from ..graph.store import live_nodes
from ..ops.scalar import STOP_GRADIENT, WHERE
from ..simplify.stable import stable_rules
from .carried import Lineage
from .data import Rewriting, Slopes, Stable
from .derivation import Derivation
from .notation import Written, symbol, write
from .steps import node_id
from .words import listed, shown

_TRIED: Final = (800.0, -800.0, 0.0, 1e-12)
"""What leaves are set to in search of a point at which the two ways differ."""

_FAR: Final = 1e-6

SHIFT: Final = "max"
"""What the shift of exponents is called."""


def stable(d: Derivation, compiled: Compiled, lineage: Lineage) -> Iterator[Stable]:
    """The step, if the compiler differentiates anything but what is written."""
    point = None if d.symbolic else {node: d.values[node] for node in d.leaves}
    here = () if point is None else _slopes(d, compiled, point)
    rewritings = tuple(_rewritings(d, lineage))
    if not rewritings and not _guarded(d, here):
        return
    there = None if _differ(here) else _telling_point(d, compiled)
    rules = tuple(sorted(stable_rules(lineage.rewriting.graph))) if rewritings else ()
    yield Stable(
        id="stable",
        part=3,
        kind="stable",
        title=_TITLE if rewritings else _GUARD_TITLE,
        sentence=_sentence(rules) if rewritings else _GUARDED,
        node=None,
        finite=all(math.isfinite(slopes.compiled) for slopes in here),
        rules=rules,
        rewritings=rewritings,
        here=here,
        point={} if there is None else {d.names[node]: x for node, x in there.items()},
        there=() if there is None else _slopes(d, compiled, there),
        why=_why(d, compiled, point if there is None else there, rewritings),
    )


_TITLE: Final = "The stable form: what the compiler differentiates"
_GUARD_TITLE: Final = "A branch that was not taken: what the compiler does"
_GUARDED: Final = (
    "The rules multiply the 0 that reaches a branch which was not taken by its local derivatives, "
    "and 0·inf is nan. The compiler passes each such share through the condition once more, so "
    "that what was not taken passes back 0."
)


def _sentence(rules: Sequence[str]) -> str:
    named = listed(f"“{rule}”" for rule in rules)
    return (
        "Up to here the rules were applied to the expression as it is written. The compiler first "
        f"rewrites it, by the rule{'s' * (len(rules) != 1)} {named}: the same function, written so "
        "that floating point does not lose it. Then it computes and differentiates that."
    )


def _rewritings(d: Derivation, lineage: Lineage) -> Iterator[Rewriting]:
    """What was rewritten, each part before and after, in the names of the nodes."""
    graph, images = lineage.claim.graph, lineage.images
    if lineage.stable == lineage.claim.root:
        return
    nodes = {original: node for node, original in d.originals.items()}
    named = [node for node in lineage.claim.primal if node in nodes and node in images]
    after = {images[node]: d.written[nodes[node]] for node in named}
    for node in named:
        image = images[node]
        same = graph.ops[node] is graph.ops[image] and graph.statics.get(
            node, ()
        ) == graph.statics.get(image, ())
        operands = tuple(images.get(operand, -1) for operand in graph.operands[node])
        if same and operands == graph.operands[image]:
            continue
        border = _border(lineage, image, after)
        before = {other: after[images[other]] for other in named if images[other] in border}
        shift = _shift(lineage, image, after)
        letter = {} if shift is None else {shift: symbol(SHIFT)}
        yield Rewriting(
            node_id(nodes[node]),
            write(graph, node, before, inside=True).formula,
            write(graph, image, {**after, **letter}, inside=True).formula,
            None if shift is None else write(graph, graph.operands[shift][0], after).formula,
        )


def _shift(lineage: Lineage, image: int, named: Mapping[int, Written]) -> int | None:
    """The node in a rewritten part by which its exponents are shifted."""
    graph = lineage.claim.graph
    within = live_nodes(graph, [image], {node: node for node in named if node != image})
    found = [node for node in within if graph.ops[node] is STOP_GRADIENT]
    return found[0] if len(found) == 1 else None


def _border(lineage: Lineage, image: int, named: Mapping[int, Written]) -> set[int]:
    """The nodes with a name that a node of the stable form is written with."""
    graph = lineage.claim.graph
    within = live_nodes(graph, [image], {node: node for node in named if node != image})
    inside = {image, *within}
    return {o for node in inside for o in graph.operands[node] if o in named and o != image}


def _slopes(d: Derivation, compiled: Compiled, point: Mapping[int, float]) -> tuple[Slopes, ...]:
    """The derivatives at a point: by the rules on what is written, and as they are compiled."""
    values = d.at(point)
    gradient = compiled(*(point[node] for node in d.leaves))["gradient"]
    return tuple(
        Slopes(node_id(leaf), values[d.adjoint[leaf]], slope)
        for leaf, slope in zip(d.wrt, gradient, strict=True)
    )


def _differ(found: Sequence[Slopes]) -> bool:
    """Whether the rules on what is written give no number, or another, where the compiler does."""
    return any(
        math.isfinite(slopes.compiled)
        and not abs(slopes.written - slopes.compiled) <= _FAR * abs(slopes.compiled)
        for slopes in found
    )


def _guarded(d: Derivation, here: Sequence[Slopes]) -> bool:
    """Whether a branch that was not taken makes the difference."""
    return any(d.graph.ops[node] is WHERE for node in d.live) and _differ(here)


def _telling_point(d: Derivation, compiled: Compiled) -> Mapping[int, float] | None:
    """Values for the leaves at which the two ways differ, as near to the given ones as may be."""
    start = {node: 1.0 if d.symbolic else d.values[node] for node in d.leaves}
    for number in _TRIED:
        for some in [*([leaf] for leaf in d.leaves), d.leaves]:
            point = {**start, **dict.fromkeys(some, number)}
            if _differ(_slopes(d, compiled, point)):
                return point
    return None


def _why(
    d: Derivation,
    compiled: Compiled,
    point: Mapping[int, float] | None,
    rewritings: Sequence[Rewriting],
) -> str:
    """What goes wrong at a point where something does, and that the compiled form goes right."""
    found = () if point is None else _slopes(d, compiled, point)
    if point is None or not _differ(found):
        return "Both give the same derivatives, but for rounding." if rewritings else ""
    values = d.at(point)
    worst = next(s for s in found if _differ([s]))
    leaf = d.names[int(worst.leaf[1:])]
    output = d.names[d.root]
    cause = next((n for n in d.live if d.computed(n) and not math.isfinite(values[n])), None)
    said = ""
    if cause is not None:
        formula = write(d.graph, cause, d.written, inside=True).text
        said = f"{d.names[cause]} = {formula} is {shown(values[cause])}"
        said += ", past the largest float: " if math.isinf(values[cause]) else ": "
    way = "of the stable form" if rewritings else "as it is compiled"
    start = "rule by rule" if said else "Rule by rule"
    return (
        f"{said}{start} ∂{output}/∂{leaf} is {shown(worst.written)}, "
        f"{way} it is {shown(worst.compiled)}."
    )
