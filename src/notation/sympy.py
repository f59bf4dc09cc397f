"""The bridge to sympy, and the proof of each derivative rule.

sympy is the independent judge: it knows what an operation means from `Op.sympy` alone, and finds
the derivative by its own rules.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from numbers import Real
from operator import mul
from typing import Any, Final

from ..errors import FormulaError, SizeError
from ..graph.arithmetic import Arithmetic
from ..graph.expr import Expr, Graph, common_graph
from ..graph.store import is_name, live_nodes
from ..graph.unroll import unroll
from ..ops.record import Op
from ..ops.scalar import ADD, CONSTANT, MUL, NEG, POW, POW_CONST, SUB

MAX_TERMS: Final = 1_000
"""How many terms a power is multiplied out to, in order to show that a formula is 0."""

MAX_CONDITIONS = 4
"""Past this many different conditions in a formula, its regions are not tried one by one."""

MAX_DEGREE = 10_000
"""The highest power that a formula for sympy may contain: sympy writes powers of numbers out."""

_SHORT_DENOMINATOR = 64
_DIGITS = 40
_FAR = 1e-25
"""What is farther from 0 than this, computed to so many digits, is not 0."""


MAX_KINKS: Final = 8
"""So often may maxima and cases stand in one another; sympy's time grows fourfold with each."""

MAX_DEPTH: Final = 600
"""So many operations may stand in one another, sums of sums and products of products being one."""

LONG: Final = 32
"""A chain of more additions than this, or multiplications, is made as one sum or product."""

_SUMS: Final = frozenset((ADD, SUB, NEG))
_PRODUCTS: Final = frozenset((MUL,))

MAX_BITS: Final = 100_000
"""An exact number may have so many."""

MAX_TOWER: Final = 16
"""So often may powers stand in both the base and the exponent of one another."""


def to_sympy(things: Any, *, exact: bool = False) -> Any:
    """An expression, a `Value`, or a (nested) sequence of them, as sympy sees it.

    Inputs and parameters become real symbols of their names, shared parts are converted once, a
    sequence gives a list. Among `Value`s alone, a leaf whose label is no identifier gives its
    number. Numbers with a short binary fraction are sympy rationals; the others floats, or with
    `exact` the rational that the float is (exponents: the float, to 60 digits). A comparison is a
    sympy relation; where arithmetic is done with it, it is 1 or 0. `total` is the expression for a
    single sample. Arrays are unrolled first: one becomes nested lists. A `SizeError` says that the
    expression is nested more deeply than sympy can take, a `FormulaError` that sympy refuses a
    number in it, such as nan in a comparison.

    >>> g = Graph(); x, w = g.input("x"), g.parameter("w", 0.5)
    >>> to_sympy((w * x).tanh() + 0.5)
    tanh(w*x) + 1/2
    >>> to_sympy(x < w)
    x < w
    """
    flat = list(_flat(things))
    graph = common_graph(flat)
    if graph.shapes and any(
        node in graph.shapes for node in live_nodes(graph, map(graph.node_of, flat))
    ):
        return to_sympy(unroll(things), exact=exact)
    named = any(isinstance(thing, Expr) for thing in flat)
    roots = [graph.node_of(thing) for thing in flat]
    nodes = sympy_nodes(graph, live_nodes(graph, roots), exact=exact, named=named, wanted=roots)
    return _rebuilt(things, iter([nodes[root] for root in roots]))


def sympy_nodes(
    graph: Graph,
    live: Sequence[int],
    *,
    exact: bool = True,
    named: bool = True,
    opaque: frozenset[str] = frozenset(),
    wanted: Collection[int] | None = None,
) -> dict[int, Any]:
    """The sympy expression of each node of `live`, ordered topologically and closed.

    Where only some are `wanted`, what is but a link of a long sum or product may be left out.
    Without `named`, parameters that stand for a `Value` without an identifier for a label are their
    numbers. Operations named in `opaque` become fresh symbols: constants to sympy's derivative.
    """
    import sympy

    _check_depth(graph, live)
    links = set() if wanted is None else _links(graph, live, wanted)
    made: dict[int, Any] = {}
    numbers: dict[int, Any] = {}
    degrees: dict[int, float] = {}
    kinks: dict[int, int] = {}
    towers: dict[int, int] = {}
    for node in live:
        op, operands = graph.ops[node], graph.operands[node]
        degrees[node] = _degree(graph, node, degrees)
        cases = op.arity > 1 and not op.truth and is_piecewise(op)
        kinks[node] = _nesting(op, operands, kinks, cases)
        towers[node] = _nesting(op, operands, towers, op is POW)
        if op.name not in opaque and (kinks[node] > MAX_KINKS or towers[node] > MAX_TOWER):
            raise SizeError(
                f"sympy would take very long over cases or powers within one another, as at node "
                f"{node} ({op.name}) of {graph!r}; convert a part of it, or evaluate or compile "
                "the whole"
            )
        if op.arity == 0:
            made[node] = _leaf(graph, node, exact, named)
        elif node in links:
            continue
        elif any(operand in links for operand in operands):
            made[node] = _as_one(graph, node, links, numbers)
        elif op.name in opaque:
            made[node] = sympy.Dummy(f"{op.name}_{node}", real=True)
        else:
            arguments = [
                made[operand] if position in op.conditions else numbers[operand]
                for position, operand in enumerate(operands)
            ]
            statics = [sympy_number(number, exact) for number in graph.statics.get(node, ())]
            if op is POW or op is POW_CONST:
                _check_power(*arguments, *statics)
            try:
                made[node] = sympy.sympify(op.sympy(sympy, *arguments, *statics))
            except RecursionError:
                raise SizeError(
                    f"sympy cannot take an expression nested as deeply as node {node} ({op.name}) "
                    f"of {graph!r}; convert a shallower part, or evaluate or compile the whole"
                ) from None
            except (TypeError, ValueError) as error:
                raise FormulaError(
                    f"sympy has no answer for node {node} ({op.name}) of {graph!r}, as of a "
                    f"comparison with nan ({error}); convert a part without it, or evaluate or "
                    "compile the whole"
                ) from error
        numbers[node] = as_number(made[node])
    return made


def _check_depth(graph: Graph, live: Sequence[int]) -> None:
    """Refuse what sympy would recurse into too deeply, before it has begun.

    A sum of sums is one level, since it is written as one sum, and so is a product of products.
    """
    depth: dict[int, int] = {}
    for node in live:
        op, operands = graph.ops[node], graph.operands[node]
        inside = [depth[o] - (graph.ops[o] in _alike(op)) for o in operands]
        depth[node] = max(inside, default=0) + 1
        if depth[node] > MAX_DEPTH:
            raise SizeError(
                f"sympy cannot take an expression nested as deeply as node {node} ({op.name}) "
                f"of {graph!r}; convert a shallower part, or evaluate or compile the whole"
            )


def _links(graph: Graph, live: Sequence[int], wanted: Collection[int]) -> set[int]:
    """The sums that are part of one long sum and of nothing else, and products alike.

    sympy makes each sum anew from all of its terms, in quadratic time for a chain of them.
    """
    uses = Counter(wanted)
    length: dict[int, int] = {}
    for node in live:
        uses.update(graph.operands[node])
    inner: dict[int, list[int]] = {}
    for node in live:
        alike = _alike(graph.ops[node])
        inner[node] = [o for o in graph.operands[node] if uses[o] == 1 and graph.ops[o] in alike]
        length[node] = 1 + sum(length[o] for o in inner[node])
    links: set[int] = set()
    for node in reversed(live):
        if node in links or length[node] > LONG:
            links.update(inner[node])
    return links


def _alike(op: Op) -> frozenset[Op]:
    """The operations that are one with an operation that they stand in, as sums in a sum are."""
    return _SUMS if op in _SUMS else _PRODUCTS if op is MUL else frozenset()


def _as_one(graph: Graph, end: int, links: set[int], numbers: Mapping[int, Any]) -> Any:
    """The sum, or the product, of all that the links to a node add up, or multiply."""
    import sympy

    parts = []
    stack = [(1, end)]
    while stack:
        sign, node = stack.pop()
        if node != end and node not in links:
            parts.append(numbers[node] if sign > 0 else -numbers[node])
            continue
        op, operands = graph.ops[node], graph.operands[node]
        signs = [sign] * len(operands)
        if op in (SUB, NEG):
            signs[-1] = -sign
        stack += reversed(list(zip(signs, operands, strict=True)))
    return (sympy.Mul if graph.ops[end] is MUL else sympy.Add)(*parts)


def _check_power(base: Any, exponent: Any) -> None:
    """Refuse a power of numbers that sympy would write out, such as 9**9**9."""
    if base.is_Rational and exponent.is_Rational and exponent:
        bits = max(int(base.p).bit_length(), int(base.q).bit_length()) * abs(float(exponent))
        if bits > MAX_BITS and abs(base) != 1:
            raise SizeError(
                f"sympy would write {base}**{exponent} out, in some {bits:.3g} bits; convert a "
                "part without it, or evaluate or compile the whole"
            )


def _nesting(op: Op, operands: Sequence[int], known: dict[int, int], counts: bool) -> int:
    """How often operations of a kind stand in several operands of one another.

    One in a condition counts three times, for sympy puts it into each case.
    """
    inside = [known[operand] for operand in operands]
    deepest = max(inside, default=0)
    if not counts:
        return deepest
    nested = sum(depth > 0 for depth in inside) > 1
    if any(inside[position] for position in op.conditions):
        return deepest + 3
    return deepest + 1 if nested or not deepest else deepest


def sympy_number(number: float, exact: bool = False) -> Any:
    """A number of the graph for sympy: a rational if its fraction is short or `exact` is asked for.

    >>> sympy_number(2.0), sympy_number(-0.75), sympy_number(0.1)
    (2, -3/4, 0.100000000000000)
    >>> sympy_number(0.1, exact=True)
    3602879701896397/36028797018963968
    """
    import sympy

    if math.isnan(number):
        return sympy.nan
    if math.isinf(number):
        return sympy.oo if number > 0 else -sympy.oo
    above, below = number.as_integer_ratio()
    if exact or (below <= _SHORT_DENOMINATOR and abs(above) < 2**53):
        return sympy.Rational(above, below)
    return sympy.Float(number)


def as_number(thing: Any) -> Any:
    """A sympy expression as a number: a condition is 1 where it holds and 0 elsewhere."""
    import sympy

    if isinstance(thing, sympy.logic.boolalg.Boolean) and not isinstance(thing, sympy.Symbol):
        return sympy.Piecewise((1, thing), (0, True), evaluate=False)
    return thing


def derivative_of(formula: Any, symbol: Any) -> Any:
    """sympy's derivative, where floor and ceiling are constants, as they are between their steps.

    >>> import sympy; x = sympy.Symbol("x", real=True)
    >>> derivative_of(x * sympy.floor(x), x)
    floor(x)
    """
    import sympy

    steps = {step: sympy.Dummy(real=True) for step in formula.atoms(sympy.floor, sympy.ceiling)}
    found = sympy.diff(formula.xreplace(steps), symbol)
    return found.xreplace({dummy: step for step, dummy in steps.items()})


@dataclass(frozen=True)
class RuleStep:
    """The rule of one operand on one region of the operands: is it sympy's derivative?

    difference  rule minus derivative after simplification, "0" when proved
    """

    operand: int
    region: str
    derivative: str
    difference: str

    @property
    def proved(self) -> bool:
        """Whether the rule is sympy's derivative here."""
        return self.difference == "0"


@dataclass(frozen=True)
class RuleProof:
    """The derivative rules of one operation, each compared with sympy's derivative of its meaning.

    Truthy when every step is proved. `convention` is the sentence that stands in place of a proof
    for an operation whose derivative is laid down rather than derived.
    """

    operation: str
    steps: tuple[RuleStep, ...]
    convention: str = ""

    def __bool__(self) -> bool:
        return all(step.proved for step in self.steps)

    def __str__(self) -> str:
        if self.convention:
            return f"{self.operation}: by convention, {self.convention}"
        lines = [
            f"{self.operation}, operand {step.operand}, {step.region}: {step.derivative}: "
            + ("proved" if step.proved else f"WRONG BY {step.difference}")
            for step in self.steps
        ]
        return "\n".join(lines)


@lru_cache(maxsize=1024)
def prove_rule(op: Op, statics: tuple[float, ...] | None = None) -> RuleProof:
    """Prove the derivative rules of `op` with sympy, operand by operand and region by region.

    Each rule is applied to symbols, and ct times sympy's derivative of the operation's meaning is
    subtracted: the difference must simplify to 0. A region is a set of operands on which no
    condition changes; the boundaries between regions are where `Op.kink` decides. Symbols are real,
    and positive where the domain of the operation is. Static arguments are real symbols, or the
    numbers `statics`.

    >>> from wengert.ops.scalar import RELU
    >>> print(prove_rule(RELU))
    relu, operand 0, x > 0: 1: proved
    relu, operand 0, x < 0: 0: proved
    """
    import sympy

    if op.decreed:
        return RuleProof(op.name, (), op.sentence)
    symbols = operand_symbols(op, statics)
    operands: list[Any] = list(symbols)
    for place in op.conditions:
        operands[place] = symbols[place] > 0
    fixed: list[Any]
    if statics is None:
        fixed = [sympy.Symbol(name, real=True) for name in op.statics]
    else:
        fixed = [sympy_number(number, exact=True) for number in statics]
    meaning = as_number(op.sympy(sympy, *operands, *fixed))
    ct = sympy.Symbol("ct", real=True)
    steps: list[RuleStep] = []
    for position, (rule, symbol) in enumerate(zip(op.vjp, symbols, strict=True)):
        share = 0 if rule is None else rule(ct, meaning, *operands, *fixed)
        derivative = derivative_of(meaning, symbol)
        difference = sympy.sympify(share) - ct * derivative
        for region, rest, here in regions(difference, derivative):
            left = "0" if is_zero(rest) else str(sympy.simplify(rest))
            steps.append(RuleStep(position, region or "everywhere", str(here), left))
    return RuleProof(op.name, tuple(steps))


def operand_symbols(op: Op, statics: tuple[float, ...] | None = None) -> list[Any]:
    """A real sympy symbol per operand, positive where the domain of `op` is.

    Whole static arguments lift that: x**2 is a function of every x, x**0.5 is not.
    """
    import sympy

    whole = bool(statics) and all(float(number).is_integer() for number in statics or ())
    names = ["x"] if op.arity == 1 else list("abcdef"[: op.arity])
    return [
        sympy.Symbol(name, positive=True)
        if low >= 0 and not whole
        else sympy.Symbol(name, real=True)
        for name, (low, _) in zip(names, op.domain or ((-1.0, 1.0),) * op.arity, strict=True)
    ]


@lru_cache(maxsize=1024)
def is_piecewise(op: Op) -> bool:
    """Whether the meaning of `op` has pieces, joined at a kink or a step.

    >>> from wengert.ops.scalar import ABS, TANH
    >>> is_piecewise(ABS), is_piecewise(TANH)
    (True, False)
    """
    import sympy

    if op.arity == 0:
        return False
    statics = [sympy.Symbol(name, real=True) for name in op.statics]
    meaning = as_number(op.sympy(sympy, *operand_symbols(op), *statics))
    return bool(meaning.has(sympy.Piecewise, sympy.Abs, sympy.Max, sympy.Min))


def regions(*formulas: Any) -> Iterator[tuple[Any, ...]]:
    """The formulas on each region where every condition in them keeps its truth.

    Conditions are comparisons, and those within Max, Min, Abs, sign and Heaviside. Yields (region
    as text, the formulas without conditions); formulas without any have one region, "". Regions may
    be empty. More than `MAX_CONDITIONS` different conditions are a `SizeError`.
    """
    import sympy

    kinds = (
        sympy.core.relational.Relational,
        *(sympy.Max, sympy.Min, sympy.Abs, sympy.sign, sympy.Heaviside),
    )
    plain = [sympy.sympify(formula) for formula in formulas]
    parts = sorted(set().union(*(f.atoms(*kinds) for f in plain)), key=sympy.default_sort_key)
    sides = {part: _canonical(*_sides(part)) for part in parts}
    gaps = list(dict.fromkeys(gap for gap, _ in sides.values()))
    if len(gaps) > MAX_CONDITIONS:
        raise SizeError(f"{len(gaps)} different conditions; at most {MAX_CONDITIONS} are tried")
    for signs in product((1, -1), repeat=len(gaps)):
        sign_of = dict(zip(gaps, signs, strict=True))
        known = {part: _decided(part, flip * sign_of[gap]) for part, (gap, flip) in sides.items()}
        region = ", ".join(f"{gap} {'>' if sign > 0 else '<'} 0" for gap, sign in sign_of.items())
        decided = list(plain)
        # What a part is replaced by may hold parts of its own.
        while any(formula.has(*kinds) for formula in decided):
            decided = [formula.xreplace(known) for formula in decided]
        yield region, *decided


def is_zero(formula: Any) -> bool:
    """Whether sympy can show that a formula without conditions is 0, the cheap ways first.

    It tries no longer where the formula is another number than 0 at some point, and not at all
    where a power would be a sum of more than `MAX_TERMS` terms.

    >>> import sympy; x = sympy.Symbol("x", real=True)
    >>> is_zero(sympy.tanh(x) ** 2 + 1 / sympy.cosh(x) ** 2 - 1), is_zero(x - 1)
    (True, False)
    """
    import sympy

    if formula == 0:
        return True
    if _expands_far(formula):
        return False
    if sympy.expand(formula) == 0:
        return True
    ways = (
        lambda f: sympy.cancel(sympy.together(f)),
        sympy.simplify,
        lambda f: sympy.simplify(f.rewrite(sympy.exp)),
    )
    return not _differs_from_zero(formula) and any(way(formula) == 0 for way in ways)


def _expands_far(formula: Any) -> bool:
    """Whether a power in a formula is a sum of very many terms, which all ways multiply out."""
    import sympy

    for power in formula.atoms(sympy.Pow):
        if not power.exp.is_Integer or abs(power.exp) < 2:
            continue
        terms = max((len(part.args) for part in power.base.atoms(sympy.Add)), default=1)
        if math.comb(abs(int(power.exp)) + terms - 1, terms - 1) > MAX_TERMS:
            return True
    return False


def _differs_from_zero(formula: Any) -> bool:
    """Whether a formula of exact numbers is real and far from 0 at a point."""
    import sympy

    if formula.has(sympy.Float):
        return False
    names = sorted(formula.free_symbols, key=sympy.default_sort_key)
    at = {name: sympy.Rational(7 + 3 * i, 10) for i, name in enumerate(names)}
    value = formula.evalf(_DIGITS, subs=at)
    return bool(value.is_Float and abs(value) > _FAR)


def _leaf(graph: Graph, node: int, exact: bool, named: bool) -> Any:
    import sympy

    source = graph.source(node)
    if graph.ops[node] is CONSTANT or (source and not named and not is_name(source.label)):
        number = graph.value(node)
        return sympy_number(0.0 if number is None else number, exact)
    return sympy.Symbol(graph.labels[node], real=True)


def _degree(graph: Graph, node: int, degrees: dict[int, float]) -> float:
    """A bound on the highest power in the formula of `node`."""
    op, operands = graph.ops[node], [degrees[operand] for operand in graph.operands[node]]
    degree: float
    if op is POW:
        degree = operands[0] * abs(graph.value(graph.operands[node][1]) or 1.0)
    else:
        powers = _powers(op, graph.statics.get(node, ()))
        degree = max([float(sum(map(mul, term, operands))) for term in powers], default=1.0)
    if not math.isfinite(degree):
        return 1.0  # sympy writes x**oo as it is
    if degree > MAX_DEGREE:
        raise SizeError(
            f"node {node} of {graph!r} is a power of {degree:.3g}; "
            f"sympy takes up to {MAX_DEGREE:,}: it would write out the powers of numbers in it"
        )
    return degree


@lru_cache(maxsize=1024)
def _powers(op: Op, statics: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    """The powers of its operands in each term of what an operation means; () for no polynomial.

    A quotient counts as the product, and a power as itself whatever the exponent.
    """
    import sympy

    if op.arity < 1 or op.conditions or op.truth:
        return ()
    symbols = operand_symbols(op)
    meaning = op.sympy(sympy, *symbols, *[sympy_number(number) for number in statics])
    if meaning.is_Pow and meaning.base in symbols and meaning.exp.is_number:
        return (tuple(float(abs(meaning.exp)) * (s == meaning.base) for s in symbols),)
    found: list[tuple[float, ...]] = []
    for part in sympy.fraction(sympy.together(meaning)):
        if not part.is_polynomial(*symbols):
            return ()
        found += sympy.Poly(part, *symbols).monoms()
    above = [tuple(map(float, term)) for term in found]
    return tuple(above)


def _sides(part: Any) -> tuple[Any, Any]:
    """The two expressions that a condition, or a function with a kink, compares."""
    import sympy

    if isinstance(part, (sympy.Abs, sympy.sign, sympy.Heaviside)):
        return part.args[0], sympy.Integer(0)
    if len(part.args) != 2:
        raise SizeError(f"{part.func} of {len(part.args)} operands is not taken apart")
    left, right = part.args
    return left, right


def _canonical(left: Any, right: Any) -> tuple[Any, int]:
    """The difference of two sides, the same for both orders, and the sign that tells those."""
    gap = left - right
    return (-gap, -1) if gap.could_extract_minus_sign() else (gap, 1)


def _decided(part: Any, sign: int) -> Any:
    """A condition or kinked function, where its first side minus its second has this sign."""
    import sympy

    above = sign > 0
    match part:
        case sympy.Max() | sympy.Min():
            return part.args[0 if above == isinstance(part, sympy.Max) else 1]
        case sympy.Abs():
            return sign * part.args[0]
        case sympy.sign():
            return sympy.Integer(sign)
        case sympy.Heaviside():
            return sympy.Integer(above)
        case sympy.Eq() | sympy.Ne():
            return sympy.true if isinstance(part, sympy.Ne) else sympy.false
    rises = isinstance(part, (sympy.Gt, sympy.Ge))
    return sympy.true if rises == above else sympy.false


def _flat(things: Any) -> Iterator[Any]:
    if isinstance(things, (Arithmetic, Real, str)) or not isinstance(things, Iterable):
        yield things
    else:
        for thing in things:
            yield from _flat(thing)


def _rebuilt(things: Any, converted: Iterator[Any]) -> Any:
    if isinstance(things, (Arithmetic, Real)):
        return next(converted)
    return [_rebuilt(thing, converted) for thing in things]
