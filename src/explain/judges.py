"""Step 5: each derivative by four ways that share nothing but the expression.

sympy is asked through the judges of `verify`; what bounds it is sizes and no clock, so that a
walk-through is the same text on every machine.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..codegen.compiled import Compiled, compile
from ..derive.backward import grad
from ..errors import WengertError
from ..graph.expr import Graph
from ..graph.formula import name_latex
from ..graph.store import live_nodes
from ..notation.sympy import as_number, derivative_of, is_zero, regions, sympy_nodes
from ..ops.scalar import CONSTANT, STOP_GRADIENT
from ..proof.claim import Claim
from ..proof.precise import precise_values
from ..proof.symbolic import MAX_SYMPY_DEPTH, precise_derivatives, written_out
from .data import Agreement, Formula, Judgement
from .derivation import Derivation
from .quotients import Quotient, quotient
from .steps import adjoint_formula, node_id
from .words import finite, listed, shown

MAX_PROOF, MAX_FORMULA, MAX_WORK = 70, 160, 4_000
"""Nodes of a formula written out that sympy is asked to prove; characters of a formula of sympy's
that are shown; nodes written out, for each leaf, that sympy is asked to differentiate."""

_DRAWS: Final = 50
_TOLD: Final = 20
"""After how many derivatives it is said again how many are left."""

GRAPH, SYMPY = "the backward pass", "sympy"
CODE, QUOTIENT = "the compiled function", "the difference quotient"


def claim_of(d: Derivation) -> Claim:
    """What is judged, as a claim for the judges of `verify`: with nothing collapsed."""
    graph = d.plain
    (root,) = graph.outputs
    leaves = [graph.leaves[d.names[leaf]] for leaf in d.wrt]
    gradient = [slope.id for slope in grad(graph[root], [graph[leaf] for leaf in leaves])]
    primal = live_nodes(graph, [root])
    live = live_nodes(graph, [root, *gradient])
    return Claim(graph, root, tuple(leaves), tuple(gradient), tuple(primal), tuple(live))


def compiled_function(d: Derivation) -> Compiled:
    """The function of the leaves that the compiler makes: {"value": …, "gradient": […]}."""
    claim = claim_of(d)
    graph = claim.graph
    leaves = {d.names[node]: graph[graph.leaves[d.names[node]]] for node in d.leaves}
    gradient = [graph[node] for node in claim.gradient]
    return compile(leaves, {"value": graph[claim.root], "gradient": gradient})


def agreement(
    d: Derivation, compiled: Compiled, tell: Callable[[str], None] = lambda what: None
) -> Agreement:
    """Step 5; `tell` is told what is done next."""
    tell("asking sympy")
    point = point_of(d)
    values = d.at(point)
    names = {d.names[node]: point[node] for node in d.leaves}
    found = [values[d.adjoint[leaf]] for leaf in d.wrt]
    by_sympy = _sympy(d, names, found)
    by_code = compiled(*names.values())["gradient"]
    largest = max((abs(x) for x in found if math.isfinite(x)), default=0.0)
    rows = []
    judged = zip(d.wrt, found, by_sympy, by_code, strict=True)
    for i, (leaf, graph, sympy, code) in enumerate(judged):
        if i % _TOLD == 0:
            tell(f"taking differences, {i:,} of {len(d.wrt):,}")
        difference = quotient(d, leaf, values)
        ways = _ways(graph, sympy.number, difference, code)
        compared = len(ways) > 1
        wrong = _disagreeing(ways, difference, largest, code) if compared else []
        rows.append(
            Judgement(
                leaf=node_id(leaf),
                name=d.names[leaf],
                graph=graph,
                sympy=sympy.number,
                difference=difference.slope,
                compiled=code,
                graph_formula=adjoint_formula(d, leaf).formula,
                sympy_formula=sympy.formula,
                judgement=sympy.judgement,
                compared=compared,
                agrees=not wrong,
                note=_note(d, graph, ways, wrong, difference),
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
    if not any(row.compared for row in rows):
        return "Nothing here is finite, so there is nothing to compare."
    if any(row.note for row in rows):
        return "Those that are finite agree."
    return f"They agree{' on every leaf' if len(rows) > 1 else ''}."


def point_of(d: Derivation) -> dict[int, float]:
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


@dataclass(frozen=True)
class _Sympy:
    """What sympy says of a derivative: its number, its formula where short, and what was shown."""

    number: float | None
    formula: Formula | None
    judgement: str


def _sympy(d: Derivation, point: Mapping[str, float], found: Sequence[float]) -> list[_Sympy]:
    """sympy's derivatives, of which it may also prove that they are those that were found."""
    claim = claim_of(d)
    given = {claim.graph.leaves[name]: number for name, number in point.items()}
    if not all(map(math.isfinite, given.values())):
        return [_Sympy(None, None, "not asked: a value is not finite")] * len(found)
    try:
        values = precise_values(claim.graph, claim.primal, given)
        if too_long(claim):
            numbers = map(float, precise_derivatives(claim, values, {}, None))
            return [_Sympy(x, None, "by the chain rule, to 50 digits") for x in numbers]
        return list(_differentiated(claim, values, found))
    except Exception as error:  # what sympy cannot do, it says by exceptions of every kind
        return [_Sympy(None, None, f"sympy gave up: {type(error).__name__}")] * len(found)


def derivatives(claim: Claim) -> tuple[dict[int, Any], list[Any]]:
    """Every node as a sympy formula, and sympy's derivatives of the output.

    What `stop_gradient` was applied to is a symbol.
    """
    known = sympy_nodes(claim.graph, claim.live, opaque=frozenset({STOP_GRADIENT.name}))
    root = as_number(known[claim.root])
    return known, [derivative_of(root, known[leaf]) for leaf in claim.leaves]


def _differentiated(claim: Claim, values: Any, found: Sequence[float]) -> Iterator[_Sympy]:
    known, slopes = derivatives(claim)
    short = slopes
    if not any(claim.graph.ops[node] is STOP_GRADIENT for node in claim.primal):
        nodes = sympy_nodes(claim.graph, claim.live, exact=False)
        root = as_number(nodes[claim.root])
        short = [derivative_of(root, nodes[leaf]) for leaf in claim.leaves]
    sizes = written_out(claim).tree
    numbers = map(float, precise_derivatives(claim, values, known, slopes))
    for i, number in enumerate(numbers):
        # A proof is only tried where the numbers agree: refuting takes sympy very long.
        near = math.isclose(number, found[i], rel_tol=1e-9, abs_tol=1e-12)
        small = sizes[claim.gradient[i]] + sizes[claim.root] <= MAX_PROOF
        proved = near and small and _proved(known[claim.gradient[i]], slopes[i])
        judgement = "proved equal" if proved else "evaluated to 50 digits"
        yield _Sympy(number, _written(short[i], claim.graph), judgement)


def _written(slope: Any, graph: Graph) -> Formula | None:
    import sympy

    text = str(slope)
    names = {symbol: name_latex(str(symbol), graph.leaves) for symbol in slope.free_symbols}
    written = sympy.latex(slope, symbol_names=names)
    return Formula(text, written) if len(text) <= MAX_FORMULA else None


def _proved(found: Any, expected: Any) -> bool:
    if found == expected:
        return True
    try:
        return all(is_zero(rest) for _, rest in regions(found - expected))
    except WengertError:
        return False


def too_long(claim: Claim) -> bool:
    """Whether sympy would take long over the whole derivatives; by the chain rule it does not."""
    sizes = written_out(claim)
    work = sizes.tree[claim.root] * len(claim.leaves)
    return work > MAX_WORK or max(sizes.depth.values()) > MAX_SYMPY_DEPTH


_Ways = dict[str, float]
"""A derivative by each way that has a finite number for it; the first is what others are held to.
"""


def _ways(graph: float, by_sympy: float | None, quotient: Quotient, by_code: float) -> _Ways:
    ways = {GRAPH: graph, SYMPY: by_sympy, CODE: by_code, QUOTIENT: quotient.slope}
    return {way: x for way, x in ways.items() if x is not None and math.isfinite(x)}


def _disagreeing(ways: _Ways, quotient: Quotient, largest: float, by_code: float) -> list[str]:
    """Which ways give another number than the first."""
    (_, right), *others = ways.items()
    scale = max(abs(right), largest)
    room = {
        SYMPY: 1e-9 * scale,
        CODE: (1e-12 if GRAPH in ways else 1e-9) * scale,
        QUOTIENT: 1e-6 * max(scale, 1e-3) + quotient.slack,
    }
    wrong = [way for way, number in others if not abs(number - right) <= room[way]]
    # What is compiled is what is used: it has no excuse for not being finite.
    return wrong + [CODE] * (GRAPH in ways and not math.isfinite(by_code))


def _note(
    d: Derivation, graph: float, ways: _Ways, wrong: Sequence[str], quotient: Quotient
) -> str:
    if len(ways) < 2:
        only = f"{listed(ways)} alone has a number" if ways else "not finite"
        return f"{only}, so there is nothing to compare"
    if not wrong:
        return "" if GRAPH in ways else f"rule by rule it is {shown(graph)}, the others agree"
    note = f"{listed(wrong)} say{'s' * (len(wrong) == 1)} otherwise"
    convention = conventions(d)
    if convention and quotient.kink and CODE not in wrong:
        note += f"; at a kink there is no derivative, only a convention ({convention})"
    return note


def conventions(d: Derivation) -> str:
    """What is taken at the kinks of the operations of an expression; "" where there are none."""
    ops = {d.graph.ops[node] for node in d.live} - {CONSTANT}
    return "; ".join(sorted(f"{op.name}: {op.kink}" for op in ops if op.kink))
