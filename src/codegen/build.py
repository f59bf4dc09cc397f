"""From a graph and its outputs to a loaded function: simplify, lower, emit, load.

The result depends on the structure of the graph alone, so a loop that writes the same expression
anew each time builds it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, islice
from math import prod
from typing import Any, Final, NamedTuple

from ..errors import ShapeError, UnknownNameError, shorten
from ..graph.expr import Graph
from ..graph.rewrite import rewritten
from ..ops.reads import Among, Reduce
from ..ops.scalar import CONSTANT, DIV, TOTAL
from ..ops.shapes import shape_text
from ..simplify.pipeline import Choice, rules_named, simplified
from ..storage import from_pickle
from .array.function import ArrayFunction
from .array.statementpipeline import Request, array_function_if_regular, computed, stages
from .lower import AFTER, EACH, Signature, lower, stages_of
from .program import Nested, Program, flatten, map_nested
from .target import Source, Target, find_target

REDUCTIONS: Final = ("sum", "mean", None)
OFTEN: Final = 8
"""How many nodes a statement has to stand for on average, where a target has the choice."""
MOST: Final = 4_000
"""How many statements a target that has the choice prints."""
GRID: Final = 64
"""How many points, for each node, the grids have on which a condition lists its points."""
MAX_REMEMBERED: Final = 20_000
"""The largest graph, in nodes, whose function is remembered."""


@dataclass(frozen=True)
class Derivatives:
    """A statement about outputs: those at `gradient` are the derivatives of the one at `output`.

    Each is with respect to the leaf of argument `group` at the same position, or to the one leaf
    of a scalar group. Where they are among others in a list, the last key of the path is a slice.
    """

    gradient: tuple[Any, ...]
    output: tuple[Any, ...]
    group: str


class Options(NamedTuple):
    """How to build a function, besides from what."""

    target: str | Target
    name: str
    rules: Choice | None
    dtype: str


@dataclass(frozen=True, slots=True)
class Built:
    """A program, its text and the function that the text defines."""

    program: Program | ArrayFunction
    source: Source
    function: Callable[..., Any]
    derivatives: tuple[Derivatives, ...]
    passes: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a function is built from. Two are equal when they have the same structure.

    stacked marks the outputs that stay one per sample; asked are the nodes that the graph's outputs
    reduce over samples by `reduce`.
    """

    structure: tuple[Any, ...] | None
    graph: Graph = field(compare=False)
    outputs: Nested = field(compare=False)
    signatures: tuple[Signature, ...]
    stacked: tuple[bool, ...]
    options: Options
    asked: tuple[int, ...] = field(default=(), compare=False)
    reduce: str | None = field(default=None, compare=False)

    @classmethod
    def of(
        cls,
        reduction: tuple[Graph, list[bool]],
        outputs: Nested,
        signatures: Sequence[Signature],
        options: Options,
        asked: tuple[int, ...] = (),
        reduce: str | None = None,
    ) -> Recipe:
        """The recipe for `outputs`, the nesting of the graph's outputs."""
        graph, stacked = reduction
        known = structure(graph, outputs, signatures)
        signed = tuple(signatures)
        return cls(known, graph, outputs, signed, tuple(stacked), options, asked, reduce)

    @property
    def holds_arrays(self) -> bool:
        """Whether arrays are computed with, or taken and not needed."""
        return bool(self.graph.shapes) or any(s.holds_arrays for s in self.signatures)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """What it is compared by is found anew: a file might say that of another function."""
        reduction = self.graph, list(self.stacked)
        asked = self.outputs, self.signatures, self.options, self.asked, self.reduce
        return from_pickle, ("a recipe", Recipe.of, reduction, *asked)


def structure(
    graph: Graph,
    outputs: Nested,
    signatures: Sequence[Signature],
    limit: int | None = MAX_REMEMBERED,
    arrays: bool = False,
) -> tuple[Any, ...] | None:
    """What a function depends on, ready to be compared; None for what is not remembered.

    Graphs of more than `limit` nodes are not, nor without `arrays` are those with arrays.

    The numbers of leaves that are arguments are no part of it; the other leaves' are, bit for bit.
    """
    if (graph.shapes and not arrays) or (limit is not None and len(graph) > limit):
        return None
    arguments = {leaf for signature in signatures for leaf in signature.leaves}
    numbers = [
        (node, _bits(number))
        for node, operands in enumerate(graph.operands)
        if not operands
        and graph.labels.get(node) not in arguments
        and (number := graph.value(node)) is not None
    ]
    return (
        tuple(graph.ops),
        tuple(graph.operands),
        tuple(graph.origins),
        tuple((node, statics, repr(statics)) for node, statics in graph.statics.items()),
        tuple(graph.labels.items()),
        tuple(graph.adjoint_of.items()),
        tuple(graph.gradients.items()),
        tuple(graph.stable_forms.items()),
        tuple(graph.shapes.items()),
        tuple(numbers),
        graph.outputs,
        _nesting(outputs),
    )


def _bits(number: Any) -> object:
    """A number or an array, bit for bit."""
    if hasattr(number, "tobytes"):
        return number.shape, number.dtype.str, number.tobytes().hex()
    return float(number).hex()


def _nesting(outputs: Nested) -> Any:
    """The shape of nested outputs, hashable."""
    if isinstance(outputs, Mapping):
        return ("dict", tuple((key, _nesting(value)) for key, value in outputs.items()))
    if isinstance(outputs, (list, tuple)):
        return ("list", tuple(map(_nesting, outputs)))
    return None


def build(recipe: Recipe) -> Built:
    """Simplify, lower, emit and load."""
    options = recipe.options
    target = find_target(options.target)
    if not target.takes_statements:
        _check_scalars(recipe, target.name)
    graph = simplified_graph(recipe)
    program: Program | ArrayFunction | None = None
    told: tuple[Any, ...] = ()
    if _is_rolled(recipe):
        request = Request(
            *(recipe.outputs, recipe.signatures, options.name, options.rules is not None),
            *(options.dtype, recipe.stacked, target.arrays and target.rewrites),
        )
        if target.arrays and not target.engine and options.dtype != "float32":
            program, left = array_function_if_regular(graph, request)
            told = () if left is None else (left,)
        else:
            *_, last = stages(graph, request)
            program = last.function
        if program is None or _is_irregular(program, recipe):
            program, graph = None, _simplified(recipe)
    derivatives = _derivatives(graph, recipe.outputs, recipe.signatures)
    if program is None:
        nodes = computed(graph, options.rules is not None)
        program = _scalar_program(graph, nodes, recipe)
    source = target.emit(program)
    known = () if any(recipe.stacked) else derivatives
    passes = (*told, *graph.passes)
    if isinstance(program, ArrayFunction):
        passes = (*passes, *program.records)
    return Built(program, source, target.load(source), known, passes)


def simplified_graph(recipe: Recipe) -> Graph:
    """The recipe's graph after the simplification that is asked for."""
    rolled = _is_rolled(recipe) and not recipe.graph.shapes
    if rolled and recipe.options.rules == rules_named("exact"):
        return recipe.graph  # where indices are forgotten first, there is little to simplify
    return _simplified(recipe)


def _is_rolled(recipe: Recipe) -> bool:
    """Whether the target prints statements, or looks for them in a graph as large."""
    graph, target = recipe.graph, find_target(recipe.options.target)
    single = recipe.options.dtype == "float32"  # which code for numbers one by one knows nothing of
    least = target.rolled_from
    large = single or recipe.holds_arrays or len(graph) >= (least or 0)
    return target.arrays or (least is not None and large)


def _is_irregular(function: ArrayFunction, recipe: Recipe) -> bool:
    """Whether statements stand for so few nodes that the target writes these one by one."""
    if find_target(recipe.options.target).arrays or recipe.options.dtype == "float32":
        return False
    if recipe.holds_arrays:
        return False
    count, nodes = len(function.instructions), len(recipe.graph)
    return count > MOST or count * OFTEN > nodes or _grids(function) > GRID * nodes


def _grids(function: ArrayFunction) -> int:
    """How many points the grids have in which conditions list their points one by one."""
    found = 0
    for statement in function.program.statements:
        terms = statement.value.terms if isinstance(statement.value, Reduce) else ()
        for term in (None, *terms):
            axes = (*statement.axes, *(term.over if term else ()))
            lengths = {axis.name: axis.length for axis in axes}
            for condition in term.domain if term else statement.domain:
                if isinstance(condition, Among):
                    found += prod(lengths[axis] for axis in condition.axes)
    return found


def _simplified(recipe: Recipe) -> Graph:
    """The recipe's graph simplified, and with it the stable forms that outputs are computed in."""
    graph, rules = recipe.graph, recipe.options.rules
    if rules is None:
        return graph
    samples = [leaf for s in recipe.signatures if s.batched for leaf in s.leaves]
    count, known = len(graph.outputs), graph.stable_forms
    stable = [k for k, node in enumerate(graph.outputs) if node in known]
    if stable:
        forms = [known[graph.outputs[k]] for k in stable]
        graph = rewritten(graph, [*graph.outputs, *forms]).graph
    made = simplified(graph, rules, samples).graph
    if stable:
        made.outputs, forms = made.outputs[:count], list(made.outputs[count:])
        made.stable_forms.update(zip([made.outputs[k] for k in stable], forms, strict=True))
    return made


build_once = lru_cache(maxsize=64)(build)
"""`build`, remembering the functions it built last."""


def _check_scalars(recipe: Recipe, target: str) -> None:
    """Refuse arrays where code is made of single numbers."""
    for signature in recipe.signatures:
        if signature.holds_arrays and not recipe.graph.shapes:
            raise ShapeError(
                f"argument {signature.name!r} has an array, which no output needs, and the "
                f"{target} target computes with numbers: leave it out, or compile with "
                "target='numpy' or 'native'"
            )
    graph = recipe.graph
    for node in graph.shapes:
        if graph.shapes[node]:
            expr = graph[node]
            raise ShapeError(
                f"{shorten(expr)} is an array of shape {shape_text(expr.shape)}, and the {target} "
                "target computes with numbers: compile with target='numpy' or 'native', or write "
                "the arrays out as scalars first, with wengert.unroll"
            )


def _scalar_program(graph: Graph, nodes: Sequence[int], recipe: Recipe) -> Program:
    iterator = iter(nodes)
    stacked = zip(nodes, recipe.stacked, strict=True)
    return lower(
        graph,
        map_nested(recipe.outputs, lambda _: next(iterator)),
        recipe.signatures,
        name=recipe.options.name,
        stacked=frozenset(node for node, every in stacked if every),
        wishes=dict(_output_names(graph)),
    )


def reduced(
    graph: Graph, signatures: Sequence[Signature], reduce: str | None
) -> tuple[Graph, list[bool]]:
    """`graph` with its outputs reduced over samples; and which of them are one per sample.

    An output that no sample enters is the same for each: its sum is that many times as much, its
    mean is itself. One that is computed from a `total` is not reduced again.
    """
    if reduce not in REDUCTIONS:
        raise UnknownNameError.of("reduction", reduce, ["sum", "mean", "None"])
    if not any(signature.batched for signature in signatures):
        return graph, [False] * len(graph.outputs)
    stages = stages_of(graph, graph.outputs, signatures)
    if reduce is None:
        return graph, [stage != AFTER for stage in stages]
    reduced = []
    for node, stage in zip(graph.outputs, stages, strict=True):
        out = graph[node]
        if stage == EACH or (stage != AFTER and reduce == "sum"):
            out = TOTAL(out)
            if reduce == "mean":
                out = out / TOTAL(graph.constant(1))
        reduced.append(out.id)
    graph.outputs = tuple(reduced)
    return graph, [False] * len(reduced)


def _derivatives(
    graph: Graph, outputs: Nested, signatures: Sequence[Signature]
) -> tuple[Derivatives, ...]:
    """Which outputs are, by the record `grad` keeps, the gradient of which by which argument."""
    iterator = iter(graph.outputs)
    placed = map_nested(outputs, lambda _: _inside_total(graph, next(iterator)))
    scalars = [(path, node) for path, node in flatten(placed)]
    found = []
    differentiated = {root for root, _ in graph.gradients}
    roots = [(path, node) for path, node in scalars if node in differentiated]
    places: dict[Any, list[tuple[Any, ...]]] = {}
    rows: list[tuple[tuple[Any, ...], tuple[int | None, ...]]] = []
    for path, part in _parts(placed):
        if isinstance(part, int):
            places.setdefault(part, []).append(path)
        elif isinstance(part, list) and all(isinstance(item, int) for item in part):
            rows.append((path, tuple([_or_none(graph, node) for node in part])))
            places.setdefault(rows[-1][1], []).append(path)
    for signature in signatures:
        leaves = [graph.leaves.get(leaf, -1) for leaf in signature.leaves]
        for root_path, root in roots:
            wanted = [graph.gradients.get((root, leaf)) for leaf in leaves]
            if signature.batched or not any(wanted) or (signature.scalar and None in wanted):
                continue
            known = [None if node is None else _or_none(graph, node) for node in wanted]
            gradient: Any = wanted[0] if signature.scalar else tuple(known)
            within = () if signature.scalar else _within(rows, gradient)
            others = (p for p in chain(places.get(gradient, ()), within) if p != root_path)
            found += [Derivatives(path, root_path, signature.name) for path in islice(others, 1)]
    return tuple(found)


def _within(
    rows: Iterable[tuple[tuple[Any, ...], tuple[int | None, ...]]], wanted: tuple[int | None, ...]
) -> Iterator[tuple[Any, ...]]:
    """The paths to what is wanted where it stands in longer rows."""
    for path, row in rows:
        for start in range(len(row) - len(wanted) + 1):
            stop = start + len(wanted)
            if row[start] == wanted[0] and row[start:stop] == wanted:
                yield (*path, slice(start, stop))


def _or_none(graph: Graph, node: int) -> int | None:
    """A node; None for a 0, which is the derivative by a leaf that nothing depends on."""
    known = graph.ops[node] is CONSTANT and node not in graph.shapes
    return None if known and graph.value(node) == 0 else node


def _output_names(graph: Graph) -> Iterator[tuple[int, str]]:
    """Names for the outputs that `grad` made: d and the leaf that they differentiate by."""
    leaf_of = {adjoint: leaf for (_, leaf), adjoint in graph.gradients.items()}
    for node in graph.outputs:
        leaf = leaf_of.get(_inside_total(graph, node))
        if leaf is not None:
            yield node, f"d{graph.labels[leaf]}"


def _inside_total(graph: Graph, node: int) -> int:
    """What an output sums or averages over the samples; the output itself when it does neither."""
    operands = graph.operands[node]
    if graph.ops[node] is DIV and all(graph.ops[operand] is TOTAL for operand in operands):
        node = operands[0]
    return graph.operands[node][0] if graph.ops[node] is TOTAL else node


def _parts(nested: Nested, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """Every part of `nested`, itself included, with the path to it."""
    parts = [(path, nested)]
    if isinstance(nested, Mapping):
        for key, value in nested.items():
            parts += _parts(value, (*path, key))
    elif isinstance(nested, list):
        for i, value in enumerate(nested):
            parts += _parts(value, (*path, i))
    return parts
