"""Gaussian process on encodings, with one length scale for each encoding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from foretell.encodings import Encoding
from foretell.predictors._features import Encodings, resolve
from foretell.predictors._targets import Scale, Target
from foretell.predictors.base import Floats, Predictor
from foretell.spaces.base import Rows, Space

_START = (2.0, 0.0, -2.0)  # log of length scale, signal and noise variance: mean of the prior
_WIDTH = 1.5  # its standard deviation
_JITTER = 1e-6
_BLOCK = 4096


class GP(Predictor):
    """Exact Gaussian process with a Matern-3/2 kernel over several encodings.

        k(x, x') = s^2 (1 + r) exp(-r),    r^2 = 3 sum_g |phi_g(x) - phi_g(x')|^2 / (f_g l_g^2),

    where phi_g are the f_g standardised features of encoding g. The length scales l_g, s and the
    noise maximise the marginal likelihood times a log-normal prior, so an encoding that says
    nothing is switched off by a long length scale. Fitting costs O(n^3); where more than
    `max_rows` rows come, a random part of them is used.

    Args:
        space: the space whose rows it sees.
        encoding: a name of the catalog, an `Encoding`, or a tuple of them, one length scale each.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values.
        max_rows: most training rows.
        random_state: non-negative seed, or None for fresh entropy.

    References: Rasmussen & Williams 2006, equations 2.25, 2.26, 5.9; White et al. 2021, How
    Powerful are Performance Predictors in NAS?
    Differs: the study's GP has one RBF kernel on adjacency one-hot values.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(50, rng=0)
    >>> model = GP(space, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2), bool((std > 0).all())
    (True, True)
    """

    has_std = True

    def __init__(
        self,
        space: Space,
        encoding: Encodings = ("graph-stats", "one-hot"),
        target: Target = "rank",
        max_rows: int = 2000,
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.encoding = encoding
        self.target = target
        self.max_rows = max_rows
        self.random_state = random_state

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        if len(X) > self.max_rows:
            part = rng.permutation(len(X))[: self.max_rows]
            X, y = X[part], y[part]
        self.scale_ = Scale.of(y, self.target)
        scores = self.scale_.score(y)
        self.groups_ = [_Standard(one, X) for one in resolve(self.encoding, self.space)]
        self.features_ = [group(X) for group in self.groups_]
        distances = [_squares(F, F) for F in self.features_]
        start = np.array([_START[0]] * len(distances) + [_START[1], _START[2]])
        found = minimize(
            _loss, start, (distances, scores), jac=True, method="L-BFGS-B",
            bounds=[(m - 6.0, m + 6.0) for m in start], options={"maxiter": 60},
        )  # fmt: skip
        self.theta_ = found.x
        K = _kernel(distances, self.theta_)[0]
        K[np.diag_indices_from(K)] += np.exp(self.theta_[-1]) + _JITTER
        self.factor_ = cho_factor(K, lower=True)
        self.weights_ = cho_solve(self.factor_, scores)

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        blocks = [self._block(X[i : i + _BLOCK]) for i in range(0, len(X), _BLOCK)]
        mean, std = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        return self.scale_.value(mean), self.scale_.spread(mean, std)

    def _block(self, X: Rows) -> tuple[Floats, Floats]:
        pairs = zip(self.groups_, self.features_, strict=True)
        K = _kernel([_squares(group(X), F) for group, F in pairs], self.theta_)[0]
        V = solve_triangular(self.factor_[0], K.T, lower=True, check_finite=False)
        variance = np.exp(self.theta_[-2]) - np.einsum("ij,ij->j", V, V)
        return K @ self.weights_, np.sqrt(np.maximum(variance, _JITTER))


class _Standard:
    """An encoding, standardised on the training rows and divided by the root of its length.

    A feature that is constant there says nothing and is left out.
    """

    def __init__(self, encoding: Encoding, X: Rows) -> None:
        F = encoding.encode(X).astype(np.float64)
        self.encoding = encoding
        self.mean, std = F.mean(axis=0), F.std(axis=0)
        scale = std * np.sqrt(F.shape[1])
        self.weight = np.divide(1.0, scale, out=np.zeros_like(scale), where=std > 1e-9)

    def __call__(self, X: Rows) -> NDArray[np.float64]:
        scaled: NDArray[np.float64] = (self.encoding.encode(X) - self.mean) * self.weight
        return scaled


def _squares(A: Floats, B: Floats) -> Floats:
    """Squared distances (n, m) of features (n, f) and (m, f)."""
    squares = (A * A).sum(axis=1)[:, None] + (B * B).sum(axis=1) - 2.0 * (A @ B.T)
    positive: Floats = np.maximum(squares, 0.0)
    return positive


def _kernel(distances: list[Floats], theta: Floats) -> tuple[Floats, Floats, Floats]:
    """The kernel (n, m), r (n, m), and s^2 exp(-r), from which derivatives follow."""
    r = np.sqrt(3.0 * sum(d * np.exp(-2 * t) for d, t in zip(distances, theta, strict=False)))
    decay = np.exp(theta[-2] - r)
    return (1.0 + r) * decay, r, decay


def _loss(theta: Floats, distances: list[Floats], y: Floats) -> tuple[float, Floats]:
    """Minus the log posterior of the kernel's parameters (up to a constant), and its gradient."""
    start = np.array([_START[0]] * len(distances) + [_START[1], _START[2]])
    K, _, decay = _kernel(distances, theta)
    noise = np.exp(theta[-1])
    L = cho_factor(K + (noise + _JITTER) * np.eye(len(y)), lower=True, check_finite=False)
    inverse = cho_solve(L, np.eye(len(y)), check_finite=False)
    a = inverse @ y
    loss = 0.5 * y @ a + np.log(np.diag(L[0])).sum() + 0.5 * (((theta - start) / _WIDTH) ** 2).sum()
    outer = 0.5 * (inverse - np.outer(a, a))  # d loss / d K
    weighted = outer * decay * 3.0
    gradient = [
        np.exp(-2 * t) * np.vdot(weighted, d) for d, t in zip(distances, theta, strict=False)
    ]
    gradient += [np.vdot(outer, K), noise * np.trace(outer)]
    return float(loss), np.array(gradient) + (theta - start) / _WIDTH**2
