"""Break the source in small ways, one at a time, and see whether the tests notice.

    python tests/mutate.py [--sample N] [--seed S] [--seconds T] [file ...]

A mutant is one change of one expression: another operator, a number one off, swapped arguments, a
condition turned round, a branch or statement left out. Each is written into a copy of the package,
and the tests named for its file run against that copy until one fails. Survivors are printed; those
known and why they are harmless are in docs/trust.md.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = {
    "src/graph/ops.py": ["test_operations", "test_python_target", "test_symbolic"],
    "src/graph/backward.py": ["test_backward", "test_random_gradients", "test_stable"],
    "src/graph/guard.py": ["test_stable"],
    "src/graph/stable.py": ["test_stable"],
    "src/graph/rules.py": ["test_rules", "test_passes"],
    "src/graph/intervals.py": ["test_ranges", "test_fuzz"],
    "src/graph/ranges.py": ["test_ranges"],
    "src/graph/proof/fingerprint.py": ["test_certificate"],
    "src/graph/roll.py": ["test_roll"],
    "src/codegen/python.py": ["test_python_target", "test_program", "test_compile"],
    "src/codegen/writer.py": ["test_python_target", "test_program", "test_compile"],
    "src/codegen/program.py": ["test_program", "test_compile", "test_ranges"],
    "src/codegen/numpy.py": ["test_numpy_target"],
    "src/codegen/numpyspelling.py": ["test_numpy_target"],
    "src/codegen/javascript.py": ["test_javascript_target"],
}
"""Which tests judge a file; these are also the files that are mutated when none is named."""

OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def mutants(tree: ast.Module) -> Iterator[tuple[int, str, ast.Module]]:
    """(line, what was changed, the changed module) for every mutant of a module."""
    skipped = set(map(id, _not_code(tree)))
    for index, node in enumerate(ast.walk(tree)):
        if id(node) in skipped:
            continue
        for what, change in _changes(node):
            changed = copy.deepcopy(tree)
            twin = next(n for i, n in enumerate(ast.walk(changed)) if i == index)
            change(twin)
            yield getattr(node, "lineno", 0), what, ast.fix_missing_locations(changed)


def _not_code(tree: ast.Module) -> Iterator[ast.AST]:
    """Docstrings, annotations and error texts: nothing that computes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield from ast.walk(node)
        if isinstance(node, ast.Raise):
            yield from ast.walk(node)
        for field in ("annotation", "returns"):
            if getattr(node, field, None) is not None:
                yield from ast.walk(getattr(node, field))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from ast.walk(node)


def _changes(node: ast.AST) -> Iterator[tuple[str, object]]:
    before = ast.unparse(node)[:60] if hasattr(node, "lineno") else ""
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        after = OPERATORS[type(node.op)]
        yield f"{before}: {after.__name__}", lambda n: setattr(n, "op", after())
    if isinstance(node, ast.BoolOp):
        after = OPERATORS[type(node.op)]
        yield f"{before}: {after.__name__}", lambda n: setattr(n, "op", after())
    if isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
        after = OPERATORS[type(node.ops[0])]
        yield f"{before}: {after.__name__}", lambda n: n.ops.__setitem__(0, after())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
        yield f"{before}: without its sign", _unsigned
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield f"{before}: one more", lambda n: setattr(n, "value", n.value + 1)
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        yield f"{before}: the other", lambda n: setattr(n, "value", not n.value)
    if isinstance(node, ast.Call) and len(node.args) >= 2 and not node.keywords:
        yield (
            f"{before}: arguments swapped",
            lambda n: n.args.__setitem__(slice(0, 2), n.args[1::-1]),
        )
    if isinstance(node, ast.IfExp):
        yield f"{before}: the other branch", _other_branch
    if isinstance(node, (ast.If, ast.While)):
        yield (
            f"if {ast.unparse(node.test)[:50]}: turned round",
            lambda n: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test)),
        )
    if isinstance(node, (ast.AugAssign, ast.Continue, ast.Break)) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ):
        yield f"{before}: left out", _left_out


def _unsigned(node: ast.UnaryOp) -> None:
    node.op = ast.UAdd() if isinstance(node.op, ast.USub) else ast.Not()
    if isinstance(node.op, ast.Not):
        node.operand = ast.UnaryOp(ast.Not(), node.operand)


def _other_branch(node: ast.IfExp) -> None:
    node.body, node.orelse = node.orelse, node.body


def _left_out(node: ast.stmt) -> None:
    node.__class__ = ast.Pass
    node._fields = ()


def survives(copied: Path, file: str, changed: ast.Module, seconds: float) -> bool:
    """Whether the tests of a file pass with it changed so, in the copy of the package."""
    target = copied / "wengert" / Path(file).relative_to("src")
    original = target.read_text(encoding="utf-8")
    target.write_text(ast.unparse(changed), encoding="utf-8")
    tests = [str(ROOT / "tests" / f"{name}.py") for name in TESTS.get(file, ["test_compile"])]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copied), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return False  # what hangs is noticed
    finally:
        target.write_text(original, encoding="utf-8")
    return done.returncode == 0


def main() -> int:
    """Mutate, print survivors and the share that was caught; 1 when that is below 95%."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", default=[*TESTS])
    parser.add_argument("--sample", type=int, default=0, help="so many mutants of each file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=120.0, help="the most for one mutant")
    options = parser.parse_args()
    tried = caught = 0
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder)
        shutil.copytree(ROOT / "src", copied / "wengert")
        for file in options.files:
            text = (ROOT / file).read_text(encoding="utf-8")
            found = list(mutants(ast.parse(text)))
            if options.sample:
                rng = random.Random(f"{options.seed}/{file}")
                found = sorted(
                    rng.sample(found, min(options.sample, len(found))), key=lambda m: m[0]
                )
            here = 0
            for line, what, changed in found:
                if survives(copied, file, changed, options.seconds):
                    print(f"survived: {file}:{line}: {what}", flush=True)
                else:
                    here += 1
            tried, caught = tried + len(found), caught + here
            print(f"{file}: {here} of {len(found)} caught", flush=True)
    print(f"{caught} of {tried} caught, {caught / max(tried, 1):.1%}")
    return 0 if caught >= 0.95 * tried else 1


if __name__ == "__main__":
    sys.exit(main())
