"""The examples: each runs from another folder, says what it does, and writes what it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

WRITES = {
    "moons.py": [".png"],
    "second_order.py": ["curvature.py", "laplace.py"],
}


@pytest.mark.parametrize("name", sorted(WRITES))
def test_example_runs(name, tmp_path):
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    outcome = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), str(tmp_path / "out")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    written = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    for expected in WRITES[name]:
        assert any(path.endswith(expected) for path in written), (expected, written)
