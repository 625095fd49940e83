"""Extrapolation of a learning curve by monotone mixtures of four families."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foretell.errors import SettingError
from foretell.evidence.curves.base import Floats
from foretell.evidence.curves.parts.families import FOUR, Mixture
from foretell.evidence.curves.parts.posterior import Extrapolation, log_likelihood
from foretell.evidence.curves.parts.samplers import stretch

_POINTS = 12  # at which a curve must not fall


class LCEM(Extrapolation):
    """As `lce`, but only of mixtures that do not fall up to the horizon, by an ensemble of walkers.

    Args:
        families: names of families, of eleven.
        chains: walkers, an even number above that of the parameters.
        steps: of each walker, of which the second half counts.
        metric: the curve that is read; None for "val_acc", or "val_loss".
        horizon: the epoch whose value is predicted; None for the length of the curves given.
        random_state: non-negative seed; all curves share its numbers.

    References: Klein et al., Learning Curve Prediction with Bayesian Neural Networks, ICLR 2017
    (their version of Domhan et al.); White et al., NeurIPS 2021. Differs: proper priors, and 300
    steps of walkers that start where the prior and the values agree instead of 800 around one
    point.

    >>> x = np.arange(1, 41)
    >>> curves = {"val_acc": [0.8 - 0.5 * x**-0.7, 0.6 - 0.4 * x**-0.7]}
    >>> LCEM(steps=60).predict(curves, epochs=15).round(1).tolist()
    [0.8, 0.6]
    """

    def __init__(
        self,
        families: Sequence[str] = FOUR,
        chains: int = 40,
        steps: int = 300,
        metric: str | None = None,
        horizon: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.families = families
        self.chains = chains
        self.steps = steps
        self.metric = metric
        self.horizon = horizon
        self.random_state = random_state

    def _sampled(
        self, model: Mixture, x: Floats, scores: Floats, start: Floats, rng: np.random.Generator
    ) -> Floats:
        if self.chains % 2 or self.chains <= model.size:
            raise SettingError(
                "LCEM, chains", expected=f"an even number above {model.size}", got=self.chains
            )
        points = np.geomspace(1.0, model.horizon, _POINTS)

        def log_density(z: Floats, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Floats:
            falls = (np.diff(model.curves(z, points)[0], axis=-1) < -1e-9).any(axis=-1)
            found = log_likelihood(model, x, scores[rows], z) - (z**2).sum(axis=-1) / 2
            return np.where(falls, -np.inf, found)

        return stretch(log_density, start, self.steps, rng)
