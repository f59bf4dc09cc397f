"""The stable form of an expression: the same function, written so that floats do not lose it.

`log(1 + exp(x))` is infinite at 1000 and its derivative nan; `softplus(x)` and its derivative are
right everywhere. The rewrites are the rules `STABLE`, and two on sums of any length, which stand
here. `grad` differentiates the stable form; what the user wrote stays as it is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from typing import Any, Final

from ..errors import OperandError, formula_hint, kind_of, shorten
from ..graph.expr import Expr, Graph
from ..graph.rewrite import (
    PassRecord,
    Rewritten,
    Walk,
    add_record,
    live_part,
    replay,
    rewritten,
    unchanged,
)
from ..graph.store import Origin, live_nodes
from ..graph.traversal import taken_apart
from ..ops.arrays import BROADCAST, GATHER, LOGSUMEXP, RESHAPE, SUM, TRANSPOSE
from ..ops.record import Op
from ..ops.scalar import (
    ADD,
    CBRT,
    CONSTANT,
    DIV,
    EQ,
    EXP,
    EXP2,
    LOG,
    LOG1P,
    MUL,
    NEG,
    POW_CONST,
    SIGMOID,
    SQRT,
    STOP_GRADIENT,
    SUB,
    WHERE,
    equal,
    exp,
    log,
    maximum,
    sigmoid,
    stop_gradient,
    where,
)
from .engine import Pass, carried_groups
from .exponentials import (
    NOTHING,
    ONE,
    Exponent,
    Exponentials,
    Quotient,
    Terms,
    bases_of,
    exponential_nodes,
    looks_summed,
    quotient,
    quotient_may_fit,
    scale_of,
)
from .norms import is_norm
from .powers import Power, power_fixed, power_of, written
from .rules import STABLE, Rewrite, scalar_constant

STABLE_PASS: Final = Pass("stable", STABLE, share=True)
"""The rules alone: nothing is folded, so that what no rule concerns stays as it was written."""


@dataclass(frozen=True)
class SumRule:
    """A rewrite about a sum of exponentials of any length.

    name     what records call it
    pattern  what is matched: a function of the terms' exponents
    result   what it becomes: a function of the shift, then the exponents; equal to the pattern for
             every shift, so that no derivative has to pass through the shift
    """

    name: str
    pattern: Callable[..., Any]
    result: Callable[..., Any]


QUOTIENT: Final = "quotient-shifted"
"""What is divided by a sum of exponentials of one node, such as 2/(exp(x) + exp(-x))."""
NORM: Final = "root-of-squares"
"""A root that is 0 with a slope of at most 1, such as sqrt(x*x + y*y): its slope is 0 there."""

POWER: Final = "power-of-root"
"""A power of a root or of a logarithm, such as sqrt(x)**3: one power, whose slope is right at 0."""

LOG_POWER: Final = "log-of-power"
"""The logarithm of a power, such as log(x**3): a multiple of one."""

LEAST_WEIGHT: Final = 1e-290


def _sum(terms: Iterable[Any]) -> Any:
    first, *rest = terms
    return sum(rest, first)


# Blanchard, Higham & Higham 2021, "Accurately computing the log-sum-exp and softmax functions".
LOG_SUM_EXP: Final = SumRule(
    "log-sum-exp-shifted",
    lambda *z: log(_sum(exp(a) for a in z)),
    lambda m, *z: log(_sum(exp(a - m) for a in z)) + m,
)
SOFTMAX: Final = SumRule(
    "softmax-shifted",
    lambda *z: exp(z[0]) / _sum(exp(a) for a in z),
    lambda m, *z: exp(z[0] - m) / _sum(exp(a - m) for a in z),
)

ARRAY_LOG_SUM_EXP: Final = "log-sum-exp-array"
"""log Σ exp over an axis becomes the operation `logsumexp`, which is defined as that."""
ARRAY_SOFTMAX: Final = "softmax-array"
"""exp(a)/Σ exp(z) becomes exp(a - logsumexp(z))."""
_POWERS: Final = frozenset({MUL, DIV, SQRT, CBRT, POW_CONST, EXP, EXP2})
_SHIFTED: Final = _POWERS | {LOG, LOG1P}
"""The operations of which something may be shifted, or guarded."""
_ADDING: Final = frozenset({ADD, SUB, NEG})
_LAYOUTS: Final = frozenset({RESHAPE, BROADCAST, GATHER, TRANSPOSE})


def stable_form(expr: Expr) -> Expr:
    """The same expression in its stable form, in the same graph; `expr` itself where no rule fits.

    New nodes carry an `Origin` of the transform "stable" that names the rules, and the graph's
    `passes` get a record of how often each rule applied. What `expr` was written with stays.

    >>> g = Graph(); x = g.input("x")
    >>> print(stable_form((1 + x.exp()).log() * x))
    softplus(x)*x
    """
    if not isinstance(expr, Expr):
        raise OperandError(
            f"{shorten(expr)} is {kind_of(expr)}; expected an Expr{formula_hint(expr)}"
        )
    graph, root = expr.graph, expr.id
    with graph.lock:
        found = graph.stable_forms.get(root)
        if found is None:
            found = graph.stable_forms[root] = _stable_node(graph, root)
            graph.stable_forms.setdefault(found, found)
    return Expr(graph, found)


def shift_sums(graph: Graph) -> Rewritten:
    """A pass: logarithms and quotients of sums of exponentials, shifted by the largest exponent.

    >>> from wengert.graph.rewrite import extract
    >>> g = Graph(); a, b, c = g.inputs("x", 3)
    >>> small, _ = shift_sums(extract([log(exp(a) + exp(b) + exp(c))]))
    >>> print(small.passes[-1].rewrites)
    {'log-sum-exp-shifted': 1}
    """
    return _shifted(live_part(graph), graph)


def _shifted(work: Rewritten, before: Graph) -> Rewritten:
    """What `shift_sums` makes of a graph that is at its disposal; it came of the one before."""
    return _shifted_apart(work, before, {})[0]


def _shifted_apart(
    work: Rewritten, before: Graph, groups: Mapping[int, int]
) -> tuple[Rewritten, Mapping[int, int]]:
    """The same where nodes are shared within groups, and the groups of the new graph."""
    shift = _Shift(work.graph, groups)
    if not shift.applied:
        return unchanged(before), groups
    roots = [shift.images[root] for root in work.graph.outputs]
    last = rewritten(work.graph, roots)
    made = work.then(Rewritten(work.graph, (shift.images,))).then(last)
    add_record("shift-sums", before, made.graph, shift.applied)
    return made, carried_groups(shift.groups, last)


def stable_rewriting(graph: Graph, root: int) -> Rewritten:
    """What becomes of a node and of those it is computed from, in a new graph.

    >>> g = Graph(); x = g.input("x"); y = (1 + x.exp()).log()
    >>> made = stable_rewriting(g, y.id)
    >>> print(made.graph[made.images[y.id]], dict(stable_rules(made.graph)))
    softplus(x) {'softplus': 1}
    """
    return _rewriting(graph, root, _written_again(graph, root))[0]


def _rewriting(
    graph: Graph, root: int, groups: Mapping[int, int]
) -> tuple[Rewritten, Mapping[int, int]]:
    """The same where nodes are shared within groups, and the groups of the new graph."""
    small = rewritten(graph, [root])
    made, groups = STABLE_PASS.keeping_apart(small.graph, carried_groups(groups, small))
    made = small.then(made)
    last, groups = _shifted_apart(unchanged(made.graph), made.graph, groups)
    return made.then(last), groups


def _written_again(graph: Graph, root: int) -> dict[int, int]:
    """Groups of nodes that are not shared with equal ones of other groups: terms of the whole sum.

    That two samples are equal must not change what is found, as the tokens of a text may be. What
    is written twice within a term may have to be known as equal, for a rule; so what meets below
    the outermost sum is one group.
    """
    live = live_nodes(graph, [root])
    if any(node in graph.shapes for node in live):
        return {}
    same = _equal_nodes(graph, live, {}, {})
    several = {node for node, count in Counter(same.values()).items() if count > 1}
    twice = {node for node in live if graph.operands[node] and same[node] in several}
    if not twice:
        return {}
    outermost = _outermost_sum(graph, root, twice)
    leader = {node: node for node in twice}

    def find(node: int) -> int:
        while leader[node] != node:
            leader[node] = node = leader[leader[node]]
        return node

    for node in live:
        if node in outermost:
            continue
        for operand in graph.operands[node]:
            if operand in leader:
                leader[find(operand)] = find(leader.setdefault(node, node))
    return {node: find(node) + 1 for node in leader}


def _outermost_sum(graph: Graph, root: int, ends: Set[int]) -> set[int]:
    """What adds and scales the terms of a sum, down to `ends`."""
    found: set[int] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        op, operands = graph.ops[node], graph.operands[node]
        fixed = [operand for operand in operands if graph.ops[operand] is CONSTANT]
        scales = (op is MUL and fixed) or (op is DIV and graph.ops[operands[1]] is CONSTANT)
        if node not in found and node not in ends and (op in _ADDING or scales):
            found.add(node)
            stack += operands
    return found


def _equal_nodes(
    graph: Graph, live: Sequence[int], groups: Mapping[int, int], known: dict[object, int]
) -> dict[int, int]:
    """Of each node the first of its group that is the same; `known` gets it by what it is."""
    same: dict[int, int] = {}
    for node in live:
        operands = tuple([same[operand] for operand in graph.operands[node]])
        key = (graph.ops[node], operands, graph.statics.get(node, ()), groups.get(node, 0))
        same[node] = known.setdefault(key, node) if operands else node
    return same


def stable_rules(graph: Graph) -> Counter[str]:
    """How often each rule of the stable form applied on the way to a graph."""
    applied: Counter[str] = Counter()
    for record in graph.passes:
        applied.update({n: k for n, k in record.rewrites.items() if n in _NAMES})
    return applied


def _stable_node(graph: Graph, root: int) -> int:
    live = live_nodes(graph, [root])
    seen = _Seen()
    if not any(_may_change(graph, node, seen) for node in live):
        return root
    groups = _written_again(graph, root)
    made, groups_after = _rewriting(graph, root, groups)
    small = made.graph
    applied = stable_rules(small)
    if not applied:
        return root
    before = len(graph)
    known: dict[object, int] = {}
    _equal_nodes(graph, live, groups, known)
    origin = Origin("stable", root, "rule", ", ".join(applied))
    image = _brought_back(small, graph, known, groups_after, origin)
    graph.passes = (
        *graph.passes,
        PassRecord(
            name="stable",
            nodes_before=before,
            nodes_after=len(graph),
            operations_before={},
            operations_after={},
            rewrites=dict(sorted(applied.items())),
        ),
    )
    return image


_NAMES: Final = frozenset(
    {
        *(rule.name for rule in STABLE),
        LOG_SUM_EXP.name,
        SOFTMAX.name,
        QUOTIENT,
        NORM,
        POWER,
        LOG_POWER,
    }
    | {ARRAY_LOG_SUM_EXP, ARRAY_SOFTMAX}
)


def _brought_back(
    small: Graph, graph: Graph, known: dict[object, int], groups: Mapping[int, int], origin: Origin
) -> int:
    """The output of `small` in `graph`, nodes that are known there being used again."""

    def write(walk: Walk, node: int) -> int | None:
        operands = tuple([walk.images[operand] for operand in small.operands[node]])
        if not operands:
            return None
        key = (small.ops[node], operands, small.statics.get(node, ()), groups.get(node, 0))
        if key not in known:
            known[key] = walk.copy(node)
        return known[key]

    leaves = {leaf: graph.leaves[name] for name, leaf in small.leaves.items()}
    root = small.outputs[0]
    return replay(small, [root], graph, leaves, write, origin=origin)[root]


class _Shift:
    """One walk over a graph that appends the shifted forms; `images` says what became of each."""

    def __init__(self, graph: Graph, groups: Mapping[int, int]) -> None:
        self.graph = graph
        self.groups = dict(groups)
        self._group = 0
        self._walk = Walk(graph, graph)
        self.images = self._walk.images
        self.applied: Counter[str] = Counter()
        self.exponentials = Exponentials(graph)
        self._terms: dict[int, Terms | None] = {}
        self._shifted: dict[object, tuple[Expr, Expr]] = {}
        self._degrees: dict[int, float | None] = {}
        self._powers: dict[int, Power] = {}
        live = live_nodes(graph, graph.outputs)
        self._guarded = _guarded_roots(graph, live)
        self._exponential = exponential_nodes(graph, live)
        self._walk.run(live, self._write)

    def _write(self, walk: Walk, node: int) -> int:
        self._group = self.groups.get(node, 0)
        before = len(self.graph)
        image = self._written(walk, node)
        if self._group:
            self.groups.update(dict.fromkeys(range(before, len(self.graph)), self._group))
        return image

    def _written(self, walk: Walk, node: int) -> int:
        graph, operands = self.graph, self.graph.operands[node]
        if not operands:
            return node
        if graph.ops[node] in _SHIFTED:
            shifted = self._array_form(graph.ops[node], operands)
            shifted = self._shifted_form(node) if shifted is None else shifted
            if shifted is not None:
                return shifted.id
        images = self.images
        for operand in operands:
            if images[operand] != operand:
                return walk.copy(node)
        return node

    def _shifted_form(self, node: int) -> Expr | None:
        op, operands = self.graph.ops[node], self.graph.operands[node]
        power = power_of(self.graph, node, self._powers) if op in _POWERS else None
        if power is not None:
            self.applied[POWER] += 1
            return written(power, self.graph[self.images[power.base]])  # type: ignore[no-any-return]
        if op is LOG or op is LOG1P:
            found = self._log_form(operands[0], extra=op is LOG1P)
            return found if found is not None or op is LOG1P else self._log_power(operands[0])
        if op is DIV or op is MUL:
            return self._quotient_form(node) if node in self._exponential else None
        if op is SQRT or op is POW_CONST:
            return self._root_form(node)
        return None

    def _log_form(self, node: int, extra: bool) -> Expr | None:
        """The logarithm of a sum of exponentials, of one more if `extra`, shifted."""
        terms = self._sum_terms(node)
        if terms is None:
            return None
        if extra:
            terms = {**terms, NOTHING: terms.get(NOTHING, 0.0) + 1.0}
        if not bases_of(terms) or min(terms.values()) <= 0.0 or self._is_shifted(terms):
            return None
        total, shift = self._sum_of(self._moderated(terms))
        self.applied[LOG_SUM_EXP.name] += 1
        return log(total) + shift  # type: ignore[no-any-return]

    def _log_power(self, node: int) -> Expr | None:
        """The logarithm of a power, which may overflow where that of what it is of does not."""
        exponent = power_fixed(self.graph, node)
        if exponent is None:
            return None
        base = self.graph[self.images[self.graph.operands[node][0]]]
        self.applied[LOG_POWER] += 1
        return exponent * log(base if exponent % 2.0 else abs(base))  # type: ignore[no-any-return]

    def _quotient_form(self, node: int) -> Expr | None:
        """What is divided by a sum of exponentials, both shifted by the largest of that sum's."""
        found = quotient(self.exponentials, node)
        if found is None:
            found = self._softmax(node)
        if found is None or self._is_shifted(found.below):
            return None
        name, part = QUOTIENT, self._logistic(found)
        if part is None and found.below == ONE:
            part = self._sum_with(found.above, None)
        elif part is None:
            total, shift = self._sum_of(found.below)
            part = self._sum_with(found.above, shift) / total
            name = SOFTMAX.name if list(found.above.values()) == [1.0] else QUOTIENT
        self.applied[name] += 1
        for factor in found.factors:
            part = self.graph[self.images[factor]] * part
        for divisor in found.divisors:
            part = part / self.graph[self.images[divisor]]
        return part

    def _softmax(self, node: int) -> Quotient | None:
        """One exponential over a sum of them, of any length."""
        graph, (a, b) = self.graph, self.graph.operands[node]
        if graph.ops[node] is not DIV or graph.ops[a] is not EXP:
            return None
        below = self._sum_terms(b)
        if below is None or not bases_of(below) or min(below.values()) <= 0.0:
            return None
        above = {self.exponentials.exponent(graph.operands[a][0]): 1.0}
        return Quotient(above, self._moderated(below))

    def _logistic(self, found: Quotient) -> Expr | None:
        """What is a multiple of a sigmoid, as that; None for others."""
        if len(found.below) != 2 or len(found.above) != 1 or NOTHING not in found.below:
            return None
        ((exponent, weight),) = found.above.items()
        (other,) = found.below.keys() - {NOTHING}
        if len({*found.below.values()}) != 1 or exponent not in found.below:
            return None
        rises = exponent if exponent != NOTHING else Exponent(other.base, -other.times)
        part = sigmoid(self._exponent(rises))
        scale = weight / found.below[other]
        return part if scale == 1.0 else scale * part  # type: ignore[no-any-return]

    def _root_form(self, node: int) -> Expr | None:
        """A root of a sum of squares: that sum itself where it is 0, for its derivative's sake."""
        graph = self.graph
        if node in self._guarded or not is_norm(graph, node, self._degrees):
            return None
        (inner,) = graph.operands[node]
        total = graph[self.images[inner]]
        self.applied[NORM] += 1
        root = graph[self._walk.copy(node)]
        return where(equal(total, 0), total, root)  # type: ignore[no-any-return]

    def _array_form(self, op: Op, operands: tuple[int, ...]) -> Expr | None:
        """What becomes of the logarithm of a sum over exponentials of an array, or of a softmax."""
        graph = self.graph
        if op is LOG:
            inner, layouts = _laid_out(graph, operands[0])
            if graph.ops[inner] is DIV:
                found = self._log_softmax(*graph.operands[inner])
            else:
                found = self._log_sum(inner)
            name = ARRAY_LOG_SUM_EXP
        elif op is DIV:
            found, layouts = self._log_softmax(*operands), []
            found = None if found is None else exp(found)
            name = ARRAY_SOFTMAX
        else:
            return None
        if found is None:
            return None
        self.applied[name] += 1
        return _with_layouts(found, layouts)

    def _log_sum(self, node: int) -> Expr | None:
        """The logarithm of a sum over the exponentials of an array; None for another node."""
        graph = self.graph
        if graph.ops[node] is not SUM or graph.ops[graph.operands[node][0]] is not EXP:
            return None
        (exponent,) = graph.operands[graph.operands[node][0]]
        statics = graph.statics.get(node, ())
        return LOGSUMEXP(graph[self.images[exponent]], *statics)  # type: ignore[no-any-return]

    def _log_softmax(self, a: int, b: int) -> Expr | None:
        """The logarithm of a/b, where a is an exponential and b such a sum."""
        graph = self.graph
        above, above_layouts = _laid_out(graph, a)
        below, below_layouts = _laid_out(graph, b)
        found = self._log_sum(below) if graph.ops[above] is EXP else None
        if found is None:
            return None
        exponent = _with_layouts(graph[self.images[graph.operands[above][0]]], above_layouts)
        return exponent - _with_layouts(found, below_layouts)

    def _sum_of(self, terms: Terms) -> tuple[Expr, Expr]:
        """The sum of the shifted exponentials, and the shift: once for each sum."""
        key = (self._group, *terms.items())
        if key not in self._shifted:
            shift = stop_gradient(reduce(maximum, map(self._exponent, _extremes(terms))))
            self._shifted[key] = (self._sum_with(terms, shift), shift)
        return self._shifted[key]

    def _moderated(self, terms: Terms) -> Terms:
        """The terms with weights that neither hide the others nor make them infinite."""
        found: dict[Exponent, float] = {}
        for exponent, weight in terms.items():
            if LEAST_WEIGHT <= weight <= 1.0 / LEAST_WEIGHT:
                found[exponent] = weight
            else:
                moved = self._exponent(exponent) + math.log(weight)
                found[Exponent(moved.id, 1.0)] = 1.0
        return found

    def _sum_with(self, terms: Terms, shift: Expr | None) -> Expr:
        """A sum of exponentials, each shifted."""
        exponents = [self._exponent(z) for z in terms]
        parts = [exp(z if shift is None else z - shift) for z in exponents]
        weighed = zip(parts, terms.values(), strict=True)
        return _sum(part if weight == 1.0 else weight * part for part, weight in weighed)  # type: ignore[no-any-return]

    def _exponent(self, exponent: Exponent) -> Expr:
        """An exponent as a node, the one that was written if there is one."""
        graph = self.graph
        base, times = exponent
        if exponent == NOTHING:
            return graph[graph.constant(0.0).id]
        written = self.exponentials.written.get(exponent)
        if written is not None:
            return graph[self.images.get(written, written)]
        node = graph[self.images.get(base, base)]
        return node if times == 1.0 else -node if times == -1.0 else times * node

    def _sum_terms(self, node: int) -> Terms | None:
        """The terms of a sum of exponentials of any length; None for another sum.

        A number counts as that much of exp(0), and 0, with which Python's `sum` begins, as nothing.
        """
        if node in self._terms:
            return self._terms[node]
        terms: dict[Exponent, float] = {}
        self._terms[node] = None
        for part, weight in taken_apart((node, 1.0), self._summands):
            if scalar_constant(self.graph, part) == 0.0:
                continue
            read = self.exponentials.of(part)
            if read is None or not 0.0 < weight < math.inf:
                return None
            for exponent, times in read.items():
                terms[exponent] = terms.get(exponent, 0.0) + weight * times
        if terms:
            self._terms[node] = terms
        return self._terms[node]

    def _summands(self, term: tuple[int, float]) -> list[tuple[int, float]] | None:
        """What a sum adds up, or what a multiple is of, with its weight."""
        node, weight = term
        if self.graph.ops[node] is ADD:
            return [(operand, weight) for operand in self.graph.operands[node]]
        scaled = _scaled(self.graph, node)
        return None if scaled is None else [(scaled[0], weight * scaled[1])]

    def _is_shifted(self, terms: Terms) -> bool:
        """Whether every exponent is something less one shift that no derivative passes."""
        graph = self.graph
        shifts = {
            graph.operands[z.base][1] if z.base >= 0 and graph.ops[z.base] is SUB else None
            for z in terms
        }
        shift = shifts.pop()
        return not shifts and shift is not None and graph.ops[shift] is STOP_GRADIENT


def _guarded_roots(graph: Graph, live: Iterable[int]) -> set[int]:
    """The roots that are written as `_Shift` writes them already."""
    found = set()
    for node in live:
        if graph.ops[node] is WHERE:
            condition, total, root = graph.operands[node]
            tested = graph.ops[condition] is EQ and graph.operands[condition][0] == total
            if tested and graph.operands[root] == (total,):
                found.add(root)
    return found


def _extremes(terms: Terms) -> list[Exponent]:
    """The exponents of which one is the largest: of multiples of one node the outermost."""
    if len(bases_of(terms)) > 1:
        return list(terms)
    ordered = sorted(terms, key=lambda exponent: exponent.times)
    return [ordered[-1], *ordered[:-1][:1]]


def _scaled(graph: Graph, node: int) -> tuple[int, float] | None:
    """What a product or quotient with a positive number is of, and what that is multiplied by."""
    found = scale_of(graph, node)
    return found if found is not None and 0.0 < found[1] < math.inf else None


_Layouts = list[tuple[Op, tuple[Any, ...]]]


def _laid_out(graph: Graph, node: int) -> tuple[int, _Layouts]:
    """The node whose elements another one chooses and arranges, and how."""
    layouts = []
    while graph.ops[node] in _LAYOUTS:
        layouts.append((graph.ops[node], graph.statics.get(node, ())))
        (node,) = graph.operands[node]
    return node, layouts


def _with_layouts(expr: Expr, layouts: _Layouts) -> Expr:
    for op, statics in reversed(layouts):
        expr = op(expr, *statics)
    return expr


@lru_cache(maxsize=1)
def _by_root() -> dict[Op, list[Rewrite]]:
    found: dict[Op, list[Rewrite]] = {}
    for rule in STABLE:
        for rewrite in rule.rewrites:
            found.setdefault(rewrite.root.op, []).append(rewrite)
    return found


_MULTIPLIED: Final = frozenset({EXP, SQRT, SIGMOID})
"""What a factor has to be for a rule about products to apply."""


@dataclass(frozen=True)
class _Seen:
    """What is known of the nodes of a graph before equal parts are known as such."""

    summed: dict[int, int] = field(default_factory=dict)
    degrees: dict[int, float | None] = field(default_factory=dict)
    powers: dict[int, Power] = field(default_factory=dict)


def _may_change(graph: Graph, node: int, seen: _Seen) -> bool:
    """Whether a rule may fit here, equal parts not yet being known as such."""
    op = graph.ops[node]
    if op is ADD:  # by far the most frequent, and only one rule
        a, b = graph.operands[node]
        if graph.ops[a] is not CONSTANT and graph.ops[b] is not CONSTANT:
            return False
    if op in _POWERS and power_of(graph, node, seen.powers, loose=True) is not None:
        return True
    if op is LOG and power_fixed(graph, graph.operands[node][0]) is not None:
        return True
    if op is MUL and _MULTIPLIED.isdisjoint([graph.ops[n] for n in graph.operands[node]]):
        return False
    if (op is MUL or op is DIV) and quotient_may_fit(graph, node, seen.summed):
        return True
    rewrites = _by_root().get(op)
    if rewrites is None:
        return False
    if (op is SQRT or op is POW_CONST) and is_norm(graph, node, seen.degrees, loose=True):
        return True
    if op is DIV:
        sums = graph.ops[_laid_out(graph, graph.operands[node][0])[0]] is EXP
    else:
        sums = op is LOG or op is LOG1P
    if sums and _sum_may_shift(graph, graph.operands[node][-1], seen):
        return True
    return any(_resembles(graph, node, rewrite) for rewrite in rewrites)


def _sum_may_shift(graph: Graph, node: int, seen: _Seen) -> bool:
    """Whether this looks like a sum of exponentials that nothing has shifted yet."""
    last: int | None = node
    while last is not None:
        node = last
        scaled = _scaled(graph, node)
        last = graph.operands[node][-1] if graph.ops[node] is ADD else scaled and scaled[0]
    if graph.ops[node] is not EXP:
        known = graph.ops[_laid_out(graph, node)[0]] in (SUM, DIV, CONSTANT)
        return known or looks_summed(graph, node, seen.summed)
    inner = graph.operands[node][0]
    shift = graph.ops[graph.operands[inner][1]] if graph.ops[inner] is SUB else None
    return shift is not STOP_GRADIENT


def _resembles(graph: Graph, node: int, rewrite: Rewrite) -> bool:
    bound = dict(zip(rewrite.root.operands, graph.operands[node], strict=True))
    for slot, op, slots, statics in rewrite.inner:
        inner = bound[slot]
        if graph.ops[inner] is not op or graph.statics.get(inner, ()) != statics:
            return False
        for inner_slot, operand in zip(slots, graph.operands[inner], strict=True):
            if not _may_be_same(graph, bound.setdefault(inner_slot, operand), operand):
                return False
    return all(
        scalar_constant(graph, bound[slot]) == number for slot, number in rewrite.numbers.items()
    )


def _may_be_same(graph: Graph, a: int, b: int) -> bool:
    """Whether two nodes are one, or may turn out to be written alike."""
    return a == b or (graph.ops[a] is graph.ops[b] and bool(graph.operands[a]))
