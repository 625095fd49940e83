"""Bayesian linear regression on encodings and on their products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from foretell.errors import SettingError
from foretell.predictors.base import Floats, Predictor
from foretell.predictors.parts.calibration import unaware, widening
from foretell.predictors.parts.features import FEATURES, Encodings, encode, resolve, standard
from foretell.predictors.parts.targets import Scale, Target
from foretell.spaces.base import Rows, Space

_BIASES = (0.3, 1.0, 3.0)  # c
_COMPARED = 200  # rows that tell them apart
_NOISES = np.logspace(-3, 1.5, 28)  # noise variance over the mean signal variance
_BLOCK = 2048  # fits a cache
_CHOSEN = 3  # numbers that maximise the evidence
_FEWEST = 10  # results with which deviations are calibrated


class BayesLinReg(Predictor):
    """Linear regression with a Gaussian prior on the weights, on all products of `degree` features.

    With phi the f features, standardised on the training rows (`parts.features.standard`: the first
    encoding has most of the prior), the function values have the prior covariance

        k(x, x') = s^2 (c + phi(x).phi(x') / f)^degree,

    which is linear regression on all monomials up to `degree` without writing them out. Scale s^2,
    c and the variance of the noise maximise the evidence p(y): s^2 in closed form, the other two
    on a grid (c by the evidence of 200 rows, where there are more). The mean is that of the
    posterior. Where a forest or a stationary process falls back to what it has seen, a polynomial
    goes on: good at the upper end, which a search looks for.

    Args:
        space: the space whose rows it sees.
        degree: 1 for a linear function, 2 with all products of two features, at most 4.
        encoding: a name of the catalog, an `Encoding`, or a tuple of them side by side.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values.
        max_rows: most training rows; where more come, a random part of them is used.
        random_state: non-negative seed, or None for fresh entropy.

    References: Bishop 2006, Pattern Recognition and Machine Learning, sections 3.3 and 3.5; White
    et al. 2021, How Powerful are Performance Predictors in NAS? (`bayes_lin_reg`).
    Differs: the study's regression has degree 1, accuracies as targets and adjacency values:
    `BayesLinReg.paper(space)`.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(50, rng=0)
    >>> model = BayesLinReg(space).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2), bool((std > 0).all())
    (True, True)
    """

    has_std = True
    ranges: ClassVar = {
        "degree": [1, 2, 3],
        "encoding": [FEATURES, ("graph-stats", "canonical"), "graph-stats"],
        "target": ["rank", "value"],
    }

    def __init__(
        self,
        space: Space,
        degree: int = 2,
        encoding: Encodings = FEATURES,
        target: Target = "rank",
        max_rows: int = 2000,
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.degree = degree
        self.encoding = encoding
        self.target = target
        self.max_rows = max_rows
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> BayesLinReg:
        """The settings of the study (NASLib)."""
        settings: dict[str, Any] = {
            "degree": 1,
            "encoding": "adjacency-one-hot",
            "target": "value",
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        if self.degree not in (1, 2, 3, 4):
            raise SettingError("degree", expected="1 to 4", got=self.degree)
        if len(X) > self.max_rows:
            part = rng.permutation(len(X))[: self.max_rows]
            X, y = X[part], y[part]
        self.scale_ = Scale.of(y, self.target)
        scores = self.scale_.score(y)
        self.encodings_ = resolve(self.encoding, self.space, X)
        F, self.centre_, weight = standard(self.encodings_, X)
        self.weight_ = weight / np.sqrt(max((weight > 0).sum(), 1))
        self.features_ = (F - self.centre_) * self.weight_
        products = self.features_ @ self.features_.T
        few = rng.permutation(len(y))[:_COMPARED]
        part, its = products[np.ix_(few, few)], scores[few]
        self.bias_ = max(_BIASES, key=lambda bias: self._optimum(part, its, bias)[0])
        _, self.signal_, self.noise_, spread, vectors = self._optimum(products, scores, self.bias_)
        self.inverse_ = vectors / spread @ vectors.T
        self.weights_ = self.inverse_ @ scores
        self.shrink_, self.widen_ = 1.0, 0.0
        if len(y) >= _FEWEST:
            own = np.diag(self.inverse_)  # what the others say of each row
            alone = scores - self.weights_ / own
            self.shrink_, self.widen_ = widening(
                y, alone, self.signal_ / own, unaware(self.scale_, y), chosen=_CHOSEN
            )

    def _optimum(
        self, products: Floats, scores: Floats, bias: float
    ) -> tuple[float, float, float, Floats, Floats]:
        """Highest log evidence; there s^2, the noise, and the spectrum of the covariance / s^2."""
        values, vectors = np.linalg.eigh((bias + products) ** self.degree)
        values = np.maximum(values, 0.0)
        noises = _NOISES * values.mean()
        spread = values + noises[:, None]
        along = vectors.T @ scores
        signal = (along**2 / spread).mean(axis=1) + 1e-12
        evidence = -0.5 * (len(scores) * np.log(signal) + np.log(spread).sum(axis=1))
        i = int(np.argmax(evidence))
        return (
            float(evidence[i]),
            float(signal[i]),
            float(noises[i] * signal[i]),
            spread[i],
            vectors,
        )

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        found = [self._of(F) for F in self._blocks(X)]
        mean, std = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return self.scale_.value(mean), self.scale_.spread(mean, std)

    def _mean(self, X: Rows) -> Floats:
        return self.scale_.value(np.concatenate([self._mean_of(F) for F in self._blocks(X)]))

    def _blocks(self, X: Rows) -> Iterator[Floats]:
        for i in range(0, len(X), _BLOCK):
            yield (encode(self.encodings_, X[i : i + _BLOCK]) - self.centre_) * self.weight_

    def _of(self, F: Floats) -> tuple[Floats, Floats]:
        k = self._kernel(F)
        own = (self.bias_ + np.einsum("ij,ij->i", F, F)) ** self.degree
        variance = own - np.einsum("ij,jk,ik->i", k, self.inverse_, k, optimize=True)
        total = self.signal_ * np.maximum(variance, 1e-9) + self.noise_
        std: Floats = np.sqrt(self.shrink_ * total + self.widen_)
        return self._mean_of(F) if self.degree == 1 else k @ self.weights_, std

    def _mean_of(self, F: Floats) -> Floats:
        if self.degree == 1:  # the weights of the features themselves
            score = F @ (self.features_.T @ self.weights_) + self.bias_ * self.weights_.sum()
        else:
            score = self._kernel(F) @ self.weights_
        return np.asarray(score)

    def _kernel(self, F: Floats) -> Floats:
        k: Floats = (self.bias_ + F @ self.features_.T) ** self.degree
        return k
