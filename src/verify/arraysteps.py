"""The roll into arrays, and each pass on them that a function took, against what was before it.

Arrays are unrolled to compare them, with two samples where they have an axis of samples. The passes
are tried and kept as `compile` does, from the same list, on the same drafts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..arrays.roll import Rolled, check_roll, roll
from ..codegen.array import pipeline
from ..codegen.array.draft import Draft, tried
from ..codegen.build import Recipe, simplified_graph
from ..codegen.program import flatten
from ..graph.expr import Graph
from ..graph.unroll import lane_names, unroll_graph
from ..proof.check import SMOOTH, Check, points_text
from ..proof.nodes import EXACT, IDENTITY
from .looks import Look, first_wrong


@dataclass(frozen=True)
class Function:
    """A function whose way to arrays is to be judged.

    recipe   what it is built from
    given    the numbers of the leaves, by name, at each point
    samples  what the names of each sample's leaves end with, where it has a batch
    kind     what its arrays are, in words
    """

    recipe: Recipe
    given: Sequence[Mapping[str, float]]
    samples: Sequence[str] = ()
    kind: str = "arrays"

    @property
    def over(self) -> str:
        """Where it is compared, where that is at points."""
        count = len(self.samples)
        return f"1 batch of {count} samples" if count else points_text(len(self.given))


def array_checks(function: Function, seed: int) -> Iterator[Check]:
    """The roll, of a function of scalars without a batch, and the passes that any function took."""
    recipe = function.recipe
    graph = simplified_graph(recipe)
    kind = "roll"
    try:
        rolled = None
        if not graph.shapes and not function.samples:
            rolled = roll([graph[node] for node in graph.outputs])
            yield _roll_check(graph, rolled, function, seed)
        draft = pipeline.first_draft(
            graph, recipe.outputs, recipe.signatures, rolled, recipe.stacked
        )
        kind = "simplification"
        yield from _pass_checks(draft, function, seed)
    except Exception as error:
        what, said = f"{function.kind}: {len(graph):,} nodes", f"{type(error).__name__}: {error}"
        yield Check(kind, what, "unrolled", False, None, said)


def _roll_check(graph: Graph, rolled: Rolled, function: Function, seed: int) -> Check:
    check = check_roll([graph[node] for node in graph.outputs], rolled)
    ids = [output.id for output in rolled.outputs]
    scalar, lanes = unroll_graph(rolled.graph, ids)
    old = Look(graph, graph.outputs, function.given, seed)
    new = Look(scalar, [lanes[ids[k]][place] for k, place in rolled.places], function.given, seed)
    same = old.residues == new.residues
    method = "unrolled: node for node up to order" + f", {EXACT}" * same
    wrong = "" if check else str(check)
    wrong = wrong or ("" if same else first_wrong(old, new))
    what = f"{len(graph):,} scalar nodes -> {len(rolled.graph):,}"
    return Check("roll", what, method, not wrong, None, wrong, IDENTITY if same else SMOOTH)


def _pass_checks(draft: Draft, function: Function, seed: int) -> Iterator[Check]:
    old: Look | None = None
    graph = draft.graph
    named = [leaf for name, leaf in graph.leaves.items() if name in draft.shapes]
    parts = {graph.labels[leaf]: lane_names(graph, leaf) for leaf in named}
    for _, after, record in [one for one in tried(draft, pipeline.PASSES) if one.record.kept]:
        old = old or _look(draft, function, seed, parts)
        new = _look(after, function, seed, parts)
        same = old.residues == new.residues
        method = f"unrolled: {EXACT}" if same else "unrolled: same within rounding"
        wrong = "" if same else first_wrong(old, new)
        before, now = record.nodes_before, record.nodes_after
        what = f"{function.kind}, {record.name}: {before:,} nodes -> {now:,}"
        over = IDENTITY if same else function.over
        yield Check("simplification", what, method, not wrong, None, wrong, over)
        old = new


def _look(draft: Draft, function: Function, seed: int, parts: Mapping[str, Sequence[str]]) -> Look:
    """What the outputs of a draft are, number by number.

    parts  the names of the elements of each array that is an argument
    """
    places = [place for _, place in flatten(draft.outputs)]
    nodes = list(dict.fromkeys(place.node for place in places))
    scalar, lanes = unroll_graph(draft.graph, nodes, function.samples, parts)
    roots = [
        lane
        for place in places
        for lane in (
            lanes[place.node] if place.position is None else [lanes[place.node][place.position]]
        )
    ]
    return Look(scalar, roots, function.given, seed)
