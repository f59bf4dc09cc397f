"""The `wengert` command: gradients, walk-throughs, pictures and modules from formulas, and a demo.

Exit codes: 0 when it is done, 1 when a check of the demonstration, or of `verify`, failed, 2 for a
wrong formula, name, file or option, with one clear message on stderr.
"""

from __future__ import annotations

import argparse
import errno
import json
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from .derive.backward import grad
from .errors import OperandError, SettingError, SizeError, UnknownNameError, WengertError, shorten
from .explain.command import add_arguments, add_practice_arguments
from .graph.evaluation import evaluate
from .graph.expr import Expr, Graph
from .graph.formula import name_latex, number_latex
from .graph.numbertext import number_text
from .graph.store import check_name
from .graph.written import latex, text
from .notation.formulas import read_formulas
from .storage import write_bytes
from .terminal import columns, painted, wrapped

MAX_FORMULA_TERMS = 50_000
"""How many nodes of a written-out gradient are printed; beyond it is a `SizeError`."""

MAX_MESSAGE: Final = 2000
"""How many characters of an error are printed."""

_OPTION = re.compile(r"-h|--|--[a-z]{2,}(=.*)?", re.DOTALL)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or those of the process; the exit code.

    >>> main(["grad", "w*x", "--wrt", "w", "--at", "w=2,x=3"])
    f = w*x
    df/dw = x
    at w=2, x=3:
    f = 6
    df/dw = 3
    0
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        options = _parser().parse_args([_as_formula(argument) for argument in arguments])
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    except WengertError as error:
        return _failed(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _failed(f"{place}{error.strerror or error}")
    except KeyboardInterrupt:
        return _failed("interrupted", 130)


def _as_formula(argument: str) -> str:
    """A formula such as "-x" with a space before it, so that it is not taken for an option."""
    is_formula = argument.startswith("-") and not _OPTION.fullmatch(argument)
    return f" {argument}" if is_formula else argument


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where help is."""
        self.exit(_failed(f"{message} (see {self.prog} --help)"))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="wengert", description="Write scalars. Read the calculus. Run matrices.")
    version = sys.modules[__name__.rpartition(".")[0]].__version__
    parser.add_argument("--version", action="version", version=f"wengert {version}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Callable[[Any], int], summary: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        command.set_defaults(run=run)
        return command

    demo = add("demo", _demo, "Take one small network through every stage, and write its files.")
    demo.add_argument("--out", default="wengert-demo", metavar="DIR", help="(default: %(default)s)")

    gradient = add("grad", _grad, "Print the derivatives of a formula.")
    _add_formula(gradient)
    forms = gradient.add_mutually_exclusive_group()
    forms.add_argument("--latex", action="store_true", help="print LaTeX")
    forms.add_argument("--json", action="store_true", help="print one JSON object")
    forms.add_argument("--python", action="store_true", help="print a Python function")

    draw = add("draw", _draw, "Draw a formula, and with --wrt its derivatives.")
    _add_formula(draw, "(default: draw no derivatives)")
    draw.add_argument("--out", default="wengert.svg", metavar="FILE", help="(default: %(default)s)")
    draw.add_argument(
        "--rankdir", default="LR", help="LR (left to right, the default), TB, RL or BT"
    )

    explain = add("explain", _explain, "Show the chain rule on a formula, step by step.")
    add_arguments(explain)

    practice = add("practice", _practice, "Differentiate a fresh expression, asked step by step.")
    add_practice_arguments(practice)

    verify = add("verify", _verify, "Check the derivatives of a formula by sympy and numbers.")
    _add_formula(verify)

    export = add("export", _export, "Write a Python module with a formula and its derivatives.")
    _add_formula(export)
    export.add_argument("--out", required=True, metavar="FILE", help="such as model.py")
    export.add_argument("--name", default="f", help="of the function (default: %(default)s)")
    return parser


def _add_formula(command: argparse.ArgumentParser, default: str = "(default: every leaf)") -> None:
    command.add_argument(
        "formula", help='such as "tanh(w*x + b)", or with named parts: "c = a + b; c*c"'
    )
    command.add_argument(
        "--wrt",
        action="append",
        metavar="NAMES",
        help=f"leaves to differentiate with respect to, such as w,b {default}",
    )
    command.add_argument(
        "--at", action="append", metavar="VALUES", help="numbers for leaves, such as w=1,x=2"
    )


class _Question(NamedTuple):
    """What a command line asks: a formula, by which leaves, and the numbers given for leaves."""

    graph: Graph
    formula: Expr
    wrt: list[str]
    at: dict[str, float]

    @property
    def letter(self) -> str:
        """What the formula is called in the answer: a name that is none of its leaves."""
        names = chain("fgh", (f"f{n}" for n in count()))
        return next(name for name in names if name not in self.graph.leaves)

    def leaf(self, name: str) -> Expr:
        """The leaf called `name`."""
        return self.graph[self.graph.leaves[name]]

    def derivatives(self) -> list[Expr]:
        """The derivative by each leaf of `wrt`, 0 where only conditions depend on it."""
        leaves = [self.leaf(name) for name in self.wrt]
        return grad(self.formula, leaves)


def _read(options: Any, *, every_leaf: bool = True, carried: bool = False) -> _Question:
    """The question; `carried` makes the leaves in `--at` parameters, which carry their number."""
    formula = read_formulas(options.formula)
    leaves = list(formula.graph.leaves)
    at = _read_numbers(options.at or [], leaves)
    if carried and at:
        graph = Graph()
        for name in leaves:
            if name in at:
                graph.parameter(name, at[name])
            else:
                graph.input(name)
        formula = read_formulas(options.formula, graph)
    names = [name.strip() for given in options.wrt or [] for name in given.split(",")]
    for name in names:
        if name not in leaves:
            raise UnknownNameError.of("leaf", name, leaves)
    wrt = list(dict.fromkeys(names)) or (leaves if every_leaf else [])
    if not leaves and every_leaf:
        raise OperandError(f"{shorten(options.formula)} has no leaf to differentiate by")
    return _Question(formula.graph, formula, wrt, at)


def _read_numbers(given: Sequence[str], leaves: Sequence[str]) -> dict[str, float]:
    """The numbers of `--at`, by leaf."""
    at: dict[str, float] = {}
    for item in (item.strip() for part in given for item in part.split(",")):
        name, sign, written = (piece.strip() for piece in item.partition("="))
        if not sign:
            raise OperandError(f"--at: {shorten(item)} is not of the form name=number")
        if name not in leaves:
            raise UnknownNameError.of("leaf", name, leaves)
        if name in at:
            raise OperandError(f"--at: {name} is given twice")
        try:
            at[name] = float(written)
        except ValueError:
            raise OperandError(
                f"--at: {name} is {shorten(written)}; expected a number such as 0.5"
            ) from None
    return at


def _grad(options: Any) -> int:
    question = _read(options)
    if options.python:
        if question.at:
            raise SettingError(
                "--at goes with formulas: the function of --python takes its numbers when called"
            )
        _say(_compiled(question, "f").source.rstrip())
        return 0
    from .simplify.pipeline import simplify

    derivatives = question.derivatives()
    gradient = simplify(derivatives)
    numbers = evaluate([question.formula, *derivatives], question.at) if question.at else None
    if options.json:
        answer = _as_json(question, options.formula, gradient, numbers)
        _say(json.dumps(answer, indent=2, allow_nan=False))
    elif options.latex:
        _print_latex(question, gradient, numbers)
    else:
        _print_plain(question, gradient, numbers)
    return 0


def _print_plain(
    question: _Question, gradient: Sequence[Expr], numbers: Sequence[float] | None
) -> None:
    f = question.letter
    names = [f, *(f"d{f}/d{name}" for name in question.wrt)]
    for name, part in zip(names, [question.formula, *gradient], strict=True):
        _say_equation(name, text(part))
    if numbers is not None:
        place = ", ".join(f"{name}={number_text(n)}" for name, n in question.at.items())
        _say_folded(f"at {place}:")
        for name, number in zip(names, numbers, strict=True):
            _say_equation(name, number_text(number))


def _print_latex(
    question: _Question, gradient: Sequence[Expr], numbers: Sequence[float] | None
) -> None:
    leaves = question.formula.graph.leaves
    f = name_latex(question.letter)
    below = (name_latex(name, leaves) for name in question.wrt)
    partial = (rf"\frac{{\partial {f}}}{{\partial {name}}}" for name in below)
    symbols = [f, *partial]
    for symbol, part in zip(symbols, [question.formula, *gradient], strict=True):
        _say(f"{symbol} = {latex(part, MAX_FORMULA_TERMS)}")
    if numbers is not None:
        given = (
            f"{name_latex(name, leaves)} = {number_latex(n)}" for name, n in question.at.items()
        )
        place = r",\ ".join(given)
        for symbol, number in zip(symbols, numbers, strict=True):
            _say(rf"\left. {symbol} \right|_{{{place}}} = {number_latex(number)}")


def _as_json(
    question: _Question,
    formula: str,
    gradient: Sequence[Expr],
    numbers: Sequence[float] | None,
) -> dict[str, Any]:
    """The machine-readable answer; numbers that JSON lacks are texts: "inf", "-inf", "nan"."""
    at: dict[str, Any] = {"at": None, "value": None, "gradient_at": None}
    if numbers is not None:
        value, *parts = map(_json_number, numbers)
        at["at"] = {name: _json_number(number) for name, number in question.at.items()}
        at["value"] = value
        at["gradient_at"] = dict(zip(question.wrt, parts, strict=True))
    written = {name: _whole(part) for name, part in zip(question.wrt, gradient, strict=True)}
    return {"formula": formula.strip(), "wrt": question.wrt, "gradient": written, **at}


def _json_number(number: float) -> float | str:
    return number if math.isfinite(number) else str(float(number))


def _whole(expr: Expr) -> str:
    """The formula, or an error where it is too long to be written out."""
    written = text(expr, MAX_FORMULA_TERMS)
    if "…" in written:
        raise SizeError(
            f"a gradient has more than {MAX_FORMULA_TERMS:,} terms when written out; "
            "use --python, which names shared parts"
        )
    return written


def _compiled(question: _Question, name: str) -> Any:
    """The formula's value and gradient as a function of its leaves, in order of appearance."""
    from .codegen.compiled import compile

    leaves = {leaf: question.leaf(leaf) for leaf in question.graph.leaves}
    gradient = dict(zip(question.wrt, question.derivatives(), strict=True))
    return compile(leaves, {"value": question.formula, "gradient": gradient}, name=name)


def _draw(options: Any) -> int:
    import graphviz

    from .draw.draw import draw_dot
    from .simplify.pipeline import simplify

    out = Path(options.out)
    kind = out.suffix[1:].lower()
    question = _read(options, every_leaf=False)
    shown = [question.formula]
    if question.wrt:
        shown = simplify([question.formula, *question.derivatives()])
    present = {n: v for n, v in question.at.items() if n in shown[0].graph.leaves}
    picture = draw_dot(shown, format=kind or "svg", rankdir=options.rankdir, at=present)
    try:
        drawn = picture.source.encode() if kind in ("dot", "gv") else picture.pipe()
    except graphviz.ExecutableNotFound as missing:
        return _failed(str(missing))
    except graphviz.CalledProcessError as error:
        said = (error.stderr or b"").decode("utf-8", "replace").strip()
        return _failed(f"the picture was not made: {said or error}")
    write_bytes(out, drawn)
    _say(f"wrote {out}")
    return 0


def _explain(options: Any) -> int:
    from .explain.command import run

    return run(options)


def _practice(options: Any) -> int:
    from .explain.command import practice

    return practice(options)


def _verify(options: Any) -> int:
    from .verify.verify import verify

    question = _read(options)
    at = {question.leaf(name): number for name, number in question.at.items()}
    leaves = [question.leaf(name) for name in question.wrt]
    found = verify(question.formula, leaves, at=at or None, progress=False)
    for line in str(found).splitlines():
        _say(line)
    return 0 if found else 1


def _export(options: Any) -> int:
    check_name(options.name, "function")
    out = Path(options.out)
    compiled = _compiled(_read(options, carried=True), options.name)
    if out.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(out))
    try:
        compiled.save(out)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(out)) from None
    _say(f"wrote {out}; run it to check its gradient")
    return 0


def _demo(options: Any) -> int:
    from .demo import run

    return 0 if run(Path(options.out), _say_folded) else 1


def _failed(message: str, code: int = 2) -> int:
    """Say what is wrong, with nothing in it that a terminal would act upon."""
    cut = message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}…"
    message = "".join(c if c.isprintable() or c == "\n" else f"[U+{ord(c):04X}]" for c in cut)
    print(painted("wengert:", "1;31", sys.stderr), message, file=sys.stderr)
    return code


def _say(line: str = "") -> None:
    """Print, whatever the terminal's encoding makes of it."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(line.encode(encoding, "replace").decode(encoding))


def _say_folded(line: str) -> None:
    for part in _wrapped(line, line[: len(line) - len(line.lstrip())]):
        _say(part)


def _say_equation(left: str, right: str) -> None:
    first, *rest = _wrapped(f"{left} = {right}")
    _say(painted(left, "1", sys.stdout) + first[len(left) :])
    for line in rest:
        _say(line)


def _wrapped(line: str, margin: str = "") -> list[str]:
    """The line cut to the width of the terminal; whole when it goes elsewhere."""
    return wrapped(line, columns(WHOLE, WHOLE), rest=len(margin) + 4)


WHOLE: Final = 1_000_000
"""Columns that every line has room in."""
