"""Bayesian linear regression on features that something else has learnt."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from foretell.predictors.base import Floats

_RATIOS = np.logspace(-5, 3, 33)  # variance of the noise over that of a weight, per row


class Posterior(NamedTuple):
    """Weights (f,) and constant of the mean, and what the variance needs.

    With standardised features z = (phi - centre) * scale, the variance of w . z is
    |z|^2 signal - sum_k (z . v_k)^2 shrunk_k.
    """

    weights: Floats
    constant: float
    centre: Floats
    scale: Floats
    signal: float
    noise: float
    vectors: Floats  # (f, r), one direction in each column
    shrunk: Floats  # (r,)

    def mean(self, F: Floats) -> Floats:
        """Posterior mean (n,) at features (n, f)."""
        found: Floats = F @ self.weights + self.constant
        return found

    def variance(self, F: Floats) -> Floats:
        """Variance (n,) of w . phi at features (n, f), without the noise."""
        z = (F - self.centre) * self.scale
        left = self.signal * (z**2).sum(axis=1) - ((z @ self.vectors) ** 2) @ self.shrunk
        return np.asarray(np.maximum(left, 0.0))


def posterior(F: Floats, t: Floats) -> Posterior:
    """Regression of t (n,) on features F (n, f): the evidence sets both variances.

    t = m + w . z + noise, w ~ N(0, s^2), noise ~ N(0, s^2 r), where z are the features,
    standardised and divided by the root of their number, and m is the mean of t. Of r on a grid,
    with s^2 in closed form, the largest

        log p(t) = -1/2 (n log s^2 + sum_k log(e_k + r)),    e_k: eigenvalues of Z Z^T.

    References: Bishop 2006, Pattern Recognition and Machine Learning, sections 3.3 and 3.5.

    >>> x = np.linspace(-1, 1, 50)[:, None]
    >>> found = posterior(x, 3 + 2 * x[:, 0])
    >>> found.mean(np.array([[5.0]])).round(2), bool(found.variance(np.array([[5.0]])) < 1e-2)
    (array([13.]), True)
    """
    n, centre, std = len(t), F.mean(axis=0), F.std(axis=0)
    varies = std > 1e-6
    scale = np.divide(1.0, std, out=np.zeros_like(std), where=varies)
    scale /= np.sqrt(max(int(varies.sum()), 1))
    shift = float(t.mean())
    U, root, V = np.linalg.svd((F - centre) * scale, full_matrices=False)
    values, along = root**2, U.T @ (t - shift)
    rest = max(float((t - shift) @ (t - shift) - along @ along), 0.0)
    ratios = _RATIOS[:, None]
    signals = ((along**2 / (values + ratios)).sum(axis=1) + rest / _RATIOS) / n + 1e-12
    logs = np.log(values + ratios).sum(axis=1) + (n - len(values)) * np.log(_RATIOS)
    best = int(np.argmin(n * np.log(signals) + logs))
    ratio, signal = float(_RATIOS[best]), float(signals[best])
    weights = (V.T @ (root / (values + ratio) * along)) * scale
    return Posterior(
        weights,
        shift - float(centre @ weights),
        centre,
        scale,
        signal,
        signal * ratio,
        V.T,
        signal * values / (values + ratio),
    )


def posteriors(hidden: Floats, target: Floats, members: int) -> list[Posterior]:
    """One regression a member: hidden (M, n, f), target (n,) or (M, n), NaN where left out."""
    known = np.broadcast_to(target, (members, target.shape[-1]))
    return [posterior(h[~np.isnan(t)], t[~np.isnan(t)]) for h, t in zip(hidden, known, strict=True)]


def variances(found: list[Posterior], hidden: Floats) -> Floats:
    """Variance (M, n) that each regression has of targets at hidden (M, n, f), with the noise."""
    return np.stack([one.variance(h) + one.noise for one, h in zip(found, hidden, strict=True)])
