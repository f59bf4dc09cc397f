"""Formulas in the names of nodes, numbers for reading, and the names themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ..graph.expr import Expr, Graph
from ..graph.formula import name_latex, notation, number_latex
from ..graph.numbertext import number_text
from ..graph.store import is_name
from ..ops.record import ATOM, POWER, SUM, UNARY, Op
from ..ops.scalar import CONSTANT
from ..simplify.engine import Pass
from ..simplify.rules import EXACT
from .walkthrough import Formula

MAX_TERMS: Final = 250
"""How many terms of a formula are written out; what is deeper becomes an ellipsis."""

DIGITS: Final = 6
"""Significant digits of a number in a walk-through."""

PART: Final = "part"
"""The name of the operation that a collapsed part becomes."""

_TIDY: Final = Pass("tidy", tuple(r for r in EXACT if r.name in {"mul-one", "pow-one", "pow-zero"}))
"""Takes the factor 1 out of a rule applied to the cotangent 1, and touches nothing else."""


class Written(NamedTuple):
    """A part of a formula in both languages, how tightly it binds, and how many terms it has.

    `latex_binds` is given where the two languages differ: a case distinction is a call in text.
    """

    text: str
    latex: str
    binds: int = ATOM
    terms: int = 1
    latex_binds: int | None = None

    @property
    def latex_level(self) -> int:
        """How tightly the LaTeX binds."""
        return self.binds if self.latex_binds is None else self.latex_binds

    @property
    def formula(self) -> Formula:
        """The two languages alone."""
        return Formula(self.text, self.latex)


def shown(number: float | None) -> str:
    """A number as a walk-through shows it: to 6 digits; "—" for what was not computed.

    >>> shown(0.70710678), shown(-0.0), shown(1e-9), shown(None), shown(float("inf"))
    ('0.707107', '0', '1e-09', '—', 'inf')
    """
    if number is None:
        return "—"
    if number == 0:
        return "0"
    return f"{number:.{DIGITS}g}"


def shown_latex(number: float | None) -> str:
    r"""The same in LaTeX.

    >>> shown_latex(1.5), shown_latex(2.5e-7), shown_latex(None)
    ('1.5', '2.5 \\cdot 10^{-7}', '\\text{---}')
    """
    if number is None:
        return r"\text{---}"
    return number_latex(float(shown(number)))


def numeral(number: float | None) -> Written:
    """A number as a part of a formula."""
    text = shown(number)
    # A negative number stands bare only where a sum or an argument begins.
    return _digits(text, shown_latex(number), SUM)


def symbol(name: str) -> Written:
    """A name as a part of a formula."""
    return Written(name, name_latex(name))


def derivative(output: str, name: str) -> Written:
    r"""The derivative of the output by a node, as a part of a formula.

    >>> derivative("L", "w1").formula
    Formula(text='∂L/∂w1', latex='\\frac{\\partial L}{\\partial w_{1}}')
    """
    above, below = name_latex(output), name_latex(name)
    fraction = rf"\frac{{\partial {above}}}{{\partial {below}}}"
    return Written(f"∂{output}/∂{name}", fraction, SUM, latex_binds=POWER)


def node_names(graph: Graph, live: Sequence[int], root: int) -> dict[int, str]:
    """A name for each node: its leaf's, its label if that is a free identifier, or v1, v2, v3.

    The output is L when it has no label.

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
    count = 0
    for node in live:
        if node in names:
            continue
        wish = graph.labels.get(node, "")
        if is_name(wish) and wish not in used:
            names[node] = wish
        elif node == root and "L" not in taken:
            names[node] = "L"
        else:
            count += 1
            while f"v{count}" in taken:
                count += 1
            names[node] = f"v{count}"
        used.add(names[node])
    return names


def write(
    graph: Graph, node: int, stops: Mapping[int, Written], *, inside: bool = False
) -> Written:
    """The formula of `node`, where each node of `stops` is written as given there.

    With `inside` the node itself is written out even if it is a stop.

    >>> g = Graph(); a = g.input("a"); b = a + 1; c = b * b
    >>> write(g, c.id, {b.id: Written("(-b)", "-b")}).text
    '(-b)*(-b)'
    """
    made = dict(stops)
    if inside:
        made.pop(node, None)
    for part in _needed(graph, node, stops):
        if part not in made:
            made[part] = _operation(graph, part, made)
    return made[node]


def _needed(graph: Graph, root: int, stops: Mapping[int, Written]) -> list[int]:
    """The nodes between `root` and the stops, operands first."""
    seen, stack = {root}, [root]
    while stack:
        for operand in graph.operands[stack.pop()]:
            if operand not in seen and operand not in stops:
                seen.add(operand)
                stack.append(operand)
    return sorted(seen)


def _operation(graph: Graph, node: int, made: Mapping[int, Written]) -> Written:
    if graph.ops[node] is CONSTANT:
        return _constant(float(graph.value(node) or 0.0))
    if graph.is_leaf(node):
        return symbol(graph.labels[node])
    parts = [made[operand] for operand in graph.operands[node]]
    terms = 1 + sum(part.terms for part in parts)
    if terms > MAX_TERMS:
        return Written("…", r"\ldots")
    plain, tex = notation(graph, node, "text"), notation(graph, node, "latex")
    texts = [
        f"({part.text})" if part.binds < slot else part.text
        for part, slot in zip(parts, _slots(plain.slots, len(parts)), strict=True)
    ]
    latexes = [
        rf"\left({part.latex}\right)" if part.latex_level < slot else part.latex
        for part, slot in zip(parts, _slots(tex.slots, len(parts)), strict=True)
    ]
    text, latex = plain.template.format(*texts), tex.template.format(*latexes)
    return Written(text, latex, plain.binds, terms, tex.binds)


def _slots(slots: tuple[int, ...], count: int) -> list[int]:
    return [*slots[:count], *[0] * (count - len(slots))]


def _constant(number: float) -> Written:
    text = number_text(number)
    return _digits(text, number_latex(number), UNARY)


def _digits(text: str, latex: str, negative: int) -> Written:
    """A number; `negative` is how tightly a negative one binds."""
    binds = negative if text.startswith("-") else ATOM
    return Written(text, latex, binds, latex_binds=min(binds, POWER) if "^" in latex else None)


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
        return lambda parts: slope if parts is None else Written("…", r"\ldots")
    graph = Graph()
    leaves = [graph.input(f"x{i}") for i in range(len(operands))]
    result = graph.input("out")
    rule = op.vjp[position]
    share: Any = 0 if rule is None else rule(1, result, *leaves, *statics)
    graph.outputs = (graph.node_of(share),)
    tidy = _TIDY(graph)
    places = {tidy.leaves[f"x{i}"]: i for i in range(len(operands)) if f"x{i}" in tidy.leaves}
    if "out" in tidy.leaves:
        places[tidy.leaves["out"]] = -1

    def written(parts: Mapping[int, Written] | None) -> Written:
        chosen = {**dict(enumerate(operands)), -1: out} if parts is None else parts
        stops = {node: chosen[place] for node, place in places.items()}
        return write(tidy, tidy.outputs[0], stops)

    return written


def apply_rule(graph: Graph, node: int, position: int) -> int:
    """A node of `graph` for the local derivative of `node` by one operand."""
    op = graph.ops[node]
    rule = op.vjp[position]
    if rule is None:
        return graph.constant(0).id
    arguments = [Expr(graph, operand) for operand in graph.operands[node]]
    share = rule(graph.constant(1), Expr(graph, node), *arguments, *graph.statics.get(node, ()))
    return graph.node_of(share)


def listed(names: Iterable[str], word: str = "and") -> str:
    """Names in a sentence, the last after a word.

    >>> listed(["a"]), listed(["a", "b"]), listed("abc")
    ('a', 'a and b', 'a, b and c')
    """
    names = list(names)
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {word} {names[-1]}"


def counted(count: int, thing: str) -> str:
    """A number of things in words.

    >>> counted(1, "operation"), counted(1200, "path")
    ('1 operation', '1,200 paths')
    """
    return f"{count:,} {thing}{'s' * (count != 1)}"


def finite(*numbers: float | None) -> bool:
    """Whether none of the numbers that are known is infinite or not a number."""
    return all(number is None or math.isfinite(number) for number in numbers)


def spoken(operation: str) -> str:
    """The name of an operation as prose has it.

    >>> spoken("pow_const"), spoken("tanh")
    ('power', 'tanh')
    """
    return {"pow_const": "power", "pow": "power", "leaky_relu": "leaky relu"}.get(
        operation, operation
    )
