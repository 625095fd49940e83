"""How good a ranking is: `kendall`, `spearman`, `pearson`, `sparse_kendall`, `precision_at_k`, ...

All take true values and predictions of shape (n,), higher is better in both, and return a float;
a constant prediction ranks nothing and scores 0. What takes the best k has its expected value
where equal predictions, or equal targets, leave open which these are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from foretell._given import number, reals
from foretell.errors import DataError, SettingError

_SHARES = (
    *("acc", "balanced_acc", "precision", "recall", "f1", "macro_f1", "auroc"),
    *("map", "exact"),
)  # 0 to 1


def _pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    true, pred = reals(y_true, "metric"), reals(y_pred, "metric")
    if true.ndim != 1 or true.shape != pred.shape:
        raise DataError("metric", expected="two equal shapes (n,)", got=(true.shape, pred.shape))
    if not (np.isfinite(true).all() and np.isfinite(pred).all()):
        raise DataError("metric", expected="finite values", got="NaN or infinity")
    return true, pred


def _or_zero(value: float) -> float:
    return float(value) if np.isfinite(value) else 0.0


def kendall(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Kendall's tau-b, (concordant - discordant) / sqrt((pairs - ties_true)(pairs - ties_pred)).

    >>> round(kendall([1, 2, 3, 4], [1, 2, 4, 3]), 3)
    0.667
    """
    true, pred = _pair(y_true, y_pred)
    return _or_zero(stats.kendalltau(true, pred).statistic) if len(true) > 1 else 0.0


def sparse_kendall(y_true: ArrayLike, y_pred: ArrayLike, step: float) -> float:
    """Kendall's tau-b after rounding predictions to multiples of `step`.

    Differences inside the noise of one training then count as ties and are not punished.

    Args:
        y_true: measured values.
        y_pred: predictions, in the same unit.
        step: rounding step in the unit of y: 0.1 for percent, 0.001 for fractions.

    References: Siems et al. 2020, NAS-Bench-301; White et al. 2021.

    >>> sparse_kendall([1, 2, 3], [1.01, 1.02, 3.0], step=0.1) > kendall([1, 2, 3], [1.02, 1.01, 3])
    True
    """
    true, pred = _pair(y_true, y_pred)
    if not 0 < number(step) < np.inf:
        raise SettingError("sparse_kendall, step", expected="a positive number", got=step)
    return kendall(true, np.round(pred / step))


def spearman(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Spearman's rho: Pearson's correlation of the ranks, ties sharing their mean rank.

    >>> round(spearman([1, 2, 3], [10, 30, 20]), 2)
    0.5
    """
    true, pred = _pair(y_true, y_pred)
    return pearson(stats.rankdata(true), stats.rankdata(pred))


def pearson(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Pearson's linear correlation.

    >>> round(pearson([1, 2, 3], [2, 4, 6]), 6)
    1.0
    """
    true, pred = _pair(y_true, y_pred)
    with np.errstate(all="ignore"):  # of equal or huge values, whose correlation is 0
        return _or_zero(np.corrcoef(true, pred)[0, 1]) if len(true) > 1 else 0.0


def precision_at_k(y_true: ArrayLike, y_pred: ArrayLike, k: int) -> float:
    """Share of the true best `k` among the predicted best `k`; expected, with ties in any order.

    >>> precision_at_k([1, 2, 3, 4], [1, 4, 2, 3], k=2)
    0.5
    >>> precision_at_k([1, 2, 3, 4], [0, 0, 0, 0], k=1)
    0.25
    """
    true, pred = _pair(y_true, y_pred)
    k = _top_k(k, len(true))
    return float(_chance(true, k) @ _chance(pred, k)) / k


def regret(y_true: ArrayLike, y_pred: ArrayLike, k: int = 1) -> float:
    """Best value there is minus the best among the predicted best `k`; 0 is perfect.

    The expected value, with equal predictions in any order.

    >>> regret([1.0, 2.0, 4.0], [0.1, 0.9, 0.5], k=1)
    2.0
    >>> regret([1.0, 2.0, 6.0], [0.0, 0.0, 0.0], k=1)
    3.0
    """
    true, pred = _pair(y_true, y_pred)
    k = _top_k(k, len(true))
    return float(true.max() - _expected_best(true, pred, k))


def best_rank_at_k(y_true: ArrayLike, y_pred: ArrayLike, k: int) -> float:
    """N@K: the true rank (1 is best) of the best among the predicted best `k`.

    The expected value, with equal predictions in any order.

    References: Ning et al. 2020, GATES.

    >>> best_rank_at_k([1, 2, 3, 4], [1, 4, 2, 3], k=2)
    1.0
    """
    true, pred = _pair(y_true, y_pred)
    place = stats.rankdata(-true, method="min").astype(np.float64)
    return -_expected_best(-place, pred, _top_k(k, len(true)))


def coverage(y_true: ArrayLike, mean: ArrayLike, std: ArrayLike, level: float = 0.9) -> float:
    """Calibration: share of true values inside the central normal interval of `level`.

    A calibrated predictor has coverage equal to `level`.

    >>> coverage([0.0, 5.0], mean=[0.0, 0.0], std=[1.0, 1.0], level=0.9)
    0.5
    """
    true, centre = _pair(y_true, mean)
    width = stats.norm.ppf(0.5 + _share(level) / 2) * _deviations(std, true)
    return float(np.mean(np.abs(true - centre) <= width))


def calibration_error(y_true: ArrayLike, mean: ArrayLike, std: ArrayLike) -> float:
    """Expected calibration error: mean over levels p of |share of values inside - p|, in [0, 0.5].

    The share is that of the true values in the central normal interval of level p = 0.05, 0.10,
    ..., 0.95; 0 is calibrated, and too narrow and too wide intervals both count.

    References: Kuleshov et al. 2018, Accurate uncertainties for deep learning, section 3.5.

    >>> round(calibration_error([0.1, 5.0], mean=[0.0, 0.0], std=[1.0, 1.0]), 3)
    0.216
    """
    true, centre = _pair(y_true, mean)
    deviation = _deviations(std, true)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(true == centre, 0.0, np.abs(true - centre) / deviation)
    inside = 2 * stats.norm.cdf(z) - 1  # the smallest level whose interval holds the value
    levels = np.arange(1, 20) / 20
    return float(np.abs((inside[:, None] <= levels).mean(axis=0) - levels).mean())


def mean_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Mean of some seeds and half the width of its Student-t interval.

    >>> mean, half = mean_interval([1.0, 2.0, 3.0])
    >>> round(mean, 3), round(half, 3)
    (2.0, 2.484)
    """
    x = reals(values, "values")
    if len(x) < 2:
        return float(x[0]) if len(x) else float("nan"), float("nan")
    half = stats.t.ppf(0.5 + _share(level) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
    return float(x.mean()), float(half)


def bounds(name: str) -> tuple[float, float]:
    """The smallest and the largest value that a metric of networks can have.

    >>> bounds("val_acc"), bounds("test_r2"), bounds("speed")
    ((0.0, 1.0), (-inf, 1.0), (-inf, inf))
    """
    kind = name.removeprefix("val_").removeprefix("test_")
    if kind in _SHARES:
        return 0.0, 1.0
    return -np.inf, 1.0 if kind == "r2" else np.inf


def share_interval(hits: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Low and high end of Wilson's interval of a share.

    (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n), p = hits / n, z the normal
    quantile. Unlike p +- z sqrt(p (1 - p) / n) it has a width at 0 and 1, and stays inside them.

    Args:
        hits: how many of the n, from 0 to n.
        n: at least 1.
        level: of the interval.

    References: Wilson, Probable Inference, JASA 1927.

    >>> [round(end, 3) for end in share_interval(21, 45)]
    [0.329, 0.609]
    """
    if n < 1:
        raise SettingError("share_interval, n", expected="at least 1", got=n)
    z = float(stats.norm.ppf((1 + _share(level)) / 2))
    p, inflated = hits / n, 1 + z * z / n
    middle = (p + z * z / (2 * n)) / inflated
    half = z * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / inflated
    return max(0.0, middle - half), min(1.0, middle + half)


def welch(
    one: ArrayLike, other: ArrayLike, level: float = 0.95, *, metric: str = ""
) -> tuple[float, float, float]:
    """Difference of two means, and its interval by Welch's t: mean(one) - mean(other), low, high.

    The interval is NaN where a side has fewer than two values; of values of a `metric` with two
    bounds it holds no difference that they cannot have.

    References: Welch, Biometrika 1947.

    >>> [round(value, 3) for value in welch([3.0, 4.0, 5.0], [1.0, 2.0, 3.0])]
    [2.0, -0.267, 4.267]
    """
    a, b = (reals(values, "values") for values in (one, other))
    level, nan = _share(level), float("nan")
    gain = float(a.mean() - b.mean()) if len(a) and len(b) else nan
    if min(len(a), len(b)) < 2:
        return gain, nan, nan
    variances = np.array([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)])
    if not variances.sum():
        return gain, gain, gain
    freedom = variances.sum() ** 2 / (variances**2 / [len(a) - 1, len(b) - 1]).sum()
    half = float(stats.t.ppf(0.5 + level / 2, freedom) * np.sqrt(variances.sum()))
    worst, best = bounds(metric)
    return gain, max(gain - half, worst - best), min(gain + half, best - worst)


def _share(level: Any) -> float:
    if not 0 < number(level) < 1:
        raise SettingError("level", expected="a share between 0 and 1", got=repr(level))
    return float(level)


def _top_k(k: Any, n: int) -> int:
    if number(k) % 1 != 0 or k < 1:
        raise SettingError("metric, k", expected="a whole number from 1", got=k)
    if not n:
        raise DataError("metric", expected="some values", got="none")
    return min(int(k), n)


def _deviations(std: ArrayLike, true: NDArray[np.float64]) -> NDArray[np.float64]:
    found = reals(std, "standard deviations")
    if not len(true):
        raise DataError("calibration", expected="some values", got="none")
    if found.shape not in (true.shape, ()) or not (found >= 0).all():
        raise DataError(
            "standard deviations",
            expected=f"shape {true.shape}, no NaN, none below 0",
            got=f"shape {found.shape}, {int((~(found >= 0)).sum())} bad",
        )
    return found


def _split_top(
    values: NDArray[np.float64], k: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], int]:
    """Which are surely among the best k, which tie for the rest of the places, and these places."""
    last = np.sort(values)[-k]
    above, level = values > last, values == last
    return above, level, k - int(above.sum())


def _chance(values: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """How likely each is among the best k, with ties in any order."""
    above, level, places = _split_top(values, k)
    return np.where(above, 1.0, level * (places / level.sum()))


def _expected_best(true: NDArray[np.float64], pred: NDArray[np.float64], k: int) -> float:
    """Expected best true value of the predicted best k, with ties in any order."""
    above, level, places = _split_top(pred, k)
    tied = np.sort(true[level])[::-1]  # `places` of these are drawn; the j-th is the best of them
    j, t = np.arange(len(tied)), len(tied)  # if it is drawn and none of those before it
    none_before = np.cumprod(np.concatenate([[1.0], ((t - places - j) / (t - j))[:-1]]))
    chance = np.maximum(none_before, 0.0) * places / (t - j)
    chance[t - places + 1 :] = 0.0
    floor = true[above].max(initial=-np.inf)
    return float(chance @ np.maximum(tied, floor))
