"""Fair timing: every contestant in one process, in turns, and judged by one reference."""

import gc
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from problems import Matrices, Network
from scalars import Scalars

Problem = Network | Matrices | Scalars

SLICE = 0.004
"""How long, in seconds, a contestant runs in each round, at least one call."""

PATIENCE = 4.0
"""How long, in seconds, a contestant may run in all; a slow one plays fewer rounds."""


@dataclass(frozen=True)
class Prepared:
    """A system ready to run: `call()` is timed; `numbers(result)` is how its result is judged.

    kept   what must live as long as the call, for systems that work on memory they do not own
    """

    call: Callable[[], Any]
    numbers: Callable[[Any], Sequence[float]]
    kept: Any = None


@dataclass(frozen=True)
class Peer:
    """One system in one way of using it.

    module   what must be importable for it to run
    prepare  kind of task → how to get ready for it; a kind that is not there is not offered
    largest  problems of more scalar operations than this are beyond what it is made for
    slow     takes so long to get ready that it runs only when asked for
    usable   further conditions, such as a C compiler
    """

    name: str
    module: str
    prepare: Mapping[str, Callable[[Any], Prepared]]
    largest: float = math.inf
    slow: bool = False
    usable: Callable[[], bool] = lambda: True


@dataclass(frozen=True)
class Case:
    """One thing to compute: `kind` says what, `problem` of which network and data.

    goals   peer → how many times as long as ours it should take, at the least
    ours    which of wengert's rows the ratios are to
    native  peer → how many times as long as wengert native it should take, at the least
    """

    name: str
    title: str
    kind: str
    problem: Callable[[], Problem]
    reference: Callable[[Any], Sequence[float]]
    goals: Mapping[str, float] = field(default_factory=dict)
    ours: str = "wengert"
    native: Mapping[str, float] = field(default_factory=dict)

    def operations(self, problem: Problem) -> int:
        """Roughly how many scalar operations a call takes; 0 where that is not counted."""
        return 0 if self.kind == "hessian" else problem.operations * problem.samples


@dataclass(frozen=True)
class Row:
    """What was measured of one peer: seconds, the ratio to ours, or why there is nothing."""

    peer: str
    median: float = math.nan
    least: float = math.nan
    ratio: float = math.nan
    ready: float = math.nan
    break_even: float = math.nan
    difference: float = math.nan
    failure: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON, which has no nan and no infinity."""
        plain = asdict(self).items()
        return {k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in plain}


def run_case(
    case: Case, peers: Sequence[Peer], rounds: int = 25, patience: float = PATIENCE
) -> tuple[list[Row], str, int]:
    """A row for each peer, fastest first, those that failed last; whom break-evens refer to; work.

    The second is micrograd, which needs next to nothing to get ready, or else the slowest; the
    third roughly how many scalar operations a call takes.
    """
    problem = case.problem()
    reference = case.reference(problem)
    ready: dict[str, float] = {}
    contestants: dict[str, Prepared] = {}
    failed: list[Row] = []
    differences: dict[str, float] = {}
    for peer in peers:
        if problem.operations > peer.largest:
            say(f"  {peer.name}: left out, {problem.operations:,} operations are too many for it")
            continue
        say(f"  {peer.name}: getting ready")
        try:
            started = time.perf_counter()
            prepared = peer.prepare[case.kind](problem)
            result = prepared.call()  # many compile on the first call
            ready[peer.name] = time.perf_counter() - started
            differences[peer.name] = difference(prepared.numbers(result), reference)
            contestants[peer.name] = prepared
        except Exception as error:  # a peer that breaks is reported, not fatal
            failed.append(Row(peer.name, failure=f"{type(error).__name__}: {error}"[:200]))
    say(f"  measuring {len(contestants)} in turns")
    times = take_turns({name: p.call for name, p in contestants.items()}, rounds, patience)
    slowest = max(times, key=lambda name: statistics.median(times[name]), default="")
    base = "micrograd" if "micrograd" in times else slowest
    cost = {name: (ready[name], statistics.median(own)) for name, own in times.items()}
    rows = [
        Row(
            name,
            statistics.median(own),
            min(own),
            paired_ratio(own, times[case.ours]) if case.ours in times else math.nan,
            ready[name],
            math.nan if name == base else break_even(cost[name], cost[base]),
            differences[name],
        )
        for name, own in times.items()
    ]
    ordered = sorted(rows, key=lambda row: row.median) + failed
    return ordered, base, case.operations(problem)


def take_turns(
    calls: Mapping[str, Callable[[], Any]], rounds: int, patience: float = PATIENCE
) -> dict[str, list[float]]:
    """Seconds a call, one number a round: all take their turn in each, in a rotating order.

    What a round shares, such as a busy machine, cancels in the ratios of that round. The collector
    stays on, since some systems make garbage, but what getting ready left behind is not scanned.
    """
    gc.collect()
    gc.freeze()
    loops, wanted = {}, {}
    for name, call in calls.items():
        once = _timed(call, 1)
        if once < SLICE:  # the first call after others is slower than those that follow
            once = min(once, _timed(call, 1))
        loops[name] = max(1, min(100_000, round(SLICE / once)))
        wanted[name] = max(2, min(rounds, int(patience / (once * loops[name]))))
    times: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    for turn in range(rounds):
        shift = turn % max(1, len(order))
        for name in order[shift:] + order[:shift]:
            if turn < wanted[name]:
                times[name].append(_timed(calls[name], loops[name]))
    gc.unfreeze()
    return times


def _timed(call: Callable[[], Any], loops: int) -> float:
    clock = time.perf_counter
    turns = range(loops)
    start = clock()
    for _ in turns:
        call()
    return (clock() - start) / loops


def paired_ratio(times: Sequence[float], base: Sequence[float]) -> float:
    """The median, over the rounds that both played, of how many times as long it took."""
    return statistics.median(own / other for own, other in zip(times, base, strict=False))


def break_even(one: tuple[float, float], base: tuple[float, float]) -> float:
    """With which call a system has cost less than the base, of pairs (ready, a call) in seconds.

    `ready` includes a first call. inf: never, since its calls are not the faster ones.
    """
    saved = base[1] - one[1]
    if saved <= 0:
        return math.inf
    extra = max(0.0, one[0] - one[1]) - max(0.0, base[0] - base[1])
    return max(1.0, math.floor(extra / saved) + 1.0)


def difference(numbers: Sequence[float], reference: Sequence[float]) -> float:
    """The largest absolute difference; what has another length is no answer."""
    found = [float(number) for number in numbers]
    if len(found) != len(reference):
        raise ValueError(f"{len(found)} numbers, expected {len(reference)}")
    worst = 0.0
    for one, other in zip(found, reference, strict=True):
        gap = abs(one - other)
        if math.isnan(gap):
            return math.nan
        worst = max(worst, gap)
    return worst


def say(text: str) -> None:
    """A line of progress, apart from the results."""
    print(text, file=sys.stderr, flush=True)
