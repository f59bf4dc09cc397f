"""Lowering array graphs: from a graph on whole arrays to an `ArrayProgram`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ...errors import MissingInputError, ShapeError
from ...graph.expr import Graph, live_nodes
from ...ops.arrays import LENGTH
from ...ops.indexing import Index
from ...ops.scalar import CONSTANT, INPUT, STOP_GRADIENT, TOTAL
from ...ops.shapes import BATCH, Shape
from ..lower import Signature
from ..names import Namespace, called_elsewhere
from ..program import Instruction, Nested, Operand, flatten
from .program import ArrayGroup, ArrayProgram, Flat, Piece, View

_TAKEN = ("np", "first_max", "logsumexp", "scatter", "scatter_rows", "sigmoid")
"""Names that generated modules use."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an output is: a node, and the position of the number in it, or None for all of it.

    Only outputs in a sequence have positions; one that stands alone is a node.
    """

    node: int
    position: int | None = None


def lower_arrays(
    graph: Graph,
    outputs: Nested,
    signatures: Sequence[Signature],
    shapes: Mapping[str, Shape],
    *,
    name: str = "f",
    dtype: str = "float64",
    wishes: Mapping[int, str] | None = None,
) -> ArrayProgram:
    """The program that computes `outputs`, a nesting of places in `graph`.

    shapes  of the leaves that signatures name, if they are arrays as the caller sees them
    wishes  names for nodes that have none of their own

    Leaves that no signature names contribute the numbers they carry.
    """
    live = live_nodes(graph, dict.fromkeys(place.node for _, place in flatten(outputs)))
    lowering = _Lowering(graph, signatures, shapes, name, wishes or {})
    operands: dict[int, Operand] = {}
    instructions: list[Instruction] = []
    for node in live:
        if not graph.operands[node]:
            operands[node] = lowering.leaf(node)
        elif graph.ops[node] in (STOP_GRADIENT, TOTAL):
            operands[node] = operands[graph.operands[node][0]]
        else:
            operands[node] = lowering.operation(node, [operands[n] for n in graph.operands[node]])
            instructions.append(lowering.instructions[-1])
    results = _results(lowering, outputs, operands)
    return ArrayProgram(
        name=name,
        groups=lowering.groups,
        views=tuple(lowering.views),
        constants=lowering.constants,
        instructions=tuple(instructions),
        shapes=lowering.shapes,
        outputs=results,
        dtype=dtype,
    )


class _Lowering:
    """Names, arguments and constants of one program."""

    def __init__(
        self,
        graph: Graph,
        signatures: Sequence[Signature],
        shapes: Mapping[str, Shape],
        function: str,
        wishes: Mapping[int, str],
    ) -> None:
        self.graph = graph
        self.wishes = wishes
        self.space = Namespace({function, *_TAKEN} | called_elsewhere(graph.ops))
        self.views: list[View] = []
        self.constants: dict[str, Any] = {}
        self.shapes: dict[str, Shape] = {}
        self._leaf_shapes = shapes
        self.instructions: list[Instruction] = []
        self.groups = tuple(self._group(signature, shapes) for signature in signatures)
        self._home = {
            leaf: (group, place)
            for group, signature in zip(self.groups, signatures, strict=True)
            for leaf, place in zip(signature.leaves, starts(signature.leaves, shapes), strict=True)
        }

    def _group(self, signature: Signature, shapes: Mapping[str, Shape]) -> ArrayGroup:
        count = sum(prod(shapes.get(leaf, ())) for leaf in signature.leaves)
        row = shapes.get(signature.leaves[0], ()) if signature.scalar else (count,)
        argument = self.space.take(signature.name)
        return ArrayGroup(
            signature.name, argument, signature.leaves, signature.scalar, signature.batched, row
        )

    def leaf(self, node: int) -> Operand:
        """The variable of a leaf, or its number."""
        graph = self.graph
        shape = graph.shapes.get(node, ())
        if graph.ops[node] is not CONSTANT:
            name = graph.labels[node]
            found = self._view(node, name)
            if found is not None:
                return found
            if graph.ops[node] is INPUT:
                raise MissingInputError(
                    f"the outputs depend on {', '.join(_lanes(graph, node)[:12])}, which no "
                    "argument names; add them to the inputs of compile"
                )
        value = graph.value(node)
        if not shape:
            return float(value)
        variable = self.space.take(graph.labels.get(node, ""), "c")
        self.constants[variable] = value
        self.shapes[variable] = shape
        return variable

    def _view(self, node: int, name: str) -> str | None:
        """The variable for the part of an argument that a leaf is, if it is."""
        lanes = _lanes(self.graph, node)
        homes = [self._home[lane] for lane in lanes if lane in self._home]
        if not homes:
            return None
        groups = {group.name: group for group, _ in homes}
        if len(groups) > 1 or len(homes) < len(lanes):
            raise ShapeError(
                f"the elements of {name} come from several arguments: {', '.join(groups)}; "
                "name all of them in one"
            )
        shape = self.graph.shapes.get(node, ())
        group = homes[0][0]
        own = shape[1:] if group.batched else shape
        if len(lanes) == 1:
            positions = [homes[0][1] + i for i in range(prod(own))]
        else:
            sizes = [prod(self._leaf_shapes.get(lane, ())) for lane in lanes]
            positions = [
                place + i for (_, place), n in zip(homes, sizes, strict=True) for i in range(n)
            ]
        index = _index(positions, own)
        is_all = index.shape == group.row and index.positions == list(range(prod(group.row)))
        variable = group.argument if is_all else self.space.take(name)
        self.shapes[variable] = shape
        self.views.append(View(variable, group, index))
        return variable

    def operation(self, node: int, operands: Iterable[Operand]) -> str:
        """A new instruction; the name of its variable."""
        graph = self.graph
        variable = self.space.take(self._wish(node))
        self.shapes[variable] = graph.shapes.get(node, ())
        origin = graph.origins[node]
        section = "forward" if origin is None else "backward"
        statics = graph.statics.get(node, ())
        self.instructions.append(
            Instruction(variable, graph.ops[node], tuple(operands), statics, section, node, origin)
        )
        return variable

    def _wish(self, node: int) -> str:
        graph = self.graph
        label = graph.labels.get(node, "")
        primal = graph.adjoint_of.get(node)
        if not label and primal is not None and graph.labels.get(primal):
            return f"d{graph.labels[primal]}"
        return label or self.wishes.get(node) or ("samples" if graph.ops[node] is LENGTH else "")


def _lanes(graph: Graph, node: int) -> tuple[str, ...]:
    """The names of a leaf's elements, as signatures know them."""
    return graph.lanes.get(node) or (graph.labels[node],)


def starts(leaves: Iterable[str], shapes: Mapping[str, Shape]) -> Iterator[int]:
    """The position of each leaf's first number in the vector of them all.

    >>> list(starts(["W", "b"], {"W": (2, 3)}))
    [0, 6]
    """
    start = 0
    for leaf in leaves:
        yield start
        start += prod(shapes.get(leaf, ()))


def _index(positions: Sequence[int], shape: Shape) -> Index:
    import numpy

    return Index(numpy.asarray(positions, dtype=numpy.int64).reshape(shape))


def _results(
    lowering: _Lowering, outputs: Nested, operands: Mapping[int, Operand], name: str = ""
) -> Nested:
    """The outputs as operands, each sequence of them as one vector, called by its key."""
    if isinstance(outputs, Mapping):
        return {
            key: _results(lowering, value, operands, str(key)) for key, value in outputs.items()
        }
    if isinstance(outputs, Place):
        return operands[outputs.node]
    if not all(isinstance(item, Place) for item in outputs):
        return [_results(lowering, item, operands) for item in outputs]
    return _flat(lowering, outputs, operands, name)


def _flat(
    lowering: _Lowering, places: Sequence[Place], operands: Mapping[int, Operand], name: str
) -> Flat:
    graph = lowering.graph
    sources: dict[int, tuple[list[int], list[int]]] = {}
    length = 0
    stacked = False
    for place in places:
        node, position = place.node, place.position
        shape = graph.shapes.get(node, ())
        stacked = stacked or BATCH in shape
        size = abs(prod(shape)) if position is None else 1
        source, target = sources.setdefault(node, ([], []))
        source += range(size) if position is None else [position]
        target += range(length, length + size)
        length += size
    pieces = [
        _in_order(operands[node], source, target, _row(graph.shapes.get(node, ())))
        for node, (source, target) in sources.items()
    ]
    taken = any(group.argument == name for group in lowering.groups)
    wish = f"new_{name}" if taken else name
    return Flat(lowering.space.take(wish, "out"), length, tuple(pieces), stacked)


def _row(shape: Shape) -> Shape:
    return shape[1:] if shape[:1] == (BATCH,) else shape


def _in_order(operand: Operand, source: list[int], target: list[int], shape: Shape) -> Piece:
    """A piece; a whole array in the array's own order and shape."""
    if sorted(source) == list(range(prod(shape))):
        placed = dict(zip(source, target, strict=True))
        target = [placed[i] for i in range(len(source))]
        return Piece(operand, _index(range(prod(shape)), shape), _index(target, shape))
    return Piece(operand, Index(source), Index(target))
