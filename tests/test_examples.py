"""The examples: each runs from another folder, says what it does, and writes what it says."""

import os
import re
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
    "mnist_shape.py": [r"build .*120,\d{3} nodes", r"roll .* \d\d nodes", r"chosen: numpy: "],
}
"""What an example prints, as patterns."""

ACCURACY = {"digits.py": 96.0, "mnist_shape.py": 94.0}
"""The least per cent of held-out data that an example must get right."""


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
    for pattern in SAYS.get(name, []):
        assert re.search(pattern, outcome.stdout), outcome.stdout
    if name in ACCURACY:
        (found,) = re.findall(r"accuracy ([\d.]+)%", outcome.stdout)
        assert float(found) >= ACCURACY[name]
    written = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    for expected in WRITES[name]:
        assert any(path.endswith(expected) for path in written), (expected, written)
