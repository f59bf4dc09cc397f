"""Expressions as text and LaTeX, printed from the graph: same terms, same order, all of them."""

from __future__ import annotations

import math
import re
from typing import Any

from ..ops import scalar as ops
from ..ops.record import ATOM, UNARY, Notation
from .arraytext import array_notation, array_text
from .numbertext import number_text
from .store import Columns

MAX_TERMS = 400
"""About how many nodes of the written-out tree are printed; deeper parts become an ellipsis."""

_GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega".split()
)
_LATEX_ESCAPES = {
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


def number_latex(number: float) -> str:
    r"""A number in LaTeX.

    >>> number_latex(1e-05), number_latex(float("inf"))
    ('1 \\cdot 10^{-5}', '\\infty')
    """
    if math.isnan(number):
        return r"\mathrm{nan}"
    if math.isinf(number):
        return r"\infty" if number > 0 else r"-\infty"
    mantissa, _, exponent = number_text(number).partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


def name_latex(name: str) -> str:
    r"""A leaf's name in LaTeX: trailing numbers become subscripts, anything unusual is escaped.

    >>> name_latex("w0_2_1"), name_latex("alpha"), name_latex("rate_max")
    ('w_{0,2,1}', '\\alpha', '\\mathrm{rate\\_max}')
    """
    stem, digits = re.fullmatch(r"(.*?)((?:\d+(?:_\d+)*)?)", name, re.DOTALL).groups()  # type: ignore[union-attr]
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
    return "".join(_LATEX_ESCAPES.get(c, c) for c in text if c.isprintable())


def notation(graph: Columns, node: int, language: str) -> Notation:
    """How the operation of `node` is written, its static arguments filled in.

    The braces of the template stay doubled, ready for its operands.
    """
    op = graph.ops[node]
    if op.shape is not None:
        return array_notation(graph, node, language)
    written = op.notation.get(language)
    if written is None:
        return Notation(f"{op.name}({', '.join(f'{{{i}}}' for i in range(op.arity))})")
    if not op.statics:
        return written
    number = number_latex if language == "latex" else number_text
    template = written.template
    for name, value in zip(op.statics, graph.statics[node], strict=True):
        shown = number(value).replace("{", "{{").replace("}", "}}")
        template = template.replace(f"{{{name}}}", shown)
    return Notation(template, written.binds, written.slots)


def formula(graph: Columns, root: int, language: str, max_terms: int = MAX_TERMS) -> str:
    """The formula of a node, as "text" or "latex"; past `max_terms` nodes the deepest are cut."""
    terms, parts = _tree(graph, root, max_terms)
    written: list[tuple[str, int]] = [("", ATOM)] * len(terms)
    for i in reversed(range(len(terms))):
        node = terms[i]
        if node < 0:
            written[i] = (r"\ldots" if language == "latex" else "…", ATOM)
        elif graph.is_leaf(node):
            written[i] = _leaf(graph, node, language)
        else:
            form = notation(graph, node, language)
            operands = [
                _bracket(inner, language) if binds < slot else inner
                for (inner, binds), slot in zip(written[parts[i]], form.slots, strict=False)
            ]
            written[i] = (form.template.format(*operands), form.binds)
    return written[0][0]


def _tree(graph: Columns, root: int, max_terms: int) -> tuple[list[int], dict[int, slice]]:
    """The tree of the formula, breadth first: its nodes (-1 where cut), and the parts of each."""
    terms = [root]
    parts: dict[int, slice] = {}
    i = 0
    while i < len(terms):
        operands = graph.operands[terms[i]] if terms[i] >= 0 else ()
        if operands and i and len(terms) + len(operands) > max_terms:
            terms[i] = -1
        elif operands:
            parts[i] = slice(len(terms), len(terms) + len(operands))
            terms.extend(operands)
        i += 1
    return terms, parts


def _leaf(graph: Columns, node: int, language: str) -> tuple[str, int]:
    if graph.ops[node] is ops.CONSTANT:
        number: Any = graph.value(node)
        if node in graph.shapes:
            shown = array_text(number)
            return (rf"\mathrm{{{escape_latex(shown)}}}" if language == "latex" else shown), ATOM
        shown = number_latex(number) if language == "latex" else number_text(number)
        return shown, UNARY if shown.startswith("-") else ATOM
    name = graph.labels[node]
    return (name_latex(name) if language == "latex" else name), ATOM


def _bracket(inner: str, language: str) -> str:
    return rf"\left({inner}\right)" if language == "latex" else f"({inner})"
