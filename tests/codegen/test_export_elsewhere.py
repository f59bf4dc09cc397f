"""Exported modules under other Pythons, out of archives, from standard input, and compiled."""

import ast
import math
import os
import py_compile
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import wengert as wg
from wengert.codegen.export import older
from wengert.ops.scalar import ELEMENTWISE

MISSING_IN_3_8 = {"cbrt", "exp2", "fma", "lcm", "nextafter", "sumprod", "ulp"}
"""What `math` has by now, and did not in Python 3.8."""


def every_operation(path):
    """A module that uses every operation, batches, a kink and what older Pythons lack."""
    graph = wg.Graph()
    w, x, y = graph.parameter("w", 0.5), graph.inputs("x", 2), graph.input("y")
    outputs = {}
    for op in ELEMENTWISE.values():
        operands = [w * x[0] + 1.5, x[1], w][: op.arity]
        if op.name != "total" and len(operands) == op.arity:
            outputs[op.name] = op(*operands, *(op.defaults or [2.0] * len(op.statics)))
    loss = wg.cbrt(w * x[0]) * wg.exp2(w) + (wg.relu(x[1] * w) - y) ** 2
    outputs |= {"loss": loss, "dw": wg.grad(loss, w)}
    given = {"w": w, "x": x, "y": y}
    return wg.compile(given, outputs, batch=("x", "y"), name="step").save(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return every_operation(tmp_path_factory.mktemp("elsewhere") / "model.py")


def interpreters():
    """Another Python of each version that is to be had here, from the oldest on."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {}
    for minor in range(8, 15):
        beside = sorted(versions.glob(f"3.{minor}.*/bin/python"))
        named = shutil.which(f"python3.{minor}")
        found[f"3.{minor}"] = str(beside[-1]) if beside else named
    return found


OTHERS = interpreters()
NOT_COMPARED = "text: not compared"


def ran(*command, python=sys.executable, **options):
    done = subprocess.run(
        [python, "-W", "error", *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-1500:]
    assert "dw: 1 derivative of loss by w" in done.stdout
    return done.stdout


@pytest.mark.parametrize("version", OTHERS)
def test_it_runs_on_every_python_from_the_oldest_that_it_states(model, version):
    if OTHERS[version] is None:
        pytest.skip(f"no Python {version} here")
    assert f"needs Python {older.OLDEST} or newer" in model.read_text()
    said = ran(model, python=OTHERS[version])
    assert "text: as it was written: ok" in said


def test_its_text_is_that_of_the_oldest_python(model):
    text = model.read_text()
    tree = ast.parse(text, feature_version=tuple(map(int, older.OLDEST.split("."))))
    guarded = {id(node) for t in ast.walk(tree) if isinstance(t, ast.Try) for node in t.body}
    named = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and id(node) not in guarded
        for alias in node.names
    } | {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "math"
    }
    assert {"tanh", "erf", "log1p"} <= named
    assert not named & MISSING_IN_3_8
    assert "strict=" not in text


@pytest.mark.parametrize("name", sorted(older.NEWER))
def test_what_older_pythons_lack_is_what_newer_ones_have(name):
    mine, theirs = older.NEWER[name], getattr(math, name)
    points = [i / 7 - 20.0 for i in range(300)]
    points += [0.0, -0.0, 5e-324, -1e-310, math.inf, -math.inf, math.nan, 1023.5, -1074.0]
    points += [sys.float_info.max, 1e300] if name == "cbrt" else []
    for x in points:
        apart = abs(mine(x) - theirs(x))
        assert apart <= 2 * math.ulp(theirs(x)) or mine(x) == theirs(x) or x != x
        assert math.copysign(1.0, mine(x)) == math.copysign(1.0, theirs(x))
    if name == "exp2":
        with pytest.raises(OverflowError):
            mine(2000.0)


def test_columns_of_different_lengths_are_refused_by_all(model):
    namespace = {"__name__": "elsewhere"}
    exec(compile(model.read_text(), str(model), "exec"), namespace)
    with pytest.raises(TypeError, match=r"\[2, 3\] samples; expected as many"):
        namespace["step"](0.5, [[1.0, 2.0]] * 2, [1.0, 2.0, 3.0])


def test_out_of_an_archive(model, tmp_path):
    archive = tmp_path / "model.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(model, "__main__.py")
        file.write(model, "model.py")
    assert "text: as it was written: ok" in ran(archive)
    elsewhere = {**os.environ, "PYTHONPATH": str(archive)}
    assert "text: as it was written: ok" in ran("-m", "model", env=elsewhere)


def test_a_changed_module_in_an_archive_is_found(model, tmp_path):
    archive = tmp_path / "model.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("__main__.py", model.read_text().replace("# forward", "# forwards"))
    done = subprocess.run([sys.executable, archive], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "text: CHANGED since it was written" in done.stdout


def test_as_a_module_and_by_runpy(model):
    there = {"cwd": model.parent}
    assert "text: as it was written: ok" in ran("-m", model.stem, **there)
    by_path = "import runpy; runpy.run_path('model.py', run_name='__main__')"
    assert "text: as it was written: ok" in ran("-c", by_path, **there)


def test_from_standard_input_the_numbers_are_checked_and_the_text_is_not(model):
    assert NOT_COMPARED in ran("-", input=model.read_text())
    assert NOT_COMPARED in ran(input=model.read_text())
    assert NOT_COMPARED in ran("-c", "exec(open('model.py').read())", cwd=model.parent)


def test_compiled_and_alone(model, tmp_path):
    alone = tmp_path / "model.pyc"
    py_compile.compile(model, alone)
    assert NOT_COMPARED in ran(alone)
    with zipfile.ZipFile(tmp_path / "compiled.zip", "w") as file:
        file.write(alone, "__main__.pyc")
    assert NOT_COMPARED in ran(tmp_path / "compiled.zip")


def test_without_docstrings_and_assertions(model):
    assert "text: as it was written: ok" in ran("-OO", model)
