"""Which passes a graph goes through on its way to a function."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from numbers import Real
from typing import Any, Final, NamedTuple, overload

from ..errors import OperandError, UnknownNameError, formula_hint, kind_of, shorten
from ..graph.arithmetic import Arithmetic
from ..graph.expr import Expr, Graph
from ..graph.rewrite import Rewritten, extract
from ..graph.value import Value
from .choices import choose_places
from .engine import PASSES, Pass
from .rules import Rule
from .sharing import factor, share_products, share_sums
from .stable import shift_sums

EXACT, REAL = "exact", "real"

SIMPLIFICATIONS: Final = (EXACT, REAL)
"""What `compile` can be asked for by name."""

Rules = str | Rule | Sequence[Rule | str]
"""A set of rules by its name, rules of one's own, or both."""


class Choice(NamedTuple):
    """Which rules to apply: those of one's own first, then a set."""

    name: str
    own: tuple[Rule, ...] = ()

    def passes(self) -> Pass:
        """The pass that applies them."""
        return _pass_of(self.name, self.own) if self.own else PASSES[self.name]


@lru_cache(maxsize=64)
def _pass_of(name: str, own: tuple[Rule, ...]) -> Pass:
    return Pass(name, own + PASSES[name].rules, fold=True, share=True)


@overload
def simplify(exprs: Expr | Value, rules: Rules = "exact") -> Expr: ...
@overload
def simplify(exprs: Iterable[Any], rules: Rules = "exact") -> list[Expr]: ...
def simplify(exprs: Any, rules: Rules = "exact") -> Expr | list[Expr]:
    """The same expressions, written with fewer operations, in a new graph.

    exprs   an expression or a sequence of them, which gives a list in its order
    rules   "exact": results stay the same float64 bit for bit, but for the sign of a zero that no
            division in the graph shows;
            "real": also rewrites that hold over the reals and may round otherwise;
            "stable": also rewrites that improve floating point, such as log(1 + exp(x)) to
            softplus(x); use it before differentiating;
            a list of `Rule`s of your own: those first, then "exact", or the set that is named in it

    The new graph's `passes` say what happened. Unknown `rules` are an `UnknownNameError`.

    >>> g = Graph(); x = g.input("x")
    >>> y = simplify(x * 1 + (-x) * 2)
    >>> print(y)
    x + -2*x
    >>> print(*y.graph.passes)
    exact: 7 nodes -> 4; mul 2 -> 1, neg 1 -> 0; 1 fold, 1 mul-one, 1 scale-neg
    >>> from wengert.ops.scalar import log, sqrt
    >>> half = Rule("log-sqrt", lambda x: log(sqrt(x)), lambda x: 0.5 * log(x), "real")
    >>> print(simplify(x.sqrt().log() * 1, rules=[half]))
    0.5*log(x)
    """
    chosen = chosen_rules(rules, PASSES)
    single = isinstance(exprs, (Arithmetic, Real))
    if isinstance(exprs, str) or not (single or isinstance(exprs, Iterable)):
        raise OperandError(
            f"cannot simplify {shorten(exprs)}, {kind_of(exprs)}; "
            f"expected an Expr, a Value or a sequence of them{formula_hint(exprs)}"
        )
    graph = chosen.passes()(extract([exprs] if single else exprs)).graph
    if chosen.name == "stable":
        graph = shift_sums(graph).graph
    results = [graph[node] for node in graph.outputs]
    return results[0] if single else results


def simplified(graph: Graph, rules: Choice, samples: Collection[str] = ()) -> Rewritten:
    """What becomes of `graph` by the passes of a choice of rules; it stays as it is itself.

    rules    "exact": results stay the same float64 bit for bit, but for the sign of a zero;
             "real": also what holds over the reals and may round otherwise: rules, common factors
             taken out of sums, and parts that sums or products share computed once
    samples  the names of the leaves that have a value for every sample of a batch
    """
    step = rules.passes()
    made = step(graph)
    if rules.name == EXACT:  # the others may be for arrays, whose places are alike as they are
        made = made.then(choose_places(made.graph))
    if rules.name == REAL:
        for sharing in (factor, share_sums, share_products):
            made = made.then(sharing(made.graph, samples))
        made = made.then(step(made.graph))
    return made


def rules_named(simplify: Any) -> Choice | None:
    """The rules that `simplify` asks for: True is "exact", False is None.

    >>> rules_named(True), rules_named("real"), rules_named(False)
    (Choice(name='exact', own=()), Choice(name='real', own=()), None)
    """
    if simplify is False:
        return None
    if simplify is True:
        return Choice(EXACT)
    return chosen_rules(simplify, SIMPLIFICATIONS, "simplification", ("True", "False"))


def chosen_rules(
    rules: Any, names: Iterable[str], what: str = "set of rules", more: Sequence[str] = ()
) -> Choice:
    """What a name, rules of one's own, or a sequence of both stand for; "exact" if none is named.

    >>> chosen_rules(["real"], ["exact", "real"])
    Choice(name='real', own=())
    """
    known = list(names)
    given = [rules] if not isinstance(rules, (list, tuple)) else list(rules)
    own = tuple(rule for rule in given if isinstance(rule, Rule))
    named = [thing for thing in given if not isinstance(thing, Rule)]
    for name in named if given else [rules]:
        if not isinstance(name, str) or name not in known:
            raise UnknownNameError.of(what, name, [*known, *more])
    if len(named) > 1:
        raise OperandError(
            f"rules names {len(named)} sets, {shorten(named)}; name one, and the rules of your own"
        )
    return Choice(named[0] if named else EXACT, own)
