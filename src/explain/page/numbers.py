"""The numbers of a page that follow its sliders: which there are, and the program behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from html import escape
from operator import add, mul
from typing import Any, Final

from ...codegen.compiled import compile
from ...graph.evaluation import node_values
from ...graph.rewrite import Walk, rewritten
from ..data import Formula, Number, Task
from ..lesson import Lesson
from ..notation import PART
from ..render.blocks import Block, Inline
from ..render.html import blocks_html, inline_html, minus
from ..words import shown

FUNCTION: Final = "compute"
"""The name of the emitted function: it takes the leaves' values and answers all numbers."""


class LiveNumbers:
    """Hands out a place for each number that a page shows; `source` computes them all.

    A place is a position in the array that the emitted function answers. Numbers are nodes of the
    walk-through's graph, given by number, and sums of products of such, which are added to a copy.
    """

    def __init__(self, w: Lesson) -> None:
        nodes = range(len(w.graph))
        self._graph, self._images = rewritten(w.graph, (), _written_out, order=nodes)
        self._places: dict[int, int] = {}
        self._order: list[int] = []
        task = w.steps[0]
        assert isinstance(task, Task)
        self._leaves = [w.node(id).name for id in task.leaves]
        self.names = frozenset(node.name for node in w.nodes)
        self._symbolic = w.symbolic
        given = {self._graph.leaves[name]: value for name, value in w.values.items()}
        live = range(len(self._graph))
        self._values = {} if w.symbolic else node_values(self._graph, live, given)

    def place(self, number: int | str) -> int:
        """The place of a node, or of a sum of products of nodes such as "3*3+4*4"."""
        products = [
            self._joined(mul, [self._images[int(factor)] for factor in product.split("*")])
            for product in str(number).split("+")
        ]
        node = self._joined(add, products)
        if node not in self._places:
            self._places[node] = len(self._order)
            self._order.append(node)
        return self._places[node]

    def value(self, place: int) -> Number:
        """What is at one place to begin with; None without values for the leaves."""
        return self._values.get(self._order[place])

    def source(self) -> str:
        """The JavaScript function, as the compiler's own target emits it."""
        leaves = {name: self._graph[self._graph.leaves[name]] for name in self._leaves}
        outputs = [self._graph[node] for node in self._order]
        return compile(leaves, outputs, target="javascript", simplify=False, name=FUNCTION).source

    def html(self, *parts: str | Formula) -> str:
        """Prose and formulas, in which numbers are kept up to date."""
        return self.inline(parts)

    def inline(self, parts: Inline) -> str:
        """The same for what the document says."""
        return inline_html(parts, self.slot, self.names)

    def blocks(self, blocks: Iterable[Block]) -> str:
        """The same for whole paragraphs, lists and tables."""
        return blocks_html(blocks, self.slot, self.names)

    def slot(self, number: str, bracketed: bool) -> str:
        """A number within a formula."""
        return self.span(number, "mn", bracketed=bracketed)

    def span(
        self, number: int | str, tag: str = "span", *, bracketed: bool = False, at: int = 0
    ) -> str:
        """A number as an element that the script keeps up to date; a dash until step `at`."""
        place = self.place(number)
        return span(place, self.value(place), tag, bracketed=bracketed, at=at)

    def _joined(self, join: Callable[[Any, Any], Any], nodes: Sequence[int]) -> int:
        return reduce(lambda a, b: self._join(join, a, b), nodes)

    def _join(self, join: Callable[[Any, Any], Any], a: int, b: int) -> int:
        made = join(self._graph[a], self._graph[b])
        if not self._symbolic:
            operands = [self._values[operand] for operand in self._graph.operands[made.id]]
            self._values[made.id] = made.op.evaluate(*operands)
        node: int = made.id
        return node


def _written_out(walk: Walk, node: int) -> int | None:
    """What a collapsed part stands for, on nodes where sympy would have symbols."""
    op = walk.source.ops[node]
    return walk.target.node_of(op.sympy(None, *walk.operands(node))) if op.name == PART else None


def span(
    place: int | None, value: Number, tag: str = "span", *, bracketed: bool = False, at: int = 0
) -> str:
    """A number in a page; the script keeps it up to date. `bracketed` puts a negative one in ().

    It is a dash until step `at`.

    >>> span(3, -0.5, "mn", bracketed=True)
    '<mn data-n="3" data-b="">(−0.5)</mn>'
    """
    text = minus(shown(value))
    if bracketed and text.startswith("−"):
        text = f"({text})"
    live = "" if place is None else f' data-n="{place}"' + ' data-b=""' * bracketed
    live += f' data-at="{at}"' if at else ""
    return f"<{tag}{live}>{escape(text)}</{tag}>"
