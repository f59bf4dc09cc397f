"""`wengert explain`: the walk-through of a formula in a terminal."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ..errors import FormulaError, shorten
from ..graph.expr import Expr, Graph
from ..graph.store import is_name
from ..notation.parse import MAX_LENGTH, parse
from ..ops.scalar import CONSTANT
from ..storage import write_text
from .walkthrough import Walkthrough

_ASSIGNMENT: Final = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)(.*)", re.DOTALL)
_ASCII: Final = {
    "∂": "d",
    "×": "*",
    "·": "*",
    "→": "->",
    "←": "<-",
    "—": "-",
    "‖": "|",
    "²": "^2",
    "ˣ": "^x",
    "…": "...",
    "“": '"',
    "”": '"',
    "✓": "+",
    "✗": "x",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the arguments of `wengert explain`."""
    parser.add_argument(
        "formula", help='such as "tanh(w*x + b)", or named parts: "c = a + b; d = b + 1; e = c*d"'
    )
    parser.add_argument(
        "--at", action="append", metavar="a=2,b=1", help="a number for each leaf; may be repeated"
    )
    parser.add_argument(
        "--wrt", action="append", metavar="NAMES", help="differentiate by these only, such as w,b"
    )
    parser.add_argument(
        "--mistake",
        metavar="NAME",
        default=None,
        help='a common mistake beside the right way, or "list"',
    )
    parser.add_argument("--predict", action="store_true", help="be asked before a number is shown")
    parser.add_argument("--part", metavar="NAME", default=None, help="explain this named part only")
    parser.add_argument("--collapse", action="store_true", help="one step for each named part")
    parser.add_argument("--html", metavar="FILE", default=None, help="write it as one HTML page")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace) -> int:
    """Carry out `wengert explain`; bad input is a `WengertError` for the caller to show."""
    from . import explain
    from .mistakes import titles

    if args.mistake == "list":
        for name, title in titles():
            _write(f"{name:<12} {title}\n")
        return 0
    output = read_formulas(args.formula)
    at = None if args.at is None else read_values(args.at)
    names = [name.strip() for given in args.wrt or () for name in given.split(",")]
    wrt = list(dict.fromkeys(names)) or None
    w = explain(output, wrt, at, part=args.part, collapse=args.collapse)
    if args.html is not None:
        _write(f"Wrote {write_html(w, args.html)}\n")
    if args.mistake is not None:
        found = w.mistake(args.mistake)
        _write(_json(found.data()) + "\n" if args.json else found.text())
    elif args.predict:
        return ask(w)
    elif args.json:
        _write(w.json() + "\n")
    elif args.html is None:
        _write(w.text())
    return 0


def read_formulas(text: str) -> Expr:
    """The expression of one formula, or of several "name = formula" separated by ";", the last one.

    A name given to a formula can be used in those after it, and labels its node.

    >>> e = read_formulas("c = a + b; e = c*(b + 1)")
    >>> print(e, e.label)
    (a + b)*(b + 1) e
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"{len(text):,} characters; a formula may have {MAX_LENGTH:,}")
    statements = [part for part in re.split(r"[;\n]", text) if part.strip()]
    if not statements:
        raise FormulaError("the formula is empty; expected something like 'tanh(w*x + b)'")
    graph = Graph()
    named: dict[str, Expr] = {}
    output: Expr | None = None
    for i, statement in enumerate(statements):
        match = _ASSIGNMENT.fullmatch(statement)
        if match is None and i < len(statements) - 1:
            raise FormulaError(
                f"{shorten(statement.strip())} has no name; give each formula but the last one, "
                "as in 'c = a + b; c*c'"
            )
        name, body = (match[1], match[2]) if match else ("", statement)
        if name and (not is_name(name) or name in named or name in graph.leaves):
            raise FormulaError(
                f"{shorten(name)} cannot be given a formula here: it is a keyword or in use already"
            )
        output = _copied(parse(body), graph, named)
        if name:
            named[name] = output
            if not output.is_leaf:
                output.label = name
    assert output is not None
    return output


def _copied(source: Expr, graph: Graph, named: dict[str, Expr]) -> Expr:
    """An expression of another graph in this one, with names standing for their formulas."""
    old = source.graph
    made: list[Expr] = []
    for node in range(len(old)):
        if old.operands[node]:
            operands = tuple(made[operand].id for operand in old.operands[node])
            made.append(graph[graph.append(old.ops[node], operands, old.statics.get(node, ()))])
        elif old.ops[node] is CONSTANT:
            made.append(graph.constant(old.value(node) or 0.0))
        else:
            name = old.labels[node]
            known = named.get(name)
            if known is None:
                known = graph[graph.leaves[name]] if name in graph.leaves else graph.input(name)
            made.append(known)
    return made[source.id]


def read_values(given: Sequence[str]) -> dict[str, float]:
    """The numbers of "a=2,b=1", given at once or one by one.

    >>> read_values(["a=2, b=-1e-3", "c=0"])
    {'a': 2.0, 'b': -0.001, 'c': 0.0}
    """
    values: dict[str, float] = {}
    for entry in filter(str.strip, (entry for text in given for entry in text.split(","))):
        name, sign, number = (part.strip() for part in entry.partition("="))
        if not sign or not name:
            raise FormulaError(
                f"--at {shorten(entry.strip())}: expected name=number, as in a=2,b=1"
            )
        if name in values:
            raise FormulaError(f"--at gives {shorten(name)} twice")
        try:
            values[name] = float(number)
        except ValueError:
            raise FormulaError(
                f"--at: the value of {shorten(name)} is {shorten(number)}; expected a number"
            ) from None
    return values


def write_html(w: Walkthrough, path: str) -> Path:
    """Write the page of a walk-through, whatever the suffix of the path."""
    return write_text(path, w.html())


def ask(w: Walkthrough, read: Callable[[str], str] = input) -> int:
    """Ask the questions one by one, judge what is typed, and count."""
    questions = w.questions
    _write(f"{w.nodes[-1].name} = {w.formula.text}\n")
    if w.values:
        _write(f"at {', '.join(f'{n} = {x:g}' for n, x in w.values.items())}\n")
    _write(
        f"{len(questions)} questions. Type a number or a formula, ? for a hint, nothing to see the "
        "answer, q to stop.\n"
    )
    right, asked = 0, 0
    for i, question in enumerate(questions, 1):
        given = f" ({question.given})" if question.given else ""
        _write(f"\n{i}. {question.prompt}{given}\n")
        outcome = _one_question(w, question.id, question.hint, read)
        if outcome is None:
            break
        asked += 1
        right += outcome
    _write(f"\n{right} of {asked} right without looking.\n")
    return 0


def _one_question(w: Walkthrough, id: str, hint: str, read: Callable[[str], str]) -> bool | None:
    """Whether it was answered, None to stop."""
    while True:
        try:
            typed = read("> ").strip()
        except EOFError:
            return None
        if typed in ("q", "quit"):
            return None
        if typed == "?":
            _write(f"{hint}\n")
            continue
        verdict = w.check(id, typed or "0")
        if not typed:
            _write(f"{verdict.answer}\n")
            return False
        _write(f"{verdict.message}{f' {verdict.answer}' if verdict.correct else ''}\n")
        if verdict.correct:
            return True


def _json(data: object) -> str:
    import json

    return json.dumps(data, indent=2, ensure_ascii=False)


def _write(text: str) -> None:
    """Print, with plain characters where the terminal has no others."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        text = "".join(_ASCII.get(c, c) for c in text)
        text = text.encode(encoding, "replace").decode(encoding)
    sys.stdout.write(text)
    sys.stdout.flush()
