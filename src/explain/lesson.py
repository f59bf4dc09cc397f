"""A walk-through put together from what was derived: its steps in order, and its nodes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from ..codegen.compiled import Compiled
from ..errors import MissingInputError, UnknownNameError
from ..graph.evaluation import given_values
from ..graph.expr import Expr, Graph
from .carried import Lineage
from .data import Formula, Node, Step, plain
from .derivation import Derivation
from .judges import agreement, compiled_function
from .notation import write
from .outcome import code, update
from .paths import directions, paths
from .stability import stable
from .steps import adjoint_formula, backward, forward, node_id, seed, task

_UNSEEN: Final = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON allows in a text and no reader should meet: controls, direction marks, surrogates."""


@dataclass(frozen=True, repr=False)
class Lesson:
    """The steps by which the chain rule finds the derivatives of one expression.

    nodes             the expression, operands before their consumers
    steps             what happens, in order
    symbolic          whether there are no values, only formulas
    first_non_finite  the first step with a number that is infinite or not a number

    `graph` holds the expression, its adjoints and local derivatives as nodes; `values` the leaves;
    `derivation` what the steps were read off, and `rates` the learning rates that were asked for.
    """

    title: str
    formula: Formula
    symbolic: bool
    nodes: tuple[Node, ...]
    steps: tuple[Step, ...]
    first_non_finite: str | None
    graph: Graph
    output: Expr
    values: Mapping[str, float]
    compiled: Compiled
    derivation: Derivation
    rates: tuple[float, ...]

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def node(self, id: str) -> Node:
        """The node with this id."""
        node: Node = _found("node", self._nodes, id)
        return node

    def step(self, id: str) -> Step:
        """The step with this id."""
        step: Step = _found("step", self._steps, id)
        return step

    def by_name(self, name: str) -> Node:
        """The node with this name; constants have none."""
        node: Node = _found("node", self._names, name)
        return node

    def part(self, number: int) -> tuple[Step, ...]:
        """The steps of one part, 0 to 7."""
        return tuple(step for step in self.steps if step.part == number)

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def _steps(self) -> dict[str, Step]:
        return {step.id: step for step in self.steps}

    @cached_property
    def _names(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes if node.kind != "constant"}

    def data(self) -> dict[str, Any]:
        """Everything as dicts, lists, texts and numbers; what JSON lacks as "inf", "nan"."""
        names = ("title", "formula", "symbolic", "first_non_finite", "nodes", "steps")
        return {name: plain(getattr(self, name)) for name in names}

    def json(self, indent: int | None = 2) -> str:
        """`data` as JSON; the same expression at the same values gives the same text."""
        text = json.dumps(self.data(), indent=indent, ensure_ascii=False, allow_nan=False)
        return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def lesson(
    derivation: Derivation,
    rates: Sequence[float],
    compiled: Compiled | None = None,
    tell: Callable[[str], None] = lambda what: None,
) -> Lesson:
    """The walk-through of a derivation; `compiled` is its compiled function, if there is one.

    `tell` is told what is done next.
    """
    d = derivation
    tell("compiling")
    function = compiled_function(d) if compiled is None else compiled
    tell("forward, back")
    lineage = Lineage.of(d)
    steps: list[Step] = [
        task(d),
        *forward(d),
        seed(d),
        *backward(d),
        *stable(d, function, lineage),
        *paths(d),
        *directions(d),
    ]
    tell("asking sympy")
    steps.append(agreement(d, function))
    tell("reading the code")
    steps.append(code(d, function, lineage))
    if not d.symbolic:
        steps.append(update(d, rates))
    return Lesson(
        title=steps[0].title,
        formula=write(d.graph, d.root, {}).formula,
        symbolic=d.symbolic,
        nodes=tuple(_node(d, node) for node in d.live),
        steps=tuple(steps),
        first_non_finite=next((step.id for step in steps if not step.finite), None),
        graph=d.graph,
        output=d.graph[d.root],
        values={} if d.symbolic else {d.names[n]: d.values[n] for n in d.leaves},
        compiled=function,
        derivation=d,
        rates=tuple(rates),
    )


def with_values(w: Lesson, at: Mapping[Any, float]) -> Lesson:
    """The same walk-through with numbers for leaves, by name; the others keep theirs."""
    d = w.derivation
    given = {**d.given, **given_values(d.graph, at)}
    missing = [
        d.names[leaf] for leaf in d.leaves if leaf not in given and d.graph.value(leaf) is None
    ]
    if missing:
        raise MissingInputError(f"no value for {', '.join(missing)}; give each leaf a number")
    numbers = replace(d, given=given, symbolic=False)
    return lesson(replace(numbers, values=numbers.at(given)), w.rates, w.compiled)


def _node(d: Derivation, node: int) -> Node:
    graph, op = d.graph, d.graph.ops[node]
    leaf = graph.is_leaf(node)
    adjoint = d.adjoint.get(node)
    return Node(
        id=node_id(node),
        name=d.names[node],
        label=graph.labels.get(node, ""),
        latex=d.written[node].latex,
        kind=op.name if leaf else "operation",
        op=op.name,
        sign="" if leaf else op.sign(graph.statics.get(node, ())),
        operands=tuple(map(node_id, graph.operands[node])),
        formula=write(graph, node, d.written, inside=not leaf).formula,
        expanded=write(graph, node, {}).formula,
        value=d.value(node),
        adjoint=d.value(adjoint),
        adjoint_formula=None if adjoint is None else adjoint_formula(d, node).formula,
        number=node,
        adjoint_number=adjoint,
    )


def _found(kind: str, table: Mapping[str, Any], name: str) -> Any:
    try:
        return table[name]
    except (KeyError, TypeError):
        raise UnknownNameError.of(kind, name, table) from None
