"""Whether a gradient is right: proofs, many digits, finite differences and the compiled function.

Four kinds of check, each by a judge that shares nothing with what it judges: sympy proves each
derivative rule and, where it can, the whole derivative; where it cannot, its own derivative is
evaluated to 50 digits; central differences of the reference evaluator know nothing of calculus; and
the compiled function is compared with that evaluator.
"""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import CO_GENERATOR
from types import FrameType
from typing import Any

from .errors import OperandError, SizeError, WengertError, shorten
from .graph.arithmetic import Arithmetic
from .graph.backward import grad
from .graph.expr import Expr, Graph, common_graph, given_values, live_nodes, node_values
from .graph.operation import Op
from .graph.ops import STOP_GRADIENT
from .graph.passes import extract
from .graph.precise import chain_rule, precise_sympy, precise_values
from .graph.symbolic import CONVENTIONS, is_piecewise, is_zero, prove_rule, regions, sympy_nodes
import itertools

DIGITS = 50
"""Decimal digits that sympy's derivative is evaluated to."""

AGREE_PRECISELY, AGREE_COMPILED = 1e-14, 1e-9
"""How far, relative to the largest derivative, two answers may be apart. The first is no smaller
because the numbers in a graph are floats: the exponent 0.3 - 1 of a derived power is rounded."""

MAX_SIMPLIFY_TREE, MAX_SYMPY_TREE, MAX_SYMPY_DEPTH, MAX_EXPANDED = 400, 50_000, 60, 2_000
"""How large a formula may be, written out: nodes to simplify; nodes, times the leaves, to
differentiate; its nesting; the terms it expands to. sympy's cost grows with these."""

_POINTS = 3
_DRAWS = 60


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


@dataclass(frozen=True)
class _Subject:
    """What is judged: a graph of its own with the output, the leaves and the gradient in it."""

    graph: Graph
    root: int
    leaves: tuple[int, ...]
    gradient: tuple[int, ...]
    primal: tuple[int, ...]
    live: tuple[int, ...]

    def name(self, leaf: int) -> str:
        return self.graph.labels[leaf]

    @property
    def which(self) -> str:
        """The derivatives judged, in words."""
        if len(self.leaves) > 3:
            return f"{len(self.leaves)} derivatives"
        return ", ".join(f"d/d{self.name(leaf)}" for leaf in self.leaves)


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

    >>> g = Graph(); x = g.input("x")
    >>> verification = verify((x * x).tanh(), x)
    >>> verification, bool(verification)
    (<Verification: 5 checks, held>, True)
    """
    subject, fixed = _subject(output, wrt, at or {})
    points = _points(subject, fixed, random.Random(seed))
    checks = _rule_checks(subject)
    if points:
        checks += _derivative_checks(subject, points, seconds)
        checks += _difference_checks(subject, points, seed, seconds)
        checks.append(_compiled_check(subject, points, target))
    else:
        detail = (
            f"no point found in {_DRAWS} draws (seed {seed}) where the output and its derivatives are "
            "finite; name one with at={leaf: number}"
        )
        checks.append(Check("point", subject.which, "random draws", False, None, detail))
    return Verification(str(Expr(subject.graph, subject.root)), tuple(checks), seed, len(points))


# -- what is judged -------------------------------------------------------------------------------


def _subject(output: Any, wrt: Any, at: Mapping[Any, float]) -> tuple[_Subject, dict[int, float]]:
    """The output in a graph of its own, with its gradient, and the leaves that `at` fixes."""
    leaves: list[Any] = [wrt] if isinstance(wrt, Arithmetic) else list(wrt)
    original = common_graph([output, *leaves])
    if not isinstance(output, Arithmetic):
        grad(output, leaves)  # says what is wrong with it
    live_shapes = {original.shapes.get(n) for n in live_nodes(original, [original.node_of(output)])}
    if live_shapes - {None, ()}:
        raise OperandError(
            f"{shorten(output)} is made of arrays; verify works on scalars, which "
            "wengert.unroll(expression) makes of them"
        )
    fixed = given_values(original, at)
    known = {node: None for node in map(original.find, leaves) if node is not None}
    known.update(dict.fromkeys(fixed))
    graph = extract([output, *(original[node] for node in known)])
    root, *copies = graph.outputs
    copy = dict(zip(known, copies, strict=True))
    # A leaf that is not in the copy goes to `grad` as it is, to be refused there.
    mapped = [
        graph[copy[node]] if (node := original.find(leaf)) is not None else leaf for leaf in leaves
    ]
    gradient = [derivative.id for derivative in grad(graph[root], mapped)]
    subject = _Subject(
        graph,
        root,
        tuple(leaf.id for leaf in mapped),
        tuple(gradient),
        tuple(live_nodes(graph, [root])),
        tuple(live_nodes(graph, [root, *gradient])),
    )
    return subject, {copy[node]: number for node, number in fixed.items()}


def _points(
    subject: _Subject, fixed: Mapping[int, float], rng: random.Random
) -> list[dict[int, float]]:
    """Up to three random points where the output and its gradient are finite."""
    graph = subject.graph
    free = [
        node
        for node in subject.live
        if graph.is_leaf(node) and graph.ops[node].name != "constant" and node not in fixed
    ]
    ways: list[Callable[[float | None], float]] = [
        lambda carried: (
            rng.uniform(-2, 2)
            if carried is None or not math.isfinite(carried)
            else carried + rng.uniform(-0.1, 0.1) * max(1.0, abs(carried))
        ),
        lambda carried: rng.uniform(-2, 2),
        lambda carried: rng.uniform(0.1, 2),
    ]
    points: list[dict[int, float]] = []
    for draw in range(_DRAWS):
        way = ways[draw % len(ways)]
        point = {**fixed, **{node: way(graph.value(node)) for node in free}}
        values = node_values(graph, subject.live, point)
        if all(math.isfinite(values[node]) for node in (subject.root, *subject.gradient)):
            points.append(point)
        if len(points) == (_POINTS if free else 1):
            break
    return points


# -- the rules ------------------------------------------------------------------------------------


def _rule_checks(subject: _Subject) -> list[Check]:
    """One check per operation of the graph and per set of static arguments."""
    graph = subject.graph
    used: dict[tuple[Op, tuple[Any, ...]], None] = {}
    for node in subject.primal:
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


# -- the whole derivative -------------------------------------------------------------------------


def _derivative_checks(
    subject: _Subject, points: Sequence[Mapping[int, float]], seconds: float
) -> list[Check]:
    """Each derivative against sympy's own: proved if that is quick, else to 50 digits."""
    until = time.thread_time() + seconds
    sizes = _written_out(subject)
    known, by_sympy = _by_sympy(subject, sizes, until)
    errors, method = _precise_errors(subject, points, known, by_sympy)
    worst = [max(row) for row in errors]
    agreeing = [i for i, error in enumerate(worst) if error <= AGREE_PRECISELY]
    proved = _proved(subject, agreeing, known, by_sympy, sizes, until) if by_sympy else set()
    checks = []
    names = [f"d/d{subject.name(leaf)}" for leaf in subject.leaves]
    if proved:
        checks.append(Check("derivative", _listed(names, proved), "sympy, symbolic", True))
    rest = [i for i in range(len(names)) if i not in proved]
    if rest:
        far = max(rest, key=lambda i: worst[i])
        held = worst[far] <= AGREE_PRECISELY
        detail = "" if held else f"{names[far]} is off by {worst[far]:.3g} relative"
        checks.append(Check("derivative", _listed(names, rest), method, held, worst[far], detail))
    return checks


def _by_sympy(
    subject: _Subject, sizes: _Sizes, until: float
) -> tuple[dict[int, Any], list[Any] | None]:
    """Every node as a sympy formula, and sympy's derivatives of the output: if it is small."""
    size = sizes.tree[subject.root] * len(subject.leaves)
    if max(sizes.depth.values()) > MAX_SYMPY_DEPTH or size > MAX_SYMPY_TREE:
        return {}, None
    opaque = frozenset({STOP_GRADIENT.name})
    with _limits(until, sizes.kinked):
        known = sympy_nodes(subject.graph, subject.live, opaque=opaque)
        return known, [known[subject.root].diff(known[leaf]) for leaf in subject.leaves]
    return {}, None


def _proved(
    subject: _Subject,
    candidates: Sequence[int],
    known: Mapping[int, Any],
    by_sympy: Sequence[Any],
    sizes: _Sizes,
    until: float,
) -> set[int]:
    """Which of the derivatives sympy shows to equal its own: by expanding, or on each region."""
    from sympy import expand_mul

    proved = set()
    ways = (
        (sizes.kinked, sizes.terms, MAX_EXPANDED, lambda f: expand_mul(f) == 0),
        (True, sizes.tree, MAX_SIMPLIFY_TREE, lambda f: all(is_zero(r) for _, r in regions(f))),
    )
    for watched, measure, limit, shows in ways:
        for i in candidates:
            if i in proved or measure[subject.gradient[i]] > limit or time.thread_time() > until:
                continue
            with _limits(min(until, time.thread_time() + 1.0), watched):
                if shows(known[subject.gradient[i]] - by_sympy[i]):
                    proved.add(i)
    return proved


def _precise_errors(
    subject: _Subject,
    points: Sequence[Mapping[int, float]],
    known: Mapping[int, Any],
    by_sympy: Sequence[Any] | None,
) -> tuple[list[list[float]], str]:
    """For each leaf the relative error at each point, and how the judging numbers were found."""
    if by_sympy is None:
        method = f"sympy by the chain rule, {DIGITS} digits"
    else:
        method = f"sympy's derivative, {DIGITS} digits"
    errors: list[list[float]] = [[] for _ in subject.leaves]
    for point in points:
        row = _precise_row(subject, point, known, by_sympy, DIGITS)
        if max(row) > AGREE_PRECISELY:  # cancellation may have used up the digits
            row = _precise_row(subject, point, known, by_sympy, 8 * DIGITS)
        for error, column in zip(row, errors, strict=True):
            column.append(error)
    return errors, method


def _precise_row(
    subject: _Subject,
    point: Mapping[int, float],
    known: Mapping[int, Any],
    by_sympy: Sequence[Any] | None,
    digits: int,
) -> list[float]:
    from mpmath import mp

    graph = subject.graph
    values = precise_values(graph, subject.live, point, digits)
    if by_sympy is None:
        adjoints = chain_rule(graph, subject.primal, subject.root, values, digits)
        expected = [adjoints.get(leaf, mp.zero) for leaf in subject.leaves]
    else:
        at = {known[node]: values[node] for node in subject.live if known[node].is_Symbol}
        expected = precise_sympy(by_sympy, at, digits)
    with mp.workdps(digits):
        pairs = [(e, values[node]) for e, node in zip(expected, subject.gradient, strict=True)]
        largest = max((abs(e) for e, _ in pairs if mp.isfinite(e)), default=mp.zero)
        return [_relative(found - e, max(abs(e), largest)) for e, found in pairs]


@dataclass(frozen=True)
class _Sizes:
    """For each node: the nodes of its formula written out, its nesting, its terms when expanded."""

    tree: dict[int, float]
    depth: dict[int, int]
    terms: dict[int, float]
    kinked: bool


def _written_out(subject: _Subject) -> _Sizes:
    graph = subject.graph
    sizes = _Sizes({}, {}, {}, any(map(is_piecewise, {graph.ops[node] for node in subject.live})))
    for node in subject.live:
        operands = graph.operands[node]
        terms = [sizes.terms[operand] for operand in operands]
        sizes.tree[node] = 1.0 + sum(sizes.tree[operand] for operand in operands)
        sizes.depth[node] = 1 + max((sizes.depth[operand] for operand in operands), default=0)
        match graph.ops[node].name:
            case "add" | "sub":
                sizes.terms[node] = sum(terms)
            case "mul":
                sizes.terms[node] = math.prod(terms)
            case "neg" | "div" | "pow_const" | "total":
                sizes.terms[node] = terms[0]
            case _:
                sizes.terms[node] = math.inf if max(terms, default=1) > MAX_EXPANDED else 1.0
    return sizes


class _OutOfTime(BaseException):
    """Raised inside sympy; not an `Exception`, so that nothing in there catches it."""


@contextmanager
def _limits(until: float, watched: bool) -> Iterator[None]:
    """Give up on the block, in silence, when sympy refuses or, if `watched`, when time is up.

    A trace function looks at the clock on every function call, which halves the speed of the block.
    """
    calls = 0

    def look(frame: FrameType, *_: Any) -> None:
        nonlocal calls
        calls += 1
        # A generator may be running only to be closed, where an exception would be lost.
        if (
            not calls % 32
            and not frame.f_code.co_flags & CO_GENERATOR
            and time.thread_time() > until
        ):
            raise _OutOfTime

    before = sys.gettrace()
    if watched:
        sys.settrace(look)
    try:
        yield
    except _OutOfTime:
        from sympy.core.cache import clear_cache

        # sympy may have been interrupted within an assumption whose unfinished state it keeps.
        sys.settrace(before)
        clear_cache()
    except (SizeError, RecursionError, NotImplementedError, ValueError, TypeError):
        pass
    finally:
        sys.settrace(before)


# -- finite differences ---------------------------------------------------------------------------


def _difference_checks(
    subject: _Subject, points: Sequence[Mapping[int, float]], seed: int, seconds: float
) -> list[Check]:
    """Central differences along random directions, then leaf by leaf while there is time."""
    until = time.thread_time() + seconds
    rng = random.Random(seed)
    order = list(range(len(subject.leaves)))
    rng.shuffle(order)
    directions = [[rng.choice((-1.0, 1.0)) for _ in order] for _ in points]
    tasks = [
        (point, dict(enumerate(signs))) for point, signs in zip(points, directions, strict=True)
    ]
    tasks += [(point, {i: 1.0}) for i in order for point in points]
    worst, detail, seen, unclear = 0.0, "", set(), 0
    held = True
    for done, (point, direction) in enumerate(tasks):
        if done > len(points) and time.thread_time() > until:
            break
        outcome = _difference(subject, point, direction)
        if outcome is None:
            unclear += 1
            continue
        error, agrees, text = outcome
        seen |= set(direction) if len(direction) == 1 else set()
        if not agrees and (held or error > worst):
            held, detail = False, text
        worst = max(worst, error)
    if unclear == len(tasks):
        held, detail = (
            False,
            "every step crosses a kink or drowns in rounding: nothing was compared",
        )
    covers = f"{len(seen)} of {len(order)} leaves one by one, all of them along random directions"
    what = subject.which if len(seen) == len(order) else f"{subject.which}, {len(seen)} one by one"
    return [
        Check(
            "finite differences", what, "central, of the reference", held, worst, detail or covers
        )
    ]


def _difference(
    subject: _Subject, point: Mapping[int, float], direction: Mapping[int, float]
) -> tuple[float, bool, str] | None:
    """Compare the derivative along a direction with Richardson's extrapolated central difference.

    None where no step size stays on one side of every kink, inside the domain and above rounding.
    Error of the estimate: Press et al., *Numerical Recipes*, 3rd ed., section 5.7.
    """
    graph, root = subject.graph, subject.root
    start = {subject.leaves[i]: sign for i, sign in direction.items()}
    scale = max(1.0, *(abs(_at(graph, point, leaf)) for leaf in start))
    values = node_values(graph, subject.live, point)
    gradient = [values[node] for node in subject.gradient]
    claimed = sum(gradient[i] * sign for i, sign in direction.items())
    size = max(map(abs, gradient))
    # Rounding: each node is off by about eps times its size, and the sum of many grows as its root.
    large = max(abs(values[n]) for n in subject.primal if math.isfinite(values[n]))
    rounding = (16 + math.sqrt(len(subject.primal))) * sys.float_info.epsilon * large
    floor = max(size, 1e-3 * large)
    frozen = {n: values[n] for n in subject.primal if graph.ops[n].name == STOP_GRADIENT.name}
    branch = _branches(subject, values)
    for exponent in (-8, -12, -16):
        step = scale * 2.0**exponent
        quotients = []
        for h in (step, step / 2, step / 4):
            ends = []
            for side in (h, -h):
                moved = {
                    **point,
                    **frozen,
                    **{leaf: _at(graph, point, leaf) + side * s for leaf, s in start.items()},
                }
                there = node_values(graph, subject.primal, moved)
                if math.isfinite(there[root]) and _branches(subject, there) == branch:
                    ends.append(there[root])
            if len(ends) < 2:
                break
            quotients.append((ends[0] - ends[1]) / (2 * h))
        if len(quotients) < 3:
            continue
        first, second = ((4 * fine - coarse) / 3 for coarse, fine in itertools.pairwise(quotients))
        tolerance = 10 * abs(first - second) + 4 * rounding / step + 1e-9 * abs(claimed)
        if tolerance > 1e-2 * floor:
            continue
        name = " + ".join(f"d/d{subject.name(leaf)}" for leaf in list(start)[:3])
        name += " + …" * (len(start) > 3)
        text = f"{name} is {claimed!r}, the difference quotient {second!r}"
        apart = abs(second - claimed)
        return _relative(apart, max(floor, abs(claimed))), apart <= tolerance, text
    return None


def _at(graph: Graph, point: Mapping[int, float], leaf: int) -> float:
    number = point[leaf] if leaf in point else graph.value(leaf)
    return float(number)


def _branches(subject: _Subject, values: Mapping[int, float]) -> list[bool]:
    """Which side of its kink each operation that has one is on."""
    graph, sides = subject.graph, []
    for node in subject.primal:
        if is_piecewise(graph.ops[node]):
            first, *others = (values[operand] for operand in graph.operands[node])
            sides += [first > other for other in others[:1]] or [first > 0.0]
            sides.append(bool(first))
    return sides


# -- the compiled function ------------------------------------------------------------------------


def _compiled_check(subject: _Subject, points: Sequence[Mapping[int, float]], target: str) -> Check:
    """The compiled output and gradient against the reference evaluator."""
    from .codegen.compiled import compile as compile_function

    graph = subject.graph
    leaves = [
        Expr(graph, node)
        for node in subject.live
        if graph.is_leaf(node) and graph.ops[node].name != "constant"
    ]
    group = "leaves"
    while group in graph.leaves:
        group += "_"
    what = f"output and {subject.which}"
    method = f"{target} against the reference"
    gradient = [Expr(graph, node) for node in subject.gradient]
    try:
        function = compile_function(
            {group: leaves},
            {"output": Expr(graph, subject.root), "gradient": gradient},
            target=target,
        )
    except WengertError as error:
        return Check("compiled", what, method, False, None, f"{type(error).__name__}: {error}")
    worst, detail = 0.0, ""
    for point in points:
        result = function([_at(graph, point, leaf.id) for leaf in leaves])
        values = node_values(graph, subject.live, point)
        expected = [values[node] for node in subject.gradient]
        size = max(map(abs, expected))
        names = ["output", *(f"d/d{subject.name(leaf)}" for leaf in subject.leaves)]
        pairs = zip(
            names,
            [float(result["output"]), *map(float, result["gradient"])],
            [values[subject.root], *expected],
            [abs(values[subject.root]), *(size for _ in expected)],
            strict=True,
        )
        for name, found, wanted, scale in pairs:
            apart = _relative(found - wanted, scale)
            if apart > worst:
                worst, detail = apart, f"{name} is {found!r}, the reference says {wanted!r}"
    held = worst <= AGREE_COMPILED
    return Check("compiled", what, method, held, worst, "" if held else detail)


def _relative(difference: Any, scale: Any) -> float:
    """|difference| / scale, absolute where the scale is 0; inf for what is not a number."""
    size = float(abs(difference) / scale) if scale else float(abs(difference))
    return size if size == size else math.inf


def _listed(names: Sequence[str], which: Any) -> str:
    chosen = [names[i] for i in sorted(which)]
    return ", ".join(chosen) if len(chosen) <= 3 else f"{len(chosen)} derivatives"
