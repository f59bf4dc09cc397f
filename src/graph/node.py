"""`Node`: what a `Value` is to the sweep, to copies and to pickles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ..ops.ieee import Float
from ..ops.record import Op
from .arithmetic import Arithmetic
from .own import OWN


class Node(Arithmetic):
    r"""A number with the operation that gave it and what it was computed from.

    What an operation was applied to is kept in two slots, since a tuple for each would cost a third
    of the time:

    ==================  ============  ======
    \\                   _a            _b
    ==================  ============  ======
    a leaf              None          ()
    f(x), f(x, 2)       x             (), (2,)
    f(x, y)             x             y
    anything else       the operands  the static arguments, in tuples both
    ==================  ============  ======
    """

    __slots__ = ("_a", "_b", "_data", "_grad", "label", "op")
    _a: Any
    _b: Any
    _data: float
    _grad: float
    label: str
    op: Op | None

    _result_kind: ClassVar[type[Node]]
    """The class of what is computed from nodes of this one."""
    _overrides: ClassVar[bool] = False
    """Whether a subclass of the user's says what a step of the chain rule does."""

    @property
    def reads(self) -> tuple[Any, ...]:
        """The operands, as far as they have been made."""
        a, b = self._a, self._b
        if a is None:
            return ()
        if a.__class__ is tuple:
            return a
        return (a,) if b.__class__ is tuple else (a, b)

    @property
    def operands(self) -> tuple[Node, ...]:
        """What this was computed from, in order; empty for a leaf."""
        return self.reads

    @property
    def statics(self) -> tuple[Any, ...]:
        """The operation's static arguments, such as a constant exponent."""
        return self._b if self._b.__class__ is tuple else ()

    @property
    def is_leaf(self) -> bool:
        """Whether this was given rather than computed."""
        return self._a is None

    def _set_operands(self, operands: tuple[Any, ...], statics: tuple[Any, ...] = ()) -> None:
        """Keep the operands and static arguments of the operation that gave this."""
        if len(operands) == 2 and not statics:
            self._a, self._b = operands
        elif len(operands) == 1:
            (self._a,), self._b = operands, statics
        else:
            self._a, self._b = operands or None, statics

    @property
    def _backward(self) -> Callable[[], None]:
        """Add to the `grad` of each operand its share of this `grad`: one step of the chain rule.

        Nothing happens on a leaf.
        """
        return self._step

    def _step(self) -> None:
        """The step that `_backward` is, unless it was assigned or overridden."""
        if self._a is not None:
            self._pull()

    def _pull(self) -> None:
        """What `backward` does once per computed value, consumers first: the step above."""
        op, operands = self.op, self.reads
        assert op is not None
        if op is OWN:
            # No derivatives, no shares: what nobody gave a step passes nothing on.
            for operand, slope in zip(operands, self.statics[1]):  # noqa: B905
                operand._grad += slope * self._grad
            return
        ct, out, statics = self._grad, self._data, self.statics
        try:
            if len(operands) == 2 and not statics:  # written out: here is where time goes
                a, b = operands
                rule_a, rule_b = op.float_rules
                x, y = a._data, b._data
                share_a = 0.0 if rule_a is None else rule_a(ct, out, x, y)
                share_b = 0.0 if rule_b is None else rule_b(ct, out, x, y)
                a._grad += share_a
                b._grad += share_b
                return
            numbers = [operand._data for operand in operands]
            shares = [
                0.0 if rule is None else rule(ct, out, *numbers, *statics)
                for rule in op.float_rules
            ]
        except ArithmeticError:
            shares = self._shares(Float, ct)
        for operand, share in zip(operands, shares, strict=True):
            operand._grad += share

    def _pass_over(self) -> None:
        """What `backward` does instead for what only a branch that was not taken needs."""

    def _shares(self, number: Callable[[float], float], ct: float) -> list[float]:
        """What the rules give each operand, worked out in numbers of this kind."""
        given = (ct, self._data, *[value._data for value in self.reads], *self.statics)
        numbers = [number(item) for item in given]
        rules = self.op.vjp  # type: ignore[union-attr]
        return [0.0 if rule is None else float(rule(*numbers)) for rule in rules]
