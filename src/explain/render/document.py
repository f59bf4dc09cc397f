"""A walk-through as headings, lines, tables and code, for text, Markdown and LaTeX alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ..data import (
    PARTS,
    Agreement,
    Backward,
    CarriedLine,
    Code,
    Contribution,
    Directions,
    Formula,
    Forward,
    PassChange,
    Paths,
    Seed,
    Stable,
    Task,
    Update,
)
from ..lesson import Lesson
from ..notation import PART, write
from ..predict import questions
from ..words import counted, ordinal, spoken
from . import equations
from .blocks import Block, Heading, Inline, Line, Listing, Table, equation, number, times
from .equations import MAX_LEAVES, backward_of, name, node_of

MAX_TITLE: Final = 240
"""The longest formula, in characters, that is written out as the title."""

_MANY_LEAVES_SHOWN: Final = 3

BACKWARD: Final = (
    "From the output to the leaves: a node's turn comes when all its consumers are done. What has "
    "then arrived at it is the derivative of the output by it, called its cotangent, or upstream "
    "derivative. It passes upstream × local to each operand, which is what its operation is "
    "applied to; the local derivative is that of the operation by this operand alone. What reaches "
    "the same node more than once is added."
)
_UNKNOWN: Final = Formula("?", "?")


def document(w: Lesson, hide: bool = False) -> list[Block]:
    """The whole walk-through; with `hide`, the parts with questions, the answers left open."""
    blocks = list(opening(w, hide))
    for part in range(4 if hide else 8):
        steps = w.part(part)
        if steps:
            blocks.append(Heading((f"{part}  {PARTS[part]}",)))
            blocks += part_blocks(w, part, hide)
    if hide:
        blocks.append(Heading(("Your turn",)))
        blocks.append(Line(("Work out each number marked ?, in this order.",)))
        blocks += [Line((f"{q.id}: {q.prompt}",), 1) for q in questions(w)]
    return blocks


def opening(w: Lesson, hide: bool = False) -> Iterator[Block]:
    """The title, and where the expression is looked at."""
    output = w.node(_task(w).output)
    written = next(f for f in _titles(w) if len(f.text) <= MAX_TITLE)
    yield Heading((equation(name(output), written),), 1)
    if w.values:
        given = [equation(name(node), number(node.value)) for node in map(w.node, _task(w).leaves)]
        yield Line(("at ", *_separated(given)))
    if w.first_non_finite and not hide:
        step = w.step(w.first_non_finite)
        what = "a value that was given" if step.part == 0 else f"{step.title} (step {step.id})"
        yield Line(
            (f"Not every number is finite. The first that is not: {what}.",),
            style="wrong",
        )


def _titles(w: Lesson) -> Iterator[Formula]:
    """The expression down to its leaves, or else down to what has a label."""
    yield w.formula
    d = w.derivation
    labelled = {
        node: d.written[node] for node in d.live if d.names[node] == d.graph.labels.get(node)
    }
    yield write(d.graph, d.root, labelled, inside=True).formula
    yield w.node(_task(w).output).formula
    yield Formula("…", r"\ldots")


def _separated(formulas: Iterable[Formula]) -> Inline:
    parts: list[str | Formula] = []
    for formula in formulas:
        parts += [", ", formula] if parts else [formula]
    return tuple(parts)


def _task(w: Lesson) -> Task:
    (step,) = w.part(0)
    assert isinstance(step, Task)
    return step


def part_blocks(w: Lesson, part: int, hide: bool = False) -> Iterator[Block]:
    """One part of the walk-through, without its heading."""
    if part == 3:
        yield Line((BACKWARD,))
    if part == 4:
        yield from _all_paths(w)
        for step in w.part(4):
            if isinstance(step, Directions):
                yield from directions_blocks(w, step)
        return
    for step in w.part(part):
        match step:
            case Task():
                yield from _task_blocks(step)
            case Forward():
                yield from _forward(w, step, hide)
            case Seed():
                yield Line((equation(step.formula, "1"),), 1)
                yield Line((step.sentence,))
            case Backward():
                yield from _backward(w, step, hide)
            case Stable():
                if not hide:
                    yield from stable_blocks(w, step)
            case Agreement():
                yield from _agreement(w, step)
            case Code():
                yield from _code(w, step)
            case Update():
                yield from _update(w, step)


def _task_blocks(step: Task) -> Iterator[Block]:
    yield Line((step.sentence,))
    cost = ", ".join(
        counted(count, PART) if name == PART else f"{count} {spoken(name)}"
        for name, count in step.cost.items()
    )
    digits = "" if step.symbolic else " Numbers are shown to 6 digits."
    yield Line((f"{counted(step.operations, 'operation')}{': ' * bool(cost)}{cost}.{digits}",))


def _forward(w: Lesson, step: Forward, hide: bool) -> Iterator[Block]:
    what = equations.forward(w, step)
    if hide:
        unknown = None if step.value is None else _UNKNOWN
        what = equation(name(node_of(w, step.node)), step.formula, unknown)
    style = "" if step.finite or hide else "wrong"
    yield Line((what, _mark(w, step.id, hide)), 1, style)
    if step.sentence:
        yield Line((step.sentence,), 2, "dim")


def _mark(w: Lesson, step: str, hide: bool) -> str:
    if hide or w.step(step).finite:
        return ""
    first = step == w.first_non_finite
    return "   ← the first that is not finite" if first else "   ← not finite"


def _backward(w: Lesson, step: Backward, hide: bool) -> Iterator[Block]:
    node = node_of(w, step.node)
    ready = f"ready: {step.ready}."
    if node.operands:
        about: Inline = ("   where ", equation(name(node), node.formula))
    else:
        about = (f"   ({ready.removesuffix('.')})",)
    style = "strong" if step.finite or hide else "wrong"
    yield Line((*_adjoint(step, hide), *about, _mark(w, step.id, hide)), 1, style)
    if node.operands:
        yield Line((f"{ready[0].upper()}{ready[1:]} {step.sentence}",), 2, "dim")
    idle: dict[str, list[str]] = {}
    for passed in step.passes:
        if passed.wanted:
            yield from _passed(w, step, passed, hide)
        else:
            idle.setdefault(equations.why_idle(w, step, passed), []).append(
                w.node(passed.operand).name
            )
    for reason, names in idle.items():
        said = f"Nothing is passed to {_some(list(dict.fromkeys(names)))}: {reason}."
        yield Line((said,), 2, "dim")


def stable_blocks(w: Lesson, step: Stable, *, headed: bool = True) -> Iterator[Block]:
    """What the compiler differentiates instead, and the derivatives both ways."""
    if headed:
        yield Line((step.title,), 1, "strong")
    yield Line((step.sentence,), 2)
    for one in step.rewritings:
        yield Line((equations.rewriting(one),), 2)
        if one.shift is not None:
            yield Line((equation(equations.SHIFTED, one.shift),), 3)
    if step.here:
        yield equations.slopes(w, step)
    if step.point:
        given = [equation(name, number(x)) for name, x in step.point.items()]
        yield Line(("At ", *_separated(given), ":"), 2)
        yield equations.slopes(w, step, elsewhere=True)
    if step.why:
        yield Line((step.why,), 2)


def _adjoint(step: Backward, hide: bool) -> Inline:
    """The derivative of a node = its formula, its value, or the shares that it is the sum of."""
    if step.adjoint is None:
        return (equation(step.adjoint_name, step.adjoint_formula),)
    if hide and step.arrivals:
        return (equation(step.adjoint_name, _UNKNOWN),)
    if len(step.arrivals) > 1:
        return (step.adjoint_name, f" = {step.total}")
    return (equation(step.adjoint_name, number(step.adjoint)),)


def _passed(w: Lesson, step: Backward, passed: Contribution, hide: bool) -> Iterator[Block]:
    several = len(node_of(w, step.node).operands) > 1
    places = f" ({ordinal(passed.position)} operand)" if several else ""
    local = _UNKNOWN if hide else equations.local(passed)
    yield Line(("→ ", name(w.node(passed.operand)), f"{places}: local ", local), 2)
    symbolic = passed.upstream_value is None
    share = equations.share(w, step, passed)
    if hide and not symbolic:
        share = equation(times(_UNKNOWN, _UNKNOWN), _UNKNOWN)
    note = "" if hide else _passing_note(passed)
    dim = passed.blocked and not symbolic
    yield Line(("upstream × local = ", share, note), 3, "dim" if dim else "")
    target = backward_of(w, passed.operand)
    if len(target.arrivals) > 1 and not hide and not symbolic:
        before = "nothing yet, so " if passed.first else ""
        yield Line((target.adjoint_name, f" so far: {before}{passed.total}"), 3)


def _passing_note(passed: Contribution) -> str:
    """A word on a share that is 0, or that is not what multiplying would give."""
    if passed.upstream_value is None or passed.local_value is None or passed.product_value is None:
        return ""
    multiplied = passed.upstream_value * passed.local_value
    if math.isnan(multiplied) and not math.isnan(passed.product_value):
        return "; the rule selects, it does not multiply"
    return "; the local derivative is 0, so nothing passes" if passed.blocked else ""


def _all_paths(w: Lesson) -> Iterator[Block]:
    steps = [step for step in w.part(4) if isinstance(step, Paths)]
    chosen = steps
    if len(steps) > MAX_LEAVES:
        most = sorted(steps, key=lambda step: -step.count)[:_MANY_LEAVES_SHOWN]
        chosen = [step for step in steps if step in most]
    for step in chosen:
        yield from _paths(w, step)
    rest = [step for step in steps if step not in chosen]
    if rest:
        yield Line(("The other leaves:",))
        rows = [
            ((name(node_of(w, step.node)),), (f"{step.count:,}",), (number(step.total),))
            for step in rest
        ]
        yield Table(("leaf", "paths", "sum over paths"), tuple(rows))


def directions_blocks(w: Lesson, step: Directions, *, headed: bool = True) -> Iterator[Block]:
    """Forward mode beside the backward pass."""
    if headed:
        yield Line((step.title,), 1, "strong")
    yield Line((step.sentence,), 2)
    if len(step.sweeps) <= MAX_LEAVES:
        yield equations.sweeps(w, step)


def _paths(w: Lesson, step: Paths) -> Iterator[Block]:
    yield Line((step.sentence,))
    for path in step.shown:
        route, product = equations.path(w, path)
        yield Line((route, ":  ", product), 1)
    if step.total is not None and step.count > 1:
        target = backward_of(w, step.node)
        found = equation(target.adjoint_name, number(target.adjoint))
        line = ("Sum: ", number(step.total), ", and the backward pass found ", found, ".")
        yield Line(line, 1, "strong")
        if math.isnan(step.total) and not math.isnan(target.adjoint or 0.0):
            yield Line(("Where a rule selects, no product with 0 is formed: so no nan.",), 1)


def _agreement(w: Lesson, step: Agreement) -> Iterator[Block]:
    yield Line((f"{step.sentence} {step.conclusion}",))
    yield equations.judgements(w, step)
    for row in step.rows:
        if row.note:
            yield Line((f"{w.node(row.leaf).name}: {row.note}.",), 1, "" if row.agrees else "wrong")
    yield from equations.sympys_formulas(w, step)


def _code(w: Lesson, step: Code) -> Iterator[Block]:
    yield Line((step.sentence,))
    for change in step.passes:
        yield Line((_change(change),), 1)
    yield Listing(step.source)
    by_line: dict[tuple[int, str], list[str]] = {}
    idle: dict[str, list[str]] = {}
    for carried in step.lines:
        name = _carried_name(w, carried)
        if carried.line is None:
            idle.setdefault(carried.note, []).append(name)
        else:
            line = f"line {carried.line}"
            place = (
                ", ".join(filter(None, (line, carried.note))) if carried.variable else carried.note
            )
            by_line.setdefault((carried.line, place), []).append(name)
    for (_, place), names in sorted(by_line.items()):
        yield Line((f"{place}: {_some(names)}",), 1)
    for note, names in idle.items():
        yield Line((f"{note}: {_some(names)}",), 1, "dim")


def _some(names: Sequence[str]) -> str:
    if len(names) <= MAX_LEAVES:
        return ", ".join(names)
    return f"{', '.join(names[:MAX_LEAVES])} and {len(names) - MAX_LEAVES} more"


def _carried_name(w: Lesson, carried: CarriedLine) -> str:
    step = w.step(carried.step)
    if isinstance(step, Backward):
        return step.adjoint_name.text
    return node_of(w, step.node).name


def _change(change: PassChange) -> str:
    names = dict.fromkeys((*change.operations_before, *change.operations_after))
    counts = [
        (name, change.operations_before.get(name, 0), change.operations_after.get(name, 0))
        for name in names
    ]
    moved = ", ".join(f"{name} {b} → {a}" for name, b, a in counts if a != b)
    applied = ", ".join(
        f"{name} {'once' if n == 1 else f'{n} times'}" for name, n in change.rewrites.items()
    )
    total = (sum(change.operations_before.values()), sum(change.operations_after.values()))
    return (
        f"pass “{change.name}”: {total[0]} → {total[1]} operations"
        f"{f' ({moved})' if moved else ''}; {f'rules: {applied}' if applied else 'no rule applied'}"
    )


def _update(w: Lesson, step: Update) -> Iterator[Block]:
    yield Line((step.sentence,))
    yield equations.before_update(w, step)
    yield equations.rates(w, step)
