"""Exact Gaussian processes on distances between architectures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from foretell.encodings import Encoding
from foretell.encodings.numbers import Numbers
from foretell.errors import SettingError
from foretell.predictors.base import Floats, Predictor
from foretell.predictors.parts.calibration import widening
from foretell.predictors.parts.kernels import KERNELS, Kernel
from foretell.predictors.parts.rising import rising
from foretell.predictors.parts.targets import Scale, Target, foretells
from foretell.spaces.base import Rows

Chosen = Target | Literal["chosen"]

START = (2.0, 0.0, -2.0)  # log of length scale, signal and noise variance: mean of the prior
SPREAD = 0.8  # its standard deviation: what few rows say of a length scale is mostly noise
OWN = 0.5  # that of the log length of a feature around its decision's,
ALONE = 1.5  # and of one without others: few of the totals tell most
LINEAR, LINEAR_SPREAD = 2.0, 1.5  # log weight of a linear function of amounts
JITTER = 1e-6
_REACH = 6.0  # logarithms are searched so far from START
_BLOCK = 4096
_FEWEST = 10  # results with which deviations are calibrated


class Metric(Protocol):
    """One or several distances between rows and the training rows."""

    def squares(self, X: Rows | None = None) -> list[Floats]:
        """Squared distances (n, m) of rows X, or of the training rows themselves, to those."""


class Standard:
    """The distance of an encoding, standardised on the training rows, over the root of its length.

    A feature that is constant there says nothing and is left out.
    """

    def __init__(self, encoding: Encoding, X: Rows) -> None:
        F = encoding.encode(X).astype(np.float64)
        self.encoding = encoding
        self.mean, std = F.mean(axis=0), F.std(axis=0)
        scale = std * np.sqrt(F.shape[1])
        self.weight = np.divide(1.0, scale, out=np.zeros_like(scale), where=std > 1e-9)
        self.features = (F - self.mean) * self.weight

    def __call__(self, X: Rows) -> Floats:
        """Features (n, f) of rows."""
        scaled: Floats = (self.encoding.encode(X) - self.mean) * self.weight
        return scaled

    def squares(self, X: Rows | None = None) -> list[Floats]:
        """See `Metric`."""
        return [squares(self.features if X is None else self(X), self.features)]


class Amounts:
    """Features a_i of encodings that say which of them belong together; each has a length l_i.

    log l_i is that of its group and a deviation with the prior N(0, 0.5^2), or N(0, 1.5^2) for a
    number that is alone in its group: few of the totals say most. Features are standardised on the
    training rows and divided by the root of the size of their group. Beside the distance they have
    a linear function, which numbers have more of than what is counted. Where results are fewer
    than features, more of a number is expected to be better: only slopes that `rising` leaves are
    `sloping`.
    """

    def __init__(self, encodings: list[Encoding], X: Rows) -> None:
        self.encodings = encodings
        of: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        for one in encodings:
            groups = one.groups()
            assert groups is not None  # `kernel_parts` has looked
            of = np.concatenate([of, groups + of.max(initial=-1) + 1])
        self.of = np.unique(of, return_inverse=True)[1]
        F = self._encode(X)
        self.mean, std = F.mean(axis=0), F.std(axis=0)
        count = np.bincount(self.of)
        scale = std * np.sqrt(count[self.of])
        self.weight = np.divide(1.0, scale, out=np.zeros_like(scale), where=std > 1e-9)
        self.features = (F - self.mean) * self.weight
        f, g = len(self.of), len(count)
        self.linear = any(isinstance(one, Numbers) for one in encodings)
        linear = LINEAR if self.linear else START[1]
        self.sloping: Floats = np.ones(f)
        self.start = np.concatenate([np.zeros(f), np.full(g, START[0]), [linear]])
        own = np.where((count[self.of] == 1) & self.linear, ALONE, OWN)
        self.own = np.concatenate([own, SPREAD * np.ones(g), [LINEAR_SPREAD]]) / SPREAD

    def __call__(self, X: Rows) -> Floats:
        """Features (n, f) of rows."""
        scaled: Floats = (self._encode(X) - self.mean) * self.weight
        return scaled

    def _encode(self, X: Rows) -> Floats:
        parts = [one.encode(X) for one in self.encodings]
        return np.concatenate(parts, axis=1, dtype=np.float64)

    def lengths(self, theta: Floats) -> Floats:
        """l_i (f,); theta has the deviations, the groups' logarithms, and the linear weight."""
        lengths: Floats = np.exp(theta[: len(self.of)] + theta[len(self.of) : -1][self.of])
        return lengths

    def over(self, theta: Floats, X: Rows | None = None) -> tuple[Floats, Floats]:
        """Of rows, or of the training rows: features over lengths (n, f); times t where sloping."""
        Z = (self.features if X is None else self(X)) / self.lengths(theta)
        return Z, Z * (np.exp(theta[-1] / 2) * self.sloping)

    def gradient(self, by_feature: Floats, by_weight: float) -> Floats:
        """That of theta, from those of log l_i and of the linear weight."""
        groups = np.bincount(self.of, by_feature)
        return np.concatenate([by_feature, groups, [by_weight]])


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
    results contradict (`parts.rising`). Fitting costs O(n^3); where more than `max_rows` rows come,
    a random part of them is used.

    A subclass lists its parameters, those below among them, and implements `_metrics`.

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
    def _metrics(self, X: Rows) -> list[Metric | Amounts]:
        """The distances to training rows (n, d), and amounts, once at most."""

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
        found = self._metrics(X)
        self.metrics_ = [one for one in found if not isinstance(one, Amounts)]
        self.amounts_ = next((one for one in found if isinstance(one, Amounts)), None)
        distances = [one for metric in self.metrics_ for one in metric.squares()]
        self._learn(distances, y)
        if self.target == "chosen" and len(y) >= _FEWEST:
            # the kernel that was learnt for ranks serves: the choice costs no other fit
            linear = self.amounts_ is not None and self.amounts_.linear
            better = foretells(y, lambda scores: self._alone(scores)[0], eager=linear)
            if better is not None:
                self.scale_ = better
                self._learn(distances, y)
        self.shrink_, self.widen_ = 1.0, 0.0
        if len(y) >= _FEWEST:
            alone, variance = self._alone(self.scale_.score(y))
            self.shrink_, self.widen_ = widening(y, alone, variance, self.scale_)

    def _learn(self, distances: list[Floats], y: Floats) -> None:
        """Theta, and what follows from it."""
        scores = self.scale_.score(y)
        numbers = self.amounts_ if self.amounts_ is not None and self.amounts_.linear else None
        if numbers is not None:
            numbers.sloping = np.ones(len(numbers.of))
        self.loss_ = np.inf
        for subset in self._subsets(len(distances)):
            some = [distances[g] for g in subset]
            loss, theta = optimum(self.kernel, some, scores, self.spread, self.amounts_)
            if loss < self.loss_:
                self.loss_, self.theta_, self.subset_ = loss, theta, subset
        K: Floats = self._covariance(distances, None)
        K[np.diag_indices_from(K)] += np.exp(self.theta_[-1]) + JITTER
        if numbers is not None and len(y) < (numbers.weight > 0).sum():
            S = numbers.over(self.theta_[len(self.subset_) : -2])[1]
            smooth = K - S @ S.T
            inside = rising(S, _factor(smooth)[0], scores, numbers.of)
            numbers.sloping = inside.astype(np.float64)
            K = smooth + (S * numbers.sloping) @ S.T
        self.factor_ = _factor(K)
        self.weights_ = cho_solve(self.factor_, scores)

    def _alone(self, scores: Floats) -> tuple[Floats, Floats]:
        """What the others say of each row, and its variance (Rasmussen & Williams, 5.12)."""
        inverse = cho_solve(self.factor_, np.eye(len(scores)))
        own = np.diag(inverse)
        return scores - inverse @ scores / own, 1.0 / own

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        blocks = [self._block(X[i : i + _BLOCK]) for i in range(0, len(X), _BLOCK)]
        mean, std = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        return self.scale_.value(mean), self.scale_.spread(mean, std)

    def _mean(self, X: Rows) -> Floats:
        blocks = (self._cross(X[i : i + _BLOCK]) for i in range(0, len(X), _BLOCK))
        return self.scale_.value(np.concatenate([K @ self.weights_ for K in blocks]))

    def _block(self, X: Rows) -> tuple[Floats, Floats]:
        K = self._cross(X)
        V = solve_triangular(self.factor_[0], K.T, lower=True, check_finite=False)
        signal, noise = np.exp(self.theta_[-2:])
        own = signal + self._linear(X)
        variance = np.maximum(own - np.einsum("ij,ij->j", V, V), JITTER) + noise
        return K @ self.weights_, np.sqrt(self.shrink_ * variance + self.widen_)

    def _cross(self, X: Rows) -> Floats:
        return self._covariance([one for metric in self.metrics_ for one in metric.squares(X)], X)

    def _covariance(self, distances: list[Floats], X: Rows | None) -> Floats:
        """The kernel (n, m) of rows, or of the training rows, to the training rows."""
        some, pairs = [distances[g] for g in self.subset_], None
        if self.amounts_ is not None:
            theta = self.theta_[len(some) : -2]
            known = self.amounts_.over(theta)
            pairs = (known if X is None else self.amounts_.over(theta, X), known)
        return covariance(self.kernel, some, self.theta_, pairs)[0]

    def _linear(self, X: Rows) -> Floats:
        """The variance of the linear function at rows, (n,)."""
        if self.amounts_ is None:
            return np.zeros(len(X))
        S = self.amounts_.over(self.theta_[len(self.subset_) : -2], X)[1]
        return np.asarray(np.einsum("ij,ij->i", S, S))


def kernel_parts(encodings: list[Encoding], X: Rows) -> list[Metric | Amounts]:
    """What encodings are to a process on training rows: amounts, and distances of the others."""
    grouped = [one for one in encodings if one.groups() is not None]
    others = [Standard(one, X) for one in encodings if one.groups() is None]
    return [*([Amounts(grouped, X)] if grouped else []), *others]


def squares(A: Floats, B: Floats) -> Floats:
    """Squared distances (n, m) of features (n, f) and (m, f)."""
    both = (A * A).sum(axis=1)[:, None] + (B * B).sum(axis=1) - 2.0 * (A @ B.T)
    positive: Floats = np.maximum(both, 0.0)
    return positive


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
    K = signal * f
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
