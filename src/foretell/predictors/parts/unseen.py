"""What a predictor says of rows that its fit has not seen, on the scale of ranks."""

from __future__ import annotations

import math
import time
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from foretell.predictors.base import Floats, Predictor
from foretell.predictors.parts.blend import Unseen, clearly_worse
from foretell.predictors.parts.predicted import predicted
from foretell.predictors.parts.targets import Scale
from foretell.spaces.base import Rows


def on_ranks(model: Predictor, X: Rows, scale: Scale) -> tuple[Floats, Floats]:
    """Predictions on the scale of ranks, and their variance: 0 where the method has none."""
    mean, std = predicted(model, X)
    if std is None:
        return scale.score(mean), np.zeros(len(X))
    return scale.score(mean), ((scale.score(mean + std) - scale.score(mean - std)) / 2) ** 2


def predict_unseen(
    model: Predictor,
    X: Rows,
    y: Floats,
    fold: NDArray[np.intp],
    scale: Scale,
    best: Floats | None,
    end: float = math.inf,
    times: float = 1.0,
) -> Unseen | Literal["worse", "late"]:
    """What fits without the row's fold say of each row; a single fold is predicted by itself.

    Given up when it is clearly worse than `best`, or would not be done by `end`, with a last fit
    on so many `times` the rows.
    """
    score, variance = np.zeros(len(y)), np.zeros(len(y))
    start, n_folds = time.monotonic(), int(fold.max()) + 1
    if model.leaves_out:  # one fit is enough
        fitted = clone(model).fit(X, y)
        if fitted.unseen_ is not None:
            low, mean, high = (
                scale.score(fitted.unseen_[0] + sign * fitted.unseen_[1]) for sign in (-1, 0, 1)
            )
            return Unseen(mean, ((high - low) / 2) ** 2, 0.0, fitted)
    last = times / (1 - 1 / max(n_folds, 2))  # rows of the last fit, in those of a fold's fit
    for k in range(n_folds):
        now, known = time.monotonic(), fold < k
        if now + (now - start) / max(k, 1) * (n_folds - k + last) >= end:
            return "late"
        if best is not None and k >= 2 and clearly_worse(y[known], score[known], best[known]):
            return "worse"
        out = fold == k
        rest = out if out.all() else ~out
        fitted = clone(model).fit(X[rest], y[rest])
        score[out], variance[out] = on_ranks(fitted, X[out], scale)
    return Unseen(score, variance, (time.monotonic() - start) / n_folds * last)
