"""The examples: each runs from another folder, says what it does, and writes what it says."""

import ast
import difflib
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

WRITES = {
    "digits.py": ["digits_loss.png", "digits_mistakes.png"],
    "mnist_shape.py": ["mnist_shape_loss.png"],
    "moons.py": [".png"],
    "second_order.py": ["curvature.py", "laplace.py"],
}


SAYS = {
    "digits.py": [r"chosen: numpy: 10,\d{3} operations a sample"],
    "mnist_shape.py": [r"build .*120,\d{3} nodes", r"roll .* \d\d statements", r"chosen: numpy: "],
}
"""What an example prints, as patterns."""

ACCURACY = {"digits.py": 96.0, "mnist_shape.py": 94.0}
"""The least per cent of held-out data that an example must get right."""


def run(name, folder, *arguments):
    """What an example prints; warnings are errors."""
    outcome = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def test_the_compiled_language_model_learns_as_the_plain_one_does(tmp_path):
    losses, printed = {}, ""
    for name in ("microgpt_plain", "microgpt"):
        printed = run(f"{name}.py", tmp_path, "3", name, "4")
        assert re.search(r"samples: \w* \w* \w* \w* \w*\n", printed), printed
        text = (tmp_path / name / "microgpt_loss.txt").read_text(encoding="utf-8")
        assert "mean of 50" in (tmp_path / name / "microgpt_loss.svg").read_text(encoding="utf-8")
        losses[name] = [float(line) for line in text.split()]
    assert len(losses["microgpt"]) == 3
    assert losses["microgpt"] == pytest.approx(losses["microgpt_plain"], rel=1e-9)
    assert re.search(r"loss: \d compiled, 3 calls", printed)


def test_six_lines_of_the_language_model_are_not_plain_python():
    compiled, plain = (
        ast.unparse(ast.parse((EXAMPLES / name).read_text(encoding="utf-8")).body[1:])
        for name in ("microgpt.py", "microgpt_plain.py")
    )
    changes = list(difflib.ndiff(plain.splitlines(), compiled.splitlines()))
    assert sum(line.startswith("+ ") for line in changes) <= 6
    assert sum(line.startswith("- ") for line in changes) <= 6


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("digits.py", "sklearn"),
        ("microgpt.py", "matplotlib"),
        ("microgpt_plain.py", "matplotlib"),
        ("mnist_shape.py", "sklearn"),
        ("moons.py", "matplotlib"),
    ],
)
def test_what_an_example_misses_is_said_in_a_sentence(name, missing, monkeypatch):
    for module in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)  # as if it were not installed
    monkeypatch.syspath_prepend(str(EXAMPLES))
    with pytest.raises(
        SystemExit, match=rf"^{missing}[.\w]* is not installed: pip install '\.\[ex"
    ):
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.parametrize("name", sorted(WRITES))
def test_example_runs(name, tmp_path):
    printed = run(name, tmp_path, str(tmp_path / "out"))
    for pattern in SAYS.get(name, []):
        assert re.search(pattern, printed), printed
    if name in ACCURACY:
        (found,) = re.findall(r"accuracy ([\d.]+)%", printed)
        assert float(found) >= ACCURACY[name]
    written = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    for expected in WRITES[name]:
        assert any(path.endswith(expected) for path in written), (expected, written)
