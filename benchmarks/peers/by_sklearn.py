"""scikit-learn's own network, `MLPClassifier`, and wengert's by the same rules.

Both draw their weights themselves, so what is judged is what they are for: how many of the samples
held out are told right.
"""

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from harness import Peer, Prepared
from problems import BAR, Labelled
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from peers.by_wengert import has_llvm
from wengert.estimators import Classifier


def theirs(problem: Labelled) -> MLPClassifier:
    return MLPClassifier(
        problem.hidden,
        alpha=0.0,  # no decay of weights, as with wengert's Adam
        batch_size=problem.batch,
        learning_rate_init=problem.rate,
        max_iter=problem.epochs,
        n_iter_no_change=problem.epochs,
        tol=0.0,
        random_state=0,
    )


def ours(problem: Labelled, target: str) -> Classifier:
    return Classifier(
        problem.hidden,
        activation="relu",
        batch_size=problem.batch,
        learning_rate=problem.rate,
        epochs=problem.epochs,
        target=target,
        random_state=0,
    )


def classifier(problem: Labelled, made: Callable) -> Prepared:
    """Training from scratch; what lacks of `BAR` in its accuracy is its difference."""
    X, X_held = np.array(problem.X), np.array(problem.X_held)

    def call():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # all epochs are wanted
            return made(problem).fit(X, problem.labels)

    def numbers(model) -> list[float]:
        return [max(0.0, BAR - model.score(X_held, problem.labels_held))]

    return Prepared(call, numbers)


PEERS = [
    Peer("scikit-learn", "sklearn", {"classifier": partial(classifier, made=theirs)}),
    *(
        Peer(
            f"wengert {target}, estimator",
            "sklearn",
            {"classifier": partial(classifier, made=partial(ours, target=target))},
            usable=usable,
        )
        for target, usable in (("numpy", lambda: True), ("native", has_llvm))
    ),
]
