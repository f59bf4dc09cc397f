"""A recording: one run of a user's function, of which everything is remembered."""

from __future__ import annotations

import dis
import pickle
import random
import sys
from collections.abc import Callable, Sequence, Set
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from types import TracebackType
from typing import Any, Final

from ..errors import SizeError, TracingError, WengertError, kind_of, shorten
from ..graph.node import Node
from ..graph.sweep import topological
from ..graph.value import Value, constant
from ..ops.scalar import CONSTANT, WHERE
from .active import refuse
from .asked import WHICH, Question
from .contents import Contents, containers_in, first_line, holds_new, storing_line
from .lines import Line, is_beneath, line_of, raised_at, user_line
from .number import Index, Number
from .reach import Reach, draws
from .structure import leaf_paths, named_arguments, nested, replaced
from .watch import SHOWN, watched
from .wholes import GIVEN, Step, row_at

MAX_NODES = 3_000_000
"""How many operations a traced function may have."""


@dataclass(slots=True)
class Picked:
    """A row that is picked at each call: which, of what, and the leaves that stand for it.

    rows     what is picked from, as it is at the time of the call
    step     the step that gives the integer
    leaves   stand for the entries of the row
    single   whether a row is one entry rather than a sequence
    site     which table or place in the code, counted from 0, and which pick there
    """

    rows: Any
    step: int
    leaves: list[Value]
    single: bool
    site: tuple[int, int]

    def row_now(self) -> Sequence[Any]:
        """The entries of the first row."""
        row: Any = self.rows[0]
        return (row,) if self.single else row


@dataclass(slots=True)
class Chosen:
    """An index as a row of 0s and one 1, to choose among computed numbers; a step gives it."""

    step: int
    leaves: list[Value]
    site: tuple[int, int]


@dataclass(slots=True)
class Recording:
    """What one run of a function left.

    now                       the integers of this call
    arguments, named          the arguments it ran on, with leaves in place of numbers and Values
    floats, values, numbers   leaves that stand for the floats, the Values and, where they are used
                              as numbers, the integers of the arguments
    picked, chosen            what is looked up at each call
    outputs, plain, kinds     the Values and numbers that came back, which were numbers, and of
                              what class what is computed from each would be
    result                    the nesting of what came back, with `Output` where these stood
    specialised               places of the integers that Python needed to know, with the lines
    asked                     what was asked of the Values of the arguments, with the lines
    rests                     whether what was read of Values outside is looked at at each call
    refused                   what Python needed to know first and could not be told, if anything
    steps                     what gives the whole numbers that are looked up, or computed with
    made                      the leaves that stand for what is known at each call, by their ids
    """

    now: list[int]
    reach: Reach
    arguments: Any = ()
    named: Any = None
    floats: list[Value] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    numbers: list[tuple[int, Value]] = field(default_factory=list)
    picked: list[Picked] = field(default_factory=list)
    chosen: list[Chosen] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    plain: list[bool] = field(default_factory=list)
    kinds: list[type[Value]] = field(default_factory=list)
    result: Any = None
    specialised: dict[int, list[Line]] = field(default_factory=dict)
    asked: dict[Question, list[Line]] = field(default_factory=dict)
    rests: bool = False
    steps: list[Step] = field(default_factory=list)
    refused: TracingError | None = None
    made: dict[int, Value] = field(default_factory=dict)
    _originals: list[Value] = field(default_factory=list)
    _places: dict[int, int] = field(default_factory=dict)
    _standing: dict[int, Value] = field(default_factory=dict)
    _sites: dict[Any, list[int]] = field(default_factory=dict)
    _known: dict[Any, Any] = field(default_factory=dict)
    _integers: int = 0
    _outside: set[int] | None = None

    def run(self, function: Callable[..., Any], arguments: Any, named: Any) -> None:
        """Run `function`, and remember what it did and what came back."""
        reach = self.reach
        for name, iterator in reach.iterators:
            raise TracingError(
                f"{first_line(reach.codes)}\nthe function reads from {name}, "
                f"{kind_of(iterator)}, which gives something else at every call. Take it from "
                "there outside, and pass it as an argument: a list"
            )
        self.arguments, self.named = self._stand_in(arguments), self._stand_in(named)
        named_ones = named_arguments(function, self.arguments, self.named)
        given = Contents(pair for name, thing in named_ones for pair in containers_in(thing, name))
        values = [(name, value) for value, name in reach.names.items()]
        outside = Contents([*reach.containers, *values], reach.variables, reach.names)
        drawn = Drawn(reach.generators)
        try:
            with watched(self, self._attributes()):
                result = function(*self.arguments, **self.named)
                self.result = nested(result, self._output)
            if self.refused is not None:  # and caught by the function itself
                raise self.refused
            _check_written(given, outside, reach)
        except BaseException as error:
            outside.restore()
            if isinstance(error, IndexError) and "arrays used as indices" in str(error):
                raise TracingError(_by_array(error)) from error
            if isinstance(error, ValueError) and SHOWN in str(error):
                raise TracingError(_by_value(error)) from error
            if _is_of_types(error) and raised_at(error).number:
                raise TracingError(_by_type(error, named_ones)) from error
            raise
        if drawn.has_moved():
            raise TracingError(
                f"{_drawing_line(reach)}\na random number was drawn while the function was traced: "
                "it would be the same at every call. Draw it outside, and pass it as an argument"
            )
        if not any(isinstance(output, Value) for output in self.outputs):
            raise TracingError(
                f"the function returned {shorten(result)}, {kind_of(result)}; expected a Value, or "
                "lists, tuples or dicts of them"
            )

    def _stand_in(self, thing: Any) -> Any:
        return replaced(thing, self._float, self._integer, self._value)

    def _float(self) -> Number:
        self.floats.append(self._leaf(0.0))
        return Number(self.floats[-1])

    def _value(self, value: Value) -> Value:
        place = len(self.values)
        self._originals.append(value)
        if self.reach.identity is not None:  # then one Value has one stand-in, if any at all
            self.asked[Question(place, WHICH)] = [self.reach.identity]
            known = value if value in self.reach.names else self._standing.get(id(value))
            if known is not None:
                self.values.append(self._leaf(0.0))
                return known
        stand_in = self._standing[id(value)] = copy(value)
        stand_in.op, stand_in._a, stand_in._b = None, None, ()
        vars(stand_in).pop("_backward", None)
        self.values.append(stand_in)
        self.made[id(stand_in)] = stand_in
        self._places[id(stand_in)] = place
        return stand_in

    def _leaf(self, number: float) -> Value:
        """A leaf that stands for what is known at each call."""
        leaf = constant(number)
        leaf.op = None
        self.made[id(leaf)] = leaf
        return leaf

    def _attributes(self) -> set[str]:
        """Under which names Values may keep what users gave to them, as far as code reads it."""
        used = self.reach.used
        names = {key for value in (*self.reach.names, *self._originals) for key in vars(value)}
        for name, told in _TELLING.items():
            if not told.isdisjoint(used):
                names.add(name)
        if not _WHOLE.isdisjoint(used):
            for place, value in enumerate(self._originals):
                for name in vars(value):
                    self.asked[Question(place, name)] = [first_line(self.reach.codes)]
        return names

    def stands_for(self, value: Value, asked: str | None) -> Value:
        """The Value that this one stands for, of which an attribute matters from now on."""
        place = self._places.get(id(value))
        if place is not None:
            if asked is not None:
                lines = self.asked.setdefault(Question(place, asked), [])
                line = user_line()
                if line not in lines:
                    lines.append(line)
            return self._originals[place]
        if asked == WHICH and id(value) in self.made:
            refuse(
                "which Value a row of a table has is known only when the function runs: compare "
                "the integers that pick it"
            )
        if asked not in (None, WHICH) and value in self.reach.names:
            self._rest_on(value, str(asked))
        return value

    def _rest_on(self, value: Value, name: str) -> None:
        """Look at an attribute of a Value from outside again at each call."""
        if ("rest", id(value), name) in self._known:
            return
        self._known["rest", id(value), name] = value
        self.rests = True
        read = partial(getattr, value, name, None)
        seen = vars(value).get(name) if name != "label" else vars(Node)["label"].__get__(value)
        self.reach.assumptions.append((read, seen, f"{self.reach.names[value]}.{name}"))

    def _integer(self) -> Index:
        place = self._integers
        self._integers += 1
        return Index(self, self.now[place], frozenset((place,)), self.whole(GIVEN, place))

    def _output(self, thing: Any) -> Any:
        """What stands in the result: the number of an output, or the thing itself."""
        if isinstance(thing, Index):
            return thing.known()
        value = thing.value if isinstance(thing, Number) else thing
        if not isinstance(value, Value):
            if holds_new(thing, self.reach.names):
                raise TracingError(
                    f"{first_line(self.reach.codes)}\nthe function returned {shorten(thing)}, "
                    f"{kind_of(thing)}, with numbers that are known only when it runs; expected a "
                    "Value, or lists, tuples or dicts of them"
                )
            return thing
        self.outputs.append(value)
        self.kinds.append(value._result_kind)
        self.plain.append(isinstance(thing, Number))
        return Output(len(self.outputs) - 1)

    def born(self, value: Value) -> None:
        """A leaf made by the function is a constant: nobody outside has it."""
        value.op = CONSTANT

    def specialise(self, places: frozenset[int]) -> None:
        """Python needs the integers at these places now."""
        line = user_line()
        for place in places:
            lines = self.specialised.setdefault(place, [])
            if line not in lines:
                lines.append(line)

    def whole(self, kind: str, a: int, b: int = 0) -> int:
        """The number of a new step that gives a whole number."""
        self.steps.append(Step(kind, a, b))
        return len(self.steps) - 1

    def number_of(self, index: Index) -> Value:
        """The leaf for an integer that is used as a number."""
        known = self._known.get(("number", id(index)))
        if known is None:
            known = self._known["number", id(index)] = (self._leaf(float(index.now)), index)
            self.numbers.append((index.step, known[0]))
        return known[0]

    def pick(self, rows: Any, index: Index) -> Any:
        """The row of a table at an index that is known at each call."""
        try:
            row_at(range(len(rows)), index.now)
        except IndexError as error:
            raise IndexError(f"{user_line()}\n{error}") from None
        key = ("row", id(rows), id(index))
        if key not in self._known:
            self._known[key] = self._picked(rows, index), rows, index
        return self._known[key][0]

    def _picked(self, rows: Any, index: Index) -> Any:
        row = rows[index.now]
        single = not isinstance(row, (list, tuple))
        entries = [row] if single else list(row)
        trained = self._kind_of_entries(rows, single)
        if trained is None:
            return self._choice(rows, index, single)
        leaves = [self._leaf(float(e._data if isinstance(e, Value) else e)) for e in entries]
        site = self._site(id(rows))
        self.picked.append(Picked(rows, index.step, leaves, single, site))
        made: list[Any] = leaves if trained else [Number(leaf) for leaf in leaves]
        return made[0] if single else made

    def _kind_of_entries(self, rows: Any, single: bool) -> bool | None:
        """Whether the entries of a table are Values, rather than numbers; None for computed ones.

        Tables outside are looked at once: they hold at each pick what they held at the first.
        """
        known = self._known.get(("entries", id(rows)))
        if known is not None:
            return known[0]  # type: ignore[no-any-return]
        kinds = set()
        for entry in rows if single else chain.from_iterable(rows):
            if not self._is_outside(entry):
                return None
            kinds.add(isinstance(entry, Value))
        trained = kinds.pop() if len(kinds) == 1 else None
        if self._outside is None:
            self._outside = {id(thing) for _, thing in self.reach.containers}
        if id(rows) in self._outside:
            self._known["entries", id(rows)] = trained, rows
        return trained

    def _choice(self, rows: Any, index: Index, single: bool) -> Any:
        """A row of a computed table: each entry is a sum, of which all but one term are 0."""
        key = ("choice", id(index), len(rows))
        if key not in self._known:
            line = user_line()
            leaves = [self._leaf(float(k == index.now % len(rows))) for k in range(len(rows))]
            chosen = Chosen(index.step, leaves, self._site((line, len(rows))))
            self.chosen.append(chosen)
            self._known[key] = chosen, index
        leaves = self._known[key][0].leaves

        def entry(column: Any) -> Any:
            first, *rest = [
                WHERE(leaf, item.value if isinstance(item, Number) else item, 0.0)
                for leaf, item in zip(leaves, column, strict=True)
            ]
            return sum(rest, first)

        if single:
            return entry(rows)
        return [entry(column) for column in zip(*rows, strict=True)]

    def _is_outside(self, entry: Any) -> bool:
        """Whether an entry is there before the function runs: a leaf Value, or a number."""
        if isinstance(entry, Value):
            return entry.op is None and id(entry) not in self.made
        return isinstance(entry, (int, float)) and not isinstance(entry, bool)

    def _site(self, key: Any) -> tuple[int, int]:
        counts = self._sites.setdefault(key, [len(self._sites), -1])
        counts[1] += 1
        return counts[0], counts[1]


@dataclass(frozen=True, slots=True)
class Output:
    """Stands for an output, by its number, in what a function returned."""

    number: int


_TELLING: Final = {
    "label": frozenset({"label", "getattr", "attrgetter"}),
    "__getattr__": frozenset({"hasattr", "getattr", "AttributeError", "Exception"}),
}
"""What is watched if code has one of these names."""

_WHOLE: Final = frozenset({"vars", "__dict__"})
"""Where code has these, it may read every attribute."""


def _check_written(given: Contents, outside: Contents, reach: Reach) -> None:
    """A `TracingError` if the function wrote what it computed to where others would read it."""
    argument = given.changed()
    if argument is not None:
        raise TracingError(
            f"{first_line(reach.codes)}\nthe function changes its argument {argument}: a traced "
            "function is given its own copies of lists. Return what it adds, and put that in place "
            "outside of it"
        )
    written = outside.written()
    if written is not None:
        place, key = written
        raise TracingError(
            f"{storing_line(reach.codes, key)}\n{place} would hold a number that is known only "
            "when the function runs, and be written at the first call alone. Return it as well, "
            "and keep it outside of it"
        )


def history(recording: Recording, outside: Set[Value]) -> list[Value]:
    """Everything the outputs were computed from, operands first; a `SizeError` beyond the limit.

    What was computed `outside` is not gone into.
    """
    found = []
    for value in topological(*recording.outputs, known=outside):
        found.append(value)
        if len(found) > MAX_NODES:
            raise SizeError(
                f"the function has more than {MAX_NODES:,} operations; trace a part of it, such as "
                "the loss of one sample, and add up outside"
            )
    return found


class Drawn:
    """How far generators of random numbers are: those that everybody shares, and some others."""

    def __init__(self, generators: Sequence[Any]) -> None:
        numpy = sys.modules.get("numpy.random")
        self._generators = [random, *([] if numpy is None else [numpy]), *generators]
        self._states = [_state(generator) for generator in self._generators]

    def has_moved(self) -> bool:
        """Whether a number was drawn since; if so, they are put back to where they were."""
        states = [_state(generator) for generator in self._generators]
        if pickle.dumps(states) == pickle.dumps(self._states):
            return False
        for generator, state in zip(self._generators, self._states, strict=True):
            if hasattr(generator, "setstate"):
                generator.setstate(state)
            elif hasattr(generator, "set_state"):
                generator.set_state(state)
            else:
                generator.bit_generator.state = state
        return True


def _state(generator: Any) -> Any:
    for name in ("getstate", "get_state"):
        if hasattr(generator, name):
            return getattr(generator, name)()
    return generator.bit_generator.state


def _by_array(error: IndexError) -> str:
    """Where NumPy was given unknown whole numbers for indices, and what to write."""
    at = raised_at(error)
    return (
        f"{at}\nan array was indexed by an array of whole numbers of the arguments, which NumPy "
        "has to know. Pick the rows one by one: [wengert.table(rows)[i] for i in indices]"
    )


def _by_value(error: ValueError) -> str:
    """Where a list was asked for a Value that it does not hold, such as its largest."""
    at = raised_at(error)
    return (
        f"{at}\na list was searched for a Value that it does not hold: of unknown ones, which is "
        "the largest is known only when the function runs. Compute with it as wengert.maximum "
        "gives it, or search outside and pass the index as an argument"
    )


def _is_of_types(error: BaseException) -> bool:
    """Whether Python says of operands or arguments that they are not what they have to be.

    What the user's own code raises is left as it is.
    """
    raw = isinstance(error, TypeError) and not isinstance(error, WengertError)
    if not raw and type(error).__module__ != "struct":
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and not _raises_itself(trace)


def _raises_itself(trace: TracebackType) -> bool:
    """Whether the user's line at the end of a traceback is a `raise`."""
    code = trace.tb_frame.f_code
    return code.co_code[trace.tb_lasti] == dis.opmap["RAISE_VARARGS"] and not is_beneath(
        trace.tb_frame
    )


def _by_type(error: BaseException, arguments: Sequence[tuple[str, Any]]) -> str:
    """Where something was none that it could be computed with, and what there is besides numbers.

    Text and the like beside numbers in a list is named, since nothing else in the call tells.
    """
    leaves = [pair for name, thing in arguments for pair in leaf_paths(thing, name)]
    odd = [
        f"; {path} is {shorten(leaf)}, {kind_of(leaf)}"
        for path, leaf in leaves
        if path.endswith("]") and not isinstance(leaf, (Value, Number, bool))
    ]
    return (
        f"{raised_at(error)}\n{error}{next(iter(odd), '')}. While a function is traced, the "
        "numbers of its arguments are known to Python's operators and wengert's functions alone; "
        "make floats of other numbers, such as float(decimal), and leave text and files to what "
        "calls it"
    )


def _drawing_line(reach: Reach) -> str:
    """Where the code names something that draws random numbers, as far as can be told."""
    found = []
    for code, names in reach.codes:
        number = code.co_firstlineno
        for instruction in dis.get_instructions(code):
            at = instruction.positions
            number = (at and at.lineno) or number
            if instruction.opname != "LOAD_GLOBAL":
                continue
            thing = names.get(instruction.argval)
            owner = getattr(thing, "__self__", thing)
            named = getattr(thing, "__name__", "") in ("random", "numpy", "numpy.random")
            if named or draws(owner):
                line = line_of(code.co_filename, number)
                if thing is not sys.modules.get("numpy") or "random" in line.text:
                    found.append(str(line))
    starts = [str(line_of(code.co_filename, code.co_firstlineno)) for code, _ in reach.codes[:1]]
    return next(iter((*found, *starts)), "?")
