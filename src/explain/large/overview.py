"""A large expression on a few pages: its layers, what they compute, and what passes back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ...arrays.homes import name_and_place
from ...graph.traversal import taken_apart
from ...ops.scalar import ADD
from ..data import Formula, Task
from ..lesson import Lesson
from ..notation import write
from ..paths import forward_edges
from ..render.blocks import Block, Heading, Line, Table, equation, plus
from ..words import counted, listed, shown
from .groups import Groups, span


def overview(w: Lesson, groups: Groups | None = None, *, page: bool = False) -> Iterator[Block]:
    """The blocks of a walk-through that opens as layers; where to read on, unless on a page."""
    groups = Groups.of(w.derivation) if groups is None else groups
    yield from opening(w, groups)
    yield Heading(("Forward",))
    yield _table(w, groups, backward=False)
    said, passed = groups.all_statements()
    yield Line(("In index notation, each line for all elements at once:",), style="dim")
    yield from _lines(said)
    yield Heading(("Backward",))
    yield Line((why_backward(w),))
    yield _table(w, groups, backward=True)
    yield from _lines(passed)
    yield Heading(("Closer",))
    yield from closer(w, page=page)


def title(w: Lesson) -> Formula:
    """The output as it was written, in the names of what has a label."""
    d = w.derivation
    labelled = {
        node: d.written[node] for node in d.live if d.names[node] == d.graph.labels.get(node)
    }
    output = d.written[d.root].formula

    def added(node: int) -> Sequence[int] | None:
        is_sum = d.graph.ops[node] is ADD and (node == d.root or node not in labelled)
        return d.graph.operands[node] if is_sum else None

    terms = list(taken_apart(d.root, added))
    chosen = [*terms[:2], terms[-1]] if len(terms) > _TERMS else terms
    sides = [write(d.graph, n, labelled, inside=n == d.root).formula for n in chosen]
    if len(terms) > _TERMS:
        sides.insert(2, Formula("…", r"\ldots"))
    written = plus(*sides)
    return equation(output, written) if len(written.text) <= _LONGEST else output


_TERMS: Final = 4
_LONGEST: Final = 90


def opening(w: Lesson, groups: Groups) -> Iterator[Block]:
    """The title, and how much it is."""
    yield Heading((title(w),), 1)
    yield Line((counts(w, groups),))
    if w.symbolic:
        yield Line(("No values are given.",))
    elif w.first_non_finite:
        where = w.step(w.first_non_finite).title
        yield Line((f"Not every number is finite. The first that is not: {where}.",), style="wrong")


def question(w: Lesson) -> str:
    """What is asked, of many leaves by the arrays that they are elements of."""
    task = w.steps[0]
    assert isinstance(task, Task)
    d = w.derivation
    stems = dict.fromkeys(
        name_and_place(d.names[leaf])[0]
        for leaf in sorted(d.wrt, key=lambda leaf: _natural(d.names[leaf]))
    )
    if len(stems) in (1, len(d.wrt)) or len(stems) > _MOST_NAMED:
        return task.sentence
    return (
        f"How does {d.names[d.root]} change when the {len(d.wrt):,} elements of "
        f"{listed(list(stems))} change?"
    )


def _natural(name: str) -> tuple[list[int], str]:
    """Layers in order: w0, b0 before w1."""
    return list(map(int, _NUMBERS.findall(name)[:1])), name


_NUMBERS: Final = re.compile(r"\d+")
_MOST_NAMED: Final = 20


def counts(w: Lesson, groups: Groups) -> str:
    """The size of an expression in a sentence."""
    task = w.steps[0]
    assert isinstance(task, Task)
    layers = [group for group in groups.outermost if group.title.startswith("layer")]
    how = f"{counted(len(layers), 'layer')}, " if layers else ""
    asked = f"{counted(len(task.wrt), 'derivative')} asked for"
    return (
        f"{how}{counted(task.operations, 'operation')} on {counted(len(task.leaves), 'leaf')}, "
        f"{asked}.".replace("leafs", "leaves")
    )


def why_backward(w: Lesson) -> str:
    """What forward mode would take instead, counted."""
    d = w.derivation
    back = len(d.shares)
    sentence = (
        f"One backward pass multiplies along {counted(back, 'edge')} and finds every derivative."
    )
    if len(d.wrt) > 1:
        forward = forward_edges(d)
        sentence += (
            f" Forward mode needs a sweep for each of the {len(d.wrt):,} leaves, "
            f"{forward:,} edges together: {forward / max(back, 1):,.0f} times as many."
        )
    return sentence


def closer(w: Lesson, *, page: bool = False) -> Iterator[Block]:
    """Where to read on."""
    if not page:
        yield Line(("One step of it: w.step(…), w.by_name(…); all of them: w.steps.",), 1)
        yield Line(("As a page that opens layer by layer, and computes: w.save('page.html').",), 1)
        yield Line(("sympy and the other judges are asked by w.judge().",), 1)
    labels = w.derivation.graph.labels
    parts = (labels.get(n, "") for n in w.derivation.live)
    named = next((label for label in parts if label.startswith("h")), "")
    part = f"of one neuron alone, explain(…, part={named!r})" if named else "of a part, part=…"
    yield Line(
        (f"Each path, and common mistakes beside what is right, are too many here: {part}.",), 1
    )


def _table(w: Lesson, groups: Groups, *, backward: bool) -> Table:
    d = w.derivation
    rows: list[tuple[Any, ...]] = []
    for group in groups.outermost:
        numbers = [d.adjoint.get(n) for n in group.ends] if backward else group.ends
        if backward and not any(n in d.adjoint for n in group.nodes):
            continue
        cells = group.title, groups.counts(group), _range([d.value(n) for n in numbers])
        rows.append(tuple((cell,) for cell in cells))
    what = f"d {d.names[d.root]} / d its outputs" if backward else "its outputs"
    return Table(("part", "made of", what), tuple(rows[::-1] if backward else rows))


def _range(values: Sequence[float | None]) -> str:
    found = span(values)
    if not found:
        return "—"
    low, high = found
    return shown(low) if low == high else f"{shown(low)} to {shown(high)}"


def _lines(formulas: Sequence[Formula]) -> Iterator[Line]:
    for formula in formulas[:_MOST]:
        yield Line((formula,), 1)
    if len(formulas) > _MOST:
        yield Line((f"… {len(formulas) - _MOST:,} more",), 1)


_MOST: Final = 60
