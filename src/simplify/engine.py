"""Simplification: named passes from graph to graph, each with a record of what it did.

Every pass is a walk in topological order that writes what the outputs need into a new graph. Dead
code is what the walk never meets. Common subexpressions are found by hash-consing (Ershov 1958, "On
programming of arithmetic operations"). Rules apply where an operation is about to be made, so that
what they answer is simplified in its turn, and one walk is mostly enough.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Final

from ..graph.expr import Graph
from ..graph.rewrite import Rewritten, Transform, Walk, Write, add_record, live_part, unchanged
from ..graph.store import live_nodes, use_counts
from ..ops.record import Op
from ..ops.scalar import CONSTANT, TOTAL
from .arrayrules import rearranged, without_broadcasts
from .choices import choose_places
from .rules import RULE_SETS, Rewrite, Rule, scalar_constant
from .zeros import shown_zeros

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
class Pass:
    """A simplification: a transform, to be called with a graph that has outputs.

    name    what records call it
    rules   rewrites to apply, the earlier ones first, until none does
    fold    whether an operation on constants becomes its value, where that is finite
    share   whether operations that are the same become one

    Without any of these it removes dead code, which the others do too.

    >>> from wengert.graph.rewrite import extract
    >>> g = Graph(); x = g.input("x")
    >>> small, _ = SHARE_PASS(extract([x * x + x * x]))
    >>> print(*small.passes)
    share: 4 nodes -> 3; mul 2 -> 1; 1 share
    """

    name: str
    rules: tuple[Rule, ...] = ()
    fold: bool = False
    share: bool = False

    def __call__(self, graph: Graph) -> Rewritten:
        """A new graph for `graph.outputs`, its `passes` those of `graph` and one record more."""
        return self.keeping_apart(graph, {})[0]

    def keeping_apart(
        self, graph: Graph, groups: Mapping[int, int]
    ) -> tuple[Rewritten, Mapping[int, int]]:
        """The same where operations are shared within each group of nodes only.

        groups  node → the number of its group, which is not 0; all others are one group

        The second answer is what are the groups of the new graph.
        """
        rebuild = Rebuild(graph, self._candidates, self.share, groups)
        made, applied, rounds = rebuild.run(graph.outputs), Counter(rebuild.applied), 1
        while rebuild.rewrote() and rebuild.held_back and rounds < ROUNDS:
            rebuild = Rebuild(made.graph, self._candidates, self.share, rebuild.groups)
            made = made.then(rebuild.run(made.graph.outputs))
            applied.update(rebuild.applied)
            rounds += 1
        groups = rebuild.groups
        if rebuild.rewrote():
            live = live_part(made.graph)  # without what died
            groups = carried_groups(groups, live)
            made = made.then(live)
        add_record(self.name, graph, made.graph, applied)
        return made, groups

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

DEFAULT_PIPELINE: Final[tuple[Transform, ...]] = (PASSES["exact"], choose_places)
"""What `compile` does to a graph."""


def run(graph: Graph, pipeline: Sequence[Transform] = DEFAULT_PIPELINE) -> Rewritten:
    """What becomes of a graph by each pass of the pipeline in turn; it stays as it is itself."""
    made = unchanged(graph)
    for step in pipeline:
        made = made.then(step(made.graph))
    return made


def carried_groups(groups: Mapping[int, int], made: Rewritten) -> dict[int, int]:
    """The groups of nodes after a transform."""
    images = made.images if groups else {}
    return {images[node]: group for node, group in groups.items() if node in images}


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


class Rebuild:
    """One walk over `source`, operands first, that writes its nodes into `target`.

    walk       the walk, with what became of each node
    applied    how often each rewrite applied
    held_back  whether a rewrite that matched was put off
    groups     of nodes of the target: the group within which it is shared, where that is not 0
    """

    def __init__(
        self,
        source: Graph,
        candidates: _Candidates | None = None,
        share: bool = False,
        groups: Mapping[int, int] | None = None,
    ) -> None:
        self.walk = Walk(source)
        self.target = self.walk.target
        self.applied: Counter[str] = Counter()
        self.held_back = False
        self._candidates = candidates
        self._share = share
        self._groups_before: Mapping[int, int] = groups or {}
        self.groups: dict[int, int] = {}
        self._group = 0
        self._known: defaultdict[object, dict[tuple[int, ...], int]] = defaultdict(dict)
        self._uses: defaultdict[int, int] = defaultdict(int)
        self._uses_before: Mapping[int, int] = {}
        self._live: Sequence[int] = ()
        self._shown: set[int] | None = None
        self._node = -1

    def run(self, roots: Sequence[int], write: Write | None = None) -> Rewritten:
        """Write what `roots` need, by `write` or as it is, simplified."""
        source = self.walk.source
        live = live_nodes(source, roots)
        self._uses_before = use_counts(source, live, roots)
        self._live = live
        self.walk.run(live, write or self.write)
        return self.walk.finish(roots)

    def rewrote(self) -> bool:
        """Whether anything changed, operations that were there already aside."""
        return bool(self.applied.keys() - {SHARE})

    def write(self, walk: Walk, node: int) -> int:
        """The image of a node: a leaf as it is, an operation made anew."""
        source, images = walk.source, walk.images
        operands = source.operands[node]
        self._node = node
        self._group = self._groups_before.get(node, 0)
        if operands:
            operands = tuple([images[operand] for operand in operands])
            image = self.make(source.ops[node], operands, source.statics.get(node, ()))
        else:
            image = walk.copy(node)
        self._uses[image] += self._uses_before[node]
        return image

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
        if op.commutative and operands[0] > operands[1]:
            key = operands[::-1]
        kind = (op, statics, self._group) if statics or self._group else op
        node = self._known[kind].setdefault(key, new)
        if node == new:
            target.append(op, operands, statics)
            if self._group:
                self.groups[node] = self._group
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
        if bound is None or (candidate.turns_zeros and self._is_zero_shown()):
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

    def _is_zero_shown(self) -> bool:
        """Whether the sign of the node at hand, where it is 0, decides what another number is.

        Few graphs ask, so it is not looked for before.
        """
        if self._shown is None:
            self._shown = shown_zeros(self.walk.source, self._live)
        return self._node in self._shown

    def _fold(self, op: Op, operands: tuple[int, ...], statics: tuple[Any, ...]) -> int | None:
        """The constant an operation on numbers amounts to; None where it is not finite."""
        numbers = [scalar_constant(self.target, operand) for operand in operands]
        number = math.nan if None in numbers else op.evaluate(*numbers, *statics)
        if not math.isfinite(number):
            return None
        self.applied[FOLD] += 1
        return self.target.node_of(number)
