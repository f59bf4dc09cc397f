"""Exported modules: alone, without this package, they compute and check themselves."""

import ast
import importlib.util
import inspect
import json
import math
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from places import NOTEBOOK_NUMBERS
from strategies import random_recipe

import wengert as wg
from wengert.codegen.compiled import compile
from wengert.codegen.export import evidence, selfcheck
from wengert.derive.backward import grad
from wengert.errors import InvalidNameError
from wengert.graph.expr import Graph
from wengert.graph.value import Value
from wengert.ops import scalar as ops
from wengert.proof.check import Check
from wengert.storage import write_text
from wengert.verify.verify import Verification, verify

TRANSCRIPT = json.loads((NOTEBOOK_NUMBERS).read_text())


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


def test_an_update_has_no_gradient_to_check_and_says_so(tmp_path):
    g = Graph()
    w, x = g.input("w"), g.input("x")
    path = compile({"w": w, "x": x}, [w - 0.1 * grad(w * x, w)]).save(tmp_path / "update.py")
    outcome = run(path)
    assert outcome.returncode == 0
    assert "no output is the gradient of another" in outcome.stdout
    assert "numbers: 3 against their 50 digits" in outcome.stdout


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


# -- certificates ---------------------------------------------------------------------------------


def self_checked(path, capsys):
    """Whether a module is satisfied with itself, and what it prints; in this process."""
    module = imported(path)
    function = getattr(module, "step", None) or module.f
    given = (module.ARGUMENTS, module.VALUES, module.DERIVATIVES)
    certificate, text = getattr(module, "CERTIFICATE", None), module.own_text(vars(module))
    capsys.readouterr()
    good = module.check_module(function, *given, certificate, text)
    return good, capsys.readouterr().out


def test_a_module_carries_what_was_shown_and_what_was_not(model):
    certificate = imported(model).CERTIFICATE
    assert certificate["shown"][0].startswith("37 derivatives: by the chain rule with sympy's")
    assert certificate["not shown"] == [
        "rules and derivatives, symbolically: save with certificate=wengert.verify(...)"
    ]
    assert certificate["failed"] == []
    outcome = run(model)
    assert "text: as it was written: ok" in outcome.stdout
    assert re.search(r"numbers: 117 against their 50 digits, \d+ ulps .*: ok", outcome.stdout)


@pytest.mark.parametrize("reduce", ["sum", "mean", None])
@pytest.mark.parametrize("batch", [(), ("x", "y"), ("x",)], ids=str)
def test_the_numbers_of_batches(batch, reduce, tmp_path, capsys):
    path = network_step(batch=batch, reduce=reduce, name="step").save(tmp_path / "model.py")
    good, said = self_checked(path, capsys)
    assert good, said
    assert "50 digits, " in said
    assert [seed for seed, _ in imported(path).CERTIFICATE["points"]] in ([0, 1, 2], [0])


@pytest.mark.parametrize("seed", range(15))
def test_random_modules_are_satisfied_with_themselves(seed, tmp_path, capsys):
    rng = random.Random(seed)
    points = [[rng.uniform(0.3, 2.0), rng.uniform(-2.0, -0.3)]]
    g = Graph()
    leaves = [g.parameter("a", points[0][0]), g.parameter("b", points[0][1])]
    y = random_recipe(rng, points, 9).follow(leaves)
    path = compile({"w": leaves}, {"y": y, "dy": grad(y, leaves)}).save(tmp_path / "model.py")
    good, said = self_checked(path, capsys)
    assert good, said


def test_the_numbers_are_the_nearest_to_the_exact_ones(tmp_path):
    g = Graph()
    x = g.parameter("x", 3.0)
    y = ops.exp(x) - 1.0
    path = compile({"x": x}, {"y": y, "dx": grad(y, x)}).save(tmp_path / "model.py")
    (seed, numbers), *_ = imported(path).CERTIFICATE["points"]
    assert seed == 0
    # e**3 is 20.085536923187667740928…
    assert [number for _, number, _ in numbers] == [19.085536923187668, 20.085536923187668]
    assert all(0 < reach < 1e-13 for _, _, reach in numbers)


def test_a_full_certificate_travels_with_the_module(tmp_path, capsys):
    g = Graph()
    x, w = g.input("x"), g.parameter("w", 0.5)
    y = (w * x).relu() + ops.tanh(x)
    f = compile({"w": w, "x": x}, {"y": y, "dw": grad(y, w)})
    verification = verify(y, w)
    loaded = Verification.load(verification.save(tmp_path / "certificate.json"))
    texts = {
        f.save(tmp_path / f"{i}.py", certificate=c).read_text()
        for i, c in enumerate((verification, loaded))
    }
    assert len(texts) == 1, "a certificate that was saved and read is the same one"
    certificate = imported(tmp_path / "0.py").CERTIFICATE
    assert certificate["of"] == str(y)
    assert certificate["kinks"] == ["relu: 0 at 0"]
    assert certificate["domain"].keys() == {"w", "x"}
    said = "\n".join(certificate["shown"])
    for check in verification:
        assert f"{check.name} of {check.what}: {check.method}; over {check.over}" in said
    good, printed = self_checked(tmp_path / "0.py", capsys)
    assert good, printed
    assert "not shown" not in printed


def test_a_certificate_can_be_left_out(tmp_path, capsys):
    f = network_step(name="step")
    without, with_one = (f.save(tmp_path / f"{c}.py", certificate=c) for c in (False, True))
    assert not hasattr(imported(without), "CERTIFICATE")
    assert "CERTIFICATE =" not in without.read_text()
    assert len(with_one.read_text()) < len(without.read_text()) + 10_000
    good, said = self_checked(without, capsys)
    assert good
    assert said.startswith("step(")
    assert run(without).returncode == 0


def test_what_is_too_large_says_so_and_is_checked_by_differences(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evidence, "MAX_OPERATIONS", 10)
    path = network_step(name="step").save(tmp_path / "model.py")
    good, said = self_checked(path, capsys)
    assert good
    assert "more than the 10 that are evaluated" in said
    assert "numbers:" not in said
    assert "37 derivatives of loss by params" in said


def test_of_many_numbers_some_are_recorded(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evidence, "MAX_NUMBERS", 7)
    path = network_step(name="step").save(tmp_path / "model.py")
    good, said = self_checked(path, capsys)
    assert good
    assert "numbers: 21 against" in said
    assert "of these, 7 of 39 numbers are recorded here" in imported(path).CERTIFICATE["shown"]


def test_where_nothing_is_finite_that_is_said(tmp_path):
    g = Graph()
    x = g.input("x")
    y = ops.log(-(x * x) - 1.0)
    outcome = run(compile({"x": x}, {"y": y, "dx": grad(y, x)}).save(tmp_path / "model.py"))
    assert outcome.returncode == 1
    assert "no point in 20 draws where every output is finite" in outcome.stdout
    assert "gradient: NOT CHECKED: no finite point found in 20 draws" in outcome.stdout
    assert "nan" not in outcome.stdout


def test_stored_numbers_that_are_of_no_use_are_replaced(tmp_path):
    g = Graph()
    x, w = g.input("x"), g.parameter("w", float("nan"))
    y = ops.exp(w * x)
    outcome = run(compile({"w": w, "x": x}, {"y": y, "dw": grad(y, w)}).save(tmp_path / "model.py"))
    assert outcome.returncode == 0, outcome.stdout
    assert "stored numbers moved by up to a tenth" in outcome.stdout


def test_a_step_across_a_kink_is_no_error(tmp_path):
    g = Graph()
    x = g.parameter("x", 0.0005)
    y = ops.relu(x) * 3 + x * x
    outcome = run(compile({"x": x}, {"y": y, "dx": grad(y, x)}).save(tmp_path / "model.py"))
    assert outcome.returncode == 0, outcome.stdout


def test_line_ends_of_another_system_change_nothing(model, tmp_path):
    other = tmp_path / "model.py"
    other.write_bytes(model.read_bytes().replace(b"\n", b"\r\n"))
    outcome = run(other)
    assert outcome.returncode == 0
    assert "text: as it was written: ok" in outcome.stdout


HOSTILE = ['"""\nimport os\n', "'", "\\", "\u202e", "0" * 64, "{x}", "\x1b[2J", "</script>"]


def test_hostile_keys_are_text_in_the_certificate_and_on_the_terminal(tmp_path):
    g = Graph()
    x = g.input("x")
    outputs = {key: x * i for i, key in enumerate(HOSTILE)}
    outputs |= {"loss": x * x, "sha256": [grad(x * x, x)]}
    path = compile({"x": x}, outputs).save(tmp_path / "model.py")
    assert set(ast.literal_eval(literal(path, "CERTIFICATE"))) == set(imported(path).CERTIFICATE)
    assert list(imported(path).f(2.0)) == list(outputs)
    outcome = run(path)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert outcome.stdout.isascii()
    assert all(line.isprintable() for line in outcome.stdout.splitlines())


def literal(path, name):
    """The text of what a module assigns to a name."""
    text = path.read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return ast.get_source_segment(text, node.value)
    raise AssertionError(f"{name} is not assigned")


def test_a_hostile_certificate_is_text(tmp_path):
    g = Graph()
    x = g.input("x")
    f = compile({"x": x}, {"y": x * x})
    check = Check('"""', "'''\n+ exit(3)", "\u202e\\", True, None, "", "0" * 64)
    strange = Verification("x\nimport os", (check,), 0, 1, domain=(("');", 0.0, 1.0),))
    path = f.save(tmp_path / "model.py", certificate=strange)
    assert path.read_text().isascii()
    certificate = imported(path).CERTIFICATE
    assert certificate["of"] == "x\nimport os"
    assert certificate["domain"] == {"');": (0.0, 1.0)}
    assert f"\"\"\" of '''\n+ exit(3): \u202e\\; over {'0' * 64}" in certificate["shown"]
    outcome = run(path)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_the_samples_of_a_check_are_those_that_the_numbers_are_of():
    arguments = [("x", 3, True)]
    (rows,) = selfcheck.sample_arguments(arguments, {}, 0)
    assert len(rows) == selfcheck.SAMPLES
    parameters = inspect.signature(selfcheck.check_module).parameters
    assert parameters["draws"].default == selfcheck.DRAWS


@pytest.mark.parametrize(
    ("formula", "kept"),
    [
        (lambda w, x: wg.relu(w * x), 0.0),
        (lambda w, x: abs(w) + w * x, 0.0),
        (lambda w, x: wg.maximum(w, 0.0) * x, 0.0),
        (lambda w, x: wg.leaky_relu(w, 0.1) + x, 0.0),
        (lambda w, x: wg.clip(w, -1.0, 1.0) * x, 1.0),
        (lambda w, x: wg.hard_tanh(w) * x, -1.0),
        (lambda w, x: wg.hard_sigmoid(w) * x, 3.0),
        (lambda w, x: wg.sign(w) + w * x, 0.0),
        (lambda w, x: wg.floor(w) * x + w, 2.0),
        (lambda w, x: wg.where(w > 0.0, w * x + 1.0, 3.0 * w), 0.0),
        (lambda w, x: wg.where(wg.equal(w, 0.0), 1.0, w) * x, 0.0),
        (lambda w, x: 3.0 * wg.relu(w) + x, -2e-6),
        (lambda w, x: 3.0 * abs(w) + x, 1e-7),
    ],
)
def test_the_check_accepts_what_is_taken_at_a_kink(tmp_path, formula, kept):
    graph = wg.Graph()
    w, x = graph.parameter("w", kept), graph.input("x")
    y = formula(w, x)
    f = wg.compile({"w": w, "x": x}, {"y": y, "dw": wg.grad(y, w)})
    assert run(f.save(tmp_path / "kink.py")).returncode == 0


def test_the_check_finds_a_wrong_derivative_at_a_kink_and_beside_it():
    for function in (
        lambda x: {"y": abs(x), "d": 1.5},
        lambda x: {"y": x * x, "d": 0.5},
        lambda x: {"y": max(x, 0.0), "d": -0.1},
        lambda x: {"y": 1.0 + x if x > 0.0 else 3.0 * x, "d": 3.1},
    ):
        assert selfcheck.check_gradient(function, [0.0], ("d",), ("y",), 0)[2] > 1e-3


def test_a_jump_by_one_number_hides_no_wrong_derivative_by_another():
    def function(x):
        return {"y": math.floor(x[0]) + x[1], "d": [0.0, 1.001]}

    assert selfcheck.check_gradient(function, [[2.0, 0.5]], ("d",), ("y",), 0)[2] > 1e-4
