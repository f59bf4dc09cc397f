"""Break the source in small ways, one at a time, and see whether the tests notice.

    python tests/mutate.py [--sample N] [--seed S] [--seconds T] [--line L] [file ...]

A mutant is one change of one expression: another operator, a number one off, swapped arguments, a
condition turned round, a branch or statement left out; what compiles to the same code, such as the
swapped arguments of f(x, x), is none. The package and its tests are copied first,
so nothing here is touched and the tree may change meanwhile. One run of the unchanged copy finds
out which tests call which functions and how long each takes; each mutant then meets the tests that
call the function it is in, those that caught others and the quickest first, and after them all the
rest that are named for its file. Survivors are printed; docs/mutants.md says which are known,
and why.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]

_OPERATIONS = "test_operations test_formula test_python_target test_sympy"
_GUARDS = "test_guard test_stable test_arrays"
_ROLL = "test_roll_by_shapes test_rolled_graphs test_roll test_numpy_target test_unroll"
_NUMPY = (
    "test_numpy_code test_numpy_target test_statement_target test_printed_statements "
    "test_arrays test_dense test_train"
)
_PYTHON = (
    "test_python_target test_program test_compile test_generated_lines test_loop test_export "
    "test_long_functions"
)
TESTS = {
    "src/ops/basic.py": f"{_OPERATIONS} test_javascript_target",
    "src/ops/kernels.py": "test_native_functions test_native_target",
    "src/codegen/native/emit.py": "test_native_target",
    "src/codegen/native/pieces.py": "test_native_target",
    "src/codegen/native/plan.py": "test_native_target",
    "src/codegen/native/loop.py": "test_native_fit",
    "src/codegen/native/threads.py": "test_native_threads test_native_products",
    "src/codegen/native/products.py": "test_native_products",
    "src/codegen/export/c.py": "test_c_export",
    "src/derive/backward.py": f"test_backward {_GUARDS} test_random_gradients",
    "src/simplify/rules.py": "test_rules test_passes test_stable test_arrays",
    "src/derive/guard.py": _GUARDS,
    "src/simplify/stable.py": "test_stable test_passes test_arrays",
    "src/arrays/roll.py": _ROLL,
    "src/arrays/canonical.py": _ROLL,
    "src/arrays/columns.py": _ROLL,
    "src/arrays/families.py": _ROLL,
    "src/arrays/shapes.py": _ROLL,
    "src/arrays/terms.py": _ROLL,
    "src/arrays/unrolling.py": _ROLL,
    "src/ops/points.py": "test_statements test_unroll",
    "src/codegen/scalar/python.py": _PYTHON,
    "src/codegen/scalar/writer.py": f"{_PYTHON} test_numpy_target",
    "src/codegen/scalar/spelling.py": _PYTHON,
    "src/codegen/names.py": _PYTHON,
    "src/codegen/scalar/layout.py": f"{_PYTHON} test_numpy_target",
    "src/codegen/array/printer.py": _NUMPY,
    "src/codegen/array/recognise.py": _NUMPY,
    "src/codegen/array/reading.py": _NUMPY,
    "src/codegen/arguments.py": _NUMPY,
    "src/codegen/array/literals.py": _NUMPY,
    "src/ops/carried.py": _NUMPY,
    "src/codegen/scalar/javascript.py": "test_javascript_target test_hostile",
    "src/ops/intervals.py": "test_ranges test_fuzz",
    "src/proof/ranges.py": "test_ranges",
}
"""Which tests judge a file; these are also the files that are mutated when none is named."""

HEAVY = ("numpy", "sympy", "mpmath", "networkx", "hypothesis", "matplotlib.figure", "graphviz")
"""Packages that every run needs: imported once, before the runs are forked off."""

MEMORY = 6 * 2**30
"""Bytes of memory that a mutant may take."""

OPERATORS: dict[type, type] = {
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


# -- the mutants ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    """One change of one expression of a file.

    line      where it is, in the file as it stands
    what      the change, for the reader
    index     which node of the module it concerns, in the order of `ast.walk`
    change    does it, to that node of a copy
    function  the first line, in the file as `ast.unparse` writes it, of the function around it
    """

    line: int
    what: str
    index: int
    change: Callable[[Any], None]
    function: int

    def text(self, tree: ast.Module) -> str:
        """The module with the change."""
        changed = copy.deepcopy(tree)
        self.change(next(n for i, n in enumerate(ast.walk(changed)) if i == self.index))
        return ast.unparse(ast.fix_missing_locations(changed))


def mutants(tree: ast.Module) -> Iterator[Mutant]:
    """Every mutant of a module."""
    skipped = set(map(id, _not_code(tree)))
    twin = ast.parse(ast.unparse(tree))
    around, same_code = _functions(twin), compile(twin, "", "exec")
    for index, (node, same) in enumerate(zip(ast.walk(tree), ast.walk(twin), strict=True)):
        if id(node) not in skipped:
            for what, change in _changes(node):
                line = getattr(node, "lineno", 0)
                mutant = Mutant(line, what, index, change, around.get(id(same), 0))
                if compile(mutant.text(tree), "", "exec") != same_code:
                    yield mutant


def _functions(tree: ast.Module) -> dict[int, int]:
    """For the nodes within functions, by id, the first line of the innermost one."""
    found: dict[int, int] = {}
    for node in ast.walk(tree):  # outer functions come before inner ones
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(d.lineno for d in decorators)])
            found.update((id(inside), first) for inside in ast.walk(node))
    return found


def _not_code(tree: ast.Module) -> Iterator[ast.AST]:
    """Docstrings, annotations, overloads, error texts, `strict` of zip: nothing that computes."""
    for node in ast.walk(tree):
        if any(ast.unparse(d) == "overload" for d in getattr(node, "decorator_list", [])):
            yield from ast.walk(node)
        if isinstance(node, ast.keyword) and node.arg == "strict":
            yield from ast.walk(node)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield from ast.walk(node)
        if isinstance(node, ast.Raise):
            yield from ast.walk(node)
        for name in ("annotation", "returns"):
            if getattr(node, name, None) is not None:
                yield from ast.walk(getattr(node, name))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from ast.walk(node)


def _changes(node: Any) -> Iterator[tuple[str, Callable[[Any], None]]]:
    before = ast.unparse(node)[:60] if hasattr(node, "lineno") else ""
    if isinstance(node, (ast.BinOp, ast.BoolOp)) and type(node.op) in OPERATORS:
        after = OPERATORS[type(node.op)]
        yield f"{before}: {after.__name__}", lambda n: setattr(n, "op", after())
    if isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
        other = OPERATORS[type(node.ops[0])]
        yield f"{before}: {other.__name__}", lambda n: n.ops.__setitem__(0, other())
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


def _unsigned(node: Any) -> None:
    if isinstance(node.op, ast.USub):
        node.op = ast.UAdd()
    else:
        node.operand = ast.UnaryOp(ast.Not(), node.operand)


def _other_branch(node: Any) -> None:
    node.body, node.orelse = node.orelse, node.body


def _left_out(node: Any) -> None:
    node.__class__ = ast.Pass
    node._fields = ()


# -- running tests in a fork ----------------------------------------------------------------------


@dataclass(eq=False)
class Watch:
    """A pytest plugin that puts tests in order, and notes which fail.

    With `files`, it also notes for each test how long it took and which functions of those files it
    called, as "file:first line".
    """

    rank: Callable[[str], Any]
    files: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    calls: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._seen: set[str] = set()

    def trace(self, frame: Any, event: str, argument: object) -> None:
        """Note the function that is being called."""
        file = self.files.get(frame.f_code.co_filename)
        if file is not None:
            self._seen.add(f"{file}:{frame.f_code.co_firstlineno}")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """What needs a browser comes last and together, so that it is started once."""
        items.sort(key=lambda item: ("tab" in item.fixturenames, self.rank(item.nodeid)))
        self.calls[""] = sorted(self._seen)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        """Time one test."""
        self._seen.clear()
        started = time.perf_counter()
        result = yield
        self.seconds[item.nodeid] = time.perf_counter() - started
        self.calls[item.nodeid] = sorted(self._seen)
        return result

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note a failure."""
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        """Note a module that cannot be collected."""
        if report.failed:
            self.failed.append(report.nodeid)


def run_tests(
    copied: Path, modules: Sequence[str], watch: Watch, seconds: float, *options: str
) -> dict[str, Any]:
    """Run test modules of the copy in a process of its own; answers its exit code and notes."""
    notes = copied / "notes.json"
    notes.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = _in_the_fork(copied, modules, watch, options)
            notes.write_text(json.dumps([watch.failed, watch.seconds, watch.calls]))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    end, status = time.monotonic() + seconds, 0
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return {"code": -1, "failed": [], "seconds": {}, "calls": {}}
        time.sleep(0.01)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what its tests started and did not end
    failed, durations, calls = json.loads(notes.read_text()) if notes.exists() else ([], {}, {})
    code = os.waitstatus_to_exitcode(status)
    return {"code": code, "failed": failed, "seconds": durations, "calls": calls}


def _in_the_fork(copied: Path, modules: Sequence[str], watch: Watch, options: Sequence[str]) -> int:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background lacks
    output = os.open(copied / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(copied)
    sys.path.insert(0, str(copied))
    os.environ |= {"PYTHONPATH": str(copied), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True  # a mutant written within the same second would be taken for it
    if watch.files:
        import threading

        sys.settrace(watch.trace)
        threading.settrace(watch.trace)
    files = [str(path) for name in modules for path in copied.glob(f"tests/**/{name}.py")]
    usual = ["-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([*usual, *options, *files], plugins=[watch]))


# -- the whole run --------------------------------------------------------------------------------


def copy_of(folder: Path) -> Path:
    """The project in a folder, importable there as `wengert`."""
    kept = ("src", "tests", "docs", "examples", "benchmarks", "pyproject.toml", "README.md")
    rest = ("CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "LICENSE", ".gitignore")
    for name in (*kept, *rest):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder / name)
    (folder / "wengert").symlink_to("src")
    return folder


def main() -> int:
    """Mutate, print survivors and the share that was caught; 1 when that is below 95%."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", default=[*TESTS])
    parser.add_argument("--sample", type=int, default=0, help="so many mutants of each file")
    parser.add_argument("--line", type=int, action="append", help="only what is on this line")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0, help="for one mutant, at the least")
    options = parser.parse_args()
    for name in HEAVY:
        with suppress(ImportError):
            importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        return _mutate_all(copy_of(Path(folder).resolve()), options)


def _mutate_all(copied: Path, options: argparse.Namespace) -> int:
    trees = {}
    for file in options.files:
        trees[file] = ast.parse((copied / file).read_text(encoding="utf-8"))
        (copied / file).write_text(ast.unparse(trees[file]), encoding="utf-8")
    pools = {file: _pool(copied, file) for file in trees}
    modules = sorted({name for pool in pools.values() for name in pool})
    names = {str(copied / f): f for f in trees}
    names |= {str(copied / "wengert" / Path(f).relative_to("src")): f for f in trees}
    first = run_tests(copied, modules, Watch(str, names), 3600.0)
    if first["failed"]:
        print("left out, as these fail on the unchanged source:", *first["failed"], sep="\n  ")
    if first["code"] not in (0, 1) or not first["seconds"]:
        said = (copied / "output.txt").read_text(encoding="utf-8")
        raise SystemExit(f"{said[-2000:]}\nthe tests do not run on the unchanged source")
    print(f"{len(first['seconds'])} tests in {sum(first['seconds'].values()):.0f} s", flush=True)
    tried = caught = 0
    for file, tree in trees.items():
        found = [
            mutant for mutant in mutants(tree) if mutant.line in (options.line or [mutant.line])
        ]
        if options.sample:
            rng = random.Random(f"{options.seed}/{file}")
            found = rng.sample(found, min(options.sample, len(found)))
        found.sort(key=lambda mutant: mutant.line)
        here = sum(_caught(copied, file, tree, found, pools[file], first, options.seconds))
        tried, caught = tried + len(found), caught + here
        print(f"{file}: {here} of {len(found)} caught", flush=True)
    print(f"{caught} of {tried} caught, {caught / max(tried, 1):.1%}")
    return 0 if caught >= 0.95 * tried else 1


def _pool(copied: Path, file: str) -> list[str]:
    named = TESTS.get(file, "test_compile").split()
    return [name for name in named if any(copied.glob(f"tests/**/{name}.py"))]


def _caught(
    copied: Path,
    file: str,
    tree: ast.Module,
    found: Sequence[Mutant],
    pool: Sequence[str],
    first: dict[str, Any],
    seconds: float,
) -> Iterator[bool]:
    """For each mutant whether a test failed; survivors are printed."""
    written = copied / file
    original = written.read_text(encoding="utf-8")
    kills: Counter[str] = Counter()
    callers: dict[int, set[str]] = {}
    for test, calls in first["calls"].items():
        for call in calls:
            if call.startswith(f"{file}:"):
                callers.setdefault(int(call.rpartition(":")[2]), set()).add(test)
    skipped = [f"--deselect={test}" for test in first["failed"]]
    total = sum(t for name, t in first["seconds"].items() if name[6:].split(".py")[0] in pool)
    for mutant in found:
        reach = callers.get(mutant.function, set())

        def rank(test: str, reach: set[str] = reach) -> Any:
            far = bool(reach) and "" not in reach and test not in reach
            return far, -kills[test], first["seconds"].get(test, 0.0)

        written.write_text(mutant.text(tree), encoding="utf-8")
        limit = max(seconds, 3 * total)
        result = run_tests(copied, pool, Watch(rank), limit, "-x", *skipped)
        written.write_text(original, encoding="utf-8")
        kills.update(result["failed"])
        if result["code"] == 0:
            print(f"survived: {file}:{mutant.line}: {mutant.what}", flush=True)
        yield result["code"] != 0


if __name__ == "__main__":
    sys.exit(main())
