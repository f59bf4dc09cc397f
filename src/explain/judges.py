"""Step 5: each derivative by four ways that share nothing but the expression."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..codegen.compiled import Compiled, compile
from ..derive.backward import grad
from ..errors import WengertError
from ..graph.expr import Graph, live_nodes
from ..graph.formula import name_latex
from ..notation.sympy import as_number, is_zero, regions, sympy_nodes
from ..ops.scalar import CONSTANT, STOP_GRADIENT
from ..proof.precise import chain_rule, precise_sympy, precise_values
from .data import Agreement, Formula, Judgement
from .derivation import Derivation
from .steps import adjoint_formula, node_id
from .words import finite, listed, shown

MAX_PROOF, MAX_FORMULA, MAX_TREE = 70, 160, 4_000
"""Nodes of a formula written out that sympy is asked to prove; characters of a formula of sympy's
that are shown; nodes written out that sympy is asked to differentiate."""

MAX_QUOTIENT: Final = 1e6
"""Past this size of a leaf a difference quotient is shown but judges nothing: its step is long."""

STEP: Final = 6e-6
"""The step of a central difference: about the cube root of the spacing of floats is the best."""

_DRAWS: Final = 50


def compiled_function(d: Derivation) -> Compiled:
    """The function of the leaves that the compiler makes: {"value": …, "gradient": […]}."""
    graph = d.plain
    leaves = {d.names[node]: graph[graph.leaves[d.names[node]]] for node in d.leaves}
    output = graph[graph.outputs[0]]
    gradient = grad(output, [leaves[d.names[node]] for node in d.wrt])
    return compile(leaves, {"value": output, "gradient": gradient})


def agreement(d: Derivation, compiled: Compiled) -> Agreement:
    """Step 5."""
    point = _point(d)
    values = d.at(point)
    names = {d.names[node]: point[node] for node in d.leaves}
    found = [values[d.adjoint[leaf]] for leaf in d.wrt]
    by_sympy, formulas, judged = _sympy(d, names, found)
    differences = [_difference(d, leaf, point) for leaf in d.wrt]
    by_code = compiled(*names.values())["gradient"]
    largest = max((abs(x) for x in found if math.isfinite(x)), default=0.0)
    rows = []
    for i, leaf in enumerate(d.wrt):
        quotient = differences[i]
        comparable = finite(found[i], values[d.root])
        wrong = (
            []
            if not comparable
            else _disagreeing(found[i], by_sympy[i], quotient, by_code[i], largest)
        )
        rows.append(
            Judgement(
                leaf=node_id(leaf),
                graph=found[i],
                sympy=by_sympy[i],
                difference=quotient.slope,
                compiled=by_code[i],
                graph_formula=adjoint_formula(d, leaf).formula,
                sympy_formula=formulas[i],
                judgement=judged[i],
                agrees=not wrong,
                note=_note(d, wrong, quotient)
                if comparable
                else "not finite, so there is nothing to compare",
            )
        )
    return Agreement(
        id="agreement",
        part=5,
        kind="agreement",
        title="Four ways to the same numbers",
        sentence=_words(d, names),
        node=node_id(d.root),
        finite=finite(*found),
        rows=tuple(rows),
        point=names,
        conclusion=_conclusion(d, rows),
    )


def _words(d: Derivation, point: Mapping[str, float]) -> str:
    sentence = (
        "The backward pass above, sympy's own differentiation, a difference quotient "
        "(f(x + h) - f(x - h))/2h that knows no calculus, and the compiled function."
    )
    if not d.symbolic:
        return sentence
    where = ", ".join(f"{name} = {shown(x)}" for name, x in list(point.items())[:8])
    more = ", …" if len(point) > 8 else ""
    return (
        f"{sentence} No values were given, so they are compared at a random point: {where}{more}."
    )


def _conclusion(d: Derivation, rows: Sequence[Judgement]) -> str:
    odd = [d.names[int(row.leaf[1:])] for row in rows if not row.agrees]
    if odd:
        return f"They disagree about {listed(odd)}."
    if all(row.note for row in rows):
        return "Nothing here is finite, so there is nothing to compare."
    return f"They agree{' on every leaf' if len(rows) > 1 else ''}."


def _point(d: Derivation) -> dict[int, float]:
    """The leaves' values; without any, random ones at which everything is finite."""
    if not d.symbolic:
        return {node: d.values[node] for node in d.leaves}
    rng = random.Random(0)
    point: dict[int, float] = {}
    for draw in range(_DRAWS):
        low = -2.0 if draw % 2 else 0.1
        point = {node: round(rng.uniform(low, 2.0), 2) for node in d.leaves}
        values = d.at(point)
        if all(math.isfinite(values[node]) for node in (d.root, *d.adjoint.values())):
            break
    return point


def _sympy(
    d: Derivation, point: Mapping[str, float], found: Sequence[float]
) -> tuple[list[float | None], list[Formula | None], list[str]]:
    """sympy's derivatives: their numbers, their formulas where short, and what was shown."""
    count = len(d.wrt)
    nothing: list[Formula | None] = [None] * count
    graph = d.plain
    root = graph.outputs[0]
    live = live_nodes(graph, [root])
    given = {graph.leaves[name]: number for name, number in point.items()}
    leaves = [graph.leaves[d.names[leaf]] for leaf in d.wrt]
    if not all(map(math.isfinite, given.values())):
        return [None] * count, nothing, ["not asked: a value is not finite"] * count
    try:
        values = precise_values(graph, live, given)
        if written_out(graph, live)[root] > MAX_TREE:
            slopes = chain_rule(graph, live, root, values)
            numbers: list[float | None] = [float(slopes.get(leaf, 0)) for leaf in leaves]
            return numbers, nothing, ["by the chain rule, to 50 digits"] * count
        return _differentiated(d, live, root, leaves, values, found)
    except Exception as error:  # what sympy cannot do, it says by exceptions of every kind
        return [None] * count, nothing, [f"sympy gave up: {type(error).__name__}"] * count


def _differentiated(
    d: Derivation,
    live: Sequence[int],
    root: int,
    leaves: Sequence[int],
    values: Any,
    found: Sequence[float],
) -> tuple[list[float | None], list[Formula | None], list[str]]:
    import sympy

    graph = d.plain
    gradient = [
        graph.gradients.get((root, leaf)) for leaf in leaves
    ]  # `compiled_function` has made them
    nodes = [node for node in gradient if node is not None]
    every = live_nodes(graph, [root, *nodes])
    opaque = frozenset({STOP_GRADIENT.name})
    exact = sympy_nodes(graph, every, opaque=opaque)
    short = sympy_nodes(graph, every, exact=False)
    sizes = written_out(graph, every)
    at = {exact[node]: values[node] for node in live if exact[node].is_Symbol}
    slopes = [as_number(exact[root]).diff(exact[leaf]) for leaf in leaves]
    numbers: list[float | None] = [float(number) for number in precise_sympy(slopes, at)]
    formulas, judged = [], []
    for i, (leaf, node, slope) in enumerate(zip(leaves, gradient, slopes, strict=True)):
        shown_slope = (
            as_number(short[root]).diff(short[leaf])
            if opaque.isdisjoint(_names(graph, live))
            else slope
        )
        text = str(shown_slope)
        names = {symbol: name_latex(str(symbol)) for symbol in shown_slope.free_symbols}
        written = sympy.latex(shown_slope, symbol_names=names)
        formulas.append(Formula(text, written) if len(text) <= MAX_FORMULA else None)
        # A proof is only tried where the numbers agree: refuting takes sympy very long.
        near = math.isclose(numbers[i] or 0.0, found[i], rel_tol=1e-9, abs_tol=1e-12)
        small = node is not None and sizes[node] + sizes[root] <= MAX_PROOF
        proved = near and small and node is not None and _proved(exact[node], slope)
        judged.append("proved equal" if proved else "evaluated to 50 digits")
    return numbers, formulas, judged


def _names(graph: Graph, live: Sequence[int]) -> set[str]:
    return {graph.ops[node].name for node in live}


def _proved(found: Any, expected: Any) -> bool:
    if found == expected:
        return True
    try:
        return all(is_zero(rest) for _, rest in regions(found - expected))
    except WengertError:
        return False


def written_out(graph: Graph, live: Sequence[int]) -> dict[int, int]:
    """How many nodes the formula of each node has, written out as a tree."""
    sizes: dict[int, int] = {}
    for node in live:
        sizes[node] = 1 + sum(sizes[operand] for operand in graph.operands[node])
    return sizes


@dataclass(frozen=True)
class _Quotient:
    """A central difference, how far it may be off, and whether the slopes left and right differ."""

    slope: float
    slack: float
    kink: bool


def _difference(d: Derivation, leaf: int, point: Mapping[int, float]) -> _Quotient:
    x = point[leaf]
    h = STEP * max(1.0, abs(x))
    if not math.isfinite(h) or x + h == x:
        return _Quotient(math.nan, math.inf, False)
    steps = (-2 * h, -h, 0.0, h, 2 * h)
    # What stop_gradient was applied to counts as a constant, for this judge too.
    values = d.at(point)
    held = {n: values[n] for n in d.live if d.graph.ops[n] is STOP_GRADIENT}
    outer, below, here, above, other = (
        d.output_at({**point, **held, leaf: x + step}) for step in steps
    )
    width = (x + h) - (x - h)
    slope, wide = (above - below) / width, (other - outer) / (2 * width)
    rounding = 1e-15 * max(abs(above), abs(below)) / h
    left, right = (here - below) / h, (above - here) / h
    bend = abs(right - left)
    kink = bend > 1e-3 * max(abs(left), abs(right)) + 8 * rounding
    # What is left of the curvature shows in how much a step twice as long changes the quotient.
    if abs(x) > MAX_QUOTIENT:
        return _Quotient(slope, math.inf, False)
    return _Quotient(slope, abs(slope - wide) + 4 * rounding, kink)


def _disagreeing(
    found: float,
    by_sympy: float | None,
    quotient: _Quotient,
    by_code: float,
    largest: float,
) -> list[str]:
    """Which of the other ways give another number."""
    scale = max(abs(found), largest)
    slope = quotient.slope if math.isfinite(quotient.slope) else None
    judges = [
        ("sympy", by_sympy, 1e-9 * scale),
        ("the difference quotient", slope, 1e-6 * max(scale, 1e-3) + quotient.slack),
        ("the compiled function", by_code, 1e-12 * scale),
    ]
    return [
        name
        for name, number, room in judges
        if number is not None and not abs(number - found) <= room
    ]


def _note(d: Derivation, wrong: Sequence[str], quotient: _Quotient) -> str:
    if not wrong:
        return ""
    note = f"{listed(list(wrong))} say{'s' * (len(wrong) == 1)} otherwise"
    convention = conventions(d)
    if convention and quotient.kink and "the compiled function" not in wrong:
        note += f"; at a kink there is no derivative, only a convention ({convention})"
    return note


def conventions(d: Derivation) -> str:
    """What is taken at the kinks of the operations of an expression; "" where there are none."""
    ops = {d.graph.ops[node] for node in d.live} - {CONSTANT}
    return "; ".join(sorted(f"{op.name}: {op.kink}" for op in ops if op.kink))
