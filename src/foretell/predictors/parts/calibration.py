"""How wide deviations must be for intervals to hold what they say of rows that are not known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from foretell.predictors.base import Floats
from foretell.predictors.parts.targets import Scale, Scales

LEVEL, REACH = 0.9, 1.6448536  # of the interval, and its half-width in standard deviations
FOLDS, FEWEST = 4, 5  # of a calibration by fits on folds, and results for it
_MOST = 1e4  # of an addition, in variances of the targets
_TINY, _HALVED = 1e-9, 12  # of what is searched: where it ends, and how often it is halved
_OWN = 250  # results up to which a row's scale is one without it: of more, one says little


def widening(
    y: Floats, score: Floats, variance: Floats, scale: Scale | Scales, chosen: float = 0.0
) -> tuple[float, float]:
    """Factor and addition (a, b) with which 90 % intervals hold 90 % of unseen rows.

        quantile_q(|y_i - mean_i| / std_i) = 1.645,    q = 0.9 (n + 1) / n,

    with mean_i and std_i on the scale of the targets, of scores with the variance a v_i + b; b = 0
    where a below 1 is enough, else a = 1. Of few rows the quantile is a little higher, as the next
    error is as likely to be the largest as any of these (conformal prediction).

    Args:
        y: targets of rows that the model has not seen, (n,).
        score: what it says of them on the scale on which it learns, (n,).
        variance: v, of these scores as far as the model knows, (n,).
        scale: of scores to targets, best one that does not know the row's own (`unaware`).
        chosen: numbers that all rows together have set, the row's own too, such as p length scales:
            errors are sqrt(n / (n - p)) times as large of rows that had no part in it, as those of
            a regression are; p counts up to n / 2.

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
    n = len(y)
    error = np.abs(y - scale.value(score)) * np.sqrt(n / (n - min(chosen, n / 2)))
    level = min(LEVEL * (n + 1) / n, 1.0)

    def over(factor: float, more: float) -> bool:
        std = scale.spread(score, np.sqrt(factor * variance + more))
        return bool(np.quantile(error / np.maximum(std, 1e-300), level) > REACH)

    if not over(1.0, 0.0):
        return _least(lambda factor: not over(factor, 0.0), 1.0), 0.0
    high = 1.0
    while over(1.0, high) and high < _MOST:
        high *= 4.0
    return 1.0, _least(lambda more: not over(1.0, more), high)


def _least(enough: Callable[[float], bool], high: float) -> float:
    """The least number that is enough, to a few parts in ten thousand; `high` is."""
    low = high / 4.0
    while enough(low) and low > _TINY:
        low, high = low / 4.0, low
    for _ in range(_HALVED):
        middle = (low + high) / 2.0
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def unaware(scale: Scale, y: Floats, group: NDArray[np.intp] | None = None) -> Scale | Scales:
    """For each row of targets y (n,) the scale that knows the others', or those of other groups'.

    Else the largest of twenty targets is never beyond what is known, as the next one is in one of
    ten cases. With more than 250 results it is `scale` itself.

    >>> y = np.array([1.0, 2.0, 4.0, 9.0])
    >>> scale = Scale.of(y, "rank")
    >>> scale.value(scale.score(y)).round(6).tolist()
    [1.0, 2.0, 4.0, 9.0]
    >>> unaware(scale, y).value(scale.score(y)).round(6).tolist()
    [-1.5, 2.5, 5.5, 5.5]
    """
    if len(y) > _OWN:
        return scale
    return Scales.without(scale, y, np.arange(len(y)) if group is None else group)


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
    return widening(y, score, variance, unaware(scale, y, fold))
