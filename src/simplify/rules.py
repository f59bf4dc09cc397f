"""Rewrites as data: what may stand for what, and how far the two are equal.

A rule is a pair of functions of the same arguments, written in operators and operations alone. Run
on graph nodes they give the trees to look for and to build; run on sympy symbols they prove the
rule; run on numbers they test it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from itertools import product
from math import isfinite, nan
from typing import Any, Final, NamedTuple

from ..errors import OperandError, SettingError, shorten
from ..graph.expr import Expr, Graph
from ..ops.record import Op
from ..ops.scalar import (
    CONSTANT,
    NEG,
    POW,
    absolute,
    asinh,
    cosh,
    exp,
    expm1,
    log,
    log1p,
    maximum,
    minimum,
    relu,
    sigmoid,
    sinh,
    softplus,
    sqrt,
    stop_gradient,
    tanh,
    where,
)
from ..ops.shapes import broadcast
from ..storage import restore

EXACTNESS: Final = ("exact", "real", "stable")
"""How far the two sides of a rule are equal, see `Rule`."""


@dataclass(frozen=True, eq=False, repr=False)
class Rule:
    """What matches `pattern` may become `result`.

    name        what the records of passes call it
    pattern     an expression of its wildcards, the function's parameters, in operations that work
                element by element: each wildcard stands for any expression, the same one wherever
                it is named; one called k, k1 or k2 stands for a finite number; terms and factors
                match in either order
    result      an expression of the same wildcards
    exactness   "exact": the same float64 bit for bit, see `turns_zeros` for the sign of a zero;
                "real": equal over the reals, where both sides are defined;
                "stable": equal over the reals, and nearer to the truth in floating point
    positive    wildcards that are positive wherever the pattern is defined
    turns_zeros whether a 0.0 may become -0.0 or the other way; such a rule does not apply where a
                division shows which of them it is

    >>> Rule("add-zero", lambda x: x + 0, lambda x: x, "exact")
    add-zero: x + 0 -> x
    """

    __setstate__ = restore

    name: str
    pattern: Callable[..., Any]
    result: Callable[..., Any]
    exactness: str
    positive: tuple[str, ...] = ()
    turns_zeros: bool = False

    def __post_init__(self) -> None:
        if self.exactness not in EXACTNESS:
            raise SettingError(
                f"rule {shorten(self.name)}: exactness is {shorten(self.exactness)}; "
                f"expected one of {', '.join(map(repr, EXACTNESS))}"
            )

    def __repr__(self) -> str:
        before, after = self.sides()
        return f"{self.name}: {before} -> {after}"

    @property
    def wildcards(self) -> tuple[str, ...]:
        """The names of the wildcards, in order."""
        return tuple(signature(self.pattern).parameters)

    def sides(self) -> tuple[Expr, Expr]:
        """Pattern and result as expressions of one new graph, whose inputs are the wildcards."""
        graph = Graph()
        leaves = [graph.input(name) for name in self.wildcards]
        before, after = (graph.node_of(side(*leaves)) for side in (self.pattern, self.result))
        return graph[before], graph[after]

    @cached_property
    def rewrites(self) -> tuple[Rewrite, ...]:
        """The rule ready to apply: one for each order of the pattern's terms and factors."""
        before, after = self.sides()
        graph, root = before.graph, before.id
        if not graph.operands[root]:
            raise OperandError(
                f"rule {shorten(self.name)}: its pattern is {before}; expected an operation of the "
                "wildcards, such as lambda a: a + 0"
            )
        parts = [_part(graph, node) for node in range(len(graph)) if graph.operands[node]]
        pattern = [part for part in reversed(parts) if part.slot <= root]
        result = tuple(part for part in parts if part.slot > root)
        numbers = {n: float(graph.value(n)) for n in range(len(graph)) if graph.ops[n] is CONSTANT}
        constants = [i for i, name in enumerate(self.wildcards) if name.rstrip("12") == "k"]
        growth = _operations(result, {*numbers, *constants})
        kept = {after.id}.union(*(part.operands for part in result))
        wildcards = range(len(self.wildcards))
        return tuple(
            Rewrite(
                name=self.name,
                root=order[0],
                inner=order[1:],
                numbers={n: value for n, value in numbers.items() if n < root},
                constants=frozenset(constants),
                result=result,
                new_numbers={n: value for n, value in numbers.items() if n > root},
                answer=after.id,
                slots=len(graph),
                kept=tuple(slot for slot in wildcards if slot in kept),
                dropped=tuple(slot for slot in wildcards if slot not in kept),
                turns_zeros=self.turns_zeros,
                must_spare=0 if self.exactness == "stable" else growth - 1,
            )
            for order in _orders(pattern)
        )


class Part(NamedTuple):
    """One operation of a pattern or a result. Slots are numbers for the nodes of both."""

    slot: int
    op: Op
    operands: tuple[int, ...]
    statics: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Rewrite:
    """A rule laid out for use: its pattern as a list of checks, its result as a list of steps.

    root, inner   the operations of the pattern, each before its operands
    numbers       slots of the pattern that hold a given number
    constants     slots of the wildcards that stand for a constant
    result        the operations of the result, each after its operands
    new_numbers   numbers that only the result holds
    answer        the slot of the whole result
    slots         how many slots there are
    kept, dropped the wildcards that the result has, and those it does without
    must_spare    how many inner operations must have no other use, lest the rewrite add work
    turns_zeros   whether it may not apply where the sign of a zero is shown
    """

    name: str
    root: Part
    inner: tuple[Part, ...]
    numbers: Mapping[int, float]
    constants: frozenset[int]
    result: tuple[Part, ...]
    new_numbers: Mapping[int, float]
    answer: int
    slots: int
    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    must_spare: int
    turns_zeros: bool

    @cached_property
    def kinds(self) -> tuple[Op | None, ...]:
        """What each operand of the operation must be; None where anything will do."""
        found = {part.slot: part.op for part in self.inner}
        found |= dict.fromkeys((*self.numbers, *self.constants), CONSTANT)
        return tuple(found.get(slot) for slot in self.root.operands)

    def match(
        self, graph: Graph, operands: tuple[int, ...], statics: tuple[Any, ...]
    ) -> list[int] | None:
        """The node for each slot, if the pattern fits the root's operation on these operands."""
        bound = [-1] * self.slots
        if statics != self.root.statics or not _bind(bound, self.root.operands, operands):
            return None
        for slot, op, slots, fixed in self.inner:
            node = bound[slot]
            if graph.ops[node] is not op or graph.statics.get(node, ()) != fixed:
                return None
            if not _bind(bound, slots, graph.operands[node]):
                return None
        for slot, number in self.numbers.items():
            if scalar_constant(graph, bound[slot]) != number:
                return None
        for slot in self.constants:
            constant = scalar_constant(graph, bound[slot])
            if constant is None or not isfinite(constant):
                return None
        return bound if self._keeps_shape(graph, bound) else None

    def _keeps_shape(self, graph: Graph, bound: Sequence[int]) -> bool:
        """Whether no operand that the result does without had a hand in the shape."""
        if not graph.shapes or not self.dropped:
            return True
        kept = [graph.shapes.get(bound[slot], ()) for slot in self.kept]
        dropped = [graph.shapes.get(bound[slot], ()) for slot in self.dropped]
        return broadcast(self.name, kept) == broadcast(self.name, kept + dropped)

    def spares(self, bound: Sequence[int], uses: Mapping[int, int]) -> bool:
        """Whether enough of the matched operations are left without a use."""
        spared = sum(uses[bound[part.slot]] == 1 for part in self.inner)
        return spared >= self.must_spare

    def build(self, graph: Graph, bound: list[int], make: Callable[..., int]) -> int:
        """The node of the result in `graph`; `make(op, operands, statics)` answers its parts."""
        for slot, number in self.new_numbers.items():
            bound[slot] = graph.node_of(number)
        for slot, op, slots, statics in self.result:
            bound[slot] = make(op, tuple([bound[operand] for operand in slots]), statics)
        return bound[self.answer]


def _part(graph: Graph, node: int) -> Part:
    return Part(node, graph.ops[node], graph.operands[node], graph.statics.get(node, ()))


def scalar_constant(graph: Graph, node: int) -> float | None:
    """The number of a node that is a constant and no array; None for every other node."""
    is_number = graph.ops[node] is CONSTANT and node not in graph.shapes
    number: float | None = graph.value(node) if is_number else None
    return number


def _bind(bound: list[int], slots: Iterable[int], nodes: Iterable[int]) -> bool:
    """Put each node into its slot; False when a slot already holds another."""
    for slot, node in zip(slots, nodes, strict=True):
        if bound[slot] == -1:
            bound[slot] = node
        elif bound[slot] != node:
            return False
    return True


def _orders(pattern: Sequence[Part]) -> Iterator[tuple[Part, ...]]:
    """The pattern with the operands of its commutative operations in every order."""
    choices = []
    for part in pattern:
        turned = part._replace(operands=part.operands[::-1])
        both = part.op.commutative and turned != part
        choices.append((part, turned) if both else (part,))
    return product(*choices)


def _operations(result: Iterable[Part], constants: set[int]) -> int:
    """How many operations the result leaves once those on constants alone are folded."""
    count = 0
    for part in result:
        if constants.issuperset(part.operands):
            constants.add(part.slot)
        else:
            count += 1
    return count


def prove(rule: Rule) -> bool:
    """Whether sympy shows that both sides are equal for all real, or `positive`, wildcards.

    Their difference simplifies to 0; or else its derivatives by every wildcard do, and it is 0
    where all are 0, 1 or -1, as far as it exists there: its domain has no more than two parts.

    >>> prove(Rule("right", lambda x, y: (x + y) * (x - y), lambda x, y: x * x - y * y, "real"))
    True
    >>> prove(Rule("wrong", lambda x, y: (x + y) ** 2, lambda x, y: x * x + y * y, "real"))
    False
    """
    return any(_proved(rule, other) for other in ({}, {"zero": False}))


def _proved(rule: Rule, other: Mapping[str, bool]) -> bool:
    """Whether sympy shows it where the wildcards that need not be positive are as `other` says."""
    import sympy

    symbols = [
        sympy.Symbol(name, real=True, **({"positive": True} if name in rule.positive else other))
        for name in rule.wildcards
    ]
    difference = sympy.sympify(rule.pattern(*symbols)) - rule.result(*symbols)
    if _vanishes(difference):
        return True
    if not all(_vanishes(difference.diff(symbol)) for symbol in symbols):
        return False
    found = [difference.subs(dict.fromkeys(symbols, point)) for point in (0, 1, -1)]
    known = [number for number in found if number.is_finite]
    return bool(known) and all(sympy.simplify(number) == 0 for number in known)


def _vanishes(expression: Any) -> bool:
    import sympy

    return any(sympy.simplify(e) == 0 for e in (expression, expression.rewrite(sympy.exp)))


_Row = tuple[str, Callable[..., Any], Callable[..., Any], *tuple[str, ...]]


def _table(exactness: str, *rows: _Row) -> tuple[Rule, ...]:
    return tuple(
        Rule(name, pattern, result, exactness, tuple(positive), name in TURNING_ZEROS)
        for name, pattern, result, *positive in rows
    )


TURNING_ZEROS: Final = frozenset({"add-zero", "neg-sub", "neg-minus"})
"""The exact rules that may give 0.0 for -0.0 or the other way."""

# Signs move outwards and then vanish in a sum. A rule that would add work where a negated operand
# has other uses is held back by `Rewrite.must_spare`.
EXACT: Final = _table(
    "exact",
    ("mul-one", lambda x: x * 1, lambda x: x),
    ("mul-minus-one", lambda x: x * -1, lambda x: -x),
    ("add-zero", lambda x: x + 0, lambda x: x),
    ("sub-zero", lambda x: x - 0, lambda x: x),
    ("div-one", lambda x: x / 1, lambda x: x),
    ("div-minus-one", lambda x: x / -1, lambda x: -x),
    ("pow-zero", lambda x: x**0, lambda x: 1),
    ("pow-one", lambda x: x**1, lambda x: x),
    ("pow-two", lambda x: x**2, lambda x: x * x),
    ("pow-zero-operand", lambda x: POW(x, 0), lambda x: 1),
    ("pow-one-operand", lambda x: POW(x, 1), lambda x: x),
    ("neg-neg", lambda x: NEG(-x), lambda x: x),
    ("neg-sub", lambda a, b: -(a - b), lambda a, b: b - a),
    ("neg-scale", lambda k, x: -(k * x), lambda k, x: (-k) * x),
    ("add-neg", lambda a, b: a + (-b), lambda a, b: a - b),
    ("sub-neg", lambda a, b: a - (-b), lambda a, b: a + b),
    ("neg-minus", lambda a, b: (-a) - b, lambda a, b: -(a + b)),
    ("mul-neg-neg", lambda a, b: (-a) * (-b), lambda a, b: a * b),
    ("scale-neg", lambda k, x: k * (-x), lambda k, x: (-k) * x),
    ("mul-neg", lambda a, b: a * (-b), lambda a, b: -(a * b)),
    ("div-neg-neg", lambda a, b: (-a) / (-b), lambda a, b: a / b),
    ("neg-div", lambda a, b: (-a) / b, lambda a, b: -(a / b)),
    ("div-neg", lambda a, b: a / (-b), lambda a, b: -(a / b)),
    ("abs-neg", lambda x: absolute(-x), lambda x: absolute(x)),
    ("abs-abs", lambda x: absolute(absolute(x)), lambda x: absolute(x)),
    ("relu-relu", lambda x: relu(relu(x)), lambda x: relu(x)),
    ("maximum-same", lambda x: maximum(x, x), lambda x: x),
    ("minimum-same", lambda x: minimum(x, x), lambda x: x),
    ("where-same", lambda p, a: where(p, a, a), lambda p, a: a),
    ("where-true", lambda a, b: where(1, a, b), lambda a, b: a),
    ("where-false", lambda a, b: where(0, a, b), lambda a, b: b),
    (
        "where-where",
        lambda p, a, b, c: where(p, where(p, a, b), c),
        lambda p, a, b, c: where(p, a, c),
    ),
    (
        "where-else",
        lambda p, a, b, c: where(p, a, where(p, b, c)),
        lambda p, a, b, c: where(p, a, c),
    ),
    ("stop-stop", lambda x: stop_gradient(stop_gradient(x)), lambda x: stop_gradient(x)),
)
"""Rewrites that change no bit; those of `TURNING_ZEROS` may change the sign of a zero."""

REAL: Final = _table(
    "real",
    ("mul-zero", lambda x: x * 0, lambda x: 0),
    ("zero-sub", lambda x: 0 - x, lambda x: -x),
    ("zero-div", lambda x: 0 / x, lambda x: 0),
    ("sub-same", lambda x: x - x, lambda x: 0),
    ("div-same", lambda x: x / x, lambda x: 1),
    ("add-same", lambda x: x + x, lambda x: 2 * x),
    ("scale-scale", lambda k1, k2, x: k1 * (k2 * x), lambda k1, k2, x: (k1 * k2) * x),
    ("shift-shift", lambda k1, k2, x: (x + k1) + k2, lambda k1, k2, x: x + (k1 + k2)),
    ("scale-add", lambda k, x: k * x + x, lambda k, x: (k + 1) * x),
    ("scales-add", lambda k1, k2, x: k1 * x + k2 * x, lambda k1, k2, x: (k1 + k2) * x),
    ("factor-add", lambda a, x, y: a * x + a * y, lambda a, x, y: a * (x + y)),
    ("factor-sub", lambda a, x, y: a * x - a * y, lambda a, x, y: a * (x - y)),
    ("mul-div", lambda a, b: (a / b) * b, lambda a, b: a),
    ("div-mul", lambda a, b: (a * b) / b, lambda a, b: a),
    ("mul-reciprocal", lambda a, b: a * (1 / b), lambda a, b: a / b),
    ("div-div", lambda a, b, c: (a / b) / c, lambda a, b, c: a / (b * c)),
    ("sub-add", lambda a, b: (a - b) + b, lambda a, b: a),
    ("add-sub", lambda a, b: (a + b) - b, lambda a, b: a),
    ("exp-log", lambda x: exp(log(x)), lambda x: x),
    ("log-exp", lambda x: log(exp(x)), lambda x: x),
    ("exp-mul", lambda a, b: exp(a) * exp(b), lambda a, b: exp(a + b)),
    ("sqrt-mul", lambda x: sqrt(x) * sqrt(x), lambda x: x),
    ("pow-minus-one", lambda x: x**-1, lambda x: 1 / x),
    ("pow-half", lambda x: x**0.5, lambda x: sqrt(x)),
)
"""Rewrites that hold over the reals, and may round otherwise or hide an overflow."""


def _log_sech_squared(x: Any, near_zero: Any) -> Any:
    """log(1 - tanh(x)**2): log(4·sigmoid(2·x)·sigmoid(-2·x)) away from 0."""
    above = 2 * (log(2 * sigmoid(2 * x)) - x)
    below = 2 * (log(2 * sigmoid(-2 * x)) + x)
    return where(x > 1, above, where(x < -1, below, near_zero))


# What is subtracted from 0 fits no pattern again.
def _over_expm1(a: Any, x: Any) -> Any:
    return where(x > 0, a * (exp(-x) / (0 - expm1(-x))), -(a / (0 - expm1(x))))


def _over_cosh(a: Any, x: Any, squared: bool = False) -> Any:
    above, below, near = 2 * exp(-x) * sigmoid(2 * x), 2 * exp(x) * sigmoid(-2 * x), 0 - cosh(x)
    if squared:
        parts = a * above * above, a * below * below, a / (near * near)
    else:
        parts = a * above, a * below, -(a / near)
    return where(x > 20, parts[0], where(x < -20, *parts[1:]))


def _over_sinh(a: Any, x: Any, squared: bool = False) -> Any:
    above, below = 2 * exp(-x) / (0 - expm1(-2 * x)), 2 * exp(x) / (0 - expm1(2 * x))
    near = 0 - sinh(x)
    if squared:
        parts = a * above * above, a * below * below, a / (near * near)
    else:
        parts = a * above, -(a * below), -(a / near)
    return where(x > 20, parts[0], where(x < -20, *parts[1:]))


# Each avoids an overflow or a cancellation, here or in its derivative: Mächler 2012, "Accurately
# computing log(1 - exp(-|a|))"; Blanchard, Higham & Higham 2021, "Accurately computing the
# log-sum-exp and softmax functions".
STABLE: Final = _table(
    "stable",
    ("sqrt-square", lambda x: sqrt(x * x), lambda x: absolute(x)),
    ("sqrt-pow-two", lambda x: sqrt(x**2), lambda x: absolute(x)),
    ("square-pow-half", lambda x: (x * x) ** 0.5, lambda x: absolute(x)),
    ("pow-two-pow-half", lambda x: (x**2) ** 0.5, lambda x: absolute(x)),
    ("sqrt-times-sqrt", lambda x: sqrt(x) * sqrt(x), lambda x: where(x >= 0, x, nan * x), "x"),
    ("sqrt-pow-two-outside", lambda x: sqrt(x) ** 2, lambda x: where(x >= 0, x, nan * x), "x"),
    ("pow-half-pow-two", lambda x: (x**0.5) ** 2, lambda x: where(x >= 0, x, nan * x), "x"),
    ("softplus", lambda x: log(1 + exp(x)), lambda x: softplus(x)),
    ("log1p-exp", lambda x: log1p(exp(x)), lambda x: softplus(x)),
    ("log1p", lambda x: log(1 + x), lambda x: log1p(x)),
    ("log1p-minus", lambda x: log(1 - x), lambda x: log1p(-x)),
    (
        "log1p-minus-exp",
        lambda x: log1p(-exp(x)),
        # 0 - exp(x), so that this does not fit the pattern again
        lambda x: where(x > -0.6931471805599453, log(0 - expm1(x)), log1p(0 - exp(x))),
    ),
    (
        "log-minus-expm1",
        lambda x: log(-expm1(x)),
        lambda x: where(x > -0.6931471805599453, log(0 - expm1(x)), log1p(0 - exp(x))),
    ),
    ("log-expm1", lambda x: log(expm1(x)), lambda x: x + log(0 - expm1(-x)), "x"),
    ("log-square", lambda x: log(x * x), lambda x: 2 * log(absolute(x))),
    ("log-pow-two", lambda x: log(x**2), lambda x: 2 * log(absolute(x))),
    ("exp-inverse", lambda x: exp(x) ** -1, lambda x: exp(-x)),
    ("exp-inverse-squared", lambda x: exp(x) ** -2, lambda x: exp(-2 * x)),
    ("exp-pow-minus-half", lambda x: exp(x) ** -0.5, lambda x: exp(-0.5 * x)),
    ("over-reciprocal", lambda a, x: a / (1 / x), lambda a, x: a * x),
    ("over-inverse", lambda a, x: a / x**-1, lambda a, x: a * x),
    ("quotient-inverse", lambda a, b: (a / b) ** -1, lambda a, b: b / a),
    ("quotient-inverse-squared", lambda a, b: (a / b) ** -2, lambda a, b: (b / a) ** 2),
    ("log-inverse", lambda x: log(1 / x), lambda x: -log(x), "x"),
    ("asinh", lambda x: log(x + sqrt(x * x + 1)), lambda x: asinh(x)),
    ("asinh-pow-two", lambda x: log(x + sqrt(x**2 + 1)), lambda x: asinh(x)),
    (
        "root-difference",
        lambda k, x: sqrt(x + k) - sqrt(x),
        lambda k, x: k / (sqrt(x + k) + sqrt(x)),
    ),
    (
        "root-difference-minus",
        lambda k, x: sqrt(x) - sqrt(x - k),
        lambda k, x: k / (sqrt(x) + sqrt(x - k)),
    ),
    (
        "log-sech-squared",
        lambda x: log1p(-(tanh(x) * tanh(x))),
        lambda x: _log_sech_squared(x, log1p(0 - tanh(x) * tanh(x))),
    ),
    (
        "log-sech-pow-two",
        lambda x: log1p(-(tanh(x) ** 2)),
        lambda x: _log_sech_squared(x, log1p(0 - tanh(x) ** 2)),
    ),
    ("sqrt-exp", lambda x: sqrt(exp(x)), lambda x: exp(x / 2)),
    ("exp-pow-half", lambda x: exp(x) ** 0.5, lambda x: exp(0.5 * x)),
    (
        "exp-over-expm1",
        lambda x: exp(x) / expm1(x),
        lambda x: where(x > 0, 1 / (0 - expm1(-x)), -(exp(x) / (0 - expm1(x)))),
    ),
    ("over-expm1", lambda a, x: a / expm1(x), lambda a, x: _over_expm1(a, x)),
    ("over-minus-expm1", lambda a, x: a / (-expm1(x)), lambda a, x: -_over_expm1(a, x)),
    ("tanh-sigmoid", lambda x: 2 * sigmoid(x) - 1, lambda x: tanh(x / 2)),
    ("tanh-sigmoid-minus", lambda x: 1 - 2 * sigmoid(x), lambda x: -tanh(x / 2)),
    ("expm1-over-exp", lambda x: expm1(x) / exp(x), lambda x: -expm1(-x)),
    ("log1p-expm1", lambda x: log1p(expm1(x)), lambda x: x),
    (
        "log-difference",
        lambda a, b: log(exp(a) - exp(b)),
        lambda a, b: a + log(-expm1(b - a)),
    ),
    (
        "logistic-density",
        lambda x: exp(x) / (1 + exp(x)) ** 2,
        lambda x: sigmoid(x) * sigmoid(-x),
    ),
    (
        "sigmoid-squared-ratio",
        lambda x: exp(x) / ((1 + exp(x)) * (1 + exp(-x))),
        lambda x: sigmoid(x) * sigmoid(x),
    ),
    (
        "sigmoid-squared-minus",
        lambda x: -exp(x) / ((1 + exp(x)) * (1 + exp(-x))),
        lambda x: -(sigmoid(x) * sigmoid(x)),
    ),
    ("sigmoid-times-exp", lambda x: sigmoid(x) * exp(-x), lambda x: sigmoid(-x)),
    ("sigmoid-minus-times-exp", lambda x: sigmoid(-x) * exp(x), lambda x: sigmoid(x)),
    ("expm1", lambda x: exp(x) - 1, lambda x: expm1(x)),
    ("expm1-plus", lambda x: exp(x) + -1, lambda x: expm1(x)),
    ("expm1-minus", lambda x: 1 - exp(x), lambda x: -expm1(x)),
    ("sigmoid", lambda x: 1 / (1 + exp(-x)), lambda x: sigmoid(x)),
    ("sigmoid-minus", lambda x: 1 / (1 + exp(x)), lambda x: sigmoid(-x)),
    ("sigmoid-ratio", lambda x: exp(x) / (1 + exp(x)), lambda x: sigmoid(x)),
    ("one-minus-sigmoid", lambda x: 1 - sigmoid(x), lambda x: sigmoid(-x)),
    ("log-sigmoid", lambda x: log(sigmoid(x)), lambda x: -softplus(-x)),
    ("log-one-minus-sigmoid", lambda x: log1p(-sigmoid(x)), lambda x: -softplus(x)),
    ("log-ratio", lambda a, b: log(exp(a) / b), lambda a, b: a - log(b), "b"),
    ("log-product", lambda a, b: log(exp(a) * b), lambda a, b: a + log(b), "b"),
    ("log-share", lambda a, b: log(sigmoid(a) * b), lambda a, b: log(b) - softplus(-a), "b"),
    ("exponent", lambda x: log(exp(x)), lambda x: x),
    ("logit", lambda x: log(sigmoid(x) / sigmoid(-x)), lambda x: x),
    ("times-reciprocal", lambda a, b: exp(a) * (1 / b), lambda a, b: exp(a) / b),
    ("times-inverse", lambda a, b: exp(a) * b**-1, lambda a, b: exp(a) / b),
    ("sigmoid-inverse", lambda x: (1 + exp(-x)) ** -1, lambda x: sigmoid(x)),
    ("sigmoid-minus-inverse", lambda x: (1 + exp(x)) ** -1, lambda x: sigmoid(-x)),
    ("softplus-minus", lambda x: softplus(x) - x, lambda x: softplus(-x)),
    ("tanh", lambda x: expm1(2 * x) / (exp(2 * x) + 1), lambda x: tanh(x)),
    ("tanh-minus", lambda x: -expm1(-2 * x) / (exp(-2 * x) + 1), lambda x: tanh(x)),
    ("tanh-hyperbolic", lambda x: sinh(x) / cosh(x), lambda x: tanh(x)),
    ("coth-hyperbolic", lambda x: cosh(x) / sinh(x), lambda x: 1 / tanh(x)),
    (
        "log-cosh",
        lambda x: log(cosh(x)),
        lambda x: where(
            x > 1,
            x - log(2 * sigmoid(2 * x)),
            where(x < -1, -x - log(2 * sigmoid(-2 * x)), log1p(2 * (sinh(x / 2) * sinh(x / 2)))),
        ),
    ),
    ("log-scaled-cosh", lambda k, x: log(k * cosh(x)), lambda k, x: log(cosh(x)) + log(k), "k"),
    (
        "log-scaled-sinh",
        lambda k, x: log(k * sinh(x)),
        lambda k, x: log(sinh(x)) + log(k),
        "k",
        "x",
    ),
    ("over-cosh", lambda a, x: a / cosh(x), lambda a, x: _over_cosh(a, x)),
    ("cosh-inverse", lambda x: cosh(x) ** -1, lambda x: _over_cosh(1, x)),
    ("cosh-inverse-squared", lambda x: cosh(x) ** -2, lambda x: _over_cosh(1, x, squared=True)),
    (
        "over-cosh-squared",
        lambda a, x: a / cosh(x) ** 2,
        lambda a, x: _over_cosh(a, x, squared=True),
    ),
    (
        "over-cosh-times-cosh",
        lambda a, x: a / (cosh(x) * cosh(x)),
        lambda a, x: _over_cosh(a, x, squared=True),
    ),
    ("over-sinh", lambda a, x: a / sinh(x), lambda a, x: _over_sinh(a, x)),
    ("sinh-inverse", lambda x: sinh(x) ** -1, lambda x: _over_sinh(1, x)),
    ("sinh-inverse-squared", lambda x: sinh(x) ** -2, lambda x: _over_sinh(1, x, squared=True)),
    (
        "over-sinh-squared",
        lambda a, x: a / sinh(x) ** 2,
        lambda a, x: _over_sinh(a, x, squared=True),
    ),
    (
        "over-sinh-times-sinh",
        lambda a, x: a / (sinh(x) * sinh(x)),
        lambda a, x: _over_sinh(a, x, squared=True),
    ),
    (
        "log-sinh",
        lambda x: log(sinh(x)),
        lambda x: where(x > 1, x + log((0 - expm1(-2 * x)) / 2), log(-(0 - sinh(x)))),
        "x",
    ),
    (
        "log-tanh",
        lambda x: log(tanh(x)),
        lambda x: where(x > 1, log1p(0 - 2 * sigmoid(-2 * x)), log(-(0 - tanh(x)))),
        "x",
    ),
    (
        "log1p-tanh",
        lambda x: log1p(tanh(x)),
        lambda x: where(x < -1, 2 * x + log(2 * sigmoid(-2 * x)), log1p(-(0 - tanh(x)))),
    ),
    (
        "log1p-minus-tanh",
        lambda x: log1p(-tanh(x)),
        lambda x: where(x > 1, log(2 * sigmoid(2 * x)) - 2 * x, log1p(0 - tanh(x))),
    ),
    ("tanh-ratio", lambda x: (exp(x) - exp(-x)) / (exp(x) + exp(-x)), lambda x: tanh(x)),
    ("times-sigmoid", lambda a, x: a / (1 + exp(-x)), lambda a, x: a * sigmoid(x)),
    ("times-sigmoid-minus", lambda a, x: a / (1 + exp(x)), lambda a, x: a * sigmoid(-x)),
)
"""Rewrites that improve floating point. Apply them before differentiating."""

RULE_SETS: Final[dict[str, tuple[Rule, ...]]] = {
    "exact": EXACT,
    "real": EXACT + REAL,
    "stable": EXACT + STABLE,
}
"""What `simplify` may be asked for, by name."""
