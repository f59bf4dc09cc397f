"""From a graph of one sample to an `ArrayProgram`: roll, batch, passes that pay, lower."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ...arrays.batching import batch_graph
from ...arrays.roll import Rolled, roll
from ...graph.expr import Graph
from ...ops.arrays import GATHER, GATHER_ROWS, RESHAPE
from ...ops.indexing import Index
from ...ops.scalar import where
from ...ops.shapes import BATCH, Shape
from ...simplify.engine import run
from ..lower import Signature
from ..program import Nested, flatten, map_nested
from .draft import Draft, Pass, tried
from .factors import carried
from .features import turned
from .lower import Place, lower_arrays
from .program import ArrayProgram
from .tidy import tidied
from .whole import whole

SCALED: Final = "scaled here, where it is small, for all that follows"
"""The note on what a factor was carried to."""


def array_program(
    graph: Graph,
    outputs: Nested,
    signatures: Sequence[Signature],
    *,
    name: str = "f",
    simplify: bool = True,
    dtype: str = "float64",
    stacked: Sequence[bool] = (),
    gradients: Iterable[tuple[tuple[Any, ...], str]] = (),
) -> ArrayProgram:
    """The program for `graph.outputs`, which `outputs` has the nesting of.

    stacked    which outputs are one per sample, in order; none unless said
    gradients  paths of outputs that are derivatives by the leaves of a group, and its name

    A scalar graph is rolled first; one with arrays in it is taken as it is.
    """
    draft = first_draft(graph, outputs, signatures, stacked=stacked)
    found = list(tried(draft, PASSES)) if simplify else []
    for one in found:
        draft = one.after if one.record.kept else draft
    wishes = _wishes(draft.graph, draft.outputs, signatures, gradients)
    program = lower_arrays(
        *(draft.graph, draft.outputs, signatures, draft.shapes),
        name=name,
        dtype=dtype,
        wishes=wishes,
    )
    scaled = {i.name: SCALED for i in program.instructions if i.node in draft.scaled}
    passes = tuple(one.record for one in found)
    return replace(program, notes={**draft.notes, **scaled}, passes=passes)


def first_draft(
    graph: Graph,
    outputs: Nested,
    signatures: Sequence[Signature],
    rolled: Rolled | None = None,
    stacked: Sequence[bool] = (),
) -> Draft:
    """The arrays as they are found: a scalar graph rolled, and a batch of samples an axis more.

    rolled   what `roll` makes of the graph's outputs, if that is known
    stacked  which outputs are one per sample
    """
    shapes = _leaf_shapes(signatures)
    graph, places = _rolled(graph, rolled)
    batched = _batched_leaves(graph, signatures) or _counted_leaf(graph, signatures)
    image: Mapping[int, int] = {}
    if batched:
        nodes = list(dict.fromkeys([*(place.node for place in places), *batched[: any(stacked)]]))
        graph, images = batch_graph(graph, nodes, batched)
        image = {node: images[node] for node in nodes}
        places = [Place(image[place.node], place.position) for place in places]
    iterator = iter(places)
    nested = _standing_alone(graph, map_nested(outputs, lambda _: next(iterator)))
    if batched and any(stacked):
        alone = {place.node for place, each in zip(places, stacked, strict=True) if each}
        nested = _spread(graph, nested, alone, image[batched[0]])
    graph.outputs = tuple(place.node for _, place in flatten(nested))
    return Draft(graph, nested, signatures, shapes)


def _exact(draft: Draft) -> Draft:
    """The rules that keep every bit, on arrays."""
    graph = run(draft.graph).graph
    changed = graph.passes[-1].rewrites or len(graph) < len(draft.graph)
    return draft.on(graph) if changed else draft


def _tidy(draft: Draft) -> Draft:
    graph = tidied(draft.graph).graph
    changed = graph.ops != draft.graph.ops or graph.operands != draft.graph.operands
    return draft.on(graph) if changed else draft


def _whole(draft: Draft) -> Draft:
    made = whole(draft.graph, draft.outputs, _vectors(draft.signatures), draft.shapes)
    changed = made.graph is not draft.graph
    return replace(draft, graph=made.graph, outputs=made.outputs) if changed else draft


def _factors(draft: Draft) -> Draft:
    graph, _, scaled = carried(draft.graph)
    return replace(draft.on(graph), scaled=scaled) if graph is not draft.graph else draft


def _features(draft: Draft) -> Draft:
    if not draft.batched:
        return draft
    wanted = [(place.node, place.position) for _, place in flatten(draft.outputs)]
    found = turned(draft.graph, wanted, _order(draft.signatures, draft.shapes))
    if found is None:
        return draft
    outputs = map_nested(draft.outputs, lambda p: Place(*found.places[p.node, p.position]))
    found.graph.outputs = tuple(place.node for _, place in flatten(outputs))
    scaled = frozenset(found.images[node] for node in draft.scaled if node in found.images)
    return replace(draft, graph=found.graph, outputs=outputs, notes=found.notes, scaled=scaled)


PASSES: Final[tuple[tuple[str, Pass], ...]] = (
    ("exact", _exact),
    ("tidy", _tidy),
    ("whole vectors", _whole),
    ("factors", _factors),
    ("features", _features),
)
"""What is tried on arrays, in this order, by name. `verify` judges each that a function took."""


def _vectors(signatures: Sequence[Signature]) -> dict[str, Sequence[str]]:
    """The leaves of each argument that is one vector for all samples."""
    return {s.name: s.leaves for s in signatures if not (s.batched or s.scalar)}


def _order(
    signatures: Sequence[Signature], shapes: Mapping[str, Shape]
) -> dict[str, tuple[str, int]]:
    """The argument and the position of each scalar leaf in arguments that are one vector."""
    return {
        leaf: (signature.name, position)
        for signature in signatures
        if not signature.batched and not any(leaf in shapes for leaf in signature.leaves)
        for position, leaf in enumerate(signature.leaves)
    }


def _wishes(
    graph: Graph,
    outputs: Nested,
    signatures: Sequence[Signature],
    gradients: Iterable[tuple[tuple[Any, ...], str]],
) -> dict[int, str]:
    """Names for derivatives: d and the array leaf that they differentiate by."""
    array_of: dict[str, str] = {}
    for label, node in graph.leaves.items():
        for lane in graph.lanes.get(node, ()):
            array_of.setdefault(lane, label)
    leaves_of = {signature.name: signature.leaves for signature in signatures}
    wishes: dict[int, str] = {}
    for path, group in gradients:
        part = outputs
        for key in path:
            part = part[key]
        for place, leaf in zip(
            [part] if isinstance(part, Place) else part, leaves_of[group], strict=False
        ):
            wishes.setdefault(place.node, f"d{array_of.get(leaf, leaf)}")
    return wishes


def _leaf_shapes(signatures: Sequence[Signature]) -> dict[str, Shape]:
    """The shapes of leaves that are arrays, whether the outputs need them or not."""
    return {
        leaf: shape
        for signature in signatures
        for leaf, shape in zip(signature.leaves, signature.shapes, strict=False)
        if shape
    }


def _rolled(graph: Graph, rolled: Rolled | None) -> tuple[Graph, list[Place]]:
    """The rolled graph, and where in it each output is."""
    if graph.shapes:
        return graph, [Place(node) for node in graph.outputs]
    rolled = rolled or roll([graph[node] for node in graph.outputs])
    small = rolled.graph
    return small, [Place(rolled.outputs[k].id, position) for k, position in rolled.places]


def _batched_leaves(graph: Graph, signatures: Sequence[Signature]) -> list[int]:
    names = {leaf for s in signatures if s.batched for leaf in s.leaves}
    return [
        node
        for label, node in graph.leaves.items()
        if not names.isdisjoint(graph.lanes.get(node, (label,)))
    ]


def _counted_leaf(graph: Graph, signatures: Sequence[Signature]) -> list[int]:
    """A new leaf that tells how many samples there are, where the outputs need none of them."""
    for signature in signatures:
        if signature.batched and signature.leaves:
            leaf = label = signature.leaves[0]
            while label in graph.leaves:
                label += "_"
            shape = signature.shapes[0] if signature.shapes else ()
            made = graph.array(label, shape) if shape else graph.input(label)
            graph.lanes[made.id] = (leaf,)
            return [made.id]
    return []


def _spread(graph: Graph, nested: Nested, each: set[int], leaf: int) -> Nested:
    """The places, what is the same for every sample repeated for each; `leaf` has a row for each.

    In a sequence with a place that varies the others are repeated when they are put there.
    """
    if isinstance(nested, Mapping):
        return {key: _spread(graph, value, each, leaf) for key, value in nested.items()}
    if not isinstance(nested, Place):
        flat = [item for item in nested if isinstance(item, Place)]
        if len(flat) == len(nested) and any(_varies(graph, place) for place in flat):
            return nested
        return [_spread(graph, item, each, leaf) for item in nested]
    if nested.node not in each or _varies(graph, nested):
        return nested
    value, row = graph[nested.node], graph[leaf]
    first = row if len(row.shape) == 1 else GATHER_ROWS(row, Index(0))
    each_row = RESHAPE(first, (BATCH, *(1,) * len(value.shape))) if value.shape else first
    return Place(where(each_row, value, value).id, nested.position)


def _varies(graph: Graph, place: Place) -> bool:
    return BATCH in graph.shapes.get(place.node, ())


def _standing_alone(graph: Graph, nested: Nested) -> Nested:
    """The places, those of one number that is no part of a sequence as nodes of their own."""
    if isinstance(nested, Mapping):
        return {key: _standing_alone(graph, value) for key, value in nested.items()}
    if not isinstance(nested, Place):
        whole = all(isinstance(item, Place) for item in nested)
        return nested if whole else [_standing_alone(graph, item) for item in nested]
    shape = graph.shapes.get(nested.node, ())
    if nested.position is None or shape in ((), (BATCH,)):
        return Place(nested.node)
    gather = GATHER_ROWS if shape[0] == BATCH else GATHER
    return Place(gather(graph[nested.node], Index(nested.position)).id)
