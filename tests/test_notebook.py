"""The numbers the notebook printed, by eager values and by the compiled training step."""

import html
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from wengert.graph.value import Value, zero_grad
from wengert.train.fit import fit
from wengert.train.nn import MLP
from wengert.train.optim import SGD
from wengert.train.step import training_step

NOTEBOOK = json.loads((Path(__file__).parent / "transcript.json").read_text(encoding="utf-8"))
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
INPUTS, TARGETS = NOTEBOOK["inputs"], NOTEBOOK["targets"]
STEP_SIZE = NOTEBOOK["step_size"]
LATER = NOTEBOOK["after_500_more_epochs"]


def close(expected, tolerance=1e-12):
    return pytest.approx(expected, rel=tolerance, abs=tolerance)


@pytest.fixture
def net():
    net = MLP(2, [4, 4, 1])
    for parameter, number in zip(net.parameters(), NOTEBOOK["parameters"], strict=True):
        parameter.data = number
    return net


def data(values):
    return [value.data for value in values]


def forward(net):
    predictions = [net(x) for x in INPUTS]
    errors = [(p - y) ** 2 for y, p in zip(TARGETS, predictions, strict=True)]
    return predictions, errors, sum(errors)


def epoch(net):
    """One turn of the notebook's training loop."""
    predictions, _, loss = forward(net)
    zero_grad(net.parameters())
    loss.backward()
    for p in net.parameters():
        p.data += -STEP_SIZE * p.grad
    return predictions, loss


def test_the_single_neuron():
    given = NOTEBOOK["neuron"]
    x1, x2, w1, w2, b = (Value(given[name], label=name) for name in ("x1", "x2", "w1", "w2", "b"))
    o = (x1 * w1 + x2 * w2 + b).tanh()
    assert o.data == close(given["output"])
    o.backward()
    slope = 1 - given["output"] ** 2
    assert (x1.grad, w1.grad, x2.grad, w2.grad, b.grad) == close(
        (slope * given["w1"], slope * given["x1"], slope * given["w2"], slope * given["x2"], slope)
    )


def test_the_single_neuron_step_by_step():
    x1, x2, w1, w2 = Value(2.0), Value(0.0), Value(-3.0), Value(1.0)
    b = Value(NOTEBOOK["neuron"]["b"])
    x1w1, x2w2 = x1 * w1, x2 * w2
    both = x1w1 + x2w2
    n = both + b
    o = n.tanh()
    o.grad = 1.0
    for value in (o, n, both, b, x1w1, x2w2):
        value._backward()
    assert (x1.grad, w1.grad, x2.grad, w2.grad, b.grad) == close((-1.5, 1.0, 0.5, 0.0, 0.5))


def test_eager_predictions_and_errors(net):
    predictions, errors, loss = forward(net)
    assert data(predictions) == close(NOTEBOOK["predictions_before"])
    assert data(errors) == close(NOTEBOOK["squared_errors_before"])
    assert loss.data == close(NOTEBOOK["losses"]["step_0"])


def test_eager_gradients(net):
    forward(net)[-1].backward()
    assert [p.grad for p in net.parameters()] == close(NOTEBOOK["gradients"])


def test_eager_steps(net):
    first = net.layers[0].neurons[0].w[0]
    losses = [epoch(net)[1].data]
    assert first.data == close(NOTEBOOK["first_weight_after_one_step"])
    losses += [epoch(net)[1].data for _ in range(2)]
    predictions, _, loss = forward(net)
    assert [*losses, loss.data] == close(list(NOTEBOOK["losses"].values()))
    assert data(predictions) == close(NOTEBOOK["predictions_step_3"])


def test_eager_training_loop(net):
    for _ in range(3 + 499):
        epoch(net)
    predictions, loss = epoch(net)
    assert loss.data == close(LATER["loss"], 1e-9)
    assert data(predictions) == close(LATER["predictions"], 1e-9)
    assert [p.grad for p in predictions] == close(LATER["prediction_gradients"], 1e-9)


def test_compiled_step(net):
    step = training_step(net, loss="squared_error", optimizer=SGD(STEP_SIZE))
    params = NOTEBOOK["parameters"]
    after = step(params, [], INPUTS, TARGETS)
    assert after["loss"] == close(NOTEBOOK["losses"]["step_0"])
    gradients = [(p - q) / STEP_SIZE for p, q in zip(params, after["params"], strict=True)]
    assert gradients == close(NOTEBOOK["gradients"], 1e-12 / STEP_SIZE)
    assert after["params"] == close(
        [p - STEP_SIZE * g for p, g in zip(params, NOTEBOOK["gradients"], strict=True)]
    )
    assert after["params"][0] == close(NOTEBOOK["first_weight_after_one_step"])
    losses = [after["loss"]]
    for _ in range(3):
        after = step(after["params"], [], INPUTS, TARGETS)
        losses.append(after["loss"])
    assert losses == close(list(NOTEBOOK["losses"].values()))


def test_compiled_gradients_are_those_of_the_notebook(net):
    # With a step of 1 from the notebook's weights, the gradient is the difference, to rounding.
    after = training_step(net, optimizer=SGD(1.0))(NOTEBOOK["parameters"], [], INPUTS, TARGETS)
    gradients = [p - q for p, q in zip(NOTEBOOK["parameters"], after["params"], strict=True)]
    assert gradients == close(NOTEBOOK["gradients"])


def test_fit_is_the_notebook_loop(net):
    history = fit(net, INPUTS, TARGETS, loss="squared_error", optimizer=SGD(STEP_SIZE), epochs=3)
    assert history.loss == close(list(NOTEBOOK["losses"].values())[:3])
    assert data(net(x) for x in INPUTS) == close(NOTEBOOK["predictions_step_3"])
    history = fit(net, INPUTS, TARGETS, loss="squared_error", optimizer=SGD(STEP_SIZE), epochs=499)
    assert history.loss[0] == close(NOTEBOOK["losses"]["step_3"])
    assert data(net(x) for x in INPUTS) == close(LATER["predictions"], 1e-9)
    last = fit(net, INPUTS, TARGETS, loss="squared_error", optimizer=SGD(STEP_SIZE), epochs=1)
    assert last.loss == close([LATER["loss"]], 1e-9)


def test_fit_and_the_eager_loop_agree_to_the_last_steps(net):
    twin = MLP(2, [4, 4, 1])
    for mine, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        theirs.data = mine.data
    fit(net, INPUTS, TARGETS, optimizer=SGD(STEP_SIZE), epochs=50)
    for _ in range(50):
        epoch(twin)
    assert data(net.parameters()) == close(data(twin.parameters()))


# The examples, run as a reader would


def run_example(name, folder):
    command = [sys.executable, str(EXAMPLES / name), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)


def test_the_notebook_example_prints_what_the_notebook_prints(tmp_path):
    printed = run_example("nn_training.py", tmp_path / "pictures").stdout
    shown = [
        (float(number), float(grad))
        for number, grad in re.findall(r"Value\(data=([^,]+), grad=([^)]+)\)", printed)
    ]
    weights = list(zip(NOTEBOOK["parameters"], NOTEBOOK["gradients"], strict=True))
    losses = list(NOTEBOOK["losses"].values())
    expected = [
        (NOTEBOOK["neuron"]["output"], 1),
        (NOTEBOOK["neuron"]["output"], 1),
        (-0.47143783815125023, 0),
        *((number, 0) for number in NOTEBOOK["predictions_before"]),
        *((number, 0) for number in NOTEBOOK["squared_errors_before"]),
        (losses[0], 1),
        weights[0],
        *weights,
        (NOTEBOOK["first_weight_after_one_step"], weights[0][1]),
        *((number, 0) for number in losses[1:]),
        *((number, 0) for number in NOTEBOOK["predictions_step_3"]),
    ]
    later = [
        (LATER["loss"], 1),
        *zip(LATER["predictions"], LATER["prediction_gradients"], strict=True),
    ]
    assert len(shown) == len(expected) + len(later)
    for pair, wanted in zip(shown[: len(expected)], expected, strict=True):
        assert pair == close(wanted)
    for pair, wanted in zip(shown[len(expected) :], later, strict=True):
        assert pair == close(wanted, 1e-9)
    assert "Layer of [TanhNeuron(2), TanhNeuron(2), TanhNeuron(2)]" in printed
    drawn = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert drawn == [
        "network.svg",
        "neuron_again.svg",
        "neuron_backward.svg",
        "neuron_forward.svg",
        "neuron_step_by_step.svg",
    ]


def test_the_drawings_hold_the_gradients(tmp_path):
    run_example("nn_training.py", tmp_path)

    def grads(name):
        drawing = html.unescape((tmp_path / f"{name}.svg").read_text(encoding="utf-8"))
        return sorted(map(float, re.findall(r"grad (-?[\d.]+)", drawing)))

    # output 1; n, the sum, b and both products 0.5; x1, w1, x2, w2
    after = sorted([1, 0.5, 0.5, 0.5, 0.5, 0.5, -1.5, 1.0, 0.5, 0.0])
    assert grads("neuron_step_by_step") == after
    assert grads("neuron_backward") == after
    assert grads("neuron_forward") == grads("neuron_again") != after


def test_the_moons_example_tells_the_moons_apart(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    printed = run_example("moons.py", tmp_path).stdout
    loss, accuracy = re.search(r"loss ([\d.]+), accuracy ([\d.]+)%", printed).groups()
    assert float(accuracy) >= 97
    assert float(loss) < 0.1
    for name in ("moons.png", "moons_loss.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
