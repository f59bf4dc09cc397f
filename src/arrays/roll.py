"""`roll`: a scalar graph, derived backward pass included, as an array graph.

The steps, a file each:

1. `collapse`: chains of additions become sums of any number of terms.
2. `addresses`, `leaf_arrays`: every scalar gets an address (array, place); leaves have theirs from
   their names, as `w0_2_1` is W0[2, 1].
3. `grouping`: generation by generation, scalars that do the same to elements of the same arrays
   form a group. The terms of sums are parted by the arrays they come from (`sum_parts`).
4. `lanes`, `contractions`: a group becomes one array operation: element by element, an outer
   product, a matrix product, a sum over an axis; or stays scalar where it is too small.
5. `index_maps`: in which order the lanes stand, and how operands are chosen to match it: as they
   are, reshaped, transposed, stretched, or gathered.

`check_roll` unrolls the result and compares it with what was rolled (`canonical`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from numbers import Real
from typing import Any

from ..errors import OperandError, ShapeError, formula_hint, kind_of, shorten
from ..graph.arithmetic import Arithmetic
from ..graph.doors import View
from ..graph.expr import Expr, Graph, common_graph, live_nodes
from ..graph.rewrite import Rewritten, rewritten
from ..graph.traversal import depth_first
from ..graph.unroll import unroll_graph
from ..graph.value import Value
from .addresses import Addresses
from .canonical import fingerprints, operations
from .collapse import collapse
from .grouping import Generations
from .index_maps import CONSTANTS, Writer
from .lanes import LaneWriter
from .report import RollReport, report
from .rolling import roll_nodes
from .statements import ArrayProgram, Statement
from .unrolling import ProgramCheck, check_program


@dataclass(frozen=True)
class Rolled:
    """A scalar graph as arrays.

    graph    the array graph; its leaves remember in `graph.lanes` which scalars they are made of
    outputs  the arrays (or scalars) that the outputs are elements of, each once
    places   for each output that was rolled: which of `outputs`, and the position in it, counted
             row by row
    report   what was found, what stayed scalar, and whether it pays

    >>> g = Graph(); x, w = g.inputs("x", 3), [g.inputs(f"w{j}_", 3) for j in range(2)]
    >>> rolled = roll([sum(a * b for a, b in zip(row, x)) for row in w])
    >>> rolled.outputs, rolled.places
    ([Expr(W @ x)], [(0, 0), (0, 1)])

    The same in index notation, as many statements for every size:

    >>> print(*rolled.statements)
    t1[i] = Σ_j x[j]·w[i, j]
    """

    _repr_mimebundle_ = View()

    graph: Graph
    outputs: list[Expr]
    places: list[tuple[int, int]]
    report: RollReport
    found: Callable[[], ArrayProgram] = field(repr=False, compare=False)

    @cached_property
    def program(self) -> ArrayProgram:
        """The array program that the scalar graph is, found when it is first asked for."""
        return self.found()

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The statements of the program, each of which prints as index notation."""
        return self.program.statements

    def scalars(self) -> list[Expr]:
        """The outputs one by one: elements of the arrays, added to the graph."""
        from ..ops.arrays import gather

        return [
            gather(self.outputs[k], place) if self.outputs[k].shape else self.outputs[k]
            for k, place in self.places
        ]

    def __str__(self) -> str:
        return str(self.report)


def roll(exprs: Expr | Value | Graph | Iterable[Any]) -> Rolled:
    """The same expressions, computed with arrays, in a new graph.

    exprs   an expression, a sequence of them, or a graph with outputs

    Order and grouping of the terms of a sum may change, so results agree up to rounding. What does
    not fit into arrays stays scalar, and the report says how much. An expression that has arrays in
    it already is a `ShapeError`.

    >>> g = Graph(); x = g.inputs("x", 4)
    >>> rolled = roll([x[0] * x[0] + x[1] * x[1] + x[2] * x[2] + x[3] * x[3]])
    >>> print(rolled.report.findings[0])
    4 products and 1 sum -> t1 = x @ x
    """
    graph, roots = _wanted(exprs)
    live = live_nodes(graph, roots)
    _check_scalar(graph, live)
    collapsed = collapse(graph, live, roots)
    addresses = Addresses(graph, Writer(Graph()))
    addresses.place_leaves(collapsed.live)
    generations = Generations(collapsed, addresses)
    lanes = LaneWriter(addresses, generations)
    for groups in generations:
        for home, sums in generations.whole.items():
            lanes.settle_whole(home, sums)
        for key, group in groups.items():
            lanes.write(key, group)
    nodes, places = _outputs(addresses, roots)
    target, images = _in_reading_order(addresses.writer.graph, nodes)
    computed: dict[int, Counter[str]] = {}
    for finding in lanes.findings:
        if finding.node in images:
            computed.setdefault(images[finding.node], Counter()).update(finding.counts)
    count = sum(1 for node in live if graph.operands[node])
    found = report(target, computed, len(live), count)
    outputs = [target[node] for node in target.outputs]
    return Rolled(target, outputs, places, found, partial(roll_nodes, graph, roots))


@dataclass(frozen=True)
class RollCheck:
    """Whether a rolled graph computes what the scalar graph does; true if it does.

    outputs  the numbers of outputs whose expression is not the same up to order
    lost     how many operations of the scalar graph the rolled one does not compute
    added    how many it computes that the scalar graph does not have
    program  the same of the statements, if they were found
    """

    outputs: tuple[int, ...]
    lost: int
    added: int
    program: ProgramCheck | None = None

    def __bool__(self) -> bool:
        return not (self.outputs or self.lost or self.added) and (
            self.program is None or bool(self.program)
        )

    def __str__(self) -> str:
        if self.program is not None and not self.program:
            return str(self.program)
        if self:
            return "the rolled graph is the scalar graph, node for node up to order"
        shown = ", ".join(map(str, self.outputs[:8])) + (", …" if len(self.outputs) > 8 else "")
        return (
            f"the rolled graph differs: {len(self.outputs):,} outputs ({shown or 'none'}), "
            f"{self.lost:,} operations lost, {self.added:,} added"
        )


def check_roll(exprs: Expr | Value | Graph | Iterable[Any], rolled: Rolled) -> RollCheck:
    """Unroll a rolled graph and compare it with the expressions it was made from.

    They are the same node for node up to order: `canonical` says what that leaves open. Where the
    statements were asked for, they are unrolled and compared as well.

    >>> g = Graph(); x = g.inputs("x", 3)
    >>> wanted = [a.tanh() for a in x]
    >>> print(check_roll(wanted, roll(wanted)))
    the rolled graph is the scalar graph, node for node up to order
    >>> bool(check_roll(wanted[::-1], roll(wanted)))
    False
    """
    graph, roots = _wanted(exprs)
    ids = [output.id for output in rolled.outputs]
    scalar, lanes = unroll_graph(rolled.graph, ids)
    again = [lanes[ids[k]][place] for k, place in rolled.places]
    before, after = fingerprints(graph, roots), fingerprints(scalar, again)
    differing = [
        i
        for i, (root, other) in enumerate(zip(roots, again, strict=True))
        if before[root] != after[other]
    ]
    old, new = operations(graph, before), operations(scalar, after)
    known = "program" in vars(rolled)
    judged = check_program(graph, roots, rolled.program) if known else None
    return RollCheck(tuple(differing), len(old - new), len(new - old), judged)


def _wanted(exprs: Any) -> tuple[Graph, list[int]]:
    """The graph and the nodes of what is to be rolled."""
    if isinstance(exprs, Graph):
        return exprs, list(exprs.outputs)
    if not isinstance(exprs, (Arithmetic, Real, Iterable)) or isinstance(exprs, (str, bytes)):
        raise OperandError(
            f"cannot roll {shorten(exprs)}, {kind_of(exprs)}; expected an Expr, a Value, a "
            f"sequence of them or a Graph with outputs{formula_hint(exprs)}"
        )
    wanted = [exprs] if isinstance(exprs, (Arithmetic, Real)) else list(exprs)
    graph = common_graph(wanted)
    return graph, [graph.node_of(thing) for thing in wanted]


def _check_scalar(graph: Graph, live: Iterable[int]) -> None:
    if graph.shapes:
        for node in live:
            if node in graph.shapes:
                raise ShapeError(
                    f"{graph[node]!r} is an array of shape {graph.shapes[node]}; roll takes a "
                    "graph of scalars: use it as it is, or unroll it first"
                )


def _outputs(addresses: Addresses, roots: Sequence[int]) -> tuple[list[int], list[tuple[int, int]]]:
    """The nodes that hold the outputs, each once, and where in them each output is."""
    writer = addresses.writer
    numbers: dict[int, int] = {}
    places = []
    for root in roots:
        home, place = addresses.home[root], addresses.place[root]
        node = writer.nodes[home]
        if home == CONSTANTS:
            node, place = writer.element(home, place), 0
        places.append((numbers.setdefault(node, len(numbers)), place))
    return list(numbers), places


def _in_reading_order(graph: Graph, roots: Sequence[int]) -> Rewritten:
    """What the roots need, in a new graph: leaves first, then each node after what it needs.

    The graph was written generation by generation; now what belongs together stands together.
    """
    leaves = [node for node in live_nodes(graph, roots) if not graph.operands[node]]
    computed = depth_first(roots, graph.operands.__getitem__, frozenset(leaves))
    return rewritten(graph, roots, order=[*leaves, *computed])
