"""Truth: what holds is 1, what does not is 0; any operand but 0 counts as true."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from . import intervals, kernels
from .notations import REAL, condition, cost, upright
from .record import COMPARISON, Notation, Op, call, ufunc

_TIGHT = COMPARISON + 1
_SENTENCE = "a truth value is flat: nothing passes back"


def _joined(
    name: str,
    sign: str,
    latex: str,
    javascript: str,
    holds: Callable[[float, float], bool],
    meaning: str,
    interval: Callable[..., Any],
) -> Op:
    python = f"({{0}} != 0.0) {sign} ({{1}} != 0.0)"
    c = f"({{0}} != 0.0) {javascript.replace('==', '=')} ({{1}} != 0.0) ? 1.0 : 0.0"
    return Op(
        name=name,
        arity=2,
        evaluate=lambda a, b: 1.0 if holds(a, b) else 0.0,
        kernel=getattr(kernels, name),
        sympy=lambda sp, a, b: getattr(sp, meaning)(condition(sp, a), condition(sp, b)),
        vjp=(None, None),
        notation={
            "text": call(name, "{0}", "{1}"),
            "latex": Notation(rf"{{0}} {latex} {{1}}", COMPARISON, (_TIGHT, _TIGHT)),
            "python": Notation(python, 1, (_TIGHT, _TIGHT)),
            "javascript": Notation(f"({{0}} !== 0) {javascript} ({{1}} !== 0) ? 1 : 0", 1),
            "c": Notation(c, 1),
            "numpy": ufunc(name, "{0}", "{1}"),
            "onnx": call(name.removeprefix("logical_").capitalize(), "{0}", "{1}"),
        },
        sentence=_SENTENCE,
        domain=(REAL, REAL),
        kink="0 where an operand is 0",
        interval=interval,
        absorbs_nan=True,
        cost=cost(20, 2),
        commutative=True,
        chooses=True,
        truth=True,
        conditions=(0, 1),
    )


AND = _joined(
    *("logical_and", "and", r"\wedge", "&&"),
    lambda a, b: bool(a) and bool(b),
    "And",
    intervals.conjunction,
)
OR = _joined(
    *("logical_or", "or", r"\vee", "||"),
    lambda a, b: bool(a) or bool(b),
    "Or",
    intervals.disjunction,
)
XOR = _joined(
    *("logical_xor", "is not", r"\oplus", "!=="),
    lambda a, b: bool(a) is not bool(b),
    "Xor",
    intervals.parity,
)

NOT = Op(
    name="logical_not",
    arity=1,
    evaluate=lambda x: 0.0 if x else 1.0,
    kernel=kernels.logical_not,
    sympy=lambda sp, x: sp.Not(condition(sp, x)),
    vjp=(None,),
    notation={
        "text": call("logical_not"),
        "latex": Notation(r"\neg \left({0}\right)"),
        "python": Notation("{0} == 0.0", COMPARISON, (_TIGHT,)),
        "javascript": Notation("{0} === 0 ? 1 : 0", 1),
        "c": Notation("{0} == 0.0 ? 1.0 : 0.0", 1),
        "numpy": ufunc("logical_not"),
        "onnx": call("Not"),
    },
    sentence=_SENTENCE,
    domain=(REAL,),
    kink="0 at 0",
    interval=intervals.negation,
    absorbs_nan=True,
    cost=cost(15, 2),
    chooses=True,
    truth=True,
    conditions=(0,),
)


def _test(name: str, javascript: str, meaning: Callable[..., Any], **known: Any) -> Op:
    """Whether a number is of a kind."""
    return Op(
        name=name,
        arity=1,
        evaluate=lambda x: 1.0 if getattr(math, name)(x) else 0.0,
        sympy=meaning,
        vjp=(None,),
        notation={
            "text": call(name),
            "latex": Notation(upright(name) + r"\left({0}\right)"),
            "python": call(name),
            "javascript": Notation(f"Number.{javascript}({{0}}) ? 1 : 0", 1),
            "c": Notation(f"{name}({{0}}) ? 1.0 : 0.0", 1),
            "numpy": ufunc(name),
        },
        sentence=_SENTENCE,
        domain=(REAL,),
        absorbs_nan=True,
        cost=cost(25, 2),
        chooses=True,
        truth=True,
        **known,
    )


ISNAN = _test(
    "isnan",
    "isNaN",
    lambda sp, x: sp.Ne(x, x, evaluate=False),
    kernel=lambda m, x: m.flag(x != x),
    interval=intervals.is_nan,
)
ISFINITE = _test(
    "isfinite",
    "isFinite",
    lambda sp, x: sp.StrictLessThan(sp.Abs(x), sp.oo, evaluate=False),
    kernel=lambda m, x: m.flag(m.abs(x) < math.inf),
    interval=intervals.is_finite,
)

TABLE = (AND, OR, NOT, XOR, ISNAN, ISFINITE)
"""These operations, in order."""
