"""Exact Gaussian processes on distances between architectures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Literal, Protocol

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from foretell.encodings import Encoding
from foretell.errors import SettingError
from foretell.predictors.base import Floats, Predictor
from foretell.predictors.parts.targets import Scale, Target
from foretell.spaces.base import Rows

Kernel = Literal["matern", "rbf", "exponential", "linear"]

START = (2.0, 0.0, -2.0)  # log of length scale, signal and noise variance: mean of the prior
SPREAD = 0.8  # its standard deviation: what few rows say of a length scale is mostly noise
JITTER = 1e-6
_REACH = 6.0  # logarithms are searched so far from START
_BLOCK = 4096


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


class Exact(Predictor):
    """Base of exact Gaussian processes whose kernel is a function of distances d_g.

        k(x, x') = s^2 f(q),    q = sum_g d_g(x, x')^2 / l_g^2

        matern f = (1 + sqrt(3 q)) exp(-sqrt(3 q)),  rbf exp(-q / 2),  exponential exp(-sqrt(q)),
        linear 1 - q / 2 (a dot product of unit vectors; l_g is at least 1 then)

    The length scales l_g, s and the noise maximise the marginal likelihood times a log-normal
    prior, so a distance that says nothing is switched off by a long length scale. Fitting costs
    O(n^3); where more than `max_rows` rows come, a random part of them is used.

    A subclass lists its parameters, those below among them, and implements `_metrics`.

    Args:
        kernel: name of f.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values.
        max_rows: most training rows.
        spread: standard deviation of the prior of the logarithms, above 0.
    """

    has_std = True
    kernel: Kernel
    target: Target
    max_rows: int
    spread: float = SPREAD

    @abstractmethod
    def _metrics(self, X: Rows) -> list[Metric]:
        """The distances to training rows (n, d)."""

    def _subsets(self, count: int) -> Iterable[tuple[int, ...]]:
        """Which of all the distances may form the kernel; the evidence picks one of the sets."""
        yield tuple(range(count))

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        if self.kernel not in KERNELS:
            known = ", ".join(KERNELS)
            raise SettingError("kernel", expected=f"one of {known}", got=repr(self.kernel))
        if self.spread <= 0:
            raise SettingError("spread", expected="above 0", got=self.spread)
        if len(X) > self.max_rows:
            part = rng.permutation(len(X))[: self.max_rows]
            X, y = X[part], y[part]
        self.scale_ = Scale.of(y, self.target)
        scores = self.scale_.score(y)
        self.metrics_ = self._metrics(X)
        distances = [one for metric in self.metrics_ for one in metric.squares()]
        self.loss_ = np.inf
        for subset in self._subsets(len(distances)):
            some = [distances[g] for g in subset]
            loss, theta = _optimum(self.kernel, some, scores, self.spread)
            if loss < self.loss_:
                self.loss_, self.theta_, self.subset_ = loss, theta, subset
        K = covariance(self.kernel, [distances[g] for g in self.subset_], self.theta_)[0]
        K[np.diag_indices_from(K)] += np.exp(self.theta_[-1]) + JITTER
        self.factor_ = _factor(K)
        self.weights_ = cho_solve(self.factor_, scores)

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
        variance = np.maximum(signal - np.einsum("ij,ij->j", V, V), JITTER) + noise
        return K @ self.weights_, np.sqrt(variance)

    def _cross(self, X: Rows) -> Floats:
        distances = [one for metric in self.metrics_ for one in metric.squares(X)]
        return covariance(self.kernel, [distances[g] for g in self.subset_], self.theta_)[0]


def squares(A: Floats, B: Floats) -> Floats:
    """Squared distances (n, m) of features (n, f) and (m, f)."""
    both = (A * A).sum(axis=1)[:, None] + (B * B).sum(axis=1) - 2.0 * (A @ B.T)
    positive: Floats = np.maximum(both, 0.0)
    return positive


# -- kernels: f(q) and -df/dq -----------------------------------------------------------------


def _matern(q: Floats) -> tuple[Floats, Floats]:
    r = np.sqrt(3.0 * q)
    decay = np.exp(-r)
    return (1.0 + r) * decay, 1.5 * decay


def _rbf(q: Floats) -> tuple[Floats, Floats]:
    f = np.exp(-0.5 * q)
    return f, 0.5 * f


def _exponential(q: Floats) -> tuple[Floats, Floats]:
    r = np.sqrt(q)
    f = np.exp(-r)
    return f, 0.5 * f / np.maximum(r, 1e-9)


def _linear(q: Floats) -> tuple[Floats, Floats]:
    return 1.0 - 0.5 * q, np.full_like(q, 0.5)


KERNELS: dict[str, Callable[[Floats], tuple[Floats, Floats]]] = {
    "matern": _matern,
    "rbf": _rbf,
    "exponential": _exponential,
    "linear": _linear,
}


def covariance(kernel: Kernel, distances: list[Floats], theta: Floats) -> tuple[Floats, Floats]:
    """The kernel (n, m) and -s^2 df/dq (n, m).

    `theta` holds the logarithms of the length scales, of s^2 and of the variance of the noise.
    """
    q = sum(d * np.exp(-2 * t) for d, t in zip(distances, theta, strict=False))
    f, slope = KERNELS[kernel](np.asarray(q))
    signal = np.exp(theta[-2])
    return signal * f, signal * slope


# -- marginal likelihood ----------------------------------------------------------------------


def minus_log_posterior(
    theta: Floats,
    kernel: Kernel,
    distances: list[Floats],
    y: Floats,
    spread: float = SPREAD,
) -> tuple[float, Floats]:
    """Minus the log posterior of `theta` (up to a constant), and its gradient."""
    K, slope = covariance(kernel, distances, theta)
    noise = np.exp(theta[-1])
    try:
        L = cho_factor(K + (noise + JITTER) * np.eye(len(y)), lower=True, check_finite=False)
    except LinAlgError:  # distances that are not Euclidean: not every theta gives a covariance
        return 1e25, np.zeros_like(theta)
    away = (theta - _start(len(distances))) / spread
    inverse = cho_solve(L, np.eye(len(y)), check_finite=False)
    a = inverse @ y
    loss = 0.5 * y @ a + np.log(np.diag(L[0])).sum() + 0.5 * (away**2).sum()
    outer = 0.5 * (inverse - np.outer(a, a))  # d loss / d K
    weighted = outer * slope
    gradient = [
        2.0 * np.exp(-2 * t) * np.vdot(weighted, d) for d, t in zip(distances, theta, strict=False)
    ]
    gradient += [np.vdot(outer, K), noise * np.trace(outer)]
    return float(loss), np.array(gradient) + away / spread


def _start(count: int) -> Floats:
    return np.array([START[0]] * count + [START[1], START[2]])


def _optimum(
    kernel: Kernel, distances: list[Floats], y: Floats, spread: float
) -> tuple[float, Floats]:
    start = _start(len(distances))
    low = start - _REACH
    if kernel == "linear":
        low[: len(distances)] = 0.0
    found = minimize(
        minus_log_posterior, start, (kernel, distances, y, spread), jac=True, method="L-BFGS-B",
        bounds=list(zip(low, start + _REACH, strict=True)), options={"maxiter": 60},
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
