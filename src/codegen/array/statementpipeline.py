"""From a scalar graph of one sample to a function on arrays: roll, batch, put outputs together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ...arrays.batched import batched
from ...arrays.rolling import roll_nodes
from ...arrays.statements import ArrayProgram
from ...graph.expr import Graph
from ...graph.rewrite import extract
from ...ops.scalar import CONSTANT, INPUT
from ..lower import Signature
from ..names import Namespace, called_elsewhere
from ..program import Nested, map_nested
from .domains import tables_named, tightened
from .function import ArrayFunction, Element, Vector
from .program import ArrayGroup
from .rewriting import rewritten


def array_function(
    graph: Graph,
    outputs: Nested,
    signatures: Sequence[Signature],
    *,
    name: str = "f",
    simplify: bool = True,
    dtype: str = "float64",
    stacked: Sequence[bool] = (),
) -> ArrayFunction:
    """The function for `graph.outputs`, scalars that `outputs` has the nesting of.

    simplify  whether to rewrite statements where that makes a call cheaper
    stacked   which of them are one for each sample, whether they differ or not
    """
    graph = _with_all_leaves(graph, signatures)
    arguments = {s.name: [graph.leaves[leaf] for leaf in s.leaves] for s in signatures}
    program = roll_nodes(graph, graph.outputs, arguments)
    program = batched(program, [s.name for s in signatures if s.batched])
    statements = tuple(map(tightened, program.statements))
    program = replace(program, statements=tables_named(statements))
    elements = _elements(program, stacked or [False] * len(graph.outputs))
    nested = map_nested(outputs, lambda _: next(elements))
    given = {leaf for s in signatures for leaf in s.leaves}
    values = {
        label: float(value)
        for label, node in graph.leaves.items()
        if label not in given
        and graph.ops[node] not in (CONSTANT, INPUT)
        and (value := graph.value(node)) is not None
    }
    space = Namespace({name, "np"} | called_elsewhere(graph.ops))
    groups = tuple([_group(signature, space) for signature in signatures])
    whole = {group.argument for group in groups}
    results = _results(nested, "", whole)
    made = ArrayFunction(name, groups, program, results, values, dtype)
    return rewritten(made) if simplify else made


def _with_all_leaves(graph: Graph, signatures: Sequence[Signature]) -> Graph:
    """The graph with a leaf for each that an argument names."""
    missing = [leaf for s in signatures for leaf in s.leaves if leaf not in graph.leaves]
    if not missing:
        return graph
    roots = list(graph.outputs)
    graph = extract([graph[node] for node in roots])
    for leaf in missing:
        graph.input(leaf)
    return graph


def _group(signature: Signature, space: Namespace) -> ArrayGroup:
    row = () if signature.scalar else (len(signature.leaves),)
    argument = space.take(signature.name)
    return ArrayGroup(
        signature.name, argument, signature.leaves, signature.scalar, signature.batched, row
    )


def _elements(program: ArrayProgram, stacked: Iterable[bool]) -> Iterator[Element]:
    """The outputs one by one."""
    each = iter(stacked)
    for array, places in program.outputs:
        size = program.arrays[array].size
        for place in range(size) if places is None else places:
            yield Element(array, place, next(each))


def _results(nested: Nested, name: str, whole: set[str]) -> Nested:
    """The outputs, each sequence of numbers as one vector, called by its key."""
    if isinstance(nested, Mapping):
        return {key: _results(value, str(key), whole) for key, value in nested.items()}
    if isinstance(nested, Element):
        return nested
    if not all(isinstance(item, Element) for item in nested):
        return [_results(item, "", whole) for item in nested]
    pieces: list[tuple[str, list[int]]] = []
    for element in nested:
        if not pieces or pieces[-1][0] != element.array:
            pieces.append((element.array, []))
        pieces[-1][1].append(element.place)
    wish = f"new_{name}" if name in whole else name
    stacked = any(element.stacked for element in nested)
    return Vector(wish, tuple([(array, tuple(places)) for array, places in pieces]), stacked)
