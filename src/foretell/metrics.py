"""How good a ranking is: `kendall`, `spearman`, `pearson`, `sparse_kendall`, `precision_at_k`, ...

All take true values and predictions of shape (n,), higher is better in both, and return a float;
a constant prediction ranks nothing and scores 0.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from foretell.errors import DataError

_SHARES = ("acc", "balanced_acc", "precision", "recall", "f1", "macro_f1", "auroc")  # 0 to 1


def _pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    true, pred = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
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
    return _or_zero(stats.kendalltau(true, pred).statistic)


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
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore")
        return _or_zero(np.corrcoef(true, pred)[0, 1]) if len(true) > 1 else 0.0


def precision_at_k(y_true: ArrayLike, y_pred: ArrayLike, k: int) -> float:
    """Share of the true best `k` among the predicted best `k`.

    >>> precision_at_k([1, 2, 3, 4], [1, 4, 2, 3], k=2)
    0.5
    """
    true, pred = _pair(y_true, y_pred)
    k = min(k, len(true))
    return len(set(_top(true, k)) & set(_top(pred, k))) / k


def regret(y_true: ArrayLike, y_pred: ArrayLike, k: int = 1) -> float:
    """Best value there is minus the best among the predicted best `k`; 0 is perfect.

    >>> regret([1.0, 2.0, 4.0], [0.1, 0.9, 0.5], k=1)
    2.0
    """
    true, pred = _pair(y_true, y_pred)
    return float(true.max() - true[_top(pred, min(k, len(true)))].max())


def best_rank_at_k(y_true: ArrayLike, y_pred: ArrayLike, k: int) -> int:
    """N@K: the true rank (1 is best) of the best among the predicted best `k`.

    References: Ning et al. 2020, GATES.

    >>> best_rank_at_k([1, 2, 3, 4], [1, 4, 2, 3], k=2)
    1
    """
    true, pred = _pair(y_true, y_pred)
    return int((true > true[_top(pred, min(k, len(true)))].max()).sum()) + 1


def coverage(y_true: ArrayLike, mean: ArrayLike, std: ArrayLike, level: float = 0.9) -> float:
    """Calibration: share of true values inside the central normal interval of `level`.

    A calibrated predictor has coverage equal to `level`.

    >>> coverage([0.0, 5.0], mean=[0.0, 0.0], std=[1.0, 1.0], level=0.9)
    0.5
    """
    true, centre = _pair(y_true, mean)
    width = stats.norm.ppf(0.5 + level / 2) * np.asarray(std, dtype=np.float64)
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
    deviation = np.asarray(std, dtype=np.float64)
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
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:
        return float(x.mean()), float("nan")
    half = stats.t.ppf(0.5 + level / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
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
    z = float(stats.norm.ppf((1 + level) / 2))
    p, inflated = hits / n, 1 + z * z / n
    middle = (p + z * z / (2 * n)) / inflated
    half = z * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / inflated
    return max(0.0, middle - half), min(1.0, middle + half)


def welch(one: ArrayLike, other: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """Difference of two means, and its interval by Welch's t: mean(one) - mean(other), low, high.

    The interval is NaN where a side has fewer than two values.

    References: Welch, Biometrika 1947.

    >>> [round(value, 3) for value in welch([3.0, 4.0, 5.0], [1.0, 2.0, 3.0])]
    [2.0, -0.267, 4.267]
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (one, other))
    gain = float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2:
        return gain, float("nan"), float("nan")
    variances = np.array([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)])
    if not variances.sum():
        return gain, gain, gain
    freedom = variances.sum() ** 2 / (variances**2 / [len(a) - 1, len(b) - 1]).sum()
    half = float(stats.t.ppf(0.5 + level / 2, freedom) * np.sqrt(variances.sum()))
    return gain, gain - half, gain + half


def _top(values: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    return np.argsort(-values, kind="stable")[:k]
