"""Exact Gaussian processes on distances between architectures."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from foretell.encodings.parts.standard import Standard, squares
from foretell.errors import SettingError
from foretell.predictors.base import Floats, Predictor
from foretell.predictors.parts.calibration import unaware, widening
from foretell.predictors.parts.distances import SPREAD, START, Amounts, Metric
from foretell.predictors.parts.kernels import KERNELS, Kernel
from foretell.predictors.parts.rising import rising
from foretell.predictors.parts.targets import Scale, Target, foretells
from foretell.spaces.base import Rows

Chosen = Target | Literal["chosen"]

JITTER = 1e-6
_REACH = 6.0  # logarithms are searched so far from START
_FLOATS, _LEAST = 2**18, 256  # of a kernel that fits a cache, and rows of it at least
_ENCODED = 8_192  # rows whose features are there at once
_HELD = 40.0  # results with which theta is half of the prior's
_FEWEST = 10  # results with which deviations are calibrated


@dataclass(frozen=True)
class Learnt:
    """A kernel whose scales have been learnt."""

    kernel: Kernel
    metrics: list[Metric]
    amounts: Amounts | None
    subset: tuple[int, ...]  # which of the distances form it
    theta: Floats  # as `minus_log_posterior` takes it

    def among(self, distances: list[Floats]) -> Floats:
        """The kernel (m, m) of the training rows, from their distances."""
        some, pair = [distances[g] for g in self.subset], None
        if self.amounts is not None:
            pair = self.amounts.over(self.theta[len(some) : -2])
        return covariance(self.kernel, some, self.theta, pair and (pair, pair))[0]


class Cross:
    """The kernel of rows to the training rows.

    What is a distance of features, is one of all of them side by side: a single product.

    Args:
        learnt: the kernel.
    """

    def __init__(self, learnt: Learnt) -> None:
        self.learnt = learnt
        self.flat: list[tuple[Standard, float]] = []
        self.others: list[tuple[Metric, dict[int, float]]] = []
        scales = dict(zip(learnt.subset, np.exp(-learnt.theta), strict=False))
        place = 0
        for metric in learnt.metrics:
            count = len(metric.squares())
            own = {g: scales[place + g] for g in range(count) if place + g in scales}
            place += count
            if isinstance(metric, Standard):
                self.flat += [(metric, scale) for scale in own.values()]
            else:
                self.others.append((metric, own))
        self.known, self.known_slopes = self.features(None)

    def features(self, X: Rows | None) -> tuple[Floats | None, Floats | None]:
        """Those side by side, and those with slopes, of rows or of the training rows."""
        learnt, amounts = self.learnt, self.learnt.amounts
        parts = [(one.features if X is None else one(X)) * scale for one, scale in self.flat]
        slopes = None
        if amounts is not None:
            Z, slopes = amounts.over(learnt.theta[len(learnt.subset) : -2], X)
            parts += [] if learnt.kernel == "linear" else [Z]
        return np.concatenate(parts, axis=1) if parts else None, slopes

    def __call__(self, X: Rows, there: Floats | None, slopes: Floats | None) -> Floats:
        """The kernel (n, m), from rows and their features."""
        terms = [squares(there, self.known)] if there is not None and self.known is not None else []
        for metric, own in self.others:
            found = metric.squares(X)
            terms += [found[g] * scale**2 for g, scale in own.items()]
        none = 0.0 if self.known_slopes is None else np.zeros((len(X), len(self.known_slopes)))
        q = functools.reduce(np.add, terms) if terms else np.asarray(none)
        K = KERNELS[self.learnt.kernel](q)[0]
        K *= np.exp(self.learnt.theta[-2])
        if slopes is not None and self.known_slopes is not None:
            K += slopes @ self.known_slopes.T
        return K

    def variance(self, n: int, slopes: Floats | None) -> Floats:
        """The kernel (n,) of each row to itself."""
        own: Floats = np.full(n, np.exp(self.learnt.theta[-2]))
        if slopes is not None:
            own += np.einsum("ij,ij->i", slopes, slopes)
        return own


class Exact(Predictor):
    """Base of exact Gaussian processes whose kernel is a function of distances d_g.

        k(x, x') = s^2 f(q) + t^2 sum_i a_i a_i' / l_i^2,
        q = sum_g d_g(x, x')^2 / l_g^2 + sum_i (a_i - a_i')^2 / l_i^2

    with features a_i of encodings that have groups (see `Amounts`), and

        matern f = (1 + sqrt(3 q)) exp(-sqrt(3 q)),  rbf exp(-q / 2),  exponential exp(-sqrt(q)),
        linear 1 - q / 2 (a dot product of unit vectors; l_g is at least 1 then, and q without a_i)

    The length scales l_g, s and the noise maximise the marginal likelihood times a log-normal
    prior, so a distance that says nothing is switched off by a long length scale. Where results
    are fewer than numbers, slopes of the linear function that fall are left out afterwards, unless
    results contradict (`parts.rising`). Where there are several kernels, each is learnt alone, and
    the process has their mean and the geometric mean of their noises. Fitting costs O(n^3); where
    more than `max_rows` rows come, a random part of them is used.

    A subclass lists its parameters, those below among them, and implements `_kernels`.

    Args:
        kernel: name of f.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values,
            "between" to learn the mean of both, "chosen" for that of the three with which left-out
            rows are foretold best (`targets.foretells`).
        max_rows: most training rows.
        spread: standard deviation of the prior of the logarithms, above 0.
    """

    has_std = True
    kernel: Kernel
    target: Chosen
    max_rows: int
    spread: float = SPREAD

    @abstractmethod
    def _kernels(self, X: Rows) -> list[list[Metric | Amounts]]:
        """What each kernel is of: distances to training rows (n, d), amounts once."""

    def _subsets(self, count: int) -> Iterable[tuple[int, ...]]:
        """Which of all the distances may form the kernel; the evidence picks one of the sets."""
        yield tuple(range(count))

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        if self.kernel not in KERNELS:
            known = ", ".join(KERNELS)
            raise SettingError("kernel", expected=f"one of {known}", got=repr(self.kernel))
        if self.spread <= 0:
            raise SettingError("spread", expected="above 0", got=self.spread)
        if self.max_rows < 1:
            raise SettingError(
                f"{type(self).__name__}, max_rows", expected="a whole number from 1",
                got=self.max_rows,
            )  # fmt: skip
        if len(X) > self.max_rows:
            part = rng.permutation(len(X))[: self.max_rows]
            X, y = X[part], y[part]
        self.scale_ = Scale.of(y, "rank" if self.target == "chosen" else self.target)
        kernels = self._kernels(X)
        self._learn(kernels, y)
        if self.target == "chosen" and len(y) >= _FEWEST:
            # the kernels that were learnt for ranks serve: the choice costs no other fit
            linear = any(one.amounts is not None and one.amounts.linear for one in self.learnt_)
            better = foretells(y, lambda scores: _alone(self.factor_, scores)[0], eager=linear)
            if better is not None:
                self.scale_ = better
                self._learn(kernels, y)
        self.shrink_, self.widen_ = 1.0, 0.0
        if len(y) >= _FEWEST:
            alone, variance = _alone(self.factor_, self.scale_.score(y))
            own, chosen = unaware(self.scale_, y), self._chosen(len(y))
            self.shrink_, self.widen_ = widening(y, alone, variance, own, chosen)

    def _learn(self, kernels: list[list[Metric | Amounts]], y: Floats) -> None:
        """All scales, and what follows."""
        scores = self.scale_.score(y)
        found = [self._alike(parts, scores) for parts in kernels]
        self.learnt_ = [learnt for _, learnt, _ in found]
        self.loss_ = float(np.mean([loss for loss, _, _ in found]))
        known = [K for _, _, K in found]
        noises = np.exp([one.theta[-1] for one in self.learnt_])
        self.noise_ = float(np.exp(np.log(noises).mean()))
        self.factor_ = _noisy(_mean_of(known), self.noise_)
        self.weights_ = cho_solve(self.factor_, scores)

    def _alike(self, parts: list[Metric | Amounts], scores: Floats) -> tuple[float, Learnt, Floats]:
        """One kernel: its loss, its scales, and what it is among the training rows."""
        metrics = [one for one in parts if not isinstance(one, Amounts)]
        amounts = next((one for one in parts if isinstance(one, Amounts)), None)
        distances = [one for metric in metrics for one in metric.squares()]
        numbers = amounts if amounts is not None and amounts.linear else None
        if numbers is not None:
            numbers.sloping = np.ones(len(numbers.of))
        least, best = np.inf, None
        for subset in self._subsets(len(distances)):
            some = [distances[g] for g in subset]
            loss, theta = optimum(self.kernel, some, scores, self.spread, amounts)
            if best is None or loss < least:
                least, best = loss, Learnt(self.kernel, metrics, amounts, subset, theta)
        assert best is not None  # there is a subset
        K = best.among(distances)
        if numbers is not None and len(scores) < (numbers.weight > 0).sum():
            S = numbers.over(best.theta[len(best.subset) : -2])[1]
            smooth = _noisy(K - S @ S.T, float(np.exp(best.theta[-1])))
            inside = rising(S, smooth[0], scores, numbers.of)
            numbers.sloping = inside.astype(np.float64)
            K = best.among(distances)
        return least, best, K

    def _chosen(self, n: int) -> float:
        """Numbers that n results have set: the fewer, the more their prior holds theta.

        Those of single features hardly leave it.
        """
        single = [0 if one.amounts is None else len(one.amounts.of) for one in self.learnt_]
        each = [len(one.theta) - own for one, own in zip(self.learnt_, single, strict=True)]
        return float(np.mean(each)) * n / (n + _HELD)

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        found = [self._said(K, own) for K, own in self._blocks(X)]
        mean, std = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return self.scale_.value(mean), self.scale_.spread(mean, std)

    def _mean(self, X: Rows) -> Floats:
        return self.scale_.value(np.concatenate([K @ self.weights_ for K, _ in self._blocks(X)]))

    def _said(self, K: Floats, own: Floats) -> tuple[Floats, Floats]:
        """Scores (n,) and their deviations, by the kernels of rows: to the training rows (n, m),
        and to themselves (n,)."""
        V = solve_triangular(self.factor_[0], K.T, lower=True, check_finite=False)
        variance = np.maximum(own - np.einsum("ij,ij->j", V, V), JITTER) + self.noise_
        return K @ self.weights_, np.sqrt(self.shrink_ * variance + self.widen_)

    def _blocks(self, X: Rows) -> Iterator[tuple[Floats, Floats]]:
        """Some rows at a time: their kernel to the training rows, and to themselves."""
        kernels, step = [Cross(one) for one in self.learnt_], rows_of(len(self.weights_))
        for start in range(0, len(X), _ENCODED):
            rows = X[start : start + _ENCODED]
            views = [to.features(rows) for to in kernels]
            for i in range(0, len(rows), step):
                some, found = rows[i : i + step], []
                for to, view in zip(kernels, views, strict=True):
                    there, slopes = (None if F is None else F[i : i + step] for F in view)
                    found.append((to(some, there, slopes), to.variance(len(some), slopes)))
                K, own = (_mean_of(list(parts)) for parts in zip(*found, strict=True))
                yield K, own


def rows_of(m: int) -> int:
    """Rows whose kernel to m others fits a cache."""
    return max(_FLOATS // max(m, 1), _LEAST)


def _mean_of(kernels: list[Floats]) -> Floats:
    total: Floats = functools.reduce(np.add, kernels)
    return total / len(kernels) if len(kernels) > 1 else total


def _alone(factor: tuple[Floats, bool], scores: Floats) -> tuple[Floats, Floats]:
    """What the others say of each row, and its variance (Rasmussen & Williams, 5.12)."""
    inverse = cho_solve(factor, np.eye(len(scores)))
    own = np.diag(inverse)
    return scores - inverse @ scores / own, 1.0 / own


def _noisy(K: Floats, noise: float) -> tuple[Floats, bool]:
    """The factor of a kernel of the training rows and noise."""
    return _factor(K + (noise + JITTER) * np.eye(len(K)))


def covariance(
    kernel: Kernel,
    distances: list[Floats],
    theta: Floats,
    amounts: tuple[tuple[Floats, Floats], tuple[Floats, Floats]] | None = None,
) -> tuple[Floats, Floats]:
    """The kernel (n, m) and -s^2 df/dq (n, m).

    `theta` begins with the logarithms of the length scales and ends with those of s^2 and of the
    variance of the noise; `amounts` are what `Amounts.over` says of both sets of rows.
    """
    q = sum(d * np.exp(-2 * t) for d, t in zip(distances, theta, strict=False))
    if amounts is not None and kernel != "linear":
        q = q + squares(amounts[0][0], amounts[1][0])
    elif amounts is not None and not distances:
        q = np.zeros((len(amounts[0][0]), len(amounts[1][0])))
    f, slope = KERNELS[kernel](np.asarray(q))
    signal = np.exp(theta[-2])
    K = f * signal
    if amounts is not None:
        K += amounts[0][1] @ amounts[1][1].T
    return K, signal * slope


# -- marginal likelihood ----------------------------------------------------------------------


def minus_log_posterior(
    theta: Floats,
    kernel: Kernel,
    distances: list[Floats],
    y: Floats,
    spread: float = SPREAD,
    amounts: Amounts | None = None,
) -> tuple[float, Floats]:
    """Minus the log posterior of `theta` (up to a constant), and its gradient.

    `theta` has the logarithms of the lengths of `distances`, what `Amounts.lengths` takes, and the
    logarithms of s^2 and of the noise's variance.
    """
    pair = None if amounts is None else amounts.over(theta[len(distances) : -2])
    K, slope = covariance(kernel, distances, theta, None if pair is None else (pair, pair))
    noise = np.exp(theta[-1])
    try:
        L = cho_factor(K + (noise + JITTER) * np.eye(len(y)), lower=True, check_finite=False)
    except LinAlgError:  # distances that are not Euclidean: not every theta gives a covariance
        return 1e25, np.zeros_like(theta)
    start, spreads = _prior(len(distances), spread, amounts)
    away = (theta - start) / spreads
    inverse = cho_solve(L, np.eye(len(y)), check_finite=False)
    a = inverse @ y
    loss = 0.5 * y @ a + np.log(np.diag(L[0])).sum() + 0.5 * (away**2).sum()
    outer = 0.5 * (inverse - np.outer(a, a))  # d loss / d K
    weighted = outer * slope
    gradient = [
        2.0 * np.exp(-2 * t) * np.vdot(weighted, d) for d, t in zip(distances, theta, strict=False)
    ]
    signal = np.vdot(outer, K)
    if pair is not None and amounts is not None:
        Z, S = pair
        # sum_ij W_ij (z_i - z_j)^2 = 2 (sum_i r_i z_i^2 - z'Wz), r the sums of rows
        by_feature = np.zeros(Z.shape[1])
        if kernel != "linear":
            rows = weighted.sum(axis=1)
            by_feature = 4.0 * (rows @ Z**2 - np.einsum("if,if->f", Z, weighted @ Z))
        slopes = np.einsum("if,if->f", S, outer @ S)
        signal -= slopes.sum()
        gradient += list(amounts.gradient(by_feature - 2.0 * slopes, float(slopes.sum())))
    gradient += [signal, noise * np.trace(outer)]
    return float(loss), np.array(gradient) + away / spreads


def _prior(count: int, spread: float, amounts: Amounts | None) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the prior of theta."""
    start, own = np.full(count, START[0]), np.ones(count)
    if amounts is not None:
        start, own = np.concatenate([start, amounts.start]), np.concatenate([own, amounts.own])
    return np.concatenate([start, START[1:]]), spread * np.concatenate([own, np.ones(2)])


def optimum(
    kernel: Kernel,
    distances: list[Floats],
    y: Floats,
    spread: float = SPREAD,
    amounts: Amounts | None = None,
    *,
    start: Floats | None = None,
    steps: int = 60,
) -> tuple[float, Floats]:
    """The least of `minus_log_posterior`, and its theta, searched from `start` or the prior's mean.

    Shapes: `distances` (n, n) each, `y` (n,).
    """
    middle, _ = _prior(len(distances), spread, amounts)
    low = middle - _REACH
    if kernel == "linear":
        low[: len(distances)] = 0.0
    found = minimize(
        minus_log_posterior, middle if start is None else start,
        (kernel, distances, y, spread, amounts), jac=True,
        method="L-BFGS-B", bounds=list(zip(low, middle + _REACH, strict=True)),
        options={"maxiter": steps},
    )  # fmt: skip
    return float(found.fun), found.x


def _factor(K: Floats) -> tuple[Floats, bool]:
    """The Cholesky factor of K, its diagonal lifted as far as needed."""
    lift = 0.0
    while True:
        try:
            L, lower = cho_factor(K + lift * np.eye(len(K)), lower=True)
        except LinAlgError:
            lift = max(10.0 * lift, JITTER)
        else:
            return L, lower
