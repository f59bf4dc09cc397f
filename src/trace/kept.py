"""Traces kept on disk: what was compiled for a function, for the same function in other processes.

Under the digest of a function and its arguments (see `fingerprint`) stands for which integers code
was made; under the digest of these as well, what the trace told and the code. Everything is written
and checked as the cache of compiled functions is (`wengert.codegen.diskcache`).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..codegen.build import Built, Recipe
from ..codegen.builttext import built_of, text_of
from ..codegen.compiled import Compiled, made
from ..codegen.diskcache import keep_text, kept_text, release
from ..codegen.native.host import available
from ..codegen.target import find_target
from ..graph.value import Value
from .code import Asked, Code, Options
from .fingerprint import Fingerprint
from .inputs import Chosen, Floats, Given, Inputs, Integers, Lookup, Parameters, Rows, Source
from .lines import Line
from .program import Trace
from .recording import Output
from .wholes import Step

_BY_PLACES = {kind.__name__: kind for kind in (Floats, Given, Integers)}


@dataclass(frozen=True, slots=True)
class Kept:
    """Where what was compiled for one function and one structure of arguments is kept.

    name    of the entry that says for which integers there is something
    things  what the function reaches, by number: what an entry refers to
    """

    name: str
    things: Sequence[Any]
    options: Options

    @classmethod
    def of(cls, found: Fingerprint, options: Options) -> Kept:
        """The place for a function that has this fingerprint."""
        asked = found.digest, options.target, available(), release(), sys.version, _numpy()
        return cls(hashlib.sha256(repr(asked).encode()).hexdigest(), found.things, options)

    def trace(self, integers: Sequence[int]) -> tuple[Trace, str] | None:
        """What was told for a call with these integers, and the name of its code; or None."""
        for places in self._places():
            name = self._under(tuple([(place, integers[place]) for place in places]))
            text = kept_text(self.options.cache_dir, name)
            if text is not None:
                return _trace_read(json.loads(text), self.things), name
        return None

    def keep_trace(self, trace: Trace, integers: Sequence[int]) -> str | None:
        """Keep what was told; the name for its code, or None where it cannot be told in words."""
        if trace.asked or trace.rests:
            return None
        told = _trace_told(trace, {id(thing): number for number, thing in enumerate(self.things)})
        if told is None:
            return None
        places = sorted(trace.specialised)
        name = self._under(tuple([(place, integers[place]) for place in places]))
        keep_text(self.options.cache_dir, name, json.dumps(told))
        known = self._places()
        if places not in known:
            keep_text(self.options.cache_dir, self.name, json.dumps([*known, places]))
        return name

    def code(self, name: str, asked: Callable[[], Asked], values: Any) -> Code | None:
        """The code that is kept under a name; `asked` gives what it was compiled from."""
        text = kept_text(self.options.cache_dir, name)
        if text is None:
            return None
        told = json.loads(text)
        target = find_target(told["target"])
        if told["machine"] != target.machine():
            return None
        built = built_of(told["built"], target.load)
        codes: list[Code] = []

        def recipe() -> Recipe:
            return codes[0].compiled_anew().recipe

        compiled = made(recipe, built, target, check=False, values=values)
        code = Code(compiled, told["reason"], told["turn"], asked, self.options)
        codes.append(code)
        return code

    def keep_code(self, name: str, code: Code) -> None:
        """Keep code, or what has become of it, under a name."""
        compiled = code.compiled
        told = {
            "target": compiled.target,
            "machine": find_target(compiled.target).machine(),
            "reason": code.reason,
            "turn": code.turn,
            "built": text_of(_built_of(compiled)),
        }
        keep_text(self.options.cache_dir, name, json.dumps(told))

    def _places(self) -> list[list[int]]:
        text = kept_text(self.options.cache_dir, self.name)
        return [] if text is None else json.loads(text)

    def _under(self, integers: object) -> str:
        return hashlib.sha256(repr((self.name, integers)).encode()).hexdigest()


@lru_cache(maxsize=1)
def _numpy() -> str:
    """Which NumPy there is, loaded or not: its functions of arrays of Values are traced as well."""
    try:
        return version("numpy")
    except PackageNotFoundError:
        return ""


def part_of(name: str, part: str) -> str:
    """The name of something that belongs to an entry."""
    return hashlib.sha256(f"{name} {part}".encode()).hexdigest()


def _built_of(compiled: Compiled) -> Built:
    return Built(
        compiled.program,
        compiled.emitted,
        compiled.function,
        compiled.derivatives,
        compiled.passes,
    )


class _UnknownError(Exception):
    """Something that is not among the things that the function reaches."""


def _trace_told(trace: Trace, numbers: dict[int, int]) -> dict[str, Any] | None:
    """What a trace told, as JSON; None where it has things that are not numbered."""

    def number(thing: Any) -> int:
        if id(thing) not in numbers:
            raise _UnknownError
        return numbers[id(thing)]

    try:
        sources = [
            [name, *_source_told(source, number)] for name, source in trace.inputs.sources.items()
        ]
        return {
            "name": trace.name,
            "sources": sources,
            "steps": [list(step) for step in trace.inputs.steps],
            "parameters": [number(value) for value in trace.parameters],
            "result": _result_told(trace.result),
            "plain": trace.plain,
            "kinds": [None if kind is Value else number(kind) for kind in trace.kinds],
            "specialised": [
                [place, [list(line) for line in lines]]
                for place, lines in trace.specialised.items()
            ],
            "nodes": trace.nodes,
            "picked": trace.picked,
        }
    except _UnknownError:
        return None


def _source_told(source: Source, number: Callable[[Any], int]) -> list[Any]:
    kind = type(source).__name__
    if isinstance(source, Parameters):
        return [kind]
    if isinstance(source, Rows):
        lookups = [[number(x.rows), x.step, x.width, x.single] for x in source.lookups]
        return [kind, lookups, source.trained]
    return [kind, source.choices if isinstance(source, Chosen) else source.places]


def _trace_read(told: dict[str, Any], things: Sequence[Any]) -> Trace:
    parameters = tuple([things[number] for number in told["parameters"]])

    def source(kind: str, *rest: Any) -> Source:
        if kind == "Parameters":
            return Parameters(parameters)
        if kind == "Rows":
            lookups, trained = rest
            return Rows(tuple([Lookup(things[x[0]], *x[1:]) for x in lookups]), trained)
        if kind == "Chosen":
            return Chosen(tuple([(step, count) for step, count in rest[0]]))
        return _BY_PLACES[kind](tuple(rest[0]))

    sources = {name: source(*rest) for name, *rest in told["sources"]}
    return Trace(
        name=told["name"],
        inputs=Inputs(sources, tuple([Step(*step) for step in told["steps"]])),
        parameters=parameters,
        result=_result_read(told["result"]),
        plain=tuple(told["plain"]),
        kinds=tuple([Value if kind is None else things[kind] for kind in told["kinds"]]),
        specialised={
            place: [Line(*line) for line in lines] for place, lines in told["specialised"]
        },
        nodes=told["nodes"],
        picked=told["picked"],
    )


def _result_told(result: Any) -> Any:
    kind = type(result)
    if kind is Output:
        return ["output", result.number]
    if kind in (list, tuple):
        return [kind.__name__, [_result_told(item) for item in result]]
    if kind is dict and all(type(key) in (str, int) for key in result):
        return ["dict", [[key, _result_told(item)] for key, item in result.items()]]
    if kind in (str, int, float, bool, type(None)):
        return ["plain", result]
    raise _UnknownError


def _result_read(told: Any) -> Any:
    kind, inner = told
    if kind == "output":
        return Output(inner)
    if kind == "dict":
        return {key: _result_read(item) for key, item in inner}
    if kind == "plain":
        return inner
    items = [_result_read(item) for item in inner]
    return items if kind == "list" else tuple(items)
