"""What an operation is: one record that every other part of the package reads.

An operation is applied by calling its record, to any kind of number: floats are evaluated, `Value`s
are evaluated and remembered, `Expr`s become a new node of their graph, sympy expressions become
sympy expressions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Final, NoReturn

from ..errors import OperandError, UnknownNameError, kind_of, shorten

COMPARISON, SUM, PRODUCT, UNARY, POWER, ATOM = 5, 10, 20, 25, 30, 100
"""How tightly a piece of text binds; text of a lower level needs parentheses in a tighter slot."""


@dataclass(frozen=True)
class Notation:
    """How an operation is written in one language.

    `template` holds `{0}`, `{1}` for the operands and `{name}` for static arguments; `binds` is the
    level of the whole, `slots` the level each operand must at least have to stand bare.
    """

    template: str
    binds: int = ATOM
    slots: tuple[int, ...] = (0, 0, 0)


def infix(sign: str, level: int) -> Notation:
    """A left-associative binary operator: the right operand needs the tighter level."""
    return Notation(f"{{0}}{sign}{{1}}", level, (level, level + 1))


def call(name: str, *arguments: str) -> Notation:
    """A function call of the operands, or of the `arguments` given as template text."""
    return Notation(f"{name}({', '.join(arguments or ('{0}',))})")


@dataclass(frozen=True, eq=False, repr=False)
class Op:
    """One operation, everything that is known about it.

    name        the field's name for it
    arity       how many operands it takes; -1 for any number
    evaluate    its value on floats, IEEE 754 throughout (never raises)
    sympy       its meaning: called with the sympy module, the operands and the static arguments
    vjp         one rule per operand, `rule(ct, out, *operands, *statics)`: the operand's share of
                the cotangent `ct`; written with operators and operations alone, so the same text
                runs on floats, graph nodes and sympy symbols; None where the derivative is zero
                everywhere
    notation    how it is written: "text", "latex", and one entry per target
    sentence    what its derivative rule says, for a reader who is learning it
    domain      an interval per operand to sample when checking
    statics     names of the arguments that are numbers fixed in the graph, after the operands
    defaults    values of the last static arguments when left out
    kink        the convention where the derivative does not exist, if there is such a point
    differentiable  False when asking for a derivative through it is a mistake
    shape       for an operation on whole arrays, the shape of its value: called with the shapes
                of the operands, then the static arguments; None where it works element by element
    jvp         for an operation on whole arrays, one rule per operand, `rule(t, out, *operands,
                *statics)`: what the operand's tangent `t` adds to that of the value; element by
                element this is the rule of `vjp`
    """

    name: str
    arity: int
    evaluate: Callable[..., float]
    sympy: Callable[..., Any]
    vjp: Sequence[Callable[..., Any] | None]
    notation: Mapping[str, Notation]
    sentence: str
    domain: tuple[tuple[float, float], ...] = ()
    statics: tuple[str, ...] = ()
    defaults: tuple[float, ...] = ()
    kink: str = ""
    differentiable: bool = True
    shape: Callable[..., tuple[int, ...]] | None = None
    jvp: Sequence[Callable[..., Any] | None] | None = None

    def __post_init__(self) -> None:
        notes = [f"{self.signature}: the {self.name} operation.", "", self.sentence]
        if self.kink:
            notes += ["", f"Where the derivative does not exist: {self.kink}."]
        object.__setattr__(self, "__doc__", "\n".join(notes))

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

    def __repr__(self) -> str:
        return f"<operation {self.signature}>"

    def __copy__(self) -> Op:
        return self

    def __deepcopy__(self, memo: object) -> Op:
        """The record itself: operations are told apart by identity."""
        return self

    def __call__(self, *arguments: Any) -> Any:
        """Apply to `arity` operands, then the static arguments."""
        if len(arguments) == 1 == self.arity and not self.statics:  # most calls, and the quickest
            apply = getattr(type(arguments[0]), "apply_op", None)
            if apply is not None:
                return apply(arguments[0], self, arguments)
        arguments = self._complete(arguments)
        operands = arguments[: self.arity] if self.arity > 0 else arguments
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
            from .shapes import apply_to_arrays

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
        text = self.notation["text"] if "text" in self.notation else call(self.name)
        if text.binds == ATOM:
            return self.name
        fixed = dict(zip(self.statics, statics, strict=False))
        return text.template.format("", "", **fixed).strip()

    def spelled(self, language: str) -> Notation | None:
        """How it is written in a target's language, or None when the record does not say."""
        return self.notation.get(language)


_UNBOXED_RANK, _ARRAY_RANK, _SYMPY_RANK = 0.5, 1.5, 3


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
