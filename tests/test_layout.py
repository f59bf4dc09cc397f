"""The shape of the code: which part may import which, and what an import costs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import networkx
import pytest

import wengert

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"
sys.path.insert(0, str(ROOT / "scripts"))
import operators  # noqa: E402  # the script that writes src/graph/binary.py
import rooms  # noqa: E402  # the script that draws docs/rooms.svg

LEVEL = {room: level for level, names in enumerate(rooms.ROOMS) for room in names}

# Words that say nothing of what a file holds.
VAGUE_WORDS = {"ctx", "handle", "handler", "helper", "helpers", "manager", "process", "utils"}

# Loaded when used, so that `import wengert` stays quick.
LAZY = {"graphviz", "llvmlite", "matplotlib", "networkx", "numpy", "sympy"}


def import_violations(src: Path) -> list[str]:
    """Every import under `src` that goes against `ALLOWED`, as `file:line: what is wrong`."""
    found = []
    for file in sorted(src.rglob("*.py")):
        relative = file.relative_to(src)
        part = relative.parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for target in imported(node, package=relative.parts[:-1]):
                if problem := why_not(part, target):
                    found.append(f"{relative.as_posix()}:{node.lineno}: {problem}")
    return found


def imported(node: ast.AST, package: tuple[str, ...]) -> list[str]:
    """What an import statement reaches: `.codegen.lower` for our own modules, else `networkx`.

    `package` is where the statement stands: `("graph",)` for a file in src/graph. The package
    itself is `.`, and anything above it `..`.
    """
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(level=0, module=module):
            return [module or ""]
        case ast.ImportFrom(level=level, module=module, names=names):
            return [resolve(level, module or alias.name, package) for alias in names]
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            module = name.lstrip(".")
            return [resolve(len(name) - len(module), module, package) if module != name else name]
    return []


def resolve(level: int, module: str, package: tuple[str, ...]) -> str:
    up = level - 1
    if up > len(package):
        return ".."
    return "." + ".".join((*package[: len(package) - up], module))


def why_not(part: str, target: str) -> str | None:
    """Why `part` must not import `target`, or None if it may."""
    if not target.startswith("."):
        if target.partition(".")[0] in {"src", "wengert"}:
            return f"imports {target} absolutely; inside the package imports are relative"
        return None
    reached = target[1:].partition(".")[0]
    if part == "__init__":
        return None if reached in LEVEL else f"imports {target}, which is no room of the package"
    if part not in LEVEL:
        return (
            f"{part} is a new room of the package: say in ROOMS of scripts/rooms.py where it stands"
        )
    if reached == part or LEVEL.get(reached, len(rooms.ROOMS)) < LEVEL[part]:
        return None
    return f"{part} imports {target}, which stands above it or beside it"


def vague_names(src: Path) -> list[str]:
    """Files and folders under `src` whose names hold a word of `VAGUE_WORDS`."""
    return [
        path.relative_to(src).as_posix()
        for path in sorted(src.rglob("*"))
        if VAGUE_WORDS & set(path.stem.lower().split("_"))
    ]


def run_python(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_these_tests_run_against_this_checkout():
    assert Path(wengert.__file__).resolve() == SRC / "__init__.py"


def test_imports_run_one_way():
    assert import_violations(SRC) == []


@pytest.mark.parametrize(
    ("file", "line", "expected"),
    [
        ("errors.py", "from .graph import ops", "errors imports .graph"),
        ("graph/expr.py", "from ..codegen import lower", "graph imports .codegen"),
        ("graph/expr.py", "from ..codegen.lower import lower", "graph imports .codegen.lower"),
        ("graph/expr.py", "from .. import train", "graph imports .train"),
        ("graph/expr.py", "def f():\n    from ..train import fit", "graph imports .train"),
        ("graph/expr.py", "import_module('..train', __package__)", "graph imports .train"),
        ("graph/expr.py", "from ... import anything", "graph imports .."),
        ("derive/backward.py", "from ..codegen import compiled", "derive imports .codegen"),
        (
            "draw/draw.py",
            "from ..proof import claim\nfrom ..codegen import lower",
            "draw imports .codegen",
        ),
        ("train/nn.py", "from .. import Graph", "train imports .Graph"),
        ("codegen/lower.py", "from ..train.nn import MLP", "codegen imports .train.nn"),
        ("train/fit.py", "from ..cli import main", "train imports .cli"),
        ("cli.py", "import wengert", "imports wengert absolutely"),
        ("cli.py", "from wengert.graph import Graph", "imports wengert.graph absolutely"),
        ("cli.py", "import src.graph", "imports src.graph absolutely"),
        ("cli.py", "importlib.import_module('wengert.train')", "imports wengert.train absolutely"),
        ("plots.py", "from .graph import Graph", "new room of the package"),
    ],
)
def test_a_wrong_import_is_found(tmp_path, file, line, expected):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(line, encoding="utf-8")
    (violation,) = import_violations(tmp_path)
    assert violation.startswith(f"{file}:")
    assert expected in violation


def test_no_files_import_each_other_in_a_circle():
    arrows = networkx.DiGraph((a, b) for a, b, _ in rooms.imports(SRC) if a and b)
    rings = [ring for ring in networkx.strongly_connected_components(arrows) if len(ring) > 1]
    assert rings == []


def test_a_circle_is_found_where_only_types_close_it(tmp_path):
    (tmp_path / "graph").mkdir()
    for file, text in {
        "graph/__init__.py": "",
        "graph/a.py": "from .b import B",
        "graph/b.py": "if TYPE_CHECKING:\n    from . import c",
        "graph/c.py": "def f():\n    from .a import A",
    }.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    arrows = networkx.DiGraph((a, b) for a, b, _ in rooms.imports(tmp_path))
    rings = [ring for ring in networkx.strongly_connected_components(arrows) if len(ring) > 1]
    assert rings == [{"graph.a", "graph.b", "graph.c"}]


def test_operators_of_values_are_as_their_records_say(monkeypatch):
    assert operators.main(["--check"]) == 0, "run: python scripts/operators.py"
    for op, sign in operators.BETWEEN.values():
        spelled = wengert.OPERATIONS[op.lower()].spelling("python").template
        assert spelled.replace(" ", "") == f"{{0}}{sign}{{1}}"
    monkeypatch.setitem(operators.BETWEEN, "mul", ("MUL", "+"))
    assert operators.main(["--check"]) == 1


def test_the_picture_of_the_rooms_is_what_the_imports_say():
    assert rooms.main(["--check"]) == 0, "run: python scripts/rooms.py"


FOLLOWED = """
import os, sys
import wengert as wg

root = os.path.dirname(os.path.realpath(wg.__file__)) + os.sep

def files(call):
    found = set()
    def noted(frame, event, argument):
        path = os.path.realpath(frame.f_code.co_filename)
        if event == "call" and path.startswith(root):
            found.add(path.removeprefix(root).replace(os.sep, "/"))
    sys.setprofile(noted)
    result = call()
    sys.setprofile(None)
    print(*sorted(found))
    return result

g = wg.Graph()
w, x, b = g.input("w"), g.input("x"), g.input("b")
y = wg.tanh(w * x + b)
dw = files(lambda: wg.grad(y, w))
files(lambda: wg.compile({"w": w, "x": x, "b": b}, {"y": y, "dw": dw}))
"""


def test_the_architecture_page_lists_the_files_that_a_gradient_and_a_function_run_through(tmp_path):
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    told = page.partition("## To follow one thing through")[2].partition("\n## ")[0]
    paragraphs = [re.findall(r"`([a-z_/]+\.py)`", part) for part in told.split("\n\n")]
    ran = run_python(FOLLOWED, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert [line.split() for line in ran.stdout.splitlines()] == [*filter(None, paragraphs)]


def test_right_imports_pass(tmp_path):
    for file, text in {
        "__init__.py": "from .graph import Graph\nfrom .train import fit",
        "graph/expr.py": "from ..errors import GraphError\nfrom ..ops.scalar import ADD",
        "codegen/lower.py": "from ..graph.expr import Expr\nfrom .. import errors",
        "train/fit.py": "import math\nimport tqdm\nfrom . import data\nfrom ..codegen import lower",
        "__main__.py": "from .cli import main",
    }.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text, encoding="utf-8")
    assert import_violations(tmp_path) == []


def test_file_names_say_what_is_inside():
    assert vague_names(SRC) == []


def test_a_vague_file_name_is_found(tmp_path):
    for name in ("utils.py", "graph_helpers.py", "rules.py"):
        (tmp_path / name).touch()
    assert vague_names(tmp_path) == ["graph_helpers.py", "utils.py"]


@pytest.mark.parametrize("module", ["src", "src.graph", "src.errors"])
def test_src_refuses_to_be_imported_as_src(module):
    outcome = run_python(f"import {module}", cwd=ROOT)
    last_line = outcome.stderr.strip().rpartition("\n")[2]
    assert outcome.returncode != 0
    assert last_line.startswith("ImportError: ")
    assert "import wengert" in last_line


def test_importing_wengert_loads_no_heavy_package(tmp_path):
    code = "import sys, wengert; print(*{name.partition('.')[0] for name in sys.modules})"
    outcome = run_python(code, cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    loaded = set(outcome.stdout.split())
    assert "wengert" in loaded
    assert loaded & LAZY == set()
