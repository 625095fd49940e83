"""Predictions of a metric that has bounds stay inside them, in the order that they had.

Inside the range that was measured a prediction stays as it is; beyond it, it goes on in a straight
line on the scale of the metric's link, with the slope that it has there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.metrics import bounds

Floats = NDArray[np.float64]

_EDGE = 0.01  # from a bound: where the line begins at the latest
_FAR = 30.0  # on the link's scale, where floats still differ from the bound


def same_unit(predicted: Floats, measured: Floats) -> bool:
    """Whether predictions are in the unit of the measurements; a ranking score need not be.

    They are taken to be when most lie within twice the measured range around it.
    """
    low, high = measured.min(), measured.max()
    wide = max(high - low, 1e-12)
    near = (predicted >= low - 2 * wide) & (predicted <= high + 2 * wide)
    return bool(np.mean(near) > 0.5)


def within(
    metric: str, measured: Floats, mean: Floats, std: Floats | None = None
) -> tuple[Floats, Floats | None]:
    """Predictions, and their deviations, as values that the metric can have.

    With bounds 0 and 1, h the largest measured value, at least 1/2, and m > h a prediction, logit
    of the result is logit(h) + (m - h) / (h (1 - h)); likewise below the smallest. With the bound 1
    alone, as R^2 has it, the link is -log(1 - m). A deviation is multiplied by the slope at its
    mean. Scores in another unit than the metric's, and metrics without bounds, are left as they
    are.

    Args:
        metric: its name, such as "val_acc".
        measured: values that the predictor knew, at least one.
        mean: predictions, (n,).
        std: (n,), or None.

    >>> values, _ = within("val_acc", np.array([0.5, 0.9]), np.array([0.7, 0.95, 1.025]))
    >>> values.round(3).tolist()
    [0.7, 0.94, 0.973]
    """
    low, high = bounds(metric)
    known = measured[np.isfinite(measured)]
    if not np.isfinite(high) or not (len(known) and len(mean)) or not same_unit(mean, known):
        return mean, std
    middle = (low + high) / 2  # of two bounds: only towards its nearer one is anything pressed
    top = min(max(float(known.max()), middle), high - _EDGE)
    bottom = max(min(float(known.min()), middle), low + _EDGE)
    out, slope = mean.astype(np.float64), np.ones(len(mean))
    for part, end, sign in ((mean > top, top, 1.0), (mean < bottom, bottom, -1.0)):
        if not part.any():
            continue
        beyond = sign * (mean[part] - end)
        if np.isfinite(low):
            room = (end - low) * (high - end)
            z = np.log((end - low) / (high - end)) + sign * np.minimum(beyond / room, _FAR)
            share = 1 / (1 + np.exp(-z))
            out[part], slope[part] = low + share, share * (1 - share) / room
        else:
            slope[part] = np.exp(-np.minimum(beyond / (high - end), _FAR))
            out[part] = high - (high - end) * slope[part]
    return out, None if std is None else std * slope
