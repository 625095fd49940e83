"""Weights of a blend of predictors, and how sure an order is."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from foretell.metrics import kendall
from foretell.predictors.base import Floats

BASELINE = "n-params"  # what a blend starts without, and is measured against
PRIOR = "prior"  # what is known before training
_LEADS = 24.0  # results with which it has half of the start
_PULL = 100.0  # of weights to the start: 100 results choose little, 2,000 nearly all
_SHARPNESS = 3.0  # of the start: power of a member's precision on unseen rows
_LEAST = 0.05  # a lighter member is left out of the blend, of more than ten one half as heavy
_ENOUGH = 20  # rows below which nothing is clear
_CLEARLY = 3.0  # standard errors: what is a little worse still helps a blend


class Unseen(NamedTuple):
    """Scores (n,) and their variances (n,), of rows that the fit has not seen."""

    score: Floats
    variance: Floats
    fit_s: float = 0.0  # seconds that a fit on all rows would take
    model: Any = None  # fitted on all rows, where that has been done


def mix(weights: dict[str, float], seen: dict[str, Unseen]) -> tuple[Floats, Floats]:
    """Mean and variance of the mixture sum_m w_m N(score_m, variance_m)."""
    w = np.array(list(weights.values()))[:, None]
    mean = np.stack([seen[name].score for name in weights])
    own = np.stack([seen[name].variance for name in weights])
    centre = (w * mean).sum(axis=0)
    return centre, (w * (own + (mean - centre) ** 2)).sum(axis=0)


def weigh(scores: dict[str, Floats], y: Floats) -> dict[str, float]:
    """Weights of a blend of scores (n,) for targets y (n,), heaviest first; they sum to 1.

    min over w >= 0 of |y - sum_m w_m s_m|^2 + (10^4 / n) |w - u|^2, divided by their sum, with
    u_m in proportion to (mean (y - s_m)^2)^-3 for all but the baseline, and before them
    `prior_share` of what is known before training. One with twice the squared error of another has
    an eighth of its u. Light members are left out, and first of all those clearly worse than the
    best.

    >>> y = np.linspace(-1.5, 1.5, 20)
    >>> one, good, bad = (y + 0.4 * np.cos(9 * y), y + 0.4 * np.cos(8 * y), y + np.cos(7 * y))
    >>> found = weigh({"bad": bad, "one": one, "good": good}, y)
    >>> sorted((name, round(w, 1)) for name, w in found.items())
    [('good', 0.5), ('one', 0.5)]
    """
    best = max(scores.values(), key=lambda score: float(agreement(y, score).sum()))
    scores = {name: s for name, s in scores.items() if not clearly_worse(y, s, best)}
    Z, m = np.stack(list(scores.values()), axis=1), len(scores)
    error = np.maximum(((y[:, None] - Z) ** 2).mean(axis=0) / max(float(y.var()), 1e-12), 1e-3)
    start = error**-_SHARPNESS * [name not in (BASELINE, PRIOR) for name in scores]
    start /= start.sum() or 1.0
    if PRIOR in scores:
        others = {name: s for name, s in scores.items() if name not in (BASELINE, PRIOR)}
        lead = prior_share(len(y), *_ahead(y, others, scores[PRIOR])) if others else 1.0
        start = np.where([name == PRIOR for name in scores], lead, (1.0 - lead) * start)
    pull = _PULL / np.sqrt(len(y))
    found, _ = nnls(np.concatenate([Z, pull * np.eye(m)]), np.concatenate([y, pull * start]))
    share = found / found.sum() if found.any() else np.full(m, 1.0 / m)
    kept = {
        name: float(w)
        for w, name in sorted(zip(share, scores, strict=True), reverse=True)
        if w >= min(_LEAST, 0.5 / m) or w == share.max()
    }
    total = sum(kept.values())
    return {name: w / total for name, w in kept.items()}


def prior_share(n: int, ahead: float = 0.0) -> float:
    """What is known before training, as a share of a blend of n results.

    Its odds are 24 / n, and e times less for each standard error by which what is fitted is ahead
    of it, three at most; so many times more where that is behind.

    >>> prior_share(6), prior_share(24), round(prior_share(24, 1.0), 2)
    (0.8, 0.5, 0.27)
    """
    odds = _LEADS / n * np.exp(-np.clip(ahead, -_CLEARLY, _CLEARLY))
    return float(odds / (1.0 + odds))


def _ahead(y: Floats, fitted: dict[str, Floats], prior: Floats) -> tuple[float, ...]:
    """By how many standard errors the mean of what is fitted orders y better than the prior."""
    gap = agreement(y, np.mean(list(fitted.values()), axis=0)) - agreement(y, prior)
    doubt = jackknife(gap)
    mean = float(gap.sum() / (len(y) * (len(y) - 1)))
    return (mean / doubt,) if doubt > 0 else ()


def average(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """The mean of two sets of weights, heaviest first."""
    mean = {k: (one.get(k, 0.0) + other.get(k, 0.0)) / 2 for k in {**one, **other}}
    return dict(sorted(mean.items(), key=lambda item: -item[1]))


def kendall_error(y: Floats, score: Floats) -> tuple[float, float]:
    """Kendall's tau-b and its jackknife standard error.

    The error is sqrt((n - 1) / n sum_i (t_i - mean(t))^2), t_i being the mean agreement of the
    pairs without row i.
    """
    return kendall(y, score), jackknife(agreement(y, score))


def agreement(y: Floats, score: Floats) -> NDArray[np.float64]:
    """1, -1 or 0 for each pair (n, n): ordered alike, the other way round, or tied."""
    pairs: NDArray[np.float64] = np.sign(y[:, None] - y) * np.sign(score[:, None] - score)
    return pairs


def clearly_worse(y: Floats, score: Floats, best: Floats) -> bool:
    """Whether it orders y worse than the best, by three standard errors of the difference."""
    n = len(y)
    if n < _ENOUGH:
        return False
    lead = agreement(y, best) - agreement(y, score)
    return bool(lead.sum() / (n * (n - 1)) > _CLEARLY * jackknife(lead))


def jackknife(pairs: NDArray[np.float64]) -> float:
    """Standard error of the mean of a symmetric matrix of pairs (n, n), rows left out in turn."""
    n = len(pairs)
    without = (pairs.sum() - 2 * pairs.sum(axis=1)) / ((n - 1) * (n - 2))
    return float(np.sqrt((n - 1) * without.var()))
