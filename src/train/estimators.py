"""`Classifier` and `Regressor`: networks by the rules of scikit-learn.

They go into its pipelines, grid searches and cross-validation. The network is an ordinary `MLP`,
`estimator.network_`, whose gradients can be read and whose prediction `export` writes as plain
Python.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from pathlib import Path
from typing import Any, Self

from ..codegen.compiled import compile
from ..errors import MissingExtraError, SettingError, kind_of, shorten
from ..graph.expr import Expr, Graph
from ..ops.scalar import exp, maximum, sigmoid, where
from ..storage import PathLike
from .choice import TargetName
from .fit import fit
from .history import History
from .nn import MLP
from .optim import OPTIMIZERS, Optimizer
from .schedules import Schedule
from .settings import FRACTION

try:
    import numpy
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError:
    raise MissingExtraError(
        "wengert.estimators needs scikit-learn 1.6 or newer: pip install 'scikit-learn>=1.6'"
    ) from None

__all__ = ["Classifier", "Regressor"]


class _Estimator(BaseEstimator):  # type: ignore[misc]
    """What both have in common."""

    network_: MLP
    history_: History
    classes_: Any
    n_features_in_: int

    def __init__(
        self,
        hidden: Iterable[int] = (16,),
        *,
        activation: Any = "tanh",
        loss: Any = None,
        optimizer: str | Optimizer = "adam",
        learning_rate: float | Schedule = 0.01,
        epochs: int = 200,
        batch_size: int | None = 200,
        validation_fraction: float = 0.0,
        patience: int | None = None,
        target: TargetName = "auto",
        random_state: Any = None,
        warm_start: bool = False,
        verbose: bool = False,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.target = target
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def _train(
        self, X: Any, y: Any, outputs: int, loss: Any, weights: Any, strata: Any = None
    ) -> None:
        """Make the network, or go on with it, and train it on numbers."""
        random = check_random_state(self.random_state)
        seeds = [int(random.randint(2**31 - 1)) for _ in range(2)]
        rule, before = self._rule(), None
        sizes = [*_sizes(self.hidden), outputs]
        network = getattr(self, "network_", None) if self.warm_start else None
        if network is not None and _shape(network) == [X.shape[1], *sizes]:
            standing = self.history_.standing
            before = self.history_ if standing and standing.optimizer == rule else None
        else:
            activations = [*[self.activation] * (len(sizes) - 1), "linear"]
            init = "he" if self.activation == "relu" else "xavier"
            network = MLP(X.shape[1], sizes, activations, init=init, seed=seeds[0])
        X, y, weights, held = self._split(X, y, weights, strata, seeds[1])
        if weights is not None:
            weights = weights * (len(weights) / weights.sum())  # so that their mean is one of all
        history = fit(
            network,
            X,
            y,
            loss=loss,
            optimizer=rule,
            epochs=self.epochs,
            batch_size=None if self.batch_size is None else min(self.batch_size, len(X)),
            seed=seeds[1],
            reduce="mean",
            target=self.target,
            sample_weight=weights,
            validation=held,
            patience=self.patience if held is not None else None,
            resume=before,
            progress=bool(self.verbose),
        )
        self.network_, self.history_ = network, history
        self.n_iter_ = history.epochs
        self._forward = self._compiled()

    def _rule(self) -> Optimizer:
        if isinstance(self.optimizer, str) and self.optimizer in OPTIMIZERS:
            return OPTIMIZERS[self.optimizer](self.learning_rate)  # type: ignore[call-arg]
        if isinstance(self.optimizer, Optimizer):
            return self.optimizer
        raise SettingError(
            f"optimizer is {shorten(self.optimizer)}, {kind_of(self.optimizer)}; expected one of "
            f"{', '.join(OPTIMIZERS)}, or an optimizer with its settings, which has a learning "
            "rate of its own"
        )

    def _split(self, X: Any, y: Any, weights: Any, strata: Any, seed: int) -> Any:
        """What is trained on, and what is held out for validation."""
        share = self.validation_fraction
        FRACTION.check(share, "validation_fraction")
        if not share:
            if self.patience is not None:
                raise SettingError(
                    f"patience is {self.patience} epochs without a smaller validation loss; set "
                    "validation_fraction, such as 0.1"
                )
            return X, y, weights, None
        places = numpy.arange(len(X))
        kept, held = train_test_split(places, test_size=share, random_state=seed, stratify=strata)
        own = None if weights is None else weights[kept]
        return X[kept], y[kept], own, (X[held], y[held])

    def _compiled(self) -> Any:
        """The network's outputs for rows, as one function of arrays."""
        graph = Graph()
        x = graph.inputs("x", self.n_features_in_)
        outputs = self.network_(x)
        given = {"x": x, "params": self.network_.parameters()}
        return compile(given, outputs, batch=("x",), reduce=None, target="numpy", name="predict")

    def _outputs(self, X: Any) -> Any:
        """The outputs of the network: a number for each row, or a row of them."""
        check_is_fitted(self, "network_")
        X = validate_data(self, X, reset=False, dtype=numpy.float64)
        found = self._forward(X, [p.data for p in self.network_.parameters()])
        return numpy.transpose(numpy.asarray(found))

    def _written(self, outputs: list[Expr]) -> dict[str, Any]:
        """What an exported function gives, from the outputs for one row."""
        raise NotImplementedError

    def export(self, path: PathLike) -> Path:
        """Write the prediction as a module that needs Python's standard library alone.

        Its function `predict(x)` takes one row of numbers. Run by itself the module checks itself.
        A classifier's gives the probabilities in the order of `classes_`, and the place among
        them of the one that is predicted.
        """
        check_is_fitted(self, "network_")
        graph = Graph()
        x = graph.inputs("x", self.n_features_in_)
        outputs = self.network_(x)
        listed = outputs if isinstance(outputs, list) else [outputs]
        made = compile({"x": x}, self._written(listed), name="predict")
        return made.save(path)


class Classifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """A network that tells classes apart, after scikit-learn's rules.

    hidden               the widths of the hidden layers
    activation           of these: a name in wengert's table, or an operation; weights are drawn
                         after He for "relu", after Glorot for others
    loss                 None for cross-entropy: of one logit for two classes, of one for each for
                         more; else "hinge" for two classes
    optimizer            a name, whose `learning_rate` is a number or a schedule; or an optimizer
                         with settings of its own
    epochs, batch_size   as `fit` takes them; None means all samples in each step
    validation_fraction  the share of the samples that is held out, drawn from every class alike
    patience             ends training after so many epochs without a smaller loss on those
    class_weight         a dict from classes to weights, or "balanced"
    target               "python", "numpy", "native" or "auto"
    random_state         a seed, a `numpy.random.RandomState`, or None
    warm_start           whether another `fit` goes on with the network there is
    verbose              whether to show a progress bar

    After `fit` it has `classes_`, `network_` (an `MLP`), `history_`, `n_features_in_` and, of data
    with names, `feature_names_in_`.

    >>> X, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], ["even", "odd", "odd", "even"]
    >>> model = Classifier(hidden=(8,), learning_rate=0.1, random_state=0).fit(X, y)
    >>> model.predict(X).tolist(), model.score(X, y)
    (['even', 'odd', 'odd', 'even'], 1.0)
    """

    def __init__(
        self,
        hidden: Iterable[int] = (16,),
        *,
        activation: Any = "tanh",
        loss: Any = None,
        optimizer: str | Optimizer = "adam",
        learning_rate: float | Schedule = 0.01,
        epochs: int = 200,
        batch_size: int | None = 200,
        validation_fraction: float = 0.0,
        patience: int | None = None,
        class_weight: Any = None,
        target: TargetName = "auto",
        random_state: Any = None,
        warm_start: bool = False,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            hidden,
            activation=activation,
            loss=loss,
            optimizer=optimizer,
            learning_rate=learning_rate,
            epochs=epochs,
            batch_size=batch_size,
            validation_fraction=validation_fraction,
            patience=patience,
            target=target,
            random_state=random_state,
            warm_start=warm_start,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows `X` and their classes `y`; itself."""
        X, y = validate_data(self, X, y, dtype=numpy.float64)
        check_classification_targets(y)
        classes, places = numpy.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"Classifier can't be trained on one class: every y is {shorten(classes[0])}; "
                "give samples of two classes or more"
            )
        if self.warm_start and hasattr(self, "classes_") and list(classes) != list(self.classes_):
            raise ValueError(
                f"warm_start goes on with classes {shorten(list(self.classes_))}, and y has "
                f"{shorten(list(classes))}"
            )
        weights = self._weights(sample_weight, X, classes, places)
        two = len(classes) == 2
        loss = self.loss
        if loss is None:
            loss = "binary_cross_entropy" if two else "cross_entropy"
        targets = 2.0 * places - 1 if loss == "hinge" else places.astype(float)
        self.classes_ = classes
        self._train(X, targets, 1 if two else len(classes), loss, weights, places)
        return self

    def _weights(self, sample_weight: Any, X: Any, classes: Any, places: Any) -> Any:
        if sample_weight is None and self.class_weight is None:
            return None
        weights = _check_sample_weight(
            sample_weight, X, dtype=numpy.float64, ensure_non_negative=True
        )
        if self.class_weight is None:
            return weights
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            counts = numpy.bincount(places)
            return weights * (len(places) / (len(classes) * counts))[places]
        if not isinstance(self.class_weight, dict):
            raise SettingError(
                f"class_weight is {shorten(self.class_weight)}, {kind_of(self.class_weight)}; "
                "expected a dict from classes to weights, 'balanced' or None"
            )
        unknown = set(self.class_weight) - set(classes.tolist())
        if unknown:
            raise SettingError(
                f"class_weight has a weight for {shorten(min(unknown, key=repr))}, which no y is; "
                f"the classes: {', '.join(map(repr, classes.tolist()[:10]))}"
            )
        each = [self.class_weight.get(kind, 1.0) for kind in classes.tolist()]
        return weights * numpy.array(each, float)[places]

    def decision_function(self, X: Any) -> Any:
        """The logits: for two classes that of the second, else one for each class."""
        return self._outputs(X)

    def predict_proba(self, X: Any) -> Any:
        """A probability for each class, in the order of `classes_`."""
        logits = self._outputs(X)
        if logits.ndim == 1:
            share = sigmoid_of(logits)
            return numpy.column_stack([1 - share, share])
        powers = numpy.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> Any:
        """The most probable class of every row."""
        logits = self._outputs(X)
        places = (logits > 0).astype(int) if logits.ndim == 1 else logits.argmax(axis=1)
        return self.classes_[places]

    def _written(self, outputs: list[Expr]) -> dict[str, Any]:
        if len(outputs) == 1:
            share = sigmoid(outputs[0])
            return {"probabilities": [1 - share, share], "place": where(outputs[0] > 0, 1.0, 0.0)}
        largest: Any = outputs[0]
        place: Any = 0.0
        for k, logit in enumerate(outputs[1:], start=1):
            place = where(logit > largest, float(k), place)
            largest = maximum(largest, logit)
        powers = [exp(logit - largest) for logit in outputs]
        total = sum(powers[1:], powers[0])
        return {"probabilities": [power / total for power in powers], "place": place}


class Regressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """A network that estimates numbers, after scikit-learn's rules.

    The settings are those of `Classifier` but for `class_weight`; `loss` is None for the squared
    error, or a function (prediction, target) -> scalar. Several numbers for each row may be
    estimated at once.

    >>> import numpy
    >>> X = numpy.linspace(-1, 1, 40)[:, None]
    >>> model = Regressor(learning_rate=0.05, epochs=500, random_state=0).fit(X, X[:, 0] ** 2)
    >>> bool(model.score(X, X[:, 0] ** 2) > 0.95)
    True
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows `X` and a number, or a row of them, for each; itself."""
        X, y = validate_data(self, X, y, dtype=numpy.float64, multi_output=True, y_numeric=True)
        y = numpy.asarray(y, float)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(
                sample_weight, X, dtype=numpy.float64, ensure_non_negative=True
            )
        self._column = y.ndim == 2
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        outputs = 1 if y.ndim == 1 else y.shape[1]
        loss = "squared_error" if self.loss is None else self.loss
        self._train(X, y, outputs, loss, weights)
        return self

    def predict(self, X: Any) -> Any:
        """What is estimated for every row: numbers, or rows of them where `y` was so."""
        found = self._outputs(X)
        return found[:, None] if self._column and found.ndim == 1 else found

    def _written(self, outputs: list[Expr]) -> dict[str, Any]:
        return {"prediction": outputs[0] if len(outputs) == 1 else outputs}

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn is told of it."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def sigmoid_of(logits: Any) -> Any:
    """1 / (1 + e^-z) of every number, without overflow.

    >>> sigmoid_of(numpy.array([0.0, -1000.0])).tolist()
    [0.5, 0.0]
    """
    powers = numpy.exp(-numpy.abs(logits))
    return numpy.where(logits < 0, powers, 1.0) / (1 + powers)


def _sizes(hidden: Any) -> list[int]:
    """The widths of the hidden layers."""
    listed = [hidden] if isinstance(hidden, Integral) else hidden
    try:
        widths = list(listed)
    except TypeError:
        widths = [None]
    for width in widths:
        if isinstance(width, bool) or not isinstance(width, Integral) or width < 1:
            raise SettingError(
                f"hidden is {shorten(hidden)}; expected the widths of the hidden layers, such as "
                "(16, 16)"
            )
    return [int(width) for width in widths]


def _shape(network: MLP) -> list[int]:
    return [network.nin, *(len(layer.neurons) for layer in network.layers)]
