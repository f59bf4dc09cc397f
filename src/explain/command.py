"""`wengert explain`: the walk-through of a formula in a terminal."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ..errors import FormulaError, MissingExtraError, shorten
from ..notation.formulas import read_formulas
from ..storage import write_text
from ..terminal import columns, painted, wrapped
from . import explain
from .mistakes import titles
from .walkthrough import Walkthrough

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


def add_practice_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the arguments of `wengert practice`."""
    parser.add_argument(
        "--level",
        type=int,
        choices=(1, 2, 3),
        default=1,
        help="1 sums and products (the default), 2 a leaf used twice, 3 functions inside",
    )
    parser.add_argument("--seed", type=int, default=None, help="the same expression every time")


def practice(args: argparse.Namespace) -> int:
    """Carry out `wengert practice`: be asked about an expression that was not there before."""
    from .practice import fresh

    return ask(fresh(args.level, args.seed))


def run(args: argparse.Namespace) -> int:
    """Carry out `wengert explain`; bad input is a `WengertError` for the caller to show."""
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
    import graphviz

    try:
        return write_text(path, w.html())
    except graphviz.ExecutableNotFound as missing:
        raise MissingExtraError(str(missing)) from None


def ask(w: Walkthrough, read: Callable[[str], str] = input) -> int:
    """Ask the questions one by one, judge what is typed, and count."""
    questions = w.questions
    _say(f"{w.nodes[-1].name} = {w.formula.text}", "1")
    if w.values:
        _say(f"at {', '.join(f'{n} = {x:g}' for n, x in w.values.items())}")
    _say(
        f"{len(questions)} questions. Type a number or a formula, ? for a hint, nothing to see the "
        "answer, q to stop."
    )
    found: list[bool] = []
    helped = 0
    for i, question in enumerate(questions, 1):
        given = f" ({question.given})" if question.given else ""
        _write("\n")
        _say(f"{i}. {question.prompt}{given}", "1")
        outcome = _one_question(w, question.id, question.hint, read)
        if outcome is None:
            break
        found.append(outcome == "alone")
        helped += outcome == "helped"
    after = f", {helped} after a hint" if helped else ""
    _write("\n")
    _say(f"{sum(found)} of {len(found)} right without looking{after}.")
    return 0


def _one_question(w: Walkthrough, id: str, hint: str, read: Callable[[str], str]) -> str | None:
    """How it was answered: "alone", "helped" by a hint, or "not"; None to stop."""
    outcome = "alone"
    while True:
        try:
            typed = read("> ").strip()
        except EOFError:
            return None
        if typed in ("q", "quit"):
            return None
        if typed == "?":
            _say(hint)
            outcome = "helped"
            continue
        verdict = w.check(id, typed or "0")
        if not typed:
            _say(verdict.answer)
            return "not"
        colour = _RIGHT if verdict.correct else _WRONG
        _say(f"{verdict.message}{f' {verdict.answer}' if verdict.correct else ''}", colour)
        if verdict.correct:
            return outcome
        outcome = "helped" if "Hint:" in verdict.message else outcome


_RIGHT, _WRONG = "32", "38;5;166"


def _say(words: str, colour: str = "") -> None:
    """Print a line, wrapped and coloured as the terminal takes it."""
    for line in wrapped(words, columns(elsewhere=_UNCUT)):
        _write((painted(line, colour) if colour else line) + "\n")


_UNCUT: Final = 10_000


def _json(data: object) -> str:
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
