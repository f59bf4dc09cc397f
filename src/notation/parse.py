"""Formulas from text: Python's syntax for arithmetic, and nothing else of Python.

The text is parsed, never run: a walk over the syntax tree builds nodes from the few kinds of syntax
that are listed here and refuses every other. Nothing is added to a graph by a text that is refused.
"""

from __future__ import annotations

import ast
import math
import re
import sys
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import reduce
from typing import Any, Final, NamedTuple, NoReturn

from ..errors import FormulaError, OperandError, kind_of, shorten
from ..graph.expr import Expr, Graph
from ..graph.rewrite import rewritten
from ..graph.store import MAX_NAME_LENGTH, is_name
from ..ops import scalar as ops
from ..ops.record import ATOM, Op
from ..ops.table import with_own
from .names import is_greek_or_low, leaf_name

MAX_LENGTH: Final = 10_000
"""The longest formula, in characters."""
MAX_DEPTH: Final = 1_000
"""The deepest nesting; a sum of n terms is n deep, as Python reads it."""
MAX_NODES: Final = 4_000
"""How many numbers, names, operators and calls one formula may have."""
_SHOWN: Final = 72
_WORD: Final = re.compile(r"[^\W\d][\w₀-₉]*")
_PRODUCT: Final = re.compile(
    r"(?<![\w.])(?P<number>(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?P<name>[A-Za-z_]\w*)"
)
_RUN_TOGETHER: Final = re.compile(r"(?<![\w.])[\d.][\w.]*?(?:and|else|for|if|in|is|not|or)\b")

Functions = Mapping[str, Callable[..., Any]]


def _called_by_name(operations: Iterable[Op]) -> dict[str, Callable[..., Any]]:
    """The operations that are written as calls, by name."""
    return {
        op.name: op for op in operations if op.shape is None and op.written("text").binds == ATOM
    }


FUNCTIONS: Final[Functions] = {
    **_called_by_name(ops.ELEMENTWISE.values()),
    "silu": ops.silu,
    "gelu": ops.gelu,
}
NUMBERS: Final = {"pi": math.pi, "inf": math.inf, "nan": math.nan}
"""What stands for a number unless it is a leaf of the graph."""
"""What a formula may call: the operations written as calls, and the compositions of them."""

_BINARY: Final[dict[type[ast.operator], Op]] = {
    ast.Add: ops.ADD,
    ast.Sub: ops.SUB,
    ast.Mult: ops.MUL,
    ast.Div: ops.DIV,
    ast.Pow: ops.POW,
    ast.Mod: ops.MOD,
}
_COMPARISONS: Final[dict[type[ast.cmpop], Op]] = {
    ast.Lt: ops.LT,
    ast.LtE: ops.LE,
    ast.Gt: ops.GT,
    ast.GtE: ops.GE,
    ast.Eq: ops.EQ,
    ast.NotEq: ops.NE,
}
_ELSEWHERE: Final = {
    **{f"arc{name}": f"write a{name}(x)" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{f"ar{name}": f"write a{name}(x)" for name in ("sinh", "cosh", "tanh")},
    **dict.fromkeys(("arctan2", "angle"), "write atan2(y, x)"),
    **dict.fromkeys(("sgn", "signum"), "write sign(x)"),
    **dict.fromkeys(("lg", "log_10"), "write log10(x)"),
    **dict.fromkeys(("ld", "lb", "log_2"), "write log2(x)"),
    **dict.fromkeys(("fabs", "absolute"), "write abs(x)"),
    **dict.fromkeys(("sqr", "square"), "write x**2"),
    **dict.fromkeys(("power", "pow"), "write a**b"),
    **dict.fromkeys(("amax", "fmax", "max"), "write maximum(a, b)"),
    **dict.fromkeys(("amin", "fmin", "min"), "write minimum(a, b)"),
    **dict.fromkeys(("rint", "around"), "write round(x)"),
    **dict.fromkeys(("ceiling", "roundup"), "write ceil(x)"),
    **dict.fromkeys(("expit", "logistic", "sigma"), "write sigmoid(x)"),
    **dict.fromkeys(("if_", "iif", "ifelse", "cond"), "write where(condition, a, b)"),
    **dict.fromkeys(("fmod", "remainder"), "write a % b"),
    **dict.fromkeys(("gammaln", "loggamma"), "write lgamma(x)"),
    **dict.fromkeys(("psi", "polygamma0"), "write digamma(x)"),
    **dict.fromkeys(("step", "theta"), "write heaviside(x, 0.5)"),
    "gamma": "write exp(lgamma(x)), for x above 0",
    "cot": "write 1/tan(x)",
    "sec": "write 1/cos(x)",
    "csc": "write 1/sin(x)",
    "cosec": "write 1/sin(x)",
    "sinc": "write sin(x)/x",
    "floor_divide": "write a // b",
    "lrelu": "write leaky_relu(x, 0.01)",
    "hardtanh": "write hard_tanh(x)",
    "hardsigmoid": "write hard_sigmoid(x)",
    "logsumexp": "write logaddexp(a, b)",
    "ln": "write log(x)",
    "swish": "write silu(x)",
    "if": "write where(condition, a, b)",
    "Abs": "write abs(x)",
    "Max": "write maximum(a, b)",
    "Min": "write minimum(a, b)",
}
"""Functions that are not there, by what says the same."""

_MISSING: Final = frozenset(
    "comb degrees erfinv factorial frexp gcd isinf j0 j1 lcm ldexp modf radians sech trunc "
    "y0 y1".split()
)
"""Functions that are not there, whose names may look like those of others."""

_TYPED: Final = {
    "−": "-",
    "–": "-",
    "×": "*",
    "·": "*",
    "⋅": "*",
    "÷": "/",
    "²": "**2",
    "³": "**3",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
}
_REFUSED: Final[tuple[tuple[type[ast.AST], str], ...]] = (
    (ast.Attribute, "a formula has no attributes or modules; write sin(x), not math.sin(x)"),
    (ast.Subscript, "a formula has no subscripts; give each leaf a name, such as x0, x1"),
    (ast.Lambda, "a formula has no lambda"),
    (ast.IfExp, "a formula has no if; write where(condition, a, b)"),
    (ast.NamedExpr, "a formula has no assignment"),
    (ast.JoinedStr, "a formula has no text in quotes"),
    (ast.List, "a formula is one number, not a list"),
    (ast.Tuple, "a formula is one number, not several"),
    (ast.Set, "a formula is one number, not a set"),
    (ast.Dict, "a formula is one number, not a dictionary"),
    (ast.ListComp, "a formula has no comprehension"),
    (ast.SetComp, "a formula has no comprehension"),
    (ast.DictComp, "a formula has no comprehension"),
    (ast.GeneratorExp, "a formula has no comprehension"),
    (ast.Starred, "a formula has no starred arguments"),
)


class _Reading(NamedTuple):
    """One piece of syntax understood: its operands, and how to make its node from theirs."""

    operands: Sequence[ast.expr]
    make: Callable[..., Any]


def parse(text: str, graph: Graph | None = None, *, operations: Iterable[Op] = ()) -> Expr:
    """The expression that `text` writes, in `graph` or in a new one.

    `operations` are those of your own that it may call, by their names.

    The syntax is Python's: numbers, names, `+ - * / // % **`, one comparison, `and or not`, and
    calls of operations by name, such as `tanh(x)`, `maximum(a, b)`, `where(a < b, x, y)`. A name is
    the leaf of that name of `graph`; else `pi`, `inf` and `nan` are those numbers, `e` is refused,
    for it may be either, and any other is a new input; inputs are made in order of appearance.
    Greek letters are written out and digits below the line come down: α is alpha, x₁ is x1, and π
    is pi. Numbers become constant nodes and are not computed with here. Anything else is a
    `FormulaError` that shows the place, arrays that do not fit are a `ShapeError`; both leave the
    graph as it was.

    >>> y = parse("tanh(w*x + b)")
    >>> print(y, list(y.graph.leaves))
    tanh(w*x + b) ['w', 'x', 'b']
    >>> parse("2x + 1")
    Traceback (most recent call last):
    wengert.errors.FormulaError: a product needs its sign; write 2*x
        2x + 1
        ^^
    """
    target = Graph() if graph is None else graph
    return parse_with(text, target, {}, operations)


def parse_with(
    text: str, target: Graph, defined: Mapping[str, Expr], operations: Iterable[Op] = ()
) -> Expr:
    """The same in `target`, where the names of `defined` stand for its expressions."""
    known = {**FUNCTIONS, **_called_by_name(with_own({}, operations).values())}
    text = in_ascii(text)
    readings = _understand(_tree(text), text, known, {*defined, *target.leaves})
    if target.shapes:
        _make(readings, _leaves_only(target, readings), {})  # raises where shapes do not fit
    return _make(readings, target, defined)


def in_ascii(text: Any) -> Any:
    """The text with the names of Greek letters, and with digits that stood below the line."""
    if not isinstance(text, str) or text.isascii() or len(text) > MAX_LENGTH:
        return text

    def write(match: re.Match[str]) -> str:
        word = match[0]
        strange = [character for character in word if not character.isascii()]
        return leaf_name(word) if all(map(is_greek_or_low, strange)) else word

    return _WORD.sub(write, text)


def _make(
    readings: Sequence[tuple[ast.expr, _Reading]], graph: Graph, defined: Mapping[str, Expr]
) -> Expr:
    """The nodes of every reading in `graph`; the last of them."""
    made: dict[ast.expr, Expr] = {}
    for node, reading in reversed(readings):
        if isinstance(node, ast.Name) and node.id in defined:
            made[node] = defined[node.id]
            continue
        made[node] = reading.make(graph, *[made[operand] for operand in reading.operands])
    return made[readings[0][0]]


def _leaves_only(graph: Graph, readings: Sequence[tuple[ast.expr, _Reading]]) -> Graph:
    """A new graph with those leaves of `graph` that the formula names."""
    names = dict.fromkeys(node.id for node, _ in readings if isinstance(node, ast.Name))
    leaves = [graph.leaves[name] for name in names if name in graph.leaves]
    return rewritten(graph, leaves, order=leaves).graph


def _tree(text: str) -> ast.expr:
    """The syntax tree of the text, which is one line once white space is made plain."""
    if not isinstance(text, str):
        raise OperandError(f"{shorten(text)} is {kind_of(text)}; expected a formula as text")
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            f"the formula has {len(text):,} characters; a formula may have {MAX_LENGTH:,}. "
            "Build larger expressions with a Graph"
        )
    _check_characters(text)
    line = _one_line(text)
    start = len(line) - len(line.lstrip())
    if not line.strip():
        raise FormulaError("the formula is empty; expected something like 'tanh(w*x + b)'")
    try:
        return ast.parse(line[start:], mode="eval").body
    except SyntaxError as error:
        place = start + max((error.offset or 1) - 1, 0)
        product = _PRODUCT.search(line)
        if product:
            hint = f"a product needs its sign; write {product['number']}*{product['name']}"
            _refuse(text, product.start(), product.end(), hint)
        _refuse(text, place, place + 1, f"not a formula: {_plain(error.msg)}")
    except (RecursionError, MemoryError):
        pass
    except ValueError as error:
        raise FormulaError(f"not a formula: {_plain(str(error))}") from None
    raise FormulaError(f"the formula is nested too deeply; at most {MAX_DEPTH:,} levels are read")


def _understand(
    root: ast.expr, text: str, functions: Functions, leaves: Container[str]
) -> list[tuple[ast.expr, _Reading]]:
    """Every piece of syntax with its reading, consumers first and the right before the left.

    Of several mistakes the leftmost is reported.
    """
    shift = len(text) - len(_one_line(text).lstrip())
    readings: list[tuple[ast.expr, _Reading]] = []
    mistakes: list[tuple[int, int, str]] = []
    stack = [(root, 1)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise FormulaError(
                f"the formula is nested more than {MAX_DEPTH:,} deep (a sum of n terms is n deep); "
                "add brackets to balance it, or build it with a Graph"
            )
        if len(readings) >= MAX_NODES:
            raise FormulaError(
                f"the formula has more than {MAX_NODES:,} numbers, names, operators and calls; "
                "build larger expressions with a Graph"
            )
        try:
            reading = _read(node, functions, leaves)
        except _PlaceError as mistake:
            place = mistake.node
            end = place.end_col_offset or place.col_offset + 1
            mistakes.append((place.col_offset + shift, end + shift, mistake.message))
            continue
        readings.append((node, reading))
        stack.extend((operand, depth + 1) for operand in reading.operands)
    if mistakes:
        _refuse(text, *min(mistakes))
    return readings


class _PlaceError(Exception):
    """A piece of syntax that a formula cannot have."""

    def __init__(self, node: Any, message: str) -> None:
        super().__init__(message)
        self.node = node
        self.message = message


def _read(node: ast.expr, functions: Functions, leaves: Container[str]) -> _Reading:
    """What one piece of syntax means; a `_PlaceError` for what is not on the list."""
    literal = _literal(node)
    if literal is not None:
        return _Reading((), lambda graph: graph.constant(literal))
    match node:
        case ast.Name(id=name):
            _check_leaf(node, name, functions, leaves)
            return _Reading((), lambda graph: _leaf(graph, name))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _Reading((operand,), lambda graph, a: ops.NEG(a))
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _Reading((operand,), lambda graph, a: a)
        case ast.BinOp(left=left, op=ast.Pow(), right=right) if _literal(right) is not None:
            exponent = _literal(right)
            return _Reading((left,), lambda graph, a: ops.POW_CONST(a, exponent))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
            return _operation(_BINARY[type(sign)], (left, right))
        case ast.BinOp(left=left, op=ast.FloorDiv(), right=right):
            return _Reading((left, right), lambda graph, a, b: ops.floor_divide(a, b))
        case ast.BoolOp(op=sign, values=values):
            both = ops.AND if isinstance(sign, ast.And) else ops.OR
            return _Reading(values, lambda graph, *parts: reduce(both, parts))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _operation(ops.NOT, (operand,))
        case ast.BinOp(op=sign):
            power = isinstance(sign, ast.BitXor)
            hint = "write ** for a power" if power else "there are + - * / // % **"
            raise _PlaceError(node, f"a formula has no operator {_sign(sign)}; {hint}")
        case ast.Compare(left=left, ops=[sign], comparators=[right]) if type(sign) in _COMPARISONS:
            return _operation(_COMPARISONS[type(sign)], (left, right))
        case ast.Compare(ops=[_]):
            raise _PlaceError(node, "a formula compares with < <= > >= == != only")
        case ast.Compare():
            raise _PlaceError(node, "a formula has no chained comparisons; write a < b and b < c")
        case ast.Call(func=ast.Name()):
            return _call(node, functions)
        case ast.Call(func=ast.Constant() | ast.BinOp() | ast.Call()):
            raise _PlaceError(node, "a product needs its sign; write a*(b), not a(b)")
    for kind, message in _REFUSED:
        if isinstance(node.func if isinstance(node, ast.Call) else node, kind):
            raise _PlaceError(node, message)
    raise _PlaceError(
        node, "a formula has only numbers, names, + - * / **, comparisons and calls; this is none"
    )


def _operation(op: Op, operands: Sequence[ast.expr]) -> _Reading:
    return _Reading(operands, lambda graph, *arguments: op(*arguments))


def _call(node: ast.Call, functions: Functions) -> _Reading:
    """A call of a known function with the right number of plain arguments."""
    name = node.func.id  # type: ignore[attr-defined]
    function = functions.get(name)
    if function is None:
        raise _PlaceError(node.func, _unknown_function(name, functions))
    if node.keywords:
        keyword = node.keywords[0]
        spelled = f"{keyword.arg}=" if keyword.arg else "**"
        raise _PlaceError(keyword, f"a formula has no keyword arguments such as {spelled}")
    for argument in node.args:
        if isinstance(argument, ast.Starred):
            raise _PlaceError(argument, "a formula has no starred arguments")
    signature = function.signature if isinstance(function, Op) else f"{name}(x)"
    arity, most, least = _argument_counts(function)
    if not least <= len(node.args) <= most:
        raise _PlaceError(node, f"{signature}: {len(node.args)} arguments do not fit")
    statics = []
    for argument in node.args[arity:]:
        number = _literal(argument)
        if number is None:
            raise _PlaceError(argument, f"{signature}: this argument must be a number as written")
        statics.append(number)
    return _Reading(node.args[:arity], lambda graph, *operands: function(*operands, *statics))


def _argument_counts(function: Callable[..., Any]) -> tuple[int, int, int]:
    """How many operands, and how many arguments at most and at least."""
    if not isinstance(function, Op):
        return 1, 1, 1
    most = function.arity + len(function.statics)
    return function.arity, most, most - len(function.defaults)


def _literal(node: ast.expr) -> int | float | None:
    """The number that is written, sign included, or None when this is something else."""
    negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    inner = node.operand if negative else node  # type: ignore[attr-defined]
    if not isinstance(inner, ast.Constant):
        return None
    number = inner.value
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise _PlaceError(inner, _not_a_number(number))
    if abs(number) > sys.float_info.max:
        raise _PlaceError(inner, "this number is too large: the largest is about 1.797e308")
    if isinstance(number, int) and abs(number) <= 2**53:
        return -float(number) if negative and number == 0 else -number if negative else number
    return -float(number) if negative else float(number)


def _not_a_number(thing: object) -> str:
    if isinstance(thing, bool):
        return f"{thing} is not a number; write {int(thing)}, or a comparison"
    if isinstance(thing, (str, bytes)):
        return "a formula has no text in quotes"
    if isinstance(thing, complex):
        return "a formula has no complex numbers"
    return f"{'...' if thing is ... else thing} is not a number"


def _check_leaf(node: ast.expr, name: str, functions: Functions, leaves: Container[str]) -> None:
    if name == "e" and name not in leaves:
        raise _PlaceError(
            node, "e may be Euler's number or a leaf; write exp(x) or exp(1), or name the leaf "
            "otherwise"
        )  # fmt: skip
    if name in functions:
        raise _PlaceError(
            node, f"{name} is a function, so it cannot name a leaf; write {name}(...)"
        )
    if not is_name(name):
        raise _PlaceError(
            node,
            f"{shorten(name)} cannot name a leaf: at most {MAX_NAME_LENGTH} characters, "
            "and not starting with two underscores",
        )


def _leaf(graph: Graph, name: str) -> Expr:
    known = graph.leaves.get(name)
    if known is not None:
        return graph[known]
    return graph.constant(NUMBERS[name]) if name in NUMBERS else graph.input(name)


def _unknown_function(name: str, functions: Functions) -> str:
    close = [] if name in _MISSING else get_close_matches(name, functions, n=2)
    if name in _ELSEWHERE:
        return f"unknown function {shorten(name)}: {_ELSEWHERE[name]}"
    hint = f": did you mean {' or '.join(close)}?" if close else "."
    return f"unknown function {shorten(name)}{hint} Known: {', '.join(sorted(functions))}"


def _sign(sign: ast.operator) -> str:
    signs = {
        "Mod": "%",
        "FloorDiv": "//",
        "MatMult": "@",
        "BitXor": "^",
        "BitAnd": "&",
        "BitOr": "|",
        "LShift": "<<",
        "RShift": ">>",
    }
    return signs[type(sign).__name__]


def _check_characters(text: str) -> None:
    """Only printable ASCII and white space: nothing that looks like something else."""
    for place, character in enumerate(text):
        if character.isascii() and (character.isprintable() or character in " \t\n\r"):
            if character in "\\#":
                _refuse(text, place, place + 1, f"a formula has no {character}")
            continue
        typed = _TYPED.get(character)
        hint = f"; write {typed}" if typed else "; a formula is written in plain ASCII"
        shown = repr(character) if character.isprintable() else f"U+{ord(character):04X}"
        _refuse(text, place, place + 1, f"a formula has no {shown}{hint}")
    run = _RUN_TOGETHER.search(text)
    if run:
        _refuse(text, run.start(), run.end(), "a number and a word run together here")


def _one_line(text: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() else " " for c in text)


def _plain(message: str) -> str:
    """Python's own words about a syntax error, without its file names."""
    if "integer string conversion" in message:
        return "a number has too many digits"
    return message.partition(" (<")[0]


def _refuse(text: str, start: int, end: int, message: str) -> NoReturn:
    """Raise a `FormulaError` that shows the part of the text around the place, and points at it."""
    line = "".join(c if c.isprintable() else " " for c in text)
    first = max(0, min(start - _SHOWN // 3, len(line) - _SHOWN))
    shown = line[first : first + _SHOWN]
    before, after = "…" * (first > 0), "…" * (first + _SHOWN < len(line))
    width = max(1, min(end, first + len(shown)) - start)
    pointer = " " * (start - first + len(before)) + "^" * width
    raise FormulaError(f"{message}\n    {before}{shown}{after}\n    {pointer}") from None
