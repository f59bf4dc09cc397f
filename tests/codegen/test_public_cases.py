"""Inputs that other projects' tests try, with right values of our own, in every target.

Each row of `public_cases.txt` is a formula at a point: where the input was met, the formula, the
point, then to 17 digits the value, its first derivatives by each leaf, and its second derivatives
by each pair of leaves, in the order of the alphabet. They are differences of
a hundred digits and more, by mpmath alone; `python tests/codegen/test_public_cases.py` writes them
anew.
"""

import ast
import math
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations_with_replacement
from pathlib import Path
from typing import NamedTuple

import mpmath
import pytest

import wengert as wg
from wengert.codegen.scalar.node import find_node, run_in_node
from wengert.codegen.target import find_target

TABLE = Path(__file__).with_name("public_cases.txt")
LEAF = re.compile(r"\b[a-z]\b")
REFERENCE: dict[str, Callable[..., object]] = {
    **{name: getattr(mpmath, name) for name in (
        "acos acosh asin asinh atan atan2 atanh cos cosh digamma erf erfc exp expm1 floor hypot "
        "log log10 log1p pi sign sin sinh sqrt tan tanh"
    ).split()},
    "abs": abs,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "ceil": mpmath.ceil,
    "elu": lambda x: x if x > 0 else mpmath.expm1(x),
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "gelu": lambda x: x / 2 * (1 + mpmath.tanh(
        mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf(0.044715) * x**3))),
    "gelu_exact": lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
    "hard_tanh": lambda x: max(-1, min(1, x)),
    "leaky_relu": lambda x: x if x > 0 else mpmath.mpf(0.01) * x,
    "lgamma": mpmath.loggamma,
    "log2": lambda x: mpmath.log(x, 2),
    "logaddexp": lambda x, y: max(x, y) + mpmath.log1p(mpmath.exp(-abs(x - y))),
    "logical_and": lambda x, y: x and y,
    "logical_not": lambda x: not x,
    "logical_or": lambda x, y: x or y,
    "maximum": max,
    "minimum": min,
    "mish": lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
    "polygamma": lambda x, order: mpmath.polygamma(int(order), x),
    "relu": lambda x: max(x, 0),
    "round": mpmath.nint,
    "selu": lambda x: mpmath.mpf(1.0507009873554805) * (
        x if x > 0 else mpmath.mpf(1.6732632423543772) * mpmath.expm1(x)),
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "where": lambda condition, x, y: x if condition else y,
}  # fmt: skip


class Case(NamedTuple):
    """A formula at a point, with what is right there."""

    met: str
    formula: str
    at: dict[str, float]
    right: list[float]

    def judge(self, found: Sequence[float]) -> None:
        """All digits but the last three or, where it cancels, those of the largest number."""
        size = max(1.0, *map(abs, self.right)) if self.met.endswith("~") else 0.0
        for got, right in zip(found, self.right, strict=True):
            if not math.isclose(got, right, rel_tol=1e-12, abs_tol=1e-13 * size):
                pytest.fail(f"{self.formula} at {self.at}: {list(found)}, not {self.right}")


def orders(leaves: list[str]) -> Iterator[tuple[int, ...]]:
    """How often each leaf is derived by: the value, the first derivatives, the second."""
    for times in range(3):
        for chosen in combinations_with_replacement(range(len(leaves)), times):
            yield tuple(chosen.count(place) for place in range(len(leaves)))


class _Exact(ast.NodeTransformer):
    """Numbers as mpmath's, so that nothing is rounded on the way."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Call(ast.Name("number", ast.Load()), [node], [])


def right_values(formula: str, at: dict[str, float]) -> list[float]:
    """The value and its derivatives by differences of a hundred digits and more."""
    tree = ast.fix_missing_locations(_Exact().visit(ast.parse(formula, mode="eval")))
    code = compile(tree, "<case>", "eval")
    names = REFERENCE | {"number": mpmath.mpf}
    scale = [mpmath.mpf(abs(number) or 1) for number in at.values()]

    def moved(*steps: object) -> object:
        return eval(code, names | {  # noqa: S307 - our own table
            leaf: mpmath.mpf(number) + unit * step
            for (leaf, number), unit, step in zip(at.items(), scale, steps, strict=True)
        })  # fmt: skip

    digits = 100 + int(min(800, max(map(abs, at.values()))))
    with mpmath.workdps(digits):
        least = mpmath.mpf(10) ** (50 - digits)
        found = []
        for order in orders(list(at)):
            origin = (0,) * len(at)
            by_step = mpmath.diff(moved, origin, order) if any(order) else moved(*origin)
            exact = mpmath.re(by_step) / mpmath.fprod(map(pow, scale, order))
            found.append(float(exact) if abs(by_step) > least else 0.0)
        return found


def point(text: str, formula: str) -> dict[str, float]:
    """`x=1, y=2`, or a number where there is one leaf."""
    if "=" not in text:
        text = f"{LEAF.search(formula)[0]}={text}"
    return {leaf: float(number) for leaf, number in (p.split("=") for p in text.split(", "))}


def cases() -> list[Case]:
    found = []
    for line in TABLE.read_text().splitlines():
        if not line.startswith("#"):
            met, formula, at, *right = line.split(" | ")
            numbers = [float(number) for group in right for number in group.split()]
            found.append(Case(met, formula, point(at, formula), numbers))
    return found


def write() -> None:
    """The table with the right values computed anew."""
    lines = []
    for line in TABLE.read_text().splitlines():
        if line.startswith("#"):
            lines.append(line)
            continue
        met, formula, at, *_ = line.split(" | ")
        values, leaves = right_values(formula, point(at, formula)), point(at, formula)
        first = 1 + len(leaves)
        groups = [" ".join(map(repr, v)) for v in (values[:1], values[1:first], values[first:])]
        lines.append(" | ".join([met, formula, at, *groups]))
    TABLE.write_text("\n".join(lines) + "\n")


def test_the_table_is_what_mpmath_says():
    for case in cases()[::15]:
        found = right_values(case.formula, case.at)
        assert found == pytest.approx(case.right, rel=1e-15, abs=0), case


def derived(output: wg.Expr, leaves: list[wg.Expr]) -> list[wg.Expr]:
    """The output, its derivatives, and theirs by each leaf that is not before."""
    first = wg.grad(output, leaves, allow_unused=True)
    second = [wg.grad(d, leaves[k:], allow_unused=True) for k, d in enumerate(first)]
    return [output, *first, *(d for row in second for d in row)]


class Asked(NamedTuple):
    """Many cases as one function: its groups, its outputs, and a list of numbers for each group."""

    cases: list[Case]
    groups: dict[str, list[wg.Expr]]
    outputs: list[list[wg.Expr]]
    numbers: list[list[float]]

    def judge(self, found: Sequence[Sequence[float]]) -> None:
        for case, numbers in zip(self.cases, found, strict=True):
            case.judge([float(number) for number in numbers])


def ask(chosen: list[Case]) -> Asked:
    graph, groups, outputs = wg.Graph(), {}, []
    for k, case in enumerate(chosen):
        text = LEAF.sub(lambda leaf, k=k: f"{leaf[0]}{k}_", case.formula)
        output = wg.parse(text, graph=graph)
        groups[f"group{k}"] = [graph[f"{leaf}{k}_"] for leaf in case.at]
        outputs.append(derived(output, groups[f"group{k}"]))
    return Asked(chosen, groups, outputs, [list(case.at.values()) for case in chosen])


@pytest.mark.parametrize(("target", "every"), [("python", 1), ("native", 3)])
def test_numbers(target, every):
    asked = ask(cases()[::every])
    asked.judge(wg.compile(asked.groups, asked.outputs, target=target)(*asked.numbers))


@pytest.mark.parametrize(("target", "every"), [("python", 3), ("numpy", 1)])
def test_batches(target, every):
    asked = ask(cases()[::every])
    varying = {"batch": tuple(asked.groups), "reduce": None}
    f = wg.compile(asked.groups, asked.outputs, target=target, **varying)
    found = f(*([numbers] * 3 for numbers in asked.numbers))
    asked.judge([[column[2] for column in columns] for columns in found])


@pytest.mark.skipif(find_node() is None, reason="no Node.js on PATH")
def test_javascript():
    asked = ask(cases()[1::2])
    f = wg.compile(asked.groups, asked.outputs, target="javascript")
    job = (find_target("javascript").emit(f.program), [asked.numbers])
    asked.judge(run_in_node([job])[0][0])


def test_jax():
    jax = pytest.importorskip("jax", exc_type=ImportError)
    asked = ask(cases()[::30])
    f = wg.compile(asked.groups, asked.outputs, target="jax")
    with jax.enable_x64(True):
        asked.judge(f(*asked.numbers))


def test_values_and_their_backward_pass():
    functions = {name: getattr(wg, name, abs) for name in REFERENCE} | {"pi": math.pi}
    for case in cases():
        if case.met == "autograd" and max(map(abs, case.at.values())) < 100:
            leaves = {name: wg.Value(number) for name, number in case.at.items()}
            output = eval(case.formula, functions | leaves)  # noqa: S307 - our own table
            output.backward()
            found = [output.data, *(leaf.grad for leaf in leaves.values())]
            case._replace(right=case.right[: len(found)]).judge(found)


if __name__ == "__main__":
    write()
