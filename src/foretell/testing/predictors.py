"""What every predictor promises, as checks that anyone can run on an own one.

>>> import foretell as ft
>>> space = ft.spaces.get("nb201")
>>> check_predictor(ft.predictors.get("mean", space=space, random_state=0), learns=False)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import RandomizedSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from foretell._rng import stream
from foretell.errors import ForetellError, NoUncertaintyError
from foretell.metrics import kendall
from foretell.predictors.base import Predictor
from foretell.spaces.base import Rows
from foretell.testing._globals import global_states
from foretell.testing.strategies import made_up_values


def check_predictor(model: Predictor, learns: bool = True) -> None:
    """Run all checks of this module; AssertionError says which promise is broken.

    Args:
        model: an unfitted predictor with a fixed `random_state`.
        learns: whether it learns an order from the targets; False for baselines.
    """
    for check in CHECKS:
        check(model)
    if learns:
        check_learns(model)


def examples(model: Predictor, n: int = 24) -> tuple[Rows, NDArray[np.float64]]:
    """`n` rows of the model's space and smooth made-up targets with a little noise."""
    X = model.space.sample(n, stream(0, "examples"))
    return X, made_up_values(model.space, X) + 0.05 * stream(0, "noise").normal(size=n)


def check_fit_and_predict(model: Predictor) -> None:
    """`fit` returns self, leaves X and y alone; n rows give n finite numbers, also n = 0."""
    X, y = examples(model)
    before = X.copy(), y.copy()
    fresh = clone(model)
    _raises(NotFittedError, lambda: fresh.predict(X), "predict before fit")
    assert fresh.fit(X, y) is fresh, "fit did not return self"
    for rows in (X, X[:1], X[:0], X.astype(np.int64), X.astype(np.float64)):
        mean = fresh.predict(rows)
        assert mean.shape == (len(rows),), f"{len(rows)} rows gave shape {mean.shape}"
        assert np.isfinite(mean).all(), "a prediction is not finite"
    assert np.array_equal(X, before[0]), "X was modified"
    assert np.array_equal(y, before[1]), "y was modified"


def check_uncertainty(model: Predictor) -> None:
    """`return_std` gives n finite numbers of at least 0, or NoUncertaintyError."""
    X, y = examples(model)
    fitted = clone(model).fit(X, y)
    if not model.has_std:
        _raises(NoUncertaintyError, lambda: fitted.predict(X, return_std=True), "return_std")
        return
    mean, std = fitted.predict(X, return_std=True)
    assert mean.shape == std.shape == (len(X),), f"shapes {mean.shape} and {std.shape}"
    assert np.isfinite(std).all(), "a standard deviation is not finite"
    assert (std >= 0).all(), "a standard deviation is negative"
    assert np.array_equal(mean, fitted.predict(X)), "the mean depends on return_std"


def check_determinism(model: Predictor) -> None:
    """Clones with one seed predict the same; rows are predicted one by one as together."""
    X, y = examples(model)
    first, second = (clone(model).fit(X, y) for _ in range(2))
    mean = first.predict(X)
    assert np.array_equal(mean, second.predict(X)), "equal seeds gave different predictions"
    assert np.array_equal(mean, first.fit(X, y).predict(X)), "fit remembers an earlier fit"
    alone = np.array([first.predict(x[None])[0] for x in X[:5]])
    assert np.allclose(alone, mean[:5], rtol=1e-4, atol=1e-4), "a prediction depends on its batch"


def check_global_randomness(model: Predictor) -> None:
    """The global generators of random, numpy and (when it is loaded) torch are not touched."""
    X, y = examples(model)
    clone(model).fit(X, y).predict(X)  # what it imports may draw
    before = global_states()
    clone(model).fit(X, y).predict(X)
    for name, state in global_states().items():
        assert state == before[name], f"the global generator of {name} was used"


def check_parameters(model: Predictor) -> None:
    """`__init__` stores its arguments as given; clone and set_params give them back."""
    params = model.get_params(deep=False)
    for name, value in clone(model).get_params(deep=False).items():
        assert repr(value) == repr(params[name]), f"clone changed parameter {name!r}"
    changed = clone(model).set_params(random_state=5)
    assert changed.get_params()["random_state"] == 5, "set_params had no effect"
    assert changed.space is model.space, "clone copied the space"


def check_few_and_equal(model: Predictor) -> None:
    """One row, two rows, equal rows, and equal targets are learnt from without complaint."""
    X, y = examples(model)
    for rows, targets in (
        (X[:1], y[:1]),
        (X[:2], y[:2]),
        (np.repeat(X[:1], 12, axis=0), y[:12]),
        (X, np.full(len(X), 0.7)),
        (X, np.zeros(len(X))),
        (X, np.where(np.arange(len(X)) == 3, -1e6, y)),
    ):
        mean = clone(model).fit(rows, targets).predict(X)
        assert np.isfinite(mean).all(), f"not finite after {len(rows)} rows"


def check_wrong_input(model: Predictor) -> None:
    """Wrong shapes, rows of another space, NaN and an empty set are refused in words."""
    X, y = examples(model)
    hole = y.copy()
    hole[3] = math.nan
    for rows, targets, what in (
        (X[:, :-1], y, "a missing column"),
        (X[0], y[:1], "a single row without its axis"),
        (X + 100, y, "options that do not exist"),
        (X + 0.5, y, "fractions"),
        (X, y[:-1], "a missing target"),
        (X, y[:, None], "targets with two axes"),
        (X, hole, "a NaN target"),
        (X, np.where(np.isnan(hole), np.inf, y), "an infinite target"),
        *([(X[:0], y[:0], "no rows")] if model.fewest else ()),
    ):
        _raises(ForetellError, partial(clone(model).fit, rows, targets), what)
    fitted = clone(model).fit(X, y)
    _raises(ForetellError, lambda: fitted.predict(X[:, :-1]), "predict with a missing column")


def check_scale(model: Predictor) -> None:
    """Predictions move with the targets: y + 100 gives predictions near 100."""
    X, y = examples(model)
    low, high = (clone(model).fit(X, y + shift).predict(X) for shift in (0.0, 100.0))
    spread = float(np.ptp(y))
    assert abs(float(np.mean(high - low)) - 100.0) < spread, "predictions are not on the scale of y"


def check_scikit_learn(model: Predictor) -> None:
    """`cross_val_score`, `Pipeline` and `RandomizedSearchCV` take it."""
    X, y = examples(model)
    assert np.isfinite(cross_val_score(model, X, y, cv=2)).all(), "cross_val_score is not finite"
    pipeline = make_pipeline(FunctionTransformer(), model).fit(X, y)
    assert np.array_equal(pipeline.predict(X), clone(model).fit(X, y).predict(X)), "Pipeline"
    search = RandomizedSearchCV(model, {"random_state": [0, 1]}, n_iter=2, cv=2, random_state=0)
    assert search.fit(X, y).best_estimator_.predict(X).shape == y.shape, "RandomizedSearchCV"


def check_learns(model: Predictor) -> None:
    """On an additive target, 60 rows rank 200 others with a Kendall tau of at least 0.3."""
    X, y = examples(model, 260)
    predicted = clone(model).fit(X[:60], y[:60]).predict(X[60:])
    tau = kendall(y[60:], predicted)
    assert tau >= 0.3, f"Kendall tau {tau:.2f} on an additive target"


def _raises(error: type[Exception], call: Callable[[], object], what: str) -> None:
    try:
        call()
    except error:
        return
    raise AssertionError(f"{what} did not raise {error.__name__}")


CHECKS: tuple[Callable[[Predictor], None], ...] = (
    check_fit_and_predict,
    check_uncertainty,
    check_determinism,
    check_global_randomness,
    check_parameters,
    check_few_and_equal,
    check_wrong_input,
    check_scale,
    check_scikit_learn,
)
