"""The value of expressions, node by node: what compiled functions are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import (
    MissingInputError,
    NotALeafError,
    OperandError,
    ShapeError,
    not_as_expected,
)
from ..ops import scalar as ops
from ..ops.record import evaluate_arrays
from ..ops.shapes import BATCH, Shape, frozen_array, is_row, shape_text
from .expr import Expr, Graph, common_graph
from .store import leaf_named, listing, live_nodes, real_number, unknown_leaf
from .value import Value


def evaluate(
    outputs: Expr | Value | Sequence[Expr | Value],
    at: Mapping[Any, Any] | None = None,
) -> Any:
    """The value of each output at the given leaves, node by node through the operation table.

    `at` maps leaves (`Expr`, `Value`, or their names) to numbers, or to arrays of their shape;
    leaves it leaves out contribute the value they carry. This is the reference that compiled
    functions are compared with.

    >>> g = Graph(); x = g.input("x")
    >>> evaluate(x * x + 1, {x: 3.0})
    10.0
    """
    single = not isinstance(outputs, Iterable)
    wanted: list[Any] = [outputs] if single else list(outputs)  # type: ignore[arg-type]
    graph = common_graph(wanted)
    roots = [graph.node_of(thing) for thing in wanted]
    values = node_values(graph, live_nodes(graph, roots), given_values(graph, at or {}))
    results = [values[root] for root in roots]
    return results[0] if single else results


def given_values(graph: Graph, at: Mapping[Any, Any]) -> dict[int, Any]:
    """The numbers of `at` by node, its keys being leaves or names of leaves of `graph`."""
    if not isinstance(at, Mapping):
        expected = "a dict: leaf, or its name, to its value"
        raise OperandError(not_as_expected(at, "at", expected))
    given: dict[int, Any] = {}
    for key, number in at.items():
        node = leaf_named(graph, key) if isinstance(key, str) else graph.find(key)
        if node is None:
            raise unknown_leaf(graph, key)
        if graph.operands[node] or graph.ops[node] is ops.CONSTANT:
            raise NotALeafError(
                f"{Expr(graph, node)!r} cannot be given a value: it is computed or a constant; "
                f"give values to leaves: {listing(graph.leaves)}"
            )
        what = f"the value of {graph.labels[node]}"
        shape = graph.shapes.get(node)
        if shape is None and is_row(number):
            one = "a number: one sample, or compile(..., batch=...) for rows of them"
            raise OperandError(not_as_expected(number, what, one))
        given[node] = real_number(number, what) if shape is None else _fitting(number, shape, what)
    _check_batch(graph, given)
    return given


def node_values(graph: Graph, live: Sequence[int], given: Mapping[int, Any]) -> dict[int, Any]:
    """The value of each node of `live`, a topologically ordered list closed under operands."""
    values: dict[int, Any] = dict(given)
    missing: list[str] = []
    all_ops, all_operands, statics = graph.ops, graph.operands, graph.statics
    shapes = graph.shapes
    for node in live:
        if node in values:
            continue
        operands = all_operands[node]
        if operands:
            if not missing:
                arguments = [values[operand] for operand in operands]
                op, fixed = all_ops[node], statics.get(node, ())
                if node in shapes or op.shape is not None:
                    values[node] = evaluate_arrays(op, arguments, fixed)
                else:
                    values[node] = op.evaluate(*arguments, *fixed)
            continue
        number = graph.value(node)
        if number is None:
            missing.append(graph.labels[node])
        else:
            values[node] = number
    if missing:
        raise MissingInputError(f"no value for {listing(missing)}; give each a number")
    return values


def _fitting(array: Any, shape: Shape, what: str) -> Any:
    """`array` as float64 if it has this shape."""
    numbers = frozen_array(array, what)
    if len(numbers.shape) != len(shape) or any(
        length not in (found, BATCH) for length, found in zip(shape, numbers.shape, strict=True)
    ):
        raise ShapeError(
            f"{what} has shape {shape_text(numbers.shape)}, expected {shape_text(shape)}"
        )
    return numbers


def _check_batch(graph: Graph, given: Mapping[int, Any]) -> None:
    """All axes of a length not known before have the same one."""
    lengths = {
        graph.labels[node]: len(array)
        for node, array in given.items()
        if graph.shapes.get(node, ())[:1] == (BATCH,)
    }
    if len(set(lengths.values())) > 1:
        raise ShapeError(
            "the batch has different lengths: "
            + ", ".join(f"{name} has {length}" for name, length in lengths.items())
        )
