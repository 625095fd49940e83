"""One cell of a study of predictors: tune, fit, predict, score."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell import metrics
from foretell._threads import one_thread
from foretell.predictors import unfitted
from foretell.predictors.parts.predicted import predicted
from foretell.spaces.base import Rows, Space
from foretell.studies._splits import Split
from foretell.studies._study import Cell
from foretell.studies._tuning import Tuning, tune

Floats = NDArray[np.float64]
TOP_K = 10
LEVELS = (0.50, 0.68, 0.90, 0.95)  # of central intervals


@dataclass(frozen=True)
class PredictorRecord:
    """One predictor, fitted on `n_train` rows and scored on the test rows of one seed.

    The correlations and `precision_at_k` are those of `foretell.metrics` with k = 10 and a step of
    0.001 for fractions, 0.1 for percent (any column with values above 1.5); `best_at_k` is the
    best true value among the 10 test rows with the highest prediction, `regret_at_k` what is
    missing from it to the best test row.
    Where different rows may compute the same function, `kendall_unseen` is Kendall's tau on the
    test rows whose function (`space.canonical`) no training row computes.
    `fit_s` and `query_s` are processor seconds of fitting and of predicting all `n_test` rows with
    one thread, `tune_s` those of choosing settings before; `tuned` are the settings chosen.

    Where the predictor has an uncertainty, `coverage_90` is the share of true values inside the
    central normal interval of level 90 percent, and so on, `calibration_error` that of
    `foretell.metrics`, and `sharpness` the mean predicted standard deviation, in units of y.
    """

    predictor: str
    settings: str
    n_train: int
    seed: int
    n_test: int = 0
    kendall: float | None = None
    kendall_unseen: float | None = None
    spearman: float | None = None
    pearson: float | None = None
    sparse_kendall: float | None = None
    precision_at_k: float | None = None
    best_at_k: float | None = None
    regret_at_k: float | None = None
    fit_s: float | None = None
    query_s: float | None = None
    tune_s: float | None = None
    tuned: str = ""
    trials: int = 0
    coverage_50: float | None = None
    coverage_68: float | None = None
    coverage_90: float | None = None
    coverage_95: float | None = None
    calibration_error: float | None = None
    sharpness: float | None = None
    error: str = ""


_NAMES = [f.name for f in fields(PredictorRecord)]
SCORES = tuple(_NAMES[_NAMES.index("kendall") : _NAMES.index("tune_s") + 1])
CALIBRATION = tuple(_NAMES[_NAMES.index("coverage_50") : _NAMES.index("error")])


def score(
    space: Space,
    splits: Mapping[int, Split],
    step: float,
    sign: float,
    models: Mapping[str, Any],
    tuning: Tuning | None,
    cell: Cell,
) -> Cell:
    """The fields of `PredictorRecord` for one predictor, training size and seed.

    Args:
        space: of the rows.
        splits: seed -> its rows.
        step: of the sparse Kendall tau.
        sign: -1 where targets were negated because small values are good.
        models: label -> catalog name or unfitted regressor.
        tuning: what may be tried before.
        cell: predictor, n_train and seed.
    """
    one, seed, n = splits[cell["seed"]], cell["seed"], cell["n_train"]
    X, y, true = one.X_train[:n], one.y_train[:n], one.y_test
    model = unfitted(models[cell["predictor"]], space, seed)
    with one_thread():
        start = time.process_time()
        tuned = tune(model, X, y, tuning, seed)
        model.set_params(**tuned.settings)
        chosen = time.process_time()
        model.fit(X, y)
        fitted = time.process_time()
        predicted = np.asarray(model.predict(one.X_test), dtype=np.float64)
        done = time.process_time()
        calibration = _calibration(model, one)
    regret = metrics.regret(true, predicted, TOP_K)
    return {
        "n_test": len(true),
        "kendall": metrics.kendall(true, predicted),
        "kendall_unseen": _unseen(space, X, one.X_test, true, predicted),
        "spearman": metrics.spearman(true, predicted),
        "pearson": metrics.pearson(true, predicted),
        "sparse_kendall": metrics.sparse_kendall(true, predicted, step),
        "precision_at_k": metrics.precision_at_k(true, predicted, TOP_K),
        "best_at_k": float(sign * (true.max() - regret)),
        "regret_at_k": regret,
        "fit_s": fitted - chosen,
        "query_s": done - fitted,
        "tune_s": chosen - start,
        "tuned": str(tuned),
        "trials": tuned.trials,
        **calibration,
    }


def _unseen(space: Space, X: Rows, X_test: Rows, true: Floats, predicted: Floats) -> float | None:
    """Tau on functions that are new; None where each row is its own, or all are known."""
    if type(space).canonical is Space.canonical:
        return None
    new = ~np.isin(space.canonical(X_test), space.canonical(X))
    return metrics.kendall(true[new], predicted[new]) if new.sum() > 1 else None


def _calibration(model: Any, one: Split) -> Cell:
    """Coverage of the intervals of a predictor that has them."""
    mean, std = predicted(model, one.X_test)
    if std is None:
        return {}
    return {
        **{
            f"coverage_{round(100 * level)}": metrics.coverage(one.y_test, mean, std, level)
            for level in LEVELS
        },
        "calibration_error": metrics.calibration_error(one.y_test, mean, std),
        "sharpness": float(std.mean()),
    }


def sparse_step(y: NDArray[np.float64]) -> float:
    """0.1 for percent, 0.001 for fractions."""
    return 0.1 if np.abs(y).max() > 1.5 else 0.001
