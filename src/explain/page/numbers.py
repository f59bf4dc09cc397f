"""The numbers of a page that follow its sliders: which there are, and the program behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Final

from ...codegen.compiled import compile
from ...graph.evaluation import node_values
from ...graph.expr import Expr, Graph
from ...notation.mathml import from_latex
from ...ops.record import UNARY
from ...ops.scalar import CONSTANT, OPERATIONS
from ..data import Backward, Node, Number
from ..lesson import Lesson
from ..notation import Written, shown

FUNCTION: Final = "compute"
"""The name of the emitted function: it takes the leaves' values and answers all numbers."""


class LiveNumbers:
    """Hands out a place for each number that a page shows; `source` computes them all.

    A place is a position in the array that the emitted function answers. Numbers are nodes of the
    walk-through's graph, given by number, and sums and products of such, which are added to a copy.
    """

    def __init__(self, w: Lesson) -> None:
        self._graph, images = _copy(w.graph)
        self._images = images
        self._places: dict[int, int] = {}
        self._order: list[int] = []
        self._leaves = [w.node(id) for id in _leaf_ids(w)]
        self._symbolic = w.symbolic
        given = {self._graph.leaves[name]: value for name, value in w.values.items()}
        live = range(len(self._graph))
        self._values = {} if w.symbolic else node_values(self._graph, live, given)

    def place(self, number: int) -> int:
        """The place of a node of the walk-through's graph."""
        return self._place(self._images[number])

    def total(self, numbers: Iterable[int]) -> int:
        """The place of a sum of nodes."""
        return self._place(self._joined([self._images[number] for number in numbers], _plus))

    def product(self, numbers: Iterable[int]) -> int:
        """The place of a product of nodes."""
        return self._place(self._joined([self._images[number] for number in numbers], _times))

    def squares(self, numbers: Iterable[int]) -> int:
        """The place of a sum of squares of nodes."""
        chosen = [self._images[number] for number in numbers]
        return self._place(self._joined([self._join(_times, a, a) for a in chosen], _plus))

    def values(self) -> list[Number]:
        """What is at each place to begin with; None without values for the leaves."""
        return [self._values.get(node) for node in self._order]

    def value(self, place: int) -> Number:
        """What is at one place to begin with."""
        return self._values.get(self._order[place])

    def source(self) -> str:
        """The JavaScript function, as the compiler's own target emits it."""
        leaves = {leaf.name: self._graph[self._graph.leaves[leaf.name]] for leaf in self._leaves}
        outputs = [self._graph[node] for node in self._order]
        return compile(leaves, outputs, target="javascript", simplify=False, name=FUNCTION).source

    def _joined(self, nodes: Sequence[int], join: Callable[[Expr, Expr], Expr]) -> int:
        first, *rest = nodes
        for node in rest:
            first = self._join(join, first, node)
        return first

    def _join(self, join: Callable[[Expr, Expr], Expr], a: int, b: int) -> int:
        made = join(self._graph[a], self._graph[b])
        if not self._symbolic:
            operands = [self._values[operand] for operand in self._graph.operands[made.id]]
            self._values[made.id] = made.op.evaluate(*operands)
        return made.id

    def _place(self, node: int) -> int:
        if node not in self._places:
            self._places[node] = len(self._order)
            self._order.append(node)
        return self._places[node]


def _plus(a: Expr, b: Expr) -> Expr:
    return a + b


def _times(a: Expr, b: Expr) -> Expr:
    return a * b


def _leaf_ids(w: Lesson) -> tuple[str, ...]:
    leaves: tuple[str, ...] = getattr(w.steps[0], "leaves", ())
    return leaves


def _copy(source: Graph) -> tuple[Graph, list[int]]:
    """A copy in operations of the table alone, and where each node went."""
    graph = Graph()
    images: list[int] = []
    for node, op in enumerate(source.ops):
        operands = [images[operand] for operand in source.operands[node]]
        statics = source.statics.get(node, ())
        if op is CONSTANT:
            images.append(graph.constant(source.value(node)).id)
        elif source.is_leaf(node):
            images.append(graph.copy_leaf(source, node))
        elif OPERATIONS.get(op.name) is op:
            images.append(graph.append(op, tuple(operands), statics))
        else:
            # A collapsed part: what it stands for, on nodes where sympy would have symbols.
            meaning = op.sympy(None, *(graph[operand] for operand in operands), *statics)
            images.append(graph.node_of(meaning))
    return graph, images


def span(place: int | None, value: Number, tag: str = "span", *, bracketed: bool = False) -> str:
    """A number in a page; the script keeps it up to date. `bracketed` puts a negative one in ().

    >>> span(3, -0.5, "mn", bracketed=True)
    '<mn data-n="3" data-b="">(−0.5)</mn>'
    """
    text = figures(value)
    if bracketed and text.startswith("−"):
        text = f"({text})"
    live = "" if place is None else f' data-n="{place}"' + ' data-b=""' * bracketed
    return f"<{tag}{live}>{escape(text)}</{tag}>"


def figures(value: Number) -> str:
    """A number as the page shows it, with a real minus sign.

    >>> figures(-1e-9), figures(None), figures(2.0), figures(float("inf"))
    ('−1e−09', '—', '2', 'inf')
    """
    return shown(value).replace("-", "−")


class Numbered:
    """A walk-through and the places of its numbers: what formulas and numbers are written with."""

    def __init__(self, w: Lesson, numbers: LiveNumbers) -> None:
        self.w = w
        self.numbers = numbers
        self._locals = {
            passed.edge: passed.local_number
            for step in w.steps
            if isinstance(step, Backward)
            for passed in step.passes
        }

    def math(self, latex: str) -> str:
        r"""A formula; `\slot{7}` in it is the number at place 7."""
        return from_latex(latex, self._slot)

    def name(self, id: str) -> str:
        """The name of a node, as a formula."""
        return self.math(self.w.node(id).latex)

    def text(self, number: int) -> str:
        """The number of a node of the walk-through's graph, in prose or a table."""
        place = self.numbers.place(number)
        return span(place, self.numbers.value(place))

    def slot(self, number: int) -> str:
        """The number of a node of the walk-through's graph, in a formula."""
        return rf"\slot{{{self.numbers.place(number)}}}"

    def bracketed(self, number: int) -> str:
        """The same, in parentheses where it is negative."""
        return rf"\left({self.slot(number)}\right)"

    def written(self, node: Node) -> Written:
        """The number of an operand, for a formula with numbers in it."""
        slot = self.slot(node.number)
        return Written(slot, slot, UNARY)

    def local_number(self, edge: str) -> int | None:
        """The local derivative of an edge, as a node of the walk-through's graph."""
        return self._locals.get(edge)

    def _slot(self, place: int, bracketed: bool) -> str:
        return span(place, self.numbers.value(place), "mn", bracketed=bracketed)
