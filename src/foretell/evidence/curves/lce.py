"""Extrapolation of a learning curve by a mixture of parametric families."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foretell.evidence.curves.base import Floats
from foretell.evidence.curves.parts.families import FAMILIES, Mixture
from foretell.evidence.curves.parts.posterior import Extrapolation, log_likelihood
from foretell.evidence.curves.parts.samplers import elliptical

ELEVEN = tuple(FAMILIES)


class LCE(Extrapolation):
    """The posterior mean of where a curve goes: sum_k w_k f_k(x; theta_k) + N(0, sigma^2).

    Weights, parameters and noise are sampled by `parts.samplers.elliptical`, all curves at once,
    under the prior of `parts.families`; what is told is the mean of the value at the horizon, and
    its deviation with the noise.

    Args:
        families: names of families, of eleven.
        chains: of each curve.
        steps: of each chain, of which the second half counts.
        metric: the curve that is read; None for "val_acc", or "val_loss".
        horizon: the epoch whose value is predicted; None for the length of the curves given.
        random_state: non-negative seed; all curves share its numbers.

    References: Domhan et al., Speeding up Automatic Hyperparameter Optimization of Deep Neural
    Networks by Extrapolation of Learning Curves, IJCAI 2015. Differs: weights sum to one,
    parameters have proper priors instead of flat ones, and slice sampling takes the place of
    walkers that start at the best fit.

    >>> x = np.arange(1, 41)
    >>> curves = {"val_acc": [0.8 - 0.5 * x**-0.7, 0.6 - 0.4 * x**-0.7]}
    >>> LCE(steps=60).predict(curves, epochs=15).round(1).tolist()
    [0.8, 0.6]
    """

    def __init__(
        self,
        families: Sequence[str] = ELEVEN,
        chains: int = 8,
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
        return elliptical(
            lambda z, rows: log_likelihood(model, x, scores[rows], z), start, self.steps, rng
        )
