"""The script of a page: what it is told of the walk-through, and the programs it runs."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from .. import quotients
from ..data import PARTS, CarriedLine, Code, Task, Update, plain
from ..judges import conventions
from ..lesson import Lesson
from ..predict import Question, questions
from ..render.equations import JUDGE_DIGITS
from .numbers import LiveNumbers
from .practice import practice_source
from .programs import (
    forward_source,
    simplified_source,
    steady_source,
    sympy_source,
    typed_functions,
)


def script(w: Lesson, at_numbers: Lesson, numbers: LiveNumbers) -> str:
    """The page's script: its data, the emitted programs, and what reacts to keys and sliders."""
    task = w.steps[0]
    assert isinstance(task, Task)
    data: dict[str, Any] = {
        "given": [at_numbers.values[w.node(id).name] for id in task.leaves],
        "output": w.nodes[-1].name,
        "parts": PARTS,
        "names": _typed_names(w, numbers),
        "start": "formulas" if w.symbolic else "numbers",
        "views": {
            "formulas": {"steps": _lit(w), "questions": []},
            "numbers": {
                "steps": _lit(at_numbers),
                "questions": [_question(question, numbers) for question in questions(at_numbers)],
            },
        },
        "judges": _judges(at_numbers, task, numbers),
        "update": _update(at_numbers, task),
    }
    text = json.dumps(plain(data), ensure_ascii=True, allow_nan=False).replace("<", r"\u003c")
    d = at_numbers.derivation
    # Places are handed out above: the program is emitted last. In brackets a function is a value,
    # whatever its name.
    programs = {
        "PROGRAM": numbers.source(),
        "FORWARD": forward_source(d),
        "SIMPLIFIED": simplified_source(d),
        "SYMPY": sympy_source(d),
        "STEADY": steady_source(d),
        "FUNCTIONS": typed_functions(w.graph),
        "OPERATIONS": practice_source(),
    }
    emitted = "".join(f"const {name} = (\n{text}\n);\n" for name, text in programs.items())
    written = "".join(
        map(
            read_text,
            (
                "shown.js",
                "play.js",
                "curve.js",
                "slope.js",
                "plane.js",
                "judges.js",
                "answers.js",
                "practice.js",
                "page.js",
            ),
        )
    )
    return f"const DATA = {text};\n{emitted}{written}"


def _lit(w: Lesson) -> list[list[Any]]:
    """For each step its part, and the line of code that carries it and what is said of that."""
    lines = lines_of(w)
    return [[step.part, *lines.get(step.id, [])] for step in w.steps]


def lines_of(w: Lesson) -> dict[str, list[Any]]:
    """For each step the line of code that carries it, if one does, and what is said of that."""
    return {
        carried.step: [carried.line, _said_of(carried)]
        for step in w.part(6)
        if isinstance(step, Code)
        for carried in step.lines
    }


def _question(question: Question, numbers: LiveNumbers) -> dict[str, Any]:
    return {
        "step": question.step,
        "kind": question.kind,
        "prompt": question.prompt,
        "hint": question.hint,
        "formula": question.formula.text,
        "place": numbers.place(question.number),
    }


def _typed_names(w: Lesson, numbers: LiveNumbers) -> dict[str, int]:
    """What a typed answer may name: nodes, and their derivatives with a d in front."""
    nodes = [node for node in w.nodes if node.kind != "constant"]
    names = {node.name: numbers.place(node.number) for node in nodes}
    for node in nodes:
        if node.adjoint_number is not None:
            names.setdefault(f"d{node.name}", numbers.place(node.adjoint_number))
    return names


def _judges(w: Lesson, task: Task, numbers: LiveNumbers) -> dict[str, Any]:
    """What the script needs to judge the derivatives as `judges` does."""
    return {
        "rows": [
            [w.node(id).name, task.leaves.index(id), numbers.place(w.node(id).adjoint_number or 0)]
            for id in task.wrt
        ],
        "step": quotients.STEP,
        "far": quotients.MAX_SIZE,
        "digits": JUDGE_DIGITS,
        "conventions": conventions(w.derivation),
    }


def _update(w: Lesson, task: Task) -> dict[str, Any]:
    """Which leaves a step downhill moves, and how far it goes."""
    update = next(step for step in w.steps if isinstance(step, Update))
    return {
        "leaves": [task.leaves.index(m.leaf) for m in update.leaves],
        "rates": w.rates,
    }


def _said_of(carried: CarriedLine) -> str:
    """What is said beside the code of the line that computes a step, or of there being none."""
    if carried.variable and carried.line:
        by = f", found {carried.note}" if carried.note else ""
        return f"Line {carried.line}: {carried.variable} holds the number of this step{by}."
    if carried.line:
        return f"The number of this step is computed {carried.note}."
    return f"{carried.note[:1].upper()}{carried.note[1:]}."


@cache
def read_text(name: str) -> str:
    """A file beside this one."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
