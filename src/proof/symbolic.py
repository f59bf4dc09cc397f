"""A claimed gradient against sympy's own derivative: proved equal, or compared to many digits."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import CO_GENERATOR
from itertools import zip_longest
from types import FrameType
from typing import Any

from ..errors import SizeError
from ..notation.sympy import derivative_of, is_piecewise, is_zero, regions, sympy_nodes
from ..ops.scalar import POW_CONST, STOP_GRADIENT
from .claim import Claim, relative
from .precise import chain_rule, precise_sympy, precise_values

DIGITS = 50
"""Decimal digits that sympy's derivative is evaluated to."""

AGREE = 1e-14
"""How far, relative to the largest derivative, a claim may be from sympy's. It is no smaller
because the numbers in a graph are floats: the exponent 0.3 - 1 of a derived power is rounded."""

MAX_SIMPLIFY_TREE, MAX_SYMPY_TREE, MAX_SYMPY_DEPTH, MAX_EXPANDED = 400, 50_000, 60, 2_000
"""How large a formula may be, written out: nodes to simplify; nodes, times the leaves, to
differentiate; its nesting; the terms it expands to. sympy's cost grows with these."""


LONG = 5_000
"""Past so many nodes the chain rule is followed at one point: that costs as much as all else."""


@dataclass(frozen=True)
class Judgement:
    """What sympy says: which derivatives it proved, how far each is off, by which method, where."""

    proved: frozenset[int]
    errors: tuple[float, ...]
    method: str
    points: int


def judge_by_sympy(
    claim: Claim,
    points: Sequence[Mapping[int, float]],
    seconds: float,
    precise: Sequence[Mapping[int, Any]] = (),
) -> Judgement:
    """Compare each derivative with sympy's at the points, and prove what is proved quickly.

    `precise` are the values at the points to 50 digits, where they are known.

    sympy differentiates the formula of the output when that is small; otherwise the derivative of
    each operation, and the chain rule puts them together.
    """
    until = time.thread_time() + seconds
    sizes = written_out(claim)
    known, by_sympy = _by_sympy(claim, sizes, until)
    if by_sympy is None and len(claim.live) > LONG:
        points = points[:1]
    errors, method = _precise_errors(claim, points, precise, known, by_sympy)
    agreeing = [i for i, error in enumerate(errors) if error <= AGREE]
    proved = _proved(claim, agreeing, known, by_sympy, sizes, until) if by_sympy else set()
    return Judgement(frozenset(proved), tuple(errors), method, len(points))


def _by_sympy(claim: Claim, sizes: Sizes, until: float) -> tuple[dict[int, Any], list[Any] | None]:
    """Every node as a sympy formula, and sympy's derivatives of the output: if it is small."""
    size = sizes.tree[claim.root] * len(claim.leaves)
    if max(sizes.depth.values()) > MAX_SYMPY_DEPTH or size > MAX_SYMPY_TREE:
        return {}, None
    opaque = frozenset({STOP_GRADIENT.name})
    with _limits(until, sizes.kinked):
        known = sympy_nodes(claim.graph, claim.live, opaque=opaque)
        return known, [derivative_of(known[claim.root], known[leaf]) for leaf in claim.leaves]
    return {}, None


def _proved(
    claim: Claim,
    candidates: Sequence[int],
    known: Mapping[int, Any],
    by_sympy: Sequence[Any],
    sizes: Sizes,
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
            if i in proved or measure[claim.gradient[i]] > limit or time.thread_time() > until:
                continue
            with _limits(min(until, time.thread_time() + 1.0), watched):
                if shows(known[claim.gradient[i]] - by_sympy[i]):
                    proved.add(i)
    return proved


def _precise_errors(
    claim: Claim,
    points: Sequence[Mapping[int, float]],
    precise: Sequence[Mapping[int, Any]],
    known: Mapping[int, Any],
    by_sympy: Sequence[Any] | None,
) -> tuple[list[float], str]:
    """The worst relative error of each derivative, and how the judging numbers were found."""
    if by_sympy is None:
        method = f"sympy by the chain rule, {DIGITS} digits"
    else:
        method = f"sympy's derivative, {DIGITS} digits"
    rows = []
    for point, found in zip_longest(points, precise):
        row = _precise_row(claim, point, found, known, by_sympy, DIGITS)
        if max(row) > AGREE:  # cancellation may have used up the digits
            row = _precise_row(claim, point, None, known, by_sympy, 8 * DIGITS)
        rows.append(row)
    return [max(column) for column in zip(*rows, strict=True)], method


def _precise_row(
    claim: Claim,
    point: Mapping[int, float],
    found: Mapping[int, Any] | None,
    known: Mapping[int, Any],
    by_sympy: Sequence[Any] | None,
    digits: int,
) -> list[float]:
    from mpmath import mp

    values = precise_values(claim.graph, claim.live, point, digits, found)
    expected = precise_derivatives(claim, values, known, by_sympy, digits)
    with mp.workdps(digits):
        pairs = [(e, values[node]) for e, node in zip(expected, claim.gradient, strict=True)]
        largest = max((abs(e) for e, _ in pairs if mp.isfinite(e)), default=mp.zero)
        return [relative(claimed - e, max(abs(e), largest)) for e, claimed in pairs]


def precise_derivatives(
    claim: Claim,
    values: Mapping[int, Any],
    known: Mapping[int, Any],
    by_sympy: Sequence[Any] | None,
    digits: int = DIGITS,
) -> list[Any]:
    """Each derivative by sympy as an mpmath number, where the nodes have the `values`.

    `by_sympy` are its derivatives of the output and `known` the nodes as sympy formulas; without
    them, the chain rule puts together its derivatives of the operations.
    """
    from mpmath import mp

    if by_sympy is None:
        adjoints = chain_rule(claim.graph, claim.primal, claim.root, values, digits)
        return [adjoints.get(leaf, mp.zero) for leaf in claim.leaves]
    at = {known[node]: values[node] for node in claim.primal if known[node].is_Symbol}
    return precise_sympy(by_sympy, at, digits)


@dataclass(frozen=True)
class Sizes:
    """For each node: the nodes of its formula written out, its nesting, its terms when expanded."""

    tree: dict[int, float]
    depth: dict[int, int]
    terms: dict[int, float]
    kinked: bool


def written_out(claim: Claim) -> Sizes:
    """How large the formula of each node is."""
    graph = claim.graph
    sizes = Sizes({}, {}, {}, any(map(is_piecewise, {graph.ops[node] for node in claim.live})))
    for node in claim.live:
        operands = graph.operands[node]
        terms = [sizes.terms[operand] for operand in operands]
        sizes.tree[node] = 1.0 + sum([sizes.tree[operand] for operand in operands])
        sizes.depth[node] = 1 + max([sizes.depth[operand] for operand in operands], default=0)
        op = graph.ops[node]
        match "" if op.conditions else op.linear:
            case "together":
                sizes.terms[node] = sum(terms)
            case "each":
                sizes.terms[node] = math.prod(terms)
            case "first":
                sizes.terms[node] = terms[0]
            case _ if op is POW_CONST:
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
