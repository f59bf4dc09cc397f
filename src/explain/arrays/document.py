"""A walk-through in index notation as blocks, for text, Markdown, LaTeX and HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from ..data import PARTS, Formula
from ..render.blocks import Block, Heading, Inline, Line, Table, number
from ..words import listed, shown
from .lesson import ArrayStep, Judged

_WIDEST, _TALLEST = 6, 6
_MOST: Final = 4


def question(output: str, leaves: Sequence[str]) -> str:
    """What is asked."""
    return f"How does {output} change when the elements of {listed(leaves)} change?"


NOTATION: Final = (
    "Each line holds for all values of its indices; Σ adds over the index below it. δ before a "
    "name is the derivative of the output by that array, its cotangent. ⊙ multiplies element by "
    "element, ᵀ transposes, and 1 is a column of ones."
)
_CONDITIONS: Final = " What stands in square brackets is 1 where it holds, and else 0."

AGREEMENT: Final = 4
"""The number of the last part: without paths, it comes right after the backward pass."""


def notation(steps: Sequence[ArrayStep]) -> str:
    """How the statements are to be read."""
    written = [step.statement.latex for step in steps]
    written += [reading.local.latex for step in steps for reading in step.readings]
    return NOTATION + _CONDITIONS * any("[" in latex for latex in written)


def array_document(
    steps: Sequence[ArrayStep], asked: str, judgements: Sequence[Judged]
) -> Iterator[Block]:
    """The whole walk-through."""
    yield Heading((asked,), 1)
    yield Line((notation(steps),), style="dim")
    for part in (1, 2, 3):
        yield Heading((f"{part}  {PARTS[part]}",))
        for step in steps:
            if step.part == part:
                yield from step_blocks(step)
    if judgements:
        yield Heading((f"{AGREEMENT}  {PARTS[5]}",))
        yield from judged_blocks(judgements)


def step_blocks(step: ArrayStep) -> Iterator[Block]:
    """One step."""
    yield Line((step.statement,), style="strong")
    if step.matrix is not None and step.matrix.text != step.statement.text:
        yield Line(("in matrices: ", step.matrix), 1)
    yield Line((step.sentence,), 1)
    for reading in step.readings[:_MOST]:
        added = f", added over {listed(reading.over)}" if reading.over else ""
        many = f" {_times(reading.times)}, each time" if reading.times > 1 else ""
        slope = _slope(reading.by, reading.element)
        equals = Formula(
            f"{slope.text} = {reading.local.text}", f"{slope.latex} = {reading.local.latex}"
        )
        by = (reading.by, f"{many}: ")
        yield Line((reading.element, " is read by ", *by, equals, added), 2)
    if len(step.readings) > _MOST:
        yield Line((f"… and {len(step.readings) - _MOST} readings more",), 2)
    yield from _numbers(step)


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def _slope(by: Formula, element: Formula) -> Formula:
    return Formula(
        f"∂{by.text}/∂{element.text}",
        rf"\frac{{\partial {by.latex}}}{{\partial {element.latex}}}",
    )


def _numbers(step: ArrayStep) -> Iterator[Block]:
    """The numbers of a step: all of a small array, the range of a large one."""
    if step.values is None or step.kind == "seed":
        return
    if not step.shape:
        yield Line(("= ", number(step.values)), 1)
    elif len(step.shape) <= 2 and step.shape[-1] <= _WIDEST and step.shape[0] <= _TALLEST:
        rows = [step.values] if len(step.shape) == 1 else step.values
        header = ("", *map(str, range(step.shape[-1])))
        names = [str(i) if len(step.shape) == 2 else "" for i in range(len(rows))]
        cells: list[tuple[Inline, ...]] = [
            ((name,), *((number(x),) for x in row)) for name, row in zip(names, rows, strict=True)
        ]
        yield Table(header, tuple(cells))
    else:
        flat = list(_flat(step.values))
        yield Line((f"from {shown(min(flat))} to {shown(max(flat))}",), 1)


def _flat(values: Any) -> Iterator[float]:
    stack = [values]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack += value
        else:
            yield value


def judged_blocks(judgements: Sequence[Judged]) -> Iterator[Block]:
    """The judgement of the largest derivative of each leaf."""
    yield Line(
        (
            "For each leaf the element with the largest derivative, beside a difference quotient "
            "(f(x + h) - f(x - h))/2h that knows no calculus.",
        )
    )
    rows = [
        (
            (j.element,),
            (number(j.derivative),),
            (number(j.difference),),
            ("yes" if j.agrees else "NO",),
        )
        for j in judgements
    ]
    yield Table(("element", "backward", "difference", "agree"), tuple(rows))
