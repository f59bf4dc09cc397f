"""From a graph of one sample to a function on arrays: statements, batch, put outputs together.

The statements of a scalar graph are found by `roll`; a graph of arrays is written in them as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from math import prod
from sys import float_info
from typing import Final, NamedTuple

from ...arrays.batched import batched
from ...arrays.rolling import Rolling, Survey, roll_if_regular, rolled_nodes
from ...arrays.statements import ArrayProgram, Statement
from ...arrays.written import Argument, written_program
from ...graph.expr import Graph
from ...ops.reads import Apply, Operand, Read, Reduce
from ...ops.scalar import CONSTANT, INPUT, PARAMETER
from ..lower import Signature
from ..names import Namespace, called_elsewhere
from ..program import Nested, map_nested
from .domains import tables_named, tightened
from .function import ArrayFunction, ArrayGroup, Element, Vector, Whole
from .irregular import LeftAlone, is_irregular
from .narrowing import narrowed
from .rewriting import rewritten

_IN_SINGLE: Final = {sign * float_info.max: sign * (2 - 2**-23) * 2.0**127 for sign in (1, -1)}
"""Float64's largest numbers, which would be infinite in float32, as those of float32."""


def array_function_if_regular(
    graph: Graph, request: Request
) -> tuple[ArrayFunction | None, LeftAlone | None]:
    """The function for a graph's outputs, or why there is none: few scalars are alike."""
    rolling = None if graph.shapes else rolling_if_regular(graph, request)
    if isinstance(rolling, LeftAlone):
        return None, rolling
    *_, last = stages(graph, request, rolling)
    return last.function, None


def rolling_if_regular(graph: Graph, request: Request) -> Rolling | LeftAlone:
    """The statements of a graph of scalars, or why there are none: few scalars are alike."""
    roots = computed(graph, request.simplify)
    rolling = roll_if_regular(*_with_all_leaves(graph, roots, request.signatures))
    if rolling.program is None or is_irregular(rolling.survey):
        return LeftAlone(rolling.survey)
    return rolling


class Request(NamedTuple):
    """What is asked of a graph's outputs, which `outputs` has the nesting of.

    simplify  whether to rewrite statements where that makes a call cheaper, and to compute outputs
              in the stable form that the graph has of them
    stacked   which of them are one for each sample, whether they differ or not
    rewrites  False to leave statements as they are all the same
    """

    outputs: Nested
    signatures: Sequence[Signature]
    name: str = "f"
    simplify: bool = True
    dtype: str = "float64"
    stacked: Sequence[bool] = ()
    rewrites: bool = True


class Stage(NamedTuple):
    """A step on the way from scalars to the statements that are printed, and what it led to."""

    name: str
    function: ArrayFunction


def stages(graph: Graph, request: Request, rolling: Rolling | None = None) -> Iterator[Stage]:
    """Roll, the axis of samples, smaller domains, and the rewrites that are tried.

    Each computes what the one before it does: `verify` compares them. What is `rolling` already is
    not looked for again.
    """
    signatures = request.signatures
    space = Namespace({request.name, "np"} | called_elsewhere(graph.ops))
    groups = tuple([_group(signature, space) for signature in signatures])
    values = dict(_values(graph, signatures))
    stacked = request.stacked or [False] * len(graph.outputs)

    def stage(name: str, program: ArrayProgram) -> Stage:
        elements = _outputs(graph, program, stacked)
        nested = map_nested(request.outputs, lambda _: next(elements))
        results = _results(nested, "", {group.argument for group in groups})
        made = ArrayFunction(request.name, groups, program, results, values, request.dtype)
        return Stage(name, replace(made, survey=survey))

    if rolling is None or rolling.program is None:
        program, survey = _statements(graph, computed(graph, request.simplify), signatures)
    else:
        program, survey = rolling.program, rolling.survey
    if request.dtype == "float32":
        program = replace(program, statements=tuple(map(_in_single, program.statements)))
    last = stage("arrays" if graph.shapes else "roll", program)
    yield last
    one = program
    program = batched(program, [s.name for s in signatures if s.batched])
    if program is not one:
        last = stage("batch", program)
        yield last
    statements = tables_named([narrowed(tightened(one)) for one in program.statements])
    if statements != program.statements:
        last = stage("domains", replace(program, statements=statements))
        yield last
    if request.simplify and request.rewrites:
        for function in rewritten(last.function):
            yield Stage(function.passes[-1].name, function)


def _values(graph: Graph, signatures: Sequence[Signature]) -> Iterator[tuple[str, float]]:
    """The numbers of leaves that are no arguments, by name."""
    given = {leaf for s in signatures for leaf in s.leaves}
    for label, node in graph.leaves.items():
        value = graph.value(node)
        if label in given or node in graph.shapes or graph.ops[node] in (CONSTANT, INPUT):
            continue
        if value is not None:
            yield label, float(value)


def computed(graph: Graph, simplify: bool) -> list[int]:
    """The nodes that are computed for the outputs: of one and its derivative, the stable form."""
    stable = graph.stable_forms
    return [stable.get(node, node) if simplify else node for node in graph.outputs]


def _statements(
    graph: Graph, roots: Sequence[int], signatures: Sequence[Signature]
) -> tuple[ArrayProgram, Survey | None]:
    """What the outputs are for one sample, and how regular scalars are."""
    if graph.shapes:
        given = [Argument(s.name, s.leaves, s.shapes, s.scalar) for s in signatures]
        return written_program(graph, roots, given), None
    return rolled_nodes(*_with_all_leaves(graph, roots, signatures))


def _in_single(statement: Statement) -> Statement:
    """A statement with the largest numbers of float32 for those of float64."""

    def fitting(operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return tuple(
            [one if isinstance(one, Read) else _IN_SINGLE.get(one, one) for one in operands]
        )

    value = statement.value
    if isinstance(value, Apply):
        return replace(statement, value=replace(value, operands=fitting(value.operands)))
    terms = [replace(term, factors=fitting(term.factors)) for term in value.terms]
    return replace(statement, value=Reduce(value.op, tuple(terms)))


def _with_all_leaves(
    graph: Graph, roots: Sequence[int], signatures: Sequence[Signature]
) -> tuple[Graph, Sequence[int], dict[str, list[int]]]:
    """The graph with a leaf for each that an argument names, its roots, and those leaves.

    What is added is of the kind that others of its argument are, so that it lies in their arrays.
    """
    present = graph.leaves
    graph = (
        copy(graph) if any(leaf not in present for s in signatures for leaf in s.leaves) else graph
    )
    for s in signatures:
        kinds = {graph.ops[present[leaf]] for leaf in s.leaves if leaf in present}
        for leaf in s.leaves:
            if leaf not in graph.leaves and kinds == {PARAMETER}:
                graph.parameter(leaf, 0.0)
            elif leaf not in graph.leaves:
                graph.input(leaf)
    return graph, roots, {s.name: [graph.leaves[leaf] for leaf in s.leaves] for s in signatures}


def _group(signature: Signature, space: Namespace) -> ArrayGroup:
    shapes = signature.shapes or ((),) * len(signature.leaves)
    row = shapes[0] if signature.scalar else (sum(map(prod, shapes)),)
    argument = space.take(signature.name)
    return ArrayGroup(
        signature.name, argument, signature.leaves, signature.scalar, signature.batched, row
    )


def _outputs(
    graph: Graph, program: ArrayProgram, stacked: Iterable[bool]
) -> Iterator[Element | Whole]:
    """The outputs one by one."""
    return _wholes(graph, program, stacked) if graph.shapes else _elements(program, stacked)


def _wholes(
    graph: Graph, program: ArrayProgram, stacked: Iterable[bool]
) -> Iterator[Element | Whole]:
    """The outputs of a graph of arrays: a number each, or an array."""
    for node, output, each in zip(graph.outputs, program.outputs, stacked, strict=True):
        if node in graph.shapes:
            yield Whole(output.array, each)
        else:
            yield Element(output.array, 0, each)


def _elements(program: ArrayProgram, stacked: Iterable[bool]) -> Iterator[Element]:
    """The outputs of a graph of scalars."""
    each = iter(stacked)
    for array, places in program.outputs:
        size = program.arrays[array].size
        for place in range(size) if places is None else places:
            yield Element(array, place, next(each))


def _results(nested: Nested, name: str, whole: set[str]) -> Nested:
    """The outputs, each sequence of numbers as one vector, called by its key."""
    if isinstance(nested, Mapping):
        return {key: _results(value, str(key), whole) for key, value in nested.items()}
    if isinstance(nested, (Element, Whole)):
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
