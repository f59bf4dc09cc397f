"""Operations of the user's own: what is known of a value that was given its operands by hand."""

from __future__ import annotations

from numbers import Real
from typing import Any, Final

from ..errors import OperandError, ShapeError, kind_of, shorten
from ..ops.record import Notation, Op, plain_number


def _no_formula(*_: Any) -> Any:
    raise OperandError("an operation of one's own has no formula to evaluate")


OWN: Final = Op(
    name="own",
    arity=-1,
    evaluate=_no_formula,
    sympy=_no_formula,
    vjp=(),
    notation={"text": Notation("{sign}", 0)},
    sentence="what the user said: a number by each operand, or a function",
    statics=("sign", "local_grads"),
)
"""Stands where the record of an operation would: of a value made as `Value(data, (a, b), …)`.

It is in no table: nothing is known of it but the number it gave. Its static arguments are the sign
it was given and the derivatives by its operands, of which there are none if a function gives them.
"""


def own_statics(sign: Any, local_grads: Any, operands: int) -> tuple[Any, ...]:
    """The static arguments of `OWN`; a `ShapeError` for too few or too many derivatives."""
    slopes = tuple(local_grads)
    if slopes and len(slopes) != operands:
        raise ShapeError(
            f"{len(slopes)} local gradients for {operands} operands; expected one for each"
        )
    for slope in slopes:
        if slope.__class__ is not float:
            slopes = tuple(map(_slope, slopes))
            break
    return str(sign) or "own", slopes


def _slope(slope: Any) -> int | float:
    """A derivative that was given by hand, as a plain number."""
    if not isinstance(slope, Real):
        raise OperandError(
            f"the local gradient {shorten(slope)} is {kind_of(slope)}; expected a number"
        )
    return plain_number(slope)


def refusal(label: str, sign: str) -> OperandError:
    """What to say where the formula of such a value is needed."""
    name = label or sign
    return OperandError(
        f"{shorten(name)} is a Value made from its operands by hand, Value(data, (a, b), …): only "
        "its number is known and no formula. Write it with operators and wengert's functions, such "
        "as wengert.log(x), or make it an operation: a record wengert.Op(name=…, arity=…, "
        "evaluate=…, sympy=…, vjp=…, …), called as any function is"
    )
