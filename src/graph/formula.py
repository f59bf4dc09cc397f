"""Expressions as text and LaTeX, printed from the graph: same terms, same order, all of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Sequence
from keyword import iskeyword
from typing import Any, NamedTuple

from ..ops import scalar as ops
from ..ops.record import ATOM, POWER, UNARY, Notation, Op
from .arraytext import array_notation, array_text
from .numbertext import number_text
from .store import Columns

MAX_TERMS = 400
"""About how many nodes of the written-out tree are printed; deeper parts become an ellipsis."""

_GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega".split()
)
LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
}
"""What LaTeX reads as more than a character, and what sets it as one."""


class Part(NamedTuple):
    """A part of a formula in one language, and how tightly it binds."""

    written: str
    binds: int = ATOM


def number_latex(number: float) -> str:
    r"""A number in LaTeX.

    >>> number_latex(2e-05), number_latex(1e-05), number_latex(float("inf"))
    ('2 \\cdot 10^{-5}', '10^{-5}', '\\infty')
    """
    if math.isnan(number):
        return r"\mathrm{nan}"
    if math.isinf(number):
        return r"\infty" if number > 0 else r"-\infty"
    mantissa, _, exponent = number_text(number).partition("e")
    if not exponent:
        return mantissa
    before = mantissa[:-1] if mantissa in ("1", "-1") else rf"{mantissa} \cdot "
    return rf"{before}10^{{{int(exponent)}}}"


def name_latex(name: str, others: Container[str] = ()) -> str:
    r"""A leaf's name in LaTeX: trailing numbers become subscripts, anything unusual is escaped.

    An underscore before the numbers belongs to them, and so does one after a Greek letter that
    is a word of Python's; unless the name without it is among the `others`.

    >>> name_latex("w0_2_1"), name_latex("alpha"), name_latex("rate_max")
    ('w_{0,2,1}', '\\alpha', '\\mathrm{rate\\_max}')
    >>> name_latex("x_1"), name_latex("lambda_")
    ('x_{1}', '\\lambda')
    >>> name_latex("x_1", ["x1", "x_1"]), name_latex("x1", ["x1", "x_1"])
    ('\\mathrm{x\\_1}', 'x_{1}')
    """
    stem, digits = re.fullmatch(r"(.*?)((?:\d+(?:_\d+)*)?)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    before, _, after = stem.rpartition("_")
    if before.strip("_") and not after and not before.endswith("_"):
        if before + digits in others:
            return rf"\mathrm{{{escape_latex(name)}}}"
        stem = before if digits or iskeyword(before) else stem
    if stem in _GREEK:
        body = f"\\{stem}"
    elif len(stem) == 1 and stem.isascii() and stem.isalpha():
        body = stem
    else:
        body = rf"\mathrm{{{escape_latex(stem)}}}"
    return f"{body}_{{{digits.replace('_', ',')}}}" if digits else body


def escape_latex(text: str) -> str:
    r"""Free text made harmless inside a LaTeX group.

    >>> escape_latex("50%_$x")
    '50\\%\\_\\$x'
    """
    return "".join(LATEX_ESCAPES.get(c, c) for c in text if c.isprintable())


def notation(graph: Columns, node: int, language: str) -> Notation:
    """How the operation of `node` is written, its static arguments filled in.

    The braces of the template stay doubled, ready for its operands.
    """
    op = graph.ops[node]
    if op.shape is not None:
        return array_notation(graph, node, language)
    return filled(op, graph.statics.get(node, ()), language)


def filled(op: Op, statics: Sequence[float], language: str) -> Notation:
    """How an elementwise operation is written for a reader, its static arguments filled in.

    The braces of the template stay doubled, ready for its operands.
    """
    written = op.written(language, statics)
    number = number_latex if language == "latex" else number_text
    template = written.template
    for name, value in zip(op.statics, statics, strict=True):
        shown = number(value).replace("{", "{{").replace("}", "}}")
        template = template.replace(f"{{{name}}}", shown)
    return Notation(template, written.binds, written.slots)


def formula(graph: Columns, root: int, language: str, max_terms: int = MAX_TERMS) -> str:
    """The formula of a node, as "text" or "latex"; past `max_terms` nodes the deepest are cut."""
    return write(graph, root, language, max_terms=max_terms).written


def write(
    graph: Columns,
    root: int,
    language: str,
    stop: Callable[[int], Part | None] = lambda node: None,
    max_terms: int = MAX_TERMS,
) -> Part:
    """The formula of `root`, written out to its leaves or to where `stop` gives what stands there.

    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); a = g.input("a"); b = a + 1; c = b * b
    >>> write(g, c.id, "text", {b.id: Part("b - 1", 10)}.get)
    Part(written='(b - 1)*(b - 1)', binds=20)
    """
    terms, places = _tree(graph, root, stop, max_terms)
    signs = language == "latex"  # where a sign does not follow another without brackets
    made = [Part("")] * len(terms)
    for i in reversed(range(len(terms))):
        term = terms[i]
        if isinstance(term, Part):
            made[i] = term
        elif term < 0:
            made[i] = Part(r"\ldots" if language == "latex" else "…")
        elif graph.is_leaf(term):
            made[i] = _leaf(graph, term, language)
        else:
            form = notation(graph, term, language)
            parts = made[places[i]]
            slots = (*form.slots, *[0] * len(parts))
            prefix = form.template.startswith("-")
            operands = [
                _bracket(part.written, language)
                if part.binds < slot
                or ((place or prefix) and slot and signs and part.written.startswith("-"))
                else part.written
                for place, (part, slot) in enumerate(zip(parts, slots, strict=False))
            ]
            made[i] = Part(form.template.format(*operands), form.binds)
    return made[0]


def _tree(
    graph: Columns, root: int, stop: Callable[[int], Part | None], max_terms: int
) -> tuple[list[int | Part], dict[int, slice]]:
    """The tree of the formula, breadth first: its nodes (-1 where cut), and the parts of each."""
    terms: list[int | Part] = [root]
    places: dict[int, slice] = {}
    for i, term in enumerate(terms):
        operands = () if isinstance(term, Part) else graph.operands[term]
        if operands and i and len(terms) + len(operands) > max_terms:
            terms[i] = -1
        elif operands:
            places[i] = slice(len(terms), len(terms) + len(operands))
            terms += [stop(operand) or operand for operand in operands]
    return terms, places


def number_part(written: str, negative: int = UNARY) -> Part:
    r"""A number as a part of a formula; `negative` is how tightly a negative one binds.

    >>> number_part("-2").binds == UNARY, number_part(r"2 \cdot 10^{-7}").binds == POWER
    (True, True)
    """
    binds = negative if written.startswith("-") else ATOM
    return Part(written, min(binds, POWER) if "^" in written else binds)


def _leaf(graph: Columns, node: int, language: str) -> Part:
    if graph.ops[node] is ops.CONSTANT:
        number: Any = graph.value(node)
        if node in graph.shapes:
            shown = array_text(number)
            return Part(rf"\mathrm{{{escape_latex(shown)}}}" if language == "latex" else shown)
        return number_part(number_latex(number) if language == "latex" else number_text(number))
    name = graph.labels[node]
    return Part(name_latex(name, graph.leaves) if language == "latex" else name)


def _bracket(inner: str, language: str) -> str:
    return rf"\left({inner}\right)" if language == "latex" else f"({inner})"
