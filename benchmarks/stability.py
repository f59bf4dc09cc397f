"""What the peers give for the derivatives of docs/stability.md: its table, computed again.

    python benchmarks/stability.py [--write] [peer ...]

Each formula is read once by wengert and written in the peer's own functions, node for node, as
its user would have written it; the peer differentiates. The truth is mpmath's, by differences in
so many digits that they do not cancel. A peer that is not installed is left out. With --write the
table takes the place of the one in the page.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import wengert as wg

TABLE = Path(__file__).parents[1] / "docs" / "stability.md"

SPELLINGS: list[tuple[str, float]] = [
    ("log(1 + exp(x))", 1000),
    ("log(1 + exp(x))", -1000),
    ("log1p(exp(x))", 1000),
    ("1/(1 + exp(-x))", -1000),
    ("(1 + exp(-x))**-1", -1000),
    ("x/(1 + exp(-x))", -1000),
    ("x*exp(x)/(1 + exp(x))", 1000),
    ("exp(x)/(1 + exp(x))", 1000),
    ("exp(x)/(2 + exp(x))", 1000),
    ("x/(2 + exp(x))", 1000),
    ("1/(1 + exp(-x)**2)", -1000),
    ("exp(-x)*(1/(1 + exp(-x)))", -1000),
    ("exp(x)/(1 + exp(x))**2", 1000),
    ("exp(-x)/(1 + exp(-x))**2", -1000),
    ("1/(1 + exp(x))**2", 1000),
    ("exp(x)**2/(1 + exp(x))**2", 1000),
    ("(exp(2*x) - 1)/(exp(2*x) + 1)", 1000),
    ("(exp(x) - exp(-x))/(exp(x) + exp(-x))", 1000),
    ("2/(1 + exp(-2*x)) - 1", -1000),
    ("tanh(x)", 10000),
    ("2/(exp(x) + exp(-x))", 1000),
    ("2*exp(-x)/(1 + exp(-2*x))", -1000),
    ("1/((exp(x) + exp(-x))/2)", -1000),
    ("x*tanh(log(1 + exp(x)))", 1000),
    ("x*((1 + exp(x))**2 - 1)/((1 + exp(x))**2 + 1)", 1000),
    ("x*((1 + exp(x))**2 - 1)/((1 + exp(x))**2 + 1)", -40),
    ("log(exp(x) + exp(2*x) + exp(3*x))", 1000),
    ("log(exp(-x) + exp(-2*x) + exp(-3*x))", 1000),
    ("log(3*exp(x) + 2*exp(699.5))", 700),
    ("log(exp(x)*exp(x) + 1)", 1000),
    ("log((exp(x) + exp(-x))/2)", -1000),
    ("log(exp(x) + 1e-12)", 1000),
    ("-log(exp(x)/(exp(x) + exp(-x) + 1))", -10000),
    ("-log(exp(x)/(exp(x) + exp(-x) + 1))", 10000),
    ("-log(1 - 1/(1 + exp(-x)))", 40),
    ("-log(1 - 1/(1 + exp(-x)))", 10000),
    ("log(exp(x)/(1 + exp(x)))", -1000),
    ("log(exp(x))", 1000),
    ("log(exp(x) - 1)", 1000),
    ("log(1 - exp(x))", -1e-20),
    ("log1p(-exp(x))", -1e-20),
    ("log(1 - exp(-x))", 1e-20),
    ("log1p(expm1(x))", 1000),
    ("log(exp(x) - exp(x - 5))", 1000),
    ("log(exp(2*x) - exp(x))", 1000),
    ("log(1 - tanh(x)**2)", 1000),
    ("x/(exp(x) - 1)", 1000),
    ("exp(x)/(exp(x) - 1)", 1000),
    ("exp(x)*exp(-2*x)", 1000),
    ("exp(x)/exp(2*x)", 1000),
    ("sqrt(exp(x))", -1000),
    ("exp(x)**0.5", -1000),
    ("log(x*x)", 1e200),
    ("log(x**2)", 1e-200),
    ("sqrt(x*x)", 0),
    ("sqrt(x**2)", 0),
    ("(x**2)**0.5", 0),
    ("sqrt(x**2 + (2*x)**2)", 0),
    ("sqrt(x**4)", 0),
    ("sqrt(x*x)", 1e200),
    ("where(x > 0, sqrt(x), 0)", -1),
    ("where(x > 0, log(x), 0)", -1),
]
"""Formulas as their users write them, each with a point at which one of the usual ways fails."""

ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "gt": lambda a, b: a > b,
    "pow_const": lambda a, n: a ** (int(n) if float(n).is_integer() else n),
}


def exactly(formula: str, at: float) -> float | None:
    """The derivative by central differences in many digits; None where both sides differ."""
    import mpmath

    size = abs(at) if 1 <= abs(at) <= 1e4 else 200
    with mpmath.workdps(60 + int(1.6 * size)):
        functions = {
            name: getattr(mpmath, name) for name in ("exp", "log", "sqrt", "tanh", "log1p", "expm1")
        }
        one = mpmath.mpf(1)
        functions |= {
            "abs": abs,
            "log1p": lambda x: mpmath.log(one + x),
            "expm1": lambda x: mpmath.exp(x) - one,
            "where": lambda condition, a, b: a if condition else b,
        }
        point = mpmath.mpf(at)
        step = (abs(point) or one) * mpmath.mpf(10) ** (-mpmath.mp.dps // 3)
        before, there, after = (
            written(formula, z, functions) for z in (point - step, point, point + step)
        )
        below, above = (there - before) / step, (after - there) / step
        if (
            abs(below - above) > 1e-6 * max(abs(below), abs(above))
            and max(abs(below), abs(above)) > 1e-9
        ):
            return None
        return float((below + above) / 2)


def written(formula: str, x: Any, functions: Mapping[str, Callable[..., Any]]) -> Any:
    """The formula in a peer's functions, on the peer's variable."""
    output = wg.parse(formula)
    made: list[Any] = []
    for expr in output.graph:
        if not expr.operands:
            made.append(x if expr.value is None else float(expr.value))
        else:
            function = functions.get(expr.op.name) or ARITHMETIC[expr.op.name]
            statics = output.graph.statics.get(expr.id, ())
            made.append(function(*[made[operand.id] for operand in expr.operands], *statics))
    return made[output.id]


def by_wengert(formula: str, at: float) -> float:
    """The derivative by wengert."""
    output = wg.parse(formula)
    (leaf,) = (expr for expr in output.graph if not expr.operands and expr.value is None)
    return float(wg.evaluate(wg.grad(output, leaf), {leaf: at}))


def _named(module: Any, **others: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    names = ("exp", "log", "sqrt", "tanh", "log1p", "expm1")
    return {name: getattr(module, name) for name in names if hasattr(module, name)} | others


def by_jax(formula: str, at: float) -> float:
    """The derivative by JAX, in float64."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    functions = _named(jnp, where=jnp.where)
    return float(jax.grad(lambda x: written(formula, x, functions))(at))


def by_autograd(formula: str, at: float) -> float:
    """The derivative by autograd."""
    import autograd
    import autograd.numpy as anp

    functions = _named(anp, where=anp.where)
    return float(autograd.grad(lambda x: written(formula, x, functions))(at))


def by_casadi(formula: str, at: float) -> float:
    """The derivative by CasADi's SX."""
    import casadi

    x = casadi.SX.sym("x")
    y = written(formula, x, _named(casadi, where=casadi.if_else))
    return float(casadi.Function("f", [x], [casadi.gradient(y, x)])(at))


def by_sympy(formula: str, at: float) -> float:
    """The derivative by SymPy, made a function of NumPy."""
    import sympy

    x = sympy.Symbol("x", real=True)

    def where(condition: Any, a: Any, b: Any) -> Any:
        return sympy.Piecewise((a, condition), (b, True))

    functions = _named(
        sympy, where=where, log1p=lambda z: sympy.log(1 + z), expm1=lambda z: sympy.exp(z) - 1
    )
    derivative = sympy.diff(written(formula, x, functions), x)
    return float(sympy.lambdify(x, derivative, "numpy")(np.float64(at)))


def by_pytensor(formula: str, at: float) -> float:
    """The derivative by PyTensor, in its usual mode."""
    import pytensor
    import pytensor.tensor as pt

    x = pt.dscalar("x")
    y = written(formula, x, _named(pt, where=pt.where))
    return float(pytensor.function([x], pytensor.grad(y, x))(at))


PEERS = {
    "wengert": by_wengert,
    "jax": by_jax,
    "autograd": by_autograd,
    "casadi": by_casadi,
    "sympy": by_sympy,
    "pytensor": by_pytensor,
}


def is_wrong(found: float, truth: float | None) -> bool:
    """Whether a derivative is not the true one; where there is none any number will do."""
    if truth is None:
        return not np.isfinite(found)
    return not abs(found - truth) <= 1e-9 * abs(truth) + 1e-15


def main(arguments: list[str]) -> int:
    """Print the table, as Markdown, or write it into the page."""
    warnings.simplefilter("ignore")
    names = [name for name in arguments if name != "--write"] or list(PEERS)
    truths = [exactly(*spelling) for spelling in SPELLINGS]
    lines = [
        [f"`{formula}`", f"{at:g}", "none" if truth is None else repr(truth + 0.0)]
        for (formula, at), truth in zip(SPELLINGS, truths, strict=True)
    ]
    heads, wrong = ["formula", "at x =", "truth"], ["wrong", "", ""]
    for name in names:
        try:
            number = wg.__version__ if name == "wengert" else version(name)
        except ModuleNotFoundError:
            continue
        heads.append(name if name == "wengert" else f"{name} {number}")
        count = 0
        for line, spelling, truth in zip(lines, SPELLINGS, truths, strict=True):
            with np.errstate(all="ignore"):
                found = PEERS[name](spelling[0], float(spelling[1]))
            bad = is_wrong(found, truth)
            line.append(f"**{found!r}**" if bad else repr(found))
            count += bad
        wrong.append(f"{count} of {len(lines)}")
    rows = [heads, ["---"] * len(heads), *lines, wrong]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    if "--write" in arguments:
        page = TABLE.read_text(encoding="utf-8")
        TABLE.write_text(re.sub(r"(?m)(^\|.*\n)+", lambda _: table, page, count=1), "utf-8")
    else:
        sys.stdout.write(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
