"""How wide deviations must be for intervals to hold what they say of rows that are not known."""

from __future__ import annotations

import numpy as np

from foretell.predictors.base import Floats
from foretell.predictors.parts.targets import Scale

LEVEL, REACH = 0.9, 1.6448536  # of the interval, and its half-width in standard deviations
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
