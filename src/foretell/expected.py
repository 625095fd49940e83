"""What more trials would bring: by how much the best measured value would rise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell.errors import DataError, SettingError

Floats = NDArray[np.float64]

_TAIL = 8  # largest values that the tail is fitted to
_SHAPE = (-0.7, 0.4)  # mean and standard deviation of the prior of the tail's shape
LEAST = 5  # values below which nothing is said
_POINTS = 150  # of the integral over the gain


@dataclass(frozen=True)
class Gain:
    """The rise of the best measured value by `m` more trials.

    Args:
        m: how many more trials.
        mean: expected rise, in the unit of the values.
        low: the rise is below it with probability (1 - level) / 2.
        high: the rise is above it with probability (1 - level) / 2.
        chance: probability that the best rises at all.
    """

    m: int
    mean: float
    low: float
    high: float
    chance: float


def expected_gain(
    y: ArrayLike,
    m: int,
    *,
    predicted: ArrayLike | None = None,
    best: float | None = None,
    upper: float = np.inf,
    level: float = 0.9,
) -> Gain:
    """The rise by `m` more trials, from the upper tail of the random ones so far.

    The k = 8 largest of the n values lie above the threshold u and are taken as a generalised
    Pareto tail, S(t) = (1 + shape (t - u) / scale)^(-1 / shape), with the prior
    shape ~ N(-0.7, 0.4^2): values with an upper end, as accuracies have it, and a density between
    one that falls linearly towards it (-0.5) and one that ends abruptly (-1). One more trial gets
    above t at the rate lambda S(t), where lambda ~ Gamma(a, b) for a of b past trials above u. Over
    the posterior of shape and scale, on a grid, P(best of m > t) = E[1 - (1 + m S(t) / b)^(-a)];
    the expected rise is its integral from the best on.

    A random trial has a = k and b = n. A trial that the predictor puts first has b = k and
    a = h + 1/2, where h of the k best out-of-fold predictions belong to values above u: it gets
    above u as often as those did, and no further.

    Assumed: the m trials come about as the n did. Values contain the luck of one training, and so
    does the rise. With n from 24 to 150 the mean was 0.9 to 1.8 times the true one on published
    tables (NAS-Bench-201, NAS-Bench-101) and 0.5 to 1 times for uniform, normal and exponential
    values; for predicted trials 0.3 to 1.6 times, too small where few are trained.

    Args:
        y: (n,) measured values of random trials, larger is better; NaN is left out.
        m: how many more, from 1.
        predicted: (n,) predictions by models that did not know the value; None: random trials.
        best: the value to beat; None: the largest of `y`.
        upper: no value is above it; 1 for an accuracy.
        level: of the interval.

    Raises:
        DataError: fewer than 5 values, or `predicted` of another shape.
        SettingError: `m` below 1, or `level` outside 0 to 1.

    References: Pickands, Statistical inference using extreme order statistics, Ann. Stat. 1975.

    >>> gain = expected_gain(np.linspace(0.5, 0.9, 41), 10)
    >>> round(gain.mean, 3), round(gain.chance, 2)
    (0.004, 0.19)
    """
    if m < 1 or not 0 < level < 1:
        raise SettingError(
            "expected gain", expected="m of 1 or more, level inside 0 to 1", got=(m, level)
        )
    values = np.asarray(y, dtype=np.float64)
    guess = values if predicted is None else np.asarray(predicted, dtype=np.float64)
    if values.ndim != 1 or guess.shape != values.shape:
        raise DataError("values", expected="shapes (n,)", got=(values.shape, guess.shape))
    known = np.isfinite(values) & np.isfinite(guess)
    values, guess = values[known], guess[known]
    n, k = len(values), min(_TAIL, len(values) - 1)
    if n < LEAST:
        raise DataError("too few values for an expected gain", expected=f"{LEAST} or more", got=n)
    ordered = np.sort(values)
    threshold, above = ordered[n - 1 - k], ordered[n - k :] - ordered[n - 1 - k]
    top = float(ordered[-1]) if best is None else float(best)
    if above[-1] <= 0 or top >= upper:  # nothing differs, or nothing is left
        return Gain(m, 0.0, 0.0, 0.0, 0.0)
    a, b = float(k), float(n)
    if predicted is not None:
        hits = np.count_nonzero(values[np.argsort(-guess, kind="stable")[:k]] > threshold)
        a, b = hits + 0.5, float(k)
    shape, scale, weight = _posterior(above)
    reach = min(8 * float(above[-1]), upper - top)
    rise = reach * np.linspace(0.0, 1.0, _POINTS) ** 3  # denser near the best
    base = 1 + shape[:, None] * (top + rise - threshold) / scale[:, None]
    survival = np.where(base > 0, np.maximum(base, 1e-300) ** (-1 / shape[:, None]), 0.0)
    beyond = weight @ (1 - (1 + m * np.minimum(survival, 1.0) / b) ** -a)
    low, high = (
        float(rise[min(int(np.sum(beyond > p)), _POINTS - 1)]) if beyond[0] > p else 0.0
        for p in ((1 + level) / 2, (1 - level) / 2)
    )
    mean = float(np.sum((beyond[1:] + beyond[:-1]) / 2 * np.diff(rise)))
    return Gain(m, mean, low, high, float(beyond[0]))


def _posterior(above: Floats) -> tuple[Floats, Floats, Floats]:
    """Shapes, scales and weights of generalised Pareto tails for some exceedances.

    Shapes: (k,) to three of (grid,).
    """
    shape: Floats = (
        np.linspace(-1.5, 0.4, 20) + 1e-9
    )  # none is exactly 0, where the formula has a limit
    scale = above.mean() * np.geomspace(0.4, 6.0, 24)
    shape, scale = np.repeat(shape, len(scale)), np.tile(scale, len(shape))
    base = 1 + shape[:, None] * above / scale[:, None]
    inside = (base > 0).all(axis=1)
    logs = np.log(np.maximum(base, 1e-300)).sum(axis=1)
    score = -len(above) * np.log(scale) - (1 / shape + 1) * logs
    score -= 0.5 * ((shape - _SHAPE[0]) / _SHAPE[1]) ** 2
    weight = np.where(inside, np.exp(np.minimum(score - score[inside].max(), 0.0)), 0.0)
    kept = weight > 1e-4
    return shape[kept], scale[kept], weight[kept] / weight[kept].sum()
