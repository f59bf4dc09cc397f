"""Whether a gradient is right: proofs, many digits, finite differences and the compiled functions.

Each check has a judge that shares nothing with what it judges. sympy proves each derivative rule,
each node of the backward pass from its consumers, and, where it can, the whole derivative; where it
cannot, its own derivative is evaluated to 50 digits. Arithmetic modulo a prime shows identities of
rational functions exactly. Central differences of the interpreter know nothing of calculus. Each
stage of the compiler is compared with the one before it, and each target with the interpreter.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from ..codegen.compiled import Compiled, paused_collection
from ..codegen.target import targets
from ..errors import OperandError, WengertError, shorten
from ..graph.expr import Expr
from ..graph.written import text
from ..notation.sympy import operand_symbols, prove_rule
from ..ops.record import Op
from ..proof.check import SMOOTH, Check, points_text
from ..proof.claim import MAX_DRAWS, Claim, claim_of, random_points
from ..proof.differences import difference
from ..proof.nodes import node_checks
from ..proof.precise import precise_values
from ..proof.symbolic import AGREE, DIGITS, LONG, judge_by_sympy
from ..terminal import shows_progress
from .certificate import MAX_LISTED, Sample, Verification
from .function import CALLS, derivations, formula, function_check
from .stages import step_checks, target_checks

__all__ = ["Check", "Sample", "Verification", "verify"]

_TERMS: Final = 200
"""How many terms of the output's formula a certificate shows."""

MAX_DERIVED: Final = 8
"""Of so many outputs of a function the derivatives are judged."""


@paused_collection()
def verify(
    output: Any,
    wrt: Any = None,
    *,
    at: Mapping[Any, float] | None = None,
    seed: int = 0,
    seconds: float = 5.0,
    target: str = "python",
    progress: bool | None = None,
) -> Verification:
    """Check d output / d leaf for each leaf of `wrt`: derivation, numbers and compiled code.

    The derivative rule of every operation used is proved with sympy; so is each node of the
    backward pass, from what its consumers pass back, at a cost linear in their number. The whole
    derivative is proved equal to sympy's where that takes a moment, and else compared with it to 50
    digits (past 5,000 nodes at the first point alone); then with central differences. Each
    simplification, and the roll into arrays, is compared with its input, and each target that can
    run here with the interpreter; `target` must be one that can. This takes place at three points
    drawn from `seed` (positive ones, and ones near the values that leaves carry, are among those
    tried until all is finite); `at` fixes leaves at numbers of your choice. `seconds`, of processor
    time, bounds the symbolic part, and the differences; the method column says what was done.
    `progress` shows a bar or does not; left out, it appears on a terminal for a large graph. The
    graph of `output` is left as it is.

    Of a function that `compile` made, `verify(f)` or `f.verify()`, that very function is called,
    with its batch, dtype, outputs and target, at three drawn calls or at the arguments in `at`, and
    compared with the interpreter, sample by sample; the derivatives among its outputs are judged as
    above. `wrt` and `target` are then the function's own.

    Errors in what is asked for are those of `grad`; everything else is a check that did not hold.

    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); x = g.input("x")
    >>> verification = verify((x * x).tanh(), x)
    >>> bool(verification)
    True
    """
    if isinstance(output, Compiled):
        return _verify_function(output, wrt, at, seed, seconds, progress)
    if wrt is None:
        raise OperandError(
            f"verify({shorten(output)}) is not told by which leaves to differentiate; write "
            "verify(output, leaves), or give it a function that compile made"
        )
    claim, fixed = claim_of(output, wrt, at or {})
    points = random_points(claim, fixed, random.Random(seed))
    not_run: list[str] = []
    checks: list[Check] = []
    with _Bar(progress, len(claim.live)) as bar:
        for stage, found in _stages(claim, points, seed, seconds, target, not_run):
            bar.show(stage)
            checks += found
    return Verification(
        text(Expr(claim.graph, claim.root), _TERMS),
        tuple(checks),
        seed,
        len(points),
        tuple(_conventions(claim)),
        tuple(_domain(claim, points)),
        tuple(_samples(claim, points)),
        tuple(not_run),
    )


def _verify_function(
    f: Compiled,
    wrt: Any,
    at: Mapping[Any, Any] | None,
    seed: int,
    seconds: float,
    progress: bool | None,
) -> Verification:
    """What was found of a compiled function, and of the derivatives among its outputs."""
    if wrt is not None:
        raise OperandError(
            "verify of a compiled function judges what that computes, and takes no leaves; write "
            "verify(f), or verify(output, leaves)"
        )
    checks = [function_check(f, at, seed)]
    parts: list[Verification] = []
    derived = derivations(f)
    for root, leaves in derived[:MAX_DERIVED]:
        share = seconds / min(len(derived), MAX_DERIVED)
        target = f.target if f.target in targets() else "python"
        parts.append(
            verify(root, leaves, seed=seed, seconds=share, target=target, progress=progress)
        )
    not_run = [reason for part in parts for reason in part.not_run]
    if len(derived) > MAX_DERIVED:
        not_run.append(f"derivatives of {len(derived) - MAX_DERIVED:,} more outputs")
    first = parts[0] if len(parts) == 1 else None
    return Verification(
        formula(f),
        (*checks, *(check for part in parts for check in part)),
        seed,
        max([part.points for part in parts], default=CALLS if at is None else 1),
        tuple(dict.fromkeys(text for part in parts for text in part.conventions)),
        first.domain if first else (),
        first.samples if first else (),
        tuple(dict.fromkeys(not_run)),
    )


Compiled.verify.opens_to(lambda f: partial(verify, f))


def _stages(
    claim: Claim,
    points: Sequence[Mapping[int, float]],
    seed: int,
    seconds: float,
    target: str,
    not_run: list[str],
) -> Iterator[tuple[str, list[Check]]]:
    """The checks, and before each lot of them what they are about."""
    yield "rules", []
    yield "rules", _rule_checks(claim)
    if not points:
        detail = (
            f"no point found in {MAX_DRAWS} draws (seed {seed}) where the output and its "
            "derivatives are finite; name one with at={leaf: number}"
        )
        yield (
            "points",
            [Check("point", _listed(claim.names), "random draws", False, None, detail)],
        )
        return
    yield "adjoints", []
    precise = [precise_values(claim.graph, claim.live, points[0], DIGITS)]
    for found in node_checks(claim, points, seed, precise):
        yield "adjoints", found
    yield "steps", []
    for found in step_checks(claim, points, seed):
        yield "steps", found
    yield "derivatives", []
    yield "derivatives", _derivative_checks(claim, points, seconds, precise)
    yield "differences", []
    yield "differences", [_difference_check(claim, points, seed, seconds)]
    yield "targets", []
    found, missing = target_checks(claim, points, target)
    not_run += missing
    yield "targets", found


class _Bar:
    """A progress bar over the kinds of check, or nothing at all."""

    _KINDS: Final = ("rules", "adjoints", "steps", "derivatives", "differences", "targets")

    def __init__(self, progress: bool | None, nodes: int) -> None:
        self._bar: Any = None
        if progress or (progress is None and nodes > LONG and shows_progress()):
            from tqdm.auto import tqdm

            form = "{desc}: {n_fmt} of {total_fmt} |{bar}| {elapsed}{postfix}"
            self._bar = tqdm(total=len(self._KINDS), desc="verify", bar_format=form)

    def __enter__(self) -> _Bar:
        return self

    def show(self, stage: str) -> None:
        """This kind of check is being made."""
        if self._bar is not None and stage in self._KINDS:
            self._bar.n = self._KINDS.index(stage)
            self._bar.set_postfix_str(stage)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.n = len(self._KINDS)
            self._bar.set_postfix_str("done")
            self._bar.close()


def _rule_checks(claim: Claim) -> list[Check]:
    """One check per operation differentiated and per set of static arguments."""
    graph = claim.graph
    used: dict[tuple[Op, tuple[Any, ...]], None] = {}
    for node in claim.differentiated:
        if not graph.is_leaf(node):
            used[graph.ops[node], graph.statics.get(node, ())] = None
    return [_rule_check(op, statics) for op, statics in used]


def _rule_check(op: Op, statics: tuple[Any, ...]) -> Check:
    fixed = ", ".join(f"{name}={value}" for name, value in zip(op.statics, statics, strict=True))
    what = op.name + (f" ({fixed})" if fixed else "")
    if op.decreed:
        return Check("rule", what, "convention", True, None, op.sentence)
    method = "sympy, symbolic"
    try:
        proof = prove_rule(op, statics or None)
    except WengertError as error:
        return Check("rule", what, method, False, None, str(error))
    wrong = [
        f"operand {step.operand}, {step.region}: rule - derivative = {step.difference}"
        for step in proof.steps
        if not step.proved
    ]
    regions = dict.fromkeys(step.region for step in proof.steps if step.region != "everywhere")
    positive = [f"{s} > 0" for s in operand_symbols(op, statics or None) if s.is_positive]
    over = ", ".join(filter(None, [" or ".join(regions), *positive])) or "all reals"
    return Check("rule", what, method, not wrong, None, "; ".join(wrong), over)


def _derivative_checks(
    claim: Claim,
    points: Sequence[Mapping[int, float]],
    seconds: float,
    precise: Sequence[Mapping[int, Any]],
) -> list[Check]:
    """Each derivative against sympy's own: proved if that is quick, else to 50 digits."""
    judgement = judge_by_sympy(claim, points, seconds, precise)
    checks, names, errors = [], claim.names, judgement.errors
    if judgement.proved:
        proved = [names[i] for i in sorted(judgement.proved)]
        checks.append(
            Check("derivative", _listed(proved), "sympy, symbolic", True, None, "", SMOOTH)
        )
    rest = [i for i in range(len(names)) if i not in judgement.proved]
    if rest:
        far = max(rest, key=lambda i: errors[i])
        held = errors[far] <= AGREE
        detail = "" if held else f"{names[far]} is off by {errors[far]:.3g} relative"
        if not held and any(claim.on_kink(claim.values(p, claim.primal)) for p in points):
            detail += ", at a point on a kink, where the derivative is a matter of convention"
        what, over = _listed([names[i] for i in rest]), points_text(judgement.points)
        checks.append(Check("derivative", what, judgement.method, held, errors[far], detail, over))
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
    over = points_text(len(points))
    return Check(
        "finite differences",
        what,
        "central, of the interpreter",
        held,
        worst,
        detail or covers,
        over,
    )


def _listed(names: Collection[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names):,} derivatives"


def _conventions(claim: Claim) -> list[str]:
    """What is taken as the derivative where there is none, for the operations used."""
    used = {claim.graph.ops[node] for node in claim.differentiated}
    return sorted({f"{op.name}: {op.kink}" for op in used if op.kink})


def _domain(
    claim: Claim, points: Sequence[Mapping[int, float]]
) -> Iterator[tuple[str, float, float]]:
    """The least and the greatest number that each leaf took; of all together if they are many."""
    leaves = [node for node in claim.primal if _is_named(claim, node)] if points else []
    ranges = []
    for node in leaves:
        numbers = [claim.number(point, node) for point in points]
        ranges.append((claim.graph.labels[node], min(numbers), max(numbers)))
    if len(ranges) <= MAX_LISTED:
        yield from ranges
    else:
        least, greatest = min(low for _, low, _ in ranges), max(high for _, _, high in ranges)
        yield (f"all {len(ranges):,} leaves", least, greatest)


def _samples(claim: Claim, points: Sequence[Mapping[int, float]]) -> Iterator[Sample]:
    """What the interpreter gives at each point, unless the leaves are many."""
    leaves = [node for node in claim.live if _is_named(claim, node)]
    if len(leaves) > MAX_LISTED:
        return
    labels = claim.graph.labels
    for point in points:
        values = claim.values(point, claim.live)
        yield Sample(
            {labels[node]: claim.number(point, node) for node in leaves},
            float(values[claim.root]),
            {
                labels[leaf]: float(values[node])
                for leaf, node in zip(claim.leaves, claim.gradient, strict=True)
            },
        )


def _is_named(claim: Claim, node: int) -> bool:
    return claim.graph.is_leaf(node) and node in claim.graph.labels
