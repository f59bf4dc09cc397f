"""What the steps state as equations and tables, once for every rendering, with live numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...graph.formula import name_latex
from ...ops.scalar import STOP_GRADIENT, WHERE
from ..data import (
    Agreement,
    Backward,
    Contribution,
    Directions,
    Formula,
    Forward,
    Node,
    PathProduct,
    Rewriting,
    Stable,
    Update,
)
from ..lesson import Lesson
from ..stability import SHIFT
from ..words import listed, shown_latex
from .blocks import Inline, Line, Spot, Table, equation, number, times

MAX_LEAVES: Final = 12
"""Past this many leaves, paths are written out for the few leaves with the most of them."""

JUDGE_DIGITS: Final = 10

SHIFTED: Final = Formula(SHIFT, name_latex(SHIFT))
"""The largest exponent, by which a stable form shifts the others."""


def name(node: Node) -> Formula:
    """The name of a node."""
    return Formula(node.name, node.latex)


def node_of(w: Lesson, id: str | None) -> Node:
    """The node that a step is about."""
    assert id is not None
    return w.node(id)


def backward_of(w: Lesson, node: str | None) -> Backward:
    """The step in which the derivative of a node is complete."""
    step = w.step(f"backward-{node}")
    assert isinstance(step, Backward)
    return step


def forward(w: Lesson, step: Forward) -> Formula:
    """The node = its operation = the same with numbers in it = its value."""
    node = node_of(w, step.node)
    value = None if step.value is None else number(step.value, node.number)
    return equation(name(node), step.formula, step.substituted, value)


def local(passed: Contribution) -> Formula:
    """The local derivative = the same with numbers in it = its value."""
    value = None
    if passed.local_value is not None:
        value = number(passed.local_value, passed.local_number)
    return equation(passed.local, passed.local_substituted, value)


def share(w: Lesson, step: Backward, passed: Contribution) -> Formula:
    """The share of an operand: upstream × local = product; without numbers the product alone."""
    if passed.upstream_value is None:
        return passed.product
    factors = times(
        number(passed.upstream_value, node_of(w, step.node).adjoint_number),
        number(passed.local_value, passed.local_number),
    )
    return equation(factors, number(passed.product_value, passed.product_number))


def why_idle(w: Lesson, step: Backward, passed: Contribution) -> str:
    """Why an operand is passed nothing."""
    if w.node(passed.operand).kind == "constant":
        return "nothing is asked of a constant"
    op = w.graph.ops[node_of(w, step.node).number]
    if op.truth:
        return "a comparison is flat on both sides of its step"
    if op is WHERE and passed.position == 0:
        return "a condition only decides, its truth is flat on both sides of its step"
    if op is STOP_GRADIENT:
        return "it counts as a constant here"
    if op.vjp[passed.position] is None:
        return "the result is flat in it"
    return "it is not on the way to what is asked for"


def path(w: Lesson, path: PathProduct) -> tuple[Formula, Formula]:
    """The nodes of a path, and its product = the same in numbers = its value."""
    route = [w.node(id) for id in path.nodes]
    arrows = Formula(
        " → ".join(node.name for node in route), r" \to ".join(node.latex for node in route)
    )
    if path.value is None or not path.factors:
        return arrows, path.product
    steps = zip(path.nodes, path.edges, strict=False)
    locals_ = [
        passed.local_number
        for node, edge in steps
        for passed in backward_of(w, node).passes
        if passed.edge == edge
    ]
    values = [factor.value for factor in path.factors]
    numbers = times(*(number(x, node) for x, node in zip(values, locals_, strict=True)))
    product = number(path.value, "*".join(map(str, locals_)))
    return arrows, equation(path.product, numbers, product)


def judgements(w: Lesson, step: Agreement) -> Table:
    """Each derivative by four ways, and whether they agree."""
    rows: list[tuple[Inline, ...]] = []
    for i, row in enumerate(step.rows):
        ways = {
            "graph": row.graph,
            "sympy": row.sympy,
            "difference": row.difference,
            "compiled": row.compiled,
        }
        verdict = "NO" if not row.agrees else "yes" if row.compared else "—"
        cells = [(Spot(_judged(x), f"{way}-{i}"),) for way, x in ways.items()]
        rows.append(((name(w.node(row.leaf)),), *cells, (Spot(verdict, f"agree-{i}"),)))
    styles = tuple("" if row.agrees else "wrong" for row in step.rows)
    header = ("leaf", "graph", "sympy", "difference", "compiled", "agree")
    return Table(header, tuple(rows), styles)


def _judged(value: float | None) -> Formula:
    """A number with enough digits to see where a difference quotient stops being right."""
    if value is None:
        return number(None)
    text = f"{value + 0.0:.{JUDGE_DIGITS}g}"
    return Formula(text, shown_latex(value) if "e" in text or "n" in text else text)


def sympys_formulas(w: Lesson, step: Agreement) -> Iterator[Line]:
    """Which formulas sympy proves equal, and its own formulas beside the graph's."""
    proved = [w.node(row.leaf).name for row in step.rows if row.judgement == "proved equal"]
    if proved:
        which = listed(proved) if len(proved) <= 8 else f"{len(proved)} leaves"
        yield Line((f"sympy proves the formulas equal for {which}.",))
    if len(step.rows) <= MAX_LEAVES:
        for row in step.rows:
            if row.sympy_formula is not None:
                leaf = backward_of(w, row.leaf).adjoint_name
                formulas = (": graph ", row.graph_formula, "; sympy ", row.sympy_formula)
                yield Line((leaf, *formulas), 1)
        if any("Heaviside" in row.sympy_formula.text for row in step.rows if row.sympy_formula):
            yield Line(("Heaviside(x), also written θ(x), is 1 where x is above 0, else 0.",), 1)


def rewriting(one: Rewriting) -> Formula:
    """A part as it is written → the same in the stable form."""
    return Formula(
        f"{one.before.text} → {one.after.text}", rf"{one.before.latex} \to {one.after.latex}"
    )


def slopes(w: Lesson, step: Stable, *, elsewhere: bool = False) -> Table:
    """The derivatives by the rules on what is written, and as they are compiled."""
    rows: list[tuple[Inline, ...]] = []
    for i, row in enumerate(step.there if elsewhere else step.here):
        keys = ("", "") if elsewhere else (f"graph-{i}", f"compiled-{i}")
        both = (row.written, row.compiled)
        cells = [(Spot(_judged(x), key),) for x, key in zip(both, keys, strict=True)]
        rows.append(((backward_of(w, row.leaf).adjoint_name,), *cells))
    return Table(("", "rule by rule", "compiled"), tuple(rows))


def sweeps(w: Lesson, step: Directions) -> Table:
    """Forward mode leaf by leaf, and the backward pass under it."""
    rows: list[tuple[Inline, ...]] = [
        (
            ("forward, from ", name(node_of(w, sweep.leaf))),
            (f"{sweep.edges:,}",),
            (
                equation(
                    backward_of(w, sweep.leaf).adjoint_name,
                    None
                    if sweep.value is None
                    else number(sweep.value, node_of(w, sweep.leaf).adjoint_number),
                ),
            ),
        )
        for sweep in step.sweeps
    ]
    rows.append((("forward, together",), (f"{step.forward:,}",), ("",)))
    rows.append((("backward",), (f"{step.backward:,}",), ("all of them",)))
    return Table(("sweep", "multiplications", "finds"), tuple(rows))


def before_update(w: Lesson, step: Update) -> Line:
    """The output, and the square of the length of the gradient."""
    output = node_of(w, step.node)
    equals = Formula(" = ", "=")
    norm = Formula("‖g‖²", r"\lVert g \rVert^{2}")
    found = {"before": step.before, "norm": step.squared_norm}
    before, squared = (Spot(number(x), what) for what, x in found.items())
    return Line((name(output), equals, before, ",  ", norm, equals, squared), 1)


def rates(w: Lesson, step: Update) -> Table:
    """What moving against the gradient promises, and what it does."""
    rows: list[tuple[Inline, ...]] = []
    for i, rate in enumerate(step.rates):
        found = {"predicted": rate.predicted, "actual": rate.actual, "new": rate.new_output}
        cells = [(Spot(number(x), f"{what}-{i}"),) for what, x in found.items()]
        rows.append(((Spot(number(rate.rate)),), *cells, (Spot(rate.note, f"verdict-{i}"),)))
    output = node_of(w, step.node).name
    return Table(("lr", "predicted fall", "actual fall", f"new {output}", ""), tuple(rows))
