"""Estimators by scikit-learn's own checks, and what these do not ask."""

import pickle
import runpy
import subprocess
import sys
import warnings

import numpy as np
import pytest

import wengert as wg
from wengert.errors import SettingError

pytest.importorskip("sklearn", reason="the estimators are scikit-learn's")

from sklearn.base import clone
from sklearn.datasets import load_digits, make_moons
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from wengert.estimators import Classifier, Regressor

CHECKS = [
    pytest.param(estimator, check, id=f"{type(estimator).__name__}-{check.func.__name__}")
    for kind in (Classifier, Regressor)
    for estimator, check in estimator_checks_generator(kind(epochs=60, learning_rate=0.05))
    if "array_api"
    not in check.func.__name__  # arrays of other libraries, behind a switch of SciPy's
]


@pytest.mark.parametrize(("estimator", "check"), CHECKS)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_takes_it_for_an_estimator(estimator, check):
    check(estimator)


MOONS, SIDES = make_moons(120, noise=0.1, random_state=0)
NAMES = np.array(["lower", "upper"])[SIDES]


def moons_model(**settings):
    given = {"hidden": (8,), "learning_rate": 0.05, "epochs": 60, "random_state": 0}
    return Classifier(**{**given, **settings})


def test_a_grid_search_over_a_pipeline_in_two_processes():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), moons_model(epochs=20)),
        {"classifier__hidden": [(2,), (8, 4)], "classifier__optimizer": ["adam", wg.SGD(0.5)]},
        cv=2,
        n_jobs=2,
    )
    search.fit(MOONS, NAMES)
    assert search.best_score_ > 0.8
    assert set(search.predict(MOONS)) == {"lower", "upper"}


def test_names_of_columns_are_kept_and_checked():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(MOONS, columns=["across", "up"])
    model = moons_model(epochs=2).fit(table, NAMES)
    assert list(model.feature_names_in_) == ["across", "up"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(table.rename(columns={"up": "down"}))


@pytest.mark.parametrize("loss", [None, "hinge"])
def test_two_classes_by_cross_entropy_or_by_hinge(loss):
    model = moons_model(loss=loss, epochs=300).fit(MOONS, NAMES)
    assert model.score(MOONS, NAMES) > 0.95
    assert np.allclose(model.predict_proba(MOONS).sum(axis=1), 1.0)
    chosen = NAMES.dtype.type
    assert isinstance(model.predict(MOONS)[0], chosen)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_digits_are_told_apart_as_well_as_by_scikit_learn():
    from sklearn.neural_network import MLPClassifier

    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X / 16, y, random_state=0)
    own = Classifier((32,), epochs=40, learning_rate=0.005, random_state=0).fit(X, y)
    theirs = MLPClassifier(
        (32,), activation="tanh", alpha=0.0, learning_rate_init=0.005, max_iter=40, random_state=0
    ).fit(X, y)
    assert own.score(X_test, y_test) > 0.95
    assert own.score(X_test, y_test) > theirs.score(X_test, y_test) - 0.015


def test_an_exported_classifier_predicts_the_same_without_anything_installed(tmp_path):
    X, y = load_digits(n_class=4, return_X_y=True)
    model = Classifier((5,), epochs=5, learning_rate=0.02, random_state=0).fit(X / 16, y)
    for estimator, rows in ((model, X[:20] / 16), (moons_model().fit(MOONS, NAMES), MOONS[:20])):
        path = estimator.export(tmp_path / "model.py")
        subprocess.run([sys.executable, "-I", "-S", path], check=True, capture_output=True)
        predict = runpy.run_path(str(path))["predict"]
        found = [predict(row.tolist()) for row in rows]
        assert [estimator.classes_[int(f["place"])] for f in found] == list(estimator.predict(rows))
        shares = [f["probabilities"] for f in found]
        assert np.allclose(shares, estimator.predict_proba(rows), rtol=1e-12, atol=1e-15)


def test_an_exported_regressor_predicts_the_same(tmp_path):
    model = Regressor((3,), epochs=20, random_state=0).fit(MOONS, MOONS @ [[1.0, 2.0], [0.0, -1.0]])
    predict = runpy.run_path(str(model.export(tmp_path / "model.py")))["predict"]
    found = [predict(row.tolist())["prediction"] for row in MOONS]
    assert np.allclose(found, model.predict(MOONS), rtol=1e-12)


def test_several_numbers_and_columns_come_back_as_they_were_given():
    for y in (MOONS[:, 0], MOONS[:, :1], MOONS):
        model = Regressor((4,), epochs=3, random_state=0).fit(MOONS, y)
        assert model.predict(MOONS).shape == y.shape


def test_a_warm_start_goes_on_and_is_one_longer_training():
    settings = {"batch_size": 50, "hidden": (4,)}
    whole = moons_model(epochs=20, **settings).fit(MOONS, NAMES)
    parts = moons_model(epochs=10, warm_start=True, **settings).fit(MOONS, NAMES).fit(MOONS, NAMES)
    assert parts.n_iter_ == 20
    assert np.array_equal(parts.decision_function(MOONS), whole.decision_function(MOONS))
    with pytest.raises(ValueError, match="warm_start goes on with classes"):
        parts.fit(MOONS, SIDES)


def test_patience_ends_training_on_held_out_samples():
    model = moons_model(epochs=2000, validation_fraction=0.3, patience=5, learning_rate=0.5)
    model.fit(MOONS, NAMES)
    assert model.history_.stopped == "patience"
    assert len(model.history_.validation_loss) == model.n_iter_


def test_weights_of_classes_and_samples_move_the_border():
    plain, weighted = moons_model(epochs=5), moons_model(epochs=5, class_weight={"upper": 50.0})
    share = (plain.fit(MOONS, NAMES).predict(MOONS) == "upper").mean()
    assert (weighted.fit(MOONS, NAMES).predict(MOONS) == "upper").mean() > share
    given = np.where(NAMES == "upper", 50.0, 1.0)
    by_sample = moons_model(epochs=5).fit(MOONS, NAMES, sample_weight=given)
    assert np.allclose(by_sample.decision_function(MOONS), weighted.decision_function(MOONS))
    balanced = moons_model(epochs=5, class_weight="balanced").fit(MOONS, NAMES)
    assert np.allclose(balanced.decision_function(MOONS), plain.decision_function(MOONS))


def test_the_network_is_one_whose_gradient_can_be_read():
    model = moons_model(hidden=(2,), epochs=1).fit(MOONS, NAMES)
    graph = wg.Graph()
    logit = model.network_(graph.inputs("x", 2))
    assert "tanh" in str(wg.grad(logit, model.network_.layers[0].neurons[0].w[0]))


def test_a_pickled_estimator_predicts_and_goes_on():
    model = moons_model(epochs=10, warm_start=True).fit(MOONS, NAMES)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(MOONS), model.predict_proba(MOONS))
    again.fit(MOONS, NAMES)
    model.fit(MOONS, NAMES)
    assert np.array_equal(again.predict_proba(MOONS), model.predict_proba(MOONS))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hidden": (0,)}, r"hidden is \(0,\)"),
        ({"hidden": "wide"}, "hidden is 'wide'"),
        ({"optimizer": "newton"}, "optimizer is 'newton'"),
        ({"learning_rate": -1.0}, "Adam: lr is -1.0"),
        ({"validation_fraction": 1.0}, "validation_fraction is 1.0"),
        ({"patience": 3}, "set validation_fraction"),
        ({"class_weight": {"upper": 1.0, "middle": 2.0}}, "a weight for 'middle', which no y is"),
        ({"class_weight": 3}, "class_weight is 3"),
        ({"epochs": 0}, "epochs is 0"),
    ],
)
def test_settings_out_of_range_are_named_when_it_is_fitted(settings, words):
    model = clone(moons_model(**settings))
    with pytest.raises(SettingError, match=words):
        model.fit(MOONS, NAMES)


def test_without_scikit_learn_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['sklearn'] = None; sys.modules['sklearn.base'] = None\n"
        "import wengert\nwengert.estimators"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtraError: wengert.estimators needs scikit-learn" in done.stderr


def test_nothing_of_it_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moons_model(epochs=2).fit(MOONS, NAMES).predict(MOONS)
