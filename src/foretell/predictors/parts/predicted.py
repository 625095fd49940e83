"""What any regressor says of rows, and how sure it is: the only place that asks."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import StackingRegressor
from sklearn.feature_selection import RFE
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline

Floats = NDArray[np.float64]


def predicted(model: Any, X: Any) -> tuple[Floats, Floats | None]:
    """Mean (n,) of `model` and its standard deviation (n,), None where it has none.

    A deviation is found behind the last step of a `Pipeline`, a search over settings
    (`GridSearchCV`), `StackingRegressor`, `RFE`, and `TransformedTargetRegressor`, whose inverse g
    carries it over as |g(mean + std) - g(mean - std)| / 2. Errors of the model are those of the
    caller.

    Args:
        model: fitted; anything with `predict(X)`. It has a deviation if it says so by `has_std`, or
            else if its `predict` takes `return_std` or it has `pred_dist` (ngboost).
        X: what its `predict` takes; with no rows the model is not asked.

    >>> from sklearn.linear_model import BayesianRidge, Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = [[0.0], [1.0], [2.0]], [0.0, 1.0, 3.0]
    >>> predicted(make_pipeline(StandardScaler(), Ridge()).fit(X, y), X)[1] is None
    True
    >>> predicted(make_pipeline(StandardScaler(), BayesianRidge()).fit(X, y), X)[1].shape
    (3,)
    """
    known = has_std(model)
    if not len(X):
        return np.zeros(0), np.zeros(0) if known else None
    if not known:
        return np.asarray(model.predict(X), dtype=np.float64), None
    inner = _inner(model)
    if isinstance(model, TransformedTargetRegressor):
        return _carried(model, *predicted(inner, X))
    if inner is not None:
        return predicted(inner, _seen_by(model, X))
    if _takes_return_std(model):
        mean, std = model.predict(X, return_std=True)
    else:
        normal = model.pred_dist(X)
        mean, std = normal.mean(), normal.std()
    return np.asarray(mean, dtype=np.float64), np.asarray(std, dtype=np.float64)


def has_std(model: Any) -> bool:
    """Whether `predicted` gives a deviation of this model, fitted or not."""
    inner = _inner(model)
    if inner is not None:
        return has_std(inner)
    said = getattr(model, "has_std", None)
    if said is not None:
        return bool(said)
    return _takes_return_std(model) or hasattr(model, "pred_dist")


def _inner(model: Any) -> Any:
    """The model that predicts for another: the fitted one, or what will be fitted."""
    if isinstance(model, Pipeline):
        return model.steps[-1][1]
    if isinstance(model, TransformedTargetRegressor):
        return getattr(model, "regressor_", model.regressor)
    if isinstance(model, StackingRegressor):
        return getattr(model, "final_estimator_", model.final_estimator)
    if isinstance(model, RFE):
        return getattr(model, "estimator_", model.estimator)
    if hasattr(model, "best_estimator_"):
        return model.best_estimator_
    return model.estimator if isinstance(model, (GridSearchCV, RandomizedSearchCV)) else None


def _seen_by(model: Any, X: Any) -> Any:
    """What a model shows the one inside of it."""
    if isinstance(model, Pipeline):
        return model[:-1].transform(X) if len(model) > 1 else X
    return model.transform(X) if isinstance(model, (StackingRegressor, RFE)) else X


def _takes_return_std(model: Any) -> bool:
    try:
        return "return_std" in inspect.signature(model.predict).parameters
    except (AttributeError, TypeError, ValueError):  # no `predict`, or one that is not Python
        return False


def _carried(
    model: TransformedTargetRegressor, mean: Floats, std: Floats | None
) -> tuple[Floats, Floats | None]:
    """A deviation on the scale of the target itself."""
    assert std is not None  # `has_std` has looked
    low, middle, high = (
        np.asarray(model.transformer_.inverse_transform(at[:, None]), np.float64).ravel()
        for at in (mean - std, mean, mean + std)
    )
    return middle, np.abs(high - low) / 2
