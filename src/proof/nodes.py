"""Checks that cover every node of a backward pass, at a cost linear in its size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final

from ..arrays.canonical import fingerprints as canonical_forms
from ..derive.backward import reverse_sweep
from ..graph.expr import Expr, Graph
from ..graph.store import live_nodes
from ..ops.scalar import STOP_GRADIENT
from ..simplify.stable import stable_form
from .adjoints import prove_shares
from .check import SMOOTH, Check, points_text
from .claim import Claim
from .precise import partial, precise_values
from .residues import chain_rule_residues, fingerprints, rounds
from .symbolic import AGREE, DIGITS

EXACT: Final = "exact mod 2**61-1"
"""What arithmetic modulo the prime of fingerprints is called."""

IDENTITY: Final = "all reals but poles (chance 1e-12)"
"""The domain of an identity of rational functions that fingerprints show."""


def node_checks(
    claim: Claim,
    points: Sequence[Mapping[int, float]],
    seed: int,
    precise: Sequence[Mapping[int, Any]] = (),
) -> Iterator[list[Check]]:
    """What is checked about every node: the stable form, the adjoints, and how they add up.

    `precise` are the values at the points to 50 digits, where they are known.
    """
    graph = claim.graph
    source = stable_form(Expr(graph, claim.root)).id
    primal = live_nodes(graph, [source])
    adjoints = reverse_sweep(graph, source, set(claim.leaves))
    if source != claim.root:
        yield [_stable_check(claim, source, points, precise)]
    yield _shares_checks(claim, primal, adjoints)
    known = precise[0] if precise else {}
    local = _local_check(claim, primal, adjoints, points[0], DIGITS, known)
    if not local.held:  # cancellation may have used up the digits
        local = _local_check(claim, primal, adjoints, points[0], 8 * DIGITS, {})
    yield [local]
    yield [_fingerprint_check(claim, source, primal, seed)]


def _stable_check(
    claim: Claim,
    source: int,
    points: Sequence[Mapping[int, float]],
    precise: Sequence[Mapping[int, Any]],
) -> Check:
    from mpmath import mp

    worst = 0.0
    live = live_nodes(claim.graph, [claim.root, source])
    for point, known in zip_longest(points, precise):
        values = precise_values(claim.graph, live, point, DIGITS, known)
        with mp.workdps(DIGITS):
            apart = abs(values[claim.root] - values[source])
            worst = max(worst, float(apart / max(abs(values[claim.root]), mp.mpf("1e-300"))))
    what = f"{len(live_nodes(claim.graph, [source])):,} nodes"
    over, method = points_text(len(points)), f"its input, {DIGITS} digits"
    return Check("stable form", what, method, worst <= AGREE, worst, "", over)


def _shares_checks(claim: Claim, primal: Sequence[int], adjoints: Mapping[int, int]) -> list[Check]:
    """The nodes whose adjoint sympy proves to be what their consumers pass back."""
    proof = prove_shares(claim.graph, primal, adjoints)
    if not proof.proved or not _same_nodes(claim.graph, adjoints, claim):
        return []
    what = f"{proof.proved:,} of {proof.nodes:,} nodes"
    detail = f"{proof.shapes:,} different proof{'s' * (proof.shapes != 1)}"
    if proof.guarded:
        detail += f"; {proof.guarded:,} nodes pass through a guard of where"
    method = "sum over its consumers: sympy, symbolic"
    return [Check("adjoint", what, method, True, None, detail, SMOOTH)]


def _local_check(
    claim: Claim,
    primal: Sequence[int],
    adjoints: Mapping[int, int],
    point: Mapping[int, float],
    digits: int,
    known: Mapping[int, Any],
) -> Check:
    """Each adjoint is the sum over its consumers of upstream × sympy's derivative of it.

    At one point, to so many digits.
    """
    from mpmath import mp

    graph = claim.graph
    needed = live_nodes(graph, [*primal, *adjoints.values()])
    values = precise_values(graph, needed, point, digits, known)
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
    method = f"sum over its consumers: sympy, {digits} digits"
    return Check("adjoint", f"{compared:,} nodes", method, held, worst, detail, points_text(1))


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


def _fingerprint_check(claim: Claim, source: int, primal: Sequence[int], seed: int) -> Check:
    """The claimed derivatives are, modulo a prime, what the chain rule gives."""
    graph = claim.graph
    wrong: list[str] = []
    live = live_nodes(graph, [source, *claim.gradient])
    times = rounds(graph, live)
    for number in range(times):
        key = f"{seed}/{number}"
        values = fingerprints(graph, live, key)
        expected = chain_rule_residues(graph, primal, source, values, key)
        wrong += [
            name
            for name, leaf, claimed in zip(claim.names, claim.leaves, claim.gradient, strict=True)
            if values[claimed] != expected.get(leaf, 0)
        ]
    count = len(claim.gradient)
    what = f"{count:,} derivative{'s' * (count != 1)}"
    method = f"chain rule, {EXACT}, {times} times"
    detail = ", ".join(dict.fromkeys(wrong[:5]))
    return Check("fingerprint", what, method, not wrong, None, detail, IDENTITY)
