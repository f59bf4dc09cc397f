"""What an operation is: one record that every other part of the package reads.

An operation is applied by calling its record, to any kind of number: floats are evaluated, `Value`s
are evaluated and remembered, `Expr`s become a new node of their graph, sympy expressions become
sympy expressions.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral, Real
from string import Formatter
from types import CodeType, FunctionType
from typing import Any, ClassVar, Final, NoReturn, Protocol, TypeVar, overload

from ..errors import OperandError, SpellingError, UnknownNameError, kind_of, shorten
from ..storage import restore
from .shapes import Shape, broadcast, is_array, shape_of, within_memory

COMPARISON, SUM, PRODUCT, UNARY, POWER, ATOM = 5, 10, 20, 25, 30, 100
"""How tightly a piece of text binds; text of a lower level needs parentheses in a tighter slot."""


_OPERATOR: Final = re.compile(r"\{0\} ?([^\s{}\w]+) ?\{1\}")


@dataclass(frozen=True)
class Notation:
    """How an operation is written in one language.

    template  holds `{0}`, `{1}` for the operands and `{name}` for static arguments
    binds     how tightly the whole binds
    slots     how tightly each operand must bind to stand without parentheses
    out       for NumPy, the call that writes the value into memory of its shape, `{out}`; operands
              stand in it as arguments. None, and each value gets memory of its own
    define    what the template calls and the language lacks: a Python function, whose text is
              copied into the code (with the names of `math`, or NumPy as `np`), or that text
    """

    __setstate__ = restore

    template: str
    binds: int = ATOM
    slots: tuple[int, ...] = (0, 0, 0)
    out: str | None = None
    define: Callable[..., Any] | str | None = None

    @property
    def operator(self) -> str:
        """The sign between two operands, where it is written as that and nothing else.

        >>> infix(" + ", SUM).operator, call("tanh").operator
        ('+', '')
        """
        found = _OPERATOR.fullmatch(self.template)
        return found[1] if found else ""


def infix(sign: str, level: int, out: str | None = None) -> Notation:
    """A left-associative binary operator: the right operand needs the tighter level."""
    return Notation(f"{{0}}{sign}{{1}}", level, (level, level + 1), out)


def call(name: str, *arguments: str, define: Callable[..., Any] | str | None = None) -> Notation:
    """A function call of the operands, or of the `arguments` given as template text."""
    return Notation(f"{name}({', '.join(arguments or ('{0}',))})", define=define)


def ufunc(name: str, *arguments: str) -> Notation:
    """A call of NumPy's universal function of that name, which can also write into given memory.

    >>> ufunc("exp").template, ufunc("exp").out
    ('np.exp({0})', 'np.exp({0}, out={out})')
    """
    text = ", ".join(arguments or ("{0}",))
    return Notation(f"np.{name}({text})", out=f"np.{name}({text}, out={{out}})")


class Recorded(Protocol):
    """What records operations: a `Value`, or an `Expr`."""

    op_rank: ClassVar[float]


R = TypeVar("R", bound=Recorded)

Spelling = Notation | Callable[..., Notation]
"""A notation, or a function of the static arguments that answers one."""

LINEAR: Final = ("together", "each", "first", "")
"""What an operation can be linear in: all its operands together, as a sum; each while the others
are held, as a product; the first alone, as a quotient; none."""

COSTS: Final[Mapping[str, float]] = {"python": 30.0, "numpy": 3.0}
"""Nanoseconds where a record does not say: an operation in Python, an element in NumPy."""


@dataclass(frozen=True, eq=False, repr=False)
class Op:
    """One operation, everything that is known about it.

    The first seven say what it is; the rest has defaults that are safe and may be slow or vague.

    name        the field's name for it
    arity       how many operands it takes; -1 for any number
    evaluate    its value on floats, IEEE 754 throughout (never raises)
    sympy       its meaning: called with the sympy module, the operands and the static arguments
    vjp         one rule per operand, `rule(ct, out, *operands, *statics)`: the operand's share of
                the cotangent `ct`; written with operators and operations alone, so the same text
                runs on floats, graph nodes and sympy symbols; None where the derivative is zero
                everywhere
    notation    how it is written: "text", "latex", and an entry per target; "python-ieee" where
                Python would raise. An entry is a `Notation`, or a function of the static arguments
                that answers one
    sentence    what its derivative rule says, for a reader who is learning it
    domain      an interval per operand to sample when checking
    statics     names of the arguments that are numbers fixed in the graph, after the operands
    defaults    values of the last static arguments when left out
    trials      static arguments that checks try, one tuple for each try; or the defaults, or ones
    kink        the convention where the derivative does not exist, if there is such a point
    differentiable  False when asking for a derivative through it is a mistake
    interval    where its value lies, an `Interval`, given those of the operands, then the static
                arguments; None for "anywhere" (rules to choose from: `wengert.ops.intervals`)
    absorbs_nan  True where the value may be a number though an operand is nan
    undefined   given intervals as `interval` is, what goes wrong in them, such as "domain" or
                "division by zero"; "" where the operation is defined in all of them
    identity    what leaves the other operand as it is, which a reduction starts from; None where
                nothing does, or nothing is reduced by it
    spoken      what prose calls it; its name, with spaces, unless it says so
    cost        nanoseconds: "python" for one as part of an expression, "numpy" for an element
    commutative  True where operands may trade places without changing a bit of the value
    linear      "together", "each", "first" or "", see `LINEAR`; what is linear passes a cotangent
                of 0 back as 0 whatever its finite factors. None: nobody said, so nothing is
                concluded; an operation on whole arrays has to say
    chooses     True where its value is that of an operand, its sign aside, or a fixed number, so
                that nothing in it overflows
    truth       True where what is written is a truth value; the value is 1.0 or 0.0
    conditions  the places of operands that are read as truth values
    decreed     True where the derivative is laid down, not that of the meaning
    gate        for an operation that passes its cotangent on one side of a threshold alone: given
                the operands, then the static arguments, the condition under which the first operand
                gets it; others get it at most where that does not hold
    kernel      its value by arithmetic, or by the C library, for the native target: called with a
                machine, the operands and the static arguments (`wengert.ops.kernels`). Without
                one, or where it answers None, machine code asks `evaluate`, which takes about a
                microsecond
    rounded     True where its value is the float nearest to the true one, or true itself, so that
                NumPy's function of its name gives the same to the bit
    shape       for an operation on whole arrays, the shape of its value: called with the shapes
                of the operands, then the static arguments; None where it works element by element
    jvp         for an operation on whole arrays, one rule per operand, `rule(t, out, *operands,
                *statics)`: what the operand's tangent `t` adds to that of the value; element by
                element this is the rule of `vjp`
    meaning     for an operation on whole arrays, what its elements are, in index notation: see
                `wengert.ops.meanings`. What is computed of it, but by `evaluate`, is read off that
    places      for an operation on whole arrays that is not linear, one that is and whose elements
                go the same ways, as a sum's do for a maximum's
    """

    name: str
    arity: int
    evaluate: Callable[..., float]
    sympy: Callable[..., Any]
    vjp: Sequence[Callable[..., Any] | None]
    notation: Mapping[str, Spelling]
    sentence: str
    domain: tuple[tuple[float, float], ...] = ()
    statics: tuple[str, ...] = ()
    defaults: tuple[float, ...] = ()
    trials: tuple[tuple[float, ...], ...] = ()
    kink: str = ""
    differentiable: bool = True
    interval: Callable[..., Any] | None = None
    absorbs_nan: bool = False
    undefined: Callable[..., str] | None = None
    identity: float | None = None
    spoken: str = ""
    cost: Mapping[str, float] = field(default_factory=dict)
    commutative: bool = False
    linear: str | None = None
    chooses: bool = False
    truth: bool = False
    conditions: tuple[int, ...] = ()
    decreed: bool = False
    gate: Callable[..., Any] | None = None
    kernel: Callable[..., Any] | None = None
    rounded: bool = False
    shape: Callable[..., tuple[int, ...]] | None = None
    jvp: Sequence[Callable[..., Any] | None] | None = None
    places: Op | None = None
    meaning: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        notes = [f"{self.signature}: the {self.name} operation.", "", self.sentence]
        if self.kink:
            notes += ["", f"Where the derivative does not exist: {self.kink}."]
        object.__setattr__(self, "__doc__", "\n".join(notes))
        complaint = _complaint(self)
        if complaint:
            raise OperandError(f"the record of {self.name}: {complaint}")

    @cached_property
    def float_rules(self) -> tuple[Callable[..., Any] | None, ...]:
        """The rules of `vjp`, quicker on floats: the operations that they name are evaluated."""
        return tuple([None if rule is None else _on_floats(rule) for rule in self.vjp])

    @property
    def prose(self) -> str:
        """What prose calls it.

        >>> from wengert.ops.scalar import LEAKY_RELU, POW_CONST
        >>> LEAKY_RELU.prose, POW_CONST.prose
        ('leaky relu', 'power')
        """
        return self.spoken or self.name.replace("_", " ")

    @property
    def signature(self) -> str:
        """How it is called, as text.

        >>> from wengert.ops.scalar import LEAKY_RELU
        >>> LEAKY_RELU.signature
        'leaky_relu(x, slope=0.01)'
        """
        operands = ["x"] if self.arity == 1 else list("abcdef"[: max(self.arity, 0)]) or ["*x"]
        required = len(self.statics) - len(self.defaults)
        fixed = [*self.statics[:required]]
        fixed += [
            f"{name}={value}"
            for name, value in zip(self.statics[required:], self.defaults, strict=True)
        ]
        return f"{self.name}({', '.join(operands + fixed)})"

    @property
    def settings(self) -> tuple[tuple[float, ...], ...]:
        """The static arguments that checks try, as a tuple for each try.

        >>> from wengert.ops.scalar import LEAKY_RELU, TANH
        >>> LEAKY_RELU.settings, TANH.settings
        (((0.01,), (0.3,), (-0.5,)), ((),))
        """
        required = len(self.statics) - len(self.defaults)
        return self.trials or ((*(1.0,) * required, *self.defaults),)

    def __repr__(self) -> str:
        return f"<operation {self.signature}>"

    def __copy__(self) -> Op:
        return self

    def __deepcopy__(self, memo: object) -> Op:
        """The record itself: operations are told apart by identity."""
        return self

    @overload
    def __call__(self, first: float, /, *rest: float) -> float: ...
    @overload
    def __call__(self, first: R, /, *rest: Any) -> R: ...
    @overload
    def __call__(self, first: float, second: R, /, *rest: Any) -> R: ...
    @overload
    def __call__(self, /, *arguments: Any) -> Any: ...
    def __call__(self, /, *arguments: Any) -> Any:
        """Apply to `arity` operands, then the static arguments."""
        if len(arguments) == 1 == self.arity and not self.statics:  # most calls, and the quickest
            apply = getattr(type(arguments[0]), "apply_op", None)
            if apply is not None:
                return apply(arguments[0], self, arguments)
        arguments = self._complete(arguments)
        count = self.arity if self.arity > 0 else len(arguments) - len(self.statics)
        operands = arguments[:count]
        carrier = max(operands, key=_rank)
        rank = _rank(carrier)
        statics = arguments[len(operands) :]
        if self.statics and self.shape is None and rank != _SYMPY_RANK:
            statics = _plain_statics(self, statics)
        if rank == 0:
            return self.evaluate(*operands, *statics)
        if rank == _SYMPY_RANK:
            return self.sympy(sys.modules["sympy"], *arguments)
        if rank in (_UNBOXED_RANK, _ARRAY_RANK):
            return apply_to_arrays(self, operands, statics)
        return carrier.apply_op(self, operands, statics)

    def _complete(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        missing = self.arity + len(self.statics) - len(arguments)
        if missing == 0 or (self.arity < 0 and arguments):
            return arguments
        if 0 < missing <= len(self.defaults):
            return arguments + self.defaults[-missing:]
        raise OperandError(
            f"{self.signature} takes {self.arity} operand{'s' * (self.arity != 1)}"
            f"{f' and {len(self.statics)} static' if self.statics else ''}, got {len(arguments)}"
        )

    def sign(self, statics: tuple[float, ...] = ()) -> str:
        """The short mark that stands for it in drawings: its operator, or else its name.

        >>> from wengert.ops.scalar import MUL, POW_CONST, TANH
        >>> MUL.sign(), POW_CONST.sign((2,)), TANH.sign()
        ('*', '**2', 'tanh')
        """
        text = self.written("text", statics)
        if text.binds == ATOM:
            return self.name
        fixed = dict(zip(self.statics, statics, strict=False))
        return text.template.format("", "", **fixed).strip()

    def spelled(self, language: str, statics: Sequence[Any] = ()) -> Notation | None:
        """How it is written in a language, or None when the record does not say."""
        found = self.notation.get(language)
        return found if found is None or isinstance(found, Notation) else found(*statics)

    def written(self, language: str, statics: Sequence[Any] = ()) -> Notation:
        """How it is written for a reader: "text" or "latex", as a call where the record is silent.

        >>> from dataclasses import replace
        >>> from wengert.ops.scalar import POW_CONST
        >>> replace(POW_CONST, name="to_the", notation={}).written("text").template
        'to_the({0}, {exponent})'
        """
        found = self.spelled(language, statics)
        if found is not None:
            return found
        inside = ", ".join(self._arguments())
        if language != "latex":
            return Notation(f"{self.name}({inside})")
        name = self.name.replace("_", r"\_")
        return Notation(rf"\operatorname{{{{{name}}}}}\left({inside}\right)")

    def _arguments(self) -> list[str]:
        """The places of the operands and of the static arguments in a template."""
        return [f"{{{i}}}" for i in (*range(self.arity), *self.statics)]

    def spelling(self, target: str, statics: Sequence[Any] = ()) -> Notation:
        """How it is written for a target; a `SpellingError` with the line that the record lacks.

        >>> from wengert.ops.scalar import MUL
        >>> MUL.spelling("python").template
        '{0}*{1}'
        """
        found = self.spelled(target, statics)
        if found is None:
            raise self.unspelled(target)
        return found

    def unspelled(self, target: str) -> SpellingError:
        """The error for a target that the record has no notation for."""
        maker = "ufunc" if target == "numpy" else "call"
        places = ", ".join(f'"{place}"' for place in self._arguments())
        return SpellingError(
            f"the {target} target has no spelling of {self.name!r}; add a line to the notation of "
            f'its record, such as "{target}": {maker}("{self.name}", {places}), or a '
            'Notation("...") of its operands'
        )

    def nanoseconds(self, target: str) -> float:
        """About how long one takes in a target: in Python an operation, in NumPy an element."""
        return self.cost.get(target, COSTS[target])


def _on_floats(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A rule in which operations on numbers, if these are all that it names, are not recorded."""
    if not isinstance(rule, FunctionType) or rule.__kwdefaults__:
        return rule
    code, names = rule.__code__, rule.__globals__
    if any(isinstance(constant, CodeType) for constant in code.co_consts):
        return rule
    used = {name: names[name] for name in code.co_names if name in names}
    for thing in used.values():
        if not isinstance(thing, Op) or thing.shape is not None or thing.defaults:
            return rule
    if not used:
        return rule
    evaluations = {name: op.evaluate for name, op in used.items()}
    return FunctionType(code, evaluations, code.co_name, rule.__defaults__, rule.__closure__)


def _complaint(op: Op) -> str:
    """What nothing could read in a record, and what to write instead; "" where all is well."""
    if not str(op.name).isidentifier():
        return "its name goes into formulas and code; expected one such as 'my_square'"
    if op.linear not in (None, *LINEAR) or (op.linear is None and op.shape is not None):
        return f"linear is {op.linear!r}; say which of {', '.join(map(repr, LINEAR))} it is"
    each = f"one for each of {op.arity} operand{'s' * (op.arity != 1)}"
    if not _listed(op.vjp, op.arity, lambda rule: rule is None or callable(rule)):
        return f"vjp is {shorten(op.vjp)}; expected rules or None, {each}: vjp=(rule,) for one"
    if op.domain and not _listed(op.domain, op.arity, lambda pair: _listed(pair, 2, _is_real)):
        return f"domain is {op.domain!r}; expected intervals, {each}: domain=((-3.0, 3.0),) for one"
    if not _listed(op.trials, len(op.trials), lambda t: _listed(t, len(op.statics), _is_real)):
        return f"trials is {op.trials!r}; expected tuples of {len(op.statics)} static arguments"
    for language, form in op.notation.items():
        if not isinstance(form, Notation) and not callable(form):
            return (
                f'its notation "{language}" is {shorten(form)}; expected a Notation, such as '
                'Notation("{0}*{0}") or call("square"), or a function of the static arguments'
            )
        strange = _strange_places(op, form) if isinstance(form, Notation) else []
        if strange:
            known = ", ".join(op._arguments())
            return f'its notation "{language}" has {", ".join(strange)}; there is {known or "none"}'
    return ""


def _listed(things: Any, count: int, expected: Callable[[Any], bool]) -> bool:
    """Whether these are so many of what is expected; of any number, where the count is -1."""
    if count < 0:
        return True
    return isinstance(things, Sequence) and len(things) == count and all(map(expected, things))


def _is_real(thing: Any) -> bool:
    return isinstance(thing, Real)


def _strange_places(op: Op, form: Notation) -> list[str]:
    """The places of a template that no operand and no static argument goes into."""
    known = {*map(str, range(op.arity)), *op.statics}
    found = {name for _, name, _, _ in Formatter().parse(form.template) if name is not None}
    return [] if op.arity < 0 else sorted(f"{{{name}}}" for name in found - known)


_UNBOXED_RANK, _ARRAY_RANK, _SYMPY_RANK = 0.5, 1.5, 3


def result_shape(op: Op, shapes: Sequence[Shape], statics: Sequence[Any]) -> Shape:
    """The shape of `op` on operands of these shapes; `ShapeError` or `SizeError` if it has none."""
    if op.shape is None:
        shape = broadcast(op.name, shapes)
        return shape if shape in shapes else within_memory(shape, op.name)
    return within_memory(op.shape(*shapes, *statics), op.name)


def apply_to_arrays(op: Op, operands: Sequence[Any], statics: Sequence[Any]) -> Any:
    """The value of `op` where an operand is a NumPy array (or an array parameter)."""
    if op.shape is None and any(is_array(x) and x.dtype == object for x in operands):
        return _entry_by_entry(op, operands, statics)
    numbers = []
    for operand in operands:
        data = getattr(operand, "data", operand) if hasattr(operand, "op_rank") else operand
        if data is not operand and not is_array(data):
            raise OperandError(
                f"{op.name}: {shorten(operand)} is a Value, which holds one number, and cannot be "
                "computed with a NumPy array; use an Expr of a Graph, or loop over the array"
            )
        numbers.append(data)
    result_shape(op, [shape_of(number) for number in numbers], statics)
    return evaluate_arrays(op, numbers, statics)


def _entry_by_entry(op: Op, operands: Sequence[Any], statics: Sequence[Any]) -> Any:
    """The value where an array holds `Value`s, or whatever else: an array of what `op` gives."""
    import numpy

    arrays = numpy.broadcast_arrays(*[numpy.asarray(x, object) for x in operands])
    result = numpy.empty(arrays[0].shape, object)
    for place, entries in enumerate(zip(*[array.flat for array in arrays], strict=True)):
        result.flat[place] = op(*entries, *statics)
    return result


def evaluate_arrays(op: Op, operands: Sequence[Any], statics: Sequence[Any]) -> Any:
    """The value of `op` on floats and arrays: a float64 array, or a float where it is a scalar.

    The reference: element by element it is `Op.evaluate` on Python's floats, IEEE 754 throughout.
    """
    import numpy

    with numpy.errstate(all="ignore"):
        if op.shape is not None:
            result = op.evaluate(*operands, *statics)
        elif op.rounded:
            result = getattr(numpy, op.name)(*[numpy.asarray(x, numpy.float64) for x in operands])
        else:
            elementwise = numpy.frompyfunc(lambda *x: op.evaluate(*x, *statics), len(operands), 1)
            result = elementwise(*[numpy.asarray(x, numpy.float64) for x in operands])
    array = numpy.asarray(result, numpy.float64)
    return array if array.ndim else float(array)


def _rank(operand: Any) -> float:
    """Which kind of number decides: float, array without axes, `Value`, array, `Expr`, sympy."""
    kind = type(operand)
    if kind is float or kind is int:
        return 0
    rank: float | None = getattr(kind, "op_rank", None)
    if rank is not None:
        return rank
    if kind.__module__.partition(".")[0] == "sympy":
        return _SYMPY_RANK
    if kind is Sameness:
        _refuse_sameness(operand)
    if isinstance(operand, Real):
        return 0
    if hasattr(kind, "__array_interface__"):
        return _ARRAY_RANK if operand.shape else _UNBOXED_RANK
    raise OperandError(
        f"{shorten(operand)} is {kind_of(operand)}; "
        "an operand is a number, a Value, an Expr, a NumPy array or a sympy expression"
    )


def _plain_statics(op: Op, statics: Sequence[Any]) -> tuple[float, ...]:
    """The static arguments of an elementwise operation, as Python's own numbers."""
    for name, static in zip(op.statics, statics, strict=True):
        if not isinstance(static, Real):
            raise OperandError(
                f"{name} of {op.signature} is {shorten(static)}, {kind_of(static)}; "
                "expected a plain number"
            )
    return tuple(map(plain_number, statics))


class Sameness(int):
    """What `==` between nodes answers: whether they are the same one, to be decided on at once.

    In an expression it is an `OperandError`, for a comparison of numbers was meant.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(bool(self))


SAME: Final = (Sameness(0), Sameness(1))
"""The two answers, at 0 and 1."""


def _refuse_sameness(answer: object) -> NoReturn:
    raise OperandError(
        f"{answer} is the answer of ==, which asks whether two nodes are the same one, and knows "
        "nothing of their numbers; to compare numbers write wengert.equal(a, b) or not_equal(a, b)"
    )


_EXACT = 2**53
"""Integers up to this size are float64 numbers exactly."""


def plain_number(number: Any) -> int | float:
    """A real number of any library as Python's own; an int that float64 holds exactly stays an int.

    Larger ones become the nearest float, so that arithmetic is that of float64 throughout. One past
    the largest float is an `OperandError`.

    >>> plain_number(2), plain_number(True), plain_number(2**53 + 1)
    (2, 1, 9007199254740992.0)
    """
    kind = type(number)
    if kind is float or (kind is int and -_EXACT <= number <= _EXACT):
        return number  # type: ignore[no-any-return]
    if kind is Sameness:
        _refuse_sameness(number)
    if isinstance(number, Integral):
        whole = int(number)
        if -_EXACT <= whole <= _EXACT:
            return whole
    try:
        return float(number)
    except OverflowError:
        raise OperandError(
            f"{kind_of(number)} past 1.8e308 is too large for float64; expected a number within "
            "that range, or float('inf')"
        ) from None


def lookup(table: Mapping[str, Op], name: str) -> Op:
    """The operation called `name`, or an error that lists those that exist."""
    try:
        return table[name]
    except (KeyError, TypeError):
        raise UnknownNameError.of("operation", name, table) from None
