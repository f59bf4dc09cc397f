"""Unrolling: an array graph as the scalar graph it stands for, element by element.

The inverse of rolling, and the meaning of every operation on whole arrays: what a matrix product
is, in scalars, stands here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial, reduce
from itertools import accumulate, product
from math import prod
from numbers import Real
from typing import Any, Final, overload

from ..errors import ShapeError, SizeError
from ..ops import arrays
from ..ops.indexing import Index
from ..ops.record import Op, result_shape
from ..ops.scalar import ADD, CONSTANT, DIV, EQ, EXP, GT, LOG, MAXIMUM, MUL, STOP_GRADIENT, SUB
from ..ops.shapes import BATCH, Shape, shape_text
from .arithmetic import Arithmetic
from .expr import Expr, Graph, common_graph, live_nodes
from .rewrite import Walk
from .value import Value

MAX_LANES: Final = 50_000_000
"""How many scalars an array graph may unroll to."""

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
    meanings: Mapping[Op, Callable[..., Lanes]] | None = None,
    parts: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Graph, dict[int, Lanes]]:
    """A scalar graph of what `roots` need, and the nodes of each node's elements, row by row.

    samples   what the names of each sample's leaves end with, where there is an axis of samples
    meanings  those of operations that are not in the table
    parts     the names of the elements of each array that `graph.lanes` names

    Its outputs are the elements of `roots` in order.
    """
    live = live_nodes(graph, roots)
    shapes = _known_shapes(graph, live, len(samples))
    _check_sizes(graph, shapes)
    known = {**_MEANINGS, **(meanings or {})}
    walk, lanes = Walk(graph), dict[int, Lanes]()
    target = walk.target

    def write(walk: Walk, node: int) -> int:
        if graph.operands[node]:
            lanes[node] = _operation(graph, node, target, lanes, shapes, known)
            _label(graph, node, target, lanes[node], shapes[node])
        else:
            lanes[node] = _leaf_lanes(graph, node, target, samples, parts or {})
        return lanes[node][0]

    walk.run(live, write)
    for adjoint, primal in graph.adjoint_of.items():
        pairs = zip(lanes.get(adjoint, ()), lanes.get(primal, ()), strict=False)
        target.adjoint_of.update((a, p) for a, p in pairs if target.ops[a] is not CONSTANT)
    for (root, leaf), adjoint in graph.gradients.items():
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
    return _places(graph.labels[leaf], graph.shapes.get(leaf, ()))


def _places(name: str, shape: Shape) -> tuple[str, ...]:
    """A name for each element of an array: that of the array, and the element's place."""
    return tuple("_".join((name, *map(str, place))) for place in product(*map(range, shape)))


def _check_sizes(graph: Graph, shapes: Mapping[int, Shape]) -> None:
    total = 0
    for node, shape in shapes.items():
        terms = 1
        if graph.ops[node] is arrays.MATMUL:  # each element of which is a sum of products
            terms = 2 * shapes[graph.operands[node][0]][-1]
        if BATCH in shape:
            raise ShapeError(
                f"cannot unroll {Expr(graph, node)!r} of shape {shape_text(shape)}: the length of "
                "its batch is not known; unroll the expression for one sample"
            )
        total += terms * prod(shape)
    if total > MAX_LANES:
        raise SizeError(f"unrolling would give {total:,} scalars; the limit is {MAX_LANES:,}")


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
        one = graph.lanes.get(node) or _places(graph.labels[node], shape[1:])
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
    places = product(*map(range, shape))
    for lane, place in zip(made, places, strict=True):
        if target.operands[lane]:
            target.labels.setdefault(lane, "_".join((label, *map(str, place))))


def _operation(
    graph: Graph,
    node: int,
    target: Graph,
    lanes: dict[int, Lanes],
    known: Mapping[int, Shape],
    meanings: Mapping[Op, Callable[..., Lanes]],
) -> Lanes:
    shape = known[node]
    op, operands, statics = graph.ops[node], graph.operands[node], graph.statics.get(node, ())
    shapes = [known[operand] for operand in operands]
    if op.shape is None:
        rows = [
            stretched(lanes[operand], own, shape)
            for operand, own in zip(operands, shapes, strict=True)
        ]
        return [target.append(op, places, statics) for places in zip(*rows, strict=True)]
    if op is arrays.BROADCAST:
        statics = (shape,)
    apply = partial(_apply, target)
    return meanings[op](apply, [lanes[n] for n in operands], shapes, *statics)


def _apply(target: Graph, op: Op, *operands: int | float) -> int:
    """A new node; numbers among the operands, which are floats, become constants."""
    if op is CONSTANT:
        return target.node_of(operands[0])
    nodes = [target.node_of(n) if isinstance(n, float) else n for n in operands]
    return target.append(op, tuple(nodes))


def stretched(elements: Sequence[int], shape: Shape, wanted: Shape) -> Sequence[int]:
    """The elements of an array of `shape`, broadcast to the shape `wanted`.

    >>> stretched([7, 8], (2, 1), (2, 3))
    [7, 7, 7, 8, 8, 8]
    """
    if shape == wanted:
        return elements
    steps, step = [], 1
    for length in reversed(shape):
        steps.append(0 if length == 1 else step)
        step *= length
    places = [0]
    padded = [0] * (len(wanted) - len(shape)) + steps[::-1]
    for length, step in zip(wanted, padded, strict=True):
        places = [place + i * step for place in places for i in range(length)]
    return [elements[place] for place in places]


Apply = Callable[..., int]


def _sum(apply: Apply, terms: Iterable[int]) -> int:
    return reduce(partial(apply, ADD), terms)


def _dot(apply: Apply, a: Sequence[int], b: Sequence[int]) -> int:
    return _sum(apply, [apply(MUL, x, y) for x, y in zip(a, b, strict=True)])


def _matmul(apply: Apply, operands: list[Lanes], shapes: list[Shape]) -> Lanes:
    (a, b), (left, right) = operands, shapes
    left = left if len(left) > 1 else (1, *left)
    right = right if len(right) > 1 else (*right, 1)
    rows, inner, columns = left[-2], left[-1], right[-1]
    stack = arrays.MATMUL.shape(left, right)[:-2]  # type: ignore[misc]
    result: Lanes = []
    blocks = zip(
        stretched(range(0, len(a), rows * inner), left[:-2], stack),
        stretched(range(0, len(b), inner * columns), right[:-2], stack),
        strict=True,
    )
    for i, j in blocks:
        for row in range(i, i + rows * inner, inner):
            result += [
                _dot(apply, a[row : row + inner], b[j + k : j + inner * columns : columns])
                for k in range(columns)
            ]
    return result


def _outer(apply: Apply, operands: list[Lanes], shapes: list[Shape]) -> Lanes:
    return [apply(MUL, x, y) for x in operands[0] for y in operands[1]]


def _over(
    combine: Callable[[Apply, Lanes], int],
    apply: Apply,
    operands: list[Lanes],
    shapes: list[Shape],
    axis: int | None,
) -> Lanes:
    """One element for the elements along each line of the axis."""
    return [combine(apply, [operands[0][i] for i in line]) for line in _lines(shapes[0], axis)]


def _lines(shape: Shape, axis: int | None) -> list[range]:
    """The positions along the axis, a range for each position across the others."""
    if axis is None:
        return [range(prod(shape))]
    step = prod(shape[axis + 1 :])
    block = step * shape[axis]
    return [
        range(first, start + block, step)
        for start in range(0, prod(shape), block)
        for first in range(start, start + step)
    ]


def _mean(apply: Apply, terms: Lanes) -> int:
    return apply(DIV, _sum(apply, terms), float(len(terms)))


def _max(apply: Apply, terms: Lanes) -> int:
    return reduce(partial(apply, MAXIMUM), terms)


def _logsumexp(apply: Apply, terms: Lanes) -> int:
    top = apply(STOP_GRADIENT, _max(apply, terms))
    shifted = [apply(EXP, apply(SUB, term, top)) for term in terms]
    return apply(ADD, apply(LOG, _sum(apply, shifted)), top)


def _first_max(apply: Apply, operands: list[Lanes], shapes: list[Shape], axis: int | None) -> Lanes:
    result = list(operands[0])
    for line in _lines(shapes[0], axis):
        terms = [operands[0][i] for i in line]
        largest_so_far = list(accumulate(terms, partial(apply, MAXIMUM)))
        top = largest_so_far[-1]
        for number, i in enumerate(line):
            is_top = apply(EQ, terms[number], top)
            if number:
                is_top = apply(MUL, is_top, apply(GT, top, largest_so_far[number - 1]))
            result[i] = is_top
    return result


def _transpose(apply: Apply, operands: list[Lanes], shapes: list[Shape]) -> Lanes:
    rows, columns = shapes[0][-2:]
    block = rows * columns
    return [
        operands[0][place]
        for start in range(0, len(operands[0]), block)
        for column in range(start, start + columns)
        for place in range(column, start + block, columns)
    ]


def _broadcast(apply: Apply, operands: list[Lanes], shapes: list[Shape], shape: Shape) -> Lanes:
    return list(stretched(operands[0], shapes[0], shape))


def _gather(apply: Apply, operands: list[Lanes], shapes: list[Shape], index: Index) -> Lanes:
    return [operands[0][i] for i in index.positions]


def _scatter(
    apply: Apply, operands: list[Lanes], shapes: list[Shape], index: Index, shape: Shape
) -> Lanes:
    terms: list[Lanes] = [[] for _ in range(prod(shape))]
    for place, element in zip(index.positions, operands[0], strict=True):
        terms[place].append(element)
    zero = [] if all(terms) else [apply(CONSTANT, 0.0)]
    return [_sum(apply, term or zero) for term in terms]


def _rows(meaning: Callable[..., Lanes]) -> Callable[..., Lanes]:
    """The meaning applied to each row of the operand."""

    def of_rows(apply: Apply, operands: list[Lanes], shapes: list[Shape], *statics: Any) -> Lanes:
        (elements,), width = operands, prod(shapes[0][1:])
        return [
            lane
            for start in range(0, len(elements), width)
            for lane in meaning(apply, [elements[start : start + width]], [shapes[0][1:]], *statics)
        ]

    return of_rows


def _stack(apply: Apply, operands: list[Lanes], shapes: list[Shape]) -> Lanes:
    return [lane for operand in operands for lane in operand]


def _stack_rows(apply: Apply, operands: list[Lanes], shapes: list[Shape]) -> Lanes:
    whole = arrays.STACK_ROWS.shape(*shapes)  # type: ignore[misc]
    rows, width = whole[0], prod(whole[2:])
    full = [
        stretched(operand, shape, (rows, *whole[2:]))
        for operand, shape in zip(operands, shapes, strict=True)
    ]
    return [
        lane for row in range(rows) for operand in full for lane in operand[row * width :][:width]
    ]


def _length(apply: Apply, operands: list[Lanes], shapes: list[Shape]) -> Lanes:
    return [apply(CONSTANT, float(shapes[0][0]))]


_MEANINGS: Final[dict[Op, Callable[..., Lanes]]] = {
    arrays.MATMUL: _matmul,
    arrays.OUTER: _outer,
    arrays.SUM: partial(_over, _sum),
    arrays.MEAN: partial(_over, _mean),
    arrays.MAX: partial(_over, _max),
    arrays.FIRST_MAX: _first_max,
    arrays.LOGSUMEXP: partial(_over, _logsumexp),
    arrays.TRANSPOSE: _transpose,
    arrays.RESHAPE: lambda apply, operands, shapes, shape: operands[0],
    arrays.BROADCAST: _broadcast,
    arrays.GATHER: _gather,
    arrays.SCATTER: _scatter,
    arrays.GATHER_ROWS: _rows(_gather),
    arrays.SCATTER_ROWS: _rows(_scatter),
    arrays.STACK: _stack,
    arrays.STACK_ROWS: _stack_rows,
    arrays.LENGTH: _length,
}
"""Each operation on whole arrays as operations on their elements."""


def _nested(elements: Iterator[Any], shape: Shape) -> Any:
    if not shape:
        return next(elements)
    return [_nested(elements, shape[1:]) for _ in range(shape[0])]
