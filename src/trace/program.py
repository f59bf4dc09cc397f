"""From a recording to compiled code, and from the arguments of a call to what it gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..codegen.compiled import Compiled
from ..derive.backward import grad
from ..errors import TracingError
from ..graph.expr import Expr, Graph
from ..graph.store import is_name
from ..graph.value import Value
from ..simplify.stable import stable_form
from .asked import Question
from .assumed import Assumed, Assumption
from .code import Asked, Code
from .inputs import Chosen, Floats, Given, Inputs, Integers, Lookup, Parameters, Rows, Source
from .lines import Line
from .moving import numbers_of, vector, vector_of
from .number import Number
from .outcome import Bundle, Outcome, Part, Slopes, of_kind
from .reach import Reach
from .recording import Output, Recording, history
from .structure import Flat, leaf_paths, nested
from .wholes import needed_steps


@dataclass(frozen=True, slots=True)
class Trace:
    """What one run of a function told, besides what was computed.

    name         the function's
    inputs       where the numbers of a call come from
    parameters   the Values from outside
    result       the nesting of what came back, with `Output` where Values and numbers stood
    plain        which of these were numbers
    kinds        the classes of these
    specialised  the integers that the code is made for alone: their places, with the lines
    asked        what was asked of the Values of the arguments, with the lines
    rests        whether it rests on attributes of Values outside
    nodes        how many operations were traced
    picked       how many numbers are picked from tables
    """

    name: str
    inputs: Inputs
    parameters: tuple[Value, ...]
    result: Any
    plain: tuple[bool, ...]
    kinds: tuple[Any, ...]
    specialised: Mapping[int, list[Line]]
    nodes: int
    picked: int
    asked: Mapping[Question, list[Line]] = field(default_factory=dict)
    rests: bool = False

    @property
    def single(self) -> bool:
        """Whether one Value came back, and nothing else."""
        return self.plain == (False,) and type(self.result) is Output


@dataclass(frozen=True, slots=True)
class Written:
    """What a recording computes, as a graph: the leaves of each argument, and the outputs."""

    graph: Graph
    leaves: Mapping[str, list[Expr]]
    outputs: list[Expr]

    def asked(self, trace: Trace) -> Asked:
        """What is compiled: the output and its derivatives, or all outputs."""
        if not trace.single:
            return Asked(self.leaves, {"outputs": self.outputs})
        gradients = self._gradients(self.outputs[0], trace.inputs.trained)
        return Asked(self.leaves, {"value": self.outputs[0], "gradients": gradients})

    def pulled(self, trace: Trace) -> Asked:
        """The derivatives of several outputs, each times its share, added up."""
        graph, outputs = self.graph, self.outputs
        cotangents = [graph.input(_free(graph, f"ct{k}")) for k in range(len(outputs))]
        terms = [ct * out for ct, out in zip(cotangents, outputs, strict=True)]
        first, *rest = terms
        gradients = self._gradients(sum(rest, first), trace.inputs.trained)
        return Asked({**self.leaves, "cotangents": cotangents}, gradients)

    def _gradients(self, output: Expr, names: Sequence[str]) -> dict[str, list[Expr]]:
        """The derivatives by the leaves of the named groups, group by group."""
        leaves = [leaf for name in names for leaf in self.leaves[name]]
        slopes = iter(grad(output, leaves, allow_unused=True))
        return {name: [next(slopes) for _ in self.leaves[name]] for name in names}


class Program:
    """A traced function as compiled code: for one structure of its arguments.

    trace        what is known of it
    assumed      what was read from outside while tracing, and is looked at again at each call
    code         computes the output and its derivatives, or all outputs where there are several
    pull         gives the code of the derivatives of several outputs
    seconds      how long tracing and compiling took
    from_disk    whether another process has done that
    """

    def __init__(
        self,
        trace: Trace,
        assumptions: Sequence[Assumption],
        code: Code,
        pull: Callable[[], Code],
        seconds: float,
        *,
        from_disk: bool = False,
    ) -> None:
        self.trace = trace
        self.assumed = Assumed(assumptions)
        self.code = code
        self.seconds = seconds
        self.from_disk = from_disk
        self.calls = 0
        self._pull: Callable[[], Code] | Code = pull
        self._outside = [value for value in trace.parameters if value._a is not None]
        self._single = trace.single
        self._kinds: list[Any] = [
            of_kind(Outcome if self._single else Part, kind) for kind in trace.kinds
        ]

    @property
    def compiled(self) -> Compiled:
        """The code that is run now."""
        return self.code.compiled

    @property
    def parameters(self) -> tuple[Value, ...]:
        """The Values from outside."""
        return self.trace.parameters

    @property
    def specialised(self) -> Mapping[int, list[Line]]:
        """The integers that the code is made for alone: their places, with the lines."""
        return self.trace.specialised

    @property
    def nodes(self) -> int:
        """How many operations were traced."""
        return self.trace.nodes

    def __call__(self, flat: Flat) -> Any:
        """What the function gives for the arguments of a call."""
        self.calls += 1
        trace = self.trace
        numbers, values = self._read(flat)
        found = self.code(numbers)
        if self._single:
            slopes = _slopes(values, found["gradients"])
            number, computed = float(found["value"]), self._computed(flat)
            return self._kinds[0].of(number, trace.name, slopes, computed)
        results = [float(number) for number in found["outputs"]]
        every = [value for group in values for value in group]
        pulled = partial(self._pulled, numbers, values)
        bundle = Bundle(trace.name, every, self._computed(flat), len(results), pulled)
        made: list[Any] = [
            number if plain else kind.of(number, trace.name, bundle, place)
            for place, (number, plain, kind) in enumerate(
                zip(results, trace.plain, self._kinds, strict=True)
            )
        ]
        return nested(
            trace.result, lambda leaf: made[leaf.number] if type(leaf) is Output else leaf
        )

    def value_and_slopes(
        self, flat: Flat, numbers: Callable[[Sequence[Value]], Any] = vector_of
    ) -> tuple[float, Slopes]:
        """The number, and the derivative by each Value it depends on; of one output only.

        `numbers` gives the numbers of Values as an array, for code that takes arrays.
        """
        if not self._single:
            raise TracingError(
                f"{self.trace.name} gives several numbers; expected a function that returns one "
                "Value"
            )
        self.calls += 1
        given, values = self._read(flat, numbers)
        found = self.code(given)
        return float(found["value"]), _slopes(values, found["gradients"])

    def _read(
        self, flat: Flat, numbers: Callable[[Sequence[Value]], Any] = vector_of
    ) -> tuple[list[Any], list[Sequence[Value]]]:
        """The numbers of a call, as the code takes them, and the Values among what they are of."""
        inputs = self.trace.inputs
        found, values = inputs.read(flat)
        sources = inputs.sources.values()
        pairs = zip(found, sources, strict=True)
        if self.code.takes_arrays:
            read = [numbers(part) if one.trained else vector(part) for part, one in pairs]
        else:
            read = [numbers_of(part) if one.trained else list(part) for part, one in pairs]
        return read, values

    def _computed(self, flat: Flat) -> list[Value]:
        """The Values among parameters and arguments that were themselves computed."""
        return [*self._outside, *[value for value in flat.values if value._a is not None]]

    def _pulled(
        self, numbers: list[Any], groups: list[Sequence[Value]], shares: list[float]
    ) -> Slopes:
        """The derivatives of the outputs, each times its share, added up."""
        if not isinstance(self._pull, Code):
            self._pull = self._pull()
        taken = vector(shares) if self._pull.takes_arrays else shares
        if self._pull.takes_arrays is not self.code.takes_arrays:
            numbers = [list(part) for part in numbers]
        return _slopes(groups, self._pull([*numbers, taken]))


def written_of(recording: Recording, name: str) -> tuple[Trace, Written]:
    """What a recording told and what it computes; a `TracingError` if there is nothing to learn."""
    reach = recording.reach
    outside = {value for value in reach.names if value._a is not None}
    values = history(recording, outside)
    made = recording.made
    read = {value: None for value in values if value.op is None and id(value) not in made}
    reads = [value for consumer in values for value in consumer.reads]
    read |= {value: None for value in (*recording.outputs, *reads) if value in outside}
    groups, inputs = _inputs(recording, tuple(read), {*values, *read})
    if not inputs.trained:
        raise TracingError(
            f"what {name} gives depends on no Values: there is nothing to differentiate. Make "
            "what it learns Values outside of it, or pass them as arguments"
        )
    trace = Trace(
        name=name,
        inputs=inputs,
        parameters=tuple(read),
        result=recording.result,
        plain=tuple(recording.plain),
        kinds=tuple(recording.kinds),
        specialised=recording.specialised,
        nodes=sum(value._a is not None for value in values),
        picked=sum(len(one.leaves) for one in recording.picked),
        asked=dict(sorted(recording.asked.items())),
        rests=recording.rests,
    )
    graph = Graph()
    leaves = _adopted(graph, groups, _names(recording, reach))
    for chosen in recording.chosen:
        if all(leaf in graph for leaf in chosen.leaves):
            graph.one_hot.append(tuple(map(graph.node_of, chosen.leaves)))
    outputs = [stable_form(graph[graph.node_of(value)]) for value in recording.outputs]
    return trace, Written(graph, leaves, outputs)


def _slopes(values: Sequence[Sequence[Value]], parts: Mapping[str, Any]) -> Slopes:
    return list(zip(values, parts.values(), strict=True))


def _inputs(
    recording: Recording, parameters: tuple[Value, ...], live: set[Value]
) -> tuple[dict[str, list[Value]], Inputs]:
    """The groups of leaves that the outputs depend on, and where their numbers come from."""
    groups: dict[str, list[Value]] = {}
    sources: dict[str, Source] = {}

    def add(name: str, leaves: Sequence[Value], source: Source) -> None:
        if leaves:
            groups[name], sources[name] = list(leaves), source

    add("parameters", parameters, Parameters(parameters))
    floats = [k for k, leaf in enumerate(recording.floats) if leaf in live]
    add("floats", [recording.floats[k] for k in floats], Floats(tuple(floats)))
    given = [k for k, leaf in enumerate(recording.values) if leaf in live]
    add("values", [recording.values[k] for k in given], Given(tuple(given)))
    used = [(step, leaf) for step, leaf in recording.numbers if leaf in live]
    picked = _by_site(recording.picked, live)
    chosen = _by_site(recording.chosen, live)
    lookups = [*picked.values(), *chosen.values()]
    wanted = [step for step, _ in used] + [one.step for some in lookups for one in some]
    steps, places = needed_steps(recording.steps, wanted)
    integers = tuple([places[step] for step, _ in used])
    add("integers", [leaf for _, leaf in used], Integers(integers))
    for site, picks in picked.items():
        rows = tuple(
            [Lookup(one.rows, places[one.step], len(one.leaves), one.single) for one in picks]
        )
        trained = any(isinstance(entry, Value) for one in picks for entry in one.row_now())
        add(f"rows{site}", _leaves(picks), Rows(rows, trained))
    for site, choices in chosen.items():
        pairs = tuple([(places[one.step], len(one.leaves)) for one in choices])
        add(f"chosen{site}", _leaves(choices), Chosen(pairs))
    return groups, Inputs(sources, steps)


def _by_site(lookups: Iterable[Any], live: set[Value]) -> dict[int, list[Any]]:
    """The lookups of which something is used, those at one table or place together."""
    found: dict[int, list[Any]] = {}
    for lookup in lookups:
        if not live.isdisjoint(lookup.leaves):
            found.setdefault(lookup.site[0], []).append(lookup)
    return found


def _leaves(lookups: Iterable[Any]) -> list[Value]:
    return [leaf for lookup in lookups for leaf in lookup.leaves]


def _names(recording: Recording, reach: Reach) -> dict[Value, str]:
    """A name for each leaf, from which arrays are found again: where it lies, or stands."""
    names = dict(reach.names)
    for place, thing in enumerate((*recording.arguments, *recording.named.values())):
        for path, leaf in leaf_paths(thing, f"x{place}"):
            value = leaf._value if type(leaf) is Number else leaf
            if isinstance(value, Value):
                names[value] = "_".join(re.findall(r"\w+", path))
    for kind, lookups in (("row", recording.picked), ("at", recording.chosen)):
        for lookup in lookups:
            site, number = lookup.site
            for k, leaf in enumerate(lookup.leaves):
                names[leaf] = f"{kind}{site}_{number}_{k}"
    for k, (_, leaf) in enumerate(recording.numbers):
        names[leaf] = f"i_{k}"
    return names


def _adopted(
    graph: Graph, groups: Mapping[str, list[Value]], names: Mapping[Value, str]
) -> dict[str, list[Expr]]:
    """The leaves of each group as parameters of the graph, each under a name of its own."""
    return {
        group: [graph.adopt(value, _free(graph, _name(value, names))) for value in values]
        for group, values in groups.items()
    }


def _name(value: Value, names: Mapping[Value, str]) -> str:
    if is_name(value.label):
        return value.label
    name = names.get(value, "")
    return name if is_name(name) else "v"


def _free(graph: Graph, name: str) -> str:
    if name not in graph.leaves:
        return name
    number = len(graph.leaves)
    while f"{name}_{number}" in graph.leaves:
        number += 1
    return f"{name}_{number}"
