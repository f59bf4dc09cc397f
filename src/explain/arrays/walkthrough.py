"""The walk-through of an expression of arrays, or of a network that was rolled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from ...arrays.roll import Rolled
from ...arrays.unrolling import unroll_program
from ...errors import (
    DisconnectedInputError,
    MissingInputError,
    ShapeError,
    UnknownNameError,
    shorten,
)
from ...graph.evaluation import given_values
from ...graph.expr import Expr, Graph
from ...graph.store import listing, live_nodes
from ...ops.scalar import CONSTANT
from ...proof.claim import elements as numbers_of
from ..data import Agreement, Step, plain
from ..mistakes import Mistake
from ..predict import Question, Verdict
from ..render.blocks import Block
from ..walkthrough import Walkthrough
from .document import array_document, question
from .lesson import ArrayStep, Judged, array_steps, judged
from .live import live
from .page import html
from .program import Program, elements_named, program_of

Again = Callable[[Mapping[Any, Any]], "ArrayWalkthrough"]


class ArrayWalkthrough(Walkthrough):
    """The chain rule in index notation: each step is a statement about all elements at once.

    steps     the statements, forward, the seed, and backward
    program   what they were read off: the statements that are compiled
    elements  the walk-through of the same expression element by element, as of any scalars; its
              nodes, questions and mistakes are what this one has under these names
    """

    _kept = ("program", "steps", "title", "symbolic", "formula", "_leaves", "_made", "_again")

    def __init__(
        self,
        program: Program,
        leaves: Mapping[str, Any] | None,
        elements: Callable[[], Walkthrough],
        again: Again,
    ) -> None:
        steps = tuple(array_steps(program, leaves))
        asked = question(program.name, list(program.slopes.values()))
        known = {
            "program": program,
            "steps": steps,
            "title": asked,
            "symbolic": leaves is None,
            "formula": next(step.statement for step in reversed(steps) if step.part == 1),
            "first_non_finite": next((step.id for step in steps if not step.finite), None),
            "_leaves": leaves,
            "_made": elements,
            "_again": again,
        }
        for name, thing in known.items():
            object.__setattr__(self, name, thing)

    program: Program

    @cached_property
    def elements(self) -> Walkthrough:
        """The walk-through element by element, made when it is first asked for."""
        made: Callable[[], Walkthrough] = self.__dict__["_made"]
        return made()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in Walkthrough.__dataclass_fields__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.elements, name)

    def __repr__(self) -> str:
        return f"<Walkthrough of {self.formula.text[:60]}: {len(self.steps)} steps>"

    def at(self, values: Mapping[Any, Any]) -> ArrayWalkthrough:
        """The same walk-through with numbers for leaves; the others keep theirs."""
        again: Again = self.__dict__["_again"]
        return again(values)

    def judgements(self) -> tuple[Judged, ...]:
        """The largest derivative of each leaf beside a difference quotient, if there are values."""
        leaves = self.__dict__["_leaves"]
        return () if leaves is None else tuple(judged(self.program, leaves))

    def _document(self, hide: bool) -> list[Block]:
        steps = [step for step in self.steps if isinstance(step, ArrayStep)]
        return list(array_document(steps, self.title, self.judgements()))

    def html(self) -> str:
        """As one HTML page that needs nothing else."""
        steps = [step for step in self.steps if isinstance(step, ArrayStep)]
        moved = live(self.program, self.__dict__["_leaves"])
        return html(self.title, steps, self.judgements(), moved)

    def data(self) -> dict[str, Any]:
        """Everything as dicts, lists, texts and numbers; what JSON lacks as "inf", "nan"."""
        names = ("title", "formula", "symbolic", "first_non_finite", "steps")
        return {name: plain(getattr(self, name)) for name in names}

    def judge(self, progress: bool | None = None) -> Agreement:
        """The judges of every element; see `Walkthrough.judge`."""
        return self.elements.judge(progress)

    @property
    def questions(self) -> tuple[Question, ...]:
        """The questions about the elements."""
        return self.elements.questions

    def check(self, question: str, typed: str) -> Verdict:
        """Judge a typed answer to the question of this id."""
        return self.elements.check(question, typed)

    def mistake(self, name: str) -> Mistake:
        """A wrong method carried out on the elements."""
        return self.elements.mistake(name)

    def step(self, id: str) -> Step:
        """The step with this id, or the step of an element."""
        found = {step.id: step for step in self.steps}
        return found[id] if id in found else self.elements.step(id)


def explain_arrays(
    graph: Graph,
    root: int,
    asked: Sequence[Any],
    at: Mapping[Any, Any] | None,
    elements: Callable[[Mapping[Any, Any] | None], Walkthrough],
) -> ArrayWalkthrough:
    """The walk-through of a node of a graph with arrays; see `explain`."""
    live = live_nodes(graph, [root])
    leaves = [n for n in live if graph.is_leaf(n) and graph.ops[n] is not CONSTANT]
    chosen = [_leaf(graph, leaves, leaf) for leaf in asked] or leaves
    given = given_values(graph, at) if at is not None else {}
    missing = [graph.labels[n] for n in leaves if n not in given and graph.value(n) is None]
    if missing and at is not None:
        raise MissingInputError(
            f"no value for {', '.join(missing)}; at needs an array or number for each leaf, "
            "or leave at out for formulas without numbers"
        )
    numbers = {graph.labels[n]: given.get(n, graph.value(n)) for n in leaves}
    program = program_of(graph, root, [graph[n] for n in chosen])
    before = {graph.labels[n]: number for n, number in given.items()}
    again = partial(_arrays_again, graph, root, asked, before, elements)
    return ArrayWalkthrough(program, None if missing else numbers, partial(elements, at), again)


def _arrays_again(
    graph: Graph,
    root: int,
    asked: Sequence[Any],
    before: Mapping[str, Any],
    elements: Callable[[Mapping[Any, Any] | None], Walkthrough],
    values: Mapping[Any, Any],
) -> ArrayWalkthrough:
    named = {graph.labels[n]: x for n, x in given_values(graph, values).items()}
    return explain_arrays(graph, root, asked, {**before, **named}, elements)


def _leaf(graph: Graph, leaves: Sequence[int], leaf: Any) -> int:
    node = graph.leaves.get(leaf) if isinstance(leaf, str) else graph.find(leaf)
    name = leaf if isinstance(leaf, str) else graph.labels.get(-1 if node is None else node, "")
    if node is not None and node in leaves:
        return node
    if node is None:
        raise UnknownNameError.of("leaf of this expression", name or shorten(leaf), graph.leaves)
    raise DisconnectedInputError(
        f"the output does not depend on {name or shorten(leaf)}; "
        f"its leaves: {', '.join(graph.labels[n] for n in leaves) or 'none'}"
    )


def explain_rolled(
    rolled: Rolled,
    asked: Sequence[Any],
    at: Mapping[Any, Any] | None,
    elements: Callable[[Expr, list[str] | None, Mapping[Any, Any] | None], Walkthrough],
) -> ArrayWalkthrough:
    """The walk-through of what was rolled, its first output, by leaves or arrays of leaves."""
    graph = unroll_program(rolled.program)
    output = graph[graph.outputs[0]]
    arrays = rolled.program.arrays
    for name in asked:
        if not isinstance(name, str) or (name not in arrays and name not in graph.leaves):
            known = {array.name: array for array in rolled.program.leaves}
            raise UnknownNameError.of("leaf of what was rolled", shorten(name), known)
    chosen = elements_named(asked, rolled.program) or list(graph.leaves)
    given: dict[str, float] | None = None
    if at is not None:
        given = {}
        for name, number in at.items():
            inside, numbers = elements_named([name], rolled.program), numbers_of(number)
            if len(inside) != len(numbers):
                raise ShapeError(f"{shorten(name)} is {len(inside)} numbers, at has {len(numbers)}")
            given.update(zip(inside, numbers, strict=True))
        missing = [name for name in graph.leaves if name not in given]
        if missing:
            raise MissingInputError(
                f"no value for {listing(missing)}; at needs a number for each leaf, by its name or "
                "that of its array"
            )
    program = program_of(graph, output.id, [graph[graph.leaves[name]] for name in chosen])
    again = partial(_rolled_again, rolled, asked, at or {}, elements)
    return ArrayWalkthrough(program, given, partial(elements, output, chosen, given), again)


def _rolled_again(
    rolled: Rolled,
    asked: Sequence[Any],
    before: Mapping[Any, Any],
    elements: Callable[[Expr, list[str] | None, Mapping[Any, Any] | None], Walkthrough],
    values: Mapping[Any, Any],
) -> ArrayWalkthrough:
    return explain_rolled(rolled, asked, {**before, **values}, elements)
