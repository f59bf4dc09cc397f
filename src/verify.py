"""Whether a gradient is right: proofs, many digits, finite differences and the compiled function.

Four kinds of check, each by a judge that shares nothing with what it judges: sympy proves each
derivative rule and, where it can, the whole derivative; where it cannot, its own derivative is
evaluated to 50 digits; central differences of the reference evaluator know nothing of calculus; and
the compiled function is compared with that evaluator.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from typing import Any

from .certificate import conventions, node_checks, target_checks
from .errors import WengertError
from .graph.expr import Expr
from .graph.formula import text
from .graph.operation import Op
from .graph.proof.against_sympy import AGREE, judge_by_sympy
from .graph.proof.claim import MAX_DRAWS, Claim, claim_of, random_points, relative
from .graph.proof.differences import difference
from .graph.symbolic import CONVENTIONS, prove_rule
from .storage import PathLike, write_document

_TERMS = 200
"""How many terms of the output's formula a certificate shows."""

AGREE_COMPILED = 1e-9
"""How far, relative to the largest derivative, a compiled function may be from the reference."""


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    name    the kind of check: "rule", "derivative", "finite differences", "compiled"
    what    what was judged
    method  by which means
    held    whether it agreed
    error   the worst relative error found, None where the answer is a proof
    detail  where and how it failed, or what it covers
    """

    name: str
    what: str
    method: str
    held: bool
    error: float | None = None
    detail: str = ""


@dataclass(frozen=True, repr=False)
class Verification:
    """What `verify` found: its checks, truthy when every one of them held; prints as a table."""

    output: str
    checks: tuple[Check, ...]
    seed: int
    points: int
    conventions: tuple[str, ...] = ()
    domain: tuple[tuple[str, float, float], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.checks) and all(check.held for check in self.checks)

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    def __len__(self) -> int:
        return len(self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that did not hold."""
        return tuple(check for check in self.checks if not check.held)

    def data(self) -> dict[str, Any]:
        """The certificate as plain data: what was proved, how, and over what domain.

        `domain` has the numbers each leaf took; `conventions` what is taken at kinks.
        """
        return {
            "output": self.output,
            "held": bool(self),
            "checks": [
                {
                    "check": check.name,
                    "of": check.what,
                    "by": check.method,
                    "held": check.held,
                    "error": check.error if check.error is None or isfinite(check.error) else None,
                    "detail": check.detail,
                }
                for check in self.checks
            ],
            "seed": self.seed,
            "points": self.points,
            "domain": {name: [low, high] for name, low, high in self.domain},
            "conventions": list(self.conventions),
            "wengert": _version(),
        }

    def save(self, path: PathLike) -> Path:
        """Write the certificate as JSON; answer its path."""
        write_document(path, "wengert.certificate", 1, self.data(), "certificate")
        return Path(path)

    def __repr__(self) -> str:
        verdict = "held" if self else f"{len(self.failures)} FAILED"
        return f"<Verification: {len(self)} checks, {verdict}>"

    def __str__(self) -> str:
        rows = [("check", "of", "by", "error", "")]
        for c in self.checks:
            error = "" if c.error is None else f"{c.error:.1e}"
            rows.append((c.name, c.what, c.method, error, "ok" if c.held else "FAILED"))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        lines.insert(1, "  ".join("-" * width for width in widths).rstrip())
        lines += [
            f"FAILED: {check.name} of {check.what}: {check.detail}" for check in self.failures
        ]
        held = sum(check.held for check in self.checks)
        points = f"{self.points} point{'s' * (self.points != 1)} (seed {self.seed})"
        return "\n".join([*lines, f"{held} of {len(self)} checks held, at {points}."])


def verify(
    output: Any,
    wrt: Any,
    *,
    at: Mapping[Any, float] | None = None,
    seed: int = 0,
    seconds: float = 5.0,
    target: str = "python",
) -> Verification:
    """Check d output / d leaf for each leaf of `wrt`: derivation, numbers and compiled code.

    The derivative rule of every operation used is proved with sympy. The whole derivative is proved
    equal to sympy's where that takes a moment, and else compared with it to 50 digits; then with
    central differences; and the compiled function with the reference evaluator. This takes place at
    three points drawn from `seed` (positive ones, and ones near the values that leaves carry, are
    among those tried until all is finite); `at` fixes leaves at numbers of your choice. `seconds`,
    of processor time, bounds the symbolic part, and the differences; the method column says what
    was done. The graph of `output` is left as it is.

    Errors in what is asked for are those of `grad`; everything else is a check that did not hold.

    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); x = g.input("x")
    >>> verification = verify((x * x).tanh(), x)
    >>> verification, bool(verification)
    (<Verification: 9 checks, held>, True)
    """
    claim, fixed = claim_of(output, wrt, at or {})
    points = random_points(claim, fixed, random.Random(seed))
    checks = _rule_checks(claim)
    if points:
        checks += [Check(*outcome) for outcome in node_checks(claim, points, seed)]
        checks += _derivative_checks(claim, points, seconds)
        checks.append(_difference_check(claim, points, seed, seconds))
        checks.append(_compiled_check(claim, points, target))
        checks += [Check(*outcome) for outcome in target_checks(claim, points, target)]
    else:
        detail = (
            f"no point found in {MAX_DRAWS} draws (seed {seed}) where the output and its "
            "derivatives are finite; name one with at={leaf: number}"
        )
        checks.append(Check("point", _listed(claim.names), "random draws", False, None, detail))
    return Verification(
        text(Expr(claim.graph, claim.root), _TERMS),
        tuple(checks),
        seed,
        len(points),
        tuple(conventions(claim)),
        tuple(_domain(claim, points)),
    )


def _rule_checks(claim: Claim) -> list[Check]:
    """One check per operation differentiated and per set of static arguments."""
    graph = claim.graph
    used: dict[tuple[Op, tuple[Any, ...]], None] = {}
    for node in claim.differentiated:
        if not graph.is_leaf(node):
            used[graph.ops[node], graph.statics.get(node, ())] = None
    checks = []
    for op, statics in used:
        fixed = ", ".join(
            f"{name}={value}" for name, value in zip(op.statics, statics, strict=True)
        )
        what = op.name + (f" ({fixed})" if fixed else "")
        if op.name in CONVENTIONS:
            checks.append(Check("rule", what, "convention", True, None, op.sentence))
            continue
        try:
            proof = prove_rule(op, statics or None)
        except WengertError as error:
            checks.append(Check("rule", what, "sympy, symbolic", False, None, str(error)))
            continue
        wrong = [
            f"operand {step.operand}, {step.region}: rule - derivative = {step.difference}"
            for step in proof.steps
            if not step.proved
        ]
        checks.append(Check("rule", what, "sympy, symbolic", not wrong, None, "; ".join(wrong)))
    return checks


def _derivative_checks(
    claim: Claim, points: Sequence[Mapping[int, float]], seconds: float
) -> list[Check]:
    """Each derivative against sympy's own: proved if that is quick, else to 50 digits."""
    judgement = judge_by_sympy(claim, points, seconds)
    checks, names, errors = [], claim.names, judgement.errors
    if judgement.proved:
        proved = [names[i] for i in sorted(judgement.proved)]
        checks.append(Check("derivative", _listed(proved), "sympy, symbolic", True))
    rest = [i for i in range(len(names)) if i not in judgement.proved]
    if rest:
        far = max(rest, key=lambda i: errors[i])
        held = errors[far] <= AGREE
        detail = "" if held else f"{names[far]} is off by {errors[far]:.3g} relative"
        if not held and any(claim.on_kink(claim.values(p, claim.primal)) for p in points):
            detail += ", at a point on a kink, where the derivative is a matter of convention"
        what = _listed([names[i] for i in rest])
        checks.append(Check("derivative", what, judgement.method, held, errors[far], detail))
    return checks


def _difference_check(
    claim: Claim, points: Sequence[Mapping[int, float]], seed: int, seconds: float
) -> Check:
    """Central differences along random directions, then leaf by leaf while there is time."""
    until = time.thread_time() + seconds
    rng = random.Random(seed)
    names = claim.names
    order = rng.sample(range(len(names)), len(names))
    tasks = [(point, {i: rng.choice((-1.0, 1.0)) for i in order}) for point in points]
    tasks += [(point, {i: 1.0}) for i in order for point in points]
    worst, detail, held, compared, alone = 0.0, "", True, 0, set()
    for done, (point, direction) in enumerate(tasks):
        if done > len(points) and time.thread_time() > until:
            break
        outcome = difference(claim, point, direction)
        if outcome is None:
            continue
        compared += 1
        alone |= set(direction) if len(direction) == 1 else set()
        if not outcome.agrees and (held or outcome.error > worst):
            which = " ± ".join([names[i] for i in direction][:3]) + " ± …" * (len(direction) > 3)
            held = False
            detail = f"{which} is {outcome.claimed!r}, its difference {outcome.quotient!r}"
        worst = max(worst, outcome.error)
    if not compared:
        held, detail = False, "each step crosses a kink or is lost in rounding: nothing compared"
    what = _listed(names) + f", {len(alone)} one by one" * (len(alone) < len(names))
    covers = f"{len(alone)} of {len(names)} leaves one by one, and all along random directions"
    return Check(
        "finite differences", what, "central, of the reference", held, worst, detail or covers
    )


def _compiled_check(claim: Claim, points: Sequence[Mapping[int, float]], target: str) -> Check:
    """The compiled output and gradient against the reference evaluator."""
    from .codegen.compiled import compile as compile_function

    graph = claim.graph
    leaves = [
        Expr(graph, node)
        for node in claim.live
        if graph.is_leaf(node) and graph.ops[node].name != "constant"
    ]
    group = "leaves"
    while group in graph.leaves:
        group += "_"
    what = f"output and {_listed(claim.names)}"
    method = f"{target} against the reference"
    gradient = [Expr(graph, node) for node in claim.gradient]
    try:
        function = compile_function(
            {group: leaves},
            {"output": Expr(graph, claim.root), "gradient": gradient},
            target=target,
        )
    except WengertError as error:
        return Check("compiled", what, method, False, None, f"{type(error).__name__}: {error}")
    worst, detail = 0.0, ""
    for point in points:
        result = function([claim.number(point, leaf.id) for leaf in leaves])
        values = claim.values(point, claim.live)
        expected = [values[node] for node in claim.gradient]
        size = max(map(abs, expected))
        names = ["output", *claim.names]
        pairs = zip(
            names,
            [float(result["output"]), *map(float, result["gradient"])],
            [values[claim.root], *expected],
            [abs(values[claim.root]), *(size for _ in expected)],
            strict=True,
        )
        for name, found, wanted, scale in pairs:
            apart = relative(found - wanted, scale)
            if apart > worst:
                worst, detail = apart, f"{name} is {found!r}, the reference says {wanted!r}"
    held = worst <= AGREE_COMPILED
    return Check("compiled", what, method, held, worst, "" if held else detail)


def _listed(names: Collection[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} derivatives"


def _domain(
    claim: Claim, points: Sequence[Mapping[int, float]]
) -> Iterator[tuple[str, float, float]]:
    """The least and the greatest number that each leaf took."""
    graph = claim.graph
    for node in claim.primal:
        if graph.is_leaf(node) and node in graph.labels and points:
            numbers = [claim.number(point, node) for point in points]
            yield graph.labels[node], min(numbers), max(numbers)


def _version() -> str:
    """The installed version; "unknown" for a copy that was never installed."""
    try:
        return version("wengert")
    except PackageNotFoundError:
        return "unknown"
