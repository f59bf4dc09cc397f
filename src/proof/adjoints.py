"""A proof for each node of a backward pass: its adjoint is the sum of what its consumers pass back.

The adjoint of a node is taken apart into terms down to the adjoints of its consumers. For each
consumer, its terms must be its adjoint times sympy's derivative of its meaning, for every value of
its operands. Terms that look the same are proved once, so the cost is that of reading the graph.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any, Final

from ..errors import WengertError
from ..graph.expr import Graph
from ..graph.traversal import taken_apart
from ..notation.sympy import (
    as_number,
    derivative_of,
    is_zero,
    operand_symbols,
    regions,
    sympy_number,
)
from ..ops.record import Op
from ..ops.scalar import ADD, CONSTANT, NEG, STOP_GRADIENT, SUB, WHERE

MAX_SUM: Final = 1_000_000
"""Into how many parts a sum is taken apart."""

MAX_TERM: Final = 200
"""How many nodes one consumer's terms may have, and how often it may read the operand."""

_CT, _LOCAL, _NUMBER, _MADE = "ct", "local", "number", "made"

Steps = tuple[tuple[Any, ...], ...]
"""Terms written out: each step a ct, a local node, a number, or an operation on earlier steps."""


@dataclass(frozen=True)
class Shape:
    """What one consumer passes back to one operand, without the names of nodes.

    consumers  (operation, static arguments, its operands as local numbers, its own local number,
               the position differentiated by), for each use that shares the cotangent
    steps      the terms, see `Steps`
    terms      (sign, step) for each term
    upstream   the cotangent: None where it is a symbol, or the number that it is
    """

    consumers: tuple[tuple[Op, tuple[float, ...], tuple[int, ...], int, int], ...]
    steps: Steps
    terms: tuple[tuple[int, int], ...]
    upstream: float | None


@dataclass(frozen=True)
class SharesProof:
    """What was proved of a backward pass.

    proved   how many nodes have an adjoint that is proved to be the sum it should be
    nodes    how many nodes with an adjoint have consumers
    shapes   how many different proofs that took
    guarded  how many nodes have a share that a guard of `where` sets to 0 where it is 0 anyway
    """

    proved: int
    nodes: int
    shapes: int
    guarded: int


def prove_shares(graph: Graph, primal: Sequence[int], adjoints: Mapping[int, int]) -> SharesProof:
    """Prove the adjoints of the nodes of `primal`, each from those of its consumers.

    primal    the nodes of the output, in order
    adjoints  node → node of its adjoint, for the output and what lies between it and the leaves

    >>> from wengert.derive.backward import reverse_sweep
    >>> from wengert.graph.store import live_nodes
    >>> g = Graph(); x = g.input("x"); y = (x * x).tanh()
    >>> prove_shares(g, live_nodes(g, [y.id]), reverse_sweep(g, y.id, {x.id}))
    SharesProof(proved=2, nodes=2, shapes=3, guarded=0)
    """
    consumers: dict[int, list[tuple[int, int]]] = {}
    for node in primal:
        if node in adjoints and graph.ops[node] is not STOP_GRADIENT:
            for position, operand in enumerate(graph.operands[node]):
                if operand in adjoints and graph.ops[node].vjp[position] is not None:
                    consumers.setdefault(operand, []).append((node, position))
    proved, guarded = 0, 0
    shapes: set[Shape] = set()
    for node, uses in consumers.items():
        found, unguarded = _shapes_of(graph, adjoints[node], uses, adjoints), False
        holds = found is not None and all(_holds(ways, shapes) for ways in found)
        if not holds:
            found = _shapes_of(graph, adjoints[node], uses, adjoints, unguarded=True)
            holds = unguarded = found is not None and all(_holds(ways, shapes) for ways in found)
        proved += holds
        guarded += unguarded
    return SharesProof(proved, len(consumers), len(shapes), guarded)


def _holds(ways: Iterable[Shape], shapes: set[Shape]) -> bool:
    for shape in ways:
        if is_derivative(shape):
            shapes.add(shape)
            return True
    return False


def _shapes_of(
    graph: Graph,
    adjoint: int,
    uses: Sequence[tuple[int, int]],
    adjoints: Mapping[int, int],
    unguarded: bool = False,
) -> list[tuple[Shape, ...]] | None:
    """For each cotangent that reaches a node, its share; None if the adjoint has something else.

    Each share in one or two ways: with constants among the operands as symbols, and as numbers.
    """
    by_upstream: dict[int, list[tuple[int, int]]] = {}
    for consumer, position in uses:
        by_upstream.setdefault(adjoints[consumer], []).append((consumer, position))
    stops = {up for up in by_upstream if graph.ops[up] is not CONSTANT}
    fixed = [up for up in by_upstream if up not in stops]
    if len(fixed) > 1:
        return None
    local = set(_locals(graph, uses))
    numbered = any(graph.ops[node] is CONSTANT for node in local)
    terms: dict[int | None, list[tuple[int, int]]] = {}
    for sign, term in _terms(graph, adjoint, stops):
        core = _unguarded(graph, term) if unguarded else term
        reached = _reached(graph, core, local, stops)
        if reached is None or len(reached) > 1:
            return None
        terms.setdefault(next(iter(reached), None), []).append((sign, core))
    found = []
    for upstream, group in by_upstream.items():
        symbol = upstream if upstream in stops else None
        for parts, consumers in _matched(graph, terms.pop(symbol, []), group):
            if max(len(parts), len(consumers)) > MAX_TERM:
                return None
            ways = []
            for as_symbols in (True, False) if numbered else (True,):
                shape = _shape(graph, parts, consumers, upstream, as_symbols)
                if shape is None:
                    return None
                if shape not in ways:
                    ways.append(shape)
            found.append(tuple(ways))
    return None if any(terms.values()) else found


def _matched(
    graph: Graph, terms: Sequence[tuple[int, int]], uses: Sequence[tuple[int, int]]
) -> list[tuple[list[tuple[int, int]], list[tuple[int, int]]]]:
    """Terms of one cotangent with the consumers that they are due to; the rest with the rest.

    What a node notes of its origin is a hint: what is paired wrongly is not proved.
    """
    if len(uses) == 1:
        return [(list(terms), list(uses))]
    pairs: dict[tuple[int, int], list[tuple[int, int]]] = {}
    rest, wanted = [], set(uses)
    for sign, term in terms:
        origin = graph.origins[term]
        key = (-1, -1)
        if origin is not None and origin.primal is not None and origin.operand is not None:
            key = (origin.primal, origin.operand)
        if key in wanted:
            pairs.setdefault(key, []).append((sign, term))
        else:
            rest.append((sign, term))
    others = [use for use in uses if use not in pairs]
    matched = [(parts, [use]) for use, parts in pairs.items()]
    return [*matched, (rest, others)] if rest or others else matched


def _terms(graph: Graph, adjoint: int, stops: set[int]) -> list[tuple[int, int]]:
    """The signed terms of an adjoint, sums taken apart down to the cotangents of its consumers."""
    seen = count()

    def parts(signed: tuple[int, int]) -> list[tuple[int, int]] | None:
        sign, node = signed
        op = graph.ops[node]
        if node in stops or op not in (ADD, SUB, NEG) or next(seen) >= MAX_SUM:
            return None
        first, *second = graph.operands[node]
        rest = [(-sign if op is SUB else sign, other) for other in second]
        return [*rest, (-sign if op is NEG else sign, first)]

    return list(taken_apart((1, adjoint), parts))


def _unguarded(graph: Graph, term: int) -> int:
    """What `where(condition, share, 0)` guards, or the term itself."""
    if graph.ops[term] is WHERE:
        _, share, other = graph.operands[term]
        if graph.ops[other] is CONSTANT and graph.value(other) == 0.0:
            return share
    return term


def _reached(graph: Graph, term: int, local: set[int], stops: set[int]) -> set[int] | None:
    """Which cotangents a term is made of; None for a term that goes on and on."""
    reached, stack, seen = set(), [term], set()
    while stack:
        node = stack.pop()
        if node in stops:
            reached.add(node)
        elif node not in seen and node not in local:
            seen.add(node)
            stack += graph.operands[node]
        if len(seen) > MAX_TERM:
            return None
    return reached


def _locals(graph: Graph, uses: Sequence[tuple[int, int]]) -> list[int]:
    return [n for consumer, _ in uses for n in (*graph.operands[consumer], consumer)]


def _shape(
    graph: Graph,
    terms: Sequence[tuple[int, int]],
    uses: Sequence[tuple[int, int]],
    upstream: int,
    as_symbols: bool,
) -> Shape | None:
    """Terms and consumers with nodes numbered in the order they are met."""
    ops, operands_of = graph.ops, graph.operands
    number = graph.value(upstream) if ops[upstream] is CONSTANT else None
    numbering: dict[int, int] = {}
    for node in _locals(graph, uses):
        if as_symbols or ops[node] is not CONSTANT:
            numbering.setdefault(node, len(numbering))
    steps: list[tuple[Any, ...]] = []
    made: dict[int, int] = {}

    def write(node: int) -> bool:
        """Append the steps of a node, operands first; False when there are too many."""
        stack = [node]
        while stack:
            top = stack[-1]
            if top in made:
                stack.pop()
                continue
            step: tuple[Any, ...]
            if top == upstream and number is None:
                step = (_CT,)
            elif top in numbering:
                step = (_LOCAL, numbering[top])
            elif ops[top] is CONSTANT:
                step = (_NUMBER, graph.value(top))
            elif not operands_of[top]:
                step = (_LOCAL, numbering.setdefault(top, len(numbering)))
            else:
                missing = [operand for operand in operands_of[top] if operand not in made]
                if missing:
                    stack += missing
                    if len(stack) > MAX_TERM:
                        return False
                    continue
                places = tuple(made[operand] for operand in operands_of[top])
                step = (_MADE, ops[top], graph.statics.get(top, ()), places)
            stack.pop()
            made[top] = len(steps)
            steps.append(step)
            if len(steps) > MAX_TERM:
                return False
        return True

    if not all(write(term) for _, term in terms):
        return None
    consumers = []
    for consumer, position in uses:
        places = [numbering.get(operand, -1) for operand in operands_of[consumer]]
        for i, operand in enumerate(operands_of[consumer]):
            if places[i] < 0:  # a constant that stands for its number
                if not write(operand):
                    return None
                places[i] = -1 - made[operand]
        consumers.append(
            (
                ops[consumer],
                graph.statics.get(consumer, ()),
                tuple(places),
                numbering[consumer],
                position,
            )
        )
    signed = tuple((sign, made[term]) for sign, term in terms)
    return Shape(tuple(consumers), tuple(steps), signed, number)


@lru_cache(maxsize=4096)
def is_derivative(shape: Shape) -> bool:
    """Whether sympy shows that the terms are the cotangent times the derivatives of the consumers.

    False where it does not; that says nothing about whether they are.
    """
    try:
        return all(is_zero(rest) for _, rest in regions(_difference(shape)))
    except (WengertError, RecursionError, NotImplementedError, ValueError, TypeError):
        return False


def _difference(shape: Shape) -> Any:
    """The terms less what they should be, as sympy sees them.

    A float in them counts as the irrational number that it rounds, where the derivative has that.
    """
    import sympy

    symbols, meanings = _symbols(shape)
    ct = (
        sympy.Symbol("ct", real=True)
        if shape.upstream is None
        else sympy_number(shape.upstream, exact=True)
    )
    leaves = {place: meanings.get(place, symbol) for place, symbol in symbols.items()}
    values = _values(shape, ct, leaves, ())
    wanted = sympy.Integer(0)
    for op, statics, places, _, position in shape.consumers:
        dummies = [
            sympy.Dummy(f"x{i}", real=True, **_sign(symbols, n)) for i, n in enumerate(places)
        ]
        slope = derivative_of(_applied(op, statics, dummies), dummies[position])
        at = [symbols[n] if n >= 0 else values[-1 - n] for n in places]
        wanted += slope.subs(dict(zip(dummies, at, strict=True)), simultaneous=True)
    constants = _irrational_numbers(wanted)
    if constants:
        values = _values(shape, ct, leaves, constants)
    return sum((sign * values[place] for sign, place in shape.terms), -ct * wanted)


def _values(
    shape: Shape, ct: Any, leaves: Mapping[int, Any], constants: Sequence[tuple[float, Any]]
) -> list[Any]:
    """What each step means to sympy; `constants` are numbers for the floats that they round to."""
    values: list[Any] = []
    for kind, *rest in shape.steps:
        if kind == _CT:
            values.append(ct)
        elif kind == _LOCAL:
            values.append(leaves[rest[0]])
        elif kind == _NUMBER:
            values.append(_meant(rest[0], constants))
        else:
            op, statics, places = rest
            values.append(_applied(op, statics, [values[place] for place in places]))
    return values


def _meant(number: float, constants: Sequence[tuple[float, Any]]) -> Any:
    """The constant that a number is, but for 2 units in the last place and the sign, or itself."""
    for nearest, constant in constants:
        if abs(abs(number) - nearest) <= 2 * math.ulp(nearest):
            return -constant if number < 0 else constant
    return sympy_number(number, exact=True)


def _irrational_numbers(expression: Any) -> list[tuple[float, Any]]:
    """The sizes of irrational numbers and products in an expression, after the nearest floats."""
    import sympy

    found: dict[Any, float] = {}
    for part in sympy.preorder_traversal(expression):
        factors = part.args if part.is_Mul else (part,)
        number = sympy.Abs(sympy.Mul(*[factor for factor in factors if factor.is_number]))
        if not number.is_rational and number.is_finite and number.is_real:
            found[number] = float(number)
    return [(nearest, number) for number, nearest in found.items()]


def _symbols(shape: Shape) -> tuple[dict[int, Any], dict[int, Any]]:
    """A symbol for each local node, and the meaning of those that are consumers."""
    import sympy

    positive: dict[int, bool] = {}
    for op, statics, places, own, _ in shape.consumers:
        positive.setdefault(own, False)
        for place, symbol in zip(places, operand_symbols(op, statics), strict=True):
            if place >= 0:
                positive[place] = positive.get(place, False) or bool(symbol.is_positive)
    for kind, *rest in shape.steps:
        if kind == _LOCAL:
            positive.setdefault(rest[0], False)
    symbols = {
        place: sympy.Symbol(f"v{place}", positive=True)
        if above
        else sympy.Symbol(f"v{place}", real=True)
        for place, above in positive.items()
    }
    meanings: dict[int, Any] = {}
    operands = {n for _, _, places, _, _ in shape.consumers for n in places}
    for op, statics, places, own, _ in shape.consumers:
        if own not in operands and all(place >= 0 for place in places):
            meanings[own] = _applied(op, statics, [symbols[place] for place in places])
    return symbols, meanings


def _sign(symbols: Mapping[int, Any], place: int) -> dict[str, bool]:
    return {"positive": True} if place >= 0 and symbols[place].is_positive else {}


def _applied(op: Op, statics: Sequence[float], operands: Sequence[Any]) -> Any:
    """What an operation means to sympy, on numbers."""
    import sympy

    fixed = [sympy_number(static, exact=True) for static in statics]
    arguments = list(operands)
    for place in op.conditions:
        arguments[place] = _condition(arguments[place])
    return as_number(sympy.sympify(op.sympy(sympy, *arguments, *fixed)))


def _condition(thing: Any) -> Any:
    """A number as the condition that it is not 0."""
    import sympy

    if isinstance(thing, sympy.logic.boolalg.Boolean):
        return thing
    if isinstance(thing, sympy.Piecewise) and thing.args[0][0] == 1 and thing.args[-1][0] == 0:
        return thing.args[0][1]  # what a comparison is as a number
    if thing.is_number:
        return sympy.true if thing else sympy.false
    return thing > 0  # any condition will do, if it may hold or not
