"""Each step from scalars to statements against what was before it: roll, batch, rewrites.

Statements are unrolled to compare them, with two samples where they have an axis of samples. The
steps are taken as `compile` takes them, by the same function.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..arrays.canonical import fingerprints
from ..arrays.statements import Output
from ..arrays.unrolling import check_program, unroll_program
from ..codegen.array.function import ArrayFunction, Element, Vector, Whole
from ..codegen.array.irregular import LeftAlone
from ..codegen.array.statementpipeline import (
    Request,
    Stage,
    computed,
    rolling_if_regular,
    stages,
)
from ..codegen.build import Recipe, simplified_graph
from ..codegen.program import flatten
from ..errors import ShapeError
from ..graph.expr import Graph
from ..graph.store import live_nodes
from ..graph.unroll import unroll_graph
from ..ops.scalar import ADD, TOTAL
from ..ops.shapes import BATCH
from ..proof.check import SMOOTH, Check, points_text
from ..proof.nodes import EXACT, IDENTITY
from .looks import Look, first_wrong, same_fingerprints


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


_NODE_FOR_NODE: Final = "unrolled: node for node up to order"


def statement_checks(function: Function, seed: int) -> Iterator[Check]:
    """The roll, the batch and the rewrites of a function of scalars, each against the one before.

    The roll is compared with the scalars; the batch with the scalars of each sample; a rewrite with
    the statements that it changed. Where few scalars are alike there are no statements to judge.
    """
    recipe = function.recipe
    graph = simplified_graph(recipe)
    request = _request(recipe)
    name = "roll"
    try:
        rolling = None if graph.shapes else rolling_if_regular(graph, request)
        if isinstance(rolling, LeftAlone):
            return
        old = _whole(graph, function, seed) if graph.shapes else _scalars(graph, function, seed)
        before: ArrayFunction | None = None
        for stage in stages(graph, request, rolling):
            name = "simplification" if before is not None and stage.name != "batch" else "roll"
            if before is not None and stage.function.program is before.program:
                continue
            if function.samples and stage.name == "roll":
                roots = computed(graph, recipe.options.rules is not None)
                yield _roll_check(graph, roots, stage)
            else:
                new = _look(stage.function, graph, function, seed)
                yield _check(name, _what(stage, before, graph, function), old, new, function)
                old = new
            before = stage.function
    except Exception as error:
        what, said = f"{function.kind}: {len(graph):,} nodes", f"{type(error).__name__}: {error}"
        yield Check(name, what, "unrolled", False, None, said)


def _request(recipe: Recipe) -> Request:
    options = recipe.options
    return Request(
        *(recipe.outputs, recipe.signatures, options.name, options.rules is not None),
        dtype=options.dtype,
        stacked=recipe.stacked,
    )


def _what(stage: Stage, before: ArrayFunction | None, graph: Graph, function: Function) -> str:
    count = len(stage.function.instructions)
    if before is None:
        kind = "nodes of arrays" if graph.shapes else "scalar nodes"
        return f"{len(graph):,} {kind} -> {count:,} statements"
    was = len(before.instructions)
    return f"{function.kind}, {stage.name}: {was:,} statements -> {count:,}"


def _roll_check(graph: Graph, roots: Sequence[int], stage: Stage) -> Check:
    """The roll of one sample of a batch, whose totals are left as they are."""
    check = check_program(graph, roots, stage.function.program)
    what = f"{len(graph):,} scalar nodes of a sample -> {len(stage.function.instructions):,}"
    wrong = "" if check else str(check)
    return Check("roll", f"{what} statements", _NODE_FOR_NODE, not wrong, None, wrong, IDENTITY)


def _check(name: str, what: str, old: Look, new: Look, function: Function) -> Check:
    before, after = fingerprints(old.graph, old.roots), fingerprints(new.graph, new.roots)
    alike = [before[a] == after[b] for a, b in zip(old.roots, new.roots, strict=True)]
    exact = same_fingerprints(old, new)
    method = _NODE_FOR_NODE if all(alike) else "unrolled: same within rounding"
    if exact:
        method = f"{_NODE_FOR_NODE}, {EXACT}" if all(alike) else f"unrolled: {EXACT}"
    shown = all(alike) or (exact and not old.chooses and not new.chooses)
    wrong = "" if shown else first_wrong(old, new)
    over = IDENTITY if exact else SMOOTH if all(alike) else function.over
    return Check(name, what, method, not wrong, None, wrong, over)


def _look(made: ArrayFunction, graph: Graph, function: Function, seed: int) -> Look:
    """What the outputs of statements are, number by number."""
    outputs = [one for _, output in flatten(made.outputs) for one in _elements(output, made)]
    runs = tuple([Output(one.array, (one.place,)) for one in outputs])
    program = replace(made.program, outputs=runs)
    unrolled = unroll_program(program, graph, function.samples or ("",))
    nodes, roots = iter(unrolled.outputs), []
    for one in outputs:
        varies = BATCH in program.arrays[one.array].shape
        found = [next(nodes) for _ in range(len(function.samples) if varies else 1)]
        roots += found * len(function.samples) if one.stacked and not varies else found
    return Look(unrolled, roots, function.given, seed)


def _elements(output: Element | Vector | Whole, made: ArrayFunction) -> Iterator[Element]:
    """The numbers that an output is."""
    if isinstance(output, Element):
        yield output
        return
    if isinstance(output, Whole):
        for place in range(made.program.arrays[output.array].size):
            yield Element(output.array, place, output.stacked)
        return
    for array, places in output.pieces:
        for place in places:
            yield Element(array, place, output.stacked)


def _whole(graph: Graph, function: Function, seed: int) -> Look:
    """What the outputs of a graph of arrays are, without a batch."""
    scalar, lanes = unroll_graph(graph, list(dict.fromkeys(graph.outputs)))
    roots = [lane for node in graph.outputs for lane in lanes[node]]
    return Look(scalar, roots, function.given, seed)


def _scalars(graph: Graph, function: Function, seed: int) -> Look:
    """What the outputs of the scalar graph are: over all samples where there is a batch."""
    recipe = function.recipe
    if not function.samples:
        return Look(graph, graph.outputs, function.given, seed)
    batched = {leaf for s in recipe.signatures if s.batched for leaf in s.leaves}
    target, lanes = _over_samples(graph, batched, function.samples)
    roots = []
    for node, stacked in zip(graph.outputs, recipe.stacked, strict=True):
        found = lanes[node]
        if len(found) > 1 and not stacked:
            raise ShapeError(f"{graph[node]!r} differs between samples, and is put out once")
        roots += found * len(function.samples) if stacked and len(found) == 1 else found
    return Look(target, roots, function.given, seed)


def _over_samples(
    graph: Graph, batched: Collection[str], samples: Sequence[str]
) -> tuple[Graph, dict[int, list[int]]]:
    """The scalar graph of all samples, and by node its image: one for each if it varies."""
    target, lanes = Graph(), dict[int, list[int]]()
    for node in live_nodes(graph, graph.outputs):
        op, operands, label = graph.ops[node], graph.operands[node], graph.labels.get(node, "")
        if not operands and label in batched:
            lanes[node] = [target.input(label + end).id for end in samples]
        elif not operands:
            lanes[node] = [target.copy_leaf(graph, node)]
        elif op is TOTAL:
            (own,) = (lanes[operand] for operand in operands)
            first, *rest = own if len(own) > 1 else own * len(samples)
            for other in rest:
                first = target.append(ADD, (first, other))
            lanes[node] = [first]
        else:
            count = max(len(lanes[operand]) for operand in operands)
            rows = [lanes[o] if len(lanes[o]) == count else lanes[o] * count for o in operands]
            statics = graph.statics.get(node, ())
            made = [target.append(op, row, statics) for row in zip(*rows, strict=True)]
            lanes[node] = made
    return target, lanes
