"""Extrapolation of a learning curve by a mixture of parametric families."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foretell.evidence.curves.base import Floats
from foretell.evidence.curves.parts.families import FAMILIES, Ensemble, noise
from foretell.evidence.curves.parts.posterior import Extrapolation
from foretell.evidence.curves.parts.samplers import elliptical

ELEVEN = tuple(FAMILIES)


class LCE(Extrapolation):
    """The posterior mean of where a curve goes: sum_k w_k f_k(x; theta_k) + N(0, sigma^2).

    Shapes and noise are sampled by `parts.samplers.elliptical`, all curves at once, under the prior
    of `parts.families.Ensemble`, in which weights and limits are linear and integrated out; what
    is told is the mean of the value at the horizon, and its deviation with the noise.

    Args:
        families: names of families, of eleven.
        chains: of each curve.
        steps: of each chain, of which the second half counts.
        metric: the curve that is read; None for "val_acc", or "val_loss".
        horizon: the epoch whose value is predicted; None for the length of the curves given.
        random_state: non-negative seed; all curves share its numbers.

    References: Domhan et al., Speeding up Automatic Hyperparameter Optimization of Deep Neural
    Networks by Extrapolation of Learning Curves, IJCAI 2015. Differs: proper priors
    instead of flat ones, weights and limits integrated out, and slice sampling instead of walkers
    that start at the best fit.

    >>> x = np.arange(1, 41)
    >>> curves = {"val_acc": [0.8 - 0.5 * x**-0.7, 0.6 - 0.4 * x**-0.7]}
    >>> LCE(steps=60).predict(curves, epochs=15).round(1).tolist()
    [0.8, 0.6]
    """

    def __init__(
        self,
        families: Sequence[str] = ELEVEN,
        chains: int = 4,
        steps: int = 80,
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

    def _ends(self, scores: Floats, horizon: int, rng: np.random.Generator) -> Floats:
        n, t = scores.shape
        x, model = np.arange(1.0, t + 1), Ensemble(self.families, max(horizon, 2))
        start = np.repeat(rng.standard_normal((1, self.chains, model.size)), n, axis=0)
        states = elliptical(
            lambda z, rows: model.given(z, x, scores[rows]).log_likelihood, start, self.steps, rng
        )
        draws = []
        for z in states[self.steps // 2 :]:
            found = model.given(z, x, scores)
            spread = np.sqrt(found.variance + noise(z[..., 0]) ** 2)
            draws.append(found.mean + spread * rng.standard_normal(self.chains))
        return np.concatenate(draws, axis=1)
