"""From a recording to compiled code, and from the arguments of a call to what it gives."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from ..codegen.compiled import Compiled, compile
from ..codegen.cost import array_microseconds
from ..codegen.program import Nested, flatten
from ..derive.backward import grad
from ..errors import TracingError
from ..graph.expr import Expr, Graph
from ..graph.store import is_name
from ..graph.value import Value
from ..simplify.stable import stable_form
from ..train.choice import AUTO, SMALL, work_of
from .lines import Line
from .number import Number
from .outcome import Bundle, Outcome, Part, Slopes, vector
from .reach import Reach
from .recording import Output, Picked, Recording, history
from .structure import Flat, leaf_paths, nested

LARGE: Final = 20_000
"""Graphs of more nodes stay arrays whatever they cost: as scalars they take long to compile."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a function is compiled."""

    target: str = AUTO
    cache_dir: Any = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where the numbers of a call come from, group by group.

    groups   name of the group → the leaves that stand for its numbers
    read     name of the group → its numbers, given the arguments of the call
    rows     name of the group → the Values of a call that its leaves stand for; of those groups
             alone by which there are derivatives
    """

    groups: dict[str, list[Value]]
    read: dict[str, Callable[[Flat], list[float]]]
    rows: dict[str, Callable[[Flat], Sequence[Value]]]

    def numbers(self, flat: Flat) -> list[list[float]]:
        """The arguments of the compiled function, as lists."""
        return [read(flat) for read in self.read.values()]

    def vectors(self, flat: Flat) -> list[Any]:
        """The arguments of the compiled function, as arrays."""
        return [vector(read(flat)) for read in self.read.values()]

    def values(self, flat: Flat) -> list[Sequence[Value]]:
        """The Values by which there are derivatives, group by group."""
        return [rows(flat) for rows in self.rows.values()]


class Code:
    """A compiled function; where that pays, machine code after so many calls that it has paid.

    compiled  the function
    reason    why for this target
    """

    def __init__(self, inputs: Mapping[str, list[Expr]], outputs: Nested, options: Options) -> None:
        self.compiled, self.reason, self._turn = _chosen(inputs, outputs, options)
        self._made_of = None if self._turn is None else (inputs, outputs, options)
        self._calls = 0

    def __call__(self, *arguments: Any) -> Any:
        """The outputs at these arguments."""
        self._calls += 1
        if self._calls == self._turn and self._made_of is not None:
            inputs, outputs, options = self._made_of
            self.compiled = _compiled(inputs, outputs, "native", options)
            self.reason = f"it has been called {self._turn:,} times, which pays for machine code"
            self._made_of = None
        return self.compiled(*arguments)


class Program:
    """A traced function as compiled code: for one structure of its arguments.

    compiled     computes the output and its derivatives, or all outputs where there are several
    parameters   the Values from outside
    assumptions  what was read from outside while tracing, and is looked at again at each call
    specialised  the integers that the code is made for alone: their places, with the lines
    nodes        how many operations were traced
    picked       how many numbers are picked from tables, in words
    reason       why this target
    seconds      how long tracing and compiling took
    """

    def __init__(self, name: str, recording: Recording, reach: Reach, options: Options) -> None:
        start = time.perf_counter()
        outside = {value for value in reach.names if value._a is not None}
        values = history(recording, outside)
        made = recording.made
        read = {value: None for value in values if value.op is None and value not in made}
        reads = [value for consumer in values for value in consumer.reads]
        read |= {value: None for value in (*recording.outputs, *reads) if value in outside}
        self.parameters = tuple(read)
        self._outside = [value for value in read if value in outside]
        self.name = name
        self.assumptions = reach.assumptions
        self.specialised: dict[int, list[Line]] = recording.specialised
        picked = sum(len(one.leaves) for one in recording.picked)
        self.picked = f" and {picked:,} picked from tables" if picked else ""
        self.nodes = sum(value._a is not None for value in values)
        self.calls = 0
        live = {*values, *read}
        self._inputs = _inputs(recording, self.parameters, live)
        if not self._inputs.rows:
            raise TracingError(
                f"what {name} gives depends on no Values: there is nothing to differentiate. Make "
                "what it learns Values outside of it, or pass them as arguments"
            )
        self._result = recording.result
        self._plain = recording.plain
        self._single = recording.plain == [False] and type(self._result) is Output
        graph = Graph()
        self._leaves = _adopted(graph, self._inputs.groups, _names(recording, reach))
        outputs = [stable_form(graph[graph.node_of(value)]) for value in recording.outputs]
        self._options, self._pull = options, None
        if self._single:
            wanted: Any = {"value": outputs[0], "gradients": self._gradients(outputs[0])}
            self._graph = None
        else:
            wanted = {"outputs": outputs}
            self._graph = graph, outputs
        self._code = Code(self._leaves, wanted, options)
        if self._single:
            self._leaves = {}  # and with them the graph: nothing else will be derived
        self.seconds = time.perf_counter() - start

    @property
    def compiled(self) -> Compiled:
        """The code that is run now."""
        return self._code.compiled

    @property
    def reason(self) -> str:
        """Why for this target."""
        return self._code.reason

    def _read(self, flat: Flat) -> list[Any]:
        """The numbers of a call, as the code takes them."""
        arrays = self._code.compiled.takes_arrays
        return self._inputs.vectors(flat) if arrays else self._inputs.numbers(flat)

    def _gradients(self, output: Expr) -> dict[str, list[Expr]]:
        """The derivatives by the leaves of each group, group by group."""
        names = list(self._inputs.rows)
        leaves = [leaf for name in names for leaf in self._leaves[name]]
        slopes = iter(grad(output, leaves, allow_unused=True))
        return {name: [next(slopes) for _ in self._leaves[name]] for name in names}

    def __call__(self, flat: Flat) -> Any:
        """What the function gives for the arguments of a call."""
        self.calls += 1
        if self._single:
            number, slopes = self._slopes(flat)
            return Outcome(number, self.name, slopes, self._computed(flat))
        numbers = self._read(flat)
        found = [float(number) for number in self._code(*numbers)["outputs"]]
        groups = self._inputs.values(flat)
        pulled = partial(self._pulled, numbers, groups)
        values = [value for group in groups for value in group]
        bundle = Bundle(self.name, values, self._computed(flat), len(found), pulled)
        made: list[Any] = [
            number if plain else Part(number, self.name, bundle, place)
            for place, (number, plain) in enumerate(zip(found, self._plain, strict=True))
        ]
        return nested(
            self._result, lambda leaf: made[leaf.number] if type(leaf) is Output else leaf
        )

    def _computed(self, flat: Flat) -> list[Value]:
        """The Values among parameters and arguments that were themselves computed."""
        return [*self._outside, *[value for value in flat.values if value._a is not None]]

    def _slopes(self, flat: Flat) -> tuple[float, Slopes]:
        found = self._code(*self._read(flat))
        parts = found["gradients"].values()
        return float(found["value"]), list(zip(self._inputs.values(flat), parts, strict=True))

    def value_and_slopes(self, flat: Flat) -> tuple[float, Slopes]:
        """The number, and the derivative by each Value it depends on; of one output only."""
        if not self._single:
            raise TracingError(
                f"{self.name} gives several numbers; expected a function that returns one Value"
            )
        self.calls += 1
        return self._slopes(flat)

    def _pulled(
        self, numbers: list[Any], groups: list[Sequence[Value]], shares: list[float]
    ) -> Slopes:
        """The derivatives of the outputs, each times its share, added up."""
        if self._pull is None:
            assert self._graph is not None
            graph, outputs = self._graph
            cotangents = [graph.input(_free(graph, f"ct{k}")) for k in range(len(outputs))]
            terms = [ct * out for ct, out in zip(cotangents, outputs, strict=True)]
            first, *rest = terms
            gradients = self._gradients(sum(rest, first))
            inputs = {**self._leaves, "cotangents": cotangents}
            self._pull = Code(inputs, gradients, self._options)
        return list(zip(groups, self._pull(*numbers, shares).values(), strict=True))

    _graph: tuple[Graph, list[Expr]] | None
    _pull: Code | None


def _inputs(recording: Recording, parameters: Sequence[Value], live: set[Value]) -> Inputs:
    """The groups of leaves that the outputs depend on, and where their numbers come from."""
    inputs = Inputs({}, {}, {})

    def add(
        name: str,
        leaves: list[Value],
        read: Callable[[Flat], list[float]],
        rows: Callable[[Flat], Sequence[Value]] | None = None,
    ) -> None:
        if leaves:
            inputs.groups[name], inputs.read[name] = leaves, read
            if rows is not None:
                inputs.rows[name] = rows

    def numbers_of(values: Callable[[Flat], Sequence[Value]]) -> Callable[[Flat], list[float]]:
        return lambda flat: [value._data for value in values(flat)]

    def these(_: Flat) -> Sequence[Value]:
        return parameters

    add("parameters", list(parameters), numbers_of(these), these)
    floats = [k for k, leaf in enumerate(recording.floats) if leaf in live]
    add(
        "floats",
        [recording.floats[k] for k in floats],
        lambda flat: [flat.floats[k] for k in floats],
    )
    values = [k for k, leaf in enumerate(recording.values) if leaf in live]

    def given(flat: Flat) -> Sequence[Value]:
        return [flat.values[k] for k in values]

    add("values", [recording.values[k] for k in values], numbers_of(given), given)
    integers = [(compute, leaf) for compute, leaf in recording.numbers if leaf in live]
    add(
        "integers",
        [leaf for _, leaf in integers],
        lambda flat: [float(compute(flat.integers)) for compute, _ in integers],
    )
    for site, picks in _by_site(recording.picked, live).items():
        entries = partial(_entries, picks)
        if any(isinstance(entry, Value) for pick in picks for entry in _row(pick, 0)):
            add(f"rows{site}", _leaves(picks), numbers_of(entries), entries)
        else:
            add(f"rows{site}", _leaves(picks), entries)
    for site, choices in _by_site(recording.chosen, live).items():
        add(f"chosen{site}", _leaves(choices), partial(_one_hot, choices))
    return inputs


def _by_site(lookups: Iterable[Any], live: set[Value]) -> dict[int, list[Any]]:
    """The lookups of which something is used, those at one table or place together."""
    found: dict[int, list[Any]] = {}
    for lookup in lookups:
        if not live.isdisjoint(lookup.leaves):
            found.setdefault(lookup.site[0], []).append(lookup)
    return found


def _leaves(lookups: Iterable[Any]) -> list[Value]:
    return [leaf for lookup in lookups for leaf in lookup.leaves]


def _entries(picks: list[Picked], flat: Flat) -> list[Any]:
    """The entries of the rows that are picked by the arguments of a call."""
    return [entry for pick in picks for entry in _row(pick, pick.index(flat.integers))]


def _row(pick: Picked, index: int) -> Sequence[Any]:
    if not -len(pick.rows) <= index < len(pick.rows):
        raise IndexError(f"index {index} of a table of {len(pick.rows)} rows")
    row: Any = pick.rows[index]
    entries = (row,) if pick.single else row
    if len(entries) != len(pick.leaves):
        raise TracingError(
            f"row {index} of a table has {len(entries)} entries; expected {len(pick.leaves)}, as "
            "the row that was traced had"
        )
    return entries


def _one_hot(choices: list[Any], flat: Flat) -> list[float]:
    """For each index a row of 0s with a 1 at its place."""
    numbers: list[float] = []
    for choice in choices:
        index, count = choice.index(flat.integers), len(choice.leaves)
        if not -count <= index < count:
            raise IndexError(f"index {index} of a table of {count} rows")
        row = [0.0] * count
        row[index] = 1.0
        numbers += row
    return numbers


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


def _chosen(
    inputs: Mapping[str, list[Expr]], outputs: Nested, options: Options
) -> tuple[Compiled, str, int | None]:
    """What is estimated to be faster, why, and after how many calls machine code has paid."""
    if options.target != AUTO:
        return _compiled(inputs, outputs, options.target, options), "as asked", None
    work = work_of(inputs, outputs, ())
    slow = work.microseconds(1)
    if slow < SMALL:
        python = _compiled(inputs, outputs, "python", options)
        reason = f"{work.update:,} operations are too few for arrays to gain"
        return python, reason, work.calls_to_native(slow)
    arrays = _compiled(inputs, outputs, "numpy", options)
    count, fast = len(arrays.program.instructions), array_microseconds(arrays.program, 1)
    turn = work.calls_to_native(min(slow, fast))
    if fast < slow or len(_graph_of(outputs)) >= LARGE:
        return arrays, f"{work.update:,} operations are {count:,} on arrays", turn
    python = _compiled(inputs, outputs, "python", options)
    return python, f"{work.update:,} operations would be {count:,} on arrays, no gain", turn


def _compiled(
    inputs: Mapping[str, list[Expr]], outputs: Nested, target: str, options: Options
) -> Compiled:
    whole = len(_graph_of(outputs)) < LARGE or target != "native"
    return compile(inputs, outputs, target=target, simplify=whole, cache_dir=options.cache_dir)


def _graph_of(outputs: Nested) -> Graph:
    return next(expr for _, expr in flatten(outputs)).graph  # type: ignore[no-any-return]
