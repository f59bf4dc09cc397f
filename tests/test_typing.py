"""What `inspect`, SciPy and type checkers are told about functions."""

import importlib.util
import inspect
import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import wengert as wg
from wengert.train.losses import LossName
from wengert.train.optim import OPTIMIZERS, OptimizerName


@pytest.fixture
def decay():
    g = wg.Graph()
    x, a, b = g.input("x"), g.input("a"), g.input("b")
    return {"x": x, "a": a, "b": b}, a * wg.exp(-b * x)


@pytest.mark.parametrize("target", ["python", "numpy", "javascript"])
def test_a_compiled_function_shows_its_arguments(decay, target):
    leaves, y = decay
    f = wg.compile(leaves, y, target=target)
    assert str(inspect.signature(f)) == "(x, a, b)"


def test_scipy_fits_a_compiled_function_as_it_is(decay):
    optimize = pytest.importorskip("scipy.optimize")
    leaves, y = decay
    model = wg.compile(leaves, y, target="numpy", batch="x", reduce=None)
    slopes = wg.compile(
        leaves, wg.grad(y, [leaves["a"], leaves["b"]]), target="numpy", batch="x", reduce=None
    )
    at = np.linspace(0.0, 4.0, 30)
    wanted = 2.5 * np.exp(-1.3 * at)
    assert optimize.curve_fit(model, at, wanted)[0] == pytest.approx([2.5, 1.3])
    found, _ = optimize.curve_fit(model, at, wanted, jac=lambda *z: np.stack(slopes(*z), axis=-1))
    assert found == pytest.approx([2.5, 1.3])


def test_a_jacobian_has_a_row_per_output_as_scipy_wants_it():
    optimize = pytest.importorskip("scipy.optimize")
    g = wg.Graph()
    p = g.inputs("p", 2)
    residuals = [p[0] * p[1] - 6, p[0] - 2, p[1] ** 2 - 9]
    f, jac = (
        wg.compile({"p": p}, what, target="numpy")
        for what in (residuals, wg.jacobian(residuals, p))
    )
    assert np.shape(jac([1.0, 2.0])) == (3, 2)
    assert optimize.least_squares(f, [1.0, 1.0], jac=jac).x == pytest.approx([2.0, 3.0])


def test_names_that_the_types_allow_are_those_there_are():
    assert set(get_args(LossName)) == set(wg.LOSSES)
    assert set(get_args(OptimizerName)) == set(OPTIMIZERS)


@pytest.fixture
def program(tmp_path):
    """A program of a user's, with the package where a type checker finds it."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "wengert").symlink_to(Path(wg.__file__).parent)
    source = Path(__file__).with_name("typed_program.py")
    return Path(shutil.copy(source, tmp_path))


def test_a_users_program_runs(program):
    runpy.run_path(str(program))


def test_mypy_knows_the_types_of_a_users_program(program, request, monkeypatch):
    api = pytest.importorskip("mypy.api")
    monkeypatch.setenv("MYPYPATH", str(program.parent / "lib"))
    monkeypatch.chdir(program.parent)
    cache = request.config.cache.mkdir("mypy")
    options = ["--strict", "--follow-imports=silent", f"--cache-dir={cache}"]
    assert api.run([*options, program.name])[0].startswith("Success")


def test_pyright_knows_the_types_of_a_users_program(program):
    if importlib.util.find_spec("basedpyright"):  # which brings a Node.js of its own
        command = [sys.executable, "-m", "basedpyright"]
    else:
        command = [shutil.which("pyright") or pytest.skip("neither pyright nor basedpyright")]
        if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode:
            pytest.skip("pyright cannot run: it wants Node.js, or the network to get it")
    settings = {
        "include": [program.name],
        "extraPaths": ["lib", *filter(None, sys.path)],
        "typeCheckingMode": "standard",
    }
    (program.parent / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [*command, "-p", str(program.parent)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
