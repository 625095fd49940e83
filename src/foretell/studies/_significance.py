"""Which differences between methods are more than chance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]


class Friedman(NamedTuple):
    """Friedman's test of k methods on N blocks; `p` is that of `f`, of Iman and Davenport."""

    chi2: float
    f: float
    p: float


def mean_ranks(scores: ArrayLike) -> Floats:
    """Mean rank of each column over the rows; 1 is best, ties share their mean.

    Shapes: (N, k), higher is better, to (k,).

    >>> mean_ranks([[0.9, 0.8, 0.8], [0.7, 0.6, 0.5]]).tolist()
    [1.0, 2.25, 2.75]
    """
    table = np.asarray(scores, dtype=np.float64)
    return np.asarray(stats.rankdata(-table, axis=1).mean(axis=0))


def friedman(scores: ArrayLike) -> Friedman:
    """Whether any method differs from the others.

        chi2 = 12 N / (k (k + 1)) (sum_j R_j^2 - k (k + 1)^2 / 4) / c,
        c = 1 - sum_ties (t^3 - t) / (N k (k^2 - 1)), over the t equal scores of each block,
        F = (N - 1) chi2 / (N (k - 1) - chi2),    with k - 1 and (k - 1)(N - 1) degrees of freedom

    Shapes: (N, k) with N and k at least 2.

    References: Demsar 2006, Statistical comparisons of classifiers over multiple data sets.
    """
    n, k = np.shape(scores)
    ranks = mean_ranks(scores)
    chi2 = 12 * n / (k * (k + 1)) * (float((ranks**2).sum()) - k * (k + 1) ** 2 / 4)
    table = np.asarray(scores, dtype=np.float64)
    tied = (table[:, :, None] == table[:, None, :]).sum(axis=2)  # each of t ties counts t
    c = 1 - float((tied**2 - 1).sum()) / (n * k * (k**2 - 1))
    if c < 1e-12:  # everything ties everywhere
        return Friedman(0.0, 0.0, 1.0)
    chi2 /= c
    rest = n * (k - 1) - chi2
    f = (n - 1) * chi2 / rest if rest > 1e-9 else float("inf")
    return Friedman(chi2, f, float(stats.f.sf(f, k - 1, (k - 1) * (n - 1))))


def critical_difference(k: int, n: int, alpha: float = 0.05) -> float:
    """Nemenyi: mean ranks of `k` methods on `n` blocks differ when further apart than this.

    CD = q sqrt(k (k + 1) / (6 n)), with q the Studentized range of k and infinity over sqrt(2).

    >>> round(critical_difference(4, 14), 2)
    1.25
    """
    q = stats.studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(k * (k + 1) / (6 * n)))


def cliques(ranks: ArrayLike, difference: float) -> list[tuple[int, int]]:
    """Largest groups of methods that cannot be told apart: first and last place in sorted order.

    >>> cliques([1.0, 1.5, 2.4, 4.0], 1.2)
    [(0, 1), (1, 2)]
    """
    order = np.sort(np.asarray(ranks, dtype=np.float64))
    ends = np.searchsorted(order, order + difference, side="right") - 1
    found: list[tuple[int, int]] = []
    for i, j in enumerate(ends):
        if j > i and (not found or j > found[-1][1]):
            found.append((i, int(j)))
    return found


def paired_t(one: ArrayLike, other: ArrayLike) -> float:
    """Two-sided p of the paired t test; NaN for fewer than two pairs.

    >>> round(paired_t([1.0, 2.0, 3.0], [0.0, 1.5, 1.0]), 3)
    0.118
    """
    gain = np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    if len(gain) < 2:
        return float("nan")
    spread = gain.std(ddof=1)
    if spread < 1e-12:  # the same difference each time
        return float(abs(gain.mean()) < 1e-12)
    t = abs(gain.mean()) / spread * np.sqrt(len(gain))
    return float(2 * stats.t.sf(t, len(gain) - 1))


def few_seeds(n: int) -> str | None:
    """What fewer than five seeds cannot tell, in words; None for five and more.

    The paired t test at the 5 % level needs |mean| > t / sqrt(n) standard deviations of the
    differences, t being the 97.5 % quantile with n - 1 degrees of freedom.

    >>> few_seeds(3)[:76]
    '3 seeds tell two apart only where their mean difference is above 2.5 times i'
    """
    if n >= 5:
        return None
    if n < 2:
        return "One seed cannot tell a difference from chance, nor give an interval: run 5 or more."
    least = stats.t.ppf(0.975, n - 1) / np.sqrt(n)
    return (
        f"{n} seeds tell two apart only where their mean difference is above {least:.1f} times its "
        "standard deviation from seed to seed; smaller ones may be real as well: run 5 or more."
    )


def holm(p: ArrayLike) -> Floats:
    """p values adjusted for their number, step by step from the smallest; NaN stays NaN.

    References: Holm 1979.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    raw = np.asarray(p, dtype=np.float64)
    out = np.full(raw.shape, np.nan)
    known = np.flatnonzero(~np.isnan(raw))
    order = known[np.argsort(raw[known], kind="stable")]
    steps = raw[order] * np.arange(len(order), 0, -1)
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return out
