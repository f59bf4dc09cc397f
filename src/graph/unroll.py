"""Unrolling: an array graph as the scalar graph it stands for, element by element.

The inverse of rolling. What an operation on whole arrays is, in scalars, is the meaning in its
record, in index notation; here the indices are put back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from numbers import Real
from typing import Any, Final, overload

from ..errors import ShapeError, SizeError
from ..ops import arrays
from ..ops.meanings import OUT, Meaning, Numbers, filled, meaning_of
from ..ops.points import Columns, extended, flat_places, points
from ..ops.reads import Apply, Assignment, Operand, Read, Reduce, Term
from ..ops.record import Op, result_shape
from ..ops.scalar import ADD, CONSTANT, MUL, NEG, SUB
from ..ops.shapes import BATCH, Shape, shape_text
from .arithmetic import Arithmetic
from .expr import Expr, Graph, common_graph
from .rewrite import Walk
from .store import live_nodes
from .value import Value

MAX_LANES: Final = 50_000_000
"""How many scalars an array graph may unroll to."""

MISSING: Final = -1
"""In place of a node that there is not."""

Lanes = list[int]
"""The nodes of an array's elements, row by row."""


@overload
def unroll(exprs: Expr | Value) -> Any: ...
@overload
def unroll(exprs: Iterable[Any]) -> list[Any]: ...
def unroll(exprs: Any) -> Any:
    """The same expressions as scalars, in a new graph; an array becomes nested lists of scalars.

    exprs   an expression or a sequence of them, which gives a list in its order

    An array leaf `W` of shape (2, 3) becomes the leaves W_0_0 … W_1_2, or those it was rolled from,
    with their names and values. A `ShapeError` says that an array has an axis of unknown length, a
    `SizeError` that there would be more than `MAX_LANES` scalars.

    >>> g = Graph(); W, x = g.array("W", (2, 2)), g.array("x", 2)
    >>> [str(row) for row in unroll(W @ x)]
    ['W_0_0*x_0 + W_0_1*x_1', 'W_1_0*x_0 + W_1_1*x_1']
    """
    single = isinstance(exprs, (Arithmetic, Real))
    wanted = [exprs] if single else list(exprs)
    graph = common_graph(wanted)
    roots = [graph.node_of(thing) for thing in wanted]
    target, lanes = unroll_graph(graph, roots)
    results = []
    for root in roots:
        elements = iter([target[node] for node in lanes[root]])
        results.append(_nested(elements, graph.shapes.get(root, ())))
    return results[0] if single else results


def unroll_graph(
    graph: Graph,
    roots: Sequence[int],
    samples: Sequence[str] = (),
    parts: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Graph, dict[int, Lanes]]:
    """A scalar graph of what `roots` need, and the nodes of each node's elements, row by row.

    samples   what the names of each sample's leaves end with, where there is an axis of samples
    parts     the names of the elements of each array that `graph.lanes` names

    Its outputs are the elements of `roots` in order.
    """
    live = live_nodes(graph, roots)
    shapes = _known_shapes(graph, live, len(samples))
    _check_sizes(graph, shapes)
    walk, lanes = Walk(graph), dict[int, Lanes]()
    target = walk.target

    def write(walk: Walk, node: int) -> int:
        if graph.operands[node]:
            lanes[node] = _operation(graph, node, target, lanes, shapes)
            _label(graph, node, target, lanes[node], shapes[node])
        else:
            lanes[node] = _leaf_lanes(graph, node, target, samples, parts or {})
        return lanes[node][0]

    walk.run(live, write)
    for adjoint, primal in list(graph.adjoint_of.items()):
        pairs = zip(lanes.get(adjoint, ()), lanes.get(primal, ()), strict=False)
        target.adjoint_of.update((a, p) for a, p in pairs if target.ops[a] is not CONSTANT)
    for (root, leaf), adjoint in list(graph.gradients.items()):
        if root in lanes and leaf in lanes and adjoint in lanes:
            for place, derivative in zip(lanes[leaf], lanes[adjoint], strict=True):
                target.gradients[lanes[root][0], place] = derivative
    target.outputs = tuple(lane for root in roots for lane in lanes[root])
    return target, lanes


def _known_shapes(graph: Graph, live: Iterable[int], samples: int) -> dict[int, Shape]:
    """The shape of each node when there are so many samples; with none, as they are."""
    shapes: dict[int, Shape] = {}
    for node in live:
        op, shape = graph.ops[node], graph.shapes.get(node, ())
        own = [shapes[operand] for operand in graph.operands[node]]
        if samples and BATCH in shape:
            if op is arrays.RESHAPE:  # the axis may be one of samples and features
                shape = _filled(shape, prod(own[0]) // -prod(shape))
            elif own and op is not arrays.BROADCAST:
                shape = result_shape(op, own, graph.statics.get(node, ()))
            else:
                shape = _filled(shape, samples)
        shapes[node] = shape
    return shapes


def _filled(shape: Shape, length: int) -> Shape:
    return tuple([length if n == BATCH else n for n in shape])


def lane_names(graph: Graph, leaf: int) -> tuple[str, ...]:
    """The names of the scalar leaves that an array leaf unrolls to, row by row.

    >>> g = Graph(); lane_names(g, g.array("b", 2).id)
    ('b_0', 'b_1')
    """
    known = graph.lanes.get(leaf)
    if known is not None:
        return known
    return element_names(graph.labels[leaf], graph.shapes.get(leaf, ()))


def element_names(name: str, shape: Shape) -> tuple[str, ...]:
    """A name for each element of an array: that of the array, and the element's place.

    >>> element_names("W", (1, 2))
    ('W_0_0', 'W_0_1')
    """
    return tuple("_".join((name, *map(str, place))) for place in product(*map(range, shape)))


def _check_sizes(graph: Graph, shapes: Mapping[int, Shape]) -> None:
    total = 0
    for node, shape in shapes.items():
        if BATCH in shape:
            raise ShapeError(
                f"cannot unroll {Expr(graph, node)!r} of shape {shape_text(shape)}: the length of "
                "its batch is not known; unroll the expression for one sample"
            )
        if not graph.operands[node]:
            total += prod(shape)
            continue
        total += sum(map(_count, _meaning(graph, node, shapes)))
    if total > MAX_LANES:
        raise SizeError(f"unrolling would give {total:,} scalars; the limit is {MAX_LANES:,}")


def _count(assignment: Assignment | Numbers) -> int:
    """How many scalars an assignment makes at most: the factors and terms of each element."""
    if isinstance(assignment, Numbers):
        return len(assignment.values)
    points = prod(axis.length for axis in assignment.axes)
    value = assignment.value
    if isinstance(value, Apply):
        return points
    return points * max(1, sum(_terms(term) * len(term.factors) for term in value.terms))


def _terms(term: Term) -> int:
    return 1 if term.domain else prod(axis.length for axis in term.over)


def _meaning(graph: Graph, node: int, shapes: Mapping[int, Shape]) -> Meaning:
    """What a node is in index notation, of its operands."""
    own = [shapes[operand] for operand in graph.operands[node]]
    return meaning_of(graph.ops[node], shapes[node], own, graph.statics.get(node, ()))


def _leaf_lanes(
    graph: Graph,
    node: int,
    target: Graph,
    samples: Sequence[str],
    parts: Mapping[str, Sequence[str]],
) -> Lanes:
    shape = graph.shapes.get(node)
    value = graph.value(node)
    if shape is None:
        known = target.leaves.get(graph.labels.get(node, ""))
        return [target.copy_leaf(graph, node) if known is None else known]
    numbers = None if value is None else value.ravel().tolist()
    if graph.ops[node] is CONSTANT:
        return [target.constant(number).id for number in numbers or ()]
    names: Sequence[str]
    if shape[:1] == (BATCH,):
        one = graph.lanes.get(node) or element_names(graph.labels[node], shape[1:])
        names = [name + end for end in samples for name in one]
    else:
        names = [lane for name in lane_names(graph, node) for lane in parts.get(name, (name,))]
    given = [None] * len(names) if numbers is None else numbers
    return [_leaf(target, name, number) for name, number in zip(names, given, strict=True)]


def _leaf(target: Graph, name: str, number: float | None) -> int:
    """The leaf of a name: one that is there, since arrays may have elements in common, or new."""
    known = target.leaves.get(name)
    if known is None:
        new = target.input(name) if number is None else target.parameter(name, number)
        known = new.id
    return known


def _label(graph: Graph, node: int, target: Graph, made: Lanes, shape: Shape) -> None:
    label = graph.labels.get(node)
    if not label:
        return
    for lane, place in zip(made, product(*map(range, shape)), strict=True):
        if target.operands[lane]:
            target.labels.setdefault(lane, "_".join((label, *map(str, place))))


def _operation(
    graph: Graph, node: int, target: Graph, lanes: dict[int, Lanes], shapes: Mapping[int, Shape]
) -> Lanes:
    elements = Elements(target)
    elements.shapes[OUT] = shapes[node]
    for place, operand in enumerate(graph.operands[node]):
        elements.put(str(place), shapes[operand], lanes[operand])
    for assignment in _meaning(graph, node, shapes):
        if isinstance(assignment, Numbers):
            numbers = [target.constant(number).id for number in assignment.values]
            elements.put(assignment.array, assignment.shape, numbers)
        else:
            elements.assign(assignment)
    return elements.nodes[OUT].tolist()  # type: ignore[no-any-return]


class Elements:
    """Makes the scalar nodes of arrays' elements, as assignments say.

    nodes    by array, the node of each element in C order; -1 where there is none yet
    shapes   of the arrays; those that are not here are filled by one assignment
    samples  how long an axis of samples is
    """

    def __init__(self, graph: Graph, samples: int = 1) -> None:
        self.graph, self.samples = graph, samples
        self.nodes: dict[str, Any] = {}
        self.shapes: dict[str, Shape] = {}

    def put(self, name: str, shape: Shape, nodes: Sequence[int]) -> None:
        """An array whose elements there are."""
        import numpy

        self.shapes[name] = shape
        self.nodes[name] = numpy.array(nodes, numpy.int64)

    def of(self, name: str) -> Any:
        """The nodes of an array in C order."""
        return self.nodes[name]

    def assign(self, assignment: Assignment) -> None:
        """Make the elements that an assignment writes."""
        import numpy

        columns = points(assignment.axes, assignment.domain, self.samples)
        value = assignment.value
        if isinstance(value, Apply):
            operands = [self._operand(operand, columns) for operand in value.operands]
            append = self.graph.append
            made = [append(value.op, inner, value.statics) for inner in zip(*operands, strict=True)]
        else:
            made = self._reduced(value, columns)
        name = assignment.array
        if name not in self.shapes:
            self.shapes[name] = filled(assignment)
        shape = self.shapes[name]
        nodes = self.nodes.setdefault(name, numpy.full(prod(shape), MISSING))
        places = flat_places(assignment.target, shape, columns)
        if (nodes[places] != MISSING).any() or len(numpy.unique(places)) != len(places):
            raise ShapeError(f"{name}: an element that is written already is written again")
        nodes[places] = made

    def _operand(self, operand: Operand, columns: Columns) -> list[int]:
        count = len(columns[""])
        if not isinstance(operand, Read):
            return [self.graph.constant(operand).id] * count
        shape = self.shapes[operand.array]
        found = self.of(operand.array)[flat_places(operand.index, shape, columns)].tolist()
        if MISSING in found:
            raise ShapeError(f"reads elements of {operand.array} that no statement writes")
        return found  # type: ignore[no-any-return]

    def _reduced(self, value: Reduce, columns: Columns) -> list[int]:
        graph = self.graph
        totals: list[int | None] = [None] * len(columns[""])
        for term in value.terms:
            inner, rows = extended(columns, term.over, term.domain, self.samples)
            nodes = self._products(term, inner)
            for row, node in zip(rows.tolist(), nodes, strict=True):
                for _ in range(abs(term.count)):
                    totals[row] = self._joined(value.op, totals[row], node, term.count)
        zero = None if None not in totals else graph.constant(0.0).id
        return [zero if total is None else total for total in totals]  # type: ignore[misc]

    def _joined(self, op: Op, total: int | None, node: int, sign: int) -> int:
        append = self.graph.append
        if total is None:
            return node if sign > 0 else append(NEG, (node,))
        if op is ADD and sign < 0:
            op = SUB
        return append(op, (total, node))

    def _products(self, term: Term, columns: Columns) -> list[int]:
        append = self.graph.append
        operands = [self._operand(factor, columns) for factor in term.factors]
        first, *more = operands or [self._operand(1.0, columns)]
        for other in more:
            first = [append(MUL, pair) for pair in zip(first, other, strict=True)]
        return first


def _nested(elements: Iterator[Any], shape: Shape) -> Any:
    if not shape:
        return next(elements)
    return [_nested(elements, shape[1:]) for _ in range(shape[0])]
