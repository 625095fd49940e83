"""The start of a curve in a few numbers, however long it is."""

from __future__ import annotations

import numpy as np

from foretell.evidence.curves.base import Floats

POINTS = 8
SIZE = POINTS + 7


def summary(scores: Floats, horizon: int) -> Floats:
    """Features of scores (n, t) on the way to the horizon, (n, 15).

    The values at 8 epochs that are spaced evenly in log x, the last value and the mean of the last
    quarter, the rise over the last half, the deviation of second differences, log t, log horizon,
    and log of horizon / t.

    >>> summary(np.array([[0.1, 0.2, 0.3, 0.4]]), 8)[0, [0, 7, 8, 9, 10]].round(2).tolist()
    [0.1, 0.4, 0.4, 0.4, 0.2]
    """
    n, t = scores.shape
    x = np.arange(1.0, t + 1)
    at = np.geomspace(1.0, t, POINTS)
    low = np.minimum(np.searchsorted(x, at, side="right") - 1, t - 1)
    high = np.minimum(low + 1, t - 1)
    share = at - x[low]
    values = scores[:, low] * (1 - share) + scores[:, high] * share
    last = scores[:, -1:]
    quarter = scores[:, -max(1, t // 4) :].mean(axis=1, keepdims=True)
    rise = last - scores[:, max(0, t - 1 - t // 2)][:, None]
    second = np.diff(scores, n=2, axis=1)
    rough = second.std(axis=1, keepdims=True) if second.shape[1] else np.zeros((n, 1))
    about = np.log([t, max(horizon, t), max(horizon, t) / t])
    parts = [values, last, quarter, rise, rough, np.tile(about, (n, 1))]
    return np.concatenate(parts, axis=1)
