"""Each stage of the compiler against the one before it: simplify, passes on arrays, targets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from ..codegen import compiled
from ..codegen.build import Options, Recipe
from ..codegen.calls import called
from ..codegen.scalar.node import run_in_node
from ..codegen.target import find_target, targets
from ..errors import MissingExtraError, SpellingError
from ..graph.expr import Expr, Graph
from ..graph.rewrite import extract
from ..ops.scalar import CONSTANT, INPUT
from ..proof.check import Check, points_text
from ..proof.claim import ArrayClaim, Claim
from ..proof.nodes import EXACT, IDENTITY
from ..proof.rounding import point_intervals
from ..simplify.engine import DEFAULT_PIPELINE
from ..simplify.pipeline import rules_named
from .arraysteps import Function, statement_checks
from .looks import FLOOR, Look, allowed, first_wrong, same_fingerprints

MAX_NODES: Final[Mapping[str, int]] = {"javascript": 20_000, "native": 5_000}
"""Past so many nodes a target is compiled only if it was asked for."""

MAX_OTHERS: Final = 200_000
"""Past so many nodes no target is, but the one that was asked for."""


def step_checks(
    claim: Claim, points: Sequence[Mapping[int, float]], seed: int
) -> Iterator[list[Check]]:
    """Each simplification, the roll, and each pass on arrays, against its input."""
    graph = claim.graph
    before = extract([graph[claim.root], *(graph[node] for node in claim.gradient)])
    given = [_named(claim, at) for at in points]
    old = Look(before, before.outputs, given, seed)
    for step in DEFAULT_PIPELINE:
        after = step(before).graph
        if after is before:
            continue
        new = Look(after, after.outputs, given, seed)
        yield [_simplification(before, after, old, new, len(points))]
        before, old = after, new
    for function in _functions(claim, points):
        for check in statement_checks(function, seed):
            yield [check]


def _named(claim: Claim, point: Mapping[int, float], end: str = "") -> dict[str, float]:
    """The number of each leaf at a point, by its name with this end."""
    return {claim.graph.labels[leaf] + end: claim.number(point, leaf) for leaf in _leaves(claim)}


def _functions(claim: Claim, points: Sequence[Mapping[int, float]]) -> Iterator[Function]:
    """What array targets are asked for: the jobs, and the whole arrays if so written."""
    given = [_named(claim, point) for point in points]
    for job in _jobs(claim, points):
        if not job.batch:
            yield Function(job.recipe(), given)
            continue
        ends = [_free_end(f"_row{i}", claim) for i, _ in enumerate(job.samples[0][:2])]
        numbers = dict(given[0])
        for sample, end in zip(job.samples[0], ends, strict=False):
            numbers |= _named(claim, sample, end)
        yield Function(job.recipe(), [numbers], ends, "arrays of a batch")
    if claim.arrays is not None:
        inputs, outputs = _whole_arrays(claim.arrays)
        recipe, _ = compiled.recipe_of(inputs, outputs, _OPTIONS)
        yield Function(recipe, given, kind="whole arrays")


_OPTIONS: Final = Options("numpy", "f", rules_named(True), "float64")


def _free_end(end: str, claim: Claim) -> str:
    while any(name.endswith(end) for name in claim.graph.leaves):
        end += "_"
    return end


def _simplification(before: Graph, after: Graph, old: Look, new: Look, points: int) -> Check:
    """A pass gives the floats that its input gives, bit for bit but for the sign of a zero."""
    wrong = first_wrong(old, new, exact=True)
    record = after.passes[-1]
    exact = not wrong and same_fingerprints(old, new)
    method = "same floats" + (f", {EXACT}" if exact else "")
    applied = ", ".join(f"{count:,} {name}" for name, count in record.rewrites.items())
    what = f"{record.name}: {len(before):,} nodes -> {len(after):,}"
    over = IDENTITY if exact else points_text(points)
    return Check("simplification", what, method, not wrong, None, wrong or applied, over)


@dataclass(frozen=True)
class _Job:
    """A function to compile and call, and what the interpreter gives for the calls.

    groups    argument name → leaves
    batch     the argument that has a row per sample, if one does
    calls     the arguments of each call
    samples   for each call, the points whose outputs its result is the sum of
    written   how it is called, where that is not scalar by scalar
    """

    claim: Claim
    groups: Mapping[str, Sequence[int]]
    batch: tuple[str, ...]
    calls: Sequence[tuple[Any, ...]]
    samples: Sequence[Sequence[Mapping[int, float]]]
    written: str = ""

    @cached_property
    def nodes(self) -> list[int]:
        """The output and the derivatives."""
        return [self.claim.root, *self.claim.gradient]

    @cached_property
    def expected(self) -> list[list[float]]:
        """The numbers that each call should give."""
        return [self._sums(self._values(points)) for points in self.samples]

    @cached_property
    def widths(self) -> list[list[float]]:
        """How wide rounding can make each of them."""
        return [
            [
                width + len(points) * math.ulp(number)
                for width, number in zip(self._sums(self._intervals(points)), numbers, strict=True)
            ]
            for points, numbers in zip(self.samples, self.expected, strict=True)
        ]

    def _values(self, points: Sequence[Mapping[int, float]]) -> Iterator[list[float]]:
        for point in points:
            values = self.claim.values(point, self.claim.live)
            yield [values[node] for node in self.nodes]

    def _intervals(self, points: Sequence[Mapping[int, float]]) -> Iterator[list[float]]:
        for point in points:
            within = point_intervals(self.claim.graph, self.claim.live, point)
            yield [within[node].high - within[node].low for node in self.nodes]

    def _sums(self, rows: Iterable[Sequence[float]]) -> list[float]:
        return [sum(column) for column in zip(*rows, strict=True)]

    @property
    def asked(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Arguments and outputs."""
        graph = self.claim.graph
        root, *gradient = [Expr(graph, node) for node in self.nodes]
        inputs = {name: [graph[node] for node in nodes] for name, nodes in self.groups.items()}
        return inputs, {"output": root, "gradient": gradient}

    def compiled(self, target: str) -> compiled.Compiled:
        """The function on a target."""
        return compiled.compile(*self.asked, target=target, batch=self.batch)

    def recipe(self) -> Recipe:
        """What the function is built from on the numpy target."""
        recipe, _ = compiled.recipe_of(*self.asked, _OPTIONS, batch=self.batch)
        return recipe

    def check(self, target: str, results: Sequence[Any]) -> Check:
        """Compare what a target gave with the interpreter, in ulps of the largest number."""
        claim, ulps, error, wrong = self.claim, 0.0, 0.0, ""
        for call, (result, expected) in enumerate(zip(results, self.expected, strict=True)):
            found = [float(result["output"]), *map(float, result["gradient"])]
            largest = max(map(abs, expected))
            for i, (got, wanted) in enumerate(zip(found, expected, strict=True)):
                apart = abs(got - wanted)
                if not math.isfinite(apart):
                    ulps, error = math.inf, math.inf
                elif apart / math.ulp(largest) > ulps:
                    ulps, error = apart / math.ulp(largest), apart / (largest or 1.0)
                near = apart <= FLOOR * math.ulp(largest)
                if not near and not apart <= allowed(self.widths[call][i], largest):
                    name = ("output", *claim.names)[i]
                    wrong = wrong or f"{name} is {got!r}, the interpreter says {wanted!r}"
        way = "a batch" if self.batch else self.written
        method = f"{target}{f', {way},' if way else ''} against the interpreter"
        over = points_text(len(self.calls))
        if self.batch:
            over = f"1 batch of {len(self.samples[0])} samples"
        return Check("compiled", _what(claim), method, not wrong, error, wrong, over, ulps)


def target_checks(
    claim: Claim, points: Sequence[Mapping[int, float]], asked: str
) -> tuple[list[Check], list[str]]:
    """Every target against the interpreter, in ulps; and which were not run, with the reason.

    A target that cannot be run is a failed check if it is the one that was asked for; an engine is
    run only then.
    """
    checks: list[Check] = []
    not_run: list[str] = []
    jobs = list(_jobs(claim, points))
    for name in [asked, *(name for name in targets() if name != asked)]:
        if name != asked and find_target(name).engine:
            continue
        limit = min(MAX_OTHERS, MAX_NODES.get(name, MAX_OTHERS))
        if name != asked and len(claim.live) > limit:
            not_run.append(f"{name}: {len(claim.live):,} nodes are more than {limit:,}")
            continue
        jobs_here = jobs
        try:
            functions = [job.compiled(name) for job in jobs]
            results = _results(functions, [job.calls for job in jobs])
            if claim.arrays is not None and find_target(name).takes_statements:
                jobs_here = [*jobs, replace(jobs[0], written="as arrays")]
                results.append(_array_results(claim.arrays, claim, points, name))
        except Exception as error:
            if name == asked or not isinstance(error, (MissingExtraError, SpellingError)):
                said = f"{type(error).__name__}: {error}"
                method = f"{name} against the interpreter"
                checks.append(Check("compiled", _what(claim), method, False, None, said))
            else:
                not_run.append(f"{name}: {error}")
            continue
        checks += [job.check(name, found) for job, found in zip(jobs_here, results, strict=True)]
    return checks, not_run


def _whole_arrays(arrays: ArrayClaim) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays as arguments and outputs of a function."""
    graph = arrays.graph
    groups = {f"a{i}": graph[node] for i, node in enumerate(arrays.lanes)}
    outputs = {"output": graph[arrays.root]}
    outputs |= {f"d{i}": graph[node] for i, node in enumerate(arrays.gradient)}
    return groups, outputs


def _array_results(
    arrays: ArrayClaim, claim: Claim, points: Sequence[Mapping[int, float]], target: str
) -> list[Any]:
    """What the function of whole arrays gives at the points, element by element."""
    import numpy

    graph = arrays.graph
    function = compiled.compile(*_whole_arrays(arrays), target=target)
    results = []
    for point in points:
        given = []
        for node, lanes in arrays.lanes.items():
            numbers = [claim.number(point, lane) for lane in lanes]
            given.append(numpy.reshape(numbers, graph.shapes.get(node, ())))
        found = called(function, given)
        gradient = [n for i in range(len(arrays.gradient)) for n in numpy.ravel(found[f"d{i}"])]
        results.append({"output": found["output"], "gradient": gradient})
    return results


def _what(claim: Claim) -> str:
    names = claim.names
    return f"output and {', '.join(names) if len(names) <= 3 else f'{len(names):,} derivatives'}"


def _jobs(claim: Claim, points: Sequence[Mapping[int, float]]) -> Iterator[_Job]:
    """The function at each point; and over the points as a batch, if there are inputs to vary."""
    leaves = _leaves(claim)
    groups = {_free_name("leaves", claim): leaves}
    calls = [([claim.number(point, leaf) for leaf in leaves],) for point in points]
    yield _Job(claim, groups, (), calls, [[point] for point in points])
    samples = _sampled(claim, points)
    if samples:
        varying = [n for n in leaves if claim.graph.ops[n] is INPUT and n not in claim.leaves]
        rest = [node for node in leaves if node not in varying]
        name = _free_name("samples", claim)
        fixed = [[claim.number(samples[0], leaf) for leaf in rest]] if rest else []
        rows = [[claim.number(sample, leaf) for leaf in varying] for sample in samples]
        groups = {**({_free_name("leaves", claim): rest} if rest else {}), name: varying}
        yield _Job(claim, groups, (name,), [(*fixed, rows)], [samples])


def _sampled(claim: Claim, points: Sequence[Mapping[int, float]]) -> list[Mapping[int, float]]:
    """The points with one set of parameters, as the samples of a batch; [] where that is none."""
    graph = claim.graph
    wanted = set(claim.leaves)
    varying = [n for n in _leaves(claim) if graph.ops[n] is INPUT and n not in wanted]
    if not varying or len(points) < 2:
        return []
    samples = []
    for point in points:
        moved = {node: point[node] for node in varying if node in point}
        samples.append({**points[0], **moved})
        values = claim.values(samples[-1], claim.live)
        if not all(math.isfinite(values[node]) for node in (claim.root, *claim.gradient)):
            return []
    return list(samples)


def _leaves(claim: Claim) -> list[int]:
    """The leaves that are arguments: those differentiated by, as they were given, and the others.

    Weights and biases that stand side by side there do so in the arrays of the numpy target.
    """
    graph, first = claim.graph, dict.fromkeys(claim.leaves)
    live = [node for node in claim.live if graph.is_leaf(node) and graph.ops[node] is not CONSTANT]
    known = set(live)
    return [*(n for n in first if n in known), *(n for n in live if n not in first)]


def _free_name(name: str, claim: Claim) -> str:
    while name in claim.graph.leaves:
        name += "_"
    return name


def _results(
    functions: Sequence[compiled.Compiled], calls: Sequence[Sequence[tuple[Any, ...]]]
) -> list[list[Any]]:
    """What compiled functions of one target give for their calls, wherever they run."""
    if functions[0].target == "javascript":
        emit = find_target("javascript").emit
        sources = [emit(function.program) for function in functions]
        return run_in_node(list(zip(sources, calls, strict=True)))
    return [
        [called(function, arguments) for arguments in each]
        for function, each in zip(functions, calls, strict=True)
    ]
