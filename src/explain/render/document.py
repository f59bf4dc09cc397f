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
    Formula,
    Forward,
    Node,
    PassChange,
    Paths,
    Seed,
    Task,
    Update,
)
from ..lesson import Lesson
from ..notation import PART, counted, listed, shown_latex, spoken
from ..predict import questions
from .blocks import Block, Heading, Inline, Line, Listing, Table, equation, number, times

MAX_TITLE: Final = 240
"""The longest formula, in characters, that is written out as the title."""

MAX_LEAVES: Final = 12
"""Past this many leaves, paths are written out for the few leaves with the most of them."""

_MANY_LEAVES_SHOWN: Final = 3
JUDGE_DIGITS: Final = 10
JUDGES: Final = ("leaf", "graph", "sympy", "difference", "compiled", "agree")
"""The columns of the table of step 5."""

_BACKWARD: Final = (
    "From the output to the leaves: a node's turn comes when all its consumers are done. What has "
    "then arrived at it is its derivative, called its cotangent or upstream derivative. It passes "
    "upstream × local to each operand; what reaches the same node more than once is added."
)
_UNKNOWN: Final = Formula("?", "?")


def document(w: Lesson, hide: bool = False) -> list[Block]:
    """The whole walk-through; with `hide`, the parts with questions, the answers left open."""
    blocks = list(_opening(w, hide))
    for part in range(4 if hide else 8):
        steps = w.part(part)
        if steps:
            blocks.append(Heading((f"{part}  {PARTS[part]}",)))
            blocks += _part(w, part, hide)
    if hide:
        blocks.append(Heading(("Your turn",)))
        blocks.append(Line(("Work out each number marked ?, in this order.",)))
        blocks += [Line((f"{q.id}: {q.prompt}",), 1) for q in questions(w)]
    return blocks


def _opening(w: Lesson, hide: bool) -> Iterator[Block]:
    output = w.node(_task(w).output)
    written = w.formula if len(w.formula.text) <= MAX_TITLE else output.formula
    yield Heading((equation(Formula(output.name, output.latex), written),), 1)
    if w.values:
        given = [
            equation(Formula(node.name, node.latex), number(node.value))
            for node in map(w.node, _task(w).leaves)
        ]
        yield Line(("at ", *_separated(given)))
    if w.first_non_finite and not hide:
        step = w.step(w.first_non_finite)
        what = "a value that was given" if step.part == 0 else f"{step.title} (step {step.id})"
        yield Line(
            (f"Not every number is finite. The first that is not: {what}.",),
            style="wrong",
        )


def _separated(formulas: Iterable[Formula]) -> Inline:
    parts: list[str | Formula] = []
    for formula in formulas:
        parts += [", ", formula] if parts else [formula]
    return tuple(parts)


def _task(w: Lesson) -> Task:
    (step,) = w.part(0)
    assert isinstance(step, Task)
    return step


def _part(w: Lesson, part: int, hide: bool) -> Iterator[Block]:
    if part == 3:
        yield Line((_BACKWARD,))
    if part == 4:
        yield from _all_paths(w)
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
    node = _node(w, step.node)
    value = None if step.value is None else _UNKNOWN if hide else number(step.value)
    substituted = None if hide else step.substituted
    name = Formula(node.name, node.latex)
    yield Line(
        (equation(name, step.formula, substituted, value), _mark(w, step.id, hide)),
        1,
        "" if step.finite or hide else "wrong",
    )
    if step.sentence:
        yield Line((step.sentence,), 2, "dim")


def _mark(w: Lesson, step: str, hide: bool) -> str:
    if hide or w.step(step).finite:
        return ""
    first = step == w.first_non_finite
    return "   ← the first that is not finite" if first else "   ← not finite"


def _node(w: Lesson, id: str | None) -> Node:
    assert id is not None
    return w.node(id)


def _backward(w: Lesson, step: Backward, hide: bool) -> Iterator[Block]:
    node = _node(w, step.node)
    leaf = not node.operands
    seeded = not step.arrivals
    known = _UNKNOWN if hide and not seeded else number(step.adjoint)
    value = None if step.adjoint is None else known
    formula = step.adjoint_formula if step.adjoint is None else None
    what: Inline = (equation(step.adjoint_name, formula, value),)
    if len(step.arrivals) > 1 and not hide:
        what = (step.adjoint_name, f" = {step.total}") if step.adjoint is not None else what
    ready = f"ready: {step.ready}."
    if leaf:
        what = (*what, f"   ({ready.removesuffix('.')})")
    else:
        what = (*what, "   where ", equation(Formula(node.name, node.latex), node.formula))
    style = "strong" if step.finite or hide else "wrong"
    yield Line((*what, _mark(w, step.id, hide)), 1, style)
    if not leaf:
        yield Line((f"{ready[0].upper()}{ready[1:]} {step.sentence}",), 2, "dim")
    idle: dict[str, list[str]] = {}
    for passed in step.passes:
        if passed.wanted:
            yield from _passed(w, step, passed, hide)
        else:
            idle.setdefault(_why_idle(w, passed), []).append(w.node(passed.operand).name)
    for reason, names in idle.items():
        yield Line((f"{reason}: {_some(list(dict.fromkeys(names)))}.",), 2, "dim")


def _why_idle(w: Lesson, passed: Contribution) -> str:
    if w.node(passed.operand).kind == "constant":
        return "Nothing is asked of a constant"
    if passed.blocked:
        return "Nothing passes here"
    return "Not on the way to what is asked for"


def _passed(w: Lesson, step: Backward, passed: Contribution, hide: bool) -> Iterator[Block]:
    operand = w.node(passed.operand)
    consumer = _node(w, step.node)
    places = "" if len(consumer.operands) == 1 else f" (operand {passed.position})"
    local_value = None if passed.local_value is None else _number(passed.local_value, hide)
    substituted = None if hide else passed.local_substituted
    local = _UNKNOWN if hide else equation(passed.local, substituted, local_value)
    arrow: Inline = ("→ ", Formula(operand.name, operand.latex), f"{places}: local ", local)
    if passed.upstream_value is None:
        yield Line(arrow, 2)
        yield Line(("upstream × local = ", passed.product), 3)
        return
    yield Line(arrow, 2)
    assert passed.local_value is not None
    numbers = times(_number(passed.upstream_value, hide), _number(passed.local_value, hide))
    product = equation(numbers, _number(passed.product_value, hide))
    note = "" if hide else _passing_note(passed)
    yield Line(("upstream × local = ", product, note), 3, "dim" if passed.blocked else "")
    target = w.step(f"backward-{passed.operand}")
    assert isinstance(target, Backward)
    if len(target.arrivals) > 1 and not hide:
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


def _number(value: float | None, hide: bool) -> Formula:
    return _UNKNOWN if hide else number(value)


# -- the other parts ------------------------------------------------------------------------------


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
        yield Table(
            ("leaf", "paths", "sum over paths"),
            tuple(
                (_name(w, step.node), (f"{step.count:,}",), (number(step.total),)) for step in rest
            ),
        )


def _name(w: Lesson, id: str | None) -> Inline:
    node = _node(w, id)
    return (Formula(node.name, node.latex),)


def _paths(w: Lesson, step: Paths) -> Iterator[Block]:
    yield Line((step.sentence,))
    for path in step.shown:
        route = [w.node(id) for id in path.nodes]
        arrows = Formula(
            " → ".join(node.name for node in route), r" \to ".join(node.latex for node in route)
        )
        numbers = None
        if path.value is not None and path.factors:
            numbers = times(*[number(factor.value) for factor in path.factors])
        value = None if path.value is None else number(path.value)
        yield Line((arrows, ":  ", equation(path.product, numbers, value)), 1)
    if step.total is not None and step.node is not None:
        target = w.step(f"backward-{step.node}")
        assert isinstance(target, Backward)
        if step.count > 1:
            found = equation(target.adjoint_name, number(target.adjoint))
            line = ("Sum: ", number(step.total), ", and the backward pass found ", found, ".")
            yield Line(line, 1, "strong")
            if math.isnan(step.total) and not math.isnan(target.adjoint or 0.0):
                yield Line(("Where a rule selects, no product with 0 is formed: so no nan.",), 1)


def _agreement(w: Lesson, step: Agreement) -> Iterator[Block]:
    yield Line((f"{step.sentence} {step.conclusion}",))
    rows: list[tuple[Inline, ...]] = []
    for row in step.rows:
        verdict = "NO" if not row.agrees else "—" if row.note else "yes"
        cells = (row.graph, row.sympy, row.difference, row.compiled)
        rows.append((_name(w, row.leaf), *((_judged(x),) for x in cells), (verdict,)))
    styles = tuple("" if row.agrees else "wrong" for row in step.rows)
    yield Table(JUDGES, tuple(rows), styles)
    for row in step.rows:
        if row.note:
            yield Line((f"{w.node(row.leaf).name}: {row.note}.",), 1, "" if row.agrees else "wrong")
    yield from formulas_by_sympy(w, step)


def formulas_by_sympy(w: Lesson, step: Agreement) -> Iterator[Line]:
    """Which formulas sympy proves equal, and its own formulas beside the graph's."""
    proved = [w.node(row.leaf).name for row in step.rows if row.judgement == "proved equal"]
    if proved:
        which = listed(proved) if len(proved) <= 8 else f"{len(proved)} leaves"
        yield Line((f"sympy proves the formulas equal for {which}.",))
    if len(step.rows) <= MAX_LEAVES:
        for row in step.rows:
            if row.sympy_formula is not None:
                leaf = w.step(f"backward-{row.leaf}")
                assert isinstance(leaf, Backward)
                yield Line(
                    (
                        leaf.adjoint_name,
                        ": graph ",
                        row.graph_formula,
                        "; sympy ",
                        row.sympy_formula,
                    ),
                    1,
                )


def _judged(value: float | None) -> Formula:
    if value is None:
        return number(None)
    text = judged(value)
    return Formula(text, shown_latex(value) if "e" in text or "n" in text else text)


def judged(value: float | None) -> str:
    """A number with enough digits to see where a difference quotient stops being right."""
    return "—" if value is None else f"{value + 0.0:.{JUDGE_DIGITS}g}"


def _code(w: Lesson, step: Code) -> Iterator[Block]:
    yield Line((step.sentence,))
    for change in step.passes:
        yield Line((_change(change),), 1)
    yield Listing(step.source)
    by_line: dict[int, list[str]] = {}
    idle: dict[str, list[str]] = {}
    for carried in step.lines:
        name = _carried_name(w, carried)
        if carried.line is None:
            idle.setdefault(carried.note, []).append(name)
        else:
            by_line.setdefault(carried.line, []).append(name)
    for line, names in sorted(by_line.items()):
        yield Line((f"line {line}: {_some(names)}",), 1)
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
    return _node(w, step.node).name


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
    output = _node(w, step.node)
    yield Line(
        (
            equation(Formula(output.name, output.latex), number(step.before)),
            ",  ",
            equation(Formula("‖g‖²", r"\lVert g \rVert^{2}"), number(step.squared_norm)),
        ),
        1,
    )
    rows = tuple(
        (
            (number(row.rate),),
            (number(row.predicted),),
            (number(row.actual),),
            (number(row.new_output),),
            (row.note,),
        )
        for row in step.rates
    )
    yield Table(update_header(output), rows)


def update_header(output: Node) -> tuple[str, ...]:
    """The columns of the table of step 7."""
    return ("lr", "predicted fall", "actual fall", f"new {output.name}", "")
