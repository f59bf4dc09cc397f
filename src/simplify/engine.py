"""Simplification: named passes from graph to graph, each with a record of what it did.

Every pass is a walk in topological order that writes what the outputs need into a new graph. Dead
code is what the walk never meets. Common subexpressions are found by hash-consing (Ershov 1958, "On
programming of arithmetic operations"). Rules apply where an operation is about to be made, so that
what they answer is simplified in its turn, and one walk is mostly enough.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Final

from ..graph.expr import Graph, Origin, common_graph, live_nodes
from ..ops.record import Op
from ..ops.scalar import CONSTANT, TOTAL
from .arrayrules import rearranged, without_broadcasts
from .rules import COMMUTATIVE, RULE_SETS, Rewrite, Rule, scalar_constant

ROUNDS: Final = 8
"""How often a pass looks again after its rules have changed something."""

NESTING: Final = 16
"""How many rewrites may follow from one another before the walk moves on."""

FOLD: Final = "fold"
"""What records call an operation on constants that became its value."""

REARRANGE: Final = "rearrange"
"""What records call an operation that would leave an array as it is."""

SHARE: Final = "share"
"""What records call an operation that was there already."""


@dataclass(frozen=True)
class PassRecord:
    """What one pass did: nodes and operations before and after, and how often each rule applied."""

    name: str
    nodes_before: int
    nodes_after: int
    operations_before: Mapping[str, int]
    operations_after: Mapping[str, int]
    rewrites: Mapping[str, int]

    def __str__(self) -> str:
        before, after = self.operations_before, self.operations_after
        changed = [
            f"{name} {before.get(name, 0):,} -> {after.get(name, 0):,}"
            for name in dict.fromkeys((*before, *after))
            if before.get(name, 0) != after.get(name, 0)
        ]
        applied = [f"{count:,} {name}" for name, count in self.rewrites.items()]
        return "; ".join(
            [
                f"{self.name}: {self.nodes_before:,} nodes -> {self.nodes_after:,}",
                *filter(None, (", ".join(changed), ", ".join(applied))),
            ]
        )


@dataclass(frozen=True)
class Pass:
    """A simplification: call it with a graph that has outputs, and get a graph with the same ones.

    name    what records call it
    rules   rewrites to apply, the earlier ones first, until none does
    fold    whether an operation on constants becomes its value, where that is finite
    share   whether operations that are the same become one

    Without any of these it removes dead code, which the others do too.

    >>> g = Graph(); x = g.input("x")
    >>> small = SHARE_PASS(extract([x * x + x * x]))
    >>> print(*small.passes)
    share: 4 nodes -> 3; mul 2 -> 1; 1 share
    """

    name: str
    rules: tuple[Rule, ...] = ()
    fold: bool = False
    share: bool = False

    def __call__(self, graph: Graph) -> Graph:
        """A new graph for `graph.outputs`, its `passes` those of `graph` and one record more."""
        applied: Counter[str] = Counter()
        result, candidates = graph, self._candidates
        for _ in range(ROUNDS):
            rebuild = _rebuild(result, result.outputs, candidates, self.share)
            result = rebuild.target
            applied.update(rebuild.applied)
            if not rebuild.applied.keys() - {SHARE}:
                break
            if not rebuild.held_back:
                result = live_part(result)  # without what died
                break
        else:
            result = live_part(result)
        record = PassRecord(
            name=self.name,
            nodes_before=len(graph),
            nodes_after=len(result),
            operations_before=operations(graph),
            operations_after=operations(result),
            rewrites=dict(sorted(applied.items())),
        )
        result.passes = (*graph.passes, record)
        return result

    @cached_property
    def _candidates(self) -> _Candidates | None:
        return _Candidates(self.rules, self.fold) if self.rules or self.fold else None


DEAD_PASS: Final = Pass("dead-code")
FOLD_PASS: Final = Pass("fold", fold=True)
SHARE_PASS: Final = Pass("share", share=True)
PASSES: Final[dict[str, Pass]] = {
    name: Pass(name, rules, fold=True, share=True) for name, rules in RULE_SETS.items()
}
"""The passes `simplify` may be asked for, by the name of their rules."""

DEFAULT_PIPELINE: Final[tuple[Callable[[Graph], Graph], ...]] = (PASSES["exact"],)
"""What `compile` does to a graph."""


def extract(exprs: Iterable[Any]) -> Graph:
    """A new graph with what the expressions need and nothing else; its outputs are they, in order.

    Leaves keep their names, values and the `Value`s they stand for; nodes keep labels and origins.

    >>> g = Graph(); x, y = g.inputs("x", 2)
    >>> unused, wanted = y + 1, x * x
    >>> small = extract([wanted])
    >>> small, [str(small[node]) for node in small.outputs]
    (<Graph: 2 nodes: 1 input, 1 operation>, ['x0*x0'])
    """
    wanted = list(exprs)
    graph = common_graph(wanted)
    return _rebuild(graph, [graph.node_of(thing) for thing in wanted]).target


def live_part(graph: Graph) -> Graph:
    """A new graph with what the outputs of `graph` need; its outputs are theirs."""
    return _rebuild(graph, graph.outputs).target


def run(graph: Graph, pipeline: Sequence[Callable[[Graph], Graph]] = DEFAULT_PIPELINE) -> Graph:
    """The graph after each pass of the pipeline in turn; `graph` itself stays as it is."""
    for step in pipeline:
        graph = step(graph)
    return graph


class _Candidates(dict[tuple[Op, ...], tuple[Rewrite | None, ...]]):
    """What may apply to an operation on operands of given kinds; None stands for folding it.

    The keys, (operation, *operations of its operands), are filled in as they are asked for.
    """

    def __init__(self, rules: Iterable[Rule], fold: bool) -> None:
        super().__init__()
        self._fold = fold
        self._by_root: defaultdict[Op, list[Rewrite]] = defaultdict(list)
        for rewrite in chain.from_iterable(rule.rewrites for rule in rules):
            self._by_root[rewrite.root.op].append(rewrite)

    def __missing__(self, key: tuple[Op, ...]) -> tuple[Rewrite | None, ...]:
        op, *operands = key
        folds = self._fold and op is not TOTAL and op.shape is None
        foldable = folds and all(kind is CONSTANT for kind in operands)
        found: list[Rewrite | None] = [None] if foldable else []
        for rewrite in self._by_root.get(op, ()):
            if all(
                kind is None or kind is operand
                for kind, operand in zip(rewrite.kinds, operands, strict=True)
            ):
                found.append(rewrite)
        self[key] = tuple(found)
        return self[key]


def _rebuild(
    source: Graph,
    roots: Sequence[int],
    candidates: _Candidates | None = None,
    share: bool = False,
) -> Rebuild:
    """`source` written anew as far as `roots` need it."""
    rebuild = Rebuild(source, candidates, share)
    rebuild.walk(roots)
    return rebuild


class Rebuild:
    """One walk over `source`, operands first, that writes its nodes into `target`.

    images     node of the source → node of the target that computes the same
    applied    how often each rewrite applied
    held_back  whether a rewrite that matched was put off
    """

    def __init__(
        self, source: Graph, candidates: _Candidates | None = None, share: bool = False
    ) -> None:
        self.source = source
        self.target = Graph()
        self.images: dict[int, int] = {}
        self.applied: Counter[str] = Counter()
        self.held_back = False
        self._candidates = candidates
        self._share = share
        self._known: defaultdict[object, dict[tuple[int, ...], int]] = defaultdict(dict)
        self._uses: defaultdict[int, int] = defaultdict(int)
        self._origins: dict[int, Origin] = {}

    def walk(
        self, roots: Sequence[int], writers: Mapping[int, Callable[[], int]] | None = None
    ) -> None:
        """Write what `roots` need; their images are the outputs of the target.

        For the operations in `writers` those answer the image.
        """
        source, target, images, make = self.source, self.target, self.images, self.make
        instead = writers or {}
        ops, all_operands, origins = source.ops, source.operands, source.origins
        all_statics = source.statics
        live = live_nodes(source, roots)
        rewriting = self._candidates is not None
        uses = Counter(chain(roots, *[all_operands[n] for n in live])) if rewriting else {}
        for node in live:
            operands = all_operands[node]
            if operands:
                target.deriving(self._origin(origins[node]))
                if node in instead:
                    image = instead[node]()
                else:
                    operands = tuple([images[operand] for operand in operands])
                    image = make(ops[node], operands, all_statics.get(node, ()))
            else:
                image = target.copy_leaf(source, node)
            images[node] = image
            if rewriting:
                self._uses[image] += uses[node]
        target.deriving(None)
        target.outputs = tuple(images[root] for root in roots)
        self._carry_over()

    def make(
        self, op: Op, operands: tuple[int, ...], statics: tuple[Any, ...], nesting: int = NESTING
    ) -> int:
        """The node of the target for an operation: a simpler one, a known one, or a new one."""
        target = self.target
        if self._candidates is not None:
            if target.shapes:
                operands = without_broadcasts(target, op, operands)
                same = rearranged(target, op, operands, statics)
                if same is not None:
                    self.applied[REARRANGE] += 1
                    return same
            kinds = target.ops
            candidates: tuple[Rewrite | None, ...] = ()
            if len(operands) == 2:  # written out: this is where the time goes
                a, b = operands
                candidates = self._candidates[op, kinds[a], kinds[b]]
            elif op.arity > 0:  # an operation of any number of operands has no rules
                candidates = self._candidates[op, *[kinds[operand] for operand in operands]]
            for candidate in candidates:
                node = self._apply(candidate, op, operands, statics, nesting)
                if node is not None:
                    return node
        if not self._share:
            return target.append(op, operands, statics)
        new = len(target.ops)
        key = operands
        if op in COMMUTATIVE and operands[0] > operands[1]:
            key = operands[::-1]
        node = self._known[(op, statics) if statics else op].setdefault(key, new)
        if node == new:
            target.append(op, operands, statics)
        else:
            self.applied[SHARE] += 1
        return node

    def _apply(
        self,
        candidate: Rewrite | None,
        op: Op,
        operands: tuple[int, ...],
        statics: tuple[Any, ...],
        nesting: int,
    ) -> int | None:
        """The node a candidate answers, or None where it does not apply."""
        if candidate is None:
            return self._fold(op, operands, statics)
        bound = candidate.match(self.target, operands, statics)
        if bound is None:
            return None
        if not nesting or not candidate.spares(bound, self._uses):
            self.held_back = True
            return None
        self.applied[candidate.name] += 1

        def make(op: Op, operands: tuple[int, ...], statics: tuple[Any, ...]) -> int:
            node = self.make(op, operands, statics, nesting - 1)
            self._uses[node] += 1
            return node

        return candidate.build(self.target, bound, make)

    def _fold(self, op: Op, operands: tuple[int, ...], statics: tuple[Any, ...]) -> int | None:
        """The constant an operation on numbers amounts to; None where it is not finite."""
        numbers = [scalar_constant(self.target, operand) for operand in operands]
        number = math.nan if None in numbers else op.evaluate(*numbers, *statics)
        if not math.isfinite(number):
            return None
        self.applied[FOLD] += 1
        return self.target.node_of(number)

    def _origin(self, origin: Origin | None) -> Origin | None:
        """An origin as the target's: its primal node there, or None if that is gone."""
        if origin is None or origin.primal is None:
            return origin
        primal = self.images.get(origin.primal)
        if primal == origin.primal:
            return origin
        moved = self._origins.get(id(origin))
        if moved is None:
            moved = Origin(origin.transform, primal, origin.role, origin.rule, origin.operand)
            self._origins[id(origin)] = moved
        return moved

    def _carry_over(self) -> None:
        """Labels of operations, and whose adjoint a node is, as far as the nodes are there."""
        source, target, images = self.source, self.target, self.images
        for node in sorted(images.keys() & source.labels.keys()):
            if target.operands[images[node]]:
                target.labels.setdefault(images[node], source.labels[node])
        for node in sorted(images.keys() & source.adjoint_of.keys()):
            primal = images.get(source.adjoint_of[node])
            if primal is not None and target.ops[images[node]] is not CONSTANT:
                target.adjoint_of.setdefault(images[node], primal)
        for (root, leaf), adjoint in source.gradients.items():
            if root in images and leaf in images and adjoint in images:
                target.gradients[images[root], images[leaf]] = images[adjoint]


def operations(graph: Graph) -> dict[str, int]:
    """How many nodes of each operation there are, by name; leaves aside."""
    counts = Counter(graph.ops)
    return {op.name: count for op, count in counts.items() if op.arity}
