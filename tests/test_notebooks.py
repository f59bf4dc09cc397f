"""The notebooks in examples/: stored without outputs, run here from top to bottom.

Outputs are not kept in the repository: drawings, timings and addresses would change it with every
run. That they are what the text around them says is what is tested.
"""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
TRANSCRIPT = json.loads((Path(__file__).parent / "transcript.json").read_text(encoding="utf-8"))

# Each is run once, by one worker.
pytestmark = pytest.mark.xdist_group("notebooks")

RUN = """
import sys
import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], 4)
NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


def executed(name, folder):
    """The cells of a notebook after they have run in a kernel of their own, in an empty folder."""
    done = folder / name
    outcome = subprocess.run(
        [sys.executable, "-c", RUN, str(EXAMPLES / name), str(done)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    return json.loads(done.read_text(encoding="utf-8"))["cells"]


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """The executed cells of a notebook, by name; each is run once."""
    found = {}

    def run(name):
        if name not in found:
            found[name] = executed(name, tmp_path_factory.mktemp("notebook"))
        return found[name]

    return run


def outputs(cells, kind):
    """Everything shown of one kind, such as "text/plain" or "image/svg+xml"."""
    shown = []
    for cell in cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if kind == "text/plain" and "text" in output:
                shown.append("".join(output["text"]))
            if kind in data:
                shown.append("".join(data[kind]))
    return shown


def numbers(cells):
    text = "\n".join(outputs(cells, "text/plain"))
    return [float(found) for found in re.findall(r"-?\d+\.\d+(?:e[+-]?\d+)?", text)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_stored_without_outputs(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_there_are_four():
    assert [path.name for path in NOTEBOOKS] == [
        *("gradient.ipynb", "lesson.ipynb", "matrices.ipynb", "programs.ipynb")
    ]


def test_the_lesson_shows_every_figure_of_the_original(cells):
    shown = numbers(cells("lesson.ipynb"))
    later = TRANSCRIPT["after_500_more_epochs"]
    wanted = [TRANSCRIPT["neuron"]["output"]]
    for name in ("parameters", "gradients", "predictions_before", "squared_errors_before"):
        wanted += TRANSCRIPT[name]
    wanted += [*TRANSCRIPT["losses"].values(), *TRANSCRIPT["predictions_step_3"]]
    wanted += [TRANSCRIPT["first_weight_after_one_step"]]
    wanted += [n for value in later.values() for n in flat(value)]
    for number in wanted:
        assert number == 0 or any(math.isclose(number, other, rel_tol=1e-11) for other in shown), (
            number
        )


def flat(value):
    if isinstance(value, (int, float)):
        return [value]
    if isinstance(value, str):
        return []
    return [
        n for item in (value.values() if isinstance(value, dict) else value) for n in flat(item)
    ]


def test_the_lesson_draws_and_explains(cells):
    shown = cells("lesson.ipynb")
    drawings = outputs(shown, "image/svg+xml")
    assert len(drawings) >= 5, "those that are asked for; a value alone is shown as one too"
    for words in ("grad —", "grad 1.0000", "neuron 3 of layer 1"):
        assert any(words in drawing for drawing in drawings), words
    assert any("<iframe" in page for page in outputs(shown, "text/html"))
    assert len(outputs(shown, "image/png")) == 1


def test_the_matrices_are_found_and_agree(cells):
    shown = cells("matrices.ipynb")
    text = "\n".join(outputs(shown, "text/plain"))
    for line in (
        "h1[k] = tanh(b1[k] + Σ_i h0[i]·w1[k, i])",
        "dw1[k, i] = h0[i]·dn1[k]",
        "import numpy as np",
        "node for node",
    ):
        assert line in text
    (difference,) = [
        float(n) for n in re.findall(r"^(?:np\.float64\()?([\d.e-]+)\)?$", text, re.M) if "e-" in n
    ]
    assert difference < 1e-10


def test_attention_becomes_as_many_statements_at_every_size(cells):
    shown = cells("matrices.ipynb")
    text = "\n".join(outputs(shown, "text/plain"))
    for line in (
        "t6[i, j] = exp(t5[i, j])   for j ≤ i",
        "dwq[l, m] = Σ_i x[i, m]·Σ_{j ≤ i} k[j, l]·t16[i, j]",
    ):
        assert line in text
    assert text.count("node for node") == 2
    counts = "".join(outputs(shown, "text/plain"))  # a line may be printed in two pieces
    assert re.findall(r"width \d: ([\d,]+) scalars, (\d+) statements", counts) == [
        ("1,928", "29"),
        ("7,861", "29"),
    ]
    (formulas,) = [tex for tex in outputs(shown, "text/latex") if "aligned" in tex]
    assert r"{\mathrm{dwq}}_{l, m} &= \sum_{i}" in formulas


def test_the_gradient_is_read_edited_and_exported(cells):
    shown = cells("gradient.ipynb")
    text = "\n".join(outputs(shown, "text/plain"))
    assert "2*(tanh(w*x + b) - y)*(1 - tanh(w*x + b)*tanh(w*x + b))*x" in text
    assert text.count("checks held") == 2
    assert "against central differences: ok" in text
    assert "FAIL" not in text
    assert "Math.tanh" in text
    assert len(outputs(shown, "text/latex")) >= 4
    assert any("<iframe" in page for page in outputs(shown, "text/html"))
    assert "dashed: the backward pass" in outputs(shown, "image/svg+xml")[0]


def test_programs_of_ones_own_are_compiled(cells):
    shown = "".join(
        "".join(output["text"])
        for cell in cells("programs.ipynb")
        for output in cell.get("outputs", [])
        if output["output_type"] == "stream"
    )
    for name in ("LSTM", "convolution", "autoencoder", "policy gradient", "word vectors"):
        assert re.search(rf"^{name} +[\d,]+ +[\d,]+  \w+ +[\d.]+ +[\d.]+ +\d+$", shown, re.M), shown
    first, last = re.findall(r"([\d.]+) -> ([\d.]+), [\d.]+ -> [\d.]+\n", shown)[0]
    assert float(last) < 0.1 * float(first)
    assert "skipgram: 1 compiled" in shown
