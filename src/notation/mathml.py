"""Formulas as MathML, which browsers set without any library.

The printers of `formula` decide on terms, order and brackets; here the LaTeX they write is read,
so the two can never disagree. What is not known to it is shown as text, never lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final, NamedTuple

from ..graph.expr import Expr
from ..graph.formula import MAX_TERMS
from ..graph.value import Value
from ..graph.written import latex as latex_of

_TOKEN: Final = re.compile(
    r"\\(?:begin|end)\{[a-z*]+\}|\\sqrt\[\d\]|\\[A-Za-z]+|\\.|\d+(?:\.\d+)?(?:e[+-]?\d+)?|\s+|.",
    re.DOTALL,
)
_FUNCTIONS: Final = frozenset(
    "tanh exp log sin cos tan max min sinh cosh sqrt atan arcsin arccos arctan".split()
)
_SIGNS: Final = {
    r"\cdot": "·",
    r"\times": "×",
    r"\le": "≤",
    r"\leq": "≤",
    r"\ge": "≥",
    r"\geq": "≥",
    r"\ne": "≠",
    r"\neq": "≠",
    r"\bmod": "mod",
    r"\neg": "¬",
    r"\oplus": "⊕",
    r"\odot": "⊙",
    r"\oslash": "⊘",
    r"\wedge": "∧",
    r"\vee": "\N{LOGICAL OR}",
    r"\to": "→",
    r"\leftarrow": "←",
    r"\sum": "∑",
    r"\prime": "′",
    "-": "−",
}
_SYMBOLS: Final = {
    r"\Gamma": "Γ",
    r"\partial": "∂",
    r"\infty": "∞",
    r"\top": "\N{DOWN TACK}",
    r"\ldots": "…",
    r"\lVert": "‖",
    r"\rVert": "‖",
    r"\Vert": "‖",
    r"\textbackslash": "\\",
    r"\textasciicircum": "^",
    r"\textasciitilde": "~",
}
_FENCES: Final = {r"\lfloor": "⌊", r"\rfloor": "⌋", r"\lceil": "⌈", r"\rceil": "⌉"}
_GREEK: Final = dict(
    zip(
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
        "sigma tau upsilon phi chi psi omega".split(),
        "αβγδϵζηθικλμνξοπρστυφχψω",
        strict=True,
    )
)
_RAW: Final = frozenset((r"\mathrm", r"\operatorname", r"\text", r"\mathbf", r"\slot"))
_ARGUMENTS: Final = {r"\frac": 2, r"\sqrt": 1, "_": 2, "^": 2}
_WORD: Final = re.compile("(?:<msup>)?<mi>[^<]{2,}<")
"""A function or a long name, which stands apart from a factor before it."""
_OVER: Final = re.compile("<msub><mi>(?:max|min)<")
"""The largest or smallest over an axis, which stands apart from what it is taken of."""
_TALL: Final = ("<mfrac", "<msqrt", "<mtable", "<munder")
_SPACES: Final = frozenset((r"\ ", r"\:", r"\;", r"\!", r"\displaystyle"))
_GAPS: Final = {r"\,": "0.17em", r"\quad": "1em"}


class _Item(NamedTuple):
    """A piece of MathML.

    `operand` when another operand cannot follow without an operator; `spaced` when there is space
    before it, which tells a product, as sympy writes it, from a function's argument; `raised` has
    the two parts of a superscript, beside which a subscript stands.
    """

    markup: str
    operand: bool = True
    slot: str | None = None
    spaced: bool = False
    raised: tuple[str, str] | None = None


@dataclass
class _Frame:
    """An open group: what it was opened by, what is in it, and macros that wait for arguments."""

    opener: str
    call: bool = False
    gap: bool = False
    items: list[_Item] = field(default_factory=list)
    waiting: list[tuple[str, list[_Item]]] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=lambda: [[]])


def mathml(expr: Expr | Value, max_terms: int = MAX_TERMS) -> str:
    """The formula of `expr` as a `math` element, for a page.

    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); w, x = g.input("w"), g.input("x")
    >>> mathml(w * x)
    '<math><mi>w</mi><mo>·</mo><mi>x</mi></math>'
    """
    return from_latex(latex_of(expr, max_terms))


def from_latex(latex: str, slot: Callable[[str, bool], str] | None = None) -> str:
    r"""LaTeX as this package writes it, as a `math` element.

    `\slot{7}` stands for what `slot("7", bracketed)` answers: `bracketed` when parentheses around a
    negative number are needed where it stands.

    >>> from_latex(r"\frac{1}{x_{0}}")
    '<math><mfrac><mn>1</mn><msub><mi>x</mi><mn>0</mn></msub></mfrac></math>'
    """
    if latex == "=":
        # By itself a sign has no space around it in every browser.
        return '<math><mo lspace="0.28em" rspace="0.28em">=</mo></math>'
    stack = [_Frame("")]
    tokens = iter(_TOKEN.findall(latex))
    for token in tokens:
        frame = stack[-1]
        if token.isspace() or token in _SPACES:
            frame.gap = True
            continue
        if token in _GAPS:
            gap = f'<mspace width="{_GAPS[token]}"></mspace>'
            _complete(frame, _Item(gap, operand=False))
        elif token in _RAW:
            _complete(frame, _raw_item(token, _raw(tokens), slot))
        elif token == "{":
            stack.append(_Frame("{"))
        elif token == r"\left":
            opener = next(tokens, "(")
            call = bool(frame.items) and frame.items[-1].operand and not frame.gap
            stack.append(_Frame(opener, call))
        elif token.startswith(r"\begin"):
            stack.append(_Frame(token))
        elif token == "&":
            frame.rows[-1].append(_row(frame))
        elif token == r"\\":
            frame.rows[-1].append(_row(frame))
            frame.rows.append([])
        elif token in ("}", r"\right") or token.startswith(r"\end"):
            closer = next(tokens, ")") if token == r"\right" else token
            if len(stack) > 1:
                stack.pop()
                _complete(stack[-1], _closed(frame, closer, slot))
        elif token.startswith(r"\sqrt["):
            frame.waiting.append((token, []))
        elif token in _ARGUMENTS:
            scripts = token in "_^"
            base = [frame.items.pop() if frame.items else _Item("<mrow></mrow>")] if scripts else []
            frame.waiting.append((token, base))
        elif token == "-" and not (frame.items and frame.items[-1].operand):
            _complete(frame, _Item('<mo form="prefix">−</mo>', operand=False))
        else:
            _complete(frame, _atom(token))
    while len(stack) > 1:
        frame = stack.pop()
        _complete(stack[-1], _Item(_row(frame)))
    return f"<math>{''.join(_joined(stack[0].items))}</math>"


def _complete(frame: _Frame, item: _Item) -> None:
    """Add an item to a group: to the macro that waits for it, if one does."""
    item, frame.gap = item._replace(spaced=frame.gap), False
    while frame.waiting:
        macro, arguments = frame.waiting[-1]
        arguments.append(item)
        if len(arguments) < _ARGUMENTS.get(macro, 1):
            return
        frame.waiting.pop()
        if macro not in _ARGUMENTS:  # a root of a whole degree
            inner = f"{item.markup}<mn>{macro[6:-1]}</mn>"
            item = _Item(f"<mroot>{inner}</mroot>", spaced=arguments[0].spaced)
            continue
        name = {r"\frac": "mfrac", r"\sqrt": "msqrt", "_": "msub", "^": "msup"}[macro]
        if macro == "_" and "∑" in arguments[0].markup:
            name = "munder"
        parts = [argument.markup for argument in arguments]
        raised = (parts[0], parts[1]) if macro == "^" else None
        if macro == "_" and arguments[0].raised:
            base, above = arguments[0].raised
            name, parts = "msubsup", [base, parts[1], above]
        operand, spaced = arguments[0].operand or name != "munder", arguments[0].spaced
        item = _Item(f"<{name}>{''.join(parts)}</{name}>", operand, spaced=spaced, raised=raised)
    frame.items.append(item)


def _closed(frame: _Frame, closer: str, slot: Callable[[str, bool], str] | None) -> _Item:
    """A group that has ended, as one item."""
    if frame.opener == "{":
        # Braces around one thing are not seen, so what it is stays known.
        return frame.items[0] if len(frame.items) == 1 else _Item(_row(frame))
    if frame.opener.startswith(r"\begin"):
        frame.rows[-1].append(_row(frame))
        return _Item(_table(frame.opener, [row for row in frame.rows if any(row)]))
    alone = frame.items[0].slot if len(frame.items) == 1 else None
    if alone is not None and not frame.call and slot is not None and frame.opener == "(":
        return _Item(slot(alone, True), slot=alone)
    inner = "".join(_joined(frame.items))
    # Browsers keep room for the largest size that a sign which may grow can have.
    grows = "" if any(tag in inner for tag in _TALL) else ' stretchy="false"'
    marks = [_FENCES.get(mark, mark) for mark in (frame.opener, closer)]
    signs = [f'<mo fence="true"{grows}>{escape(mark)}</mo>' for mark in marks]
    return _Item(f"<mrow>{signs[0]}{inner}{signs[1]}</mrow>")


def _table(opener: str, rows: Sequence[Sequence[str]]) -> str:
    body = "".join(f"<mtr>{''.join(f'<mtd>{cell}</mtd>' for cell in row)}</mtr>" for row in rows)
    table = f"<mtable>{body}</mtable>"
    if "cases" in opener:
        return f'<mrow><mo fence="true" form="prefix">{{</mo>{table}</mrow>'
    return f'<mrow><mo fence="true">(</mo>{table}<mo fence="true">)</mo></mrow>'


def _row(frame: _Frame) -> str:
    """What is in a group so far, as one element; the group is empty afterwards."""
    inner = "".join(_joined(frame.items))
    single = len(frame.items) == 1
    frame.items.clear()
    return inner if single else f"<mrow>{inner}</mrow>"


def _joined(items: Sequence[_Item]) -> Iterator[str]:
    """Items side by side; an operand after an operand is a function's argument, or a factor."""
    for before, item in zip([None, *items], items, strict=False):
        if before is not None and before.operand and item.operand:
            called = not item.spaced and item.markup.startswith("<mrow><mo fence")
            yield "<mo>&#x2061;</mo>" if called else "<mo>&#x2062;</mo>"
            if _WORD.match(item.markup) or _OVER.match(before.markup):
                yield '<mspace width="0.17em"></mspace>'
        yield item.markup


def _raw(tokens: Iterator[str]) -> str:
    """The text of the braces that follow, without its escapes."""
    depth, text = 0, ""
    for token in tokens:
        if token == "{":
            depth += 1
        elif token == "}":
            depth -= 1
            if depth == 0:
                break
        elif token in _SYMBOLS:
            text += _SYMBOLS[token]
        else:
            text += token[1:] if len(token) == 2 and token[0] == "\\" else token
    return text


def _raw_item(macro: str, text: str, slot: Callable[[str, bool], str] | None) -> _Item:
    if macro == r"\slot":
        return _Item(slot(text, False) if slot else f"<mn>{escape(text)}</mn>", slot=text)
    shown = escape(text.replace("---", "—"))
    if macro == r"\text":
        return _Item(f"<mtext>{shown.replace(' ', '&#xa0;')}</mtext>", operand=False)
    upright = ' mathvariant="normal"' if len(text) == 1 else ""
    return _Item(f"<mi{upright}>{shown}</mi>")


def _atom(token: str) -> _Item:
    name = token[1:] if token.startswith("\\") else ""
    if name in _FUNCTIONS:
        return _Item(f"<mi>{name}</mi>")
    if name in _GREEK:
        return _Item(f"<mi>{_GREEK[name]}</mi>")
    if token in _SYMBOLS:
        return _Item(f"<mi>{escape(_SYMBOLS[token])}</mi>", operand=token != r"\partial")
    if token in _SIGNS:
        return _Item(f"<mo>{_SIGNS[token]}</mo>", operand=False)
    if token[0].isdigit():
        return _Item(f"<mn>{token}</mn>")
    if token.isalpha():
        return _Item(f"<mi>{escape(token)}</mi>")
    if token == "?":
        return _Item("<mi>?</mi>")
    return _Item(f"<mo>{escape(name or token)}</mo>", operand=False)
