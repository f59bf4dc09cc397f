"""Runs that go on: from a history, from a file, after an interruption; and what is no such run."""

import json
import math
import random

import pytest

import wengert as wg
from wengert.errors import MissingExtraError, SaveFileError, SettingError
from wengert.train.optim import Clipped
from wengert.train.schedules import Cosine

TARGETS = ["python", "numpy", "native"]
RULES = [
    wg.Adam(0.01),
    wg.Momentum(0.01),
    wg.AdamW(Cosine(0.02, 40)),
    Clipped(wg.SGD(0.05), 1.0),
]
source = random.Random(5)
X = [[source.uniform(-1, 1) for _ in range(3)] for _ in range(20)]
Y = [math.sin(sum(row)) for row in X]
SETTINGS = {"batch_size": 6, "seed": 4, "epochs": 10}


def network():
    return wg.MLP(3, [4, 1], seed=1)


def numbers(net):
    return [p.data for p in net.parameters()]


def fit(net, **settings):
    return wg.fit(net, X, Y, progress=False, **{**SETTINGS, **settings})


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("batch_size", [None, 6])
def test_ten_and_ten_epochs_are_twenty_to_the_bit(rule, target, batch_size):
    settings = {"optimizer": rule, "target": target, "batch_size": batch_size}
    whole, parts = network(), network()
    wanted = fit(whole, epochs=20, **settings)
    first = fit(parts, **settings)
    found = fit(parts, resume=first, seed=99, **settings)
    assert numbers(parts) == numbers(whole)
    assert found.loss == wanted.loss
    assert first.epochs == 10, "the history that was gone on from is what it was"


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("ending", [".json", ".safetensors"])
def test_a_run_that_broke_off_goes_on_from_its_file_to_the_bit(target, ending, tmp_path):
    if ending == ".safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path / f"run{ending}"
    settings = {"optimizer": wg.Adam(0.01), "target": target, "epochs": 20}
    settings |= {"validation": (X[:5], Y[:5]), "metrics": {"worst": worst}}
    whole, broken, new = network(), network(), network()
    wanted = fit(whole, **settings)

    def breaks(epoch, loss, net):
        if epoch == 12:
            raise RuntimeError("the machine is gone")

    with pytest.raises(RuntimeError):
        fit(broken, checkpoint=path, checkpoint_every=5, callback=breaks, **settings)
    found = fit(new, checkpoint=path, checkpoint_every=5, **settings)
    assert numbers(new) == numbers(whole)
    assert found.loss == wanted.loss
    assert found.validation_loss == wanted.validation_loss
    assert found.metrics == wanted.metrics

    done = fit(network(), checkpoint=path, **settings)
    assert done.loss == wanted.loss, "nothing is left to do"


@pytest.mark.parametrize("ending", [".json", ".safetensors"])
@pytest.mark.parametrize("target", ["python", "numpy"])
def test_a_run_that_broke_off_is_as_patient_as_one_that_did_not(target, ending, tmp_path):
    if ending == ".safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path / f"run{ending}"
    settings = {"optimizer": wg.Momentum(0.3), "target": target, "epochs": 40, "patience": 5}
    settings |= {"validation": (X[:5], Y[:5])}
    whole, new, parts = network(), network(), network()
    wanted = fit(whole, **settings)
    assert wanted.stopped == "patience"
    best = wanted.validation_loss.index(min(wanted.validation_loss))

    def breaks(epoch, loss, net):
        if epoch == best + 3:
            raise RuntimeError("the machine is gone")

    with pytest.raises(RuntimeError):
        fit(network(), checkpoint=path, checkpoint_every=1, callback=breaks, **settings)
    first = fit(parts, **{**settings, "epochs": best + 3})
    for net, before in ((new, {"checkpoint": path}), (parts, {"resume": first})):
        found = fit(net, **settings, **before)
        assert (found.stopped, found.loss) == ("patience", wanted.loss)
        assert numbers(net) == numbers(whole)
    again = fit(network(), checkpoint=path, **settings)
    assert (again.stopped, again.loss) == ("patience", wanted.loss), "it was over"
    more = fit(new, resume=found, **{**settings, "epochs": 3})
    assert more.epochs == wanted.epochs + 3, "whoever resumes it is patient anew"


def worst(predictions, targets):
    return max(abs(p - t) for p, t in zip(predictions, targets, strict=True))


def test_a_finished_run_can_be_made_longer_through_its_file(tmp_path):
    whole, parts = network(), network()
    fit(whole, epochs=12, optimizer="adam")
    fit(parts, epochs=5, optimizer="adam", checkpoint=tmp_path / "a.json")
    fit(network(), epochs=12, optimizer="adam", checkpoint=tmp_path / "a.json")
    last = network()
    history = fit(last, epochs=12, optimizer="adam", checkpoint=tmp_path / "a.json")
    assert numbers(last) == numbers(whole)
    assert history.epochs == 12


def test_a_checkpoint_of_another_network_names_both_and_changes_nothing(tmp_path):
    path = tmp_path / "run.json"
    fit(network(), checkpoint=path)
    net = wg.MLP(3, [5, 1], seed=1)
    before, file = numbers(net), path.read_bytes()
    with pytest.raises(SaveFileError, match=r"of a network of 21 parameters .* this one has 26 p"):
        fit(net, checkpoint=path)
    with pytest.raises(
        SaveFileError, match=r"a run with SGD\(lr=0.01\), and the optimizer is Adam"
    ):
        fit(network(), checkpoint=path, optimizer="adam")
    assert numbers(net) == before
    assert path.read_bytes() == file


@pytest.mark.parametrize(
    ("other", "rows", "words"),
    [
        (wg.MLP(2, [5, 1], seed=1), [row[:2] for row in X], "and 3 inputs.*and 2 inputs"),
        (wg.MLP(3, [4, 1], activation="relu", seed=1), X, "5 tanh.*5 relu"),
    ],
    ids=["sizes", "activation"],
)
def test_a_network_of_as_many_parameters_is_another_one(other, rows, words, tmp_path):
    path = tmp_path / "run.json"
    history = fit(network(), checkpoint=path)
    assert len(numbers(other)) == len(numbers(network()))
    before = numbers(other)
    with pytest.raises(SaveFileError, match=words):
        wg.fit(other, rows, Y, checkpoint=path, epochs=20, progress=False)
    with pytest.raises(SettingError, match=words):
        wg.fit(other, rows, Y, resume=history, epochs=20, progress=False)
    assert numbers(other) == before


def test_a_history_of_another_network_names_both(tmp_path):
    history = fit(network(), optimizer="adam")
    with pytest.raises(SettingError, match=r"a network of 21 parameters .* this one has 26 p"):
        fit(wg.MLP(3, [5, 1], seed=1), optimizer="adam", resume=history)
    with pytest.raises(SettingError, match=r"a run with Adam\(.*, and the optimizer is SGD"):
        fit(network(), resume=history)
    with pytest.raises(SettingError, match="resume is 3, an int; expected the History"):
        fit(network(), resume=3)
    path = tmp_path / "run.json"
    fit(network(), checkpoint=path)
    with pytest.raises(SettingError, match="go on from one of them"):
        fit(network(), resume=fit(network()), checkpoint=path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("params"), '"params"'),
        (lambda d: d["state"].append("1"), '"state"'),
        (lambda d: d.update(loss=[None]), '"loss"'),
        (lambda d: d.update(metrics=[1]), '"metrics"'),
        (lambda d: d.update(metrics={"a": ["x"]}), "metrics a"),
        (lambda d: d.update(optimizer=3), '"optimizer"'),
        (lambda d: d.pop("network"), '"network"'),
        (lambda d: d["order"][1].pop(), '"order"'),
        (lambda d: d["order"][1].__setitem__(-1, 10**6), '"order"'),
        (lambda d: d.update(order="x"), '"order"'),
        (lambda d: d.update(best_epoch=3), '"best_epoch"'),
        (lambda d: d.update(best_params=["x"]), '"best_params"'),
        (lambda d: d.update(version=99), "schema version"),
        (lambda d: d.update(format="other"), '"format"'),
    ],
)
def test_a_changed_checkpoint_is_refused_by_the_field(change, words, tmp_path):
    path = tmp_path / "run.json"
    fit(network(), checkpoint=path, optimizer="adam")
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    net = network()
    before = numbers(net)
    with pytest.raises(SaveFileError, match=words):
        fit(net, checkpoint=path, optimizer="adam")
    assert numbers(net) == before


def test_a_truncated_or_foreign_safetensors_file_is_refused(tmp_path):
    package = pytest.importorskip("safetensors.numpy")
    import numpy

    path = tmp_path / "run.safetensors"
    fit(network(), checkpoint=path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(SaveFileError, match="truncated"):
        fit(network(), checkpoint=path)
    package.save_file({"w": numpy.zeros(3)}, path)
    with pytest.raises(SaveFileError, match="not written by fit"):
        fit(network(), checkpoint=path)


def test_without_safetensors_the_error_says_what_to_install(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(
        MissingExtraError, match=r"pip install 'wengert\[checkpoints\]'; one that ends in .json"
    ):
        fit(network(), checkpoint=tmp_path / "run.safetensors")


def test_a_checkpoint_that_is_no_path_and_odd_counts_are_named():
    with pytest.raises(SettingError, match="checkpoint is 3; expected the path of a file"):
        fit(network(), checkpoint=3)
    with pytest.raises(SettingError, match="checkpoint_every is 0"):
        fit(network(), checkpoint_every=0)


def test_a_schedule_of_ones_own_is_known_by_its_name(tmp_path):
    def slower(step):
        return 0.1 / (10 + step)

    path = tmp_path / "run.json"
    fit(network(), optimizer=wg.SGD(slower), checkpoint=path)
    assert json.loads(path.read_text())["optimizer"].endswith("slower)")
    fit(network(), optimizer=wg.SGD(slower), checkpoint=path, epochs=11)
