"""What rolling found, in the field's words, and whether it is worth it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Final

from ..graph.arraytext import array_text
from ..graph.doors import View
from ..graph.expr import Graph
from ..graph.formula import notation
from ..graph.numbertext import number_text
from ..ops.arrays import BROADCAST, GATHER, MATMUL, RESHAPE, SCATTER, TRANSPOSE
from ..ops.record import ATOM

VIEWS: Final = frozenset((RESHAPE, TRANSPOSE, BROADCAST, GATHER))
"""Operations that choose or arrange elements and compute nothing."""

LONGEST: Final = 72
"""A formula of more characters is not written inside another."""

# Nanoseconds, about, on a current machine: what an operation costs in generated Python or NumPy.
_SCALAR, _ARRAY, _VIEW, _CHOSEN = 40.0, 1000.0, 250.0, 3.0
_ELEMENT, _MULTIPLY_ADD = 1.0, 0.2


@dataclass(frozen=True, repr=False)
class RollReport:
    """What became of a scalar graph.

    graph       the array graph
    computed    what its nodes were in the scalar graph: how many products, sums, tanh, …
    nodes       how many nodes the scalar graph had
    operations  how many of them were operations
    arrays      how many operations on arrays there are now
    scalars     how many operations are still on scalars, by name
    gain        the estimated time of the scalar code by that of the array code, in NumPy
    """

    _repr_mimebundle_ = View()

    graph: Graph
    computed: Mapping[int, Counter[str]]
    nodes: int
    operations: int
    arrays: int
    scalars: Mapping[str, int]
    gain: float

    @cached_property
    def findings(self) -> tuple[str, ...]:
        """Each array operation in words: what it was, and how it is written now."""
        return tuple(_findings(self.graph, self.computed))

    @property
    def pays(self) -> bool:
        """Whether the array code is expected to be faster than the scalar code."""
        return self.gain > 1.0

    def __str__(self) -> str:
        return "\n".join([self.summary(), *self.findings, self.remainder(), self.verdict()])

    def summary(self) -> str:
        """How many scalar nodes became how many array operations."""
        arrays, scalars = self.arrays, sum(self.scalars.values())
        return (
            f"{self.nodes:,} scalar nodes, {self.operations:,} of them operations -> "
            f"{_counted(arrays, 'array operation')} and {_counted(scalars, 'scalar operation')}"
        )

    def remainder(self) -> str:
        """What stayed scalar, and why."""
        count = sum(self.scalars.values())
        if not count:
            return "nothing stayed scalar"
        kinds = ", ".join(
            f"{number:,} {name}" for name, number in Counter(self.scalars).most_common(6)
        )
        more = ", …" if len(self.scalars) > 6 else ""
        return (
            f"{count:,} of {self.operations:,} operations stayed scalar ({kinds}{more}): "
            "too few others do the same to elements of the same arrays"
        )

    def verdict(self) -> str:
        """Whether it pays, with the estimate that says so."""
        if self.pays:
            return f"estimated gain: {self.gain:.2g} times the speed of the scalar code, per call"
        return (
            f"too irregular or too small to gain: an estimated {self.gain:.2g} times the speed of "
            "the scalar code, per call; compile the scalar graph instead, or batch it over samples"
        )


def report(
    graph: Graph, computed: Mapping[int, Counter[str]], nodes: int, operations: int
) -> RollReport:
    """The report on a rolled graph; `computed` says what each node was in the scalar graph.

    nodes, operations   how many the scalar graph had
    """
    shapes = graph.shapes
    arrays, scalars = 0, Counter[str]()
    time = 0.0
    for node in range(len(graph)):
        op, operands = graph.ops[node], graph.operands[node]
        if not operands:
            continue
        time += _time(graph, node)
        if op.shape is not None or node in shapes:
            arrays += op not in VIEWS
        else:
            scalars[op.name] += 1
    gain = operations * _SCALAR / time if time else 1.0
    return RollReport(graph, computed, nodes, operations, arrays, dict(scalars), gain)


def _time(graph: Graph, node: int) -> float:
    """Nanoseconds, about, that NumPy takes for a node."""
    op, operands, shapes = graph.ops[node], graph.operands[node], graph.shapes
    size = prod(shapes.get(node, ()))
    if op is MATMUL:
        inner = shapes[operands[0]][-1]
        return _ARRAY + _MULTIPLY_ADD * size * inner
    if op is GATHER or op is SCATTER:
        return _VIEW + _CHOSEN * max(size, prod(shapes.get(operands[0], ())) * (op is SCATTER))
    if op in VIEWS:
        return _VIEW
    if op.shape is None and node not in shapes:
        return 2 * _SCALAR
    return _ARRAY + _ELEMENT * max(size, *[prod(shapes.get(operand, ())) for operand in operands])


def _findings(graph: Graph, computed: Mapping[int, Counter[str]]) -> Iterable[str]:
    """For each array that has a name: what it was, and its formula."""
    uses = Counter(operand for operands in graph.operands for operand in operands)
    uses.update(dict.fromkeys(graph.outputs, 2))
    written: dict[int, tuple[str, int]] = {}
    counts: dict[int, Counter[str]] = {}
    names = _Names(graph.leaves)
    for node in range(len(graph)):
        operands = graph.operands[node]
        if not operands:
            written[node] = (_leaf_text(graph, node), ATOM)
            continue
        for source in (computed.get(node), *[counts.pop(operand, None) for operand in operands]):
            if source:
                counts.setdefault(node, Counter()).update(source)
        formula, binds = _formula(graph, node, written)
        label = graph.labels.get(node, "")
        inside = uses[node] == 1 and len(formula) <= LONGEST
        view = graph.ops[node] in VIEWS and node not in counts
        if not label and (inside or view):
            written[node] = (formula, binds)
            continue
        name = names.name(label)
        written[node] = (name, ATOM)
        done = counts.pop(node, None)
        if done:
            yield f"{_words(done)} -> {name} = {formula}"


def _formula(graph: Graph, node: int, written: Mapping[int, tuple[str, int]]) -> tuple[str, int]:
    form = notation(graph, node, "text")
    parts = []
    for operand, slot in zip(graph.operands[node], form.slots, strict=False):
        text, binds = written[operand]
        parts.append(f"({text})" if binds < slot else text)
    return form.template.format(*parts), form.binds


def _leaf_text(graph: Graph, node: int) -> str:
    if node in graph.labels:
        return graph.labels[node]
    value = graph.value(node)
    return array_text(value) if node in graph.shapes else number_text(value)


class _Names:
    """Names for what is computed: its label, with a number where that is taken, or t1, t2, …."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._last: Counter[str] = Counter()

    def name(self, label: str) -> str:
        """A name nothing has yet."""
        name = label
        while not name or name in self._taken:
            self._last[label] += 1
            name = f"{label}_{self._last[label] + 1}" if label else f"t{self._last[label]}"
        self._taken.add(name)
        return name


def _words(counts: Counter[str]) -> str:
    """Counts in words: 39,200 products and 50 sums."""
    order = ("product", "term", "sum")
    kinds = sorted(counts, key=lambda kind: order.index(kind) if kind in order else len(order))
    parts = [
        _counted(counts[kind], kind) if kind in order else f"{counts[kind]:,} {kind}"
        for kind in kinds
    ]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _counted(number: int, kind: str) -> str:
    return f"{number:,} {kind}{'s' * (number != 1)}"
