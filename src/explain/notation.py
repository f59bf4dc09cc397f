"""Formulas in the names of nodes and in their numbers, and the names themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ..graph import formula
from ..graph.expr import Expr, Graph
from ..graph.formula import Part, name_latex, number_part
from ..graph.numbertext import number_text
from ..graph.store import is_name
from ..ops.record import POWER, SUM, Op
from ..ops.scalar import CONSTANT
from ..simplify.engine import Pass
from ..simplify.rules import EXACT
from .data import Formula
from .words import shown, shown_latex

MAX_TERMS: Final = 250
"""How many terms of a formula are written out; what is deeper becomes an ellipsis."""

PART: Final = "part"
"""The name of the operation that a collapsed part becomes."""

_TIDY: Final = Pass("tidy", tuple(r for r in EXACT if r.name in {"mul-one", "pow-one", "pow-zero"}))
"""Takes the factor 1 out of a rule applied to the cotangent 1, and touches nothing else."""


class Written(NamedTuple):
    """A part of a formula as text and in LaTeX; `live` where it has numbers that a page keeps up.

    The languages bind differently: a case distinction is a call in text.
    """

    plain: Part
    tex: Part
    live: Part | None = None

    @property
    def text(self) -> str:
        """As text."""
        return self.plain.written

    @property
    def latex(self) -> str:
        """In LaTeX."""
        return self.tex.written

    @property
    def formula(self) -> Formula:
        """The languages alone."""
        return Formula(self.text, self.latex, self.live.written if self.live else "")


ELLIPSIS: Final = Written(Part("…"), Part(r"\ldots"))


def numeral(number: float | None, node: int) -> Written:
    """The number of a node as a part of a formula."""
    return Written(
        # A negative number stands bare only where a sum or an argument begins.
        number_part(shown(number), SUM),
        number_part(shown_latex(number), SUM),
        Part(slot(node), SUM),
    )


def slot(*numbers: int | str) -> str:
    r"""The place of a live number in LaTeX: of a node, or of a sum of products of nodes.

    >>> slot(3), slot("3*3", "4*4")
    ('\\slot{3}', '\\slot{3*3+4*4}')
    """
    return rf"\slot{{{'+'.join(map(str, numbers))}}}"


def symbol(name: str, others: Container[str] = ()) -> Written:
    """A name as a part of a formula, told apart from the others."""
    return Written(Part(name), Part(name_latex(name, others)))


def derivative(output: str, name: str, others: Container[str] = ()) -> Written:
    r"""The derivative of the output by a node, as a part of a formula.

    >>> derivative("L", "w1").formula
    Formula(text='∂L/∂w1', latex='\\frac{\\partial L}{\\partial w_{1}}')
    """
    above, below = name_latex(output, others), name_latex(name, others)
    fraction = rf"\frac{{\partial {above}}}{{\partial {below}}}"
    return Written(Part(f"∂{output}/∂{name}", SUM), Part(fraction, POWER))


def node_names(
    graph: Graph,
    live: Sequence[int],
    root: int,
    places: Mapping[int, tuple[int, int]] | None = None,
) -> dict[int, str]:
    """A name for each node: its leaf's, its label if that is a free identifier, or v1, v2, v3.

    The output is L when it has no label. What has a place, such as neuron 5 of layer 0, is numbered
    there: v0_5_1, v0_5_2.

    >>> g = Graph(); x = g.input("x"); y = x * x + 1
    >>> node_names(g, [0, 1, 2, 3], 3)
    {0: 'x', 2: '1', 1: 'v1', 3: 'L'}
    """
    names: dict[int, str] = {}
    for node in live:
        if graph.ops[node] is CONSTANT:
            names[node] = number_text(float(graph.value(node) or 0.0))
        elif graph.is_leaf(node):
            names[node] = graph.labels[node]
    taken = set(names.values()) | {graph.labels[node] for node in live if node in graph.labels}
    used = set(names.values())
    counts: Counter[str] = Counter()
    for node in live:
        if node in names:
            continue
        wish = graph.labels.get(node, "")
        if is_name(wish) and wish not in used:
            names[node] = wish
        elif node == root and "L" not in taken:
            names[node] = "L"
        else:
            place = (places or {}).get(node)
            stem = "v" if place is None else f"v{place[0]}_{place[1]}_"
            counts[stem] += 1
            while f"{stem}{counts[stem]}" in taken:
                counts[stem] += 1
            names[node] = f"{stem}{counts[stem]}"
        used.add(names[node])
    return names


def write(
    graph: Graph, node: int, stops: Mapping[int, Written], *, inside: bool = False
) -> Written:
    """The formula of `node`, where each node of `stops` is written as given there.

    With `inside` the node itself is written out even if it is a stop.

    >>> g = Graph(); a = g.input("a"); b = a + 1; c = b * b
    >>> write(g, c.id, {b.id: symbol("h")}).text
    'h*h'
    """
    if node in stops and not inside:
        return stops[node]
    met: list[Written] = []
    plain, tex = (_written(graph, node, stops, language, met) for language in ("text", "latex"))
    live = _written(graph, node, stops, "live", met) if any(part.live for part in met) else None
    return Written(plain, tex, live)


def _written(
    graph: Graph, node: int, stops: Mapping[int, Written], language: str, met: list[Written]
) -> Part:
    def stop(operand: int) -> Part | None:
        found = stops.get(operand)
        if found is None:
            return None
        met.append(found)
        if language == "text":
            return found.plain
        return found.live or found.tex if language == "live" else found.tex

    spelled = "text" if language == "text" else "latex"
    return formula.write(graph, node, spelled, stop, MAX_TERMS)


def local_formula(
    op: Op, statics: Sequence[float], position: int, operands: Sequence[Written], out: Written
) -> Callable[[Mapping[int, Written] | None], Written]:
    """The local derivative of an operation by one operand, ready to be written in several ways.

    The rule is applied to the cotangent 1 on symbols, and the factors 1 are taken out; nothing is
    re-arranged. Call the answer with what stands for each operand (its position) and for the result
    (-1), or with None for `operands` and `out`.
    """
    if op.name == PART:
        # Written out, the derivative of a whole part is longer than anyone reads.
        slope = derivative(out.text, operands[position].text)
        return lambda parts: slope if parts is None else ELLIPSIS
    tidy, places = _slope(op, tuple(statics), position, len(operands))

    def written(parts: Mapping[int, Written] | None) -> Written:
        chosen = {**dict(enumerate(operands)), -1: out} if parts is None else parts
        stops = {node: chosen[place] for node, place in places.items()}
        return write(tidy, tidy.outputs[0], stops)

    return written


@lru_cache(maxsize=1024)
def _slope(
    op: Op, statics: tuple[float, ...], position: int, arity: int
) -> tuple[Graph, dict[int, int]]:
    """The rule applied to the cotangent 1 on symbols, and which operand each symbol stands for."""
    graph = Graph()
    leaves = [graph.input(f"x{i}") for i in range(arity)]
    result = graph.input("out")
    rule = op.vjp[position]
    share: Any = 0 if rule is None else rule(1, result, *leaves, *statics)
    graph.outputs = (graph.node_of(share),)
    tidy = _TIDY(graph).graph
    places = {tidy.leaves[f"x{i}"]: i for i in range(arity) if f"x{i}" in tidy.leaves}
    if "out" in tidy.leaves:
        places[tidy.leaves["out"]] = -1
    return tidy, places


def apply_rule(graph: Graph, node: int, position: int) -> int:
    """A node of `graph` for the local derivative of `node` by one operand."""
    op = graph.ops[node]
    rule = op.vjp[position]
    if rule is None:
        return graph.constant(0).id
    arguments = [Expr(graph, operand) for operand in graph.operands[node]]
    share = rule(graph.constant(1), Expr(graph, node), *arguments, *graph.statics.get(node, ()))
    return graph.node_of(share)
