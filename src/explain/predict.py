"""Predict before you look: questions about the steps, and a judge for typed answers.

A typed formula is right when it gives the same number as the graph at several random points, the
names of nodes standing for their formulas; so every equivalent form is right, and none is compared
as text.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ..errors import FormulaError, UnknownNameError, shorten
from ..graph.evaluation import node_values
from ..graph.expr import Expr
from ..graph.numbertext import number_text
from ..graph.store import is_name
from ..notation.parse import parse
from ..ops.record import Op
from ..ops.table import OPERATIONS
from .data import Backward, Contribution, Formula, Forward, Node
from .lesson import Lesson
from .notation import PART
from .words import ordinal, shown

TOLERANCE: Final = 0.005
"""How far a typed number may be off, relative to the right one: three digits are enough."""

_POINTS: Final = 5
_DRAWS: Final = 60
_TYPED: Final = {
    "·": "*",
    "×": "*",
    "⋅": "*",
    "−": "-",
    "÷": "/",
    "²": "**2",
    "³": "**3",
    "^": "**",
}
_DERIVATIVE: Final = re.compile(r"(?:∂|\bd)([A-Za-z_]\w*)\s*/\s*(?:∂|d)([A-Za-z_]\w*)")


@dataclass(frozen=True)
class Question:
    """Something to work out before it is shown.

    step     the id of the step it belongs to
    kind     "value", "local", "product" or "total"
    answer   the number, None without values
    formula  the answer as a formula
    hint     the rule that leads there
    number   the node of the walk-through's graph that holds the answer
    given    a number that the question builds on, which answers the one before it
    """

    id: str
    step: str
    kind: str
    prompt: str
    answer: float | None
    formula: Formula
    hint: str
    number: int
    given: str = ""


@dataclass(frozen=True)
class Verdict:
    """What is thought of an answer, and the right one."""

    correct: bool
    message: str
    answer: str


def questions(w: Lesson) -> tuple[Question, ...]:
    """Every question, in the order of the steps; none whose answer is not finite."""
    return tuple(
        question
        for question in (*_forward(w), *_backward(w))
        if question.answer is None or math.isfinite(question.answer)
    )


def _forward(w: Lesson) -> Iterator[Question]:
    if w.symbolic:
        return
    for step in w.part(1):
        assert isinstance(step, Forward)
        node = w.node(step.node or "")
        yield Question(
            id=f"predict-{step.id}",
            step=step.id,
            kind="value",
            prompt=f"Forward: {node.name} = {step.formula} = ?",
            answer=step.value,
            formula=step.formula,
            hint=f"put the numbers in: {step.substituted}",
            number=node.number,
        )


def _backward(w: Lesson) -> Iterator[Question]:
    for step in w.part(3):
        if not isinstance(step, Backward):
            continue
        node = w.node(step.node or "")
        if len(step.arrivals) > 1 and node.adjoint_number is not None:
            yield _total(w, step, node, node.adjoint_number)
        for passed in step.passes:
            if passed.wanted and passed.local_number is not None:
                yield from _passed(w, step, node, passed)


def _total(w: Lesson, step: Backward, node: Node, number: int) -> Question:
    through = [w.node(arrival.via).name for arrival in step.arrivals]
    return Question(
        id=f"predict-{step.id}-total",
        step=step.id,
        kind="total",
        prompt=f"{len(through)} shares reached {node.name}, through {', '.join(through)}. "
        f"{step.adjoint_name} = ?",
        answer=step.adjoint,
        formula=step.adjoint_formula,
        hint="what arrives by several ways is added",
        number=number,
    )


def _passed(w: Lesson, step: Backward, node: Node, passed: Contribution) -> Iterator[Question]:
    operand = w.node(passed.operand)
    assert passed.local_number is not None
    assert passed.product_number is not None
    stem = f"predict-{step.id}-{passed.position}"
    uses = node.operands.count(passed.operand)
    place = f" (as its {ordinal(passed.position)} operand)" if uses > 1 else ""
    yield Question(
        id=f"{stem}-local",
        step=step.id,
        kind="local",
        prompt=f"{node.name} = {node.formula}: its local derivative by {operand.name}{place} = ?",
        answer=passed.local_value,
        formula=passed.local,
        hint=passed.sentence,
        number=passed.local_number,
    )
    upstream = passed.upstream_value
    yield Question(
        id=f"{stem}-product",
        step=step.id,
        kind="product",
        prompt=f"Given {passed.upstream}, what does {node.name} pass to {operand.name}{place}?",
        answer=passed.product_value,
        formula=passed.product,
        hint=f"upstream × local; {passed.sentence}",
        number=passed.product_number,
        given="" if upstream is None else f"{passed.upstream} = {shown(upstream)}",
    )


def check(w: Lesson, id: str, typed: str) -> Verdict:
    """Judge a typed number or formula.

    >>> from wengert.explain import explain
    >>> w = explain(parse("x*x"), at={"x": 3})
    >>> w.check("predict-forward-n1", "9").correct, w.check("predict-forward-n1", "6").message
    (True, 'Not 6. Hint: put the numbers in: 3*3')
    """
    known = {question.id: question for question in questions(w)}
    if id not in known:
        raise UnknownNameError.of("question", id, known)
    question = known[id]
    answer = _answer(question)
    try:
        formula = parse(_plain(w, typed), operations=_own(w))
    except FormulaError as error:
        return Verdict(False, f"That cannot be read: {error}", answer)
    names = _names(w)
    unknown = [name for name in formula.graph.leaves if name not in names]
    if unknown:
        message = f"There is no {shorten(unknown[0])} here; the names are: {', '.join(names)}"
        return Verdict(False, message, answer)
    if not formula.graph.leaves and question.answer is not None:
        number = node_values(formula.graph, range(len(formula.graph)), {})[formula.id]
        return _judge_number(question, number, answer)
    return _judge_formula(w, question, formula, names, answer)


def _own(w: Lesson) -> list[Op]:
    """The operations of the walk-through that the table does not have, each once."""
    own = [op for op in w.graph.ops if op.arity and OPERATIONS.get(op.name) is not op]
    return list({op.name: op for op in own if is_name(op.name) and op.name != PART}.values())


def _answer(question: Question) -> str:
    if question.answer is None:
        return question.formula.text
    number = shown(question.answer)
    return number if number == question.formula.text else f"{question.formula.text} = {number}"


def _plain(w: Lesson, typed: str) -> str:
    """What was typed in the syntax of formulas; ∂L/∂v1 and dL/dv1 are the name dv1."""
    output = w.nodes[-1].name
    text = str(typed).strip()
    text = _DERIVATIVE.sub(lambda m: f"d{m[2]}" if m[1] == output else m[0], text)
    return "".join(_TYPED.get(c, c) for c in text)


def _names(w: Lesson) -> dict[str, int]:
    """What a formula may name: the nodes, and their derivatives with a d in front."""
    found = {node.name: node.number for node in w.nodes if node.kind != "constant"}
    for node in w.nodes:
        if node.kind != "constant" and node.adjoint_number is not None:
            found.setdefault(f"d{node.name}", node.adjoint_number)
    return found


def _judge_number(question: Question, number: float, answer: str) -> Verdict:
    assert question.answer is not None
    room = TOLERANCE * abs(question.answer) + 1e-9
    if abs(number - question.answer) <= room:
        return Verdict(True, "Right.", answer)
    if abs(number + question.answer) <= room:
        return Verdict(False, f"Right but for the sign. Hint: {question.hint}", answer)
    shown_number = number_text(number) if math.isfinite(number) else str(number)
    return Verdict(False, f"Not {shown_number}. Hint: {question.hint}", answer)


def _judge_formula(
    w: Lesson, question: Question, formula: Expr, names: Mapping[str, int], answer: str
) -> Verdict:
    here = None
    if w.values:
        given = {w.graph.leaves[name]: number for name, number in w.values.items()}
        here = _both(w, question, formula, names, given)
    rng = random.Random(2)
    leaves = [n.number for n in w.nodes if n.kind in ("input", "parameter")]
    agreed = 0
    for draw in range(_DRAWS):
        low = 0.2 if draw % 2 else -1.5
        typed, right = _both(
            w, question, formula, names, {leaf: rng.uniform(low, 1.5) for leaf in leaves}
        )
        if math.isfinite(typed) and math.isfinite(right):
            if not math.isclose(typed, right, rel_tol=1e-9, abs_tol=1e-11):
                break
            agreed += 1
        if agreed == _POINTS:
            return Verdict(True, "Right, for all values.", answer)
    if here is not None and math.isclose(*here, rel_tol=1e-9, abs_tol=1e-11):
        message = f"The right number here, but not in general. Hint: {question.hint}"
        return Verdict(False, message, answer)
    return Verdict(False, f"Not that. Hint: {question.hint}", answer)


def _both(
    w: Lesson,
    question: Question,
    formula: Expr,
    names: Mapping[str, int],
    given: Mapping[int, float],
) -> tuple[float, float]:
    """What the typed formula gives at a point, and what is right there."""
    values = node_values(w.graph, range(len(w.graph)), given)
    graph = formula.graph
    leaves = {node: values[names[name]] for name, node in graph.leaves.items()}
    return node_values(graph, range(len(graph)), leaves)[formula.id], values[question.number]
