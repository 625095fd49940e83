"""BOHAMIANN: a Bayesian neural network, sampled."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import loguniform
from torch import Tensor

from foretell.encodings.parts.standard import Standard
from foretell.errors import SettingError
from foretell.predictors.base import Floats, Predictor
from foretell.predictors.parts.calibration import by_folds
from foretell.predictors.parts.features import FEATURES, Encodings, resolve
from foretell.predictors.parts.targets import Scale, Target
from foretell.spaces.base import Rows, Space
from foretell.training.sghmc import sghmc

_GAIN = 1.5  # of a layer: tanh units stay neither linear nor saturated
_NOISE = (-3.0, 1.0)  # mean and deviation of the logarithm of the noise variance


class Bohamiann(Predictor):
    """Feed-forward networks drawn from their posterior by stochastic gradient Hamiltonian MC.

        h_l = tanh(1.5 W_l h_{l-1} / sqrt(width) + b_l),    y = w . h_L / sqrt(width) + b + noise

    All weights have the prior N(0, 1), the logarithm of the variance of the noise N(-3, 1).
    Several chains run side by side on batches of the training rows; mean and standard deviation
    are those of the networks that they visit (`foretell.training.sghmc`); deviations are calibrated
    by fits on folds.

    Args:
        space: the space whose rows it sees.
        width: units of each hidden layer, at least 1.
        layers: number of hidden layers, at least 1.
        chains: at least 1.
        burn_in: steps that are thrown away, at least 1.
        samples: networks that each chain gives, at least 1.
        every: steps between two of them, at least 1.
        batch_size: architectures in a step, at least 1.
        rate: of the steps, above 0.
        friction: in (0, 1].
        encoding: what it reads: a name of the catalog, an `Encoding`, or a tuple of them.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values.
        random_state: non-negative seed, or None for fresh entropy.

    References: Springenberg et al. 2016, Bayesian Optimization with Robust Bayesian Neural
    Networks; White et al. 2021, How Powerful are Performance Predictors in NAS?
    Differs: the study (NASLib) has one chain of 100 steps, 10 of them burn-in, with a network kept
    every 5 steps, of 3 layers of 50 units on adjacency one-hot values: `Bohamiann.paper(space)`.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = Bohamiann(space, random_state=0, burn_in=150).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 1), bool((std > 0).all())
    (True, True)
    """

    has_std = True
    ranges: ClassVar = {
        "width": [16, 32, 64],
        "layers": [1, 2, 3],
        "burn_in": [100, 200, 500],
        "rate": loguniform(1e-2, 1e-1),
        "friction": loguniform(0.02, 0.3),
    }

    def __init__(
        self,
        space: Space,
        width: int = 32,
        layers: int = 2,
        chains: int = 4,
        burn_in: int = 150,
        samples: int = 10,
        every: int = 15,
        batch_size: int = 64,
        rate: float = 0.06,
        friction: float = 0.1,
        encoding: Encodings = FEATURES,
        target: Target = "rank",
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.width = width
        self.layers = layers
        self.chains = chains
        self.burn_in = burn_in
        self.samples = samples
        self.every = every
        self.batch_size = batch_size
        self.rate = rate
        self.friction = friction
        self.encoding = encoding
        self.target = target
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> Bohamiann:
        """The settings of the study (NASLib)."""
        settings: dict[str, Any] = {
            "width": 50,
            "layers": 3,
            "chains": 1,
            "burn_in": 10,
            "samples": 18,
            "every": 5,
            "batch_size": 20,
            "rate": 7e-2,  # 1e-2 of weights that are not divided by sqrt(width)
            "encoding": "adjacency-one-hot",
            "target": "value",
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _fit(self, X: Rows, y: Floats, rng: np.random.Generator) -> None:
        for name in ("width", "layers", "chains", "burn_in", "samples", "every", "batch_size"):
            if getattr(self, name) < 1:
                raise SettingError(name, expected="at least 1", got=getattr(self, name))
        if self.rate <= 0 or not 0 < self.friction <= 1:
            raise SettingError(
                "rate and friction", expected="above 0, in (0, 1]", got=(self.rate, self.friction)
            )
        self.scale_ = Scale.of(y, self.target)
        self.metrics_ = [Standard(one, X) for one in resolve(self.encoding, self.space, X)]
        F, seed = self._features(X), int(rng.integers(2**31))
        goal = torch.tensor(self.scale_.score(y), dtype=torch.float32)

        def said(out: NDArray[np.bool_]) -> tuple[Floats, Floats]:
            rest = torch.from_numpy(~out)
            self._sample(F[rest], goal[rest], seed)
            return self._said(F[~rest])

        self.shrink_, self.widen_ = by_folds(y, self.scale_, rng, said)
        self._sample(F, goal, seed)

    def _sample(self, F: Tensor, goal: Tensor, seed: int) -> None:
        """Draw networks for features (n, f) and scores (n,)."""
        n, generator = len(goal), torch.Generator().manual_seed(seed)
        widths = [F.shape[1], *[self.width] * self.layers, 1]
        shapes = [(one, columns) for rows, columns in pairwise(widths) for one in (rows, 1)]
        sizes = [rows * columns for rows, columns in shapes]
        start = torch.randn((self.chains, sum(sizes) + 1), generator=generator)  # from the prior
        start[:, -1] = _NOISE[0]

        def layers(state: Tensor) -> list[Tensor]:
            """Weights and biases of each layer, of all chains."""
            parts = state.split(sizes, dim=1)
            return [part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]

        def potential(state: Tensor) -> Tensor:
            rows = torch.randperm(n, generator=generator)[: self.batch_size]
            weights, noise = state[:, :-1], state[:, -1]
            wrong = (scores(F[rows], layers(weights)) - goal[rows]).square().sum(1)
            likelihood = 0.5 * (wrong * (n / len(rows)) * torch.exp(-noise) + n * noise)
            prior = 0.5 * ((noise - _NOISE[0]) / _NOISE[1]).square()
            return (likelihood + prior).sum() + 0.5 * weights.square().sum()

        found = sghmc(
            potential, start, burn_in=self.burn_in, samples=self.samples, every=self.every,
            rate=self.rate, friction=self.friction, generator=generator,
        )  # fmt: skip
        states = torch.cat(list(found))
        self.weights_ = layers(states[:, :-1].contiguous())
        self.noise_ = float(states[:, -1].median().exp())  # single states are far off at times

    def _predict(self, X: Rows) -> tuple[Floats, Floats | None]:
        mean, variance = self._said(self._features(X))
        std = np.sqrt(self.shrink_ * variance + self.widen_)
        return self.scale_.value(mean), self.scale_.spread(mean, std)

    def _said(self, F: Tensor) -> tuple[Floats, Floats]:
        """Mean and variance (n,) at features (n, f), with the noise."""
        step = max(2**19 // (len(self.weights_[0]) * self.width), 1)  # what fits a cache
        with torch.inference_mode():
            parts = [scores(F[i : i + step], self.weights_) for i in range(0, len(F), step)]
            drawn = torch.cat(parts, dim=1).numpy().astype(np.float64)
        return drawn.mean(axis=0), drawn.var(axis=0) + self.noise_

    def _features(self, X: Rows) -> Tensor:
        """Features (n, f) whose squares sum to about 1."""
        parts = np.concatenate([metric(X) for metric in self.metrics_], axis=1)
        return torch.tensor(parts / math.sqrt(len(self.metrics_)), dtype=torch.float32)


def scores(F: Tensor, weights: list[Tensor]) -> Tensor:
    """Outputs (M, n) of M networks for features (n, f)."""
    H = F.expand(len(weights[0]), -1, -1)
    pairs = list(zip(weights[::2], weights[1::2], strict=True))
    for place, (W, b) in enumerate(pairs):
        last = place + 1 == len(pairs)
        share = _GAIN if place == 0 else (1.0 if last else _GAIN) / math.sqrt(W.shape[1])
        H = torch.baddbmm(b, H, W, alpha=share)
        H = H if last else torch.tanh(H)
    return H[..., 0]
