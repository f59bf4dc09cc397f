"""What the peers give for the derivatives of docs/stability.md: its table, computed again.

    python benchmarks/stability.py [peer ...]

Each formula is read once by wengert and written in the peer's own functions, node for node, as its
user would have written it; the peer differentiates. A peer that is not installed is left out.
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
ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "gt": lambda a, b: a > b,
}


def rows() -> list[tuple[str, float]]:
    """Formulas and points of the table in the documentation."""
    text = TABLE.read_text(encoding="utf-8")
    found = re.findall(r"^\| `(.+?)` \| (\S+) \|", text, re.MULTILINE)
    return [(formula, float(at)) for formula, at in found]


def written(formula: str, x: Any, functions: Mapping[str, Callable[..., Any]]) -> Any:
    """The formula in a peer's functions, on the peer's variable."""
    output = wg.parse(formula)
    made: list[Any] = []
    for expr in output.graph:
        if not expr.operands:
            made.append(x if expr.value is None else float(expr.value))
        else:
            function = functions.get(expr.op.name) or ARITHMETIC[expr.op.name]
            made.append(function(*[made[operand.id] for operand in expr.operands]))
    return made[output.id]


def by_wengert(formula: str, at: float) -> float:
    """The derivative by wengert."""
    output = wg.parse(formula)
    (leaf,) = (expr for expr in output.graph if not expr.operands and expr.value is None)
    return float(wg.evaluate(wg.grad(output, leaf), {leaf: at}))


def _named(module: Any, **others: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    return {name: getattr(module, name) for name in ("exp", "log", "sqrt", "tanh")} | others


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

    derivative = sympy.diff(written(formula, x, _named(sympy, where=where)), x)
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


def main(wanted: list[str]) -> int:
    """Print the table, as Markdown."""
    warnings.simplefilter("ignore")
    names = wanted or list(PEERS)
    lines = [[formula, f"{at:g}"] for formula, at in rows()]
    heads = ["formula", "at x ="]
    with np.errstate(all="ignore"):
        for name in names:
            try:
                number = wg.__version__ if name == "wengert" else version(name)
            except ModuleNotFoundError:
                continue
            heads.append(f"{name} {number}")
            for line, (formula, at) in zip(lines, rows(), strict=True):
                line.append(repr(PEERS[name](formula, at)))
    for row in [heads, ["---"] * len(heads), *lines]:
        sys.stdout.write(f"| {' | '.join(row)} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
