"""Exported modules: alone, without this package, they compute and check themselves."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wengert.codegen.compiled import compile
from wengert.errors import InvalidNameError
from wengert.graph import ops
from wengert.graph.backward import grad
from wengert.graph.expr import Graph
from wengert.graph.value import Value
from wengert.storage import write_text

TRANSCRIPT = json.loads((Path(__file__).parent / "transcript.json").read_text())


def network_step(**options):
    """The notebook's loss and gradients, its parameters named as in a network of layers."""
    numbers = iter(TRANSCRIPT["parameters"])
    sizes = TRANSCRIPT["sizes"]
    parameters = []
    graph = Graph()
    layer_inputs = x = graph.inputs("x", 2)
    for layer in range(3):
        outputs = []
        for j in range(sizes[layer + 1]):
            w = [Value(next(numbers), label=f"w{layer}_{j}_{i}") for i in range(sizes[layer])]
            b = Value(next(numbers), label=f"b{layer}_{j}")
            parameters += [*w, b]
            terms = (wi * xi for wi, xi in zip(w, layer_inputs, strict=True))
            outputs.append(ops.tanh(sum(terms, b)))
        layer_inputs = outputs
    y = graph.input("y")
    loss = (layer_inputs[0] - y) ** 2
    outputs = {"loss": loss, "grad": grad(loss, parameters), "prediction": layer_inputs[0]}
    return compile({"params": parameters, "x": x, "y": y}, outputs, **options)


def run(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", "-W", "error", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=path.parent)


def imported(path: Path):
    spec = importlib.util.spec_from_file_location("exported_model", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "model.py"
    return network_step(batch=("x", "y"), name="step").save(path)


def test_the_notebooks_numbers_from_the_exported_module(model):
    module = imported(model)
    parameters = module.VALUES["params"]
    assert parameters == TRANSCRIPT["parameters"]
    losses = []
    for epoch in range(503):
        result = module.step(parameters, TRANSCRIPT["inputs"], TRANSCRIPT["targets"])
        losses.append(result["loss"])
        if epoch == 0:
            assert result["grad"] == pytest.approx(TRANSCRIPT["gradients"], rel=1e-12)
        parameters = [p - 0.01 * d for p, d in zip(parameters, result["grad"], strict=True)]
        if epoch == 0:
            first = TRANSCRIPT["first_weight_after_one_step"]
            assert parameters[0] == pytest.approx(first, rel=1e-12)
    printed = TRANSCRIPT["losses"]
    assert losses[:4] == pytest.approx([printed[f"step_{i}"] for i in range(4)], rel=1e-12)
    assert losses[502] == pytest.approx(TRANSCRIPT["after_500_more_epochs"]["loss"], rel=1e-9)


def test_predictions_from_the_exported_module(tmp_path):
    module = imported(network_step(batch=("x", "y"), reduce=None).save(tmp_path / "rows.py"))
    result = module.f(TRANSCRIPT["parameters"], TRANSCRIPT["inputs"], TRANSCRIPT["targets"])
    assert result["prediction"] == pytest.approx(TRANSCRIPT["predictions_before"], rel=1e-12)
    assert result["loss"] == pytest.approx(TRANSCRIPT["squared_errors_before"], rel=1e-12)


def test_run_by_itself_it_checks_its_gradient(model):
    outcome = run(model)
    assert outcome.returncode == 0, outcome.stderr
    assert "grad: 37 derivatives of loss by params" in outcome.stdout
    assert outcome.stdout.rstrip().endswith("ok")


def test_a_wrong_gradient_is_caught(model, tmp_path):
    text = model.read_text()
    assert "dw1_2_3 += " in text
    broken = tmp_path / "broken.py"
    broken.write_text(text.replace("dw1_2_3 += ", "dw1_2_3 += 0.001 + "))
    outcome = run(broken)
    assert outcome.returncode == 1
    assert "WRONG" in outcome.stdout


def test_modules_that_can_raise_carry_both_versions(tmp_path):
    g = Graph()
    x, w = g.input("x"), g.parameter("w", 0.5)
    y = ops.exp(w * x) / x + ops.log(x)
    path = compile({"w": w, "x": x}, {"y": y, "dw": grad(y, w)}).save(tmp_path / "raising.py")
    module = imported(path)
    assert module.f(0.5, 5000.0)["y"] == float("inf")
    assert module.f(0.5, 0.0)["y"] != module.f(0.5, 0.0)["y"]
    outcome = run(path)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "1 derivative of y by w" in outcome.stdout


def test_an_update_has_nothing_to_check_and_says_so(tmp_path):
    g = Graph()
    w, x = g.input("w"), g.input("x")
    path = compile({"w": w, "x": x}, [w - 0.1 * grad(w * x, w)]).save(tmp_path / "update.py")
    outcome = run(path)
    assert outcome.returncode == 0
    assert "nothing to check" in outcome.stdout


def test_hostile_keys_and_odd_values(tmp_path):
    g = Graph()
    x, w = g.input("x"), g.parameter("w", float("nan"))
    f = compile({"w": w, "x": x}, {'"""\nimport os\n': x * w, "\u202e": x})
    module = imported(f.save(tmp_path / "hostile.py"))
    assert module.VALUES["w"] != module.VALUES["w"]
    assert module.f(2.0, 3.0) == {'"""\nimport os\n': 6.0, "\u202e": 3.0}


def test_names_that_the_module_needs_itself():
    g = Graph()
    x = g.input("x")
    with pytest.raises(InvalidNameError, match="something else called 'check_module'"):
        compile({"x": x}, x * x, name="check_module").save("never.py")


def test_the_text_is_the_same_every_time(tmp_path):
    texts = {network_step(name="step").save(tmp_path / f"{i}.py").read_bytes() for i in range(2)}
    assert len(texts) == 1


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "model.py"
    path.write_text("before")

    def fail(*_):
        raise OSError("disk is gone")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk is gone"):
        write_text(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
