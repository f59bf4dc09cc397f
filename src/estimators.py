"""Networks that go by scikit-learn's rules, for `from wengert.estimators import Classifier`."""

from .train.estimators import Classifier, Regressor

__all__ = ["Classifier", "Regressor"]
