"""`function`: a user's own Python function of Values, run compiled."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from functools import update_wrapper
from threading import RLock
from types import MethodType
from typing import Any, Final, overload

from ..codegen.compiled import Compiled
from ..errors import OperandError, TracingError, kind_of, shorten
from ..graph.doors import View
from ..graph.value import Value
from ..graph.written import Report
from ..train.choice import AUTO, check_target
from ..train.optim import Optimizer, find_optimizer
from .active import tracing
from .asked import WHICH, Question, answers
from .code import Options
from .contents import first_line
from .fingerprint import fingerprint
from .kept import Kept
from .making import made
from .moments import Moments
from .moving import listed
from .program import Program, Trace, Written, written_of
from .reach import MAX_COPIED, SAMPLE, Reach, reach_of
from .recording import Recording
from .structure import Flat, described, leaf_paths, named_arguments, structure_of
from .unsteady import UNSTEADY, unsteady

MAX_STRUCTURES: Final = 64
"""For how many structures of arguments a function is compiled; others run as plain Python."""

MAX_SPECIALISATIONS: Final = 16
"""For how many values of the integers that Python needs, at one structure of the arguments."""


MANY_TIMES: Final = 8
"""After how often one thing that the function reads has changed there is a warning."""


class Function:
    """A Python function that is traced once per structure of its arguments, and then run compiled.

    traces   what it was compiled to so far, newest last
    """

    _repr_mimebundle_ = View()

    __name__: str
    __qualname__: str

    def __init__(self, python: Callable[..., Any], options: Options) -> None:
        update_wrapper(self, python)
        self.__wrapped__ = python
        self.__name__ = getattr(python, "__name__", type(python).__name__)
        self.traces: list[Program] = []
        self._options = options
        self._lock = RLock()
        self._known: dict[Any, list[_Specialised]] = {}
        self._shown: dict[Program, tuple[str, list[str], list[str]]] = {}
        # Objects among arguments are told apart by where they are, so they must not go away.
        self._kept: dict[Program, list[Any]] = {}
        self._rebound: dict[str, int] = {}
        self._moments: dict[tuple[type[Optimizer], ...], Moments] = {}
        self._plain_calls = 0
        self._told = False
        self._unsteady: dict[str, None] = {}
        self._sampled: dict[str, None] = {}
        self._untold: str | None = None

    def __reduce__(self) -> str:
        """By its name, as Python's functions are pickled; copies are the function itself."""
        return self.__qualname__

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As a method: the function of the instance, which is then an argument."""
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<traced function {self.__name__}: {len(self.traces)} compiled>"

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """What the function gives: Values, on which `backward` can be called.

        Called while another function is traced, or on expressions, it runs as plain Python.
        """
        if tracing.get() is not None:
            return self.__wrapped__(*arguments, **named)
        flat = Flat()
        program = self._program(arguments, named, flat)
        if program is None:
            return self.__wrapped__(*arguments, **named)
        return program(flat)

    def value_and_grad(self, *arguments: Any, **named: Any) -> tuple[float, dict[Value, float]]:
        """The number the function gives, and the derivative by each Value that it depends on.

        >>> w = Value(3.0)
        >>> square = function(lambda x: w * w * x)
        >>> number, slopes = square.value_and_grad(2.0)
        >>> number, slopes[w]
        (18.0, 12.0)
        """
        program, flat = self._learning(arguments, named)
        number, slopes = program.value_and_slopes(flat)
        found: dict[Value, float] = {}
        for values, part in slopes:
            for value, slope in zip(values, listed(part), strict=True):
                found[value] = found.get(value, 0.0) + slope
        return number, found

    def step(self, optimizer: str | Optimizer, *arguments: Any, **named: Any) -> float:
        """Move all parameters once, to make smaller what the function gives; what that was before.

        Parameters are the leaf Values that the function has depended on at any call so far; those
        that it does not depend on at this call have the gradient 0. Their `grad` stays what it is.
        What the optimizer remembers is kept for each kind of optimizer, so its settings may change
        from step to step.

        >>> from wengert.train.optim import SGD
        >>> w = Value(3.0)
        >>> loss = function(lambda: (w - 1.0) ** 2)
        >>> loss.step(SGD(0.25)), w.data, loss.step(SGD(0.25)), w.data
        (4.0, 2.0, 1.0, 1.5)
        """
        rule = find_optimizer(optimizer)
        with self._lock:  # derivatives at the parameters that are then moved
            program, flat = self._learning(arguments, named)
            moments = self._moments.setdefault(rule.kinds, Moments())
            return moments.step(rule, program, flat)

    @property
    def source(self) -> str:
        """The text of the code that was compiled last."""
        return self.compiled.source

    @property
    def compiled(self) -> Compiled:
        """The function that was compiled last."""
        if not self.traces:
            raise TracingError(f"{self.__name__} has not been called yet, and is not compiled")
        return self.traces[-1].compiled

    def report(self) -> str:
        """What was traced and compiled, for which arguments, and how often it was called.

        Where the code is made for one integer alone, this says which line needed it, and what to
        write instead.
        """
        calls = sum(program.calls for program in self.traces)
        lines = [f"{self.__name__}: {len(self.traces)} compiled, {_count(calls, 'call')}"]
        for program in self.traces:
            arguments, integers, values = self._shown[program]
            trace, code = program.trace, program.code
            kept = " from disk" if program.from_disk else ""
            picked = f" and {trace.picked:,} picked from tables" if trace.picked else ""
            lines.append(
                f"({arguments}): {_count(trace.nodes, 'operation')} -> {code.compiled.target} in "
                f"{program.seconds:.2g} s{kept}, since {code.reason}; "
                f"{_count(len(trace.parameters), 'parameter')}{picked}; "
                f"{_count(program.calls, 'call')}"
            )
            for place, seen in trace.specialised.items():
                lines += [f"  for {integers[place]} alone, needed at {line}" for line in seen]
            for (place, name), seen in trace.asked.items():
                what = f"which Value {values[place]} is"
                what = what if name == WHICH else f"this {name} of {values[place]}"
                lines += [f"  for {what} alone, asked for at {line}" for line in seen]
        if any(program.trace.specialised for program in self.traces):
            lines.append(_CURE)
        lines += [
            f"compiled anew {count} times because {name} was bound anew"
            for name, count in self._rebound.items()
        ]
        lines += [text.replace("\n", ": ") for text in self._unsteady]
        lines += [
            f"{name} holds more than {MAX_COPIED:,} numbers, of which {SAMPLE} are compared at a "
            "call: pass it as an argument if it changes"
            for name in self._sampled
        ]
        if self._untold is not None:
            lines.append(f"not kept on disk: {self._untold}")
        if self._plain_calls:
            lines.append(
                f"{_count(self._plain_calls, 'call')} ran as plain Python: {self._limit_text()}"
            )
        return Report("\n".join(lines))

    def _learning(self, arguments: Any, named: Any) -> tuple[Program, Flat]:
        """The code for these arguments, and what it is called with; there has to be some."""
        flat = Flat()
        program = None if tracing.get() is not None else self._program(arguments, named, flat)
        if program is None:
            raise TracingError(f"{self.__name__} was not compiled for these arguments")
        return program, flat

    def _program(self, arguments: Any, named: Any, flat: Flat) -> Program | None:
        """The code for these arguments, made now if there is none; None to run plain Python."""
        key = structure_of(arguments, flat)
        if named:
            key = key, structure_of(dict(sorted(named.items())), flat)
        if flat.symbolic:
            return None
        program = self._compiled_for(key, flat)
        if program is not None and program.assumed.broken() is None:
            return program
        with self._lock:
            program = self._compiled_for(key, flat)
            if program is not None:
                name = program.assumed.broken()
                if name is None:
                    return program
                self._forget(program, name)
            if self._full(key):
                self._plain_calls += 1
                self._tell()
                return None
            return self._traced(key, arguments, dict(sorted(named.items())), flat)

    def _compiled_for(self, key: Any, flat: Flat) -> Program | None:
        for known in self._known.get(key, ()):
            program = known.programs.get(known.key(flat))
            if program is not None:
                return program
        return None

    def _traced(self, key: Any, arguments: Any, named: Any, flat: Flat) -> Program:
        """Trace the function on these arguments, and compile what was recorded."""
        kinds = dict.fromkeys(type(value) for value in flat.values if type(value) is not Value)
        held = [item for value in flat.values for item in vars(value).values()]
        reach = reach_of(self.__wrapped__, [*flat.objects, *kinds, *held])
        self._tell_unsteady(reach)
        self._sampled |= dict.fromkeys(reach.sampled)

        def record() -> tuple[Trace, Written]:
            recording = Recording(flat.integers, reach)
            recording.run(self.__wrapped__, arguments, named)
            return written_of(recording, self.__name__)

        kept = None
        if self._options.cache_dir is not None:
            found = fingerprint(self.__wrapped__, arguments, named, reach)
            self._untold = found.reason
            kept = None if found.reason else Kept.of(found, self._options)
        program = made(record, reach, flat, self._options, kept)
        if self._untold is None and (program.trace.asked or program.trace.rests):
            self._untold = "it asks for more of Values than their numbers"
        known = self._known.setdefault(key, [])
        special = _Specialised.of(program.trace, reach)
        if special not in known:
            known.append(special)
        known[known.index(special)].programs[special.key(flat)] = program
        self.traces.append(program)
        self._kept[program] = flat.objects
        shown = ", ".join(map(described, (*arguments, *named.values())))
        self._shown[program] = shown, *_leaf_names(self.__wrapped__, arguments, named)
        return program

    def _forget(self, program: Program, name: str) -> None:
        """What was assumed of the outside is no longer so."""
        for known in self._known.values():
            for one in known:
                for integers in [k for k, found in one.programs.items() if found is program]:
                    del one.programs[integers]
        for moments in self._moments.values():
            moments.forget(program)
        self.traces.remove(program)
        del self._shown[program], self._kept[program]
        count = self._rebound[name] = self._rebound.get(name, 0) + 1
        if count == MANY_TIMES:
            text = (
                f"{self.__name__} was compiled anew {count} times, since {name} changes: {_STAYING}"
            )
            warnings.warn(text, RuntimeWarning, stacklevel=5)

    def _full(self, key: Any) -> bool:
        known = self._known.get(key)
        rebound = sum(self._rebound.values()) >= MAX_STRUCTURES
        if known is None:
            return len(self._known) >= MAX_STRUCTURES or rebound
        return sum(len(one.programs) for one in known) >= MAX_SPECIALISATIONS or rebound

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            text = f"{self.__name__} runs as plain Python from here on: {self._limit_text()}"
            warnings.warn(text, RuntimeWarning, stacklevel=5)

    def _tell_unsteady(self, reach: Reach) -> None:
        """Warn, once a line, of what would be frozen though nobody changes it."""
        line = first_line(reach.codes)
        drained = [(line, f"may read from {x} {UNSTEADY}") for x, _ in reach.drained]
        for line, what in (*unsteady(reach.codes), *drained):
            text = f"{line}\n{self.__name__} {what}"
            if text not in self._unsteady:
                self._unsteady[text] = None
                warnings.warn(text, RuntimeWarning, stacklevel=6)

    def _limit_text(self) -> str:
        if sum(self._rebound.values()) >= MAX_STRUCTURES:
            names = ", ".join(self._rebound)
            return f"what it reads changed {MAX_STRUCTURES} times ({names}). {_STAYING}"
        lines = [str(s[0]) for p in self.traces for s in p.trace.specialised.values()]
        needed = f" ({', '.join(dict.fromkeys(lines))})" if lines else ""
        return (
            f"it was compiled for {MAX_STRUCTURES} structures of arguments, or for "
            f"{MAX_SPECIALISATIONS} values of integers that Python needs{needed}. Pass sequences "
            "of few lengths, and numbers that change as floats; pick from wengert.table(rows) by "
            "an integer that changes"
        )


_CURE: Final = (
    "An integer is part of the code where Python needs it. To pick by it from a list write "
    "wengert.table(rows)[i]; to compute with it pass a float; to compare it write wengert.equal"
)


_STAYING: Final = (
    "Pass what changes as an argument, as a float or a list of them; of parameters change .data, "
    "rather than put other Values in their places"
)


@dataclass(frozen=True, slots=True)
class _Specialised:
    """Programs by the integers at some places of the arguments, and by what is asked of Values.

    outside  Values that are told apart by which they are
    """

    places: tuple[int, ...]
    asked: tuple[Question, ...]
    outside: Container[Value] = field(compare=False)
    programs: dict[Any, Program] = field(compare=False, default_factory=dict)

    @classmethod
    def of(cls, trace: Trace, reach: Reach) -> _Specialised:
        """For the integers that a trace needed, and the questions that it asked."""
        asked = tuple(trace.asked)
        outside = frozenset(reach.names) if asked else ()
        return cls(tuple(sorted(trace.specialised)), asked, outside)

    def key(self, flat: Flat) -> tuple[Any, ...]:
        """The integers and answers of a call."""
        integers = tuple([flat.integers[place] for place in self.places])
        if not self.asked:
            return integers
        return integers, answers(self.asked, flat.values, self.outside)


def _leaf_names(function: Any, arguments: Any, named: Any) -> tuple[list[str], list[str]]:
    """The integers of a call, such as `tokens[2] = 5`, and its Values, in their order."""
    given = named_arguments(function, arguments, named)
    leaves = [pair for name, item in given for pair in leaf_paths(item, name)]
    integers = [
        f"{path} = {leaf}"
        for path, leaf in leaves
        if type(leaf) is int or getattr(getattr(leaf, "dtype", None), "kind", "") in ("i", "u")
    ]
    return integers, [path for path, leaf in leaves if isinstance(leaf, Value)]


@overload
def function(python: Callable[..., Any]) -> Function: ...
@overload
def function(
    *, target: str = AUTO, cache_dir: Any = None
) -> Callable[[Callable[..., Any]], Function]: ...
def function(
    python: Callable[..., Any] | None = None, *, target: str = AUTO, cache_dir: Any = None
) -> Any:
    """Compile a Python function of Values: traced once per structure of its arguments.

    target     "auto" for the one that is estimated to be faster, which becomes machine code after
               as many calls as pay for it, or one of `wengert.targets()`
    cache_dir  a directory of yours alone, in which what was traced and compiled is kept for later
               processes, as long as nothing changes that it rests on; what the function reads from
               files, or by names that are put together, is not seen

    The function may loop, call others, and use lists, dicts, objects and NumPy arrays of Values, as
    any Python does. Leaf Values that it finds outside are its parameters, and are read as they are
    at each call. It is called with floats, integers, Values, and lists, tuples, dicts and arrays of
    them. The lengths of these, text, truth values and objects are structure, for each of which it
    is traced anew. An integer that picks from a `wengert.table`, or is computed with, is not; one
    that Python itself needs, in `range`, in `if`, as the index of a plain list, is, and `report`
    names the line.

    What it returns are Values, one or a nesting of them. `backward` adds to the `grad` of the
    parameters, and of the Values among the arguments, as it would without this decorator.

    While it is traced nothing is known but the structure. What needs to know a number (`if`,
    `float`, `math.exp`) is a `TracingError` that names the line and what to write instead. A number
    read with `.data` may be computed with, and no gradient passes through it: so
    `max(v.data for v in logits)` is what it is in plain Python. Attributes of objects, closures and
    globals that the function names are checked at each call, and it is traced anew when they are
    bound to something else.

    >>> w = [Value(0.5), Value(-1.0)]
    >>> @function
    ... def loss(x, y):
    ...     return (sum(a * b for a, b in zip(w, x)) - y) ** 2
    >>> out = loss([1.0, 2.0], 0.5)
    >>> out.backward()
    >>> out.data, [p.grad for p in w]
    (4.0, [-4.0, -8.0])
    """
    check_target(target)
    options = Options(target, cache_dir)
    if python is None:
        return lambda found: function_of(found, options)
    return function_of(python, options)


def function_of(python: Any, options: Options) -> Function:
    """The traced function, if there is a function to trace."""
    if not callable(python):
        raise OperandError(
            f"{shorten(python)} is {kind_of(python)}; expected a function: write @wengert.function "
            "above its def"
        )
    return Function(python, options)


def _count(count: int, thing: str) -> str:
    return f"{count:,} {thing}" + "s" * (count != 1)
