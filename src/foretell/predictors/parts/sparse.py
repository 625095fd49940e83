"""Sparse Gaussian processes of GPyTorch: what is shared by their bounds."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from torch import Tensor

from foretell.encodings.parts.standard import Standard
from foretell.errors import SettingError
from foretell.predictors.base import Floats, Predictor
from foretell.predictors.parts.calibration import by_folds
from foretell.predictors.parts.distances import SPREAD, START
from foretell.predictors.parts.features import Encodings, resolve
from foretell.predictors.parts.targets import Scale, Target
from foretell.spaces.base import Rows

_BLOCK = 1024


class Sparse(Predictor):
    """Base of processes that see the training rows through a few inducing points.

        k(x, x') = sum_g s_g^2 (1 + r_g) exp(-r_g),
        r_g^2 = 3 |phi_g(x) - phi_g(x')|^2 / (f_g l_g^2)

    with the f_g standardised features phi_g of encoding g. Inducing points start at the centres of
    k-means of the features. Deviations are calibrated by fits on folds. A subclass lists its
    parameters and implements `_model`.

    Args:
        points: number of inducing points, at least 1; with fewer different rows, all of those.
        steps: of the optimiser, at least 0.
        smooth: 0.5, 1.5 or 2.5 for Matern kernels, `inf` for the squared exponential.
    """

    has_std = True
    encoding: Encodings
    points: int
    steps: int
    smooth: float
    target: Target

    @abstractmethod
    def _model(self, F: Tensor, scores: Tensor, Z: Tensor) -> Any:
        """A trained model of GPyTorch in evaluation mode."""

    @abstractmethod
    def _posterior(self, F: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (n,) of the process at features (n, f), without the noise."""

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        for name, least in (("points", 1), ("steps", 0)):
            if getattr(self, name) < least:
                raise SettingError(name, expected=f"at least {least}", got=getattr(self, name))
        if self.smooth not in (0.5, 1.5, 2.5, np.inf):
            raise SettingError("smooth", expected="0.5, 1.5, 2.5 or inf", got=self.smooth)
        self.scale_ = Scale.of(y, self.target)
        self.metrics_ = [Standard(one, X) for one in resolve(self.encoding, self.space, X)]
        F, scores, seed = self._features(X), self.scale_.score(y), int(rng.integers(2**31))

        def said(out: NDArray[np.bool_]) -> tuple[Floats, Floats]:
            self._learn(F[~out], scores[~out], seed)
            return self._said(F[out])

        self.shrink_, self.widen_ = by_folds(y, self.scale_, rng, said)
        self._learn(F, scores, seed)

    def _learn(self, F: Floats, scores: Floats, seed: int) -> None:
        Z = np.unique(F, axis=0)
        if len(Z) > self.points:
            means = KMeans(self.points, n_init=1, max_iter=20, random_state=seed)
            Z = means.fit(Z).cluster_centers_
        with exactly():
            self.model_ = self._model(*(torch.tensor(part) for part in (F, scores, Z)))

    def _said(self, F: Floats) -> tuple[Floats, Floats]:
        """Score and variance (n,) at features (n, f), with the noise."""
        found = []
        with torch.no_grad(), exactly():
            for i in range(0, len(F), _BLOCK):
                mean, variance = self._posterior(torch.tensor(F[i : i + _BLOCK]))
                found.append((mean.numpy(), variance.numpy()))
        score, square = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return score, np.maximum(square, 0.0) + float(self.model_.likelihood.noise.detach())

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        score, variance = self._said(self._features(X))
        std = np.sqrt(self.shrink_ * variance + self.widen_)
        return self.scale_.value(score), self.scale_.spread(score, std)

    def _features(self, X: Rows) -> Floats:
        return np.concatenate([metric(X) for metric in self.metrics_], axis=1)

    def _kernel(self) -> Any:
        from gpytorch import kernels, priors

        total, at = None, 0
        for metric in self.metrics_:
            active = tuple(range(at, at := at + metric.features.shape[1]))
            length = priors.LogNormalPrior(START[0], SPREAD)
            if self.smooth == np.inf:
                kernel = kernels.RBFKernel(active_dims=active, lengthscale_prior=length)
            else:
                kernel = kernels.MaternKernel(
                    self.smooth, active_dims=active, lengthscale_prior=length
                )
            kernel.lengthscale = np.exp(START[0] / 2)
            signal = priors.LogNormalPrior(START[1], SPREAD)
            scaled = kernels.ScaleKernel(kernel, outputscale_prior=signal)
            total = scaled if total is None else total + scaled
        return total

    def _likelihood(self) -> Any:
        from gpytorch import constraints, likelihoods, priors

        likelihood = likelihoods.GaussianLikelihood(
            noise_prior=priors.LogNormalPrior(START[2], SPREAD),
            noise_constraint=constraints.GreaterThan(1e-3),
        )
        likelihood.noise = np.exp(START[2])
        return likelihood


@contextmanager
def exactly() -> Iterator[None]:
    """Cholesky factors instead of random probes; the global generator of torch is restored."""
    from gpytorch import settings

    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of jitter, and of predictions at training rows
        for context in (
            torch.random.fork_rng(devices=[]),
            settings.fast_computations(False, False, False),
            settings.max_cholesky_size(10**9),
            settings.cholesky_jitter(double_value=1e-6),
        ):
            stack.enter_context(context)
        torch.manual_seed(0)  # q(u) starts with a little noise; the fork above is undone
        yield
