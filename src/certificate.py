"""Checks that cover every node of a backward pass, for `verify`, at a cost linear in its size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from .codegen.compiled import compile as compile_function
from .codegen.target import targets
from .errors import MissingExtraError, SpellingError
from .graph.backward import reverse_sweep
from .graph.evaluation import node_values
from .graph.expr import Expr, Graph, live_nodes
from .graph.intervals import point_intervals
from .graph.ops import STOP_GRADIENT
from .graph.passes import extract, run
from .graph.proof.against_sympy import AGREE
from .graph.proof.claim import Claim
from .graph.proof.fingerprint import chain_rule_residues, fingerprints
from .graph.proof.precise import partial, precise_values
from .graph.rolling.canonical import fingerprints as canonical_forms
from .graph.stable import stable_form

DIGITS: Final = 50
ROUNDS: Final = 2
"""How many fingerprints are compared; each may be wrong with a probability below 1e-12."""
ROUNDING: Final = 16
"""How many times the rounding that the graph can have a target may be from the interpreter: it may
add up in another order."""
FLOOR: Final = 64
"""How many units in the last place of the largest number it may be from it in any case."""
MAX_TARGET_NODES: Final = 5_000
"""Past so many nodes only the target that was asked for is compiled."""

Outcome = tuple[str, str, str, bool, float | None, str]
"""The fields of a check: name, of what, by which means, held, error, detail."""


def node_checks(claim: Claim, points: Sequence[Mapping[int, float]], seed: int) -> list[Outcome]:
    """What is checked about every node: the stable form, the adjoints, and the simplification."""
    graph = claim.graph
    source = stable_form(Expr(graph, claim.root)).id
    primal = live_nodes(graph, [source])
    adjoints = reverse_sweep(graph, source, set(claim.leaves))
    outcomes = []
    if source != claim.root:
        outcomes.append(_stable_check(claim, source, points))
    local = _local_check(claim, primal, adjoints, points[0], DIGITS)
    if not local[3]:  # cancellation may have used up the digits
        local = _local_check(claim, primal, adjoints, points[0], 8 * DIGITS)
    outcomes.append(local)
    outcomes.append(_fingerprint_check(claim, source, primal, seed))
    outcomes.append(_simplification_check(claim, points, seed))
    return outcomes


def _stable_check(claim: Claim, source: int, points: Sequence[Mapping[int, float]]) -> Outcome:
    from mpmath import mp

    worst = 0.0
    for point in points:
        live = live_nodes(claim.graph, [claim.root, source])
        values = precise_values(claim.graph, live, point, DIGITS)
        with mp.workdps(DIGITS):
            apart = abs(values[claim.root] - values[source])
            worst = max(worst, float(apart / max(abs(values[claim.root]), mp.mpf("1e-300"))))
    held = worst <= AGREE
    what = f"{len(live_nodes(claim.graph, [source]))} nodes"
    return ("stable form", what, f"its input, {DIGITS} digits", held, worst, "")


def _local_check(
    claim: Claim,
    primal: Sequence[int],
    adjoints: Mapping[int, int],
    point: Mapping[int, float],
    digits: int,
) -> Outcome:
    """Each adjoint is the sum over its consumers of upstream × sympy's derivative of it.

    At one point, to 50 digits.
    """
    from mpmath import mp

    graph = claim.graph
    needed = live_nodes(graph, [*primal, *adjoints.values()])
    values = precise_values(graph, needed, point, digits)
    sums: dict[int, tuple[Any, Any]] = {}
    worst, wrong, compared = 0.0, "", 0
    with mp.workdps(digits):
        for node in reversed(primal):
            if node not in adjoints:
                continue
            adjoint = values[adjoints[node]]
            if node in sums:
                total, size = sums.pop(node)
                if mp.isfinite(total) and mp.isfinite(adjoint):
                    compared += 1
                    apart = float(abs(adjoint - total) / size) if size else float(abs(adjoint))
                    if apart > worst:
                        worst, wrong = apart, f"the adjoint of node {node} ({graph.ops[node].name})"
            if graph.ops[node] is STOP_GRADIENT or not graph.operands[node]:
                continue
            arguments = [values[operand] for operand in graph.operands[node]]
            arguments += [mp.mpf(static) for static in graph.statics.get(node, ())]
            for position, operand in enumerate(graph.operands[node]):
                if operand in adjoints and graph.ops[node].vjp[position] is not None:
                    share = (
                        adjoint * _slope(graph, node, position, arguments) if adjoint else mp.zero
                    )
                    total, size = sums.get(operand, (mp.zero, mp.zero))
                    sums[operand] = (total + share, size + abs(share))
    same = _same_nodes(graph, adjoints, claim)
    held = worst <= AGREE and (compared > 0 or len(adjoints) <= 1) and same
    detail = "" if held else (wrong or "the gradient is not what the sweep gives")
    method = f"sum over consumers, sympy's derivatives, {digits} digits"
    return ("adjoint", f"{compared} nodes, one by one", method, held, worst, detail)


def _slope(graph: Graph, node: int, position: int, arguments: Sequence[Any]) -> Any:
    from mpmath import mp

    try:
        slope = mp.mpmathify(partial(graph.ops[node], position)(*arguments))
    except (ArithmeticError, ValueError, TypeError):
        return mp.nan
    return slope if isinstance(slope, mp.mpf) else mp.nan


def _same_nodes(graph: Graph, adjoints: Mapping[int, int], claim: Claim) -> bool:
    """Whether the claimed derivatives are built as those the sweep made, up to order of terms."""
    pairs = [
        (adjoints[leaf], claimed)
        for leaf, claimed in zip(claim.leaves, claim.gradient, strict=True)
        if leaf in adjoints
    ]
    form = canonical_forms(graph, [node for pair in pairs for node in pair])
    return all(form[a] == form[b] for a, b in pairs)


def _fingerprint_check(claim: Claim, source: int, primal: Sequence[int], seed: int) -> Outcome:
    """The claimed derivatives are, modulo a prime, what the chain rule gives."""
    graph = claim.graph
    wrong: list[str] = []
    for number in range(ROUNDS):
        key = f"{seed}/{number}"
        values = fingerprints(graph, live_nodes(graph, [source, *claim.gradient]), key)
        expected = chain_rule_residues(graph, primal, source, values, key)
        wrong += [
            name
            for name, leaf, claimed in zip(claim.names, claim.leaves, claim.gradient, strict=True)
            if values[claimed] != expected.get(leaf, 0)
        ]
    what = f"{len(claim.gradient)} derivatives"
    method = f"exact, modulo 2**61 - 1, {ROUNDS} times"
    return ("fingerprint", what, method, not wrong, None, ", ".join(dict.fromkeys(wrong[:5])))


def _simplification_check(
    claim: Claim, points: Sequence[Mapping[int, float]], seed: int
) -> Outcome:
    """Each step of the pipeline gives the floats, or the fingerprint, that its input gives."""
    graph = claim.graph
    before = extract([graph[claim.root], *(graph[node] for node in claim.gradient)])
    after = run(before)
    names = ", ".join(record.name for record in after.passes)
    given = [_by_name(graph, point) for point in points]
    wrong = ""
    for values in given:
        old, new = (_outputs(g, values) for g in (before, after))
        pairs = enumerate(zip(old, new, strict=True))
        wrong = wrong or next((f"output {i}: {a} -> {b}" for i, (a, b) in pairs if a != b), "")
    exact = not wrong and _prints(before, f"{seed}") == _prints(after, f"{seed}")
    method = "same floats" + (", and exact modulo 2**61 - 1" if exact else "")
    what = f"{names}: {len(before)} nodes -> {len(after)}"
    return ("simplification", what, method, not wrong, None, wrong)


def _prints(graph: Graph, key: str) -> list[int]:
    found = fingerprints(graph, live_nodes(graph, graph.outputs), key)
    return [found[node] for node in graph.outputs]


def _by_name(graph: Graph, point: Mapping[int, float]) -> dict[str, float]:
    return {graph.labels[node]: number for node, number in point.items()}


def _outputs(graph: Graph, values: Mapping[str, float]) -> list[float]:
    given = {graph.leaves[name]: number for name, number in values.items() if name in graph.leaves}
    found = node_values(graph, live_nodes(graph, graph.outputs), given)
    return [found[node] for node in graph.outputs]


def target_checks(claim: Claim, points: Sequence[Mapping[int, float]], skip: str) -> list[Outcome]:
    """The other targets that Python can call, against the interpreter, in ulps."""
    if len(claim.live) > MAX_TARGET_NODES:
        return []
    names, worst, wrong = [], 0.0, ""
    widths = [point_intervals(claim.graph, claim.live, point) for point in points]
    for name in targets():
        if name in (skip, "javascript"):
            continue
        try:
            function = _compiled(claim, name)
        except (MissingExtraError, SpellingError):
            continue  # nobody asked for this target in particular
        names.append(name)
        for point, intervals in zip(points, widths, strict=True):
            values = claim.values(point, claim.live)
            nodes = [claim.root, *claim.gradient]
            scale = max(math.ulp(values[node]) for node in nodes)
            for node, found in zip(nodes, function(point), strict=True):
                apart, interval = abs(found - values[node]), intervals[node]
                worst = max(worst, apart / scale)
                if not apart <= max(ROUNDING * (interval.high - interval.low), FLOOR * scale):
                    wrong = wrong or f"{name}: node {node} is {found!r}, not {values[node]!r}"
    if not names:
        return []
    method = f"{', '.join(names)} against the reference, {worst:.0f} ulps"
    return [("compiled", "output and gradient", method, not wrong, worst * 2**-52, wrong)]


def _compiled(claim: Claim, target: str) -> Callable[[Mapping[int, float]], list[float]]:
    graph = claim.graph
    leaves = [
        node for node in claim.live if graph.is_leaf(node) and graph.ops[node].name != "constant"
    ]
    group = "leaves"
    while group in graph.leaves:
        group += "_"
    outputs = [graph[claim.root], *(graph[node] for node in claim.gradient)]
    function = compile_function({group: [graph[n] for n in leaves]}, outputs, target=target)

    def call(point: Mapping[int, float]) -> list[float]:
        import numpy

        with numpy.errstate(all="ignore"):
            return [float(n) for n in function([claim.number(point, leaf) for leaf in leaves])]

    return call


def conventions(claim: Claim) -> list[str]:
    """What is taken as the derivative where there is none, for the operations used."""
    used = {claim.graph.ops[node] for node in claim.differentiated}
    return sorted(f"{op.name}: {op.kink}" for op in used if op.kink)
