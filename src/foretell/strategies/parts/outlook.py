"""What is expected of rows, and how surely: Gaussian processes that take rows still out for known.

A strategy that asks for one row at a time, while others are out, fits often and reads little of
each fit: so candidates are encoded once, and a row that is out narrows the deviations of its
neighbours without a new fit.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import ndtri

from foretell.encodings.parts.standard import squares
from foretell.predictors.parts.exact import JITTER, covariance, optimum, rows_of
from foretell.predictors.parts.kernels import KERNELS
from foretell.predictors.parts.predicted import has_std, predicted
from foretell.predictors.parts.targets import Scale
from foretell.search.history import Floats
from foretell.spaces.base import Rows
from foretell.strategies.parts.candidates import Candidates, View, squared

_LEAST = 1e-9  # a variance
_STEPS = 30  # of the search for hyperparameters
_ANEW = 0.05  # they are searched again when so many more results are known
_KEPT = 64  # of them, a space
WIDE = 1_024  # candidates whose deviations are looked at


class Outlook(Protocol):
    """What is expected of candidates, on a scale of its own, higher is better.

    Shapes: `mean` and `std` (n,), of n candidates.
    """

    mean: Floats
    std: Floats

    def take(self, j: int) -> None:
        """Candidate j is out now: `std` is what it will be when its result is known."""


class Foreteller(Protocol):
    """What has learnt from results, and expects something of candidates."""

    def mean(self, candidates: Candidates) -> Floats:
        """What is expected of each, (n,)."""

    def outlook(self, candidates: Candidates) -> Outlook:
        """The same, with deviations."""

    def value(self, mean: Floats, std: Floats) -> tuple[Floats, Floats | None]:
        """Expectations and deviations in the unit of the results."""


def tail_scores(u: Floats) -> Floats:
    """The exponential quantile -log(1 - u): large steps at the top, almost none at the bottom."""
    scores: Floats = -np.log1p(-u)
    return scores


def normal_scores(u: Floats) -> Floats:
    """The normal quantile of u."""
    scores: Floats = ndtri(u)
    return scores


SCALES: tuple[Callable[[Floats], Floats], ...] = (tail_scores, normal_scores)


def shares(y: Floats) -> Floats:
    """The share of results that are worse than each of (n,), half of the equal ones included.

    >>> shares(np.array([3.0, 1.0, 1.0, 2.0])).tolist()
    [0.875, 0.25, 0.25, 0.625]
    """
    _, back, counts = np.unique(y, return_inverse=True, return_counts=True)
    found: Floats = ((np.cumsum(counts) - counts / 2) / len(y))[back]
    return found


class Process:
    """A Gaussian process on one scale of the results, given the features of the known rows.

    Args:
        z: standardised scores, (n,).
        features: of the known rows, one array (n, f) an encoding.
        theta: logarithms of a length scale an encoding, of the variance of the signal and of that
            of the noise.
    """

    def __init__(self, z: Floats, features: list[Floats], theta: Floats) -> None:
        self.theta = theta
        self.signal, self.noise = np.exp(theta[-2:])
        self.known = self.scaled(features)
        K = self.between(self.known, self.known)
        K[np.diag_indices_from(K)] += self.noise + JITTER
        factor = cho_factor(K, lower=True)
        self.lower: Floats = np.tril(factor[0])
        self.weights: Floats = cho_solve(factor, z)
        inverse = cho_solve(factor, np.eye(len(z)))
        self.left_out: Floats = z - self.weights / np.diag(inverse)

    def scaled(self, features: list[Floats]) -> Floats:
        """Features (n, f) whose squared distance is that of the kernel."""
        scales = np.exp(-self.theta[:-2])
        return np.concatenate(
            [F * scale for F, scale in zip(features, scales, strict=True)], axis=1
        )

    def between(self, A: Floats, B: Floats) -> Floats:
        """The kernel (n, m) of scaled features (n, f) and (m, f)."""
        return covariance("matern", [squares(A, B)], np.append(0.0, self.theta[-2:]))[0]

    def mean(self, features: list[Floats], lengths: list[Floats] | None = None) -> Floats:
        """The posterior mean (n,).

        Of many rows only the products with the known ones are new; these are scaled, not the rows.

        Args:
            features: one array (n, f) an encoding.
            lengths: their `squared`, where they are known.
        """
        lengths = squared(features) if lengths is None else lengths
        scales = np.exp(-self.theta[:-2])
        ends = np.cumsum([F.shape[1] for F in features])[:-1]
        known = np.split(self.known, ends, axis=1)
        known = [B.T * (-2.0 * scale) for B, scale in zip(known, scales, strict=True)]
        own = (self.known**2).sum(axis=1)
        theirs: Floats = sum(n * scale**2 for n, scale in zip(lengths, scales, strict=True))
        parts, step = [], rows_of(len(own))
        for i in range(0, len(theirs), step):
            q = theirs[i : i + step, None] + own
            for F, B in zip(features, known, strict=True):
                q += F[i : i + step] @ B
            np.maximum(q, 0.0, out=q)
            parts.append(self.signal * (KERNELS["matern"](q)[0] @ self.weights))
        return np.concatenate(parts)


class Believing:
    """The deviations of one process at some rows, while more and more of them are out.

    The mean of a row that is out is taken for its result, so means stay as they are.

    References: Desautels, Krause and Burdick, Parallelizing exploration-exploitation tradeoffs in
    Gaussian process bandit optimization, JMLR 2014 (GP-BUCB).

    Args:
        process: fitted.
        features: of m rows, one array (m, f) an encoding.

    Attributes:
        variance: of the function at each row, without noise, (m,).
    """

    def __init__(self, process: Process, features: list[Floats]) -> None:
        self.process = process
        self.rows = process.scaled(features)
        cross = process.between(process.known, self.rows)
        self.V = solve_triangular(process.lower, cross, lower=True, check_finite=False)
        explained = np.einsum("ij,ij->j", self.V, self.V)
        self.variance: Floats = np.maximum(process.signal - explained, _LEAST)

    def take(self, j: int) -> None:
        """Row j is out."""
        cross = self.process.between(self.rows[j : j + 1], self.rows)[0]
        gain = (cross - self.V[:, j] @ self.V) / np.sqrt(self.variance[j] + self.process.noise)
        self.V = np.vstack([self.V, gain])
        self.variance = np.maximum(self.variance - gain**2, _LEAST)


class Committee:
    """Gaussian processes on several scales of the ranks, fitted on known rows.

        z_s = s(u), standardised,   u = share of results that are worse,
        s = -log(1 - u) or the normal quantile of u

    Ranks make it blind to how skewed results are, and these scales tell the best ones apart, which
    ranks alone do not. Each process has a Matern-3/2 kernel with a length scale for each encoding,
    as `GP` has. The mean of all is what is expected; the variance of their means adds to theirs.

    Args:
        standard: what encodings say of rows.
        X: known rows, (n, d).
        y: their results, (n,).

    Attributes:
        chosen_: name for reports.
        oof_: of each result what the others say, (n,), in their unit.
    """

    chosen_ = "gp committee"

    def __init__(self, standard: View, X: Rows, y: Floats) -> None:
        features, scores = standard(X), _scores(y)
        thetas = _hyperparameters(standard, X, y) if scores else []
        self.processes = [
            Process(z, features, theta) for z, theta in zip(scores, thetas, strict=True)
        ]
        self._scale = Scale.of(y, "rank")
        if scores:
            _, first = np.unique(y, return_index=True)
            self._scale = Scale(np.mean(scores, axis=0)[first], y[first])
            self.oof_ = self._scale.value(np.mean([p.left_out for p in self.processes], axis=0))
        else:
            self.oof_ = np.asarray(y, dtype=np.float64)

    def means(self, candidates: Candidates) -> Floats:
        """What each process expects of candidates, (processes, n)."""
        if not self.processes:
            return np.zeros((1, len(candidates)))
        lengths = candidates.lengths
        return np.stack([one.mean(candidates.features, lengths) for one in self.processes])

    def mean(self, candidates: Candidates) -> Floats:
        """What is expected of each, as a score."""
        mean: Floats = self.means(candidates).mean(axis=0)
        return mean

    def outlook(self, candidates: Candidates) -> CommitteeOutlook:
        """Deviations are of the best expected ones alone."""
        return CommitteeOutlook(self, candidates)

    def value(self, mean: Floats, std: Floats) -> tuple[Floats, Floats | None]:
        """In the unit of the results; equal results say nothing of deviations."""
        std = std if self.processes else np.zeros_like(std)
        return self._scale.value(mean), self._scale.spread(mean, std)


def _scores(y: Floats) -> list[Floats]:
    """Results on each scale, standardised; none where all are equal."""
    scores = [scale(shares(y)) for scale in SCALES if np.ptp(y) > 0]
    return [(z - z.mean()) / z.std() for z in scores]


_FOUND: WeakKeyDictionary[View, dict[bytes, list[Floats]]] = WeakKeyDictionary()


def _hyperparameters(standard: View, X: Rows, y: Floats) -> list[Floats]:
    """Those of a process a scale, given known rows (n, d) and results (n,), not all equal.

    They are searched with the first results alone, all but less than a share of `_ANEW`, and kept:
    a search that asks after each result pays for them seldom, and one that is replayed finds the
    same ones.
    """
    m = len(y) - len(y) % max(int(len(y) * _ANEW), 1)
    if np.ptp(y[:m]) > 0:
        X, y = X[:m], y[:m]
    kept = _FOUND.setdefault(standard, {})
    key = blake2b(X.tobytes() + y.tobytes()).digest()
    if key not in kept:
        distances = [squares(F, F) for F in standard(X)]
        found: list[Floats] = []
        for z in _scores(y):
            start = found[0] if found else None
            found.append(optimum("matern", distances, z, start=start, steps=_STEPS)[1])
        while len(kept) >= _KEPT:
            kept.pop(next(iter(kept)), None)
        kept[key] = found
    return kept[key]


class CommitteeOutlook:
    """`Outlook` of a committee; all but the best expected `WIDE` candidates have deviation 0."""

    def __init__(self, committee: Committee, candidates: Candidates) -> None:
        means = committee.means(candidates)
        self.mean: Floats = means.mean(axis=0)
        self._at = np.argsort(-self.mean, kind="stable")[:WIDE]
        self._place = {int(j): i for i, j in enumerate(self._at)}
        self._between = means[:, self._at].var(axis=0)
        near = [F[self._at] for F in candidates.features]
        self._members = [Believing(one, near) for one in committee.processes]
        self._update()

    def _update(self) -> None:
        self.std = np.zeros(len(self.mean))
        own = [one.variance for one in self._members] or [np.ones(len(self._at))]
        self.std[self._at] = np.sqrt(np.mean(own, axis=0) + self._between)

    def take(self, j: int) -> None:
        """See `Outlook`."""
        if (i := self._place.get(j)) is not None:
            for one in self._members:
                one.take(i)
            self._update()


class Regressor:
    """Any fitted regressor on rows, with the deviation that it gives; 0 where it gives none.

    Args:
        model: fitted.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._sure = not has_std(model)

    def mean(self, candidates: Candidates) -> Floats:
        """What it predicts of each."""
        return _known(np.asarray(self.model.predict(candidates.X), dtype=np.float64))

    def outlook(self, candidates: Candidates) -> RegressorOutlook:
        """With its deviations."""
        mean, std = predicted(self.model, candidates.X)
        return RegressorOutlook(_known(mean), np.zeros(len(mean)) if std is None else std)

    def value(self, mean: Floats, std: Floats) -> tuple[Floats, Floats | None]:
        """As it is."""
        return mean, None if self._sure else std


class RegressorOutlook:
    """`Outlook` of numbers: a row that is out tells nothing of others."""

    def __init__(self, mean: Floats, std: Floats) -> None:
        self.mean, self.std = mean, std

    def take(self, j: int) -> None:
        """See `Outlook`."""
        self.std[j] = 0.0


def _known(mean: Floats) -> Floats:
    return np.where(np.isnan(mean), -np.inf, mean)
