"""How wide deviations must be for intervals to hold what they say of rows that are not known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from foretell.predictors.base import Floats
from foretell.predictors.parts.targets import Scale

LEVEL, REACH = 0.9, 1.6448536  # of the interval, and its half-width in standard deviations
FOLDS, FEWEST = 4, 5  # of a calibration by fits on folds, and results for it
_MOST = 1e4  # of an addition, in variances of the targets


def widening(y: Floats, score: Floats, variance: Floats, scale: Scale) -> tuple[float, float]:
    """Factor and addition (a, b) with which 90 % intervals hold 90 % of unseen rows.

        quantile_q(|y_i - mean_i| / std_i) = 1.645,    q = 0.9 (n + 1) / n,

    with mean_i and std_i on the scale of the targets, of scores with the variance a v_i + b; b = 0
    where a below 1 is enough, else a = 1. Of few rows the quantile is a little higher, as the next
    error is as likely to be the largest as any of these (conformal prediction).

    Args:
        y: targets of rows that the model has not seen, (n,).
        score: what it says of them on the scale on which it learns, (n,).
        variance: v, of these scores as far as the model knows, (n,).
        scale: of scores to targets.

    References: Lei et al. 2018, Distribution-Free Predictive Inference for Regression, section 2.

    >>> y = np.linspace(-2.0, 2.0, 201)
    >>> scale = Scale(np.array([-1.0, 1.0]), np.array([-1.0, 1.0]))
    >>> a, b = widening(y, np.zeros(201), np.full(201, 0.01), scale)
    >>> a, round(1.645 * float(np.sqrt(0.01 + b)), 1)
    (1.0, 1.8)
    >>> a, b = widening(y, np.zeros(201), np.full(201, 100.0), scale)
    >>> bool(a < 1), b
    (True, 0.0)
    """
    error = np.abs(y - scale.value(score))
    level = min(LEVEL * (len(y) + 1) / len(y), 1.0)

    def over(factor: float, more: float) -> bool:
        std = scale.spread(score, np.sqrt(factor * variance + more))
        return bool(np.quantile(error / np.maximum(std, 1e-300), level) > REACH)

    if not over(1.0, 0.0):
        low, high = 0.0, 1.0
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if over(middle, 0.0) else (low, middle)
        return high, 0.0
    low, high = 0.0, 1.0
    while over(1.0, high) and high < _MOST:
        low, high = high, 4.0 * high
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if over(1.0, middle) else (low, middle)
    return 1.0, high


def by_folds(
    y: Floats,
    scale: Scale,
    rng: np.random.Generator,
    said: Callable[[NDArray[np.bool_]], tuple[Floats, Floats]],
) -> tuple[float, float]:
    """Factor and addition of `widening`, from four fits that each leave a fold of the rows out.

    For methods that know no cheaper way; with fewer than five results nothing is changed: (1, 0).

    Args:
        y: targets, (n,).
        scale: of scores to targets.
        rng: draws the folds.
        said: score and variance, on the scale on which is learnt, that a fit on the other rows
            gives of those that are true in a mask (n,).

    >>> y = np.linspace(-1.7, 1.7, 40)
    >>> sure = lambda out: (np.zeros(out.sum()), np.full(out.sum(), 1e-4))
    >>> a, b = by_folds(y, Scale.of(y, "value"), np.random.default_rng(0), sure)
    >>> a, bool(0.8 < b < 1.2)
    (1.0, True)
    """
    if len(y) < FEWEST:
        return 1.0, 0.0
    fold = rng.permutation(len(y)) % FOLDS
    score, variance = np.zeros(len(y)), np.zeros(len(y))
    for k in range(FOLDS):
        score[fold == k], variance[fold == k] = said(fold == k)
    return widening(y, score, variance, scale)
