"""A walk-through put together from what was derived: its steps in order, and its nodes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Final

from ..codegen.compiled import Compiled
from ..errors import MissingInputError, SizeError, UnknownNameError
from ..graph.evaluation import given_values
from ..graph.expr import Expr, Graph
from ..ops.scalar import CONSTANT
from ..storage import restore
from .carried import Lineage
from .data import Formula, Node, Stable, Step, plain
from .deferred import Deferred, Plan
from .derivation import Derivation, large
from .judges import agreement, compiled_function
from .notation import write
from .outcome import code, update
from .paths import directions, paths
from .stability import stable
from .steps import adjoint_formula, backward, forward, node_id, seed, task
from .words import finite

MAX_LISTED: Final = 2_000
"""How many operations may be listed with every step."""

_UNSEEN: Final = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON allows in a text and no reader should meet: controls, direction marks, surrogates."""


@dataclass(frozen=True, repr=False)
class Lesson:
    """The steps by which the chain rule finds the derivatives of one expression.

    nodes             the expression, operands before their consumers
    steps             what happens, in order; those of a large expression are made when looked at
    symbolic          whether there are no values, only formulas
    first_non_finite  the first step with a number that is infinite or not a number

    `graph` holds the expression, its adjoints and local derivatives as nodes; `values` the leaves;
    `derivation` what the steps were read off, and `rates` the learning rates that were asked for.
    """

    __setstate__ = restore

    title: str
    formula: Formula
    symbolic: bool
    nodes: Sequence[Node]
    steps: Sequence[Step]
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
        return self.node(_found("node", self._names, name))

    def part(self, number: int) -> tuple[Step, ...]:
        """The steps of one part, 0 to 7."""
        if isinstance(self.steps, Deferred):
            return self.steps.of_part(number)
        return tuple(step for step in self.steps if step.part == number)

    @property
    def stable(self) -> Stable | None:
        """The step on the stable form, where the compiler differentiates that."""
        step = self._steps.get("stable")
        return step if isinstance(step, Stable) else None

    @cached_property
    def _nodes(self) -> Mapping[str, Node]:
        if isinstance(self.nodes, Deferred):
            return self.nodes.by_id
        return {node.id: node for node in self.nodes}

    @cached_property
    def _steps(self) -> Mapping[str, Step]:
        if isinstance(self.steps, Deferred):
            return self.steps.by_id
        return {step.id: step for step in self.steps}

    @cached_property
    def _names(self) -> dict[str, str]:
        d = self.derivation
        return {d.names[n]: node_id(n) for n in d.live if d.graph.ops[n] is not CONSTANT}

    def data(self) -> dict[str, Any]:
        """Everything as dicts, lists, texts and numbers; what JSON lacks as "inf", "nan".

        Errors: `SizeError` for more than 2,000 operations, every step of which would be made.
        """
        operations = sum(map(self.derivation.computed, self.derivation.live))
        if operations > MAX_LISTED:
            raise SizeError(
                f"every step of {operations:,} operations, more than {MAX_LISTED:,}, would be "
                "hundreds of megabytes; save the walk-through as .html, which opens as layers, "
                "take single steps (w.step(…), w.part(…)), or explain a part (part=…)"
            )
        names = ("title", "formula", "symbolic", "first_non_finite", "nodes", "steps")
        found = {name: getattr(self, name) for name in names}
        found.update(nodes=tuple(self.nodes), steps=tuple(self.steps))
        return {name: plain(thing) for name, thing in found.items()}

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
    plans = list(_plans(d, function, rates, tell))
    nodes = Deferred([Plan(node_id(n), 0, partial(_node, d, n)) for n in d.live])
    first = plans[0].make()
    steps: Sequence[Step] = Deferred(plans)
    if not large(d):
        steps = tuple(steps)
        broken = next((step.id for step in steps if not step.finite), None)
    else:
        broken = _first_non_finite(d)
    return Lesson(
        title=first.title,
        formula=write(d.graph, d.root, {}).formula,
        symbolic=d.symbolic,
        nodes=nodes if large(d) else tuple(nodes),
        steps=steps,
        first_non_finite=broken,
        graph=d.graph,
        output=d.graph[d.root],
        values={} if d.symbolic else {d.names[n]: d.values[n] for n in d.leaves},
        compiled=function,
        derivation=d,
        rates=tuple(rates),
    )


def _plans(
    d: Derivation, function: Compiled, rates: Sequence[float], tell: Callable[[str], None]
) -> Iterator[Plan[Step]]:
    """How each step is made, in order."""
    lineage = Lineage.of(d)

    yield Plan("question", 0, partial(task, d))
    for node in filter(d.computed, d.live):
        yield Plan(f"forward-n{node}", 1, partial(forward, d, node))
    yield Plan("seed", 2, partial(seed, d))
    for node in d.backward_order:
        yield Plan(f"backward-n{node}", 3, partial(backward, d, node))
    for step in stable(d, function, lineage):
        yield Plan(step.id, 3, partial(_same, step))
    for leaf in d.wrt:
        yield Plan(f"paths-n{leaf}", 4, partial(paths, d, leaf))
    if len(d.wrt) > 1:
        yield Plan("directions", 4, partial(directions, d))
    yield Plan("agreement", 5, partial(_told, tell, "asking sympy", agreement, d, function))
    yield Plan("code", 6, partial(_told, tell, "reading the code", code, d, function, lineage))
    if not d.symbolic:
        yield Plan("update", 7, partial(update, d, function, rates))


def _same(step: Step) -> Step:
    return step


def _told(tell: Callable[[str], None], what: str, make: Callable[..., Step], *of: Any) -> Step:
    tell(what)
    return make(*of)


def _first_non_finite(d: Derivation) -> str | None:
    """The id of the first step with a number that is infinite or not a number."""
    if d.symbolic:
        return None
    if not finite(*(d.values[node] for node in d.leaves)):
        return "question"
    for node in filter(d.computed, d.live):
        if not finite(d.values[node]):
            return f"forward-n{node}"
    for node in d.backward_order:
        edges = [(node, place) for place in range(len(d.graph.operands[node]))]
        passed = [d.value(of.get(edge)) for of in (d.shares, d.local) for edge in edges]
        if not finite(d.value(d.adjoint[node]), *passed):
            return f"backward-n{node}"
    return None


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
